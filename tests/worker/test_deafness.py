"""A process that lives and does nothing is ended, so that it is started again; nobody else ever is."""

import os
import re
import signal
import time

import pytest
import redis
from celery import Celery
from tests.processes import RunningProcess, procfile, runnable
from tests.servers import wait_until
from tests.worker.site import Site, wait_for_output

from speed_to_lead.store.keys import Keys
from speed_to_lead.worker.deafness import DEAF_AFTER, EXIT_CODE, LOOK_EVERY, STUCK_AFTER, Look, Patience


def looks(*seen: tuple[int | None, int, int, bool], every: float = LOOK_EVERY) -> list[str]:
    """The verdicts of these looks (waiting, taken, begun, busy), so many seconds apart."""
    patience = Patience()
    return [
        patience.verdict(Look(number * every, waiting, taken, begun, is_busy))
        for number, (waiting, taken, begun, is_busy) in enumerate(seen)
    ]


IDLE, DEAF, AWAY, WORKS = (0, 5, 5, False), (3, 5, 5, False), (None, 5, 5, False), (3, 5, 6, True)
DEAF_LOOKS = int(DEAF_AFTER / LOOK_EVERY)
STUCK_LOOKS = int(STUCK_AFTER / LOOK_EVERY)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        ([DEAF] * (DEAF_LOOKS + 1), "deaf"),
        ([DEAF] * DEAF_LOOKS, ""),
        ([*[DEAF] * DEAF_LOOKS, IDLE, *[DEAF] * DEAF_LOOKS], ""),  # somebody else took them
        ([*[DEAF] * DEAF_LOOKS, AWAY, *[DEAF] * DEAF_LOOKS], ""),  # the server was away
        ([*[DEAF] * DEAF_LOOKS, *[(3, 6, 6, False)] * DEAF_LOOKS], ""),  # it took one
        ([IDLE] * 1000, ""),
        ([AWAY] * 1000, ""),
        ([WORKS] * (STUCK_LOOKS + 1), "stuck"),
        ([WORKS] * STUCK_LOOKS, ""),
        ([*[WORKS] * STUCK_LOOKS, (3, 5, 7, True), *[WORKS] * STUCK_LOOKS], ""),  # another task
        ([*[WORKS] * STUCK_LOOKS, AWAY, *[WORKS] * STUCK_LOOKS], ""),
    ],
)
def test_patience(seen: list[tuple[int | None, int, int, bool]], verdict: str) -> None:
    """Only what lasts, with the broker answering all the while, is a verdict; the last look is when it falls."""
    verdicts = looks(*seen)
    assert ("" if len(seen) > 1 else verdict) in {"", *verdicts[:-1]}
    assert (verdict, {""}) == (verdicts[-1], set(verdicts[:-1]))


def test_looks_too_far_apart_say_nothing() -> None:
    """A process that stood still is not accused of what it could not do meanwhile."""
    assert {""} == set(looks(*[DEAF] * 100, every=7.0))


def test_it_comes_within_half_a_minute() -> None:
    """A look to begin, the patience, a look to end it: the platform has the rest for the restart."""
    assert DEAF_AFTER + 2 * LOOK_EVERY < 30


# --- real processes --------------------------------------------------------------------------------------------


#: Of the tests that need no more than that something lasts longer than the patience.
SHORT = 6.0


def faulty(site: Site, name: str, deaf_after: float = SHORT) -> RunningProcess:
    """The Procfile's process on the application with a fault."""
    command = procfile()[name].replace("speed_to_lead.worker.app", "tests.worker.deaf_app")
    return site.fleet.start_command(name, ["env", f"TEST_DEAF_AFTER={deaf_after}", *runnable(command)])


