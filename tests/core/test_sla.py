"""Deadlines and ladders: known answers by hand, and properties against an oracle that counts minutes."""

from datetime import UTC, datetime, time, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core import open_time_oracle as oracle

from speed_to_lead.core.calendar import Calendar, Span
from speed_to_lead.core.clock import from_iso, from_ms, to_iso, to_ms
from speed_to_lead.core.sla import (
    DEFAULT_STEPS,
    SLA,
    Clock,
    Step,
    StepTime,
    deadline_of,
    format_duration,
    parse_duration,
    planned_steps,
)

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
NINE_TO_FIVE = Calendar("new-york", "America/New_York", dict.fromkeys(range(5), (Span(540, 1020),)))
LUNCH = Calendar("lunch", "UTC", dict.fromkeys(range(5), (Span(540, 720), Span(780, 1080))))
WEEKDAYS = Calendar("weekdays", "America/New_York", dict.fromkeys(range(5), (Span(0, 1440),)))


def ladder(*texts: str) -> tuple[Step, ...]:
    return tuple(Step(text, StepTime.parse(text)) for text in texts)


def at(sla: SLA, calendar: Calendar, received: str) -> dict[str, str]:
    """The instants of the ladder by name, in the order planned."""
    received_at = from_iso(received)
    steps = planned_steps(sla, calendar, received_at, deadline_of(sla, calendar, received_at))
    return {step.name: to_iso(step.at) for step in steps}


@pytest.mark.parametrize(
    ("text", "expected", "again"),
    [
        ("90s", timedelta(seconds=90), "90s"),
        ("60s", MINUTE, "1m"),
        ("5m", 5 * MINUTE, "5m"),
        ("24h", 24 * HOUR, "24h"),
        ("1d", 24 * HOUR, "24h"),
        ("48h", 48 * HOUR, "48h"),
        ("72h", 72 * HOUR, "3d"),
        ("3d", 72 * HOUR, "3d"),
        ("73h", 73 * HOUR, "73h"),
        ("3650d", timedelta(days=3650), "3650d"),
    ],
)
def test_durations_are_read_and_written(text: str, expected: timedelta, again: str) -> None:
    """A duration is one number and one unit, and is written in its largest exact unit, days from three on."""
    assert (expected, again) == (parse_duration(text), format_duration(expected))


@pytest.mark.parametrize(
    ("duration", "expected"),
    [(timedelta(), "0s"), (-10 * MINUTE, "-10m"), (timedelta(milliseconds=1500), "1500ms")],
)
def test_durations_config_cannot_hold_are_written_too(duration: timedelta, expected: str) -> None:
    """Durations that are computed, such as lateness, have a text as well."""
    assert expected == format_duration(duration)


@pytest.mark.parametrize(
    "text",
    ["", "5", "m", "5 m", "1.5h", "-5m", "+5m", "5M", "1h30m", "5min", "5w", "\N{ARABIC-INDIC DIGIT FIVE}m"],
)
def test_durations_refuse_with_the_expected_forms(text: str) -> None:
    """Anything else is refused, and the error shows what to write."""
    with pytest.raises(ValueError, match="such as 90s, 5m, 24h or 3d"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0s", "0d", "3651d", "999999999d"])
def test_durations_are_more_than_nothing_and_at_most_ten_years(text: str) -> None:
    """No time at all and more than ten years are slips of the finger."""
    with pytest.raises(ValueError, match="more than nothing and at most 3650d"):
        parse_duration(text)


@given(st.integers(1, 3650 * 86400))
def test_every_duration_survives_writing_and_reading(seconds: int) -> None:
    """What is written is read as the same duration."""
    duration = timedelta(seconds=seconds)
    assert duration == parse_duration(format_duration(duration))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0%", StepTime("0%", percent=Fraction(0))),
        ("60%", StepTime("60%", percent=Fraction(60))),
        ("33.3%", StepTime("33.3%", percent=Fraction(333, 10))),
        ("150%", StepTime("150%", percent=Fraction(150))),
        ("+10m", StepTime("+10m", offset=10 * MINUTE)),
        ("-10m", StepTime("-10m", offset=-10 * MINUTE)),
    ],
)
def test_step_times_are_read(text: str, expected: StepTime) -> None:
    """A step comes at a share of the time to the deadline, or at a time from the deadline."""
    assert expected == StepTime.parse(text)


@pytest.mark.parametrize("text", ["", "60", "%", "-60%", "10m", "60 %", "+", "+5", "1e3%", ".5%"])
def test_step_times_refuse_with_the_expected_forms(text: str) -> None:
    """Anything else is refused, and the error shows all three forms."""
    with pytest.raises(ValueError, match=r'"60%".*"\+10m" or "-10m"'):
        StepTime.parse(text)


