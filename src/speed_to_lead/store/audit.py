"""What the auditor reads and mends. Each look at a lead is one instant, each repair one script that refuses where anything moved."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from redis.exceptions import ResponseError

from speed_to_lead.core.audit import (
    AlertFacts,
    Finding,
    LeadFacts,
    LeadRepair,
    LoadFacts,
    Told,
    dangling_finding,
    untold,
    waits_for,
    waits_until,
)
from speed_to_lead.core.clock import MILLISECOND, from_ms, to_ms
from speed_to_lead.core.lead import Alert, HistoryEntry, Lead
from speed_to_lead.core.submission import person_keys
from speed_to_lead.store.contract import LockedRecord, Result, UnreadableRecord
from speed_to_lead.store.documents import alert_document, dump
from speed_to_lead.store.encryption import Vault
from speed_to_lead.store.leads import RedisLeads
from speed_to_lead.store.queue import GROUP
from speed_to_lead.store.records import line_of, read_history, read_record, record_of
from speed_to_lead.store.server import ScriptCall, Server, text, translated_errors

#: Pending entries counted at most: "many" is enough to know.
PENDING_COUNTED = 1000


class RedisAudit:
    """The auditor's way to a Redis or Valkey server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client
        self._keys = server.keys
        self._vault = server.vault

    # --- leads

    def names(self, cursor: str, limit: int) -> tuple[list[str], list[str], str]:
        """A batch of what is kept, listed or not: ids of leads, pointers. Walks every key there is."""
        lead, pointing = self._keys.lead(""), (self._keys.person(""), self._keys.company(""))
        with translated_errors():
            # In a pattern the braces of the hash tag stand for themselves.
            following, found = self._client.scan(int(cursor or 0), match=f"{self._keys.start}*", count=limit)
        names = [text(key) for key in found]
        leads = [name.removeprefix(lead) for name in names if name.startswith(lead)]
        pointers = [name.removeprefix(self._keys.start) for name in names if name.startswith(pointing)]
        return leads, pointers, str(following) if following else ""

    def unindexed(self, cursor: str, limit: int) -> tuple[list[str], str]:
        """Of about so many open leads, those that are not in the deadline index."""
        keys = [self._keys.open_leads, self._keys.due]
        following, missing = self._server.run_one("unindexed_leads", keys, [cursor or "0", limit])
        return [text(lead_id) for lead_id in missing], "" if text(following) == "0" else text(following)

    def mend_index(self, leads: Sequence[Lead]) -> int:
        """Make the index say what these records say; counted as repaired, without a line in each history."""
        keys = self._keys
        answers = self._server.run([
            ScriptCall(
                "mend_due",
                [keys.lead(lead.id), keys.due],
                [lead.id, lead.version, _ms(waits_until(lead))],
            )
            for lead in leads
        ])  # fmt: skip
        mended = sum(text(answer) == Result.APPLIED for answer in answers)
        if mended:
            with translated_errors():
                self._client.hincrby(keys.ledger, _repaired(Finding.NOT_INDEXED), mended)
        return mended

    def leads(self, lead_ids: Sequence[str]) -> list[LeadFacts]:
        """Each lead with everything that points to it."""
        keys = self._keys
        answers = self._server.run([
            ScriptCall(
                "look_at_lead",
                [
                    *(keys.lead(lead_id), keys.due, keys.open_leads, keys.all_leads),
                    *(keys.waiting, keys.waiting_teams),
                ],
                [lead_id],
            )
            for lead_id in lead_ids
        ])  # fmt: skip
        looks = [
            _look(lead_id, answer, self._vault) for lead_id, answer in zip(lead_ids, answers, strict=True)
        ]
        absent = self._absent([look for look in looks if look.lead is not None and look.lead.is_open])
        people = {
            look.lead_id: person_keys(look.lead.lead)
            for look in looks
            if look.lead is not None and look.lead.is_open
        }
        pointers, open_ones = self._pointers(people)
        return [
            LeadFacts(
                look.lead_id,
                look.lead,
                look.is_readable,
                look.history,
                look.indexed_at,
                look.in_open,
                look.in_all,
                absent.get(look.lead_id, ()),
                {key: pointers.get(key) for key in people.get(look.lead_id, ())},
                open_ones,
                look.waiting,
            )
            for look in looks
        ]

    def repair(self, repair: LeadRepair) -> Result:
        """Write one lead's repair."""
        keys, lead, waits = self._keys, repair.lead, waits_for(repair.lead)
        names = [
            *(keys.lead(lead.id), keys.due, keys.all_leads, keys.open_leads),
            *(keys.ledger, keys.alerts, keys.attempts, keys.outboxes),
            *(keys.waiting, keys.waiting_teams),
        ]
        outboxes = {alert.destination: keys.outbox(alert.destination) for alert in repair.alerts}
        people = {key: keys.person(key) for key, _ in repair.people}
        names += [*outboxes.values(), *people.values()]
        plan = {
            "id": lead.id,
            "open": lead.is_open,
            "expected": str(lead.version - 1),
            "length": repair.history_length,
            "received_at": str(to_ms(lead.received_at)),
            "next_at": str(to_ms(lead.next_at)) if lead.next_at else False,
            "waits": (str(to_ms(waits[0])), waits[1]) if waits else False,
            "findings": [finding.value for finding in repair.findings],
            "people": [(names.index(people[key]) + 1, value or False) for key, value in repair.people],
            "alerts": [
                (
                    names.index(outboxes[alert.destination]) + 1,
                    alert.destination,
                    alert.key,
                    str(to_ms(alert.decided_at)),
                    alert_document(alert, self._vault),
                )
                for alert in repair.alerts
            ],
        }
        arguments = [dump(plan), record_of(lead, self._vault), line_of(repair.entry, self._vault)]
        return self._result("repair_lead", names, arguments)

    def unlist(self, lead_id: str) -> Result:
        """Take a lead without record out of the open leads, the index and those that wait for a rep."""
        keys = self._keys
        names = [
            *(keys.lead(lead_id), keys.open_leads, keys.due, keys.ledger),
            *(keys.waiting, keys.waiting_teams),
        ]
        return self._result("unlist_lead", names, [lead_id, _repaired(Finding.NO_RECORD)])

    # --- people and reps

    def dangling(self, pointers: Sequence[str]) -> dict[str, str]:
        """Of these pointers, those to a lead that is not there, with its id."""
        if not pointers:
            return {}
        with translated_errors():
            found = self._client.mget([f"{self._keys.start}{name}" for name in pointers])
            points = {
                name: text(value) for name, value in zip(pointers, found, strict=True) if value is not None
            }
            pipe = self._client.pipeline(transaction=False)
            for lead_id in points.values():
                pipe.exists(self._keys.lead(lead_id))
            return {
                key: lead_id
                for (key, lead_id), exists in zip(points.items(), pipe.execute(), strict=True)
                if not exists
            }

    def forget_pointer(self, name: str, lead_id: str) -> Result:
        """Drop a pointer to no lead."""
        keys = self._keys
        names = [f"{keys.start}{name}", keys.lead(lead_id), keys.ledger]
        return self._result("forget_pointer", names, [lead_id, _repaired(dangling_finding(name))])

    def load(self) -> LoadFacts:
        """Open leads by rep, and how often each count was changed."""
        with translated_errors():
            pipe = self._client.pipeline(transaction=True)
            pipe.hgetall(self._keys.load)
            pipe.hgetall(self._keys.load_changes)
            load, changes = pipe.execute()
        return LoadFacts(_counts(load), _counts(changes))

    def mend_load(self, rep: str, changes: int, found: int, counted: int) -> Result:
        """Make a rep's count what was counted."""
        keys = self._keys
        return self._result(
            "mend_load",
            [keys.load, keys.load_changes, keys.ledger],
            [rep, changes, found, counted, _repaired(Finding.LOAD_WRONG)],
        )

    # --- alerts

    def alert_keys(self, cursor: str, limit: int) -> tuple[list[str], str]:
        """A batch of the keys of alerts: first of those kept, then of those in each outbox."""
        place, _, within = (cursor or "0:0").partition(":")
        with translated_errors():
            if place == "0":
                following, found = self._client.hscan(self._keys.alerts, int(within), count=limit)
                return [text(key) for key in found], f"0:{following}" if following else "1:0"
            names = sorted(text(name) for name in self._client.smembers(self._keys.outboxes))
            if int(place) > len(names):
                return [], ""
            outbox = self._keys.outbox(names[int(place) - 1])
            following, found = self._client.zscan(outbox, int(within), count=limit)
            after = f"{place}:{following}" if following else f"{int(place) + 1}:0"
            return [text(key) for key, _ in found], after

    def alerts(self, alert_keys: Sequence[str]) -> list[AlertFacts]:
        """Where each alert stands, all of them at one instant."""
        keys = self._keys
        destinations = [_destination(key) for key in alert_keys]
        with translated_errors():
            pipe = self._client.pipeline(transaction=True)
            for key, destination in zip(alert_keys, destinations, strict=True):
                pipe.hexists(keys.alerts, key)
                pipe.zscore(keys.outbox(destination), key)
                pipe.zscore(keys.leased(destination), key)
                pipe.zscore(keys.dead_alerts, key)
                pipe.sismember(keys.outboxes, destination)
            answers = pipe.execute()
        return [
            AlertFacts(
                key, destination, bool(kept), _instant(due), _instant(lease), dead is not None, bool(named)
            )
            for key, destination, kept, due, lease, dead, named in zip(
                alert_keys,
                destinations,
                *(answers[number::5] for number in range(5)),
                strict=True,
            )
        ]

    def mend_alert(
        self, seen: AlertFacts, finding: Finding, due: datetime | None, entry: HistoryEntry
    ) -> Result:
        """Put an alert that stands as it was seen where it is claimed; `due` None leaves it its instant."""
        keys, lead_id = self._keys, seen.key.partition(":")[0]
        return self._result(
            "mend_alert",
            [
                *(keys.outbox(seen.destination), keys.leased(seen.destination), keys.alerts, keys.attempts),
                *(keys.dead_alerts, keys.outboxes, keys.lead(lead_id), keys.ledger),
            ],
            [
                *(seen.key, seen.destination, int(seen.is_kept), _ms(seen.due_at), _ms(seen.leased_until)),
                *(int(seen.is_dead), _ms(due), line_of(entry, self._vault), _repaired(finding)),
            ],
        )

    # --- the whole

    def pending_since(self, idle: timedelta) -> int:
        """Entries of the queue that a router took so long ago and nobody settled."""
        streams = (self._keys.incoming, self._keys.patient)
        return sum(self._pending_in(stream, idle) for stream in streams)

    def _pending_in(self, stream: str, idle: timedelta) -> int:
        with translated_errors():
            try:
                found = self._client.xpending_range(
                    stream, GROUP, "-", "+", PENDING_COUNTED, idle=idle // MILLISECOND
                )
            except ResponseError as error:
                if "NOGROUP" not in str(error) and "XGROUP" not in str(error):
                    raise
                return 0  # the first router makes the group
        return len(found)

    def tell(self, finding: Finding, count: int, alert: Alert, once_in: timedelta) -> Result:
        """Count what was found, and put the alert into the outbox, unless one of that kind was, `once_in` that time."""
        return self._tell(finding.value, f"raised:{finding.value}", count, alert, once_in, counts_again=True)

    def tell_once(self, name: str, counter: str, alert: Alert, once_in: timedelta) -> Result:
        """Count it and put the alert into the outbox, unless that name was told `once_in` that time."""
        return self._tell(name, f"raised:{counter}", 1, alert, once_in, counts_again=False)

    def _tell(
        self, name: str, counter: str, count: int, alert: Alert, once_in: timedelta, *, counts_again: bool
    ) -> Result:
        keys = self._keys
        return self._result(
            "tell_once",
            [
                *(keys.told(name), keys.ledger, keys.outbox(alert.destination)),
                *(keys.alerts, keys.attempts, keys.outboxes),
            ],
            [
                *(once_in // MILLISECOND, counter, count, alert.destination),
                *(alert.key, alert_document(alert, self._vault), to_ms(alert.decided_at)),
                "again" if counts_again else "",
            ],
        )

    def _absent(self, looks: Sequence[LeadFacts]) -> dict[str, tuple[Told, ...]]:
        """For each lead, its alerts under way that are nowhere; none where something happened since it was read."""
        keys = self._keys
        wanted = {look.lead_id: (look, told) for look in looks if (told := untold(look.history))}
        answers = self._server.run([
            ScriptCall(
                "look_for_alerts",
                [keys.lead(lead_id), keys.alerts],
                [len(look.history), *(one.key(lead_id) for one in told)],
            )
            for lead_id, (look, told) in wanted.items()
        ])  # fmt: skip
        return {
            lead_id: tuple(one for one, is_kept in zip(told, answer, strict=True) if not is_kept)
            for (lead_id, (_, told)), answer in zip(wanted.items(), answers, strict=True)
            if answer is not None
        }

    def _pointers(self, people: Mapping[str, Sequence[str]]) -> tuple[dict[str, str | None], frozenset[str]]:
        """For each person key the lead it points to; and those leads, other than the key's own, that are open."""
        wanted = sorted({key for keys in people.values() for key in keys})
        if not wanted:
            return {}, frozenset()
        with translated_errors():
            found = self._client.mget([self._keys.person(key) for key in wanted])
            points = {
                key: None if value is None else text(value) for key, value in zip(wanted, found, strict=True)
            }
            others = sorted({
                other
                for lead_id, keys in people.items()
                for key in keys
                if (other := points[key]) is not None and other != lead_id
            })  # fmt: skip
        records = RedisLeads(self._server).get_many(others)
        is_open = (isinstance(record, (Lead, LockedRecord)) and record.is_open for record in records)
        return points, frozenset(other for other, yes in zip(others, is_open, strict=True) if yes)

    def _result(self, script: str, names: Sequence[str], arguments: Sequence[Any]) -> Result:
        return Result(text(self._server.run_one(script, names, arguments)))


def _look(lead_id: str, answer: Any, vault: Vault) -> LeadFacts:
    kind, whole, score, in_open, in_all, waits_until_ms, waits_for_team = answer
    waiting_at = _instant(waits_until_ms)
    record = read_record(whole[0] if whole else None, vault)
    is_readable = not isinstance(record, UnreadableRecord) and (text(kind) == "none") == (record is None)
    history: tuple[HistoryEntry, ...] = ()
    try:
        history = tuple(read_history(whole[1:], vault))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        is_readable = False
    return LeadFacts(
        lead_id,
        record if isinstance(record, Lead) and is_readable else None,
        is_readable,
        history,
        _instant(score),
        bool(in_open),
        bool(in_all),
        waiting=None if waiting_at is None else (waiting_at, text(waits_for_team or b"")),
    )


def _destination(alert_key: str) -> str:
    return alert_key.rpartition(":")[2]  # a destination's name holds no colon


def _repaired(finding: Finding) -> str:
    return f"repaired:{finding.value}"


def _counts(found: Mapping[bytes, bytes]) -> dict[str, int]:
    return {text(name): int(n) for name, n in found.items()}


def _instant(score: Any) -> datetime | None:
    return None if score is None else from_ms(int(float(score)))


def _ms(instant: datetime | None) -> int | str:
    return "" if instant is None else to_ms(instant)
