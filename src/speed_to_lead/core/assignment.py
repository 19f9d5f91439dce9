"""Which rep gets a lead: weighted round robin, fewest open leads, or a match; within shifts, leave, caps and cooldowns.

The rotation is stride scheduling (Waldspurger and Weihl, OSDI '94, "Lottery and Stride Scheduling"): each pick
moves a rep's next turn on by STRIDE / weight, and the rep whose turn is earliest is picked. A rep who was away joins at the
team's current turn, so nobody returning from leave is flooded. Of those whose turn it is, the one goes first who was left
behind furthest, then the one whose last pick is longest ago: so equals who come and go together are picked one after the
other, even where their shift lasts for one lead a day, and nobody is skipped.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from speed_to_lead.core.calendar import Calendar
from speed_to_lead.core.conditions import Condition, parse_condition
from speed_to_lead.core.facts import Facts
from speed_to_lead.core.meanings import PLAIN, Spellings
from speed_to_lead.core.reps import Absence, Candidate, Given, Rep, Standing, candidate

if TYPE_CHECKING:
    from speed_to_lead.core.lead import LeadChange

#: One turn of a rep of weight 1. Divisible by every weight to 16, so that shares stay exact integers.
STRIDE = 720_720
#: The names of a group's reps are its own up to this length; a turn is stored for each of them under it.
_LONGEST_GROUP = 60


class Assignment(StrEnum):
    """How a team shares its leads out."""

    ROUND_ROBIN = "round_robin"
    LEAST_OPEN = "least_open"
    BY_FIELD = "by_field"  # round robin among those whose attributes match the lead
    STICKY = "sticky"  # whoever has the person or their company (`core/owner.py`); the rest in a round robin


class WhenNobody(StrEnum):
    """What becomes of a lead while nobody of its team is available."""

    NEXT_ON_SHIFT = "next_on_shift"  # somebody gets it all the same: whose shift opens next, and so on
    QUEUE = "queue"  # it waits without a rep until somebody is available
    OTHER_TEAM = "team"  # another team gets it


@dataclass(frozen=True, slots=True)
class Match:
    """A field of the lead that must fit an attribute of the rep. `values`: all that reps of the team have, each as a condition."""

    attribute: str
    field: str
    values: tuple[tuple[str, Condition], ...]

    def fitting(self, facts: Facts) -> tuple[str, ...] | None:
        """The values that the lead's field fits; None where the lead does not say, so that it fits everybody."""
        if not any(facts[self.field].texts):
            return None
        return tuple(value for value, condition in self.values if condition.holds(facts))


def match_of(attribute: str, asked: str, reps: Iterable[Rep], spellings: Spellings = PLAIN) -> Match:
    """The match of a lead's field with an attribute of these reps. Raises ConditionError for a value that none can be."""
    values = dict.fromkeys(value for rep in reps for value in rep.attributes.get(attribute, ()))
    return Match(
        attribute, asked, tuple((value, parse_condition(asked, value, spellings)) for value in values)
    )


@dataclass(frozen=True, slots=True)
class Team:
    """Reps who share leads; `manager` is the destination that hears of breaches.

    `overflow` is the team that gets what nobody here is available for (OTHER_TEAM), `unmatched` the one that gets what
    nobody here has the attributes for; "" for whoever is here. `levels` are the destinations of `level:1`, `level:2`, …;
    the manager alone where there are none.
    """

    name: str
    calendar: Calendar
    manager: str
    assignment: Assignment
    reps: tuple[Rep, ...]
    match: tuple[Match, ...] = ()
    when_nobody: WhenNobody = WhenNobody.NEXT_ON_SHIFT
    overflow: str = ""
    unmatched: str = ""
    levels: tuple[str, ...] = ()
    _last_line_up: "tuple[datetime, _LineUp | None] | None" = field(
        default=None, init=False, repr=False, compare=False
    )

    def level(self, number: int) -> str:
        """The destination of that level of escalation, from 1; the highest there is where it has fewer."""
        levels = self.levels or (self.manager,)
        return levels[min(number, len(levels)) - 1]

    def line_up(self, now: datetime) -> "_LineUp | None":
        """Who could get a lead at `now` where only shifts and leave matter; None where a rep has a cap or a cooldown."""
        last = self._last_line_up
        if last is not None and last[0] is now:  # a batch asks about the same instant for each lead
            return last[1]
        has_caps = any(rep.max_open is not None or rep.is_paced for rep in self.reps)
        found = None if has_caps else _line_up(candidate(rep, {}, {}, {}, now) for rep in self.reps)
        object.__setattr__(
            self, "_last_line_up", (now, found)
        )  # as one: another thread finds both or neither
        return found

    def rep(self, rep_id: str | None) -> Rep | None:
        """The rep of that id, or None."""
        for rep in self.reps:
            if rep.id == rep_id:
                return rep
        return None


