"""Too much at once: forms with a limit, bodies without room, and a burst of wrong signatures."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from tests.flow.scene import Scene, new_scene
from tests.servers import ManualClock, wait_until
from tests.web.conftest import AUTHORIZED, Web, route_all, typeform_signature, web_on

from speed_to_lead.core.conditions import parse_condition
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.core.submission import RateLimit
from speed_to_lead.forms import PROVIDERS
from speed_to_lead.forms.patience import WAITS_AFTER_429
from speed_to_lead.store.memory import MemoryStore
from speed_to_lead.web import app, guard, hooks
from speed_to_lead.web.forgeries import BURST, TOLD_ONCE_IN, WINDOW_SECONDS, Forgeries

BODY = b'{"email": "ana@example.com"}'
A_MINUTE = timedelta(minutes=1)


# --- forms with a limit ----------------------------------------------------------------------------------------


@pytest.fixture
def limited(web: Web, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """The forms `open` and `website-demo` take two a minute."""
    forms = {
        name: replace(form, rate_limit=RateLimit(2, A_MINUTE))
        for name, form in web.place.config.forms.items()
    }
    hooks._pace_of.cache_clear()
    monkeypatch.setattr(web.place, "config", replace(web.place.config, forms=forms))
    yield web
    hooks._pace_of.cache_clear()


def outcome(answer: httpx.Response) -> tuple[int, bool]:
    """Status, and whether it says when to come again: after more than nothing and no more than a token takes."""
    return answer.status_code, 0 < int(answer.headers.get("retry-after", 0)) <= 30


@pytest.mark.parametrize("is_whole", [True, False])
def test_what_comes_too_fast_is_429_with_retry_after(limited: Web, is_whole: bool) -> None:
    """Whichever way it takes through the web process; only what is stored is in the stream."""
    content = BODY if is_whole else None
    answers = [
        limited.http.post("/hooks/open", content=content or iter([BODY[:5], BODY[5:]])) for _ in range(4)
    ]
    assert [(200, False), (200, False), (429, True), (429, True)] == [outcome(answer) for answer in answers]
    assert 2 == len(limited.stored())
    other = limited.http.post("/hooks/website-demo", content=BODY, headers=typeform_signature(BODY))
    assert 200 == other.status_code  # each form has its own


def test_what_is_not_genuine_takes_no_token(limited: Web) -> None:
    """Else whoever knows the address could keep the form's own tool out."""
    for _ in range(5):
        assert 401 == limited.http.post("/hooks/website-demo", content=BODY).status_code
    answer = limited.http.post("/hooks/website-demo", content=BODY, headers=typeform_signature(BODY))
    assert 200 == answer.status_code


def test_a_tool_that_would_not_come_again_is_never_refused(
    limited: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be a lead lost: all are stored, and those too many bear a mark."""
    monkeypatch.setattr(hooks, "WAITS_AFTER_429", frozenset())
    assert [200] * 4 == [limited.http.post("/hooks/open", content=BODY).status_code for _ in range(4)]
    assert [None, None, b"1", b"1"] == [entry.get(b"over_rate") for entry in limited.stored()]


def test_a_rule_can_ask_what_came_too_fast(limited: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark becomes a flag, which stays with the lead."""
    monkeypatch.setattr(hooks, "WAITS_AFTER_429", frozenset())
    book = limited.place.config.rulebook
    rule = replace(book.default, name="Flood", when=(parse_condition("flags", "over_rate"),))
    flooded = replace(book, rules=(rule, *book.rules))
    monkeypatch.setattr(limited.place, "config", replace(limited.place.config, rulebook=flooded))
    for number in range(4):
        limited.http.post("/hooks/open", content=b'{"email": "p%d@example.com"}' % number)
    route_all(limited.place)
    leads, _ = limited.store.leads.newest(10)
    assert {
        "p0@example.com": (False, None),
        "p1@example.com": (False, None),
        "p2@example.com": (True, ["over_rate"]),
        "p3@example.com": (True, ["over_rate"]),
    } == {lead.lead.fields["email"]: (lead.rule == "Flood", lead.lead.fields.get("flags")) for lead in leads}


def test_tools_that_wait_are_tools() -> None:
    """A name that is mistyped would refuse nobody."""
    assert WAITS_AFTER_429 <= PROVIDERS.keys()


# --- room for bodies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/hooks/open", b""),
        ("/v1/leads", b"Authorization: " + AUTHORIZED["authorization"].encode() + b"\r\n"),
    ],
)
def test_bodies_without_room_are_503(
    server_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch, path: str, headers: bytes
) -> None:
    """One that dribbles holds its part; who finds no room comes again, and finds it once the other is through."""
    monkeypatch.setattr(hooks, "ROOM_BYTES", 400_000)
    monkeypatch.setattr(guard, "ROOM_BYTES", 400_000)
    body = json.dumps({"email": "ana@example.com", "message": "x" * 250_000}).encode()
    head = b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n" % (
        path.encode(),
        headers,
        len(body),
    )
    with web_on(server_url, key_prefix) as web, web.connect() as slow:
        slow.sendall(head + body[:-10])

        def post() -> httpx.Response:
            return web.http.post(path, content=body, headers=AUTHORIZED)

        answers: list[httpx.Response] = []

        def is_full() -> bool:
            answers.append(post())
            return answers[-1].status_code == 503

        wait_until(is_full, "the room is full")
        assert "5" == answers[-1].headers["retry-after"]
        slow.sendall(body[-10:])
        assert slow.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert [200, 200] == [post().status_code, post().status_code]


