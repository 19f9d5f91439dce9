"""One lead as a story: who, why there, by when, what happened. For people; programs take `--json`."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from speed_to_lead.cli.connect import calendar_of
from speed_to_lead.cli.explain import step_in_words
from speed_to_lead.cli.output import safe, say, say_facts, when
from speed_to_lead.config import Configuration
from speed_to_lead.core.calendar import Calendar
from speed_to_lead.core.lead import HistoryEntry, Lead, PlannedStep
from speed_to_lead.core.message import span_text
from speed_to_lead.core.rendering import history_entry_as_json


def standing(lead: Lead, now: datetime) -> str:
    """How the lead stands against its deadline: `4 min left`, `overdue by 12 min`, `answered in time, after 3 min`."""
    if lead.answered_at is not None:
        on_time = "in time" if lead.answered_at < lead.deadline else "late"
        return f"answered {on_time}, after {span_text(lead.answered_at - lead.received_at)}"
    if not lead.is_open:
        return f"closed: {safe(lead.closed_reason)}" if lead.closed_reason else "closed"
    left = lead.deadline - now
    return f"{span_text(left)} left" if left > timedelta(0) else f"overdue by {span_text(-left)}"


def say_story(
    lead: Lead, history: Sequence[HistoryEntry], rules: Configuration | None, now: datetime
) -> None:
    """Print the whole story, times in UTC and as the lead's team reads them."""
    calendar = calendar_of(rules, lead.team)
    say(f"Lead {lead.id}: {lead.state}, {standing(lead, now)}")
    say_facts(_facts(lead, calendar))
    _say_section(
        "It said", [(name, _text(value)) for name, value in {**lead.lead.fields, **lead.lead.custom}.items()]
    )
    say("\nWhy it went there")
    for reason in lead.trace:
        say(f"  {safe(reason)}")
    _say_section("Steps", [(step.name, _step_text(step, lead, calendar)) for step in lead.steps])
    if lead.responses:
        say("\nResponses")
        for response in lead.responses:
            via = f", via {response.via}" if response.via else ""
            evidence = f": {response.evidence}" if response.evidence else ""
            say(
                f"  {when(response.at, calendar)}  {response.kind} by {safe(response.by)}{safe(via)}{safe(evidence)}"
            )
    if lead.touches:
        say("\nFurther submissions of the same person")
        for touch in lead.touches:
            where = f"form {touch.form}, source {touch.source}, channel {touch.channel}"
            say(f"  {when(touch.received_at, calendar)}  {safe(where)}  ({touch.submission_id})")
    say("\nWhat happened")
    for entry in history:
        say(f"  {when(entry.at, calendar)}  {happened(entry)}")


def _facts(lead: Lead, calendar: Calendar | None) -> list[tuple[str, str]]:
    before = f" (before: {', '.join(lead.reps_before)})" if lead.reps_before else ""
    clock = "" if lead.is_nurtured else f", SLA {lead.sla}"
    return [
        ("who", lead.lead.display_name or str(lead.lead.get("email") or lead.lead.get("phone") or "")),
        (
            "source",
            f"{lead.source}, channel {lead.channel}"
            + (f", campaign {lead.campaign}" if lead.campaign else ""),
        ),
        (
            "goes to",
            "nobody: to nurture"
            if lead.is_nurtured
            else f"team {lead.team}, rep {lead.rep or 'nobody'}{before}",
        ),
        ("because", f'rule "{lead.rule}"{clock}, config {lead.config_digest}'),
        ("received", f"{when(lead.received_at, calendar)}  (form {lead.form})"),
        ("the form says", when(lead.submitted_at, calendar) if lead.submitted_at else ""),
        ("answer by", "" if lead.is_nurtured else when(lead.deadline, calendar)),
        ("seen by the rep", when(lead.acknowledged_at, calendar) if lead.acknowledged_at else ""),
        ("answered", when(lead.answered_at, calendar) if lead.answered_at else ""),
        ("deadline missed", when(lead.breached_at, calendar) if lead.breached_at else ""),
        ("closed", f"{when(lead.closed_at, calendar)}  {lead.closed_reason}" if lead.closed_at else ""),
        ("next look at", when(lead.next_at, calendar) if lead.next_at else ""),
    ]


