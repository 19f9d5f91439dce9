"""Runs processes side by side: their output prefixed, what dies restarted with back-off, all of them stopped in order."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from honcho.printer import Message, Printer

from speed_to_lead.cli.embedded import die_with_parent

#: Seconds before the first, second, … restart in a row.
BACK_OFF = (0.5, 1.0, 2.0, 4.0, 8.0)
#: A process that ran this long was healthy; its next restart is a first one again.
HEALTHY_AFTER = 30.0
#: Longer than any process takes (couriers: 7 s); Ctrl-C is over in ten.
STOP_SECONDS = 9.0

#: ANSI colours by position: readable on light and dark terminals.
_COLOURS = ("36", "32", "33", "35", "34", "96", "92", "93")


@dataclass(frozen=True, slots=True)
class Program:
    """One process to run: its name and its command line."""

    name: str
    command: Sequence[str]


class _Running:
    """One program and the process it runs in now."""

    def __init__(self, program: Program, colour: str) -> None:
        self.program = program
        self.colour = colour
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.restart_at: float | None = 0.0
        self.failures = 0


class Supervisor:
    """Starts programs in order, keeps them running, and stops them in the same order."""

    def __init__(self, programs: Sequence[Program], environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._all = [_Running(p, _COLOURS[i % len(_COLOURS)]) for i, p in enumerate(programs)]
        self._lines: queue.SimpleQueue[Message] = queue.SimpleQueue()
        width = max((len(p.name) for p in programs), default=0)
        self._printer = Printer(sys.stdout, width=max(width, len("system")))
        self._stopping = False

    def say(self, text: str) -> None:
        """Print a line of our own among theirs."""
        self._lines.put(Message("line", text.encode(), datetime.now().astimezone(), "system", "1"))

    def stop(self) -> None:
        """Ask `run` to end; safe from a signal handler."""
        self._stopping = True

    def tick(self) -> None:
        """One round: restart what is due, note what died, print what was said."""
        now = time.monotonic()
        for running in self._all:
            if running.process is None:
                if running.restart_at is not None and now >= running.restart_at:
                    self._start(running, now)
            elif (code := running.process.poll()) is not None:
                self._note_death(running, code, now)
        self.print_lines(0.1)

    @property
    def is_stopping(self) -> bool:
        """Whether somebody asked to end."""
        return self._stopping

    def stop_all(self) -> None:
        """Stop the programs in order, each given time to finish what it holds, and nothing left behind."""
        for running in self._all:
            if running.process is not None and running.process.poll() is None:
                running.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(self._alive()) and time.monotonic() < deadline:
            self.print_lines(0.05)
        for running in self._alive():
            self.say(f"{running.program.name} did not stop in {STOP_SECONDS:.0f} s and is killed")
        for running in self._all:  # whole groups: a child of a child must not outlive us
            if running.process is not None:
                _kill_group(running.process)
                running.process.wait()
        self.print_lines(0.05)

    def print_lines(self, seconds: float) -> None:
        """Print what the programs said, for so long or until they are silent."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self._printer.write(self._lines.get(timeout=max(deadline - time.monotonic(), 0)))
        except queue.Empty:
            pass

    def _alive(self) -> list[_Running]:
        return [r for r in self._all if r.process is not None and r.process.poll() is None]

    def _start(self, running: _Running, now: float) -> None:
        running.process = subprocess.Popen(
            # Killed, not asked: Celery announces its stop on an output nobody reads any more, and the error of that
            # makes it forget to stop. They are built for it.
            die_with_parent(list(running.program.command), signal.SIGKILL),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            start_new_session=True,  # Ctrl-C goes to us; we stop them in order
        )
        running.started_at, running.restart_at = now, None
        threading.Thread(target=self._read, args=(running, running.process), daemon=True).start()

    def _read(self, running: _Running, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                text = line.rstrip(b"\r\n")
                self._lines.put(
                    Message("line", text, datetime.now().astimezone(), running.program.name, running.colour)
                )

    def _note_death(self, running: _Running, code: int, now: float) -> None:
        if now - running.started_at >= HEALTHY_AFTER:
            running.failures = 0
        pause = BACK_OFF[min(running.failures, len(BACK_OFF) - 1)]
        running.failures += 1
        running.process, running.restart_at = None, now + pause
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        self.say(f"*** {running.program.name} {how}; it is started again in {pause:g} s ***")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
