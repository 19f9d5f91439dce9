"""Mail: what it looks like, and what an SMTP conversation comes to, wherever it breaks."""

import smtplib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from speed_to_lead.core.delivery import Attempt, Destination, Outcome
from speed_to_lead.core.message import Message
from speed_to_lead.destinations import Channel, channel, open_channel
from speed_to_lead.destinations.email import Server, attempt_of, mail, server_of

NO_HTTP = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(500)))


def channel_to(
    url: str, to: object = ("ana@sales.example", "bo@sales.example"), **options: object
) -> Channel:
    destination = Destination(
        "managers", "email", {"to": list(to) if isinstance(to, tuple) else to, **options}
    )
    return open_channel(destination, NO_HTTP, {"SMTP_URL": url})


class Mailbox:
    """A server that accepts, unless told otherwise."""

    def __init__(self, *, refuse: dict[str, str] | None = None, after_data: str = "250 kept") -> None:
        self.refuse = refuse or {}
        self.after_data = after_data
        self.kept: list[tuple[str, list[str], bytes]] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.after_data.startswith("250"):
            self.kept.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content))
        return self.after_data


@pytest.fixture
def serve(closed_port: int) -> Iterator[Callable[..., str]]:
    """Starts an aiosmtpd server for a mailbox; answers its smtp:// address."""
    controllers: list[Controller] = []

    def start(mailbox: Mailbox, **options: Any) -> str:
        controller = Controller(mailbox, hostname="127.0.0.1", port=closed_port, **options)
        controller.start()
        controllers.append(controller)
        return f"127.0.0.1:{closed_port}"

    yield start
    for controller in controllers:
        controller.stop()


