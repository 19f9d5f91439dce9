"""Kind `email`: one mail per alert, by SMTP.

Options in `alerts.toml`:

    to             one address, or a list of them
    from           what the mail is from; "speed-to-lead@localhost" when left out
    smtp_url_env   the variable with the server's address; SMTP_URL when left out

The server's address is `smtp://user:password@host:587` or `smtps://host:465` (TLS from the first byte). With `smtp://`,
a user means STARTTLS is insisted on, and without a user the mail goes in the clear; `?starttls=true` and
`?starttls=false` say otherwise. Ports when left out: 465, 587 with STARTTLS, 25 without. User and password are
percent-encoded, as in any URL.

The conversation has one deadline (smtplib has a timeout per read only): two thirds of the time are for what comes
before the mail is handed over, so that a server which takes its time there is left before it has the mail, and not after.

Mail has no key that a server would know a repeat by, but the Message-ID is made of the alert's key, and many
mailboxes show two mails with one Message-ID once.
"""

import html
import re
import smtplib
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formataddr, parseaddr
from hashlib import blake2b
from typing import ClassVar, Final
from urllib.parse import parse_qs, unquote, urlsplit

import httpx

from speed_to_lead.core.delivery import Attempt, Destination, KindOptions, Outcome
from speed_to_lead.core.message import Message
from speed_to_lead.destinations import channel
from speed_to_lead.destinations.channel import (
    Channel,
    DestinationError,
    environment_name,
    value_from_environment,
)
from speed_to_lead.destinations.deadline import ending_within, time_left
from speed_to_lead.destinations.smtp import DeadlineSmtp
from speed_to_lead.destinations.text import one_line, paragraph, small_print, web_link

OPTIONS = KindOptions(required=("to",), optional=("from", "smtp_url_env"))

DEFAULT_FROM: Final = "speed-to-lead@localhost"
BEFORE_HANDING_OVER: Final = 2 / 3  # of the time there is
QUIT_SECONDS: Final = 1.0
SUBJECT_LIMIT: Final = 150
VALUE_LIMIT: Final = 4000

#: ASCII only (no SMTPUTF8), and nothing that could end a header or a command.
_MAILBOX: Final = re.compile(
    r"""(?:"?(?P<name>[^<>"\x00-\x1f\x7f]*)"?\s*<)?"""
    r"(?P<address>[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,255})(?(name)>)"
)
_POLICY: Final = SMTP.clone(cte_type="7bit")  # no 8BITMIME needed of the server
_ACCEPTED: Final = (250, 251)
#: Where a "never" is not about this mail, of which the server knows nothing yet, but about the login or every recipient.
_BEFORE_THE_MAIL: Final = ("AUTH", "RCPT")


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail is handed in. `tls` is from the first byte, `starttls` after the greeting."""

    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    tls: bool = False
    starttls: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class EmailChannel:
    """Hands mail to one server for a fixed list of recipients."""

    recognises_repeats: ClassVar[bool] = False
    server: Server
    sender: str
    recipients: tuple[str, ...]

    def send(self, message: Message, now: datetime) -> Attempt:
        """What the conversation with the server came to; details hold no addresses, but `left_out` those of the config."""
        content = mail(message, self.sender, self.recipients, now).as_bytes()
        conversation = Conversation()
        with ending_within(channel.SEND_SECONDS):
            try:
                return conversation.hold(self.server, parseaddr(self.sender)[1], self.recipients, content)
            except (
                OSError,
                ValueError,
            ) as error:  # smtplib's exceptions are OSErrors; ValueError: a name it cannot encode
                return attempt_of(error, conversation.phase, handed_over=conversation.handed_over)
            finally:
                conversation.end()


class Conversation:
    """One SMTP conversation, which knows how far it came: only after the mail is handed over can silence mean yes."""

    def __init__(self) -> None:
        self.phase = "connecting"
        self.handed_over = False
        self._smtp: smtplib.SMTP | None = None

    def hold(self, server: Server, sender: str, recipients: tuple[str, ...], content: bytes) -> Attempt:
        """The outcome by the server's replies. Raises what smtplib raises: OSError (its own are), ValueError."""
        with ending_within(time_left() * BEFORE_HANDING_OVER):
            smtp = self._begin(server)
            self.phase = "MAIL"
            _expect(smtp.mail(sender), _ACCEPTED)
            self.phase = "RCPT"
            codes = [smtp.rcpt(recipient)[0] for recipient in recipients]
            accepted = sum(code in _ACCEPTED for code in codes)
            if not accepted:
                # One mailbox that is only busy is reason enough to come back.
                return _refusal(min(codes), f"none of {len(codes)} recipients accepted", is_gone=True)
            self.phase = "DATA"
            _expect(smtp.docmd("DATA"), (354,))
        self.handed_over = True  # set before: the last byte may be out when send() fails
        smtp.send(re.sub(rb"(?m)^\.", b"..", content).rstrip(b"\r\n") + b"\r\n.\r\n")
        _expect(smtp.getreply(), _ACCEPTED)
        left_out = tuple(
            f"{recipient} (SMTP {code})"
            for recipient, code in zip(recipients, codes, strict=True)
            if code not in _ACCEPTED
        )
        return Attempt(
            Outcome.DELIVERED, f"{accepted} of {len(codes)} recipients accepted", left_out=left_out
        )

    def end(self) -> None:
        """Says goodbye; what the server makes of that changes nothing any more."""
        if self._smtp is not None:
            with suppress(OSError, ValueError), ending_within(QUIT_SECONDS):
                self._smtp.quit()
            self._smtp.close()

    def _begin(self, server: Server) -> smtplib.SMTP:
        """Up to where mail may be handed in: greeting, TLS and login."""
        tls = ssl.create_default_context() if server.tls else None
        smtp = self._smtp = DeadlineSmtp(server.host, server.port, tls)
        self.phase = "EHLO"
        smtp.ehlo_or_helo_if_needed()
        if server.starttls:
            self.phase = "STARTTLS"
            smtp.starttls(context=ssl.create_default_context())
            smtp.ehlo_or_helo_if_needed()
        if server.user:
            self.phase = "AUTH"
            smtp.login(server.user, server.password)
        return smtp


