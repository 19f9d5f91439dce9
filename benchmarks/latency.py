"""From the POST to the decision: how long until a lead that a form tool sends has its team, its rep and its deadline.

Ours is the fleet of the Procfile. The instant of routing is read from each lead's history, where it stands by the server's
clock; the POST is timed by this machine's, and here both are one. So a figure holds the way in, the store, the hint, the
router and its write, to the millisecond the history is kept in. The peer is FastAPI and one Celery task per lead, on the
same server: from the POST to the write of its task.
"""

import asyncio
import math
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import redis
from tests.servers import free_port

from benchmarks.finding import Check, Contender, Finding, Row, in_turns
from benchmarks.hook import config_with_forms, speaks, uvicorn
from benchmarks.machine import ROOT, Server, python, running, server
from speed_to_lead.core.clock import to_ms
from speed_to_lead.store import open_store

#: Leads a second, for how long in each round, and how many come before them uncounted.
RATE, SECONDS, WARM_LEADS = 50, 12.0, 50
#: A lead that is not routed by then is lost.
PATIENCE = 15.0
BUDGET_MS = 50.0
OURS, PEER = "speed-to-lead", "FastAPI + one Celery task per lead"


def measure(rounds: int, scratch: Path) -> Finding:
    """The 99th percentile of each round, and the others of all rounds together."""
    heard: dict[str, list[float]] = {OURS: [], PEER: []}
    config = config_with_forms(scratch / "config")
    with server(scratch / "data") as store:
        rows = in_turns(
            [
                Contender(
                    OURS,
                    partial(
                        _run,
                        OURS,
                        partial(_our_fleet, store, config, scratch),
                        partial(_routed_by_us, store),
                        heard,
                    ),
                ),
                Contender(
                    PEER,
                    partial(
                        _run,
                        PEER,
                        partial(_their_fleet, store, scratch),
                        partial(_routed_by_them, store),
                        heard,
                    ),
                ),
            ],
            rounds,
        )
    return _finding(rows, heard)


def _finding(rows: tuple[Row, ...], heard: dict[str, list[float]]) -> Finding:
    figures = {
        f"{name}: {label}, ms": round(_at(share, times), 1)
        for name, times in heard.items()
        for label, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("longest", 1.0))
    }
    return Finding(
        name="latency",
        question=f"At {RATE} leads a second, how long from the POST to the decision (99th percentile)?",
        unit="ms",
        more_is_better=False,
        rows=rows,
        checks=(Check("POST to routed, p99 in ms", rows[0].median, BUDGET_MS, at_least=False),),
        notes=(
            "Sender, fleet and server share the same cores; every write is on disk (appendfsync always) before it is answered.",
            "Leads are sent on the second's grid whether or not earlier ones were answered; each must be routed, or the benchmark ends.",
        ),
        figures=figures,
    )


def _at(share: float, times: list[float]) -> float:
    """The time that so large a share of all do not exceed."""
    ordered = sorted(times)
    return ordered[math.ceil(share * len(ordered)) - 1]


def _run(
    name: str,
    fleet: Callable[[], Any],
    routed_at: Callable[[list[str]], dict[str, float]],
    heard: dict[str, list[float]],
) -> float:
    with fleet() as url:
        asyncio.run(_post(url, WARM_LEADS, "warm"))
        sent = asyncio.run(_post(url, round(RATE * SECONDS), f"{name[:1].lower()}{len(heard[name])}"))
        limit, found = time.monotonic() + PATIENCE, routed_at(list(sent))
        while len(found) < len(sent) and time.monotonic() < limit:
            time.sleep(0.2)
            found = routed_at(list(sent))
    if len(found) < len(sent):
        raise RuntimeError(
            f"{name}: {len(sent) - len(found)} of {len(sent)} leads were not routed in {PATIENCE} s"
        )
    times = [(found[lead_id] - began) * 1000 for lead_id, began in sent.items()]
    heard[name] += times
    return _at(0.99, times)


async def _post(url: str, count: int, name: str) -> dict[str, float]:
    """Post so many leads at the rate, each of another person: when each POST began, by the id it was answered."""
    began_by_id: dict[str, float] = {}

    async def post(number: int) -> None:
        lead = {
            "email": f"{name}-{number}@example.com",
            "name": "Sam Example",
            "source": ("demo request", "referral", "outbound")[number % 3],
        }
        began = time.time()
        answer = await client.post("/hooks/open", json=lead)
        answer.raise_for_status()
        began_by_id[answer.json()["id"]] = began

    async with (
        httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client,
        asyncio.TaskGroup() as group,
    ):
        start = time.monotonic()
        for number in range(count):
            await asyncio.sleep(start + number / RATE - time.monotonic())
            group.create_task(post(number))
    return began_by_id


@contextmanager
def _our_fleet(store: Server, config: Path, scratch: Path) -> Iterator[str]:
    """The processes of the Procfile: the address of the web one."""
    port = free_port()
    environment = {
        "REDIS_URL": store.url,
        "PORT": str(port),
        "STL_HOST": "127.0.0.1",
        "STL_CONFIG_DIR": str(config),
    }
    with ExitStack() as stack:
        for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines():
            name, _, command = line.partition(":")
            if name == "release":
                continue
            program, *arguments = shlex.split(command)
            module = {"celery": "celery", "speed-to-lead": "speed_to_lead.cli"}[program]
            process = stack.enter_context(
                running(python("-m", module, *arguments), environment, scratch / f"{name}.log")
            )
            if name == "web":
                process.wait_for(lambda: speaks(port), "the web process")
        _wait_for_routing(store)
        yield f"http://127.0.0.1:{port}"


def _wait_for_routing(store: Server) -> None:
    """Return once every stage has shown a sign of life."""
    opened = open_store(store.url)
    limit = time.monotonic() + 30
    while {"web", "router", "clock", "courier"} - {
        process.partition("@")[0]
        for process, age in opened.operations.health().heartbeats.items()
        if age < 1.5
    }:
        if time.monotonic() > limit:
            raise RuntimeError("not every stage has shown a sign of life")
        time.sleep(0.1)
    opened.close()


@contextmanager
def _their_fleet(store: Server, scratch: Path) -> Iterator[str]:
    port = free_port()
    environment = {"REDIS_URL": store.url}
    worker = python("-m", "celery", "-q", "-A", "benchmarks.peers.fastapi_celery:celery", "worker", "-c", "2")
    lean = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    with (
        running([*worker, *lean], environment, scratch / "peer-worker.log"),
        running(
            [*uvicorn("fastapi_celery:app"), "--port", str(port)], environment, scratch / "peer-web.log"
        ) as web,
    ):
        web.wait_for(lambda: speaks(port), "the peer's web process")
        yield f"http://127.0.0.1:{port}"


def _routed_by_us(store: Server, ids: list[str]) -> dict[str, float]:
    opened = open_store(store.url)
    routed = {
        lead_id: to_ms(entry.at) / 1000
        for lead_id in ids
        for entry in opened.leads.history(lead_id)
        if entry.event == "lead.routed"
    }
    opened.close()
    return routed


def _routed_by_them(store: Server, ids: list[str]) -> dict[str, float]:
    with redis.Redis.from_url(store.url) as client:
        pipe = client.pipeline(transaction=False)
        for lead_id in ids:
            pipe.hget(f"peer:lead:{lead_id}", "routed_at")
        noted = pipe.execute()
    return {lead_id: int(at) / 1000 for lead_id, at in zip(ids, noted, strict=True) if at is not None}
