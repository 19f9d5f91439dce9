"""The web's way in: requests share writes, 200 means stored, and nobody waits for ever."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio.connection import Connection
from tests.servers import RealServer

from speed_to_lead.core.clock import EPOCH
from speed_to_lead.core.submission import RateLimit, Submission
from speed_to_lead.store import intake as intake_module
from speed_to_lead.store.contract import StoreUnavailable, TooFast
from speed_to_lead.store.intake import Intake, Pace
from speed_to_lead.store.keys import Keys
from speed_to_lead.store.redis_store import RedisStore, open_store

pytestmark = pytest.mark.real


def submission(name: str) -> Submission:
    """A submission received some time ago."""
    return Submission(name, "demo", EPOCH, b"{}", "application/json")


def with_intake(url: str, work: Callable[[Intake], Awaitable[Any]], prefix: str = "stl") -> Any:
    """Run the work on an intake of one event loop, and close it."""

    async def run() -> Any:
        intake = Intake(url, prefix)
        try:
            return await work(intake)
        finally:
            await intake.close()

    return asyncio.run(run())


def stored(url: str, prefix: str = "stl") -> list[str]:
    """Ids of what is in the stream."""
    store = open_store(url, prefix)
    found = [entry.submission.id for entry in store.queue.take("r", 100_000)]
    store.close()
    return sorted(found)


def test_requests_that_come_together_share_their_writes(
    server_url: str, key_prefix: str, redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 at once are all stored, with a handful of round trips."""
    names = [f"s{number:03}" for number in range(500)]
    writes: list[int] = []

    async def work(intake: Intake) -> None:
        write = intake._write

        async def counted(batch: list[Any]) -> list[object]:
            writes.append(len(batch))
            return await write(batch)

        monkeypatch.setattr(intake, "_write", counted)
        await asyncio.gather(*(intake.store(submission(name)) for name in names))

    with_intake(server_url, work, key_prefix)
    assert (names, 500) == (stored(server_url, key_prefix), sum(writes))
    assert len(writes) <= 4
    assert redis_store.operations.ledger().received == 500


