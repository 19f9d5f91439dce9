"""One TOML table, read strictly: every read checks one key, and notes what is wrong in plain words.

A read answers None where the key is missing or wrong; the mistake is noted by then, so callers only ever ask
"do I have all I need?" and never report twice.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date, time
from typing import Any

from speed_to_lead.config.mistakes import Names, Notes, hint, nearest, one_of, quoted

_BARE = re.compile(r"[A-Za-z0-9_-]+")


class Table:
    """A table of one file at one place. `expected` in every read completes the sentence "it takes …"."""

    def __init__(self, notes: Notes, file: str, place: str, values: Mapping[str, Any]) -> None:
        self.notes = notes
        self.file = file
        self.place = place
        self.values = values
        self._misspelt: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def mistake(self, problem: str) -> None:
        """Note what is wrong at this table's place."""
        self.notes.add(self.file, self.place, problem)

    def refuse_keys_except(self, *known: str) -> None:
        """Every other key is a mistake, with the nearest known one. Comes before the reads: see `meant`."""
        for key in self.values:
            if key not in known:
                self.mistake(f"{quoted(key)} is an unknown key; {hint(key, known)}")
                near = nearest(key, known)
                if near is not None:
                    self._misspelt.add(near)

    def meant(self, *keys: str) -> bool:
        """Whether one of the keys is there, if only misspelt: then that is the mistake, not that it is missing."""
        return any(key in self.values or key in self._misspelt for key in keys)

    def text(self, key: str, expected: str, *, required: bool = False) -> str | None:
        """A text with something in it."""
        value = self._value(key, expected, required=required)
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        self.wrong(key, value, expected)
        return None

    def texts(self, key: str, expected: str) -> tuple[str, ...] | None:
        """A list of texts, or one text alone; () where the key is missing."""
        if key not in self.values:
            return ()
        value = self.values[key]
        items = value if isinstance(value, list) else [value]
        for item in items:
            if not isinstance(item, str) or not item.strip():
                self.wrong(key, item, expected)
                return None
        return tuple(items)

    def choice(self, key: str, words: Collection[str], *, required: bool = False) -> str | None:
        """One of these words."""
        word = self.text(key, one_of(words), required=required)
        if word is None or word in words:
            return word
        self.mistake(f"{key} {quoted(word)} is unknown; {hint(word, words)}")
        return None

    def reference(self, key: str, names: Names, expected: str, *, required: bool = False) -> str | None:
        """A name that is defined elsewhere."""
        word = self.text(key, expected, required=required)
        if word is None:
            return None
        problem = names.problem_with(word)
        if problem is None:
            return word
        self.mistake(problem if names.what.casefold() == key else f"{key}: {problem}")
        return None

    def whole_number(self, key: str, least: int, most: int) -> int | None:
        """A whole number from `least` to `most`, both included."""
        expected = f"a whole number from {least} to {most}, without quotes"
        value = self._value(key, expected, required=False)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.wrong(key, value, expected)
            return None
        return value

    def flag(self, key: str) -> bool:
        """True or false; false where the key is missing or wrong."""
        value = self._value(key, "true or false, without quotes", required=False)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.wrong(key, value, "true or false, without quotes")
        return False

    def table(self, key: str, expected: str, *, required: bool = False) -> "Table | None":
        """The table under `key`."""
        value = self._value(key, expected, required=required)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.wrong(key, value, expected)
            return None
        return Table(self.notes, self.file, self.place_of(key), value)

    def named_tables(self, key: str) -> "Iterator[tuple[str, Table]]":
        """Name and table of each `[key.NAME]`."""
        section = self.table(key, f"tables such as [{key}.NAME]")
        if section is None:
            return
        for name in section.values:
            if not name.strip() or name != name.strip() or not name.isprintable():
                section.mistake(f"{quoted(name)} cannot be a name; use letters, digits, _ and -")
            table = section.table(name, f"a table: write [{key}.{name}]")
            if table is not None:
                yield name, table

    def listed_tables(self, key: str, header: str) -> "list[Table]":
        """The tables of each `[[header]]`, with places counted from 1 and carrying the `name` or `id` they have."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            self.wrong(key, value, f"a list of tables: write {header}")
            return []
        place = self.place_of(key)
        tables = []
        for number, item in enumerate(value, start=1):
            if not isinstance(item, Mapping):
                self.notes.add(self.file, f"{place}[{number}]", f"is {described(item)}; it takes {header}")
                continue
            label = next((item[k] for k in ("id", "name", "at") if isinstance(item.get(k), str)), "")
            where = f"{place}[{number}] {quoted(label)}" if label else f"{place}[{number}]"
            tables.append(Table(self.notes, self.file, where, item))
        return tables

    def wrong(self, key: str, value: Any, expected: str) -> None:
        """Note that the value of `key` is not what it takes. The value of a secret's name is not repeated."""
        if key.endswith("_env"):
            shown = (
                "not a text" if not isinstance(value, str) else "empty" if not value.strip() else "not a name"
            )
        else:
            shown = described(value)
        self.mistake(f"{key} is {shown}; it takes {expected}")

    def place_of(self, key: str) -> str:
        """Where `key` of this table stands, as the file writes it."""
        bare = key if _BARE.fullmatch(key) else quoted(key)
        return f"{self.place}.{bare}" if self.place else bare

    def _value(self, key: str, expected: str, *, required: bool) -> Any:
        if required and not self.meant(key):
            self.mistake(f'"{key}" is missing; it takes {expected}')
        return self.values.get(key)


def described(value: Any) -> str:
    """A TOML value in words, with its type where quotes or their absence are the likely mistake."""
    match value:
        case bool():
            words = "true" if value else "false"
        case str():
            words = f"the text {quoted(value)}" if value.strip() else "an empty text"
        case int() if value.bit_length() > 64:  # Python itself refuses to print the hugest
            words = "a huge number"
        case int() | float():
            words = f"the number {value}"
        case list():
            words = "a list" if value else "an empty list"
        case date() | time():
            words = f"the {'time' if isinstance(value, time) else 'date'} {value.isoformat()}"
        case _:
            words = "a table"
    return words
