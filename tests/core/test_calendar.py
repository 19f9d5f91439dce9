"""Calendars: known answers by hand, and properties against an oracle that counts minutes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core import open_time_oracle as oracle

from speed_to_lead.core.calendar import Calendar, NeverOpen, Span, parse_weekdays
from speed_to_lead.core.clock import from_iso, from_ms, to_iso, to_ms

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def calendar_of(timezone: str, *closed: date, **hours: str) -> Calendar:
    """`calendar_of("Europe/London", mon_fri="09:00-12:00 13:00-17:00")`."""
    by_weekday: dict[int, tuple[Span, ...]] = {}
    for weekdays, spans in hours.items():
        for weekday in parse_weekdays(weekdays.replace("_", "-")):
            by_weekday[weekday] = tuple(Span.parse(span) for span in spans.split())
    return Calendar("test", timezone, by_weekday, lambda year: frozenset(d for d in closed if d.year == year))


def new_york(*closed: date) -> Calendar:
    return calendar_of("America/New_York", *closed, mon_fri="09:00-17:00")


def lunch() -> Calendar:
    return calendar_of("America/New_York", mon_thu="09:00-12:00 13:00-17:30", fri="09:00-16:00")


def nights(timezone: str = "America/New_York", *closed: date) -> Calendar:
    return calendar_of(timezone, *closed, mon_sun="22:00-06:00")


def whole_days(timezone: str = "America/New_York", *closed: date) -> Calendar:
    return calendar_of(timezone, *closed, mon_sun="00:00-24:00")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("09:00-12:00", Span(540, 720)),
        ("9:00-12:00", Span(540, 720)),
        ("00:00-24:00", Span(0, 1440)),
        ("22:00-06:00", Span(1320, 360)),
        ("22:00-00:00", Span(1320, 0)),
        ("22:00-24:00", Span(1320, 1440)),
    ],
)
def test_span_reads_what_people_write(text: str, expected: Span) -> None:
    """A span is two wall times; one that closes before it opens ends the next day."""
    assert expected == Span.parse(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("09:00-09:00", "00:00-24:00"),
        ("00:00-00:00", "00:00-24:00"),
        ("9-17", "expected two times"),
        ("09:00-17:60", "minutes run from 00 to 59"),
        ("09:00-25:00", "between 00:00 and 24:00"),
        ("24:00-06:00", "between 00:00 and 23:59"),
        ("09:00-17:00-18:00", "expected two times"),
        ("", "expected two times"),
    ],
)
def test_span_refuses_with_what_was_expected(text: str, hint: str) -> None:
    """Anything that is no span is refused, and the error says what to write."""
    with pytest.raises(ValueError, match=hint):
        Span.parse(text)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("09:00-12:00", 180), ("22:00-06:00", 480), ("00:00-24:00", 1440), ("23:59-23:58", 1439)],
)
def test_span_length_counts_into_the_next_day(text: str, minutes: int) -> None:
    """The length of a span is that on the wall clock, over midnight too."""
    assert minutes == Span.parse(text).minutes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mon", (0,)),
        ("mon-thu", (0, 1, 2, 3)),
        ("sun-thu", (6, 0, 1, 2, 3)),
        ("Sat-Sun", (5, 6)),
        ("MONDAY - friday", (0, 1, 2, 3, 4)),
        ("wed-wed", (2,)),
        ("tue-mon", (1, 2, 3, 4, 5, 6, 0)),
    ],
)
def test_weekdays_wrap_around_the_week(text: str, expected: tuple[int, ...]) -> None:
    """Weekdays are one day or a range, which may run over Sunday."""
    assert expected == parse_weekdays(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("mnday", 'did you mean "monday"'),
        ("mon-fry", 'did you mean "friday"'),
        ("xyz", "mon, tue, wed"),
        ("", "mon-fri"),
    ],
)
def test_weekdays_refuse_with_the_nearest_valid_name(text: str, hint: str) -> None:
    """An unknown weekday is refused, and the error names the nearest valid one."""
    with pytest.raises(ValueError, match=hint):
        parse_weekdays(text)


@pytest.mark.parametrize(
    "timezone", ["", "America", "../etc/passwd", "/etc/localtime", "Mars/Olympus", "a\0b"]
)
def test_unknown_time_zones_are_refused(timezone: str) -> None:
    """Whatever is no time zone is a ValueError, also where it looks like a path."""
    with pytest.raises(ValueError, match="is unknown"):
        Calendar("test", timezone, {})


def test_unknown_time_zone_names_the_nearest() -> None:
    """A mistyped time zone is answered with the one that was meant."""
    with pytest.raises(ValueError, match='did you mean "America/New_York"'):
        Calendar("test", "America/New_Yrok", {})


def test_unknown_weekday_numbers_are_refused() -> None:
    """Hours on a day 7 are a mistake of the caller, not a day that never comes."""
    with pytest.raises(ValueError, match="weekdays run from 0"):
        Calendar("test", "UTC", {7: (Span(0, 60),)})


AFTER: list[tuple[str, Calendar, str, timedelta, str]] = [
    ("within a span", new_york(), "2026-11-23T15:00:00Z", HOUR, "2026-11-23T16:00:00Z"),
    ("exactly at the close", new_york(), "2026-11-23T20:00:00Z", 2 * HOUR, "2026-11-23T22:00:00Z"),
    ("a ms past the close", new_york(), "2026-11-23T20:00:00.001Z", 2 * HOUR, "2026-11-24T14:00:00.001Z"),
    ("received at the opening", new_york(), "2026-11-23T14:00:00Z", 8 * HOUR, "2026-11-23T22:00:00Z"),
    ("received at the close", new_york(), "2026-11-23T22:00:00Z", HOUR, "2026-11-24T15:00:00Z"),
    ("24 open hours are three days", new_york(), "2026-11-23T14:00:00Z", 24 * HOUR, "2026-11-25T22:00:00Z"),
    ("over a weekend", new_york(), "2026-11-20T21:00:00Z", 2 * HOUR, "2026-11-23T15:00:00Z"),
    (
        "over a holiday",
        new_york(date(2026, 11, 26)),
        "2026-11-25T21:00:00Z",
        2 * HOUR,
        "2026-11-27T15:00:00Z",
    ),
    ("over lunch", lunch(), "2026-11-23T16:30:00Z", HOUR, "2026-11-23T18:30:00Z"),
    ("ends as lunch begins", lunch(), "2026-11-23T16:00:00Z", HOUR, "2026-11-23T17:00:00Z"),
    ("during lunch", lunch(), "2026-11-23T17:30:00Z", HOUR, "2026-11-23T19:00:00Z"),
    ("New York, spring forward", new_york(), "2026-03-06T21:00:00Z", 2 * HOUR, "2026-03-09T14:00:00Z"),
    ("New York, fall back", new_york(), "2026-10-30T20:00:00Z", 2 * HOUR, "2026-11-02T15:00:00Z"),
    ("a night of 7 hours", nights(), "2026-03-08T03:00:00Z", 7 * HOUR, "2026-03-08T10:00:00Z"),
    ("a night of 9 hours", nights(), "2026-11-01T02:00:00Z", 9 * HOUR, "2026-11-01T11:00:00Z"),
    ("New Year", new_york(date(2027, 1, 1)), "2026-12-31T21:00:00Z", 2 * HOUR, "2027-01-04T15:00:00Z"),
    ("a night over New Year", nights(), "2027-01-01T02:00:00Z", 9 * HOUR, "2027-01-02T04:00:00Z"),
    ("whole days merge", whole_days(), "2026-11-20T21:00:00Z", 72 * HOUR, "2026-11-23T21:00:00Z"),
    (
        "whole weekdays: this time on the next business day",
        calendar_of("America/New_York", mon_fri="00:00-24:00"),
        "2026-11-20T21:00:00Z",
        24 * HOUR,
        "2026-11-23T21:00:00Z",
    ),
    (
        "Gulf week",
        calendar_of("Asia/Dubai", sun_thu="09:00-18:00"),
        "2026-11-26T13:00:00Z",
        2 * HOUR,
        "2026-11-29T06:00:00Z",
    ),
    (
        "Kathmandu is 5:45 ahead",
        calendar_of("Asia/Kathmandu", sun_fri="10:00-18:00"),
        "2026-11-23T00:00:00Z",
        HOUR,
        "2026-11-23T05:15:00Z",
    ),
    ("a lead time of years", whole_days("UTC"), "2026-01-01T00:00:00Z", 1461 * DAY, "2030-01-01T00:00:00Z"),
    ("1990", new_york(), "1990-06-01T20:00:00Z", 2 * HOUR, "1990-06-04T14:00:00Z"),
    ("2100", new_york(), "2100-11-26T21:00:00Z", 2 * HOUR, "2100-11-29T15:00:00Z"),
]


@pytest.mark.parametrize(
    ("calendar", "start", "amount", "expected"), [row[1:] for row in AFTER], ids=[row[0] for row in AFTER]
)
def test_after_open_time(calendar: Calendar, start: str, amount: timedelta, expected: str) -> None:
    """A budget is reached at the earliest instant with so much open time since receipt."""
    assert expected == to_iso(calendar.after_open_time(from_iso(start), amount))


def test_after_no_open_time_is_the_start_even_when_closed() -> None:
    """No amount is reached at once: nothing has to open for it."""
    sunday = from_iso("2026-11-22T12:00:00.000123Z")
    assert sunday == new_york().after_open_time(sunday, timedelta())


def test_negative_amounts_are_refused() -> None:
    """A negative amount is a mistake, whichever way it is counted."""
    now = from_iso("2026-11-22T12:00:00Z")
    for count in (new_york().after_open_time, partial(new_york().before_open_time, not_before=now)):
        with pytest.raises(ValueError, match="cannot be negative"):
            count(now, -HOUR)


NIGHT = "22:00-06:00"
BETWEEN: list[tuple[str, Calendar, str, str, timedelta]] = [
    # Each window is wide enough for exactly one night or day, so that the answer is its length.
    ("New York, spring", nights(), "2026-03-07T15:00:00Z", "2026-03-08T15:00:00Z", 7 * HOUR),
    ("New York, autumn", nights(), "2026-10-31T15:00:00Z", "2026-11-01T15:00:00Z", 9 * HOUR),
    ("London, spring", nights("Europe/London"), "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z", 7 * HOUR),
    ("London, autumn", nights("Europe/London"), "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z", 9 * HOUR),
    ("Sydney, April", nights("Australia/Sydney"), "2026-04-04T03:00:00Z", "2026-04-05T03:00:00Z", 9 * HOUR),
    ("Sydney, October", nights("Australia/Sydney"), "2026-10-03T03:00:00Z", "2026-10-04T03:00:00Z", 7 * HOUR),
    (
        "Lord Howe, April: half an hour",
        nights("Australia/Lord_Howe"),
        "2026-04-04T03:00:00Z",
        "2026-04-05T03:00:00Z",
        8.5 * HOUR,
    ),
    (
        "Lord Howe, October: half an hour",
        nights("Australia/Lord_Howe"),
        "2026-10-03T03:00:00Z",
        "2026-10-04T03:00:00Z",
        7.5 * HOUR,
    ),
    (
        "a whole day of 23 hours",
        calendar_of("America/New_York", sun="00:00-24:00"),
        "2026-03-07T12:00:00Z",
        "2026-03-09T12:00:00Z",
        23 * HOUR,
    ),
    (
        "a whole day of 25 hours",
        calendar_of("America/New_York", sun="00:00-24:00"),
        "2026-10-31T12:00:00Z",
        "2026-11-02T12:00:00Z",
        25 * HOUR,
    ),
    (
        "opens in the skipped hour: read with the offset before",
        calendar_of("America/New_York", sun="02:30-05:00"),
        "2026-03-08T00:00:00Z",
        "2026-03-09T00:00:00Z",
        1.5 * HOUR,
    ),
    (
        "swallowed by the skipped hour",
        calendar_of("America/New_York", sun="02:30-03:15"),
        "2026-03-08T00:00:00Z",
        "2026-03-09T00:00:00Z",
        timedelta(),
    ),
    (
        "opens in the repeated hour: the first time",
        calendar_of("America/New_York", sun="01:30-03:00"),
        "2026-11-01T00:00:00Z",
        "2026-11-02T00:00:00Z",
        2.5 * HOUR,
    ),
    (
        "closes in the repeated hour: the first time",
        calendar_of("America/New_York", sun="00:00-01:30"),
        "2026-11-01T00:00:00Z",
        "2026-11-02T00:00:00Z",
        1.5 * HOUR,
    ),
    (
        "a night runs into the holiday, the holiday's own night is closed",
        nights("UTC", date(2026, 12, 25)),
        "2026-12-24T12:00:00Z",
        "2026-12-26T12:00:00Z",
        8 * HOUR,
    ),
    (
        "overlapping spans of two days count once",
        calendar_of("UTC", mon="22:00-10:00", tue="09:00-17:00"),
        "2026-11-23T12:00:00Z",
        "2026-11-25T12:00:00Z",
        19 * HOUR,
    ),
    (
        "overlapping spans of one day count once",
        calendar_of("UTC", mon="09:00-12:00 10:00-11:00 11:30-13:00"),
        "2026-11-23T00:00:00Z",
        "2026-11-24T00:00:00Z",
        4 * HOUR,
    ),
    ("nothing on a Sunday", new_york(), "2026-11-22T05:00:00Z", "2026-11-23T05:00:00Z", timedelta()),
    ("backwards it is negative", new_york(), "2026-11-23T16:00:00Z", "2026-11-23T15:00:00Z", -HOUR),
    (
        "New Year's Eve to New Year's Day",
        nights("UTC"),
        "2026-12-31T12:00:00Z",
        "2027-01-01T12:00:00Z",
        8 * HOUR,
    ),
]


@pytest.mark.parametrize(
    ("calendar", "a", "b", "expected"), [row[1:] for row in BETWEEN], ids=[r[0] for r in BETWEEN]
)
def test_open_time_between(calendar: Calendar, a: str, b: str, expected: timedelta) -> None:
    """Open time is what passes in UTC while a span is open, so nights are longer or shorter when clocks change."""
    assert expected == calendar.open_time_between(from_iso(a), from_iso(b))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-23T13:59:59.999Z", False),
        ("2026-11-23T13:59:59.999999Z", False),
        ("2026-11-23T14:00:00Z", True),
        ("2026-11-23T16:59:59.999999Z", True),
        ("2026-11-23T17:00:00Z", False),
        ("2026-11-23T18:00:00Z", True),
        ("2026-11-23T22:30:00Z", False),
        ("2026-11-22T15:00:00Z", False),
    ],
)
def test_is_open_is_half_open(at: str, expected: bool) -> None:
    """A span holds the instant it opens and not the one it closes."""
    assert expected is lunch().is_open(from_iso(at))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-23T14:00:00Z", "2026-11-23T14:00:00Z"),
        ("2026-11-23T15:12:13.456Z", "2026-11-23T15:12:13.456Z"),
        ("2026-11-23T17:00:00Z", "2026-11-23T18:00:00Z"),
        ("2026-11-23T22:30:00Z", "2026-11-24T14:00:00Z"),
        ("2026-11-27T21:00:00Z", "2026-11-30T14:00:00Z"),
        ("2026-12-31T22:30:00Z", "2027-01-01T14:00:00Z"),
    ],
)
def test_next_open(at: str, expected: str) -> None:
    """The next opening is now when open, else when the next span opens."""
    assert expected == to_iso(lunch().next_open(from_iso(at)))


def test_next_open_after_a_night_before_a_holiday() -> None:
    """The night before Christmas runs until six; then nothing opens before the evening after."""
    calendar = nights("UTC", date(2026, 12, 25))
    assert calendar.is_open(from_iso("2026-12-25T05:59:00Z"))
    expected = "2026-12-26T22:00:00Z"
    assert expected == to_iso(calendar.next_open(from_iso("2026-12-25T06:00:00Z")))


def test_instants_in_any_zone_are_answered_in_utc() -> None:
    """The zone an instant is written in changes nothing; answers are UTC."""
    at = datetime.fromisoformat("2026-11-23T23:00:00+09:00")
    assert UTC is new_york().next_open(at).tzinfo
    assert from_iso("2026-11-23T14:00:00Z") == new_york().next_open(at)


BEFORE: list[tuple[str, str, timedelta, str]] = [
    ("within a span", "2026-11-24T16:00:00Z", HOUR, "2026-11-24T15:00:00Z"),
    ("over a closed night", "2026-11-24T15:00:00Z", 2 * HOUR, "2026-11-23T21:00:00Z"),
    ("at a span's end, not the next opening", "2026-11-24T15:00:00Z", HOUR, "2026-11-23T22:00:00Z"),
    ("from a closed instant", "2026-11-24T03:00:00Z", HOUR, "2026-11-23T21:00:00Z"),
    (
        "nothing, from a closed instant: the close before",
        "2026-11-24T03:00:00Z",
        timedelta(),
        "2026-11-23T22:00:00Z",
    ),
    ("never before the limit", "2026-11-24T15:00:00Z", 24 * HOUR, "2026-11-23T12:00:00Z"),
    ("exactly all there is", "2026-11-24T15:00:00Z", 9 * HOUR, "2026-11-23T12:00:00Z"),
    (
        "a millisecond less than all",
        "2026-11-23T14:00:00.002Z",
        timedelta(milliseconds=1),
        "2026-11-23T14:00:00.001Z",
    ),
]


@pytest.mark.parametrize(
    ("end", "amount", "expected"), [row[1:] for row in BEFORE], ids=[r[0] for r in BEFORE]
)
def test_before_open_time(end: str, amount: timedelta, expected: str) -> None:
    """Before a deadline is the earliest instant with so much open time left, and never before the limit."""
    limit = from_iso("2026-11-23T12:00:00Z")
    assert expected == to_iso(new_york().before_open_time(from_iso(end), amount, not_before=limit))


CLOSES: list[tuple[str, Calendar, str, time | None, str]] = [
    ("in the morning", lunch(), "2026-11-23T15:00:00Z", None, "2026-11-23T22:30:00Z"),
    ("at the opening", lunch(), "2026-11-23T14:00:00Z", None, "2026-11-23T22:30:00Z"),
    ("at lunch", lunch(), "2026-11-23T17:30:00Z", None, "2026-11-23T22:30:00Z"),
    ("as lunch begins", lunch(), "2026-11-23T17:00:00Z", None, "2026-11-23T22:30:00Z"),
    ("a ms before the close", lunch(), "2026-11-23T22:29:59.999Z", None, "2026-11-23T22:30:00Z"),
    ("at the close", lunch(), "2026-11-23T22:30:00Z", None, "2026-11-24T22:30:00Z"),
    ("before the opening", lunch(), "2026-11-23T10:00:00Z", None, "2026-11-23T22:30:00Z"),
    ("on a Sunday", lunch(), "2026-11-22T15:00:00Z", None, "2026-11-23T22:30:00Z"),
    ("Friday closes early", lunch(), "2026-11-27T15:00:00Z", None, "2026-11-27T21:00:00Z"),
    ("Friday after the close", lunch(), "2026-11-27T21:00:00Z", None, "2026-11-30T22:30:00Z"),
    ("before the cutoff", lunch(), "2026-11-23T20:59:59.999Z", time(16), "2026-11-23T22:30:00Z"),
    ("at the cutoff", lunch(), "2026-11-23T21:00:00Z", time(16), "2026-11-24T22:30:00Z"),
    ("at the cutoff of a Friday", lunch(), "2026-11-27T20:00:00Z", time(15), "2026-11-30T22:30:00Z"),
    (
        "a Saturday evening is before Monday's cutoff",
        lunch(),
        "2026-11-29T01:00:00Z",
        time(16),
        "2026-11-30T22:30:00Z",
    ),
    ("cutoff in the lunch break", lunch(), "2026-11-23T17:30:00Z", time(12, 30), "2026-11-24T22:30:00Z"),
    (
        "the night belongs to the evening before",
        nights(),
        "2026-11-24T08:00:00Z",
        None,
        "2026-11-24T11:00:00Z",
    ),
    ("by day, tonight's", nights(), "2026-11-24T18:00:00Z", None, "2026-11-25T11:00:00Z"),
    ("at six, tonight's", nights(), "2026-11-24T11:00:00Z", None, "2026-11-25T11:00:00Z"),
    ("the short night", nights(), "2026-03-08T04:00:00Z", None, "2026-03-08T10:00:00Z"),
    (
        "whole days close at midnight, merged or not",
        whole_days(),
        "2026-11-23T15:00:00Z",
        None,
        "2026-11-24T05:00:00Z",
    ),
    ("midnight is the new day's", whole_days(), "2026-11-24T05:00:00Z", None, "2026-11-25T05:00:00Z"),
    ("New Year's Eve", new_york(date(2027, 1, 1)), "2026-12-31T23:00:00Z", None, "2027-01-04T22:00:00Z"),
    (
        "New Year's Eve, cutoff",
        new_york(date(2027, 1, 1)),
        "2026-12-31T19:00:00Z",
        time(14),
        "2027-01-04T22:00:00Z",
    ),
    (
        "the night before a holiday still holds",
        nights("UTC", date(2026, 12, 25)),
        "2026-12-25T03:00:00Z",
        None,
        "2026-12-25T06:00:00Z",
    ),
    (
        "held by two days: the earlier",
        calendar_of("UTC", mon="22:00-10:00", tue="09:00-17:00"),
        "2026-11-24T09:30:00Z",
        None,
        "2026-11-24T10:00:00Z",
    ),
    (
        "held by a long span and a short one inside it",
        calendar_of("UTC", mon="08:00-20:00 09:00-10:00"),
        "2026-11-23T11:00:00Z",
        None,
        "2026-11-23T20:00:00Z",
    ),
    (
        "a day whose only span is swallowed by the clock is no business day",
        calendar_of("America/New_York", sun="02:30-03:15"),
        "2026-03-08T06:00:00Z",
        None,
        "2026-03-15T07:15:00Z",
    ),
    (
        "the cutoff happens twice: the first counts",
        calendar_of("America/New_York", sun="00:00-04:00"),
        "2026-11-01T05:30:00Z",
        time(1, 30),
        "2026-11-08T09:00:00Z",
    ),
]


@pytest.mark.parametrize(
    ("calendar", "at", "cutoff", "expected"), [row[1:] for row in CLOSES], ids=[row[0] for row in CLOSES]
)
def test_close_of_business(calendar: Calendar, at: str, cutoff: time | None, expected: str) -> None:
    """Close of business is the last close of the day that holds the instant or opens next, cutoff considered."""
    assert expected == to_iso(calendar.close_of_business(from_iso(at), cutoff))


@pytest.mark.parametrize(
    ("timezone", "at", "day", "text"),
    [
        ("America/New_York", "2026-11-23T14:00:00Z", date(2026, 11, 23), "Mon 23 Nov 09:00 EST"),
        ("America/New_York", "2026-07-04T03:30:00Z", date(2026, 7, 3), "Fri 3 Jul 23:30 EDT"),
        ("Asia/Kathmandu", "2026-11-23T20:00:00Z", date(2026, 11, 24), "Tue 24 Nov 01:45 +0545"),
    ],
)
def test_local_day_and_text(timezone: str, at: str, day: date, text: str) -> None:
    """Local days and texts are those on the calendar's wall."""
    calendar = Calendar("test", timezone, {})
    assert (day, text) == (calendar.local_day(from_iso(at)), calendar.local_text(from_iso(at)))


