"""One person who writes again: whose SLA counts, who gets it, and that no race gives them two leads or two reps."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.core.builders import rulebook, sla
from tests.flow.scene import Scene, TimedStore, in_threads, new_scene
from tests.servers import ManualClock

from speed_to_lead import flow
from speed_to_lead.core.conditions import parse_condition
from speed_to_lead.core.lead import Lead, LeadState
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.rules import Rule
from speed_to_lead.core.submission import Submission
from speed_to_lead.flow import routing
from speed_to_lead.store.redis_store import RedisStore, open_store

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def two_speeds() -> Rulebook:
    """Demo requests are due in ten minutes, everything else in eight hours."""
    quick, slow = sla(), replace(sla(within=8 * HOUR), name="same-day")
    demo = Rule("Demo", "inbound", quick.name, (parse_condition("source", "demo_request"),))
    return replace(
        rulebook(),
        rules=(demo,),
        slas={quick.name: quick, slow.name: slow},
        default=Rule("Everything", "inbound", slow.name),
    )


def submit(scene: Scene, *, urgent: bool, email: str = "kim@example.com", **fields: Any) -> str:
    """A submission of that person: a demo request, or something that can wait."""
    return scene.submit("demo" if urgent else "api", email=email, **fields)


def routed_patiently(scene: Scene) -> Lead:
    """A lead that has eight hours, told to its rep."""
    lead_id = submit(scene, urgent=False)
    scene.route()
    scene.deliver()
    return scene.lead(lead_id)


def test_a_touch_that_is_due_sooner_brings_its_own_clock(scene: Scene) -> None:
    """From the newsletter at nine, the demo at ten: due at ten past ten, reminded at six past, told once each."""
    scene = scene.with_rules(two_speeds())
    before = routed_patiently(scene)
    scene.forget()
    scene.later(60)
    submit(scene, urgent=True)
    assert scene.route().has_alerts
    scene.deliver()

    after = scene.lead(before.id)
    assert (scene.clock.now + timedelta(minutes=10), "ten-minutes") == (after.deadline, after.sla)
    assert (before.rep, before.source, before.trace) == (after.rep, after.source, after.trace[:-1])
    assert {"leads": 1, "touches": 1} == scene.counts()
    assert {f"{before.rep}-slack": ["sla.reminder sooner-1"]} == scene.heard()
    scene.live(6)
    scene.live(4)
    scene.live(1)
    new_rep = scene.lead(before.id).rep
    assert {before.rep, new_rep} == {"ana", "ben"}
    told = [
        "sla.reminder sooner-1",
        "sla.reminder 60%",
        "lead.reassigned 100%",
    ]  # and who lost it hears of that
    assert told == scene.heard()[f"{before.rep}-slack"]
    assert ["lead.reassigned 100%"] == scene.heard()[f"{new_rep}-slack"]
    assert ["sla.breached 100%"] == scene.heard()["managers"]
    scene.live(600)
    assert ["sla.breached 100%"] == scene.heard()["managers"]
    assert ["lead.touched", "lead.due_sooner"] == [
        name for name in scene.events(before.id) if name.startswith(("lead.touched", "lead.due"))
    ]


def test_a_touch_that_is_due_later_changes_no_clock(scene: Scene) -> None:
    """From the demo at nine, the newsletter at nine past: still due at ten past nine."""
    scene = scene.with_rules(two_speeds())
    lead_id = submit(scene, urgent=True)
    scene.route()
    before = scene.lead(lead_id)
    scene.later(9)
    submit(scene, urgent=False)
    scene.route()
    after = scene.lead(lead_id)
    assert (before.deadline, before.sla, before.steps) == (after.deadline, after.sla, after.steps)
    assert len(after.touches) == 1


def test_both_of_one_batch(scene: Scene) -> None:
    """The patient one first, the urgent one behind it, in one batch: one lead, and the urgent clock."""
    scene = scene.with_rules(two_speeds())
    lead_id = submit(scene, urgent=False)
    submit(scene, urgent=True)
    submit(scene, urgent=True, message="are you there?")
    scene.route()
    assert {"leads": 1, "touches": 2} == scene.counts()
    assert scene.clock.now + timedelta(minutes=10) == scene.lead(lead_id).deadline


def test_a_touch_after_the_answer_changes_nothing_of_the_old_lead(scene: Scene) -> None:
    """Whoever was answered waits anew, on a clock of their own."""
    scene = scene.with_rules(two_speeds())
    first = routed_patiently(scene)
    scene.respond(first.id)
    answered = scene.lead(first.id)
    submit(scene, urgent=True)
    scene.route()
    assert {"leads": 2} == scene.counts()
    assert answered == scene.lead(first.id)


def test_a_rule_that_asks_for_touches_makes_the_lead_due_sooner(scene: Scene) -> None:
    """Who comes a third time is in a hurry: the third submission's rule counts it, and the lead takes its SLA."""
    book = two_speeds()
    third = Rule("Third", "inbound", "ten-minutes", (parse_condition("touches", {"at_least": 2}),))
    scene = scene.with_rules(replace(book, rules=(third,)))
    before = routed_patiently(scene)
    scene.later(60)
    submit(scene, urgent=False, message="second")
    scene.route()
    assert (before.deadline, "same-day") == (scene.lead(before.id).deadline, scene.lead(before.id).sla)
    scene.later(60)
    submit(scene, urgent=False, message="third")
    scene.route()
    after = scene.lead(before.id)
    assert (scene.clock.now + timedelta(minutes=10), "ten-minutes") == (after.deadline, after.sla)
    assert 'rule "Third"' in after.trace[-1]


