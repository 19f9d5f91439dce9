"""Couriers: retry as data, fallback, and what a crash, a slow destination or a store that is away may not do."""

import contextlib
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from tests.core.builders import rulebook, sla
from tests.flow.scene import (
    DELIVERED,
    NOT_DELIVERED,
    REFUSED,
    UNKNOWN,
    Destination,
    Scene,
    all_keys,
    in_threads,
    new_scene,
)
from tests.servers import ManualClock

from speed_to_lead import flow
from speed_to_lead.cli.story import happened
from speed_to_lead.core.answer import Asked, read_token
from speed_to_lead.core.calendar import Calendar, Span
from speed_to_lead.core.delivery import MAX_ATTEMPTS, PATIENCE, Attempt, Outcome, Trouble
from speed_to_lead.core.delivery import Destination as Destined
from speed_to_lead.core.lead import Alert, AlertKind
from speed_to_lead.core.message import Message, compose
from speed_to_lead.core.sla import Step, StepTime
from speed_to_lead.flow import delivery, messages
from speed_to_lead.store.contract import AlertSettlement, StoreUnavailable
from speed_to_lead.store.outbox import UNREADABLE_TRIES
from speed_to_lead.store.redis_store import RedisStore

#: Couriers renew their lease by the time that really passed, milliseconds, while the test's clock stands still.
LEASE_OVER = flow.LEASE + timedelta(seconds=1)


class Killed(BaseException):
    """What kill -9 looks like from inside."""


def test_an_alert_not_delivered_is_tried_again_at_an_instant_that_is_data(scene: Scene) -> None:
    """The next attempt is an entry in the outbox; before its instant nobody tries."""
    ana = scene.people["ana-slack"]
    ana.answers = [NOT_DELIVERED, NOT_DELIVERED]

    lead = scene.routed()
    assert (len(ana.heard), scene.deliver()) == (1, 0)
    scene.later(1 / 60)
    assert scene.deliver() == 1
    scene.later(1 / 60)
    assert scene.deliver() == 0
    scene.later(1 / 60)
    assert scene.deliver() == 1

    assert [f"{lead.id}:0%:ana-slack"] * 3 == all_keys(ana.heard)
    assert [message.possible_repeat for message in ana.heard] == [False, False, False]
    assert scene.events(lead.id) == ["lead.routed", "alert.failed", "alert.failed", "alert.delivered"]
    assert _alert_counters(scene) == {"alerts_delivered": 1}


def test_a_destination_that_names_a_time_is_left_alone_until_then(scene: Scene) -> None:
    """`Retry-After` of a rate limit is kept."""
    scene.people["ana-slack"].answers = [Attempt(Outcome.RATE_LIMITED, "429", timedelta(seconds=30))]

    scene.routed()
    scene.later(29 / 60)
    assert scene.deliver() == 0
    scene.later(1 / 60)
    assert scene.deliver() == 1


def test_an_attempt_without_an_answer_says_the_next_time_that_it_may_be_a_repeat(scene: Scene) -> None:
    """Where the destination knows a key it is tried again under the same one."""
    ana = scene.people["ana-slack"]
    ana.answers = [UNKNOWN, NOT_DELIVERED]

    lead = scene.routed()
    scene.later(1)
    scene.deliver()
    scene.later(1)
    scene.deliver()

    assert [f"{lead.id}:0%:ana-slack"] * 3 == all_keys(ana.heard)
    assert [message.possible_repeat for message in ana.heard] == [False, True, True]


def test_a_destination_that_cannot_tell_repeats_is_not_tried_a_third_time(scene: Scene) -> None:
    """Twice without an answer is given up, and the manager hears it."""
    scene.people["ana-slack"].recognises_repeats = False
    scene.people["ana-slack"].always = UNKNOWN

    scene.routed()
    scene.later(1)
    scene.deliver()
    scene.deliver()

    assert scene.heard() == {
        "ana-slack": ["lead.assigned 0%"] * 2,
        "managers": ["lead.assigned 0%~ana-slack"],
    }


