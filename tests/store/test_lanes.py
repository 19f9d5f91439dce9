"""The patient lane's contract: what is put off waits as it came, once, and everything that knows the queue knows it."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import partial
from threading import Thread
from typing import Any

import pytest
from tests.servers import ManualClock, RealServer, wait_until
from tests.store.builders import (
    MINUTE,
    admit,
    change_of,
    elapse,
    following,
    log_renewed,
    new_lead,
    new_submission,
    picture,
    taken,
)

from speed_to_lead.core.settlement import Bury, Drop, Join, Seen, Settlement
from speed_to_lead.core.submission import Submission
from speed_to_lead.store.contract import HeldKind, Lane, QueueEntry, Result, Store, StoreUnavailable
from speed_to_lead.store.redis_store import RedisStore, open_store

A_MOMENT = timedelta(milliseconds=5)
#: Long enough that what was just handed out is not yet left behind.
IDLE = timedelta(milliseconds=300)


def put_off(store: Store, *names: str) -> list[QueueEntry]:
    """Submissions added, handed out and put off; the entries as they came in."""
    entries = [taken(store, name) for name in names]
    assert len(store.queue.postpone(entries)) == len(entries)
    return entries


def patient(store: Store, *names: str) -> list[QueueEntry]:
    """Submissions put off, and handed out from the patient lane."""
    put_off(store, *names)
    return store.queue.take("router-1", len(names), Lane.PATIENT)


def test_what_is_put_off_waits_as_it_came(store: Store, clock: ManualClock) -> None:
    """Its id, receipt time, bytes and headers stay; it leaves the incoming lane, and the first router to ask gets it."""
    (before,) = put_off(store, "s1")
    elapse(store, clock, A_MOMENT)
    assert store.queue.take("router-1", 10) == []
    (after,) = store.queue.take("router-2", 10, Lane.PATIENT)
    assert (before.submission, 1, "") == (after.submission, after.deliveries, after.problem)
    assert store.queue.take("router-1", 10, Lane.PATIENT) == []


@pytest.mark.parametrize("forged", [{}, {"came_as": "nonsense"}, {"came_as": "1-1"}])
def test_what_names_neither_id_nor_receipt_keeps_those_of_its_entry(
    redis_store: RedisStore, forged: dict[str, str]
) -> None:
    """A program need not give them; then the entry's own id and instant count, also after a move, whatever it forged."""
    fields: dict[Any, Any] = {"form": "demo", "body": b'{"email":"kim@example.com"}', **forged}
    redis_store.server.client.xadd(redis_store.server.keys.incoming, fields)
    (before,) = redis_store.queue.take("router-1", 1)
    wait_until(lambda: redis_store.now() - before.submission.received_at > 2 * A_MOMENT, "time passes")
    redis_store.queue.postpone([before])
    (after,) = redis_store.queue.take("router-1", 1, Lane.PATIENT)
    assert before.submission == after.submission


def test_the_patient_lane_is_first_come_first_served(store: Store) -> None:
    """Nobody in it overtakes anybody."""
    put_off(store, *(f"s{number}" for number in range(250)))
    found = [entry.submission.id for entry in store.queue.take("router-1", 300, Lane.PATIENT)]
    assert found == [f"s{number}" for number in range(250)]


def test_what_nobody_has_taken_is_counted(store: Store) -> None:
    """Neither what is handed out, nor what is settled, nor what was put off is among them."""
    assert store.queue.untaken() == 0
    put_off(store, "s0")
    for name in ("s1", "s2", "s3", "s4"):
        store.queue.add(new_submission(store, name))
    assert store.queue.untaken() == 4
    first, _ = store.queue.take("router-1", 2)
    assert store.queue.untaken() == 2
    assert store.queue.settle([Drop(first.entry_id, "tests", "s1")]) == [Result.APPLIED]
    assert store.queue.untaken() == 2


