"""Courier threads: a destination that hangs holds its own few, and a process that stops finishes what it holds."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from tests.servers import wait_until

from speed_to_lead.worker.couriers import THREADS, Couriers


class Work:
    """What couriers do here: destinations that begin with `slow` hang until they are let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.stopped: list[bool] = []
        self._lock = threading.Lock()

    def deliver(self, destination: str, go_on: Callable[[], bool]) -> None:
        with self._lock:
            self.begun[destination] += 1
        if destination.startswith("slow"):
            self.let_go.wait(20)
        if destination == "broken":
            raise ZeroDivisionError
        with self._lock:
            self.ended[destination] += 1
            self.stopped.append(not go_on())


@pytest.fixture
def work() -> Iterator[Work]:
    """The work, let go at the end."""
    work = Work()
    yield work
    work.let_go.set()


def test_a_destination_that_hangs_delays_no_other(work: Work) -> None:
    """The clock never waits for HTTP, and one slow destination never delays another."""
    couriers = Couriers(work.deliver)
    for _ in range(50):
        couriers.send({"slow": 4})
    wait_until(lambda: work.begun["slow"] == 4, "four hang")

    couriers.send({"slow": 4, "quick": 1})

    wait_until(lambda: work.ended["quick"] == 1, "the other one is told at once", 2)
    assert work.begun["slow"] == 4
    work.let_go.set()
    couriers.stop(5)


def test_many_destinations_that_hang_leave_room_for_the_others(work: Work) -> None:
    """From half of the threads on, each destination is down to one."""
    couriers = Couriers(work.deliver)
    couriers.send({f"slow-{number}": 4 for number in range(30)})
    wait_until(lambda: sum(work.begun.values()) == 32 + 22, "eight of four, and one each for the rest")

    couriers.send({"quick": 4})

    wait_until(lambda: work.ended["quick"] >= 1, "there is room", 2)
    assert sum(work.begun.values()) <= THREADS
    work.let_go.set()
    couriers.stop(5)


def test_a_courier_that_raises_gives_its_place_back(work: Work) -> None:
    """However often it fails, the next look sends another one."""
    couriers = Couriers(work.deliver)

    def failed(times: int) -> bool:
        couriers.send({"broken": 1})
        return work.begun["broken"] >= times

    wait_until(lambda: failed(THREADS + 10), "it is tried again and again")
    couriers.stop(5)


def test_stopping_lets_each_courier_finish_and_tells_it_to_take_no_more(work: Work) -> None:
    """`go_on` turns false; what is in hand is finished, within the time given."""
    couriers = Couriers(work.deliver)
    couriers.send({"slow": 2})
    wait_until(lambda: work.begun["slow"] == 2, "both at work")
    threading.Timer(0.2, work.let_go.set).start()

    began = time.monotonic()
    couriers.stop(10)

    assert time.monotonic() - began < 5
    assert (2, [True, True]) == (work.ended["slow"], work.stopped)


def test_stopping_does_not_wait_for_ever(work: Work) -> None:
    """A courier that hangs is left to its lease."""
    couriers = Couriers(work.deliver)
    couriers.send({"slow": 2})
    wait_until(lambda: work.begun["slow"] == 2, "both hang")

    began = time.monotonic()
    couriers.stop(0.3)

    assert time.monotonic() - began < 2
