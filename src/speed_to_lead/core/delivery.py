"""What to do after one attempt to deliver an alert: done, try again at an instant, or give up and say who else hears it.

The schedule is in seconds because the SLA is in minutes. An `unknown` outcome (the request went out and no answer
came back) is tried again once at the most where the destination cannot recognise a repeat.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from speed_to_lead.core.wording import Detail

#: Seconds to wait after the 1st, 2nd, … failed attempt; the last one repeats. Ten attempts span four minutes.
BACKOFF_SECONDS = (1, 2, 4, 8, 15, 30, 60)
MAX_ATTEMPTS = 10
#: A destination may ask us to wait, but not for longer than this: the fallback hears of it first.
MAX_RETRY_AFTER = timedelta(minutes=2)


class Outcome(StrEnum):
    """What one attempt came to. Every exception and every status maps to one of these."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # for ever: trying again cannot help
    RATE_LIMITED = "rate_limited"  # later, perhaps at a time they named
    NOT_DELIVERED = "not_delivered"  # nothing arrived; trying again is safe
    UNKNOWN = "unknown"  # it may have arrived


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of one attempt. `detail` is safe to log and to show: no secrets, no personal data.

    `handle` is what the far side calls the message it took, so that it can be changed later; "" where it gives no name.
    """

    outcome: Outcome
    detail: str = ""
    retry_after: timedelta | None = None
    handle: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    """One destination of `alerts.toml`: where its kind sends, with secrets named by environment variable only.

    `options` are the kind's own keys, for example `{"url_env": "SLACK_SDR_URL"}`. `detail` is how much it is told of a person.
    """

    name: str
    type: str
    options: Mapping[str, Any] = field(default_factory=dict)
    detail: Detail = Detail.FULL


@dataclass(frozen=True, slots=True)
class Delivered:
    """Settled for good; the alert leaves the outbox."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Not settled; the next attempt is due at `at`. Retry time is data, never a timer."""

    at: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Never going to arrive here; `why` goes to the fallback destination and to the dead alerts."""

    why: str


def after_attempt(
    attempt: Attempt, now: datetime, *, attempts: int, unknown_attempts: int, recognises_repeats: bool
) -> Delivered | RetryAt | GiveUp:
    """What follows from one attempt. `attempts` and `unknown_attempts` count this one."""
    match attempt.outcome:
        case Outcome.DELIVERED:
            return Delivered()
        case Outcome.REFUSED:
            return GiveUp(attempt.detail)
        case Outcome.UNKNOWN if unknown_attempts > 1 and not recognises_repeats:
            return GiveUp(f"no answer twice, and a third try could double it: {attempt.detail}")
        case _:
            if attempts >= MAX_ATTEMPTS:
                return GiveUp(f"{attempts} attempts, the last: {attempt.detail}")
            return RetryAt(now + _wait(attempt, attempts))


def _wait(attempt: Attempt, attempts: int) -> timedelta:
    scheduled = timedelta(seconds=BACKOFF_SECONDS[min(attempts, len(BACKOFF_SECONDS)) - 1])
    if attempt.retry_after is None:
        return scheduled
    return min(max(attempt.retry_after, scheduled), MAX_RETRY_AFTER)


@dataclass(frozen=True, slots=True)
class KindOptions:
    """Which keys a kind of destination takes in `alerts.toml`. Keys ending in `_env` name environment variables.

    `ways` are sets of further keys of which exactly one is given, whole.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    ways: tuple[tuple[str, ...], ...] = ()

    @property
    def every(self) -> tuple[str, ...]:
        """All of its keys, each once."""
        return tuple(
            dict.fromkeys((*self.required, *(key for way in self.ways for key in way), *self.optional))
        )
