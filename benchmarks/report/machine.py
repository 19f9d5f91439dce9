"""What a figure was measured on. Nothing that names the machine, its owner or a place on its disk."""

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.servers import BINARIES

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of a run. Figures of two machines do not stand in one report."""

    cores: int
    cpu: str
    memory_gib: float
    kernel: str
    python: str
    server: str


@dataclass(frozen=True, slots=True)
class Conditions:
    """When and how one finding was made.

    `load` is the machine's load average as the run began, before anything of ours ran: well below 1 on a quiet machine.
    """

    date: str
    commit: str
    rounds: int
    is_small: bool
    load: float
    seconds: float


def this_machine() -> Machine:
    """The machine this process runs on."""
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        cpu=_cpu(),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        server=next(iter(BINARIES)),
    )


def conditions(rounds: int, *, is_small: bool) -> Conditions:
    """What holds now, before the benchmark begins; its seconds are not known yet."""
    now = datetime.now(UTC)
    return Conditions(f"{now:%Y-%m-%d}", _commit(), rounds, is_small, round(os.getloadavg()[0], 2), 0.0)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _commit() -> str:
    def git(*arguments: str) -> str:
        asked = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=10
        )
        return asked.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "benchmarks/*.py")
        return git("rev-parse", "--short=10", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
