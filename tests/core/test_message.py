"""What an alert says, at the moment it is sent."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from speed_to_lead.core.assignment import Assignment, Team
from speed_to_lead.core.calendar import Calendar
from speed_to_lead.core.lead import Alert, AlertKind, Lead, LeadState, Response, ResponseKind
from speed_to_lead.core.message import Message, compose, compose_system, span_text
from speed_to_lead.core.reps import Rep
from speed_to_lead.core.submission import GenericLead

RECEIVED = datetime(2026, 11, 22, 9, 55, tzinfo=UTC)
DEADLINE = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


class LocalText:
    """Stands in for a calendar, of which a message needs one answer only."""

    def local_text(self, instant: datetime) -> str:
        return f"{instant:%H:%M} in Berlin"


CALENDAR = cast("Calendar", LocalText())
TEAM = Team("inbound", CALENDAR, "sdr-managers", Assignment.ROUND_ROBIN, (Rep("bo", "Bo Berg", CALENDAR),))
LEAD = Lead(
    id="lead-42",
    version=1,
    state=LeadState.OPEN,
    form="website",
    received_at=RECEIVED,
    lead=GenericLead(
        {
            "first_name": "Ann",
            "last_name": "Doe",
            "company": "Acme",
            "email": "ann@acme.example",
            "phone": 491234,
            "message": "Prices?",
        }
    ),
    source="demo_request",
    channel="direct",
    campaign="",
    rule="Demo",
    team="inbound",
    rep="bo",
    sla="inbound-5m",
    deadline=DEADLINE,
    steps=(),
    config_digest="d",
)
ALERT = Alert(
    lead_id="lead-42", step="100%", destination="sdr-managers", kind=AlertKind.BREACHED, decided_at=DEADLINE
)


def said(
    alert: Alert = ALERT,
    lead: Lead = LEAD,
    team: Team | None = TEAM,
    *,
    after: timedelta = timedelta(seconds=90),
) -> Message:
    return compose(alert, lead, team, "Inbound demo request", "https://stl.example/l", DEADLINE + after)


def test_facts_in_reading_order() -> None:
    """Who, from where, since when, whose, by when, how to reach them, what they asked, what was missed."""
    message = said(replace(ALERT, skipped_steps=("0%", "60%")))
    expected = (
        ("Who", "Ann Doe (Acme)"),
        ("Source", "Inbound demo request"),
        ("Waiting", "6 min"),
        ("Belongs to", "Bo Berg, team inbound"),
        ("Answer by", "10:00 in Berlin (90 s ago)"),
        ("E-mail", "ann@acme.example"),
        ("Phone", "491234"),
        ("Asked", "Prices?"),
        ("Steps missed", "0%, 60%"),
    )
    assert expected == message.facts


def test_everything_else_a_destination_needs() -> None:
    """The key and the instants of the decision, the lead's own fields as they are now."""
    alert = replace(ALERT, note="a note", late_seconds=2.5, skipped_steps=("60%",))
    expected = Message(
        key="lead-42:100%:sdr-managers",
        kind=AlertKind.BREACHED,
        headline="Deadline missed: Ann Doe (Acme), overdue by 90 s, Bo Berg has it",
        facts=said(alert).facts,
        decided_at=DEADLINE,
        note="a note",
        lead_id="lead-42",
        step="100%",
        team="inbound",
        rep="bo",
        source="demo_request",
        deadline=DEADLINE,
        late_seconds=2.5,
        skipped_steps=("60%",),
        url="https://stl.example/l",
    )
    assert expected == said(alert)


@pytest.mark.parametrize(
    ("kind", "seconds", "expected"),
    [
        (AlertKind.ASSIGNED, -300, "New lead for Bo Berg: Ann Doe (Acme), 5 min left"),
        (AlertKind.REMINDER, -40, "Still waiting: Ann Doe (Acme), 40 s left, Bo Berg has it"),
        (AlertKind.REASSIGNED, 30, "Passed on to Bo Berg: Ann Doe (Acme), overdue by 30 s"),
        (AlertKind.BREACHED, 0, "Deadline missed: Ann Doe (Acme), overdue by 0 s, Bo Berg has it"),
        (AlertKind.BREACHED, 600, "Deadline missed: Ann Doe (Acme), overdue by 10 min, Bo Berg has it"),
        (AlertKind.QUARANTINED, 5, "system.lead_quarantined: Ann Doe (Acme), overdue by 5 s, Bo Berg has it"),
    ],
)
def test_headline(kind: AlertKind, seconds: int, expected: str) -> None:
    """What happened, to whom, and how long there is; only a breach says that a deadline was missed."""
    assert expected == said(replace(ALERT, kind=kind), after=timedelta(seconds=seconds)).headline


