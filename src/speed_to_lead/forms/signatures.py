"""Proof that a delivery is genuine: secrets in rotation, constant-time comparison, Standard Webhooks, shared tokens."""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import parse_qsl

from speed_to_lead.forms.provider import WebhookRequest

#: Where the scheme signs a timestamp, a request this much older or newer than now is refused (HubSpot v3, Standard Webhooks).
REPLAY_WINDOW = timedelta(minutes=5)

_PLAIN = re.compile(r"[A-Za-z0-9]+")
#: A longer one is looked for as it is only: anybody may send one, and all ways to write it are too many.
_LONGEST_TOKEN = 64

#: Headers a shared secret is looked for in, beside `Authorization: Bearer` and `Authorization: Basic`.
TOKEN_HEADERS = ("x-webhook-token", "x-webhook-secret", "x-api-key", "x-auth-token")

#: Shorter words separated by blanks or commas are one pass phrase, not several secrets: any one of them could be guessed.
_SHORTEST_ROTATED_SECRET = 8


@lru_cache(maxsize=256)
def secrets_in(configured: str) -> tuple[bytes, ...]:
    """The secrets that count: the configured text, and during rotation each of the secrets in it.

    Several secrets are separated by blanks or commas and have at least eight characters each.
    """
    whole = configured.strip()
    parts = [part for part in re.split(r"[\s,]+", whole) if part]
    rotated = parts if len(parts) > 1 and all(len(part) >= _SHORTEST_ROTATED_SECRET for part in parts) else []
    return tuple(text.encode("utf-8", "surrogateescape") for text in dict.fromkeys([whole, *rotated]) if text)


def any_matches(
    given: Iterable[str], configured: str, expected_for: Callable[[bytes], Iterable[str | bytes]]
) -> bool:
    """Whether a given signature is what one of the configured secrets expects; compares all, in constant time."""
    expected = [_bytes(text) for secret in secrets_in(configured) for text in expected_for(secret)]
    found = False
    for signature in given:
        for candidate in expected:
            found |= hmac.compare_digest(candidate, _bytes(signature))
    return found


def hmac_sha256_base64(secret: bytes, signed: bytes) -> str:
    """HMAC-SHA256 in base64, the form in which Typeform, HubSpot v3 and Standard Webhooks send it."""
    return base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()


def hmac_hex(secret: bytes, signed: bytes, digest: str = "sha256") -> str:
    """HMAC in lower-case hex, as Calendly, Webflow, Formstack, Meta, LinkedIn (SHA-256), Intercom and Segment (SHA-1) send it."""
    return hmac.digest(secret, signed, digest).hex()


def unsigned_refusal(tool: str) -> str:
    """Why no request of this tool can be proved by a signature."""
    return f"{tool} signs nothing; give the form token_env in intake.toml instead of secret_env"


def replay_refusal(milliseconds_text: str, now: datetime, window: timedelta = REPLAY_WINDOW) -> str | None:
    """Why a signed timestamp (Unix milliseconds as text) is not of now; None where it is within the window."""
    if not re.fullmatch(r"[0-9]{1,18}", milliseconds_text):
        return "the signed timestamp is missing or not a number"
    age = now.timestamp() * 1000 - int(milliseconds_text)
    most = window.total_seconds() * 1000
    minutes = f"{window.total_seconds() / 60:.0f} minutes"
    if age > most:
        return f"the signed timestamp is more than {minutes} old"
    if age < -most:
        return f"the signed timestamp is more than {minutes} in the future; is a clock wrong?"
    return None


def standard_webhooks_key(secret: bytes) -> bytes | None:
    """The key in a Standard Webhooks secret (`whsec_` and base64, padded or not); None where it is not base64."""
    encoded = secret.removeprefix(b"whsec_").rstrip(b"=")
    try:
        return base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True) or None
    except binascii.Error:
        return None


