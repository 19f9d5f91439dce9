"""The life of a lead, stage by stage, in the order a lead meets them. Start reading here.

    receive   is it genuine?                          web      → a submission, stored before it is answered
    route     same person? which team, rep, deadline? router   → a lead (or a touch, duplicate, test, dead letter)
    sweep     whose instant has come?                 clock    → the next step of the ladder, its alerts in the outbox
    deliver   did they hear us?                       courier  → delivered, tried again later, or given up loudly
    respond   somebody answered                       web, cli → the clock stops
    audit     does anything contradict the promises?  clock    → repaired from the record, or reported

Every stage is gather → decide → apply: read facts, ask a pure function of `core`, write its answer in one piece.
What was decided on facts that changed meanwhile is refused by the store and decided again.
"""

import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

import structlog

from speed_to_lead import forms
from speed_to_lead.core.assignment import Assignment, Team
from speed_to_lead.core.audit import Finding, audit_lead
from speed_to_lead.core.clock import to_iso, to_ms
from speed_to_lead.core.delivery import MAX_ATTEMPTS, Attempt, Delivered, GiveUp, RetryAt, after_attempt
from speed_to_lead.core.delivery import Outcome as DeliveryOutcome
from speed_to_lead.core.escalation import escalate, fallback_of, first_instant, wants_new_rep
from speed_to_lead.core.lead import Alert, AlertKind, HistoryEntry, Lead, LeadChange
from speed_to_lead.core.message import Message, compose, compose_system
from speed_to_lead.core.routing import Route
from speed_to_lead.core.settlement import (
    Admit,
    Bury,
    Drop,
    Join,
    Reading,
    Settlement,
    SubmissionFacts,
    Tally,
    route_of_reading,
    settlement_of,
)
from speed_to_lead.core.submission import Form, Submission, UnreadableSubmission
from speed_to_lead.store import ClaimedAlert, QueueEntry, Result, StoreUnavailable
from speed_to_lead.store.contract import AlertSettlement, UnreadableRecord
from speed_to_lead.workplace import Workplace

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger()

#: Submissions one router takes at once. A full batch means that there are more.
ROUTE_BATCH = 200
#: A router that has not settled an entry for this long is taken for dead.
RECLAIM_AFTER = timedelta(seconds=5)
#: An entry handed out this often is routed alone; one handed out more than MAX_DELIVERIES times is buried.
ISOLATE_AFTER = 3
MAX_DELIVERIES = 6
#: Batches of left-behind entries in one call; isolated entries are a batch each.
RECLAIMS = 50
#: Leads one clock reads at once.
SWEEP_BATCH = 500
#: How long a courier may hold an alert: longer than one send may take in all (destinations.channel.SEND_SECONDS).
LEASE = timedelta(seconds=20)
#: A courier that took longer than this from its claim to the send (it was stopped, its machine slept) does not send: its
#: lease may be over before it has noted what came of it, and what it read of the lead is old.
HELD_UP = timedelta(seconds=4)
#: How long the note of an attempt is tried while the store is away, and how often: longer than any lease, for nobody can
#: take an alert over while the store is away, and whoever notes it first afterwards keeps it from going out again.
NOTE_SECONDS = 120.0
NOTE_EVERY = 0.1
#: A process that stops has less time than that.
LAST_NOTE_SECONDS = 4.0
#: Alerts on their way to one destination at a time.
AT_ONCE = 4
#: A decision refused as stale is made again; this often in a row means that something else is wrong.
MAX_ROUNDS = 50

# --- receive ---------------------------------------------------------------------------------------------------


def receive(
    request: forms.WebhookRequest, form: Form, environment: Mapping[str, str], now: datetime
) -> Submission | forms.Refusal:
    """The submission to store, or why the delivery is refused. Nothing of the body is read yet: store first."""
    refusal = forms.refusal_of(request, form, environment, now)
    if refusal is not None:
        return refusal
    kept = forms.PROVIDERS[form.provider].kept_headers
    return Submission(
        id=new_submission_id(now),
        form=form.name,
        received_at=now,
        body=request.body,
        content_type=request.headers.get("content-type", ""),
        headers={name: request.headers[name] for name in kept if name in request.headers},
    )


