"""Responses, closing and passing on: what people change about a lead."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.builders import MONDAY, after, form, lead, parsed, rep, response, rulebook, team

from speed_to_lead.core.assignment import Tally
from speed_to_lead.core.escalation import escalate
from speed_to_lead.core.lead import AlertKind, Lead, LeadChange, LeadState, Response, ResponseKind
from speed_to_lead.core.response import ImpossibleChange, close_lead, reassign_lead, record_response
from speed_to_lead.core.routing import new_lead, route_of

STOPPING = [kind for kind in ResponseKind if kind.stops_clock]
TEAMS = {
    one.name: one
    for one in (
        team("cy", "ana", name="outbound", manager="outbound-managers"),
        team("ana", "ben", rep("mute", notify=None)),
    )
}


def responded(given_lead: Lead, given_response: Response, minutes: float = 5) -> LeadChange:
    change = record_response(given_lead, given_response, after(minutes))
    assert change is not None
    return change


def test_a_response_without_an_instant_counts_though_the_servers_clock_was_set_back() -> None:
    """Nobody named an instant, so none can be wrong: it happened no earlier than the lead came."""
    now = after(-1)
    told = Response(ResponseKind.CONNECTED, "ana", now, now)
    change = record_response(lead(), told, now)
    assert change is not None
    assert (LeadState.ANSWERED, lead().received_at) == (change.lead.state, change.lead.answered_at)


@pytest.mark.parametrize("kind", STOPPING)
def test_a_response_stops_the_clock(kind: ResponseKind) -> None:
    """From `attempted` on the lead is answered: no next instant, no alert, and one open lead less for the rep."""
    change = responded(lead(), response(kind))
    assert (LeadState.ANSWERED, after(5), None) == (
        change.lead.state,
        change.lead.answered_at,
        change.lead.next_at,
    )
    assert (change.load, change.counters) == ({"ana": -1}, {"answered": 1, "answered_in_time": 1})
    assert ((), 2, (response(kind),)) == (change.alerts, change.lead.version, change.lead.responses)
    assert [f"lead.{kind}"] == [entry.event for entry in change.history]


def test_acknowledged_stops_no_clock() -> None:
    """Whoever says "mine" has said so once, and the clock runs on."""
    change = responded(lead(), response(ResponseKind.ACKNOWLEDGED, 2))
    assert (LeadState.OPEN, lead().deadline, after(2)) == (
        change.lead.state, change.lead.next_at, change.lead.acknowledged_at,
    )  # fmt: skip
    assert (change.load, change.counters) == ({}, {})
    again = responded(change.lead, response(ResponseKind.ACKNOWLEDGED, 3, by="ben"))
    assert after(2) == again.lead.acknowledged_at


@pytest.mark.parametrize(
    ("at", "heard", "breach_noted", "counters", "breached"),
    [
        (9.99, 9.99, False, {"answered": 1, "answered_in_time": 1}, False),
        (9.99, 30, False, {"answered": 1, "answered_in_time": 1}, False),
        (9.99, 30, True, {"answered": 1, "answered_in_time": 1}, True),
        (10, 10, False, {"answered": 1, "breaches": 1}, True),
        (10, 10, True, {"answered": 1}, True),
        (12, 12, False, {"answered": 1, "breaches": 1}, True),
        (12, 30, True, {"answered": 1}, True),
    ],
)
def test_in_time_or_late(
    at: float,
    heard: float,
    breach_noted: bool,
    counters: dict[str, int],
    breached: bool,
) -> None:
    """In time is before the deadline, by when it happened; the breach is counted once, whether or not the clock came first."""
    before = lead(breached_at=after(10)) if breach_noted else lead()
    change = responded(before, response(minutes=at, recorded=heard), heard)
    assert counters == change.counters
    assert (after(10) if breached else None) == change.lead.breached_at


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (response(), response()),
        (response(minutes=5), response(minutes=6)),  # no instant given: the same button pressed twice
        (response(minutes=3, recorded=4), response(minutes=3, recorded=9)),
        (
            response(minutes=3, recorded=4),
            replace(response(minutes=3, recorded=9), at=after(3) + timedelta(microseconds=9)),
        ),
        (response(ResponseKind.ACKNOWLEDGED), response(ResponseKind.ACKNOWLEDGED, 6)),
    ],
)
def test_repeats_do_nothing(first: Response, second: Response) -> None:
    """The same evidence told again changes nothing, also after the store kept its instant to the millisecond."""
    change = responded(lead(), first)
    assert record_response(change.lead, second, after(20)) is None


@pytest.mark.parametrize(
    "second",
    [
        response(ResponseKind.CONNECTED, 7),
        response(by="ben"),
        response(minutes=3, recorded=9),
        replace(response(), evidence="call-2"),
        replace(response(), via="slack"),
        response(ResponseKind.ACKNOWLEDGED, 7),
    ],
)
@pytest.mark.parametrize("state", [LeadState.ANSWERED, LeadState.CLOSED])
def test_further_evidence_is_kept(second: Response, state: LeadState) -> None:
    """Evidence after the first is kept, and moves no clock, count or state."""
    answered = replace(responded(lead(), response()).lead, state=state)
    change = responded(answered, second, 20)
    assert (response(), second) == change.lead.responses
    assert (change.load, change.counters, change.alerts) == ({}, {}, ())
    unchanged = replace(
        change.lead,
        version=answered.version,
        responses=answered.responses,
        acknowledged_at=answered.acknowledged_at,
    )
    assert answered == unchanged


@pytest.mark.parametrize(
    ("minutes", "now", "words"),
    [
        (11, 5, "in the future"),
        (10.01, 5, "in the future"),
        (-1, 5, "before the lead"),
        (-0.02, 5, "before the lead"),
    ],
)
def test_impossible_instants(minutes: float, now: float, words: str) -> None:
    """Nobody answered before the lead came, or tomorrow."""
    with pytest.raises(ImpossibleChange, match=words):
        record_response(lead(), response(minutes=minutes, recorded=now), after(now))


def test_clocks_differ_a_little() -> None:
    """A clock a little ahead means now; whole seconds mean the receipt within that second: nobody answers in the past."""
    assert after(5) == responded(lead(), response(minutes=9), 5).lead.answered_at
    received = MONDAY + timedelta(milliseconds=900)
    assert received == responded(lead(received_at=received), response(minutes=0), 5).lead.answered_at


@pytest.mark.parametrize("minutes", [5, 10, 11])
def test_close(minutes: float) -> None:
    """A closed lead waits for nothing; one that waited past its deadline was late all the same."""
    change = close_lead(lead(), "spam", "mia", after(minutes))
    assert change is not None
    assert (LeadState.CLOSED, "spam", after(minutes), None) == (
        change.lead.state, change.lead.closed_reason, change.lead.closed_at, change.lead.next_at,
    )  # fmt: skip
    late = minutes >= 10
    assert (after(10) if late else None) == change.lead.breached_at
    assert ({"ana": -1}, {"closed": 1} | ({"breaches": 1} if late else {})) == (change.load, change.counters)
    assert close_lead(change.lead, "spam", "mia", after(minutes)) is None
    assert escalate(change.lead, TEAMS["inbound"], TEAMS, Tally(), after(99)) is None


def test_closing_an_answered_lead() -> None:
    """An answered lead was given back by its rep already."""
    answered = responded(lead(), response()).lead
    change = close_lead(answered, "won", "mia", after(99))
    assert change is not None
    assert (change.load, change.lead.breached_at, change.counters) == ({}, None, {"closed": 1})


@pytest.mark.parametrize(
    ("rep_id", "team_name", "destination"),
    [("ben", "inbound", "ben-slack"), ("mute", "inbound", "managers"), ("cy", "outbound", "cy-slack")],
)
def test_reassign(rep_id: str, team_name: str, destination: str) -> None:
    """Both reps are told, the count moves, the team follows the rep, and the clock does not restart."""
    before = lead(acknowledged_at=after(1))
    change = reassign_lead(before, TEAMS, rep_id, "mia", after(5))
    assert change is not None
    assert (rep_id, team_name, ("ana",), None) == (
        change.lead.rep, change.lead.team, change.lead.reps_before, change.lead.acknowledged_at,
    )  # fmt: skip
    assert [(destination, AlertKind.REASSIGNED), ("ana-slack", AlertKind.REASSIGNED)] == [
        (alert.destination, alert.kind) for alert in change.alerts
    ]
    assert ["", f"Ana need not answer it any more: {rep_id.title()} has it now."] == [
        alert.note for alert in change.alerts
    ]
    assert {"ana": -1, rep_id: 1} == change.load
    clock = (before.deadline, before.steps, before.steps_done, before.next_at, before.sla)
    assert clock == (
        change.lead.deadline,
        change.lead.steps,
        change.lead.steps_done,
        change.lead.next_at,
        change.lead.sla,
    )
    assert reassign_lead(change.lead, TEAMS, rep_id, "mia", after(5)) is None


def test_reassign_stays_in_the_team() -> None:
    """A rep of two teams takes the lead in the team it is in, whichever config names first."""
    change = reassign_lead(lead(rep="ben"), TEAMS, "ana", "mia", after(5))
    assert change is not None
    assert change.lead.team == "inbound"
    moved = reassign_lead(lead(rep="ben", team="gone"), TEAMS, "ana", "mia", after(5))
    assert moved is not None
    assert moved.lead.team == "outbound"


def test_reassign_to_and_fro() -> None:
    """Each passing on has a key of its own, back to an earlier rep too, so that each of them is told."""
    current, keys = lead(rep=None), []
    for rep_id in ("ana", "ben", "ana", "ben"):
        change = reassign_lead(current, TEAMS, rep_id, "mia", after(5))
        assert change is not None
        keys += [alert.key for alert in change.alerts]
        current = change.lead
    assert 7 == len(keys) == len(set(keys))


def test_reassign_refuses() -> None:
    """Nobody can pass on what nobody waits for, or to nobody."""
    with pytest.raises(ImpossibleChange, match='there is no rep "zoe"; the reps are ana, '):
        reassign_lead(lead(), TEAMS, "zoe", "mia", after(5))
    with pytest.raises(ImpossibleChange, match="the lead is answered"):
        reassign_lead(responded(lead(), response()).lead, TEAMS, "ben", "mia", after(5))


ACTIONS = st.tuples(
    st.sampled_from(["new", "answer", "acknowledge", "close", "reassign", "sweep"]),
    st.integers(0, 4),
    st.sampled_from(["ana", "ben", "cy", "mute"]),
    st.integers(0, 9),
)


@given(st.lists(ACTIONS, max_size=40))
def test_load_is_the_number_of_open_leads(actions: list[tuple[str, int, str, int]]) -> None:
    """Whatever people and clocks do, a rep's count is the number of open leads they have, and versions count by one."""
    book = rulebook(teams=list(TEAMS.values()))
    leads: list[Lead] = []
    load: Counter[str] = Counter()
    tally = Tally()
    minutes = 0
    for action, which, rep_id, wait in actions:
        minutes += wait
        now = after(minutes)
        change: LeadChange | None = None
        if action == "new":
            route = route_of(parsed().lead, "demo", None, now, book)
            change = new_lead(f"l{len(leads)}", form(), parsed(), now, route, tally, book, now)
            leads.append(change.lead)
        elif which < len(leads):
            change = _changed(action, leads[which], rep_id, minutes, tally)
            if change is not None:
                assert leads[which].version + 1 == change.lead.version
                leads[which] = change.lead
        if change is not None:
            load.update(change.load)
            tally.note(change)
        assert Counter(one.rep for one in leads if one.is_open and one.rep) == +load
        assert min(load.values(), default=0) >= 0


def _changed(action: str, one: Lead, rep_id: str, minutes: float, tally: Tally) -> LeadChange | None:
    now = after(minutes)
    if action in ("answer", "acknowledge"):
        kind = ResponseKind.CONNECTED if action == "answer" else ResponseKind.ACKNOWLEDGED
        return record_response(one, response(kind, minutes, by=rep_id), now)
    if action == "close":
        return close_lead(one, "spam", "mia", now)
    if action == "reassign":
        return reassign_lead(one, TEAMS, rep_id, "mia", now) if one.is_open else None
    return escalate(one, TEAMS[one.team], TEAMS, tally, now)
