"""A recorded request is worth something for five minutes: what we take in, and what receivers of our alerts may ask."""

from datetime import datetime, timedelta

import httpx
import pytest
from tests.destinations.conftest import NOW
from tests.destinations.test_registry import WORKING

from speed_to_lead.core.delivery import Destination
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.core.message import Message
from speed_to_lead.core.submission import Form
from speed_to_lead.destinations import open_channel
from speed_to_lead.forms import WebhookRequest, refusal_of

FORM = Form("alerts", "generic", "standard-webhooks", secret_env="A_SECRET")
OPTIONS, ENVIRONMENT = WORKING["webhook"]


def sent_at(now: datetime) -> WebhookRequest:
    """The alert our own webhook sends at this instant, as a receiver sees it."""
    seen: list[httpx.Request] = []

    def keep(request: httpx.Request) -> httpx.Response:
        request.read()
        seen.append(request)
        return httpx.Response(200)

    message = Message("lead:0%:ops", AlertKind.TEST, "A try", (), NOW)
    with httpx.Client(transport=httpx.MockTransport(keep)) as http:
        open_channel(Destination("ops", "webhook", OPTIONS), http, ENVIRONMENT).send(message, now)
    [request] = seen
    return WebhookRequest("POST", str(request.url), dict(request.headers), request.content)


@pytest.mark.parametrize(
    ("age", "is_taken"),
    [
        (timedelta(0), True),
        (timedelta(minutes=5), True),
        (timedelta(minutes=5, seconds=1), False),
        (timedelta(days=365), False),
        (timedelta(minutes=-5), True),
        (timedelta(minutes=-5, seconds=-1), False),
        (timedelta(days=-365), False),
    ],
)
def test_what_we_send_holds_for_as_long_as_what_we_take(age: timedelta, is_taken: bool) -> None:
    """Our alert, checked by our own reading of Standard Webhooks: five minutes, both ways."""
    refusal = refusal_of(sent_at(NOW), FORM, ENVIRONMENT, NOW + age)
    assert is_taken == (refusal is None)


def test_every_attempt_is_signed_anew() -> None:
    """A retry an hour later is as fresh as the first try, under the same name."""
    first, second = sent_at(NOW), sent_at(NOW + timedelta(hours=1))
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert refusal_of(second, FORM, ENVIRONMENT, NOW + timedelta(hours=1)) is None


def test_a_timestamp_cannot_be_changed_for_a_fresh_one() -> None:
    """It is part of what is signed."""
    request = sent_at(NOW)
    later = NOW + timedelta(hours=1)
    fresh = {**request.headers, "webhook-timestamp": str(int(later.timestamp()))}
    assert refusal_of(WebhookRequest("POST", request.url, fresh, request.body), FORM, ENVIRONMENT, later)
