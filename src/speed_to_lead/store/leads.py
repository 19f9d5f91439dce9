"""Lead records, the deadline index beside them, rotations and loads."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from speed_to_lead.core.assignment import Rotation
from speed_to_lead.core.clock import from_ms, to_ms
from speed_to_lead.core.lead import HistoryEntry, Lead, LeadChange, LeadState
from speed_to_lead.core.settlement import Admit, Join
from speed_to_lead.store.contract import Result, UnreadableRecord
from speed_to_lead.store.documents import (
    alert_document,
    dump,
    history_entry,
    history_line,
    lead_document,
    lead_from,
)
from speed_to_lead.store.keys import Keys
from speed_to_lead.store.server import ScriptCall, Server, translated_errors

#: Leads read in one go while looking for those that fit a filter.
PAGE = 200


class RedisLeads:
    """Lead records in Redis."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client
        self._keys = server.keys

    def get(self, lead_id: str) -> Lead | None:
        """The lead, or None."""
        found = self.get_many([lead_id])[0]
        if isinstance(found, UnreadableRecord):
            raise found
        return found

    def get_many(self, lead_ids: Sequence[str]) -> list[Lead | UnreadableRecord | None]:
        """One answer for each id."""
        with translated_errors():
            pipe = self._client.pipeline(transaction=False)
            for lead_id in lead_ids:
                pipe.hget(self._keys.lead(lead_id), "document")
            return [read_record(document) for document in pipe.execute()]

    def history(self, lead_id: str) -> list[HistoryEntry]:
        """What happened to the lead."""
        with translated_errors():
            lines = self._client.lrange(self._keys.history(lead_id), 0, -1)
        return [history_entry(line) for line in lines]

    def newest(
        self,
        limit: int,
        *,
        state: LeadState | None = None,
        team: str | None = None,
        rep: str | None = None,
        before: str | None = None,
    ) -> tuple[list[Lead], str | None]:
        """Leads by receipt, newest first."""
        found: list[Lead] = []
        cursor = before
        while True:
            ids, cursor = self._page(cursor)
            for entry_cursor, lead in zip(ids, self.get_many([i.partition(":")[2] for i in ids]), strict=True):
                if isinstance(lead, Lead) and fits(lead, state, team, rep):
                    found.append(lead)
                    if len(found) == limit:
                        return found, entry_cursor if cursor or entry_cursor != ids[-1] else None
            if cursor is None:
                return found, None

    def of_people(self, person_keys: Sequence[str]) -> dict[str, str]:
        """Each person's newest lead."""
        if not person_keys:
            return {}
        with translated_errors():
            found = self._client.mget([self._keys.person(key) for key in person_keys])
        return {key: value.decode() for key, value in zip(person_keys, found, strict=True) if value is not None}

    def rotations(self, teams: Iterable[str]) -> dict[str, Rotation]:
        """The rotation of each team."""
        names = list(teams)
        with translated_errors():
            pipe = self._client.pipeline(transaction=False)
            for name in names:
                pipe.hgetall(self._keys.rotation(name))
            return {name: _rotation(fields) for name, fields in zip(names, pipe.execute(), strict=True)}

    def load(self) -> dict[str, int]:
        """Open leads by rep."""
        with translated_errors():
            return {rep.decode(): int(n) for rep, n in self._client.hgetall(self._keys.load).items()}

    def change(self, changes: Sequence[LeadChange]) -> list[Result]:
        """Write changes to existing leads."""
        calls = [change_call(self._keys, change, None) for change in changes]
        return [Result(answer.decode()) for answer in self._server.run(calls)]

    def due(self, now: datetime, limit: int) -> list[str]:
        """Ids the index holds as due."""
        with translated_errors():
            ids = self._client.zrangebyscore(self._keys.due, "-inf", to_ms(now), start=0, num=limit)
        return [lead_id.decode() for lead_id in ids]

    def next_due(self) -> datetime | None:
        """The earliest instant in the index."""
        with translated_errors():
            first = self._client.zrange(self._keys.due, 0, 0, withscores=True)
        return from_ms(int(first[0][1])) if first else None

    def indexed_at(self, lead_ids: Sequence[str]) -> list[datetime | None]:
        """The index entry of each lead."""
        if not lead_ids:
            return []
        with translated_errors():
            scores = self._client.zmscore(self._keys.due, list(lead_ids))
        return [None if score is None else from_ms(int(score)) for score in scores]

    def mend_index(self, lead_id: str, version: int, next_at: datetime | None) -> Result:
        """Make the index say what the record says."""
        arguments = [lead_id, version, "" if next_at is None else to_ms(next_at)]
        answer = self._server.run_one("mend_due", [self._keys.lead(lead_id), self._keys.due], arguments)
        return Result(answer.decode())

    def quarantine(self, lead_id: str, error: str) -> Result:
        """Out of the index, kept with its error."""
        keys = self._keys
        answer = self._server.run_one("quarantine_lead", [keys.due, keys.quarantine, keys.ledger], [lead_id, error])
        return Result(answer.decode())

    def quarantined(self) -> dict[str, str]:
        """Leads in quarantine."""
        with translated_errors():
            found = self._client.hgetall(self._keys.quarantine)
        return {lead_id.decode(): error.decode() for lead_id, error in found.items()}

    def scan(self, cursor: str, limit: int) -> tuple[list[str], str]:
        """A batch of all lead ids."""
        with translated_errors():
            following, found = self._client.zscan(self._keys.all_leads, int(cursor or 0), count=limit)
        return [lead_id.decode() for lead_id, _ in found], str(following) if following else ""

    def _page(self, before: str | None) -> tuple[list[str], str | None]:
        """Cursors (`received ms:id`) of the next page, newest first, and the last of them (None at the end)."""
        top = before.partition(":")[0] if before else "+inf"
        # Leads received in the same millisecond as the cursor come again; they are skipped by their id.
        with translated_errors():
            found = self._client.zrange(
                self._keys.all_leads, top, "-inf", desc=True, byscore=True, offset=0, num=PAGE, withscores=True
            )
        cursors = [f"{int(score)}:{lead_id.decode()}" for lead_id, score in found]
        if before in cursors:
            cursors = cursors[cursors.index(before) + 1 :]
        return cursors, cursors[-1] if cursors and len(found) == PAGE else None


