"""How many leads does one router process route in a second, beside one Celery task for each lead?

Every contender finds its queue full, works as fast as it can, and is measured from a tenth done to nine tenths. Each
runs as a real process on a server of its own that keeps an append-only file and syncs it before it answers.
"""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from tests.processes import Fleet, RunningProcess, bare_environment, runnable
from tests.servers import RealServer

from benchmarks.finding import Check, Contender, Finding, Row, in_turns, ratio
from benchmarks.firm import fill_queue, write_rules
from benchmarks.pace import Pace, pace_of, server_seconds, session_seconds
from benchmarks.peers import celery_per_lead
from speed_to_lead.store import open_store
from speed_to_lead.store.keys import Keys

PREFIX = "stl"
#: Leads of one run. Celery's are fewer, for they take as long.
OURS, THEIRS, BARE = 20_000, 2_000, 50_000
SMALL = 8
#: What a task per lead costs, by pool.
CELERY = ("a Celery task per lead, solo", "a Celery task per lead, forked")
_LEFT_OUT = "only at full size"

_SCRIPT = """
redis.call('SET', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
redis.call('XACK', KEYS[1], 'router', ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])
"""


@dataclass
class Bench:
    """Where the contenders run, and the processor time each took for a lead."""

    scratch: Path
    divisor: int
    runs: int = 0
    cpu: dict[str, list[float]] = field(default_factory=dict)

    @contextlib.contextmanager
    def server(self) -> "Iterator[tuple[RealServer, Any]]":
        """A fresh server with everything on disk before it answers."""
        self.runs += 1
        directory = self.scratch / f"run-{self.runs}"
        directory.mkdir()
        server = RealServer(directory)
        server.start()
        client = redis.Redis.from_url(server.url)
        try:
            yield server, client
        finally:
            client.close()
            server.stop(kill=True)

    def note(self, name: str, pace: Pace) -> float:
        """Keep what it cost; the leads a second."""
        self.cpu.setdefault(name, []).append(sum(pace.cpu.values()))
        return pace.per_second


def measure(rounds: int, scratch: Path, *, small: bool = False) -> Finding:
    """Ours, Celery in two pools, Celery doing nothing, and the server alone."""
    bench = Bench(scratch, SMALL if small else 1)
    left_out = _LEFT_OUT if small else ""
    ours, solo, prefork, empty, bare = rows = in_turns(
        [
            Contender("ours: one router process", lambda: route_ours(bench)),
            Contender("a Celery task per lead, solo pool", lambda: route_celery(bench, "solo")),
            Contender(
                "a Celery task per lead, two forked children",
                lambda: route_celery(bench, "prefork"),
                left_out,
            ),
            Contender(
                "Celery tasks that only count, solo pool",
                lambda: route_celery(bench, "solo", "nothing"),
                left_out,
            ),
            Contender("the server alone: two writes per lead", lambda: route_bare(bench), left_out),
        ],
        rounds,
    )
    return Finding(
        name="router",
        question="How many leads does one router process route in a second?",
        unit="leads/s",
        more_is_better=True,
        rows=rows,
        checks=(
            Check(
                "leads routed/s, one router process over one worker process with a Celery task per lead",
                ratio(ours, solo),
                10.0,
                at_least=True,
            ),
        ),
        notes=_notes(bench),
        figures=_figures(
            ours,
            {
                "Celery in two forked children": prefork,
                "Celery tasks that only count": empty,
                "the server alone": bare,
            },
            bench.cpu,
        ),
    )


def _figures(ours: Row, others: Mapping[str, Row], cpu: Mapping[str, list[float]]) -> dict[str, float]:
    medians = {name: statistics.median(found) for name, found in cpu.items()}
    celery = min(medians[name] for name in CELERY if name in medians)
    return {
        **{f"ours over {name}": ratio(ours, row) for name, row in others.items() if row.figures},
        "processor time of a Celery task per lead (the better pool) over ours": celery / medians["ours"],
        **{f"processor time for each lead, µs: {name}": found for name, found in medians.items()},
    }


