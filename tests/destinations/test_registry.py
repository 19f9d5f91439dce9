"""Every kind of destination: registered, careful with its configuration, and deaf to what leads write."""

import ast
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email import message_from_bytes
from email.policy import default
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import speed_to_lead.destinations
from speed_to_lead.core.delivery import Attempt, Destination, Outcome
from speed_to_lead.core.message import Message
from speed_to_lead.destinations import KINDS, Channel, open_channel, why_unusable
from speed_to_lead.destinations.console import block_of
from speed_to_lead.destinations.email import mail
from speed_to_lead.destinations.slack import payload as slack_payload
from speed_to_lead.destinations.text import one_line, paragraph, web_link
from speed_to_lead.destinations.webhook import payload as webhook_payload

PACKAGE = Path(speed_to_lead.destinations.__file__).parent

#: One working set of options per kind, and the environment it needs. A kind without a line here fails the tests below.
WORKING: Mapping[str, tuple[Mapping[str, Any], Mapping[str, str]]] = {
    "console": ({}, {}),
    "webhook": (
        {"url_env": "A_URL", "secret_env": "A_SECRET"},
        {"A_URL": "https://ops.example/in", "A_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
    ),
    "slack": ({"url_env": "A_URL"}, {"A_URL": "https://hooks.slack.com/services/T/B/X"}),
    "teams": ({"url_env": "A_URL"}, {"A_URL": "https://prod-1.westeurope.logic.azure.com/workflows/a?sig=x"}),
    "google_chat": (
        {"url_env": "A_URL"},
        {"A_URL": "https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=t"},
    ),
    "discord": ({"url_env": "A_URL"}, {"A_URL": "https://discord.com/api/webhooks/1/token"}),
    "pagerduty": (
        {"routing_key_env": "A_KEY", "base_url": "https://events.example"},
        {"A_KEY": "0123456789abcdef0123456789abcdef"},
    ),
    "opsgenie": (
        {"key_env": "A_KEY", "team": "Sales", "base_url": "https://jsm.example/jsm/ops/integration"},
        {"A_KEY": "8a1b-2c3d"},
    ),
    "sms": (
        {
            "to": "+15551234567",
            "from": "+15557654321",
            "account_sid_env": "A_SID",
            "auth_token_env": "A_TOKEN",
            "base_url": "https://twilio.example",
        },
        {"A_SID": "AC" + "0" * 32, "A_TOKEN": "4f5e6d7c"},
    ),
    "apprise": ({"url_env": "A_URL"}, {"A_URL": "json://127.0.0.1:9/in"}),
    "email": ({"to": "ana@sales.example"}, {"SMTP_URL": "smtp://mail.example"}),
}

#: The vendor's own word that it took a message; of the others "ok" will do.
TOOK_IT: Mapping[str, tuple[int, bytes]] = {
    "slack": (200, b'{"ok":true,"channel":"C0123456789","ts":"1503435956.000247","message":{"text":"x"}}'),
    "teams": (202, b""),
    "google_chat": (
        200,
        b'{"name":"spaces/AAA/messages/BBB.CCC","thread":{"name":"spaces/AAA/threads/BBB"}}',
    ),
    "discord": (200, b'{"type":0,"content":"","id":"1183","channel_id":"7"}'),
    "pagerduty": (202, b'{"status":"success","message":"Event processed","dedup_key":"lead-42"}'),
    "opsgenie": (202, b'{"result":"Request will be processed","took":0.3,"requestId":"43a29c5c"}'),
    "sms": (201, b'{"sid":"SM123","status":"queued","error_code":null,"num_segments":"1"}'),
}

NASTY = {
    "channel": "<!channel> <!here|x> <@U123> <https://evil.example|Click>",
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;\"'",
    "line breaks": "Ann\r\nBcc: evil@evil.example\r\n\r\nbody\n.\r\nQUIT\r\n",
    "other line breaks": "Ann\u2028Bcc: evil@evil.example\u2029\x85\x0b\x0cX: y",
    "right to left": "Ann \u202egnp.exe\u202c \u2067x\u2069 \u200f",
    "terminal": "Ann\x1b]0;owned\x07\x1b[2J\x9b31m\x00",
    "long": "x" * 10_000,
    "long words": "many words " * 1000,
    "emoji": "👩\u200d👩\u200d👧 😀" * 400,
    "half a pair": "Ann \ud83d",
    "blank": " \t\r\n\u200b",
    "nothing": "",
    "arabic": "مرحبا، أود عرضًا تجريبيًا",
    "mime": "=?utf-8?q?Bcc=3A_evil=40evil.example?= =?utf-8?b?DQpCY2M6IGV2aWw=?=",
}


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, text="ok"))) as client:
        yield client


