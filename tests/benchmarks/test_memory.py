"""The benchmark of memory runs, at a tiny size."""

from pathlib import Path

import pytest
from benchmarks.memory import measure

pytestmark = pytest.mark.real


def test_memory_is_told_by_family_and_in_all(tmp_path: Path) -> None:
    """Every family that a lead has keys of is told, and richer leads take more than poorer ones."""
    found = measure(1, tmp_path, leads=100)
    assert {
        "lead:*, bytes",
        "person:*, bytes",
        "seen:*, bytes",
        "leads:due, bytes",
        "leads:all, bytes",
    } <= set(found.figures)
    ours, poor, rich = (row.median for row in found.rows)
    assert 0 < poor < rich
    assert ours > 0
    assert [check.at_least for check in found.checks] == [False, False]
