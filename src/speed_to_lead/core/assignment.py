"""Which rep gets a lead: weighted round robin or fewest open leads, within shifts, leave and caps.

The rotation is stride scheduling (Waldspurger and Weihl, OSDI '94, "Lottery and Stride Scheduling"): each pick
moves a rep's next turn on by STRIDE / weight, and the rep whose turn is earliest is picked. A rep who was away joins at the
team's current turn, so nobody returning from leave is flooded, and nobody is skipped.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import NamedTuple

from speed_to_lead.core.calendar import Calendar

#: One turn of a rep of weight 1. Divisible by every weight to 16, so that shares stay exact integers.
STRIDE = 720_720

#: Past this a leave's last day alone says who is back first; nobody's shifts are known that far ahead.
_FAR_OFF = timedelta(days=400)
#: Local midnights are somewhere in 26 hours of a UTC day, at a quarter of an hour.
_EARLIEST_MIDNIGHT = timedelta(hours=14)
_QUARTER = timedelta(minutes=15)


class Assignment(StrEnum):
    """How a team shares its leads out."""

    ROUND_ROBIN = "round_robin"
    LEAST_OPEN = "least_open"


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
    OFF_SHIFT = 1
    AT_CAP = 2
    ON_LEAVE = 3


class Presence(NamedTuple):
    """What shifts and leave make of a rep at one instant, whatever their load: AVAILABLE, OFF_SHIFT or ON_LEAVE."""

    standing: Standing
    since: datetime  # when the rep can answer: that instant, or the next opening of their shift outside leave
    why: str


@dataclass(frozen=True, slots=True)
class Rep:
    """One SDR: `notify` is a destination, `weight` their share, `max_open` a cap on open leads, None for no cap.

    `email` is only what leads may name them by.
    """

    id: str
    name: str
    calendar: Calendar
    notify: str | None = None
    weight: int = 1
    max_open: int | None = None
    away: tuple[Leave, ...] = ()
    email: str | None = None
    _last_presence: tuple[datetime, Presence] | None = field(
        default=None, init=False, repr=False, compare=False
    )

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


@dataclass(frozen=True, slots=True)
class Team:
    """Reps who share leads; `manager` is the destination that hears of breaches."""

    name: str
    calendar: Calendar
    manager: str
    assignment: Assignment
    reps: tuple[Rep, ...]

    def rep(self, rep_id: str | None) -> Rep | None:
        """The rep of that id, or None."""
        for rep in self.reps:
            if rep.id == rep_id:
                return rep
        return None


@dataclass(frozen=True, slots=True)
class Rotation:
    """Whose turn it is in one team. `version` counts the picks written; `turns` are in units of STRIDE."""

    version: int = 0
    clock: int = 0
    turns: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RotationChange:
    """One pick, decided on `version` of the team's rotation: the store refuses it where others picked since."""

    team: str
    version: int
    clock: int
    rep: str
    turn: int

    def applied_to(self, rotation: Rotation) -> Rotation:
        """The rotation as it will be once this pick is written."""
        return Rotation(self.version + 1, self.clock, {**rotation.turns, self.rep: self.turn})


class Pick(NamedTuple):
    """The rep who gets the lead (None where a team has nobody at all), how it was decided, and the next turn."""

    rep: Rep | None
    reasons: tuple[str, ...]
    rotation: RotationChange | None


_LAST_RESORT = {
    Standing.OFF_SHIFT: "it goes to the rep whose shift opens next",
    Standing.AT_CAP: "everybody not on leave is at their cap, so one goes over it",
    Standing.ON_LEAVE: "everybody is on leave, so it goes to whoever is back first",
}


class _Candidate(NamedTuple):  # made for each rep of the team, for each lead
    rep: Rep
    standing: Standing
    since: datetime  # see Presence
    why: str


def pick_rep(
    team: Team,
    rotation: Rotation,
    load: Mapping[str, int],
    now: datetime,
    *,
    had_it: Collection[str] = (),
    instead_of: str | None = None,
) -> Pick:
    """The rep of `team` who gets a lead at `now`, with a reason for every rep of the team.

    First choice: on shift, not on leave, below the cap. A lead without a rep is worse than a rep with one lead
    too many, so where nobody qualifies it goes to the rep whose shift opens next, then over a cap, then to
    whoever is back from leave first. Reps in `had_it` never get it again, and a lead taken from `instead_of` goes
    to nobody who is worse placed to answer than that rep: where no others are left, the pick is empty. `load` is the
    number of open leads by rep id.
    """
    others = [rep for rep in team.reps if rep.id not in had_it and rep.id != instead_of]
    reasons = [f"{rep.id}: had this lead before" for rep in team.reps if rep.id in had_it]
    candidates = [_candidate(rep, load, now) for rep in others]
    holder = team.rep(instead_of)
    if holder is not None:
        reasons.append(f"{holder.id}: has it now")
        limit = _candidate(holder, load, now).standing
        worse = [candidate for candidate in candidates if candidate.standing > limit]
        reasons += [f"{c.rep.id}: {c.why}, so no better placed than {holder.id}, who has it" for c in worse]
        candidates = [candidate for candidate in candidates if candidate.standing <= limit]
    if not candidates:
        return Pick(None, (*reasons, f"nobody else is left in team {team.name}"), None)
    standing, since = min((candidate.standing, candidate.since) for candidate in candidates)
    if standing is not Standing.AVAILABLE:
        reasons.append(f"nobody is on shift, present and below their cap; {_LAST_RESORT[standing]}")
    eligible = [c.rep for c in candidates if c.standing is standing and c.since == since]
    chosen = min(eligible, key=lambda rep: _order(team, rep, rotation, load))
    turn = max(rotation.turns.get(chosen.id, 0), rotation.clock)
    change = RotationChange(
        team.name, rotation.version, turn, chosen.id, turn + max(STRIDE // chosen.weight, 1)
    )
    by_id = {rep.id for rep in eligible}
    reasons += [f"{c.rep.id}: {_reason(c, chosen, by_id, team, load)}" for c in candidates]
    return Pick(chosen, tuple(reasons), change)


def _candidate(rep: Rep, load: Mapping[str, int], now: datetime) -> _Candidate:
    standing, since, why = rep.presence(now)
    if rep.max_open is not None and standing is not Standing.ON_LEAVE:
        open_leads = load.get(rep.id, 0)
        if open_leads >= rep.max_open:
            return _Candidate(rep, Standing.AT_CAP, since, f"at the cap, {open_leads} of {rep.max_open} open")
    return _Candidate(rep, standing, since, why)


def _order(team: Team, rep: Rep, rotation: Rotation, load: Mapping[str, int]) -> tuple[Fraction | int, int]:
    turn = max(rotation.turns.get(rep.id, 0), rotation.clock)
    if team.assignment is Assignment.LEAST_OPEN:
        return (Fraction(load.get(rep.id, 0), rep.weight), turn)
    return (turn, 0)


def _reason(
    candidate: _Candidate, chosen: Rep, eligible: Collection[str], team: Team, load: Mapping[str, int]
) -> str:
    rep = candidate.rep
    if rep is chosen:
        why = "the only one" if len(eligible) == 1 else f"first of {len(eligible)} by {team.assignment}"
        return f"picked, {candidate.why}, {why}"
    if rep.id not in eligible:
        return candidate.why
    if team.assignment is Assignment.LEAST_OPEN:
        return f"{candidate.why}, but has {load.get(rep.id, 0)} open (weight {rep.weight})"
    return f"{candidate.why}, but {chosen.id}'s turn is earlier"
