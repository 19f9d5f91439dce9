"""One workplace for a test: a store on a clock the test moves, two reps, and doubles in place of the people."""

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.core.builders import rulebook
from tests.servers import ManualClock

from speed_to_lead import flow
from speed_to_lead.config import Configuration
from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.core.lead import Alert, Lead, Response, ResponseKind
from speed_to_lead.core.message import Message
from speed_to_lead.core.response import record_response
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.submission import Form, Submission
from speed_to_lead.store.contract import (
    Audit,
    Configs,
    Fetches,
    Leads,
    Operations,
    Outbox,
    Privacy,
    Queue,
    Reconciliations,
    Reps,
    Shadow,
    Store,
)
from speed_to_lead.workplace import Workplace

#: A Monday that is past, because a server believes no receipt that is later than its own clock.
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
DELIVERED = Attempt(Outcome.DELIVERED)
NOT_DELIVERED = Attempt(Outcome.NOT_DELIVERED, "answered 503")
UNKNOWN = Attempt(Outcome.UNKNOWN, "no answer in time")
REFUSED = Attempt(Outcome.REFUSED, "answered 404")


@dataclass(frozen=True)
class TimedStore:
    """A store whose time is the test's."""

    within: Store
    clock: Callable[[], datetime]

    @property
    def queue(self) -> Queue:
        return self.within.queue

    @property
    def leads(self) -> Leads:
        return self.within.leads

    @property
    def reps(self) -> Reps:
        return self.within.reps

    @property
    def outbox(self) -> Outbox:
        return self.within.outbox

    @property
    def operations(self) -> Operations:
        return self.within.operations

    @property
    def fetches(self) -> Fetches:
        return self.within.fetches

    @property
    def reconciliations(self) -> Reconciliations:
        return self.within.reconciliations

    @property
    def audit(self) -> Audit:
        return self.within.audit

    @property
    def privacy(self) -> Privacy:
        return self.within.privacy

    @property
    def configs(self) -> Configs:
        return self.within.configs

    @property
    def shadow(self) -> Shadow:
        return self.within.shadow

    def now(self) -> datetime:
        return self.clock()


@dataclass
class Destination:
    """Stands in for one destination: keeps what it heard, and answers as it is told to, then with `DELIVERED`."""

    recognises_repeats: bool = True
    heard: list[Message] = field(default_factory=list)
    answers: list[Attempt] = field(default_factory=list)
    always: Attempt = DELIVERED

    def send(self, message: Message, now: datetime) -> Attempt:
        self.heard.append(message)
        return self.answers.pop(0) if self.answers else self.always


