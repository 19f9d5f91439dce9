"""One chaos run: build the world, let traffic flow, break everything, mend everything, wait for calm, count.

What traffic, responders and the sink do is theirs; what must be true afterwards is the checker's. Here is the order.
"""

import contextlib
import heapq
import json
import secrets
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import free_port

from benchmarks.chaos import checker, report, rules
from benchmarks.chaos.clock import Clock, build, can_step
from benchmarks.chaos.faults import CLOCK_FAULTS, FAULTS, FRONT, World, strike
from benchmarks.chaos.fleet import CREW, ROOT, Fleet, Member, bare_environment, runnable
from benchmarks.chaos.journal import Journal
from benchmarks.chaos.plan import Blow, Fault, make_plan
from benchmarks.chaos.proxy import Proxy
from benchmarks.chaos.responders import Responders
from benchmarks.chaos.server import Server
from benchmarks.chaos.sink import Sink
from benchmarks.chaos.traffic import Traffic

#: Limits, in seconds: for the first answer, for calm after the last fault, and for how long calm must last.
READY_SECONDS, CALM_SECONDS, CALM_LASTS = 60.0, 240.0, 3.0
#: A worker that has given no sign of life for so long after the last fault is deaf: it should have noticed within 30 s
#: and ended, so that its successor is at work by then.
DEAF_AFTER = 45.0
#: The stages whose every process gives signs of life.
_BEATING = ("web", "router", "clock", "courier", "watchdog")


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is made of. Without `only`, every fault that can be had here."""

    minutes: float
    seed: int
    rate: float
    directory: Path
    only: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command that repeats the run."""
        only = "".join(f" --only {name}" for name in self.only)
        return f"python -m benchmarks.chaos --minutes {self.minutes:g} --seed {self.seed} --rate {self.rate:g}{only}"


class NoRun(Exception):
    """The world could not be built, or broke otherwise than planned; the text says where."""


def run(options: Options) -> int:
    """The exit code: 0 good, 1 something was found, 2 the run proves nothing."""
    journal = Journal(options.directory / "journal.jsonl")
    print(f"chaos: {options.command}", flush=True)
    try:
        with _interrupted_by_sigterm(), _site(options, journal) as site:
            return _run(options, site)
    except NoRun as problem:
        print(f"chaos: {problem}\nlogs and journal: {options.directory} (kept only with --keep)")
        return 2
    finally:
        journal.close()


def _run(options: Options, site: "Site") -> int:
    faults, missing = available_faults(options.only)
    for name in missing:
        print(f"chaos: WITHOUT {name}: there is no C compiler (cc) to build the stepping clock with")
        site.journal.write("note", text=f"left out: {name}, there is no C compiler")
    seconds = options.minutes * 60
    plan = make_plan(options.seed, seconds, faults)
    traffic = Traffic(site.journal, site.url, options.seed, options.rate, site.api_key)
    responders = Responders(site.journal, site.url, site.api_key, options.seed)
    traffic.start()
    responders.start()
    break_everything(site.world, plan, seconds)
    _say("the last fault is over; waiting for calm")
    ended = time.monotonic()
    responders.stop()
    traffic.stop()
    deaf = _deaf_members(site, ended)
    calm = wait_for_calm(site)
    findings = checker.check(site.journal.path, site.url, site.api_key, site.environment)
    if calm is not None:
        findings.append(checker.Finding("calm", f"not within {CALM_SECONDS:.0f} s: {calm}"))
    findings += [checker.Finding("deaf", text) for text in deaf]
    report.print_report(findings, site.journal.path, options.command)
    for surprise in site.world.fleet.surprises:
        print(f"note: {surprise}")
    for problem in site.world.broken:
        print(f"BROKEN FAULT: {problem}")
    if site.world.broken:
        return 2
    return 1 if findings else 0


def available_faults(only: tuple[str, ...] = ()) -> tuple[Mapping[str, Fault], list[str]]:
    """The faults that can be had on this machine, and the names of those that cannot."""
    wanted = {name: fault for name, fault in FAULTS.items() if not only or name in only}
    missing = [name for name in CLOCK_FAULTS if name in wanted and not can_step()]
    return {name: fault for name, fault in wanted.items() if name not in missing}, missing


def break_everything(world: World, plan: list[Blow], seconds: float) -> None:
    """Strike every blow at its time, each on a thread of its own; return when all are undone."""
    over = threading.Event()
    threads: list[threading.Thread] = []
    began = time.monotonic()
    waiting = [(blow.at, number, blow) for number, blow in enumerate(plan)]
    heapq.heapify(waiting)
    try:
        while waiting:
            at, _, blow = heapq.heappop(waiting)
            time.sleep(max(0.0, began + at - time.monotonic()))
            _say(f"{at:6.1f} s  {blow.fault} of {blow.target} for {blow.seconds:.1f} s")
            thread = threading.Thread(target=strike, args=(world, blow, over), name=blow.fault)
            thread.start()
            threads.append(thread)
        time.sleep(max(0.0, began + seconds - time.monotonic()))
    finally:
        over.set()
        for thread in threads:
            thread.join()