# --- wrong signatures ------------------------------------------------------------------------------------------


@pytest.fixture
def scene(memory_store: MemoryStore, clock: ManualClock) -> Scene:
    """A scene in memory."""
    return new_scene(memory_store, clock)


def told(scene: Scene) -> list[str]:
    """The forms whose bursts were told of, in the words of the alert."""
    return [
        alert.note
        for alert, _ in scene.store.outbox.waiting(99)
        if alert.kind is AlertKind.SIGNATURES_REFUSED
    ]


def test_a_burst_of_wrong_signatures_is_told_once(scene: Scene) -> None:
    """Fewer are none, more are the same burst, another process knows of it; after hours it is told again."""
    form = next(iter(scene.place.config.forms))
    answers: Counter[tuple[str, int]] = Counter()
    now = [0.0]
    watch, other = (Forgeries(scene.place, answers, lambda: now[0]) for _ in range(2))
    for count in (BURST - 1, 1, 500):
        watch.look()
        other.look()
        answers[form, 401] += count
        now[0] += 2
    for one in (watch, other, watch):
        one.look()
    assert 1 == len(told(scene))
    assert f'deliveries to form "{form}" were refused' in told(scene)[0]
    assert "none was genuine" in told(scene)[0]
    assert {"raised:signatures_refused": 1} == scene.store.operations.counters()
    scene.later(TOLD_ONCE_IN.total_seconds() + 1)
    answers[form, 200] += 3
    answers[form, 401] += BURST
    now[0] += 2
    watch.look()
    assert ["3 were genuine" in words for words in told(scene)] == [False, True]


def test_wrong_signatures_now_and_then_are_no_burst(scene: Scene) -> None:
    """One a minute for an hour stays below it; those of no form of ours are nobody's."""
    form = next(iter(scene.place.config.forms))
    answers: Counter[tuple[str, int]] = Counter()
    now = [0.0]
    watch = Forgeries(scene.place, answers, lambda: now[0])
    for _ in range(60):
        answers[form, 401] += 1
        answers["other", 401] += 1000
        watch.look()
        now[0] += WINDOW_SECONDS / (BURST - 2)
    assert [] == told(scene)


def test_the_web_process_tells_by_itself(
    server_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One alert in the outbox, in the name of the form and of the variable."""
    monkeypatch.setattr(app, "FORGERY_SECONDS", 0.02)
    with web_on(server_url, key_prefix) as web:
        for _ in range(BURST):
            assert 401 == web.http.post("/hooks/website-demo", content=BODY).status_code
        wait_until(lambda: bool(web.store.outbox.waiting(9)), "it is told")
        ((alert, _),) = web.store.outbox.waiting(9)
    assert (AlertKind.SIGNATURES_REFUSED, "console") == (alert.kind, alert.destination)
    assert "TYPEFORM_SECRET" in alert.note
