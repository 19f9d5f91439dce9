"""Answers in place: the page of a link, Slack's buttons, PagerDuty's word. Only a signature opens them, and once is once."""

import hmac
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.servers import wait_until
from tests.web.conftest import AUTHORIZED, LEAD, Web, route_all, web_on

from speed_to_lead import flow
from speed_to_lead.core.answer import Answer, Asked, link_token
from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.core.lead import Alert, AlertKind, Lead, LeadChange, LeadState
from speed_to_lead.core.message import Message, compose
from speed_to_lead.destinations import presses
from speed_to_lead.destinations.pagerduty import dedup_key
from speed_to_lead.store import StoreUnavailable
from speed_to_lead.web import answers
from speed_to_lead.web.answers import MAX_BODY_BYTES, slack_refusal

LINKS, SLACK, PAGERDUTY = "secret-of-the-links", "secret-of-the-slack-app", "secret-of-pagerduty"
#: Slack's own example (python-slack-sdk, MIT), signed at 1531420618.
EXAMPLE = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14"
    b"d10d2c447fce8b6703c"
)


@pytest.fixture(scope="module")
def here(server_url: str) -> Iterator[Web]:
    """An application that knows every secret, with Marcus known to Slack."""
    given: dict[str, Any] = {
        "link_secrets": LINKS,
        "slack_signing_secrets": SLACK,
        "pagerduty_webhook_secrets": PAGERDUTY,
    }
    with web_on(server_url, "answers", None, **given) as web:
        rulebook = web.place.config.rulebook
        teams = {
            name: replace(
                team,
                reps=tuple(replace(rep, slack_id=f"U{rep.id.upper()}", max_open=None) for rep in team.reps),
            )
            for name, team in rulebook.teams.items()
        }
        web.place.config = replace(web.place.config, rulebook=replace(rulebook, teams=teams))
        yield web


def new_lead(web: Web) -> Lead:
    body = LEAD | {"email": f"ana-{time.monotonic_ns()}@example.com"}
    told = web.http.post("/v1/leads", json=body, headers=AUTHORIZED).json()
    route_all(web.place)
    lead = web.place.store.leads.get(told["id"])
    assert lead is not None
    assert lead.rep is not None
    return lead


def now_of(web: Web, lead: Lead) -> Lead:
    found = web.place.store.leads.get(lead.id)
    assert found is not None
    return found


def link(lead: Lead, days: float = 1) -> str:
    until = datetime.now(UTC) + timedelta(days=days)
    return f"/answer/{link_token(Asked(lead.id, lead.rep or ''), until, [LINKS.encode()])}"


def test_looking_at_the_page_changes_nothing(here: Web) -> None:
    """Link scanners follow links; the page says which lead, and not a word about the person."""
    lead = new_lead(here)
    page = here.http.get(link(lead))
    assert 200 == here.http.head(link(lead)).status_code
    assert 200 == page.status_code
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert all(f'value="{one}"' in page.text for one in Answer)
    assert "ana-" not in page.text
    assert "Example" not in page.text
    assert lead == now_of(here, lead)


@pytest.mark.parametrize(
    ("said", "state", "event"),
    [
        ("acknowledged", LeadState.OPEN, "lead.acknowledged"),
        ("attempted", LeadState.ANSWERED, "lead.attempted"),
        ("not_a_lead", LeadState.CLOSED, "lead.closed"),
        ("pass_on", LeadState.OPEN, "lead.reassigned"),
    ],
)
def test_what_is_said_on_the_page_is_done_once(here: Web, said: str, state: LeadState, event: str) -> None:
    """By the rep the link was for, by way of the link; said again it changes nothing."""
    lead = new_lead(here)
    first = here.http.post(link(lead), data={"answer": said})
    changed = now_of(here, lead)
    again = here.http.post(link(lead), data={"answer": said})
    assert (200, 200) == (first.status_code, again.status_code)
    assert "noted before" in again.text
    assert (state, changed) == (changed.state, now_of(here, lead))
    (entry,) = (one for one in here.place.store.leads.history(lead.id) if one.event == event)
    assert lead.rep == entry.details["by"]
    if said == "pass_on":
        assert (lead.rep,) == changed.reps_before
    elif state is not LeadState.CLOSED:
        assert ("link", said) == (changed.responses[0].via, changed.responses[0].kind)