def standard_webhooks_refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why a request is not genuine by Standard Webhooks 1.0.0; any `v1` signature of any secret passes.

    Signed is `id.timestamp.body`, timestamp in Unix seconds, five minutes of tolerance both ways.
    """
    prefix = (
        "webhook" if "webhook-id" in request.headers else "svix"
    )  # Svix sends the same under its own name
    message_id = request.headers.get(f"{prefix}-id", "")
    timestamp = request.headers.get(f"{prefix}-timestamp", "")
    given = request.headers.get(f"{prefix}-signature", "").split()
    if not message_id or not given:
        return "the headers webhook-id and webhook-signature are missing"
    stale = replay_refusal(f"{timestamp}000" if timestamp else "", now)
    if stale:
        return stale
    signed = _bytes(f"{message_id}.{timestamp}.") + request.body

    def expected(configured: bytes) -> Iterator[str]:
        key = standard_webhooks_key(configured)
        if key:
            yield f"v1,{hmac_sha256_base64(key, signed)}"

    return None if any_matches(given, secret, expected) else "no v1 signature matches"


def token_refusal(request: WebhookRequest, secret: str) -> str | None:
    """Why a request does not carry the shared secret; None where it does.

    Looked for in `Authorization: Bearer`, as the password of `Authorization: Basic`, in the headers
    `X-Webhook-Token`, `X-Webhook-Secret`, `X-Api-Key` and `X-Auth-Token`, and in the query as `token` or, as
    CloudEvents names it, `access_token`.
    """
    given = list(_tokens_given(request))
    if not given:
        return "no token was given in a header, the query or Basic authentication"
    return (
        None
        if any_matches(given, secret, lambda configured: (configured,))
        else "the token given is not ours"
    )


def without_tokens(request: WebhookRequest) -> bytes:
    """The body as it may be stored: where it repeats a token that the request gave, as Jotform repeats our address, stands ***.

    A token is found however its signs are written: as they are, percent-encoded up to five times, as JSON or HTML
    escapes them, a blank as a plus. One of less than eight characters might be any word of the lead: it is looked for as
    `token=…` only.
    """
    body = request.body
    for token in {given for given in _tokens_given(request) if given}:
        if _surely_in(token) in body.lower():  # nearly no body repeats it, and this costs a microsecond
            body = _spellings_of(token).sub(rb"\1***", body)
    return body


@lru_cache(maxsize=256)
def _surely_in(token: str) -> bytes:
    """Its longest run of letters and digits, which nobody writes otherwise."""
    return max(_PLAIN.findall(token), key=len, default="").lower().encode()


@lru_cache(maxsize=256)
def _spellings_of(token: str) -> re.Pattern[bytes]:
    before = (
        rb"()" if len(token) >= _SHORTEST_ROTATED_SECRET else rb"(token(?:=|%(?:25){0,4}3D|\\{1,8}u003d))"
    )
    ways = map(_ways_to_write, token) if len(token) <= _LONGEST_TOKEN else [re.escape(_bytes(token))]
    return re.compile(before + b"".join(ways), re.IGNORECASE)


def _ways_to_write(sign: str) -> bytes:
    if sign.isascii() and sign.isalnum():
        return sign.encode()
    raw = _bytes(sign)
    units = sign.encode("utf-16-be", "surrogatepass").hex()
    ways = [
        rb"\\{0,8}" + re.escape(raw),
        b"".join(b"%%(?:25){0,4}%02x" % byte for byte in raw),
        b"".join(rb"\\{1,8}u%b" % units[start : start + 4].encode() for start in range(0, len(units), 4)),
        rb"&#(?:0{0,6}%d|x0{0,6}%x);" % (ord(sign), ord(sign)),
    ]
    ways += [rb"\+"] if sign == " " else [b"&amp;"] if sign == "&" else []
    return b"(?:" + b"|".join(ways) + b")"


def _tokens_given(request: WebhookRequest) -> Iterator[str]:
    scheme, _, credentials = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.casefold() == "bearer":
        yield credentials.strip()
    elif scheme.casefold() == "basic":
        try:
            user_and_password = base64.b64decode(_bytes(credentials.strip()), validate=True).decode(
                "utf-8", "replace"
            )
        except binascii.Error:
            user_and_password = ""
        yield user_and_password.partition(":")[2]
    for name in TOKEN_HEADERS:
        if name in request.headers:
            yield request.headers[name].strip()
    for name, value in parse_qsl(request.query):
        if name in ("token", "access_token"):
            yield value


def _bytes(text: str | bytes) -> bytes:
    """Bytes to compare, of whatever a header held: never raises."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
