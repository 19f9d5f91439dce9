"""Conditions of rules and detections: a value, a list, or a table of comparisons. No expressions.

A value or list means equals: texts case-folded and trimmed, `*` matches any run of characters, numbers as
numbers. Tables hold when all of their comparisons hold. A field that is not there holds nothing but `missing`;
a field of several values (a question with several answers ticked) holds what any one of them holds.

No condition ever fails on a lead's value, however odd: it holds, or it does not.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from speed_to_lead.core.submission import FIELD_ALIASES

OPERATORS = ("at_least", "at_most", "domain", "prefix", "contains", "missing")

#: Fields whose values a trace does not repeat: the trace is read in places where the person need not be named.
PERSONAL_FIELDS = frozenset(("email", "name", "first_name", "last_name", "phone", "message"))

#: Digits in groups: 1,000 and 1.000 and 1'000 and 1 000; a space only before three digits, or "10 20" were one.
_NUMBER = re.compile(
    r"(\d+(?:[.,'\u2019_]\d+|[ \u00a0\u202f]\d{3}(?!\d))*)"
    r"(?:\s*(thousand|k|million|mio|mn|m)(?![^\W\d_]))?"  # "10 k", but not "10 members"
    r"\s*(\+)?"
)
#: "between 1,000 and 5,000 employees, worldwide" is half as long.
_LONGEST_NUMBER = 100
_SIZES = {
    "k": 1_000,
    "thousand": 1_000,
    "m": 1_000_000,
    "mn": 1_000_000,
    "mio": 1_000_000,
    "million": 1_000_000,
}
_OR_MORE = re.compile(r"^(?:>|≥|over |more than |at least )| (?:or more|and more|or above|and up)\b")
_OR_LESS = re.compile(
    r"^(?:<|≤|under |less than |fewer than |up to |at most )| (?:or less|or fewer|or under)\b"
)
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//")


class ConditionError(ValueError):
    """The condition is not one of the forms rules are written in; the text says which are."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One field and what must hold of it. `expected` is the condition in words, for the trace."""

    field: str
    expected: str
    holds_for: Callable[[Any], bool]

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Whether it holds of these facts (a flat mapping of field name to value)."""
        return self.holds_for(facts.get(self.field))


def parse_condition(field: str, raw: Any) -> Condition:
    """The condition a config file writes for `field`: a value, a list of values, or a table of comparisons.

    Raises ConditionError saying what was expected.
    """
    if isinstance(raw, Mapping):
        return _parse_table(field, raw)
    values = raw if isinstance(raw, list) else [raw]
    if not values:
        raise ConditionError("an empty list can never hold; name at least one value")
    tests = [_equals(value) for value in values]
    return Condition(field, _described_values(field, "is", values), _of_any(tests))


@lru_cache(maxsize=4096)
def is_personal(field: str) -> bool:
    """Whether the field's values stay out of traces: the person's own, under whatever name the form gave them."""
    name = re.sub(r"[\s-]+", "_", field.removeprefix("custom.").strip()).casefold()
    return FIELD_ALIASES.get(name, name) in PERSONAL_FIELDS


def shown(value: Any, field: str, facts: Mapping[str, Any]) -> str | None:
    """The field's value as a trace may repeat it, 60 characters at the most; None where it may not.

    It may not where the field is personal, or where the value repeats one that is (a referrer ending in
    `?email=…`, a company named after its founder).
    """
    text = str(value)
    if is_personal(field):
        return None
    folded = _folded(text)
    for name in facts:
        personal = _folded(facts[name]) if is_personal(name) else ""
        if personal and personal in folded:
            return None
    return f"{text[:57]}..." if len(text) > 60 else text


def host_of(value: Any) -> str:
    """The host of an address, a URL or a bare host name, in lower case; "" where there is none."""
    text = _folded(value)
    if not _URL.match(text):
        mailbox, at, host = text.rpartition("@")
        if at and "/" not in mailbox:  # else it is a page such as medium.com/@someone
            return host.partition("/")[0].strip(" <>,;").rstrip(".")
        text = f"//{text}"
    try:
        host = urlsplit(text).hostname or ""
    except ValueError:  # "http://[" and other shapes that are no URL; a lead must not fail on one
        return ""
    return host.strip().rstrip(".")


def number_range(value: Any) -> tuple[float, float] | None:
    """The least and most a value can mean as a number: 500 → (500, 500), "51-200" → (51, 200), "1,000+" → (1000, inf).

    Texts may group digits by comma, point, apostrophe or space, and end in k or m: "10.000" is ten thousand, since
    nobody counts anything on a form to three decimals. None where there is no number in it, or more than two, or more than a
    hundred characters.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return (value, value)
    text = str(value).strip().casefold()
    # In a longer text no number is meant, and a megabyte of digits would be looked through for seconds.
    matches = list(_NUMBER.finditer(text)) if len(text) <= _LONGEST_NUMBER else []
    if len(matches) not in (1, 2):
        return None
    numbers = [_number(match[1]) for match in matches]
    if None in numbers:
        return None
    sizes = [_SIZES.get(match[2] or "", 1) for match in matches]
    first, last = numbers[0] or 0, numbers[-1] or 0
    if len(matches) == 2:
        # "10-20k" is ten to twenty thousand, "500-1k" is five hundred to a thousand.
        if matches[0][2] is None and first < last:
            sizes[0] = sizes[1]
        ends = sorted((first * sizes[0], last * sizes[1]))
        return (ends[0], math.inf if matches[1][3] else ends[1])
    number = first * sizes[0]
    return _open_ended(text, matches[0], number)


