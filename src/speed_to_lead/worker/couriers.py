"""Threads that carry alerts: a few for each destination, so that a slow one has its own couriers wait and nobody else's."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

import structlog

log = structlog.get_logger()

#: All couriers of one process. A destination that hangs holds its own few for as long as its timeouts last.
THREADS = 64


class Couriers:
    """Runs `deliver(destination, go_on)` on threads; `go_on()` turns false when the process stops.

    The threads do not keep the process alive (those of an executor do, however long they hang).
    """

    def __init__(self, deliver: Callable[[str, Callable[[], bool]], object]) -> None:
        self._deliver = deliver
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._active: Counter[str] = Counter()
        self._stopping = threading.Event()

    def send(self, wanted: Mapping[str, int]) -> None:
        """See that each destination has as many couriers at work as it wants, as far as there are threads.

        When half of them are busy every destination is down to one more, so that many slow ones cannot take all.
        """
        for destination, couriers in wanted.items():
            with self._lock:
                busy = sum(self._active.values())
                limit = couriers if busy < THREADS // 2 else 1
                missing = max(min(limit - self._active[destination], THREADS - busy), 0)
                self._active[destination] += missing
                couriers_sent = [
                    threading.Thread(target=self._work, args=(destination,), name="courier", daemon=True)
                    for _ in range(missing)
                ]
                self._threads.update(couriers_sent)
            for courier in couriers_sent:
                courier.start()

    def take_no_more(self) -> None:
        """From now on each courier ends with the alert in its hands. Safe in a signal handler."""
        self._stopping.set()

    def stop(self, seconds: float) -> None:
        """Let every courier finish the alert in its hands, for so long all in all.

        An attempt that is cut off then is one nobody knows the end of: when its lease is over the next courier counts
        it so, and says that it may be a repeat.
        """
        self.take_no_more()
        ends_at = time.monotonic() + seconds
        with self._lock:
            at_work = list(self._threads)
        for courier in at_work:
            courier.join(max(ends_at - time.monotonic(), 0))

    def _work(self, destination: str) -> None:
        try:
            self._deliver(destination, lambda: not self._stopping.is_set())
        except Exception as error:  # noqa: BLE001  a thread's exception is seen by nobody else
            log.warning("courier.interrupted", destination=destination, error=type(error).__name__)
        finally:
            with self._lock:
                self._active[destination] -= 1
                self._threads.discard(threading.current_thread())
