"""What one deadline in business hours costs, whatever the calendar and however far ahead it lies.

CPU time of this process, so that what else the machine does counts for little. Instants are spread over a year.
"""

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from benchmarks.finding import ROUNDS, Check, Contender, Finding, Plot, Row, Series, in_turns, ratio
from benchmarks.peers import deadlines as peers
from speed_to_lead.core.calendar import Calendar, Span
from speed_to_lead.core.sla import CLOSE_OF_BUSINESS, SLA, Clock, deadline_of

#: Open hours: an hour, "24 business hours", ten weeks, two years.
SPANS = (1, 24, 400, 4000)
#: Deadlines counted in one go: of ours for every span, of peers for each, since theirs grow.
OURS, PEERS = 2000, {1: 200, 24: 50, 400: 8, 4000: 2}
MOST_MICROSECONDS, MOST_GROWTH = 10.0, 2.0


def measure(rounds: int = ROUNDS, scratch: Path | None = None, ours: int = OURS) -> Finding:
    """Our deadlines and those of four libraries, for four spans."""
    del scratch
    instants = _instants(max(ours, *PEERS.values()))
    calendar = Calendar("new-york", "America/New_York", _office_hours(), _holidays_of())
    sla = {span: _business(span) for span in SPANS}
    contenders = [
        Contender(f"ours, {span} h", _timed(_ours(sla[span], calendar), instants[:ours])) for span in SPANS
    ]
    for name, other, asked in _other_calendars():
        contenders.append(Contender(f"ours, {name}", _timed(_ours(asked, other), instants[:ours])))
    ready, notes, figures = _peers(calendar, instants)
    contenders += ready
    for one in contenders:  # the first question about a year builds its table
        if not one.missing:
            one.run()
    rows = in_turns(contenders, rounds)
    mine = [row for row in rows if row.name.startswith("ours")]
    return Finding(
        name="deadlines",
        question="What does one deadline in business hours cost?",
        unit="µs",
        more_is_better=False,
        rows=rows,
        checks=(
            Check(
                "one deadline, the costliest of all calendars, in µs",
                max(row.median for row in mine),
                MOST_MICROSECONDS,
                at_least=False,
            ),
            Check("4000 open hours over 1, or 1 over 4000", _growth(rows), MOST_GROWTH, at_least=False),
        ),
        plots=(_plot(rows),),
        notes=(
            "CPU time of one process, per deadline; contenders took turns.",
            "New York, weekdays 9 to 12 and 13 to 18, holidays of the state; instants are spread over 2026.",
            "A calendar's table of a year is built at the first question about it and kept; that is not in the figures.",
            *notes,
        ),
        figures=figures,
    )


def _growth(rows: Sequence[Row]) -> float:
    by_name = {row.name: row for row in rows}
    shortest, longest = (by_name[f"ours, {span} h"] for span in (SPANS[0], SPANS[-1]))
    return max(ratio(longest, shortest), ratio(shortest, longest))


def _plot(rows: Sequence[Row]) -> Plot:
    names = dict.fromkeys(row.name.rpartition(", ")[0] for row in rows if row.figures and _span_of(row))
    series = (
        Series(
            name,
            tuple(
                (_span_of(row), row.median)
                for row in rows
                if row.figures and row.name.rpartition(", ")[0] == name and _span_of(row)
            ),
        )
        for name in names
    )
    return Plot("One deadline", "open hours until it", "µs", tuple(series))


def _span_of(row: Row) -> int:
    last = row.name.rpartition(", ")[2].removesuffix(" h")
    return int(last) if last.isdecimal() else 0