def test_an_alert_that_cannot_arrive_goes_to_the_manager_then_to_the_fallback_then_to_the_dead(
    scene: Scene,
) -> None:
    """Nothing ends silently: every link of the chain hears which destination failed, and the last is kept."""
    for name in ("ana-slack", "managers", "console"):
        scene.people[name].always = REFUSED

    lead = scene.routed()
    scene.deliver()
    scene.deliver()
    assert scene.deliver() == 0

    assert scene.heard() == {
        "ana-slack": ["lead.assigned 0%"],
        "managers": ["lead.assigned 0%~ana-slack"],
        "console": ["lead.assigned 0%~ana-slack"],
    }
    assert scene.people["managers"].heard[0].note == "ana-slack could not be reached: answered 404."
    assert {
        f"{lead.id}:0%:ana-slack",
        f"{lead.id}:0%~ana-slack:managers",
        f"{lead.id}:0%~ana-slack:console",
    } == {alert.key for alert in scene.dead_alerts()}
    assert _alert_counters(scene) == {"alerts_dead": 3}


def test_the_last_in_the_chain_names_every_destination_that_failed(scene: Scene) -> None:
    """Who reads the fallback destination learns whom the alert was for, and that the manager did not hear it."""
    scene.people["ana-slack"].always = scene.people["managers"].always = REFUSED

    scene.routed()
    scene.deliver()
    scene.deliver()

    note = scene.people["console"].heard[0].note
    assert ("ana-slack" in note, "managers" in note) == (True, True)


def test_a_manager_who_cannot_be_reached_about_a_breach_is_stood_in_for(scene: Scene) -> None:
    """The chain begins after the destination that failed: the manager's alert goes straight to the fallback."""
    lead = scene.routed()
    scene.people["managers"].always = REFUSED
    scene.forget()

    scene.live(10)
    scene.deliver()

    assert scene.heard()["console"] == ["sla.breached 100%~managers"]
    assert [f"{lead.id}:100%:managers"] == [alert.key for alert in scene.dead_alerts()]


def test_giving_up_after_the_last_attempt(scene: Scene) -> None:
    """A destination that is down for good is tried MAX_ATTEMPTS times; then the manager hears it."""
    scene.people["ana-slack"].always = NOT_DELIVERED

    scene.submit()
    scene.route()
    for _ in range(MAX_ATTEMPTS):
        scene.deliver()
        scene.later(1)
    scene.deliver()

    assert (
        len(scene.people["ana-slack"].heard),
        scene.heard()["managers"],
    ) == (MAX_ATTEMPTS, ["lead.assigned 0%~ana-slack"])


def test_a_dead_alert_redriven_begins_anew_under_its_own_key(scene: Scene) -> None:
    """Whoever mended the destination sends it again."""
    scene.people["console"].answers = [REFUSED]
    alert = Alert("system", "test", "console", AlertKind.TEST, scene.clock.now)
    scene.store.outbox.add(alert, scene.clock.now)
    scene.deliver()

    scene.store.outbox.redrive(alert.key, scene.clock.now)
    scene.deliver()

    assert ([alert.key] * 2, []) == (all_keys(scene.people["console"].heard), scene.dead_alerts())


