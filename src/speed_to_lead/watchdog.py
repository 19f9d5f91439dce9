"""Is anybody still working, and is anything late or put aside? A process of its own, without Celery.

What watches must not share a failure with what it watches.

- `what_to_tell` decides, from what one look found and what was told before; pure
- `watch` looks, and tells the fallback destination at once: not through the outbox, whose courier may be what is gone
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import structlog

from speed_to_lead import flow
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.delivery import BACKOFF_SECONDS, MAX_RETRY_AFTER, Attempt, Outcome
from speed_to_lead.core.lead import Alert, AlertKind
from speed_to_lead.core.message import compose_system
from speed_to_lead.store import Health, StoreUnavailable
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

#: The stages that must always have somebody at work. The beat has no pulse of its own: it shows in the others'.
STAGES = ("router", "clock", "courier", "auditor")
#: Stages that count once somebody was seen at work there: a deployment may do without them.
STAGES_ONCE_SEEN = ("web",)
STORE = "store"
#: Ticks come each second; three of them lost is a restart, this much is a failure.
SILENT_AFTER = 15.0
LOOK_EVERY = 2.0
#: How long the oldest thing may be past its time, in seconds. An alert that is tried again is not past its time.
LATE_AFTER = {"queue": 30.0, "patient": 900.0, "due": 30.0, "outbox": 120.0}
#: An incident is over when it has been quiet for so long; until then it is the same one, and was told.
QUIET = timedelta(minutes=1)
#: What could not be delivered is tried at least this often; where it may have arrived twice already, less.
RETRY_AT_LEAST_EVERY = 30.0
DOUBTFUL_RETRY_EVERY = 300.0


# --- deciding --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Facts:
    """What one look found; no `health` while the store is away.

    `watched_for` are the seconds since everybody could begin to work (the watchdog's start, the store's return),
    `away_for` those since the store last answered.
    """

    health: Health | None
    watched_for: float = 0.0
    away_for: float = 0.0


@dataclass(frozen=True, slots=True)
class News:
    """One thing to tell about one subject: since when, and how many where there are several."""

    kind: AlertKind
    subject: str
    since: datetime
    count: int = 0
    note: str = ""

    def after_untold(self, earlier: "News") -> "News":
        """This news, where the one before it about the same subject never arrived: it tells of both."""
        if self.kind is AlertKind.NEEDS_ATTENTION:
            return replace(self, since=earlier.since, count=earlier.count + self.count)
        if earlier.kind in _NOTE_OF_UNTOLD:
            return replace(self, note=_NOTE_OF_UNTOLD[earlier.kind].format(_clock_time(earlier.since)))
        return self


@dataclass(frozen=True, slots=True)
class Told:
    """What the looks so far found and told.

    `seen` are the stages that count since somebody was at work there, `silent` those told of as silent. `late` and
    `grown` hold the incidents told of and not over, with the instant of the last look that found them going on.
    `counts` are those of the last look, at `counted_at`.
    """

    seen: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    late: Mapping[str, datetime] = field(default_factory=dict)
    grown: Mapping[str, datetime] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    counted_at: datetime | None = None


def what_to_tell(facts: Facts, told: Told, now: datetime) -> tuple[list[News], Told]:
    """What is to be told now, and what has been told then: each incident once, and its end once."""
    news, told = _silence(facts, told, now)
    if facts.health is None:
        return news, told
    lateness, told = _lateness(facts.health, facts.watched_for, told, now)
    growth, told = _growth(facts.health, told, now)
    return [*news, *lateness, *growth], told


def silent_stages(
    heartbeats: Mapping[str, float], watched_for: float, stages: Iterable[str] = STAGES
) -> set[str]:
    """Stages none of whose processes gave a sign of life within SILENT_AFTER seconds.

    `heartbeats` are seconds since the last sign by `stage@host:pid`. A stage that was never heard of counts only
    after the watchdog has watched for as long: at a start everybody is still getting up.
    """
    youngest: dict[str, float] = {}
    for process, age in heartbeats.items():
        stage = process.partition("@")[0]
        youngest[stage] = min(age, youngest.get(stage, age))
    return {stage for stage in stages if min(youngest.get(stage, watched_for), watched_for) > SILENT_AFTER}


def _silence(facts: Facts, told: Told, now: datetime) -> tuple[list[News], Told]:
    """Who stopped, who is back. While the store is away nobody can give a sign of life, so nobody is accused."""
    seen = told.seen
    if facts.health is None:
        silent = told.silent - {STORE}
        if facts.away_for > SILENT_AFTER:
            silent |= {STORE}
    else:
        heartbeats = facts.health.heartbeats
        seen |= {process.partition("@")[0] for process in heartbeats} & set(STAGES_ONCE_SEEN)
        stages = (*STAGES, *seen)
        # One told of is silent until it gives a sign, also where its last one is forgotten by now.
        still_silent = told.silent & silent_stages(heartbeats, float("inf"), stages)
        silent = still_silent | silent_stages(heartbeats, facts.watched_for, stages)
    since = now - timedelta(seconds=SILENT_AFTER)
    news = [News(AlertKind.STAGE_SILENT, stage, since) for stage in sorted(silent - told.silent)]
    news += [News(AlertKind.STAGE_BACK, stage, now) for stage in sorted(told.silent - silent)]
    return news, replace(told, seen=seen, silent=silent)


def _lateness(health: Health, watched_for: float, told: Told, now: datetime) -> tuple[list[News], Told]:
    """What fell behind, what caught up. After a start or an outage everybody has as long again to catch up."""
    waiting = {
        "queue": (health.queued, health.queued_oldest),
        "patient": (health.patient, health.patient_oldest),
        "due": (health.due, health.due_oldest),
        "outbox": (health.outbox_due, health.outbox_oldest),
    }
    news, late = [], dict(told.late)
    for subject, (count, oldest) in waiting.items():
        is_late = count > 0 and oldest > LATE_AFTER[subject]
        if subject in late:
            if is_late:
                late[subject] = now
            elif now - late[subject] >= QUIET:
                del late[subject]
                news.append(News(AlertKind.STAGE_IN_TIME, subject, now))
        elif is_late and watched_for > LATE_AFTER[subject]:
            late[subject] = now
            since = now - timedelta(seconds=oldest)
            news.append(News(AlertKind.STAGE_LATE, subject, since, count))
    return news, replace(told, late=late)


def _growth(health: Health, told: Told, now: datetime) -> tuple[list[News], Told]:
    """What was put aside since the last look; the first look only counts."""
    counts = {
        "dead_letters": health.dead_letters,
        "dead_alerts": health.dead_alerts,
        "quarantined": health.quarantined,
    }
    grown = {subject: last for subject, last in told.grown.items() if now - last < QUIET}
    news = []
    for subject, count in counts.items():
        more = count - told.counts.get(subject, count)
        if more > 0:
            if subject not in grown:
                since = told.counted_at or now
                news.append(News(AlertKind.NEEDS_ATTENTION, subject, since, more, note=_ONCE))
            grown[subject] = now
    return news, replace(told, grown=grown, counts=counts, counted_at=now)


# --- wording ---------------------------------------------------------------------------------------------------

_ONCE = "Further ones are not told one by one: you hear again of those that come after a minute without any."
_NOTE_OF_UNTOLD = {
    AlertKind.STAGE_SILENT: "It had been silent since {}; that could not be told.",
    AlertKind.STAGE_LATE: "They had been late since {}; that could not be told.",
}
_WHO = {STORE: "The server that keeps the leads", "web": "The web process"}
_LATE = {
    "queue": ("submission waits to be routed", "submissions wait to be routed"),
    "patient": (
        "submission that was put off in a flood waits to be routed",
        "submissions that were put off in a flood wait to be routed",
    ),
    "due": ("lead is due for a step of its ladder", "leads are due for a step of their ladder"),
    "outbox": ("alert waits to be delivered", "alerts wait to be delivered"),
}
_IN_TIME = {
    "queue": "Submissions are routed in time again",
    "patient": "What was put off in a flood is routed in time again",
    "due": "Deadlines are watched in time again",
    "outbox": "Alerts are delivered in time again",
}
#: For one, for more, and the command that shows them.
_ASIDE = {
    "dead_letters": (
        "submission could not be read",
        "submissions could not be read",
        "speed-to-lead dead-letters list",
    ),
    "dead_alerts": ("alert was given up", "alerts were given up", "speed-to-lead alerts list --dead"),
    "quarantined": (
        "lead cannot be worked on and was put aside",
        "leads cannot be worked on and were put aside",
        "speed-to-lead doctor",
    ),
}


def headline_of(news: News) -> str:
    """The news in one sentence. It may be sent late, so it tells instants where it can."""
    subject, is_one = news.subject, news.count == 1
    match news.kind:
        case AlertKind.STAGE_SILENT:
            return f"{_WHO.get(subject, f'The {subject}')} has been silent for {SILENT_AFTER:.0f} s"
        case AlertKind.STAGE_BACK:
            return f"{_WHO.get(subject, f'The {subject}')} is working again"
        case AlertKind.STAGE_LATE:
            what = _LATE[subject][0 if is_one else 1]
            oldest = f"{'' if is_one else 'the oldest '}since {_clock_time(news.since)}"
            return f"{news.count:,} {what}, {oldest}; `speed-to-lead status` shows more"
        case AlertKind.STAGE_IN_TIME:
            return _IN_TIME[subject]
        case _:
            one, many, command = _ASIDE[subject]
            what, shown = (one, "it") if is_one else (many, "them")
            return f"{news.count:,} {what} since {_clock_time(news.since)}; `{command}` shows {shown}"


def _clock_time(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%H:%M} UTC"


# --- looking and telling ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Untold:
    """News on its way, and when it is tried next, in seconds of the watchdog's own clock."""

    news: News
    alert: Alert
    next_at: float


