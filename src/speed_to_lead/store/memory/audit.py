"""The auditor's way into the store in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from speed_to_lead.core.audit import (
    AlertFacts,
    Finding,
    LeadFacts,
    LeadRepair,
    LoadFacts,
    dangling_finding,
    untold,
    waits_for,
    waits_until,
)
from speed_to_lead.core.lead import Alert, HistoryEntry, Lead
from speed_to_lead.core.submission import person_keys
from speed_to_lead.store.contract import Result
from speed_to_lead.store.memory.state import State, Waiting


class MemoryAudit:
    """What the auditor reads and mends, in memory. An alert and its place in the outbox are one thing here."""

    def __init__(self, state: State) -> None:
        self._state = state

    def names(self, cursor: str, limit: int) -> tuple[list[str], list[str], str]:
        """Everything, in the order of its name."""
        names = sorted((*(f"l{i}" for i in self._state.leads), *(f"p{name}" for name in self._pointers())))
        page = [name for name in names if name > cursor][:limit]
        leads = [name[1:] for name in page if name.startswith("l")]
        pointers = [name[1:] for name in page if name.startswith("p")]
        return leads, pointers, page[-1] if page and page[-1] != names[-1] else ""

    def unindexed(self, cursor: str, limit: int) -> tuple[list[str], str]:
        """Open leads that are not in the index, in the order of their ids."""
        ids = sorted(lead_id for lead_id in self._state.listed_open if lead_id > cursor)
        page = ids[:limit]
        missing = [lead_id for lead_id in page if lead_id not in self._state.due]
        return missing, page[-1] if len(ids) > limit else ""

    def mend_index(self, leads: Sequence[Lead]) -> int:
        """Make the index say what these records say."""
        state, mended = self._state, 0
        for lead in leads:
            known = state.leads.get(lead.id)
            if known is None or known.version != lead.version:
                continue
            mended += 1
            instant = waits_until(lead)
            if instant is None:
                state.due.pop(lead.id, None)
            else:
                state.due[lead.id] = instant
        if mended:
            state.ledger[f"repaired:{Finding.NOT_INDEXED.value}"] += mended
        return mended

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
            waiting=state.waiting.get(lead_id),
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
        state.waiting.pop(lead.id, None)
        if (waits := waits_for(lead)) is not None:
            state.waiting[lead.id] = waits
        history.append(repair.entry)
        state.people.update((key, lead.id) for key, _ in repair.people)
        state.alerts.update((alert.key, Waiting(alert, alert.decided_at)) for alert in repair.alerts)
        state.ledger.update(f"repaired:{finding.value}" for finding in repair.findings)
        return Result.APPLIED

    def unlist(self, lead_id: str) -> Result:
        """Take a lead without record out of the open leads, the index and those that wait for a rep."""
        if lead_id in self._state.leads:
            return Result.STALE
        self._state.listed_open.discard(lead_id)
        self._state.due.pop(lead_id, None)
        self._state.waiting.pop(lead_id, None)
        return self._repaired(Finding.NO_RECORD)

    def dangling(self, pointers: Sequence[str]) -> dict[str, str]:
        """Those that point to a lead that is not there."""
        found = self._pointers()
        return {
            name: found[name] for name in pointers if name in found and found[name] not in self._state.leads
        }

    def forget_pointer(self, name: str, lead_id: str) -> Result:
        """Drop a pointer to no lead."""
        if self._pointers().get(name) != lead_id or lead_id in self._state.leads:
            return Result.STALE
        kind, _, key = name.partition(":")
        del (self._state.people if kind == "person" else self._state.companies)[key]
        return self._repaired(dangling_finding(name))

    def _pointers(self) -> dict[str, str]:
        """Every pointer by its name, with the lead it points to."""
        found = {f"person:{key}": lead_id for key, lead_id in self._state.people.items()}
        return found | {f"company:{key}": lead_id for key, lead_id in self._state.companies.items()}

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
        told = self._tell(finding.value, alert, once_in)
        self._state.ledger[f"raised:{finding.value}"] += count
        return told

    def tell_once(self, name: str, counter: str, alert: Alert, once_in: timedelta) -> Result:
        """Put the alert into the outbox once in a while, and count it then."""
        told = self._tell(name, alert, once_in)
        if told is Result.APPLIED:
            self._state.ledger[f"raised:{counter}"] += 1
        return told

    def _tell(self, name: str, alert: Alert, once_in: timedelta) -> Result:
        state, now = self._state, self._state.clock()
        if state.told_until.get(name, now) > now:
            return Result.KNOWN
        state.told_until[name] = now + once_in
        state.alerts.setdefault(alert.key, Waiting(alert, alert.decided_at))
        return Result.APPLIED

    def _repaired(self, finding: Finding) -> Result:
        self._state.ledger[f"repaired:{finding.value}"] += 1
        return Result.APPLIED