def test_moving_again_moves_nothing(store: Store) -> None:
    """A move whose answer was lost is repeated without harm; so is one of an entry that was settled meanwhile."""
    entries = [taken(store, name) for name in ("s1", "s2", "s3")]
    store.queue.settle([Drop(entries[2].entry_id, "tests", "s3")])
    assert {entry.entry_id for entry in entries[:2]} == store.queue.postpone(entries)
    before = picture(store)
    assert store.queue.postpone(entries) == set()
    assert before == picture(store)
    late = [Drop(entry.entry_id, "tests", entry.submission.id) for entry in entries]
    assert store.queue.settle(late) == [Result.SETTLED] * 3
    handed_out = store.queue.take("router-1", 10, Lane.PATIENT)
    assert store.queue.postpone(handed_out) == set()
    assert [entry.submission.id for entry in handed_out] == ["s1", "s2"]


def test_each_end_of_a_submission_can_come_from_the_patient_lane(store: Store) -> None:
    """A lead, a touch, a duplicate and a dead letter, each settled once, in one batch with one that just came in."""
    first, touch, drop, bury = patient(store, "s1", "s2", "s3", "s4")
    fresh = taken(store, "s5")
    lead = new_lead(store.now())
    settlements: list[Settlement] = [
        admit(first, lead),
        Join(
            touch.entry_id,
            change_of(following(lead), store.now(), counters={"touches": 1}),
            (Seen("s2", MINUTE),),
        ),
        Drop(drop.entry_id, "duplicates", "s3", "lead1"),
        Bury(bury.entry_id, bury.submission, "no", store.now()),
        Drop(fresh.entry_id, "tests", "s5"),
    ]
    assert store.queue.settle(settlements) == [Result.APPLIED] * 5
    assert store.queue.settle(settlements) == [Result.SETTLED] * 5
    ledger = store.operations.ledger()
    assert (ledger.received, ledger.in_flight, ledger.difference) == (5, 0, 0)
    assert {"leads": 1, "touches": 1, "duplicates": 1, "dead_letters": 1, "tests": 1} == {
        name: n for name, n in store.operations.counters().items() if n
    }


def test_the_same_id_in_both_streams_is_two_entries(redis_store: RedisStore) -> None:
    """Streams number their entries by themselves; settling one leaves its namesake where it is."""
    client, keys = redis_store.server.client, redis_store.server.keys
    for stream in (keys.incoming, keys.patient):
        client.xadd(stream, {"form": "demo", "body": b"{}", "id": stream[-8:]}, id="1700000000000-7")
    (one,) = redis_store.queue.take("router-1", 1)
    (other,) = redis_store.queue.take("router-1", 1, Lane.PATIENT)
    assert one.entry_id != other.entry_id
    assert redis_store.queue.settle([Drop(other.entry_id, "tests", "x")]) == [Result.APPLIED]
    assert (client.xlen(keys.incoming), client.xlen(keys.patient)) == (1, 0)
    assert redis_store.queue.settle([Drop(one.entry_id, "tests", "x")]) == [Result.APPLIED]


def test_a_move_is_no_receipt(store: Store) -> None:
    """The books balance after each step, and count each submission once."""
    entries = [taken(store, name) for name in ("s1", "s2")]
    for moved in (entries[:1], entries):
        store.queue.postpone(moved)
        ledger = store.operations.ledger()
        assert (ledger.received, ledger.in_flight, ledger.difference) == (2, 2, 0)


def test_health_knows_both_lanes(store: Store, clock: ManualClock) -> None:
    """Depth and age of each; what was put off is as old as its receipt, not as its move."""
    entry = taken(store, "s1")
    elapse(store, clock, timedelta(milliseconds=30))
    store.queue.postpone([entry])
    store.queue.add(new_submission(store, "s2"))
    health = store.operations.health()
    assert (health.queued, health.patient, health.pending) == (1, 1, 0)
    assert health.patient_oldest >= 0.03 > health.queued_oldest
    store.queue.take("router-1", 1, Lane.PATIENT)
    assert store.operations.health().pending == 1


def test_what_a_dead_router_held_of_both_lanes_is_taken_over(store: Store, clock: ManualClock) -> None:
    """Incoming ones first; each call gives entries of one lane."""
    patient(store, "s1", "s2")
    taken(store, "s3")
    elapse(store, clock, IDLE + A_MOMENT)
    found = [store.queue.reclaim("router-2", IDLE, 1, isolate_after=5) for _ in range(3)]
    assert [[(e.submission.id, e.deliveries) for e in batch] for batch in found] == [
        [("s3", 2)],
        [("s1", 2)],
        [("s2", 2)],
    ]


