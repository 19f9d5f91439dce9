"""Flags: what looks like spam or junk, drawn so tightly that people with unusual names are none."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.builders import MONDAY, rulebook

from speed_to_lead.core.conditions import parse_condition
from speed_to_lead.core.flags import LEAST_MESSAGE, flags_of, is_gibberish, repeats_of, with_flags
from speed_to_lead.core.routing import route_of
from speed_to_lead.core.rules import Rule
from speed_to_lead.core.submission import GenericLead, ParsedSubmission, Submission, generic_lead
from speed_to_lead.spellings import SPELLINGS, is_disposable_mail

NAMES = """
Ana Ruiz|Ng|Li Wu|Krzysztof Brzęczyszczykiewicz|Szczepan Źdźbło|Hrvoje Krstić|Vlk|Petr Čtvrtníček|Hirschsprung|Knightley
Schwartz|Llwyd ap Rhys|McDonald|DeLaCruz|O'Brien|MacDonald-Smythe|Nguyễn Thị Minh|Jesús Mª Íñiguez|Zbigniew Wschodni
Lynch|Rhys Flynn|Gwyn|Sven Strindberg|Björk Guðmundsdóttir|van 't Hoff|李小龍|محمد|Дмитрий Всеволодович|Brandt-Schmidt
JEAN-PIERRE|jean pierre|Aaliyah Lee|Wolfschlegelsteinhausen|Bruckschlögl|Pfnür|Przybylski|Ewert Wertheim|Andrew Trew
Tchaikovsky|Mkrtchyan|Schtscherbakow|Angstrom|Borchgrevink|Rothschild|Sandschneider|Nietzsche|Dijkstra|Hertzsprung
""".replace("\n", "|").strip("|")
JUNK = "qwerty|Asdfgh Jkl|sdfghj|aaaaaa|XkJhGfDsQ|OsMCxVaLLj|bvnmkjhg|Get rich www.example.com|https://example.com|hjkgfds|zxcvbn"


@pytest.mark.parametrize("name", NAMES.split("|"))
def test_names_of_people_are_names(name: str) -> None:
    """From many languages, in capitals, in small letters and in other scripts."""
    assert not is_gibberish(name)


@pytest.mark.parametrize("name", JUNK.split("|"))
def test_what_nobody_is_called_is_gibberish(name: str) -> None:
    """A roll over the keyboard, letters nobody could say, an address."""
    assert is_gibberish(name)


@given(st.text(max_size=500))
def test_any_text_is_judged(name: str) -> None:
    """It holds or does not, and never fails."""
    assert is_gibberish(name) in (True, False)


@pytest.mark.parametrize(
    ("address", "is_one"),
    [
        ("kim@mailinator.com", True), ("kim@a.b.mailinator.com", True), ("Kim <kim@MAILINATOR.com>", True),
        ("kim@example.com", False), ("kim@gmail.com", False), ("kim@not-mailinator-at-all.com", False), ("", False), ("@", False),
        ("mailinator.com.example.org", False),
    ],
)  # fmt: skip
def test_mailboxes_that_are_thrown_away(address: str, is_one: bool) -> None:
    """By the list's domains and those below them."""
    assert is_one == is_disposable_mail(address)


@pytest.mark.parametrize(
    ("payload", "trap", "is_one"),
    [
        ({"website2": "http://x"}, "website2", True),
        ({"website": "http://x"}, "website", True),
        ({"Fax Number": "1"}, "Fax Number", True),
        ({"custom": {"trap": "x"}}, "custom.trap", True),
        ({"trap": True}, "trap", True),
        ({"trap": "false"}, "trap", False),
        ({"trap": " "}, "trap", False),
        ({"other": "x"}, "trap", False),
    ],
)
def test_a_honeypot_is_filled_in_by_machines(payload: dict[str, object], trap: str, is_one: bool) -> None:
    """Whatever the field is called; on another form the same field is none."""
    lead = generic_lead({"email": "kim@example.com", **payload})
    found = flags_of(lead, "demo", {"demo": trap}, lambda _: False)
    assert (["honeypot"] if is_one else []) == found
    assert [] == flags_of(lead, "other", {"demo": trap}, lambda _: False)


def asking(flag: str) -> Rule:
    """A rule for leads with that flag."""
    when = (parse_condition("flags", flag, SPELLINGS),)
    return Rule("Junk", rulebook().default.team, rulebook().default.sla, when=when)


def test_a_rule_can_ask_for_any_one_of_several_flags() -> None:
    """The trace says which there are, those of its arrival too; without such a rule nothing is worked out."""
    lead = with_flags(generic_lead({"email": "kim@mailinator.com", "name": "qwerty"}), ["over_rate"])
    plain = replace(rulebook(), spellings=SPELLINGS)
    for flag in ("disposable_email", "gibberish_name", "over_rate"):
        route = route_of(lead, "demo", None, MONDAY, replace(plain, rules=(asking(flag),)))
        assert "Junk" == route.rule.name
        assert "flagged: disposable_email, gibberish_name, over_rate" in route.trace
    none = route_of(lead, "demo", None, MONDAY, replace(plain, rules=(asking("repeated"),)))
    assert "Junk" != none.rule.name
    unasked = route_of(lead, "demo", None, MONDAY, plain)
    assert not [line for line in unasked.trace if "flagged" in line]
    assert (False, True) == (plain.asks_for_flags, replace(plain, rules=(asking("repeated"),)).asks_for_flags)


def said(body: bytes, message: str = "", key: str | None = None, minutes: int = 0) -> set[tuple[str, str]]:
    """What one submission counts as, and under what."""
    at = MONDAY.replace(minute=minutes)
    lead = GenericLead({"message": message} if message else {})
    return set(repeats_of(Submission("s", "demo", at, body), ParsedSubmission(lead, key)))


def test_what_a_tool_sends_again_counts_once() -> None:
    """Under its own key for ever, by its body within ten minutes; another body with the same long message is another."""
    long = "x" * LEAST_MESSAGE
    assert said(b"a", key="k1") == said(b"a", key="k1", minutes=50)
    assert said(b"a", minutes=1) == said(b"a", minutes=9)
    assert said(b"a", minutes=1) != said(b"a", minutes=50)
    one, other = said(b"a", long), said(b"b", long.upper())
    assert (2, 3) == (len(one), len({key for _, key in one | other}))
    assert 1 == len(said(b"a", long[1:]))
