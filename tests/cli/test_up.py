"""`speed-to-lead up`: one command, everything runs; Ctrl-C, and nothing is left. Whatever dies comes back."""

import os
import shutil
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from tests.cli.scene_up import Up, curl, lead_ids
from tests.processes import ROOT, ended
from tests.servers import RealServer, wait_until

from speed_to_lead.cli import embedded as embedded_module
from speed_to_lead.cli.embedded import CannotStart, EmbeddedServer
from speed_to_lead.cli.up import DEMO_CONFIG
from speed_to_lead.store import StoreUnavailable

pytestmark = pytest.mark.real

Start = Callable[..., Up]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `up`; everything is killed after the test."""
    started: list[Up] = []

    def start_up(*arguments: str, within: str = "site", **environment: str) -> Up:
        up = Up(tmp_path / within, *arguments, **({"STL_CONFIG_DIR": str(ROOT / "config")} | environment))  # type: ignore[arg-type]
        started.append(up)
        return up

    yield start_up
    for up in started:
        up.end()


def test_up_runs_everything_and_ends_with_nothing_left(start: Start) -> None:
    """The printed curl works, what is killed is started again and said loudly, and Ctrl-C leaves no process behind."""
    up = start()
    up.wait_until_ready()
    assert f"speed-to-lead listens on {up.address}" in up.output
    assert "stop: Ctrl-C" in up.output

    status, body = curl(up.printed_curl())
    assert (status, len(lead_ids(body))) == (200, 1)
    store = up.store()
    lead_id = lead_ids(body)[0]
    wait_until(lambda: store.leads.get(lead_id) is not None, "the lead is routed", 60)

    clock = up.child("clock@")
    os.kill(clock, signal.SIGKILL)
    up.wait_for("*** clock was killed by signal 9; it is started again in 0.5 s ***")
    wait_until(lambda: up.children("clock@") not in ([], [clock]), "another clock", 60)

    files = [up.data / name for name in ("redis-url", "secrets.env")]
    files += [file for file in up.data.rglob("*.aof") if file.is_file()]
    assert len(files) > 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}  # leads and secrets, for us alone
    password = files[0].read_text().partition(":@")[2] or files[0].read_text().split(":")[2].partition("@")[0]
    assert password not in up.output
    assert password not in " ".join(up.left())
    store.close()

    began = time.monotonic()
    assert up.interrupt() == 0
    assert time.monotonic() - began < 20
    assert (up.left(), (up.data / "redis-url").exists()) == ([], False)
    assert "everything is stopped" in up.output
    assert "Traceback" not in up.output


def test_a_killed_up_takes_its_children_and_its_server_along_and_loses_nothing(start: Start) -> None:
    """After kill -9 of `up` itself nothing runs on; the next `up` on the same data has the lead."""
    first = start()
    first.wait_until_ready()
    status, body = curl(first.printed_curl())
    assert status == 200
    assert len(first.left()) >= 7

    os.kill(first.running.process.pid, signal.SIGKILL)
    wait_until(lambda: first.left() == [], "children and server end too", 60)

    second = start()
    second.wait_until_ready()
    store = second.store()
    wait_until(lambda: store.leads.get(lead_ids(body)[0]) is not None, "the lead is there", 60)
    store.close()
    assert first.printed_curl()[:-1] == second.printed_curl()[:-1]  # the secrets too
    assert second.interrupt() == 0
    assert second.left() == []


def test_a_server_that_dies_under_up_is_started_again_on_its_data(start: Start) -> None:
    """A server ended by kill -9 is said loudly, back on the same port, and everybody works on."""
    up = start()
    up.wait_until_ready()
    server = up._server_processes()[0]

    os.kill(server, signal.SIGKILL)
    up.wait_for("*** the embedded server died; it is started again on its append-only file ***")

    status, body = 0, ""

    def stored() -> bool:
        nonlocal status, body
        status, body = curl(up.printed_curl())
        return status == 200

    wait_until(stored, "the web process stores again")
    store = up.store()
    wait_until(lambda: store.leads.get(lead_ids(body)[0]) is not None, "the lead is routed", 60)
    store.close()
    assert up.interrupt() == 0
    assert (up.left(), "ended with code" in up.output) == ([], False)


def test_a_second_up_on_the_same_data_is_refused_in_one_sentence(start: Start) -> None:
    """Two servers on one append-only file would be the end of it."""
    first = start()
    first.wait_until_ready()

    second = start()
    wait_until(lambda: not second.running.is_running, "it ends", 60)

    assert (second.running.process.returncode, len(second.output.splitlines())) == (2, 1)
    assert f"is in use by another `speed-to-lead up` (process {first.running.process.pid})" in second.output
    assert first.running.is_running
    assert first.get("/readyz")[0] == 200


def test_a_taken_port_is_refused_in_one_sentence_and_nothing_is_started(start: Start, tmp_path: Path) -> None:
    """The port is tried before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        up = start("--port", str(port))
        wait_until(lambda: not up.running.is_running, "it ends", 60)

    assert (up.running.process.returncode, len(up.output.splitlines())) == (2, 1)
    assert f"port {port} on 127.0.0.1 cannot be used" in up.output
    assert not (up.data / "redis-url").exists()


