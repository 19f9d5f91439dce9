"""The shadow: what would a candidate make of the leads that come now? Decided after the live decision is written, and told to nobody.

It takes a router a SHARE of its time and no more: what does not fit is counted as skipped. It assigns nothing, and
whatever goes wrong in it is a difference that is counted, never a lead that waits.
"""

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from math import inf
from typing import Any

import structlog

from speed_to_lead import forms
from speed_to_lead.config import Configuration
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.routing import route_of
from speed_to_lead.core.settlement import Reading
from speed_to_lead.core.shadow import differs_in, lead_in_short, route_in_short
from speed_to_lead.core.submission import Form, UnreadableSubmission
from speed_to_lead.publication import Load
from speed_to_lead.store import Result, StoreUnavailable
from speed_to_lead.store.contract import Shadow

log = structlog.get_logger()

#: So much of a router's time may go into it, over any SAVED_SECONDS / SHARE seconds.
SHARE = 0.05
#: Time that was not used is saved up to this, so that a rush after a quiet minute is decided whole.
SAVED_SECONDS = 0.1
#: A router asks so often whether there is a shadow: what it costs where there is none.
LOOK_EVERY = 1.0
#: Leads that wait for it in one router; those of a whole batch in a flood are a thousand.
WAITING = 1000


@dataclass
class ShadowRouter:
    """Decides by the shadow config, in one router."""

    store: Shadow
    load: Load
    api_form: Form  # of leads that came past all hooks: no config has it
    _looked_at: float = -inf
    _id: str = ""
    _config: Configuration | None = None
    _loading: "_Loading | None" = None
    _saved: float = 0.0
    _counted_at: float = field(default_factory=time.monotonic)
    _waiting: list[tuple[Reading, Lead, str]] = field(default_factory=list)
    _skipped: int = 0

    def note(self, reading: Reading, lead: Lead, team: str) -> None:
        """A lead was admitted: it waits to be decided here too, where there is a shadow. `team`: that of the rule."""
        if self._config is None:
            return
        if len(self._waiting) < WAITING:
            self._waiting.append((reading, lead, team))
        else:
            self._skipped += 1

    def work(self) -> None:
        """Decide those that wait, as far as the time allows. Raises nothing."""
        began = time.monotonic()
        self._saved = min(self._saved + (began - self._counted_at) * SHARE, SAVED_SECONDS)
        self._counted_at = began
        try:
            self._look(began)
            if self._config is not None and (self._waiting or self._skipped):
                self._decide(self._config, began + self._saved)
        except StoreUnavailable as error:
            log.warning("shadow.not_counted", error=str(error))
        except Exception:
            log.exception("shadow.failed")
        self._waiting.clear()
        self._saved -= time.monotonic() - began

    def _decide(self, config: Configuration, until: float) -> None:
        counts: Counter[str] = Counter()
        examples: list[str] = []
        for number, (reading, lead, team) in enumerate(self._waiting):
            if time.monotonic() >= until:
                counts["skipped"] += len(self._waiting) - number
                break
            differs, shadow = _decision(reading, lead, team, config, self.api_form)
            counts.update(["leads", f"beside:{lead.config_digest}", "different" if differs else "same"])
            counts.update(f"in:{name}" for name in differs)
            if differs:
                examples.append(_example(lead, team, differs, shadow))
        counts["skipped"] += self._skipped
        self._skipped = 0
        if self.store.note(self._id, +counts, examples) is Result.STALE:
            self._config, self._looked_at = None, -inf

    def _look(self, now: float) -> None:
        """Is there a shadow, and is it loaded? It is loaded in a thread, and nobody waits for it."""
        if self._loading is not None and self._loading.is_done:
            self._config, self._loading = self._loading.config, None
        if now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        shadow = self.store.current()
        found = shadow.id if shadow is not None else ""
        if found != self._id:
            self._id, self._config = found, None
            self._loading = _Loading(self.store, self.load, found) if found else None


@dataclass
class _Loading:
    """A candidate on its way, in a thread beside the work; `config` stays None where this router cannot use it."""

    store: Shadow
    load: Load
    shadow_id: str
    config: Configuration | None = None

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            texts = self.store.texts(self.shadow_id)
            if texts is not None:
                self.config = self.load(texts, None).config
        except Exception as error:  # noqa: BLE001  a thread's exception is seen by nobody else
            log.error("shadow.refused", why=str(error) or type(error).__name__)  # noqa: TRY400  one line is enough


def _decision(
    reading: Reading, lead: Lead, team: str, config: Configuration, api_form: Form
) -> tuple[list[str], dict[str, Any]]:
    """In what the candidate differs, and what it says."""
    try:
        live_form = reading.form
        assert live_form is not None
        form = live_form if live_form == api_form else config.forms.get(live_form.name)
        if form is None:
            return ["form"], {"error": "it has no such form"}
        parsed = reading.parsed if form == live_form else forms.read(reading.submission, form)
        assert parsed is not None
        route = route_of(parsed.lead, form.name, form.source, reading.submission.received_at, config.rulebook)
        return differs_in(lead, team, route), route_in_short(route)
    except UnreadableSubmission:
        return ["unreadable"], {"error": "it cannot read the submission"}
    except Exception as error:  # noqa: BLE001  counted: a candidate that fails is no reason for a lead to wait
        return ["error"], {"error": type(error).__name__}


def _example(lead: Lead, team: str, differs: list[str], shadow: dict[str, Any]) -> str:
    """One line for the report: ids and names of config, nothing of the person."""
    said = {
        "lead": lead.id,
        "received_at": to_iso(lead.received_at),
        "differs": differs,
        "live": lead_in_short(lead, team),
        "shadow": shadow,
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))
