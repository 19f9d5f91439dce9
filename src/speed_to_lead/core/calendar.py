"""When a team is open: spans of local days, holidays, and open time in exact UTC milliseconds.

`Span` and `parse_weekdays` read what config says, `Calendar` answers every question about it. Local time exists
only in this file: the table of a year converts each span to UTC once, and all arithmetic after that is on
integers. A question then costs a binary search or two, however far ahead its answer lies.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from speed_to_lead.core.clock import EPOCH, MILLISECOND, from_ms, to_iso, to_ms
from speed_to_lead.core.open_time import BusinessDay, OpenTime

_MINUTES_A_DAY: Final = 24 * 60
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAY_NUMBERS: Final = {name[:end]: day for day, name in enumerate(_WEEKDAYS) for end in (3, len(name))}
_WEEKDAY_TEXTS: Final = tuple(name[:3].capitalize() for name in _WEEKDAYS)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SPAN: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})")

#: How far ahead an answer may lie. Far beyond any SLA, near enough that a calendar closed for good is found out.
_HORIZON_YEARS: Final = 50
_HORIZON_MS: Final = timedelta(days=_HORIZON_YEARS * 365.25) // MILLISECOND

#: Local and UTC years differ by at most 16 hours and a span runs into the next day; zones have skipped whole days.
_YEAR_MARGIN: Final = timedelta(days=3)
_YEAR_MARGIN_MS: Final = _YEAR_MARGIN // MILLISECOND


class NeverOpen(ValueError):
    """The calendar does not open, or not for long enough, within 50 years of the instant asked about."""


@dataclass(frozen=True, slots=True)
class Span:
    """Open from minute `opens` to minute `closes` (excluded) of a local day; `closes` <= `opens` is the next day's."""

    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not 0 <= self.opens < _MINUTES_A_DAY:
            raise ValueError(f"a span opens between 00:00 and 23:59, not at minute {self.opens}")
        if not 0 <= self.closes <= _MINUTES_A_DAY:
            raise ValueError(f"a span closes between 00:00 and 24:00, not at minute {self.closes}")
        if self.opens == self.closes:
            raise ValueError("a span cannot close as it opens; for a whole day write 00:00-24:00")

    @classmethod
    def parse(cls, text: str) -> "Span":
        """The span written `09:00-12:00`, `22:00-06:00` (into the next day) or `00:00-24:00` (the whole day).

        Raises ValueError, saying what was expected, for anything else.
        """
        expected = 'expected two times such as "09:00-12:00", "22:00-06:00" (overnight) or "00:00-24:00"'
        match = SPAN.fullmatch(text.strip())
        if match is None:
            raise ValueError(f'"{text}" is not a span; {expected}')
        open_hour, open_minute, close_hour, close_minute = map(int, match.groups())
        if open_minute > 59 or close_minute > 59:
            raise ValueError(f'"{text}": minutes run from 00 to 59; {expected}')
        try:
            return cls(open_hour * 60 + open_minute, close_hour * 60 + close_minute)
        except ValueError as error:
            raise ValueError(f'"{text}": {error}') from None

    @property
    def minutes(self) -> int:
        """Its length on the wall clock; the next day's closing counted on, so 1 to 1440."""
        return (
            self.closes - self.opens
            if self.closes > self.opens
            else self.closes + _MINUTES_A_DAY - self.opens
        )


def parse_weekdays(text: str) -> tuple[int, ...]:
    """The days (0 = Monday) of `mon`, `mon-fri` or `sun-thu`, in that order; full names and capitals are fine.

    Raises ValueError with the nearest valid name for anything else.
    """
    first, dash, last = (part.strip() for part in text.lower().partition("-"))
    start = _weekday(first, text)
    end = _weekday(last, text) if dash else start
    return tuple((start + step) % 7 for step in range((end - start) % 7 + 1))


def _weekday(name: str, text: str) -> int:
    if name in _WEEKDAY_NUMBERS:
        return _WEEKDAY_NUMBERS[name]
    near = get_close_matches(name, _WEEKDAY_NUMBERS, n=1, cutoff=0.5)
    hint = f'did you mean "{near[0]}"?' if near else f"the days are {', '.join(day[:3] for day in _WEEKDAYS)}"
    raise ValueError(f'"{text}": "{name}" is not a weekday; expected "mon" or "mon-fri"; {hint}')


