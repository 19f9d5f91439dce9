"""What differs between two configs, in words: `SLA "inbound-5m" changed: respond_within "5m" → "10m"`.

Compared is what the files say, not what it comes to: it also works where one of them has mistakes, and every file,
section and key that config ever gets is told of without a line here.
"""

import json
import tomllib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from itertools import zip_longest
from typing import Any

from speed_to_lead.config.templates import DIRECTORY as TEMPLATES

#: What one entry of a section is called; another section's entries are called as the section is.
_NOUNS = {
    "sources": "source",
    "calendars": "calendar",
    "teams": "team",
    "reps": "rep",
    "slas": "SLA",
    "rules": "rule",
    "lookups": "look-up",
    "forms": "form",
    "destinations": "destination",
    "default": "the default",
    "keep": "retention",
    "templates": "template",
}
#: A value is shown up to this length.
SHOWN = 160


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs. `kind` is added, removed, changed or moved; `name` is "" where the section is the thing.

    `details` says what of it changed, or what the added or removed thing said.
    """

    file: str
    section: str
    kind: str
    name: str
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        noun = _NOUNS.get(self.section, self.section)
        what = f'{noun} "{self.name}"' if self.name else noun
        return f"{what} {self.kind}{': ' if self.details else ''}{'; '.join(self.details)}"


def differences(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> list[Change]:
    """What differs between the texts of two configs, in the order of the new one's files."""
    return [
        change
        for file in sorted(old.keys() | new.keys())
        for change in _of_file(file, old.get(file), new.get(file))
    ]


def text_differences(
    old: Mapping[str, bytes], new: Mapping[str, bytes], old_name: str, new_name: str
) -> Iterator[str]:
    """The lines of a unified diff of all files."""
    for file in sorted(old.keys() | new.keys()):
        before, after = (_text(texts.get(file, b"")).splitlines() for texts in (old, new))
        yield from unified_diff(before, after, f"{old_name}/{file}", f"{new_name}/{file}", lineterm="")


def _of_file(file: str, old: bytes | None, new: bytes | None) -> Iterator[Change]:
    if old == new:
        return
    if file.startswith(TEMPLATES):
        kind = "added" if old is None else "removed" if new is None else "changed"
        yield Change(file, "templates", kind, file.removeprefix(TEMPLATES).removesuffix(".txt"))
        return
    before, after = _parsed(old), _parsed(new)
    if before is None or after is None:
        yield Change(file, file, "changed", "", ("it is no TOML, so only its lines can be compared",))
        return
    found = [
        change
        for section in [*after, *(name for name in before if name not in after)]
        for change in _of_section(file, section, before.get(section), after.get(section))
    ]
    if old is None or new is None:
        yield Change(file, file, "added" if old is None else "removed", "")
    elif not found:
        yield Change(file, file, "changed", "", ("comments or layout only",))
    yield from found


def _of_section(file: str, section: str, old: Any, new: Any) -> Iterator[Change]:
    if _is_same(old, new):
        return
    tables = [value for value in (old, new) if value is not None]
    if all(_is_of_tables(value) for value in tables):
        yield from _of_named(file, section, dict(old or {}), dict(new or {}), is_ordered=False)
    elif all(_is_list_of_tables(value) for value in tables):
        before, after = _by_name(old or []), _by_name(new or [])
        yield from _of_named(file, section, before, after, is_ordered=True)
    elif old is None or new is None:
        kind, said = ("added", new) if old is None else ("removed", old)
        yield Change(file, section, kind, "", (_shown(said),))
    else:
        yield Change(file, section, "changed", "", tuple(_details("", old, new)))


def _of_named(
    file: str, section: str, old: Mapping[str, Any], new: Mapping[str, Any], *, is_ordered: bool
) -> Iterator[Change]:
    places_before = {name: number for number, name in enumerate(old, 1)}
    places = {name: number for number, name in enumerate(new, 1)}
    moved = _moved([name for name in new if name in old], places_before) if is_ordered else set()
    for name, value in new.items():
        if name not in old:
            where = (f"as number {places[name]} of {len(new)}",) if is_ordered else ()
            yield Change(file, section, "added", name, (*where, *_said(value)))
            continue
        if not _is_same(old[name], value):
            yield Change(file, section, "changed", name, tuple(_details("", old[name], value)))
        if name in moved:
            where = (f"from number {places_before[name]} to {places[name]}",)
            yield Change(file, section, "moved", name, where)
    for name, value in old.items():
        if name not in new:
            yield Change(file, section, "removed", name, tuple(_said(value)))