def open_email(
    destination: Destination,
    http: httpx.Client,  # noqa: ARG001 - every kind is opened alike
    environment: Mapping[str, str],
) -> Channel:
    """A channel to the server named; raises DestinationError where server or addresses cannot be used."""
    name = environment_name(destination, "smtp_url_env", "SMTP_URL")
    to = destination.options.get("to")
    given = [to] if isinstance(to, str) else to
    if not isinstance(given, (list, tuple)) or not given:
        raise DestinationError("option to names no recipient")
    recipients = tuple(_mailbox(recipient, "to")[1] for recipient in given)
    sender = formataddr(_mailbox(destination.options.get("from", DEFAULT_FROM), "from"))
    server = server_of(value_from_environment(destination, "smtp_url_env", environment, "SMTP_URL"), name)
    return EmailChannel(server, sender, recipients)


def server_of(url: str, name: str) -> Server:
    """The server that an SMTP URL describes; raises DestinationError, which names the variable and not its value."""
    expected = "expected smtp://user:password@host:587 or smtps://user:password@host:465"
    try:
        parts = urlsplit(url)
        port = parts.port
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise DestinationError(f"environment variable {name} holds no address: {expected}") from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise DestinationError(f"environment variable {name} holds no SMTP address: {expected}")
    tls = parts.scheme == "smtps"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    wish = query.pop("starttls", ["true" if user and not tls else "false"])[-1]
    if query or wish not in ("true", "false") or (tls and wish == "true"):
        raise DestinationError(
            f"environment variable {name}: after the ? only starttls=true or starttls=false is known, "
            "and smtps has TLS already"
        )
    starttls = wish == "true"
    default_port = 465 if tls else 587 if starttls else 25
    return Server(parts.hostname, port or default_port, user, password, tls, starttls)


def mail(message: Message, sender: str, recipients: tuple[str, ...], now: datetime) -> EmailMessage:
    """The alert as a mail, in plain text and in HTML. Headers hold no line breaks, whatever the lead wrote."""
    domain = parseaddr(sender)[1].rpartition("@")[2]
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = _header(message.headline, SUBJECT_LIMIT) or str(message.kind)
    mail["Date"] = now
    mail["Message-ID"] = f"<{_digest(message.key)}@{domain}>"
    if message.lead_id:  # a thread per lead: all its alerts refer to one mail that was never sent
        thread = f"<{_digest(message.lead_id)}@{domain}>"
        mail["In-Reply-To"] = thread
        mail["References"] = thread
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_text_of(message))
    mail.add_alternative(_html_of(message), subtype="html")
    return mail