@dataclass(frozen=True)
class Nasty:
    message: Message
    text: str


@pytest.fixture(params=list(NASTY.values()), ids=list(NASTY))
def nasty(request: pytest.FixtureRequest, message: Message) -> Nasty:
    """A message in which everything a person or a config could have written is hostile."""
    text: str = request.param
    hostile = replace(
        message, headline=text, facts=(("Who", text), (text, text)), note=text, step=text, rep=text, team=text,
        source=text, key=text, url=f"https://stl.example/{text}",
    )  # fmt: skip
    return Nasty(hostile, text)


class TestRegistry:
    def test_every_kind_is_tested(self) -> None:
        """A new kind needs a line in WORKING, and with it passes through every test here."""
        assert set(KINDS) == set(WORKING)

    def test_every_file_is_registered_or_shared(self) -> None:
        """One file per kind, and no kind forgotten."""
        shared = {
            "__init__",
            "channel",
            "deadline",
            "deadman",
            "http",
            "presses",
            "smtp",
            "text",
            "transport",
        }
        assert set(KINDS) == {path.stem for path in PACKAGE.glob("*.py")} - shared

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_options_are_those_declared(self, kind: str) -> None:
        """What works uses declared keys only, all required ones among them."""
        options = KINDS[kind].options
        given_keys = set(WORKING[kind][0])
        assert set(options.required) <= given_keys <= set(options.every)
        assert not options.ways or any(set(way) <= given_keys for way in options.ways)

    def test_it_imports_core_httpx_and_the_standard_library_only(self) -> None:
        """Imports run one way."""
        allowed = ("speed_to_lead.core.", "speed_to_lead.destinations")
        for path in PACKAGE.glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("speed_to_lead."):
                    assert (node.module or "").startswith(allowed), f"{path.name}: {node.module}"


class TestConfiguration:
    def test_an_unknown_kind_refuses(self, client: httpx.Client, message: Message, now: datetime) -> None:
        """Config checks the type first; whatever slips by is refused with the kinds there are."""
        attempt = open_channel(Destination("x", "fax"), client, {}).send(message, now)
        assert Attempt(Outcome.REFUSED, f"type 'fax' is not one of {', '.join(KINDS)}") == attempt

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("missing", ["absent", "empty", "blank"])
    def test_a_variable_that_is_not_set(
        self, client: httpx.Client, message: Message, now: datetime, kind: str, missing: str
    ) -> None:
        """Each variable, missing or empty, is named in a refusal, so that the fallback hears at once."""
        options, environment = WORKING[kind]
        for name in environment:
            rest = {other: value for other, value in environment.items() if other != name}
            if missing != "absent":
                rest[name] = "" if missing == "empty" else " \n"
            attempt = open_channel(Destination("x", kind, options), client, rest).send(message, now)
            assert Attempt(Outcome.REFUSED, f"environment variable {name} is not set") == attempt

    @pytest.mark.parametrize("kind", KINDS)
    def test_an_option_that_is_missing_or_nonsense(
        self, client: httpx.Client, message: Message, now: datetime, kind: str
    ) -> None:
        """A missing option refuses; so does one with the secret itself in it, which is not repeated."""
        options, environment = WORKING[kind]
        needed = KINDS[kind].options
        for name in (*needed.required, *(key for way in needed.ways for key in way if key in options)):
            for value in (None, 3, ["x"], "https://hooks.slack.com/services/SECRET"):
                spoilt = {**options, name: value}
                attempt = open_channel(Destination("x", kind, spoilt), client, environment).send(message, now)
                assert attempt.outcome == Outcome.REFUSED
                assert f"option {name}" in attempt.detail
                assert "SECRET" not in attempt.detail

    @pytest.mark.parametrize("kind", ["webhook", "slack", "teams", "google_chat", "discord"])
    @pytest.mark.parametrize(
        "url",
        [
            "ftp://x.example/SECRET",
            "hooks.slack.com/SECRET",
            "https://",
            "https:///SECRET",
            "http://[::1/SECRET",
            "\x01",
        ],
    )
    def test_an_address_that_is_none(
        self, client: httpx.Client, message: Message, now: datetime, kind: str, url: str
    ) -> None:
        """An unusable address refuses; it is a secret and is not repeated."""
        options, environment = WORKING[kind]
        attempt = open_channel(Destination("x", kind, options), client, {**environment, "A_URL": url}).send(
            message, now
        )
        assert attempt.outcome == Outcome.REFUSED
        assert "environment variable A_URL" in attempt.detail
        assert "SECRET" not in attempt.detail

    @pytest.mark.parametrize("kind", KINDS)
    def test_no_secret_in_a_repr(self, client: httpx.Client, kind: str) -> None:
        """A channel in a traceback shows neither address nor secret."""
        options, environment = WORKING[kind]
        shown = repr(open_channel(Destination("x", kind, options), client, environment))
        assert not any(value in shown for value in environment.values())

    def test_which_kinds_recognise_repeats(self, client: httpx.Client) -> None:
        """Elsewhere a repeat shows twice; after silence they get one further try at the most."""
        channels: dict[str, Channel] = {
            kind: open_channel(Destination("x", kind, options), client, environment)
            for kind, (options, environment) in WORKING.items()
        }
        expected = {"console", "webhook", "pagerduty", "opsgenie"}
        assert expected == {kind for kind, channel in channels.items() if channel.recognises_repeats}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href"]
        assert not [name for name, _ in attrs if name not in ("href", "style")]


