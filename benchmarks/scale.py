"""What do a million open leads weigh, and how soon is everything at work again after a restart?

Memory by family of keys: every key of a sample is weighed by the server, the collections that hold all leads as a whole.
Restarts are those of the embedded server, with its append-only file as the writes left it and after a rewrite, and of
the whole product by `speed-to-lead up`: until /readyz says 200, and until a deadline missed meanwhile is decided.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx
from tests.servers import free_port

from benchmarks.finding import Check, Finding, Row
from benchmarks.loader import ROOT, load, load_due
from benchmarks.site import PATIENCE, Site, end_all, wait_until
from speed_to_lead.settings import ADDRESS_FILE
from speed_to_lead.store.redis_store import RedisStore, open_store

LEADS = 1_000_000
#: Keys weighed one by one.
SAMPLE = 20_000
#: A million leads are read in half a minute; a slow machine may take its time.
RESTART_PATIENCE = 900.0
KIB = 1024


def measure(rounds: int = 1, scratch: Path | None = None) -> Finding:
    """The budget's size. Loading is most of it, so the rounds are of the restarts."""
    with tempfile.TemporaryDirectory() as own:
        return measure_leads(rounds, scratch or Path(own), LEADS)


def measure_leads(rounds: int, scratch: Path, leads: int) -> Finding:
    """With so many open leads."""
    site = Site(scratch)
    try:
        loaded = load(site.server.url, site.rules, leads)
        figures = {
            f"memory of {family}, bytes for each lead": size / leads
            for family, size in memory_by_family(site.store).items()
        }
        info = site.store.server.client.info("memory")
        per_lead = info["used_memory"] / leads
        figures |= {
            "memory in all, bytes for each lead": per_lead,
            "memory the system sees, bytes for each lead": info["used_memory_rss"] / leads,
            "leads loaded a second": leads / loaded,
            "append-only file as written, MiB": _file_size(site) / KIB**2,
        }
        written = [_restarted(site) for _ in range(rounds)]
        figures |= _rewrite(site)
        figures["append-only file rewritten, MiB"] = _file_size(site) / KIB**2
        rewritten = [_restarted(site) for _ in range(rounds)]
        ups = [_up(site, scratch) for _ in range(rounds)]
    finally:
        site.end()
    rows = (
        Row("server answers, append-only file as written", tuple(written)),
        Row("server answers, append-only file rewritten", tuple(rewritten)),
        Row("speed-to-lead up, until /readyz says 200", tuple(ready for ready, _ in ups)),
        Row(
            "speed-to-lead up, until a deadline missed meanwhile is decided", tuple(first for _, first in ups)
        ),
    )
    return Finding(
        "scale",
        f"What do {leads:,} open leads weigh, and how soon is everything at work again?",
        "s",
        more_is_better=False,
        rows=rows,
        checks=(Check("memory of an open lead, KiB", per_lead / KIB, 1.2, at_least=False),),
        notes=(
            "Every lead is as couriers leave it once its rep was told; seen keys are among what is weighed, and go by themselves.",
            "Families are weighed on a sample of the keys; what is left of the whole is the server's own table of keys.",
        ),
        figures=figures,
    )


def memory_by_family(store: RedisStore) -> dict[str, float]:
    """Bytes in the server by family of keys, largest first."""
    client, keys = store.server.client, store.server.keys
    whole = {
        name: client.memory_usage(name, samples=1000) or 0
        for name in (keys.due, keys.all_leads, keys.open_leads)
    }
    sizes: Counter[str] = Counter()
    weighed, cursor = 0, 0
    while weighed < SAMPLE:
        cursor, names = client.scan(cursor, count=1000)
        pipe = client.pipeline(transaction=False)
        for name in names:
            pipe.memory_usage(name)
        for name, size in zip(names, pipe.execute(), strict=True):
            if name.decode() not in whole and size:
                sizes[_family(name.decode(), keys.start)] += size
                weighed += 1
        if not cursor:
            break
    share = (client.dbsize() - len(whole)) / max(weighed, 1)
    families = {family: size * share for family, size in sizes.items()}
    families |= {name.removeprefix(keys.start): float(size) for name, size in whole.items()}
    families["the table of keys and all else"] = client.info("memory")["used_memory"] - sum(families.values())
    return dict(sorted(families.items(), key=lambda item: -item[1]))


def _family(name: str, start: str) -> str:
    """The name without what tells one lead or person from another."""
    parts = name.removeprefix(start).split(":")
    return ":".join("…" if re.fullmatch(r"[0-9a-f-]{16,}", part) else part for part in parts)


def _file_size(site: Site) -> int:
    return sum(path.stat().st_size for path in (site.data / "appendonlydir").iterdir())


def _restarted(site: Site) -> float:
    """Seconds until the server answers a question about data again."""
    site.server.stop()
    began = time.monotonic()
    site.server.start()
    return time.monotonic() - began


def _rewrite(site: Site) -> dict[str, float]:
    """Rewrite the append-only file; how long it took, and how long the server stood still for its fork."""
    client = site.store.server.client

    def is_at_rest() -> bool:
        return not client.info("persistence")["aof_rewrite_in_progress"]

    wait_until(is_at_rest, "the server's own rewrite is done", RESTART_PATIENCE)
    began = time.monotonic()
    client.bgrewriteaof()
    wait_until(is_at_rest, "rewritten", RESTART_PATIENCE)
    return {
        "rewrite of the append-only file, s": time.monotonic() - began,
        "standstill of its fork, ms": client.info("stats")["latest_fork_usec"] / 1000,
    }


def _up(site: Site, scratch: Path) -> tuple[float, float]:
    """Seconds until a site started by `up` is ready, and until it has decided what was missed meanwhile."""
    at = site.store.now() + timedelta(seconds=3)
    (lead_id,) = load_due(site.store, site.rules, 1, at, timedelta(0))
    site.server.stop()
    port = free_port()
    command = [sys.executable, "-m", "speed_to_lead.cli", "up", "--config", str(site.rules)]
    environment = {
        name: value for name, value in site.environment.items() if name not in ("REDIS_URL", "STL_CONFIG_DIR")
    }
    began = time.monotonic()
    with (scratch / "up.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--data", str(site.data), "--port", str(port)],
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        with httpx.Client(timeout=2) as http:
            wait_until(lambda: _is_ready(http, port), "/readyz says 200", RESTART_PATIENCE)
        ready = time.monotonic() - began
        store = open_store((site.data / ADDRESS_FILE).read_text(encoding="utf-8").strip())
        wait_until(lambda: _is_breached(store, lead_id), "what was missed is decided", PATIENCE)
        decided = time.monotonic() - began
        store.close()
    finally:
        end_all({"up": process})
    site.server.start()
    return ready, decided


def _is_ready(http: httpx.Client, port: int) -> bool:
    with suppress(httpx.HTTPError):
        return http.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    return False


def _is_breached(store: RedisStore, lead_id: str) -> bool:
    lead = store.leads.get(lead_id)
    return lead is not None and lead.breached_at is not None
