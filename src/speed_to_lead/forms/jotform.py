"""Jotform: the JSON text `rawRequest` in a multipart body: answers by the name of their question, `q3_fullName`.

Jotform signs nothing: the address it posts to carries a token (`?token=…`, `token_env`). It repeats that address in the body;
what is stored holds *** in its place. It sends no time either.

Selectors in `intake.toml`: `name:<fullName>`, `id:<3>`; a part of a name or an address is `name:fullName.first`.
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
_ATTRIBUTES = {"name": "name", "id": "id"}
selectors: tuple[str, ...] = tuple(_ATTRIBUTES)

_QUESTION = re.compile(r"q(\d{1,9})_(.*)", re.DOTALL)
#: What Jotform's own scripts send along.
_MACHINERY = frozenset({
    "slug", "jsExecutionTracker", "submitSource", "buildDate", "uploadServerUrl", "eventObserver", "timeToSubmit",
    "temp_upload", "file_server", "preview", "path", "validatedNewRequiredFieldIDs", "event_id", "simple_spc", "submitDate",
    "formID", "formOpenId_V5", "embedUrl", "visitedPages", "captcha",
})  # fmt: skip


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why no request is taken for its signature: there is none."""
    del request, secret, now
    return signatures.unsigned_refusal("Jotform")


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in a submission; the same-submission key is its `submissionID`."""
    sent = bodies.fields_in(submission)
    given = list(_answers(sent))
    payload = answers.payload_of(given, form, _ATTRIBUTES)
    if answers.is_test(given):
        return ParsedSubmission(reading.lead_or_nobody(payload), is_test=True)
    return ParsedSubmission(
        generic_lead(payload), same_submission_key=reading.key_in(sent.get("submissionID"))
    )


def _answers(sent: Mapping[str, Any]) -> Iterator[Answer]:
    raw = sent.get("rawRequest")
    if isinstance(raw, str):
        raw = reading.json_of(raw, "rawRequest")
    for name, value in reading.mapping_in(sent if raw is None else raw, "rawRequest").items():
        question = _QUESTION.fullmatch(name)
        if question:
            yield Answer(value, question[2] or name, id=question[1])
        elif raw is not None and name not in _MACHINERY:
            yield Answer(value, name, sort=Sort.OTHER if isinstance(value, list) else Sort.UNKNOWN)
    for name, value in {
        "form_id": sent.get("formID"),
        "form_name": sent.get("formTitle"),
        "custom_params": sent.get("customParams"),
    }.items():
        yield Answer(value, name, sort=Sort.OTHER)
