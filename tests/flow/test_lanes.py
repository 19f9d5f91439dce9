"""In a flood those in a hurry overtake those who can wait; nobody is lost, nobody doubled, and neither lane starves."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.core.builders import conditions, rulebook, sla
from tests.flow.scene import Scene, in_threads

from speed_to_lead import flow
from speed_to_lead.core import settlement
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.rules import Rule
from speed_to_lead.flow import routing
from speed_to_lead.store.contract import Lane, StoreUnavailable

BATCH, LOOK_AHEAD, SHARE = 5, 15, 2


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood is more than five submissions here."""
    monkeypatch.setattr(routing, "ROUTE_BATCH", BATCH)
    monkeypatch.setattr(routing, "FLOOD", 0)
    monkeypatch.setattr(routing, "LOOK_AHEAD", LOOK_AHEAD)
    monkeypatch.setattr(routing, "PATIENT_SHARE", SHARE)
    monkeypatch.setattr(routing, "RECLAIM_AFTER", timedelta(0))


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """A scene where a demo is due in ten minutes and anything else the same day."""
    return scene.with_rules(two_speeds())


@pytest.fixture
def memory_scene(memory_scene: Scene) -> Scene:
    """The same in memory."""
    return memory_scene.with_rules(two_speeds())


@pytest.fixture
def real_scene(real_scene: Scene) -> Scene:
    """The same on the real server."""
    return real_scene.with_rules(two_speeds())


def two_speeds() -> Rulebook:
    same_day = replace(sla(), name="same-day", respond_within=timedelta(hours=8))
    quick = Rule("Demo", "inbound", "ten-minutes", conditions({"campaign": "demo"}))
    plain = rulebook(quick)
    return replace(
        plain, slas={**plain.slas, "same-day": same_day}, default=replace(plain.default, sla="same-day")
    )


def flood(scene: Scene, count: int) -> list[str]:
    """So many submissions that can wait; their ids."""
    return [scene.submit() for _ in range(count)]


def demo(scene: Scene, **fields: Any) -> str:
    """One that cannot."""
    return scene.submit(campaign="demo", **fields)


def is_lead(scene: Scene, lead_id: str) -> bool:
    return scene.store.leads.get(lead_id) is not None


def depths(scene: Scene) -> tuple[int, int]:
    """What waits in the incoming and in the patient lane."""
    health = scene.store.operations.health()
    return health.queued, health.patient


def drain(scene: Scene, rounds: int = 200) -> int:
    """Route until nothing is left; how many calls it took."""
    for number in range(1, rounds):
        if not scene.route(reclaim=True).is_full and depths(scene) == (0, 0):
            return number
    raise AssertionError(f"{depths(scene)} left after {rounds} calls")


