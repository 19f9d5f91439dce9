"""One person's data, and old data: find it, export it, erase it and prove it; remove what is past its age.

    export   everything that is held of a person, as one JSON value
    erase    walk everything → decide of each thing whose it is → remove or redact → until a walk finds nothing
    expire   what has been kept as long as config says

A lead that is the person's goes, with everything that knows it. What only quotes them is somebody else's: a lead is
never lost because another person is named in it; the quotation is replaced by `[erased]`.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from speed_to_lead import forms
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.company import company_key
from speed_to_lead.core.completion import awaits_data
from speed_to_lead.core.lead import HistoryEntry, Lead, LeadChange
from speed_to_lead.core.person import Person
from speed_to_lead.core.rendering import lead_as_json
from speed_to_lead.core.response import close_lead
from speed_to_lead.core.retention import Retention, kept_until
from speed_to_lead.core.submission import (
    FETCH_HEADER,
    Form,
    Submission,
    UnreadableSubmission,
    digits_of,
    person_keys,
)
from speed_to_lead.flow.changes import with_follow_ups
from speed_to_lead.spellings import SPELLINGS
from speed_to_lead.store.contract import (
    Held,
    HeldKind,
    LockedRecord,
    Result,
    StoreUnavailable,
    UnreadableRecord,
)
from speed_to_lead.store.documents import dump
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

#: Walks through everything before an erasure gives up: each later one finds only what came during the one before.
WALKS = 20
#: A lead that changes under so many decisions in a row is left to the next walk.
ROUNDS = 50
#: What an erasure leaves as it is, and does not count: for a router, or for somebody to look at.
LEFT = ("waiting", "unreachable", "to_look_at")
#: How long somebody else's submission that quotes the person may take to be routed, before the erasure gives up on it.
IN_FLIGHT_PATIENCE = timedelta(seconds=15)

ERASED, EXPIRED = "erased", "expired"


#: What any program may send, read without a form of config.
_ANY_FORM = Form("any", "generic", "none")
#: Said with what remains.
_TO_DO = {
    (HeldKind.DEAD_LETTER, "to_look_at"): (
        ": it names them, and seems to be somebody else's lead; replay or discard it, then erase again"
    ),
    (HeldKind.LEAD, "to_look_at"): (
        ": its own phone, e-mail or id speaks of them, and it may be theirs or somebody else's; look at it. "
        "If it is theirs, erase again with the number or address as it stands there"
    ),
}


@dataclass
class Found:
    """What one erasure met. `counts` by kind; `told` are destinations that heard of the person's leads."""

    counts: Counter[str] = field(default_factory=Counter)
    told: set[str] = field(default_factory=set)
    lead_ids: set[str] = field(default_factory=set)
    phones: set[str] = field(default_factory=set)
    remaining: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    locked: int = 0
    keys: int = 0
    walks: int = 0
    unconfirmed: str = ""

    @property
    def is_proven(self) -> bool:
        """Whether the last walk opened every key and found nothing, and no failover brings anything back."""
        return not (self.remaining or self.damaged or self.locked or self.unconfirmed)


# --- find ------------------------------------------------------------------------------------------------------


def _met(place: Workplace, person: Person, lead_ids: set[str], found: Found) -> Iterator[Held]:
    """Everything that quotes the person or belongs to one of these leads, and how many keys were opened for it."""
    found.keys = found.locked = 0
    found.damaged = []
    for batch in place.store.privacy.everything():
        found.keys += batch.keys
        for held in batch.held:
            if held.is_locked:
                found.locked += 1
            if held.is_damaged:
                found.damaged.append(f"{held.kind} {held.name}")
            of_lead = held.points_to or (held.name if held.kind in (HeldKind.LEAD, HeldKind.HISTORY) else "")
            if of_lead in lead_ids or person.is_quoted_in(held.text) or person.is_quoted_in(held.name):
                yield held


