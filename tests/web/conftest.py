"""A web application as it runs: behind a real uvicorn, on a real server."""

import base64
import contextlib
import functools
import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import uvicorn
from tests.servers import RealServer, wait_until

from speed_to_lead import flow
from speed_to_lead.config import Configuration
from speed_to_lead.core.submission import Form
from speed_to_lead.settings import Settings
from speed_to_lead.store.intake import Intake
from speed_to_lead.store.redis_store import RedisStore, open_store
from speed_to_lead.web import create_app, failures
from speed_to_lead.web.protocol import LimitedHttp
from speed_to_lead.workplace import Workplace, channels, read_config

CONFIG = Path(__file__).parents[2] / "config"
KEY = "key-of-the-crm-0123456789"
OTHER_KEY = "key-of-the-shop-0123456789"
AUTHORIZED = {"authorization": f"Bearer {KEY}"}
TYPEFORM_SECRET = "typeform-secret"
ENVIRONMENT = {"TYPEFORM_SECRET": TYPEFORM_SECRET, "HUBSPOT_CLIENT_SECRET": "hubspot-secret"}
LEAD = {"email": "ana@example.com", "company": "Example", "source": "demo_request"}


def settings_of(url: str, key_prefix: str, **more: Any) -> Settings:
    """Settings as the environment would give them."""
    given = {"redis_url": url, "key_prefix": key_prefix, "api_keys": f"{KEY}, {OTHER_KEY}", **more}
    return Settings.model_validate({"REDIS_URL": given.pop("redis_url"), **given})


@functools.cache
def _shipped_config() -> Configuration:
    return read_config(CONFIG, datetime(2026, 11, 23, tzinfo=UTC))


def place_of(store: RedisStore) -> Workplace:
    """The shipped rules, and a form that asks for no proof."""
    config = _shipped_config()
    forms = {**config.forms, "open": Form("open", "generic", "none")}
    return Workplace(store, replace(config, forms=forms), channels(config.destinations, {}))


def typeform_signature(body: bytes) -> dict[str, str]:
    """The header Typeform would send with this body."""
    digest = hmac.new(TYPEFORM_SECRET.encode(), body, hashlib.sha256).digest()
    return {"typeform-signature": f"sha256={base64.b64encode(digest).decode()}"}


@dataclass
class Web:
    """One application behind a real uvicorn, with the store it writes to."""

    url: str
    port: int
    place: Workplace
    store: RedisStore
    http: httpx.Client

    def stored(self) -> list[dict[bytes, bytes]]:
        """The fields of every entry on the stream."""
        return stored_in(self.store)

    def connect(self) -> socket.socket:
        """A bare connection, to send what no HTTP library would."""
        return socket.create_connection(("127.0.0.1", self.port), 10)

    def raw(self, request: bytes) -> bytes:
        """Everything answered to these bytes; ask for `Connection: close`."""
        with self.connect() as connection:
            connection.sendall(request)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
            return answer


def stored_in(store: RedisStore) -> list[dict[bytes, bytes]]:
    """The fields of every entry on the stream of a store."""
    entries: Any = store.server.client.xrange(store.server.keys.incoming)
    return [fields for _, fields in entries]


@contextlib.contextmanager
def running(app: Any, lifespan: Literal["on", "off"] = "on") -> Iterator[int]:
    """The port of a real uvicorn in a thread, set up as `serve` does."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, loop="uvloop", http=LimitedHttp, ws="none", lifespan=lifespan, log_config=None, access_log=False
    )
    config.server_header = False
    config.timeout_graceful_shutdown = 2
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    wait_until(lambda: server.started, "uvicorn serves")
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(15)
        listener.close()
        assert not thread.is_alive(), "uvicorn did not stop"


@contextlib.contextmanager
def web_on(url: str, key_prefix: str, hint: Callable[[], None] | None = None, **more: Any) -> Iterator[Web]:
    """An application behind uvicorn on the server at `url`."""
    settings = settings_of(url, key_prefix, **more)
    store = open_store(url, key_prefix, settings.confirm_replicas)
    place = place_of(store)
    intake = Intake(url, key_prefix, settings.confirm_replicas)
    app = create_app(place, settings, intake, hint, ENVIRONMENT)
    with running(app) as port:
        base = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=base, timeout=20, trust_env=False) as http:
            yield Web(base, port, place, store, http)
    store.close()


@pytest.fixture(autouse=True)
def no_limit_of_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tests come from one address and one application serves most of them; those of the limit set it themselves."""
    monkeypatch.setattr(failures, "FAILURES_A_MINUTE", 1_000_000)


@pytest.fixture(scope="session")
def running_web(server_url: str) -> Iterator[Web]:
    """One application behind a real uvicorn for the whole run."""
    with web_on(server_url, "web") as found:
        yield found


@pytest.fixture
def web(running_web: Web) -> Web:
    """That application, with nothing stored."""
    client = running_web.store.server.client
    keys: Any = client.keys("{web}:*")
    if keys:
        client.delete(*keys)
    return running_web


@pytest.fixture
def frozen_web(restartable_server: RealServer) -> Iterator[Web]:
    """An application on a server of the test's own."""
    with web_on(restartable_server.url, "stl") as found:
        yield found


@pytest.fixture
def client(web: Web) -> httpx.Client:
    """A client of that application."""
    return web.http


def route_all(place: Workplace) -> None:
    """Route what waits, as the router would."""
    limit = time.monotonic() + 10
    while flow.route(place, "test").settled and time.monotonic() < limit:
        pass
