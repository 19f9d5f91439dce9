"""One Celery task for each alert: `send.delay(url, body)`, a requests-like POST with one client, retried by Celery.

It does less than a courier: no lease, no look whether the lead still waits, no note of what came in the lead's history.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import redis
from celery import Celery

ROOT = Path(__file__).parents[2]
URL = os.environ.get("PEER_REDIS_URL", "redis://127.0.0.1:1/0")

app = Celery("benchmarks.peers.celery_alerts", broker=URL)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
_http = httpx.Client(timeout=10)
_client = redis.Redis.from_url(URL)


@app.task(name="send", autoretry_for=(httpx.HTTPError,), retry_backoff=True)  # type: ignore[untyped-decorator]
def send(url: str, body: dict[str, object]) -> None:
    """Deliver, and count."""
    _http.post(url, json=body).raise_for_status()
    _client.incr("sent")


class CeleryAlerts:
    """A worker of four threads, as many as a courier has for one destination, on that server."""

    def __init__(self, url: str, sink: str, scratch: Path) -> None:
        self._sink = sink
        self._client = redis.Redis.from_url(url)
        self._here = Celery(broker=url)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PEER_REDIS_URL": url}
        command = [sys.executable, "-m", "celery", "-q", "-A", "benchmarks.peers.celery_alerts", "worker"]
        lean = ["-P", "threads", "-c", "4", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        with (scratch / "celery-alerts.log").open("ab") as log:
            self.worker = subprocess.Popen(
                [*command, *lean], env=environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        self.deliver(1)

    def publish(self, count: int) -> None:
        """Put the tasks into the broker."""
        self._client.set("sent", 0)
        body: dict[str, object] = {"type": "sla.breached", "data": {"lead_id": "1", "step": "100%"}}
        with (
            self._here.connection_for_write() as connection,
            self._here.amqp.Producer(connection) as producer,
        ):
            for _ in range(count):
                self._here.send_task("send", (self._sink, body), producer=producer)

    def deliver(self, count: int) -> float:
        """Publish so many and see them delivered; the seconds from the last publish on are what is left of the work."""
        began = time.monotonic()
        self.publish(count)
        while int(self._client.get("sent") or 0) < count:
            if time.monotonic() - began > 300:
                raise TimeoutError("the worker does not deliver")
            time.sleep(0.01)
        return time.monotonic() - began

    def close(self) -> None:
        """End the worker."""
        self.worker.terminate()
        try:
            self.worker.wait(20)
        except subprocess.TimeoutExpired:
            self.worker.kill()
            self.worker.wait()
        self._here.close()
        self._client.close()