class TestInjection:
    @pytest.mark.parametrize("kind", sorted(set(KINDS) - {"email", "apprise"}))
    def test_it_is_delivered_all_the_same(
        self, now: datetime, nasty: Nasty, kind: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Nothing a lead writes keeps an alert from being sent."""
        options, environment = WORKING[kind]
        status, body = TOOK_IT.get(kind, (200, b"ok"))
        with httpx.Client(
            transport=httpx.MockTransport(lambda _: httpx.Response(status, content=body))
        ) as client:
            channel = open_channel(Destination("x", kind, options), client, environment)
            assert channel.send(nasty.message, now).outcome == Outcome.DELIVERED

    def test_slack(self, nasty: Nasty) -> None:
        """Where Slack reads markup there is no angle bracket of a lead's; no text is empty; JSON is sound."""
        shown = slack_payload(nasty.message)
        json.dumps(shown, ensure_ascii=False).encode()
        assert not set("<>") & set(shown["text"])
        for block in shown["blocks"]:
            for text in [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]:
                if text is None:
                    continue
                assert text["text"].strip()
                if text["type"] == "mrkdwn" and not text["text"].startswith("<https://stl.example/"):
                    assert not set("<>") & set(text["text"])
                if text["text"].startswith("<https://stl.example/"):
                    assert 1 == text["text"].count("<") == text["text"].count("|") == text["text"].count(">")

    def test_console(self, nasty: Nasty) -> None:
        """No control characters but our own line breaks, and never more than four lines."""
        block = block_of(nasty.message, "ops")
        assert block.count("\n") <= 4
        assert all(
            character == "\n" or character.isprintable() or character == "\u200d" for character in block
        )
        block.encode()

    def test_webhook(self, nasty: Nasty) -> None:
        """Sound JSON in UTF-8, with the values as they are."""
        data = json.loads(webhook_payload(nasty.message))["data"]
        assert data["lead_id"] == "lead-42"
        webhook_payload(nasty.message).decode()

    def test_email(self, nasty: Nasty, now: datetime) -> None:
        """The headers are ours alone, the HTML holds only our tags, and everything survives the wire."""
        content = mail(nasty.message, "leads@sales.example", ("ana@sales.example",), now).as_bytes()
        made = message_from_bytes(content, policy=default)
        expected = [
            "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
            "MIME-Version", "Content-Type",
        ]  # fmt: skip
        assert expected == list(made.keys())
        assert made["To"] == "ana@sales.example"
        assert len(made["Subject"]) <= 150
        assert made.defects == []
        html_body = made.get_body(preferencelist=("html",))
        assert html_body is not None
        tags = Tags()
        tags.feed(html_body.get_content())
        assert tags.tags <= {"h3", "table", "tr", "td", "b", "p", "a", "small"}
        assert all((link or "").startswith("https://stl.example/") for link in tags.links)

    def test_email_subject_says_what_was_written(self, message: Message, now: datetime) -> None:
        """What looks like an encoded word is shown as written, not decoded."""
        content = mail(
            replace(message, headline=NASTY["mime"]), "leads@sales.example", ("ana@sales.example",), now
        ).as_bytes()
        headers = content.split(b"\r\n\r\n")[0]
        assert b"\r\nBcc" not in headers
        subject = str(message_from_bytes(content, policy=default)["Subject"])
        expected = NASTY["mime"].replace("=?", "= ?")
        assert expected == subject.strip()

    @given(text=st.text(max_size=400))
    def test_anything_at_all(self, text: str) -> None:
        """One line is one line, a limit is a limit, and the result can be encoded."""
        for shown in (one_line(text, 60), paragraph(text, 60)):
            assert len(shown.encode("utf-16-le")) <= 120
            assert shown == shown.strip()
        assert len(one_line(text, 60).splitlines()) <= 1


class TestText:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("  Ann \t Doe\r\n", "Ann Doe"),
            ("Ann\u2028Doe\x00!", "Ann Doe !"),
            ("\u202eAnn\u200b Doe\ufeff", "Ann Doe"),
            ("a\ud83db", "a\ufffdb"),
            ("12345678901", "123456789…"),
            ("123456789 1", "123456789…"),
            ("😀😀😀😀😀", "😀😀😀😀😀"),
            ("😀😀😀😀😀!", "😀😀😀😀…"),
            ("مرحبا", "مرحبا"),
        ],
    )
    def test_one_line(self, text: str, expected: str) -> None:
        """Cleaned, on one line, cut at ten UTF-16 units without splitting a pair."""
        assert expected == one_line(text, 10)

    def test_paragraph(self) -> None:
        """Line breaks stay, one empty line at the most."""
        assert paragraph(" a\t b \r\n\r\n \r\n\r\nc\x0bd\n", 100) == "a b\n\nc\nd"

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("https://stl.example/leads/a?b=1&c=%20#d", True),
            ("http://127.0.0.1:8000/leads/a", True),
            ("", False),
            ("javascript:alert(1)", False),
            ("https://stl.example/ a", False),
            ('https://stl.example/"onclick="x', False),
            ("https://stl.example/<b>", False),
            ("https://stl.example/a|b", False),
            ("https://stl.example/\n", False),
        ],
    )
    def test_web_link(self, message: Message, url: str, expected: bool) -> None:
        """Only a plain http(s) address is a link."""
        assert (url if expected else "") == web_link(replace(message, url=url))


