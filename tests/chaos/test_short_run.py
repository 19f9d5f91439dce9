"""The chaos run in short: what an hour of it proves, tried for half a minute on every change."""

from pathlib import Path

import pytest
from benchmarks.chaos.run import Options, run

#: Those that have found most: each breaks another promise where the code is wrong.
TELLING = (
    "broker-deleted",
    "destinations-in-trouble",
    "freeze-router",
    "index-damaged",
    "kill-all",
    "kill-clock",
    "kill-courier",
    "kill-router",
    "kill-web",
    "network-answers-lost",
    "one-more",
    "server-killed",
    "server-read-only",
)


@pytest.mark.real
def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    """Every process, the server and the network broken in half a minute, under traffic: no promise is."""
    assert run(Options(minutes=0.4, seed=20261122, rate=15, directory=tmp_path, only=TELLING)) == 0
