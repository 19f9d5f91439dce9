"""The store's part of privacy, method by method, on memory, fakeredis and a real server."""

from datetime import timedelta

import pytest
from tests.store.builders import (
    LEASE,
    admit,
    admitted,
    change_of,
    following,
    new_alert,
    new_lead,
    picture,
    taken,
)

from speed_to_lead.core.lead import LeadState
from speed_to_lead.core.settlement import Bury
from speed_to_lead.store.contract import AlertSettlement, Erasure, Held, HeldKind, Resealed, Result, Store
from speed_to_lead.store.encryption import UnusableKeys

HOUR = timedelta(hours=1)


def held_of(store: Store, kind: HeldKind) -> list[Held]:
    return [held for batch in store.privacy.everything() for held in batch.held if held.kind is kind]


def buried(store: Store, submission_id: str = "bad") -> None:
    entry = taken(store, submission_id)
    assert store.queue.settle([Bury(entry.entry_id, entry.submission, "unreadable", store.now())]) == [
        "applied"
    ]


def test_everything_meets_everything(store: Store) -> None:
    """The queue, leads, histories, alerts, dead letters and pointers, each with what it says."""
    buried(store)
    lead = admitted(store, people=(("someone", None),), alerts=(new_alert(store.now()),))
    taken(store, "s2")
    names = {
        kind: [held.name for held in held_of(store, kind)] for kind in HeldKind if kind is not HeldKind.OTHER
    }
    assert names[HeldKind.LEAD] == names[HeldKind.HISTORY] == [lead.id]
    assert (names[HeldKind.DEAD_LETTER], len(names[HeldKind.INCOMING])) == (["bad"], 1)
    assert names[HeldKind.ALERT] == [f"{lead.id}:100%:managers"]
    assert {"person:someone", f"seen:{lead.id}"} == set(names[HeldKind.POINTER])
    for kind in (HeldKind.LEAD, HeldKind.DEAD_LETTER, HeldKind.INCOMING):
        assert "kim@example.com" in held_of(store, kind)[0].text
    assert {lead.id} == {
        held.points_to for held in held_of(store, HeldKind.POINTER) + held_of(store, HeldKind.ALERT)
    }
    assert {held.submission.id for held in held_of(store, HeldKind.INCOMING) if held.submission} == {"s2"}


def test_remove_lead_leaves_nothing(store: Store) -> None:
    """What is there before a lead came is there after it went, but for the counters."""
    admitted(store, "other", people=(("other", None),))
    admitted(store, people=(("someone", None),), alerts=(new_alert(store.now()),))
    alerts = store.privacy.alerts_of(["lead1", "other"])
    assert alerts == {"lead1": ["lead1:100%:managers"]}
    pointers = ["person:someone", "person:other", "seen:lead1"]
    changes = store.audit.load().changes["ana"]
    gone = store.privacy.remove_lead(
        "lead1", 1, "erased", rep="ana", alerts=alerts["lead1"], pointers=pointers
    )
    assert gone is Result.APPLIED
    assert "lead1" not in str(picture(store))
    assert store.leads.of_people(["someone", "other"]) == {"other": "other"}
    assert (store.leads.load(), store.leads.scan("", 10)[0]) == ({"ana": 1}, ["other"])
    assert changes + 1 == store.audit.load().changes["ana"]  # an auditor that was counting begins again
    counters = store.operations.counters()
    assert (counters["leads"], counters["erased"], counters["alerts_cancelled"]) == (2, 1, 1)
    assert store.privacy.remove_lead("lead1", 1, "erased", rep="ana") is Result.GONE
    assert (store.operations.counters(), store.leads.load()) == (counters, {"ana": 1})


def test_a_stale_removal_writes_nothing(store: Store) -> None:
    """A lead that changed since is not removed."""
    lead = admitted(store)
    store.leads.change([change_of(following(lead), store.now())])
    before = picture(store)
    assert store.privacy.remove_lead(lead.id, 1, "erased", rep="ana", pointers=["seen:lead1"]) is Result.STALE
    assert before == picture(store)


def test_remains_are_removed_only_where_there_is_no_record(store: Store) -> None:
    """Version 0 takes what is left of a lead, and never a lead."""
    lead = admitted(store)
    before = picture(store)
    assert store.privacy.remove_lead(lead.id, 0, "erased", rep="ana") is Result.STALE
    assert before == picture(store)
    assert store.privacy.remove_lead("nobody", 0, "erased") is Result.GONE


def test_a_pointer_goes_alone(store: Store) -> None:
    """Only where it still points to that lead, which stays."""
    lead = admitted(store, people=(("someone", None),))
    assert store.privacy.remove_pointer("person:someone", "other") is Result.GONE
    assert store.leads.of_people(["someone"]) == {"someone": lead.id}
    for name in ("person:someone", f"seen:{lead.id}"):
        assert store.privacy.remove_pointer(name, lead.id) is Result.APPLIED
        assert store.privacy.remove_pointer(name, lead.id) is Result.GONE
    assert store.leads.of_people(["someone"]) == {}
    assert store.leads.get(lead.id) == lead


