"""How much memory an open lead takes: everything a server keeps for it once its first alert was delivered.

Leads go the whole way (queue, router, courier) through the shipped rules, on a real server; then what the server's
own `used_memory` grew by is divided by their number. Names, messages, companies, phones and campaigns differ from
lead to lead, as they do in life: what is the same in all of them would pack too well.
"""

import contextlib
import json
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog

from benchmarks.finding import Check, Finding, Row
from speed_to_lead import flow
from speed_to_lead.cli.embedded import EmbeddedServer
from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.core.message import Message
from speed_to_lead.core.submission import Submission
from speed_to_lead.store.redis_store import RedisStore, open_store
from speed_to_lead.workplace import Workplace, read_config

BUDGET: Final = 1228  # 1.2 KiB
LEADS: Final = 5000
#: Routed before anything is measured, so that what there is once (script cache, counters) is not counted.
WARM_UP: Final = 50
#: `used_memory` has come to rest when it says the same so often, a tenth of a second apart.
AT_REST: Final = 5
PATIENCE: Final = 30.0
CONFIG: Final = Path(__file__).parents[1] / "config"

_FIRST = (
    "Kim",
    "Sam",
    "Alex",
    "Maria",
    "Jonas",
    "Aisha",
    "Wei",
    "Priya",
    "Lucas",
    "Emma",
    "Noah",
    "Olivia",
    "Yuki",
    "Carlos",
    "Fatima",
    "Ivan",
    "Chloe",
    "Zoë",
)
_LAST = [
    "Lee",
    "Garcia",
    "Müller",
    "Khan",
    "Chen",
    "Patel",
    "Silva",
    "Johansson",
    "Brown",
    "Tanaka",
    "Lopez",
    "Haddad",
    "Petrov",
    "Rossi",
    "Nkosi",
]
_COMPANY = (
    "Copper",
    "Harbour",
    "Linden",
    "Meridian",
    "Osprey",
    "Pebble",
    "Quartz",
    "Rowan",
    "Saffron",
    "Tidal",
    "Umber",
    "Willow",
)
_SOURCES = (
    *("demo request", "demo request", "contact form", "pricing page", "referral", "partner"),
    *("outbound sequence", "newsletter", "webinar"),
)
_MESSAGES = (
    "We would like to see it",
    "Can you integrate with our CRM?",
    "Looking for pricing for 250 seats, annual billing",
    "Please call me back this afternoon: we are comparing three vendors and need a quote by Friday.",
    "Hi, I saw your talk and would love a demo. We have forty reps in three regions, and answer far too late.",
)


def measure(rounds: int, scratch: Path, leads: int = LEADS) -> Finding:
    """Bytes per open lead, by key family and in all; leads as they come, and for comparison poorer and richer ones."""
    figures, families = [], Counter[str]()
    for number in range(rounds):
        in_all, families = _bytes_per_lead(_as_they_come, leads, scratch / f"round-{number}")
        figures.append(in_all)
    poor, _ = _bytes_per_lead(_poor, leads, scratch / "poor")
    rich, _ = _bytes_per_lead(_rich, leads, scratch / "rich")
    ours = Row("speed-to-lead, leads as they come", tuple(figures))
    return Finding(
        name="memory",
        question="How much memory does an open lead take in Redis, its first alert delivered?",
        unit="bytes",
        more_is_better=False,
        rows=(ours, Row("with an e-mail address alone", (poor,)), Row("with every field filled in", (rich,))),
        checks=(
            Check(f"memory per open lead ≤ {BUDGET} bytes", ours.median, BUDGET, at_least=False),
            Check(f"memory per open lead with every field ≤ {BUDGET} bytes", rich, BUDGET, at_least=False),
        ),
        notes=(
            f"{leads} leads went through queue, router and courier, by the shipped rules, on a server of their own.",
            "The figure is what its used_memory grew by, divided by their number: record, trace, two lines of history,",
            "indexes, the person's key, the key by which a repeat is recognised, hash tables, allocator.",
            "By key family as MEMORY USAGE tells, which leaves the table of all keys out.",
            "At night and at weekends a record is longer: it says of each rep when the shift opens.",
        ),
        figures={
            f"{family}, bytes": round(each, 1) for family, each in families.most_common() if round(each) >= 1
        },
    )


def _bytes_per_lead(
    body: Callable[[random.Random, int], dict[str, Any]], leads: int, directory: Path
) -> tuple[float, Counter[str]]:
    directory.mkdir()
    server = EmbeddedServer(directory)
    server.start()
    try:
        with open_store(server.url).server.client as client:
            client.config_set("appendfsync", "no")  # it is not speed that is measured
        chance = random.Random(directory.name)
        with quiet(), _workplace(server.url) as place:
            routed_and_told(place, [body(chance, number) for number in range(-WARM_UP, 0)])
        before = _used_memory(server.url)
        with quiet(), _workplace(server.url) as place:
            routed_and_told(place, [body(chance, number) for number in range(leads)])
            count = place.store.operations.health().open_leads
        if count != leads + WARM_UP:
            raise RuntimeError(f"{count} leads are open, expected {leads + WARM_UP}")
        return (_used_memory(server.url) - before) / leads, _families(server.url, count)
    finally:
        server.stop()


