"""[lookups.NAME] of routing.toml: what may be asked, and what may not."""

from datetime import timedelta

import pytest
from tests.config.builders import NOW, ConfigDirectory

from speed_to_lead.config import warnings_of
from speed_to_lead.core.lookup import Lookup
from speed_to_lead.workplace import secrets_of

URL = "https://crm.example.com/owners?email={email}"
REFERRAL = 'name = "Referral"'


def lookup(url: str = URL, more: str = "") -> str:
    return f'[lookups.crm]\nurl = "{url}"\nowner = "owner.email"\n{more}'


def test_a_look_up(config: ConfigDirectory) -> None:
    """A rule names it, [default] may too; left out are a token and a second."""
    config.replace("routing.toml", REFERRAL, f'{REFERRAL}\nowner_from = "lookup:crm"')
    config.append("routing.toml", lookup(more='token_env = "CRM_TOKEN"\ntimeout = "1500ms"'))
    config.append("routing.toml", f'[lookups.hr]\nurl = "{URL}"\nowner = "0.id"')
    rulebook = config.load().rulebook
    assert {
        "crm": Lookup("crm", URL, "owner.email", "CRM_TOKEN", timedelta(milliseconds=1500)),
        "hr": Lookup("hr", URL, "0.id"),
    } == rulebook.lookups
    assert ["", "crm", ""] == [rule.lookup for rule in (*rulebook.rules, rulebook.default)]
    assert rulebook.asks_lookups
    assert ("look-up crm", "CRM_TOKEN") in secrets_of(config.load())


def test_one_that_no_rule_names(config: ConfigDirectory) -> None:
    """It is never asked, and a warning says so."""
    config.append("routing.toml", lookup())
    loaded = config.load()
    assert not loaded.rulebook.asks_lookups
    assert ["routing.toml: lookups.crm: no rule's owner_from names it, so it is never asked"] == [
        str(one) for one in warnings_of(loaded, NOW) if "lookups" in one.place
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://crm.example.com:8443/a/{domain}/{email}",
        "http://127.0.0.1:9/{email}",
        "http://localhost/?d={domain}",
        "http://[::1]:8080/{email}",
        "https://intranet/x?a=b&e={email}",
    ],
)
def test_addresses_that_are_right(config: ConfigDirectory, url: str) -> None:
    """Https to whatever host config names, http on this machine, placeholders in path and query."""
    config.append("routing.toml", lookup(url))
    assert url == config.load().rulebook.lookups["crm"].url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://crm.example.com/{email}", "sends people's addresses in the clear; use https:// (http:// is for this machine only)"),
        ("http://127.0.0.1.example.com/{email}", "sends people's addresses in the clear; use https:// (http:// is for this machine only)"),
        ("https://{domain}/x", "has a placeholder in its host: no lead may choose whom we ask; use it in the path or query"),
        ("https://crm.example.com:{email}/", "has no readable host or port; it takes an address such as"),
        ("https://crm.example.com/", "names nobody, so every lead would ask the same; put {email} or {domain} into its path or query"),
        ("https://crm.example.com/{phone}", 'has a placeholder nobody fills: "phone"; it takes {email} and {domain}'),
        ("https://crm.example.com/{{email}}", "has a placeholder nobody fills; it takes {email} and {domain}"),
        ("https://crm.example.com/{email", "has a placeholder nobody fills; it takes {email} and {domain}"),
        ("https://kim:secret@crm.example.com/{email}", "has a user or password in it; secrets are named, never written here: use token_env"),
        ("https://crm.example.com/{email}#x", "has a #, and what follows one is never sent; leave it out"),
        ("https:///{email}", "names no host; it takes an address such as"),
        ("ftp://crm.example.com/{email}", "takes an address such as"),
        ("crm.example.com/{email}", "takes an address such as"),
        ("https://crm.example.com/a b/{email}", "takes an address such as"),
        ("https://[::1/{email}", "has no readable host or port; it takes an address such as"),
    ],
)  # fmt: skip
def test_addresses_that_are_wrong(config: ConfigDirectory, url: str, problem: str) -> None:
    """Each is told once, with what to write, and never repeated: a secret may stand in it."""
    config.append("routing.toml", lookup(url))
    (mistake,) = config.mistakes()
    assert mistake.startswith(f"routing.toml: lookups.crm: url {problem}")
    assert "secret@" not in mistake


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ('[lookups.crm]\nowner = "id"', 'lookups.crm: "url" is missing; it takes an address such as "https://crm.example.com/owners?email={email}"'),
        (f'[lookups.crm]\nurl = "{URL}"', 'lookups.crm: "owner" is missing; it takes a dotted path such as "results.0.owner.email"'),
        (f'[lookups.crm]\nurl = "{URL}"\nowner = "a..b"', 'lookups.crm: owner is the text "a..b"; it takes a dotted path such as "results.0.owner.email"'),
        (f'[lookups.Crm]\nurl = "{URL}"\nowner = "a"', 'lookups.Crm: "Crm" cannot be a look-up\'s name; use a-z, 0-9, _ and -'),
        (lookup(more='timeout = "3s"'), 'lookups.crm: timeout is the text "3s"; it takes a time in quotes such as "500ms" or "1s", at most 2s: the batch waits for it'),
        (lookup(more='timeout = "2001ms"'), 'lookups.crm: timeout is the text "2001ms"; it takes a time in quotes such as "500ms" or "1s", at most 2s: the batch waits for it'),
        (lookup(more="timeout = 1"), 'lookups.crm: timeout is the number 1; it takes a time in quotes such as "500ms" or "1s"'),
        (lookup(more='token = "abc"'), 'lookups.crm: "token" is an unknown key; did you mean "token_env"?'),
        (lookup(more='token_env = "abc def"'), "lookups.crm: token_env takes the name of an environment variable (A-Z, 0-9 and _), and this is none; secrets are named, never written here"),
    ],
)  # fmt: skip
def test_mistakes(config: ConfigDirectory, text: str, mistake: str) -> None:
    """Each is told once, with its place and what to write."""
    config.append("routing.toml", text)
    assert [f"routing.toml: {mistake}"] == config.mistakes()


def test_a_look_up_that_is_not_there(config: ConfigDirectory) -> None:
    """A rule that names it says which are."""
    config.replace("routing.toml", REFERRAL, f'{REFERRAL}\nowner_from = "lookup:crn"')
    config.append("routing.toml", lookup())
    assert [
        'routing.toml: rules[2] "Referral": owner_from: look-up "crn" is unknown; did you mean "crm"?'
    ] == config.mistakes()