def _moved(names: Sequence[str], places: Mapping[str, int]) -> set[str]:
    """The fewest of them that must have been moved: all but the longest run that kept its order."""
    tails: list[int] = []
    ends: list[str] = []
    before: dict[str, str | None] = {}
    for name in names:
        spot = bisect_left(tails, places[name])
        before[name] = ends[spot - 1] if spot else None
        tails[spot:], ends[spot:] = [places[name], *tails[spot + 1 :]], [name, *ends[spot + 1 :]]
    kept: set[str] = set()
    name_kept = ends[-1] if ends else None
    while name_kept is not None:
        kept.add(name_kept)
        name_kept = before[name_kept]
    return set(names) - kept


def _details(path: str, old: Any, new: Any) -> Iterator[str]:
    """What differs between two values, each with its dotted place."""
    if _is_same(old, new):
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*new, *(name for name in old if name not in new)]:
            yield from _details_of_key(f"{path}.{key}" if path else key, key, old, new)
    elif _is_list_of_named(old) and _is_list_of_named(new):
        yield from _details_of_named(_NOUNS.get(path, path), _by_name(old), _by_name(new))
    elif _is_list_of_tables(old) and _is_list_of_tables(new):
        for number, (was, now) in enumerate(zip_longest(old, new), 1):
            place = f"{path}[{number}]"
            if was is None or now is None:
                yield f"{place} {'added' if was is None else 'removed'}: {_shown(now if was is None else was)}"
            else:
                yield from _details(place, was, now)
    else:
        yield f"{path} {_shown(old)} → {_shown(new)}".lstrip()


def _details_of_named(noun: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in new or name not in old:
            yield f'{noun} "{name}" {"added" if name in new else "removed"}'
        else:
            yield from (f'{noun} "{name}" {line}' for line in _details("", old[name], new[name]))
    if [name for name in new if name in old] != [name for name in old if name in new]:
        yield f"{noun}s in another order"


def _details_of_key(place: str, key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    if key not in old:
        yield f"{place} = {_shown(new[key])} added"
    elif key not in new:
        yield f"{place} = {_shown(old[key])} removed"
    else:
        yield from _details(place, old[key], new[key])


def _said(value: Any) -> Iterator[str]:
    """What a thing that was added or removed says."""
    if isinstance(value, Mapping):
        yield ", ".join(f"{key} = {_shown(said)}" for key, said in value.items() if key not in ("name", "id"))
    else:
        yield _shown(value)


def _by_name(tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The tables by what they are called: their name or id, else what they say. One that comes twice is numbered."""
    named: dict[str, Any] = {}
    for table in tables:
        name = own = str(table.get("name") or table.get("id") or _shown(table))
        number = 1
        while name in named:
            number += 1
            name = f"{own} ({number})"
        named[name] = table
    return named


def _is_same(one: Any, other: Any) -> bool:
    """Whether they say the same: `true` and 1 do not, though Python calls them equal."""
    return one == other and _canonical(one) == _canonical(other)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _is_of_tables(value: Any) -> bool:
    return (
        isinstance(value, Mapping) and bool(value) and all(isinstance(one, Mapping) for one in value.values())
    )


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _is_list_of_named(value: Any) -> bool:
    return _is_list_of_tables(value) and all("name" in one or "id" in one for one in value)


def _shown(value: Any) -> str:
    """A value about as it stands in the file."""
    if isinstance(value, Mapping):
        text = f"{{ {', '.join(f'{key} = {_shown(said)}' for key, said in value.items())} }}"
    elif isinstance(value, list):
        text = f"[{', '.join(map(_shown, value))}]"
    elif isinstance(value, str | int | float | bool):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _parsed(raw: bytes | None) -> Mapping[str, Any] | None:
    try:
        return tomllib.loads((raw or b"").decode())
    except (ValueError, RecursionError):
        return None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
