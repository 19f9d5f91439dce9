"""HTTP/1.1 as uvicorn reads it, with a limit for what comes before the body, and a short way for hooks.

uvicorn on httptools has no such limit: a header without end fills the memory, and a sender that dribbles one, or connects
and says nothing, holds a connection for as long as it likes. (Between two requests `timeout_keep_alive` holds; the body of
a hook has its own limits, and any other body is read for people with a key only.)

The short way is `Direct`: ASGI hands over a body and an answer in messages, and uvicorn checks each header of each answer
again. Where the whole request lies here and the answer is ready as bytes, that is a third of what a hook costs
(docs/performance/hook.md).
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

#: As much as the usual proxies pass on; what form tools send is below four.
MAX_HEAD_BYTES: Final = 64 * 1024
HEAD_SECONDS: Final = 20.0
#: Where a request's `Direct` is found in `scope["extensions"]`, which is ASGI's place for what one server alone can do.
DIRECT: Final = "speed_to_lead.direct"

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


class Direct:
    """One request past ASGI's messages, in the usual case only: where it is another, both say so, and ASGI's way is taken."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def body(self) -> bytes | None:
        """The whole body, where it has come; None where it must be waited for."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or cycle.response_complete:
            return None
        return bytes(cycle.body)

    def answer(self, head: bytes, body: bytes) -> bool:
        """Send an answer to a request that was read, in one write; False, and nothing is sent, where it is not so simple.

        `head` is the status line and the headers, Content-Length among them, each with its line break.
        """
        cycle = self._cycle
        if cycle.response_started or cycle.disconnected or not cycle.keep_alive or cycle.flow.write_paused:
            return False
        if cycle.access_log or cycle.scope["method"] == "HEAD":
            return False
        cycle.response_started = cycle.response_complete = True
        parts = [head]
        for name, value in cycle.default_headers:
            parts += (name, b": ", value, b"\r\n")
        cycle.transport.write(b"".join((*parts, b"\r\n", body)))
        cycle.message_event.set()
        cycle.on_response()
        return True


class LimitedHttp(HttpToolsProtocol):
    """The protocol `serve` gives uvicorn. A head that comes in one piece, as nearly all do, costs next to nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_in_head = True
        self._head_bytes = 0
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Whoever connects has so long to say what for."""
        super().connection_made(transport)
        self._late = self.loop.call_later(HEAD_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to wait for."""
        self._forget_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._is_in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """It ends; a body may follow."""
        self._is_in_head = False
        super().on_headers_complete()
        # The task that answers it exists, and runs when what was received is read.
        self.scope["extensions"] = {DIRECT: Direct(self.cycle)}  # type: ignore[dict-item]  # a dict, as uvicorn types it

    def data_received(self, data: bytes) -> None:
        """Close the connection on a head that is too large or does not end in time."""
        super().data_received(data)
        if not self._is_in_head:
            self._forget_head()
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _forget_head(self) -> None:
        self._head_bytes = 0
        if self._late is not None:
            self._late.cancel()
            self._late = None