def test_what_a_manager_says_is_not_the_reps(here: Web) -> None:
    """The link of a manager's alert is the manager's word, and that of a desk of several reps is nobody's by name."""
    said_at = {}
    for destination in (here.place.config.rulebook.teams["inbound"].manager, "inbound-desk"):
        lead = new_lead(here)
        until = datetime.now(UTC) + timedelta(days=1)
        token = link_token(Asked(lead.id, lead.rep or "", destination), until, [LINKS.encode()])
        page = here.http.post(f"/answer/{token}", data={"answer": "attempted"})
        said_at[now_of(here, lead).responses[0].by] = page.text
    by_manager, by_desk = said_at
    assert by_manager.startswith("manager:inbound")
    assert f"answered by the manager of {by_manager.removeprefix('manager:')}" in said_at[by_manager]
    assert "destination:inbound-desk" == by_desk
    assert "answered by somebody at inbound-desk" in said_at[by_desk]


def test_a_link_of_a_rep_who_lost_it_holds_nothing_back(here: Web) -> None:
    """Whoever reads it at a desk of several: what it was about is somebody else's now."""
    lead = new_lead(here)
    until = datetime.now(UTC) + timedelta(days=1)
    token = link_token(Asked(lead.id, lead.rep or "", "inbound-desk"), until, [LINKS.encode()])
    here.http.post(link(lead), data={"answer": "pass_on"})
    page = here.http.post(f"/answer/{token}", data={"answer": "acknowledged"})
    assert "nothing waits for somebody at inbound-desk" in page.text
    assert now_of(here, lead).acknowledged_at is None


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-purpose": "prefetch"},
        {"sec-purpose": "prefetch;prerender"},
        {"purpose": "prefetch", "x-moz": "prefetch"},
        {"user-agent": "Slackbot-LinkExpanding 1.0"},
        {"sec-fetch-site": "cross-site", "origin": "https://elsewhere.example.com"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_no_reader_of_the_link_answers_by_it(here: Web, method: str, headers: dict[str, str]) -> None:
    """Browsers fetch links ahead, chats unfurl them and mail filters follow them: each is shown the page, at the most."""
    lead = new_lead(here)
    url = f"{link(lead)}?answer=attempted"
    answer = here.http.request(method, url, headers=headers)
    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"])
    assert lead == now_of(here, lead)


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({}, True),
        ({"origin": "null", "sec-fetch-site": "same-origin"}, True),
        ({"origin": "null"}, True),
        ({"origin": "{here}"}, True),
        ({"origin": "https://elsewhere.example.com"}, False),
        ({"origin": "https://elsewhere.example.com", "sec-fetch-site": "same-origin"}, False),
        ({"origin": "null", "sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"origin": "{here}.elsewhere.example.com"}, False),
    ],
)
def test_a_form_of_another_site_answers_nothing(
    here: Web, headers: dict[str, str], *, is_taken: bool
) -> None:
    """Whoever knows the link could send it from a page of theirs; a browser says whose page it was."""
    lead = new_lead(here)
    sent = {name: value.format(here=here.url) for name, value in headers.items()}
    answer = here.http.post(link(lead), data={"answer": "attempted"}, headers=sent)
    assert (200 if is_taken else 403) == answer.status_code
    assert is_taken == (lead != now_of(here, lead))


def test_who_said_mine_can_say_answered_on_the_same_page(here: Web) -> None:
    """What is left to say stands below what was noted; once it is over nothing does."""
    lead = new_lead(here)
    mine = here.http.post(link(lead), data={"answer": "acknowledged"}).text
    assert [False, True, True, True] == [f'value="{one}"' in mine for one in Answer]
    over = here.http.post(link(lead), data={"answer": "attempted"}).text
    assert "<button" not in over
    assert "Nobody waits any more: it was answered meanwhile." in here.http.get(link(lead)).text


def test_a_link_that_is_not_ours_or_over_does_nothing(here: Web) -> None:
    """Said in a sentence; neither is a key to anything else."""
    lead = new_lead(here)
    assert (403, 403) == tuple(
        here.http.request(
            method, link(lead, -1), data={"answer": "attempted"} if method == "POST" else None
        ).status_code
        for method in ("GET", "POST")
    )
    forged = link_token(
        Asked(lead.id, "ana"), datetime.now(UTC) + timedelta(days=1), [b"another secret of theirs"]
    )
    assert 403 == here.http.post(f"/answer/{forged}", data={"answer": "attempted"}).status_code
    assert 400 == here.http.post(link(lead), data={"answer": "everything"}).status_code
    assert lead == now_of(here, lead)


def test_without_secrets_nothing_opens(web: Web) -> None:
    """An application that was given none takes no link, no press and no word."""
    assert 403 == web.http.get("/answer/abc").status_code
    assert 401 == web.http.post("/slack/interactions", content=b"payload={}").status_code
    assert 401 == web.http.post("/events/pagerduty", content=b"{}").status_code


def test_slacks_own_example_is_verified() -> None:
    """The vector of Slack's SDK; one byte, one secret or six minutes more, and it is refused."""
    headers = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    secret, at = b"8f742231b10e8888abcd99yyyzzz85a5", datetime.fromtimestamp(1531420618, UTC)
    assert "" == slack_refusal(headers, EXAMPLE, [secret], at)
    assert slack_refusal(headers, EXAMPLE + b"x", [secret], at)
    assert slack_refusal(headers, EXAMPLE, [b"x" * 32], at)
    assert slack_refusal(headers, EXAMPLE, [secret], at + timedelta(minutes=6))
    for junk in ("", "x", "-1", "1e9", "٣", "9" * 30):
        assert slack_refusal(headers | {"x-slack-request-timestamp": junk}, EXAMPLE, [secret], at)


def press(
    web: Web,
    lead: Lead,
    said: str,
    user: str,
    at: str = "1700000000.000100",
    secret: str = SLACK,
    **more: Any,
) -> Any:
    """A press on a button, as Slack tells of it."""
    payload = {
        "type": "block_actions",
        "team": {"id": "T1"},
        "user": {"id": user},
        "container": {"message_ts": "1700000000.000200", "channel_id": "C1"},
        "message": {"blocks": [{"type": "header"}, {"type": "actions"}]},
        "response_url": "https://hooks.slack.com/actions/T1/1/x",
        "actions": [{"action_id": f"answer:{said}", "action_ts": at, "value": f"{lead.id} {lead.rep}"}],
        **more,
    }
    body = urlencode({"payload": json.dumps(payload)}).encode()
    timestamp = str(int(time.time()))
    digest = hmac.digest(secret.encode(), f"v0:{timestamp}:".encode() + body, "sha256").hex()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": timestamp,
        "x-slack-signature": f"v0={digest}",
    }
    return web.http.post("/slack/interactions", content=body, headers=headers)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What Slack would be told of the message, by address."""
    posts: list[tuple[str, dict[str, Any]]] = []

    def post(_http: object, url: str, *, content: bytes, **_: object) -> Any:
        posts.append((url, json.loads(content)))
        return Attempt(Outcome.DELIVERED)

    monkeypatch.setattr(presses, "post", post)
    return posts


def test_a_press_is_noted_once_for_the_rep_and_shown_to_everybody(
    here: Web, told: list[tuple[str, dict[str, Any]]]
) -> None:
    """Slack tells of it again: nothing more happens. The buttons go, and what was said stands there."""
    lead = new_lead(here)
    rep = next(
        rep for team in here.place.config.rulebook.teams.values() for rep in team.reps if rep.id == lead.rep
    )
    for _ in range(2):
        answer = press(here, lead, "attempted", str(rep.slack_id))
        assert (200, b"") == (answer.status_code, answer.content)
    changed = now_of(here, lead)
    assert [("attempted", rep.id, "slack")] == [(one.kind, one.by, one.via) for one in changed.responses]
    wait_until(lambda: bool(told), "Slack is told")
    ((url, content),) = told
    assert "https://hooks.slack.com/actions/T1/1/x" == url
    assert content["replace_original"]
    assert ["header", "context"] == [block["type"] for block in content["blocks"]]
    assert f"Noted: answered by {rep.name}. The clock has stopped." == content["text"]


BUTTONS = {
    "type": "actions",
    "elements": [{"type": "button", "action_id": f"answer:{one}"} for one in Answer],
}


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("acknowledged", ["attempted", "not_a_lead", "pass_on"]),
        ("attempted", []),
        ("not_a_lead", []),
        ("pass_on", []),
    ],
)
def test_who_said_mine_can_still_say_answered(
    here: Web, told: list[tuple[str, dict[str, Any]]], said: str, left: list[str]
) -> None:
    """The buttons that still mean something stay where they are."""
    lead = new_lead(here)
    press(here, lead, said, "U1", message={"blocks": [{"type": "header"}, BUTTONS]})
    wait_until(lambda: bool(told), "Slack is told")
    actions = [block for block in told[0][1]["blocks"] if block["type"] == "actions"]
    assert [f"answer:{one}" for one in left] == [
        one["action_id"] for block in actions for one in block["elements"]
    ]


def test_what_cannot_be_done_leaves_the_buttons(here: Web, told: list[tuple[str, dict[str, Any]]]) -> None:
    """Nobody is left to pass it on to: the rep who has it can still say that it is answered, until it is."""
    lead = new_lead(here)
    reps = {rep.id for team in here.place.config.rulebook.teams.values() for rep in team.reps}
    had_it = replace(lead, version=lead.version + 1, reps_before=tuple(sorted(reps - {lead.rep})))
    here.place.store.leads.change([LeadChange(had_it)])
    for _ in range(2):
        press(here, lead, "pass_on", "U1", message={"blocks": [BUTTONS]}, at=str(time.time()))
        wait_until(lambda: bool(told), "Slack is told")
        answer_with(here, lead)
    assert "nobody else can take it now" in told[0][1]["text"]
    assert BUTTONS == told[0][1]["blocks"][0]
    wait_until(lambda: len(told) == 2, "Slack is told again")
    assert ["context"] == [block["type"] for block in told[1][1]["blocks"]]


def answer_with(web: Web, lead: Lead) -> None:
    said = {"kind": "connected", "by": lead.rep}
    assert 200 == web.http.post(f"/v1/leads/{lead.id}/responses", json=said, headers=AUTHORIZED).status_code


def test_a_rep_who_lost_the_lead_holds_nothing_back_by_saying_mine(here: Web) -> None:
    """It is kept as evidence, the page says who has it, and the new rep's reminders come when they were to come."""
    lead = new_lead(here)
    assert 200 == here.http.post(link(lead), data={"answer": "pass_on"}).status_code
    passed = now_of(here, lead)
    page = here.http.post(link(lead), data={"answer": "acknowledged"})
    changed = now_of(here, lead)
    assert "has it now, and nothing waits for" in page.text
    assert (None, passed.steps, passed.next_at) == (changed.acknowledged_at, changed.steps, changed.next_at)
    assert [lead.rep] == [one.by for one in changed.responses]
    assert 200 == here.http.post(link(passed), data={"answer": "acknowledged"}).status_code
    assert now_of(here, lead).acknowledged_at is not None


