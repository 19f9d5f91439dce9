"""Submissions of ids only, and deliveries of several items: put aside once, asked by one, counted once, on every store."""

from dataclasses import replace
from datetime import timedelta

from tests.servers import ManualClock
from tests.store.builders import MINUTE, elapse, new_submission, taken

from speed_to_lead.core.settlement import Await, Bury, Split
from speed_to_lead.store.contract import Fetch, HeldKind, QueueEntry, Result, Store

WAIT = timedelta(minutes=5)


def put_aside(store: Store, entry: QueueEntry, wait: timedelta = WAIT) -> Result:
    now = store.now()
    (result,) = store.queue.settle([Await(entry.entry_id, entry.submission, "name", now, now + wait)])
    return result


def claimed(store: Store) -> Fetch:
    now = store.now()
    fetch = store.fetches.claim("name", now, now + MINUTE)
    assert fetch is not None
    return fetch


def test_a_delivery_is_split_in_one_piece(store: Store) -> None:
    """Each item takes its place as a submission of its own, received when the delivery was; the books balance."""
    entry = taken(store)
    parts = tuple(new_submission(store, f"s1-{number}") for number in range(1, 4))
    split = Split(entry.entry_id, "s1", parts)
    assert store.queue.settle([split]) == [Result.APPLIED]
    assert store.queue.settle([split]) == [Result.SETTLED]
    ledger = store.operations.ledger()
    assert (ledger.in_flight, ledger.difference) == (3, 0)
    assert ledger.received == 3
    again = store.queue.take("router-1", 10)
    assert [one.submission.id for one in again] == ["s1-1", "s1-2", "s1-3"]
    assert [one.submission.body for one in again] == [part.body for part in parts]


def test_the_many_of_one_form_do_not_hide_those_of_another(store: Store, clock: ManualClock) -> None:
    """A tool that is slow has hundreds that wait; the other tool's are seen all the same."""
    now = store.now()
    for number in range(9):
        submission = replace(new_submission(store, f"s{number}"), form="slow" if number < 8 else "quick")
        store.queue.add(submission)
        (entry,) = store.queue.take("router-1", 10)
        store.queue.settle([Await(entry.entry_id, submission, f"n{number}", now, now + WAIT)])
    elapse(store, clock, timedelta(milliseconds=10))
    found = store.fetches.due(store.now(), 3)
    assert [("n0", "slow"), ("n1", "slow"), ("n2", "slow"), ("n8", "quick")] == found


def test_what_waits_is_asked_by_one(store: Store, clock: ManualClock) -> None:
    """It leaves the queue, stays in flight, and is claimed once for the length of a lease."""
    entry = taken(store)
    assert put_aside(store, entry) is Result.APPLIED
    assert put_aside(store, entry) is Result.SETTLED
    assert store.fetches.due(store.now(), 10) == [("name", entry.submission.form)]
    fetch = claimed(store)
    assert (fetch.submission.id, fetch.submission.body) == (entry.submission.id, entry.submission.body)
    assert (fetch.attempts, fetch.is_routed) == (1, False)
    now = store.now()
    assert store.fetches.claim("name", now, now + MINUTE) is None
    assert store.fetches.due(now, 10) == []
    assert store.operations.ledger().in_flight == 1
    health = store.operations.health()
    assert (health.fetches, health.fetches_oldest >= 0) == (1, True)
    assert store.operations.ledger().difference == 0
    elapse(store, clock, timedelta(milliseconds=10))
    assert store.fetches.later(fetch, store.now()) is Result.APPLIED
    assert claimed(store).attempts == 2


def test_the_same_submission_waits_once(store: Store) -> None:
    """Sent again while it waits, it is a duplicate."""
    put_aside(store, taken(store))
    assert put_aside(store, taken(store, "s2")) is Result.KNOWN
    ledger = store.operations.ledger()
    assert (ledger.duplicates, ledger.in_flight, ledger.difference) == (1, 1, 0)


def test_an_answer_is_the_same_submission(store: Store) -> None:
    """It goes back into the queue and is received once; a second answer finds nothing."""
    entry = taken(store)
    put_aside(store, entry)
    fetch = claimed(store)
    assert store.fetches.answered(fetch, entry.submission) is Result.APPLIED
    assert store.fetches.answered(fetch, entry.submission) is Result.GONE
    assert store.fetches.due(store.now() + WAIT, 10) == []
    ledger = store.operations.ledger()
    assert (ledger.in_flight, ledger.difference) == (1, 0)
    (again,) = store.queue.take("router-1", 10)
    assert again.submission.id == entry.submission.id
    assert again.submission.received_at == entry.submission.received_at
    store.queue.settle([Bury(again.entry_id, again.submission, "x", store.now())])
    assert store.operations.ledger().difference == 0


