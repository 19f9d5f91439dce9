"""What becomes of one queue entry: a lead, a touch, a duplicate, a test, or a dead letter. Exactly one of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from speed_to_lead.core.assignment import Tally
from speed_to_lead.core.company import company_key
from speed_to_lead.core.completion import SAME_PERSON, awaits_data, completed, same_person_has_another
from speed_to_lead.core.lead import Lead, LeadChange, Touch
from speed_to_lead.core.lookup import LookedUp
from speed_to_lead.core.meanings import Spellings
from speed_to_lead.core.owner import COMPANY_DEPTH, NOTHING_EARLIER, Earlier, gives_company
from speed_to_lead.core.routing import (
    Route,
    Rulebook,
    attribution_of,
    deadline_by_rules,
    new_lead,
    route_of,
)
from speed_to_lead.core.same_person import add_touch, is_same_person, superseded, touches_with
from speed_to_lead.core.submission import (
    FETCH_HEADER,
    Form,
    GenericLead,
    ParsedSubmission,
    Submission,
    content_key,
    named_key,
    other_id,
    person_keys,
)

#: How long a form tool's own key (or our submission id) is remembered: longer than any of them retries.
REMEMBER_KEY = timedelta(days=14)
#: How long the exact content stands for a key where the tool gives none. A person who sends the same words
#: again after that means it.
REMEMBER_CONTENT = timedelta(minutes=10)


#: Characters of a text that a touch keeps.
TOUCH_TEXT = 2000


def newest_of(lead: Lead, before: str | None) -> str:
    """The lead that a person's or company's key points to from now on: the new one, unless that is to nurture and another stood there."""
    return before if before is not None and lead.is_nurtured else lead.id


@dataclass(frozen=True, slots=True)
class Seen:
    """A key under which this submission is recognised when it comes again, and for how long."""

    key: str
    remember: timedelta


@dataclass(frozen=True, slots=True)
class Admit:
    """A new lead. `people` are the person keys, each with the lead it pointed to when this was decided (None: nobody).

    `team` is the one that the rule named; assignment may have gone on to another. `company` is the same as `people` for
    the company's key; None where config has no rule that asks who has a company.

    A lead to nurture takes no other lead's place under these keys: nobody has it, and who has its person or company
    was said by the one before.
    """

    entry_id: str
    change: LeadChange
    seen: tuple[Seen, ...] = ()
    people: tuple[tuple[str, str | None], ...] = ()
    company: tuple[str, str | None] | None = None
    team: str = ""


@dataclass(frozen=True, slots=True)
class Join:
    """A touch of an open lead, or the data of one that was routed without: then `people` and `company` are that person's."""

    entry_id: str
    change: LeadChange
    seen: tuple[Seen, ...] = ()
    people: tuple[tuple[str, str | None], ...] = ()
    company: tuple[str, str | None] | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """A delivery of several items: each of `parts` takes its place in the queue."""

    entry_id: str
    submission_id: str
    parts: tuple[Submission, ...]


@dataclass(frozen=True, slots=True)
class Await:
    """A submission of ids only, put aside until its form tool was asked; at `route_at` it is routed by what is known.

    `name` is what the same submission is known by: sent again while it waits, it is a duplicate.
    """

    entry_id: str
    submission: Submission
    name: str
    at: datetime
    route_at: datetime


@dataclass(frozen=True, slots=True)
class Drop:
    """A submission that adds nothing: `kind` is "duplicates" or "tests". `lead_id` is the lead it repeats, if any."""

    entry_id: str
    kind: str
    submission_id: str
    lead_id: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True)
class Bury:
    """A submission that could not be read, kept with its error until somebody replays or discards it."""

    entry_id: str
    submission: Submission
    error: str
    at: datetime
    is_of_known_form: bool = True


@dataclass(frozen=True, slots=True)
class CloseFirst:
    """An open lead whose person was silent for too long: it is closed, and only then the submission is a lead. Ask again."""

    lead: Lead  # as it is
    change: LeadChange


