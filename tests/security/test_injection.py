"""What a lead writes is shown and never acted upon: by no destination, page, command, log or server."""

import html.parser
import json
import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import structlog
from aiosmtpd.controller import Controller
from tests.core.builders import MONDAY, generic, rulebook, team
from tests.destinations.test_registry import TOOK_IT, WORKING
from tests.security.conftest import CONFIG, PREFIX, Hostile
from tests.security.corpus import HOSTILE, MARK, delivery_of, headers_of
from tests.servers import free_port
from tests.web.conftest import running, settings_of

from speed_to_lead import flow
from speed_to_lead.cli import main
from speed_to_lead.core.assignment import Tally
from speed_to_lead.core.delivery import Destination, Outcome
from speed_to_lead.core.lookup import LookedUp, Lookup, answer_of, question_of
from speed_to_lead.core.message import Message
from speed_to_lead.core.owner import NOTHING_EARLIER
from speed_to_lead.core.routing import assign_lead, route_of
from speed_to_lead.core.submission import GenericLead, Submission
from speed_to_lead.destinations import KINDS, open_channel
from speed_to_lead.destinations.apprise import AppriseChannel
from speed_to_lead.forms import PROVIDERS, read
from speed_to_lead.logs import set_up_logs
from speed_to_lead.spellings import SPELLINGS
from speed_to_lead.store.intake import Intake
from speed_to_lead.web import create_app

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
KEY = "a-key-of-sixteen-and-more"
AUTHORIZED = {"authorization": f"Bearer {KEY}"}

#: What moves a cursor, forges a line or turns text around. The zero-width joiner stays: emoji need it.
UNSHOWABLE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
OUR_TAGS = {"h3", "table", "tr", "td", "b", "p", "a", "small"}


def test_every_text_became_leads(hostile: Hostile) -> None:
    """The rest of this file looks at something: each text is in a lead of each form tool, none stopped the router."""
    ledger = hostile.store.operations.ledger()  # a lead keeps its newest touches only
    dead = {letter.submission.id for letter in hostile.store.queue.dead_letters(1000)}
    unread = {name for submission_id, name in hostile.names.items() if submission_id in dead}
    assert len(unread) == len(HOSTILE)  # the bare texts
    became = ledger.leads + ledger.touches + len(dead)
    assert became >= len(hostile.names) - len(HOSTILE)  # less what is the same submission twice
    assert ledger.difference == 0
    assert hostile.store.operations.health().quarantined == 0
    assert len(hostile.messages) >= len(HOSTILE)
    assert MARK in hostile.messages[0].headline


# --- destinations ----------------------------------------------------------------------------------------------


@dataclass
class Wire:
    """Everything one destination put on a wire."""

    requests: list[httpx.Request] = field(default_factory=list)
    mails: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    printed: str = ""


class _Mailbox:
    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.wire.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.original_content))
        return "250 kept"


@pytest.fixture(scope="module")
def smtp() -> Iterator[tuple[Wire, str]]:
    """A mail server, its address, and what it was given."""
    wire = Wire()
    controller = Controller(_Mailbox(wire), hostname="127.0.0.1", port=free_port(), data_size_limit=1 << 26)
    controller.start()
    yield wire, f"smtp://127.0.0.1:{controller.port}"
    controller.stop()


