"""The JSON Schemas: made of what the loader reads by, good of themselves, and never stricter than the loader."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.config.builders import KINDS, NOW, PROVIDERS, SMALL, ConfigDirectory
from tests.config.test_mistakes import MISTAKES

from speed_to_lead.config import load_config
from speed_to_lead.config.expectations import read_expectations
from speed_to_lead.config.files import SECTIONS
from speed_to_lead.config.mistakes import Notes
from speed_to_lead.config.schema import DIRECTORY, file_of, schemas
from speed_to_lead.config.table import Table
from speed_to_lead.core.conditions import OPERATORS
from speed_to_lead.destinations import KINDS as REAL_KINDS
from speed_to_lead.forms import PROVIDERS as REAL_PROVIDERS

SHIPPED = Path(__file__).parents[2] / "config"
SCHEMAS = schemas(PROVIDERS, KINDS)
TESTS = "tests/*.toml"


def as_json(value: Any) -> Any:
    """A TOML value as an editor hands it to a schema: dates and times are texts there."""
    if isinstance(value, dict):
        return {key: as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    return value.isoformat() if isinstance(value, (date, time, datetime)) else value


def problems(name: str, text: str, known: Mapping[str, Any] = SCHEMAS) -> list[str]:
    validator = Draft202012Validator(known[name])
    return [error.message for error in validator.iter_errors(as_json(tomllib.loads(text)))]


def test_there_is_one_for_each_file() -> None:
    """Each is a schema itself."""
    assert {*SECTIONS, TESTS} == SCHEMAS.keys()
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)


def test_the_shipped_schemas_are_the_ones_of_this_program() -> None:
    """What lies beside the shipped config is what `config schema --write` writes."""
    kinds = {name: kind.options for name, kind in REAL_KINDS.items()}
    current = schemas({name: provider.selectors for name, provider in REAL_PROVIDERS.items()}, kinds)
    shipped = {path.name: json.loads(path.read_text()) for path in (SHIPPED / DIRECTORY).iterdir()}
    # Where it is not, run: speed-to-lead config schema --write
    assert {file_of(name): schema for name, schema in current.items()} == shipped


def test_the_shipped_files_name_their_schemas_and_keep_to_them() -> None:
    """In their first line, as taplo reads it; and not one is refused."""
    files = [(path.name, path) for path in SHIPPED.glob("*.toml")]
    files += [(TESTS, path) for path in (SHIPPED / "tests").glob("*.toml")]
    assert len(files) > len(SECTIONS)
    for name, path in files:
        first = path.read_text().splitlines()[0]
        assert first.startswith("#:schema ")
        named = (path.parent / first.removeprefix("#:schema ")).resolve()
        assert SHIPPED / DIRECTORY / file_of(name) == named
        assert problems(name, path.read_text(), {name: json.loads(named.read_text())}) == []


@pytest.mark.parametrize("name", SMALL)
def test_what_the_loader_takes_is_not_refused(name: str) -> None:
    """Every way to write a value that the small config uses."""
    assert problems(name, SMALL[name]) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sources.toml", '[[detect]]\nsource = "unknown"'),
        (
            "teams.toml",
            '[calendars.a]\ntimezone = "UTC"\nhours = { Monday = "9:00-17:00", " tue - Fri " = [] }',
        ),
        (
            "teams.toml",
            '[calendars.a]\ntimezone = "UTC"\nhours = { mon = "9:00-17:00" }\nholidays.add = 2026-12-24',
        ),
        ("teams.toml", '[teams.a]\ncalendar = "a"\nmanager = "b"\nreps = [{ id = "x", away = "20261224" }]'),
        ("slas.toml", '[slas.a]\nrespond_by = "close_of_business"\ncutoff = 16:00:00'),
        ("slas.toml", '[slas.a]\nrespond_within = " 90s "\nsteps = [{ at = "12.5%", tell = "manager" }]'),
        ("routing.toml", '[default]\nteam = "b"\nsla = "c"'),
        (
            "routing.toml",
            (
                '[[rules]]\nname = "a"\nteam = "b"\nsla = "c"\nwhen."custom.a" = true\nwhen.custom.b = ["x", 1]\n'
                'when.source = "Demo*"\nwhen.motion = "IN*"\n[default]\nteam = "b"\nsla = "c"'
            ),
        ),
        ("intake.toml", '[forms.a]\nprovider = "generic"\nauth = "none"'),
        (
            "intake.toml",
            '[forms.b]\nprovider = "generic"\nauth = "token"\ntoken_env = "T"\nfields = { "custom.a" = "b" }',
        ),
        ("retention.toml", '[keep]\nclosed = "90d"'),
        (
            TESTS,
            (
                'received_at = 2026-01-05T14:00:00Z\nlead.zip = 5\n[[tests]]\nname = "a"\nform = "b"\n'
                'expect = { rep = ["a"], on_shift = [], steps = [{ name = "a", at = "+5m" }] }'
            ),
        ),
    ],
)
def test_other_ways_to_write_it_are_right_too(name: str, text: str) -> None:
    """No false alarm in an editor: a schema that is stricter than the loader is worse than none."""
    assert problems(name, text) == []


#: Words of mistakes that only the loader can tell: names defined elsewhere or twice, and what a value means.
ONLY_THE_LOADER_SAYS = (
    "already means the source", 'source "', 'time zone "Europe/Londn"', '"thurs" is not', "is given twice", "never open",
    'country "G8"', 'subdivision "EGN"', 'calendar "allways"', 'destination "', "is twice in this team",
    "ends before it starts", "two steps are named", "has the same name", 'team "inbond"', 'SLA "fats"', 'motion "',
    "is a label or alias", "no source is named like", "does not fit", "selects nothing", "signs nothing", "longer than a day",
    "an hour is the most", "what people fill in themselves", "when_nobody: team", "names this team itself", "match does not ask for",
    "the date ", "the number inf", "the number nan", 'calendar "londn"',
    'received.weekday "', 'flags "', "received.hour is never", "keeps no list", "the name that typeform has", "touches is always a number", 'email_kind "',
)  # fmt: skip
#: What a schema says of these all the same.
BUT_THESE = ('motion "inbund"', '"thurs" is not', 'the source "unknown" is built in', 'destination of type "')


def schema_can_say(expected: str) -> bool:
    return any(words in expected for words in BUT_THESE) or not any(
        words in expected for words in ONLY_THE_LOADER_SAYS
    )


@pytest.mark.parametrize(("file", "old", "new", "expected"), MISTAKES)
def test_schema_and_loader_agree_on_mistakes(
    config: ConfigDirectory, file: str, old: str, new: str, expected: str
) -> None:
    """Each mistake the loader tells is refused by the schema, but for what only the loader can know."""
    config.replace(file, old, new)
    found = problems(file, (config.directory / file).read_text())
    assert schema_can_say(expected) == bool(found), found


def keys_of_tables_in(schema: Any) -> Iterator[frozenset[str]]:
    """The keys of every table of a schema."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield frozenset(schema["properties"])
        for inner in schema.values():
            yield from keys_of_tables_in(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from keys_of_tables_in(inner)


def test_every_key_the_loader_takes_is_in_a_schema(
    config: ConfigDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is only read, or only in a schema, fails here: `config/shapes.py` is where both have it from."""
    taken: set[tuple[str, frozenset[str]]] = set()
    refuse = Table.refuse_keys_except

    def note(self: Table, *known: str) -> None:
        taken.add((TESTS if self.file.startswith("tests/") else self.file, frozenset(known)))
        refuse(self, *known)

    monkeypatch.setattr(Table, "refuse_keys_except", note)
    (config.directory / "retention.toml").write_text('[keep]\nclosed = "90d"')
    (config.directory / "scoring.toml").write_text('[[points]]\nname = "a"\npoints = 5')
    config.replace("routing.toml", "[default]", '[received]\ncalendar = "always"\n[default]')
    config.append("sources.toml", "[audit]\nsilent_at = 5\n")
    config.append(
        "alerts.toml",
        '[destinations.a]\ntype = "console"\n[destinations.b]\ntype = "webhook"\nurl_env = "A"\nsecret_env = "B"',
    )
    configuration = load_config(config.directory, providers=PROVIDERS, kinds=KINDS, now=NOW)
    (config.directory / "tests").mkdir()
    (config.directory / "tests" / "a.toml").write_text(
        'received_at = 2026-01-05T14:00:00Z\nlead.email = "a@example.com"\n'
        '[[tests]]\nname = "a"\nexpect.steps = [{ name = "late", at = "+5m" }]'
    )
    read_expectations(config.directory, configuration, Notes())
    in_schemas = {(name, keys) for name, schema in SCHEMAS.items() for keys in keys_of_tables_in(schema)}
    assert set() == taken - in_schemas
    assert SCHEMAS.keys() == {name for name, _ in taken}


def test_every_operator_says_what_it_takes() -> None:
    """A new comparison gets its line in `config/schema.py`."""
    condition = SCHEMAS["routing.toml"]["$defs"]["condition"]
    [operators] = [one["properties"] for one in condition["anyOf"] if "properties" in one]
    assert list(OPERATORS) == list(operators)
    assert [name for name, schema in operators.items() if not schema] == []


def test_names_of_a_config_are_offered(config: ConfigDirectory) -> None:
    """With them an editor completes and checks references too, and still takes what the loader takes."""
    known = schemas(PROVIDERS, KINDS, config.load())
    for name, text in SMALL.items():
        assert problems(name, text, known) == []
    routing, slas = SMALL["routing.toml"], SMALL["slas.toml"]
    assert problems("routing.toml", routing.replace('team = "inbound"', 'team = "inbond"', 1), known) != []
    assert problems("slas.toml", slas.replace('"desk"', '"dsk"'), known) != []
    assert problems("routing.toml", routing.replace('"demo_request"', '" DEMO*"'), known) == []
