"""The ladder: repeats, steps that ask for open hours, whom targets mean, and what an acknowledgement holds back."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.builders import (
    ALWAYS,
    MINUTE,
    MONDAY,
    OFFICE,
    after,
    lead,
    office,
    rep,
    response,
    sla,
    step,
    team,
)

from speed_to_lead.core.assignment import Tally
from speed_to_lead.core.delivery import Destination
from speed_to_lead.core.escalation import destinations_of, escalate, first_instant, held_back
from speed_to_lead.core.lead import HOLD, AlertKind, Lead, PlannedStep, ResponseKind
from speed_to_lead.core.response import reassign_lead, record_response
from speed_to_lead.core.sla import SLA, Clock, Step, StepTime, deadline_of, planned_steps, steps_left_out

QUARTER = timedelta(minutes=15)


def planned(used: SLA, minutes: float = 0) -> dict[str, float]:
    """The steps of a lead received so many minutes after Monday 09:00, in minutes after that."""
    received = after(minutes)
    steps = planned_steps(used, OFFICE, received, deadline_of(used, OFFICE, received))
    return {one.name: (one.at - MONDAY) / MINUTE for one in steps}


def repeating(**more: object) -> Step:
    return Step("late", StepTime.parse("100%"), alert=("manager",), repeat=QUARTER, **more)  # type: ignore[arg-type]


def test_a_step_that_repeats_comes_again_under_names_of_its_own_and_ends() -> None:
    """Each has a key, in the order of their instants; the ladder has an end even where nobody ever answers."""
    assert {"late": 10, "late#2": 25, "late#3": 40} == planned(sla(repeating(times=2)))
    assert 9 == len(planned(sla(repeating())))


def test_repeats_count_on_the_clock_of_the_sla() -> None:
    """An SLA of business hours repeats within them: what would come at night comes the next morning."""
    used = SLA("b", timedelta(hours=8), clock=Clock.BUSINESS, steps=(repeating(times=1),))
    assert {"late": 8 * 60, "late#2": 24 * 60 + 15} == planned(used)


def test_a_step_for_open_hours_is_left_out_while_they_are_over() -> None:
    """Decided when the lead is routed, told in its trace, for each repeat by itself."""
    used = sla(Step("0%", StepTime.parse("0%"), tell=("rep",)), repeating(times=2, only_when=OFFICE))
    steps = planned_steps(used, ALWAYS, after(8 * 60 - 30), after(8 * 60 - 20))
    assert ["0%", "late", "late#2"] == [one.name for one in steps]
    assert ('step "late#3" is left out: calendar "office" is closed then',) == steps_left_out(used, steps)
    at_night = planned_steps(used, ALWAYS, after(9 * 60), after(9 * 60 + 10))
    assert ["0%"] == [one.name for one in at_night]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("team", ("ana-slack", "shared")),
        ("level:1", ("heads",)),
        ("level:2", ("board",)),
        ("level:5", ("board",)),
        ("manager", ("managers",)),
        ("rep", ("shared",)),
        ("pager", ("pager",)),
    ],
)
def test_whom_a_target_means(target: str, expected: tuple[str, ...]) -> None:
    """A team is all its reps, each address once; a level beyond the highest is the highest."""
    members = team(
        "ana",
        rep("ben", notify="shared"),
        rep("cy", notify="shared"),
        rep("mute", notify=None),
        levels=("heads", "board"),
    )
    assert expected == destinations_of(target, members, "ben")


def test_a_team_without_addresses_or_levels_is_its_manager() -> None:
    """Somebody hears."""
    members = team(rep("mute", notify=None))
    assert [("managers",)] * 3 == [
        destinations_of(one, members, None) for one in ("team", "level:1", "level:2")
    ]
    assert ((), ()) == (destinations_of("team", None, None), destinations_of("level:1", None, None))


def acknowledged(known: Lead, minutes: float) -> Lead:
    """By whoever has it."""
    said = replace(response(ResponseKind.ACKNOWLEDGED, minutes), by=known.rep or "somebody")
    change = record_response(known, said, after(minutes))
    assert change is not None
    return change.lead


def test_mine_from_a_rep_who_lost_the_lead_is_evidence_and_no_more() -> None:
    """It is not theirs any more: what waits for the rep who has it comes when it was to come, and they may say it."""
    passed_on = replace(lead(), rep="ben", reps_before=("ana",))
    said = replace(response(ResponseKind.ACKNOWLEDGED, 5), by="ana")
    change = record_response(passed_on, said, after(5))
    assert change is not None
    assert replace(passed_on, version=2, responses=(said,)) == change.lead
    assert ["ben"] == [entry.details.get("has_it") for entry in change.history]
    assert after(5) == acknowledged(change.lead, 5).acknowledged_at
    back = replace(passed_on, rep="ana", reps_before=("ana", "ben"))
    assert after(5) == acknowledged(back, 5).acknowledged_at


def test_an_acknowledgement_holds_back_reminders_and_passing_on_but_no_alert() -> None:
    """The manager hears of the breach on time; ten minutes after the word the lead is passed on all the same."""
    changed = acknowledged(lead(), 5)
    assert {
        "0%": (0.0, False, ()),
        "60%": (15.0, False, ("rep",)),
        "100%": (10.0, False, ()),
        "100%.held": (15.0, True, ()),
        "+10m": (20.0, False, ()),
    } == {one.name: (round((one.at - MONDAY) / MINUTE, 2), one.reassign, one.remind) for one in changed.steps}
    assert after(10) == changed.next_at


def test_what_is_held_back_is_told_once_when_its_time_is_over() -> None:
    """One alert, which names what it stands for, and the lead moves on."""
    changed = acknowledged(lead(), 5)
    members = team("ana", "ben")
    at_deadline = escalate(changed, members, {"inbound": members}, Tally(), after(10))
    assert at_deadline is not None
    assert [("100%", "managers")] == [(one.step, one.destination) for one in at_deadline.alerts]
    assert "ana" == at_deadline.lead.rep
    over = escalate(at_deadline.lead, members, {"inbound": members}, Tally(), after(15))
    assert over is not None
    assert {("100%.held", ("60%",))} == {(one.step, one.skipped_steps) for one in over.alerts}
    assert ["ben-slack", "ana-slack"] == [one.destination for one in over.alerts]
    assert ("ben", None) == (over.lead.rep, over.lead.acknowledged_at)


def test_with_another_rep_the_hold_ends() -> None:
    """They said nothing yet: what was still to come is due as planned, what should have come before they had it stays."""
    changed = acknowledged(lead(), 5)
    members = team("ana", "ben")
    for minute, reminder, word in ((5.5, 6.0, 16.5), (7.0, 15.0, 18.0)):
        passed = reassign_lead(changed, {"inbound": members}, "ben", "boss", after(minute))
        assert passed is not None
        instants = {one.name: round((one.at - MONDAY) / MINUTE, 2) for one in passed.lead.steps}
        assert {"0%": 0.0, "60%": reminder, "100%": 10.0, "100%.held": 10.0, "+10m": 20.0} == instants
        assert after(min(reminder, 10)) == passed.lead.next_at
        theirs = acknowledged(passed.lead, minute + 1)
        assert word == max(
            round((one.at - MONDAY) / MINUTE, 1) for one in theirs.steps if one.remind or one.reassign
        )


def test_only_the_first_word_holds_back() -> None:
    """Whoever says "mine" every nine minutes keeps no lead for ever; the SLA says how long."""
    once = acknowledged(lead(hold=timedelta(minutes=2)), 5)
    change = record_response(once, response(ResponseKind.ACKNOWLEDGED, 6, by="ben"), after(6))
    assert change is not None
    twice = change.lead
    assert once.steps == twice.steps
    assert [7.0] == [round((one.at - MONDAY) / MINUTE, 2) for one in once.steps if one.remind]


def test_a_word_that_is_heard_of_late_counts_from_when_it_was_said() -> None:
    """What was due before the hold ended stays due."""
    assert (lead(), ()) == held_back(lead(), after(-HOLD / MINUTE))
    changed = record_response(lead(), response(ResponseKind.ACKNOWLEDGED, 1, recorded=30), after(30))
    assert changed is not None
    assert [11.0] == [round((one.at - MONDAY) / MINUTE, 2) for one in changed.lead.steps if one.remind]


def test_a_name_that_is_taken_is_not_taken_again() -> None:
    """Of two steps under one name one would be lost."""
    steps = (*lead().steps, step("100%.held", 50, alert=["pager"]))
    changed = acknowledged(lead(steps), 5)
    assert {"100%.held": 50, "100%.held'": 15} == {
        one.name: (one.at - MONDAY) / MINUTE for one in changed.steps if "held" in one.name
    }


STEPS = st.lists(
    st.tuples(st.integers(1, 40), st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=6
)


@given(steps=STEPS, said_at=st.integers(0, 45), deadline=st.integers(1, 40))
def test_every_ladder_agrees_with_a_plain_model(
    steps: list[tuple[int, bool, bool, bool]], said_at: int, deadline: int
) -> None:
    """Minute by minute: alerts come when they stand there, what is held waits ten minutes and comes, each key once."""
    ladder = tuple(
        PlannedStep(
            f"s{number}",
            after(minute),
            remind=("rep",) if remind else (),
            alert=("pager",) if alert or not (remind or reassign) else (),
            reassign=reassign,
        )
        for number, (minute, remind, alert, reassign) in enumerate(sorted(steps))
    )
    known = lead(ladder, done=(), deadline_minutes=deadline)
    members = team(*(f"rep{number}" for number in range(9)), "ana")
    keys: Counter[str] = Counter()
    alerted, reminded, passed = set(), set(), set()
    for minute in range(61):
        change = escalate(known, members, {"inbound": members}, Tally(), after(minute))
        if change is not None:
            known = change.lead
            keys.update(one.key for one in change.alerts)
            alerted |= {minute for one in change.alerts if one.destination == "pager"}
            reminded |= {
                minute
                for one in change.alerts
                if one.kind is AlertKind.REMINDER and one.destination != "pager"
            }
            passed |= {minute for one in change.history if one.event == "lead.reassigned"}
        if minute == said_at:
            known = acknowledged(known, minute)

    def when_held(minute: int) -> int:
        return minute if minute <= said_at or minute >= said_at + 10 else said_at + 10

    assert 1 == max(keys.values(), default=1)
    assert {round((one.at - MONDAY) / MINUTE) for one in ladder if one.alert} == alerted
    wait = {when_held(round((one.at - MONDAY) / MINUTE)) for one in ladder if one.reassign}
    assert wait == passed
    assert reminded <= {when_held(round((one.at - MONDAY) / MINUTE)) for one in ladder if one.remind}
    assert {one.name for one in known.steps} == set(known.steps_done)
    assert first_instant(known) is None


QUIET = Destination("desk", "console", {}, quiet_outside=office("UTC"))


@pytest.mark.parametrize(
    ("kind", "minutes", "breaches_too", "expected"),
    [
        (AlertKind.REMINDER, 0, False, None),
        (AlertKind.REMINDER, 9 * 60, False, 24 * 60),
        (AlertKind.ASSIGNED, 9 * 60, False, 24 * 60),
        (AlertKind.BREACHED, 9 * 60, False, None),
        (AlertKind.BREACHED, 9 * 60, True, 24 * 60),
        (AlertKind.CONTRADICTION, 9 * 60, True, None),
    ],
)
def test_quiet_hours_hold_back_no_breach_unless_it_is_written_out(
    kind: AlertKind, minutes: int, breaches_too: bool, expected: int | None
) -> None:
    """And nothing about the system, ever."""
    until = replace(QUIET, quiet_breaches=breaches_too).quiet_until(kind, after(minutes))
    assert (None if expected is None else after(expected)) == until
