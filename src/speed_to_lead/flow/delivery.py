"""Deliver: did they hear us? Couriers ask; the answer is delivered, tried again later, or given up loudly."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import inf

import structlog

from speed_to_lead import tracing
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.delivery import (
    DISABLED_FOR,
    MAX_ATTEMPTS,
    PATIENCE,
    Attempt,
    Delivered,
    GiveUp,
    RetryAt,
    Trouble,
    after_attempt,
    told_of_disabled,
)
from speed_to_lead.core.delivery import Outcome as DeliveryOutcome
from speed_to_lead.core.escalation import fallback_of
from speed_to_lead.core.follow_up import follow_up_of
from speed_to_lead.core.lead import Alert, AlertKind, HistoryEntry
from speed_to_lead.core.message import Message, span_text
from speed_to_lead.destinations import Channel
from speed_to_lead.destinations.channel import SEND_SECONDS
from speed_to_lead.flow.isolation import answer_or_error
from speed_to_lead.flow.messages import message_for
from speed_to_lead.flow.storms import fold_storm, held_by_storm
from speed_to_lead.store import ClaimedAlert, Result, StoreUnavailable
from speed_to_lead.store.contract import LOCKED_PAUSE, AlertSettlement, Disabled, LockedRecord
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
    courier = _Courier(place, destination, _ServerClock(place), go_on)
    disabled = place.store.outbox.disabled([destination]).get(destination)
    while go_on():
        fold_storm(place, destination)
        hand = courier.next_alert()
        if hand is None:
            break
        settled += 1
        disabled = _deliver_one(place, hand, hand.claimed_at, disabled)
    courier.give_back()
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


@dataclass(slots=True)
class _Courier:
    """One courier of a destination. From its second alert on it leases the next in the exchange that notes the last.

    That halves its round trips in a burst, and changes nothing else: the lease comes after the note. Not where storms
    are folded, for what is folded must be in nobody's hands.
    """

    place: Workplace
    destination: str
    clock: _ServerClock
    go_on: Callable[[], bool]
    leases_ahead: bool = False
    ahead: "InHand | None" = None

    def next_alert(self) -> "InHand | None":
        """The one that is leased already, or else the first that is due."""
        if self.ahead is not None:
            hand, self.ahead = self.ahead, None
            return hand
        asked_at = time.monotonic()
        now = self.clock.at(asked_at)
        claimed = self.place.store.outbox.claim(self.destination, now, LEASE, at_once=AT_ONCE)
        if claimed is None:
            return None
        hand = InHand(claimed, now, asked_at, self.go_on, self if self.leases_ahead else None)
        known = self.place.config.destinations.get(self.destination)
        self.leases_ahead = known is None or known.digest is None
        return hand

    def settle(self, hand: "InHand", settlement: AlertSettlement) -> Result:
        """Note what came of an attempt, and lease the next alert."""
        asked_at = time.monotonic()
        now = self.clock.at(asked_at)
        result, claimed = self.place.store.outbox.settle_and_claim(
            hand.claimed, settlement, now, LEASE, at_once=AT_ONCE
        )
        if claimed is not None:
            self.ahead = InHand(claimed, now, asked_at, self.go_on, self)
        return result

    def give_back(self) -> None:
        """Leave what is leased to others, where this one stops before it began with it."""
        if self.ahead is not None:
            returned = AlertSettlement("returned", self.ahead.claimed_at, self.ahead.alert.unknown_attempts)
            _settle_alert(self.place, self.ahead, returned)


@dataclass(frozen=True, slots=True)
class InHand:
    """An alert in a courier's hands; `go_on` turns false when the process stops.

    `claimed_at` is the server's time at `asked_at` (monotonic). `courier` leases the next one where it notes this one.
    """

    claimed: ClaimedAlert
    claimed_at: datetime
    asked_at: float
    go_on: Callable[[], bool] = lambda: True
    courier: _Courier | None = None

    @property
    def alert(self) -> Alert:
        """What is to be delivered."""
        return self.claimed.alert

    def server_time(self, instant: float) -> datetime:
        """The server's time at that monotonic instant, or a little later (the way of its answer): without asking it."""
        return self.claimed_at + timedelta(seconds=instant - self.asked_at)


