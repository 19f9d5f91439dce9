"""The store in memory: a second full implementation, for fast tests of decisions and for a look at what the first must do."""

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from speed_to_lead.core.assignment import Rotation
from speed_to_lead.core.audit import AlertFacts, Finding, LeadFacts, LeadRepair, Ledger, LoadFacts, untold
from speed_to_lead.core.clock import from_ms, to_ms
from speed_to_lead.core.lead import Alert, HistoryEntry, Lead, LeadChange, LeadState
from speed_to_lead.core.metrics import (
    counts_of_attempt,
    counts_of_change,
    counts_of_repeated_burial,
    counts_of_settlement,
)
from speed_to_lead.core.settlement import REMEMBER_KEY, Admit, Bury, DeadLetter, Drop, Join, Settlement
from speed_to_lead.core.submission import Submission, other_id, person_keys
from speed_to_lead.store.contract import (
    AlertSettlement,
    ClaimedAlert,
    DeadAlert,
    Erasure,
    Health,
    Held,
    HeldBatch,
    HeldKind,
    OutboxHealth,
    QueueEntry,
    Resealed,
    Result,
    ServerPolicy,
    UnreadableRecord,
)
from speed_to_lead.store.documents import (
    alert_document,
    alert_from,
    history_entry,
    history_line,
    lead_document,
)
from speed_to_lead.store.leads import fits
from speed_to_lead.store.operations import FORGET_PROCESS_AFTER
from speed_to_lead.store.queue import queue_entry, stream_fields


@dataclass
class _Pending:
    taken_at: datetime | None = None
    deliveries: int = 0


@dataclass
class _Waiting:
    alert: Alert
    next_at: datetime
    attempts: int = 0
    unknown: int = 0
    token: str = ""
    leased_until: datetime | None = None
    dead_at: datetime | None = None


@dataclass
class _State:
    clock: Callable[[], datetime]
    entries: dict[str, Mapping[bytes, bytes]] = field(default_factory=dict)
    pending: dict[str, _Pending] = field(default_factory=dict)
    added: int = 0
    seen: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    buried: dict[str, DeadLetter] = field(default_factory=dict)
    leads: dict[str, Lead] = field(default_factory=dict)
    history: dict[str, list[HistoryEntry]] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    due: dict[str, datetime] = field(default_factory=dict)
    rotations: dict[str, Rotation] = field(default_factory=dict)
    load: Counter[str] = field(default_factory=Counter)
    load_changes: Counter[str] = field(default_factory=Counter)
    listed: set[str] = field(default_factory=set)
    listed_open: set[str] = field(default_factory=set)
    told_until: dict[str, datetime] = field(default_factory=dict)
    ledger: Counter[str] = field(default_factory=Counter)
    metrics: Counter[str] = field(default_factory=Counter)
    alerts: dict[str, _Waiting] = field(default_factory=dict)
    quarantined: dict[str, str] = field(default_factory=dict)
    beats: dict[str, datetime] = field(default_factory=dict)
    hinted: set[str] = field(default_factory=set)
    erasures: list[Erasure] = field(default_factory=list)

    def change(self, change: LeadChange, settlement: Admit | Join | None) -> Result:
        lead, turn = change.lead, change.rotation
        people = settlement.people if isinstance(settlement, Admit) else ()
        refusal = self._refusal(change, settlement, people)
        if refusal is not None:
            return refusal
        self.leads[lead.id] = lead
        self.list(lead)
        self.history.setdefault(lead.id, []).extend(change.history)
        self.index(lead.id, lead.next_at)
        self.people.update((person, lead.id) for person, _ in people)
        if turn is not None:
            self.rotations[turn.team] = turn.applied_to(self.rotations.get(turn.team, Rotation()))
        self.ledger.update(change.counters)
        self.load.update(change.load)
        self.metrics.update(counts_of_settlement(settlement) if settlement else counts_of_change(change))
        self.load_changes.update(change.load.keys())
        for alert in change.alerts:
            self.alerts.setdefault(alert.key, _Waiting(alert, alert.decided_at))
        if settlement is not None:
            for seen in settlement.seen:
                self.seen[seen.key] = (lead.id, self.clock() + seen.remember)
            self.settled(settlement.entry_id)
        return Result.APPLIED

    def _refusal(
        self,
        change: LeadChange,
        settlement: Admit | Join | None,
        people: Sequence[tuple[str, str | None]],
    ) -> Result | None:
        if settlement is not None and settlement.entry_id not in self.entries:
            return Result.SETTLED
        known = self.leads.get(change.lead.id)
        if (known.version if known else 0) != change.lead.version - 1:
            return Result.STALE if known else Result.GONE
        if settlement is not None and any(self.lead_seen(seen.key) is not None for seen in settlement.seen):
            return Result.STALE
        if any(self.people.get(person) != expected for person, expected in people):
            return Result.STALE
        turn = change.rotation
        if turn is not None and self.rotations.get(turn.team, Rotation()).version != turn.version:
            return Result.STALE
        return None

    def index(self, lead_id: str, next_at: datetime | None) -> None:
        if next_at is None:
            self.due.pop(lead_id, None)
        else:
            self.due[lead_id] = next_at

    def list(self, lead: Lead) -> None:
        self.listed.add(lead.id)
        if lead.is_open:
            self.listed_open.add(lead.id)
        else:
            self.listed_open.discard(lead.id)

    def lead_seen(self, key: str) -> str | None:
        lead_id, until = self.seen.get(key, ("", self.clock()))
        return lead_id if until > self.clock() else None

    def settled(self, entry_id: str) -> None:
        del self.entries[entry_id]
        self.pending.pop(entry_id, None)


