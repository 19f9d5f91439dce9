"""Shared fixtures: a real server for the whole run, a key prefix for each test, and stores of all three kinds.

- `server_url`: one real Valkey for the run; never kill it, and keep to `key_prefix`. For the store's own suite, one
  of each server there is (`tests.servers.BINARIES`), in turn
- `key_prefix`: this test's own prefix on it
- `redis_store`: the store on that server
- `fakeredis_store`: the store on fakeredis, alone
- `memory_store`: the store in memory, on `clock`
- `store`: each of the three in turn
- `clock`: a clock that stands still until the test moves it
- `restartable_server`: a server of this test's own, to be killed, frozen and started again
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from tests.servers import ManualClock, RealServer
from xdist.scheduler import LoadFileScheduling

from speed_to_lead.store.contract import Store
from speed_to_lead.store.memory import MemoryStore
from speed_to_lead.store.redis_store import RedisStore, open_store

_PREFIXES = (f"t{number}" for number in itertools.count(1))

#: Files whose tests start many processes and mostly wait for them, in two lanes that take about as long. With `pytest -n 3`
#: each lane is one worker's, and the third computes beside them: never are more than two such tests at work at once, which
#: on two cores is as many as keep to their time limits.
_LANES = (
    (
        "worker/test_crashes.py",
        "worker/test_processes.py",
        "worker/test_least_rights.py",
        "worker/test_tracing.py",
        "chaos/test_short_run.py",
        "ha/test_failover.py",
    ),
    ("worker/test_deafness.py", "worker/test_shutdown.py", "cli/test_up.py"),
)
_LANE_OF = {f"tests/{name}": f"lane {number}" for number, lane in enumerate(_LANES) for name in lane}


class _Lanes(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """The tests of a file in one worker, and the files of a lane too; the lanes are given out first."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return _LANE_OF.get(file, file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Lanes:
    """How `pytest -n` shares the tests out."""
    config.option.loadscopereorder = False  # in the order they were collected, not the largest file first
    return _Lanes(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `-n`, put the lanes first: what computes fills the time of whoever waits."""
    if not hasattr(config, "workerinput"):
        return
    order = {name: number for number, name in enumerate(_LANE_OF)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(order)))


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server that lives as long as the test run."""
    server = RealServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server.url
    server.stop(kill=True)


@pytest.fixture
def key_prefix() -> str:
    """A key prefix no other test of this run has."""
    return next(_PREFIXES)


@pytest.fixture
def redis_store(server_url: str, key_prefix: str) -> Iterator[RedisStore]:
    """An empty store on the real server."""
    store = open_store(server_url, key_prefix)
    yield store
    store.close()


@pytest.fixture
def fakeredis_store(key_prefix: str) -> Iterator[RedisStore]:
    """An empty store on a fakeredis of its own."""
    store = RedisStore(fakeredis.FakeRedis(server=fakeredis.FakeServer(version=(7, 0))), key_prefix)
    yield store
    store.close()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until the test moves it."""
    return ManualClock()


@pytest.fixture
def memory_store(clock: ManualClock) -> MemoryStore:
    """An empty store in memory."""
    return MemoryStore(clock)


@pytest.fixture(params=["memory", "fakeredis", pytest.param("real", marks=pytest.mark.real)])
def store(request: pytest.FixtureRequest) -> Store:
    """An empty store of each kind in turn."""
    names = {"memory": "memory_store", "fakeredis": "fakeredis_store", "real": "redis_store"}
    found: Store = request.getfixturevalue(names[request.param])
    return found


@pytest.fixture
def restartable_server(tmp_path: Path) -> Iterator[RealServer]:
    """A running server of this test's own."""
    directory = tmp_path / "valkey"
    directory.mkdir()
    server = RealServer(directory)
    server.start()
    yield server
    server.stop(kill=True)
