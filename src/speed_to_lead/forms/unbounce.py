"""Unbounce: JSON text in the field `data.json` of an urlencoded body, every value in it a list; or the same as JSON.

It signs nothing: the address it posts to carries a token (`?token=…`, `token_env`). It names no submission either: what is the same
is told by the page, its minute and everything that was answered.

Selectors in `intake.toml`: `field:<name>`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from speed_to_lead.core.submission import (
    Form,
    ParsedSubmission,
    Submission,
    UnreadableSubmission,
    generic_lead,
)
from speed_to_lead.forms import answers, bodies, reading, signatures
from speed_to_lead.forms.answer import Answer, Sort
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
_ATTRIBUTES = {"field": "name"}
selectors: tuple[str, ...] = tuple(_ATTRIBUTES)

_ENVELOPE = (
    "data.json", "data_json", "data.xml", "data_xml", "ip_address", "page_uuid", "page_id", "page_name", "page_url", "variant",
    "date_submitted", "time_submitted",
)  # fmt: skip


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why no request is taken for its signature: there is none."""
    del request, secret, now
    return signatures.unsigned_refusal("Unbounce")


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in a submission; its time is told to the minute, in UTC."""
    sent = bodies.fields_in(submission)
    data = _data(sent)
    given = list(_answers(sent, data))
    payload = answers.payload_of(given, form, _ATTRIBUTES)
    if answers.is_test(given):
        return ParsedSubmission(reading.lead_or_nobody(payload), is_test=True)
    submitted_at = _time(data) or _time(sent)
    return ParsedSubmission(
        generic_lead(payload), _key(sent, data) if submitted_at else None, submitted_at=submitted_at
    )


def _data(sent: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was answered: the JSON in `data.json`, or the body itself."""
    data = sent.get("data.json", sent.get("data_json"))
    if data is None and ("data.xml" in sent or "data_xml" in sent):
        raise UnreadableSubmission(
            "the submission is XML only; choose form data or JSON in the webhook's settings"
        )
    if isinstance(data, str):
        data = reading.json_of(data, "data.json")
    return sent if data is None else reading.mapping_in(data, "data.json")


def _answers(sent: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Answer]:
    yield from answers.by_name(data, _ENVELOPE)
    yield Answer(_told(sent, data, "page_url"), "page_url", field="landing_page")
    for name, told in (("form_id", "page_id"), ("form_name", "page_name"), ("variant", "variant")):
        yield Answer(_told(sent, data, told), name, sort=Sort.OTHER)


def _told(sent: Mapping[str, Any], data: Mapping[str, Any], name: str) -> Any:
    value = (
        sent.get(name) or data.get(name) or (_told(sent, data, "page_uuid") if name == "page_id" else None)
    )
    return value[0] if isinstance(value, list) and value else value


def _time(data: Mapping[str, Any]) -> datetime | None:
    """`2023-06-06` and `10:57 PM UTC`, each of them text or a list of one."""
    day, hour = (_told(data, {}, name) for name in ("date_submitted", "time_submitted"))
    try:
        return datetime.strptime(f"{day} {hour}", "%Y-%m-%d %I:%M %p UTC").replace(tzinfo=UTC)
    except ValueError:
        return None


def _key(sent: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    told = json.dumps([_told(sent, data, "page_id"), data], sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