@pytest.mark.parametrize("is_away", [False, True])
def test_slack_is_answered_in_time_also_by_a_slow_store(
    here: Web, told: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch, is_away: bool
) -> None:
    """Within its three seconds; what came of it is shown in the message, once it is known."""
    lead, real = new_lead(here), flow.answer
    may_go_on = threading.Event()

    def slow(*arguments: Any) -> Any:
        may_go_on.wait(60)
        if is_away:
            raise StoreUnavailable("away")
        return real(*arguments)

    monkeypatch.setattr(flow, "answer", slow)
    monkeypatch.setattr(answers, "SLACK_SECONDS", 0.1)
    began = time.monotonic()
    assert 200 == press(here, lead, "attempted", "U1", message={"blocks": [BUTTONS]}).status_code
    assert 3 > time.monotonic() - began
    assert [] == told
    may_go_on.set()
    wait_until(lambda: bool(told), "Slack is told")
    text, first = told[0][1]["text"], told[0][1]["blocks"][0]
    assert ("could not be noted" in text, BUTTONS == first) == (is_away, is_away)
    assert (LeadState.OPEN if is_away else LeadState.ANSWERED) == now_of(here, lead).state


def test_the_same_press_to_pass_on_passes_on_once(here: Web, told: list[tuple[str, dict[str, Any]]]) -> None:
    """It asked the rep who had it then; the next one keeps it."""
    lead = new_lead(here)
    for _ in range(2):
        assert 200 == press(here, lead, "pass_on", "USTRANGER").status_code
    changed = now_of(here, lead)
    assert ((lead.rep,), LeadState.OPEN) == (changed.reps_before, changed.state)
    (entry,) = (one for one in here.place.store.leads.history(lead.id) if one.event == "lead.reassigned")
    assert "slack:USTRANGER" == entry.details["by"]
    wait_until(lambda: len(told) == 1, "Slack is told")


