"""How one process follows the published config: it looks, loads beside its work, switches between batches, refuses loudly."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.core.builders import rulebook

from speed_to_lead import publication
from speed_to_lead.config import Configuration
from speed_to_lead.publication import Follower, Unusable, Usable
from speed_to_lead.store import ConfigVersion, StoreUnavailable
from speed_to_lead.store.contract import RunningConfig
from speed_to_lead.store.memory import MemoryStore
from speed_to_lead.workplace import Workplace

AT = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading is over at once, however busy the machine; tests that are about patience set their own."""
    monkeypatch.setattr(publication, "PATIENCE", 30.0)


def no_channel(_: str) -> Any:
    """Nobody is told anything here."""
    raise AssertionError


def config_named(name: str) -> Configuration:
    """A config that can be told from others by its digest."""
    return Configuration(replace(rulebook(), digest=name), {}, {})


@dataclass
class Process:
    """A process on a store in memory. `refuses`: contents it cannot use; `opened` clears while loading must wait."""

    store: MemoryStore
    refuses: set[str] = field(default_factory=set)
    opened: threading.Event = field(default_factory=threading.Event)
    loads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.opened.set()
        self.follower = Follower(self.store.configs, self.load, "host:1")
        begun = self.follower.first()
        config = begun.config if begun else config_named("directory")
        self.place = Workplace(self.store, config, no_channel, follower=self.follower)

    def load(self, texts: Mapping[str, bytes], running: Configuration | None) -> Usable:
        del running
        name = texts["name"].decode()
        self.loads.append(name)
        assert self.opened.wait(60)
        if name in self.refuses:
            raise Unusable(f"{name} is beyond me")
        if name == "bug":
            raise KeyError(name)
        return Usable(config_named(name), no_channel)

    def keep_up(self, *, wait: bool = False) -> str:
        """What it works with after a look."""
        self.place.keep_up(wait=wait)
        return self.place.config.rulebook.digest

    @property
    def said(self) -> RunningConfig | None:
        return self.store.configs.running(["host:1"]).get("host:1")


def publish(store: MemoryStore, *names: str) -> None:
    """Publish these contents, one after another."""
    for name in names:
        live = store.configs.current()
        version = ConfigVersion((live.number if live else 0) + 1, name, "ana", AT)
        store.configs.publish(version, {"name": name.encode()})


def test_before_anything_is_published_the_directory_counts(memory_store: MemoryStore) -> None:
    """And the process says so."""
    process = Process(memory_store)
    assert process.keep_up() == "directory"
    assert process.said == RunningConfig(0, "directory")


def test_the_next_look_takes_what_was_published(memory_store: MemoryStore) -> None:
    """At the next batch, every version in turn; each is loaded once."""
    process = Process(memory_store)
    publish(memory_store, "a")
    assert [process.keep_up(), process.keep_up()] == ["a", "a"]
    publish(memory_store, "b", "c")
    assert process.keep_up() == "c"
    assert (process.loads, process.said) == (["a", "c"], RunningConfig(3, "c"))


def test_a_process_begins_with_what_is_live(memory_store: MemoryStore) -> None:
    """No directory is needed, and nothing is loaded twice."""
    publish(memory_store, "a", "b")
    process = Process(memory_store)
    assert process.keep_up() == "b"
    assert process.loads == ["b"]


def test_a_version_that_cannot_be_used_is_refused_loudly(memory_store: MemoryStore) -> None:
    """The process goes on with what it has, says why, tries it once, and takes the next good one."""
    publish(memory_store, "a")
    process = Process(memory_store, {"b"})
    publish(memory_store, "b")
    with capture_logs() as logged:
        assert [process.keep_up() for _ in range(3)] == ["a"] * 3
    assert [(line["event"], line["version"], line["keeps"]) for line in logged] == [("config.refused", 2, 1)]
    assert process.loads == ["a", "b"]
    assert process.said == RunningConfig(1, "a", 2, "b is beyond me")
    publish(memory_store, "c")
    assert (process.keep_up(), process.said) == ("c", RunningConfig(3, "c"))


