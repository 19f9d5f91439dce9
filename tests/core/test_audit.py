"""Audit: what contradicts the record, and whether the books balance."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.builders import after, lead

from speed_to_lead.core.audit import OVERDUE_AFTER, Contradiction, Finding, Ledger, audit_lead
from speed_to_lead.core.lead import Lead, LeadState

OPEN = lead()  # waits for its step at minute 6
ANSWERED = lead(state=LeadState.ANSWERED)
FINISHED = lead(done=["0%", "60%", "100%", "+10m"], breached_at=after(10))


@pytest.mark.parametrize(
    ("audited", "indexed", "now", "expected"),
    [
        (OPEN, after(6), after(5), None),
        (OPEN, after(6), after(6), None),
        (OPEN, after(6), after(6) + OVERDUE_AFTER, None),
        (OPEN, after(6), after(6) + OVERDUE_AFTER + timedelta(milliseconds=1), (Finding.OVERDUE, after(6))),
        (OPEN, None, after(5), (Finding.NOT_INDEXED, after(6))),
        (OPEN, None, after(99), (Finding.NOT_INDEXED, after(6))),
        (OPEN, after(7), after(5), (Finding.INDEXED_WRONG, after(6))),
        (OPEN, after(5), after(99), (Finding.INDEXED_WRONG, after(6))),
        (replace(OPEN, next_at=None), None, after(5), (Finding.NOT_INDEXED, after(6))),
        (ANSWERED, None, after(99), None),
        (ANSWERED, after(6), after(5), (Finding.INDEXED_DONE, None)),
        (FINISHED, None, after(99), None),
        (FINISHED, after(20), after(99), (Finding.INDEXED_DONE, None)),
    ],
)
def test_audit_lead(
    audited: Lead, indexed: datetime | None, now: datetime, expected: tuple[Finding, datetime | None] | None
) -> None:
    """The record says what the index should have; the first contradiction is named with its mending."""
    found = audit_lead(audited, indexed, now)
    assert (None if expected is None else Contradiction("lead-1", *expected)) == found


@given(st.lists(st.integers(0, 10**9), min_size=6, max_size=6), st.integers(-5, 5))
def test_the_ledger_balances(counts: list[int], missing: int) -> None:
    """Received is leads, touches, duplicates, tests, dead letters and what is in flight; the rest is the difference."""
    assert missing == Ledger(sum(counts) + missing, *counts).difference
