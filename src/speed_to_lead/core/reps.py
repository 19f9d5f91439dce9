"""Reps: who they are, when they are there, what they may be given. Shifts and leave are config's, absences are told at run time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from typing import Final, NamedTuple

from speed_to_lead.core.calendar import Calendar

#: Past this a leave's last day alone says who is back first; nobody's shifts are known that far ahead.
_FAR_OFF = timedelta(days=400)
#: Local midnights are somewhere in 26 hours of a UTC day, at a quarter of an hour.
_EARLIEST_MIDNIGHT = timedelta(hours=14)
_QUARTER = timedelta(minutes=15)
#: When somebody is back who said no time.
_NO_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Leave:
    """Days off in the rep's own time zone, both ends included."""

    first: date
    last: date

    def covers(self, day: date) -> bool:
        """Whether that local day is one of them."""
        return self.first <= day <= self.last


class Standing(IntEnum):
    """How near a rep is to being able to answer. Lower is picked first."""

    AVAILABLE = 0
    COOLING_DOWN = 1
    OFF_SHIFT = 2
    AT_CAP = 3
    ON_LEAVE = 4


class Presence(NamedTuple):
    """What shifts and leave make of a rep at one instant, whatever their load: AVAILABLE, OFF_SHIFT or ON_LEAVE."""

    standing: Standing
    since: datetime  # when the rep can answer: that instant, or the next opening of their shift outside leave
    why: str


@dataclass(frozen=True, slots=True)
class Absence:
    """Somebody said at run time that a rep is away: who said it, when, and until when (None: until they are back).

    `back_by` is who said that they are back, at `until`; the last absence is kept to show it.
    """

    by: str
    since: datetime
    until: datetime | None = None
    back_by: str = ""

    def holds_at(self, now: datetime) -> bool:
        """Whether the rep is away by it at `now`; the end is not part of it."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Given:
    """What assignment gave a rep lately: `count` leads on `day` (their own local day), the last of them at `last`."""

    day: date
    count: int
    last: datetime


@dataclass(frozen=True, slots=True)
class Rep:
    """One SDR: `notify` is a destination, `weight` their share. A cap that is None is none.

    `max_open` caps open leads, `max_a_day` those given on one day of their calendar's time zone; `cooldown` is the
    least time between two; `is_counted`: they have one of these in another team. `attributes` are what they have (languages, territories) for teams that assign by it.
    `slack_id` says whose press on a button it was.
    `email` is only what leads may name them by.
    """

    id: str
    name: str
    calendar: Calendar
    notify: str | None = None
    weight: int = 1
    max_open: int | None = None
    away: tuple[Leave, ...] = ()
    max_a_day: int | None = None
    cooldown: timedelta | None = None
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    is_counted: bool = False
    email: str | None = None
    slack_id: str | None = None
    _last_presence: tuple[datetime, Presence] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    @property
    def is_paced(self) -> bool:
        """Whether what they were given lately matters, and so is counted."""
        return self.is_counted or self.max_a_day is not None or self.cooldown is not None

    def with_one_more(self, given: Given | None, now: datetime) -> Given:
        """What they were given, once they are given a lead at `now`."""
        today = self.calendar.local_day(now)
        return Given(today, given.count + 1 if given is not None and given.day == today else 1, now)

    def leave_at(self, now: datetime) -> Leave | None:
        """The leave that holds `now`, or None; leave is read in the time zone of the rep's calendar."""
        if not self.away:
            return None
        day = self.calendar.local_day(now)
        return next((leave for leave in self.away if leave.covers(day)), None)

    def next_present(self, now: datetime) -> datetime:
        """The first instant from `now` on at which the rep's shift is open and no leave holds it."""
        at = self.calendar.next_open(now)
        while (leave := self.leave_at(at)) is not None:
            if leave.last - now.date() > _FAR_OFF:
                return datetime.combine(leave.last, time(), UTC)
            at = max(at, datetime.combine(leave.last + timedelta(days=1), time(), UTC) - _EARLIEST_MIDNIGHT)
            while leave.covers(self.calendar.local_day(at)):
                at += _QUARTER
            at = self.calendar.next_open(at)
        return at

    def presence(self, now: datetime) -> Presence:
        """Whether the rep is there at `now`, and since or from when. Raises NeverOpen."""
        last = self._last_presence
        if last is not None and last[0] is now:  # a batch asks about the same instant for each lead
            return last[1]
        answer = self._presence(now)
        object.__setattr__(
            self, "_last_presence", (now, answer)
        )  # as one: another thread finds both or neither
        return answer

    def _presence(self, now: datetime) -> Presence:
        present = self.next_present(now)
        if self.leave_at(now) is not None:
            return Presence(Standing.ON_LEAVE, present, f"on leave, back {self.calendar.local_text(present)}")
        if present > now and self.leave_at(self.calendar.next_open(now)) is not None:
            back = self.calendar.local_text(present)
            return Presence(Standing.ON_LEAVE, present, f"off shift, then on leave, back {back}")
        if present > now:
            return Presence(
                Standing.OFF_SHIFT, present, f"off shift until {self.calendar.local_text(present)}"
            )
        return Presence(Standing.AVAILABLE, now, "on shift")


