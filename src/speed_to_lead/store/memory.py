"""The store in memory: a second full implementation, for fast tests of decisions and for a look at what the first must do."""

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from speed_to_lead.core.assignment import Rotation
from speed_to_lead.core.audit import Ledger
from speed_to_lead.core.clock import from_ms, to_ms
from speed_to_lead.core.lead import Alert, HistoryEntry, Lead, LeadChange, LeadState
from speed_to_lead.core.settlement import REMEMBER_KEY, Admit, Bury, DeadLetter, Drop, Join, Settlement
from speed_to_lead.core.submission import Submission, other_id
from speed_to_lead.store.contract import (
    AlertSettlement,
    ClaimedAlert,
    DeadAlert,
    Erasure,
    Health,
    Held,
    HeldBatch,
    HeldKind,
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
    ledger: Counter[str] = field(default_factory=Counter)
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
        self.history.setdefault(lead.id, []).extend(change.history)
        self.index(lead.id, lead.next_at)
        self.people.update((person, lead.id) for person, _ in people)
        if turn is not None:
            self.rotations[turn.team] = turn.applied_to(self.rotations.get(turn.team, Rotation()))
        self.ledger.update(change.counters)
        self.load.update(change.load)
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

    def change(self, changes: Sequence[LeadChange]) -> list[Result]:
        """Write changes to existing leads."""
        return [self._state.change(change, None) for change in changes]

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
        ids = sorted(lead.id for lead in self._state.leads.values() if lead.is_open and lead.id > cursor)
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

    def settle(self, claimed: ClaimedAlert, settlement: AlertSettlement) -> Result:
        """Write what an attempt came to."""
        waiting = self._state.alerts.get(claimed.alert.key)
        if waiting is None or waiting.token != claimed.token:
            return Result.STALE
        waiting.token, waiting.leased_until = "", None
        if settlement.result == "retry":
            waiting.next_at, waiting.unknown = settlement.at, settlement.unknown_attempts
        else:
            if settlement.result == "dead":
                waiting.dead_at, waiting.unknown = settlement.at, settlement.unknown_attempts
            else:
                del self._state.alerts[claimed.alert.key]
            self._state.ledger[f"alerts_{settlement.result}"] += 1
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

    def health(self) -> Health:
        """Depths and ages of every stage."""
        state, now = self._state, self._state.clock()

        def age(instants: Iterable[datetime]) -> float:
            return max((0.0, *((now - at).total_seconds() for at in instants)))

        alive = [w for w in state.alerts.values() if w.dead_at is None]
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
        if lead is not None and lead.is_open and rep:
            state.load[rep] -= 1
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
        self.privacy = MemoryPrivacy(state)

    def now(self) -> datetime:
        """The caller's clock."""
        return self._clock()


def _counted(waiting: _Waiting) -> Alert:
    return replace(waiting.alert, attempts=waiting.attempts, unknown_attempts=waiting.unknown)


def _bytes(value: str | bytes | int) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
