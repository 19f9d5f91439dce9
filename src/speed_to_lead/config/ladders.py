"""Does every escalation end with somebody? Each ladder of steps, climbed in each team that uses it."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from speed_to_lead.config.deadlines import team_and_sla_pairs
from speed_to_lead.config.mistakes import Mistake, quoted
from speed_to_lead.config.shifts import DAYS_AHEAD
from speed_to_lead.core.assignment import Team, stand_ins
from speed_to_lead.core.calendar import NeverOpen
from speed_to_lead.core.escalation import LEVEL, destinations_of
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.sla import SLA, Step, deadline_of, planned_steps

_HALF_HOUR = timedelta(minutes=30)


def ladder_warnings(rulebook: Rulebook, now: datetime) -> Iterator[Mistake]:
    """Steps that never come, tell nobody or pass the lead on to nobody, and breaches nobody but the rep hears of."""
    told_of_breach: set[str] = set()
    climbed: set[tuple[str, str]] = set()
    for team, sla in team_and_sla_pairs(rulebook):
        place = f"slas.{sla.name}"
        for name in rulebook.teams_asked[team.name]:
            if (name, sla.name) not in climbed:
                climbed.add((name, sla.name))
                yield from _silent_steps(rulebook.teams[name], sla, place)
        yield from _steps_that_never_come(team, sla, place, now)
        yield from _missing_levels(team, sla, place)
        yield from _nobody_to_pass_on_to(stand_ins(team, rulebook.teams), sla, place)
        if sla.name not in told_of_breach:
            told_of_breach.add(sla.name)
            yield from _unheard_breach(sla, place)


def _steps_that_never_come(team: Team, sla: SLA, place: str, now: datetime) -> Iterator[Mistake]:
    """A trial ladder for a lead of every half hour of the coming two weeks: which steps stand in none of them?"""
    never = [step for step in sla.steps if step.only_when is not None]
    first = now.replace(minute=0, second=0, microsecond=0)
    for number in range(DAYS_AHEAD // _HALF_HOUR if never else 0):
        received = first + number * _HALF_HOUR
        try:
            planned = planned_steps(sla, team.calendar, received, deadline_of(sla, team.calendar, received))
        except (NeverOpen, OverflowError):
            continue
        come = {step.name for step in planned}
        never = [step for step in never if come.isdisjoint(step.names)]
        if not never:
            break
    for step in never:
        assert step.only_when is not None
        yield Mistake(
            "slas.toml",
            place,
            f'step "{step.name}" never comes to leads of team {quoted(team.name)}: calendar '
            f"{quoted(step.only_when.name)} is closed each time; move the step, or name another calendar in only_when",
        )


def _missing_levels(team: Team, sla: SLA, place: str) -> Iterator[Mistake]:
    """Levels that a step names and the team does not have: its highest hears instead."""
    levels = len(team.levels or (team.manager,))
    for step in sla.steps:
        for target in (*step.tell, *step.remind, *step.alert):
            if target.startswith(LEVEL) and int(target.removeprefix(LEVEL)) > levels:
                yield Mistake(
                    "slas.toml",
                    place,
                    f'step "{step.name}" names {quoted(target)}, but team {quoted(team.name)} has {levels}, so '
                    f"{quoted(team.level(levels))} hears; add levels to the team, or name a destination",
                )


def _silent_steps(team: Team, sla: SLA, place: str) -> Iterator[Mistake]:
    reps: list[str | None] = [rep.id for rep in team.reps]
    for step in sla.steps:
        targets = (*step.tell, *step.remind, *step.alert)
        silent = [
            rep
            for rep in reps or [None]
            if not any(any(destinations_of(target, team, rep)) for target in targets)
        ]
        if targets and silent:
            whose = f'; rep {quoted(silent[0])} has no "notify"' if silent[0] is not None else ""
            yield Mistake(
                "slas.toml",
                place,
                f'step "{step.name}" tells nobody in team {quoted(team.name)}{whose}, and the team has no manager; '
                "add one of them, or name a destination",
            )


def _nobody_to_pass_on_to(teams: tuple[Team, ...], sla: SLA, place: str) -> Iterator[Mistake]:
    """A rep who had the lead never gets it again, so a team can pass it on once less often than it has reps.

    Those of the teams its leads go on to count as its own.
    """
    passing_on = [name for step in sla.steps if step.reassign for name in step.names]
    team = teams[0]
    reps = {rep.id for one in teams for rep in one.reps}
    left = len(reps) - 1
    if len(passing_on) > max(left, 0) and team.reps:
        has = "has one rep" if left == 0 else f"has {len(reps)} reps, each of whom gets it once"
        if len(teams) > 1:
            has = f"{has}, those of the teams it goes on to included"
        yield Mistake(
            "slas.toml",
            place,
            f'step "{passing_on[max(left, 0)]}" passes the lead on, but team {quoted(team.name)} {has}, so it ends '
            "with nobody new and only the manager hears; add reps, or remove reassign",
        )


def _unheard_breach(sla: SLA, place: str) -> Iterator[Mistake]:
    late = [step for step in sla.steps if _is_late(step)]
    heard_by = {target for step in late for target in (*step.tell, *step.remind, *step.alert)}
    if late and (heard_by - {"rep"} or any(step.reassign for step in late)):
        return
    who = "only the rep hears" if heard_by else "nobody hears"
    yield Mistake(
        "slas.toml",
        place,
        f'{who} of a missed deadline; add a step such as {{ at = "100%", alert = ["manager"] }}',
    )


def _is_late(step: Step) -> bool:
    """Whether it comes at the deadline or after it."""
    if step.at.offset is not None:
        return step.at.offset.total_seconds() >= 0
    return step.at.percent is not None and step.at.percent >= 100
