"""Deliver: did they hear us? Couriers ask; the answer is delivered, tried again later, or given up loudly."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import inf

import structlog

from speed_to_lead import tracing
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.delivery import MAX_ATTEMPTS, Attempt, Delivered, GiveUp, RetryAt, after_attempt
from speed_to_lead.core.delivery import Outcome as DeliveryOutcome
from speed_to_lead.core.escalation import fallback_of
from speed_to_lead.core.lead import Alert, AlertKind, HistoryEntry, Lead
from speed_to_lead.core.message import Message, compose, compose_system
from speed_to_lead.destinations import Channel
from speed_to_lead.destinations.channel import SEND_SECONDS
from speed_to_lead.flow.contention import MAX_ROUNDS, Contended
from speed_to_lead.flow.isolation import answer_or_error
from speed_to_lead.store import ClaimedAlert, Result, StoreUnavailable
from speed_to_lead.store.contract import LOCKED_PAUSE, AlertSettlement, LockedRecord
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

#: How long a courier may hold an alert: longer than one send may take in all (destinations.channel.SEND_SECONDS).
LEASE = timedelta(seconds=20)
#: A courier that has not begun to send this long after it asked for its lease anew, which it does last of all (it was
#: stopped, or the answer took so long), leaves the alert to others: it might send after its lease is over, and what it
#: read of the lead is old.
BEGIN_WITHIN = LEASE - timedelta(seconds=SEND_SECONDS + 1)
#: An alert left to others is due again after this, so that a store that is that slow is not asked without a pause.
RETURN_PAUSE = timedelta(seconds=1)
#: How long the note of an attempt is tried while the store is away, and how often: longer than any lease, for nobody can
#: take an alert over while the store is away, and whoever notes it first afterwards keeps it from going out again.
NOTE_SECONDS = 120.0
NOTE_EVERY = 0.1
#: A process that stops has less time than that, from when it was asked to.
LAST_NOTE_SECONDS = 4.0
#: So long, in seconds, a courier counts on from what the server said its time was. Much less than `BEGIN_WITHIN` leaves to
#: spare, for counted on from a slow answer it may be so much ahead, and see another's lease as over; and little, because
#: a server's clock that is set forward meanwhile makes leases look over that are not (docs/reliability.md, "Twice").
TIME_LASTS = 0.2
_NEVER = datetime.min.replace(tzinfo=UTC)
#: Alerts on their way to one destination at a time.
AT_ONCE = 4


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
    clock = _ServerClock(place)
    while go_on():
        asked_at = time.monotonic()
        now = clock.at(asked_at)
        claimed = place.store.outbox.claim(destination, now, LEASE, at_once=AT_ONCE)
        if claimed is None:
            break
        settled += 1
        _deliver_one(place, InHand(claimed, now, asked_at, go_on), now)
    return settled


@dataclass(slots=True)
class _ServerClock:
    """The server's time, asked for once a second and counted on between: a courier that asked for each alert asks twice.

    A second by both of our clocks: the monotonic one stands still while a machine sleeps, and a lease dated as it was before
    is over at once.
    """

    place: Workplace
    asked_at: float = -inf
    asked_on: datetime = _NEVER  # by our wall clock
    answer: datetime = _NEVER

    def at(self, instant: float) -> datetime:
        """The server's time at that monotonic instant, which is now."""
        wall = datetime.now(UTC)
        slept = abs(wall - self.asked_on) >= timedelta(seconds=TIME_LASTS)
        if slept or instant - self.asked_at >= TIME_LASTS:
            self.asked_at, self.asked_on = instant, wall
            self.answer = self.place.store.now()
        return self.answer + timedelta(seconds=instant - self.asked_at)