def attempt_of(error: Exception, phase: str, *, handed_over: bool) -> Attempt:
    """What an exception says about the mail: by the server's code where there is one, else by how far it came."""
    match error:
        case smtplib.SMTPResponseException():
            return _refusal(
                error.smtp_code, phase, handed_over=handed_over, is_gone=phase in _BEFORE_THE_MAIL
            )
        case smtplib.SMTPRecipientsRefused():
            codes = [code for code, _ in error.recipients.values()]
            return _refusal(min(codes, default=550), phase, is_gone=phase in _BEFORE_THE_MAIL)
        case smtplib.SMTPServerDisconnected() | ssl.SSLError():  # a bad certificate is a ValueError too
            pass
        case smtplib.SMTPException() if not handed_over:  # STARTTLS or the login we need is not offered
            return Attempt(Outcome.REFUSED, f"{phase}: the server does not offer it ({type(error).__name__})")
        case ValueError() if not handed_over:
            return Attempt(Outcome.REFUSED, f"{phase}: not valid ({type(error).__name__})")
        case _:
            pass
    if handed_over:
        return Attempt(Outcome.UNKNOWN, f"no reply after the mail was handed over ({type(error).__name__})")
    return Attempt(Outcome.NOT_DELIVERED, f"{phase}: no connection, or it broke ({type(error).__name__})")


def _expect(reply: tuple[int, bytes], codes: tuple[int, ...]) -> None:
    if reply[0] not in codes:
        raise smtplib.SMTPResponseException(*reply)


def _refusal(code: int, phase: str, *, handed_over: bool = False, is_gone: bool = False) -> Attempt:
    """The outcome by code (RFC 5321 §4.2.1): 4yz comes to pass later, 5yz never. The server's words name addresses.

    `is_gone`: a "never" here would not be about this mail.
    """
    if 400 <= code < 500:
        return Attempt(Outcome.NOT_DELIVERED, f"{phase}: SMTP {code}")
    if 500 <= code < 600:
        return Attempt(Outcome.REFUSED, f"{phase}: SMTP {code}", is_gone=is_gone)
    outcome = Outcome.UNKNOWN if handed_over else Outcome.NOT_DELIVERED
    return Attempt(outcome, f"{phase}: a reply that is no SMTP")


def _mailbox(given: object, option: str) -> tuple[str, str]:
    """(display name, address); raises DestinationError, which does not repeat the address."""
    found = _MAILBOX.fullmatch(given.strip()) if isinstance(given, str) else None
    if found is None:
        raise DestinationError(
            f"option {option} holds something that is no e-mail address such as ana@example.com"
        )
    return _header(found["name"] or "", 100), found["address"]


def _header(text: str, limit: int) -> str:
    # EmailMessage decodes encoded words in what it is given, and a line break inside one ends the header (Python
    # 3.11): a lead called =?utf-8?b?DQpCY2M6…?= would send us mail with a Bcc.
    return one_line(text, limit).replace("=?", "= ?")


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _text_of(message: Message) -> str:
    facts = "\n".join(
        f"{one_line(label, 100)}: {paragraph(value, VALUE_LIMIT)}" for label, value in message.facts
    )
    parts = [one_line(message.headline, 1000), facts, paragraph(message.note, VALUE_LIMIT), web_link(message)]
    return "\n\n".join(part for part in parts if part) + f"\n\n-- \n{small_print(message)}\n"


def _html_of(message: Message) -> str:
    rows = "".join(
        f'<tr><td style="padding-right:1em"><b>{_html(one_line(label, 100))}</b></td>'
        f'<td style="white-space:pre-line">{_html(paragraph(value, VALUE_LIMIT))}</td></tr>\n'
        for label, value in message.facts
    )
    link = web_link(message)
    return "\n".join(
        (
            f"<h3>{_html(one_line(message.headline, 1000))}</h3>",
            f"<table>\n{rows}</table>" if rows else "",
            f'<p style="white-space:pre-line">{_html(paragraph(message.note, VALUE_LIMIT))}</p>'
            if message.note
            else "",
            f'<p><a href="{_html(link)}">Open the lead</a></p>' if link else "",
            f"<p><small>{_html(small_print(message))}</small></p>",
        )
    )


def _html(text: str) -> str:
    return html.escape(text, quote=True)
