"""Conditions: what holds of which value, however odd the value is."""

import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speed_to_lead.core import facts as remembering
from speed_to_lead.core.attribution import Detection
from speed_to_lead.core.condition_index import ConditionIndex
from speed_to_lead.core.conditions import ConditionError, parse_condition
from speed_to_lead.core.facts import Facts, is_personal
from speed_to_lead.core.values import host_of, number_range

INF = math.inf


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (500, (500, 500)),
        (12.5, (12.5, 12.5)),
        (10**400, (10**400, 10**400)),
        (-3, (-3, -3)),
        ("500", (500, 500)),
        (" 500 employees", (500, 500)),
        ("51-200", (51, 200)),
        ("51 \u2013 200 employees", (51, 200)),
        ("200 to 51", (51, 200)),
        ("1,000+", (1000, INF)),
        ("10,001+ employees", (10001, INF)),
        ("1000 or more", (1000, INF)),
        ("over 500", (500, INF)),
        ("> 500", (500, INF)),
        (">=500", (500, INF)),
        ("up to 50", (0, 50)),
        ("<50", (0, 50)),
        ("$10k", (10_000, 10_000)),
        ("10kUSD", (10_000, 10_000)),
        ("5k-10kEUR", (5_000, 10_000)),
        ("10kg", (10, 10)),
        ("$10k+", (10_000, INF)),
        ("US$ 1.5m", (1_500_000, 1_500_000)),
        ("2 million", (2_000_000, 2_000_000)),
        ("10-20k", (10_000, 20_000)),
        ("500-1k", (500, 1000)),
        ("$10k - $50k+", (10_000, INF)),
        ("10 members", (10, 10)),
        ("10members", (10, 10)),
        ("3 months", (3, 3)),
        ("10.000", (10_000, 10_000)),
        ("1.000.000 €", (1_000_000, 1_000_000)),
        ("1.000,50", (1000.5, 1000.5)),
        ("1,000.50", (1000.5, 1000.5)),
        ("1,5", (1.5, 1.5)),
        ("0.125", (0.125, 0.125)),
        ("1'000", (1000, 1000)),
        ("1\u202f000", (1000, 1000)),
        ("12,34,567", (1_234_567, 1_234_567)),
        ("10 20", (10, 20)),
        ("-5", (-5, -5)),
        ("9007199254740993", (9007199254740993, 9007199254740993)),
        ("50\u2013100", (50, 100)),
        ("< 10", (0, 10)),
        ("über 500", (500, INF)),
        ("mehr als 1.000 Mitarbeiter", (1000, INF)),
        ("ab 500", (500, INF)),
        ("bis zu 50", (0, 50)),
        ("unter 10", (0, 10)),
        ("plus de 500", (500, INF)),
        ("500 et plus", (500, INF)),
        ("jusqu'à 50", (0, 50)),
        ("más de 500", (500, INF)),
        ("$ over 500", (500, INF)),
        ("up to $50k", (0, 50_000)),
        ("10 000 \u2013 50 000 €", (10_000, 50_000)),
        ("1,5 Mio. €", (1_500_000, 1_500_000)),
        ("5-10 Tsd", (5_000, 10_000)),
        ("2bn", (2 * 10**9, 2 * 10**9)),
        ("5 lakh", (500_000, 500_000)),
        ("500 plus", (500, INF)),
        ("22.11.2026", None),
        ("2026-11-22", None),
        ("10.0.0.1", None),
        ("many", None),
        ("", None),
        (None, None),
        (True, None),
        (False, None),
        ({}, None),
    ],
)
def test_number_range(value: Any, expected: tuple[float, float] | None) -> None:
    """A value means a number, a range or nothing, whatever the country that wrote it."""
    assert expected == number_range(value)


@given(st.text() | st.text("0123456789.,'+-k m<>≥über toüplus", max_size=40))
def test_a_number_range_never_fails(text: str) -> None:
    """Whatever is written, it is nothing, or a least and a most in their order."""
    found = number_range(text)
    assert found is None or found[0] <= found[1]


