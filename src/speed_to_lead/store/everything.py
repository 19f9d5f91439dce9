"""Every key under the prefix, opened, as texts in which people can be looked for; a batch at a time, never all at once."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import redis.exceptions

from speed_to_lead.core.clock import to_ms
from speed_to_lead.store.contract import Held, HeldBatch, HeldKind
from speed_to_lead.store.documents import dump, opened
from speed_to_lead.store.encryption import MissingKey
from speed_to_lead.store.keys import entry_name, place_of
from speed_to_lead.store.packing import MARK, unpacked
from speed_to_lead.store.queue import SealedSubmission, came_as, queue_entry
from speed_to_lead.store.records import document_of
from speed_to_lead.store.server import Server, text, translated_errors

#: Keys, or members of one key, looked at in one go. A dead letter may hold a MiB.
BATCH = 100
#: Submissions in one go: each may hold a MiB.
SUBMISSIONS = 20


class Walk:
    """Walks one server; what a key's name says it is decides how it is read."""

    def __init__(self, server: Server) -> None:
        self._client = server.client
        self._keys = server.keys
        self._vault = server.vault
        self._start = server.keys.start

    def everything(self) -> Iterator[HeldBatch]:
        """Every key, the queue first: what a router takes from it meanwhile is met as a lead afterwards.

        And the lane where submissions come in before the patient one: what is moved meanwhile is met there.
        """
        streams = (self._keys.incoming, self._keys.patient)
        for stream in streams:
            yield from self._submissions(stream)
        cursor = 0
        while True:
            with translated_errors():
                cursor, names = self._client.scan(cursor, match=f"{self._start}*", count=BATCH)
            yield from self.batch([text(name) for name in names if text(name) not in streams])
            if not cursor:
                return

    def batch(self, keys: list[str]) -> Iterator[HeldBatch]:
        """These keys."""
        with translated_errors():
            pipe = self._client.pipeline(transaction=False)
            for key in keys:
                pipe.type(key)
            kinds = [text(kind) for kind in pipe.execute()]
        held: list[Held] = []
        for key, (kind, value) in zip(keys, self._whole(keys, kinds), strict=True):
            if value is not None:
                held += self._held(key, kind, value)
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
        is_one = first in ("lead", "dead-letter", "fetch") and key != self._keys.dead_letters
        return kind == "string" or (is_one and kind in ("hash", "list"))

    def _held(self, key: str, kind: str, value: Any) -> list[Held]:
        name = key.removeprefix(self._start)
        first, _, rest = name.partition(":")
        if first == "lead" and kind == "list":
            record, *lines = value
            held = [self._readable(HeldKind.LEAD, rest, [record])]
            return [*held, self._readable(HeldKind.HISTORY, rest, lines)] if lines else held
        if first == "dead-letter" and kind == "hash":
            return [self._submission(HeldKind.DEAD_LETTER, rest, value)]
        if first == "fetch" and kind == "hash":
            one = self._submission(HeldKind.FETCH, rest, value)
            return [replace(one, points_to=one.submission.id if one.submission is not None else "")]
        if first in ("person", "company", "seen") and kind == "string":
            return [Held(HeldKind.POINTER, name, f"{name} {text(value)}", points_to=text(value))]
        return [Held(HeldKind.OTHER, name, f"{name} {text(value)}")]

    def _readable(self, kind: HeldKind, name: str, raw: Sequence[bytes]) -> Held:
        """Documents unpacked, with what was sealed in them opened; what is damaged stands as it is."""
        lines, is_locked, is_damaged = [], False, False
        for one in raw:
            try:
                line = text(document_of(one)[1] if kind is HeldKind.LEAD else unpacked(one))
            except ValueError:
                line = text(one)
                is_damaged = is_damaged or MARK in one
            if '"sealed"' in line:
                try:
                    line = dump(opened(json.loads(line), self._vault))
                except MissingKey:
                    is_locked = True
                except (ValueError, TypeError):
                    pass
            # Damaged, or written by hand, it may be of several lines; in JSON their ends mean nothing.
            lines.append(line.replace("\n", " "))
        return Held(kind, name, "\n".join(lines), tuple(raw), is_locked=is_locked, is_damaged=is_damaged)

    def _submission(self, kind: HeldKind, name: str, fields: dict[bytes, bytes]) -> Held:
        now_ms = to_ms(datetime.fromisoformat("9999-01-01T00:00:00+00:00"))
        stream, own_id = place_of(self._keys, name if kind is HeldKind.INCOMING else "0-0")
        first_id = came_as(own_id.encode(), fields) if stream == self._keys.patient else own_id.encode()
        entry = queue_entry(first_id, fields, now_ms, vault=self._vault)
        submission = entry.submission
        body = submission.body.decode("utf-8", "replace")
        others = dump_texts({text(f): v for f, v in fields.items() if f not in (b"body", b"headers")})
        whole = "\n".join((body, *map(str, submission.headers.values()), others))
        is_locked = isinstance(submission, SealedSubmission)
        error = text(fields.get(b"error", b""))
        return Held(kind, name, whole, submission=submission, note=error, is_locked=is_locked)

    def _submissions(self, stream: str) -> Iterator[HeldBatch]:
        last = "-"
        while True:
            try:
                with translated_errors():
                    found = self._client.xrange(stream, last, count=SUBMISSIONS)
            except redis.exceptions.ResponseError:
                return
            if found:
                held = [
                    self._submission(HeldKind.INCOMING, entry_name(self._keys, stream, text(i)), f)
                    for i, f in found
                ]
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


def lead_of_alert(alert_key: str) -> str:
    """The lead of an alert's key, `lead:step:destination`: an id holds no colon."""
    return alert_key.partition(":")[0]


def dump_texts(fields: dict[str, bytes]) -> str:
    """All fields of a hash as one text."""
    return " ".join(f"{name} {text(value)}" for name, value in fields.items())


def texts_of(found: Any) -> str:
    """Everything in an answer of the server as one text."""
    if isinstance(found, dict):
        return " ".join(f"{texts_of(name)} {texts_of(value)}" for name, value in found.items())
    if isinstance(found, (list, tuple, set)):
        return " ".join(texts_of(item) for item in found)
    return text(found) if found is not None else ""