def test_nothing_but_slack_is_called_and_nothing_forged_is_done(
    here: Web, told: list[tuple[str, dict[str, Any]]]
) -> None:
    """An address from a payload is Slack's, or is not called; what is no answer is acknowledged and left."""
    lead = new_lead(here)
    assert 401 == press(here, lead, "attempted", "U1", secret="somebody else's secret").status_code
    assert 200 == press(here, lead, "something", "U1").status_code
    assert 200 == press(here, lead, "attempted", "U1", actions=[]).status_code
    assert lead == now_of(here, lead)
    for address in (
        "https://hooks.slack.com.example.com/x",
        "http://hooks.slack.com/x",
        "https://u@hooks.slack.com/x",
    ):
        assert 200 == press(here, lead, "acknowledged", "U1", response_url=address).status_code
    assert "acknowledged" == now_of(here, lead).responses[0].kind
    assert [] == told


def told_of(lead: Lead) -> Message:
    """What PagerDuty was told of the lead, by which its incident has its key."""
    alert = Alert(lead.id, "100%", "pager", AlertKind.BREACHED, lead.deadline)
    return compose(alert, lead, None, "", "", lead.deadline)


def incident(web: Web, lead: Lead, kind: str, agent: dict[str, str] | None, secret: str = PAGERDUTY) -> Any:
    event = {
        "id": "01D",
        "event_type": f"incident.{kind}",
        "agent": agent,
        "data": {"id": "P1", "incident_key": dedup_key(told_of(lead))},
    }
    body = json.dumps({"event": event}).encode()
    signature = f"v1={'0' * 64},v1={hmac.digest(secret.encode(), body, 'sha256').hex()}"
    return web.http.post("/events/pagerduty", content=body, headers={"x-pagerduty-signature": signature})


