"""CloudEvents: binary, structured, base64 and forms as data; source and id are the key."""

import base64
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
from speed_to_lead.forms import WebhookRequest, read, refusal_of, split

FORM = Form("events", "cloudevents", "token", token_env="TOKEN")
EXPECTED = ParsedSubmission(
    GenericLead(
        {
            "email": "ana.ruiz@example.com",
            "name": "Ana Ruiz",
            "company": "Example Inc",
            "message": "A demo, please.",
        },
        {"event_type": "com.example.lead.created", "event_subject": "demo"},
    ),
    same_submission_key="https://crm.example.com/forms/demo A234-1234-1234",
    submitted_at=datetime(2018, 4, 5, 17, 31, tzinfo=UTC),
)
HEADERS = {
    "ce-specversion": "1.0",
    "ce-type": "com.example.lead.created",
    "ce-source": "https://crm.example.com/forms/demo",
    "ce-id": "A234-1234-1234",
    "ce-time": "2018-04-05T17:31:00Z",
    "ce-subject": "demo",
}


@pytest.mark.parametrize(
    "content_type",
    ["application/cloudevents+json", "application/cloudevents+json; charset=UTF-8", "application/json", ""],
)
def test_structured(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]], content_type: str
) -> None:
    """The whole event is the body, whatever the body is called."""
    assert read(submission(sample("cloudevents"), content_type), FORM) == EXPECTED


def test_binary(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """The attributes are headers, percent-decoded once, and the body is the data."""
    data = sample("cloudevents")["data"]
    assert read(submission(data, "application/json", HEADERS), FORM) == EXPECTED
    escaped = {**HEADERS, "ce-subject": "caf%C3%A9%2541"}
    assert read(submission(data, "application/json", escaped), FORM).lead.custom["event_subject"] == "café%41"


def test_a_batch_of_one(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]
) -> None:
    """It is that event."""
    content_type = "application/cloudevents-batch+json"
    assert read(submission([sample("cloudevents")], content_type), FORM) == EXPECTED


@pytest.mark.parametrize(
    ("datacontenttype", "data"),
    [
        ("application/json", b'{"email": "ana@example.com"}'),
        ("application/x-www-form-urlencoded", b"email=ana%40example.com"),
    ],
)
@pytest.mark.parametrize("is_encoded", [True, False])
def test_data_as_text_and_as_base64(
    submission: Callable[..., Submission],
    datacontenttype: str,
    data: bytes,
    is_encoded: bool,
) -> None:
    """Data that is no JSON object is read by its own content type."""
    given = {"data_base64": base64.b64encode(data).decode()} if is_encoded else {"data": data.decode()}
    event = {"specversion": "1.0", "id": "1", "source": "s", "datacontenttype": datacontenttype, **given}
    assert (
        read(submission(event, "application/cloudevents+json"), FORM).lead.get("email") == "ana@example.com"
    )


@pytest.mark.parametrize(
    ("body", "content_type", "headers", "text"),
    [
        ({"email": "a@example.com"}, "application/json", {}, "this is no event"),
        ({"specversion": "1.0", "data_base64": "?"}, "application/cloudevents+json", {}, "not base64"),
        ({"specversion": "1.0"}, "application/cloudevents+json", {}, "data is missing"),
        ([], "application/cloudevents-batch+json", {}, "holds none"),
        ({}, "application/cloudevents-batch+json", {}, "holds none"),
        ({"email": "a@example.com"}, "application/json", {**HEADERS, "ce-id": "%FF"}, "not UTF-8"),
    ],
)
def test_what_cannot_be_read(
    submission: Callable[..., Submission], body: Any, content_type: str, headers: dict[str, str], text: str
) -> None:
    """Each says what is wrong with it."""
    with pytest.raises(UnreadableSubmission, match=text):
        read(submission(json.dumps(body), content_type, headers), FORM)


@pytest.mark.parametrize(
    ("url", "headers", "is_taken"),
    [
        ("https://x/?access_token=a-long-token", {}, True),
        ("https://x/", {"authorization": "Bearer a-long-token"}, True),
        ("https://x/?access_token=no", {}, False),
    ],
)
def test_the_token(url: str, headers: dict[str, str], is_taken: bool) -> None:
    """In the header or in the query, as the convention has it."""
    request = WebhookRequest("POST", url, headers, b"{}")
    assert is_taken == (refusal_of(request, FORM, {"TOKEN": "a-long-token"}, datetime.now(UTC)) is None)


def test_events_of_a_batch_apart(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]
) -> None:
    """Each is a submission of its own; a bad one says which it was and does not take the others with it."""
    batch = [sample("cloudevents"), "x", {**sample("cloudevents"), "id": "2"}]
    parts = split(submission(batch, "application/cloudevents-batch+json"), FORM)
    assert [part.id for part in parts] == ["s1-1", "s1-2", "s1-3"]
    assert read(parts[0], FORM) == EXPECTED
    assert read(parts[2], FORM).same_submission_key == "https://crm.example.com/forms/demo 2"
    with pytest.raises(UnreadableSubmission, match="item 2 of 3"):
        read(parts[1], FORM)
    assert split(submission(batch, "application/json"), FORM) == ()  # no batch by its name