@pytest.mark.parametrize(
    "calendar",
    [
        Calendar("no hours", "UTC", {}),
        Calendar("empty days", "UTC", {0: ()}),
        Calendar("all holidays", "UTC", {0: (Span(0, 60),)}, lambda y: frozenset(d for d in every_day(y))),
    ],
    ids=lambda calendar: calendar.name,
)
def test_a_calendar_that_never_opens_says_so(calendar: Calendar) -> None:
    """What never opens raises NeverOpen, a ValueError with the calendar's name, instead of looking for ever."""
    now = from_iso("2026-11-23T14:00:00Z")
    assert not calendar.opens_within_a_year(now)
    assert not calendar.is_open(now)
    questions: list[Callable[[], datetime]] = [
        lambda: calendar.next_open(now),
        lambda: calendar.after_open_time(now, HOUR),
        lambda: calendar.close_of_business(now),
    ]
    for question in questions:
        with pytest.raises(NeverOpen, match=calendar.name):
            question()


def every_day(year: int) -> list[date]:
    return [
        date.fromordinal(n) for n in range(date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal())
    ]


def test_an_answer_more_than_fifty_years_ahead_is_none_however_long_the_table() -> None:
    """The bound is on the answer, so what was asked before does not change it."""
    calendar = calendar_of(
        "UTC", *(day for year in range(2026, 2085) for day in every_day(year)), mon="09:00-10:00"
    )
    later = from_iso("2086-06-01T00:00:00Z")
    expected = "2086-06-03T10:00:00Z"
    assert expected == to_iso(calendar.close_of_business(later))
    calendar.next_open(from_iso("2060-01-01T00:00:00Z"))
    for question in (calendar.next_open, calendar.close_of_business):
        with pytest.raises(NeverOpen):
            question(from_iso("2026-01-01T00:00:00Z"))


