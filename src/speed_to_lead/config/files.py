"""The config directory, or what was published of one → what its TOML files say, and a digest that names exactly this."""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speed_to_lead.config.mistakes import Names, Notes, hint
from speed_to_lead.config.table import Table
from speed_to_lead.config.templates import DIRECTORY, Templates, read_templates
from speed_to_lead.config.templates import FILES as TEMPLATES

#: The sections of every file that may be there, in the order in which their mistakes are told.
SECTIONS = {
    "sources.toml": ("sources", "detect", "audit"),
    "teams.toml": ("calendars", "teams"),
    "slas.toml": ("slas",),
    "routing.toml": ("received", "same_person", "lookups", "rules", "default"),
    "scoring.toml": ("points",),
    "intake.toml": ("forms",),
    "alerts.toml": ("destinations",),
    "retention.toml": ("keep",),
}
REQUIRED = {
    "sources.toml": "it lists where leads come from",
    "teams.toml": "it lists teams, reps and their hours",
    "slas.toml": "it says how soon a response is due",
    "routing.toml": "it says which team gets which lead",
}

_POSITION = re.compile(
    r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)
#: What Python's TOML reader says, in the words of somebody who edits config twice a year.
_PLAIN_WORDS = (
    ("Invalid value", "this is no value; a text needs quotes, a list brackets"),
    ("Cannot overwrite a value", "this key or table is written twice; keep one"),
    ("Cannot declare", "this table is written twice; keep one"),
    ("Cannot mutate immutable namespace", "this table is already complete; add the key where the table is written"),
    ("Expected '=' after a key", 'expected "=" after the key'),
    ("Invalid statement", "expected key = value, or a table such as [teams.inbound]"),
    ("Invalid initial character for a key part", "expected a key; one with blanks or signs needs quotes"),
    ("Unclosed array", "a list is not closed; add ]"),
    ("Unclosed inline table", "an inline table is not closed; add }"),
    ("Unterminated string", "a text is not closed; add a quote"),
    ("Illegal character '\\n'", "the line ends inside a text; close the quote"),
    ("Expected newline or end of document", "expected the end of the line; one key stands on one line"),
    ("Expected ']'", "expected ] to close the table's name"),
    ("Invalid date or datetime", "there is no such date or time"),
)  # fmt: skip


@dataclass(frozen=True)
class Files:
    """What the files say. `contents` lacks a file that is missing or could not be read."""

    contents: Mapping[str, Mapping[str, Any]]
    unreadable: frozenset[str]
    digest: str
    templates: Templates = Templates()  # noqa: RUF009 - a frozen value

    def table(self, name: str, notes: Notes) -> Table | None:
        """The file as a table, None where there is nothing to read."""
        content = self.contents.get(name)
        return Table(notes, name, "", content) if content is not None else None

    def names(self, what: str, file: str, section: str, *built_in: str) -> Names:
        """The names that a section defines, whether or not what they stand for can be read.

        Everything is known where that cannot be told: the file is broken, or the section's own name may be what
        is misspelt. Each of these is one mistake already.
        """
        if file in self.unreadable:
            return Names(what, None)
        content = self.contents.get(file, {})
        tables = content.get(section, {})
        misspelt = section not in content and any(key not in SECTIONS[file] for key in content)
        return Names(
            what, None if misspelt or not isinstance(tables, Mapping) else frozenset((*tables, *built_in))
        )


def read_files(source: Path | Mapping[str, bytes], notes: Notes) -> Files:
    """The TOML files of a directory, or these texts by the names of their files; what is missing, unknown or no TOML is noted."""
    texts = texts_in(source, notes) if isinstance(source, Path) else source
    if texts is None:
        return Files({}, frozenset(SECTIONS), "")
    contents: dict[str, Mapping[str, Any]] = {}
    unreadable: set[str] = set()
    where = str(source) if isinstance(source, Path) else "this version"
    templates = read_templates(texts, notes)
    for name in texts:
        if name not in SECTIONS and not name.startswith(DIRECTORY):
            notes.add(name, "", f"this file is unknown, so nothing would read it; {hint(name, SECTIONS)}")
    for name in sorted(SECTIONS):
        if name in texts:
            raw = texts[name]
            content = parsed_toml(name, raw, notes) if raw is not None else None
            if content is not None:
                contents[name] = content
            else:
                unreadable.add(name)
        elif name in REQUIRED:
            notes.add(name, "", f"there is no such file in {where}; {REQUIRED[name]}")
            unreadable.add(name)
    return Files(contents, frozenset(unreadable), digest_of(texts), templates)


