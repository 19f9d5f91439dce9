"""The small config, in a directory of this test's own."""

from pathlib import Path

import pytest
from tests.config.builders import ConfigDirectory


@pytest.fixture
def config(tmp_path: Path) -> ConfigDirectory:
    """A config that loads, to be changed."""
    return ConfigDirectory(tmp_path)
