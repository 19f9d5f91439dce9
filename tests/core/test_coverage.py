"""When nobody of a team is there: planted gaps are found to the minute, and nothing else is."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speed_to_lead.core.assignment import Assignment, Team
from speed_to_lead.core.calendar import Calendar, Span
from speed_to_lead.core.coverage import gaps_in
from speed_to_lead.core.reps import Leave, Rep

SUNDAY = datetime(2026, 11, 22, tzinfo=UTC)
TWO_WEEKS = timedelta(days=14)


def calendar(
    *spans: str, timezone: str = "Europe/London", days: range = range(7), holidays: tuple[date, ...] = ()
) -> Calendar:
    hours = dict.fromkeys(days, tuple(map(Span.parse, spans)))
    return Calendar("c", timezone, hours, lambda year: frozenset(day for day in holidays if day.year == year))


def team(own: Calendar, *reps: Calendar | Rep) -> Team:
    people = (
        rep if isinstance(rep, Rep) else Rep(f"r{number}", "", rep)
        for number, rep in enumerate(reps, start=1)
    )
    return Team("t", own, "manager", Assignment.ROUND_ROBIN, tuple(people))


def found(
    one: Team, since: datetime = SUNDAY, length: timedelta = timedelta(days=1), *, day_and_night: bool = True
) -> list[tuple[str, bool]]:
    gaps = gaps_in(one, since, since + length, day_and_night=day_and_night)
    return [(one.calendar.local_span_text(*gap.stretch), gap.is_awaited) for gap in gaps]


ALWAYS = calendar("00:00-24:00")


@pytest.mark.parametrize(
    ("closes", "expected"),
    [
        ("14:00", []),
        ("13:00", [("Sun 22 Nov 13:00 - Sun 22 Nov 14:00 Europe/London", True)]),
        ("13:30", [("Sun 22 Nov 13:30 - Sun 22 Nov 14:00 Europe/London", True)]),
        ("13:59", [("Sun 22 Nov 13:59 - Sun 22 Nov 14:00 Europe/London", True)]),
    ],
)
def test_a_planted_gap_is_found_to_the_minute(closes: str, expected: list[tuple[str, bool]]) -> None:
    """An hour, half an hour, a minute between two shifts; and no gap where they meet."""
    one = team(ALWAYS, calendar(f"06:00-{closes}"), calendar("14:00-06:00"))
    assert expected == found(one, SUNDAY + timedelta(hours=7), timedelta(hours=20))


def test_gaps_between_time_zones_move_with_the_clocks() -> None:
    """Shifts of London and New York that meet all year do not, for the weeks in which only one of them has changed."""
    one = team(ALWAYS, calendar("05:00-14:00"), calendar("09:00-00:00", timezone="America/New_York"))
    summer, between, winter = (
        datetime(2026, month, day, 4, tzinfo=UTC) for month, day in ((7, 1), (10, 26), (12, 1))
    )
    gaps = [found(one, at, timedelta(days=1)) for at in (summer, between, winter)]
    assert gaps == [[], [("Mon 26 Oct 04:00 - Mon 26 Oct 05:00 Europe/London", True)], []]


def test_an_hour_that_happens_twice_is_covered_twice() -> None:
    """On the night the clocks go back a shift until two and one from two leave no hour between them."""
    one = team(ALWAYS, calendar("02:00-01:00"), calendar("01:00-02:00"))
    assert (
        found(one, datetime(2026, 10, 24, 12, tzinfo=UTC))
        == [("Sun 25 Oct 02:00 GMT - Sun 25 Oct 02:00 GMT Europe/London", True)][:0]
    )


def test_the_hour_that_is_repeated_is_told_by_its_offset() -> None:
    """Who is there until the first 01:30 leaves the second to nobody."""
    one = team(ALWAYS, calendar("03:00-01:30"))
    assert found(one, datetime(2026, 10, 24, 12, tzinfo=UTC), timedelta(hours=14, minutes=30)) == [
        ("Sun 25 Oct 01:30 BST - Sun 25 Oct 02:30 GMT Europe/London", True)
    ]


def test_leave_and_holidays_leave_gaps() -> None:
    """A day on which one is on leave and the other's calendar is closed is a gap, in the time zone of those away."""
    away = Rep("a", "", ALWAYS, away=(Leave(date(2026, 11, 23), date(2026, 11, 23)),))
    closed = calendar("00:00-24:00", holidays=(date(2026, 11, 23),))
    one = team(ALWAYS, away, closed)
    assert found(one, length=TWO_WEEKS) == [("Mon 23 Nov 00:00 - Tue 24 Nov 00:00 Europe/London", True)]
    [gap] = gaps_in(one, SUNDAY, SUNDAY + TWO_WEEKS, day_and_night=True)
    assert gap.is_leave is False
    [gap] = gaps_in(team(ALWAYS, away), SUNDAY, SUNDAY + TWO_WEEKS, day_and_night=True)
    assert gap.is_leave is True


