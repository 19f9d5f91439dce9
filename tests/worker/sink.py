"""A receiver of alert webhooks that checks every signature and remembers what came, and when."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = base64.b64encode(b"a secret of thirty-two bytes, yes").decode()


@dataclass(frozen=True)
class Received:
    """One alert as it came."""

    at: float
    key: str
    body: dict[str, Any]
    traceparent: str = ""

    @property
    def step(self) -> str:
        return str(self.body["data"]["step"])

    @property
    def lead_id(self) -> str:
        return str(self.body["data"]["lead_id"])

    @property
    def destination(self) -> str:
        return self.key.rpartition(":")[2]


class Sink:
    """A server on loopback. `hold()` keeps every request waiting, unanswered, until `release()`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._open.set()
        self._received: list[Received] = []
        self.forged = 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                sink._take(dict(self.headers.items()), body)
                sink._open.wait(30)
                try:
                    self.send_response(200)
                    self.send_header("content-length", "0")
                    self.end_headers()
                except OSError:  # whoever asked was killed
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Quiet."""

            def finish(self) -> None:
                try:
                    super().finish()
                except (OSError, ValueError):
                    self.close_connection = True

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 100

            def handle_error(self, *_: object) -> None:
                """A sender that was killed is no error of ours."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """What the destinations of `rules.py` need."""
        port = self._server.server_address[1]
        return {"SINK_URL": f"http://127.0.0.1:{port}/alerts", "SINK_SECRET": f"whsec_{SECRET}"}

    def received(self) -> list[Received]:
        with self._lock:
            return list(self._received)

    def keys(self) -> Counter[str]:
        return Counter(received.key for received in self.received())

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def close(self) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def _take(self, headers: dict[str, str], body: bytes) -> None:
        at = time.time()
        named = {name.lower(): value for name, value in headers.items()}
        signed = f"{named['webhook-id']}.{named['webhook-timestamp']}.".encode() + body
        digest = hmac.new(base64.b64decode(SECRET), signed, hashlib.sha256).digest()
        genuine = named["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
        with self._lock:
            self.forged += not genuine
            self._received.append(
                Received(at, named["webhook-id"], json.loads(body), named.get("traceparent", ""))
            )
