"""Storms: more alerts for one destination than anybody reads become one digest that names them all.

The first ones of a time go out one by one; the rest wait for its end and are folded into one alert, which has a key of
its own and is delivered like any other. What is hot is never part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from speed_to_lead.core.clock import to_ms
from speed_to_lead.core.lead import Alert, AlertKind, HistoryEntry, Lead

#: A lead promised an answer within this is hot: its alerts go out one by one, however many there are.
HOT_WITHIN = timedelta(minutes=15)
#: What stands in the place of a lead in the key of a digest.
STORM = "storm"
#: Alerts of one digest; of more there are several. So many leads fit into a message of Discord's, which takes least, each by
#: itself.
MOST_FOLDED = 40
#: How many are folded at once: whatever came in a storm is told when its time is over, and not so many a minute.
MOST_AT_ONCE = 25 * MOST_FOLDED


@dataclass(frozen=True, slots=True)
class DigestTerms:
    """More than `over` alerts `within` a time become a digest."""

    over: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class Storm:
    """How many alerts a destination was to get since `began`."""

    began: datetime
    count: int

    def held_until(self, terms: DigestTerms) -> datetime | None:
        """When those above the number are told, all at once; None where it is not above."""
        return self.began + terms.within if self.count > terms.over else None


def is_hot(lead: Lead) -> bool:
    """Whether nobody may wait for a digest to hear of it."""
    return lead.deadline - lead.received_at <= HOT_WITHIN


def may_be_folded(alert: Alert, lead: Lead | None) -> bool:
    """Whether an alert may wait for others. One that may have been sent may not: its key must come again."""
    return alert.kind.calls_somebody and alert.attempts == 0 and lead is not None and not is_hot(lead)


def digest_of(destination: str, alerts: Sequence[Alert], now: datetime) -> Alert:
    """The digest of these alerts. Its key never changes: once it is in the outbox these are its alerts."""
    step = f"digest-{to_ms(now)}"
    members = tuple(alert.key for alert in alerts)
    return Alert(
        STORM,
        step,
        destination,
        AlertKind.DIGEST,
        now,
        note=f"{len(members)} alerts in one.",
        members=members,
    )


def folded(alert: Alert, digest: Alert, now: datetime) -> HistoryEntry:
    """The line of its lead's history that says where an alert went."""
    details = {"step": alert.step, "to": alert.destination, "digest": digest.key}
    return HistoryEntry(now, "alert.folded", details)


def line_in(digest: Alert, member: str, line: HistoryEntry) -> tuple[str, HistoryEntry]:
    """The lead of one of its alerts, and what came of an attempt to deliver the digest, as a line of that lead's history."""
    lead_id, _, rest = member.partition(":")
    details = {**line.details, "step": rest.rpartition(":")[0], "digest": digest.key}
    return lead_id, HistoryEntry(line.at, line.event, details)
