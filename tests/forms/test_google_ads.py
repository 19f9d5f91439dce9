"""Google Ads: columns by their ids, the key in the body, test leads that reach nobody."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from speed_to_lead.core.submission import (
    Form,
    GenericLead,
    ParsedSubmission,
    Submission,
    UnreadableSubmission,
)
from speed_to_lead.forms import Refusal, WebhookRequest, body_to_store, read, refusal_of

FORM = Form("ads", "google_ads", "signature", "KEY")
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
KEY = "a-key-of-google-ads"


def refused(body: bytes, secret: str = KEY) -> str | None:
    request = WebhookRequest("POST", "https://leads.example.com/hooks/ads", {}, body)
    refusal = refusal_of(request, FORM, {"KEY": secret}, NOW)
    assert refusal is None or isinstance(refusal, Refusal)
    return refusal.reason if refusal else None


def test_a_lead(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """Google's own columns are fields of the lead, other questions are kept under their id, the key nowhere."""
    expected = ParsedSubmission(
        GenericLead(
            {
                "gclid": "Cj0KCQjw-example-click",
                "email": "ana.ruiz@example.com",
                "phone": "+11234567890",
                "name": "Ana Ruiz",
                "company": "Example GmbH",
                "employees": "201-500",
                "title": "Head of Sales",
                "city": "Berlin",
                "country": "Germany",
            },
            {
                "form_id": "9007199254740995",
                "campaign_id": 123456,
                "adgroup_id": 20000000000,
                "creative_id": 30000000000,
                "lead_stage": "NEW",
                "lead_source": "LEAD_FORM",
                "WORK_EMAIL": "ana@work.example.com",
                "POSTAL_CODE": "10115",
                "when_do_you_want_to_start?": "This month",
            },
        ),
        same_submission_key="Cj0KCQjwit_8BRCoARIsAIx3Rj7g-AeL6z35IWb6VYiZUygtTfwD3hDlgSGmY-XTTlK3lfV1wcuIwIAaAmMxEALw_wcB",
        submitted_at=datetime(2024, 9, 26, 12, 30, tzinfo=UTC),
    )
    assert expected == read(submission(sample("google_ads")), FORM)


def test_a_delivery_of_the_first_version(submission: Callable[..., Submission]) -> None:
    """Newer members may be missing: then nothing is said of the time, and column names stand in for ids."""
    columns = [
        {"column_name": "Full Name", "string_value": "Ana Ruiz"},
        {"column_name": "User Phone", "string_value": "+11234567890"},
    ]
    parsed = read(
        submission({"lead_id": "1", "gcl_id": "c", "google_key": KEY, "user_column_data": columns}), FORM
    )
    expected = GenericLead({"gclid": "c", "phone": "+11234567890", "name": "Ana Ruiz"})
    assert expected == parsed.lead
    assert parsed.submitted_at is None


@pytest.mark.parametrize("mark", [True, "true", "True"])
def test_test_data_reaches_nobody(submission: Callable[..., Submission], mark: Any) -> None:
    """What "Send test data" sends is a test, whoever is in it."""
    columns = [{"column_id": "EMAIL", "string_value": "test@example.com"}]
    assert read(submission({"lead_id": "1", "is_test": mark, "user_column_data": columns}), FORM).is_test
    assert read(submission({"is_test": mark}), FORM).is_test


@pytest.mark.parametrize("mark", [False, "false", None, 0])
def test_anything_else_is_no_test(submission: Callable[..., Submission], mark: Any) -> None:
    """A missing or false mark is a lead of production."""
    columns = [{"column_id": "EMAIL", "string_value": "ana@example.com"}]
    assert not read(submission({"lead_id": "1", "is_test": mark, "user_column_data": columns}), FORM).is_test


@pytest.mark.parametrize("name", ["google_key", "Google_key", "GOOGLE_KEY"])
def test_the_key_is_taken_however_it_is_spelt(name: str) -> None:
    """Google's own test samples write it with a capital."""
    assert refused(json.dumps({name: KEY}).encode()) is None
    assert refused(json.dumps({name: KEY}).encode(), f"another-key-of-ours, {KEY}") is None


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"google_key": "wrong"}', "is not ours"),
        (b'{"google_key": ["a-key-of-google-ads"]}', "missing"),
        (b"{}", "missing"),
        (b"[]", "missing"),
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_without_the_key_nothing_is_taken(body: bytes, text: str) -> None:
    """What holds no proof is refused, in words that repeat nothing of it."""
    reason = refused(body)
    assert reason is not None
    assert text in reason


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        (b'{"google_key":"a-key","lead_id":"1"}', b'{"google_key":"***","lead_id":"1"}'),
        (b'{"Google_key" : "a\\"key" , "x": "y"}', b'{"Google_key" : "***" , "x": "y"}'),
        (b'{"google_key": 5}', b'{"google_key": 5}'),
        (b'{"lead_id":"1"}', b'{"lead_id":"1"}'),
    ],
)
def test_the_key_is_not_stored(body: bytes, stored: bytes) -> None:
    """Not in the stream, not in a dead letter; every other byte is kept."""
    request = WebhookRequest("POST", "https://leads.example.com/hooks/ads", {}, body)
    assert body_to_store(request, FORM) == stored
    assert body_to_store(request, Form("g", "generic", "none")) == body


def test_selectors(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """A column by its id, and what stands beside the columns by its name."""
    fields = {
        "timeline": "column:when_do_you_want_to_start?",
        "utm_id": "key:campaign_id",
        "email": "WORK_EMAIL",
    }
    lead = read(submission(sample("google_ads")), Form("ads", "google_ads", "none", fields=fields)).lead
    assert [lead.get(name) for name in fields] == ["This month", 123456, "ana@work.example.com"]
    assert "WORK_EMAIL" not in lead.custom


def test_nobody_to_answer(submission: Callable[..., Submission]) -> None:
    """A lead without address and number is a dead letter."""
    with pytest.raises(UnreadableSubmission, match="nobody to answer"):
        read(submission({"user_column_data": [{"column_id": "CITY", "string_value": "Berlin"}]}), FORM)


def test_yes_is_no_company(submission: Callable[..., Submission]) -> None:
    """A question of one's own that mentions a field is not answered by it."""
    columns = [
        {"column_id": "EMAIL", "string_value": "ana@example.com"},
        {"column_id": "own_a_company?", "string_value": "Yes"},
        {"column_id": "Company address", "string_value": "1 Main Street"},
    ]
    lead = read(submission({"lead_id": "1", "user_column_data": columns}), FORM).lead
    assert lead.fields == {"email": "ana@example.com"}
    assert lead.custom == {"own_a_company?": "Yes", "Company address": "1 Main Street"}
