"""The watchdog: who has been silent for too long, and that somebody hears of it once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.core.builders import rulebook
from tests.servers import ManualClock

from speed_to_lead import watchdog
from speed_to_lead.config import Configuration
from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.core.message import Message
from speed_to_lead.store.contract import Health, StoreUnavailable
from speed_to_lead.store.memory import MemoryStore
from speed_to_lead.watchdog import (
    LOOK_EVERY,
    RETRY_AT_LEAST_EVERY,
    STORE,
    Facts,
    News,
    Pulse,
    Told,
    headline_of,
    problems_of,
    silent_stages,
    watch,
    what_to_tell,
)
from speed_to_lead.workplace import Workplace

ALL = frozenset({"router", "clock", "courier", "auditor"})


@pytest.mark.parametrize(
    ("heartbeats", "watched_for", "expected"),
    [
        ({}, 0, set()),
        ({}, 15, set()),
        ({}, 15.1, ALL),
        ({"router@a:1": 1, "clock@a:2": 1, "courier@a:3": 1, "auditor@a:2": 1}, 100, set()),
        ({"router@a:1": 15, "clock@a:2": 1, "courier@a:3": 1, "auditor@a:2": 1}, 100, set()),
        ({"router@a:1": 15.1, "clock@a:2": 1, "courier@a:3": 1, "auditor@a:2": 1}, 100, {"router"}),
        ({"router@a:1": 99, "router@b:9": 1, "clock@a:2": 1, "courier@a:3": 1, "auditor@a:2": 1}, 100, set()),
        ({"router@a:1": 3600, "clock@a:2": 3600, "courier@a:3": 3600, "auditor@a:2": 3600}, 2, set()),
        ({"router@a:1": 1, "clock@a:2": 1, "auditor@a:2": 1}, 16, {"courier"}),
        (
            {"router@a:1": 1, "clock@a:2": 1, "courier@a:3": 1, "watchdog@a:4": 99, "auditor@a:2": 1},
            100,
            set(),
        ),
    ],
)
def test_silent_stages(heartbeats: Mapping[str, float], watched_for: float, expected: set[str]) -> None:
    """A stage is silent when its youngest process is, and when the watchdog has watched for as long."""
    assert expected == silent_stages(heartbeats, watched_for)


@dataclass
class Watched:
    """A store with its stages on a clock, one fallback destination, and a wait that lets time pass."""

    clock: ManualClock
    store: MemoryStore
    working: set[str] = field(default_factory=lambda: set(ALL))
    is_away: bool = False
    heard: list[Message] = field(default_factory=list)
    answers: list[Attempt] = field(default_factory=list)
    recognises_repeats: bool = True
    changed: dict[str, Any] = field(default_factory=dict)
    outage: Attempt | Exception | None = None
    tries: list[datetime] = field(default_factory=list)
    pulse: Pulse | None = None

    def send(self, message: Message, now: datetime) -> Attempt:
        self.tries.append(self.clock.now)
        if isinstance(self.outage, Exception):
            raise self.outage
        if self.outage is not None:
            return self.outage
        self.heard.append(message)
        return self.answers.pop(0) if self.answers else Attempt(Outcome.DELIVERED)

    @property
    def place(self) -> Workplace:
        return Workplace(_Reachable(self), Configuration(rulebook(), {}, {}), self.channel, "console")  # type: ignore[arg-type]

    def channel(self, name: str) -> "Watched":
        assert name == "console"
        return self

    def watch(self, script: Iterator[None]) -> list[str]:
        """Watch until the script ends, and what was heard; each of its steps is one look."""

        def wait(seconds: float) -> bool:
            self.clock.advance(timedelta(seconds=seconds))
            for stage in self.working:
                self.store.operations.beat(f"{stage}@host:1", self.clock.now)
            return next(script, "over") == "over"

        def seconds_now() -> float:
            return self.clock.now.timestamp()

        watch(self.place, wait, seconds_now, self.clock, self.pulse)
        return [message.headline for message in self.heard]


class _Reachable:
    """The store, unless it is away."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self.operations = self

    def __getattr__(self, name: str) -> object:
        if self._watched.is_away:
            raise StoreUnavailable("ConnectionError")
        if name == "now":
            return self._watched.store.now
        return getattr(self._watched.store.operations, name)

    def health(self) -> Health:
        if self._watched.is_away:
            raise StoreUnavailable("ConnectionError")
        health = self._watched.store.operations.health()
        return replace(
            health,
            heartbeats={n: age for n, age in health.heartbeats.items() if not n.startswith("watchdog")},
            **self._watched.changed,
        )