class _Service:
    """What Apprise is handed, which has a client of its own."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def notify(self, **said: str) -> bool:
        self.wire.requests.append(httpx.Request("POST", WORKING["apprise"][1]["A_URL"], json=said))
        return True


def said_by(kind: str, messages: list[Message], smtp: tuple[Wire, str], capsys: Any) -> Wire:
    """What a destination of this kind puts on the wire for these messages; all of them are delivered."""
    wire, mail_address = smtp
    wire.mails.clear()
    wire.requests.clear()

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        wire.requests.append(request)
        status, body = TOOK_IT.get(kind, (200, b"ok"))
        return httpx.Response(status, content=body)

    options, environment = WORKING[kind]
    environment = {
        name: mail_address if value.startswith("smtp") else value for name, value in environment.items()
    }
    capsys.readouterr()
    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        channel = open_channel(Destination("x", kind, options), http, environment)
        if isinstance(channel, AppriseChannel):
            channel = AppriseChannel(_Service(wire))
        assert {Outcome.DELIVERED} == {channel.send(message, NOW).outcome for message in messages}
    wire.printed = capsys.readouterr().out
    assert wire.requests or wire.mails or wire.printed
    return wire


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a JSON value, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)


@pytest.mark.parametrize("kind", KINDS)
def test_every_destination_shows_and_obeys_nothing(
    hostile: Hostile, smtp: tuple[Wire, str], capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """No text reaches a header, an address or a terminal's command; a new kind is held to the same by itself."""
    wire = said_by(kind, hostile.messages, smtp, capsys)
    for request in wire.requests:
        options, environment = WORKING[kind]
        addresses = (*environment.values(), options.get("base_url", "none"))
        assert any(str(request.url).startswith(address) for address in addresses)
        assert MARK not in str(request.url).casefold()
        # The key of an alert about a lead names our own id; nothing else of a header varies with the lead.
        assert MARK not in repr(request.headers).casefold()
        is_form = request.headers["content-type"].endswith("form-urlencoded")
        said = parse_qs(request.content.decode()) if is_form else json.loads(request.content)
        for text in texts_in(said):
            assert not UNSHOWABLE.search(text)
    assert not UNSHOWABLE.search(wire.printed)
    for line in wire.printed.splitlines():
        assert line.startswith(("ALERT ", "      "))
    for sender, recipients, _ in wire.mails:
        assert MARK not in f"{sender} {recipients}"


class _Html(html.parser.HTMLParser):
    """What a browser would make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


def test_mail_has_our_headers_and_our_tags_only(
    hostile: Hostile, smtp: tuple[Wire, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No Bcc, no second body, no script, no link but to the lead's page."""
    for _, _, content in said_by("email", hostile.messages, smtp, capsys).mails:
        mail: Any = message_from_bytes(content, policy=default)
        assert "ana@sales.example" == mail["To"]
        assert {"Bcc", "Cc", "X-Evil", "Set-Cookie", "Reply-To"} & set(mail.keys()) == set()
        assert len(mail.keys()) == len(set(mail.keys()))
        assert ["text/plain", "text/html"] == [part.get_content_type() for part in mail.iter_parts()]
        shown = _Html()
        shown.feed(mail.get_body(("html",)).get_content())
        assert shown.tags <= OUR_TAGS
        for name, value in shown.attributes:
            assert name in ("href", "style")
            assert MARK not in str(value)
            assert name != "href" or str(value).startswith("https://leads.example.com/")


