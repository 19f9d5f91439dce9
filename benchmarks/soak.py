"""Does memory stay flat over days? Leads come, are answered, closed or forgotten, and age away; a day takes a second.

    python -m benchmarks.soak --days 60 --leads 500

A real server and the real stages on a clock that runs ahead day by day, retention on. The server's own expiry cannot
be made to run ahead, so at the end of each day every key with an expiry is made a day older. Prints a row for each
day, and exits 1 where memory or the number of keys still grows once the longest age has passed.
"""

import argparse
import gc
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from tests.flow.scene import DELIVERED, REFUSED, TimedStore, new_scene
from tests.servers import ManualClock, RealServer

from speed_to_lead import flow, privacy
from speed_to_lead.auditor import Auditor
from speed_to_lead.core.delivery import Attempt
from speed_to_lead.core.lead import Response, ResponseKind
from speed_to_lead.core.message import Message
from speed_to_lead.core.response import close_lead, record_response
from speed_to_lead.core.retention import Retention
from speed_to_lead.core.submission import Submission
from speed_to_lead.store.redis_store import RedisStore, open_store
from speed_to_lead.workplace import Workplace

DAY = timedelta(days=1)
#: The ages of the run, short so that many of them pass.
AGES = Retention(
    answered=5 * DAY, closed=3 * DAY, unanswered=2 * DAY, dead_letters=4 * DAY, dead_alerts=4 * DAY
)
#: Seen keys are kept for 14 days, longer than any age above: after so many days nothing may grow any more.
LEVEL_AFTER = 16
#: Growth allowed between the first and the last third of the level days: noise of the allocator, not a leak.
SLACK, SLACK_BYTES, SLACK_RSS_KB = 0.03, 200_000, 6_000
TICKS = 12


@dataclass(frozen=True, slots=True)
class Day:
    """What stood at the end of one day."""

    number: int
    leads: int
    keys: int
    used_memory: int
    rss_kb: int


class _Ear:
    """A destination that remembers nothing, and refuses one alert in fifty."""

    recognises_repeats = True

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def send(self, message: Message, now: datetime) -> Attempt:
        del message, now
        return REFUSED if self._dice.random() < 0.02 else DELIVERED


def soak(
    server: RealServer, days: int, leads: int, seed: int = 1, ages: Retention = AGES, ticks: int = TICKS
) -> Iterator[Day]:
    """Live so many days with so many submissions each."""
    dice = random.Random(seed)
    store = open_store(server.url, "soak")
    clock = ManualClock()
    scene = new_scene(store, clock)
    clock.now = datetime.now(UTC) - (days + 2) * DAY
    place = replace(scene.place, store=TimedStore(store, clock), channel=lambda _: _Ear(dice))
    open_leads: list[str] = []
    count = 0
    for number in range(1, days + 1):
        for _ in range(ticks):
            for _ in range(leads // ticks):
                count += 1
                open_leads += _submit(place, dice, count)
            clock.advance(DAY / ticks / 2)
            _work(place)
            open_leads = _people(place, dice, open_leads)
            clock.advance(DAY / ticks / 2)
            _work(place)
            _expire(place, ages)
        _make_a_day_older(store)
        yield _measured(store, number)
    assert store.operations.ledger().difference == 0, "the books do not balance"
    store.close()


def _submit(place: Workplace, dice: random.Random, count: int) -> list[str]:
    now = place.store.now()
    lead_id = flow.new_submission_id(now)
    kind = dice.random()
    person = count if kind > 0.1 else dice.randrange(max(count - 50, 0), count + 1)  # a touch, now and then
    body = json.dumps({"email": f"person-{person}@example.com", "message": "x" * 200, "n": count}).encode()
    raw = body if kind > 0.02 else b"broken" + body
    place.store.queue.add(Submission(lead_id, "demo", now, raw, "application/json"))
    return [lead_id]


def _work(place: Workplace) -> None:
    while flow.route(place, "router-1").is_full:
        pass
    flow.sweep(place)
    for destination in flow.destinations_due(place):
        flow.deliver(place, destination)
    Auditor(place).tick(0.1)


def _people(place: Workplace, dice: random.Random, lead_ids: list[str]) -> list[str]:
    """Most leads are answered, some closed; the rest is forgotten by everybody."""
    for lead in place.store.leads.get_many(lead_ids):
        if not isinstance(lead, Exception) and lead is not None and lead.is_open:
            throw = dice.random()
            if throw < 0.7:
                _change(place, lead.id, ResponseKind.CONNECTED)
            elif throw < 0.85:
                _change(place, lead.id, None)
    return []


def _change(place: Workplace, lead_id: str, kind: ResponseKind | None) -> None:
    flow.change_lead(
        place,
        lead_id,
        lambda lead, now: (
            record_response(lead, Response(kind, "ana", now, now), now)
            if kind
            else close_lead(lead, "spam", "ana", now)
        ),
    )


def _expire(place: Workplace, ages: Retention) -> None:
    cursor = 0
    while True:
        cursor = privacy.expire(place, ages, cursor).cursor
        if not cursor:
            return


def _make_a_day_older(store: RedisStore) -> None:
    client = store.server.client
    for key in client.scan_iter("{soak}:*", count=1000):
        left = client.pttl(key)
        if left > 0:
            client.pexpire(key, max(left - DAY // timedelta(milliseconds=1), 1))


def _measured(store: RedisStore, number: int) -> Day:
    gc.collect()
    client = store.server.client
    return Day(
        number,
        client.zcard(store.server.keys.all_leads),
        client.dbsize(),
        client.info("memory")["used_memory"],
        int(Path("/proc/self/statm").read_text().split()[1]) * 4,
    )


def growth_of(days: list[Day]) -> list[str]:
    """What still grows from the first third of the level days to the last; nothing where all is flat."""
    level = [day for day in days if day.number > LEVEL_AFTER]
    third = max(len(level) // 3, 1)
    found = []
    for name, slack in (("keys", 20.0), ("used_memory", SLACK_BYTES), ("rss_kb", SLACK_RSS_KB)):
        first = statistics.mean(getattr(day, name) for day in level[:third])
        last = statistics.mean(getattr(day, name) for day in level[-third:])
        if last > first * (1 + SLACK) + slack:
            found.append(f"{name} grew from {first:,.0f} to {last:,.0f}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--days",
        type=int,
        default=45,
        help=f"days to live; {LEVEL_AFTER + 7} at least, for memory is level after {LEVEL_AFTER}",
    )
    parser.add_argument("--leads", type=int, default=500, help="submissions a day")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep-all", action="store_true", help="no retention: shows that the soak can fail")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    days: list[Day] = []
    with tempfile.TemporaryDirectory() as directory:
        server = RealServer(Path(directory))
        server.start("--appendonly", "no")  # what is on disk is not what is measured
        try:
            print(f"{'day':>4} {'leads kept':>11} {'keys':>9} {'used_memory':>13} {'RSS KB':>9}")
            ages = Retention() if given.keep_all else AGES
            for day in soak(server, given.days, given.leads, given.seed, ages):
                days.append(day)
                print(
                    f"{day.number:>4} {day.leads:>11,} {day.keys:>9,} {day.used_memory:>13,} {day.rss_kb:>9,}",
                    flush=True,
                )
        finally:
            server.stop(kill=True)
    found = growth_of(days)
    print("\n".join(found) or f"flat from day {LEVEL_AFTER + 1} to day {given.days}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
