"""Open leads by the hundred thousand, as the product itself leaves them: each was submitted, routed, and its rep told.

    python -m benchmarks.loader --leads 100000 --keep /tmp/some-directory

Submissions go into the queue and through `flow.route` with the shipped rules, in two processes. Two things are left out.
A submission goes from the queue to the router that added it, without the way through the consumer group; and there is
no courier: the first alert of each lead is noted as delivered in the same write that would have put it into the outbox.
What stands in the server at the end is what stands there once couriers are done: record, history, indexes, person keys,
seen keys, loads, ledger. All of it is written by the store; nothing here knows how.

To be done in minutes, most leads are not read and decided one by one: of every block the first ones are, and the others are
theirs with another person, id and keys, written by the same script.

Each process has a team of its own beside the shipped ones, for two processes on one team would refuse each other's turns.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from speed_to_lead import flow
from speed_to_lead.cli.embedded import EmbeddedServer
from speed_to_lead.core.lead import HistoryEntry, LeadChange
from speed_to_lead.core.settlement import Admit, Join, Settlement
from speed_to_lead.core.submission import GenericLead, Submission, content_key, person_keys
from speed_to_lead.destinations.channel import Channel, RefusingChannel
from speed_to_lead.flow.routing import ROUTE_BATCH
from speed_to_lead.logs import set_up_logs
from speed_to_lead.store.contract import Lane, QueueEntry, Result
from speed_to_lead.store.queue import stream_fields
from speed_to_lead.store.redis_store import RedisStore, open_store
from speed_to_lead.store.server import text
from speed_to_lead.workplace import Workplace, read_config

ROOT = Path(__file__).parents[1]
#: Two fill two cores beside the server; more only wait for it.
PROCESSES = 2
#: Leads of one block, of which a batch is routed and the others are made after it.
BLOCK = 10_000
#: How long a demo request has under the shipped rules, and when its rep is reminded.
RESPOND_WITHIN = timedelta(minutes=5)
REMINDED_AFTER = timedelta(minutes=3)

_MESSAGE = (
    "We are comparing tools for our sales team and would like to see how this works with the forms we have."
)


def write_rules(directory: Path, teams: int = PROCESSES, destination: str = 'type = "console"') -> Path:
    """The shipped rules, with a team and a rule more for each loading process; every destination is `destination`."""
    shutil.copytree(ROOT / "config", directory, ignore=shutil.ignore_patterns("tests", "*.md"))
    routing, people = directory / "routing.toml", directory / "teams.toml"
    for number in range(teams):
        _prepend(
            routing,
            f'[[rules]]\nname = "List {number}"\nwhen.campaign = "list-{number}"\n'
            f'team = "lists-{number}"\nsla = "outbound-24bh"\n',
        )
        reps = "".join(
            f'[[teams.lists-{number}.reps]]\nid = "rep-{number}-{rep}"\nname = "Rep {rep}"\nnotify = "outbound-desk"\n'
            for rep in range(8)
        )
        team = f'[teams.lists-{number}]\ncalendar = "new-york"\nmanager = "outbound-managers"\n'
        people.write_text(people.read_text(encoding="utf-8") + f"\n{team}{reps}", encoding="utf-8")
    names = read_config(ROOT / "config").destinations
    alerts = "".join(f"[destinations.{name}]\n{destination}\n" for name in names)
    (directory / "alerts.toml").write_text(alerts, encoding="utf-8")
    return directory


def _prepend(path: Path, text: str) -> None:
    path.write_text(f"{text}\n{path.read_text(encoding='utf-8')}", encoding="utf-8")


def load(url: str, rules: Path, leads: int, processes: int = PROCESSES) -> float:
    """Load so many open leads, whose next step is more than a day away; the seconds it took."""
    began = time.monotonic()
    shares = [leads // processes + (number < leads % processes) for number in range(processes)]
    workers = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.loader"),
                *("--url", url, "--rules", str(rules), "--team", str(number), "--leads", str(share)),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        )
        for number, share in enumerate(shares)
    ]
    failed = [worker.args for worker in workers if worker.wait() != 0]
    if failed:
        raise RuntimeError(f"a loading process failed: {failed[0]!r}")
    return time.monotonic() - began


def load_due(store: RedisStore, rules: Path, leads: int, at: datetime, over: timedelta) -> list[str]:
    """Load demo requests whose deadline comes at `at` or within `over` after it, spread evenly; their ids.

    They were received five minutes before that and reminded of after three: what comes due is the breach, which alerts
    the manager and passes the lead on to another rep.
    """
    place = workplace(store, rules)
    received = [at - RESPOND_WITHIN + over * number / leads for number in range(leads)]
    bodies = [
        _body(f"due-{instant.timestamp():.3f}-{number}", {"source": "demo_request"})
        for number, instant in enumerate(received)
    ]
    submissions = _submissions(bodies, received)
    _route(place, submissions, now=received[-1] + timedelta(milliseconds=1))
    _at(place, received[-1] + REMINDED_AFTER)
    flow.sweep(place)
    return [submission.id for submission in submissions]


def workplace(store: RedisStore, rules: Path) -> Workplace:
    """A workplace on that store which notes every alert as delivered, and whose time may be set."""
    nobody = RefusingChannel("nobody is told while leads are loaded")
    return Workplace(
        _TellingStore(store),  # type: ignore[arg-type]  # what it lacks, the store has
        read_config(rules),
        _always(nobody),
        "head-of-sales",
    )


def _route(place: Workplace, submissions: Sequence[Submission], now: datetime | None = None) -> None:
    _at(place, now)
    place.store.queue.waiting = list(submissions)  # type: ignore[attr-defined]
    while flow.route(place, "loader").settled:
        pass


def _always(channel: Channel) -> Callable[[str], Channel]:
    return lambda _: channel


def _at(place: Workplace, now: datetime | None) -> None:
    place.store.clock = now  # type: ignore[attr-defined]


class _TellingStore:
    """The store, but for alerts, which are delivered as soon as they are decided, and the time, which may be set."""

    def __init__(self, inner: RedisStore) -> None:
        self.inner = inner
        self.clock: datetime | None = None
        self.queue = _TellingQueue(inner)
        self.leads = _TellingLeads(inner)

    def now(self) -> datetime:
        return self.clock or self.inner.now()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class _TellingQueue:
    """A queue whose next entries are those that its only router is about to add."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self.waiting: list[Submission] = []
        self.admitted: list[Admit] = []  # what was settled last

    def take(self, consumer: str, limit: int, lane: Lane = Lane.INCOMING) -> list[QueueEntry]:
        del consumer
        if lane is not Lane.INCOMING:
            return []
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return add_to_queue(self._store, taken)

    def settle(self, settlements: Sequence[Settlement]) -> list[Result]:
        told = [
            replace(one, change=_told(one.change)) if isinstance(one, (Admit, Join)) else one
            for one in settlements
        ]
        self.admitted = [one for one in told if isinstance(one, Admit)]
        return self._store.queue.settle(told)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store.queue, name)


