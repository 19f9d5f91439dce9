"""The score: points by condition, so that rules can tell who is worth an answer in five minutes from who is not yet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from speed_to_lead.core.condition_index import ConditionIndex
from speed_to_lead.core.conditions import Condition
from speed_to_lead.core.facts import Facts

#: A lead that no points are given for, or taken from.
NO_SCORE = 0


@dataclass(frozen=True, slots=True)
class Points:
    """So many points (fewer than none: taken away) for a lead of which all of `when` hold and none of `unless`."""

    name: str
    points: int
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()


class Scoring:
    """Points in their order, ready to be asked: what a lead costs hardly depends on how many there are."""

    def __init__(self, points: Sequence[Points]) -> None:
        self._points = tuple(points)
        self._index = ConditionIndex(self._points)

    def given_to(self, facts: Facts) -> list[Points]:
        """The points that a lead gets, in their order; its score is their sum."""
        return [self._points[number] for number in self._index.all_matches(facts)]


def score_line(given: Sequence[Points]) -> str:
    """The score as a trace tells it, with every point: `score is 35: +25 "Asks for a demo", +10 "Decision-maker"`."""
    total = sum(one.points for one in given)
    parts = ", ".join(f'{one.points:+} "{one.name}"' for one in given)
    return f"score is {total}: {parts}" if parts else f"score is {total}: no points are for it"


def reachable_scores(scoring: Iterable[Points], known: Facts) -> frozenset[int]:
    """Every score that a lead of these known fields can have, were all other conditions to hold in any combination."""
    lowest = 0
    sums = 1  # one bit for each sum, from the lowest up
    for one in scoring:
        asked = [(one_asked, False) for one_asked in one.when] + [(refused, True) for refused in one.unless]
        told = [(condition, negated) for condition, negated in asked if condition.field in known.given]
        if any(condition.holds(known) is negated for condition, negated in told):
            continue
        is_certain = len(told) == len(asked)
        with_it = sums if one.points < 0 else sums << one.points
        without_it = sums << -one.points if one.points < 0 else sums
        lowest += min(one.points, 0)
        sums = with_it if is_certain else with_it | without_it
    return frozenset(lowest + place for place in range(sums.bit_length()) if sums >> place & 1)
