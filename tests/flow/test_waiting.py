"""Leads that wait for a rep: never lost, never doubled, handed out the moment somebody is there, the hottest first."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import pytest
from tests.core.builders import OFFICE, rep, rule, rulebook, sla, team
from tests.flow.scene import Scene, in_threads, new_scene
from tests.servers import ManualClock, RealServer

from speed_to_lead import flow
from speed_to_lead.core.assignment import Assignment, Team, WhenNobody, match_of
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.reps import Absence
from speed_to_lead.core.response import reassign_lead
from speed_to_lead.core.sla import Step, StepTime
from speed_to_lead.flow import waiting
from speed_to_lead.privacy import remove_lead
from speed_to_lead.spellings import SPELLINGS
from speed_to_lead.store.redis_store import RedisStore, open_store

QUEUE = WhenNobody.QUEUE


def queueing(scene: Scene, *teams: Team) -> Scene:
    """The scene with these teams; the first one's leads queue."""
    return scene.with_rules(rulebook(teams=teams))


def everybody_away(scene: Scene, *reps: str) -> None:
    for one in reps:
        scene.store.reps.set_away(one, Absence("kim", scene.clock()))


def set_back(scene: Scene, rep_id: str) -> None:
    assert flow.set_back(scene.place, rep_id, "kim")


def owners(scene: Scene) -> dict[str, str | None]:
    return {str(lead.lead.get("email")).partition("@")[0]: lead.rep for lead in scene.leads()}


def test_a_lead_waits_and_is_handed_out_when_the_shift_opens(scene: Scene) -> None:
    """Nobody is there at night: the manager hears of the lead, its clock runs; at nine Ana has it and is told."""
    scene = queueing(scene, team(rep("ana", calendar=OFFICE), when_nobody=QUEUE))
    scene.clock.advance(timedelta(hours=-0.25))  # a quarter to nine
    lead_id = scene.submit()
    scene.route()
    scene.deliver()
    lead = scene.lead(lead_id)
    assert (lead.rep, lead.team, lead.waits_for_a_rep) == (None, "inbound", True)
    assert 'no rep yet, it waits until somebody is available: team "inbound", round_robin' in lead.trace
    assert "  ana: off shift until Mon 5 Jan 09:00 UTC" in lead.trace
    assert {"managers": ["lead.assigned 0%"]} == scene.heard()
    assert [(lead_id, "inbound")] == scene.store.reps.waiting(10)

    scene.forget()
    scene.live(14.9)
    assert {"managers": ["sla.breached 100%"]} == scene.heard()
    assert scene.lead(lead_id).rep is None

    scene.forget()
    scene.live(0.1)
    given = scene.lead(lead_id)
    assert ("ana", (), lead.deadline) == (given.rep, given.reps_before, given.deadline)
    assert {"ana-slack": ["lead.assigned handed-out"]} == scene.heard()
    assert {"ana": 1} == scene.store.leads.load()
    assert [] == scene.store.reps.waiting(10)
    (said,) = [e for e in scene.store.leads.history(lead_id) if e.event == "lead.handed_out"]
    assert ("ana", 900, ["handed-out"]) == (
        said.details["to"],
        said.details["waited_seconds"],
        [said.details["step"]],
    )
    assert "lead.waiting" in scene.events(lead_id)
    assert any(line.endswith("after 15 min without a rep") for line in given.trace)
    scene.forget()
    scene.live(0)
    assert {} == scene.heard()


def test_the_hottest_deadline_goes_first(scene: Scene) -> None:
    """Of those that wait, the one due first is handed out first, whenever it came; each cap freed gives out the next."""
    slow = replace(sla(within=timedelta(hours=5)), name="slow")
    members = team(rep("ana", max_open=1), when_nobody=QUEUE)
    book = rulebook(replace(rule("Slow", when={"company": "slow"}), sla="slow"), teams=[members])
    scene = scene.with_rules(replace(book, slas={**book.slas, "slow": slow}))
    everybody_away(scene, "ana")
    scene.submit(email="slow@example.com", company="slow")
    scene.later(1)
    scene.submit(email="fast@example.com")
    scene.later(1)
    scene.submit(email="later@example.com")
    scene.route()
    scene.sweep()
    assert {"slow": None, "fast": None, "later": None} == owners(scene)

    set_back(scene, "ana")
    handed: list[str] = []
    for _ in range(3):
        scene.sweep()
        (open_one,) = [lead for lead in scene.leads() if lead.is_open and lead.rep]
        handed.append(str(open_one.lead.get("email")).partition("@")[0])
        scene.respond(open_one.id)
    assert ["fast", "later", "slow"] == handed


