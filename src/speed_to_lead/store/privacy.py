"""Everything that is kept, walked key by key; and how a person, or what is too old, leaves it."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

import redis.exceptions

from speed_to_lead.core.clock import from_ms, to_ms
from speed_to_lead.store.contract import Erasure, Held, HeldBatch, HeldKind, Resealed, Result
from speed_to_lead.store.documents import FREE_TEXT_DETAILS, PERSONAL, dump, opened, resealed
from speed_to_lead.store.encryption import MissingKey
from speed_to_lead.store.queue import GROUP, SealedSubmission, queue_entry
from speed_to_lead.store.server import ScriptCall, Server, text, translated_errors

#: Keys, or members of one key, looked at in one go. A dead letter may hold a MiB.
BATCH = 100
#: Submissions in one go: each may hold a MiB.
SUBMISSIONS = 20
#: A record that changes under every rewrite is left to the next run.
TRIES = 5


class RedisPrivacy:
    """What is kept of people in Redis."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client
        self._keys = server.keys
        self._vault = server.vault
        self._start = self._keys.incoming.removesuffix("leads:incoming")

    # --- everything --------------------------------------------------------------------------------------------

    def everything(self) -> Iterator[HeldBatch]:
        """Every key, the queue first: what a router takes from it meanwhile is met as a lead afterwards."""
        yield from self._submissions()
        cursor = 0
        while True:
            with translated_errors():
                cursor, names = self._client.scan(cursor, match=f"{self._start}*", count=BATCH)
            yield from self._batch([text(name) for name in names if text(name) != self._keys.incoming])
            if not cursor:
                return

    def _batch(self, keys: list[str]) -> Iterator[HeldBatch]:
        with translated_errors():
            pipe = self._client.pipeline(transaction=False)
            for key in keys:
                pipe.type(key)
            kinds = [text(kind) for kind in pipe.execute()]
        held: list[Held] = []
        for key, (kind, value) in zip(keys, self._whole(keys, kinds), strict=True):
            if value is not None:
                held.append(self._held(key, kind, value))
        yield HeldBatch(len(keys), held)
        for key, kind in zip(keys, kinds, strict=True):
            if key == self._keys.alerts and kind == "hash":
                yield from self._alerts()
            elif not self._is_small(key, kind):
                yield from self._members(key, kind)

    def _whole(self, keys: list[str], kinds: list[str]) -> Iterator[tuple[str, Any]]:
        """The value of each key that is small enough to be read at once."""
        with translated_errors():
            pipe = self._client.pipeline(transaction=False)
            asked = []
            for number, (key, kind) in enumerate(zip(keys, kinds, strict=True)):
                if self._is_small(key, kind):
                    asked.append(number)
                    if kind == "hash":
                        pipe.hgetall(key)
                    elif kind == "list":
                        pipe.lrange(key, 0, -1)
                    else:
                        pipe.get(key)
            answers = dict(zip(asked, pipe.execute(raise_on_error=False), strict=True))
        for number, kind in enumerate(kinds):
            answer = answers.get(number)
            yield kind, None if isinstance(answer, redis.exceptions.ResponseError) else answer

    def _is_small(self, key: str, kind: str) -> bool:
        """Whether the key belongs to one lead, person or submission; the others may hold millions of members."""
        first = key.removeprefix(self._start).partition(":")[0]
        is_one = first in ("lead", "dead-letter") and key != self._keys.dead_letters
        return kind == "string" or (is_one and kind in ("hash", "list"))

    def _held(self, key: str, kind: str, value: Any) -> Held:
        name = key.removeprefix(self._start)
        first, _, rest = name.partition(":")
        if first == "lead" and kind == "hash":
            fields = {text(field): content for field, content in value.items()}
            return self._readable(HeldKind.LEAD, rest, [fields.get("document", b"")], also=dump_texts(fields))
        if first == "lead" and kind == "list":
            return self._readable(HeldKind.HISTORY, rest.removesuffix(":history"), value)
        if first == "dead-letter" and kind == "hash":
            return self._submission(HeldKind.DEAD_LETTER, rest, value)
        if first in ("person", "seen") and kind == "string":
            return Held(HeldKind.POINTER, name, f"{name} {text(value)}", points_to=text(value))
        return Held(HeldKind.OTHER, name, f"{name} {text(value)}")

    def _readable(self, kind: HeldKind, name: str, raw: Sequence[bytes], also: str = "") -> Held:
        """Documents with what was sealed in them opened."""
        lines, is_locked = [], False
        for one in raw:
            line = text(one)
            if '"sealed"' in line:
                try:
                    line = dump(opened(json.loads(line), self._vault))
                except MissingKey:
                    is_locked = True
                except (ValueError, TypeError):
                    pass
            lines.append(line)
        return Held(kind, name, "\n".join([*lines, also] if also else lines), tuple(raw), is_locked=is_locked)

    def _submission(self, kind: HeldKind, name: str, fields: dict[bytes, bytes]) -> Held:
        now_ms = to_ms(datetime.fromisoformat("9999-01-01T00:00:00+00:00"))
        entry = queue_entry(
            b"0-0" if kind is HeldKind.DEAD_LETTER else name.encode(), fields, now_ms, vault=self._vault
        )
        submission = entry.submission
        body = submission.body.decode("utf-8", "replace")
        others = dump_texts({text(f): v for f, v in fields.items() if f not in (b"body", b"headers")})
        whole = "\n".join((body, *map(str, submission.headers.values()), others))
        is_locked = isinstance(submission, SealedSubmission)
        error = text(fields.get(b"error", b""))
        return Held(kind, name, whole, submission=submission, note=error, is_locked=is_locked)

    def _submissions(self) -> Iterator[HeldBatch]:
        last = "-"
        while True:
            try:
                with translated_errors():
                    found = self._client.xrange(self._keys.incoming, last, count=SUBMISSIONS)
            except redis.exceptions.ResponseError:
                return
            if found:
                held = [self._submission(HeldKind.INCOMING, text(i), f) for i, f in found]
                yield HeldBatch(1 if last == "-" else 0, held)
            if len(found) < SUBMISSIONS:
                return
            last = f"({text(found[-1][0])}"

    def _alerts(self) -> Iterator[HeldBatch]:
        cursor = 0
        while True:
            with translated_errors():
                cursor, found = self._client.hscan(self._keys.alerts, cursor, count=BATCH)
            held = []
            for key, document in found.items():
                one = self._readable(HeldKind.ALERT, text(key), [document])
                held.append(
                    Held(
                        one.kind,
                        one.name,
                        one.text,
                        one.raw,
                        lead_of_alert(text(key)),
                        is_locked=one.is_locked,
                    )
                )
            yield HeldBatch(0, held)
            if not cursor:
                return

    def _members(self, key: str, kind: str) -> Iterator[HeldBatch]:
        """A key with many members, a batch at a time."""
        name = key.removeprefix(self._start)
        scans: dict[str, Callable[[int], tuple[int, Any]]] = {
            "hash": lambda c: self._client.hscan(key, c, count=BATCH),
            "set": lambda c: self._client.sscan(key, c, count=BATCH),
            "zset": lambda c: self._client.zscan(key, c, count=BATCH),
        }
        if kind in scans:
            cursor = 0
            while True:
                with translated_errors():
                    cursor, found = scans[kind](cursor)
                yield HeldBatch(0, [Held(HeldKind.OTHER, name, f"{name} {texts_of(found)}")])
                if not cursor:
                    return
        start, found = 0, [b""]
        while kind == "list" and found:
            with translated_errors():
                found = self._client.lrange(key, start, start + BATCH - 1)
            start += BATCH
            yield HeldBatch(0, [Held(HeldKind.OTHER, name, f"{name} {texts_of(found)}")])
        if kind == "stream":
            with translated_errors():
                yield HeldBatch(
                    0, [Held(HeldKind.OTHER, name, texts_of(self._client.xrange(key, count=BATCH)))]
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
            keys.lead(lead_id), keys.history(lead_id), keys.due, keys.all_leads, keys.open_leads, keys.quarantine,
            keys.ledger, keys.load, keys.alerts, keys.attempts, keys.dead_alerts, keys.load_changes,
        ]  # fmt: skip

        def number_of(key: str) -> int:
            if key not in names:
                names.append(key)
            return names.index(key) + 1  # Lua counts from 1

        plan = {
            "id": lead_id,
            "expected": version if version is not None else False,
            "counter": counter,
            "rep": rep or False,
            "alerts": [
                (number_of(keys.outbox(destination)), number_of(keys.leased(destination)), key)
                for key in alerts
                for destination in (key.rpartition(":")[2],)  # a destination's name holds no colon
            ],
            "pointers": [number_of(self._start + name) for name in pointers],
        }
        return Result(text(self._server.run_one("remove_lead", names, [dump(plan)])))

    def remove_dead_letter(self, submission_id: str, counter: str) -> Result:
        """A dead letter, for good."""
        keys = self._keys
        names = [keys.ledger, keys.dead_letter(submission_id), keys.dead_letters]
        return Result(text(self._server.run_one("remove_dead_letter", names, [submission_id, counter])))

    def remove_submission(self, entry_id: str, counter: str) -> Result:
        """An entry of the queue, unread."""
        names = [self._keys.incoming, self._keys.ledger]
        return Result(text(self._server.run_one("remove_submission", names, [entry_id, GROUP, counter])))

    def remove_dead_alert(self, key: str, counter: str) -> Result:
        """An alert that was given up."""
        names = [self._keys.alerts, self._keys.attempts, self._keys.dead_alerts, self._keys.ledger]
        return Result(text(self._server.run_one("remove_dead_alert", names, [key, counter])))

    def rewrite(self, held: Held, new_text: str) -> Result:
        """Another text in place of one line of history each, or of an alert."""
        new = new_text.split("\n")
        if held.kind is HeldKind.HISTORY:
            lines = [self._sealed_again(line, ("details",)) for line in new]
            arguments = [
                part
                for number, (old, line) in enumerate(zip(held.raw, lines, strict=True))
                if text(old) != line
                for part in (number, old, line)
            ]
            return Result(
                text(self._server.run_one("rewrite_lines", [self._keys.history(held.name)], arguments))
            )
        document = self._sealed_again(new_text, ("note",))
        arguments = [held.name, held.raw[0], document]
        return Result(text(self._server.run_one("rewrite_fields", [self._keys.alerts], arguments)))

    def _sealed_again(self, line: str, personal: Sequence[str]) -> str:
        if not self._vault.seals or not _has_free_text(json.loads(line)):
            return line
        return resealed(line, personal, self._vault) or line

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
            return f"refused ({error})"
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

    # --- keys --------------------------------------------------------------------------------------------------

    def locked_among_newest(self, limit: int) -> int:
        """How many of the newest leads and dead letters need a key that is not set."""
        with translated_errors():
            leads = [
                self._keys.lead(text(i)) for i in self._client.zrevrange(self._keys.all_leads, 0, limit - 1)
            ]
            ids = self._client.zrevrange(self._keys.dead_letters, 0, limit - 1)
        found = leads + [self._keys.dead_letter(text(i)) for i in ids]
        return sum(one.is_locked for batch in self._batch(found) for one in batch.held)

    def reseal(self) -> Iterator[Resealed]:
        """Bring everything under the first key; each batch's counts. What is under it already is passed over."""
        for batch in self.everything():
            done = Resealed(looked_at=batch.keys)
            for held in batch.held:
                done += self._reseal_one(held)
            yield done

    def _reseal_one(self, held: Held) -> Resealed:
        if held.is_locked or held.kind is HeldKind.INCOMING:
            return Resealed(locked=held.is_locked, in_flight=held.kind is HeldKind.INCOMING)
        try:
            for _ in range(TRIES):
                call = self._reseal_call(held)
                if call is None:
                    return Resealed()
                if self._server.run([call])[0] == b"applied":
                    return Resealed(rewritten=1)
        except MissingKey:
            return Resealed(locked=1)
        except (ValueError, TypeError):
            return Resealed(unreadable=1)
        return Resealed(contended=1)

    def _reseal_call(self, held: Held) -> ScriptCall | None:
        """The rewrite of one thing as it is now; None where there is nothing to do."""
        keys, vault = self._keys, self._vault
        with translated_errors():
            match held.kind:
                case HeldKind.LEAD:
                    key, found = keys.lead(held.name), self._client.hget(keys.lead(held.name), "document")
                    new = resealed(found, PERSONAL, vault) if found else None
                    return ScriptCall("rewrite_fields", [key], ["document", found, new]) if new else None
                case HeldKind.ALERT:
                    found = self._client.hget(keys.alerts, held.name)
                    new = resealed(found, ("note",), vault) if found else None
                    return (
                        ScriptCall("rewrite_fields", [keys.alerts], [held.name, found, new]) if new else None
                    )
                case HeldKind.HISTORY:
                    key = keys.history(held.name)
                    arguments: list[Any] = []
                    for number, line in enumerate(self._client.lrange(key, 0, -1)):
                        new = self._resealed_line(line)
                        arguments += [number, line, new] if new else []
                    return ScriptCall("rewrite_lines", [key], arguments) if arguments else None
                case HeldKind.DEAD_LETTER:
                    return self._reseal_letter(keys.dead_letter(held.name))
                case _:
                    return None

    def _resealed_line(self, line: bytes) -> str | None:
        document = json.loads(line)
        needs = "sealed" in document or _has_free_text(document)
        return resealed(line, ("details",), self._vault) if needs else None

    def _reseal_letter(self, key: str) -> ScriptCall | None:
        fields, vault = self._client.hgetall(key), self._vault
        body = fields.get(b"body", b"")
        if not fields or (fields.get(b"sealed") and vault.is_current(body)):
            return None
        new: dict[bytes, Any] = {}
        for name in (b"body", b"headers"):
            if name in fields:
                plain = vault.open(fields[name]) if fields.get(b"sealed") else fields[name]
                new[name] = vault.seal(plain)
                if name == b"body":
                    new[b"same_by"] = vault.digest(plain)
        new[b"sealed"] = 1
        arguments = [part for name, value in new.items() for part in (name, fields.get(name, b""), value)]
        return ScriptCall("rewrite_fields", [key], arguments)


def lead_of_alert(alert_key: str) -> str:
    """The lead of an alert's key, `lead:step:destination`: an id holds no colon."""
    return alert_key.partition(":")[0]


def dump_texts(fields: dict[str, bytes]) -> str:
    """All fields of a hash but documents, as one text."""
    return " ".join(f"{name} {text(value)}" for name, value in fields.items() if name != "document")


def texts_of(found: Any) -> str:
    """Everything in an answer of the server as one text."""
    if isinstance(found, dict):
        return " ".join(f"{texts_of(name)} {texts_of(value)}" for name, value in found.items())
    if isinstance(found, (list, tuple, set)):
        return " ".join(texts_of(item) for item in found)
    return text(found) if found is not None else ""


def _has_free_text(document: Any) -> bool:
    details = document.get("details") if isinstance(document, dict) else None
    if isinstance(details, dict):
        return not FREE_TEXT_DETAILS.isdisjoint(details)
    return "note" in document
