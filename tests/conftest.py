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
import structlog
from hypothesis import HealthCheck, settings
from tests.lanes import pytest_collection_modifyitems, pytest_runtest_setup, pytest_xdist_make_scheduler
from tests.servers import ManualClock, RealServer, directory_of_a_server

from speed_to_lead.store.contract import Store
from speed_to_lead.store.memory import MemoryStore
from speed_to_lead.store.redis_store import RedisStore, open_store

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_runtest_setup",
    "pytest_xdist_make_scheduler",
]  # pytest finds its hooks here

# What a property is tried on is the same in every run, and no example is late: what a run says is about the change, not about
# its luck or the machine. New examples, many more of them, are for whoever looks: `pytest --hypothesis-profile explore`.
settings.register_profile(
    "same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "explore", deadline=None, max_examples=1000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")

_PREFIXES = (f"t{number}" for number in itertools.count(1))


@pytest.fixture(autouse=True, scope="session")
def _loggers_keep_no_set_up() -> Iterator[None]:
    """A logger of ours keeps the set-up of its first line; here it would keep one test's for all that come after."""
    configure = structlog.configure

    def configured(**given: Any) -> None:
        configure(**{**given, "cache_logger_on_first_use": False})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", configured)
        yield


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """What a test, or a command that it runs, sets up of logs ends with it."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server that lives as long as the test run."""
    with directory_of_a_server(tmp_path_factory.mktemp("valkey")) as directory:
        server = RealServer(Path(directory))
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
    with directory_of_a_server(tmp_path) as directory:
        server = RealServer(Path(directory))
        server.start()
        yield server
        server.stop(kill=True)
