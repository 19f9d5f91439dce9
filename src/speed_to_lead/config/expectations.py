"""config/tests/*.toml → expectations: what the rules must give a lead, written by the people who write the rules.

Read as strictly as the config itself: an expectation that is misread holds for the wrong reason. How they are held
against what the rules give is `differences`; who asks the rules is `config test`.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from speed_to_lead.config.files import bytes_of, parsed_toml
from speed_to_lead.config.load import Configuration
from speed_to_lead.config.mistakes import Names, Notes, nearest, quoted
from speed_to_lead.config.shapes import EXPECT, EXPECTATION, EXPECTATIONS, EXPECTED_STEP
from speed_to_lead.config.table import Table, described
from speed_to_lead.core.attribution import UNKNOWN_SOURCE
from speed_to_lead.core.calendar import instant_on_the_wall
from speed_to_lead.core.clock import from_iso, from_ms, to_iso, to_ms
from speed_to_lead.core.sla import parse_duration
from speed_to_lead.core.submission import LEAD_FIELDS, Form, lead_field_named

#: Beside the files of the config, which the loader does not look into.
DIRECTORY = "tests"
#: A lead that goes to nobody: its team has no reps.
NOBODY = "nobody"

_INSTANT = 'a time such as "2026-11-27 16:30 Europe/London" or "2026-11-27T16:30:00Z"'
_DUE = f'{_INSTANT}, or one after receipt such as "+5m"'
_ON_THE_WALL = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d)?) ([A-Za-z][\w+/-]*)")


@dataclass(frozen=True, slots=True)
class Expectation:
    """One lead and what the rules must give it. `expect` holds what is compared, by the keys of `config explain --json`.

    There `deadline` and each step's `at` are instants, `rep` is a tuple of reps any of whom is right, and `on_shift`,
    which explain does not print, is the exact set of reps who could answer at receipt.
    """

    file: str
    place: str
    name: str
    lead: Mapping[str, Any]
    form: str | None
    received_at: datetime
    expect: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as expected. Both sides as JSON has them."""

    key: str
    expected: Any
    found: Any


def read_expectations(
    directory: Path, configuration: Configuration, notes: Notes
) -> tuple[Expectation, ...] | None:
    """The expectations beside the config in `directory`; None where there is no file of them."""
    folder = directory / DIRECTORY
    try:
        paths = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() == ".toml" and not path.name.startswith(".") and not path.is_dir()
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        notes.add(DIRECTORY, "", f"the directory cannot be read ({error.strerror})")
        return ()
    reader = _Reader(configuration, notes)
    found = tuple(expectation for path in paths for expectation in reader.file(path))
    return found if paths else None


def differences(
    expectation: Expectation, explained: Mapping[str, Any], on_shift: Collection[str]
) -> tuple[Difference, ...]:
    """What is not as expected: `explained` is the object of `config explain --json`. Only what is named is compared."""
    found = []
    for key, wanted in expectation.expect.items():
        given = explained.get(key)
        if key == "steps":
            found += list(_step_differences(wanted, given or []))
        elif key == "on_shift":
            if set(wanted) != set(on_shift):
                found.append(Difference(key, sorted(wanted), sorted(on_shift)))
        elif key == "deadline":
            if given is None or from_iso(given) != wanted:
                found.append(Difference(key, to_iso(wanted), given))
        elif key == "rep":
            if (given or NOBODY) not in wanted:
                found.append(
                    Difference(key, wanted[0] if len(wanted) == 1 else list(wanted), given or NOBODY)
                )
        elif given != wanted:
            found.append(Difference(key, wanted, given))
    return tuple(found)


def _step_differences(wanted: Mapping[str, Mapping[str, Any]], given: list[Any]) -> Iterator[Difference]:
    by_name = {step["name"]: step for step in given}
    for name, step in wanted.items():
        found = by_name.get(name)
        if found is None:
            yield Difference(f"steps {quoted(name)}", "a step of this name", sorted(by_name))
            continue
        for key, value in step.items():
            other = found.get(key)
            if key == "at":
                is_same, value = from_iso(other) == value, to_iso(value)  # noqa: PLW2901 - as it is shown
            elif key == "reassign":
                other = bool(other)
                is_same = other is value
            else:
                other = other or []
                is_same = set(other) == set(value)
            if not is_same:
                yield Difference(f"steps {quoted(name)} {key}", value, other)


