"""Fair shares from outside: routers that race on a real server, crashes and repeats among them, and nobody gets more than one extra."""

import multiprocessing
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.core.builders import rep, rulebook, team
from tests.flow.scene import START, Destination, in_threads
from tests.servers import ManualClock

from speed_to_lead import flow
from speed_to_lead.config import Configuration
from speed_to_lead.core.reps import Absence
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.submission import Form, Submission
from speed_to_lead.flow import routing
from speed_to_lead.store import StoreUnavailable
from speed_to_lead.store.queue import RedisQueue
from speed_to_lead.store.redis_store import RedisStore, open_store
from speed_to_lead.workplace import Workplace

pytestmark = pytest.mark.real

_NUMBERS = count(1)
_BOUNDED = settings(
    max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def place_on(store: RedisStore, rules: Rulebook) -> Workplace:
    """A workplace with these rules, and one form."""
    config = Configuration(rules, {"demo": Form("demo", "generic", "none", source="demo_request")}, {})
    return Workplace(store, config, lambda _: Destination(), "console")


def submit(store: RedisStore, number: int, again: int = 0, **more: str) -> None:
    """A submission of person `number`, and the same delivered again so many times."""
    fields = {"email": f"p{number}@example.com", **more}
    body = "{" + ",".join(f'"{name}":"{value}"' for name, value in fields.items()) + "}"
    for _ in range(again + 1):
        store.queue.add(Submission(f"s{number}", "demo", store.now(), body.encode(), "application/json"))


def drain(place: Workplace, consumer: str) -> None:
    """Route until nothing is left that this router can take."""
    while flow.route(place, consumer).settled:
        pass


def counted(store: RedisStore) -> Counter[str]:
    """Leads by rep, counted from the records."""
    leads, _ = store.leads.newest(10_000)
    return Counter(lead.rep or "nobody" for lead in leads)


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=6),
    st.integers(2, 5),
    st.integers(1, 4),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
@_BOUNDED
def test_equals_never_differ_by_more_than_one_whatever_their_routers_do(
    server_url: str, waves: list[int], reps: int, batch: int, crashes: list[bool]
) -> None:
    """After each wave: four routers at once, small batches, repeats, and routers that die between pick and write."""
    store = open_store(server_url, f"fair{next(_NUMBERS)}")
    place = place_on(store, rulebook(teams=[team(*(f"r{n}" for n in range(reps)))]))
    numbers, total = count(), 0
    with (
        patch.object(routing, "ROUTE_BATCH", batch),
        patch.object(routing, "RECLAIM_AFTER", timedelta(0)),
    ):
        for wave, crash in zip(waves, crashes, strict=False):
            for _ in range(wave):
                submit(store, next(numbers), again=total % 2)
                total += 1
            if crash:
                with (
                    patch.object(RedisQueue, "settle", side_effect=StoreUnavailable("dead")),
                    pytest.raises(StoreUnavailable),
                ):
                    flow.route(place, "dying")
            in_threads(*(_drain_of(place, f"router-{n}") for n in range(4)))
            flow.route(place, "late", reclaim=True)
            counts = counted(store)
            assert total == sum(counts.values())
            assert max(counts.values()) - min(counts[f"r{n}"] for n in range(reps)) <= 1
    assert 0 == store.operations.ledger().difference
    store.close()


def _drain_of(place: Workplace, consumer: str) -> Callable[[], None]:
    return lambda: drain(place, consumer)


def _route_in_process(url: str, prefix: str, consumer: str) -> None:
    store = open_store(url, prefix)
    place = place_on(store, rulebook(teams=[team("ana", "ben", rep("cy", weight=2), "dan")]))
    with patch.object(routing, "ROUTE_BATCH", 7):
        drain(place, consumer)
    store.close()


def test_router_processes_share_fairly(server_url: str, key_prefix: str) -> None:
    """Three router processes on one queue: equals differ by one at most, a weight of two gets twice as much."""
    store = open_store(server_url, key_prefix)
    for number in range(250):
        submit(store, number)
    context: Any = multiprocessing.get_context("spawn")
    routers = [
        context.Process(target=_route_in_process, args=(server_url, key_prefix, f"router-{n}"))
        for n in range(3)
    ]
    for router in routers:
        router.start()
    for router in routers:
        router.join(60)
    assert [0, 0, 0] == [router.exitcode for router in routers]
    assert {"ana": 50, "ben": 50, "cy": 100, "dan": 50} == counted(store)
    store.close()


def test_who_returns_is_neither_flooded_nor_skipped(redis_store: RedisStore) -> None:
    """Away for 40 leads while others got theirs; back, they get one of each round from the first round on."""
    place = place_on(redis_store, rulebook(teams=[team("ana", "ben", "cy")]))
    redis_store.reps.set_away("cy", Absence("kim", redis_store.now()))
    for number in range(40):
        submit(redis_store, number)
    in_threads(*(_drain_of(place, f"router-{n}") for n in range(3)))
    assert {"ana": 20, "ben": 20} == counted(redis_store)

    flow.set_back(place, "cy", "kim")
    for number in range(40, 49):
        submit(redis_store, number)
    in_threads(*(_drain_of(place, f"router-{n}") for n in range(3)))

    assert {"ana": 23, "ben": 23, "cy": 3} == counted(redis_store)


def test_caps_and_cooldowns_hold_under_concurrency(redis_store: RedisStore, clock: ManualClock) -> None:
    """Somebody in two teams, whose routers race: no cap is passed by one lead, no cooldown broken."""
    del clock
    both = rep("ana", max_open=5)
    day = replace(rep("bea"), max_a_day=4)
    slow = replace(rep("cy"), cooldown=timedelta(hours=1))
    one = team(both, day, slow, "o1", name="one")
    two = team(both, day, slow, "o2", name="two")
    places = [place_on(redis_store, rulebook(teams=teams)) for teams in ((one, two), (two, one))]
    for number in range(60):
        submit(redis_store, number)
    with patch.object(routing, "ROUTE_BATCH", 3):
        in_threads(*(_drain_of(places[n % 2], f"router-{n}") for n in range(4)))
    counts = counted(redis_store)
    assert {"ana": 5, "bea": 4, "cy": 1} == {name: counts[name] for name in ("ana", "bea", "cy")}
    assert 60 == sum(counts.values())
    assert START < redis_store.now()
