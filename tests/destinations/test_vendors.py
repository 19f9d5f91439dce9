"""The vendors' answers, by kind: what is success, what is later, what is never, and what nobody knows."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.destinations.conftest import FarSide
from tests.destinations.test_registry import TOOK_IT as GOOD

from speed_to_lead.core.delivery import Attempt, Destination, Outcome
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.core.message import Message
from speed_to_lead.destinations import Channel, open_channel, sms
from speed_to_lead.destinations.text import CUT

DELIVERED, REFUSED, LATER = Outcome.DELIVERED, Outcome.REFUSED, Outcome.RATE_LIMITED
NOT_DELIVERED, UNKNOWN = Outcome.NOT_DELIVERED, Outcome.UNKNOWN

SID = "AC" + "5" * 32
ENVIRONMENT = {"A_TOKEN": "SECRET-TOKEN", "A_KEY": "SECRET-KEY", "A_SID": SID}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "slack": {"token_env": "A_TOKEN", "channel": "C0123456789"},
    "teams": {"url_env": "A_URL"},
    "google_chat": {"url_env": "A_URL"},
    "discord": {"url_env": "A_URL"},
    "pagerduty": {"routing_key_env": "A_KEY"},
    "opsgenie": {"key_env": "A_KEY"},
    "sms": {
        "to": "+15551234567",
        "from": "+15557654321",
        "account_sid_env": "A_SID",
        "auth_token_env": "A_TOKEN",
    },
}
TWILIO = '{{"code":{0},"message":"to +15551234567","more_info":"https://www.twilio.com/docs/errors/{0}","status":400}}'


def channel_to(kind: str, http: httpx.Client, far_side: FarSide, **more: Any) -> Channel:
    base = {} if "url_env" in OPTIONS[kind] else {"base_url": f"http://127.0.0.1:{far_side.port}/"}
    return open_channel(
        Destination("x", kind, {**OPTIONS[kind], **base, **more}),
        http,
        {**ENVIRONMENT, "A_URL": far_side.url},
    )


def sent(far_side: FarSide, number: int = -1) -> Any:
    return json.loads(far_side.requests[number][2])


@pytest.mark.parametrize("kind", OPTIONS)
def test_what_each_vendor_says_when_it_took_it(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime, kind: str
) -> None:
    """The vendor's own success is success."""
    far_side.answers(*GOOD[kind])
    assert channel_to(kind, http, far_side).send(message, now).outcome == DELIVERED
    assert 1 == len(far_side.requests)