def test_what_somebody_does_with_an_incident_comes_back(here: Web) -> None:
    """Acknowledged and resolved by a person; what an integration did (our own resolve, a rule) is no answer."""
    lead, person = new_lead(here), {"id": "PUSER", "type": "user_reference"}
    assert 401 == incident(here, lead, "resolved", person, secret="another secret of theirs").status_code
    for agent in (None, {"id": "PINT", "type": "inbound_integration_reference"}):
        assert {"result": "ignored"} == incident(here, lead, "resolved", agent).json()
    assert {"result": "ignored"} == incident(here, lead, "annotated", person).json()
    assert lead == now_of(here, lead)
    for kind in ("acknowledged", "acknowledged", "resolved", "resolved"):
        assert 200 == incident(here, lead, kind, person).status_code
    changed = now_of(here, lead)
    assert [("acknowledged", "pagerduty:PUSER"), ("attempted", "pagerduty:PUSER")] == [
        (one.kind, one.by) for one in changed.responses
    ]
    assert LeadState.ANSWERED == changed.state


def test_a_body_that_no_sender_sends_is_not_read(here: Web) -> None:
    """Nobody vouches for it before its signature is known, so it may not be large."""
    lead = new_lead(here)
    large = b"x" * (MAX_BODY_BYTES + 1)
    for path in (link(lead), "/slack/interactions", "/events/pagerduty"):
        assert 413 == here.http.post(path, content=large).status_code
