"""Real processes for tests: the lines of the Procfile, as a platform would start them.

Each runs in a session of its own and is ended by its handle. Its output is kept, and shown where a test fails.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: What a process gets besides REDIS_URL, PORT and STL_CONFIG_DIR: enough to find Python and the package,
#: and which worker's ports are its own where it gives out some itself.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTEST_XDIST_WORKER")


def procfile() -> dict[str, str]:
    """The command of each process of the Procfile, by name."""
    lines = [line for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines() if line.strip()]
    return {name.strip(): command.strip() for name, _, command in (line.partition(":") for line in lines)}


def runnable(command: str) -> list[str]:
    """The words of one command, its program taken from this Python's own environment."""
    program, *arguments = shlex.split(command)
    modules = {"celery": "celery", "speed-to-lead": "speed_to_lead.cli"}
    script = Path(sys.executable).with_name(program)
    return (
        [str(script), *arguments] if script.exists() else [sys.executable, "-m", modules[program], *arguments]
    )


def bare_environment(**given: str) -> dict[str, str]:
    """The least a process needs, and what is given."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT / "src"), **given}


def ended(pid: int) -> bool:
    """Whether that process is gone, or dead and only waits to be asked how it ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


def marked_processes(marker: str) -> list[int]:
    """Living processes whose environment or command line holds the marker."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if marker.encode() in told and not ended(int(entry.name)):
            found.append(int(entry.name))
    return found


class RunningProcess:
    """One process, with everything it printed."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str], log: Path, directory: Path | None = None
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=directory or ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """End it and everything in its session, as a crash or the kernel would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self, seconds: float = 25, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; its exit code. Fails where it takes longer."""
        if self.is_running:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end in {seconds} s:\n{self.output[-3000:]}") from None


class Fleet:
    """Processes of the Procfile on one server, with one configuration."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self._environment = dict(environment)
        self._count = 0
        self.processes: list[RunningProcess] = []

    def start(self, name: str) -> RunningProcess:
        """Start the process of that name in the Procfile."""
        return self.start_command(name, runnable(procfile()[name]))

    def start_command(self, name: str, command: list[str]) -> RunningProcess:
        """Start another process beside them."""
        self._count += 1
        log = self._directory / f"{self._count:02}-{name}.log"
        process = RunningProcess(command, self._environment, log)
        self.processes.append(process)
        return process

    def start_all(self, *names: str) -> dict[str, RunningProcess]:
        return {name: self.start(name) for name in names}

    def end(self) -> None:
        """Kill what is left, and print what each said last: pytest shows it where the test failed."""
        for process in self.processes:
            process.kill()
            said = process.output[-2500:]
            sys.stdout.write(f"--- {process.log.name}, exit {process.process.returncode}\n{said}\n")
