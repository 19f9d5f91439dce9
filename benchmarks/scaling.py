"""How far does it go beyond one router, one machine, one primary, and what does a million leads cost?

Routers share one queue and need not know of each other; what they share in the end is one core of the one primary. So
besides leads a second this measures what each lead costs the server: that says where one primary ends. Two workspaces on
two primaries share nothing at all.
"""

import contextlib
import io
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import redis
from tests.processes import Fleet, bare_environment
from tests.servers import RealServer, free_port, wait_until
from tests.worker.site import Site

from benchmarks.finding import Contender, Finding, in_turns
from benchmarks.firm import FORM, fill_queue, lead_fields, write_rules
from benchmarks.pace import Pace, pace_of, server_seconds, session_seconds
from speed_to_lead.store import open_store
from speed_to_lead.store.keys import Keys

#: Leads of one run of the routers, and of the run that follows leads through their whole life.
ROUTED, LIVED = 20_000, 3_000
SMALL = 20
#: Posted this many a second, so that clocks and couriers work as they do on a busy day and not through a backlog.
POSTED_A_SECOND = 60.0
IDLE_SECONDS = 5.0
#: Seconds between two questions whether all is done, and until it must be.
_ASK_EVERY, _PATIENCE = 0.5, 300.0
STAGES = ("web", "router", "clock", "courier", "beat")
DAY = 86_400
WORKSPACES = ("north", "south")


