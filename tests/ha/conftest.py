"""A cluster of each test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ha.cluster import Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A primary, two replicas and three Sentinels, all of them in step."""
    opened = Cluster(tmp_path / "cluster")
    try:
        opened.start()
        yield opened
    finally:
        opened.end()