def test_touches_of_one_batch_are_counted_one_by_one(scene: Scene) -> None:
    """Three of one person in one batch: only the third is somebody's who came twice again."""
    third = Rule("Third", "inbound", "ten-minutes", (parse_condition("touches", {"at_least": 2}),))
    scene = scene.with_rules(replace(two_speeds(), rules=(third,)))
    lead_id = submit(scene, urgent=False)
    submit(scene, urgent=False, message="second")
    last = submit(scene, urgent=False, message="third")
    scene.route()
    (sooner,) = [e for e in scene.store.leads.history(lead_id) if e.event == "lead.due_sooner"]
    assert (last, "Third") == (sooner.details["submission"], sooner.details["rule"])


# --- the window ------------------------------------------------------------------------------------------------


def test_a_person_who_was_silent_for_too_long_is_a_new_lead(scene: Scene) -> None:
    """The open lead of long ago is closed, and says why; the new one is theirs alone, with a clock and a rep."""
    book = replace(two_speeds(), same_person_within=30 * DAY)
    scene = scene.with_rules(book)
    old = routed_patiently(scene)
    scene.live(31 * 24 * 60)
    new_id = submit(scene, urgent=True)
    scene.route()

    closed = scene.lead(old.id)
    assert (LeadState.CLOSED, "superseded") == (closed.state, closed.closed_reason)
    assert {"leads": 2} == scene.counts()
    assert scene.lead(new_id).is_open
    assert 1 == sum(scene.store.leads.load().values())


def test_within_the_window_it_is_a_touch_however_many_there_were(scene: Scene) -> None:
    """The window runs from the last submission: three of them, twenty days apart each, are one person's."""
    scene = scene.with_rules(replace(two_speeds(), same_person_within=30 * DAY))
    routed_patiently(scene)
    for number in range(3):
        scene.live(20 * 24 * 60)
        submit(scene, urgent=False, message=f"number {number}")
        scene.route()
    assert {"leads": 1, "touches": 3} == scene.counts()


def test_two_of_them_in_one_batch_after_the_window(scene: Scene) -> None:
    """Both would close the old lead: it is closed once, the first is the new lead, and the second its touch."""
    scene = scene.with_rules(replace(two_speeds(), same_person_within=30 * DAY))
    old = routed_patiently(scene)
    scene.live(31 * 24 * 60)
    submit(scene, urgent=True)
    submit(scene, urgent=True, message="again")
    scene.route()
    assert {"leads": 2, "touches": 1} == scene.counts()
    assert 1 == scene.events(old.id).count("lead.closed")


