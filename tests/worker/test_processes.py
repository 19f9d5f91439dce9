"""The processes of the Procfile at work: in time, side by side, without their broker, told to stop, and given poison."""

import json
import time
from collections import Counter

import pytest
import redis
from tests.servers import wait_until
from tests.worker.site import Site, doubled, wait_for_output

from speed_to_lead.store.keys import Keys

pytestmark = pytest.mark.real


def test_alerts_arrive_within_two_seconds_of_their_instant(shared_site: Site) -> None:
    """From the planned instant of each step to the receiver: under two seconds for 99 of 100."""
    site = shared_site
    ids = set(site.submit(100, a_second=50))
    wait_until(lambda: {"+2s"} <= _steps(site, ids), "the last step begins", 20)
    wait_until(lambda: site.health().scheduled == 0 and site.health().outbox == 0, "everything is told", 20)

    leads = {lead.id: lead for lead in site.leads()}
    late = sorted(
        received.at - step.at.timestamp()
        for received in site.sink.received()
        if received.lead_id in ids and (step := leads[received.lead_id].step(received.step)) is not None
    )

    assert len(late) == 600  # told, reminded, breached thrice (manager, new and old rep), escalated
    assert late[int(len(late) * 0.99)] < 2.0, late[-10:]
    assert late[0] > -0.01


def test_two_beats_and_two_of_each_worker_say_everything_once(shared_site: Site) -> None:
    """A double deploy is harmless: locks would save work, versions save correctness."""
    site = shared_site
    more = site.start("beat", "router", "clock", "courier")
    wait_until(lambda: len(site.health().heartbeats) >= 7, "two of each at work", 60)

    ids = site.submit(60, a_second=60)
    for lead_id in ids:
        site.wait_for_alert(lead_id, "+2s", 60)

    said = Counter(one.key for one in site.sink.received() if one.lead_id in ids)
    assert (doubled(site), sum(said.values())) == ([], 360)
    assert site.store.operations.ledger().difference == 0
    assert [process.stop(10) for process in more.values()] == [0, 0, 0, 0]


def test_without_its_messages_the_next_tick_finds_the_work(shared_site: Site) -> None:
    """Everything Celery keeps may be deleted at any moment: a lead is still routed and told within seconds."""
    site = shared_site
    client = redis.Redis.from_url(site.server.url)
    broker = Keys().broker
    for _ in range(5):
        names = client.keys(f"{broker}*")
        if names:
            client.delete(*names)
        lead_id = site.submit(1)[0]
        began = time.monotonic()
        site.wait_for_alert(lead_id, seconds=10)
        assert time.monotonic() - began < 5
    client.close()


def test_poison_stops_neither_the_router_nor_its_neighbours(shared_site: Site) -> None:
    """Whatever is added to the stream, the leads before and after it are routed, and the router goes on."""
    site = shared_site
    client = redis.Redis.from_url(site.server.url)
    before = site.store.operations.ledger()
    poison: list[dict[str | bytes, str | bytes]] = [
        {"nonsense": "1"},
        {b"\xff\xfe": b"\x00\xff"},
        {"form": "demo"},
        {"form": "demo", "body": b""},
        {"form": "demo", "body": b"[" * 100_000},
        {"form": "demo", "body": b"\x00" * 1000, "id": "../../etc", "received_at": "-1"},
        {"form": "demo", "body": b'{"email": "x@example.com"', "headers": "{"},
        {"form": "\ud83d\ude00".encode("utf-16", "surrogatepass"), "body": b"{}"},
        {"form": "demo", "body": json.dumps({"email": {"a": [1, 2]}}), "received_at": "9" * 400},
    ]
    ids = []
    for entry in poison:
        client.xadd(Keys().incoming, entry)  # type: ignore[arg-type]
        ids += site.submit(1)
    client.close()

    for lead_id in ids:
        site.wait_for_alert(lead_id, seconds=15)

    wait_until(lambda: site.health().queued == 0, "the queue is empty")
    after = site.store.operations.ledger()
    assert (len(poison), 0) == (after.dead_letters - before.dead_letters, after.difference)


def test_every_process_ends_within_ten_seconds_and_gives_back_what_it_holds(shared_site: Site) -> None:
    """SIGTERM in the middle of work: exit code 0, nothing half done, and whoever is started next goes on.

    The last test of this module: it ends what the others share, and starts it again.
    """
    site = shared_site
    wait_until(lambda: site.health().outbox == 0, "nothing is left from before", 60)
    running = {
        process.log.stem.partition("-")[2]: process for process in site.fleet.processes if process.is_running
    }
    site.sink.hold()
    ids = site.submit(40)
    wait_until(lambda: any(one.lead_id in ids for one in site.sink.received()), "alerts are on their way")

    codes: dict[str, int] = {}
    for name in ("web", "beat", "router", "clock", "watchdog"):
        began = time.monotonic()
        codes[name] = running[name].stop(10)
        assert time.monotonic() - began < 10
    site.sink.release()
    codes["courier"] = running["courier"].stop(10)

    assert dict.fromkeys(("web", "beat", "router", "clock", "watchdog", "courier"), 0) == codes
    assert site.store.operations.ledger().difference == 0
    again = site.start("router", "clock", "courier", "beat")
    for lead_id in ids:
        site.wait_for_alert(lead_id, "+2s", 60)
    assert doubled(site) == []
    assert all(process.is_running for process in again.values())


def test_a_worker_refuses_a_server_that_throws_keys_away(site: Site) -> None:
    """One plain sentence and exit code 2, instead of leads lost one day."""
    site.server.stop()
    site.server.start("--maxmemory-policy", "allkeys-lru")

    worker = site.fleet.start("router")
    wait_until(lambda: not worker.is_running, "it ends", 60)

    assert worker.process.returncode == 2
    assert "speed-to-lead: the server's maxmemory-policy is allkeys-lru" in worker.output
    assert "Traceback" not in worker.output


def test_a_worker_started_before_its_server_waits_for_it(site: Site) -> None:
    """Start order does not matter: whoever comes first says so and waits."""
    site.server.stop()
    running = site.fleet.start_all("router", "clock", "courier", "beat")
    wait_for_output(running["router"], "store.away", 60)

    site.server.start()

    site.wait_for_alert(site.submit(1)[0], seconds=30)
    assert all(process.is_running for process in running.values())


def _steps(site: Site, ids: set[str]) -> set[str]:
    return {received.step for received in site.sink.received() if received.lead_id in ids}
