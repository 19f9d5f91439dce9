"""Generic: JSON and form bodies of Zapier, Make, curl and a form of one's own."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from speed_to_lead.core.submission import (
    Form,
    GenericLead,
    ParsedSubmission,
    Submission,
    UnreadableSubmission,
)
from speed_to_lead.forms import PROVIDERS, read

FORM = Form("demo", "generic", "none")
WHO = {"email": "sam@example.com"}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
URLENCODED = "application/x-www-form-urlencoded"


def test_the_sample(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """Aliases are folded, nested keys stay custom, large ids stay exact, the form's own time stands apart."""
    expected = ParsedSubmission(
        GenericLead(
            {**WHO, "name": "Sam Jones", "employees": "120", "utm_source": "google", "consent": True},
            {
                "plan": "pro",
                "contact__city": "Leeds",
                "campaign_id": "12345678901234567890",
                "address": {"city": "Leeds"},
            },
        ),
        same_submission_key="s-1",
        submitted_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
    )
    assert expected == read(submission(sample("generic")), FORM)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('{"email": "sam@example.com", "name": "Zoë"}', "application/json"),
        ('{"email": "sam@example.com", "name": "Zoë"}', "application/json; charset=utf-8"),
        ('{"email": "sam@example.com", "name": "Zoë"}', "application/vnd.lead+json"),
        ('{"email": "sam@example.com", "name": "Zoë"}', URLENCODED),
        ('\ufeff {"email": "sam@example.com", "name": "Zoë"}', ""),
        ('[{"email": "sam@example.com", "name": "Zoë"}]', ""),
        ("email=sam%40example.com&name=Zo%C3%AB", URLENCODED),
        ("email=sam@example.com&name=Zo%C3%AB&blank=", "text/plain"),
        ("Email=sam%40example.com&name=Zoë\r\n", ""),
        ("email=sam%40example.com&email=sam%40example.com&name=Zo%C3%AB", ""),
        ("email=sam@example.com&name=Zoë".encode("cp1252"), URLENCODED),
    ],
)
def test_every_way_to_send_the_same(
    submission: Callable[..., Submission], body: str | bytes, content_type: str
) -> None:
    """What a body begins with counts for more than what it is called."""
    assert GenericLead({**WHO, "name": "Zoë"}) == read(submission(body, content_type), FORM).lead


def test_check_boxes_of_one_name(submission: Callable[..., Submission]) -> None:
    """A name sent several times keeps all its values."""
    lead = read(
        submission("email=sam%40example.com&industry=IT&industry=Retail&x=1&x=2", URLENCODED), FORM
    ).lead
    assert (lead.get("industry"), lead.get("custom.x")) == ("IT, Retail", ["1", "2"])


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("key:org", "Org"),
        ("org", "Org"),
        ("key:contact.company", "Nested"),
        ("contact.company", "Nested"),
        ("people.1.company", "Second"),
        ("dotted.name", "Dotted"),
        ("with:colon", "Colon"),
        ("people.9.company", "Plain"),
        ("contact.company.deeper", "Plain"),
        ("blank", "Plain"),
        ("nothing", "Plain"),
    ],
)
def test_selectors(submission: Callable[..., Submission], selector: str, expected: str) -> None:
    """A plain name, a dotted path, a place in a list; what finds nothing leaves what was found."""
    body = {
        **WHO,
        "company": "Plain",
        "org": "Org",
        "contact": {"company": "Nested"},
        "people": [{}, {"company": "Second"}],
        "dotted.name": "Dotted",
        "with:colon": "Colon",
        "blank": " ",
    }
    lead = read(submission(body), Form("demo", "generic", "none", fields={"company": selector})).lead
    assert expected == lead.get("company")
    assert selector.removeprefix("key:") not in lead.custom


@pytest.mark.parametrize("custom", [{"a": 1}, "text", None, [1]])
def test_fields_of_ones_own_are_custom(submission: Callable[..., Submission], custom: Any) -> None:
    """A target that is not the generic lead's, with or without `custom.`, becomes a custom field beside the others."""
    fields = {"custom.size": "key:n", "tier": "key:t"}
    body = {**WHO, "n": 3, "t": "gold", "custom": custom}
    lead = read(submission(body), Form("demo", "generic", "none", fields=fields)).lead
    others = {"a": 1} if isinstance(custom, dict) else {"custom": custom} if custom else {}
    assert {**others, "size": 3, "tier": "gold"} == lead.custom