def new_submission_id(now: datetime) -> str:
    """An id that sorts by time and that nobody can guess, made before the first write so that a replay is known."""
    return f"{to_ms(now):011x}{secrets.token_hex(6)}"


# --- route -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Routed:
    """What one call routed. `is_full`: there may be more waiting. `has_alerts`: the courier has something to do."""

    settled: int = 0
    is_full: bool = False
    has_alerts: bool = False


def route(place: Workplace, consumer: str, *, reclaim: bool = False) -> Routed:
    """Route the submissions that wait: 1 take them, 2 read them, 3 decide, 4 write each in one piece.

    With `reclaim` also those that a dead router left behind. Whatever cannot be read or decided becomes a dead
    letter, and the others go on.
    """
    fresh = place.store.queue.take(consumer, ROUTE_BATCH)
    outcome = _settle_entries(place, consumer, fresh)
    for _ in range(RECLAIMS if reclaim else 0):
        left_behind = place.store.queue.reclaim(
            consumer, RECLAIM_AFTER, ROUTE_BATCH, isolate_after=ISOLATE_AFTER
        )
        if not left_behind:
            break
        again = _settle_entries(place, consumer, left_behind)
        outcome = replace(
            outcome,
            settled=outcome.settled + again.settled,
            has_alerts=outcome.has_alerts or again.has_alerts,
        )
    return replace(outcome, is_full=len(fresh) == ROUTE_BATCH)


def _settle_entries(place: Workplace, consumer: str, entries: list[QueueEntry]) -> Routed:
    try:
        return _settle_readings(place, [_read(place, entry) for entry in entries])
    except StoreUnavailable:
        # Not the submissions' fault, so it must not count against them. Where this fails too they are reclaimed.
        with suppress(StoreUnavailable):
            place.store.queue.give_back(consumer, entries)
        raise


def _settle_readings(place: Workplace, waiting: list[Reading]) -> Routed:
    settled, has_alerts, refused = 0, False, 0
    while waiting and refused < MAX_ROUNDS:
        decisions = _decide_round(place, waiting, place.store.now())
        decided = [(reading, decision) for reading, decision in decisions if decision is not None]
        later = [reading for reading, decision in decisions if decision is None]
        results = _write(place, [decision for _, decision in decided])
        for (reading, settlement), result in zip(decided, results, strict=True):
            if result in (Result.STALE, Result.GONE):
                later.append(reading)
                continue
            settled += 1
            if result is Result.APPLIED:
                _log_settlement(settlement)
                has_alerts = has_alerts or (isinstance(settlement, Admit) and bool(settlement.change.alerts))
        refused += len(later) == len(waiting)
        waiting = later
    for reading in waiting:  # they stay pending, and are taken up again
        log.warning("submission.contended", lead_id=reading.submission.id)
    return Routed(settled, has_alerts=has_alerts)


def _write(place: Workplace, settlements: list[Settlement]) -> list[Result]:
    """Write what a round decided: first the first change of each lead, then the second of each, and so on.

    A second change was decided on what the first would make of the lead. Where the first is refused, so is the
    second, unsent: the version it expects may be there all the same, written by somebody else, and it would undo that.
    """
    results = [Result.STALE] * len(settlements)
    rounds: list[list[int]] = [[]]
    changes_of: dict[str, int] = {}
    for number, settlement in enumerate(settlements):
        earlier = 0
        if (lead_id := _lead_of(settlement)) is not None:
            earlier = changes_of.get(lead_id, 0)
            changes_of[lead_id] = earlier + 1
        if earlier == len(rounds):
            rounds.append([])
        rounds[earlier].append(number)
    refused: set[str] = set()
    for numbers in rounds:
        sent = [number for number in numbers if _lead_of(settlements[number]) not in refused]
        answers = place.store.queue.settle([settlements[number] for number in sent])
        for number, answer in zip(sent, answers, strict=True):
            results[number] = answer
            lead_id = _lead_of(settlements[number])
            # Also where somebody else settled the entry: what they wrote is not what we went on from.
            if lead_id is not None and answer is not Result.APPLIED:
                refused.add(lead_id)
    return results


