"""The index of conditions: the same rule and the same words as asking each rule in turn."""

import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.core import plain_scan_oracle
from tests.core.builders import conditions, rule

from speed_to_lead.core import condition_index
from speed_to_lead.core.attribution import Detection
from speed_to_lead.core.condition_index import ConditionIndex
from speed_to_lead.core.facts import Facts
from speed_to_lead.core.meanings import PLAIN, Spellings
from speed_to_lead.core.rules import Rules
from speed_to_lead.core.values import folded

#: Few fields and few words, so that rules and leads meet often.
FIELDS = ("country", "employees", "email", "custom.plan", "referrer", "phone", "score", "received.hour")
WORDS = (
    "a",
    "ab",
    "abc",
    "b",
    "ba",
    "a.b",
    "x.a.b",
    "kim@x.a.b",
    "https://a.b/c",
    "Straße",
    "STRASSE",
    "é",
    "e\u0301",
    "0 1-2",
    "+9012",
    "012",
)
NUMBERS = (-1, 0, 1, 5, 5.0, 5.5, 50, 10**30)
TEXTS = st.sampled_from(WORDS) | st.text("ab.*", min_size=1, max_size=5)
EQUALS = TEXTS | st.booleans() | st.sampled_from(NUMBERS) | st.sampled_from(("5", "true", "*", "a*", "*a", "*a*", "a*b", "*a*b", "**"))  # fmt: skip
TABLES = st.fixed_dictionaries(
    {},
    optional={
        "at_least": st.sampled_from(NUMBERS),
        "at_most": st.sampled_from(NUMBERS),
        "domain": st.sampled_from(("a.b", "b", "x.a.b", "@a.b", "*.a.b")) | st.just(["b", "x.a.b"]),
        "prefix": TEXTS | st.lists(TEXTS, min_size=1, max_size=3),
        "contains": TEXTS | st.lists(TEXTS, min_size=1, max_size=3),
        "missing": st.booleans(),
    },
).filter(bool)
RAWS = EQUALS | st.lists(EQUALS, min_size=1, max_size=4) | TABLES
CONDITIONS = st.dictionaries(st.sampled_from(FIELDS), RAWS, max_size=3)
RULES = st.lists(st.tuples(CONDITIONS, CONDITIONS), max_size=60)

