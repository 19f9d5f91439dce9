"""Everything that is kept, walked key by key; and how a person, or what is too old, leaves it."""

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from speed_to_lead.core.clock import from_ms, to_ms
from speed_to_lead.core.metrics import counts_of_thrown_away
from speed_to_lead.store.contract import Erasure, Held, HeldBatch, HeldKind, Resealed, Result
from speed_to_lead.store.documents import dump
from speed_to_lead.store.everything import Walk, lead_of_alert
from speed_to_lead.store.keys import place_of
from speed_to_lead.store.leads import confirm_call
from speed_to_lead.store.packing import packed
from speed_to_lead.store.queue import GROUP
from speed_to_lead.store.resealing import Resealing, sealed_again
from speed_to_lead.store.server import Server, text, translated_errors


class RedisPrivacy:
    """What is kept of people in Redis."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client
        self._keys = server.keys
        self._vault = server.vault
        self._walk = Walk(server)

    def everything(self) -> Iterator[HeldBatch]:
        """Every key, the queue first."""
        return self._walk.everything()

    def confirm(self) -> None:
        """One write, and a WAIT for it and all before it."""
        if self._server.confirm_replicas:
            self._server.run([confirm_call(self._keys, None)], confirmed=True)

    def reseal(self) -> Iterator[Resealed]:
        """Bring everything under the first key. Raises UnusableKeys where there is none."""
        return Resealing(self._server).run()

    def locked_among_newest(self, limit: int) -> int:
        """How many of the newest leads and dead letters need a key that is not set."""
        with translated_errors():
            leads = [
                self._keys.lead(text(i)) for i in self._client.zrevrange(self._keys.all_leads, 0, limit - 1)
            ]
            ids = self._client.zrevrange(self._keys.dead_letters, 0, limit - 1)
        found = leads + [self._keys.dead_letter(text(i)) for i in ids]
        return sum(
            one.is_locked
            for batch in self._walk.batch(found)
            for one in batch.held
            if one.kind is not HeldKind.HISTORY  # under the key of its lead, which counts once
        )

    # --- leaving -----------------------------------------------------------------------------------------------

    def alerts_of(self, lead_ids: Collection[str]) -> dict[str, list[str]]:
        """The alerts of these leads."""
        wanted = set(lead_ids)
        found: dict[str, list[str]] = {}
        if not wanted:
            return found
        with translated_errors():
            for key in self._client.hscan_iter(self._keys.alerts, count=1000):
                alert = text(key[0])
                if lead_of_alert(alert) in wanted:
                    found.setdefault(lead_of_alert(alert), []).append(alert)
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
        keys = self._keys
        names = [
            keys.lead(lead_id), keys.due, keys.all_leads, keys.open_leads, keys.quarantine, keys.ledger,
            keys.load, keys.alerts, keys.attempts, keys.dead_alerts, keys.load_changes,
            keys.waiting, keys.waiting_teams,
        ]  # fmt: skip

        def number_of(key: str) -> int:
            if key not in names:
                names.append(key)
            return names.index(key) + 1  # Lua counts from 1

        plan = {
            "id": lead_id,
            "expected": str(version) if version is not None else False,
            "counter": counter,
            "rep": rep or False,
            "alerts": [
                (number_of(keys.outbox(destination)), number_of(keys.leased(destination)), key)
                for key in alerts
                for destination in (key.rpartition(":")[2],)  # a destination's name holds no colon
            ],
            "pointers": [number_of(keys.start + name) for name in pointers],
        }
        return Result(text(self._server.run_one("remove_lead", names, [dump(plan)])))

    def remove_pointer(self, name: str, lead_id: str) -> Result:
        """A pointer alone."""
        return Result(text(self._server.run_one("remove_pointer", [f"{self._keys.start}{name}"], [lead_id])))

    def remove_dead_letter(self, submission_id: str, counter: str) -> Result:
        """A dead letter, for good."""
        keys = self._keys
        names = [keys.ledger, keys.dead_letter(submission_id), keys.dead_letters]
        return Result(text(self._server.run_one("remove_dead_letter", names, [submission_id, counter])))

    def remove_submission(self, entry_id: str, counter: str, form: str = "") -> Result:
        """An entry of the queue, unread."""
        stream, own_id = place_of(self._keys, entry_id)
        names = [stream, self._keys.ledger, self._keys.metrics]
        arguments = [own_id, GROUP, counter, dump(counts_of_thrown_away(form))]
        return Result(text(self._server.run_one("remove_submission", names, arguments)))

    def remove_fetch(self, name: str, counter: str, form: str = "") -> Result:
        """A submission whose tool is still asked."""
        keys = self._keys
        names = [keys.fetch(name), keys.fetches, keys.fetches_overdue, keys.ledger, keys.metrics]
        arguments = [name, counter, dump(counts_of_thrown_away(form))]
        return Result(text(self._server.run_one("remove_fetch", names, arguments)))

    def remove_dead_alert(self, key: str, counter: str) -> Result:
        """An alert that was given up."""
        names = [self._keys.alerts, self._keys.attempts, self._keys.dead_alerts, self._keys.ledger]
        return Result(text(self._server.run_one("remove_dead_alert", names, [key, counter])))

    def rewrite(self, held: Held, new_text: str) -> Result:
        """Another text in place of one line of history each, or of an alert."""
        new = new_text.split("\n")
        if held.kind is HeldKind.HISTORY:
            lines = zip(held.raw, held.text.split("\n"), new, strict=True)
            changes: list[int | bytes] = []
            for number, (raw, old, line) in enumerate(lines, start=1):  # before them is the record
                if line != old:
                    changes += [number, raw, packed(sealed_again(line, ("details",), self._vault))]
            return Result(text(self._server.run_one("rewrite_lines", [self._keys.lead(held.name)], changes)))
        document = sealed_again(new_text, ("note",), self._vault)
        arguments = [held.name, held.raw[0], document]
        return Result(text(self._server.run_one("rewrite_fields", [self._keys.alerts], arguments)))

    # --- ageing ------------------------------------------------------------------------------------------------

    def oldest(self, until: datetime, skip: int, limit: int) -> list[str]:
        """Leads received until then, oldest first."""
        with translated_errors():
            found = self._client.zrange(self._keys.all_leads, skip, skip + limit - 1, withscores=True)
        return [text(lead_id) for lead_id, at in found if at <= to_ms(until)]

    def dead_letters_until(self, instant: datetime, limit: int) -> list[str]:
        """Dead letters buried until then, oldest first."""
        return self._older_than(self._keys.dead_letters, instant, limit)

    def dead_alerts_until(self, instant: datetime, limit: int) -> list[str]:
        """Alerts given up until then, oldest first."""
        return self._older_than(self._keys.dead_alerts, instant, limit)

    def _older_than(self, key: str, instant: datetime, limit: int) -> list[str]:
        with translated_errors():
            found = self._client.zrangebyscore(key, "-inf", to_ms(instant), start=0, num=limit)
        return [text(name) for name in found]

    # --- the record of erasures, and the server's log ----------------------------------------------------------

    def note_erasure(self, erasure: Erasure) -> None:
        """Keep that it happened."""
        document = {
            "at": to_ms(erasure.at), "by": erasure.by, "reference": erasure.reference,
            "counts": dict(erasure.counts), "proven": erasure.proven,
        }  # fmt: skip
        with translated_errors():
            self._client.rpush(self._keys.erasures, dump(document))

    def erasures(self, limit: int) -> list[Erasure]:
        """The newest erasures."""
        with translated_errors():
            lines = self._client.lrange(self._keys.erasures, -limit, -1)
        documents = [json.loads(line) for line in reversed(lines)]
        return [
            Erasure(from_ms(d["at"]), d["by"], d["reference"], d["counts"], d["proven"]) for d in documents
        ]

    def rewrite_log(self) -> str:
        """Ask for a new append-only file; what the server said."""
        try:
            with translated_errors():
                self._client.bgrewriteaof()
        except Exception as error:  # noqa: BLE001 - a managed server may refuse; the caller says so
            # One that began before does not leave out what was erased since.
            return "busy" if "in progress" in str(error.__cause__) else f"refused ({error})"
        return "started"

    def log_is_rewritten(self) -> bool | None:
        """Whether the rewriting of the append-only file has ended well; None where the server does not say."""
        with translated_errors():
            info = self._client.info("persistence")
        if "aof_rewrite_in_progress" not in info or not info.get("aof_enabled"):
            return None
        if info["aof_rewrite_in_progress"] or info.get("aof_rewrite_scheduled"):
            return False
        return bool(info.get("aof_last_bgrewrite_status") == "ok")
