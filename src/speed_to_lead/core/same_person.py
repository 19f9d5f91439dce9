"""What a further submission does to the lead its person has: a touch, perhaps with a tighter SLA, or nothing any more.

A lead keeps its first touch's source, its rep and its clock. One thing may change: where the further submission, by the
rules for itself, would be due sooner than the lead is, the lead takes that SLA. Nobody who asks for something urgent
waits longer because they asked for something else before.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.escalation import first_instant
from speed_to_lead.core.lead import HistoryEntry, Lead, LeadChange, PlannedStep, Touch
from speed_to_lead.core.response import close_lead
from speed_to_lead.core.routing import Route, Rulebook, alerts_on_receipt

#: Touches a lead's record holds.
MAX_TOUCHES = 20
#: Why a lead is closed whose person came back after so long that they are somebody new.
SUPERSEDED = "superseded"

_WROTE_AGAIN = "They wrote again, and the answer is due sooner now."


def is_same_person(lead: Lead, received_at: datetime, within: timedelta) -> bool:
    """Whether a submission received then belongs to the person of that lead: the one before came within that span."""
    last = max((lead.received_at, *(touch.received_at for touch in lead.touches)))
    return received_at - last <= within


def superseded(lead: Lead, now: datetime) -> LeadChange | None:
    """The open lead closed because its person, silent for too long to be the same, sent a submission of its own right.

    One person has one open lead: with two of them, two reps would answer.
    """
    return close_lead(lead, SUPERSEDED, "router", now)


def add_touch(lead: Lead, touch: Touch, route: Route | None, rulebook: Rulebook, now: datetime) -> LeadChange:
    """The open lead with one more touch, and with the SLA of `route`, what the rules give the touch, if due sooner.

    The newest MAX_TOUCHES are kept whole, so that nobody can make a record grow without end; history has a line of each.
    """
    touches = (*lead.touches, touch)[-MAX_TOUCHES:]
    dropped = touches_with(lead) - len(touches)
    changed = replace(lead, version=lead.version + 1, touches=touches, touches_dropped=dropped)
    entry = HistoryEntry(
        now, "lead.touched", {"form": touch.form, "submission": touch.submission_id, "source": touch.source}
    )
    change = LeadChange(changed, (entry,), counters={"touches": 1})
    if route is None or route.nurture or lead.breached_at is not None or route.deadline >= lead.deadline:
        return change
    return _due_sooner(change, touch, route, rulebook, now)


def touches_with(lead: Lead) -> int:
    """How often its person has come again, with the touch that is to be added now."""
    return lead.touches_dropped + len(lead.touches) + 1


def _due_sooner(
    change: LeadChange, touch: Touch, route: Route, rulebook: Rulebook, now: datetime
) -> LeadChange:
    """The touched lead under the touch's SLA, its ladder begun anew at the touch's receipt; the rep hears of it at once.

    What was done stays done, under its name. What was due already stays due, for the clock to decide. The steps still to
    come are those of the new ladder, and a name that is taken gets a number, because a step's name is part of its
    alerts' keys: of two steps under one name, one would be lost or the other repeated.
    """
    lead = change.lead
    kept = [step for step in lead.steps if step.name in lead.steps_done or step.at <= now]
    taken = {step.name for step in kept} | {step.name for step in route.steps}
    told_at_once = PlannedStep(_free_name("sooner-1", taken), touch.received_at, remind=("rep",))
    names = {told_at_once.name, *(step.name for step in kept)}
    begun, to_come = [told_at_once], list[PlannedStep]()
    for step in route.steps:
        is_on_receipt = step.at <= touch.received_at
        if is_on_receipt and step.name in lead.steps_done:
            continue  # they know of the lead
        fresh = step._replace(name=_free_name(step.name, names))
        names.add(fresh.name)
        (begun if is_on_receipt else to_come).append(fresh)
    steps = tuple(sorted((*kept, *begun, *to_come), key=lambda step: step.at))
    why = (
        f'touch {touch.submission_id} (form "{touch.form}", rule "{route.rule.name}") is due {to_iso(route.deadline)}, '
        f'sooner than {to_iso(lead.deadline)}: the lead takes its SLA "{route.sla.name}"'
    )
    changed = replace(
        lead,
        sla=route.sla.name,
        hold=route.sla.hold,
        deadline=route.deadline,
        steps=steps,
        steps_done=(*lead.steps_done, *(step.name for step in begun)),
        trace=(*lead.trace, why),
    )
    changed = replace(changed, next_at=first_instant(changed))
    team = rulebook.teams.get(lead.team, route.team)
    alerts = tuple(
        replace(alert, note=_WROTE_AGAIN) for alert in alerts_on_receipt(changed, tuple(begun), team, now)
    )
    entry = HistoryEntry(
        now,
        "lead.due_sooner",
        {
            "submission": touch.submission_id,
            "rule": route.rule.name,
            "sla": route.sla.name,
            "before": to_iso(lead.deadline),
            "deadline": to_iso(route.deadline),
            "config": rulebook.digest,
            "steps": [step.name for step in to_come],
            "told": {alert.destination: alert.step for alert in alerts},
        },
    )
    return replace(change, lead=changed, history=(*change.history, entry), alerts=alerts)


def _free_name(name: str, taken: Collection[str]) -> str:
    """The name, or the first of `name-2`, `name-3`, … that no step has; of `sooner-1` the next is `sooner-2`."""
    stem, number = (name[:-2], 1) if name.endswith("-1") else (name, 1)
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name
