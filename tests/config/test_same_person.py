"""Who is the same person, who keeps whom, and who may be named as owner: what routing.toml and teams.toml take."""

from datetime import timedelta

import pytest
from tests.config.builders import ConfigDirectory

from speed_to_lead.core.rules import KeepWith

REFERRAL = 'name = "Referral"'


def test_the_window(config: ConfigDirectory) -> None:
    """Ninety days, unless [same_person] says."""
    assert timedelta(days=90) == config.load().rulebook.same_person_within
    config.append("routing.toml", '[same_person]\nwithin = "36h"')
    assert timedelta(hours=36) == config.load().rulebook.same_person_within


def test_what_rules_keep(config: ConfigDirectory) -> None:
    """With the person, unless a rule says; [default] may say so too."""
    config.replace(
        "routing.toml", REFERRAL, f'{REFERRAL}\nkeep_with = "company"\nowner_from = "custom.owner"'
    )
    config.replace("routing.toml", "[default]", '[default]\nkeep_with = "nobody"\nowner_from = "referrer"')
    rulebook = config.load().rulebook
    rules = (*rulebook.rules, rulebook.default)
    assert [KeepWith.PERSON, KeepWith.COMPANY, KeepWith.NOBODY] == [rule.keep_with for rule in rules]
    assert [None, "custom.owner", "referrer"] == [rule.owner_from for rule in rules]
    assert rulebook.keeps_companies


def test_no_rule_keeps_companies(config: ConfigDirectory) -> None:
    """Then nothing is written of companies."""
    assert not config.load().rulebook.keeps_companies


def test_the_words_a_rep_is_named_by(config: ConfigDirectory) -> None:
    """Id, name and e-mail address, in whatever capitals."""
    config.replace("teams.toml", 'id = "ben"', 'id = "ben"\nname = "Ben Okafor"\nemail = "Ben@corp.example"')
    words = config.load().rulebook.reps_by_word
    assert {"ben", "ben okafor", "ben@corp.example", "ana", "ana ruiz", "cleo"} == set(words)
    assert frozenset({"ben"}) == words["ben@corp.example"]


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("[default]", '[same_person]\nwithin = "90 days"\n[default]',
         'same_person: within: "90 days" is not a duration; expected one whole number and a unit, such as 90s, 5m, 24h or 3d'),
        ("[default]", "[same_person]\nwithin = 90\n[default]",
         'same_person: within is the number 90; it takes a duration in quotes, such as "90d"'),
        ("[default]", "[same_person]\n[default]",
         'same_person: "within" is missing; it takes a duration in quotes, such as "90d"'),
        ("[default]", '[same_person]\nwithn = "90d"\n[default]',
         'same_person: "withn" is an unknown key; did you mean "within"?'),
        ("[default]", '[same_persn]\nwithin = "90d"\n[default]',
         '"same_persn" is an unknown key; did you mean "same_person"?'),
        (REFERRAL, f'{REFERRAL}\nkeep_with = "campany"',
         'rules[2] "Referral": keep_with "campany" is unknown; did you mean "company"?'),
        (REFERRAL, f"{REFERRAL}\nkeep_with = true",
         'rules[2] "Referral": keep_with is true; it takes "person", "company" or "nobody"'),
        ("[default]", '[default]\nkeep_wiht = "company"',
         'default: "keep_wiht" is an unknown key; did you mean "keep_with"?'),
        (REFERRAL, f'{REFERRAL}\nowner_from = "owner"',
         'rules[2] "Referral": owner_from: "owner" is no field of a lead; did you mean "custom.owner"?'),
        (REFERRAL, f'{REFERRAL}\nowner_from = "custom."',
         'rules[2] "Referral": owner_from: a custom field has a name; write custom.NAME'),
        (REFERRAL, f'{REFERRAL}\nowner_from = ""',
         'rules[2] "Referral": owner_from is an empty text; it takes the field that names the rep, such as "custom.owner"'),
    ],
)  # fmt: skip
def test_mistakes(config: ConfigDirectory, old: str, new: str, mistake: str) -> None:
    """Each is told once, with its place and what to write."""
    config.replace("routing.toml", old, new)
    assert [f"routing.toml: {mistake}"] == config.mistakes()


def test_a_wrong_address(config: ConfigDirectory) -> None:
    """A rep's e-mail is one."""
    config.replace("teams.toml", 'id = "ben"', 'id = "ben"\nemail = "ben"')
    (mistake,) = config.mistakes()
    assert mistake.startswith(
        'teams.toml: teams.inbound.reps[2] "ben": email is the text "ben"; it takes an e-mail'
    )
