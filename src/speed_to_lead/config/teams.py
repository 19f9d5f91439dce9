"""teams.toml → teams, their reps and calendars."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from speed_to_lead.config.calendars import read_calendar, read_date
from speed_to_lead.config.mistakes import Names, quoted
from speed_to_lead.config.table import Table, described
from speed_to_lead.core.assignment import Assignment, Leave, Rep, Team
from speed_to_lead.core.calendar import Calendar

_REP_ID = re.compile(r"[A-Za-z0-9._-]+")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_LEAVE = 'a day such as "2026-12-24" or days such as "2026-12-20..2027-01-02"'
_MOST_WEIGHT = 100
_MOST_OPEN = 1_000_000


def read_calendars(file: Table, now: datetime) -> dict[str, Calendar]:
    """The calendars of teams.toml that could be read."""
    return {
        name: calendar
        for name, table in file.named_tables("calendars")
        if (calendar := read_calendar(name, table, now)) is not None
    }


def read_teams(
    file: Table, calendars: Mapping[str, Calendar], known_calendars: Names, destinations: Names
) -> dict[str, Team]:
    """The teams of teams.toml that could be read; one whose calendar failed is left out without a further mistake."""
    file.refuse_keys_except("calendars", "teams")
    teams = {}
    for name, table in file.named_tables("teams"):
        team = _read_team(name, table, calendars, known_calendars, destinations)
        if team is not None:
            teams[name] = team
    return teams


def _read_team(
    name: str,
    table: Table,
    calendars: Mapping[str, Calendar],
    known_calendars: Names,
    destinations: Names,
) -> Team | None:
    table.refuse_keys_except("calendar", "manager", "assignment", "reps")
    calendar_name = table.reference("calendar", known_calendars, "the name of a calendar", required=True)
    manager = table.reference("manager", destinations, "a destination: who hears of breaches", required=True)
    assignment = table.choice("assignment", [way.value for way in Assignment])
    rep_tables = table.listed_tables("reps", f"[[teams.{name}.reps]]")
    calendar = calendars.get(calendar_name or "")
    ids: set[str] = set()
    reps = [_read_rep(rep, ids, calendar, calendars, known_calendars, destinations) for rep in rep_tables]
    if calendar is None or manager is None:
        return None
    way = Assignment(assignment) if assignment is not None else Assignment.ROUND_ROBIN
    return Team(name, calendar, manager, way, tuple(rep for rep in reps if rep is not None))


def _read_rep(
    table: Table,
    ids: set[str],
    team_calendar: Calendar | None,
    calendars: Mapping[str, Calendar],
    known_calendars: Names,
    destinations: Names,
) -> Rep | None:
    table.refuse_keys_except("id", "name", "notify", "weight", "max_open", "calendar", "away", "email")
    rep_id = table.text("id", 'a short name such as "ana"', required=True)
    if rep_id is not None:
        _claim_id(rep_id, ids, table)
    name = table.text("name", "the person's name")
    notify = table.reference("notify", destinations, "a destination: where this rep hears of leads")
    weight = table.whole_number("weight", 1, _MOST_WEIGHT)
    max_open = table.whole_number("max_open", 1, _MOST_OPEN)
    own_calendar = table.reference("calendar", known_calendars, "the name of a calendar")
    away = _read_leave(table)
    email = _read_email(table)
    calendar = calendars.get(own_calendar or "") if "calendar" in table else team_calendar
    if rep_id is None or calendar is None:
        return None
    return Rep(rep_id, name or rep_id, calendar, notify, weight or 1, max_open, away, email)


def _claim_id(rep_id: str, ids: set[str], table: Table) -> None:
    """Note an id of this team. Somebody may be in two teams: their open leads count in both."""
    if not _REP_ID.fullmatch(rep_id):
        table.mistake(f"id {quoted(rep_id)} cannot be a rep's id; use letters, digits, dot, _ and -")
    elif rep_id in ids:
        table.mistake(f"rep {quoted(rep_id)} is twice in this team; give the other one an id of their own")
    ids.add(rep_id)


def _read_email(table: Table) -> str | None:
    expected = "an e-mail address: by it too a lead may name this rep as its owner"
    email = table.text("email", expected)
    if email is not None and not _ADDRESS.fullmatch(email):
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
