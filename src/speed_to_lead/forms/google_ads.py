"""Google Ads lead forms: what somebody filled in on an ad, one column for each question.

Google signs nothing. The key that was entered with the webhook's address stands in the body as `google_key` (in its own
test samples also `Google_key`); it is compared in constant time, and no lead holds it. A retry of Google's carries the
same `lead_id`. https://developers.google.com/google-ads/webhook/docs/implementation

Selectors in `intake.toml`: `column:<column_id>`, `key:<name>` for what stands beside the columns.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from speed_to_lead.core.submission import (
    Form,
    ParsedSubmission,
    Submission,
    UnreadableSubmission,
    generic_lead,
)
from speed_to_lead.forms import answers, reading, signatures
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
selectors: tuple[str, ...] = ("column", "key")

#: The key in the body as Google writes it, in either spelling.
_KEY = re.compile(rb'("google_key"\s*:\s*")(?:[^"\\]|\\.)*(")', re.IGNORECASE)
#: Google's own columns; the first that was filled in wins a field, so the plain ones come first.
_FIELD_BY_COLUMN = {
    "EMAIL": "email", "WORK_EMAIL": "email",
    "PHONE_NUMBER": "phone", "WORK_PHONE": "phone",
    "FULL_NAME": "name", "FIRST_NAME": "first_name", "LAST_NAME": "last_name",
    "COMPANY_NAME": "company", "COMPANY_SIZE": "employees", "COMPANY_INDUSTRY": "industry", "INDUSTRY": "industry",
    "JOB_TITLE": "title", "JOB_ROLE": "title",
    "CITY": "city", "REGION": "region", "STATE": "region", "PROVINCE": "region", "COUNTRY": "country",
    "WEBSITE": "website", "BUDGET": "budget",
}  # fmt: skip
#: What Google says of a lead beside its columns, and what is kept of it under `custom`.
_KEPT = (
    "form_id", "campaign_id", "adgroup_id", "creative_id", "asset_group_id", "lead_stage", "lead_source",
)  # fmt: skip


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why the body does not hold the key that was entered in Google Ads."""
    try:
        delivery = reading.json_in(Submission("", "", now, request.body))
    except UnreadableSubmission:
        return "the body is not JSON, so it holds no google_key"
    key = _google_key(reading.mapping_or_nothing(delivery))
    if not key:
        return "google_key is missing; is a key set beside the webhook's address in Google Ads?"
    matches = signatures.any_matches((key,), secret, lambda configured: (configured,))
    return None if matches else "google_key is not ours"


def without_key(body: bytes) -> bytes:
    """The body as it is stored: where the key stood, stands ***."""
    return _KEY.sub(rb"\1***\2", body)


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in a delivery. "Send test data" in Google Ads sets `is_test`: counted, never routed."""
    delivery = reading.mapping_in(reading.json_in(submission), "the body")
    payload = _payload(delivery, form)
    is_test = str(delivery.get("is_test")).strip().casefold() == "true"  # true, or "true" as text
    lead_id = delivery.get("lead_id")
    return ParsedSubmission(
        reading.lead_or_nobody(payload) if is_test else generic_lead(payload),
        same_submission_key=str(lead_id) if isinstance(lead_id, (str, int)) and lead_id else None,
        submitted_at=reading.instant_in(delivery.get("lead_submit_time")),
        is_test=is_test,
    )


def _google_key(delivery: Mapping[str, Any]) -> str:
    given = next((value for name, value in delivery.items() if name.casefold() == "google_key"), None)
    return given.strip() if isinstance(given, str) else ""


def _payload(delivery: Mapping[str, Any], form: Form) -> dict[str, Any]:
    columns = dict(_columns(delivery))
    payload: dict[str, Any] = {"gclid": delivery.get("gcl_id") or delivery.get("gclid")}
    custom = {name: delivery[name] for name in _KEPT if delivery.get(name)}
    chosen = form.fields.values()
    in_order = sorted(columns, key=lambda name: _PLACE.get(name.upper(), len(_PLACE)))
    for name in in_order:
        if f"column:{name}" in chosen or name in chosen:
            continue
        field = _FIELD_BY_COLUMN.get(name.upper()) or answers.field_asked_for(
            name.replace("_", " "), columns[name]
        )
        if field is None or payload.get(field) is not None:
            custom[name] = columns[name]
        else:
            payload[field] = columns[name]
    payload["custom"] = custom

    def selected(kind: str, name: str) -> Any:
        return delivery.get(name) if kind == "key" else columns.get(name)

    reading.place_fields(payload, form, selected)
    return payload


_PLACE = {name: place for place, name in enumerate(_FIELD_BY_COLUMN)}


def _columns(delivery: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What was filled in, by column id; a column of old forms has a name only."""
    for column in reading.items_in(delivery.get("user_column_data")):
        name = column.get("column_id") or column.get("column_name")
        value = column.get("string_value")
        if isinstance(name, str) and name.strip() and isinstance(value, (str, int, float)) and value != "":
            yield name.strip(), value
