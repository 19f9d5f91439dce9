"""One deadline for everything a send does on the network: look up, connect, handshake, every read, every write.

    ending_within   sets it for the code inside; a deadline inside another one can only be earlier
    time_left       how long the next step on the network may take; every such step asks first
    addresses_of    the look-up, given up on at the deadline

Socket timeouts alone do not do it: each one starts anew with every byte that arrives, so a far side that sends a byte
now and then holds a courier for as long as it likes.
"""

import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf

_deadline: ContextVar[float] = ContextVar("deadline", default=inf)  # by time.monotonic()


@contextmanager
def ending_within(seconds: float) -> Iterator[None]:
    """Network steps inside end within these seconds, or within what an outer deadline leaves."""
    token = _deadline.set(min(_deadline.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def time_left(at_most: float = inf) -> float:
    """Seconds the next step may take, `at_most` or fewer and never 0. Raises TimeoutError where none are left."""
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline of this send has passed")
    return min(left, at_most)


def addresses_of(host: str, port: int) -> list[str]:
    """The numeric addresses of a host, in the system's order.

    getaddrinfo has no time limit and cannot be interrupted (a resolver that does not answer takes it half a minute and
    more), so it runs in a thread of its own. At the deadline the thread is left behind and ends when the resolver
    gives up; nothing has been sent by then. Raises TimeoutError for that, and what getaddrinfo raises: OSError, and
    UnicodeError for a name that cannot be one.
    """
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            # getnameinfo, and not address[0], keeps the scope of a link-local address.
            names = [socket.getnameinfo(address, socket.NI_NUMERICHOST)[0] for *_, address in found]
            answers.put(list(dict.fromkeys(names)))
        except Exception as error:  # noqa: BLE001 - raised below, in the thread that asked
            answers.put(error)

    left = time_left()
    threading.Thread(target=look_up, name="look-up", daemon=True).start()
    try:
        answer = answers.get(timeout=None if left == inf else left)
    except queue.Empty:
        raise TimeoutError("the name was not looked up in time") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
