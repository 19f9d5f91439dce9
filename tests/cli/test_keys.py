"""`keys`: a key is printed once, with an entry that opens what it says; what is set is listed without secrets."""

from datetime import UTC, datetime

import pytest
from tests.cli.conftest import Run

from speed_to_lead.core.access import Scope, key_presented, keys_in

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_a_new_key_opens_what_its_entry_says(run: Run) -> None:
    """The entry holds the hash of the key, and not the key."""
    made = run("keys", "new", "crm", "--scopes", "read,write", "--until", "2999-01-31", "--json").json
    [entry] = keys_in(made["entry"])
    assert entry.name == "crm"
    assert {Scope.READ, Scope.WRITE} == entry.scopes
    assert key_presented(made["key"].encode(), [entry], NOW) is entry
    assert made["key"] not in made["entry"]
    assert made["entry"].endswith(":until-2999-01-31")
    assert len(made["key"]) > 40


def test_two_keys_are_never_alike(run: Run) -> None:
    """Also under one name, which is how a key is changed."""
    keys = {run("keys", "new", "crm", "--json").json["key"] for _ in range(3)}
    assert len(keys) == 3


def test_for_people_the_key_and_the_entry_stand_on_lines_of_their_own(run: Run) -> None:
    """What to do with them is said beside the data."""
    finished = run("keys", "new", "crm", "--scopes", "intake")
    lines = dict(line.split(maxsplit=1) for line in finished.out.splitlines())
    assert key_presented(lines["key"].encode(), keys_in(lines["entry"]), NOW)
    assert "STL_API_KEYS" in finished.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a:b"], "letters, digits, . _ and -"),
        ([""], "letters, digits"),
        (["crm", "--scopes", "raed"], "expected some of intake, read, write, admin"),
        (["crm", "--scopes", ""], "expected some of"),
        (["crm", "--until", "tomorrow"], "expected a day such as 2027-01-31"),
        (["crm", "--until", "2020-01-01"], "that day is over"),
    ],
)
def test_a_mistake_makes_no_key(run: Run, arguments: list[str], says: str) -> None:
    """Exit code 2, one sentence, nothing printed that could be taken for a key."""
    finished = run("keys", "new", *arguments)
    assert (2, "") == (finished.code, finished.out)
    assert says in finished.err


def test_what_is_set_is_listed_without_secrets(run: Run) -> None:
    """Name, scopes, last day and state; neither key nor hash."""
    old = run("keys", "new", "shop", "--json").json["entry"] + ":until-2020-01-01"
    new = run("keys", "new", "crm", "--scopes", "write,read", "--json").json["entry"]
    setting = {"STL_API_KEYS": f"{old},{new},in-the-clear-0123"}
    listed = run("keys", "list", "--json", env=setting)
    assert [
        {"name": "shop", "scopes": ["read"], "until": "2020-01-01", "state": "ran out"},
        {"name": "crm", "scopes": ["read", "write"], "until": None, "state": "good"},
        {"name": "plain-3", "scopes": ["admin"], "until": None, "state": "in the clear"},
    ] == listed.json
    table = run("keys", "list", env=setting)
    for secret in (old.split(":")[2], new.split(":")[2], "in-the-clear-0123"):
        assert secret not in listed.out + table.out
    assert "refuse everybody" in run("keys", "list").out


def test_a_wrong_entry_is_named_by_its_number(run: Run) -> None:
    """And what stands there is not repeated."""
    finished = run("keys", "list", env={"STL_API_KEYS": "in-the-clear-0123,s3cr3t:x:y"})
    assert finished.code == 2
    assert "STL_API_KEYS: entry 2 has no hash of 64 hex digits" in finished.err
    assert "s3cr3t" not in finished.err