@dataclass(frozen=True, slots=True)
class InHand:
    """An alert in a courier's hands; `go_on` turns false when the process stops.

    `claimed_at` is the server's time at `asked_at` (monotonic).
    """

    claimed: ClaimedAlert
    claimed_at: datetime
    asked_at: float
    go_on: Callable[[], bool] = lambda: True

    @property
    def alert(self) -> Alert:
        """What is to be delivered."""
        return self.claimed.alert

    def server_time(self, instant: float) -> datetime:
        """The server's time at that monotonic instant, or a little later (the way of its answer): without asking it."""
        return self.claimed_at + timedelta(seconds=instant - self.asked_at)


def _deliver_one(place: Workplace, hand: InHand, now: datetime) -> None:
    alert = hand.alert
    if hand.claimed.is_unreadable:
        known = replace(hand, claimed=replace(hand.claimed, alert=_as_far_as_known(place, alert)))
        _note_attempt(place, known, GiveUp("its alert cannot be read"), alert.unknown_attempts, now)
        return
    if why := _why_not_again(place, alert):
        _note_attempt(place, hand, GiveUp(why), alert.unknown_attempts, now)
        return
    try:
        # Whoever decided it may have it from a config that was published a moment ago.
        if alert.destination not in place.config.destinations:
            place.keep_up(wait=True)
        channel = place.channel(alert.destination)
        ready = answer_or_error(_ready, place, hand, now)
    except StoreUnavailable:
        # Away, or too few replicas hold the decision: nobody may be told of what a failover could still take back.
        # Nothing was sent, so it does not count as an attempt.
        _settle_alert(place, hand, AlertSettlement("returned", now, alert.unknown_attempts))
        raise
    if ready is None:
        entry = HistoryEntry(now, "alert.cancelled", {"step": alert.step, "to": alert.destination})
        _settle_alert(place, hand, AlertSettlement("cancelled", now, alert.unknown_attempts, entry))
        log.info("alert.cancelled", lead_id=alert.lead_id, step=alert.step, destination=alert.destination)
        return
    if isinstance(ready, (_LeaseLost, LockedRecord)):
        _leave(place, hand, ready, now)
        return
    if isinstance(ready, Exception):
        why = f"{type(ready).__name__} while writing it"
        _note_attempt(place, hand, GiveUp(why), alert.unknown_attempts, now)
        return
    message = ready.message
    begun_at = time.monotonic()
    if begun_at >= ready.send_before:  # frozen, or the store stalled: another courier may have it by now
        log.warning("alert.not_begun", lead_id=alert.lead_id, alert=alert.key)
        again_at = hand.server_time(begun_at) + RETURN_PAUSE
        _settle_alert(place, hand, AlertSettlement("returned", again_at, alert.unknown_attempts))
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


def _leave(place: Workplace, hand: InHand, why: "_LeaseLost | LockedRecord", now: datetime) -> None:
    """Leave the alert to who has it, or has the key for its lead. Nothing was sent, so it is no attempt."""
    alert = hand.alert
    if isinstance(why, LockedRecord):
        log.warning("alert.locked", lead_id=alert.lead_id, alert=alert.key)
        later = AlertSettlement("returned", now + LOCKED_PAUSE, alert.unknown_attempts)
        _settle_alert(place, hand, later)
    else:
        log.warning("alert.lease_lost", lead_id=alert.lead_id, alert=alert.key)


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
    attempt = answer_or_error(channel.send, message, now)
    if isinstance(attempt, Exception):
        attempt = Attempt(DeliveryOutcome.UNKNOWN, f"{type(attempt).__name__} while sending it")
    if attempt.outcome is DeliveryOutcome.DELIVERED:  # nothing depends on it, so the server is not asked
        now = hand.server_time(time.monotonic())
    else:
        now = _now_after(place, now, started)
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


def _why_not_again(place: Workplace, alert: Alert) -> str:
    """Why an alert is given up without another try, or nothing."""
    if alert.attempts > MAX_ATTEMPTS:  # leases that ran out are attempts too
        return f"{alert.attempts - 1} couriers stopped while they sent it"
    if alert.unknown_attempts > 1 and not place.channel(alert.destination).recognises_repeats:
        return "it may have arrived twice already, and another try could double it again"
    return ""