def _utc_now() -> datetime:
    """This machine's clock: the server's may be what is away."""
    return datetime.now(UTC)


@dataclass
class Pulse:
    """The sign of life for somebody outside, `every` so many seconds while all is well; `ping` gives it."""

    ping: Callable[[datetime], Attempt]
    every: float
    next_at: float = 0.0
    is_well: bool = True

    def beat(self, well: bool, seconds: float, now: datetime) -> None:
        """Give it where it is due and all is well. A change is said once, not with every look."""
        if well is not self.is_well:
            self.is_well = well
            log.warning("deadman.goes_on" if well else "deadman.withheld")
        if not well or seconds < self.next_at:
            return
        self.next_at = seconds + self.every
        attempt = self.ping(now)
        if attempt.outcome is not Outcome.DELIVERED:
            self.next_at = seconds + min(self.every, RETRY_AT_LEAST_EVERY)
            log.warning("deadman.not_heard", outcome=attempt.outcome.value, detail=attempt.detail)


def problems_of(health: Health) -> list[str]:
    """What is not well, a sentence each, as one look alone can say it: for a probe that looks now and then."""
    heartbeats = health.heartbeats
    heard_of = {process.partition("@")[0] for process in heartbeats}
    seen = heard_of & set(STAGES_ONCE_SEEN)
    now = health.now
    silent = sorted(silent_stages(heartbeats, float("inf"), (*STAGES, *sorted(seen))))
    late, _ = _lateness(health, float("inf"), Told(), now)
    return [
        headline_of(News(AlertKind.STAGE_SILENT, stage, now))
        if stage in heard_of
        else f"The {stage} has never given a sign of life"
        for stage in silent
    ] + [headline_of(news) for news in late]


