"""How `pytest -n 3` shares the tests out: those that wait for real processes in two lanes, the rest beside them.

Each lane is one worker's, and the third worker computes; whoever is done with a lane helps it. So never are more than two
such tests at work at once, which on two cores is as many as keep to their time limits, and they fill each other's waits.
Whoever computes gives way to them: a promise in seconds is measured in a lane, and nothing in the rest is.
A file's tests stay together, in their order: what they share is made once.
"""

import os
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

#: Files whose tests start many processes and mostly wait for them, in two lanes that take about as long.
LANES = (
    (
        "worker/test_crashes.py",
        "worker/test_processes.py",
        "worker/test_least_rights.py",
        "worker/test_tracing.py",
        "worker/test_flood.py",
        "chaos/test_short_run.py",
        "ha/test_failover.py",
    ),
    (
        "worker/test_deafness.py",
        "worker/test_shutdown.py",
        "worker/test_publishing.py",
        "web/test_store_away.py",
        "cli/test_up.py",
        "benchmarks/test_burst.py",
    ),
)
#: How nice whoever computes is: the lanes' processes have 0, the checks that run beside all tests 10.
GIVES_WAY = 5
_LANE_OF = {f"tests/{name}": f"lane {number}" for number, lane in enumerate(LANES) for name in lane}


class _Lanes(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        """What is given to one worker as a whole: the lane, or the file."""
        file = _file(nodeid)
        return _LANE_OF.get(file, file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Lanes:
    """Give out what was collected in its order, and not the file with most tests first."""
    config.option.loadscopereorder = False
    return _Lanes(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give way to the lanes from the first test on that is of none: a worker has done its lane by then."""
    if hasattr(item.config, "workerinput") and _file(item.nodeid) not in _LANE_OF:
        os.setpriority(os.PRIO_PROCESS, 0, max(GIVES_WAY, os.getpriority(os.PRIO_PROCESS, 0)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the lanes first, where the tests are shared out: what computes fills the time of whoever waits."""
    if hasattr(config, "workerinput"):
        order = {name: number for number, name in enumerate(_LANE_OF)}
        items.sort(key=lambda item: order.get(_file(item.nodeid), len(order)))


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