@pytest.mark.parametrize(
    ("kind", "status", "body", "outcome", "word"),
    [
        ("slack", 200, '{"ok":true}', DELIVERED, "ok"),
        ("slack", 200, '{"ok":false,"error":"channel_not_found"}', REFUSED, "channel_not_found"),
        ("slack", 200, '{"ok":false,"error":"invalid_auth"}', REFUSED, "invalid_auth"),
        ("slack", 200, '{"ok":false,"error":"msg_blocks_too_long"}', REFUSED, "msg_blocks_too_long"),
        ("slack", 200, '{"ok":false,"error":"ratelimited"}', LATER, "ratelimited"),
        ("slack", 200, '{"ok":false,"error":"fatal_error"}', UNKNOWN, "fatal_error"),
        ("slack", 200, '{"ok":false,"error":"internal_error"}', NOT_DELIVERED, "internal_error"),
        ("slack", 200, '{"ok":true,' + '"message":{"text":"' + "x" * 9000 + '"}}', DELIVERED, "ok"),
        ("slack", 200, "", UNKNOWN, "without ok"),
        ("teams", 200, "1", DELIVERED, "200"),
        ("teams", 204, "", DELIVERED, "204"),
        ("teams", 200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429", LATER, "tells of HTTP 429"),
        ("teams", 200, "endpoint returned HTTP error 404 with ContextId x", REFUSED, "tells of HTTP 404"),
        ("teams", 400, '{"error":{"code":"TriggerInputSchemaMismatch"}}', REFUSED, "400"),
        ("teams", 401, '{"error":{"code":"DirectApiAuthorizationRequired"}}', REFUSED, "401"),
        ("teams", 404, '{"error":{"code":"WorkflowNotFound"}}', REFUSED, "404"),
        ("teams", 413, "RequestEntityTooLarge", REFUSED, "413"),
        ("teams", 502, "", UNKNOWN, "502"),
        ("google_chat", 200, "{}", UNKNOWN, "names no message"),
        ("google_chat", 200, "<html>Sign in</html>", UNKNOWN, "names no message"),
        ("google_chat", 400, '{"error":{"code":400,"status":"INVALID_ARGUMENT"}}', REFUSED, "400"),
        ("google_chat", 403, '{"error":{"code":403,"status":"PERMISSION_DENIED"}}', REFUSED, "403"),
        ("google_chat", 404, '{"error":{"code":404,"status":"NOT_FOUND"}}', REFUSED, "404"),
        ("google_chat", 429, '{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}', LATER, "429"),
        ("google_chat", 503, '{"error":{"code":503,"status":"UNAVAILABLE"}}', NOT_DELIVERED, "503"),
        ("discord", 204, "", UNKNOWN, "not the message"),
        ("discord", 200, "ok", UNKNOWN, "not the message"),
        ("discord", 200, "{}", UNKNOWN, "not the message"),
        ("discord", 200, '{"content":"' + "x" * 9000 + '","id":"1"}', DELIVERED, "200"),
        ("discord", 401, '{"message":"Invalid Webhook Token","code":50027}', REFUSED, "401"),
        ("discord", 404, '{"message":"Unknown Webhook","code":10015}', REFUSED, "404"),
        ("discord", 400, '{"embeds":["0"]}', REFUSED, "400"),
        ("discord", 500, "", NOT_DELIVERED, "500"),
        ("pagerduty", 202, "", DELIVERED, "processing"),
        ("pagerduty", 202, '{"status":"invalid event"}', UNKNOWN, "invalid event"),
        ("pagerduty", 200, "<html>proxy</html>", UNKNOWN, "not the 202"),
        ("pagerduty", 400, '{"status":"invalid event","message":"x","errors":["ann@acme.example"]}', REFUSED, "invalid event"),
        ("pagerduty", 403, "", REFUSED, "403"),
        ("pagerduty", 429, '{"status":"throttle exceeded"}', LATER, "429"),
        ("pagerduty", 500, "", NOT_DELIVERED, "500"),
        ("opsgenie", 200, "ok", UNKNOWN, "not the 202"),
        ("opsgenie", 401, '{"message":"Key format is not valid!"}', REFUSED, "401"),
        ("opsgenie", 403, '{"message":"acme"}', REFUSED, "403"),
        ("opsgenie", 422, '{"message":"Request body is not processable."}', REFUSED, "422"),
        ("opsgenie", 429, '{"message":"You are making too many requests!"}', LATER, "429"),
        ("opsgenie", 503, "", NOT_DELIVERED, "503"),
        ("sms", 201, '{"sid":"SM1","status":"failed","error_code":30005}', REFUSED, "failed"),
        ("sms", 201, "{}", UNKNOWN, "not the message"),
        ("sms", 200, "<html></html>", UNKNOWN, "not the message"),
        ("sms", 400, TWILIO.format(21211), REFUSED, "Twilio error 21211"),
        ("sms", 400, TWILIO.format(21606), REFUSED, "Twilio error 21606"),
        ("sms", 400, TWILIO.format(21610), REFUSED, "Twilio error 21610"),
        ("sms", 401, TWILIO.format(20003), REFUSED, "Twilio error 20003"),
        ("sms", 429, TWILIO.format(20429), LATER, "Twilio error 20429"),
        ("sms", 500, TWILIO.format(20500), UNKNOWN, "may have been sent"),
        ("sms", 503, "", UNKNOWN, "may have been sent"),
    ],
)  # fmt: skip
def test_what_an_answer_means(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime,
    kind: str, status: int, body: str, outcome: Outcome, word: str,
) -> None:  # fmt: skip
    """Success that is none, later, never and nobody knows; of a body no more than the vendor's own word for it is repeated."""
    far_side.answers(status, body.encode())
    attempt = channel_to(kind, http, far_side).send(message, now)
    assert (outcome, True) == (attempt.outcome, word in attempt.detail), attempt.detail
    assert not any(secret in attempt.detail for secret in ("SECRET", "acme", "+1555", SID))


@pytest.mark.parametrize(
    ("kind", "status", "body", "is_gone"),
    [
        *((kind, 410, "", True) for kind in OPTIONS),
        *((kind, 400, "{}", False) for kind in OPTIONS),
        *((kind, 429, "{}", False) for kind in OPTIONS),
        *(
            (kind, 401, "{}", True)
            for kind in ("teams", "google_chat", "discord", "pagerduty", "opsgenie", "sms")
        ),
        *((kind, 404, "{}", True) for kind in ("teams", "google_chat", "discord")),
        *((kind, 404, "{}", False) for kind in ("pagerduty", "opsgenie", "sms", "slack")),
        ("slack", 404, "no_service", True),
        ("slack", 403, "invalid_token", True),
        ("slack", 403, "action_prohibited", True),
        ("slack", 200, '{"ok":false,"error":"token_revoked"}', True),
        ("slack", 200, '{"ok":false,"error":"invalid_blocks"}', False),
        ("slack", 200, '{"ok":false,"error":"fatal_error"}', False),
        ("slack", 200, '{"ok":false,"error":"restricted_action_read_only_channel"}', True),
        ("sms", 400, TWILIO.format(21610), True),
        ("sms", 400, TWILIO.format(21211), True),
        ("sms", 404, TWILIO.format(20404), True),
        ("sms", 400, TWILIO.format(21617), False),
        ("sms", 429, TWILIO.format(20429), False),
        ("sms", 400, '{"code":[]}', False),
    ],
)
def test_which_refusals_are_the_destinations_own(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime,
    kind: str, status: int, body: str, is_gone: bool,
) -> None:  # fmt: skip
    """Deleted, or its secret revoked, as each vendor says it: nothing more is sent there. Anything else is about one message."""
    far_side.answers(status, body.encode())
    assert is_gone == channel_to(kind, http, far_side).send(message, now).is_gone


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize(
    ("header", "wait"),
    [("12", 12.0), ("0.65", 0.65), ("Sun, 22 Nov 2026 10:00:30 GMT", 30.0), ("2026-11-22T10:01:00Z", 60.0), ("soon", None)],
)  # fmt: skip
def test_retry_after_in_all_its_forms(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime,
    kind: str, header: str, wait: float | None,
) -> None:  # fmt: skip
    """Seconds, with a fraction, as a date and as an ISO instant; junk means our own schedule."""
    far_side.answers(429, b"{}", Retry_After=header)
    attempt = channel_to(kind, http, far_side).send(message, now)
    expected = None if wait is None else timedelta(seconds=wait)
    assert (LATER, expected) == (attempt.outcome, attempt.retry_after)


def test_discord_says_in_the_body_how_long_to_wait(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime
) -> None:
    """Its third dialect: `retry_after` in JSON, with a fraction."""
    far_side.answers(429, b'{"message":"You are being rate limited.","retry_after":0.65,"global":false}')
    attempt = channel_to("discord", http, far_side).send(message, now)
    assert (LATER, timedelta(seconds=0.65)) == (attempt.outcome, attempt.retry_after)


def _reset_after_the_body(handler: Any) -> None:
    handler.reset()


def _hang_up(handler: Any) -> None:
    handler.hang_up()


def _hang(handler: Any) -> None:
    handler.hang()


def _no_http(handler: Any) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    handler.close_connection = True


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("behave", [_reset_after_the_body, _hang_up, _hang, _no_http])
def test_silence_is_unknown(
    hasty_http: httpx.Client, far_side: FarSide, message: Message, now: datetime,
    kind: str, behave: Callable[[Any], None],
) -> None:  # fmt: skip
    """It was sent and nobody said anything: perhaps it arrived."""
    far_side.behave = behave
    assert channel_to(kind, hasty_http, far_side).send(message, now).outcome == UNKNOWN


@pytest.mark.parametrize("kind", OPTIONS)
def test_nobody_listens(
    http: httpx.Client, closed_port: int, message: Message, now: datetime, kind: str
) -> None:
    """No connection: nothing arrived, so trying again is safe."""
    nowhere = FarSide(port=closed_port)
    assert channel_to(kind, http, nowhere).send(message, now).outcome == NOT_DELIVERED


# --- what each is sent -----------------------------------------------------------------------------------------


def test_teams_gets_a_card(http: httpx.Client, far_side: FarSide, message: Message, now: datetime) -> None:
    """Headline, facts, note and small print as an Adaptive Card with one link; Markdown of a lead's is escaped."""
    facts = (("Asked", "[Click](https://evil.example) **now**\n1. x"),)
    channel_to("teams", http, far_side).send(replace(message, facts=facts), now)
    (attachment,) = sent(far_side)["attachments"]
    assert "application/vnd.microsoft.card.adaptive" == attachment["contentType"]
    card = attachment["content"]
    headline, shown, note, small = card["body"]
    assert ["TextBlock", "FactSet", "TextBlock", "TextBlock"] == [part["type"] for part in card["body"]]
    assert "Deadline missed: Ann Doe \\(Acme\\), overdue by 3 s, Bo has it" == headline["text"]
    expected = "\\[Click\\]\\(https://evil.example\\) \\*\\*now\\*\\*\n\n1\\. x"
    assert [{"title": "Asked", "value": expected}] == shown["facts"]
    assert "destination head\\-of\\-sales could not be reached" == note["text"]
    assert "lead lead\\-42 · step 100%" == small["text"]
    assert [{"type": "Action.OpenUrl", "title": "Open the lead", "url": message.url}] == card["actions"]


@pytest.mark.parametrize(
    "url",
    [
        "https://contoso.webhook.office.com/webhookb2/SECRET@x/IncomingWebhook/y/z",
        "https://CONTOSO.WEBHOOK.OFFICE.COM./webhookb2/SECRET",
        "https://outlook.office.com/webhook/SECRET",
        "https://outlook.office365.com/webhook/SECRET",
    ],
)
def test_a_connector_of_teams_is_refused_with_the_reason(
    http: httpx.Client, message: Message, now: datetime, url: str
) -> None:
    """Microsoft retired them; the reader is told what to use instead, and nothing is sent."""
    attempt = open_channel(Destination("x", "teams", {"url_env": "A_URL"}), http, {"A_URL": url}).send(
        message, now
    )
    assert attempt.outcome == REFUSED
    assert "retired" in attempt.detail
    assert "Workflows" in attempt.detail
    assert "SECRET" not in attempt.detail


def test_google_chat_gets_a_card_in_a_thread(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime
) -> None:
    """One thread for each lead, one requestId for each alert; the address's own query stays; nobody is called."""
    far_side.answers(*GOOD["google_chat"])
    channel = channel_to("google_chat", http, far_side)
    for said in (
        message,
        replace(message, key="lead-42:60%:x", headline="<users/all> <b>", facts=(("Who", "<b>"),)),
    ):
        channel.send(said, now)
    queries = [parse_qs(urlsplit(path).query) for path, _, _ in far_side.requests]
    assert ["SECRET-QUERY"] == queries[0]["sig"]
    assert ["REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"] == queries[0]["messageReplyOption"]
    assert queries[0]["requestId"] != queries[1]["requestId"]
    assert sent(far_side, 0)["thread"] == sent(far_side, 1)["thread"]
    assert "\u2039users/all\u203a \u2039b\u203a" == sent(far_side, 1)["text"]
    widgets = sent(far_side, 1)["cardsV2"][0]["card"]["sections"][0]["widgets"]
    assert {"topLabel": "Who", "text": "&lt;b&gt;", "wrapText": True} == widgets[0]["decoratedText"]
    assert message.url == widgets[-1]["buttonList"]["buttons"][0]["onClick"]["openLink"]["url"]


def test_discord_gets_an_embed_that_mentions_nobody(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime
) -> None:
    """It is asked to wait; no mention is parsed, and no link of a lead's is one."""
    facts = (("Who", "@everyone <@123> [Click](https://evil.example)"), ("Blank", ""))
    channel_to("discord", http, far_side).send(replace(message, facts=facts), now)
    assert ["true"] == parse_qs(urlsplit(far_side.requests[0][0]).query)["wait"]
    shown = sent(far_side)
    assert {"parse": []} == shown["allowed_mentions"]
    (embed,) = shown["embeds"]
    first, second = embed["fields"]
    assert "\\@everyone \\<\\@123\\> \\[Click\\]\\(https\\://evil.example\\)" == first["value"]
    assert "\N{EM DASH}" == second["value"]
    assert "lead lead-42 · step 100%" == embed["footer"]["text"]


@pytest.mark.parametrize("written", ["*", "_", "<", "@", "&", "é", "😀", "👩‍👩‍👧", "\u202e<!channel>"])
def test_discord_refuses_nothing_for_its_length(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime, written: str
) -> None:
    """Within its limits also where every character of a title needs a backslash, and cut with a note."""
    headline, facts = f"Deadline missed: {written * 20_000}", (("Asked", written * 20_000),) * 12
    channel_to("discord", http, far_side).send(replace(message, headline=headline, facts=facts), now)
    (embed,) = sent(far_side)["embeds"]
    lengths = [
        len(embed["title"]),
        len(embed["description"]),
        *(len(one["value"]) for one in embed["fields"]),
    ]
    assert (True, True) == (lengths[0] <= 256, max(lengths) <= 1024), lengths
    assert sum(lengths) <= 6000
    assert CUT.split(";", 1)[0] in embed["description"]


def moves(message: Message) -> list[Message]:
    """Told, late, acknowledged, answered: as one lead goes."""
    return [
        replace(message, kind=AlertKind.ASSIGNED, key="lead-42:0%:x", step="0%"),
        message,
        replace(message, kind=AlertKind.MOVED, key="lead-42:moved-3:x", step="moved-3", is_acknowledged=True),
        replace(message, kind=AlertKind.MOVED, key="lead-42:moved-4:x", step="moved-4", is_over=True),
    ]


def test_pagerduty_has_one_incident_for_each_lead(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime
) -> None:
    """Trigger, trigger, acknowledge and resolve with one dedup_key; a late trigger of an answered lead resolves too."""
    far_side.answers(*GOOD["pagerduty"])
    channel = channel_to("pagerduty", http, far_side)
    for move in [*moves(message), replace(message, is_over=True)]:
        assert channel.send(move, now).outcome == DELIVERED
    events = [sent(far_side, number) for number in range(5)]
    expected = ["trigger", "trigger", "acknowledge", "resolve", "resolve"]
    assert expected == [event["event_action"] for event in events]
    assert {("SECRET-KEY", "lead-42")} == {(event["routing_key"], event["dedup_key"]) for event in events}
    assert {"/v2/enqueue"} == {path for path, _, _ in far_side.requests}
    assert ["info", "error"] == [event["payload"]["severity"] for event in events[:2]]
    assert {"routing_key", "event_action", "dedup_key"} == set(events[3])
    assert "lead lead-42 · step 100%" == events[1]["payload"]["custom_details"]["Alert"]


def test_opsgenie_has_one_alert_for_each_lead(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime
) -> None:
    """Created, counted, acknowledged and closed by one alias, at whatever address takes Opsgenie's requests."""
    far_side.answers(*GOOD["opsgenie"])
    channel = channel_to(
        "opsgenie", http, far_side, base_url=f"http://127.0.0.1:{far_side.port}/jsm/ops/integration"
    )
    passed_on = replace(moves(message)[2], is_acknowledged=False)
    for move in [*moves(message), passed_on]:
        assert channel.send(move, now).outcome == DELIVERED
    at = "/jsm/ops/integration/v2/alerts"
    expected = [
        at,
        at,
        *(f"{at}/lead-42/{deed}?identifierType=alias" for deed in ("acknowledge", "close", "notes")),
    ]
    assert expected == [path for path, _, _ in far_side.requests]
    assert {"GenieKey SECRET-KEY"} == {headers["authorization"] for _, headers, _ in far_side.requests}
    assert ("lead-42", "P5") == (sent(far_side, 0)["alias"], sent(far_side, 0)["priority"])
    assert ("lead-42", "P2") == (sent(far_side, 1)["alias"], sent(far_side, 1)["priority"])


@pytest.mark.parametrize("kind", ["pagerduty", "opsgenie"])
def test_a_part_of_the_system_that_works_again_ends_its_incident(
    http: httpx.Client, far_side: FarSide, system_message: Message, now: datetime, kind: str
) -> None:
    """Silence and its end are one incident; another silence of the same part joins it while it is open."""
    far_side.answers(*GOOD[kind])
    channel = channel_to(kind, http, far_side)
    channel.send(replace(system_message, step="router.silent.1764000000"), now)
    back = replace(system_message, kind=AlertKind.STAGE_BACK, step="router.back.1764000060", is_over=True)
    channel.send(back, now)
    name = "system:router:silent"
    if kind == "pagerduty":
        assert [("trigger", name), ("resolve", name)] == [
            (sent(far_side, number)["event_action"], sent(far_side, number)["dedup_key"]) for number in (0, 1)
        ]
    else:
        assert name == sent(far_side, 0)["alias"]
        assert "/v2/alerts/system%3Arouter%3Asilent/close?identifierType=alias" == far_side.requests[1][0]


def test_twilio_gets_a_form(http: httpx.Client, far_side: FarSide, message: Message, now: datetime) -> None:
    """To, from or a messaging service, and a body; account and token as Basic."""
    far_side.answers(*GOOD["sms"])
    channel_to("sms", http, far_side).send(message, now)
    path, headers, body = far_side.requests[0]
    assert f"/2010-04-01/Accounts/{SID}/Messages.json" == path
    proof = base64.b64encode(f"{SID}:SECRET-TOKEN".encode()).decode()
    assert f"Basic {proof}" == headers["authorization"]
    form = parse_qs(body.decode())
    assert (["+15551234567"], ["+15557654321"]) == (form["To"], form["From"])
    said = form["Body"][0].splitlines()
    assert message.headline == said[0]
    assert [message.url, "lead lead-42 · step 100%"] == said[-2:]
    service = "MG" + "0" * 32
    channel_to("sms", http, far_side, **{"from": service}).send(message, now)
    assert [service] == parse_qs(far_side.requests[1][2].decode())["MessagingServiceSid"]


# --- Slack's bot -----------------------------------------------------------------------------------------------


def test_slack_has_one_message_for_each_lead(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime
) -> None:
    """Posted once; a further alert calls people from its thread and brings it up to date; what only moves it, changes it."""
    far_side.answers(*GOOD["slack"])
    channel = channel_to("slack", http, far_side)
    first, late, taken, answered = moves(message)
    attempt = channel.send(first, now)
    assert "C0123456789/1503435956.000247" == attempt.handle
    for move in (late, taken, answered):
        known = channel.send(replace(move, handle=attempt.handle), now)
        assert (DELIVERED, attempt.handle) == (known.outcome, known.handle)
    calls = [(path, sent(far_side, number)) for number, (path, _, _) in enumerate(far_side.requests)]
    post, update = "/chat.postMessage", "/chat.update"
    assert [post, post, update, update, update] == [path for path, _ in calls]
    assert ("C0123456789", None) == (calls[0][1]["channel"], calls[0][1].get("thread_ts"))
    assert ("1503435956.000247", True) == (calls[1][1]["thread_ts"], calls[1][1]["reply_broadcast"])
    assert {"1503435956.000247"} == {call["ts"] for _, call in calls[2:]}
    assert {"Bearer SECRET-TOKEN"} == {headers["authorization"] for _, headers, _ in far_side.requests}


@pytest.mark.parametrize("word", ["message_not_found", "cant_update_message", "edit_window_closed"])
def test_a_slack_message_that_is_gone_is_posted_anew(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime, word: str
) -> None:
    """Its new name is kept from then on."""

    def answer(handler: Any) -> None:
        is_new = handler.path == "/chat.postMessage"
        handler.answer(200, GOOD["slack"][1] if is_new else json.dumps({"ok": False, "error": word}).encode())

    far_side.behave = answer
    attempt = channel_to("slack", http, far_side).send(replace(moves(message)[3], handle="C1/1.1"), now)
    assert Attempt(DELIVERED, "ok", handle="C0123456789/1503435956.000247") == attempt
    assert ["/chat.update", "/chat.postMessage"] == [path for path, _, _ in far_side.requests]
    assert "thread_ts" not in sent(far_side)


def test_a_slack_message_that_cannot_be_changed_was_posted_all_the_same(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime
) -> None:
    """Who was called was called: a change that fails does not call them again."""

    def answer(handler: Any) -> None:
        handler.answer(*(GOOD["slack"] if handler.path == "/chat.postMessage" else (500, b"")))

    far_side.behave = answer
    attempt = channel_to("slack", http, far_side).send(replace(message, handle="C1/1.1"), now)
    assert (DELIVERED, "C1/1.1") == (attempt.outcome, attempt.handle)
    assert "as it was" in attempt.detail


@pytest.mark.parametrize("handle", ["", "C1", "C1/x", "../../x/1.1"])
def test_without_a_name_slack_is_posted_to(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime, handle: str
) -> None:
    """A name that was lost, or is none, means a new message."""
    far_side.answers(*GOOD["slack"])
    channel_to("slack", http, far_side).send(replace(moves(message)[3], handle=handle), now)
    assert ["/chat.postMessage"] == [path for path, _, _ in far_side.requests]


# --- what is too long ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OPTIONS)
def test_what_is_too_long_is_cut_with_a_note(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime, kind: str
) -> None:
    """However long a lead writes, each vendor's limits hold, and the reader is told that there is more."""
    long = '*😀* <&> "[\n' * 3000
    said = replace(message, headline=long, note=long, facts=tuple((long, long) for _ in range(40)), key=long)
    far_side.answers(*GOOD[kind])
    assert channel_to(kind, http, far_side).send(said, now).outcome == DELIVERED
    body = far_side.requests[0][2]
    if kind == "sms":
        text = parse_qs(body.decode())["Body"][0]
        assert len(text.encode("utf-16-le")) // 2 <= 1600
        assert "lead lead-42" in text
        return
    shown = json.loads(body)
    limits: dict[str, Callable[[], bool]] = {
        "slack": lambda: len(shown["blocks"]) <= 50,
        "teams": lambda: len(body) <= 28_000,
        "google_chat": lambda: len(body) <= 32_000,
        "discord": lambda: (
            all(len(field["value"].encode("utf-16-le")) <= 2048 for field in shown["embeds"][0]["fields"])
            and len(shown["embeds"][0]["title"].encode("utf-16-le")) <= 512
            and len(shown["embeds"][0]["fields"]) <= 25
        ),
        "pagerduty": lambda: len(shown["payload"]["summary"]) <= 1024 and len(shown["dedup_key"]) <= 255,
        "opsgenie": lambda: len(shown["message"]) <= 130 and len(shown["description"]) <= 15_000,
    }
    assert limits[kind]()
    assert CUT.split(";")[0] in json.dumps(shown, ensure_ascii=False).replace("\\", "")


@pytest.mark.parametrize("kind", ["pagerduty", "opsgenie"])
def test_a_name_that_is_too_long_is_a_short_one(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime, kind: str
) -> None:
    """The same short one each time, for the same lead."""
    far_side.answers(*GOOD[kind])
    channel = channel_to(kind, http, far_side)
    for lead in ("x" * 600, "x" * 600, "y" * 600):
        channel.send(replace(message, lead_id=lead), now)
    names = [sent(far_side, number)["dedup_key" if kind == "pagerduty" else "alias"] for number in range(3)]
    assert names[0] == names[1] != names[2]
    assert len(names[0]) <= 255


# --- Apprise ---------------------------------------------------------------------------------------------------


def apprise_to(far_side: FarSide, http: httpx.Client) -> Channel:
    url = f"json://127.0.0.1:{far_side.port}/SECRET-PATH"
    return open_channel(Destination("x", "apprise", {"url_env": "A_URL"}), http, {"A_URL": url})


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, DELIVERED), (500, UNKNOWN), (404, UNKNOWN), (302, UNKNOWN)]
)
def test_apprise_says_yes_or_no(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime, status: int, outcome: Outcome
) -> None:
    """A no says neither why nor whether some of it arrived, so it is tried once more at the most; redirects are not followed."""
    far_side.answers(status, b"", **({"Location": f"{far_side.url}"} if status == 302 else {}))
    attempt = apprise_to(far_side, http).send(message, now)
    assert outcome == attempt.outcome
    assert "SECRET" not in attempt.detail
    assert 1 == len(far_side.requests)
    shown = sent(far_side)
    assert message.headline == shown["title"]
    assert "Who: Ann Doe (Acme)" in shown["message"]
    assert "lead lead-42 · step 100%" in shown["message"]


