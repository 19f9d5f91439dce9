"""How far the lists of form tools were compared: kept for each form, and claimed by one, on every store."""

from dataclasses import replace
from datetime import timedelta

from speed_to_lead.core.clock import from_ms, to_ms
from speed_to_lead.store.contract import Reconciliation, Result, Store


def new_reconciliation(store: Store, form: str = "demo") -> Reconciliation:
    now = from_ms(to_ms(store.now()))  # what is kept is milliseconds
    return Reconciliation(form, now - timedelta(days=1), now, 2)


def test_what_was_noted_is_kept_by_form(store: Store) -> None:
    """Each form has its own; of a form that was never noted nothing is known."""
    one, other = new_reconciliation(store), new_reconciliation(store, "ads")
    assert store.reconciliations.of([]) == {}
    assert store.reconciliations.of(["demo", "ads"]) == {}
    assert store.reconciliations.note(None, one) is Result.APPLIED
    assert store.reconciliations.note(None, other) is Result.APPLIED
    assert store.reconciliations.of(["demo", "nobody", "ads"]) == {"demo": one, "ads": other}


def test_of_two_who_claim_it_one_is_first(store: Store) -> None:
    """What was decided on something that has changed since is refused, and what is kept stays."""
    first = new_reconciliation(store)
    store.reconciliations.note(None, first)
    claimed = replace(first, next_at=first.next_at + timedelta(minutes=15), attempts=3)
    assert store.reconciliations.note(None, claimed) is Result.STALE
    assert store.reconciliations.note(first, claimed) is Result.APPLIED
    assert store.reconciliations.note(first, claimed) is Result.STALE
    assert store.reconciliations.of(["demo"]) == {"demo": claimed}
