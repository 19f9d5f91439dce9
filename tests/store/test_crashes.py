"""A real server that dies, freezes, fills up, turns read-only or forgets: nothing acknowledged is lost, nothing half written."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
import redis
from tests.servers import RealServer, wait_until
from tests.store.builders import (
    LEASE,
    admit,
    admitted,
    change_of,
    following,
    log_renewed,
    new_alert,
    new_lead,
    new_submission,
    picture,
    taken,
)

from speed_to_lead.core.clock import EPOCH
from speed_to_lead.core.settlement import Bury, Drop
from speed_to_lead.store.contract import AlertSettlement, Result, StoreUnavailable
from speed_to_lead.store.redis_store import RedisStore
from speed_to_lead.store.server import connect

pytestmark = pytest.mark.real


@pytest.fixture
def victim(restartable_server: RealServer) -> Iterator[RedisStore]:
    """A store on a server of this test's own, with a short timeout."""
    store = RedisStore(connect(restartable_server.url, answer_timeout=0.5))
    yield store
    store.close()


def test_everything_acknowledged_survives_a_kill(victim: RedisStore, restartable_server: RealServer) -> None:
    """Killed between answers and started on its AOF, the server has every key as it was."""
    for number in range(20):
        lead = admitted(victim, f"l{number}", alerts=(new_alert(victim.now(), f"l{number}"),))
        victim.leads.change([change_of(following(lead), victim.now())])
    taken(victim, "in flight")
    victim.outbox.claim("managers", victim.now(), LEASE, at_once=3)
    before, ledger = picture(victim), victim.operations.ledger()
    restartable_server.stop(kill=True)
    restartable_server.start()
    assert before == picture(victim)
    assert (ledger, 0) == (victim.operations.ledger(), ledger.difference)


def test_every_add_that_returned_is_there_after_a_kill_under_load(
    victim: RedisStore, restartable_server: RealServer
) -> None:
    """Submissions are added while the server is killed: each one whose `add` returned is in the stream."""
    kept: list[str] = []

    def add_until_it_fails() -> None:
        for number in range(100_000):
            try:
                victim.queue.add(replace(first, id=f"s{number}"))
            except StoreUnavailable:
                return
            kept.append(f"s{number}")

    first = new_submission(victim)
    adder = threading.Thread(target=add_until_it_fails)
    adder.start()
    wait_until(lambda: len(kept) > 50, "some are added")
    restartable_server.stop(kill=True)
    adder.join(20)
    restartable_server.start()
    found = {entry.submission.id for entry in victim.queue.take("r", 200_000)}
    assert set() == set(kept) - found


@pytest.mark.parametrize("part", [0.02, 0.5, 0.99])
def test_half_a_change_that_a_crash_cut_off_never_comes_back(
    victim: RedisStore, restartable_server: RealServer, part: float
) -> None:
    """Nor does it take with it what was stored behind it: not at the start after the crash, not at the one after that."""
    for number in range(20):
        victim.queue.add(new_submission(victim, f"s{number}"))
    entries = victim.queue.take("router-1", 20)
    before = picture(victim)
    assert len(victim.queue.postpone(entries[:7])) == 7
    restartable_server.stop(kill=True)
    restartable_server.cut_last_change(part)
    restartable_server.start()
    assert before == picture(victim)
    victim.queue.add(new_submission(victim, "stored before its log is renewed"))
    log_renewed(victim)
    victim.queue.add(new_submission(victim, "stored behind it"))
    for _ in range(2):
        after = picture(victim)
        restartable_server.stop(kill=True)
        restartable_server.start()
        assert after == picture(victim)
        log_renewed(victim)
        assert len(victim.queue.postpone(entries[:9])) in (9, 0)
    ledger = victim.operations.ledger()
    assert (ledger.received, ledger.in_flight, ledger.difference) == (22, 22, 0)


def test_a_log_is_renewed_once_after_a_start(victim: RedisStore, restartable_server: RealServer) -> None:
    """While the server is at it, and when it is done, nobody asks again; after the next start somebody does."""
    for _ in range(2):
        needs_it = victim.operations.policy().may_hold_half
        assert {False: "", True: "started"}[needs_it] == victim.operations.renew_log()
        assert victim.operations.renew_log() == ""
        log_renewed(victim)
        assert victim.operations.renew_log() == ""
        restartable_server.stop(kill=True)
        restartable_server.start()
        assert needs_it == victim.operations.policy().may_hold_half


def test_a_server_that_will_not_renew_its_log_says_so(victim: RedisStore) -> None:
    """A user without the right, or a managed server; one without a log, or without INFO, has nothing to renew."""
    client = victim.server.client
    needs_it = victim.operations.policy().may_hold_half
    client.execute_command("ACL", "SETUSER", "default", "-bgrewriteaof")
    assert {False: "", True: "refused (NoPermissionError)"}[needs_it] == victim.operations.renew_log()
    client.execute_command("ACL", "SETUSER", "default", "-info")
    assert victim.operations.renew_log() == ""
    client.execute_command("ACL", "SETUSER", "default", "+@all")
    client.config_set("appendonly", "no")
    assert (False, "") == (victim.operations.policy().may_hold_half, victim.operations.renew_log())


