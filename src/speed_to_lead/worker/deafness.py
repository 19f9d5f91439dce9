"""Ends this process when it lives but does nothing, so that whoever started it starts it again.

Celery workers have been known to reconnect and never take a message again, and a hung socket holds the only thread of
a solo worker for ever; Celery has no limit for either. So a thread of our own looks every few seconds, from a broker
connection of its own:

    deaf    messages wait in this worker's queues, and for DEAF_AFTER seconds it took none (a beat: it sent none)
    stuck   it has been in one and the same task for STUCK_AFTER seconds

Only seconds between two looks that both found the broker answering and taking a write are counted: nobody is accused
while the server is away, loads its data or refuses writes (full, read-only, short of replicas, its disk in trouble: then
no message can be sent or taken), nor after a pause in which this process itself stood still.
"""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from celery import Celery
from celery.signals import after_task_publish, task_postrun, task_prerun, task_received, task_revoked

log = structlog.get_logger()

LOOK_EVERY = 2.0
#: With a look to begin and one to end it, well inside half a minute.
DEAF_AFTER = 20.0
#: Routing, sweeping and auditing take seconds at most, also where every answer of the server takes its whole timeout.
STUCK_AFTER = 60.0
#: Looks further apart than this say nothing of the time between: the process stood still (SIGSTOP, a sleeping machine).
LOOK_IS_OLD = 6.0
#: Deliveries under way get this long to be noted.
LAST_SECONDS = 3.0
#: A process that was asked to stop and has not ended by then ends all the same, before the platform kills it at ten.
STOPPED_WITHIN = 9.0
#: As many of the main thread's calls are told when a process ends itself.
CALLS_TOLD = 14
#: Written to see that the broker takes writes; kombu puts our prefix for it before (docs/redis-keys.md).
PROBE = "readiness"
PROBE_KEPT_MS = 60_000
#: EX_TEMPFAIL: nothing is wrong that a restart does not mend.
EXIT_CODE = 75


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found: when (seconds), messages waiting (None: no broker to work with), taken and begun so far."""

    at: float
    waiting: int | None
    taken: int
    begun: int
    is_busy: bool


class Patience:
    """How long this process has been deaf or stuck, over the looks so far."""

    def __init__(self) -> None:
        self._last: Look | None = None
        self._deaf_for = 0.0
        self._stuck_for = 0.0

    def verdict(self, look: Look) -> str:
        """`deaf`, `stuck`, or nothing."""
        last, self._last = self._last, look
        if last is None or last.waiting is None or look.waiting is None or look.at - last.at > LOOK_IS_OLD:
            self._deaf_for = self._stuck_for = 0.0
            return ""
        passed = look.at - last.at
        is_idle = look.taken == last.taken and not look.is_busy and not last.is_busy
        self._deaf_for = self._deaf_for + passed if is_idle and look.waiting and last.waiting else 0.0
        is_same_task = look.is_busy and last.is_busy and look.begun == last.begun
        self._stuck_for = self._stuck_for + passed if is_same_task else 0.0
        if self._stuck_for >= STUCK_AFTER:
            return "stuck"
        return "deaf" if self._deaf_for >= DEAF_AFTER else ""


class Listener:
    """Counts what this process takes, and ends it where it takes nothing."""

    def __init__(self, app: Celery, what: str, last_wish: Callable[[float], None] = lambda _: None) -> None:
        self._app = app
        self._what = what  # "worker" or "beat"
        self._last_wish = last_wish
        self._taken = self._begun = self._ended = 0
        self._stopping = threading.Event()

    def start(self) -> None:
        """Count from now on, and look from a thread that does not keep the process alive."""
        if self._what == "beat":
            after_task_publish.connect(self._note_taken)
        else:
            # In the worker's own process whatever its pool is; what is revoked, expired ticks among them, was taken too.
            task_received.connect(self._note_taken)
            task_revoked.connect(self._note_taken)
            task_prerun.connect(self._note_begun)
            task_postrun.connect(self._note_ended)
        threading.Thread(target=self._watch, name="deafness", daemon=True).start()

    def stop(self) -> None:
        """The process was asked to stop: it takes nothing any more, and rightly, and may hang for so long and no longer.

        Safe in a signal handler. What it held is taken up by others, as after a crash.
        """
        if not self._stopping.is_set():
            self._stopping.set()
            at_last = threading.Timer(STOPPED_WITHIN, self._leave, args=(f"{self._what}.stop_cut_off", 0))
            at_last.daemon = True
            at_last.start()

    def _note_taken(self, **_: Any) -> None:
        self._taken += 1

    def _note_begun(self, **_: Any) -> None:
        self._begun += 1

    def _note_ended(self, **_: Any) -> None:
        self._ended += 1

    def _watch(self) -> None:
        patience, broker = Patience(), _Broker(self._app)
        while not self._stopping.wait(LOOK_EVERY):
            waiting = broker.waiting()
            if self._what == "beat" and waiting is not None:
                waiting = 1  # a schedule of seconds has always something to send
            look = Look(time.monotonic(), waiting, self._taken, self._begun, self._begun > self._ended)
            verdict = patience.verdict(look)
            if verdict and not self._stopping.is_set():
                self._leave(f"{self._what}.{verdict}", EXIT_CODE, LAST_SECONDS)

    def _leave(self, event: str, exit_code: int, seconds: float = 0.0) -> None:
        """Tell, let deliveries be noted, and go at once: the main thread may hang in a read that never ends."""

        def last_words() -> None:
            log.error(event, pid=os.getpid(), exit_code=exit_code, main_thread=_where_the_main_thread_is())
            with suppress(OSError, ValueError):
                sys.stdout.flush()
            if seconds:
                with suppress(Exception):
                    self._last_wish(seconds)

        # In a thread, because whatever hangs the process may hang its output too.
        speaking = threading.Thread(target=last_words, daemon=True)
        speaking.start()
        speaking.join(seconds + 0.5)
        os._exit(exit_code)


def _where_the_main_thread_is() -> str:
    """Its innermost calls, the last of them first: what a process that ends hung in is known afterwards no other way."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001  the only way, and documented
    calls = reversed(traceback.extract_stack(frame)[-CALLS_TOLD:]) if frame else ()
    return " < ".join(f"{call.filename.rpartition('/')[2]}:{call.lineno} {call.name}" for call in calls)


class _Broker:
    """Asks the broker how many messages wait in this worker's queues, over a connection nobody else uses.

    Taking a message is a write, and sending one too. So the broker must take one here as well, or it is as good as away.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Any = None
        self._channel: Any = None

    def waiting(self) -> int | None:
        """Messages that wait; None where the broker does not answer, or refuses writes."""
        try:
            if self._channel is None:
                self._connection = self._app.connection_for_read()
                self._connection.connect()
                self._channel = self._connection.channel()
            self._channel.client.set(PROBE, "1", px=PROBE_KEPT_MS)
            # Not `passive`: kombu 5.7 then asks for the key without its prefix, and finds no queue.
            return sum(
                int(self._channel.queue_declare(queue).message_count)
                for queue in self._app.amqp.queues.consume_from
            )
        except Exception:  # noqa: BLE001  the broker's errors are kombu's, redis's and the socket's; all mean "not now"
            self._forget()
            return None

    def _forget(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        with suppress(Exception):
            if connection is not None:
                connection.collect()