@pytest.fixture
def script() -> Iterator[Callable[..., str]]:
    """Starts a server that says fixed lines, one per command received; None hangs up, "hang" says nothing."""
    closing = threading.Event()
    threads: list[threading.Thread] = []
    listeners: list[socket.socket] = []

    def start(*replies: str | None, received: list[bytes] | None = None) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(5)
        listeners.append(listener)
        thread = threading.Thread(target=converse, args=(listener, replies, received), daemon=True)
        thread.start()
        threads.append(thread)
        return f"smtp://127.0.0.1:{listener.getsockname()[1]}"

    def converse(
        listener: socket.socket, replies: tuple[str | None, ...], received: list[bytes] | None
    ) -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection, connection.makefile("rwb") as lines:
                in_data = False
                for reply in replies:
                    if reply is None:
                        return
                    if reply == "hang":
                        closing.wait(5)
                        return
                    lines.write(reply.encode() + b"\r\n")
                    lines.flush()
                    in_data = reply.startswith("354")
                    while (line := lines.readline()) and in_data and line != b".\r\n":
                        if received is not None:
                            received.append(line)

    yield start
    closing.set()
    for listener in listeners:
        listener.close()
    for thread in threads:
        thread.join(5)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than a busy machine takes; those who hang are left sooner."""
    monkeypatch.setattr(channel, "SEND_SECONDS", 20.0)


class TestDelivery:
    def test_accepted(self, serve: Callable[..., str], message: Message, now: datetime) -> None:
        """The mail arrives at everybody, once, whole."""
        mailbox = Mailbox()
        attempt = channel_to(f"smtp://{serve(mailbox)}").send(message, now)
        assert Attempt(Outcome.DELIVERED, "2 of 2 recipients accepted") == attempt
        [(sender, recipients, content)] = mailbox.kept
        assert (sender, recipients) == ("speed-to-lead@localhost", ["ana@sales.example", "bo@sales.example"])
        assert message.headline == message_from_bytes(content, policy=default)["Subject"]

    def test_lines_that_start_with_a_dot_arrive(
        self, serve: Callable[..., str], message: Message, now: datetime
    ) -> None:
        """A dot on a line of its own ends no mail."""
        mailbox = Mailbox()
        dotted = replace(message, facts=(("Asked", "one\n.\n..two\n.three"),), note="", url="")
        channel_to(f"smtp://{serve(mailbox)}").send(dotted, now)
        text = part(message_from_bytes(mailbox.kept[0][2], policy=default), "plain")
        assert "Asked: one\n.\n..two\n.three\n" in text

    @pytest.mark.parametrize(
        ("refuse", "expected"),
        [
            (
                {"bo@sales.example": "550 no such user bo@sales.example"},
                Attempt(
                    Outcome.DELIVERED,
                    "1 of 2 recipients accepted",
                    left_out=("bo@sales.example (SMTP 550)",),
                ),
            ),
            (
                {"ana@sales.example": "450 busy", "bo@sales.example": "550 no"},
                Attempt(Outcome.NOT_DELIVERED, "none of 2 recipients accepted: SMTP 450"),
            ),
            (
                {"ana@sales.example": "550 no", "bo@sales.example": "553 no"},
                Attempt(Outcome.REFUSED, "none of 2 recipients accepted: SMTP 550", is_gone=True),
            ),
        ],
    )
    def test_recipients_refused(
        self,
        serve: Callable[..., str],
        message: Message,
        now: datetime,
        refuse: dict[str, str],
        expected: Attempt,
    ) -> None:
        """One who accepts is enough; nobody is tried again if one was only busy. Who got none is told."""
        assert expected == channel_to(f"smtp://{serve(Mailbox(refuse=refuse))}").send(message, now)

    @pytest.mark.parametrize(
        ("reply", "outcome"),
        [
            ("451 try later", Outcome.NOT_DELIVERED),
            ("452 full", Outcome.NOT_DELIVERED),
            ("552 too big", Outcome.REFUSED),
            ("554 spam, said ann@acme.example", Outcome.REFUSED),
        ],
    )
    def test_the_content_refused(
        self, serve: Callable[..., str], message: Message, now: datetime, reply: str, outcome: Outcome
    ) -> None:
        """The reply to the content decides by its first digit."""
        attempt = channel_to(f"smtp://{serve(Mailbox(after_data=reply))}").send(message, now)
        assert Attempt(outcome, f"DATA: SMTP {reply[:3]}") == attempt

    def test_one_recipient_as_text(self, serve: Callable[..., str], message: Message, now: datetime) -> None:
        """`to` may be one address; `from` may have a name."""
        mailbox = Mailbox()
        url = f"smtp://{serve(mailbox)}"
        channel_to(url, "Ana <ana@sales.example>", **{"from": "Leads, Inc <leads@sales.example>"}).send(
            message, now
        )
        [(sender, recipients, content)] = mailbox.kept
        assert (sender, recipients) == ("leads@sales.example", ["ana@sales.example"])
        assert message_from_bytes(content, policy=default)["From"] == '"Leads, Inc" <leads@sales.example>'


EHLO = "250 far.example"
TALK = ("220 hello", EHLO, "250 ok", "250 ok", "354 go on")


class TestConversation:
    @pytest.mark.parametrize(
        ("replies", "outcome", "phase"),
        [
            ((None,), Outcome.NOT_DELIVERED, "connecting"),
            (("hang",), Outcome.NOT_DELIVERED, "connecting"),
            (("421 busy",), Outcome.NOT_DELIVERED, "connecting"),
            (("554 no service for you",), Outcome.REFUSED, "connecting"),
            (("HTTP/1.1 400 Bad Request",), Outcome.NOT_DELIVERED, "connecting"),
            (("220 hello", None), Outcome.NOT_DELIVERED, "EHLO"),
            (("220 hello", "502 what", "421 bye"), Outcome.NOT_DELIVERED, "EHLO"),
            (("220 hello", EHLO, "451 later"), Outcome.NOT_DELIVERED, "MAIL"),
            (("220 hello", EHLO, "530 log in first"), Outcome.REFUSED, "MAIL"),
            (("220 hello", EHLO, None), Outcome.NOT_DELIVERED, "MAIL"),
            (("220 hello", EHLO, "250 ok", None), Outcome.NOT_DELIVERED, "RCPT"),
            (("220 hello", EHLO, "250 ok", "hang"), Outcome.NOT_DELIVERED, "RCPT"),
            (("220 hello", EHLO, "250 ok", "250 ok", "451 later"), Outcome.NOT_DELIVERED, "DATA"),
            (("220 hello", EHLO, "250 ok", "250 ok", "554 no"), Outcome.REFUSED, "DATA"),
            (("220 hello", EHLO, "250 ok", "250 ok", None), Outcome.NOT_DELIVERED, "DATA"),
            ((*TALK, None), Outcome.UNKNOWN, "handed over"),
            ((*TALK, "hang"), Outcome.UNKNOWN, "handed over"),
            ((*TALK, "what?"), Outcome.UNKNOWN, "DATA"),
            ((*TALK, "250 kept", None), Outcome.DELIVERED, "1 of 1"),
            ((*TALK, "250 kept", "500 goodbye is unknown"), Outcome.DELIVERED, "1 of 1"),
            ((*TALK, "250 kept", "hang"), Outcome.DELIVERED, "1 of 1"),
        ],
    )
    def test_wherever_it_breaks(
        self,
        script: Callable[..., str],
        message: Message,
        now: datetime,
        replies: tuple[str | None, ...],
        outcome: Outcome,
        phase: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Before the content is handed over nothing arrived; after it silence is unknown; a goodbye changes nothing."""
        if "hang" in replies:
            monkeypatch.setattr(channel, "SEND_SECONDS", 2.5)
        attempt = channel_to(script(*replies), "ana@sales.example").send(message, now)
        assert outcome == attempt.outcome
        assert phase in attempt.detail

    def test_nobody_listens(self, closed_port: int, message: Message, now: datetime) -> None:
        """No connection: nothing was delivered."""
        attempt = channel_to(f"smtp://127.0.0.1:{closed_port}").send(message, now)
        assert Attempt(
            Outcome.NOT_DELIVERED, "connecting: no connection, or it broke (ConnectionRefusedError)"
        ) == attempt  # fmt: skip

    def test_plain_text_where_tls_was_expected(
        self, script: Callable[..., str], message: Message, now: datetime
    ) -> None:
        """smtps:// to a server that greets in the clear."""
        attempt = channel_to(script("220 hello").replace("smtp:", "smtps:")).send(message, now)
        assert attempt.outcome == Outcome.NOT_DELIVERED

    def test_no_starttls_no_password(
        self, script: Callable[..., str], message: Message, now: datetime
    ) -> None:
        """A password is never sent in the clear because somebody on the way took STARTTLS off the list."""
        url = script("220 hello", EHLO, "221 bye").replace("//", "//ana:secret@")
        attempt = channel_to(url).send(message, now)
        assert Attempt(
            Outcome.REFUSED, "STARTTLS: the server does not offer it (SMTPNotSupportedError)"
        ) == attempt  # fmt: skip

    def test_a_host_name_no_resolver_takes(self, message: Message, now: datetime) -> None:
        """A label of 70 letters is refused, not raised."""
        assert channel_to(f"smtp://{'a' * 70}.example").send(message, now).outcome == Outcome.REFUSED


