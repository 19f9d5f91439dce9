"""The world of the chaos run: the same seed breaks the same things, the network fails as told, every fault is undone."""

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import redis
from benchmarks.chaos import faults
from benchmarks.chaos.clock import Clock, build, can_step
from benchmarks.chaos.faults import CLOCK_FAULTS, FAULTS, World
from benchmarks.chaos.fleet import CREW, Fleet, Member, procfile
from benchmarks.chaos.journal import Journal, events
from benchmarks.chaos.plan import Blow, make_plan
from benchmarks.chaos.proxy import Link, Proxy
from benchmarks.chaos.server import Server

NEVER = threading.Event()


# --- plan ------------------------------------------------------------------------------------------------------


def test_the_same_seed_draws_the_same_plan_and_another_seed_another() -> None:
    """What went wrong once can be made to go wrong again."""
    assert make_plan(7, 300, FAULTS) == make_plan(7, 300, FAULTS)
    assert make_plan(7, 300, FAULTS) != make_plan(8, 300, FAULTS)


@pytest.mark.parametrize("seed", range(20))
def test_every_blow_ends_with_the_run_and_those_of_one_group_never_meet(seed: int) -> None:
    """Two things done to the server at once would undo each other."""
    plan = make_plan(seed, 120, FAULTS)

    assert [blow for blow in plan if blow.at + blow.seconds > 120.001] == []
    for group in {fault.group for fault in FAULTS.values()} - {""}:
        own = [blow for blow in plan if FAULTS[blow.fault].group == group]
        assert all(one.at + one.seconds <= other.at for one, other in pairwise(own))


def test_five_minutes_meet_every_kind_of_fault() -> None:
    """Whatever the seed."""
    for seed in range(20):
        assert set(FAULTS) == {blow.fault for blow in make_plan(seed, 300, FAULTS)}


def test_the_crew_is_everybody_in_the_procfile_but_the_release() -> None:
    """A process added to the Procfile joins the chaos, or this fails."""
    assert set(procfile()) == set(CREW)


# --- proxy -----------------------------------------------------------------------------------------------------


class Echo:
    """Answers every line with itself."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1000):
                    self.heard.append(data)
                    connection.sendall(data)
            except OSError:
                return


@pytest.fixture
def echo() -> Iterator[Echo]:
    """Somebody behind the proxy."""
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy without links."""
    proxy = Proxy()
    yield proxy
    proxy.close()


def call(link: Link) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", link.port), 5)
    connection.settimeout(5)
    return connection


def says(connection: socket.socket, word: bytes) -> bytes:
    connection.sendall(word)
    return connection.recv(1000)


def test_a_link_carries_what_is_said(proxy: Proxy, echo: Echo) -> None:
    """Untouched, it is not there."""
    with call(proxy.open("one", echo.port)) as connection:
        assert says(connection, b"hello") == b"hello"


def test_a_cut_resets_what_is_open_and_refuses_what_is_new(proxy: Proxy, echo: Echo) -> None:
    """Both ends learn of it."""
    link = proxy.open("one", echo.port)
    with call(link) as connection:
        assert says(connection, b"hello") == b"hello"
        link.is_cut = True
        proxy.do(link.cut())
        with pytest.raises(ConnectionResetError):
            says(connection, b"hello?")
    with pytest.raises(ConnectionResetError), call(link) as connection:  # at once, or when it first listens
        connection.recv(10)
    link.is_cut = False
    with call(link) as connection:
        assert says(connection, b"again") == b"again"


def test_a_slow_link_delays_both_ways(proxy: Proxy, echo: Echo) -> None:
    """And arrives in the end."""
    link = proxy.open("one", echo.port)
    link.delay = 0.15
    with call(link) as connection:
        began = time.monotonic()
        assert says(connection, b"hello") == b"hello"
        assert time.monotonic() - began > 0.29


def test_a_silent_link_holds_everything_and_then_lets_it_through(proxy: Proxy, echo: Echo) -> None:
    """As a network that was away: nothing is lost, all of it is late."""
    link = proxy.open("one", echo.port)
    with call(link) as connection:
        assert says(connection, b"hello") == b"hello"
        link.is_silent = True
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            says(connection, b"late")
        assert echo.heard == [b"hello"]
        connection.settimeout(20)
        link.is_silent = False
        assert connection.recv(10) == b"late"


