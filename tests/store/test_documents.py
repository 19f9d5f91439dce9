"""Records as JSON: whatever a lead holds comes back the same."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speed_to_lead.core.lead import (
    Alert,
    AlertKind,
    HistoryEntry,
    Lead,
    LeadState,
    PlannedStep,
    Response,
    ResponseKind,
    Touch,
)
from speed_to_lead.core.lookup import LookedUp
from speed_to_lead.core.submission import GenericLead
from speed_to_lead.store.documents import (
    alert_document,
    alert_from,
    dump,
    history_entry,
    history_line,
    lead_document,
    lead_from,
)
from speed_to_lead.store.records import read_record, record_of

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXT = st.text(st.characters(exclude_categories=()), max_size=12)  # halves of surrogate pairs too
NAME = st.text(max_size=12)
INSTANT = st.integers(-(10**12), 10**13).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
MAYBE = st.none() | INSTANT
REP = st.none() | st.text(min_size=1, max_size=8)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
ANYTHING = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)
FIELDS = st.dictionaries(TEXT, ANYTHING, max_size=4)
NAMES = st.lists(NAME, max_size=3).map(tuple)
GENERIC = st.builds(GenericLead, FIELDS, FIELDS)
STEPS = st.lists(
    st.builds(PlannedStep, NAME, INSTANT, NAMES, NAMES, NAMES, st.booleans(), MAYBE), max_size=3
).map(tuple)
RESPONSES = st.lists(
    st.builds(Response, st.sampled_from(ResponseKind), NAME, INSTANT, INSTANT, NAME, TEXT), max_size=3
).map(tuple)
TOUCHES = st.lists(st.builds(Touch, NAME, NAME, INSTANT, NAME, NAME, NAME, GENERIC), max_size=2).map(tuple)
LEADS = st.builds(
    Lead,
    id=st.text(min_size=1, max_size=12),
    version=st.integers(1, 2**40),
    state=st.sampled_from(LeadState),
    form=NAME,
    received_at=INSTANT,
    lead=GENERIC,
    source=NAME,
    channel=NAME,
    campaign=TEXT,
    rule=NAME,
    team=NAME,
    rep=REP,
    sla=NAME,
    deadline=INSTANT,
    steps=STEPS,
    config_digest=NAME,
    next_at=MAYBE,
    steps_done=NAMES,
    submitted_at=MAYBE,
    reps_before=NAMES,
    acknowledged_at=MAYBE,
    answered_at=MAYBE,
    breached_at=MAYBE,
    closed_at=MAYBE,
    closed_reason=TEXT,
    responses=RESPONSES,
    touches=TOUCHES,
    trace=st.lists(TEXT, max_size=3).map(tuple),
    company_before=NAME,
    looked_up=st.none() | st.builds(LookedUp, NAME, TEXT, TEXT),
)
ALERTS = st.builds(
    Alert,
    lead_id=NAME,
    step=NAME,
    destination=NAME,
    kind=st.sampled_from(AlertKind),
    decided_at=INSTANT,
    late_seconds=st.floats(0, 1e12),
    skipped_steps=NAMES,
    team=NAME,
    rep=REP,
    note=TEXT,
    fallback_for=NAME,
    attempts=st.integers(0, 50),
    unknown_attempts=st.integers(0, 50),
)


@QUICK
@given(LEADS)
def test_lead_survives_its_record(lead: Lead) -> None:
    """Every lead is read back as it was written, and its document is UTF-8."""
    assert (lead, lead) == (lead_from(lead_document(lead).encode()), read_record(record_of(lead)))


@QUICK
@given(ALERTS)
def test_alert_survives_its_document(alert: Alert) -> None:
    """Every alert is read back as it was written, with the attempts counted beside it."""
    assert alert == alert_from(alert_document(alert).encode(), alert.attempts, alert.unknown_attempts)


@QUICK
@given(st.builds(HistoryEntry, INSTANT, NAME, FIELDS))
def test_history_survives_its_line(entry: HistoryEntry) -> None:
    """Every line of history is read back as it was written."""
    assert entry == history_entry(history_line(entry).encode())


@QUICK
@given(FIELDS)
def test_documents_are_one_line_of_readable_text(fields: dict[str, Any]) -> None:
    """No line break is in a document, and text that is UTF-8 stands in it as itself."""
    assert "\n" not in dump(fields)
    assert dump({"name": "Zoë 😀"}) == '{"name":"Zoë 😀"}'


def test_empty_fields_take_no_room() -> None:
    """What is not there is not written."""
    at = datetime(2026, 11, 23, tzinfo=UTC)
    assert history_line(HistoryEntry(at, "x")) == '{"at":1795392000000,"event":"x"}'
    assert '{"name":"s","at":1795392000000}' in lead_document(_lead(at))
    assert "touches" not in lead_document(_lead(at))


@pytest.mark.parametrize("broken", [b"\xff", b"7", b"1 {}", b'1 {"id":"x","version":1,"state":"lost"}'])
def test_broken_record_is_an_answer(broken: bytes) -> None:
    """A record that is none is told by the class of what is wrong, and quotes nothing of it."""
    assert str(read_record(broken)).startswith("the record cannot be read: ")


def _lead(at: datetime) -> Lead:
    return Lead(
        id="x",
        version=1,
        state=LeadState.OPEN,
        form="f",
        received_at=at,
        lead=GenericLead(),
        source="s",
        channel="c",
        campaign="",
        rule="r",
        team="t",
        rep=None,
        sla="a",
        deadline=at,
        steps=(PlannedStep("s", at),),
        config_digest="d",
    )