def test_who_is_in_a_hurry_overtakes_who_can_wait(scene: Scene) -> None:
    """A demo that came last is a lead after one call; the others wait, each as it came, and are leads in the end."""
    waiting = flood(scene, 12)
    urgent = demo(scene)

    routed = scene.route()

    assert is_lead(scene, urgent)
    assert (routed.settled, routed.is_full, depths(scene)) == (1 + BATCH, True, (0, 12 - BATCH))
    drain(scene)
    assert scene.counts() == {"leads": 13}
    assert {scene.lead(lead_id).received_at for lead_id in waiting} == {scene.clock.now}


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH])
def test_without_a_flood_nobody_is_put_off(
    memory_scene: Scene, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """What one batch holds is settled at once, in its order; nothing is read for its deadline first."""
    monkeypatch.setattr(routing, "_able_to_wait", lambda *_: pytest.fail("nobody is to be sorted"))
    flood(memory_scene, count)
    assert memory_scene.route().settled == count
    assert memory_scene.counts() == {"leads": count}


def test_what_a_router_does_in_a_second_is_no_flood(
    memory_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many behind a full batch and no more: they are settled in their order, and the next call begins at once."""
    monkeypatch.setattr(routing, "FLOOD", 7)
    flood(memory_scene, BATCH + 7)
    routed = memory_scene.route()
    assert (routed.settled, routed.is_full, depths(memory_scene)) == (BATCH, True, (7, 0))

    flood(memory_scene, BATCH + 1)
    memory_scene.route()
    assert depths(memory_scene)[1] > 0


def test_who_comes_again_is_not_put_off_where_rules_ask_for_touches(memory_scene: Scene) -> None:
    """By the rules for itself it could wait; as the touch of an open lead it is due in ten minutes."""
    book = two_speeds()
    again = Rule("Again", "inbound", "ten-minutes", conditions({"touches": {"at_least": 1}}))
    scene = memory_scene.with_rules(replace(book, rules=(*book.rules, again)))
    lead_id = scene.submit(email="kim@example.com")
    drain(scene)
    flood(scene, 12)
    scene.submit(email="kim@example.com", message="again")

    scene.route()

    assert scene.counts()["touches"] == 1
    assert "ten-minutes" == scene.lead(lead_id).sla
    assert depths(scene)[1] > 0  # and the others are put off as ever


def test_what_is_known_already_is_not_put_off(memory_scene: Scene) -> None:
    """By its turn in the lane what it is known by may be forgotten, and the person would get a second rep."""
    body = b'{"email": "kim@example.com"}'
    memory_scene.submit_body(body)
    drain(memory_scene)
    flood(memory_scene, 12)
    memory_scene.submit_body(body)

    memory_scene.route()

    assert memory_scene.counts().get("duplicates") == 1
    memory_scene.clock.now += timedelta(minutes=11)
    drain(memory_scene)
    assert memory_scene.counts() == {"leads": 13, "duplicates": 1}


def test_a_flood_of_urgent_ones_is_settled_in_its_order(scene: Scene) -> None:
    """Where all are in a hurry nobody is put off, and all that was taken is settled."""
    ids = [demo(scene) for _ in range(BATCH + LOOK_AHEAD + 1)]
    routed = scene.route()
    assert (routed.settled, routed.is_full, depths(scene)) == (BATCH + LOOK_AHEAD, True, (1, 0))
    assert [is_lead(scene, lead_id) for lead_id in ids] == [True] * (len(ids) - 1) + [False]


def test_the_patient_lane_does_not_starve_while_the_flood_lasts(memory_scene: Scene) -> None:
    """Each call that looks ahead settles a share of those put off, oldest first, however many come in."""
    first = flood(memory_scene, BATCH + LOOK_AHEAD)
    for number in range(1, 6):
        flood(memory_scene, BATCH + LOOK_AHEAD - depths(memory_scene)[0])
        demo(memory_scene)
        assert memory_scene.route().is_full
        assert [is_lead(memory_scene, one) for one in first[: number * SHARE]] == [True] * (number * SHARE)
    assert memory_scene.lead(first[0]).received_at == memory_scene.clock.now


def test_the_incoming_lane_does_not_starve_while_the_patient_one_is_drained(memory_scene: Scene) -> None:
    """Who comes while thousands put off are settled waits for one batch of them at the most."""
    flood(memory_scene, 100)
    memory_scene.route()
    while depths(memory_scene)[0]:
        memory_scene.route()
    assert depths(memory_scene)[1] > 5 * BATCH
    for _ in range(5):
        ids = [demo(memory_scene), *flood(memory_scene, 1)]
        assert memory_scene.route().settled == 2 + BATCH
        assert all(is_lead(memory_scene, one) for one in ids)


def test_what_cannot_wait_is_settled_at_once(scene: Scene) -> None:
    """Unreadable ones, tests, unknown forms, and what is due within the hour because it came long ago."""
    flood(scene, 10)
    scene.submit_body(b"{broken")
    scene.submit_body(b'{"email": "kim@example.com"}', form="gone")
    scene.submit(is_test=True)
    scene.clock.advance(timedelta(hours=7, minutes=30))
    late = scene.submit()

    scene.route()

    # The ten are due in half an hour by now; the last in eight hours.
    assert scene.counts() == {"leads": 11, "dead_letters": 2, "tests": 1}
    assert is_lead(scene, late)  # its turn in the patient lane came in the same call


def test_what_cannot_be_sorted_is_settled_at_once(
    memory_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the rules is met where the submission is settled, which says so; sorting passes it by."""

    def explode(reading: Any, *more: Any) -> bool:
        if reading.parsed.lead.get("message") == "explode":
            raise ZeroDivisionError
        return settlement.can_wait(reading, *more)

    monkeypatch.setattr(routing, "can_wait", explode)
    flood(memory_scene, 12)
    bad = memory_scene.submit(message="explode")
    memory_scene.route()
    assert is_lead(memory_scene, bad)


def test_the_urgent_one_of_a_persons_two_is_the_lead_and_the_other_a_touch(scene: Scene) -> None:
    """They asked for a demo after something patient: the demo is the lead with its clock, the first a touch with its receipt."""
    first = scene.submit(email="kim@example.com", message="first")
    came_at = scene.clock.now
    flood(scene, 12)
    scene.later(1)
    urgent = demo(scene, email="kim@example.com", message="second")
    scene.route()
    drain(scene)
    assert scene.counts() == {"leads": 13, "touches": 1}
    lead = scene.lead(urgent)
    assert (lead.sla, [(t.submission_id, t.received_at) for t in lead.touches]) == (
        "ten-minutes",
        [(first, came_at)],
    )


@pytest.mark.parametrize("named", [True, False])
def test_the_same_submission_in_both_lanes_is_one_lead(scene: Scene, *, named: bool) -> None:
    """Sent again while the first was put off: one lead, one duplicate, whichever is routed first."""
    body = {"email": "kim@example.com"} | ({"submission_id": "form-7"} if named else {})
    flood(scene, 3)
    scene.submit_body(json.dumps(body).encode())
    flood(scene, 30)
    scene.route()
    scene.route()
    assert depths(scene)[0] == 0
    scene.submit_body(json.dumps(body).encode())
    drain(scene)
    assert scene.counts() == {"leads": 34, "duplicates": 1}


class Killed(BaseException):
    """What kill -9 looks like from inside."""


CALLS = ("take", "postpone", "settle")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(6))
def test_a_router_killed_in_a_flood_loses_and_doubles_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, number: int, moment: str
) -> None:
    """Killed before or after each call of the store it makes: others take it up, each submission becomes one lead."""
    waiting = [*flood(scene, 14), demo(scene)]
    with monkeypatch.context() as patch:
        _break_call(patch, scene, number, moment, Killed())
        with pytest.raises(Killed):
            flow.route(scene.place, "router-that-dies")
    scene.check()

    for _ in range(100):  # fakeredis reclaims only what has been idle for a whole millisecond
        scene.route("router-2", reclaim=True)
        if depths(scene) == (0, 0):
            break

    assert scene.counts() == {"leads": 15}
    assert all(is_lead(scene, one) for one in waiting)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(6))
