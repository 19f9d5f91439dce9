"""The web application: hooks to the bare route, everything else through the guard to FastAPI."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from speed_to_lead import __version__, flow
from speed_to_lead.settings import Settings
from speed_to_lead.store import StoreUnavailable
from speed_to_lead.store.intake import Intake
from speed_to_lead.web.answers import add_answers
from speed_to_lead.web.api import v1
from speed_to_lead.web.errors import add_error_answers, error_answer
from speed_to_lead.web.failures import Failures
from speed_to_lead.web.forgeries import Forgeries
from speed_to_lead.web.guard import Guard
from speed_to_lead.web.hints import Hinter
from speed_to_lead.web.hooks import Hooks, is_hook
from speed_to_lead.web.metrics import metrics
from speed_to_lead.web.reference import reference_page
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

READY_SECONDS = 2.0
BEAT_SECONDS = 2.0
#: How often it is looked whether a form refuses what is sent to it.
FORGERY_SECONDS = 2.0
#: A config that was published is taken within so long.
KEEP_UP_SECONDS = 0.5


class Web:
    """The ASGI application: what is below /hooks/ to the hooks, all else through the guard."""

    def __init__(self, hooks: Hooks, guarded: ASGIApp) -> None:
        self._hooks = hooks
        self._guarded = guarded
        self.take = hooks.take  # the way past ASGI, for a server that knows it (web/protocol.py)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or take part in starting and stopping."""
        to_hooks = scope["type"] == "http" and is_hook(scope["path"])
        await (self._hooks if to_hooks else self._guarded)(scope, receive, send)


def create_app(
    place: Workplace,
    settings: Settings,
    intake: Intake,
    hint: Callable[[], None] | None,
    environment: Mapping[str, str] = os.environ,
) -> Web:
    """The application. It owns `intake` and closes it when the server shuts down.

    `hint` tells the router, in a thread of its own, that submissions wait; None where nobody wants to know.
    `environment` holds the secrets of the forms.
    """
    hinter = Hinter(hint)
    failures = Failures()
    is_https = settings.public_url.startswith("https://")
    intake.tell_router = hinter.nudge if hint is not None else None
    hooks = Hooks(place, intake, settings.public_url, environment, failures)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        beside = (
            asyncio.create_task(_give_signs_of_life(place)),
            asyncio.create_task(_keep_up(place)),
            asyncio.create_task(_watch_for_forgeries(Forgeries(place, hooks.answers, hooks.unconfigured))),
        )
        yield
        for task in beside:
            task.cancel()
        hinter.stop()
        await intake.close()

    pages = FastAPI(
        title="speed-to-lead",
        version=__version__,
        summary="No sales lead waits longer than it should.",
        docs_url=None,  # both pages of FastAPI's load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    add_error_answers(pages)
    pages.include_router(v1(place, intake))
    add_answers(pages, place, settings)
    pages.add_route("/", _front)
    pages.add_route("/docs", reference_page(pages))
    pages.add_route("/healthz", _alive)
    pages.add_route("/readyz", _ready(intake))
    pages.add_route("/metrics", metrics(place, hooks.answers))
    guarded = Guard(pages, settings.keys, failures, is_https=is_https)
    return Web(hooks, guarded)


async def _give_signs_of_life(place: Workplace) -> None:
    """Beat until cancelled; a store that is away hears nothing, which is what the watchdog looks for."""
    while True:
        with suppress(StoreUnavailable):
            await run_in_threadpool(flow.beat, place, "web")
        await asyncio.sleep(BEAT_SECONDS)


async def _keep_up(place: Workplace) -> None:
    """Take what is published, until cancelled. Loading it takes a thread's time, not the loop's."""
    while True:
        with suppress(StoreUnavailable):
            await run_in_threadpool(place.keep_up)
        await asyncio.sleep(KEEP_UP_SECONDS)


async def _watch_for_forgeries(watch: Forgeries) -> None:
    """Look for bursts of wrong signatures, until cancelled."""
    while True:
        await asyncio.sleep(FORGERY_SECONDS)
        with suppress(StoreUnavailable):
            await run_in_threadpool(watch.look)


def _front(_request: Request) -> Response:
    return PlainTextResponse(
        f"speed-to-lead {__version__}\n\n"
        "form tools post to  /hooks/{form}\n"
        "programs use        /v1  (described at /docs)\n"
        "is it alive, ready  /healthz  /readyz\n"
        "for Prometheus      /metrics  (docs/observability)\n"
    )


async def _alive(_request: Request) -> Response:
    """The process answers; says nothing about the server."""
    return JSONResponse({"status": "alive"})


def _ready(intake: Intake) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def ready(_request: Request) -> Response:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await intake.ping()
        except (StoreUnavailable, TimeoutError) as error:
            why = str(error) or "no answer in time"
            log.warning("web.not_ready", error=why)
            sentence = (
                f"the server that keeps the leads cannot be written to, or too few replicas follow it: {why}"
            )
            return error_answer(503, sentence, retry_after="5")
        return JSONResponse({"status": "ready"})

    return ready