def test_a_half_open_connection_stays_so_and_a_new_one_works(proxy: Proxy, echo: Echo) -> None:
    """Nobody is told that it is dead."""
    link = proxy.open("one", echo.port)
    with call(link) as old, call(link) as new_before:
        assert says(old, b"hello") == b"hello"
        assert says(new_before, b"you too") == b"you too"
        proxy.do(link.forget())
        old.settimeout(0.3)
        with pytest.raises(TimeoutError):
            says(old, b"anybody?")
        with call(link) as new:
            assert says(new, b"hello") == b"hello"


def test_a_lost_answer_means_that_the_request_arrived(proxy: Proxy, echo: Echo) -> None:
    """The most dangerous one: it was done, and nobody knows."""
    link = proxy.open("one", echo.port)
    link.loses_answers = 1.0
    with call(link) as connection:
        assert _heard_before_the_end(connection, b"do it") in (b"", b"d", b"do", b"do ", b"do i")
    assert [b"do it"] == echo.heard


def _heard_before_the_end(connection: socket.socket, word: bytes) -> bytes:
    heard = b""
    connection.sendall(word)
    try:
        while data := connection.recv(1000):
            heard += data
    except ConnectionResetError:
        return heard
    raise AssertionError("an orderly end, where a reset was to come")


def test_a_front_spreads_connections_and_passes_by_what_is_down(proxy: Proxy, echo: Echo) -> None:
    """Two webs on two ports look like one."""
    gone = socket.create_server(("127.0.0.1", 0))
    closed_port = gone.getsockname()[1]
    gone.close()
    link = proxy.open("front", echo.port, closed_port)
    for word in (b"one", b"two", b"three"):
        with call(link) as connection:
            assert says(connection, word) == word


# --- the platform ----------------------------------------------------------------------------------------------


