"""Which of many rules match, without asking each: an index on what their conditions compare.

A set of rules is a whole number, one bit for each rule: all rules that are in the running is one number, and an
answer such as "the country is DE" strikes thousands of them out with one `&`. Each field of a lead is looked up
once, in a dictionary of the values that conditions ask for (or by bisection, among the bounds), whatever the
number of rules. What no dictionary can answer is asked last, of those rules only that are still in the running, and
each different condition once.

The answer is that of asking each rule in turn (tests/core/test_condition_index.py holds it against just that).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import or_
from typing import Any, NamedTuple, Protocol

from speed_to_lead.core.conditions import Comparison, Condition, Kind, all_of
from speed_to_lead.core.facts import NOT_GIVEN, Fact, Facts

#: Forms send the same fields again and again: for so many choices of given fields it is remembered what they leave.
REMEMBERED_CHOICES = 500


class Conditional(Protocol):
    """What has conditions: a rule, a detection. All of `when` must hold, and none of `unless`."""

    @property
    def when(self) -> tuple[Condition, ...]: ...  # noqa: D102
    @property
    def unless(self) -> tuple[Condition, ...]: ...  # noqa: D102


class ConditionIndex:
    """The first of many rules that matches. Safe to share between threads."""

    def __init__(self, rules: Sequence[Conditional]) -> None:
        self._all = (1 << len(rules)) - 1
        self._struck_where_missing: dict[str, int] = {}
        self._by_hand: dict[int, list[_ByHand]] = {}
        tables: dict[tuple[str, bool, int], dict[Comparison, int]] = {}
        for asked, numbers in _asked_by(rules).items():
            bits = _bits(numbers)
            holds_of = all_of(asked.comparisons)
            struck = bits if holds_of(NOT_GIVEN) is asked.negated else 0
            self._struck_where_missing[asked.field] = self._struck_where_missing.get(asked.field, 0) | struck
            if asked.is_in_a_table:
                tables.setdefault(asked[:3], {})[asked.comparisons[0]] = bits
                continue
            by_hand = _ByHand(asked.field, asked.negated, holds_of, bits)
            for number in numbers:
                self._by_hand.setdefault(number, []).append(by_hand)
        self._questions: dict[str, list[_Question]] = {}
        for (field, negated, _), table in tables.items():
            self._questions.setdefault(field, []).append(_Question(field, negated, table, self._all))
        self._choices: dict[frozenset[str], _Choice] = {}

    def first_match(self, facts: Facts) -> int | None:
        """The place of the first rule that matches these facts; None where none does."""
        choice = self._choice_of(frozenset(facts.values.keys() & self._struck_where_missing.keys()))
        running = choice.running
        for question in choice.questions:
            if running & question.asking:
                running &= question.left_by(facts[question.field])
        asked: set[_ByHand] = set()
        while running:
            first = running & -running
            number = first.bit_length() - 1
            for by_hand in self._by_hand.get(number, ()):
                if by_hand not in asked:
                    asked.add(by_hand)
                    if by_hand.strikes(facts):
                        running &= ~by_hand.rules
            if running & first:
                return number
        return None

    def _choice_of(self, given: frozenset[str]) -> "_Choice":
        choice = self._choices.get(given)
        if choice is None:
            running = self._all
            for field, struck in self._struck_where_missing.items():
                if field not in given:
                    running &= ~struck
            questions = [question for field in given for question in self._questions.get(field, ())]
            questions.sort(key=lambda question: (question.cost, question.field))
            choice = _Choice(running, tuple(questions))
            if len(self._choices) >= REMEMBERED_CHOICES:
                self._choices.clear()
            self._choices[given] = choice
        return choice


@dataclass(frozen=True, slots=True)
class _Choice:
    """Some fields are given and no others: the rules that leaves, and what to ask about the given ones, cheapest first."""

    running: int
    questions: "tuple[_Question, ...]"


@dataclass(frozen=True, slots=True, eq=False)
class _ByHand:
    """A condition that no table answers, and the rules that share it."""

    field: str
    negated: bool
    holds_of: Callable[[Fact], bool]
    rules: int

    def strikes(self, facts: Facts) -> bool:
        """Whether it speaks against its rules."""
        return self.holds_of(facts[self.field]) is self.negated


class _Asked(NamedTuple):
    """What rules ask of a field (`negated`: must not hold). `place` keeps apart what one rule asks of one field."""

    field: str
    negated: bool
    place: int
    comparisons: tuple[Comparison, ...]

    @property
    def is_in_a_table(self) -> bool:
        return len(self.comparisons) == 1 and all(one.kind in _TABLES for one in self.comparisons[0])


def _asked_by(rules: Sequence[Conditional]) -> dict[_Asked, list[int]]:
    """Everything different that is asked, with the numbers of the rules that ask it."""
    asked: dict[_Asked, list[int]] = {}
    for number, rule in enumerate(rules):
        places: dict[str, int] = {}
        for condition in rule.when:
            for comparison in condition.comparisons:  # all must hold, so each stands alone
                place = places[condition.field] = places.get(condition.field, -1) + 1
                asked.setdefault(_Asked(condition.field, False, place, (comparison,)), []).append(number)
        for condition in rule.unless:  # several comparisons speak against it only where all of them hold
            asked.setdefault(_Asked(condition.field, True, 0, condition.comparisons), []).append(number)
    return asked


def _bits(numbers: Sequence[int]) -> int:
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


class _Question:
    """What many rules ask of one field, each one thing: one look at the field's value says which rules it leaves."""

    __slots__ = ("_all", "_lookups", "_negated", "_others", "asking", "cost", "field")

    def __init__(self, field: str, negated: bool, table: Mapping[Comparison, int], everything: int) -> None:
        self.field = field
        self.asking = 0
        by_kind: dict[Kind, dict[Any, int]] = {}
        for comparison, rules in table.items():
            self.asking |= rules
            for kind, wanted in comparison:
                rules_by_value = by_kind.setdefault(kind, {})
                known = rules_by_value.get(wanted)
                # The number itself where it is the only one: ten thousand names of accounts share their rules' numbers.
                rules_by_value[wanted] = rules if known is None else known | rules
        self._negated = negated
        self._all = everything
        self._others = everything ^ self.asking
        self._lookups = tuple(_TABLES[kind](values) for kind, values in by_kind.items())
        self.cost = max(map(list(_TABLES).index, by_kind))

    def left_by(self, fact: Fact) -> int:
        """The rules that stay in the running, those included that do not ask."""
        holding = 0
        for rules_holding in self._lookups:
            holding |= rules_holding(fact)
        return self._all ^ holding if self._negated else self._others | holding