def test_leave_without_end_is_no_error() -> None:
    """Who left for good may be written as away until the end of all years."""
    gone = Rep("a", "", ALWAYS, away=(Leave(date(1, 1, 1), date.max),))
    assert [
        gap.stretch.length
        for gap in gaps_in(team(ALWAYS, gone), SUNDAY, SUNDAY + TWO_WEEKS, day_and_night=True)
    ] == [TWO_WEEKS]


def test_on_business_hours_nobody_is_awaited_outside_them() -> None:
    """Lunch without anybody is waited through, the night is not."""
    one = team(calendar("09:00-17:00"), calendar("09:00-12:00", "13:00-17:00"))
    assert found(one, day_and_night=False) == [
        ("Sun 22 Nov 00:00 - Sun 22 Nov 09:00 Europe/London", False),
        ("Sun 22 Nov 12:00 - Sun 22 Nov 13:00 Europe/London", True),
        ("Sun 22 Nov 17:00 - Mon 23 Nov 00:00 Europe/London", False),
    ]


def test_whole_days_are_a_way_to_count() -> None:
    """A calendar of whole weekdays means "by this time on the next business day": its nights are nobody's shift."""
    weekdays, shift = calendar("00:00-24:00", days=range(5)), calendar("09:00-17:00", days=range(5))
    assert {False} == {
        awaited for _, awaited in found(team(weekdays, shift), length=TWO_WEEKS, day_and_night=False)
    }
    assert {True} == {
        awaited for _, awaited in found(team(ALWAYS, shift), length=TWO_WEEKS, day_and_night=False)
    }
    everybody = Rep("a", "", shift, away=(Leave(date(2026, 11, 24), date(2026, 11, 24)),))
    assert ("Tue 24 Nov 00:00 - Wed 25 Nov 00:00 Europe/London", True) in found(
        team(weekdays, everybody), length=TWO_WEEKS, day_and_night=False
    )


MINUTES = st.integers(0, 48).map(lambda half_hours: half_hours * 30)
SPANS = st.tuples(MINUTES.filter(lambda minute: minute < 1440), MINUTES).filter(
    lambda both: both[0] != both[1]
)
ZONES = st.sampled_from(("UTC", "Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"))


@st.composite
def reps(draw: st.DrawFn) -> Rep:
    hours = draw(st.dictionaries(st.integers(0, 6), st.lists(SPANS, max_size=2)))
    shift = Calendar(
        "c", draw(ZONES), {day: tuple(Span(*span) for span in spans) for day, spans in hours.items()}
    )
    first = date(2026, 10, 20) + timedelta(days=draw(st.integers(0, 20)))
    away = (Leave(first, first + timedelta(days=draw(st.integers(0, 4)))),) if draw(st.booleans()) else ()
    return Rep("r", "", shift, away=away)


@settings(max_examples=60, deadline=None)
@given(st.lists(reps(), min_size=1, max_size=3), st.booleans())
def test_it_is_what_asking_every_quarter_of_an_hour_finds(people: list[Rep], day_and_night: bool) -> None:
    """At each instant somebody is there, or a gap holds it; over the weeks in which clocks change."""
    since = datetime(2026, 10, 22, tzinfo=UTC)
    gaps = gaps_in(team(ALWAYS, *people), since, since + TWO_WEEKS, day_and_night=day_and_night)
    for quarter in range(0, 14 * 96, 5):
        at = since + quarter * timedelta(minutes=15)
        is_somebody_there = any(rep.calendar.is_open(at) and rep.leave_at(at) is None for rep in people)
        holding = [gap for gap in gaps if gap.stretch.since <= at < gap.stretch.until]
        assert len(holding) == (0 if is_somebody_there else 1), at
