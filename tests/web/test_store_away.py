"""The server goes away and comes back: 503 in time meanwhile, and nothing that was answered with 200 is missing."""

import time

import pytest
import structlog
from tests.servers import RealServer, wait_until
from tests.web.conftest import AUTHORIZED, LEAD, Web

pytestmark = pytest.mark.real


def test_a_server_that_is_down_is_503_and_recovers(frozen_web: Web, restartable_server: RealServer) -> None:
    """503 with Retry-After while it is away; 200 again once it is back, without a restart of ours."""
    before = frozen_web.http.post("/hooks/open", content=b"before")
    restartable_server.stop(kill=True)
    away = frozen_web.http.post("/hooks/open", content=b"away")
    ready_away = frozen_web.http.get("/readyz")
    alive_away = frozen_web.http.get("/healthz")
    api_away = frozen_web.http.post("/v1/leads", json=LEAD, headers=AUTHORIZED)
    list_away = frozen_web.http.get("/v1/leads", headers=AUTHORIZED)
    restartable_server.start()
    wait_until(lambda: frozen_web.http.get("/readyz").status_code == 200, "it is ready again")
    after = frozen_web.http.post("/hooks/open", content=b"after")
    assert [a.status_code for a in (before, away, ready_away, alive_away)] == [200, 503, 503, 200]
    assert [a.status_code for a in (api_away, list_away, after)] == [503, 503, 200]
    assert [a.headers["retry-after"] for a in (away, ready_away, api_away, list_away)] == ["5"] * 4
    assert [entry[b"body"] for entry in frozen_web.stored()] == [b"before", b"after"]


def test_a_server_that_hangs_is_503_within_the_time_of_a_form_tool(
    frozen_web: Web, restartable_server: RealServer
) -> None:
    """A stalled machine keeps its connections open and says nothing; the tightest form tool waits three seconds."""
    frozen_web.http.post("/hooks/open", content=b"warm")
    restartable_server.freeze()
    took = []
    for _ in range(2):
        begun = time.monotonic()
        answer = frozen_web.http.post("/hooks/open", content=b"stalled")
        took.append(time.monotonic() - begun)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
    ready = frozen_web.http.get("/readyz").status_code
    restartable_server.thaw()
    wait_until(
        lambda: frozen_web.http.post("/hooks/open", content=b"after").status_code == 200,
        "it takes submissions again",
    )
    assert max(took) < 2.8
    assert ready == 503
    assert b"after" in [entry[b"body"] for entry in frozen_web.stored()]


def test_a_full_server_is_503(frozen_web: Web) -> None:
    """With noeviction a full server refuses writes: not stored, so not 200; and not ready."""
    frozen_web.http.post("/hooks/open", content=b"before")
    frozen_web.store.server.client.config_set("maxmemory", "1kb")
    with structlog.testing.capture_logs() as logs:
        full = frozen_web.http.post("/hooks/open", content=b"full")
        ready = frozen_web.http.get("/readyz")
    frozen_web.store.server.client.config_set("maxmemory", "0")
    after = frozen_web.http.post("/hooks/open", content=b"after")
    assert [answer.status_code for answer in (full, ready, after)] == [503, 503, 200]
    assert [entry[b"body"] for entry in frozen_web.stored()] == [b"before", b"after"]
    assert "submission.not_stored" in [entry["event"] for entry in logs]
