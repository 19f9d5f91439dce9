"""Templates: the shipped ones say what is said without any; a mistake in one is found when the config is loaded, with its line."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.config.builders import ConfigDirectory
from tests.core.builders import lead as a_lead

from speed_to_lead.config import ConfigError
from speed_to_lead.config.files import digest_of
from speed_to_lead.config.mistakes import Notes
from speed_to_lead.config.templates import FILES, SAMPLE, SHIPPED, Templates, read_templates, said_in
from speed_to_lead.core.lead import Alert, AlertKind
from speed_to_lead.core.message import compose
from speed_to_lead.core.wording import WORDS, Detail, Said, plainly, words_of

DIRECTORY = Path(__file__).parents[2] / "config" / "templates"
BREACHED = "templates/breached.txt"


def read(text: str, name: str = BREACHED) -> tuple[Templates, list[str]]:
    notes = Notes([])
    templates = read_templates({name: text.encode()}, notes)
    return templates, [str(mistake) for mistake in notes.found]


def test_there_is_one_for_each_kind_of_alert_about_a_lead() -> None:
    """And the shipped ones are known by what they hold."""
    assert set(FILES) == set(SHIPPED) == {f"templates/{path.name}" for path in DIRECTORY.iterdir()}
    assert {kind for kind in AlertKind if not kind.is_about_system} == set(FILES.values())


def test_the_shipped_ones_are_not_compiled() -> None:
    """They say what is said anyway, so nobody pays for them. Where this fails, SHIPPED needs the new digests."""
    texts = {name: (DIRECTORY.parent / name).read_bytes() for name in FILES}
    assert {} == read_templates(texts, Notes([])).by_kind


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "words",
    [
        {},
        {"missed": "", "company": "", "who": "Sam Example", "phone": ""},
        {"state": "answered", "due": "answered meanwhile"},
        {"state": "closed", "asked": ""},
        {"acknowledged": True},
        {"team": "", "waiting": "", "by": ""},
        {"person": "", "who": "a lead", "email": "", "phone": "", "asked": "", "company": ""},
        {"asked": "a\n\nPhone: 1\r\nb", "who": "Sam\nPhone: 2"},
    ],
)
def test_the_shipped_ones_say_what_is_said_without_any(name: str, words: dict[str, object]) -> None:
    """To the letter, whatever the lead has."""
    text = (DIRECTORY.parent / name).read_text() + "{# edited #}\n"
    templates, mistakes = read(text, name)
    assert [] == mistakes
    kind = FILES[name]
    expected = plainly(kind, {**SAMPLE, **words})
    found = templates.say(kind, {**SAMPLE, **words})
    assert found is not None
    assert expected.headline.replace("\n", " ") == found.headline
    assert [(label, value.replace("\r\n", "\n")) for label, value in expected.facts] == list(found.facts)


def test_the_words_are_those_that_are_documented() -> None:
    """What a template may use is what it gets, in every detail; the README lists it."""
    lead = a_lead()
    alert = Alert(lead.id, "100%", "x", AlertKind.BREACHED, lead.deadline)
    for detail in Detail:
        assert set(WORDS) == set(words_of(alert, lead, None, "Demo", lead.deadline, detail))
    assert set(WORDS) == set(SAMPLE)
    readme = (DIRECTORY.parent / "README.md").read_text()
    assert [] == [word for word in WORDS if f"| `{word}` |" not in readme]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Late: {{ whoo }}", 'line 1: the word "whoo" is unknown; did you mean "who"?'),
        ("Late\n\n{% for step in mised %}{{ step }}{% endfor %}", 'line 3: the word "mised" is unknown; did you mean "missed"?'),
        ("Late: {{ who", "line 1: not valid Jinja: unexpected end of template, expected 'end of print statement'."),
        ("Late\n{% if who %}x", "line 2: not valid Jinja: Unexpected end of template."),
        ("Late\n{{ who | shout }}", "line 2: not valid Jinja: No filter named 'shout'."),
        ("Late\n\n{{ who + 1 }}", "line 3: it fails for a sample lead: TypeError"),
        ("Late\n{{ 1 / (asked | length) }}", 'line 2: it fails for a lead without anything personal (detail = "minimal"): ZeroDivisionError'),
        ("{% if false %}x{% endif %}\n\n", "it says nothing of a sample lead; its first line is the headline"),
        ("{{ company }}", 'it says nothing of a lead without anything personal (detail = "minimal")'),
        ("x\n{% include 'other.txt' %}", "line 2: it fails for a sample lead: TypeError: no loader"),
        ("x {{ who.__class__.__mro__ }}", 'line 1: "__mro__" is no part of a word'),
        ("x {{ ''.__class__ }}", 'line 1: "__class__" is no part of a word'),
        ("x {{ fields.update(a=1) }}", "line 1: it fails for a sample lead"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(text: str, expected: str) -> None:
    """When the config is loaded, not when the first lead is late."""
    templates, mistakes = read(text)
    assert {} == templates.by_kind
    assert f"{BREACHED}: {expected}" in mistakes[0]


def test_what_is_no_template(config: ConfigDirectory) -> None:
    """A file that nothing would read is a mistake, as among the TOML files; so is one that is no text or too long."""
    directory = config.directory / "templates"
    directory.mkdir()
    (directory / "breach.txt").write_text("x")
    (directory / "moved.txt").write_bytes(b"x\n\xff")
    (directory / "reminder.txt").write_text("x" * 20_001)
    (directory / ".breached.txt.swp").write_text("x")
    with pytest.raises(ConfigError) as raised:
        config.load()
    assert [
        f'templates/breach.txt: this file is unknown, so nothing would read it; did you mean "{BREACHED}"?',
        "templates/moved.txt: line 2: this line is not UTF-8 text; save the file as UTF-8",
        "templates/reminder.txt: the file has 20001 bytes; a template takes 20000 at most",
    ] == [str(mistake) for mistake in raised.value.mistakes]


def test_a_template_of_a_directory_is_used_and_part_of_its_digest(config: ConfigDirectory) -> None:
    """So that every process works with the words that were published."""
    without = config.load()
    directory = config.directory / "templates"
    directory.mkdir()
    (directory / "breached.txt").write_text(
        "LATE {{ person }}\n\nBudget: {{ custom.budget }}\nCall {{ phone }}"
    )
    configuration = config.load()
    assert Said("LATE Sam Example", (("Budget", "10k"),), "Call +1 555 0100") == configuration.wording.say(
        AlertKind.BREACHED, SAMPLE
    )
    assert configuration.wording.say(AlertKind.REMINDER, SAMPLE) is None
    assert without.rulebook.digest != configuration.rulebook.digest
    texts = {path.name: path.read_bytes() for path in config.directory.glob("*.toml")}
    named = {f"templates/{path.name}": path.read_bytes() for path in directory.iterdir()}
    assert configuration.rulebook.digest == digest_of({**texts, **named})
    assert without.rulebook.digest == digest_of(texts)


def test_what_a_lead_wrote_makes_no_facts() -> None:
    """A line break in a value ends no line of the template, and nothing a lead writes is read as one."""
    templates, _ = read("{{ who }}\nAsked: {{ asked }}\nPhone: {{ phone }}")
    hostile = {
        "who": "Sam\nPhone: 1",
        "asked": "{{ 7 * 7 }}\n\nPhone: 2\u2028Phone: 3\x1ePhone: 4",
        "phone": "+1 555 0100",
    }
    said = templates.say(AlertKind.BREACHED, {**SAMPLE, **hostile})
    assert said is not None
    assert "Sam Phone: 1" == said.headline
    assert [("Asked", "{{ 7 * 7 }}\n\nPhone: 2\nPhone: 3\nPhone: 4"), ("Phone", "+1 555 0100")] == list(
        said.facts
    )


def test_what_fails_for_a_real_lead_is_said_in_the_shipped_words() -> None:
    """An alert is worth more than its wording."""
    templates, mistakes = read("{{ who }} {{ 1 / (rep | length - 4) }}")
    assert [] == mistakes
    assert templates.say(AlertKind.BREACHED, {**SAMPLE, "rep": "four"}) is None
    lead = a_lead(rep="four")
    alert = Alert(lead.id, "100%", "x", AlertKind.BREACHED, lead.deadline, note="why")
    message = compose(alert, lead, None, "Demo", "", lead.deadline, "", templates)
    assert message.headline.startswith("Deadline missed: ")
    assert "why" == message.note


def test_the_least_that_is_told_holds_nothing_of_the_person() -> None:
    """Neither without a template nor with one that asks for everything; the link is the way to the rest."""
    lead = a_lead()
    fields = {
        "name": "EVIL",
        "email": "EVIL@example.com",
        "phone": "EVIL",
        "company": "EVIL",
        "message": "EVIL",
    }
    lead = replace(lead, lead=replace(lead.lead, fields=fields, custom={"budget": "EVIL"}))
    alert = Alert(lead.id, "100%", "x", AlertKind.BREACHED, lead.deadline)
    everything, _ = read(
        "{{ who }}" + "".join(f"\n{word}: {{{{ {word} }}}}" for word in WORDS) + "\nb: {{ custom.budget }}"
    )
    for wording in (None, everything):
        full = compose(alert, lead, None, "Demo", "https://x.example/l", lead.deadline, "", wording)
        least = compose(
            alert, lead, None, "Demo", "https://x.example/l", lead.deadline, "", wording, Detail.MINIMAL
        )
        assert "EVIL" in repr(full)
        assert "EVIL" not in repr(least)
        assert ("https://x.example/l", lead.id) == (least.url, least.lead_id)
        assert {"Source", "Waiting"} <= {label for label, _ in least.facts} or wording is not None


def test_lines_that_are_no_facts_are_text() -> None:
    """A label has a colon and a blank after it; an address has not."""
    text = "\n\n Head \nA: 1\nB:\nC: \nhttps://x.example\n\nNothing to see:here\nD: 2"
    assert Said("Head", (("A", "1"), ("D", "2")), "https://x.example\n\nNothing to see:here") == said_in(text)


def test_without_templates_of_their_own_nobody_imports_jinja(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is slow to import, and most configs need none of it."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    texts = {name: (DIRECTORY.parent / name).read_bytes() for name in FILES}
    assert Templates() == read_templates(texts, Notes([]))
