"""`POST /hooks/{form}`: 1 is it small enough, 2 do we know the form, 3 is it genuine, 4 is it stored? Then exactly 200.

No router, no models, no middleware, for this is the route that carries the load: bare ASGI, and past even that where the
whole request is here (`Hooks.take`, web/protocol.py). A form tool disables a
hook that answers 404, 410, a redirect or another 2xx (docs/decisions/0005-exactly-200.md), so below /hooks/ none of these is ever
answered: what is not ours to take is 400, 401 or 413, and what we cannot do now is 503 with Retry-After. A form with a
`rate_limit` answers 429 with Retry-After where its tool waits for that; else what comes too fast is stored and marked.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache, lru_cache, partial
from http import HTTPStatus
from typing import Any

import structlog
from starlette.types import Message, Receive, Scope, Send

from speed_to_lead import flow, tracing
from speed_to_lead.core.metrics import OTHER
from speed_to_lead.core.submission import Form, RateLimit
from speed_to_lead.forms import Refusal, WebhookRequest, Welcome, welcome_for
from speed_to_lead.forms.patience import WAITS_AFTER_429
from speed_to_lead.store import StoreUnavailable
from speed_to_lead.store.contract import TooFast
from speed_to_lead.store.intake import ANSWER_TIMEOUT, Intake, Pace
from speed_to_lead.web.failures import Failures, client_of
from speed_to_lead.web.headers import security_headers
from speed_to_lead.web.protocol import Reply
from speed_to_lead.web.room import Held, Room
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

MAX_BODY_BYTES = 1024 * 1024
#: Bodies that this process holds at once, beside those that wait to be stored (Intake has its own limit): 64 of the largest.
ROOM_BYTES = 64 * 1024**2
#: A sender that dribbles its body is let go after this.
BODY_SECONDS = 20.0
RETRY_AFTER_SECONDS = 5

_PREFIX = "/hooks/"
#: Without Strict-Transport-Security, which is for browsers, and they come to the pages.
_HEADERS = security_headers(is_https=False)
#: Whoever dribbles would go on dribbling, and whoever guesses should pay for a connection each time.
_CLOSE = (b"connection", b"close")
_JSON = b"application/json"
_TOO_SLOW = "the body did not arrive in time"


class _Answer:
    """One answer, ready to be sent any number of times: as ASGI's two messages, or as the bytes of one write."""

    __slots__ = ("body", "head", "messages", "status")

    def __init__(
        self, status: int, body: bytes, *headers: tuple[bytes, bytes], content_type: bytes = _JSON
    ) -> None:
        self.status = status
        self.body = body
        fields = [*_fields(len(body), content_type), *headers]
        start: Message = {"type": "http.response.start", "status": status, "headers": fields}
        self.messages: tuple[Message, Message] = (start, {"type": "http.response.body", "body": body})
        self.head = _head(status, fields)


def _stored_body(submission_id: str) -> bytes:
    return b'{"status":"stored","id":"%b"}' % submission_id.encode()


def _fields(length: int, content_type: bytes = _JSON) -> list[tuple[bytes, bytes]]:
    """The headers of every answer."""
    return [(b"content-type", content_type), (b"content-length", b"%d" % length), *_HEADERS]


def _head(status: int, fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    line = b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())
    return line + b"".join(b"%b: %b\r\n" % field for field in fields)


@cache
def _head_of_stored(length: int) -> bytes:
    """That of nearly all answers; ids differ in length as little as dates do."""
    return _head(200, _fields(length))


def _error(status: int, sentence: str, *headers: tuple[bytes, bytes]) -> _Answer:
    retry = ((b"retry-after", b"%d" % RETRY_AFTER_SECONDS),) if status == 503 else ()
    return _Answer(status, json.dumps({"error": sentence}).encode(), *retry, *headers)


_TOO_LARGE = _error(413, f"a submission may have at most {MAX_BODY_BYTES} bytes")
_NO_FORM = _error(400, "there is no form of that name; a hook is /hooks/{form}, with a form of intake.toml")
_NOT_POST = _error(400, "a hook takes POST")
_AWAY = _error(503, "the submission could not be stored now; send it again")
_SLOW = _error(503, "the body did not arrive in time; send it again", _CLOSE)
_UNCONFIGURED = _error(503, "the secret of this form is not configured here yet; send it again later")
_FULL = _error(503, "too many submissions arrive at once; send it again", _CLOSE)
_FAILED = _error(503, "something went wrong here; send it again")


