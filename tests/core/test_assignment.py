"""Assignment: fair shares in exact integers, and somebody for every lead."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.builders import MONDAY, OFFICE, after, office, rep, team

from speed_to_lead.core.assignment import (
    STRIDE,
    Assignment,
    Pick,
    Rotation,
    Tally,
    Team,
    WhenNobody,
    assign,
    pick_rep,
    teams_asked,
)
from speed_to_lead.core.clock import to_ms
from speed_to_lead.core.facts import Facts
from speed_to_lead.core.reps import Absence, Given, Rep

LEAST_OPEN = Assignment.LEAST_OPEN


def picks(
    members: Team, count: int, rotation: Rotation | None = None, now: datetime = MONDAY
) -> tuple[list[str], Rotation]:
    """The reps of so many leads in a row, none of which is ever answered, and the rotation after them."""
    rotation = rotation or Rotation()
    chosen: list[str] = []
    for _ in range(count):
        pick = pick_rep(members, Tally({members.name: rotation}, Counter(chosen)), now)
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
    return pick_rep(
        members, Tally({members.name: Rotation(turns=turns or {})}, dict(load or {})), now, had_it=had_it
    )


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
        change = pick_rep(members, Tally({members.name: rotation}), MONDAY, had_it=[out]).rotation
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
    assert Pick(None, ("nobody else is left in team inbound",), None, team()) == picked(team())


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
    pick = pick_rep(here, Tally(), MONDAY, instead_of="ana")
    assert pick.rep is None
    assert any(reason.startswith("ben: on leave") for reason in pick.reasons)
    other = team(rep("ana"), on_leave, rep("cy"))
    assert "cy" == getattr(pick_rep(other, Tally(), MONDAY, instead_of="ana").rep, "id", None)


# --- who was not there, and who was passed by ------------------------------------------------------------------------


@given(st.integers(1, 4), st.integers(1, 3), st.integers(2, 30))
def test_a_shift_of_one_lead_a_day_is_shared_too(early: int, leads_a_day: int, days: int) -> None:
    """Those who share a short shift share its leads, however many others get meanwhile."""
    short = [rep(f"s{n}", calendar=OFFICE) for n in range(2)]
    members = team(*short, *(rep(f"e{n}", calendar=office("UTC", "17:00-09:00")) for n in range(early)))
    rotation, counts = Rotation(), Counter[str]()
    for day in range(days):
        for minutes, leads in ((0, leads_a_day), (10 * 60, 3 * early)):
            chosen, rotation = picks(members, leads, rotation, after(day % 4 * 24 * 60 + minutes))
            counts.update(chosen)
            assert abs(counts["s0"] - counts["s1"]) <= 1


@given(
    st.lists(
        st.tuples(st.sampled_from(["pick", "pass on", "lost"]), st.sampled_from("abcd")),
        max_size=60,
    )
)
def test_what_is_passed_on_moves_nobodys_turn_but_the_new_reps(history: list[tuple[str, str]]) -> None:
    """A lead passed on counts for who gets it; those it passed by keep their turn, and a lost pick changes nothing."""
    members = team("a", "b", "c", "d")
    tally = Tally()
    for what, who in history:
        had_it = {who} if what == "pass on" else set[str]()
        pick = pick_rep(members, tally, MONDAY, had_it=had_it)
        assert pick.rotation is not None
        if what == "lost":
            continue
        before = {r: tally.rotation("inbound").turns.get(r, 0) for r in "abcd"}
        if what == "pass on":
            assert tally.rotation("inbound").clock == pick.rotation.clock
        tally.rotations["inbound"] = pick.rotation.applied_to(tally.rotation("inbound"))
        moved = {r for r in "abcd" if tally.rotation("inbound").turns.get(r, 0) != before[r]}
        assert {pick.rotation.rep} == moved
        assert before[pick.rotation.rep] + STRIDE == pick.rotation.turn


@settings(deadline=None)  # many small draws: slow on a busy machine
@given(st.data())
def test_whoever_is_always_there_gets_as_many_as_the_others(data: st.DataObject) -> None:
    """Whatever the others do (leave, absence, other weights), two equals who are always there differ by one at most."""
    others = [rep(f"o{n}", weight=data.draw(st.integers(1, 5))) for n in range(data.draw(st.integers(0, 3)))]
    members = team("x", *others, "y")
    tally, counts = Tally(), Counter[str]()
    for _ in range(data.draw(st.integers(0, 50))):
        gone = data.draw(st.sets(st.sampled_from([one.id for one in others]))) if others else set[str]()
        tally.away = {who: Absence("kim", MONDAY) for who in gone}
        pick = pick_rep(members, tally, MONDAY)
        assert pick.rep is not None
        assert pick.rotation is not None
        tally.rotations["inbound"] = pick.rotation.applied_to(tally.rotation("inbound"))
        counts[pick.rep.id] += 1
        assert abs(counts["x"] - counts["y"]) <= 1


# --- caps and cooldowns --------------------------------------------------------------------------------------------


def given_leads(
    members: Team, times: Sequence[datetime], *, answered: bool = False
) -> list[tuple[str | None, tuple[str, ...]]]:
    """Who gets a lead at each of these instants, with the reasons."""
    tally, found = Tally(), []
    for now in times:
        pick = pick_rep(members, tally, now)
        if pick.rotation is not None:
            tally.rotations[members.name] = pick.rotation.applied_to(tally.rotation(members.name))
            if pick.rotation.given is not None:
                tally.given[pick.rotation.rep] = pick.rotation.given
            if not answered:
                tally.load[pick.rotation.rep] = tally.load.get(pick.rotation.rep, 0) + 1
        found.append((chosen_id(pick), pick.reasons))
    return found


def test_a_cap_a_day_is_of_the_reps_own_day() -> None:
    """The cap counts what was given on one day of the rep's time zone, answered or not, and begins anew at midnight."""
    tokyo = rep("tok", calendar=office("Asia/Tokyo", "00:00-24:00", range(7)), max_a_day=2, weight=9)
    members = team(tokyo, rep("ben"))
    monday = datetime(2026, 11, 23, 14, 50, tzinfo=UTC)  # ten minutes before Tuesday in Tokyo
    found = given_leads(members, [after(n, monday) for n in (0, 1, 2, 3, 10)], answered=True)
    assert ["tok", "ben", "tok", "ben", "tok"] == [who for who, _ in found]
    assert "tok: at the cap of the day, 2 of 2 given" in found[3][1]


