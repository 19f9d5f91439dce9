"""Instants: aware datetimes inside, UTC milliseconds in Redis, ISO 8601 with `Z` on the outside."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def to_ms(instant: datetime) -> int:
    """UTC milliseconds since 1970, rounded down; exact integer arithmetic, never a float."""
    return (instant - EPOCH) // MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """The aware UTC datetime of so many milliseconds since 1970."""
    return EPOCH + timedelta(0, 0, 0, milliseconds)  # by its place: by its name it takes thrice as long


def to_iso(instant: datetime) -> str:
    """ISO 8601 in UTC ending in `Z`; milliseconds only where there are any."""
    utc = (instant if instant.tzinfo is UTC else instant.astimezone(UTC)).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='milliseconds' if utc.microsecond >= 1000 else 'seconds')}Z"


def from_iso(text: str) -> datetime:
    """The aware UTC datetime of an ISO 8601 text.

    Raises ValueError where the text is no date-time or names no offset: a time without one could mean any
    of two dozen instants, and guessing would move a deadline.
    """
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not an ISO 8601 date-time such as 2026-11-22T09:30:00Z") from None
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; end it in Z or in one such as +01:00")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is outside the years 1 to 9999 in UTC") from None
