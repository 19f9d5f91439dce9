"""What a store can do. Two implementations keep it: Redis (`redis_store.py`) and memory (`memory/`); one suite tests both.

Instants are aware datetimes; what is stored is UTC milliseconds. Every change is atomic, and refused (never half
written) where it was decided on something that has changed since.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from speed_to_lead.core.assignment import Rotation, Tally
from speed_to_lead.core.audit import AlertFacts, Finding, LeadFacts, LeadRepair, Ledger, LoadFacts
from speed_to_lead.core.delivery import Trouble
from speed_to_lead.core.lead import Alert, HistoryEntry, Lead, LeadChange, LeadState
from speed_to_lead.core.reps import Absence
from speed_to_lead.core.settlement import DeadLetter, Settlement
from speed_to_lead.core.storm import DigestTerms, Storm
from speed_to_lead.core.submission import Submission


class StoreUnavailable(Exception):
    """The server does not answer, or answers that it cannot write (OOM, READONLY, LOADING, MISCONF)."""


class TooFast(Exception):
    """The form takes no more for now; nothing was stored. After so many milliseconds there is a token for one."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__(f"wait {wait_ms} ms")
        self.wait_ms = wait_ms


class UnreadableRecord(Exception):
    """A lead's record cannot be decoded; the lead goes to quarantine, and the others go on."""


class LockedRecord(UnreadableRecord):
    """The record needs a key that this process was not given: another process, or this one restarted, may have it.

    Not by me, not now: whoever meets it leaves it as it is. `is_open`: the lead's state, which is never sealed.
    """

    def __init__(self, text: str, *, is_open: bool = True) -> None:
        super().__init__(text)
        self.is_open = is_open


#: What needs a key that this process does not have is left to others for so long; the roll of a key takes longer.
LOCKED_PAUSE = timedelta(seconds=2)


class Result(StrEnum):
    """What became of a change."""

    APPLIED = "applied"
    SETTLED = "settled"  # the queue entry was settled before
    STALE = "stale"  # decided on something that has changed since: read again and decide again
    GONE = "gone"  # there is no such lead, dead letter or alert
    KNOWN = "known"  # it was there already


@dataclass(frozen=True, slots=True)
class Burial:
    """A dead letter as whoever counts them sees it."""

    submission_id: str
    form: str
    error: str
    at: datetime


#: How long after the last submission that said something the next one is a repeat.
REPEATS_KEPT = timedelta(days=1)
#: Burials answered at once.
BURIALS_AT_ONCE = 1000


