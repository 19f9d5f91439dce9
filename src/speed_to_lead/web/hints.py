"""Hints to the router that something waits. A hint may be lost or late; whoever posted a lead never waits for one."""

import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

#: One hint stands for everything stored in the meantime: the router takes whole batches.
INTERVAL_SECONDS = 0.01
#: A broker that is away is said once in this time, not forty times a second; the tick routes meanwhile.
COMPLAIN_EVERY_SECONDS = 60.0


class Hinter:
    """Gives hints from a thread of its own: the first at once, then at most one in each interval, the last one never left out.

    A publish blocks: a millisecond as a rule, seconds where the broker is away. The thread is a daemon, so that
    a broker that hangs does not hold up the end of the process.
    """

    def __init__(self, hint: Callable[[], None] | None, interval: float = INTERVAL_SECONDS) -> None:
        self._hint = hint
        self._interval = interval
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._complained_at = float("-inf")

    def nudge(self) -> None:
        """Something was stored. Returns at once and never raises."""
        if self._hint is None or self._wanted.is_set():
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="hinter", daemon=True)
            self._thread.start()
        self._wanted.set()

    def stop(self) -> None:
        """Give no more hints."""
        self._stopped.set()
        self._wanted.set()

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            if self._stopped.is_set():
                return
            self._wanted.clear()  # before the hint: whatever is stored from here on asks for another
            self._publish()
            self._stopped.wait(self._interval)

    def _publish(self) -> None:
        assert self._hint is not None
        try:
            self._hint()
        except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, leads come first
            now = time.monotonic()
            if now - self._complained_at >= COMPLAIN_EVERY_SECONDS:
                self._complained_at = now
                log.warning("hint.failed", error=type(error).__name__)