class Silent:
    """Destinations that nobody asks."""

    trouble = False


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A real server and proxy, and a fleet of one router that nobody started."""
    directory = tmp_path_factory.mktemp("world")
    library = build(directory) if can_step() else None
    clock = Clock(directory / "server-clock", library) if library else None
    hosts = Clock(directory / "hosts-clock", library) if library else None
    journal = Journal(directory / "journal.jsonl")
    server = Server(directory / "valkey", clock.environment if clock else None)
    server.start()
    proxy = Proxy()
    fleet = Fleet(journal, directory)

    def add(name: str, stage: str) -> Member:
        proxy.open(name, server.port)
        return fleet.add(name, stage, {})

    add("router-1", "router")
    yield World(journal, server, proxy, fleet, add, Silent(), clock, hosts)
    proxy.close()
    server.stop()
    journal.close()


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(FAULTS))
def test_every_fault_is_undone(world: World, name: str) -> None:
    """Afterwards the server stores what it is given, on the true clock, through a network that is whole."""
    if name in CLOCK_FAULTS and not can_step():
        pytest.skip("no compiler to build the stepping clock with")
    world.server.command("ZADD", faults.DUE, 1, "lead")
    blow = Blow(0, name, "server" if "server" in FAULTS[name].targets else FAULTS[name].targets[-1], 0.3, 0.9)

    faults.strike(world, blow, NEVER)

    assert world.broken == []
    assert [event["phase"] for event in events(world.journal.path) if event.get("name") == name] == [
        "begin",
        "end",
    ]
    assert world.server.command("SET", name, "kept")
    assert {b"appendfsync": b"always"} == world.server.command("CONFIG", "GET", "appendfsync")
    seconds, _ = world.server.command("TIME")
    assert abs(seconds - time.time()) < 2
    assert set(world.proxy.links) == {"router-1"}
    with redis.Redis.from_url(world.server.url(world.proxy.links["router-1"].port), retry=None) as client:
        assert client.get(name) == b"kept"
    world.server.kill()
    world.server.start()
    assert world.server.command("GET", name) == b"kept"


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("server-out-of-memory", "maxmemory"),
        ("server-read-only", "read only"),
        ("server-disk-errors", "MISCONF|Errors writing"),
        ("server-disk-full", "closed|refused|reset"),
        ("server-killed", "closed|refused|reset"),
        ("server-loading", "loading"),
        ("server-frozen", "Timeout"),
    ],
)
def test_a_server_in_trouble_refuses_writes(world: World, name: str, refusal: str) -> None:
    """Each in its own words: the fault does what its name says."""
    heard: list[str] = []
    over = threading.Event()
    # Enough commands that loading them takes a while, and that it looks up meanwhile: it does so every 1024 of them.
    with world.server.client() as client:
        pipe = client.pipeline(transaction=False)
        for number in range(10_000):
            pipe.set("x", "y" * 100 + str(number))
        pipe.execute()
    striking = threading.Thread(target=faults.strike, args=(world, Blow(0, name, "server", 2.5, 0.0), over))
    striking.start()
    limit = time.monotonic() + 10
    while striking.is_alive() and time.monotonic() < limit:
        try:
            with world.server.client() as client:
                client.connection_pool.connection_kwargs["socket_timeout"] = 0.5
                client.execute_command("SET", "y", "z" * 200)
        except redis.RedisError as error:
            heard.append(f"{type(error).__name__}: {error}")
        time.sleep(0.02)
    striking.join()

    assert world.broken == []
    assert any(word in one for one in heard for word in refusal.split("|")), set(heard)


@pytest.mark.real
def test_what_ends_is_started_again_and_an_end_nobody_asked_for_is_noted(tmp_path: Path) -> None:
    """As a platform does, one second later; the report hears of it."""
    journal = Journal(tmp_path / "journal.jsonl")
    fleet = Fleet(journal, tmp_path)
    fleet._commands = {"sleeper": "python -c 'import time; time.sleep(60)'"}
    sleeper = fleet.add("sleeper-1", "sleeper", {})
    fleet.start()
    try:
        _wait_until(lambda: sleeper.lives == 1)
        faults.kill(_world_of(fleet, journal), Blow(0, "kill", "sleeper", 0, 0), NEVER)
        _wait_until(lambda: sleeper.lives == 2 and sleeper.process is not None)
        assert fleet.surprises == []
        assert sleeper.process is not None
        subprocess.run(["kill", "-9", str(sleeper.process.pid)], check=True)
        _wait_until(lambda: sleeper.lives == 3)
        assert len(fleet.surprises) == 1
        assert fleet.surprises[0].startswith("sleeper-1 ended by itself with exit code -9")
    finally:
        fleet.stop()
        journal.close()
    assert not sleeper.is_running


@pytest.mark.real
def test_whoever_is_frozen_is_not_accused_of_not_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the one that was asked and then frozen, nor the successor of one that ended in time."""
    monkeypatch.setattr("benchmarks.chaos.fleet.GRACE", 1.0)
    monkeypatch.setattr("benchmarks.chaos.fleet.BACK_OFF", 0.1)
    journal = Journal(tmp_path / "journal.jsonl")
    fleet = Fleet(journal, tmp_path)
    fleet._commands = {"sleeper": "python -c 'import time; time.sleep(60)'"}
    sleeper = fleet.add("sleeper-1", "sleeper", {})
    fleet.start()
    try:
        _wait_until(lambda: sleeper.lives == 1)
        sleeper.signal(signal.SIGTERM)
        _wait_until(lambda: sleeper.lives == 2)
        sleeper.signal(signal.SIGSTOP)
        NEVER.wait(2)  # well over the grace of its predecessor
        sleeper.signal(signal.SIGTERM)
        NEVER.wait(2)
        assert ([], 2, True) == (fleet.surprises, sleeper.lives, sleeper.is_running)
        sleeper.signal(signal.SIGCONT)
        _wait_until(lambda: sleeper.lives == 3)
        assert fleet.surprises == []
    finally:
        fleet.stop()
        journal.close()


@pytest.mark.real
def test_one_that_was_asked_and_does_not_end_is_killed_and_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a platform does; the note names the process."""
    monkeypatch.setattr("benchmarks.chaos.fleet.GRACE", 1.0)
    journal = Journal(tmp_path / "journal.jsonl")
    fleet = Fleet(journal, tmp_path)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    fleet._commands = {"sleeper": f"python -c '{deaf}'"}
    sleeper = fleet.add("sleeper-1", "sleeper", {})
    fleet.start()
    try:
        _wait_until(lambda: sleeper.log.exists() and "1" in sleeper.log.read_text())
        assert sleeper.process is not None
        pid = sleeper.process.pid
        sleeper.signal(signal.SIGTERM)
        _wait_until(lambda: sleeper.lives == 2)
        said = f"sleeper-1, process {pid}, did not end within 1 s of SIGTERM and was killed"
        assert [said] == fleet.surprises
    finally:
        fleet.stop()
        journal.close()


def _world_of(fleet: Fleet, journal: Journal) -> World:
    return World(journal, None, None, fleet, lambda *_: None, Silent())  # type: ignore[arg-type]


def _wait_until(claim: Callable[[], bool], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < limit
        time.sleep(0.02)
