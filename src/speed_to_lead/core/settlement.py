"""What becomes of one queue entry: a lead, a touch, a duplicate, a test, or a dead letter. Exactly one of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from speed_to_lead.core.assignment import Rotation
from speed_to_lead.core.attribution import attribute
from speed_to_lead.core.lead import Lead, LeadChange, Touch
from speed_to_lead.core.routing import Route, Rulebook, add_touch, new_lead, route_of
from speed_to_lead.core.submission import (
    Form,
    ParsedSubmission,
    Submission,
    content_key,
    named_key,
    person_keys,
)

#: How long a form tool's own key (or our submission id) is remembered: longer than any of them retries.
REMEMBER_KEY = timedelta(days=14)
#: How long the exact content stands for a key where the tool gives none. A person who sends the same words
#: again after that means it.
REMEMBER_CONTENT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Seen:
    """A key under which this submission is recognised when it comes again, and for how long."""

    key: str
    remember: timedelta


@dataclass(frozen=True, slots=True)
class Admit:
    """A new lead. `people` are the person keys, each with the lead it pointed to when this was decided (None: nobody)."""

    entry_id: str
    change: LeadChange
    seen: tuple[Seen, ...] = ()
    people: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Join:
    """A touch of an open lead."""

    entry_id: str
    change: LeadChange
    seen: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """A submission that adds nothing: `kind` is "duplicates" or "tests". `lead_id` is the lead it repeats, if any."""

    entry_id: str
    kind: str
    submission_id: str
    lead_id: str = ""


@dataclass(frozen=True, slots=True)
class Bury:
    """A submission that could not be read, kept with its error until somebody replays or discards it."""

    entry_id: str
    submission: Submission
    error: str
    at: datetime


Settlement = Admit | Join | Drop | Bury


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A buried submission as it is kept."""

    submission: Submission
    error: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Reading:
    """One queue entry, read as far as it can be: `parsed` and `form`, or the `error` that says why not."""

    entry_id: str
    submission: Submission
    form: Form | None = None
    parsed: ParsedSubmission | None = None
    error: str = ""

    @property
    def key(self) -> Seen | None:
        """The key under which the same submission is known again: the form tool's own, else the exact content."""
        if self.parsed is None or self.form is None:
            return None
        if self.parsed.same_submission_key:
            return Seen(named_key(self.form.name, self.parsed.same_submission_key), REMEMBER_KEY)
        return Seen(content_key(self.submission), REMEMBER_CONTENT)

    @property
    def people(self) -> tuple[str, ...]:
        """The keys of the person who asks."""
        return person_keys(self.parsed.lead) if self.parsed is not None else ()

    @property
    def names(self) -> tuple[str, ...]:
        """What must be unique among submissions that are decided together."""
        key = self.key
        return (self.submission.id, *((key.key,) if key else ()), *self.people)


@dataclass(slots=True)
class Tally:
    """Rotations and loads as they stand after the decisions made so far in one batch."""

    rotations: dict[str, Rotation]
    load: dict[str, int]

    def rotation(self, team: str) -> Rotation:
        """The rotation of a team; a new one for a team that never had a lead."""
        return self.rotations.get(team, Rotation())

    def note(self, change: LeadChange) -> None:
        """Count a decision, so that the next one of the batch is made on it."""
        if change.rotation is not None:
            team = change.rotation.team
            self.rotations[team] = change.rotation.applied_to(self.rotation(team))
        for rep, moved in change.load.items():
            self.load[rep] = self.load.get(rep, 0) + moved


@dataclass(frozen=True, slots=True)
class SubmissionFacts:
    """What a batch of submissions is decided on.

    `known`: seen key → the lead that submission became. `by_person`: person key → that person's newest lead.
    `records`: those leads, and any whose id is a submission's own; an error stands for one that cannot be read.
    `routes`: by entry, what the rules give it.
    """

    known: Mapping[str, str]
    by_person: Mapping[str, str]
    records: Mapping[str, Lead | Exception | None]
    routes: Mapping[str, Route | Exception]
    tally: Tally


def route_of_reading(reading: Reading, rulebook: Rulebook) -> Route:
    """What the rules give a submission that could be read."""
    assert reading.parsed is not None
    assert reading.form is not None
    return route_of(
        reading.parsed.lead, reading.form.name, reading.form.source, reading.submission.received_at, rulebook
    )


def settlement_of(reading: Reading, facts: SubmissionFacts, rulebook: Rulebook, now: datetime) -> Settlement:
    """What becomes of one submission: the first that is true of dead letter, test, duplicate, touch, new lead.

    A new lead is counted in `facts.tally`. Raises what made its route impossible.
    """
    entry_id, submission, parsed, form, key = (
        reading.entry_id,
        reading.submission,
        reading.parsed,
        reading.form,
        reading.key,
    )
    if parsed is None or form is None or key is None:
        return Bury(entry_id, submission, reading.error, now)
    if parsed.is_test:
        return Drop(entry_id, "tests", submission.id)
    if facts.records.get(submission.id) is not None:
        return Drop(entry_id, "duplicates", submission.id, submission.id)
    for name in (submission.id, key.key):
        if name in facts.known:
            return Drop(entry_id, "duplicates", submission.id, facts.known[name])
    for person in reading.people:
        lead = facts.records.get(facts.by_person.get(person, ""))
        if isinstance(lead, Lead) and lead.is_open:
            touch = _touch(submission, parsed, form, rulebook)
            return Join(entry_id, add_touch(lead, touch, now), (key, Seen(submission.id, REMEMBER_KEY)))
    route = facts.routes[entry_id]
    if isinstance(route, Exception):
        raise route
    tally = facts.tally
    change = new_lead(
        submission.id,
        form,
        parsed,
        submission.received_at,
        route,
        tally.rotation(route.team.name),
        tally.load,
        rulebook,
        now,
    )
    tally.note(change)
    people = tuple((person, facts.by_person.get(person)) for person in reading.people)
    return Admit(entry_id, change, (key,), people)


def _touch(submission: Submission, parsed: ParsedSubmission, form: Form, rulebook: Rulebook) -> Touch:
    attribution = attribute(parsed.lead, form.name, form.source, rulebook.taxonomy)
    return Touch(
        submission.id,
        form.name,
        submission.received_at,
        attribution.source.name,
        attribution.channel,
        attribution.campaign,
        parsed.lead,
    )
