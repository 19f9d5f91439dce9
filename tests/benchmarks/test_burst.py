"""The burst benchmark runs: real processes, a destination that hangs, one that answers 429, and every key there once."""

from datetime import timedelta
from pathlib import Path

import pytest
from benchmarks import burst


def test_it_runs_at_a_tiny_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both rows have a figure, and the one that is rate-limited was hardly bothered."""
    monkeypatch.setattr(burst, "AHEAD", timedelta(seconds=15))  # three processes start in it
    finding = burst.measure_breaches(1, tmp_path, 20, timedelta(seconds=2))
    assert [1, 1] == [len(row.figures) for row in finding.rows]
    figures = dict(finding.figures)
    assert 2 <= figures["in 2 s: alerts posted for each breach"]
    assert 20 > figures["in 2 s: attempts at the one that answers 429"]
