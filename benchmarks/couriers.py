"""How many alerts a second does one courier process deliver, and what does one cost?

The courier is that of the Procfile, woken by a beat; the alerts are the breaches of demo requests that a sweep has just
decided, to a webhook that answers at once. Beside it a plain loop of `httpx.post`, which keeps nothing and forgets
everything, and a Celery task for each alert.
"""

import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import httpx

from benchmarks.finding import ROUNDS, Contender, Finding, in_turns, ratio
from benchmarks.loader import load_due, workplace
from benchmarks.peers.celery_alerts import CeleryAlerts
from benchmarks.site import SINK_DESTINATION, SINK_SECRET, Sink, Site, cpu_seconds, wait_until
from speed_to_lead import flow
from speed_to_lead.cli.embedded import EmbeddedServer

ALERTS = 2000
#: Leads decided at once: each breach tells the manager and the new rep.
LEADS = 500
SECOND = timedelta(seconds=1)


@dataclass
class _Courier:
    site: Site
    cpu: list[float] = field(default_factory=list)
    server_cpu: list[float] = field(default_factory=list)

    def per_second(self, alerts: int) -> float:
        """Fill the outbox while no courier runs, start one, and measure from the first delivery to the last."""
        while (found := self._measured(alerts)) is None:
            pass  # all were delivered between two looks: so few are, where this process stood still
        return found

    def _measured(self, alerts: int) -> float | None:
        store = self.site.store
        while store.operations.health().outbox < alerts:
            now = store.now()
            load_due(store, self.site.rules, LEADS, now - 2 * SECOND, SECOND)
            flow.sweep(replace(workplace(store, self.site.rules), store=store))
        waiting = store.operations.health().outbox
        self.site.start("courier", "beat")
        try:
            wait_until(lambda: store.operations.health().outbox < waiting, "the first alert")
            pid, server = self.site.processes["courier"].pid, self.site.server_pid
            first, began = store.operations.health().outbox, time.monotonic()
            if not first:
                return None
            used, served = cpu_seconds(pid), cpu_seconds(server)
            wait_until(lambda: store.operations.health().outbox == 0, "the last alert", 300)
            seconds, delivered = time.monotonic() - began, first
            self.cpu.append((cpu_seconds(pid) - used) / delivered)
            self.server_cpu.append((cpu_seconds(server) - served) / delivered)
        finally:
            self.site.stop_processes()
        return delivered / seconds


def measure(rounds: int = ROUNDS, scratch: Path | None = None) -> Finding:
    """As many alerts as make a second or more of work for each."""
    with tempfile.TemporaryDirectory() as own:
        return measure_alerts(rounds, scratch or Path(own), ALERTS)


def measure_alerts(rounds: int, scratch: Path, alerts: int) -> Finding:
    """With so many alerts waiting in each round."""
    with ExitStack() as ends:
        sink = Sink()
        ends.callback(sink.close)
        site = Site(scratch / "site", SINK_DESTINATION, SINK_URL=sink.url, SINK_SECRET=SINK_SECRET)
        ends.callback(site.end)
        ours = _Courier(site)
        (scratch / "celery").mkdir()
        server = EmbeddedServer(scratch / "celery" / "data")
        server.start()
        ends.callback(server.stop)
        celery = CeleryAlerts(server.url, sink.url, scratch / "celery")
        ends.callback(celery.close)
        celery_cpu: list[float] = []

        def with_celery() -> float:
            used = cpu_seconds(celery.worker.pid)
            seconds = celery.deliver(alerts)
            celery_cpu.append((cpu_seconds(celery.worker.pid) - used) / alerts)
            return alerts / seconds

        rows = in_turns(
            (
                Contender("speed-to-lead, one courier process", lambda: ours.per_second(alerts)),
                Contender("a plain loop, one httpx.Client", lambda: _plain_loop(sink.url, alerts, True)),
                Contender("a plain loop of httpx.post", lambda: _plain_loop(sink.url, alerts // 20, False)),
                Contender("a Celery task for each alert, four threads", with_celery),
            ),
            rounds,
        )
    figures = {
        "CPU of the courier for each alert, µs": statistics.median(ours.cpu) * 1e6,
        "CPU of the server for each alert, µs": statistics.median(ours.server_cpu) * 1e6,
        "CPU of the Celery worker for each alert, µs": statistics.median(celery_cpu) * 1e6,
        "ratio, speed-to-lead to a Celery task for each alert": ratio(rows[0], rows[3]),
        "ratio, speed-to-lead to a plain loop with one client": ratio(rows[0], rows[1]),
        "ratio, speed-to-lead to a plain loop of httpx.post": ratio(rows[0], rows[2]),
    }
    return Finding(
        "couriers",
        "How many alerts a second does one courier process deliver?",
        "alerts a second",
        more_is_better=True,
        rows=rows,
        notes=(
            "Every destination is the same sink on loopback, which answers at once: what is measured is what we add.",
            (
                "Ours leases each alert, reads the lead, confirms both, signs, posts, and writes what came into the lead's history, "
                "each of them on disk; the plain loops post, and keep nothing; the Celery task posts and counts."
            ),
            "Celery is measured from the first publish to the last delivery, with publishing going on beside the worker.",
        ),
        figures=figures,
    )


def _plain_loop(url: str, count: int, one_client: bool) -> float:
    body = {"type": "sla.breached", "data": {"lead_id": "1", "step": "100%"}}
    began = time.monotonic()
    if one_client:
        with httpx.Client() as http:
            for _ in range(count):
                http.post(url, json=body).raise_for_status()
    else:
        for _ in range(count):
            httpx.post(url, json=body).raise_for_status()
    return count / (time.monotonic() - began)