@pytest.fixture
def watched(clock: ManualClock, memory_store: MemoryStore) -> Watched:
    """Everybody at work."""
    return Watched(clock, memory_store)


def looks(seconds: float) -> range:
    """The looks within so many seconds."""
    return range(int(seconds / LOOK_EVERY))


def test_while_everybody_works_nobody_hears_anything(watched: Watched) -> None:
    """Silence means that all is well."""

    def script() -> Iterator[None]:
        for _ in looks(120):
            yield

    assert watched.watch(script()) == []


def test_a_silent_stage_is_told_of_once_and_again_when_it_is_back(watched: Watched) -> None:
    """One alert when it stops, one when it works again, however long it took."""

    def script() -> Iterator[None]:
        yield
        watched.working.remove("clock")
        for _ in looks(14):
            yield
        assert watched.heard == []
        for _ in looks(100):
            yield
        watched.working.add("clock")
        for _ in looks(20):
            yield

    assert watched.watch(script()) == ["The clock has been silent for 15 s", "The clock is working again"]
    assert [message.kind for message in watched.heard] == ["system.stage_silent", "system.stage_back"]
    assert len({message.key for message in watched.heard}) == 2


def test_a_stage_that_never_came_is_told_of(watched: Watched) -> None:
    """A process somebody forgot to start is as silent as one that died."""
    watched.working.remove("courier")

    def script() -> Iterator[None]:
        for _ in looks(30):
            yield

    assert watched.watch(script()) == ["The courier has been silent for 15 s"]


def test_a_store_that_is_away_is_told_of_and_its_return_accuses_nobody(watched: Watched) -> None:
    """While it is away nobody can beat: afterwards everybody has time to."""

    def script() -> Iterator[None]:
        for _ in looks(20):
            yield
        watched.is_away, working = True, watched.working
        watched.working = set()
        for _ in looks(60):
            yield
        watched.is_away = False
        for _ in looks(10):  # they need a while to reconnect
            yield
        watched.working = working
        for _ in looks(30):
            yield

    assert watched.watch(script()) == [
        "The server that keeps the leads has been silent for 15 s",
        "The server that keeps the leads is working again",
    ]


def test_a_stage_that_does_not_come_back_with_the_store_is_told_of(watched: Watched) -> None:
    """After an outage a stage has SILENT_AFTER seconds, and no more."""

    def script() -> Iterator[None]:
        for _ in looks(20):
            yield
        watched.is_away = True
        watched.working.remove("router")
        for _ in looks(6):
            yield
        watched.is_away = False
        for _ in looks(30):
            yield

    assert watched.watch(script()) == ["The router has been silent for 15 s"]


def test_a_short_absence_of_the_store_is_no_news(watched: Watched) -> None:
    """A restart of the server takes seconds."""

    def script() -> Iterator[None]:
        for _ in looks(20):
            yield
        watched.is_away = True
        for _ in looks(10):
            yield
        watched.is_away = False
        for _ in looks(30):
            yield

    assert watched.watch(script()) == []


def test_what_could_not_be_told_is_told_again_under_the_same_key(watched: Watched) -> None:
    """No alert is lost here either, where no outbox keeps it."""
    watched.working.remove("clock")
    watched.answers = [Attempt(Outcome.NOT_DELIVERED), Attempt(Outcome.UNKNOWN), Attempt(Outcome.DELIVERED)]

    def script() -> Iterator[None]:
        for _ in looks(60):
            yield

    watched.watch(script())

    assert (len(watched.heard), len({message.key for message in watched.heard})) == (3, 1)
    assert [message.possible_repeat for message in watched.heard] == [False, False, True]


