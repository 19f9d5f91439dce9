"""The route of a lead: which rule matched, and the team, SLA, deadline and ladder it gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from speed_to_lead.core.assignment import Pick, Rep, Rotation, Team, pick_rep
from speed_to_lead.core.attribution import Attribution, Taxonomy, attribute
from speed_to_lead.core.calendar import Calendar
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.escalation import alerts_of_step, next_instant
from speed_to_lead.core.facts import Facts
from speed_to_lead.core.lead import Alert, HistoryEntry, Lead, LeadChange, LeadState, PlannedStep
from speed_to_lead.core.owner import NOTHING_EARLIER, Earlier, owner_of
from speed_to_lead.core.rules import KeepWith, Rule, Rules
from speed_to_lead.core.sla import SLA, deadline_of, planned_steps
from speed_to_lead.core.submission import Form, GenericLead, ParsedSubmission
from speed_to_lead.core.values import folded

#: How far apart two submissions of one e-mail address or phone number may be, and be one person's, unless config says.
SAME_PERSON_WITHIN = timedelta(days=90)


@dataclass(frozen=True)
class Rulebook:
    """Everything ops write that decides where a lead goes and by when; `digest` names exactly this content."""

    taxonomy: Taxonomy
    calendars: Mapping[str, Calendar]
    teams: Mapping[str, Team]
    slas: Mapping[str, SLA]
    rules: tuple[Rule, ...]
    default: Rule
    digest: str
    same_person_within: timedelta = SAME_PERSON_WITHIN

    @cached_property
    def ready_rules(self) -> Rules:
        """The rules and the default, ready to be asked."""
        return Rules(self.rules, self.default)

    @cached_property
    def keeps_companies(self) -> bool:
        """Whether a rule asks who has the company, so that each company's newest lead is kept in mind."""
        return any(rule.keep_with is KeepWith.COMPANY for rule in (*self.rules, self.default))

    @cached_property
    def reps_by_id(self) -> Mapping[str, Rep]:
        """A rep by id, of whatever team."""
        return {rep.id: rep for team in self.teams.values() for rep in team.reps}

    @cached_property
    def reps_by_word(self) -> Mapping[str, frozenset[str]]:
        """The ids of the reps whom a word can mean: their id, name or e-mail address, folded."""
        found: dict[str, set[str]] = {}
        for team in self.teams.values():
            for rep in team.reps:
                for word in filter(None, (rep.id, rep.name, rep.email)):
                    found.setdefault(folded(word), set()).add(rep.id)
        return {word: frozenset(ids) for word, ids in found.items()}


class Route(NamedTuple):
    """What the rules give one lead, without the rep; `trace` is the whole reasoning, in order."""

    attribution: Attribution
    rule: Rule
    team: Team
    sla: SLA
    deadline: datetime
    steps: tuple[PlannedStep, ...]
    trace: tuple[str, ...]


def route_of(
    lead: GenericLead, form: str, form_source: str | None, received_at: datetime, rulebook: Rulebook
) -> Route:
    """The route of a lead received at `received_at`. `form_source` is the source its form stands for, or None."""
    attribution = attribute(lead, form, form_source, rulebook.taxonomy)
    match = rulebook.ready_rules.first_match(facts_for_rules(attribution))
    team = rulebook.teams[match.rule.team]
    sla = rulebook.slas[match.rule.sla]
    deadline = deadline_of(sla, team.calendar, received_at)
    what = (
        f'rule "{match.rule.name}" matches'
        if match.rule is not rulebook.default
        else "no rule matches, so the default applies"
    )
    trace = (
        *attribution.trace,
        *match.tried,
        f'{what}: team "{team.name}", SLA "{sla.name}"',
        f'deadline is {to_iso(deadline)} ({team.calendar.local_text(deadline)}): SLA "{sla.name}", calendar "{team.calendar.name}"',
    )
    return Route(
        attribution,
        match.rule,
        team,
        sla,
        deadline,
        planned_steps(sla, team.calendar, received_at, deadline),
        trace,
    )


def deadline_by_rules(
    lead: GenericLead, form: str, form_source: str | None, received_at: datetime, rulebook: Rulebook
) -> datetime:
    """The deadline that `route_of` gives, without its steps and reasoning: a third of the work."""
    attribution = attribute(lead, form, form_source, rulebook.taxonomy, is_traced=False)
    rule = rulebook.ready_rules.first_match(facts_for_rules(attribution)).rule
    return deadline_of(rulebook.slas[rule.sla], rulebook.teams[rule.team].calendar, received_at)


