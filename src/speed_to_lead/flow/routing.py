"""Route: same person? which team, rep, deadline? Routers ask; the answer is a lead, or a touch, duplicate, test, dead letter."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

import structlog

from speed_to_lead import forms, tracing
from speed_to_lead.core.flags import (
    OVER_RATE,
    OVER_RATE_HEADER,
    REPEATED,
    REPEATED_FROM,
    repeats_of,
    with_flags,
)
from speed_to_lead.core.lookup import LookedUp
from speed_to_lead.core.owner import COMPANY_DEPTH
from speed_to_lead.core.routing import Route
from speed_to_lead.core.settlement import (
    Admit,
    Await,
    Bury,
    CloseFirst,
    Drop,
    Join,
    Reading,
    Settlement,
    Split,
    SubmissionFacts,
    can_wait,
    companies_of,
    route_of_reading,
    settlement_of,
)
from speed_to_lead.core.submission import UnreadableSubmission
from speed_to_lead.flow.changes import tell_change, with_follow_ups
from speed_to_lead.flow.contention import MAX_ROUNDS
from speed_to_lead.flow.isolation import answer_or_error
from speed_to_lead.flow.lookups import looked_up
from speed_to_lead.store import Lane, QueueEntry, Result, StoreUnavailable
from speed_to_lead.store.contract import LockedRecord
from speed_to_lead.workplace import Workplace

if TYPE_CHECKING:
    from speed_to_lead.core.lead import Lead, LeadChange

log = structlog.get_logger()

#: Submissions one router takes at once. A full batch means that there are more.
ROUTE_BATCH = 800
#: A router finds the routes of so many while the server writes those before them.
ROUTED_AT_ONCE = 50
#: A flood is more than so many behind a full batch: about four seconds of one router's work, and less of two. Below that
#: overtaking brings nobody anything, and sorting would only delay all.
FLOOD = 10_000
#: In a flood a router looks at so many more at once, and puts off those whose deadline is further away than
#: PATIENCE. Sorting one costs a sixth of settling it, so who is in a hurry is found before most others are settled.
LOOK_AHEAD = 600
#: Floods are minutes of work. What is due within the hour may have a step of its ladder within minutes; what is due
#: later has not: there is time to route it, and for somebody to answer it.
PATIENCE = timedelta(hours=1)
#: While the flood lasts a router settles so many of those put off with each look ahead: one for 28 that it takes then.
#: So they never stand still, and sorting is hardly slower.
PATIENT_SHARE = 50
#: A router that has not settled an entry for this long is taken for dead.
RECLAIM_AFTER = timedelta(seconds=5)
#: An entry handed out this often is routed alone; one handed out more than MAX_DELIVERIES times is buried.
ISOLATE_AFTER = 3
MAX_DELIVERIES = 6
#: Batches of left-behind entries in one call; isolated entries are a batch each.
RECLAIMS = 50


@dataclass(frozen=True, slots=True)
class Routed:
    """What one call routed. `is_full`: there may be more waiting. `has_alerts`: the courier has something to do."""

    settled: int = 0
    is_full: bool = False
    has_alerts: bool = False


def route(place: Workplace, consumer: str, *, reclaim: bool = False) -> Routed:
    """Route the submissions that wait: 1 take them, 2 read them, 3 decide, 4 write each in one piece.

    In a flood (more than FLOOD behind a full batch) those that can wait are put off first, into the patient lane. That
    one gets its turn after the others: a full batch where nothing else is left, its share where there is.

    With `reclaim` also those that a dead router left behind. Whatever cannot be read or decided becomes a dead
    letter, and the others go on. What needs a key that this process does not have is left to a router that has it.
    """
    read: dict[str, Reading] = {}
    fresh, are_more = _take(place, consumer, read)
    outcome = _settle_entries(place, consumer, fresh, read)
    turn = PATIENT_SHARE if are_more else ROUTE_BATCH
    patient = place.store.queue.take(consumer, turn, Lane.PATIENT)
    outcome = _both(outcome, _settle_entries(place, consumer, patient))
    for _ in range(RECLAIMS if reclaim else 0):
        left_behind = place.store.queue.reclaim(
            consumer, RECLAIM_AFTER, ROUTE_BATCH, isolate_after=ISOLATE_AFTER
        )
        if not left_behind:
            break
        outcome = _both(outcome, _settle_entries(place, consumer, left_behind))
    return replace(outcome, is_full=outcome.is_full or are_more or len(patient) == turn)


def _both(one: Routed, other: Routed) -> Routed:
    return Routed(
        one.settled + other.settled, one.is_full or other.is_full, one.has_alerts or other.has_alerts
    )


def _take(place: Workplace, consumer: str, read: dict[str, Reading]) -> tuple[list[QueueEntry], bool]:
    """The entries to settle now, and whether there are more behind them. In a flood those that can wait were put off.

    What had to be read for that is in `read`, so that it is not read again to be settled.
    """
    queue = place.store.queue
    taken = queue.take(consumer, ROUTE_BATCH)
    if len(taken) < ROUTE_BATCH:
        return taken, False
    try:
        behind = queue.untaken()
        if behind <= FLOOD:
            return taken, behind > 0
        looked_at = queue.take(consumer, LOOK_AHEAD)
        taken += looked_at
        put_off = queue.postpone(_able_to_wait(place, taken, read))
    except StoreUnavailable:
        _give_back(place, consumer, taken)
        raise
    log.info("submissions.put_off", taken=len(taken), put_off=len(put_off))
    return [entry for entry in taken if entry.entry_id not in put_off], behind > len(looked_at)


def _able_to_wait(place: Workplace, taken: list[QueueEntry], read: dict[str, Reading]) -> list[QueueEntry]:
    """Those that may be put off. What raises here is settled now, and becomes a dead letter with its reason.

    What is known already is settled now too: by its turn in the lane, what it would be known by might be forgotten. So is
    whoever had a lead before where rules ask for touches: as a touch it may be due sooner than by the rules for itself.
    """
    until = place.store.now() + PATIENCE
    able: list[tuple[QueueEntry, Reading]] = []
    for entry in taken:
        if entry.is_locked:
            continue
        reading = _read(place, entry)
        if answer_or_error(can_wait, reading, until, place.config.rulebook) is True:
            able.append((entry, reading))
        elif not tracing.is_on():  # a trace stands in the headers, and begins when the entry is settled
            read[entry.entry_id] = reading
    known = place.store.queue.lead_of(name for _, reading in able for name in reading.names)
    people: dict[str, str] = {}
    if place.config.rulebook.asks_for_touches:
        people = place.store.leads.of_people([key for _, reading in able for key in reading.people])
    return [
        entry
        for entry, reading in able
        if known.keys().isdisjoint(reading.names) and people.keys().isdisjoint(reading.people)
    ]


def _give_back(place: Workplace, consumer: str, entries: list[QueueEntry]) -> None:
    """Not the submissions' fault, so it must not count against them. Where this fails too they are reclaimed."""
    with suppress(StoreUnavailable):
        place.store.queue.give_back(consumer, entries)


