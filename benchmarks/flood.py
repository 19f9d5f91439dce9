"""In a flood, do five-minute leads overtake those due in a day? What is absorbed, how does the backlog drain?

Two forms of it, each with the patient lane and as if there were none:

- a backlog put straight into the stream, so that the routers alone are measured (each round, with one router and two)
- submissions offered to the hook, more than the machine can take, for a minute (once each; two routers)

One in twenty asks for a demo (due in five minutes), the others are on a list for outbound (due in 24 open hours). The
rules are those shipped, with a form that anybody may post to. No courier and no clock runs: only routing is measured.
"""

import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self
from unittest import mock

import httpx
from tests.processes import ROOT, RunningProcess, bare_environment, procfile, runnable
from tests.servers import RealServer, free_port, wait_until

from benchmarks.finding import Check, Contender, Finding, Plot, Series, in_turns, ratio
from benchmarks.flood_crew import CONNECTIONS, FORM, body
from speed_to_lead import flow
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.submission import Submission
from speed_to_lead.flow import routing
from speed_to_lead.store import Lane, QueueEntry
from speed_to_lead.store.queue import stream_fields
from speed_to_lead.store.redis_store import RedisStore, open_store
from speed_to_lead.workplace import Workplace, channels, read_config

#: One in so many is urgent.
SHARE = 0.05
SENDERS = 2
#: Seconds that a drain may take before the run is given up.
LIMIT = 3_600.0
#: Leads of each kind whose waits are looked up, spread over all of them: each is a round trip.
LOOKED_UP = 2_000
ONE, TWO = "one", "two"


@dataclass(frozen=True, slots=True)
class Size:
    """How large a flood: entries put into the stream; submissions a second for so many seconds."""

    entries: int = 60_000
    rate: float = 10_000.0
    seconds: float = 60.0
    routers: int = 2