@pytest.mark.real
def test_a_deaf_worker_ends_within_thirty_seconds_and_its_successor_works(site: Site) -> None:
    """The router is connected and polls, but takes nothing: found, said, ended; the next one routes what waited."""
    router = faulty(site, "router", DEAF_AFTER)
    site.start("clock", "courier", "beat")
    wait_until(lambda: "router" in site.stages(), "the router works", 60)
    send(site, "test.deafen")
    wait_until(lambda: "router" not in site.stages(), "the router is deaf", 15)
    began = time.monotonic()
    ids = site.submit(5)

    wait_until(lambda: not router.is_running, "the deaf router is ended", 30)

    assert time.monotonic() - began < 30
    assert (EXIT_CODE, True) == (router.process.returncode, "worker.deaf" in router.output)
    site.start("router")
    for lead_id in ids:
        site.wait_for_alert(lead_id)
    others = [process for process in site.fleet.processes if process is not router]
    assert all(process.is_running for process in others)


@pytest.mark.real
def test_a_worker_stuck_in_one_task_is_ended(site: Site) -> None:
    """A solo worker has no time limit of Celery's; ours ends it, also where nobody waits for anything."""
    router = faulty(site, "router")
    wait_for_output(router, "ready", 60)
    send(site, "test.hang")
    wait_until(lambda: not router.is_running, "the stuck router is ended", 60)
    assert (EXIT_CODE, True) == (router.process.returncode, "worker.stuck" in router.output)
    assert re.search(r"main_thread\W+deaf_app.py:\d+ hang < ", router.output), (
        "its last words say what it hung in"
    )


def send(site: Site, task: str) -> None:
    """Send the router a task by its name."""
    with Celery(broker=site.server.url) as sender:
        sender.conf.broker_transport_options = {"global_keyprefix": Keys().broker}
        sender.send_task(task, queue="route")


@pytest.mark.real
def test_a_beat_that_hangs_is_ended(site: Site) -> None:
    """Without ticks everything waits; the beat's own thread sees that nothing is sent any more."""
    beat = faulty(site, "beat")
    wait_until(lambda: not beat.is_running, "the hung beat is ended", 90)
    assert (EXIT_CODE, True) == (beat.process.returncode, "beat.deaf" in beat.output)


@pytest.mark.real
def test_nobody_is_accused_while_the_server_refuses_writes(site: Site) -> None:
    """It answers, but nothing can be sent or taken: for longer than the patience, with messages waiting, all live on."""
    running = {name: faulty(site, name) for name in ("router", "clock", "courier")}
    running |= site.start("beat")
    # A beat of the faulty application hangs by itself; the ordinary one has the patience of twenty seconds.
    wait_until(lambda: site.stages() >= running.keys() - {"beat"}, "everybody works", 60)
    os.killpg(running["router"].process.pid, signal.SIGSTOP)
    with redis.Redis.from_url(site.server.url) as client:
        wait_until(lambda: client.llen(f"{Keys().broker}route") > 0, "messages wait for the router")
        client.config_set("min-replicas-to-write", 1)
        os.killpg(running["router"].process.pid, signal.SIGCONT)
        _pass(DEAF_AFTER + 3 * LOOK_EVERY)
        assert dict.fromkeys(running, True) == {name: one.is_running for name, one in running.items()}
        client.config_set("min-replicas-to-write", 0)
    site.wait_for_alert(site.submit(1)[0], seconds=20)
    assert dict.fromkeys(running, True) == {name: one.is_running for name, one in running.items()}


@pytest.mark.real
def test_nobody_is_accused_while_the_server_is_away_or_after_standing_still(site: Site) -> None:
    """Longer than the patience without a server, then as long frozen: everybody goes on, nobody was ended."""
    running = {name: faulty(site, name) for name in ("router", "clock", "courier")} | site.start("beat")
    wait_until(lambda: site.stages() >= running.keys() - {"beat"}, "everybody works", 60)
    site.server.stop(kill=True)
    _pass(SHORT + 2 * LOOK_EVERY)
    site.server.start()
    site.wait_for_alert(site.submit(1)[0], seconds=20)
    os.killpg(running["router"].process.pid, signal.SIGSTOP)
    _pass(SHORT + 2 * LOOK_EVERY)
    os.killpg(running["router"].process.pid, signal.SIGCONT)
    site.wait_for_alert(site.submit(1)[0], seconds=20)
    assert all(process.is_running for process in running.values())
    assert [] == [name for name, process in running.items() if ".deaf" in process.output]


def _pass(seconds: float) -> None:
    """Let time pass: here it is what is tested, not a wait for a result."""
    time.sleep(seconds)
