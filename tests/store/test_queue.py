"""The queue's contract: handed out once, settled once, counted once, on every store."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.servers import BINARIES, ManualClock, wait_until
from tests.store.builders import (
    MINUTE,
    REMEMBER,
    admit,
    admitted,
    change_of,
    elapse,
    following,
    new_alert,
    new_lead,
    new_submission,
    picture,
    taken,
)

from speed_to_lead.core.assignment import Rotation, RotationChange
from speed_to_lead.core.audit import PENDING_TOO_LONG
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.settlement import Admit, Bury, Drop, Join, Seen, Settlement
from speed_to_lead.core.submission import Submission
from speed_to_lead.flow.routing import RECLAIM_AFTER
from speed_to_lead.store.contract import Burial, Result, Store
from speed_to_lead.store.redis_store import RedisStore, open_store


def reclaimed(store: Store, clock: ManualClock, *, limit: int = 10, isolate_after: int) -> list[str]:
    """Ids of what another router takes over a moment later."""
    elapse(store, clock, timedelta(milliseconds=5))
    idle = timedelta(milliseconds=1)
    return [
        e.submission.id for e in store.queue.reclaim("router-2", idle, limit, isolate_after=isolate_after)
    ]


def test_submission_comes_out_as_it_went_in(store: Store) -> None:
    """What a router takes is exactly what was added, bytes and all."""
    given = replace(new_submission(store), body=b"\x00\xff not text", headers={"a": "b"})
    store.queue.add(given)
    (entry,) = store.queue.take("router-1", 10)
    expected = replace(given, received_at=entry.submission.received_at)
    assert (expected, 1, "") == (entry.submission, entry.deliveries, entry.problem)
    assert abs(entry.submission.received_at - given.received_at) < timedelta(milliseconds=2)


def test_repeats_have_their_place(store: Store) -> None:
    """The same when asked again; who comes behind those that are kept is one behind the last, every time."""
    said = [("a", "x"), ("b", "x"), ("a", "x"), ("a", "y"), ("c", "x"), ("b", "x"), ("c", "x")]
    assert [1, 2, 1, 1, 3, 2, 3] == store.queue.note_repeats(said, 2)
    assert [3, 1] == store.queue.note_repeats([("d", "x"), ("a", "x")], 2)
    assert [] == store.queue.note_repeats([], 2)


def test_burials_are_read_without_their_bodies(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an instant on, oldest first, those not seen yet, some at a time; one that was replayed is none any more."""
    for module in ("queue", "memory.queue"):
        monkeypatch.setattr(f"speed_to_lead.store.{module}.BURIALS_AT_ONCE", 2)
    start = store.now()
    for number in range(4):
        store.queue.add(new_submission(store, f"s{number}"))
        (entry,) = store.queue.take("r", 1)
        at = start + timedelta(seconds=number)
        store.queue.settle([Bury(entry.entry_id, entry.submission, f"error {number}", at)])
    store.queue.replay("s3")
    found = store.queue.buried_since(start + timedelta(seconds=1), ())
    assert [
        Burial(f"s{number}", "demo", f"error {number}", start + timedelta(seconds=number))
        for number in (1, 2)
    ] == found
    assert ["s0", "s1"] == [one.submission_id for one in store.queue.buried_since(start, ())]
    assert ["s2"] == [one.submission_id for one in store.queue.buried_since(start, {"s0", "s1"})]


def test_several_are_added_in_their_order(store: Store) -> None:
    """As each by itself would be; none at all is nothing."""
    store.queue.add_many([new_submission(store, f"s{number}") for number in range(3)])
    store.queue.add_many([])
    assert ["s0", "s1", "s2"] == [entry.submission.id for entry in store.queue.take("r", 10)]


def test_entries_are_handed_out_once_and_in_order(store: Store) -> None:
    """No entry goes to two routers; the oldest goes first."""
    for number in range(5):
        store.queue.add(new_submission(store, f"s{number}"))
    first = [entry.submission.id for entry in store.queue.take("router-1", 3)]
    second = [entry.submission.id for entry in store.queue.take("router-2", 3)]
    assert (first, second) == (["s0", "s1", "s2"], ["s3", "s4"])
    assert store.queue.take("router-1", 3) == []