@dataclass(frozen=True, slots=True)
class Turns:
    """Whose turn it is among some reps. `clock` and `turns` are in units of STRIDE; `picked`: at which version each was."""

    clock: int = 0
    turns: Mapping[str, int] = field(default_factory=dict)
    picked: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rotation:
    """Whose turn it is in one team. `version` counts the picks written; the rest is as for `Turns`.

    `groups` are the rotations of a team that assigns by match: one for each set of reps who match the same leads.
    """

    version: int = 0
    clock: int = 0
    turns: Mapping[str, int] = field(default_factory=dict)
    picked: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, Turns] = field(default_factory=dict)

    def of(self, group: str) -> "Rotation | Turns":
        """The turns of a group; those of the whole team for ""."""
        return self.groups.get(group, _NO_TURNS) if group else self


_NO_TURNS = Turns()


@dataclass(frozen=True, slots=True)
class RotationChange:
    """One pick, decided on `version` of the team's rotation: the store refuses it where others picked since.

    Where what the rep is given is counted, it was `given_before` and is `given` afterwards. With `max_open` the rep has
    fewer open leads than that. The store refuses the pick where either is no longer so: somebody may be in two teams.
    """

    team: str
    version: int
    clock: int
    rep: str
    turn: int
    group: str = ""
    given: Given | None = None
    given_before: Given | None = None
    max_open: int | None = None

    def applied_to(self, rotation: Rotation) -> Rotation:
        """The rotation as it will be once this pick is written."""
        of_group = rotation.of(self.group)
        turns = {**of_group.turns, self.rep: self.turn}
        picked = {**of_group.picked, self.rep: self.version + 1}
        if not self.group:
            return Rotation(self.version + 1, self.clock, turns, picked, rotation.groups)
        groups = {**rotation.groups, self.group: Turns(self.clock, turns, picked)}
        return Rotation(self.version + 1, rotation.clock, rotation.turns, rotation.picked, groups)


@dataclass(slots=True)
class Tally:
    """What a pick is made on: rotations, open leads, what was given lately, absences told at run time.

    As they stand after the decisions made so far in one batch.
    """

    rotations: dict[str, Rotation] = field(default_factory=dict)
    load: dict[str, int] = field(default_factory=dict)
    given: dict[str, Given] = field(default_factory=dict)
    away: Mapping[str, Absence] = field(default_factory=dict)

    def rotation(self, team: str) -> Rotation:
        """The rotation of a team; a new one for a team that never had a lead."""
        return self.rotations.get(team) or Rotation()

    def note(self, change: "LeadChange") -> None:
        """Count a decision, so that the next one of the batch is made on it."""
        if change.rotation is not None:
            self.turn(change.rotation)
        for rep, moved in change.load.items():
            self.load[rep] = self.load.get(rep, 0) + moved

    def turn(self, change: RotationChange) -> None:
        """Count a pick."""
        self.rotations[change.team] = change.applied_to(self.rotation(change.team))
        if change.given is not None:
            self.given[change.rep] = change.given


class Pick(NamedTuple):
    """The rep who gets the lead (None where nobody does), how it was decided, and the next turn.

    `team` is theirs, or the one that was asked last. `waits`: the lead is to be given as soon as somebody is available.
    """

    rep: Rep | None
    reasons: tuple[str, ...]
    rotation: RotationChange | None
    team: Team
    waits: bool = False


class _LineUp(NamedTuple):
    """Those whom a lead could go to, how those stand who stand best and are there first, and who they are."""

    candidates: tuple[Candidate, ...]
    standing: Standing
    eligible: tuple[Rep, ...]
    ids: frozenset[str]


def _line_up(found: Iterable[Candidate]) -> _LineUp | None:
    """None where there is nobody."""
    candidates = tuple(found)
    if not candidates:
        return None
    standing, since = min((one.standing, one.since) for one in candidates)
    eligible = tuple(one.rep for one in candidates if one.standing is standing and one.since == since)
    return _LineUp(candidates, standing, eligible, frozenset(rep.id for rep in eligible))


_LAST_RESORT = {
    Standing.COOLING_DOWN: "it goes to whose cooldown ends next",
    Standing.OFF_SHIFT: "it goes to the rep whose shift opens next",
    Standing.AT_CAP: "everybody not on leave is at their cap, so one goes over it",
    Standing.ON_LEAVE: "everybody is on leave, so it goes to whoever is back first",
}
_NO_TEAMS: Mapping[str, Team] = MappingProxyType({})
_NO_FACTS = Facts({})