def test_a_cooldown_lies_between_two_leads() -> None:
    """Nobody gets a lead during their cooldown while somebody else is there; where all cool down, who is ready next."""
    members = team(*(rep(r, cooldown=timedelta(minutes=5)) for r in ("ana", "ben")))
    found = given_leads(members, [after(n) for n in (0, 0, 1, 5, 6.01)])
    assert ["ana", "ben", "ana", "ben", "ana"] == [who for who, _ in found]
    assert "ana: picked, cooldown until Mon 23 Nov 09:05 UTC, first of 2 by round_robin" in found[2][1]
    assert "ana: cooldown until Mon 23 Nov 09:06 UTC" in found[3][1]


def test_who_cools_down_still_takes_over_a_lead() -> None:
    """A cooldown keeps nobody from taking over what somebody else lets wait."""
    members = team("ana", rep("ben", cooldown=timedelta(minutes=5)))
    tally = Tally(given={"ben": Given(MONDAY.date(), 1, MONDAY)})
    assert "ben" == chosen_id(pick_rep(members, tally, after(1), instead_of="ana"))


def test_an_absence_counts_like_leave() -> None:
    """Who was set away gets nothing until they are back; the trace says who said so."""
    members = team("ana", "ben")
    for until, text in (
        (after(60), "ana: away, says kim, back Mon 23 Nov 10:00 UTC"),
        (None, "ana: away until they are back, says kim"),
    ):
        tally = Tally(away={"ana": Absence("kim", MONDAY, until)})
        pick = pick_rep(members, tally, after(59))
        assert (chosen_id(pick), pick.reasons[0]) == ("ben", text)
    assert "ana" == chosen_id(
        pick_rep(members, Tally(away={"ana": Absence("kim", MONDAY, after(60))}), after(60))
    )


def test_an_absence_of_a_thousand_years_works_out_none_of_them() -> None:
    """A calendar grows to every day it is asked of: a router would stand still over it with its next lead."""
    members = team("ana", "ben")
    away = {"ana": Absence("kim", MONDAY, datetime(2999, 12, 31, tzinfo=UTC))}
    assert "ben" == chosen_id(pick_rep(members, Tally(away=away), MONDAY))
    table = members.reps[0].calendar._table
    assert table is None or table.until < to_ms(after(10 * 366 * 24 * 60))


