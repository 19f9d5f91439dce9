"""Chili Piper: a booked meeting is a lead, a moved or cancelled one is nobody new."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from speed_to_lead.core.submission import Form, Submission, UnreadableSubmission
from speed_to_lead.forms import WebhookRequest, read, refusal_of

FORM = Form("meetings", "chili_piper", "token", token_env="TOKEN")


def test_a_meeting(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """The guest by whatever names the CRM's fields have, the meeting under custom."""
    parsed = read(submission(sample("chili_piper")), FORM)
    fields = {
        "email": "ana.ruiz@example.com",
        "first_name": "Ana",
        "last_name": "Ruiz",
        "phone": "+1 617 555 0100",
        "company": "Example Inc",
        "employees": "201-500",
    }
    assert fields == parsed.lead.fields
    assert parsed.same_submission_key == "65f0c2a1b9e77c0f1e5a8d21.Created"
    assert parsed.lead.custom["meeting_start"] == "2024-03-14T15:00:00Z"
    assert parsed.lead.custom["favourite_colour"] == "green"


@pytest.mark.parametrize("kind", ["Updated", "Canceled", "Rescheduled", "NoShow"])
def test_other_changes_of_a_meeting_are_counted_only(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]], kind: str
) -> None:
    """Nobody new waits; each has its own key."""
    parsed = read(submission({**sample("chili_piper"), "type": kind}), FORM)
    assert (parsed.is_test, parsed.same_submission_key) == (True, f"65f0c2a1b9e77c0f1e5a8d21.{kind}")


def test_a_meeting_without_a_type_is_new(submission: Callable[..., Submission]) -> None:
    """A lead is not lost because a member is missing."""
    assert not read(submission({"primaryGuestEmail": "ana@example.com"}), FORM).is_test


def test_a_meeting_without_a_guest(submission: Callable[..., Submission]) -> None:
    """Nobody to answer: a dead letter."""
    with pytest.raises(UnreadableSubmission, match="nobody to answer"):
        read(submission({"meetingIdChili": "1", "primaryGuestDataFields": None}), FORM)


def test_it_is_proven_by_a_token() -> None:
    """There is no signature to look for."""
    request = WebhookRequest("POST", "https://x/hooks/meetings?token=a-long-token", {}, b"{}")
    assert refusal_of(request, FORM, {"TOKEN": "a-long-token"}, datetime.now(UTC)) is None
    signed = Form("meetings", "chili_piper", "signature", "TOKEN")
    refusal = refusal_of(request, signed, {"TOKEN": "a-long-token"}, datetime.now(UTC))
    assert refusal is not None
    assert "token_env" in refusal.reason


def test_selectors(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """What the guest filled in by its name, anything else by its path."""
    fields = {"title": "favourite_colour", "custom.host": "key:hostEmail"}
    lead = read(submission(sample("chili_piper")), Form("m", "chili_piper", "none", fields=fields)).lead
    assert [lead.get(name) for name in fields] == ["green", "cy@example.org"]
    assert "favourite_colour" not in lead.custom
