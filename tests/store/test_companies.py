"""A company's newest lead: written with a new lead and guarded like its person, followed, forgotten, and never left over."""

from dataclasses import replace

import pytest
from tests.store.builders import admit, admitted, change_of, new_lead, picture, taken

from speed_to_lead.core.audit import Finding
from speed_to_lead.core.settlement import Join
from speed_to_lead.store.contract import HeldKind, Result, Store
from speed_to_lead.store.redis_store import RedisStore


def test_the_newest_lead_of_a_company(store: Store) -> None:
    """Each new lead of the company takes the pointer over from the one that it was decided on."""
    first = admitted(store, "first", company=("acme", None))
    assert {"acme": first.id} == store.leads.of_companies(["acme", "other"])
    second = admitted(store, "second", company=("acme", first.id))
    assert {"acme": second.id} == store.leads.of_companies(["acme"])
    assert {} == store.leads.of_companies([])


@pytest.mark.parametrize("expected", [None, "another"])
def test_one_decided_on_an_older_lead_of_the_company_is_refused(store: Store, expected: str | None) -> None:
    """Of two routers that give a company its rep at once, one looks again; nothing is written meanwhile."""
    admitted(store, "first", company=("acme", None))
    entry = taken(store, "second")
    before = picture(store)
    lead = new_lead(store.now(), "second")
    (result,) = store.queue.settle([admit(entry, lead, company=("acme", expected))])
    assert Result.STALE == result
    assert before == picture(store)


@pytest.mark.parametrize(("expected", "result"), [(None, Result.APPLIED), ("other", Result.STALE)])
def test_the_data_of_a_lead_brings_its_company(store: Store, expected: str | None, result: Result) -> None:
    """What is told late of a lead that was routed without is guarded and written as with a new lead."""
    first = admitted(store, "first")
    entry = taken(store, "late")
    changed = change_of(replace(first, version=first.version + 1), store.now(), counters={"touches": 1})
    before = picture(store)
    (found,) = store.queue.settle([Join(entry.entry_id, changed, company=("acme", expected))])
    assert found is result
    assert store.leads.of_companies(["acme"]) == ({"acme": first.id} if result is Result.APPLIED else {})
    assert (before == picture(store)) == (result is Result.STALE)


def test_without_a_rule_there_is_no_key(redis_store: RedisStore) -> None:
    """Configs that never ask who has a company pay nothing for it."""
    admitted(redis_store, people=(("someone", None),))
    assert [] == list(redis_store.server.client.scan_iter(f"{redis_store.server.keys.company('')}*"))


def test_it_goes_with_the_lead_it_points_to(store: Store) -> None:
    """Erased or expired, a lead leaves its company's pointer too, unless a newer lead has it."""
    first = admitted(store, "first", company=("acme", None))
    admitted(store, "second", company=("acme", first.id))
    pointers = ["company:acme"]
    store.privacy.remove_lead(first.id, 1, "erased", rep="ana", pointers=pointers)
    assert {"acme": "second"} == store.leads.of_companies(["acme"])
    store.privacy.remove_lead("second", 1, "erased", rep="ana", pointers=pointers)
    assert {} == store.leads.of_companies(["acme"])


def test_a_walk_over_everything_meets_it(store: Store) -> None:
    """It is a pointer with a name, so that an erasure can tell whose it is and take it away."""
    lead = admitted(store, company=("acme", None))
    pointers = {
        held.name: held.points_to
        for batch in store.privacy.everything()
        for held in batch.held
        if held.kind is HeldKind.POINTER and held.name.startswith("company:")
    }
    assert {"company:acme": lead.id} == pointers
    assert store.privacy.remove_pointer("company:acme", "other") is Result.GONE
    assert store.privacy.remove_pointer("company:acme", lead.id) is Result.APPLIED
    assert {} == store.leads.of_companies(["acme"])


def test_the_auditor_meets_and_mends_it(store: Store) -> None:
    """A pointer to a lead that is gone is found by its name and dropped, once; one to a lead that is there stays."""
    lead = admitted(store, company=("acme", None), people=(("someone", None),))
    names, cursor = set[str](), ""
    while True:
        _, found, cursor = store.audit.names(cursor, 100)
        names.update(found)
        if not cursor:
            break
    assert {"company:acme", "person:someone"} == names
    assert {} == store.audit.dangling(sorted(names))
    assert store.audit.forget_pointer("company:acme", lead.id) is Result.STALE
    store.privacy.remove_lead(lead.id, 1, "erased", rep="ana")
    assert dict.fromkeys(names, lead.id) == store.audit.dangling([*names, "company:nobody"])
    for name, finding in (
        ("company:acme", Finding.COMPANY_DANGLING),
        ("person:someone", Finding.PERSON_DANGLING),
    ):
        assert store.audit.forget_pointer(name, "other") is Result.STALE
        assert store.audit.forget_pointer(name, lead.id) is Result.APPLIED
        assert store.audit.forget_pointer(name, lead.id) is Result.STALE
        assert 1 == store.operations.counters()[f"repaired:{finding.value}"]
    assert {} == store.audit.dangling(sorted(names))