def test_idle_entries_are_reclaimed_with_their_deliveries_counted(store: Store, clock: ManualClock) -> None:
    """What a dead router left comes again, counted; what is not idle long enough does not."""
    taken(store)
    assert store.queue.reclaim("router-2", MINUTE, 10, isolate_after=5) == []
    elapse(store, clock, timedelta(milliseconds=20))
    (entry,) = store.queue.reclaim("router-2", timedelta(milliseconds=10), 10, isolate_after=5)
    assert (entry.submission.id, entry.deliveries) == ("s1", 2)


def test_suspects_come_alone_and_after_the_others(store: Store, clock: ManualClock) -> None:
    """An entry handed out too often never shares a batch with others."""
    for number in range(3):
        store.queue.add(new_submission(store, f"s{number}"))
    store.queue.take("router-1", 2)
    reclaimed(store, clock, isolate_after=2)
    store.queue.take("router-1", 1)
    calm = reclaimed(store, clock, isolate_after=2)
    alone = reclaimed(store, clock, isolate_after=2)
    assert (calm, alone) == (["s2"], ["s0"])


def test_admit_writes_everything_at_once(store: Store) -> None:
    """A new lead has its record, history, index entry, alerts, load, rotation, keys and count; its entry is gone."""
    entry = taken(store)
    now = store.now()
    lead, alert = new_lead(now), new_alert(now)
    turn = RotationChange("inbound", 0, 2**60, "ana", 2**60 + 1)
    settlement = admit(entry, lead, people=(("p1", None),), alerts=(alert,), rotation=turn)
    assert store.queue.settle([settlement]) == [Result.APPLIED]
    assert lead == store.leads.get("lead1")
    assert [line.event for line in store.leads.history("lead1")] == ["lead.changed"]
    assert [lead.next_at] == store.leads.indexed_at(["lead1"])
    assert [(alert, alert.decided_at)] == store.outbox.waiting(10)
    assert store.leads.load() == {"ana": 1}
    assert {"inbound": Rotation(1, 2**60, {"ana": 2**60 + 1}, {"ana": 1})} == store.leads.rotations(
        ["inbound"]
    )
    assert (
        store.queue.lead_of(["s1", "x"]),
        store.leads.of_people(["p1", "x"]),
    ) == ({"s1": "lead1"}, {"p1": "lead1"})
    ledger = store.operations.ledger()
    assert (ledger.received, ledger.leads, ledger.in_flight, ledger.difference) == (1, 1, 0, 0)


def test_join_adds_a_touch(store: Store) -> None:
    """A touch changes the lead, settles its entry, and is counted as a touch."""
    lead = admitted(store)
    entry = taken(store, "s2")
    change = change_of(following(lead), store.now(), counters={"touches": 1})
    join = Join(entry.entry_id, change, (Seen("s2", REMEMBER),))
    assert store.queue.settle([join]) == [Result.APPLIED]
    ledger = store.operations.ledger()
    assert (ledger.received, ledger.leads, ledger.touches, ledger.difference) == (2, 1, 1, 0)
    assert store.queue.lead_of(["s2"]) == {"s2": "lead1"}


@pytest.mark.parametrize("kind", ["duplicates", "tests"])
def test_dropped_submissions_are_counted(store: Store, kind: str) -> None:
    """Duplicates and tests leave the queue and the books balance; a duplicate is remembered, a test is not."""
    entry = taken(store)
    lead_id = "lead9" if kind == "duplicates" else ""
    assert store.queue.settle([Drop(entry.entry_id, kind, "s1", lead_id)]) == [Result.APPLIED]
    assert ({"s1": "lead9"} if lead_id else {}) == store.queue.lead_of(["s1"])
    assert {kind: 1} == store.operations.counters()
    assert (store.operations.ledger().difference, store.operations.ledger().in_flight) == (0, 0)


