"""`speed-to-lead up` in a test: started on a directory of its own, watched by what it prints, and by who is left."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from tests.processes import RunningProcess, bare_environment, ended, marked_processes
from tests.servers import free_port, wait_until

from speed_to_lead.store import open_store
from speed_to_lead.store.redis_store import RedisStore

#: How long `up` may take from its start until its address answers, on a slow machine.
START_SECONDS = 90


class Up:
    """One `speed-to-lead up` process. Its children are known by the data directory in their environment."""

    def __init__(self, directory: Path, *arguments: str, port: int | None = None, **environment: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.data = directory / "data"
        self.port = port or free_port()
        command = [
            sys.executable,
            "-m",
            "speed_to_lead.cli",
            "up",
            "--data",
            str(self.data),
            "--port",
            str(self.port),
        ]
        log = directory / f"up-{len(list(directory.glob('up-*')))}.log"
        self.running = RunningProcess([*command, *arguments], bare_environment(**environment), log)

    @property
    def output(self) -> str:
        return self.running.output

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        """Return once the web process says that it can store."""

        def is_ready() -> bool:
            assert self.running.is_running, self.output
            return self.get("/readyz")[0] == 200

        wait_until(is_ready, "the web process is ready", START_SECONDS)

    def wait_for(self, words: str, seconds: float = 20) -> None:
        wait_until(lambda: words in self.output, f"{words!r} in the output", seconds)

    def get(self, path: str) -> tuple[int, str]:
        return curl(["-s", "-w", "\n%{http_code}", f"{self.address}{path}"])

    def printed_curl(self) -> list[str]:
        """The arguments of the curl line that was printed."""
        line = next(line for line in self.output.splitlines() if " curl " in line)
        return shlex.split(line[line.index("curl ") :])[1:]

    def store(self) -> RedisStore:
        return open_store((self.data / "redis-url").read_text().strip())

    def children(self, name: str) -> list[int]:
        """The process ids of the children that live, by a word of their command line."""
        found = []
        for pid in marked_processes(f"STL_DATA_DIR={self.data}"):
            with contextlib.suppress(OSError):
                if name in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode():
                    found.append(pid)
        return found

    def child(self, name: str) -> int:
        """The process id of the one child of that name."""
        [found] = self.children(name)
        return found

    def left(self) -> list[str]:
        """Command lines of everything that still runs and knows of this data directory."""
        lines = []
        for pid in marked_processes(str(self.data)):
            with contextlib.suppress(OSError):
                lines.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode())
        return lines + [f"process {pid}" for pid in self._server_processes()]

    def interrupt(self, seconds: float = 20) -> int:
        """Ctrl-C; the exit code."""
        return self.running.stop(seconds, signal.SIGINT)

    def end(self) -> None:
        """Kill whatever is left, and print what was said: pytest shows it where the test failed."""
        self.running.kill()
        for pid in [*marked_processes(str(self.data)), *self._server_processes()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        sys.stdout.write(self.output[-6000:])

    def _server_processes(self) -> list[int]:
        """Processes that work in the data directory, as the embedded server does."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdecimal() and (entry / "cwd").readlink() == self.data:
                    found.append(int(entry.name))
        return [pid for pid in found if not ended(pid)]


def curl(arguments: list[str]) -> tuple[int, str]:
    """Status and body of a curl call; status 0 where there was no answer."""
    if "-w" not in arguments:
        arguments = [*arguments, "-w", "\n%{http_code}"]
    done = subprocess.run(["curl", *arguments], capture_output=True, text=True, timeout=20, check=False)
    body, _, status = done.stdout.rpartition("\n")
    return int(status or 0), body


def lead_ids(text: str) -> list[str]:
    """Ids in an answer of a hook."""
    return re.findall(r'"id": ?"([^"]+)"', text)
