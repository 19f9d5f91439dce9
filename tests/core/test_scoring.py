"""The score: which points a lead gets, what the trace says of them, and what scores there can be at all."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.builders import MONDAY, conditions, generic, rule, rulebook

from speed_to_lead.core.facts import Facts
from speed_to_lead.core.routing import Route, Rulebook, route_of
from speed_to_lead.core.scoring import Points, reachable_scores


def points(
    name: str, count: int, when: dict[str, Any] | None = None, unless: dict[str, Any] | None = None
) -> Points:
    return Points(name, count, conditions(when), conditions(unless))


SCORING = (
    points("Large", 20, {"employees": {"at_least": 200}}),
    points("Asks", 30, {"source": "demo_request"}),
    points("Student", -15, {"title": {"contains": "student"}}),
    points("Not from a fair", 5, {"title": {"missing": False}}, {"campaign": "fair*"}),
)


def _route(*scoring: Points, **fields: Any) -> Route:
    plain = rulebook(
        rule("hot", when={"score": {"at_least": 50}}), rule("cold", when={"score": {"at_most": -10}})
    )
    book = Rulebook(
        plain.taxonomy,
        plain.calendars,
        plain.teams,
        plain.slas,
        plain.rules,
        plain.default,
        "digest",
        scoring=scoring,
    )
    return route_of(generic(**fields), "demo", None, MONDAY, book)


@pytest.mark.parametrize(
    ("fields", "line", "matched"),
    [
        (
            {"employees": "201-500", "source": "demo_request", "title": "VP"},
            'score is 55: +20 "Large", +30 "Asks", +5 "Not from a fair"',
            "hot",
        ),
        ({"title": "Student", "campaign": "fair 2026"}, 'score is -15: -15 "Student"', "cold"),
        ({"employees": "51-200"}, "score is 0: no points are for it", "Everything"),
    ],
)
def test_a_score_is_the_sum_of_the_points_that_are_for_a_lead(
    fields: dict[str, Any], line: str, matched: str
) -> None:
    """Rules decide on it, and the trace lists every point."""
    route = _route(*SCORING, **fields)
    assert (matched, [line]) == (route.rule.name, [one for one in route.trace if one.startswith("score")])


def test_without_points_every_score_is_nothing() -> None:
    """No file, no line in the trace; a rule may ask all the same."""
    route = _route(employees=500)
    assert "Everything" == route.rule.name
    assert [] == [one for one in route.trace if one.startswith("score")]


@given(st.lists(st.integers(-9, 9).filter(bool), max_size=7))
def test_reachable_scores_are_the_sums_of_all_combinations(counts: list[int]) -> None:
    """Every combination, and nothing else."""
    scoring = [points(f"p{n}", count, {f"custom.{n}": "x"}) for n, count in enumerate(counts)]
    sums = {sum(chosen) for size in range(len(counts) + 1) for chosen in combinations(counts, size)}
    assert sums == reachable_scores(scoring, Facts({}))


def test_what_is_known_of_a_lead_bounds_its_score() -> None:
    """Points of another source are out of reach, those of its own are certain."""
    assert {30, 50, 35, 55, 15, 20, 40} == reachable_scores(SCORING, Facts({"source": "demo_request"}))
    assert {-15, -10, 0, 5, 10, 20, 25} == reachable_scores(SCORING, Facts({"source": "referral"}))
