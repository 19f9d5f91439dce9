"""Conditions of rules and detections: a value, a list, or a table of comparisons. No expressions.

A value or list means equals: texts case-folded and trimmed, `*` matches any run of characters, numbers as
numbers. Tables hold when all of their comparisons hold. A field that is not there holds nothing but `missing`;
a field of several values (a question with several answers ticked) holds what any one of them holds.

No condition ever fails on a lead's value, however odd: it holds, or it does not.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, NamedTuple

from speed_to_lead.core.facts import Fact, Facts, is_personal
from speed_to_lead.core.meanings import PLAIN, Spellings
from speed_to_lead.core.values import folded, host_of

OPERATORS = ("at_least", "at_most", "domain", "prefix", "contains", "missing")


_SEPARATORS = re.compile(r"[\s()./-]+")


class ConditionError(ValueError):
    """The condition is not one of the forms rules are written in; the text says which are."""


class Kind(Enum):
    """What an alternative compares; `wanted` of each is in brackets."""

    MEANING = auto()  # it means this, however it is spelt: a country's code
    GIVEN = auto()  # the field is there (True) or not (False)
    TEXT = auto()  # the text is this (folded)
    BEGINNING = auto()  # it begins so (folded)
    ENDING = auto()  # it ends so (folded)
    PART = auto()  # it has this in it (folded)
    PATTERN = auto()  # it is these parts with anything between them (a tuple of folded texts)
    NUMBER = auto()  # the number is this
    AT_LEAST = auto()  # it is this or more
    AT_MOST = auto()  # it is this or less
    DOMAIN = auto()  # the host is this or below it


class Alternative(NamedTuple):
    """The smallest part of a condition."""

    kind: Kind
    wanted: Any


#: A comparison holds where any one of its alternatives holds.
Comparison = frozenset[Alternative]


@dataclass(frozen=True, slots=True)
class Condition:
    """One field and what must hold of it: all of `comparisons`. `expected` is the condition in words, for the trace."""

    field: str
    expected: str
    comparisons: tuple[Comparison, ...]
    holds_of: Callable[[Fact], bool] = dataclasses.field(compare=False, repr=False)

    def holds(self, facts: Facts) -> bool:
        """Whether it holds of these facts."""
        return self.holds_of(facts[self.field])

    def holds_for(self, value: Any) -> bool:
        """Whether it holds of this value of its field."""
        return self.holds_of(Fact(value))


def parse_condition(field_name: str, raw: Any, spellings: Spellings = PLAIN) -> Condition:
    """The condition a config file writes for a field: a value, a list of values, or a table of comparisons.

    Where `spellings` knows the field, a value equals every spelling of what it means. Raises ConditionError saying what was expected.
    """
    if isinstance(raw, Mapping):
        if not raw:
            raise ConditionError(f"an empty table says nothing; use one of {', '.join(OPERATORS)}")
        comparisons = tuple(
            frozenset(_in_any_spelling(field_name, _operator(name, wanted))) for name, wanted in raw.items()
        )
        expected = " and ".join(_describe(field_name, name, wanted) for name, wanted in raw.items())
        return Condition(field_name, expected, comparisons, all_of(comparisons))
    values = raw if isinstance(raw, list) else [raw]
    if not values:
        raise ConditionError("an empty list can never hold; name at least one value")
    comparison = frozenset(
        _in_any_spelling(field_name, (_equals(one, field_name, spellings) for one in values))
    )
    expected = _described_values(field_name, "is", values)
    return Condition(field_name, expected, (comparison,), _any_of(comparison))


def _equals(expected: Any, field_name: str, spellings: Spellings) -> Alternative:
    if isinstance(expected, bool):  # true, and "True" as a form writes it
        return Alternative(Kind.TEXT, folded(expected))
    if isinstance(expected, (int, float)):
        return Alternative(Kind.NUMBER, _finite(expected))
    if not isinstance(expected, str):
        raise ConditionError(f"{expected!r} cannot be compared; write a text, a number or true/false")
    text = folded(expected)
    if not text:
        raise ConditionError(
            "an empty text can never hold; for a field that is not given write { missing = true }"
        )
    if "*" in text:
        return _wildcard(text)
    meaning = spellings.meaning_of(field_name, expected)
    if not meaning:
        return Alternative(Kind.TEXT, text)
    return Alternative(Kind.MEANING if field_name == "country" else Kind.TEXT, meaning)


def _in_any_spelling(field_name: str, alternatives: Iterable[Alternative]) -> Iterator[Alternative]:
    """The alternatives; those on the text of a phone number also without what stands between its digits, as in E.164."""
    for one in alternatives:
        yield one
        if field_name != "phone":
            continue
        if isinstance(one.wanted, str) and (digits := _SEPARATORS.sub("", one.wanted)):
            yield Alternative(one.kind, digits)
        elif one.kind is Kind.PATTERN and (digits := _SEPARATORS.sub("", "*".join(one.wanted))).strip("*"):
            yield _wildcard(digits)


def _wildcard(text: str) -> Alternative:
    """The simplest alternative that a folded text with `*` in it stands for."""
    first, *middle, last = text.split("*")
    parts = [part for part in middle if part]
    match (bool(first), len(parts), bool(last)):
        case (_, 0, False):
            return Alternative(Kind.BEGINNING, first)
        case (False, 0, True):
            return Alternative(Kind.ENDING, last)
        case (False, 1, False):
            return Alternative(Kind.PART, parts[0])
        case _:
            return Alternative(Kind.PATTERN, (first, *parts, last))


def _operator(name: str, wanted: Any) -> Iterable[Alternative]:
    match name:
        case "at_least":
            return [Alternative(Kind.AT_LEAST, _bound(name, wanted))]
        case "at_most":
            return [Alternative(Kind.AT_MOST, _bound(name, wanted))]
        case "domain":
            domains = [host_of(text.removeprefix("*.").removeprefix("@")) for text in _texts(name, wanted)]
            if not all(domains):
                raise ConditionError(f'domain takes a host such as "example.com", not {wanted!r}')
            return [Alternative(Kind.DOMAIN, domain) for domain in domains]
        case "prefix":
            return [Alternative(Kind.BEGINNING, text) for text in _texts(name, wanted)]
        case "contains":
            return [Alternative(Kind.PART, text) for text in _texts(name, wanted)]
        case "missing":
            if not isinstance(wanted, bool):
                raise ConditionError(f"missing is true or false, not {wanted!r}")
            return [Alternative(Kind.GIVEN, not wanted)]
        case _:
            raise ConditionError(f"{name!r} is no comparison; use one of {', '.join(OPERATORS)}")


# --- Whether it holds ------------------------------------------------------------------------------------------


def all_of(comparisons: Iterable[Comparison]) -> Callable[[Fact], bool]:
    """Whether all of the comparisons hold of a fact."""
    checks = [_any_of(comparison) for comparison in comparisons]
    if len(checks) == 1:
        return checks[0]

    def holds_of(fact: Fact) -> bool:
        for check in checks:  # noqa: SIM110 - a loop, here and below: all() and any() make a generator each time
            if not check(fact):
                return False
        return True

    return holds_of


def _any_of(comparison: Comparison) -> Callable[[Fact], bool]:
    """Whether any one of the alternatives holds of a fact."""
    wanted: dict[Kind, list[Any]] = {}
    for one in comparison:
        wanted.setdefault(one.kind, []).append(one.wanted)
    checks = [_CHECKS[kind](values) for kind, values in wanted.items()]
    return checks[0] if len(checks) == 1 else lambda fact: any(check(fact) for check in checks)


def _is_given(wanted: list[bool]) -> Callable[[Fact], bool]:
    return lambda fact: (fact.value is not None) in wanted


def _means(wanted: list[str]) -> Callable[[Fact], bool]:
    meanings = frozenset(wanted)
    return lambda fact: not meanings.isdisjoint(fact.meanings)


def _is_text(wanted: list[str]) -> Callable[[Fact], bool]:
    texts = frozenset(wanted)
    return lambda fact: not texts.isdisjoint(fact.texts)


def _begins(wanted: list[str]) -> Callable[[Fact], bool]:
    beginnings = tuple(wanted)

    def check(fact: Fact) -> bool:
        for text in fact.texts:  # noqa: SIM110
            if text.startswith(beginnings):
                return True
        return False

    return check


def _ends(wanted: list[str]) -> Callable[[Fact], bool]:
    endings = tuple(wanted)

    def check(fact: Fact) -> bool:
        for text in fact.texts:  # noqa: SIM110
            if text.endswith(endings):
                return True
        return False

    return check


def _has_part(wanted: list[str]) -> Callable[[Fact], bool]:
    return lambda fact: any(part in text for text in fact.texts for part in wanted)


def _fits_pattern(wanted: list[tuple[str, ...]]) -> Callable[[Fact], bool]:
    return lambda fact: any(is_pattern(text, parts) for text in fact.texts for parts in wanted)


def is_pattern(text: str, parts: tuple[str, ...]) -> bool:
    """Whether a text is these parts with anything between them.

    By hand, because a regular expression of several `.*` takes minutes on a long text made for it.
    """
    first, *middle, last = parts
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _is_number(wanted: list[float]) -> Callable[[Fact], bool]:
    numbers = frozenset(wanted)

    def check(fact: Fact) -> bool:
        for least, most in fact.ranges:  # noqa: SIM110
            if least == most and least in numbers:
                return True
        return False

    return check


def _is_at_least(wanted: list[float]) -> Callable[[Fact], bool]:
    limit = min(wanted)

    def check(fact: Fact) -> bool:
        for least, _ in fact.ranges:  # noqa: SIM110
            if least >= limit:
                return True
        return False

    return check


def _is_at_most(wanted: list[float]) -> Callable[[Fact], bool]:
    limit = max(wanted)

    def check(fact: Fact) -> bool:
        for _, most in fact.ranges:  # noqa: SIM110
            if most <= limit:
                return True
        return False

    return check


def _is_in_domain(wanted: list[str]) -> Callable[[Fact], bool]:
    domains = frozenset(wanted)
    below = tuple(f".{domain}" for domain in wanted)

    def check(fact: Fact) -> bool:
        for host in fact.hosts:  # noqa: SIM110
            if host in domains or host.endswith(below):
                return True
        return False

    return check


_CHECKS: Mapping[Kind, Callable[[list[Any]], Callable[[Fact], bool]]] = {
    Kind.MEANING: _means,
    Kind.GIVEN: _is_given,
    Kind.TEXT: _is_text,
    Kind.BEGINNING: _begins,
    Kind.ENDING: _ends,
    Kind.PART: _has_part,
    Kind.PATTERN: _fits_pattern,
    Kind.NUMBER: _is_number,
    Kind.AT_LEAST: _is_at_least,
    Kind.AT_MOST: _is_at_most,
    Kind.DOMAIN: _is_in_domain,
}


# --- What is wrong with it, and what it says -------------------------------------------------------------------


def _bound(name: str, wanted: Any) -> float:
    if isinstance(wanted, bool) or not isinstance(wanted, (int, float)):
        raise ConditionError(f"{name} takes a number, not {wanted!r}")
    return _finite(wanted)


def _finite(wanted: float) -> float:
    if not abs(wanted) < math.inf:  # so written, NaN is refused and a whole number of any length is not
        raise ConditionError(f"{wanted} is no number that a lead can have; write a finite one")
    return wanted


def _texts(name: str, wanted: Any) -> list[str]:
    values = wanted if isinstance(wanted, list) else [wanted]
    if not values or not all(isinstance(value, str) and value.strip() for value in values):
        raise ConditionError(f"{name} takes a text or a list of texts, not {wanted!r}")
    return [folded(value) for value in values]


def _describe(field_name: str, name: str, wanted: Any) -> str:
    if name == "missing":
        return "is missing" if wanted else "is given"
    if name == "domain":  # what an address ends in is no person
        return f"is in the domain {_listed(wanted)}"
    verbs = {
        "at_least": "is at least",
        "at_most": "is at most",
        "prefix": "begins with",
        "contains": "contains",
    }
    return _described_values(field_name, verbs[name], wanted)


def _described_values(field_name: str, verb: str, wanted: Any) -> str:
    """In words; a personal field's values are left out, since a rule that matches would give the lead's away."""
    several = isinstance(wanted, list) and len(wanted) > 1
    if is_personal(field_name):
        return (
            f"{verb} one of {len(wanted)} values in the rule" if several else f"{verb} the value in the rule"
        )
    return f"{verb} one of {_listed(wanted)}" if several else f"{verb} {_listed(wanted)}"


def _listed(wanted: Any) -> str:
    return ", ".join(map(_quoted, wanted if isinstance(wanted, list) else [wanted]))


def _quoted(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