def export(place: Workplace, person: Person) -> dict[str, Any]:
    """Everything held about a person: their leads with history and alerts, and what quotes them elsewhere."""
    leads: dict[str, dict[str, Any]] = {}
    elsewhere: list[dict[str, str]] = []
    waiting: list[dict[str, Any]] = []
    letters: list[dict[str, Any]] = []
    companies: set[str] = set()
    found = Found()
    for held in _met(place, person, set(), found):
        match held.kind:
            case HeldKind.LEAD:
                lead = _lead(place, held.name)
                if isinstance(lead, Lead) and person.owns_lead(lead):
                    leads[lead.id] = lead_as_json(lead, _history(place, lead.id))
                    companies.add(company_key(lead.lead, SPELLINGS))
                else:
                    elsewhere.append({"kind": "lead", "id": held.name, "text": held.text})
            case HeldKind.INCOMING | HeldKind.FETCH if held.submission is not None:
                waiting.append(_raw(held, held.submission))
            case HeldKind.DEAD_LETTER if held.submission is not None:
                letters.append(_raw(held, held.submission))
            case _:
                elsewhere.append({"kind": held.kind.value, "id": held.name, "text": held.text})
    for key, lead_id in place.store.leads.of_companies(sorted(companies - {""})).items():
        if lead_id in leads:
            name = f"company:{key}"
            elsewhere.append({"kind": HeldKind.POINTER.value, "id": name, "text": f"{name} {lead_id}"})
    told = {lead_id for lead_id in leads if "history" in leads[lead_id]}
    mine = [one for one in elsewhere if not (one["kind"] == "history" and one["id"] in told)]
    alerts = place.store.privacy.alerts_of(list(leads))
    for lead_id, document in leads.items():
        document["alerts_kept"] = sorted(alerts.get(lead_id, ()))
    return {
        "emails": sorted(person.emails),
        "phones": sorted(person.phones),
        "exported_at": to_iso(place.store.now()),
        "leads": sorted(leads.values(), key=lambda one: str(one["received_at"])),
        "dead_letters": letters,
        "in_flight": waiting,
        "elsewhere": mine,
        "locked": found.locked,
        "damaged": found.damaged,
    }


def _raw(held: Held, submission: Submission) -> dict[str, Any]:
    document = {
        "id": submission.id,
        "form": submission.form,
        "received_at": to_iso(submission.received_at),
        "content_type": submission.content_type,
        "headers": dict(submission.headers),
        "body": submission.body.decode("utf-8", "backslashreplace"),
    }
    return document | ({"error": held.note} if held.note else {})


# --- erase -----------------------------------------------------------------------------------------------------


def erase(
    place: Workplace, person: Person, *, dry_run: bool = False, pause: Callable[[], object] = lambda: None
) -> Found:
    """Remove a person from everything, until a whole walk finds nothing of them: that walk is the proof.

    A submission of theirs that was routed meanwhile is met as a lead by the next walk. `pause` is called between
    walks while only somebody else's submission, still to be routed, quotes them. With `dry_run` one walk counts
    what would be removed.
    """
    found = Found()
    run = _Run(place, person, found, dry_run)
    patience = place.store.now() + IN_FLIGHT_PATIENCE
    for _ in range(WALKS):
        found.walks += 1
        found.remaining = []
        kinds: set[str] = set()
        for held in _met(place, person, found.lead_ids, found):
            kind = run.handle(held)
            kinds.add(kind)
            found.counts[kind] += 1
            found.remaining.append(f"{held.kind.value} {held.name}{_TO_DO.get((held.kind, kind), '')}")
        if dry_run or not (kinds or place.store.leads.of_people(person.keys)):
            break
        if kinds <= set(LEFT):  # nothing that this program can do about it, now
            if "waiting" not in kinds or place.store.now() > patience:
                break
            pause()
    if not dry_run:
        try:
            place.store.privacy.confirm()
        except StoreUnavailable as away:
            found.unconfirmed = str(away)
    for kind in LEFT:
        del found.counts[kind]
    log.info("person.erased", dry_run=dry_run, proven=found.is_proven, **found.counts)
    return found


