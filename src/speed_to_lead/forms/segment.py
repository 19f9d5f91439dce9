"""Segment's "Webhooks" destination: a person's `identify`, or a `track` that says who they are.

Signed with `X-Signature: <hex HMAC-SHA1>` of the event. Of a batch Segment signs the first event only, and anybody
could have added the others; a batch is therefore taken with `token_env`, and refused with `secret_env`.
https://segment.com/docs/connections/destinations/catalog/webhooks/

Selectors in `intake.toml`: `trait:<dotted path>`, `property:<dotted path>`, `context:<dotted path>`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from speed_to_lead.core.submission import (
    Form,
    GenericLead,
    ParsedSubmission,
    Submission,
    generic_lead,
    lead_field_named,
)
from speed_to_lead.forms import generic, reading, signatures
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
selectors: tuple[str, ...] = ("trait", "property", "context")

#: The calls that can name a person. `page`, `screen`, `group` and `alias` are counted and never routed.
_CALLS = frozenset({"identify", "track"})
_CAMPAIGN = {
    "name": "utm_campaign", "source": "utm_source", "medium": "utm_medium", "term": "utm_term",
    "content": "utm_content", "id": "utm_id",
}  # fmt: skip
_COMPANY = {
    "name": "company", "industry": "industry", "employee_count": "employees", "employees": "employees",
    "employeeCount": "employees", "website": "website", "domain": "website",
}  # fmt: skip
_ADDRESS = {"country": "country", "state": "region", "region": "region", "city": "city"}


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why the request does not carry Segment's signature of its one event."""
    del now  # Segment signs no time
    given = request.headers.get("x-signature", "").strip().lower()
    if not given:
        return "the header X-Signature is missing; is a shared secret set in Segment's destination?"
    signed, is_batch = request.body, request.body.lstrip().startswith(b"[")
    if is_batch:  # where the first event is all there is, the rest of the body is two brackets
        signed = signed.strip()[1:-1].strip()
    matches = signatures.any_matches(
        (given,), secret, lambda key: (signatures.hmac_hex(key, signed, "sha1"),)
    )
    if matches:
        return None
    if is_batch:
        return "of a batch only the first event is signed; set the batch size to 1, or use token_env"
    return "X-Signature does not match"


def items(submission: Submission) -> list[Any]:
    """The events of a batch."""
    return reading.list_in(submission)


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The person an event is about."""
    delivery = reading.json_in(submission)
    if isinstance(delivery, list) and len(delivery) == 1:
        delivery = delivery[0]
    event = reading.mapping_in(delivery, "the body")
    message_id = event.get("messageId")
    key = message_id if isinstance(message_id, str) and message_id else None
    if str(event.get("type") or "identify") not in _CALLS:
        return ParsedSubmission(GenericLead(), key, is_test=True)
    instants = (reading.instant_in(event.get(name)) for name in ("timestamp", "originalTimestamp", "sentAt"))
    return ParsedSubmission(
        generic_lead(_payload(event, form)), key, next((instant for instant in instants if instant), None)
    )


def _payload(event: Mapping[str, Any], form: Form) -> dict[str, Any]:
    context = reading.mapping_or_nothing(event.get("context"))
    # What this call says of the person counts before what Segment remembered of them.
    traits = {
        **reading.mapping_or_nothing(context.get("traits")),
        **reading.mapping_or_nothing(event.get("traits")),
    }
    properties = reading.mapping_or_nothing(event.get("properties"))
    page = reading.mapping_or_nothing(context.get("page"))
    payload: dict[str, Any] = {}
    custom = {
        "segment_event": event.get("event"),
        "user_id": event.get("userId"),
        "anonymous_id": event.get("anonymousId"),
    }
    for name, value in [*traits.items(), *properties.items()]:
        if any(f"{kind}{name}" in form.fields.values() for kind in ("", "trait:", "property:")):
            continue
        if name == "company" and isinstance(value, Mapping):
            _place(payload, value, _COMPANY)
        elif name == "address" and isinstance(value, Mapping):
            _place(payload, value, _ADDRESS)
        elif (known := lead_field_named(str(name))) is not None and payload.get(known) in (None, ""):
            payload[known] = value
        else:
            custom.setdefault(str(name), value)
    _place(payload, reading.mapping_or_nothing(context.get("campaign")), _CAMPAIGN)
    _place(payload, page, {"url": "landing_page", "referrer": "referrer"})
    payload["custom"] = custom

    def selected(kind: str, name: str) -> Any:
        given = {"property": properties, "context": context}.get(kind, traits)
        found = generic.value_at(given, name)
        return generic.value_at(properties, name) if found is None and not kind else found

    reading.place_fields(payload, form, selected)
    return payload


def _place(payload: dict[str, Any], given: Mapping[str, Any], field_by_name: Mapping[str, str]) -> None:
    """Put what is there into fields that are empty still."""
    for name, field in field_by_name.items():
        if payload.get(field) in (None, "") and given.get(name) not in (None, ""):
            payload[field] = given[name]