def _settle_entries(
    place: Workplace,
    consumer: str,
    entries: list[QueueEntry],
    read: Mapping[str, Reading] = MappingProxyType({}),
) -> Routed:
    """Settle these, a batch at a time. What was read of them already is in `read`."""
    outcome = Routed()
    for start in range(0, len(entries), ROUTE_BATCH):
        try:
            batch = _settle_batch(place, consumer, entries[start : start + ROUTE_BATCH], read)
        except StoreUnavailable:
            _give_back(place, consumer, entries[start:])
            raise
        outcome = _both(outcome, batch)
    return outcome


def _settle_batch(
    place: Workplace, consumer: str, entries: list[QueueEntry], read: Mapping[str, Reading]
) -> Routed:
    spans = {
        entry.entry_id: tracing.start("route", entry.submission.traceparent, lead_id=entry.submission.id)
        for entry in (entries if tracing.is_on() else ())
    }
    try:
        locked = {entry.entry_id for entry in entries if entry.is_locked}
        readings = [
            read.get(entry.entry_id) or _read(place, _within(spans.get(entry.entry_id), entry))
            for entry in entries
            if entry.entry_id not in locked
        ]
        if place.config.rulebook.asks_for_flags:
            readings = _flagged(place, readings)
        routed = _settle_readings(place, readings, spans, locked)
        _leave(place, consumer, [entry for entry in entries if entry.entry_id in locked])
        return routed
    finally:
        for span in spans.values():
            span.end()