def _lead_of(settlement: Settlement) -> str | None:
    """The lead a settlement changes, if any."""
    return settlement.change.lead.id if isinstance(settlement, (Admit, Join)) else None


def _read(place: Workplace, entry: QueueEntry) -> Reading:
    submission = entry.submission
    if entry.deliveries > MAX_DELIVERIES:
        why = f"{entry.deliveries - 1} routers stopped while they worked on it"
        return Reading(entry.entry_id, submission, error=why)
    if entry.problem:
        return Reading(entry.entry_id, submission, error=entry.problem)
    form = place.form(submission.form)
    if form is None:
        return Reading(entry.entry_id, submission, error=f'intake.toml has no form "{submission.form[:60]}"')
    try:
        parsed = forms.read(submission, form)
    except UnreadableSubmission as error:
        return Reading(entry.entry_id, submission, form, error=str(error))
    except Exception as error:
        log.exception("submission.unreadable", lead_id=submission.id)
        why = f"{type(error).__name__} while reading it as {form.provider}"
        return Reading(entry.entry_id, submission, form, error=why)
    return Reading(entry.entry_id, submission, form, parsed)


def _decide_round(
    place: Workplace, readings: list[Reading], now: datetime
) -> list[tuple[Reading, Settlement | None]]:
    store, rulebook = place.store, place.config.rulebook
    known = store.queue.lead_of(name for reading in readings for name in reading.names)
    by_person = store.leads.of_people([key for reading in readings for key in reading.people])
    ids = {*by_person.values(), *(lead_id for reading in readings for lead_id in reading.lead_ids)}
    records: dict[str, Lead | Exception | None] = dict(zip(ids, store.leads.get_many(list(ids)), strict=True))
    routes = {r.entry_id: _attempt(route_of_reading, r, rulebook) for r in readings if r.parsed is not None}
    teams = {route.team.name for route in routes.values() if isinstance(route, Route)}
    tally = Tally(store.leads.rotations(teams), store.leads.load())
    facts = SubmissionFacts(known, by_person, records, routes, tally)
    decisions: list[tuple[Reading, Settlement | None]] = []
    for reading in readings:
        settlement = _attempt(settlement_of, reading, facts, rulebook, now)
        if isinstance(settlement, Exception):
            kind = type(settlement).__name__
            log.error("submission.undecidable", lead_id=reading.submission.id, error=kind)
            settlement = Bury(reading.entry_id, reading.submission, f"{kind} while deciding its route", now)
        decisions.append((reading, settlement))
    return decisions


def _log_settlement(settlement: Settlement) -> None:
    match settlement:
        case Admit(change=change):
            lead = change.lead
            log.info(
                "lead.routed", lead_id=lead.id, rule=lead.rule, team=lead.team, rep=lead.rep, sla=lead.sla
            )
        case Join(change=change):
            log.info("lead.touched", lead_id=change.lead.id, touches=len(change.lead.touches))
        case Drop():
            event = "submission.duplicate" if settlement.kind == "duplicates" else "submission.test"
            log.info(event, lead_id=settlement.lead_id or settlement.submission_id)
        case Bury():
            log.error(
                "submission.dead_letter",
                lead_id=settlement.submission.id,
                error=settlement.error
                if settlement.is_of_known_form
                else "it names a form that is not known",
            )


# --- sweep -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep decided; `has_alerts`: the courier has something to do."""

    decided: int = 0
    has_alerts: bool = False


