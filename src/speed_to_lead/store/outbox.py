"""The outbox: alerts waiting to be delivered, one sorted set for each destination, so that none waits for another."""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from speed_to_lead.core.clock import MILLISECOND, from_ms, to_ms
from speed_to_lead.core.delivery import PATIENCE, TROUBLE_LASTS, Trouble
from speed_to_lead.core.lead import Alert, AlertKind, HistoryEntry, Lead
from speed_to_lead.core.metrics import counts_of_attempt, counts_of_unread_alert
from speed_to_lead.core.storm import DigestTerms, Storm, line_in
from speed_to_lead.store.contract import (
    LOCKED_PAUSE,
    AlertSettlement,
    ClaimedAlert,
    DeadAlert,
    Disabled,
    Result,
    UnreadableRecord,
)
from speed_to_lead.store.documents import alert_document, alert_from, dump
from speed_to_lead.store.encryption import MissingKey, Vault
from speed_to_lead.store.leads import confirm_call
from speed_to_lead.store.records import known_record, line_of
from speed_to_lead.store.server import ScriptCall, Server, text, translated_errors

#: An alert that cannot be read is tried again after this, so often, before it is given up.
UNREADABLE_PAUSE = timedelta(minutes=1)
UNREADABLE_TRIES = 10

#: What was counted of a storm is kept so long; it is of use for as long as the longest time that config may name.
STORM_KEPT = timedelta(hours=1)
_ATTEMPTS = re.compile(rb"(\d+):(\d+):")


