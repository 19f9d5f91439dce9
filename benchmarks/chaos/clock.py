"""Clocks that step: a library under every process (clock.c) that adds to the time of day what a file says.

Built when a run begins, because it is thirty lines; libfaketime would do, but it breaks `time.sleep` of Python 3.11.
"""

import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


def can_step() -> bool:
    """Whether there is a compiler to build the library with."""
    return shutil.which("cc") is not None


def build(directory: Path) -> Path:
    """The library, built in the directory. Raises subprocess.CalledProcessError."""
    built = directory / "clock.so"
    command = ["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(built), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return built


class Clock:
    """The clock of one host: what the processes started in its `environment` take for the time."""

    def __init__(self, file: Path, built: Path) -> None:
        self._file = file
        self._file.write_bytes(struct.pack("=q", 0))
        self.environment = {"LD_PRELOAD": str(built), "CHAOS_CLOCK": str(file)}

    def step(self, seconds: float) -> None:
        """From now on it is off by so many seconds."""
        with self._file.open("r+b") as file:  # in place: the processes have mapped it
            file.write(struct.pack("=q", int(seconds * 1e9)))
