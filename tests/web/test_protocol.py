"""What comes before the body has limits: in bytes and in time."""

import socket
import time

import pytest
from tests.web.conftest import Web

from speed_to_lead.web import protocol

BEGIN = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


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
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
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