def _say_section(title: str, facts: list[tuple[str, str]]) -> None:
    if facts:
        say(f"\n{title}")
        say_facts(facts)


def _step_text(step: PlannedStep, lead: Lead, calendar: Calendar | None) -> str:
    done = "done  " if step.name in lead.steps_done else "to come" if lead.is_open else "dropped"
    return f"{when(step.at, calendar)}  {done.ljust(7)}  {step_in_words(step)}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


_EVENTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "lead.routed": lambda d: (
        f'is to be nurtured, by rule "{d["rule"]}"; told to {d["nurture"]}'
        if "nurture" in d
        else f'went to team {d["team"]}, rep {d["rep"]}, by rule "{d["rule"]}"; due {d["deadline"]}'
    ),
    "lead.touched": lambda d: f"the same person wrote again (form {d['form']}, source {d['source']})",
    "lead.due_sooner": lambda d: (
        f'that is due {d["deadline"]}, sooner than {d["before"]}: it takes SLA {d["sla"]} of rule "{d["rule"]}"'
    ),
    "lead.breached": lambda d: f"the deadline {d['deadline']} was missed; {d['rep']} had it",
    "lead.reassigned": lambda d: (
        f"passed on from {d['from']} to {d['to']}" + (f" by {d['by']}" if d.get("by") else "")
    ),
    "lead.kept": lambda d: f"stays with {d['to']}: nobody else can take it",
    "lead.closed": lambda d: f"closed by {d['by']}: {d['reason']}",
    "lead.handed_out": lambda d: f"went to {d['to']} of team {d['team']}, who was available by then",
    "lead.waiting": lambda d: f"waits until somebody of team {d['team']} is available",
    "lead.acknowledged": lambda d: (
        f"{d['by']} has seen it"
        + (f"; {', '.join(d['held'])} held back until {d['until']}" if d.get("held") else "")
    ),
    "lead.attempted": lambda d: f"{d['by']} tried to reach them at {d['at']}",
    "lead.connected": lambda d: f"{d['by']} reached them at {d['at']}",
    "lead.meeting_booked": lambda d: f"{d['by']} booked a meeting at {d['at']}",
    "lead.automatic_reply": lambda d: (
        f"{d['by']} answered automatically at {d['at']}, which is nobody's answer"
    ),
    "step.decided": lambda d: (
        f"step {d['step']}: {_told(d['told'])}"
        + (f"; it stands for {', '.join(d['skipped'])} too" if d.get("skipped") else "")
    ),
    "alert.delivered": lambda d: (
        f"{d['to']} was told (step {d['step']}, attempt {d['attempt']}{_in_digest(d)})"
        + (f", but not {', '.join(d['left_out'])}" if d.get("left_out") else "")
    ),
    "alert.held": lambda d: f"{d['to']} wants quiet: it hears at {d['until']} (step {d['step']})",
    "alert.folded": lambda d: f"{d['to']} gets many: it hears of this in a digest (step {d['step']})",
    "alert.failed": lambda d: (
        f"{d['to']} could not be told (step {d['step']}, attempt {d['attempt']}{_in_digest(d)}); again at {d['next']}"
    ),
    "alert.given_up": lambda d: (
        f"{d['to']} will not be told (step {d['step']}): {d['why']}"
        + (f"; {d['fallback']} is told instead" if d.get("fallback") else "")
    ),
    "alert.cancelled": lambda d: f"{d['to']} needed no alert any more (step {d['step']})",
}


def _in_digest(details: Mapping[str, Any]) -> str:
    return ", in a digest" if details.get("digest") else ""


def happened(entry: HistoryEntry) -> str:
    """One line of history as a sentence; one of another version of this program as it is."""
    details = history_entry_as_json(entry)["details"]
    tell = _EVENTS.get(entry.event)
    try:
        if tell is not None:
            return safe(tell(details))
    except (KeyError, TypeError):
        pass
    return safe(f"{entry.event}  {', '.join(f'{name}={value}' for name, value in details.items())}".rstrip())


def _told(destinations: Sequence[str]) -> str:
    return f"alert to {', '.join(destinations)}" if destinations else "nobody to tell"