def test_a_step_time_of_nothing_from_the_deadline_is_refused() -> None:
    """`+0m` is refused like every duration of nothing: `100%` says it."""
    with pytest.raises(ValueError, match="more than nothing"):
        StepTime.parse("+0m")


def test_a_step_time_is_one_thing() -> None:
    """A step time that says neither or both of percent and offset is a mistake."""
    with pytest.raises(ValueError, match="either a percent or an offset"):
        StepTime("60%")


def test_an_sla_says_when_in_one_way() -> None:
    """An SLA has respond_within or respond_by, not both, and a cutoff only with the latter."""
    with pytest.raises(ValueError, match="either respond_within or respond_by"):
        SLA("none")
    with pytest.raises(ValueError, match="either respond_within or respond_by"):
        SLA("both", respond_within=HOUR, respond_by="close_of_business")
    with pytest.raises(ValueError, match='expected "close_of_business"'):
        SLA("misspelt", respond_by="close_of_busines")
    with pytest.raises(ValueError, match="cutoff needs respond_by"):
        SLA("cutoff", respond_within=HOUR, cutoff=time(16))
    with pytest.raises(ValueError, match="more than nothing"):
        SLA("zero", respond_within=timedelta())


WITHIN_24H = SLA("outbound", respond_within=24 * HOUR, clock=Clock.BUSINESS)
SAME_DAY = SLA("same-day", respond_by="close_of_business")
BY_FOUR = SLA("by-four", respond_by="close_of_business", cutoff=time(16))
DEADLINES: list[tuple[str, SLA, Calendar, str, str]] = [
    ("five minutes", SLA("x", 5 * MINUTE), NINE_TO_FIVE, "2026-11-22T03:00:00Z", "2026-11-22T03:05:00Z"),
    (
        "a day, clocks change",
        SLA("x", 24 * HOUR),
        NINE_TO_FIVE,
        "2026-11-01T04:00:00Z",
        "2026-11-02T04:00:00Z",
    ),
    (
        "microseconds are cut",
        SLA("x", HOUR),
        NINE_TO_FIVE,
        "2026-11-22T03:00:00.001999Z",
        "2026-11-22T04:00:00.001Z",
    ),
    ("24 open hours", WITHIN_24H, NINE_TO_FIVE, "2026-11-23T14:00:00Z", "2026-11-25T22:00:00Z"),
    ("24 open hours from Friday", WITHIN_24H, NINE_TO_FIVE, "2026-11-20T21:00:00Z", "2026-11-25T21:00:00Z"),
    ("24 hours of whole weekdays", WITHIN_24H, WEEKDAYS, "2026-11-20T21:00:00Z", "2026-11-23T21:00:00Z"),
    ("same day", SAME_DAY, NINE_TO_FIVE, "2026-11-23T20:00:00Z", "2026-11-23T22:00:00Z"),
    ("same day, after the close", SAME_DAY, NINE_TO_FIVE, "2026-11-23T22:00:00Z", "2026-11-24T22:00:00Z"),
    ("before the cutoff", BY_FOUR, NINE_TO_FIVE, "2026-11-23T20:59:59.999999Z", "2026-11-23T22:00:00Z"),
    ("at the cutoff", BY_FOUR, NINE_TO_FIVE, "2026-11-23T21:00:00Z", "2026-11-24T22:00:00Z"),
]


@pytest.mark.parametrize(
    ("sla", "calendar", "received", "expected"),
    [row[1:] for row in DEADLINES],
    ids=[row[0] for row in DEADLINES],
)
def test_deadline_of(sla: SLA, calendar: Calendar, received: str, expected: str) -> None:
    """A deadline is so much time from receipt on the SLA's clock, or the close of business."""
    assert expected == to_iso(deadline_of(sla, calendar, from_iso(received)))


def test_an_sla_without_steps_tells_the_rep_and_alerts_the_manager() -> None:
    """The default ladder: the rep at receipt, the manager at the deadline."""
    received = from_iso("2026-11-23T14:00:00Z")
    first, last = planned_steps(SLA("x", HOUR), NINE_TO_FIVE, received, received + HOUR)
    assert ("0%", received, ("rep",), (), ()) == (first.name, first.at, first.tell, first.remind, first.alert)
    assert ("100%", received + HOUR, (), (), ("manager",)) == (
        last.name,
        last.at,
        last.tell,
        last.remind,
        last.alert,
    )


