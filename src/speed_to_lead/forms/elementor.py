"""Elementor Pro forms: urlencoded, by label (the simple mode), or by id with type and title ("Advanced Data").

It signs nothing and knows no headers of one's own: the address it posts to carries the token (`?token=…`, `token_env`). Its
date and time are the site's local ones, in the site's language: they are kept as they are written.

Selectors in `intake.toml`: `label:<label>`, `id:<field id>`, `type:<email>`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from html import unescape
from typing import Any

from speed_to_lead.core.submission import Form, ParsedSubmission, Submission, generic_lead, lead_field_named
from speed_to_lead.forms import answers, bodies, reading, signatures
from speed_to_lead.forms.answer import Answer, Sort
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
_ATTRIBUTES = {"label": "title", "id": "id", "type": "type"}
selectors: tuple[str, ...] = tuple(_ATTRIBUTES)

_SORTS = {
    "email": Sort.EMAIL,
    "tel": Sort.PHONE,
    "textarea": Sort.LONG_TEXT,
    "url": Sort.LINK,
    "number": Sort.NUMBER,
    "select": Sort.PICKED,
    "radio": Sort.PICKED,
    "checkbox": Sort.PICKED,
    "acceptance": Sort.CONSENT,
    "hidden": Sort.HIDDEN,
    "date": Sort.OTHER,
    "time": Sort.OTHER,
    "upload": Sort.OTHER,
}
#: What Elementor adds of itself, by the names of its simple mode and of its advanced one.
_META = {
    "Page URL": "landing_page",
    "page_url": "landing_page",
    "Date": "date",
    "date": "date",
    "Time": "time",
    "time": "time",
    "form_id": "form_id",
    "form_name": "form_name",
}
_NO_LABEL = "No Label "
_MACHINERY = frozenset(
    {"User Agent", "user_agent", "Remote IP", "remote_ip", "Powered by", "credit", "fields", "form", "meta"}
)


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why no request is taken for its signature: there is none."""
    del request, secret, now
    return signatures.unsigned_refusal("Elementor")


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in a submission. It has no id: the same content within ten minutes is the same submission."""
    sent = bodies.fields_in(submission)
    is_advanced = isinstance(sent.get("fields"), (Mapping, list))
    given = list(_advanced(sent) if is_advanced else _simple(sent))
    payload = answers.payload_of(given, form, _ATTRIBUTES)
    if answers.is_test(given):
        return ParsedSubmission(reading.lead_or_nobody(payload), is_test=True)
    return ParsedSubmission(generic_lead(payload))


def _simple(sent: Mapping[str, Any]) -> Iterator[Answer]:
    for label, value in sent.items():
        if label in _META:
            yield _meta(_META[label], value)
        elif label not in _MACHINERY:
            yield Answer(value, title=label.removeprefix(_NO_LABEL))


def _as_typed(value: Any, raw: Any) -> Any:
    """The value; where WordPress only wrote its signs as entities when it cleaned it (`&amp;`), what was typed."""
    if isinstance(value, str) and isinstance(raw, str) and unescape(value).strip() == raw.strip():
        return raw
    return value or raw


def _advanced(sent: Mapping[str, Any]) -> Iterator[Answer]:
    fields = sent["fields"]
    by_id = fields.items() if isinstance(fields, Mapping) else enumerate(fields)
    for identity, field in by_id:
        told = reading.mapping_or_nothing(field)
        kind = str(told.get("type") or "")
        given_id = str(told.get("id") or identity)
        title = " ".join(str(told.get("title") or "").split())
        yield Answer(
            _as_typed(told.get("value", None if told else field), told.get("raw_value")),
            name="" if title and lead_field_named(given_id) is None else given_id,
            title=title,
            id=given_id,
            type=kind,
            sort=_SORTS.get(kind, Sort.UNKNOWN),
        )
    for name, value in reading.mapping_or_nothing(sent.get("meta")).items():
        if name in _META:
            yield _meta(_META[name], reading.mapping_or_nothing(value).get("value"))
    for name, value in reading.mapping_or_nothing(sent.get("form")).items():
        yield _meta(f"form_{name}", value)


def _meta(name: str, value: Any) -> Answer:
    field = "landing_page" if name == "landing_page" else ""
    return Answer(value, name, sort=Sort.OTHER, field=field)
