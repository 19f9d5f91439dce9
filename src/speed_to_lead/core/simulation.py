"""What another config would have done: past leads go through two rulebooks in the order they came, and are compared.

Each rulebook has rotations and counts of open leads of its own, both empty at the start, so that the two differ in
nothing but what the rules say. What a lead of the past cannot tell is assumed, the same for both (`ASSUMPTIONS`).
"""

import heapq
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from speed_to_lead.core.assignment import Tally
from speed_to_lead.core.company import company_key
from speed_to_lead.core.lead import Lead, LeadState
from speed_to_lead.core.lookup import LookedUp
from speed_to_lead.core.owner import COMPANY_DEPTH, NOTHING_EARLIER, Earlier, gives_company
from speed_to_lead.core.routing import Rulebook, assign_lead, route_of
from speed_to_lead.core.same_person import is_same_person
from speed_to_lead.core.sla import SLA
from speed_to_lead.core.submission import Form, GenericLead, person_keys

#: What can change about one lead, in the order it is told. `routed`: one config routes it, and the other cannot.
KINDS = ("routed", "source", "rule", "nurture", "team", "rep", "sla", "deadline", "steps")

#: Upper bounds of how far a deadline moved, either way; what is above the last has a place of its own.
SHIFTS = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=1), timedelta(hours=4),
          timedelta(hours=8), timedelta(days=1), timedelta(days=3), timedelta(days=7))  # fmt: skip

#: What is taken for true, because a lead of the past does not say it.
ASSUMPTIONS = (
    "both configs begin with empty rotations and nobody's open leads, and are asked in the order of receipt, each lead at "
    "the instant it came: what is called before is what the running config gives here, not who had the lead then; "
    "a lead counts as its rep's open lead until it was answered or closed where that is known, else until the deadline "
    "of the running config, in both alike, and is taken for answered then; whose a person or a company was before the first "
    "of these leads is not known, from then on each config remembers whom it gave them; who comes again while their lead is "
    "open counts as a lead of their own, which the rep they have has a claim on; nobody passes a lead on, and a lead that "
    "waits for a rep waits on; nobody is set away by hand; no look-up is asked: what it said when the lead came counts, and of "
    "what it was not asked then it gives no owner; what was a touch or a duplicate stays one; "
    "a day is a day in UTC"
)


class Asked(NamedTuple):
    """A lead as one config reads it: the form it came by is that config's. `looked_up`: what its look-up said when it came."""

    lead: GenericLead
    form: Form
    looked_up: LookedUp | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a lead: when its clock stopped (None: it runs still), and whether it was late by the deadline it had.

    `was_answered`: it stopped by an answer, so that the rep has a claim on the person's next lead; else it was closed.
    """

    stopped_at: datetime | None
    was_late: bool
    was_answered: bool = True


@dataclass(frozen=True, slots=True)
class PastLead:
    """One lead of the past. A text in place of `before` or `after` says why that config cannot read it."""

    id: object
    received_at: datetime
    before: Asked | str
    after: Asked | str
    ending: Ending | None = None
    line: int | None = None


class Placement(NamedTuple):
    """What one config gives a lead; `problem` says why nothing. One to `nurture` has no team, SLA and deadline."""

    source: str = ""
    rule: str = ""
    team: str = ""
    rep: str | None = None
    sla: str = ""
    deadline: datetime | None = None
    nurture: str = ""
    problem: str = ""


class Difference(NamedTuple):
    """One lead that the two configs treat differently: in what (of KINDS), and how each does."""

    id: object
    line: int | None
    received_at: datetime
    kinds: tuple[str, ...]
    before: Placement
    after: Placement

    @property
    def shift(self) -> timedelta:
        """How much later the deadline is under the candidate."""
        if self.before.deadline is None or self.after.deadline is None:
            return timedelta()
        return self.after.deadline - self.before.deadline


class Load(NamedTuple):
    """How many leads one rep of one team was given on one day; the rep is "" where a team has nobody."""

    day: int  # as `date.toordinal` counts them
    team: str
    rep: str


@dataclass(slots=True)
class Breaches:
    """Late answers among the leads of which the ending is known, as it happened and by the two configs' deadlines."""

    judged: int = 0
    recorded: int = 0
    recorded_still: int = 0  # late as it happened, and late under the candidate
    before: int = 0
    after: int = 0
    avoided: int = 0
    new: int = 0

    def count(self, *, recorded: bool, before: bool, after: bool) -> None:
        """Count one lead."""
        self.judged += 1
        self.recorded += recorded
        self.recorded_still += recorded and after
        self.before += before
        self.after += after
        self.avoided += before and not after
        self.new += after and not before


class _Keys(NamedTuple):
    """Under what the earlier leads of one lead's person and company are found; no company where no rule asks for it."""

    people: tuple[str, ...] = ()
    company: str = ""