class Lane(StrEnum):
    """Where submissions wait: they come in one way, and in a flood those that can wait are put into the other."""

    INCOMING = "incoming"
    PATIENT = "patient"


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One entry of the queue: the submission as it came (None with a `problem` where fields are missing).

    `entry_id` is one of a kind over both lanes; what it looks like is the store's affair. `deliveries` counts how often it was handed to a router, this time included. `is_locked`: it is encrypted with a key
    that this process does not have.
    """

    entry_id: str
    submission: Submission
    deliveries: int = 1
    problem: str = ""
    is_locked: bool = False


@dataclass(frozen=True, slots=True)
class ClaimedAlert:
    """An alert leased to one courier. `alert.attempts` counts this attempt.

    `is_unreadable`: no courier could read it, often enough. `alert` holds what its key says, and is to be given up.
    `is_in_vain`: its destination has taken nothing for minutes, and another alert is finding out whether it does now.
    """

    alert: Alert
    token: str
    is_unreadable: bool = False
    is_in_vain: bool = False


@dataclass(frozen=True, slots=True)
class DeadAlert:
    """An alert given up, and when."""

    alert: Alert
    at: datetime


@dataclass(frozen=True, slots=True)
class Disabled:
    """A destination that refused for ever: since when, until when nothing is sent there, and what it said."""

    at: datetime
    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class AlertSettlement:
    """What one attempt came to: `result` is delivered, cancelled, retry, returned or dead.

    `at` is the next attempt for retry and for returned, which is no attempt: nothing was sent, and it does not count.
    `also` is put into its outbox in the same piece: the fallback of an alert that is given up; or what brings up to date a
    destination that was told of version `told_version` of the lead, only where the record is another one by now.
    `trouble` is what a retry says about its destination; a delivery ends it.
    """

    result: str
    at: datetime
    unknown_attempts: int = 0
    history: HistoryEntry | None = None
    also: Alert | None = None
    told_version: int | None = None
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class OutboxHealth:
    """One destination's outbox: alerts waiting, those whose next attempt is due, and seconds since the oldest was decided."""

    depth: int
    due: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Health:
    """Depths and ages of every stage, all in seconds, and the last sign of life of every process.

    `queued` is what waits in the lane where submissions come in, `patient` what was put off; `pending` is what routers
    hold of both. `open_leads` are those nobody has answered, `scheduled` those of them with a step still to come, `waiting` those without a rep, the
    oldest received so long ago (of the OLDEST_WAITING_AMONG whose deadlines are nearest). `fetches` are submissions of ids
    only whose form tool is still asked who that is, the oldest received so long ago. `outbox_oldest` counts from
    the decision, not from the next attempt: a destination that refuses again and again must show. `outboxes` has
    the same of each destination that anything waits for.
    """

    now: datetime
    queued: int = 0
    queued_oldest: float = 0.0
    patient: int = 0
    patient_oldest: float = 0.0
    pending: int = 0
    due: int = 0
    due_oldest: float = 0.0
    scheduled: int = 0
    open_leads: int = 0
    waiting: int = 0
    waiting_oldest: float = 0.0
    fetches: int = 0
    fetches_oldest: float = 0.0
    outbox: int = 0
    outbox_due: int = 0
    outbox_oldest: float = 0.0
    dead_letters: int = 0
    dead_alerts: int = 0
    quarantined: int = 0
    heartbeats: Mapping[str, float] = field(default_factory=dict)
    outboxes: Mapping[str, OutboxHealth] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServerPolicy:
    """How the server is set up; None where it will not say. `drift` is its clock minus ours, in seconds.

    `replicas` are those connected to it now; `least_replicas` is how many it wants before it takes a write.
    `may_hold_half`: its append-only file may hold half a change, as `renew_log` says.
    """

    version: str
    maxmemory_policy: str | None
    append_only: bool | None
    append_fsync: str | None
    drift: float
    replicas: int | None = None
    least_replicas: int | None = None
    may_hold_half: bool = False