def _as_far_as_known(place: Workplace, alert: Alert) -> Alert:
    """An alert of which only the key can be read, with what its lead's record says; so its manager hears of the lead."""
    lead = answer_or_error(place.store.leads.get, alert.lead_id)
    if lead is None:
        return alert  # about the system
    if isinstance(lead, Exception):
        return replace(alert, kind=AlertKind.QUARANTINED)  # that tells the lead's id without its record
    if lead.is_nurtured:
        return replace(alert, kind=AlertKind.NURTURED)
    kind = AlertKind.REMINDER if lead.breached_at is None else AlertKind.BREACHED
    return replace(alert, kind=kind, team=lead.team, rep=lead.rep)


class _LeaseLost(Exception):
    """Another courier has the alert."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """What to say, and until when (monotonic) one may begin to: after that the lease could end before the send does."""

    message: Message
    send_before: float


def _ready(place: Workplace, hand: InHand, now: datetime) -> _Ready | None:
    """What to say, once no failover takes it back; None where nobody waits any more. The record decides, as it is now.

    Confirming renews the lease, so that a store that took seconds for each answer until here leaves time to send.
    """
    alert = hand.alert
    if alert.kind.is_about_system:
        result, send_before = _confirm(place, hand, None)
        if result is Result.GONE:
            raise _LeaseLost
        message = compose_system(alert, _SYSTEM_HEADLINES.get(alert.kind, "A test of this destination"))
        return _Ready(message, send_before)
    for _ in range(MAX_ROUNDS):
        lead = place.store.leads.get(alert.lead_id)
        if lead is None or not (lead.is_open or alert.kind is AlertKind.NURTURED):
            return None
        result, send_before = _confirm(place, hand, lead)
        match result:
            case Result.APPLIED:
                return _Ready(_about(place, alert, lead, now), send_before)
            case Result.GONE:
                raise _LeaseLost
    raise Contended(alert.lead_id)


def _confirm(place: Workplace, hand: InHand, lead: Lead | None) -> tuple[Result, float]:
    """Confirm what was read and renew the lease; and until when (monotonic) one may begin to send."""
    began = time.monotonic()
    result = place.store.outbox.confirm(hand.claimed, lead, hand.server_time(began) + LEASE)
    return result, began + BEGIN_WITHIN.total_seconds()


def _about(place: Workplace, alert: Alert, lead: Lead, now: datetime) -> Message:
    rulebook = place.config.rulebook
    url = f"{place.public_url}/v1/leads/{lead.id}" if place.public_url else ""
    return compose(
        alert, lead, rulebook.teams.get(lead.team), rulebook.taxonomy.source(lead.source).label, url, now
    )


_SYSTEM_HEADLINES = {
    AlertKind.CONTRADICTION: "Something does not add up",
    AlertKind.FORM_SILENT: "A form has gone silent",
    AlertKind.SOURCE_QUIET: "A source brings no leads any more",
    AlertKind.DEAD_LETTERS: "Submissions could not be read",
    AlertKind.WEBHOOK_MISSED: "A form's webhook did not bring what was sent to it",
    AlertKind.SIGNATURES_REFUSED: "A form refuses what is sent to it",
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
    stopped_at: float | None = None
    while True:
        try:
            return place.store.outbox.settle(hand.claimed, settlement)
        except StoreUnavailable:
            passed = time.monotonic()
            if stopped_at is None and not hand.go_on():
                stopped_at = passed
            if stopped_at is None:
                is_over = passed - began >= NOTE_SECONDS
            else:
                is_over = passed - stopped_at >= LAST_NOTE_SECONDS
            if is_over:
                raise
        time.sleep(NOTE_EVERY)