def test_a_hanging_destination_is_left_in_time(
    open_far_side: Callable[[], Any], http: httpx.Client, message: Message, now: datetime
) -> None:
    """While one destination hangs, a message to another goes through the same client (promise 12)."""
    import threading

    slow, quick = open_far_side(), open_far_side()
    slow.behave = lambda handler: handler.hang()
    http.timeout = httpx.Timeout(20, read=3)
    destination = Destination("x", "slack", {"url_env": "A_URL"})
    attempts: list[Attempt] = []
    hanging = threading.Thread(
        target=lambda: attempts.append(
            open_channel(destination, http, {"A_URL": slow.url}).send(message, now)
        )
    )
    hanging.start()
    assert (
        open_channel(destination, http, {"A_URL": quick.url}).send(message, now).outcome == Outcome.DELIVERED
    )
    hanging.join(20)
    assert [attempt.outcome for attempt in attempts] == [Outcome.UNKNOWN]


@pytest.mark.parametrize(
    ("kind", "options", "why"),
    [
        ("email", {"to": "nobody"}, "option to holds something that is no e-mail address"),
        ("pagerduty", {"routing_key_env": "A", "base_url": "events.example"}, "option base_url holds no address"),
        ("opsgenie", {"key_env": "A", "team": ["a"]}, "option team holds no team's name"),
        ("opsgenie", {"key_env": "A", "base_url": "x"}, "option base_url holds no address"),
        ("sms", {"to": "+15551234567", "from": "+15557654321", "account_sid_env": "A", "auth_token_env": "A", "base_url": "x"}, "option base_url"),
        ("slack", {"token_env": "A", "channel": "C1", "base_url": "x"}, "option base_url holds no address"),
        ("slack", {"url_env": "A", "base_url": "https://slack.example/api"}, "option base_url means something with token_env only"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_options_is_found_where_no_variable_is_set(
    kind: str, options: dict[str, Any], why: str
) -> None:
    """`config check` runs where the secrets are not."""
    with httpx.Client() as http:
        assert why in why_unusable(Destination("x", kind, options), http, {})