def measure(rounds: int, scratch: Path, *, small: bool = False) -> Finding:
    """One, two and four routers on one primary; two workspaces on two; and a lead's whole life."""
    routed, lived = (ROUTED // SMALL, LIVED // SMALL) if small else (ROUTED, LIVED)
    directories = (scratch / f"run-{number}" for number in range(10_000))
    paces: dict[str, list[Pace]] = {}

    def routers(count: int) -> Callable[[], float]:
        def run() -> float:
            pace = route_with(count, next(directories), routed)
            paces.setdefault(f"{count} router{'s' if count > 1 else ''}", []).append(pace)
            return pace.per_second

        return run

    def workspaces() -> float:
        pace = route_in_two_workspaces(next(directories), routed)
        paces.setdefault("2 primaries", []).append(pace)
        return pace.per_second

    rows = in_turns(
        [
            *(
                Contender(f"{count} router{'s' if count > 1 else ''}, one primary", routers(count))
                for count in (1, 2, 4)
            ),
            Contender("2 workspaces, each with a router and a primary of its own", workspaces),
        ],
        rounds,
    )
    lives = [live(next(directories), lived) for _ in range(rounds)]
    life = {name: statistics.median(one[name] for one in lives) for name in lives[0]}
    return Finding(
        name="scaling",
        question="How far does it go beyond one router, and what do a million leads cost?",
        unit="leads/s",
        more_is_better=True,
        rows=rows,
        notes=(
            f"{routed:,} leads waiting in the queue, from a tenth done to nine tenths; real processes of the Procfile.",
            "Where routers and server together want more cores than there are, more routers cannot be faster here.",
            "Processor time for each lead is what travels to other machines; leads a second are what these cores gave.",
            f"A whole life, {lived:,} leads at {POSTED_A_SECOND:.0f} a second: posted, routed, told, reminded, breached, escalated.",
            "Each of its four steps is a signed webhook over HTTP. A lead that is answered in time costs less.",
            "Extrapolated: leads a second of one primary are one core over the server's processor time for each lead.",
            "Leads of a whole life come one by one; where more come at once, several writes share one sync, and each costs less.",
            "What the processes use when idle (ticks, heartbeats, audits) is measured before and taken out.",
            "Of two workspaces, every key of each server is looked at: nothing crosses over.",
        ),
        figures=figures_of(paces, life),
    )


def figures_of(paces: Mapping[str, list[Pace]], life: Mapping[str, float]) -> dict[str, float]:
    """The further figures, from what was measured: processor time, the primary's end, the cost of a million."""
    figures = {
        f"{what}, µs of {process} for each lead routed": statistics.median(
            pace.cpu[process] for pace in found
        )
        for what, found in paces.items()
        for process in found[0].cpu
    }
    routing = statistics.median(pace.cpu["server"] for pace in paces["1 router"])
    whole = life["server"]
    figures |= {
        "one primary, leads routed a second, extrapolated": 1e6 / routing,
        "one primary, whole lives a second, extrapolated": 1e6 / whole,
        "one primary at half of its core, leads a day, extrapolated": 0.5e6 / whole * DAY,
    }
    processes = (*STAGES, "server")
    figures |= {f"processor seconds for a million leads, {name}": life[name] for name in processes}
    total = sum(life[name] for name in processes)
    return figures | {
        "processor seconds for a million leads, all": total,
        "vCPU hours for a million leads": total / 3600,
        "GB of server memory for a million leads": life["memory"],
        "GB of append-only file for a million leads, before it is rewritten": life["file"],
        "share of a core, idle": life["idle"],
    }


def route_with(count: int, directory: Path, leads: int) -> Pace:
    """The pace of so many routers on one queue."""
    with running_server(directory) as (server, client):
        fill_queue(client, "stl", leads)
        rules = write_rules(directory / "config")
        environment = bare_environment(REDIS_URL=server.url, STL_CONFIG_DIR=str(rules))
        with running(Fleet(directory, environment)) as fleet:
            leaders = [fleet.start("router").process.pid for _ in range(count)]
            fleet.start("beat")
            pace = pace_of(
                lambda: routed_in(client, "stl"),
                leads,
                {
                    "routers": lambda: sum(map(session_seconds, leaders)),
                    "server": lambda: server_seconds(client),
                },
            )
        verify(server.url, "stl", leads)
    return pace


def route_in_two_workspaces(directory: Path, leads: int) -> Pace:
    """The pace of two workspaces together, half of the leads each; then both receive, and nothing crosses over."""
    with contextlib.ExitStack() as stack:
        clients: dict[str, Any] = {}
        servers: dict[str, RealServer] = {}
        ports = {workspace: free_port() for workspace in WORKSPACES}
        routers: list[int] = []
        for workspace in WORKSPACES:
            here = directory / workspace
            servers[workspace], clients[workspace] = stack.enter_context(running_server(here))
            fill_queue(clients[workspace], workspace, leads // 2, first=_first(workspace))
            fleet = stack.enter_context(running(Fleet(here, _environment(here, servers, ports, workspace))))
            routers.append(fleet.start("router").process.pid)
            fleet.start_all("beat", "web")
        pace = pace_of(
            lambda: sum(routed_in(clients[workspace], workspace) for workspace in WORKSPACES),
            leads // 2 * 2,
            {
                "routers": lambda: sum(map(session_seconds, routers)),
                "server": lambda: sum(map(server_seconds, clients.values())),
            },
        )
        posted = 5
        for workspace in WORKSPACES:
            _post(
                ports[workspace],
                range(_first(workspace) + leads // 2, _first(workspace) + leads // 2 + posted),
            )
        for workspace in WORKSPACES:
            wait_until(
                lambda of=workspace: routed_in(clients[of], of) == leads // 2 + posted,  # type: ignore[misc]
                f"the leads posted to {workspace} are routed",
            )
            verify(servers[workspace].url, workspace, leads // 2 + posted)
            strangers = [
                key for key in clients[workspace].scan_iter(count=1000) if not _is_of(key, workspace)
            ]
            assert strangers == [], f"{workspace} holds keys of another workspace: {strangers[:5]}"
    return pace


def live(directory: Path, leads: int) -> dict[str, float]:
    """Processor µs for each lead by process; beside them `memory` and `file`, KB for each lead, and `idle`, a share of a core.

    µs for each lead are seconds for a million, and KB for each are GB.
    """
    directory.mkdir()
    site = Site(directory, on_disk=True)
    try:
        started = site.start(*STAGES)
        client: Any = redis.Redis.from_url(site.server.url)
        clocks: dict[str, Callable[[], float]] = {
            name: (lambda leader=process.process.pid: session_seconds(leader))  # type: ignore[misc]
            for name, process in started.items()
        }
        clocks["server"] = lambda: server_seconds(client)
        _wait_for_web(site.port)
        _post(
            site.port, range(20), form="demo"
        )  # the first of everything costs more: connections, scripts, imports
        _wait_until_done(site, 20)
        idle_from, idle_at = {name: clock() for name, clock in clocks.items()}, time.monotonic()
        time.sleep(IDLE_SECONDS)
        idle = {
            name: (clock() - idle_from[name]) / (time.monotonic() - idle_at) for name, clock in clocks.items()
        }
        memory, file = client.info("memory")["used_memory"], _file_size(directory)
        begun, begun_at = {name: clock() for name, clock in clocks.items()}, time.monotonic()
        _post(site.port, range(20, 20 + leads), form="demo", a_second=POSTED_A_SECOND)
        _wait_until_done(site, 20 + leads)
        seconds = time.monotonic() - begun_at
        used = {
            name: max(clock() - begun[name] - idle[name] * seconds, 0.0) / leads * 1e6
            for name, clock in clocks.items()
        }
        kept = (client.info("memory")["used_memory"] - memory) / leads
        client.close()
        return used | {
            "memory": kept / 1e3,
            "file": (_file_size(directory) - file) / leads / 1e3,
            "idle": sum(idle.values()),
        }
    finally:
        with contextlib.redirect_stdout(io.StringIO()):
            site.end()


def _wait_until_done(site: Site, leads: int) -> None:
    """Return once every ladder is done and every alert delivered. Asked seldom, for the asking costs the server too."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        health, counted = site.health(), site.store.operations.counters().get("leads", 0)
        if (counted, health.queued, health.scheduled, health.outbox) == (leads, 0, 0, 0):
            return
        time.sleep(_ASK_EVERY)
    raise AssertionError(f"{leads} leads are not done after {_PATIENCE:.0f} s: {site.health()}")


@contextlib.contextmanager
def running_server(directory: Path) -> Iterator[tuple[RealServer, Any]]:
    """A fresh server with everything on disk before it answers, and a client."""
    directory.mkdir(parents=True)
    server = RealServer(directory)
    server.start()
    client = redis.Redis.from_url(server.url)
    try:
        yield server, client
    finally:
        client.close()
        server.stop(kill=True)


@contextlib.contextmanager
def running(fleet: Fleet) -> Iterator[Fleet]:
    """Processes, killed at the end; what they said is shown only where something failed."""
    try:
        yield fleet
    except BaseException:
        fleet.end()
        raise
    else:
        for process in fleet.processes:
            process.kill()


def routed_in(client: Any, prefix: str) -> int:
    """Leads that are routed in a workspace so far."""
    return int(client.hget(Keys(prefix).ledger, "leads") or 0)


def verify(url: str, prefix: str, leads: int) -> None:
    """Fail where a lead is missing, doubled, without a deadline, or not counted in somebody's load."""
    store = open_store(url, prefix)
    ledger, health, load = store.operations.ledger(), store.operations.health(), store.leads.load()
    store.close()
    assert (ledger.leads, ledger.difference, ledger.in_flight) == (leads, 0, 0), ledger
    assert health.scheduled == leads, health
    assert sum(load.values()) == leads, load


def _first(workspace: str) -> int:
    """The first person of a workspace: nobody is in both."""
    return WORKSPACES.index(workspace) * 10_000_000


def _environment(
    here: Path, servers: Mapping[str, RealServer], ports: Mapping[str, int], workspace: str
) -> dict[str, str]:
    return bare_environment(
        REDIS_URL=servers[workspace].url,
        STL_KEY_PREFIX=workspace,
        STL_CONFIG_DIR=str(write_rules(here / "config")),
        STL_HOST="127.0.0.1",
        PORT=str(ports[workspace]),
    )


def _is_of(key: bytes, workspace: str) -> bool:
    return key.startswith(f"{{{workspace}}}".encode())


def _wait_for_web(port: int) -> None:
    def answers() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        return False

    wait_until(answers, "web is ready", 40)


def _post(port: int, people: range, form: str = FORM, a_second: float | None = None) -> None:
    """Post each person's form, evenly; every answer must be 200."""
    _wait_for_web(port)
    began = time.monotonic()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client, ThreadPoolExecutor(4) as senders:

        def post(place: int, person: int) -> int:
            if a_second is not None:
                time.sleep(max(0.0, began + place / a_second - time.monotonic()))
            body = json.dumps(lead_fields(person) | {"source": "demo_request"})
            answer = client.post(f"/hooks/{form}", content=body, headers={"content-type": "application/json"})
            return answer.status_code

        statuses = list(senders.map(post, range(len(people)), people))
    assert set(statuses) == {200}, statuses


def _file_size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("appendonly*") if file.is_file())
