"""Fetches: submissions that hold ids only, until their form tool was asked; each with the instant of its next attempt."""

from collections.abc import Mapping
from datetime import datetime

from speed_to_lead.core.clock import to_ms
from speed_to_lead.core.submission import Submission
from speed_to_lead.store.contract import Fetch, Result
from speed_to_lead.store.queue import queue_entry, stream_fields
from speed_to_lead.store.server import Server, text, translated_errors


class RedisFetches:
    """What is still to be asked, on a Redis or Valkey server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client
        self._keys = server.keys
        self._vault = server.vault

    def due(self, now: datetime, limit: int) -> list[tuple[str, str]]:
        """Names and forms of those whose attempt is due."""
        with translated_errors():
            names = self._client.zrange(
                self._keys.fetches, "-inf", to_ms(now), byscore=True, offset=0, num=limit
            )
            pipe = self._client.pipeline(transaction=False)
            for name in names:
                pipe.hget(self._keys.fetch(text(name)), "form")
            forms = pipe.execute() if names else []
        return [(text(name), text(form or b"")) for name, form in zip(names, forms, strict=True)]

    def overdue(self, now: datetime, limit: int) -> list[Fetch]:
        """Those whose lead is to be routed without the data now."""
        with translated_errors():
            names = self._client.zrange(
                self._keys.fetches_overdue, "-inf", to_ms(now), byscore=True, offset=0, num=limit
            )
            pipe = self._client.pipeline(transaction=False)
            for name in names:
                pipe.hgetall(self._keys.fetch(text(name)))
            found = pipe.execute() if names else []
        for name, fields in zip(names, found, strict=True):
            if not fields:
                self._settle("given-up", Fetch(text(name), _NOBODY, 0))
        return [
            self._fetch(text(name), fields, now) for name, fields in zip(names, found, strict=True) if fields
        ]

    def claim(self, name: str, now: datetime, until: datetime) -> Fetch | None:
        """One that is due, now this caller's until the lease ends."""
        keys = [self._keys.fetch(name), self._keys.fetches]
        found = self._server.run_one("claim_fetch", keys, [name, to_ms(now), to_ms(until)])
        if not found:
            return None
        return self._fetch(name, dict(zip(found[::2], found[1::2], strict=True)), now)

    def later(self, fetch: Fetch, at: datetime) -> Result:
        """Try again then."""
        return self._settle("later", fetch, at=at)

    def answered(self, fetch: Fetch, submission: Submission) -> Result:
        """Back into the queue with what the tool answered."""
        return self._settle("answered", fetch, submission)

    def route_without(self, fetch: Fetch, submission: Submission) -> Result:
        """Into the queue with what is known; it is still asked for."""
        return self._settle("overdue", fetch, submission)

    def give_up(self, fetch: Fetch) -> Result:
        """It is asked for no more."""
        return self._settle("given-up", fetch)

    def _settle(
        self, what: str, fetch: Fetch, submission: Submission | None = None, at: datetime | None = None
    ) -> Result:
        keys = self._keys
        names = [keys.incoming, keys.ledger, keys.fetch(fetch.name), keys.fetches, keys.fetches_overdue]
        fields = stream_fields(submission, self._vault) if submission is not None else {}
        arguments = [
            *(what, fetch.name, to_ms(at) if at else "", "1" if fetch.is_routed else "0"),
            *(part for pair in fields.items() for part in pair),
        ]
        return Result(text(self._server.run_one("settle_fetch", names, arguments)))

    def _fetch(self, name: str, fields: Mapping[bytes, bytes], now: datetime) -> Fetch:
        with translated_errors():
            waits = self._client.zscore(self._keys.fetches_overdue, name)
        entry = queue_entry(b"0-0", fields, to_ms(now), vault=self._vault)
        return Fetch(
            name, entry.submission, int(fields.get(b"attempts", 0)), waits is None, is_locked=entry.is_locked
        )


#: Stands for one that is gone: only its name is left, in an index.
_NOBODY = Submission("gone", "", datetime.min, b"")  # noqa: DTZ901 - it is never stored
