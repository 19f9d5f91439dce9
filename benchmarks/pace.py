"""How fast processes get through work that waits for them, and what it costs each of them in processor time.

Taken between the moment a tenth is done and the moment nine tenths are: starting up and running dry are not the pace.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

#: Seconds between two looks, and how long the whole of it may take.
_LOOK_EVERY, _PATIENCE = 0.01, 300.0
_TICKS = 100  # of the kernel in a second (USER_HZ)


class TooFew(AssertionError):
    """They were done between two looks, so there is no pace."""


@dataclass(frozen=True, slots=True)
class Pace:
    """So many done in a second, and processor time for each by process, in microseconds."""

    per_second: float
    cpu: Mapping[str, float]


def pace_of(done: Callable[[], int], total: int, clocks: Mapping[str, Callable[[], float]]) -> Pace:
    """Watch until all is done. `clocks` answer the processor seconds each process has used so far."""
    first: tuple[float, int, dict[str, float]] | None = None
    last = first
    until = time.monotonic() + _PATIENCE
    while (count := done()) < total or last is None:
        if time.monotonic() > until:
            raise AssertionError(f"only {count} of {total} done after {_PATIENCE:.0f} s")
        if first is None and count >= total * 0.1:
            first = (time.perf_counter(), count, _read(clocks))
        if first is not None and (last is None and count >= total * 0.9):
            last = (time.perf_counter(), count, _read(clocks))
        time.sleep(_LOOK_EVERY)
    assert first is not None
    began, ended = first, last
    if ended[1] <= began[1]:
        raise TooFew(f"{total} are too few to measure: they were done between two looks")
    count = ended[1] - began[1]
    cpu = {name: (ended[2][name] - began[2][name]) / count * 1e6 for name in clocks}
    return Pace(count / (ended[0] - began[0]), cpu)


def _read(clocks: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    return {name: clock() for name, clock in clocks.items()}


def session_seconds(leader: int) -> float:
    """Processor seconds of every living process in the session of that process, what their ended children used too."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == leader:
                total += sum(int(fields[place]) for place in (11, 12, 13, 14))
    return total / _TICKS


def server_seconds(client: redis.Redis) -> float:
    """Processor seconds the server has used, by its own account."""
    used: Any = client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])
