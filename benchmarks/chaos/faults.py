"""Every fault: what it does, for how long, and how it is undone. One function each, one registry at the end.

A fault takes the world, the blow (whom, how long, how much) and an event that ends it early. It has undone what it
did when it returns, whatever happened meanwhile.
"""

import contextlib
import math
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import redis

from benchmarks.chaos.clock import Clock
from benchmarks.chaos.fleet import CREW, Fleet, Member
from benchmarks.chaos.journal import Journal
from benchmarks.chaos.plan import Blow, Fault
from benchmarks.chaos.proxy import Link, Proxy
from benchmarks.chaos.server import Server

ALL = "all"
FRONT = "front"

#: Key names of speed-to-lead that a fault damages; what it makes of them is the product's business.
BROKER_KEYS = "{stl}:celery:*"
DUE = "{stl}:leads:due"
WAITING = "{stl}:leads:waiting"
HINTS = ("{stl}:hint:route", "{stl}:hint:deliver")
#: What a host's clock is off by after a step, at most.
LONGEST_STEP = 60.0


class Troubled(Protocol):
    """The destinations."""

    trouble: bool


@dataclass(slots=True)
class World:
    """All that can break. The clocks are None where they cannot be made to step. `add(name, stage)` makes a new member."""

    journal: Journal
    server: Server
    proxy: Proxy
    fleet: Fleet
    add: Callable[[str, str], Member]
    sink: Troubled
    server_clock: Clock | None = None
    hosts_clock: Clock | None = None
    #: Faults that could not be done or undone: the run proves nothing then.
    broken: list[str] = field(default_factory=list)
    #: One for each group: a fault that takes longer than planned keeps the next of its group waiting.
    turns: dict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))


def strike(world: World, blow: Blow, over: threading.Event) -> None:
    """Do it, note its beginning and end, and never raise. Those of one group wait for each other."""
    group = FAULTS[blow.fault].group
    with world.turns[group] if group else contextlib.nullcontext():
        _strike(world, blow, over)


def _strike(world: World, blow: Blow, over: threading.Event) -> None:
    details = {"target": blow.target, "seconds": blow.seconds, "amount": blow.amount}
    if blow.fault in CLOCK_FAULTS:
        details["step"] = step_of(blow)
    world.journal.write("fault", name=blow.fault, phase="begin", details=details)
    try:
        FAULTS[blow.fault].strike(world, blow, over)
    except Exception as error:  # noqa: BLE001 - the other faults go on; the report says it
        world.broken.append(f"{blow.fault} of {blow.target}: {type(error).__name__}: {error}")
    world.journal.write("fault", name=blow.fault, phase="end", details=details)


# --- processes -------------------------------------------------------------------------------------------------


def kill(world: World, blow: Blow, over: threading.Event) -> None:
    """Kill -9; whoever supervises starts it again."""
    for member in _members(world, blow.target):
        member.signal(signal.SIGKILL)
    over.wait(blow.seconds)


def restart(world: World, blow: Blow, over: threading.Event) -> None:
    """SIGTERM, as at every deploy; whoever supervises starts it again."""
    for member in _members(world, blow.target):
        member.signal(signal.SIGTERM)
    over.wait(blow.seconds)


def freeze(world: World, blow: Blow, over: threading.Event) -> None:
    """SIGSTOP, as a laptop closed or a machine that swaps; then it goes on as if nothing had been."""
    frozen = _members(world, blow.target)
    for member in frozen:
        member.signal(signal.SIGSTOP)
    try:
        over.wait(blow.seconds)
    finally:
        for member in frozen:
            member.signal(signal.SIGCONT)


def one_more(world: World, blow: Blow, over: threading.Event) -> None:
    """One more process of a stage, for a while: a scale up and down, or a double deploy."""
    member = world.add(f"{blow.target}-{3 + int(blow.amount * 1e6)}", blow.target)
    try:
        over.wait(blow.seconds)
    finally:
        world.fleet.remove(member)
        world.proxy.close_link(member.name)


# --- server ----------------------------------------------------------------------------------------------------


def server_killed(world: World, blow: Blow, over: threading.Event) -> None:
    """Kill -9; after a while it starts on its append-only file."""
    world.server.kill()
    try:
        over.wait(blow.seconds)
    finally:
        world.server.start()


