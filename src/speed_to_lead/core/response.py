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


class ImpossibleChange(ValueError):
    """What was asked cannot be true or cannot be done; the text says why and what to do."""


def record_response(lead: Lead, response: Response, now: datetime) -> LeadChange | None:
    """The lead with this response; None where the same response is already recorded, so that repeats do nothing.

    From `attempted` on it stops the clock, once: the first such response is the one that counts. A response
    after that is kept as evidence. Whether it was in time follows from when it happened, not from when we heard
    of it or from when the clock last looked; a breach that was noted stays noted. The clock of whoever tells us
    may run a little ahead, or count whole seconds: such an instant is taken as now, or as that of receipt. So is
    one that nobody gave, where the server's own clock was set back since receipt.

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
    if not response.kind.stops_clock:
        changed = replace(changed, acknowledged_at=lead.acknowledged_at or at)
        if lead.is_open and lead.acknowledged_at is None:  # saying "mine" again and again holds nothing back
            changed, held = held_back(changed, at)
            details |= {"held": list(held), "until": to_iso(at + lead.hold)} if held else {}
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
    before = (*lead.reps_before, lead.rep) if lead.rep else lead.reps_before
    changed = replace(
        lead, version=lead.version + 1, team=team.name, rep=rep_id, reps_before=before, acknowledged_at=None
    )
    new_rep = team.rep(rep_id)
    assert new_rep is not None
    told = {new_rep.notify or team.manager: ""}
    old = told_of_loss(lead.rep, next((t for t in candidates if t.rep(lead.rep)), own), new_rep)
    if old is not None:
        told.setdefault(*old)
    step = f"reassigned-{len(before)}"
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
    changed = replace(given_to(lead, pick), version=lead.version + 1)
    step = PlannedStep(f"reassigned-{len(changed.reps_before)}", now, reassign=True)
    alerts = alerts_of_step(changed, step, team, now, passed=pick)
    told = [alert.destination for alert in alerts]
    details = {"from": lead.rep, "to": pick.rep.id, "by": by, "step": step.name, "told": told}
    load = {pick.rep.id: 1} | ({lead.rep: -1} if lead.rep else {})
    entry = HistoryEntry(now, "lead.reassigned", details | {"because": list(pick.reasons)})
    return LeadChange(changed, (entry,), alerts, load, pick.rotation)


def _same(new: Response, known: Response) -> bool:
    """The same evidence told twice: same kind and person, and the same instant or none that was given by the caller."""
    if (new.kind, new.by, new.via, new.evidence) != (known.kind, known.by, known.via, known.evidence):
        return False
    # To the millisecond, as the store keeps them.
    new_at, known_at = to_ms(new.at), to_ms(known.at)
    return new_at == known_at or (new_at == to_ms(new.recorded_at) and known_at == to_ms(known.recorded_at))


def _stopped(lead: Lead) -> Lead:
    return replace(lead, next_at=None)
