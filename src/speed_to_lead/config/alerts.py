"""alerts.toml → destinations: who can be told, and by which kind of message."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from speed_to_lead.config.intake import read_environment_name
from speed_to_lead.config.mistakes import Names, quoted
from speed_to_lead.config.shapes import DESTINATION_NAME, QUIET, ROLES
from speed_to_lead.config.table import Table
from speed_to_lead.core.calendar import Calendar
from speed_to_lead.core.delivery import Destination, KindOptions
from speed_to_lead.core.sla import parse_duration
from speed_to_lead.core.storm import DigestTerms
from speed_to_lead.core.wording import Detail

DIGEST_WITHIN = timedelta(minutes=1)
LONGEST_DIGEST = timedelta(hours=1)
#: Always there, so that a fresh machine has somewhere to print alerts; alerts.toml may define it anew.
CONSOLE = Destination("console", "console", {})


def read_destinations(
    file: Table,
    kinds: Mapping[str, KindOptions],
    calendars: Mapping[str, Calendar],
    known_calendars: Names,
) -> dict[str, Destination]:
    """The destinations of alerts.toml that could be read, and the console."""
    file.refuse_keys_except("destinations")
    destinations = {CONSOLE.name: CONSOLE}
    for name, table in file.named_tables("destinations"):
        destination = _read_destination(name, table, kinds, calendars, known_calendars)
        if destination is not None:
            destinations[name] = destination
    return destinations


def _read_destination(
    name: str,
    table: Table,
    kinds: Mapping[str, KindOptions],
    calendars: Mapping[str, Calendar],
    known_calendars: Names,
) -> Destination | None:
    if name in ROLES:
        table.mistake(f"{quoted(name)} means the {name} of a lead in every step; choose another name")
    elif not DESTINATION_NAME.fullmatch(name):
        table.mistake(f"{quoted(name)} cannot be a destination's name; use letters, digits, dot, _ and -")
    kind = table.choice("type", kinds, required=True)
    if kind is None:
        return None  # which keys are right depends on the type
    takes = kinds[kind]
    table.refuse_keys_except("type", "detail", *QUIET, *takes.every)
    options = {}
    needed = {*takes.required, *_way_of(table, kind, takes)}
    for key in takes.every:
        value = _read_option(table, key)
        if value is not None:
            options[key] = value
        elif key in needed and not table.meant(key):
            table.mistake(f'"{key}" is missing; a destination of type "{kind}" needs it')
    detail = table.choice("detail", list(Detail)) if "detail" in table.values else None
    quiet = table.reference("quiet_outside", known_calendars, "the name of a calendar")
    breaches_too = table.flag("quiet_breaches")
    if breaches_too and not table.meant("quiet_outside"):
        table.mistake(
            "quiet_breaches only means something with quiet_outside, the name of a calendar; add that"
        )
    return Destination(
        name,
        kind,
        options,
        Detail(detail) if detail else Detail.FULL,
        calendars.get(quiet or ""),
        breaches_too,
        _read_digest(table),
    )


def _way_of(table: Table, kind: str, takes: KindOptions) -> tuple[str, ...]:
    """The keys of the one way that was begun; a mistake where none was, or more than one."""
    begun = [way for way in takes.ways if any(key in table.values for key in way)]
    if len(begun) == 1 or not takes.ways:
        return begun[0] if begun else ()
    ways = " or ".join(" and ".join(f'"{key}"' for key in way) for way in takes.ways)
    if not any(table.meant(key) for way in takes.ways for key in way) or begun:
        table.mistake(f'a destination of type "{kind}" needs {ways}{", and not both" if begun else ""}')
    return ()


def _read_digest(table: Table) -> DigestTerms | None:
    over = table.whole_number("digest_over", 1, 1000)
    text = table.text("digest_within", 'a duration in quotes, such as "1m"')
    if text is not None and not table.meant("digest_over"):
        table.mistake(
            "digest_within only means something with digest_over, such as digest_over = 20; add that"
        )
    try:
        within = parse_duration(text) if text is not None else DIGEST_WITHIN
    except ValueError as error:
        table.mistake(f"digest_within: {error}")
        return None
    if within > LONGEST_DIGEST:
        table.mistake(f'digest_within is "{text}"; an hour is the most that anybody should wait')
    return DigestTerms(over, within) if over is not None else None


def _read_option(table: Table, key: str) -> Any:
    """The option's value, or None where it is missing or wrong."""
    if key.endswith("_env"):
        return read_environment_name(table, key)
    value = table.values.get(key)
    if value is None:
        return None
    items = value if isinstance(value, list) else [value]
    if items and all(isinstance(item, str) and item.strip() for item in items):
        return value
    table.wrong(key, value, "a text or a list of texts")
    return None
