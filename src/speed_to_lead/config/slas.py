"""slas.toml → SLAs and their ladders of steps."""

import re
from collections.abc import Mapping
from datetime import time, timedelta

from speed_to_lead.config.mistakes import Names, one_of, quoted
from speed_to_lead.config.shapes import LEVEL_TARGET, ROLES, SLA_TABLE, STEP, STEP_NAME, TIME_OF_DAY
from speed_to_lead.config.table import Table
from speed_to_lead.core.calendar import Calendar
from speed_to_lead.core.lead import HOLD
from speed_to_lead.core.sla import (
    CLOSE_OF_BUSINESS,
    DEFAULT_STEPS,
    MOST_REPEATS,
    REPEAT_TIMES,
    SLA,
    Clock,
    Step,
    StepTime,
    parse_duration,
)

#: As people may write it, our own names included.
_SHAPE_OF_STEP_NAME = re.compile(r"[^:~\s]{1,64}")


def read_slas(
    file: Table, destinations: Names, calendars: Mapping[str, Calendar], known_calendars: Names
) -> dict[str, SLA]:
    """The SLAs of slas.toml that could be read."""
    file.refuse_keys_except("slas")
    return {
        name: sla
        for name, table in file.named_tables("slas")
        if (sla := _read_sla(name, table, destinations, calendars, known_calendars)) is not None
    }


def _read_sla(
    name: str,
    table: Table,
    destinations: Names,
    calendars: Mapping[str, Calendar],
    known_calendars: Names,
) -> SLA | None:
    table.refuse_keys_except(*SLA_TABLE)
    within = _read_duration(table, "respond_within")
    hold = _read_duration(table, "hold") or HOLD
    by = table.choice("respond_by", [CLOSE_OF_BUSINESS])
    cutoff = _read_cutoff(table)
    clock = table.choice("clock", [clock.value for clock in Clock])
    steps = _read_steps(table, destinations, calendars, known_calendars)
    both, neither = "respond_within" in table and "respond_by" in table, within is None and by is None
    if both:
        table.mistake("it has both respond_within and respond_by, which are two deadlines; keep one")
    elif not table.meant("respond_within", "respond_by"):
        table.mistake(
            f'it has no deadline; write respond_within = "5m" or respond_by = "{CLOSE_OF_BUSINESS}"'
        )
    if both or neither:
        return None
    return SLA(
        name, within, by, cutoff if by else None, Clock(clock) if clock else Clock.ELAPSED, steps, hold
    )


def _read_duration(table: Table, key: str) -> timedelta | None:
    text = table.text(key, 'a duration in quotes, such as "90s", "5m", "24h" or "3d"')
    try:
        return parse_duration(text) if text is not None else None
    except ValueError as error:
        table.mistake(f"{key}: {error}")
        return None


def _read_cutoff(table: Table) -> time | None:
    if "cutoff" not in table:
        return None
    if "respond_by" not in table:
        table.mistake(f'cutoff only means something with respond_by = "{CLOSE_OF_BUSINESS}"; remove it')
    value = table.values["cutoff"]
    if isinstance(value, time):
        return value
    match = TIME_OF_DAY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        table.wrong("cutoff", value, 'a local time in quotes, such as "16:00"')
        return None
    return time(int(match[1]), int(match[2]))


def _read_steps(
    table: Table, destinations: Names, calendars: Mapping[str, Calendar], known_calendars: Names
) -> tuple[Step, ...]:
    if "steps" not in table:
        return DEFAULT_STEPS
    if table.values["steps"] == []:
        table.mistake("steps is empty, so nobody would hear of a breach; leave it out for the default steps")
    steps: list[Step] = []
    names: set[str] = set()
    for step_table in table.listed_tables("steps", 'steps such as { at = "100%", alert = ["manager"] }'):
        step = _read_step(step_table, destinations, calendars, known_calendars)
        if step is None:
            continue
        twice = next((name for name in step.names if name in names), None)
        if twice is not None:
            step_table.mistake(f"two steps are named {quoted(twice)}; give one of them a name of its own")
        names.update(step.names)
        steps.append(step)
    return tuple(steps)


def _read_step(
    table: Table, destinations: Names, calendars: Mapping[str, Calendar], known_calendars: Names
) -> Step | None:
    table.refuse_keys_except(*STEP)
    at = _read_step_time(table)
    tell, remind, alert = (_read_targets(table, key, destinations) for key in ("tell", "remind", "alert"))
    reassign = table.flag("reassign")
    deeds = ("tell", "remind", "alert", "reassign")
    if not any(table.values.get(key, True) for key in deeds if table.meant(key)):
        table.mistake('it does nothing; add tell, remind, alert or reassign, such as alert = ["manager"]')
    name = table.text("name", "a short name for this step")
    if name is not None and not STEP_NAME.fullmatch(name):
        if _SHAPE_OF_STEP_NAME.fullmatch(name):
            why = "the program itself names steps so in alerts and in history; choose another"
        else:
            why = "use up to 64 characters, no colon, no ~ and no blanks"
        table.mistake(f"name {quoted(name)} cannot name a step; {why}")
    only_when = table.reference("only_when", known_calendars, "the name of a calendar")
    repeat = _read_duration(table, "repeat")
    times = table.whole_number("times", 1, MOST_REPEATS)
    if times is not None and not table.meant("repeat"):
        table.mistake(
            'times only means something with repeat, such as repeat = "15m"; add that, or remove times'
        )
    if at is None:
        return None
    named = name if name is not None else at.text
    calendar = calendars.get(only_when or "")
    return Step(named, at, tell, remind, alert, reassign, calendar, repeat, times or REPEAT_TIMES)


def _read_step_time(table: Table) -> StepTime | None:
    text = table.text("at", 'a time such as "60%", "+10m" or "-5m"', required=True)
    try:
        return StepTime.parse(text) if text is not None else None
    except ValueError as error:
        table.mistake(f"at: {error}")
        return None


def _read_targets(table: Table, key: str, destinations: Names) -> tuple[str, ...]:
    targets = table.texts(key, f"{one_of(ROLES)}, or names of destinations") or ()
    known = None if destinations.known is None else {*destinations.known, *ROLES}
    for target in targets:
        problem = None if LEVEL_TARGET.fullmatch(target) else Names("destination", known).problem_with(target)
        if problem is not None:
            table.mistake(f"{key}: {problem}")
    return tuple(dict.fromkeys(targets))
