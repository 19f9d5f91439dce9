"""What arrives: noise, and deliveries of real form tools with something wrong in them. The same seed makes the same ones."""

import copy
import json
import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

from speed_to_lead.forms import ASK_BACK, PROVIDERS, SEVERAL

_FORMS = Path(__file__).parents[2] / "tests" / "forms"

JSON, FORM, MULTIPART = "application/json", "application/x-www-form-urlencoded", "multipart/form-data"
_BOUNDARY = "mangled"
CONTENT_TYPES = (
    *(JSON, FORM, f"{MULTIPART}; boundary={_BOUNDARY}", MULTIPART, f'{MULTIPART}; boundary=""'),
    *("", "text/plain", "application/x-ndjson", "application/xml", "application/cloudevents+json"),
    *(
        "application/cloudevents-batch+json",
        "application/json; charset=utf-16",
        "APPLICATION/JSON;;;",
        "é",
        "a" * 9000,
    ),
)

#: Values that broke somebody's parser once.
NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**53 + 1, 10**400, -(10**18), 1e308, -0.0, float("nan"), float("inf")),
    *(
        "",
        " ",
        "\x00",
        "\ud83d",
        "\udfff\ud800",
        "\u202e",
        "\r\n",
        "a" * 5000,
        "9" * 5000,
        "💥" * 500,
        "é\u0301" * 99,
    ),
    *(
        "null",
        "NaN",
        "true",
        "1e999",
        "[]",
        "{}",
        "[[[[",
        '{"a":',
        "%",
        "%ZZ",
        "%00",
        "&&=;",
        "=",
        "?token=x",
        "${x}",
    ),
    *(
        "kim@example.com",
        "kim@@example..com",
        "@",
        "kim@xn--",
        f"{'k' * 300}@example.com",
        "mailto:kim@example.com",
    ),
    *(
        "+1 555 0100",
        "+" * 99,
        "0" * 99,
        "٠١٢٣",
        "½",
        "2026-02-30T25:61:61Z",
        "0000-00-00",
        "9999-12-31T23:59:60Z",
    ),
    *(
        "-62135596801",
        "253402300800000",
        "1970-01-01T00:00:00+99:99",
        "https://",
        "http://[::",
        "http://\x00/?utm_source=%",
    ),
    *(
        [],
        {},
        [[]],
        [None],
        {"": ""},
        [{}] * 50,
        {"value": None},
        {"a": {"b": {"c": {"d": {}}}}},
        ["x"] * 1200,
    ),
)
_WORDS = (
    *(
        "email",
        "phone",
        "name",
        "fields",
        "data",
        "values",
        "value",
        "type",
        "id",
        "items",
        "answers",
        "custom",
        "",
        "__proto__",
    ),
    *(
        "token",
        "field",
        "label",
        "title",
        "payload",
        "entry",
        "changes",
        "traits",
        "batch",
        "objectId",
        "leadgen_id",
        "0",
        "\x00",
    ),
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request to a hook."""

    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()
    query: str = ""


@cache
def samples(provider: str) -> tuple[Any, ...]:
    """What a tool sends, as values: its sample, and several of it in the ways in which tools send several."""
    one = json.loads((_FORMS / "samples" / f"{provider}.json").read_text(encoding="utf-8"))
    found = [one]
    if provider in SEVERAL:
        found += [[one, one], [one] * 8, {"batch": [one, {}, one]}]
        if provider == "meta":
            entries = one["entry"]
            found.append({**one, "entry": entries * 3})
    if provider == "hubspot":
        event = {
            "eventId": 1,
            "subscriptionType": "contact.creation",
            "objectId": 7,
            "occurredAt": 1767603600000,
        }
        found += [[event], [event, {**event, "eventId": 2, "objectId": 8}]]
    return tuple(found)


@cache
def _deliveries() -> tuple[tuple[bytes, str], ...]:
    """Recorded deliveries that are no JSON."""
    found = []
    for path in sorted((_FORMS / "deliveries").iterdir()):
        body = path.read_bytes()
        boundary = body.split(b"\r\n", 1)[0].removeprefix(b"--").decode("latin-1")
        found.append((body, f"{MULTIPART}; boundary={boundary}" if path.suffix == ".multipart" else FORM))
    return tuple(found)


def arrival(provider: str, random: Random) -> Arrival:
    """One more for this provider."""
    body, content_type = random.choice(_KINDS)(provider, random)
    headers = tuple(
        (name, random.choice((_text(random), "1", "true", "complete", "late", "é")))
        for name in random.sample(_HEADERS, random.choice((0, 0, 0, 1, 2)))
    )
    query = random.choice(("", "", "", "token=x", "token=%zz&token=", f"a={'b' * 900}", "%00=%ff"))
    return Arrival(body, content_type, headers, query)


def answer(random: Random) -> bytes:
    """What a form tool's API might say of the ids in it."""
    fields = [{"name": "email", "values": ["kim@example.com"]}]
    answers = {
        "answers": [{"questionId": 1, "answerDetails": {"textQuestionAnswer": {"answer": "kim@example.com"}}}]
    }
    told = random.choice(({"field_data": fields}, answers, {"properties": {"email": "kim@example.com"}}, {}))
    value = copy.deepcopy(told)
    for _ in range(random.randrange(3)):
        value = _changed(value, random)
    body = _dumped(value)
    return body if random.randrange(4) else _bytes_changed(body, random)


#: Headers that some reader looks at.
_HEADERS = sorted(
    {
        "ce-id",
        "ce-source",
        "ce-type",
        "ce-specversion",
        "ce-time",
        "webhook-id",
        "authorization",
        "traceparent",
    }
    | {name for provider in PROVIDERS.values() for name in provider.kept_headers}
)
#: Those that ask back, for the run to know.
ASKED = frozenset(ASK_BACK)


# --- Kinds ---------------------------------------------------------------------------------------------------------


def _noise(_: str, random: Random) -> tuple[bytes, str]:
    return random.randbytes(random.randrange(2000)), random.choice(CONTENT_TYPES)


def _letters(_: str, random: Random) -> tuple[bytes, str]:
    signs = '{}[]",:=&%;-\r\n\\0123456789aeé@.' + string.ascii_letters
    return "".join(random.choices(signs, k=random.randrange(600))).encode(), random.choice(CONTENT_TYPES)


def _any_value(_: str, random: Random) -> tuple[bytes, str]:
    return _dumped(_value(random, 4)), random.choice((JSON, JSON, *CONTENT_TYPES))


def _mutated(provider: str, random: Random) -> tuple[bytes, str]:
    value = _sample(provider, random)
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        value = _changed(value, random)
    return _dumped(value), JSON


def _damaged(provider: str, random: Random) -> tuple[bytes, str]:
    return _bytes_changed(_dumped(_sample(provider, random)), random), random.choice(
        (JSON, JSON, *CONTENT_TYPES)
    )


def _of_another(_: str, random: Random) -> tuple[bytes, str]:
    other = random.choice(sorted(PROVIDERS))
    return _dumped(random.choice(samples(other))), random.choice(CONTENT_TYPES)


def _as_a_form(provider: str, random: Random) -> tuple[bytes, str]:
    value = _sample(provider, random)
    flat = _flat(_changed(value, random), random)
    body = urlencode(flat, errors="replace").encode()
    return body if random.randrange(3) else _bytes_changed(body, random), FORM


def _as_parts(provider: str, random: Random) -> tuple[bytes, str]:
    flat = _flat(_changed(_sample(provider, random), random), random)
    lines = "".join(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{random.choice(("", "; filename=x", ";;"))}\r\n'
        f"{random.choice(('', 'Content-Type: text/plain', 'Content-Type: application/json'))}\r\n\r\n{value}\r\n"
        for name, value in flat
    )
    body = f"{lines}--{_BOUNDARY}--\r\n".encode("utf-8", "replace")
    if random.randrange(2):
        body = _bytes_changed(body, random)
    return body, f"{MULTIPART}; boundary={_BOUNDARY}"


def _recorded(_: str, random: Random) -> tuple[bytes, str]:
    body, content_type = random.choice(_deliveries())
    return _bytes_changed(body, random), content_type if random.randrange(3) else random.choice(CONTENT_TYPES)


def _untouched(provider: str, random: Random) -> tuple[bytes, str]:
    return _dumped(_sample(provider, random)), JSON


_KINDS: tuple[Callable[[str, Random], tuple[bytes, str]], ...] = (
    *(_mutated, _mutated, _mutated, _mutated, _damaged, _damaged, _as_a_form, _as_parts, _recorded),
    *(_any_value, _noise, _letters, _of_another, _untouched),
)


# --- What goes wrong -------------------------------------------------------------------------------------------------


def _sample(provider: str, random: Random) -> Any:
    """What the tool sends, of somebody else each time, or else nearly all would be duplicates; now and then the same again."""
    value = random.choice(samples(provider))
    return _renamed(value, random) if random.randrange(4) else copy.deepcopy(value)


def _renamed(value: Any, random: Random, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _renamed(within, random, key) for key, within in value.items()}
    if isinstance(value, list):
        return [_renamed(within, random, name) for within in value]
    if isinstance(value, str) and "@" in value:
        return value.replace("@", f"{random.randrange(10**6)}@")
    if _ID.search(name) and isinstance(value, (str, int)) and not isinstance(value, bool):
        return (
            value + random.randrange(10**6) if isinstance(value, int) else f"{value}{random.randrange(10**6)}"
        )
    return value


_ID = re.compile(r"(?:id|token|uri|key)$", re.IGNORECASE)


def _value(random: Random, depth: int) -> Any:
    kind = random.randrange(4 if depth else 2)
    if kind == 2:
        return [_value(random, depth - 1) for _ in range(random.randrange(4))]
    if kind == 3:
        return {_text(random): _value(random, depth - 1) for _ in range(random.randrange(5))}
    return copy.deepcopy(random.choice(NASTY)) if kind else _text(random)


def _text(random: Random) -> str:
    return (
        random.choice(_WORDS)
        if random.randrange(3)
        else "".join(random.choices(string.printable, k=random.randrange(12)))
    )


def _changed(value: Any, random: Random) -> Any:
    """The value with one of its places changed; the place may be all of it."""
    place = value
    while isinstance(place, (dict, list)) and place:
        key: Any = random.choice(list(place)) if isinstance(place, dict) else random.randrange(len(place))
        within = place[key]
        if isinstance(within, (dict, list)) and within and random.randrange(4):
            place = within
            continue
        _change(place, key, random)
        return value
    return _value(random, 3)


def _change(place: Any, key: Any, random: Random) -> None:
    what = random.randrange(7)
    if what == 0:
        del place[key]
    elif what == 1:
        place[key] = [copy.deepcopy(place[key]) for _ in range(random.choice((0, 1, 2, 60)))]
    elif what == 2:
        place[key] = {_text(random): place[key]}
    elif what == 3:
        place[key] = json.dumps(place[key])
    elif what == 4 and isinstance(place, dict):
        place[_text(random)] = place.pop(key)
    elif what == 5:
        for _ in range(random.choice((1, 5, 40))):
            place[key] = [place[key]]
    else:
        place[key] = _value(random, 2)


def _bytes_changed(body: bytes, random: Random) -> bytes:
    changed = bytearray(body)
    for _ in range(random.choice((1, 1, 2, 5, 20))):
        at = random.randrange(len(changed) + 1)
        what = random.randrange(5)
        if what == 0:
            changed[at : at + 1] = bytes([random.randrange(256)])
        elif what == 1:
            del changed[at : at + random.choice((1, 3, 50))]
        elif what == 2:
            changed[at:at] = random.choice(
                (b"\x00", b"\xff", b'"', b"}", b"[" * 40, b"\\u", b"--", b"%", b"\r\n\r\n")
            )
        elif what == 3:
            changed[at:at] = changed[at // 2 : at]
        else:
            del changed[at:]
    return bytes(changed[:100_000])


def _flat(value: Any, random: Random) -> list[tuple[str, str]]:
    """A value as names and texts, nested names in brackets as PHP writes them."""
    found: list[tuple[str, str]] = []

    def walk(name: str, within: Any) -> None:
        pairs = (
            within.items()
            if isinstance(within, dict)
            else enumerate(within)
            if isinstance(within, list)
            else None
        )
        if pairs is None or not random.randrange(6):
            text = within if isinstance(within, str) else json.dumps(within)
            found.append((name, text))
            return
        for key, inner in list(pairs)[:60]:
            walk(f"{name}[{key}]" if name else str(key), inner)

    walk("", value)
    return found


def _dumped(value: Any) -> bytes:
    """As JSON, with NaN and halves of characters as careless programs write them."""
    return json.dumps(value).encode()
