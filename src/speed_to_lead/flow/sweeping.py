"""Sweep: whose instant has come? Clocks ask; the answer is the next step of the ladder, its alerts in the outbox."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from speed_to_lead import tracing
from speed_to_lead.core.assignment import Assignment, Tally, Team
from speed_to_lead.core.escalation import escalate, first_instant, wants_new_rep
from speed_to_lead.core.lead import Alert, AlertKind, Lead, LeadChange
from speed_to_lead.flow.changes import tell_change, with_follow_ups
from speed_to_lead.flow.contention import MAX_ROUNDS
from speed_to_lead.flow.isolation import answer_or_error
from speed_to_lead.flow.waiting import hand_out
from speed_to_lead.store import Result
from speed_to_lead.store.contract import LockedRecord, UnreadableRecord
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

#: Leads one clock reads at once.
SWEEP_BATCH = 500
#: A sweep begins no batch after so long; the next tick goes on. A task that lasts a minute counts as stuck, and its
#: worker is ended: on a slow server 25,000 would take longer.
SWEEP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep decided; `has_alerts`: the courier has something to do."""

    decided: int = 0
    has_alerts: bool = False


def sweep(place: Workplace, still_at_work: Callable[[], None] = lambda: None) -> Swept:
    """Decide every lead whose instant has come: 1 ask the index, 2 read the records, 3 decide from them, 4 write.

    Then hand out those that wait for a rep (`waiting.py`), which is a matter of instants too: of a shift that opens.

    Any number of clocks may sweep at once: a decision made on an old version is refused, and passed over, since
    whoever won it wrote the index. `still_at_work` is called between batches: after an outage there may be
    tens of thousands due, the longest overdue first, and they take longer than a stage may be silent.
    """
    total, refused = Swept(), 0
    ends_at = time.monotonic() + SWEEP_SECONDS
    for number in range(MAX_ROUNDS):
        if number and time.monotonic() >= ends_at:
            break
        ids = place.store.leads.due(place.store.now(), SWEEP_BATCH, refused)
        if not ids:
            break
        if number:
            still_at_work()
        decided, has_alerts = _sweep_batch(place, ids)
        total = Swept(total.decided + decided, total.has_alerts or has_alerts)
        refused += (
            len(ids) - decided
        )  # they may stand at the head of the index; those behind them must not wait
    given, has_alerts = hand_out(place)
    return Swept(total.decided + given, total.has_alerts or has_alerts)


def _sweep_batch(place: Workplace, ids: list[str]) -> tuple[int, bool]:
    store, begun = place.store, tracing.clock()
    records = store.leads.get_many(ids)
    now = store.now()  # after the records, as in routing
    wanting = {
        name
        for lead in records
        if isinstance(lead, Lead) and wants_new_rep(lead, now)
        for name in _teams_asked(place, lead)
    }
    tally = store.reps.tally(wanting) if wanting else Tally()
    changes: list[LeadChange] = []
    handled, locked = 0, 0
    for lead_id, record in zip(ids, records, strict=True):
        if isinstance(record, LockedRecord):  # for a clock that has the key; it stays in the index
            locked += 1
            continue
        if not isinstance(record, Lead):
            handled += 1
            _put_aside(place, lead_id, record, now)
            continue
        change = answer_or_error(_escalate, place, record, tally, now)
        if isinstance(change, Exception):
            handled += 1
            _put_aside(place, lead_id, change, now)
        elif change is None:  # the index was wrong; the record says when
            handled += (
                store.leads.mend_index(lead_id, record.version, first_instant(record)) is Result.APPLIED
            )
        else:
            tally.note(change)
            changes.append(change)
    if locked:
        first = next(i for i, record in zip(ids, records, strict=True) if isinstance(record, LockedRecord))
        log.warning("lead.locked", count=locked, lead_id=first)
    has_alerts = False
    for change, result in zip(changes, store.leads.change(changes), strict=True):
        if result is Result.APPLIED:
            handled += 1
            has_alerts = has_alerts or bool(change.alerts)
            tell_change("sweep", change, begun)
    return handled, has_alerts


def _escalate(place: Workplace, lead: Lead, tally: Tally, now: datetime) -> LeadChange | None:
    rulebook = place.config.rulebook
    change = escalate(lead, _team_of(place, lead), rulebook.teams, tally, now, rulebook.meanings)
    return None if change is None else with_follow_ups(place, lead, change)


def _teams_asked(place: Workplace, lead: Lead) -> tuple[str, ...]:
    """All teams that the lead may come to, by the config that knows its team where any does."""
    team = _team_of(place, lead)
    return place.config.rulebook.teams_asked.get(team.name, ())


def _team_of(place: Workplace, lead: Lead) -> Team:
    """The lead's team; where config has it no longer, one without reps that the fallback destination manages."""
    team = place.config.rulebook.teams.get(lead.team)
    if team is None:  # a router may know it already, from a config that was published a moment ago
        place.keep_up(wait=True)
        team = place.config.rulebook.teams.get(lead.team)
    if team is not None:
        return team
    anywhere = next(iter(place.config.rulebook.calendars.values()))
    return Team(lead.team, anywhere, place.fallback_destination, Assignment.ROUND_ROBIN, ())


def _put_aside(place: Workplace, lead_id: str, problem: Exception | None, now: datetime) -> None:
    """A due lead that cannot be worked on must not stop the others: out of the index, kept, and told to somebody."""
    if problem is None:
        if place.store.leads.mend_index(lead_id, 0, None) is Result.APPLIED:
            return
        problem = UnreadableRecord("the record has no document")
    why = (
        str(problem)
        if isinstance(problem, UnreadableRecord)
        else f"{type(problem).__name__} while escalating it"
    )
    alert = Alert(lead_id, "quarantined", place.fallback_destination, AlertKind.QUARANTINED, now, note=why)
    if place.store.leads.quarantine(lead_id, why, alert) is Result.APPLIED:
        log.error("lead.quarantined", lead_id=lead_id, error=why)


def release(place: Workplace, lead_id: str) -> bool:
    """Let a lead out of quarantine and back into the deadline index; whether it was there.

    Raises UnreadableRecord, and leaves it where it is, while its record still cannot be read.
    """
    lead = place.store.leads.get(lead_id)
    if place.store.leads.release(lead_id) is not Result.APPLIED:
        return False
    if lead is not None:
        place.store.leads.mend_index(lead_id, lead.version, first_instant(lead))
    return True
