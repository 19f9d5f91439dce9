"""Audit: what contradicts the record or history, how it is mended, and whether the books balance."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.builders import after, lead

from speed_to_lead.core.audit import (
    FARTHEST,
    OVERDUE_AFTER,
    AlertFacts,
    Contradiction,
    Finding,
    LeadFacts,
    Ledger,
    LoadFacts,
    Told,
    audit_alert,
    audit_books,
    audit_lead,
    audit_load,
    repair_of,
    untold,
    waits_for,
    waits_until,
)
from speed_to_lead.core.escalation import first_instant
from speed_to_lead.core.lead import AlertKind, HistoryEntry, Lead, LeadState

OPEN = lead()  # waits for its step at minute 6
ANSWERED = lead(state=LeadState.ANSWERED)
UNOWNED = replace(OPEN, rep=None, trace=("no rep yet, it waits until somebody is available",))
FINISHED = lead(done=["0%", "60%", "100%", "+10m"], breached_at=after(10))
NOW = after(5)
LATER = timedelta(milliseconds=1)


def facts(found: Lead | None = OPEN, **changed: Any) -> LeadFacts:
    """A look at a lead that everything agrees about."""
    sound = LeadFacts(
        "lead-1",
        found,
        indexed_at=waits_until(found) if found else None,
        in_open=found is not None and found.is_open,
        in_all=found is not None,
        waiting=waits_for(found) if found else None,
    )
    return replace(sound, **changed)


def findings(looked_at: LeadFacts, now: datetime = NOW) -> list[Finding]:
    return [one.finding for one in audit_lead(looked_at, now)]


@pytest.mark.parametrize(
    ("audited", "indexed", "now", "expected"),
    [
        (OPEN, after(6), after(5), []),
        (OPEN, after(6), after(6), []),
        (OPEN, after(6), after(6) + OVERDUE_AFTER, []),
        (OPEN, after(6), after(6) + OVERDUE_AFTER + LATER, [Finding.OVERDUE]),
        (OPEN, None, after(5), [Finding.NOT_INDEXED]),
        (OPEN, None, after(99), [Finding.NOT_INDEXED]),
        (OPEN, after(7), after(5), [Finding.INDEXED_WRONG]),
        (OPEN, after(5), after(99), [Finding.INDEXED_WRONG]),
        (replace(OPEN, next_at=None), None, after(5), [Finding.NOT_INDEXED]),
        (ANSWERED, None, after(99), []),
        (ANSWERED, after(6), after(5), [Finding.INDEXED_DONE]),
        (FINISHED, None, after(99), []),
        (FINISHED, after(20), after(99), [Finding.INDEXED_DONE]),
    ],
)
def test_the_record_says_what_the_index_should_have(
    audited: Lead, indexed: datetime | None, now: datetime, expected: list[Finding]
) -> None:
    """The index is compared with what the record waits for."""
    assert expected == findings(facts(audited, indexed_at=indexed), now)


@pytest.mark.parametrize(
    ("looked_at", "expected"),
    [
        (facts(in_open=False), [Finding.OPEN_UNLISTED]),
        (facts(ANSWERED, in_open=True), [Finding.DONE_LISTED]),
        (facts(in_all=False), [Finding.UNLISTED]),
        (facts(None), []),
        (facts(None, in_open=True), [Finding.NO_RECORD]),
        (facts(None, indexed_at=after(6)), [Finding.NO_RECORD]),
        (facts(None, is_readable=False, in_open=True), [Finding.UNREADABLE]),
        (facts(people={"k": "lead-1"}), []),
        (facts(people={"k": None}), [Finding.PERSON_LOST]),
        (facts(people={"k": "lead-2"}), [Finding.PERSON_LOST]),
        (facts(people={"k": "lead-2"}, others_open=frozenset({"lead-2"})), [Finding.TWO_OPEN]),
        (facts(None, waiting=(OPEN.deadline, "inbound")), [Finding.NO_RECORD]),
        (facts(UNOWNED), []),
        (facts(UNOWNED, waiting=None), [Finding.WAITING_LOST]),
        (facts(UNOWNED, waiting=(OPEN.deadline, "")), [Finding.WAITING_LOST]),
        (facts(UNOWNED, waiting=(OPEN.deadline + LATER, OPEN.team)), [Finding.WAITING_LOST]),
        (facts(waiting=(OPEN.deadline, OPEN.team)), [Finding.WAITING_DONE]),
        (facts(ANSWERED, waiting=(OPEN.deadline, OPEN.team)), [Finding.WAITING_DONE]),
        (facts(replace(ANSWERED, rep=None)), []),
        (facts(replace(OPEN, rep=None, trace=())), [Finding.NO_REP]),
        (facts(replace(OPEN, rep=None, trace=("no rep could be picked",))), []),
    ],
)
def test_what_points_to_a_lead_is_compared_with_it(looked_at: LeadFacts, expected: list[Finding]) -> None:
    """Sets, person keys and the rep; one contradiction for each."""
    assert expected == findings(looked_at)


def event(name: str, **details: Any) -> HistoryEntry:
    return HistoryEntry(after(1), name, details)


ROUTED = event("lead.routed", told={"ana-slack": "0%"})
DECIDED = event("step.decided", step="100%", skipped=["60%"], told=["managers", "ben-slack"])
PASSED_ON = event("lead.reassigned", step="reassigned-1", told=["ben-slack"])


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ((), []),
        ((event("lead.routed", rep="ana"),), []),
        ((ROUTED,), ["0%:ana-slack"]),
        ((ROUTED, event("alert.delivered", step="0%", to="ana-slack")), []),
        ((ROUTED, event("alert.cancelled", step="0%", to="ana-slack")), []),
        ((ROUTED, event("alert.failed", step="0%", to="ana-slack")), ["0%:ana-slack"]),
        ((ROUTED, event("alert.delivered", step="0%", to="ben-slack")), ["0%:ana-slack"]),
        ((DECIDED,), ["100%:managers", "100%:ben-slack"]),
        ((PASSED_ON,), ["reassigned-1:ben-slack"]),
        (
            (DECIDED, event("alert.given_up", step="100%", to="ben-slack", fallback="console")),
            ["100%:managers", "100%~ben-slack:console"],
        ),
        (
            (
                ROUTED,
                event("alert.given_up", step="0%", to="ana-slack", fallback="managers"),
                event("alert.given_up", step="0%~ana-slack", to="managers", fallback="console"),
            ),
            ["0%~ana-slack:console"],
        ),
        ((ROUTED, event("alert.given_up", step="0%", to="ana-slack", fallback=None)), []),
    ],
)
def test_untold(history: tuple[HistoryEntry, ...], expected: list[str]) -> None:
    """Alerts that history says were decided, and not what came of them."""
    assert [f"lead-1:{one}" for one in expected] == [told.key("lead-1") for told in untold(history)]


@pytest.mark.parametrize(
    ("told", "kind", "skipped"),
    [
        (Told("100%", "managers", DECIDED), AlertKind.BREACHED, ("60%",)),
        (Told("0%", "ana-slack", ROUTED), AlertKind.ASSIGNED, ()),
        (Told("60%", "ana-slack", ROUTED), AlertKind.REMINDER, ()),
        (Told("reassigned-1", "ben-slack", PASSED_ON), AlertKind.REASSIGNED, ()),
        (Told("100%~managers", "console", DECIDED, "managers"), AlertKind.BREACHED, ("60%",)),
    ],
)
def test_a_lost_alert_is_put_in_again_under_its_key(
    told: Told, kind: AlertKind, skipped: tuple[str, ...]
) -> None:
    """The repair raises the version, tells history, and holds the alert as it was decided."""
    looked_at = facts(history=(told.entry,), absent=(told,))
    (contradiction,) = audit_lead(looked_at, after(5))
    repair = repair_of(looked_at, (contradiction,), None, after(5))
    assert repair is not None
    (alert,) = repair.alerts
    assert Finding.ALERT_LOST is contradiction.finding
    assert (told.key("lead-1"), kind, skipped, after(1)) == (
        alert.key,
        alert.kind,
        alert.skipped_steps,
        alert.decided_at,
    )
    assert (OPEN.version + 1, 1, "audit.repaired") == (
        repair.lead.version,
        repair.history_length,
        repair.entry.event,
    )


def test_nothing_is_repaired_that_was_not_confirmed() -> None:
    """Of two contradictions only the confirmed one is mended; one that is told of is none to mend."""
    looked_at = facts(people={"k": None}, in_all=False)
    unlisted, lost = audit_lead(looked_at, after(5))
    repair = repair_of(looked_at, (unlisted,), None, after(5))
    assert repair is not None
    assert ((Finding.UNLISTED,), ()) == (repair.findings, repair.people)
    both = repair_of(looked_at, (unlisted, lost), None, after(5))
    assert both is not None
    assert (("k", None),) == both.people
    assert repair_of(looked_at, (Contradiction(Finding.NO_REP, "lead-1"),), None, after(5)) is None


SOUND = AlertFacts("lead-1:0%:managers", "managers", due_at=after(5))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, None),
        ({"due_at": after(5) + FARTHEST}, None),
        ({"leased_until": after(5) + FARTHEST}, None),
        ({"due_at": None, "is_dead": True}, None),
        ({"due_at": None, "is_kept": False}, None),
        ({"due_at": None}, Finding.ALERT_STRANDED),
        ({"is_kept": False}, Finding.ALERT_EMPTY),
        ({"due_at": after(5) + FARTHEST + LATER}, Finding.ALERT_PUT_OFF),
        ({"leased_until": after(5) + FARTHEST + LATER}, Finding.LEASE_STUCK),
        ({"is_named": False}, Finding.OUTBOX_UNNAMED),
    ],
)
def test_audit_alert(changed: Mapping[str, Any], expected: Finding | None) -> None:
    """An alert that is kept stands in an outbox that is looked at, at an instant that comes, or is dead."""
    found = audit_alert(replace(SOUND, **changed), after(5))
    assert expected == (found.finding if found else None)


def test_audit_load() -> None:
    """Only a count that stood still all the while can be called wrong."""
    before = LoadFacts({"ana": 2, "ben": 1, "cleo": 5}, {"ana": 7, "ben": 3})
    later = LoadFacts({"ana": 2, "ben": 2, "cleo": 5}, {"ana": 7, "ben": 4})
    found = audit_load(before, {"ana": 1, "ben": 9, "dan": 1}, later)
    assert [("ana", (7, 2, 1)), ("cleo", (0, 5, 0)), ("dan", (0, 0, 1))] == [
        (one.subject, one.seen) for one in found
    ]


def test_audit_books() -> None:
    """What is not zero is a finding."""
    books = Ledger(5, 1, 1, 1, 1, 0, 1)
    assert () == audit_books(books, 0, 0)
    found = audit_books(replace(books, received=7), 3, 1)
    assert [("ledger", (2,)), ("pending", ()), ("quarantined", ())] == [
        (one.subject, one.seen) for one in found
    ]


@given(
    st.lists(st.sampled_from(["0%", "60%", "100%", "+10m"]), unique=True),
    st.sampled_from([None, after(10)]),
    st.sampled_from(list(LeadState)),
)
def test_two_ways_to_the_next_instant_agree(
    done: list[str], breached_at: datetime | None, state: LeadState
) -> None:
    """The auditor's own code and the clock's come to the same instant."""
    one = lead(done=done, breached_at=breached_at, state=state)
    assert first_instant(one) == waits_until(one)


@given(st.lists(st.integers(0, 10**9), min_size=6, max_size=6), st.integers(-5, 5))
def test_the_ledger_balances(counts: list[int], missing: int) -> None:
    """Received is leads, touches, duplicates, tests, dead letters and what is in flight; the rest is the difference."""
    assert missing == Ledger(sum(counts) + missing, *counts).difference
