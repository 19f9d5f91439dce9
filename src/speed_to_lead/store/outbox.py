"""The outbox: alerts waiting to be delivered, one sorted set for each destination, so that none waits for another."""

import re
import secrets
from datetime import datetime, timedelta

from speed_to_lead.core.clock import from_ms, to_ms
from speed_to_lead.core.lead import Alert
from speed_to_lead.store.contract import AlertSettlement, ClaimedAlert, DeadAlert, Result
from speed_to_lead.store.documents import alert_document, alert_from, history_line
from speed_to_lead.store.server import Server, translated_errors

_ATTEMPTS = re.compile(rb"(\d+):(\d+):")


class RedisOutbox:
    """Alerts in Redis."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client
        self._keys = server.keys

    def add(self, alert: Alert, due: datetime) -> Result:
        """Put an alert about the system into the outbox."""
        keys = self._keys
        answer = self._server.run_one(
            "add_alert",
            [keys.outbox(alert.destination), keys.alerts, keys.attempts, keys.outboxes],
            [alert.destination, alert.key, alert_document(alert), to_ms(due)],
        )
        return Result(answer.decode())

    def destinations_due(self, now: datetime) -> dict[str, int]:
        """Destinations with alerts due."""
        names = self._names()
        with translated_errors():
            pipe = self._client.pipeline(transaction=False)
            for name in names:
                pipe.zcount(self._keys.outbox(name), "-inf", to_ms(now))
            return {name: count for name, count in zip(names, pipe.execute(), strict=True) if count}

    def claim(self, destination: str, now: datetime, lease: timedelta, *, at_once: int) -> ClaimedAlert | None:
        """Lease the first due alert of a destination."""
        keys = self._keys
        token = secrets.token_hex(8)
        while True:
            answer = self._server.run_one(
                "claim_alert",
                [keys.outbox(destination), keys.leased(destination), keys.alerts, keys.attempts],
                [to_ms(now), to_ms(now + lease), token, at_once],
            )
            if answer is None:
                return None
            _, document, attempts, unknown = answer
            if document is not None:
                return ClaimedAlert(alert_from(document, attempts, unknown), token)

    def settle(self, claimed: ClaimedAlert, settlement: AlertSettlement) -> Result:
        """Write what an attempt came to."""
        keys, alert, fallback = self._keys, claimed.alert, settlement.fallback
        answer = self._server.run_one(
            "settle_alert",
            [
                keys.outbox(alert.destination),
                keys.leased(alert.destination),
                keys.alerts,
                keys.attempts,
                keys.dead_alerts,
                keys.outboxes,
                keys.lead(alert.lead_id),
                keys.history(alert.lead_id),
                keys.ledger,
                keys.outbox(fallback.destination if fallback else alert.destination),
            ],
            [
                alert.key,
                claimed.token,
                settlement.result,
                to_ms(settlement.at),
                settlement.unknown_attempts,
                history_line(settlement.history) if settlement.history else "",
                *(
                    (fallback.destination, fallback.key, alert_document(fallback), to_ms(fallback.decided_at))
                    if fallback
                    else ("", "", "", "")
                ),
            ],
        )
        return Result(answer.decode())

    def waiting(self, limit: int) -> list[tuple[Alert, datetime]]:
        """Alerts not delivered yet."""
        found: list[tuple[bytes, float]] = []
        for name in self._names():
            with translated_errors():
                found += self._client.zrange(self._keys.outbox(name), 0, limit - 1, withscores=True)
        found.sort(key=lambda item: item[1])
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
        destination = key.rpartition(":")[2]
        names = [keys.outbox(destination), keys.alerts, keys.attempts, keys.dead_alerts]
        return Result(self._server.run_one("redrive_alert", names, [key, to_ms(now)]).decode())

    def _names(self) -> list[str]:
        with translated_errors():
            return sorted(name.decode() for name in self._client.smembers(self._keys.outboxes))

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
                found[key] = alert_from(document, attempts, unknown)
        return found
