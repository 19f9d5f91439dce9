"""The courier benchmark runs: every alert it counts was delivered by a real courier."""

from pathlib import Path

from benchmarks.couriers import measure_alerts


def test_it_runs_at_a_tiny_size(tmp_path: Path) -> None:
    """Every contender has a figure."""
    finding = measure_alerts(1, tmp_path, 40)
    assert [1, 1, 1, 1] == [len(row.figures) for row in finding.rows]
    assert finding.rows[0].name.startswith("speed-to-lead")