def test_mistakes_in_the_rules_are_all_told_and_nothing_is_started(start: Start, tmp_path: Path) -> None:
    """Every mistake with its place, no traceback, and a code that says so."""
    config = tmp_path / "config"
    shutil.copytree(DEMO_CONFIG, config)
    with (config / "routing.toml").open("a", encoding="utf-8") as routing:
        routing.write(
            '\n[[rules]]\nname = "Odd"\nwhen.source = "demo_requets"\nteam = "inbuond"\nsla = "inbound-5m"\n'
        )

    up = start("--config", str(config))
    wait_until(lambda: not up.running.is_running, "it ends", 60)

    assert up.running.process.returncode in (1, 2)
    assert ("demo_requets" in up.output, "inbuond" in up.output) == (True, True)
    assert "Traceback" not in up.output
    assert not up.data.exists()


def test_a_mistyped_setting_is_refused_with_the_nearest(start: Start) -> None:
    """A setting that silently does nothing is worse than none."""
    up = start(STL_CONFIG_DIRR="x")
    wait_until(lambda: not up.running.is_running, "it ends", 60)

    assert up.running.process.returncode == 2
    assert "STL_CONFIG_DIRR is no setting; did you mean STL_CONFIG_DIR?" in up.output


def test_with_a_server_of_its_own_none_is_started(start: Start, restartable_server: RealServer) -> None:
    """REDIS_URL set: that server is used, left running, and the data directory holds no server's files."""
    up = start(REDIS_URL=restartable_server.url)
    up.wait_until_ready()

    status, _ = curl(up.printed_curl())

    assert (status, up._server_processes()) == (200, [])
    assert "leads are kept by the server of REDIS_URL" in up.output
    assert not (up.data / "redis-url").exists()
    assert up.interrupt() == 0
    with redis.Redis.from_url(restartable_server.url) as client:
        assert client.ping()


def test_the_demo_tells_the_whole_story_within_a_minute(start: Start) -> None:
    """Sample leads come in and are routed, reminded of, breached, passed on and answered, without a key or a form."""
    up = start("--demo")
    up.wait_until_ready()
    store = up.store()
    wanted = {"lead.routed", "lead.breached", "lead.reassigned", "reminded"}

    def told() -> bool:
        leads, _ = store.leads.newest(200)
        seen: set[str] = set()
        for lead in leads:
            history = store.leads.history(lead.id)
            seen.update(entry.event for entry in history)
            if any(
                entry.details.get("step") == "60%" and entry.event == "alert.delivered" for entry in history
            ):
                seen.add("reminded")
        return wanted <= seen and bool({"lead.connected", "lead.attempted"} & seen)

    wait_until(told, "a lead was reminded of, breached, reassigned and answered", 60)
    assert store.operations.ledger().difference == 0
    store.close()
    for words in ("ALERT lead.assigned", "ALERT sla.reminder", "ALERT sla.breached", "ALERT lead.reassigned"):
        up.wait_for(words)
    assert "@example.com" not in up.output.partition("leads list")[2]
    assert up.interrupt() == 0
    assert up.left() == []


