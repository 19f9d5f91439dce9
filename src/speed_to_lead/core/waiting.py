"""Leads that wait for a rep: nobody was available when they came, and somebody is to have them as soon as they are."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from speed_to_lead.core.assignment import Tally, Team, WhenNobody, assign
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.escalation import facts_of_record, given_to
from speed_to_lead.core.lead import HANDED_OUT, Alert, AlertKind, HistoryEntry, Lead, LeadChange
from speed_to_lead.core.meanings import PLAIN_MEANINGS, Meanings
from speed_to_lead.core.message import span_text
from speed_to_lead.core.reps import Standing, candidate
from speed_to_lead.core.routing import pick_trace


def may_be_given(teams: list[Team], tally: Tally, now: datetime) -> bool:
    """Whether anybody of these teams could be given a lead now, whatever the lead: if not, none need be looked at."""
    return any(
        team.when_nobody is WhenNobody.NEXT_ON_SHIFT  # as config says now; it may have said otherwise before
        or candidate(rep, tally.load, tally.given, tally.away, now).standing is Standing.AVAILABLE
        for team in teams
        for rep in team.reps
    )


def hand_out(
    lead: Lead,
    team: Team,
    teams: Mapping[str, Team],
    tally: Tally,
    now: datetime,
    meanings: Meanings = PLAIN_MEANINGS,
) -> LeadChange | None:
    """The waiting lead with the rep who gets it now, who is told; None where it waits on, or does not wait.

    The clock ran all the while: deadline and ladder stay as they are.
    """
    if not lead.waits_for_a_rep:
        return None
    pick = assign(team, teams, tally, facts_of_record(lead, meanings), now, had_it=lead.reps_before)
    if pick.rep is None:
        return None
    waited = now - lead.received_at
    said = f"handed out at {to_iso(now)}, after {span_text(waited)} without a rep"
    changed = replace(
        given_to(lead, pick, now), version=lead.version + 1, trace=(*lead.trace, said, *pick_trace(pick))
    )
    destination = pick.rep.notify or pick.team.manager
    alert = Alert(
        *(lead.id, HANDED_OUT, destination, AlertKind.ASSIGNED, now),
        team=pick.team.name,
        rep=pick.rep.id,
    )
    details = {
        "to": pick.rep.id,
        "team": pick.team.name,
        "waited_seconds": max(int(waited.total_seconds()), 0),
        "because": list(pick.reasons),
        "step": HANDED_OUT,
        "told": [destination],
    }
    entry = HistoryEntry(now, "lead.handed_out", details)
    return LeadChange(changed, (entry,), (alert,), {pick.rep.id: 1}, pick.rotation)
