"""Who has fallen silent? A walk over the records of the last weeks, and one alert for each form and source that did.

    survey   the whole walk at once, for `sources audit`
    Watch    the same a moment at a time, for the scheduled task: walk, judge at the end, tell, rest, walk again

What silence is decides `core.arrivals`. Any number of processes may watch: each silence has a name, the last lead before
it, and what was told under that name is not told again. Where a walk stands lives in the process; after a restart it
begins again, and costs a second of reading for each 20,000 leads or so.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from speed_to_lead.core.arrivals import Arrivals, Silence
from speed_to_lead.core.clock import to_iso, to_ms
from speed_to_lead.core.lead import Alert, AlertKind, Lead
from speed_to_lead.core.retention import Retention
from speed_to_lead.core.sla import format_duration
from speed_to_lead.store import Health, Result
from speed_to_lead.workplace import API_FORM, Workplace

log = structlog.get_logger()

#: Records in one page: a few milliseconds of the server's time.
PAGE = 200
#: Four weeks to compare a silence with, before a silence of a week or two.
LEAST_WINDOW = timedelta(days=42)
#: `sources audit` looks so far back: whoever asks once a quarter must still hear of a form that fell silent after the last time.
AUDIT_WINDOW = timedelta(days=400)
#: After a walk the next one begins so much later: a silence is hours long before it is one.
REST_SECONDS = 900.0
#: While something waits to be routed for longer than this, nobody is called silent: their leads may be what waits.
BACKLOG_SECONDS = 60.0


def survey(place: Workplace, since: datetime, now: datetime) -> Arrivals:
    """What the records say. Words and shares are of submissions since then; silences and last times go back AUDIT_WINDOW, or twice as far."""
    arrivals = _empty(place, since)
    for _ in _walk(place, arrivals, min(_from(since, now), now - AUDIT_WINDOW)):
        pass
    return arrivals


def kept_for(retention: Retention) -> timedelta | None:
    """After how long records of leads may be gone; None where they stay."""
    ages = [age for age in (retention.answered, retention.closed) if age is not None]
    return min(ages, default=None)


@dataclass
class Watch:
    """One process's watch over forms and sources."""

    place: Workplace
    _arrivals: Arrivals | None = None
    _walking: Iterator[None] | None = None
    _rests_until: float = 0.0

    def tick(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Walk on for so long; at the end of the walk tell who is silent, and rest. Raises StoreUnavailable."""
        started = monotonic()
        if self._walking is None:
            if started < self._rests_until:
                return
            now = self.place.store.now()
            since = now - self.place.config.audit.quiet_after
            self._arrivals = _empty(self.place, since)
            self._walking = _walk(self.place, self._arrivals, _from(since, now))
        assert self._arrivals is not None
        walking, arrivals = self._walking, self._arrivals
        self._walking = None  # a walk that the store interrupts begins again
        for _ in walking:
            if monotonic() - started >= seconds:
                self._walking = walking
                return
        self._rests_until = monotonic() + REST_SECONDS
        self._tell(arrivals)

    def _tell(self, arrivals: Arrivals) -> None:
        place = self.place
        terms, kept = place.config.audit, kept_for(place.config.retention)
        if _is_behind(place.store.operations.health()):
            return
        now = place.store.now()
        for silence in arrivals.silences(now, terms.silent_at, kept):
            self._raise(AlertKind.FORM_SILENT, silence.form, silence.since, _form_in_words(silence), now)
        if kept is not None and kept < terms.quiet_after:
            return  # its last leads may have been removed
        for name, last_at in arrivals.quiet_sources(now, terms.quiet_after):
            if last_at is not None:  # one that nobody has used yet is no news
                words = (
                    f'Source "{name}" has brought no lead since {to_iso(last_at)}, for more than '
                    f"{format_duration(terms.quiet_after)}. `speed-to-lead sources audit` shows all of them."
                )
                self._raise(AlertKind.SOURCE_QUIET, name, last_at, words, now)

    def _raise(self, kind: AlertKind, name: str, since: datetime, words: str, now: datetime) -> None:
        what = kind.value.removeprefix("system.")
        step = f"{what}.{name}.{to_ms(since)}"
        alert = Alert("system", step, self.place.fallback_destination, kind, now, note=words)
        # Until its last lead is out of sight: from then on it is not found again.
        once_in = now - _from(now - self.place.config.audit.quiet_after, now) + timedelta(days=1)
        if self.place.store.audit.tell_once(step, what, alert, once_in) is Result.APPLIED:
            log.warning("arrivals.silence", what=what, name=name, since=to_iso(since))


def _empty(place: Workplace, since: datetime) -> Arrivals:
    forms = {**place.config.forms, API_FORM.name: API_FORM}
    return Arrivals(since, place.config.rulebook.taxonomy, forms)


def _from(since: datetime, now: datetime) -> datetime:
    """Where a walk begins: twice as far back, so that who went quiet is known to have been there."""
    return min(since - (now - since), now - LEAST_WINDOW)


def _walk(place: Workplace, arrivals: Arrivals, since: datetime) -> Iterator[None]:
    """Note every lead since then; gives a chance to stop after each page."""
    cursor: str | None = None
    while True:
        page, cursor = place.store.leads.received_since(since, PAGE, cursor)
        for lead in page:
            if isinstance(lead, Lead):
                arrivals.note(lead)
            else:
                arrivals.unreadable += 1
        if cursor is None:
            return
        yield


def _is_behind(health: Health) -> bool:
    oldest = max(health.queued_oldest if health.queued else 0, health.patient_oldest if health.patient else 0)
    return oldest > BACKLOG_SECONDS


def _form_in_words(silence: Silence) -> str:
    return (
        f'Form "{silence.form}" has brought nothing since {to_iso(silence.since)}; in the same hours of the weeks before '
        f"at least {silence.expected:,} came. Post one yourself: is the hook still switched on, is its page up?"
    )
