"""The application with a fault to provoke: from a message named `deafen` or `hang` on, its worker is deaf, or stuck.

`celery -A tests.worker.deaf_app worker …`. Deaf is what a stuck `QoS` is: connected, polling, and never asking for more.
"""

import os
import time

from celery.signals import beat_init
from kombu.transport.virtual.base import QoS

from speed_to_lead.worker import deafness
from speed_to_lead.worker.app import app

deafness.STUCK_AFTER = 6.0  # a minute is too long for a test
deafness.DEAF_AFTER = float(os.environ["TEST_DEAF_AFTER"])


@app.task(name="test.deafen")
def deafen() -> None:
    """From now on this process's consumers say that they hold all they may."""
    QoS.can_consume = lambda _: False  # type: ignore[method-assign]


@app.task(name="test.hang")
def hang() -> None:
    """A read that never ends."""
    time.sleep(3600)


@beat_init.connect
def _hang_soon(sender: object = None, **_: object) -> None:
    """A beat of this module sends for a while, then hangs in the middle of a tick."""
    scheduler = sender.scheduler  # type: ignore[attr-defined]
    tick, began = scheduler.tick, time.monotonic()

    def tick_or_hang() -> object:
        if time.monotonic() - began > 3:
            time.sleep(3600)
        return tick()

    scheduler.tick = tick_or_hang