#: Microseconds.
SHORTEST_SLEEP = 60.0


def server_loads(world: World, blow: Blow, over: threading.Event) -> None:
    """Kill -9, and a start so slow that it answers LOADING meanwhile. The file is small, so each command is slowed."""
    world.server.kill()
    commands = max(world.server.log_size() / 150, 1000)
    each = blow.seconds * 1e6 / commands
    # The shortest sleep takes some 60 us; a negative delay is such a sleep once in so many commands.
    delay = int(each) if each >= SHORTEST_SLEEP else -math.ceil(SHORTEST_SLEEP / each)
    world.server.launch(f"key-load-delay {delay}")
    try:
        over.wait(blow.seconds)
        world.server.wait_until_ready(6 * blow.seconds + 10)
    finally:
        if not _answers(world.server):
            world.server.kill()
            world.server.start()


def server_frozen(world: World, blow: Blow, over: threading.Event) -> None:
    """SIGSTOP: it answers nobody, and no connection ends."""
    world.server.signal(signal.SIGSTOP)
    try:
        over.wait(blow.seconds)
    finally:
        world.server.signal(signal.SIGCONT)


def server_full(world: World, blow: Blow, over: threading.Event) -> None:
    """Its memory is used up: every write is refused with OOM, reads go on."""
    world.server.command("CONFIG", "SET", "maxmemory", 1)
    try:
        over.wait(blow.seconds)
    finally:
        _insist(world.server, "CONFIG", "SET", "maxmemory", 0)


def server_read_only(world: World, blow: Blow, over: threading.Event) -> None:
    """It was made a replica of a primary that is gone: every write is refused with READONLY."""
    world.server.command("REPLICAOF", "127.0.0.1", 1)
    try:
        over.wait(blow.seconds)
    finally:
        _insist(world.server, "REPLICAOF", "NO", "ONE")


def disk_full(world: World, blow: Blow, over: threading.Event) -> None:
    """Its file may not grow: with appendfsync always it ends itself, and so does each one started after it."""
    server, limit = world.server, world.server.log_size() + int(blow.amount * 4000)
    server.limit_files(limit)
    try:
        until = time.monotonic() + blow.seconds
        while time.monotonic() < until and not over.wait(0.5):
            if not server.is_running:
                server.launch()
                server.limit_files(limit)
    finally:
        if server.is_running:
            server.limit_files(None)
        server.start()


def disk_errors(world: World, blow: Blow, over: threading.Event) -> None:
    """Its file may not grow, and it is set to go on without: every write is refused with MISCONF."""
    server = world.server
    server.command("CONFIG", "SET", "appendfsync", "everysec")
    server.limit_files(server.log_size())
    try:
        over.wait(blow.seconds)
    finally:
        server.limit_files(None)
        # Whatever it could not write it writes now, before anybody may kill it.
        _wait_for(lambda: b"aof_last_write_status:ok" in _raw_info(server), "the append-only file is whole")
        _insist(server, "CONFIG", "SET", "appendfsync", "always")


# --- network ---------------------------------------------------------------------------------------------------


def cut(world: World, blow: Blow, over: threading.Event) -> None:
    """Connections are reset, and new ones too."""
    with _links(world, blow.target) as links:
        for link in links:
            link.is_cut = True
            world.proxy.do(link.cut())
        over.wait(blow.seconds)


def cut_now_and_then(world: World, blow: Blow, over: threading.Event) -> None:
    """Connections are reset again and again; new ones are taken at once."""
    dice = random.Random(blow.amount)
    until = time.monotonic() + blow.seconds
    while time.monotonic() < until:
        for link in _links_of(world, blow.target):
            world.proxy.do(link.cut())
        if over.wait(dice.uniform(0.05, 1.0)):
            return


def delay(world: World, blow: Blow, over: threading.Event) -> None:
    """Every packet takes up to three seconds each way: answers come, but later than anybody waits for them."""
    with _links(world, blow.target) as links:
        for link in links:
            link.delay = 0.02 + blow.amount**2 * 3
        over.wait(blow.seconds)


def silence(world: World, blow: Blow, over: threading.Event) -> None:
    """Nothing gets through, and then all of it does, however old."""
    with _links(world, blow.target) as links:
        for link in links:
            link.is_silent = True
        over.wait(blow.seconds)