Settlement = Admit | Join | Drop | Bury | Split | Await


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A buried submission as it is kept."""

    submission: Submission
    error: str
    at: datetime


@dataclass(frozen=True)
class Reading:
    """One queue entry, read as far as it can be: `parsed` and `form`, its `parts`, or the `error` that says why not.

    What is worked out from it is worked out once: a batch asks for each key several times, and they are hashes.
    """

    entry_id: str
    submission: Submission
    form: Form | None = None
    parsed: ParsedSubmission | None = None
    error: str = ""
    parts: tuple[Submission, ...] = ()

    @cached_property
    def key(self) -> Seen | None:
        """The key under which the same submission is known again: the form tool's own, else the exact content."""
        if self.parsed is None or self.form is None:
            return None
        if self.parsed.same_submission_key:
            return Seen(named_key(self.form.name, self.parsed.same_submission_key), REMEMBER_KEY)
        return Seen(content_key(self.submission), REMEMBER_CONTENT)

    @cached_property
    def people(self) -> tuple[str, ...]:
        """The keys of the person who asks."""
        return person_keys(self.parsed.lead) if self.parsed is not None else ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Under what the same submission may be known."""
        return (self.submission.id, *(one.key for one in self.seen))

    @cached_property
    def seen(self) -> tuple[Seen, ...]:
        """Under what the same submission is known from now on, besides its id."""
        key = self.key
        return (*((key,) if key else ()), *self.named_in_list)

    @cached_property
    def named_in_list(self) -> tuple[Seen, ...]:
        """What the tool's own list calls it, where its webhook has another key: so both are one, whichever comes first."""
        if self.parsed is None or self.form is None or not self.parsed.listed_as or not self.form.api_forms:
            return ()
        return (Seen(named_key(self.form.name, f"listed as {self.parsed.listed_as}"), REMEMBER_KEY),)

    @cached_property
    def other_id(self) -> str:
        """The id its lead gets where another form's lead has the submission's own."""
        return other_id(self.submission)

    def lead_id(self, records: Mapping[str, Lead | Exception | None]) -> str | None:
        """The id for a new lead of this submission; None where it is a lead already.

        Programs choose their own ids, and two of them may choose the same.
        """
        taken = records.get(self.submission.id)
        if taken is None:
            return self.submission.id
        if isinstance(taken, Lead) and self.form is not None and taken.form != self.form.name:
            return self.other_id if records.get(self.other_id) is None else None
        return None


@dataclass(frozen=True, slots=True)
class SubmissionFacts:
    """What a batch of submissions is decided on; each decision is noted, so that the next one is made on it.

    Where the store refuses one of them, it refuses those made on it too, and they are decided again.

    `known`: seen key → the lead that submission became. `by_person`: person key → that person's newest lead.
    `by_company`: the same by company key; None where no rule asks for it. `companies`: by entry, the company's key.
    `records`: those leads, any whose id is a submission's own, and where there is one, any that has its other id; an
    error stands for one that cannot be read.
    `routes`: by entry, what the rules give it. `looked_up`: by entry, what the look-up that its rule names said of its
    owner. `hoped_for`: names of submissions this batch decided and has not
    written: what repeats one of those is nothing yet, for the store may refuse the first.
    """

    known: dict[str, str]
    by_person: dict[str, str]
    records: dict[str, Lead | Exception | None]
    routes: dict[str, Route | Exception]
    tally: Tally
    hoped_for: set[str] = field(default_factory=set)
    by_company: dict[str, str] | None = None
    companies: Mapping[str, str] = field(default_factory=dict)
    looked_up: Mapping[str, LookedUp] = field(default_factory=dict)

    def earlier(self, reading: Reading, rulebook: Rulebook) -> Earlier:
        """The leads that person and company of a new lead had before: the person's not open, else it were a touch."""
        known = (self.records.get(self.by_person.get(key, "")) for key in reading.people)
        person = next((lead for lead in known if lead is not None), None)
        if isinstance(person, Lead) and not is_same_person(
            person, reading.submission.received_at, rulebook.same_person_within
        ):
            person = None
        company = self._newest_of_company(reading) if self.by_company is not None else None
        return NOTHING_EARLIER if person is None and company is None else Earlier(person, company)

    def behind_closed(self) -> set[str]:
        """Leads still to be read: of each company those before leads that were closed without an answer."""
        found: set[str] = set()
        for newest in (self.by_company or {}).values():
            last = self._newest_that_counts(newest)
            if isinstance(last, Lead) and not gives_company(last) and last.company_before:
                found.add(last.company_before)
        return found - self.records.keys()

    def has_newer_of_company(self, reading: Reading, lead: Lead) -> bool:
        """Whether the company's newest lead came after this one, which was not known to be of it until now."""
        assert self.by_company is not None
        newest = self.records.get(self.by_company.get(self.companies.get(reading.entry_id, ""), ""))
        return isinstance(newest, Lead) and newest.received_at > lead.received_at

    def _newest_of_company(self, reading: Reading) -> Lead | Exception | None:
        assert self.by_company is not None
        return self._newest_that_counts(self.by_company.get(self.companies.get(reading.entry_id, ""), ""))

    def _newest_that_counts(self, newest: str) -> Lead | Exception | None:
        """That lead, or the first before it that is open or was answered; the last that is known where none is."""
        lead = self.records.get(newest)
        for _ in range(COMPANY_DEPTH):
            if not isinstance(lead, Lead) or gives_company(lead):
                break
            before = self.records.get(lead.company_before)
            if before is None:
                break
            lead = before
        return lead

    def note(self, reading: Reading, change: LeadChange) -> None:
        """Count a submission that became a lead, or a touch of one."""
        lead = change.lead
        self.tally.note(change)
        self.records[lead.id] = lead
        for person in reading.people:
            self.by_person[person] = newest_of(lead, self.by_person.get(person))
        self.hoped_for.update(reading.names)