class HeldKind(StrEnum):
    """What a kept text is part of.

    `fetch` is a submission of ids only whose tool is still asked who that is, `pointer` a person, company or seen key,
    `other` whatever is none of the rest.
    """

    INCOMING = "incoming"
    FETCH = "fetch"
    LEAD = "lead"
    HISTORY = "history"
    ALERT = "alert"
    DEAD_LETTER = "dead-letter"
    POINTER = "pointer"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that is kept, as a text in which people can be looked for; `raw` as it stands in the store.

    `name` is a lead's, entry's or dead letter's id, an alert's key, else the key's name without the prefix.
    `points_to` is the lead of a pointer, of an alert, or of a fetch, which has none yet where it was not routed. `is_locked`: encrypted with a key that is not set.
    `is_damaged`: part of it was packed and cannot be unpacked, so nobody can look inside.
    """

    kind: HeldKind
    name: str
    text: str
    raw: tuple[bytes, ...] = ()
    points_to: str = ""
    submission: Submission | None = None
    note: str = ""
    is_locked: bool = False
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class HeldBatch:
    """Some of what is kept, and how many keys of the server were opened for it."""

    keys: int
    held: Sequence[Held]


@dataclass(frozen=True, slots=True)
class Erasure:
    """That a person was erased: when, by whom, for which request, how much. Nothing says who it was."""

    at: datetime
    by: str
    reference: str
    counts: Mapping[str, int]
    proven: bool


@dataclass(frozen=True, slots=True)
class ConfigVersion:
    """One published version of the config; `digest` names what its files say.

    `restores` is the version that a rollback brought back, 0 where it is none.
    """

    number: int
    digest: str
    by: str
    at: datetime
    message: str = ""
    restores: int = 0


@dataclass(frozen=True, slots=True)
class RunningConfig:
    """The config a process works with: a published version, or that of its own directory (version 0).

    `refused` is the published version that it cannot work with, 0 where it refuses none, and `why`.
    """

    version: int
    digest: str
    refused: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class ShadowConfig:
    """A candidate that routers decide by beside the live config. `beside` is the version that was live when it began."""

    id: str
    digest: str
    by: str
    at: datetime
    beside: int = 0


@dataclass(frozen=True, slots=True)
class Resealed:
    """What one round of re-encryption came to. `in_flight`: submissions that wait for a router, left as they are."""

    looked_at: int = 0
    rewritten: int = 0
    in_flight: int = 0
    locked: int = 0
    unreadable: int = 0
    contended: int = 0

    def __add__(self, other: "Resealed") -> "Resealed":
        """Both together."""
        return Resealed(
            self.looked_at + other.looked_at,
            self.rewritten + other.rewritten,
            self.in_flight + other.in_flight,
            self.locked + other.locked,
            self.unreadable + other.unreadable,
            self.contended + other.contended,
        )


#: More than a router waits before it takes up what another one left; far less than what the auditor finds forgotten.
GIVEN_BACK_IDLE = timedelta(seconds=10)


class Queue(Protocol):
    """Submissions waiting to be routed, and those that could not be read."""

    def add(self, submission: Submission) -> None:
        """Store one submission; it is on disk as far as the server's AOF policy says when this returns.

        And on so many replicas as the store was told; raises StoreUnavailable where these do not say so in time.
        """

    def add_many(self, submissions: Sequence[Submission]) -> None:
        """The same for several, in one round trip and in this order. Where it raises, some of them may be stored."""

    def take(self, consumer: str, limit: int, lane: Lane = Lane.INCOMING) -> list[QueueEntry]:
        """Entries of that lane nobody has taken yet, now this consumer's; oldest first."""

    def untaken(self) -> int:
        """How many entries of the incoming lane nobody has taken yet."""

    def postpone(self, entries: Sequence[QueueEntry]) -> set[str]:
        """Move entries that can wait from the incoming to the patient lane, each atomically; the ids of those moved.

        They wait there as if just added, with id and receipt time as they were. One that was settled meanwhile is not
        moved, nor one that is in the patient lane already.
        """

    def reclaim(self, consumer: str, idle: timedelta, limit: int, *, isolate_after: int) -> list[QueueEntry]:
        """Entries of one lane whose consumer has not settled them for `idle`, now this consumer's; incoming ones first.

        An entry handed out `isolate_after` times or more comes alone: if it is the one that kills routers, it
        must not count against its neighbours.
        """

    def give_back(self, consumer: str, entries: Sequence[QueueEntry]) -> None:
        """Entries that nobody could work on, the store being away: anybody may take them at once, and it does not count.

        From now on they count as untouched for GIVEN_BACK_IDLE.
        """

    def forget_consumers(self, idle: timedelta) -> int:
        """Strike consumers off that were silent for `idle` and hold nothing; how many."""

    def settle(self, settlements: Iterable[Settlement]) -> list[Result]:
        """Write what became of the entries, each atomically; one answer for each."""

    def lead_of(self, keys: Iterable[str]) -> dict[str, str]:
        """For each seen key that is known: the lead that submission became. Tests are not remembered."""

    def note_repeats(self, said: Sequence[tuple[str, str]], most: int) -> list[int]:
        """The place of each (who, key) among those who said the same, REPEATS_KEPT after the last; the same when asked again.

        `most` of each key are kept; whoever comes after them is at place most + 1.
        """

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """The newest dead letters."""

    def buried_since(self, since: datetime, seen: Collection[str]) -> list[Burial]:
        """Dead letters buried from then on that are not among those seen, without their bodies; oldest first, some at a time."""

    def dead_letter(self, submission_id: str) -> DeadLetter | None:
        """One dead letter, or None."""

    def replay(self, submission_id: str) -> Result:
        """Put a dead letter back into the queue with its first receipt time."""

    def discard(self, submission_id: str) -> Result:
        """Drop a dead letter for good; it stays counted."""

    def leave(self, consumer: str, entries: Sequence[QueueEntry]) -> None:
        """Entries this process has no key for: they stay pending, idle from now on, and it does not count."""


