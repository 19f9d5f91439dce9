"""`when` and `unless` of rules and detections: tables of fields → the core's conditions."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from speed_to_lead.config.mistakes import Names, hint, nearest, quoted
from speed_to_lead.config.table import Table, described
from speed_to_lead.core.attribution import UNKNOWN_SOURCE, Motion, Taxonomy
from speed_to_lead.core.conditions import OPERATORS, Condition, ConditionError, parse_condition
from speed_to_lead.core.flags import FLAGS, FLAGS_FIELD
from speed_to_lead.core.meanings import DERIVED_FIELDS, EMAIL_KIND, HOUR, WEEKDAY, WEEKDAYS
from speed_to_lead.core.submission import LEAD_FIELDS
from speed_to_lead.spellings import SPELLINGS

#: What a detection may ask about: what came in, before a source is known.
DETECTION_FIELDS = (*LEAD_FIELDS, "form", *DERIVED_FIELDS)
#: What a score may ask about: the same, the motion of the source that was found, and how often the person came again.
SCORE_FIELDS = (*DETECTION_FIELDS, "motion", "touches")
#: What a rule may ask about: the same, and the score.
RULE_FIELDS = (*SCORE_FIELDS, "score")
#: Fields of a few words.
WORDS: Mapping[str, Sequence[str]] = {
    "motion": [motion.value for motion in Motion],
    WEEKDAY: WEEKDAYS,
    EMAIL_KIND: ("work", "free"),
    FLAGS_FIELD: FLAGS,
}
#: Fields of whole numbers, with the least and most they can be.
_RANGES = {HOUR: (0, 23), "touches": (0, math.inf), "score": (-math.inf, math.inf)}
#: Fields that are written `part.name`, so that TOML reads a table.
_NESTED = frozenset(field.partition(".")[0] for field in DERIVED_FIELDS if "." in field) | {"custom"}

#: From here on a float is not exact, and nobody means it.
_LIMIT = 2**53


def read_conditions(
    table: Table, key: str, fields: tuple[str, ...], sources: Names, taxonomy: Taxonomy
) -> tuple[Condition, ...]:
    """The conditions under `key` (`when` or `unless`) of a rule or detection.

    Where `fields` hold `motion`, a source must exist, and so must the words of every field that has only a few: one that
    does not could never match.
    """
    section = table.table(key, f'conditions such as {key}.country = ["US", "CA"]')
    if section is None:
        return ()
    conditions = []
    for name, raw in _fields_of(section):
        place = f"{key}.{name}"
        problem = field_problem(name, fields) or _value_problem(raw)
        if problem is None and (name != "source" or "motion" in fields):
            problem = _word_problem(name, raw, sources, taxonomy) or _range_problem(name, raw)
        if problem is not None:
            table.mistake(f"{place}: {problem}")
            continue
        try:
            conditions.append(parse_condition(name, raw, SPELLINGS))
        except ConditionError as error:
            table.mistake(f"{place}: {error}")
    if not section.values:
        table.mistake(f'{key} is empty; leave it out, or write a condition such as {key}.country = "US"')
    return tuple(conditions)


def _fields_of(section: Table) -> Iterator[tuple[str, Any]]:
    """Field names and what is asked of them; `custom` and `received` are opened, so that both ways to write them work."""
    for name, raw in section.values.items():
        if isinstance(raw, Mapping) and raw and (name in _NESTED or _is_nested_misspelt(name, raw)):
            for inner_name, inner_raw in raw.items():
                yield f"{name}.{inner_name}", inner_raw
        else:
            yield name, raw


def _is_nested_misspelt(name: str, raw: Mapping[str, Any]) -> bool:
    return raw.keys().isdisjoint(OPERATORS) and nearest(name, _NESTED) is not None


def field_problem(name: str, fields: tuple[str, ...]) -> str | None:
    """Why `name` is none of these fields, nor a custom one; None where it is."""
    if name in fields or (name.startswith("custom.") and name != "custom."):
        return None
    if name in ("custom", "custom."):
        return "a custom field has a name; write custom.NAME"
    if name in RULE_FIELDS:
        return f"{quoted(name)} is not known yet where this is asked; only rules can ask for it"
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


def _word_problem(name: str, raw: Any, sources: Names, taxonomy: Taxonomy) -> str | None:
    """What is wrong with the words asked of a field that has only a few; tables of comparisons are let through."""
    if (name != "source" and name not in WORDS) or isinstance(raw, Mapping):
        return None
    for value in raw if isinstance(raw, list) else [raw]:
        if not isinstance(value, str):
            return f"{described(value)} is no {name}; write its name in quotes"
        if name == "source":
            problem = _source_problem(value, sources, taxonomy)
        elif any(fnmatchcase(word, _pattern(value)) for word in WORDS[name]):
            problem = None
        else:
            word = value[:3] if name == WEEKDAY else value
            problem = f"{name} {quoted(value)} is unknown; {hint(word, WORDS[name])}"
        if problem is not None:
            return problem
    return None


def _range_problem(name: str, raw: Any) -> str | None:
    """What is wrong with the numbers asked of a field of whole numbers."""
    if name not in _RANGES:
        return None
    least, most = _RANGES[name]
    if isinstance(raw, Mapping):
        asked = [wanted for operator, wanted in raw.items() if operator in ("at_least", "at_most")]
        odd = next((operator for operator in raw if operator not in ("at_least", "at_most")), None)
        if odd is not None:
            return f"{odd}: {name} is always a number; compare it by a value, at_least or at_most"
    else:
        asked = raw if isinstance(raw, list) else [raw]
    for value in asked:
        if isinstance(value, bool) or not isinstance(value, int):
            return f"{described(value)} is no {name}; write a whole number without quotes"
        if not least <= value <= most:
            return f"{name} is never {value}; it is {f'from {least} to {most}' if most < math.inf else f'{least} or more'}"
    return None


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
