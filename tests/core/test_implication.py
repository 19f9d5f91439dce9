"""What follows from what is proven: no value may be found of which the first holds and the second does not."""

from typing import Any

import pytest

from speed_to_lead.core.conditions import Condition, parse_condition
from speed_to_lead.core.implication import alternative_follows, consequences, follows, lookup_key, why_never

WORDS = (
    "a",
    "ab",
    "abc",
    "b",
    "b.a",
    "ab.com",
    "x.ab.com",
    "k@x.ab.com",
    "k@ab.com",
    "5",
    "50",
    "10-20",
    "\ufb00",
    "\u0130",
    "\u00df",
)
NUMBERS = (5, 5.5, 50, 500)
CONDITIONS: list[Any] = [
    *WORDS, *NUMBERS, True, "*", "a*", "ab*", "*b", "*ab", "*b*", "a*c", "a*b*c", "*a*c", "*.com",
    ["a", "b"], ["ab", "abc"], ["a*", "b"], [5, "5"], [50, 500],
    *({"at_least": number} for number in NUMBERS), *({"at_most": number} for number in NUMBERS),
    {"at_least": 5, "at_most": 50},
    *({"prefix": word} for word in ("a", "ab", "b", "k@")), {"prefix": ["a", "k"]},
    *({"contains": word} for word in ("a", "b", "ab", "bc", "@")), {"contains": ["b", "c"]},
    *({"domain": host} for host in ("com", "ab.com", "x.ab.com", "b.com")), {"domain": ["ab.com", "a"]},
    {"missing": True}, {"missing": False}, {"missing": False, "prefix": "a"},
]  # fmt: skip
VALUES: list[Any] = [
    None, *WORDS, *NUMBERS, True, "c", "bc", "cab", "axc", "axbc", "b.com", "https://x.ab.com/a", "1,000+", 7, 49, 51, 501,
    [], ["a", "b"], ["c", "k@ab.com"], [5, 500], ["10-20", "x"],
]  # fmt: skip


def condition(raw: Any) -> Condition:
    return parse_condition("field", raw)


READ = [(raw, condition(raw)) for raw in CONDITIONS]


def all_follow(one: Condition, other: Condition) -> bool:
    return all(any(follows(a, b) for a in one.comparisons) for b in other.comparisons)


def test_what_follows_holds_too() -> None:
    """Of every value of which the first holds, the second holds, for each pair and each value."""
    holds = {number: [read.holds_for(value) for value in VALUES] for number, (_, read) in enumerate(READ)}
    wrong = [
        (first, second, value)
        for one, (first, read) in enumerate(READ)
        for other, (second, other_read) in enumerate(READ)
        if all_follow(read, other_read)
        for value, is_first, is_second in zip(VALUES, holds[one], holds[other], strict=True)
        if is_first and not is_second
    ]
    assert wrong == []


def test_whatever_follows_is_found_by_its_key() -> None:
    """The key of all that follows, but of bounds, is among the consequences."""
    alternatives = {one for _, read in READ for comparison in read.comparisons for one in comparison}
    keys = {one: lookup_key(one) for one in alternatives}
    kinds = {key.kind for key in keys.values() if key is not None}
    listed = {one: set(consequences(one, kinds)) for one in alternatives}
    lost = [
        (one, other)
        for one in alternatives
        for other in alternatives
        if keys[other] is not None and alternative_follows(one, other) and keys[other] not in listed[one]
    ]
    assert lost == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("US", "us", True),
        ("US", ["US", "CA"], True),
        (["US", "CA"], "US", False),
        ("black-friday-2026", "black-friday*", True),
        ("black-*", "bl*", True),
        ("bl*", "black-*", False),
        ("k@mail.example.com", {"domain": "example.com"}, True),
        ({"domain": "mail.example.com"}, {"domain": "example.com"}, True),
        ({"domain": "example.com"}, {"domain": "mail.example.com"}, False),
        ({"at_least": 500}, {"at_least": 100}, True),
        ({"at_least": 100}, {"at_least": 500}, False),
        (700, {"at_least": 500}, True),
        ({"prefix": "+441"}, {"prefix": "+44"}, True),
        ({"prefix": "chief"}, {"contains": "hie"}, True),
        ("a*b", {"contains": "b"}, True),
        ("x", {"missing": False}, True),
        ({"missing": True}, {"missing": False}, False),
        ({"missing": True}, "x", False),
        (5, "5", False),
    ],
)
def test_what_shows(one: Any, other: Any, expected: bool) -> None:
    """What people write one above the other is seen through."""
    [first], [second] = condition(one).comparisons, condition(other).comparisons
    assert expected == follows(first, second)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"at_least": 500, "at_most": 50}, "no number is at least 500 and at most 50"),
        ({"at_least": 50, "at_most": 50}, None),
        ({"missing": True, "prefix": "x"}, "a field that is missing is nothing else besides"),
        ({"missing": False, "prefix": "x"}, None),
        ({"missing": True}, None),
        ("x", None),
    ],
)
def test_what_no_value_can_do(raw: Any, expected: str | None) -> None:
    """Bounds the wrong way round, and a missing field that has something."""
    assert expected == why_never(condition(raw))
