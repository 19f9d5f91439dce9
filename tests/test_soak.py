"""The short form of the soak: a few weeks of a few leads a day, on a real server, in seconds."""

from pathlib import Path

import pytest
import structlog
from benchmarks.soak import AGES, LEVEL_AFTER, growth_of, soak
from tests.servers import RealServer

from speed_to_lead.core.retention import Retention

DAYS = LEVEL_AFTER + 6


@pytest.mark.real
@pytest.mark.parametrize(("ages", "is_flat"), [(AGES, True), (Retention(), False)])
def test_memory_is_flat_with_retention_only(
    ages: Retention, is_flat: bool, restartable_server: RealServer, tmp_path: Path
) -> None:
    """With ages in config keys and memory stop growing; without, the soak sees that they grow."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    restartable_server.stop()
    restartable_server.start("--appendonly", "no")
    days = list(soak(restartable_server, DAYS, 12, ages=ages, ticks=2))
    structlog.reset_defaults()
    assert is_flat is (growth_of(days) == []), growth_of(days)
    assert is_flat is (days[-1].leads < 100)
