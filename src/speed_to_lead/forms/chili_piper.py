"""Chili Piper: a guest who booked a meeting, with what they filled in before.

Chili Piper signs nothing, so the form has a `token_env`: the token is part of the address (`?token=…`) or of a header.
https://help.chilipiper.com/hc/en-us/articles/39402611091475

Selectors in `intake.toml`: `guest:<name>` (primaryGuestDataFields), `key:<dotted path>`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from speed_to_lead.core.submission import (
    Form,
    ParsedSubmission,
    Submission,
    generic_lead,
    lead_field_named,
)
from speed_to_lead.forms import generic, reading, titles
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
selectors: tuple[str, ...] = ("guest", "key")

#: What is kept of the meeting, under `custom`.
_KEPT = {
    "meetingIdChili": "meeting_id", "meetingTitle": "meeting_title", "meetingStartTime": "meeting_start",
    "meetingEndTime": "meeting_end", "meetingTypeName": "meeting_type", "primaryGuestTimeZone": "time_zone",
    "hostEmail": "host_email", "hostFullName": "host_name", "assigneeEmail": "assignee_email",
    "assigneeFullName": "assignee_name", "bookerEmail": "booker_email", "workspaceName": "workspace",
    "productFeatureType": "product", "distributionName": "distribution", "additionalGuests": "additional_guests",
}  # fmt: skip


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Chili Piper signs nothing."""
    del request, secret, now
    return "Chili Piper signs nothing; use token_env in intake.toml"


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The guest of a meeting. One that was moved or cancelled is nobody new: it is counted and never routed."""
    meeting = reading.mapping_in(reading.json_in(submission), "the body")
    kind = str(meeting.get("type") or "Created")
    payload = _payload(meeting, form)
    identity = meeting.get("meetingIdChili")
    key = f"{identity}.{kind}" if isinstance(identity, (str, int)) and identity else None
    is_new = kind.casefold() in ("created", "booked")
    return ParsedSubmission(
        generic_lead(payload) if is_new else reading.lead_or_nobody(payload), key, is_test=not is_new
    )


def _payload(meeting: Mapping[str, Any], form: Form) -> dict[str, Any]:
    guest = reading.mapping_or_nothing(meeting.get("primaryGuestDataFields"))
    payload: dict[str, Any] = {"email": meeting.get("primaryGuestEmail")}
    custom: dict[str, Any] = {kept: meeting.get(name) for name, kept in _KEPT.items()}
    for name, value in guest.items():
        if f"guest:{name}" in form.fields.values() or name in form.fields.values():
            continue
        known = _field_of(str(name))
        if known == "email" and value == payload["email"]:
            continue
        if known is None or payload.get(known) not in (None, ""):
            custom.setdefault(str(name), value)
        else:
            payload[known] = value
    payload["custom"] = custom

    def selected(kind: str, name: str) -> Any:
        return generic.value_at(meeting, name) if kind == "key" else guest.get(name)

    reading.place_fields(payload, form, selected)
    return payload


def _field_of(name: str) -> str | None:
    """By the name itself, else by its words: `PersonFirstName` and "Company Name" are names of CRM fields."""
    plain = name.removeprefix("Person")
    words = "".join(f" {letter}" if letter.isupper() else letter for letter in plain).strip()
    return lead_field_named(name) or lead_field_named(plain) or titles.field_asked_for(words)
