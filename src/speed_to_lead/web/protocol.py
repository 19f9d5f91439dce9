"""HTTP/1.1 as uvicorn reads it, with a limit for what comes before the body, and a short way for hooks.

uvicorn on httptools has no such limit: a header without end fills the memory, and a sender that dribbles one, or connects
and says nothing, holds a connection for as long as it likes. (Between two requests `timeout_keep_alive` holds; the body of
a hook has its own limits, and any other body is read for people with a key only.)

The short way is for requests that are here as a whole, as hooks are: uvicorn starts a task for each request, and ASGI hands
over body and answer in messages. Where a function takes the body and later replies with bytes, that is half of what a hook
costs (docs/performance/hook.md). What it does not take goes ASGI's way.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cache, partial
from typing import Any, Final

from starlette.types import Scope
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

#: As much as the usual proxies pass on; what form tools send is below four.
MAX_HEAD_BYTES: Final = 64 * 1024
HEAD_SECONDS: Final = 20.0
#: So many requests may wait behind one that is not answered yet. Each costs more than it has bytes.
MAX_PIPELINED: Final = 100
#: So long a request may lack the rest of its body before it goes ASGI's way, where there are limits for that.
HOLD_SECONDS: Final = 0.05
#: Sends an answer: the status line and the headers, each with its line break, Content-Length among them; and the body.
Reply = Callable[[bytes, bytes], None]
#: Takes a request (scope and whole body) and replies later, once; False where it does not, and has done nothing.
Take = Callable[[Scope, bytes, Reply], bool]

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


class LimitedHttp(HttpToolsProtocol):
    """The protocol `serve` gives uvicorn. A head that comes in one piece, as nearly all do, costs next to nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._take: Take | None = getattr(self.config.app, "take", None)
        trusted = self.config.forwarded_allow_ips
        self._behind_proxy = _behind_proxies(trusted if isinstance(trusted, str) else ",".join(trusted))
        self._is_reading = False
        self._ended_in_read = False  # whether a request ended in what is being read, or was read last
        self._held: tuple[RequestResponseCycle, ASGI3Application] | None = None
        self._held_long: asyncio.TimerHandle | None = None
        self._is_in_head = True
        self._head_bytes = 0
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Whoever connects has so long to say what for."""
        super().connection_made(transport)
        self.flow = _PausedByPipeline(transport, self.pipeline)
        self._late = self.loop.call_later(HEAD_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to wait for."""
        self._forget_head()
        self._release()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._is_in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """It ends; a body may follow."""
        self._is_in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is here as a whole."""
        super().on_message_complete()
        self._ended_in_read = True
        self._start_held()
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _TooManyPipelined  # which ends the reading: see send_400_response

    def send_400_response(self, msg: str) -> None:
        """Say that what was read is no HTTP; behind requests that wait for their answers, only end when they have them."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body:
            super().send_400_response(msg)
        else:
            cycle.keep_alive = False

    def data_received(self, data: bytes) -> None:
        """Close the connection on a head that is too large or does not end in time."""
        self._is_reading, self._ended_in_read = True, False
        try:
            super().data_received(data)
        finally:
            self._is_reading = False
            if self._held is not None:
                self._wait_for_body(self._held[0])
        if not self._is_in_head:
            self._forget_head()
            return
        if self._ended_in_read:  # what was read is a request and, behind it, how much of a head nobody knows
            self._forget_head()
        else:
            self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Begin to answer a request whose head was read: uvicorn's own step, held back until it is known if the body is here."""
        self._held = (cycle, app)
        if not (self._is_reading and cycle.more_body):  # what was read long ago, behind another one, is here
            self._start_held()

    def _wait_for_body(self, cycle: RequestResponseCycle) -> None:
        """Many senders write head and body apart, and the body is here in no time. Where it is not, a task waits for it."""
        if cycle.waiting_for_100_continue or len(cycle.body) > HIGH_WATER_LIMIT:
            self._start_held()
        elif self._held_long is None:
            self._held_long = self.loop.call_later(HOLD_SECONDS, self._start_held)

    def _release(self) -> tuple[RequestResponseCycle, ASGI3Application] | None:
        held, self._held = self._held, None
        if self._held_long is not None:
            self._held_long.cancel()
            self._held_long = None
        return held

    def _start_held(self) -> None:
        held = self._release()
        if held is None:
            return
        cycle, app = held
        if self._take is None or not self._is_taken(cycle, self._take):
            super()._start_asgi_task(cycle, app)

    def _is_taken(self, cycle: RequestResponseCycle, take: Take) -> bool:
        """Whether the request went the short way. One that must wait for its body, or to be written to, does not."""
        if (
            cycle.more_body
            or cycle.waiting_for_100_continue
            or self.config.access_log
            or cycle.flow.write_paused
        ):
            return False
        scope = cycle.scope
        for name, _ in scope["headers"]:
            if name.startswith(b"x-forwarded-"):
                scope = self._as_proxies_say(scope)
                break
        if not take(scope, bytes(cycle.body), partial(_reply, cycle)):  # type: ignore[arg-type]  # it is a mapping
            return False
        cycle.body = bytearray()  # an idle connection keeps its last request
        return True

    def _as_proxies_say(self, scope: HTTPScope) -> HTTPScope:
        """A copy with the client and the scheme that trusted proxies tell of."""
        scope = scope.copy()
        step = self._behind_proxy(scope, None, None)  # type: ignore[arg-type]  # it hands both on
        with suppress(StopIteration):  # it waits for nothing, so its first step is its last
            step.send(None)
        return scope

    def _forget_head(self) -> None:
        self._head_bytes = 0
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _PausedByPipeline(FlowControl):
    """Reads no further while requests wait for the answer to the one before them.

    uvicorn reads on at each answer, a quarter of a megabyte at a time: who sends without reading fills its memory.
    """

    def __init__(self, transport: asyncio.Transport, waiting: Collection[object]) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting:
            super().resume_reading()


class _TooManyPipelined(Exception):
    """Of the requests sent without waiting for answers no more are read."""


def _reply(cycle: RequestResponseCycle, head: bytes, body: bytes) -> None:
    """Answer in one write, as uvicorn would in two messages: a connection that was let go is passed over."""
    if cycle.disconnected or cycle.response_started or cycle.transport.is_closing():
        return
    cycle.response_started = cycle.response_complete = True
    parts = [head]
    for name, value in cycle.default_headers:
        parts += (name, b": ", value, b"\r\n")
    if not cycle.keep_alive:
        parts.append(b"connection: close\r\n")
    cycle.transport.write(b"".join((*parts, b"\r\n", body)))
    if not cycle.keep_alive:
        cycle.transport.close()
    respond = cycle.on_response
    cycle.on_response = _nothing_more  # as uvicorn does: else cycle and connection keep each other
    respond()


def _nothing_more() -> None:
    """What is left to do for a request that was answered."""


@cache
def _behind_proxies(trusted: str) -> ProxyHeadersMiddleware:
    """What reads the headers of proxies that are trusted: one for all connections."""
    return ProxyHeadersMiddleware(_nothing, trusted)


async def _nothing(_scope: Any, _receive: ASGIReceiveCallable, _send: ASGISendCallable) -> None:
    """What stands behind the proxy's headers when only they are wanted."""
