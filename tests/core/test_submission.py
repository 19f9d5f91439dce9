"""The generic lead: names folded, values that cannot be meant kept aside, errors that give nobody away."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speed_to_lead.core.submission import (
    FIELD_ALIASES,
    LEAD_FIELDS,
    PHONE_E164,
    GenericLead,
    UnreadableSubmission,
    generic_lead,
    lead_field_named,
    person_keys,
)

WHO = {"email": "sam@example.com"}


@pytest.mark.parametrize("name", LEAD_FIELDS)
def test_every_field_is_found_by_its_own_name_however_it_is_written(name: str) -> None:
    """Case, spaces, hyphens, camelCase and a form's required mark make no difference."""
    camel = "".join(part.capitalize() for part in name.split("_"))
    for written in (name, name.upper(), name.replace("_", "-"), name.replace("_", " ").title() + " *", camel):
        assert name == lead_field_named(written)


@pytest.mark.parametrize(("alias", "field"), FIELD_ALIASES.items())
def test_every_alias_leads_to_a_field(alias: str, field: str) -> None:
    """No alias is dead, and each leads to a field of the generic lead."""
    assert field in LEAD_FIELDS
    assert field == lead_field_named(alias)


@pytest.mark.parametrize("name", ["manager__email", "email_opt_out", "", "___", "first"])
def test_other_names_are_nobodys_field(name: str) -> None:
    """A name that only resembles a field is left alone."""
    assert lead_field_named(name) is None


@pytest.mark.parametrize(
    ("payload", "fields", "custom"),
    [
        ({"E-Mail": " sam@example.com "}, WHO, {}),
        ({"workEmail": "b@example.com", "email": "a@example.com"}, {"email": "a@example.com"}, {}),
        ({"email": "a@example.com", "workEmail": "b@example.com"}, {"email": "a@example.com"}, {}),
        ({**WHO, "employees": 0, "consent": False}, {**WHO, "employees": 0, "consent": False}, {}),
        ({**WHO, "name": " ", "budget": None, "city": [], "x": {}}, WHO, {}),
        ({**WHO, "industry": ["IT", "Retail"]}, {**WHO, "industry": "IT, Retail"}, {}),
        ({"email": ["sam@example.com", "x@example.com"]}, WHO, {}),
        ({**WHO, "company": {"name": "Acme"}}, WHO, {"company": {"name": "Acme"}}),
        ({**WHO, "city": [["a"]], "region": ["", "MA"]}, {**WHO, "region": "MA"}, {"city": [["a"]]}),
        ({"phone": 15550100}, {"phone": 15550100}, {}),
        ({**WHO, "phone": "n/a"}, WHO, {"phone": "n/a"}),
        ({**WHO, "custom": {"plan": "pro", "no": ""}, "seats": 3}, WHO, {"plan": "pro", "seats": 3}),
        ({**WHO, "custom": "text"}, WHO, {"custom": "text"}),
    ],
)
def test_what_a_flat_mapping_says(
    payload: Mapping[str, Any], fields: Mapping[str, Any], custom: Mapping[str, Any]
) -> None:
    """Aliases are folded, blanks dropped, and what a field cannot hold is kept under `custom`."""
    lead = generic_lead(payload)
    assert (fields, custom) == (lead.fields, lead.custom)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"email": ""},
        {"email": True},
        {"email": 5},
        {"email": {"a": 1}},
        {"email": ()},
        {"phone": False},
        {"phone": "none"},
        {"phone": "00"},
    ],
)
def test_nobody_to_answer(payload: Mapping[str, Any]) -> None:
    """A lead without an e-mail address or phone number that could be used is refused."""
    with pytest.raises(UnreadableSubmission, match="nobody to answer"):
        generic_lead(payload)


@pytest.mark.parametrize(
    ("payload", "names"),
    [
        ({}, "none"),
        ({"name": "Sam", "plan": 1}, "name, plan"),
        ({"laura@example.com": "", "x y": 1, "company": "Acme"}, "company and 1 more"),
        ({"laura@example.com": 1, "+1 555 0100": 1, "p15550100": 1}, "3 with unusual names"),
    ],
)
def test_the_error_names_fields_but_no_person(payload: Mapping[str, Any], names: str) -> None:
    """A value that became a name, because the body was not what it claimed, is not quoted."""
    with pytest.raises(UnreadableSubmission) as raised:
        generic_lead(payload)
    assert str(raised.value).endswith(f"the fields given were: {names}")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*LEAD_FIELDS, *FIELD_ALIASES, "custom"]) | st.text(), values))
def test_every_lead_can_be_found_again(payload: dict[str, Any]) -> None:
    """Whatever was given, a lead that is taken has a person's key, and everything else is refused in words."""
    try:
        lead = generic_lead(payload)
    except UnreadableSubmission:
        return
    assert set(lead.fields) <= set(LEAD_FIELDS)
    assert len(person_keys(lead)) == 1


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"email": "sam@example.com"}, {"email": " Sam <SAM@example.com>", "phone": "1"}, True),
        ({"email": "sam@example.com"}, {"email": "sam@example.org"}, False),
        ({"email": "sam@m\u00fcnchen.example"}, {"email": "Sam@XN--MNCHEN-3YA.example"}, True),
        ({"email": "sam@xn--\u00fc.example"}, {"email": "sam@xn--.example"}, False),
        ({"phone": "+44 20 7946 0018"}, {"phone": "0044 20 7946-0018"}, True),
        ({"phone": "020 7946 0018", PHONE_E164: "+442079460018"}, {"phone": "+44 20 7946 0018"}, True),
        ({"phone": "020 7946 0018", PHONE_E164: "+442079460018"}, {"phone": "020 7946 0018"}, False),
        ({"phone": "x", PHONE_E164: "+493012345;ext=6"}, {"phone": "x", PHONE_E164: "+4930123456"}, False),
        (
            {"phone": "x", PHONE_E164: "+493012345;ext=6"},
            {"phone": "y", PHONE_E164: "+493012345;ext=6"},
            True,
        ),
    ],
)
def test_one_person_in_several_spellings(one: dict[str, str], other: dict[str, str], is_same: bool) -> None:
    """The same address or number is the same person; another extension, or a number that nobody could place, is not."""
    assert is_same == (person_keys(GenericLead(one)) == person_keys(GenericLead(other)))


def test_the_keys_of_people_do_not_change() -> None:
    """A key stands in Redis for as long as its lead: those of addresses and of international numbers are what they were."""
    keys = [person_keys(GenericLead(lead)) for lead in (WHO, {"phone": "+44 20 7946 0018"})]
    assert [("0b7329f47a81cc75fe0c31b1",), ("a88a9c75df3c55f4b4596d83",)] == keys
