"""What can wait in a flood: readable submissions whose deadline is still to come."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.core.builders import MONDAY, form, parsed, rulebook

from speed_to_lead.core.settlement import Reading, can_wait
from speed_to_lead.core.submission import Submission

SUBMISSION = Submission("s1", "demo", MONDAY, b"{}")
READING = Reading("1-0", SUBMISSION, form(), parsed())


@pytest.mark.parametrize(
    ("reading", "minutes", "expected"),
    [
        (READING, 9.9, True),
        (READING, 10, False),  # a deadline equal to now is late
        (replace(READING, parsed=replace(parsed(), is_test=True)), 0, False),
        (replace(READING, parsed=None, error="not JSON"), 0, False),
        (replace(READING, form=None, parsed=None, error="no such form"), 0, False),
    ],
)
def test_who_can_wait(reading: Reading, minutes: float, expected: bool) -> None:
    """Due ten minutes after receipt: until just before that; what costs nothing to settle is not put off."""
    assert expected == can_wait(reading, MONDAY + timedelta(minutes=minutes), rulebook())