class MemoryQueue:
    """Submissions in memory."""

    def __init__(self, state: _State) -> None:
        self._state = state

    def add(self, submission: Submission) -> None:
        """Store one submission."""
        self._state.added += 1
        fields = {_bytes(name): _bytes(value) for name, value in stream_fields(submission).items()}
        self._state.entries[f"{to_ms(self._state.clock())}-{self._state.added}"] = fields

    def take(self, consumer: str, limit: int) -> list[QueueEntry]:
        """Entries nobody has taken yet."""
        del consumer
        fresh = [entry_id for entry_id in self._state.entries if entry_id not in self._state.pending]
        return [self._hand_out(entry_id) for entry_id in fresh[:limit]]

    def reclaim(self, consumer: str, idle: timedelta, limit: int, *, isolate_after: int) -> list[QueueEntry]:
        """Entries left behind."""
        del consumer
        now = self._state.clock()
        stale = [
            entry_id
            for entry_id, pending in self._state.pending.items()
            if pending.taken_at is not None and now - pending.taken_at >= idle
        ][:limit]
        calm = [entry_id for entry_id in stale if self._state.pending[entry_id].deliveries < isolate_after]
        return [self._hand_out(entry_id) for entry_id in (calm or stale[:1])]

    def give_back(self, consumer: str, entries: Sequence[QueueEntry]) -> None:
        """Anybody may take them at once."""
        del consumer
        for entry in entries:
            pending = self._state.pending.get(entry.entry_id)
            if pending is not None:
                pending.deliveries = entry.deliveries - 1
                pending.taken_at = datetime.min.replace(tzinfo=UTC)

    def forget_consumers(self, idle: timedelta) -> int:
        """Nobody is remembered here."""
        del idle
        return 0

    def settle(self, settlements: Sequence[Settlement]) -> list[Result]:
        """Write what became of the entries."""
        return [self._settle(settlement) for settlement in settlements]

    def lead_of(self, keys: Iterable[str]) -> dict[str, str]:
        """What submissions with these keys became."""
        found = {key: self._state.lead_seen(key) for key in keys}
        return {key: lead_id for key, lead_id in found.items() if lead_id is not None}

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """The newest dead letters."""
        newest = sorted(
            self._state.buried.values(), key=lambda d: (to_ms(d.at), d.submission.id), reverse=True
        )
        return newest[:limit]

    def dead_letter(self, submission_id: str) -> DeadLetter | None:
        """One dead letter."""
        return self._state.buried.get(submission_id)

    def replay(self, submission_id: str) -> Result:
        """Back into the queue."""
        letter = self._state.buried.pop(submission_id, None)
        if letter is None:
            return Result.GONE
        self.add(letter.submission)
        self._state.ledger.update({"dead_letters": -1, "replayed": 1})
        return Result.APPLIED

    def discard(self, submission_id: str) -> Result:
        """Gone for good."""
        if self._state.buried.pop(submission_id, None) is None:
            return Result.GONE
        self._state.ledger["discarded"] += 1
        return Result.APPLIED

    def _hand_out(self, entry_id: str) -> QueueEntry:
        pending = self._state.pending.setdefault(entry_id, _Pending())
        pending.taken_at = self._state.clock()
        pending.deliveries += 1
        now_ms = to_ms(self._state.clock())
        return queue_entry(entry_id.encode(), self._state.entries[entry_id], now_ms, pending.deliveries)

    def _settle(self, settlement: Settlement) -> Result:
        state = self._state
        if settlement.entry_id not in state.entries:
            return Result.SETTLED
        match settlement:
            case Admit() | Join():
                return state.change(settlement.change, settlement)
            case Drop():
                state.ledger[settlement.kind] += 1
                state.metrics.update(counts_of_settlement(settlement))
                if settlement.lead_id:
                    state.seen[settlement.submission_id] = (settlement.lead_id, state.clock() + REMEMBER_KEY)
                answer = Result.APPLIED
            case Bury():
                submission = settlement.submission
                kept = state.buried.get(submission.id)
                if kept is not None and kept.submission.body != submission.body:
                    submission = replace(submission, id=other_id(submission))
                    kept = state.buried.get(submission.id)
                known = kept is not None
                state.ledger["duplicates" if known else "dead_letters"] += 1
                counts_of = counts_of_repeated_burial if known else counts_of_settlement
                state.metrics.update(counts_of(settlement))
                state.buried.setdefault(
                    submission.id, DeadLetter(submission, settlement.error, settlement.at)
                )
                answer = Result.KNOWN if known else Result.APPLIED
        state.settled(settlement.entry_id)
        return answer


