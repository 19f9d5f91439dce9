"""What does not add up: contradictions between a lead's record, its history, what points to it, and the promises.

Written on its own: what should be is worked out here from the record and the history in plain code, not asked of the
functions that are audited (a mistake in them would agree with itself). A look may catch things on their way, so a
contradiction is a suspicion until a second look finds the very same one (`speed_to_lead.auditor`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from speed_to_lead.core.assignment import Team
from speed_to_lead.core.lead import COMPLETED, HANDED_OUT, Alert, AlertKind, HistoryEntry, Lead

#: The clock sweeps every second; a lead this much past its instant is not late by a tick, it was missed.
OVERDUE_AFTER = timedelta(seconds=30)
#: No attempt is put off, and no lease lasts, for as long as this (`MAX_RETRY_AFTER`, `LEASE`, with room).
FARTHEST = timedelta(minutes=10)
#: Routers take up what another left behind after seconds; entries pending for so long are taken up by nobody.
PENDING_TOO_LONG = timedelta(minutes=5)


class Finding(StrEnum):
    """One kind of contradiction."""

    # of the deadline index
    NOT_INDEXED = "not_indexed"  # the record waits for an instant the index does not have
    INDEXED_WRONG = "indexed_wrong"  # the index has another instant than the record
    INDEXED_DONE = "indexed_done"  # the index has a lead that waits for nothing
    OVERDUE = "overdue"  # both agree, and nobody came
    # of the leads that wait for a rep
    WAITING_LOST = (
        "waiting_lost"  # a lead has no rep, and does not stand among those to be handed out, as what it is
    )
    WAITING_DONE = "waiting_done"  # one stands there that somebody has, or nobody is to have
    # of the sets of leads
    OPEN_UNLISTED = "open_unlisted"  # an open lead is not among the open ones
    DONE_LISTED = "done_listed"  # one that nobody waits for is
    UNLISTED = "unlisted"  # a lead is not in the list of all
    NO_RECORD = "no_record"  # a lead is listed that has no record
    UNREADABLE = "unreadable"  # a record that cannot be read, and is not in quarantine
    # of people and reps
    PERSON_LOST = "person_lost"  # an open lead's person is not found by their address
    PERSON_DANGLING = "person_dangling"  # a person's key points to no lead
    COMPANY_DANGLING = "company_dangling"  # a company's does
    TWO_OPEN = "two_open"  # one person has two open leads
    NO_REP = "no_rep"  # a lead has no rep and no word why
    LOAD_WRONG = "load_wrong"  # a rep's count of open leads is not the number of them
    # of alerts
    ALERT_LOST = "alert_lost"  # history says it was to be told, and it is nowhere
    ALERT_STRANDED = "alert_stranded"  # it is kept but stands in no outbox, so nobody claims it
    ALERT_EMPTY = "alert_empty"  # it stands in an outbox but is not kept
    ALERT_PUT_OFF = "alert_put_off"  # its next attempt is further away than any pause
    LEASE_STUCK = "lease_stuck"  # it is leased for longer than any lease
    OUTBOX_UNNAMED = "outbox_unnamed"  # no courier looks at its outbox
    # of the books
    LEDGER = "ledger"  # submissions do not add up
    PENDING = "pending"  # submissions that a router took and nobody takes up
    QUARANTINED = "quarantined"  # leads in quarantine

    @property
    def is_repaired(self) -> bool:
        """Whether it is repaired from what is known for certain; the others are told to somebody."""
        return self not in _RAISED

    @property
    def patience(self) -> timedelta:
        """How long after the first look the second one must still find it.

        Of a quarantine somebody hears when it begins; the auditor reminds them.
        """
        if self is Finding.QUARANTINED:
            return REMIND_AFTER
        return OVERDUE_AFTER if self in (Finding.OVERDUE, Finding.PENDING) else SECOND_LOOK_AFTER


#: Births, answers and alerts on their way take milliseconds.
SECOND_LOOK_AFTER = timedelta(seconds=3)
REMIND_AFTER = timedelta(days=1)

_RAISED = frozenset((
    Finding.OVERDUE, Finding.UNREADABLE, Finding.TWO_OPEN, Finding.NO_REP, Finding.LEDGER, Finding.PENDING,
    Finding.QUARANTINED,
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What was found about one thing: a lead, an alert, a rep, a person or the books.

    `seen` is what the look saw. Two looks that find equal contradictions saw the same, and nothing happened between.
    """

    finding: Finding
    subject: str
    seen: tuple[object, ...] = ()