def test_a_destination_that_refuses_is_not_asked_again(watched: Watched) -> None:
    """Trying again cannot help; the log has it."""
    watched.working.remove("clock")
    watched.answers = [Attempt(Outcome.REFUSED)]

    def script() -> Iterator[None]:
        for _ in looks(60):
            yield

    watched.watch(script())

    assert len(watched.heard) == 1


def test_the_watched_stages_are_those_that_beat() -> None:
    """The names here are the names `worker/tasks.py` beats under."""
    assert set(watchdog.STAGES) == ALL


# --- the decision ----------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 23, 10, 2, 30, tzinfo=UTC)
BEATS = dict.fromkeys(("router@a:1", "clock@a:2", "courier@a:3", "auditor@a:2"), 1.0)


def ago(seconds: float) -> datetime:
    """So many seconds before NOW."""
    return NOW - timedelta(seconds=seconds)


def found(watched_for: float = 1000, **health: Any) -> Facts:
    """One look at a system in which everybody works."""
    return Facts(Health(NOW, **({"heartbeats": BEATS} | health)), watched_for)


COUNTED = Told(counts={"dead_letters": 4, "dead_alerts": 0, "quarantined": 0}, counted_at=ago(2))
ASIDE = {"dead_letters": 4}


@pytest.mark.parametrize(
    ("facts", "told", "expected"),
    [
        (found(), Told(), []),
        # who is silent
        (found(heartbeats={}), Told(), ["silent auditor", "silent clock", "silent courier", "silent router"]),
        (found(heartbeats={}, watched_for=15), Told(), []),
        (found(heartbeats={}), Told(silent=ALL), []),
        (found(), Told(silent=frozenset({"clock"})), ["back clock"]),
        (found(heartbeats={}, watched_for=0), Told(silent=ALL), []),
        # the web process, where there is one
        (found(heartbeats=BEATS | {"web@a:4": 15.1}), Told(), ["silent web"]),
        (found(heartbeats=BEATS | {"web@a:4": 99, "web@b:5": 2}), Told(), []),
        (found(heartbeats=BEATS | {"web@a:4": 99}, watched_for=15), Told(), []),
        (found(), Told(seen=frozenset({"web"})), ["silent web"]),
        (found(), Told(seen=frozenset({"web"}), silent=frozenset({"web"})), []),
        (found(heartbeats=BEATS | {"demo@a:9": 99, "watchdog@a:8": 99}), Told(), []),
        # the store
        (Facts(None, away_for=15), Told(), []),
        (Facts(None, away_for=15.1), Told(), ["silent store"]),
        (Facts(None, away_for=99), Told(silent=frozenset({STORE, "clock"})), []),
        (found(watched_for=0), Told(silent=frozenset({STORE})), ["back store"]),
        # what is late
        (found(queued=2, queued_oldest=30), Told(), []),
        (found(queued=2, queued_oldest=30.1), Told(), ["late queue"]),
        (found(due=1, due_oldest=30.1), Told(), ["late due"]),
        (found(outbox_due=1, outbox_oldest=120), Told(), []),
        (found(outbox_due=1, outbox_oldest=120.1), Told(), ["late outbox"]),
        (found(queued=2, queued_oldest=900, watched_for=30), Told(), []),
        (found(queued=2, queued_oldest=900), Told(late={"queue": ago(2)}), []),
        (found(queued=2, queued_oldest=900, watched_for=0), Told(late={"queue": ago(900)}), []),
        (found(), Told(late={"queue": ago(59.9)}), []),
        (found(), Told(late={"queue": ago(60)}), ["in_time queue"]),
        (Facts(None, away_for=1), Told(late={"queue": ago(900)}), []),
        # what was put aside
        (found(dead_letters=7, dead_alerts=2, quarantined=1), Told(), []),
        (found(**ASIDE), COUNTED, []),
        (found(dead_letters=3), COUNTED, []),
        (found(dead_letters=7), COUNTED, ["needs_attention dead_letters"]),
        (found(dead_alerts=1, **ASIDE), COUNTED, ["needs_attention dead_alerts"]),
        (found(quarantined=1, **ASIDE), COUNTED, ["needs_attention quarantined"]),
        (found(dead_letters=7), replace(COUNTED, grown={"dead_letters": ago(59.9)}), []),
        (
            found(dead_letters=7),
            replace(COUNTED, grown={"dead_letters": ago(60)}),
            ["needs_attention dead_letters"],
        ),
        (
            found(dead_letters=7),
            replace(COUNTED, grown={"dead_alerts": ago(1)}),
            ["needs_attention dead_letters"],
        ),
    ],
)
def test_what_to_tell(facts: Facts, told: Told, expected: list[str]) -> None:
    """Each incident once, its end once, and nothing at all where nothing is wrong or it was told."""
    news, after = what_to_tell(facts, told, NOW)
    word = {one: one.value.removeprefix("system.").removeprefix("stage_") for one in AlertKind}

    assert expected == [f"{word[one.kind]} {one.subject}" for one in news]
    again, _ = what_to_tell(facts, after, NOW)
    assert again == []


