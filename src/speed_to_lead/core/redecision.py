"""A lead decided anew, from its record and a config: does that config give what the record says?

What the rules give (rule, SLA, deadline, steps, and the reasoning behind them) depends on the lead, its receipt and the
config alone, so it is decided again by the functions the router calls, and compared. Who got it depended on things that
are gone: whose turn it was, who had how many open leads, who was set away by hand, whose lead the person or company
already was. Nobody can know these again; the recorded reasoning says what the router found, and `NOT_KNOWN` says so.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from speed_to_lead.core.clock import from_iso
from speed_to_lead.core.lead import HistoryEntry, Lead, PlannedStep
from speed_to_lead.core.routing import Route, Rulebook, route_of
from speed_to_lead.core.submission import Form, GenericLead

NOT_KNOWN = (
    "whose turn it was then, how many open leads each rep had, what each was given lately, and who was set away by hand",
    "which leads the person and the company had before, as they stood then",
)


class Decided(NamedTuple):
    """What was decided of a lead or a touch. `team` and `rep` are whose it became, and of what is decided anew the rule's team.

    `deadline` is None where no clock runs; `steps` is None where a later touch changed them, so that the record does not
    have those that were decided first.
    """

    rule: str
    team: str
    rep: str | None
    sla: str
    deadline: datetime | None
    steps: tuple[PlannedStep, ...] | None
    trace: tuple[str, ...]


class Presence(NamedTuple):
    """Where a rep stood by calendar and leave alone."""

    rep: str
    why: str


class Redecision(NamedTuple):
    """What the record says, what a config gives, and in what they differ: nothing, where they agree."""

    at: datetime
    recorded: Decided
    anew: Decided
    differences: tuple[str, ...]
    reps: tuple[Presence, ...]


def redecided(lead: Lead, history: Sequence[HistoryEntry], form: Form, rulebook: Rulebook) -> Redecision:
    """The lead's first decision, and the same decision by this rulebook. Raises what makes a route impossible."""
    route = route_of(lead.lead, form.name, form.source, lead.received_at, rulebook)
    recorded = first_decision(lead, history, len(route.trace))
    entry = _routed(history)
    at = entry.at if entry is not None else lead.received_at
    anew = _anew(route, with_steps=recorded.steps is not None)
    differences = list(_differences(recorded, anew))
    if recorded.rep is not None and recorded.rep not in rulebook.reps_by_id:
        differences.append("rep")
    reps = tuple(Presence(rep.id, rep.presence(at).why) for rep in route.team.reps)
    return Redecision(at, recorded, anew, tuple(differences), reps)


def first_decision(lead: Lead, history: Sequence[HistoryEntry], reasons: int) -> Decided:
    """What was decided when the lead came, whatever became of it since. `reasons`: so many lines are the rules'."""
    entry = _routed(history)
    details = entry.details if entry is not None else {}
    is_as_it_was = not any(one.event == "lead.due_sooner" for one in history)
    return Decided(
        str(details.get("rule", lead.rule)),
        str(details.get("team") or lead.team),
        details.get("rep", lead.rep),
        str(details.get("sla") or lead.sla),
        None if lead.is_nurtured else from_iso(str(details["deadline"])) if "deadline" in details else lead.deadline,
        lead.steps if is_as_it_was else None,
        lead.trace[:reasons],
    )  # fmt: skip


class TouchRedecided(NamedTuple):
    """A touch that gave the lead its SLA: what the history says of it, and what the rules give it anew.

    `anew` is None where the touch is not held any more, or its form is not in that config.
    """

    submission: str
    config: str
    at: datetime
    recorded: Decided
    anew: Decided | None
    differences: tuple[str, ...]


class Sooner(NamedTuple):
    """A touch that gave the lead its SLA, as history tells it; `lead` is None where the touch is not held any more."""

    submission: str
    config: str
    at: datetime
    recorded: Decided
    form: str
    lead: GenericLead | None
    received_at: datetime
    touches: int


def touches_due_sooner(lead: Lead, history: Sequence[HistoryEntry]) -> Iterator[Sooner]:
    """Each touch whose own SLA was sooner than the lead's, in their order."""
    held = {touch.submission_id: (number, touch) for number, touch in enumerate(lead.touches, 1)}
    for entry in history:
        if entry.event != "lead.due_sooner":
            continue
        said = entry.details
        number, touch = held.get(str(said["submission"]), (0, None))
        recorded = Decided(
            *(str(said["rule"]), lead.team, None, str(said["sla"]), from_iso(str(said["deadline"]))),
            *(None, ()),
        )
        yield Sooner(
            *(str(said["submission"]), str(said.get("config", "")), entry.at, recorded),
            *(touch.form if touch else "", touch.lead if touch else None),
            *(touch.received_at if touch else entry.at, lead.touches_dropped + number),
        )


def touch_redecided(sooner: Sooner, form: Form | None, rulebook: Rulebook) -> TouchRedecided:
    """What this rulebook gives the touch. Raises what makes a route impossible."""
    first = (sooner.submission, sooner.config, sooner.at, sooner.recorded)
    if sooner.lead is None or form is None:
        return TouchRedecided(*first, None, ())
    touches = sooner.touches if rulebook.asks_for_touches else 0
    route = route_of(sooner.lead, form.name, form.source, sooner.received_at, rulebook, touches)
    anew = _anew(route, with_steps=False)._replace(trace=())
    return TouchRedecided(
        *first, anew, tuple(one for one in _differences(sooner.recorded, anew) if one != "team")
    )


def _routed(history: Sequence[HistoryEntry]) -> HistoryEntry | None:
    return next((entry for entry in history if entry.event == "lead.routed"), None)


def _anew(route: Route, *, with_steps: bool) -> Decided:
    return Decided(
        route.rule.name,
        route.team.name,
        None,
        route.sla.name,
        None if route.nurture else route.deadline,
        route.steps if with_steps else None,
        route.trace,
    )


def _differences(recorded: Decided, anew: Decided) -> Iterator[str]:
    """In what the two differ. That the lead went to another team than its rule's is none, where the reasoning is the same."""
    is_reasoned_alike = recorded.trace == anew.trace
    for what in ("rule", "team", "sla", "deadline", "steps"):
        if getattr(recorded, what) != getattr(anew, what) and not (what == "team" and is_reasoned_alike):
            yield what
    if not is_reasoned_alike:
        yield "trace"
