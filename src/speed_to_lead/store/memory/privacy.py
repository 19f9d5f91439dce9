"""What is kept of people in memory, and how it leaves."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from speed_to_lead.core.clock import to_ms
from speed_to_lead.core.metrics import counts_of_thrown_away
from speed_to_lead.core.submission import Submission
from speed_to_lead.store.contract import Erasure, Held, HeldBatch, HeldKind, Resealed, Result
from speed_to_lead.store.documents import (
    alert_document,
    alert_from,
    history_entry,
    history_line,
    lead_document,
)
from speed_to_lead.store.memory.state import State, came_as
from speed_to_lead.store.queue import queue_entry


class MemoryPrivacy:
    """What is kept of people in memory. Nothing is encrypted here, and nothing is on disk."""

    def __init__(self, state: State) -> None:
        self._state = state

    def everything(self) -> Iterator[HeldBatch]:
        """Everything, in the order of the Redis store."""
        state = self._state
        held = [
            self._submission(HeldKind.INCOMING, i, queue_entry(came_as(i).encode(), f, 1 << 45).submission)
            for i, f in (*state.entries.items(), *state.patient.items())
        ]
        held += [
            replace(self._submission(HeldKind.FETCH, name, one.submission), points_to=one.submission.id)
            for name, one in state.fetches.items()
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
        pointers |= {f"company:{key}": lead_id for key, lead_id in state.companies.items()}
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
        state.waiting.pop(lead_id, None)
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
            self.remove_pointer(name, lead_id)
        if lead is None:
            return Result.GONE
        state.ledger[counter] += 1
        return Result.APPLIED

    def remove_pointer(self, name: str, lead_id: str) -> Result:
        """A pointer alone."""
        state = self._state
        kind, _, key = name.partition(":")
        if kind == "person" and state.people.get(key) == lead_id:
            del state.people[key]
        elif kind == "company" and state.companies.get(key) == lead_id:
            del state.companies[key]
        elif kind == "seen" and state.seen.get(key, ("",))[0] == lead_id:
            del state.seen[key]
        else:
            return Result.GONE
        return Result.APPLIED

    def remove_dead_letter(self, submission_id: str, counter: str) -> Result:
        """A dead letter, for good."""
        if self._state.buried.pop(submission_id, None) is None:
            return Result.GONE
        self._state.ledger[counter] += 1
        return Result.APPLIED

    def remove_submission(self, entry_id: str, counter: str, form: str = "") -> Result:
        """An entry of the queue, unread."""
        if not self._state.waits(entry_id):
            return Result.GONE
        self._state.settled(entry_id)
        self._state.ledger.update({"dead_letters": 1, counter: 1})
        self._state.metrics.update(counts_of_thrown_away(form))
        return Result.APPLIED

    def remove_fetch(self, name: str, counter: str, form: str = "") -> Result:
        """A submission whose tool is still asked."""
        one = self._state.fetches.pop(name, None)
        if one is None:
            return Result.GONE
        self._state.ledger[counter] += 1
        if one.route_at is not None:
            self._state.ledger["dead_letters"] += 1
            self._state.metrics.update(counts_of_thrown_away(form))
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

    def confirm(self) -> None:
        """There are no replicas."""

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
