"""The hook: how many submissions a second one web process takes, beside what could be had and what would be written instead.

Each contender is one process under uvicorn with the same options, loaded by the same sixty-four keep-alive
connections from this process; all keep what they keep on one Valkey that has every write on disk before it answers.
What is answered with 200 and is not stored afterwards ends the benchmark: nothing is counted that was not kept.
"""

import base64
import hashlib
import hmac
import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import hiredis
import redis
from tests.servers import free_port

from benchmarks.finding import Check, Contender, Finding, Row, in_turns, ratio
from benchmarks.machine import Process, Server, python, running, server
from benchmarks.peers import xadd_hook
from benchmarks.senders import Answers, load, request_of
from speed_to_lead.store.keys import Keys

#: Seconds of each run: those before the counting begins, and those that are counted.
WARM, SECONDS = 0.7, 2.5
SMALL_WARM, SMALL_SECONDS = 0.4, 1.5
#: Entries in one pipeline of the bare XADDs.
PIPELINE = 500

BODY = json.dumps(
    {
        "email": "sam@example.com",
        "name": "Sam Example",
        "company": "Example Ltd",
        "title": "Head of Operations",
        "employees": 240,
        "country": "US",
        "source": "demo request",
        "message": "We answer forms by hand and lose about one in five. Can you show us how this works next week?",
        "utm_source": "newsletter",
        "utm_medium": "email",
        "utm_campaign": "autumn",
        "landing_page": "https://www.example.com/demo?utm_source=newsletter",
        "consent": True,
    }
).encode()

_SECRET = "an-invented-secret"
_INTAKE = """
[forms.open]
provider = "generic"
auth = "none"

[forms.signed]
provider = "typeform"
secret_env = "BENCHMARK_SECRET"
"""
OURS = "speed-to-lead web"
EMPTY, EMPTY_READING = "empty Starlette handler", "empty Starlette handler, body read"
CELERY = "FastAPI + task.delay()"
#: What the budgets compare.
IN_BUDGETS = (OURS, EMPTY, EMPTY_READING, CELERY)


@dataclass(frozen=True, slots=True)
class Peer:
    """A contender that is a web process: what to start, where to post, how much of what it answered is kept."""

    name: str
    command: list[str]
    request: bytes
    count_kept: Callable[[Server, Answers], int] | None = None


@dataclass(slots=True)
class Costs:
    """CPU microseconds per request of each run: of the web process, of the server, and of the sender."""

    web: list[float]
    server: list[float]
    sender: list[float]


def measure(rounds: int, scratch: Path, *, small: bool = False) -> Finding:
    """Requests per second of each contender, in turns; with `small` those of the budgets only, and not for long."""
    costs: dict[str, Costs] = {}
    config = config_with_forms(scratch / "config")
    warm, seconds = (SMALL_WARM, SMALL_SECONDS) if small else (WARM, SECONDS)
    with server(scratch / "data") as store:
        peers = [peer for peer in _peers() if peer.name in IN_BUDGETS or not small]
        bare = [] if small else [Contender("bare XADD pipelines", lambda: _bare_xadd(store))]
        runs = [
            Contender(peer.name, partial(_run, peer, store, config, scratch, costs, warm, seconds))
            for peer in peers
        ]
        rows = in_turns([*runs, *bare], rounds)
    return _finding(rows, costs)


