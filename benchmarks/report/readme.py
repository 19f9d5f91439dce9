"""The block of README.md that says how fast it is: drawn from report.json, and compared with it by a test."""

from pathlib import Path

from benchmarks.report.document import Report
from benchmarks.report.numbers import exact, figure

BEGIN = "<!-- figures of benchmarks/report.json: `python -m benchmarks --from benchmarks/report.json --readme README.md` -->"
END = "<!-- end of figures -->"


class NoBlock(ValueError):
    """The file has no place for the figures; the text says what to put there."""


def readme_block(report: Report) -> str:
    """A table of every budget that was measured, with its marks."""
    lines = [BEGIN, "| budget | limit | found |", "|---|---|---|"]
    for measured in report.measured:
        for check in measured.finding.checks:
            limit = f"{'≥' if check.at_least else '≤'} {exact(check.limit)}"
            found = figure(check.found) if check.holds else f"{figure(check.found)} (not held)"
            lines.append(f"| {check.budget} | {limit} | {found} |")
    machine = report.machine
    dates = sorted({measured.conditions.date for measured in report.measured})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}" if dates else "never"
    lines += [
        "",
        f"Measured {when} on {machine.cores} cores ({machine.cpu}), {machine.server}, Python {machine.python}.",
        END,
    ]
    return "\n".join(lines)


def block_in(text: str) -> str:
    """The block that stands in a text, with its marks. Raises NoBlock where there is none."""
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        raise NoBlock(f"it has no place for the figures; put these two lines there:\n{BEGIN}\n{END}")
    return text[begin : end + len(END)]


def write_block(report: Report, path: Path) -> None:
    """Put the report's figures where the marks are. Raises NoBlock where there are none."""
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(block_in(text), readme_block(report)), encoding="utf-8")