def test_what_has_waited_long_enough_is_routed_and_still_asked(store: Store) -> None:
    """Routed once; from then on an answer decided before is refused, and one decided after counts as a further one."""
    entry = taken(store)
    put_aside(store, entry)
    before = claimed(store)
    assert store.fetches.overdue(store.now(), 10) == []
    (overdue,) = store.fetches.overdue(store.now() + WAIT, 10)
    assert store.fetches.route_without(overdue, entry.submission) is Result.APPLIED
    assert store.fetches.route_without(overdue, entry.submission) is Result.STALE
    assert store.fetches.overdue(store.now() + WAIT, 10) == []
    ledger = store.operations.ledger()
    assert (ledger.in_flight, ledger.difference) == (1, 0)
    assert store.fetches.answered(before, entry.submission) is Result.STALE
    store.fetches.later(before, store.now())
    after = claimed(store)
    assert after.is_routed
    assert store.fetches.answered(after, entry.submission) is Result.APPLIED
    ledger = store.operations.ledger()
    assert (ledger.in_flight, ledger.difference) == (2, 0)


def test_what_is_given_up_is_gone(store: Store) -> None:
    """Nobody asks for it any more."""
    entry = taken(store)
    put_aside(store, entry, timedelta(0))
    (overdue,) = store.fetches.overdue(store.now(), 10)
    store.fetches.route_without(overdue, entry.submission)
    assert store.fetches.give_up(claimed(store)) is Result.APPLIED
    assert store.fetches.due(store.now() + WAIT, 10) == []
    assert store.fetches.later(overdue, store.now()) is Result.GONE


def test_what_is_removed_is_asked_for_no_more(store: Store) -> None:
    """For the books a dead letter that was thrown away; an answer that was on its way finds nothing."""
    put_aside(store, taken(store))
    on_its_way = claimed(store)
    form = on_its_way.submission.form
    assert store.privacy.remove_fetch("name", "submissions_erased", form) is Result.APPLIED
    assert store.privacy.remove_fetch("name", "submissions_erased", form) is Result.GONE
    assert store.fetches.answered(on_its_way, on_its_way.submission) is Result.GONE
    assert store.fetches.due(store.now() + WAIT, 10) == []
    assert store.fetches.overdue(store.now() + WAIT, 10) == []
    ledger = store.operations.ledger()
    assert (ledger.dead_letters, ledger.in_flight, ledger.difference) == (1, 0, 0)
    assert store.operations.counters()["submissions_erased"] == 1


def test_of_one_that_was_routed_its_lead_is_in_the_books(store: Store) -> None:
    """Removed, it is no dead letter beside."""
    put_aside(store, taken(store), timedelta(0))
    (overdue,) = store.fetches.overdue(store.now(), 10)
    store.fetches.route_without(overdue, overdue.submission)
    assert store.privacy.remove_fetch("name", "submissions_erased") is Result.APPLIED
    ledger = store.operations.ledger()
    assert (ledger.dead_letters, ledger.in_flight, ledger.difference) == (0, 1, 0)


def test_a_walk_over_everything_meets_it(store: Store) -> None:
    """With the submission in it, and the id of the lead that it is or becomes."""
    entry = taken(store)
    put_aside(store, entry)
    (held,) = [
        one for batch in store.privacy.everything() for one in batch.held if one.kind is HeldKind.FETCH
    ]
    assert (held.name, held.points_to) == ("name", entry.submission.id)
    assert held.submission is not None
    assert held.submission.body == entry.submission.body
    assert entry.submission.body.decode() in held.text


def test_the_oldest_is_known(store: Store, clock: ManualClock) -> None:
    """By its receipt, whenever its next attempt may be; of one whose lead was routed without as well."""
    put_aside(store, taken(store), timedelta(0))
    fetch = claimed(store)
    store.fetches.route_without(fetch, fetch.submission)
    store.fetches.later(fetch, store.now() + WAIT)
    before = store.operations.health().fetches_oldest
    elapse(store, clock, timedelta(milliseconds=50))
    assert store.operations.health().fetches_oldest >= before + 0.045
    store.fetches.give_up(replace(fetch, is_routed=True))
    assert (store.operations.health().fetches, store.operations.health().fetches_oldest) == (0, 0.0)