def test_an_answered_lead_does_not_count_in_a_load(store: Store) -> None:
    """Its rep's load fell when it was answered."""
    lead = admitted(store)
    answered = following(lead, state=LeadState.ANSWERED, next_at=None)
    store.leads.change([change_of(answered, store.now(), load={"ana": -1})])
    assert store.privacy.remove_lead(lead.id, 2, "expired", rep="ana") is Result.APPLIED
    assert store.leads.load() == {}


def test_remove_a_submission_and_a_dead_letter(store: Store) -> None:
    """Both stay counted as dead letters; the books balance; a second time they are gone."""
    buried(store)
    entry = taken(store, "s2")
    assert store.privacy.remove_submission(entry.entry_id, "submissions_erased", "demo") is Result.APPLIED
    assert store.privacy.remove_submission(entry.entry_id, "submissions_erased") is Result.GONE
    assert store.privacy.remove_dead_letter("bad", "dead_letters_erased") is Result.APPLIED
    assert store.privacy.remove_dead_letter("bad", "dead_letters_erased") is Result.GONE
    ledger = store.operations.ledger()
    assert (ledger.dead_letters, ledger.in_flight, ledger.difference) == (2, 0, 0)
    dead_letters = [n for f, n in store.operations.metrics().items() if f.endswith("outcome=dead_letter")]
    assert sum(dead_letters) == ledger.dead_letters
    assert store.queue.settle([admit(entry, new_lead(store.now(), "s2"))]) == [Result.SETTLED]
    assert store.queue.dead_letters(5) == []


def test_only_a_dead_alert_is_forgotten(store: Store) -> None:
    """One that still waits is not."""
    alert = new_alert(store.now())
    store.outbox.add(alert, store.now())
    assert store.privacy.remove_dead_alert(alert.key, "dead_alerts_expired") is Result.GONE
    claimed = store.outbox.claim("managers", store.now(), LEASE, at_once=1)
    assert claimed is not None
    store.outbox.settle(claimed, AlertSettlement("dead", store.now()))
    assert store.privacy.dead_alerts_until(store.now() - HOUR, 5) == []
    assert store.privacy.dead_alerts_until(store.now() + HOUR, 5) == [alert.key]
    assert store.privacy.remove_dead_alert(alert.key, "dead_alerts_expired") is Result.APPLIED
    assert (store.outbox.dead(5), store.privacy.alerts_of(["lead1"])) == ([], {})


def test_rewrite(store: Store) -> None:
    """A history and an alert take other texts where they are still what was read."""
    admitted(store, alerts=(new_alert(store.now()),))
    (history,) = held_of(store, HeldKind.HISTORY)
    (alert,) = held_of(store, HeldKind.ALERT)
    changed = history.text.replace("lead.changed", "lead.renamed")
    assert store.privacy.rewrite(history, changed) is Result.APPLIED
    assert [entry.event for entry in store.leads.history("lead1")] == ["lead.renamed"]
    assert store.privacy.rewrite(history, changed) is Result.STALE
    assert store.privacy.rewrite(alert, alert.text.replace("inbound", "outbound")) is Result.APPLIED
    assert store.outbox.waiting(5)[0][0].team == "outbound"
    assert store.privacy.rewrite(alert, alert.text) is Result.STALE


def test_oldest(store: Store) -> None:
    """Leads by receipt, oldest first, none received later than asked, by their places."""
    now = store.now()
    for name, hours in (("c", 1), ("a", 3), ("b", 2)):
        admitted(store, name, lead={"received_at": new_lead(now - hours * HOUR).received_at})
    assert store.privacy.oldest(now, 0, 2) == ["a", "b"]
    assert store.privacy.oldest(now, 2, 2) == ["c"]
    assert store.privacy.oldest(now - 2 * HOUR, 0, 5) == ["a", "b"]
    buried(store)
    assert store.privacy.dead_letters_until(store.now() - HOUR, 5) == []
    assert store.privacy.dead_letters_until(store.now() + HOUR, 5) == ["bad"]


def test_erasures(store: Store) -> None:
    """The newest first, as they were noted."""
    now = new_lead(store.now()).received_at
    noted = [Erasure(now, who, "R-1", {"leads": 1}, proven=True) for who in ("ana", "ben", "cleo")]
    for one in noted:
        store.privacy.note_erasure(one)
    assert store.privacy.erasures(2) == [noted[2], noted[1]]


def test_without_keys_nothing_is_sealed(store: Store) -> None:
    """Nothing needs a key where there are none, and the record is as plain as it ever was."""
    admitted(store)
    assert store.privacy.locked_among_newest(5) == 0
    assert '"sealed"' not in str(picture(store))
    if hasattr(store, "server"):
        with pytest.raises(UnusableKeys):
            next(iter(store.privacy.reseal()))
    else:
        assert sum(store.privacy.reseal(), Resealed()).rewritten == 0