# --- leads -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LeadFacts:
    """One lead and everything that points to it, as one look found it.

    `lead` is None where there is no record (or none that can be read: `is_readable`). `absent` are the alerts that
    should be under way, by history, and are nowhere. `people` is for each key of the person the lead it points to;
    `others_open` are those of these leads, other than this one, that are open. `waiting` is by which deadline and for
    which team it stands among those that wait for a rep.
    """

    lead_id: str
    lead: Lead | None = None
    is_readable: bool = True
    history: tuple[HistoryEntry, ...] = ()
    indexed_at: datetime | None = None
    in_open: bool = False
    in_all: bool = False
    absent: tuple["Told", ...] = ()
    people: Mapping[str, str | None] = field(default_factory=dict)
    others_open: frozenset[str] = frozenset()
    waiting: tuple[datetime, str] | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An alert that history says was to be told, and not yet what came of it."""

    step: str
    destination: str
    entry: HistoryEntry
    fallback_for: str = ""

    def key(self, lead_id: str) -> str:
        """The alert's key."""
        return f"{lead_id}:{self.step}:{self.destination}"


def waits_until(lead: Lead) -> datetime | None:
    """The instant an open lead must be looked at next: its earliest step not done, or its deadline not noted."""
    if lead.answered_at is not None or lead.closed_at is not None or lead.state != "open":
        return None
    earliest: datetime | None = None if lead.breached_at else lead.deadline
    for step in lead.steps:
        if step.name not in lead.steps_done and (earliest is None or step.at < earliest):
            earliest = step.at
    return earliest


def waits_for(lead: Lead) -> tuple[datetime, str] | None:
    """By which deadline, and of which team, a lead waits for a rep: an open one that nobody has; None for any other."""
    if lead.state == "open" and lead.rep is None:
        return lead.deadline, lead.team
    return None


def untold(history: tuple[HistoryEntry, ...]) -> tuple[Told, ...]:
    """The alerts that were decided and of which history does not say what came: they must be under way."""
    under_way: dict[tuple[str, str], Told] = {}
    for entry in history:
        for told in _told_by(entry):
            under_way[told.step, told.destination] = told
        if entry.event in ("alert.delivered", "alert.cancelled", "alert.given_up", "alert.folded"):
            under_way.pop((str(entry.details.get("step")), str(entry.details.get("to"))), None)
    return tuple(under_way.values())


def _told_by(entry: HistoryEntry) -> Iterator[Told]:
    told, step = entry.details.get("told"), str(entry.details.get("step", ""))
    if isinstance(told, Mapping):  # on receipt: each destination with its step
        for destination, its_step in told.items():
            yield Told(str(its_step), str(destination), entry)
    elif isinstance(told, list | tuple):
        for destination in told:
            yield Told(step, str(destination), entry)
    # A digest that was given up is told to the fallback as a whole, under its own key.
    if entry.event == "alert.given_up" and entry.details.get("fallback") and "digest" not in entry.details:
        base, _, first = step.partition("~")
        first = first or str(entry.details.get("to"))
        yield Told(f"{base}~{first}", str(entry.details["fallback"]), entry, fallback_for=first)


def audit_lead(facts: LeadFacts, now: datetime) -> tuple[Contradiction, ...]:
    """What does not add up about one lead."""
    lead = facts.lead
    if lead is None:
        found = []
        if not facts.is_readable:
            found.append(Finding.UNREADABLE)
        elif facts.in_open or facts.indexed_at is not None or facts.waiting is not None:
            found.append(Finding.NO_RECORD)
        return tuple(Contradiction(finding, facts.lead_id) for finding in found)
    seen = (lead.version, len(facts.history))
    contradictions = [
        Contradiction(finding, lead.id, seen)
        for finding in (_of_index(lead, facts.indexed_at, now), *_of_sets(lead, facts))
        if finding is not None
    ]
    if not lead.is_open:
        return tuple(contradictions)
    if lead.rep is None and not lead.trace:
        contradictions.append(Contradiction(Finding.NO_REP, lead.id, seen))
    contradictions += [
        Contradiction(Finding.ALERT_LOST, lead.id, (*seen, told.key(lead.id))) for told in facts.absent
    ]
    for key, points_to in facts.people.items():
        if points_to == lead.id:
            continue
        finding = Finding.TWO_OPEN if points_to in facts.others_open else Finding.PERSON_LOST
        contradictions.append(Contradiction(finding, lead.id, (*seen, key, points_to)))
    return tuple(contradictions)