@dataclass(frozen=True, slots=True)
class Wait:
    """One lead: seconds from the first receipt of the flood to its own, and from that to its routing."""

    came: float
    waited: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one flood came to. `backlog`: seconds since it began, depth of the incoming and of the patient lane."""

    urgent: list[Wait]
    patient: list[Wait]
    backlog: list[tuple[float, int, int]]
    drained_after: float
    leads: int
    doubled: int
    difference: int
    answers: dict[str, int] = field(default_factory=dict)

    @property
    def urgent_p99(self) -> float:
        """Seconds that 99 of 100 urgent leads waited at the most."""
        return percentile([wait.waited for wait in self.urgent], 0.99)

    @property
    def patient_median(self) -> float:
        """Seconds that half of the others waited at the most."""
        return percentile([wait.waited for wait in self.patient], 0.5)

    @property
    def lost(self) -> int:
        """Submissions that were answered 200, or put into the stream, and are no lead."""
        return max(self.answers.get("200", 0) - self.leads, 0)


def measure(rounds: int, scratch: Path, size: Size | None = None) -> Finding:
    """Measure both forms of the flood."""
    size = size or Size()
    names = {(lanes, n): _name(lanes, n) for n in (1, 2) for lanes in (TWO, ONE)}
    found: dict[str, list[Outcome]] = {name: [] for name in names.values()}

    def loaded(lanes: str, routers: int) -> float:
        number = sum(map(len, found.values()))
        outcome = from_the_stream(scratch / f"stream-{number}", size.entries, lanes, routers)
        found[_name(lanes, routers)].append(outcome)
        return outcome.urgent_p99

    rows = in_turns(
        [
            Contender(name, lambda lanes=lanes, n=n: loaded(lanes, n))  # type: ignore[misc]
            for (lanes, n), name in names.items()
        ],
        rounds,
    )
    hooked = {lanes: through_the_hook(scratch / f"hook-{lanes}", size, lanes) for lanes in (TWO, ONE)}
    costs = [sorting_cost(scratch / f"cost-{number}", min(size.entries, 2_000)) for number in range(rounds)]
    everything = [outcome for outcomes in (*found.values(), list(hooked.values())) for outcome in outcomes]
    two = hooked[TWO]
    slower = statistics.median(
        a.drained_after / b.drained_after
        for a, b in zip(found[rows[0].name], found[rows[1].name], strict=True)
    )
    checks = (
        Check("urgent p99 in a flood through the hook, of the patient median", _of(two.urgent_p99, two.patient_median), 0.1, at_least=False),
        Check("urgent p99 behind a backlog, of what it is without lanes, one router", ratio(rows[0], rows[1]), 0.5, at_least=False),
        Check("urgent p99 behind a backlog, of what it is without lanes, two routers", ratio(rows[2], rows[3]), 0.5, at_least=False),
        Check("sorting one, of settling it (CPU of router and server)", statistics.median(costs), 1 / 3, at_least=False),
        Check("time until a backlog is drained, of what it is without lanes", slower, 1.4, at_least=False),
        Check("submissions kept and lost", max(one.lost for one in everything), 0, at_least=False),
        Check("people with two leads", max(one.doubled for one in everything), 0, at_least=False),
        Check("difference in the ledger", max(abs(one.difference) for one in everything), 0, at_least=False),
    )  # fmt: skip
    return Finding(
        "flood",
        "How long does an urgent lead wait behind a backlog of patient ones?",
        "s",
        more_is_better=False,
        rows=rows,
        checks=checks,
        plots=(
            *_plots("through the hook", hooked),
            *_plots(
                "put into the stream, one router",
                {TWO: found[rows[0].name][-1], ONE: found[rows[1].name][-1]},
            ),
        ),
        notes=_notes(size),
        figures=_figures(size, hooked, found),
    )


# --- the two forms ---------------------------------------------------------------------------------------------


def from_the_stream(directory: Path, entries: int, lanes: str, routers: int) -> Outcome:
    """Put so many submissions into the stream, and start routers on them."""
    with _site(directory) as site:
        _load(site.store, entries)
        with _Watch(site.store) as watch:
            for _ in range(routers):
                site.start([sys.executable, "-m", "benchmarks.flood_crew", "route", lanes])
            site.wait_until_routed(entries)
        return replace(_outcome(site.store, watch, None), answers={"200": entries})


def through_the_hook(directory: Path, size: Size, lanes: str) -> Outcome:
    """Offer submissions to the hook while routers work; then wait until all is routed."""
    with _site(directory) as site:
        port = site.start_web()
        for _ in range(size.routers):
            site.start([sys.executable, "-m", "benchmarks.flood_crew", "route", lanes])
        site.start_with_a_lead()
        with _Watch(site.store) as watch:
            began = site.store.now()
            senders = [
                subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.flood_crew", "post", str(port), str(size.rate / SENDERS), str(size.seconds), str(SHARE), f"sender{number}"],
                    cwd=ROOT, env=site.environment, stdout=subprocess.PIPE, text=True,
                )
                for number in range(SENDERS)
            ]  # fmt: skip
            answers: dict[str, int] = {}
            for sender in senders:
                said, _ = sender.communicate(timeout=size.seconds + 60)
                for what, count in json.loads(said).items():
                    answers[what] = answers.get(what, 0) + count
            site.wait_until_routed(answers.get("200", 0) + 1)
        outcome = _outcome(site.store, watch, began)
        return replace(outcome, leads=outcome.leads - 1, answers=answers)  # the one to start with


def sorting_cost(directory: Path, entries: int) -> float:
    """What sorting one submission costs, of what settling it costs; in CPU seconds of this process and the server."""
    with _site(directory) as site:
        place = site.place()
        _load(site.store, entries)

        def spent() -> float:
            cpu = site.store.server.client.info("cpu")
            return time.process_time() + float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])

        began = spent()
        left: list[QueueEntry] = []
        with mock.patch.object(routing, "FLOOD", 0):  # to the last one
            while site.store.operations.health().queued > len(left):
                left += routing._take(place, "flood:sorter", {})[0]  # noqa: SLF001
        moved, sorted_for = site.store.operations.health().patient, spent() - began
        assert moved > entries / 2, "hardly anything was put off"
        began = spent()
        while found := site.store.queue.take("flood:settler", routing.ROUTE_BATCH, Lane.PATIENT):
            routing._settle_entries(place, "flood:settler", found)  # noqa: SLF001
        return (sorted_for / entries) / ((spent() - began) / moved)


# --- one site --------------------------------------------------------------------------------------------------


@dataclass
class _Site:
    """A server with the shipped rules, and the processes that work on it."""

    directory: Path
    server: RealServer
    store: RedisStore
    environment: dict[str, str]
    processes: list[RunningProcess] = field(default_factory=list)

    def start(self, command: list[str], **more: str) -> None:
        log = self.directory / f"{len(self.processes)}.log"
        self.processes.append(RunningProcess(command, {**self.environment, **more}, log))

    def start_web(self) -> int:
        """The hook's port, once it answers."""
        port = free_port()
        self.start(runnable(procfile()["web"]), PORT=str(port))

        def answers() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
            return False

        wait_until(answers, "the web process answers", 60)
        return port

    def start_with_a_lead(self) -> None:
        """Return once a router works."""
        self.store.queue.add(_submission(self.store.now(), "first", 0))
        self.wait_until_routed(1)

    def wait_until_routed(self, count: int) -> None:
        """Return once nothing waits and so many at the least are leads."""
        limit = time.monotonic() + LIMIT
        while True:
            ledger = self.store.operations.ledger()
            if ledger.in_flight == 0 and ledger.leads >= count:
                return
            for process in self.processes:
                assert process.is_running, f"a process ended:\n{process.output[-3000:]}"
            if time.monotonic() > limit:
                raise TimeoutError(f"{ledger.in_flight} submissions still wait after {LIMIT:.0f} s")
            time.sleep(0.1)

    def place(self) -> Workplace:
        config = read_config(Path(self.environment["STL_CONFIG_DIR"]))
        return Workplace(self.store, config, channels(config.destinations, {}))


