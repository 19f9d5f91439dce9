"""The dead-man's switch: a POST that is heard or not, never elsewhere, and an address that nobody ever reads."""

from datetime import datetime

import httpx
import pytest
from tests.destinations.conftest import FarSide

from speed_to_lead.core.delivery import Outcome
from speed_to_lead.destinations import DeadMan


def test_a_sign_of_life_is_a_post(http: httpx.Client, far_side: FarSide, now: datetime) -> None:
    """Any 2xx is heard."""
    assert Outcome.DELIVERED is DeadMan(http, far_side.url).ping(now).outcome
    ((path, _, body),) = far_side.requests
    assert (path, body) == ("/services/SECRET-PATH?sig=SECRET-QUERY", b"")


def test_a_redirect_is_not_followed(http: httpx.Client, far_side: FarSide, now: datetime) -> None:
    """What answers elsewhere is not the switch."""
    far_side.answers(302, Location="/elsewhere")
    assert Outcome.DELIVERED is not DeadMan(http, far_side.url).ping(now).outcome
    assert len(far_side.requests) == 1


def test_its_address_is_told_to_nobody(
    http: httpx.Client, closed_port: int, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever knows it can keep the switch quiet."""
    with caplog.at_level("INFO", logger="speed_to_lead"):
        attempt = DeadMan(http, f"http://127.0.0.1:{closed_port}/s3cr3t").ping(now)
    assert attempt.outcome is Outcome.NOT_DELIVERED
    assert "s3cr3t" not in f"{attempt.detail}{caplog.text}"