class Leads(Protocol):
    """Lead records, the deadline index, rotations and loads."""

    def get(self, lead_id: str) -> Lead | None:
        """The lead, or None. Raises UnreadableRecord."""

    def get_many(self, lead_ids: Sequence[str]) -> list[Lead | UnreadableRecord | None]:
        """One answer for each id; a record that cannot be read is answered, not raised."""

    def history(self, lead_id: str) -> list[HistoryEntry]:
        """What happened to the lead, oldest first."""

    def newest(
        self,
        limit: int,
        *,
        state: LeadState | None = None,
        team: str | None = None,
        rep: str | None = None,
        before: str | None = None,
    ) -> tuple[list[Lead], str | None]:
        """Leads by receipt, newest first, and the cursor for `before` of the next page (None at the end).

        A page with a cursor after it may be the last that holds any: what follows may not pass the filter. Where few
        leads pass it, a page may be short, even empty, though more follow: no page looks at all leads there are.
        """

    def received_since(
        self, since: datetime, limit: int, after: str | None = None
    ) -> tuple[list[Lead | UnreadableRecord], str | None]:
        """Leads received at `since` or later, oldest first, and the cursor for `after` of the next page (None at the end).

        A record that cannot be read is answered, not raised; of leads of one instant the id decides the order.
        """

    def of_people(self, person_keys: Sequence[str]) -> dict[str, str]:
        """For each person key that is known: that person's newest lead."""

    def of_companies(self, company_keys: Sequence[str]) -> dict[str, str]:
        """For each company key that is known: that company's newest lead, written while a rule asks who has the company."""

    def rotations(self, teams: Iterable[str]) -> dict[str, Rotation]:
        """The rotation of each team."""

    def load(self) -> dict[str, int]:
        """Open leads by rep."""

    def change(self, changes: Sequence[LeadChange], *, confirmed: bool = False) -> list[Result]:
        """Write changes to existing leads, each atomically.

        With `confirmed` no failover takes them back once this returns: so many replicas as the store was told hold
        them. Raises StoreUnavailable where these do not say so in time, though it may be written.
        """

    def confirm(self, lead: Lead) -> Result:
        """APPLIED once no failover takes back what was read; STALE where the lead has changed since, or was lost.

        Raises StoreUnavailable where too few replicas say so in time.
        """

    def due(self, now: datetime, limit: int, skip: int = 0) -> list[str]:
        """Ids the index holds as due at `now`, longest overdue first, after `skip`. A hint: decide from the record."""

    def indexed_at(self, lead_ids: Sequence[str]) -> list[datetime | None]:
        """The index entry of each lead."""

    def mend_index(self, lead_id: str, version: int, next_at: datetime | None) -> Result:
        """Make the index say what the record of that version says. Version 0: there is no record."""

    def quarantine(self, lead_id: str, error: str, alert: Alert | None = None) -> Result:
        """Take a lead that cannot be worked on out of the index, kept with its error; `alert` goes out the first time.

        GONE where it has no record any more: it was erased meanwhile.
        """

    def release(self, lead_id: str) -> Result:
        """Let a lead out of quarantine; the auditor puts it back into the index."""

    def quarantined(self) -> dict[str, str]:
        """Leads in quarantine with their errors."""

    def scan(self, cursor: str, limit: int) -> tuple[list[str], str]:
        """A batch of the ids of open leads, and the cursor for the next; "" begins and ends a round."""


class Reps(Protocol):
    """What assignment asks about reps, and the leads that wait for one of them."""

    def tally(self, teams: Iterable[str]) -> Tally:
        """What a pick in these teams is made on: their rotations, and of all reps loads, what was given, absences."""

    def absences(self) -> dict[str, Absence]:
        """The last absence told of each rep, those included whose time is over."""

    def set_away(self, rep: str, absence: Absence) -> None:
        """That rep is away; it takes the place of what was said before."""

    def waiting(self, limit: int, skip: int = 0) -> list[tuple[str, str]]:
        """Ids of open leads without a rep, nearest deadline first, with their teams. A hint: decide from the record."""

    def forget_waiting(self, lead_id: str) -> None:
        """That lead has a rep, is not open, or is gone. It never waits again."""


