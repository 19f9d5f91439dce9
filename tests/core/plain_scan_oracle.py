"""Rules asked one after another, each value read anew for each: slow, plain, and what the index is held against.

It reads conditions as config writes them, and shares with the program only what a text means as number and as host.
"""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from tests.core.builders import conditions

from speed_to_lead.core.facts import is_personal
from speed_to_lead.core.meanings import PLAIN, Spellings
from speed_to_lead.core.rules import TRACED_RULES
from speed_to_lead.core.values import folded, host_of, number_range

Tables = Mapping[str, Any]


def first_match(
    rules: Sequence[tuple[Tables, Tables]], facts: Tables, spellings: Spellings = PLAIN
) -> tuple[int | None, tuple[str, ...]]:
    """The first of the rules `r0`, `r1`, … (each its `when` and `unless`) that matches, and the trace's lines."""
    tried: list[str] = []
    number: int | None = None
    for place, (when, unless) in enumerate(rules):
        objection = _objection(when, unless, facts, spellings)
        if objection is None:
            number = place
            break
        tried.append(f'rule "r{place}" does not match: {objection}')
    more = len(tried) - TRACED_RULES
    rest = [f"{more} more rules do not match"] if more > 0 else []
    return number, (*tried[:TRACED_RULES], *rest)


def _objection(when: Tables, unless: Tables, facts: Tables, spellings: Spellings) -> str | None:
    for tables, negated, words in (
        (when, False, "and the rule asks that it"),
        (unless, True, "and the rule is not for one that"),
    ):
        for condition, (field, raw) in zip(conditions(tables), tables.items(), strict=True):
            if holds(raw, facts.get(field), field, facts, spellings) is negated:
                return f"{field} {_found(facts, field, spellings)}, {words} {condition.expected}"
    return None


def holds(
    raw: Any, value: Any, field: str = "", facts: Tables | None = None, spellings: Spellings = PLAIN
) -> bool:
    """Whether a condition as config writes it holds of a value."""
    members = [(member, _texts(member, field, facts or {}, spellings)) for member in _members(value)]
    if isinstance(raw, Mapping):
        return all(_compares(name, wanted, value, field, members) for name, wanted in raw.items())
    return any(
        _equals(wanted, member, texts, field, spellings)
        for wanted in _listed(raw)
        for member, texts in members
    )


def _texts(value: Any, field: str, facts: Tables, spellings: Spellings) -> set[str]:
    """The value as it was written, and an address or a number as it is commonly written."""
    texts = {folded(value)}
    if field == "email":
        texts.add(spellings.email(str(value)))
    if field == "phone":
        countries = [spellings.country(str(one)) for one in _members(facts.get("country"))]
        texts.add(spellings.phone(str(value), next(filter(None, countries), "")))
    return texts - ({""} if folded(value) else set())


def _compares(
    name: str, wanted: Any, value: Any, field: str, members: Sequence[tuple[Any, set[str]]]
) -> bool:
    if name == "missing":
        return (value is None) is wanted
    return any(
        _compares_one(name, one, member, texts, field) for one in _listed(wanted) for member, texts in members
    )


def _compares_one(name: str, wanted: Any, value: Any, texts: set[str], field: str) -> bool:
    if name in ("at_least", "at_most"):
        found = number_range(value)
        return found is not None and (found[0] >= wanted if name == "at_least" else found[1] <= wanted)
    if name == "domain":
        domain, host = host_of(folded(wanted).removeprefix("*.").removeprefix("@")), host_of(value)
        return host == domain or host.endswith(f".{domain}")
    parts = _wanted(folded(wanted), field)
    if name == "prefix":
        return any(text.startswith(part) for text in texts for part in parts)
    return any(part in text for text in texts for part in parts)


def _wanted(text: str, field: str) -> set[str]:
    digits = re.sub(r"[\s()./-]", "", text)
    return {text, digits} if field == "phone" and digits.strip("*") else {text}


def _equals(wanted: Any, value: Any, texts: set[str], field: str, spellings: Spellings) -> bool:
    if isinstance(wanted, bool):
        return value is wanted or folded(value) == str(wanted).casefold()
    if isinstance(wanted, (int, float)):
        return number_range(value) == (wanted, wanted)
    if "*" not in wanted:
        meaning = spellings.meaning_of(field, wanted)
        if meaning and field == "country":
            return spellings.country(str(value)) == meaning
        return not texts.isdisjoint(_wanted(meaning or folded(wanted), field))
    return any(
        fnmatchcase(text, re.sub(r"([\[?])", r"[\1]", pattern))
        for text in texts
        for pattern in _wanted(folded(wanted), field)
    )


def _listed(wanted: Any) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]


def _members(value: Any) -> list[Any]:
    members = value if isinstance(value, (list, tuple)) else [value]
    return [member for member in members if member is not None]


def _found(facts: Tables, field: str, spellings: Spellings) -> str:
    value = facts.get(field)
    if value is None:
        return "is not given"
    text = str(value)
    personal = [folded(one) for name, one in facts.items() if is_personal(name) and one is not None]
    if is_personal(field) or any(one and one in folded(text) for one in personal):
        return "is given"
    shown = f"{text[:57]}..." if len(text) > 60 else text
    meant = [spellings.country(str(one)) for one in _members(value)] if field == "country" else []
    known = [one for one in meant if one]
    return f'is "{shown}" ({", ".join(known)})' if known and known != [shown] else f'is "{shown}"'
