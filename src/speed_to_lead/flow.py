"""The life of a lead, stage by stage, in the order a lead meets them. Start reading here.

    receive   is it genuine?                          web      → a submission, stored before it is answered
    route     same person? which team, rep, deadline? router   → a lead (or a touch, duplicate, test, dead letter)
    sweep     whose instant has come?                 clock    → the next step of the ladder, its alerts in the outbox
    deliver   did they hear us?                       courier  → delivered, tried again later, or given up loudly
    respond   somebody answered                       web, cli → the clock stops

Beside it, on its own: does anything contradict the promises? `auditor.py` repairs it from the record, or tells somebody.

Every stage is gather → decide → apply: read facts, ask a pure function of `core`, write its answer in one piece.
What was decided on facts that changed meanwhile is refused by the store and decided again.
"""

import math
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

import structlog

from speed_to_lead import forms, tracing
from speed_to_lead.core.assignment import Assignment, Team
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
from speed_to_lead.destinations import Channel
from speed_to_lead.destinations.channel import SEND_SECONDS
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
#: A courier that has not begun to send this long after its claim (it was stopped, its machine slept) leaves the alert
#: to others: it might send after its lease is over, and what it read of the lead is old.
BEGIN_WITHIN = LEASE - timedelta(seconds=SEND_SECONDS + 1)
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
    request: forms.WebhookRequest,
    form: Form,
    environment: Mapping[str, str],
    now: datetime,
    traceparent: str = "",
) -> Submission | forms.Refusal:
    """The submission to store, or why the delivery is refused. Nothing of the body is read yet: store first.

    `traceparent` names our own span, never the sender's.
    """
    refusal = forms.refusal_of(request, form, environment, now)
    if refusal is not None:
        return refusal
    kept = forms.PROVIDERS[form.provider].kept_headers
    headers = {name: request.headers[name] for name in kept if name in request.headers}
    if traceparent:
        headers["traceparent"] = traceparent
    return Submission(
        id=new_submission_id(now),
        form=form.name,
        received_at=now,
        body=request.body,
        content_type=request.headers.get("content-type", ""),
        headers=headers,
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
    spans = {
        entry.entry_id: tracing.start("route", entry.submission.traceparent, lead_id=entry.submission.id)
        for entry in entries
    }
    try:
        readings = [_read(place, _within(spans[entry.entry_id], entry)) for entry in entries]
        return _settle_readings(place, readings, spans)
    except StoreUnavailable:
        # Not the submissions' fault, so it must not count against them. Where this fails too they are reclaimed.
        with suppress(StoreUnavailable):
            place.store.queue.give_back(consumer, entries)
        raise
    finally:
        for span in spans.values():
            span.end()


def _within(span: tracing.Span, entry: QueueEntry) -> QueueEntry:
    """The entry as a part of its routing's trace: its lead remembers that one."""
    if not span.traceparent:
        return entry
    headers = {**entry.submission.headers, "traceparent": span.traceparent}
    return replace(entry, submission=replace(entry.submission, headers=headers))


def _settle_readings(place: Workplace, waiting: list[Reading], spans: Mapping[str, tracing.Span]) -> Routed:
    settled, has_alerts, refused = 0, False, 0
    while waiting and refused < MAX_ROUNDS:
        decisions = _decide_round(place, waiting)
        decided = [(reading, decision) for reading, decision in decisions if decision is not None]
        later = [reading for reading, decision in decisions if decision is None]
        results = _write(place, [decision for _, decision in decided])
        for (reading, settlement), result in zip(decided, results, strict=True):
            if result in (Result.STALE, Result.GONE):
                later.append(reading)
                continue
            settled += 1
            if result is Result.APPLIED:
                span = spans[reading.entry_id]
                span.note(**_traced(settlement))
                with span.current():
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


def _decide_round(place: Workplace, readings: list[Reading]) -> list[tuple[Reading, Settlement | None]]:
    store, rulebook = place.store, place.config.rulebook
    known = store.queue.lead_of(name for reading in readings for name in reading.names)
    by_person = store.leads.of_people([key for reading in readings for key in reading.people])
    ids = {*by_person.values(), *(lead_id for reading in readings for lead_id in reading.lead_ids)}
    records: dict[str, Lead | Exception | None] = dict(zip(ids, store.leads.get_many(list(ids)), strict=True))
    routes = {r.entry_id: _attempt(route_of_reading, r, rulebook) for r in readings if r.parsed is not None}
    teams = {route.team.name for route in routes.values() if isinstance(route, Route)}
    tally = Tally(store.leads.rotations(teams), store.leads.load())
    facts = SubmissionFacts(known, by_person, records, routes, tally)
    now = store.now()  # after the records: nothing stands in a history before what it was decided on
    decisions: list[tuple[Reading, Settlement | None]] = []
    for reading in readings:
        settlement = _attempt(settlement_of, reading, facts, rulebook, now)
        if isinstance(settlement, Exception):
            kind = type(settlement).__name__
            log.error("submission.undecidable", lead_id=reading.submission.id, error=kind)
            settlement = Bury(reading.entry_id, reading.submission, f"{kind} while deciding its route", now)
        decisions.append((reading, settlement))
    return decisions


def _traced(settlement: Settlement) -> dict[str, str]:
    """What a trace says of a settlement: names of config, and no name that a sender made up."""
    match settlement:
        case Admit(change=change):
            lead = change.lead
            return {"outcome": "lead", "form": lead.form, "team": lead.team, "sla": lead.sla}
        case Join(change=change):
            return {"outcome": "touch", "lead_id": change.lead.id, "team": change.lead.team}
        case Drop():
            return {"outcome": settlement.kind, "form": settlement.form}
        case Bury():
            return {"outcome": "dead_letter"}


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
        ids = place.store.leads.due(place.store.now(), SWEEP_BATCH, refused)
        if not ids:
            break
        decided, has_alerts = _sweep_batch(place, ids)
        total = Swept(total.decided + decided, total.has_alerts or has_alerts)
        refused += (
            len(ids) - decided
        )  # they may stand at the head of the index; those behind them must not wait
    return total


def _sweep_batch(place: Workplace, ids: list[str]) -> tuple[int, bool]:
    store, begun = place.store, tracing.clock()
    records = store.leads.get_many(ids)
    now = store.now()  # after the records, as in routing
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
            _tell_change("sweep", change, begun)
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


def _tell_change(what: str, change: LeadChange, begun: int) -> None:
    """Log a change that was written, and add it to the lead's trace."""
    lead = change.lead
    step = next((str(e.details.get("step", "")) for e in change.history if e.event == "step.decided"), "")
    fields = {"lead_id": lead.id, "team": lead.team, "sla": lead.sla, "step": step}
    with tracing.span(what, lead.traceparent, since=begun, **fields):
        _log_change(change)


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
        send_before = time.monotonic() + BEGIN_WITHIN.total_seconds()
        now = place.store.now()
        claimed = place.store.outbox.claim(destination, now, LEASE, at_once=AT_ONCE)
        if claimed is None:
            break
        settled += 1
        _deliver_one(place, InHand(claimed, send_before, go_on), now)
    return settled


@dataclass(frozen=True, slots=True)
class InHand:
    """An alert in a courier's hands: not sent after `send_before` (monotonic); `go_on` turns false when the process stops."""

    claimed: ClaimedAlert
    send_before: float = math.inf
    go_on: Callable[[], bool] = lambda: True

    @property
    def alert(self) -> Alert:
        """What is to be delivered."""
        return self.claimed.alert


def _deliver_one(place: Workplace, hand: InHand, now: datetime) -> None:
    alert = hand.alert
    if alert.attempts > MAX_ATTEMPTS:  # leases that ran out are attempts too
        why = f"{alert.attempts - 1} couriers stopped while they sent it"
        _note_attempt(place, hand, GiveUp(why), alert.unknown_attempts, now)
        return
    channel = place.channel(alert.destination)
    if alert.unknown_attempts > 1 and not channel.recognises_repeats:
        why = "it may have arrived twice already, and another try could double it again"
        _note_attempt(place, hand, GiveUp(why), alert.unknown_attempts, now)
        return
    try:
        message = _attempt(_message, place, hand.claimed, now)
    except StoreUnavailable:
        # Away, or too few replicas hold the decision: nobody may be told of what a failover could still take back.
        # Nothing was sent, so it does not count as an attempt.
        with suppress(StoreUnavailable):
            place.store.outbox.settle(hand.claimed, AlertSettlement("returned", now, alert.unknown_attempts))
        raise
    if message is None:
        entry = HistoryEntry(now, "alert.cancelled", {"step": alert.step, "to": alert.destination})
        place.store.outbox.settle(
            hand.claimed, AlertSettlement("cancelled", now, alert.unknown_attempts, entry)
        )
        log.info("alert.cancelled", lead_id=alert.lead_id, step=alert.step, destination=alert.destination)
        return
    if isinstance(message, _LeaseLost):
        log.warning("alert.lease_lost", lead_id=alert.lead_id, alert=alert.key)
        return
    if isinstance(message, Exception):
        why = f"{type(message).__name__} while writing it"
        _note_attempt(place, hand, GiveUp(why), alert.unknown_attempts, now)
        return
    if (
        time.monotonic() >= hand.send_before
    ):  # frozen, or the store stalled: another courier may have it by now
        place.store.outbox.settle(hand.claimed, AlertSettlement("returned", now, alert.unknown_attempts))
        return
    with tracing.span(
        "deliver",
        message.traceparent,
        lead_id=alert.lead_id,
        team=alert.team,
        step=alert.step,
        destination=alert.destination,
    ) as span:
        if span.traceparent:
            message = replace(message, traceparent=span.traceparent)
        _send_and_note(place, hand, channel, message, span, now)


def _send_and_note(
    place: Workplace,
    hand: InHand,
    channel: Channel,
    message: Message,
    span: tracing.Span,
    now: datetime,
) -> None:
    alert = hand.alert
    started = time.monotonic()
    attempt = _attempt(channel.send, message, now)
    now = _now_after(place, now, started)
    if isinstance(attempt, Exception):
        attempt = Attempt(DeliveryOutcome.UNKNOWN, f"{type(attempt).__name__} while sending it")
    unknown = alert.unknown_attempts + (attempt.outcome is DeliveryOutcome.UNKNOWN)
    span.note(outcome=attempt.outcome.value)
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
    _note_attempt(place, hand, verdict, unknown, now, attempt.detail)


class _LeaseLost(Exception):
    """Another courier has the alert."""


def _message(place: Workplace, claimed: ClaimedAlert, now: datetime) -> Message | None:
    """What to say, once no failover takes it back; None where nobody waits any more. The record decides, as it is now."""
    alert = claimed.alert
    if alert.kind.is_about_system:
        if place.store.outbox.confirm(claimed, None) is Result.GONE:
            raise _LeaseLost
        return compose_system(alert, _SYSTEM_HEADLINES.get(alert.kind, "A test of this destination"))
    for _ in range(MAX_ROUNDS):
        lead = place.store.leads.get(alert.lead_id)
        if lead is None or not lead.is_open:
            return None
        match place.store.outbox.confirm(claimed, lead):
            case Result.APPLIED:
                return _about(place, alert, lead, now)
            case Result.GONE:
                raise _LeaseLost
    raise Contended(alert.lead_id)


def _about(place: Workplace, alert: Alert, lead: Lead, now: datetime) -> Message:
    rulebook = place.config.rulebook
    url = f"{place.public_url}/v1/leads/{lead.id}" if place.public_url else ""
    return compose(
        alert, lead, rulebook.teams.get(lead.team), rulebook.taxonomy.source(lead.source).label, url, now
    )


_SYSTEM_HEADLINES = {
    AlertKind.CONTRADICTION: "Something does not add up",
    AlertKind.QUARANTINED: "A lead cannot be worked on and was put aside",
    AlertKind.STAGE_SILENT: "A part of speed-to-lead has stopped working",
    AlertKind.STAGE_BACK: "A part of speed-to-lead is working again",
}


def _note_attempt(
    place: Workplace,
    hand: InHand,
    verdict: Delivered | RetryAt | GiveUp,
    unknown: int,
    now: datetime,
    why_not: str = "",
) -> None:
    alert = hand.alert
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
    if _settle_alert(place, hand, settlement) is Result.STALE:
        log.warning("alert.lease_lost", lead_id=alert.lead_id, alert=alert.key)


def _now_after(place: Workplace, then: datetime, started: float) -> datetime:
    """The server's time; where it is away, what it was `then` and what has passed since."""
    try:
        return place.store.now()
    except StoreUnavailable:
        return then + timedelta(seconds=time.monotonic() - started)


def _settle_alert(place: Workplace, hand: InHand, settlement: AlertSettlement) -> Result:
    """Note what came of an attempt; a store that is away for a while must not make a delivered alert go out again."""
    began = time.monotonic()
    while True:
        try:
            return place.store.outbox.settle(hand.claimed, settlement)
        except StoreUnavailable:
            if time.monotonic() - began >= (NOTE_SECONDS if hand.go_on() else LAST_NOTE_SECONDS):
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
    meanwhile, again. Whoever asked is told only what no failover takes back, also where it was so already: it may be
    the repeat of a call that was answered 503. Raises UnknownLead, Contended, StoreUnavailable, and whatever
    `decide` raises.
    """
    for _ in range(MAX_ROUNDS):
        begun = tracing.clock()
        lead = place.store.leads.get(lead_id)
        if lead is None:
            known = place.store.queue.lead_of([lead_id]).get(lead_id)
            lead = place.store.leads.get(known) if known else None
        if lead is None:
            raise UnknownLead(lead_id)
        change = decide(lead, place.store.now())
        if change is None:
            if place.store.leads.confirm(lead) is Result.APPLIED:
                return lead, False
            continue
        if place.store.leads.change([change], confirmed=True)[0] is Result.APPLIED:
            _tell_change("respond", change, begun)
            return change.lead, True
    raise Contended(lead_id)


# --- signs of life ---------------------------------------------------------------------------------------------

#: A stage gives a sign of life each second; one silent for this many seconds is not working.
SILENT_AFTER = 15.0


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
