"""A lead as people and programs outside see it: plain JSON values, instants in ISO 8601 UTC ending in `Z`.

The web and the command line answer with the same object, so what one prints the other's reader understands.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from speed_to_lead.core.clock import from_ms, to_iso
from speed_to_lead.core.lead import HistoryEntry, Lead, PlannedStep, Response, Touch

#: Details of history that hold an instant in UTC milliseconds.
_INSTANTS_IN_DETAILS = ("deadline", "next", "next_at")


def lead_as_json(lead: Lead, history: Sequence[HistoryEntry] | None = None) -> dict[str, Any]:
    """The lead as a JSON object, most looked-at keys first; `history` only where it is given."""
    document: dict[str, Any] = {
        "id": lead.id,
        "state": lead.state.value,
        "version": lead.version,
        "form": lead.form,
        "received_at": to_iso(lead.received_at),
        "submitted_at": _iso(lead.submitted_at),
        "source": lead.source,
        "channel": lead.channel,
        "campaign": lead.campaign,
        "rule": lead.rule,
        "team": lead.team,
        "rep": lead.rep,
        "sla": lead.sla,
        "deadline": None if lead.is_nurtured else to_iso(lead.deadline),
        "next_at": _iso(lead.next_at),
        "steps": [_step_as_json(step, lead.steps_done) for step in lead.steps],
        "acknowledged_at": _iso(lead.acknowledged_at),
        "answered_at": _iso(lead.answered_at),
        "breached_at": _iso(lead.breached_at),
        "closed_at": _iso(lead.closed_at),
        "closed_reason": lead.closed_reason,
        "reps_before": list(lead.reps_before),
        "fields": dict(lead.lead.fields),
        "custom": dict(lead.lead.custom),
        "responses": [_response_as_json(response) for response in lead.responses],
        "touches": [_touch_as_json(touch) for touch in lead.touches],
        "trace": list(lead.trace),
        "config_digest": lead.config_digest,
    }
    if lead.looked_up is not None:  # of hardly any lead
        document["looked_up"] = lead.looked_up._asdict()
    if history is not None:
        document["history"] = [history_entry_as_json(entry) for entry in history]
    return document


def history_entry_as_json(entry: HistoryEntry) -> dict[str, Any]:
    """One line of history as a JSON object."""
    return {"at": to_iso(entry.at), "event": entry.event, "details": _details_as_json(entry.details)}


def _details_as_json(details: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: to_iso(from_ms(value)) if name in _INSTANTS_IN_DETAILS and isinstance(value, int) else value
        for name, value in details.items()
    }


def _step_as_json(step: PlannedStep, done: Sequence[str]) -> dict[str, Any]:
    return {
        "name": step.name,
        "at": to_iso(step.at),
        "tell": list(step.tell),
        "remind": list(step.remind),
        "alert": list(step.alert),
        "reassign": step.reassign,
        "done": step.name in done,
    }


def _response_as_json(response: Response) -> dict[str, Any]:
    return {
        "kind": response.kind.value,
        "by": response.by,
        "at": to_iso(response.at),
        "recorded_at": to_iso(response.recorded_at),
        "via": response.via,
        "evidence": response.evidence,
        "automatic": response.automatic,
    }


def _touch_as_json(touch: Touch) -> dict[str, Any]:
    return {
        "submission_id": touch.submission_id,
        "form": touch.form,
        "received_at": to_iso(touch.received_at),
        "source": touch.source,
        "channel": touch.channel,
        "campaign": touch.campaign,
        "fields": dict(touch.lead.fields),
        "custom": dict(touch.lead.custom),
    }


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else to_iso(instant)