@dataclass
class Scene:
    """The workplace with its clock and its people, and one verb for each thing a test lets happen.

    Every verb checks that the ledger balances afterwards.
    """

    place: Workplace
    clock: ManualClock
    people: dict[str, Destination]
    submissions: int = 0

    @property
    def store(self) -> Store:
        return self.place.store

    def submit(self, form: str = "demo", headers: dict[str, str] | None = None, **fields: Any) -> str:
        """Put one submission of a new person into the queue; its id."""
        self.submissions += 1
        given = {"email": f"person-{self.submissions}@example.com"} | fields
        return self.submit_body(json.dumps(given).encode(), form, headers)

    def submit_body(self, body: bytes, form: str = "demo", headers: dict[str, str] | None = None) -> str:
        """Put these bytes into the queue as a submission; its id."""
        now = self.clock.now
        submission_id = flow.new_submission_id(now)
        self.store.queue.add(
            Submission(submission_id, form, now, body, "application/json", headers or {}),
        )
        self.check()
        return submission_id

    def route(self, consumer: str = "router-1", *, reclaim: bool = False) -> flow.Routed:
        routed = flow.route(self.place, consumer, reclaim=reclaim)
        self.check()
        return routed

    def routed(self, **fields: Any) -> Lead:
        """A new lead, submitted, routed, and its first alert delivered."""
        lead_id = self.submit(**fields)
        self.route()
        self.deliver()
        return self.lead(lead_id)

    def sweep(self) -> flow.Swept:
        swept = flow.sweep(self.place)
        self.check()
        return swept

    def deliver(self) -> int:
        """Let a courier visit every destination that has something due; how many alerts it settled."""
        settled = sum(flow.deliver(self.place, name) for name in sorted(flow.destinations_due(self.place)))
        self.check()
        return settled

    def respond(self, lead_id: str, kind: ResponseKind = ResponseKind.CONNECTED) -> Lead:
        lead, _ = flow.change_lead(
            self.place,
            lead_id,
            lambda lead, now: record_response(lead, Response(kind, "ana", now, now), now),
        )
        self.check()
        return lead

    def later(self, minutes: float) -> None:
        """Move the clock on."""
        self.clock.advance(timedelta(minutes=minutes))

    def live(self, minutes: float) -> None:
        """Move the clock on, sweep, and deliver."""
        self.later(minutes)
        self.sweep()
        self.deliver()

    def lead(self, lead_id: str) -> Lead:
        found = self.store.leads.get(lead_id)
        assert found is not None
        return found

    def leads(self) -> list[Lead]:
        found, _ = self.store.leads.newest(1000)
        return found

    def heard(self) -> dict[str, list[str]]:
        """What each destination heard so far, as `kind step`, for those that heard anything."""
        return {
            name: [f"{message.kind} {message.step}" for message in double.heard]
            for name, double in self.people.items()
            if double.heard
        }

    def forget(self) -> None:
        """Forget what was heard so far."""
        for double in self.people.values():
            double.heard.clear()

    def waiting(self) -> list[str]:
        """Keys of the alerts that wait to be delivered."""
        return sorted(alert.key for alert, _ in self.store.outbox.waiting(1000))

    def dead_alerts(self) -> list[Alert]:
        return [dead.alert for dead in self.store.outbox.dead(1000)]

    def events(self, lead_id: str) -> list[str]:
        """What happened to the lead, by name."""
        return [entry.event for entry in self.store.leads.history(lead_id)]

    def counts(self) -> dict[str, int]:
        """The ledger without its zeros."""
        ledger = self.store.operations.ledger()
        names = ("leads", "touches", "duplicates", "tests", "dead_letters", "in_flight")
        return {name: getattr(ledger, name) for name in names if getattr(ledger, name)}

    def with_rules(self, rules: Rulebook) -> "Scene":
        """The same store and people under other rules."""
        return replace(self, place=replace(self.place, config=replace(self.place.config, rulebook=rules)))

    def check(self) -> None:
        """Promise 9, and what loads and open leads say about each other."""
        assert self.store.operations.ledger().difference == 0
        open_by_rep: dict[str, int] = {}
        for lead in self.leads():
            if lead.is_open and lead.rep:
                open_by_rep[lead.rep] = open_by_rep.get(lead.rep, 0) + 1
        assert self.store.leads.load() == open_by_rep


def new_scene(store: Store, clock: ManualClock, rules: Rulebook | None = None) -> Scene:
    """A scene on this store, at START."""
    clock.now = START
    names = ("ana-slack", "ben-slack", "managers", "head-of-sales", "console")
    people = {name: Destination() for name in names}
    forms = {"demo": Form("demo", "generic", "none", source="demo_request")}
    config = Configuration(rules or rulebook(), forms, {})
    place = Workplace(
        TimedStore(store, clock), config, people.__getitem__, "console", "https://leads.example.com"
    )
    return Scene(place, clock, people)


def in_threads(*jobs: Callable[[], object]) -> None:
    """Run the jobs at the same time; the first exception among them is raised here."""
    raised: list[BaseException] = []
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], object]) -> None:
        try:
            start.wait(10)
            job()
        except BaseException as error:  # noqa: BLE001  a thread's exception is seen by nobody else
            raised.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if raised:
        raise raised[0]


def all_keys(messages: Iterable[Message]) -> list[str]:
    """The keys of the messages, sorted."""
    return sorted(message.key for message in messages)