def test_a_courier_that_dies_after_sending_sends_again_under_the_same_key(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once with a name: the repeat comes when the lease ends, and says that it may be one."""
    ana = scene.people["ana-slack"]
    lead_id = scene.submit()
    scene.route()
    with monkeypatch.context() as patch:
        patch.setattr(delivery, "_note_attempt", _killed)
        with pytest.raises(Killed):
            flow.deliver(scene.place, "ana-slack")

    assert scene.deliver() == 0
    scene.clock.advance(LEASE_OVER)
    scene.deliver()

    assert [f"{lead_id}:0%:ana-slack"] * 2 == all_keys(ana.heard)
    assert [message.possible_repeat for message in ana.heard] == [False, True]
    assert scene.waiting() == []


def test_an_alert_that_kills_its_couriers_goes_to_the_fallback(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What MAX_ATTEMPTS couriers did not survive is not sent again; the manager hears of it instead."""
    scene.submit()
    scene.route()
    with monkeypatch.context() as patch:
        patch.setattr(delivery, "_note_attempt", _killed)
        for _ in range(MAX_ATTEMPTS):
            with pytest.raises(Killed):
                flow.deliver(scene.place, "ana-slack")
            scene.clock.advance(LEASE_OVER)

    scene.deliver()
    scene.deliver()

    assert (
        len(scene.people["ana-slack"].heard),
        scene.heard()["managers"],
    ) == (MAX_ATTEMPTS, ["lead.assigned 0%~ana-slack"])


def test_a_courier_that_comes_back_after_its_lease_settles_nothing(scene: Scene) -> None:
    """A frozen courier's word counts for nothing once another one has the alert."""
    scene.submit()
    scene.route()
    frozen = scene.store.outbox.claim("ana-slack", scene.clock.now, flow.LEASE, at_once=4)
    assert frozen is not None
    scene.clock.advance(LEASE_OVER)
    claimed = scene.store.outbox.claim("ana-slack", scene.clock.now, flow.LEASE, at_once=4)
    assert claimed is not None

    delivery._deliver_one(
        scene.place, delivery.InHand(frozen, scene.clock.now, time.monotonic()), scene.clock.now
    )
    assert len(scene.waiting()) == 1
    delivery._deliver_one(
        scene.place, delivery.InHand(claimed, scene.clock.now, time.monotonic()), scene.clock.now
    )

    assert (scene.waiting(), _alert_counters(scene)) == ([], {"alerts_delivered": 1})


def test_a_courier_stopped_before_it_sends_leaves_the_alert_to_whoever_has_it_by_then(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen between its last look and the send: awake again it sends nothing, and what it never sent is no repeat."""
    lead_id = scene.submit()
    scene.route()
    passed = [0.0]
    monkeypatch.setattr(delivery, "time", SimpleNamespace(monotonic=lambda: passed[0], sleep=time.sleep))
    confirm = type(scene.store.outbox).confirm

    def frozen(self: Any, *given: Any) -> Any:
        result = confirm(self, *given)
        passed[0] += delivery.BEGIN_WITHIN.total_seconds()
        return result

    with monkeypatch.context() as patch:
        patch.setattr(type(scene.store.outbox), "confirm", frozen)
        flow.deliver(scene.place, "ana-slack", iter([True, False]).__next__)
    assert [] == scene.people["ana-slack"].heard
    scene.clock.advance(delivery.BEGIN_WITHIN)
    assert scene.deliver() == 0  # not at once: whatever made it slow may last
    scene.clock.advance(delivery.RETURN_PAUSE)
    scene.deliver()

    heard = scene.people["ana-slack"].heard
    assert ([f"{lead_id}:0%:ana-slack"], [False]) == (
        all_keys(heard),
        [message.possible_repeat for message in heard],
    )
    assert _alert_counters(scene) == {"alerts_delivered": 1}


def test_a_courier_frozen_for_longer_than_its_lease_sends_nothing_another_one_has(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen before its last look: that one finds the lease gone, whatever it believes of the time."""
    scene.submit()
    scene.route()
    confirm = type(scene.store.outbox).confirm

    def frozen(self: Any, *given: Any) -> Any:
        scene.clock.advance(LEASE_OVER)
        patch.undo()
        scene.deliver()
        return confirm(self, *given)

    patch = pytest.MonkeyPatch()
    patch.setattr(type(scene.store.outbox), "confirm", frozen)
    flow.deliver(scene.place, "ana-slack")
    assert {"ana-slack": ["lead.assigned 0%"]} == scene.heard()
    assert _alert_counters(scene) == {"alerts_delivered": 1}


def test_a_store_that_takes_seconds_for_every_answer_delays_alerts_and_stops_none(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three answers until the send, three seconds each: sent once, and noted while the lease lasts."""
    lead_id = scene.submit()
    scene.route()
    passed = [0.0]
    monkeypatch.setattr(delivery, "time", SimpleNamespace(monotonic=lambda: passed[0], sleep=time.sleep))

    def slow(answer: Any) -> Any:
        def answer_late(*given: Any, **named: Any) -> Any:
            passed[0] += 3
            scene.clock.advance(timedelta(seconds=3))
            return answer(*given, **named)

        return answer_late

    outbox = type(scene.store.outbox)
    for kind, name in (
        (outbox, "claim"),
        (outbox, "confirm"),
        (outbox, "settle"),
        (outbox, "settle_and_claim"),
        (type(scene.place.store), "now"),
    ):
        monkeypatch.setattr(kind, name, slow(getattr(kind, name)))
    rounds = iter([True] * 20)  # handed back and claimed again for ever is what must not be
    for _ in range(3):
        flow.deliver(scene.place, "ana-slack", lambda: next(rounds, False))

    assert {f"{lead_id}:0%:ana-slack"} == set(all_keys(scene.people["ana-slack"].heard))
    assert (1, {"alerts_delivered": 1}) == (len(scene.people["ana-slack"].heard), _alert_counters(scene))


def test_outages_before_the_send_count_as_no_attempt(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever claimed it says that it sent nothing, however late: else two outages give up what was never sent."""
    scene.people["ana-slack"].recognises_repeats = False
    scene.submit()
    scene.route()
    for _ in range(3):
        with monkeypatch.context() as patch:
            passed = [0.0]

            def sleep(seconds: float, passed: list[float] = passed, patch: Any = patch) -> None:
                passed[0] += seconds
                if passed[0] >= 30:
                    patch.undo()

            patch.setattr(delivery, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=sleep))
            patch.setattr(type(scene.store.outbox), "confirm", _away)
            patch.setattr(type(scene.store.outbox), "settle", _away)
            with pytest.raises(StoreUnavailable):
                flow.deliver(scene.place, "ana-slack")
        scene.clock.advance(2 * flow.LEASE)
    scene.deliver()

    heard = scene.people["ana-slack"].heard
    assert [("lead.assigned", False)] == [(message.kind, message.possible_repeat) for message in heard]


@pytest.mark.parametrize("moment", ["reading the record", "settling"])
def test_a_store_that_goes_away_while_delivering_gives_nothing_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """StoreUnavailable is not the destination's fault: the alert keeps its key and is delivered once the lease ends."""
    lead_id = scene.submit()
    scene.route()
    target = type(scene.store.outbox)
    name = "confirm" if moment == "reading the record" else "settle"
    with monkeypatch.context() as patch:
        patch.setattr(target, name, _away)
        patch.setattr(delivery, "NOTE_SECONDS", 0.0)
        with pytest.raises(StoreUnavailable):
            flow.deliver(scene.place, "ana-slack")

    assert scene.dead_alerts() == []
    scene.clock.advance(LEASE_OVER)
    scene.deliver()

    assert {f"{lead_id}:0%:ana-slack"} == set(all_keys(scene.people["ana-slack"].heard))
    assert (scene.waiting(), scene.dead_alerts(), _alert_counters(scene)) == ([], [], {"alerts_delivered": 1})


def test_a_delivered_alert_is_noted_when_the_store_is_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away for longer than the lease, the courier still knows what it sent: it notes it, and nobody hears it twice."""
    settle = type(scene.store.outbox).settle
    away = [12]

    def settle_once_back(self: Any, *given: Any) -> Any:
        if away[0]:
            away[0] -= 1
            scene.clock.advance(LEASE_OVER)
            raise StoreUnavailable("away")
        return settle(self, *given)

    monkeypatch.setattr(type(scene.store.outbox), "settle", settle_once_back)
    monkeypatch.setattr(delivery, "NOTE_EVERY", 0.0)
    lead = scene.routed()
    scene.deliver()

    assert [f"{lead.id}:0%:ana-slack"] == all_keys(scene.people["ana-slack"].heard)
    assert _alert_counters(scene)["alerts_delivered"] >= 1


def test_a_courier_that_stops_gives_up_the_note_in_seconds(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends in time, whatever the store does; the lease returns the alert."""
    scene.submit()
    scene.route()
    monkeypatch.setattr(type(scene.store.outbox), "settle", _away)
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    monkeypatch.setattr(delivery, "time", SimpleNamespace(monotonic=lambda: passed[0], sleep=sleep))
    answers = iter([True])
    with pytest.raises(StoreUnavailable):
        flow.deliver(scene.place, "ana-slack", lambda: next(answers, False))
    assert passed[0] == pytest.approx(delivery.LAST_NOTE_SECONDS)


@pytest.mark.parametrize("what", ["a lead", "a lead that cannot be read", "the system"])
def test_an_alert_that_cannot_be_read_goes_to_the_fallback(
    fakeredis_store: RedisStore, clock: ManualClock, what: str
) -> None:
    """Given up it stands in the lead's history, and somebody hears of it, as of every other one."""
    scene = new_scene(fakeredis_store, clock)
    client, keys = fakeredis_store.server.client, fakeredis_store.server.keys
    if what == "the system":
        fakeredis_store.outbox.add(Alert("system", "test", "ana-slack", AlertKind.TEST, clock.now), clock.now)
    else:
        lead_id = scene.submit()
        scene.route()
    (key,) = client.hkeys(keys.alerts)
    client.hset(keys.alerts, key, '{"kind":"lead.unheard_of"}')
    if what == "a lead that cannot be read":
        client.lset(keys.lead(lead_id), 0, "1 {}")
    for _ in range(UNREADABLE_TRIES + 1):
        for destination in flow.destinations_due(scene.place):
            flow.deliver(scene.place, destination)
        scene.later(1)

    assert _alert_counters(scene) == {"alerts_delivered": 1, "alerts_dead": 1}
    heard = {
        "a lead": ("managers", "sla.reminder 0%~ana-slack"),
        "a lead that cannot be read": ("console", "system.lead_quarantined 0%~ana-slack"),
        "the system": ("console", "system.contradiction test~ana-slack"),
    }[what]
    assert {heard[0]: [heard[1]]} == scene.heard()
    assert "its alert cannot be read" in scene.people[heard[0]].heard[0].note
    if what == "a lead":
        given_up = next(e for e in scene.store.leads.history(lead_id) if e.event == "alert.given_up")
        assert ("0%", "ana-slack", "managers") == (
            given_up.details["step"],
            given_up.details["to"],
            given_up.details["fallback"],
        )


def test_a_note_tried_for_long_has_its_last_seconds_from_the_stop_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is away for ten seconds, the process is stopped after nine: the delivered alert is noted, sent once."""
    scene.submit()
    scene.route()
    settle, passed = type(scene.store.outbox).settle, [0.0]

    def away_for_ten_seconds(self: Any, *given: Any) -> Any:
        if passed[0] < 10:
            raise StoreUnavailable("ConnectionError")
        return settle(self, *given)

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    monkeypatch.setattr(type(scene.store.outbox), "settle", away_for_ten_seconds)
    monkeypatch.setattr(delivery, "time", SimpleNamespace(monotonic=lambda: passed[0], sleep=sleep))
    flow.deliver(scene.place, "ana-slack", lambda: passed[0] < 9)
    scene.clock.advance(LEASE_OVER)
    scene.deliver()
    assert {"ana-slack": ["lead.assigned 0%"]} == scene.heard()


def test_an_alert_that_cannot_be_composed_goes_to_the_fallback(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One alert that raises stops neither its courier nor the others of its destination."""
    bad, good = scene.submit(), scene.submit()

    def explode(alert: Alert, *rest: Any) -> Message:
        if alert.lead_id == bad and not alert.fallback_for:
            raise ZeroDivisionError
        return compose(alert, *rest)

    monkeypatch.setattr(messages, "compose", explode)
    scene.route()
    scene.deliver()
    scene.deliver()

    assert scene.heard() == {"ben-slack": ["lead.assigned 0%"], "managers": ["lead.assigned 0%~ana-slack"]}
    assert good == scene.people["ben-slack"].heard[0].lead_id


def test_a_channel_that_raises_is_an_attempt_nobody_knows_the_end_of(scene: Scene) -> None:
    """A fault in a destination's own code is tried again and then given up, like an answer that never came."""

    class Broken:
        recognises_repeats = True

        def __init__(self) -> None:
            self.tried = 0

        def send(self, message: Message, now: datetime) -> Attempt:
            self.tried += 1
            raise KeyError(message.headline)

    broken = Broken()
    channel = scene.place.channel
    place = replace(scene.place, channel=lambda name: broken if name == "ana-slack" else channel(name))
    broken_scene = replace(scene, place=place)
    broken_scene.submit()
    broken_scene.submit()
    broken_scene.route()

    for _ in range(MAX_ATTEMPTS + 1):
        broken_scene.deliver()
        broken_scene.later(1)

    assert broken.tried == MAX_ATTEMPTS
    assert (
        scene.heard()["ben-slack"],
        scene.heard()["managers"],
    ) == (["lead.assigned 0%"], ["lead.assigned 0%~ana-slack"])


def test_a_courier_told_to_stop_finishes_the_alert_in_its_hands_and_takes_no_more(scene: Scene) -> None:
    """`go_on` is asked between alerts; what was not taken waits for the next courier."""
    for _ in range(6):
        scene.submit()
    scene.route()
    answers = iter([True, True, False])

    assert flow.deliver(scene.place, "ana-slack", lambda: next(answers)) == 2

    assert (len(scene.people["ana-slack"].heard), len(scene.waiting())) == (2, 4)


def test_more_couriers_are_worth_sending_where_more_is_due(memory_scene: Scene) -> None:
    """One courier for each few alerts, never more than AT_ONCE for one destination."""
    assert flow.destinations_due(memory_scene.place) == {}
    for number, expected in ((1, 1), (9, 1), (10, 2), (100, delivery.AT_ONCE)):
        while len(memory_scene.waiting()) < number:
            step = str(len(memory_scene.waiting()))
            alert = Alert("system", step, "console", AlertKind.TEST, memory_scene.clock.now)
            memory_scene.store.outbox.add(alert, memory_scene.clock.now)
        assert {"console": expected} == flow.destinations_due(memory_scene.place)


@pytest.mark.real
def test_couriers_side_by_side_deliver_each_alert_once(redis_store: RedisStore, clock: ManualClock) -> None:
    """Four couriers of one destination share the work, and none repeats another's."""
    scene = new_scene(redis_store, clock)
    for number in range(200):
        redis_store.outbox.add(Alert("system", str(number), "console", AlertKind.TEST, clock.now), clock.now)

    in_threads(*[lambda: flow.deliver(scene.place, "console")] * 4)

    keys = all_keys(scene.people["console"].heard)
    assert (len(keys), len(set(keys)), scene.waiting()) == (200, 200, [])


def _alert_counters(scene: Scene) -> dict[str, int]:
    counters = scene.store.operations.counters()
    return {name: count for name, count in counters.items() if name.startswith("alerts_")}


def _killed(*_: object) -> None:
    raise Killed


def _away(*_: object, **__: object) -> None:
    raise StoreUnavailable("ConnectionError")


def test_a_channel_that_cannot_recognise_a_repeat_gets_one_more_try_at_the_most(scene: Scene) -> None:
    """Couriers that die in the middle count as answers that never came: the message goes out twice, never ten times."""

    class Deadly(Destination):
        def send(self, message: Message, now: datetime) -> Attempt:
            super().send(message, now)
            raise Killed

    deadly = Deadly(recognises_repeats=False)
    scene.people["ana-slack"] = deadly
    scene.submit()
    scene.route()
    for _ in range(5):
        with contextlib.suppress(Killed):
            flow.deliver(scene.place, "ana-slack")
        scene.clock.advance(LEASE_OVER)
    assert 2 == len(deadly.heard)
    scene.deliver()
    assert ["lead.assigned 0%~ana-slack"] == scene.heard()["managers"]


def test_a_store_that_is_away_for_a_moment_makes_nothing_go_out_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came of an attempt is noted as soon as the store is back."""
    scene.submit()
    scene.route()
    settle = type(scene.store.outbox).settle
    failures = ["first", "second"]

    def blinking(self: Any, *arguments: Any) -> Any:
        if failures:
            failures.pop()
            raise StoreUnavailable("ConnectionError")
        return settle(self, *arguments)

    monkeypatch.setattr(type(scene.store.outbox), "settle", blinking)
    monkeypatch.setattr("time.sleep", lambda _: None)
    scene.deliver()
    scene.clock.advance(2 * flow.LEASE)
    scene.deliver()
    assert {"ana-slack": ["lead.assigned 0%"]} == scene.heard()


def test_a_courier_asks_for_the_time_anew_when_its_machine_has_slept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The monotonic clock stood still meanwhile; five times a second are enough otherwise."""
    wall = [datetime(2026, 11, 23, 9, 0, tzinfo=UTC)]
    server = [wall[0]]
    monkeypatch.setattr(delivery, "datetime", SimpleNamespace(now=lambda _zone: wall[0]))
    asked: list[datetime] = []

    def now() -> datetime:
        asked.append(server[0])
        return server[0]

    place: Any = SimpleNamespace(store=SimpleNamespace(now=now))
    clock = delivery._ServerClock(place)
    told = [clock.at(100.0), clock.at(100.1)]
    assert [server[0], server[0] + timedelta(seconds=0.1)] == told
    assert len(asked) == 1
    wall[0] = server[0] = wall[0] + timedelta(hours=1)
    assert server[0] == clock.at(100.15)
    clock.at(100.4)
    assert len(asked) == 3


def test_a_rate_limit_delays_all_alerts_of_its_destination_and_no_other(scene: Scene) -> None:
    """One attempt learns it; the others wait for the time it named, without being tried, and lose nothing."""
    ana, ben = scene.people["ana-slack"], scene.people["ben-slack"]
    ana.answers = [Attempt(Outcome.RATE_LIMITED, "429", timedelta(seconds=30))]
    for _ in range(6):
        scene.submit()
    scene.route()
    scene.deliver()
    assert (1, 3) == (len(ana.heard), len(ben.heard))
    scene.later(0.5)
    scene.deliver()
    assert (4, 3) == (len(ana.heard), len(ben.heard))
    assert [] == scene.dead_alerts()


def test_nobody_waits_long_for_a_destination_that_takes_nothing(scene: Scene) -> None:
    """After minutes in vain its alerts are told to the fallback at once; one at a time still finds out if it is back."""
    ana = scene.people["ana-slack"]
    ana.always = UNKNOWN
    scene.routed()
    for _ in range(6):
        scene.live(0.8)
    for _ in range(10):
        scene.submit()
    scene.route()
    scene.forget()
    hung = scene.store.outbox.claim("ana-slack", scene.clock.now, flow.LEASE, at_once=4)
    assert hung is not None
    scene.deliver()
    scene.later(0.1)  # couriers count on from what the server said, so what they decide is milliseconds ahead
    scene.deliver()
    assert "ana-slack" not in scene.heard()
    assert 2 <= scene.heard()["managers"].count("lead.assigned 0%~ana-slack")
    ana.always = DELIVERED
    scene.store.outbox.settle(hung, AlertSettlement("returned", scene.clock.now))
    scene.deliver()
    assert 1 == len(ana.heard)
    assert not scene.store.outbox.in_trouble("ana-slack", scene.clock.now)


def test_where_the_fallback_is_in_trouble_too_everybody_is_tried(scene: Scene) -> None:
    """When our own network was away, an alert must not be given up to somebody who cannot hear it either."""
    long_ago = scene.clock.now - PATIENCE
    for name in ("ana-slack", "managers", "console"):
        scene.store.outbox.add(Alert("", "system", name, AlertKind.TEST, long_ago), long_ago)
        claimed = scene.store.outbox.claim(name, long_ago, flow.LEASE, at_once=4)
        assert claimed is not None
        trouble = Trouble(long_ago, long_ago)
        again = AlertSettlement("retry", scene.clock.now + timedelta(days=1), trouble=trouble)
        scene.store.outbox.settle(claimed, again)
    scene.submit()
    scene.submit()
    scene.submit()
    scene.route()
    hung = scene.store.outbox.claim("ana-slack", scene.clock.now, flow.LEASE, at_once=4)
    assert hung is not None
    scene.deliver()
    assert 1 <= len(scene.people["ana-slack"].heard)
    assert "managers" not in scene.heard()


def test_a_quiet_destination_hears_in_the_morning_what_is_still_so(scene: Scene) -> None:
    """A reminder waits as data, and is no attempt; who was answered meanwhile is no news; a breach does not wait."""
    hours = Calendar("desk", "UTC", dict.fromkeys(range(7), (Span.parse("10:00-18:00"),)))
    quiet = {"ana-slack": Destined("ana-slack", "console", {}, quiet_outside=hours)}
    config = replace(scene.place.config, destinations=quiet)
    at_night = replace(scene, place=replace(scene.place, config=config))
    first = at_night.routed()
    assert [] == scene.people["ana-slack"].heard
    assert ["lead.routed", "alert.held"] == at_night.events(first.id)
    assert [f"{first.id}:0%:ana-slack"] == at_night.waiting()
    at_night.later(61)
    at_night.deliver()
    assert [(f"{first.id}:0%:ana-slack", False)] == [
        (one.key, one.possible_repeat) for one in scene.people["ana-slack"].heard
    ]


def test_an_alert_brings_the_link_by_which_it_is_answered(scene: Scene) -> None:
    """For its lead, rep and destination, the same on every attempt; buttons only where presses come back."""
    scene.people["ana-slack"].answers = [NOT_DELIVERED]
    secrets = (b"a secret of the links",)
    scene.place.link_secrets, scene.place.takes_presses = secrets, True
    lead = scene.routed()
    scene.later(1)
    scene.deliver()
    first, second = scene.people["ana-slack"].heard
    assert first.url == second.url
    token = first.url.removeprefix("https://leads.example.com/answer/")
    assert Asked(lead.id, "ana", "ana-slack") == read_token(token, secrets, scene.clock.now)
    assert ("answer:acknowledged", "I'm on it", f"{lead.id} ana") == first.buttons[0]
    scene.place.link_secrets, scene.place.takes_presses = (), False
    scene.forget()
    scene.routed()
    scene.routed()
    assert ("https://leads.example.com/v1/leads/", ()) == (
        scene.people["ana-slack"].heard[0].url[:35],
        scene.people["ana-slack"].heard[0].buttons,
    )


def test_what_repeats_through_the_night_is_one_message_in_the_morning(scene: Scene) -> None:
    """The last of them, which says how things stand; the others say in the history that they were not sent."""
    remind = Step("10%", StepTime.parse("10%"), remind=("rep",), repeat=timedelta(minutes=10), times=4)
    scene = scene.with_rules(rulebook(sla_used=sla(remind, within=timedelta(hours=1))))
    hours = Calendar("desk", "UTC", dict.fromkeys(range(7), (Span.parse("10:00-18:00"),)))
    quiet = {"ana-slack": Destined("ana-slack", "console", {}, quiet_outside=hours)}
    scene = replace(scene, place=replace(scene.place, config=replace(scene.place.config, destinations=quiet)))
    lead_id = scene.submit()
    scene.route()
    for minute in (6, 10, 10, 10, 10):
        scene.live(minute)
    assert (5, {}) == (scene.events(lead_id).count("alert.held"), scene.heard())
    scene.later(15)
    scene.deliver()
    assert {"ana-slack": ["sla.reminder 10%#5"]} == scene.heard()
    assert 4 == scene.events(lead_id).count("alert.cancelled")
    assert [] == scene.waiting()
    scene.check()


def test_a_courier_with_many_alerts_asks_twice_for_each(
    fakeredis_store: RedisStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One exchange reads and confirms, one notes and leases the next; the last note finds nothing, and that is the end."""
    scene = new_scene(fakeredis_store, clock)
    for _ in range(20):
        scene.submit()
    scene.route()
    asked: list[int] = []
    server = fakeredis_store.server
    run = type(server)._run_once

    def counted(self: Any, *given: Any) -> Any:
        asked.append(1)
        return run(self, *given)

    flow.deliver(
        scene.place, "ana-slack", iter([True, True, False]).__next__
    )  # the scripts are known from here on
    monkeypatch.setattr(type(server), "_run_once", counted)
    before = len(scene.people["ana-slack"].heard)
    flow.deliver(scene.place, "ana-slack")
    heard = len(scene.people["ana-slack"].heard)
    assert heard > before + 1 > 2
    assert 2 * (heard - before) - 1 == len(asked)  # the first note leases nothing, and is asked alone


def test_what_was_leased_ahead_of_a_stop_is_anybodys_at_once(scene: Scene) -> None:
    """The next courier finds it due, with no attempt counted, and nobody hears anything twice."""
    for _ in range(20):
        scene.submit()
    scene.route()
    assert 3 == flow.deliver(scene.place, "ana-slack", iter([True, True, True, False]).__next__)
    assert {0} == {alert.attempts for alert, _ in scene.store.outbox.waiting(9)}
    scene.clock.advance(timedelta(seconds=1))  # the server's, which stood still while the courier counted on
    scene.deliver()

    heard = scene.people["ana-slack"].heard
    assert sorted(all_keys(heard)) == sorted(set(all_keys(heard)))
    assert [False] * len(heard) == [message.possible_repeat for message in heard]
    assert [] == scene.waiting()


def test_who_was_left_out_is_in_the_history_and_in_the_log(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of several readers is refused for ever: the rest are not told twice, and somebody can find it."""
    scene.people["ana-slack"].answers = [Attempt(Outcome.DELIVERED, left_out=("bo@example.com (SMTP 550)",))]
    warned: list[dict[str, Any]] = []
    log = SimpleNamespace(
        info=lambda *_, **__: None, warning=lambda event, **said: warned.append({"event": event, **said})
    )
    monkeypatch.setattr(delivery, "log", log)
    lead = scene.routed()
    (entry,) = (one for one in scene.store.leads.history(lead.id) if one.event == "alert.delivered")
    assert ["bo@example.com (SMTP 550)"] == entry.details["left_out"]
    assert "but not bo@example.com (SMTP 550)" in happened(entry)
    assert [("alert.left_out", "ana-slack")] == [(one["event"], one["destination"]) for one in warned]
