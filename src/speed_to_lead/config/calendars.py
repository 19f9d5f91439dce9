"""[calendars.NAME] of teams.toml → calendars: weekdays, spans, and holidays as dates."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import holidays

from speed_to_lead.config.mistakes import hint, quoted
from speed_to_lead.config.shapes import CALENDAR, HOLIDAYS
from speed_to_lead.config.table import Table, described
from speed_to_lead.core.calendar import Calendar, Span, parse_weekdays

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_HOURS = 'hours by weekday such as { mon-thu = ["09:00-12:00", "13:00-17:30"], fri = ["09:00-16:00"] }'
_DATE = 'a date such as "2026-12-24"'


def read_calendar(name: str, table: Table, now: datetime) -> Calendar | None:
    """The calendar of one table, or None where it could not be read; then the mistakes are noted."""
    table.refuse_keys_except(*CALENDAR)
    timezone = table.text("timezone", 'an IANA time zone such as "Europe/London"', required=True)
    if timezone is not None and not _is_zone(timezone, table):
        timezone = None
    hours = _read_hours(table)
    holidays_in = _read_holidays(table)
    if timezone is None or hours is None or holidays_in is None:
        return None
    calendar = Calendar(name, timezone, hours, holidays_in)
    if not calendar.opens_within_a_year(now):
        table.mistake(
            "it is never open in the coming year, so no deadline could be counted; give it more hours"
        )
        return None
    return calendar


def read_date(value: Any) -> date | None:
    """The day a TOML date or an ISO text means, or None."""
    if isinstance(value, datetime):
        return None
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None


def _is_zone(timezone: str, table: Table) -> bool:
    try:
        Calendar("", timezone, {})
    except ValueError as error:
        table.mistake(str(error))
        return False
    return True


def _read_hours(table: Table) -> Mapping[int, tuple[Span, ...]] | None:
    section = table.table("hours", _HOURS, required=True)
    if section is None:
        return None
    hours: dict[int, tuple[Span, ...]] = {}
    sound = True
    for days in section.values:
        spans = _read_spans(days, section)
        try:
            weekdays = parse_weekdays(days)
        except ValueError as error:
            section.mistake(str(error))
            sound = False
            continue
        sound = sound and spans is not None
        for weekday in weekdays:
            if weekday in hours:
                section.mistake(
                    f"{_DAYS[weekday]} is given twice, the second time in {quoted(days)}; give each day once"
                )
                sound = False
            hours[weekday] = spans or ()
    if not section.values:
        table.mistake(f"hours is empty; it takes {_HOURS}")
        return None
    return hours if sound else None


def _read_spans(days: str, section: Table) -> tuple[Span, ...] | None:
    texts = section.texts(days, 'spans such as ["09:00-12:00", "13:00-17:30"]')
    if texts is None:
        return None
    spans = []
    for text in texts:
        try:
            spans.append(Span.parse(text))
        except ValueError as error:
            section.mistake(f"{days}: {error}")
    return tuple(spans) if len(spans) == len(texts) else None


def _read_holidays(table: Table) -> Callable[[int], frozenset[date]] | None:
    """The function from a year to its closed days, or None where it could not be read."""
    if "holidays" not in table:
        return holidays_of(None, None, frozenset(), frozenset())
    section = table.table("holidays", 'a table such as { country = "US", subdivision = "NY" }')
    if section is None:
        return None
    section.refuse_keys_except(*HOLIDAYS)
    country = section.text("country", 'a country code such as "US"')
    subdivision = section.text("subdivision", 'a subdivision code such as "NY"')
    added, removed = _read_days(section, "add"), _read_days(section, "remove")
    if not _is_place(country, subdivision, section) or added is None or removed is None:
        return None
    return holidays_of(country, subdivision, added, removed)


def _is_place(country: str | None, subdivision: str | None, section: Table) -> bool:
    if ("country" in section and country is None) or ("subdivision" in section and subdivision is None):
        return False
    if country is None:
        if subdivision is not None:
            section.mistake('subdivision needs a country: write country = "US" beside it')
        return subdivision is None
    countries = holidays.list_supported_countries()
    if country not in countries:
        near = hint(country, countries, otherwise='expected a code such as "US"')
        section.mistake(f"country {quoted(country)} is unknown; {near}")
        return False
    if subdivision is not None and subdivision not in countries[country]:
        valid = countries[country]
        reason = hint(subdivision, valid) if valid else f"{country} has no subdivisions here, so leave it out"
        section.mistake(f"subdivision {quoted(subdivision)} of {country} is unknown; {reason}")
        return False
    return True


def _read_days(section: Table, key: str) -> frozenset[date] | None:
    raw = section.values.get(key, [])
    days = {described(value): read_date(value) for value in (raw if isinstance(raw, list) else [raw])}
    wrong = [text for text, day in days.items() if day is None]
    for text in wrong:
        section.mistake(f"{key}: {text} is no date; it takes {_DATE}")
    return None if wrong else frozenset(day for day in days.values() if day is not None)


def holidays_of(
    country: str | None, subdivision: str | None, added: frozenset[date], removed: frozenset[date]
) -> Callable[[int], frozenset[date]]:
    """A function from any year to its closed local days: the country's public holidays, plus and minus days."""

    @lru_cache(maxsize=256)
    def holidays_in(year: int) -> frozenset[date]:
        public = holidays.country_holidays(country, subdiv=subdivision, years=year) if country else ()
        return frozenset(day for day in {*public, *added} - removed if day.year == year)

    return holidays_in