class MemoryLeads:
    """Lead records in memory."""

    def __init__(self, state: _State) -> None:
        self._state = state

    def get(self, lead_id: str) -> Lead | None:
        """The lead, or None."""
        return self._state.leads.get(lead_id)

    def get_many(self, lead_ids: Sequence[str]) -> list[Lead | UnreadableRecord | None]:
        """One answer for each id."""
        return [self._state.leads.get(lead_id) for lead_id in lead_ids]

    def history(self, lead_id: str) -> list[HistoryEntry]:
        """What happened to the lead."""
        return list(self._state.history.get(lead_id, ()))

    def newest(
        self,
        limit: int,
        *,
        state: LeadState | None = None,
        team: str | None = None,
        rep: str | None = None,
        before: str | None = None,
    ) -> tuple[list[Lead], str | None]:
        """Leads by receipt, newest first. The cursor is the place of the last lead answered."""
        places = sorted(
            ((to_ms(lead.received_at), lead.id) for lead in self._state.leads.values()), reverse=True
        )
        if before is not None:
            milliseconds, _, lead_id = before.partition(":")
            places = [place for place in places if place < (int(milliseconds), lead_id)]
        fitting = [p for p in places if fits(self._state.leads[p[1]], state, team, rep)]
        found = fitting[:limit]
        cursor = f"{found[-1][0]}:{found[-1][1]}" if len(fitting) > limit else None
        return [self._state.leads[lead_id] for _, lead_id in found], cursor

    def of_people(self, person_keys: Sequence[str]) -> dict[str, str]:
        """Each person's newest lead."""
        return {key: self._state.people[key] for key in person_keys if key in self._state.people}

    def rotations(self, teams: Iterable[str]) -> dict[str, Rotation]:
        """The rotation of each team."""
        return {team: self._state.rotations.get(team, Rotation()) for team in teams}

    def load(self) -> dict[str, int]:
        """Open leads by rep."""
        return {rep: n for rep, n in self._state.load.items() if n}

    def change(self, changes: Sequence[LeadChange], *, confirmed: bool = False) -> list[Result]:
        """Write changes to existing leads. What is in memory has no replicas, so there is nothing to wait for."""
        del confirmed
        return [self._state.change(change, None) for change in changes]

    def confirm(self, lead: Lead) -> Result:
        """Nothing to wait for."""
        del lead
        return Result.APPLIED

    def due(self, now: datetime, limit: int, skip: int = 0) -> list[str]:
        """Ids the index holds as due."""
        ordered = sorted((at, lead_id) for lead_id, at in self._state.due.items() if at <= now)
        return [lead_id for _, lead_id in ordered[skip : skip + limit]]

    def indexed_at(self, lead_ids: Sequence[str]) -> list[datetime | None]:
        """The index entry of each lead."""
        return [self._state.due.get(lead_id) for lead_id in lead_ids]

    def mend_index(self, lead_id: str, version: int, next_at: datetime | None) -> Result:
        """Make the index say what the record says."""
        known = self._state.leads.get(lead_id)
        if (known.version if known else 0) != version:
            return Result.STALE
        self._state.index(lead_id, next_at)
        return Result.APPLIED

    def quarantine(self, lead_id: str, error: str, alert: Alert | None = None) -> Result:
        """Out of the index, kept with its error."""
        self._state.due.pop(lead_id, None)
        known = lead_id in self._state.quarantined
        self._state.quarantined[lead_id] = error
        if known:
            return Result.KNOWN
        self._state.ledger["quarantined"] += 1
        if alert is not None:
            self._state.alerts.setdefault(alert.key, _Waiting(alert, alert.decided_at))
        return Result.APPLIED

    def release(self, lead_id: str) -> Result:
        """Out of quarantine."""
        return Result.GONE if self._state.quarantined.pop(lead_id, None) is None else Result.APPLIED

    def quarantined(self) -> dict[str, str]:
        """Leads in quarantine."""
        return dict(self._state.quarantined)

    def scan(self, cursor: str, limit: int) -> tuple[list[str], str]:
        """A batch of the open leads, in order of their ids."""
        ids = sorted(lead_id for lead_id in self._state.listed_open if lead_id > cursor)
        return ids[:limit], ids[limit - 1] if len(ids) > limit else ""


