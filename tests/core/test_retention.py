"""Until when a lead is kept."""

from datetime import timedelta
from typing import Any

import pytest
from tests.servers import ManualClock
from tests.store.builders import new_lead

from speed_to_lead.core.lead import LeadState, Response, ResponseKind
from speed_to_lead.core.retention import Retention, kept_until

NOW = ManualClock()()
DAY = timedelta(days=1)
ALL = Retention(answered=10 * DAY, closed=3 * DAY, unanswered=5 * DAY)
DONE: dict[str, Any] = {"steps_done": ("100%",), "breached_at": NOW}
LATE = Response(ResponseKind.CONNECTED, "ana", NOW, NOW + 2 * DAY)


@pytest.mark.parametrize(
    ("retention", "changed", "expected"),
    [
        (ALL, {}, None),  # a step is still to come
        (ALL, DONE, NOW + timedelta(minutes=5) + 5 * DAY),
        (Retention(answered=DAY, closed=DAY), DONE, None),
        (ALL, {"state": LeadState.ANSWERED, "answered_at": NOW}, NOW + 10 * DAY),
        (ALL, {"state": LeadState.ANSWERED, "answered_at": NOW, "responses": (LATE,)}, NOW + 12 * DAY),
        (ALL, {"state": LeadState.CLOSED, "answered_at": NOW, "closed_at": NOW + DAY}, NOW + 4 * DAY),
        (Retention(), {"state": LeadState.CLOSED, "closed_at": NOW}, None),
    ],
)
def test_kept_until(retention: Retention, changed: dict[str, Any], expected: object) -> None:
    """From the closing, the last response, or the deadline nobody met; never while a step is to come."""
    assert expected == kept_until(new_lead(NOW, **changed), retention)
