"""What the log and the lead's trace say of a change that was written."""

from collections.abc import Mapping

import structlog

from speed_to_lead import tracing
from speed_to_lead.core.lead import LeadChange

log = structlog.get_logger()


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
