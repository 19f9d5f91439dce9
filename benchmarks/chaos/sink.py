"""The far side of every destination: takes alerts by HTTP and by mail, fails in every way there is, and notes what it did.

What it notes of each receipt is what it knows itself: `heard` (it took the alert and said so in that destination's own
words), `refused` (it did not take it, and nobody can think so), `unknown` (it had read the alert, and what the sender
heard of it, nobody can say).
"""

import base64
import contextlib
import email
import email.policy
import hashlib
import hmac
import json
import random
import re
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from benchmarks.chaos.journal import Journal, now_ms
from benchmarks.chaos.rules import DESTINATIONS, FALLBACK, GOES_AWAY, secret_of, smtp_port, webhook_secret

HEARD, REFUSED, UNKNOWN = "heard", "refused", "unknown"

#: How long a hanging answer hangs: longer than speed-to-lead waits for any.
HANG_SECONDS: Final = 10.0
#: A destination that is in trouble keeps to one way of failing for so many seconds.
MOOD_SECONDS: Final = (0.5, 5.0)
_SMALL_PRINT: Final = re.compile(r"lead ([A-Za-z0-9._-]+) (?:·|\xb7) step (\S+)")
_SYSTEM_SMALL_PRINT: Final = re.compile(r"step (\S+)")
#: Teams is sent Markdown, in which signs are escaped.
_MARKDOWN_ESCAPE: Final = re.compile(r"\\([^A-Za-z0-9\s])")


@dataclass(slots=True)
class _Receipt:
    """One alert as it came in."""

    destination: str
    key: str = ""
    type: str = ""
    lead: str = ""
    step: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    started: int = field(default_factory=now_ms)