@pytest.mark.parametrize(
    ("known", "asked", "answered", "server", "expected"),
    [
        (None, 10.0, 12.0, 1_011.0, 999.0),  # nothing known: never ahead of the server
        (1_000.0, 10.0, 12.0, 1_011.0, 1_000.0),  # a slow answer that contradicts nothing proves nothing
        (1_000.0, 10.0, 10.01, 1_012.01, 1_002.0),  # the server's clock is ahead of what was known
        (1_000.0, 10.0, 10.01, 1_008.0, 998.0),  # and behind
    ],
)
def test_a_slow_answer_moves_the_clock_no_further_than_it_proves(
    known: float | None,
    asked: float,
    answered: float,
    server: float,
    expected: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Submissions are not dated before they were sent because an answer of the server was long on its way."""
    intake = Intake("redis://127.0.0.1:1/0", "stl")
    clock = SimpleNamespace(monotonic=lambda: answered, time=lambda: 1_700_000_000.0)
    monkeypatch.setattr(intake_module, "time", clock)
    if known is not None:
        intake._ahead, intake._noted_at = known, (asked - 1, 1_700_000_000.0)

    intake._note_time((int(server), round(server % 1 * 1e6)), asked)

    assert expected == pytest.approx(intake._ahead)


@pytest.mark.parametrize(("broken", "is_stored"), [(1, True), (99, False)])
def test_a_connection_that_broke_while_idle_is_the_stores_fault(
    server_url: str,
    key_prefix: str,
    redis_store: RedisStore,
    monkeypatch: pytest.MonkeyPatch,
    broken: int,
    is_stored: bool,
) -> None:
    """Uvloop says RuntimeError where asyncio says ConnectionError: it is tried again once, then the store is away."""
    left = [broken]
    send = Connection.send_packed_command

    async def send_or_break(self: Any, command: Any, check_health: bool = True) -> None:
        if left[0] and b"XADD" in command:
            left[0] -= 1
            raise RuntimeError(
                "unable to perform operation on <TCPTransport closed=True>; the handler is closed"
            )
        await send(self, command, check_health)

    monkeypatch.setattr(Connection, "send_packed_command", send_or_break)

    async def work(intake: Intake) -> bool:
        try:
            await intake.store(submission("s1"))
        except StoreUnavailable:
            return False
        return True

    assert is_stored == with_intake(server_url, work, key_prefix)
    assert int(is_stored) == redis_store.operations.ledger().received


def test_time_is_the_servers(server_url: str, redis_store: RedisStore) -> None:
    """The first answer asks the server; later ones do not, and stay with it."""

    async def work(intake: Intake) -> list[float]:
        first = await intake.now()
        await intake.store(submission("s1"))
        monotone = await intake.now()
        return [(redis_store.now() - first).total_seconds(), (redis_store.now() - monotone).total_seconds()]

    assert all(abs(ahead) < 1 for ahead in with_intake(server_url, work, redis_store.server.keys.prefix))


class Clocks:
    """This machine's clocks as the intake sees them, moved by the test."""

    def __init__(self) -> None:
        self.slept = 0.0
        self.ran = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ran

    def time(self) -> float:
        return time.time() + self.ran + self.slept


@pytest.mark.parametrize(
    ("ran", "slept", "asked"),
    [(0.0, 0.0, 0), (9.0, 0.0, 0), (11.0, 0.0, 1), (0.0, 3600.0, 1), (0.0, -11.0, 1)],
)
def test_time_is_asked_again_when_it_is_old(
    server_url: str,
    redis_store: RedisStore,
    monkeypatch: pytest.MonkeyPatch,
    ran: float,
    slept: float,
    asked: int,
) -> None:
    """After a failover or a sleep of this machine the offset is wrong: it holds for ten seconds, by either clock."""
    clocks, calls = Clocks(), []
    monkeypatch.setattr(intake_module, "time", clocks)

    async def work(intake: Intake) -> float:
        await intake.now()
        ask = intake._client.time

        def counted() -> Any:
            calls.append("time")
            return ask()

        monkeypatch.setattr(intake._client, "time", counted)
        intake._ahead -= 3600  # what a failover to a server with another clock would leave behind
        clocks.ran, clocks.slept = ran, slept
        found = await asyncio.gather(*(intake.now() for _ in range(50)))
        return max(abs((redis_store.now() - now).total_seconds()) for now in found)

    error = with_intake(server_url, work, redis_store.server.keys.prefix)
    assert (asked, asked == 1) == (len(calls), error < 1)


def test_busy_intake_never_asks_for_the_time(
    server_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write brings the time along."""
    clocks = Clocks()
    monkeypatch.setattr(intake_module, "time", clocks)

    async def work(intake: Intake) -> None:
        await intake.now()
        monkeypatch.setattr(intake._client, "time", None)
        for number in range(5):
            clocks.ran += 9
            await intake.now()
            await intake.store(submission(f"s{number}"))

    with_intake(server_url, work, key_prefix)


def test_request_that_gives_up_asking_for_the_time_harms_no_other(server_url: str, key_prefix: str) -> None:
    """They wait for the same answer, and one of them hangs up."""

    async def work(intake: Intake) -> list[Any]:
        tasks = [asyncio.create_task(intake.now()) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        return [type(answer).__name__ for answer in await asyncio.gather(*tasks, return_exceptions=True)]

    assert ["CancelledError", "datetime", "datetime"] == with_intake(server_url, work, key_prefix)


def test_time_of_a_silent_server_is_not_waited_for_long(restartable_server: RealServer) -> None:
    """The write may take its two seconds after it, and the tightest form tool waits three."""

    async def work(intake: Intake) -> float:
        restartable_server.freeze()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await intake.now()
        took = time.monotonic() - began
        restartable_server.thaw()
        await intake.now()
        return took

    assert with_intake(restartable_server.url, work) < 1.5


@pytest.mark.parametrize("fate", ["stopped", "frozen"])
def test_away_server_is_told_in_time_and_found_again(restartable_server: RealServer, fate: str) -> None:
    """While the server is away each request hears so within the tool's patience; the first one after it is back is stored."""

    async def work(intake: Intake) -> float:
        await intake.store(submission("before"))
        if fate == "stopped":
            restartable_server.stop(kill=True)
        else:
            restartable_server.freeze()
        began = time.monotonic()
        heard = await asyncio.gather(
            *(intake.store(submission(f"during{n}")) for n in range(intake_module.BATCH * 2 + 1)),
            intake.ping(),
            return_exceptions=True,
        )
        took = time.monotonic() - began
        assert {StoreUnavailable} == {type(answer) for answer in heard}
        if fate == "stopped":
            restartable_server.start()
        else:
            restartable_server.thaw()
        await intake.ping()
        await intake.store(submission("after"))
        return took

    assert with_intake(restartable_server.url, work) < intake_module.ANSWER_TIMEOUT + 1
    found = stored(restartable_server.url)
    assert [name for name in found if not name.startswith("during")] == ["after", "before"]


@pytest.mark.parametrize(
    ("setting", "told"), [("maxmemory", "OutOfMemoryError"), ("replicaof", "ReadOnlyError")]
)
def test_readiness_notices_a_server_that_will_not_write(
    restartable_server: RealServer, setting: str, told: str
) -> None:
    """Full or read-only, PING would answer: the probe does not, and neither is a submission taken."""
    store = open_store(restartable_server.url)

    async def work(intake: Intake) -> list[str]:
        await intake.ping()
        if setting == "maxmemory":
            store.server.client.config_set("maxmemory", 1)
        else:
            store.server.client.replicaof("127.0.0.1", "1")
        heard = []
        for ask in (intake.ping(), intake.store(submission("s1"))):
            with pytest.raises(StoreUnavailable) as caught:
                await ask
            heard.append(str(caught.value))
        return heard

    assert [told, told] == with_intake(restartable_server.url, work)
    store.close()


def test_readiness_leaves_nothing_behind(server_url: str, redis_store: RedisStore) -> None:
    """The probe counts nothing, and its one key goes by itself."""
    with_intake(server_url, lambda intake: intake.ping(), redis_store.server.keys.prefix)
    assert redis_store.operations.counters() == {}
    assert 0 < redis_store.server.client.pttl(redis_store.server.keys.readiness) <= 60_000


def test_cancelled_request_harms_no_other(server_url: str, key_prefix: str) -> None:
    """A request given up while waiting is forgotten; those beside it are stored."""

    async def work(intake: Intake) -> None:
        tasks = [asyncio.create_task(intake.store(submission(f"s{number}"))) for number in range(5)]
        await asyncio.sleep(0)
        tasks[2].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [None, None, asyncio.CancelledError, None, None] == [
            a if a is None else type(a) for a in answers
        ]
        await intake.store(submission("next"))

    with_intake(server_url, work, key_prefix)
    assert {"next", "s0", "s1", "s3", "s4"} == set(stored(server_url, key_prefix)) - {"s2"}


def test_close_finishes_what_waits(server_url: str, key_prefix: str) -> None:
    """Closing stores what is waiting, and takes no more."""

    async def run() -> None:
        intake = Intake(server_url, key_prefix)
        tasks = [asyncio.create_task(intake.store(submission(f"s{number}"))) for number in range(3)]
        await asyncio.sleep(0)
        await intake.close()
        await asyncio.gather(*tasks)
        with pytest.raises(StoreUnavailable, match="shutting down"):
            await intake.store(submission("late"))

    asyncio.run(run())
    assert stored(server_url, key_prefix) == ["s0", "s1", "s2"]


@pytest.mark.parametrize(
    "error", [ValueError("kim@example.com"), RuntimeError("x"), OSError("x"), KeyError("x")]
)
def test_whatever_goes_wrong_is_told(
    server_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """An error nobody foresaw ends the wait of all in its batch, and the next batch is stored."""

    async def work(intake: Intake) -> list[Any]:
        write = intake._write

        async def fails(batch: list[Submission]) -> list[object]:
            monkeypatch.setattr(intake, "_write", write)
            raise error

        monkeypatch.setattr(intake, "_write", fails)
        heard = await asyncio.gather(*(intake.store(submission(n)) for n in "ab"), return_exceptions=True)
        await intake.store(submission("c"))
        return list(heard)

    heard = with_intake(server_url, work, key_prefix)
    told = (StoreUnavailable, type(error).__name__)  # and not what it said: it may quote a person
    assert [told, told] == [(type(answer), str(answer)) for answer in heard]
    assert stored(server_url, key_prefix) == ["c"]


def test_broken_off_sender_tells_its_batch(
    server_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a sender that is cancelled leaves nobody waiting for ever."""

    async def work(intake: Intake) -> list[Any]:
        async def hangs(batch: list[Submission]) -> list[object]:
            await asyncio.sleep(60)
            return []

        monkeypatch.setattr(intake, "_write", hangs)
        waiting = asyncio.gather(*(intake.store(submission(n)) for n in "ab"), return_exceptions=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert intake._sender is not None
        intake._sender.cancel()
        return list(await waiting)

    assert [StoreUnavailable] * 2 == [type(a) for a in with_intake(server_url, work, key_prefix)]


def test_one_bad_text_does_not_spoil_its_batch(server_url: str, key_prefix: str) -> None:
    """A submission whose texts are no UTF-8 is stored like the others."""

    async def work(intake: Intake) -> None:
        odd = replace(submission("odd"), content_type="text/\ud800", headers={"x": "\ud800"})
        await asyncio.gather(intake.store(odd), intake.store(submission("plain")))

    with_intake(server_url, work, key_prefix)
    assert stored(server_url, key_prefix) == ["odd", "plain"]


def test_too_many_waiting_are_turned_away(
    server_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit the answer is at once "later, please"."""
    monkeypatch.setattr(intake_module, "WAITING", 2)

    async def work(intake: Intake) -> list[Any]:
        return list(
            await asyncio.gather(*(intake.store(submission(n)) for n in "abc"), return_exceptions=True)
        )

    assert [None, None, StoreUnavailable] == [
        a if a is None else type(a) for a in with_intake(server_url, work, key_prefix)
    ]


def test_too_many_bytes_waiting_are_turned_away(
    server_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few but large ones fill the memory as well; afterwards there is room again."""
    monkeypatch.setattr(intake_module, "WAITING_BYTES", 2500)

    async def work(intake: Intake) -> list[Any]:
        large = [replace(submission(name), body=b"x" * 1000) for name in "abc"]
        heard = await asyncio.gather(*(intake.store(one) for one in large), return_exceptions=True)
        for one in large[2:]:
            await intake.store(one)
        assert intake._held_bytes == 0
        return list(heard)

    assert [None, None, StoreUnavailable] == [
        a if a is None else type(a) for a in with_intake(server_url, work, key_prefix)
    ]
    assert stored(server_url, key_prefix) == ["a", "b", "c"]


def test_given_up_submissions_hold_no_room(
    restartable_server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a silent server never took, and what a request that hung up left, is let go of."""
    monkeypatch.setattr(intake_module, "ANSWER_TIMEOUT", 0.3)

    async def work(intake: Intake) -> int:
        await intake.store(submission("before"))
        restartable_server.freeze()
        tasks = [asyncio.create_task(intake.store(submission(f"s{n}"))) for n in range(500)]
        await asyncio.sleep(0)
        tasks[-1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        restartable_server.thaw()
        await intake.store(submission("after"))
        return intake._held_bytes

    assert with_intake(restartable_server.url, work) == 0


def test_large_submissions_go_in_writes_of_their_own(
    server_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline holds its bytes once more: 200 bodies of a megabyte in one would be as bad as keeping them."""
    monkeypatch.setattr(intake_module, "BATCH_BYTES", 2500)
    writes: list[int] = []

    async def work(intake: Intake) -> None:
        write = intake._write

        async def counted(batch: list[Any]) -> list[object]:
            writes.append(sum(len(one.submission.body) for one in batch))
            return await write(batch)

        monkeypatch.setattr(intake, "_write", counted)
        sizes = (1000, 1000, 1000, 9000, 10, 10)
        large = [replace(submission(f"s{n}"), body=b"x" * size) for n, size in enumerate(sizes)]
        await asyncio.gather(*(intake.store(one) for one in large))

    with_intake(server_url, work, key_prefix)
    assert writes == [2000, 1000, 9000, 20]
    assert len(stored(server_url, key_prefix)) == 6


def test_one_refused_in_the_middle_fails_alone(
    server_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a group hears what became of its own: the server's error is one answer among the others."""

    def xadd(stream: str, one: Submission, vault: Any) -> tuple[Any, ...]:
        return ("XADD", stream, "not-an-id", "a", "b") if one.id == "b" else whole(stream, one, vault)

    whole = intake_module._xadd
    monkeypatch.setattr(intake_module, "_xadd", xadd)

    async def work(intake: Intake) -> list[Any]:
        return list(
            await asyncio.gather(*(intake.store(submission(n)) for n in "abc"), return_exceptions=True)
        )

    heard = with_intake(server_url, work, key_prefix)
    assert [None, StoreUnavailable, None] == [a if a is None else type(a) for a in heard]
    assert stored(server_url, key_prefix) == ["a", "c"]


def test_submissions_stand_in_the_stream_in_the_order_they_came(
    server_url: str, key_prefix: str, redis_store: RedisStore
) -> None:
    """Over several groups too."""
    names = [f"s{number:03}" for number in range(500)]
    with_intake(
        server_url,
        lambda intake: asyncio.gather(*(intake.store(submission(name)) for name in names)),
        key_prefix,
    )
    assert names == [entry.submission.id for entry in redis_store.queue.take("r", 1000)]


def test_router_is_told_once_until_it_looks(
    server_url: str, key_prefix: str, redis_store: RedisStore
) -> None:
    """The hint is claimed with the write, and not again while one is on its way; each telling finds the lead stored."""
    told: list[int] = []

    async def work(intake: Intake) -> None:
        intake.tell_router = lambda: told.append(redis_store.operations.ledger().received)
        await intake.store(submission("a"))
        await intake.store(submission("b"))
        redis_store.operations.hint_taken("route")
        await intake.store(submission("c"))

    with_intake(server_url, work, key_prefix)
    assert told == [1, 3]


def test_a_late_one_is_given_up_while_a_later_one_still_waits(
    restartable_server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One timer serves all, and each has its own time."""
    monkeypatch.setattr(intake_module, "ANSWER_TIMEOUT", 0.6)

    async def work(intake: Intake) -> list[float]:
        await intake.store(submission("before"))
        restartable_server.freeze()

        async def waited(name: str) -> float:
            began = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await intake.store(submission(name))
            return time.monotonic() - began

        first = asyncio.create_task(waited("first"))
        await asyncio.sleep(0.3)
        took = await asyncio.gather(first, waited("second"))
        restartable_server.thaw()
        return list(took)

    took = with_intake(restartable_server.url, work)
    assert all(0.5 < seconds < 1.5 for seconds in took)


def test_closing_waits_no_longer_than_those_who_wait(
    restartable_server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many writes stand in line at a silent server: who has given up needs none."""
    monkeypatch.setattr(intake_module, "ANSWER_TIMEOUT", 0.5)
    monkeypatch.setattr(intake_module, "BATCH", 1)

    async def run() -> float:
        intake = Intake(restartable_server.url, "stl")
        await intake.store(submission("before"))
        restartable_server.freeze()
        tasks = [asyncio.create_task(intake.store(submission(f"s{number}"))) for number in range(8)]
        await asyncio.sleep(0)
        began = time.monotonic()
        await intake.close()
        took = time.monotonic() - began
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert {StoreUnavailable} == {type(answer) for answer in answers}
        return took

    took = asyncio.run(run())
    restartable_server.thaw()
    assert took < 2.5


def paced(url: str, prefix: str, names: str, *, is_refused: bool, rate: RateLimit) -> list[object]:
    """What became of submissions of a form with this limit, one after the other."""

    async def work(intake: Intake) -> list[object]:
        heard: list[object] = []
        for name in names:
            try:
                await intake.store(submission(name), Pace("demo", rate, is_refused))
                heard.append(None)
            except TooFast as too_fast:
                heard.append(too_fast.wait_ms)
        return heard

    return list(with_intake(url, work, prefix))


def test_a_form_with_a_limit_stores_no_more(
    server_url: str, key_prefix: str, redis_store: RedisStore
) -> None:
    """The bucket is full at first; then one hears after how many milliseconds there is a token, and there is one then."""
    hour, second = RateLimit(3, timedelta(hours=1)), RateLimit(20, timedelta(seconds=1))
    heard = paced(server_url, key_prefix, "abcde", is_refused=True, rate=hour)
    assert [None] * 3 == heard[:3]
    assert all(isinstance(wait, int) and 1_199_000 < wait <= 1_200_000 for wait in heard[3:])
    redis_store.server.client.delete(Keys(key_prefix).rate("demo"))
    began = time.monotonic()
    taken = 0
    while taken < 30:
        heard = paced(server_url, key_prefix, "s" * 25, is_refused=True, rate=second)
        taken += heard.count(None)
    assert time.monotonic() - began >= 0.5  # twenty at once, the next ten at twenty a second
    assert redis_store.server.client.pttl(Keys(key_prefix).rate("demo")) <= 1000


def test_a_form_that_must_not_be_refused_is_stored_with_a_mark(
    server_url: str, key_prefix: str, redis_store: RedisStore
) -> None:
    """Also by a server that has forgotten every script."""
    redis_store.server.client.script_flush()
    rate = RateLimit(1, timedelta(hours=1))
    assert [None] * 3 == paced(server_url, key_prefix, "abc", is_refused=False, rate=rate)
    entries: Any = redis_store.server.client.xrange(redis_store.server.keys.incoming)
    assert [None, b"1", b"1"] == [fields.get(b"over_rate") for _, fields in entries]
    assert ["a", "b", "c"] == [fields[b"id"].decode() for _, fields in entries]


def test_a_form_without_a_limit_pays_nothing(server_url: str, key_prefix: str) -> None:
    """It is stored by the plain command, and no bucket is asked."""

    async def work(intake: Intake) -> list[Any]:
        plain = intake_module._Waiter(submission("a"), lambda _: None, 2, 0.0, None)
        return [intake._command(plain)[0], intake._command(plain)[1]]

    assert ["XADD", Keys(key_prefix).incoming] == with_intake(server_url, work, key_prefix)