def _flagged(place: Workplace, readings: list[Reading]) -> list[Reading]:
    """The same, with what only their arrival shows: said by many before, or come faster than their form may."""
    said = [
        (number, *one)
        for number, reading in enumerate(readings)
        if reading.parsed is not None and not reading.parsed.is_test
        for one in repeats_of(reading.submission, reading.parsed)
    ]
    places = place.store.queue.note_repeats([(who, key) for _, who, key in said], REPEATED_FROM)
    repeated = {number for (number, _, _), at in zip(said, places, strict=True) if at >= REPEATED_FROM}
    flagged = []
    for number, reading in enumerate(readings):
        flags = [REPEATED] if number in repeated else []
        if OVER_RATE_HEADER in reading.submission.headers:
            flags.append(OVER_RATE)
        if flags and reading.parsed is not None:
            parsed = replace(reading.parsed, lead=with_flags(reading.parsed.lead, flags))
            flagged.append(replace(reading, parsed=parsed))
        else:
            flagged.append(reading)
    return flagged


def _leave(place: Workplace, consumer: str, entries: list[QueueEntry]) -> None:
    """Not by this process, not now: after RECLAIM_AFTER any router may take them, and it does not count against them."""
    if not entries:
        return
    for entry in entries:
        log.warning("submission.locked", lead_id=entry.submission.id)
    place.store.queue.leave(consumer, entries)


def _within(span: tracing.Span | None, entry: QueueEntry) -> QueueEntry:
    """The entry as a part of its routing's trace: its lead remembers that one."""
    if span is None or not span.traceparent:
        return entry
    headers = {**entry.submission.headers, "traceparent": span.traceparent}
    return replace(entry, submission=replace(entry.submission, headers=headers))


def _settle_readings(
    place: Workplace, waiting: list[Reading], spans: Mapping[str, tracing.Span], locked: set[str]
) -> Routed:
    """Settle what can be settled; what asks for a lead that needs a missing key is added to `locked`."""
    settled, has_alerts, refused = 0, False, 0
    is_split = any(reading.parts for reading in waiting)  # then the parts wait in the queue now
    answers = looked_up(place, waiting)  # once, however often what they lead to is refused
    while waiting and refused < MAX_ROUNDS:
        done = set()
        for reading, settlement, result in _settle_round(place, waiting, locked, answers):
            if result in (Result.STALE, Result.GONE):
                continue
            done.add(reading.entry_id)
            if result is Result.APPLIED:
                _tell(settlement, spans.get(reading.entry_id))
                has_alerts = has_alerts or (
                    isinstance(settlement, (Admit, Join)) and bool(settlement.change.alerts)
                )
                if place.shadow is not None and isinstance(settlement, Admit):
                    place.shadow.note(reading, settlement.change.lead, settlement.team)
        settled += len(done)
        refused += not done
        done |= locked
        waiting = [reading for reading in waiting if reading.entry_id not in done]
    for reading in waiting:  # they stay pending, and are taken up again
        log.warning("submission.contended", lead_id=reading.submission.id)
    return Routed(settled, is_split, has_alerts)


def _settle_round(
    place: Workplace, readings: list[Reading], locked: set[str], answers: Mapping[str, LookedUp]
) -> list[tuple[Reading, Settlement, Result]]:
    """What was decided of each and what came of it. A decision is on its way while the next is made.

    The first change of each lead goes first, then the second of each, and so on. A second change was decided on what
    the first would make of the lead. Where the first is refused, so is the second, unsent: the version it expects may
    be there all the same, written by somebody else, and it would undo that. So it is with a lead whose company has
    another one in the same round: it was to follow that one's rep.
    """
    outcome: list[tuple[Reading, Settlement, Result]] = []
    refused: set[str] = set()
    to_close: list[CloseFirst] = []
    waiting = _decisions(place, readings, locked, answers, to_close)
    while True:
        sent: list[tuple[Reading, Settlement]] = []
        again: list[tuple[Reading, Settlement]] = []
        results = place.store.queue.settle(_first_of_each_lead(waiting, sent, again))
        for (reading, settlement), result in zip(sent, results, strict=True):
            outcome.append((reading, settlement, result))
            # Also where somebody else settled the entry: what they wrote is not what we went on from.
            if result is not Result.APPLIED and (lead_id := _lead_of(settlement)) is not None:
                refused.add(lead_id)
        if to_close:
            _close(place, to_close)
            to_close.clear()
        if not again:
            return outcome
        going_on: list[tuple[Reading, Settlement]] = []
        for one in again:
            if refused.isdisjoint(_made_on(one[1])):
                going_on.append(one)
                continue
            refused.update(_made_on(one[1])[:1])
            outcome.append((*one, Result.STALE))
        waiting = iter(going_on)


