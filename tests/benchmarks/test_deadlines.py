"""The benchmark of deadlines runs, and compares like with like."""

import pytest
from benchmarks import deadlines
from benchmarks.peers import deadlines as peers


def test_it_runs_at_a_tiny_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each contender has a figure for each span, or says what is missing; ours comes first."""
    monkeypatch.setattr(deadlines, "PEERS", {1: 3, 24: 2, 400: 1, 4000: 1})
    finding = deadlines.measure(rounds=1, ours=20)
    assert all(bool(row.figures) is not bool(row.missing) for row in finding.rows)
    assert (24, "ours, 1 h") == (len(finding.rows), finding.rows[0].name)
    assert 2 == len(finding.checks)
    assert "ours" in [series.label for series in finding.plots[0].series]


@pytest.mark.parametrize(
    ("module", "library"), [("businesstimedelta", peers.businesstimedelta), ("pandas", peers.pandas)]
)
def test_peers_count_the_same_hours(module: str, library: object) -> None:
    """Three hours from Friday noon, over the lunch break, end at four in the afternoon."""
    pytest.importorskip(module)
    at, span, expected = peers.EXAMPLE
    assert expected == peers.as_utc(library()(at, span))  # type: ignore[operator]