def _of_index(lead: Lead, indexed_at: datetime | None, now: datetime) -> Finding | None:
    expected = waits_until(lead)
    if expected is None:
        return Finding.INDEXED_DONE if indexed_at is not None else None
    if indexed_at is None:
        return Finding.NOT_INDEXED
    if indexed_at != expected:
        return Finding.INDEXED_WRONG
    return Finding.OVERDUE if now - expected > OVERDUE_AFTER else None


def _of_sets(lead: Lead, facts: LeadFacts) -> Iterator[Finding]:
    if lead.is_open and not facts.in_open:
        yield Finding.OPEN_UNLISTED
    if not lead.is_open and facts.in_open:
        yield Finding.DONE_LISTED
    if not facts.in_all:
        yield Finding.UNLISTED
    if facts.waiting != (expected := waits_for(lead)):
        yield Finding.WAITING_DONE if expected is None else Finding.WAITING_LOST


@dataclass(frozen=True, slots=True)
class LeadRepair:
    """Everything one lead's repair writes, in one piece, and only where version and history are those looked at.

    `lead` is the record one version above: whatever else was decided on the old one is refused and decided again.
    `people` are the keys that are to point to it, each with what it pointed to.
    """

    lead: Lead
    history_length: int
    findings: tuple[Finding, ...]
    entry: HistoryEntry
    alerts: tuple[Alert, ...] = ()
    people: tuple[tuple[str, str | None], ...] = ()


def repair_of(
    facts: LeadFacts, confirmed: tuple[Contradiction, ...], team: Team | None, now: datetime
) -> LeadRepair | None:
    """What mends these contradictions of one lead; None where nothing of them is mended."""
    lead = facts.lead
    to_mend = [one for one in confirmed if one.finding.is_repaired and one.subject == facts.lead_id]
    if lead is None or not to_mend:
        return None
    findings = tuple(dict.fromkeys(one.finding for one in to_mend))
    lost = {str(one.seen[-1]) for one in to_mend if one.finding is Finding.ALERT_LOST}
    alerts = tuple(_alert_again(lead, told, team) for told in facts.absent if told.key(lead.id) in lost)
    people = {str(one.seen[2]) for one in to_mend if one.finding is Finding.PERSON_LOST}
    details: dict[str, object] = {"findings": [finding.value for finding in findings]}
    if alerts:
        details["alerts"] = [f"{alert.step}:{alert.destination}" for alert in alerts]
    return LeadRepair(
        replace(lead, version=lead.version + 1, next_at=waits_until(lead)),
        len(facts.history),
        findings,
        HistoryEntry(now, "audit.repaired", details),
        alerts,
        tuple((key, points_to) for key, points_to in facts.people.items() if key in people),
    )


_PUT_IN_AGAIN = "Its place among the alerts was lost and found again by the auditor."