class Outbox(Protocol):
    """Alerts waiting to be delivered. Each destination has its own, so that none waits for another."""

    def add(self, alert: Alert, due: datetime) -> Result:
        """Put an alert about the system into the outbox, once for each key."""

    def destinations_due(self, now: datetime) -> dict[str, int]:
        """Destinations with alerts due at `now`, and how many; one that wants to be left alone is left out."""

    def in_trouble(self, destination: str, now: datetime) -> bool:
        """Whether it has taken nothing for so long that nobody should wait for it."""

    def claim(
        self, destination: str, now: datetime, lease: timedelta, *, at_once: int
    ) -> ClaimedAlert | None:
        """Lease the first due alert of a destination; None where none is due or `at_once` are leased already.

        One that asked to be left alone gets nothing until then, and then one alert at a time until it takes one. Where
        it has taken nothing for minutes, all but one are leased as in vain.
        """

    def confirm(self, claimed: ClaimedAlert, leased_until: datetime) -> tuple[Result, Lead | None]:
        """APPLIED and the lead it is about, as it is now, once no failover takes back either: then it may be sent.

        The lease then lasts until `leased_until`, however long ago it was given. GONE where it is another courier's. None
        where there is no such lead, or the alert is about the system. Raises UnreadableRecord, and StoreUnavailable where
        too few replicas hold it in time.
        """

    def settle(self, claimed: ClaimedAlert, settlement: AlertSettlement) -> Result:
        """Write what an attempt came to; STALE where the lease has passed to another courier."""

    def settle_and_claim(
        self,
        claimed: ClaimedAlert,
        settlement: AlertSettlement,
        now: datetime,
        lease: timedelta,
        *,
        at_once: int,
    ) -> tuple[Result, ClaimedAlert | None]:
        """`settle`, then `claim` of the same destination: one exchange, where each alone would be one."""

    def note_sent(self, destination: str, terms: DigestTerms, now: datetime) -> Storm:
        """Count one more alert for a destination, this one included, in the time that began with the first of them."""

    def storm(self, destination: str) -> Storm | None:
        """What was counted; None where nothing was lately."""

    def due(self, destination: str, now: datetime, limit: int) -> list[Alert]:
        """Alerts of a destination that are due and in nobody's hands, the longest due first."""

    def fold(
        self, digest: Alert, lines: Mapping[str, HistoryEntry], now: datetime, *, is_last: bool = True
    ) -> Result:
        """Put the digest in the place of its members, each with its line of history; after the last one count anew.

        STALE, and nothing done, where one of them is under way or gone.
        """

    def waiting(self, limit: int) -> list[tuple[Alert, datetime]]:
        """Alerts not delivered yet with the instant of their next attempt, soonest first."""

    def dead(self, limit: int) -> list[DeadAlert]:
        """Alerts given up, newest first."""

    def redrive(self, key: str, now: datetime) -> Result:
        """Try a dead alert again from the beginning; that it may have arrived is one unknown attempt still."""

    def disable(self, destination: str, disabled: Disabled) -> Result:
        """Send nothing there until then; KNOWN where it is so already. It ends by itself, by the server's own clock.

        A rest it asked for is forgotten: what it does not get is given up at once, for others to hear.
        """

    def disabled(self, destinations: Sequence[str] = ()) -> dict[str, Disabled]:
        """Those of these destinations, or of all that ever had an alert, where nothing is sent just now."""

    def enable(self, destination: str) -> Result:
        """Send there again; GONE where it was not disabled."""


