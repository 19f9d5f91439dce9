"""What a check may say: it saw so many cases, excused some for a reason, and found some broken."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from benchmarks.chaos.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise broken, once. `lead` is the lead, submission or alert it is about."""

    check: str
    text: str
    lead: str = ""
    promise: str = ""


@dataclass(slots=True)
class Tally:
    """What one check saw."""

    check: str
    promise: str
    says: str
    cases: int = 0
    excused: Counter[str] = field(default_factory=Counter)
    figures: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def saw(self, cases: int = 1) -> None:
        """So many cases were looked at."""
        self.cases += cases

    def excuse(self, why: str) -> None:
        """One case that would be broken, and is not: what was done to the system explains it."""
        self.excused[why] += 1

    def broken(self, text: str, lead: str = "") -> None:
        """One case is broken."""
        self.findings.append(Finding(self.check, text, lead, self.promise))

    def figure(self, text: str) -> None:
        """A measured figure, worth a line in the report."""
        self.figures.append(text)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be true after every run. `says` is the promise in a few words."""

    name: str
    promise: str
    says: str
    look: Callable[[Evidence, Tally], None]

    def run(self, evidence: Evidence) -> Tally:
        """What it sees."""
        tally = Tally(self.name, self.promise, self.says)
        self.look(evidence, tally)
        return tally


class Findings(list[Finding]):
    """Everything found; `tallies` says what was looked at."""

    def __init__(self, tallies: list[Tally]) -> None:
        super().__init__(finding for tally in tallies for finding in tally.findings)
        self.tallies: Final = tallies
