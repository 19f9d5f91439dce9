"""The auditor: walks over everything that is kept, and asks of each thing whether it contradicts the promises.

    index     is every open lead that waits for an instant in the deadline index? A round of its own, over in seconds
    walk      two rounds at once, a batch of each in turn: the open leads, and everything there is (with the alerts)
    suspect   what a look found; a birth, an answer or an alert on its way may look like it
    confirm   a later look found the very same thing, and nothing happened between: now it is a contradiction
    act       repaired from the record and history where they say for certain what should be, else told to somebody

What contradicts what is decided in `core.audit`. Any number of auditors may walk at once: a repair is refused where
anything moved since the look it was made on. Where the rounds stand lives in the process; after a restart they begin
again, and so do the suspicions: the cost is one more look.

A lead that is missing in the index is the one damage that costs alerts, so it must not wait for a walk that takes hours
where a million leads are open. Where so many are missing at once that the index itself was lost, they are put back at
once, by the script the clock itself mends with: it makes the index say what the record of that version says.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from speed_to_lead.core.audit import (
    PENDING_TOO_LONG,
    AlertFacts,
    Contradiction,
    Finding,
    LeadFacts,
    LoadFacts,
    audit_alert,
    audit_books,
    audit_lead,
    audit_load,
    dangling_finding,
    repair_of,
    waits_until,
)
from speed_to_lead.core.lead import Alert, AlertKind, HistoryEntry, Lead
from speed_to_lead.store import Result
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

#: Leads, names and alerts in one batch: a few milliseconds of the server's time.
BATCH = 100
#: Open leads asked for in one look at the index: a millisecond or two of the server's time.
INDEX_BATCH = 1000
#: The part of a tick that may go to the index, after which the other rounds have their turn.
INDEX_SHARE = 0.25
#: More waiting leads than this missing in one look: the index was lost, not the place of a lead.
INDEX_LOST = 100
#: Then a tick may take so long, for the clock has nothing to sweep without its index.
MENDING_SECONDS = 1.0
#: Suspicions held at once; what does not fit is found again in the next round.
SUSPICIONS = 1000
#: A kind of contradiction is told of once in this time; those that follow are counted.
TOLD_ONCE_IN = timedelta(days=1)
#: A server that was asked to write its append-only file anew is not asked again for so many seconds. Where it is to be asked
#: again and again, each pause is twice the last, up to this: what fails for want of room must not take up the rest of it.
ASK_AGAIN_AFTER = 15.0
ASK_AGAIN_AT_LEAST_EVERY = 600.0
#: A router that has been silent for so long, and holds nothing, is struck off the list of the queue's consumers.
FORGET_CONSUMER_AFTER = timedelta(hours=1)

HALF_A_CHANGE = (
    "its append-only file may hold half a change that a crash cut off; the next start may carry it out, or lose what was "
    "written since this one. Run BGREWRITEAOF as its administrator, and let our user do it (docs/security.md)"
)

_LEAD_FINDINGS = frozenset((
    Finding.NOT_INDEXED, Finding.INDEXED_WRONG, Finding.INDEXED_DONE, Finding.OVERDUE, Finding.OPEN_UNLISTED,
    Finding.WAITING_LOST, Finding.WAITING_DONE,
    Finding.DONE_LISTED, Finding.UNLISTED, Finding.NO_RECORD, Finding.UNREADABLE, Finding.PERSON_LOST,
    Finding.TWO_OPEN, Finding.NO_REP, Finding.ALERT_LOST,
))  # fmt: skip
_ALERT_FINDINGS = frozenset((
    Finding.ALERT_STRANDED, Finding.ALERT_EMPTY, Finding.ALERT_PUT_OFF, Finding.LEASE_STUCK, Finding.OUTBOX_UNNAMED,
))  # fmt: skip

_POINTER_FINDINGS = frozenset((Finding.PERSON_DANGLING, Finding.COMPANY_DANGLING))

#: What each kind that is told of means, and what shows more.
_MEANING = {
    Finding.OVERDUE: "a lead is past its instant and no clock came; `speed-to-lead status` shows who is silent",
    Finding.UNREADABLE: "a lead's record cannot be read, so nobody watches it",
    Finding.TWO_OPEN: "a lead shares its person with another open lead; close one of the two",
    Finding.NO_REP: "a lead has no rep, and nothing says why; `speed-to-lead leads show` tells its story",
    Finding.LEDGER: "a submission is unaccounted for; `speed-to-lead ledger` shows the books",
    Finding.PENDING: "a submission was taken by a router and nobody settles it; restart the routers",
    Finding.QUARANTINED: "a lead is in quarantine, so nobody watches it; `speed-to-lead doctor` shows why",
}


@dataclass
class _OpenRound:
    """One round over the open leads: how many each rep was seen to have, to be compared with the counts at its end."""

    load: LoadFacts
    seen: set[str] = field(default_factory=set)
    by_rep: Counter[str] = field(default_factory=Counter)
    is_certain: bool = True


@dataclass
class Auditor:
    """One process's auditor."""

    place: Workplace
    suspicions: dict[Contradiction, datetime] = field(default_factory=dict)
    acted_on: Counter[Finding] = field(default_factory=Counter)
    _index_cursor: str = ""
    _open_cursor: str = ""
    _waiting_skip: int = 0
    _open_round: _OpenRound | None = None
    _name_cursor: str = ""
    _alert_cursor: str = ""
    _names_are_done: bool = False
    _sets_are_right: bool = False  # of the last round over all names: each open lead was among the open ones
    _sets_were_right: bool = True
    _is_to_tell: Counter[Finding] = field(default_factory=Counter)
    _first_told: dict[Finding, str] = field(default_factory=dict)
    _log_asked_at: float = float("-inf")
    _log_pause: float = ASK_AGAIN_AFTER
    _log_answer: str = ""

    def tick(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Walk on for so long, or until both rounds are through. Raises StoreUnavailable; the next tick goes on."""
        self._renew_log(monotonic())
        ends_at = monotonic() + seconds
        others = (1 - INDEX_SHARE) * seconds
        self._walk_index(ends_at - others, monotonic)
        # One look may take longer than its share: where ladders are done, a thousand records are read. The other rounds
        # get their time all the same.
        ends_at = max(ends_at, monotonic() + others)
        self._look_again()
        self._walk_waiting()
        open_is_done = all_is_done = False
        while not (open_is_done and all_is_done):
            open_is_done = open_is_done or self._walk_open()
            all_is_done = all_is_done or self._walk_all()
            if monotonic() >= ends_at:
                break
        self._tell()

    def _renew_log(self, now: float) -> None:
        """Let the server, which may have been started on half a change, forget it before it is started again."""
        passed = now - self._log_asked_at
        if passed < self._log_pause:
            return
        answer, before = self.place.store.operations.renew_log(), self._log_answer
        if answer:
            is_again = passed <= 2 * self._log_pause
            self._log_pause = (
                min(2 * self._log_pause, ASK_AGAIN_AT_LEAST_EVERY) if is_again else ASK_AGAIN_AFTER
            )
            self._log_asked_at, self._log_answer = now, answer
        if answer == "started":
            log.info("server.log_renewed")
        elif answer not in ("", before):  # said once, not for as long as it is so
            log.error("server.log_not_renewed", answer=answer, cost=HALF_A_CHANGE)

    # --- walking

    def _walk_index(self, ends_at: float, monotonic: Callable[[], float]) -> None:
        """Look for open leads that the index should have and has not, to the end of the round or of the time."""
        store, began = self.place.store, monotonic()
        while True:
            missing, self._index_cursor = store.audit.unindexed(self._index_cursor, INDEX_BATCH)
            waiting = self._waiting(missing)
            if len(waiting) > INDEX_LOST:
                self._mend_index(waiting)
                ends_at = max(ends_at, began + MENDING_SECONDS)
            elif waiting:
                self._look_at_leads([lead.id for lead in waiting])
            if not self._index_cursor or monotonic() >= ends_at:
                return

    def _waiting(self, missing: list[str]) -> list[Lead]:
        """Of these leads, which are not in the index, those that wait for an instant and are in nobody's hands."""
        if not missing:
            return []
        store = self.place.store
        put_aside = store.leads.quarantined()
        records = store.leads.get_many([lead_id for lead_id in missing if lead_id not in put_aside])
        return [record for record in records if isinstance(record, Lead) and waits_until(record) is not None]

    def _mend_index(self, waiting: list[Lead]) -> None:
        """Put leads back. Their place is looked at once more: one that was written since its record was read has one."""
        store = self.place.store
        places = store.leads.indexed_at([lead.id for lead in waiting])
        lost = [lead for lead, place in zip(waiting, places, strict=True) if place is None]
        mended = store.audit.mend_index(lost)
        if mended:  # else another auditor was here first
            self.acted_on[Finding.NOT_INDEXED] += mended
            log.error("audit.index_lost", mended=mended)

    def _walk_waiting(self) -> None:
        """A batch of those that are listed as waiting for a rep: a hand-out passes by what it cannot give to anybody.

        The other damage, a lead that waits and is not listed, is found in the round over the open leads.
        """
        listed = self.place.store.reps.waiting(BATCH, self._waiting_skip)
        self._waiting_skip = self._waiting_skip + BATCH if len(listed) == BATCH else 0
        self._look_at_leads([lead_id for lead_id, _ in listed])

    def _walk_open(self) -> bool:
        """A batch of the open leads; whether it was the last of the round."""
        store = self.place.store
        if self._open_round is None:
            self._open_round = _OpenRound(store.audit.load())
        ids, self._open_cursor = store.leads.scan(self._open_cursor, BATCH)
        for facts in self._look_at_leads(ids):
            self._count(facts, self._open_round)
        if self._open_cursor:
            return False
        finished, self._open_round = self._open_round, None
        self._look_at_loads(finished)
        self._look_at_books()
        store.queue.forget_consumers(FORGET_CONSUMER_AFTER)
        return True

    def _walk_all(self) -> bool:
        """A batch of all names or, after the last of them, of the alerts; whether the round is through."""
        store = self.place.store
        if not self._names_are_done:
            ids, pointers, self._name_cursor = store.audit.names(self._name_cursor, BATCH)
            for facts in self._look_at_leads(ids):
                if facts.lead is not None and facts.lead.is_open and not facts.in_open:
                    self._sets_were_right = False
            self._look_at_pointers(pointers)
            if not self._name_cursor:
                self._names_are_done = True
                self._sets_are_right, self._sets_were_right = self._sets_were_right, True
            return False
        keys, self._alert_cursor = store.audit.alert_keys(self._alert_cursor, BATCH)
        self._look_at_alerts(keys)
        self._names_are_done = bool(self._alert_cursor)
        return not self._alert_cursor

    def _look_again(self) -> None:
        """Look at what was suspected long enough ago. Loads are counted anew in each round, and looked at there."""
        now = self.place.store.now()
        ripe = [one for one, since in self.suspicions.items() if now - since >= one.finding.patience]
        leads = sorted({one.subject for one in ripe if one.finding in _LEAD_FINDINGS})
        alerts = sorted({one.subject for one in ripe if one.finding in _ALERT_FINDINGS})
        pointers = sorted({one.subject for one in ripe if one.finding in _POINTER_FINDINGS})
        for start in range(0, len(leads), BATCH):
            self._look_at_leads(leads[start : start + BATCH])
        for start in range(0, len(alerts), BATCH):
            self._look_at_alerts(alerts[start : start + BATCH])
        if pointers:
            self._look_at_pointers(pointers)

    # --- looking

    def _look_at_leads(self, ids: list[str]) -> list[LeadFacts]:
        """Everything about these leads. One in quarantine was told of, and waits for somebody to release it."""
        if not ids:
            return []
        store = self.place.store
        put_aside = store.leads.quarantined()
        now = store.now()
        looked_at = store.audit.leads(ids)
        found: list[tuple[LeadFacts, tuple[Contradiction, ...]]] = [
            (facts, () if facts.lead_id in put_aside else audit_lead(facts, now)) for facts in looked_at
        ]
        confirmed = set(self._weigh([c for _, some in found for c in some], _LEAD_FINDINGS, ids, now))
        for facts, some in found:
            certain = tuple(one for one in some if one in confirmed)
            if certain:
                self._repair_lead(facts, certain, now)
        return looked_at

    def _look_at_pointers(self, names: list[str]) -> None:
        store = self.place.store
        found = [
            Contradiction(dangling_finding(name), name, (lead_id,))
            for name, lead_id in store.audit.dangling(names).items()
        ]
        for one in self._weigh(found, _POINTER_FINDINGS, names, store.now()):
            self._repaired(one, store.audit.forget_pointer(one.subject, str(one.seen[0])))

    def _look_at_alerts(self, keys: list[str]) -> None:
        store, now = self.place.store, self.place.store.now()
        found = [audit_alert(facts, now) for facts in store.audit.alerts(keys)] if keys else []
        contradictions = [one for one in found if one is not None]
        for one in self._weigh(contradictions, _ALERT_FINDINGS, keys, now):
            seen = one.seen[0]
            assert isinstance(seen, AlertFacts)
            due = now if one.finding is not Finding.OUTBOX_UNNAMED else None
            step = seen.key.partition(":")[2].rpartition(":")[0]
            details = {"findings": [one.finding.value], "step": step, "to": seen.destination}
            entry = HistoryEntry(now, "audit.repaired", details)
            self._repaired(one, store.audit.mend_alert(seen, one.finding, due, entry))

    def _look_at_loads(self, finished: _OpenRound) -> None:
        """Compare the counts with what the round saw; only where it saw every open lead."""
        store = self.place.store
        after = store.audit.load()
        is_certain = finished.is_certain and self._sets_are_right
        found = audit_load(finished.load, finished.by_rep, after) if is_certain else ()
        reps = {*finished.by_rep, *after.load, *finished.load.load}
        for one in self._weigh(found, {Finding.LOAD_WRONG}, reps, store.now()):
            changes, held, counted = (int(str(number)) for number in one.seen)
            self._repaired(one, store.audit.mend_load(one.subject, changes, held, counted))

    def _look_at_books(self) -> None:
        store = self.place.store
        ledger = store.operations.ledger()
        pending, quarantined = store.audit.pending_since(PENDING_TOO_LONG), len(store.leads.quarantined())
        found = audit_books(ledger, pending, quarantined)
        counts = {
            Finding.LEDGER: abs(ledger.difference),
            Finding.PENDING: pending,
            Finding.QUARANTINED: quarantined,
        }
        for one in self._weigh(found, counts, [kind.value for kind in counts], store.now()):
            self._raise(one, counts[one.finding])

    def _count(self, facts: LeadFacts, this_round: _OpenRound) -> None:
        if facts.lead_id in this_round.seen:
            return  # a walk over a set that is written to may meet one twice
        this_round.seen.add(facts.lead_id)
        if facts.lead is None:
            this_round.is_certain = False
        elif facts.lead.is_open and facts.lead.rep:
            this_round.by_rep[facts.lead.rep] += 1

    # --- confirming

    def _weigh(
        self,
        found: Iterable[Contradiction],
        kinds: Collection[Finding],
        looked_at: Collection[str],
        now: datetime,
    ) -> list[Contradiction]:
        """Of what a look found, what is certain: found by a look long enough ago, the very same.

        The rest is suspected from now on; what was suspected of the things looked at and is not found is forgotten.
        """
        fresh = dict.fromkeys(found)
        subjects = set(looked_at)
        for one in [one for one in self.suspicions if one.finding in kinds and one.subject in subjects]:
            if one not in fresh:
                del self.suspicions[one]
        certain = []
        for one in fresh:
            since = self.suspicions.get(one)
            if since is not None and now - since >= one.finding.patience:
                del self.suspicions[one]
                certain.append(one)
            elif since is None and len(self.suspicions) < SUSPICIONS:
                self.suspicions[one] = now
        return certain

    # --- acting

    def _repair_lead(self, facts: LeadFacts, certain: tuple[Contradiction, ...], now: datetime) -> None:
        store = self.place.store
        for one in certain:
            if one.finding is Finding.NO_RECORD:
                self._repaired(one, store.audit.unlist(one.subject))
            elif not one.finding.is_repaired:
                self._raise(one)
        team = self.place.config.rulebook.teams.get(facts.lead.team) if facts.lead is not None else None
        repair = repair_of(facts, certain, team, now)
        if repair is None:
            return
        result = store.audit.repair(repair)
        for one in certain:
            if one.finding.is_repaired:
                self._repaired(one, result)

    def _repaired(self, one: Contradiction, result: Result) -> None:
        if result is not Result.APPLIED:
            return  # something happened meanwhile: no contradiction, or another one
        self.acted_on[one.finding] += 1
        log.warning("audit.repaired", finding=one.finding.value, subject=_loggable(one))

    def _raise(self, one: Contradiction, count: int = 1) -> None:
        self.acted_on[one.finding] += 1
        self._is_to_tell[one.finding] += count
        self._first_told.setdefault(one.finding, one.subject)
        log.error("audit.contradiction", finding=one.finding.value, subject=_loggable(one), count=count)

    def _tell(self) -> None:
        """One alert for each kind found, with their number; a storm is one alert, and the next ones are counted."""
        now = self.place.store.now()
        for finding, count in list(self._is_to_tell.items()):
            first = self._first_told.get(finding, "")
            example = f" The first: {first}." if finding in _LEAD_FINDINGS else ""
            times = "once" if count == 1 else f"{count:,} times"
            alert = Alert(
                "system",
                f"audit.{finding.value}.{now:%Y-%m-%d}",
                self.place.fallback_destination,
                AlertKind.CONTRADICTION,
                now,
                note=f"Found {times}: {_MEANING[finding]}.{example} More of this kind are counted, and told again after a day.",
            )
            self.place.store.audit.tell(finding, count, alert, TOLD_ONCE_IN)
            del self._is_to_tell[finding]
            self._first_told.pop(finding, None)


def _loggable(one: Contradiction) -> str:
    """The subject, but of a pointer, whose name is made of somebody's address, no more than whose it is."""
    return one.subject.partition(":")[0] if one.finding in _POINTER_FINDINGS else one.subject