@dataclass(frozen=True, slots=True)
class _Run:
    """One erasure under way; each of its verbs handles one thing that was met and answers what it is counted as."""

    place: Workplace
    person: Person
    found: Found
    dry_run: bool

    def handle(self, held: Held) -> str:  # noqa: PLR0911 - one return for each kind of thing
        match held.kind:
            case HeldKind.INCOMING:
                return self._submission(held)
            case HeldKind.FETCH:
                return self._fetch(held)
            case HeldKind.LEAD:
                return _handle_lead(self.place, self.person, held.name, self.found, dry_run=self.dry_run)
            case HeldKind.DEAD_LETTER:
                return self._letter(held)
            case HeldKind.POINTER:
                return self._pointer(held)
            case HeldKind.HISTORY | HeldKind.ALERT:
                return self._line(held)
            case HeldKind.OTHER:
                return "unreachable"

    def _submission(self, held: Held) -> str:
        if held.is_locked or held.submission is None:
            return "unreachable"
        if not _is_theirs(self.place, self.person, held.submission):
            return "waiting"  # for its router; the next walk meets what it became
        if not self.dry_run:
            name = self._form_of(held.submission)
            self.place.store.privacy.remove_submission(held.name, "submissions_erased", name)
        if FETCH_HEADER in held.submission.headers:
            self._incomplete_lead(held.submission.id)
        return "submissions"

    def _incomplete_lead(self, lead_id: str) -> None:
        """The lead of a submission of ids only is theirs too, though it holds nothing that names them."""
        if lead_id in self.found.lead_ids:
            return
        self.found.lead_ids.add(lead_id)
        if isinstance(lead := _lead(self.place, lead_id), Lead) and awaits_data(lead):
            kind = _handle_lead(self.place, self.person, lead_id, self.found, dry_run=self.dry_run)
            self.found.counts[kind] += 1

    def _fetch(self, held: Held) -> str:
        """Of an erased lead it goes, or its tool's answer would bring the person back; so does one that names them."""
        is_of_lead = held.points_to in self.found.lead_ids
        if not is_of_lead:
            if held.is_locked or held.submission is None:
                return "unreachable"
            if not _is_theirs(self.place, self.person, held.submission):
                return "waiting"
        if not self.dry_run:
            name = self._form_of(held.submission)
            self.place.store.privacy.remove_fetch(held.name, "submissions_erased", name)
        self._incomplete_lead(held.points_to)
        return "submissions"

    def _form_of(self, submission: Submission | None) -> str:
        """The name of a submission's form; "" where config has none of that name."""
        form = self.place.form(submission.form) if submission is not None else None
        return form.name if form is not None else ""

    def _letter(self, held: Held) -> str:
        """Somebody else's is a lead that nobody has read yet: it is left to whoever can replay it."""
        if held.is_locked or held.submission is None:
            return "unreachable"
        if not _is_theirs(self.place, self.person, held.submission):
            return "to_look_at"
        if not self.dry_run:
            self.place.store.privacy.remove_dead_letter(held.name, "dead_letters_erased")
        return "dead_letters"

    def _pointer(self, held: Held) -> str:
        """A key that names them, or an erased lead, goes. By their digest it says that its lead is theirs, read or not."""
        found, key = self.found, held.name.partition(":")[2]
        if held.points_to not in found.lead_ids and not self.person.is_quoted_in(key):
            return "unreachable"  # somebody else's, and only the id of its lead speaks of them
        if self.dry_run:
            return "pointers"
        if key in self.person.keys and held.points_to not in found.lead_ids:
            found.lead_ids.add(held.points_to)
            kind = _handle_lead(self.place, self.person, held.points_to, found, dry_run=False)
            found.counts[kind] += 1
        self.place.store.privacy.remove_pointer(held.name, held.points_to)
        return "pointers"

    def _line(self, held: Held) -> str:
        """A history or an alert: of an erased lead (written after it had gone) it goes, of another's it is redacted."""
        privacy, owner = self.place.store.privacy, held.points_to or held.name
        is_theirs = owner in self.found.lead_ids
        if not is_theirs and (held.is_locked or self.person.is_quoted_in(held.name)):
            return "unreachable"  # without its lead's id nobody could be told of that lead
        if is_theirs and not self.dry_run:
            privacy.remove_lead(owner, 0, ERASED, alerts=[held.name] if held.kind is HeldKind.ALERT else [])
        elif not self.dry_run:
            lines = [_redacted_line(self.person, line) for line in held.text.split("\n")]
            privacy.rewrite(held, "\n".join(lines))
        return "remains" if is_theirs else "redacted"