def teams_asked(team: Team, teams: Mapping[str, Team]) -> tuple[str, ...]:
    """The names of all teams that a lead of this one may come to, itself first: their rotations are needed to decide."""
    names = [team.name]
    for name in names:  # grows while it is walked
        here = teams.get(name, team)
        names += [other for other in (here.overflow, here.unmatched) if other and other not in names]
    return tuple(names)


def stand_ins(team: Team, teams: Mapping[str, Team]) -> tuple[Team, ...]:
    """The team and those that get its leads in turn while nobody of those before them is available, in that order."""
    chain = [team]
    while (onward := teams.get(chain[-1].overflow)) is not None and onward not in chain:
        chain.append(onward)
    return tuple(chain)


def assign(
    team: Team,
    teams: Mapping[str, Team],
    tally: Tally,
    facts: Facts,
    now: datetime,
    *,
    had_it: Collection[str] = (),
    instead_of: str | None = None,
) -> Pick:
    """The rep who gets a lead of `team` at `now`: one of its own, or where config says so, of another team.

    A team whose leads go on to another gives one away only while nobody of its own is available. `teams` are all there
    are; the rest is as for `pick_rep`.
    """
    if not team.match and not team.overflow:  # most teams, for each lead
        return pick_rep(team, tally, now, had_it=had_it, instead_of=instead_of)
    holder = team.rep(instead_of)
    asked: set[str] = set()
    said: tuple[str, ...] = ()
    while True:
        asked.add(team.name)
        group, matching, unlike = _matching(team, facts)
        # A team is asked once: config check refuses loops.
        others = {name: teams.get(name) for name in (team.overflow, team.unmatched) if name not in asked}
        elsewhere = others.get(team.unmatched) if team.match and not matching else None
        if elsewhere is not None:
            said += (*unlike, f'nobody of team "{team.name}" matches, so it goes to team "{elsewhere.name}"')
            team = elsewhere
            continue
        onward = others.get(team.overflow)
        pick = pick_rep(
            team,
            tally,
            now,
            had_it=had_it,
            instead_of=instead_of,
            holder=holder,
            among=(group, matching) if matching else None,
            only_available=onward is not None,
        )
        reasons = (*said, *unlike, *pick.reasons)
        if pick.rep is not None or onward is None:
            return pick._replace(reasons=reasons)
        said = (*reasons, f'nobody of team "{team.name}" is available, so it goes to team "{onward.name}"')
        team = onward


