"""What stands before everything that is no hook: bearer keys for /v1 and /metrics, a limit for every body, security headers.

It asks for the key before a byte of the body is read, so that only people with a key can make us read ten megabytes.
"""

import hmac
from collections.abc import Sequence
from hashlib import sha256

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()

#: The largest body of all: 10,000 leads of a kilobyte.
MAX_BODY_BYTES = 10 * 1024 * 1024

_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}


class Guard:
    """ASGI middleware. `keys` are the bearer keys of /v1; without any, /v1 refuses everybody."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._keys = [_fingerprint(key.encode()) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        is_api = path in ("/v1", "/metrics") or path.startswith(("/v1/", "/metrics/"))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if is_api:
                    headers["cache-control"] = "no-store"
            await send(message)

        headers = Headers(scope=scope)
        refusal = self._refusal(headers) if is_api else None
        if refusal is not None:
            log.warning("api.refused", reason=refusal)
            answer = JSONResponse(
                {"error": refusal}, 401, {"www-authenticate": 'Bearer realm="speed-to-lead"'}
            )
            await answer(scope, receive, send_with_headers)
            return
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > MAX_BODY_BYTES:
            answer = JSONResponse({"error": _TOO_LARGE}, 413)
            await answer(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, _limited(receive), send_with_headers)
        except (
            Exception
        ):  # it was answered with 500 already; what is raised again would only be logged with its text
            log.exception("web.failed")

    def _refusal(self, headers: Headers) -> str | None:
        """Why the request may not use /v1, or None. Says nothing about how near a wrong key was."""
        if not self._keys:
            return "/v1 is closed: STL_API_KEYS is not set"
        given = headers.getlist("authorization")
        if not given:
            return "send a key as `Authorization: Bearer …`; the keys are those in STL_API_KEYS"
        if len(given) > 1:
            return "the header Authorization was sent more than once"
        scheme, _, key = given[0].strip().partition(" ")
        if scheme.casefold() != "bearer" or not key.strip():
            return "the header Authorization must be `Bearer` and a key"
        fingerprint = _fingerprint(key.strip().encode("latin-1"))
        # Every key is compared to its end, so that the time tells neither which one was near nor how near.
        matches = [hmac.compare_digest(fingerprint, known) for known in self._keys]
        return None if any(matches) else "the key is not one of those in STL_API_KEYS"


def _fingerprint(key: bytes) -> bytes:
    """Something of one length to compare, whatever the key's."""
    return sha256(key).digest()


_TOO_LARGE = f"a request may have at most {MAX_BODY_BYTES} bytes"


def _limited(receive: Receive) -> Receive:
    size = 0

    async def receive_within_limit() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            raise HTTPException(413, _TOO_LARGE)
        return message

    return receive_within_limit