def test_an_entry_begins_its_count_in_each_lane_and_suspects_come_alone(
    store: Store, clock: ManualClock
) -> None:
    """A move is a fresh start, and there is only one: from the patient lane nothing goes back."""
    patient(store, "s1")
    for expected in (2, 3):
        elapse(store, clock, IDLE + A_MOMENT)
        (again,) = store.queue.reclaim("router-2", IDLE, 10, isolate_after=5)
        assert again.deliveries == expected
    elapse(store, clock, IDLE + A_MOMENT)
    patient(store, "s2")
    elapse(store, clock, IDLE + A_MOMENT)
    calm = store.queue.reclaim("router-2", IDLE, 10, isolate_after=3)
    alone = store.queue.reclaim("router-2", IDLE, 10, isolate_after=3)
    assert [[e.submission.id for e in batch] for batch in (calm, alone)] == [["s2"], ["s1"]]


def test_entries_of_both_lanes_are_given_back_uncounted(store: Store, clock: ManualClock) -> None:
    """Anybody may take them at once; one that is left rests first."""
    held = [*patient(store, "s1"), taken(store, "s2")]
    store.queue.give_back("router-1", held)
    for name in ("s2", "s1"):
        (again,) = store.queue.reclaim("router-2", timedelta(seconds=5), 10, isolate_after=5)
        assert (again.submission.id, again.deliveries) == (name, 1)
        store.queue.leave("router-2", [again])
    assert store.queue.reclaim("router-1", timedelta(seconds=5), 10, isolate_after=5) == []
    elapse(store, clock, A_MOMENT)
    assert store.audit.pending_since(timedelta(milliseconds=1)) == 2


def test_giving_back_what_was_moved_meanwhile_leaves_it_in_its_lane(redis_store: RedisStore) -> None:
    """A router that lost the answer of a move gives all back; what was moved is nobody's still."""
    entries = put_off(redis_store, "s1")
    redis_store.queue.give_back("router-1", entries)
    assert redis_store.queue.reclaim("router-2", timedelta(0), 10, isolate_after=5) == []
    (found,) = redis_store.queue.take("router-2", 10, Lane.PATIENT)
    assert (found.submission.id, found.deliveries) == ("s1", 1)


def test_silent_consumers_of_both_lanes_are_forgotten(redis_store: RedisStore) -> None:
    """One that holds something in a lane stays there."""
    held = patient(redis_store, "s1")
    wait_until(lambda: redis_store.queue.forget_consumers(timedelta(milliseconds=1)) == 1, "it is silent")
    redis_store.queue.settle([Drop(held[0].entry_id, "tests", "s1")])
    wait_until(lambda: redis_store.queue.forget_consumers(timedelta(milliseconds=1)) == 1, "it holds nothing")


def test_a_walk_meets_what_was_put_off_and_can_remove_it(store: Store) -> None:
    """Each submission once, as it came; and removed it is in the books as a dead letter thrown away."""
    (entry,) = put_off(store, "s1")
    taken(store, "s2")
    held = [
        one for batch in store.privacy.everything() for one in batch.held if one.kind is HeldKind.INCOMING
    ]
    submissions = {one.submission.id: one for one in held if one.submission is not None}
    assert (len(held), sorted(submissions)) == (2, ["s1", "s2"])
    assert entry.submission.body == submissions["s1"].submission.body  # type: ignore[union-attr]
    assert "kim@example.com" in submissions["s1"].text
    for expected in (Result.APPLIED, Result.GONE):
        results = {store.privacy.remove_submission(one.name, "submissions_erased") for one in held}
        assert {expected} == results
    ledger = store.operations.ledger()
    assert (ledger.received, ledger.dead_letters, ledger.in_flight, ledger.difference) == (2, 2, 0, 0)


def test_a_walk_misses_nothing_that_is_moved_meanwhile(store: Store) -> None:
    """Moves go one way, and the walk goes the same way."""
    entries = [taken(store, f"s{number}") for number in range(60)]
    met: set[str] = set()
    for batch in store.privacy.everything():
        met |= {one.submission.id for one in batch.held if one.submission is not None}
        store.queue.postpone(entries)
    assert met == {f"s{number}" for number in range(60)}