def test_opens_within_a_year_looks_ahead_only() -> None:
    """A calendar that closed for good last year does not open within a year of now."""
    closed = [day for year in range(2027, 2030) for day in every_day(year)]
    calendar = new_york(*closed)
    assert calendar.opens_within_a_year(from_iso("2026-06-01T00:00:00Z"))
    assert not calendar.opens_within_a_year(from_iso("2027-01-01T12:00:00Z"))


def test_holidays_are_asked_for_once_a_year() -> None:
    """Holidays cost their library a while, so each year's are asked for once."""
    asked: list[int] = []

    def holidays_in(year: int) -> frozenset[date]:
        asked.append(year)
        return frozenset()

    calendar = Calendar("test", "UTC", {0: (Span(0, 60),)}, holidays_in)
    for at in (
        "2028-06-01T00:00:00Z",
        "2026-06-01T00:00:00Z",
        "2027-06-01T00:00:00Z",
        "2026-07-01T00:00:00Z",
    ):
        calendar.next_open(from_iso(at))
    expected = [2026, 2027, 2028]
    assert expected == sorted(asked)


def test_a_table_once_built_serves_every_instant_it_covers() -> None:
    """Leads of different years, asked about in turn, do not make the calendar build its table again and again."""
    calendar = new_york()
    instants = [from_iso("2031-06-01T12:00:00Z"), from_iso("2026-06-01T12:00:00Z")]
    for at in instants:
        calendar.is_open(at)
    table = calendar._table
    for at in instants:
        calendar.is_open(at)
    assert table is calendar._table