def test_an_entry_is_settled_once(store: Store) -> None:
    """Whatever else is said about a settled entry is refused and changes nothing."""
    entry = taken(store)
    lead = new_lead(store.now())
    store.queue.settle([admit(entry, lead)])
    before = picture(store)
    again: list[Settlement] = [
        admit(entry, replace(lead, id="lead2")),
        Join(entry.entry_id, change_of(following(lead), store.now())),
        Drop(entry.entry_id, "tests", "s1"),
        Bury(entry.entry_id, entry.submission, "no", store.now()),
    ]
    assert store.queue.settle(again) == [Result.SETTLED] * 4
    assert before == picture(store)


def _known_lead(settlement: Admit) -> Admit:
    return replace(
        settlement, change=replace(settlement.change, lead=new_lead(settlement.change.lead.received_at))
    )


def _person_moved(settlement: Admit) -> Admit:
    return replace(settlement, people=(("p1", None),))


def _person_gone(settlement: Admit) -> Admit:
    return replace(settlement, people=(("p2", "lead7"),))


def _turn_taken(settlement: Admit) -> Admit:
    return replace(
        settlement, change=replace(settlement.change, rotation=RotationChange("inbound", 0, 0, "bob", 5))
    )


def _older_version(settlement: Admit) -> Admit:
    lead = replace(settlement.change.lead, id="lead1", version=5)
    return replace(settlement, change=replace(settlement.change, lead=lead))


@pytest.mark.parametrize("outdated", [_known_lead, _person_moved, _person_gone, _turn_taken, _older_version])
def test_what_was_decided_on_old_facts_changes_nothing(store: Store, outdated: Any) -> None:
    """A lead that exists, a person or a rotation that moved on: stale, and not one key differs."""
    admitted(store, people=(("p1", None),), rotation=RotationChange("inbound", 0, 0, "ana", 5))
    entry = taken(store, "s2")
    settlement = outdated(
        admit(entry, new_lead(store.now(), "lead2"), alerts=(new_alert(store.now(), "lead2"),))
    )
    before = picture(store)
    assert store.queue.settle([settlement]) == [Result.STALE]
    assert before == picture(store)


def test_submission_known_meanwhile_changes_nothing(store: Store) -> None:
    """Where another router settled the same submission first, neither a lead nor a touch is made of its double."""
    lead = admitted(store, "s1")
    entry = taken(store, "s1")
    again = admit(entry, new_lead(store.now(), "lead2"))
    touch = Join(entry.entry_id, change_of(following(lead), store.now()), (Seen("s1", REMEMBER),))
    before = picture(store)
    assert store.queue.settle([again, touch]) == [Result.STALE, Result.STALE]
    assert before == picture(store)


def test_touch_of_a_lead_that_is_gone_changes_nothing(store: Store) -> None:
    """There is nothing to add a touch to: gone, and the entry stays."""
    entry = taken(store)
    join = Join(
        entry.entry_id, change_of(following(new_lead(store.now())), store.now(), counters={"touches": 1})
    )
    before = picture(store)
    assert store.queue.settle([join]) == [Result.GONE]
    assert before == picture(store)


def test_one_refusal_does_not_stop_the_others(store: Store) -> None:
    """Each settlement of a batch is its own change."""
    entries = [taken(store, f"s{number}") for number in range(3)]
    leads: list[Lead] = [new_lead(store.now(), name) for name in ("a", "a", "b")]
    results = store.queue.settle([admit(e, lead) for e, lead in zip(entries, leads, strict=True)])
    assert results == [Result.APPLIED, Result.STALE, Result.APPLIED]
    assert (store.operations.ledger().in_flight, store.operations.ledger().difference) == (1, 0)


def test_two_decisions_on_one_turn_admit_one(store: Store) -> None:
    """Two picks decided on the same rotation in one batch: the second is refused."""
    entries = [taken(store, f"s{number}") for number in range(2)]
    turn = RotationChange("inbound", 0, 0, "ana", 7)
    results = store.queue.settle(
        [admit(e, new_lead(store.now(), e.submission.id), rotation=turn) for e in entries]
    )
    assert results == [Result.APPLIED, Result.STALE]
    assert {"inbound": Rotation(1, 0, {"ana": 7}, {"ana": 1})} == store.leads.rotations(["inbound"])