def _first_of_each_lead(
    waiting: Iterator[tuple[Reading, Settlement]],
    sent: list[tuple[Reading, Settlement]],
    again: list[tuple[Reading, Settlement]],
) -> Iterator[Settlement]:
    """Settlements, each noted in `sent`; what was decided on a change of one of them is put into `again`."""
    changed: set[str] = set()
    for one in waiting:
        leads = _made_on(one[1])
        is_first = changed.isdisjoint(leads)
        changed.update(leads[:1])
        if not is_first:
            again.append(one)
            continue
        sent.append(one)
        yield one[1]


def _close(place: Workplace, closing: list[CloseFirst]) -> None:
    """Close leads that make room for their person's new one. Where that is refused, it is decided again.

    Whoever was told of one hears that it is over. One whose history cannot be read is closed all the same: nobody else's
    lead may wait for it.
    """
    changes: list[LeadChange] = []
    for one in closing:
        change = answer_or_error(with_follow_ups, place, one.lead, one.change)
        if isinstance(change, Exception):
            log.error("lead.not_followed_up", lead_id=one.lead.id, error=type(change).__name__)
            change = one.change
        changes.append(change)
    for change, result in zip(changes, place.store.leads.change(changes), strict=True):
        if result is Result.APPLIED:
            tell_change("route", change, tracing.clock())


def _made_on(settlement: Settlement) -> tuple[str, ...]:
    """The lead that a settlement changes, and the newest of its company that it was decided on; either if any."""
    lead_id = _lead_of(settlement)
    if lead_id is None:
        return ()
    company = settlement.company if isinstance(settlement, (Admit, Join)) else None
    return (lead_id,) if company is None or company[1] is None else (lead_id, company[1])


def _lead_of(settlement: Settlement) -> str | None:
    """The lead a settlement changes, if any."""
    return settlement.change.lead.id if isinstance(settlement, (Admit, Join)) else None


def _read(place: Workplace, entry: QueueEntry) -> Reading:  # noqa: PLR0911 - one return for each thing that may be wrong
    submission = entry.submission
    if entry.deliveries > MAX_DELIVERIES:
        why = f"{entry.deliveries - 1} routers stopped while they worked on it"
        return Reading(entry.entry_id, submission, error=why)
    if entry.problem:
        return Reading(entry.entry_id, submission, error=entry.problem)
    form = place.form(submission.form)
    if form is None:  # a web process may know it already, from a config that was published a moment ago
        place.keep_up(wait=True)
        form = place.form(submission.form)
    if form is None:
        return Reading(entry.entry_id, submission, error=f'intake.toml has no form "{submission.form[:60]}"')
    try:
        parts = forms.split(submission, form)
        if parts:
            return Reading(entry.entry_id, submission, form, parts=parts)
        parsed = forms.read(submission, form)
    except UnreadableSubmission as error:
        return Reading(entry.entry_id, submission, form, error=str(error))
    except Exception as error:
        log.exception("submission.unreadable", lead_id=submission.id)
        why = f"{type(error).__name__} while reading it as {form.provider}"
        return Reading(entry.entry_id, submission, form, error=why)
    return Reading(entry.entry_id, submission, form, parsed)


