"""Escalation: what a missed instant means, decided once, whenever somebody comes to look."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from itertools import combinations
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.builders import after, ladder, lead, rep, response, step, team

from speed_to_lead.core.assignment import Pick, Rotation, Tally, Team
from speed_to_lead.core.escalation import (
    alerts_of_step,
    destination_of,
    due_steps,
    escalate,
    first_instant,
    wants_new_rep,
)
from speed_to_lead.core.lead import AlertKind, Lead, LeadChange, LeadState, PlannedStep
from speed_to_lead.core.response import record_response

TEAM = team("ana", "ben")
#: Ben has it now, and Ana has not.
PASSED_ON = {"ben-slack": AlertKind.REASSIGNED, "ana-slack": AlertKind.REASSIGNED}
KINDS = (AlertKind.ASSIGNED, AlertKind.REMINDER, AlertKind.REASSIGNED, AlertKind.BREACHED)


def swept(given_lead: Lead, minutes: float, members: Team | None = TEAM) -> LeadChange | None:
    return escalate(given_lead, members, {}, Tally(), after(minutes))


def change_of(given_lead: Lead, minutes: float, members: Team | None = TEAM) -> LeadChange:
    change = swept(given_lead, minutes, members)
    assert change is not None
    return change


def told(change: LeadChange) -> dict[str, AlertKind]:
    assert len({alert.destination for alert in change.alerts}) == len(change.alerts)
    return {alert.destination: alert.kind for alert in change.alerts}


@pytest.mark.parametrize(
    ("minutes", "done", "alerts", "skipped", "next_minutes"),
    [
        (5.999, ["0%"], None, (), 6),
        (6, ["0%"], {"ana-slack": AlertKind.REMINDER}, (), 10),
        (10, ["0%", "60%"], {"managers": AlertKind.BREACHED, **PASSED_ON}, (), 20),
        (11, ["0%"], {"managers": AlertKind.BREACHED, **PASSED_ON}, ("60%",), 20),
        (20, ["0%", "60%", "100%"], {"head-of-sales": AlertKind.BREACHED}, (), None),
        (
            99,
            ["0%"],
            {"head-of-sales": AlertKind.BREACHED, **PASSED_ON},
            ("60%", "100%"),
            None,
        ),
        (99, ["0%", "60%", "100%", "+10m"], {}, (), None),
    ],
)
def test_the_ladder(
    minutes: float,
    done: list[str],
    alerts: dict[str, AlertKind] | None,
    skipped: tuple[str, ...],
    next_minutes: float | None,
) -> None:
    """One alert at the highest step that is due, equal to now included, naming the skipped; then the next instant."""
    change = swept(lead(done=done), minutes)
    if alerts is None:
        assert change is None
        return
    assert change is not None
    assert alerts == told(change)
    assert {skipped} >= {alert.skipped_steps for alert in change.alerts}
    assert (None if next_minutes is None else after(next_minutes)) == change.lead.next_at
    assert change.lead.version == 2


@pytest.mark.parametrize(
    "done", [names for n in range(5) for names in combinations(["0%", "60%", "100%", "+10m"], n)]
)
@pytest.mark.parametrize("minutes", [0, 5, 6, 9, 10, 15, 20, 60])
def test_every_combination_of_due_steps(done: tuple[str, ...], minutes: float) -> None:
    """Whatever was done before, all that is due is decided at once, and nothing else."""
    before = lead(done=done)
    due = [s.name for s in ladder() if s.at <= after(minutes) and s.name not in done]
    assert due == [s.name for s in due_steps(before, after(minutes))]
    change = swept(before, minutes)
    if not due and minutes < 10:
        assert change is None
        return
    assert change is not None
    assert (*done, *due) == change.lead.steps_done
    assert (
        {(due[-1], tuple(due[:-1]))} == {(a.step, a.skipped_steps) for a in change.alerts}
        if due
        else not change.alerts
    )
    assert ("100%" in due) == (change.lead.rep == "ben") == wants_new_rep(before, after(minutes))
    assert (after(10) if minutes >= 10 else None) == change.lead.breached_at
    assert first_instant(change.lead) == change.lead.next_at
    assert change.lead.next_at is None or change.lead.next_at > after(minutes)
    assert swept(change.lead, minutes) is None


def test_reassignment() -> None:
    """The lead moves to another rep once, its load with it, and the clock does not restart."""
    before = lead(done=["0%", "60%"], acknowledged_at=after(1))
    change = change_of(before, 10)
    assert (change.lead.rep, change.lead.reps_before, change.lead.acknowledged_at) == ("ben", ("ana",), None)
    assert change.load == {"ana": -1, "ben": 1}
    assert (before.deadline, before.steps) == (change.lead.deadline, change.lead.steps)
    assert change.rotation is not None
    assert change.rotation.rep == "ben"
    assert [entry.event for entry in change.history] == ["lead.breached", "lead.reassigned", "step.decided"]
    assert {"ben"} == {alert.rep for alert in change.alerts}


def test_nobody_left() -> None:
    """Where nobody else can take it the lead keeps its rep, and those who hear of the step hear that too."""
    change = change_of(lead(reps_before=("ben",)), 10)
    assert (change.lead.rep, change.lead.reps_before) == ("ana", ("ben",))
    assert (change.load, change.rotation) == ({}, None)
    assert told(change) == {"managers": AlertKind.BREACHED}
    assert {"Nobody else in the team can take it."} == {alert.note for alert in change.alerts}
    assert "lead.kept" in [entry.event for entry in change.history]


def test_nobody_left_and_nobody_told() -> None:
    """A step that only passes the lead on tells the manager where there is nobody to pass it to."""
    only = [step("80%", 8, reassign=True)]
    assert told(change_of(lead(only, done=[]), 8, team("ana"))) == {"managers": AlertKind.REMINDER}


def test_a_lead_without_a_rep() -> None:
    """A lead nobody had goes to somebody, and no count is taken from anybody."""
    change = change_of(lead(rep=None), 10)
    assert (change.lead.rep, change.lead.reps_before, change.load) == ("ana", (), {"ana": 1})


def test_a_team_that_config_no_longer_has() -> None:
    """Named destinations still hear of the step, the lead keeps its rep, and the history says why."""
    steps = [step("100%", 10, alert=["manager", "head-of-sales"], remind=["rep"], reassign=True)]
    change = change_of(lead(steps, done=[]), 10, None)
    assert told(change) == {"head-of-sales": AlertKind.BREACHED}
    assert (change.lead.rep, change.load, change.rotation) == ("ana", {}, None)
    kept = next(entry for entry in change.history if entry.event == "lead.kept")
    assert kept.details["because"] == ["team inbound is no longer in the config"]


def test_a_breach_without_a_step() -> None:
    """A deadline that no step falls on is noted all the same, and tells nobody."""
    change = change_of(
        lead([step("60%", 6, remind=["rep"]), step("+9m", 19, alert=["manager"])], done=["60%"]), 10
    )
    assert (after(10), {}, {"breaches": 1}) == (change.lead.breached_at, told(change), change.counters)
    assert after(19) == change.lead.next_at
    assert [entry.event for entry in change.history] == ["lead.breached"]


@pytest.mark.parametrize(
    ("minutes", "decided", "expected"),
    [
        (8, 8, AlertKind.REMINDER),
        (8, 9.9, AlertKind.REMINDER),
        (8, 10, AlertKind.BREACHED),
        (10, 10, AlertKind.BREACHED),
    ],
)
def test_an_alert_before_the_deadline_is_a_reminder(
    minutes: float, decided: float, expected: AlertKind
) -> None:
    """`alert` is a breach from the deadline on, also where an earlier step is decided only then."""
    one = lead([step("x", minutes, alert=["manager"])], done=[])
    assert {"managers": expected} == told(change_of(one, decided))


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_a_destination_hears_the_strongest_once(first: AlertKind, second: AlertKind) -> None:
    """A destination that a step names twice hears of it once, as the strongest of what it was named for."""
    targets = {AlertKind.ASSIGNED: "tell", AlertKind.REMINDER: "remind", AlertKind.BREACHED: "alert"}
    named: dict[str, Any] = {targets[kind]: ("ben-slack",) for kind in (first, second) if kind in targets}
    is_passed_on = AlertKind.REASSIGNED in (first, second)
    passed = Pick(TEAM.rep("ben"), (), None, TEAM) if is_passed_on else None
    strongest = max(first, second, key=KINDS.index)
    alerts = alerts_of_step(lead(), PlannedStep("100%", after(10), **named), TEAM, after(10), passed=passed)
    assert [("ben-slack", strongest)] == [(alert.destination, alert.kind) for alert in alerts]


@pytest.mark.parametrize(
    ("target", "rep_id", "expected"),
    [
        ("rep", "ana", "ana-slack"),
        ("rep", "mute", "managers"),
        ("rep", "blank", "managers"),
        ("rep", "gone", "managers"),
        ("rep", None, "managers"),
        ("manager", "ana", "managers"),
        ("head-of-sales", "ana", "head-of-sales"),
    ],
)
def test_destination_of(target: str, rep_id: str | None, expected: str) -> None:
    """A rep who cannot be told is heard of by the manager."""
    blank = replace(rep("blank"), notify="")
    members = team("ana", rep("mute", notify=None), blank)
    assert expected == destination_of(target, members, rep_id)
    assert (expected if target == expected else None) == destination_of(target, None, rep_id)


def test_late_seconds() -> None:
    """An alert says how long after its step it was decided."""
    assert {90.0} == {alert.late_seconds for alert in change_of(lead(), 11.5).alerts}


@pytest.mark.parametrize("state", [LeadState.ANSWERED, LeadState.CLOSED])
def test_nobody_waits_any_more(state: LeadState) -> None:
    """An answered or closed lead has no next instant, and no sweep changes it."""
    settled = lead(state=state)
    assert (
        first_instant(settled),
        swept(settled, 99),
        wants_new_rep(settled, after(99)),
    ) == (None, None, False)


TARGETS = st.lists(st.sampled_from(["rep", "manager", "head-of-sales"]), max_size=2, unique=True)


@st.composite
def ladders(draw: st.DrawFn) -> tuple[PlannedStep, ...]:
    """Up to five steps at any minutes, several at once too, whoever they tell."""
    minutes = sorted(draw(st.lists(st.integers(0, 30), max_size=5)))
    return tuple(
        step(
            f"s{number}",
            at,
            tell=draw(TARGETS),
            remind=draw(TARGETS),
            alert=draw(TARGETS),
            reassign=draw(st.booleans()),
        )
        for number, at in enumerate(minutes)
    )


def run(
    start: Lead, ticks: list[datetime], answer_at: datetime | None
) -> tuple[Lead, list[LeadChange], Counter[str]]:
    """What becomes of a lead swept at these instants, answered at the first of them from `answer_at` on."""
    changes: list[LeadChange] = []
    counts: Counter[str] = Counter({start.rep: 1} if start.rep else {})
    rotation, current = Rotation(), start
    for now in ticks:
        if answer_at is not None and now >= answer_at and current.is_open:
            change = record_response(current, replace(response(), at=answer_at, recorded_at=now), now)
        else:
            change = escalate(current, TRIO, {}, Tally({TRIO.name: rotation}, dict(counts)), now)
        if change is None:
            continue
        assert current.version + 1 == change.lead.version
        assert current.is_open or not change.alerts
        rotation = change.rotation.applied_to(rotation) if change.rotation else rotation
        current = change.lead
        changes.append(change)
        counts.update(change.load)
        assert first_instant(current) == current.next_at
        assert current.next_at is None or current.next_at > now
    return current, changes, counts


TRIO = team("ana", "ben", rep("mute", notify=None))
END = after(60)


@given(ladders(), st.lists(st.integers(0, 50 * 60), max_size=12), st.randoms())
def test_any_ticks_decide_every_step_once(
    steps: tuple[PlannedStep, ...], seconds: list[int], random: Random
) -> None:
    """Swept at any instants, doubled and out of order, no key is alerted twice and every step is decided once.

    The breach does not depend on who came when, and the ladder always comes to its end.
    """
    ticks = [after(second / 60) for second in seconds] * 2
    random.shuffle(ticks)
    start = lead(steps, done=[])
    final, changes, counts = run(start, [*ticks, END, END], None)
    alerts = [alert for change in changes for alert in change.alerts]
    keys = [alert.key for alert in alerts]
    assert len(set(keys)) == len(keys)
    assert [one.name for one in steps] == list(final.steps_done)
    entries = [
        entry.details for change in changes for entry in change.history if entry.event == "step.decided"
    ]
    decided = list(dict.fromkeys(name for entry in entries for name in (*entry["skipped"], entry["step"])))
    assert [one.name for one in steps] == decided
    assert len({entry["step"] for entry in entries}) == len(entries)
    assert {entry["step"] for entry in entries}.isdisjoint(
        name for entry in entries for name in entry["skipped"]
    )
    assert {(alert.step, alert.skipped_steps) for alert in alerts} <= {
        (entry["step"], tuple(entry["skipped"])) for entry in entries
    }
    told_of = {entry["step"] for entry in entries if entry["told"]}
    assert {entry["step"] for entry in entries if is_loud(final.step(entry["step"]))} <= told_of
    passed_on = {"lead.reassigned", "lead.kept"}
    assert all(change.alerts for change in changes if passed_on & {entry.event for entry in change.history})
    assert (after(10), None) == (final.breached_at, final.next_at)
    assert Counter({final.rep: 1}) == +counts
    assert len(set(final.reps_before)) == len(final.reps_before)


def is_loud(one: PlannedStep | None) -> bool:
    return one is not None and bool(one.tell or one.remind or one.alert)


@given(ladders(), st.lists(st.integers(0, 50 * 60), max_size=12), st.integers(0, 40 * 60))
def test_after_a_response_nothing_happens(
    steps: tuple[PlannedStep, ...], seconds: list[int], answered: int
) -> None:
    """From the response on no alert goes out, and in time or late depends on the response alone."""
    answer_at = after(answered / 60)
    ticks = sorted(after(second / 60) for second in seconds)
    final, changes, counts = run(lead(steps, done=[]), [*ticks, END, END], answer_at)
    alerts = [alert for change in changes for alert in change.alerts]
    first_heard = next(tick for tick in [*ticks, END] if tick >= answer_at)
    assert [alert for alert in alerts if alert.decided_at >= first_heard] == []
    assert (LeadState.ANSWERED, answer_at, None) == (final.state, final.answered_at, final.next_at)
    assert Counter() == +counts
    if answer_at >= after(10):
        assert after(10) == final.breached_at
    elif first_heard < after(10) or not any(after(10) <= tick < first_heard for tick in ticks):
        assert final.breached_at is None


def test_steps_of_one_instant_are_all_decided() -> None:
    """Two steps that fall together are both told of, and neither is called skipped: nothing was late."""
    together = (
        PlannedStep("60%", after(6), remind=("rep",)),
        PlannedStep("-4m", after(6), alert=("head-of-sales",)),
    )
    change = escalate(lead(together, done=[]), TRIO, {}, Tally(), after(6))
    assert change is not None
    assert [("60%", ()), ("-4m", ())] == [(alert.step, alert.skipped_steps) for alert in change.alerts]


def test_after_an_outage_a_reminder_is_not_all_that_is_left_of_a_breach() -> None:
    """The highest step reminds the rep only; the manager of the skipped one hears, under the highest step's key."""
    steps = (
        PlannedStep("100%", after(10), alert=("manager",)),
        PlannedStep("+1m", after(11), alert=("head-of-sales",)),
        *(
            PlannedStep(f"+5m{again}", after(15 + 5 * i), remind=("rep",))
            for i, again in enumerate(("", "#2"))
        ),
    )
    change = escalate(lead(steps, done=[]), TRIO, {}, Tally(), after(30))
    assert change is not None
    assert {"ana-slack": AlertKind.REMINDER, "head-of-sales": AlertKind.BREACHED} == told(change)
    assert {("+5m#2", ("100%", "+1m", "+5m"))} == {(one.step, one.skipped_steps) for one in change.alerts}
    later = escalate(lead(steps, done=["100%", "+1m", "+5m"]), TRIO, {}, Tally(), after(30))
    assert later is not None
    assert {"ana-slack": AlertKind.REMINDER} == told(later)
