"""Is somebody there whenever a lead waits? Every stretch of the coming two weeks in which nobody of a team is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from itertools import groupby

from speed_to_lead.config.mistakes import Mistake, quoted
from speed_to_lead.core.assignment import Team, WhenNobody, stand_ins
from speed_to_lead.core.coverage import Gap, gaps_in
from speed_to_lead.core.message import span_text
from speed_to_lead.core.reps import Rep
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.sla import Clock

#: How far ahead shifts, leave and deadlines are looked at.
DAYS_AHEAD = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class TeamGap:
    """A gap of one team, and as the team reads it on its wall."""

    team: str
    gap: Gap
    text: str


def gaps_of(rulebook: Rulebook, now: datetime) -> tuple[TeamGap, ...]:
    """The gaps of every team that has reps; where its leads go on to other teams meanwhile, nobody of those is there either."""
    since = now.replace(second=0, microsecond=0)
    awaited_always = _elapsed_slas(rulebook)
    return tuple(
        TeamGap(team.name, gap, team.calendar.local_span_text(*gap.stretch))
        for team in rulebook.teams.values()
        if team.reps
        for gap in gaps_in(
            replace(team, reps=_who_may_get_it(team, rulebook)),
            since,
            since + DAYS_AHEAD,
            day_and_night=team.name in awaited_always,
        )
    )


def _who_may_get_it(team: Team, rulebook: Rulebook) -> tuple[Rep, ...]:
    return tuple(rep for one in stand_ins(team, rulebook.teams) for rep in one.reps)


def gap_warnings(rulebook: Rulebook, gaps: tuple[TeamGap, ...]) -> Iterator[Mistake]:
    """One for each team whose clocks run while nobody is there."""
    slas = _elapsed_slas(rulebook)
    for team in rulebook.teams.values():
        awaited = [gap for gap in gaps if gap.team == team.name and gap.gap.is_awaited]
        if not awaited:
            continue
        chain = stand_ins(team, rulebook.teams)
        others = ", nor of ".join(f"team {quoted(other.name)}" for other in chain[1:])
        who = f"nobody of this team, nor of {others}," if others else "nobody of this team"
        if team.name in slas:
            named = " and ".join(map(quoted, slas[team.name]))
            why = f"SLA {named} runs day and night, and {who} is on shift"
            mend = 'add shifts, or use clock = "business"'
        else:
            why = f"leads wait on its calendar's hours, and {who} is on shift"
            mend = "add shifts, or close its calendar then"
        if chain[-1].when_nobody is WhenNobody.QUEUE:
            mend += '; until then these leads have no rep (when_nobody = "queue")'
        yield Mistake("teams.toml", f"teams.{team.name}", f"{why} {_listed(awaited)}; {mend}")


def gap_notes(rulebook: Rulebook, gaps: tuple[TeamGap, ...]) -> Iterator[Mistake]:
    """One for each team that nobody waits for while nobody is there: what to expect, not what to mend."""
    for team in rulebook.teams.values():
        others = [gap for gap in gaps if gap.team == team.name and not gap.gap.is_awaited]
        if others:
            total = span_text(sum((gap.gap.stretch.length for gap in others), timedelta()))
            problem = f"outside its hours nobody is on shift, {total} of the coming two weeks: {_by_week(team, others)}"
            yield Mistake("teams.toml", f"teams.{team.name}", problem)


def _by_week(team: Team, gaps: list[TeamGap]) -> str:
    """The gaps, each kind once: `Mon-Thu 12:00 - 13:00; Mon-Thu 17:30 - 09:00 Europe/London`, and by its date what comes once."""
    zone = team.calendar.zone
    weekly: dict[tuple[time, time, int], dict[int, list[TeamGap]]] = {}
    for gap in gaps:
        since, until = (at.astimezone(zone) for at in gap.gap.stretch)
        kind = (since.time(), until.time(), (until.date() - since.date()).days)
        weekly.setdefault(kind, {}).setdefault(since.weekday(), []).append(gap)
    told = []
    for (since_time, until_time, length), by_day in weekly.items():
        often = sorted(day for day, found in by_day.items() if len(found) > 1)
        for first, last in _runs(often) if length < _SEVERAL_DAYS else ((day, day) for day in often):
            days = _DAYS[first] if first == last else f"{_DAYS[first]}-{_DAYS[last]}"
            until_day = f"{_DAYS[(last + length) % 7]} " if length >= _SEVERAL_DAYS else ""
            told.append(f"{days} {since_time:%H:%M} - {until_day}{until_time:%H:%M}")
    listed = f"{'; '.join(told)} {team.calendar.timezone}" if told else ""
    once = [found[0] for by_day in weekly.values() for found in by_day.values() if len(found) == 1]
    once.sort(key=lambda gap: gap.gap.stretch.since)
    return "; ".join(filter(None, (listed, *map(_dated, once))))


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: Of what ends on the next day only the time is told; of what is longer, the day.
_SEVERAL_DAYS = 2


def _runs(days: list[int]) -> Iterator[tuple[int, int]]:
    """First and last of the weekdays that follow each other."""
    for _, run in groupby(enumerate(days), key=lambda one: one[1] - one[0]):
        found = [day for _, day in run]
        yield found[0], found[-1]


def _dated(gap: TeamGap) -> str:
    return f"{gap.text} (all on leave)" if gap.gap.is_leave else gap.text


def _listed(gaps: list[TeamGap]) -> str:
    total = span_text(sum((gap.gap.stretch.length for gap in gaps), timedelta()))
    times = "once" if len(gaps) == 1 else f"{len(gaps)} times"
    return f"{times} in the coming two weeks, {total} in all: {'; '.join(map(_dated, gaps))}"


def _elapsed_slas(rulebook: Rulebook) -> dict[str, list[str]]:
    """The SLAs of each team that count every minute, so that leads wait for it day and night."""
    found: dict[str, list[str]] = {}
    for rule in (*rulebook.rules, rulebook.default):
        if rule.nurture:
            continue
        sla = rulebook.slas[rule.sla]
        if sla.respond_within is not None and sla.clock is Clock.ELAPSED:
            slas = found.setdefault(rule.team, [])
            if rule.sla not in slas:
                slas.append(rule.sla)
    return found
