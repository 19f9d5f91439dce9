"""Assignment: fair shares in exact integers, and somebody for every lead."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.builders import MONDAY, OFFICE, after, office, rep, team

from speed_to_lead.core.assignment import STRIDE, Assignment, Pick, Rep, Rotation, Team, pick_rep

LEAST_OPEN = Assignment.LEAST_OPEN


def picks(
    members: Team, count: int, rotation: Rotation | None = None, now: datetime = MONDAY
) -> tuple[list[str], Rotation]:
    """The reps of so many leads in a row, none of which is ever answered, and the rotation after them."""
    rotation = rotation or Rotation()
    chosen: list[str] = []
    for _ in range(count):
        pick = pick_rep(members, rotation, Counter(chosen), now)
        assert pick.rep is not None
        assert pick.rotation is not None
        assert pick.rotation.version == rotation.version
        rotation = pick.rotation.applied_to(rotation)
        chosen.append(pick.rep.id)
    return chosen, rotation


def picked(
    members: Team,
    now: datetime = MONDAY,
    *,
    load: Mapping[str, int] | None = None,
    turns: Mapping[str, int] | None = None,
    had_it: Sequence[str] = (),
) -> Pick:
    return pick_rep(members, Rotation(turns=turns or {}), load or {}, now, had_it=had_it)


def chosen_id(pick: Pick) -> str | None:
    return pick.rep.id if pick.rep else None


@pytest.mark.parametrize("assignment", list(Assignment))
@given(weights=st.lists(st.integers(1, 16), min_size=1, max_size=6), rounds=st.integers(1, 3))
def test_shares_are_exact(assignment: Assignment, weights: list[int], rounds: int) -> None:
    """Over as many leads as the weights add up to, and any multiple of that, everybody gets exactly their weight."""
    members = team(*(rep(f"r{n}", weight=weight) for n, weight in enumerate(weights)), assignment=assignment)
    chosen, rotation = picks(members, rounds * sum(weights))
    assert {f"r{n}": rounds * weight for n, weight in enumerate(weights)} == Counter(chosen)
    assert all(isinstance(number, int) for number in (rotation.clock, *rotation.turns.values()))
    assert {rounds * STRIDE} == set(rotation.turns.values())


@given(st.integers(1, 7), st.integers(0, 60), st.sampled_from(Assignment))
def test_equals_never_differ_by_more_than_one(reps: int, count: int, assignment: Assignment) -> None:
    """Reps of equal weight who are always there never differ by more than one lead."""
    chosen, _ = picks(team(*(f"r{n}" for n in range(reps)), assignment=assignment), count)
    counts = [chosen.count(f"r{n}") for n in range(reps)]
    assert max(counts) - min(counts) <= 1


@given(
    st.lists(st.sampled_from(["ana", "ben", "cy", "none"]), max_size=40),
    st.integers(1, 16),
)
def test_the_turn_never_goes_back(excluded: list[str], weight: int) -> None:
    """Whoever is left out on the way, the team's clock only moves on, and nobody's turn falls behind it by being picked."""
    members = team(rep("ana", weight=weight), "ben", "cy")
    rotation = Rotation()
    for out in excluded:
        change = pick_rep(members, rotation, {}, MONDAY, had_it=[out]).rotation
        assert change is not None
        assert change.clock >= rotation.clock
        assert change.turn > change.clock
        rotation = change.applied_to(rotation)
    assert len(excluded) == rotation.version


@given(st.integers(0, 200), st.integers(1, 5))
def test_back_from_leave(missed: int, others: int) -> None:
    """Who was away while many leads came gets neither all of the next ones nor none: one in each round."""
    away = rep("zoe", away=[("2026-11-23", "2026-11-23")])
    members = team(*(f"r{n}" for n in range(others)), away)
    chosen, rotation = picks(members, missed)
    assert "zoe" not in chosen
    back, _ = picks(members, 3 * (others + 1), rotation, after(24 * 60))
    assert 3 <= back.count("zoe") <= 4
    assert back[: others + 1].count("zoe") in (1, 2)


@pytest.mark.parametrize(
    ("load", "turns", "expected"),
    [
        ({}, {}, "ana"),
        ({}, {"ana": 1}, "ben"),
        ({"ana": 1}, {"ben": 5, "cy": 7}, "ben"),
        ({"ana": 3, "ben": 2, "cy": 5}, {}, "ben"),
        ({"ana": 3, "ben": 3, "cy": 5}, {"cy": 9}, "cy"),
        ({"ana": 1, "ben": 1, "cy": 2}, {"ana": 2, "ben": 1, "cy": 3}, "ben"),
    ],
)
def test_least_open(load: dict[str, int], turns: dict[str, int], expected: str) -> None:
    """The rep with the fewest open leads for their weight is picked; where that is equal it goes in turn."""
    members = team("ana", "ben", rep("cy", weight=2), assignment=LEAST_OPEN)
    assert expected == chosen_id(picked(members, load=load, turns=turns))


NEW_YORK = office("America/New_York")
TOKYO = office("Asia/Tokyo")
BERLIN = office("Europe/Berlin")
#: Monday 20:00 UTC: New York is at work, London and Berlin have gone home, Tokyo opens at midnight UTC.
EVENING = datetime(2026, 11, 23, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reps", "load", "now", "expected"),
    [
        # on shift
        ([rep("lon", calendar=OFFICE), rep("nyc", calendar=NEW_YORK)], {}, EVENING, "nyc"),
        # whose shift opens next
        ([rep("lon", calendar=OFFICE), rep("tok", calendar=TOKYO)], {}, EVENING, "tok"),
        ([rep("lon", calendar=OFFICE), rep("ber", calendar=BERLIN)], {}, EVENING, "ber"),
        # below the cap, and off shift before over the cap
        ([rep("ana", max_open=2), rep("ben")], {"ana": 2, "ben": 9}, MONDAY, "ben"),
        ([rep("ana", max_open=2), rep("tok", calendar=TOKYO)], {"ana": 2}, EVENING, "tok"),
        # all at the cap: somebody on shift, never somebody asleep
        (
            [rep("lon", calendar=OFFICE, max_open=1), rep("nyc", calendar=NEW_YORK, max_open=1)],
            {"lon": 1, "nyc": 7},
            EVENING,
            "nyc",
        ),
        ([rep("ana", max_open=0), rep("ben", away=[("2026-11-01", "2026-12-01")])], {}, MONDAY, "ana"),
        # all on leave: whoever is back first
        (
            [
                rep("ana", away=[("2026-11-20", "2026-11-30")]),
                rep("ben", away=[("2026-11-20", "2026-11-25")]),
            ],
            {},
            MONDAY,
            "ben",
        ),
        # back on the same day, but that day begins in Tokyo first
        (
            [
                rep("nyc", calendar=NEW_YORK, away=[("2026-11-20", "2026-11-25")]),
                rep("tok", calendar=TOKYO, away=[("2026-11-20", "2026-11-25")]),
            ],
            {},
            MONDAY,
            "tok",
        ),
        # two leaves that meet are one
        (
            [
                rep("ana", away=[("2026-11-20", "2026-11-23"), ("2026-11-24", "2026-12-10")]),
                rep("ben", away=[("2026-11-20", "2026-11-30")]),
            ],
            {},
            MONDAY,
            "ben",
        ),
        # back on a Saturday means back on Monday
        (
            [
                rep("ana", calendar=OFFICE, away=[("2026-11-20", "2026-11-27")]),
                rep("ben", away=[("2026-11-20", "2026-11-28")]),
            ],
            {},
            MONDAY,
            "ben",
        ),
        # off shift now, on leave from tomorrow: not the one whose shift opens next
        (
            [
                rep("ana", calendar=OFFICE, away=[("2026-11-24", "2026-12-24")]),
                rep("nyc", calendar=office("America/New_York", "18:00-19:00")),
            ],
            {},
            EVENING,
            "nyc",
        ),
        # gone for good
        (
            [
                rep("ana", away=[("2026-01-01", "9999-12-31")]),
                rep("ben", away=[("2026-01-01", "2099-01-01")]),
            ],
            {},
            MONDAY,
            "ben",
        ),
    ],
)
def test_who_is_nearest_to_answering(
    reps: list[Rep], load: dict[str, int], now: datetime, expected: str
) -> None:
    """On shift, else the next to open, else over the cap, else first back: somebody always gets the lead."""
    assert expected == chosen_id(picked(team(*reps), now, load=load))
    assert expected == chosen_id(picked(team(*reversed(reps)), now, load=load))


def test_leave_is_in_local_days() -> None:
    """A leave ends at midnight where the rep lives."""
    tokyo = rep(
        "tok", calendar=office("Asia/Tokyo", "00:00-24:00", range(7)), away=[("2026-11-23", "2026-11-23")]
    )
    inside = [
        tokyo.leave_at(datetime(2026, 11, 22, 14, 59, tzinfo=UTC)),
        tokyo.leave_at(datetime(2026, 11, 22, 15, tzinfo=UTC)),
        tokyo.leave_at(datetime(2026, 11, 23, 14, 59, tzinfo=UTC)),
        tokyo.leave_at(datetime(2026, 11, 23, 15, tzinfo=UTC)),
    ]
    assert [leave is not None for leave in inside] == [False, True, True, False]
    assert datetime(2026, 11, 23, 15, tzinfo=UTC) == tokyo.next_present(MONDAY)


@pytest.mark.parametrize(
    "timezone", ["Pacific/Kiritimati", "Etc/GMT+12", "Asia/Kathmandu", "America/St_Johns", "UTC"]
)
def test_back_at_local_midnight(timezone: str) -> None:
    """The first instant after leave is the local midnight, in every time zone."""
    calendar = office(timezone, "00:00-24:00", range(7))
    back = rep("ana", calendar=calendar, away=[("2026-11-20", "2026-11-25")]).next_present(MONDAY)
    assert calendar.local_text(back)[:16] == "Thu 26 Nov 00:00"


@pytest.mark.parametrize(
    "reps",
    [
        [rep(r, max_open=0) for r in ("ana", "ben", "cy")],
        [rep(r, away=[("2026-11-20", "2026-11-25")]) for r in ("ana", "ben", "cy")],
        [rep(r, calendar=TOKYO) for r in ("ana", "ben", "cy")],
    ],
)
def test_the_last_resort_goes_in_turn(reps: list[Rep]) -> None:
    """Where all are equally far from answering, the rotation decides as it always does."""
    chosen, _ = picks(team(*reps), 6)
    assert chosen == ["ana", "ben", "cy"] * 2


def test_who_had_it_does_not_get_it_again() -> None:
    """A lead never returns to a rep who lost it; where no others are left the pick is empty and nothing turns."""
    members = team("ana", "ben")
    assert chosen_id(picked(members, had_it=["ana"])) == "ben"
    nobody = picked(members, had_it=["ana", "ben"])
    assert (nobody.rep, nobody.rotation) == (None, None)
    assert nobody.reasons[-1] == "nobody else is left in team inbound"


def test_what_was_asked_before_changes_no_answer() -> None:
    """Presence is kept for the last instant asked: another instant, or another load at the same one, is asked anew."""
    night = MONDAY.replace(hour=3)
    asked_often, never_asked = (team(rep("a", max_open=1, calendar=OFFICE)) for _ in range(2))
    for now, load in (
        (MONDAY, {}),
        (night, {}),
        (MONDAY, {}),
        (MONDAY, {"a": 1}),
        (night, {"a": 1}),
        (night, {}),
    ):
        fresh = replace(never_asked, reps=tuple(replace(one) for one in never_asked.reps))
        assert picked(fresh, now, load=load) == picked(asked_often, now, load=load)
    said = {picked(asked_often, now).reasons for now in (MONDAY, night)}
    assert 2 == len(said)


def test_an_empty_team() -> None:
    """A team without reps picks nobody and says so."""
    assert Pick(None, ("nobody else is left in team inbound",), None) == picked(team())


def test_every_rep_has_a_reason() -> None:
    """The pick says of each rep of the team why they got the lead or not."""
    members = team(
        "ana",
        "ben",
        rep("cy", max_open=3),
        rep("di", calendar=TOKYO),
        rep("ed", away=[("2026-11-20", "2026-11-24")]),
        "flo",
    )
    assert picked(members, load={"cy": 3}, turns={"ana": 9}, had_it=["flo"]).reasons == (
        "flo: had this lead before",
        "ana: on shift, but ben's turn is earlier",
        "ben: picked, on shift, first of 2 by round_robin",
        "cy: at the cap, 3 of 3 open",
        "di: off shift until Tue 24 Nov 09:00 JST",
        "ed: on leave, back Wed 25 Nov 00:00 UTC",
    )


def test_a_lead_is_passed_on_to_nobody_worse_placed_than_its_rep() -> None:
    """A rep on shift keeps a lead that only somebody on leave could take; off shift, it goes to an equal."""
    on_leave = rep("ben", away=[(MONDAY.date().isoformat(), MONDAY.date().isoformat())])
    here = team(rep("ana"), on_leave)
    pick = pick_rep(here, Rotation(), {}, MONDAY, instead_of="ana")
    assert pick.rep is None
    assert any(reason.startswith("ben: on leave") for reason in pick.reasons)
    other = team(rep("ana"), on_leave, rep("cy"))
    assert "cy" == getattr(pick_rep(other, Rotation(), {}, MONDAY, instead_of="ana").rep, "id", None)
