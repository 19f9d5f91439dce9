"""config/templates/*.txt → how alerts are worded, where somebody wants other words than the shipped ones.

One file for each kind of alert, in Jinja, in its sandbox. What comes of it is plain text, so no template can break a
destination's format: the first line is the headline, a line `Label: value` is a fact (left out where the value is empty), and
every other line is text below the facts. A line break inside a value (people write in paragraphs) does not end its fact.

Each is compiled once, when the config is loaded. Every mistake in one is found then: a word there is none of, syntax, and
what goes wrong or says nothing for a sample lead. Where one fails for a real lead all the same, the shipped words are used:
an alert is worth more than its wording.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from speed_to_lead.config.mistakes import Notes, hint
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.core.wording import SOMEBODY, WORDS, Said

if TYPE_CHECKING:
    from jinja2 import Template, nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

#: The directory beside the TOML files, as it stands in the names of what is read and published.
DIRECTORY: Final = "templates/"
#: The kinds of alert that have words of their own, by the names of their files.
FILES: Final[Mapping[str, AlertKind]] = MappingProxyType(
    {f"{DIRECTORY}{kind.value.partition('.')[2]}.txt": kind for kind in AlertKind if not kind.is_about_system}
)
#: The shipped ones say what is said without any (`core.wording.plainly`; a test holds them against each other). As long as
#: nobody edits them nothing is compiled, and Jinja not even imported.
SHIPPED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "templates/assigned.txt": "c500106c5a9e3136",
        "templates/breached.txt": "54490e4d587a9546",
        "templates/moved.txt": "051605745fa639f7",
        "templates/nurtured.txt": "add0c439ac480ae0",
        "templates/reassigned.txt": "48dee4d85c4f2f76",
        "templates/reminder.txt": "67252e8353b5524e",
    }
)
#: A page of text: more is cut by every destination anyway.
MOST_BYTES: Final = 20_000
MOST_SAID: Final = 20_000

_FACT: Final = re.compile(r"(?P<label>[^\s:][^:\n]{0,49}):(?:\s+(?P<value>.*))?\Z", re.DOTALL)
#: In place of a line break inside a value, until the lines are told apart.
_BREAK: Final = "\x1e"
_BREAKS: Final = re.compile(r"\r\n|[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")

#: A lead with something in every word, as a form could have sent it.
SAMPLE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "who": "Sam Example (Example Ltd)",
        "person": "Sam Example",
        "company": "Example Ltd",
        "source": "Inbound demo request",
        "asked": "We are 40 people and would like to see it.\nIs Thursday possible?",
        "email": "sam@example.com",
        "phone": "+1 555 0100",
        "waiting": "6 min",
        "rep": "Ana Example",
        "team": "inbound",
        "by": "Mon 23 Nov 10:05 Europe/London (60 s ago)",
        "due": "overdue by 60 s",
        "missed": "60%",
        "state": "open",
        "acknowledged": False,
        "fields": MappingProxyType({"email": "sam@example.com", "company": "Example Ltd", "country": "GB"}),
        "custom": MappingProxyType({"budget": "10k"}),
    }
)
#: The same lead where a destination is told the least, and one that is to be nurtured.
SPARSE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        **dict.fromkeys(WORDS, ""),
        **{name: SAMPLE[name] for name in ("source", "rep", "team", "due", "state", "acknowledged")},
        "who": SOMEBODY,
        "fields": MappingProxyType({}),
        "custom": MappingProxyType({}),
    }
)


@dataclass(frozen=True)
class Templates:
    """The wordings there are, compiled."""

    by_kind: Mapping[AlertKind, "Template"] = field(default_factory=dict)

    def say(self, kind: AlertKind, words: Mapping[str, Any]) -> Said | None:
        """What the template of this kind says of the lead; None where there is none, or nothing came of it."""
        template = self.by_kind.get(kind)
        if template is None:
            return None
        try:
            said = said_in(template.render(words))
        except Exception:  # noqa: BLE001 - a template is a program of somebody else's
            return None
        return said if said.headline else None


def read_templates(texts: Mapping[str, bytes | None], notes: Notes) -> Templates:
    """The templates among these files, by their names; every mistake in them is noted with its line."""
    found: dict[AlertKind, Template] = {}
    for name in sorted(texts):
        if not name.startswith(DIRECTORY):
            continue
        kind, raw = FILES.get(name), texts[name]
        if kind is None:
            notes.add(name, "", f"this file is unknown, so nothing would read it; {hint(name, FILES)}")
        elif raw is None or blake2b(raw, digest_size=8).hexdigest() == SHIPPED.get(name):
            continue
        elif (template := _compiled(name, raw, notes)) is not None:
            found[kind] = template
    return Templates(found)


def said_in(text: str) -> Said:
    """The headline, facts and further text in what a template rendered."""
    lines = [line.strip() for line in text[:MOST_SAID].split("\n")]
    while lines and not lines[0]:
        del lines[0]
    facts: list[tuple[str, str]] = []
    further: list[str] = []
    for line in lines[1:]:
        fact = _FACT.match(line)
        if fact is None:
            further.append(line.replace(_BREAK, "\n"))
        elif value := (fact["value"] or "").replace(_BREAK, "\n").strip():
            facts.append((fact["label"].strip(), value))
    headline = lines[0].replace(_BREAK, " ") if lines else ""
    return Said(headline, tuple(facts), "\n".join(further).strip())


@cache
def _environment() -> "ImmutableSandboxedEnvironment":
    from jinja2 import ChainableUndefined  # noqa: PLC0415 - most configs need none of it
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

    return ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
        undefined=ChainableUndefined,  # a field that this lead does not have is nothing, however deep it is asked for
        finalize=_on_one_line,
        cache_size=0,
    )


def _on_one_line(value: object) -> str:
    return re.sub(
        r"\r\n|[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", _BREAK, "" if value is None else str(value)
    )


def _compiled(name: str, raw: bytes, notes: Notes) -> "Template | None":
    """The template, or None where it has a mistake, which is noted."""
    from jinja2 import TemplateSyntaxError  # noqa: PLC0415

    environment = _environment()
    if len(raw) > MOST_BYTES:
        notes.add(name, "", f"the file has {len(raw)} bytes; a template takes {MOST_BYTES} at most")
        return None
    try:
        text = raw.decode()
        tree = environment.parse(text, name, name)
        code = environment.compile(text, name, name)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        notes.add(name, f"line {line}", "this line is not UTF-8 text; save the file as UTF-8")
        return None
    except TemplateSyntaxError as error:
        notes.add(name, f"line {error.lineno}", f"not valid Jinja: {error.message}")
        return None
    if _unknown_words(name, tree, notes):
        return None
    template: Template = environment.template_class.from_code(environment, code, environment.globals)
    return template if _works(name, template, notes) else None


def _unknown_words(name: str, tree: "nodes.Template", notes: Notes) -> bool:
    """Whether the template uses words there are none of; each is noted with the line it stands in."""
    from jinja2 import nodes  # noqa: PLC0415

    own = {one.name for one in tree.find_all(nodes.Name) if one.ctx != "load"}
    own |= {macro.name for macro in tree.find_all(nodes.Macro)} | {"loop", "caller", "varargs", "kwargs"}
    known = own | WORDS.keys() | _environment().globals.keys()
    unknown = [one for one in tree.find_all(nodes.Name) if one.ctx == "load" and one.name not in known]
    for one in unknown:
        notes.add(name, f"line {one.lineno}", f'the word "{one.name}" is unknown; {hint(one.name, WORDS)}')
    inner = [one for one in tree.find_all(nodes.Getattr) if one.attr.startswith("_")]
    for part in inner:
        notes.add(
            name,
            f"line {part.lineno}",
            f'"{part.attr}" is no part of a word; a template sees words, not the program behind them',
        )
    return bool(unknown or inner)


def _works(name: str, template: "Template", notes: Notes) -> bool:
    """Whether it says something for the sample leads; what goes wrong is noted with its line."""
    for words, whose in (
        (SAMPLE, "a sample lead"),
        (SPARSE, 'a lead without anything personal (detail = "minimal")'),
    ):
        try:
            said = said_in(template.render(words))
        except Exception as error:  # noqa: BLE001 - a template is a program of somebody else's
            line = _line_of(error, name)
            place = f"line {line}" if line else ""
            notes.add(name, place, f"it fails for {whose}: {type(error).__name__}: {str(error)[:200]}")
            return False
        if not said.headline:
            notes.add(name, "", f"it says nothing of {whose}; its first line is the headline")
            return False
    return True


def _line_of(error: BaseException, name: str) -> int:
    """The line of the template that was at work; Jinja puts it into the traceback."""
    line, at = 0, error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == name:
            line = at.tb_lineno
        at = at.tb_next
    return line
