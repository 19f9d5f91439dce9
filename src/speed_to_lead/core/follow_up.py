"""What people were told of a lead, brought up to date where a destination can do that: nobody is called for it.

A chat's message is changed, an incident acknowledged or resolved. Which destinations heard of the lead, and what they call
the message they have, stands in its history: it is written with the note of the delivery, in one piece, and goes with
the lead. Where it is lost (a courier died between the POST and the note) the destination gets a new message; but none where
the lead was answered meanwhile and the destination would not recognise a repeat: the first one stays as it was.
"""

from collections.abc import Collection, Iterable
from datetime import datetime

from speed_to_lead.core.lead import Alert, AlertKind, HistoryEntry, Lead

#: So begins the step of such an alert, and no step of a ladder.
MOVED_STEP = "moved-"


def has_moved(before: Lead, after: Lead) -> bool:
    """Whether people would be shown something else: whether it waits, who has it, whether they said so."""
    return (before.state, before.rep, before.team, before.acknowledged_at) != (
        after.state, after.rep, after.team, after.acknowledged_at,
    )  # fmt: skip


def told_among(history: Iterable[HistoryEntry], destinations: Collection[str]) -> tuple[str, ...]:
    """Those of the destinations that were sent something about the lead, whatever came of it, in the order of the first time.

    What was held back was not sent, and of a digest nothing can be brought up to date.
    """
    told = (str(entry.details.get("to")) for entry in history if _was_sent(entry))
    return tuple(name for name in dict.fromkeys(told) if name in destinations)


def _was_sent(entry: HistoryEntry) -> bool:
    return entry.event.startswith("alert.") and entry.event != "alert.held" and "digest" not in entry.details


def message_name(history: Iterable[HistoryEntry], destination: str) -> str:
    """What the destination calls the message it has of the lead; "" where that is not known."""
    name = ""
    for entry in history:
        if entry.event == "alert.delivered" and entry.details.get("to") == destination:
            name = str(entry.details.get("message") or name)
    return name


def follow_up(lead: Lead, destination: str, now: datetime) -> Alert:
    """The alert that brings a destination up to date with this version of the record."""
    return Alert(
        *(lead.id, f"{MOVED_STEP}{lead.version}", destination, AlertKind.MOVED, now),
        team=lead.team,
        rep=lead.rep,
    )


def follow_up_of(told: Alert, now: datetime) -> Alert:
    """The alert that brings its destination up to date where the lead changed while `told` was on its way.

    It has a name of its own beside that of the change's follow-up, which may have arrived first and would be undone.
    """
    return Alert(
        *(told.lead_id, f"{MOVED_STEP}since-{told.step}", told.destination, AlertKind.MOVED, now),
        team=told.team,
        rep=told.rep,
    )
