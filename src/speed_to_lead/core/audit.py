"""What does not add up: contradictions between a lead's record, the deadline index and the promises."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from speed_to_lead.core.escalation import first_instant
from speed_to_lead.core.lead import Lead

#: The clock sweeps every second; a lead this much past its instant is not late by a tick, it was missed.
OVERDUE_AFTER = timedelta(seconds=30)


class Finding(StrEnum):
    """One kind of contradiction. The first three are repaired from the record; the last is raised."""

    NOT_INDEXED = "not_indexed"  # the record waits for an instant the index does not have
    INDEXED_WRONG = "indexed_wrong"  # the index has another instant than the record
    INDEXED_DONE = "indexed_done"  # the index has a lead that waits for nothing
    OVERDUE = "overdue"  # both agree, and nobody came


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What was found about one lead, and the instant its index entry should have (None: no entry)."""

    lead_id: str
    finding: Finding
    next_at: datetime | None


def audit_lead(lead: Lead, indexed_at: datetime | None, now: datetime) -> Contradiction | None:
    """The contradiction between a lead's record and its entry in the deadline index; None where they agree."""
    expected = first_instant(lead)
    if expected is None:
        return Contradiction(lead.id, Finding.INDEXED_DONE, None) if indexed_at is not None else None
    if indexed_at is None:
        return Contradiction(lead.id, Finding.NOT_INDEXED, expected)
    if indexed_at != expected:
        return Contradiction(lead.id, Finding.INDEXED_WRONG, expected)
    if now - expected > OVERDUE_AFTER:
        return Contradiction(lead.id, Finding.OVERDUE, expected)
    return None


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counts of submissions, all read at one instant. `dead_letters` counts the discarded ones too."""

    received: int
    leads: int
    touches: int
    duplicates: int
    tests: int
    dead_letters: int
    in_flight: int

    @property
    def difference(self) -> int:
        """Received minus everything accounted for; zero when the books balance (docs/promises.md, 9)."""
        return self.received - (
            self.leads + self.touches + self.duplicates + self.tests + self.dead_letters + self.in_flight
        )
