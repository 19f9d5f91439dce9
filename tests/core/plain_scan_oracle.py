"""Rules asked one after another, each value read anew for each: slow, plain, and what the index is held against.

It reads conditions as config writes them, and shares with the program only what a text means as number and as host.
"""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from tests.core.builders import conditions

from speed_to_lead.core.facts import is_personal
from speed_to_lead.core.rules import TRACED_RULES
from speed_to_lead.core.values import folded, host_of, number_range

Tables = Mapping[str, Any]


def first_match(rules: Sequence[tuple[Tables, Tables]], facts: Tables) -> tuple[int | None, tuple[str, ...]]:
    """The first of the rules `r0`, `r1`, … (each its `when` and `unless`) that matches, and the trace's lines."""
    tried: list[str] = []
    number: int | None = None
    for place, (when, unless) in enumerate(rules):
        objection = _objection(when, unless, facts)
        if objection is None:
            number = place
            break
        tried.append(f'rule "r{place}" does not match: {objection}')
    more = len(tried) - TRACED_RULES
    rest = [f"{more} more rules do not match"] if more > 0 else []
    return number, (*tried[:TRACED_RULES], *rest)


def _objection(when: Tables, unless: Tables, facts: Tables) -> str | None:
    for tables, negated, words in (
        (when, False, "and the rule asks that it"),
        (unless, True, "and the rule is not for one that"),
    ):
        for condition, (field, raw) in zip(conditions(tables), tables.items(), strict=True):
            if holds(raw, facts.get(field)) is negated:
                return f"{field} {_found(facts, field)}, {words} {condition.expected}"
    return None


def holds(raw: Any, value: Any) -> bool:
    """Whether a condition as config writes it holds of a value."""
    if isinstance(raw, Mapping):
        return all(_compares(name, wanted, value) for name, wanted in raw.items())
    return any(_equals(wanted, member) for wanted in _listed(raw) for member in _members(value))


def _compares(name: str, wanted: Any, value: Any) -> bool:
    if name == "missing":
        return (value is None) is wanted
    return any(_compares_one(name, one, member) for one in _listed(wanted) for member in _members(value))


def _compares_one(name: str, wanted: Any, value: Any) -> bool:
    if name in ("at_least", "at_most"):
        found = number_range(value)
        return found is not None and (found[0] >= wanted if name == "at_least" else found[1] <= wanted)
    if name == "domain":
        domain, host = host_of(folded(wanted).removeprefix("*.").removeprefix("@")), host_of(value)
        return host == domain or host.endswith(f".{domain}")
    return folded(value).startswith(folded(wanted)) if name == "prefix" else folded(wanted) in folded(value)


def _equals(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, bool):
        return value is wanted or folded(value) == str(wanted).casefold()
    if isinstance(wanted, (int, float)):
        return number_range(value) == (wanted, wanted)
    if "*" not in wanted:
        return folded(value) == folded(wanted)
    pattern = re.sub(r"([\[?])", r"[\1]", folded(wanted))
    return fnmatchcase(folded(value), pattern)


def _listed(wanted: Any) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]


def _members(value: Any) -> list[Any]:
    members = value if isinstance(value, (list, tuple)) else [value]
    return [member for member in members if member is not None]


def _found(facts: Tables, field: str) -> str:
    value = facts.get(field)
    if value is None:
        return "is not given"
    text = str(value)
    personal = [folded(facts[name]) for name in facts if is_personal(name)]
    if is_personal(field) or any(one and one in folded(text) for one in personal):
        return "is given"
    return f'is "{text[:57]}..."' if len(text) > 60 else f'is "{text}"'
