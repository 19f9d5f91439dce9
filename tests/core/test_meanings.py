"""What a lead's values mean beyond their text: derived fields, remarks on what cannot be read, and rules that use both."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.builders import MONDAY, generic, rule, rulebook

from speed_to_lead.core.meanings import HOUR, WEEKDAY, Meanings, Reception, company_domain, email_kind
from speed_to_lead.core.routing import Route, Rulebook, route_of
from speed_to_lead.core.submission import GenericLead
from speed_to_lead.spellings import SPELLINGS

NEW_YORK = Reception(ZoneInfo("America/New_York"), "new-york")


def _rulebook(*rules: Any, reception: Reception | None = None) -> Rulebook:
    plain = rulebook(*rules)
    return Rulebook(
        plain.taxonomy, plain.calendars, plain.teams, plain.slas, plain.rules, plain.default, "digest", SPELLINGS,
        reception or Reception(),
    )  # fmt: skip


def _route(
    when: dict[str, Any],
    fields: dict[str, Any],
    *,
    received_at: datetime = MONDAY,
    touches: int = 0,
    **more: Any,
) -> Route:
    book = _rulebook(rule("asked", when=when, spellings=SPELLINGS), **more)
    return route_of(GenericLead(fields), "demo", None, received_at, book, touches)


KIM = {"email": "kim@mail.example.co.uk"}


@pytest.mark.parametrize(
    ("when", "lead", "matches"),
    [
        ({"country": "Germany"}, {"country": "DEU"}, True),
        ({"country": ["US", "CA"]}, {"country": "Vereinigte Staaten"}, True),
        ({"country": "Deutschland"}, {"country": "de"}, True),
        ({"country": "DE"}, {"country": "Austria"}, False),
        ({"country": "Atlantis"}, {"country": " atlantis"}, True),
        ({"country": "Ger*"}, {"country": "Germany"}, True),
        ({"country": "C*"}, {"country": "Switzerland"}, False),
        ({"country": {"missing": False}}, {"country": "Atlantis"}, True),
        ({"phone": {"prefix": "+44"}}, {"phone": "020 7946 0018", "country": "UK"}, True),
        ({"phone": {"prefix": "+44 20"}}, {"phone": "0044 (20) 7946-0018"}, True),
        ({"phone": {"prefix": "+44"}}, {"phone": "020 7946 0018"}, False),
        ({"phone": {"prefix": "020"}}, {"phone": "020 7946 0018", "country": "UK"}, True),
        ({"phone": "+44 20 7946 0018"}, {"phone": "020-7946-0018", "country": "GB"}, True),
        ({"email": "kim@example.com"}, {"email": "Kim Doe <KIM@example.com>"}, True),
        ({"email_kind": "free"}, {"email": "kim@gmail.com"}, True),
        ({"email_kind": "work"}, KIM, True),
        ({"email_kind": {"missing": True}}, {"phone": "+44 20 7946 0018"}, True),
        ({"company_domain": "example.co.uk"}, KIM, True),
        ({"company_domain": "www.example.co.uk"}, KIM, True),
        ({"company_domain": "acme.com"}, {"email": "kim@gmail.com", "website": "https://www.acme.com/about"}, True),
        ({"company_domain": {"missing": True}}, {"email": "kim@gmail.com", "website": "linkedin.com/company/acme"}, True),
        ({"employees": {"at_least": 500}}, {"employees": "über 500"}, True),
        ({"budget": {"at_least": 10_000}}, {"budget": "$10k \u2013 $50k"}, True),
        ({"budget": {"at_most": 40_000}}, {"budget": "$10k \u2013 $50k"}, False),
        ({"received.weekday": ["sat", "mon"]}, KIM, True),
        ({"received.hour": {"at_least": 9, "at_most": 17}}, KIM, True),
        ({"received.hour": 8}, KIM, False),
        ({"touches": {"at_least": 1}}, KIM, False),
    ],
)  # fmt: skip
def test_rules_ask_for_what_is_meant(when: dict[str, Any], lead: dict[str, Any], matches: bool) -> None:
    """However it is spelt, and where it has to be worked out first."""
    assert matches == (_route(when, lead).rule.name == "asked")


def test_received_is_read_from_the_named_calendars_clock() -> None:
    """The same instant is another day and hour elsewhere, and the trace says whose."""
    late = datetime(2026, 11, 23, 3, 30, tzinfo=UTC)
    when = {"received.weekday": "sun", "received.hour": 22}
    there, here = (_route(when, KIM, received_at=late, reception=zone) for zone in (NEW_YORK, Reception()))
    assert ("asked", "Everything") == (there.rule.name, here.rule.name)
    assert 'received on sun, hour 22, America/New_York (calendar "new-york")' in there.trace
    assert "received on mon, hour 3, UTC" in here.trace


def test_touches_are_those_the_caller_counts() -> None:
    """A rule may treat apart who has come again."""
    names = [_route({"touches": {"at_least": 2}}, KIM, touches=count).rule.name for count in (0, 1, 2, 3)]
    assert ["Everything", "Everything", "asked", "asked"] == names


def test_what_nobody_asks_for_is_not_worked_out() -> None:
    """A rulebook that asks for no derived field costs no lead anything."""
    book = _rulebook(rule("asked", when={"country": "US"}))
    assert frozenset() == book.meanings.asked
    assert {} == book.meanings.derived(generic(), MONDAY)


@pytest.mark.parametrize(
    ("lead", "remarks"),
    [
        (KIM | {"employees": "51-200", "budget": "$10k", "country": "Deutschland", "phone": "+49 30 901820"}, []),
        (KIM | {"employees": "lots"}, ['employees is "lots", in which no number can be read; it is compared as text']),
        (KIM | {"budget": "TBD"}, ['budget is "TBD", in which no number can be read; it is compared as text']),
        (KIM | {"country": "Atlantis"}, ['country is "Atlantis", which is no country we know; it is compared as text']),
        (KIM | {"phone": "12"}, ["phone is given, but is no phone number; it is compared as text"]),
        ({"email": "kim..doe@example.com"}, ["email is given, but is no e-mail address; it is compared as text"]),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_and_the_lead_routed(lead: dict[str, Any], remarks: list[str]) -> None:
    """Bad input stops nothing: the text stays, the trace says what was made of it."""
    route = _route({"source": "elsewhere"}, lead)
    assert "Everything" == route.rule.name
    assert remarks == [line for line in route.trace if "as text" in line]


def test_a_phone_that_is_none_at_all_stays_under_custom() -> None:
    """What holds no digit was never a phone number; the trace says where it went."""
    lead = GenericLead(KIM, {"phone": "call me"})
    trace = route_of(lead, "demo", None, MONDAY, _rulebook()).trace
    assert "phone is given, but is no phone number; it is kept as custom.phone" in trace


def test_an_object_in_the_place_of_a_size_or_a_country_is_said() -> None:
    """It cannot be compared; the trace says where it went. What a form itself calls custom is nothing odd."""
    lead = GenericLead(KIM, {"employees": {"min": 51}, "country": [{"code": "GB"}], "budget": "10k"})
    trace = route_of(lead, "demo", None, MONDAY, _rulebook()).trace
    said = [
        f"{name} is given, but is no text or number; it is kept as custom.{name}"
        for name in ("employees", "country")
    ]
    assert said == [line for line in trace if "kept as custom" in line]
    assert not any("call me" in line for line in trace)


def test_the_trace_says_which_country_a_text_means() -> None:
    """Who reads "is Deutschland, and the rule asks for US" need not guess."""
    (line,) = (
        line for line in _route({"country": "US"}, KIM | {"country": "Deutschland"}).trace if "asked" in line
    )
    assert (
        'rule "asked" does not match: country is "Deutschland" (DE), and the rule asks that it is "US"'
        == line
    )


VALUES = st.none() | st.text() | st.integers() | st.floats() | st.booleans() | st.lists(st.text(), max_size=2)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(("email", "website", "phone", "country", "employees", "budget")), VALUES),
    st.dictionaries(st.sampled_from(("phone", "email", "x")), VALUES),
    st.integers(0, 10**6),
)
def test_nothing_a_lead_says_stops_its_route(
    fields: dict[str, Any], custom: dict[str, Any], minutes: int
) -> None:
    """Whatever it is, it is read or left as text, and derived fields are of their few words."""
    received_at = MONDAY + timedelta(minutes=minutes)
    when = {
        "email_kind": "work",
        "company_domain": "x",
        WEEKDAY: "mon",
        HOUR: 1,
        "country": "US",
        "phone": "+1*",
    }
    route = _route(when, fields, received_at=received_at, reception=NEW_YORK)
    assert route.trace
    lead = GenericLead(fields, custom)
    assert email_kind(lead, SPELLINGS) in ("", "free", "work")
    assert isinstance(company_domain(lead, SPELLINGS), str)
    local = received_at.astimezone(NEW_YORK.zone)
    found = Meanings(SPELLINGS, NEW_YORK, frozenset((HOUR,))).derived(lead, received_at)
    assert (local.strftime("%a").lower(), local.hour) == (found[WEEKDAY], found[HOUR])