def _finding(rows: tuple[Row, ...], costs: dict[str, Costs]) -> Finding:
    by_name = {row.name: row for row in rows}
    ours = by_name[OURS]
    celery = max((row for row in rows if "task.delay" in row.name), key=lambda row: row.median)
    figures = {}
    for name, cost in costs.items():
        for part, values in (("web", cost.web), ("server", cost.server), ("sender", cost.sender)):
            figures[f"{name}: {part}, CPU µs per request"] = round(sorted(values)[len(values) // 2], 1)
    return Finding(
        name="hook",
        question="How many submissions a second does one web process keep?",
        unit="requests/s",
        more_is_better=True,
        rows=rows,
        checks=(
            Check(
                "hook requests/s over an empty Starlette handler that reads the body",
                ratio(ours, by_name[EMPTY_READING]),
                0.6,
                at_least=True,
            ),
            Check(
                "hook requests/s over an empty Starlette handler that does not",
                ratio(ours, by_name[EMPTY]),
                0.6,
                at_least=True,
            ),
            Check("hook requests/s over FastAPI + task.delay()", ratio(ours, celery), 8.0, at_least=True),
        ),
        notes=(
            "Every contender is one process under uvicorn with uvloop and httptools and without an access log, loaded over 64 keep-alive connections.",
            "Sender, web process and server share the same cores; every write is on disk (appendfsync always) before it is answered.",
            "Each id that was answered with 200 was looked for in the stream afterwards.",
        ),
        figures=figures,
    )


def uvicorn(app: str) -> list[str]:
    """The command of a peer's web process, under the server ours runs under; its port is to be added."""
    options = (
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--ws",
        "none",
        "--no-access-log",
        "--log-level",
        "warning",
    )
    return python("-m", "uvicorn", f"benchmarks.peers.{app}", "--no-server-header", *options)


def _peers() -> list[Peer]:
    signature = base64.b64encode(hmac.digest(_SECRET.encode(), BODY, hashlib.sha256)).decode()
    ours = python("-m", "speed_to_lead.cli", "web")

    def post(path: str, **headers: str) -> bytes:
        return request_of(path, BODY, {name.replace("_", "-"): text for name, text in headers.items()})

    return [
        Peer(OURS, ours, post("/hooks/open"), _kept_by_us),
        Peer(
            f"{OURS}, signed",
            ours,
            post("/hooks/signed", Typeform_Signature=f"sha256={signature}"),
            _kept_by_us,
        ),
        Peer("bare ASGI, body read", uvicorn("empty_hook:bare"), post("/hooks/bare")),
        Peer(EMPTY_READING, uvicorn("empty_hook:app"), post("/hooks/reading")),
        Peer(EMPTY, uvicorn("empty_hook:app"), post("/hooks/not-reading")),
        Peer(
            "Starlette + one XADD per request", uvicorn("xadd_hook:app"), post("/hooks/open"), _kept_by_xadd
        ),
        Peer(CELERY, uvicorn("fastapi_celery:app"), post("/hooks/open"), _kept_by_celery),
        Peer(
            "FastAPI + task.delay(), without threads",
            uvicorn("fastapi_celery:app"),
            post("/hooks/waiting"),
            _kept_by_celery,
        ),
    ]


def _run(
    peer: Peer,
    store: Server,
    config: Path,
    scratch: Path,
    costs: dict[str, Costs],
    warm: float,
    seconds: float,
) -> float:
    with _web(peer.command, store, config, scratch) as (web, port):
        heard = load(port, peer.request, warm=warm, seconds=seconds, watched=(web, store.process))
    if heard.refused:
        raise RuntimeError(f"{peer.name} refused: {heard.refused[0][:200]!r}")
    if peer.count_kept is not None and peer.count_kept(store, heard) != len(heard.bodies):
        raise RuntimeError(f"{peer.name} answered 200 to what it did not keep")
    if not heard.counted:
        raise RuntimeError(f"{peer.name} answered nothing in {seconds} s")
    cost = costs.setdefault(peer.name, Costs([], [], []))
    for part, cpu in (
        (cost.web, heard.cpu_of[0]),
        (cost.server, heard.cpu_of[1]),
        (cost.sender, heard.cpu),
    ):
        part.append(cpu / heard.counted * 1e6)
    return heard.per_second


@contextmanager
def _web(command: list[str], store: Server, config: Path, scratch: Path) -> Iterator[tuple[Process, int]]:
    port = free_port()
    environment = {
        "REDIS_URL": store.url,
        "PORT": str(port),
        "STL_HOST": "127.0.0.1",
        "STL_CONFIG_DIR": str(config),
        "BENCHMARK_SECRET": _SECRET,
    }
    is_peer = "uvicorn" in command
    with running(
        [*command, *(["--port", str(port)] if is_peer else [])], environment, scratch / "web.log"
    ) as web:
        web.wait_for(lambda: speaks(port), "the web process")
        yield web, port


def speaks(port: int) -> bool:
    """Whether it answers requests: the port alone is open before that."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return connection.recv(100).startswith(b"HTTP/1.1 ")
    except OSError:
        return False


def config_with_forms(directory: Path) -> Path:
    """The rules of the repository with two forms of our own."""
    shutil.copytree(Path(__file__).parents[1] / "config", directory)
    (directory / "intake.toml").write_text(_INTAKE, encoding="utf-8")
    return directory


def _kept_by_us(store: Server, heard: Answers) -> int:
    return _ids_kept(store, Keys("stl").incoming, heard)


def _kept_by_xadd(store: Server, heard: Answers) -> int:
    return _ids_kept(store, xadd_hook.STREAM, heard)


def _ids_kept(store: Server, stream: str, heard: Answers) -> int:
    """How many of the ids that were answered are in the stream, which is emptied."""
    answered = {json.loads(body)["id"] for body in heard.bodies}
    with redis.Redis.from_url(store.url) as client:
        kept, start = set(), "-"
        while True:
            page: Any = client.xrange(stream, start, "+", count=5000)
            if not page:
                break
            kept |= {fields[b"id"].decode() for _, fields in page}
            start = b"(" + page[-1][0]
        client.delete(stream)
    return len(answered & kept)


def _kept_by_celery(store: Server, _heard: Answers) -> int:
    with redis.Redis.from_url(store.url) as client:
        queued: Any = client.llen("celery")
        client.delete("celery")
    return int(queued)


def _bare_xadd(store: Server) -> float:
    """Entries a second that one Python client adds in pipelines of ready bytes: what the server could take."""
    stream = "{stl}:bare:incoming"
    entry: tuple[Any, ...] = (
        "XADD",
        stream,
        "*",
        "id",
        "0" * 23,
        "form",
        "open",
        "received_at",
        "1700000000000",
        "body",
        BODY,
        "content_type",
        "application/json",
    )
    packed = hiredis.pack_command(entry) * PIPELINE
    with redis.Redis.from_url(store.url) as client:
        connection = client.connection_pool.get_connection()
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < SECONDS:
            connection.send_packed_command([packed])
            for _ in range(PIPELINE):
                connection.read_response()
            count += PIPELINE
        took = time.perf_counter() - began
        client.connection_pool.release(connection)
        client.delete(stream)
    return count / took