class Operations(Protocol):
    """What people on call ask."""

    def ledger(self) -> Ledger:
        """Counts of submissions, read at one instant."""

    def counters(self) -> dict[str, int]:
        """Every counter by name."""

    def metrics(self) -> dict[str, int]:
        """Every count of `core.metrics` by its field; each was written with the change it counts."""

    def health(self) -> Health:
        """Depths and ages of every stage."""

    def beat(self, process: str, now: datetime) -> None:
        """Note a sign of life; `process` is `stage@host:pid`."""

    def claim_hint(self, stage: str) -> bool:
        """Whether a hint to that stage is worth sending: none is on its way that nobody has taken."""

    def hint_taken(self, stage: str) -> None:
        """The stage begins to look now; whatever comes from here on is worth another hint."""

    def policy(self) -> ServerPolicy:
        """How the server is set up."""

    def renew_log(self) -> str:
        """Have the append-only file written anew where it may hold half a change; "" if not, "started", or why not.

        A crash may cut off what is being written. Started on such a file, some servers undo the half, leave it where it
        is and write on behind it. The next start carries it out after all, or throws away what stands behind it.
        """


class Audit(Protocol):
    """What the auditor reads and mends. A repair is refused (`STALE`) where anything moved since the look it is made on.

    Batches are walked with a cursor; "" begins and ends a round. Every repair is counted as `repaired:<finding>`.
    """

    def names(self, cursor: str, limit: int) -> tuple[list[str], list[str], str]:
        """A batch of everything kept, listed or not: ids of leads, pointers (`person:…`, `company:…`), and the next cursor."""

    def unindexed(self, cursor: str, limit: int) -> tuple[list[str], str]:
        """Of about so many open leads, those that are not in the deadline index, and the next cursor.

        Cheap enough to walk over all open leads again and again: no record is read. Most of those it answers are right
        to be missing, for their last step is done.
        """

    def mend_index(self, leads: Sequence[Lead]) -> int:
        """Make the index say what these records say, of those that are still of that version; of how many."""

    def leads(self, lead_ids: Sequence[str]) -> list[LeadFacts]:
        """Each lead with everything that points to it."""

    def repair(self, repair: LeadRepair) -> Result:
        """Write one lead's repair; GONE where it has no record any more."""

    def unlist(self, lead_id: str) -> Result:
        """Take a lead without record out of the open leads and the index."""

    def dangling(self, pointers: Sequence[str]) -> dict[str, str]:
        """Of these pointers (`person:…`, `company:…`), those to a lead that is not there, with its id."""

    def forget_pointer(self, name: str, lead_id: str) -> Result:
        """Drop a pointer to that lead, which is not there."""

    def load(self) -> LoadFacts:
        """Open leads by rep, and how often each count was changed."""

    def mend_load(self, rep: str, changes: int, found: int, counted: int) -> Result:
        """Make a rep's count, `found` after so many changes, what was counted."""

    def alert_keys(self, cursor: str, limit: int) -> tuple[list[str], str]:
        """A batch of the keys of alerts, kept or standing in an outbox; one may come twice."""

    def alerts(self, alert_keys: Sequence[str]) -> list[AlertFacts]:
        """Where each alert stands, all of them at one instant."""

    def mend_alert(
        self, seen: AlertFacts, finding: Finding, due: datetime | None, entry: HistoryEntry
    ) -> Result:
        """Put an alert that stands as it was seen where it is claimed; an empty place is taken out of its outbox.

        `due` None leaves it its instant. `entry` goes to its lead's history, if it has one.
        """

    def pending_since(self, idle: timedelta) -> int:
        """Entries of the queue that a router took so long ago and nobody settled; at most a thousand of each lane are counted."""

    def tell_once(self, name: str, counter: str, alert: Alert, once_in: timedelta) -> Result:
        """Put the alert into the outbox and count one `raised:<counter>`; KNOWN, and nothing done, where `name` was told lately."""

    def tell(self, finding: Finding, count: int, alert: Alert, once_in: timedelta) -> Result:
        """Count `count` as `raised:<finding>`, and put the alert into the outbox; KNOWN where one of that kind was told lately."""


