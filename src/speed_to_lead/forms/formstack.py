"""Formstack: fields by their labels, ids or API keys (as the webhook is set), urlencoded or JSON.

Signed with `X-FS-Signature: sha256=<hex HMAC-SHA256 of the raw body>` where the webhook has an HMAC key; no timestamp is signed,
so a replay is recognised by `UniqueID`. Its "Shared Secret" comes in the body and proves nothing here: it is left out of the lead.

Selectors in `intake.toml`: `field:<label, id or API key>`.
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
_ATTRIBUTES = {"field": "name"}
selectors: tuple[str, ...] = tuple(_ATTRIBUTES)

_MACHINERY = ("FormID", "UniqueID", "HandshakeKey")
_LONGEST_COMPOSED = 2000
#: A name or an address as Formstack stores it: "first = Ana", "last = Ruiz", a line each.
_PART = re.compile(r"([a-z_0-9]{1,20}) =(?: (.*))?")


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why the request does not carry Formstack's signature of its body."""
    del now  # Formstack signs no time
    given = request.headers.get("x-fs-signature", "").strip().lower()
    if not given:
        return "the header X-FS-Signature is missing; has the webhook an HMAC key, and is that the header's name?"

    def expected(key: bytes) -> Iterator[str]:
        yield f"sha256={signatures.hmac_hex(key, request.body)}"

    return None if signatures.any_matches((given,), secret, expected) else "X-FS-Signature does not match"


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in a submission; the same-submission key is its `UniqueID`. No time is sent."""
    sent = bodies.fields_in(submission)
    given = [Answer(_taken_apart(value), name) for name, value in sent.items() if name not in _MACHINERY]
    given.append(Answer(sent.get("FormID"), "form_id", sort=Sort.OTHER))
    payload = answers.payload_of(given, form, _ATTRIBUTES)
    if answers.is_test(given):
        return ParsedSubmission(reading.lead_or_nobody(payload), is_test=True)
    return ParsedSubmission(generic_lead(payload), same_submission_key=reading.key_in(sent.get("UniqueID")))


def _taken_apart(value: Any) -> Any:
    """The parts of a value that holds a line for each of them; any other value as it is."""
    if not isinstance(value, str) or " = " not in value or len(value) > _LONGEST_COMPOSED:
        return value
    lines = [line for line in value.splitlines() if line.strip()]
    found = [_PART.fullmatch(line.strip()) for line in lines]
    parts: Mapping[str, str] = {part[1]: part[2] or "" for part in found if part}
    return parts if parts and len(parts) == len(lines) else value
