"""How fast is it, next to what one would otherwise write? Each budget, measured in one run beside the comparison.

    python -m benchmarks                            all of them (an hour), and benchmarks/report.json and report.html
    python -m benchmarks router deadlines --quick   two of them, small: minutes, for whoever works on them
    python -m benchmarks scale --json benchmarks/report.json --merge   one again, into what is there
    python -m benchmarks --from benchmarks/report.json --html benchmarks/report.html --fill README.md docs/scaling.md
    python -m benchmarks --guard                    short forms with generous bounds, as CI runs them

Installs nothing: it says what is missing for which comparison, and goes on without it. Exit codes: 0 every budget
holds, 1 one does not (or a benchmark failed), 2 wrong usage.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import structlog
from rich.console import Console

from benchmarks.finding import ROUNDS
from benchmarks.guard import guard
from benchmarks.needs import missing_peers
from benchmarks.registry import BENCHMARKS, about, measure_of
from benchmarks.report.blocks import NoBlock, fill
from benchmarks.report.document import (
    Measured,
    Report,
    UnreadableReport,
    read_report,
    report_of,
    write_report,
)
from benchmarks.report.machine import conditions, this_machine
from benchmarks.report.page import page
from benchmarks.report.table import print_machine, print_measured, print_verdict

HERE = Path(__file__).parent
GOOD, NOT_HELD, WRONG_USAGE = 0, 1, 2
#: Rounds of a quick run: enough to have a first and a last place each.
QUICK_ROUNDS = 2


class WrongUsage(Exception):
    """What was asked for does not go together; the text says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    given = _parser().parse_args(arguments)
    console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 160)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        _refuse_unknown(given.names)
        if given.list:
            _print_list(console)
            return GOOD
        if given.guard:
            return GOOD if guard(console, given.names) else NOT_HELD
        return _measure(console, given) if given.read is None else _show(console, given)
    except (WrongUsage, UnreadableReport, NoBlock) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return WRONG_USAGE


def _show(console: Console, given: argparse.Namespace) -> int:
    """Show a report that was written before."""
    if given.names or given.json is not None or given.merge:
        raise WrongUsage(
            "--from shows what was measured; it takes no names, and --html or --fill to write to"
        )
    report = read_report(given.read)
    if given.html is None and not given.fill:
        print_machine(console, report.machine)
        for one in report.measured:
            print_measured(console, one)
        print_verdict(console, report)
    _write_pages(report, given)
    return GOOD if report.all_hold else NOT_HELD


def _measure(console: Console, given: argparse.Namespace) -> int:
    """Measure, show, and write what was asked for; of a whole run also its two files."""
    if not given.names and not given.quick:
        given.json = given.json or HERE / "report.json"
        given.html = given.html or HERE / "report.html"
    kept = _report_to_merge_into(given)  # before an hour of measuring that could not be written
    rounds = given.rounds or (QUICK_ROUNDS if given.quick else ROUNDS)
    report, failed = measure_all(console, given.names or list(BENCHMARKS), rounds, is_small=given.quick)
    print_verdict(console, report)
    is_good = report.all_hold and not failed
    if kept is not None:
        report = kept.with_newer(report)
    if given.json is not None:
        write_report(report, given.json)
    _write_pages(report, given)
    return GOOD if is_good else NOT_HELD


def _write_pages(report: Report, given: argparse.Namespace) -> None:
    if given.html is not None:
        given.html.write_text(page(report), encoding="utf-8")
    for path in given.fill:
        fill(path, report)


def _report_to_merge_into(given: argparse.Namespace) -> Report | None:
    """What `--merge` keeps, if anything. Raises where the run could not be written in the end."""
    for path in (given.json, given.html):
        if path is not None and not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
            raise WrongUsage(f"{path} cannot be written: its directory is not there, or not ours")
    if not given.merge:
        return None
    if given.json is None:
        raise WrongUsage("--merge needs --json FILE, the report to merge into")
    if not given.json.exists():
        return None
    return read_report(given.json).with_newer(Report(this_machine(), ()))


def measure_all(
    console: Console, names: Sequence[str], rounds: int, *, is_small: bool
) -> tuple[Report, list[str]]:
    """The report of these benchmarks, printed as they end, and the names of those that could not be measured."""
    machine = this_machine()
    print_machine(console, machine)
    _print_missing(console)
    measured: list[Measured] = []
    failed: list[str] = []
    before = conditions(rounds, is_small=is_small)
    for name in names:
        began = time.monotonic()
        try:
            measure = measure_of(name)
            with tempfile.TemporaryDirectory(prefix=f"benchmark-{name}-") as scratch:
                finding = measure(rounds, Path(scratch), is_small)
        except ImportError as error:
            console.print(f"\n[red]{name}[/] cannot run: {error}", highlight=False)
            failed.append(name)
            continue
        except Exception:  # noqa: BLE001  one that fails must not take an hour of the others with it
            console.print(f"\n[red]{name}[/] failed:", highlight=False)
            console.print(traceback.format_exc(), markup=False, highlight=False)
            failed.append(name)
            continue
        one = Measured(finding, replace(before, seconds=round(time.monotonic() - began, 1)))
        print_measured(console, one)
        measured.append(one)
    return report_of(machine, measured), failed


def _refuse_unknown(names: Sequence[str]) -> None:
    for name in names:
        if name not in BENCHMARKS:
            near = get_close_matches(name, BENCHMARKS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(BENCHMARKS)}"
            raise WrongUsage(f"no benchmark is called {name}; {hint}")


def _print_missing(console: Console) -> None:
    for line in missing_peers():
        console.print(f"[yellow]missing, so its comparison is left out:[/] {line}", highlight=False)


def _print_list(console: Console) -> None:
    for name in BENCHMARKS:
        try:
            words = about(name)
        except ImportError as error:
            words = f"cannot run: {error}"
        console.print(f"{name:<12} {words}", highlight=False, markup=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="all if none is named")
    parser.add_argument(
        "--rounds", type=_rounds, help=f"rounds of each comparison; {ROUNDS}, or {QUICK_ROUNDS} with --quick"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds: not for publishing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all of it as JSON")
    parser.add_argument("--merge", action="store_true", help="keep what FILE has of other benchmarks")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write it as a page")
    parser.add_argument(
        "--fill",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="put the figures between the marks of FILE",
    )
    parser.add_argument(
        "--from", dest="read", type=Path, metavar="FILE", help="show this report; measure nothing"
    )
    parser.add_argument("--list", action="store_true", help="print the benchmarks")
    parser.add_argument(
        "--guard", action="store_true", help="short forms with generous bounds on ratios, for CI"
    )
    return parser


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rounds; 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
