"""Asks look-ups whose leads are: all of a batch at once, and no longer than the look-up's timeout.

A router waits for the answers, so nothing here may hold it: one deadline ends whatever the network does, the questions
run on a thread of their own that is not waited for where even that does not help (a resolver that hangs cannot be
interrupted), and a system that is down is not asked for a while.
"""

import asyncio
import os
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, NamedTuple

import httpx
import structlog

from speed_to_lead import __version__
from speed_to_lead.core.lookup import LookedUp, Lookup, Question, answer_of

log = structlog.get_logger()

#: So many questions are on their way at once; the rest of a batch waits for them, within the same timeout.
LIMITS: Final = httpx.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=30.0)
#: An owner is a small JSON object; more is not read.
BODY_LIMIT: Final = 64 * 1024
#: After so many failures with no answer between them a look-up is not asked for so long, and then tried again.
FAILURES: Final = 3
PAUSE_SECONDS: Final = 30.0
#: By these the other system fails, or our token does, whoever is asked about; and by everything from 500 on.
_FAILED: Final = frozenset(
    (
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
    )
)
#: The thread has so long beyond the timeout to say that it is over.
_GRACE: Final = 0.05
_END_SECONDS: Final = 2.0


class _Outcome(NamedTuple):
    said: LookedUp
    failed: bool = False


@dataclass(slots=True)
class _Failures:
    """Those of one look-up since its last answer. From FAILURES on it is not asked before `until`, by the monotonic clock."""

    count: int = 0
    until: float = 0.0


@dataclass
class Lookups:
    """Asks, from one process. Tokens are taken from the environment. Costs nothing before the first question."""

    environment: Mapping[str, str]
    _thread: "_Thread | None" = None
    _failures: dict[Lookup, _Failures] = field(default_factory=dict)

    def ask(self, questions: Collection[Question]) -> dict[Question, LookedUp]:
        """What was answered to each, or why nothing was. Takes the longest timeout among them at most; raises nothing."""
        answers = {one: self._refusal(one.lookup) for one in questions}
        asked = [one for one, refusal in answers.items() if refusal is None]
        outcomes = self._outcomes(asked) if asked else {}
        for lookup in {one.lookup for one in asked}:
            self._count(lookup, [outcomes[one] for one in asked if one.lookup == lookup])
        return {one: refusal or outcomes[one].said for one, refusal in answers.items()}

    def close(self) -> None:
        """Let go of the connections; the next question makes new ones."""
        if self._thread is not None and self._thread.is_mine:
            self._thread.end()
        self._thread = None

    def _refusal(self, lookup: Lookup) -> LookedUp | None:
        """Why it is not asked now; None where it is."""
        if lookup.token_env and not self.environment.get(lookup.token_env, "").strip():
            return LookedUp(lookup.name, problem=f"not asked, for {lookup.token_env} is not set")
        known = self._failures.get(lookup)
        if known is not None and time.monotonic() < known.until:
            why = f"not asked, for it failed {known.count} times in a row; every {PAUSE_SECONDS:.0f}s it is tried"
            return LookedUp(lookup.name, problem=why)
        return None

    def _outcomes(self, questions: list[Question]) -> dict[Question, _Outcome]:
        if self._thread is None or not self._thread.is_mine:
            self._thread = _Thread()
        outcomes: dict[Question, _Outcome] = {}
        seconds = max(one.lookup.timeout for one in questions).total_seconds()
        tokens = {one.lookup: self.environment.get(one.lookup.token_env, "").strip() for one in questions}
        future = asyncio.run_coroutine_threadsafe(
            _ask_all(self._thread.http, questions, tokens, outcomes), self._thread.loop
        )
        with suppress(TimeoutError):
            future.result(seconds + _GRACE)
        future.cancel()
        # Not those in `outcomes` itself: whatever comes from now on comes too late.
        return {one: outcomes.get(one) or _late(one.lookup) for one in questions}

    def _count(self, lookup: Lookup, outcomes: list[_Outcome]) -> None:
        """Note whether it is there: one answer says so, whatever the other questions came to."""
        failed = [one for one in outcomes if one.failed]
        if len(failed) < len(outcomes):
            if self._failures.pop(lookup, None) is not None:
                log.info("lookup.back", lookup=lookup.name)
            return
        known = self._failures.setdefault(lookup, _Failures())
        known.count += len(failed)
        if known.count >= FAILURES:
            known.until = time.monotonic() + PAUSE_SECONDS
            log.warning(
                "lookup.paused",
                lookup=lookup.name,
                failures=known.count,
                seconds=PAUSE_SECONDS,
                last=failed[-1].said.problem,
            )


class _Thread:
    """A thread with the loop and the connections of all questions, so that connections stay from batch to batch."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self.http = httpx.AsyncClient(
            limits=LIMITS,
            timeout=None,  # noqa: S113 - the deadline of `_ask` ends every step
            follow_redirects=False,
            headers={
                "User-Agent": f"speed-to-lead/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        self._runs = threading.Thread(target=self.loop.run_forever, name="look-ups", daemon=True)
        self._runs.start()

    def end(self) -> None:
        """Close everything, where the thread is not held by something; then that is left to the end of the process."""
        closing = asyncio.run_coroutine_threadsafe(self.http.aclose(), self.loop)
        with suppress(TimeoutError):
            closing.result(_END_SECONDS)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._runs.join(_END_SECONDS)
            self.loop.close()

    @property
    def is_mine(self) -> bool:
        """Whether it runs in this process: a fork takes no threads along."""
        return self._pid == os.getpid()


async def _ask_all(
    http: httpx.AsyncClient,
    questions: list[Question],
    tokens: Mapping[Lookup, str],
    outcomes: dict[Question, _Outcome],
) -> None:
    async def ask(question: Question) -> None:
        outcomes[question] = await _ask(http, question, tokens[question.lookup])

    await asyncio.gather(*map(ask, questions))


async def _ask(http: httpx.AsyncClient, question: Question, token: str) -> _Outcome:
    """What one question comes to. What is told of a failure holds neither address nor answer."""
    lookup = question.lookup
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with (
            asyncio.timeout(lookup.timeout.total_seconds()),
            http.stream("GET", question.address, headers=headers) as response,
        ):
            status = response.status_code
            if status != HTTPStatus.OK:
                why = f"answered {status}{', and redirects are not followed' if response.has_redirect_location else ''}"
                is_failure = status in _FAILED or status >= HTTPStatus.INTERNAL_SERVER_ERROR
                return _Outcome(LookedUp(lookup.name, problem=why), is_failure)
            body = bytearray()
            async for piece in response.aiter_raw():  # raw: what was packed well is a thousand times as large
                body += piece
                if len(body) > BODY_LIMIT:
                    why = f"its answer is larger than {BODY_LIMIT // 1024} KiB"
                    return _Outcome(LookedUp(lookup.name, problem=why))
            return _Outcome(answer_of(lookup, bytes(body)))
    except TimeoutError:
        return _late(lookup)
    except Exception as error:  # noqa: BLE001  one look-up is no reason for a batch to wait
        return _Outcome(
            LookedUp(lookup.name, problem=f"it cannot be reached ({type(error).__name__})"), failed=True
        )


def _late(lookup: Lookup) -> _Outcome:
    wait = lookup.timeout.total_seconds()
    return _Outcome(LookedUp(lookup.name, problem=f"no answer within {wait:g}s"), failed=True)