def fits(lead: Lead, state: LeadState | None, team: str | None, rep: str | None) -> bool:
    """Whether a lead passes the filters of a listing."""
    return (
        (state is None or lead.state is state)
        and (team is None or lead.team == team)
        and (rep is None or lead.rep == rep)
    )


def read_record(document: bytes | None) -> Lead | UnreadableRecord | None:
    """The lead of a stored record; a record that is none is answered as an error value."""
    if document is None:
        return None
    try:
        return lead_from(document)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        return UnreadableRecord(f"the record cannot be read: {type(error).__name__}")


def change_call(keys: Keys, change: LeadChange, settlement: Admit | Join | None) -> ScriptCall:
    """The script call that writes one change, and settles its queue entry where it comes from one."""
    lead = change.lead
    names = [
        keys.lead(lead.id),
        keys.history(lead.id),
        keys.due,
        keys.all_leads,
        keys.ledger,
        keys.load,
        keys.alerts,
        keys.attempts,
        keys.outboxes,
        keys.incoming,
        keys.rotation(change.rotation.team) if change.rotation else keys.load,
    ]

    def number_of(key: str) -> int:
        if key not in names:
            names.append(key)
        return names.index(key) + 1  # Lua counts from 1

    guards: list[tuple[int, str | bool]] = []
    sets: list[tuple[int, str, int | bool]] = []
    if settlement is not None:
        for seen in settlement.seen:
            key = number_of(keys.seen(seen.key))
            guards.append((key, False))  # somebody else may have settled the same submission meanwhile
            sets.append((key, lead.id, int(seen.remember.total_seconds() * 1000)))
    if isinstance(settlement, Admit):
        for person, expected in settlement.people:
            key = number_of(keys.person(person))
            guards.append((key, expected if expected is not None else False))
            sets.append((key, lead.id, False))
    plan: dict[str, Any] = {
        "id": lead.id,
        "expected": lead.version - 1,
        "version": lead.version,
        "received_at": str(to_ms(lead.received_at)),
        "next_at": str(to_ms(lead.next_at)) if lead.next_at else False,
        "entry": settlement.entry_id if settlement else False,
        "group": "router",
        "guards": guards,
        "sets": sets,
        "rotation": _rotation_plan(change),
        "history": [history_line(entry) for entry in change.history],
        "counters": dict(change.counters),
        "load": dict(change.load),
        "alerts": [
            (number_of(keys.outbox(a.destination)), a.destination, a.key, str(to_ms(a.decided_at)), alert_document(a))
            for a in change.alerts
        ],
    }
    return ScriptCall("change_lead", names, [dump(plan), lead_document(lead)])


def _rotation_plan(change: LeadChange) -> dict[str, Any] | bool:
    turn = change.rotation
    if turn is None:
        return False
    # As text: a Lua number would come back rounded past 2^53.
    return {"version": turn.version, "clock": str(turn.clock), "rep": turn.rep, "turn": str(turn.turn)}


def _rotation(fields: dict[bytes, bytes]) -> Rotation:
    turns = {name[5:].decode(): int(turn) for name, turn in fields.items() if name.startswith(b"turn:")}
    return Rotation(int(fields.get(b"version", 0)), int(fields.get(b"clock", 0)), turns)
