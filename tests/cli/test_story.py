"""What `leads show` says of each thing that happened, in a sentence for somebody in a hurry."""

from datetime import UTC, datetime
from typing import Any

import pytest

from speed_to_lead.cli.story import happened
from speed_to_lead.core.lead import HistoryEntry

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
UNTIL = "2026-11-23T10:00:00Z"


@pytest.mark.parametrize(
    ("event", "details", "sentence"),
    [
        (
            "alert.held",
            {"step": "50%", "to": "desk", "until": UNTIL},
            f"desk wants quiet: it hears at {UNTIL} (step 50%)",
        ),
        (
            "alert.folded",
            {"step": "50%", "to": "desk", "digest": "storm:digest-1:desk"},
            "desk gets many: it hears of this in a digest (step 50%)",
        ),
        (
            "alert.delivered",
            {"step": "50%", "to": "desk", "attempt": 1, "digest": "storm:digest-1:desk"},
            "desk was told (step 50%, attempt 1, in a digest)",
        ),
        (
            "alert.delivered",
            {"step": "50%", "to": "desk", "attempt": 2},
            "desk was told (step 50%, attempt 2)",
        ),
        (
            "lead.acknowledged",
            {"by": "ana", "at": UNTIL, "via": "", "held": ["60%", "100%.held"], "until": UNTIL},
            f"ana has seen it; 60%, 100%.held held back until {UNTIL}",
        ),
        ("lead.acknowledged", {"by": "ana", "at": UNTIL, "via": ""}, "ana has seen it"),
        (
            "lead.automatic_reply",
            {"by": "sequencer", "at": UNTIL, "via": "", "kind": "attempted"},
            f"sequencer answered automatically at {UNTIL}, which is nobody's answer",
        ),
        ("lead.waiting", {"team": "inbound"}, "waits until somebody of team inbound is available"),
        (
            "lead.handed_out",
            {"to": "ana", "team": "inbound", "waited_seconds": 60},
            "went to ana of team inbound, who was available by then",
        ),
        ("lead.of_tomorrow", {"a": 1}, "lead.of_tomorrow  a=1"),
    ],
)
def test_what_happened_is_told_in_a_sentence(event: str, details: dict[str, Any], sentence: str) -> None:
    """What another version wrote is shown as it is."""
    assert sentence == happened(HistoryEntry(NOW, event, details))