def test_it_goes_on_saying_what_it_refuses(
    memory_store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that is read an hour later still says it."""
    publish(memory_store, "a")
    process = Process(memory_store, {"b"})
    publish(memory_store, "b")
    monkeypatch.setattr(publication, "COMPLAIN_AGAIN_SECONDS", 0.0)
    with capture_logs() as logged:
        for _ in range(3):
            process.keep_up()
    assert len(logged) == 3


def test_a_loader_with_a_bug_stops_nobody(memory_store: MemoryStore) -> None:
    """What nobody foresaw is a refusal too."""
    process = Process(memory_store)
    publish(memory_store, "bug")
    assert process.keep_up() == "directory"
    assert process.said is not None
    assert process.said.why.startswith("KeyError while loading it")


def test_a_start_that_cannot_use_the_live_version_takes_the_newest_it_can(memory_store: MemoryStore) -> None:
    """An older release that is brought back works, and says that it does not follow."""
    publish(memory_store, "a", "b", "c")
    process = Process(memory_store, {"b", "c"})
    assert process.keep_up() == "a"
    assert process.said == RunningConfig(1, "a", 3, "c is beyond me")
    assert process.loads == ["c", "b", "a"]


def test_a_start_that_can_use_none_says_why(memory_store: MemoryStore) -> None:
    """No directory stands in for what is published: it would be other rules."""
    publish(memory_store, "a", "b")
    with pytest.raises(Unusable, match="version 2 of the config, which is live, cannot be used here: b is"):
        Process(memory_store, {"a", "b"})


def test_loading_does_not_hold_up_the_work(
    memory_store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch waits for PATIENCE once, and those after it not at all, until it is loaded."""
    monkeypatch.setattr(publication, "PATIENCE", 0.05)
    process = Process(memory_store)
    process.keep_up()
    process.opened.clear()
    publish(memory_store, "a")
    assert process.keep_up() == "directory"
    monkeypatch.setattr(publication, "PATIENCE", 60.0)  # one more wait is seen, however busy the machine
    began = time.monotonic()
    assert [process.keep_up() for _ in range(20)] == ["directory"] * 20
    assert time.monotonic() - began < 5
    process.opened.set()
    assert process.keep_up(wait=True) == "a"
    assert process.loads == ["a"]


def test_a_newer_version_that_comes_while_one_loads_wins(
    memory_store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was overtaken while it was loaded is never worked with."""
    monkeypatch.setattr(publication, "PATIENCE", 0.01)
    process = Process(memory_store)
    process.keep_up()
    process.opened.clear()
    publish(memory_store, "a")
    process.keep_up()
    publish(memory_store, "b")
    process.keep_up()
    process.opened.set()
    assert process.keep_up(wait=True) == "b"


def test_whoever_waits_waits_for_the_whole_of_it(memory_store: MemoryStore) -> None:
    """Two threads of a courier that meet an unknown name both have the new config when they go on."""
    process = Process(memory_store)
    process.keep_up()
    process.opened.clear()
    publish(memory_store, "a")
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(process.keep_up(wait=True))) for _ in range(4)]
    for thread in threads:
        thread.start()
    process.opened.set()
    for thread in threads:
        thread.join(10)
    assert (seen, process.loads) == (["a"] * 4, ["a"])


@dataclass
class Flaky:
    """Published configs of a server that is away while `away`."""

    within: Any
    away: bool = True

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            if self.away:
                raise StoreUnavailable("ConnectionError")
            return getattr(self.within, name)(*arguments)

        return call


def test_a_process_older_than_its_server_decides_nothing_by_its_directory(
    memory_store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first look that is answered waits, however long loading takes: the directory does not count."""
    monkeypatch.setattr(publication, "PATIENCE", 0.0)
    publish(memory_store, "a")
    process = Process(memory_store)
    flaky = Flaky(memory_store.configs)
    late = Follower(flaky, slow(process.load), "host:2")
    place = Workplace(memory_store, config_named("directory"), no_channel, follower=late)
    with pytest.raises(StoreUnavailable):
        late.first()
    with pytest.raises(StoreUnavailable):
        place.keep_up()
    flaky.away = False
    place.keep_up()
    assert place.config.rulebook.digest == "a"


def slow(load: publication.Load) -> publication.Load:
    """The same, in its time."""

    def loaded(texts: Mapping[str, bytes], running: Configuration | None) -> Usable:
        time.sleep(0.05)
        return load(texts, running)

    return loaded


def test_a_server_that_is_away_while_it_loads_is_asked_again(memory_store: MemoryStore) -> None:
    """It is no refusal."""
    process = Process(memory_store)
    process.keep_up()
    publish(memory_store, "a")
    texts, failures = memory_store.configs.texts, [StoreUnavailable("x")]

    def once_away(digest: str) -> dict[str, bytes] | None:
        if failures:
            raise failures.pop()
        return texts(digest)

    process.follower.configs.texts = once_away  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        process.keep_up()
    assert (process.keep_up(), process.said) == ("a", RunningConfig(1, "a"))


@pytest.mark.parametrize("lost", [lambda state: state.config_versions.clear()])
def test_a_server_that_lost_its_versions_changes_nothing(
    memory_store: MemoryStore, lost: Callable[[Any], None]
) -> None:
    """Nothing published means nothing new: not that the directory counts again in the middle of work."""
    publish(memory_store, "a")
    process = Process(memory_store)
    lost(memory_store.configs._state)
    assert process.keep_up() == "a"


def test_a_damaged_line_is_told_and_stops_nobody(memory_store: MemoryStore) -> None:
    """What somebody wrote into the list by hand is no version."""
    publish(memory_store, "a")
    process = Process(memory_store)
    memory_store.configs._state.config_versions.append(b"by hand")
    with capture_logs() as logged:
        assert process.keep_up() == "a"
    assert [line["event"] for line in logged] == ["config.refused"]
