"""Can every SLA be met on the calendars it runs on? A trial clock for every hour of the coming two weeks."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from speed_to_lead.config.mistakes import Mistake, quoted
from speed_to_lead.config.shifts import DAYS_AHEAD
from speed_to_lead.core.assignment import Team
from speed_to_lead.core.calendar import NeverOpen
from speed_to_lead.core.message import span_text
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.sla import SLA, deadline_of, planned_steps

_HOUR = timedelta(hours=1)
#: A deadline further off than this is a slip of the finger, or a calendar that hardly ever opens.
_LONGEST_WAIT = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Wait:
    """The longest time from receipt to deadline that a team's leads of the coming two weeks have under one SLA."""

    team: Team
    sla: SLA
    received_at: datetime
    deadline: datetime

    @property
    def length(self) -> timedelta:
        """How long the lead waits, on everybody's wall clock."""
        return self.deadline - self.received_at


def team_and_sla_pairs(rulebook: Rulebook) -> tuple[tuple[Team, SLA], ...]:
    """Each team with each SLA that some rule gives it, in the order of the rules."""
    rules = (rule for rule in (*rulebook.rules, rulebook.default) if not rule.nurture)
    pairs = dict.fromkeys((rule.team, rule.sla) for rule in rules)
    return tuple((rulebook.teams[team], rulebook.slas[sla]) for team, sla in pairs)


def impossible_deadlines(rulebook: Rulebook, now: datetime) -> Iterator[Mistake]:
    """SLAs that have no deadline, or no time for a step, on the calendar of a team: its leads could not be routed."""
    for team, sla in team_and_sla_pairs(rulebook):
        try:
            deadline = deadline_of(sla, team.calendar, now)
            planned_steps(sla, team.calendar, now, deadline)
        except (NeverOpen, OverflowError):
            yield Mistake(
                "slas.toml",
                f"slas.{sla.name}",
                f"the leads of team {quoted(team.name)} would have no deadline: calendar {quoted(team.calendar.name)} "
                "does not have that much open time in 50 years; give it more hours, or the SLA less time",
            )


def longest_waits(rulebook: Rulebook, now: datetime) -> tuple[Wait, ...]:
    """The longest wait of each team under each of its SLAs; of several as long, the first."""
    now = now.replace(microsecond=0)  # deadlines are counted to the millisecond, and so a moment shorter
    first = now.astimezone(UTC).replace(minute=0, second=0)
    hours = [first + number * _HOUR for number in range(DAYS_AHEAD // _HOUR + 1)]
    hours = [now, *(hour for hour in hours if now < hour < now + DAYS_AHEAD)]
    found = []
    for team, sla in team_and_sla_pairs(rulebook):
        # Who comes as the doors close waits longest, and doors close at half past, too.
        closes = [until for _, until in team.calendar.open_spans(now, now + DAYS_AHEAD)]
        waits = [wait for at in sorted({*hours, *closes}) if (wait := _wait(team, sla, at)) is not None]
        if waits:
            found.append(max(waits, key=lambda wait: wait.length))
    return tuple(found)


def _wait(team: Team, sla: SLA, at: datetime) -> Wait | None:
    try:
        return Wait(team, sla, at, deadline_of(sla, team.calendar, at))
    except (NeverOpen, OverflowError):
        return None


def deadline_warnings(rulebook: Rulebook, waits: tuple[Wait, ...], now: datetime) -> Iterator[Mistake]:
    """SLAs that hardly any lead can be answered under in the sense they were meant."""
    for wait in waits:
        if wait.length > _LONGEST_WAIT:
            yield Mistake(
                "slas.toml",
                f"slas.{wait.sla.name}",
                f"a lead of team {quoted(wait.team.name)} received {wait.team.calendar.local_text(wait.received_at)} "
                f"would be due after {span_text(wait.length)}, since calendar {quoted(wait.team.calendar.name)} is open "
                "so little; give it more hours, or the SLA less time",
            )
    for team, sla in team_and_sla_pairs(rulebook):
        if sla.cutoff is not None:
            yield from _cutoff_warnings(team, sla, sla.cutoff, now)


def _cutoff_warnings(team: Team, sla: SLA, cutoff: time, now: datetime) -> Iterator[Mistake]:
    """A cutoff that no opening hours lie around: it moves every lead of the day, or none."""
    calendar = team.calendar
    day = calendar.local_day(now)
    sides = {_side_of(cutoff, team, day + timedelta(days=ahead)) for ahead in range(7)} - {None}
    named = f"cutoff {cutoff:%H:%M} of SLA {quoted(sla.name)}"
    place = f"slas.{sla.name}"
    if sides == {"after"}:
        problem = (
            f"the {named} is not before any close of calendar {quoted(calendar.name)}, so it changes nothing"
        )
        yield Mistake(
            "slas.toml", place, f"{problem} for team {quoted(team.name)}; remove it, or set it earlier"
        )
    elif sides == {"before"}:
        problem = f"the {named} comes before calendar {quoted(calendar.name)} opens, so no lead of its hours is due the"
        yield Mistake("slas.toml", place, f"{problem} same day for team {quoted(team.name)}; set it later")


def _side_of(cutoff: time, team: Team, day: date) -> str | None:
    """Where the cutoff lies on that day: before all of its hours, within, or after them; None on a closed day."""
    since, until = team.calendar.days_as_instants(day, day)
    spans = team.calendar.open_spans(since, until)
    if not spans:
        return None
    at = team.calendar.time_of_day(day, cutoff)
    return "before" if at <= spans[0][0] else "after" if at >= spans[-1][1] else "within"