def test_apprise_is_left_in_time(
    http: httpx.Client, far_side: FarSide, message: Message, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes as long as it likes; a send does not."""
    far_side.behave = _hang
    monkeypatch.setattr("speed_to_lead.destinations.channel.SEND_SECONDS", 0.3)
    assert Attempt(UNKNOWN, "no answer of Apprise in time") == apprise_to(far_side, http).send(message, now)


@pytest.mark.parametrize("url", ["nosuch://SECRET", "SECRET", "://"])
def test_an_address_apprise_does_not_know(
    http: httpx.Client, message: Message, now: datetime, url: str
) -> None:
    """It is refused at once, and not repeated."""
    channel = open_channel(Destination("x", "apprise", {"url_env": "A_URL"}), http, {"A_URL": url})
    attempt = channel.send(message, now)
    assert attempt.outcome == REFUSED
    assert "Apprise knows" in attempt.detail
    assert "SECRET" not in attempt.detail


def test_apprise_is_not_installed(
    http: httpx.Client, message: Message, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then what to install is said, and the fallback hears."""
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    channel = open_channel(Destination("x", "apprise", {"url_env": "A_URL"}), http, {"A_URL": "json://x"})
    assert "pip install 'speed-to-lead[apprise]'" in channel.send(message, now).detail


@pytest.mark.parametrize("count", [2, 60])
def test_a_digest_by_sms_says_how_many_more_there_are(message: Message, count: int) -> None:
    """As many leads as fit, each whole; the rest is behind the link, which is always there."""
    lines = [f"Person {n}, overdue by {n} min, Bo has it (lead-{n})" for n in range(count)]
    facts = tuple(("Leads", "\n".join(lines[start : start + 5])) for start in range(0, count, 5))
    digest = replace(message, kind=AlertKind.DIGEST, headline=f"{count} alerts at once", facts=facts, note="")
    body = sms.body_of(digest)
    said = body.split("\n")
    named = [line for line in said if line in lines]
    assert len(body) <= sms.BODY_LIMIT
    assert lines[: len(named)] == named
    assert (count == 2) == (f"and {count - len(named)} more" not in said)
    assert message.url in said