def _is_theirs(place: Workplace, person: Person, submission: Submission) -> bool:
    """Whether a submission that speaks of them is of them. What nobody can read is, unless it names others as well.

    Its form may be unknown for a while only, or broken: then it is read as what any program may send.
    """
    form = place.form(submission.form)
    for one in (form, _ANY_FORM) if form is not None else (_ANY_FORM,):
        try:
            lead = forms.read(submission, one).lead
        except UnreadableSubmission:
            continue
        if person_keys(lead):
            return person.owns(lead)
    return not person.is_one_of_several_in(submission.body.decode("utf-8", "replace"))


def _handle_lead(place: Workplace, person: Person, lead_id: str, found: Found, *, dry_run: bool) -> str:
    for _ in range(ROUNDS):
        lead = _lead(place, lead_id)
        is_known = lead_id in found.lead_ids
        if isinstance(lead, LockedRecord) and not is_known:
            return "unreachable"
        if isinstance(lead, Lead) and not person.owns_lead(lead) and not is_known:
            redacted = person.redacted(lead)
            if redacted.id != lead.id or _reached_at(redacted) != _reached_at(lead):
                return "to_look_at"
            if dry_run or _redact(place, lead, redacted):
                return "redacted"
            continue
        if dry_run and lead_id in found.lead_ids:
            break
        found.lead_ids.add(lead_id)
        if isinstance(lead, Lead):
            found.told.update(_told(place, lead))
            found.phones.update(_phones(lead) - person.phones)
        result = Result.APPLIED if dry_run else remove_lead(place, lead_id, lead, ERASED)
        if result is Result.APPLIED:
            return "leads"
        if result is Result.GONE:
            break
    return "remains"  # met again, or more contended than can be: the next walk looks


def _redact(place: Workplace, lead: Lead, redacted: Lead) -> bool:
    """Take the quotation out of somebody else's lead; whether it was written."""
    changed = replace(redacted, version=lead.version + 1)
    entry = HistoryEntry(place.store.now(), "lead.redacted", {})
    return place.store.leads.change([LeadChange(changed, (entry,))])[0] is Result.APPLIED


def _redacted_line(person: Person, line: str) -> str:
    try:
        return dump(person.redacted(json.loads(line)))
    except ValueError:
        return person.redacted(line)


def _told(place: Workplace, lead: Lead) -> set[str]:
    """Destinations that were sent something about the lead, whether or not they said that it arrived."""
    events = ("alert.delivered", "alert.failed", "alert.given_up")
    history = _history(place, lead.id)
    if history is None:  # nobody can say which, so each destination that could have heard is named
        return set(place.config.destinations)
    return {str(e.details["to"]) for e in history if e.event in events and "to" in e.details}


def _history(place: Workplace, lead_id: str) -> list[HistoryEntry] | None:
    """What happened to the lead; None where a line of it is damaged. That must keep nobody from being erased."""
    try:
        return place.store.leads.history(lead_id)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def _phones(lead: Lead) -> set[str]:
    said = (lead.lead, *(touch.lead for touch in lead.touches))
    return {digits_of(one.get("phone")) for one in said} - {""}


def _reached_at(lead: Lead) -> list[tuple[Any, Any]]:
    """What each submission says its person is reached at: without it they are lost, and come again as somebody new."""
    return [(said.get("email"), said.get("phone")) for said in (lead.lead, *(t.lead for t in lead.touches))]


def _lead(place: Workplace, lead_id: str) -> Lead | UnreadableRecord | None:
    return place.store.leads.get_many([lead_id])[0]


# --- remove, and expire ----------------------------------------------------------------------------------------


