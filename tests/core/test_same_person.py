"""A further submission of one person: a touch, a tighter SLA where it is due sooner, and who is no longer the same."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.builders import MONDAY, after, generic, ladder, lead, rule, rulebook, sla, step

from speed_to_lead.core.assignment import Tally
from speed_to_lead.core.escalation import due_steps, escalate, first_instant
from speed_to_lead.core.lead import AlertKind, Lead, LeadChange, LeadState, PlannedStep, Touch
from speed_to_lead.core.routing import Route, Rulebook, route_of
from speed_to_lead.core.same_person import add_touch, is_same_person, superseded
from speed_to_lead.core.sla import Step, StepTime

DAY = timedelta(days=1)
#: A lead that has until five in the afternoon, told on receipt and reminded at half time.
PATIENT_LADDER = (
    step("0%", 0, tell=["rep"]),
    step("60%", 288, remind=["rep"]),
    step("100%", 480, alert=["manager"]),
    step("+2h", 600, alert=["head-of-sales"]),
)


def patient(**changes: object) -> Lead:
    """An open lead due after eight hours."""
    return replace(lead(PATIENT_LADDER, deadline_minutes=480, sla="same-day"), **changes)  # type: ignore[arg-type]


def touch(minutes: float = 60) -> Touch:
    """A second submission of the lead's person."""
    return Touch("sub-2", "demo", after(minutes), "referral", "Email", "", generic())


def urgent(minutes: float = 60, book: Rulebook | None = None) -> Route:
    """What the rules give that submission: ten minutes."""
    return route_of(generic(), "demo", None, after(minutes), book or rulebook())


def touched(before: Lead, minutes: float = 60, late: float = 0, book: Rulebook | None = None) -> LeadChange:
    used = book or rulebook()
    return add_touch(before, touch(minutes), urgent(minutes, used), used, after(minutes + late))


def names(steps: tuple[PlannedStep, ...]) -> list[str]:
    return [one.name for one in steps]


def test_a_touch_that_is_due_later() -> None:
    """A touch adds itself and nothing else: source, clock, steps, trace and rep stay as the first touch made them."""
    before = lead()
    change = touched(before, 3)
    as_it_was = replace(before, version=2, touches=(touch(3),))
    assert as_it_was == change.lead
    assert ((), {}, {"touches": 1}, ["lead.touched"]) == (
        change.alerts, change.load, change.counters, [entry.event for entry in change.history],
    )  # fmt: skip


def test_a_touch_without_a_route() -> None:
    """A touch whose own route cannot be told is a touch all the same."""
    change = add_touch(patient(), touch(), None, rulebook(), after(60))
    assert (patient().deadline, {"touches": 1}) == (change.lead.deadline, change.counters)


def test_a_touch_that_would_be_nurtured() -> None:
    """Nobody answers it for itself, so its deadline is none: the lead keeps its SLA, as with a touch that has no route."""
    not_yet = replace(rule("not yet"), team="", sla="", nurture="newsletter")
    book = rulebook(not_yet)
    route = urgent(60, book)
    assert "newsletter" == route.nurture
    assert add_touch(patient(), touch(), None, book, after(60)) == add_touch(
        patient(), touch(), route, book, after(60)
    )


def test_a_touch_that_is_due_sooner() -> None:
    """The lead takes that SLA with its deadline and steps; what was done stays done; source and rep stay."""
    before = patient()
    change = touched(before)
    made = change.lead
    assert ("ten-minutes", after(70), after(66)) == (made.sla, made.deadline, made.next_at)
    assert ["0%", "sooner-1", "60%", "100%", "+10m"] == names(made.steps)
    assert ("0%", "sooner-1") == made.steps_done
    assert [after(0), after(60), after(66), after(70), after(80)] == [one.at for one in made.steps]
    assert (before.source, before.rep, before.rule, before.team, before.received_at) == (
        made.source, made.rep, made.rule, made.team, made.received_at,
    )  # fmt: skip
    assert ({}, None, {"touches": 1}) == (change.load, change.rotation, change.counters)


def test_it_says_so_in_trace_history_and_to_the_rep() -> None:
    """The rep who was told eight hours hears at once that it is ten minutes; trace and history say what and why."""
    change = touched(patient())
    (alert,) = change.alerts
    assert ("ana-slack", AlertKind.REMINDER, "sooner-1") == (alert.destination, alert.kind, alert.step)
    why = (
        'touch sub-2 (form "demo", rule "Everything") is due 2026-11-23T10:10:00Z, sooner than 2026-11-23T17:00:00Z: '
        'the lead takes its SLA "ten-minutes"'
    )
    assert (why,) == change.lead.trace
    told, sooner = change.history
    assert ("lead.touched", "lead.due_sooner") == (told.event, sooner.event)
    assert sooner.details == {
        "submission": "sub-2",
        "rule": "Everything",
        "sla": "ten-minutes",
        "before": "2026-11-23T17:00:00Z",
        "deadline": "2026-11-23T10:10:00Z",
        "config": "digest",
        "steps": ["60%", "100%", "+10m"],
        "told": {"ana-slack": "sooner-1"},
    }


def test_a_step_done_under_a_name_of_the_new_ladder() -> None:
    """The reminder of the long SLA went out; that of the short one is another step, and comes under another name."""
    before = patient(steps_done=("0%", "60%"))
    made = touched(before, 300).lead
    assert ["0%", "60%", "sooner-1", "60%-2", "100%", "+10m"] == names(made.steps)
    assert ("0%", "60%", "sooner-1") == made.steps_done


