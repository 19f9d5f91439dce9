"""Far sides on loopback that answer as vendors do, the nasty answers included."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from tests.servers import free_port

from speed_to_lead.core.lead import AlertKind
from speed_to_lead.core.message import Message
from speed_to_lead.destinations import new_http_client

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@dataclass
class FarSide:
    """One HTTP server: what it was sent, and how it answers the next request."""

    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    behave: Callable[["Handler"], None] = lambda handler: handler.answer(200, b"ok")
    port: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    reads_body: bool = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/SECRET-PATH?sig=SECRET-QUERY"

    def answers(self, status: int, body: bytes = b"", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.behave = lambda handler: handler.answer(status, body, named)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    far_side: FarSide

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"]) if self.far_side.reads_body else 0
        body = self.rfile.read(length)
        self.far_side.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        with suppress(OSError):
            self.far_side.behave(self)

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def hang(self) -> None:
        self.far_side.closing.wait(10)
        self.close_connection = True

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def hang_up(self) -> None:
        self.close_connection = True

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *args: Any) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Quiet: a client that gives up is part of the tests."""


@pytest.fixture
def open_far_side() -> Iterator[Callable[[], FarSide]]:
    """Opens HTTP servers on free loopback ports and closes them, by handle, at the end."""
    opened: list[tuple[Server, threading.Thread, FarSide]] = []

    def open_one() -> FarSide:
        far_side = FarSide()
        handler = type("BoundHandler", (Handler,), {"far_side": far_side})
        server = Server(("127.0.0.1", 0), handler)
        far_side.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        opened.append((server, thread, far_side))
        return far_side

    yield open_one
    for server, thread, far_side in opened:
        far_side.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.fixture
def far_side(open_far_side: Callable[[], FarSide]) -> FarSide:
    return open_far_side()


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """The client as it is in production, without whatever proxy this machine has, and more patient than a busy machine is slow."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with new_http_client() as client:
        client.timeout = httpx.Timeout(20)
        yield client


@pytest.fixture
def hasty_http(http: httpx.Client) -> httpx.Client:
    """The same, for far sides that say nothing: it soon gives up waiting for an answer."""
    http.timeout = httpx.Timeout(20, read=0.3)
    return http


@pytest.fixture
def closed_port() -> int:
    """A loopback port where nobody listens."""
    return free_port()


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def message() -> Message:
    """A breach alert about one lead."""
    return Message(
        key="lead-42:100%:sdr-managers",
        kind=AlertKind.BREACHED,
        headline="Deadline missed: Ann Doe (Acme), overdue by 3 s, Bo has it",
        facts=(
            ("Who", "Ann Doe (Acme)"),
            ("E-mail", "ann@acme.example"),
            ("Asked", "Prices?\nSoon, please."),
        ),
        decided_at=NOW,
        note="destination head-of-sales could not be reached",
        lead_id="lead-42",
        step="100%",
        team="inbound",
        rep="bo",
        source="demo_request",
        deadline=NOW - timedelta(seconds=3),
        late_seconds=3.0,
        skipped_steps=("60%",),
        url="https://stl.example/leads/lead-42?a=1&b=2",
    )


@pytest.fixture
def system_message() -> Message:
    """An alert about the system itself: no lead, no facts, no page."""
    return Message(
        key="system:router:ops",
        kind=AlertKind.STAGE_SILENT,
        headline="The router has not been heard of for 2 min",
        facts=(),
        decided_at=NOW,
    )
