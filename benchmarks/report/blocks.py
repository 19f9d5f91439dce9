"""Figures in Markdown: what stands between two marks is drawn from report.json, and compared with it by a test.

<!-- figures: budgets -->      every budget that was measured
<!-- figures: scaling -->      the contenders and further figures of one benchmark
<!-- end of figures -->
"""

import re
from pathlib import Path

from benchmarks.finding import Finding
from benchmarks.report.document import Measured, Report
from benchmarks.report.machine import Machine
from benchmarks.report.numbers import exact, figure, spread
from benchmarks.report.table import ratio_to_first, ratio_words

_BLOCK = re.compile(r"<!-- figures: (\w+) -->\n.*?<!-- end of figures -->", re.DOTALL)


class NoBlock(ValueError):
    """The text has no place for figures; the text says what to put there."""


def filled(text: str, report: Report) -> str:
    """The text with the report's figures between its marks. Raises NoBlock where there are none."""
    if not _BLOCK.search(text):
        raise NoBlock(
            "it has no place for figures; put these two lines there:\n<!-- figures: budgets -->\n<!-- end of figures -->"
        )
    return _BLOCK.sub(lambda found: block(report, found[1]), text)


def fill(path: Path, report: Report) -> None:
    """The same for a file. Raises NoBlock where it has no marks."""
    try:
        text = path.read_text(encoding="utf-8")
        path.write_text(filled(text, report), encoding="utf-8")
    except OSError as error:
        raise NoBlock(f"{path}: {error.strerror}") from None
    except NoBlock as error:
        raise NoBlock(f"{path}: {error}") from None


def has_block(text: str) -> bool:
    """Whether figures stand in it."""
    return bool(_BLOCK.search(text))


def block(report: Report, what: str) -> str:
    """One block, its marks included."""
    lines = _budgets(report) if what == "budgets" else _one(report, what)
    return "\n".join([f"<!-- figures: {what} -->", *lines, "<!-- end of figures -->"])


def _budgets(report: Report) -> list[str]:
    lines = ["| budget | limit | found |", "|---|---|---|"]
    for measured in report.measured:
        for check in measured.finding.checks:
            limit = f"{'≥' if check.at_least else '≤'} {exact(check.limit)}"
            found = figure(check.found) if check.holds else f"{figure(check.found)} (not held)"
            lines.append(f"| {check.budget} | {limit} | {found} |")
    return [*lines, "", _made_on(report.machine, report.measured)]


def _one(report: Report, name: str) -> list[str]:
    found = [one for one in report.measured if one.finding.name == name]
    if not found:
        return ["Not measured yet."]
    finding = found[0].finding
    lines = [f"| | {finding.unit} | rounds | {ratio_words(finding)} |", "|---|---|---|---|"]
    for row in finding.rows:
        if row.figures:
            lines.append(
                f"| {row.name} | {figure(row.median)} | {spread(row)} | {ratio_to_first(finding, row)} |"
            )
        else:
            lines.append(f"| {row.name} | not run | | |")
    return [*lines, "", *_further(finding), _made_on(report.machine, found)]


def _further(finding: Finding) -> list[str]:
    if not finding.figures:
        return []
    rows = [f"| {name} | {figure(value)} |" for name, value in finding.figures.items()]
    return ["| | |", "|---|---|", *rows, ""]


def _made_on(machine: Machine, measured: list[Measured] | tuple[Measured, ...]) -> str:
    dates = sorted({one.conditions.date for one in measured})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}" if dates else "never"
    small = " Small sizes: not for publishing." if any(one.conditions.is_small for one in measured) else ""
    return f"Measured {when} on {machine.cores} cores ({machine.cpu}), {machine.server}, Python {machine.python}.{small}"
