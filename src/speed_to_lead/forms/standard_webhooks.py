"""Standard Webhooks 1.0: any sender that signs by that convention, Svix's customers among them.

Signed with `webhook-signature: v1,<base64 HMAC-SHA256 of "id.timestamp.body">`; the timestamp counts for five minutes.
`webhook-id` stays the same for every retry. https://www.standardwebhooks.com

The convention's envelope (`{"type", "timestamp", "data"}`) is opened; a body without one is the lead itself.

Selectors in `intake.toml`: those of `generic`, inside `data`.
"""

from collections.abc import Mapping
from typing import Any

from speed_to_lead.core.submission import Form, ParsedSubmission, Submission
from speed_to_lead.forms import generic, reading

kept_headers: tuple[str, ...] = ("webhook-id", "svix-id")
selectors: tuple[str, ...] = generic.selectors
refusal = generic.refusal

_ENVELOPE = frozenset({"type", "timestamp", "data", "id", "event_type", "event", "created_at", "object"})


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in a message; a test is what says so, as in `generic`."""
    given = generic.given_in(submission)
    headers = submission.headers
    key = headers.get("webhook-id") or headers.get("svix-id")
    data = given.get("data")
    if not isinstance(data, Mapping) or not _ENVELOPE.issuperset(given):
        return generic.lead_in(given, form, key)
    opened: dict[str, Any] = dict(data)
    kind = given.get("type") or given.get("event_type")
    if isinstance(kind, str):
        opened.setdefault("event_type", kind)
    sent_at = reading.instant_in(given.get("timestamp")) or reading.instant_in(given.get("created_at"))
    return generic.lead_in(opened, form, key, sent_at)