# --- races -----------------------------------------------------------------------------------------------------


@pytest.fixture
def other_router(
    server_url: str, redis_store: RedisStore, key_prefix: str, clock: ManualClock
) -> Callable[[Scene], Scene]:
    """A second process's view of a scene: the same server by another connection."""

    def other(scene: Scene) -> Scene:
        store = open_store(server_url, key_prefix)
        return replace(scene, place=replace(scene.place, store=TimedStore(store, clock)))

    del redis_store
    return other


def route_all(scene: Scene, name: str) -> None:
    """Route until nothing is left."""
    while flow.route(scene.place, name).settled:
        pass


def crowd(scene: Scene, people: int, *, urgent: bool, each: int = 2) -> None:
    """So many submissions of so many people, all different."""
    for number in range(people * each):
        scene.submissions += 1
        body = json.dumps({"email": f"p{number % people}@example.com", "message": f"{scene.submissions}"})
        form = "demo" if urgent else "api"
        submission = Submission(f"x{scene.submissions}", form, scene.clock.now, body.encode())
        scene.store.queue.add(submission)


@pytest.mark.real
def test_routers_and_a_clock_at_once_lose_and_repeat_no_step(
    redis_store: RedisStore,
    clock: ManualClock,
    other_router: Callable[[Scene], Scene],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two routers add urgent touches while clocks remind of the same leads: each alert is heard once, each lead due soon."""
    monkeypatch.setattr(routing, "ROUTE_BATCH", 7)
    scene = new_scene(redis_store, clock).with_rules(two_speeds())
    other, third = other_router(scene), other_router(scene)
    crowd(scene, 20, urgent=False, each=1)
    route_all(scene, "one")
    scene.deliver()
    scene.later(4.8 * 60)  # the reminder of the eight hours falls due now
    crowd(scene, 20, urgent=True)
    in_threads(
        lambda: route_all(scene, "one"),
        lambda: route_all(other, "two"),
        lambda: flow.sweep(third.place),
    )
    scene.check()
    assert {"leads": 20, "touches": 40} == scene.counts()
    assert {clock.now + timedelta(minutes=10)} == {lead.deadline for lead in scene.leads()}
    for minutes in (0, 6, 4, 10):
        scene.live(minutes)
    heard = Counter(message.key for double in scene.people.values() for message in double.heard)
    assert {1} == set(heard.values())
    assert 20 == sum(key.endswith(":100%:managers") for key in heard)
    for lead in scene.leads():
        assert {step.name for step in lead.steps} == set(lead.steps_done)
        assert len({step.name for step in lead.steps}) == len(lead.steps)


@pytest.mark.real
def test_routers_at_once_after_the_window_make_one_open_lead_of_each_person(
    redis_store: RedisStore,
    clock: ManualClock,
    other_router: Callable[[Scene], Scene],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two routers close the old leads and make the new ones: one is closed, one is open, all else are touches."""
    monkeypatch.setattr(routing, "ROUTE_BATCH", 3)
    scene = new_scene(redis_store, clock).with_rules(replace(two_speeds(), same_person_within=DAY))
    other = other_router(scene)
    crowd(scene, 15, urgent=False, each=1)
    route_all(scene, "one")
    scene.later(25 * 60)
    crowd(scene, 15, urgent=True, each=3)
    in_threads(lambda: route_all(scene, "one"), lambda: route_all(other, "two"))
    scene.check()
    assert {"leads": 30, "touches": 30} == scene.counts()
    assert {LeadState.OPEN: 15, LeadState.CLOSED: 15} == Counter(lead.state for lead in scene.leads())
    assert 15 == len({lead.lead.get("email") for lead in scene.leads() if lead.is_open})
