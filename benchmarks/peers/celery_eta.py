"""One Celery task with an ETA for each deadline: `breach.apply_async(args, eta=deadline)`, the documented way.

The worker keeps every task whose ETA has not come in its memory, whatever the prefetch limit, and the broker keeps it among
the unacknowledged. The visibility timeout is longer than the longest ETA, for else each is run again and again.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import redis
from celery import Celery

ROOT = Path(__file__).parents[2]
URL = os.environ.get("PEER_REDIS_URL", "redis://127.0.0.1:1/0")

app = Celery("benchmarks.peers.celery_eta", broker=URL)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_hijack_root_logger=False,
    broker_transport_options={"visibility_timeout": 7 * 24 * 3600},
    broker_connection_retry_on_startup=True,
)
_client = redis.Redis.from_url(URL)


@app.task(name="breach")  # type: ignore[untyped-decorator]
def breach(lead_id: str, deadline: float) -> None:
    """Mark the breach, put the manager's alert into the outbox, and note how late that was."""
    with _client.pipeline(transaction=True) as pipe:
        pipe.hset(f"lead:{lead_id}", mapping={"state": "breached", "breached_at": deadline})
        pipe.rpush(f"history:{lead_id}", "breached")
        pipe.rpush("outbox", lead_id)
        pipe.rpush("lags", time.time() - deadline)
        pipe.execute()


@dataclass(frozen=True, slots=True)
class EtaRun:
    """What one run found: lags in seconds, the worker's memory for each task that waits, how fast they were published."""

    lags: tuple[float, ...]
    bytes_per_waiting: float
    published_per_second: float


def run(url: str, due: int, waiting: int, scratch: Path) -> EtaRun:
    """Publish `waiting` tasks for later and `due` for one second, and see when those are run."""
    client = redis.Redis.from_url(url)
    client.delete("lags")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PEER_REDIS_URL": url}
    command = [sys.executable, "-m", "celery", "-q", "-A", "benchmarks.peers.celery_eta", "worker", "-c", "2"]
    lean = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with (scratch / "celery-eta.log").open("ab") as log:
        worker = subprocess.Popen(
            [*command, *lean], env=environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
    here = Celery(broker=url)
    here.conf.broker_transport_options = app.conf.broker_transport_options
    try:
        _publish(here, 1, datetime.now(UTC), timedelta(0))
        _wait(client, 1, 60)
        before = _memory(worker.pid)
        client.delete("lags")
        began = time.monotonic()
        _publish(here, waiting, datetime.now(UTC) + timedelta(hours=6), timedelta(hours=1))
        published = waiting / (time.monotonic() - began)
        _drained(client, 300)
        held = _memory(worker.pid) - before
        at = datetime.now(UTC) + timedelta(seconds=5 + 2 * due / published)
        _publish(here, due, at, timedelta(seconds=1))
        _wait(client, due, 300)
        lags = tuple(float(lag) for lag in client.lrange("lags", 0, -1))
        return EtaRun(lags, held / waiting, published)
    finally:
        worker.kill()  # a warm end would wait for what is held
        worker.wait()
        client.close()
        here.close()


def _publish(here: Celery, count: int, at: datetime, over: timedelta) -> None:
    with here.connection_for_write() as connection, here.amqp.Producer(connection) as producer:
        for number in range(count):
            eta = at + over * number / max(count, 1)
            here.send_task(
                "breach", (f"{eta.timestamp()}-{number}", eta.timestamp()), eta=eta, producer=producer
            )


def _wait(client: "redis.Redis", count: int, seconds: float) -> None:
    limit = time.monotonic() + seconds
    while int(client.llen("lags")) < count:
        if time.monotonic() > limit:
            raise TimeoutError(f"{client.llen('lags')} of {count} ETA tasks were run in {seconds} s")
        time.sleep(0.05)


def _drained(client: "redis.Redis", seconds: float) -> None:
    """Return once the worker holds all that was published."""
    limit = time.monotonic() + seconds
    while int(client.llen("celery")) > 0:
        if time.monotonic() > limit:
            raise TimeoutError("the worker does not take the ETA tasks")
        time.sleep(0.05)


def _memory(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