class Privacy(Protocol):
    """Everything that is kept of people, and how it leaves."""

    def everything(self) -> Iterator[HeldBatch]:
        """Every key, a batch at a time, what waits in the queue first. What is there throughout is met once or more."""

    def alerts_of(self, lead_ids: Collection[str]) -> dict[str, list[str]]:
        """The keys of the alerts, waiting and dead, of each of these leads that has any."""

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
        """Take a lead out of everything, in one piece, and count it in `counter`; STALE where it has changed since.

        Version None: whatever record there is; 0: only what is left of a lead without one. `rep` is whose load an open lead counts in. `alerts` are cancelled;
        `pointers` (`person:…`, `company:…`, `seen:…`) go where they still point to it. GONE: there was no record, only remains.
        """

    def remove_pointer(self, name: str, lead_id: str) -> Result:
        """Take a pointer (`person:…`, `company:…`, `seen:…`) away where it still points to that lead, which stays as it is."""

    def remove_dead_letter(self, submission_id: str, counter: str) -> Result:
        """Drop a dead letter for good."""

    def remove_submission(self, entry_id: str, counter: str, form: str = "") -> Result:
        """Drop an entry of the queue unread; in ledger and metrics it is a dead letter of that form ("": none of config).

        GONE where it was settled meanwhile.
        """

    def remove_fetch(self, name: str, counter: str, form: str = "") -> Result:
        """Drop a submission of ids only whose tool is still asked; where it was never routed, as `remove_submission`.

        GONE where its tool has answered meanwhile.
        """

    def remove_dead_alert(self, key: str, counter: str) -> Result:
        """Forget an alert that was given up."""

    def rewrite(self, held: Held, new_text: str) -> Result:
        """Put another text in place of a history (the same number of lines) or an alert; STALE where it changed."""

    def oldest(self, until: datetime, skip: int, limit: int) -> list[str]:
        """Ids of leads received until then, oldest first, after `skip`."""

    def dead_letters_until(self, instant: datetime, limit: int) -> list[str]:
        """Ids of dead letters buried until then, oldest first."""

    def dead_alerts_until(self, instant: datetime, limit: int) -> list[str]:
        """Keys of alerts given up until then, oldest first."""

    def note_erasure(self, erasure: Erasure) -> None:
        """Keep that an erasure happened."""

    def erasures(self, limit: int) -> list[Erasure]:
        """The newest erasures first."""

    def rewrite_log(self) -> str:
        """Ask the server to rewrite its log, which still holds what was erased: "started", "busy" with an earlier one, or why not."""

    def log_is_rewritten(self) -> bool | None:
        """Whether that has ended well; None where the server keeps no log, or does not say."""

    def locked_among_newest(self, limit: int) -> int:
        """How many of the newest leads and dead letters need an encryption key that is not set."""

    def confirm(self) -> None:
        """Return once so many replicas as the store was told hold all that was written, so that no failover undoes it.

        Raises StoreUnavailable where these do not say so in time.
        """

    def reseal(self) -> Iterator[Resealed]:
        """Encrypt everything with the first key, a batch at a time; what is so already is passed over."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """A submission that holds ids only: `attempts` to ask its form tool, this one included.

    `is_routed`: its lead was routed by what is known. `is_locked`: it needs a key that this process does not have.
    """

    name: str
    submission: Submission
    attempts: int
    is_routed: bool = False
    is_locked: bool = False


#: Fetches that are looked at for those of each form.
FETCHES_LOOKED_AT = 5000


class Fetches(Protocol):
    """Submissions that hold ids only, until their form tool was asked. They come here by `Queue.settle` (`Await`)."""

    def due(self, now: datetime, limit: int) -> list[tuple[str, str]]:
        """Names and forms of those whose attempt is due, the longest overdue first; of each form at most `limit`.

        So the many of a tool that is slow do not hide those of another. No more than FETCHES_LOOKED_AT are looked at.
        """

    def overdue(self, now: datetime, limit: int) -> list[Fetch]:
        """Those that have waited long enough to be routed by what is known."""

    def claim(self, name: str, now: datetime, until: datetime) -> Fetch | None:
        """One that is due, this caller's until then; None where another has it, or it is settled."""

    def later(self, fetch: Fetch, at: datetime) -> Result:
        """Ask again then. GONE where it is settled."""

    def answered(self, fetch: Fetch, submission: Submission) -> Result:
        """Back into the queue with the answer; STALE where its lead was routed since it was claimed: claim it again."""

    def route_without(self, fetch: Fetch, submission: Submission) -> Result:
        """Into the queue with what is known; it stays to be asked. STALE where another did it."""

    def give_up(self, fetch: Fetch) -> Result:
        """Ask no more."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """How far the list that a form's tool keeps was compared with what arrived: whatever was sent before `since` was.

    At `next_at` it is compared again; `attempts` have failed since it last was, the one under way included.
    """

    form: str
    since: datetime
    next_at: datetime
    attempts: int = 0


class Reconciliations(Protocol):
    """How far each form's list was compared."""

    def of(self, forms: Sequence[str]) -> dict[str, Reconciliation]:
        """Those of these forms that were ever noted."""

    def note(self, before: Reconciliation | None, after: Reconciliation) -> Result:
        """Keep this in place of that; STALE where another is kept meanwhile. Of two who claim one night, one is first."""