# --- the site --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that runs. `environment` is that of somebody at the command line: no proxy, the true clock."""

    journal: Journal
    world: World
    url: str
    api_key: str
    environment: dict[str, str]


@contextlib.contextmanager
def _site(options: Options, journal: Journal) -> Iterator[Site]:
    directory = options.directory
    library = build(directory) if can_step() else None
    server_clock = Clock(directory / "server-clock", library) if library else None
    hosts_clock = Clock(directory / "hosts-clock", library) if library else None
    server = Server(directory / "valkey", server_clock.environment if server_clock else None)
    proxy = Proxy(options.seed)
    sink = Sink(journal, options.seed)
    fleet = Fleet(journal, directory)
    with contextlib.ExitStack() as undo:
        server.start()
        undo.callback(server.stop)
        undo.callback(proxy.close)
        sink.start()
        undo.callback(sink.close)
        api_key = secrets.token_urlsafe(24)
        common = {
            **bare_environment(),
            "STL_CONFIG_DIR": str(directory / "config"),
            "STL_API_KEYS": api_key,
            "STL_HOST": "127.0.0.1",
            **rules.write_config(directory / "config", sink.url),
        }
        environment = {**common, "REDIS_URL": server.url()}
        _check_config(environment)
        hosts = {**common, **(hosts_clock.environment if hosts_clock else {})}
        ports: dict[str, int] = {}

        def add(name: str, stage: str) -> Member:
            link = proxy.open(name, server.port)
            own = {"REDIS_URL": server.url(link.port)}
            if stage == "web":
                ports[name] = free_port()
                own["PORT"] = str(ports[name])
            return fleet.add(name, stage, {**hosts, **own})

        for stage, count in CREW.items():
            for number in range(count):
                add(f"{stage}-{number + 1}", stage)
        front = proxy.open(FRONT, *ports.values())
        world = World(journal, server, proxy, fleet, add, sink, server_clock, hosts_clock)
        site = Site(journal, world, f"http://127.0.0.1:{front.port}", api_key, environment)
        fleet.start()
        undo.callback(fleet.stop)
        _wait_for(lambda: not _silent_members(site), "every process at work", READY_SECONDS)
        yield site


def _check_config(environment: Mapping[str, str]) -> None:
    done = _command("config check", environment)
    if done.returncode:
        raise NoRun(f"the rules of the run are refused by `config check`:\n{done.stdout}{done.stderr}")


@contextlib.contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: everything that was started is ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# --- what the outside can ask ----------------------------------------------------------------------------------


def wait_for_calm(site: Site) -> str | None:
    """Return None once nothing is queued, due or in the outbox for a while; else what was not, at the limit."""
    limit = time.monotonic() + CALM_SECONDS
    since: float | None = None
    while True:
        restless = _restless(site)
        now = time.monotonic()
        if restless is None:
            since = now if since is None else since
            if now - since >= CALM_LASTS:
                return None
        else:
            since = None
            if now > limit:
                return restless
        time.sleep(0.5)


def _restless(site: Site) -> str | None:
    try:
        with urllib.request.urlopen(f"{site.url}/readyz", timeout=5) as answer:
            answer.read()
    except (OSError, urllib.error.URLError) as error:
        return f"/readyz: {error}"
    status = _json_of("status", site.environment)
    if status is None:
        return "status cannot be read"
    waiting = {name: stage["waiting"] for name, stage in status["stages"].items() if stage["waiting"]}
    if waiting:
        return f"waiting: {waiting}"
    # Last, and only then: each command is a process, and takes processor time from those that are waited for.
    ledger = _json_of("ledger", site.environment)
    if ledger is None:
        return "ledger cannot be read"
    return f"waiting: in flight {ledger['in_flight']}" if ledger["in_flight"] else None


def _silent_members(site: Site) -> list[str]:
    """Processes that should give signs of life and have given none in the last seconds."""
    status = _json_of("status", site.environment) or {"processes": {}}
    alive = {name.rpartition(":")[2] for name, age in status["processes"].items() if age < 5}
    members = (member for stage in _BEATING for member in site.world.fleet.of(stage))
    return [m.name for m in members if m.process is None or str(m.process.pid) not in alive]


def _deaf_members(site: Site, since: float) -> list[str]:
    """Processes that run and do nothing, though nothing is broken any more."""
    while silent := _silent_members(site):
        if time.monotonic() - since > DEAF_AFTER:
            return [
                f"{name} has given no sign of life for {DEAF_AFTER:.0f} s, with nothing broken"
                for name in silent
            ]
        time.sleep(1)
    return []


def _json_of(name: str, environment: Mapping[str, str]) -> Any:
    done = _command(f"{name} --json", environment)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return None


def _command(words: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        runnable(f"speed-to-lead {words}"),
        env=dict(environment),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _wait_for(claim: Callable[[], bool], what: str, seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > limit:
            raise NoRun(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.5)


def _say(text: str) -> None:
    print(f"chaos: {text}", flush=True)
