"""Slack's incoming webhook: what it shows, and what its answers mean."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from speed_to_lead.core.delivery import Attempt, Destination, Outcome
from speed_to_lead.core.message import Message
from speed_to_lead.destinations import Channel, open_channel
from speed_to_lead.destinations.slack import judge, payload

DESTINATION = Destination("sdr-managers", "slack", {"url_env": "SLACK_URL"})


def channel_to(http: httpx.Client, url: str) -> Channel:
    return open_channel(DESTINATION, http, {"SLACK_URL": url})


def test_what_a_reader_sees(message: Message) -> None:
    """Headline, facts in pairs, note, link and small print, in reading order."""
    shown = payload(replace(message, possible_repeat=True))
    assert message.headline == shown["text"]
    assert [block["type"] for block in shown["blocks"]] == [
        "header",
        "section",
        "section",
        "section",
        "context",
    ]
    header, facts, note, link, small = shown["blocks"]
    assert {"type": "plain_text", "text": message.headline, "emoji": False} == header["text"]
    assert [field["text"] for field in facts["fields"]] == [
        "*Who*", "Ann Doe (Acme)", "*E-mail*", "ann@acme.example", "*Asked*", "Prices?\nSoon, please.",
    ]  # fmt: skip
    assert message.note == note["text"]["text"]
    assert link["text"]["text"] == "<https://stl.example/leads/lead-42?a=1&amp;b=2|Open the lead>"
    expected = "lead lead-42 · step 100% · possible repeat: an earlier attempt may have arrived"
    assert expected == small["elements"][0]["text"]


def test_a_message_about_the_system(system_message: Message) -> None:
    """Without a lead there is a headline and nothing empty, which Slack would refuse."""
    assert [block["type"] for block in payload(system_message)["blocks"]] == ["header"]


def test_an_address_that_is_no_page_is_not_linked(message: Message) -> None:
    """Only plain http(s) addresses become links."""
    for url in (
        "javascript:alert(1)",
        "https://x.example/|click>",
        "https://x.example/\n",
        "https://" + "x" * 3000,
    ):
        assert "Open the lead" not in json.dumps(payload(replace(message, url=url)))


@pytest.mark.parametrize(
    ("status", "body", "outcome", "word"),
    [
        (200, "ok", Outcome.DELIVERED, "ok"),
        (200, "ok\n", Outcome.DELIVERED, "ok"),
        (200, '{"ok":true}', Outcome.DELIVERED, "ok"),
        (200, '{"ok":false,"error":"channel_not_found"}', Outcome.REFUSED, "channel_not_found"),
        (200, '{"ok":false,"error":"invalid_blocks"}', Outcome.REFUSED, "invalid_blocks"),
        (200, '{"ok":false,"error":"invalid_auth"}', Outcome.REFUSED, "invalid_auth"),
        (200, '{"ok":false,"error":"ratelimited"}', Outcome.RATE_LIMITED, "ratelimited"),
        (200, '{"ok":false,"error":"internal_error"}', Outcome.NOT_DELIVERED, "internal_error"),
        (200, '{"ok":false,"error":"service_unavailable"}', Outcome.NOT_DELIVERED, "service_unavailable"),
        (200, '{"ok":false,"error":"team_added_to_org"}', Outcome.NOT_DELIVERED, "team_added_to_org"),
        (200, '{"ok":false,"error":"fatal_error"}', Outcome.UNKNOWN, "fatal_error"),
        (200, '{"ok":false,"error":"Ann Doe <ann@acme.example>"}', Outcome.REFUSED, "no reason given"),
        (200, '{"ok":false,"error":["x"]}', Outcome.REFUSED, "no reason given"),
        (200, '{"ok":false}', Outcome.REFUSED, "no reason given"),
        (200, "no_service", Outcome.REFUSED, "no_service"),
        (200, "", Outcome.UNKNOWN, "without ok"),
        (200, '"ok"', Outcome.UNKNOWN, "without ok"),
        (200, "<html>Sign in to the hotel network</html>", Outcome.UNKNOWN, "without ok"),
        (200, '{"ok":"yes"}', Outcome.UNKNOWN, "without ok"),
        (200, "[" * 4000, Outcome.UNKNOWN, "without ok"),
        (400, "invalid_payload", Outcome.REFUSED, "invalid_payload"),
        (400, "user_not_found", Outcome.REFUSED, "user_not_found"),
        (403, "action_prohibited", Outcome.REFUSED, "action_prohibited"),
        (403, "invalid_token", Outcome.REFUSED, "invalid_token"),
        (404, "channel_not_found", Outcome.REFUSED, "channel_not_found"),
        (404, "no_service", Outcome.REFUSED, "no_service"),
        (410, "channel_is_archived", Outcome.REFUSED, "channel_is_archived"),
        (500, "rollup_error", Outcome.NOT_DELIVERED, "rollup_error"),
        (302, "", Outcome.REFUSED, "redirects"),
        (404, "<html>ann@acme.example</html>", Outcome.REFUSED, "404"),
        (502, "bad gateway", Outcome.UNKNOWN, "502"),
    ],
)  # fmt: skip
def test_what_an_answer_means(
    http: httpx.Client, far_side: Any, message: Message, now: datetime,
    status: int, body: str, outcome: Outcome, word: str,
) -> None:  # fmt: skip
    """`ok` is the only success; of a body only Slack's own error word is repeated."""
    far_side.answers(status, body.encode())
    attempt = channel_to(http, far_side.url).send(message, now)
    assert outcome == attempt.outcome
    assert word in attempt.detail
    assert "acme" not in attempt.detail
    assert "SECRET" not in attempt.detail


