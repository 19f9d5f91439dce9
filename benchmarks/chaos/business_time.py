"""Deadlines by arithmetic of our own: no line of it is speed-to-lead's. Instants are UTC milliseconds."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from benchmarks.chaos.rules import CALENDARS, SLAS, TEAMS, Calendar

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ms_of(text: str) -> int:
    """The UTC milliseconds of an ISO 8601 instant."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)


def text_of(at: int) -> str:
    """An instant as the report writes it: UTC, to the millisecond."""
    return (_EPOCH + timedelta(milliseconds=at)).strftime("%H:%M:%S.%f")[:-3]


def deadline_of(sla: str, team: str, received: int) -> int:
    """When the first response to a lead of this team under this SLA is due."""
    rule, calendar = SLAS[sla], CALENDARS[TEAMS[team].calendar]
    if rule.within is None:
        return _close_of_business(calendar, received)
    return _later(calendar, received, rule.within * 1000, business=rule.business)


def instant_of_step(sla: str, team: str, at: str, received: int, deadline: int) -> int:
    """When the step written `at` comes. A step before the deadline by an amount is counted on elapsed clocks only."""
    rule, calendar = SLAS[sla], CALENDARS[TEAMS[team].calendar]
    if at.endswith("%"):
        percent = int(at[:-1])
        if percent == 100:
            return deadline
        whole = _open_between(calendar, received, deadline) if rule.business else deadline - received
        return _later(calendar, received, whole * percent // 100, business=rule.business)
    amount = int(at[1:-1]) * 1000
    if at[0] == "+":
        return _later(calendar, deadline, amount, business=rule.business)
    assert not rule.business, "not counted here"
    return max(deadline - amount, received)


def _later(calendar: Calendar, start: int, amount: int, *, business: bool) -> int:
    """The first instant at which so much time has passed since `start`."""
    if not business or not amount:
        return start + amount
    for opens, closes in _spans(calendar, start):
        begin = max(opens, start)
        if closes <= begin:
            continue
        if amount <= closes - begin:
            return begin + amount
        amount -= closes - begin
    raise AssertionError("spans never end")


def _open_between(calendar: Calendar, start: int, end: int) -> int:
    total = 0
    for opens, closes in _spans(calendar, start):
        if opens >= end:
            break
        total += max(min(closes, end) - max(opens, start), 0)
    return total


def _close_of_business(calendar: Calendar, at: int) -> int:
    """The last close of the local day whose span holds `at`, else of the day that opens next."""
    for day in _days(calendar, at):
        if any(closes > at for _, closes in day):
            return max(closes for _, closes in day)
    raise AssertionError("days never end")


def _spans(calendar: Calendar, at: int) -> Iterator[tuple[int, int]]:
    for day in _days(calendar, at):
        yield from day


def _days(calendar: Calendar, at: int) -> Iterator[list[tuple[int, int]]]:
    """The spans of each local day, from the day before `at` on. No zone here puts its clocks forward or back."""
    zone = ZoneInfo(calendar.timezone)
    first = (_EPOCH + timedelta(milliseconds=at)).astimezone(zone).date() - timedelta(days=1)
    for number in count():
        midnight = datetime.combine(first + timedelta(days=number), time(), zone)
        day = []
        for span in calendar.spans:
            opens, closes = (_minutes(wall) for wall in span.split("-"))
            day.append((_ms(midnight + timedelta(minutes=opens)), _ms(midnight + timedelta(minutes=closes))))
        yield day


def _minutes(wall: str) -> int:
    hours, minutes = wall.split(":")
    return int(hours) * 60 + int(minutes)


def _ms(instant: datetime) -> int:
    return (instant.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
