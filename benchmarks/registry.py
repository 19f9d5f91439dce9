"""Every benchmark by its name, in the order of a lead's life. A new one is its file and its line here."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

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
    "flood": "benchmarks.flood",
    "scale": "benchmarks.scale",
    "scaling": "benchmarks.scaling",
}


def measure_of(name: str) -> Callable[[int, Path, bool], Finding]:
    """The benchmark of that name, called with rounds, an empty directory, and whether a small size will do.

    Raises ImportError where it, or a package it cannot do without, is not there.
    """
    measure: Callable[..., Finding] = importlib.import_module(BENCHMARKS[name]).measure
    knows_small = "small" in inspect.signature(measure).parameters

    def run(rounds: int, scratch: Path, small: bool) -> Finding:
        return measure(rounds, scratch, small=small) if knows_small else measure(rounds, scratch)

    return run


def about(name: str) -> str:
    """The first line of what that benchmark says of itself. Raises ImportError as above."""
    return (importlib.import_module(BENCHMARKS[name]).__doc__ or "").partition("\n")[0]
