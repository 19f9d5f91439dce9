"""Somebody answered, took it, passed it on or closed it: the changes people make to a lead."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from speed_to_lead.core.answer import Asked
from speed_to_lead.core.assignment import Tally, Team, assign
from speed_to_lead.core.clock import to_iso, to_ms
from speed_to_lead.core.escalation import (
    alerts_of_step,
    breach_noted,
    facts_of_record,
    given_to,
    held_back,
    told_of_loss,
    with_rep,
)
from speed_to_lead.core.lead import (
    Alert,
    AlertKind,
    HistoryEntry,
    Lead,
    LeadChange,
    LeadState,
    PlannedStep,
    Response,
)
from speed_to_lead.core.meanings import PLAIN_MEANINGS, Meanings

#: Other people's clocks run a little ahead of ours; an answer from further in the future is a mistake.
CLOCK_TOLERANCE = timedelta(minutes=5)

#: What a program answered, in a lead's history.
AUTOMATIC_REPLY = "lead.automatic_reply"


class ImpossibleChange(ValueError):
    """What was asked cannot be true or cannot be done; the text says why and what to do."""


def record_response(
    lead: Lead, response: Response, now: datetime, asked: Asked | None = None
) -> LeadChange | None:
    """The lead with this response; None where the same response is already recorded, so that repeats do nothing.

    From `attempted` on it stops the clock, once: the first such response is the one that counts. A response
    after that is kept as evidence. Whether it was in time follows from when it happened, not from when we heard
    of it or from when the clock last looked; a breach that was noted stays noted. What a program sent by itself is
    kept as evidence too, and does neither: the first touch of a human is the one that counts. The clock of whoever tells us
    may run a little ahead, or count whole seconds: such an instant is taken as now, or as that of receipt. So is
    one that nobody gave, where the server's own clock was set back since receipt. `asked`: what the link was about, by
    which it was said.

    Raises ImpossibleChange for an instant before the lead came or in the future.
    """
    if response.at > now + CLOCK_TOLERANCE:
        raise ImpossibleChange(f"at is {to_iso(response.at)}, which is in the future; leave it out for now")
    was_given = response.at != response.recorded_at
    if was_given and response.at < lead.received_at.replace(microsecond=0):
        raise ImpossibleChange(
            f"at is {to_iso(response.at)}, before the lead was received ({to_iso(lead.received_at)}); check the time zone"
        )
    if any(_same(response, known) for known in lead.responses):
        return None
    changed = replace(lead, version=lead.version + 1, responses=(*lead.responses, response))
    at = max(min(response.at, now), lead.received_at)
    load: dict[str, int] = {}
    counters: dict[str, int] = {}
    history: tuple[HistoryEntry, ...] = ()
    details: dict[str, object] = {"by": response.by, "at": to_iso(response.at), "via": response.via}
    if response.automatic:
        return LeadChange(changed, (HistoryEntry(now, AUTOMATIC_REPLY, details | {"kind": response.kind}),))
    if not response.kind.stops_clock:
        changed, further = _taken(lead, changed, response.by, at, asked)
        details |= further
    elif lead.is_open:
        changed, history = breach_noted(changed, at, now)
        changed = _stopped(replace(changed, state=LeadState.ANSWERED, answered_at=at))
        load = {lead.rep: -1} if lead.rep else {}
        counters["answered"] = 1
        if at < lead.deadline:
            counters["answered_in_time"] = 1
        if history:
            counters["breaches"] = 1
    entry = HistoryEntry(now, f"lead.{response.kind}", details)
    return LeadChange(changed, (*history, entry), load=load, counters=counters)


def _taken(
    lead: Lead, changed: Lead, by: str, at: datetime, asked: Asked | None
) -> tuple[Lead, dict[str, object]]:
    """The changed lead once somebody said "mine", and what history says of it.

    From a rep who lost the lead it is evidence, and holds back nothing of the rep who has it now; said again, neither.
    """
    if was_passed_on_from(lead, by, asked):
        return changed, {"has_it": lead.rep}
    changed = replace(changed, acknowledged_at=lead.acknowledged_at or at)
    if not lead.is_open or lead.acknowledged_at is not None:
        return changed, {}
    changed, held = held_back(changed, at)
    return changed, {"held": list(held), "until": to_iso(at + lead.hold)} if held else {}


def was_passed_on_from(lead: Lead, by: str, asked: Asked | None = None) -> bool:
    """Whether it was that rep's and is somebody else's now: their "mine" comes too late to be one.

    So does what is said by a link (`asked`) of an alert that was about a rep who has lost it, whoever reads it.
    """
    about = asked.rep if asked is not None and asked.destination else ""
    return by != lead.rep and not {by, about}.isdisjoint(set(lead.reps_before) - {lead.rep})


def close_lead(lead: Lead, reason: str, by: str, now: datetime) -> LeadChange | None:
    """The lead closed without an answer (spam, not a lead, …); None where it is closed already.

    A lead still open at its deadline was late all the same, whether or not the clock had come to say so.
    """
    if lead.state is LeadState.CLOSED:
        return None
    late, history = breach_noted(lead, now, now)
    changed = replace(
        late, version=lead.version + 1, state=LeadState.CLOSED, closed_at=now, closed_reason=reason
    )
    entry = HistoryEntry(now, "lead.closed", {"reason": reason, "by": by})
    load = {lead.rep: -1} if lead.is_open and lead.rep else {}
    counters = {"closed": 1} | ({"breaches": 1} if history else {})
    return LeadChange(_stopped(changed), (*history, entry), load=load, counters=counters)


def reassign_lead(
    lead: Lead, teams: Mapping[str, Team], rep_id: str, by: str, now: datetime
) -> LeadChange | None:
    """The open lead with another rep, who is told; None where it is theirs already. The clock does not restart.

    A rep of another team takes the lead into that team; deadline and ladder stay as they were promised.

    Raises ImpossibleChange where nobody waits any more or the rep is unknown.
    """
    if not lead.is_open:
        raise ImpossibleChange(f"the lead is {lead.state}, so there is no answer to pass on")
    own = teams.get(lead.team)
    candidates = (own, *teams.values()) if own is not None else tuple(teams.values())
    team = next((team for team in candidates if team.rep(rep_id)), None)
    if team is None:
        known = ", ".join(sorted(rep.id for team in teams.values() for rep in team.reps))
        raise ImpossibleChange(f'there is no rep "{rep_id}"; the reps are {known}')
    if lead.rep == rep_id:
        return None
    new_rep = team.rep(rep_id)
    assert new_rep is not None
    changed = replace(with_rep(lead, team, new_rep, now), version=lead.version + 1)
    told = {new_rep.notify or team.manager: ""}
    old = told_of_loss(lead.rep, next((t for t in candidates if t.rep(lead.rep)), own), new_rep)
    if old is not None:
        told.setdefault(*old)
    step = f"reassigned-{len(changed.reps_before)}"
    alerts = tuple(
        Alert(lead.id, step, destination, AlertKind.REASSIGNED, now, team=team.name, rep=rep_id, note=note)
        for destination, note in told.items()
    )
    details = {"from": lead.rep, "to": rep_id, "by": by, "step": step, "told": list(told)}
    entry = HistoryEntry(now, "lead.reassigned", details)
    load = {rep_id: 1} | ({lead.rep: -1} if lead.rep else {})
    return LeadChange(changed, (entry,), alerts, load)


def pass_on(
    lead: Lead,
    teams: Mapping[str, Team],
    tally: Tally,
    asked: Asked,
    by: str,
    now: datetime,
    meanings: Meanings = PLAIN_MEANINGS,
) -> LeadChange | None:
    """The open lead with whoever is next in its team, who is told; None where it has left the rep who was asked.

    So the same press told twice passes a lead on once. Raises ImpossibleChange where nobody waits or nobody else can.
    """
    if asked.rep != (lead.rep or "") and asked.rep in lead.reps_before:
        return None
    if not lead.is_open:
        raise ImpossibleChange(f"the lead is {lead.state}, so there is no answer to pass on")
    team = teams.get(lead.team)
    if team is None:
        raise ImpossibleChange(f'team "{lead.team}" is no longer in the config')
    facts = facts_of_record(lead, meanings)
    pick = assign(team, teams, tally, facts, now, had_it=lead.reps_before, instead_of=lead.rep)
    if pick.rep is None or pick.rep.id == lead.rep:
        raise ImpossibleChange("nobody else can take it now")
    changed = replace(given_to(lead, pick, now), version=lead.version + 1)
    step = PlannedStep(f"reassigned-{len(changed.reps_before)}", now, reassign=True)
    alerts = alerts_of_step(changed, step, team, now, passed=pick)
    told = [alert.destination for alert in alerts]
    details = {"from": lead.rep, "to": pick.rep.id, "by": by, "step": step.name, "told": told}
    load = {pick.rep.id: 1} | ({lead.rep: -1} if lead.rep else {})
    entry = HistoryEntry(now, "lead.reassigned", details | {"because": list(pick.reasons)})
    return LeadChange(changed, (entry,), alerts, load, pick.rotation)


def _same(new: Response, known: Response) -> bool:
    """The same evidence told twice: same kind and person, and the same instant or none that was given by the caller."""
    if _told(new) != _told(known):
        return False
    # To the millisecond, as the store keeps them.
    new_at, known_at = to_ms(new.at), to_ms(known.at)
    return new_at == known_at or (new_at == to_ms(new.recorded_at) and known_at == to_ms(known.recorded_at))


def _told(response: Response) -> tuple[object, ...]:
    return response.kind, response.by, response.via, response.evidence, response.automatic


def _stopped(lead: Lead) -> Lead:
    return replace(lead, next_at=None)
