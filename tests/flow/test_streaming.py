"""A router decides while the server writes what it decided before: broken in between, nothing is lost, doubled or uneven."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.flow.scene import Scene, new_scene
from tests.servers import ManualClock, RealServer, wait_until

from speed_to_lead.flow import routing
from speed_to_lead.store import server
from speed_to_lead.store.contract import StoreUnavailable
from speed_to_lead.store.redis_store import RedisStore, open_store
from speed_to_lead.store.server import connect

PEOPLE = 40
#: Each is a lead, a touch, a touch and a repeat of that; forty apart, so that they are decided in different pieces.
EXPECTED = {"leads": PEOPLE, "touches": 2 * PEOPLE, "duplicates": PEOPLE, "tests": 1, "dead_letters": 1}

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten routes at once, four settlements to a piece."""
    monkeypatch.setattr(routing, "ROUTED_AT_ONCE", 10)
    monkeypatch.setattr(server, "SENT_AT_ONCE", 4)


@pytest.fixture
def onlooker(restartable_server: RealServer) -> Iterator[RedisStore]:
    """Another process's store."""
    store = open_store(restartable_server.url, "stl")
    yield store
    store.close()


@pytest.fixture
def streamed(restartable_server: RealServer, clock: ManualClock) -> Iterator[Scene]:
    """A scene on a server of this test's own, where a crowd waits: each person several times, a test, and no JSON."""
    store = RedisStore(connect(restartable_server.url, answer_timeout=20.0))
    for source in server.SCRIPTS.values():
        store.server.client.script_load(source)
    scene = new_scene(store, clock)
    scene.submit_body(b"no JSON")
    for message in ("first", "second", "third", "third"):
        for number in range(PEOPLE):
            scene.submit(email=f"p{number}@example.com", message=message)
    scene.submit(is_test=True)
    yield scene
    store.close()


def breaks(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Something happens, once, when the routes of the third ten are looked for."""
    note_routes = routing._note_routes
    happening = iter((lambda: None, lambda: None, happens))

    def broken(*arguments: Any) -> None:
        next(happening, lambda: None)()
        note_routes(*arguments)

    monkeypatch.setattr(routing, "_note_routes", broken)


def settled_once(scene: Scene) -> None:
    """Each submission is what it should be, each person one lead with all it was told, both reps have the same."""
    scene.check()
    assert EXPECTED == scene.counts()
    assert {"ana": PEOPLE / 2, "ben": PEOPLE / 2} == scene.store.leads.load()
    said = {str(lead.lead.get("email")): lead for lead in scene.leads()}
    assert PEOPLE == len(said)
    for lead in said.values():
        assert ["first", "second", "third"] == [
            lead.lead.get("message"),
            *(t.lead.get("message") for t in lead.touches),
        ]
        assert ["lead.routed", "lead.touched", "lead.touched"] == [
            event for event in scene.events(lead.id) if event.startswith("lead.")
        ]
    assert PEOPLE == len(scene.waiting())
    scene.deliver()
    heard = [message.lead_id for double in scene.people.values() for message in double.heard]
    assert sorted(lead.id for lead in said.values()) == sorted(heard)


def test_a_connection_cut_while_it_decides(
    streamed: Scene, onlooker: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that was sent is sent again; what followed from it is decided anew where it must be."""

    def cut() -> None:
        wait_until(lambda: onlooker.operations.ledger().leads > 0, "some are leads")
        onlooker.server.client.client_kill_filter(_type="normal", skipme=True)

    breaks(monkeypatch, cut)
    assert 4 * PEOPLE + 2 == streamed.route().settled
    settled_once(streamed)


def test_scripts_forgotten_while_it_decides(
    streamed: Scene, onlooker: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ran is not repeated, what was refused is, and nobody's turn is lost."""

    def forget() -> None:
        wait_until(lambda: onlooker.operations.ledger().leads > 0, "some are leads")
        onlooker.server.client.script_flush()

    breaks(monkeypatch, forget)
    streamed.route()
    settled_once(streamed)


def test_a_store_that_is_away_while_it_decides(streamed: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entries are given back: they do not count as delivered, and whoever comes next settles the rest."""

    def away() -> None:
        raise StoreUnavailable

    breaks(monkeypatch, away)
    with pytest.raises(StoreUnavailable):
        streamed.route()
    for _ in range(3):
        streamed.route("router-2", reclaim=True)
    settled_once(streamed)


def test_an_error_while_it_decides(streamed: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """One nobody foresaw: what was decided stays, and what was not is settled when it is reclaimed."""

    def fail() -> None:
        raise ZeroDivisionError

    breaks(monkeypatch, fail)
    with pytest.raises(ZeroDivisionError):
        streamed.route()
    monkeypatch.setattr(routing, "RECLAIM_AFTER", timedelta(0))
    for _ in range(3):
        streamed.route("router-2", reclaim=True)
    settled_once(streamed)


def test_a_server_restarted_while_it_decides(
    streamed: Scene, restartable_server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its scripts are gone, and its connections."""

    def restart() -> None:
        restartable_server.stop(kill=True)
        restartable_server.start()

    breaks(monkeypatch, restart)
    streamed.route()
    settled_once(streamed)
