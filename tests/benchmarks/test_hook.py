"""The benchmark of the hook runs, and counts nothing that was not kept."""

from pathlib import Path

import pytest
from benchmarks import hook
from benchmarks.machine import Server
from benchmarks.senders import Answers

pytestmark = pytest.mark.real


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a moment."""
    monkeypatch.setattr(hook, "WARM", 0.2)
    monkeypatch.setattr(hook, "SECONDS", 2.5)


@pytest.mark.usefixtures("small")
def test_every_contender_runs(tmp_path: Path) -> None:
    """Ours comes first, each has its figure, and both budgets are held against something."""
    found = hook.measure(1, tmp_path)
    assert found.rows[0].name == hook.OURS
    assert all(len(row.figures) == 1 and row.median > 0 for row in found.rows if not row.missing)
    assert [check.limit for check in found.checks] == [0.6, 0.6, 8.0]


@pytest.mark.usefixtures("small")
def test_an_answer_that_was_not_kept_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web process that says 200 and stores nothing has no figure."""

    def kept_but_one(_store: Server, heard: Answers) -> int:
        return len(heard.bodies) - 1

    monkeypatch.setattr(hook, "_kept_by_us", kept_but_one)
    with pytest.raises(RuntimeError, match="did not keep"):
        hook.measure(1, tmp_path)