class Candidate(NamedTuple):  # made for each rep of the team, for each lead
    """Where a rep stands when a lead is to be given, all things considered."""

    rep: Rep
    standing: Standing
    since: datetime  # see Presence
    why: str


def candidate(
    rep: Rep,
    load: Mapping[str, int],
    given: Mapping[str, Given],
    away: Mapping[str, Absence],
    now: datetime,
) -> Candidate:
    """Where a rep stands at `now`: shift and leave, absence told at run time, caps, cooldown. Raises NeverOpen."""
    standing, since, why = rep.presence(now)
    if away and (absence := away.get(rep.id)) is not None and absence.holds_at(now):
        return _absent(rep, absence, now)
    if standing is Standing.ON_LEAVE:
        return Candidate(rep, standing, since, why)
    if rep.max_open is not None:
        open_leads = load.get(rep.id, 0)
        if open_leads >= rep.max_open:
            why = f"at the cap, {open_leads} of {rep.max_open} open"
            return Candidate(rep, Standing.AT_CAP, since, why)
    if given and rep.is_paced and (lately := given.get(rep.id)) is not None:
        return _paced(Candidate(rep, standing, since, why), lately, now)
    return Candidate(rep, standing, since, why)


#: Who is away for longer than this comes back "then", at whatever hour: a calendar works out every year until a day asked of,
#: and with `--until 2999-12-31` that took seconds.
_FAR: Final = timedelta(days=3 * 366)


def _absent(rep: Rep, absence: Absence, now: datetime) -> Candidate:
    if absence.until is None:
        return Candidate(rep, Standing.ON_LEAVE, _NO_END, f"away until they are back, says {absence.by}")
    is_far = absence.until - now > _FAR
    back = absence.until if is_far else rep.next_present(max(absence.until, now))
    why = f"away, says {absence.by}, back {rep.calendar.local_text(back)}"
    return Candidate(rep, Standing.ON_LEAVE, back, why)


def _paced(known: Candidate, lately: Given, now: datetime) -> Candidate:
    rep = known.rep
    is_full = rep.max_a_day is not None and lately.count >= rep.max_a_day
    if is_full and lately.day == rep.calendar.local_day(now):
        why = f"at the cap of the day, {lately.count} of {rep.max_a_day} given"
        return Candidate(rep, Standing.AT_CAP, known.since, why)
    if rep.cooldown is not None and known.standing is Standing.AVAILABLE and lately.last <= now:
        ready = lately.last + rep.cooldown
        if now < ready:
            why = f"cooldown until {rep.calendar.local_text(ready)}"
            return Candidate(rep, Standing.COOLING_DOWN, ready, why)
    return known