def test_whoever_waits_for_somebody_else_holds_nobody_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leads that nobody present can take stay, and those behind them are handed out, however many there are."""
    monkeypatch.setattr(waiting, "HAND_OUT_BATCH", 2)
    monkeypatch.setattr(waiting, "MAX_ROUNDS", 1)  # rounds in which nothing was refused do not count
    members = team(
        rep("ana", attributes={"language": ["de"]}),
        rep("ben", attributes={"language": ["fr"]}),
        match={"language": "custom.language"},
        when_nobody=QUEUE,
    )
    scene = queueing(scene, members)
    everybody_away(scene, "ana", "ben")
    for number, language in enumerate(["de"] * 5 + ["fr"] * 3):
        scene.submit(email=f"p{number}@example.com", language=language)
        scene.later(0.1)
    scene.route()
    set_back(scene, "ben")
    scene.sweep()
    assert {None: 5, "ben": 3} == Counter(owners(scene).values())
    set_back(scene, "ana")
    scene.sweep()
    assert {"ana": 5, "ben": 3} == Counter(owners(scene).values())
    assert [] == scene.store.reps.waiting(10)


def test_a_country_is_matched_in_any_spelling_later_too(scene: Scene) -> None:
    """When it is handed out, and when a step passes it on: Deutschland is DE, as when the lead came."""
    members = tuple(
        rep(one, attributes={"territory": [country]}, notify="ana-slack")
        for one, country in (("ana", "FR"), ("ben", "DE"), ("cy", "Germany"))
    )
    matched = match_of("territory", "country", members, SPELLINGS)
    german = replace(team(*members, when_nobody=QUEUE), assignment=Assignment.BY_FIELD, match=(matched,))
    scene = scene.with_rules(rulebook(teams=[german], spellings=SPELLINGS))
    everybody_away(scene, "ben", "cy")
    lead_id = scene.submit(country="Deutschland")
    scene.route()
    assert scene.lead(lead_id).waits_for_a_rep  # ana is there, and is for another country
    set_back(scene, "ben")
    scene.sweep()
    assert "ben" == scene.lead(lead_id).rep
    set_back(scene, "cy")
    scene.live(11)
    assert ("cy", ("ben",)) == (scene.lead(lead_id).rep, scene.lead(lead_id).reps_before)


def test_a_step_may_find_somebody_in_another_team(scene: Scene) -> None:
    """A queue's leads wait in their own team; a chain's are handed out by whichever of its teams is there first."""
    chain = (
        team("ana", name="inbound", when_nobody=WhenNobody.OTHER_TEAM, overflow="night"),
        team("ben", name="night", when_nobody=QUEUE),
    )
    scene = queueing(scene, *chain)
    everybody_away(scene, "ana", "ben")
    first, second = scene.submit(), scene.submit()
    scene.route()
    assert [("inbound", None)] * 2 == [(scene.lead(i).team, scene.lead(i).rep) for i in (first, second)]
    set_back(scene, "ben")
    scene.sweep()
    assert [("night", "ben")] * 2 == [(scene.lead(i).team, scene.lead(i).rep) for i in (first, second)]


@pytest.mark.parametrize("how", ["answered", "by hand", "erased"])
def test_what_waits_no_more_is_forgotten(scene: Scene, how: str) -> None:
    """A lead that was answered, given away by hand or erased meanwhile is handed out to nobody."""
    scene = queueing(scene, team("ana", "ben", when_nobody=QUEUE))
    everybody_away(scene, "ana", "ben")
    lead_id = scene.submit()
    scene.route()
    lead = scene.lead(lead_id)
    if how == "answered":
        scene.respond(lead_id)
    elif how == "by hand":
        teams = scene.place.config.rulebook.teams
        flow.change_lead(
            scene.place, lead_id, lambda lead, now: reassign_lead(lead, teams, "ben", "kim", now)
        )
    else:
        remove_lead(scene.place, lead_id, lead, "erased")
    assert [] == scene.store.reps.waiting(10)
    set_back(scene, "ana")
    assert 0 == scene.sweep().decided
    assert [] == [one for one in scene.leads() if one.rep == "ana"]


def test_a_hint_without_a_lead_is_forgotten(scene: Scene) -> None:
    """The index of those that wait is a hint: what its record does not say is taken out, nobody gets anything."""
    scene = queueing(scene, team("ana", when_nobody=QUEUE))
    lead = scene.routed()
    scene.store.reps.set_away("ana", Absence("kim", scene.clock()))
    waits = scene.submit()
    scene.route()
    set_back(scene, "ana")
    with patch.object(
        type(scene.store.reps), "waiting", side_effect=[[(lead.id, "inbound"), ("gone", "inbound")], []]
    ):
        scene.sweep()
    assert "ana" == scene.lead(lead.id).rep
    assert scene.lead(waits).rep is None


def test_a_reassigning_step_gives_a_waiting_lead_to_whoever_is_there(scene: Scene) -> None:
    """At a step that passes leads on, one that waits is given like any other; nobody is told that it was taken."""
    reassigning = sla(Step("late", StepTime.parse("100%"), alert=("manager",), reassign=True))
    members = team("ana", "ben", when_nobody=QUEUE)
    scene = scene.with_rules(rulebook(teams=[members], sla_used=reassigning))
    everybody_away(scene, "ana", "ben")
    lead_id = scene.submit()
    scene.route()
    set_back(scene, "ben")
    scene.live(10)
    assert "ben" == scene.lead(lead_id).rep
    assert 1 == sum(len(heard) for name, heard in scene.heard().items() if name == "ben-slack")


@pytest.mark.real
def test_clocks_that_race_hand_out_each_lead_once(redis_store: RedisStore, clock: ManualClock) -> None:
    """Four clocks and two routers at once: each lead has one rep, told once, and the shares are even."""
    scene = queueing(new_scene(redis_store, clock), team("ana", "ben", "cy", when_nobody=QUEUE))
    everybody_away(scene, "ana", "ben", "cy")
    for _ in range(120):
        scene.submit()
    scene.route()
    assert 120 == len(redis_store.reps.waiting(1000))
    for _ in range(30):
        scene.submit()
    for one in ("ana", "ben", "cy"):
        set_back(scene, one)

    def sweeps() -> None:
        while redis_store.reps.waiting(1):
            flow.sweep(scene.place)

    with patch.object(waiting, "HAND_OUT_BATCH", 7):
        in_threads(
            *[sweeps] * 4, *[lambda: flow.route(scene.place, "r1"), lambda: flow.route(scene.place, "r2")]
        )
    flow.route(scene.place, "r1", reclaim=True)
    scene.check()
    assert {"ana": 50, "ben": 50, "cy": 50} == Counter(lead.rep for lead in scene.leads())
    assert all(_was_given_once(scene, lead) for lead in scene.leads())


def _was_given_once(scene: Scene, lead: Lead) -> bool:
    return 1 >= scene.events(lead.id).count("lead.handed_out")


@pytest.mark.real
def test_a_waiting_lead_survives_kill_9(restartable_server: RealServer, clock: ManualClock) -> None:
    """The server is killed while leads wait; started again it still has them, and they are handed out."""
    store = open_store(restartable_server.url)
    scene = queueing(new_scene(store, clock), team("ana", when_nobody=QUEUE))
    everybody_away(scene, "ana")
    ids = {scene.submit() for _ in range(5)}
    scene.route()
    restartable_server.stop(kill=True)
    restartable_server.start()
    set_back(scene, "ana")
    scene.sweep()
    assert ids == {lead.id for lead in scene.leads() if lead.rep == "ana"}
    store.close()
