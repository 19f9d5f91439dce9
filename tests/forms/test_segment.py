"""Segment: identify and track; a batch is proven by a token, for its signature covers one event."""

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from speed_to_lead.core.submission import Form, GenericLead, Submission, UnreadableSubmission
from speed_to_lead.forms import WebhookRequest, read, refusal_of, split

FORM = Form("cdp", "segment", "signature", "SECRET")
SECRET = "shared-secret-of-segment"


def signature(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()


def test_an_identify(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """Traits, the campaign and the page."""
    parsed = read(submission(sample("segment")), FORM)
    expected = GenericLead(
        {
            "email": "ana.ruiz@example.com",
            "first_name": "Ana",
            "last_name": "Ruiz",
            "phone": "+1 617 555 0100",
            "title": "CTO",
            "company": "Example Inc",
            "industry": "Software",
            "employees": 420,
            "country": "US",
            "region": "MA",
            "city": "Boston",
            "utm_campaign": "spring",
            "utm_source": "newsletter",
            "utm_medium": "email",
            "utm_term": "crm",
            "utm_content": "top",
            "landing_page": "https://www.example.com/demo",
            "referrer": "https://www.example.org/",
        },
        {"user_id": "97980cfea0067", "anonymous_id": "507f191e810c19729de860ea", "plan": "trial"},
    )
    assert expected == parsed.lead
    assert parsed.same_submission_key == "segment-test-message-7c2f1d"
    assert parsed.submitted_at == datetime(2024, 2, 23, 22, 28, 55, 111000, tzinfo=UTC)


def test_a_track(submission: Callable[..., Submission]) -> None:
    """Its properties say what happened, the context's traits or the properties who it was."""
    event = {
        "type": "track",
        "event": "Demo Requested",
        "messageId": "m",
        "properties": {"phone": "+1 617 555 0100", "plan": "pro"},
        "context": {"traits": {"email": "ana@example.com"}},
    }
    expected = GenericLead(
        {"email": "ana@example.com", "phone": "+1 617 555 0100"},
        {"segment_event": "Demo Requested", "plan": "pro"},
    )
    assert expected == read(submission(event), FORM).lead


@pytest.mark.parametrize("kind", ["page", "screen", "group", "alias"])
def test_other_calls_are_counted_only(submission: Callable[..., Submission], kind: str) -> None:
    """They tell of nobody who waits."""
    assert read(submission({"type": kind, "traits": {"email": "ana@example.com"}}), FORM).is_test


def test_an_anonymous_identify(submission: Callable[..., Submission]) -> None:
    """Nobody to answer: a dead letter."""
    with pytest.raises(UnreadableSubmission, match="nobody to answer"):
        read(submission({"type": "identify", "anonymousId": "x"}), FORM)


ONE = b'{"type":"identify","traits":{"email":"a@example.com"}}'


@pytest.mark.parametrize(
    ("body", "signed", "reason"),
    [
        (ONE, ONE, None),
        (b"[" + ONE + b"]", ONE, None),
        (b"[" + ONE + b"," + ONE + b"]", ONE, "token_env"),
        (b"[" + ONE + b"," + ONE + b"]", ONE + b"," + ONE, None),
        (ONE, ONE + b" ", "does not match"),
        (b"", b"x", "does not match"),
        (b"[", b"x", "token_env"),
        (b"{" * 100_000, b"x", "does not match"),
    ],
)
def test_the_signature(body: bytes, signed: bytes, reason: str | None) -> None:
    """Of one event it covers all; of a batch the first only, and the others might be anybody's."""
    request = WebhookRequest("POST", "https://x/", {"x-signature": signature(signed)}, body)
    refusal = refusal_of(request, FORM, {"SECRET": f"another-secret {SECRET}"}, datetime.now(UTC))
    assert (refusal is None) == (reason is None)
    assert refusal is None or (reason or "") in refusal.reason


def test_a_missing_signature() -> None:
    """It is refused, and the reason says what to set."""
    refusal = refusal_of(
        WebhookRequest("POST", "https://x/", {}, ONE), FORM, {"SECRET": SECRET}, datetime.now(UTC)
    )
    assert refusal is not None
    assert "shared secret" in refusal.reason


def test_selectors(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """Traits, properties and the context, by dotted paths."""
    fields = {"timeline": "trait:plan", "custom.zip": "address.postalCode", "custom.ip": "context:ip"}
    lead = read(submission(json.dumps(sample("segment"))), Form("cdp", "segment", "none", fields=fields)).lead
    assert [lead.get(name) for name in fields] == ["trial", "02110", "203.0.113.8"]
    assert "plan" not in lead.custom


def test_a_batch_is_so_many_leads(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]
) -> None:
    """Proven by a token, each event is a submission of its own."""
    batch = [sample("segment"), {**sample("segment"), "messageId": "2"}]
    parts = split(submission(batch), FORM)
    assert [read(part, FORM).same_submission_key for part in parts] == ["segment-test-message-7c2f1d", "2"]
