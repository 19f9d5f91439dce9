"""The benchmark of POST to routed runs, ours and its peer."""

from pathlib import Path

import pytest
from benchmarks import latency

pytestmark = pytest.mark.real


def test_every_lead_of_both_is_routed_and_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure for each, and the budget held against ours."""
    monkeypatch.setattr(latency, "SECONDS", 0.4)
    monkeypatch.setattr(latency, "WARM_LEADS", 5)
    monkeypatch.setattr(latency, "PATIENCE", 60.0)
    found = latency.measure(1, tmp_path)
    assert [row.name for row in found.rows] == [latency.OURS, latency.PEER]
    assert all(row.median > 0 for row in found.rows)
    assert [check.limit for check in found.checks] == [latency.BUDGET_MS]


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.9, 90.0), (0.99, 99.0), (1.0, 100.0)])
def test_percentiles_are_the_usual_ones(share: float, expected: float) -> None:
    """The p-th percentile of 1 to 100 is p."""
    assert expected == latency._at(share, [float(number) for number in range(100, 0, -1)])