class _Given(NamedTuple):
    """A lead that one config gave to somebody, or to nobody: whose it is, and when and how its clock stops."""

    id: object
    received_at: datetime
    team: str
    rep: str | None
    ends_at: datetime | None
    is_answered_then: bool

    def as_lead(self, now: datetime, *, claimed_if_open: bool) -> Lead:
        """As a record, as it stands at `now`. An open one of the same person is shown as answered: it gives a claim."""
        is_open = self.ends_at is None or now < self.ends_at
        is_answered = claimed_if_open if is_open else self.is_answered_then
        return replace(
            _A_LEAD,
            id=str(self.id),
            received_at=self.received_at,
            team=self.team,
            rep=self.rep,
            state=LeadState.ANSWERED if is_answered else LeadState.OPEN if is_open else LeadState.CLOSED,
            answered_at=self.received_at if is_answered else None,
        )


_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_A_LEAD = Lead(
    *("", 1, LeadState.OPEN, "", _LONG_AGO, GenericLead({}), "", "", "", "", "", None, "", _LONG_AGO, (), ""),
)


@dataclass(slots=True)
class _Side:
    """One config's world: its rules, whose turn it is, who has how many open leads, and whose each person and company is."""

    rules: Rulebook
    tally: Tally = field(default_factory=Tally)
    people: dict[str, _Given] = field(default_factory=dict)
    companies: dict[str, deque[_Given]] = field(default_factory=dict)

    def keys(self, asked: Asked | str) -> _Keys:
        """The keys of a lead."""
        if isinstance(asked, str):
            return _Keys()
        company = company_key(asked.lead, self.rules.spellings) if self.rules.keeps_companies else ""
        return _Keys(person_keys(asked.lead), company)

    def earlier(self, keys: _Keys, at: datetime) -> Earlier:
        """The newest leads that person and company were given before, as the router would find them."""
        known = (self.people[key] for key in keys.people if key in self.people)
        given = next(known, None)
        person = given.as_lead(at, claimed_if_open=True) if given is not None else None
        if person is not None and not is_same_person(person, at, self.rules.same_person_within):
            person = None
        company = None
        for one in self.companies.get(keys.company, ()):
            company = one.as_lead(at, claimed_if_open=False)
            if gives_company(company):
                break
        return NOTHING_EARLIER if person is None and company is None else Earlier(person, company)

    def remember(self, keys: _Keys, given: _Given) -> None:
        """Note whose that lead is."""
        for key in keys.people:
            self.people[key] = given
        if keys.company:
            # One more than is looked through, as of a company's leads behind its newest.
            self.companies.setdefault(keys.company, deque(maxlen=COMPANY_DEPTH + 1)).appendleft(given)

    def place(self, asked: Asked | str, at: datetime, keys: _Keys) -> tuple[Placement, SLA | None]:
        """Where this config sends the lead, and who gets it now."""
        if isinstance(asked, str):
            return Placement(problem=asked), None
        try:
            form = asked.form
            route = route_of(asked.lead, form.name, form.source, at, self.rules, is_traced=False)
            if route.nurture:
                source = route.attribution.source.name
                return Placement(source, route.rule.name, nurture=route.nurture), None
            earlier = self.earlier(keys, at)
            team, pick, _ = assign_lead(
                asked.lead, route, earlier, self.tally, self.rules, at, asked.looked_up
            )
        except (
            ArithmeticError,
            ValueError,
        ) as error:  # a calendar that never opens again, the end of all years
            return Placement(problem=f"no deadline can be counted: {error}"), None
        if pick.rotation is not None:
            self.tally.turn(pick.rotation)
        rep = pick.rep.id if pick.rep is not None else None
        self.add(rep, 1)
        source = route.attribution.source.name
        return Placement(source, route.rule.name, team.name, rep, route.sla.name, route.deadline), route.sla

    def add(self, rep: str | None, number: int) -> None:
        """Change a rep's number of open leads."""
        if rep is not None:
            self.tally.load[rep] = self.tally.load.get(rep, 0) + number


