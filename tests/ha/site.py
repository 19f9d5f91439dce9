"""A site on three hosts: servers and Sentinels of a cluster, two of each process, a stream of leads, and the sink."""

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from tests.ha.cluster import HOSTS, Cluster
from tests.processes import Fleet, bare_environment
from tests.servers import free_port, wait_until
from tests.worker.rules import STEPS, write_rules
from tests.worker.sink import Received, Sink

from speed_to_lead.core.lead import Lead
from speed_to_lead.store import StoreUnavailable, open_store

PROCESSES = ("web", "router", "clock", "courier", "beat")


class Site:
    """Two hosts with one process of each kind; `end` stops all of it."""

    def __init__(self, directory: Path, cluster: Cluster, confirm_replicas: int) -> None:
        self.cluster = cluster
        self.sink = Sink()
        rules = write_rules(directory / "config", "2s")
        self.webs: list[str] = []
        self.fleets: list[Fleet] = []
        for host in HOSTS[:2]:
            port = free_port()
            self.webs.append(f"http://{host}:{port}")
            environment = bare_environment(
                REDIS_URL=cluster.url,
                PORT=str(port),
                STL_HOST=host,
                STL_CONFIG_DIR=str(rules),
                STL_CONFIRM_REPLICAS=str(confirm_replicas),
            )
            logs = directory / f"processes-{host}"
            logs.mkdir()
            self.fleets.append(Fleet(logs, environment | self.sink.environment))
        self.store = open_store(cluster.url, confirm_replicas=confirm_replicas)

    def start(self) -> None:
        """Start two of each process, and wait until all of them are at work."""
        for fleet in self.fleets:
            fleet.start_all(*PROCESSES)
        wait_until(self._is_whole, "two of each process at work", 120)

    def leads(self) -> list[Lead]:
        found, _ = self.store.leads.newest(5000)
        return found

    def wait_until_done(self, seconds: float = 40) -> None:
        """Return once every lead is routed, every ladder done and every alert delivered."""

        def done() -> bool:
            try:
                health = self.store.operations.health()
            except StoreUnavailable:
                return False
            left[:] = [health.queued, health.scheduled, health.outbox]
            return not any(left)

        left: list[int] = []
        wait_until(done, "nothing left to do", seconds)

    def end(self) -> None:
        for fleet in self.fleets:
            fleet.end()
        self.store.close()
        self.sink.close()

    def _is_whole(self) -> bool:
        heartbeats = self.store.operations.health().heartbeats
        stages = [process.partition("@")[0] for process, age in heartbeats.items() if age < 4]
        return all(stages.count(stage) == 2 for stage in ("web", "router", "clock", "courier"))


class Stream:
    """People who fill in the form, each posted to either web, and again until it is answered 200, as form tools do."""

    def __init__(self, webs: list[str], a_second: float) -> None:
        self._webs = webs
        self._interval = 1 / a_second
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self._pool = ThreadPoolExecutor(32)
        self._http = httpx.Client(timeout=5, trust_env=False)
        self._feeder = threading.Thread(target=self._feed)
        self.sent = 0
        self.answers: list[tuple[float, int]] = []  # when, and the status; 0 for none
        self.accepted: dict[str, str] = {}  # e-mail to the id it was answered with

    def start(self) -> None:
        self._feeder.start()

    def stop(self) -> None:
        """Let nobody else fill in the form, and wait until everybody was answered 200."""
        self._stopping.set()
        self._feeder.join()
        self._pool.shutdown()

    def end(self) -> None:
        """Give up on those who were not answered."""
        self._stopping.set()
        self._given_up.set()
        if self._feeder.ident is not None:
            self._feeder.join()
        self._pool.shutdown()
        self._http.close()

    def wait_for_answers(self, since: float, count: int = 10) -> float:
        """Return once so many were answered 200 after `since`; when the first of them was."""

        def after() -> list[float]:
            return [at for at, status in list(self.answers) if at > since and status == 200]

        wait_until(lambda: len(after()) >= count, f"{count} more answers of 200", 40)
        return min(after())

    def _feed(self) -> None:
        while not self._stopping.wait(self._interval):
            self.sent += 1
            self._pool.submit(self._post, f"person-{self.sent}@example.com", self.sent)

    def _post(self, email: str, number: int) -> None:
        body = json.dumps({"email": email, "message": f"number {number}"})
        while email not in self.accepted and not self._given_up.is_set():
            number += 1
            try:
                answer = self._http.post(f"{self._webs[number % len(self._webs)]}/hooks/demo", content=body)
                status = answer.status_code
            except httpx.HTTPError:
                status = 0
            self.answers.append((time.monotonic(), status))
            if status == 200:
                self.accepted[email] = answer.json()["id"]
            else:
                time.sleep(0.3)  # a form tool's pause, in short


def promises_broken(site: Site, stream: Stream) -> list[str]:
    """What is lost, doubled or contradictory, each in a line: nothing, where all is well."""
    leads = site.leads()
    times = Counter(str(lead.lead.get("email")) for lead in leads)
    found = [f"{email} was answered 200 and is no lead" for email in stream.accepted.keys() - times.keys()]
    found += [f"{email} became {count} leads" for email, count in times.items() if count > 1]
    ledger = site.store.operations.ledger()
    if ledger.difference or ledger.touches or ledger.dead_letters:
        found.append(f"the ledger: {ledger}")
    load = dict(Counter(str(lead.rep) for lead in leads))
    if load != site.store.leads.load():
        found.append(f"loads: {site.store.leads.load()}, counted {load}")
    alerts: dict[str, list[Received]] = defaultdict(list)
    for alert in site.sink.received():
        alerts[alert.lead_id].append(alert)
    known = {lead.id for lead in leads}
    found += [f"somebody was told of {lead_id}, which is lost" for lead_id in alerts.keys() - known]
    return found + [line for lead in leads for line in _wrongly_told(lead, alerts[lead.id])]


def _wrongly_told(lead: Lead, alerts: list[Received]) -> Iterator[str]:
    """Steps nobody heard of, and reps told that a lead is theirs which is not."""
    heard = {step for alert in alerts for step in (alert.step, *alert.body["data"]["skipped_steps"])}
    if (heard, lead.steps_done) != (set(STEPS), STEPS):
        yield f"{lead.id}: steps {lead.steps_done}, heard of {sorted(heard)}"
    first_rep = [*lead.reps_before, lead.rep][0]
    for alert in alerts:
        owner = first_rep if alert.step in ("0%", "50%") else lead.rep
        # Whom it was taken from is told so, at 100% or at the later step that stands for it.
        told = {owner, first_rep} if alert.body["type"] == "lead.reassigned" else {owner}
        if alert.destination.endswith("-hook") and alert.destination not in {f"{rep}-hook" for rep in told}:
            yield f"{lead.id} was {owner}'s at {alert.step}, and {alert.destination} was told of it"
