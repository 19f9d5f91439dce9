"""API keys: how an entry is written, what it allows, and what is said of a wrong one."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speed_to_lead.core.access import (
    BadKeys,
    Scope,
    digest_of,
    entry_text,
    first_plain_key,
    key_presented,
    keys_in,
)

NOW = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)
HASH = digest_of(b"the-key-of-the-crm").hex()
OTHER_HASH = digest_of(b"the-new-key-of-the-crm").hex()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" , ,", []),
        ("0123456789abcdef", [("plain-1", {"admin"}, None, True)]),
        (HASH, [("plain-1", {"admin"}, None, True)]),  # 64 hex digits alone are a key like any other
        (f"crm:read+write:{HASH}", [("crm", {"read", "write"}, None, False)]),
        (f" crm:intake:{HASH.upper()} ,", [("crm", {"intake"}, None, False)]),
        (f"crm:read:{HASH}:until-2027-01-31", [("crm", {"read"}, date(2027, 1, 31), False)]),
        (
            f"crm:read:{HASH},crm:read:{OTHER_HASH}, a-key-in-the-clear",
            [
                ("crm", {"read"}, None, False),
                ("crm", {"read"}, None, False),
                ("plain-3", {"admin"}, None, True),
            ],
        ),
    ],
)
def test_entries(text: str, expected: list[tuple[str, set[str], date | None, bool]]) -> None:
    """Name, scopes, last day, and whether the key stands there itself."""
    assert expected == [(key.name, set(key.scopes), key.until, key.is_plain) for key in keys_in(text)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("s3cr3t", "entry 1 is too short for a key: it needs 16 characters or more"),
        (f"crm:read:{HASH}, s3cr3t", "entry 2 is too short"),
        ("s3cr3t-of-somebody:with-a-colon", "entry 1 has 2 parts; expected NAME:SCOPES:HASH"),
        (f"s3cr3t:read:{HASH}:until-2027-01-31:x", "entry 1 has 5 parts"),
        (f"s3cr3t!:read:{HASH}", "entry 1 has a name that is none"),
        (f":read:{HASH}", "entry 1 has a name that is none"),
        ("s3cr3t:read:s3cr3t", "entry 1 has no hash of 64 hex digits"),
        (f"s3cr3t:read:{HASH}a", "entry 1 has no hash"),
        (f"s3cr3t:raed:{HASH}", "entry 1 has a scope that is none; they are intake, read, write, admin"),
        (f"s3cr3t::{HASH}", "entry 1 has a scope that is none"),
        (f"s3cr3t:read,write:{HASH}", "entry 1 has 2 parts"),
        (
            f"s3cr3t:read:{HASH}:2027-01-31",
            "entry 1 ends in something that is no day; expected until-YYYY-MM-DD",
        ),
        (f"s3cr3t:read:{HASH}:until-2027-02-31", "entry 1 ends in something that is no day"),
        (f"s3cr3t:read:{HASH}:until-20270131", "entry 1 ends in something that is no day"),
    ],
)
def test_a_wrong_entry_is_named_by_its_number_only(text: str, problem: str) -> None:
    """What stands in a wrong entry may be a secret in the wrong place."""
    with pytest.raises(BadKeys) as raised:
        keys_in(text)
    assert problem in str(raised.value)
    assert "s3cr3t" not in str(raised.value)
    assert HASH not in str(raised.value)


@given(st.text())
def test_any_text_is_keys_or_a_reason(text: str) -> None:
    """Nothing else is raised, and no entry with a colon is ever taken for a key in the clear."""
    try:
        keys = keys_in(text)
    except BadKeys:
        return
    assert len(keys) == sum(bool(entry.strip()) for entry in text.split(","))
    assert [key.is_plain for key in keys] == [":" not in entry for entry in text.split(",") if entry.strip()]


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ("intake", {"intake"}),
        ("read", {"read"}),
        ("write", {"write"}),
        ("read+write", {"read", "write"}),
        ("admin", {"intake", "read", "write", "admin"}),
    ],
)
def test_a_scope_allows_itself_and_admin_everything(scopes: str, allowed: set[str]) -> None:
    """Who may write may not therefore read."""
    [key] = keys_in(f"crm:{scopes}:{HASH}")
    assert allowed == {scope for scope in Scope if key.allows(scope)}


def test_a_key_is_good_to_the_end_of_its_last_day() -> None:
    """In UTC; a minute later it is none."""
    keys = keys_in(f"crm:read:{HASH}:until-2026-11-22")
    assert key_presented(b"the-key-of-the-crm", keys, NOW) is keys[0]
    assert key_presented(b"the-key-of-the-crm", keys, NOW + timedelta(minutes=1)) is None


def test_while_a_key_is_changed_both_are_good() -> None:
    """Two entries of one name; taking the old one out ends the old key."""
    both = keys_in(f"crm:read:{HASH},crm:read:{OTHER_HASH}")
    assert ["crm", "crm"] == [
        found.name
        for key in (b"the-key-of-the-crm", b"the-new-key-of-the-crm")
        if (found := key_presented(key, both, NOW))
    ]
    assert key_presented(b"the-key-of-the-crm", both[1:], NOW) is None


def test_an_entry_that_ran_out_does_not_hide_a_good_one() -> None:
    """The same key may have been given another day."""
    keys = keys_in(f"crm:admin:{HASH}:until-2020-01-01,crm:read:{HASH}")
    assert key_presented(b"the-key-of-the-crm", keys, NOW) is keys[1]


@given(
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", fullmatch=True),
    scopes=st.lists(st.sampled_from(Scope), min_size=1, unique=True),
    key=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=16),
    until=st.none() | st.dates(min_value=date(2026, 1, 1)),
)
def test_what_is_written_is_read(name: str, scopes: list[Scope], key: str, until: date | None) -> None:
    """`keys new` prints what the web process understands."""
    [found] = keys_in(entry_text(name, scopes, key, until))
    assert (name, frozenset(scopes), until, False) == (found.name, found.scopes, found.until, found.is_plain)
    assert key_presented(key.encode(), [found], datetime(2026, 1, 1, tzinfo=UTC)) is found


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), (f"crm:read:{HASH}", None), (f"crm:read:{HASH}, in-the-clear-0123", "in-the-clear-0123")],
)
def test_the_first_plain_key(text: str, expected: str | None) -> None:
    """Only a key in the clear can be presented by who reads the setting."""
    assert expected == first_plain_key(text)