@pytest.mark.parametrize(
    ("headers", "extra", "key"),
    [
        ({"webhook-id": "m1", "idempotency-key": "i1"}, {"submission_id": "s1"}, "m1"),
        ({"idempotency-key": "i1"}, {"submission_id": "s1"}, "i1"),
        ({}, {"submission_id": "s1"}, "s1"),
        ({}, {"submission_id": 17}, "17"),
        ({"webhook-id": ""}, {"submission_id": True}, None),
        ({"webhook-id": "half \ud83d"}, {}, "half \N{REPLACEMENT CHARACTER}"),
        ({}, {"id": "x", "event_id": "y"}, None),
    ],
)
def test_the_same_submission_key(
    submission: Callable[..., Submission], headers: dict[str, str], extra: dict[str, Any], key: str | None
) -> None:
    """Only what is meant as a key is one; the headers it may stand in are kept with the submission."""
    parsed = read(submission({**WHO, **extra}, "application/json", headers), FORM)
    assert key == parsed.same_submission_key
    assert set(headers) <= set(PROVIDERS["generic"].kept_headers)


@pytest.mark.parametrize(
    ("extra", "expected", "custom"),
    [
        ({"submitted_at": "2026-03-01T12:00:00Z"}, NOON, {}),
        ({"createdAt": "2026-03-01T12:00:00"}, NOON, {}),
        ({"timestamp": 1772366400}, NOON, {}),
        ({"timestamp": "1772366400000"}, NOON, {}),
        ({"Submitted At": 1772366400000.0}, NOON, {}),
        ({"timestamp": 1772366400000000}, NOON, {}),
        ({"created_at": 1, "submitted_at": "2026-03-01 13:00+01:00"}, NOON, {"created_at": 1}),
        ({"submitted_at": "last Tuesday"}, None, {"submitted_at": "last Tuesday"}),
        ({"timestamp": True}, None, {"timestamp": True}),
        ({"timestamp": "9" * 17}, None, {"timestamp": "9" * 17}),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, None, {"timestamp": "0001-01-01T00:00:00+14:00"}),
        ({}, None, {}),
    ],
)
def test_the_forms_own_time(
    submission: Callable[..., Submission],
    extra: dict[str, Any],
    expected: datetime | None,
    custom: Mapping[str, Any],
) -> None:
    """ISO 8601 or Unix seconds, milliseconds, microseconds; what is no time stays a custom field."""
    parsed = read(submission({**WHO, **extra}), FORM)
    assert (expected, custom) == (parsed.submitted_at, parsed.lead.custom)


@pytest.mark.parametrize(
    ("extra", "is_test", "custom"),
    [
        ({"is_test": True}, True, {}),
        ({"is_test": "true"}, True, {}),
        ({"is_test": "1"}, True, {"is_test": "1"}),
        ({"test": True}, True, {}),
        ({"test": "TRUE"}, True, {}),
        ({"is_test": False}, False, {}),
        ({"test": "false"}, False, {}),
        ({"test": "yes"}, False, {"test": "yes"}),
        ({"test": 1}, False, {"test": 1}),
        ({"is_test": [1]}, False, {"is_test": [1]}),
    ],
)
def test_what_calls_itself_a_test(
    submission: Callable[..., Submission], extra: dict[str, Any], is_test: bool, custom: Mapping[str, Any]
) -> None:
    """A test is marked; a form's own question named "test" does not lose a lead."""
    parsed = read(submission({**WHO, **extra}), FORM)
    assert (is_test, custom) == (parsed.is_test, parsed.lead.custom)


def test_a_test_needs_nobody_in_it(submission: Callable[..., Submission]) -> None:
    """A test delivery without a person is counted as a test, not as a dead letter."""
    assert read(submission({"is_test": True}), FORM).is_test


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("[]", "", "a list of 0 items"),
        ([WHO, WHO], "", "a list of 2 items; send one lead per request"),
        ('"sam"', "application/json", "the body is text, not a JSON object"),
        ("[5]", "", "the body is a number"),
        ("email=sam", "application/json", "not JSON: Expecting value at line 1, column 1"),
        ("sam@example.com", "", "not JSON"),
        ("--x\r\nemail=1", "multipart/form-data; boundary=x", "multipart"),
        ("&".join(f"f{n}=1" for n in range(1001)), URLENCODED, "more than 1000 fields"),
        ("=sam", URLENCODED, "nobody to answer"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(
    submission: Callable[..., Submission], body: Any, content_type: str, text: str
) -> None:
    """The text says what is wrong and quotes nothing."""
    with pytest.raises(UnreadableSubmission, match=text) as raised:
        read(submission(body, content_type), FORM)
    assert "sam" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("Vorname", "first_name"),
        ("prénom", "first_name"),
        ("correo_electronico", "email"),
        ("sobrenome", "last_name"),
        ("azienda", "company"),
        ("telefoonnummer", "phone"),
    ],
)
def test_names_in_other_languages_are_known(
    submission: Callable[..., Submission], name: str, field: str
) -> None:
    """Word by word only: a longer name may mean anything."""
    value = "kim@example.com" if field == "email" else "030 1234567"
    found = read(submission({"email": "ana@example.com", name: value, f"{name} 2": value}), FORM).lead
    assert (value if field != "email" else "ana@example.com") == found.get(field)
    assert found.custom == {f"{name} 2": value}
