"""A send ends in time, whatever the far side does: everything here is slow on purpose, and never quite silent."""

import contextlib
import inspect
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import httpcore
import httpx
import pytest

from speed_to_lead import flow
from speed_to_lead.core.delivery import Attempt, Destination, Outcome
from speed_to_lead.core.message import Message
from speed_to_lead.destinations import channel, new_http_client, open_channel
from speed_to_lead.destinations.deadline import addresses_of, ending_within, time_left
from speed_to_lead.destinations.http import post
from speed_to_lead.destinations.transport import HTTPX_FOR

SECONDS = 0.8
SLACK = 2.0  # what a busy machine may add; without a deadline everything here takes far longer

Converse = Callable[["FarEnd"], None]


class FarEnd:
    """Our end of one accepted connection; every way to speak ends when the test does."""

    def __init__(self, connection: socket.socket, closing: threading.Event) -> None:
        self.connection = connection
        self.lines = connection.makefile("rb")
        self.closing = closing
        self.content: list[bytes] = []

    def wait(self, seconds: float) -> None:
        if self.closing.wait(seconds):
            raise ConnectionAbortedError

    def say(self, line: str, after: float = 0.0) -> None:
        self.wait(after)
        self.connection.sendall(line.encode() + b"\r\n")

    def dribble(self, data: bytes, every: float) -> None:
        for byte in data:
            self.wait(every)
            self.connection.sendall(bytes([byte]))

    def hear(self) -> bytes:
        line = self.lines.readline()
        if not line:
            raise ConnectionAbortedError
        return line

    def read_request(self) -> None:
        length = 0
        while (line := self.hear()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        self.lines.read(length)

    def take_mail(self, every: float = 0.0) -> None:
        """From the greeting to the last dot, each reply after so many seconds."""
        self.say("220 hello", every)
        for reply in ("250 far.example", "250 ok", "250 ok", "354 go on"):
            self.hear()
            self.say(reply, every)
        while (line := self.hear()) != b".\r\n":
            self.content.append(line)


@pytest.fixture
def serve() -> Iterator[Callable[[Converse], int]]:
    """Starts a server that holds one kind of conversation; answers its port."""
    closing = threading.Event()
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(converse: Converse) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(0.05)
        listeners.append(listener)
        threads.append(threading.Thread(target=accept, args=(listener, converse), daemon=True))
        threads[-1].start()
        port: int = listener.getsockname()[1]
        return port

    def accept(listener: socket.socket, converse: Converse) -> None:
        while not closing.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:  # nobody yet
                continue
            threads.append(threading.Thread(target=hold, args=(connection, converse), daemon=True))
            threads[-1].start()

    def hold(connection: socket.socket, converse: Converse) -> None:
        connection.settimeout(5)
        with connection, contextlib.suppress(OSError):
            far_end = FarEnd(connection, closing)
            with far_end.lines:
                converse(far_end)

    yield start
    closing.set()
    for thread in threads:
        thread.join(5)
    for listener in listeners:
        listener.close()


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "SEND_SECONDS", SECONDS)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """The client with the timeouts of production, every one of them longer than the deadline of these tests."""
    with new_http_client() as client:
        yield client


def in_time(send: Callable[[], Attempt]) -> Attempt:
    started = time.monotonic()
    attempt = send()
    assert time.monotonic() - started < SECONDS + SLACK
    return attempt


def post_to(client: httpx.Client, url: str, now: datetime, content: bytes = b"{}") -> Attempt:
    return in_time(lambda: post(client, url, content=content, headers={}, now=now))


def mail_to(url: str, message: Message, now: datetime) -> Attempt:
    destination = Destination("managers", "email", {"to": "ana@sales.example"})
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(500))) as nowhere:
        opened = open_channel(destination, nowhere, {"SMTP_URL": url})
    return in_time(lambda: opened.send(message, now))


class TestDeadline:
    def test_a_send_is_over_before_its_lease(self) -> None:
        """Otherwise a second courier sends what the first is still sending."""
        shipped = inspect.getsource(channel).split("SEND_SECONDS: Final = ")[1].split()[0]
        assert float(shipped) <= flow.LEASE.total_seconds() - 3

    def test_an_inner_deadline_is_never_later(self) -> None:
        """It may shorten the time there is, not lengthen it, and it ends with its block."""
        with ending_within(0.5):
            with ending_within(9):
                assert time_left() <= 0.5
            with ending_within(0.1):
                assert time_left() <= 0.1
            assert time_left() > 0.1
            assert time_left(at_most=0.2) == 0.2
        assert time_left(at_most=7) == 7

    def test_no_time_left(self) -> None:
        """It is an error, never the 0 that sockets read as: do not wait."""
        with ending_within(0), pytest.raises(TimeoutError):
            time_left()


