"""What people on call ask: do the books balance, how deep is each queue, who is alive, how is the server set up."""

import re
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import redis

from speed_to_lead.core.audit import Ledger
from speed_to_lead.core.clock import from_ms, to_ms
from speed_to_lead.store.contract import Health, OutboxHealth, ServerPolicy
from speed_to_lead.store.documents import decided_at
from speed_to_lead.store.queue import GROUP, came_as
from speed_to_lead.store.server import Server, described, text, translated_errors

#: Alerts looked at, at both ends of each outbox, for the oldest of all.
OLDEST_AMONG = 20
#: Leads without a rep looked at for the one that has waited longest, those first whose deadlines are nearest.
OLDEST_WAITING_AMONG = 1000
#: A hint that nobody took in this time was lost; the next one is sent again.
HINT_LASTS_MS = 1000
#: A process that has not beaten for this long is forgotten: it was stopped on purpose, or replaced.
FORGET_PROCESS_AFTER = timedelta(days=1)
#: From this Valkey on a server cuts half a change off its append-only file before it writes on. No Redis is known to.
CUTS_HALF_OFF = (9, 1, 2)


#: What was added to the queue and is no receipt: a replay, a submission whose form tool was asked, and of a delivery of
#: several items the delivery itself.
PUT_BACK = ("replayed", "returned", "split")