class _Reader:
    """Reads files of expectations against one configuration, whose names are the ones that may be expected."""

    def __init__(self, configuration: Configuration, notes: Notes) -> None:
        rulebook = configuration.rulebook
        self._notes = notes
        self._forms = configuration.forms
        self._names = {
            "rule": Names("rule", [rule.name for rule in (*rulebook.rules, rulebook.default)]),
            "team": Names("team", rulebook.teams),
            "sla": Names("SLA", rulebook.slas),
            "source": Names("source", [*rulebook.taxonomy.sources, UNKNOWN_SOURCE.name]),
        }
        self._reps = {rep.id for team in rulebook.teams.values() for rep in team.reps}

    def file(self, path: Path) -> Iterator[Expectation]:
        """The expectations of one file that could be read."""
        name = f"{DIRECTORY}/{path.name}"
        raw = bytes_of(path, name, self._notes)
        content = parsed_toml(name, raw, self._notes) if raw is not None else None
        if content is None:
            return
        table = Table(self._notes, name, "", content)
        table.refuse_keys_except(*EXPECTATIONS)
        usual_instant = self._instant(table, "received_at")
        usual_lead = self._lead(table, None) or {}
        tests = table.listed_tables("tests", "[[tests]]")
        if not table.meant("tests"):
            table.mistake("it has no expectations; write [[tests]] with name, lead and expect")
        for one in tests:
            expectation = self._expectation(one, usual_instant, usual_lead)
            if expectation is not None:
                yield expectation

    def _expectation(
        self, table: Table, usual_instant: datetime | None, usual_lead: Mapping[str, Any]
    ) -> Expectation | None:
        table.refuse_keys_except(*EXPECTATION)
        name = table.text("name", "a sentence that says what must hold", required=True)
        form = table.reference("form", Names("form", self._forms), "the name of a form of intake.toml")
        lead = self._lead(table, self._forms.get(form or ""))
        given = self._instant(table, "received_at")
        received_at = given if table.meant("received_at") else usual_instant
        if received_at is None and not table.meant("received_at"):
            table.mistake(
                f'"received_at" is missing; it takes {_INSTANT}, here or once at the top of the file for all of them'
            )
        section = table.table("expect", 'what must hold, such as expect.team = "inbound"', required=True)
        if section is None:
            return None
        expect = self._expect(section, received_at)
        if name is None or lead is None or received_at is None:
            return None
        merged = {**usual_lead, **lead}
        if "custom" in usual_lead and "custom" in lead:
            merged["custom"] = {**usual_lead["custom"], **lead["custom"]}
        return Expectation(table.file, table.place.partition(" ")[0], name, merged, form, received_at, expect)

    def _lead(self, table: Table, form: Form | None) -> dict[str, Any] | None:
        """The lead as a form would send it. A field nobody knows is a mistake: it would be kept as a custom one."""
        section = table.table("lead", 'fields of a lead, such as lead.source = "demo_request"')
        if section is None:
            return {} if "lead" not in table else None
        of_form = (
            {selector.removeprefix("key:").partition(".")[0] for selector in form.fields.values()}
            if form
            else ()
        )
        for key, value in section.values.items():
            if key == "custom":
                if not isinstance(value, Mapping):
                    section.wrong(key, value, 'a table: write lead.custom.plan = "pro"')
                    return None
            elif lead_field_named(key) is None and key not in of_form:
                near = nearest(key, (*LEAD_FIELDS, *of_form))
                meant = (
                    f'did you mean "{near}"?'
                    if near
                    else "what a form asks beyond the known fields is written custom.NAME"
                )
                section.mistake(f"{quoted(key)} is no field of a lead; {meant}")
        wrong = next(_unsendable(section.values), None)
        if wrong is not None:
            section.mistake(f"{described(wrong)} cannot be sent by a form; write it as a text, in quotes")
        return dict(section.values)

    def _expect(self, table: Table, received_at: datetime | None) -> dict[str, Any]:
        table.refuse_keys_except(*EXPECT)
        expect: dict[str, Any] = {}
        for key in EXPECT:
            if key not in table:
                continue
            value: Any
            match key:
                case "rep" | "on_shift":
                    value = self._reps_in(table, key)
                case "deadline":
                    value = self._instant(table, key, received_at)
                case "steps":
                    value = self._steps(table, received_at)
                case "channel" | "campaign":
                    value = table.values[key]
                    if not isinstance(value, str):  # "" is right: a lead without a campaign
                        table.wrong(key, value, "a text; an empty one for none")
                case _:
                    value = table.reference(key, self._names[key], "a text: the name that is expected")
            if value is not None:
                expect[key] = value
        if not table.values:
            table.mistake('it expects nothing; name at least one thing, such as expect.team = "inbound"')
        return expect

    def _reps_in(self, table: Table, key: str) -> tuple[str, ...] | None:
        expected = (
            f'the id of a rep, or a list of those any of whom is right, or "{NOBODY}"'
            if key == "rep"
            else "the ids of everybody who is on shift at receipt; an empty list for nobody"
        )
        reps = table.texts(key, expected)
        if reps == () and key == "rep":
            table.wrong(key, [], expected)
            return None
        known = {*self._reps, NOBODY} if key == "rep" else self._reps
        for rep in reps or ():
            problem = Names("rep", known).problem_with(rep)
            if problem is not None:
                table.mistake(problem if key == "rep" else f"{key}: {problem}")
        return reps

    def _steps(self, table: Table, received_at: datetime | None) -> dict[str, Mapping[str, Any]]:
        steps: dict[str, Mapping[str, Any]] = {}
        if table.values["steps"] == []:
            table.mistake(
                "steps is empty, which expects nothing; leave it out, or name the steps that must be there"
            )
        for one in table.listed_tables("steps", 'steps such as { name = "100%", alert = ["manager"] }'):
            one.refuse_keys_except(*EXPECTED_STEP)
            name = one.text("name", "the name of a step: what its `at` says in slas.toml", required=True)
            step: dict[str, Any] = {}
            if "at" in one:
                step["at"] = self._instant(one, "at", received_at)
            step |= {
                verb: targets
                for verb in ("tell", "remind", "alert")
                if verb in one
                and (targets := one.texts(verb, '"rep", "manager" or destinations')) is not None
            }
            if "reassign" in one:
                step["reassign"] = one.flag("reassign")
            if name is not None and None not in step.values():
                steps[name] = step
        return steps

    def _instant(self, table: Table, key: str, received_at: datetime | None = None) -> datetime | None:
        """The instant under `key`, to the millisecond; relative to `received_at` where that is given."""
        if key not in table:
            return None
        value = table.values[key]
        is_relative = key in ("deadline", "at")
        try:
            instant = _instant_of(value, received_at if is_relative else None)
        except (ValueError, OverflowError) as error:
            table.mistake(f"{key}: {error}")
            return None
        if instant is None:
            # After a receipt that is wrong itself: that mistake is told already.
            if not (is_relative and received_at is None and isinstance(value, str) and value.startswith("+")):
                table.wrong(key, value, _DUE if is_relative else _INSTANT)
            return None
        return from_ms(to_ms(instant))


def _instant_of(value: Any, received_at: datetime | None) -> datetime | None:
    """The instant a value means, None where it is no time at all. Raises ValueError."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(
                f"{value.isoformat(' ')} has no time zone; write it in quotes with one, such as "
                f'"{value:%Y-%m-%d %H:%M} Europe/London"'
            )
        return value.astimezone(UTC)
    if not isinstance(value, str) or not value.strip():
        return None
    text = value.strip()
    if text.startswith("+"):
        if received_at is None:
            return None
        at_once = re.fullmatch(r"\+0+[smhd]", text)  # no SLA may be so short, and a step may come so soon
        return received_at if at_once else received_at + parse_duration(text[1:])
    on_the_wall = _ON_THE_WALL.fullmatch(text)
    if on_the_wall is not None:
        day, clock, zone = on_the_wall.groups()
        return instant_on_the_wall(datetime.fromisoformat(f"{day} {clock}"), zone)
    return from_iso(text)


def _unsendable(value: Any) -> Iterator[date | time]:
    """What TOML can say and a form cannot: dates and times."""
    if isinstance(value, (date, time)):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _unsendable(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _unsendable(inner)
