"""What an alert about a lead says, in words: what can be said of the lead, and how it is said where nobody wrote a template.

    words_of   the lead as things stand, as the words a template may use; without the person, where only the least may be told
    plainly    the words put together: headline and facts

A template of `config/templates/` puts the same words together in another way. The link, the small print and the note
of an alert are no wording: every destination adds them, so that no template can leave them out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Protocol

from speed_to_lead.core.assignment import Team
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.lead import Alert, AlertKind, Lead, LeadState


class Detail(StrEnum):
    """How much a destination is told of the person: all of it, or nothing (the link shows it to whoever may see it)."""

    FULL = "full"
    MINIMAL = "minimal"


@dataclass(frozen=True, slots=True)
class Said:
    """Headline, facts as (label, value) in reading order, and what else there is to say."""

    headline: str
    facts: tuple[tuple[str, str], ...] = ()
    note: str = ""


class Wording(Protocol):
    """Templates, as far as there are any."""

    def say(self, kind: AlertKind, words: Mapping[str, Any]) -> Said | None:
        """What the template of this kind makes of the words; None where there is none, or nothing came of it."""


#: What stands for the person where only the least may be told.
SOMEBODY: Final = "a lead"
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def words_of(
    alert: Alert,
    lead: Lead,
    team: Team | None,
    source_label: str,
    now: datetime,
    detail: Detail = Detail.FULL,
) -> dict[str, Any]:
    """What can be said of the lead at `now`; "" for what it does not have.

    The rep named is the one who has the lead now; times are told as spans, and as an instant in the team's own time zone.
    """
    rep = team.rep(lead.rep) if team else None
    words: dict[str, Any] = dict.fromkeys(WORDS, "")
    words |= {
        "source": source_label,
        "rep": rep.name if rep else (lead.rep or "nobody"),
        "team": lead.team,
        "due": _due_text(lead, now),
        "missed": ", ".join(alert.skipped_steps),
        "state": lead.state.value,
        "acknowledged": lead.acknowledged_at is not None,
        "who": SOMEBODY,
        "fields": _NOTHING,
        "custom": _NOTHING,
    }
    if not lead.is_nurtured:
        words["waiting"] = span_text((lead.answered_at or lead.closed_at or now) - lead.received_at)
        words["by"] = _deadline_text(lead, team, now)
    if detail is Detail.MINIMAL:
        return words
    get = lead.lead.get
    email, phone = str(get("email") or ""), str(get("phone") or "")
    person = lead.lead.display_name or email or phone or "somebody"
    company = str(get("company") or "")
    return words | {
        "who": f"{person} ({company})" if company else person,
        "person": person,
        "company": company,
        "email": email,
        "phone": phone,
        "asked": str(get("message") or ""),
        "fields": lead.lead.fields,
        "custom": lead.lead.custom,
    }


#: Every word a template may use, and what it is.
WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "who": "the person, and the company in brackets",
        "person": "the person's name, else the address or the number",
        "company": "the company",
        "source": "the source's label",
        "asked": "what they wrote",
        "email": "their address",
        "phone": "their number",
        "waiting": "how long they have waited, or had to wait",
        "rep": "who has the lead",
        "team": "the team's name",
        "by": "by when an answer is due, in the team's time zone",
        "due": "how much time is left, or by how much it is overdue, or what the lead is meanwhile",
        "missed": "the steps that were missed in an outage",
        "state": "open, answered or closed",
        "acknowledged": "whether somebody said that it is theirs",
        "fields": "every field of the lead, such as fields.country",
        "custom": "whatever else the form sent, such as custom.budget",
    }
)


def plainly(kind: AlertKind, words: Mapping[str, Any]) -> Said:
    """The words put together where there is no template."""
    facts = (
        ("Who", words["who"] if words["person"] else ""),
        ("Source", words["source"]),
        ("Waiting", words["waiting"]),
        ("Belongs to", f"{words['rep']}, team {words['team']}" if words["team"] else ""),
        ("Answer by", words["by"]),
        ("E-mail", words["email"]),
        ("Phone", words["phone"]),
        ("Asked", words["asked"]),
        ("Steps missed", words["missed"]),
    )
    return Said(_headline(kind, words), tuple((label, value) for label, value in facts if value))


def _headline(kind: AlertKind, words: Mapping[str, Any]) -> str:
    who, due, rep = words["who"], words["due"], words["rep"]
    match kind:
        case AlertKind.NURTURED:
            return f"To nurture: {who}"
        case AlertKind.MOVED:
            return _moved_headline(words)
        case AlertKind.ASSIGNED:
            return f"New lead for {rep}: {who}, {due}"
        case AlertKind.REASSIGNED:
            return f"Passed on to {rep}: {who}, {due}"
        case _:
            began = _BEGINNINGS.get(kind, kind.value)
            return f"{began}: {who}, {due}, {rep} has it"


_BEGINNINGS: Final = {AlertKind.REMINDER: "Still waiting", AlertKind.BREACHED: "Deadline missed"}


def _moved_headline(words: Mapping[str, Any]) -> str:
    if words["state"] == LeadState.ANSWERED:
        return f"Answered after {words['waiting']}: {words['who']}"
    if words["state"] == LeadState.CLOSED:
        return f"Closed: {words['who']}"
    deed = "is on it" if words["acknowledged"] else "has it now"
    return f"{words['rep']} {deed}: {words['who']}, {words['due']}"


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
