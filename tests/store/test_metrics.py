"""Counts for /metrics: written with the change they count, so never lost and never doubled."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.servers import RealServer
from tests.store.builders import (
    LEASE,
    MINUTE,
    admit,
    admitted,
    change_of,
    following,
    new_alert,
    new_lead,
    new_submission,
    picture,
    taken,
)

from speed_to_lead.core.settlement import Bury, Drop, Settlement
from speed_to_lead.store.contract import AlertSettlement, OutboxHealth, Result, Store
from speed_to_lead.store.redis_store import RedisStore, open_store

DEMO_LEAD = "submissions|form=demo|outcome=lead"
BREACHED = "leads_breached|team=inbound"


def test_nothing_happened_nothing_is_counted(store: Store) -> None:
    """An empty store has no counts."""
    assert store.operations.metrics() == {}


def test_every_settlement_is_counted_once(store: Store) -> None:
    """Lead, test, duplicate and dead letter; the entry settled a second time counts nothing."""
    entries = [taken(store, name) for name in ("one", "two", "three", "four")]
    settlements: list[Settlement] = [
        admit(entries[0], new_lead(store.now(), "one")),
        Drop(entries[1].entry_id, "tests", "two", form="demo"),
        Drop(entries[2].entry_id, "duplicates", "three", "one", "demo"),
        Bury(entries[3].entry_id, entries[3].submission, "why", store.now()),
    ]
    assert store.queue.settle(settlements) == [Result.APPLIED] * 4
    assert set(store.queue.settle(settlements)) == {Result.SETTLED}
    assert store.operations.metrics() == {
        DEMO_LEAD: 1,
        "leads_routed|team=inbound|sla=inbound-5m|source=demo_request": 1,
        "submissions|form=demo|outcome=test": 1,
        "submissions|form=demo|outcome=duplicate": 1,
        "submissions|form=demo|outcome=dead_letter": 1,
    }


def test_body_buried_twice_counts_as_a_duplicate(store: Store) -> None:
    """What the script finds out decides what it counts."""
    for entry in (taken(store, "one"), taken(store, "one")):
        bury = Bury(entry.entry_id, entry.submission, "why", store.now(), is_of_known_form=False)
        store.queue.settle([bury])
    assert store.operations.metrics() == {
        "submissions|form=other|outcome=dead_letter": 1,
        "submissions|form=other|outcome=duplicate": 1,
    }


def test_refused_change_counts_nothing(store: Store) -> None:
    """Two clocks decide the same breach: it is counted once."""
    lead = admitted(store)
    breach = change_of(following(lead), store.now(), counters={"breaches": 1})
    before = store.operations.metrics()
    assert store.leads.change([breach, breach]) == [Result.APPLIED, Result.STALE]
    assert {**before, BREACHED: 1} == store.operations.metrics()


@pytest.mark.parametrize("result", ["delivered", "retry", "dead", "cancelled"])
def test_attempt_is_counted_by_the_courier_that_holds_the_alert(store: Store, result: str) -> None:
    """One whose lease has passed on counts nothing."""
    now = store.now()
    store.outbox.add(new_alert(now - timedelta(seconds=3)), now - MINUTE)
    claimed = store.outbox.claim("managers", now, LEASE, at_once=1)
    assert claimed is not None
    stranger = replace(claimed, token="another")
    settlement = AlertSettlement(result, now)
    assert store.outbox.settle(stranger, settlement) is Result.STALE
    assert store.operations.metrics() == {}
    store.outbox.settle(claimed, settlement)
    counted = store.operations.metrics()
    assert counted.pop(f"delivery_attempts|destination=managers|result={result}") == 1
    lag = {"le=5", "le=sum"} if result == "delivered" else set()
    assert {field.rpartition("|")[2] for field in counted} == lag


def test_each_destination_has_its_own_depth_and_age(store: Store) -> None:
    """The oldest counts from its decision; a destination without alerts is not named."""
    now = store.now()
    store.outbox.add(new_alert(now - 5 * MINUTE, step="a", destination="slow"), now + MINUTE)
    store.outbox.add(new_alert(now, step="b", destination="slow"), now - MINUTE)
    store.outbox.add(new_alert(now, step="c", destination="fast"), now - MINUTE)
    store.outbox.add(new_alert(now, step="d", destination="done"), now - MINUTE)
    claimed = store.outbox.claim("done", now, LEASE, at_once=1)
    assert claimed is not None
    store.outbox.settle(claimed, AlertSettlement("delivered", now))
    found = store.operations.health().outboxes
    assert sorted(found) == ["fast", "slow"]
    slow = found["slow"]
    assert (slow.depth, slow.due) == (2, 1)
    assert 300 <= slow.oldest < 320
    assert OutboxHealth(1, 1, found["fast"].oldest) == found["fast"]
    assert found["fast"].oldest < 20


def test_count_that_is_not_whole_is_refused_before_anything_is_written(redis_store: RedisStore) -> None:
    """HINCRBY would fail in the middle of the script."""
    from speed_to_lead.store import leads  # the module whose counting is replaced

    lead = admitted(redis_store)
    before = picture(redis_store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leads, "counts_of_change", lambda change: {"leads_breached|team=x": 0.5})
        with pytest.raises(Exception, match="ResponseError"):
            redis_store.leads.change([change_of(following(lead), redis_store.now())])
    assert picture(redis_store) == before


@pytest.mark.real
def test_counts_survive_a_crash_of_the_server_exactly(restartable_server: RealServer) -> None:
    """What was answered is counted after kill -9 and restart, once."""
    store = open_store(restartable_server.url)
    for number in range(50):
        store.queue.add(new_submission(store, f"s{number}"))
    entries = store.queue.take("router-1", 50)
    store.queue.settle([admit(e, new_lead(store.now(), e.submission.id)) for e in entries[:30]])
    restartable_server.stop(kill=True)
    restartable_server.start()
    store.queue.settle([admit(e, new_lead(store.now(), e.submission.id)) for e in entries])
    ledger = store.operations.ledger()
    assert (50, 50, 0) == (ledger.leads, store.operations.metrics()[DEMO_LEAD], ledger.difference)
    store.close()
