"""The network: a port for each process, through which all it says to the server goes, and which can fail in every way.

One thread runs all links; what a link does to its connections is set from any other thread.
"""

import asyncio
import contextlib
import itertools
import random
import socket
import struct
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

_LOOK_EVERY = 0.02
_CHUNK = 65536
#: Closing with this set sends a reset instead of an orderly end.
_RESET = struct.pack("ii", 1, 0)


class Link:
    """One listening port, and the ports behind it: connections are spread over them, past those that refuse.

    What goes through is delayed by `delay` seconds, held while `is_silent`, refused while `is_cut`. With
    `loses_answers`, from 0 to 1, that share of answers is cut off before or in the middle, and the connection reset:
    the request has reached the other side.
    """

    def __init__(self, name: str, behind: Sequence[int], seed: int = 0) -> None:
        self.name = name
        self.port = 0
        self.delay = 0.0
        self.is_silent = False
        self.is_cut = False
        self.loses_answers = 0.0
        self._behind = itertools.cycle(behind)
        self._count = len(behind)
        self._dice = random.Random(seed)
        self._open: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Take connections from now on."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Reset what is open."""
        for connection in list(self._open):
            connection.reset()

    async def forget(self) -> None:
        """Half open: what is open now stays so, and nothing comes out of it ever again."""
        for connection in self._open:
            connection.is_deaf = True

    async def close(self) -> None:
        """Listen no longer."""
        if self._server is not None:
            self._server.close()
        await self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            _reset(writer)
            return
        behind = await self._connect()
        if behind is None:
            _reset(writer)
            return
        connection = _Connection(self, (reader, writer), behind, self._dice)
        self._open.add(connection)
        try:
            await connection.run()
        finally:
            self._open.discard(connection)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in range(self._count):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", next(self._behind))
        return None


class _Connection:
    """One connection on its way through a link."""

    def __init__(
        self,
        link: Link,
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        dice: random.Random,
    ) -> None:
        self._link = link
        self._near = near
        self._far = far
        self._dice = dice
        self.is_deaf = False

    def reset(self) -> None:
        """Both ends learn of it at once."""
        _reset(self._near[1])
        _reset(self._far[1])

    async def run(self) -> None:
        """Carry bytes both ways until either end is closed."""
        ways = [
            asyncio.ensure_future(self._carry(self._near[0], self._far[1], is_answer=False)),
            asyncio.ensure_future(self._carry(self._far[0], self._near[1], is_answer=True)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for _, writer in (self._near, self._far):
            writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if is_answer and self._link.loses_answers and self._dice.random() < self._link.loses_answers:
                    if not self.is_deaf and self._dice.random() < 0.5:
                        writer.write(data[: self._dice.randrange(len(data))])
                        await writer.drain()
                    self.reset()
                    return
                if self._link.delay:
                    await asyncio.sleep(self._link.delay)
                while self._link.is_silent and not self.is_deaf:  # noqa: ASYNC110 - it is set from another thread
                    await asyncio.sleep(_LOOK_EVERY)
                if not self.is_deaf:
                    writer.write(data)
                    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    if found is not None:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


class Proxy:
    """All links, by name, on one thread."""

    def __init__(self, seed: int = 0) -> None:
        self.links: dict[str, Link] = {}
        self._seed = seed
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()

    def open(self, name: str, *behind: int) -> Link:
        """A link to these ports."""
        link = Link(name, behind, self._seed + len(self.links))
        self.do(link.listen())
        self.links[name] = link
        return link

    def close_link(self, name: str) -> None:
        """No longer needed."""
        self.do(self.links.pop(name).close())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it where the links are, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def close(self) -> None:
        """End every link, and the thread."""
        for name in list(self.links):
            self.close_link(name)
        self.do(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _end_tasks(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
