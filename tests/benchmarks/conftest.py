"""A toy finding with everything a finding may have, and a registry that gives it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks import registry
from benchmarks.finding import Check, Finding, Plot, Row, Series

Toy = Callable[..., Finding]


def toy(name: str = "deadlines", found: float = 0.25, *, missing: str = "") -> Finding:
    """One deadline, ours beside two others; `found` is held against ten microseconds."""
    lines = (Series("ours", ((1, 2.5), (1000, 2.6))), Series("<minute> & minute", ((1, 5.0), (1000, 5000.0))))
    return Finding(
        name,
        question="How long does one <deadline> take?",
        unit="µs",
        more_is_better=False,
        rows=(
            Row("ours", (2.0, 2.5, 2.25)),
            Row("minute by minute", (4.0, 10.0, 4.5)),
            Row("a library", () if missing else (20.0, 25.0, 22.5), missing),
        ),
        checks=(Check("one deadline, µs", found, 10.0, at_least=False),),
        plots=(Plot("Cost by length", "hours", "µs", lines),),
        notes=("Each deadline was compared with the others' answers.",),
        figures={"leads": 12345.678},
    )


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], Finding]]:
    """A registry of toys: what is put in is what a benchmark of that name finds."""
    toys: dict[str, Callable[[], Finding]] = {"deadlines": toy}
    calls: list[tuple[str, int, bool]] = []

    def measure_of(name: str) -> Callable[[int, Path, bool], Finding]:
        if name not in toys:
            raise ImportError(f"No module named {name!r}")

        def run(rounds: int, scratch: Path, small: bool) -> Finding:
            assert list(scratch.iterdir()) == []
            calls.append((name, rounds, small))
            return toys[name]()

        return run

    for module in ("benchmarks.__main__", "benchmarks.guard"):
        monkeypatch.setattr(f"{module}.measure_of", measure_of)
    monkeypatch.setattr(registry, "calls", calls, raising=False)
    return toys