def half_open(world: World, blow: Blow, over: threading.Event) -> None:
    """What is open now looks open for ever, and nothing comes out of it; new connections work."""
    for link in _links_of(world, blow.target):
        world.proxy.do(link.forget())
    over.wait(blow.seconds)


def lose_answers(world: World, blow: Blow, over: threading.Event) -> None:
    """Requests arrive, some answers do not, or in part: was it done?"""
    with _links(world, blow.target) as links:
        for link in links:
            link.loses_answers = 0.02 + 0.3 * blow.amount
        over.wait(blow.seconds)


# --- what only hints -------------------------------------------------------------------------------------------


def broker_deleted(world: World, blow: Blow, over: threading.Event) -> None:
    """Everything Celery keeps on the server is deleted, again and again."""
    _again_and_again(world, blow, over, _delete_broker_keys)


def hints_stuck(world: World, blow: Blow, over: threading.Event) -> None:
    """Somebody hinted, it says; nobody did, and the note never expires."""
    _again_and_again(world, blow, over, lambda client, _: [client.set(hint, 1) for hint in HINTS])


def index_damaged(world: World, blow: Blow, over: threading.Event) -> None:
    """Leads vanish from the deadline index and from those that wait for a rep, come to stand there wrongly, and some never were."""
    _again_and_again(world, blow, over, _damage_index)


def _delete_broker_keys(client: "redis.Redis", _dice: random.Random) -> None:
    found: list[bytes] = list(client.scan_iter(match=BROKER_KEYS, count=1000))
    if found:
        client.delete(*found)


def _damage_index(client: "redis.Redis", dice: random.Random) -> None:
    members: Any = client.zrange(DUE, 0, -1, withscores=True)
    for lead_id, score in members:
        chance = dice.random()
        if chance < 0.2:
            client.zrem(DUE, lead_id)
        elif chance < 0.5:
            # Only where it stands: whoever moved it meanwhile knew better.
            client.zadd(DUE, {lead_id: score + dice.uniform(-1, 1) * 3_600_000}, xx=True)
    waiting: Any = client.zrange(WAITING, 0, -1)
    for lead_id in waiting:
        if dice.random() < 0.5:
            client.zrem(WAITING, lead_id)
    nobody = {f"nobody-{dice.randrange(10**6)}": dice.uniform(0, time.time() * 1000) for _ in range(3)}
    for index in (DUE, WAITING):
        client.zadd(index, nobody)


def _again_and_again(
    world: World, blow: Blow, over: threading.Event, work: Callable[["redis.Redis", random.Random], object]
) -> None:
    dice = random.Random(blow.amount)
    until = time.monotonic() + blow.seconds
    while time.monotonic() < until:
        # The server may be what is broken just now; then there is nothing to delete.
        with contextlib.suppress(redis.RedisError), world.server.client() as client:
            work(client, dice)
        if over.wait(dice.uniform(0.1, 1.0)):
            return


def destinations_in_trouble(world: World, blow: Blow, over: threading.Event) -> None:
    """Everybody who is to be told refuses, hangs, or answers nonsense."""
    world.sink.trouble = True
    try:
        over.wait(blow.seconds)
    finally:
        world.sink.trouble = False


# --- clocks ----------------------------------------------------------------------------------------------------


def server_clock_steps(world: World, blow: Blow, over: threading.Event) -> None:
    """The server's clock steps, and later steps back."""
    _step(world.server_clock, blow, over)


def hosts_clock_steps(world: World, blow: Blow, over: threading.Event) -> None:
    """The clock of the host of all processes steps, the server's does not; later it steps back."""
    _step(world.hosts_clock, blow, over)


def step_of(blow: Blow) -> float:
    """Seconds: far or near, forward or back."""
    span = 1 + (LONGEST_STEP - 1) * abs(2 * blow.amount - 1)
    return round(math.copysign(span, blow.amount - 0.5), 3)


def _step(clock: Clock | None, blow: Blow, over: threading.Event) -> None:
    assert clock is not None, "clock faults are planned only where clocks can step"
    clock.step(step_of(blow))
    try:
        over.wait(blow.seconds)
    finally:
        clock.step(0.0)


# --- with what they are done and undone ------------------------------------------------------------------------


