"""Three hosts on loopback addresses, each with a server and a Sentinel: a primary, two replicas, and who decides.

Everything asks for a password, and each password holds what an address must write percent-encoded.
"""

import contextlib
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis
from tests.servers import BINARIES, RealServer, free_port, wait_until

SERVICE = "leads"
PASSWORD = "p:ss/w@rd,#?%"
SENTINEL_PASSWORD = "s:nt/n@l,#?%"
#: The primary is taken for dead after so many milliseconds; in production it should be five seconds.
DOWN_AFTER_MS = 1500

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")

_SERVER = (
    *("--requirepass", PASSWORD, "--masterauth", PASSWORD),
    *("--min-replicas-to-write", "1", "--min-replicas-max-lag", "10"),
    *("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"),
)


class Cluster:
    """Running servers and Sentinels; `end` stops what is left of them."""

    def __init__(self, directory: Path, binary: Path | None = None) -> None:
        self._binary = binary or next(iter(BINARIES.values()))
        self.servers = []
        for host in HOSTS:
            (directory / host).mkdir(parents=True)
            self.servers.append(RealServer(directory / host, self._binary, host))
        self._sentinel_ports = {host: free_port() for host in HOSTS}
        self._sentinels: list[subprocess.Popen[bytes]] = []
        self._directory = directory

    @property
    def url(self) -> str:
        """The address for REDIS_URL."""
        hosts = ",".join(f"{host}:{port}" for host, port in self._sentinel_ports.items())
        own = f"sentinel_password={quote(SENTINEL_PASSWORD, safe='')}"
        return f"redis+sentinel://:{quote(PASSWORD, safe='')}@{hosts}/{SERVICE}?{own}"

    def start(self, *, sentinels: bool = True) -> None:
        """Start all of it, and wait until every Sentinel knows of every server and Sentinel."""
        for number, server in enumerate(self.servers):
            self.start_server(number, None if server is self.servers[0] else 0)
        self.wait_for_replicas(0, 2)
        if not sentinels:
            return
        for host, port in self._sentinel_ports.items():
            self._start_sentinel(host, port)
        for host in HOSTS:
            with self.sentinel(host) as client:
                wait_until(lambda: self._is_complete(client), f"the Sentinel on {host} knows all")

    def start_server(self, number: int, primary: int | None) -> None:
        """Start one server as the primary, or as a replica of another."""
        server = self.servers[number]
        above = (
            ()
            if primary is None
            else ("--replicaof", self.servers[primary].host, str(self.servers[primary].port))
        )
        server.start(*_SERVER, "--replica-announce-ip", server.host, *above)

    def cut_off(self, primary: int) -> None:
        """Let no replica hear of what is written from here on, though nobody is told: as if the network were cut."""
        with self.client(primary) as client:
            client.config_set("min-replicas-to-write", 0)
            for number, server in enumerate(self.servers):
                if number != primary and server.is_running:
                    server.freeze()
            client.execute_command("CLIENT", "KILL", "TYPE", "replica")

    def join_up(self, primary: int) -> None:
        """Let the replicas go on; they follow the primary again where it lives."""
        for number, server in enumerate(self.servers):
            if number != primary and server.is_running:
                server.thaw()

    def url_of(self, number: int) -> str:
        """The address of one server, for REDIS_URL without Sentinels."""
        server = self.servers[number]
        return f"redis://:{quote(PASSWORD, safe='')}@{server.host}:{server.port}/0"

    def client(self, number: int) -> "redis.Redis":
        """A client of one server, whatever it is."""
        server = self.servers[number]
        return redis.Redis(
            host=server.host, port=server.port, password=PASSWORD, socket_timeout=2, protocol=2
        )

    def sentinel(self, host: str) -> "redis.Redis":
        """A client of the Sentinel on a host."""
        return redis.Redis(
            host=host,
            port=self._sentinel_ports[host],
            password=SENTINEL_PASSWORD,
            socket_timeout=2,
            protocol=2,
        )

    def primary(self) -> int:
        """The number of the server that the Sentinels call the primary."""
        with self.sentinel(HOSTS[0]) as client:
            found = client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE)
        ports = [server.port for server in self.servers]
        return ports.index(int(found[1]))

    def role(self, number: int) -> str:
        """What one server calls itself: master or slave; nothing where it does not say, as while it becomes the other."""
        with self.client(number) as client, contextlib.suppress(redis.RedisError):
            return str(client.role()[0].decode())
        return ""

    def fail_over(self) -> None:
        """Have a Sentinel promote a replica as planned; it refuses until it has heard from one how far it is."""

        def begun() -> bool:
            with self.sentinel(HOSTS[1]) as client, contextlib.suppress(redis.ResponseError):
                client.execute_command("SENTINEL FAILOVER", SERVICE)
                return True
            return False

        wait_until(begun, "a Sentinel begins a failover")

    def wait_for_replicas(self, number: int, count: int) -> None:
        """Return once so many replicas follow that server, in step."""

        def in_step() -> bool:
            with self.client(number) as client, contextlib.suppress(redis.RedisError):
                client.set(
                    "probe", 1
                )  # one that still loads its first copy is "online", and confirms nothing
                return int(client.wait(count, 200)) == count
            return False

        wait_until(in_step, f"{count} replicas follow server {number}")

    def wait_for_another_primary(self, than: int) -> int:
        """The number of the server that was promoted; returns once it calls itself primary too."""
        wait_until(
            lambda: self.primary() != than and self.role(self.primary()) == "master", "a replica is promoted"
        )
        return self.primary()

    def end(self) -> None:
        for server in self.servers:
            server.stop(kill=True)
        for process in self._sentinels:
            process.kill()
            process.wait(10)

    def _start_sentinel(self, host: str, port: int) -> None:
        directory = self._directory / f"sentinel-{host}"
        directory.mkdir()
        config = directory / "sentinel.conf"
        first = self.servers[0]
        lines = (
            f"port {port}",
            f"bind {host}",
            f"dir {directory}",
            f'requirepass "{SENTINEL_PASSWORD}"',
            f'sentinel sentinel-pass "{SENTINEL_PASSWORD}"',
            f"sentinel announce-ip {host}",
            f"sentinel monitor {SERVICE} {first.host} {first.port} 2",
            f'sentinel auth-pass {SERVICE} "{PASSWORD}"',
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} 10000",
            f"sentinel parallel-syncs {SERVICE} 2",
        )
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with (directory / "sentinel.log").open("ab") as log:
            process = subprocess.Popen(
                [str(self._binary), str(config), "--sentinel"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._sentinels.append(process)
        assert process.poll() is None

    @staticmethod
    def _is_complete(client: "redis.Redis") -> bool:
        try:
            masters: Any = client.sentinel_masters()
            (state,) = masters.values()
        except (redis.ConnectionError, ValueError):
            return False
        return (state["num-slaves"], state["num-other-sentinels"]) == (2, 2)
