"""Small builders of leads, teams and rulebooks: every argument has a dull default, so a test names only what it is about."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from speed_to_lead.core.assignment import Assignment, Team, match_of
from speed_to_lead.core.attribution import Motion, Source, Taxonomy
from speed_to_lead.core.calendar import Calendar, Span
from speed_to_lead.core.conditions import parse_condition
from speed_to_lead.core.escalation import first_instant
from speed_to_lead.core.lead import Lead, LeadState, PlannedStep, Response, ResponseKind
from speed_to_lead.core.meanings import PLAIN, Spellings
from speed_to_lead.core.reps import Leave, Rep
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.rules import Rule
from speed_to_lead.core.sla import SLA, Clock, Step, StepTime
from speed_to_lead.core.submission import Form, GenericLead, ParsedSubmission

#: A Monday, 09:00 in London and in UTC.
MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

ALWAYS = Calendar("always", "UTC", dict.fromkeys(range(7), (Span.parse("00:00-24:00"),)))
OFFICE = Calendar("office", "UTC", dict.fromkeys(range(5), (Span.parse("09:00-17:00"),)))


def after(minutes: float, start: datetime = MONDAY) -> datetime:
    """So many minutes after Monday, 09:00 UTC."""
    return start + minutes * MINUTE


def office(timezone: str, hours: str = "09:00-17:00", days: Sequence[int] = range(5)) -> Calendar:
    """A calendar of the same span on each of the days (0 = Monday), Monday to Friday if not said."""
    return Calendar(timezone, timezone, dict.fromkeys(days, (Span.parse(hours),)))


def rep(
    rep_id: str,
    *,
    weight: int = 1,
    max_open: int | None = None,
    calendar: Calendar = ALWAYS,
    away: Sequence[tuple[str, str]] = (),
    notify: str | None = "",
    attributes: Mapping[str, Sequence[str]] | None = None,
    max_a_day: int | None = None,
    cooldown: timedelta | None = None,
) -> Rep:
    """A rep who is always on shift; `notify` is `{id}-slack` if not said. `away` are ISO dates, both included."""
    leaves = tuple(Leave(date.fromisoformat(first), date.fromisoformat(last)) for first, last in away)
    destination = f"{rep_id}-slack" if notify == "" else notify
    has = {name: tuple(values) for name, values in (attributes or {}).items()}
    return Rep(
        *(rep_id, rep_id.title(), calendar, destination, weight, max_open, leaves, max_a_day, cooldown, has)
    )


def team(
    *reps: Rep | str,
    name: str = "inbound",
    assignment: Assignment = Assignment.ROUND_ROBIN,
    manager: str = "managers",
    match: Mapping[str, str] | None = None,
    **more: Any,
) -> Team:
    """A team that is always open, of these reps (a text is the id of a plain one). With `match` it assigns by field."""
    members = tuple(rep(member) if isinstance(member, str) else member for member in reps)
    matches = tuple(match_of(attribute, asked, members) for attribute, asked in (match or {}).items())
    way = Assignment.BY_FIELD if matches else assignment
    return Team(name, ALWAYS, manager, way, members, matches, **more)


def generic(**fields: Any) -> GenericLead:
    """What a form said, with an address to answer to."""
    return GenericLead({"email": "kim@example.com"} | fields)


def step(
    name: str,
    minutes: float,
    *,
    tell: Sequence[str] = (),
    remind: Sequence[str] = (),
    alert: Sequence[str] = (),
    reassign: bool = False,
) -> PlannedStep:
    """A planned step so many minutes after receipt on Monday, 09:00 UTC."""
    return PlannedStep(name, after(minutes), tuple(tell), tuple(remind), tuple(alert), reassign)


def ladder() -> tuple[PlannedStep, ...]:
    """The ladder of config/README.md for an SLA of ten minutes; the step on receipt comes first."""
    return (
        step("0%", 0, tell=["rep"]),
        step("60%", 6, remind=["rep"]),
        step("100%", 10, alert=["manager"], reassign=True),
        step("+10m", 20, alert=["head-of-sales"]),
    )


def lead(
    steps: Sequence[PlannedStep] | None = None,
    *,
    rep: str | None = "ana",
    team: str = "inbound",
    done: Sequence[str] = ("0%",),
    deadline_minutes: float = 10,
    **changes: Any,
) -> Lead:
    """An open lead received on Monday, 09:00 UTC, due ten minutes later, its step on receipt done."""
    built = Lead(
        id="lead-1",
        version=1,
        state=LeadState.OPEN,
        form="demo",
        received_at=MONDAY,
        lead=generic(),
        source="demo_request",
        channel="Direct",
        campaign="",
        rule="Everything",
        team=team,
        rep=rep,
        sla="ten-minutes",
        deadline=after(deadline_minutes),
        steps=tuple(ladder() if steps is None else steps),
        config_digest="digest",
        steps_done=tuple(done),
    )
    changed = replace(built, **changes)
    return changed if "next_at" in changes else replace(changed, next_at=first_instant(changed))


def response(
    kind: ResponseKind = ResponseKind.ATTEMPTED,
    minutes: float = 5,
    *,
    recorded: float | None = None,
    by: str = "ana",
) -> Response:
    """A response so many minutes after receipt, heard of at once if not said."""
    return Response(kind, by, after(minutes), after(minutes if recorded is None else recorded))


def rule(
    name: str,
    *,
    when: Mapping[str, Any] | None = None,
    unless: Mapping[str, Any] | None = None,
    spellings: Spellings = PLAIN,
) -> Rule:
    """A rule to team `inbound` within ten minutes, its conditions as config writes them."""
    return Rule(name, "inbound", "ten-minutes", conditions(when, spellings), conditions(unless, spellings))


def conditions(raw: Mapping[str, Any] | None, spellings: Spellings = PLAIN) -> tuple[Any, ...]:
    """The conditions of a `when` or `unless` table."""
    return tuple(parse_condition(field, value, spellings) for field, value in (raw or {}).items())


def taxonomy() -> Taxonomy:
    """Two sources, one of them with aliases, and no detections."""
    sources = (
        Source("demo_request", "Inbound demo request", Motion.INBOUND, ("book a demo",)),
        Source("referral", "Referral", Motion.REFERRAL, ("word of mouth",)),
    )
    return Taxonomy({source.name: source for source in sources})


def sla(*steps: Step, within: timedelta = timedelta(minutes=10)) -> SLA:
    """An SLA of ten minutes, day and night; without steps, the ladder of config/README.md."""
    given = steps or (
        Step("0%", StepTime.parse("0%"), tell=("rep",)),
        Step("60%", StepTime.parse("60%"), remind=("rep",)),
        Step("100%", StepTime.parse("100%"), alert=("manager",), reassign=True),
        Step("+10m", StepTime.parse("+10m"), alert=("head-of-sales",)),
    )
    return SLA("ten-minutes", respond_within=within, clock=Clock.ELAPSED, steps=given)


def rulebook(
    *rules: Rule, teams: Sequence[Team] = (), sla_used: SLA | None = None, spellings: Spellings = PLAIN
) -> Rulebook:
    """A rulebook of one SLA; the default goes to the first team, which is Ana's and Ben's if none is given."""
    known = teams or (team("ana", "ben"),)
    used = sla_used or sla()
    default = Rule("Everything", known[0].name, used.name)
    by_name = {one.name: one for one in known}
    return Rulebook(
        *(taxonomy(), {"always": ALWAYS}, by_name, {used.name: used}, rules, default, "digest"),
        spellings=spellings,
    )


def form(source: str | None = None) -> Form:
    """A form that names no source, unless told to."""
    return Form("demo", "generic", "none", source=source)


def parsed(**fields: Any) -> ParsedSubmission:
    """A submission as read."""
    return ParsedSubmission(generic(**fields))