def pick_rep(
    team: Team,
    tally: Tally,
    now: datetime,
    *,
    had_it: Collection[str] = (),
    instead_of: str | None = None,
    holder: Rep | None = None,
    among: tuple[str, Collection[str]] | None = None,
    only_available: bool = False,
) -> Pick:
    """The rep of `team` who gets a lead at `now`, with a reason for every rep of the team.

    First choice: on shift, not away, below the caps, not cooling down. A lead without a rep is worse than a rep with one
    lead too many, so where nobody qualifies it goes to whose cooldown ends, then whose shift opens next, then over a cap,
    then to whoever is back first; with `only_available`, or where the team's leads queue, to nobody. Reps in `had_it`
    never get it again, and a lead taken from `instead_of` goes to nobody who is worse placed to answer than that rep:
    where no others are left, the pick is empty; `holder` is that rep where another team's. `among` are the ids of those
    it is picked among, and their group.
    """
    group, ids = among or ("", None)
    reasons: list[str] = []
    waits = team.when_nobody is WhenNobody.QUEUE and instead_of is None
    line_up = None
    if not had_it and instead_of is None and ids is None and not tally.away:  # most leads there are
        line_up = team.line_up(now)
    if line_up is None:
        reasons += [f"{rep.id}: had this lead before" for rep in team.reps if rep.id in had_it]
        candidates = [
            candidate(rep, tally.load, tally.given, tally.away, now)
            for rep in team.reps
            if rep.id not in had_it and rep.id != instead_of and (ids is None or rep.id in ids)
        ]
        own = team.rep(instead_of)
        if own is not None:
            reasons.append(f"{own.id}: has it now")
        holder = own or holder
        if holder is not None:
            # Somebody who had another lead a moment ago still answers sooner than one who let this one wait.
            limit = max(
                candidate(holder, tally.load, tally.given, tally.away, now).standing, Standing.COOLING_DOWN
            )
            worse = [one for one in candidates if one.standing > limit]
            reasons += [
                f"{c.rep.id}: {c.why}, so no better placed than {holder.id}, who has it" for c in worse
            ]
            candidates = [one for one in candidates if one.standing <= limit]
        line_up = _line_up(candidates)
    if line_up is None:
        return Pick(None, (*reasons, f"nobody else is left in team {team.name}"), None, team, waits)
    if line_up.standing is not Standing.AVAILABLE:
        if only_available or waits:
            reasons += [f"{one.rep.id}: {one.why}" for one in line_up.candidates]
            return Pick(None, tuple(reasons), None, team, waits and not only_available)
        reasons.append(f"nobody is on shift, present and below their cap; {_LAST_RESORT[line_up.standing]}")
    rotation = tally.rotation(team.name)
    turns = rotation.of(group)
    chosen = min(line_up.eligible, key=_order_in(team, turns, tally.load))
    turn = max(turns.turns.get(chosen.id, 0), turns.clock)
    # Whom a lead passes by because they had it is not away: their turn must not be moved on by that.
    clock = turns.clock if had_it or instead_of is not None else turn
    change = RotationChange(
        team.name, rotation.version, clock, chosen.id, turn + max(STRIDE // chosen.weight, 1), group
    )
    change = _with_caps(change, chosen, tally, now, is_available=line_up.standing is Standing.AVAILABLE)
    reasons += [
        f"{one.rep.id}: {_reason(one, chosen, line_up.ids, team, tally.load)}" for one in line_up.candidates
    ]
    return Pick(chosen, tuple(reasons), change, team)


def _with_caps(
    change: RotationChange, chosen: Rep, tally: Tally, now: datetime, *, is_available: bool
) -> RotationChange:
    """The pick with what the store must find unchanged of the rep's caps; as it is where the rep has none."""
    if not chosen.is_paced and chosen.max_open is None:
        return change
    before = tally.given.get(chosen.id)
    return RotationChange(
        *(change.team, change.version, change.clock, change.rep, change.turn, change.group),
        given=chosen.with_one_more(before, now) if chosen.is_paced else None,
        given_before=before if chosen.is_paced else None,
        max_open=chosen.max_open if is_available else None,
    )


def _matching(team: Team, facts: Facts) -> tuple[str, Collection[str], list[str]]:
    """Of a team that assigns by match: the group that shares such leads, who is in it, and why the others are not.

    Nobody is in it where nobody matches; then, as in other teams, whoever is there gets the lead.
    """
    if not team.match:
        return "", (), []
    fitting = [match.fitting(facts) for match in team.match]
    unlike: list[str] = []
    matching: list[str] = []
    for rep in team.reps:
        missing = next(
            (
                match
                for match, values in zip(team.match, fitting, strict=True)
                if values is not None and not set(values) & set(rep.attributes.get(match.attribute, ()))
            ),
            None,
        )
        if missing is None:
            matching.append(rep.id)
            continue
        theirs = ", ".join(rep.attributes.get(missing.attribute, ())) or "none"
        unlike.append(
            f"{rep.id}: no match, {missing.field} {facts.found(missing.field)}, {missing.attribute} is {theirs}"
        )
    if not matching:
        return "", (), unlike
    return "" if len(matching) == len(team.reps) else _group_of(matching), matching, unlike


def _group_of(matching: Collection[str]) -> str:
    """The name of the rotation among these reps.

    By who they are and not by what the lead asked for: with a rotation for each country, the first lead of every country
    would go to the same rep, though they share all of them.
    """
    names = "+".join(sorted(matching))
    if len(names) <= _LONGEST_GROUP:
        return names
    return hashlib.blake2b(names.encode(), digest_size=12).hexdigest()


def _order_in(
    team: Team, turns: Rotation | Turns, load: Mapping[str, int]
) -> Callable[[Rep], tuple[Fraction | int, ...]]:
    """By what the eligible reps of a team are ordered: the first of them is picked."""
    clock, next_turns, picked = turns.clock, turns.turns, turns.picked

    def by_turn(rep: Rep) -> tuple[int, ...]:
        own = next_turns.get(rep.id, 0)
        return (max(clock, own), own, picked.get(rep.id, 0))

    def by_share(rep: Rep) -> tuple[Fraction | int, ...]:
        return (Fraction(load.get(rep.id, 0), rep.weight), *by_turn(rep))

    return by_share if team.assignment is Assignment.LEAST_OPEN else by_turn


def _reason(
    one: Candidate, chosen: Rep, eligible: Collection[str], team: Team, load: Mapping[str, int]
) -> str:
    rep = one.rep
    if rep is chosen:
        why = "the only one" if len(eligible) == 1 else f"first of {len(eligible)} by {team.assignment}"
        return f"picked, {one.why}, {why}"
    if rep.id not in eligible:
        return one.why
    if team.assignment is Assignment.LEAST_OPEN:
        open_leads, of_chosen = load.get(rep.id, 0), load.get(chosen.id, 0)
        if open_leads * chosen.weight != of_chosen * rep.weight:
            return f"{one.why}, but has {open_leads} open (weight {rep.weight})"
    return f"{one.why}, but {chosen.id}'s turn is earlier"