class MemoryOutbox:
    """Alerts in memory."""

    def __init__(self, state: _State) -> None:
        self._state = state

    def add(self, alert: Alert, due: datetime) -> Result:
        """Put an alert about the system into the outbox."""
        if alert.key in self._state.alerts:
            return Result.KNOWN
        self._state.alerts[alert.key] = _Waiting(alert, due)
        return Result.APPLIED

    def destinations_due(self, now: datetime) -> dict[str, int]:
        """Destinations with alerts due."""
        return dict(Counter(w.alert.destination for w in self._alive() if w.next_at <= now))

    def claim(
        self, destination: str, now: datetime, lease: timedelta, *, at_once: int
    ) -> ClaimedAlert | None:
        """Lease the first due alert of a destination."""
        mine = [w for w in self._alive() if w.alert.destination == destination]
        if sum(w.leased_until is not None and w.leased_until > now for w in mine) >= at_once:
            return None
        due = sorted((w for w in mine if w.next_at <= now), key=lambda w: (w.next_at, w.alert.key))
        if not due:
            return None
        waiting = due[0]
        waiting.unknown += bool(waiting.token)
        waiting.attempts += 1
        waiting.token = secrets.token_hex(8)
        waiting.next_at = waiting.leased_until = now + lease
        return ClaimedAlert(_counted(waiting), waiting.token)

    def confirm(self, claimed: ClaimedAlert, lead: Lead | None) -> Result:
        """Nothing to wait for."""
        del claimed, lead
        return Result.APPLIED

    def settle(self, claimed: ClaimedAlert, settlement: AlertSettlement) -> Result:
        """Write what an attempt came to."""
        waiting = self._state.alerts.get(claimed.alert.key)
        if waiting is None or waiting.token != claimed.token:
            return Result.STALE
        waiting.token, waiting.leased_until = "", None
        if settlement.result in ("retry", "returned"):
            waiting.attempts -= settlement.result == "returned"
            waiting.next_at, waiting.unknown = settlement.at, settlement.unknown_attempts
        else:
            if settlement.result == "dead":
                waiting.dead_at, waiting.unknown = settlement.at, settlement.unknown_attempts
            else:
                del self._state.alerts[claimed.alert.key]
            self._state.ledger[f"alerts_{settlement.result}"] += 1
        self._state.metrics.update(counts_of_attempt(claimed.alert, settlement.result, settlement.at))
        if settlement.history is not None and claimed.alert.lead_id in self._state.leads:
            self._state.history.setdefault(claimed.alert.lead_id, []).append(settlement.history)
        if settlement.fallback is not None:
            fallback = settlement.fallback
            self._state.alerts.setdefault(fallback.key, _Waiting(fallback, fallback.decided_at))
        return Result.APPLIED

    def waiting(self, limit: int) -> list[tuple[Alert, datetime]]:
        """Alerts not delivered yet."""
        alive = sorted(self._alive(), key=lambda w: (to_ms(w.next_at), w.alert.key))
        return [(_counted(w), w.next_at) for w in alive[:limit]]

    def dead(self, limit: int) -> list[DeadAlert]:
        """Alerts given up."""
        dead = [
            DeadAlert(_counted(w), w.dead_at) for w in self._state.alerts.values() if w.dead_at is not None
        ]
        return sorted(dead, key=lambda d: (to_ms(d.at), d.alert.key), reverse=True)[:limit]

    def redrive(self, key: str, now: datetime) -> Result:
        """Try a dead alert again."""
        waiting = self._state.alerts.get(key)
        if waiting is None or waiting.dead_at is None:
            return Result.GONE
        self._state.alerts[key] = _Waiting(waiting.alert, now)
        return Result.APPLIED

    def _alive(self) -> list[_Waiting]:
        return [waiting for waiting in self._state.alerts.values() if waiting.dead_at is None]


