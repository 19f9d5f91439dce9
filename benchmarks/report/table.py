"""The report in a terminal: for each benchmark its contenders, then its budgets."""

from rich.console import Console
from rich.table import Table

from benchmarks.finding import Finding, Row, ratio
from benchmarks.report.document import Measured, Report
from benchmarks.report.machine import Conditions, Machine
from benchmarks.report.numbers import exact, figure, spread


def print_machine(console: Console, machine: Machine) -> None:
    """One line."""
    console.print(
        f"{machine.cores} cores, {machine.cpu}, {machine.memory_gib} GiB · {machine.kernel} · "
        f"Python {machine.python} · {machine.server}",
        highlight=False,
    )


def print_measured(console: Console, measured: Measured) -> None:
    """One finding."""
    finding = measured.finding
    console.print(f"\n[bold]{finding.name}[/]: {finding.question}", highlight=False)
    console.print(_contenders(finding))
    if finding.checks:
        console.print(_budgets(finding))
    for name, value in finding.figures.items():
        console.print(f"  {name}: {figure(value)}", highlight=False)
    for note in finding.notes:
        console.print(f"  [dim]{note}[/]", highlight=False)
    console.print(f"  [dim]{conditions_line(measured.conditions)}[/]", highlight=False)


def print_verdict(console: Console, report: Report) -> None:
    """How many budgets hold, and which do not."""
    checks = [(one.finding.name, check) for one in report.measured for check in one.finding.checks]
    broken = [(name, check) for name, check in checks if not check.holds]
    console.print(f"\n{len(checks) - len(broken)} of {len(checks)} budgets hold", highlight=False)
    for name, check in broken:
        console.print(f"  [red]not held[/] {name}: {check.budget}: {figure(check.found)}", highlight=False)


def conditions_line(conditions: Conditions) -> str:
    """`2026-11-22, commit 0123456789, 5 rounds, 42 s`, and what makes the figures worth less."""
    parts = [
        conditions.date,
        f"commit {conditions.commit}",
        f"{conditions.rounds} round{'s' if conditions.rounds != 1 else ''}",
        f"{conditions.seconds:.0f} s",
        f"load before the run {conditions.load:g}",
    ]
    return ", ".join([*parts, *(["small sizes: not for publishing"] if conditions.is_small else [])])


def ratio_to_first(finding: Finding, row: Row) -> str:
    """How many times as good ours, the first row, is as this contender; nothing where they cannot be compared."""
    first = finding.rows[0] if finding.rows else None
    if first is None or row is first or not row.figures or len(row.figures) != len(first.figures):
        return ""
    ours = ratio(first, row)
    if not ours:
        return ""
    times = ours if finding.more_is_better else 1 / ours
    return f"{figure(times)}"


def ratio_words(finding: Finding) -> str:
    """What `ratio_to_first` is: above 1, the first row is the better one."""
    return "first ÷ this" if finding.more_is_better else "this ÷ first"


def _contenders(finding: Finding) -> Table:
    table = Table(box=None, pad_edge=True, padding=(0, 2))
    table.add_column("")
    table.add_column(
        f"{finding.unit} ({'more' if finding.more_is_better else 'less'} is better)", justify="right"
    )
    table.add_column("rounds", justify="right")
    table.add_column(ratio_words(finding), justify="right")
    for row in finding.rows:
        if row.figures:
            table.add_row(row.name, figure(row.median), spread(row), ratio_to_first(finding, row))
        else:
            table.add_row(row.name, "-", "", f"[yellow]not run: {row.missing}[/]")
    return table


def _budgets(finding: Finding) -> Table:
    table = Table(box=None, pad_edge=True, padding=(0, 2))
    for column in ("budget", "", "found", ""):
        table.add_column(column, justify="right" if column == "found" else "left")
    for check in finding.checks:
        limit = f"{'at least' if check.at_least else 'at most'} {exact(check.limit)}"
        verdict = "[green]holds[/]" if check.holds else "[red]not held[/]"
        table.add_row(check.budget, limit, figure(check.found), verdict)
    return table