def sweep(place: Workplace) -> Swept:
    """Decide every lead whose instant has come: 1 ask the index, 2 read the records, 3 decide from them, 4 write.

    Any number of clocks may sweep at once: a decision made on an old version is refused, and passed over, since
    whoever won it wrote the index.
    """
    total, refused = Swept(), 0
    for _ in range(MAX_ROUNDS):
        now = place.store.now()
        ids = place.store.leads.due(now, SWEEP_BATCH, refused)
        if not ids:
            break
        decided, has_alerts = _sweep_batch(place, ids, now)
        total = Swept(total.decided + decided, total.has_alerts or has_alerts)
        refused += (
            len(ids) - decided
        )  # they may stand at the head of the index; those behind them must not wait
    return total


def _sweep_batch(place: Workplace, ids: list[str], now: datetime) -> tuple[int, bool]:
    store = place.store
    records = store.leads.get_many(ids)
    wanting = {lead.team for lead in records if isinstance(lead, Lead) and wants_new_rep(lead, now)}
    rotations = store.leads.rotations(wanting) if wanting else {}
    load = store.leads.load() if wanting else {}
    tally = Tally(rotations, load)
    changes: list[LeadChange] = []
    handled = 0
    for lead_id, record in zip(ids, records, strict=True):
        if not isinstance(record, Lead):
            handled += 1
            _put_aside(place, lead_id, record, now)
            continue
        change = _attempt(_escalate, place, record, tally, now)
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
    has_alerts = False
    for change, result in zip(changes, store.leads.change(changes), strict=True):
        if result is Result.APPLIED:
            handled += 1
            has_alerts = has_alerts or bool(change.alerts)
            _log_change(change)
    return handled, has_alerts


def _escalate(place: Workplace, lead: Lead, tally: Tally, now: datetime) -> LeadChange | None:
    return escalate(lead, _team_of(place, lead), tally.rotation(lead.team), tally.load, now)


def _team_of(place: Workplace, lead: Lead) -> Team:
    """The lead's team; where config has it no longer, one without reps that the fallback destination manages."""
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
    """Let a lead out of quarantine and back into the deadline index; whether it was there."""
    if place.store.leads.release(lead_id) is not Result.APPLIED:
        return False
    lead = place.store.leads.get(lead_id)
    if lead is not None:
        place.store.leads.mend_index(lead_id, lead.version, first_instant(lead))
    return True


def _log_change(change: LeadChange) -> None:
    for entry in change.history:
        fields = {"rep": change.lead.rep} | _loggable(entry.details)
        log.info(entry.event, lead_id=change.lead.id, **fields)


def _loggable(details: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value
        for name, value in details.items()
        if name in ("step", "skipped", "told", "deadline", "rep", "from", "to", "at")
    }


# --- deliver ---------------------------------------------------------------------------------------------------


