"""What goes with a change of a lead: who is brought up to date by it, and what the log and the lead's trace say of it."""

from collections.abc import Mapping
from dataclasses import replace

import structlog

from speed_to_lead import tracing
from speed_to_lead.core.follow_up import follow_up, has_moved, told_among
from speed_to_lead.core.lead import Lead, LeadChange
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()


def with_follow_ups(place: Workplace, lead: Lead, change: LeadChange) -> LeadChange:
    """The change, with alerts to bring up to date what was said of the lead where that can be changed.

    A destination that is being told at this moment is not in the history yet: the note of that finds another version of the
    record than was told, and brings it up to date. Where the note comes first the change is refused, to be decided again.
    """
    following = {name for name in place.config.destinations if place.follows_leads(name)}
    if not following or not has_moved(lead, change.lead):
        return change
    now = change.history[-1].at if change.history else place.store.now()
    history = place.store.leads.history(lead.id)
    told = told_among(history, following)
    called = {alert.destination for alert in change.alerts}  # what they hear says how things stand
    alerts = tuple(follow_up(change.lead, name, now) for name in told if name not in called)
    # Where all of them hear of it already, a note that comes before this change brings in nobody.
    lines_read = len(history) if following.difference(told, called) else None
    return replace(change, alerts=(*change.alerts, *alerts), lines_read=lines_read)


def tell_change(what: str, change: LeadChange, begun: int) -> None:
    """Log a change that was written, and add it to the lead's trace."""
    lead = change.lead
    step = next((str(e.details.get("step", "")) for e in change.history if e.event == "step.decided"), "")
    fields = {"lead_id": lead.id, "team": lead.team, "sla": lead.sla, "step": step}
    with tracing.span(what, lead.traceparent, since=begun, **fields):
        _log_change(change)


def _log_change(change: LeadChange) -> None:
    for entry in change.history:
        fields = {"rep": change.lead.rep} | _loggable(entry.details)
        log.info(entry.event, lead_id=change.lead.id, **fields)


def _loggable(details: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value
        for name, value in details.items()
        if name in ("step", "skipped", "told", "deadline", "rep", "from", "to", "at")
    }
