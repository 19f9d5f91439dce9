"""Is anybody still working? A process of its own, without Celery: what watches must not share a failure with what it watches.

It reads every process's sign of life. A stage that has been silent for too long is told to the fallback
destination at once, without the outbox, whose courier may be the one that is gone; and again when it is back.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from speed_to_lead import flow
from speed_to_lead.core.delivery import MAX_ATTEMPTS, Outcome
from speed_to_lead.core.lead import Alert, AlertKind
from speed_to_lead.core.message import compose_system
from speed_to_lead.store import StoreUnavailable
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

#: The stages that must always have somebody at work. The beat has no pulse of its own: it shows in the others'.
STAGES = ("router", "clock", "courier")
STORE = "store"
#: Ticks come each second; three of them lost is a restart, this much is a failure.
SILENT_AFTER = 15.0
LOOK_EVERY = 2.0


def silent_stages(
    heartbeats: Mapping[str, float], watched_for: float, stages: Iterable[str] = STAGES
) -> set[str]:
    """Stages none of whose processes gave a sign of life within SILENT_AFTER seconds.

    `heartbeats` are seconds since the last sign by `stage@host:pid`. A stage that was never heard of counts only
    after the watchdog has watched for as long: at a start everybody is still getting up.
    """
    youngest: dict[str, float] = {}
    for process, age in heartbeats.items():
        stage = process.partition("@")[0]
        youngest[stage] = min(age, youngest.get(stage, age))
    return {stage for stage in stages if min(youngest.get(stage, watched_for), watched_for) > SILENT_AFTER}


def watch(
    place: Workplace, wait: Callable[[float], bool], seconds_now: Callable[[], float] = time.monotonic
) -> None:
    """Look every LOOK_EVERY seconds until `wait` answers true (somebody asked to stop).

    While the store is away nobody can give a sign of life; afterwards everybody has SILENT_AFTER seconds again.
    What was not delivered is told again at the next look, under the same key.
    """
    watching_since = answered_at = seconds_now()
    silent: set[str] = set()
    untold: list[tuple[Alert, str]] = []
    while not wait(LOOK_EVERY):
        try:
            flow.beat(place, "watchdog")
            heartbeats = place.store.operations.health().heartbeats
            answered_at = seconds_now()
            still_silent = silent & silent_stages(heartbeats, float("inf"))
            now_silent = silent_stages(heartbeats, answered_at - watching_since) | still_silent
        except StoreUnavailable as error:
            log.warning("store.away", error=str(error))
            watching_since = seconds_now()
            is_long = watching_since - answered_at > SILENT_AFTER
            now_silent = (silent - {STORE}) | ({STORE} if is_long else set())
        untold += [_news(place, AlertKind.STAGE_SILENT, stage) for stage in sorted(now_silent - silent)]
        untold += [_news(place, AlertKind.STAGE_BACK, stage) for stage in sorted(silent - now_silent)]
        silent = now_silent
        untold = [again for alert, headline in untold if (again := _tell(place, alert, headline)) is not None]


def _news(place: Workplace, kind: AlertKind, stage: str) -> tuple[Alert, str]:
    """The alert and its headline."""
    now = datetime.now(UTC)  # the server's clock may be what is away
    step = f"{stage}.{kind.value.rpartition('_')[2]}.{int(now.timestamp())}"
    alert = Alert("system", step, place.fallback_destination, kind, now)
    who = "The server that keeps the leads" if stage == STORE else f"The {stage}"
    is_silent = kind is AlertKind.STAGE_SILENT
    log.error(kind.value, stage=stage)
    return (
        alert,
        f"{who} has been silent for {SILENT_AFTER:.0f} s" if is_silent else f"{who} is working again",
    )


def _tell(place: Workplace, alert: Alert, headline: str) -> tuple[Alert, str] | None:
    """Send it; None once that is done or cannot be, else what to send again."""
    message = compose_system(alert, headline)
    attempt = place.channel(alert.destination).send(message, datetime.now(UTC))
    unknown = alert.unknown_attempts + (attempt.outcome is Outcome.UNKNOWN)
    tried = replace(alert, attempts=alert.attempts + 1, unknown_attempts=unknown)
    log.info("alert.attempt", alert=alert.key, outcome=attempt.outcome.value, detail=attempt.detail)
    is_over = attempt.outcome in (Outcome.DELIVERED, Outcome.REFUSED) or tried.attempts >= MAX_ATTEMPTS
    return None if is_over else (tried, headline)


def run(place: Workplace) -> None:
    """Watch until SIGTERM or SIGINT."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    log.info("watchdog.started", pid=os.getpid(), stages=list(STAGES))
    watch(place, stopping.wait)
    log.info("watchdog.stopped")
