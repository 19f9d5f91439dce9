"""A cluster of each test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ha.cluster import Cluster
from tests.servers import directory_of_a_server


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A primary, two replicas and three Sentinels, all of them in step."""
    with directory_of_a_server(tmp_path) as directory:
        opened = Cluster(Path(directory))
        try:
            opened.start()
            yield opened
        finally:
            opened.end()