def test_threads_that_extend_the_table_at_once_all_get_the_same_answers() -> None:
    """Threads build tables side by side; each answer is as if it had been asked alone."""
    starts = [datetime(1990 + n % 40, 1 + n % 12, 28, 12, tzinfo=UTC) for n in range(200)]
    expected = {start: nights().after_open_time(start, 100 * HOUR) for start in set(starts)}
    shared = nights()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda start: shared.after_open_time(start, 100 * HOUR), starts))
    assert [expected[start] for start in starts] == answers


# --- properties, against the oracle ---------------------------------------------------------------------------

ZONES = [
    "America/New_York",
    "Europe/London",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Asia/Dubai",
    "America/Sao_Paulo",  # put its clocks forward at midnight until 2018: some days had no 00:00
    "Asia/Beirut",  # still does
    "Africa/Casablanca",  # negative daylight saving, around Ramadan
    "Pacific/Apia",  # skipped 30 December 2011
    "Pacific/Kiritimati",  # skipped 31 December 1994
    "UTC",
]
CHANGES = [
    "2026-03-08", "2026-11-01", "2026-03-29", "2026-10-25", "2026-04-05", "2026-10-04", "2017-10-15", "2018-02-18",
    "2011-12-30", "1994-12-31", "2026-12-31", "2027-01-01", "2028-02-29", "2026-02-15", "2026-03-22",
]  # fmt: skip
WINDOW_DAYS = 25