def test_a_store_that_goes_away_in_a_flood_costs_no_entry_a_delivery(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, number: int, moment: str
) -> None:
    """Everything that was taken is given back, in whichever lane it is, uncounted; and routed when the store is back."""
    flood(scene, 14)
    demo(scene)
    with monkeypatch.context() as patch:
        _break_call(patch, scene, number, moment, StoreUnavailable("TimeoutError"))
        with pytest.raises(StoreUnavailable):
            flow.route(scene.place, "router-1")
    held = scene.store.operations.health().pending
    given_back: list[int] = []
    while found := scene.store.queue.reclaim("router-2", timedelta(seconds=8), 50, isolate_after=3):
        given_back += [entry.deliveries for entry in found]
        scene.store.queue.leave("router-2", found)
    heard = not (
        moment == "after" and number in (0, 1, 4)
    )  # else the answer of a take was lost with the server
    assert (set(given_back), len(given_back)) == ({1} if held else set(), held) or not heard
    for _ in range(100):
        scene.route("router-2", reclaim=True)
        if depths(scene) == (0, 0):
            break
    assert scene.counts() == {"leads": 15}


def _break_call(
    patch: pytest.MonkeyPatch, scene: Scene, number: int, moment: str, error: BaseException
) -> None:
    """Raise at the call of that number that changes the queue: take, take, postpone, settle, take, settle."""
    calls: Iterator[int] = iter(range(100))
    kind = type(scene.store.queue)
    for name in CALLS:
        whole = getattr(kind, name)

        def broken(self: Any, *given: Any, _whole: Any = whole, **named: Any) -> Any:
            is_this = next(calls) == number
            if is_this and moment == "before":
                raise error
            answer = _whole(self, *given, **named)
            if is_this:
                raise error
            return answer

        patch.setattr(kind, name, broken)


