"""Gravity Forms (Webhooks add-on): the entry, whose answers are called "1", "1.3", "4"; or fields under names of one's own.

The numbers tell nothing, and the add-on sends no labels: a name field is known by its parts (`.3` first, `.6` last), an
address by its parts (`.1` street, `.5` postal code), an e-mail address and a phone number by their looks. Everything else
is named in `intake.toml`, or in the webhook's own "Select Fields", which sends the names chosen there.

Gravity Forms signs nothing: the webhook sends a token in a header of its own, or in the address.

Selectors in `intake.toml`: `input:<1.3>`, or the name chosen in the webhook.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from speed_to_lead.core.submission import Form, ParsedSubmission, Submission, generic_lead
from speed_to_lead.forms import answers, bodies, reading, signatures
from speed_to_lead.forms.answer import Answer, Sort
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
_ATTRIBUTES = {"input": "name"}
selectors: tuple[str, ...] = tuple(_ATTRIBUTES)

_INPUT = re.compile(r"(\d{1,6})\.(\d{1,4})")
#: The columns of an entry that are no answers.
_COLUMNS = frozenset({
    "id", "form_id", "post_id", "date_created", "date_updated", "is_starred", "is_read", "ip", "source_url", "user_agent",
    "currency", "payment_status", "payment_date", "payment_amount", "payment_method", "transaction_id", "is_fulfilled",
    "created_by", "transaction_type", "status", "source_id", "submission_speeds", "is_approved", "partial_entry_id",
    "partial_entry_percent", "resume_token",
})  # fmt: skip
#: The inputs of a name and of an address, and what each of them is.
_NAME = {"2": "", "3": "first_name", "4": "", "6": "last_name", "8": ""}
_ADDRESS = {"1": "", "2": "", "3": "city", "4": "region", "5": "", "6": "country"}


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why no request is taken for its signature: there is none."""
    del request, secret, now
    return signatures.unsigned_refusal("Gravity Forms")


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in an entry; the same-submission key is the entry's `id`, its time `date_created`, in UTC."""
    entry = bodies.fields_in(submission)
    given = list(_answers(entry))
    payload = answers.payload_of(given, form, _ATTRIBUTES)
    if answers.is_test(given):
        return ParsedSubmission(reading.lead_or_nobody(payload), is_test=True)
    is_entry = "form_id" in entry  # an "id" without it may be any field
    entry_id = reading.key_in(entry.get("id")) if is_entry else None
    return ParsedSubmission(
        generic_lead(payload),
        same_submission_key=f"{reading.key_in(entry.get('form_id'))}.{entry_id}" if entry_id else None,
        submitted_at=reading.instant_in(entry.get("date_created")),
    )


def _answers(entry: Mapping[str, Any]) -> Iterator[Answer]:
    columns = _COLUMNS if "form_id" in entry else frozenset[str]()
    inputs: dict[str, set[str]] = {}
    for name in entry:
        if found := _INPUT.fullmatch(name):
            inputs.setdefault(found[1], set()).add(found[2])
    for name, value in entry.items():
        if name in columns:
            continue
        found = _INPUT.fullmatch(name)
        field = _field_of(found[2], inputs[found[1]]) if found else None
        yield Answer(value, name, sort=Sort.UNKNOWN if field is None else Sort.OTHER, field=field or "")
    yield Answer(entry.get("source_url"), "source_url", field="landing_page")
    for name in ("form_id", "status"):
        yield Answer(entry.get(name) if columns else None, name, sort=Sort.OTHER)


def _field_of(part: str, parts: set[str]) -> str | None:
    """The field of the lead that this part of an answer is, "" for none; None where they are no parts, but a list of boxes."""
    if {"3", "6"} <= parts <= _NAME.keys():
        return _NAME[part]
    return _ADDRESS[part] if {"1", "3", "5", "6"} <= parts <= _ADDRESS.keys() else None
