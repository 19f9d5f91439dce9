"""The route of a lead: which rule matched, and the team, SLA, deadline and ladder it gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from speed_to_lead.core.assignment import Assignment, Pick, Tally, Team, assign, teams_asked
from speed_to_lead.core.attribution import Attribution, Taxonomy, attribute
from speed_to_lead.core.calendar import Calendar, Span
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.escalation import alerts_of_step, next_instant
from speed_to_lead.core.facts import Facts
from speed_to_lead.core.flags import FLAGS_FIELD
from speed_to_lead.core.lead import (
    NURTURE,
    Alert,
    AlertKind,
    HistoryEntry,
    Lead,
    LeadChange,
    LeadState,
    PlannedStep,
)
from speed_to_lead.core.lookup import LookedUp, Lookup
from speed_to_lead.core.meanings import DERIVED_FIELDS, PLAIN, Meanings, Reception, Spellings
from speed_to_lead.core.owner import NOTHING_EARLIER, Earlier, keep_with, owner_of
from speed_to_lead.core.reps import Rep
from speed_to_lead.core.rules import KeepWith, Match, Rule, Rules
from speed_to_lead.core.scoring import NO_SCORE, Points, Scoring, score_line
from speed_to_lead.core.sla import SLA, deadline_of, planned_steps, steps_left_out
from speed_to_lead.core.submission import Form, GenericLead, ParsedSubmission
from speed_to_lead.core.values import folded

if TYPE_CHECKING:
    from speed_to_lead.core.condition_index import Conditional

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
    spellings: Spellings = PLAIN
    reception: Reception = Reception()  # noqa: RUF009 - a frozen value
    scoring: tuple[Points, ...] = ()
    same_person_within: timedelta = SAME_PERSON_WITHIN
    honeypots: Mapping[str, str] = field(default_factory=dict)
    lookups: Mapping[str, Lookup] = field(default_factory=dict)

    @cached_property
    def meanings(self) -> Meanings:
        """How the values of leads are read, with the derived fields that anything here asks for."""
        asked = self._fields_asked | {match.field for team in self.teams.values() for match in team.match}
        derived = frozenset(asked.intersection(DERIVED_FIELDS))
        return Meanings(self.spellings, self.reception, derived, self.honeypots)

    @cached_property
    def asks_for_touches(self) -> bool:
        """Whether a rule or a score asks how often a person came again, so that a touch is not routed as a new lead is."""
        return "touches" in self._fields_asked

    @cached_property
    def asks_for_flags(self) -> bool:
        """Whether anything asks what looks like junk, so that it is worth counting what comes again and again."""
        return FLAGS_FIELD in self.meanings.asked

    @property
    def _fields_asked(self) -> set[str]:
        asking: tuple[Conditional, ...] = (*self.rules, *self.scoring, *self.taxonomy.detections)
        return {condition.field for one in asking for condition in (*one.when, *one.unless)}

    @cached_property
    def ready_rules(self) -> Rules:
        """The rules and the default, ready to be asked."""
        return Rules(self.rules, self.default)

    @cached_property
    def ready_scoring(self) -> Scoring | None:
        """The points, ready to be asked; None where there are none, and every score is 0."""
        return Scoring(self.scoring) if self.scoring else None

    @cached_property
    def teams_asked(self) -> Mapping[str, tuple[str, ...]]:
        """For each team, all teams that one of its leads may come to."""
        return {name: teams_asked(team, self.teams) for name, team in self.teams.items()}

    @cached_property
    def keeps_companies(self) -> bool:
        """Whether a rule asks who has the company, so that each company's newest lead is kept in mind."""
        rules = (rule for rule in (*self.rules, self.default) if not rule.nurture)
        return any(keep_with(rule, self.teams[rule.team]) is KeepWith.COMPANY for rule in rules)

    @cached_property
    def asks_lookups(self) -> bool:
        """Whether a rule has another system say whose a lead is."""
        return any(rule.lookup for rule in (*self.rules, self.default))

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
    """What the rules give one lead, without the rep; `trace` is the whole reasoning, in order.

    Where the rule says `nurture`, that is the destination: the team is nobody's, and no clock runs.
    """

    attribution: Attribution
    rule: Rule
    team: Team
    sla: SLA
    deadline: datetime
    steps: tuple[PlannedStep, ...]
    trace: tuple[str, ...]
    nurture: str = ""