# --- by field ------------------------------------------------------------------------------------------------------

SPEAKERS = (
    rep("ana", attributes={"language": ["de", "en"], "territory": ["DE", "AT"]}),
    rep("ben", attributes={"language": ["en"], "territory": ["*"]}),
    rep("cy", attributes={"language": ["de"], "territory": ["CH"]}),
)


def facts(**fields: str) -> Facts:
    return Facts({name.replace("__", "."): value for name, value in fields.items()})


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"custom__language": "DE ", "country": "de"}, {"ana"}),
        ({"custom__language": "de"}, {"ana", "cy"}),
        ({"custom__language": "en", "country": "FR"}, {"ben"}),
        ({"country": "CH"}, {"ben", "cy"}),
        ({}, {"ana", "ben", "cy"}),
        ({"custom__language": "fr"}, {"ana", "ben", "cy"}),
    ],
)
def test_by_field(asked: dict[str, str], expected: set[str]) -> None:
    """Round robin among those who match all that the lead says; among all where nobody does."""
    members = team(*SPEAKERS, match={"language": "custom.language", "territory": "country"})
    tally, chosen = Tally(), []
    for _ in range(6):
        pick = assign(members, {}, tally, facts(**asked), MONDAY)
        assert pick.rep is not None
        assert pick.rotation is not None
        chosen.append(pick.rep.id)
        tally.rotations["inbound"] = pick.rotation.applied_to(tally.rotation("inbound"))
    assert dict.fromkeys(expected, 6 // len(expected)) == Counter(chosen)


def test_by_field_explains_who_does_not_match() -> None:
    """The trace has the lead's value and the rep's."""
    members = team(*SPEAKERS, match={"language": "custom.language"})
    pick = assign(members, {}, Tally(), facts(custom__language="de"), MONDAY)
    assert 'ben: no match, custom.language is "de", language is en' in pick.reasons
    assert 3 == len(pick.reasons)


@given(st.lists(st.sampled_from(["de", "en"]), max_size=60))
def test_groups_share_apart(languages: list[str]) -> None:
    """Among those who match a kind of lead the shares are even, whatever other kinds come in between."""
    members = team(*SPEAKERS, match={"language": "custom.language"})
    tally, counts = Tally(), Counter[tuple[str, str]]()
    for language in languages:
        pick = assign(members, {}, tally, facts(custom__language=language), MONDAY)
        assert pick.rep is not None
        assert pick.rotation is not None
        tally.rotations["inbound"] = pick.rotation.applied_to(tally.rotation("inbound"))
        counts[language, pick.rep.id] += 1
        assert abs(counts["de", "ana"] - counts["de", "cy"]) <= 1
        assert abs(counts["en", "ana"] - counts["en", "ben"]) <= 1


@given(st.lists(st.sampled_from(["DE", "AT", "CH", "FR", "BE"]), max_size=60))
@settings(deadline=None)
def test_whoever_matches_the_same_leads_shares_them_evenly(countries: list[str]) -> None:
    """Equals by all that is asked differ by one lead at the most, however many values the leads come with."""
    german, french = ["DE", "AT", "CH"], ["FR", "BE", "CH"]
    members = team(
        *(rep(name, attributes={"territory": german}) for name in ("ana", "ben", "cy")),
        *(rep(f"{'long' * 9}-{number}", attributes={"territory": french}) for number in range(2)),
        match={"territory": "country"},
    )
    tally, counts = Tally(), {among: Counter[str]() for among in ("german", "french", "both")}
    for country in countries:
        pick = assign(members, {}, tally, facts(country=country), MONDAY)
        assert pick.rep is not None
        assert pick.rotation is not None
        tally.rotations["inbound"] = pick.rotation.applied_to(tally.rotation("inbound"))
        among = "both" if country == "CH" else "german" if country in german else "french"
        counts[among][pick.rep.id] += 1
    ids = [one.id for one in members.reps]
    for among, who in (("german", ids[:3]), ("french", ids[3:]), ("both", ids)):
        had = [counts[among][name] for name in who]
        assert max(had) - min(had) <= 1


# --- nobody --------------------------------------------------------------------------------------------------------

NIGHT = MONDAY.replace(hour=3)


def by_name(*teams: Team) -> dict[str, Team]:
    return {one.name: one for one in teams}


def test_a_lead_goes_on_to_another_team_while_nobody_is_available() -> None:
    """Along the chain to the first team where somebody is; the last one decides what becomes of it otherwise."""
    first = team(rep("ana", calendar=OFFICE), name="first", overflow="second")
    second = team(rep("ben", calendar=OFFICE), name="second", overflow="third")
    third = team(rep("cy", calendar=OFFICE), rep("dan"), name="third")
    teams = by_name(first, second, third)
    at_night = assign(first, teams, Tally(), facts(), NIGHT)
    assert (chosen_id(at_night), at_night.team.name) == ("dan", "third")
    assert (
        "ana: off shift until Mon 23 Nov 09:00 UTC",
        'nobody of team "first" is available, so it goes to team "second"',
    ) == at_night.reasons[:2]
    assert "ana" == chosen_id(assign(first, teams, Tally(), facts(), MONDAY))
    assert ("first", "second", "third") == teams_asked(first, teams)
    asleep = by_name(first, second, replace(third, reps=third.reps[:1]))
    assert "cy" == chosen_id(assign(first, asleep, Tally(), facts(), NIGHT))
    queueing = by_name(first, second, replace(asleep["third"], when_nobody=WhenNobody.QUEUE))
    assert assign(first, queueing, Tally(), facts(), NIGHT).waits


def test_a_loop_of_teams_ends() -> None:
    """Config refuses it; a rulebook that has one all the same asks each team once."""
    teams = by_name(
        team(rep("ana", calendar=OFFICE), name="a", overflow="b"),
        team(rep("ben", calendar=OFFICE), name="b", overflow="a"),
    )
    assert "ben" == chosen_id(assign(teams["a"], teams, Tally(), facts(), NIGHT))
    assert ("a", "b") == teams_asked(teams["a"], teams)


def test_whom_nobody_matches_goes_to_another_team() -> None:
    """A lead that nobody has the attributes for goes where config says, also while somebody is available."""
    speakers = team(*SPEAKERS, match={"language": "custom.language"}, unmatched="world")
    pick = assign(speakers, by_name(team("zoe", name="world")), Tally(), facts(custom__language="fr"), MONDAY)
    assert (chosen_id(pick), pick.team.name) == ("zoe", "world")
    assert 'nobody of team "inbound" matches, so it goes to team "world"' in pick.reasons


def test_a_lead_waits_while_nobody_is_available() -> None:
    """In a team that queues, a lead gets no rep who is off shift or at a cap; passed on, it stays where it is."""
    queue = team(
        rep("ana", calendar=OFFICE), rep("ben", max_open=1), when_nobody=WhenNobody.QUEUE, name="queue"
    )
    full = Tally(load={"ben": 1})
    pick = assign(queue, {}, full, facts(), NIGHT)
    assert (pick.rep, pick.rotation, pick.waits) == (None, None, True)
    assert (
        "ana: off shift until Mon 23 Nov 09:00 UTC",
        "ben: at the cap, 1 of 1 open",
    ) == pick.reasons
    assert "ana" == chosen_id(assign(queue, {}, full, facts(), MONDAY))
    assert not assign(queue, {}, full, facts(), NIGHT, instead_of="ana").waits


@pytest.mark.parametrize("way", ["overflow", "unmatched"])
def test_a_lead_is_taken_from_nobody_who_can_answer_sooner_than_another_team(way: str) -> None:
    """What is passed on goes to another team only where somebody there is as well placed as who has the lead."""
    holder = rep("ana", attributes={"language": ["de"]})
    onward: dict[str, Any] = {way: "b"}
    match = {"language": "custom.language"} if way == "unmatched" else None
    for other, expected in ((rep("ben", calendar=OFFICE), None), (rep("ben"), "ben")):
        teams = by_name(team(holder, name="a", match=match, **onward), team(other, name="b"))
        lead = facts(custom__language="fr")
        pick = assign(teams["a"], teams, Tally(), lead, NIGHT, instead_of="ana")
        assert (expected, pick.rep is None) == (pick.rep and pick.rep.id, expected is None)
        gone = Tally(away={"ana": Absence("kim", NIGHT)})
        assert "ben" == chosen_id(assign(teams["a"], teams, gone, lead, NIGHT, instead_of="ana"))
