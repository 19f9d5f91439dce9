"""A CRM on loopback that answers as it is told to, the nasty answers included."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from speed_to_lead.core.lookup import USUAL_WAIT, Lookup
from speed_to_lead.crm import Lookups


@dataclass
class Crm:
    """What it was asked (path and headers), and how it answers: by status and body, or not at all."""

    port: int
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    status: int = 200
    body: bytes = b'{"owner": {"email": "cleo"}}'
    location: str = ""
    hangs: bool = False
    dribbles: bool = False
    clients: list[Lookups] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def says(self, owner: Any) -> None:
        """Answer with this owner."""
        self.status, self.body = 200, json.dumps({"owner": {"email": owner}}).encode()

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def client(self, environment: Mapping[str, str] | None = None) -> Lookups:
        """Somebody who asks, until the test ends."""
        self.clients.append(Lookups(environment or {}))
        return self.clients[-1]

    def lookup(self, timeout: timedelta = USUAL_WAIT, **more: Any) -> Lookup:
        """A look-up that asks it."""
        url = f"http://127.0.0.1:{self.port}/owners/{{domain}}?email={{email}}"
        return replace(Lookup("crm", url, "owner.email", timeout=timeout), **more)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked has hung up, as they may."""


@contextmanager
def new_crm() -> Iterator[Crm]:
    """A CRM that runs until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            crm.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            if crm.hangs:
                crm.closing.wait(30)
                self.close_connection = True
                return
            with suppress(OSError):
                self.send_response(crm.status)
                self.send_header("Content-Length", str(len(crm.body)))
                if crm.location:
                    self.send_header("Location", crm.location)
                self.end_headers()
                for byte in crm.body if crm.dribbles else ():
                    self.wfile.write(bytes((byte,)))
                    self.wfile.flush()
                    if crm.closing.wait(0.2):
                        return
                if not crm.dribbles:
                    self.wfile.write(crm.body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    crm = Crm(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield crm
    finally:
        crm.closing.set()
        for client in crm.clients:
            client.close()
        server.shutdown()
        server.server_close()
        thread.join()