class MemoryOperations:
    """Ledger and health of the store in memory."""

    def __init__(self, state: _State) -> None:
        self._state = state

    def ledger(self) -> Ledger:
        """Counts of submissions."""
        counts = self._state.ledger
        return Ledger(
            received=self._state.added - counts["replayed"],
            leads=counts["leads"],
            touches=counts["touches"],
            duplicates=counts["duplicates"],
            tests=counts["tests"],
            dead_letters=counts["dead_letters"],
            in_flight=len(self._state.entries),
        )

    def counters(self) -> dict[str, int]:
        """Every counter by name."""
        return {name: n for name, n in self._state.ledger.items() if n}

    def metrics(self) -> dict[str, int]:
        """Every count of `core.metrics`."""
        return dict(self._state.metrics)

    def health(self) -> Health:
        """Depths and ages of every stage."""
        state, now = self._state, self._state.clock()

        def age(instants: Iterable[datetime]) -> float:
            return max((0.0, *((now - at).total_seconds() for at in instants)))

        alive = [w for w in state.alerts.values() if w.dead_at is None]
        by_destination: dict[str, list[_Waiting]] = {}
        for waiting in alive:
            by_destination.setdefault(waiting.alert.destination, []).append(waiting)
        return Health(
            now=now,
            queued=len(state.entries),
            queued_oldest=age(from_ms(int(entry_id.partition("-")[0])) for entry_id in state.entries),
            pending=len(state.pending),
            due=sum(at <= now for at in state.due.values()),
            due_oldest=age(state.due.values()),
            scheduled=len(state.due),
            open_leads=sum(lead.is_open for lead in state.leads.values()),
            outbox=len(alive),
            outbox_due=sum(w.next_at <= now for w in alive),
            outbox_oldest=age(w.alert.decided_at for w in alive),
            dead_letters=len(state.buried),
            dead_alerts=len(state.alerts) - len(alive),
            quarantined=len(state.quarantined),
            heartbeats={process: age([at]) for process, at in sorted(state.beats.items())},
            outboxes={
                name: OutboxHealth(
                    len(found), sum(w.next_at <= now for w in found), age(w.alert.decided_at for w in found)
                )
                for name, found in sorted(by_destination.items())
            },
        )

    def beat(self, process: str, now: datetime) -> None:
        """Note a sign of life."""
        beats = {**self._state.beats, process: now}
        self._state.beats = {name: at for name, at in beats.items() if at > now - FORGET_PROCESS_AFTER}

    def claim_hint(self, stage: str) -> bool:
        """Whether a hint is worth sending."""
        if stage in self._state.hinted:
            return False
        self._state.hinted.add(stage)
        return True

    def hint_taken(self, stage: str) -> None:
        """The stage begins to look now."""
        self._state.hinted.discard(stage)

    def policy(self) -> ServerPolicy:
        """Nothing is kept on disk here."""
        return ServerPolicy("memory", "noeviction", append_only=False, append_fsync=None, drift=0.0)


