"""`GET /metrics`: the whole system in Prometheus' text format, whichever web process is asked.

Counts and lags were written to the store with the changes they count (`core/metrics.py`); depths and ages are read
when asked, from the same `health` as `speed-to-lead status`. Only what a form tool heard from this process, and the
process itself, are this process's own. `METRICS` is the whole list; docs/observability/README.md is checked against it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import structlog
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from speed_to_lead import __version__, flow
from speed_to_lead.config import Configuration
from speed_to_lead.core.attribution import UNKNOWN_SOURCE
from speed_to_lead.core.audit import Ledger
from speed_to_lead.core.metrics import HISTOGRAMS, OTHER, RESPONSES_BY_EVENT, SUM, read_field
from speed_to_lead.store import Health, Lane, ServerPolicy, StoreUnavailable
from speed_to_lead.workplace import API_FORM, Workplace

log = structlog.get_logger()

#: Prometheus gives up after ten seconds; well before that we answer without the store.
SCRAPE_SECONDS = 5.0
STAGES = ("web", "router", "clock", "courier", "watchdog")
OUTCOMES = ("lead", "touch", "duplicate", "test", "dead_letter")
RESULTS = ("delivered", "retry", "dead", "cancelled")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric without the prefix `speed_to_lead_`: its type, its labels, what it says."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str


#: In the order a lead meets them.
METRICS = (
    Metric("build_info", "gauge", ("version",), "Always 1; the release that answers."),
    Metric(
        "store_up", "gauge", (), "1 where the store answered; 0: only this process's own metrics are told."
    ),
    Metric(
        "hook_answers_total",
        "counter",
        ("form", "status"),
        "Answers to form tools, by this web process since it started.",
    ),
    Metric(
        "submissions_received_total",
        "counter",
        ("form",),
        "Submissions taken from the queue; one that is replayed counts again.",
    ),
    Metric(
        "submissions_settled_total",
        "counter",
        ("form", "outcome"),
        "What became of them: lead, touch, duplicate, test, dead_letter.",
    ),
    Metric("queue_depth", "gauge", ("lane",), "Submissions that are not settled yet, in each lane."),
    Metric("queue_pending", "gauge", (), "Those of them that a router holds."),
    Metric("queue_oldest_age_seconds", "gauge", ("lane",), "Since the oldest of them was stored."),
    Metric("routing_lag_seconds", "histogram", (), "From receipt to the decision on team, rep and deadline."),
    Metric("leads_routed_total", "counter", ("team", "sla", "source"), "New leads."),
    Metric("open_leads", "gauge", (), "Leads nobody has answered or closed."),
    Metric("scheduled_leads", "gauge", (), "Those of them with a step still to come."),
    Metric("waiting_leads", "gauge", (), "Open leads without a rep: nobody of their team was available yet."),
    Metric(
        "waiting_oldest_age_seconds", "gauge", (), "Since the receipt of the one of them that came first."
    ),
    Metric("fetches", "gauge", (), "Submissions of ids only whose form tool is still asked who that is."),
    Metric("fetches_oldest_age_seconds", "gauge", (), "Since the receipt of the oldest of them."),
    Metric("due_leads", "gauge", (), "Leads whose instant has come and that no clock has decided."),
    Metric("due_oldest_age_seconds", "gauge", (), "Since the instant of the one that is longest due."),
    Metric(
        "detection_lag_seconds",
        "histogram",
        (),
        "From the instant of a step or deadline to the decision on it.",
    ),
    Metric(
        "leads_breached_total", "counter", ("team",), "Leads that passed their deadline without a response."
    ),
    Metric(
        "leads_answered_total", "counter", ("team", "in_time"), "First responses; in_time is true or false."
    ),
    Metric("response_time_seconds", "histogram", ("team",), "From receipt to the first response."),
    Metric(
        "responses_total",
        "counter",
        ("team", "kind"),
        "Answers told, the first and later ones: acknowledged, attempted, connected, meeting_booked, or automatic.",
    ),
    Metric("leads_closed_total", "counter", ("team",), "Leads closed without or after an answer."),
    Metric("outbox_depth", "gauge", ("destination",), "Alerts that are not delivered yet."),
    Metric("outbox_due", "gauge", ("destination",), "Those of them whose next attempt is due."),
    Metric("outbox_oldest_age_seconds", "gauge", ("destination",), "Since the oldest of them was decided."),
    Metric(
        "delivery_attempts_total",
        "counter",
        ("destination", "result"),
        "Attempts by what they came to: delivered, retry, dead, cancelled (nobody waited any more).",
    ),
    Metric("delivery_lag_seconds", "histogram", ("destination",), "From the decision to the delivery."),
    Metric("dead_letters", "gauge", (), "Submissions that could not be read, kept until somebody looks."),
    Metric("dead_alerts", "gauge", (), "Alerts that were given up, kept until somebody looks."),
    Metric("quarantined_leads", "gauge", (), "Leads whose record cannot be worked on."),
    Metric(
        "ledger_submissions", "gauge", ("entry",), "The books: received, and everything it is accounted as."
    ),
    Metric("ledger_difference", "gauge", (), "Submissions unaccounted for; anything but 0 is a fault."),
    Metric(
        "stage_processes",
        "gauge",
        ("stage",),
        "Processes that gave a sign of life within the last 15 seconds.",
    ),
    Metric(
        "stage_silent_seconds",
        "gauge",
        ("stage",),
        "Since any process of the stage last gave a sign of life.",
    ),
    Metric("server_append_only", "gauge", (), "1 where the server keeps an append-only file, else 0."),
    Metric("server_clock_ahead_seconds", "gauge", (), "The server's clock minus that of this host."),
)
PREFIX = "speed_to_lead_"
_LABELS = {metric.name: metric.labels for metric in METRICS}


@dataclass(frozen=True, slots=True)
class Reading:
    """What the store said at one scrape."""

    counts: Mapping[str, int]
    health: Health
    ledger: Ledger
    policy: ServerPolicy


class Samples:
    """The values of one scrape by metric and labels; names that config does not have are one, `other`."""

    def __init__(self, config: Configuration) -> None:
        self._known: dict[str, set[str]] = {
            "form": {*config.forms, API_FORM.name, OTHER},  # anybody may write any form into the queue
            "source": {*config.rulebook.taxonomy.sources, UNKNOWN_SOURCE.name},
            "team": {*config.rulebook.teams},
            "sla": {*config.rulebook.slas},
            "destination": {*config.destinations},
            "stage": {*STAGES},
            "outcome": {*OUTCOMES},
            "result": {*RESULTS},
            "in_time": {"true", "false"},
            "kind": {*RESPONSES_BY_EVENT.values()},
        }
        self._values: dict[str, dict[tuple[str, ...], float]] = {metric.name: {} for metric in METRICS}
        self._buckets: dict[str, dict[tuple[str, ...], dict[str, float]]] = {name: {} for name in HISTOGRAMS}

    def begin_at_zero(self) -> None:
        """Give every label that config has its series, so that the first event is an increase from 0.

        `leads_routed_total` has three labels and most combinations never occur: it begins with its first lead. A stage
        nobody was seen in has no age, for 0 would say that it is well.
        """
        for metric in METRICS:
            is_plain = metric.type == "gauge" and not metric.labels
            if is_plain or metric.name in ("leads_routed_total", "stage_silent_seconds"):
                continue
            if not self._known.keys() >= set(metric.labels):
                continue
            for labels in product(*(sorted(self._known[label]) for label in metric.labels)):
                if metric.type == "histogram":
                    self._buckets[metric.name].setdefault(labels, {})
                else:
                    self._values[metric.name].setdefault(labels, 0.0)

    def add(self, name: str, value: float, **labels: str) -> None:
        """Add to one value."""
        values = self._values[name]
        key = self._bounded(name, labels)
        values[key] = values.get(key, 0.0) + value

    def raise_to(self, name: str, value: float, **labels: str) -> None:
        """Let one value be this where it is less: what ages of several names come to."""
        values = self._values[name]
        key = self._bounded(name, labels)
        values[key] = max(values.get(key, 0.0), value)

    def count(self, field: str, number: int) -> None:
        """Add one count of the store. A field of another release is passed over."""
        name, labels = read_field(field)
        bound = labels.pop("le", None)
        if name in self._buckets and bound is not None:
            buckets = self._buckets[name].setdefault(self._bounded(name, labels), {})
            buckets[bound] = buckets.get(bound, 0) + number
        elif name == "submissions":
            self.add("submissions_settled_total", number, **labels)
            self.add("submissions_received_total", number, form=labels.get("form", OTHER))
        elif f"{name}_total" in self._values:
            self.add(f"{name}_total", number, **labels)

    def families(self) -> Iterator[Family]:
        """Everything that has a value, as prometheus-client writes it."""
        for metric in METRICS:
            name = PREFIX + metric.name
            if metric.type == "histogram":
                if self._buckets[metric.name]:
                    yield self._histogram(name, metric)
            elif values := self._values[metric.name]:
                kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
                family = kind(name, metric.meaning, labels=metric.labels)
                for labels, value in sorted(values.items()):
                    family.add_metric(labels, value)
                yield family

    def _histogram(self, name: str, metric: Metric) -> Family:
        family = HistogramMetricFamily(name, metric.meaning, labels=metric.labels)
        # As they are stored, and as OpenMetrics wants them: with a point.
        bounds = [*((f"{bound:g}", str(bound)) for bound in HISTOGRAMS[metric.name]), ("+Inf", "+Inf")]
        for labels, counted in sorted(self._buckets[metric.name].items()):
            so_far, buckets = 0.0, []
            for bound, shown in bounds:
                so_far += counted.get(bound, 0)
                buckets.append((shown, so_far))
            family.add_metric(labels, buckets, counted.get(SUM, 0) / 1000)
        return family

    def _bounded(self, metric: str, labels: Mapping[str, str]) -> tuple[str, ...]:
        """The labels in the metric's order."""
        values = [(label, labels.get(label, OTHER)) for label in _LABELS[metric]]
        return tuple(
            OTHER if label in self._known and value not in self._known[label] else value
            for label, value in values
        )