@pytest.mark.real
def test_an_entry_with_more_fields_than_can_be_moved_stays(redis_store: RedisStore) -> None:
    """Lua hands on some thousand values at the most; such an entry is no submission of ours, and is settled as it is."""
    fields: dict[Any, Any] = {f"f{number}": "x" for number in range(5_000)}
    redis_store.server.client.xadd(
        redis_store.server.keys.incoming, {**fields, "form": "demo", "body": b"{}"}
    )
    entries = redis_store.queue.take("router-1", 1)
    assert redis_store.queue.postpone(entries) == set()
    assert redis_store.operations.health().queued == 1


@pytest.mark.real
def test_two_routers_move_the_same_entries_once(server_url: str, key_prefix: str) -> None:
    """One is frozen, the other took its entries over, both move: each entry is in the patient lane once."""
    stores = [open_store(server_url, key_prefix) for _ in range(2)]
    for number in range(300):
        stores[0].queue.add(new_submission(stores[0], f"s{number}"))
    entries = stores[0].queue.take("router-1", 300)
    moved: list[set[str]] = []

    def move(store: RedisStore) -> None:
        moved.append(store.queue.postpone(entries))

    threads = [Thread(target=move, args=(one,)) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (len(moved[0] | moved[1]), moved[0] & moved[1]) == (300, set())
    found = Counter(e.submission.id for e in stores[0].queue.take("r", 1000, Lane.PATIENT))
    assert (len(found), set(found.values())) == (300, {1})
    assert stores[0].operations.ledger().difference == 0
    for store in stores:
        store.close()


@pytest.mark.real
def test_a_server_killed_while_entries_are_moved_has_each_in_one_lane(
    restartable_server: RealServer,
) -> None:
    """Killed at any point, once and again, and started on its AOF: no submission is lost, none is there twice."""
    store = open_store(restartable_server.url)
    names = {f"s{number}" for number in range(3_000)}
    example = new_submission(store)
    for name in sorted(names):
        store.queue.add(replace(example, id=name))
    entries = store.queue.take("router-1", 3_000)
    for kill_after in (200, 600, 1_000):
        mover = Thread(target=_move_until_it_fails, args=(store, entries))
        mover.start()
        goal = store.operations.health().patient + kill_after
        wait_until(partial(_has_put_off, store, goal), "some are moved")
        restartable_server.stop(kill=True)
        mover.join(20)
        assert not mover.is_alive()
        restartable_server.start()
        log_renewed(store)
        ledger = store.operations.ledger()
        assert (ledger.received, ledger.in_flight, ledger.difference) == (3_000, 3_000, 0)
    store.queue.postpone(entries[:1_000])
    kept = _all_waiting(store)
    assert (len(kept), set(kept.values())) == (3_000, {1})
    assert set(kept) == names
    assert all(submission.received_at == example.received_at for submission in _submissions(store))
    store.close()


@pytest.mark.real
def test_a_full_server_moves_nothing(restartable_server: RealServer) -> None:
    """Refused whole: not one key differs; with room again it goes through."""
    store = open_store(restartable_server.url)
    entries = [taken(store, f"s{number}") for number in range(5)]
    store.queue.take("router-1", 1, Lane.PATIENT)  # makes the lane
    before = picture(store)
    store.server.client.config_set("maxmemory", 1)
    with pytest.raises(StoreUnavailable):
        store.queue.postpone(entries)
    assert before == picture(store)
    store.server.client.config_set("maxmemory", 0)
    assert len(store.queue.postpone(entries)) == 5
    store.close()


def _move_until_it_fails(store: RedisStore, entries: list[QueueEntry]) -> None:
    for start in range(0, len(entries), 7):
        try:
            store.queue.postpone(entries[start : start + 7])
        except StoreUnavailable:
            return


def _has_put_off(store: RedisStore, goal: int) -> bool:
    return store.operations.health().patient >= goal


def _submissions(store: RedisStore) -> list[Submission]:
    return [
        one.submission
        for batch in store.privacy.everything()
        for one in batch.held
        if one.kind is HeldKind.INCOMING and one.submission is not None
    ]


def _all_waiting(store: RedisStore) -> Counter[str]:
    return Counter(submission.id for submission in _submissions(store))