@pytest.mark.parametrize(
    ("raw", "value", "expected"),
    [
        # equals
        ("US", "us", True),
        ("US", " Us ", True),
        (["US", "CA"], "ca", True),
        (["US", "CA"], "cat", False),
        ("Straße", "STRASSE", True),
        ("İzmir", "İZMIR", True),
        ("Café", "Cafe\u0301", True),
        ("US", None, False),
        ("none", None, False),
        (500, "500", True),
        (500, 500.0, True),
        (500, "500+", False),
        (500, True, False),
        (1, True, False),
        (2**53, 2**53 + 1, False),
        (True, True, True),
        (True, "TRUE", True),
        (True, 1, False),
        (False, None, False),
        ("true", True, True),
        # several answers in one field
        ("b", ["a", "B"], True),
        ("c", ["a", "b"], False),
        ("a", [], False),
        ({"at_least": 100}, ["10", "200"], True),
        # wildcards
        ("paid*", "PaidSocial", True),
        ("paid*", "unpaid", False),
        ("*", "anything", True),
        ("*", None, False),
        ("*paid*", "unpaid social", True),
        ("*paid", "social unpaid", True),
        ("*paid", "paid social", False),
        ("*paid*", "social unpaid", True),
        ("a*a", "a", False),
        ("a*b*c", "a\nb\nc", True),
        ("a*b*c", "acb", False),
        ("ab*ba", "aba", False),
        ("c++*", "c++ team", True),
        ("a.c*", "abc", False),
        # tables
        ({"at_least": 500}, "1,000+", True),
        ({"at_least": 100}, "51-200", False),
        ({"at_most": 200}, "51-200", True),
        ({"at_most": 5000}, "1,000+", False),
        ({"at_least": 0}, 10**400, True),
        ({"at_least": 0}, math.nan, False),
        ({"at_least": 0}, math.inf, True),
        ({"at_least": 1}, True, False),
        ({"at_least": 0}, None, False),
        ({"at_most": 5}, "none", False),
        ({"at_least": 50, "at_most": 200}, "51-200", True),
        ({"at_least": 100, "at_most": 200}, "51-200", False),
        ({"prefix": "+49"}, "+49 30 1234", True),
        ({"prefix": ["+1", "+44"]}, "+49 30", False),
        ({"prefix": "None"}, None, False),
        ({"contains": "PRICE"}, "the price?", True),
        ({"contains": "none"}, None, False),
        ({"contains": ["x", "demo"]}, "A demo", True),
        ({"missing": True}, None, True),
        ({"missing": True}, "", False),
        ({"missing": False}, 0, True),
        ({"missing": False, "prefix": "a"}, "b", False),
        ({"missing": True, "prefix": "a"}, "a", False),
        # domains
        ({"domain": "gmail.com"}, "kim@GMAIL.com", True),
        ({"domain": "gmail.com"}, "kim@mail.gmail.com", True),
        ({"domain": "gmail.com"}, "kim@notgmail.com", False),
        ({"domain": "gmail.com"}, "gmail.com@evil.example", False),
        ({"domain": "gmail.com"}, "kim@gmail.com.", True),
        ({"domain": "c.com"}, "a@b@c.com", True),
        ({"domain": "b.com"}, "a@b.com@c.com", False),
        ({"domain": "gmail.com"}, "Kim <kim@gmail.com>", True),
        ({"domain": "medium.com"}, "https://medium.com/@acme", True),
        ({"domain": "medium.com"}, "medium.com/@acme", True),
        ({"domain": "acme.com"}, "https://user@acme.com:8080/x", True),
        ({"domain": "acme.com"}, "www.acme.com/demo?x=1", True),
        ({"domain": "acme.com"}, "//acme.com", True),
        ({"domain": ["@acme.com", "*.acme.org."]}, "kim@x.acme.org", True),
        ({"domain": "https://www.acme.com/"}, "www.acme.com", True),
        ({"domain": "acme.com"}, "http://[", False),
        ({"domain": "acme.com"}, "", False),
        ({"domain": "acme.com"}, None, False),
        ({"domain": "acme.com"}, 7, False),
    ],
)
def test_holds(raw: Any, value: Any, expected: bool) -> None:
    """A condition holds of a value or it does not, asked by itself or by an index, in `when` or in `unless`."""
    condition = parse_condition("company", raw)
    assert expected == condition.holds_for(value)
    index = ConditionIndex([Detection("asks", (condition,)), Detection("refuses", (), (condition,))])
    assert (0 if expected else 1) == index.first_match(Facts({"company": value}))


