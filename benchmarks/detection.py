"""How late is a missed deadline decided, with many leads open and a thousand falling due in one second?

The clock and the courier are those of the Procfile with a beat; the leads that wait are made by `benchmarks.loader`. What falls
due is the breach of a demo request, the dearest step of the shipped rules: an alert to the manager, and another rep.
The lag is that of the decision as the lead's own history tells it: decided at, less the deadline.

Beside it, a table scan a minute as many write it (SQLite, PostgreSQL), and one Celery task with an ETA for each deadline.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from tests.flow.scene import TimedStore

from benchmarks.finding import ROUNDS, Check, Contender, Finding, Plot, Row, Series, in_turns
from benchmarks.loader import load, load_due, workplace
from benchmarks.peers import celery_eta, scan_postgresql
from benchmarks.peers.scan_sqlite import SqliteScan
from benchmarks.peers.scans import lag_of_scan
from benchmarks.site import SINK_DESTINATION, SINK_SECRET, Sink, Site, cpu_seconds, wait_until
from speed_to_lead import flow
from speed_to_lead.cli.embedded import EmbeddedServer
from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.message import Message
from speed_to_lead.core.response import close_lead
from speed_to_lead.store.redis_store import RedisStore
from speed_to_lead.workplace import Workplace

T = TypeVar("T")

OPEN = (10_000, 100_000, 1_000_000)
DUE = 1000
#: Tasks the Celery worker holds.
HELD = 20_000
#: From when they are loaded until the first of them is due: loading takes a part of it.
AHEAD = timedelta(seconds=8)
SECOND = timedelta(seconds=1)
#: Sweeps that find nothing, for one figure of what such a one costs.
EMPTY_SWEEPS = 400


@dataclass
class _Clocked:
    """A site with so many open leads."""

    count: int
    site: Site
    lags: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    per_due: list[float] = field(default_factory=list)
    per_empty: list[float] = field(default_factory=list)

    def lag(self, due: int) -> float:
        """The 99th percentile of one second's deadlines in seconds, with real processes. What they cost is noted too."""
        self._cost(due)
        self.site.start("clock", "courier", "beat")
        try:
            lags = self._lags(due)
        finally:
            self.site.stop_processes()
        self.lags += lags
        return percentile(lags, 99)

    def _lags(self, due: int) -> list[float]:
        store = self.site.store
        at = store.now() + AHEAD
        ids = load_due(store, self.site.rules, due, at, SECOND)
        assert store.now() < at, f"loading {due} leads took longer than {AHEAD}"
        wait_until(lambda: store.now() > at + SECOND and not store.operations.health().due, "decided", 120)
        wait_until(lambda: store.operations.health().outbox == 0, "delivered", 300)
        lags = []
        for lead, entries in zip(store.leads.get_many(ids), map(store.leads.history, ids), strict=True):
            assert isinstance(lead, Lead)
            late = {
                event: [(one.at - lead.deadline).total_seconds() for one in entries if one.event == event]
                for event in ("lead.breached", "alert.delivered")
            }
            lags += late["lead.breached"]
            self.told += [seconds for seconds in late["alert.delivered"] if seconds >= 0]
        assert len(lags) == due, f"{len(lags)} of {due} were decided"
        self._close(ids)
        return lags

    def _cost(self, due: int) -> None:
        """CPU of a sweep, the server's among it, in microseconds: for each lead that is due, and where none is."""
        store = self.site.store
        at = store.now() + AHEAD
        ids = load_due(store, self.site.rules, due, at, SECOND)
        place = _with_time(workplace(store, self.site.rules), store, at + SECOND)
        cost, swept = self._cpu_of(lambda: flow.sweep(place))
        assert swept.decided == due, f"{swept.decided} of {due} were decided"
        self.per_due.append(cost / due)
        cost, _ = self._cpu_of(lambda: [flow.sweep(place) for _ in range(EMPTY_SWEEPS)])
        self.per_empty.append(cost / EMPTY_SWEEPS)
        for destination in flow.destinations_due(place):
            flow.deliver(place, destination)
        self._close(ids)

    def _close(self, ids: Sequence[str]) -> None:
        """Let no later step of theirs fall due in a later round."""
        leads, now = self.site.store.leads, self.site.store.now()
        closed = [
            close_lead(one, "measured", "benchmark", now)
            for one in leads.get_many(ids)
            if isinstance(one, Lead)
        ]
        leads.change([change for change in closed if change is not None])

    def _cpu_of(self, work: Callable[[], T]) -> tuple[float, T]:
        server = self.site.server_pid
        began, served = time.process_time(), cpu_seconds(server)
        answer = work()
        return (time.process_time() - began + cpu_seconds(server) - served) * 1e6, answer


