"""API keys: who may do what over HTTP, and until when. What is kept is the hash of a key, never the key.

`STL_API_KEYS` is a list of entries, separated by commas. An entry is one of

    a key                        16 characters or more and no colon: may do everything, and stands there in the clear
    NAME:SCOPES:HASH             such as crm:read+write:9f86d081…; the hash is SHA-256 in 64 hex digits
    NAME:SCOPES:HASH:until-DATE  the same, up to the end of that day in UTC

Two entries may have one name: that is how a key is changed without a gap. A plain hash is enough because our keys are
random (256 bits); a hash made slow on purpose protects words that people choose.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

SHORTEST_PLAIN_KEY = 16

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z")
_HASH = re.compile(r"[0-9a-fA-F]{64}\Z")
_GRAMMAR = "NAME:SCOPES:HASH or NAME:SCOPES:HASH:until-YYYY-MM-DD, as `speed-to-lead keys new` prints it"


class Scope(StrEnum):
    """What a key may do. `admin` includes the others; none of the others includes another."""

    INTAKE = "intake"  # post leads
    READ = "read"  # leads, status, pages, metrics
    WRITE = "write"  # responses, reassignment, closing
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One entry of `STL_API_KEYS`. `until` is the last day on which the key is good. `is_plain`: not kept as a hash."""

    name: str
    scopes: frozenset[Scope]
    digest: bytes
    until: date | None = None
    is_plain: bool = False

    def allows(self, scope: Scope) -> bool:
        """Whether the key may do what needs this scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def is_good_at(self, now: datetime) -> bool:
        """Whether the key has not run out; the last day counts to its end, in UTC. `now` is in UTC."""
        return self.until is None or now.date() <= self.until


class BadKeys(ValueError):
    """An entry is not written as expected; the text names its place, never what stands there."""


def digest_of(key: bytes) -> bytes:
    """The hash under which a key is known. Always 32 bytes, so that comparing tells nothing of a key's length."""
    return hashlib.sha256(key).digest()


def key_presented(key: bytes, keys: Sequence[ApiKey], now: datetime) -> ApiKey | None:
    """The entry of a key that is good at `now`, or None.

    Every entry is compared to its end, so that the time taken tells neither which was near nor how near. Where a key
    stands in several entries, the first that has not run out counts.
    """
    digest = digest_of(key)
    matches = [entry for entry in keys if hmac.compare_digest(digest, entry.digest)]
    return next((entry for entry in matches if entry.is_good_at(now)), None)


def entry_text(name: str, scopes: Sequence[Scope], key: str, until: date | None = None) -> str:
    """The entry of a key as it is written in `STL_API_KEYS`. Raises BadKeys for a name that cannot be one."""
    if not _NAME.match(name):
        raise BadKeys("a key's name has letters, digits, . _ and -, 40 at the most, such as crm or web-shop")
    parts = [name, "+".join(scopes), digest_of(key.encode()).hex()]
    return ":".join([*parts, f"until-{until.isoformat()}"] if until else parts)


def first_plain_key(text: str) -> str | None:
    """The first key that stands in the clear in `STL_API_KEYS`, or None: what a program of our own can present."""
    entries = (entry.strip() for entry in text.split(","))
    return next((entry for entry in entries if entry and ":" not in entry), None)


def keys_in(text: str) -> tuple[ApiKey, ...]:
    """The entries of `STL_API_KEYS`, in order. Raises BadKeys naming every entry that is wrong by its number."""
    entries = [entry.strip() for entry in text.split(",")]
    keys: list[ApiKey] = []
    problems: list[str] = []
    for number, entry in enumerate(filter(None, entries), start=1):
        try:
            keys.append(_hashed(entry) if ":" in entry else _plain(entry, number))
        except BadKeys as problem:
            problems.append(f"entry {number} {problem}")
    if problems:
        raise BadKeys("; ".join(problems))
    return tuple(keys)


def _plain(entry: str, number: int) -> ApiKey:
    if len(entry) < SHORTEST_PLAIN_KEY:
        raise BadKeys(
            f"is too short for a key: it needs {SHORTEST_PLAIN_KEY} characters or more (or is part of an entry with "
            f"a hash: {_GRAMMAR})"
        )
    return ApiKey(f"plain-{number}", frozenset({Scope.ADMIN}), digest_of(entry.encode()), is_plain=True)


def _hashed(entry: str) -> ApiKey:
    """The key of an entry with colons. What is wrong with it is said without repeating any of it: it may be a secret."""
    parts = entry.split(":")
    if len(parts) not in (3, 4):
        raise BadKeys(f"has {len(parts)} parts; expected {_GRAMMAR} (a key in the clear has no colon)")
    name, scopes, digest, *rest = parts
    if not _NAME.match(name):
        raise BadKeys("has a name that is none: letters, digits, . _ and -, 40 at the most")
    if not _HASH.match(digest):
        raise BadKeys(f"has no hash of 64 hex digits; expected {_GRAMMAR}")
    known = {scope.value for scope in Scope}
    given = scopes.split("+")
    if not set(given) <= known:
        raise BadKeys(f"has a scope that is none; they are {', '.join(Scope)}, joined with +")
    return ApiKey(
        name, frozenset(map(Scope, given)), bytes.fromhex(digest), _until(rest[0]) if rest else None
    )


def _until(text: str) -> date:
    day = text.removeprefix("until-")
    try:
        if day != text and re.fullmatch(r"\d{4}-\d\d-\d\d", day, re.ASCII):
            return date.fromisoformat(day)
    except ValueError:
        pass
    raise BadKeys("ends in something that is no day; expected until-YYYY-MM-DD")
