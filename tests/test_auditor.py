"""The auditor at work: it finds nothing in any life, finds what is damaged and mends it, and never says it twice."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import accumulate
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.core.builders import rep, rulebook, team
from tests.flow.scene import NOT_DELIVERED, REFUSED, UNKNOWN, Scene, new_scene
from tests.servers import ManualClock

from speed_to_lead import auditor as auditing
from speed_to_lead import flow
from speed_to_lead.auditor import Auditor
from speed_to_lead.core.assignment import WhenNobody
from speed_to_lead.core.audit import AlertFacts, Contradiction, Finding, audit_lead, repair_of
from speed_to_lead.core.clock import to_ms
from speed_to_lead.core.lead import AlertKind, Lead, ResponseKind
from speed_to_lead.core.reps import Absence
from speed_to_lead.core.response import close_lead, reassign_lead
from speed_to_lead.core.submission import Submission, person_keys
from speed_to_lead.flow import waiting
from speed_to_lead.store.contract import Result, Store
from speed_to_lead.store.memory import MemoryStore
from speed_to_lead.store.redis_store import RedisStore

SECONDS = 10.0  # a tick's time in tests: until both rounds are through


@pytest.fixture
def scene(store: Store, clock: ManualClock) -> Scene:
    """A scene on each kind of store in turn."""
    return new_scene(store, clock)


def looked_twice(auditor: Auditor, scene: Scene, minutes: float = 0.1) -> dict[str, int]:
    """What the auditor acted on after two looks, some seconds apart."""
    before = auditor.acted_on.copy()
    auditor.tick(SECONDS)
    scene.later(minutes)
    auditor.tick(SECONDS)
    return {finding.value: count for finding, count in (auditor.acted_on - before).items()}


# --- never cries wolf ------------------------------------------------------------------------------------------


def _live(scene: Scene, chance: random.Random, between: Callable[[], None]) -> None:
    """One random thing that may happen, with a look between any two calls of the store."""
    ids = [lead.id for lead in scene.leads()]
    teams = scene.place.config.rulebook.teams
    match chance.randrange(10):
        case 0 | 1:
            scene.submit(email=f"person-{chance.randrange(6)}@example.com")
        case 2:
            scene.submit_body(b"no json")
        case 3 | 4:
            scene.route(reclaim=chance.random() < 0.3)
        case 5:
            scene.sweep()
        case 6:
            for double in scene.people.values():
                double.answers = chance.choices([NOT_DELIVERED, REFUSED, UNKNOWN], k=chance.randrange(2))
            scene.deliver()
        case 7 if ids:
            scene.respond(chance.choice(ids), chance.choice(list(ResponseKind)))
        case 8 if ids:
            lead_id = chance.choice(ids)
            if scene.lead(lead_id).is_open and chance.random() < 0.7:
                rep = chance.choice(["ana", "ben"])
                flow.change_lead(
                    scene.place, lead_id, lambda lead, now: reassign_lead(lead, teams, rep, "kim", now)
                )
            else:
                flow.change_lead(scene.place, lead_id, lambda lead, now: close_lead(lead, "spam", "kim", now))
        case _:
            scene.later(chance.choice([0.01, 0.1, 0.4]))
            scene.sweep()
    between()


class _Watched:
    """A part of a store that lets the auditor look before every call."""

    def __init__(self, part: Any, look: Callable[[], None]) -> None:
        self._part, self._look = part, look

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)

        def call(*given: Any, **named: Any) -> Any:
            self._look()
            return method(*given, **named)

        return call


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_in_no_life_does_anything_contradict(seed: int) -> None:
    """Births, touches, answers, pauses, alerts under way: the auditor looks between any two steps and suspects nothing.

    Whatever the first look might mistake would be a suspicion; there must be none but a late clock's.
    """
    clock = ManualClock()
    store = MemoryStore(clock)
    scene = new_scene(store, clock)
    auditor = Auditor(scene.place)

    def look() -> None:
        auditor.tick(SECONDS)
        assert {one.finding for one in auditor.suspicions} <= {Finding.OVERDUE}

    place = scene.place
    watched = replace(place, store=_spied(place.store, look))
    living = replace(scene, place=watched)
    chance = random.Random(seed)
    for _ in range(40):
        _live(living, chance, look)
    assert {} == dict(auditor.acted_on)


def _spied(store: Any, look: Callable[[], None]) -> Any:
    return SimpleNamespace(
        queue=_Watched(store.queue, look),
        leads=_Watched(store.leads, look),
        reps=_Watched(store.reps, look),
        outbox=_Watched(store.outbox, look),
        operations=store.operations,
        audit=store.audit,
        now=store.now,
    )


def test_what_is_gone_at_the_second_look_is_forgotten(scene: Scene) -> None:
    """A contradiction that only one look saw is none, and begins anew when it is seen again."""
    lead = scene.routed()
    auditor = Auditor(scene.place)
    scene.store.leads.mend_index(lead.id, lead.version, None)
    auditor.tick(SECONDS)
    scene.store.leads.mend_index(lead.id, lead.version, lead.next_at)
    scene.later(0.1)
    auditor.tick(SECONDS)
    scene.store.leads.mend_index(lead.id, lead.version, None)
    auditor.tick(SECONDS)
    assert {} == dict(auditor.acted_on)


def test_a_change_between_two_looks_makes_it_another_contradiction(scene: Scene) -> None:
    """The second look must find the same at the same version; else the wait begins again."""
    lead = scene.routed()
    auditor = Auditor(scene.place)
    scene.store.leads.mend_index(lead.id, lead.version, None)
    auditor.tick(SECONDS)
    scene.respond(lead.id, ResponseKind.ACKNOWLEDGED)  # writes the index too
    changed = scene.lead(lead.id)
    scene.store.leads.mend_index(lead.id, changed.version, None)
    scene.later(0.1)
    auditor.tick(SECONDS)
    assert {} == dict(auditor.acted_on)
    assert {"not_indexed": 1} == looked_twice(auditor, scene)


# --- finds what is damaged, and mends it -----------------------------------------------------------------------


def _redis(scene: Scene) -> Any:
    within = scene.store.within  # type: ignore[attr-defined]
    assert isinstance(within, RedisStore)
    return within.server


def _memory(scene: Scene) -> Any:
    within = scene.store.within  # type: ignore[attr-defined]
    return within.leads._state if isinstance(within, MemoryStore) else None


def _lose_from_open(scene: Scene, lead: Lead) -> None:
    if state := _memory(scene):
        state.listed_open.discard(lead.id)
    else:
        _redis(scene).client.srem(_redis(scene).keys.open_leads, lead.id)


def _leave_in_open(scene: Scene, lead: Lead) -> None:
    scene.respond(lead.id)
    if state := _memory(scene):
        state.listed_open.add(lead.id)
    else:
        _redis(scene).client.sadd(_redis(scene).keys.open_leads, lead.id)


def _lose_from_all(scene: Scene, lead: Lead) -> None:
    if state := _memory(scene):
        state.listed.discard(lead.id)
    else:
        _redis(scene).client.zrem(_redis(scene).keys.all_leads, lead.id)


def _list_nobody(scene: Scene, _: Lead) -> None:
    if state := _memory(scene):
        state.listed_open.add("nobody")
    else:
        _redis(scene).client.sadd(_redis(scene).keys.open_leads, "nobody")


def _lose_person(scene: Scene, lead: Lead) -> None:
    (key,) = person_keys(lead.lead)
    if state := _memory(scene):
        del state.people[key]
    else:
        _redis(scene).client.delete(_redis(scene).keys.person(key))


def _leave_person(scene: Scene, _: Lead) -> None:
    if state := _memory(scene):
        state.people["somebody"] = "nobody"
    else:
        _redis(scene).client.set(_redis(scene).keys.person("somebody"), "nobody")


def _leave_company(scene: Scene, _: Lead) -> None:
    if state := _memory(scene):
        state.companies["some"] = "nobody"
    else:
        _redis(scene).client.set(_redis(scene).keys.company("some"), "nobody")


def _miscount(scene: Scene, lead: Lead) -> None:
    if state := _memory(scene):
        state.load[lead.rep] += 5
    else:
        _redis(scene).client.hincrby(_redis(scene).keys.load, lead.rep, 5)


def _lose_alert(scene: Scene, _: Lead) -> None:
    key = scene.waiting()[0]
    if state := _memory(scene):
        del state.alerts[key]
    else:
        server = _redis(scene)
        server.client.hdel(server.keys.alerts, key)
        server.client.zrem(server.keys.outbox(key.rpartition(":")[2]), key)


def _put_off(scene: Scene, _: Lead) -> None:
    key = scene.waiting()[0]
    if state := _memory(scene):
        state.alerts[key].next_at += timedelta(days=365)
    else:
        server = _redis(scene)
        server.client.zincrby(server.keys.outbox(key.rpartition(":")[2]), 10**10, key)


def _lease_for_ever(scene: Scene, _: Lead) -> None:
    key = scene.waiting()[0]
    at = scene.clock.now + timedelta(days=365)
    if state := _memory(scene):
        state.alerts[key].leased_until = at
    else:
        server = _redis(scene)
        server.client.zadd(server.keys.leased(key.rpartition(":")[2]), {key: to_ms(at)})


def _misindex(scene: Scene, lead: Lead) -> None:
    scene.store.leads.mend_index(lead.id, lead.version, scene.clock.now + timedelta(days=1))


def _leave_in_index(scene: Scene, lead: Lead) -> None:
    answered = scene.respond(lead.id)
    scene.store.leads.mend_index(lead.id, answered.version, scene.clock.now + timedelta(days=1))


DAMAGES: dict[Finding, Callable[[Scene, Lead], None]] = {
    Finding.NOT_INDEXED: lambda scene, lead: (
        scene.store.leads.mend_index(lead.id, lead.version, None),
        None,
    )[1],
    Finding.INDEXED_WRONG: _misindex,
    Finding.INDEXED_DONE: _leave_in_index,
    Finding.OPEN_UNLISTED: _lose_from_open,
    Finding.DONE_LISTED: _leave_in_open,
    Finding.UNLISTED: _lose_from_all,
    Finding.NO_RECORD: _list_nobody,
    Finding.PERSON_LOST: _lose_person,
    Finding.PERSON_DANGLING: _leave_person,
    Finding.COMPANY_DANGLING: _leave_company,
    Finding.LOAD_WRONG: _miscount,
    Finding.ALERT_LOST: _lose_alert,
    Finding.ALERT_PUT_OFF: _put_off,
    Finding.LEASE_STUCK: _lease_for_ever,
}


@pytest.mark.parametrize("finding", DAMAGES, ids=lambda finding: finding.value)
def test_damage_is_found_as_what_it_is_and_mended(scene: Scene, finding: Finding) -> None:
    """Exactly that finding, counted once; afterwards nothing is left to find, and alerts arrive under their keys."""
    scene.routed()
    lead_id = scene.submit()
    scene.route()
    auditor = Auditor(scene.place)
    auditor.tick(SECONDS)  # a round over everything, as an auditor that has been at work has done
    alerts = scene.waiting()

    DAMAGES[finding](scene, scene.lead(lead_id))
    assert {finding.value: 1} == looked_twice(auditor, scene)

    assert {} == looked_twice(auditor, scene)
    assert set() == set(auditor.suspicions)
    assert scene.store.operations.counters()[f"repaired:{finding.value}"] == 1
    scene.check()
    assert alerts == scene.waiting()
    scene.deliver()
    expected = ["lead.assigned 0%"] if scene.lead(lead_id).is_open else None
    assert expected == scene.heard().get("ben-slack")


def _unlist_waiting(scene: Scene, lead: Lead) -> None:
    scene.store.reps.forget_waiting(lead.id)


def _list_waiting(scene: Scene, lead_id: str, at: datetime, team: str) -> None:
    if state := _memory(scene):
        state.waiting[lead_id] = at, team
    else:
        server = _redis(scene)
        server.client.zadd(server.keys.waiting, {lead_id: to_ms(at)})
        server.client.hset(server.keys.waiting_teams, lead_id, team)


def _lose_team(scene: Scene, lead: Lead) -> None:
    _list_waiting(scene, lead.id, lead.deadline, "")


def _wrong_deadline(scene: Scene, lead: Lead) -> None:
    _list_waiting(scene, lead.id, lead.deadline + timedelta(days=9), lead.team)


def _list_another(scene: Scene, lead: Lead) -> None:
    answered = scene.submit(email="answered@example.com")
    scene.route()
    scene.respond(answered)
    _list_waiting(scene, answered, lead.deadline, "nobody's")


def _list_who_never_was(scene: Scene, lead: Lead) -> None:
    _list_waiting(scene, "nobody", lead.deadline, "nobody's")


WAITING_DAMAGES: dict[str, tuple[Finding, Callable[[Scene, Lead], None]]] = {
    "not listed": (Finding.WAITING_LOST, _unlist_waiting),
    "no team": (Finding.WAITING_LOST, _lose_team),
    "wrong deadline": (Finding.WAITING_LOST, _wrong_deadline),
    "answered": (Finding.WAITING_DONE, _list_another),
    "no record": (Finding.NO_RECORD, _list_who_never_was),
}


@pytest.mark.parametrize("damage", WAITING_DAMAGES)
def test_what_is_listed_as_waiting_for_a_rep_is_what_waits(scene: Scene, damage: str) -> None:
    """Found and mended as the other indexes are; then the lead is handed out the moment somebody is back."""
    finding, do_damage = WAITING_DAMAGES[damage]
    scene = scene.with_rules(rulebook(teams=[team(rep("ana"), when_nobody=WhenNobody.QUEUE)]))
    scene.store.reps.set_away("ana", Absence("kim", scene.clock()))
    lead_id = scene.submit()
    scene.route()
    lead = scene.lead(lead_id)
    assert [(lead_id, "inbound")] == scene.store.reps.waiting(10)
    auditor = Auditor(scene.place)
    auditor.tick(SECONDS)

    do_damage(scene, lead)
    assert {finding.value: 1} == looked_twice(auditor, scene)
    assert {} == looked_twice(auditor, scene)
    assert [(lead_id, "inbound")] == scene.store.reps.waiting(10)
    health = scene.store.operations.health()
    assert (1, True) == (health.waiting, health.waiting_oldest > 0)

    assert flow.set_back(scene.place, "ana", "kim")
    assert (1, True) == waiting.hand_out(scene.place)
    assert "ana" == scene.lead(lead_id).rep
    assert {} == looked_twice(auditor, scene)
    assert 0 == scene.store.operations.health().waiting


@pytest.mark.parametrize("finding", [Finding.OPEN_UNLISTED, Finding.PERSON_LOST, Finding.ALERT_LOST])
def test_a_repair_of_a_lead_raises_its_version_and_is_told_in_its_history(
    scene: Scene, finding: Finding
) -> None:
    """Who decided on the version before is refused; who asks why, reads it."""
    lead_id = scene.submit()
    scene.route()
    auditor = Auditor(scene.place)
    DAMAGES[finding](scene, scene.lead(lead_id))
    looked_twice(auditor, scene)
    last = scene.store.leads.history(lead_id)[-1]
    assert (2, "audit.repaired", [finding.value]) == (
        scene.lead(lead_id).version,
        last.event,
        last.details["findings"],
    )


def test_a_repair_made_on_an_old_look_changes_nothing(scene: Scene) -> None:
    """A change that came between wins: the version is another, or history has a line more."""
    lead_id = scene.submit()
    scene.route()
    lead = scene.lead(lead_id)
    _lose_from_open(scene, lead)
    (facts,) = scene.store.audit.leads([lead_id])
    (found,) = audit_lead(facts, scene.clock.now)
    repair = repair_of(facts, (found,), None, scene.clock.now)
    assert repair is not None
    scene.deliver()  # history alone goes on
    assert Result.STALE is scene.store.audit.repair(repair)
    scene.respond(lead_id, ResponseKind.ACKNOWLEDGED)
    assert Result.STALE is scene.store.audit.repair(
        replace(repair, history_length=len(scene.events(lead_id)))
    )


def test_a_count_is_not_mended_once_somebody_came_or_went(scene: Scene) -> None:
    """What was counted before the last change is out of date, also where one came and one went and the count is the same."""
    lead = scene.routed()
    scene.submit()
    scene.submit()  # ben's, then ana's again
    _miscount(scene, lead)
    seen = scene.store.audit.load()
    flow.route(scene.place, "router-1")
    flow.change_lead(scene.place, lead.id, lambda lead, now: close_lead(lead, "spam", "kim", now))
    after = scene.store.audit.load()
    assert seen.load["ana"] == after.load["ana"]
    assert Result.STALE is scene.store.audit.mend_load("ana", seen.changes["ana"], seen.load["ana"], 1)
    assert Result.APPLIED is scene.store.audit.mend_load("ana", after.changes["ana"], after.load["ana"], 1)
    scene.check()


REDIS_ONLY: dict[Finding, Callable[[Any, str], object]] = {
    Finding.ALERT_STRANDED: lambda server, key: server.client.zrem(server.keys.outbox("ana-slack"), key),
    Finding.OUTBOX_UNNAMED: lambda server, key: server.client.srem(server.keys.outboxes, "ana-slack"),
    Finding.ALERT_EMPTY: lambda server, key: server.client.zadd(
        server.keys.outbox("ana-slack"), {"system:gone:ana-slack": 1}
    ),
}


@pytest.mark.parametrize("finding", REDIS_ONLY, ids=lambda finding: finding.value)
@pytest.mark.parametrize("store", ["fakeredis", pytest.param("real", marks=pytest.mark.real)], indirect=True)
def test_an_alert_and_its_place_find_each_other_again(scene: Scene, finding: Finding) -> None:
    """In Redis an alert and its place in an outbox are two things; in memory they are one."""
    scene.submit()
    scene.route()
    auditor = Auditor(scene.place)
    (key,) = scene.waiting()
    REDIS_ONLY[finding](_redis(scene), key)

    assert {finding.value: 1} == looked_twice(auditor, scene)

    assert {} == looked_twice(auditor, scene)
    assert 1 == scene.deliver()
    assert scene.heard() == {"ana-slack": ["lead.assigned 0%"]}


@pytest.mark.parametrize("store", ["fakeredis", pytest.param("real", marks=pytest.mark.real)], indirect=True)
def test_a_lost_alert_keeps_the_attempts_it_had(scene: Scene) -> None:
    """It may have been under way when its place was lost: the message then says that it may be a repeat."""
    scene.submit()
    scene.route()
    claimed = scene.store.outbox.claim("ana-slack", scene.clock.now, timedelta(seconds=20), at_once=4)
    assert claimed is not None
    _lose_alert(scene, scene.leads()[0])
    looked_twice(Auditor(scene.place), scene, minutes=1)
    scene.deliver()
    (message,) = scene.people["ana-slack"].heard
    assert (claimed.alert.key, True) == (message.key, message.possible_repeat)


# --- tells what it cannot mend ---------------------------------------------------------------------------------


def test_two_open_leads_of_one_person_are_told_of(scene: Scene) -> None:
    """Which of them is right nobody but a person can say."""
    first, second = scene.routed(), scene.routed()
    (key,), (other,) = person_keys(first.lead), person_keys(second.lead)
    assert key != other
    if state := _memory(scene):
        state.people[key] = second.id
    else:
        _redis(scene).client.set(_redis(scene).keys.person(key), second.id)
    assert {"two_open": 1} == looked_twice(Auditor(scene.place), scene)
    assert ["system:audit.two_open.2026-01-05:console"] == scene.waiting()


def test_a_storm_of_one_kind_is_one_alert_that_counts(scene: Scene) -> None:
    """Many leads that nobody came for are one alert a day; all of them are counted."""
    for _ in range(7):
        scene.submit()
    scene.route()
    scene.deliver()
    scene.forget()
    auditor = Auditor(scene.place)
    scene.later(7)
    looked_twice(auditor, scene, minutes=0.6)
    scene.deliver()
    looked_twice(auditor, scene, minutes=0.6)
    scene.deliver()
    (message,) = scene.people["console"].heard
    assert (AlertKind.CONTRADICTION, "Found 7 times") == (message.kind, message.note[:13])
    assert scene.store.operations.counters()["raised:overdue"] == 14

    scene.later(60 * 24)
    looked_twice(auditor, scene, minutes=0.6)
    scene.deliver()
    assert len(scene.people["console"].heard) == 2


def test_books_that_do_not_balance_are_told_of(scene: Scene) -> None:
    """A submission that vanished from the queue is not repaired, it is told."""
    scene.submit()
    if state := _memory(scene):
        state.entries.clear()
    else:
        _redis(scene).client.xtrim(_redis(scene).keys.incoming, maxlen=0, approximate=False)
    assert {"ledger": 1} == looked_twice(Auditor(scene.place), scene)
    assert scene.waiting() == ["system:audit.ledger.2026-01-05:console"]


def test_the_turn_of_the_day_is_no_reason_to_tell_again(scene: Scene) -> None:
    """A kind is told of once in a day's time, not once on each side of midnight."""
    scene.clock.now = scene.clock.now.replace(hour=23, minute=59, second=59)

    def tell() -> None:
        auditor = Auditor(scene.place)
        auditor._raise(Contradiction(Finding.LEDGER, "ledger"))
        auditor._tell()

    tell()
    scene.later(0.1)
    tell()
    assert ["system:audit.ledger.2026-01-05:console"] == scene.waiting()
    assert {"raised:ledger": 2} == scene.store.operations.counters()


