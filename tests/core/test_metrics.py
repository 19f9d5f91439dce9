"""What each change adds to the metrics, field by field."""

from dataclasses import replace

import pytest
from tests.core.builders import MONDAY, after, form, lead, parsed, response, rulebook, team

from speed_to_lead.core.assignment import Tally
from speed_to_lead.core.escalation import escalate
from speed_to_lead.core.lead import Alert, AlertKind, LeadChange, ResponseKind, Touch
from speed_to_lead.core.metrics import (
    counts_of_attempt,
    counts_of_change,
    counts_of_repeated_burial,
    counts_of_settlement,
    field_of,
    read_field,
)
from speed_to_lead.core.response import close_lead, reassign_lead, record_response
from speed_to_lead.core.routing import new_lead, route_of
from speed_to_lead.core.same_person import add_touch
from speed_to_lead.core.settlement import Admit, Bury, Drop, Join
from speed_to_lead.core.submission import GenericLead, Submission

TEAM = team("ana", "ben")


def swept(minutes: float, **changes: object) -> LeadChange:
    """What the clock decides about the lead so many minutes after receipt."""
    change = escalate(replace(lead(), **changes), TEAM, {}, Tally(), after(minutes))  # type: ignore[arg-type]
    assert change is not None
    return change


def routed() -> Admit:
    """A new lead, decided two seconds after receipt."""
    rules = rulebook()
    route = route_of(parsed(source="referral").lead, "demo", None, MONDAY, rules)
    change = new_lead(
        "lead-1", form(), parsed(source="referral"), MONDAY, route, Tally(), rules, after(2 / 60)
    )
    return Admit("1-0", change)


def test_new_lead_is_counted_by_form_team_sla_and_source() -> None:
    """And how long its routing took, in its own bucket and in the sum."""
    assert counts_of_settlement(routed()) == {
        "submissions|form=demo|outcome=lead": 1,
        "leads_routed|team=inbound|sla=ten-minutes|source=referral": 1,
        "routing_lag_seconds|le=2.5": 1,
        "routing_lag_seconds|le=sum": 2000,
    }


def test_touch_is_counted_for_its_own_form() -> None:
    """The lead may have come by another."""
    touch = Touch("s2", "pricing", MONDAY, "referral", "", "", GenericLead())
    change = add_touch(lead(), touch, None, rulebook(), after(1))
    assert counts_of_settlement(Join("1-0", change)) == {"submissions|form=pricing|outcome=touch": 1}


@pytest.mark.parametrize(
    ("settlement", "field"),
    [
        (Drop("1-0", "tests", "s1", form="demo"), "submissions|form=demo|outcome=test"),
        (Drop("1-0", "duplicates", "s1", "lead-1", "demo"), "submissions|form=demo|outcome=duplicate"),
        (Drop("1-0", "duplicates", "s1"), "submissions|form=other|outcome=duplicate"),
    ],
)
def test_dropped_submission_is_counted_once(settlement: Drop, field: str) -> None:
    """A test or a duplicate, by form."""
    assert counts_of_settlement(settlement) == {field: 1}


def test_form_nobody_configured_is_no_label() -> None:
    """Anybody may write any form into the queue; only names of config become labels."""
    bury = Bury("1-0", Submission("s1", "<script>", MONDAY, b""), "why", MONDAY, is_of_known_form=False)
    assert counts_of_settlement(bury) == {"submissions|form=other|outcome=dead_letter": 1}
    assert counts_of_repeated_burial(bury) == {"submissions|form=other|outcome=duplicate": 1}


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (6.01, {"detection_lag_seconds|le=1": 1, "detection_lag_seconds|le=sum": 600}),
        (
            10,
            {
                "leads_breached|team=inbound": 1,
                "detection_lag_seconds|le=300": 1,
                "detection_lag_seconds|le=sum": 240_000,
            },
        ),
    ],
)
def test_detection_lag_is_that_of_the_earliest_instant(minutes: float, expected: dict[str, int]) -> None:
    """A step that was skipped, because a higher one was due too, was missed for as long as it was."""
    assert counts_of_change(swept(minutes)) == expected


def test_breach_without_a_step_has_a_detection_lag_too() -> None:
    """The deadline is an instant like any other."""
    change = swept(10.5, steps=(), steps_done=())
    assert counts_of_change(change) == {
        "leads_breached|team=inbound": 1,
        "detection_lag_seconds|le=30": 1,
        "detection_lag_seconds|le=sum": 30_000,
    }


def test_answer_is_counted_with_its_time_from_receipt() -> None:
    """In time or not; an acknowledgement is no answer."""
    in_time = record_response(lead(), response(minutes=5), after(5))
    late = record_response(lead(), response(minutes=15), after(15))
    taken = record_response(lead(), response(ResponseKind.ACKNOWLEDGED), after(5))
    assert [counts_of_change(change) for change in (in_time, late, taken) if change] == [
        {
            "responses|team=inbound|kind=attempted": 1,
            "leads_answered|team=inbound|in_time=true": 1,
            "response_time_seconds|team=inbound|le=300": 1,
            "response_time_seconds|team=inbound|le=sum": 300_000,
        },
        {
            "responses|team=inbound|kind=attempted": 1,
            "leads_breached|team=inbound": 1,
            "leads_answered|team=inbound|in_time=false": 1,
            "response_time_seconds|team=inbound|le=900": 1,
            "response_time_seconds|team=inbound|le=sum": 900_000,
        },
        {"responses|team=inbound|kind=acknowledged": 1},
    ]


def test_closing_counts_and_says_nothing_of_the_clock() -> None:
    """A breach noted by somebody who closed the lead is no detection of ours."""
    change = close_lead(lead(), "spam", "ana", after(60))
    assert change is not None
    assert counts_of_change(change) == {"leads_breached|team=inbound": 1, "leads_closed|team=inbound": 1}


def test_what_is_not_measured_adds_nothing() -> None:
    """A reassignment is in the lead's history, not in the metrics."""
    change = reassign_lead(lead(), {"inbound": TEAM}, "ben", "ana", after(1))
    assert change is not None
    assert counts_of_change(change) == {}


@pytest.mark.parametrize("result", ["delivered", "retry", "dead", "cancelled"])
def test_attempt_is_counted_by_destination_and_result(result: str) -> None:
    """A delivery has its lag as well, from the decision."""
    alert = Alert("lead-1", "100%", "managers", AlertKind.BREACHED, MONDAY)
    lag = {
        "delivery_lag_seconds|destination=managers|le=+Inf": 1,
        "delivery_lag_seconds|destination=managers|le=sum": 3_600_000,
    }
    assert counts_of_attempt(alert, result, after(60)) == {
        f"delivery_attempts|destination=managers|result={result}": 1,
        **(lag if result == "delivered" else {}),
    }


def test_no_name_of_config_breaks_a_field() -> None:
    """Names in TOML may hold anything; a field is read back as it was meant."""
    labels = {"team": "a|b=c d\n\u00e9", "sla": ""}
    assert read_field(field_of("leads_routed", **labels)) == ("leads_routed", labels)


def test_no_field_names_a_person_or_a_lead() -> None:
    """Promise 14: every label of every count is a name of config."""
    changes = [routed().change, swept(10), record_response(lead(), response(), after(5))]
    fields = " ".join(field for change in changes if change for field in counts_of_change(change))
    assert fields
    assert not any(word in fields for word in ("lead-1", "kim", "ana", "ben"))
