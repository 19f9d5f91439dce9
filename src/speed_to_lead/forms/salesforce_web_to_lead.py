"""Salesforce Web-to-Lead: an HTML form made for Salesforce, pointed at us instead (or as well) without a change to its fields.

It signs nothing: its address carries a token (`?token=…`, `token_env`), which a page shows to everybody who reads it, or the
form has `auth = "none"`. There is no id and no time in it.

Selectors in `intake.toml`: `field:<name>`, such as `field:00N5e00000abcde` for a custom field.
"""

from datetime import datetime

from speed_to_lead.core.submission import Form, ParsedSubmission, Submission, generic_lead
from speed_to_lead.forms import answers, bodies, reading, signatures
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
_ATTRIBUTES = {"field": "name"}
selectors: tuple[str, ...] = tuple(_ATTRIBUTES)

#: What the form tells Salesforce, and nobody answered.
_MACHINERY = (
    "oid", "retURL", "debug", "debugEmail", "encoding", "captcha_settings", "submit",
)  # fmt: skip


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why no request is taken for its signature: there is none."""
    del request, secret, now
    return signatures.unsigned_refusal("Salesforce Web-to-Lead")


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in a form. It has no id: the same content within ten minutes is the same submission."""
    given = list(answers.by_name(bodies.fields_in(submission), _MACHINERY))
    payload = answers.payload_of(given, form, _ATTRIBUTES)
    if answers.is_test(given):
        return ParsedSubmission(reading.lead_or_nobody(payload), is_test=True)
    return ParsedSubmission(generic_lead(payload))