def test_a_planned_step_does_what_its_step_says() -> None:
    """Whom a step tells, reminds and alerts, and whether it reassigns, is frozen into the plan."""
    step = Step("all", StepTime.parse("50%"), tell=("a",), remind=("b",), alert=("c", "d"), reassign=True)
    received = from_iso("2026-11-23T14:00:00Z")
    (planned,) = planned_steps(SLA("x", HOUR, steps=(step,)), NINE_TO_FIVE, received, received + HOUR)
    expected = ("all", received + 30 * MINUTE, ("a",), ("b",), ("c", "d"), True)
    assert expected == (
        planned.name,
        planned.at,
        planned.tell,
        planned.remind,
        planned.alert,
        planned.reassign,
    )


def test_steps_on_the_elapsed_clock() -> None:
    """Shares and offsets are plain time, soonest first; nothing comes before receipt; fractions of a ms go."""
    sla = SLA("x", 5 * MINUTE, steps=ladder("+10m", "200%", "100%", "33.33333%", "60%", "-1m", "-1h", "0%"))
    expected = {
        "-1h": "2026-11-22T03:00:00Z",
        "0%": "2026-11-22T03:00:00Z",
        "33.33333%": "2026-11-22T03:01:39.999Z",
        "60%": "2026-11-22T03:03:00Z",
        "-1m": "2026-11-22T03:04:00Z",
        "100%": "2026-11-22T03:05:00Z",
        "200%": "2026-11-22T03:10:00Z",
        "+10m": "2026-11-22T03:15:00Z",
    }
    assert list(expected.items()) == list(at(sla, NINE_TO_FIVE, "2026-11-22T03:00:00Z").items())


def test_steps_on_the_business_clock() -> None:
    """Shares and offsets are open time; one that ends with a span comes at its close, not the next opening."""
    sla = SLA(
        "x",
        24 * HOUR,
        clock=Clock.BUSINESS,
        steps=ladder("0%", "25%", "33.33333%", "50%", "-1h", "-8h", "100%", "+1h", "150%", "-99h"),
    )
    # Received on a Saturday; open Monday to Friday, 14:00 to 22:00 UTC.
    expected = {
        "0%": "2026-11-21T12:00:00Z",
        "-99h": "2026-11-21T12:00:00Z",
        "25%": "2026-11-23T20:00:00Z",
        "33.33333%": "2026-11-23T21:59:59.997Z",
        "50%": "2026-11-24T18:00:00Z",
        "-8h": "2026-11-24T22:00:00Z",
        "-1h": "2026-11-25T21:00:00Z",
        "100%": "2026-11-25T22:00:00Z",
        "+1h": "2026-11-26T15:00:00Z",
        "150%": "2026-11-27T18:00:00Z",
    }
    assert list(expected.items()) == list(at(sla, NINE_TO_FIVE, "2026-11-21T12:00:00Z").items())


def test_a_share_of_the_business_clock_that_falls_at_lunch_is_where_lunch_begins() -> None:
    """Three of six hours are reached at noon, when the span closes, not at one, when the next opens."""
    sla = SLA("x", 6 * HOUR, clock=Clock.BUSINESS, steps=ladder("50%", "-3h", "-2h"))
    expected = {
        "50%": "2026-11-23T12:00:00Z",
        "-3h": "2026-11-23T12:00:00Z",
        "-2h": "2026-11-23T14:00:00Z",
    }
    assert list(expected.items()) == list(at(sla, LUNCH, "2026-11-23T09:00:00Z").items())


def test_close_of_business_on_either_clock() -> None:
    """Half the time to the close: of all time on the elapsed clock, of open time on the business clock."""
    steps = ladder("50%", "-1h", "100%", "+1h")
    elapsed = SLA("x", respond_by="close_of_business", steps=steps)
    business = SLA("x", respond_by="close_of_business", steps=steps, clock=Clock.BUSINESS)
    expected = {
        "50%": "2026-11-23T12:00:00Z",
        "-1h": "2026-11-23T17:00:00Z",
        "100%": "2026-11-23T18:00:00Z",
        "+1h": "2026-11-23T19:00:00Z",
    }
    assert list(expected.items()) == list(at(elapsed, LUNCH, "2026-11-23T06:00:00Z").items())
    expected = {
        "50%": "2026-11-23T14:00:00Z",
        "-1h": "2026-11-23T17:00:00Z",
        "100%": "2026-11-23T18:00:00Z",
        "+1h": "2026-11-24T10:00:00Z",
    }
    assert list(expected.items()) == list(at(business, LUNCH, "2026-11-23T06:00:00Z").items())


