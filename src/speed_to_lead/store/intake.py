"""The web process's way in: requests that arrive together share one pipeline, and each hears when it is stored.

Group commit: while one pipeline is on its way, the next requests gather; then they go together. Under load the cost
of a round trip and of an fsync is shared; when it is quiet a request waits for nobody.
"""

import asyncio
import time
from datetime import datetime

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from speed_to_lead.core.clock import from_ms
from speed_to_lead.core.submission import Submission
from speed_to_lead.store.contract import StoreUnavailable
from speed_to_lead.store.keys import Keys
from speed_to_lead.store.queue import stream_fields

#: A form tool must hear an answer well inside its own deadline (the tightest is three seconds).
ANSWER_TIMEOUT = 2.0
#: Requests sharing one pipeline, and requests that may wait for it: beyond that the answer is "later, please".
BATCH = 200
WAITING = 5_000


class Intake:
    """Stores submissions for one event loop."""

    def __init__(self, url: str, key_prefix: str) -> None:
        self._client = Redis.from_url(
            url,
            socket_connect_timeout=ANSWER_TIMEOUT,
            socket_timeout=ANSWER_TIMEOUT,
            socket_keepalive=True,
            health_check_interval=15,
            retry=Retry(NoBackoff(), 1),
            client_name="speed-to-lead-web",
            protocol=2,
        )
        self._keys = Keys(key_prefix)
        self._waiting: list[tuple[Submission, asyncio.Future[None]]] = []
        self._sender: asyncio.Task[None] | None = None
        self._ahead: float | None = None  # the server's clock minus our monotonic one, in seconds

    async def now(self) -> datetime:
        """The server's time, without a round trip once it is known; every pipeline corrects it."""
        if self._ahead is None:
            try:
                self._note_time(await self._client.time())
            except (RedisError, OSError) as error:
                raise StoreUnavailable(type(error).__name__) from error
        assert self._ahead is not None
        return from_ms(int((time.monotonic() + self._ahead) * 1000))

    async def store(self, submission: Submission) -> None:
        """Return once the submission is in the stream. Raises StoreUnavailable where it is not known to be."""
        if len(self._waiting) >= WAITING:
            raise StoreUnavailable("too many submissions are waiting to be stored")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((submission, done))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        await done

    async def ping(self) -> None:
        """Raise StoreUnavailable where the server does not answer or will not write."""
        try:
            pipe = self._client.pipeline(transaction=False)
            pipe.hincrby(self._keys.ledger, "readiness_checks", 1)
            await pipe.execute()
        except (RedisError, OSError) as error:
            raise StoreUnavailable(type(error).__name__) from error

    async def close(self) -> None:
        """Finish what is waiting and give the connections back."""
        if self._sender is not None:
            await asyncio.wait([self._sender])
        await self._client.aclose()

    async def _send(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            try:
                answers = await self._write([submission for submission, _ in batch])
            except (RedisError, OSError) as error:
                answers = [error] * len(batch)
            for (_, done), answer in zip(batch, answers, strict=True):
                if done.done():  # the request was given up meanwhile
                    continue
                if isinstance(answer, Exception):
                    word = str(answer).split(" ", 1)[0] if isinstance(answer, RedisError) else ""
                    done.set_exception(StoreUnavailable(f"{type(answer).__name__} {word}".strip()))
                else:
                    done.set_result(None)

    async def _write(self, submissions: list[Submission]) -> list[object]:
        pipe = self._client.pipeline(transaction=False)
        for submission in submissions:
            pipe.xadd(self._keys.incoming, stream_fields(submission))
        pipe.time()
        *answers, server_time = await pipe.execute(raise_on_error=False)
        if isinstance(server_time, tuple):
            self._note_time(server_time)
        return answers

    def _note_time(self, server_time: tuple[int, int]) -> None:
        self._ahead = server_time[0] + server_time[1] / 1e6 - time.monotonic()
