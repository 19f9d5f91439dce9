"""How the dictionary of packed texts was made: `python -m benchmarks.dictionary FILE`.

Invented leads walk their whole lives through the shipped rules, in memory, at hours when reps are on shift and when
they are not; Zstandard picks what their records and histories have in common, and how often each letter comes.
"""

import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import zstandard

from benchmarks.memory import LEAD_KINDS, Told, quiet, routed_and_told
from speed_to_lead import flow
from speed_to_lead.core.lead import Lead, Response, ResponseKind
from speed_to_lead.core.response import close_lead, record_response
from speed_to_lead.store.documents import history_line, lead_document
from speed_to_lead.store.memory import MemoryStore
from speed_to_lead.workplace import Workplace, read_config

BYTES = 16 * 1024
LEVEL = 5
#: Of each world; a world is an hour of the week.
LEADS = 120
_WRITTEN = ("name", "company", "message", "job_title", "utm_campaign", "gclid", "phone")
CONFIG = Path(__file__).parents[1] / "config"
HOURS = (
    *(datetime(2026, 11, day, hour, 3, tzinfo=UTC) for day, hour in ((24, 15), (22, 3), (25, 9), (27, 22))),
    *(datetime(2027, month, 2, 12, 40, tzinfo=UTC) for month in (3, 6, 9)),
)


def samples() -> Iterator[bytes]:
    """Records as they are after routing and later in life, and every line of their histories."""
    for number, hour in enumerate(HOURS):
        yield from _world(hour, random.Random(number))


def _world(start: datetime, chance: random.Random) -> Iterator[bytes]:
    clock = [start]
    store = MemoryStore(lambda: clock[0])
    place = Workplace(store, read_config(CONFIG), lambda _: Told())
    bodies = [_of_strangers(chance.choice(LEAD_KINDS)(chance, number), chance) for number in range(LEADS)]
    with quiet():
        routed_and_told(place, bodies)
        leads, _ = store.leads.newest(2 * LEADS)
        yield from (lead_document(lead).encode() for lead in leads)
        for body in bodies[::10]:
            clock[0] += timedelta(seconds=40)
            routed_and_told(place, [body | {"message": _words(chance)}])
        for lead in leads[::3]:
            _answered(place, lead, chance)
        for _ in range(6):
            clock[0] += timedelta(minutes=chance.randrange(1, 300))
            flow.sweep(place)
            routed_and_told(place, [])
    for lead in leads:
        now = store.leads.get(lead.id)
        assert isinstance(now, Lead)
        if now.version > 1:
            yield lead_document(now).encode()
        yield from (history_line(entry).encode() for entry in store.leads.history(lead.id))


def _of_strangers(body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The same form filled in by somebody else: what people write is no part of the dictionary, only what we do."""
    email = f"{_words(chance, 1)}@{_words(chance, 1)}.{chance.choice(('com', 'de', 'io', 'co.uk'))}"
    written = {name: _words(chance, 12 if name == "message" else 2) for name in _WRITTEN if name in body}
    return body | written | {"email": email}


def _words(chance: random.Random, count: int = 8) -> str:
    return " ".join("".join(chance.choices(ascii_lowercase, k=chance.randrange(2, 9))) for _ in range(count))


def _answered(place: Workplace, lead: Lead, chance: random.Random) -> None:
    """As a rep would: taken, tried or reached, or closed."""
    now = place.store.now()
    kind, who = chance.choice(list(ResponseKind)), lead.rep or "dana"
    response = Response(
        kind,
        who,
        now,
        now,
        chance.choice(("api", "cli", "link", "slack")),
        chance.choice(("", "call", "email")),
    )
    if chance.random() < 0.2:
        flow.change_lead(
            place,
            lead.id,
            lambda lead, now: close_lead(lead, chance.choice(("spam", "duplicate", "student")), who, now),
        )
    else:
        flow.change_lead(place, lead.id, lambda lead, now: record_response(lead, response, now))


def main() -> None:
    """Write the dictionary; say how small it makes what it was made of."""
    texts: list[bytes | bytearray | memoryview[int]] = list(samples())
    dictionary = zstandard.train_dictionary(BYTES, texts, level=LEVEL)
    Path(sys.argv[1]).write_bytes(dictionary.as_bytes())
    print(f"{len(texts)} texts, {sum(map(len, texts))} bytes")


if __name__ == "__main__":
    main()
