"""A burst of wrong signatures at one form is told to somebody: a wrong secret on our side looks just like it.

Calendly and LinkedIn switch a hook off that goes on refusing, and say nothing (docs/runbook.md). What was answered is counted by the
hooks anyway; here it is looked at now and then, so a request pays nothing for it.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from speed_to_lead.core.clock import to_ms
from speed_to_lead.core.lead import Alert, AlertKind
from speed_to_lead.core.submission import Form
from speed_to_lead.store import Result
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

#: So many wrong signatures or tokens at one form within the window are a burst.
BURST = 10
WINDOW_SECONDS = 600.0
#: A form's burst is told of once in this time, whichever web process saw it.
TOLD_ONCE_IN = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class _Look:
    """How often a form had answered 401 and 200 by then."""

    at: float
    refused: int
    stored: int


@dataclass
class Forgeries:
    """Watches what one web process answers. `answers`: how often it answered what, by form and status."""

    place: Workplace
    answers: Mapping[tuple[str, int], int]
    clock: Callable[[], float] = time.monotonic
    _looks: dict[str, deque[_Look]] = field(default_factory=dict)

    def look(self) -> None:
        """Tell of each form with a burst behind it. Raises StoreUnavailable; the next look tells it then."""
        now = self.clock()
        counted = Counter(self.answers)  # a copy: the loop goes on counting
        for form in self.place.config.forms.values():
            seen = _Look(now, counted[form.name, 401], counted[form.name, 200])
            looks = self._looks.setdefault(form.name, deque([_Look(now, 0, 0)]))
            while len(looks) > 1 and now - looks[1].at >= WINDOW_SECONDS:
                looks.popleft()
            if (refused := seen.refused - looks[0].refused) >= BURST:
                self._tell(form, refused, seen.stored - looks[0].stored)
                looks.clear()
            if not looks or seen.refused != looks[-1].refused or now - looks[-1].at >= WINDOW_SECONDS / 10:
                looks.append(seen)

    def _tell(self, form: Form, refused: int, stored: int) -> None:
        store = self.place.store
        now = store.now()
        alert = Alert(
            "system",
            f"signatures_refused.{form.name}.{to_ms(now)}",
            self.place.fallback_destination,
            AlertKind.SIGNATURES_REFUSED,
            now,
            note=_in_words(form, refused, stored),
        )
        name = f"signatures_refused.{form.name}"
        if store.audit.tell_once(name, "signatures_refused", alert, TOLD_ONCE_IN) is Result.APPLIED:
            log.error("submissions.refused", form=form.name, refused=refused, stored=stored)


def _in_words(form: Form, refused: int, stored: int) -> str:
    proof = "token" if form.auth == "token" else "signature"
    variable = form.token_env if form.auth == "token" else form.secret_env
    beside = f"{stored:,} were genuine" if stored else "none was genuine"
    advice = (
        f"somebody may be guessing; the {proof} of the genuine ones is right."
        if stored
        else f"was the secret changed at the tool? Then set {variable} to the new one (both for a while, separated by a comma) "
        "and restart web. A tool that is refused for long switches its hook off: look there, too."
    )
    return (
        f'{refused:,} deliveries to form "{form.name}" were refused for a wrong {proof} within {WINDOW_SECONDS / 60:.0f} '
        f"minutes, and {beside}: {advice}"
    )