class Sink:
    """All destinations of a run. While `trouble` is set each of them fails now and then, in one way for a while."""

    def __init__(self, journal: Journal, seed: int) -> None:
        self.trouble = False
        self._journal = journal
        self._dice = random.Random(seed)
        self._lock = threading.Lock()
        self._moods: dict[str, tuple[float, str]] = {}
        self._closing = threading.Event()
        self._http, self._smtp = _bound_pair(self)

    @property
    def url(self) -> str:
        """Where it takes HTTP; mail is taken one port above."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> None:
        """Take alerts, in threads, until closed."""
        for server in (self._http, self._smtp):
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()

    def close(self) -> None:
        """Let go of whoever hangs, and take no more."""
        self._closing.set()
        for server in (self._http, self._smtp):
            server.shutdown()
            server.server_close()

    # --- what the handlers ask ---------------------------------------------------------------------------------

    def mood(self, destination: str, ways: tuple[str, ...]) -> str:
        """How this destination answers just now: "" is well."""
        if not self.trouble:
            return ""
        with self._lock:
            until, way = self._moods.get(destination, (0.0, ""))
            now = time.monotonic()
            if now >= until:
                # Half of the time it is well; and what it is told to refuse for ever is not the last resort.
                usable = [way for way in ways if not (destination == FALLBACK and way in _FOR_EVER)]
                if destination != GOES_AWAY:
                    usable = [way for way in usable if way != GONE]
                way = self._dice.choice(usable) if self._dice.random() < 0.5 else ""
                self._moods[destination] = (now + self._dice.uniform(*MOOD_SECONDS), way)
            return way

    def roll(self, *choices: str) -> str:
        """One of these."""
        with self._lock:
            return self._dice.choice(choices)

    def wait(self, seconds: float) -> None:
        """Let the sender wait; not longer than the sink is open."""
        self._closing.wait(seconds)

    def note(self, receipt: _Receipt, outcome: str, answer: str) -> None:
        """Write a receipt down."""
        with contextlib.suppress(ValueError):  # the journal is closed: the run is over
            self._journal.write(
                "receipt",
                key=receipt.key,
                type=receipt.type,
                lead=receipt.lead,
                step=receipt.step,
                destination=receipt.destination,
                outcome=outcome,
                answer=answer,
                started=receipt.started,
                data=dict(receipt.data),
            )


# --- HTTP ------------------------------------------------------------------------------------------------------

_HTTP_WAYS: Final = (
    "500", "503", "503 later", "503 date", "429", "429 later", "429 fraction", "502", "504", "408",
    "400", "410", "redirect", "reset early", "reset", "hang", "drip head", "drip body", "half", "no http",
)  # fmt: skip
GONE: Final = "410"
#: Those whose answer is in their body, each with its word that it took the alert.
_IN_BODY: Final[Mapping[str, bytes]] = {
    "slack": b"ok",
    "discord": b'{"id":"1183","content":""}',
    "google_chat": b'{"name":"spaces/a/messages/b"}',
    "sms": b'{"sid":"SM00000000000000000000000000000001","status":"queued","error_code":null}',
}
#: Those whose status says that they took it to work on it, each with what they say besides.
_TAKEN: Final[Mapping[str, tuple[int, bytes]]] = {
    "teams": (202, b""),
    "pagerduty": (202, b'{"status":"success","message":"Event processed"}'),
    "opsgenie": (202, b'{"result":"Request will be processed","took":0.3,"requestId":"r"}'),
    "sms": (201, _IN_BODY["sms"]),
}
_SLACK_WAYS: Final = (*_HTTP_WAYS, "not ok", "not ok word", "rate limited", "perhaps", "empty")
_WAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "slack": _SLACK_WAYS,
    "webhook": _HTTP_WAYS,
    "teams": (*_HTTP_WAYS, "told of 429", "told of 400"),
    "pagerduty": (*_HTTP_WAYS, "empty", "invalid event"),
    "opsgenie": (*_HTTP_WAYS, "empty", "422"),
    "sms": (*_HTTP_WAYS, "empty", "failed", "too many"),
}
_FOR_EVER: Final = frozenset({
    "400", "410", "redirect", "not ok", "not ok word", "550", "told of 400", "invalid event", "422", "failed",
})  # fmt: skip

_Headers = tuple[tuple[str, str], ...]

#: Ways that are an answer: status, body, headers, and what came of the alert.
_IN_WORDS: Final[Mapping[str, tuple[int, bytes, _Headers, str]]] = {
    **{status: (int(status), b"no", (), REFUSED) for status in ("400", "408", "410", "429", "500", "503")},
    # A gateway speaks for somebody who may have taken it.
    "502": (502, b"a gateway's page", (), UNKNOWN),
    "504": (504, b"a gateway's page", (), UNKNOWN),
    "503 later": (503, b"later", (("Retry-After", "2"),), REFUSED),
    "429 later": (429, b"later", (("Retry-After", "5"),), REFUSED),
    "429 fraction": (429, b'{"retry_after": 0.75}', (("Retry-After", "0.75"),), REFUSED),
    "not ok": (200, b'{"ok":false,"error":"invalid_blocks"}', (), REFUSED),
    "not ok word": (403, b"action_prohibited", (), REFUSED),
    "rate limited": (200, b'{"ok":false,"error":"ratelimited"}', (("Retry-After", "1"),), REFUSED),
    "perhaps": (200, b'{"ok":false,"error":"fatal_error"}', (), UNKNOWN),
    "empty": (200, b"", (), UNKNOWN),
    "told of 429": (200, b"Microsoft Teams endpoint returned HTTP error 429 with ContextId", (), REFUSED),
    "told of 400": (200, b"Microsoft Teams endpoint returned HTTP error 400 with ContextId", (), REFUSED),
    "invalid event": (400, b'{"status":"invalid event","message":"no","errors":[]}', (), REFUSED),
    "422": (422, b'{"message":"Request body is not processable","took":0.1}', (), REFUSED),
    "failed": (201, b'{"sid":"SM00000000000000000000000000000002","status":"failed"}', (), REFUSED),
    "too many": (429, b'{"code":20429,"status":429}', (("Retry-After", "1"),), REFUSED),
}


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, handler: type[socketserver.BaseRequestHandler], sink: Sink) -> None:
        self.sink = sink
        super().__init__(("127.0.0.1", port), handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Senders that hang up, or are killed, are what this is about."""


