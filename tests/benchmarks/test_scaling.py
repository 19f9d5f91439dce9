"""Several routers, two primaries, and a lead's whole life, at a tiny size."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from benchmarks import scaling
from benchmarks.pace import Pace, TooFew

pytestmark = pytest.mark.real


def test_several_routers_share_one_queue(tmp_path: Path) -> None:
    """Every lead is routed once, whoever took it; the run checks ledger, deadlines and loads."""
    pace = seen_at_work(lambda directory: scaling.route_with(2, directory, 600), tmp_path)
    assert pace.per_second > 0


def test_two_workspaces_on_two_primaries_share_nothing(tmp_path: Path) -> None:
    """Both receive and both route; every key of each server is its own workspace's, and every lead is where it was sent."""
    pace = seen_at_work(lambda directory: scaling.route_in_two_workspaces(directory, 800), tmp_path)
    assert pace.per_second > 0


def seen_at_work(measure: Callable[[Path], Pace], scratch: Path) -> Pace:
    """The first pace there is: so few leads may all be routed while a busy machine lets nobody look."""
    for number in range(9):
        with suppress(TooFew):
            return measure(scratch / f"run-{number}")
    return measure(scratch / "run")


def test_a_whole_life_costs_every_process_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Web, router, clock, courier, beat and server are each told apart; memory and file grow with the leads."""
    monkeypatch.setattr(scaling, "IDLE_SECONDS", 0.5)
    life = scaling.live(tmp_path / "run", 40)
    assert {*scaling.STAGES, "server", "memory", "file", "idle"} == set(life)
    assert life["memory"] > 0
    assert life["file"] > 0


def test_what_is_extrapolated_says_so() -> None:
    """A primary's limit is one core over its time for each lead."""
    pace = Pace(1000.0, {"routers": 800.0, "server": 200.0})
    life = dict.fromkeys((*scaling.STAGES, "server"), 500.0) | {"memory": 2.0, "file": 5.0, "idle": 0.1}
    figures = scaling.figures_of({"1 router": [pace]}, life)
    assert 5000 == figures["one primary, leads routed a second, extrapolated"]
    assert 2000 == figures["one primary, whole lives a second, extrapolated"]
    assert 3000 == figures["processor seconds for a million leads, all"]
