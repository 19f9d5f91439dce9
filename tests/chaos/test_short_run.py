"""The chaos run in short: what an hour of it proves, tried for half a minute on every change."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.processes import ROOT, bare_environment

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
    only = [word for name in TELLING for word in ("--only", name)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.chaos", "--keep", str(tmp_path)),
            *("--minutes", "0.4", "--seed", "20261122", "--rate", "15", *only),
        ],
        cwd=ROOT,
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
