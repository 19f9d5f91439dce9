"""Submissions and dead letters in memory."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from speed_to_lead.core.clock import to_ms
from speed_to_lead.core.metrics import counts_of_repeated_burial, counts_of_settlement
from speed_to_lead.core.settlement import (
    REMEMBER_KEY,
    Admit,
    Await,
    Bury,
    DeadLetter,
    Drop,
    Join,
    Settlement,
    Split,
)
from speed_to_lead.core.submission import Submission, other_id
from speed_to_lead.store.contract import (
    BURIALS_AT_ONCE,
    GIVEN_BACK_IDLE,
    REPEATS_KEPT,
    Burial,
    Lane,
    QueueEntry,
    Result,
)
from speed_to_lead.store.memory.state import Pending, State, WaitingFetch, came_as
from speed_to_lead.store.queue import queue_entry, stream_fields


class MemoryQueue:
    """Submissions in memory."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, submission: Submission) -> None:
        """Store one submission."""
        self._state.added += 1
        fields = {_bytes(name): _bytes(value) for name, value in stream_fields(submission).items()}
        self._state.entries[f"{to_ms(self._state.clock())}-{self._state.added}"] = fields

    def add_many(self, submissions: Sequence[Submission]) -> None:
        """Store several."""
        for submission in submissions:
            self.add(submission)

    def take(self, consumer: str, limit: int, lane: Lane = Lane.INCOMING) -> list[QueueEntry]:
        """Entries nobody has taken yet."""
        del consumer
        waiting = self._state.entries if lane is Lane.INCOMING else self._state.patient
        fresh = [entry_id for entry_id in waiting if entry_id not in self._state.pending]
        return [self._hand_out(entry_id) for entry_id in fresh[:limit]]

    def untaken(self) -> int:
        """How many wait behind those taken."""
        return len(self._state.entries.keys() - self._state.pending.keys())

    def postpone(self, entries: Sequence[QueueEntry]) -> set[str]:
        """Into the patient lane, where nobody has taken them yet."""
        state = self._state
        moved = {entry.entry_id for entry in entries if entry.entry_id in state.entries}
        for entry_id in (entry.entry_id for entry in entries if entry.entry_id in moved):
            state.patient[f"patient/{entry_id}"] = state.entries.pop(entry_id)
            state.pending.pop(entry_id, None)
        return moved

    def reclaim(self, consumer: str, idle: timedelta, limit: int, *, isolate_after: int) -> list[QueueEntry]:
        """Entries left behind."""
        del consumer
        now = self._state.clock()
        stale = [
            entry_id
            for entry_id, pending in self._state.pending.items()
            if pending.taken_at is not None and now - pending.taken_at >= idle
        ]
        for lane in (self._state.entries, self._state.patient):
            found = [entry_id for entry_id in stale if entry_id in lane][:limit]
            calm = [
                entry_id for entry_id in found if self._state.pending[entry_id].deliveries < isolate_after
            ]
            if found:
                return [self._hand_out(entry_id) for entry_id in (calm or found[:1])]
        return []

    def give_back(self, consumer: str, entries: Sequence[QueueEntry]) -> None:
        """Anybody may take them at once."""
        del consumer
        for entry in entries:
            pending = self._state.pending.get(entry.entry_id)
            if pending is not None:
                pending.deliveries = entry.deliveries - 1
                pending.taken_at = self._state.clock() - GIVEN_BACK_IDLE

    def forget_consumers(self, idle: timedelta) -> int:
        """Nobody is remembered here."""
        del idle
        return 0

    def settle(self, settlements: Iterable[Settlement]) -> list[Result]:
        """Write what became of the entries."""
        return [self._settle(settlement) for settlement in settlements]

    def lead_of(self, keys: Iterable[str]) -> dict[str, str]:
        """What submissions with these keys became."""
        found = {key: self._state.lead_seen(key) for key in keys}
        return {key: lead_id for key, lead_id in found.items() if lead_id is not None}

    def note_repeats(self, said: Sequence[tuple[str, str]], most: int) -> list[int]:
        """The place of each."""
        return [self._place(who, key, most) for who, key in said]

    def _place(self, who: str, key: str, most: int) -> int:
        now = self._state.clock()
        names, until = self._state.repeats.get(key, ([], now))
        names = names if until > now else []
        if who not in names and len(names) < most:
            names = [*names, who]
        self._state.repeats[key] = (names, now + REPEATS_KEPT)
        return names.index(who) + 1 if who in names else most + 1

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """The newest dead letters."""
        newest = sorted(
            self._state.buried.values(), key=lambda d: (to_ms(d.at), d.submission.id), reverse=True
        )
        return newest[:limit]

    def buried_since(self, since: datetime, seen: Collection[str]) -> list[Burial]:
        """Those not seen, oldest first."""
        letters = sorted(self._state.buried.values(), key=lambda d: (to_ms(d.at), d.submission.id))
        fresh = [one for one in letters if one.at >= since and one.submission.id not in seen]
        return [
            Burial(one.submission.id, one.submission.form, one.error, one.at)
            for one in fresh[:BURIALS_AT_ONCE]
        ]

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

    def leave(self, consumer: str, entries: Sequence[QueueEntry]) -> None:
        """Pending, idle from now on."""
        del consumer
        for entry in entries:
            pending = self._state.pending.get(entry.entry_id)
            if pending is not None:
                pending.deliveries = entry.deliveries - 1
                pending.taken_at = self._state.clock()

    def _hand_out(self, entry_id: str) -> QueueEntry:
        pending = self._state.pending.setdefault(entry_id, Pending())
        pending.taken_at = self._state.clock()
        pending.deliveries += 1
        now_ms = to_ms(self._state.clock())
        fields = self._state.entries.get(entry_id) or self._state.patient[entry_id]
        entry = queue_entry(came_as(entry_id).encode(), fields, now_ms, pending.deliveries)
        return replace(entry, entry_id=entry_id)

    def _settle(self, settlement: Settlement) -> Result:  # noqa: C901 - one branch for each settlement
        state = self._state
        if not state.waits(settlement.entry_id):
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
            case Split():
                for part in settlement.parts:
                    self.add(part)
                state.ledger["split"] += 1
                answer = Result.APPLIED
            case Await():
                known = settlement.name in state.fetches
                if known:
                    state.ledger["duplicates"] += 1
                    repeated = Drop("", "duplicates", "", form=settlement.submission.form)
                    state.metrics.update(counts_of_settlement(repeated))
                else:
                    waiting = WaitingFetch(settlement.submission, settlement.at, settlement.route_at)
                    state.fetches[settlement.name] = waiting
                answer = Result.KNOWN if known else Result.APPLIED
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


def _bytes(value: str | bytes | int) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