@pytest.mark.parametrize(
    ("news", "expected"),
    [
        (News(AlertKind.STAGE_SILENT, "clock", NOW), "The clock has been silent for 15 s"),
        (News(AlertKind.STAGE_BACK, "web", NOW), "The web process is working again"),
        (
            News(AlertKind.STAGE_LATE, "queue", NOW, 1200),
            "1,200 submissions wait to be routed, the oldest since 10:02 UTC; `speed-to-lead status` shows more",
        ),
        (
            News(AlertKind.STAGE_LATE, "due", NOW, 1),
            "1 lead is due for a step of its ladder, since 10:02 UTC; `speed-to-lead status` shows more",
        ),
        (News(AlertKind.STAGE_IN_TIME, "outbox", NOW), "Alerts are delivered in time again"),
        (
            News(AlertKind.NEEDS_ATTENTION, "dead_letters", NOW, 3),
            "3 submissions could not be read since 10:02 UTC; `speed-to-lead dead-letters list` shows them",
        ),
        (
            News(AlertKind.NEEDS_ATTENTION, "dead_alerts", NOW, 1),
            "1 alert was given up since 10:02 UTC; `speed-to-lead alerts list --dead` shows it",
        ),
        (
            News(AlertKind.NEEDS_ATTENTION, "quarantined", NOW, 2),
            "2 leads cannot be worked on and were put aside since 10:02 UTC; `speed-to-lead doctor` shows them",
        ),
    ],
)
def test_headline(news: News, expected: str) -> None:
    """What it is, since when, and the command that shows more."""
    assert expected == headline_of(news)


def test_growth_is_counted_from_the_look_before() -> None:
    """How many came, and since when none of them was there."""
    [news], _ = what_to_tell(found(dead_letters=7), COUNTED, NOW)

    assert (3, ago(2)) == (news.count, news.since)


def test_untold_growth_is_told_with_the_next() -> None:
    """No incident is forgotten because nobody could be told of it in time."""
    earlier = News(AlertKind.NEEDS_ATTENTION, "dead_letters", ago(300), 2)
    later = News(AlertKind.NEEDS_ATTENTION, "dead_letters", NOW, 3).after_untold(earlier)

    assert (5, ago(300)) == (later.count, later.since)


# --- telling it ------------------------------------------------------------------------------------------------


def test_a_web_process_that_stops_is_told_of(watched: Watched) -> None:
    """It counts once it was seen; with it gone, form tools are not answered."""

    def script() -> Iterator[None]:
        for _ in looks(20):
            yield
        watched.working.add("web")
        yield
        watched.working.remove("web")
        for _ in looks(60):
            yield
        watched.working.add("web")
        for _ in looks(20):
            yield

    assert watched.watch(script()) == [
        "The web process has been silent for 15 s",
        "The web process is working again",
    ]


