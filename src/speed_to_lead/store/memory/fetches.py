"""Fetches in memory."""

from dataclasses import dataclass, replace
from datetime import datetime

from speed_to_lead.core.submission import Submission
from speed_to_lead.store.contract import Fetch, Result
from speed_to_lead.store.memory.queue import MemoryQueue
from speed_to_lead.store.memory.state import State


@dataclass
class MemoryFetches:
    """What is still to be asked, in memory."""

    _state: State

    def due(self, now: datetime, limit: int) -> list[tuple[str, str]]:
        """Names and forms of those whose attempt is due."""
        waiting = sorted(self._state.fetches.items(), key=lambda item: (item[1].next_at, item[0]))
        return [(name, one.submission.form) for name, one in waiting if one.next_at <= now][:limit]

    def overdue(self, now: datetime, limit: int) -> list[Fetch]:
        """Those whose lead is to be routed without the data now."""
        found = [
            (one.route_at, name)
            for name, one in self._state.fetches.items()
            if one.route_at is not None and one.route_at <= now
        ]
        return [self._fetch(name) for _, name in sorted(found)[:limit]]

    def claim(self, name: str, now: datetime, until: datetime) -> Fetch | None:
        """One that is due."""
        one = self._state.fetches.get(name)
        if one is None or one.next_at > now:
            return None
        one.next_at = until
        one.attempts += 1
        return self._fetch(name)

    def later(self, fetch: Fetch, at: datetime) -> Result:
        """Try again then."""
        if fetch.name not in self._state.fetches:
            return Result.GONE
        self._state.fetches[fetch.name].next_at = at
        return Result.APPLIED

    def answered(self, fetch: Fetch, submission: Submission) -> Result:
        """Back into the queue with what the tool answered."""
        return self._settle(fetch, submission, is_over=True)

    def route_without(self, fetch: Fetch, submission: Submission) -> Result:
        """Into the queue with what is known."""
        return self._settle(fetch, submission, is_over=False)

    def give_up(self, fetch: Fetch) -> Result:
        """It is asked for no more."""
        return self._settle(fetch, None, is_over=True)

    def _settle(self, fetch: Fetch, submission: Submission | None, *, is_over: bool) -> Result:
        one = self._state.fetches.get(fetch.name)
        if one is None:
            return Result.GONE
        if (one.route_at is None) != fetch.is_routed:
            return Result.STALE
        if submission is not None:
            MemoryQueue(self._state).add(submission)
            self._state.ledger["returned"] += one.route_at is not None
        one.route_at = None
        if is_over:
            del self._state.fetches[fetch.name]
        return Result.APPLIED

    def _fetch(self, name: str) -> Fetch:
        one = self._state.fetches[name]
        return Fetch(name, replace(one.submission), one.attempts, one.route_at is None)
