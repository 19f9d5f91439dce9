"""Whose is a record, and does a text quote somebody: whatever the escapes, and never somebody with a longer address."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speed_to_lead.core.person import ERASED, NobodyNamed, Person, person_named
from speed_to_lead.core.submission import GenericLead, person_keys

KIM = person_named("Kim@Example.com", "+44 20 7946 0000")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kim@example.com", True),
        ("Write to KIM@EXAMPLE.COM.", True),
        ("Kim <kim@example.com>", True),
        ("joakim@example.com", False),
        ("a.kim@example.com", False),
        ("o'kim@example.com", False),
        ("kim+tag@example.com", False),
        ("kim@example.com.au", False),
        ("kim@example.community", False),
        (r'"hello\nkim@example.com"', True),
        (r'"k\u0069m@example.com"', True),
        ("email=kim%40example.com&x=1", True),
        ("m=write+to+kim%40example.com", True),
        ('payload={"a":"b+kim@example.com c"}', False),
        ("a=%7B%22email%22%3A%22kim%40example.com%22%7D", True),
        ("kim&#64;example.com", True),
        ("call +44 (20) 7946-0000 now", True),
        ("0044 20 7946 0000", True),
        ("442079460000", True),
        ("2026-01-05 442079460000", True),
        ("1442079460000", False),
        ("4420794600001", False),
        ("", False),
    ],
)
def test_is_quoted_in(text: str, expected: bool) -> None:
    """Plain, in JSON, in HTML, percent-encoded, in layers; not as part of another address or number."""
    assert expected is KIM.is_quoted_in(text)


def test_their_digest_is_a_trace() -> None:
    """The digest under which they are found is theirs too."""
    (key,) = person_keys(GenericLead({"email": "kim@example.com"}))
    assert KIM.is_quoted_in(f"person:{key}")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"email": " KIM@example.com "}, True),
        ({"email": "Kim Doe <kim@example.com>"}, True),
        ({"email": "sam@example.com", "phone": "0044 20 79460000"}, True),
        ({"email": "sam@example.com", "message": "kim@example.com"}, False),
        ({"phone": 442079460000}, True),
        ({}, False),
    ],
)
def test_owns(fields: dict[str, object], expected: bool) -> None:
    """A record is theirs by its own e-mail or phone, not by what it says."""
    assert expected is KIM.owns(GenericLead(fields))


def test_redacted() -> None:
    """Quotations go at any depth, the rest stays; what quotes in an escaped form goes as a whole."""
    value = {
        "a": ["ask kim@example.com, please", "https://example.com/?m=kim%40example.com"],
        "n": 442079460000,
        "kept": (5, True, None, "sam@example.com"),
    }
    expected = {
        "a": [f"ask {ERASED}, please", ERASED],
        "n": ERASED,
        "kept": (5, True, None, "sam@example.com"),
    }
    assert expected == KIM.redacted(value)


@pytest.mark.parametrize("given_text", ["kim", "", "kim@", "@example.com", "12345", "a@b@c@", "* OR 1=1"])
def test_nobody(given_text: str) -> None:
    """What is neither an address nor a number names nobody: it would match too much, or nothing."""
    with pytest.raises(NobodyNamed, match="e-mail address"):
        person_named(given_text)


@given(st.text(max_size=30), st.text(max_size=30))
def test_however_it_is_escaped(before: str, after: str) -> None:
    """Between any two texts, in JSON and percent-encoded, they are found; redacted, they are not."""
    said = f"{before} kim@example.com {after}"
    assert KIM.is_quoted_in(json.dumps({"said": said}))
    assert KIM.is_quoted_in(quote(json.dumps(said)))
    assert not KIM.is_quoted_in(KIM.redacted(said))


def test_nobody_in_particular_is_nowhere() -> None:
    """A person without address and number is quoted in nothing."""
    assert not Person().is_quoted_in("anything 123456789 a@example.com")


def test_digits_within_a_digest_are_no_number() -> None:
    """Ids and digests are matched whole; the number beside one is found, and redacting it leaves the digest."""
    digest = "19b8d627a80a4420794f6000"
    person = person_named("4420794")
    assert not person.is_quoted_in(f"seen:{digest} {digest}")
    assert person.redacted(f"{digest} call 442-0794") == f"{digest} call [erased]"
