"""A connection to a primary that is none any more is left, and made again to the one the Sentinels name."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis.client import Pipeline
from redis.sentinel import Sentinel, SentinelManagedConnection
from tests.servers import RealServer

from speed_to_lead.store.server import leaving_a_former_primary

pytestmark = pytest.mark.real


class NamingInTurn(Sentinel):
    """Sentinels that name the first address once, and the second from then on."""

    def __init__(self, *addresses: tuple[str, int]) -> None:
        super().__init__([])  # type: ignore[no-untyped-call]
        self._addresses = list(addresses)

    def discover_master(self, service_name: str) -> Any:
        """The address to go to now."""
        return self._addresses.pop(0) if len(self._addresses) > 1 else self._addresses[0]


@pytest.fixture
def former_and_new(tmp_path: Path) -> Iterator[tuple[RealServer, RealServer]]:
    """A former primary that takes no writes, since nobody follows it, and the new one."""
    with ExitStack() as stack:
        servers = []
        for name, more in (("former", ("--min-replicas-to-write", "1")), ("new", ())):
            (tmp_path / name).mkdir()
            server = RealServer(tmp_path / name)
            stack.callback(server.stop)
            server.start(*more)
            servers.append(server)
        yield servers[0], servers[1]


def test_a_transaction_that_begins_anew_for_ever_ends_at_the_new_primary(
    former_and_new: tuple[RealServer, RealServer],
) -> None:
    """As kombu puts back what a worker took and could not acknowledge: WATCH, read, write, again where the line broke."""
    tries = []

    def put_back(pipe: Pipeline) -> None:
        tries.append(1)
        assert len(tries) < 10, "it turns on the former primary"
        pipe.hget("unacked", "tag")
        pipe.multi()
        pipe.hset("unacked", "tag", "message")

    sentinels = NamingInTurn(*((server.host, server.port) for server in former_and_new))
    with sentinels.master_for(  # type: ignore[no-untyped-call]
        "leads", connection_class=leaving_a_former_primary(SentinelManagedConnection)
    ) as client:
        client.transaction(put_back, "unacked")

        assert (2, b"message") == (len(tries), client.hget("unacked", "tag"))
