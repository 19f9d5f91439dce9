"""The headers on every answer: what a browser must not do with it. A page that needs a style or a script names it."""

from typing import Final

#: Nothing is loaded, nothing frames us, nothing is guessed, nothing is kept.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: A year, for this host only: others under the same domain are not ours to promise for.
_ONLY_HTTPS: Final = "max-age=31536000"
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def security_headers(*, is_https: bool) -> tuple[tuple[bytes, bytes], ...]:
    """Names and values, as ASGI takes them. `is_https`: we are reached by https, and never by http."""
    headers = _HEADERS | ({"strict-transport-security": _ONLY_HTTPS} if is_https else {})
    return tuple((name.encode(), value.encode()) for name, value in headers.items())
