"""Records as JSON: compact (no empty fields, instants as UTC milliseconds), and read back into the same value.

`records.py` says how they are packed, and where they stand.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from speed_to_lead.core.clock import MILLISECOND, from_ms, to_ms
from speed_to_lead.core.lead import (
    HOLD,
    Alert,
    AlertKind,
    HistoryEntry,
    Lead,
    LeadState,
    PlannedStep,
    Response,
    ResponseKind,
    Touch,
)
from speed_to_lead.core.lookup import LookedUp
from speed_to_lead.core.submission import GenericLead
from speed_to_lead.store.encryption import PLAIN, Vault
from speed_to_lead.store.packing import packed, unpacked

#: What is personal in a lead's record, and so encrypted where there are keys. The rest is what scripts, indexes
#: and reports need: ids, states, instants, team, rep, rule, source.
PERSONAL = ("fields", "custom", "touches", "trace", "responses", "closed_reason", "looked_up")
#: Details of history in which somebody may have written a name.
FREE_TEXT_DETAILS = frozenset(("reason", "evidence", "note", "why", "by"))


def dump(document: Mapping[str, Any]) -> str:
    """JSON without white space; text stays readable. Numbers must be finite, as those of every body are (forms/reading.py).

    What orjson refuses is written by Python, all in ASCII: half a surrogate pair (a form tool that cut an emoji in
    two), which is no UTF-8, and whole numbers of more than 64 bits.
    """
    try:
        return orjson.dumps(document).decode()
    except TypeError:
        return json.dumps(document, separators=(",", ":"))


def lead_document(lead: Lead, vault: Vault = PLAIN) -> str:
    """The record of a lead as it is stored; with keys, what is personal in it as one token."""
    document = {
        "id": lead.id,
        "version": lead.version,
        "state": lead.state,
        "form": lead.form,
        "received_at": to_ms(lead.received_at),
        "submitted_at": _ms(lead.submitted_at),
        "fields": dict(lead.lead.fields),
        "custom": dict(lead.lead.custom),
        "source": lead.source,
        "channel": lead.channel,
        "campaign": lead.campaign,
        "rule": lead.rule,
        "team": lead.team,
        "rep": lead.rep,
        "sla": lead.sla,
        "deadline": to_ms(lead.deadline),
        "steps": [_step_document(step) for step in lead.steps],
        "config_digest": lead.config_digest,
        "next_at": _ms(lead.next_at),
        "steps_done": list(lead.steps_done),
        "reps_before": list(lead.reps_before),
        "acknowledged_at": _ms(lead.acknowledged_at),
        "answered_at": _ms(lead.answered_at),
        "breached_at": _ms(lead.breached_at),
        "closed_at": _ms(lead.closed_at),
        "closed_reason": lead.closed_reason,
        "responses": [_response_document(response) for response in lead.responses],
        "touches": [_touch_document(touch) for touch in lead.touches],
        "touches_dropped": lead.touches_dropped or None,
        "trace": list(lead.trace),
        "company_before": lead.company_before,
        "hold": None if lead.hold == HOLD else lead.hold // MILLISECOND,
        "looked_up": list(lead.looked_up or ()),
        "traced": lead.traceparent[3:-3],  # between version and flags, which are the same for all
    }
    kept = _without_empty(document)
    return dump(_sealed(kept, PERSONAL, vault) if vault.seals else kept)


def lead_from(text: str | bytes, vault: Vault = PLAIN) -> Lead:
    """The lead of a stored record. Raises ValueError (MissingKey among them), KeyError or TypeError where it is not one."""
    d = opened(json.loads(text), vault)
    return Lead(
        id=d["id"],
        version=d["version"],
        state=LeadState(d["state"]),
        form=d.get("form", ""),
        received_at=from_ms(d["received_at"]),
        submitted_at=_instant(d.get("submitted_at")),
        lead=GenericLead(d.get("fields", {}), d.get("custom", {})),
        source=d.get("source", ""),
        channel=d.get("channel", ""),
        campaign=d.get("campaign", ""),
        rule=d.get("rule", ""),
        team=d.get("team", ""),
        rep=d.get("rep"),
        sla=d.get("sla", ""),
        deadline=from_ms(d["deadline"]),
        steps=tuple(_step(step) for step in d.get("steps", ())),
        config_digest=d.get("config_digest", ""),
        next_at=_instant(d.get("next_at")),
        steps_done=tuple(d.get("steps_done", ())),
        reps_before=tuple(d.get("reps_before", ())),
        acknowledged_at=_instant(d.get("acknowledged_at")),
        answered_at=_instant(d.get("answered_at")),
        breached_at=_instant(d.get("breached_at")),
        closed_at=_instant(d.get("closed_at")),
        closed_reason=d.get("closed_reason", ""),
        responses=tuple(_response(response) for response in d.get("responses", ())),
        touches=tuple(_touch(touch) for touch in d.get("touches", ())),
        touches_dropped=d.get("touches_dropped", 0),
        hold=d["hold"] * MILLISECOND if "hold" in d else HOLD,
        trace=tuple(d.get("trace", ())),
        traceparent=f"00-{d['traced']}-01" if "traced" in d else "",
        company_before=d.get("company_before", ""),
        looked_up=LookedUp(*d["looked_up"]) if "looked_up" in d else None,
    )


def alert_document(alert: Alert, vault: Vault = PLAIN) -> str:
    """An alert as it is stored; its attempts are counted beside it."""
    document = _without_empty(
        {
            "lead_id": alert.lead_id,
            "step": alert.step,
            "destination": alert.destination,
            "kind": alert.kind,
            "decided_at": to_ms(alert.decided_at),
            "late_seconds": alert.late_seconds,
            "skipped_steps": list(alert.skipped_steps),
            "team": alert.team,
            "rep": alert.rep,
            "note": alert.note,
            "fallback_for": alert.fallback_for,
            "members": list(alert.members),
        }
    )
    return dump(_sealed(document, ("note",), vault) if vault.seals and alert.note else document)


def alert_from(
    text: str | bytes, attempts: int = 0, unknown_attempts: int = 0, vault: Vault = PLAIN
) -> Alert:
    """The alert of a stored document."""
    d = opened(json.loads(text), vault)
    return Alert(
        lead_id=d.get("lead_id", ""),
        step=d.get("step", ""),
        destination=d.get("destination", ""),
        kind=AlertKind(d["kind"]),
        decided_at=from_ms(d["decided_at"]),
        late_seconds=d.get("late_seconds", 0.0),
        skipped_steps=tuple(d.get("skipped_steps", ())),
        team=d.get("team", ""),
        rep=d.get("rep"),
        note=d.get("note", ""),
        fallback_for=d.get("fallback_for", ""),
        members=tuple(d.get("members", ())),
        attempts=attempts,
        unknown_attempts=unknown_attempts,
    )


def decided_at(text: str | bytes) -> int:
    """The UTC milliseconds at which a stored alert was decided; 0 for one that cannot be read."""
    try:
        return int(json.loads(text)["decided_at"])
    except (ValueError, KeyError, TypeError):
        return 0


def history_line(entry: HistoryEntry, vault: Vault = PLAIN) -> str:
    """One line of history as it is stored."""
    document: dict[str, Any] = {"at": to_ms(entry.at), "event": entry.event}
    if entry.details:
        document["details"] = dict(entry.details)
    if vault.seals and not FREE_TEXT_DETAILS.isdisjoint(entry.details):
        document = _sealed(document, ("details",), vault)
    return dump(document)


def history_entry(line: str | bytes, vault: Vault = PLAIN) -> HistoryEntry:
    """The entry of a stored line."""
    d = opened(json.loads(line), vault)
    return HistoryEntry(from_ms(d["at"]), d.get("event", ""), d.get("details", {}))


def resealed(text: str | bytes, personal: Sequence[str], vault: Vault) -> str | None:
    """The stored document under the first key; None where it is so already, or has nothing personal.

    Raises MissingKey, and ValueError for what is no document.
    """
    d = json.loads(text)
    if not isinstance(d, dict):
        raise ValueError("it is no document")  # noqa: TRY004 - of the document, not of an argument
    if "sealed" in d and vault.is_current(d["sealed"]):
        return None
    plain = opened(d, vault)
    return dump(_sealed(plain, personal, vault)) if any(plain.get(name) for name in personal) else None


def opened(document: Any, vault: Vault) -> Any:
    """The document with what was sealed in its place. Raises MissingKey."""
    if not isinstance(document, dict) or "sealed" not in document:
        return document
    kept = {name: value for name, value in document.items() if name != "sealed"}
    return kept | json.loads(unpacked(vault.open(document["sealed"])))


def _sealed(document: Mapping[str, Any], personal: Sequence[str], vault: Vault) -> dict[str, Any]:
    secret = {name: document[name] for name in personal if name in document}
    kept = {name: value for name, value in document.items() if name not in secret}
    return kept | {"sealed": vault.seal(packed(dump(secret)))}  # a token does not pack


def _step_document(step: PlannedStep) -> dict[str, Any]:
    # Written out, and not by `_without_empty`: a record has as many of these as of everything else together.
    document: dict[str, Any] = {"name": step.name} if step.name else {}
    document["at"] = to_ms(step.at)
    if step.tell:
        document["tell"] = step.tell
    if step.remind:
        document["remind"] = step.remind
    if step.alert:
        document["alert"] = step.alert
    if step.reassign:
        document["reassign"] = True
    if step.held_from is not None:
        document["held_from"] = to_ms(step.held_from)
    return document


def _step(d: Mapping[str, Any]) -> PlannedStep:
    return PlannedStep(
        d.get("name", ""),
        from_ms(d["at"]),
        tuple(d.get("tell", ())),
        tuple(d.get("remind", ())),
        tuple(d.get("alert", ())),
        d.get("reassign", False),
        from_ms(d["held_from"]) if "held_from" in d else None,
    )


def _response_document(response: Response) -> dict[str, Any]:
    return _without_empty(
        {
            "kind": response.kind,
            "by": response.by,
            "at": to_ms(response.at),
            "recorded_at": to_ms(response.recorded_at),
            "via": response.via,
            "evidence": response.evidence,
            "automatic": response.automatic or None,
        }
    )


def _response(d: Mapping[str, Any]) -> Response:
    return Response(
        ResponseKind(d["kind"]),
        d.get("by", ""),
        from_ms(d["at"]),
        from_ms(d["recorded_at"]),
        d.get("via", ""),
        d.get("evidence", ""),
        d.get("automatic", False),
    )


def _touch_document(touch: Touch) -> dict[str, Any]:
    return _without_empty(
        {
            "submission_id": touch.submission_id,
            "form": touch.form,
            "received_at": to_ms(touch.received_at),
            "source": touch.source,
            "channel": touch.channel,
            "campaign": touch.campaign,
            "fields": dict(touch.lead.fields),
            "custom": dict(touch.lead.custom),
        }
    )


def _touch(d: Mapping[str, Any]) -> Touch:
    return Touch(
        d.get("submission_id", ""),
        d.get("form", ""),
        from_ms(d["received_at"]),
        d.get("source", ""),
        d.get("channel", ""),
        d.get("campaign", ""),
        GenericLead(d.get("fields", {}), d.get("custom", {})),
    )


def _without_empty(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if value or value == 0}


def _ms(instant: datetime | None) -> int | None:
    return None if instant is None else to_ms(instant)


def _instant(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_ms(milliseconds)
