"""Alerts waiting to be delivered, in memory."""

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from speed_to_lead.core.clock import to_ms
from speed_to_lead.core.delivery import Trouble
from speed_to_lead.core.lead import Alert, HistoryEntry, Lead
from speed_to_lead.core.metrics import counts_of_attempt
from speed_to_lead.core.storm import DigestTerms, Storm, line_in
from speed_to_lead.store.contract import AlertSettlement, ClaimedAlert, DeadAlert, Disabled, Result
from speed_to_lead.store.memory.state import State, Waiting


class MemoryOutbox:
    """Alerts in memory."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, alert: Alert, due: datetime) -> Result:
        """Put an alert about the system into the outbox."""
        if alert.key in self._state.alerts:
            return Result.KNOWN
        self._state.alerts[alert.key] = Waiting(alert, due)
        return Result.APPLIED

    def destinations_due(self, now: datetime) -> dict[str, int]:
        """Destinations with alerts due."""
        due = Counter(w.alert.destination for w in self._alive() if w.next_at <= now)
        troubles = {name: self._trouble(name, now) for name in due}
        return {
            name: count
            for name, count in due.items()
            if not ((trouble := troubles[name]) and trouble.rests(now) and not trouble.is_long(now))
        }

    def in_trouble(self, destination: str, now: datetime) -> bool:
        """Whether it has taken nothing for long."""
        trouble = self._trouble(destination, now)
        return trouble is not None and trouble.is_long(now)

    def claim(
        self, destination: str, now: datetime, lease: timedelta, *, at_once: int
    ) -> ClaimedAlert | None:
        """Lease the first due alert of a destination."""
        mine = [w for w in self._alive() if w.alert.destination == destination]
        leased = sum(w.leased_until is not None and w.leased_until > now for w in mine)
        trouble = self._trouble(destination, now)
        is_in_vain = trouble is not None and trouble.is_long(now) and (trouble.rests(now) or leased > 0)
        if trouble is not None and not is_in_vain:
            if trouble.rests(now):
                return None
            if trouble.rest_until is not None:
                at_once = 1
        if leased >= at_once:
            return None
        due = sorted((w for w in mine if w.next_at <= now), key=lambda w: (w.next_at, w.alert.key))
        if not due:
            return None
        waiting = due[0]
        waiting.unknown += bool(waiting.token)
        waiting.attempts += 1
        waiting.token = secrets.token_hex(8)
        waiting.next_at = waiting.leased_until = now + lease
        return ClaimedAlert(_counted(waiting), waiting.token, is_in_vain=is_in_vain)

    def confirm(self, claimed: ClaimedAlert, leased_until: datetime) -> tuple[Result, Lead | None]:
        """Renew the lease, and read the lead."""
        alert = claimed.alert
        lead = None if alert.kind.is_about_system else self._state.leads.get(alert.lead_id)
        waiting = self._state.alerts.get(alert.key)
        if waiting is None or waiting.token != claimed.token:
            return Result.GONE, lead
        waiting.next_at = waiting.leased_until = leased_until
        return Result.APPLIED, lead

    def settle(self, claimed: ClaimedAlert, settlement: AlertSettlement) -> Result:
        """Write what an attempt came to."""
        waiting = self._state.alerts.get(claimed.alert.key)
        if waiting is None or waiting.token != claimed.token:
            return Result.STALE
        waiting.token, waiting.leased_until = "", None
        self._note_trouble(claimed.alert.destination, settlement)
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
        if settlement.history is not None:
            for member in claimed.alert.members:
                self._add_line(*line_in(claimed.alert, member, settlement.history))
            self._add_line(claimed.alert.lead_id, settlement.history)
        also = settlement.also
        if also is not None and self._has_changed_since(also.lead_id, settlement.told_version):
            self._state.alerts.setdefault(also.key, Waiting(also, also.decided_at))
        return Result.APPLIED

    def _has_changed_since(self, lead_id: str, version: int | None) -> bool:
        lead = self._state.leads.get(lead_id)
        return version is None or (lead is not None and lead.version != version)

    def settle_and_claim(
        self,
        claimed: ClaimedAlert,
        settlement: AlertSettlement,
        now: datetime,
        lease: timedelta,
        *,
        at_once: int,
    ) -> tuple[Result, ClaimedAlert | None]:
        """Settle an alert and lease the next of its destination."""
        settled = self.settle(claimed, settlement)
        return settled, self.claim(claimed.alert.destination, now, lease, at_once=at_once)

    def _note_trouble(self, destination: str, settlement: AlertSettlement) -> None:
        if settlement.result == "delivered":
            self._state.troubles.pop(destination, None)
        elif settlement.trouble is not None:
            known = self._trouble(destination, settlement.trouble.last)
            self._state.troubles[destination] = (
                known.after(settlement.trouble) if known else settlement.trouble
            )

    def _trouble(self, destination: str, now: datetime) -> Trouble | None:
        trouble = self._state.troubles.get(destination)
        return None if trouble is None or trouble.is_over(now) else trouble

    def note_sent(self, destination: str, terms: DigestTerms, now: datetime) -> Storm:
        """Count one more alert for a destination."""
        storm = self._state.storms.get(destination)
        passed = now - storm.began if storm is not None else timedelta()
        is_over = passed >= terms.within and storm is not None and storm.count <= terms.over
        if storm is None or is_over or passed >= 2 * terms.within:
            storm = Storm(now, 0)
        self._state.storms[destination] = Storm(storm.began, storm.count + 1)
        return self._state.storms[destination]

    def storm(self, destination: str) -> Storm | None:
        """What was counted."""
        return self._state.storms.get(destination)

    def due(self, destination: str, now: datetime, limit: int) -> list[Alert]:
        """Alerts that are due."""
        mine = [w for w in self._alive() if w.alert.destination == destination and w.next_at <= now]
        return [_counted(w) for w in sorted(mine, key=lambda w: (to_ms(w.next_at), w.alert.key))[:limit]]

    def fold(
        self, digest: Alert, lines: Mapping[str, HistoryEntry], now: datetime, *, is_last: bool = True
    ) -> Result:
        """Put the digest in the place of its members."""
        alerts = self._state.alerts
        members = [alerts.get(key) for key in lines]
        if digest.key in alerts or any(w is None or w.leased_until or w.dead_at for w in members):
            return Result.STALE
        for key, line in lines.items():
            del alerts[key]
            self._add_line(key.partition(":")[0], line)
            self._state.ledger["alerts_folded"] += 1
        alerts[digest.key] = Waiting(digest, now)
        if is_last:
            self._state.storms.pop(digest.destination, None)
        return Result.APPLIED

    def _add_line(self, lead_id: str, line: HistoryEntry) -> None:
        if lead_id in self._state.leads:
            self._state.history.setdefault(lead_id, []).append(line)

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
        self._state.alerts[key] = Waiting(waiting.alert, now, unknown=min(waiting.unknown, 1))
        return Result.APPLIED

    def disable(self, destination: str, disabled: Disabled) -> Result:
        """Send nothing there for a while."""
        self._state.troubles.pop(destination, None)
        if self.disabled([destination]):
            return Result.KNOWN
        self._state.disabled[destination] = disabled
        return Result.APPLIED

    def disabled(self, destinations: Sequence[str] = ()) -> dict[str, Disabled]:
        """Destinations that are sent nothing."""
        now = self._state.clock()
        found = {name: one for name, one in self._state.disabled.items() if one.until > now}
        return {name: one for name, one in found.items() if not destinations or name in destinations}

    def enable(self, destination: str) -> Result:
        """Send there again."""
        found = self.disabled([destination])
        self._state.disabled.pop(destination, None)
        return Result.APPLIED if found else Result.GONE

    def _alive(self) -> list[Waiting]:
        return [waiting for waiting in self._state.alerts.values() if waiting.dead_at is None]


def _counted(waiting: Waiting) -> Alert:
    return replace(waiting.alert, attempts=waiting.attempts, unknown_attempts=waiting.unknown)