def route_of_reading(reading: Reading, rulebook: Rulebook, touches: int = 0) -> Route:
    """What the rules give a submission that could be read. `touches` is how often its person has come again with it."""
    assert reading.parsed is not None
    assert reading.form is not None
    lead, form, received_at = reading.parsed.lead, reading.form, reading.submission.received_at
    return route_of(lead, form.name, form.source, received_at, rulebook, touches)


def can_wait(reading: Reading, until: datetime, rulebook: Rulebook) -> bool:
    """Whether a submission loses nothing by being routed at `until`: its deadline would still be to come.

    What cannot be read, or is a test, costs nearly nothing to settle, and waits for nobody. Whether it is a touch or a
    duplicate is not asked: that would cost more than moving it. Whose rules ask for touches asks the store who is known.
    """
    parsed, form = reading.parsed, reading.form
    if parsed is None or form is None or parsed.is_test or parsed.is_incomplete:
        return False
    received_at = reading.submission.received_at
    return deadline_by_rules(parsed.lead, form.name, form.source, received_at, rulebook) > until


def companies_of(readings: Iterable[Reading], spellings: Spellings) -> dict[str, str]:
    """By entry, the key of the company that asks; "" where the lead tells none."""
    return {
        reading.entry_id: company_key(reading.parsed.lead, spellings)
        for reading in readings
        if reading.parsed is not None
    }


def settlement_of(  # noqa: C901, PLR0911 - one return for each thing that may be true of it
    reading: Reading, facts: SubmissionFacts, rulebook: Rulebook, now: datetime
) -> Settlement | CloseFirst | None:
    """What becomes of one submission: the first that is true of dead letter, test, duplicate, touch, new lead.

    None for one that repeats another of this batch: ask again when that one is written. Dropped now, it would stay
    dropped where the first is refused, and what it left would make the first look like a duplicate too.

    A lead or touch is noted in `facts`. Raises what made its route impossible.
    """
    entry_id, submission, parsed, form, key = (
        reading.entry_id,
        reading.submission,
        reading.parsed,
        reading.form,
        reading.key,
    )
    if reading.parts:
        return Split(entry_id, submission.id, reading.parts)
    if parsed is None or form is None or key is None:
        return Bury(entry_id, submission, reading.error, now, is_of_known_form=form is not None)
    if parsed.is_test:
        return Drop(entry_id, "tests", submission.id, form=form.name)
    asked = submission.headers.get(FETCH_HEADER)
    if asked == "late" and (found := _completion(reading, parsed, facts, rulebook, now)) is not None:
        return found
    for name in reading.names:
        if name in facts.hoped_for:
            return None
        if name in facts.known:
            return Drop(entry_id, "duplicates", submission.id, facts.known[name], form.name)
    if parsed.is_incomplete and asked is None:
        return Await(entry_id, submission, key.key, now, submission.received_at + form.wait_for_data)
    lead_id = reading.lead_id(facts.records)
    if lead_id is None:
        return Drop(entry_id, "duplicates", submission.id, submission.id, form.name)
    existing = _of_open_lead(reading, parsed, form, facts, rulebook, now)
    if existing is not None:
        return existing
    route = facts.routes[entry_id]
    if isinstance(route, Exception):
        raise route
    tally = facts.tally
    change = new_lead(
        lead_id,
        form,
        parsed,
        submission.received_at,
        route,
        tally,
        rulebook,
        now,
        submission.traceparent,
        facts.earlier(reading, rulebook),
        facts.looked_up.get(entry_id),
    )
    people = tuple((person, facts.by_person.get(person)) for person in reading.people)
    company = None
    if facts.by_company is not None:
        company, change = _newest_of(facts.by_company, facts.companies.get(entry_id, ""), change)
    facts.note(reading, change)
    return Admit(entry_id, change, reading.seen, people, company, route.team.name)