@contextlib.contextmanager
def _site(directory: Path) -> Iterator[_Site]:
    directory.mkdir(parents=True)
    rules = directory / "config"
    shutil.copytree(ROOT / "config", rules)
    shutil.rmtree(rules / "tests", ignore_errors=True)
    with (rules / "intake.toml").open("a", encoding="utf-8") as intake:
        intake.write(f'\n[forms.{FORM}]\nprovider = "generic"\nauth = "none"\n')
    server = RealServer(directory)
    server.start("--appendfsync", "everysec")
    store = open_store(server.url)
    path = f"{ROOT / 'src'}:{ROOT}"
    environment = bare_environment(REDIS_URL=server.url, STL_CONFIG_DIR=str(rules)) | {"PYTHONPATH": path}
    site = _Site(directory, server, store, environment)
    try:
        yield site
    finally:
        for process in site.processes:
            process.kill()
        store.close()
        server.stop(kill=True)
        shutil.rmtree(directory)


def _load(store: RedisStore, entries: int) -> None:
    now, client = store.now(), store.server.client
    for start in range(0, entries, 1_000):
        pipe = client.pipeline(transaction=False)
        for number in range(start, min(start + 1_000, entries)):
            pipe.xadd(store.server.keys.incoming, stream_fields(_submission(now, "loaded", number)))
        pipe.execute()


def _submission(now: datetime, sender: str, number: int) -> Submission:
    return Submission(flow.new_submission_id(now), FORM, now, body(sender, number, SHARE), "application/json")


