"""What stands before everything that is no hook: keys and their scopes, a limit for every body, security headers.

It asks for the key before a byte of the body is read, so that only people with a key can make us read ten megabytes.
Programs send the key as `Authorization: Bearer`. Browsers, which look at pages, send it as the password of Basic; that
counts for looking only, because a browser sends it with whatever another site makes it ask for.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from speed_to_lead.core.access import ApiKey, key_presented
from speed_to_lead.core.access import Scope as KeyScope
from speed_to_lead.web.failures import Failures, client_of
from speed_to_lead.web.headers import security_headers
from speed_to_lead.web.room import Held, Room

log = structlog.get_logger()

#: The largest body of all: 10,000 leads of a kilobyte.
MAX_BODY_BYTES = 10 * 1024 * 1024

#: Bodies that are held at once, each with what is read in it: six of the largest.
ROOM_BYTES = 64 * 1024 * 1024

#: What a request needs: of these lines (methods, path, scope) the first that fits. `*` in a path is one part of it.
#: Whatever has no line of its own is looked at with `read` and changed with `admin`.
NEEDS: Final[tuple[tuple[str, str, KeyScope | None], ...]] = (
    ("GET HEAD", "/healthz", None),
    ("GET HEAD", "/readyz", None),
    # A signature opens these (web/answers.py).
    ("GET HEAD POST", "/answer/*", None),
    ("POST", "/slack/interactions", None),
    ("POST", "/events/pagerduty", None),
    ("POST", "/v1/leads", KeyScope.INTAKE),
    ("POST", "/v1/leads/*/responses", KeyScope.WRITE),
    ("POST", "/v1/leads/*/reassign", KeyScope.WRITE),
    ("POST", "/v1/leads/*/close", KeyScope.WRITE),
    ("POST", "/v1/reps/*/away", KeyScope.WRITE),
    ("POST", "/v1/reps/*/back", KeyScope.WRITE),
)
_LOOKING: Final = ("GET", "HEAD")
_NEEDS: Final = [
    (methods.split(), re.compile(re.escape(path).replace(r"\*", "[^/]+") + r"\Z"), scope)
    for methods, path, scope in NEEDS
]
#: What may be sent. A header each: Chromium reads only the first of two in one, and would ask nobody for a password.
_WAYS: Final = ('Bearer realm="speed-to-lead"', 'Basic realm="speed-to-lead", charset="UTF-8"')


def scope_needed(method: str, path: str) -> KeyScope | None:
    """The scope a request needs; None where it needs no key."""
    for methods, pattern, scope in _NEEDS:
        if method in methods and pattern.match(path):
            return scope
    return KeyScope.READ if method in _LOOKING else KeyScope.ADMIN


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    sentence: str
    guessed: bool = False  # a key was given and is none of ours


class Guard:
    """ASGI middleware. `keys` open what it guards; without any, it refuses everybody but health checks.

    `is_https`: people reach us by https, so browsers may be told never to come by http.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: Sequence[ApiKey],
        failures: Failures,
        *,
        is_https: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._app = app
        self._keys = tuple(keys)
        self._failures = failures
        self._headers = security_headers(is_https=is_https)
        self._clock = clock
        self._room = Room(ROOM_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in self._headers:
                    headers.setdefault(name.decode(), value.decode())
            await send(message)

        headers = Headers(scope=scope)
        needed = scope_needed(scope["method"], scope["path"])
        key = None if needed is None else self._key_of(headers, scope["method"], needed)
        if isinstance(key, _Refusal):
            await self._answer(key, scope)(scope, receive, send_with_headers)
            return
        problem = _unacceptable(headers)
        if problem is not None:
            await problem(scope, receive, send_with_headers)
            return
        bound = structlog.contextvars.bound_contextvars(**({"api_key": key.name} if key else {}))
        with bound, self._room.hold() as held:
            try:
                await self._app(scope, _limited(receive, held), send_with_headers)
            except (
                Exception
            ):  # it was answered with 500 already; what is raised again would only be logged with its text
                log.exception("web.failed")
            if key is not None:
                _note(scope, needed, status)

    def _key_of(self, headers: Headers, method: str, needed: KeyScope) -> ApiKey | _Refusal:
        """The key the request came with, or why it may not do what needs this scope.

        Says nothing about how near a wrong key was.
        """
        if not self._keys:
            return _Refusal(401, "closed: STL_API_KEYS is not set")
        presented = _presented(headers.getlist("authorization"), method)
        if isinstance(presented, str):
            return _Refusal(401, presented)
        key = key_presented(presented, self._keys, self._clock())
        if key is None:
            return _Refusal(401, "the key is not one of those in STL_API_KEYS, or has run out", guessed=True)
        if not key.allows(needed):
            return _Refusal(
                403, f'this needs a key with the scope "{needed}"; key {key.name} does not have it'
            )
        return key

    def _answer(self, refusal: _Refusal, scope: Scope) -> ASGIApp:
        wait = self._failures.seconds_to_wait(client_of(scope)) if refusal.guessed else 0
        if wait:  # not logged: that is what the limit is for
            return JSONResponse(
                {"error": "too many wrong keys from this address; a right one is taken at any time"},
                429,
                {"retry-after": str(wait)},
            )
        log.warning("api.refused", status=refusal.status, reason=refusal.sentence)
        answer = JSONResponse({"error": refusal.sentence}, refusal.status)
        for way in _WAYS if refusal.status == 401 else ():
            answer.headers.append("www-authenticate", way)
        return answer


def _presented(given: Sequence[str], method: str) -> bytes | str:
    """The key in the header Authorization: a Bearer's token, or Basic's password of any user; else why there is none."""
    if not given:
        return "send a key as `Authorization: Bearer …` (a browser: as the password); the keys are those in STL_API_KEYS"
    if len(given) > 1:
        return "the header Authorization was sent more than once"
    scheme, _, credentials = given[0].strip().partition(" ")
    text = credentials.strip().encode("latin-1")
    if scheme.casefold() == "basic":
        if method not in _LOOKING:
            return "Basic is for looking only; changes need `Authorization: Bearer` and a key"
        text = _password_in(text)
    elif scheme.casefold() != "bearer":
        text = b""
    return text or "the header Authorization must be `Bearer` and a key"


def _password_in(credentials: bytes) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _unacceptable(headers: Headers) -> ASGIApp | None:
    """The answer to a body that is not even read, or None."""
    if headers.get("content-encoding", "identity").strip().casefold() not in ("", "identity"):
        # Nothing is ever unpacked here, so that a kilobyte cannot become a gigabyte.
        return JSONResponse({"error": "send the body as it is, without Content-Encoding"}, 415)
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > MAX_BODY_BYTES:
        return JSONResponse({"error": _TOO_LARGE}, 413)
    return None


def _note(scope: Scope, needed: KeyScope | None, status: int) -> None:
    """What was done with a key; which one, the context says. A path is told as its route: it may hold anything."""
    event = {
        "method": scope["method"],
        "route": getattr(scope.get("route"), "path", None),
        "status": status,
    }
    is_change = needed in (KeyScope.WRITE, KeyScope.ADMIN)
    (log.info if is_change else log.debug)("api.used", **event)


_TOO_LARGE = f"a request may have at most {MAX_BODY_BYTES} bytes"


_FULL = "too much is being sent at once; send it again"


def _limited(receive: Receive, held: Held) -> Receive:
    size = 0

    async def receive_within_limit() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            raise HTTPException(413, _TOO_LARGE)
        if not held.add(len(message.get("body", b""))):
            log.error("web.full", held=ROOM_BYTES)
            raise HTTPException(503, _FULL, {"retry-after": "5"})
        return message

    return receive_within_limit
