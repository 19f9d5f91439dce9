"""Fluent Forms Pro: fields by their names (`names[first_name]`, `email`, `phone`), as JSON or urlencoded.

It signs nothing: the webhook sends a token in a header of its own, or in the address. With "All Data" the entry comes along
as `__submission`; its times are the site's local ones.

Selectors in `intake.toml`: `field:<name>`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from speed_to_lead.core.submission import Form, ParsedSubmission, Submission, generic_lead
from speed_to_lead.forms import answers, bodies, reading, signatures
from speed_to_lead.forms.answer import Answer, Sort
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
_ATTRIBUTES = {"field": "name"}
selectors: tuple[str, ...] = tuple(_ATTRIBUTES)

_MACHINERY = frozenset({"__submission", "_wp_http_referer", "__fluent_form_embded_post_id"})
#: What WordPress adds, with the number of the form in its name.
_MACHINERY_STARTS = ("_fluentform_", "item__")


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why no request is taken for its signature: there is none."""
    del request, secret, now
    return signatures.unsigned_refusal("Fluent Forms")


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in a submission; the same-submission key is the entry's id, where the entry comes along."""
    sent = bodies.fields_in(submission)
    entry = _entry(sent)
    given = list(_answers(sent, entry))
    payload = answers.payload_of(given, form, _ATTRIBUTES)
    if answers.is_test(given):
        return ParsedSubmission(reading.lead_or_nobody(payload), is_test=True)
    entry_id = reading.key_in(entry.get("id"))
    return ParsedSubmission(
        generic_lead(payload),
        same_submission_key=f"{reading.key_in(entry.get('form_id')) or ''}.{entry_id}" if entry_id else None,
    )


def _entry(sent: Mapping[str, Any]) -> Mapping[str, Any]:
    entry = sent.get("__submission")
    if isinstance(entry, str) and entry.lstrip().startswith("{"):
        entry = reading.json_of(entry, "__submission")
    return reading.mapping_or_nothing(entry)


def _answers(sent: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[Answer]:
    answered = {
        name: value
        for name, value in sent.items()
        if name not in _MACHINERY and not name.startswith(_MACHINERY_STARTS)
    }
    # Of a mapping of one's own, the entry may be all there is.
    of_entry = entry.get("user_inputs") or entry.get("response")
    if isinstance(of_entry, str) and of_entry.lstrip().startswith("{"):
        of_entry = reading.json_of(of_entry, "__submission.response")
    yield from answers.by_name(answered or reading.mapping_or_nothing(of_entry))
    yield Answer(entry.get("source_url"), "source_url", field="landing_page")
    for name in ("form_id", "serial_number", "status"):
        yield Answer(entry.get(name), name, sort=Sort.OTHER)