class _Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 60

    def do_POST(self) -> None:
        """Take one alert: 1 who is meant, 2 read it, 3 answer as the destination's mood is, 4 note what was done."""
        kind, _, rest = self.path.lstrip("/").partition("/")
        destination = rest.partition("/")[0]
        sink = self.server.sink
        way = sink.mood(destination, _WAYS.get(kind, (*_HTTP_WAYS, "empty")))
        if way == "reset early":
            _reset(self.connection)
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if destination not in DESTINATIONS:
            self._answer(404, b"nobody of that name")
            return
        if kind == "webhook":
            receipt = _webhook_receipt(destination, body, self.headers)
        elif kind == "pagerduty":
            receipt = _pagerduty_receipt(destination, body)
        elif kind == "opsgenie":
            receipt = _opsgenie_receipt(destination, self.path, body)
        elif kind == "sms":
            receipt = _by_small_print(destination, parse_qs(body.decode())["Body"][0])
        else:
            receipt = _people_receipt(destination, body)
        outcome = UNKNOWN
        try:
            outcome = self._answer_as(way, kind)
        finally:
            sink.note(receipt, outcome, way or "ok")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as its base class calls it
        """Say nothing."""

    def _answer_as(self, way: str, kind: str) -> str:
        """Answer in one way; the outcome."""
        if way == "":
            self._answer(*_TAKEN.get(kind, (200, _IN_BODY.get(kind, b'{"taken":true}'))))
            return HEARD
        if way in _IN_WORDS:
            status, body, headers, outcome = _IN_WORDS[way]
            self._answer(status, body, *headers)
            # Twilio says that after any 5xx of its own the message may be on its way.
            return UNKNOWN if kind == "sms" and status >= 500 else outcome
        if way == "503 date":
            self._answer(503, b"later", ("Retry-After", formatdate(time.time() + 3, usegmt=True)))
            return UNKNOWN if kind == "sms" else REFUSED
        if way == "redirect":
            there = f"{self.server.sink.url}/webhook/nobody/x"
            self._answer(self.server.sink.roll("301", "302", "307", "308"), b"", ("Location", there))
            return REFUSED
        if way == "drip body":
            status = _TAKEN.get(kind, (200, b""))[0]
            return self._drip_body(status, is_in_body=kind in _IN_BODY)
        self._break(way)
        return UNKNOWN

    def _drip_body(self, status: int, *, is_in_body: bool) -> str:
        """The status of a webhook is its whole answer; the others' is in the body, which never ends here."""
        self.wfile.write(b"HTTP/1.1 %d OK\r\nContent-Length: 4000\r\n\r\n" % status)
        self.wfile.flush()
        with contextlib.suppress(OSError):  # nobody listens to the end of it
            self._drip(b" " * 12, pause=0.5)
        return UNKNOWN if is_in_body else HEARD

    def _break(self, way: str) -> None:
        """No answer, or none that anybody could read."""
        self.close_connection = True
        match way:
            case "hang":
                self.server.sink.wait(HANG_SECONDS)
            case "reset":
                _reset(self.connection)
            case "half":
                self._raw(b"HTTP/1.1 200 OK\r\nContent-Le")
            case "no http":
                self._raw(b"SSH-2.0-OpenSSH_9.6\r\n")
            case "drip head":
                self._drip(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", pause=1.0)

    def _answer(self, status: int | str, body: bytes, *headers: tuple[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {'OK' if status == 200 else 'So'}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.wfile.flush()

    def _raw(self, text: bytes) -> None:
        self.wfile.write(text)
        self.wfile.flush()
        self.close_connection = True

    def _drip(self, text: bytes, pause: float) -> None:
        self.close_connection = True
        for byte in text:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            self.server.sink.wait(pause)


def _webhook_receipt(destination: str, body: bytes, headers: Any) -> _Receipt:
    key = headers.get("webhook-id", "")
    said = json.loads(body)
    data = dict(said["data"])
    signed = f"{key}.{headers.get('webhook-timestamp', '')}.".encode() + body
    secret = base64.b64decode(webhook_secret(destination).removeprefix("whsec_"))
    proof = f"v1,{base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()}"
    data["is_signed"] = proof in headers.get("webhook-signature", "").split()
    return _Receipt(destination, key, said["type"], data.get("lead_id") or "", data.get("step") or "", data)


def _pagerduty_receipt(destination: str, body: bytes) -> _Receipt:
    """One event of an incident. What acknowledges or resolves it names the incident, and no step."""
    event = json.loads(body)
    small = event.get("payload", {}).get("custom_details", {}).get("Alert", "")
    is_ours = event["routing_key"] == secret_of(destination)
    return _incident_receipt(destination, event["dedup_key"], event["event_action"], small, is_ours=is_ours)


def _opsgenie_receipt(destination: str, path: str, body: bytes) -> _Receipt:
    """One request about an alert there: it is made by its alias, and told of the rest at its own address."""
    _, _, after = urlsplit(path).path.partition("/v2/alerts")
    said = json.loads(body)
    if not after:
        return _incident_receipt(destination, said["alias"], "trigger", said["description"])
    alias, _, deed = after.removeprefix("/").partition("/")
    action = {"close": "resolve", "acknowledge": "acknowledge"}.get(deed, "note")
    return _incident_receipt(destination, unquote(alias), action, "")


def _incident_receipt(
    destination: str, incident: str, action: str, small_print: str, *, is_ours: bool = True
) -> _Receipt:
    receipt = _by_small_print(destination, small_print)
    if not receipt.step:  # it says how the incident goes on, and calls nobody
        receipt = _Receipt(destination, type="incident", lead=incident)
    receipt.data = {**receipt.data, "incident": incident, "action": action, "is_signed": is_ours}
    return receipt


def _people_receipt(destination: str, body: bytes) -> _Receipt:
    """Chats are told no key: which alert it is stands in the small print, for people."""
    shown = (_MARKDOWN_ESCAPE.sub(r"\1", text) for text in _texts_in(json.loads(body)))
    texts = [text for text in shown if _SYSTEM_SMALL_PRINT.search(text)]
    return _by_small_print(destination, texts[-1] if texts else "")


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(inner)


def _by_small_print(destination: str, text: str) -> _Receipt:
    found = _SMALL_PRINT.search(text)
    if found is None:
        step = _SYSTEM_SMALL_PRINT.search(text)
        return _Receipt(destination, type="system", step=step[1] if step else "")
    lead, step_name = found[1], found[2]
    data = {"possible_repeat": "possible repeat" in text}
    return _Receipt(destination, f"{lead}:{step_name}:{destination}", "", lead, step_name, data)


def _reset(connection: socket.socket) -> None:
    """Hang up so that the other side sees a reset, not an end."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
    with contextlib.suppress(OSError):
        connection.close()


# --- mail ------------------------------------------------------------------------------------------------------

_MAIL_WAYS: Final = ("421", "450", "451 data", "550", "hang up", "hang", "reset", "drip", "hang before")


class _Smtp(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a client needs that hands in one mail."""

    server: _Server
    timeout = 60

    def handle(self) -> None:
        """One conversation."""
        sink = self.server.sink
        way = sink.mood("gamma-mail", _MAIL_WAYS)
        if way == "421":
            self._say("421 too busy")
            return
        self._say("220 sink")
        recipients: list[str] = []
        while line := self.rfile.readline(2000).decode("latin-1").strip():
            word = line[:4].upper()
            if word == "QUIT":
                self._say("221 bye")
                return
            if word == "RCPT":
                if way in ("450", "550"):
                    self._say(f"{way} not now")
                    continue
                found = re.search(r"<([^@>]*)@", line)
                recipients.append(found[1] if found else "")
            if word == "DATA":
                if way == "hang before":
                    sink.wait(HANG_SECONDS + 5)
                    return
                if not self._take(recipients, way):
                    return
                continue
            self._say("250 ok")

    def _take(self, recipients: list[str], way: str) -> bool:
        """The mail itself; whether the conversation goes on."""
        sink = self.server.sink
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline(10_000)) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        if line == b"":
            return False  # it broke off: there is no mail
        receipts = [_mail_receipt(name, b"".join(lines)) for name in recipients]
        outcome = UNKNOWN
        try:
            outcome = self._answer_as(way)
        finally:
            for receipt in receipts:
                sink.note(receipt, outcome, way or "ok")
        return outcome == HEARD

    def _answer_as(self, way: str) -> str:
        match way:
            case "451 data":
                self._say("451 not now")
                return REFUSED
            case "hang up" | "reset":
                if way == "reset":
                    _reset(self.connection)
                return UNKNOWN
            case "hang":
                self.server.sink.wait(HANG_SECONDS + 6)
                return UNKNOWN
            case "drip":
                for byte in b"250 ok, it is ta":
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    self.server.sink.wait(1.0)
                return UNKNOWN
            case _:
                self._say("250 taken")
                return HEARD

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())
        self.wfile.flush()


def _mail_receipt(destination: str, content: bytes) -> _Receipt:
    mail = email.message_from_bytes(content, policy=email.policy.default)
    part = mail.get_body(("plain",))
    receipt = _by_small_print(destination, part.get_content() if part is not None else "")
    receipt.data = {**receipt.data, "message_id": str(mail["Message-ID"])}
    return receipt


def _bound_pair(sink: Sink) -> tuple[_Server, _Server]:
    """Two servers on neighbouring ports."""
    for _ in range(100):
        http = _Server(0, _Http, sink)
        with contextlib.suppress(OSError):
            return http, _Server(smtp_port(http.server_address[1]), _Smtp, sink)
        http.server_close()
    raise OSError("no two neighbouring ports are free")


#: Kinds of destination the sink can play; a test compares them with those that stand in the rules.
PLAYED: Final[Mapping[str, Callable[..., object]]] = {
    **dict.fromkeys(
        ("webhook", "slack", "discord", "google_chat", "teams", "pagerduty", "opsgenie", "sms"), _Http
    ),
    "email": _Smtp,
}
