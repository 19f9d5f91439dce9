"""Everything stopped at once under load, and started again: in time, nothing lost, nothing doubled."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.servers import wait_until
from tests.worker.site import Site, doubled

pytestmark = pytest.mark.real

EVERYBODY = ("web", "router", "clock", "courier", "beat", "watchdog")
#: What platforms give a process between SIGTERM and SIGKILL.
STOP_WITHIN = 10.0


@pytest.fixture
def calm_site(tmp_path: Path) -> Iterator[Site]:
    """A site whose leads have half an hour, so that each is told of once."""
    opened = Site(tmp_path, "30m")
    yield opened
    opened.end()


class FormTool:
    """Posts a hundred submissions a second, and what was not answered 200 again until it is, as form tools do."""

    def __init__(self, site: Site) -> None:
        self._url = f"http://127.0.0.1:{site.port}/hooks/demo"
        self._stopping = threading.Event()
        self.kept: list[str] = []
        self.again: list[str] = []

    @contextmanager
    def at_work(self, a_second: float = 100.0) -> Iterator[None]:
        """Post from four threads while the block runs."""
        threads = [threading.Thread(target=self._post, args=(n, 4 / a_second)) for n in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join(30)

    def send_again(self) -> None:
        """What was refused or never answered, until it is kept."""
        with httpx.Client(timeout=5) as client:
            while self.again:
                email = self.again[-1]
                if client.post(self._url, json={"email": email}).status_code == 200:
                    self.kept.append(self.again.pop())

    def _post(self, number: int, pause: float) -> None:
        count = 0
        with httpx.Client(timeout=5) as client:
            while not self._stopping.wait(pause):
                count += 1
                email = f"person-{number}-{count}@example.com"
                try:
                    is_kept = client.post(self._url, json={"email": email}).status_code == 200
                except httpx.HTTPError:
                    is_kept = False
                (self.kept if is_kept else self.again).append(email)


def emails(site: Site) -> list[str]:
    return sorted(str(lead.lead.get("email")) for lead in site.leads())


def test_everybody_stopped_under_load_ends_in_time_and_nothing_is_lost_or_doubled(calm_site: Site) -> None:
    """SIGTERM to all at once, at a hundred leads a second: exit code 0 within ten seconds; then they go on."""
    site = calm_site
    running = site.start(*EVERYBODY)
    _wait_for_web(site)
    tool = FormTool(site)
    with tool.at_work():
        wait_until(lambda: len(tool.kept) >= 200, "the load is on")
        began = time.monotonic()
        for process in running.values():
            process.process.send_signal(signal.SIGTERM)
        codes = {name: process.process.wait(30) for name, process in running.items()}
        took = time.monotonic() - began
    assert dict.fromkeys(EVERYBODY, 0) == codes
    assert took < STOP_WITHIN

    site.start(*EVERYBODY)
    _wait_for_web(site)
    tool.send_again()
    wait_until(lambda: site.health().queued == 0, "everything is routed", 60)

    assert sorted(set(tool.kept)) == emails(site)
    assert site.store.operations.ledger().difference == 0
    wait_until(lambda: site.health().outbox == 0, "everything due so far is told", 60)
    assert doubled(site) == []
    assert {} == _repairs(site)


def test_a_courier_whose_destination_hangs_ends_in_time_and_its_alerts_are_sent_again(site: Site) -> None:
    """What it holds is cut off: an attempt of unknown end, sent again under its key once the lease is over."""
    running = site.start(*EVERYBODY)
    site.sink.hold()
    ids = site.submit(3)
    wait_until(lambda: len(site.sink.keys()) >= 3, "three alerts are on their way")

    began = time.monotonic()
    assert running["courier"].stop(STOP_WITHIN) == 0
    assert time.monotonic() - began < STOP_WITHIN
    on_their_way = set(site.sink.keys())  # not before: until it was told it took what came due
    site.sink.release()
    site.start("courier")

    site.wait_until_done(len(ids), 60)
    assert set(doubled(site)) <= on_their_way
    assert max(site.sink.keys().values()) == 2


def test_everybody_ends_in_time_while_the_server_hangs(site: Site) -> None:
    """A server that answers nothing holds nobody for longer than a platform waits."""
    running = site.start(*EVERYBODY)
    _wait_for_web(site)
    site.submit(20)
    site.server.freeze()
    began = time.monotonic()
    for process in running.values():
        process.process.send_signal(signal.SIGTERM)
    codes = {name: process.process.wait(30) for name, process in running.items()}
    took = time.monotonic() - began
    site.server.thaw()
    assert dict.fromkeys(EVERYBODY, 0) == codes
    assert took < STOP_WITHIN


def test_everything_killed_at_once_is_back_within_seconds(calm_site: Site) -> None:
    """A power cut: the server and all processes gone; what was kept is there, and new leads are routed again."""
    site = calm_site
    site.start(*EVERYBODY)
    _wait_for_web(site)
    tool = FormTool(site)
    with tool.at_work():
        wait_until(lambda: len(tool.kept) >= 200, "the load is on")
        for process in site.fleet.processes:
            process.kill()
        site.server.stop(kill=True)
    kept = len(tool.kept)

    began = time.monotonic()
    site.server.start()
    site.fleet.start_all(*EVERYBODY)
    _wait_for_web(site)
    tool.send_again()
    wait_until(lambda: set(tool.kept) <= set(emails(site)), "everything that was kept is a lead", 30)
    # Alone on two cores it takes three seconds, nearly all of it six Pythons importing; others may be at work here.
    assert time.monotonic() - began < 20
    assert kept <= len(emails(site))
    assert site.store.operations.ledger().difference == 0


def _wait_for_web(site: Site) -> None:
    def ready() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{site.port}/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    wait_until(ready, "the web process is ready", 60)


def _repairs(site: Site) -> dict[str, int]:
    counters = site.store.operations.counters()
    return {name: n for name, n in counters.items() if name.startswith(("repaired:", "raised:"))}