class RedisOutbox:
    """Alerts in Redis."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client
        self._keys = server.keys
        self._vault = server.vault

    def add(self, alert: Alert, due: datetime) -> Result:
        """Put an alert about the system into the outbox."""
        keys = self._keys
        answer = self._server.run_one(
            "add_alert",
            [keys.outbox(alert.destination), keys.alerts, keys.attempts, keys.outboxes],
            [alert.destination, alert.key, alert_document(alert, self._vault), to_ms(due)],
        )
        return Result(text(answer))

    def destinations_due(self, now: datetime) -> dict[str, int]:
        """Destinations with alerts due."""
        names = self._names()
        with translated_errors():
            pipe = self._client.pipeline(transaction=False)
            for name in names:
                pipe.zcount(self._keys.outbox(name), "-inf", to_ms(now))
            pipe.mget([self._keys.trouble(name) for name in names] or [self._keys.trouble("")])
            *counts, troubles = pipe.execute()
        due = {}
        for name, count, known in zip(names, counts, troubles, strict=bool(names)):
            trouble = _trouble(known, now)
            if count and not (trouble and trouble.rests(now) and not trouble.is_long(now)):
                due[name] = count
        return due

    def in_trouble(self, destination: str, now: datetime) -> bool:
        """Whether it has taken nothing for long."""
        with translated_errors():
            trouble = _trouble(self._client.get(self._keys.trouble(destination)), now)
        return trouble is not None and trouble.is_long(now)

    def claim(
        self, destination: str, now: datetime, lease: timedelta, *, at_once: int
    ) -> ClaimedAlert | None:
        """Lease the first due alert of a destination."""
        while True:
            call, token = self._claim_call(destination, now, lease, at_once)
            answer = self._server.run_one(call.script, call.keys, call.arguments)
            if answer is None:
                return None
            claimed = self._claimed(answer, token, destination, now)
            if claimed is not None:
                return claimed

    def settle_and_claim(
        self,
        claimed: ClaimedAlert,
        settlement: AlertSettlement,
        now: datetime,
        lease: timedelta,
        *,
        at_once: int,
    ) -> tuple[Result, ClaimedAlert | None]:
        """Settle an alert and lease the next of its destination, in one exchange with the server.

        A server that was just restarted runs the one first whose script it knows: then the next is another one, or none.
        """
        destination = claimed.alert.destination
        claim, token = self._claim_call(destination, now, lease, at_once)
        settled, answer = self._server.run([self._settle_call(claimed, settlement), claim])
        following = None
        if answer is not None:
            following = self._claimed(answer, token, destination, now) or self.claim(
                destination, now, lease, at_once=at_once
            )
        return Result(text(settled)), following

    def _claim_call(
        self, destination: str, now: datetime, lease: timedelta, at_once: int
    ) -> tuple[ScriptCall, str]:
        """The call that leases the first due alert, and the token of that lease."""
        keys, token = self._keys, secrets.token_hex(8)
        names = [
            *(keys.outbox(destination), keys.leased(destination), keys.alerts, keys.attempts),
            keys.trouble(destination),
        ]
        arguments = [
            *(to_ms(now), to_ms(now + lease), token, at_once),
            *(PATIENCE // MILLISECOND, TROUBLE_LASTS // MILLISECOND),
        ]
        return ScriptCall("claim_alert", names, arguments), token

    def _claimed(self, answer: list[Any], token: str, destination: str, now: datetime) -> ClaimedAlert | None:
        """What was leased; None where that is nothing to deliver now, and the next one is to be asked for."""
        key, document, attempts, unknown, in_vain = answer
        if document is None:
            return None
        try:
            alert = _read_alert(document, attempts, unknown, self._vault)
        except MissingKey:
            self._leave(document, attempts, unknown, token, now)
            return None
        if alert is not None:
            return ClaimedAlert(alert, token, is_in_vain=bool(in_vain))
        if attempts >= UNREADABLE_TRIES:
            return ClaimedAlert(_known_by_key(key, attempts, unknown, now), token, is_unreadable=True)
        self._put_off(destination, text(key), token, now)
        return None

    def _leave(self, document: bytes, attempts: int, unknown: int, token: str, now: datetime) -> None:
        """Leave an alert whose note is sealed to a courier that has the key; that is no attempt."""
        plain = {name: value for name, value in json.loads(document).items() if name != "sealed"}
        alert = alert_from(dump(plain), attempts, unknown)
        self.settle(ClaimedAlert(alert, token), AlertSettlement("returned", now + LOCKED_PAUSE, unknown))

    def _put_off(self, destination: str, key: str, token: str, now: datetime) -> None:
        """Hold back an alert this courier cannot read, so that the next one gets its turn.

        A courier of a newer release may be able to (a rolling deploy); after some tries it is given up, and seen.
        """
        keys = self._keys
        self._server.run_one(
            "settle_alert",
            [
                keys.outbox(destination),
                keys.leased(destination),
                keys.alerts,
                keys.attempts,
                keys.dead_alerts,
                keys.outboxes,
                keys.lead(""),
                keys.ledger,
                keys.outbox(destination),
                keys.metrics,
                keys.trouble(destination),
            ],
            [
                *(key, token, "retry", to_ms(now + UNREADABLE_PAUSE), 0, "", "", "", "", ""),
                dump(counts_of_unread_alert(destination, "retry")),
                *("", 0, 0, ""),
            ],
        )

    def confirm(self, claimed: ClaimedAlert, leased_until: datetime) -> tuple[Result, Lead | None]:
        """Renew the lease, and read the lead just before: what is confirmed covers what was read."""
        calls = [confirm_call(self._keys, None, claimed, leased_until)]
        if not claimed.alert.kind.is_about_system:
            calls.insert(0, ScriptCall("read_leads", [self._keys.lead(claimed.alert.lead_id)], []))
        *records, renewed = self._server.run(calls, confirmed=True)
        found = known_record(records[0][0], self._vault) if records else None
        if isinstance(found, UnreadableRecord):
            raise found
        return Result(text(renewed)), found

    def settle(self, claimed: ClaimedAlert, settlement: AlertSettlement) -> Result:
        """Write what an attempt came to."""
        call = self._settle_call(claimed, settlement)
        return Result(text(self._server.run_one(call.script, call.keys, call.arguments)))

    def _settle_call(self, claimed: ClaimedAlert, settlement: AlertSettlement) -> ScriptCall:
        keys, alert, also, trouble = self._keys, claimed.alert, settlement.also, settlement.trouble
        line = settlement.history
        marked = [line_in(alert, member, line) for member in alert.members] if line else []
        return ScriptCall(
            "settle_alert",
            [
                keys.outbox(alert.destination),
                keys.leased(alert.destination),
                keys.alerts,
                keys.attempts,
                keys.dead_alerts,
                keys.outboxes,
                keys.lead(alert.lead_id),
                keys.ledger,
                keys.outbox(also.destination if also else alert.destination),
                keys.metrics,
                keys.trouble(alert.destination),
                *(keys.lead(lead_id) for lead_id, _ in marked),
            ],
            [
                alert.key,
                claimed.token,
                settlement.result,
                to_ms(settlement.at),
                settlement.unknown_attempts,
                line_of(line, self._vault) if line else "",
                *(
                    (also.destination, also.key, alert_document(also, self._vault), to_ms(also.decided_at))
                    if also
                    else ("", "", "", "")
                ),
                dump(counts_of_attempt(alert, settlement.result, settlement.at)),
                to_ms(trouble.last) if trouble else "",
                to_ms(trouble.rest_until) if trouble and trouble.rest_until else 0,
                TROUBLE_LASTS // MILLISECOND,
                settlement.told_version or "",
                *(line_of(marked_line, self._vault) for _, marked_line in marked),
            ],
        )

    def note_sent(self, destination: str, terms: DigestTerms, now: datetime) -> Storm:
        """Count one more alert for a destination."""
        arguments = [to_ms(now), terms.within // MILLISECOND, terms.over, STORM_KEPT // MILLISECOND]
        began, count = self._server.run_one("note_sent", [self._keys.storm(destination)], arguments)
        return Storm(from_ms(int(began)), int(count))

    def storm(self, destination: str) -> Storm | None:
        """What was counted."""
        with translated_errors():
            known = self._client.get(self._keys.storm(destination))
        if known is None:
            return None
        began, count = known.split(b":")
        return Storm(from_ms(int(began)), int(count))

    def due(self, destination: str, now: datetime, limit: int) -> list[Alert]:
        """Alerts that are due; one that is leased is due when its lease is over."""
        with translated_errors():
            found = self._client.zrangebyscore(
                self._keys.outbox(destination), "-inf", to_ms(now), start=0, num=limit
            )
        alerts = self._alerts(found)
        return [alerts[key] for key in found if key in alerts]

    def fold(
        self, digest: Alert, lines: Mapping[str, HistoryEntry], now: datetime, *, is_last: bool = True
    ) -> Result:
        """Put the digest in the place of its members."""
        keys, destination = self._keys, digest.destination
        names = [
            *(keys.outbox(destination), keys.leased(destination), keys.alerts, keys.attempts, keys.ledger),
            keys.storm(destination),
            *(keys.lead(key.partition(":")[0]) for key in lines),
        ]
        more = "" if is_last else "1"
        arguments: list[object] = [digest.key, alert_document(digest, self._vault), to_ms(now), more]
        for key, line in lines.items():
            arguments += [key, line_of(line, self._vault)]
        return Result(text(self._server.run_one("fold_alerts", names, arguments)))

    def waiting(self, limit: int) -> list[tuple[Alert, datetime]]:
        """Alerts not delivered yet."""
        found: list[tuple[bytes, float]] = []
        for name in self._names():
            with translated_errors():
                found += self._client.zrange(self._keys.outbox(name), 0, limit - 1, withscores=True)
        found.sort(key=lambda item: (item[1], item[0]))
        alerts = self._alerts([key for key, _ in found[:limit]])
        return [(alerts[key], from_ms(int(score))) for key, score in found[:limit] if key in alerts]

    def dead(self, limit: int) -> list[DeadAlert]:
        """Alerts given up."""
        with translated_errors():
            found = self._client.zrevrange(self._keys.dead_alerts, 0, limit - 1, withscores=True)
        alerts = self._alerts([key for key, _ in found])
        return [DeadAlert(alerts[key], from_ms(int(score))) for key, score in found if key in alerts]

    def redrive(self, key: str, now: datetime) -> Result:
        """Try a dead alert again."""
        keys = self._keys
        destination = key.rpartition(":")[2]  # a destination's name holds no colon
        names = [keys.outbox(destination), keys.alerts, keys.attempts, keys.dead_alerts]
        answer = self._server.run_one("redrive_alert", names, [key, to_ms(now)], confirmed=True)
        return Result(text(answer))

    def disable(self, destination: str, disabled: Disabled) -> Result:
        """Send nothing there for a while; a rest it asked for before holds back nothing that others are to hear instead."""
        text_of_it = dump({"at": to_ms(disabled.at), "until": to_ms(disabled.until), "why": disabled.why})
        span = max((disabled.until - disabled.at) // MILLISECOND, 1)
        with translated_errors():
            pipe = self._client.pipeline(transaction=True)
            pipe.set(self._keys.disabled(destination), text_of_it, nx=True, px=span)
            pipe.delete(self._keys.trouble(destination))
            was_set, _ = pipe.execute()
        return Result.APPLIED if was_set else Result.KNOWN

    def disabled(self, destinations: Sequence[str] = ()) -> dict[str, Disabled]:
        """Destinations that are sent nothing."""
        names = list(destinations) or self._names()
        if not names:
            return {}
        with translated_errors():
            found = self._client.mget([self._keys.disabled(name) for name in names])
        return {name: _disabled(value) for name, value in zip(names, found, strict=True) if value is not None}

    def enable(self, destination: str) -> Result:
        """Send there again."""
        with translated_errors():
            return Result.APPLIED if self._client.delete(self._keys.disabled(destination)) else Result.GONE

    def _names(self) -> list[str]:
        with translated_errors():
            return sorted(text(name) for name in self._client.smembers(self._keys.outboxes))

    def _alerts(self, alert_keys: list[bytes]) -> dict[bytes, Alert]:
        if not alert_keys:
            return {}
        with translated_errors():
            documents = self._client.hmget(self._keys.alerts, alert_keys)
            states = self._client.hmget(self._keys.attempts, alert_keys)
        found: dict[bytes, Alert] = {}
        for key, document, state in zip(alert_keys, documents, states, strict=True):
            if document is not None:
                counted = _ATTEMPTS.match(state or b"")
                attempts, unknown = (int(counted[1]), int(counted[2])) if counted else (0, 0)
                with suppress(MissingKey):
                    alert = _read_alert(document, attempts, unknown, self._vault)
                    if alert is not None:
                        found[key] = alert
        return found


def _disabled(value: bytes) -> Disabled:
    said = json.loads(value)
    return Disabled(from_ms(said["at"]), from_ms(said["until"]), said["why"])


def _trouble(known: bytes | None, now: datetime) -> Trouble | None:
    """What the store knows of a destination's trouble, as settle_alert.lua writes it."""
    if known is None:
        return None
    since, rest, last = (int(part) for part in known.split(b":"))
    trouble = Trouble(from_ms(since), from_ms(last), from_ms(rest) if rest else None)
    return None if trouble.is_over(now) else trouble


def _known_by_key(key: bytes, attempts: int, unknown_attempts: int, now: datetime) -> Alert:
    """What is left of an alert whose document cannot be read: its key names lead, step and destination."""
    lead_id, _, rest = text(key).partition(":")
    step, _, destination = rest.rpartition(":")
    return Alert(
        lead_id,
        step,
        destination,
        AlertKind.CONTRADICTION,
        now,
        fallback_for=step.partition("~")[2],
        attempts=attempts,
        unknown_attempts=unknown_attempts,
    )


def _read_alert(document: bytes, attempts: int, unknown_attempts: int, vault: Vault) -> Alert | None:
    """The alert, or None where this release cannot read it. Raises MissingKey."""
    try:
        return alert_from(document, attempts, unknown_attempts, vault)
    except MissingKey:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
