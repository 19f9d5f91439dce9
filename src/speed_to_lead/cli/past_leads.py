"""Leads of the past in the order they came, as two configs read them: from the store, or from a file of JSON lines.

A line is a lead as `config explain` takes it, or one as `leads list --json` and `leads export` print it, which also
says what became of it; a whole page of theirs (`{"leads": […]}`) is its leads. However many there are, only their
places are held in memory: lines are put in order by way of a temporary file.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

from speed_to_lead.cli.explain import Unexplainable, form_named, parsed_as, receipt_of
from speed_to_lead.cli.lead_lines import DOCUMENT_LIMIT, leads_in, opened
from speed_to_lead.cli.output import safe
from speed_to_lead.config import Configuration
from speed_to_lead.core.clock import from_iso, to_ms
from speed_to_lead.core.lead import Lead, LeadState
from speed_to_lead.core.lookup import LookedUp
from speed_to_lead.core.simulation import Asked, Ending, PastLead
from speed_to_lead.core.submission import Form, GenericLead

if TYPE_CHECKING:
    from speed_to_lead.store import Store  # slow to import, and a file needs none

#: Records read from the store in one go.
PAGE = 500
#: Problems kept word for word; the rest is counted.
PROBLEMS_KEPT = 100
_API = Form(name="api", provider="generic", auth="none")
_STATES = frozenset(LeadState)


@dataclass
class Skipped:
    """What was not replayed: what is broken, and what no config routes (`left_out`, by the reason)."""

    count: int = 0
    problems: list[tuple[int | None, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, line: int | None, problem: str) -> None:
        """Note something broken; the first PROBLEMS_KEPT in words."""
        self.count += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append((line, problem))


@dataclass(frozen=True)
class PastLeads:
    """Reads leads for two configs; `now` is when leads of which nobody knows the end are judged."""

    running: Configuration
    candidate: Configuration
    now: datetime
    skipped: Skipped = field(default_factory=Skipped)

    def of_store(self, store: "Store", since: datetime) -> Iterator[PastLead]:
        """Those of the store received since then, a page at a time, oldest first."""
        cursor: str | None = None
        while True:
            page, cursor = store.leads.received_since(since, PAGE, cursor)
            for lead in page:
                if not isinstance(lead, Lead):
                    self.skipped.add(None, str(lead))
                    continue
                before, after = (
                    self._asked(lead.lead, lead.form, one, lead.looked_up) for one in self._configs
                )
                if isinstance(before, str) and isinstance(after, str):
                    self.skipped.left_out[f"{before}, in both configs"] += 1
                    continue
                stopped_at = lead.answered_at or lead.closed_at
                ending = self._ending(
                    stopped_at, lead.breached_at, lead.deadline, was_answered=lead.answered_at is not None
                )
                yield PastLead(lead.id, lead.received_at, before, after, ending)
            if cursor is None:
                return

    def of_file(self, name: str) -> Iterator[PastLead]:
        """Those of a file (`-`: standard input), in the order of receipt. Raises UnusableInput where it has none."""
        places: list[tuple[int, int, int]] = []
        with tempfile.TemporaryFile() as spool:
            self._put_down(name, spool, places)
            places.sort()
            for _, number, offset in places:
                spool.seek(offset)
                past = self._past_of(number, json.loads(spool.readline()))
                if past is not None:
                    yield past

    @property
    def _configs(self) -> tuple[Configuration, Configuration]:
        return self.running, self.candidate

    def _put_down(self, name: str, spool: IO[bytes], places: list[tuple[int, int, int]]) -> None:
        """Write every lead that names a time to the spool, and where each begins to `places`."""
        offset = 0
        with opened(name) as stream:
            for line in leads_in(stream, line_limit=DOCUMENT_LIMIT, tell_blanks=True):
                if line.problem:
                    self.skipped.add(line.number, line.problem)
                    continue
                for value in _leads_of(line.value):
                    try:
                        received_at = _received_at(value, self.now)
                    except Unexplainable as error:
                        self.skipped.add(line.number, str(error))
                        continue
                    value["received_at"] = to_ms(received_at)
                    places.append((to_ms(received_at), line.number, offset))
                    offset += spool.write(json.dumps(value).encode() + b"\n")

    def _past_of(self, number: int, given: dict[str, Any]) -> PastLead | None:
        try:
            return self._recorded(number, given) if _is_record(given) else self._told(number, given)
        except Unexplainable as error:
            self.skipped.add(number, str(error))
            return None

    def _recorded(self, number: int, given: Mapping[str, Any]) -> PastLead:
        """A lead as we print it."""
        custom = given.get("custom")
        lead = GenericLead(given["fields"], custom if isinstance(custom, dict) else {})
        form = str(given.get("form") or _API.name)
        looked_up = _looked_up(given.get("looked_up"))
        before, after = (self._asked(lead, form, one, looked_up) for one in self._configs)
        _refuse_where_both(before, after)
        answered_at = _instant(given, "answered_at")
        stopped_at = answered_at or _instant(given, "closed_at")
        ending = self._ending(
            stopped_at,
            _instant(given, "breached_at"),
            _instant(given, "deadline"),
            was_answered=answered_at is not None,
        )
        received_at = receipt_of(given["received_at"], self.now)
        return PastLead(given.get("id"), received_at, before, after, ending, number)

    def _told(self, number: int, given: dict[str, Any]) -> PastLead | None:
        """A lead as `config explain` takes it."""
        lead_id, named = given.pop("id", None), given.pop("form", None)
        received_at = receipt_of(given.pop("received_at"), self.now)
        forms = [_form_or_why(named, config) for config in self._configs]
        before = after = _read_as(forms[0], given, received_at)
        if _fields(forms[0]) != _fields(forms[1]):
            after = _read_as(forms[1], given, received_at)
        elif isinstance(after, Asked) and isinstance(forms[1], Form):  # the same answers: read once
            after = Asked(after.lead, forms[1])
        if before is None or after is None:
            self.skipped.left_out["marked as a test, so the router would drop it"] += 1
            return None
        _refuse_where_both(before, after)
        return PastLead(lead_id, received_at, before, after, None, number)

    def _asked(
        self, lead: GenericLead, form: str, config: Configuration, looked_up: LookedUp | None
    ) -> Asked | str:
        known = _API if form == _API.name else config.forms.get(form)
        if known is not None:
            return Asked(lead, known, looked_up)
        return f'intake.toml has no form "{safe(form)[:60]}"'

    def _ending(
        self,
        stopped_at: datetime | None,
        breached_at: datetime | None,
        deadline: datetime | None,
        *,
        was_answered: bool,
    ) -> Ending:
        was_late = deadline is not None and (stopped_at or self.now) >= deadline
        return Ending(stopped_at, breached_at is not None or was_late, was_answered)


def _received_at(value: Any, now: datetime) -> datetime:
    if not isinstance(value, dict):
        raise Unexplainable('a lead is a JSON object such as {"email": "kim@example.com"}, and this is none')
    return receipt_of(value.get("received_at"), now)


def _leads_of(value: Any) -> list[Any]:
    """The lead itself, or those of a page or an export of ours."""
    if isinstance(value, dict) and isinstance(value.get("leads"), list) and "email" not in value:
        return list(value["leads"])
    return [value]


def _is_record(given: Mapping[str, Any]) -> bool:
    state = given.get("state")
    return isinstance(given.get("fields"), dict) and isinstance(state, str) and state in _STATES


def _refuse_where_both(before: Asked | str, after: Asked | str) -> None:
    if isinstance(before, str) and isinstance(after, str):
        raise Unexplainable(before)


def _form_or_why(named: Any, config: Configuration) -> Form | str:
    try:
        return form_named(named, config)
    except Unexplainable as error:
        return str(error)


def _fields(form: Form | str) -> Mapping[str, str] | str:
    return form if isinstance(form, str) else form.fields


def _read_as(form: Form | str, given: Mapping[str, Any], received_at: datetime) -> Asked | str | None:
    """The lead as that form is read; None for a test, a text that says why it cannot be."""
    if isinstance(form, str):
        return form
    try:
        parsed = parsed_as(given, form, received_at)
    except Unexplainable as error:
        return str(error)
    return None if parsed.is_test else Asked(parsed.lead, form)


def _looked_up(given: Any) -> LookedUp | None:
    """What a look-up said, as we print it."""
    if not isinstance(given, dict):
        return None
    return LookedUp(*(str(given.get(name) or "") for name in LookedUp._fields))


def _instant(given: Mapping[str, Any], name: str) -> datetime | None:
    value = given.get(name)
    if value is None:
        return None
    try:
        return from_iso(str(value))
    except ValueError as error:
        raise Unexplainable(f"{name}: {error}") from None