VALUES = (
    TEXTS | st.booleans() | st.sampled_from((*NUMBERS, "5", "1-50", "5+", "50 or more", "up to 5", "true"))
)
ODD = st.recursive(
    VALUES
    | st.none()
    | st.sampled_from((math.nan, math.inf, -math.inf, "", " ", "a" * 20_000, "1," * 5_000, "a." * 5_000, "\ud800", "http://["))
    | st.integers(-(10**400), 10**400)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip
#: Two countries of two spellings each, numbers that begin with 0 in one of them, and addresses in angle brackets.
SPELLINGS = Spellings(
    country=lambda text: {"a": "AA", "ab": "AA", "b": "BB", "ba": "BB"}.get(folded(text), ""),
    phone=lambda text, country: (
        f"+9{text}".replace(" ", "").replace("-", "")
        if country == "BB" and text.startswith("0")
        else text.replace(" ", "")
        if text.startswith("+")
        else ""
    ),
    email=lambda text: folded(text).removeprefix("<").removesuffix(">") if text.startswith("<") else "",
)
LEADS = st.dictionaries(st.sampled_from((*FIELDS, "name", "custom.other")), VALUES | ODD)


@settings(max_examples=400, deadline=None)
@given(RULES, LEADS)
@example([({"country": [True, "a*b"]}, {})], {"country": ["no", True]})
@example([({"employees": {"at_least": 5, "at_most": 1}}, {})], {"employees": [5, 1]})
@example([({}, {"employees": {"at_least": 5, "at_most": 1}})], {"employees": [5, 1]})
@example([({"employees": {"at_least": 0}}, {})], {"employees": math.nan})
@example([({"employees": {"at_most": 0}}, {})], {"employees": [math.nan, -1]})
@example([({"country": {"missing": True}}, {"country": {"missing": False}})], {"country": []})
@example([({"email": {"domain": "b"}}, {})], {"email": "a." * 5_000 + "b"})
@example([({"phone": ".*"}, {}), ({"phone": "-*.*"}, {})], {"phone": "12"})
@example([({"phone": "+4 9*-1*"}, {})], {"phone": "+4912"})
def test_the_index_answers_as_a_scan_does(
    rules: list[tuple[dict[str, Any], dict[str, Any]]], facts: dict[str, Any]
) -> None:
    """Whatever rules ask and leads say: the same rule matches, and the trace says the same in the same words."""
    _compare(rules, facts, PLAIN)


@settings(max_examples=400, deadline=None)
@given(RULES, LEADS)
@example([({"country": "A"}, {})], {"country": "ab"})
@example([({"country": "A*"}, {"country": "b"})], {"country": ["x.a.b", "ab"]})
@example([({"country": {"prefix": "a"}}, {})], {"country": "b"})
@example([({"phone": {"prefix": "+9 0"}}, {})], {"phone": "0 1-2", "country": "b"})
@example([({"phone": "0 12"}, {})], {"phone": "+9012"})
@example([({"email": "<b>"}, {})], {"email": ["<B>", 1]})
def test_the_index_answers_as_a_scan_does_whatever_the_spelling(
    rules: list[tuple[dict[str, Any], dict[str, Any]]], facts: dict[str, Any]
) -> None:
    """The same where countries, numbers and addresses are compared by what they mean."""
    _compare(rules, facts, SPELLINGS)


def _compare(
    rules: list[tuple[dict[str, Any], dict[str, Any]]], lead: dict[str, Any], spellings: Spellings
) -> None:
    number, tried = plain_scan_oracle.first_match(rules, lead, spellings)
    made = [
        rule(f"r{place}", when=when, unless=unless, spellings=spellings)
        for place, (when, unless) in enumerate(rules)
    ]
    facts = Facts(lead, spellings=None if spellings is PLAIN else spellings)
    assert number == ConditionIndex(made).first_match(facts)
    match = Rules(made, rule("default")).first_match(facts)
    assert ("default" if number is None else f"r{number}", tried) == (match.rule.name, match.tried)


@settings(max_examples=150, deadline=None)
@given(st.lists(CONDITIONS, min_size=1, max_size=6), st.lists(LEADS, min_size=1, max_size=4), st.randoms())
def test_many_rules_of_few_conditions(
    shapes: list[dict[str, Any]], leads: list[dict[str, Any]], dice: Any
) -> None:
    """Hundreds of rules that share conditions, asked about several leads in a row: what is remembered never misleads."""
    rules = [(dice.choice(shapes), dice.choice([{}, *shapes])) for _ in range(300)]
    made = [rule(f"r{number}", when=when, unless=unless) for number, (when, unless) in enumerate(rules)]
    ready, index = Rules(made, rule("default")), ConditionIndex(made)
    for facts in leads:
        number, tried = plain_scan_oracle.first_match(rules, facts)
        assert number == index.first_match(Facts(facts))
        match = ready.first_match(Facts(facts))
        assert ("default" if number is None else f"r{number}", tried) == (match.rule.name, match.tried)


@pytest.mark.parametrize("count", [0, 1, 29, 30, 31, 64, 1000])
def test_every_place_can_match(count: int) -> None:
    """The rule at each place is found, and the place after the last is nobody's."""
    index = ConditionIndex([rule(f"r{n}", when={"company": f"company {n}"}) for n in range(count)])
    places = [index.first_match(Facts({"company": f"Company {n}"})) for n in range(count + 1)]
    assert [*range(count), None] == places


def test_one_field_asked_twice_in_one_rule() -> None:
    """Config can write `custom.plan` in two ways, and both conditions of a rule count."""
    both = (*conditions({"custom.plan": ["pro", "team"]}), *conditions({"custom.plan": ["team", "free"]}))
    index = ConditionIndex(
        [Detection("x", both), Detection("y", (), both), Detection("z", both[:1], both[:1])]
    )
    found = {
        plan: index.first_match(Facts({"custom.plan": plan})) for plan in ("pro", "team", "free", "other")
    }
    assert {"pro": None, "team": 0, "free": None, "other": 1} == found


def test_fields_given_are_remembered_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leads that each give other fields do not fill the memory, and are answered alike."""
    monkeypatch.setattr(condition_index, "REMEMBERED_CHOICES", 5)
    index = ConditionIndex([rule(f"r{n}", when={f"custom.{n}": "x"}) for n in range(40)])
    for _ in range(2):
        assert [*range(40)] == [index.first_match(Facts({f"custom.{n}": "x"})) for n in range(40)]
    assert len(index._choices) <= 5


def test_many_parts_are_found_in_a_short_text() -> None:
    """Ten thousand rules that ask what a title contains find theirs, wherever it stands."""
    index = ConditionIndex([rule(f"r{n}", when={"title": {"contains": f"-{n}-"}}) for n in range(10_000)])
    found = [index.first_match(Facts({"title": title})) for title in ("x-9999-", "-7-x-77-", "-10000-", "")]
    assert [9999, 7, None, None] == found