#: The team and SLA of leads that go to a sequence: nobody, and none.
_NOBODY = Team(
    "",
    Calendar("", "UTC", dict.fromkeys(range(7), (Span.parse("00:00-24:00"),))),
    "",
    Assignment.ROUND_ROBIN,
    (),
)
_NO_SLA = SLA("", respond_within=timedelta.max, steps=())
_NEVER = datetime.max.replace(tzinfo=UTC)


def route_of(
    lead: GenericLead,
    form: str,
    form_source: str | None,
    received_at: datetime,
    rulebook: Rulebook,
    touches: int = 0,
    *,
    is_traced: bool = True,
) -> Route:
    """The route of a lead received at `received_at`. `form_source` is the source its form stands for, or None.

    `touches` is how many times the same person has come again while their lead was open, this time included: 0 for a
    new lead. Where it is not to be traced it has neither steps nor reasoning, which are half of the work.
    """
    attribution = attribution_of(lead, form, form_source, received_at, rulebook, is_traced=is_traced)
    facts, score = facts_for_rules(attribution, rulebook.ready_scoring, touches)
    match = rulebook.ready_rules.first_match(facts)
    if match.rule.nurture:
        return _nurturing(attribution, match, (*rulebook.meanings.remarks(facts), *score), received_at)
    team = rulebook.teams[match.rule.team]
    sla = rulebook.slas[match.rule.sla]
    deadline = deadline_of(sla, team.calendar, received_at)
    if not is_traced:
        return Route(attribution, match.rule, team, sla, deadline, (), ())
    what = (
        f'rule "{match.rule.name}" matches'
        if match.rule is not rulebook.default
        else "no rule matches, so the default applies"
    )
    trace = (
        *attribution.trace,
        *rulebook.meanings.remarks(facts),
        *score,
        *match.tried,
        f'{what}: team "{team.name}", SLA "{sla.name}"',
        f'deadline is {to_iso(deadline)} ({team.calendar.local_text(deadline)}): SLA "{sla.name}", calendar "{team.calendar.name}"',
    )
    steps = planned_steps(sla, team.calendar, received_at, deadline)
    if not sla.is_plain:
        trace += steps_left_out(sla, steps)
    return Route(attribution, match.rule, team, sla, deadline, steps, trace)


def _nurturing(
    attribution: Attribution, match: Match, remarks: tuple[str, ...], received_at: datetime
) -> Route:
    """The route of a lead whose rule gives it to a sequence."""
    rule = match.rule
    trace = (
        *attribution.trace,
        *remarks,
        *match.tried,
        f'rule "{rule.name}" matches: nurture, told to "{rule.nurture}"; no rep, no clock, closed',
    )
    return Route(attribution, rule, _NOBODY, _NO_SLA, received_at, (), trace, rule.nurture)


def deadline_by_rules(
    lead: GenericLead, form: str, form_source: str | None, received_at: datetime, rulebook: Rulebook
) -> datetime:
    """The deadline that `route_of` gives, without its steps and reasoning: a third of the work. Of who is nurtured: never."""
    attribution = attribution_of(lead, form, form_source, received_at, rulebook, is_traced=False)
    facts, _ = facts_for_rules(attribution, rulebook.ready_scoring)
    rule = rulebook.ready_rules.first_match(facts).rule
    if rule.nurture:
        return _NEVER
    return deadline_of(rulebook.slas[rule.sla], rulebook.teams[rule.team].calendar, received_at)


def attribution_of(
    lead: GenericLead,
    form: str,
    form_source: str | None,
    received_at: datetime,
    rulebook: Rulebook,
    *,
    is_traced: bool = True,
) -> Attribution:
    """Where a lead received at `received_at` came from, its values read as the rulebook says."""
    meanings = rulebook.meanings
    return attribute(
        lead,
        form,
        form_source,
        rulebook.taxonomy,
        is_traced=is_traced,
        derived=meanings.derived(lead, received_at, form),
        spellings=meanings.spellings,
    )


def facts_for_rules(
    attribution: Attribution, scoring: Scoring | None = None, touches: int = 0
) -> tuple[Facts, tuple[str, ...]]:
    """What rules can ask about, and the trace's line of the score, where there is a scoring.

    They can ask about the lead's fields, about form, source, channel, campaign and motion as attributed, and the score.
    """
    source = attribution.source
    known = {"source": source.name, "motion": source.motion.value, "touches": touches, "score": NO_SCORE}
    facts = attribution.facts.with_changed(known)
    if scoring is None:
        return facts, ()
    given = scoring.given_to(facts)
    facts.note("score", sum([one.points for one in given]))
    return facts, (score_line(given),) if facts.is_traced else ()