class Scrape(Collector):
    """What one scrape answers: the store's part where it answered, and this process's own."""

    def __init__(
        self, config: Configuration, reading: Reading | None, answers: Mapping[tuple[str, int], int]
    ) -> None:
        self._config = config
        self._reading = reading
        self._answers = answers

    def collect(self) -> Iterable[Family]:
        """Every family of METRICS that is known now."""
        samples = Samples(self._config)
        samples.add("build_info", 1, version=__version__)
        samples.add("store_up", 0 if self._reading is None else 1)
        for (form, status), number in self._answers.items():
            samples.add("hook_answers_total", number, form=form, status=str(status))
        if self._reading is None:
            return samples.families()
        samples.begin_at_zero()
        for field, number in self._reading.counts.items():
            samples.count(field, number)
        _add_health(samples, self._reading.health)
        _add_books(samples, self._reading.ledger)
        policy = self._reading.policy
        if policy.append_only is not None:
            samples.add("server_append_only", int(policy.append_only))
        samples.add("server_clock_ahead_seconds", policy.drift)
        return samples.families()


def _add_health(samples: Samples, health: Health) -> None:
    for lane, depth, oldest in (
        (Lane.INCOMING, health.queued, health.queued_oldest),
        (Lane.PATIENT, health.patient, health.patient_oldest),
    ):
        samples.add("queue_depth", depth, lane=lane.value)
        samples.add("queue_oldest_age_seconds", oldest, lane=lane.value)
    for name, value in (
        ("queue_pending", health.pending),
        ("open_leads", health.open_leads),
        ("scheduled_leads", health.scheduled),
        ("waiting_leads", health.waiting),
        ("waiting_oldest_age_seconds", health.waiting_oldest),
        ("fetches", health.fetches),
        ("fetches_oldest_age_seconds", health.fetches_oldest),
        ("due_leads", health.due),
        ("due_oldest_age_seconds", health.due_oldest if health.due else 0.0),
        ("dead_letters", health.dead_letters),
        ("dead_alerts", health.dead_alerts),
        ("quarantined_leads", health.quarantined),
    ):
        samples.add(name, value)
    for destination, outbox in health.outboxes.items():
        samples.add("outbox_depth", outbox.depth, destination=destination)
        samples.add("outbox_due", outbox.due, destination=destination)
        samples.raise_to("outbox_oldest_age_seconds", outbox.oldest, destination=destination)
    youngest: dict[str, float] = {}
    for process, age in health.heartbeats.items():
        stage = process.partition("@")[0]
        samples.add("stage_processes", age <= flow.SILENT_AFTER, stage=stage)
        youngest[stage] = min(age, youngest.get(stage, age))
    for stage, age in youngest.items():
        samples.raise_to("stage_silent_seconds", age, stage=stage)


