"""JSON Schemas (draft 2020-12) of the config's files, so that an editor completes and checks while somebody writes.

Made of the tables the loader reads by: keys from `shapes`, conditions from the core, tools and kinds of destination
from their registries. A schema never refuses what the loader takes; what it cannot say, `config check` does.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from speed_to_lead.config import shapes
from speed_to_lead.config.alerts import CONSOLE
from speed_to_lead.config.conditions import DETECTION_FIELDS, RULE_FIELDS, SCORE_FIELDS, WORDS
from speed_to_lead.config.load import Configuration
from speed_to_lead.config.shapes import Schema, Shape, text
from speed_to_lead.core.attribution import UNKNOWN_SOURCE
from speed_to_lead.core.conditions import OPERATORS
from speed_to_lead.core.delivery import KindOptions
from speed_to_lead.core.wording import Detail

DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: Beside the config's files, which name them in their first line.
DIRECTORY = "schema"

_VALUE: Schema = {"anyOf": [text(), {"type": ["number", "boolean"]}]}
_TEXTS: Schema = {"anyOf": [text(), {"type": "array", "items": text(), "minItems": 1}]}
_OPERATOR_VALUES: Mapping[str, Schema] = {
    "at_least": {"type": "number", "description": "this number or more"},
    "at_most": {"type": "number", "description": "this number or less"},
    "domain": {**_TEXTS, "description": "an address there, or at a subdomain"},
    "prefix": {**_TEXTS, "description": "begins so"},
    "contains": {**_TEXTS, "description": "has one of these in it"},
    "missing": {"type": "boolean", "description": "was not given (false: was given)"},
}


def file_of(name: str) -> str:
    """The file of the schema of `teams.toml` (or of `tests/*.toml`): `teams.schema.json`."""
    return f"{name.partition('/')[0].removesuffix('.toml')}.schema.json"


def schemas(
    providers: Mapping[str, Collection[str]],
    kinds: Mapping[str, KindOptions],
    configuration: Configuration | None = None,
) -> dict[str, Schema]:
    """The schema of each file, by its name. With the names of a configuration, where one is given."""
    names = _names(configuration) if configuration is not None else {}
    files: dict[str, Schema] = {
        "sources.toml": _table(
            sources=_named(
                shapes.SOURCE,
                {"pattern": f"^{shapes.SOURCE_NAME.pattern}$", "not": {"const": UNKNOWN_SOURCE.name}},
            ),
            detect=shapes.listed(shapes.DETECTION),
            audit=shapes.AUDIT.schema(),
        ),
        "teams.toml": _table(calendars=_named(shapes.CALENDAR), teams=_named(shapes.TEAM)),
        "slas.toml": _table(slas=_named(shapes.SLA_TABLE)),
        "routing.toml": {
            **_table(
                received=shapes.RECEIVED.schema(),
                same_person=shapes.SAME_PERSON.schema(),
                lookups=_named(shapes.LOOKUP, {"pattern": f"^{shapes.LOOKUP_NAME.pattern}$"}),
                rules=shapes.listed(shapes.RULE),
                default=shapes.DEFAULT.schema(),
            ),
            "required": ["default"],
        },
        "scoring.toml": _table(points=shapes.listed(shapes.POINTS)),
        "intake.toml": _table(forms=_named(shapes.FORM, {"pattern": f"^{shapes.FORM_NAME.pattern}$"})),
        "alerts.toml": _table(destinations=_destinations(kinds)),
        "retention.toml": _table(keep=shapes.KEEP.schema()),
        "tests/*.toml": shapes.EXPECTATIONS.schema(),
    }
    fields = {"sources.toml": DETECTION_FIELDS, "routing.toml": RULE_FIELDS, "scoring.toml": SCORE_FIELDS}
    for name, schema in files.items():
        definitions = _definitions(names, providers)
        if name in fields:
            definitions |= _conditions(fields[name], names)
        files[name] = {"$schema": DIALECT, "title": name, **schema, "$defs": _used(schema, definitions)}
    return files


def _used(schema: Any, definitions: Mapping[str, Schema]) -> dict[str, Schema]:
    """The definitions that the schema refers to, and those they refer to themselves."""
    used: dict[str, Schema] = {}
    waiting = [schema]
    while waiting:
        match waiting.pop():
            case list() as items:
                waiting += items
            case dict() as table:
                waiting += table.values()
                word = str(table.get("$ref", "")).removeprefix("#/$defs/")
                if word in definitions and word not in used:
                    used[word] = definitions[word]
                    waiting.append(definitions[word])
    return dict(sorted(used.items()))


def _names(configuration: Configuration) -> dict[str, list[str]]:
    rulebook = configuration.rulebook
    destinations = sorted({*configuration.destinations, CONSOLE.name})
    return {
        "source": sorted({*rulebook.taxonomy.sources, UNKNOWN_SOURCE.name}),
        "calendar": sorted(rulebook.calendars),
        "team": sorted(rulebook.teams),
        "sla": sorted(rulebook.slas),
        "destination": destinations,
        "target": [*shapes.ROLES, *(f"level:{number}" for number in range(1, 10)), *destinations],
        "form": sorted(configuration.forms),
        "rule": [rule.name for rule in (*rulebook.rules, rulebook.default)],
    }


def _definitions(
    names: Mapping[str, list[str]], providers: Mapping[str, Collection[str]]
) -> dict[str, Schema]:
    """What `name_of` refers to."""
    words = ("source", "calendar", "team", "sla", "destination", "target", "form", "rule")
    known: dict[str, Schema] = {word: {"enum": names[word]} if word in names else text() for word in words}
    if "target" not in names:  # completed all the same
        known["target"] = {"anyOf": [{"enum": [*shapes.ROLES, "level:1", "level:2"]}, text()]}
    return known | {"provider": {"enum": list(providers)}}


def _conditions(fields: tuple[str, ...], names: Mapping[str, list[str]]) -> dict[str, Schema]:
    """`when` and `unless`: fields, and what may be asked of them."""
    operators: Schema = {
        "type": "object",
        "properties": {name: _OPERATOR_VALUES.get(name, {}) for name in OPERATORS},
        "additionalProperties": False,
        "minProperties": 1,
    }

    def asked_of(value: Schema) -> Schema:
        return {"anyOf": [value, {"type": "array", "items": value, "minItems": 1}, operators]}

    def names_of(words: Iterable[str]) -> Schema:
        # An editor offers the words; a text with * in it, or in capitals, is right as well.
        known = list(map(str, words))
        return {"anyOf": [{"enum": known}, text()]} if known else text()

    named = {field: names_of(words) for field, words in WORDS.items() if field in fields}
    if "motion" in fields:  # in rules; to a detection a source is what the lead itself says
        named["source"] = names_of(names.get("source", ()))
    table: Schema = {"type": "object", "properties": {}, "additionalProperties": False, "minProperties": 1}
    for field in fields:
        kind = f"{field}_condition" if field in named else "condition"
        _place(table, field.split("."), {"$ref": f"#/$defs/{kind}"})
    custom = {"type": "object", "additionalProperties": {"$ref": "#/$defs/condition"}, "minProperties": 1}
    table["properties"]["custom"] = custom
    table["patternProperties"] = {r"^custom\..": {"$ref": "#/$defs/condition"}}
    return {
        "conditions": table,
        "condition": asked_of(_VALUE),
        **{f"{field}_condition": asked_of(value) for field, value in named.items()},
    }


def _place(table: Schema, path: list[str], schema: Schema) -> None:
    """Put a field into the table; one with a dot in its name stands in a table of its own, as TOML reads it."""
    first, *rest = path
    if not rest:
        table["properties"][first] = schema
        return
    inner = table["properties"].setdefault(
        first, {"type": "object", "properties": {}, "additionalProperties": False}
    )
    _place(inner, rest, schema)


def _table(**sections: Schema) -> Schema:
    return {"type": "object", "properties": sections, "additionalProperties": False}


def _named(shape: Shape, names: Schema | None = None) -> Schema:
    """Tables such as [teams.NAME]."""
    schema: dict[str, Any] = {"type": "object", "additionalProperties": shape.schema()}
    return schema | ({"propertyNames": names} if names is not None else {})


def _destinations(kinds: Mapping[str, KindOptions]) -> Schema:
    """One of the kinds, each with its own keys."""
    each = [
        Shape(
            {
                "type": {"const": kind},
                "detail": shapes.choice(Detail, "how much it is told of the person; full when left out"),
                **shapes.QUIET,
                **{
                    key: shapes.environment_name("the name of the environment variable that holds it")
                    if key.endswith("_env")
                    else _TEXTS
                    for key in takes.every
                },
            },
            required=("type", *takes.required),
            more={
                "dependentRequired": {"quiet_breaches": ["quiet_outside"], "digest_within": ["digest_over"]}
            }
            | ({"oneOf": [{"required": list(way)} for way in takes.ways]} if takes.ways else {}),
        ).schema()
        for kind, takes in kinds.items()
    ]
    names = {"pattern": f"^{shapes.DESTINATION_NAME.pattern}$", "not": {"enum": list(shapes.ROLES)}}
    return {"type": "object", "additionalProperties": {"oneOf": each}, "propertyNames": names}