class MemoryAudit:
    """What the auditor reads and mends, in memory. An alert and its place in the outbox are one thing here."""

    def __init__(self, state: _State) -> None:
        self._state = state

    def names(self, cursor: str, limit: int) -> tuple[list[str], list[str], str]:
        """Everything, in the order of its name."""
        names = sorted((*(f"l{i}" for i in self._state.leads), *(f"p{key}" for key in self._state.people)))
        page = [name for name in names if name > cursor][:limit]
        leads = [name[1:] for name in page if name.startswith("l")]
        people = [name[1:] for name in page if name.startswith("p")]
        return leads, people, page[-1] if page and page[-1] != names[-1] else ""

    def leads(self, lead_ids: Sequence[str]) -> list[LeadFacts]:
        """Each lead with everything that points to it."""
        return [self._facts(lead_id) for lead_id in lead_ids]

    def _facts(self, lead_id: str) -> LeadFacts:
        state, lead = self._state, self._state.leads.get(lead_id)
        history = tuple(state.history.get(lead_id, ()))
        facts = LeadFacts(
            lead_id,
            lead,
            history=history,
            indexed_at=state.due.get(lead_id),
            in_open=lead_id in state.listed_open,
            in_all=lead_id in state.listed,
        )
        if lead is None or not lead.is_open:
            return facts
        people = {key: state.people.get(key) for key in person_keys(lead.lead)}
        others = {other for other in people.values() if other is not None and other != lead_id}
        return replace(
            facts,
            absent=tuple(told for told in untold(history) if told.key(lead_id) not in state.alerts),
            people=people,
            others_open=frozenset(o for o in others if o in state.leads and state.leads[o].is_open),
        )

    def repair(self, repair: LeadRepair) -> Result:
        """Write one lead's repair."""
        state, lead = self._state, repair.lead
        known = state.leads.get(lead.id)
        if known is None:
            return Result.GONE
        history = state.history.setdefault(lead.id, [])
        if (
            (known.version, len(history)) != (lead.version - 1, repair.history_length)
            or any(state.people.get(key) != value for key, value in repair.people)
            or any(alert.key in state.alerts for alert in repair.alerts)
        ):
            return Result.STALE
        state.leads[lead.id] = lead
        state.list(lead)
        state.index(lead.id, lead.next_at)
        history.append(repair.entry)
        state.people.update((key, lead.id) for key, _ in repair.people)
        state.alerts.update((alert.key, _Waiting(alert, alert.decided_at)) for alert in repair.alerts)
        state.ledger.update(f"repaired:{finding.value}" for finding in repair.findings)
        return Result.APPLIED

    def unlist(self, lead_id: str) -> Result:
        """Take a lead without record out of the open leads and the index."""
        if lead_id in self._state.leads:
            return Result.STALE
        self._state.listed_open.discard(lead_id)
        self._state.due.pop(lead_id, None)
        return self._repaired(Finding.NO_RECORD)

    def dangling(self, people: Sequence[str]) -> dict[str, str]:
        """Those that point to a lead that is not there."""
        found = {key: self._state.people[key] for key in people if key in self._state.people}
        return {key: lead_id for key, lead_id in found.items() if lead_id not in self._state.leads}

    def forget_person(self, key: str, lead_id: str) -> Result:
        """Drop a person's key that points to no lead."""
        if self._state.people.get(key) != lead_id or lead_id in self._state.leads:
            return Result.STALE
        del self._state.people[key]
        return self._repaired(Finding.PERSON_DANGLING)

    def load(self) -> LoadFacts:
        """Open leads by rep, and how often each count was changed."""
        return LoadFacts({rep: n for rep, n in self._state.load.items() if n}, dict(self._state.load_changes))

    def mend_load(self, rep: str, changes: int, found: int, counted: int) -> Result:
        """Make a rep's count what was counted."""
        if (self._state.load_changes[rep], self._state.load[rep]) != (changes, found):
            return Result.STALE
        self._state.load[rep] = counted
        self._state.load_changes[rep] += 1
        return self._repaired(Finding.LOAD_WRONG)

    def alert_keys(self, cursor: str, limit: int) -> tuple[list[str], str]:
        """Keys of alerts, in their order."""
        keys = sorted(key for key in self._state.alerts if key > cursor)
        return keys[:limit], keys[limit - 1] if len(keys) > limit else ""

    def alerts(self, alert_keys: Sequence[str]) -> list[AlertFacts]:
        """Where each alert stands."""
        return [self._alert(key) for key in alert_keys]

    def _alert(self, key: str) -> AlertFacts:
        destination, waiting = key.rpartition(":")[2], self._state.alerts.get(key)
        if waiting is None:
            return AlertFacts(key, destination, is_kept=False)
        is_dead = waiting.dead_at is not None
        return AlertFacts(
            key, destination, True, None if is_dead else waiting.next_at, waiting.leased_until, is_dead
        )

    def mend_alert(
        self, seen: AlertFacts, finding: Finding, due: datetime | None, entry: HistoryEntry
    ) -> Result:
        """Put an alert that stands as it was seen where it is claimed."""
        waiting = self._state.alerts.get(seen.key)
        if waiting is None or self._alert(seen.key) != seen:
            return Result.STALE
        if due is not None:
            waiting.next_at, waiting.leased_until = due, None
        if waiting.alert.lead_id in self._state.leads:
            self._state.history.setdefault(waiting.alert.lead_id, []).append(entry)
        return self._repaired(finding)

    def pending_since(self, idle: timedelta) -> int:
        """Entries that a router took so long ago."""
        now = self._state.clock()
        taken = (pending.taken_at for pending in self._state.pending.values())
        return sum(at is not None and now - at >= idle for at in taken)

    def tell(self, finding: Finding, count: int, alert: Alert, once_in: timedelta) -> Result:
        """Count it, and put the alert into the outbox once in a while."""
        state, now = self._state, self._state.clock()
        state.ledger[f"raised:{finding.value}"] += count
        if state.told_until.get(alert.step, now) > now:
            return Result.KNOWN
        state.told_until[alert.step] = now + once_in
        state.alerts.setdefault(alert.key, _Waiting(alert, alert.decided_at))
        return Result.APPLIED

    def _repaired(self, finding: Finding) -> Result:
        self._state.ledger[f"repaired:{finding.value}"] += 1
        return Result.APPLIED