def test_the_whole_time_is_exactly_the_deadline_even_where_that_is_in_closed_time() -> None:
    """`100%` is the deadline as the lead carries it, though open time reached its end when the span closed."""
    received, deadline = from_iso("2026-11-23T09:00:00Z"), from_iso("2026-11-23T20:00:00Z")
    sla = SLA("x", 8 * HOUR, clock=Clock.BUSINESS, steps=ladder("100%"))
    assert [deadline] == [step.at for step in planned_steps(sla, LUNCH, received, deadline)]


@pytest.mark.parametrize("order", [("60%", "-2m", "150%", "+150s"), ("+150s", "150%", "-2m", "60%")])
def test_steps_at_one_instant_keep_the_order_of_config(order: tuple[str, ...]) -> None:
    """Sorting is stable: steps of equal instants stay as config has them."""
    early, late = {"60%", "-2m"}, {"150%", "+150s"}
    expected = [text for text in order if text in early] + [text for text in order if text in late]
    assert expected == list(at(SLA("x", 5 * MINUTE, steps=ladder(*order)), LUNCH, "2026-11-23T09:00:00Z"))


@pytest.mark.parametrize("clock", list(Clock))
def test_receipt_is_cut_to_the_millisecond(clock: Clock) -> None:
    """What Redis keeps is milliseconds, so nothing finer moves a step."""
    received, due = from_iso("2026-11-23T15:00:00.000999Z"), from_iso("2026-11-23T16:00:00.000999Z")
    steps = planned_steps(
        SLA("x", HOUR, clock=clock, steps=ladder("0%", "50%", "100%", "-99h")), LUNCH, received, due
    )
    assert all(step.at.microsecond == 0 and step.at.tzinfo is UTC for step in steps)


HOURS = oracle.Hours(
    "America/New_York", {0: ((540, 720), (780, 1050)), 2: ((0, 1440),), 4: ((1320, 360),), 6: ((60, 180),)}
)
MIXED = Calendar(
    "mixed", HOURS.timezone, {day: tuple(Span(*pair) for pair in pairs) for day, pairs in HOURS.spans.items()}
)
receipts = st.one_of(
    st.integers(to_ms(datetime(2026, 3, 1, tzinfo=UTC)), to_ms(datetime(2026, 3, 15, tzinfo=UTC))),
    st.integers(to_ms(datetime(2026, 10, 25, tzinfo=UTC)), to_ms(datetime(2026, 11, 8, tzinfo=UTC))),
).map(lambda ms: ms // 1000 * 1000)


@settings(max_examples=100, deadline=None)
@given(receipts, st.integers(1, 30 * 60), st.integers(0, 2000), st.integers(1, 10 * 60))
def test_business_steps_equal_the_oracle(received_ms: int, budget: int, tenths: int, offset: int) -> None:
    """Deadline, share, and offsets both ways on the business clock are those of counting minutes."""
    received = from_ms(received_ms)
    share = f"{tenths // 10}.{tenths % 10}%"
    steps = ladder(share, f"+{offset}m", f"-{offset}m")
    sla = SLA("x", budget * MINUTE, clock=Clock.BUSINESS, steps=steps)
    due_ms = oracle.after_open_time(HOURS, received_ms, budget * 60_000, 30)
    assert due_ms is not None
    deadline = deadline_of(sla, MIXED, received)
    assert from_ms(due_ms) == deadline
    expected = {
        share: oracle.after_open_time(HOURS, received_ms, budget * 60_000 * tenths // 1000, 30),
        f"+{offset}m": oracle.after_open_time(HOURS, due_ms, offset * 60_000, 30),
        f"-{offset}m": oracle.before_open_time(HOURS, due_ms, offset * 60_000, received_ms),
    }
    assert expected == {step.name: to_ms(step.at) for step in planned_steps(sla, MIXED, received, deadline)}


@given(receipts, st.integers(1, 1000), st.sampled_from(list(Clock)))
def test_ladders_are_sorted_and_never_before_receipt(received_ms: int, minutes: int, clock: Clock) -> None:
    """Whatever the ladder, its steps come soonest first, and the earliest at receipt."""
    sla = SLA(
        "x", minutes * MINUTE, clock=clock, steps=ladder("+3h", "-90m", "12.5%", "250%") + DEFAULT_STEPS
    )
    received = from_ms(received_ms)
    deadline = deadline_of(sla, MIXED, received)
    steps = planned_steps(sla, MIXED, received, deadline)
    assert sorted(step.at for step in steps) == [step.at for step in steps]
    assert received == steps[0].at
    assert [deadline] == [step.at for step in steps if step.name == "100%"]