def test_seen_keys_expire(store: Store, clock: ManualClock) -> None:
    """A key is known for as long as asked, even for no time at all, and not longer."""
    keys = (Seen("short", timedelta(milliseconds=40)), Seen("none", timedelta(0)), Seen("long", REMEMBER))
    admitted(store, seen=keys)
    assert {"long": "lead1"}.items() <= store.queue.lead_of(["short", "none", "long"]).items()
    elapse(store, clock, timedelta(milliseconds=60))
    wait_until(
        lambda: store.queue.lead_of(["short", "none", "long"]) == {"long": "lead1"}, "the short key expired"
    )


def buried(store: Store, submission_id: str = "s1") -> Bury:
    """A submission that became a dead letter."""
    entry = taken(store, submission_id)
    now = store.now()
    bury = Bury(
        entry.entry_id, entry.submission, "not JSON", now.replace(microsecond=now.microsecond // 1000 * 1000)
    )
    store.queue.settle([bury])
    return bury


def test_dead_letter_is_kept_whole(store: Store) -> None:
    """A buried submission can be read again, with its error and the instant."""
    bury = buried(store)
    letter = store.queue.dead_letter("s1")
    assert letter is not None
    assert (bury.submission, "not JSON", bury.at) == (letter.submission, letter.error, letter.at)
    assert ([letter], None) == (store.queue.dead_letters(10), store.queue.dead_letter("s2"))
    assert (store.operations.ledger().dead_letters, store.operations.ledger().difference) == (1, 0)


def test_second_burial_of_one_submission_is_a_duplicate(store: Store) -> None:
    """A replayed write that is unreadable too does not become a second dead letter."""
    buried(store)
    entry = taken(store)
    assert store.queue.settle([Bury(entry.entry_id, entry.submission, "again", store.now())]) == [
        Result.KNOWN
    ]
    ledger = store.operations.ledger()
    assert (ledger.received, ledger.dead_letters, ledger.duplicates, ledger.difference) == (2, 1, 1, 0)
    assert [letter.error for letter in store.queue.dead_letters(10)] == ["not JSON"]


def test_replayed_dead_letter_comes_again_with_its_first_receipt(store: Store) -> None:
    """A replay puts the very submission back; the clock still counts from when we first had it."""
    bury = buried(store)
    assert [store.queue.replay("s1"), store.queue.replay("s1")] == [Result.APPLIED, Result.GONE]
    ledger = store.operations.ledger()
    assert (ledger.received, ledger.dead_letters, ledger.in_flight, ledger.difference) == (1, 0, 1, 0)
    (entry,) = store.queue.take("router-1", 10)
    assert bury.submission == entry.submission
    store.queue.settle([admit(entry, new_lead(store.now()))])
    assert store.operations.counters() == {"replayed": 1, "leads": 1}
    assert store.operations.ledger().difference == 0


def test_discarded_dead_letter_stays_counted(store: Store) -> None:
    """A discarded dead letter is gone for good, and the books still balance."""
    buried(store)
    assert [store.queue.discard("s1"), store.queue.discard("s1")] == [Result.APPLIED, Result.GONE]
    assert (store.queue.dead_letters(10), store.queue.dead_letter("s1")) == ([], None)
    assert store.operations.counters() == {"dead_letters": 1, "discarded": 1}
    assert store.operations.ledger().difference == 0


def test_dead_letters_are_listed_newest_first(store: Store, clock: ManualClock) -> None:
    """A listing of dead letters begins with the newest and ends at the limit."""
    for number in range(3):
        buried(store, f"s{number}")
        elapse(store, clock, timedelta(milliseconds=2))
    assert [letter.submission.id for letter in store.queue.dead_letters(2)] == ["s2", "s1"]


@pytest.fixture(params=["fakeredis", *(pytest.param(name, marks=pytest.mark.real) for name in BINARIES)])
def any_redis(
    request: pytest.FixtureRequest, server_of: Callable[[str], str], key_prefix: str
) -> Iterator[RedisStore]:
    """A store on each kind of server."""
    if request.param == "fakeredis":
        yield request.getfixturevalue("fakeredis_store")
        return
    opened = open_store(server_of(request.param), key_prefix)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"form": "demo", "payload": b"\xff{}"}, "the entry has no body"),
        ({"body": b"{}"}, "the entry names no form"),
        ({"form": "demo", "body": b"{}", "received_at": "yesterday"}, "received_at is no number of"),
        ({"form": "demo", "body": b"{}", "headers": "[1]"}, "headers is not a JSON object"),
        ({"form": "demo", "body": b"{}", "headers": "[" * 100_000}, "headers is not a JSON object"),
        ({"form": "demo", "body": b"{}", "received_at": "9" * 400}, ""),
        ({"form": b"\xff", "body": b"{}", "id": "no spaces: or colons"}, ""),
    ],
)
def test_any_program_may_add_anything(any_redis: RedisStore, fields: Any, problem: str) -> None:
    """An entry of another program comes out with a name for what is wrong, and can be buried and replayed."""
    any_redis.server.client.xadd(any_redis.server.keys.incoming, fields)
    (entry,) = any_redis.queue.take("router-1", 10)
    assert entry.problem.startswith(problem)
    assert bool(problem) == bool(entry.problem)
    assert abs(entry.submission.received_at - any_redis.now()) < MINUTE
    assert any_redis.queue.settle([Bury(entry.entry_id, entry.submission, "no", any_redis.now())]) == [
        Result.APPLIED
    ]
    assert any_redis.queue.replay(entry.submission.id) == Result.APPLIED