class _Watch:
    """Looks at both lanes ten times a second, in a thread."""

    def __init__(self, store: RedisStore) -> None:
        self._client, self._keys = store.server.client, store.server.keys
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.seen: list[tuple[float, int, int]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _look(self) -> None:
        began = time.monotonic()
        while not self._stop.wait(0.1):
            pipe = self._client.pipeline(transaction=False)
            pipe.xlen(self._keys.incoming)
            pipe.xlen(self._keys.patient)
            incoming, patient = pipe.execute()
            self.seen.append((time.monotonic() - began, incoming, patient))


# --- what it came to -------------------------------------------------------------------------------------------


def _outcome(store: RedisStore, watch: _Watch, zero: datetime | None) -> Outcome:
    """`zero`: when the flood began; None for the first decision of a router, where the backlog was there before."""
    came: dict[bool, list[tuple[datetime, str]]] = {True: [], False: []}
    emails: list[str] = []
    cursor = ""
    while True:
        ids, cursor = store.leads.scan(cursor, 1_000)
        for lead in store.leads.get_many(ids):
            assert isinstance(lead, Lead), lead
            emails.append(str(lead.lead.get("email")))
            if not emails[-1].startswith("first-"):
                is_urgent = lead.deadline - lead.received_at < timedelta(hours=1)
                came[is_urgent].append((lead.received_at, lead.id))
        if not cursor:
            break
    routed = {is_urgent: _routed(store, sorted(found)) for is_urgent, found in came.items()}
    start = zero or min(at for found in routed.values() for _, at in found)
    waits = {
        is_urgent: [
            Wait((max(at, start) - start).total_seconds(), max((then - max(at, start)).total_seconds(), 0.0))
            for at, then in found
        ]
        for is_urgent, found in routed.items()
    }
    return Outcome(
        urgent=waits[True],
        patient=waits[False],
        backlog=watch.seen,
        drained_after=max(wait.came + wait.waited for found in waits.values() for wait in found),
        leads=len(emails),
        doubled=len(emails) - len(set(emails)),
        difference=store.operations.ledger().difference,
    )


def _routed(store: RedisStore, leads: Sequence[tuple[datetime, str]]) -> list[tuple[datetime, datetime]]:
    """Receipt and routing of some of these leads, spread over all of them."""
    some = leads[:: max(len(leads) // LOOKED_UP, 1)]
    return [(received_at, store.leads.history(lead_id)[0].at) for received_at, lead_id in some]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def _of(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _name(lanes: str, routers: int) -> str:
    how = "with the patient lane" if lanes == TWO else "without it"
    return f"urgent p99, {how}, {routers} router{'s' if routers > 1 else ''}"


_SHOWN = {TWO: "with the patient lane", ONE: "without it"}


def _plots(where: str, outcomes: Mapping[str, Outcome]) -> tuple[Plot, Plot]:
    waits = tuple(
        Series(f"{kind}, {_SHOWN[lanes]}", _medians_by_second(found))
        for lanes, outcome in outcomes.items()
        for kind, found in (("urgent", outcome.urgent), ("patient", outcome.patient))
    )
    depths = tuple(
        Series(f"{lane}, {_SHOWN[lanes]}", _thinned([(at, float(depth[number])) for at, *depth in outcome.backlog]))
        for lanes, outcome in outcomes.items()
        for number, lane in enumerate(("incoming", "put off"))
        if lanes == TWO or number == 0
    )  # fmt: skip
    x = "seconds since the flood began"
    return (
        Plot(f"A flood {where}: who waits how long", f"{x}, at receipt", "seconds from receipt to routing", waits),
        Plot(f"A flood {where}: the backlog", x, "submissions not settled", depths),
    )  # fmt: skip


def _medians_by_second(waits: Sequence[Wait]) -> tuple[tuple[float, float], ...]:
    by_second: dict[int, list[float]] = {}
    for wait in waits:
        by_second.setdefault(int(wait.came), []).append(wait.waited)
    return tuple((float(second), statistics.median(found)) for second, found in sorted(by_second.items()))


def _thinned(points: Sequence[tuple[float, float]], most: int = 400) -> tuple[tuple[float, float], ...]:
    return tuple(points[:: max(len(points) // most, 1)])


def _notes(size: Size) -> tuple[str, ...]:
    return (
        f"One submission in {1 / SHARE:.0f} asks for a demo (due in five minutes), the others are outbound (24 open hours); rules as shipped.",
        f"{size.entries:,} entries put into the stream before the routers start: an urgent lead waits from the first decision to its own.",
        f"{size.rate:,.0f} a second offered to the hook for {size.seconds:.0f} s over {SENDERS * CONNECTIONS} keep-alive connections.",
        "Each waits for its answer before it posts again; what could not be sent in that time counts as not sent.",
        "Senders, web process, routers and server share this machine's cores; AOF is on, with a sync each second.",
        "Without the lane: the same router with its sorting taken out, in the benchmark only.",
        "Routers run without Celery: they ask again at once, as its hints would make them, and each second for what others left.",
    )


def _figures(
    size: Size, hooked: Mapping[str, Outcome], found: Mapping[str, Sequence[Outcome]]
) -> dict[str, float]:
    figures: dict[str, float] = {}
    for lanes, outcome in hooked.items():
        answers, how = outcome.answers, _SHOWN[lanes]
        kept = answers.get("200", 0)
        refused = sum(n for what, n in answers.items() if what.isdigit() and what != "200")
        figures |= {
            f"hook, {how}: kept (200), submissions/s": kept / size.seconds,
            f"hook, {how}: refused (503 and other answers), submissions/s": refused / size.seconds,
            f"hook, {how}: connections that broke": float(answers.get("broken", 0)),
            f"hook, {how}: not sent in time, submissions/s": (answers["offered"] - answers["sent"]) / size.seconds,
            f"hook, {how}: deepest backlog, submissions": float(max(a + b for _, a, b in outcome.backlog)),
            f"hook, {how}: drained, seconds after the flood began": outcome.drained_after,
            f"hook, {how}: urgent median, s": percentile([w.waited for w in outcome.urgent], 0.5),
            f"hook, {how}: urgent p99, s": outcome.urgent_p99,
            f"hook, {how}: patient median, s": outcome.patient_median,
            f"hook, {how}: patient p99, s": percentile([w.waited for w in outcome.patient], 0.99),
        }  # fmt: skip
    for name, outcomes in found.items():
        which = name.removeprefix("urgent p99, ")
        figures[f"stream, {which}: patient median, s"] = statistics.median(o.patient_median for o in outcomes)
        figures[f"stream, {which}: drained after, s"] = statistics.median(o.drained_after for o in outcomes)
    return figures
