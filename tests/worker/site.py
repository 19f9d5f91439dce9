"""A whole site for one test: a server of its own, rules of seconds, the sink, and the Procfile's processes."""

import json
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.processes import Fleet, RunningProcess, bare_environment
from tests.servers import RealServer, directory_of_a_server, free_port, wait_until
from tests.worker.rules import STEPS, write_rules
from tests.worker.sink import Received, Sink

from speed_to_lead import flow
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.submission import Submission
from speed_to_lead.store import Health, StoreUnavailable, open_store

WORKERS = ("router", "clock", "courier")
#: How long processes that are started together may take until all are at work: mostly Pythons importing.
START_SECONDS = 90


class Site:
    """Started with the server and the sink; `start` adds processes."""

    def __init__(self, directory: Path, respond_within: str = "4s", *, on_disk: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._data = (
            tempfile.TemporaryDirectory(dir=directory) if on_disk else directory_of_a_server(directory)
        )
        self.server = RealServer(Path(self._data.name))
        self.server.start()
        self.sink = Sink()
        rules = write_rules(directory / "config", respond_within)
        self.port = free_port()
        environment = bare_environment(
            REDIS_URL=self.server.url, PORT=str(self.port), STL_HOST="127.0.0.1", STL_CONFIG_DIR=str(rules)
        )
        self.fleet = Fleet(directory, environment | self.sink.environment)
        self.store = open_store(self.server.url)
        self.submitted = 0

    def start(self, *names: str) -> dict[str, RunningProcess]:
        """Start the processes of these names; where the beat is one, wait until the workers and the web are at work."""
        started = self.fleet.start_all(*names)
        wanted = set(names) & {*WORKERS, "web"}
        if "beat" in names:
            wait_until(lambda: wanted <= self.stages(), f"{', '.join(wanted)} at work", START_SECONDS)
        return started

    def stages(self) -> set[str]:
        """Stages that gave a sign of life in the last three seconds."""
        try:
            heartbeats = self.store.operations.health().heartbeats
        except StoreUnavailable:
            return set()
        return {process.partition("@")[0] for process, age in heartbeats.items() if age < 3}

    def health(self) -> Health:
        return self.store.operations.health()

    def submit(self, count: int = 1, *, a_second: float | None = None) -> list[str]:
        """Add new people's submissions to the queue, so many a second; their ids."""
        ids = []
        start = time.monotonic()
        for number in range(count):
            if a_second is not None:
                time.sleep(max(0.0, start + number / a_second - time.monotonic()))
            self.submitted += 1
            body = json.dumps({"email": f"person-{self.submitted}@example.com"}).encode()
            now = self.store.now()
            submission = Submission(flow.new_submission_id(now), "demo", now, body, "application/json")
            self.store.queue.add(submission)
            ids.append(submission.id)
        return ids

    def leads(self, limit: int = 5000) -> list[Lead]:
        found, _ = self.store.leads.newest(limit)
        return found

    def about(self, lead_id: str) -> list[Received]:
        """What the sink heard about one lead, in order."""
        return [received for received in self.sink.received() if received.lead_id == lead_id]

    def wait_for_alert(self, lead_id: str, step: str = "0%", seconds: float = 20) -> Received:
        """The first alert about a step of a lead."""
        wait_until(
            lambda: any(one.step == step for one in self.about(lead_id)), f"{step} of {lead_id}", seconds
        )
        return next(one for one in self.about(lead_id) if one.step == step)

    def wait_until_done(self, leads: int, seconds: float = 90) -> None:
        """Return once so many leads are routed, every ladder is done, and every alert delivered."""

        def done() -> bool:
            health = self.health()
            counted = self.store.operations.counters().get("leads", 0)
            if (counted, health.queued, health.scheduled) != (leads, 0, 0):
                return False
            return self.health().outbox == 0  # asked after: a step decided in between stands there

        wait_until(done, f"{leads} leads with nothing left to do; health {self.health()}", seconds)

    def end(self) -> None:
        self.fleet.end()
        self.store.close()
        self.sink.close()
        self.server.stop(kill=True)
        self._data.cleanup()


def nothing_is_lost_or_doubled(site: Site, ids: list[str]) -> None:
    """The promises about a set of unanswered leads: all there, one rep each, loads right, every step told once."""
    leads = {lead.id: lead for lead in site.leads()}
    assert sorted(ids) == sorted(leads)
    assert site.store.operations.ledger().difference == 0
    assert site.store.leads.quarantined() == {}
    assert [lead.id for lead in leads.values() if lead.rep is None or lead.rep in lead.reps_before] == []
    assert dict(Counter(lead.rep for lead in leads.values())) == site.store.leads.load()
    assert site.sink.forged == 0
    steps: dict[str, Counter[str]] = {lead_id: Counter() for lead_id in ids}
    for alert in site.sink.received():
        skipped = set(alert.body["data"]["skipped_steps"])
        steps[alert.lead_id].update({alert.step, *skipped} - steps[alert.lead_id].keys())
    assert [lead_id for lead_id, told in steps.items() if set(STEPS) != set(told)] == []
    for lead in leads.values():
        assert lead.steps_done == STEPS
        assert lead.deadline == lead.breached_at


def doubled(site: Site) -> list[str]:
    """Keys of alerts that arrived more than once."""
    return sorted(key for key, times in site.sink.keys().items() if times > 1)


def wait_for_output(process: RunningProcess, words: str, seconds: float = 20) -> None:
    wait_until(lambda: words in process.output, f"{words!r} in\n{process.output[-2000:]}", seconds)
