"""A batch goes to the server in pieces while the next is made: broken in between it loses nothing and doubles nothing."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from tests.servers import RealServer, wait_until
from tests.store.builders import admit, new_lead, new_submission

from speed_to_lead.core.settlement import Admit
from speed_to_lead.store import server
from speed_to_lead.store.contract import QueueEntry, Result, StoreUnavailable
from speed_to_lead.store.redis_store import RedisStore, open_store
from speed_to_lead.store.server import connect

pytestmark = pytest.mark.real

COUNT, PIECE, MIDDLE = 40, 4, 18
WRITTEN = (Result.APPLIED, Result.SETTLED)


class Broken(list[Admit]):
    """Settlements; something happens when the one in the middle is asked for."""

    def __init__(self, settlements: list[Admit], happens: Callable[[], object]) -> None:
        super().__init__(settlements)
        self._happens = happens

    def __iter__(self) -> Iterator[Admit]:
        """Each in turn."""
        for number, settlement in enumerate(super().__iter__()):
            if number == MIDDLE:
                self._happens()
            yield settlement


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four to a piece."""
    monkeypatch.setattr(server, "SENT_AT_ONCE", PIECE)


@pytest.fixture
def store(restartable_server: RealServer) -> Iterator[RedisStore]:
    """A store on a server of this test's own, which knows the scripts."""
    store = RedisStore(connect(restartable_server.url, answer_timeout=1.0))
    store.server.client.script_load(server.SCRIPTS["change_lead"])
    yield store
    store.close()


@pytest.fixture
def onlooker(restartable_server: RealServer) -> Iterator[RedisStore]:
    """Another process's store."""
    store = open_store(restartable_server.url, "stl")
    yield store
    store.close()


def batch(store: RedisStore) -> list[Admit]:
    """A lead from each of so many entries, decided and not yet written."""
    for number in range(COUNT):
        store.queue.add(new_submission(store, f"l{number}"))
    return admissions(store, store.queue.take("router-1", COUNT))


def admissions(store: RedisStore, entries: list[QueueEntry]) -> list[Admit]:
    return [admit(entry, new_lead(store.now(), entry.submission.id)) for entry in entries]


def written_once(store: RedisStore) -> None:
    """Each is one lead and counted once, and no entry is left."""
    ledger = store.operations.ledger()
    assert (ledger.leads, ledger.in_flight, ledger.difference) == (COUNT, 0, 0)
    assert store.leads.load() == {"ana": COUNT}
    assert {len(store.leads.history(f"l{number}")) for number in range(COUNT)} == {1}


def test_the_server_works_while_the_rest_is_made(store: RedisStore, onlooker: RedisStore) -> None:
    """The first pieces are leads before the last is made."""

    def look() -> None:
        wait_until(lambda: onlooker.operations.ledger().leads == MIDDLE // PIECE * PIECE, "they are leads")

    assert store.queue.settle(Broken(batch(store), look)) == [Result.APPLIED] * COUNT
    written_once(store)


def test_a_connection_cut_between_two_pieces_doubles_nothing(store: RedisStore, onlooker: RedisStore) -> None:
    """All is sent again, and what was written before is known by its entry."""

    def cut() -> None:
        wait_until(lambda: onlooker.operations.ledger().leads >= PIECE, "some are leads")
        onlooker.server.client.client_kill_filter(_type="normal", skipme=True)

    results = store.queue.settle(Broken(batch(store), cut))
    assert (set(results[:PIECE]), set(results)) == ({Result.SETTLED}, set(WRITTEN))
    written_once(store)


def test_a_server_killed_between_two_pieces_loses_and_doubles_nothing(
    store: RedisStore, onlooker: RedisStore, restartable_server: RealServer
) -> None:
    """Whoever wrote hears that it is away. The entries that were not written are pending, and are settled later."""

    def kill() -> None:
        wait_until(lambda: onlooker.operations.ledger().leads >= PIECE, "some are leads")
        restartable_server.stop(kill=True)

    with pytest.raises(StoreUnavailable):
        store.queue.settle(Broken(batch(store), kill))
    restartable_server.start()
    written = store.operations.ledger().leads
    left = store.queue.reclaim("router-2", timedelta(0), COUNT, isolate_after=5)
    assert (PIECE <= written < COUNT, len(left)) == (True, COUNT - written)
    assert store.queue.settle(admissions(store, left)) == [Result.APPLIED] * len(left)
    written_once(store)


def test_a_server_restarted_between_two_pieces_has_the_rest_as_well(
    store: RedisStore, restartable_server: RealServer
) -> None:
    """Its scripts are gone, and its connections: they are loaded and made again, in the same call."""

    def restart() -> None:
        restartable_server.stop(kill=True)
        restartable_server.start()

    assert set(store.queue.settle(Broken(batch(store), restart))) <= set(WRITTEN)
    written_once(store)


def test_a_server_that_forgets_its_scripts_between_two_pieces(
    store: RedisStore, onlooker: RedisStore
) -> None:
    """What ran is not repeated, what was refused is."""

    def forget() -> None:
        wait_until(lambda: onlooker.operations.ledger().leads >= PIECE, "some are leads")
        onlooker.server.client.script_flush()

    assert store.queue.settle(Broken(batch(store), forget)) == [Result.APPLIED] * COUNT
    written_once(store)


def test_what_cannot_be_made_leaves_no_answers_to_the_next_who_asks(store: RedisStore) -> None:
    """The answers to the pieces before it are still on their way; nobody else may take them for theirs."""
    settlements = batch(store)

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.queue.settle(Broken(settlements, fail))
    assert store.leads.of_people(["nobody"]) == {}
    assert set(store.queue.settle(settlements)) <= set(WRITTEN)
    written_once(store)


def test_a_server_that_says_nothing_between_two_pieces_is_away(
    store: RedisStore, restartable_server: RealServer
) -> None:
    """A silent server is not asked again; when it speaks, what it was sent is written, once."""
    settlements = batch(store)
    with pytest.raises(StoreUnavailable):
        store.queue.settle(Broken(settlements, restartable_server.freeze))
    restartable_server.thaw()
    assert set(store.queue.settle(settlements)) <= set(WRITTEN)
    written_once(store)