class MemoryPrivacy:
    """What is kept of people in memory. Nothing is encrypted here, and nothing is on disk."""

    def __init__(self, state: _State) -> None:
        self._state = state

    def everything(self) -> Iterator[HeldBatch]:
        """Everything, in the order of the Redis store."""
        state = self._state
        held = [
            self._submission(HeldKind.INCOMING, i, queue_entry(i.encode(), f, 1 << 45).submission)
            for i, f in state.entries.items()
        ]
        held += [Held(HeldKind.LEAD, i, lead_document(lead)) for i, lead in state.leads.items()]
        for lead_id, entries in state.history.items():
            lines = tuple(history_line(entry).encode() for entry in entries)
            held.append(Held(HeldKind.HISTORY, lead_id, b"\n".join(lines).decode(), lines))
        for key, waiting in state.alerts.items():
            document = alert_document(waiting.alert)
            held.append(Held(HeldKind.ALERT, key, document, (document.encode(),), waiting.alert.lead_id))
        for letter in state.buried.values():
            held.append(
                self._submission(HeldKind.DEAD_LETTER, letter.submission.id, letter.submission, letter.error)
            )
        pointers = {f"person:{key}": lead_id for key, lead_id in state.people.items()}
        pointers |= {f"seen:{key}": lead_id for key, (lead_id, _) in state.seen.items()}
        held += [Held(HeldKind.POINTER, name, f"{name} {to}", points_to=to) for name, to in pointers.items()]
        held += [Held(HeldKind.OTHER, f"quarantine {name}", why) for name, why in state.quarantined.items()]
        yield HeldBatch(len(held), held)

    def alerts_of(self, lead_ids: Collection[str]) -> dict[str, list[str]]:
        """The alerts of these leads."""
        found: dict[str, list[str]] = {}
        for key, waiting in self._state.alerts.items():
            if waiting.alert.lead_id in lead_ids:
                found.setdefault(waiting.alert.lead_id, []).append(key)
        return found

    def remove_lead(
        self,
        lead_id: str,
        version: int | None,
        counter: str,
        *,
        rep: str | None = None,
        alerts: Sequence[str] = (),
        pointers: Sequence[str] = (),
    ) -> Result:
        """A lead and everything that knows it."""
        state = self._state
        lead = state.leads.get(lead_id)
        if lead is not None and version is not None and lead.version != version:
            return Result.STALE
        state.leads.pop(lead_id, None)
        state.history.pop(lead_id, None)
        state.due.pop(lead_id, None)
        state.quarantined.pop(lead_id, None)
        state.listed.discard(lead_id)
        state.listed_open.discard(lead_id)
        if lead is not None and lead.is_open and rep:
            state.load[rep] -= 1
            state.load_changes[rep] += 1
        for key in alerts:
            waiting = state.alerts.pop(key, None)
            state.ledger["alerts_cancelled"] += waiting is not None and waiting.dead_at is None
        for name in pointers:
            kind, _, key = name.partition(":")
            if kind == "person" and state.people.get(key) == lead_id:
                del state.people[key]
            elif kind == "seen" and state.seen.get(key, ("",))[0] == lead_id:
                del state.seen[key]
        if lead is None:
            return Result.GONE
        state.ledger[counter] += 1
        return Result.APPLIED

    def remove_dead_letter(self, submission_id: str, counter: str) -> Result:
        """A dead letter, for good."""
        if self._state.buried.pop(submission_id, None) is None:
            return Result.GONE
        self._state.ledger[counter] += 1
        return Result.APPLIED

    def remove_submission(self, entry_id: str, counter: str) -> Result:
        """An entry of the queue, unread."""
        if entry_id not in self._state.entries:
            return Result.GONE
        self._state.settled(entry_id)
        self._state.ledger.update({"dead_letters": 1, counter: 1})
        return Result.APPLIED

    def remove_dead_alert(self, key: str, counter: str) -> Result:
        """An alert that was given up."""
        waiting = self._state.alerts.get(key)
        if waiting is None or waiting.dead_at is None:
            return Result.GONE
        del self._state.alerts[key]
        self._state.ledger[counter] += 1
        return Result.APPLIED

    def rewrite(self, held: Held, new_text: str) -> Result:
        """Another text in place of a history or an alert."""
        if held.kind is HeldKind.HISTORY:
            entries = self._state.history.get(held.name, [])
            lines = new_text.split("\n")
            if tuple(history_line(entry).encode() for entry in entries[: len(lines)]) != held.raw:
                return Result.STALE
            entries[: len(lines)] = [history_entry(line) for line in lines]
            return Result.APPLIED
        waiting = self._state.alerts.get(held.name)
        if waiting is None or alert_document(waiting.alert).encode() != held.raw[0]:
            return Result.STALE
        waiting.alert = alert_from(new_text)
        return Result.APPLIED

    def oldest(self, until: datetime, skip: int, limit: int) -> list[str]:
        """Leads received until then, oldest first."""
        ordered = sorted((to_ms(lead.received_at), lead.id) for lead in self._state.leads.values())
        return [lead_id for at, lead_id in ordered[skip : skip + limit] if at <= to_ms(until)]

    def dead_letters_until(self, instant: datetime, limit: int) -> list[str]:
        """Dead letters buried until then, oldest first."""
        found = sorted(
            (letter.at, name) for name, letter in self._state.buried.items() if letter.at <= instant
        )
        return [name for _, name in found[:limit]]

    def dead_alerts_until(self, instant: datetime, limit: int) -> list[str]:
        """Alerts given up until then, oldest first."""
        dead = ((w.dead_at, key) for key, w in self._state.alerts.items() if w.dead_at is not None)
        return [key for at, key in sorted(dead) if at <= instant][:limit]

    def note_erasure(self, erasure: Erasure) -> None:
        """Keep that it happened."""
        self._state.erasures.append(erasure)

    def erasures(self, limit: int) -> list[Erasure]:
        """The newest erasures."""
        return self._state.erasures[: -limit - 1 : -1]

    def rewrite_log(self) -> str:
        """There is none."""
        return "refused (nothing is kept on disk)"

    def log_is_rewritten(self) -> bool | None:
        """There is none."""
        return None

    def locked_among_newest(self, limit: int) -> int:
        """Nothing is encrypted."""
        del limit
        return 0

    def reseal(self) -> Iterator[Resealed]:
        """Nothing is encrypted."""
        yield Resealed()

    def _submission(self, kind: HeldKind, name: str, submission: Submission, note: str = "") -> Held:
        parts = (
            submission.body.decode("utf-8", "replace"),
            *submission.headers.values(),
            submission.id,
            note,
        )
        return Held(kind, name, "\n".join(parts), submission=submission, note=note)


class MemoryStore:
    """The store in memory, on a clock the caller holds."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        state = _State(clock)
        self.queue = MemoryQueue(state)
        self.leads = MemoryLeads(state)
        self.outbox = MemoryOutbox(state)
        self.operations = MemoryOperations(state)
        self.audit = MemoryAudit(state)
        self.privacy = MemoryPrivacy(state)

    def now(self) -> datetime:
        """The caller's clock."""
        return self._clock()


def _counted(waiting: _Waiting) -> Alert:
    return replace(waiting.alert, attempts=waiting.attempts, unknown_attempts=waiting.unknown)


def _bytes(value: str | bytes | int) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
