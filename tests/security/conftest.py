"""A workplace full of hostile leads: every text of the corpus, in every field, through every form tool."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.security.corpus import HOSTILE, delivery_of, form_of, headers_of

from speed_to_lead import flow
from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.message import Message
from speed_to_lead.core.submission import Form, Submission
from speed_to_lead.forms import PROVIDERS
from speed_to_lead.store.redis_store import RedisStore, open_store
from speed_to_lead.workplace import Workplace, read_config

CONFIG = Path(__file__).parents[2] / "config"
PREFIX = "hostile"


@dataclass
class Everybody:
    """Stands in for every destination and keeps what was said."""

    recognises_repeats: bool = True
    heard: list[Message] = field(default_factory=list)

    def send(self, message: Message, now: datetime) -> Attempt:
        self.heard.append(message)
        return Attempt(Outcome.DELIVERED)


@dataclass
class Hostile:
    """The workplace, what it said to people, and what it logged on the way."""

    place: Workplace
    store: RedisStore
    url: str
    messages: list[Message]
    logs: list[Any]
    names: dict[str, str]

    def leads(self) -> list[Lead]:
        found: list[Lead] = []
        cursor = None
        while True:
            page, cursor = self.store.leads.newest(200, before=cursor)
            found += page
            if cursor is None:
                return found


@pytest.fixture(scope="session")
def hostile(server_url: str) -> Iterator[Hostile]:
    """All of it, routed and told to the people it concerns."""
    store = open_store(server_url, PREFIX)
    config = read_config(CONFIG, datetime(2026, 11, 23, tzinfo=UTC))
    forms = {name: Form(name, name, "none", source="demo_request") for name in PROVIDERS}
    everybody = Everybody()
    place = Workplace(
        store, replace(config, forms=forms), lambda _name: everybody, public_url="https://leads.example.com"
    )
    names: dict[str, str] = {}
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        for name, text in HOSTILE.items():
            deliveries = [
                (provider, delivery_of(provider, text), "application/json") for provider in PROVIDERS
            ]
            deliveries.append(("generic", form_of(text), "application/x-www-form-urlencoded"))
            deliveries.append(("generic", text.encode("utf-8", "replace"), text))  # becomes a dead letter
            for form, body, content_type in deliveries:
                now = store.now()
                submission_id = flow.new_submission_id(now)
                names[submission_id] = f"{name} through {form}"
                store.queue.add(Submission(submission_id, form, now, body, content_type, headers_of(form)))
        while flow.route(place, "router").settled:
            pass
        for destination in flow.destinations_due(place):
            while flow.deliver(place, destination):
                pass
    yield Hostile(place, store, server_url, everybody.heard, list(logs), names)
    store.close()
