"""Conditions of rules and detections: a value, a list, or a table of comparisons. No expressions.

A value or list means equals: texts case-folded and trimmed, `*` matches any run of characters, numbers as
numbers. Tables hold when all of their comparisons hold. A field that is not there holds nothing but `missing`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

OPERATORS = ("at_least", "at_most", "domain", "prefix", "contains", "missing")

_NUMBER = re.compile(r"\d[\d,_ ]*(?:\.\d+)?")
_MULTIPLIERS = {"k": 1_000, "m": 1_000_000}


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
    expected = f"is {_quoted(values[0])}" if len(values) == 1 else f"is one of {', '.join(map(_quoted, values))}"
    return Condition(field, expected, lambda value: value is not None and any(test(value) for test in tests))


def number_range(value: Any) -> tuple[float, float] | None:
    """The least and most a value can mean as a number: 500 → (500, 500), "51-200" → (51, 200), "1,000+" → (1000, inf).

    None where there is no number in it.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return (float(value), float(value))
    text = str(value).strip().casefold()
    numbers = [_number(match, text) for match in _NUMBER.finditer(text)]
    if not numbers or len(numbers) > 2:
        return None
    if len(numbers) == 2:
        return (min(numbers), max(numbers))
    if text.endswith("+") or text.startswith((">", "over ", "more than ")):
        return (numbers[0], float("inf"))
    if text.startswith(("<", "under ", "less than ", "up to ")):
        return (0.0, numbers[0])
    return (-numbers[0], -numbers[0]) if re.match(r"-\s*\d", text) else (numbers[0], numbers[0])


def _number(match: re.Match[str], text: str) -> float:
    number = float(re.sub(r"[,_ ]", "", match.group()))
    return number * _MULTIPLIERS.get(text[match.end() : match.end() + 1], 1)


def _equals(expected: Any) -> Callable[[Any], bool]:
    if isinstance(expected, bool):
        return lambda value: value is expected or _folded(value) == str(expected).casefold()
    if isinstance(expected, (int, float)):
        wanted = (float(expected), float(expected))
        return lambda value: number_range(value) == wanted
    if not isinstance(expected, str):
        raise ConditionError(f"{expected!r} cannot be compared; write a text, a number or true/false")
    folded = _folded(expected)
    if "*" not in folded:
        return lambda value: _folded(value) == folded
    pattern = re.compile(".*".join(re.escape(part) for part in folded.split("*")), re.DOTALL)
    return lambda value: pattern.fullmatch(_folded(value)) is not None


def _parse_table(field: str, table: Mapping[str, Any]) -> Condition:
    if not table:
        raise ConditionError(f"an empty table says nothing; use one of {', '.join(OPERATORS)}")
    tests = [(_describe(name, wanted), _operator(name, wanted)) for name, wanted in table.items()]
    expected = " and ".join(words for words, _ in tests)
    return Condition(field, expected, lambda value: all(test(value) for _, test in tests))


def _operator(name: str, wanted: Any) -> Callable[[Any], bool]:
    match name:
        case "at_least" | "at_most":
            return _bound(name, wanted)
        case "domain":
            domains = [text.removeprefix("@").removeprefix("*.") for text in _texts(name, wanted)]
            return lambda value: any(_in_domain(value, domain) for domain in domains)
        case "prefix":
            prefixes = tuple(_texts(name, wanted))
            return lambda value: value is not None and _folded(value).startswith(prefixes)
        case "contains":
            parts = _texts(name, wanted)
            return lambda value: value is not None and any(part in _folded(value) for part in parts)
        case "missing":
            if not isinstance(wanted, bool):
                raise ConditionError(f"missing is true or false, not {wanted!r}")
            return lambda value: (value is None) is wanted
        case _:
            raise ConditionError(f"{name!r} is no comparison")


def _bound(name: str, wanted: Any) -> Callable[[Any], bool]:
    if isinstance(wanted, bool) or not isinstance(wanted, (int, float)):
        raise ConditionError(f"{name} takes a number, not {wanted!r}")
    limit = float(wanted)
    if name == "at_least":
        return lambda value: (found := number_range(value) if value is not None else None) is not None and found[0] >= limit
    return lambda value: (found := number_range(value) if value is not None else None) is not None and found[1] <= limit


def _texts(name: str, wanted: Any) -> list[str]:
    values = wanted if isinstance(wanted, list) else [wanted]
    if not values or not all(isinstance(value, str) and value.strip() for value in values):
        raise ConditionError(f"{name} takes a text or a list of texts, not {wanted!r}")
    return [_folded(value) for value in values]


def _in_domain(value: Any, domain: str) -> bool:
    if value is None:
        return False
    text = _folded(value)
    if "@" in text:
        host = text.rpartition("@")[2]
    else:
        host = urlsplit(text if "//" in text else f"//{text}").hostname or ""
    return host == domain or host.endswith(f".{domain}")


def _describe(name: str, wanted: Any) -> str:
    values = ", ".join(map(_quoted, wanted)) if isinstance(wanted, list) else _quoted(wanted)
    words = {
        "at_least": "is at least",
        "at_most": "is at most",
        "domain": "is in the domain",
        "prefix": "begins with",
        "contains": "contains",
    }
    if name == "missing":
        return "is missing" if wanted is True else "is given"
    return f"{words.get(name, name)} {values}"


def _folded(value: Any) -> str:
    return str(value).strip().casefold()


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