# --- Tables: which rules hold of a fact that is given, by what they compare --------------------------------------

_Lookup = Callable[[Fact], int]


def _by_presence(rules: Mapping[bool, int]) -> _Lookup:
    where_given = rules.get(True, 0)
    return lambda _fact: where_given


def _by_text(rules: Mapping[str, int]) -> _Lookup:
    def holding(fact: Fact) -> int:
        found = 0
        for text in fact.texts:
            found |= rules.get(text, 0)
        return found

    return holding


def _by_beginning(rules: Mapping[str, int]) -> _Lookup:
    lengths = sorted(set(map(len, rules)))

    def holding(fact: Fact) -> int:
        found = 0
        for text in fact.texts:
            for length in lengths:
                if length > len(text):
                    break
                found |= rules.get(text[:length], 0)
        return found

    return holding


def _by_ending(rules: Mapping[str, int]) -> _Lookup:
    lengths = sorted(set(map(len, rules)))

    def holding(fact: Fact) -> int:
        found = 0
        for text in fact.texts:
            for length in lengths:
                if length > len(text):
                    break
                found |= rules.get(text[len(text) - length :], 0)
        return found

    return holding


def _by_domain(rules: Mapping[str, int]) -> _Lookup:
    longest = max(map(len, rules))

    def holding(fact: Fact) -> int:
        found = 0
        for host in fact.hosts:
            found |= rules.get(host, 0)
            dot = host.rfind(".")
            while dot >= 0 and len(host) - dot - 1 <= longest:
                found |= rules.get(host[dot + 1 :], 0)
                dot = host.rfind(".", 0, dot)
        return found

    return holding


def _by_number(rules: Mapping[float, int]) -> _Lookup:
    def holding(fact: Fact) -> int:
        found = 0
        for least, most in fact.ranges:
            if least == most:
                found |= rules.get(least, 0)
        return found

    return holding


def _by_least(rules: Mapping[float, int]) -> _Lookup:
    limits = sorted(rules)
    up_to = [0, *accumulate((rules[limit] for limit in limits), or_)]

    def holding(fact: Fact) -> int:
        found = 0
        for least, _ in fact.ranges:
            if least == least:  # noqa: PLR0124 - NaN is at least nothing, and would be found beyond all limits
                found |= up_to[bisect_right(limits, least)]
        return found

    return holding


def _by_most(rules: Mapping[float, int]) -> _Lookup:
    limits = sorted(rules)
    down_to = [0, *accumulate((rules[limit] for limit in reversed(limits)), or_)]

    def holding(fact: Fact) -> int:
        found = 0
        for _, most in fact.ranges:
            if most == most:  # noqa: PLR0124 - as above
                found |= down_to[len(limits) - bisect_left(limits, most)]
        return found

    return holding


def _by_part(rules: Mapping[str, int]) -> _Lookup:
    lengths = sorted(set(map(len, rules)))

    def holding(fact: Fact) -> int:
        found = 0
        for text in fact.texts:
            if len(text) * len(lengths) > len(rules):  # a long text: look for each part in it
                for part, bits in rules.items():
                    if part in text:
                        found |= bits
                continue
            for length in lengths:  # many parts: look up each piece of the text
                for start in range(len(text) - length + 1):
                    found |= rules.get(text[start : start + length], 0)
        return found

    return holding


#: By kind, cheapest first. A pattern is asked by hand.
_TABLES: Mapping[Kind, Callable[[Mapping[Any, int]], _Lookup]] = {
    Kind.GIVEN: _by_presence,
    Kind.TEXT: _by_text,
    Kind.BEGINNING: _by_beginning,
    Kind.ENDING: _by_ending,
    Kind.DOMAIN: _by_domain,
    Kind.NUMBER: _by_number,
    Kind.AT_LEAST: _by_least,
    Kind.AT_MOST: _by_most,
    Kind.PART: _by_part,
}
