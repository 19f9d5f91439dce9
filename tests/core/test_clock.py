"""Instants: exact milliseconds, ISO 8601 with Z."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speed_to_lead.core.clock import EPOCH, from_iso, from_ms, to_iso, to_ms

INSTANTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])).filter(
    lambda instant: datetime(2, 1, 1, tzinfo=UTC) < instant
)
LAST_MS = to_ms(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))


@given(st.integers(to_ms(datetime(1, 1, 1, tzinfo=UTC)), LAST_MS))
def test_milliseconds_come_back(milliseconds: int) -> None:
    """Every millisecond of every year is kept exactly, there and back, as number and as text."""
    assert milliseconds == to_ms(from_ms(milliseconds))
    assert from_ms(milliseconds) == from_iso(to_iso(from_ms(milliseconds)))


@given(INSTANTS)
def test_rounding_is_down(instant: datetime) -> None:
    """An instant is kept to the millisecond, rounded down, before 1970 as after it."""
    assert timedelta() <= instant - from_ms(to_ms(instant)) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        (EPOCH, "1970-01-01T00:00:00Z"),
        (datetime(2026, 11, 22, 9, 30, 0, 5000, tzinfo=UTC), "2026-11-22T09:30:00.005Z"),
        (datetime(2026, 11, 22, 9, 30, 0, 999, tzinfo=UTC), "2026-11-22T09:30:00Z"),
        (datetime(2026, 11, 22, 9, 30, tzinfo=timezone(timedelta(hours=1))), "2026-11-22T08:30:00Z"),
    ],
)
def test_to_iso(instant: datetime, expected: str) -> None:
    """Instants are written in UTC with Z, with milliseconds only where there are any."""
    assert expected == to_iso(instant)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" 2026-11-22T09:30:00Z ", datetime(2026, 11, 22, 9, 30, tzinfo=UTC)),
        ("2026-11-22T09:30:00+01:00", datetime(2026, 11, 22, 8, 30, tzinfo=UTC)),
    ],
)
def test_from_iso(text: str, expected: datetime) -> None:
    """Any offset is understood and the answer is in UTC."""
    assert (expected, UTC) == (from_iso(text), from_iso(text).tzinfo)


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-11-22", "2026-11-22T09:30:00", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1700000000"],
)  # fmt: skip
def test_from_iso_refuses(text: str) -> None:
    """What is no instant, or could be one of many, is refused."""
    with pytest.raises(ValueError, match=r"is not an ISO|has no offset|outside the years"):
        from_iso(text)