def test_restarted_server_gets_its_scripts_again(victim: RedisStore, restartable_server: RealServer) -> None:
    """Scripts are not kept across a restart or a flush of them; the next batch runs all the same."""
    admitted(victim, "one")
    restartable_server.stop(kill=True)
    restartable_server.start()
    admitted(victim, "two")
    victim.server.client.script_flush()
    entries = [taken(victim, name) for name in ("three", "four")]
    results = victim.queue.settle(
        [admit(entries[0], new_lead(victim.now(), "three")), Drop(entries[1].entry_id, "tests", "four")]
    )
    assert results == [Result.APPLIED, Result.APPLIED]
    assert victim.operations.ledger().difference == 0


def test_server_that_lost_its_data_gets_its_group_again(victim: RedisStore) -> None:
    """After FLUSHALL the consumer group is made anew by the next take, and by the next reclaim."""
    taken(victim)
    victim.server.client.flushall()
    assert victim.queue.reclaim("r", timedelta(0), 5, isolate_after=5) == []
    victim.server.client.flushall()
    assert taken(victim, "s2").submission.id == "s2"


def every_write(store: RedisStore) -> dict[str, Callable[[], object]]:
    """One call of every method that writes, each able to succeed."""
    lead = admitted(store, "lead1", alerts=(new_alert(store.now()),))
    entries = [taken(store, f"s{number}") for number in range(3)]
    now = store.now()
    store.queue.add(new_submission(store, "dead"))
    (dead,) = store.queue.take("r", 1)
    store.queue.settle([Bury(dead.entry_id, dead.submission, "no", now)])
    return {
        "add": lambda: store.queue.add(new_submission(store, "new")),
        "admit": lambda: store.queue.settle([admit(entries[0], new_lead(now, "lead2"))]),
        "drop": lambda: store.queue.settle([Drop(entries[1].entry_id, "duplicates", "s1", "lead1")]),
        "bury": lambda: store.queue.settle([Bury(entries[2].entry_id, entries[2].submission, "no", now)]),
        "replay": lambda: store.queue.replay("dead"),
        "change": lambda: store.leads.change(
            [change_of(following(lead), now, alerts=(new_alert(now, step="x"),))]
        ),
        "mend_index": lambda: store.leads.mend_index("lead1", 1, now),
        "outbox.add": lambda: store.outbox.add(new_alert(now, step="sys"), now),
        "beat": lambda: store.operations.beat("router@a:1", now),
    }


def test_full_server_refuses_whole(victim: RedisStore) -> None:
    """Out of memory, every write is refused and not one key differs; with room again all go through."""
    writes = every_write(victim)
    before = picture(victim)
    victim.server.client.config_set("maxmemory", 1)
    refused = {}
    for name, write in writes.items():
        with pytest.raises(StoreUnavailable) as caught:
            write()
        refused[name] = str(caught.value)
    assert dict.fromkeys(writes, "OutOfMemoryError") == refused
    assert before == picture(victim)
    victim.server.client.config_set("maxmemory", 0)
    for write in writes.values():
        write()
    assert victim.operations.ledger().difference == 0


def test_delivered_alert_can_be_noted_on_a_full_server(victim: RedisStore) -> None:
    """What frees memory works on a full server: a delivered alert is not sent again for want of room."""
    admitted(victim, alerts=(new_alert(victim.now()),))
    claimed = victim.outbox.claim("managers", victim.now(), LEASE, at_once=1)
    assert claimed is not None
    victim.server.client.config_set("maxmemory", 1)
    assert victim.outbox.settle(claimed, AlertSettlement("delivered", victim.now())) == Result.APPLIED


def test_read_only_server_refuses_whole(victim: RedisStore) -> None:
    """A primary that became a replica refuses every write, and not one key differs."""
    writes = every_write(victim)
    client = victim.server.client
    before = picture(victim)
    client.replicaof("127.0.0.1", "1")
    refused = {}
    for name, write in writes.items():
        with pytest.raises(StoreUnavailable) as caught:
            write()
        refused[name] = str(caught.value)
    assert dict.fromkeys(writes, "ReadOnlyError") == refused
    client.replicaof("NO", "ONE")
    assert before == picture(victim)


@pytest.mark.parametrize("fate", ["stopped", "frozen"])
def test_silent_server_is_noticed_in_time(
    victim: RedisStore, restartable_server: RealServer, fate: str
) -> None:
    """A server that is away or frozen is told within about one timeout, by old connections and by new ones."""
    victim.now()
    fresh = RedisStore(connect(restartable_server.url, answer_timeout=0.5))
    restartable_server.stop(kill=True) if fate == "stopped" else restartable_server.freeze()
    for store in (victim, fresh):
        for ask in (store.now, store.operations.health, partial(store.outbox.add, new_alert(EPOCH), EPOCH)):
            began = time.monotonic()
            with pytest.raises(StoreUnavailable):
                ask()
            assert time.monotonic() - began < 2.5
    fresh.close()
    restartable_server.start() if fate == "stopped" else restartable_server.thaw()
    assert victim.now() > EPOCH


def test_loading_and_broken_servers_are_unavailable(
    victim: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every error class of the client becomes StoreUnavailable."""
    for error in (
        redis.BusyLoadingError("LOADING"),
        redis.TimeoutError(),
        redis.DataError("x"),
        redis.InvalidResponse(),
    ):

        def fails(error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(victim.server.client, "time", fails)
        with pytest.raises(StoreUnavailable):
            victim.now()