def texts_in(directory: Path, notes: Notes) -> dict[str, bytes | None] | None:
    """What is meant as config in a directory, by the names of the files; None for one that cannot be read, and for no directory."""
    names = _toml_files(directory, notes)
    if names is None:
        return None
    names += _template_files(directory, notes)
    return {name: bytes_of(directory / name, name, notes) for name in names}


def digest_of(texts: Mapping[str, bytes | None]) -> str:
    """The name of exactly this content: the same for a directory and for what was published of it."""
    digest = hashlib.sha256()
    for name in sorted(name for name in texts if name in SECTIONS or name in TEMPLATES):
        raw = texts[name] or b""
        digest.update(f"{name}\0{len(raw)}\0".encode() + raw)
    return digest.hexdigest()[:16]


def _toml_files(directory: Path, notes: Notes) -> list[str] | None:
    """Sorted names of what is meant as config, or None where there is no such directory. Editors' dot files are not."""
    where = "set STL_CONFIG_DIR or --config to the directory that holds routing.toml"
    try:
        found = [
            entry for entry in directory.iterdir() if entry.suffix.lower() == ".toml" and not entry.is_dir()
        ]
    except FileNotFoundError:
        notes.add(str(directory), "", f"there is no such directory; {where}")
    except NotADirectoryError:
        notes.add(str(directory), "", f"this is a file, not a directory; {where}")
    except OSError as error:
        notes.add(str(directory), "", f"the directory cannot be read ({error.strerror}); {where}")
    else:
        return sorted(entry.name for entry in found if not entry.name.startswith("."))
    return None


def _template_files(directory: Path, notes: Notes) -> list[str]:
    """Sorted names of whatever lies among the templates, as `templates/breached.txt`. Editors' dot files are not meant."""
    try:
        found = [entry.name for entry in (directory / DIRECTORY).iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        notes.add(
            DIRECTORY,
            "",
            f"the templates cannot be read ({error.strerror}); let the program's user read them",
        )
        return []
    return [f"{DIRECTORY}{name}" for name in sorted(found)]


def bytes_of(path: Path, name: str, notes: Notes) -> bytes | None:
    """What the file holds; None where it cannot be read, which is noted under `name`."""
    try:
        return path.read_bytes()
    except OSError as error:
        notes.add(name, "", f"the file cannot be read ({error.strerror}); let the program's user read it")
        return None


def parsed_toml(name: str, raw: bytes, notes: Notes) -> Mapping[str, Any] | None:
    """What the file says; None where it is no TOML, which is noted under `name` with its line."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        notes.add(name, "", "the file is UTF-16, as some Windows editors write it; save it as UTF-8")
        return None
    if raw.startswith(b"\xef\xbb\xbf"):
        notes.add(name, "", "the file starts with a byte order mark; save it as UTF-8 without BOM")
        return None
    try:
        return tomllib.loads(raw.decode())
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        notes.add(name, f"line {line}", "this line is not UTF-8 text; save the file as UTF-8")
    except tomllib.TOMLDecodeError as error:
        notes.add(name, *_in_plain_words(str(error)))
    except (
        ValueError,
        RecursionError,
    ):  # a number of thousands of digits; brackets in brackets a thousand deep
        notes.add(
            name, "", "the file holds a number too long, or lists or tables nested too deep, to be config"
        )
    return None


def _in_plain_words(error: str) -> tuple[str, str]:
    """Place and problem of what Python's TOML reader says."""
    match = _POSITION.fullmatch(error)
    what = match["what"] if match else error
    plain = next((words for begins, words in _PLAIN_WORDS if what.startswith(begins)), None)
    if match is None:
        place = ""
    elif match["line"] is None:
        place = "end of file"
    else:
        place = f"line {match['line']}, column {match['column']}"
    return place, f"not valid TOML: {plain or what[:1].lower() + what[1:]}"