class Simulation:
    """Two configs side by side; `now` is when leads that nobody has answered are judged."""

    def __init__(self, running: Rulebook, candidate: Rulebook, now: datetime) -> None:
        self._before, self._after = _Side(running), _Side(candidate)
        self._now = now
        self._ends: list[tuple[datetime, int, str | None, str | None]] = []
        self.leads = 0
        self.changed = 0
        self.first_at: datetime | None = None
        self.last_at: datetime | None = None
        self.kinds: Counter[str] = Counter()
        self.shifts: Counter[int] = Counter()
        self.breaches = Breaches()
        self.load_before: Counter[Load] = Counter()
        self.load_after: Counter[Load] = Counter()

    def replay(self, past: PastLead) -> Difference | None:
        """Send one lead through both configs; the difference, or None. Leads must come in the order of receipt."""
        at = past.received_at
        if self.last_at is not None and at < self.last_at:
            raise ValueError(f"leads are replayed in the order of receipt: {at} comes after {self.last_at}")
        self.first_at, self.last_at = self.first_at or at, at
        self.leads += 1
        self._close_until(at)
        keys = self._keys(past)
        (before, sla_before), (after, sla_after) = (
            self._before.place(past.before, at, keys[0]),
            self._after.place(past.after, at, keys[1]),
        )
        ends_at = past.ending.stopped_at if past.ending is not None else before.deadline or after.deadline
        self._close_later(ends_at, before, after)
        is_answered = past.ending is None or past.ending.was_answered
        for side, placement, of_side in zip((self._before, self._after), (before, after), keys, strict=True):
            if placement.deadline is not None:  # what goes to nurture takes nobody's place
                side.remember(
                    of_side, _Given(past.id, at, placement.team, placement.rep, ends_at, is_answered)
                )
        self._count(past, before, after)
        kinds = _kinds(before, after, sla_before, sla_after)
        if not kinds:
            return None
        self.changed += 1
        self.kinds.update(kinds)
        return Difference(past.id, past.line, at, kinds, before, after)

    def _keys(self, past: PastLead) -> tuple[_Keys, _Keys]:
        """The lead's keys on both sides, worked out once where both read it alike: they are hashes."""
        before, after = self._before, self._after
        first = before.keys(past.before)
        if (
            isinstance(past.before, Asked)
            and isinstance(past.after, Asked)
            and past.before.lead is past.after.lead
            and before.rules.spellings is after.rules.spellings
            and before.rules.keeps_companies == after.rules.keeps_companies
        ):
            return first, first
        return first, after.keys(past.after)

    def _close_until(self, now: datetime) -> None:
        while self._ends and self._ends[0][0] <= now:
            _, _, before, after = heapq.heappop(self._ends)
            self._before.add(before, -1)
            self._after.add(after, -1)

    def _close_later(self, ends_at: datetime | None, before: Placement, after: Placement) -> None:
        if ends_at is not None:
            heapq.heappush(self._ends, (ends_at, self.leads, before.rep, after.rep))

    def _count(self, past: PastLead, before: Placement, after: Placement) -> None:
        day = past.received_at.toordinal()
        if before.team:  # to nurture is nobody's load
            self.load_before[Load(day, before.team, before.rep or "")] += 1
        if after.team:
            self.load_after[Load(day, after.team, after.rep or "")] += 1
        if before.deadline is None or after.deadline is None:
            return
        self.shifts[shift_place(after.deadline - before.deadline)] += 1
        if past.ending is not None:
            stopped = past.ending.stopped_at or self._now
            self.breaches.count(
                recorded=past.ending.was_late,
                before=stopped >= before.deadline,  # an answer at the deadline is late
                after=stopped >= after.deadline,
            )

    def load_of_teams(self) -> Iterator[tuple[int, str, int, int]]:
        """Day, team, and how many leads it was given before and after; in order."""
        teams: dict[tuple[int, str], list[int]] = {}
        for place, counts in enumerate((self.load_before, self.load_after)):
            for load, number in counts.items():
                teams.setdefault((load.day, load.team), [0, 0])[place] += number
        for (day, team), (before, after) in sorted(teams.items()):
            yield day, team, before, after

    def load_of_reps(self) -> Iterator[tuple[Load, int, int]]:
        """Day, team and rep, and how many leads that one was given before and after; in order."""
        for load in sorted({*self.load_before, *self.load_after}):
            yield load, self.load_before[load], self.load_after[load]


def shift_place(shift: timedelta) -> int:
    """The place of a shift among SHIFTS: 0 for none, 1 for the first bound, below nought where it is earlier."""
    if not shift:
        return 0
    size = abs(shift)
    place = next((number for number, bound in enumerate(SHIFTS, 1) if size <= bound), len(SHIFTS) + 1)
    return place if shift > timedelta() else -place


def _kinds(
    before: Placement, after: Placement, sla_before: SLA | None, sla_after: SLA | None
) -> tuple[str, ...]:
    if before.problem or after.problem:
        return ("routed",) if bool(before.problem) is not bool(after.problem) else ()
    kinds = [
        kind for kind in ("source", "rule", "nurture", "team", "rep", "sla", "deadline")
        if getattr(before, kind) != getattr(after, kind)
    ]  # fmt: skip
    if (sla_before.steps if sla_before else ()) != (sla_after.steps if sla_after else ()):
        kinds.append("steps")
    return tuple(kinds)
