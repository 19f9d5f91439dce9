"""Which of many rules match, without asking each: an index on what their conditions compare.

A set of rules is a whole number, one bit for each rule: all rules that are in the running is one number, and an
answer such as "the country is DE" strikes thousands of them out with one `&`. Each field of a lead is looked up
once, in a dictionary of the values that conditions ask for (or by bisection, among the bounds), whatever the
number of rules. Only parts of texts may have to be looked for one by one, each different one once.

The answer is that of asking each rule in turn (tests/core/test_condition_index.py holds it against just that).
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from operator import and_, or_
from typing import Any, Protocol

from speed_to_lead.core.conditions import Comparison, Condition, Kind, is_pattern
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
        self._questions: dict[str, list[_Question]] = {}
        for (field, negated, _, _), table in _asked_by(rules).items():
            question = _Question(field, negated, table, self._all)
            self._questions.setdefault(field, []).append(question)
            struck = self._all ^ question.left_by(NOT_GIVEN)
            self._struck_where_missing[field] = self._struck_where_missing.get(field, 0) | struck
        self._choices: dict[frozenset[str], _Choice] = {}

    def first_match(self, facts: Facts) -> int | None:
        """The place of the first rule that matches these facts; None where none does."""
        running = self._matching(facts)
        return (running & -running).bit_length() - 1 if running else None

    def all_matches(self, facts: Facts) -> list[int]:
        """The places of all rules that match these facts, in their order."""
        running = self._matching(facts)
        found = []
        while running:
            lowest = running & -running
            found.append(lowest.bit_length() - 1)
            running ^= lowest
        return found

    def _matching(self, facts: Facts) -> int:
        choice = self._choice_of(frozenset(facts.given.keys() & self._questions.keys()))
        running = choice.running
        for question in choice.questions:
            if not question.is_costly or running & question.asking:
                running &= question.left_by(facts[question.field])
        return running

    def _choice_of(self, given: frozenset[str]) -> "_Choice":
        choice = self._choices.get(given)
        if choice is None:
            running = self._all
            for field, struck in self._struck_where_missing.items():
                if field not in given:
                    running &= ~struck
            questions = [question for field in given for question in self._questions[field]]
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


#: What is asked of a field: the comparisons that must all hold, with the rules that ask it.
_Table = dict[tuple[Comparison, ...], int]


def _asked_by(rules: Sequence[Conditional]) -> dict[tuple[str, bool, int, int], _Table]:
    """All conditions by their field, whether they must not hold, and how many comparisons they have.

    The last number keeps apart what one rule asks of one field, so that in a table each rule has one condition.
    """
    tables: dict[tuple[str, bool, int, int], _Table] = {}
    for number, rule in enumerate(rules):
        rule_bit = 1 << number
        asked: Counter[tuple[str, bool, int]] = Counter()
        for negated, conditions in ((False, rule.when), (True, rule.unless)):
            for condition in conditions:
                about = (condition.field, negated, len(condition.comparisons))
                table = tables.setdefault((*about, asked[about]), {})
                table[condition.comparisons] = table.get(condition.comparisons, 0) | rule_bit
                asked[about] += 1
    return tables


class _Question:
    """What many rules ask of one field, each one condition: one look at the value says which rules it leaves."""

    __slots__ = ("_all", "_holding", "_negated", "_others", "asking", "cost", "field", "is_costly")

    def __init__(self, field: str, negated: bool, table: _Table, everything: int) -> None:
        self.field = field
        self.asking = 0
        rules_by_value: list[dict[Kind, dict[Any, int]]] = [{} for _ in next(iter(table))]
        for comparisons, rules in table.items():
            self.asking |= rules
            for by_kind, comparison in zip(rules_by_value, comparisons, strict=True):
                for kind, wanted in comparison:
                    by_value = by_kind.setdefault(kind, {})
                    known = by_value.get(wanted)
                    # The same number where there is no other: the names of accounts in a long list share one.
                    by_value[wanted] = rules if known is None else known | rules
        self._negated = negated
        self._all = everything
        self._others = everything ^ self.asking
        self._holding = _all_of(
            [
                _any_of([_TABLES[kind](by_value) for kind, by_value in kinds.items()])
                for kinds in rules_by_value
            ]
        )
        kinds_asked = {kind for kinds in rules_by_value for kind in kinds}
        self.cost = max(map(list(_TABLES).index, kinds_asked))
        self.is_costly = not kinds_asked.isdisjoint((Kind.PART, Kind.PATTERN))

    def left_by(self, fact: Fact) -> int:
        """The rules that stay in the running, those included that do not ask."""
        holding = self._holding(fact)
        return self._all ^ holding if self._negated else self._others | holding


#: Of a fact, the rules whose condition holds of it.
_Lookup = Callable[[Fact], int]


def _any_of(lookups: Sequence[_Lookup]) -> _Lookup:
    if len(lookups) == 1:
        return lookups[0]
    return lambda fact: reduce(or_, [lookup(fact) for lookup in lookups])


def _all_of(lookups: Sequence[_Lookup]) -> _Lookup:
    if len(lookups) == 1:
        return lookups[0]
    return lambda fact: reduce(and_, [lookup(fact) for lookup in lookups])


# --- Tables: whose condition holds of a fact, by what they compare --------------------------------------


def _by_presence(rules: Mapping[bool, int]) -> _Lookup:
    given, missing = rules.get(True, 0), rules.get(False, 0)
    return lambda fact: missing if fact.value is None else given


def _by_meaning(rules: Mapping[str, int]) -> _Lookup:
    def holding(fact: Fact) -> int:
        found = 0
        for meaning in fact.meanings:
            found |= rules.get(meaning, 0)
        return found

    return holding


def _by_text(rules: Mapping[str, int]) -> _Lookup:
    def holding(fact: Fact) -> int:
        found = 0
        for text in fact.texts:
            found |= rules.get(text, 0)
        return found

    return holding


def _by_beginning(rules: Mapping[str, int]) -> _Lookup:
    return _by_end(rules, lambda text, length: text[:length])


def _by_ending(rules: Mapping[str, int]) -> _Lookup:
    return _by_end(rules, lambda text, length: text[len(text) - length :])


def _by_end(rules: Mapping[str, int], end_of: Callable[[str, int], str]) -> _Lookup:
    """By the first or the last so many characters, as `end_of` cuts them off."""
    lengths = sorted(set(map(len, rules)))

    def holding(fact: Fact) -> int:
        found = 0
        for text in fact.texts:
            for length in lengths:
                if length > len(text):
                    break
                found |= rules.get(end_of(text, length), 0)
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


def _by_pattern(rules: Mapping[tuple[str, ...], int]) -> _Lookup:
    """By the longest of each pattern's texts; only patterns whose longest text is there are compared whole."""
    patterns = list(rules.items())
    by_kind: dict[Kind, dict[str, int]] = {}
    for number, (parts, _) in enumerate(patterns):
        longest = max(parts, key=len)
        kind = Kind.BEGINNING if longest is parts[0] else Kind.ENDING if longest is parts[-1] else Kind.PART
        numbers = by_kind.setdefault(kind, {})
        numbers[longest] = numbers.get(longest, 0) | 1 << number
    lookups = [_TABLES[kind](numbers) for kind, numbers in by_kind.items()]

    def holding(fact: Fact) -> int:
        found, candidates = 0, 0
        for lookup in lookups:
            candidates |= lookup(fact)
        while candidates:
            lowest = candidates & -candidates
            candidates ^= lowest
            parts, bits = patterns[lowest.bit_length() - 1]
            if any(is_pattern(text, parts) for text in fact.texts):
                found |= bits
        return found

    return holding


#: By kind, cheapest first.
_TABLES: Mapping[Kind, Callable[[Mapping[Any, int]], _Lookup]] = {
    Kind.GIVEN: _by_presence,
    Kind.MEANING: _by_meaning,
    Kind.TEXT: _by_text,
    Kind.BEGINNING: _by_beginning,
    Kind.ENDING: _by_ending,
    Kind.DOMAIN: _by_domain,
    Kind.NUMBER: _by_number,
    Kind.AT_LEAST: _by_least,
    Kind.AT_MOST: _by_most,
    Kind.PART: _by_part,
    Kind.PATTERN: _by_pattern,
}
