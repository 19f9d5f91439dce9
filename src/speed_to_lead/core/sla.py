"""How soon a first response is due, and when each rung of the ladder comes: design words, exact arithmetic.

Everything here is read to the millisecond, rounded down, and answered in UTC.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from fractions import Fraction
from operator import attrgetter
from typing import Final

from speed_to_lead.core.calendar import Calendar
from speed_to_lead.core.clock import MILLISECOND
from speed_to_lead.core.lead import HOLD, PlannedStep

CLOSE_OF_BUSINESS: Final = "close_of_business"

_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
DURATION: Final = re.compile(r"([0-9]{1,9})([smhd])")
PERCENT: Final = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,5})?)%")
_LONGEST: Final = timedelta(days=3650)
_NOTHING: Final = timedelta()
#: How often a step that repeats comes again, unless config says so; and the most that config may ask for.
REPEAT_TIMES: Final = 8
MOST_REPEATS: Final = 50


def parse_duration(text: str) -> timedelta:
    """The duration written `90s`, `5m`, `24h` or `3d`: one whole number, one unit; a day is always 24 hours.

    Raises ValueError, saying what was expected, for anything else, for nothing at all (`0m`) and for more than
    ten years, which only a slip of the finger means.
    """
    match = DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f'"{text}" is not a duration; expected one whole number and a unit, such as 90s, 5m, 24h or 3d'
        )
    duration = int(match[1]) * _UNITS[match[2]]
    if not timedelta() < duration <= _LONGEST:
        raise ValueError(f'"{text}": expected a duration of more than nothing and at most {_LONGEST.days}d')
    return duration


def format_duration(duration: timedelta) -> str:
    """The duration in its largest exact unit: `90s`, `5m`, `24h`, `3d`; whole days only from three on.

    `24h` and `48h` stay hours, because people say them so. A negative duration starts with a minus, one that is
    not of whole seconds ends in `ms`.
    """
    if duration < timedelta():
        return f"-{format_duration(-duration)}"
    if duration % _UNITS["s"]:
        return f"{duration // MILLISECOND}ms"
    for name in ("d", "h", "m"):
        unit = _UNITS[name]
        if duration >= unit and not duration % unit and (name != "d" or duration >= 3 * unit):
            return f"{duration // unit}{name}"
    return f"{duration // _UNITS['s']}s"


class Clock(StrEnum):
    """What time an SLA counts: all of it, or the team calendar's open time only."""

    ELAPSED = "elapsed"
    BUSINESS = "business"