def instant_on_the_wall(local: datetime, timezone: str) -> datetime:
    """The instant at which a clock on a wall in that time zone shows the (naive) local time.

    A time that happens twice means the first, one that is skipped is read with the offset before the jump. Raises
    ValueError for an unknown time zone.
    """
    return local.replace(tzinfo=_zone(timezone), fold=0).astimezone(UTC)


def _no_holidays(_year: int) -> frozenset[date]:
    return frozenset()


class Calendar:
    """A team's or a rep's opening hours: takes aware datetimes, answers in UTC.

    `hours` maps weekdays (0 = Monday) to the spans that open on them; `holidays_in(year)` gives that year's
    closed local days, on which no span opens (one from the evening before still runs into them). A span is
    half-open: its opening instant is open, its closing instant is not. Where spans overlap, time counts once.

    Instants are read to the millisecond, rounded down. Raises ValueError for an unknown time zone or weekday.
    Safe to share between threads: a longer table is built aside and then swapped in.
    """

    __slots__ = (
        "_days_of_year",
        "_holidays_in",
        "_hours",
        "_last_opening",
        "_table",
        "_zone",
        "name",
        "timezone",
    )

    def __init__(
        self,
        name: str,
        timezone: str,
        hours: Mapping[int, tuple[Span, ...]],
        holidays_in: Callable[[int], frozenset[date]] = _no_holidays,
    ) -> None:
        if not set(hours) <= set(range(7)):
            raise ValueError(f'calendar "{name}": weekdays run from 0 (Monday) to 6, not {sorted(hours)}')
        self.name = name
        self.timezone = timezone
        self._zone = _zone(timezone)
        self._hours = tuple(tuple(hours.get(weekday, ())) for weekday in range(7))
        self._holidays_in = holidays_in
        self._days_of_year: dict[int, tuple[BusinessDay, ...]] = {}
        self._table: OpenTime | None = None
        self._last_opening: tuple[datetime, datetime] = (EPOCH, EPOCH)

    @property
    def zone(self) -> ZoneInfo:
        """Its time zone."""
        return self._zone

    def __repr__(self) -> str:
        return f"Calendar({self.name!r}, {self.timezone!r})"

    def is_open(self, at: datetime) -> bool:
        """Whether some span holds `at`."""
        at_ms = to_ms(at)
        table = self._covering(at_ms, at_ms)
        index = bisect_right(table.closes, at_ms)
        return index < len(table.opens) and table.opens[index] <= at_ms

    def next_open(self, at: datetime) -> datetime:
        """`at` itself when open, else the instant the next span opens. Raises NeverOpen."""
        asked, answer = self._last_opening
        if asked is at:  # of each rep, for each lead of a batch
            return answer
        at_ms = to_ms(at)
        table = self._covering(at_ms, at_ms)
        while (index := bisect_right(table.closes, at_ms)) == len(table.closes):
            table = self._longer(table, at_ms)
        opens = table.opens[index]
        answer = at.astimezone(UTC) if opens <= at_ms else self._within_horizon(at_ms, opens)
        self._last_opening = at, answer  # as one: another thread finds both or neither
        return answer

    def after_open_time(self, start: datetime, amount: timedelta) -> datetime:
        """The earliest instant from `start` on at which the open time since `start` reaches `amount`.

        That is the close of a span, not the opening of the next, where the amount ends exactly there; and `start`
        itself, open or not, for no amount at all. Raises NeverOpen, and ValueError for a negative amount.
        """
        amount_ms = _whole_ms(amount)
        if amount_ms == 0:
            return start.astimezone(UTC)
        start_ms = to_ms(start)
        table = self._covering(start_ms, start_ms)
        # Open time is counted from the table's beginning, which a longer table may have moved: so count again.
        while (target := table.open_ms_until(start_ms) + amount_ms) > table.open_ms:
            table = self._longer(table, start_ms)
        return self._within_horizon(start_ms, table.earliest_with(target))

    def before_open_time(self, end: datetime, amount: timedelta, not_before: datetime) -> datetime:
        """The earliest instant from `not_before` on from which at most `amount` of open time is left until `end`.

        It is the mirror of `after_open_time`: one hour before a deadline of 24 open hours is the instant at which
        23 are reached. Raises ValueError for a negative amount.
        """
        amount_ms = _whole_ms(amount)
        end_ms, first_ms = to_ms(end), to_ms(not_before)
        table = self._covering(min(first_ms, end_ms), max(first_ms, end_ms))
        target = table.open_ms_until(end_ms) - amount_ms
        if target <= table.open_ms_until(first_ms):
            return not_before.astimezone(UTC)
        return from_ms(table.earliest_with(target))

    def open_time_between(self, a: datetime, b: datetime) -> timedelta:
        """The open time from `a` to `b`; negative where `b` comes first."""
        a_ms, b_ms = to_ms(a), to_ms(b)
        table = self._covering(min(a_ms, b_ms), max(a_ms, b_ms))
        return timedelta(milliseconds=table.open_ms_until(b_ms) - table.open_ms_until(a_ms))

    def open_spans(self, since: datetime, until: datetime) -> tuple[tuple[datetime, datetime], ...]:
        """What is open from `since` until `until` (excluded), in order; spans that meet or overlap are one."""
        since_ms, until_ms = to_ms(since), to_ms(until)
        table = self._covering(since_ms, until_ms)
        spans = []
        for index in range(bisect_right(table.closes, since_ms), bisect_left(table.opens, until_ms)):
            opens, closes = max(table.opens[index], since_ms), min(table.closes[index], until_ms)
            spans.append((from_ms(opens), from_ms(closes)))
        return tuple(spans)

    def close_of_business(self, at: datetime, cutoff: time | None = None) -> datetime:
        """The last close of the business day: the day whose span holds `at`, else the day whose span opens next.

        From `cutoff` on (wall time of that local day) it is the next business day's. Where spans of two days hold
        `at`, the earlier day counts: no lead waits longer because hours overlap. Raises NeverOpen.
        """
        at_ms = to_ms(at)
        table = self._covering(at_ms, at_ms)
        while (closes := self._last_close(table, at_ms, cutoff)) is None:
            table = self._longer(table, at_ms)
        return self._within_horizon(at_ms, closes)

    def local_day(self, at: datetime) -> date:
        """The date at `at` on the calendar's wall."""
        return at.astimezone(self._zone).date()

    def days_as_instants(self, first: date, last: date) -> tuple[datetime, datetime]:
        """The instants at which the first of these local days begins and the last of them ends."""
        begins, ends = (
            datetime.combine(day, time(), self._zone).astimezone(UTC)
            for day in (first, last + timedelta(days=1))
        )
        return begins, ends

    def time_of_day(self, day: date, at: time) -> datetime:
        """The instant at which that local day's wall clock shows `at`; see `instant_on_the_wall`."""
        return datetime.combine(day, at, self._zone).astimezone(UTC)

    def local_span_text(self, since: datetime, until: datetime) -> str:
        """A span as people there read it: `Sat 28 Nov 18:00 - Mon 30 Nov 09:00 Europe/London`.

        Each end names its offset where clocks change in between, or one of the times happens twice.
        """
        ends = [at.astimezone(self._zone) for at in (since, until)]
        is_plain = ends[0].utcoffset() == ends[1].utcoffset() and all(
            end.replace(fold=0).utcoffset() == end.replace(fold=1).utcoffset() for end in ends
        )
        first, last = (
            _day_and_time(end) if is_plain else f"{_day_and_time(end)} {end.tzname()}" for end in ends
        )
        return f"{first} - {last} {self.timezone}"

    def local_text(self, at: datetime) -> str:
        """`at` as people there read it: `Mon 23 Nov 09:00 EST`. English whatever the locale of the process."""
        local = at.astimezone(self._zone)
        return f"{_day_and_time(local)} {local.tzname()}"

    def opens_within_a_year(self, now: datetime) -> bool:
        """Whether there is any open time in the 366 days from `now`."""
        return self.open_time_between(now, now + timedelta(days=366)) > timedelta()

    def _last_close(self, table: OpenTime, at_ms: int, cutoff: time | None) -> int | None:
        """The close of business in UTC milliseconds, or None where the table is too short to tell."""
        index = table.business_day_at(at_ms)
        if index is None:
            return None
        if cutoff is not None:
            day = date.fromordinal(table.days[index].ordinal)
            if at_ms >= to_ms(datetime.combine(day, cutoff, self._zone)):
                index += 1
        return table.days[index].closes if index < len(table.days) else None

    def _within_horizon(self, asked_ms: int, answer_ms: int) -> datetime:
        # Asked of every answer, so that what was asked before, and so how long the table is, never changes one.
        if answer_ms - asked_ms > _HORIZON_MS:
            raise self._never_open(asked_ms)
        return from_ms(answer_ms)

    def _never_open(self, asked_ms: int) -> NeverOpen:
        return NeverOpen(
            f'calendar "{self.name}" does not open, or not for long enough, within {_HORIZON_YEARS} years '
            f"of {to_iso(from_ms(asked_ms))}; give it more hours, or fewer holidays"
        )

    def _covering(self, first_ms: int, last_ms: int) -> OpenTime:
        table = self._table
        if table is not None and table.since <= first_ms and last_ms < table.until:
            return table
        return self._extended(first_ms, last_ms)

    def _longer(self, table: OpenTime, asked_ms: int) -> OpenTime:
        """A table that ends a year later, for the question asked about `asked_ms`. Raises NeverOpen."""
        if table.until - asked_ms > _HORIZON_MS:
            raise self._never_open(asked_ms)
        return self._extended(table.since, table.until)

    def _extended(self, first_ms: int, last_ms: int) -> OpenTime:
        """A table of all years known so far and of those around the two instants, swapped in when it is ready."""
        first_year = (from_ms(first_ms) - _YEAR_MARGIN).year
        last_year = (from_ms(last_ms) + _YEAR_MARGIN).year
        if self._days_of_year:
            known = tuple(self._days_of_year)
            first_year, last_year = min(first_year, *known), max(last_year, *known)
        years = range(first_year, last_year + 1)
        days = [day for year in years for day in self._days_in(year)]
        table = OpenTime(
            since=to_ms(datetime(first_year, 1, 1, tzinfo=UTC)) + _YEAR_MARGIN_MS,
            until=to_ms(datetime(last_year + 1, 1, 1, tzinfo=UTC)) - _YEAR_MARGIN_MS,
            days=days,
        )
        self._table = table
        return table

    def _days_in(self, year: int) -> tuple[BusinessDay, ...]:
        days = self._days_of_year.get(year)
        if days is None:
            holidays = self._holidays_in(year) if any(self._hours) else frozenset()
            # Two threads may both come here: they build the same days, and either may stay.
            days = self._days_of_year[year] = tuple(self._business_days(year, holidays))
        return days

    def _business_days(self, year: int, holidays: frozenset[date]) -> Iterable[BusinessDay]:
        """The local days of the year on which a span opens, holidays left out."""
        for ordinal in range(date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal() + 1):
            day = date.fromordinal(ordinal)
            spans = self._hours[day.weekday()]
            if not spans or day in holidays:
                continue
            # Adding to an aware datetime moves the wall clock, not the instant, and leaves fold=0: a wall time that
            # happens twice is the first, one that is skipped is read with the offset before the jump.
            midnight = datetime.combine(day, time(), self._zone)
            instants = []
            for span in spans:
                opens = to_ms(midnight + timedelta(minutes=span.opens))
                closes = to_ms(midnight + timedelta(minutes=span.opens + span.minutes))
                if opens < closes:  # a clock put forward may have swallowed the span
                    instants.append((opens, closes))
            if instants:
                yield BusinessDay(ordinal, tuple(instants), max(closes for _, closes in instants))


def _day_and_time(local: datetime) -> str:
    weekday, month = _WEEKDAY_TEXTS[local.weekday()], _MONTHS[local.month - 1]
    return f"{weekday} {local.day} {month} {local.hour:02}:{local.minute:02}"


def _zone(timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):  # ZoneInfo lets the errors of odd paths through
        near = get_close_matches(timezone, available_timezones(), n=1)
        hint = f'did you mean "{near[0]}"?' if near else 'expected an IANA name such as "America/New_York"'
        raise ValueError(f'time zone "{timezone}" is unknown; {hint}') from None


def _whole_ms(amount: timedelta) -> int:
    if amount < timedelta():
        raise ValueError(f"an amount of open time cannot be negative: {amount}")
    return amount // MILLISECOND