def _notes(bench: Bench) -> tuple[str, ...]:
    sizes = f"{OURS // bench.divisor:,} leads for ours, {THEIRS // bench.divisor:,} for Celery"
    return (
        f"{sizes}, each of a new person with thirteen fields; measured from a tenth done to nine tenths.",
        "Ours is the Procfile's router with its beat, a log line for each lead included; Celery's log is set to warnings.",
        "The budget sets one process beside one; the two forked children are two, on both cores.",
        "At the end of every run each lead has its record, its deadline and its alert, and counts in its rep's load.",
        "Celery's queue, like ours, is on the server that holds the leads, and both sync before they answer.",
        "Celery acknowledges late; even so a message is lost where the worker dies between taking and noting it.",
        "The Celery task checks no version: two submissions of one person at once can give that person two reps.",
        "Ours is refused by the server where anything it was decided on has changed since.",
        "The server alone parses and decides nothing: it bounds what any router could do on one server.",
    )


def route_ours(bench: Bench) -> float:
    """Leads a second of the Procfile's router, whose work is begun by the beat."""
    count = OURS // bench.divisor
    with bench.server() as (server, client):
        store = open_store(server.url, PREFIX)
        fill_queue(client, PREFIX, count)
        directory = Path(server.directory)
        rules = write_rules(directory / "config")
        environment = bare_environment(REDIS_URL=server.url, STL_CONFIG_DIR=str(rules), STL_KEY_PREFIX=PREFIX)
        ledger = Keys(PREFIX).ledger
        with running(Fleet(directory, environment)) as fleet:
            router = fleet.start("router")
            fleet.start("beat")
            pace = watch(router, client, lambda: int(client.hget(ledger, "leads") or 0), count)
        counted = store.operations.ledger()
        assert (counted.leads, counted.difference, counted.in_flight) == (count, 0, 0), counted
        assert sum(store.leads.load().values()) == count, store.leads.load()
        assert store.operations.health().scheduled == count, store.operations.health()
        store.close()
    return bench.note("ours", pace)


def route_celery(bench: Bench, pool: str, task: str = "route_lead") -> float:
    """Leads a second of one worker with a task for each."""
    count = THEIRS // bench.divisor
    counter = ("counters", "leads") if task == "route_lead" else None
    with bench.server() as (server, client):
        celery_per_lead.publish(task, count, server.url)
        directory = Path(server.directory)
        command = [
            "-A",
            "benchmarks.peers.celery_per_lead",
            "worker",
            "-P",
            pool,
            "-c",
            "2" if pool == "prefork" else "1",
        ]

        def done() -> int:
            return int((client.hget(*counter) if counter else client.get("nothing")) or 0)

        with running(Fleet(directory, bare_environment(REDIS_URL=server.url))) as fleet:
            started = fleet.start_command(pool, [*runnable("celery"), *command, *celery_per_lead.WORKER])
            pace = watch(started, client, done, count)
        if task == "route_lead":
            celery_per_lead.verify(server.url, count)
    return bench.note(CELERY[pool == "prefork"] if task == "route_lead" else "Celery, counting only", pace)


def route_bare(bench: Bench) -> float:
    """Leads a second of a loop that reads batches and runs one small script for each, parsing and deciding nothing."""
    count = BARE // bench.divisor
    with bench.server() as (_, client):
        fill_queue(client, PREFIX, count)
        stream = Keys(PREFIX).incoming
        client.xgroup_create(stream, "router", id="0")
        script = client.script_load(_SCRIPT)
        began, server_began, here_began = time.perf_counter(), server_seconds(client), time.process_time()
        done = 0
        while found := client.xreadgroup("router", "bare", {stream: ">"}, count=200):
            pipe: Any = client.pipeline(transaction=False)
            for entry_id, fields in found[0][1]:
                name = f"{{{PREFIX}}}:lead:{entry_id.decode()}"
                pipe.evalsha(script, 3, stream, name, f"{{{PREFIX}}}:due", entry_id, fields[b"body"], done)
                done += 1
            pipe.execute()
        seconds = time.perf_counter() - began
        used = server_seconds(client) - server_began + time.process_time() - here_began
        assert (done, client.zcard(f"{{{PREFIX}}}:due"), client.xlen(stream)) == (count, count, 0)
    return bench.note("the server alone", Pace(count / seconds, {"both": used / count * 1e6}))


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


def watch(process: RunningProcess, client: Any, done: Callable[[], int], total: int) -> Pace:
    """The pace of one process and its children; its server's processor time stands beside it."""
    leader = process.process.pid
    clocks = {"router": lambda: session_seconds(leader), "server": lambda: server_seconds(client)}
    return pace_of(done, total, clocks)
