"""Wrong signatures at one form are told to somebody: those of a wrong secret on our side, and those of somebody who guesses.

So is a form that takes nothing at all, because its secret is not set here.

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

#: So many wrong signatures or tokens in a row, and none genuine between them, look like a wrong secret. They may be hours
#: apart: a form of three deliveries a day loses its hook as well.
IN_A_ROW = 5
#: So long a genuine one may be on its way: a scanner's burst is over in a second, and whoever fills in the form comes later.
ROW_LASTS_SECONDS = 30.0
#: So many within the window with genuine ones after them are somebody's attempts.
BURST = 10
WINDOW_SECONDS = 600.0
#: Each of the two is told of once in this time, whichever web process saw it: a scanner must not hide a wrong secret.
TOLD_ONCE_IN = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class _Look:
    """How often a form had answered 401 and 200 by then."""

    at: float
    refused: int
    stored: int


@dataclass
class _Seen:
    """Of one form: looks within the window; the last genuine one, the first refusal since, and how many of them were told."""

    looks: deque[_Look]
    genuine: _Look
    row_began_at: float | None = None
    told: int = 0


@dataclass
class Forgeries:
    """Watches what one web process answers. `answers`: how often it answered what, by form and status.

    `unconfigured`: why a form took nothing since the last look that told of it; emptied here.
    """

    place: Workplace
    answers: Mapping[tuple[str, int], int]
    unconfigured: dict[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def look(self) -> None:
        """Tell of each form that refuses too much. Raises StoreUnavailable; the next look tells it then."""
        now = self.clock()
        counted = Counter(self.answers)  # a copy: the loop goes on counting
        for form in self.place.config.forms.values():
            if reason := self.unconfigured.get(form.name):
                self._tell(form, f"signatures_unset.{form.name}", _unset_in_words(form, reason))
                self.unconfigured.pop(form.name, None)  # after it is told: the store may be away
            look = _Look(now, counted[form.name, 401], counted[form.name, 200])
            nothing = _Look(now, 0, 0)
            seen = self._seen.setdefault(form.name, _Seen(deque([nothing]), nothing))
            self._look_at_row(form, seen, look)
            self._look_at_window(form, seen, look)

    def _look_at_row(self, form: Form, seen: _Seen, look: _Look) -> None:
        """Refusals since the last genuine one."""
        if look.stored != seen.genuine.stored:
            seen.genuine, seen.row_began_at = look, None
        elif look.refused > seen.genuine.refused and seen.row_began_at is None:
            seen.row_began_at = look.at
        refused = look.refused - max(seen.genuine.refused, seen.told)
        if (
            refused >= IN_A_ROW
            and seen.row_began_at is not None
            and look.at - seen.row_began_at >= ROW_LASTS_SECONDS
        ):
            self._tell(form, f"signatures_refused.{form.name}", _row_in_words(form, refused))
            seen.told = look.refused

    def _look_at_window(self, form: Form, seen: _Seen, look: _Look) -> None:
        """Refusals within the window that a genuine one came after."""
        looks = seen.looks
        while len(looks) > 1 and look.at - looks[1].at >= WINDOW_SECONDS:
            looks.popleft()
        refused, stored = seen.genuine.refused - looks[0].refused, look.stored - looks[0].stored
        if refused >= BURST and stored:
            self._tell(form, f"signatures_guessed.{form.name}", _burst_in_words(form, refused, stored))
            looks.clear()
        if not looks or look.refused != looks[-1].refused or look.at - looks[-1].at >= WINDOW_SECONDS / 10:
            looks.append(look)

    def _tell(self, form: Form, name: str, words: str) -> None:
        store = self.place.store
        now = store.now()
        alert = Alert(
            "system",
            f"{name}.{to_ms(now)}",
            self.place.fallback_destination,
            AlertKind.SIGNATURES_REFUSED,
            now,
            note=words,
        )
        if store.audit.tell_once(name, "signatures_refused", alert, TOLD_ONCE_IN) is Result.APPLIED:
            log.error("submissions.refused", form=form.name, told=name.partition(".")[0])


def _unset_in_words(form: Form, reason: str) -> str:
    proof, variable = _proof(form)
    value = "the tool's token" if proof == "token" else "the secret with which the tool signs"
    return (
        f'form "{form.name}" takes nothing; every delivery is answered 503 ({reason}). Set {variable} to {value} '
        "in web's environment, restart web, and see at the tool whether it sends again what it has tried: most do so "
        "for some hours only."
    )


def _proof(form: Form) -> tuple[str, str | None]:
    return ("token", form.token_env) if form.auth == "token" else ("signature", form.secret_env)


def _row_in_words(form: Form, refused: int) -> str:
    proof, variable = _proof(form)
    return (
        f'{refused:,} deliveries in a row to form "{form.name}" were refused for a wrong {proof}, and none was genuine: was the '
        f"secret changed at the tool? Then set {variable} to the new one (both for a while, separated by a comma) and restart "
        "web. A tool that is refused for long switches its hook off: look there, too."
    )


def _burst_in_words(form: Form, refused: int, stored: int) -> str:
    proof, _ = _proof(form)
    return (
        f'{refused:,} deliveries to form "{form.name}" were refused for a wrong {proof} within {WINDOW_SECONDS / 60:.0f} '
        f"minutes, and {stored:,} beside them were genuine: somebody may be guessing; the {proof} of the genuine ones is right."
    )