def _completion(
    reading: Reading,
    parsed: ParsedSubmission,
    facts: SubmissionFacts,
    rulebook: Rulebook,
    now: datetime,
) -> Join | CloseFirst | None:
    """The data of a lead that was routed without; None where there is no such lead, and it is a submission like any.

    Where its person has another lead open, that one is theirs: the incomplete one is closed, and this is a touch. One that
    was silent for too long is closed instead, as for any submission.
    """
    own = facts.records.get(reading.submission.id)
    if not isinstance(own, Lead) or not awaits_data(own):
        return None
    newly_named = tuple(one for one in reading.named_in_list if one.key not in facts.known)
    others = (facts.records.get(facts.by_person.get(person, "")) for person in reading.people)
    other = next((lead for lead in others if isinstance(lead, Lead) and lead.is_open), None)
    if other is not None and other.id != own.id:
        if not is_same_person(other, reading.submission.received_at, rulebook.same_person_within):
            closing = superseded(other, now)
            assert closing is not None  # it is open
            return CloseFirst(other, closing)
        if own.is_open and (closing := same_person_has_another(own, now)) is not None:
            return CloseFirst(own, closing)
        if own.closed_reason == SAME_PERSON and reading.form is not None:
            change = add_touch(
                other, _touch(reading.submission, parsed, reading.form, rulebook), None, rulebook, now
            )
            facts.note(reading, change)
            return Join(reading.entry_id, change, newly_named)
    change = completed(own, parsed, rulebook, now)
    people: tuple[tuple[str, str | None], ...] = ()
    company = None
    if other is None:  # else the person stays known by the lead that is open
        people = tuple((person, facts.by_person.get(person)) for person in reading.people)
        if facts.by_company is not None and not facts.has_newer_of_company(reading, own):
            company, change = _newest_of(facts.by_company, facts.companies.get(reading.entry_id, ""), change)
        facts.note(reading, change)
    else:
        facts.tally.note(change)
        facts.records[own.id] = change.lead
    return Join(reading.entry_id, change, newly_named, people, company)


def _newest_of(
    by_company: dict[str, str], company: str, change: LeadChange
) -> tuple[tuple[str, str | None] | None, LeadChange]:
    """The lead as its company's newest, behind which the one before is found again; and what the store is to guard."""
    if not company:
        return None, change
    before = by_company.get(company)
    by_company[company] = newest_of(change.lead, before)
    if before is not None:
        change = replace(change, lead=replace(change.lead, company_before=before))
    return (company, before), change


def _of_open_lead(
    reading: Reading,
    parsed: ParsedSubmission,
    form: Form,
    facts: SubmissionFacts,
    rulebook: Rulebook,
    now: datetime,
) -> Join | CloseFirst | None:
    """A touch of the lead that its person has open; None where there is none, and it is a new lead."""
    submission = reading.submission
    open_leads = (facts.records.get(facts.by_person.get(person, "")) for person in reading.people)
    lead = next((lead for lead in open_leads if isinstance(lead, Lead) and lead.is_open), None)
    if lead is None:
        return None
    if not is_same_person(lead, submission.received_at, rulebook.same_person_within):
        closing = superseded(lead, now)
        assert closing is not None  # it is open
        return CloseFirst(lead, closing)
    route = _route_of_touch(reading, lead, facts, rulebook)
    change = add_touch(lead, _touch(submission, parsed, form, rulebook), route, rulebook, now)
    facts.note(reading, change)
    return Join(reading.entry_id, change, (*reading.seen, Seen(submission.id, REMEMBER_KEY)))


def _route_of_touch(reading: Reading, lead: Lead, facts: SubmissionFacts, rulebook: Rulebook) -> Route | None:
    """What the rules give the submission as a touch of that lead; None where they give it nothing that can be counted."""
    route = facts.routes[reading.entry_id]
    if isinstance(route, Route) and rulebook.asks_for_touches:
        try:
            return route_of_reading(reading, rulebook, touches_with(lead))
        except (ArithmeticError, ValueError):  # another rule, and no time on its team's calendar
            return None
    return route if isinstance(route, Route) else None


def _touch(submission: Submission, parsed: ParsedSubmission, form: Form, rulebook: Rulebook) -> Touch:
    attribution = attribution_of(
        parsed.lead, form.name, form.source, submission.received_at, rulebook, is_traced=False
    )
    return Touch(
        submission.id,
        form.name,
        submission.received_at,
        attribution.source.name,
        attribution.channel,
        attribution.campaign,
        GenericLead(_cut(parsed.lead.fields), _cut(parsed.lead.custom)),
    )


def _cut(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as a touch keeps them: long texts cut, for a record holds many touches."""
    return {
        name: f"{value[:TOUCH_TEXT]}…" if isinstance(value, str) and len(value) > TOUCH_TEXT else value
        for name, value in fields.items()
        if isinstance(value, (str, int, float, bool)) or len(str(value)) <= TOUCH_TEXT
    }