def _decisions(
    place: Workplace,
    readings: list[Reading],
    locked: set[str],
    answers: Mapping[str, LookedUp],
    to_close: list[CloseFirst],
) -> Iterator[tuple[Reading, Settlement]]:
    """What becomes of each, decided when it is asked for, on the same facts and those before it.

    Three are left out: what asks for a lead that needs a missing key, which is added to `locked`; what repeats one of
    those before it, for as long as the store may refuse that one; and what is a lead only when its person's old one is
    closed, which is added to `to_close`.
    """
    store, rulebook = place.store, place.config.rulebook
    known = store.queue.lead_of(name for reading in readings for name in reading.names)
    by_person = store.leads.of_people([key for reading in readings for key in reading.people])
    companies: dict[str, str] = {}
    by_company: dict[str, str] | None = None
    if rulebook.keeps_companies:
        companies = companies_of(readings, rulebook.spellings)
        by_company = store.leads.of_companies([key for key in companies.values() if key])
    wanted = {*by_person.values(), *(by_company or {}).values()}
    records = _records(place, {*wanted, *(reading.submission.id for reading in readings)})
    # Hardly any id is taken, so the other one is hardly ever asked for.
    taken = [reading for reading in readings if records.get(reading.submission.id) is not None]
    records |= _records(place, {reading.other_id for reading in taken})
    facts = SubmissionFacts(
        known,
        by_person,
        records,
        {},
        store.reps.tally(()),
        by_company=by_company,
        companies=companies,
        looked_up=answers,
    )
    for _ in range(COMPANY_DEPTH if by_company else 0):
        if not (behind := facts.behind_closed()):
            break
        records |= _records(place, behind)
    now = store.now()  # after the records: nothing stands in a history before what it was decided on
    for start in range(0, len(readings), ROUTED_AT_ONCE):
        some = readings[start : start + ROUTED_AT_ONCE]
        _note_routes(place, some, facts)
        for reading in some:
            if _needs_a_key(reading, facts):
                locked.add(reading.entry_id)
                continue
            settlement = answer_or_error(settlement_of, reading, facts, rulebook, now)
            if isinstance(settlement, Exception):
                kind = type(settlement).__name__
                log.error("submission.undecidable", lead_id=reading.submission.id, error=kind)
                settlement = Bury(
                    reading.entry_id, reading.submission, f"{kind} while deciding its route", now
                )
            if isinstance(settlement, CloseFirst):
                to_close.append(settlement)
            elif settlement is not None:
                yield reading, settlement


def _note_routes(place: Workplace, readings: list[Reading], facts: SubmissionFacts) -> None:
    """Add what the rules give these to the facts, and whose turn it is in teams that none before them came to."""
    routes = {
        reading.entry_id: answer_or_error(route_of_reading, reading, place.config.rulebook)
        for reading in readings
        if reading.parsed is not None
    }
    facts.routes.update(routes)
    asked = place.config.rulebook.teams_asked
    teams = {
        name
        for route in routes.values()
        if isinstance(route, Route) and not route.nurture
        for name in asked[route.team.name]
    }
    rotations = facts.tally.rotations
    rotations.update(place.store.leads.rotations(teams - rotations.keys()))


def _records(place: Workplace, ids: set[str]) -> "dict[str, Lead | Exception | None]":
    return dict(zip(ids, place.store.leads.get_many(list(ids)), strict=True))


def _needs_a_key(reading: Reading, facts: SubmissionFacts) -> bool:
    """Whether a record it must be decided on is locked: that person's open lead, or the lead it may be already.

    A new lead beside that one would give the person a second rep.
    """
    theirs = [facts.records.get(facts.by_person.get(person, "")) for person in reading.people]
    own = facts.records.get(reading.submission.id)
    if own is not None and isinstance(facts.records.get(reading.other_id), LockedRecord):
        return True
    return isinstance(own, LockedRecord) or any(
        isinstance(record, LockedRecord) and record.is_open for record in theirs
    )


def _tell(settlement: Settlement, span: tracing.Span | None) -> None:
    """Say in the log what was written, and in its trace where there is one."""
    if span is None:
        _log_settlement(settlement)
        return
    span.note(**_traced(settlement))
    with span.current():
        _log_settlement(settlement)


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
        case Split():
            return {"outcome": "split"}
        case Await():
            return {"outcome": "asked_for"}


def _log_settlement(settlement: Settlement) -> None:
    match settlement:
        case Admit(change=change):
            lead = change.lead
            log.info(
                "lead.routed", lead_id=lead.id, rule=lead.rule, team=lead.team, rep=lead.rep, sla=lead.sla
            )
        case Join(change=change) if any(entry.event == "lead.completed" for entry in change.history):
            log.info("lead.completed", lead_id=change.lead.id)
        case Split():
            log.info("submission.split", lead_id=settlement.submission_id, items=len(settlement.parts))
        case Await():
            log.info(
                "submission.asked_for", lead_id=settlement.submission.id, form=settlement.submission.form
            )
        case Join(change=change):
            log.info("lead.touched", lead_id=change.lead.id, touches=len(change.lead.touches))
            if any(entry.event == "lead.due_sooner" for entry in change.history):
                log.info("lead.due_sooner", lead_id=change.lead.id, sla=change.lead.sla)
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
