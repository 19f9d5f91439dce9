"""Rules: the first that matches, and why the others do not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.builders import rule

from speed_to_lead.core.facts import Facts
from speed_to_lead.core.rules import TRACED_RULES, Rule, Rules

DEFAULT = rule("default")


def objection(asked: Rule, facts: dict[str, Any]) -> str | None:
    """Why the rule does not match, None where it does."""
    tried = Rules([asked], DEFAULT).first_match(Facts(facts)).tried
    return tried[0].removeprefix(f'rule "{asked.name}" does not match: ') if tried else None


@pytest.mark.parametrize(
    ("when", "unless", "facts", "expected"),
    [
        ({}, {}, {}, None),
        ({"country": "US"}, {}, {"country": "us"}, None),
        ({"country": "US"}, {}, {}, 'country is not given, and the rule asks that it is "US"'),
        ({"country": "US"}, {}, {"country": "DE"}, 'country is "DE", and the rule asks that it is "US"'),
        (
            {"country": "US", "employees": {"at_least": 500}},
            {},
            {"country": "US", "employees": "51-200"},
            'employees is "51-200", and the rule asks that it is at least 500',
        ),
        (
            {},
            {"country": "US"},
            {"country": "US"},
            'country is "US", and the rule is not for one that is "US"',
        ),
        ({}, {"country": "US"}, {}, None),
        ({"country": "US"}, {"employees": {"at_least": 5}}, {"country": "US", "employees": "1-4"}, None),
        (
            {"country": "US"},
            {"city": "Rome", "region": "NY"},
            {"country": "US", "region": "ny"},
            'region is "ny", and the rule is not for one that is "NY"',
        ),
        (
            {},
            {"email": {"domain": "gmail.com"}},
            {"email": "kim@gmail.com"},
            'email is given, and the rule is not for one that is in the domain "gmail.com"',
        ),
    ],
)
def test_objection(when: Any, unless: Any, facts: dict[str, Any], expected: str | None) -> None:
    """A rule matches where all of `when` hold and none of `unless`, and says what is in the way otherwise."""
    assert expected == objection(rule("r", when=when, unless=unless), facts)


@given(st.lists(st.booleans(), max_size=60))
def test_the_first_match_wins(matching: list[bool]) -> None:
    """The first rule that matches is taken, the default where none does; each one before it is named or counted."""
    rules = [rule(f"r{n}", when={"x": "yes" if fits else "no"}) for n, fits in enumerate(matching)]
    first = matching.index(True) if True in matching else len(rules)
    match = Rules(rules, DEFAULT).first_match(Facts({"x": "yes"}))
    assert (rules[first] if first < len(rules) else DEFAULT) is match.rule
    named = [
        f'rule "r{n}" does not match: x is "yes", and the rule asks that it is "no"' for n in range(first)
    ]
    rest = [f"{first - TRACED_RULES} more rules do not match"] if first > TRACED_RULES else []
    assert (*named[:TRACED_RULES], *rest) == match.tried


def test_a_long_value_is_cut() -> None:
    """A trace repeats 60 characters of a value at the most."""
    found = objection(rule("r", when={"company": "a"}), {"company": "x" * 1000})
    assert f'company is "{"x" * 57}...", and the rule asks that it is "a"' == found


PERSONAL = {"email": "zz@qq.example", "name": "Zoë Quixote", "phone": "+49 999", "message": "call my mum"}


@given(
    st.sampled_from([*PERSONAL, "company", "custom.Your Name", "referrer"]),
    st.sampled_from([*PERSONAL.values(), "Zoë Quixote Ltd", "https://a.b/?email=zz@qq.example"]),
    st.booleans(),
)
def test_no_personal_value_is_in_an_objection(field: str, value: str, negated: bool) -> None:
    """Whether the rule asks for the very value or refuses it, and wherever it is repeated, it is not in the words."""
    facts = PERSONAL | {field: value}
    asked = {field: value if negated else "other"}
    made = rule("r", when=None if negated else asked, unless=asked if negated else None)
    words = (objection(made, facts) or "").split(", and the rule")
    assert [word for key, word in facts.items() if key in PERSONAL and word in words[0]] == []
    if field in PERSONAL:
        assert value not in words[-1]