class Configs(Protocol):
    """The config that is published, version after version; the newest is live. Every one of them is kept."""

    def current(self) -> ConfigVersion | None:
        """The version that is live; None where nothing was ever published. Cheap: every batch asks."""

    def version(self, number: int) -> ConfigVersion | None:
        """One version, or None."""

    def history(self, limit: int) -> list[ConfigVersion]:
        """The newest versions first."""

    def texts(self, digest: str) -> dict[str, bytes] | None:
        """What the files of that content say, by their names; None where it was never published.

        Raises UnreadableRecord where it was damaged.
        """

    def publish(self, version: ConfigVersion, texts: Mapping[str, bytes]) -> Result:
        """Make this the live version, whole or not at all; STALE where another one came first.

        Its number says what it was decided on: one more than that of the version that was live then. No failover takes
        it back once this returns: so many replicas as the store was told hold it. Raises StoreUnavailable where these
        do not say so in time, though it may be published.
        """

    def note_running(self, process: str, running: RunningConfig) -> None:
        """Keep for a day which config the process `host:pid` works with."""

    def running(self, processes: Sequence[str]) -> dict[str, RunningConfig]:
        """What these processes said they work with; of an older release nothing is known."""

    def size(self) -> int:
        """Bytes that all published versions take, as they are kept."""


class Shadow(Protocol):
    """The shadow config, at most one, and what came of it. It ends by itself after two weeks."""

    def begin(self, shadow: ShadowConfig, texts: Mapping[str, bytes]) -> None:
        """Make this the shadow, in place of another one; nothing is counted yet."""

    def current(self) -> ShadowConfig | None:
        """The shadow, or None."""

    def texts(self, shadow_id: str) -> dict[str, bytes] | None:
        """What its files say; None where it was ended, or another one was begun. Raises UnreadableRecord."""

    def note(self, shadow_id: str, counts: Mapping[str, int], examples: Sequence[str]) -> Result:
        """Add to its counts, and keep the newest examples (lines, oldest first); STALE where it is not the shadow any more."""

    def report(self, limit: int) -> tuple[dict[str, int], list[str]]:
        """Every count by name, and the newest examples first."""

    def end(self) -> Result:
        """Have no shadow any more, and forget what it counted; GONE where there was none."""


class Store(Protocol):
    """Everything that is kept."""

    @property
    def queue(self) -> Queue: ...  # noqa: D102
    @property
    def leads(self) -> Leads: ...  # noqa: D102
    @property
    def reps(self) -> Reps: ...  # noqa: D102
    @property
    def outbox(self) -> Outbox: ...  # noqa: D102
    @property
    def operations(self) -> Operations: ...  # noqa: D102
    @property
    def audit(self) -> Audit: ...  # noqa: D102
    @property
    def fetches(self) -> Fetches: ...  # noqa: D102
    @property
    def reconciliations(self) -> Reconciliations: ...  # noqa: D102
    @property
    def privacy(self) -> Privacy: ...  # noqa: D102
    @property
    def configs(self) -> Configs: ...  # noqa: D102
    @property
    def shadow(self) -> Shadow: ...  # noqa: D102

    def now(self) -> datetime:
        """The server's time: one clock for all hosts. Raises StoreUnavailable."""
