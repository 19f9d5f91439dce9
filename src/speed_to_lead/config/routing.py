"""routing.toml → the rules in their order, the default that catches the rest, and who counts as the same person."""

from datetime import timedelta

from speed_to_lead.config.conditions import DETECTION_FIELDS, RULE_FIELDS, field_problem, read_conditions
from speed_to_lead.config.mistakes import Names, quoted
from speed_to_lead.config.table import Table
from speed_to_lead.core.attribution import Taxonomy
from speed_to_lead.core.routing import SAME_PERSON_WITHIN
from speed_to_lead.core.rules import KeepWith, Rule
from speed_to_lead.core.sla import parse_duration

DEFAULT_RULE = "default"
#: What a rule gives the leads that match it.
_TARGET = ("team", "sla", "keep_with", "owner_from")


def read_rules(
    file: Table, sources: Names, taxonomy: Taxonomy, teams: Names, slas: Names
) -> tuple[tuple[Rule, ...], Rule | None]:
    """The rules that could be read, and the default or None."""
    file.refuse_keys_except("rules", "default", "same_person")
    rules: list[Rule] = []
    first_place: dict[str, int] = {}
    for number, table in enumerate(file.listed_tables("rules", "[[rules]]"), start=1):
        table.refuse_keys_except("name", "when", "unless", *_TARGET)
        name = table.text("name", "a text that people will read in traces", required=True)
        if name == DEFAULT_RULE:
            table.mistake('the name "default" belongs to [default]; choose another')
        if name is not None and first_place.setdefault(name, number) != number:
            table.mistake(
                f"rule {first_place[name]} has the same name; traces and reports need each name once"
            )
        when = read_conditions(table, "when", RULE_FIELDS, sources, taxonomy)
        unless = read_conditions(table, "unless", RULE_FIELDS, sources, taxonomy)
        team, sla, keep_with, owner_from = _read_target(table, teams, slas)
        if name is not None and team is not None and sla is not None:
            rules.append(Rule(name, team, sla, when, unless, keep_with, owner_from))
    return tuple(rules), _read_default(file, teams, slas)


def read_same_person(file: Table) -> timedelta:
    """How far apart two submissions of one person may be; what is usual where nothing, or nothing readable, is said."""
    table = file.table("same_person", 'a table: write [same_person] and under it within = "90d"')
    if table is None:
        return SAME_PERSON_WITHIN
    table.refuse_keys_except("within")
    text = table.text("within", 'a duration in quotes, such as "90d"', required=True)
    try:
        return parse_duration(text) if text is not None else SAME_PERSON_WITHIN
    except ValueError as error:
        table.mistake(f"within: {error}")
        return SAME_PERSON_WITHIN


def _read_default(file: Table, teams: Names, slas: Names) -> Rule | None:
    table = file.table(
        "default", "the team and sla of every lead that no rule matches: write [default]", required=True
    )
    if table is None:
        return None
    conditions = [key for key in ("when", "unless", "name") if key in table]
    if conditions:
        table.mistake(
            f"it catches every lead that no rule matches, so it has no {quoted(conditions[0])}; write [[rules]] instead"
        )
    table.refuse_keys_except(*_TARGET, *conditions)
    team, sla, keep_with, owner_from = _read_target(table, teams, slas)
    if team is None or sla is None:
        return None
    return Rule(DEFAULT_RULE, team, sla, keep_with=keep_with, owner_from=owner_from)


def _read_target(
    table: Table, teams: Names, slas: Names
) -> tuple[str | None, str | None, KeepWith, str | None]:
    team = table.reference("team", teams, "the name of a team", required=True)
    sla = table.reference("sla", slas, "the name of an SLA", required=True)
    keep_with = table.choice("keep_with", [whom.value for whom in KeepWith])
    return team, sla, KeepWith(keep_with or KeepWith.PERSON), _read_owner_from(table)


def _read_owner_from(table: Table) -> str | None:
    field = table.text("owner_from", 'the field that names the rep, such as "custom.owner"')
    if field is None or (problem := field_problem(field, DETECTION_FIELDS)) is None:
        return field
    if "custom" not in field:  # what nobody's generic lead has, a form asks by itself: `owner`, most likely
        problem = f'{quoted(field)} is no field of a lead; did you mean "custom.{field}"?'
    table.mistake(f"owner_from: {problem}")
    return None
