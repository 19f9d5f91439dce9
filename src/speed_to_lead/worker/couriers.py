"""Threads that carry alerts: a few for each destination, so that a slow one has its own couriers wait and nobody else's."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog

log = structlog.get_logger()

#: All couriers of one process. A destination that hangs holds its own few for as long as its timeouts last.
THREADS = 64


class Couriers:
    """Runs `deliver(destination, go_on)` on threads; `go_on()` turns false when the process stops."""

    def __init__(self, deliver: Callable[[str, Callable[[], bool]], object]) -> None:
        self._deliver = deliver
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="courier")
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
                missing = min(limit - self._active[destination], THREADS - busy)
                self._active[destination] += max(missing, 0)
            for _ in range(missing):
                self._pool.submit(self._work, destination)

    def stop(self, seconds: float) -> None:
        """Let every courier finish the alert in its hands; leases return the rest to the next courier."""
        self._stopping.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        waiting = [thread for thread in threading.enumerate() if thread.name.startswith("courier")]
        for thread in waiting:
            thread.join(seconds / len(waiting))

    def _work(self, destination: str) -> None:
        try:
            self._deliver(destination, lambda: not self._stopping.is_set())
        except Exception as error:  # noqa: BLE001  a thread's exception is seen by nobody else
            log.warning("courier.interrupted", destination=destination, error=type(error).__name__)
        finally:
            with self._lock:
                self._active[destination] -= 1
