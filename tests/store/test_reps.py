"""What assignment asks about reps, and the leads that wait: the same on every store."""

from datetime import date, timedelta

import pytest
from tests.store.builders import admit, admitted, change_of, following, new_lead, taken

from speed_to_lead.core.assignment import Rotation, RotationChange, Tally, Turns
from speed_to_lead.core.lead import LeadState
from speed_to_lead.core.reps import Absence, Given
from speed_to_lead.store.contract import Result, Store

DAY = date(2026, 11, 23)


def test_a_tally_is_everything_a_pick_is_made_on(store: Store) -> None:
    """Rotations of the teams asked about, groups among them, loads, what was given, absences; nothing of an empty store."""
    assert Tally({"inbound": Rotation()}) == store.reps.tally(["inbound"])
    now = new_lead(store.now()).received_at
    given = Given(DAY, 1, now)
    admitted(store, "l1", rotation=RotationChange("inbound", 0, 3, "ana", 2**60, given=given))
    admitted(store, "l2", rotation=RotationChange("inbound", 1, 5, "bob", 9, group="de|A/B"))
    store.reps.set_away("bob", Absence("kim", now, now + timedelta(hours=1), "lou"))
    store.reps.set_away("cy", Absence("kim", now))
    assert Tally(
        {
            "inbound": Rotation(
                *(2, 3, {"ana": 2**60}, {"ana": 1}),
                {"de|A/B": Turns(5, {"bob": 9}, {"bob": 2})},
            ),
            "other": Rotation(),
        },
        {"ana": 2},
        {"ana": given},
        {"bob": Absence("kim", now, now + timedelta(hours=1), "lou"), "cy": Absence("kim", now)},
    ) == store.reps.tally(["inbound", "other"])
    assert store.reps.absences() == store.reps.tally(()).away


@pytest.mark.parametrize(
    ("before", "expected"),
    [(None, Result.STALE), (Given(DAY, 2, None), Result.STALE), (Given(DAY, 1, None), Result.APPLIED)],  # type: ignore[arg-type]
)
def test_a_pick_made_on_what_was_given_before_is_refused(
    store: Store, before: Given | None, expected: Result
) -> None:
    """Somebody in two teams may be picked in both at once: the second pick is decided again."""
    now = new_lead(store.now()).received_at
    admitted(store, "l1", rotation=RotationChange("inbound", 0, 0, "ana", 1, given=Given(DAY, 1, now)))
    seen = Given(before.day, before.count, now) if before is not None else None
    pick = RotationChange("other", 0, 0, "ana", 1, given=Given(DAY, 2, now), given_before=seen)
    (result,) = store.queue.settle([admit(taken(store, "l2"), new_lead(now, "l2"), rotation=pick)])
    assert expected is result
    applied = expected is Result.APPLIED
    assert {"ana": Given(DAY, 2 if applied else 1, now)} == store.reps.tally(()).given
    assert (None if not applied else 1) == (store.leads.load()["ana"] - 1 or None)


@pytest.mark.parametrize(("most", "expected"), [(1, Result.STALE), (2, Result.APPLIED)])
def test_a_pick_over_a_cap_is_refused(store: Store, most: int, expected: Result) -> None:
    """A pick decided on fewer open leads than there are is decided again."""
    admitted(store, "l1")
    pick = RotationChange("other", 0, 0, "ana", 1, max_open=most)
    lead = new_lead(store.now(), "l2")
    assert [expected] == store.queue.settle([admit(taken(store, "l2"), lead, rotation=pick)])


def test_leads_without_a_rep_wait_in_order_of_their_deadlines(store: Store) -> None:
    """From the change that made them to the one that gives them a rep, answers or closes them, or their erasure."""
    now = new_lead(store.now()).received_at
    leads = {
        name: admitted(
            store, name, lead={"rep": None, "team": f"t-{name}", "deadline": now + timedelta(minutes=due)}
        )
        for name, due in (("a", 3), ("b", 1), ("c", 2), ("d", 4))
    }
    admitted(store, "has-one")
    assert [("b", "t-b"), ("c", "t-c"), ("a", "t-a"), ("d", "t-d")] == store.reps.waiting(10)
    assert [("c", "t-c")] == store.reps.waiting(1, 1)
    given = following(leads["b"], rep="ana", team="another")
    answered = following(leads["c"], state=LeadState.ANSWERED, next_at=None)
    touched = following(leads["a"], campaign="again")
    changes = [change_of(given, now, load={"ana": 1}), change_of(answered, now), change_of(touched, now)]
    assert [Result.APPLIED] * 3 == store.leads.change(changes)
    assert [("a", "t-a"), ("d", "t-d")] == store.reps.waiting(10)
    store.privacy.remove_lead("a", None, "erased")
    store.reps.forget_waiting("d")
    assert [] == store.reps.waiting(10)
