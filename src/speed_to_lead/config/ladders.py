"""Does every escalation end with somebody? Each ladder of steps, climbed in each team that uses it."""

from collections.abc import Iterator

from speed_to_lead.config.deadlines import team_and_sla_pairs
from speed_to_lead.config.mistakes import Mistake, quoted
from speed_to_lead.core.assignment import Team, stand_ins
from speed_to_lead.core.escalation import destination_of
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.sla import SLA, Step


def ladder_warnings(rulebook: Rulebook) -> Iterator[Mistake]:
    """Steps that tell nobody or pass the lead on to nobody, and breaches nobody but the rep hears of."""
    told_of_breach: set[str] = set()
    climbed: set[tuple[str, str]] = set()
    for team, sla in team_and_sla_pairs(rulebook):
        place = f"slas.{sla.name}"
        for name in rulebook.teams_asked[team.name]:
            if (name, sla.name) not in climbed:
                climbed.add((name, sla.name))
                yield from _silent_steps(rulebook.teams[name], sla, place)
        yield from _nobody_to_pass_on_to(stand_ins(team, rulebook.teams), sla, place)
        if sla.name not in told_of_breach:
            told_of_breach.add(sla.name)
            yield from _unheard_breach(sla, place)


def _silent_steps(team: Team, sla: SLA, place: str) -> Iterator[Mistake]:
    reps: list[str | None] = [rep.id for rep in team.reps]
    for step in sla.steps:
        targets = (*step.tell, *step.remind, *step.alert)
        silent = [
            rep for rep in reps or [None] if not any(destination_of(target, team, rep) for target in targets)
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
    passing_on = [step for step in sla.steps if step.reassign]
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
            f'step "{passing_on[max(left, 0)].name}" passes the lead on, but team {quoted(team.name)} {has}, so it ends '
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