def _deliver_one(
    place: Workplace, hand: InHand, now: datetime, disabled: Disabled | None = None
) -> Disabled | None:
    """Deliver one alert; the destination's state, where it refuses for ever: the next one is not sent there."""
    alert = hand.alert
    if _is_settled_unsent(place, hand, disabled, now):
        return disabled
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
    if not isinstance(ready, _Ready):
        _note_not_sent(place, hand, ready, now)
        return None
    message = ready.message
    begun_at = time.monotonic()
    if begun_at >= ready.send_before:  # frozen, or the store stalled: another courier may have it by now
        log.warning("alert.not_begun", lead_id=alert.lead_id, alert=alert.key)
        again_at = hand.server_time(begun_at) + RETURN_PAUSE
        _settle_alert(place, hand, AlertSettlement("returned", again_at, alert.unknown_attempts))
        return None
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
        return _send_and_note(place, hand, channel, replace(ready, message=message), span, now)


def _note_not_sent(place: Workplace, hand: InHand, why: Exception | None, now: datetime) -> None:
    """Nobody waits any more; somebody else has the alert, or the key for its lead; or it cannot be written."""
    alert = hand.alert
    if why is None:
        entry = HistoryEntry(now, "alert.cancelled", {"step": alert.step, "to": alert.destination})
        _settle_alert(place, hand, AlertSettlement("cancelled", now, alert.unknown_attempts, entry))
        log.info("alert.cancelled", lead_id=alert.lead_id, step=alert.step, destination=alert.destination)
    elif isinstance(why, (_LeaseLost, LockedRecord)):
        _leave(place, hand, why, now)
    else:
        error = f"{type(why).__name__} while writing it"
        _note_attempt(place, hand, GiveUp(error), alert.unknown_attempts, now)


def _is_settled_unsent(place: Workplace, hand: InHand, disabled: Disabled | None, now: datetime) -> bool:
    """Whether nobody is to be tried now: the alert is given up, or its destination wants quiet, and that is noted.

    Quiet comes before what the destination takes: whoever was to hear of it in the morning is not woken in its place.
    """
    alert = hand.alert
    if hand.claimed.is_unreadable:
        known = replace(hand, claimed=replace(hand.claimed, alert=_as_far_as_known(place, alert)))
        _note_attempt(place, known, GiveUp("its alert cannot be read"), alert.unknown_attempts, now)
    elif why := _why_not_again(place, alert):
        _note_attempt(place, hand, GiveUp(why), alert.unknown_attempts, now)
    elif until := _quiet_until(place, alert, now):
        details = {
            "step": alert.step,
            "to": alert.destination,
            "kind": alert.kind.value,
            "until": to_iso(until),
        }
        entry = HistoryEntry(now, "alert.held", details)
        _settle_alert(place, hand, AlertSettlement("returned", until, alert.unknown_attempts, entry))
    elif why := _why_disabled(disabled, now) or _why_in_vain(place, hand, now):
        _note_attempt(place, hand, GiveUp(why), alert.unknown_attempts, now)
    elif until := held_by_storm(place, alert, now):
        _settle_alert(place, hand, AlertSettlement("returned", until, alert.unknown_attempts))
    else:
        return False
    return True


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
    ready: "_Ready",
    span: tracing.Span,
    now: datetime,
) -> Disabled | None:
    alert = hand.alert
    started = time.monotonic()
    attempt = answer_or_error(channel.send, ready.message, now)
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
    if attempt.left_out:  # no other attempt is made for them: the rest would hear twice
        log.warning(
            "alert.left_out",
            lead_id=alert.lead_id,
            alert=alert.key,
            destination=alert.destination,
            who=list(attempt.left_out),
        )
    trouble = None
    if isinstance(verdict, RetryAt):
        # Whoever says "not so fast" says it to all that comes after, too.
        trouble = Trouble(now, now, verdict.at if attempt.outcome is DeliveryOutcome.RATE_LIMITED else None)
    disabled = _disabled_by(place, alert, attempt, now)
    told_version = ready.told_version if place.follows_leads(alert.destination) else None
    _note_attempt(place, hand, verdict, unknown, now, attempt, trouble, told_version)
    return disabled


def _disabled_by(place: Workplace, alert: Alert, attempt: Attempt, now: datetime) -> Disabled | None:
    """The destination's state from now on, where it refused for ever; everybody concerned is told, once.

    The fallback itself is never disabled: nobody is left who could be told instead.
    """
    if not attempt.is_gone or alert.destination == place.fallback_destination:
        return None
    disabled = Disabled(now, now + DISABLED_FOR, attempt.detail)
    try:
        if place.store.outbox.disable(alert.destination, disabled) is Result.APPLIED:
            log.error("destination.disabled", destination=alert.destination, why=attempt.detail)
            teams = place.config.rulebook.teams.values()
            for told in told_of_disabled(
                alert.destination, teams, place.fallback_destination, disabled.why, now
            ):
                place.store.outbox.add(told, now)
    except StoreUnavailable as error:  # the alert's own note is what matters; the next refusal says it again
        log.warning("destination.not_disabled", destination=alert.destination, error=str(error))
    return disabled