def test_many_dead_letters_are_one_alert_until_a_minute_was_quiet(watched: Watched) -> None:
    """One alert for an incident, not one for each item."""
    watched.changed["dead_letters"] = 0

    def script() -> Iterator[None]:
        yield
        for _ in looks(600):
            watched.changed["dead_letters"] += 3
            yield
        for _ in looks(70):
            yield
        watched.changed["dead_letters"] += 1
        for _ in looks(300):
            yield

    first, second = watched.watch(script())

    assert first.startswith("3 submissions could not be read since 09:00 UTC; ")
    assert second.startswith("1 submission could not be read since 09:11 UTC; ")
    assert {message.kind for message in watched.heard} == {"system.needs_attention"}
    assert "minute" in watched.heard[0].note


def test_a_queue_that_falls_behind_is_told_of_and_when_it_caught_up(watched: Watched) -> None:
    """Once each, also where it swings around the limit meanwhile."""

    def script() -> Iterator[None]:
        for _ in looks(60):
            yield
        for number in looks(600):
            watched.changed |= {"queued": 5, "queued_oldest": 29.0 if number % 2 else 40.0}
            yield
        watched.changed |= {"queued": 0, "queued_oldest": 0.0}
        for _ in looks(120):
            yield

    headlines = watched.watch(script())

    assert len(headlines) == 2
    assert headlines[0].startswith("5 submissions wait to be routed, the oldest since 09:00 UTC")
    assert headlines[1] == "Submissions are routed in time again"
    assert [message.kind for message in watched.heard] == ["system.stage_late", "system.stage_in_time"]


@pytest.mark.parametrize(
    "outage", [Attempt(Outcome.NOT_DELIVERED), Attempt(Outcome.RATE_LIMITED), ValueError("x")]
)
def test_an_alert_is_tried_until_it_is_delivered(watched: Watched, outage: Attempt | Exception) -> None:
    """Ten minutes without a way to the destination: told then, and it was tried twice a minute at the least."""
    watched.working.remove("clock")
    watched.outage = outage

    def script() -> Iterator[None]:
        for _ in looks(600):
            yield
        watched.outage = None
        for _ in looks(60):
            yield

    assert watched.watch(script()) == ["The clock has been silent for 15 s"]
    gaps = [(b - a).total_seconds() for a, b in zip(watched.tries, watched.tries[1:], strict=False)]
    assert RETRY_AT_LEAST_EVERY <= max(gaps) <= RETRY_AT_LEAST_EVERY + LOOK_EVERY
    assert len(watched.tries) < 40


def test_an_alert_that_may_have_arrived_twice_is_tried_less_often(watched: Watched) -> None:
    """Where the destination cannot recognise a repeat, each one may be a double."""
    watched.working.remove("clock")
    watched.outage, watched.recognises_repeats = Attempt(Outcome.UNKNOWN), False

    def script() -> Iterator[None]:
        for _ in looks(660):
            yield

    watched.watch(script())

    assert len(watched.tries) == 4


def test_a_stage_that_is_back_before_anybody_could_be_told_is_told_of_once(watched: Watched) -> None:
    """Nobody hears afterwards that it is silent, but that it was."""
    watched.outage = Attempt(Outcome.NOT_DELIVERED)

    def script() -> Iterator[None]:
        for _ in looks(60):
            yield
        watched.working.remove("clock")
        for _ in looks(600):
            yield
        watched.working.add("clock")
        for _ in looks(60):
            yield
        watched.outage = None
        for _ in looks(60):
            yield

    assert watched.watch(script()) == ["The clock is working again"]
    assert watched.heard[0].note == "It had been silent since 09:01 UTC; that could not be told."


