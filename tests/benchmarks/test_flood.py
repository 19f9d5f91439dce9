"""The flood benchmark runs at a tiny size, and its books balance. No time is asserted: that is the benchmark's own affair."""

from pathlib import Path

import pytest
from benchmarks import flood
from benchmarks.flood_crew import body

pytestmark = pytest.mark.real


def test_one_in_twenty_is_urgent() -> None:
    """Evenly, from the first twenty on."""
    urgent = [b"demo request" in body("x", number, flood.SHARE) for number in range(200)]
    assert [sum(urgent[start : start + 20]) for start in range(0, 200, 20)] == [1] * 10


def test_a_small_flood_is_measured(tmp_path: Path) -> None:
    """Each form once: every submission that was kept is one lead, and there is something to plot."""
    size = flood.Size(entries=2_000, rate=400, seconds=1.5, routers=1)
    finding = flood.measure(1, tmp_path, size)
    checks = {check.budget: check for check in finding.checks}
    for budget in ("submissions kept and lost", "people with two leads", "difference in the ledger"):
        assert checks[budget].found == 0
    assert [len(row.figures) for row in finding.rows] == [1, 1, 1, 1]
    kept = [figure for name, figure in finding.figures.items() if "kept (200)" in name]
    assert all(figure > 0 for figure in kept)
    assert all(series.points for plot in finding.plots for series in plot.series)
    assert list(tmp_path.iterdir()) == []
