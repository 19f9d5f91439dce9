"""`when` and `unless` of rules and detections: tables of fields → the core's conditions."""

import math
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from speed_to_lead.config.mistakes import Names, hint, nearest, quoted
from speed_to_lead.config.table import Table, described
from speed_to_lead.core.attribution import UNKNOWN_SOURCE, Motion, Taxonomy
from speed_to_lead.core.conditions import OPERATORS, Condition, ConditionError, parse_condition
from speed_to_lead.core.submission import LEAD_FIELDS

#: What a detection may ask about: what came in, before a source is known.
DETECTION_FIELDS = (*LEAD_FIELDS, "form")
#: What a rule may ask about: the same, and the motion of the source that was found.
RULE_FIELDS = (*DETECTION_FIELDS, "motion")

#: From here on a float is not exact, and nobody means it.
_LIMIT = 2**53


def read_conditions(
    table: Table, key: str, fields: tuple[str, ...], sources: Names, taxonomy: Taxonomy
) -> tuple[Condition, ...]:
    """The conditions under `key` (`when` or `unless`) of a rule or detection.

    In rules, whose `fields` hold `motion`, a source and a motion must exist: one that does not could never match.
    """
    section = table.table(key, f'conditions such as {key}.country = ["US", "CA"]')
    if section is None:
        return ()
    conditions = []
    for name, raw in _fields_of(section):
        place = f"{key}.{name}"
        problem = field_problem(name, fields) or _value_problem(raw)
        if problem is None and "motion" in fields:
            problem = _name_problem(name, raw, sources, taxonomy)
        if problem is not None:
            table.mistake(f"{place}: {problem}")
            continue
        try:
            conditions.append(parse_condition(name, raw))
        except ConditionError as error:
            table.mistake(f"{place}: {error}")
    if not section.values:
        table.mistake(f'{key} is empty; leave it out, or write a condition such as {key}.country = "US"')
    return tuple(conditions)


def _fields_of(section: Table) -> Iterator[tuple[str, Any]]:
    """Field names and what is asked of them; `custom` tables are opened, so that both ways to write them work."""
    for name, raw in section.values.items():
        if name == "custom" and isinstance(raw, Mapping) and raw:
            for custom_name, custom_raw in raw.items():
                yield f"custom.{custom_name}", custom_raw
        else:
            yield name, raw


def field_problem(name: str, fields: tuple[str, ...]) -> str | None:
    """Why `name` is none of these fields, nor a custom one; None where it is."""
    if name in fields or (name.startswith("custom.") and name != "custom."):
        return None
    if name in ("custom", "custom."):
        return "a custom field has a name; write custom.NAME"
    return f"{quoted(name)} is no field of a lead; {field_hint(name, fields)}"


def field_hint(name: str, fields: Collection[str]) -> str:
    """What to write instead of a field no lead has."""
    near = nearest(name, fields)
    return (
        f'did you mean "{near}"?'
        if near
        else "what a form asks beyond the known fields is written custom.NAME"
    )


def _value_problem(raw: Any) -> str | None:
    """What is wrong with a value whatever the field: unknown comparisons, numbers nobody means, empty texts."""
    if not isinstance(raw, Mapping):
        return next(filter(None, map(_single_problem, raw if isinstance(raw, list) else [raw])), None)
    for operator, wanted in raw.items():
        if operator not in OPERATORS:
            return f"{quoted(operator)} is no comparison; {hint(operator, OPERATORS)}"
        problem = (
            _value_problem(wanted) if not isinstance(wanted, Mapping) else "it takes a value, not a table"
        )
        if problem is not None:
            return f"{operator}: {problem}"
    return None


def _single_problem(value: Any) -> str | None:
    if not isinstance(value, (str, int, float)):  # true and false are integers to Python
        return f"{described(value)} cannot be compared; write a text, a number or true/false"
    if isinstance(value, str):
        blank = "an empty text never matches, since blank fields are dropped; write { missing = true }"
        return None if value.strip() else blank
    if math.isfinite(value) and abs(value) < _LIMIT:
        return None
    return f"{described(value)} cannot be compared; write an ordinary number"


def _name_problem(name: str, raw: Any, sources: Names, taxonomy: Taxonomy) -> str | None:
    if name not in ("source", "motion") or isinstance(raw, Mapping):
        return None
    for value in raw if isinstance(raw, list) else [raw]:
        if not isinstance(value, str):
            return f"{described(value)} is no {name}; write its name in quotes"
        problem = _motion_problem(value) if name == "motion" else _source_problem(value, sources, taxonomy)
        if problem is not None:
            return problem
    return None


def _motion_problem(value: str) -> str | None:
    motions = [motion.value for motion in Motion]
    if any(fnmatchcase(motion, _pattern(value)) for motion in motions):
        return None
    return f"motion {quoted(value)} is unknown; {hint(value, motions)}"


def _source_problem(value: str, sources: Names, taxonomy: Taxonomy) -> str | None:
    if sources.known is None:
        return None
    known = {*sources.known, UNKNOWN_SOURCE.name}
    if any(fnmatchcase(source, _pattern(value)) for source in known):
        return None
    if "*" in value:
        return f"no source is named like {quoted(value)}"
    meant = taxonomy.named(value)
    if meant is not None:
        return f'source {quoted(value)} is a label or alias; rules use the name, "{meant.name}"'
    return Names("source", known).problem_with(value)


def _pattern(value: str) -> str:
    """The text as a rule compares it (folded, `*` for any run), with the other signs of a glob taken literally."""
    return value.strip().casefold().replace("[", "[[]").replace("?", "[?]")
