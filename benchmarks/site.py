"""A site for benchmarks: the embedded server as `up` starts it, the lines of the Procfile, and a sink that only answers."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.loader import ROOT, write_rules
from speed_to_lead.cli.embedded import EmbeddedServer
from speed_to_lead.store.redis_store import RedisStore, open_store

#: How long a process may take to start, to end, or to do what it is started for.
PATIENCE = 60.0
#: What `alerts.toml` says of a sink, and a secret for it.
SINK_DESTINATION = 'type = "webhook"\nurl_env = "SINK_URL"\nsecret_env = "SINK_SECRET"'
SINK_SECRET = "whsec_YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcywgeWVz"
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """What that process has used so far, its own and the system's part."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def wait_until(claim: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Return once the claim holds. Raises TimeoutError with `what`."""
    limit = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > limit:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Site:
    """A server with its rules; `start` adds processes, `end` ends all of it."""

    def __init__(self, scratch: Path, destination: str = 'type = "console"', **environment: str) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self._scratch = scratch
        self.rules = write_rules(scratch / "rules", destination=destination)
        self.data = scratch / "data"
        self.server = EmbeddedServer(self.data)
        self.server.start()
        self.store: RedisStore = open_store(self.server.url)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("STL_")},
            "PYTHONPATH": str(ROOT / "src"),
            "REDIS_URL": self.server.url,
            "STL_CONFIG_DIR": str(self.rules),
            "STL_FALLBACK_DESTINATION": "head-of-sales",
            **environment,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def server_pid(self) -> int:
        """The server's process."""
        return int(self.store.server.client.info("server")["process_id"])

    def start(self, *names: str) -> None:
        """Start these lines of the Procfile, and wait until the workers among them give a sign of life."""
        commands = procfile()
        for name in names:
            log = (self._scratch / f"{name}.log").open("ab")
            self.processes[name] = subprocess.Popen(
                commands[name], env=self.environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
            log.close()
        if "beat" in names:
            wanted = {name for name in self.processes if name in ("router", "clock", "courier")}
            wait_until(lambda: wanted <= self._alive(), f"{', '.join(sorted(wanted))} at work")

    def stop_processes(self) -> None:
        """End every process; the server goes on."""
        end_all(self.processes)
        self.processes.clear()

    def end(self) -> None:
        """End everything."""
        self.stop_processes()
        self.store.close()
        self.server.stop()

    def _alive(self) -> set[str]:
        beats = self.store.operations.health().heartbeats
        return {process.partition("@")[0] for process, age in beats.items() if age < 3}


def end_all(processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Ask each to end, and kill what does not."""
    for process in processes.values():
        process.terminate()
    for process in processes.values():
        try:
            process.wait(25)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def procfile() -> dict[str, list[str]]:
    """The words of each command of the Procfile, run by this Python."""
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    modules = {"celery": "celery", "speed-to-lead": "speed_to_lead.cli"}
    commands = {}
    for line in lines:
        name, _, command = line.partition(":")
        if command.strip():
            program, *arguments = shlex.split(command)
            commands[name.strip()] = [sys.executable, "-m", modules[program], *arguments]
    return commands


class Sink:
    """A process that answers every POST with 200 and nothing else, as fast as one can, so that it is not what is measured."""

    _CODE = r"""
import asyncio, sys
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
class Sink(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.heard = transport, b""
    def data_received(self, data):
        self.heard += data
        while (end := self.heard.find(b"\r\n\r\n")) >= 0:
            head = self.heard[:end].lower()
            start = head.find(b"content-length:")
            length = int(head[start + 15:].split(b"\r\n")[0]) if start >= 0 else 0
            if len(self.heard) < end + 4 + length:
                return
            self.heard = self.heard[end + 4 + length:]
            self.transport.write(ANSWER)
async def main():
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0, backlog=500)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._CODE], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}/alerts"

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