@dataclass(frozen=True, slots=True)
class _Heard:
    """A destination that hears everything at once."""

    recognises_repeats = True

    def send(self, message: Message, now: datetime) -> Attempt:
        del message, now
        return Attempt(Outcome.DELIVERED)


def _with_time(place: Workplace, store: RedisStore, now: datetime) -> Workplace:
    """The workplace on the store as it is, alerts and all, but at that time, and with everybody listening."""
    return replace(place, store=TimedStore(store, lambda: now), channel=lambda _: _Heard())


def percentile(values: Sequence[float], of_hundred: int) -> float:
    """That percentile, of as few values as there may be."""
    return sorted(values)[min(len(values) * of_hundred // 100, len(values) - 1)]


def measure(rounds: int = ROUNDS, scratch: Path | None = None) -> Finding:
    """The budget's sizes."""
    with tempfile.TemporaryDirectory() as own:
        return measure_sizes(rounds, scratch or Path(own))


def measure_sizes(
    rounds: int, scratch: Path, counts: Sequence[int] = OPEN, due: int = DUE, held: int = HELD
) -> Finding:
    """With each of these numbers of open leads in turn, `due` of them falling due in one second; beside the peers.

    The peers have the largest number; the Celery worker holds `held` tasks, for publishing more takes too long.
    """
    with ExitStack() as ends:
        sink = Sink()
        ends.callback(sink.close)
        sites = []
        for count in counts:
            site = Site(scratch / str(count), SINK_DESTINATION, SINK_URL=sink.url, SINK_SECRET=SINK_SECRET)
            ends.callback(site.end)
            load(site.server.url, site.rules, count)
            sites.append(_Clocked(count, site))
        scans, eta = _scans(scratch, counts[-1], due, ends), _Eta(scratch, due, held, ends)
        rows = in_turns(
            (
                *(Contender(f"speed-to-lead, {s.count:,} open", partial(s.lag, due)) for s in sites[::-1]),
                *(Contender(one.name, one.run, one.missing) for one in scans),
                Contender(f"Celery, a task with an ETA for each deadline, {held:,} waiting", eta.lag),
            ),
            rounds,
        )
    return _finding(rows, sites, scans, eta, due)


@dataclass
class _Scan:
    """A table scan a minute: what a scan takes is measured, the wait for it is computed."""

    name: str
    due: int
    missing: str = ""
    scan: Callable[[int], float] = lambda _: 0.0
    seconds: list[float] = field(default_factory=list)

    def run(self) -> float:
        self.seconds.append(self.scan(self.due))
        return lag_of_scan(self.seconds[-1])


def _scans(scratch: Path, leads: int, due: int, ends: ExitStack) -> list[_Scan]:
    scans = []
    for indexed in (True, False):
        how = "indexed" if indexed else "not indexed"
        sqlite = SqliteScan(scratch / f"{how.replace(' ', '-')}.sqlite", leads, indexed=indexed)
        ends.callback(sqlite.close)
        scans.append(_Scan(f"SQLite scanned once a minute, {how}, {leads:,} open", due, scan=sqlite.scan))
        name = f"PostgreSQL scanned once a minute, {how}, {leads:,} open"
        if why := scan_postgresql.missing():
            scans.append(_Scan(name, due, why))
            continue
        postgresql = scan_postgresql.PostgresqlScan(leads, indexed=indexed)
        ends.callback(postgresql.close)
        scans.append(_Scan(name, due, scan=postgresql.scan))
    return scans


class _Eta:
    """Celery on a server of its own, with the same settings as ours."""

    def __init__(self, scratch: Path, due: int, held: int, ends: ExitStack) -> None:
        self._scratch, self._due, self._held = scratch / "celery-eta", due, held
        self._scratch.mkdir()
        self._server = EmbeddedServer(self._scratch / "data")
        self._server.start()
        ends.callback(self._server.stop)
        self.runs: list[celery_eta.EtaRun] = []

    def lag(self) -> float:
        self.runs.append(celery_eta.run(self._server.url, self._due, self._held, self._scratch))
        return percentile(self.runs[-1].lags, 99)


def _finding(
    rows: tuple[Row, ...], sites: Sequence[_Clocked], scans: Sequence[_Scan], eta: _Eta, due: int
) -> Finding:
    most, least = max(sites, key=lambda s: s.count), min(sites, key=lambda s: s.count)
    growth = statistics.median(a / b for a, b in zip(most.per_due, least.per_due, strict=True))
    growth_empty = statistics.median(a / b for a, b in zip(most.per_empty, least.per_empty, strict=True))
    figures: dict[str, float] = {}
    for site in sites:
        for name, values in (("decided", site.lags), ("delivered", site.told)):
            for of_hundred in (50, 99, 100):
                figures[f"{name}, {site.count:,} open, p{of_hundred}, s"] = percentile(values, of_hundred)
        figures[f"sweep, {site.count:,} open, CPU for each lead due, µs"] = statistics.median(site.per_due)
        figures[f"sweep, {site.count:,} open, CPU where none is due, µs"] = statistics.median(site.per_empty)
    for scan in scans:
        if scan.seconds:
            figures[f"{scan.name}: one scan, s"] = statistics.median(scan.seconds)
    figures["Celery ETA: worker memory for each task that waits, bytes"] = statistics.median(
        run.bytes_per_waiting for run in eta.runs
    )
    figures["Celery ETA: tasks published a second"] = statistics.median(
        run.published_per_second for run in eta.runs
    )
    plot = Plot(
        "CPU of a sweep, by the number of open leads",
        "open leads",
        "µs of CPU",
        (
            Series("each lead that is due", tuple((s.count, statistics.median(s.per_due)) for s in sites)),
            Series(
                "a sweep that finds none", tuple((s.count, statistics.median(s.per_empty)) for s in sites)
            ),
        ),
    )
    return Finding(
        "detection",
        f"How late is a missed deadline decided, {due:,} of them falling into one second?",
        "s, 99th percentile",
        more_is_better=False,
        rows=rows,
        checks=(
            Check(f"p99 with {most.count:,} open leads", rows[0].median, 1.5, at_least=False),
            Check(f"cost of a due lead, {most.count:,} open to {least.count:,}", growth, 1.5, at_least=False),
            Check(
                f"cost of an empty sweep, {most.count:,} open to {least.count:,}",
                growth_empty,
                1.5,
                at_least=False,
            ),
        ),
        plots=(plot,),
        notes=(
            (
                "Ours is run: the Procfile's clock, courier and beat, the embedded server with every write on disk. The lag is in "
                "each lead's history."
            ),
            (
                "No router runs beside them, for the leads that fall due are routed on a clock of their own just before; an idle "
                "one does next to nothing."
            ),
            "The scans are run, the wait for the next scan is computed: deadlines fall evenly into the minute between two.",
            (
                "The Celery worker is run with Celery's defaults but for a visibility timeout longer than every ETA. It "
                "holds what waits in its memory; a restart of its server parks those tasks until that timeout."
            ),
            "CPU is the clock's and the server's together, the alerts and the new rep of each lead written.",
        ),
        figures=figures,
    )