def destinations_due(place: Workplace) -> dict[str, int]:
    """Destinations with alerts due now, and how many couriers are worth sending: one for each few alerts."""
    due = place.store.outbox.destinations_due(place.store.now())
    return {destination: min(AT_ONCE, 1 + count // 10) for destination, count in due.items()}


def deliver(place: Workplace, destination: str, go_on: Callable[[], bool] = lambda: True) -> int:
    """Deliver what is due to one destination, one alert after the other: 1 lease it, 2 read the record, 3 send, 4 note.

    Returns how many were settled. Other destinations have couriers of their own, so a slow one delays nobody else.
    Ends when nothing is due, or when `go_on` answers false (the process stops).
    """
    settled = 0
    while go_on():
        began = time.monotonic()
        now = place.store.now()
        claimed = place.store.outbox.claim(destination, now, LEASE, at_once=AT_ONCE)
        if claimed is None:
            break
        settled += 1
        _deliver_one(place, claimed, now, began, go_on)
    return settled


def _deliver_one(
    place: Workplace, claimed: ClaimedAlert, now: datetime, began: float, go_on: Callable[[], bool]
) -> None:
    alert = claimed.alert
    if alert.attempts > MAX_ATTEMPTS:  # leases that ran out are attempts too
        why = f"{alert.attempts - 1} couriers stopped while they sent it"
        _note_attempt(place, claimed, go_on, GiveUp(why), alert.unknown_attempts, now)
        return
    channel = place.channel(alert.destination)
    if alert.unknown_attempts > 1 and not channel.recognises_repeats:
        why = "it may have arrived twice already, and another try could double it again"
        _note_attempt(place, claimed, go_on, GiveUp(why), alert.unknown_attempts, now)
        return
    message = _attempt(_message, place, alert, now)
    if message is None:
        entry = HistoryEntry(now, "alert.cancelled", {"step": alert.step, "to": alert.destination})
        place.store.outbox.settle(claimed, AlertSettlement("cancelled", now, alert.unknown_attempts, entry))
        log.info("alert.cancelled", lead_id=alert.lead_id, step=alert.step, destination=alert.destination)
        return
    if isinstance(message, Exception):
        _note_attempt(
            place,
            claimed,
            go_on,
            GiveUp(f"{type(message).__name__} while writing it"),
            alert.unknown_attempts,
            now,
        )
        return
    started = time.monotonic()
    if started - began > HELD_UP.total_seconds():
        at = _now_after(place, now, began)
        _note_attempt(
            place,
            claimed,
            go_on,
            RetryAt(at),
            alert.unknown_attempts,
            at,
            "its courier was held up before it sent it",
        )
        return
    attempt = _attempt(channel.send, message, now)
    now = _now_after(place, now, started)
    if isinstance(attempt, Exception):
        attempt = Attempt(DeliveryOutcome.UNKNOWN, f"{type(attempt).__name__} while sending it")
    unknown = alert.unknown_attempts + (attempt.outcome is DeliveryOutcome.UNKNOWN)
    verdict = after_attempt(
        attempt,
        now,
        attempts=alert.attempts,
        unknown_attempts=unknown,
        recognises_repeats=channel.recognises_repeats,
    )
    log.info(
        "alert.attempt",
        lead_id=alert.lead_id,
        alert=alert.key,
        outcome=attempt.outcome.value,
        detail=attempt.detail,
        attempt=alert.attempts,
    )
    _note_attempt(place, claimed, go_on, verdict, unknown, now, attempt.detail)


def _message(place: Workplace, alert: Alert, now: datetime) -> Message | None:
    """What to say; None where nobody waits any more. The record decides, as it is now."""
    if alert.kind.is_about_system:
        return compose_system(alert, _SYSTEM_HEADLINES.get(alert.kind, "A test of this destination"))
    lead = place.store.leads.get(alert.lead_id)
    if lead is None or not lead.is_open:
        return None
    rulebook = place.config.rulebook
    url = f"{place.public_url}/v1/leads/{lead.id}" if place.public_url else ""
    return compose(
        alert, lead, rulebook.teams.get(lead.team), rulebook.taxonomy.source(lead.source).label, url, now
    )


_SYSTEM_HEADLINES = {
    AlertKind.QUARANTINED: "A lead cannot be worked on and was put aside",
    AlertKind.STAGE_SILENT: "A part of speed-to-lead has stopped working",
    AlertKind.STAGE_BACK: "A part of speed-to-lead is working again",
}


def _note_attempt(
    place: Workplace,
    claimed: ClaimedAlert,
    go_on: Callable[[], bool],
    verdict: Delivered | RetryAt | GiveUp,
    unknown: int,
    now: datetime,
    why_not: str = "",
) -> None:
    alert = claimed.alert
    details: dict[str, object] = {"step": alert.step, "to": alert.destination, "attempt": alert.attempts}
    match verdict:
        case Delivered():
            settlement = AlertSettlement(
                "delivered", now, unknown, HistoryEntry(now, "alert.delivered", details)
            )
        case RetryAt(at=at):
            entry = HistoryEntry(now, "alert.failed", details | {"why": why_not, "next": to_iso(at)})
            settlement = AlertSettlement("retry", at, unknown, entry)
        case GiveUp(why=why):
            team = place.config.rulebook.teams.get(alert.team)
            fallback = fallback_of(alert, team, place.fallback_destination, why, now)
            told = fallback.destination if fallback else None
            entry = HistoryEntry(now, "alert.given_up", details | {"why": why, "fallback": told})
            settlement = AlertSettlement("dead", now, unknown, entry, fallback)
            log.error("alert.given_up", lead_id=alert.lead_id, alert=alert.key, why=why, fallback=told)
    if _settle_alert(place, claimed, settlement, go_on) is Result.STALE:
        log.warning("alert.lease_lost", lead_id=alert.lead_id, alert=alert.key)


def _now_after(place: Workplace, then: datetime, started: float) -> datetime:
    """The server's time; where it is away, what it was `then` and what has passed since."""
    try:
        return place.store.now()
    except StoreUnavailable:
        return then + timedelta(seconds=time.monotonic() - started)


def _settle_alert(
    place: Workplace, claimed: ClaimedAlert, settlement: AlertSettlement, go_on: Callable[[], bool]
) -> Result:
    """Note what came of an attempt; a store that is away for a while must not make a delivered alert go out again."""
    began = time.monotonic()
    while True:
        try:
            return place.store.outbox.settle(claimed, settlement)
        except StoreUnavailable:
            if time.monotonic() - began >= (NOTE_SECONDS if go_on() else LAST_NOTE_SECONDS):
                raise
        time.sleep(NOTE_EVERY)


# --- respond ---------------------------------------------------------------------------------------------------


class UnknownLead(LookupError):
    """There is no lead of that id."""


class Contended(RuntimeError):
    """The lead changed under every one of many decisions; try again."""


def change_lead(
    place: Workplace, lead_id: str, decide: Callable[[Lead, datetime], LeadChange | None]
) -> tuple[Lead, bool]:
    """The lead after `decide`, and whether anything changed (not where decide answered None).

    Used for responses, reassignments and closing alike: read, decide on that version, write; where the lead changed
    meanwhile, again. Raises UnknownLead, Contended, and whatever `decide` raises.
    """
    for _ in range(MAX_ROUNDS):
        lead = place.store.leads.get(lead_id)
        if lead is None:
            known = place.store.queue.lead_of([lead_id]).get(lead_id)
            lead = place.store.leads.get(known) if known else None
        if lead is None:
            raise UnknownLead(lead_id)
        change = decide(lead, place.store.now())
        if change is None:
            return lead, False
        if place.store.leads.change([change])[0] is Result.APPLIED:
            _log_change(change)
            return change.lead, True
    raise Contended(lead_id)


# --- audit -----------------------------------------------------------------------------------------------------


def audit(place: Workplace, cursor: str, limit: int = 1000) -> tuple[str, dict[Finding, int]]:
    """Compare a batch of records with the deadline index; the cursor for the next batch, and what was found.

    The index is mended from the record, and only where the record is still the one compared.
    """
    ids, following = place.store.leads.scan(cursor, limit)
    found: dict[Finding, int] = {}
    now = place.store.now()
    records = place.store.leads.get_many(ids)
    put_aside = place.store.leads.quarantined()
    for record, indexed in zip(records, place.store.leads.indexed_at(ids), strict=True):
        if isinstance(record, Lead) and record.id in put_aside:
            continue
        contradiction = audit_lead(record, indexed, now) if isinstance(record, Lead) else None
        if contradiction is None or not isinstance(record, Lead):
            continue
        if contradiction.finding is not Finding.OVERDUE:
            mended = place.store.leads.mend_index(record.id, record.version, contradiction.next_at)
            if mended is not Result.APPLIED:
                continue  # it changed while we looked: no contradiction
        found[contradiction.finding] = found.get(contradiction.finding, 0) + 1
        log.warning("audit.contradiction", lead_id=record.id, finding=contradiction.finding.value)
    return following, found


# --- signs of life ---------------------------------------------------------------------------------------------


def beat(place: Workplace, stage: str) -> None:
    """Note that this process is working on `stage`."""
    place.store.operations.beat(f"{stage}@{_HOST}:{os.getpid()}", place.store.now())


_HOST = os.uname().nodename


def _attempt(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | Exception:
    """The answer, or the exception as a value: one bad lead stops nobody. A store that is away stops everybody."""
    try:
        return function(*arguments, **named)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001
        return error
