"""The route of a lead: which rule matched, and the team, SLA, deadline and ladder it gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from speed_to_lead.core.assignment import Pick, Rotation, Team, pick_rep
from speed_to_lead.core.attribution import Attribution, Taxonomy, attribute
from speed_to_lead.core.calendar import Calendar
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.escalation import alerts_of_step, next_instant
from speed_to_lead.core.facts import Facts
from speed_to_lead.core.lead import Alert, HistoryEntry, Lead, LeadChange, LeadState, PlannedStep
from speed_to_lead.core.rules import Rule, Rules
from speed_to_lead.core.sla import SLA, deadline_of, planned_steps
from speed_to_lead.core.submission import Form, GenericLead, ParsedSubmission

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
) -> LeadChange:
    """The first version of a lead: routed, assigned, its clock running, and the alerts of the steps due on receipt."""
    pick = pick_rep(route.team, rotation, load, now)
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
        team=route.team.name,
        rep=pick.rep.id if pick.rep else None,
        sla=route.sla.name,
        deadline=route.deadline,
        steps=route.steps,
        config_digest=rulebook.digest,
        next_at=next_instant(route.steps, steps_done, route.deadline),
        steps_done=steps_done,
        trace=(*route.trace, *pick_trace(route.team, pick)),
        traceparent=traceparent,
    )
    alerts = alerts_on_receipt(lead, on_receipt, route.team, now)
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
