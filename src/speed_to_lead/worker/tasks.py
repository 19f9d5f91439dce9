"""The tasks: each calls its stage in `flow` and hints at the next one. All decisions are there."""

import gc
import os
import socket
import time
from collections.abc import Callable
from functools import cache, partial, wraps
from typing import Any

import structlog
from celery.signals import beat_init, worker_init, worker_shutdown, worker_shutting_down

from speed_to_lead import flow, privacy
from speed_to_lead.arrivals import Watch
from speed_to_lead.auditor import Auditor
from speed_to_lead.burials import BurialWatch
from speed_to_lead.destinations import LIST_LIMIT, get, new_http_client
from speed_to_lead.logs import set_up_logs
from speed_to_lead.settings import load_settings
from speed_to_lead.store import StoreUnavailable
from speed_to_lead.tracing import set_up_tracing
from speed_to_lead.worker.app import app
from speed_to_lead.worker.couriers import Couriers
from speed_to_lead.worker.deafness import Listener
from speed_to_lead.worker.hints import send_hint
from speed_to_lead.workplace import DESTINATION_SECRETS, LOOKUP_SECRETS, Workplace, open_workplace_or_exit

log = structlog.get_logger()

#: This process as a consumer of the queue.
CONSUMER = f"{socket.gethostname()}:{os.getpid()}"

#: How long one tick of the auditor may keep the clock from its sweeps.
AUDIT_SECONDS = 0.1
#: And one tick of retention, which begins no batch after it.
EXPIRE_SECONDS = 0.1
#: And one tick of the watch over forms and sources, which ends with the page it is at.
ARRIVALS_SECONDS = 0.05
#: And one tick of the watch over dead letters, a thousand of which are read at once.
BURIALS_SECONDS = 0.05
#: How long a stopping courier may finish what it holds. Most attempts take less than a second; one that takes longer
#: is cut off, because platforms kill what has not ended in ten.
STOP_SECONDS = 7.0

#: Objects made and not yet given back before the collector looks among them. A batch is thousands, and none of them
#: needs it; with Python's 700 it looked several times a batch, and found nothing.
GARBAGE = 10_000


def _secrets_needed() -> tuple[str, ...]:
    """The kinds of secrets this process works with: a courier's, a router's."""
    queues = app.amqp.queues.consume_from
    return tuple(
        kind
        for queue, kind in (("deliver", DESTINATION_SECRETS), ("route", LOOKUP_SECRETS))
        if queue in queues
    )


workplace = cache(lambda: open_workplace_or_exit(_secrets_needed))


def task(name: str) -> Callable[[Callable[[Workplace], None]], Any]:
    """A task of that name, on the config that is live when it begins. Where it fails it says so in one line; the next tick tries again.

    Nothing gets out: Celery would log the text of the exception, which may quote a lead.
    """

    def decorate(work: Callable[[Workplace], None]) -> Any:
        @wraps(work)
        def run() -> None:
            try:
                place = workplace()
                place.keep_up()
                work(place)
            except StoreUnavailable as error:
                log.warning("store.away", task=name, error=str(error))
            except Exception:
                log.exception("task.failed", task=name)

        return app.task(name=f"speed_to_lead.{name}")(run)

    return decorate


@task("route")
def route(place: Workplace) -> None:
    """Route what waits in the queue."""
    place.store.operations.hint_taken("route")
    _hint_after(place, flow.route(place, CONSUMER))


@task("route_tick")
def route_tick(place: Workplace) -> None:
    """The same each second, with what dead routers left behind."""
    _hint_after(place, flow.route(place, CONSUMER, reclaim=True))
    flow.beat(place, "router")  # after the work: a stage that fails shows no sign of life


@task("sweep")
def sweep(place: Workplace) -> None:
    """Decide every lead whose instant has come."""

    def between_batches() -> None:
        flow.beat(place, "clock")
        place.keep_up()

    if flow.sweep(place, between_batches).has_alerts:
        send_hint(app, place.store, "deliver")
    flow.beat(place, "clock")


@task("deliver")
def deliver(place: Workplace) -> None:
    """Send couriers to the destinations that have something due."""
    place.store.operations.hint_taken("deliver")
    couriers().send(flow.destinations_due(place))
    flow.beat(place, "courier")


@task("fetch")
def fetch(place: Workplace) -> None:
    """Route what has waited long enough for its form tool's answer, and send askers to the tools that are due."""
    flow.route_overdue(place)
    askers().send(flow.fetches_due(place))


