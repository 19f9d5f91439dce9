"""Hints: messages that say "look now". A lost one costs at most the next tick, so sending never fails and never waits long."""

import structlog
from celery import Celery

from speed_to_lead.store import Store, StoreUnavailable

log = structlog.get_logger()


def send_hint(app: Celery, store: Store, stage: str) -> None:
    """Ask a worker of `stage` ("route", "deliver") to look now, unless a hint is on its way already.

    One message costs a worker more than the look it asks for, so under load hints must not outnumber looks.
    """
    try:
        if not store.operations.claim_hint(stage):
            return
    except StoreUnavailable as error:
        log.warning("hint.not_sent", stage=stage, error=type(error).__name__)
        return
    publish_hint(app, stage)


def publish_hint(app: Celery, stage: str) -> None:
    """The same where the hint is claimed already: the web claims with what it writes."""
    try:
        app.send_task(f"speed_to_lead.{stage}", retry=False, ignore_result=True)
    except Exception as error:  # noqa: BLE001  the broker's errors are kombu's, redis's and the socket's; all mean "not now"
        log.warning("hint.not_sent", stage=stage, error=type(error).__name__)
