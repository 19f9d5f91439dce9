"""The store's suite runs on every server there is: what `tests/conftest.py` gives, once for each of them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.servers import BINARIES, RealServer, directory_of_a_server

from speed_to_lead.store.contract import Store
from speed_to_lead.store.redis_store import open_store


@pytest.fixture(scope="session")
def server_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """The address of a server by the name of its binary; it is started for the first test that asks."""
    running: dict[str, RealServer] = {}
    with ExitStack() as directories:

        def url_of(name: str) -> str:
            if name not in running:
                directory = directories.enter_context(directory_of_a_server(tmp_path_factory.mktemp(name)))
                server = RealServer(Path(directory), BINARIES[name])
                server.start()
                running[name] = server
            return running[name].url

        yield url_of
        for server in running.values():
            server.stop(kill=True)


@pytest.fixture(scope="session", params=BINARIES)
def server_name(request: pytest.FixtureRequest) -> str:
    """The name of each server's binary in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def server_url(server_name: str, server_of: Callable[[str], str]) -> str:
    """The address of each server in turn."""
    return server_of(server_name)


@pytest.fixture
def restartable_server(tmp_path: Path, server_name: str) -> Iterator[RealServer]:
    """A running server of this test's own, of each kind in turn."""
    with directory_of_a_server(tmp_path) as directory:
        server = RealServer(Path(directory), BINARIES[server_name])
        server.start()
        yield server
        server.stop(kill=True)


@pytest.fixture(
    params=["memory", "fakeredis", *(pytest.param(name, marks=pytest.mark.real) for name in BINARIES)]
)
def store(
    request: pytest.FixtureRequest, server_of: Callable[[str], str], key_prefix: str
) -> Iterator[Store]:
    """An empty store of each kind in turn, the real one on each server."""
    if request.param in BINARIES:
        opened = open_store(server_of(request.param), key_prefix)
        yield opened
        opened.close()
    else:
        yield request.getfixturevalue(f"{request.param}_store")
