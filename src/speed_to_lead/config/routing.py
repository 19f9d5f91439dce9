"""routing.toml → the rules in their order, the default that catches the rest, the look-ups, and who counts as the same person."""

from collections.abc import Mapping
from datetime import timedelta

from speed_to_lead.config.conditions import RULE_FIELDS, field_problem, read_conditions
from speed_to_lead.config.mistakes import Names, quoted
from speed_to_lead.config.shapes import DEFAULT, RECEIVED, RULE, SAME_PERSON
from speed_to_lead.config.table import Table
from speed_to_lead.core.attribution import Taxonomy
from speed_to_lead.core.calendar import Calendar
from speed_to_lead.core.lookup import LOOKUP
from speed_to_lead.core.meanings import Reception
from speed_to_lead.core.routing import SAME_PERSON_WITHIN
from speed_to_lead.core.rules import KeepWith, Rule
from speed_to_lead.core.sla import parse_duration
from speed_to_lead.core.submission import LEAD_FIELDS

DEFAULT_RULE = "default"
#: What a rule gives the leads that match it.
_TARGET = ("team", "sla", "keep_with", "owner_from")


def read_rules(
    file: Table,
    sources: Names,
    taxonomy: Taxonomy,
    teams: Names,
    slas: Names,
    destinations: Names,
    lookups: Names,
) -> tuple[tuple[Rule, ...], Rule | None]:
    """The rules that could be read, and the default or None."""
    file.refuse_keys_except("rules", "default", "received", "same_person", "lookups")
    rules: list[Rule] = []
    first_place: dict[str, int] = {}
    for number, table in enumerate(file.listed_tables("rules", "[[rules]]"), start=1):
        table.refuse_keys_except(*RULE)
        name = table.text("name", "a text that people will read in traces", required=True)
        if name == DEFAULT_RULE:
            table.mistake('the name "default" belongs to [default]; choose another')
        if name is not None and first_place.setdefault(name, number) != number:
            table.mistake(
                f"rule {first_place[name]} has the same name; traces and reports need each name once"
            )
        when = read_conditions(table, "when", RULE_FIELDS, sources, taxonomy)
        unless = read_conditions(table, "unless", RULE_FIELDS, sources, taxonomy)
        if table.meant("nurture"):
            nurture = _read_nurture(table, destinations)
            if name is not None and nurture is not None:
                rules.append(Rule(name, "", "", when, unless, nurture))
            continue
        team, sla, keep_with, owner_from = _read_target(table, teams, slas, lookups)
        if name is not None and team is not None and sla is not None:
            rules.append(Rule(name, team, sla, when, unless, keep_with=keep_with, owner_from=owner_from))
    return tuple(rules), _read_default(file, teams, slas, lookups)


def read_reception(file: Table, calendars: Mapping[str, Calendar], names: Names) -> Reception:
    """Whose clock `received.weekday` and `received.hour` are read from: `[received]`, UTC where there is none."""
    table = file.table("received", 'a table such as [received] with calendar = "new-york"')
    if table is None:
        return Reception()
    table.refuse_keys_except(*RECEIVED)
    name = table.reference("calendar", names, "the name of a calendar of teams.toml", required=True)
    calendar = calendars.get(name or "")
    if calendar is None:
        return Reception()
    return Reception(calendar.zone, calendar.name)


def read_same_person(file: Table) -> timedelta:
    """How far apart two submissions of one person may be; what is usual where nothing, or nothing readable, is said."""
    table = file.table("same_person", 'a table: write [same_person] and under it within = "90d"')
    if table is None:
        return SAME_PERSON_WITHIN
    table.refuse_keys_except(*SAME_PERSON)
    text = table.text("within", 'a duration in quotes, such as "90d"', required=True)
    try:
        return parse_duration(text) if text is not None else SAME_PERSON_WITHIN
    except ValueError as error:
        table.mistake(f"within: {error}")
        return SAME_PERSON_WITHIN


def _read_default(file: Table, teams: Names, slas: Names, lookups: Names) -> Rule | None:
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
    table.refuse_keys_except(*DEFAULT, *conditions)
    team, sla, keep_with, owner_from = _read_target(table, teams, slas, lookups)
    if team is None or sla is None:
        return None
    return Rule(DEFAULT_RULE, team, sla, keep_with=keep_with, owner_from=owner_from)


def _read_nurture(table: Table, destinations: Names) -> str | None:
    for key in _TARGET:
        if key in table:
            table.mistake(
                f"nurture and {key} exclude each other: who is nurtured has no rep and no clock; keep one of them"
            )
    return table.reference("nurture", destinations, "the name of a destination that feeds a sequence")


def _read_target(
    table: Table, teams: Names, slas: Names, lookups: Names
) -> tuple[str | None, str | None, KeepWith, str | None]:
    team = table.reference("team", teams, "the name of a team", required=True)
    sla = table.reference("sla", slas, "the name of an SLA", required=True)
    keep_with = table.choice("keep_with", [whom.value for whom in KeepWith])
    return team, sla, KeepWith(keep_with or KeepWith.PERSON), _read_owner_from(table, lookups)


def _read_owner_from(table: Table, lookups: Names) -> str | None:
    field = table.text("owner_from", 'the field that names the rep, such as "custom.owner"')
    if field is not None and field.startswith(LOOKUP):
        problem = lookups.problem_with(field.removeprefix(LOOKUP))
        if problem is None:
            return field
        table.mistake(f"owner_from: {problem}")
        return None
    if field is None or (problem := field_problem(field, LEAD_FIELDS)) is None:
        return field
    if "custom" not in field:  # what nobody's generic lead has, a form asks by itself: `owner`, most likely
        problem = f'{quoted(field)} is no field of a lead; did you mean "custom.{field}"?'
    table.mistake(f"owner_from: {problem}")
    return None
