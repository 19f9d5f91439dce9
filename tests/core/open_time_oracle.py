"""Open time the slow and obvious way: look at every minute and ask whether a span holds it.

Shares nothing with `core/calendar`: it finds the instant of a wall time by trying every offset in force around
it, keeps no table, and counts minutes one by one. Works from 1990 on, where all offsets are whole minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTE_MS = 60_000


@dataclass(frozen=True)
class Hours:
    """What a calendar is made of: (opens, closes) minutes by weekday, and the closed days."""

    timezone: str
    spans: Mapping[int, tuple[tuple[int, int], ...]]
    closed: frozenset[date] = frozenset()


def local_date(timezone: str, at_ms: int) -> date:
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(timezone)).date()


def _offset(timezone: str, utc_minute: int) -> int:
    offset = datetime.fromtimestamp(utc_minute * 60, ZoneInfo(timezone)).utcoffset()
    assert offset is not None
    assert offset.total_seconds() % 60 == 0
    return int(offset.total_seconds()) // 60


@lru_cache(maxsize=100_000)
def utc_minute_of_wall(timezone: str, day: date, minute: int) -> int:
    """The first UTC minute at which the wall shows that time; where it never does, with the offset before."""
    as_if_utc = (day.toordinal() - date(1970, 1, 1).toordinal()) * 1440 + minute
    offsets = {_offset(timezone, as_if_utc + hours * 60) for hours in range(-26, 27, 2)}
    readings = [as_if_utc - offset for offset in offsets if _offset(timezone, as_if_utc - offset) == offset]
    return min(readings) if readings else as_if_utc - _offset(timezone, as_if_utc - 26 * 60)


def spans_of(hours: Hours, day: date) -> list[tuple[int, int]]:
    """The spans that open on that local day, in UTC minutes; none on a closed day."""
    if day in hours.closed:
        return []
    found = []
    for opens, closes in hours.spans.get(day.weekday(), ()):
        ends = closes if closes > opens else closes + 1440
        first = utc_minute_of_wall(hours.timezone, day, opens)
        last = utc_minute_of_wall(hours.timezone, day, ends)
        if first < last:
            found.append((first, last))
    return found


def open_minutes(hours: Hours, first_ms: int, days: int) -> set[int]:
    """Every open UTC minute from two days before to `days` after."""
    start = local_date(hours.timezone, first_ms)
    return {
        minute
        for step in range(-3, days + 3)
        for first, last in spans_of(hours, start + timedelta(days=step))
        for minute in range(first, last)
    }


def is_open(hours: Hours, at_ms: int) -> bool:
    return at_ms // MINUTE_MS in open_minutes(hours, at_ms, 1)


def next_open(hours: Hours, at_ms: int, days: int) -> int | None:
    """None where nothing opens in that many days."""
    if is_open(hours, at_ms):
        return at_ms
    later = [m * MINUTE_MS for m in open_minutes(hours, at_ms, days) if m * MINUTE_MS >= at_ms]
    return min(later, default=None)


def open_ms_between(hours: Hours, first_ms: int, last_ms: int) -> int:
    minutes = open_minutes(hours, first_ms, (last_ms - first_ms) // (1440 * MINUTE_MS) + 2)
    total = 0
    for minute in range(first_ms // MINUTE_MS, last_ms // MINUTE_MS + 1):
        if minute in minutes:
            total += min((minute + 1) * MINUTE_MS, last_ms) - max(minute * MINUTE_MS, first_ms)
    return total


def after_open_time(hours: Hours, start_ms: int, amount_ms: int, days: int) -> int | None:
    """Walks forward and spends the amount on open minutes; None where that takes longer than `days`."""
    minutes = open_minutes(hours, start_ms, days)
    at, left = start_ms, amount_ms
    while left and at < start_ms + days * 1440 * MINUTE_MS:
        minute_end = (at // MINUTE_MS + 1) * MINUTE_MS
        if at // MINUTE_MS in minutes:
            spent = min(minute_end - at, left)
            at, left = at + spent, left - spent
        else:
            at = minute_end
    return None if left else at


def before_open_time(hours: Hours, end_ms: int, amount_ms: int, not_before_ms: int) -> int:
    """Walks backward, spends the amount on open minutes, then goes on through the closed ones."""
    minutes = open_minutes(hours, not_before_ms, (end_ms - not_before_ms) // (1440 * MINUTE_MS) + 2)
    at, left = end_ms, amount_ms
    while at > not_before_ms:
        minute_start = (at - 1) // MINUTE_MS * MINUTE_MS
        if minute_start // MINUTE_MS in minutes:
            spent = min(at - minute_start, left)
            at, left = at - spent, left - spent
            if at > minute_start:
                break
        else:
            at = minute_start
    return max(at, not_before_ms)


def close_of_business(hours: Hours, at_ms: int, cutoff: time | None, days: int) -> int | None:
    """Lists the business days, finds the one that holds the instant or opens next, and looks at its last close."""
    today = local_date(hours.timezone, at_ms)
    listed = [today + timedelta(days=step) for step in range(-3, days)]
    business = [day for day in listed if spans_of(hours, day)]
    at_minute = at_ms // MINUTE_MS
    held = [day for day in business if any(a <= at_minute < b for a, b in spans_of(hours, day))]
    coming = [(a, day) for day in business for a, _ in spans_of(hours, day) if a * MINUTE_MS > at_ms]
    if not held and not coming:
        return None
    day = min(held) if held else min(coming)[1]
    if cutoff is not None:
        cutoff_minute = utc_minute_of_wall(hours.timezone, day, cutoff.hour * 60 + cutoff.minute)
        if at_minute >= cutoff_minute:
            following = [other for other in business if other > day]
            if not following:
                return None
            day = following[0]
    return max(b for _, b in spans_of(hours, day)) * MINUTE_MS