class _TellingLeads:
    def __init__(self, store: RedisStore) -> None:
        self._store = store

    def change(self, changes: Sequence[LeadChange]) -> list[Result]:
        return self._store.leads.change([_told(change) for change in changes])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store.leads, name)


def _told(change: LeadChange) -> LeadChange:
    """The change with its alerts delivered: out of the outbox, in the history, and counted."""
    delivered = tuple(
        HistoryEntry(
            alert.decided_at,
            "alert.delivered",
            {"step": alert.step, "to": alert.destination, "attempt": 1},
        )
        for alert in change.alerts
    )
    counters = {**change.counters}
    if delivered:
        counters["alerts_delivered"] = counters.get("alerts_delivered", 0) + len(delivered)
    return replace(change, alerts=(), history=(*change.history, *delivered), counters=counters)


def _body(person: str, more: dict[str, str]) -> bytes:
    lead = {
        "email": f"{person}@example.com",
        "first_name": "Ana",
        "last_name": "Example",
        "company": f"Company {person[-6:]}",
        "country": "DE",
        "employees": 120,
        "message": _MESSAGE,
        "utm_source": "newsletter",
        "utm_medium": "email",
    }
    return json.dumps(lead | more).encode()


def add_to_queue(store: RedisStore, submissions: Sequence[Submission]) -> list[QueueEntry]:
    """Add them, as any program may: entries of the queue are a public face."""
    pipe = store.server.client.pipeline(transaction=False)
    for submission in submissions:
        pipe.xadd(store.server.keys.incoming, stream_fields(submission))
    return [QueueEntry(text(entry), one) for entry, one in zip(pipe.execute(), submissions, strict=True)]


def _submissions(bodies: Sequence[bytes], received: Sequence[datetime]) -> list[Submission]:
    return [
        Submission(flow.new_submission_id(at), "generic", at, body, "application/json")
        for body, at in zip(bodies, received, strict=True)
    ]


def _load_share(url: str, rules: Path, team: int, leads: int) -> None:
    set_up_logs("warning")
    store = open_store(url)
    place = workplace(store, rules)
    for first in range(0, leads, BLOCK):
        numbers = range(first, min(first + BLOCK, leads))
        submissions = _submissions(
            [_listed(team, number) for number in numbers], [store.now()] * len(numbers)
        )
        _route(place, submissions[:ROUTE_BATCH])
        models = place.store.queue.admitted  # type: ignore[attr-defined]
        for start in range(ROUTE_BATCH, len(submissions), ROUTE_BATCH):
            entries = add_to_queue(store, submissions[start : start + ROUTE_BATCH])
            alike = [_like(model, entry) for model, entry in zip(models, entries, strict=False)]
            assert all(result is Result.APPLIED for result in store.queue.settle(alike)), "a lead was refused"
    store.close()


def _listed(team: int, number: int) -> bytes:
    return _body(f"person-{team}-{number}", {"source": "outbound_list", "utm_campaign": f"list-{team}"})


def _like(model: Admit, entry: QueueEntry) -> Admit:
    """The settlement of this entry, decided as that of the model was: its turn in the rotation is not taken again."""
    theirs = json.loads(entry.submission.body)
    lead = model.change.lead
    person = GenericLead(
        {**lead.lead.fields, "email": theirs["email"], "company": theirs["company"]}, lead.lead.custom
    )
    change = replace(model.change, lead=replace(lead, id=entry.submission.id, lead=person), rotation=None)
    return Admit(
        entry.entry_id,
        change,
        tuple(replace(seen, key=content_key(entry.submission)) for seen in model.seen),
        tuple((key, None) for key in person_keys(person)),
    )


def main() -> None:
    """Load, as a process of `load` or alone."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--leads", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="data directory of a server to start, load and stop again")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--rules", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--team", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.url:
        _load_share(given.url, given.rules, given.team, given.leads)
        return
    if given.keep is None:
        parser.error("--keep says where the data directory is to be")
    server = EmbeddedServer(given.keep / "data")
    server.start()
    try:
        seconds = load(server.url, write_rules(given.keep / "rules"), given.leads)
        store = open_store(server.url)
        used = store.server.client.info("memory")["used_memory"]
        assert store.operations.ledger().difference == 0, "the books do not balance"
        print(
            f"{given.leads:,} leads in {seconds:.0f} s ({given.leads / seconds:,.0f} a second), "
            f"{used / given.leads:,.0f} bytes each; {datetime.now(UTC):%H:%M}"
        )
        store.close()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
