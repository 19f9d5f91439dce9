"""Calendars as config writes them: hours by weekday, and holidays as dates of any year."""

from datetime import UTC, date, datetime, timedelta

import pytest
from tests.config.builders import NOW, ConfigDirectory

from speed_to_lead.config.calendars import holidays_of

NONE: frozenset[date] = frozenset()


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (datetime(2026, 11, 23, 9, 0, tzinfo=UTC), True),  # a Monday
        (datetime(2026, 11, 23, 12, 30, tzinfo=UTC), False),  # between two spans
        (datetime(2026, 11, 27, 15, 59, tzinfo=UTC), True),  # Friday's only span, written without a list
        (datetime(2026, 11, 27, 16, 0, tzinfo=UTC), False),
        (datetime(2026, 11, 28, 10, 0, tzinfo=UTC), False),  # a Saturday, not named
        (datetime(2026, 12, 24, 10, 0, tzinfo=UTC), False),  # added
        (datetime(2026, 12, 25, 10, 0, tzinfo=UTC), False),  # Christmas Day
        (datetime(2026, 12, 28, 10, 0, tzinfo=UTC), True),  # Boxing Day observed, removed
        (datetime(2031, 4, 14, 10, 0, tzinfo=UTC), False),  # Easter Monday five years on
    ],
)
def test_hours_and_holidays_open_and_close_the_calendar(
    config: ConfigDirectory, at: datetime, expected: bool
) -> None:
    """Public holidays close it, `add` closes more days, `remove` opens some again."""
    assert expected == config.load().rulebook.calendars["london"].is_open(at)


def test_holidays_are_of_the_year_asked_for() -> None:
    """A New Year's Day on a Saturday is kept on the Friday before, which is a day of the old year."""
    of_united_states = holidays_of("US", None, NONE, NONE)
    assert date(2027, 12, 31) in of_united_states(2027)
    assert {day.year for day in of_united_states(2028)} == {2028}


def test_subdivisions_have_holidays_of_their_own() -> None:
    """Saint Andrew's Day closes Scotland and not England."""
    closed = [date(2026, 11, 30) in holidays_of("GB", part, NONE, NONE)(2026) for part in ("SCT", "ENG")]
    assert closed == [True, False]


def test_days_can_be_closed_without_a_country() -> None:
    """`add` alone is a calendar of a company's own holidays."""
    closed_in = holidays_of(None, None, frozenset((date(2026, 7, 1),)), NONE)
    assert (frozenset((date(2026, 7, 1),)), NONE) == (closed_in(2026), closed_in(2027))


def test_a_calendar_that_holidays_close_for_a_year_is_refused(config: ConfigDirectory) -> None:
    """It opens on Saturdays, and every Saturday of the coming year is a holiday."""
    saturdays = [NOW.date() + timedelta(days=6 + 7 * week) for week in range(54)]
    added = ", ".join(day.isoformat() for day in saturdays)
    config.replace("teams.toml", "{ mon-sun = ", "{ sat = ")
    assert config.mistakes() == []
    config.replace("teams.toml", "[teams.inbound]", f"holidays = {{ add = [{added}] }}\n[teams.inbound]")
    assert config.mistakes() == [
        (
            "teams.toml: calendars.always: it is never open in the coming year, so no deadline could be counted; "
            "give it more hours"
        )
    ]