@pytest.mark.parametrize("store", ["fakeredis", pytest.param("real", marks=pytest.mark.real)], indirect=True)
def test_a_record_that_cannot_be_read_is_told_of(scene: Scene) -> None:
    """Nobody watches such a lead; the others are audited all the same."""
    broken, lost = scene.routed(), scene.routed()
    server = _redis(scene)
    server.client.lset(server.keys.lead(broken.id), 0, "1 [1]")
    scene.store.leads.mend_index(lost.id, lost.version, None)
    assert {"unreadable": 1, "not_indexed": 1} == looked_twice(Auditor(scene.place), scene)


def test_a_lead_in_quarantine_is_remembered_once_a_day(scene: Scene) -> None:
    """It was told of when it was put aside; whoever has forgotten it the day after hears again."""
    lead = scene.routed()
    scene.store.leads.quarantine(lead.id, "it cannot be worked on")
    auditor = Auditor(scene.place)
    assert {} == looked_twice(auditor, scene)
    assert {"quarantined": 1} == looked_twice(auditor, scene, minutes=60 * 24)
    assert ["system:audit.quarantined.2026-01-06:console"] == scene.waiting()


def test_a_submission_nobody_takes_up_is_told_of(memory_store: MemoryStore, clock: ManualClock) -> None:
    """Routers take up what another left within seconds; after minutes something is wrong with all of them."""
    scene = new_scene(memory_store, clock)
    scene.submit()
    scene.store.queue.take("router-1", 1)
    scene.later(6)
    assert {"pending": 1} == looked_twice(Auditor(scene.place), scene, minutes=0.6)