def _open_ended(text: str, match: re.Match[str], number: float) -> tuple[float, float]:
    if match[3] or _OR_MORE.search(text):
        return (number, math.inf)
    if _OR_LESS.search(text):
        return (0, number)
    return (-number, -number) if re.match(r"[-\u2212]\s*\d", text) else (number, number)


def _number(digits: str) -> float | None:
    """The number of one run of digits and separators; None for dates, versions and addresses (22.11.2026, 10.0.0.1)."""
    marks = re.sub(r"\d", "", digits)
    groups = re.split(r"\D", digits)
    decimals = ""
    if marks and marks[-1] in ".," and marks.count(marks[-1]) == 1:
        is_decimal = len(marks) > 1 or len(groups[-1]) != 3 or groups[0].startswith("0") or len(groups[0]) > 3
        if is_decimal:
            decimals = groups.pop()
    if any(len(group) not in (2, 3) for group in groups[1:]) or (len(groups) > 1 and len(groups[-1]) != 3):
        return None
    whole = "".join(groups)
    return float(f"{whole}.{decimals}") if decimals or len(whole) > 300 else int(whole)


def _of_any(tests: "list[Callable[[Any], bool]]") -> "Callable[[Any], bool]":
    """Whether one of the tests holds of the value, or of one of its members; never of a field that is not there."""

    def holds(value: Any) -> bool:
        if value is None:
            return False
        if isinstance(value, (list, tuple)):
            return any(test(member) for member in value if member is not None for test in tests)
        return any(test(value) for test in tests)

    return holds


def _equals(expected: Any) -> Callable[[Any], bool]:
    if isinstance(expected, bool):
        return lambda value: value is expected or _folded(value) == str(expected).casefold()
    if isinstance(expected, (int, float)):
        wanted = (_finite(expected), expected)
        return lambda value: number_range(value) == wanted
    if not isinstance(expected, str):
        raise ConditionError(f"{expected!r} cannot be compared; write a text, a number or true/false")
    folded = _folded(expected)
    if not folded:
        raise ConditionError(
            "an empty text can never hold; for a field that is not given write { missing = true }"
        )
    if "*" not in folded:
        return lambda value: _folded(value) == folded
    return _matches(folded.split("*"))


