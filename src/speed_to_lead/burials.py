"""Submissions that could not be read are told of: one alert for each form and kind of error, with their number.

Each dead letter may be somebody who waits, so even one is told; a flood of one error is one alert, and those that come after it
are counted and told an hour later. Told when it is quiet again, or has lasted a minute, so that the number means something.

Any number of processes may watch: what was told lately is known in the store. What is being counted lives in the process.
"""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from speed_to_lead.core.clock import to_ms
from speed_to_lead.core.lead import Alert, AlertKind
from speed_to_lead.core.submission import FIELDS_GIVEN
from speed_to_lead.store import Result
from speed_to_lead.store.contract import Burial
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

#: A kind is told when none came for so long, or when the first is so old.
QUIET = timedelta(seconds=10)
AT_LATEST = timedelta(minutes=1)
#: And then not again for so long; meanwhile they are counted.
TOLD_ONCE_IN = timedelta(hours=1)
#: Where another process told it, it is asked again after so long whether that holds still.
ASKED_AGAIN = timedelta(minutes=1)
#: A letter is written up to so long after the instant it bears, so the last ones are looked at again.
OVERLAP = timedelta(seconds=30)
#: A process that starts looks so far back: what was buried while nobody watched is told, too.
LOOK_BACK = timedelta(minutes=5)
#: Kinds counted at once; of more, the rest is one kind: nobody reads two hundred alerts.
MOST_KINDS = 20
_DIGITS = re.compile(r"\d+")
_UNKNOWN_FORM = "it names a form that intake.toml does not have"


@dataclass
class _Kind:
    """One form's letters with one error: how many were not told yet."""

    form: str
    error: str
    first: Burial
    count: int = 0
    last_at: datetime | None = None
    ask_at: datetime | None = None
    was_here: bool = False  # before this process began to watch: another may have told it


@dataclass
class BurialWatch:
    """One process's watch over the dead letters."""

    place: Workplace
    _since: datetime | None = None
    _seen: dict[str, datetime] = field(default_factory=dict)
    _kinds: dict[str, _Kind] = field(default_factory=dict)

    def tick(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Count what was buried since the last tick, for so long, and tell what is to be told. Raises StoreUnavailable."""
        ends_at = monotonic() + seconds
        now = self.place.store.now()
        is_first = self._since is None
        since = self._since if self._since is not None else now - LOOK_BACK
        while fresh := self.place.store.queue.buried_since(since, self._seen):
            for burial in fresh:
                self._note(burial, was_here=is_first)
            if monotonic() >= ends_at:
                break
        else:
            since = max(since, now - OVERLAP)
            self._seen = {name: at for name, at in self._seen.items() if at >= since}
        self._since = since
        for name, kind in list(self._kinds.items()):
            if self._is_ripe(kind, now):
                self._tell(name, kind, now)

    def _note(self, burial: Burial, *, was_here: bool) -> None:
        self._seen[burial.submission_id] = burial.at
        is_known = self.place.form(burial.form) is not None
        form, error = (burial.form, burial.error) if is_known else ("", _UNKNOWN_FORM)
        name = _name_of(form, error)
        if name not in self._kinds and len(self._kinds) >= MOST_KINDS:
            form, error = "", "errors of many kinds"
            name = _name_of(form, error)
        kind = self._kinds.setdefault(name, _Kind(form, error, burial, was_here=was_here))
        kind.count += 1
        kind.last_at = max(kind.last_at or burial.at, burial.at)

    def _is_ripe(self, kind: _Kind, now: datetime) -> bool:
        if kind.ask_at is not None and now < kind.ask_at:
            return False
        return now - (kind.last_at or now) >= QUIET or now - kind.first.at >= AT_LATEST

    def _tell(self, name: str, kind: _Kind, now: datetime) -> None:
        alert = Alert(
            "system",
            f"dead_letters.{name}.{to_ms(now)}",
            self.place.fallback_destination,
            AlertKind.DEAD_LETTERS,
            now,
            note=_in_words(kind),
        )
        told = self.place.store.audit.tell_once(f"dead_letters.{name}", "dead_letters", alert, TOLD_ONCE_IN)
        if told is Result.APPLIED:
            log.error("submissions.buried", form=kind.form, count=kind.count)
            del self._kinds[name]
        elif kind.was_here:
            del self._kinds[name]
        else:
            kind.ask_at = now + ASKED_AGAIN


def _name_of(form: str, error: str) -> str:
    """The kind's name: numbers and the sender's words aside, so that one mistake at many places is one kind.

    Else whoever sends junk with other names each time makes an alert of each.
    """
    ours = error.partition(FIELDS_GIVEN)[0]
    return hashlib.blake2b(f"{form}\0{_DIGITS.sub('#', ours)}".encode(), digest_size=6).hexdigest()


def _in_words(kind: _Kind) -> str:
    of_form = f' of form "{kind.form}"' if kind.form else ""
    several = (
        f"{kind.count:,} submissions{of_form} could not be read and are"
        if kind.count > 1
        else f"A submission{of_form} could not be read and is"
    )
    letter = kind.first.submission_id
    first = "The first" if kind.count > 1 else "It"
    return (
        f"{several} kept as dead letter{'s' if kind.count > 1 else ''}: {kind.error}. {first} is {letter}: see `speed-to-lead dead-letters "
        f"show {letter}`, mend the form or its lines in intake.toml, then `speed-to-lead dead-letters replay`. More with this error "
        "are counted, and told again after an hour."
    )
