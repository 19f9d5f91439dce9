"""What another config would have done: past leads go through two rulebooks in the order they came, and are compared.

Each rulebook has rotations and counts of open leads of its own, both empty at the start, so that the two differ in
nothing but what the rules say. What a lead of the past cannot tell is assumed, the same for both (`ASSUMPTIONS`).
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from speed_to_lead.core.assignment import Tally
from speed_to_lead.core.owner import NOTHING_EARLIER
from speed_to_lead.core.routing import Rulebook, assign_lead, route_of
from speed_to_lead.core.sla import SLA
from speed_to_lead.core.submission import Form, GenericLead

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
    "of the running config, in both alike; nobody passes a lead on, and a lead that waits for a rep waits on; nobody is set away by hand; nobody keeps the rep who had them or their company before; what was a touch or a duplicate stays one; "
    "a day is a day in UTC"
)


class Asked(NamedTuple):
    """A lead as one config reads it: the form it came by is that config's."""

    lead: GenericLead
    form: Form


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a lead: when its clock stopped (None: it runs still), and whether it was late by the deadline it had."""

    stopped_at: datetime | None
    was_late: bool


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


@dataclass(slots=True)
class _Side:
    """One config's world: its rules, whose turn it is, and who has how many open leads."""

    rules: Rulebook
    tally: Tally = field(default_factory=Tally)

    def place(self, asked: Asked | str, at: datetime) -> tuple[Placement, SLA | None]:
        """Where this config sends the lead, and who gets it now."""
        if isinstance(asked, str):
            return Placement(problem=asked), None
        try:
            form = asked.form
            route = route_of(asked.lead, form.name, form.source, at, self.rules, is_traced=False)
            if route.nurture:
                source = route.attribution.source.name
                return Placement(source, route.rule.name, nurture=route.nurture), None
            team, pick, _ = assign_lead(asked.lead, route, NOTHING_EARLIER, self.tally, self.rules, at)
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
        (before, sla_before), (after, sla_after) = (
            self._before.place(past.before, at),
            self._after.place(past.after, at),
        )
        self._close_later(past.ending, before, after)
        self._count(past, before, after)
        kinds = _kinds(before, after, sla_before, sla_after)
        if not kinds:
            return None
        self.changed += 1
        self.kinds.update(kinds)
        return Difference(past.id, past.line, at, kinds, before, after)

    def _close_until(self, now: datetime) -> None:
        while self._ends and self._ends[0][0] <= now:
            _, _, before, after = heapq.heappop(self._ends)
            self._before.add(before, -1)
            self._after.add(after, -1)

    def _close_later(self, ending: Ending | None, before: Placement, after: Placement) -> None:
        ends_at = ending.stopped_at if ending is not None else before.deadline or after.deadline
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
