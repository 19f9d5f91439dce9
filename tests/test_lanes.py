"""The lanes of `pytest -n` hold the tests they are for."""

import re
from pathlib import Path

from tests.lanes import LANES

HERE = Path(__file__).parent
IN_LANES = [name for lane in LANES for name in lane]


def test_every_file_of_a_lane_is_there_once() -> None:
    """A file that was renamed would run anywhere."""
    assert sorted(set(IN_LANES)) == sorted(name for name in IN_LANES if (HERE / name).is_file())


def test_whoever_starts_a_whole_site_is_in_a_lane() -> None:
    """A third site at once, and the time limits of the other two would be missed."""
    starts_site = re.compile(r"^from tests\..* import .*\b(Site|Up)\b|benchmarks\.chaos\", ", re.MULTILINE)
    files = (file for file in HERE.rglob("test_*.py") if file != Path(__file__))
    found = {file.relative_to(HERE).as_posix() for file in files if starts_site.search(file.read_text())}
    assert found - set(IN_LANES) == set()
    assert len(found) > 6
