"""What follows from what is proven: no value may be found of which the first holds and the second does not."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speed_to_lead.core.conditions import Condition, parse_condition
from speed_to_lead.core.implication import alternative_follows, consequences, follows, lookup_key, why_never

WORDS = st.sampled_from(
    (
        "a",
        "ab",
        "abc",
        "b.a",
        "a.b",
        "ab.com",
        "x.ab.com",
        "@ab.com",
        "k@x.ab.com",
        "5",
        "50",
        "500",
        "10-20",
        "ﬀ",
        "İ",
        "ß",
    )
)
PATTERNS = st.lists(WORDS | st.just("*"), min_size=1, max_size=3).map("".join)
NUMBERS = st.sampled_from((5, 5.5, 50, 500))
CONDITIONS = st.one_of(
    PATTERNS,
    NUMBERS,
    st.booleans(),
    st.lists(PATTERNS | NUMBERS, min_size=1, max_size=3),
    st.fixed_dictionaries({"at_least": NUMBERS}),
    st.fixed_dictionaries({"at_most": NUMBERS}),
    st.fixed_dictionaries({"prefix": WORDS | st.lists(WORDS, min_size=1, max_size=2)}),
    st.fixed_dictionaries({"contains": WORDS}),
    st.fixed_dictionaries({"domain": st.sampled_from(("ab.com", "com", "x.ab.com", "a"))}),
    st.fixed_dictionaries({"missing": st.booleans()}),
)
VALUES = st.one_of(st.none(), WORDS, NUMBERS, st.booleans(), st.lists(WORDS | NUMBERS, max_size=3), PATTERNS)


def condition(raw: Any) -> Condition:
    return parse_condition("field", raw)


@settings(max_examples=700, deadline=None)
@given(CONDITIONS, CONDITIONS, VALUES)
def test_what_follows_holds_too(one: Any, other: Any, value: Any) -> None:
    """Of every value of which the first holds, the second holds."""
    first, second = condition(one), condition(other)
    if all(any(follows(a, b) for a in first.comparisons) for b in second.comparisons) and first.holds_for(
        value
    ):
        assert second.holds_for(value), (one, other, value)


@settings(max_examples=400, deadline=None)
@given(CONDITIONS, CONDITIONS)
def test_whatever_follows_is_found_by_its_key(one: Any, other: Any) -> None:
    """The key of all that follows, but of bounds, is among the consequences."""
    [first], [second] = condition(one).comparisons, condition(other).comparisons
    for b in second:
        key = lookup_key(b)
        if key is not None:
            following = [a for a in first if alternative_follows(a, b)]
            assert [a for a in following if key not in set(consequences(a, {key.kind}))] == []


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