@pytest.mark.parametrize("kind", list(AlertKind))
def test_every_kind_has_a_headline_of_its_own(kind: AlertKind) -> None:
    """A new kind does not pass for a missed deadline."""
    headline = said(replace(ALERT, kind=kind)).headline
    assert (kind is AlertKind.BREACHED) == headline.startswith("Deadline missed")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (LeadState.ANSWERED, "Deadline missed: Ann Doe (Acme), answered meanwhile, Bo Berg has it"),
        (LeadState.CLOSED, "Deadline missed: Ann Doe (Acme), closed meanwhile, Bo Berg has it"),
    ],
)
def test_an_alert_that_was_long_under_way(state: LeadState, expected: str) -> None:
    """It tells how things stand now: nobody is called to a lead that has its answer, and the wait has ended."""
    ended = RECEIVED + timedelta(seconds=30)
    answered_at, closed_at = (ended, None) if state is LeadState.ANSWERED else (None, ended)
    lead = replace(LEAD, state=state, answered_at=answered_at, closed_at=closed_at)
    message = said(lead=lead, after=timedelta(hours=1))
    assert expected == message.headline
    assert ("Waiting", "30 s") in message.facts


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "Dr Ann Doe", "email": "a@x"}, "Dr Ann Doe"),
        ({"last_name": "Doe", "email": "a@x"}, "Doe"),
        ({"email": "a@x", "company": "Acme"}, "a@x (Acme)"),
        ({"phone": "+49 1"}, "+49 1"),
        ({}, "somebody"),
    ],
)
def test_who(fields: dict[str, str], expected: str) -> None:
    """The best name there is."""
    assert ("Who", expected) == said(lead=replace(LEAD, lead=GenericLead(fields))).facts[0]


@pytest.mark.parametrize(
    ("rep", "team", "expected"),
    [
        ("bo", TEAM, "Bo Berg, team inbound"),
        ("gone", TEAM, "gone, team inbound"),
        ("bo", None, "bo, team inbound"),
        (None, TEAM, "nobody, team inbound"),
    ],
)
def test_whose(rep: str | None, team: Team | None, expected: str) -> None:
    """The rep who has it now, by name where config still knows one."""
    assert ("Belongs to", expected) == said(lead=replace(LEAD, rep=rep), team=team).facts[3]


def test_a_team_that_is_gone_leaves_the_deadline_in_utc() -> None:
    """Without a calendar there is no local time."""
    assert said(team=None).facts[4] == ("Answer by", "2026-11-22T10:00:00Z (90 s ago)")
    early = said(team=None, after=timedelta(minutes=-3)).facts[4]
    assert early == ("Answer by", "2026-11-22T10:00:00Z (in 3 min)")


def test_a_possible_repeat_says_so() -> None:
    """Only an attempt without an answer makes one."""
    assert not said(replace(ALERT, attempts=3)).possible_repeat
    assert said(replace(ALERT, attempts=3, unknown_attempts=1)).possible_repeat
    assert compose_system(replace(ALERT, unknown_attempts=1), "x").possible_repeat


def test_a_message_about_the_system_has_no_lead() -> None:
    """What it has of the alert it keeps; the lead's own fields are empty."""
    alert = replace(ALERT, kind=AlertKind.STAGE_SILENT, lead_id="system", step="router", note="since 10:00")
    expected = Message(
        key="system:router:sdr-managers",
        kind=AlertKind.STAGE_SILENT,
        headline="The router is silent",
        facts=(),
        decided_at=DEADLINE,
        note="since 10:00",
        step="router",
    )
    assert expected == compose_system(alert, "The router is silent")


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (timedelta(seconds=-5), "0 s"),
        (timedelta(0), "0 s"),
        (timedelta(seconds=0.9), "0 s"),
        (timedelta(seconds=40), "40 s"),
        (timedelta(seconds=119.9), "119 s"),
        (timedelta(seconds=120), "2 min"),
        (timedelta(minutes=6, seconds=59), "6 min"),
        (timedelta(minutes=119, seconds=59), "119 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=3, minutes=20), "3 h 20 min"),
        (timedelta(hours=47, minutes=59), "47 h 59 min"),
        (timedelta(hours=48), "2 d"),
        (timedelta(days=2, hours=4, minutes=59), "2 d 4 h"),
        (timedelta(days=400), "400 d"),
    ],
)
def test_span_text(span: timedelta, expected: str) -> None:
    """Two units at the most, cut and not rounded, never negative."""
    assert expected == span_text(span)


@pytest.mark.parametrize(
    ("said_by", "expected"),
    [
        ((), "Bo Berg has it now: "),
        (("bo",), "Bo Berg is on it: "),
        (("slack:UMANAGER",), "Somebody is on it: "),
        (("bo", "ben"), "Bo Berg is on it: "),
    ],
)
def test_who_is_on_it_is_who_said_so(said_by: tuple[str, ...], expected: str) -> None:
    """A manager who presses is not the rep, and a rep who lost the lead before is not on it."""
    responses = tuple(Response(ResponseKind.ACKNOWLEDGED, by, DEADLINE, DEADLINE) for by in said_by)
    taken = replace(
        LEAD,
        responses=responses,
        reps_before=("ben",),
        acknowledged_at=DEADLINE if said_by else None,
        state=LeadState.OPEN,
    )
    moved = Alert(taken.id, "moved-2", "managers", AlertKind.MOVED, DEADLINE)
    assert compose(moved, taken, TEAM, "Demo", "", DEADLINE).headline.startswith(expected)