# --- the embedded server ---------------------------------------------------------------------------------------


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A running embedded server."""
    server = EmbeddedServer(tmp_path / "data")
    server.start()
    yield server
    server.stop()


def test_the_embedded_server_keeps_everything_and_throws_nothing_away(embedded: EmbeddedServer) -> None:
    """Every write on disk before it is answered, no eviction, no snapshots, loopback only."""
    with redis.Redis.from_url(embedded.url, decode_responses=True) as client:
        names = ("appendonly", "appendfsync", "maxmemory-policy", "save", "bind")
        settings = {name: client.config_get(name)[name] for name in names}

    assert settings == {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "save": "",
        "bind": "127.0.0.1",
    }


def test_the_embedded_server_wants_its_password(embedded: EmbeddedServer) -> None:
    """Other users of the machine can reach loopback too."""
    with redis.Redis(port=embedded.port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_the_embedded_server_listens_on_loopback_only(embedded: EmbeddedServer) -> None:
    """What it listens on, as the kernel tells it."""
    port = f"{embedded.port:04X}"
    lines = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()
    ]
    listening = [line[1] for line in lines if line[1].endswith(f":{port}") and line[3] == "0A"]

    assert [f"0100007F:{port}"] == listening


def test_the_address_of_the_embedded_server_is_readable_by_its_owner_only(
    embedded: EmbeddedServer, tmp_path: Path
) -> None:
    """It holds the password."""
    file = tmp_path / "data" / "redis-url"

    assert (0o600, embedded.url) == (stat.S_IMODE(file.stat().st_mode), file.read_text().strip())


def test_the_embedded_server_has_its_data_after_a_crash_and_after_a_stop(tmp_path: Path) -> None:
    """A kill -9 and an orderly stop alike lose nothing; the address file is there while it runs only."""
    server = EmbeddedServer(tmp_path / "data")
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.set("a", "1")
    assert server._process is not None
    server._process.kill()
    wait_until(lambda: server.has_died, "it is gone")
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.set("b", "2")
    server.stop()
    assert not (tmp_path / "data" / "redis-url").exists()

    again = EmbeddedServer(tmp_path / "data")
    again.start()
    with redis.Redis.from_url(again.url, decode_responses=True) as client:
        assert client.mget("a", "b") == ["1", "2"]
    again.stop()


def test_a_data_directory_that_cannot_be_written_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """A file where the directory should be; the sentence says what to do."""
    (tmp_path / "data").write_text("")

    with pytest.raises(CannotStart, match=r"cannot be used .*; name another with --data"):
        EmbeddedServer(tmp_path / "data").start()


def test_a_data_directory_in_use_is_refused(
    embedded: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds it is named."""
    monkeypatch.setattr("speed_to_lead.cli.embedded.LOCK_SECONDS", 0.2)

    with pytest.raises(CannotStart, match=rf"in use by another `speed-to-lead up` \(process {os.getpid()}\)"):
        EmbeddedServer(tmp_path / "data").start()


def test_a_server_that_loads_a_large_file_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers TIME while it loads, but no read: `start` returns when leads can be read, not before."""
    first = EmbeddedServer(tmp_path / "data")
    first.start()
    with redis.Redis.from_url(first.url) as client:
        pipe = client.pipeline(transaction=False)
        for number in range(20_000):
            pipe.set(f"key{number}", "x")
        pipe.execute()
    first.stop()
    configuration = EmbeddedServer._configuration
    monkeypatch.setattr(
        EmbeddedServer, "_configuration", lambda server: configuration(server) + "key-load-delay 50\n"
    )

    again = EmbeddedServer(tmp_path / "data")
    try:
        again.start()
        with redis.Redis.from_url(again.url) as client:
            assert client.dbsize() == 20_000
    finally:
        again.stop()


class _Store:
    """A server that answers what the test says, on a clock that moves with every question."""

    def __init__(self, answers: Iterator[str]) -> None:
        self.answers = answers
        self.now = 0.0
        self.operations = self

    def counters(self) -> dict[str, int]:
        self.now += 1.0
        answer = next(self.answers, "")
        if answer:
            raise StoreUnavailable(answer)
        return {}

    def close(self) -> None:
        pass

    def monotonic(self) -> float:
        return self.now

    def sleep(self, _seconds: float) -> None:
        pass


@pytest.mark.parametrize(
    ("answers", "comes_up", "lines"),
    [
        ([], True, 0),
        (["ConnectionError"] * 14, True, 0),
        (["ConnectionError"] * 16, False, 0),
        (["BusyLoadingError"] * 4, True, 0),
        (["BusyLoadingError"] * 600, True, 1),
        ([*["BusyLoadingError"] * 60, *["TimeoutError"] * 14, *["BusyLoadingError"] * 60], True, 1),
        ([*["BusyLoadingError"] * 60, *["TimeoutError"] * 16], False, 1),
    ],
)
def test_loading_is_waited_for_and_silence_is_not(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: list[str],
    comes_up: bool,
    lines: int,
) -> None:
    """A server killed for being slow would be as slow at the next start. It is said once that it loads."""
    store = _Store(iter(answers))
    monkeypatch.setattr(embedded_module, "open_store", lambda _url: store)
    monkeypatch.setattr(embedded_module, "time", store)
    server = EmbeddedServer(tmp_path)
    if comes_up:
        server._wait_until_ready(tmp_path / "log")
    else:
        with pytest.raises(CannotStart, match=r"has not answered for 15 s; see .*log"):
            server._wait_until_ready(tmp_path / "log")
    assert len(capsys.readouterr().out.splitlines()) == lines


def test_a_server_that_cannot_start_is_told_of_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own words are in the log; nothing is left behind."""
    monkeypatch.setattr(EmbeddedServer, "_configuration", lambda _server: "no-such-directive yes\n")
    server = EmbeddedServer(tmp_path / "data")
    began = time.monotonic()

    with pytest.raises(CannotStart, match=r"ended while it started; see .*valkey\.log"):
        server.start()

    assert time.monotonic() - began < 10
    assert "no-such-directive" in (tmp_path / "data" / "valkey.log").read_text()


def test_ended_tells_the_living_from_the_dead() -> None:
    """The test's own instrument works: this process lives, an impossible one does not."""
    assert (ended(os.getpid()), ended(2**22 + 1)) == (False, True)
