"""The guard of CI: short forms of the benchmarks, with bounds so generous that only a real loss of speed breaks them.

It compares ratios, never times: what is a time in a budget is taken in units of a loop of plain Python that runs on the
same machine just before. A benchmark that misses its bound is measured a second time, and only what misses it twice
fails: a neighbour's burst does not last.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.finding import Check, Finding
from benchmarks.registry import measure_of
from benchmarks.report.numbers import figure

#: Seconds `_calibration` took where the budgets were written (two cores of 2.6 GHz, Python 3.11).
CALIBRATION = 0.0115


@dataclass(frozen=True, slots=True)
class Bound:
    """How far a benchmark's checks may miss the budget before the guard says so.

    `slack` 2: half of what the budget asks for still passes (or twice what it allows). `is_time`: the budget is a time,
    so the limit is longer on a slower machine. `but` leaves out checks that a short form cannot hold, by their words.
    """

    benchmark: str
    slack: float
    why: str
    is_time: bool = False
    but: tuple[str, ...] = ()
    rounds: int = 3

    def limit(self, check: Check, slowness: float) -> float:
        """What the check is held against here; `slowness` is this machine's, 2 where it is half as fast."""
        slack = self.slack * (slowness if self.is_time else 1.0)
        return check.limit / slack if check.at_least else check.limit * slack

    def holds(self, check: Check, slowness: float) -> bool:
        """Whether the check is within the bound."""
        limit = self.limit(check, slowness)
        return check.found >= limit if check.at_least else check.found <= limit


#: Every bound, with its reason.
BOUNDS = (
    Bound(
        "hook",
        1.35,
        "both sides are short HTTP runs on shared cores; 200 µs more in the hook halves its ratio",
    ),
    Bound("router", 2.0, "the peer's own rate moves by a third from run to run", rounds=2),
    Bound("rules", 3.0, "a time; a scan of all the rules would take fifty times the budget", is_time=True),
    Bound(
        "deadlines",
        3.0,
        "a time; counting minute by minute would take a hundred times the budget",
        is_time=True,
    ),
    Bound("memory", 1.1, "bytes depend on the server's version and on nothing else"),
)


def guard(console: Console, names: Sequence[str] = ()) -> bool:
    """Measure each once, what misses its bound once more; whether all hold."""
    slowness = _calibration() / CALIBRATION
    console.print(
        f"this machine takes {slowness:.2f} times as long for plain Python as the one the bounds were written on",
        highlight=False,
    )
    table = Table(box=None, padding=(0, 2))
    for column in ("benchmark", "what", "found", "bound", "", "seconds"):
        table.add_column(column, justify="right" if column in ("found", "bound", "seconds") else "left")
    is_good = True
    for bound in BOUNDS:
        if names and bound.benchmark not in names:
            continue
        for attempt in (1, 2):
            began = time.monotonic()
            try:
                finding = _short_form(bound)
            except ImportError as error:
                table.add_row(bound.benchmark, f"cannot run: {error}", "", "", "[red]missed[/]", "")
                is_good = False
                break
            seconds = time.monotonic() - began
            checks = [one for one in finding.checks if not any(words in one.budget for words in bound.but)]
            missed = [check for check in checks if not bound.holds(check, slowness)]
            for check in checks:
                verdict = "[red]missed[/]" if check in missed else "[green]holds[/]"
                limit = f"{'≥' if check.at_least else '≤'} {figure(bound.limit(check, slowness))}"
                table.add_row(
                    bound.benchmark, check.budget, figure(check.found), limit, verdict, f"{seconds:.0f}"
                )
            if not checks:
                table.add_row(
                    bound.benchmark, "no check: its comparison is missing", "", "", "[red]missed[/]", ""
                )
                missed = [Check("no check", 0.0, 1.0, at_least=True)]
            if not missed:
                break
            if attempt == 2:
                is_good = False
    console.print(table)
    if not is_good:
        console.print(
            "[red]slower than the bounds of benchmarks/guard.py, twice in a row[/]; "
            "docs/performance/README.md says how to find where the time goes",
            highlight=False,
        )
    return is_good


def _short_form(bound: Bound) -> Finding:
    with tempfile.TemporaryDirectory(prefix=f"guard-{bound.benchmark}-") as scratch:
        return measure_of(bound.benchmark)(bound.rounds, Path(scratch), True)


def _calibration() -> float:
    """Seconds for a loop of the kind our code is made of: attributes, dictionaries, calls, arithmetic."""

    def once() -> float:
        began = time.process_time()
        found: dict[int, int] = {}
        for number in range(100_000):
            found[number % 977] = found.get(number % 977, 0) + number // 3
        sorted(found.items(), key=lambda pair: pair[1])
        return time.process_time() - began

    return statistics.median(once() for _ in range(7))
