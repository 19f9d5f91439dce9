"""A CRM for each test."""

from collections.abc import Iterator

import pytest
from tests.crm.far_side import Crm, new_crm


@pytest.fixture
def crm() -> Iterator[Crm]:
    """A CRM that says cleo."""
    with new_crm() as one:
        yield one
