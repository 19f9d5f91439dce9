"""Hints: messages that say "look now". A lost one costs at most the next tick, so sending never fails and never waits long."""

import structlog
from celery import Celery

log = structlog.get_logger()

#: A hint nobody took in this time is dropped: ticks have done its work.
HINT_EXPIRES = 2.0


def send_hint(app: Celery, stage: str) -> None:
    """Ask a worker of `stage` ("route", "deliver") to look now."""
    try:
        app.send_task(f"speed_to_lead.{stage}", expires=HINT_EXPIRES, retry=False, ignore_result=True)
    except Exception as error:  # noqa: BLE001  the broker's errors are kombu's, redis's and the socket's; all mean "not now"
        log.warning("hint.not_sent", stage=stage, error=type(error).__name__)
