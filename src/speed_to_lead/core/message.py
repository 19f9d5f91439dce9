"""What an alert says: composed from the lead's record at the moment of sending, so it is never out of date."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from speed_to_lead.core.assignment import Team
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.lead import Alert, AlertKind, Lead, LeadState

#: Leads of a digest are told together: a destination may have room for ten facts, and seven hundred characters in each.
_LEADS_A_FACT = 5


@dataclass(frozen=True, slots=True)
class Message:
    """One alert, ready for any destination: plain text parts; each destination escapes and cuts for itself.

    `facts` are (label, value) pairs in reading order. `key` is the alert's name and the same on every attempt;
    `possible_repeat` says that an earlier attempt may have arrived. `deadline`, `url` and the lead's own
    fields are empty for messages about the system. `members` are the keys
    of the alerts a digest stands for. `buttons` are what a
    reader may answer in place, each with its words and what comes back of a press. `traceparent` is the trace it belongs to, for a receiver of our own.
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


def compose(
    alert: Alert, lead: Lead, team: Team | None, source_label: str, url: str, now: datetime
) -> Message:
    """The message of one alert about one lead, as things stand at `now`. `url` is the lead's page, or "".

    The rep named is the one who has the lead now; times are told as spans, and as an instant in the team's
    own time zone.
    """
    rep = team.rep(lead.rep) if team else None
    rep_name = rep.name if rep else (lead.rep or "nobody")
    person = lead.lead.display_name or str(lead.lead.get("email") or lead.lead.get("phone") or "somebody")
    company = str(lead.lead.get("company") or "")
    who = f"{person} ({company})" if company else person
    facts = [("Who", who), ("Source", source_label)]
    if not lead.is_nurtured:
        facts += [
            ("Waiting", span_text((lead.answered_at or lead.closed_at or now) - lead.received_at)),
            ("Belongs to", f"{rep_name}, team {lead.team}"),
            ("Answer by", _deadline_text(lead, team, now)),
        ]
    for label, name in (("E-mail", "email"), ("Phone", "phone"), ("Asked", "message")):
        value = lead.lead.get(name)
        if value:
            facts.append((label, str(value)))
    if alert.skipped_steps:
        facts.append(("Steps missed", ", ".join(alert.skipped_steps)))
    return Message(
        key=alert.key,
        kind=alert.kind,
        headline=_headline(alert, lead, who, rep_name, now),
        facts=tuple(facts),
        note=alert.note,
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
    )


def compose_digest(
    alert: Alert, leads: Sequence[Lead], teams: Mapping[str, Team], url: str, now: datetime
) -> Message:
    """The message of a digest: how many, the oldest, and each lead by itself. `url` is the list of leads, or "".

    `alert.members` are all in it, also those whose record is gone.
    """
    told: dict[str, str] = {}
    for lead in sorted(leads, key=lambda lead: lead.received_at):
        team = teams.get(lead.team)
        rep = team.rep(lead.rep) if team is not None else None
        person = lead.lead.display_name or str(lead.lead.get("email") or lead.lead.get("phone") or "somebody")
        waiting = span_text((lead.answered_at or lead.closed_at or now) - lead.received_at)
        whose = rep.name if rep is not None else (lead.rep or "nobody")
        told[lead.id] = f"{person}, waiting {waiting}, {_due_text(lead, now)}, {whose} has it"
    count = len(alert.members)
    lines = [f"{words} ({lead_id})" for lead_id, words in told.items()]
    groups = [lines[start : start + _LEADS_A_FACT] for start in range(0, len(lines), _LEADS_A_FACT)]
    return Message(
        key=alert.key,
        kind=alert.kind,
        headline=f"{count} alerts at once" if count > 1 else "An alert that waited",
        facts=(
            ("Alerts", str(count)),
            ("Oldest", next(iter(told.values()), "")),
            *(("Leads", "\n".join(group)) for group in groups),
        ),
        decided_at=alert.decided_at,
        step=alert.step,
        late_seconds=alert.late_seconds,
        note=alert.note if alert.fallback_for else "",
        url=url,
        possible_repeat=alert.unknown_attempts > 0,
        members=alert.members,
    )


def span_text(span: timedelta) -> str:
    """A span as a person says it: "40 s", "6 min", "3 h 20 min", "2 d 4 h". Never negative."""
    seconds = max(int(span.total_seconds()), 0)
    if seconds < 120:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def _headline(alert: Alert, lead: Lead, who: str, rep_name: str, now: datetime) -> str:
    due = _due_text(lead, now)
    match alert.kind:
        case AlertKind.NURTURED:
            return f"To nurture: {who}"
        case AlertKind.ASSIGNED:
            return f"New lead for {rep_name}: {who}, {due}"
        case AlertKind.REMINDER:
            return f"Still waiting: {who}, {due}, {rep_name} has it"
        case AlertKind.REASSIGNED:
            return f"Passed on to {rep_name}: {who}, {due}"
        case AlertKind.BREACHED:
            return f"Deadline missed: {who}, {due}, {rep_name} has it"
        case _:
            return f"{alert.kind}: {who}, {due}, {rep_name} has it"


def _due_text(lead: Lead, now: datetime) -> str:
    """How urgent it is still: an alert that was long under way must not call for an answer already given."""
    if lead.state is not LeadState.OPEN:
        return f"{lead.state} meanwhile"
    left = lead.deadline - now
    return f"{span_text(left)} left" if left > timedelta(0) else f"overdue by {span_text(-left)}"


def _deadline_text(lead: Lead, team: Team | None, now: datetime) -> str:
    at = team.calendar.local_text(lead.deadline) if team else to_iso(lead.deadline)
    left = lead.deadline - now
    return f"{at} (in {span_text(left)})" if left > timedelta(0) else f"{at} ({span_text(-left)} ago)"
