"""What is asked of another system, what its answers come to, and that it never holds whoever asks."""

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog
from tests.crm.far_side import Crm
from tests.servers import free_port, wait_until

from speed_to_lead.core.lookup import LookedUp, Question, question_of
from speed_to_lead.core.submission import GenericLead
from speed_to_lead.crm import lookups
from speed_to_lead.logs import set_up_logs
from speed_to_lead.spellings import SPELLINGS

#: Of those who are answered: the answer takes milliseconds, and on a loaded machine whatever it takes.
LONG = timedelta(seconds=20)
#: Of those who are not.
SHORT = timedelta(seconds=2)
#: More than a timeout, less than two: what a loaded machine may take besides.
SOON = 3.9


def question(crm: Crm, email: str = "kim@acme.example", timeout: timedelta = SHORT) -> Question:
    asked = question_of(crm.lookup(timeout), GenericLead({"email": email}), SPELLINGS)
    assert isinstance(asked, Question)
    return asked


def said(crm: Crm, timeout: timedelta = SHORT) -> LookedUp:
    """What one question comes to."""
    one = question(crm, timeout=timeout)
    return crm.client().ask([one])[one]


def test_an_answer(crm: Crm) -> None:
    """It is asked for the address and domain of the lead, percent-encoded, and the owner is taken from its path."""
    one = question(crm, "kim+x@acme.example", LONG)
    assert {one: LookedUp("crm", "cleo")} == crm.client().ask([one])
    assert ["/owners/acme.example?email=kim%2Bx%40acme.example"] == crm.paths
    headers = crm.asked[0][1]
    assert "identity" == headers["accept-encoding"]
    assert "authorization" not in headers


def test_a_token(crm: Crm) -> None:
    """It is sent as a bearer token; where it is not set nobody is asked."""
    one = question(crm, timeout=LONG)
    one = one._replace(lookup=replace(one.lookup, token_env="CRM_TOKEN"))
    assert LookedUp("crm", "cleo") == crm.client({"CRM_TOKEN": " secret\n"}).ask([one])[one]
    assert "Bearer secret" == crm.asked[0][1]["authorization"]
    assert LookedUp("crm", problem="not asked, for CRM_TOKEN is not set") == crm.client().ask([one])[one]
    assert 1 == len(crm.asked)


@pytest.mark.parametrize(
    ("body", "owner", "problem"),
    [
        (b'{"owner": {"email": " 007 "}}', "007", ""),
        (b'{"owner": {"email": 7}}', "7", ""),
        (b'{"owner": {"email": true}}', "", "owner.email of the answer is no name"),
        (b'{"owner": {"email": ""}}', "", "owner.email of the answer is no name"),
        (b'{"owner": {"email": null}}', "", "owner.email of the answer is no name"),
        (b'{"owner": {"email": ["ana"]}}', "", "owner.email of the answer is no name"),
        (b'{"owner": {"email": "' + b"x" * 300 + b'"}}', "", "owner.email of the answer is no name"),
        (b'{"owner": null}', "", "the answer has no owner.email"),
        (b"[]", "", "the answer has no owner.email"),
        (b"<html>", "", "the answer is no JSON"),
        (b"", "", "the answer is no JSON"),
        (b"\xff\xfe", "", "the answer is no JSON"),
        (b"[" * 60_000, "", "the answer is no JSON"),
        (b'{"owner": {"email": "ana", "x": "' + b"x" * 70_000, "", "its answer is larger than 64 KiB"),
    ],
)  # fmt: skip
def test_answers(crm: Crm, body: bytes, owner: str, problem: str) -> None:
    """Whatever comes is an owner or a sentence, and of what is no owner nothing is repeated."""
    crm.body = body
    assert LookedUp("crm", owner, problem) == said(crm, LONG)


@pytest.mark.parametrize("status", [201, 204, 400, 401, 404, 429, 500, 503])
def test_statuses(crm: Crm, status: int) -> None:
    """Only 200 is an answer."""
    crm.status, crm.body = status, b""
    assert LookedUp("crm", problem=f"answered {status}") == said(crm, LONG)


def test_a_redirect_is_not_followed(crm: Crm) -> None:
    """Whoever answers cannot send us elsewhere."""
    crm.status, crm.location = 302, f"http://127.0.0.1:{crm.port}/elsewhere"
    assert "answered 302, and redirects are not followed" == said(crm, LONG).problem
    assert 1 == len(crm.asked)


def test_a_list_in_the_answer(crm: Crm) -> None:
    """Numbers in the path count lists from 0; one beyond the end is no owner."""
    crm.body = b'{"results": [{"id": "a"}, {"id": "b"}]}'
    for path, owner in (("results.1.id", "b"), ("results.2.id", ""), ("results.-1.id", "")):
        one = Question(crm.lookup(owner=path), f"http://127.0.0.1:{crm.port}/")
        assert owner == crm.client().ask([one])[one].owner


@pytest.mark.parametrize("nastily", ["hangs", "dribbles"])
def test_the_timeout_ends_everything(crm: Crm, nastily: str) -> None:
    """Neither silence nor an answer a byte at a time holds whoever asks."""
    setattr(crm, nastily, True)
    began = time.monotonic()
    assert LookedUp("crm", problem="no answer within 2s") == said(crm)
    assert SOON > time.monotonic() - began


