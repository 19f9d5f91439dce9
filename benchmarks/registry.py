"""Every benchmark by its name, in the order of a lead's life. A new one is its file and its line here."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.finding import Finding

#: Name → the module whose `measure(rounds, scratch)` it is. Imported only when it runs, so that one that needs a package
#: which is not installed does not stop the others.
BENCHMARKS: Mapping[str, str] = {
    "hook": "benchmarks.hook",
    "latency": "benchmarks.latency",
    "router": "benchmarks.router",
    "rules": "benchmarks.rules",
    "deadlines": "benchmarks.deadlines",
    "detection": "benchmarks.detection",
    "memory": "benchmarks.memory",
    "couriers": "benchmarks.couriers",
    "burst": "benchmarks.burst",
    "flood": "benchmarks.flood",
    "scale": "benchmarks.scale",
    "scaling": "benchmarks.scaling",
}


#: How a benchmark is made small, where it has a size: for a look while working on it, and for the guard of CI.
SMALL: Mapping[str, Callable[[Any, int, Path], Finding]] = {
    "hook": lambda its, rounds, scratch: its.measure(rounds, scratch, small=True),
    "router": lambda its, rounds, scratch: its.measure(rounds, scratch, small=True),
    "rules": lambda its, rounds, scratch: its.measure(rounds, scratch, counts=(10, 10_000), leads=60),
    "deadlines": lambda its, rounds, scratch: its.measure(rounds, scratch, ours=500),
    "detection": lambda its, rounds, scratch: its.measure_sizes(
        rounds, scratch, counts=(1_000, 10_000), due=100, held=200
    ),
    "memory": lambda its, rounds, scratch: its.measure(rounds, scratch, leads=1_000),
    "couriers": lambda its, rounds, scratch: its.measure_alerts(rounds, scratch, 500),
    "burst": lambda its, rounds, scratch: its.measure_breaches(rounds, scratch, 200, 5 * its.SECOND),
    "flood": lambda its, rounds, scratch: its.measure(rounds, scratch, its.Size(12_000, 1_000.0, 5.0)),
    "scale": lambda its, rounds, scratch: its.measure_leads(rounds, scratch, 20_000),
    "scaling": lambda its, rounds, scratch: its.measure(rounds, scratch, small=True),
}


def measure_of(name: str) -> Callable[[int, Path, bool], Finding]:
    """The benchmark of that name, called with rounds, an empty directory, and whether a small size will do.

    Raises ImportError where it, or a package it cannot do without, is not there.
    """
    module = importlib.import_module(BENCHMARKS[name])

    def run(rounds: int, scratch: Path, small: bool) -> Finding:
        if small and name in SMALL:
            return SMALL[name](module, rounds, scratch)
        found: Finding = module.measure(rounds, scratch)
        return found

    return run


def about(name: str) -> str:
    """The first line of what that benchmark says of itself. Raises ImportError as above."""
    return (importlib.import_module(BENCHMARKS[name]).__doc__ or "").partition("\n")[0]