@cache
def askers() -> Couriers:
    """This process's askers of form tools: a few for each form, so that a slow tool holds up nobody else's leads."""
    ask = partial(get, new_http_client())

    def work(form: str, go_on: Callable[[], bool]) -> None:
        if flow.fetch(workplace(), form, ask, os.environ, go_on):
            send_hint(app, workplace().store, "route")

    return Couriers(work)


@task("reconcile")
def reconcile(place: Workplace) -> None:
    """Compare the lists of form tools with what arrived, those of forms whose night it is."""
    comparers().send(flow.reconciliations_due(place))


@cache
def comparers() -> Couriers:
    """This process's comparers: one for each form whose list is being read."""
    ask = partial(get, new_http_client(), limit=LIST_LIMIT)

    def work(form: str, go_on: Callable[[], bool]) -> None:
        if flow.reconcile_tonight(workplace(), form, ask, os.environ, go_on):
            send_hint(app, workplace().store, "route")

    return Couriers(work)


@task("audit")
def audit(place: Workplace) -> None:
    """Let the auditor walk on for a moment. It has no process of its own: it sleeps most of the time."""
    auditor().tick(AUDIT_SECONDS)
    flow.beat(place, "auditor")


@cache
def auditor() -> Auditor:
    """This process's auditor; it knows where its rounds stand."""
    return Auditor(workplace())


@task("expire")
def expire(place: Workplace) -> None:
    """Remove what has been kept as long as config says, as much as fits into a moment."""
    retention = place.config.retention
    started = time.monotonic()
    while not retention.keeps_everything and time.monotonic() - started < EXPIRE_SECONDS:
        expired = privacy.expire(place, retention, _expire_cursor[0])
        _expire_cursor[0] = expired.cursor
        if not expired.cursor:  # a whole round is done
            break


_expire_cursor = [0]  # where this process's round of retention stands


@task("arrivals")
def arrivals(_: Workplace) -> None:
    """Let the watch over forms and sources walk on for a moment: has any of them fallen silent?"""
    arrivals_watch().tick(ARRIVALS_SECONDS)


@cache
def arrivals_watch() -> Watch:
    """This process's watch; it knows where its walk stands."""
    return Watch(workplace())


@task("burials")
def burials(_: Workplace) -> None:
    """Tell of submissions that could not be read: one alert for each form and kind of error."""
    burial_watch().tick(BURIALS_SECONDS)


@cache
def burial_watch() -> BurialWatch:
    """This process's watch; it knows what it has counted."""
    return BurialWatch(workplace())


@cache
def couriers() -> Couriers:
    """This process's couriers."""
    return Couriers(lambda destination, go_on: flow.deliver(workplace(), destination, go_on))


@worker_init.connect  # type: ignore[untyped-decorator]
def _check_before_work(sender: Any = None, **_: Any) -> None:
    """Refuse at once, in one sentence, what would make every task fail."""
    settings = load_settings()
    set_up_logs(settings.log_level, settings.log_format)  # Celery sets its own up only after this
    set_up_tracing(str(getattr(sender, "hostname", "") or "worker").partition("@")[0])
    workplace()
    gc.collect()
    gc.freeze()  # what is loaded now stays: the collector need not walk it again and again
    gc.set_threshold(GARBAGE)
    listener().start()


@beat_init.connect  # type: ignore[untyped-decorator]
def _watch_the_beat(**_: Any) -> None:
    Listener(app, "beat").start()


@cache
def listener() -> Listener:
    """Ends this worker where it takes nothing any more; its couriers get a moment for what they hold."""
    return Listener(app, "worker", _stop_couriers)


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _take_no_more(**_: Any) -> None:
    listener().stop()
    for threads in (couriers, askers, comparers):
        if threads.cache_info().currsize:
            threads().take_no_more()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _finish_deliveries(**_: Any) -> None:
    _stop_couriers(STOP_SECONDS)


def _stop_couriers(seconds: float) -> None:
    for asking in (askers, comparers):  # what is asked may be asked again: it gets no time of its own
        if asking.cache_info().currsize:
            asking().take_no_more()
    if couriers.cache_info().currsize:
        couriers().stop(seconds)


def _hint_after(place: Workplace, routed: flow.Routed) -> None:
    if routed.is_full:
        send_hint(app, place.store, "route")
    if routed.has_alerts:
        send_hint(app, place.store, "deliver")
    if place.shadow is not None:  # when all that matters is done
        place.shadow.work()
