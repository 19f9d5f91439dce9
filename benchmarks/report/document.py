"""A report: the machine, and findings with the conditions of each. Written as JSON, and read back from it."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.finding import Check, Finding, Plot, Row, Series
from benchmarks.registry import BENCHMARKS
from benchmarks.report.machine import Conditions, Machine

#: Of the document's layout.
VERSION = 1


class UnreadableReport(ValueError):
    """The file is no report of ours, or of another machine; the text says which."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One finding, and how it was made."""

    finding: Finding
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Report:
    """What was found on one machine, in the order of the registry."""

    machine: Machine
    measured: tuple[Measured, ...]

    @property
    def all_hold(self) -> bool:
        """Whether every budget that was measured is kept."""
        return all(check.holds for one in self.measured for check in one.finding.checks)

    def with_newer(self, newer: "Report") -> "Report":
        """Both, and of a benchmark that stands in both the newer. Raises UnreadableReport for another machine.

        A comparison is never taken apart: one finding holds all its contenders, of one run.
        """
        if newer.machine != self.machine:
            names = [f.name for f in fields(Machine)]
            differing = [
                name for name in names if getattr(self.machine, name) != getattr(newer.machine, name)
            ]
            raise UnreadableReport(
                f"it was measured on another machine ({', '.join(differing)}); write to another file"
            )
        fresh = {one.finding.name for one in newer.measured}
        kept = [one for one in self.measured if one.finding.name not in fresh]
        return report_of(self.machine, [*kept, *newer.measured])


def report_of(machine: Machine, measured: Iterable[Measured]) -> Report:
    """The report of these findings, sorted as the registry is; strangers last."""
    order = list(BENCHMARKS)
    place = {name: number for number, name in enumerate(order)}
    by_place = sorted(measured, key=lambda one: place.get(one.finding.name, len(order)))
    return Report(machine, tuple(by_place))


def write_report(report: Report, path: Path) -> None:
    """Write it as JSON that a diff can show."""
    document = {
        "version": VERSION,
        "machine": asdict(report.machine),
        "findings": [
            {**_finding_fields(one.finding), "conditions": asdict(one.conditions)} for one in report.measured
        ],
    }
    path.write_text(_dump(document) + "\n", encoding="utf-8")


def read_report(path: Path) -> Report:
    """The report in a file. Raises UnreadableReport where there is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] != VERSION:
            raise UnreadableReport(f"{path}: version {document['version']} is not {VERSION}")
        measured = [
            Measured(_finding(fields), Conditions(**fields["conditions"])) for fields in document["findings"]
        ]
        return report_of(Machine(**document["machine"]), measured)
    except OSError as error:
        raise UnreadableReport(f"{path}: {error.strerror}") from None
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise UnreadableReport(f"{path} is no report of `python -m benchmarks --json`: {error!r}") from None


def _finding_fields(finding: Finding) -> dict[str, Any]:
    given = {one.name: getattr(finding, one.name) for one in fields(Finding)}
    return given | {
        "rows": [asdict(row) for row in finding.rows],
        "checks": [asdict(check) | {"holds": check.holds} for check in finding.checks],
        "plots": [asdict(plot) for plot in finding.plots],
        "notes": list(finding.notes),
        "figures": dict(finding.figures),
    }


def _finding(given: dict[str, Any]) -> Finding:
    return Finding(
        name=given["name"],
        question=given["question"],
        unit=given["unit"],
        more_is_better=given["more_is_better"],
        rows=tuple(Row(row["name"], tuple(row["figures"]), row["missing"]) for row in given["rows"]),
        checks=tuple(
            Check(one["budget"], one["found"], one["limit"], one["at_least"]) for one in given["checks"]
        ),
        plots=tuple(_plot(plot) for plot in given["plots"]),
        notes=tuple(given["notes"]),
        figures=dict(given["figures"]),
    )


def _plot(given: dict[str, Any]) -> Plot:
    lines = tuple(
        Series(one["label"], tuple((float(x), float(y)) for x, y in one["points"])) for one in given["series"]
    )
    return Plot(given["title"], given["x"], given["y"], lines)


def _dump(document: dict[str, Any]) -> str:
    """Indented, with each list of numbers on one line."""
    text = json.dumps(_rounded(document), indent=1, ensure_ascii=False)
    return re.sub(r"\[\s+([^][{}\"]+?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text)


def _rounded(value: Any) -> Any:
    """The same with six significant digits: no measurement has more, and a diff of them is noise."""
    match value:
        case float():
            return float(f"{value:.6g}")
        case dict():
            return {name: _rounded(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_rounded(inner) for inner in value]
        case _:
            return value