def _peers(
    calendar: Calendar, instants: list[datetime]
) -> tuple[list[Contender], tuple[str, ...], dict[str, float]]:
    contenders: list[Contender] = []
    notes = [
        "pandas answers the opening of the next span where a budget ends with a span: as much open time, another instant.",
        "workalendar knows days and no hours: it answers a date, so many working days on, and only that is measured.",
        "business-duration only measures: it was given the deadline and asked for the hours between, without the lunch break.",
    ]
    figures: dict[str, float] = {}
    for name, module, package, build in (
        ("businesstimedelta", "businesstimedelta", "businesstimedelta", peers.businesstimedelta),
        ("pandas CustomBusinessHour", "pandas", "pandas", peers.pandas),
        ("workalendar", "workalendar", "workalendar", peers.workalendar),
    ):
        missing = peers.missing(module, package)
        deadline = None if missing else build()
        for span, count in PEERS.items():
            run = _timed(_of_span(deadline, span), instants[:count])
            contenders.append(Contender(f"{name}, {span} h", run, missing))
        if deadline is not None and name != "workalendar":
            wanted = [deadline_of(_business(24), calendar, at) for at in instants[:20]]
            given = [peers.as_utc(deadline(at, 24)) for at in instants[:20]]
            same = sum(
                mine.replace(microsecond=0) == theirs for mine, theirs in zip(wanted, given, strict=True)
            )
            figures[f"answers of {name} that are ours too, of 20"] = same
    missing = peers.missing("business_duration", "business-duration pandas")
    between = None if missing else peers.business_duration()
    for span, count in PEERS.items():
        pairs = {at: deadline_of(_business(span), calendar, at) for at in instants[:count]}
        run = _timed(_between(between, pairs), instants[:count])
        contenders.append(Contender(f"business-duration, {span} h", run, missing))
    return contenders, tuple(notes), figures


def _timed(deadline: Callable[[datetime], object], instants: Sequence[datetime]) -> Callable[[], float]:
    def run() -> float:
        before = time.process_time()
        for at in instants:
            deadline(at)
        return (time.process_time() - before) / len(instants) * 1e6

    return run


def _ours(sla: SLA, calendar: Calendar) -> Callable[[datetime], object]:
    return lambda at: deadline_of(sla, calendar, at)


def _of_span(deadline: peers.Deadline | None, span: int) -> Callable[[datetime], object]:
    return lambda at: deadline(at, span) if deadline else None


def _between(
    hours_between: Callable[[datetime, datetime], object] | None, deadlines: dict[datetime, datetime]
) -> Callable[[datetime], object]:
    return lambda at: hours_between(at, deadlines[at]) if hours_between else None


def _instants(count: int) -> list[datetime]:
    dice = random.Random(11)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [start + timedelta(seconds=dice.randrange(365 * 86_400)) for _ in range(count)]


def _business(hours: int) -> SLA:
    return SLA(f"{hours} hours", respond_within=timedelta(hours=hours), clock=Clock.BUSINESS)


def _office_hours() -> dict[int, tuple[Span, ...]]:
    return dict.fromkeys(range(5), (Span.parse("09:00-12:00"), Span.parse("13:00-18:00")))


def _holidays_of() -> Callable[[int], frozenset[date]]:
    closed = peers.closed_days()
    return lambda year: frozenset(day for day in closed if day.year == year)


def _other_calendars() -> list[tuple[str, Calendar, SLA]]:
    quarters = tuple(Span(opens, closes) for opens, closes in pairwise(range(0, 1441, 15)) if opens % 30 == 0)
    office = Calendar("office", "America/New_York", _office_hours(), _holidays_of())
    nights = Calendar("nights", "Asia/Kathmandu", dict.fromkeys(range(7), (Span.parse("22:00-06:00"),)))
    return [
        ("close of business", office, SLA("today", respond_by=CLOSE_OF_BUSINESS)),
        ("night shifts in Kathmandu, 24 h in them", nights, _business(24)),
        (
            "48 spans a day, 24 h in them",
            Calendar("quarters", "Europe/London", dict.fromkeys(range(7), quarters)),
            _business(24),
        ),
        ("five minutes of any time", office, SLA("5m", respond_within=timedelta(minutes=5))),
    ]
