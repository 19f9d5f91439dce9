"""Generic: whatever else can POST (Zapier, Make, a form of one's own): JSON or an urlencoded form of the generic lead.

Proof is Standard Webhooks (`auth = "standard-webhooks"`) or a shared token; see `signatures.py`.

Selectors in `intake.toml`: `key:<name>` or the plain name; a dotted path reaches into nested JSON (`contact.email`).
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from speed_to_lead.core.submission import (
    Form,
    ParsedSubmission,
    Submission,
    UnreadableSubmission,
    generic_lead,
)
from speed_to_lead.forms import reading, signatures
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ("webhook-id", "idempotency-key")
selectors: tuple[str, ...] = ("key",)

#: What is longer is no name of a time, and not worth remembering.
_LONGEST_NAME = 64
#: What the form's own time is called, the most exact name first.
_TIME_NAMES = ("submittedat", "createdat", "timestamp")


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why the request is not genuine by Standard Webhooks."""
    return signatures.standard_webhooks_refusal(request, secret, now)


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in a flat object.

    The same-submission key is the header `webhook-id`, else `idempotency-key`, else the field `submission_id`.
    A test is what says so: `is_test` or `test` is true.
    """
    headers = submission.headers
    return lead_in(given_in(submission), form, headers.get("webhook-id") or headers.get("idempotency-key"))


def lead_in(
    given: Mapping[str, Any], form: Form, key: str | None = None, sent_at: datetime | None = None
) -> ParsedSubmission:
    """The lead in a flat object, whatever it came in. `key` and `sent_at`: what the envelope says of it, if anything.

    The form's own time, where the object has one, is nearer to the person than the envelope's.
    """
    payload = dict(given)
    is_test = _taken_test_mark(payload)
    submitted_at = _taken_time(payload)
    explicit = payload.pop("submission_id", None)
    if not key and isinstance(explicit, (str, int)) and not isinstance(explicit, bool):
        key = str(explicit)
    _place_fields(payload, given, form)
    lead = reading.lead_or_nobody(payload) if is_test else generic_lead(payload)
    return ParsedSubmission(lead, key or None, submitted_at or sent_at, is_test)


def given_in(submission: Submission) -> Mapping[str, Any]:
    """The flat object in the body, JSON or an urlencoded form. Raises UnreadableSubmission where it is neither."""
    content_type = submission.content_type.partition(";")[0].strip().casefold()
    start = submission.body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if content_type.startswith("multipart/"):
        raise UnreadableSubmission("the body is multipart; send JSON or application/x-www-form-urlencoded")
    # `curl -d '{…}'` calls JSON a form, so what a body begins with counts for more than what it is called.
    is_json = (
        start in (b"{", b"[") or content_type.endswith(("/json", "+json")) or b"=" not in submission.body
    )
    if not is_json:
        return reading.form_fields_in(submission)
    value = reading.json_in(submission)
    if isinstance(value, list):
        if len(value) != 1:
            raise UnreadableSubmission(f"the body is a list of {len(value)} items; send one lead per request")
        value = value[0]
    return reading.mapping_in(value, "the body")


def _place_fields(payload: dict[str, Any], given: Mapping[str, Any], form: Form) -> None:
    def selected(kind: str, name: str) -> Any:
        path = name if kind in ("", "key") else f"{kind}:{name}"
        return value_at(given, path)

    for selector in form.fields.values():  # what is chosen for a field is not kept under custom a second time
        payload.pop(selector.removeprefix("key:"), None)
    if not isinstance(payload.get("custom"), dict):
        # A custom that is not an object is kept as a custom field of that name.
        payload["custom"] = {"custom": payload["custom"]} if payload.get("custom") else {}
    else:
        payload["custom"] = dict(payload["custom"])
    reading.place_fields(payload, form, selected)


def value_at(given: Any, path: str) -> Any:
    """The value of that name, else at that dotted path; a number in the path is a place in a list."""
    if isinstance(given, Mapping) and path in given:
        return given[path]
    for part in path.split("."):
        if isinstance(given, Mapping):
            given = given.get(part)
        elif isinstance(given, list) and part.isdecimal() and int(part) < len(given):
            given = given[int(part)]
        else:
            return None
    return given


def _taken_test_mark(payload: dict[str, Any]) -> bool:
    """Whether the delivery calls itself a test. `test` must say so in one word: it may be a question of the form."""
    if "is_test" not in payload and "test" not in payload:
        return False
    marks = ((name, payload.get(name)) for name in ("is_test", "test"))
    given = {name: value.strip().casefold() if isinstance(value, str) else value for name, value in marks}
    is_test = any(value is True or value == "true" for value in given.values()) or given["is_test"] in (
        1,
        "1",
    )
    for name, value in given.items():
        if isinstance(value, bool) or value in ("true", "false"):
            payload.pop(name, None)
    return is_test


def _taken_time(payload: dict[str, Any]) -> datetime | None:
    """The form's own time, taken out of the payload; one that cannot be read stays there, under `custom`."""
    named = [name for name in payload if len(name) <= _LONGEST_NAME and _squashed(name) in _TIME_NAMES]
    for name in sorted(named, key=lambda name: _TIME_NAMES.index(_squashed(name))):
        instant = reading.instant_in(payload[name])
        if instant is not None:
            del payload[name]
            return instant
    return None


@lru_cache(maxsize=4096)  # every delivery of a form has the same names
def _squashed(name: str) -> str:
    return name.replace("_", "").replace(" ", "").casefold()