class TestLogin:
    @pytest.mark.parametrize(
        ("password", "expected"),
        [
            ("p%40ss%2Fword", Attempt(Outcome.DELIVERED, "1 of 1 recipients accepted")),
            ("wrong", Attempt(Outcome.REFUSED, "AUTH: SMTP 535", is_gone=True)),
        ],
    )
    def test_over_starttls(
        self,
        serve: Callable[..., str],
        certificate: Path,
        monkeypatch: pytest.MonkeyPatch,
        message: Message,
        now: datetime,
        password: str,
        expected: Attempt,
    ) -> None:
        """User and password go over TLS, percent-decoded; 535 is a refusal."""
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(certificate)

        def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
            return AuthResult(success=data.password.decode() == "p@ss/word", handled=False)

        address = serve(
            Mailbox(),
            tls_context=server_side,
            require_starttls=True,
            authenticator=authenticate,
            auth_required=True,
        )
        assert expected == channel_to(f"smtp://ana:{password}@{address}", "ana@sales.example").send(
            message, now
        )

    def test_over_tls_from_the_first_byte(
        self,
        serve: Callable[..., str],
        certificate: Path,
        monkeypatch: pytest.MonkeyPatch,
        message: Message,
        now: datetime,
    ) -> None:
        """smtps:// shakes hands before the greeting, and a long mail passes whole."""
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(certificate)
        mailbox = Mailbox()
        address = serve(mailbox, ssl_context=server_side)
        long = replace(message, facts=tuple((f"fact {number}", "x" * 3000) for number in range(40)))
        assert channel_to(f"smtps://{address}").send(long, now).outcome == Outcome.DELIVERED
        shown = part(message_from_bytes(mailbox.kept[0][2], policy=default), "plain")
        assert shown.count("x" * 3000) == 40

    def test_a_certificate_nobody_vouches_for(
        self, serve: Callable[..., str], certificate: Path, message: Message, now: datetime
    ) -> None:
        """Without trust there is no conversation, and nothing was delivered."""
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(certificate)
        address = serve(Mailbox(), tls_context=server_side)
        attempt = channel_to(f"smtp://{address}?starttls=true").send(message, now)
        assert Attempt(
            Outcome.NOT_DELIVERED, "STARTTLS: no connection, or it broke (SSLCertVerificationError)"
        ) == attempt  # fmt: skip


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, key and all."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=127.0.0.1",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(path) + ".crt",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + Path(str(path) + ".crt").read_text())
    return path