def test_entry_without_body_keeps_what_it_had(any_redis: RedisStore) -> None:
    """An entry whose body has another name is a dead letter one can read, not a lost lead."""
    any_redis.server.client.xadd(any_redis.server.keys.incoming, {"data": "kim@example.com"})
    (entry,) = any_redis.queue.take("router-1", 10)
    assert entry.submission.body == b'{"data": "kim@example.com"}'


def test_entries_deleted_by_others_do_not_hide_those_behind(
    any_redis: RedisStore, clock: ManualClock
) -> None:
    """A pending entry whose stream entry was deleted is forgotten, and the next is reclaimed."""
    client, stream = any_redis.server.client, any_redis.server.keys.incoming
    first = taken(any_redis, "s1")
    taken(any_redis, "s2")
    client.xdel(stream, first.entry_id)
    reclaimed(any_redis, clock, limit=1, isolate_after=9)
    assert reclaimed(any_redis, clock, limit=1, isolate_after=9) == ["s2"]


def test_lead_that_cannot_be_written_is_buried_alone(any_redis: RedisStore) -> None:
    """A settlement that cannot be put into JSON becomes a dead letter; the others of its batch are written."""
    good, bad = taken(any_redis, "good"), taken(any_redis, "bad")
    lead = new_lead(any_redis.now(), "bad")
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    poison = replace(lead, lead=replace(lead.lead, custom={"deep": deep}))
    results = any_redis.queue.settle([admit(bad, poison), admit(good, new_lead(any_redis.now(), "good"))])
    assert results == [Result.APPLIED, Result.APPLIED]
    assert (any_redis.leads.get("bad"), len(any_redis.queue.dead_letters(5))) == (None, 1)
    assert any_redis.operations.ledger().difference == 0


def test_an_entry_with_an_id_from_the_far_future_stops_nobody(any_redis: RedisStore) -> None:
    """Ids go on from the highest there was, so later entries have such ids too; all of them count as added now."""
    client, stream = any_redis.server.client, any_redis.server.keys.incoming
    client.xadd(stream, {"form": "demo", "body": b"{}"}, id="1764000000000000-0")
    client.xadd(stream, {"form": "demo", "body": b"{}"})
    entries = any_redis.queue.take("router-1", 10)
    assert ["", ""] == [entry.problem for entry in entries]
    assert all(
        abs(entry.submission.received_at - any_redis.now()) < timedelta(minutes=1) for entry in entries
    )


