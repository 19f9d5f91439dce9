"""What form tools ask a hook before they send anything, through the ASGI application."""

import asyncio
import hashlib
import hmac
from typing import Any

import httpx
import pytest

from speed_to_lead.core.submission import Form
from speed_to_lead.web.failures import Failures
from speed_to_lead.web.hooks import Hooks

FORMS = {
    "ads": Form("ads", "meta", "signature", "APP_SECRET", verify_token_env="WORD", api_token_env="API"),
    "li": Form("li", "linkedin", "signature", "CLIENT_SECRET", api_token_env="API"),
    "events": Form("events", "cloudevents", "token", token_env="TOKEN"),
    "open": Form("open", "generic", "none"),
}
ENVIRONMENT = {"APP_SECRET": "app-secret", "WORD": "a-word", "CLIENT_SECRET": "client-secret", "TOKEN": "t"}
CODE = "890e4665-4dfe-4ab1-b689-ed553bceeed0"


class _Place:
    class config:  # noqa: N801 - stands for an attribute
        forms = FORMS


def asked(method: str, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """The answer of the hooks to a request that stores nothing."""
    place: Any = _Place
    intake: Any = None  # nothing is stored here
    app: Any = Hooks(place, intake, "https://leads.example.com", ENVIRONMENT, Failures())

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(ask())


def test_meta_hears_its_challenge() -> None:
    """As plain text, which no browser takes for a page."""
    word = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=a-word"
    answer = asked("GET", f"/hooks/ads?{word}")
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_linkedin_hears_its_code_signed() -> None:
    """As JSON; the response is the code's HMAC by the client secret."""
    answer = asked("GET", f"/hooks/li?challengeCode={CODE}&applicationId=1")
    signed = hmac.new(b"client-secret", CODE.encode(), hashlib.sha256).hexdigest()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"challengeCode": CODE, "challengeResponse": signed}


@pytest.mark.parametrize(("rate", "allowed"), [("120", "120"), ("", None), ("many", "*"), ("*", "*")])
def test_a_sender_of_cloudevents_hears_that_it_may(rate: str, allowed: str | None) -> None:
    """Its own origin comes back, and the rate it asked for."""
    headers = {"webhook-request-origin": "eventemitter.example.com", "webhook-request-rate": rate}
    answer = asked("OPTIONS", "/hooks/events", {name: value for name, value in headers.items() if value})
    assert answer.status_code == 200
    assert answer.headers["webhook-allowed-origin"] == "eventemitter.example.com"
    assert answer.headers["allow"] == "POST, OPTIONS"
    assert allowed == answer.headers.get("webhook-allowed-rate")


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/hooks/ads?hub.mode=subscribe&hub.challenge=1&hub.verify_token=no", {}, 401),
        ("GET", "/hooks/li?challengeCode=hmacsha256%3D%7B%7D", {}, 401),
        ("OPTIONS", "/hooks/events", {"webhook-request-origin": "<script>"}, 401),
        ("OPTIONS", "/hooks/events", {}, 400),
        ("OPTIONS", "/hooks/open", {"webhook-request-origin": "e.example.com"}, 400),
        ("GET", "/hooks/ads", {}, 200),
        ("HEAD", "/hooks/li", {}, 200),
        ("GET", "/hooks/open?hub.mode=subscribe&hub.challenge=1", {}, 200),
        ("PUT", "/hooks/li?challengeCode=1", {}, 400),
    ],
)
def test_any_other_question(method: str, path: str, headers: dict[str, str], status: int) -> None:
    """Never 404, 405, a redirect or another 2xx; and nobody's challenge is repeated who knows no word."""
    answer = asked(method, path, headers)
    assert answer.status_code == status
    assert answer.text.strip() != "1"
