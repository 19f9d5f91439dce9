"""One provider's share: its bodies through the hook, into a real server, routed, asked for, and counted. What is wrong is said."""

import asyncio
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import structlog
from tests.flow.scene import Destination, TimedStore

from benchmarks.mangled.mutations import Arrival, answer, arrival
from speed_to_lead import flow
from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.core.submission import Form
from speed_to_lead.store import intake
from speed_to_lead.store.intake import Intake
from speed_to_lead.store.redis_store import RedisStore, open_store
from speed_to_lead.web import hooks
from speed_to_lead.web.failures import Failures
from speed_to_lead.web.hooks import Hooks
from speed_to_lead.workplace import Workplace, read_config

_CONFIG = Path(__file__).parents[2] / "config"
#: A rule that asks for flags, so that these are worked out of every lead too.
_RULE = '[[rules]]\nname = "Junk"\nwhen.flags = ["honeypot", "repeated", "gibberish_name"]\nteam = "triage"\nsla = "same-day"\n\n'
#: Bodies between one look at the books and the next, and those under way at once.
PIECE = 2_000
AT_ONCE = 200
#: Seconds in which a body is stored.
PATIENCE = 600.0
#: What a hook may say; 401 to what is not genuine, and never 5xx.
ALLOWED = frozenset((200, 400, 401, 413, 429))
#: What is logged as an error, and is the right thing to become of such a body.
_EXPECTED = frozenset(("submission.dead_letter", "fetch.given_up"))
ENVIRONMENT = {
    "SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "TOKEN": "a-token-of-ours",
    "API": "a-token-of-theirs",
}
_FIELDS = {
    "company": "ref:x",
    "city": "property:x",
    "title": "a.0.b",
    "region": "hidden:x",
    "custom.z": "type:email",
}


@dataclass
class Found:
    """What became of the bodies so far; `wrong` holds what must not be."""

    bodies: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    books: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@contextmanager
def workplace(
    url: str, provider: str, directory: Path
) -> Iterator[tuple[Workplace, RedisStore, list[timedelta]]]:
    """A workplace whose forms are of this provider; the list holds how far its clock is ahead of the server's."""
    rules = directory / "config"
    if not rules.exists():
        shutil.copytree(_CONFIG, rules, ignore=shutil.ignore_patterns("tests", "schema"))
        text = (rules / "routing.toml").read_text(encoding="utf-8")
        (rules / "routing.toml").write_text(
            text.replace("[[rules]]", _RULE + "[[rules]]", 1), encoding="utf-8"
        )
    config = read_config(rules, datetime(2026, 11, 23, tzinfo=UTC))
    forms = {
        "open": Form("open", provider, "none", source="demo_request", api_token_env="API", honeypot="fax"),
        "mapped": Form("mapped", provider, "none", fields=_FIELDS),
        "signed": Form("signed", provider, "signature", secret_env="SECRET"),
        "token": Form("token", provider, "token", token_env="TOKEN"),
    }
    rulebook = replace(config.rulebook, honeypots={"open": "fax"})
    store = open_store(url, f"mangled-{provider}")
    ahead = [timedelta(0)]
    timed = TimedStore(store, lambda: store.now() + ahead[0])
    nobody = Destination()
    yield (
        Workplace(timed, replace(config, forms=forms, rulebook=rulebook), lambda _: nobody, "console"),
        store,
        ahead,
    )
    store.close()


def mangle(url: str, provider: str, each: int, seed: int, directory: Path) -> Found:
    """What became of `each` bodies at this provider. The server at `url` is emptied between pieces."""
    outcome = Found()
    random = Random(f"{provider} {seed}")
    with workplace(url, provider, directory) as (place, store, ahead):
        while outcome.bodies < each and not outcome.wrong:
            count = min(PIECE, each - outcome.bodies)
            arrivals = [arrival(provider, random) for _ in range(count)]
            with structlog.testing.capture_logs() as logs:
                _piece(place, store, ahead, arrivals, outcome, random)
            for line in logs:
                if _is_wrong(line):
                    outcome.wrong.append(f"{provider}: {line}")
                if line["event"] == "submission.dead_letter":
                    outcome.reasons[re.sub(r"[0-9]+|: .*", "", line["error"])] += 1
            outcome.bodies += count
            store.server.client.flushdb()
    return outcome


