"""What people on call ask, answered from memory."""

from collections.abc import Iterable
from datetime import datetime

from speed_to_lead.core.audit import Ledger
from speed_to_lead.core.clock import from_ms
from speed_to_lead.store.contract import Health, OutboxHealth, ServerPolicy
from speed_to_lead.store.memory.state import State, Waiting, came_as
from speed_to_lead.store.operations import FORGET_PROCESS_AFTER, PUT_BACK


class MemoryOperations:
    """Ledger and health of the store in memory."""

    def __init__(self, state: State) -> None:
        self._state = state

    def ledger(self) -> Ledger:
        """Counts of submissions."""
        counts = self._state.ledger
        return Ledger(
            received=self._state.added - sum(counts[name] for name in PUT_BACK),
            leads=counts["leads"],
            touches=counts["touches"],
            duplicates=counts["duplicates"],
            tests=counts["tests"],
            dead_letters=counts["dead_letters"],
            in_flight=len(self._state.entries)
            + len(self._state.patient)
            + sum(one.route_at is not None for one in self._state.fetches.values()),
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
        by_destination: dict[str, list[Waiting]] = {}
        for waiting in alive:
            by_destination.setdefault(waiting.alert.destination, []).append(waiting)
        return Health(
            now=now,
            queued=len(state.entries),
            queued_oldest=age(map(_added_at, state.entries)),
            patient=len(state.patient),
            patient_oldest=age(map(_added_at, state.patient)),
            pending=len(state.pending),
            due=sum(at <= now for at in state.due.values()),
            due_oldest=age(state.due.values()),
            scheduled=len(state.due),
            open_leads=sum(lead.is_open for lead in state.leads.values()),
            waiting=len(state.waiting),
            waiting_oldest=age(
                state.leads[lead].received_at for lead in state.waiting if lead in state.leads
            ),
            fetches=len(state.fetches),
            fetches_oldest=age(one.submission.received_at for one in state.fetches.values()),
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

    def renew_log(self) -> str:
        """There is none."""
        return ""


def _added_at(entry_id: str) -> datetime:
    return from_ms(int(came_as(entry_id).partition("-")[0]))
