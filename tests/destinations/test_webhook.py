"""The signed webhook: its payload, its signature, its refusals."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from speed_to_lead.core.delivery import Destination, Outcome
from speed_to_lead.core.message import Message
from speed_to_lead.destinations import Channel, open_channel
from speed_to_lead.destinations.webhook import payload, signatures

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECOND = "whsec_" + base64.b64encode(b"k" * 31).decode()
DESTINATION = Destination("ops", "webhook", {"url_env": "OPS_URL", "secret_env": "OPS_SECRET"})


def channel_to(http: httpx.Client, url: str, secret: str = SECRET) -> Channel:
    return open_channel(DESTINATION, http, {"OPS_URL": url, "OPS_SECRET": secret})


def test_signature_vector() -> None:
    """The vector of the Standard Webhooks libraries."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signatures([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_payload_about_a_lead(message: Message) -> None:
    """Exactly the keys of docs/alert-webhook.md, and the note because there is one."""
    assert json.loads(payload(message)) == {
        "type": "sla.breached",
        "timestamp": "2026-11-22T10:00:00Z",
        "data": {
            "lead_id": "lead-42",
            "step": "100%",
            "team": "inbound",
            "rep": "bo",
            "source": "demo_request",
            "deadline": "2026-11-22T09:59:57Z",
            "decided_at": "2026-11-22T10:00:00Z",
            "late_seconds": 3.0,
            "skipped_steps": ["60%"],
            "url": "https://stl.example/leads/lead-42?a=1&b=2",
            "note": "destination head-of-sales could not be reached",
        },
    }


def test_payload_about_the_system(system_message: Message) -> None:
    """What there is not is null, and there is no note."""
    assert json.loads(payload(system_message)) == {
        "type": "system.stage_silent",
        "timestamp": "2026-11-22T10:00:00Z",
        "data": {
            "lead_id": None,
            "step": None,
            "team": None,
            "rep": None,
            "source": None,
            "deadline": None,
            "decided_at": "2026-11-22T10:00:00Z",
            "late_seconds": 0.0,
            "skipped_steps": [],
            "url": None,
        },
    }


@pytest.mark.parametrize(
    "secrets", [SECRET, SECRET.removeprefix("whsec_"), f"{SECRET} {SECOND}", SECOND.rstrip("=")]
)
def test_the_receiver_can_verify_it(
    http: httpx.Client, far_side: Any, message: Message, now: datetime, secrets: str
) -> None:
    """Every secret signs id, time and body as they arrive; during a rotation there are two signatures."""
    attempt = channel_to(http, far_side.url, secrets).send(message, now)
    _, headers, body = far_side.requests[0]
    assert attempt.outcome == Outcome.DELIVERED
    assert headers["webhook-id"] == "lead-42:100%:sdr-managers"
    assert str(int(now.timestamp())) == headers["webhook-timestamp"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = []
    for written in secrets.split():
        encoded = written.removeprefix("whsec_").rstrip("=")
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
        expected.append("v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode())
    assert " ".join(expected) == headers["webhook-signature"]


def test_every_attempt_has_the_same_name_and_body(
    http: httpx.Client, far_side: Any, message: Message, now: datetime
) -> None:
    """A repeat carries the same id and payload under the time of the attempt (promise 6)."""
    channel = channel_to(http, far_side.url)
    channel.send(message, now)
    channel.send(replace(message, possible_repeat=True), now + timedelta(seconds=9))
    (_, first, first_body), (_, second, second_body) = far_side.requests
    assert channel.recognises_repeats
    assert (first["webhook-id"], first_body) == (second["webhook-id"], second_body)
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 9


def test_a_key_that_is_not_ascii_still_fits_a_header(
    http: httpx.Client, far_side: Any, message: Message, now: datetime
) -> None:
    """A destination called "équipe" or one with a line break in its name gets a stable, printable id."""
    strange = replace(message, key="lead-42:100%:équipe\r\nX-Evil: 1")
    assert channel_to(http, far_side.url).send(strange, now).outcome == Outcome.DELIVERED
    headers = far_side.requests[0][1]
    assert headers["webhook-id"] == "lead-42:100%:%C3%A9quipe%0D%0AX-Evil:%201"
    assert "x-evil" not in headers


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (202, Outcome.DELIVERED),
        (302, Outcome.REFUSED),
        (400, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (410, Outcome.REFUSED),
        (429, Outcome.RATE_LIMITED),
        (500, Outcome.NOT_DELIVERED),
        (503, Outcome.NOT_DELIVERED),
        (504, Outcome.UNKNOWN),
    ],
)
def test_the_status_decides(
    http: httpx.Client, far_side: Any, message: Message, now: datetime, status: int, outcome: Outcome
) -> None:
    """The body of an answer is the receiver's own business and is never repeated."""
    far_side.answers(status, b"ann@acme.example")
    attempt = channel_to(http, far_side.url).send(message, now)
    assert outcome == attempt.outcome
    assert "acme" not in attempt.detail


@pytest.mark.parametrize(
    "secret", ["whsec_", "whsec_not base64!", "whsec_%%%%", "p@ssword", f"{SECRET} whsec_*"]
)
def test_a_secret_that_is_none(http: httpx.Client, message: Message, now: datetime, secret: str) -> None:
    """A secret that cannot be read refuses at once, says what was expected, and is not repeated."""
    attempt = channel_to(http, "https://ops.example/", secret).send(message, now)
    assert attempt.outcome == Outcome.REFUSED
    assert "OPS_SECRET holds no webhook secret: expected whsec_" in attempt.detail
    assert "MfKQ9" not in attempt.detail