class Assigned(NamedTuple):
    """The team and the pick of a new lead; `trace` says whose it is and why. A pick by a claim takes no turn."""

    team: Team
    pick: Pick
    trace: tuple[str, ...]


def assign_lead(
    lead: GenericLead,
    route: Route,
    earlier: Earlier,
    tally: Tally,
    rulebook: Rulebook,
    now: datetime,
    looked_up: LookedUp | None = None,
) -> Assigned:
    """Who gets a new lead: whoever has a claim on it, else the rep whom the rule's team picks.

    `looked_up` is the answer of the look-up that the rule names; None where it was not asked.
    """
    owner = owner_of(lead, route, earlier, rulebook, tally, now, looked_up)
    if owner is not None and owner.rep is not None:
        trace = (f'rep is "{owner.rep.id}": team "{owner.team.name}"', *(f"  {r}" for r in owner.reasons))
        return Assigned(owner.team, Pick(owner.rep, owner.reasons, None, owner.team), trace)
    pick = assign(route.team, rulebook.teams, tally, route.attribution.facts, now)
    trace = pick_trace(pick)
    if owner is not None:  # a claim that does not hold is told first
        trace = (trace[0], *(f"  {reason}" for reason in owner.reasons), *trace[1:])
    return Assigned(pick.team if pick.rep else route.team, pick, trace)


def new_lead(
    lead_id: str,
    form: Form,
    parsed: ParsedSubmission,
    received_at: datetime,
    route: Route,
    tally: Tally,
    rulebook: Rulebook,
    now: datetime,
    traceparent: str = "",
    earlier: Earlier = NOTHING_EARLIER,
    looked_up: LookedUp | None = None,
) -> LeadChange:
    """The first version of a lead: routed, assigned, its clock running, and the alerts of the steps due on receipt.

    A lead that waits for a rep is the team's that the rule named: it is asked first, again and again. One to be
    nurtured is closed at once, and told of to its destination.
    """
    if route.nurture:
        return _nurtured_lead(lead_id, form, parsed, received_at, route, rulebook, now, traceparent)
    team, pick, why = assign_lead(parsed.lead, route, earlier, tally, rulebook, now, looked_up)
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
        hold=route.sla.hold,
        deadline=route.deadline,
        steps=route.steps,
        config_digest=rulebook.digest,
        next_at=next_instant(route.steps, steps_done, route.deadline),
        steps_done=steps_done,
        trace=(*route.trace, *why),
        traceparent=traceparent,
        looked_up=looked_up,
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
    history = (routed, HistoryEntry(now, "lead.waiting", {"team": team.name})) if pick.waits else (routed,)
    load_change = {lead.rep: 1} if lead.rep else {}
    return LeadChange(lead, history, alerts, load_change, pick.rotation, {"leads": 1})


def _nurtured_lead(
    lead_id: str,
    form: Form,
    parsed: ParsedSubmission,
    received_at: datetime,
    route: Route,
    rulebook: Rulebook,
    now: datetime,
    traceparent: str,
) -> LeadChange:
    """A lead for a sequence: nobody's, without a clock, and closed."""
    lead = Lead(
        id=lead_id,
        version=1,
        state=LeadState.CLOSED,
        form=form.name,
        received_at=received_at,
        submitted_at=parsed.submitted_at,
        lead=parsed.lead,
        source=route.attribution.source.name,
        channel=route.attribution.channel,
        campaign=route.attribution.campaign,
        rule=route.rule.name,
        team=route.team.name,
        rep=None,
        sla=route.sla.name,
        deadline=route.deadline,
        steps=(),
        config_digest=rulebook.digest,
        closed_at=now,
        closed_reason=NURTURE,
        trace=route.trace,
        traceparent=traceparent,
    )
    told = Alert(lead.id, NURTURE, route.nurture, AlertKind.NURTURED, now)
    routed = HistoryEntry(
        now, "lead.routed", {"rule": lead.rule, "nurture": route.nurture, "told": {route.nurture: NURTURE}}
    )
    return LeadChange(lead, (routed,), (told,), counters={"leads": 1})


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


def pick_trace(pick: Pick) -> tuple[str, ...]:
    """The part of a trace that says which rep was picked, and why no other."""
    who = "no rep could be picked"
    if pick.rep:
        who = f'rep is "{pick.rep.id}"'
    elif pick.waits:
        who = "no rep yet, it waits until somebody is available"
    team = pick.team
    return (f'{who}: team "{team.name}", {team.assignment}', *(f"  {reason}" for reason in pick.reasons))