@pytest.mark.parametrize("received_at", ["1764000000", "0", "-1"])
def test_a_receipt_that_is_no_milliseconds_is_a_problem(any_redis: RedisStore, received_at: str) -> None:
    """Seconds read as milliseconds would be January 1970, and everything about the lead late."""
    fields = {"form": "demo", "body": b"{}", "received_at": received_at}
    any_redis.server.client.xadd(any_redis.server.keys.incoming, fields)
    (entry,) = any_redis.queue.take("router-1", 10)
    assert entry.problem.startswith("received_at is no number of milliseconds")


def test_what_was_given_back_is_free_at_once_and_not_counted(store: Store) -> None:
    """Another router may take it in the same second, as if it had never been handed out; the auditor has no question."""
    store.queue.add(new_submission(store))
    taken = store.queue.take("router-1", 10)
    store.queue.give_back("router-1", taken)
    assert (1, 0) == (store.audit.pending_since(timedelta(0)), store.audit.pending_since(PENDING_TOO_LONG))
    again = store.queue.reclaim("router-2", RECLAIM_AFTER, 10, isolate_after=3)
    assert [1] == [entry.deliveries for entry in again]


def test_what_is_left_stays_pending_and_does_not_count(store: Store, clock: ManualClock) -> None:
    """An entry this router has no key for is idle from now on; whoever reclaims it later finds it uncounted."""
    store.queue.add(Submission("s1", "demo", store.now(), b"{}"))
    taken = store.queue.take("router-1", 10)
    for _ in range(8):
        store.queue.leave("router-1", taken)
        assert store.queue.reclaim("router-2", timedelta(minutes=5), 10, isolate_after=3) == []
        elapse(store, clock, timedelta(milliseconds=5))
        taken = store.queue.reclaim("router-2", timedelta(milliseconds=1), 10, isolate_after=3)
    assert [1] == [entry.deliveries for entry in taken]


def test_consumers_that_hold_nothing_are_struck_off(any_redis: RedisStore) -> None:
    """A router that died long ago leaves the list; one that still holds an entry stays on it."""
    client, stream = any_redis.server.client, any_redis.server.keys.incoming
    client.xadd(stream, {"form": "demo", "body": b"{}"})
    any_redis.queue.take("holds", 10)
    any_redis.queue.take("idle", 10)

    def names() -> set[bytes]:
        any_redis.queue.forget_consumers(timedelta(0))
        return {consumer["name"] for consumer in client.xinfo_consumers(stream, "router")}

    wait_until(lambda: names() == {b"holds"}, "the idle one is gone and the other is not")


def test_consumers_are_struck_off_in_one_piece(
    any_redis: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry taken after the look is not forgotten with its consumer: nothing comes between look and strike."""
    client, stream = any_redis.server.client, any_redis.server.keys.incoming
    assert 0 == any_redis.queue.forget_consumers(timedelta(0))  # no stream yet
    client.xadd(stream, {"form": "demo", "body": b"{}"})
    (entry,) = any_redis.queue.take("quiet", 10)
    client.xack(stream, "router", entry.entry_id)
    sent: list[str] = []
    execute = client.execute_command

    def noted(*given: object, **named: object) -> object:
        sent.append(str(given[0]))
        return execute(*given, **named)

    monkeypatch.setattr(client, "execute_command", noted)
    wait_until(lambda: any_redis.queue.forget_consumers(timedelta(0)) == 1, "it is struck off")
    assert not [command for command in sent if command.startswith("X")]
    client.xadd(stream, {"form": "demo", "body": b"{}"})
    assert 1 == len(any_redis.queue.take("quiet", 10))  # one that lives is on the list again
    assert 0 == any_redis.queue.forget_consumers(timedelta(hours=1))


def test_a_dead_letter_is_never_overwritten(store: Store) -> None:
    """Another body under the same id is kept under an id of its own; the same body again is a duplicate."""
    at = store.now()
    for body in (b"first", b"second", b"first", b"second"):
        store.queue.add(Submission("same", "demo", at, body))
        (entry,) = store.queue.take("router", 1)
        store.queue.settle([Bury(entry.entry_id, entry.submission, "unreadable", at)])
    assert {b"first", b"second"} == {letter.submission.body for letter in store.queue.dead_letters(10)}
    ledger = store.operations.ledger()
    assert (2, 2, 0) == (ledger.dead_letters, ledger.duplicates, ledger.difference)
