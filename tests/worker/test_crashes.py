"""Processes killed in the middle of their work, and the server under them: nothing lost, nothing doubled."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from tests.servers import wait_until
from tests.worker.sink import Received
from tests.worker.site import WORKERS, Site, doubled, nothing_is_lost_or_doubled

from speed_to_lead import flow
from speed_to_lead.store import StoreUnavailable

pytestmark = pytest.mark.real


@pytest.fixture(scope="module", autouse=True)
def killed_courier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, list[str], set[str]]]:
    """A site whose courier was killed between the POST and the note; its leads, and the alerts then on their way.

    Made before the other tests of this module, because what it waits for takes a lease, which is 40 s.
    """
    site = Site(tmp_path_factory.mktemp("killed-courier"))
    try:
        running = site.start(*WORKERS, "beat")
        site.sink.hold()
        ids = site.submit(3)
        wait_until(lambda: len(site.sink.received()) >= 3, "three alerts are on their way")
        running["courier"].kill()
        on_their_way = set(site.sink.keys())  # not before: until it was dead it took what came due
        site.sink.release()
        site.fleet.start("courier")
        yield site, ids, on_their_way
    finally:
        site.end()


@pytest.fixture(scope="module", autouse=True)
def killed_in_a_storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, list[str]]]:
    """A site whose courier was killed while a digest was on its way; its leads. Made early, for the same reason."""
    site = Site(tmp_path_factory.mktemp("killed-in-a-storm"))
    try:
        rules = Path(site.fleet._environment["STL_CONFIG_DIR"])
        with (rules / "slas.toml").open("a") as slas:  # nobody is in a hurry, or nothing would be folded
            slas.write('[slas.slow]\nrespond_within = "8h"\nsteps = [ { at = "0%", tell = "manager" } ]\n')
        (rules / "routing.toml").write_text('[default]\nteam = "all"\nsla = "slow"\n')
        alerts = (rules / "alerts.toml").read_text()
        told = "[destinations.managers]\n"
        (rules / "alerts.toml").write_text(
            alerts.replace(told, f'{told}digest_over = 3\ndigest_within = "3s"\n')
        )
        running = site.start(*WORKERS, "beat")
        ids = site.submit(60)
        wait_until(lambda: len(site.sink.received()) >= 3, "the first are told one by one")
        site.sink.hold()
        wait_until(lambda: any(_members(one) for one in site.sink.received()), "a digest is on its way")
        running["courier"].kill()
        site.sink.release()
        site.fleet.start("courier")
        yield site, ids
    finally:
        site.end()


def test_router_and_clock_killed_again_and_again_lose_and_double_nothing(site: Site) -> None:
    """A kill -9 at any moment while 300 leads arrive and come due: one lead, one rep, each step told once."""
    dice = random.Random(20261122)
    running = site.start(*WORKERS, "beat")
    ids: list[str] = []
    arriving = threading.Thread(target=lambda: ids.extend(site.submit(300, a_second=100)))
    arriving.start()

    for number in range(8):
        name = ("router", "clock")[number % 2]
        time.sleep(dice.uniform(0.1, 1.2))  # an instant for a blow to fall, not a wait for anything
        running[name].kill()
        running[name] = site.fleet.start(name)
    arriving.join()
    site.wait_until_done(300)

    nothing_is_lost_or_doubled(site, ids)
    assert doubled(site) == []


def test_a_server_killed_under_the_processes_is_worked_with_again_within_seconds(site: Site) -> None:
    """A kill -9 of the server with messages in flight: no process ends, and new leads are routed and told of."""
    running = site.start("web", *WORKERS, "beat", "watchdog")
    before = site.submit(20)

    for down_for in (0.0, 2.0, 0.5):
        wait_until(lambda: site.health().outbox == 0, "no alert under way, whose lease would be waited for")
        site.server.stop(kill=True)
        time.sleep(down_for)  # how long the outage lasts
        site.server.start()
        submitted = _submitted_as_soon_as_possible(site)
        began = time.monotonic()
        site.wait_for_alert(submitted, seconds=15)
        assert time.monotonic() - began < 12
        before.append(submitted)

    assert {name: one.process.returncode for name, one in running.items() if not one.is_running} == {}
    site.wait_until_done(len(before), 60)
    nothing_is_lost_or_doubled(site, before)


def test_a_frozen_server_is_worked_with_again_when_it_thaws(site: Site) -> None:
    """A server that answers nothing for longer than every timeout leaves no process stuck."""
    running = site.start(*WORKERS, "beat")
    site.wait_for_alert(site.submit(1)[0])
    site.server.freeze()
    time.sleep(7)  # longer than the five seconds after which an answer is given up
    site.server.thaw()

    lead_id = _submitted_as_soon_as_possible(site)

    site.wait_for_alert(lead_id, seconds=20)
    assert {name: one.process.returncode for name, one in running.items() if not one.is_running} == {}


@pytest.mark.parametrize(
    ("refuse", "mend"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    ],
    ids=["OOM", "READONLY"],
)
def test_a_server_that_refuses_writes_ends_no_process(
    site: Site, refuse: tuple[str, ...], mend: tuple[str, ...]
) -> None:
    """Full, or a replica since a failover: whoever runs waits, and works with it again within seconds."""
    running = site.start("web", *WORKERS, "beat", "watchdog")
    site.wait_for_alert(site.submit(1)[0])
    with redis.Redis.from_url(site.server.url) as client:
        client.execute_command(*refuse)
        time.sleep(4)  # how long it lasts: several ticks of every stage
        client.execute_command(*mend)

    lead_id = _submitted_as_soon_as_possible(site)

    site.wait_for_alert(lead_id, seconds=20)
    assert {name: one.process.returncode for name, one in running.items() if not one.is_running} == {}
    wait_until(lambda: set(WORKERS) <= site.stages(), "every stage at work", 20)


def test_a_courier_killed_between_the_post_and_the_note_repeats_under_the_same_key(
    killed_courier: tuple[Site, list[str], set[str]],
) -> None:
    """At least once with a name: what was on its way is sent again when its lease ends, and nothing else is."""
    site, ids, on_their_way = killed_courier

    site.wait_until_done(3, flow.LEASE.total_seconds() + 20)

    nothing_is_lost_or_doubled(site, ids)
    assert doubled(site)
    assert set(doubled(site)) <= on_their_way
    assert max(site.sink.keys().values()) == 2


def test_a_courier_killed_with_a_digest_on_its_way_leaves_nobody_out(
    killed_in_a_storm: tuple[Site, list[str]],
) -> None:
    """Every lead is told of, by itself or in one digest; what comes again has the same key and names the same leads."""
    site, ids = killed_in_a_storm

    seconds = flow.LEASE.total_seconds() + 20
    wait_until(lambda: site.health().outbox == 0, "everybody is told", seconds)

    by_key: dict[str, set[str]] = {}
    for one in site.sink.received():
        said = {member.partition(":")[0] for member in _members(one)} or {one.lead_id}
        assert said == by_key.setdefault(one.key, said)
    told = Counter(lead_id for said in by_key.values() for lead_id in said)
    assert dict.fromkeys(ids, 1) == dict(told)
    assert any(":digest-" in key for key in doubled(site))
    assert max(site.sink.keys().values()) == 2


def _members(received: Received) -> list[str]:
    """The alerts a digest stands for."""
    return list(received.body["data"].get("alerts") or ())


def _submitted_as_soon_as_possible(site: Site) -> str:
    ids: list[str] = []

    def submitted() -> bool:
        try:
            ids.extend(site.submit(1))
        except StoreUnavailable:
            return False
        return True

    wait_until(submitted, "the server takes a submission")
    return ids[0]