class TestExceptions:
    @pytest.mark.parametrize("handed_over", [False, True])
    def test_every_exception_of_smtplib_has_an_outcome(self, handed_over: bool) -> None:
        """A new exception of smtplib's must be thought about before it can pass."""
        code = {
            smtplib.SMTPConnectError: (421, b"busy"),
            smtplib.SMTPHeloError: (501, b"no"),
            smtplib.SMTPDataError: (451, b"later"),
            smtplib.SMTPAuthenticationError: (535, b"no"),
            smtplib.SMTPResponseException: (-1, b"?"),
        }
        late = Outcome.UNKNOWN if handed_over else None
        expected = {
            smtplib.SMTPException: late or Outcome.REFUSED,
            smtplib.SMTPNotSupportedError: late or Outcome.REFUSED,
            smtplib.SMTPServerDisconnected: late or Outcome.NOT_DELIVERED,
            smtplib.SMTPResponseException: late or Outcome.NOT_DELIVERED,
            smtplib.SMTPConnectError: Outcome.NOT_DELIVERED,
            smtplib.SMTPHeloError: Outcome.REFUSED,
            smtplib.SMTPDataError: Outcome.NOT_DELIVERED,
            smtplib.SMTPAuthenticationError: Outcome.REFUSED,
            smtplib.SMTPSenderRefused: Outcome.REFUSED,
            smtplib.SMTPRecipientsRefused: Outcome.NOT_DELIVERED,
        }
        errors: dict[type[Exception], Exception] = {}
        for cls in {value for value in vars(smtplib).values() if is_smtp_exception(value)}:
            if cls is smtplib.SMTPSenderRefused:
                errors[cls] = cls(550, b"no", "leads@sales.example")
            elif cls is smtplib.SMTPRecipientsRefused:
                errors[cls] = cls({"ana@sales.example": (450, b"busy"), "bo@sales.example": (550, b"no")})
            else:
                errors[cls] = cls(*code.get(cls, ("ana@sales.example",)))
        attempts = {cls: attempt_of(error, "DATA", handed_over=handed_over) for cls, error in errors.items()}
        assert expected == {cls: attempt.outcome for cls, attempt in attempts.items()}
        assert not any("sales.example" in attempt.detail for attempt in attempts.values())

    @pytest.mark.parametrize(
        ("error", "before", "after"),
        [
            (TimeoutError("x"), Outcome.NOT_DELIVERED, Outcome.UNKNOWN),
            (ConnectionResetError("x"), Outcome.NOT_DELIVERED, Outcome.UNKNOWN),
            (socket.gaierror(-2, "x"), Outcome.NOT_DELIVERED, Outcome.UNKNOWN),
            (ssl.SSLError("x"), Outcome.NOT_DELIVERED, Outcome.UNKNOWN),
            (UnicodeEncodeError("ascii", "x", 0, 1, "x"), Outcome.REFUSED, Outcome.UNKNOWN),
        ],
    )
    def test_what_the_system_raises(self, error: Exception, before: Outcome, after: Outcome) -> None:
        """The same break means something else once the mail is handed over."""
        assert before == attempt_of(error, "RCPT", handed_over=False).outcome
        assert after == attempt_of(error, "DATA", handed_over=True).outcome


def is_smtp_exception(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, smtplib.SMTPException)


