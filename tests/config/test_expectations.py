"""Expectations: what may be written, every mistake in its words, and what is compared."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.config.builders import ConfigDirectory
from tests.config.test_fuzz import SCRAPS

from speed_to_lead.config.expectations import Difference, Expectation, differences, read_expectations
from speed_to_lead.config.mistakes import Notes

TOP = """received_at = "2026-11-24 10:00 Europe/London"
lead.email = "kim@example.com"
lead.custom.plan = "pro"
"""
GOOD = """
[[tests]]
name = "A big demo"
lead.source = "demo_request"
lead.employees = 600
expect.rule = "Big demo"
expect.team = "inbound"
expect.rep = "ben"
expect.deadline = "+5m"
expect.steps = [{ name = "late", at = "2026-11-24T10:05:00Z", alert = ["manager", "desk"], reassign = true }]
"""


def read(config: ConfigDirectory, *texts: str) -> tuple[tuple[Expectation, ...] | None, list[str]]:
    folder = config.directory / "tests"
    folder.mkdir(exist_ok=True)
    for number, text in enumerate(texts, start=1):
        (folder / f"{number}.toml").write_text(text)
    notes = Notes()
    found = read_expectations(config.directory, config.load(), notes)
    return found, [str(mistake) for mistake in notes.found]


def test_what_stands_at_the_top_holds_for_each_test(config: ConfigDirectory) -> None:
    """Receipt and lead of the file are what a test does not say itself; custom fields are merged as well."""
    own = '[[tests]]\nname = "b"\nreceived_at = 2026-01-05T14:00:00Z\nlead.custom.size = "big"\nexpect.team = "triage"'
    found, mistakes = read(config, f"{TOP}{GOOD}{own}")
    assert mistakes == []
    assert found is not None
    first, second = found
    assert first.received_at == datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    assert {
        "email": "kim@example.com",
        "custom": {"plan": "pro"},
        "source": "demo_request",
        "employees": 600,
    } == (first.lead)
    assert second.received_at == datetime(2026, 1, 5, 14, 0, tzinfo=UTC)
    assert second.lead["custom"] == {"plan": "pro", "size": "big"}
    assert (first.file, first.place, first.name) == ("tests/1.toml", "tests[1]", "A big demo")


def test_without_files_there_is_nothing(config: ConfigDirectory) -> None:
    """No directory, or none of our files in it, is no mistake; what is hidden or no TOML is nobody's business."""
    assert read_expectations(config.directory, config.load(), Notes()) is None
    folder = config.directory / "tests"
    folder.mkdir()
    (folder / "README.md").write_text("x")
    (folder / ".hidden.toml").write_text("x")
    assert read_expectations(config.directory, config.load(), Notes()) is None


def test_the_loader_does_not_look_at_expectations(config: ConfigDirectory) -> None:
    """However broken they are, the rules load, and with the same digest: workers have nothing to do with them."""
    before = config.load().rulebook.digest
    read(config, "[[tests")
    assert before == config.load().rulebook.digest