# --- what it costs ---------------------------------------------------------------------------------------------


def test_a_round_goes_on_over_ticks(memory_store: MemoryStore, clock: ManualClock) -> None:
    """A tick ends when its time is over, and the next one goes on: a damage far behind is found all the same."""
    scene = new_scene(memory_store, clock, rulebook())
    for _ in range(350):
        scene.submissions += 1
        scene.store.queue.add(
            Submission(
                f"s{scene.submissions:04}", "demo", clock.now, _body(scene.submissions), "application/json"
            )
        )
    flow.route(scene.place, "router-1")
    flow.route(scene.place, "router-1")
    last = scene.lead("s0350")
    _misindex(scene, last)
    auditor = Auditor(scene.place)
    auditor.tick(0.0)
    assert set() == set(auditor.suspicions)
    for _ in range(3):
        auditor.tick(0.0)
    assert [last.id] == [one.subject for one in auditor.suspicions]


def test_a_server_that_may_hold_half_a_change_is_asked_for_a_new_log(
    memory_store: MemoryStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first moment; again after a while, and where that goes on, ever later; why it would not is said once."""
    scene = new_scene(memory_store, clock)
    answers = ["", "started", "", "refused", "refused", "started", "refused", *["started"] * 6]
    asked: list[float] = []
    seconds = 0.0

    def renew() -> str:
        asked.append(seconds)
        return answers[len(asked) - 1]

    monkeypatch.setattr(scene.store.operations, "renew_log", renew)
    auditor = Auditor(scene.place)
    with capture_logs() as logs:
        while seconds <= 3_347:
            auditor.tick(0.0, partial(float, seconds))
            seconds += 1
    pauses = [1, 15, 1, 30, 60, 120, 240, 480, 600, 600, 600, 600]
    assert [*accumulate(pauses, initial=0)] == asked
    said = [(line["event"], line["log_level"]) for line in logs if line["event"].startswith("server.")]
    renewed, refused = ("server.log_renewed", "info"), ("server.log_not_renewed", "error")
    assert [renewed, refused, renewed, refused, *[renewed] * 6] == said


def _many(scene: Scene, count: int) -> list[Lead]:
    """So many open leads."""
    for number in range(count):
        scene.store.queue.add(
            Submission(f"m{number:04}", "demo", scene.clock.now, _body(number), "application/json")
        )
    while flow.route(scene.place, "router-1").is_full:
        pass
    return [lead for lead in scene.leads() if lead.id.startswith("m")]


def test_a_lead_the_index_lost_is_found_in_the_first_moment(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index has a round of its own: the other rounds have not come to the lead when its place is missed."""
    monkeypatch.setattr(auditing, "BATCH", 1)
    lead = _many(scene, 30)[7]
    scene.store.leads.mend_index(lead.id, lead.version, None)
    auditor = Auditor(scene.place)
    auditor.tick(0.0)
    assert [(Finding.NOT_INDEXED, lead.id)] == [(one.finding, one.subject) for one in auditor.suspicions]


def test_a_lost_index_is_made_again_in_one_look(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a second look at each lead; answered ones and one in quarantine stay out, and it is counted."""
    monkeypatch.setattr(auditing, "INDEX_LOST", 4)
    leads = _many(scene, 12)
    scene.respond(leads[0].id)
    aside = leads[1].id
    scene.store.leads.quarantine(aside, "broken")
    ids = [lead.id for lead in leads]
    expected = dict(zip(ids, scene.store.leads.indexed_at(ids), strict=True))
    for lead in leads[2:]:
        scene.store.leads.mend_index(lead.id, lead.version, None)
    auditor = Auditor(scene.place)
    auditor.tick(0.0)
    assert expected == dict(zip(expected, scene.store.leads.indexed_at(list(expected)), strict=True))
    assert {Finding.NOT_INDEXED: 10} == auditor.acted_on
    assert 10 == scene.store.operations.counters()["repaired:not_indexed"]
    assert [1] * 11 == [lead.version for lead in scene.leads() if lead.id != leads[0].id]


def test_a_slow_look_at_the_index_takes_nothing_from_the_other_rounds(
    memory_store: MemoryStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where many ladders are done a look reads a record for each, and takes longer than the whole tick."""
    scene = new_scene(memory_store, clock)
    monkeypatch.setattr(auditing, "BATCH", 1)
    _many(scene, 30)
    seconds = 0.0
    look, walk = scene.store.audit.unindexed, scene.store.leads.scan
    walked = 0

    def slow_look(cursor: str, limit: int) -> tuple[list[str], str]:
        nonlocal seconds
        seconds += 5.0
        return look(cursor, limit)

    def counted_walk(cursor: str, limit: int) -> tuple[list[str], str]:
        nonlocal seconds, walked
        seconds += 0.1
        walked += 1
        return walk(cursor, limit)

    monkeypatch.setattr(scene.store.audit, "unindexed", slow_look)
    monkeypatch.setattr(scene.store.leads, "scan", counted_walk)
    Auditor(scene.place).tick(1.0, lambda: seconds)
    assert walked >= 7


def test_leads_whose_last_step_is_done_are_not_put_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are open and rightly in no index, however many they are."""
    monkeypatch.setattr(auditing, "INDEX_LOST", 4)
    _many(scene, 12)
    scene.later(60 * 24 * 7)
    scene.sweep()
    auditor = Auditor(scene.place)
    auditor.tick(0.0)
    assert {} == auditor.acted_on
    assert 0 == scene.store.operations.health().scheduled


def test_a_record_that_moved_on_is_not_indexed_by_an_old_look(scene: Scene) -> None:
    """What the record said before somebody answered puts nothing into the index."""
    lead = scene.routed()
    scene.respond(lead.id)
    assert 0 == scene.store.audit.mend_index([lead])
    assert [None] == scene.store.leads.indexed_at([lead.id])


def _body(number: int) -> bytes:
    return json.dumps({"email": f"person-{number}@example.com"}).encode()


def test_suspicions_are_bounded(
    memory_store: MemoryStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much is wrong at once, no more is held than fits; the rest is found in later rounds."""
    monkeypatch.setattr(auditing, "SUSPICIONS", 3)
    scene = new_scene(memory_store, clock)
    for _ in range(8):
        lead = scene.routed()
        scene.store.leads.mend_index(lead.id, lead.version, None)
    auditor = Auditor(scene.place)
    auditor.tick(SECONDS)
    assert len(auditor.suspicions) == 3
    for _ in range(5):
        looked_twice(auditor, scene)
    assert scene.store.operations.counters()["repaired:not_indexed"] == 8


def test_every_finding_is_mended_or_has_words() -> None:
    """A kind that is told of has its sentence; every kind is looked at again in one of the ways there are."""
    raised = {finding for finding in Finding if not finding.is_repaired}
    assert raised == set(auditing._MEANING)
    looked_at_again = auditing._LEAD_FINDINGS | auditing._ALERT_FINDINGS | auditing._POINTER_FINDINGS
    rounds = {
        Finding.LOAD_WRONG,
        Finding.LEDGER,
        Finding.PENDING,
        Finding.QUARANTINED,
    }
    assert set(Finding) == looked_at_again | rounds
    assert AlertFacts("a:b:c", "c").is_kept
