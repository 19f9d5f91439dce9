"""The report of a run: a table of promises, then each finding; worth reading on a terminal."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.chaos.evidence import read_journal
from benchmarks.chaos.verdict import Finding, Tally

#: Findings of one check that are shown; the others are counted.
SHOWN: Final = 12


def print_report(
    findings: Sequence[Finding], journal_path: Path, command: str, console: Console | None = None
) -> None:
    """Print what happened, what was checked, and what was found. `command` repeats the run."""
    out = console or _console()
    _print_world(out, journal_path)
    tallies: list[Tally] = getattr(findings, "tallies", [])
    _print_promises(out, tallies)
    for tally in tallies:
        for figure in tally.figures:
            out.print(Text(f"  {figure}"))
        for why, count in tally.excused.items():
            out.print(Text(f"  excused, {tally.check}: {count:,} of {tally.cases:,}: {why}"))
    if not findings:
        out.print(Text("\nNothing lost, nothing doubled: no promise was broken.", "bold green"))
        return
    out.print(Text(f"\n{len(findings):,} findings", "bold red"))
    shown: Counter[str] = Counter()
    for finding in findings:
        shown[finding.check] += 1
        if shown[finding.check] <= SHOWN:
            out.print(Text(f"  {finding.check}: {finding.text}") + Text(f"  {finding.lead}", "dim"))
    for check, count in shown.items():
        if count > SHOWN:
            out.print(Text(f"  {check}: {count - SHOWN:,} more like these"))
    out.print(Text(f"\nThe same again: {command}"))
    out.print(Text(f"What the world saw: {journal_path}"))


def _console() -> Console:
    """Standard output; a file has no width, so lines are as long as they are."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 140)


def _print_world(out: Console, journal_path: Path) -> None:
    seen = read_journal(journal_path)
    posts, receipts = (
        Counter(post["kind"] for post in seen.posts),
        Counter(r["outcome"] for r in seen.receipts),
    )
    taken = sum(post["status"] == 200 for post in seen.posts)
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in posts.most_common())
    lines = [
        f"{len(seen.submitted):,} submissions in {len(seen.posts):,} posts, {taken:,} of them answered 200 ({kinds})",
        f"{len(seen.responds):,} posts of responders",
        f"{len(seen.receipts):,} alerts at the sink ({', '.join(f'{n:,} {what}' for what, n in receipts.most_common())})",
        f"{len(seen.faults):,} faults of {len({fault.name for fault in seen.faults}):,} kinds",
    ]
    out.print(Text("\n" + "\n".join(lines)))


def _print_promises(out: Console, tallies: Sequence[Tally]) -> None:
    table = Table(box=None, pad_edge=False)
    for name, side in (
        ("promise", "right"),
        ("check", "left"),
        ("", "left"),
        ("looked at", "right"),
        ("excused", "right"),
        ("broken", "right"),
    ):
        table.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]  # one of its words
    for tally in tallies:
        broken = len(tally.findings)
        table.add_row(
            tally.promise,
            tally.check,
            tally.says,
            f"{tally.cases:,}",
            f"{tally.excused.total():,}" if tally.excused else "",
            Text(f"{broken:,}", "bold red") if broken else Text("0", "green"),
        )
    out.print(table)
