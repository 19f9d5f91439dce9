"""Form tools under load: connections that are kept alive, each sending its next request when the last was answered.

Made to cost little, because sender and server share the cores: no HTTP client, requests as ready bytes, and of an
answer only its status, its length and its body are read.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import uvloop

from benchmarks.machine import Process

#: Keep-alive connections: a form tool or a proxy in front holds some dozens.
CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Answers:
    """What was heard in the seconds that were measured, and the bodies of everything that was answered with 200."""

    seconds: float
    counted: int
    bodies: tuple[bytes, ...]
    refused: tuple[bytes, ...]
    cpu: float  # of the sender
    cpu_of: tuple[float, ...]  # of the processes that were watched

    @property
    def per_second(self) -> float:
        """Answered requests per second."""
        return self.counted / self.seconds


def request_of(path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """One POST of JSON as it goes over the wire, with the headers form tools send."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "User-Agent: example-form-tool/1.0",
        "Accept: */*",
        "Accept-Encoding: gzip",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {text}" for name, text in (headers or {}).items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def load(
    port: int,
    request: bytes,
    *,
    warm: float,
    seconds: float,
    watched: Sequence[Process] = (),
    connections: int = CONNECTIONS,
) -> Answers:
    """Send that request again and again on every connection; count answers and CPU after the warm seconds."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_load(port, request, warm, seconds, watched, connections))


async def _load(
    port: int, request: bytes, warm: float, seconds: float, watched: Sequence[Process], connections: int
) -> Answers:
    loop = asyncio.get_running_loop()
    senders = [_Sender(request) for _ in range(connections)]
    for sender in senders:
        await loop.create_connection(partial(_same, sender), "127.0.0.1", port)
    await asyncio.sleep(warm)
    cpu_before = [process.cpu for process in watched]
    before, cpu, began = sum(len(s.bodies) for s in senders), time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    cpu_of = tuple(process.cpu - so_far for process, so_far in zip(watched, cpu_before, strict=True))
    counted = sum(len(s.bodies) for s in senders) - before
    for sender in senders:
        sender.is_stopping = True
    await asyncio.wait_for(asyncio.gather(*(sender.ended for sender in senders)), 10)
    bodies = tuple(body for sender in senders for body in sender.bodies)
    return Answers(took, counted, bodies, tuple(text for s in senders for text in s.refused), cpu, cpu_of)


def _same(sender: "_Sender") -> "_Sender":
    return sender


class _Sender(asyncio.Protocol):
    """One connection. It stops with an answer, never in the middle of one: what was sent is what was counted."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._heard = b""
        self.bodies: list[bytes] = []
        self.refused: list[bytes] = []
        self.is_stopping = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none of asyncio's classes
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        heard = self._heard + data if self._heard else data
        end = heard.find(b"\r\n\r\n")
        if end < 0:
            self._heard = heard
            return
        at = heard.find(b"content-length:")  # as uvicorn writes it
        length = int(heard[at + 15 : heard.find(b"\r\n", at)])
        body = heard[end + 4 :]
        if len(body) < length:
            self._heard = heard
            return
        self._heard = b""
        (self.bodies if heard.startswith(b"HTTP/1.1 200 ") else self.refused).append(body)
        if self.is_stopping:
            self._transport.close()
        else:
            self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.ended.done():
            return
        if self.is_stopping and exc is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(exc or ConnectionError("the server closed a connection under load"))
