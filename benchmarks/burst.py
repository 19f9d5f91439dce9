"""How soon after its deadline is an alert posted, with a thousand breaches in a minute and two destinations in trouble?

Clock, courier and beat are those of the Procfile. Every breach alerts the manager and the head of sales, and two
destinations more: one takes the connection and never answers, one answers 429 to everything. The lag is from the
deadline to the instant at which the sink has the whole POST. Each key is counted: one that is missing, or there twice, fails.

The second row is head-room: the same thousand fall due within one second.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx

from benchmarks.detection import percentile
from benchmarks.finding import ROUNDS, Check, Contender, Finding, in_turns
from benchmarks.loader import load_due
from benchmarks.site import SINK_DESTINATION, SINK_SECRET, Site, cpu_seconds, wait_until
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.response import close_lead

BREACHES = 1000
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
#: From when the leads are loaded until the first of them is due: loading takes a part of it.
AHEAD = timedelta(seconds=25)
#: What the shipped rules do at a missed deadline, and what they do here.
STEP = 'alert = ["manager"], reassign = true'
STEP_HERE = 'alert = ["manager", "head-of-sales", "hangs", "limited"], reassign = true'
_TROUBLED = """
[destinations.hangs]
type = "webhook"
url_env = "HANGS_URL"
secret_env = "SINK_SECRET"
[destinations.limited]
type = "webhook"
url_env = "LIMITED_URL"
secret_env = "SINK_SECRET"
"""


@dataclass
class _Burst:
    site: Site
    sink: "TroubledSink"
    lags: list[float] = field(default_factory=list)
    courier_cpu: list[float] = field(default_factory=list)
    limited_posts: list[int] = field(default_factory=list)

    def lag(self, breaches: int, over: timedelta) -> float:
        """The 99th percentile of these breaches' alerts in seconds, those to the two in trouble left out."""
        store = self.site.store
        at = store.now() + AHEAD
        ids = load_due(store, self.site.rules, breaches, at, over)
        self.site.start("clock", "courier", "beat")
        try:
            assert store.now() < at, f"loading {breaches} leads took longer than {AHEAD}"
            used = cpu_seconds(self.site.processes["courier"].pid)
            wait_until(lambda: store.now() > at + over and not store.operations.health().due, "decided", 180)
            wait_until(lambda: not self._waiting(), "delivered", 120)
            self.courier_cpu.append(cpu_seconds(self.site.processes["courier"].pid) - used)
        finally:
            self.site.stop_processes()
        return self._lag_of(ids)

    def _waiting(self) -> int:
        outboxes = self.site.store.operations.health().outboxes
        return sum(box.depth for name, box in outboxes.items() if name not in ("hangs", "limited"))

    def _lag_of(self, ids: list[str]) -> float:
        leads = [lead for lead in self.site.store.leads.get_many(ids) if isinstance(lead, Lead)]
        deadlines = {lead.id: lead.deadline.timestamp() for lead in leads}
        heard = self.sink.heard()
        lags, keys = [], Counter[str]()
        for at, path, key in heard:
            lead_id, step, _ = key.split(":")
            if path == "/alerts" and lead_id in deadlines and step == "100%":
                keys[key] += 1
                lags.append(at - deadlines[lead_id])
        told = Counter(key.partition(":")[0] for key in keys)
        doubled = [key for key, times in keys.items() if times > 1]
        assert not doubled, f"{len(doubled)} alerts came twice, the first {doubled[0]}"
        silent = [lead_id for lead_id in ids if told[lead_id] < 2]  # both healthy ones, whoever is on shift
        assert not silent, f"{len(silent)} of {len(ids)} breaches were not told, the first {silent[0]}"
        self.limited_posts.append(sum(path == "/limited" for _, path, _ in heard))
        self._forget(leads)
        self.lags += lags
        return percentile(lags, 99)

    def _forget(self, leads: list[Lead]) -> None:
        """Let nothing of this round fall due in the next."""
        store = self.site.store
        now = store.now()
        closed = (close_lead(lead, "measured", "benchmark", now) for lead in leads)
        store.leads.change([change for change in closed if change is not None])
        keys = store.server.keys
        for name in ("hangs", "limited"):
            store.server.client.delete(keys.outbox(name), keys.leased(name))


def measure(rounds: int = ROUNDS, scratch: Path | None = None) -> Finding:
    """A thousand breaches."""
    with tempfile.TemporaryDirectory() as own:
        return measure_breaches(rounds, scratch or Path(own), BREACHES, MINUTE)


