"""HTTP out: the one client of a process, and the one place that says what a failure or a status means.

    new_http_client   timeouts on every phase, no redirects, no cookies
    post              one request → one Attempt, in SEND_SECONDS; never raises for what network or far side do
    FAILURES          httpx exception → outcome; a test walks httpx's tree, so a new one cannot slip by
    by_status         status → outcome, where the status says it all
    retry_after       seconds, HTTP date or ISO 8601 → how long to wait

The question behind every line: did anything arrive? "No" may be tried again, "perhaps" once at the most.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import MappingProxyType
from typing import Any, Final

import httpx

from speed_to_lead import __version__
from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.destinations import channel
from speed_to_lead.destinations.deadline import ending_within
from speed_to_lead.destinations.transport import new_transports

#: For each step (one address, one read); all of them together end with the deadline that `post` sets.
TIMEOUT: Final = httpx.Timeout(connect=3.0, read=8.0, write=3.0, pool=2.0)
#: Node's servers hang up on an idle connection after 5 s; a request that meets the hang-up has an unknown outcome.
#: As many as there are couriers in a process (worker.couriers), so that none waits for another's connection, nor makes its own
#: anew because others keep theirs.
LIMITS: Final = httpx.Limits(max_connections=64, max_keepalive_connections=64, keepalive_expiry=4.0)
#: An answer is a word or a small JSON object; more is not read, and neither is one that trickles in for longer.
BODY_LIMIT: Final = 4096
BODY_SECONDS: Final = 3.0
#: What a form tool's API answers about one lead is a few kilobytes; a page of its list, with long answers, a few megabytes.
GET_LIMIT: Final = 1024 * 1024
LIST_LIMIT: Final = 16 * 1024 * 1024

FAILURES: Final[Mapping[type[Exception], tuple[Outcome, str]]] = MappingProxyType(
    {
        # Nothing was sent.
        httpx.ConnectError: (Outcome.NOT_DELIVERED, "no connection"),
        httpx.ConnectTimeout: (Outcome.NOT_DELIVERED, "no connection in time"),
        httpx.PoolTimeout: (Outcome.NOT_DELIVERED, "no free connection in time"),
        httpx.ProxyError: (Outcome.NOT_DELIVERED, "the proxy made no connection"),
        # Nothing was sent and nothing ever will be: the request itself is at fault.
        httpx.UnsupportedProtocol: (Outcome.REFUSED, "the address is not http or https"),
        httpx.InvalidURL: (Outcome.REFUSED, "the address is not valid"),
        # getaddrinfo raises it for a label that is too long, and httpx lets it through.
        UnicodeError: (Outcome.REFUSED, "the host name is not valid"),
        httpx.LocalProtocolError: (Outcome.REFUSED, "the request breaks the protocol"),
        httpx.TooManyRedirects: (Outcome.REFUSED, "redirects are not followed"),
        # It went out, whole or in part, and no answer came back.
        httpx.ReadTimeout: (Outcome.UNKNOWN, "no answer in time"),
        httpx.WriteTimeout: (Outcome.UNKNOWN, "not all was sent in time"),
        httpx.ReadError: (Outcome.UNKNOWN, "the connection broke before the answer"),
        httpx.WriteError: (Outcome.UNKNOWN, "the connection broke while sending"),
        httpx.CloseError: (Outcome.UNKNOWN, "the connection broke while closing"),
        httpx.RemoteProtocolError: (Outcome.UNKNOWN, "the answer broke off or was no HTTP"),
        httpx.DecodingError: (Outcome.UNKNOWN, "the answer could not be decoded"),
        # Base classes and whatever is left: perhaps.
        httpx.HTTPError: (Outcome.UNKNOWN, "no answer"),
        httpx.RequestError: (Outcome.UNKNOWN, "no answer"),
        httpx.TransportError: (Outcome.UNKNOWN, "no answer"),
        httpx.TimeoutException: (Outcome.UNKNOWN, "no answer in time"),
        httpx.NetworkError: (Outcome.UNKNOWN, "the connection broke"),
        httpx.ProtocolError: (Outcome.UNKNOWN, "the answer was no HTTP"),
        httpx.HTTPStatusError: (Outcome.UNKNOWN, "no answer"),
        OSError: (Outcome.UNKNOWN, "the connection broke"),
    }
)

_RAISED: Final = tuple(FAILURES)

_BY_STATUS: Final[Mapping[int, tuple[Outcome, str]]] = MappingProxyType(
    {
        HTTPStatus.REQUEST_TIMEOUT: (Outcome.NOT_DELIVERED, ""),
        HTTPStatus.LOCKED: (Outcome.NOT_DELIVERED, ""),
        HTTPStatus.TOO_EARLY: (Outcome.NOT_DELIVERED, ""),
        HTTPStatus.TOO_MANY_REQUESTS: (Outcome.RATE_LIMITED, ""),
        HTTPStatus.BAD_GATEWAY: (Outcome.UNKNOWN, ": a gateway lost the answer"),
        HTTPStatus.GATEWAY_TIMEOUT: (Outcome.UNKNOWN, ": a gateway lost the answer"),
    }
)
_BY_HUNDRED: Final[Mapping[int, tuple[Outcome, str]]] = MappingProxyType(
    {
        2: (Outcome.DELIVERED, ""),
        3: (Outcome.REFUSED, ": redirects are not followed"),
        4: (Outcome.REFUSED, ""),
        5: (Outcome.NOT_DELIVERED, ""),
    }
)
_MAY_WAIT: Final = frozenset({Outcome.NOT_DELIVERED, Outcome.RATE_LIMITED, Outcome.UNKNOWN})
_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?\Z")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the far side said. `body` is its beginning; `whole` is False where it broke off or went on too long."""

    status: int
    body: str
    whole: bool
    retry_after: timedelta | None = None


