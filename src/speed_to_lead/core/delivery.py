"""What to do after one attempt to deliver an alert: done, try again at an instant, or give up and say who else hears it.

The schedule is in seconds because the SLA is in minutes. An `unknown` outcome (the request went out and no answer
came back) is tried again once at the most where the destination cannot recognise a repeat.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from speed_to_lead.core.assignment import Team
from speed_to_lead.core.calendar import Calendar
from speed_to_lead.core.lead import Alert, AlertKind
from speed_to_lead.core.storm import DigestTerms
from speed_to_lead.core.wording import Detail

#: Seconds to wait after the 1st, 2nd, … failed attempt; the last one repeats. Ten attempts span four minutes.
BACKOFF_SECONDS = (1, 2, 4, 8, 15, 30, 60)
MAX_ATTEMPTS = 10
#: A destination may ask us to wait, but not for longer than this: the fallback hears of it first.
MAX_RETRY_AFTER = timedelta(minutes=2)
#: A destination that refuses for ever is left alone for so long, then tried with one alert again: somebody may have
#: mended it. Vendors ban who goes on and on (Discord: 10,000 refusals in ten minutes).
DISABLED_FOR = timedelta(hours=1)


#: A destination that has taken nothing for so long is passed over: its alerts go to the fallback without a try, all but
#: one at a time, which finds out when it is back. Else a thousand alerts at one that hangs would wait for half an hour.
PATIENCE = timedelta(minutes=4)
#: And this long after its last failure it counts as well again.
TROUBLE_LASTS = timedelta(minutes=10)


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
    `is_gone`: the destination itself refuses, whatever the message (it was deleted, its secret revoked).
    `left_out`: of a destination that has several readers, those who did not get what was delivered, and why.
    """

    outcome: Outcome
    detail: str = ""
    retry_after: timedelta | None = None
    handle: str = ""
    is_gone: bool = False
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """A destination that failed at `since` and has taken nothing after it; it failed last at `last`.

    `rest_until`: it asked to be left alone.
    """

    since: datetime
    last: datetime
    rest_until: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Whether the last failure is so long ago that it says nothing any more."""
        return now - self.last >= TROUBLE_LASTS

    def rests(self, now: datetime) -> bool:
        """Whether nothing is to be sent to it now."""
        return self.rest_until is not None and now < self.rest_until

    def is_long(self, now: datetime) -> bool:
        """Whether those who wait for it have waited long enough."""
        return now - self.since >= PATIENCE

    def after(self, failure: "Trouble") -> "Trouble":
        """The same trouble, with a further failure."""
        rests = [until for until in (self.rest_until, failure.rest_until) if until is not None]
        return Trouble(self.since, failure.last, max(rests, default=None))


@dataclass(frozen=True, slots=True)
class Destination:
    """One destination of `alerts.toml`: where its kind sends, with secrets named by environment variable only.

    `digest`: from when on its alerts become one.
    While the calendar `quiet_outside` is closed it hears of breaches only, with `quiet_breaches` not even of those.
    `options` are the kind's own keys, for example `{"url_env": "SLACK_SDR_URL"}`. `detail` is how much it is told of a person.
    """

    name: str
    type: str
    options: Mapping[str, Any] = field(default_factory=dict)
    detail: Detail = Detail.FULL
    quiet_outside: Calendar | None = None
    quiet_breaches: bool = False
    digest: DigestTerms | None = None

    def quiet_until(self, kind: AlertKind, now: datetime) -> datetime | None:
        """When an alert of that kind may be sent that may not be now; None where it may.

        Nothing about a breach or about the system waits, unless it is written out for breaches; nor does what calls nobody.
        """
        if self.quiet_outside is None or not kind.calls_somebody or self.quiet_outside.is_open(now):
            return None
        if kind is AlertKind.BREACHED and not self.quiet_breaches:
            return None
        return self.quiet_outside.next_open(now)


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


def told_of_disabled(
    destination: str, teams: Iterable[Team], fallback_destination: str, why: str, now: datetime
) -> tuple[Alert, ...]:
    """Who hears that a destination takes nothing any more: the fallback, and the managers of teams whose reps hear by it."""
    concerned = [team for team in teams if any(rep.notify == destination for rep in team.reps)]
    told = dict.fromkeys((fallback_destination, *(team.manager for team in concerned)))
    reps = [rep.name for team in concerned for rep in team.reps if rep.notify == destination]
    whose = f" By it hear: {', '.join(dict.fromkeys(reps))}." if reps else ""
    note = (
        f"{destination} refuses for ever ({why}), so nothing is sent there for an hour; teams' managers and {fallback_destination} "
        f"are told instead.{whose} Mend it, try it (speed-to-lead alerts test {destination}), then: speed-to-lead alerts "
        "redrive --all-dead"
    )
    step = f"{destination}.disabled.{int(now.timestamp())}"
    return tuple(
        Alert("system", step, name, AlertKind.DESTINATION_DISABLED, now, note=note)
        for name in told
        if name != destination
    )


@dataclass(frozen=True, slots=True)
class KindOptions:
    """Which keys a kind of destination takes in `alerts.toml`. Keys ending in `_env` name environment variables.

    `ways` are sets of further keys of which exactly one is given, whole. `has_incidents`: each lead is an incident there,
    which ends with it, so several cannot be one.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    ways: tuple[tuple[str, ...], ...] = ()
    has_incidents: bool = False

    @property
    def every(self) -> tuple[str, ...]:
        """All of its keys, each once."""
        return tuple(
            dict.fromkeys((*self.required, *(key for way in self.ways for key in way), *self.optional))
        )