def test_a_destination_that_hangs_is_asked_once_in_a_look(watched: Watched) -> None:
    """Several alerts do not each wait for the same timeout: the looks must go on."""
    watched.working.clear()
    watched.outage = Attempt(Outcome.UNKNOWN)

    def script() -> Iterator[None]:
        for _ in looks(60):
            yield
        watched.outage = None
        for _ in looks(60):
            yield

    assert len(watched.watch(script())) == len(ALL)
    assert len(set(watched.tries[:10])) == 10


# --- somebody outside ------------------------------------------------------------------------------------------


@dataclass
class Outside:
    """A dead-man's switch that notes each sign of life, and answers as it is told to."""

    clock: ManualClock
    heard: list[float] = field(default_factory=list)
    answer: Attempt = field(default_factory=lambda: Attempt(Outcome.DELIVERED))

    def ping(self, now: datetime) -> Attempt:
        self.heard.append(now.timestamp())
        return self.answer

    def since(self, start: datetime) -> list[float]:
        """Seconds from `start` of each sign of life."""
        return [at - start.timestamp() for at in self.heard]


@pytest.fixture
def outside(watched: Watched) -> Outside:
    """Hears of this watchdog once a minute."""
    listening = Outside(watched.clock)
    watched.pulse = Pulse(listening.ping, 60.0)
    return listening


def test_a_sign_of_life_is_given_each_minute_while_all_is_well(watched: Watched, outside: Outside) -> None:
    """The first when everybody had their time to begin; then one a minute."""
    start = watched.clock.now

    def script() -> Iterator[None]:
        for _ in looks(200):
            yield

    watched.watch(script())
    assert outside.since(start) == [16.0, 76.0, 136.0, 196.0]


@pytest.mark.parametrize("trouble", ["silent", "away", "late", "untold"])
def test_no_sign_of_life_while_anything_is_not_well(watched: Watched, outside: Outside, trouble: str) -> None:
    """A silent stage, a store that is away, work that is late, news nobody could be told: somebody outside must call."""
    start = watched.clock.now

    def script() -> Iterator[None]:
        for _ in looks(30):
            yield
        match trouble:
            case "silent":
                watched.working.remove("router")
            case "away":
                watched.is_away = True
            case "late":
                watched.changed = {"queued": 3, "queued_oldest": 99.0}
            case _:
                watched.outage = Attempt(Outcome.NOT_DELIVERED)
                watched.changed = {"dead_letters": 3}
        for _ in looks(300):
            yield
        watched.working, watched.is_away, watched.changed, watched.outage = set(ALL), False, {}, None
        for _ in looks(150):
            yield

    watched.watch(script())
    quiet = [seconds for seconds in outside.since(start) if 45 < seconds < 330]
    assert [] == quiet
    assert outside.since(start)[0] == 16.0
    assert outside.since(start)[-1] > 330


def test_a_sign_of_life_that_was_not_heard_is_given_again_soon(watched: Watched, outside: Outside) -> None:
    """Half a minute later, not a minute: one lost packet is no outage."""
    start = watched.clock.now
    outside.answer = Attempt(Outcome.NOT_DELIVERED, "no connection")

    def script() -> Iterator[None]:
        for _ in looks(50):
            yield

    watched.watch(script())
    assert outside.since(start) == [16.0, 46.0]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"heartbeats": {}}, [f"The {stage} has never given a sign of life" for stage in sorted(ALL)]),
        ({"heartbeats": BEATS | {"router@a:1": 60.0}}, ["The router has been silent for 15 s"]),
        ({"heartbeats": BEATS | {"web@a:9": 60.0}}, ["The web process has been silent for 15 s"]),
        (
            {"queued": 3, "queued_oldest": 60.0},
            [
                "3 submissions wait to be routed, the oldest since 10:01 UTC; `speed-to-lead status` shows more"
            ],
        ),
        ({"queued": 3, "queued_oldest": 1.0}, []),
    ],
)
def test_problems_of(changed: Mapping[str, Any], expected: list[str]) -> None:
    """One look alone tells what is silent and what is late."""
    found_now: dict[str, Any] = {"heartbeats": BEATS, **changed}
    health = replace(Health(NOW), **found_now)
    assert expected == problems_of(health)
