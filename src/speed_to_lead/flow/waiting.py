"""Hand out: leads that wait for a rep get one as soon as somebody is available, the nearest deadline first. Clocks ask."""

import time
from datetime import datetime

import structlog

from speed_to_lead import tracing
from speed_to_lead.core.assignment import Tally
from speed_to_lead.core.lead import Lead, LeadChange
from speed_to_lead.core.waiting import hand_out as handed_out
from speed_to_lead.core.waiting import may_be_given
from speed_to_lead.flow.changes import tell_change, with_follow_ups
from speed_to_lead.flow.contention import MAX_ROUNDS
from speed_to_lead.flow.isolation import answer_or_error
from speed_to_lead.store import Result
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

#: Leads looked at in one go. Few enough that routers, which pick in the same teams, do not get between each time.
HAND_OUT_BATCH = 100
#: A tick hands out no longer than this, for the same clock decides what is due; the next tick goes on.
HAND_OUT_SECONDS = 0.5


def hand_out(place: Workplace) -> tuple[int, bool]:
    """How many leads got a rep, and whether the courier has something to do. Any number of clocks may do it at once.

    1 ask which leads wait, 2 read those that somebody is available for, 3 decide, 4 write each in one piece: a decision
    on an old record or an old rotation is refused, and made again. Where no lead waits it costs one command.
    """
    given, kept, has_alerts, refused = 0, 0, False, 0
    ends_at = time.monotonic() + HAND_OUT_SECONDS
    # However many wait for others, those behind them are come to: only rounds that were refused are limited.
    while refused < MAX_ROUNDS and time.monotonic() < ends_at:
        waiting = place.store.reps.waiting(HAND_OUT_BATCH, kept)
        if not waiting:
            break
        changes, stay = _decide(place, waiting)
        kept += stay
        begun = tracing.clock()
        results = place.store.leads.change(changes)
        for change, result in zip(changes, results, strict=True):
            if result is Result.APPLIED:
                given += 1
                has_alerts = has_alerts or bool(change.alerts)
                tell_change("hand_out", change, begun)
        refused += bool(changes) and Result.APPLIED not in results
    return given, has_alerts


def _decide(place: Workplace, waiting: list[tuple[str, str]]) -> tuple[list[LeadChange], int]:
    """The leads that get a rep, and how many wait on. Those that wait no more are forgotten."""
    store, rulebook = place.store, place.config.rulebook
    asked = {team: rulebook.teams_asked[team] for _, team in waiting if team in rulebook.teams}
    tally = store.reps.tally({name for names in asked.values() for name in names})
    now = store.now()
    ready = {
        team
        for team, names in asked.items()
        if may_be_given([rulebook.teams[name] for name in names], tally, now)
    }
    ids = [lead_id for lead_id, team in waiting if team in ready]
    stay = len(waiting) - len(ids)
    changes: list[LeadChange] = []
    for lead_id, record in zip(ids, store.leads.get_many(ids), strict=True):
        if isinstance(record, Exception):  # its clock says so to somebody, or has the key
            stay += 1
            continue
        if record is None or not record.waits_for_a_rep:
            store.reps.forget_waiting(lead_id)
            continue
        change = answer_or_error(_handed_out, place, record, tally, now)
        if isinstance(change, LeadChange):
            tally.note(change)
            changes.append(change)
            continue
        stay += 1
        if change is not None:
            log.error("lead.not_handed_out", lead_id=lead_id, error=type(change).__name__)
    return changes, stay


def _handed_out(place: Workplace, lead: Lead, tally: Tally, now: datetime) -> LeadChange | None:
    rulebook = place.config.rulebook
    team = rulebook.teams.get(lead.team)
    if team is None:
        return None
    change = handed_out(lead, team, rulebook.teams, tally, now, rulebook.meanings)
    return None if change is None else with_follow_ups(place, lead, change)
