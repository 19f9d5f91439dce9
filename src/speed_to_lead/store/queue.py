"""The queue: a stream any program may add to, read by the consumer group `router`; its patient lane; and the dead letters."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from redis.exceptions import ResponseError

from speed_to_lead.core.clock import MILLISECOND, from_ms, to_ms
from speed_to_lead.core.flags import OVER_RATE_HEADER
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
from speed_to_lead.core.submission import Submission, other_id, valid_submission_id
from speed_to_lead.store.contract import (
    BURIALS_AT_ONCE,
    GIVEN_BACK_IDLE,
    REPEATS_KEPT,
    Burial,
    Lane,
    QueueEntry,
    Result,
)
from speed_to_lead.store.documents import dump
from speed_to_lead.store.encryption import PLAIN, MissingKey, Vault, looks_sealed
from speed_to_lead.store.keys import entry_name, place_of
from speed_to_lead.store.leads import change_call, keep_ms
from speed_to_lead.store.server import (
    ScriptCall,
    Server,
    refuse_unconfirmed,
    text,
    translated_errors,
    wait_command,
)

GROUP = "router"
#: No lead was received before 1973; as milliseconds, a time in seconds looks as if it had been.
_EARLIEST_MS = 100_000_000_000
#: Entries moved by one call of the script. Nobody else is served meanwhile, which is two milliseconds.
_MOVED_AT_ONCE = 100
_RESULTS = {result.value.encode(): result for result in Result}
_STREAM_ID = re.compile(rb"\d{1,15}-\d{1,19}")


class RedisQueue:
    """Submissions on two streams: they come in on one, and in a flood those that can wait are moved to the other."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client
        self._keys = server.keys
        self._streams = {Lane.INCOMING: server.keys.incoming, Lane.PATIENT: server.keys.patient}
        self._vault = server.vault

    def add(self, submission: Submission) -> None:
        """Store one submission."""
        self.add_many([submission])

    def add_many(self, submissions: Sequence[Submission]) -> None:
        """Store several."""
        replicas = self._server.confirm_replicas
        with self._server.dropping_a_former_primary(), translated_errors():
            pipe = self._client.pipeline(transaction=False)
            for submission in submissions:
                pipe.xadd(self._keys.incoming, stream_fields(submission, self._vault))
            if replicas:
                pipe.execute_command(*wait_command(replicas))
            held_by = pipe.execute()[len(submissions) :]
            for count in held_by:
                refuse_unconfirmed(count, replicas)

    def take(self, consumer: str, limit: int, lane: Lane = Lane.INCOMING) -> list[QueueEntry]:
        """Entries nobody has taken yet."""
        stream = self._streams[lane]
        streams = self._with_group(
            stream, lambda: self._client.xreadgroup(GROUP, consumer, {stream: ">"}, count=limit)
        )
        entries = _entries(streams)
        now_ms = self._now_ms() if entries else 0
        return [self._entry(stream, entry_id, fields, now_ms) for entry_id, fields in entries]

    def untaken(self) -> int:
        """How many wait behind those taken: what is settled is deleted, so the others are what was handed out."""
        stream = self._streams[Lane.INCOMING]
        pending = self._with_group(stream, lambda: self._client.xpending(stream, GROUP))["pending"]
        with translated_errors():
            return max(int(self._client.xlen(stream)) - int(pending), 0)

    def postpone(self, entries: Sequence[QueueEntry]) -> set[str]:
        """Move entries that can wait; the server copies them, so nothing but their ids is sent."""
        places = [place_of(self._keys, entry.entry_id) for entry in entries]
        incoming = [own_id for stream, own_id in places if stream == self._keys.incoming]
        calls = [
            ScriptCall(
                "postpone_submissions",
                [self._keys.incoming, self._keys.patient],
                [GROUP, *incoming[start : start + _MOVED_AT_ONCE]],
            )
            for start in range(0, len(incoming), _MOVED_AT_ONCE)
        ]
        return {text(own_id) for moved in self._server.run(calls) for own_id in moved}

    def reclaim(self, consumer: str, idle: timedelta, limit: int, *, isolate_after: int) -> list[QueueEntry]:
        """Entries left behind by a router that died or froze."""
        for stream in self._streams.values():
            found = self._reclaim_from(stream, consumer, idle // MILLISECOND, limit, isolate_after)
            if found:
                return found
        return []

    def _reclaim_from(
        self, stream: str, consumer: str, idle_ms: int, limit: int, isolate_after: int
    ) -> list[QueueEntry]:
        pending = self._with_group(
            stream, lambda: self._client.xpending_range(stream, GROUP, "-", "+", limit, idle=idle_ms)
        )
        if not pending:
            return []
        suspects = [item for item in pending if item["times_delivered"] >= isolate_after]
        chosen = [item for item in pending if item["times_delivered"] < isolate_after] or suspects[:1]
        deliveries = {item["message_id"]: item["times_delivered"] + 1 for item in chosen}
        with translated_errors():
            claimed = self._client.xclaim(stream, GROUP, consumer, idle_ms, list(deliveries))
        entries = {entry_id: fields for entry_id, fields in claimed if fields is not None}
        if len(entries) < len(deliveries):
            self._forget_deleted(stream, [entry_id for entry_id in deliveries if entry_id not in entries])
        now_ms = self._now_ms()
        return [
            self._entry(stream, entry_id, fields, now_ms, deliveries[entry_id])
            for entry_id, fields in entries.items()
        ]

    def give_back(self, consumer: str, entries: Sequence[QueueEntry]) -> None:
        """Anybody may take them at once. A server that is full takes this all the same: it needs no memory."""
        self._hand_over(consumer, entries, GIVEN_BACK_IDLE)

    def forget_consumers(self, idle: timedelta) -> int:
        """Strike off consumers that died long ago. One that holds entries stays: they would be forgotten with it."""
        arguments = [GROUP, int(idle.total_seconds() * 1000)]
        calls = [ScriptCall("forget_consumers", [stream], arguments) for stream in self._streams.values()]
        return sum(int(forgotten) for forgotten in self._server.run(calls))

    def settle(self, settlements: Iterable[Settlement]) -> list[Result]:
        """Write what became of the entries, each while the next is made."""
        answers = self._server.run(self._call_or_burial(settlement) for settlement in settlements)
        return [_RESULTS[answer] for answer in answers]

    def lead_of(self, keys: Iterable[str]) -> dict[str, str]:
        """What submissions with these keys became."""
        wanted = list(keys)
        if not wanted:
            return {}
        with translated_errors():
            found = self._client.mget([self._keys.seen(key) for key in wanted])
        return {key: text(value) for key, value in zip(wanted, found, strict=True) if value is not None}

    def note_repeats(self, said: Sequence[tuple[str, str]], most: int) -> list[int]:
        """Who said it is kept as a hash too short to name anybody."""
        calls = [
            ScriptCall(
                "note_repeat",
                [self._keys.repeats(key)],
                [
                    hashlib.blake2b(who.encode(), digest_size=6).hexdigest(),
                    most,
                    REPEATS_KEPT // MILLISECOND,
                ],
            )
            for who, key in said
        ]
        return [int(place) for place in self._server.run(calls)] if calls else []

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """The newest dead letters."""
        with translated_errors():
            ids = [text(i) for i in self._client.zrevrange(self._keys.dead_letters, 0, limit - 1)]
        return [letter for letter in map(self.dead_letter, ids) if letter is not None]

    def buried_since(self, since: datetime, seen: Collection[str]) -> list[Burial]:
        """Only form and error are read: a thousand bodies may be a gigabyte."""
        with translated_errors():
            buried = self._client.zrangebyscore(
                self._keys.dead_letters, to_ms(since), "+inf", withscores=True
            )
            fresh = [(text(name), at) for name, at in buried if text(name) not in seen][:BURIALS_AT_ONCE]
            pipe = self._client.pipeline(transaction=False)
            for name, _ in fresh:
                pipe.hmget(self._keys.dead_letter(name), "form", "error")
            found = pipe.execute()
        return [
            Burial(name, text(form or b""), text(error or b""), from_ms(int(at)))
            for (name, at), (form, error) in zip(fresh, found, strict=True)
        ]

    def dead_letter(self, submission_id: str) -> DeadLetter | None:
        """One dead letter."""
        with translated_errors():
            fields = self._client.hgetall(self._keys.dead_letter(submission_id))
        if not fields:
            return None
        entry = queue_entry(b"0-0", fields, self._now_ms(), vault=self._vault)
        return DeadLetter(entry.submission, text(fields[b"error"]), from_ms(int(fields[b"buried_at"])))

    def replay(self, submission_id: str) -> Result:
        """Back into the queue."""
        keys = self._keys
        names = [keys.incoming, keys.ledger, keys.dead_letter(submission_id), keys.dead_letters]
        return Result(
            text(self._server.run_one("replay_dead_letter", names, [submission_id], confirmed=True))
        )

    def discard(self, submission_id: str) -> Result:
        """Gone for good."""
        keys = self._keys
        names = [keys.ledger, keys.dead_letter(submission_id), keys.dead_letters]
        return Result(
            text(self._server.run_one("discard_dead_letter", names, [submission_id], confirmed=True))
        )

    def leave(self, consumer: str, entries: Sequence[QueueEntry]) -> None:
        """Pending as if it had just been taken; whoever reclaims it next may have the key."""
        self._hand_over(consumer, entries, timedelta(0))

    def _hand_over(self, consumer: str, entries: Sequence[QueueEntry], idle: timedelta) -> None:
        """Let them stand as this consumer's, untouched for so long; that it had them does not count."""
        with translated_errors():
            pipe = self._client.pipeline(transaction=False)
            for entry in entries:
                stream, own_id = place_of(self._keys, entry.entry_id)
                pipe.xclaim(
                    stream,
                    GROUP,
                    consumer,
                    0,
                    [own_id],
                    idle=idle // MILLISECOND,
                    retrycount=entry.deliveries - 1,
                    justid=True,
                )
            pipe.execute()

    def _now_ms(self) -> int:
        with translated_errors():
            seconds, microseconds = self._client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def _call_or_burial(self, settlement: Settlement) -> ScriptCall:
        """The call that writes the settlement; one that cannot be written becomes a dead letter, alone.

        A form tool's JSON may nest so deeply that it can be read but not written again.
        """
        try:
            return self._call(settlement)
        except (TypeError, ValueError, RecursionError) as error:
            stream, own_id = place_of(self._keys, settlement.entry_id)
            with translated_errors():
                found = self._client.xrange(stream, own_id, own_id)
                seconds, microseconds = self._client.time()
            if not found:
                raise
            at = from_ms(seconds * 1000 + microseconds // 1000)
            why = f"its record cannot be written: {type(error).__name__}"
            entry = self._entry(stream, found[0][0], found[0][1], to_ms(at))
            return self._call(Bury(settlement.entry_id, entry.submission, why, at))

    def _call(self, settlement: Settlement) -> ScriptCall:
        keys = self._keys
        stream, own_id = place_of(keys, settlement.entry_id)
        match settlement:
            case Admit() | Join():
                return change_call(keys, settlement.change, settlement, self._vault)
            case Drop():
                return ScriptCall(
                    "drop_submission",
                    [stream, keys.ledger, keys.seen(settlement.submission_id), keys.metrics],
                    [
                        own_id,
                        GROUP,
                        settlement.kind,
                        settlement.lead_id,
                        keep_ms(REMEMBER_KEY),
                        dump(counts_of_settlement(settlement)),
                    ],
                )
            case Split():
                parts: list[Any] = []
                for part in settlement.parts:
                    of_part = [one for pair in stream_fields(part, self._vault).items() for one in pair]
                    parts += (len(of_part), *of_part)
                return ScriptCall(
                    "split_submission", [stream, keys.incoming, keys.ledger], [own_id, GROUP, *parts]
                )
            case Await():
                waiting = stream_fields(settlement.submission, self._vault)
                return ScriptCall(
                    "await_fetch",
                    [
                        *(stream, keys.ledger, keys.fetch(settlement.name)),
                        *(keys.fetches, keys.fetches_overdue, keys.metrics),
                    ],
                    [
                        *(own_id, GROUP, settlement.name),
                        *(to_ms(settlement.at), to_ms(settlement.route_at)),
                        dump(
                            counts_of_settlement(Drop("", "duplicates", "", form=settlement.submission.form))
                        ),
                        *(one for pair in waiting.items() for one in pair),
                    ],
                )
            case Bury():
                submission = settlement.submission
                fields = {
                    **stream_fields(submission, self._vault),
                    "error": settlement.error,
                    "buried_at": to_ms(settlement.at),
                }
                other = other_id(submission)
                same_by = "same_by" if "same_by" in fields else "body"
                return ScriptCall(
                    "bury_submission",
                    [
                        stream,
                        keys.ledger,
                        keys.dead_letter(submission.id),
                        keys.dead_letters,
                        keys.dead_letter(other),
                        keys.metrics,
                    ],
                    [
                        own_id,
                        GROUP,
                        submission.id,
                        to_ms(settlement.at),
                        fields[same_by],
                        other,
                        dump(counts_of_settlement(settlement)),
                        dump(counts_of_repeated_burial(settlement)),
                        same_by,
                        *(part for pair in fields.items() for part in pair),
                    ],
                )

    def _entry(
        self, stream: str, own_id: bytes, fields: Mapping[bytes, bytes], now_ms: int, deliveries: int = 1
    ) -> QueueEntry:
        is_moved = stream == self._keys.patient
        entry = queue_entry(
            came_as(own_id, fields) if is_moved else own_id, fields, now_ms, deliveries, self._vault
        )
        name = entry_name(self._keys, stream, text(own_id))
        return dataclasses.replace(entry, entry_id=name) if is_moved else entry

    def _forget_deleted(self, stream: str, entry_ids: Sequence[bytes]) -> None:
        """Acknowledge entries somebody deleted unread: before Redis 7 they stay pending and hide those behind them."""
        with translated_errors():
            for entry_id in entry_ids:
                if not self._client.xrange(stream, entry_id, entry_id):
                    self._client.xack(stream, GROUP, entry_id)

    def _with_group(self, stream: str, read: Callable[[], Any]) -> Any:
        """What `read` answers; the group is made where the server has none (a fresh one, or one that lost its data)."""
        with translated_errors():
            try:
                return read()
            except ResponseError as error:
                # fakeredis says of a missing stream what a server says only of XGROUP.
                if "NOGROUP" not in str(error) and "XGROUP" not in str(error):
                    raise
                make_group(self._client, stream)
                return read()


def make_group(client: Any, stream: str) -> None:
    """Make the consumer group, reading from the first entry there is. No harm where it exists."""
    try:
        client.xgroup_create(stream, GROUP, id="0", mkstream=True)
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise


@dataclass(frozen=True, slots=True)
class SealedSubmission(Submission):
    """A submission whose body this process has no key for. It is kept as it came, so that one with the key can read it."""

    sealed_headers: str = ""


def stream_fields(submission: Submission, vault: Vault = PLAIN) -> dict[Any, Any]:
    """A submission as the fields of a stream entry (docs/redis-keys.md); with keys, body and headers as tokens."""
    fields: dict[str, Any] = {
        "id": submission.id,
        "form": submission.form.encode("utf-8", "backslashreplace"),
        "received_at": to_ms(submission.received_at),
        "body": submission.body,
        "content_type": submission.content_type.encode("utf-8", "backslashreplace"),
    }
    if isinstance(submission, SealedSubmission):
        fields |= {"sealed": 1} | (
            {"headers": submission.sealed_headers} if submission.sealed_headers else {}
        )
        return fields
    if submission.headers:
        fields["headers"] = json.dumps(dict(submission.headers))
    if vault.seals:
        fields |= {name: vault.seal(fields[name]) for name in ("body", "headers") if name in fields}
        fields |= {"sealed": 1, "same_by": vault.digest(submission.body)}
    return fields


def came_as(own_id: bytes, fields: Mapping[bytes, bytes]) -> bytes:
    """The id an entry of the patient lane had where it came in: that one says when it was received."""
    given = fields.get(b"came_as", b"")
    return given if _STREAM_ID.fullmatch(given) else own_id


def queue_entry(
    entry_id: bytes,
    fields: Mapping[bytes, bytes],
    now_ms: int,
    deliveries: int = 1,
    vault: Vault = PLAIN,
) -> QueueEntry:
    """The entry as a value. Any program may add to the stream, so every field may be missing or wrong.

    Without `received_at`, or with one later than the entry itself, the instant the entry was added counts: the
    clock starts when we received it, not when somebody's clock says so. An entry may be given any id, so one from
    the future counts as added now. Without `body`, all fields are the body.
    """
    added_ms = min(int(entry_id.partition(b"-")[0]) or now_ms, now_ms)
    received_ms = added_ms
    problem = ""
    given = fields.get(b"received_at", b"")
    if given:
        try:
            given_ms = int(given)
        except ValueError:
            given_ms = 0
        if given_ms < _EARLIEST_MS:
            problem = "received_at is no number of milliseconds since 1970 (seconds, perhaps?)"
        else:
            received_ms = min(given_ms, added_ms)
    is_locked = False
    if fields.get(b"sealed"):
        try:
            fields = {**fields, **_opened(fields, vault)}
        except MissingKey as error:
            problem, is_locked = str(error), True
    headers: dict[str, str] = {}
    if fields.get(b"headers") and not is_locked:
        found = _headers(fields[b"headers"])
        headers, problem = (found, problem) if found is not None else ({}, "headers is not a JSON object")
    body = fields.get(b"body")
    if body is None:
        problem = "the entry has no body"
        # Kept all the same: whoever looks at the dead letter shall see what came.
        body = json.dumps({text(name): text(value) for name, value in fields.items()}).encode()
    if not fields.get(b"form"):
        problem = "the entry names no form"
    given_id = text(fields.get(b"id", b"")) or f"x{text(entry_id)}"
    submission = Submission(
        id=valid_submission_id(given_id),
        form=text(fields.get(b"form", b"")),
        received_at=from_ms(received_ms),
        body=body,
        content_type=text(fields.get(b"content_type", b"")),
        headers=headers | _marks(fields),
    )
    if is_locked:
        submission = _locked(submission, text(fields.get(b"headers", b"")))
    # What no key could ever open is not left for others: it becomes a dead letter, as it came.
    return QueueEntry(text(entry_id), submission, deliveries, problem, is_locked and looks_sealed(body))


def _marks(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """What the script that stored it found out about it, as a header."""
    return {OVER_RATE_HEADER: "1"} if fields.get(b"over_rate") else {}


def _headers(raw: bytes) -> dict[str, str] | None:
    try:
        return {str(name).lower(): str(value) for name, value in json.loads(raw).items()}
    except (ValueError, AttributeError, RecursionError):
        return None


def _locked(submission: Submission, sealed_headers: str) -> SealedSubmission:
    given = {one.name: getattr(submission, one.name) for one in dataclasses.fields(submission)}
    return SealedSubmission(**given, sealed_headers=sealed_headers)


def _opened(fields: Mapping[bytes, bytes], vault: Vault) -> dict[bytes, bytes]:
    return {name: vault.open(fields[name]) for name in (b"body", b"headers") if fields.get(name)}


def _entries(streams: Any) -> list[tuple[bytes, Mapping[bytes, bytes]]]:
    return [entry for _, entries in streams or () for entry in entries]
