"""Two stores on one real server at once: nothing is claimed twice, no person admitted twice, no pick lost."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
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
)

from speed_to_lead.core.assignment import Rotation, RotationChange
from speed_to_lead.core.settlement import Drop
from speed_to_lead.store.contract import AlertSettlement, Result
from speed_to_lead.store.redis_store import RedisStore, open_store

pytestmark = pytest.mark.real


@pytest.fixture
def both(server_url: str, key_prefix: str) -> Iterator[tuple[RedisStore, RedisStore]]:
    """Two stores on the same keys."""
    stores = (open_store(server_url, key_prefix), open_store(server_url, key_prefix))
    yield stores
    for store in stores:
        store.close()


def at_once(both: tuple[RedisStore, RedisStore], work: Callable[[RedisStore], None]) -> None:
    """Do the work twice on each store, in four threads that start together; a thread's error is raised here."""
    start = threading.Barrier(4)
    errors: list[BaseException] = []

    def run(store: RedisStore) -> None:
        start.wait(10)
        try:
            work(store)
        except BaseException as error:  # noqa: BLE001 - told to the test below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(store,)) for store in (*both, *both)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []


def test_routers_admit_each_person_once_and_count_every_pick(both: tuple[RedisStore, RedisStore]) -> None:
    """Routers race for people and turns: one lead for each person, one turn for each lead, the books balance."""
    store = both[0]
    people = 12
    for number in range(60):
        store.queue.add(new_submission(store, f"s{number}"))
    admitted_by: list[str] = []

    def route(mine: RedisStore) -> None:
        while entries := mine.queue.take("r", 5):
            for entry in entries:
                person = f"p{int(entry.submission.id[1:]) % people}"
                while True:
                    known = mine.leads.of_people([person]).get(person)
                    if known is not None:
                        settlement = Drop(entry.entry_id, "duplicates", entry.submission.id, known)
                        assert mine.queue.settle([settlement]) == [Result.APPLIED]
                        break
                    turns = mine.leads.rotations(["inbound"])["inbound"]
                    pick = RotationChange("inbound", turns.version, 0, "ana", turns.turns.get("ana", 0) + 10)
                    lead = new_lead(mine.now(), entry.submission.id)
                    if mine.queue.settle([admit(entry, lead, people=((person, None),), rotation=pick)]) == [
                        Result.APPLIED
                    ]:
                        admitted_by.append(person)
                        break

    at_once(both, route)
    assert dict.fromkeys((f"p{n}" for n in range(people)), 1) == Counter(admitted_by)
    assert {"inbound": Rotation(people, 0, {"ana": 10 * people}, {"ana": people})} == store.leads.rotations(
        ["inbound"]
    )
    ledger = store.operations.ledger()
    assert (60, people, 48, 0, 0) == (
        ledger.received,
        ledger.leads,
        ledger.duplicates,
        ledger.in_flight,
        ledger.difference,
    )
    assert {"ana": people} == store.leads.load()


def test_couriers_claim_each_alert_once(both: tuple[RedisStore, RedisStore]) -> None:
    """Couriers race for one destination: each alert is claimed by one, and never more than allowed at once."""
    store = both[0]
    now = store.now()
    for number in range(80):
        store.outbox.add(new_alert(now, step=f"s{number}"), now - timedelta(seconds=number))
    claimed_by: list[str] = []
    holding = 0
    most = 0
    counting = threading.Lock()

    def deliver(mine: RedisStore) -> None:
        nonlocal holding, most
        while mine.outbox.destinations_due(now):
            claimed = mine.outbox.claim("managers", now, LEASE, at_once=3)
            if claimed is None:
                continue
            with counting:
                holding += 1
                most = max(most, holding)
                claimed_by.append(claimed.alert.step)
            with counting:
                holding -= 1
            assert mine.outbox.settle(claimed, AlertSettlement("delivered", now)) == Result.APPLIED

    at_once(both, deliver)
    assert {f"s{n}": 1 for n in range(80)} == Counter(claimed_by)
    assert most <= 3
    assert store.operations.counters() == {"alerts_delivered": 80}


def test_clocks_decide_each_step_once(both: tuple[RedisStore, RedisStore]) -> None:
    """Clocks race over the same due leads: each version is written by one of them."""
    store = both[0]
    now = store.now()
    for number in range(10):
        admitted(store, f"l{number}", lead={"next_at": now})
    applied: list[str] = []

    def sweep(mine: RedisStore) -> None:
        while due := mine.leads.due(now, 4):
            leads = [lead for lead in map(mine.leads.get, due) if lead is not None and lead.version < 6]
            moments = [now + MINUTE if lead.version == 5 else now for lead in leads]
            decided = [following(lead, next_at=at) for lead, at in zip(leads, moments, strict=True)]
            changes = [change_of(lead, now, counters={"breaches": 1}) for lead in decided]
            results = zip(changes, mine.leads.change(changes), strict=True)
            applied.extend(
                f"{c.lead.id}@{c.lead.version}" for c, result in results if result is Result.APPLIED
            )

    at_once(both, sweep)
    assert {f"l{n}@{v}": 1 for n in range(10) for v in range(2, 7)} == Counter(applied)
    assert store.operations.counters()["breaches"] == 50
    assert [list(range(1, 7))] * 10 == [
        [line.details["to"] for line in store.leads.history(f"l{n}")] for n in range(10)
    ]


def test_reclaiming_routers_share_nothing(both: tuple[RedisStore, RedisStore]) -> None:
    """Routers race for a dead router's entries: each entry goes to one of them."""
    store = both[0]
    for number in range(100):
        store.queue.add(new_submission(store, f"s{number}"))
    store.queue.take("dead", 100)
    got: list[str] = []
    idle = timedelta(milliseconds=1)

    def reclaim(mine: RedisStore) -> None:
        while entries := mine.queue.reclaim(f"r{threading.get_ident()}", idle, 7, isolate_after=9_999):
            drops = [Drop(entry.entry_id, "tests", entry.submission.id) for entry in entries]
            results = zip(drops, mine.queue.settle(drops), strict=True)
            got.extend(drop.submission_id for drop, result in results if result is Result.APPLIED)

    at_once(both, reclaim)
    assert {f"s{n}": 1 for n in range(100)} == Counter(got)
    assert (store.operations.ledger().tests, store.operations.ledger().difference) == (100, 0)
