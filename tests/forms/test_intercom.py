"""Intercom: contacts, conversations, and the topics that tell of nobody new."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from speed_to_lead.core.submission import Form, GenericLead, Submission, UnreadableSubmission
from speed_to_lead.forms import WebhookRequest, read, refusal_of

FORM = Form("chat", "intercom", "signature", "SECRET")


def notification(topic: str, item: Any) -> dict[str, Any]:
    return {
        "type": "notification_event",
        "topic": topic,
        "id": "notif_1",
        "created_at": 1709031735,
        "data": {"item": item},
    }


def test_a_lead(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """A contact with its attributes, its place and where it came from."""
    parsed = read(submission(sample("intercom")), FORM)
    expected = GenericLead(
        {
            "email": "ana.ruiz@example.com",
            "phone": "+44 20 7946 0018",
            "name": "Ana Ruiz",
            "utm_source": "google",
            "utm_medium": "cpc",
            "utm_campaign": "spring",
            "referrer": "https://www.example.com/pricing",
            "country": "United Kingdom",
            "region": "England",
            "city": "London",
            "company": "Example Ltd",
            "title": "CTO",
        },
        {
            "intercom_topic": "contact.lead.created",
            "intercom_id": "5ba682d23d7cf92bef87bfd4",
            "role": "lead",
            "plan": "trial",
        },
    )
    assert expected == parsed.lead
    assert parsed.same_submission_key == "5ba682d23d7cf92bef87bfd4.contact.lead.created"
    assert parsed.submitted_at == datetime(2024, 2, 27, 11, 2, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    "item",
    [
        {
            "type": "conversation", "id": "147", "created_at": 1709031735,
            "user": {"type": "user", "id": "u", "name": "Ana", "email": "ana@example.com"},
            "conversation_message": {"body": "<p>A&nbsp;demo,<br>please &amp; soon</p>", "url": "https://www.example.com/"},
        },
        {
            "type": "conversation", "id": "147", "created_at": 1709031735,
            "source": {"body": "<p>A demo, please &amp; soon</p>", "url": "https://www.example.com/",
                       "author": {"type": "user", "id": "u", "name": "Ana", "email": "ana@example.com"}},
            "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": "u"}]},
        },
    ],
)  # fmt: skip
def test_a_conversation(submission: Callable[..., Submission], item: dict[str, Any]) -> None:
    """Whoever began it, and what they wrote, in the old shape and in the new."""
    parsed = read(submission(notification("conversation.user.created", item)), FORM)
    fields = {
        "email": "ana@example.com",
        "name": "Ana",
        "landing_page": "https://www.example.com/",
        "message": "A demo, please & soon",
    }
    assert fields == parsed.lead.fields
    assert parsed.same_submission_key == "147.conversation.user.created"
    assert parsed.submitted_at == datetime(2024, 2, 27, 11, 2, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("topic", "item"),
    [
        ("ping", {"type": "ping", "message": "something something interzen"}),
        ("ping", None),
        ("conversation.admin.replied", {"user": {"email": "ana@example.com"}}),
        ("contact.lead.tag.created", {"type": "contact_tag", "contact": {"email": "ana@example.com"}}),
        ("contact.user.tag.created", {"email": "ana@example.com"}),
        ("user.tag.created", {"user": {"email": "ana@example.com"}}),
        ("contact.lead.updated", {"email": "ana@example.com"}),
        ("conversation.admin.closed", {"user": {"email": "ana@example.com"}}),
        ("conversation_part.tag.created", {"user": {"email": "ana@example.com"}}),
        ("contact.lead.created", {"id": "1", "email": None}),
    ],
)
def test_what_tells_of_nobody_new_is_counted_only(
    submission: Callable[..., Submission], topic: str, item: Any
) -> None:
    """The ping of the set-up, replies, and a lead nobody can reach yet (Intercom tells when it has an address)."""
    assert read(submission({**notification(topic, item), "id": None}), FORM).is_test


def test_a_lead_that_left_its_address(submission: Callable[..., Submission]) -> None:
    """It is a lead then, under a key of its own."""
    item = {"id": "1", "role": "lead", "email": "ana@example.com"}
    parsed = read(submission(notification("contact.lead.added_email", item)), FORM)
    assert (parsed.is_test, parsed.same_submission_key) == (False, "1.contact.lead.added_email")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "topic is missing"),
        (notification("conversation.user.created", {"user": {"email": ""}}), "nobody to answer"),
    ],
)
def test_what_cannot_be_a_lead(submission: Callable[..., Submission], body: Any, text: str) -> None:
    """A body without a topic, and a conversation of somebody without an address, are dead letters."""
    with pytest.raises(UnreadableSubmission, match=text):
        read(submission(body), FORM)


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [("good", True), ("GOOD", True), ("sha1=00", False), ("", False), ("ä", False)],
)
def test_the_signature(given: str, is_taken: bool) -> None:
    """HMAC-SHA1 over the raw body; either of two secrets while they are changed."""
    body = b'{"topic": "ping", "id": null}'
    digest = "sha1=" + hmac.new(b"client-secret-1", body, hashlib.sha1).hexdigest()
    header = {"good": digest, "GOOD": digest.upper()}.get(given, given)
    request = WebhookRequest("POST", "https://x/", {"x-hub-signature": header}, body)
    environment = {"SECRET": "client-secret-2 client-secret-1"}
    assert is_taken == (refusal_of(request, FORM, environment, datetime.now(UTC)) is None)
    request = WebhookRequest("POST", "https://x/", {"x-hub-signature": header}, body + b" ")
    assert refusal_of(request, FORM, environment, datetime.now(UTC)) is not None


def test_selectors(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """A custom attribute by its name, anything else by its path."""
    fields = {
        "timeline": "attribute:plan",
        "custom.workspace": "item:workspace_id",
        "company": "company_name",
    }
    lead = read(submission(sample("intercom")), Form("chat", "intercom", "none", fields=fields)).lead
    assert [lead.get(name) for name in fields] == ["trial", "a86dr8yl", "Example Ltd"]
    assert "plan" not in lead.custom