@dataclass(frozen=True, slots=True)
class StepTime:
    """When a step comes, as `text` says it; exactly one of `percent` and `offset` is set.

    `percent` is of the time from receipt to deadline, `offset` is from the deadline (negative: before it); both
    on the SLA's own clock.
    """

    text: str
    percent: Fraction | None = None
    offset: timedelta | None = None
    #: `percent` as two whole numbers, part and whole: a Fraction takes longer to ask for its own.
    part: tuple[int, int] = field(default=(0, 1), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if (self.percent is None) == (self.offset is None):
            raise ValueError(f'step time "{self.text}": give either a percent or an offset from the deadline')
        if self.percent is not None:
            object.__setattr__(self, "part", (self.percent / 100).as_integer_ratio())

    @classmethod
    def parse(cls, text: str) -> "StepTime":
        """The step time written `60%`, `+10m` or `-10m`. Raises ValueError, saying what was expected."""
        written = text.strip()
        percent = PERCENT.fullmatch(written)
        if percent is not None:
            return cls(written, percent=Fraction(percent[1]))
        sign, duration = written[:1], written[1:]
        if sign not in ("+", "-") or DURATION.fullmatch(duration) is None:
            raise ValueError(
                f'"{text}" is not the time of a step; expected a share of the time to the deadline such as "60%", '
                'or a time from the deadline such as "+10m" or "-10m"'
            )
        offset = parse_duration(duration)
        return cls(written, offset=offset if sign == "+" else -offset)


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of the ladder: when it comes, whom it tells, reminds or alerts, and whether the lead moves on.

    It comes again every `repeat`, on the SLA's own clock, so many `times` more. With `only_when` it is left out where
    that calendar is closed at its instant.
    """

    name: str
    at: StepTime
    tell: tuple[str, ...] = ()
    remind: tuple[str, ...] = ()
    alert: tuple[str, ...] = ()
    reassign: bool = False
    only_when: Calendar | None = None
    repeat: timedelta | None = None
    times: int = REPEAT_TIMES

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, and those of its repeats: each has a key of its own."""
        repeats = range(2, self.times + 2) if self.repeat is not None else ()
        return (self.name, *(f"{self.name}#{number}" for number in repeats))


DEFAULT_STEPS: Final = (
    Step("0%", StepTime.parse("0%"), tell=("rep",)),
    Step("100%", StepTime.parse("100%"), alert=("manager",)),
)


@dataclass(frozen=True, slots=True)
class SLA:
    """How soon a first response is due, and the ladder of steps on the way there and beyond.

    Either `respond_within` (counted by `clock`) or `respond_by`, which is "close_of_business" and may have a
    `cutoff`, a local wall time from which on the next business day counts. Raises ValueError for anything else.
    `hold` is how long an acknowledgement holds back reminders and re-assignment.
    """

    name: str
    respond_within: timedelta | None = None
    respond_by: str | None = None
    cutoff: time | None = None
    clock: Clock = Clock.ELAPSED
    steps: tuple[Step, ...] = DEFAULT_STEPS
    hold: timedelta = HOLD
    #: Whether each step comes exactly once, as nearly all do: then nothing more is asked for each lead.
    is_plain: bool = field(default=True, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        plain = all(step.only_when is None and step.repeat is None for step in self.steps)
        object.__setattr__(self, "is_plain", plain)
        if (self.respond_within is None) == (self.respond_by is None):
            raise ValueError(f'SLA "{self.name}": give either respond_within or respond_by')
        if self.respond_within is not None and self.respond_within <= timedelta():
            raise ValueError(f'SLA "{self.name}": respond_within must be more than nothing')
        if self.respond_by not in (None, CLOSE_OF_BUSINESS):
            raise ValueError(
                f'SLA "{self.name}": respond_by "{self.respond_by}" is unknown; expected "{CLOSE_OF_BUSINESS}"'
            )
        if self.cutoff is not None and self.respond_by is None:
            raise ValueError(f'SLA "{self.name}": cutoff needs respond_by = "{CLOSE_OF_BUSINESS}"')


def deadline_of(sla: SLA, calendar: Calendar, received_at: datetime) -> datetime:
    """The instant the first response is due. Raises NeverOpen where the calendar has no such time."""
    received = _to_the_millisecond(received_at)
    if sla.respond_within is None:
        return calendar.close_of_business(received, sla.cutoff)
    return _later(calendar if sla.clock is Clock.BUSINESS else None, received, sla.respond_within)


def planned_steps(
    sla: SLA, calendar: Calendar, received_at: datetime, deadline: datetime
) -> tuple[PlannedStep, ...]:
    """The SLA's steps at their instants, soonest first, in the order of config where instants are equal.

    No step comes before receipt; `0%` is exactly receipt and `100%` exactly the deadline. Raises NeverOpen where
    the calendar has no time for a step after the deadline.
    """
    received, due = _to_the_millisecond(received_at), _to_the_millisecond(deadline)
    open_time = calendar if sla.clock is Clock.BUSINESS else None
    planned = [
        PlannedStep(
            step.name,
            _instant_of(step.at, open_time, received, due),
            step.tell,
            step.remind,
            step.alert,
            step.reassign,
        )
        for step in sla.steps
    ]
    if not sla.is_plain:
        planned = [
            one
            for step, first in zip(sla.steps, planned, strict=True)
            for one in _times_it_comes(step, first, open_time)
        ]
    planned.sort(key=attrgetter("at"))
    return tuple(planned)


def steps_left_out(sla: SLA, planned: tuple[PlannedStep, ...]) -> tuple[str, ...]:
    """A sentence for each step that does not come, for its calendar is closed then."""
    if sla.is_plain:
        return ()
    come = {step.name for step in planned}
    return tuple(
        f'step "{name}" is left out: calendar "{step.only_when.name}" is closed then'
        for step in sla.steps
        if step.only_when is not None
        for name in step.names
        if name not in come
    )


def _times_it_comes(step: Step, first: PlannedStep, open_time: Calendar | None) -> list[PlannedStep]:
    at, comes = first.at, []
    for number, name in enumerate(step.names):
        if number and step.repeat is not None:
            at = _later(open_time, at, step.repeat)
        if step.only_when is None or step.only_when.is_open(at):
            comes.append(first._replace(name=name, at=at))
    return comes


def _instant_of(at: StepTime, open_time: Calendar | None, received: datetime, due: datetime) -> datetime:
    """`open_time` is the calendar whose open time alone counts; None where all time does."""
    if at.offset is not None:
        if at.offset >= _NOTHING:
            return max(_later(open_time, due, at.offset), received)
        if open_time is not None:
            return open_time.before_open_time(due, -at.offset, not_before=received)
        return max(due + at.offset, received)
    part, of_whole = at.part
    if part == of_whole:
        return max(due, received)
    if part == 0:
        return received
    whole = due - received if open_time is None else open_time.open_time_between(received, due)
    part_ms = whole // MILLISECOND * part // of_whole
    return _later(open_time, received, timedelta(0, 0, 0, max(part_ms, 0)))


def _later(open_time: Calendar | None, start: datetime, amount: timedelta) -> datetime:
    return start + amount if open_time is None else open_time.after_open_time(start, amount)


def _to_the_millisecond(instant: datetime) -> datetime:
    beyond = instant.microsecond % 1000
    return instant - timedelta(0, 0, beyond) if beyond else instant