# fmt: off
MISTAKES = [
    ("[[tests]]", "[[test]]", '"test" is an unknown key; did you mean "tests"?'),
    ("[[tests]]", "[tests]", "tests is a table; it takes a list of tables: write [[tests]]"),
    ("expect.team", "expect.teem", 'tests[1] "A big demo".expect: "teem" is an unknown key; did you mean "team"?'),
    ("lead.employees", "lead.emploees", 'tests[1] "A big demo".lead: "emploees" is no field of a lead; did you mean "employees"?'),
    ("lead.employees", "lead.zzz",
     'tests[1] "A big demo".lead: "zzz" is no field of a lead; what a form asks beyond the known fields is written custom.NAME'),
    ("lead.employees = 600", "lead.employees = 2026-01-01",
     'tests[1] "A big demo".lead: the date 2026-01-01 cannot be sent by a form; write it as a text, in quotes'),
    ("lead.employees = 600", 'lead.custom = "pro"',
     'tests[1] "A big demo".lead: custom is the text "pro"; it takes a table: write lead.custom.plan = "pro"'),
    ('name = "A big demo"\n', "", 'tests[1]: "name" is missing; it takes a sentence that says what must hold'),
    ('name = "A big demo"\n', 'name = "A big demo"\nlaed.email = "x"\n', 'tests[1] "A big demo": "laed" is an unknown key; did you mean "lead"?'),
    ('"Big demo"', '"Big deal"', 'tests[1] "A big demo".expect: rule "Big deal" is unknown; did you mean "Big demo"?'),
    ('team = "inbound"', 'team = "inbond"', 'tests[1] "A big demo".expect: team "inbond" is unknown; did you mean "inbound"?'),
    ('rep = "ben"', 'rep = "bem"', 'tests[1] "A big demo".expect: rep "bem" is unknown; did you mean "ben"?'),
    ('rep = "ben"', "rep = []",
     'tests[1] "A big demo".expect: rep is an empty list; it takes the id of a rep, or a list of those any of whom is right, or "nobody"'),
    ('rep = "ben"', 'on_shift = "bem"', 'tests[1] "A big demo".expect: on_shift: rep "bem" is unknown; did you mean "ben"?'),
    ('rep = "ben"', 'sla = "fats"', 'tests[1] "A big demo".expect: SLA "fats" is unknown; did you mean "fast"?'),
    ('rep = "ben"', 'source = "demo"',
     'tests[1] "A big demo".expect: source "demo" is unknown; expected "customer_referral", "demo_request", "paid_search" or "unknown"'),
    ('rep = "ben"', "campaign = 5", 'tests[1] "A big demo".expect: campaign is the number 5; it takes a text; an empty one for none'),
    ('"+5m"', '"+5"', 'tests[1] "A big demo".expect: deadline: "5" is not a duration; expected one whole number and a unit, such as 90s, 5m, 24h or 3d'),
    ('"+5m"', "5",
     'tests[1] "A big demo".expect: deadline is the number 5; it takes a time such as "2026-11-27 16:30 Europe/London" or "2026-11-27T16:30:00Z", or one after receipt such as "+5m"'),
    ('"+5m"', "2026-11-24T10:05:00",
     'tests[1] "A big demo".expect: deadline: 2026-11-24 10:05:00 has no time zone; write it in quotes with one, such as "2026-11-24 10:05 Europe/London"'),
    ('"+5m"', '"2026-11-24 10:05 Europe/Londn"',
     'tests[1] "A big demo".expect: deadline: time zone "Europe/Londn" is unknown; did you mean "Europe/London"?'),
    ('"2026-11-24T10:05:00Z"', '"soon"',
     'tests[1] "A big demo".expect.steps[1] "late": at: \'soon\' is not an ISO 8601 date-time such as 2026-11-22T09:30:00Z'),
    ("alert =", "alarm =", 'tests[1] "A big demo".expect.steps[1] "late": "alarm" is an unknown key; did you mean "alert"?'),
    ("reassign = true", 'reassign = "yes"',
     'tests[1] "A big demo".expect.steps[1] "late": reassign is the text "yes"; it takes true or false, without quotes'),
    ('name = "late", ', "", 'tests[1] "A big demo".expect.steps[1] "2026-11-24T10:05:00Z": "name" is missing; it takes the name of a step: what its `at` says in slas.toml'),
]
# fmt: on


@pytest.mark.parametrize(("old", "new", "expected"), MISTAKES)
def test_a_mistake_is_told_once_with_the_nearest_word(
    config: ConfigDirectory, old: str, new: str, expected: str
) -> None:
    """An expectation that is misread would hold for the wrong reason, so each wrong word stops it."""
    text = f"{TOP}{GOOD}"
    assert old in text
    _, mistakes = read(config, text.replace(old, new, 1))
    assert [f"tests/1.toml: {expected}"] == mistakes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD, '"received_at" is missing; it takes a time such as "2026-11-27 16:30 Europe/London"'),
        (f"{TOP}[[tests]]\nname = 'x'", '"expect" is missing; it takes what must hold'),
        (f"{TOP}[[tests]]\nname = 'x'\nexpect = {{}}", "it expects nothing; name at least one thing"),
        (f"{TOP}[[tests]]\nname = 'x'\nexpect.steps = []", "steps is empty, which expects nothing"),
        (
            f"{TOP}[[tests]]\nname = 'x'\nform = 'website'\nexpect.team = 'triage'",
            'did you mean "website-demo"?',
        ),
        (TOP, "it has no expectations; write [[tests]] with name, lead and expect"),
        ("[[tests", "not valid TOML"),
    ],
)
def test_what_is_missing_is_told(config: ConfigDirectory, text: str, expected: str) -> None:
    """One sentence says what to write."""
    _, mistakes = read(config, text)
    assert [expected in mistake for mistake in mistakes] == [True], mistakes