def _matches(parts: list[str]) -> Callable[[Any], bool]:
    """Whether a text is these parts with anything between them.

    By hand, because a regular expression of several `.*` takes minutes on a long text made for it.
    """
    first, *middle, last = parts

    def holds(value: Any) -> bool:
        text = _folded(value)
        if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return holds


def _parse_table(field: str, table: Mapping[str, Any]) -> Condition:
    if not table:
        raise ConditionError(f"an empty table says nothing; use one of {', '.join(OPERATORS)}")
    tests = [_operator(name, wanted) for name, wanted in table.items()]
    expected = " and ".join(_describe(field, name, wanted) for name, wanted in table.items())
    return Condition(field, expected, lambda value: all(test(value) for test in tests))


def _operator(name: str, wanted: Any) -> Callable[[Any], bool]:
    match name:
        case "at_least" | "at_most":
            return _of_any([_bound(name, wanted)])
        case "domain":
            domains = [host_of(text.removeprefix("*.").removeprefix("@")) for text in _texts(name, wanted)]
            if not all(domains):
                raise ConditionError(f'domain takes a host such as "example.com", not {wanted!r}')
            return _of_any([lambda value: _in_domain(value, domains)])
        case "prefix":
            prefixes = tuple(_texts(name, wanted))
            return _of_any([lambda value: _folded(value).startswith(prefixes)])
        case "contains":
            parts = _texts(name, wanted)
            return _of_any([lambda value: any(part in _folded(value) for part in parts)])
        case "missing":
            if not isinstance(wanted, bool):
                raise ConditionError(f"missing is true or false, not {wanted!r}")
            return lambda value: (value is None) is wanted
        case _:
            raise ConditionError(f"{name!r} is no comparison; use one of {', '.join(OPERATORS)}")


def _bound(name: str, wanted: Any) -> Callable[[Any], bool]:
    if isinstance(wanted, bool) or not isinstance(wanted, (int, float)):
        raise ConditionError(f"{name} takes a number, not {wanted!r}")
    limit = _finite(wanted)
    if name == "at_least":
        return lambda value: (found := number_range(value)) is not None and found[0] >= limit
    return lambda value: (found := number_range(value)) is not None and found[1] <= limit


def _finite(wanted: float) -> float:
    if not abs(wanted) < math.inf:  # so written, NaN is refused and a whole number of any length is not
        raise ConditionError(f"{wanted} is no number that a lead can have; write a finite one")
    return wanted


def _texts(name: str, wanted: Any) -> list[str]:
    values = wanted if isinstance(wanted, list) else [wanted]
    if not values or not all(isinstance(value, str) and value.strip() for value in values):
        raise ConditionError(f"{name} takes a text or a list of texts, not {wanted!r}")
    return [_folded(value) for value in values]


def _in_domain(value: Any, domains: list[str]) -> bool:
    host = host_of(value)
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _describe(field: str, name: str, wanted: Any) -> str:
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
    return _described_values(field, verbs[name], wanted)


def _described_values(field: str, verb: str, wanted: Any) -> str:
    """In words; a personal field's values are left out, since a rule that matches would give the lead's away."""
    several = isinstance(wanted, list) and len(wanted) > 1
    if is_personal(field):
        return (
            f"{verb} one of {len(wanted)} values in the rule" if several else f"{verb} the value in the rule"
        )
    return f"{verb} one of {_listed(wanted)}" if several else f"{verb} {_listed(wanted)}"


def _listed(wanted: Any) -> str:
    return ", ".join(map(_quoted, wanted if isinstance(wanted, list) else [wanted]))


def _folded(value: Any) -> str:
    """Text as it is compared: trimmed, case-folded, accents composed (macOS sends them apart)."""
    text = str(value).strip().casefold()
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _quoted(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