def _why_not_again(place: Workplace, alert: Alert) -> str:
    """Why an alert is given up without another try, or nothing."""
    if alert.attempts > MAX_ATTEMPTS:  # leases that ran out are attempts too
        return f"{alert.attempts - 1} couriers stopped while they sent it"
    if alert.unknown_attempts > 1 and not place.channel(alert.destination).recognises_repeats:
        return "it may have arrived twice already, and another try could double it again"
    return ""


def _quiet_until(place: Workplace, alert: Alert, now: datetime) -> datetime | None:
    """Until when the destination wants to hear nothing of that kind; whether anybody waits still is asked then."""
    destination = place.config.destinations.get(alert.destination)
    return destination.quiet_until(alert.kind, now) if destination is not None else None


def _why_disabled(disabled: Disabled | None, now: datetime) -> str:
    """Why an alert is given up that is not sent at all, or nothing. It is tried again once that time is over."""
    if disabled is None or disabled.until <= now:
        return ""
    return f"it is disabled since {to_iso(disabled.at)}, when it refused for ever: {disabled.why}"


def _why_in_vain(place: Workplace, hand: InHand, now: datetime) -> str:
    """Why an alert is given up although nobody tried now: its destination takes nothing, and another one may."""
    if not hand.claimed.is_in_vain:
        return ""
    fallback = _fallback(place, hand.alert, "", now)
    if fallback is None or place.store.outbox.in_trouble(fallback.destination, now):
        return ""
    return f"it has taken nothing for {span_text(PATIENCE)} or more"


def _fallback(place: Workplace, alert: Alert, why: str, now: datetime) -> Alert | None:
    if alert.kind is AlertKind.MOVED:
        return None  # nobody is called by it, so nobody else need hear it
    team = place.config.rulebook.teams.get(alert.team)
    return fallback_of(alert, team, place.fallback_destination, why, now)


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
    """What to say, and until when (monotonic) one may begin to: after that the lease could end before the send does.

    `told_version` is the version of the lead that it says it of; None where it is about no single lead.
    """

    message: Message
    send_before: float
    told_version: int | None


def _ready(place: Workplace, hand: InHand, now: datetime) -> _Ready | None:
    """What to say, once no failover takes it back; None where nobody waits any more. The record decides, as it is now.

    Confirming renews the lease, so that a store that took seconds for each answer until here leaves time to send.
    """
    alert = hand.alert
    began = time.monotonic()
    result, lead = place.store.outbox.confirm(hand.claimed, hand.server_time(began) + LEASE)
    if result is Result.GONE:
        raise _LeaseLost
    message = message_for(place, alert, lead, now)
    if message is None:
        return None
    return _Ready(message, began + BEGIN_WITHIN.total_seconds(), lead.version if lead else None)


def _note_attempt(
    place: Workplace,
    hand: InHand,
    verdict: Delivered | RetryAt | GiveUp,
    unknown: int,
    now: datetime,
    attempt: Attempt | None = None,
    trouble: Trouble | None = None,
    told_version: int | None = None,
) -> None:
    alert = hand.alert
    details: dict[str, object] = {"step": alert.step, "to": alert.destination, "attempt": alert.attempts}
    match verdict:
        case Delivered():
            if attempt is not None and attempt.handle:
                details["message"] = attempt.handle
            if attempt is not None and attempt.left_out:
                details["left_out"] = list(attempt.left_out)
            entry = HistoryEntry(now, "alert.delivered", details)
            also = follow_up_of(alert, now) if told_version is not None else None
            settlement = AlertSettlement("delivered", now, unknown, entry, also, told_version)
        case RetryAt(at=at):
            entry = HistoryEntry(
                now, "alert.failed", details | {"why": attempt.detail if attempt else "", "next": to_iso(at)}
            )
            settlement = AlertSettlement("retry", at, unknown, entry, trouble=trouble)
        case GiveUp(why=why):
            fallback = _fallback(place, alert, why, now)
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
            if hand.courier is not None and settlement.result == "delivered":
                return hand.courier.settle(hand, settlement)
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