def facts_for_rules(attribution: Attribution) -> Facts:
    """What rules can ask about: the lead's fields, and form, source, channel, campaign and motion as attributed."""
    source = attribution.source
    return attribution.facts.with_changed({"source": source.name, "motion": source.motion.value})


class Assigned(NamedTuple):
    """The team and the pick of a new lead; `trace` says whose it is and why. A pick by a claim takes no turn."""

    team: Team
    pick: Pick
    trace: tuple[str, ...]


def assign(
    lead: GenericLead,
    route: Route,
    earlier: Earlier,
    rotation: Rotation,
    load: Mapping[str, int],
    rulebook: Rulebook,
    now: datetime,
) -> Assigned:
    """Who gets a new lead: whoever has a claim on it, else the rep whom the rule's team picks."""
    owner = owner_of(lead, route, earlier, rulebook, load, now)
    if owner is not None and owner.rep is not None:
        trace = (f'rep is "{owner.rep.id}": team "{owner.team.name}"', *(f"  {r}" for r in owner.reasons))
        return Assigned(owner.team, Pick(owner.rep, owner.reasons, None), trace)
    pick = pick_rep(route.team, rotation, load, now)
    trace = pick_trace(route.team, pick)
    if owner is not None:  # a claim that does not hold is told first
        trace = (trace[0], *(f"  {reason}" for reason in owner.reasons), *trace[1:])
    return Assigned(route.team, pick, trace)


def new_lead(
    lead_id: str,
    form: Form,
    parsed: ParsedSubmission,
    received_at: datetime,
    route: Route,
    rotation: Rotation,
    load: Mapping[str, int],
    rulebook: Rulebook,
    now: datetime,
    traceparent: str = "",
    earlier: Earlier = NOTHING_EARLIER,
) -> LeadChange:
    """The first version of a lead: routed, assigned, its clock running, and the alerts of the steps due on receipt."""
    team, pick, why = assign(parsed.lead, route, earlier, rotation, load, rulebook, now)
    on_receipt = tuple(step for step in route.steps if step.at <= received_at)
    steps_done = tuple(step.name for step in on_receipt)
    lead = Lead(
        id=lead_id,
        version=1,
        state=LeadState.OPEN,
        form=form.name,
        received_at=received_at,
        submitted_at=parsed.submitted_at,
        lead=parsed.lead,
        source=route.attribution.source.name,
        channel=route.attribution.channel,
        campaign=route.attribution.campaign,
        rule=route.rule.name,
        team=team.name,
        rep=pick.rep.id if pick.rep else None,
        sla=route.sla.name,
        deadline=route.deadline,
        steps=route.steps,
        config_digest=rulebook.digest,
        next_at=next_instant(route.steps, steps_done, route.deadline),
        steps_done=steps_done,
        trace=(*route.trace, *why),
        traceparent=traceparent,
    )
    alerts = alerts_on_receipt(lead, on_receipt, team, now)
    routed = HistoryEntry(
        now,
        "lead.routed",
        {
            "rule": lead.rule,
            "team": lead.team,
            "rep": lead.rep,
            "sla": lead.sla,
            "deadline": to_iso(lead.deadline),
            "told": {alert.destination: alert.step for alert in alerts},
        },
    )
    load_change = {lead.rep: 1} if lead.rep else {}
    return LeadChange(lead, (routed,), alerts, load_change, pick.rotation, {"leads": 1})


def alerts_on_receipt(
    lead: Lead, steps: tuple[PlannedStep, ...], team: Team, now: datetime
) -> tuple[Alert, ...]:
    """The alerts of steps that come with a submission. Nothing is late yet, so each tells whom the ones before it did not.

    There are several where a step such as `-10m` would come before receipt; the rep must hear of the lead even so.
    """
    alerts: dict[str, Alert] = {}
    for step in steps:
        for alert in alerts_of_step(lead, step, team, now):
            alerts.setdefault(alert.destination, alert)
    return tuple(alerts.values())


def pick_trace(team: Team, pick: Pick) -> tuple[str, ...]:
    """The part of a trace that says which rep was picked, and why no other."""
    who = f'rep is "{pick.rep.id}"' if pick.rep else "no rep could be picked"
    return (f'{who}: team "{team.name}", {team.assignment}', *(f"  {reason}" for reason in pick.reasons))