class TestHttp:
    @pytest.mark.parametrize("every", [0.02, 0.3])
    def test_headers_that_dribble(
        self, serve: Callable[[Converse], int], client: httpx.Client, now: datetime, every: float
    ) -> None:
        """A byte now and then restarts the read's timeout, but not the deadline; the request did go out."""

        def converse(far_end: FarEnd) -> None:
            far_end.read_request()
            far_end.dribble(b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 1000, every)

        attempt = post_to(client, f"http://127.0.0.1:{serve(converse)}/", now)
        assert Attempt(Outcome.UNKNOWN, "no answer in time (ReadTimeout)") == attempt

    def test_interim_answers_without_end(
        self, serve: Callable[[Converse], int], client: httpx.Client, now: datetime
    ) -> None:
        """100 Continue, again and again, is no answer."""

        def converse(far_end: FarEnd) -> None:
            far_end.read_request()
            while True:
                far_end.say("HTTP/1.1 100 Continue\r\n", after=0.05)

        assert post_to(client, f"http://127.0.0.1:{serve(converse)}/", now).outcome == Outcome.UNKNOWN

    @pytest.mark.parametrize("kind", ["webhook", "slack"])
    def test_a_body_that_dribbles(
        self,
        serve: Callable[[Converse], int],
        client: httpx.Client,
        message: Message,
        now: datetime,
        kind: str,
    ) -> None:
        """Where the status says it all, it counts; where the body must say ok, it did not."""

        def converse(far_end: FarEnd) -> None:
            far_end.read_request()
            far_end.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n")
            far_end.dribble(b"." * 1000, 0.1)

        environment = {"A_URL": f"http://127.0.0.1:{serve(converse)}/", "A_SECRET": "whsec_MfKQ9r8GKYqrTwjU"}
        options = {"url_env": "A_URL", "secret_env": "A_SECRET"}
        opened = open_channel(Destination("x", kind, options), client, environment)
        expected = {"webhook": Outcome.DELIVERED, "slack": Outcome.UNKNOWN}
        assert expected[kind] == in_time(lambda: opened.send(message, now)).outcome

    def test_a_request_that_is_read_in_sips(
        self, serve: Callable[[Converse], int], client: httpx.Client, now: datetime
    ) -> None:
        """Each sip restarts the write's timeout; part of it did go out."""

        def converse(far_end: FarEnd) -> None:
            while True:
                far_end.wait(0.05)
                far_end.connection.recv(50_000)

        url = f"http://127.0.0.1:{serve(converse)}/"
        attempt = post_to(client, url, now, content=b"x" * 30_000_000)
        assert Attempt(Outcome.UNKNOWN, "not all was sent in time (WriteTimeout)") == attempt

    def test_a_tls_handshake_that_dribbles(
        self, serve: Callable[[Converse], int], client: httpx.Client, now: datetime
    ) -> None:
        """Nothing was sent yet."""
        port = serve(lambda far_end: far_end.dribble(b"\x16\x03\x03\x40\x00" + b"\x00" * 1000, 0.1))
        attempt = post_to(client, f"https://127.0.0.1:{port}/", now)
        assert Attempt(Outcome.NOT_DELIVERED, "no connection in time (ConnectTimeout)") == attempt

    def test_a_proxy_that_dribbles(
        self, serve: Callable[[Converse], int], now: datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The way through a proxy has the deadline too."""

        def converse(far_end: FarEnd) -> None:
            far_end.read_request()
            far_end.dribble(b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 1000, 0.1)

        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{serve(converse)}")
        with new_http_client() as client:
            assert post_to(client, "https://ops.example/", now).outcome == Outcome.UNKNOWN

    def test_the_proxy_that_the_environment_names(
        self, far_side: Any, open_far_side: Callable[[], Any], now: datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """HTTP_PROXY is used, and NO_PROXY goes past it, as with any httpx client."""
        direct = open_far_side()
        monkeypatch.setenv("HTTP_PROXY", f"http://ana:secret@127.0.0.1:{far_side.port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with new_http_client() as client:
            assert post_to(client, "http://ops.example/in", now).outcome == Outcome.DELIVERED
            assert post_to(client, direct.url, now).outcome == Outcome.DELIVERED
        [(path, headers, _)] = far_side.requests
        assert (path, headers["proxy-authorization"]) == ("http://ops.example/in", "Basic YW5hOnNlY3JldA==")
        assert len(direct.requests) == 1

    def test_the_next_send_has_its_own_time(
        self, serve: Callable[[Converse], int], client: httpx.Client, far_side: Any, now: datetime
    ) -> None:
        """A send that ran out of time leaves nothing behind in the client."""
        port = serve(lambda far_end: far_end.dribble(b"HTTP/1.1 " + b"x" * 100, 0.1))
        for _ in range(2):
            assert post_to(client, far_side.url, now).outcome == Outcome.DELIVERED
            assert post_to(client, f"http://127.0.0.1:{port}/", now).outcome == Outcome.UNKNOWN

    def test_every_exception_of_httpcore_becomes_one_of_httpx(self) -> None:
        """One that is not translated would get past `post`."""
        every = {value for value in vars(httpcore).values() if isinstance(value, type)}
        errors = {value for value in every if issubclass(value, Exception)}
        # ConnectionNotAvailable: raised and caught inside the pool.
        assert set(HTTPX_FOR) == errors - {httpcore.ConnectionNotAvailable}


class TestMail:
    @pytest.mark.parametrize("every", [0.2, 5])
    def test_a_tarpit_before_the_mail_is_handed_over(
        self, serve: Callable[[Converse], int], message: Message, now: datetime, every: float
    ) -> None:
        """Each reply is in time, all of them are not: nothing was handed over."""
        far_ends: list[FarEnd] = []

        def converse(far_end: FarEnd) -> None:
            far_ends.append(far_end)
            far_end.take_mail(every)

        attempt = mail_to(f"smtp://127.0.0.1:{serve(converse)}", message, now)
        assert attempt.outcome == Outcome.NOT_DELIVERED
        assert far_ends[0].content == []

    @pytest.mark.parametrize(
        "greeting", [b"220 " + b"x" * 500, b"220-x\r\n" * 100], ids=["one line", "many lines"]
    )
    def test_a_reply_that_dribbles(
        self, serve: Callable[[Converse], int], message: Message, now: datetime, greeting: bytes
    ) -> None:
        """A byte now and then does not make a reply endless."""
        port = serve(lambda far_end: far_end.dribble(greeting, 0.02))
        attempt = mail_to(f"smtp://127.0.0.1:{port}", message, now)
        assert attempt.outcome == Outcome.NOT_DELIVERED
        assert attempt.detail.startswith("connecting: ")

    def test_a_server_that_does_not_stop_talking(
        self,
        serve: Callable[[Converse], int],
        message: Message,
        now: datetime,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Replies have a size; a flood is left at once, long before the deadline."""
        monkeypatch.setattr(channel, "SEND_SECONDS", 20.0)

        def converse(far_end: FarEnd) -> None:
            while True:
                far_end.connection.sendall(b"220-and another thing\r\n" * 1000)

        attempt = mail_to(f"smtp://127.0.0.1:{serve(converse)}", message, now)
        assert attempt.outcome == Outcome.NOT_DELIVERED

    def test_a_tarpit_after_the_mail_is_handed_over(
        self, serve: Callable[[Converse], int], message: Message, now: datetime
    ) -> None:
        """The server has it all and never finishes its reply: perhaps."""

        def converse(far_end: FarEnd) -> None:
            far_end.take_mail()
            far_end.dribble(b"250-kept\r\n" * 100, 0.05)

        attempt = mail_to(f"smtp://127.0.0.1:{serve(converse)}", message, now)
        assert attempt.outcome == Outcome.UNKNOWN
        assert "after the mail was handed over" in attempt.detail

    def test_a_goodbye_that_dribbles(
        self, serve: Callable[[Converse], int], message: Message, now: datetime
    ) -> None:
        """The mail is accepted, and stays so."""

        def converse(far_end: FarEnd) -> None:
            far_end.take_mail()
            far_end.say("250 kept")
            far_end.dribble(b"221-bye\r\n" * 100, 0.05)

        assert mail_to(f"smtp://127.0.0.1:{serve(converse)}", message, now).outcome == Outcome.DELIVERED

    def test_a_mail_that_is_read_in_sips(
        self,
        serve: Callable[[Converse], int],
        message: Message,
        now: datetime,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Each sip restarts the write's timeout, but not the deadline; perhaps it arrived."""
        monkeypatch.setattr("speed_to_lead.destinations.email.mail", lambda *_: BigMail())

        def converse(far_end: FarEnd) -> None:
            far_end.say("220 hello")
            for reply in ("250 far.example", "250 ok", "250 ok", "354 go on"):
                far_end.hear()
                far_end.say(reply)
            while True:
                far_end.wait(0.05)
                far_end.connection.recv(50_000)

        assert mail_to(f"smtp://127.0.0.1:{serve(converse)}", message, now).outcome == Outcome.UNKNOWN

    @pytest.mark.parametrize("late", [0.0, 0.4])
    def test_a_starttls_handshake_that_dribbles(
        self, serve: Callable[[Converse], int], message: Message, now: datetime, late: float
    ) -> None:
        """The handshake has what is left, not what was left before."""

        def converse(far_end: FarEnd) -> None:
            far_end.say("220 hello")
            far_end.hear()
            far_end.say("250-far.example\r\n250 STARTTLS")
            far_end.hear()
            far_end.say("220 go on", after=late)
            far_end.dribble(b"\x16\x03\x03\x40\x00" + b"\x00" * 1000, 0.1)

        attempt = mail_to(f"smtp://127.0.0.1:{serve(converse)}?starttls=true", message, now)
        assert attempt.outcome == Outcome.NOT_DELIVERED
        assert attempt.detail.startswith("STARTTLS: ")

    def test_a_tls_handshake_that_dribbles(
        self, serve: Callable[[Converse], int], message: Message, now: datetime
    ) -> None:
        """TLS from the first byte, likewise."""
        port = serve(lambda far_end: far_end.dribble(b"\x16\x03\x03\x40\x00" + b"\x00" * 1000, 0.1))
        assert mail_to(f"smtps://127.0.0.1:{port}", message, now).outcome == Outcome.NOT_DELIVERED


class BigMail:
    """More than any socket buffers."""

    def as_bytes(self) -> bytes:
        return b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 200_000


class TestAddresses:
    """What getaddrinfo answers is replaced; everything after it is real."""

    @pytest.fixture
    def resolve(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        real = socket.getaddrinfo

        def answer_with(*addresses: str) -> None:
            def fake(host: Any, port: Any, *args: Any, **options: Any) -> Any:
                if host != "many.example":
                    return real(host, port, *args, **options)
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

            monkeypatch.setattr(socket, "getaddrinfo", fake)

        return answer_with

    def test_a_resolver_that_does_not_answer(
        self, client: httpx.Client, message: Message, now: datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The look-up goes on without us; nothing was sent."""
        over = threading.Event()

        def hang(*args: Any, **options: Any) -> Any:
            over.wait(10)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")

        monkeypatch.setattr(socket, "getaddrinfo", hang)
        assert post_to(client, "http://slow.example/", now).outcome == Outcome.NOT_DELIVERED
        assert mail_to("smtp://slow.example", message, now).outcome == Outcome.NOT_DELIVERED
        over.set()

    def test_no_such_host(
        self, client: httpx.Client, message: Message, now: datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the look-up raises is raised here."""

        def fail(*args: Any, **options: Any) -> Any:
            raise socket.gaierror(socket.EAI_NONAME, "no such host")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        with pytest.raises(socket.gaierror):
            addresses_of("nowhere.example", 80)
        expected = Attempt(Outcome.NOT_DELIVERED, "no connection (ConnectError)")
        assert expected == post_to(client, "http://nowhere.example/", now)
        assert mail_to("smtp://nowhere.example", message, now).outcome == Outcome.NOT_DELIVERED

    def test_the_second_address_will_do(
        self,
        resolve: Callable[..., None],
        serve: Callable[[Converse], int],
        client: httpx.Client,
        far_side: Any,
        message: Message,
        now: datetime,
    ) -> None:
        """Where the first address refuses, the next is tried."""

        def converse(far_end: FarEnd) -> None:
            far_end.take_mail()
            far_end.say("250 kept")

        resolve("127.0.0.2", "127.0.0.1")
        assert post_to(client, f"http://many.example:{far_side.port}/", now).outcome == Outcome.DELIVERED
        assert far_side.requests[0][1]["host"] == f"many.example:{far_side.port}"
        assert mail_to(f"smtp://many.example:{serve(converse)}", message, now).outcome == Outcome.DELIVERED

    def test_many_addresses_that_take_no_connection(
        self, resolve: Callable[..., None], client: httpx.Client, message: Message, now: datetime
    ) -> None:
        """Each has its own timeout, all together the deadline."""
        client.timeout = httpx.Timeout(0.3)
        with full_listener() as port:
            resolve(*(f"127.0.0.{number}" for number in range(1, 30)))
            attempt = post_to(client, f"http://many.example:{port}/", now)
            assert Attempt(Outcome.NOT_DELIVERED, "no connection in time (ConnectTimeout)") == attempt
            attempt = mail_to(f"smtp://many.example:{port}", message, now)
            assert attempt.outcome == Outcome.NOT_DELIVERED


@contextlib.contextmanager
def full_listener() -> Iterator[int]:
    """A port on every loopback address where connections are neither taken nor refused."""
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.create_server(("0.0.0.0", 0), backlog=0))
        port: int = listener.getsockname()[1]
        for _ in range(4):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port