def _too_fast(wait_ms: int) -> _Answer:
    seconds = -(-wait_ms // 1000)
    sentence = "this form takes no more for now (its rate_limit); send it again after Retry-After seconds"
    return _error(429, sentence, (b"retry-after", b"%d" % seconds))


@lru_cache(maxsize=1024)
def _pace_of(form_name: str, rate: RateLimit, provider: str) -> Pace:
    return Pace(form_name, rate, provider in WAITS_AFTER_429)


def is_hook(path: str) -> bool:
    """Whether the path is /hooks or below it, also where somebody doubled a slash or wrote it in capitals."""
    if path.startswith(_PREFIX):
        return True
    return path.lstrip("/").partition("/")[0].casefold() == "hooks"


def _form_name_in(path: str) -> str:
    """The form a hook's path names; a slash at its end is forgiven, for a redirect would lose what was sent."""
    return path.removeprefix(_PREFIX).removesuffix("/")


class Hooks:
    """The ASGI application for everything below /hooks/."""

    def __init__(
        self,
        place: Workplace,
        intake: Intake,
        public_url: str,
        environment: Mapping[str, str],
        failures: Failures,
    ) -> None:
        self._place = place
        self._intake = intake
        self._public_url = public_url
        self._environment = environment
        self._failures = failures
        self._room = Room(ROOM_BYTES)
        self._log = log.bind()  # what is logged of every request costs nothing where its level is off
        #: How often this process answered what, by form and status. Most refusals never reach the store.
        self.answers: Counter[tuple[str, int]] = Counter()
        #: By form, why it takes nothing: our set-up is at fault (web/forgeries.py tells somebody).
        self.unconfigured: dict[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. A sender that hangs up before its body is complete gets no answer and leaves nothing."""
        try:
            answer = await self._answer(scope, receive)
        except Exception:  # an answer of 500 would be as good, but not every form tool sends again after one
            log.exception("hook.failed")
            answer = _FAILED
        if answer is not None:
            name = _form_name_in(scope["path"])
            self.answers[name if name in self._place.config.forms else OTHER, answer.status] += 1
            for message in answer.messages:
                await send(message)

    def take(self, scope: Scope, body: bytes, reply: Reply) -> bool:
        """Take a submission that is here as a whole, past ASGI; False, and nothing is done, where it is not so simple.

        So simple are nearly all: genuine ones, while the server's clock is known. `reply` hears the answer when it is
        stored, or is not. Everything else (a refusal, a question, a trace) is `__call__`'s.
        """
        try:
            return self._took(scope, body, reply)
        except Exception:  # noqa: BLE001 - the long way meets it again, and answers it
            return False

    def _took(self, scope: Scope, body: bytes, reply: Reply) -> bool:
        path, now = scope["path"], self._intake.now_if_known()
        form = self._place.config.forms.get(_form_name_in(path)) if path.startswith(_PREFIX) else None
        if form is None or now is None or scope["method"] != "POST" or len(body) > MAX_BODY_BYTES:
            return False
        if tracing.is_on():
            return False
        headers = _headers(scope)
        request = WebhookRequest("POST", self._url(scope, headers), headers, body)
        submission = flow.receive(request, form, self._environment, now)
        if isinstance(submission, Refusal):
            return False
        tell = partial(self._tell, form.name, submission.id, reply)
        if form.rate_limit is None:
            self._intake.submit(submission, tell)
        else:
            self._intake.submit(submission, tell, _pace_of(form.name, form.rate_limit, form.provider))
        return True

    def _tell(
        self, form: str, submission_id: str, reply: Reply, problem: StoreUnavailable | TooFast | None
    ) -> None:
        """Answer one that was taken. Nothing gets out: others wait to be told after it."""
        try:
            if problem is None:
                self.answers[form, 200] += 1
                self._log.debug("submission.stored", lead_id=submission_id, form=form)
                body = _stored_body(submission_id)
                reply(_head_of_stored(len(body)), body)
            elif isinstance(problem, TooFast):
                answer = _too_fast(problem.wait_ms)
                self.answers[form, answer.status] += 1
                reply(answer.head, answer.body)
            else:
                self.answers[form, _AWAY.status] += 1
                log.error("submission.not_stored", form=form, error=str(problem))
                reply(_AWAY.head, _AWAY.body)
        except Exception:
            log.exception("hook.failed")

    async def _answer(self, scope: Scope, receive: Receive) -> _Answer | None:
        headers = _headers(scope)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > MAX_BODY_BYTES:
            return _TOO_LARGE
        form = self._form(scope)
        if form is None:
            return _NO_FORM
        if scope["method"] != "POST":
            return self._asked(scope, headers, form)
        return await self._take(scope, receive, headers, form)

    def _asked(self, scope: Scope, headers: Mapping[str, str], form: Form) -> _Answer:
        """What a form tool wants to hear before it sends anything; whoever else looks hears that the hook is there."""
        method = scope["method"]
        request = WebhookRequest(method, self._url(scope, headers), headers, b"")
        answer = welcome_for(request, form, self._environment)
        if isinstance(answer, Refusal):
            return self._refused(answer, form, scope)
        if answer is not None:
            log.info("hook.welcomed", form=form.name, method=method)
            return _welcome(answer)
        return _ready(form) if method in ("GET", "HEAD") else _NOT_POST

    async def _take(
        self, scope: Scope, receive: Receive, headers: Mapping[str, str], form: Form
    ) -> _Answer | None:
        with self._room.hold() as held:
            body = await _body_in_time(receive, form, held)
            if not isinstance(body, bytes):
                return body
            request = WebhookRequest("POST", self._url(scope, headers), headers, body)
            try:  # two seconds for all of it, the server's clock included; the tightest tool waits three
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    answer = await self._store(request, form)
                return self._refused(answer, form, scope) if isinstance(answer, Refusal) else answer
            except TooFast as too_fast:
                return _too_fast(too_fast.wait_ms)
            except StoreUnavailable as away:
                problem = str(away)
            except TimeoutError:
                problem = "TimeoutError"
        log.error("submission.not_stored", form=form.name, error=problem)
        return _AWAY

    async def _store(self, request: WebhookRequest, form: Form) -> _Answer | Refusal:
        sender = request.headers.get("traceparent", "")
        with tracing.span("hook receive", link=sender, form=form.name) as span:
            now = await self._intake.now()
            submission = flow.receive(request, form, self._environment, now, span.traceparent)
            if isinstance(submission, Refusal):
                span.note(outcome="refused")
                return submission
            rate = form.rate_limit
            pace = None if rate is None else _pace_of(form.name, rate, form.provider)
            await self._intake.store(submission, pace)
            span.note(lead_id=submission.id, outcome="stored")
            self._log.debug("submission.stored", lead_id=submission.id, form=form.name)
        return _Answer(200, _stored_body(submission.id))

    def _form(self, scope: Scope) -> Form | None:
        """The form a path names. The API's own form has no hook: it asks for no proof."""
        forms = self._place.config.forms
        name = _form_name_in(scope["path"])
        form = forms.get(name)
        if form is None and not self._failures.seconds_to_wait(client_of(scope)):
            # The name itself may be a token somebody pasted; a word of our config is safe to log.
            like = get_close_matches(name.strip("/")[:60], forms, n=1)
            log.warning("hook.unknown_form", like=like[0] if like else None)
        return form

    def _refused(self, refusal: Refusal, form: Form, scope: Scope) -> _Answer:
        """401, however often: a form tool disables its hook for other answers. What is guessed often is not logged."""
        if refusal.ours:
            log.error("submission.refused", form=form.name, reason=refusal.reason, ours=True)
            self.unconfigured[form.name] = refusal.reason
            return _UNCONFIGURED
        if self._failures.seconds_to_wait(client_of(scope)):
            return _error(401, refusal.reason, _CLOSE)
        log.warning("submission.refused", form=form.name, reason=refusal.reason, ours=False)
        return _error(401, refusal.reason)

    def _url(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """The address the sender called, byte for byte: some signatures cover it."""
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        path = raw.decode("latin-1")
        query: bytes = scope["query_string"]
        if query:
            path = f"{path}?{query.decode('latin-1')}"
        if self._public_url:
            return self._public_url + path
        return f"{scope['scheme']}://{headers.get('host', '')}{path}"


def _headers(scope: Scope) -> dict[str, str]:
    """The headers by lower-case name; one sent twice is joined with a comma, as RFC 9110 reads it."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def _body_in_time(receive: Receive, form: Form, held: Held) -> bytes | _Answer | None:
    """The body, or 503 for a sender that dribbles. `asyncio.timeout` in short: that alone would cost 5 µs a request."""
    task = asyncio.current_task()
    assert task is not None
    late = asyncio.get_running_loop().call_later(BODY_SECONDS, task.cancel, _TOO_SLOW)
    try:
        return await _body(receive, held)
    except asyncio.CancelledError as error:
        if error.args != (_TOO_SLOW,):
            raise
        task.uncancel()
        log.warning("submission.incomplete", form=form.name)
        return _SLOW
    finally:
        late.cancel()


async def _body(receive: Receive, held: Held) -> bytes | _Answer | None:
    """The body; 413 as soon as it is too large, 503 where there is no room; None where the sender hung up before its end."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message: Mapping[str, Any] = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            return _TOO_LARGE
        if not held.add(len(chunk)):
            log.error("web.full", held=ROOM_BYTES)
            return _FULL
        if not message.get("more_body", False):
            return b"".join((*chunks, chunk)) if chunks else chunk
        chunks.append(chunk)


def _welcome(welcome: Welcome) -> _Answer:
    more = [(name.encode(), value.encode("latin-1")) for name, value in welcome.headers.items()]
    return _Answer(200, welcome.body, *more, content_type=welcome.content_type.encode())


def _ready(form: Form) -> _Answer:
    return _Answer(200, json.dumps({"status": "ready", "form": form.name}).encode())