def test_a_form_may_be_sent_what_it_asks(config: ConfigDirectory) -> None:
    """What a form's fields select is known, whatever it is called."""
    config.replace(
        "intake.toml", 'token_env = "IMPORT_TOKEN"', 'token_env = "T"\nfields = { company = "key:firm.name" }'
    )
    form = '[[tests]]\nname = "x"\nform = "import"\nlead.firm.name = "Corp"\nexpect.team = "triage"\n'
    assert ([], ["tests[2].lead"]) == (
        read(config, f"{TOP}{form}")[1],
        [
            m.split(": ")[1].replace(' "y"', "")
            for m in read(config, f'{TOP}{form}[[tests]]\nname = "y"\nlead.firm = 1\nexpect.team = "triage"')[
                1
            ]
        ],
    )


EXPLAINED: dict[str, Any] = {
    "source": "demo_request", "channel": "Direct", "campaign": "", "rule": "Big demo", "team": "inbound", "rep": "ana",
    "sla": "fast", "deadline": "2026-11-24T10:05:00Z",
    "steps": [
        {"at": "2026-11-24T10:00:00Z", "name": "0%", "tell": ["rep"]},
        {"at": "2026-11-24T10:05:00Z", "name": "late", "alert": ["manager", "desk"], "reassign": True},
    ],
}  # fmt: skip
DUE = datetime(2026, 11, 24, 10, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expect", "expected"),
    [
        ({"rule": "Big demo", "team": "inbound", "campaign": ""}, []),
        ({"rule": "Referral"}, [("rule", "Referral", "Big demo")]),
        ({"rep": ("ben", "ana")}, []),
        ({"rep": ("ben",)}, [("rep", "ben", "ana")]),
        ({"rep": ("nobody",)}, [("rep", "nobody", "ana")]),
        ({"deadline": DUE}, []),
        ({"deadline": datetime(2026, 11, 24, 10, 6, tzinfo=UTC)},
         [("deadline", "2026-11-24T10:06:00Z", "2026-11-24T10:05:00Z")]),
        ({"on_shift": ("ben", "ana")}, []),
        ({"on_shift": ("ana",)}, [("on_shift", ["ana"], ["ana", "ben"])]),
        ({"steps": {"late": {"at": DUE, "alert": ("desk", "manager"), "reassign": True}}}, []),
        ({"steps": {"0%": {"reassign": False, "remind": ()}}}, []),
        ({"steps": {"0%": {"reassign": True}}}, [('steps "0%" reassign', True, False)]),
        ({"steps": {"0%": {"at": DUE}}}, [('steps "0%" at', "2026-11-24T10:05:00Z", "2026-11-24T10:00:00Z")]),
        ({"steps": {"0%": {"tell": ("manager",)}}}, [('steps "0%" tell', ("manager",), ["rep"])]),
        ({"steps": {"60%": {}}}, [('steps "60%"', "a step of this name", ["0%", "late"])]),
    ],
)  # fmt: skip
def test_only_what_is_named_is_compared(expect: dict[str, Any], expected: list[tuple[str, Any, Any]]) -> None:
    """Each difference says what was expected and what was found."""
    expectation = Expectation("", "", "", {}, None, DUE, expect)
    assert [Difference(*one) for one in expected] == list(differences(expectation, EXPLAINED, ["ana", "ben"]))


def test_a_team_without_reps_gives_nobody() -> None:
    """Nobody is a word of its own, because a rep that is missing may be what is right."""
    expectation = Expectation("", "", "", {}, None, DUE, {"rep": ("nobody",)})
    assert differences(expectation, {**EXPLAINED, "rep": None}, []) == ()


def test_a_directory_called_like_a_file_is_left_alone(config: ConfigDirectory, tmp_path: Path) -> None:
    """Only files are read."""
    (tmp_path / "tests" / "x.toml").mkdir(parents=True)
    assert read_expectations(config.directory, config.load(), Notes()) is None


@pytest.mark.parametrize("scrap", SCRAPS)
def test_whatever_stands_there_is_a_mistake_or_is_read(config: ConfigDirectory, scrap: str) -> None:
    """Every value and every key replaced by what hands and editors leave behind: never another error."""
    lines = f"{TOP}{GOOD}".split("\n")
    (config.directory / "tests").mkdir()
    configuration = config.load()
    for number, line in enumerate(lines):
        key, equals, value = line.partition("=")
        for changed in (f"{key}= {scrap}", f"{scrap} ={value}") if equals else ():
            text = "\n".join([*lines[:number], changed, *lines[number + 1 :]])
            (config.directory / "tests" / "1.toml").write_bytes(text.encode())
            notes = Notes()
            read_expectations(config.directory, configuration, notes)
            assert all(str(mistake).isprintable() for mistake in notes.found)