@pytest.mark.parametrize(
    "raw",
    [
        [], {}, "", " ", [""], None, [None], [["a"]], math.nan, math.inf, {"at_least": "5"}, {"at_most": True},
        {"at_least": math.nan}, {"domain": []}, {"domain": "@"}, {"domain": 3}, {"prefix": ""}, {"contains": [1]},
        {"missing": "yes"}, {"missing": 1}, {"equals": "x"}, {"at_least": None},
    ],
)  # fmt: skip
def test_refused(raw: Any) -> None:
    """What could never hold, or says nothing, is refused when config is read and not when a lead comes."""
    with pytest.raises(ConditionError):
        parse_condition("company", raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("US", 'is "US"'),
        ([True, 5, "x"], 'is one of true, 5, "x"'),
        ({"at_least": 5, "at_most": 9}, "is at least 5 and is at most 9"),
        ({"domain": ["a.com", "b.com"]}, 'is in the domain "a.com", "b.com"'),
        ({"missing": True}, "is missing"),
        ({"missing": False}, "is given"),
        ({"prefix": "a"}, 'begins with "a"'),
        ({"contains": ["a", "b"]}, 'contains one of "a", "b"'),
    ],
)
def test_expected_in_words(raw: Any, expected: str) -> None:
    """A condition says in words what it asks."""
    assert expected == parse_condition("company", raw).expected


@pytest.mark.parametrize("field", ["email", "name", "phone", "message", "custom.Full Name", "custom.email"])
@pytest.mark.parametrize("raw", ["secret", ["secret", "other"], {"prefix": "secret"}, {"contains": "secret"}])
def test_personal_values_are_not_in_the_words(field: str, raw: Any) -> None:
    """A condition on a personal field does not repeat what it asks for: a match would give the person away."""
    assert "secret" not in parse_condition(field, raw).expected


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text()
    | st.from_regex(r"[0-9.,'+<>km \-]{0,20}|(http:)?//[\[\]@:a-z.]{0,12}", fullmatch=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
RAWS = (
    st.text(min_size=1).filter(str.strip)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([
        {"at_least": 5}, {"at_most": 5.5}, {"domain": "acme.com"}, {"prefix": "a"}, {"contains": "1"}, {"missing": True},
    ])
)  # fmt: skip


@given(RAWS, VALUES)
def test_no_value_breaks_a_condition(raw: Any, value: Any) -> None:
    """A lead can send anything: the answer is true or false, never an exception."""
    assert parse_condition("x", raw).holds_for(value) in (True, False)


@given(st.text(min_size=1).filter(lambda text: text.strip() and "*" not in text))
def test_a_text_equals_itself(text: str) -> None:
    """Whatever the script, a text equals itself, and itself in between wildcards."""
    assert parse_condition("x", text).holds_for(text)
    assert parse_condition("x", f"*{text.strip()}*").holds_for(f"-{text.strip()}-")


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_bounds_on_whole_numbers(value: int, limit: int) -> None:
    """At least and at most agree with arithmetic, for numbers and for the same numbers as text."""
    for written in (value, str(value), f"{value:,}"):
        assert (value >= limit) == parse_condition("x", {"at_least": limit}).holds_for(written)
        assert (value <= limit) == parse_condition("x", {"at_most": limit}).holds_for(written)


def test_wildcards_take_linear_time() -> None:
    """A megabyte made to hurt wildcards and numbers is answered at once (as a regular expression: minutes)."""
    started = time.process_time()
    assert not parse_condition("x", "*a*a*a*a*b").holds_for("a" * 1_000_000)
    assert not parse_condition("x", {"at_least": 5}).holds_for("1," * 500_000)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [("Ana <a@B.com>", "b.com"), ("mailto:a@b.com", "b.com"), ("HTTPS://B.com:1/x@y", "b.com"), ("", ""), ("http://[", "")],
)  # fmt: skip
def test_host_of(value: str, expected: str) -> None:
    """The host of whatever people put into an address field."""
    assert expected == host_of(value)


def test_long_names_of_fields_are_not_remembered() -> None:
    """A sender may name fields as they like, a megabyte each; what a name means does not depend on its length."""
    before = remembering._is_personal.cache_info().currsize
    assert [False, True] == [
        is_personal("custom." + "n" * 10_000),
        is_personal("custom. " + " " * 10_000 + "Email"),
    ]
    assert before == remembering._is_personal.cache_info().currsize
