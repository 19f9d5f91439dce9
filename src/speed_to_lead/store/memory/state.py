"""All that the store in memory holds, and the one change that queue and leads both make."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from speed_to_lead.core.assignment import Rotation, RotationChange
from speed_to_lead.core.delivery import Trouble
from speed_to_lead.core.lead import Alert, HistoryEntry, Lead, LeadChange
from speed_to_lead.core.metrics import counts_of_change, counts_of_settlement
from speed_to_lead.core.reps import Absence, Given
from speed_to_lead.core.settlement import Admit, DeadLetter, Join, newest_of
from speed_to_lead.core.storm import Storm
from speed_to_lead.core.submission import Submission
from speed_to_lead.store.contract import (
    Disabled,
    Erasure,
    Reconciliation,
    Result,
    RunningConfig,
    ShadowConfig,
)


def came_as(entry_id: str) -> str:
    """The id an entry came in with; in the patient lane it has another one, made of that."""
    return entry_id.rpartition("/")[2]


@dataclass
class Pending:
    """An entry of the queue that a router has taken."""

    taken_at: datetime | None = None
    deliveries: int = 0


@dataclass
class Waiting:
    """An alert in the outbox; `dead_at` once it is given up."""

    alert: Alert
    next_at: datetime
    attempts: int = 0
    unknown: int = 0
    token: str = ""
    leased_until: datetime | None = None
    dead_at: datetime | None = None


@dataclass
class WaitingFetch:
    """A submission of ids only; `route_at` None once it was routed by what is known."""

    submission: Submission
    next_at: datetime
    route_at: datetime | None
    attempts: int = 0


@dataclass
class State:
    """Everything, as the keys of the Redis store hold it (`store/keys.py`)."""

    clock: Callable[[], datetime]
    entries: dict[str, Mapping[bytes, bytes]] = field(default_factory=dict)
    patient: dict[str, Mapping[bytes, bytes]] = field(default_factory=dict)
    pending: dict[str, Pending] = field(default_factory=dict)
    added: int = 0
    seen: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    repeats: dict[str, tuple[list[str], datetime]] = field(default_factory=dict)
    buried: dict[str, DeadLetter] = field(default_factory=dict)
    leads: dict[str, Lead] = field(default_factory=dict)
    history: dict[str, list[HistoryEntry]] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    companies: dict[str, str] = field(default_factory=dict)
    due: dict[str, datetime] = field(default_factory=dict)
    rotations: dict[str, Rotation] = field(default_factory=dict)
    given: dict[str, Given] = field(default_factory=dict)
    away: dict[str, Absence] = field(default_factory=dict)
    waiting: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    load: Counter[str] = field(default_factory=Counter)
    load_changes: Counter[str] = field(default_factory=Counter)
    listed: set[str] = field(default_factory=set)
    listed_open: set[str] = field(default_factory=set)
    told_until: dict[str, datetime] = field(default_factory=dict)
    ledger: Counter[str] = field(default_factory=Counter)
    metrics: Counter[str] = field(default_factory=Counter)
    alerts: dict[str, Waiting] = field(default_factory=dict)
    disabled: dict[str, Disabled] = field(default_factory=dict)
    storms: dict[str, Storm] = field(default_factory=dict)
    troubles: dict[str, Trouble] = field(default_factory=dict)
    quarantined: dict[str, str] = field(default_factory=dict)
    beats: dict[str, datetime] = field(default_factory=dict)
    hinted: set[str] = field(default_factory=set)
    fetches: dict[str, WaitingFetch] = field(default_factory=dict)
    reconciliations: dict[str, Reconciliation] = field(default_factory=dict)
    erasures: list[Erasure] = field(default_factory=list)
    config_versions: list[bytes] = field(default_factory=list)
    config_contents: dict[str, bytes] = field(default_factory=dict)
    config_running: dict[str, RunningConfig] = field(default_factory=dict)
    shadow: tuple[ShadowConfig, dict[str, bytes]] | None = None
    shadow_counts: Counter[str] = field(default_factory=Counter)
    shadow_examples: list[str] = field(default_factory=list)

    def change(self, change: LeadChange, settlement: Admit | Join | None) -> Result:
        """Write one change of a lead, and what settles the submission that caused it; or refuse both."""
        lead, turn = change.lead, change.rotation
        people = settlement.people if settlement is not None else ()
        company = settlement.company if settlement is not None else None
        refusal = self._refusal(change, settlement, people)
        if refusal is None and company is not None and self.companies.get(company[0]) != company[1]:
            refusal = Result.STALE
        if refusal is not None:
            return refusal
        self.leads[lead.id] = lead
        self.list(lead)
        self.history.setdefault(lead.id, []).extend(change.history)
        self.index(lead.id, lead.next_at)
        self.people.update((person, newest_of(lead, before)) for person, before in people)
        if company is not None:
            self.companies[company[0]] = newest_of(lead, company[1])
        if turn is not None:
            self.rotations[turn.team] = turn.applied_to(self.rotations.get(turn.team, Rotation()))
            if turn.given is not None:
                self.given[turn.rep] = turn.given
        if lead.waits_for_a_rep:
            self.waiting[lead.id] = lead.deadline, lead.team
        else:
            self.waiting.pop(lead.id, None)
        self.ledger.update(change.counters)
        self.load.update(change.load)
        self.metrics.update(counts_of_settlement(settlement) if settlement else counts_of_change(change))
        self.load_changes.update(change.load.keys())
        for alert in change.alerts:
            self.alerts.setdefault(alert.key, Waiting(alert, alert.decided_at))
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
        if settlement is not None and not self.waits(settlement.entry_id):
            return Result.SETTLED
        known = self.leads.get(change.lead.id)
        if (known.version if known else 0) != change.lead.version - 1:
            return Result.STALE if known else Result.GONE
        if settlement is not None and any(self.lead_seen(seen.key) is not None for seen in settlement.seen):
            return Result.STALE
        if any(self.people.get(person) != expected for person, expected in people):
            return Result.STALE
        if change.lines_read not in (None, len(self.history.get(change.lead.id, ()))):
            return Result.STALE
        turn = change.rotation
        is_held = turn is None or self._still_holds(turn)
        return None if is_held else Result.STALE

    def _still_holds(self, turn: RotationChange) -> bool:
        """Whether nobody picked in that team, or gave that rep a lead, since the pick was decided."""
        return (
            self.rotations.get(turn.team, Rotation()).version == turn.version
            and (turn.given is None or self.given.get(turn.rep) == turn.given_before)
            and (turn.max_open is None or self.load[turn.rep] < turn.max_open)
        )

    def index(self, lead_id: str, next_at: datetime | None) -> None:
        """Make the deadline index say when the lead is next due."""
        if next_at is None:
            self.due.pop(lead_id, None)
        else:
            self.due[lead_id] = next_at

    def list(self, lead: Lead) -> None:
        """Put the lead among all leads, and among the open ones while it is."""
        self.listed.add(lead.id)
        if lead.is_open:
            self.listed_open.add(lead.id)
        else:
            self.listed_open.discard(lead.id)

    def lead_seen(self, key: str) -> str | None:
        """The lead that a submission with this key became, while that is remembered."""
        lead_id, until = self.seen.get(key, ("", self.clock()))
        return lead_id if until > self.clock() else None

    def waits(self, entry_id: str) -> bool:
        """Whether nobody has settled that entry yet, in whatever lane it is."""
        return entry_id in self.entries or entry_id in self.patient

    def settled(self, entry_id: str) -> None:
        """Take an entry off the queue."""
        lane = self.entries if entry_id in self.entries else self.patient
        del lane[entry_id]
        self.pending.pop(entry_id, None)