def _alert_again(lead: Lead, told: Told, team: Team | None) -> Alert:
    """The lost alert under the same key: decided when it was decided, and said again from the record."""
    details = told.entry.details
    name = told.step.partition("~")[0]
    step = lead.step(name)
    rep = team.rep(lead.rep) if team is not None else None
    is_for_rep = rep is not None and rep.notify == told.destination
    had_it = (team.rep(one) for one in lead.reps_before) if team is not None else ()
    is_for_rep |= any(one is not None and one.notify == told.destination for one in had_it)
    if name == HANDED_OUT:
        kind = AlertKind.ASSIGNED
    elif name == COMPLETED:
        kind = AlertKind.REMINDER
    elif step is None or (step.reassign and is_for_rep):  # a step no ladder knows: somebody passed it on
        kind = AlertKind.REASSIGNED
    elif step.alert and not is_for_rep:
        kind = AlertKind.BREACHED if step.at >= lead.deadline else AlertKind.REMINDER
    else:
        kind = AlertKind.REMINDER if step.remind else AlertKind.ASSIGNED
    skipped = details.get("skipped")
    at = told.entry.at
    return Alert(
        lead.id,
        told.step,
        told.destination,
        kind,
        at,
        late_seconds=max((at - step.at).total_seconds(), 0.0) if step is not None else 0.0,
        skipped_steps=tuple(map(str, skipped)) if isinstance(skipped, list | tuple) else (),
        team=lead.team,
        rep=lead.rep,
        note=_PUT_IN_AGAIN,
        fallback_for=told.fallback_for,
    )


def dangling_finding(pointer: str) -> Finding:
    """What it is called that a pointer (`person:…`, `company:…`) points to no lead."""
    return Finding.PERSON_DANGLING if pointer.startswith("person:") else Finding.COMPANY_DANGLING


# --- alerts ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """Where one alert of the outbox stands. `is_named`: its destination is among those couriers look at."""

    key: str
    destination: str
    is_kept: bool = True
    due_at: datetime | None = None
    leased_until: datetime | None = None
    is_dead: bool = False
    is_named: bool = True


def audit_alert(facts: AlertFacts, now: datetime) -> Contradiction | None:
    """The first thing that does not add up about one alert; None where it will be claimed, or is rightly dead."""
    far = now + FARTHEST
    finding = None
    if facts.is_kept and facts.due_at is None:
        finding = None if facts.is_dead else Finding.ALERT_STRANDED
    elif not facts.is_kept and facts.due_at is not None:
        finding = Finding.ALERT_EMPTY
    elif facts.due_at is not None and facts.due_at > far:
        finding = Finding.ALERT_PUT_OFF
    elif facts.leased_until is not None and facts.leased_until > far:
        finding = Finding.LEASE_STUCK
    elif facts.due_at is not None and not facts.is_named:
        finding = Finding.OUTBOX_UNNAMED
    if finding is None:
        return None
    return Contradiction(finding, facts.key, (facts,))


# --- reps and books --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoadFacts:
    """A rep's count of open leads, and how often it was changed: equal changes at two looks, and nobody came or went."""

    load: Mapping[str, int]
    changes: Mapping[str, int]


def audit_load(before: LoadFacts, counted: Mapping[str, int], after: LoadFacts) -> tuple[Contradiction, ...]:
    """Reps whose count is not the number of their open leads, of those whose count did not change meanwhile."""
    return tuple(
        Contradiction(
            Finding.LOAD_WRONG,
            rep,
            (after.changes.get(rep, 0), after.load.get(rep, 0), counted.get(rep, 0)),
        )
        for rep in sorted({*counted, *after.load})
        if before.changes.get(rep, 0) == after.changes.get(rep, 0)
        and before.load.get(rep, 0) == after.load.get(rep, 0) != counted.get(rep, 0)
    )


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counts of submissions, all read at one instant. `dead_letters` counts the discarded ones too."""

    received: int
    leads: int
    touches: int
    duplicates: int
    tests: int
    dead_letters: int
    in_flight: int

    @property
    def difference(self) -> int:
        """Received minus everything accounted for; zero when the books balance (docs/reliability.md, 9)."""
        return self.received - (
            self.leads + self.touches + self.duplicates + self.tests + self.dead_letters + self.in_flight
        )


def audit_books(ledger: Ledger, pending: int, quarantined: int) -> tuple[Contradiction, ...]:
    """What does not add up about the system as a whole. `pending` are the entries pending for too long."""
    found = []
    if ledger.difference:
        found.append(Contradiction(Finding.LEDGER, Finding.LEDGER.value, (ledger.difference,)))
    if pending:  # how many does not matter: that some are, all the while
        found.append(Contradiction(Finding.PENDING, Finding.PENDING.value))
    if quarantined:
        found.append(Contradiction(Finding.QUARANTINED, Finding.QUARANTINED.value))
    return tuple(found)