def watch(
    place: Workplace,
    wait: Callable[[float], bool],
    seconds_now: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = _utc_now,
    pulse: Pulse | None = None,
) -> None:
    """Look every LOOK_EVERY seconds until `wait` answers true (somebody asked to stop).

    While the store is away nobody can give a sign of life; afterwards everybody has SILENT_AFTER seconds again.
    What was not delivered is tried again under the same key until it arrives, or until newer news takes its place.
    """
    watching_since = answered_at = seconds_now()
    told = Told()
    untold: dict[str, _Untold] = {}
    while not wait(LOOK_EVERY):
        try:
            place.keep_up()
            flow.beat(place, "watchdog")
            health = place.store.operations.health()
            answered_at = seconds_now()
            facts = Facts(health, answered_at - watching_since)
        except StoreUnavailable as error:
            log.warning("store.away", error=str(error))
            watching_since = seconds_now()
            facts = Facts(None, away_for=watching_since - answered_at)
        news, told = what_to_tell(facts, told, now())
        for one in news:
            _enter(untold, one, place.fallback_destination, seconds_now(), now())
        _tell(place, untold, seconds_now, now)
        if pulse is not None:
            pulse.beat(_all_is_well(facts, told, untold), seconds_now(), now())


def _all_is_well(facts: Facts, told: Told, untold: Mapping[str, object]) -> bool:
    """Whether everybody works, in time, and nothing waits to be told; at a start, once everybody had their time.

    What could not be told is the very case in which somebody outside must call for help.
    """
    is_known = facts.health is not None and facts.watched_for > SILENT_AFTER
    return is_known and not (told.silent or told.late or untold)


