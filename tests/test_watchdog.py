"""The watchdog: who has been silent for too long, and that somebody hears of it once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from tests.core.builders import rulebook
from tests.servers import ManualClock

from speed_to_lead import watchdog
from speed_to_lead.config import Configuration
from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.core.message import Message
from speed_to_lead.store.contract import Health, StoreUnavailable
from speed_to_lead.store.memory import MemoryStore
from speed_to_lead.watchdog import LOOK_EVERY, silent_stages, watch
from speed_to_lead.workplace import Workplace

ALL = frozenset({"router", "clock", "courier"})


@pytest.mark.parametrize(
    ("heartbeats", "watched_for", "expected"),
    [
        ({}, 0, set()),
        ({}, 15, set()),
        ({}, 15.1, ALL),
        ({"router@a:1": 1, "clock@a:2": 1, "courier@a:3": 1}, 100, set()),
        ({"router@a:1": 15, "clock@a:2": 1, "courier@a:3": 1}, 100, set()),
        ({"router@a:1": 15.1, "clock@a:2": 1, "courier@a:3": 1}, 100, {"router"}),
        ({"router@a:1": 99, "router@b:9": 1, "clock@a:2": 1, "courier@a:3": 1}, 100, set()),
        ({"router@a:1": 3600, "clock@a:2": 3600, "courier@a:3": 3600}, 2, set()),
        ({"router@a:1": 1, "clock@a:2": 1}, 16, {"courier"}),
        ({"router@a:1": 1, "clock@a:2": 1, "courier@a:3": 1, "watchdog@a:4": 99}, 100, set()),
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

    def send(self, message: Message, now: datetime) -> Attempt:
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

        watch(self.place, wait, seconds_now)
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
