"""What differs between two configs, in words and as lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speed_to_lead.config.differences import Change, differences, text_differences

RULE = '[[rules]]\nname = "{0}"\nwhen.source = "demo_request"\nteam = "inbound"\nsla = "inbound-5m"\n'


def rules(*names: str, default: str = "triage") -> bytes:
    """A routing.toml of these rules."""
    return ("".join(map(RULE.format, names)) + f'[default]\nteam = "{default}"\nsla = "same-day"\n').encode()


def told(file: str, old: bytes, new: bytes) -> list[str]:
    """What is said of a file that changed so."""
    return [str(change) for change in differences({file: old}, {file: new})]


SLA = b'[slas.inbound-5m]\nrespond_within = "5m"\nsteps = [{ at = "0%", tell = ["rep"] }, { at = "60%", remind = "rep" }]\n'
TEAM = b'[teams.inbound]\nmanager = "boss"\n[[teams.inbound.reps]]\nid = "ana"\nweight = 1\n[[teams.inbound.reps]]\nid = "ben"\n'

CASES: dict[str, tuple[str, bytes, bytes, list[str]]] = {
    "a duration": (
        "slas.toml",
        SLA,
        SLA.replace(b'"5m"', b'"10m"'),
        ['SLA "inbound-5m" changed: respond_within "5m" → "10m"'],
    ),
    "a step": (
        "slas.toml",
        SLA,
        SLA.replace(b"60%", b"50%"),
        ['SLA "inbound-5m" changed: steps[2].at "60%" → "50%"'],
    ),
    "one step more": (
        "slas.toml",
        SLA,
        SLA.replace(b'"rep" }]', b'"rep" }, { at = "100%" }]'),
        ['SLA "inbound-5m" changed: steps[3] added: { at = "100%" }'],
    ),
    "a rule more": (
        "routing.toml",
        rules("A", "C"),
        rules("A", "B", "C"),
        [
            'rule "B" added: as number 2 of 3; when = { source = "demo_request" }, team = "inbound", sla = "inbound-5m"'
        ],
    ),
    "a rule less": (
        "routing.toml",
        rules("A", "B"),
        rules("A"),
        ['rule "B" removed: when = { source = "demo_request" }, team = "inbound", sla = "inbound-5m"'],
    ),
    "a rule moved": (
        "routing.toml",
        rules("A", "B", "C", "D"),
        rules("B", "C", "A", "D"),
        ['rule "A" moved: from number 1 to 3'],
    ),
    "a rule's condition": (
        "routing.toml",
        rules("A"),
        rules("A").replace(b'"demo_request"', b'["demo_request", "referral"]'),
        ['rule "A" changed: when.source "demo_request" → ["demo_request", "referral"]'],
    ),
    "the default": (
        "routing.toml",
        rules(),
        rules(default="inbound"),
        ['the default changed: team "triage" → "inbound"'],
    ),
    "a rep": (
        "teams.toml",
        TEAM,
        TEAM.replace(b"weight = 1", b"weight = 2").replace(b'"ben"', b'"cleo"'),
        ['team "inbound" changed: rep "ana" weight 1 → 2; rep "cleo" added; rep "ben" removed'],
    ),
    "a key more": (
        "teams.toml",
        TEAM,
        TEAM.replace(b"weight = 1", b"weight = 1\nmax_open = 25"),
        ['team "inbound" changed: rep "ana" max_open = 25 added'],
    ),
    "comments": (
        "slas.toml",
        SLA,
        b"# five minutes\n" + SLA,
        ["slas.toml changed: comments or layout only"],
    ),
    "no TOML": (
        "slas.toml",
        SLA,
        b"[slas",
        ["slas.toml changed: it is no TOML, so only its lines can be compared"],
    ),
    "another kind of value": (
        "retention.toml",
        b"[keep]\nanswered = true\n",
        b"[keep]\nanswered = 1\n",
        ["retention changed: answered true → 1"],
    ),
    "a section nobody knows": (
        "scoring.toml",
        b"",
        b'[[points]]\nname = "Big"\nadd = 5\n',
        ['points "Big" added: as number 1 of 1; add = 5'],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_differs_is_said_in_words(case: str) -> None:
    """Each thing by its name, with what it was and what it is."""
    file, old, new, expected = CASES[case]
    assert expected == told(file, old, new)


def test_a_file_that_comes_or_goes_is_named() -> None:
    """A whole file is told with what is in it."""
    [new, entry] = differences({}, {"slas.toml": SLA})
    assert (str(new), entry.name) == ("slas.toml added", "inbound-5m")
    assert [change.kind for change in differences({"slas.toml": SLA}, {})] == ["removed", "removed"]


def test_lines_are_shown_as_a_unified_diff() -> None:
    """With the file's name, and no lines of files that are the same."""
    lines = list(
        text_differences(
            {"a.toml": b"x = 1\n", "b.toml": b"y = 1\n"},
            {"a.toml": b"x = 2\n", "b.toml": b"y = 1\n"},
            "7",
            "8",
        )
    )
    assert lines == ["--- 7/a.toml", "+++ 8/a.toml", "@@ -1 +1 @@", "-x = 1", "+x = 2"]


@given(st.permutations(range(8)))
def test_what_is_said_to_have_moved_explains_the_order(order: list[int]) -> None:
    """Taken out, what moved leaves the rest in its old order; and nothing moved where nothing did."""
    names = [f"r{number}" for number in range(8)]
    new = [names[number] for number in order]
    moved = {
        change.name for change in differences({"routing.toml": rules(*names)}, {"routing.toml": rules(*new)})
    }
    assert [name for name in new if name not in moved] == [name for name in names if name not in moved]
    assert (moved == set()) is (names == new)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_two_texts_can_be_compared(old: str, new: str) -> None:
    """Something is said exactly where they differ, whatever they are."""
    found: list[Change] = differences({"slas.toml": old.encode()}, {"slas.toml": new.encode()})
    assert (old != new) is bool(found)


def test_a_template_is_named_by_what_it_words() -> None:
    """Which wording came, went or changed; its lines say how."""
    old = {"templates/breached.txt": b"Late", "templates/moved.txt": b"x"}
    new = {"templates/breached.txt": b"Too late", "templates/reminder.txt": b"y"}
    expected = ['template "breached" changed', 'template "moved" removed', 'template "reminder" added']
    assert expected == [str(change) for change in differences(old, new)]