def _enter(untold: dict[str, _Untold], news: News, destination: str, seconds: float, now: datetime) -> None:
    """Put the news among what is to be told, in the place of older news about the same."""
    earlier = untold.pop(news.subject, None)
    if earlier is not None:
        news = news.after_untold(earlier.news)
    word = news.kind.value.removeprefix("system.").removeprefix("stage_")
    step = f"{news.subject}.{word}.{int(now.timestamp())}"
    alert = Alert("system", step, destination, news.kind, now, note=news.note)
    untold[news.subject] = _Untold(news, alert, seconds)
    tell = log.warning if news.kind in (AlertKind.STAGE_BACK, AlertKind.STAGE_IN_TIME) else log.error
    tell(news.kind.value, stage=news.subject, since=to_iso(news.since), count=news.count)


def _tell(
    place: Workplace,
    untold: dict[str, _Untold],
    seconds_now: Callable[[], float],
    now: Callable[[], datetime],
) -> None:
    """Send what is due. All of it goes to one destination, so after a failure the rest waits for the next look."""
    for subject, one in list(untold.items()):
        if one.next_at > seconds_now():
            continue
        channel = place.channel(one.alert.destination)
        try:
            attempt = channel.send(compose_system(one.alert, headline_of(one.news)), now())
        except Exception as error:  # noqa: BLE001 - a watchdog that dies of one alert tells no other
            attempt = Attempt(Outcome.UNKNOWN, f"{type(error).__name__} while sending it")
        log.info("alert.attempt", alert=one.alert.key, outcome=attempt.outcome.value, detail=attempt.detail)
        if attempt.outcome in (Outcome.DELIVERED, Outcome.REFUSED):
            del untold[subject]
            continue
        unknown = one.alert.unknown_attempts + (attempt.outcome is Outcome.UNKNOWN)
        tried = replace(one.alert, attempts=one.alert.attempts + 1, unknown_attempts=unknown)
        is_doubtful = unknown > 1 and not channel.recognises_repeats
        pause = _pause(attempt, tried.attempts, is_doubtful=is_doubtful)
        untold[subject] = _Untold(one.news, tried, seconds_now() + pause)
        return


def _pause(attempt: Attempt, attempts: int, *, is_doubtful: bool) -> float:
    """Seconds until the next attempt; without end, because nobody else will tell."""
    scheduled = min(BACKOFF_SECONDS[min(attempts, len(BACKOFF_SECONDS)) - 1], RETRY_AT_LEAST_EVERY)
    if is_doubtful:  # each further one may be a double that the reader cannot tell from news
        scheduled = DOUBTFUL_RETRY_EVERY
    asked = min(attempt.retry_after or timedelta(0), MAX_RETRY_AFTER).total_seconds()
    return max(scheduled, asked)


def run(place: Workplace, pulse: Pulse | None = None) -> None:
    """Watch until SIGTERM or SIGINT."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    log.info("watchdog.started", pid=os.getpid(), stages=[*STAGES, *STAGES_ONCE_SEEN])
    watch(place, stopping.wait, pulse=pulse)
    log.info("watchdog.stopped")
