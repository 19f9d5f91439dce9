"""Every night the list of each form's tool is compared with what arrived, from where the last comparison ended.

Whose night it is stands in the store, and so does how far each list was compared: a beat that stands still, two beats, a
process that dies in the middle leave nothing out. A night that fails is tried again from where it was.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.flow.fetches import Get
from speed_to_lead.flow.reconciling import Compared, NoList, Wait, reconcile, tell_once
from speed_to_lead.store import Result
from speed_to_lead.store.contract import Reconciliation
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

#: Every night from this hour on (UTC), each form at a minute of its own.
NIGHT = 2
SPREAD_MINUTES = 120
#: What a night begins before the end of the last one: lists are not always up to date with themselves.
OVERLAP = timedelta(hours=6)
#: The first night of a form looks so far back.
FIRST_NIGHT = timedelta(days=2)
#: Whoever compares has the form for so long, and stops in time. Were it compared twice at once, no harm is done.
LEASE = timedelta(minutes=30)
STOP_AFTER = timedelta(minutes=25)
#: After a night that failed; from the last on, always that.
AGAIN_AFTER = tuple(timedelta(minutes=minutes) for minutes in (15, 30, 60, 120, 240))
#: Somebody is told after so many failures in a row: that is nearly two hours after the first.
TELL_FAILURES_FROM = 4


def reconciliations_due(place: Workplace) -> dict[str, int]:
    """Forms whose list is to be compared now, each with the one who is to do it. A form that is new has its night to come."""
    now = place.store.now()
    asked = [name for name, form in place.config.forms.items() if form.api_forms]
    noted = place.store.reconciliations.of(asked)
    for name in asked:
        if name not in noted:
            place.store.reconciliations.note(
                None, Reconciliation(name, now - FIRST_NIGHT, _night_after(name, now))
            )
    return {name: 1 for name, one in noted.items() if one.next_at <= now}


def reconcile_tonight(
    place: Workplace, form_name: str, get: Get, environment: Mapping[str, str], go_on: Callable[[], bool]
) -> int:
    """Compare a form's list since it last was; how many went into the queue. Of several who try, one does it.

    1 claim the form, 2 compare, 3 write how far. Where it fails it is tried again soon, from where it was.
    """
    store, now = place.store, place.store.now()
    form, noted = place.form(form_name), place.store.reconciliations.of([form_name]).get(form_name)
    if form is None or noted is None or noted.next_at > now:
        return 0
    claimed = replace(noted, next_at=now + LEASE, attempts=noted.attempts + 1)
    if store.reconciliations.note(noted, claimed) is not Result.APPLIED:
        return 0
    try:
        compared = reconcile(place, form, noted.since, get, environment, _patience(go_on))
    except NoList as problem:
        compared = Compared(form_name, noted.since, now, problem=str(problem))
        log.warning("reconcile.broken_off", form=form_name, reason=str(problem))
    if compared.problem:
        pause = AGAIN_AFTER[min(claimed.attempts, len(AGAIN_AFTER)) - 1]
        store.reconciliations.note(claimed, replace(claimed, next_at=store.now() + pause))
        if claimed.attempts >= TELL_FAILURES_FROM:
            _tell_failures(place, claimed, compared.problem)
    else:
        done = Reconciliation(form_name, compared.until - OVERLAP, _night_after(form_name, now))
        store.reconciliations.note(claimed, done)
    return compared.taken_in + compared.unreadable


def _tell_failures(place: Workplace, claimed: Reconciliation, problem: str) -> None:
    words = (
        f'The list of form "{claimed.form}" could not be compared with what arrived, {claimed.attempts} times in a row: '
        f"{problem}. What was sent since {to_iso(claimed.since)} and never came is not known. It is tried again; "
        f"`speed-to-lead intake reconcile {claimed.form}` tries it now."
    )
    step = f"reconcile_failed.{claimed.form}"
    tell_once(place, AlertKind.NEEDS_ATTENTION, step, "reconcile_failed", words)


def _patience(go_on: Callable[[], bool]) -> Wait:
    """Waits for as long as the process goes on, and not beyond what one claim allows for."""
    ends_at = time.monotonic() + STOP_AFTER.total_seconds()

    def wait(pause: timedelta) -> bool:
        until = time.monotonic() + pause.total_seconds()
        while go_on() and time.monotonic() < min(until, ends_at):
            time.sleep(0.1)
        return go_on() and time.monotonic() < ends_at

    return wait


def _night_after(form: str, now: datetime) -> datetime:
    """The next time after now: at night, each form at a minute of its own."""
    minute = int.from_bytes(hashlib.blake2b(form.encode(), digest_size=4).digest()) % SPREAD_MINUTES
    tonight = now.replace(hour=NIGHT, minute=0, second=0, microsecond=0) + timedelta(minutes=minute)
    return tonight if tonight > now else tonight + timedelta(days=1)
