"""Lead records, the deadline index beside them, rotations and loads."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from speed_to_lead.core.assignment import Rotation
from speed_to_lead.core.clock import MILLISECOND, from_ms, to_ms
from speed_to_lead.core.lead import Alert, HistoryEntry, Lead, LeadChange, LeadState
from speed_to_lead.core.metrics import counts_of_change, counts_of_settlement
from speed_to_lead.core.settlement import Admit, Join, newest_of
from speed_to_lead.store.contract import ClaimedAlert, Result, UnreadableRecord
from speed_to_lead.store.documents import alert_document, dump
from speed_to_lead.store.encryption import PLAIN, Vault
from speed_to_lead.store.keys import Keys, place_of
from speed_to_lead.store.records import known_record, line_of, read_history, record_of
from speed_to_lead.store.reps import given_text, rotation_of
from speed_to_lead.store.server import ScriptCall, Server, text, translated_errors

#: Leads read in one go while looking for those that fit a filter.
PAGE = 200
#: Leads looked at for one page of a listing: half a second. A filter that fits few must not walk over a million.
LOOKED_AT = 5000
#: The key that is written to be confirmed says nothing; it cleans up after itself.
MARK_KEPT = timedelta(minutes=1)


class RedisLeads:
    """Lead records in Redis."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client
        self._keys = server.keys
        self._vault = server.vault

    def get(self, lead_id: str) -> Lead | None:
        """The lead, or None."""
        found = self.get_many([lead_id])[0]
        if isinstance(found, UnreadableRecord):
            raise found
        return found

    def get_many(self, lead_ids: Sequence[str]) -> list[Lead | UnreadableRecord | None]:
        """One answer for each id."""
        if not lead_ids:
            return []
        keys = [self._keys.lead(lead_id) for lead_id in lead_ids]
        return [known_record(found, self._vault) for found in self._server.run_one("read_leads", keys, [])]

    def history(self, lead_id: str) -> list[HistoryEntry]:
        """What happened to the lead."""
        with translated_errors():
            lines = self._client.lrange(self._keys.lead(lead_id), 1, -1)
        return read_history(lines, self._vault)

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
        looked_at = 0
        while True:
            page, is_last = self._page(cursor)
            looked_at += len(page)
            leads = self.get_many([cursor.partition(":")[2] for cursor in page])
            for cursor, lead in zip(page, leads, strict=True):
                if isinstance(lead, Lead) and fits(lead, state, team, rep):
                    found.append(lead)
                    if len(found) == limit:
                        return found, None if is_last and cursor == page[-1] else cursor
            if is_last:
                return found, None
            if looked_at >= LOOKED_AT:
                return found, cursor

    def received_since(
        self, since: datetime, limit: int, after: str | None = None
    ) -> tuple[list[Lead | UnreadableRecord], str | None]:
        """Leads by receipt, oldest first."""
        score, _, lead_id = (after or "").partition(":")
        bottom = (int(score), lead_id.encode()) if score else None
        skipped = 0  # leads of the cursor's millisecond come again
        while True:
            with translated_errors():
                found = self._client.zrange(
                    self._keys.all_leads,
                    score or to_ms(since),
                    "+inf",
                    byscore=True,
                    offset=skipped,
                    num=limit,
                    withscores=True,
                )
            skipped += limit
            above = [
                (int(at), member) for member, at in found if bottom is None or (int(at), member) > bottom
            ]
            is_last = len(found) < limit
            if above or is_last:
                break
        leads = self.get_many([text(member) for _, member in above])
        cursor = None if is_last else f"{above[-1][0]}:{text(above[-1][1])}"
        return [lead for lead in leads if lead is not None], cursor

    def of_people(self, person_keys: Sequence[str]) -> dict[str, str]:
        """Each person's newest lead."""
        return self._pointed_to(self._keys.person, person_keys)

    def of_companies(self, company_keys: Sequence[str]) -> dict[str, str]:
        """Each company's newest lead."""
        return self._pointed_to(self._keys.company, company_keys)

    def _pointed_to(self, name_of: Callable[[str], str], digests: Sequence[str]) -> dict[str, str]:
        if not digests:
            return {}
        with translated_errors():
            found = self._client.mget([name_of(digest) for digest in digests])
        return {
            digest: text(value) for digest, value in zip(digests, found, strict=True) if value is not None
        }

    def rotations(self, teams: Iterable[str]) -> dict[str, Rotation]:
        """The rotation of each team."""
        names = list(teams)
        with translated_errors():
            pipe = self._client.pipeline(transaction=False)
            for name in names:
                pipe.hgetall(self._keys.rotation(name))
            return {name: rotation_of(fields) for name, fields in zip(names, pipe.execute(), strict=True)}

    def load(self) -> dict[str, int]:
        """Open leads by rep."""
        with translated_errors():
            return {text(rep): int(n) for rep, n in self._client.hgetall(self._keys.load).items()}

    def change(self, changes: Sequence[LeadChange], *, confirmed: bool = False) -> list[Result]:
        """Write changes to existing leads."""
        calls = (change_call(self._keys, change, None, self._vault) for change in changes)
        return [Result(text(answer)) for answer in self._server.run(calls, confirmed=confirmed)]

    def confirm(self, lead: Lead) -> Result:
        """Whether enough replicas hold the lead as it was read."""
        if not self._server.confirm_replicas:
            return Result.APPLIED  # nothing to wait for
        return Result(text(self._server.run([confirm_call(self._server.keys, lead)], confirmed=True)[0]))

    def due(self, now: datetime, limit: int, skip: int = 0) -> list[str]:
        """Ids the index holds as due."""
        with translated_errors():
            ids = self._client.zrangebyscore(self._keys.due, "-inf", to_ms(now), start=skip, num=limit)
        return [text(lead_id) for lead_id in ids]

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
        return Result(text(answer))

    def quarantine(self, lead_id: str, error: str, alert: Alert | None = None) -> Result:
        """Out of the index, kept with its error."""
        keys = self._keys
        outbox = keys.outbox(alert.destination) if alert else keys.alerts
        names = [
            *(keys.due, keys.quarantine, keys.ledger, keys.alerts, keys.attempts, keys.outboxes, outbox),
            keys.lead(lead_id),
        ]
        told = (
            (alert.key, alert_document(alert, self._vault), alert.destination, to_ms(alert.decided_at))
            if alert
            else ("", "", "", "")
        )
        return Result(text(self._server.run_one("quarantine_lead", names, [lead_id, error, *told])))

    def release(self, lead_id: str) -> Result:
        """Out of quarantine."""
        with translated_errors():
            return Result.APPLIED if self._client.hdel(self._keys.quarantine, lead_id) else Result.GONE

    def quarantined(self) -> dict[str, str]:
        """Leads in quarantine."""
        with translated_errors():
            found = self._client.hgetall(self._keys.quarantine)
        return {text(lead_id): text(error) for lead_id, error in found.items()}

    def scan(self, cursor: str, limit: int) -> tuple[list[str], str]:
        """A batch of the open leads."""
        with translated_errors():
            following, found = self._client.sscan(self._keys.open_leads, int(cursor or 0), count=limit)
        return [text(lead_id) for lead_id in found], str(following) if following else ""

    def _page(self, before: str | None) -> tuple[list[str], bool]:
        """Cursors (`received ms:id`) of the next page, newest first, and whether it is the last.

        Leads received in the same millisecond as the cursor come again; those that are not below it are skipped,
        even if they fill whole pages (an import gives thousands of leads one instant).
        """
        score, _, lead_id = (before or "").partition(":")
        top = (int(score), lead_id.encode()) if score else None
        skipped = 0
        while True:
            with translated_errors():
                found = self._client.zrange(
                    self._keys.all_leads,
                    score or "+inf",
                    "-inf",
                    desc=True,
                    byscore=True,
                    offset=skipped,
                    num=PAGE,
                    withscores=True,
                )
            below = [(int(at), member) for member, at in found if top is None or (int(at), member) < top]
            skipped += PAGE
            if below or len(found) < PAGE:
                return [f"{at}:{text(member)}" for at, member in below], len(found) < PAGE