instants_ms = st.one_of(
    st.builds(
        lambda day, minutes, ms: (
            to_ms(datetime.fromisoformat(day).replace(tzinfo=UTC)) + minutes * 60_000 + ms
        ),
        st.sampled_from(CHANGES),
        st.integers(-4 * 1440, 2 * 1440).map(lambda m: m // 15 * 15),
        st.one_of(st.just(0), st.integers(0, 3_600_000)),
    ),
    st.integers(to_ms(datetime(1990, 1, 2, tzinfo=UTC)), to_ms(datetime(2100, 12, 30, tzinfo=UTC))),
)
amounts = st.one_of(
    st.integers(0, 160).map(lambda quarters: quarters * 15 * 60_000), st.integers(0, 40 * 3_600_000)
)  # fmt: skip
edges = st.integers(0, 95).map(lambda quarter: quarter * 15)
span_pairs = st.one_of(
    st.sampled_from([(540, 1020), (540, 720), (780, 1050), (1320, 360), (0, 1440), (120, 180), (1380, 60)]),
    st.tuples(edges, edges.map(lambda minute: minute or 1440)).filter(lambda pair: pair[0] != pair[1]),
)


@st.composite
def hours_near(draw: st.DrawFn, at_ms: int) -> oracle.Hours:
    timezone = draw(st.sampled_from(ZONES))
    spans = draw(
        st.dictionaries(
            st.integers(0, 6), st.lists(span_pairs, min_size=1, max_size=3).map(tuple), min_size=1
        )
    )
    near = oracle.local_date(timezone, at_ms)
    closed = draw(st.frozensets(st.integers(-3, 10).map(lambda step: near + step * DAY), max_size=4))
    return oracle.Hours(timezone, spans, closed)


@st.composite
def questions(draw: st.DrawFn) -> tuple[oracle.Hours, int]:
    at_ms = draw(instants_ms)
    return draw(hours_near(at_ms)), at_ms


def calendar_with(hours: oracle.Hours) -> Calendar:
    return Calendar(
        "drawn",
        hours.timezone,
        {weekday: tuple(Span(*pair) for pair in pairs) for weekday, pairs in hours.spans.items()},
        lambda year: frozenset(day for day in hours.closed if day.year == year),
    )


properties = settings(max_examples=120, deadline=None)


@properties
@given(questions(), amounts)
def test_deadlines_equal_the_oracle(question: tuple[oracle.Hours, int], amount_ms: int) -> None:
    """The instant at which a budget is reached is the one found by counting minutes."""
    hours, at_ms = question
    actual = to_ms(calendar_with(hours).after_open_time(from_ms(at_ms), timedelta(milliseconds=amount_ms)))
    expected = oracle.after_open_time(hours, at_ms, amount_ms, WINDOW_DAYS)
    if expected is None:
        assert actual > at_ms + WINDOW_DAYS * 86_400_000
    else:
        assert expected == actual


@properties
@given(questions())
def test_openness_equals_the_oracle(question: tuple[oracle.Hours, int]) -> None:
    """Open or not, and when next, are what looking at every minute says."""
    hours, at_ms = question
    calendar, at = calendar_with(hours), from_ms(at_ms)
    assert oracle.is_open(hours, at_ms) is calendar.is_open(at)
    assert oracle.next_open(hours, at_ms, WINDOW_DAYS) == to_ms(calendar.next_open(at))


@properties
@given(questions(), st.integers(0, 6 * 86_400_000))
def test_open_time_equals_the_oracle(question: tuple[oracle.Hours, int], length_ms: int) -> None:
    """Open time between two instants is the sum of the open minutes between them."""
    hours, at_ms = question
    actual = calendar_with(hours).open_time_between(from_ms(at_ms), from_ms(at_ms + length_ms))
    expected = oracle.open_ms_between(hours, at_ms, at_ms + length_ms)
    assert timedelta(milliseconds=expected) == actual


@properties
@given(questions(), st.integers(0, 6 * 86_400_000), amounts)
def test_before_open_time_equals_the_oracle(
    question: tuple[oracle.Hours, int], length_ms: int, amount_ms: int
) -> None:
    """The instant before an end is the one found by walking back minute by minute."""
    hours, at_ms = question
    end_ms = at_ms + length_ms
    actual = calendar_with(hours).before_open_time(
        from_ms(end_ms), timedelta(milliseconds=amount_ms), not_before=from_ms(at_ms)
    )
    assert oracle.before_open_time(hours, end_ms, amount_ms, at_ms) == to_ms(actual)


@properties
@given(questions(), st.one_of(st.none(), st.builds(time, st.integers(0, 23), st.sampled_from([0, 30]))))
def test_close_of_business_equals_the_oracle(question: tuple[oracle.Hours, int], cutoff: time | None) -> None:
    """Close of business is what listing the business days says."""
    hours, at_ms = question
    actual = calendar_with(hours).close_of_business(from_ms(at_ms), cutoff)
    assert oracle.close_of_business(hours, at_ms, cutoff, 40) == to_ms(actual)


@properties
@given(questions(), amounts.filter(bool))
def test_open_time_until_a_deadline_is_the_budget(question: tuple[oracle.Hours, int], amount_ms: int) -> None:
    """The open time from receipt to deadline is the budget, and a millisecond earlier it is not yet."""
    hours, at_ms = question
    calendar, at, amount = calendar_with(hours), from_ms(at_ms), timedelta(milliseconds=amount_ms)
    deadline = calendar.after_open_time(at, amount)
    assert amount == calendar.open_time_between(at, deadline)
    assert amount > calendar.open_time_between(at, deadline - timedelta(milliseconds=1))


@properties
@given(questions(), amounts, st.integers(0, 10 * 86_400_000))
def test_a_later_start_never_has_an_earlier_deadline(
    question: tuple[oracle.Hours, int], amount_ms: int, later_ms: int
) -> None:
    """Deadlines are monotonic in the start."""
    hours, at_ms = question
    calendar, amount = calendar_with(hours), timedelta(milliseconds=amount_ms)
    first = calendar.after_open_time(from_ms(at_ms), amount)
    assert first <= calendar.after_open_time(from_ms(at_ms + later_ms), amount)


@properties
@given(questions(), st.lists(st.integers(-1500, 1500), min_size=1, max_size=3), amounts)
def test_answers_do_not_depend_on_what_was_asked_before(
    question: tuple[oracle.Hours, int], days: list[int], amount_ms: int
) -> None:
    """A table built late first and early after, or the other way round, gives the answers of a fresh one."""
    hours, at_ms = question
    at, amount = from_ms(at_ms), timedelta(milliseconds=amount_ms)
    used = calendar_with(hours)
    for step in days:
        used.after_open_time(at + step * DAY, amount)

    def answers(calendar: Calendar) -> list[object]:
        return [
            calendar.is_open(at),
            calendar.after_open_time(at, amount),
            calendar.close_of_business(at),
            calendar.before_open_time(at + 5 * DAY, amount, not_before=at),
        ]

    assert answers(calendar_with(hours)) == answers(used)