def test_slack_reads_no_markup_of_a_leads(
    hostile: Hostile, smtp: tuple[Wire, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What a lead wrote is plain text there, or escaped; the one link is ours."""
    for request in said_by("slack", hostile.messages, smtp, capsys).requests:
        payload = json.loads(request.content)
        assert not set("<>") & set(payload["text"])
        for block in payload["blocks"]:
            for text in filter(
                None, [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]
            ):
                if text["type"] == "mrkdwn":
                    assert MARK not in text["text"]
                    assert re.fullmatch(
                        r"\*[A-Za-z -]+\*|<https://leads\.example\.com/[^<>|]*\|Open the lead>", text["text"]
                    )


def test_the_webhook_holds_nothing_a_lead_wrote(
    hostile: Hostile, smtp: tuple[Wire, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is for programs: ids and instants, so there is nothing to escape."""
    for request in said_by("webhook", hostile.messages, smtp, capsys).requests:
        assert MARK.encode() not in request.content


# --- pages -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages(hostile: Hostile) -> Iterator[httpx.Client]:
    """A client, with a key, of the application that serves those leads."""
    settings = settings_of(hostile.url, PREFIX, api_keys=KEY)
    app = create_app(hostile.place, settings, Intake(hostile.url, PREFIX), None, {})
    with (
        running(app) as port,
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers=AUTHORIZED, trust_env=False, timeout=30
        ) as http,
    ):
        yield http


def paths_served(pages: httpx.Client, hostile: Hostile) -> list[str]:
    """Every path that can be looked at: the described ones with each lead, and the pages."""
    described = pages.get("/openapi.json").json()["paths"]
    found = ["/", "/docs", "/healthz", "/readyz", "/metrics", "/openapi.json"]
    for path, methods in described.items():
        if "get" not in methods:
            continue
        found += (
            [path.replace("{lead_id}", lead.id) for lead in hostile.leads()]
            if "{lead_id}" in path
            else [path]
        )
    return found


def test_every_page_shows_and_obeys_nothing(hostile: Hostile, pages: httpx.Client) -> None:
    """JSON is JSON and nothing else to a browser; HTML has no tag and no attribute that a lead wrote."""
    seen = False
    for path in paths_served(pages, hostile):
        answer = pages.get(path)
        assert answer.status_code in (200, 404), path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert MARK not in repr(answer.headers)
        kind = answer.headers["content-type"].partition(";")[0]
        if kind == "text/html":
            shown = _Html()
            shown.feed(answer.text)
            assert MARK not in f"{shown.tags} {shown.attributes}"
        else:
            assert kind in ("application/json", "text/plain")
        seen |= MARK in answer.text
    assert seen


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_id_or_filter_is_an_ordinary_mistake(pages: httpx.Client, text: str) -> None:
    """In the path, the query, a header and the body of a change: 200, 404 or 422, and nothing of it in a header."""
    part = text.encode("utf-8", "replace").decode()
    quoted = httpx.URL(f"http://x/{'x'}").copy_with(path="/v1/leads/").raw_path.decode() + _quoted(part)
    answers = [
        pages.get(quoted),
        pages.post(f"{quoted}/close", json={"reason": part, "by": part}),
        pages.post(f"{quoted}/responses", json={"kind": part, "by": part, "evidence": {part: part}}),
        pages.post(f"/v1/reps/{_quoted(part)}/away", json={"by": part, "until": part}),
        pages.post(f"/v1/reps/{_quoted(part)}/back", json={"by": part}),
        pages.get("/v1/leads", params={"team": part, "rep": part}),
        pages.get("/v1/leads", params={"cursor": part}),
        pages.get("/v1/leads", params={part: part}),
        pages.get(f"/{_quoted(part)}"),
    ]
    for answer in answers:
        assert answer.status_code in (200, 404, 405, 422)
        assert MARK not in repr(answer.headers)
        assert answer.headers["content-type"] == "application/json"


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode()[:500])


# --- commands --------------------------------------------------------------------------------------------------


