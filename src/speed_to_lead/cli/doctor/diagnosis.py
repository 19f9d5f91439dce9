"""What `doctor` says: findings, each with what it causes and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """`problem`: leads or alerts are lost, late or refused. `warning`: they may be. `ok`: looked at and fine."""

    PROBLEM = "problem"
    WARNING = "warning"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One finding: what was found, what it causes, what to do."""

    severity: Severity
    what: str
    causes: str = ""
    to_do: str = ""
