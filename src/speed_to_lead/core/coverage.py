"""When nobody of a team is there: exact spans of time, from shifts and leave alone, whatever anybody's load is."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from speed_to_lead.core.assignment import Team
from speed_to_lead.core.calendar import Calendar
from speed_to_lead.core.reps import Rep

#: A calendar open for so long without a break is a way to count ("this time on the next business day"), not a shift.
_LONGEST_SHIFT = timedelta(hours=24)


class Stretch(NamedTuple):
    """From one instant until another, which is no part of it."""

    since: datetime
    until: datetime

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.until - self.since


class Gap(NamedTuple):
    """Nobody of the team is on shift. `is_awaited`: leads of the team wait then, and their clocks run."""

    stretch: Stretch
    is_awaited: bool
    is_leave: bool  # everybody is on leave, throughout


def gaps_in(team: Team, since: datetime, until: datetime, *, day_and_night: bool) -> tuple[Gap, ...]:
    """Every stretch in which no rep of the team is on shift and present, in order, to the minute that config can say.

    Somebody is awaited at all times where some SLA of the team runs `day_and_night` or its calendar never closes; else
    while the team's calendar is open. Hours of a calendar open for a day or longer do not count as such, since nobody
    is meant to be there all that time; but a leave of everybody in them does.
    """
    window = [Stretch(since, until)]
    present = _union(stretch for rep in team.reps for stretch in _present(rep, since, until))
    absent = _without(window, present)
    opening = _open(team.calendar, since, until)
    on_leave = window
    for rep in team.reps:
        on_leave = _common(on_leave, _leave(rep, since, until))
    if day_and_night or opening == window:
        awaited = window
    else:
        shifts = [stretch for stretch in opening if stretch.length < _LONGEST_SHIFT]
        awaited = _union([*shifts, *_common(on_leave, opening)])
    found = [Gap(stretch, True, _holds(on_leave, stretch)) for stretch in _common(absent, awaited)]
    found += [Gap(stretch, False, _holds(on_leave, stretch)) for stretch in _without(absent, awaited)]
    return tuple(sorted(found))


def _present(rep: Rep, since: datetime, until: datetime) -> list[Stretch]:
    return _without(_open(rep.calendar, since, until), _leave(rep, since, until))


def _open(calendar: Calendar, since: datetime, until: datetime) -> list[Stretch]:
    return [Stretch(*span) for span in calendar.open_spans(since, until)]


def _leave(rep: Rep, since: datetime, until: datetime) -> list[Stretch]:
    """The rep's leave, as it lies in the window; read in the time zone of the rep's calendar."""
    first, last = rep.calendar.local_day(since), rep.calendar.local_day(until)
    days = (
        (max(leave.first, first), min(leave.last, last))
        for leave in rep.away
        if leave.first <= last and first <= leave.last
    )
    return _common(
        _union(Stretch(*rep.calendar.days_as_instants(*both)) for both in days), [Stretch(since, until)]
    )


# --- Sets of instants, as stretches in order that neither meet nor overlap -----------------------------------------


def _union(stretches: Iterable[Stretch]) -> list[Stretch]:
    merged: list[Stretch] = []
    for stretch in sorted(stretches):
        if merged and stretch.since <= merged[-1].until:
            merged[-1] = Stretch(merged[-1].since, max(merged[-1].until, stretch.until))
        elif stretch.since < stretch.until:
            merged.append(stretch)
    return merged


def _common(some: Sequence[Stretch], others: Sequence[Stretch]) -> list[Stretch]:
    both = (
        Stretch(max(one.since, other.since), min(one.until, other.until)) for one in some for other in others
    )
    return [stretch for stretch in both if stretch.since < stretch.until]


def _without(some: Sequence[Stretch], others: Sequence[Stretch]) -> list[Stretch]:
    left = []
    for stretch in some:
        since = stretch.since
        for other in others:
            if other.until <= since or stretch.until <= other.since:
                continue
            if since < other.since:
                left.append(Stretch(since, other.since))
            since = other.until
        if since < stretch.until:
            left.append(Stretch(since, stretch.until))
    return left


def _holds(stretches: Sequence[Stretch], wanted: Stretch) -> bool:
    return any(one.since <= wanted.since and wanted.until <= one.until for one in stretches)
