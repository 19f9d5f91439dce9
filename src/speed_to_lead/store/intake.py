"""The web process's way in: requests that arrive together share one pipeline, and each hears when it is stored.

Group commit: while one pipeline is on its way, the next requests gather; then they go together. Under load the cost
of a round trip and of an fsync is shared; when it is quiet a request waits for nobody. The hint to the router is
claimed in the same pipeline, behind the submissions: so it costs neither a round trip nor an fsync of its own.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import hiredis
import redis.exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from speed_to_lead.address import sentinel_address
from speed_to_lead.core.clock import MILLISECOND, from_ms
from speed_to_lead.core.submission import RateLimit, Submission
from speed_to_lead.store.contract import StoreUnavailable, TooFast
from speed_to_lead.store.encryption import PLAIN, Vault
from speed_to_lead.store.keys import Keys
from speed_to_lead.store.operations import HINT_LASTS_MS
from speed_to_lead.store.queue import stream_fields
from speed_to_lead.store.server import (
    SCRIPTS,
    described,
    is_of_a_former_primary,
    keepalive,
    login_options,
    refuse_unconfirmed,
    sentinel_options,
    wait_command,
)

_T = TypeVar("_T")
#: Hears what became of a submission: nothing where it is stored, else why that is not known, or that it came too fast.
Tell = Callable[[StoreUnavailable | TooFast | None], None]

#: A form tool must hear an answer well inside its own deadline (the tightest is three seconds).
ANSWER_TIMEOUT = 2.0
#: Requests sharing one pipeline, and requests that may wait for it: beyond that the answer is "later, please".
#: By bytes too: a body may have 1 MiB, and 5,000 of those are no queue but the end of the process.
BATCH = 200
BATCH_BYTES = 8 * 1024**2
WAITING = 5_000
WAITING_BYTES = 64 * 1024**2
#: What was learnt of the server's clock holds for so long: it may be another server by now, or this machine may have
#: slept. With `ANSWER_TIMEOUT` for the write it stays below the tightest deadline.
CLOCK_HOLDS = 10.0
CLOCK_TIMEOUT = 0.9
#: The readiness probe cleans up after itself.
PROBE_KEPT = timedelta(minutes=1)

_TIME = hiredis.pack_command(("TIME",))


class Pace(NamedTuple):
    """How fast a form may come; what comes faster is refused (TooFast), or stored with the mark `over_rate`."""

    form: str
    rate: RateLimit
    is_refused: bool


class _Waiter:
    """A submission, its size, and whom to tell until when (by the loop's clock); each is told once."""

    __slots__ = ("_tell", "pace", "size", "submission", "until")

    def __init__(
        self, submission: Submission, tell: Tell, size: int, until: float, pace: Pace | None
    ) -> None:
        self.submission = submission
        self.pace = pace
        self.size = size
        self.until = until
        self._tell: Tell | None = tell

    @property
    def was_told(self) -> bool:
        return self._tell is None

    def tell(self, problem: StoreUnavailable | TooFast | None) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(problem)


class Intake:
    """Stores submissions for one event loop; with `confirm_replicas`, on so many replicas before anybody hears of it."""

    def __init__(self, url: str, key_prefix: str, confirm_replicas: int = 0, vault: Vault = PLAIN) -> None:
        self._client, self._sentinels = _connect(url)
        self._keys = Keys(key_prefix)
        self._vault = vault
        self._confirm_replicas = confirm_replicas
        #: Called where the router is to be told that submissions wait: no hint to it was on its way. None: nobody tells it.
        self.tell_router: Callable[[], None] | None = None
        claim: tuple[Any, ...] = ("SET", self._keys.hint("route"), "1", "NX", "PX", HINT_LASTS_MS)
        self._claim = hiredis.pack_command(claim)
        self._wait = hiredis.pack_command(wait_command(confirm_replicas)) if confirm_replicas else b""
        self._waiting: list[_Waiter] = []
        self._sending: list[_Waiter] = []
        self._late: asyncio.TimerHandle | None = (
            None  # when the one that waits longest has waited long enough
        )
        self._held_bytes = 0  # of those waiting and those on their way
        self._sender: asyncio.Task[None] | None = None
        self._closed = False
        self._ahead = 0.0  # the server's clock minus our monotonic one, in seconds
        self._noted_at: tuple[float, float] | None = None  # when, on our monotonic and on our wall clock
        self._asking: asyncio.Task[None] | None = None

    async def now(self) -> datetime:
        """The server's time, without a round trip while it is known; every pipeline corrects it.

        Raises StoreUnavailable where it is not known and the server does not say.
        """
        if not self._knows_time():
            if self._asking is None or self._asking.done():  # one asks, for all who wait
                self._asking = asyncio.create_task(self._ask_time())
                self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())
            await asyncio.shield(self._asking)
        return from_ms(int((time.monotonic() + self._ahead) * 1000))

    def now_if_known(self) -> datetime | None:
        """The same where nobody need be asked; else None."""
        return from_ms(int((time.monotonic() + self._ahead) * 1000)) if self._knows_time() else None

    async def store(self, submission: Submission, pace: Pace | None = None) -> None:
        """Return once the submission is in the stream. Raises StoreUnavailable where it is not known to be, or TooFast.

        It may be there all the same (an answer that came too late): the form tool sends it again, and the router
        recognises it.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def tell(problem: StoreUnavailable | TooFast | None) -> None:
            if done.done():
                return
            if problem is None:
                done.set_result(None)
            else:
                done.set_exception(problem)

        self.submit(submission, tell, pace)
        await done

    def submit(self, submission: Submission, tell: Tell, pace: Pace | None = None) -> None:
        """The same for who cannot wait: `tell` is called once, within two seconds, and must not raise.

        Raises StoreUnavailable, and tells nobody, where it is not even taken.
        """
        if self._closed:
            raise StoreUnavailable("this process is shutting down")
        size = _size(submission)
        if len(self._waiting) >= WAITING or self._held_bytes + size > WAITING_BYTES:
            raise StoreUnavailable("too many submissions are waiting to be stored")
        loop = asyncio.get_running_loop()
        self._waiting.append(_Waiter(submission, tell, size, loop.time() + ANSWER_TIMEOUT, pace))
        self._held_bytes += size
        if self._sender is None or self._sender.done():
            self._sender = loop.create_task(self._send())
        if self._late is None:
            self._late = loop.call_later(ANSWER_TIMEOUT, self._give_up)

    async def ping(self) -> None:
        """Raise StoreUnavailable where the server does not answer or would not store a lead, or too few replicas hold it.

        A write, because a server that is full, read-only or cannot write its AOF still answers PING.
        """
        mark: tuple[Any, ...] = ("SET", self._keys.readiness, "1", "PX", PROBE_KEPT // MILLISECOND)
        probe = hiredis.pack_command(mark)
        written, *held_by = await _in_time(
            self._exchange(probe + self._wait, 2 if self._confirm_replicas else 1)
        )
        if isinstance(written, Exception):
            away = _unavailable(written)
            await self._leave_a_former_primary(away)
            raise away
        await self._refuse_unconfirmed(held_by)

    async def close(self) -> None:
        """Finish what is waiting, as long as its requests wait, and give the connections back."""
        self._closed = True
        started = [task for task in (self._sender, self._asking) if task is not None]
        if started:
            await asyncio.wait(started)
        if self._late is not None:  # only now: one write has its own limit, but many may wait behind it
            self._late.cancel()
        await self._client.aclose()
        if self._sentinels is not None:
            await self._sentinels.aclose()

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            count = self._next_count()
            taken, self._waiting = self._waiting[:count], self._waiting[count:]
            self._sending = taken
            # Whoever has given up was told so; what they sent comes again.
            batch = [waiter for waiter in taken if not waiter.was_told]
            answers: list[object] = [StoreUnavailable("the write was broken off")] * len(batch)
            try:
                answers = await self._write(batch) if batch else []
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
                answers = [error] * len(batch)
            finally:
                self._held_bytes -= sum(waiter.size for waiter in taken)
                self._sending = []
                # Soon, not now: the next pipeline goes off first, and is on its way while these are told.
                loop.call_soon(_tell, batch, answers)

    def _give_up(self) -> None:
        """Tell those who have waited long enough. One timer for all: one for each would be a tenth of what storing costs."""
        loop = asyncio.get_running_loop()
        self._late, now = None, loop.time()
        late: list[_Waiter] = []
        for waiter in (*self._sending, *self._waiting):  # in the order they came
            if waiter.was_told:
                continue
            if waiter.until > now:
                self._late = loop.call_at(waiter.until, self._give_up)
                break
            late.append(waiter)
        for waiter in late:  # last, because whoever is told may submit another
            waiter.tell(StoreUnavailable("TimeoutError"))

    def _next_count(self) -> int:
        """How many of those waiting share the next pipeline: one at the least."""
        total = 0
        for count, waiter in enumerate(self._waiting[:BATCH]):
            total += waiter.size
            if count and total > BATCH_BYTES:
                return count
        return BATCH

    async def _write(self, batch: list[_Waiter]) -> list[object]:
        asked_at = time.monotonic()
        commands = [hiredis.pack_command(self._command(waiter)) for waiter in batch]
        tell_router = self.tell_router
        claim = self._claim if tell_router is not None else b""
        # The WAIT on the same connection, behind the writes it is about; and one for all of them.
        packed = b"".join((*commands, claim, self._wait, _TIME))
        count = len(commands) + bool(claim) + bool(self._wait) + 1
        answers = await _in_time(self._exchange(packed, count))
        server_time = answers.pop()
        if isinstance(server_time, list):
            self._note_time((int(server_time[0]), int(server_time[1])), asked_at)
        answers, held_by = answers[: len(batch)], answers[len(batch) :]
        if (
            tell_router is not None and held_by.pop(0) == b"OK"
        ):  # whoever waits for the answers, and whatever WAIT said
            tell_router()
        for answer in answers:
            if isinstance(answer, Exception):
                await self._leave_a_former_primary(_unavailable(answer))
        await self._refuse_unconfirmed(held_by)
        if len(answers) != len(batch):
            raise StoreUnavailable("the server gave too few answers")
        return answers

    def _command(self, waiter: _Waiter) -> tuple[Any, ...]:
        """What stores it: XADD, or for a form with a limit the script that asks its bucket and stores, in one.

        With its text and not its hash, which a server forgets when it restarts: a kilobyte more, and no second question.
        """
        added = _xadd(self._keys.incoming, waiter.submission, self._vault)
        if waiter.pace is None:
            return added
        form, rate, is_refused = waiter.pace
        keys = (self._keys.incoming, self._keys.rate(form))
        limit = (rate.count, rate.per // MILLISECOND, "refuse" if is_refused else "mark")
        return ("EVAL", SCRIPTS["store_within_rate"], 2, *keys, *limit, *added[3:])

    async def _refuse_unconfirmed(self, held_by: list[object]) -> None:
        """Raise StoreUnavailable where WAIT was answered with too few replicas: it may be stored, but not for good."""
        for count in held_by:
            try:
                refuse_unconfirmed(count, self._confirm_replicas)
            except (redis.exceptions.RedisError, StoreUnavailable) as error:
                away = _unavailable(error)
                await self._leave_a_former_primary(away)
                raise away from error

    async def _leave_a_former_primary(self, away: StoreUnavailable) -> None:
        """The next write asks anew who is the primary, where this server spoke as if it no longer were."""
        if is_of_a_former_primary(away):
            await self._client.connection_pool.disconnect(inuse_connections=False)

    async def _exchange(self, packed: bytes, count: int) -> list[object]:
        """The answers to commands sent in one write; an error of the server is one of them.

        What redis-py's pipeline does, without its packing in Python and its timer around each answer: together they
        cost more than everything else a hook does (benchmarks/).
        """
        pool = self._client.connection_pool
        connection = await pool.get_connection()

        async def send_and_read() -> list[object]:
            try:
                await connection.send_packed_command(packed)
            except RuntimeError as error:  # uvloop's word for a connection that broke while it was idle
                raise redis.exceptions.ConnectionError("the connection is closed") from error
            return [await _read(connection) for _ in range(count)]

        async def start_over(_error: Exception) -> None:
            await connection.disconnect()

        try:
            answers: list[object] = await connection.retry.call_with_retry(send_and_read, start_over)
            return answers
        finally:
            await pool.release(connection)

    async def _ask_time(self) -> None:
        asked_at = time.monotonic()
        self._note_time(await _in_time(self._client.time(), CLOCK_TIMEOUT), asked_at)

    def _note_time(self, server_time: tuple[int, int], asked_at: float) -> None:
        """Correct what we know of the server's clock by as much as this answer proves, and by no more.

        It read its clock some time between the question and the answer. A slow answer proves little: taken at its
        word, a second on the way would date the next submissions a second before they were sent.
        """
        answered_at = time.monotonic()
        server = server_time[0] + server_time[1] / 1e6
        least, most = server - answered_at, server - asked_at
        self._ahead = min(max(self._ahead, least), most) if self._knows_time() else least
        self._noted_at = answered_at, time.time()

    def _knows_time(self) -> bool:
        """Whether it was told lately, by both of our clocks: the monotonic one stands still while a machine sleeps."""
        if self._noted_at is None:
            return False
        monotonic, wall = self._noted_at
        return time.monotonic() - monotonic <= CLOCK_HOLDS and abs(time.time() - wall) <= CLOCK_HOLDS


def _tell(batch: list[_Waiter], answers: list[object]) -> None:
    for waiter, answer in zip(batch, answers, strict=True):
        if isinstance(answer, bytes):  # the entry's id, as nearly always
            waiter.tell(None)
        elif isinstance(answer, int):
            waiter.tell(TooFast(answer))
        else:
            waiter.tell(_unavailable(answer) if isinstance(answer, Exception) else None)


def _xadd(stream: str, submission: Submission, vault: Vault) -> tuple[Any, ...]:
    parts = [part for pair in stream_fields(submission, vault).items() for part in pair]
    return ("XADD", stream, "*", *parts)


def _connect(url: str) -> tuple[Any, Any]:
    """A client of the server, or of the primary its Sentinels name; and the Sentinels, to be closed with it, or None."""
    options: dict[str, Any] = {
        "socket_connect_timeout": ANSWER_TIMEOUT,
        # No further limit for each send and each answer: whatever is asked has one as a whole (`_in_time`), and redis-py
        # would wrap each send in a task of its own to keep another.
        "socket_timeout": None,
        **keepalive(url),
        "health_check_interval": 15,
        # Once, for a connection the server closed while it was idle; a silent server is not asked twice.
        "retry": Retry(NoBackoff(), 1, supported_errors=(redis.exceptions.ConnectionError,)),
        "client_name": "speed-to-lead-web",
        "protocol": 2,
    }
    address = sentinel_address(url)
    if address is None:
        return Redis.from_url(url, **options), None
    new_sentinels: Any = Sentinel  # redis-py leaves it without types
    sentinels = new_sentinels(
        address.sentinels, sentinel_kwargs=sentinel_options(address, Retry(NoBackoff(), 0))
    )
    return sentinels.master_for(address.service, **login_options(address), **options), sentinels


def _size(submission: Submission) -> int:
    """What a submission keeps in memory, nearly: everything that can be large."""
    size = len(submission.body)
    for name, value in submission.headers.items():
        size += len(name) + len(value)
    return size


async def _read(connection: Any) -> object:
    try:
        return await connection.read_response(timeout=math.inf)  # the whole exchange has one limit
    except redis.exceptions.ResponseError as error:
        return error


async def _in_time(answer: Awaitable[_T], limit: float = ANSWER_TIMEOUT) -> _T:
    """The answer, if it comes in time. Raises StoreUnavailable for everything that may go wrong on the way."""
    try:
        async with asyncio.timeout(limit):
            return await answer
    except (redis.exceptions.RedisError, OSError) as error:  # TimeoutError is an OSError
        raise _unavailable(error) from error
    except RuntimeError as error:  # from uvloop: see Intake._exchange
        raise StoreUnavailable("the connection is closed") from error


def _unavailable(error: Exception) -> StoreUnavailable:
    """The error's class and, of a server's error, its first word: no address, no argument."""
    if isinstance(error, StoreUnavailable):
        return error
    return StoreUnavailable(described(error))
