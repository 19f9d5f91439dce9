"""Promise 13: no address comes from a payload. Proved at the sockets: whatever a lead writes, only config is called."""

import http.server
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from tests.destinations.test_registry import WORKING
from tests.security.conftest import CONFIG
from tests.security.corpus import delivery_of, fields_of, headers_of
from tests.servers import ManualClock, free_port, wait_until

from speed_to_lead import flow
from speed_to_lead.core.delivery import Destination
from speed_to_lead.core.lead import Alert, AlertKind
from speed_to_lead.core.message import compose
from speed_to_lead.core.submission import Form, Submission
from speed_to_lead.destinations import KINDS
from speed_to_lead.forms import PROVIDERS
from speed_to_lead.store.memory import MemoryStore
from speed_to_lead.workplace import Workplace, channels, read_config

ELSEWHERE = "elsewhere.example"
#: Everything that some library takes for an address, or some program fetches by itself.
ADDRESSES = (
    f"http://{ELSEWHERE}/",
    f"https://user:password@{ELSEWHERE}:444/x?y=z",
    f"//{ELSEWHERE}/x",
    f"ftp://{ELSEWHERE}/x",
    f"file://{ELSEWHERE}/etc/passwd",
    f"ldap://{ELSEWHERE}/x",
    f"${{jndi:ldap://{ELSEWHERE}/a}}",
    f"redis://{ELSEWHERE}:6379/0",
    f"smtp://{ELSEWHERE}:25",
    f"\\\\{ELSEWHERE}\\share",
    f"http://169.254.169.254/latest/meta-data/?{ELSEWHERE}",
    f"http://[::1]:6379/?{ELSEWHERE}",
    f"http://0x7f000001/?{ELSEWHERE}",
    f"someone@{ELSEWHERE}",
    f"{ELSEWHERE}:8000",
    f"data:text/html,<img src=http://{ELSEWHERE}/>",
)
#: Names under which services send an address that is to be called back.
CALL_BACKS = (
    "url",
    "callback_url",
    "webhook",
    "response_url",
    "challenge",
    "redirect",
    "next",
    "avatar",
    "website",
)


class _FarSide(http.server.BaseHTTPRequestHandler):
    """Redirects every request to elsewhere, as a hostile or a broken far side would."""

    heard: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append(self.path)
        self.send_response(307)
        self.send_header("Location", f"http://{ELSEWHERE}/stolen")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class _Mailbox:
    heard = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        assert envelope.rcpt_tos == ["ana@sales.example"]
        type(self).heard += 1
        return "250 kept"


@pytest.fixture
def far_side() -> Iterator[tuple[str, list[str]]]:
    """A server on loopback, and the paths it was asked for."""
    heard: list[str] = []
    handler = type("Handler", (_FarSide,), {"heard": heard})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", heard
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def smtp() -> Iterator[str]:
    """A mail server's address."""
    controller = Controller(_Mailbox(), hostname="127.0.0.1", port=free_port())
    controller.start()
    yield f"smtp://127.0.0.1:{controller.port}"
    controller.stop()


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Every name looked up and every address connected to, from now on."""
    seen: list[tuple[str, Any]] = []
    look_up, connect, connect_ex = socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex

    def seen_look_up(host: Any, *more: Any, **named: Any) -> Any:
        seen.append(("look up", host))
        return look_up(host, *more, **named)

    def seen_connect(self: socket.socket, address: Any) -> None:
        seen.append(("connect", address))
        connect(self, address)

    def seen_connect_ex(self: socket.socket, address: Any) -> int:
        seen.append(("connect", address))
        return connect_ex(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", seen_look_up)
    monkeypatch.setattr(socket.socket, "connect", seen_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", seen_connect_ex)
    return seen


def everything_at(url: str, smtp: str) -> tuple[dict[str, Destination], dict[str, str]]:
    """A destination of each kind, all of them on loopback, and the environment that says so."""
    destinations: dict[str, Destination] = {}
    environment = {"SMTP_URL": smtp}
    for kind in KINDS:
        options, values = WORKING[kind]
        named = {value: f"{kind}_{value}".upper() for value in values if value != "SMTP_URL"}
        given = {key: named.get(str(value), value) for key, value in options.items()}
        destinations[kind] = Destination(
            kind, kind, given | ({"base_url": f"{url}/{kind}"} if "base_url" in given else {})
        )
        for name, variable in named.items():
            scheme = values[name].partition("://")[0]
            is_address = scheme in ("http", "https", "json")
            at = url.replace("http", scheme) if scheme == "json" else url  # as Apprise writes it
            environment[variable] = f"{at}/{kind}" if is_address else values[name]
    return destinations, environment


@pytest.mark.parametrize("provider", PROVIDERS)
def test_only_what_config_names_is_called(
    provider: str,
    far_side: tuple[str, list[str]],
    smtp: str,
    called: list[tuple[str, Any]],
    memory_store: MemoryStore,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every address in every field, every kind of destination, the whole ladder: loopback hears, elsewhere does not."""
    url, heard = far_side
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    destinations, environment = everything_at(url, smtp)
    config = read_config(CONFIG, datetime(2026, 11, 23, tzinfo=UTC))
    assert {one.type for one in destinations.values()} == set(KINDS)
    forms = {provider: Form(provider, provider, "none", source="demo_request")}
    place = Workplace(
        memory_store,
        replace(config, forms=forms, destinations=destinations),
        channels(destinations, environment),
        public_url="https://leads.example.com",
    )
    for number, address in enumerate(ADDRESSES):
        body = json.loads(delivery_of(provider, address))
        body.update({name: address for name in CALL_BACKS if name not in body})
        # One person each, at an address elsewhere.
        raw = json.dumps(body).replace(json.dumps(fields_of(address)["email"]), f'"p{number}@{ELSEWHERE}"')
        now = memory_store.now()
        submission = Submission(
            flow.new_submission_id(now), provider, now, raw.encode(), "application/json", headers_of(provider)
        )
        memory_store.queue.add(submission)
    while flow.route(place, "router").settled:
        pass
    clock.advance(timedelta(hours=1))
    while flow.sweep(place).decided:
        pass
    leads, _ = memory_store.leads.newest(100)
    assert len(leads) == len(ADDRESSES)
    for lead in leads:  # whatever the rules wanted, every kind of destination is told of every lead
        for name in destinations:
            alert = Alert(lead.id, "100%", name, AlertKind.BREACHED, clock(), team=lead.team)
            message = compose(alert, lead, None, lead.source, f"{place.public_url}/leads/{lead.id}", clock())
            place.channel(name).send(message, clock())
    wait_until(lambda: _Mailbox.heard > 0, "mail arrived")
    by_http = {kind for kind in KINDS if {"url_env", "base_url"} & set(WORKING[kind][0])}
    assert by_http == {re.split("[/?]", path)[1] for path in heard}
    assert ELSEWHERE not in repr(called)
    hosts = {what if kind == "look up" else what[0] for kind, what in called}
    assert hosts <= {"127.0.0.1", None}