def test_told_to_slow_down(http: httpx.Client, far_side: Any, message: Message, now: datetime) -> None:
    """429 and its Retry-After."""
    far_side.answers(429, b"", Retry_After="12")
    expected = Attempt(Outcome.RATE_LIMITED, "HTTP 429 Too Many Requests", timedelta(seconds=12))
    assert expected == channel_to(http, far_side.url).send(message, now)


def test_an_ok_that_broke_off_is_unknown(
    http: httpx.Client, far_side: Any, message: Message, now: datetime
) -> None:
    """A 200 whose body never came does not say ok."""

    def answer(handler: Any) -> None:
        handler.answer(200, b"", {"Content-Length": "2"})
        handler.reset()

    far_side.behave = answer
    attempt = channel_to(http, far_side.url).send(message, now)
    assert Attempt(Outcome.UNKNOWN, "HTTP 200, but an answer that broke off") == attempt


def test_silence_is_unknown_and_a_repeat_would_show(
    hasty_http: httpx.Client, far_side: Any, message: Message, now: datetime
) -> None:
    """Slack knows no repeat, so after silence there is one further try at the most."""
    far_side.behave = lambda handler: handler.hang()
    channel = channel_to(hasty_http, far_side.url)
    assert channel.send(message, now).outcome == Outcome.UNKNOWN
    assert not channel.recognises_repeats


def test_what_mock_transports_answer_is_read_alike(message: Message, now: datetime) -> None:
    """A ready-made response is read like one from the wire."""
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, text="ok"))) as client:
        assert channel_to(client, "https://hooks.slack.com/x").send(message, now).outcome == Outcome.DELIVERED


def test_judging_needs_no_network() -> None:
    """An answer is a value."""
    from speed_to_lead.destinations.http import Answer

    assert Attempt(Outcome.DELIVERED, "ok") == judge(Answer(200, "ok", whole=True))


def test_limits_hold_however_long_a_lead_writes(message: Message) -> None:
    """Cut with "…", never refused: header 150, fields 10 of 2,000, section 3,000, 50 blocks, 13,200 altogether."""
    long = "😀 <&> " * 3000
    shown = payload(
        replace(
            message,
            headline=long,
            note=long,
            step=long,
            facts=tuple((long, long) for _ in range(40)),
            possible_repeat=True,
        )
    )
    texts = [block["text"]["text"] for block in shown["blocks"] if "text" in block]
    fields = [field["text"] for block in shown["blocks"] for field in block.get("fields", ())]
    small = [element["text"] for block in shown["blocks"] for element in block.get("elements", ())]
    assert len(shown["blocks"]) <= 50
    assert units(shown["blocks"][0]["text"]["text"]) <= 150
    assert shown["blocks"][0]["text"]["text"].endswith("…")
    assert all(len(block.get("fields", ())) <= 10 for block in shown["blocks"])
    assert all(0 < units(text) <= 2000 for text in fields)
    assert all(0 < units(text) <= 3000 for text in texts)
    assert sum(map(units, [*texts, *fields, *small])) <= 13_200


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
