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

from benchmarks.finding import Check
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
        1.5,
        "both sides are HTTP runs of seconds on shared cores; 200 µs more in the hook take two thirds of its ratio",
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
    chosen = [bound for bound in BOUNDS if not names or bound.benchmark in names]
    held = [_holds(console, bound, slowness) or _holds(console, bound, slowness) for bound in chosen]
    if all(held):
        return True
    console.print(
        "[red]slower than the bounds of benchmarks/guard.py, twice in a row[/]; "
        "docs/performance/README.md says how to find where the time goes",
        highlight=False,
    )
    return False


def _holds(console: Console, bound: Bound, slowness: float) -> bool:
    """Measure one short form, and print each check; whether all of them are within the bound."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix=f"guard-{bound.benchmark}-") as scratch:
            finding = measure_of(bound.benchmark)(bound.rounds, Path(scratch), True)
    except ImportError as error:
        console.print(f"[red]missed[/] {bound.benchmark} cannot run: {error}", highlight=False)
        return False
    checks = [check for check in finding.checks if not any(words in check.budget for words in bound.but)]
    if not checks:  # a guard that compares nothing guards nothing
        console.print(f"[red]missed[/] {bound.benchmark}: its comparison is not installed", highlight=False)
    for check in checks:
        verdict = "[green]holds [/]" if bound.holds(check, slowness) else "[red]missed[/]"
        limit = f"{'at least' if check.at_least else 'at most'} {figure(bound.limit(check, slowness))}"
        seconds = f"{time.monotonic() - began:.0f} s"
        told = f"{bound.benchmark}: {check.budget}: {figure(check.found)}, {limit} ({seconds})"
        console.print(f"{verdict} {told}", highlight=False)
    return bool(checks) and all(bound.holds(check, slowness) for check in checks)


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