def _members(world: World, target: str) -> list[Member]:
    members = list(world.fleet.members.values())
    return [member for member in members if target in (ALL, member.name, member.stage)]


def _links_of(world: World, target: str) -> list[Link]:
    links = dict(world.proxy.links)
    if target == ALL:
        return [link for name, link in links.items() if name != FRONT]
    return [link for name, link in links.items() if name == target]


@contextlib.contextmanager
def _links(world: World, target: str) -> Iterator[list[Link]]:
    """The links of a target; afterwards they are as good as new, and so are their connections."""
    links = _links_of(world, target)
    try:
        yield links
    finally:
        for link in links:
            link.is_cut = link.is_silent = False
            link.delay = link.loses_answers = 0.0


def _answers(server: Server) -> bool:
    try:
        server.command("GET", "is it loaded")
    except redis.RedisError:
        return False
    return True


def _raw_info(server: Server) -> bytes:
    with server.client() as client:
        client.set_response_callback("INFO", lambda answer, **_: answer)
        answer: bytes = client.execute_command("INFO", "persistence")
    return answer


def _insist(server: Server, *words: Any) -> None:
    """Undoing must succeed: a server that is slow to answer is asked again."""

    def done() -> bool:
        try:
            server.command(*words)
        except redis.RedisError:
            return False
        return True

    _wait_for(done, " ".join(map(str, words)))


def _wait_for(claim: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    limit = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > limit:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)


# --- the registry ----------------------------------------------------------------------------------------------

_NAMES = {stage: tuple(f"{stage}-{number + 1}" for number in range(count)) for stage, count in CREW.items()}
_EVERYBODY = tuple(name for names in _NAMES.values() for name in names)
# As likely for all, or between form tools and web, as for one process.
_ANY_LINK = (*_EVERYBODY, *(ALL, FRONT) * 4)

FAULTS: dict[str, Fault] = {
    **{f"kill-{stage}": Fault(kill, (*_NAMES[stage], stage), (0.1, 2)) for stage in CREW},
    **{f"freeze-{stage}": Fault(freeze, (*_NAMES[stage], stage), (1, 40)) for stage in CREW},
    **{f"restart-{stage}": Fault(restart, (*_NAMES[stage], stage), (0.1, 2)) for stage in CREW},
    "kill-all": Fault(kill, (ALL,), (0.1, 2)),
    "restart-all": Fault(restart, (ALL,), (0.1, 2)),
    "one-more": Fault(one_more, tuple(CREW), (5, 40)),
    "server-killed": Fault(server_killed, ("server",), (0, 8), "server"),
    "server-loading": Fault(server_loads, ("server",), (2, 8), "server"),
    "server-frozen": Fault(server_frozen, ("server",), (1, 15), "server"),
    "server-out-of-memory": Fault(server_full, ("server",), (1, 12), "server"),
    "server-read-only": Fault(server_read_only, ("server",), (1, 12), "server"),
    "server-disk-full": Fault(disk_full, ("server",), (1, 8), "server"),
    "server-disk-errors": Fault(disk_errors, ("server",), (1, 8), "server"),
    "network-cut": Fault(cut, _ANY_LINK, (0.5, 15)),
    "network-flaky": Fault(cut_now_and_then, _ANY_LINK, (1, 10)),
    "network-slow": Fault(delay, _ANY_LINK, (2, 15)),
    "network-silent": Fault(silence, _ANY_LINK, (1, 20)),
    "network-half-open": Fault(half_open, _ANY_LINK, (0.1, 1)),
    "network-answers-lost": Fault(lose_answers, _ANY_LINK, (2, 10)),
    "broker-deleted": Fault(broker_deleted, ("server",), (0.5, 10)),
    "hints-stuck": Fault(hints_stuck, ("server",), (0.5, 10)),
    "index-damaged": Fault(index_damaged, ("server",), (0.5, 10)),
    "destinations-in-trouble": Fault(destinations_in_trouble, ("sink",), (3, 30), "sink"),
    "clock-of-server": Fault(server_clock_steps, ("server",), (3, 20), "server clock"),
    "clock-of-hosts": Fault(hosts_clock_steps, ("hosts",), (3, 20), "hosts clock"),
}
#: Only where there is a compiler to build the stepping clock with.
CLOCK_FAULTS = ("clock-of-server", "clock-of-hosts")