class TestServerAddress:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("smtp://mail.example", Server("mail.example", 25)),
            ("smtp://mail.example:2525", Server("mail.example", 2525)),
            ("smtp://mail.example?starttls=true", Server("mail.example", 587, starttls=True)),
            ("smtp://u:p@mail.example", Server("mail.example", 587, "u", "p", starttls=True)),
            ("smtp://u:p@mail.example:25?starttls=false", Server("mail.example", 25, "u", "p")),
            ("smtps://u%40x:p%3Ap@mail.example/", Server("mail.example", 465, "u@x", "p:p", tls=True)),
            ("smtp://[::1]:1025", Server("::1", 1025)),
        ],
    )
    def test_read(self, url: str, expected: Server) -> None:
        """TLS as the module's docstring says, and its ports."""
        assert expected == server_of(url, "SMTP_URL")

    @pytest.mark.parametrize(
        "url",
        [
            "mail.example", "http://mail.example", "smtp:///inbox", "smtp://h:port", "smtp://h:99999", "smtp://h?starttls=maybe",
            "smtp://h?tls=true", "smtps://h?starttls=true", "smtp://[::1", "smtp://h?&&x",
        ],
    )  # fmt: skip
    def test_refused(self, url: str, message: Message, now: datetime) -> None:
        """A typing error is a refusal that names the variable, never its value."""
        attempt = channel_to(url).send(message, now)
        assert attempt.outcome == Outcome.REFUSED
        assert "environment variable SMTP_URL" in attempt.detail
        assert url not in attempt.detail

    def test_the_password_is_not_shown(self) -> None:
        """Neither in a traceback nor in a log."""
        assert "secret" not in repr(server_of("smtp://u:secret@mail.example", "SMTP_URL"))

    @pytest.mark.parametrize(
        "to",
        [
            None,
            "",
            [],
            "ana",
            "ana@",
            [""],
            [3],
            "ana@x.example\r\nRCPT TO:<evil@x>",
            ["ana@x.example", "b o@x y"],
            "é@x.example",
        ],
    )
    def test_recipients_that_are_none(self, to: object, message: Message, now: datetime) -> None:
        """Something that is no address refuses everything, and is not repeated."""
        attempt = channel_to("smtp://mail.example", to).send(message, now)
        assert attempt.outcome == Outcome.REFUSED
        assert attempt.detail.startswith("option to ")
        assert "evil" not in attempt.detail

    def test_a_sender_that_is_none(self, message: Message, now: datetime) -> None:
        """`from` is checked like `to`."""
        attempt = channel_to("smtp://mail.example", **{"from": "nobody"}).send(message, now)
        assert attempt.detail.startswith("option from ")

    def test_the_variable_can_have_another_name(self, message: Message, now: datetime) -> None:
        """`smtp_url_env` names it."""
        attempt = channel_to("smtp://mail.example", smtp_url_env="OTHER_SMTP").send(message, now)
        assert Attempt(Outcome.REFUSED, "environment variable OTHER_SMTP is not set") == attempt


class TestMail:
    def made(self, message: Message, now: datetime) -> EmailMessage:
        return mail(message, "Leads <leads@sales.example>", ("ana@sales.example",), now)

    def test_one_alert_has_one_name(self, message: Message, now: datetime) -> None:
        """The Message-ID is made of the alert's key alone; alerts about one lead make one thread."""
        first, again = (
            self.made(message, now),
            self.made(replace(message, headline="x", possible_repeat=True), now),
        )
        other = self.made(replace(message, key="lead-42:+10m:sdr-managers"), now)
        elsewhere = self.made(replace(message, key="k", lead_id="lead-43"), now)
        assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
        assert first["References"] == other["References"] != elsewhere["References"]
        assert first["Message-ID"].endswith("@sales.example>")
        assert first["Auto-Submitted"] == "auto-generated"

    def test_what_a_reader_sees(self, message: Message, now: datetime) -> None:
        """Headline, facts, note, link and small print, in plain text and in HTML."""
        made = message_from_bytes(
            self.made(replace(message, possible_repeat=True), now).as_bytes(), policy=default
        )
        expected = (
            "Deadline missed: Ann Doe (Acme), overdue by 3 s, Bo has it\n\n"
            "Who: Ann Doe (Acme)\nE-mail: ann@acme.example\nAsked: Prices?\nSoon, please.\n\n"
            "destination head-of-sales could not be reached\n\n"
            "https://stl.example/leads/lead-42?a=1&b=2\n\n"
            "-- \nlead lead-42 · step 100% · possible repeat: an earlier attempt may have arrived\n"
        )
        assert expected == part(made, "plain")
        shown = part(made, "html")
        assert '<a href="https://stl.example/leads/lead-42?a=1&amp;b=2">Open the lead</a>' in shown
        assert "Ann Doe (Acme)" in shown

    def test_a_message_about_the_system(self, system_message: Message, now: datetime) -> None:
        """No lead, no thread."""
        made = self.made(system_message, now)
        assert made["References"] is None
        assert system_message.headline in part(made, "plain")

    def test_it_is_pure_ascii_on_the_wire(self, message: Message, now: datetime) -> None:
        """No server needs 8BITMIME or SMTPUTF8, and no line is longer than SMTP allows."""
        made = self.made(replace(message, headline="é" * 300, facts=(("Wer", "ü" * 9000),)), now).as_bytes()
        assert made.isascii()
        assert max(len(line) for line in made.split(b"\r\n")) <= 998


def part(made: Any, subtype: str) -> str:
    body = made.get_body(preferencelist=(subtype,))
    content: str = body.get_content()
    return content.replace("\r\n", "\n")
