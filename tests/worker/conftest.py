"""Sites: `site` is this test's own; `shared_site` runs all processes for the tests of one module."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.worker.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site of this test's own, nothing started but its server and sink."""
    opened = Site(tmp_path)
    yield opened
    opened.end()


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with every process of the Procfile at work; a test may start more, and harms none of these."""
    opened = Site(tmp_path_factory.mktemp("site"))
    try:
        opened.start("web", "router", "clock", "courier", "beat", "watchdog")
        yield opened
    finally:
        opened.end()
