"""Too much at once: forms with a limit, bodies without room, and a burst of wrong signatures."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import httpx
import pytest
from tests.flow.scene import Scene, new_scene
from tests.servers import ManualClock, wait_until
from tests.web.conftest import AUTHORIZED, Web, route_all, typeform_signature, web_on

from speed_to_lead.core.conditions import parse_condition
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.core.submission import Form, RateLimit
from speed_to_lead.forms import PROVIDERS
from speed_to_lead.forms.patience import WAITS_AFTER_429
from speed_to_lead.store.memory import MemoryStore
from speed_to_lead.web import app, forgeries, guard, hooks
from speed_to_lead.web.forgeries import (
    BURST,
    IN_A_ROW,
    ROW_LASTS_SECONDS,
    TOLD_ONCE_IN,
    WINDOW_SECONDS,
    Forgeries,
)

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


@dataclass
class Looks:
    """Two web processes' looks at what one form answers, by one clock."""

    scene: Scene
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.form = next(iter(self.scene.place.config.forms))
        self.watches = [Forgeries(self.scene.place, self.answers, clock=lambda: self.now) for _ in range(2)]

    def after(self, seconds: float, refused: int = 0, stored: int = 0) -> None:
        """So much later; and meanwhile so many were refused, or stored."""
        self.answers[self.form, 401] += refused
        self.answers[self.form, 200] += stored
        self.now += seconds
        for watch in self.watches:
            watch.look()


@pytest.fixture
def looks(scene: Scene) -> Looks:
    """From the start of the processes on."""
    return Looks(scene)


@pytest.mark.parametrize("pause", [2.0, 3 * 3600.0])
def test_refusals_in_a_row_are_told_once(looks: Looks, pause: float) -> None:
    """However far apart: nothing genuine comes. Fewer are nothing, more are the same; after hours it is told again."""
    scene = looks.scene
    looks.after(2, stored=100)
    for _ in range(IN_A_ROW - 1):
        looks.after(pause, refused=1)
    looks.after(ROW_LASTS_SECONDS)
    assert [] == told(scene)
    looks.after(pause, refused=1)
    looks.after(pause, refused=500)
    (words,) = told(scene)
    assert f'in a row to form "{looks.form}" were refused' in words
    assert "none was genuine" in words
    assert {"raised:signatures_refused": 1} == scene.store.operations.counters()
    scene.later(TOLD_ONCE_IN.total_seconds() / 60 + 1)
    looks.after(ROW_LASTS_SECONDS, refused=IN_A_ROW)
    looks.after(ROW_LASTS_SECONDS)
    assert 2 == len(told(scene))


def test_a_secret_that_is_changed_on_a_busy_form_is_not_called_guessing(looks: Looks) -> None:
    """What was genuine before the first refusal says nothing of the secret now."""
    for _ in range(30):
        looks.after(2, stored=5)
    for _ in range(30):
        looks.after(2, refused=5)
    (words,) = told(looks.scene)
    assert "was the secret changed at the tool?" in words


def test_whoever_guesses_hides_no_wrong_secret(looks: Looks) -> None:
    """Genuine deliveries after the refusals prove the secret; that they end is told all the same, and at once."""
    looks.after(2, refused=BURST)
    looks.after(20, stored=3)
    (words,) = told(looks.scene)
    assert "3 beside them were genuine" in words
    looks.after(600, refused=IN_A_ROW)
    looks.after(ROW_LASTS_SECONDS)
    assert ["somebody may be guessing" in words for words in told(looks.scene)] == [True, False]


def test_wrong_signatures_now_and_then_are_no_burst(looks: Looks) -> None:
    """One a minute among genuine ones stays below it; those of no form of ours are nobody's."""
    for _ in range(60):
        looks.answers["other", 401] += 1000
        looks.after(WINDOW_SECONDS / (BURST - 2), refused=1, stored=1)
    assert [] == told(looks.scene)


def test_the_web_process_tells_by_itself(
    server_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One alert in the outbox, in the name of the form and of the variable."""
    monkeypatch.setattr(app, "FORGERY_SECONDS", 0.02)
    monkeypatch.setattr(forgeries, "ROW_LASTS_SECONDS", 0.05)
    with web_on(server_url, key_prefix) as web:
        for _ in range(BURST):
            assert 401 == web.http.post("/hooks/website-demo", content=BODY).status_code
        wait_until(lambda: bool(web.store.outbox.waiting(9)), "it is told")
        ((alert, _),) = web.store.outbox.waiting(9)
    assert (AlertKind.SIGNATURES_REFUSED, "console") == (alert.kind, alert.destination)
    assert "TYPEFORM_SECRET" in alert.note


def test_a_form_whose_secret_is_not_set_is_told_once(
    server_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers 503 to everything: somebody hears of it, with the variable to set and what to do."""
    monkeypatch.setattr(app, "FORGERY_SECONDS", 0.02)
    with web_on(server_url, key_prefix) as web:
        forms = {**web.place.config.forms, "unset": Form("unset", "jotform", "token", None, "UNSET_TOKEN")}
        monkeypatch.setattr(web.place, "config", replace(web.place.config, forms=forms))
        for _ in range(2):
            assert 503 == web.http.post("/hooks/unset", content=BODY).status_code
            wait_until(lambda: bool(web.store.outbox.waiting(9)), "it is told")
        ((alert, _),) = web.store.outbox.waiting(9)
    assert (AlertKind.SIGNATURES_REFUSED, "console") == (alert.kind, alert.destination)
    assert 'form "unset" takes nothing' in alert.note
    assert "Set UNSET_TOKEN to the tool's token in web's environment, restart web" in alert.note
