"""teams.toml → teams, their reps and calendars."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from speed_to_lead.config.calendars import read_calendar, read_date
from speed_to_lead.config.conditions import DETECTION_FIELDS
from speed_to_lead.config.mistakes import Names, hint, nearest, quoted
from speed_to_lead.config.shapes import (
    ADDRESS,
    MOST_LEVELS,
    MOST_OPEN,
    MOST_WEIGHT,
    REP,
    REP_ID,
    SLACK_ID,
    TEAM,
    TO_TEAM,
)
from speed_to_lead.config.table import Table, described
from speed_to_lead.core.assignment import Assignment, Match, Team, WhenNobody, match_of
from speed_to_lead.core.calendar import Calendar
from speed_to_lead.core.conditions import ConditionError
from speed_to_lead.core.reps import Leave, Rep
from speed_to_lead.core.sla import parse_duration
from speed_to_lead.spellings import SPELLINGS

_LEAVE = 'a day such as "2026-12-24" or days such as "2026-12-20..2027-01-02"'
_WHEN_NOBODY = '"next_on_shift", "queue", or another team such as "team:triage"'
_WHEN_NO_MATCH = '"anybody", or another team such as "team:triage"'
_MATCH = 'attributes of reps with the field of the lead that each must fit, such as { language = "custom.language" }'
_MATCHED_FIELD = 'a field of the lead, such as "country" or "custom.language"'


def read_calendars(file: Table, now: datetime) -> dict[str, Calendar]:
    """The calendars of teams.toml that could be read."""
    return {
        name: calendar
        for name, table in file.named_tables("calendars")
        if (calendar := read_calendar(name, table, now)) is not None
    }


def read_teams(
    file: Table, calendars: Mapping[str, Calendar], known_calendars: Names, destinations: Names, teams: Names
) -> dict[str, Team]:
    """The teams of teams.toml that could be read; one whose calendar failed is left out without a further mistake."""
    file.refuse_keys_except("calendars", "teams")
    found = {}
    for name, table in file.named_tables("teams"):
        team = _read_team(name, table, calendars, known_calendars, destinations, teams)
        if team is not None:
            found[name] = team
    _refuse_loops(file, found)
    return _counted_everywhere(file, found)


def _read_team(
    name: str,
    table: Table,
    calendars: Mapping[str, Calendar],
    known_calendars: Names,
    destinations: Names,
    teams: Names,
) -> Team | None:
    table.refuse_keys_except(*TEAM)
    calendar_name = table.reference("calendar", known_calendars, "the name of a calendar", required=True)
    manager = table.reference("manager", destinations, "a destination: who hears of breaches", required=True)
    assignment = table.choice("assignment", [way.value for way in Assignment])
    rep_tables = table.listed_tables("reps", f"[[teams.{name}.reps]]")
    calendar = calendars.get(calendar_name or "")
    ids: set[str] = set()
    reps = [_read_rep(rep, ids, calendar, calendars, known_calendars, destinations) for rep in rep_tables]
    way = Assignment(assignment) if assignment is not None else Assignment.ROUND_ROBIN
    known = tuple(rep for rep in reps if rep is not None)
    when_nobody, overflow = _read_when_nobody(name, table, teams)
    unmatched = _read_when_no_match(name, table, way, teams)
    match = _read_match(table, way, known, rep_tables)
    levels = _read_levels(table, destinations)
    if calendar is None or manager is None:
        return None
    return Team(name, calendar, manager, way, known, match, when_nobody, overflow, unmatched, levels)


def _read_levels(table: Table, destinations: Names) -> tuple[str, ...]:
    levels = table.texts("levels", "destinations, from the first level of escalation to the last") or ()
    for level in levels:
        problem = destinations.problem_with(level)
        if problem is not None:
            table.mistake(f"levels: {problem}")
    if len(levels) > MOST_LEVELS:
        table.mistake(f"levels has {len(levels)} destinations; {MOST_LEVELS} at most")
    return levels


def _read_when_nobody(name: str, table: Table, teams: Names) -> tuple[WhenNobody, str]:
    """What becomes of a lead while nobody is available, and the other team where it goes to one."""
    text = table.text("when_nobody", _WHEN_NOBODY)
    if text is None:
        return WhenNobody.NEXT_ON_SHIFT, ""
    if text.startswith(TO_TEAM):
        return WhenNobody.OTHER_TEAM, _other_team("when_nobody", text, name, table, teams)
    if text in (WhenNobody.NEXT_ON_SHIFT, WhenNobody.QUEUE):
        return WhenNobody(text), ""
    table.mistake(f"when_nobody {quoted(text)} is unknown; it takes {_WHEN_NOBODY}")
    return WhenNobody.NEXT_ON_SHIFT, ""


def _read_when_no_match(name: str, table: Table, way: Assignment, teams: Names) -> str:
    text = table.text("when_no_match", _WHEN_NO_MATCH)
    if text is None:
        return ""
    if way is not Assignment.BY_FIELD:
        table.mistake('when_no_match only means something with assignment = "by_field"; remove it')
    if text.startswith(TO_TEAM):
        return _other_team("when_no_match", text, name, table, teams)
    if text != "anybody":
        table.mistake(f"when_no_match {quoted(text)} is unknown; it takes {_WHEN_NO_MATCH}")
    return ""


def _other_team(key: str, text: str, name: str, table: Table, teams: Names) -> str:
    other = text.removeprefix(TO_TEAM).strip()
    problem = teams.problem_with(other)
    if problem is None and other == name:
        problem = "it names this team itself; name another one"
    if problem is None:
        return other
    table.mistake(f"{key}: {problem}")
    return ""


def _read_match(
    table: Table, way: Assignment, reps: tuple[Rep, ...], rep_tables: Sequence[Table]
) -> tuple[Match, ...]:
    """Which field of a lead must fit which attribute; each attribute with all values that reps have."""
    section = table.table("match", _MATCH, required=way is Assignment.BY_FIELD)
    asked: dict[str, str] = {}
    for attribute in section.values if section is not None else ():
        field = section.text(attribute, _MATCHED_FIELD) if section is not None else None
        if field is not None and _is_field(field, f"match.{attribute}", table):
            asked[attribute] = field
    if section is not None and way is not Assignment.BY_FIELD:
        table.mistake('match only means something with assignment = "by_field"; add that, or remove match')
    if section is not None and not section.values:
        table.mistake(f"match is empty, so it would match everybody; it takes {_MATCH}")
    attributes = section.values if section is not None else ()
    for rep_table in rep_tables:
        _refuse_attributes_except(attributes, rep_table)
    for attribute in asked if way is Assignment.BY_FIELD else ():
        if not any(rep.attributes.get(attribute) for rep in reps):
            table.mistake(
                f"match: no rep of this team has the attribute {quoted(attribute)}; write for example "
                f'attributes = {{ {attribute} = ["…"] }} with a rep'
            )
    matches = []
    for attribute, field in asked.items():
        try:
            matches.append(match_of(attribute, field, reps, SPELLINGS))
        except ConditionError as error:
            table.mistake(f"match.{attribute}: {error}")
    return tuple(matches)


def _is_field(field: str, place: str, table: Table) -> bool:
    if field in DETECTION_FIELDS or (field.startswith("custom.") and field != "custom."):
        return True
    near = nearest(field, DETECTION_FIELDS)
    words = f'"{near}" or "custom.{field}"' if near else f'"custom.{field}"'
    table.mistake(f"{place}: {quoted(field)} is no field of a lead; did you mean {words}?")
    return False


def _refuse_attributes_except(known: Collection[str], table: Table) -> None:
    """An attribute that nothing asks for is a misspelt one, or one too many."""
    given = table.values.get("attributes")
    for attribute in given if isinstance(given, Mapping) else ():
        if attribute not in known:
            near = hint(attribute, known) if known else "the team has no match"
            table.mistake(f"attributes: match does not ask for {quoted(attribute)}; {near}")


def _refuse_loops(file: Table, teams: Mapping[str, Team]) -> None:
    """A lead that nobody can take must come to an end; each loop is told once, at its first team."""
    told: set[str] = set()
    for name in teams:
        loop = _loop_from(name, teams)
        if loop and told.isdisjoint(loop):
            told.update(loop)
            way = " → ".join(map(quoted, loop))
            file.mistake(
                f"teams.{name}: leads that nobody takes would go round in a loop, {way}; let one of these teams use "
                'when_nobody = "next_on_shift" or "queue" (and when_no_match = "anybody")'
            )


def _loop_from(name: str, teams: Mapping[str, Team]) -> tuple[str, ...]:
    """The way from a team through others back to itself; () where there is none."""
    ways: list[tuple[str, ...]] = [(name,)]
    seen: set[str] = set()
    for way in ways:  # grows while it is walked
        team = teams.get(way[-1])
        for other in (team.overflow, team.unmatched) if team is not None else ():
            if other == name:
                return (*way, name)
            if other and other not in seen:
                seen.add(other)
                ways.append((*way, other))
    return ()


def _counted_everywhere(file: Table, teams: Mapping[str, Team]) -> dict[str, Team]:
    """The teams, where what somebody is given counts in each of theirs once it counts in one."""
    paced: dict[str, Rep] = {}
    for rep in (rep for team in teams.values() for rep in team.reps if rep.is_paced):
        first = paced.setdefault(rep.id, rep)
        if first.calendar.timezone != rep.calendar.timezone and (first.max_a_day or rep.max_a_day):
            file.mistake(
                f"rep {quoted(rep.id)} has max_a_day and is in teams of two time zones ({first.calendar.timezone}, "
                f"{rep.calendar.timezone}), so their day has two beginnings; give them the same calendar in both"
            )
    if not paced:
        return dict(teams)
    return {
        name: replace(
            team, reps=tuple(replace(rep, is_counted=True) if rep.id in paced else rep for rep in team.reps)
        )
        for name, team in teams.items()
    }


def _read_rep(
    table: Table,
    ids: set[str],
    team_calendar: Calendar | None,
    calendars: Mapping[str, Calendar],
    known_calendars: Names,
    destinations: Names,
) -> Rep | None:
    table.refuse_keys_except(*REP)
    rep_id = table.text("id", 'a short name such as "ana"', required=True)
    if rep_id is not None:
        _claim_id(rep_id, ids, table)
    name = table.text("name", "the person's name")
    notify = table.reference("notify", destinations, "a destination: where this rep hears of leads")
    weight = table.whole_number("weight", 1, MOST_WEIGHT)
    max_open = table.whole_number("max_open", 1, MOST_OPEN)
    max_a_day = table.whole_number("max_a_day", 1, MOST_OPEN)
    cooldown = _read_cooldown(table)
    attributes = _read_attributes(table)
    own_calendar = table.reference("calendar", known_calendars, "the name of a calendar")
    away = _read_leave(table)
    email = _read_email(table)
    calendar = calendars.get(own_calendar or "") if "calendar" in table else team_calendar
    if rep_id is None or calendar is None:
        return None
    return Rep(
        *(rep_id, name or rep_id, calendar, notify, weight or 1, max_open, away),
        *(max_a_day, cooldown, attributes),
        email=email,
        slack_id=_read_slack_id(table),
    )


def _read_slack_id(table: Table) -> str | None:
    slack_id = table.text("slack_id", 'a member id of Slack, such as "U2CERLKJA"')
    if slack_id is not None and SLACK_ID.fullmatch(slack_id) is None:
        table.mistake(
            f'slack_id {quoted(slack_id)} is no member id of Slack; expected one such as "U2CERLKJA"'
        )
    return slack_id


def _read_cooldown(table: Table) -> timedelta | None:
    text = table.text("cooldown", 'a duration in quotes, such as "90s", "5m" or "1h"')
    try:
        return parse_duration(text) if text is not None else None
    except ValueError as error:
        table.mistake(f"cooldown: {error}")
        return None


def _read_attributes(table: Table) -> dict[str, tuple[str, ...]]:
    section = table.table("attributes", 'attributes such as { language = ["de", "en"] }')
    if section is None:
        return {}
    values = {
        name: section.texts(name, 'a text or a list of texts, such as ["de", "en"]')
        for name in section.values
    }
    return {name: texts for name, texts in values.items() if texts}


def _claim_id(rep_id: str, ids: set[str], table: Table) -> None:
    """Note an id of this team. Somebody may be in two teams: their open leads count in both."""
    if not REP_ID.fullmatch(rep_id):
        table.mistake(f"id {quoted(rep_id)} cannot be a rep's id; use letters, digits, dot, _ and -")
    elif rep_id in ids:
        table.mistake(f"rep {quoted(rep_id)} is twice in this team; give the other one an id of their own")
    ids.add(rep_id)


def _read_email(table: Table) -> str | None:
    expected = "an e-mail address: by it too a lead may name this rep as its owner"
    email = table.text("email", expected)
    if email is not None and not ADDRESS.fullmatch(email):
        table.wrong("email", email, expected)
        return None
    return email


def _read_leave(table: Table) -> tuple[Leave, ...]:
    raw = table.values.get("away", [])
    leaves = []
    for value in raw if isinstance(raw, list) else [raw]:
        leave = _leave(value)
        if leave is None:
            table.mistake(f"away: {described(value)} is no leave; it takes {_LEAVE}")
        elif leave.last < leave.first:
            table.mistake(f"away: {quoted(str(value))} ends before it starts; write the earlier day first")
        else:
            leaves.append(leave)
    return tuple(leaves)


def _leave(value: Any) -> Leave | None:
    first, dots, last = value.partition("..") if isinstance(value, str) else (value, "", None)
    start = read_date(first)
    end = read_date(last) if dots else start
    return Leave(start, end) if start is not None and end is not None else None