def test_a_thread_that_is_held_is_not_waited_for(crm: Crm) -> None:
    """Whatever holds the thread itself, the answer is there after the timeout: that there is none."""
    asking = crm.client()
    one, other = question(crm), question(crm, "lee@else.example")
    asking.ask([other])  # connected, so that nothing else takes time
    assert asking._thread is not None
    let_go = threading.Event()
    asking._thread.loop.call_soon_threadsafe(let_go.wait, 60)
    began = time.monotonic()
    assert "no answer within 2s" == asking.ask([one])[one].problem
    assert SOON > time.monotonic() - began
    let_go.set()


def test_nobody_listens(crm: Crm) -> None:
    """The trace says that it cannot be reached, without its address."""
    crm.port = free_port()
    assert "it cannot be reached (ConnectError)" == said(crm, LONG).problem


def test_equal_questions_are_asked_once(crm: Crm) -> None:
    """Two leads of one person make one question; fifty people are asked about all at once."""
    people = [question(crm, f"p{number}@acme.example", LONG) for number in range(50)]
    answers = crm.client().ask([*people, *people])
    assert {LookedUp("crm", "cleo")} == set(answers.values())
    assert 50 == len(answers) == len(crm.asked)


def test_who_fails_is_left_alone_for_a_while(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    """After three failures in a row nobody is asked, until the pause is over; one answer ends it."""
    now = 1000.0
    monkeypatch.setattr("speed_to_lead.crm.lookups.time.monotonic", lambda: now)
    asking, one = crm.client(), question(crm, timeout=LONG)
    crm.status = 503
    assert ["answered 503"] * 3 == [asking.ask([one])[one].problem for _ in range(3)]
    skipped = "not asked, for it failed 3 times in a row; every 30s it is tried"
    assert skipped == asking.ask([one])[one].problem
    assert 3 == len(crm.asked)
    now += lookups.PAUSE_SECONDS
    assert "answered 503" == asking.ask([one])[one].problem  # tried, and left alone again
    assert "not asked" in asking.ask([one])[one].problem
    crm.says("ana")
    now += lookups.PAUSE_SECONDS
    assert ["ana"] * 3 == [asking.ask([one])[one].owner for _ in range(3)]


def test_connections_come_back_after_many_that_hung(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions that were given up leave no connection behind that another one would wait for."""
    monkeypatch.setattr(lookups, "FAILURES", 10_000)
    asking, crm.hangs = crm.client(), True
    for _ in range(3):
        asking.ask([question(crm, f"p{number}@acme.example", timedelta(seconds=0.7)) for number in range(60)])
    crm.hangs = False
    people = [question(crm, f"p{number}@acme.example", LONG) for number in range(60)]
    answer = {LookedUp("crm", "cleo")}
    wait_until(lambda: answer == set(asking.ask(people).values()), "all are answered")


@pytest.fixture
def own_logs() -> Iterator[None]:
    """What a test sets up for logs is gone after it."""
    root, http = logging.getLogger(), logging.getLogger("httpx")
    handlers, levels = root.handlers[:], (root.level, http.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    http.setLevel(levels[1])
    structlog.reset_defaults()


@pytest.mark.parametrize("status", [200, 302, 400, 404])
def test_who_answers_is_asked_again(crm: Crm, status: int) -> None:
    """That a person is not known, or has no owner, says nothing about the next one."""
    crm.status, crm.body = status, b"{}"
    asking, one = crm.client(), question(crm, timeout=LONG)
    for _ in range(6):
        asking.ask([one])
    assert 6 == len(crm.asked)


def test_nothing_of_it_is_logged(
    crm: Crm, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, own_logs: None
) -> None:
    """Neither the address with the person's in it nor the answer stands in the log, whatever happens."""
    monkeypatch.setattr(
        lookups, "log", structlog.get_logger()
    )  # a logger keeps the set-up it was first used with
    set_up_logs("info", "json")
    crm.says("somebody")
    asking, one = crm.client(), question(crm, "kim.secret@acme.example", LONG)
    asking.ask([one])
    crm.status = 500
    for _ in range(4):
        asking.ask([one])
    logged = capsys.readouterr().err
    assert "lookup.paused" in logged
    assert not any(word in logged for word in ("secret", "somebody", "acme", "owners"))
    assert logging.WARNING == logging.getLogger("httpx").level


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"phone": "+1 555 0100"}, "not asked, for the lead gives no company's domain"),
        ({"email": "kim@gmail.com"}, "not asked, for the lead gives no company's domain"),
        ({"email": "../../admin"}, "not asked, for the lead gives no company's domain"),
        ({"website": "acme.example"}, "not asked, for the lead gives no readable e-mail address"),
        ({"website": "acme.example", "email": "kim@@x"}, "not asked, for the lead gives no readable e-mail address"),
    ],
)  # fmt: skip
def test_a_lead_that_gives_too_little(crm: Crm, fields: dict[str, str], problem: str) -> None:
    """What an address needs and the lead does not say is no question, and what cannot be read neither."""
    assert LookedUp("crm", problem=problem) == question_of(crm.lookup(), GenericLead(fields), SPELLINGS)
