"""What an alert says: composed from the lead's record at the moment of sending, so it is never out of date."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from speed_to_lead.core.assignment import Team
from speed_to_lead.core.lead import Alert, AlertKind, Lead
from speed_to_lead.core.wording import Detail, Wording, plainly, span_text, words_of

__all__ = ["Message", "compose", "compose_digest", "compose_system", "span_text"]

#: Leads of a digest are told together: a destination may have room for ten facts, and seven hundred characters in each.
_LEADS_A_FACT = 5
_LEADS = "Leads"
#: How much of a name a line of a digest has room for, in UTF-16 units: one long name must not push out other leads.
_NAME_LIMIT, _REP_LIMIT = 25, 18


@dataclass(frozen=True, slots=True)
class Message:
    """One alert, ready for any destination: plain text parts; each destination escapes and cuts for itself.

    `facts` are (label, value) pairs in reading order. `key` is the alert's name and the same on every attempt;
    `possible_repeat` says that an earlier attempt may have arrived. `deadline`, `url` and the lead's own
    fields are empty for messages about the system. `traceparent` is the trace it belongs to, for a receiver of our own.
    `members` are the keys of the alerts a digest stands for. `buttons` are what a reader may answer in place, each with its
    action, its words and what comes back of a press.
    `is_over`: nobody need do anything any more; `is_acknowledged`: somebody said "mine". `handle` is what the destination
    calls the message it has of this lead, "" where it has none or gives no names.
    """

    key: str
    kind: AlertKind
    headline: str
    facts: tuple[tuple[str, str], ...]
    decided_at: datetime
    note: str = ""
    lead_id: str = ""
    step: str = ""
    team: str = ""
    rep: str = ""
    source: str = ""
    deadline: datetime | None = None
    late_seconds: float = 0.0
    skipped_steps: tuple[str, ...] = ()
    url: str = ""
    possible_repeat: bool = False
    traceparent: str = ""
    buttons: tuple[tuple[str, str, str], ...] = ()
    members: tuple[str, ...] = ()
    is_over: bool = False
    is_acknowledged: bool = False
    handle: str = ""

    @property
    def leads(self) -> tuple[str, ...]:
        """Of a digest, a line for each lead."""
        return tuple(line for label, text in self.facts if label == _LEADS for line in text.split("\n"))

    @property
    def matter(self) -> str:
        """What everything about one matter has in common: the lead, or the part of the system; "" where it is by itself."""
        if self.lead_id:
            return self.lead_id
        trouble = _TROUBLES.get(self.kind)
        return f"system:{self.step.rsplit('.', 2)[0]}:{trouble}" if trouble else ""


#: The system's troubles that have an end, each by what tells of it and of its end.
_TROUBLES = {
    AlertKind.STAGE_SILENT: "silent",
    AlertKind.STAGE_BACK: "silent",
    AlertKind.STAGE_LATE: "late",
    AlertKind.STAGE_IN_TIME: "late",
}
_ENDS = frozenset((AlertKind.STAGE_BACK, AlertKind.STAGE_IN_TIME))


def compose(
    alert: Alert,
    lead: Lead,
    team: Team | None,
    source_label: str,
    url: str,
    now: datetime,
    handle: str = "",
    wording: Wording | None = None,
    detail: Detail = Detail.FULL,
) -> Message:
    """The message of one alert about one lead, as things stand at `now`. `url` is the lead's page, or "".

    `handle` is what the destination calls the message it has of the lead already, `detail` how much it is told of the person.
    """
    words = words_of(alert, lead, team, source_label, now, detail)
    said = (wording.say(alert.kind, words) if wording is not None else None) or plainly(alert.kind, words)
    return Message(
        key=alert.key,
        kind=alert.kind,
        headline=said.headline,
        facts=said.facts,
        note="\n".join(filter(None, (said.note, alert.note))),
        lead_id=lead.id,
        step=alert.step,
        team=lead.team,
        rep=lead.rep or "",
        source=lead.source,
        deadline=None if lead.is_nurtured else lead.deadline,
        decided_at=alert.decided_at,
        late_seconds=alert.late_seconds,
        skipped_steps=alert.skipped_steps,
        url=url,
        possible_repeat=alert.unknown_attempts > 0,
        traceparent=lead.traceparent,
        is_over=not lead.is_open and not lead.is_nurtured,
        is_acknowledged=lead.acknowledged_at is not None,
        handle=handle,
    )


def compose_system(alert: Alert, headline: str) -> Message:
    """The message of an alert about the system itself: of a lead in quarantine no more than its id is told."""
    is_about_a_lead = alert.kind is AlertKind.QUARANTINED
    return Message(
        key=alert.key,
        kind=alert.kind,
        headline=headline,
        facts=(("Lead", alert.lead_id),) if is_about_a_lead else (),
        lead_id=alert.lead_id if is_about_a_lead else "",
        note=alert.note,
        decided_at=alert.decided_at,
        step=alert.step,
        late_seconds=alert.late_seconds,
        possible_repeat=alert.unknown_attempts > 0,
        is_over=alert.kind in _ENDS,
    )


def compose_digest(
    alert: Alert,
    leads: Sequence[Lead],
    teams: Mapping[str, Team],
    url: str,
    now: datetime,
    detail: Detail = Detail.FULL,
) -> Message:
    """The message of a digest: how many, the oldest, and each lead by itself. `url` is the list of leads, or "".

    `alert.members` are all in it, also those whose record is gone. `detail` is how much is told of the persons.
    """
    oldest, told = "", dict[str, str]()
    for lead in sorted(leads, key=lambda lead: lead.received_at):
        words = words_of(alert, lead, teams.get(lead.team), "", now, detail)
        who, waiting = words["person"] or words["who"], words["waiting"]
        # Ids of ours have 23 characters; one that another program made has room at the name's cost.
        name = _short(who, max(_NAME_LIMIT - max(len(lead.id) - 23, 0), 6))
        oldest = oldest or (f"{name}, waiting {waiting}" if waiting else "")
        due = words["due"] if waiting else "to nurture"
        told[lead.id] = f"{name}, {due}, {_short(words['rep'], _REP_LIMIT)} has it"
    count = len(alert.members)
    lines = [f"{words} ({lead_id})" for lead_id, words in told.items()]
    groups = [lines[start : start + _LEADS_A_FACT] for start in range(0, len(lines), _LEADS_A_FACT)]
    return Message(
        key=alert.key,
        kind=alert.kind,
        headline=f"{count} alerts at once" if count > 1 else "An alert that waited",
        facts=(
            ("Alerts", str(count)),
            ("Oldest", oldest or next(iter(told.values()), "")),
            *((_LEADS, "\n".join(group)) for group in groups),
        ),
        decided_at=alert.decided_at,
        step=alert.step,
        late_seconds=alert.late_seconds,
        note=alert.note if alert.fallback_for else "",
        url=url,
        possible_repeat=alert.unknown_attempts > 0,
        members=alert.members,
    )


def _short(text: str, most: int) -> str:
    """The text on one line and cut with "…"; no pair is split."""
    line = " ".join(text.split())
    encoded = line.encode("utf-16-le", "replace")
    return line if len(encoded) <= 2 * most else encoded[: 2 * most - 2].decode("utf-16-le", "ignore") + "…"