def _is_wrong(line: Any) -> bool:
    """Whether a log line tells of a mistake of ours: an exception, or anything that a mangled body must not lead to."""
    if line.get("exc_info") or "reader does not know" in line.get("error", ""):
        return True
    return line["log_level"] in ("error", "critical") and line["event"] not in _EXPECTED


def _piece(
    place: Workplace,
    store: RedisStore,
    ahead: list[timedelta],
    arrivals: list[Arrival],
    outcome: Found,
    random: Random,
) -> None:
    ahead[0] = timedelta(0)
    # The bodies are what is tried here, and a machine that is busy with other things must not look like a mistake.
    with patch.object(hooks, "ANSWER_TIMEOUT", PATIENCE), patch.object(intake, "ANSWER_TIMEOUT", PATIENCE):
        answered = asyncio.run(_post(place, store, arrivals, random))
    outcome.answers.update(status for status, _ in answered)
    for (status, form), one in zip(answered, arrivals, strict=True):
        if status not in ALLOWED:
            outcome.wrong.append(f"{form}: {status} to {one}")
    _work(place, random)
    for _ in range(3):  # later attempts, leads routed without, and what is asked for ever
        ahead[0] += timedelta(minutes=2)
        _work(place, random)
    ahead[0] += timedelta(hours=40)
    _work(place, random, is_silent=True)
    ledger = store.operations.ledger()
    stored = sum(status == 200 for status, _ in answered)
    if ledger.difference or ledger.in_flight or ledger.received < stored:
        outcome.wrong.append(f"the books after {stored} answers of 200: {ledger}")
    for name in ("leads", "touches", "duplicates", "tests", "dead_letters"):
        outcome.books[name] += getattr(ledger, name)


def _work(place: Workplace, random: Random, *, is_silent: bool = False) -> None:
    def get(_url: str, _headers: Mapping[str, str], _now: datetime) -> tuple[Attempt, bytes | None]:
        if is_silent or not random.randrange(5):
            return Attempt(Outcome.NOT_DELIVERED, "answered 503"), None
        return Attempt(Outcome.DELIVERED), answer(random)

    while True:
        while flow.route(place, "router").settled:
            pass
        routed = flow.route_overdue(place)
        for form in flow.fetches_due(place):
            routed += flow.fetch(place, form, get, ENVIRONMENT)
        if not routed:
            return


async def _post(
    place: Workplace, store: RedisStore, arrivals: list[Arrival], random: Random
) -> list[tuple[int, str]]:
    """Status and form of each, in order; every other one past ASGI, as nearly all are taken."""
    way_in = Intake(*_address(store))
    web = Hooks(place, way_in, "https://leads.example.com", ENVIRONMENT, Failures())
    await way_in.now()
    forms = random.choices(("open", "mapped", "token", "signed"), (20, 6, 3, 1), k=len(arrivals))
    found: list[int] = []
    for start in range(0, len(arrivals), AT_ONCE):
        pairs = zip(arrivals[start : start + AT_ONCE], forms[start : start + AT_ONCE], strict=True)
        found += await asyncio.gather(
            *(_sent(web, one, form, number % 2 == 0) for number, (one, form) in enumerate(pairs))
        )
    await way_in.close()
    return list(zip(found, forms, strict=True))


def _address(store: RedisStore) -> tuple[str, str]:
    options = store.server.client.connection_pool.connection_kwargs
    return f"redis://{options['host']}:{options['port']}/{options.get('db', 0)}", store.server.keys.prefix


async def _sent(web: Hooks, one: Arrival, form: str, is_direct: bool) -> int:
    headers = [
        (b"content-type", one.content_type.encode("latin-1")),
        (b"content-length", b"%d" % len(one.body)),
    ]
    headers += [(name.encode(), value.encode("utf-8", "replace")) for name, value in one.headers]
    if form == "token" and len(one.body) % 4:
        headers.append((b"x-webhook-token", ENVIRONMENT["TOKEN"].encode()))
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "scheme": "https",
        "path": f"/hooks/{form}",
        "headers": headers,
        "raw_path": f"/hooks/{form}".encode(),
        "query_string": one.query.encode(),
        "client": ("127.0.0.1", 1),
    }
    if is_direct:
        heard: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if web.take(scope, one.body, lambda head, _: heard.set_result(int(head.split()[1]))):
            return await heard
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": one.body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    await web(scope, receive, send)
    return status