def fits(lead: Lead, state: LeadState | None, team: str | None, rep: str | None) -> bool:
    """Whether a lead passes the filters of a listing."""
    return (
        (state is None or lead.state is state)
        and (team is None or lead.team == team)
        and (rep is None or lead.rep == rep)
    )


def change_call(
    keys: Keys, change: LeadChange, settlement: Admit | Join | None, vault: Vault = PLAIN
) -> ScriptCall:
    """The script call that writes one change, and settles its queue entry where it comes from one."""
    lead = change.lead
    stream, entry = place_of(keys, settlement.entry_id) if settlement else (keys.incoming, False)
    names = [
        keys.lead(lead.id),
        keys.due,
        keys.all_leads,
        keys.ledger,
        keys.load,
        keys.alerts,
        keys.attempts,
        keys.outboxes,
        stream,
        keys.rotation(change.rotation.team) if change.rotation else keys.load,
        keys.open_leads,
        keys.metrics,
        keys.load_changes,
        keys.waiting,
        keys.waiting_teams,
        keys.given,
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
            sets.append((key, lead.id, keep_ms(seen.remember)))
    if settlement is not None:
        pointers = [(keys.person(person), expected) for person, expected in settlement.people]
        if settlement.company is not None:
            pointers.append((keys.company(settlement.company[0]), settlement.company[1]))
        for pointer, expected in pointers:
            key = number_of(pointer)
            guards.append((key, expected if expected is not None else False))
            sets.append((key, newest_of(lead, expected), False))
    plan: dict[str, Any] = {
        "id": lead.id,
        "open": lead.is_open,
        "expected": str(lead.version - 1),
        "received_at": str(to_ms(lead.received_at)),
        "next_at": str(to_ms(lead.next_at)) if lead.next_at else False,
        "entry": entry,
        "group": "router",
        "guards": guards,
        "sets": sets,
        "rotation": _rotation_plan(change),
        "counters": dict(change.counters),
        "load": dict(change.load),
        "metrics": counts_of_settlement(settlement) if settlement else counts_of_change(change),
        "alerts": [
            (number_of(keys.outbox(a.destination)), a.destination, a.key, str(to_ms(a.decided_at)))
            for a in change.alerts
        ],
        **({} if change.lines_read is None else {"lines_read": change.lines_read}),
    }
    if lead.waits_for_a_rep:
        plan |= {"waits": lead.team, "deadline": str(to_ms(lead.deadline))}
    elif lead.version > 1:  # most leads have a rep from the first
        plan["waits"] = False
    # What is a document already stands by itself: inside the plan it would be written and read as JSON once more.
    documents = [alert_document(alert, vault) for alert in change.alerts]
    lines = [line_of(entry, vault) for entry in change.history]
    return ScriptCall("change_lead", names, [dump(plan), record_of(lead, vault), *documents, *lines])


def confirm_call(
    keys: Keys, lead: Lead | None, claimed: ClaimedAlert | None = None, leased_until: datetime | None = None
) -> ScriptCall:
    """See `confirm.lua`."""
    destination = claimed.alert.destination if claimed else ""
    return ScriptCall(
        "confirm",
        [
            keys.lead(lead.id if lead else ""),
            keys.attempts,
            keys.readiness,
            keys.outbox(destination),
            keys.leased(destination),
        ],
        [
            lead.version if lead else "",
            claimed.alert.key if claimed else "",
            claimed.token if claimed else "",
            keep_ms(MARK_KEPT),
            to_ms(leased_until) if leased_until else "",
        ],
    )


def keep_ms(span: timedelta) -> int:
    """How long a key is kept; the server refuses an expiry of nothing, and would do so in the middle of a script."""
    return max(span // MILLISECOND, 1)


def _rotation_plan(change: LeadChange) -> dict[str, Any] | bool:
    turn = change.rotation
    if turn is None:
        return False
    # As text: a Lua number would come back rounded past 2^53.
    plan: dict[str, Any] = {
        "version": turn.version,
        "clock": str(turn.clock),
        "rep": turn.rep,
        "turn": f"{turn.turn} {turn.version + 1}",
    }
    if turn.group:
        plan["group"] = turn.group
    if turn.given is not None:
        plan |= {"given": given_text(turn.given), "before": given_text(turn.given_before)}
    if turn.max_open is not None:
        plan["max"] = turn.max_open
    return plan
