"""Is anybody still working? A process of its own, without Celery: what watches must not share a failure with what it watches.

It reads every process's sign of life. A stage that has been silent for too long is told to the fallback
destination at once, without the outbox, whose courier may be the one that is gone; and again when it is back.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import structlog

from speed_to_lead import flow
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


def silent_stages(heartbeats: Mapping[str, float], watched_for: float, stages: Iterable[str] = STAGES) -> set[str]:
    """Stages none of whose processes gave a sign of life within SILENT_AFTER seconds.

    `heartbeats` are seconds since the last sign by `stage@host:pid`. A stage that was never heard of counts only
    after the watchdog has watched for as long: at a start everybody is still getting up.
    """
    youngest: dict[str, float] = {}
    for process, age in heartbeats.items():
        stage = process.partition("@")[0]
        youngest[stage] = min(age, youngest.get(stage, age))
    return {stage for stage in stages if min(youngest.get(stage, watched_for), watched_for) > SILENT_AFTER}


def watch(place: Workplace, wait: Callable[[float], bool]) -> None:
    """Look every LOOK_EVERY seconds until `wait` answers true (somebody asked to stop)."""
    watched_for = away_for = 0.0
    silent: set[str] = set()
    while not wait(LOOK_EVERY):
        watched_for += LOOK_EVERY
        try:
            flow.beat(place, "watchdog")
            now_silent = silent_stages(place.store.operations.health().heartbeats, watched_for)
            away_for = 0.0
        except StoreUnavailable as error:
            away_for += LOOK_EVERY
            log.warning("store.away", error=str(error))
            now_silent = (silent - {STORE}) | ({STORE} if away_for > SILENT_AFTER else set())
        for stage in sorted(now_silent - silent):
            _tell(place, AlertKind.STAGE_SILENT, stage, f"No sign of life from the {stage} for {SILENT_AFTER:.0f} s")
        for stage in sorted(silent - now_silent):
            _tell(place, AlertKind.STAGE_BACK, stage, f"The {stage} is working again")
        silent = now_silent


def _tell(place: Workplace, kind: AlertKind, stage: str, headline: str) -> None:
    now = datetime.now(UTC)  # the server's clock may be what is away
    step = f"{kind.value}.{stage}.{int(now.timestamp())}"
    alert = Alert("system", step, place.fallback_destination, kind, now)
    attempt = place.channel(place.fallback_destination).send(compose_system(alert, headline), now)
    log.error(kind.value, stage=stage, outcome=attempt.outcome.value, detail=attempt.detail)


def run(place: Workplace) -> None:
    """Watch until SIGTERM or SIGINT."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    log.info("watchdog.started", pid=os.getpid(), stages=list(STAGES))
    watch(place, stopping.wait)
    log.info("watchdog.stopped")