def test_a_step_that_is_due_and_not_yet_decided() -> None:
    """The clock was away when the reminder fell due: the touch does not take it off the ladder."""
    made = touched(patient(), 300).lead
    assert ["60%"] == names(due_steps(made, after(300)))
    assert ["0%", "60%", "sooner-1", "60%-2", "100%", "+10m"] == names(made.steps)
    assert after(288) == made.next_at


def test_a_step_on_receipt_that_the_lead_did_not_have() -> None:
    """Whom the new ladder tells on receipt, and the old one did not, is told of the lead, once."""
    hello = Step("hello", StepTime.parse("0%"), tell=("head-of-sales", "rep"))
    book = rulebook(sla_used=sla(hello, Step("100%", StepTime.parse("100%"), alert=("manager",))))
    change = touched(patient(), book=book)
    assert {"ana-slack": AlertKind.REMINDER, "head-of-sales": AlertKind.ASSIGNED} == {
        alert.destination: alert.kind for alert in change.alerts
    }
    assert ("0%", "sooner-1", "hello") == change.lead.steps_done


def test_a_second_touch_that_is_due_sooner_still() -> None:
    """Each tightening has its own step and line, and alerts under keys of their own."""
    first = touched(patient()).lead
    quick = rulebook(sla_used=sla(within=timedelta(minutes=2)))
    second = touched(first, 61, book=quick)
    assert {"lead-1:sooner-2:ana-slack"} == {alert.key for alert in second.alerts}
    assert (after(63), 2) == (second.lead.deadline, len(second.lead.trace))
    assert len(names(second.lead.steps)) == len(set(names(second.lead.steps)))


@pytest.mark.parametrize("deadline", [after(70), after(71)])
def test_equal_is_not_sooner(deadline: object) -> None:
    """Only what is due sooner changes the SLA: a deadline equal to the lead's leaves it."""
    made = touched(patient(deadline=deadline)).lead
    assert made.deadline == after(70)
    assert (made.sla == "same-day") is (deadline == after(70))


def test_a_lead_that_is_breached_keeps_its_deadline() -> None:
    """A breach that was noted was at that deadline; a submission that was late in the queue does not move it."""
    before = patient(breached_at=after(480))
    assert before.deadline == touched(before, 60, late=500).lead.deadline


def test_a_team_that_config_has_no_longer() -> None:
    """Then the manager of the touch's own team hears that it is due sooner: somebody must."""
    change = touched(patient(team="gone", rep="zoe"))
    assert ["managers"] == [alert.destination for alert in change.alerts]


@given(st.lists(st.tuples(st.floats(0, 400), st.floats(1, 300), st.booleans()), min_size=1, max_size=6))
def test_no_step_is_lost_or_repeated(events: list[tuple[float, float, bool]]) -> None:
    """Whatever touches come, in whatever order with the clock: each alert has a key of its own, every step ends decided."""
    one, alerts = patient(), list[str]()
    for minutes, within, clock_came in sorted(events):
        book = rulebook(sla_used=sla(within=timedelta(minutes=within)))
        change = add_touch(one, touch(minutes), urgent(minutes, book), book, after(minutes))
        assert change.lead.deadline == min(one.deadline, urgent(minutes, book).deadline) or one.breached_at
        assert set(one.steps_done) <= set(change.lead.steps_done)
        assert {s.name for s in due_steps(one, after(minutes))} <= {s.name for s in change.lead.steps}
        alerts += [alert.key for alert in change.alerts]
        one = change.lead
        swept = _swept(one, minutes) if clock_came else None
        if swept is not None:
            alerts += [alert.key for alert in swept.alerts]
            one = swept.lead
        assert first_instant(one) == one.next_at
    while (swept := _swept(one, 10_000)) is not None:
        alerts += [alert.key for alert in swept.alerts]
        one = swept.lead
    assert len(alerts) == len(set(alerts))
    assert len(names(one.steps)) == len(set(names(one.steps)))
    assert set(names(one.steps)) == set(one.steps_done)


def _swept(one: Lead, minutes: float) -> LeadChange | None:
    return escalate(one, rulebook().teams["inbound"], {}, Tally(), after(minutes))


def test_the_window() -> None:
    """Two submissions are one person's up to so long after each other, that instant included; touches count."""
    assert is_same_person(lead(), MONDAY + 90 * DAY, 90 * DAY)
    assert not is_same_person(lead(), MONDAY + 90 * DAY + timedelta(milliseconds=1), 90 * DAY)
    later = lead(touches=(touch(minutes=60 * 24 * 50),))
    assert is_same_person(later, MONDAY + 140 * DAY, 90 * DAY)
    assert not is_same_person(later, MONDAY + 141 * DAY, 90 * DAY)


def test_a_submission_received_before_the_lead() -> None:
    """What waited longer in the queue than the lead did is of the same person too."""
    assert is_same_person(lead(), MONDAY - DAY, timedelta(hours=1))


def test_a_superseded_lead() -> None:
    """It is closed, its rep's load goes down, and where it was late that is noted."""
    change = superseded(lead(ladder()), after(60))
    assert change is not None
    assert (LeadState.CLOSED, "superseded", {"ana": -1}) == (
        change.lead.state, change.lead.closed_reason, change.load,
    )  # fmt: skip
    assert ["lead.breached", "lead.closed"] == [entry.event for entry in change.history]