def measure_breaches(rounds: int, scratch: Path, breaches: int, over: timedelta) -> Finding:
    """So many breaches, first spread over that time, then all in one second; in alternating order."""
    with ExitStack() as ends:
        sink = TroubledSink()
        ends.callback(sink.close)
        bursts = []
        for name in ("spread", "at-once"):
            site = Site(
                scratch / name,
                SINK_DESTINATION,
                SINK_URL=f"{sink.url}/alerts",
                HANGS_URL=f"{sink.url}/hangs",
                LIMITED_URL=f"{sink.url}/limited",
                SINK_SECRET=SINK_SECRET,
            )
            ends.callback(site.end)
            _add_trouble(site.rules)
            bursts.append(_Burst(site, sink))
        spread, at_once = bursts
        seconds = over.total_seconds()
        rows = in_turns(
            (
                Contender(f"{breaches:,} breaches in {seconds:.0f} s", lambda: spread.lag(breaches, over)),
                Contender(f"{breaches:,} breaches in one second", lambda: at_once.lag(breaches, SECOND)),
            ),
            rounds,
        )
    figures: dict[str, float] = {}
    for what, burst in ((f"in {seconds:.0f} s", spread), ("in one second", at_once)):
        for of_hundred in (50, 99, 100):
            figures[f"{what}: deadline to POST, p{of_hundred}, s"] = percentile(burst.lags, of_hundred)
        figures[f"{what}: alerts posted for each breach"] = len(burst.lags) / breaches / rounds
        figures[f"{what}: CPU of the courier, s"] = sum(burst.courier_cpu) / rounds
        figures[f"{what}: attempts at the one that answers 429"] = sum(burst.limited_posts) / rounds
    return Finding(
        "burst",
        f"How soon after its deadline is an alert posted, with {breaches:,} breaches while one destination hangs and one answers 429?",
        "s, 99th percentile",
        more_is_better=False,
        rows=rows,
        checks=(Check("p99 from deadline to POST, s", rows[0].median, 2.0, at_least=False),),
        notes=(
            "Run: the Procfile's clock, courier and beat, one process each, and the embedded server with every write on disk.",
            "The alerts of a breach: its manager, the head of sales, the rep who gets the lead where one is on shift, the one that hangs, the one that answers 429 with Retry-After: 1.",
            "Every key of a breach is there once; the keys at the two in trouble are not part of the lag.",
        ),
        figures=figures,
    )


def _add_trouble(rules: Path) -> None:
    with (rules / "alerts.toml").open("a", encoding="utf-8") as alerts:
        alerts.write(_TROUBLED)
    slas = rules / "slas.toml"
    text = slas.read_text(encoding="utf-8")
    assert STEP in text, "the shipped rules have another step at the deadline"
    slas.write_text(text.replace(STEP, STEP_HERE), encoding="utf-8")


class TroubledSink:
    """A process that notes each POST and when it was whole: 200 for most, nothing for /hangs, 429 for /limited."""

    _CODE = r"""
import asyncio, json, time
HEARD = []
def answer(status, body=b"", more=""):
    return f"HTTP/1.1 {status}\r\n{more}content-length: {len(body)}\r\n\r\n".encode() + body
OK, LIMITED = answer("200 OK"), answer("429 Too Many Requests", more="retry-after: 1\r\n")
class Sink(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.heard = transport, b""
    def data_received(self, data):
        self.heard += data
        while (end := self.heard.find(b"\r\n\r\n")) >= 0:
            lines = self.heard[:end].decode().split("\r\n")
            named = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines[1:])}
            length = int(named.get("content-length", 0))
            if len(self.heard) < end + 4 + length:
                return
            self.heard = self.heard[end + 4 + length:]
            method, path, _ = lines[0].split(" ")
            if method == "GET":
                said, HEARD[:] = json.dumps(HEARD).encode(), []
                self.transport.write(answer("200 OK", said))
                continue
            HEARD.append((time.time(), path, named["webhook-id"]))
            if path != "/hangs":
                self.transport.write(LIMITED if path == "/limited" else OK)
async def main():
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0, backlog=500)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._CODE], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def heard(self) -> list[tuple[float, str, str]]:
        """When, on which path, under which key: what came since the last time one asked."""
        heard: list[tuple[float, str, str]] = json.loads(httpx.get(f"{self.url}/heard", timeout=30).content)
        return heard

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
