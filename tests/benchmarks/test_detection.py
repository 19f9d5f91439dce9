"""The detection benchmark runs: real processes decide what falls due, and what the peers need is there or said."""

from pathlib import Path

from benchmarks.detection import measure_sizes
from benchmarks.peers.scans import lag_of_scan


def test_it_runs_at_a_tiny_size(tmp_path: Path) -> None:
    """Every contender has a figure or says what is missing; ours is first, with the most leads."""
    finding = measure_sizes(1, tmp_path, counts=(60, 120), due=20, held=30)
    assert "speed-to-lead, 120 open" == finding.rows[0].name
    assert [] == [row.name for row in finding.rows if not row.figures and not row.missing]
    assert 3 == len(finding.checks)
    assert [60, 120] == [x for x, _ in finding.plots[0].series[0].points]


def test_a_scan_is_as_late_as_its_pace_and_itself() -> None:
    """Half of what falls due waits for half a minute or more."""
    assert 31.0 == lag_of_scan(1.0, 50)
