"""Hints to the router, and the process around the application."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
import structlog
from tests.servers import free_port, wait_until
from tests.web.conftest import CONFIG, settings_of, web_on

from speed_to_lead.web import hints
from speed_to_lead.web.hints import Hinter
from speed_to_lead.web.serve import CannotListen, bind


def test_the_first_hint_goes_at_once_and_many_become_two() -> None:
    """Leading edge, then one more for everything stored in the meantime."""
    given: list[float] = []
    hinter = Hinter(lambda: given.append(time.monotonic()), interval=3.0)
    begun = time.monotonic()
    hinter.nudge()
    wait_until(lambda: len(given) == 1, "the first hint")
    for _ in range(1000):
        hinter.nudge()
    wait_until(lambda: len(given) == 2, "the trailing hint")
    hinter.stop()
    assert given[0] - begun < 2.9
    assert given[1] - given[0] >= 2.9
    assert len(given) == 2


def test_a_hint_that_hangs_delays_nobody() -> None:
    """The broker is away: nudging costs nothing, and one hint waits for all of them."""
    release, begun = threading.Event(), threading.Event()
    count = 0

    def hang() -> None:
        nonlocal count
        count += 1
        begun.set()
        release.wait(20)

    hinter = Hinter(hang, interval=0.001)
    hinter.nudge()
    begun.wait(20)
    start = time.monotonic()
    for _ in range(1000):
        hinter.nudge()
    assert time.monotonic() - start < 2  # the hint that hangs does so for twenty
    release.set()
    wait_until(lambda: count == 2, "the hint for all the others")
    hinter.stop()


def test_a_failing_hint_is_told_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """And never raised."""
    count = 0

    def fail() -> None:
        nonlocal count
        count += 1
        if count == 6:  # here: what the fifth failure says is settled by now
            monkeypatch.setattr(hints, "COMPLAIN_EVERY_SECONDS", 0.0)
        raise ConnectionError("redis://secret@broker")

    with structlog.testing.capture_logs() as logs:
        hinter = Hinter(fail, interval=0.0)
        for expected in range(1, 6):
            hinter.nudge()
            wait_until(lambda wanted=expected: count >= wanted, "a hint")  # type: ignore[misc]
        hinter.nudge()
        wait_until(lambda: len(logs) == 2, "the second complaint")
        hinter.stop()
    assert [entry["error"] for entry in logs] == ["ConnectionError", "ConnectionError"]


def test_nobody_to_hint_at() -> None:
    """Without a hint there is no thread."""
    hinter = Hinter(None)
    hinter.nudge()
    hinter.stop()
    assert "hinter" not in [thread.name for thread in threading.enumerate() if thread is hinter._thread]


def test_a_stored_submission_hints_and_a_refused_one_does_not(server_url: str, key_prefix: str) -> None:
    """Hooks and /v1 alike."""
    hinted = threading.Event()
    with web_on(server_url, key_prefix, hinted.set) as web:
        web.http.post("/hooks/website-demo", content=b"unsigned")
        assert not hinted.wait(0.05)
        web.http.post("/hooks/open", content=b"x")
        assert hinted.wait(10)


def test_a_port_in_use_is_one_sentence() -> None:
    """And what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"port {port} on 127.0.0.1 is in use"):
            bind(settings_of("redis://127.0.0.1:1", "t", host="127.0.0.1", PORT=port))


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_ours_is_one_sentence(host: str) -> None:
    """A wrong STL_HOST."""
    with pytest.raises(CannotListen):
        bind(settings_of("redis://127.0.0.1:1", "t", host=host, PORT=0))


_PROGRAM = """
import sys
from speed_to_lead.settings import load_settings
from speed_to_lead.web import serve
from speed_to_lead.workplace import open_workplace
settings = load_settings()
sys.exit(serve(open_workplace(settings), settings))
"""


def _started(port: int, server_url: str, key_prefix: str) -> "subprocess.Popen[bytes]":
    settings = {
        "REDIS_URL": server_url,
        "PORT": str(port),
        "STL_KEY_PREFIX": key_prefix,
        "STL_CONFIG_DIR": str(CONFIG),
    }
    source = {"PYTHONPATH": str(Path(hints.__file__).parents[2])}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STL_")}
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        env=kept | settings | source,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


@pytest.mark.real
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_serves_until_it_is_told_to_stop(
    server_url: str, key_prefix: str, number: signal.Signals
) -> None:
    """It ends with code 0, within ten seconds, although a connection is kept open."""
    port = free_port()
    process = _started(port, server_url, key_prefix)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            wait_until(lambda: _answers(http), "the process serves")
            assert "server" not in http.get("/").headers
            process.send_signal(number)
            assert process.wait(10) == 0
            _, said = process.communicate(timeout=30)
        assert b"Traceback" not in said
    finally:
        process.kill()
        process.communicate()


@pytest.mark.real
def test_a_second_process_on_the_port_ends_with_two(server_url: str, key_prefix: str) -> None:
    """One sentence, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = _started(taken.getsockname()[1], server_url, key_prefix)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert said.count(b"\n") == 1
    assert b"is in use" in said


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False