def remove_lead(
    place: Workplace,
    lead_id: str,
    lead: Lead | UnreadableRecord | None,
    counter: str,
    alerts: Mapping[str, list[str]] | None = None,
) -> Result:
    """A lead leaves everything, fenced by the version it was decided on. `alerts` where they are known already."""
    privacy = place.store.privacy
    if alerts is None:
        alerts = privacy.alerts_of([lead_id])
    of_lead = alerts.get(lead_id, [])
    if not isinstance(lead, Lead):
        return privacy.remove_lead(lead_id, None, counter, alerts=of_lead)
    pointers = [f"person:{key}" for key in person_keys(lead.lead)]
    if company := company_key(lead.lead, SPELLINGS):
        pointers.append(f"company:{company}")
    return privacy.remove_lead(
        lead_id, lead.version, counter, rep=lead.rep, alerts=of_lead, pointers=pointers
    )


@dataclass(frozen=True, slots=True)
class Expired:
    """What one batch of retention came to; `cursor` is where the next one begins, 0 after the last."""

    cursor: int = 0
    leads: int = 0
    closed: int = 0
    dead_letters: int = 0
    dead_alerts: int = 0


def expire(place: Workplace, retention: Retention, cursor: int, limit: int = 200) -> Expired:
    """Remove a batch of what has been kept as long as config says. Any number may do so at once.

    Leads are walked oldest first, by their place among all of them; `cursor` is that place. What another process
    removes meanwhile moves places, so a lead may be passed over: the next round meets it.
    """
    now = place.store.now()
    letters = _expire_dead_letters(place, retention, now, limit)
    alerts = _expire_dead_alerts(place, retention, now, limit)
    ages = [age for age in (retention.answered, retention.closed, retention.unanswered) if age is not None]
    if not ages:
        return Expired(0, 0, 0, letters, alerts)
    ids = place.store.privacy.oldest(now - min(ages), cursor, limit)
    removed, closed = _expire_leads(place, retention, ids, now)
    following = cursor + len(ids) - removed if len(ids) == limit else 0
    return Expired(following, removed, closed, letters, alerts)


def _expire_leads(place: Workplace, retention: Retention, ids: list[str], now: datetime) -> tuple[int, int]:
    past: list[Lead] = []
    for record in place.store.leads.get_many(ids):
        until = kept_until(record, retention) if isinstance(record, Lead) else None
        if isinstance(record, Lead) and until is not None and until <= now:
            past.append(record)
    alerts = place.store.privacy.alerts_of([lead.id for lead in past if not lead.is_open])
    removed = closed = 0
    for lead in past:
        if lead.is_open:
            closed += _close_as_expired(place, lead, now)
        elif remove_lead(place, lead.id, lead, EXPIRED, alerts) is Result.APPLIED:
            removed += 1
            log.info("lead.expired", lead_id=lead.id)
    return removed, closed


def _close_as_expired(place: Workplace, lead: Lead, now: datetime) -> bool:
    """Whether it was closed. Whoever was told of it hears that it is over: an incident must not stay open for ever."""
    change = close_lead(lead, EXPIRED, "retention", now)
    if change is None:
        return False
    change = with_follow_ups(place, lead, change)
    return place.store.leads.change([change])[0] is Result.APPLIED


def _expire_dead_letters(place: Workplace, retention: Retention, now: datetime, limit: int) -> int:
    if retention.dead_letters is None:
        return 0
    privacy = place.store.privacy
    ids = privacy.dead_letters_until(now - retention.dead_letters, limit)
    return sum(privacy.remove_dead_letter(i, "dead_letters_expired") is Result.APPLIED for i in ids)


def _expire_dead_alerts(place: Workplace, retention: Retention, now: datetime, limit: int) -> int:
    if retention.dead_alerts is None:
        return 0
    privacy = place.store.privacy
    keys = privacy.dead_alerts_until(now - retention.dead_alerts, limit)
    return sum(privacy.remove_dead_alert(key, "dead_alerts_expired") is Result.APPLIED for key in keys)
