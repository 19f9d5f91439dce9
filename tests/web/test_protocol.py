"""What comes before the body has limits, in bytes and in time; so has what is sent without waiting for answers."""

import socket
import time
from collections import deque
from typing import Any

import pytest
from tests.servers import wait_until
from tests.web.conftest import Web, running

from speed_to_lead.web import protocol

BEGIN = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
HOOK = b"POST /hooks/open HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    "endless",
    [b"X: " + b"a" * 4096, b"X-%d: y\r\n" * 400, b"\r\n" * 4096],
    ids=["one header", "many headers", "line breaks"],
)
def test_a_head_without_end_is_cut_off(web: Web, endless: bytes) -> None:
    """431 or a closed connection after 64 KiB, long before it fills the memory."""
    sent = 0
    began = time.monotonic()
    with web.connect() as connection:
        if endless.strip():
            connection.sendall(BEGIN)
        try:
            while sent < 4 * 1024 * 1024:
                connection.sendall(endless)
                sent += len(endless)
                if sent > 128 * 1024:
                    connection.settimeout(5)
                    if connection.recv(100)[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400", b""):
                        break
        except (ConnectionError, TimeoutError):
            pass
        assert sent < 1024 * 1024
    assert time.monotonic() - began < 5
    assert web.http.get("/healthz").status_code == 200


@pytest.mark.parametrize("said", [b"", b"GET /healthz HT", BEGIN, BEGIN + b"\r\n" + BEGIN])
def test_a_head_that_does_not_end_in_time_is_let_go(
    web: Web, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """Who says nothing, who dribbles, and who does so only in the second request."""
    # A whole request is answered however long the machine stands still before it is read.
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 2.0 if b"\r\n\r\n" in said else 0.3)
    with web.connect() as connection:
        connection.sendall(said)
        connection.settimeout(10)
        answered = b""
        while chunk := connection.recv(4096):
            answered += chunk
    assert answered.count(b"HTTP/1.1 200") == said.count(b"\r\n\r\n")


def test_a_large_head_in_one_piece_is_read(web: Web) -> None:
    """Cookies of forty kilobytes are odd, not hostile."""
    request = BEGIN + b"Cookie: " + b"c" * 40_000 + b"\r\nConnection: close\r\n\r\n"
    assert web.raw(request).startswith(b"HTTP/1.1 200")


def test_many_requests_on_one_connection_are_not_one_head(web: Web) -> None:
    """What was read before does not count."""
    with web.connect() as connection:
        connection.settimeout(10)
        for _ in range(30):
            connection.sendall(BEGIN + b"Cookie: " + b"c" * 4000)
            connection.sendall(b"\r\n\r\n")
            assert receive_answer(connection).startswith(b"HTTP/1.1 200")


def receive_answer(connection: socket.socket) -> bytes:
    """One answer of /healthz."""
    answer = b""
    while b'"alive"}' not in answer:
        chunk = connection.recv(4096)
        assert chunk, answer
        answer += chunk
    return answer


def everything_from(connection: socket.socket) -> bytes:
    """What is answered until the other side closes."""
    connection.settimeout(10)
    answered = b""
    while chunk := connection.recv(65536):
        answered += chunk
    return answered


def test_of_many_requests_sent_at_once_so_many_are_taken(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is answered, and the last answer ends the connection; what comes behind is not even read."""
    monkeypatch.setattr(protocol, "MAX_PIPELINED", 10)
    with web.connect() as connection:
        connection.sendall(HOOK * 50)
        answered = everything_from(connection)
    assert [11, 11, 1] == [answered.count(words) for words in (b"200 OK", b'"stored"', b"connection: close")]
    assert len(web.stored()) == 11


def test_nothing_is_read_while_requests_wait_for_answers() -> None:
    """Or a sender that never reads fills the memory with requests, a quarter of a megabyte for each answer."""

    class Transport:
        is_reading = True

        def pause_reading(self) -> None:
            self.is_reading = False

        def resume_reading(self) -> None:
            self.is_reading = True

    transport, waiting = Transport(), deque([object()])
    flow = protocol._PausedByPipeline(transport, waiting)  # type: ignore[arg-type]  # all it is asked for
    flow.pause_reading()
    flow.resume_reading()
    assert not transport.is_reading
    waiting.clear()
    flow.resume_reading()
    assert transport.is_reading


@pytest.mark.parametrize("request_bytes", [HOOK, BEGIN + b"\r\n"], ids=["short way", "ASGI"])
def test_what_is_no_http_does_not_answer_the_request_before_it(web: Web, request_bytes: bytes) -> None:
    """A body that is longer than its Content-Length: it was stored, so its answer is 200, and then the end."""
    with web.connect() as connection:
        connection.sendall(request_bytes + b"\x00\x01\r\n\r\n")
        answered = everything_from(connection)
    assert answered.startswith(b"HTTP/1.1 200 OK")
    assert [1, 1] == [answered.count(words) for words in (b"HTTP/1.1", b"connection: close")]


def test_a_large_body_is_no_part_of_the_head_behind_it(web: Web) -> None:
    """Both may come in one read."""
    large = b"POST /hooks/open HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n" + b"x" * 90_000
    with web.connect() as connection:
        connection.sendall(large + BEGIN)
        connection.sendall(b"Connection: close\r\n\r\n")
        answered = everything_from(connection)
    assert [2, 0] == [answered.count(words) for words in (b"200 OK", b" 431 ")]


class _Keeping:
    """An application that takes every request past ASGI, and answers none by itself."""

    def __init__(self) -> None:
        self.replies: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it was not offered")

    def take(self, scope: Any, body: bytes, reply: Any) -> bool:
        self.replies.append(reply)
        return True


def test_an_idle_connection_keeps_nothing_of_its_last_request() -> None:
    """It may idle for more than a minute, and there may be thousands."""
    app = _Keeping()
    with running(app, "off") as port, socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(HOOK)
        wait_until(lambda: bool(app.replies), "it is taken")
        cycle = app.replies[0].args[0]
        assert cycle.body == b""


def test_an_answer_to_a_connection_that_is_gone_is_no_failure() -> None:
    """Also where another request waited behind it, which alone is told of the end."""
    app = _Keeping()
    with running(app, "off") as port:
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(HOOK * 2)
            wait_until(lambda: bool(app.replies), "the first is taken")
        [reply] = app.replies
        cycle = reply.args[0]
        cycle.transport.close()
        wait_until(cycle.transport.is_closing, "it is gone")
        reply(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", b"")
        assert not cycle.response_started
