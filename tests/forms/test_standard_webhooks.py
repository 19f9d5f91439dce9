"""Standard Webhooks: the envelope is opened, the id is the key, Svix's names count as well."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from speed_to_lead.core.submission import Form, GenericLead, Submission
from speed_to_lead.forms import WebhookRequest, read, refusal_of

FORM = Form("signup", "standard_webhooks", "signature", "SECRET")
#: The example of the convention's own libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
SIGNED_AT = datetime.fromtimestamp(1614265330, UTC)


def headers(prefix: str = "webhook", signature: str = SIGNATURE) -> dict[str, str]:
    return {
        f"{prefix}-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        f"{prefix}-timestamp": "1614265330",
        f"{prefix}-signature": signature,
    }


@pytest.mark.parametrize(
    ("given", "after", "is_taken"),
    [
        (headers(), 0, True),
        (headers("svix"), 0, True),
        (headers(signature=f"v1,bm8= v2,{SIGNATURE[3:]} {SIGNATURE}"), 0, True),
        (headers(signature=SIGNATURE.replace("OE=", "OA=")), 0, False),
        (headers(), 299, True),
        (headers(), 301, False),
        (headers(), -301, False),
        ({**headers("svix"), "webhook-id": "another"}, 0, False),
        ({}, 0, False),
    ],
)
def test_the_signature(given: dict[str, str], after: int, is_taken: bool) -> None:
    """Any matching v1 passes, five minutes either way, for each of two secrets."""
    request = WebhookRequest("POST", "https://x/", given, BODY)
    environment = {"SECRET": f"whsec_c29tZXRoaW5nIGVsc2Ugb2Ygb3Vycw== {SECRET}"}
    refusal = refusal_of(request, FORM, environment, SIGNED_AT + timedelta(seconds=after))
    assert is_taken == (refusal is None)


def test_a_secret_that_is_none_is_our_fault() -> None:
    """The sender is asked to try again while we mend it."""
    refusal = refusal_of(
        WebhookRequest("POST", "https://x/", {}, b""), FORM, {"SECRET": "whsec_?"}, SIGNED_AT
    )
    assert refusal is not None
    assert refusal.ours


def test_the_envelope_is_opened(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]
) -> None:
    """The lead is what `data` holds; the id of the message is the key, and the envelope's time its time."""
    parsed = read(submission(sample("standard_webhooks"), headers={"webhook-id": "msg_1"}), FORM)
    expected = GenericLead(
        {
            "email": "ana.ruiz@example.com",
            "first_name": "Ana",
            "last_name": "Ruiz",
            "company": "Example Inc",
            "employees": 120,
        },
        {"favourite_colour": "green", "event_type": "contact.created"},
    )
    assert expected == parsed.lead
    assert parsed.same_submission_key == "msg_1"
    assert parsed.submitted_at == datetime(2022, 11, 3, 20, 26, 10, 344522, tzinfo=UTC)


def test_a_body_without_an_envelope(submission: Callable[..., Submission]) -> None:
    """It is the lead itself, also where one of its own names is `data`."""
    body = {"email": "ana@example.com", "data": {"email": "else@example.com"}}
    parsed = read(submission(body, headers={"svix-id": "msg_2"}), FORM)
    assert (parsed.lead.get("email"), parsed.same_submission_key) == ("ana@example.com", "msg_2")