def test_poison_that_was_put_off_is_buried_and_its_neighbours_live(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read once before it kills: its count begins anew in the patient lane, and ends there, for nothing goes back."""
    read = routing._read
    killed = 0

    def deadly(place: Any, entry: Any) -> Any:
        nonlocal killed
        is_sorted = entry.submission.id in sorted_once
        sorted_once.add(entry.submission.id)
        is_poison = b"deadly" in entry.submission.body and entry.deliveries <= routing.MAX_DELIVERIES
        if is_poison and is_sorted:
            killed += 1
            raise Killed
        return read(place, entry)

    sorted_once: set[str] = set()
    monkeypatch.setattr(routing, "_read", deadly)
    flood(scene, 4)
    poison = scene.submit(message="deadly")
    flood(scene, 7)
    for _ in range(500):
        if scene.counts() == {"leads": 11, "dead_letters": 1}:
            break
        try:
            flow.route(scene.place, "router", reclaim=True)
        except Killed:
            continue
    assert (killed, scene.counts()) == (routing.MAX_DELIVERIES, {"leads": 11, "dead_letters": 1})
    letter = scene.store.queue.dead_letter(poison)
    assert letter is not None
    assert letter.submission.received_at == scene.clock.now


def test_a_dead_letter_that_was_put_off_is_replayed_into_the_incoming_lane(
    memory_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its first receipt; where it is a flood again it may be put off again, once."""
    flood(memory_scene, 8)
    last = memory_scene.submit()
    memory_scene.route()
    (entry,) = [e for e in memory_scene.store.queue.take("r", 50, Lane.PATIENT) if e.submission.id == last]
    monkeypatch.setattr(routing, "MAX_DELIVERIES", 0)
    routing._settle_entries(memory_scene.place, "r", [entry])
    assert memory_scene.counts()["dead_letters"] == 1
    monkeypatch.undo()
    memory_scene.store.queue.replay(last)
    assert depths(memory_scene)[0] == 1


@pytest.mark.real
def test_two_routers_in_a_flood_make_one_lead_of_each(real_scene: Scene) -> None:
    """They take, put off and settle side by side, with people who wrote twice: the books balance, nobody is doubled."""
    for number in range(150):
        real_scene.submit(email=f"p{number % 100}@example.com", n=number)
        if number % 10 == 0:
            demo(real_scene, email=f"q{number}@example.com")

    def work(consumer: str) -> None:
        for _ in range(300):
            if not flow.route(real_scene.place, consumer).is_full and depths(real_scene) == (0, 0):
                return

    in_threads(lambda: work("one"), lambda: work("two"))
    drain(real_scene)
    assert real_scene.counts() == {"leads": 115, "touches": 50}