def _add_books(samples: Samples, ledger: Ledger) -> None:
    for entry in ("received", "leads", "touches", "duplicates", "tests", "dead_letters", "in_flight"):
        samples.add("ledger_submissions", getattr(ledger, entry), entry=entry)
    samples.add("ledger_difference", ledger.difference)


def read_store(place: Workplace) -> Reading:
    """What the store says now. Raises StoreUnavailable."""
    operations = place.store.operations
    return Reading(operations.metrics(), operations.health(), operations.ledger(), operations.policy())


def metrics(
    place: Workplace, answers: Counter[tuple[str, int]]
) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """The endpoint. `answers` counts what this process answered to form tools, by form and status.

    A store that is away is no reason to fail: the scrape would be lost with everything that is still known, and
    `up == 0` would look like a dead web process. It is told as `speed_to_lead_store_up 0`.
    """
    own = CollectorRegistry()
    ProcessCollector(registry=own)

    async def scraped(request: Request) -> Response:
        reading = None
        try:
            async with asyncio.timeout(SCRAPE_SECONDS):
                # Not Starlette's threads: those are waited for, however long the server is silent.
                reading = await asyncio.to_thread(read_store, place)
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("metrics.store_away", error=str(error) or "no answer in time")
        registry = CollectorRegistry()
        registry.register(Scrape(place.config, reading, dict(answers)))
        registry.register(own)
        write, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(write(registry), media_type=None, headers={"content-type": content_type})

    return scraped