COMMANDS = (
    "leads list --limit 200",
    "leads list --limit 200 --json",
    "leads show {lead}",
    "leads show {lead} --json",
    "dead-letters list",
    "dead-letters list --json",
    "dead-letters show {dead}",
    "dead-letters show {dead} --json",
    "alerts list",
    "reps list",
    "reps list --json",
    "status",
    "ledger",
    "leads import --dry-run {file}",
    "leads import --dry-run --json {file}",
    "config explain {file}",
    "config explain --json {file}",
    "config simulate {candidate}",
    "config simulate {candidate} --json",
    "config simulate {candidate} --leads {file}",
    "config simulate {candidate} --leads {file} --json",
    "sources audit",
    "sources audit --json",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_prints_text_and_no_orders(
    hostile: Hostile,
    command: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    """A terminal that shows it moves no cursor, changes no title and turns nothing around; no line is forged."""
    monkeypatch.setenv("REDIS_URL", hostile.url)
    monkeypatch.setenv("STL_KEY_PREFIX", PREFIX)
    monkeypatch.setenv("STL_CONFIG_DIR", str(CONFIG))
    monkeypatch.setattr("speed_to_lead.cli.connect.set_up_logs", lambda *_: None)
    (tmp_path / "leads.ndjson").write_bytes(
        b"\n".join(delivery_of("generic", text).replace(b"\n", b"") for text in HOSTILE.values())
    )
    shutil.copytree(CONFIG, tmp_path / "candidate")
    slas = tmp_path / "candidate" / "slas.toml"
    slas.write_text(slas.read_text().replace('"5m"', '"7m"'))
    whom = [""]
    if "{lead}" in command:
        whom = [lead.id for lead in hostile.leads()][::3]
    if "{dead}" in command:
        whom = [letter.submission.id for letter in hostile.store.queue.dead_letters(1000)]
    printed = ""
    for one in whom:
        words = command.format(
            lead=one, dead=one, file=tmp_path / "leads.ndjson", candidate=tmp_path / "candidate"
        ).split()
        main(words)
        out, err = capfd.readouterr()
        assert not UNSHOWABLE.search(out + err), ascii(UNSHOWABLE.search(out + err))
        if "--json" in words:
            for line in out.splitlines():
                json.loads(line)
        printed += out + err
    assert printed
    if command.startswith(("leads show", "dead-letters show", "config explain")):
        assert MARK in printed.casefold()


# --- logs and the server ---------------------------------------------------------------------------------------


def test_no_log_line_holds_what_a_lead_wrote(hostile: Hostile) -> None:
    """Promise 14, for every text in every field: routed, dead letters and alerts alike."""
    assert len(hostile.logs) >= len(HOSTILE)
    assert [entry for entry in hostile.logs if MARK in repr(entry).casefold()] == []


def test_a_log_line_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    """Should a text ever reach a log, it forges none and orders no terminal: JSON escapes it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        set_up_logs("info", "json")
        for text in HOSTILE.values():
            structlog.get_logger("corpus").info("corpus.text", text=text.encode("utf-8", "replace").decode())
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()
    lines = capfd.readouterr().err.split("\n")[:-1]
    assert len(lines) == len(HOSTILE)
    for line in lines:
        assert json.loads(line)["event"] == "corpus.text"
        assert not UNSHOWABLE.search(line)


def test_the_server_was_given_data_and_no_commands(hostile: Hostile) -> None:
    """Names of keys hold hashes and our own words; nothing was flushed, nothing named after a text."""
    keys: Any = hostile.store.server.client.keys("*" + PREFIX + "*")
    assert len(keys) > len(HOSTILE)
    assert [key for key in keys if MARK.encode() in key] == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_submission_of_a_hostile_id_is_given_one_of_ours(hostile: Hostile, text: str) -> None:
    """Any program may XADD: an id that could be part of a key name or a path is kept, any other is hashed."""
    whole = text.encode("utf-8", "replace").decode()
    hostile.store.queue.add(
        Submission(whole, "generic", NOW, b'{"email":"x@example.com"}', "application/json")
    )
    flow.route(hostile.place, "router")
    for lead in hostile.leads():
        assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", lead.id)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_text_is_kept_as_it_was_written(hostile: Hostile, provider: str) -> None:
    """Escaping is for showing. What is stored is what was said (half characters apart)."""
    form = hostile.place.config.forms[provider]
    kept = 0
    for text in HOSTILE.values():
        submission = Submission(
            "x", provider, NOW, delivery_of(provider, text), "application/json", headers_of(provider)
        )
        assert read(submission, form).lead.get("company") == text.strip().replace("\ud83d", "\ufffd")
        kept += 1
    assert kept == len(HOSTILE)


# --- look-ups --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_a_look_up_is_asked_where_config_says(name: str) -> None:
    """Whatever a lead writes, it fills one place of the address: host, path and parameters stay the config's."""
    text = HOSTILE[name]
    lookup = Lookup("crm", "https://crm.example.com/a/{email}/b?d={domain}&x=1", "owner")
    for email in (text, f"{text}@acme.example", f'"{text}"@acme.example', f"kim@{text}"):
        asked = question_of(lookup, GenericLead({"email": email, "website": text}), SPELLINGS)
        if isinstance(asked, LookedUp):
            assert MARK not in asked.problem.casefold()
            continue
        url = httpx.URL(asked.address)
        assert ("https", "crm.example.com", "") == (url.scheme, url.host, url.fragment)
        assert ["a", "b"] == url.raw_path.decode().partition("?")[0].split("/")[1::2]
        assert ["d", "x"] == list(url.params)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_look_up_answers_stays_out_of_traces(name: str) -> None:
    """It is compared with the reps, and kept in the record; the trace repeats none of it."""
    lookup = Lookup("crm", "https://crm.example.com/{email}", "owner")
    answer = answer_of(lookup, json.dumps({"owner": f"{MARK} {HOSTILE[name]}"}).encode())
    book = rulebook(teams=(team("ana"),))
    book = replace(book, default=replace(book.default, owner_from="lookup:crm"), lookups={"crm": lookup})
    route = route_of(generic(), "demo", None, MONDAY, book)
    assigned = assign_lead(generic(), route, NOTHING_EARLIER, Tally(), book, MONDAY, answer)
    assert "ana" == (assigned.pick.rep and assigned.pick.rep.id)
    assert MARK not in "\n".join(assigned.trace).casefold()