class RedisOperations:
    """Ledger, health and policy of a Redis or Valkey server."""

    def __init__(self, server: Server) -> None:
        self._client = server.client
        self._keys = server.keys

    def ledger(self) -> Ledger:
        """Counts of submissions, read in one transaction.

        Received is what the incoming stream itself counted (`entries-added`), less what was put back by us: an
        independent count, so that the books can fail to balance. A move to the patient lane is no receipt. Servers older than 7.0 do not count; there it is
        the sum of the rest.
        """
        with translated_errors():
            pipe = self._client.pipeline(transaction=True)
            pipe.xinfo_stream(self._keys.incoming)
            pipe.xlen(self._keys.patient)
            pipe.hgetall(self._keys.ledger)
            pipe.zcard(self._keys.fetches_overdue)
            stream, patient, counted, asked_for = pipe.execute(raise_on_error=False)
            if isinstance(stream, redis.ResponseError) and "no such key" in str(stream):
                stream = {}
            for answer in (stream, patient, counted, asked_for):
                if isinstance(answer, Exception):
                    raise answer
        counts = {text(name): int(n) for name, n in counted.items()}
        ledger = Ledger(
            received=0,
            leads=counts.get("leads", 0),
            touches=counts.get("touches", 0),
            duplicates=counts.get("duplicates", 0),
            tests=counts.get("tests", 0),
            dead_letters=counts.get("dead_letters", 0),
            in_flight=stream.get("length", 0) + patient + asked_for,
        )
        added = stream.get("entries-added")
        received = (
            -ledger.difference if added is None else added - sum(counts.get(name, 0) for name in PUT_BACK)
        )
        return Ledger(
            received,
            ledger.leads,
            ledger.touches,
            ledger.duplicates,
            ledger.tests,
            ledger.dead_letters,
            ledger.in_flight,
        )

    def counters(self) -> dict[str, int]:
        """Every counter by name."""
        with translated_errors():
            counted = self._client.hgetall(self._keys.ledger)
        return {text(name): int(n) for name, n in counted.items() if int(n)}

    def metrics(self) -> dict[str, int]:
        """Every count of `core.metrics`."""
        with translated_errors():
            counted = self._client.hgetall(self._keys.metrics)
        return {text(field): int(n) for field, n in counted.items()}

    def health(self) -> Health:
        """Depths and ages of every stage."""
        keys = self._keys
        with translated_errors():
            seconds, microseconds = self._client.time()
            now_ms = seconds * 1000 + microseconds // 1000
            names = sorted(text(name) for name in self._client.smembers(keys.outboxes))
            pipe = self._client.pipeline(transaction=False)
            pipe.xlen(keys.incoming)
            pipe.xrange(keys.incoming, count=1)
            pipe.xpending(keys.incoming, GROUP)
            pipe.xlen(keys.patient)
            pipe.xrange(keys.patient, count=1)
            pipe.xpending(keys.patient, GROUP)
            pipe.zcount(keys.due, "-inf", now_ms)
            pipe.zrange(keys.due, 0, 0, withscores=True)
            pipe.scard(keys.open_leads)
            pipe.zcard(keys.due)
            pipe.zcard(keys.dead_letters)
            pipe.zcard(keys.dead_alerts)
            pipe.hlen(keys.quarantine)
            pipe.zrange(keys.heartbeats, 0, -1, withscores=True)
            pipe.zcard(keys.waiting)
            pipe.zrange(keys.waiting, 0, OLDEST_WAITING_AMONG - 1)
            pipe.zcard(keys.fetches)
            pipe.zrange(keys.fetches, 0, OLDEST_AMONG - 1)
            pipe.zrange(keys.fetches, -OLDEST_AMONG, -1)  # those that were asked for most often
            for name in names:
                pipe.zcard(keys.outbox(name))
                pipe.zcount(keys.outbox(name), "-inf", now_ms)
                pipe.zrange(keys.outbox(name), 0, OLDEST_AMONG - 1)
                pipe.zrange(
                    keys.outbox(name), -OLDEST_AMONG, -1
                )  # those backing off for long stand at the end
            answers = pipe.execute(raise_on_error=False)
            for number, answer in enumerate(answers):
                if isinstance(answer, Exception) and number not in (
                    2,
                    5,
                ):  # the first router makes the groups
                    raise answer
        queued, first, *groups = answers[:3]
        patient, patient_first, *patient_groups = answers[3:6]
        due, due_first, open_leads, scheduled = answers[6:10]
        dead_letters, dead_alerts, quarantined, beats, waiting_leads, waiting_ids = answers[10:16]
        fetches, fetch_names = answers[16], {*answers[17], *answers[18]}
        depths, due_counts = answers[19::4], answers[20::4]
        firsts, lasts = answers[21::4], answers[22::4]
        waiting = [set(first) | set(last) for first, last in zip(firsts, lasts, strict=True)]
        ages = self._oldest_alerts(waiting, now_ms)
        outboxes = {
            name: OutboxHealth(depth, due_count, age)
            for name, depth, due_count, age in zip(names, depths, due_counts, ages, strict=True)
            if depth
        }
        return Health(
            now=from_ms(now_ms),
            queued=queued,
            queued_oldest=_age(now_ms, int(first[0][0].partition(b"-")[0])) if first else 0.0,
            patient=patient,
            patient_oldest=_age(now_ms, int(came_as(*patient_first[0]).partition(b"-")[0]))
            if patient_first
            else 0.0,
            pending=sum(one["pending"] for one in groups + patient_groups if isinstance(one, dict)),
            due=due,
            due_oldest=_age(now_ms, due_first[0][1]) if due_first else 0.0,
            scheduled=scheduled,
            open_leads=open_leads,
            waiting=waiting_leads,
            waiting_oldest=self._oldest_received(waiting_ids, now_ms),
            fetches=fetches,
            fetches_oldest=self._oldest_fetch(fetch_names, now_ms),
            outbox=sum(depths),
            outbox_due=sum(due_counts),
            outbox_oldest=max(ages, default=0.0),
            dead_letters=dead_letters,
            dead_alerts=dead_alerts,
            quarantined=quarantined,
            heartbeats={text(process): _age(now_ms, at) for process, at in beats},
            outboxes=outboxes,
        )

    def _oldest_received(self, lead_ids: Sequence[bytes], now_ms: int) -> float:
        """Seconds since the first of these leads was received; 0 for none."""
        if not lead_ids:
            return 0.0
        with translated_errors():
            received = self._client.zmscore(self._keys.all_leads, list(lead_ids))
        return max((_age(now_ms, at) for at in received if at is not None), default=0.0)

    def _oldest_fetch(self, names: Collection[bytes], now_ms: int) -> float:
        """Seconds since the first of these submissions of ids only was received; 0 for none."""
        if not names:
            return 0.0
        with translated_errors():
            pipe = self._client.pipeline(transaction=False)
            for name in names:
                pipe.hget(self._keys.fetch(text(name)), "received_at")
            received = pipe.execute()
        return max((_age(now_ms, at) for at in received if at is not None), default=0.0)

    def _oldest_alerts(self, outboxes: Sequence[set[bytes]], now_ms: int) -> list[float]:
        """For each outbox: seconds since the oldest of these alerts was decided, whenever its next attempt may be."""
        wanted = [key for keys in outboxes for key in keys]
        if not wanted:
            return [0.0] * len(outboxes)
        with translated_errors():
            documents = dict(zip(wanted, self._client.hmget(self._keys.alerts, wanted), strict=True))
        return [
            max((_age(now_ms, decided_at(d)) for d in map(documents.get, keys) if d is not None), default=0.0)
            for keys in outboxes
        ]

    def beat(self, process: str, now: datetime) -> None:
        """Note a sign of life."""
        with translated_errors():
            pipe = self._client.pipeline(transaction=False)
            pipe.zadd(self._keys.heartbeats, {process: to_ms(now)})
            pipe.zremrangebyscore(self._keys.heartbeats, "-inf", to_ms(now - FORGET_PROCESS_AFTER))
            pipe.execute()

    def claim_hint(self, stage: str) -> bool:
        """Whether a hint is worth sending."""
        with translated_errors():
            return bool(self._client.set(self._keys.hint(stage), 1, nx=True, px=HINT_LASTS_MS))

    def hint_taken(self, stage: str) -> None:
        """The stage begins to look now."""
        with translated_errors():
            self._client.delete(self._keys.hint(stage))

    def policy(self) -> ServerPolicy:
        """How the server is set up. Managed services may refuse CONFIG; then INFO tells part of it."""
        with translated_errors():
            info = self._client.info()
            before = time.time()
            seconds, microseconds = self._client.time()
            after = time.time()
        fsync = self._configured("appendfsync")
        append_only = info.get("aof_enabled")
        return ServerPolicy(
            version=str(info.get("valkey_version") or info.get("redis_version") or "unknown"),
            maxmemory_policy=info.get("maxmemory_policy") or self._configured("maxmemory-policy"),
            append_only=None if append_only is None else bool(append_only),
            append_fsync=fsync,
            replicas=info.get("connected_slaves"),
            least_replicas=_number(self._configured("min-replicas-to-write")),
            drift=seconds + microseconds / 1e6 - (before + after) / 2,
            may_hold_half=_may_hold_half(info),
        )

    def renew_log(self) -> str:
        """Ask for a new append-only file where the server has not written one since it was started."""
        with translated_errors():
            try:
                info = self._client.info()
            except redis.ResponseError:  # no INFO, so nothing is known of a file
                return ""
            is_at_it = info.get("aof_rewrite_in_progress") or info.get("aof_rewrite_scheduled")
            if is_at_it or _has_replicas_waiting(info) or not _may_hold_half(info):
                return ""
            try:
                self._client.bgrewriteaof()
            except redis.ResponseError as error:
                # Another process of ours may have asked between the two.
                return "" if "in progress" in str(error) else f"refused ({described(error)})"
        return "started"

    def _configured(self, name: str) -> str | None:
        with translated_errors():
            try:
                found = self._client.config_get(name).get(name)
            except redis.ResponseError:
                return None
        return None if found is None else text(found)


def _may_hold_half(info: Mapping[str, Any]) -> bool:
    """Whether the append-only file that the server was started on is still in use, and nothing cut its end clean."""
    valkey = tuple(int(part) for part in re.findall(r"\d+", str(info.get("valkey_version", "")))[:3])
    if not info.get("aof_enabled") or valkey >= CUTS_HALF_OFF:
        return False
    # What a managed server does not say, it does not have.
    return info.get("aof_last_rewrite_time_sec") == -1 or info.get("aof_last_bgrewrite_status", "ok") != "ok"


def _has_replicas_waiting(info: Mapping[str, Any]) -> bool:
    """Whether a replica waits for the server to begin a copy for it: a server does one such thing at a time, and that comes first.

    Where submissions are confirmed by replicas, form tools hear 503 until there are enough.
    """
    said = [value for name, value in info.items() if re.fullmatch(r"slave\d+", name)]
    return any(isinstance(one, dict) and one.get("state") == "wait_bgsave" for one in said)


def _number(found: str | None) -> int | None:
    return int(found) if found and found.isdecimal() else None


def _age(now_ms: int, then_ms: float) -> float:
    return max(now_ms - int(then_ms), 0) / 1000