class Told:
    """A destination that takes everything."""

    recognises_repeats = True

    def send(self, message: Message, now: datetime) -> Attempt:
        """Delivered."""
        del message, now
        return Attempt(Outcome.DELIVERED)


@contextlib.contextmanager
def _workplace(url: str) -> Iterator[Workplace]:
    store = open_store(url)
    try:
        yield Workplace(store, read_config(CONFIG), lambda _: Told())
    finally:
        store.close()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No line of log for each lead."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def routed_and_told(place: Workplace, bodies: list[dict[str, Any]]) -> None:
    """Through queue, router and courier."""
    for body in bodies:
        now = place.store.now()
        raw = json.dumps(body, ensure_ascii=False).encode()
        place.store.queue.add(
            Submission(flow.new_submission_id(now), "api", now, raw, "application/json", {})
        )
    while flow.route(place, "benchmark").settled:
        pass
    while due := flow.destinations_due(place):
        for destination in due:
            flow.deliver(place, destination)


def _used_memory(url: str) -> int:
    """What the server uses, once it has come to rest: nothing more to write to disk, no table being moved."""
    store = open_store(url)
    try:
        limit = time.monotonic() + PATIENCE
        said: list[int] = []
        while len(said) < AT_REST or len(set(said[-AT_REST:])) > 1:
            if time.monotonic() > limit:
                raise RuntimeError(f"used_memory does not come to rest: {said[-AT_REST:]}")
            time.sleep(0.1)
            said.append(int(store.server.client.info("memory")["used_memory"]))
        return said[-1]
    finally:
        store.close()


def _families(url: str, leads: int) -> Counter[str]:
    """Bytes per lead of each family of keys, as the server tells of each key alone."""
    store: RedisStore = open_store(url)
    found: Counter[str] = Counter()
    try:
        client, start = store.server.client, store.server.keys.start
        for key in client.scan_iter(f"{start}*", count=1000):
            name = key.decode().removeprefix(start)
            one_of_many = name.startswith(("lead:", "person:", "seen:"))
            family = f"{name.partition(':')[0]}:*" if one_of_many else name
            found[family] += client.memory_usage(key, samples=0) / leads
    finally:
        store.close()
    return found


# --- leads, all of them invented -------------------------------------------------------------------------------


def _poor(chance: random.Random, number: int) -> dict[str, Any]:
    return {
        "email": f"{chance.choice(_FIRST)}.{number}@example.com".lower(),
        "source": chance.choice(_SOURCES),
    }


def _as_they_come(chance: random.Random, number: int) -> dict[str, Any]:
    first, last, company = chance.choice(_FIRST), chance.choice(_LAST), chance.choice(_COMPANY)
    body: dict[str, Any] = {
        "email": f"{first}.{last}{number}@{company}.example.com".lower(),
        "name": f"{first} {last}",
        "company": f"{company} {chance.choice(('Ltd', 'GmbH', 'Inc', 'AG', 'Group'))}",
        "country": chance.choice(("US", "DE", "GB", "FR", "SG", "IN", "BR")),
        "employees": str(chance.choice((5, 20, 80, 250, 600, 2000))),
        "source": chance.choice(_SOURCES),
    }
    if chance.random() < 0.6:
        body["phone"] = _phone(chance)
    if chance.random() < 0.7:
        body["message"] = chance.choice(_MESSAGES)
    if chance.random() < 0.5:
        body |= _campaign(chance)
    if chance.random() < 0.4:
        body |= _custom(chance)
    return body


def _rich(chance: random.Random, number: int) -> dict[str, Any]:
    body = _as_they_come(chance, number) | _campaign(chance) | _custom(chance)
    return body | {
        "phone": _phone(chance),
        "message": _MESSAGES[-1],
        "job_title": chance.choice(("Head of Sales", "CTO", "RevOps Manager", "Founder")),
        "gclid": f"{chance.getrandbits(200):x}",
    }


def _phone(chance: random.Random) -> str:
    return f"+1555{chance.randrange(10**7):07d}"


def _campaign(chance: random.Random) -> dict[str, Any]:
    return {
        "utm_source": chance.choice(("google", "linkedin", "bing")),
        "utm_medium": chance.choice(("cpc", "social", "email")),
        "utm_campaign": chance.choice(("spring-launch", "brand", "q4-demo")),
        "page_url": f"https://www.example.com/{chance.choice(('pricing', 'demo', 'contact'))}",
    }


def _custom(chance: random.Random) -> dict[str, Any]:
    return {
        "custom": {
            "crm_id": f"{chance.getrandbits(64):016x}",
            "region": chance.choice(("North", "South", "East", "West")),
            "seats": chance.randrange(500),
        }
    }


LEAD_KINDS = (_poor, _as_they_come, _as_they_come, _rich)
