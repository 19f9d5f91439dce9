"""The processes of the Procfile, each behind a port of the proxy of its own, and what a platform does: it restarts what ends."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.journal import Journal
from benchmarks.chaos.server import launch

ROOT = Path(__file__).parents[2]

#: How many of each process there are. Two of everything that may be doubled: a double deploy is the usual case.
CREW: Mapping[str, int] = {"web": 2, "router": 2, "clock": 2, "courier": 2, "beat": 2, "watchdog": 1}
#: Seconds before a platform starts again what has ended, and before it kills what was asked to end and does not.
BACK_OFF = 1.0
GRACE = 30.0

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH")


def procfile() -> dict[str, str]:
    """The command of each process that runs for as long as the system does, by its name in the Procfile."""
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    named = (line.partition(":") for line in lines if line.strip())
    return {name.strip(): command.strip() for name, _, command in named if name.strip() != "release"}


def runnable(command: str) -> list[str]:
    """The words of a command, its program taken from this Python's own environment."""
    program, *arguments = shlex.split(command)
    modules = {"celery": "celery", "speed-to-lead": "speed_to_lead.cli"}
    script = Path(sys.executable).with_name(program)
    return (
        [str(script), *arguments] if script.exists() else [sys.executable, "-m", modules[program], *arguments]
    )


def bare_environment() -> dict[str, str]:
    """The least any process needs."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


@dataclass(slots=True)
class Life:
    """One process, and what was done to it: what its predecessor was sent is none of its concern."""

    process: subprocess.Popen[bytes]
    was_struck: bool = False
    is_frozen: bool = False
    kill_at: float | None = None

    def send(self, number: signal.Signals) -> None:
        """Send it. Whoever is frozen cannot end, so the time to end in begins when it is thawed."""
        self.was_struck |= number in (signal.SIGKILL, signal.SIGTERM)
        self.is_frozen = number is signal.SIGSTOP or (self.is_frozen and number is not signal.SIGCONT)
        if number is signal.SIGTERM or (number is signal.SIGCONT and self.kill_at is not None):
            self.kill_at = time.monotonic() + GRACE
        self.process.send_signal(number)

    def is_overdue(self, now: float) -> bool:
        """Whether it was asked to end, could have, and has not."""
        return self.kill_at is not None and not self.is_frozen and now > self.kill_at


@dataclass(slots=True)
class Member:
    """One process of the fleet over all its lives. `is_wanted`: it is started again when it ends."""

    name: str
    stage: str
    environment: Mapping[str, str]
    log: Path
    life: Life | None = None
    is_wanted: bool = True
    start_at: float = 0.0
    lives: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The process it is now."""
        life = self.life
        return life.process if life is not None else None

    @property
    def is_running(self) -> bool:
        """Whether there is a process, be it frozen."""
        process = self.process
        return process is not None and process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send it; one that asks or forces it to end is noted, so that the end is no surprise."""
        with self.lock:
            life = self.life
            if life is not None and life.process.poll() is None:
                life.send(number)


class Fleet:
    """Every member, and the thread that restarts those that end."""

    def __init__(self, journal: Journal, directory: Path) -> None:
        self._journal = journal
        self._directory = directory
        self._commands = procfile()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="platform")
        self.members: dict[str, Member] = {}
        #: What ended without being struck, or did not end when asked: (member, what).
        self.surprises: list[str] = []

    def add(self, name: str, stage: str, environment: Mapping[str, str]) -> Member:
        """One more process of that stage; it is started at once where the fleet runs already."""
        member = Member(name, stage, environment, self._directory / f"{name}.log")
        self.members[name] = member
        return member

    def start(self) -> None:
        """Start every member, and keep them running."""
        self._thread.start()

    def of(self, stage: str) -> list[Member]:
        """The members of a stage."""
        return [member for member in list(self.members.values()) if member.stage == stage]

    def remove(self, member: Member) -> None:
        """Ask it to end, as when a platform scales down; it stays a member until it has."""
        member.is_wanted = False
        member.signal(signal.SIGTERM)
        self._wait(lambda: not member.is_running, GRACE + 5)
        self.members.pop(member.name, None)

    def stop(self) -> None:
        """Ask every process to end, kill what does not."""
        for member in self.members.values():
            member.is_wanted = False
            member.signal(signal.SIGCONT)
            member.signal(signal.SIGTERM)
        self._wait(lambda: not any(member.is_running for member in self.members.values()), GRACE + 5)
        self._over.set()
        self._thread.join()
        for member in self.members.values():
            member.signal(signal.SIGKILL)
            if member.process is not None:
                member.process.wait()

    def _wait(self, claim: Callable[[], bool], seconds: float) -> None:
        limit = time.monotonic() + seconds
        while not claim() and time.monotonic() < limit:
            time.sleep(0.05)

    def _supervise(self) -> None:
        while not self._over.wait(0.05):
            for member in list(self.members.values()):
                self._see_to(member)

    def _see_to(self, member: Member) -> None:
        now, life = time.monotonic(), member.life
        if life is not None and life.process.poll() is None:
            if life.is_overdue(now):
                self._note(
                    f"{member.name}, process {life.process.pid}, did not end within {GRACE:.0f} s of SIGTERM "
                    "and was killed"
                )
                life.kill_at = None
                life.send(signal.SIGKILL)
            return
        if life is not None:
            code = life.process.returncode
            self._journal.write(
                "note", text=f"{member.name} ended, process {life.process.pid}, exit code {code}"
            )
            if not life.was_struck:
                self._note(f"{member.name} ended by itself with exit code {code}: {self._last_words(member)}")
            member.life = None
            member.start_at = now + BACK_OFF
        if member.is_wanted and now >= member.start_at:
            command = runnable(self._commands[member.stage])
            with member.lock:
                process = launch(command, member.environment, member.log, cwd=ROOT)
                member.life = Life(process)
                member.lives += 1
                self._journal.write("note", text=f"{member.name} started, process {process.pid}")

    def _note(self, text: str) -> None:
        self.surprises.append(text)
        self._journal.write("note", text=text)

    def _last_words(self, member: Member) -> str:
        lines = member.log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
        return " | ".join(line[:200] for line in lines)