def new_http_client() -> httpx.Client:
    """A client for one process: every phase has its timeout, redirects are not followed, cookies not kept."""
    transport, mounts = new_transports(LIMITS)
    client = httpx.Client if mounts else StraightClient
    return client(
        transport=transport,
        mounts=mounts,
        timeout=TIMEOUT,
        follow_redirects=False,
        headers={"User-Agent": f"speed-to-lead/{__version__}", "Accept-Encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


class StraightClient(httpx.Client):
    """httpx's client without its middle: a request goes straight to the one transport there is.

    What lies between (authentication flows, redirects, cookies, hooks, a log line) does nothing for us, and is a third of
    what a POST costs. An address with a user and a password still goes the long way, which makes a header of them.
    """

    def __init__(self, *, transport: httpx.BaseTransport, **options: Any) -> None:
        super().__init__(transport=transport, **options)
        self._straight = transport

    def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        """The answer; with `stream` its body is still to be read."""
        if request.url.userinfo:
            return super().send(request, stream=stream, **options)
        response = self._straight.handle_request(request)
        response.request = request
        if not stream:
            response.read()
        return response


@cache
def _address(url: str) -> httpx.URL:
    """The parsed address: there are as many as destinations. Raises httpx.InvalidURL."""
    return httpx.URL(url)


def by_status(answer: Answer) -> Attempt:
    """What the status alone says. No part of the body is repeated."""
    status = answer.status
    not_final = (Outcome.UNKNOWN, " is no final status")
    outcome, why = _BY_STATUS.get(status) or _BY_HUNDRED.get(status // 100) or not_final
    wait = answer.retry_after if outcome in _MAY_WAIT else None
    return Attempt(outcome, f"{_status_text(status)}{why}", wait, is_gone=status == HTTPStatus.GONE)


def gone_by_status(attempt: Attempt, answer: Answer, *statuses: int) -> Attempt:
    """The attempt; where the vendor means by one of these statuses that the destination itself is no more, it says so."""
    is_gone = attempt.is_gone or answer.status in statuses
    return replace(attempt, is_gone=is_gone and attempt.outcome is Outcome.REFUSED)


def post(
    http: httpx.Client,
    url: str,
    *,
    content: bytes,
    headers: Mapping[str, str],
    now: datetime,
    judge: Callable[[Answer], Attempt] = by_status,
) -> Attempt:
    """What one POST came to. Never raises for the network or the far side; details hold neither address nor body.

    `judge` reads the answer where the status does not say it all. `now` is what a date in Retry-After is
    measured against.
    """
    answer: Answer | None = None
    try:
        with (
            ending_within(channel.SEND_SECONDS),
            http.stream("POST", _address(url), content=content, headers=dict(headers)) as response,
        ):
            answer = _read(response, now)
    except _RAISED as error:
        if answer is None:
            return attempt_of(error)
    return judge(answer)


def get(
    http: httpx.Client, url: str, headers: Mapping[str, str], now: datetime, limit: int = GET_LIMIT
) -> tuple[Attempt, bytes | None]:
    """What one GET came to, and the body of an answer of 200 that arrived as a whole. Never raises, as `post`.

    The address is that of a form tool's API, and may hold a token: details hold neither address nor body.
    """
    try:
        with (
            ending_within(channel.SEND_SECONDS),
            http.stream("GET", httpx.URL(url), headers=dict(headers)) as response,
        ):
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > limit:
                    return Attempt(Outcome.REFUSED, f"the answer has more than {limit} bytes"), None
            wait = retry_after(response.headers.get("Retry-After"), now)
            attempt = by_status(Answer(response.status_code, "", whole=True, retry_after=wait))
            return attempt, bytes(body) if response.status_code == HTTPStatus.OK else None
    except _RAISED as error:
        return attempt_of(error), None


def attempt_of(error: Exception) -> Attempt:
    """What an exception of httpx says about the request."""
    known = next(cls for cls in type(error).__mro__ if cls in FAILURES)
    outcome, sentence = FAILURES[known]
    return Attempt(outcome, f"{sentence} ({type(error).__name__})")


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """How long a Retry-After header asks to wait, from `now` and never negative; None where it is junk.

    Three forms are met: seconds, with or without a fraction; an HTTP date (RFC 9110 §10.2.3); an ISO 8601
    instant (Outreach). A time without an offset is UTC.
    """
    text = (header or "").strip()
    if _SECONDS.match(text):
        return timedelta(seconds=float(text))
    at = _instant(datetime.fromisoformat, text) or _instant(parsedate_to_datetime, text)
    if at is None:
        return None
    return max((at if at.tzinfo else at.replace(tzinfo=UTC)) - now, timedelta(0))


def _instant(parse: Callable[[str], datetime], text: str) -> datetime | None:
    try:
        return parse(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _read(response: httpx.Response, now: datetime) -> Answer:
    body, whole = b"", True
    try:
        with ending_within(BODY_SECONDS):
            for chunk in response.iter_bytes():
                body += chunk[: BODY_LIMIT + 1]
                if len(body) > BODY_LIMIT:
                    whole = False
                    break
    except _RAISED:
        whole = False
    wait = retry_after(response.headers.get("Retry-After"), now)
    return Answer(response.status_code, body[:BODY_LIMIT].decode("utf-8", "replace"), whole, wait)


def _status_text(status: int) -> str:
    """The status with the standard's phrase for it; the far side's own is not repeated."""
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"
