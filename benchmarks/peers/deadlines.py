"""Deadlines in business hours as other libraries count them: New York, 9 to 12 and 13 to 18, weekdays, US holidays.

Each peer answers with a function of (instant, open hours). What a library cannot say is written with it.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from importlib.util import find_spec
from zoneinfo import ZoneInfo

Deadline = Callable[[datetime, int], object]

ZONE = ZoneInfo("America/New_York")
YEARS = range(2025, 2032)
MORNING, AFTERNOON = (time(9), time(12)), (time(13), time(18))
HOURS_A_DAY = 8


def missing(module: str, package: str) -> str:
    """What would have to be installed, "" where it is there."""
    return "" if find_spec(module) else f"pip install {package}"


def closed_days() -> frozenset[date]:
    """The holidays of the state of New York."""
    import holidays  # noqa: PLC0415 - its tables take a while to load

    return frozenset(holidays.country_holidays("US", subdiv="NY", years=YEARS))


def businesstimedelta() -> Deadline:
    """It walks from span to span. Its answer is exact."""
    import businesstimedelta as library  # noqa: PLC0415 - it may not be installed
    import pytz  # noqa: PLC0415

    zone = pytz.timezone(ZONE.key)
    days = [0, 1, 2, 3, 4]
    hours = library.WorkDayRule(start_time=MORNING[0], end_time=AFTERNOON[1], working_days=days, tz=zone)
    lunch = library.LunchTimeRule(start_time=MORNING[1], end_time=AFTERNOON[0], working_days=days, tz=zone)
    free = library.HolidayRule(dict.fromkeys(closed_days(), "closed"), tz=zone)
    rules = library.Rules([hours, lunch, free])
    return lambda at, span: at + library.BusinessTimeDelta(rules, hours=span)


def pandas() -> Deadline:
    """It steps from span to span on the local wall clock."""
    import pandas as pd  # noqa: PLC0415
    from pandas.tseries.offsets import CustomBusinessHour  # noqa: PLC0415

    start, end = ["09:00", "13:00"], ["12:00", "18:00"]
    closed = sorted(closed_days())
    hour = CustomBusinessHour(start=start, end=end, holidays=closed)

    def deadline(at: datetime, span: int) -> object:
        return pd.Timestamp(at).tz_convert(ZONE) + span * hour

    return deadline


def workalendar() -> Deadline:
    """It knows days and no hours: asked for as many working days as the span has, it answers a date."""
    from workalendar.usa import NewYork  # noqa: PLC0415

    calendar = NewYork()
    return lambda at, span: calendar.add_working_days(at.astimezone(ZONE).date(), max(span // HOURS_A_DAY, 1))


def business_duration() -> Callable[[datetime, datetime], object]:
    """It only measures: given the deadline it says how many hours lie between. No lunch break, no time zone."""
    from business_duration import businessDuration  # noqa: PLC0415

    closed = dict.fromkeys(closed_days(), "closed")

    def hours_between(start: datetime, end: datetime) -> object:
        local = [at.astimezone(ZONE).replace(tzinfo=None) for at in (start, end)]
        return businessDuration(local[0], local[1], MORNING[0], AFTERNOON[1], holidaylist=closed, unit="hour")

    return hours_between


def as_utc(answer: object) -> datetime | None:
    """An answer as an instant, None where it is a date or a number."""
    return answer.astimezone(UTC).replace(microsecond=0) if isinstance(answer, datetime) else None


#: For tests: the instant and the span of an example everybody can check by hand (a Friday at noon, three hours).
EXAMPLE = (datetime(2026, 11, 20, 12, tzinfo=ZONE), 3, datetime(2026, 11, 20, 16, tzinfo=ZONE))
