"""Who has a claim on a new lead before the rotation is asked: whom it names, who had its person, who has its company.

    named      the lead says whose it is, in the field that its rule's `owner_from` names; or a look-up does
    person     an earlier lead of this person was answered: its rep gets the next one too
    company    `keep_with = "company"`: the newest lead of the company that is open or was answered is a rep's

The first claim that holds decides. It takes no turn: the rotation shares out the leads that nobody has a claim on. A
claim that does not hold is told in the trace, and the next one is asked.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from speed_to_lead.core.assignment import Assignment, Tally, Team, assign
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.lookup import LookedUp
from speed_to_lead.core.reps import Rep, Standing, candidate
from speed_to_lead.core.rules import KeepWith, Rule
from speed_to_lead.core.submission import GenericLead
from speed_to_lead.core.values import bare_address, folded

if TYPE_CHECKING:
    from speed_to_lead.core.routing import Route, Rulebook


@dataclass(frozen=True, slots=True)
class Earlier:
    """The newest earlier lead of the same person, not open any more, and of the same company; None where there is none.

    An error stands for one that cannot be read.
    """

    person: Lead | Exception | None = None
    company: Lead | Exception | None = None


NOTHING_EARLIER = Earlier()


#: Leads of one company that are looked through for the newest that counts.
COMPANY_DEPTH = 10


def gives_company(lead: Lead) -> bool:
    """Whether the company is its rep's: somebody there waits for the rep's answer, or got it. While it waits, it has none."""
    return lead.rep is not None and (lead.is_open or lead.answered_at is not None)


def keep_with(rule: Rule, team: Team) -> KeepWith:
    """Whose rep a rule's leads stay with: in a team that assigns `sticky` the company's too, unless the rule says nobody's."""
    if team.assignment is Assignment.STICKY and rule.keep_with is KeepWith.PERSON:
        return KeepWith.COMPANY
    return rule.keep_with


class Owner(NamedTuple):
    """Whose the lead is by a claim, in which team; no rep where no claim holds. `reasons` says why, one line for each."""

    rep: Rep | None
    team: Team
    reasons: tuple[str, ...]


class _Claim(NamedTuple):
    rep_id: str
    team: str  # where the rep had the lead that the claim is made of; "" where there is none
    why: str


def owner_of(
    lead: GenericLead,
    route: "Route",
    earlier: Earlier,
    rulebook: "Rulebook",
    tally: Tally,
    now: datetime,
    looked_up: LookedUp | None = None,
) -> Owner | None:
    """Who has a claim on a lead at `now`; None where nobody could have one. `looked_up`: what the rule's look-up said."""
    rule, reasons = route.rule, list[str]()
    if earlier is NOTHING_EARLIER and rule.owner_from is None:  # most leads there are
        return None
    if rule.owner_from is not None:
        named = (
            _named_by_lookup(rule.lookup, looked_up, rulebook, reasons)
            if rule.lookup
            else _named_by_lead(lead, rule.owner_from, route, rulebook, reasons)
        )
        owner = _named_owner(named, route, rulebook, tally, now, reasons) if named is not None else None
        if owner is not None:
            return owner
    keep = keep_with(rule, route.team)
    if keep is KeepWith.NOBODY:
        if earlier.person is not None:
            reasons.append('who had this person does not count: the rule says keep_with = "nobody"')
    else:
        claim = _claim_of("person", earlier.person, reasons, if_open=False)
        owner = _kept_owner(claim, route, rulebook, tally, now, reasons)
        is_another = earlier.company is not earlier.person
        if owner is None and keep is KeepWith.COMPANY and is_another:
            claim = _claim_of("company", earlier.company, reasons, if_open=True)
            owner = _kept_owner(claim, route, rulebook, tally, now, reasons)
        if owner is not None:
            return owner
    return Owner(None, route.team, tuple(reasons)) if reasons else None


# --- whom the lead, or a look-up, names ------------------------------------------------------------------------


class _Named(NamedTuple):
    rep_id: str
    by: str  # the field or look-up that names it, as a trace says it
    what: str  # and the beginning of a sentence about it


def _named_by_lead(
    lead: GenericLead, field: str, route: "Route", rulebook: "Rulebook", reasons: list[str]
) -> _Named | None:
    """The rep whom the field names, by id, name or e-mail address."""
    value = lead.get(field)
    if value is None:
        reasons.append(f"it names no owner: {field} is not given")
        return None
    rep_id, problem = _rep_called(value, rulebook)
    if problem:
        shown = None if "@" in str(value) else route.attribution.facts.shown(value, field)
        named = f'"{shown}"' if shown is not None else "an address or the person's own words"
        reasons.append(f"the owner it names is not known: {field} is {named}, {problem}")
        return None
    return _Named(rep_id, field, f"the owner it names ({field})")


def _named_by_lookup(
    name: str, answer: LookedUp | None, rulebook: "Rulebook", reasons: list[str]
) -> _Named | None:
    """The rep whom the look-up names. Its word is not repeated, for it may name anybody: the lead's record has it."""
    if answer is None or answer.name != name:
        reasons.append(f"look-up {name} gives no owner: it was not asked")
        return None
    if answer.problem:
        reasons.append(f"look-up {name} gives no owner: {answer.problem}")
        return None
    rep_id, problem = _rep_called(answer.owner, rulebook)
    if problem:
        reasons.append(f"the owner that look-up {name} gives is not known: {problem}")
        return None
    return _Named(rep_id, f"look-up {name}", f"the owner that look-up {name} gives")


def _rep_called(word: object, rulebook: "Rulebook") -> tuple[str, str]:
    """The id of the one rep whom the word means; else why it means none."""
    rep_ids = _called(word, rulebook)
    if len(rep_ids) == 1:
        return next(iter(rep_ids)), ""
    if not rep_ids:
        return "", "nobody in teams.toml"
    return "", f"{len(rep_ids)} reps are called so ({', '.join(sorted(rep_ids))})"


def _named_owner(
    named: _Named, route: "Route", rulebook: "Rulebook", tally: Tally, now: datetime, reasons: list[str]
) -> Owner | None:
    """The rep who is named: nobody where they are on leave; off shift and over a cap it is theirs."""
    rep_id, by, what = named
    team, rep = _found(rep_id, route.team, "", rulebook)
    _, standing, _, why = candidate(rep, tally.load, tally.given, tally.away, now)
    if standing is Standing.ON_LEAVE:
        reasons.append(f"{what} is {rep_id}: {why}")
        return None
    return Owner(rep, team, (*reasons, f"{rep_id}: named as its owner ({by}), {why}, takes no turn"))


def _called(value: Any, rulebook: "Rulebook") -> frozenset[str]:
    """The ids of the reps so called: by the text as it is, else by the address alone of "Ana Ruiz <ana@example.com>"."""
    word = value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value  # one answer ticked
    by_word = rulebook.reps_by_word
    return by_word.get(folded(word)) or by_word.get(folded(bare_address(str(word))), frozenset())


# --- who had its person or its company -------------------------------------------------------------------------


def _claim_of(
    whose: str, before: Lead | Exception | None, reasons: list[str], *, if_open: bool
) -> _Claim | None:
    if before is None:
        return None
    if not isinstance(before, Lead):
        reasons.append(f"the newest lead of this {whose} cannot be read here")
        return None
    what = f"lead {before.id} of this {whose}"
    if before.answered_at is None and not (if_open and before.is_open):
        reasons.append(f"{what} was closed without an answer, so nobody has a claim by it")
        return None
    if before.rep is None:
        reasons.append(f"{what} has no rep")
        return None
    return _Claim(before.rep, before.team, f"has {what}, {'open' if before.is_open else 'answered'}")


def _kept_owner(
    claim: _Claim | None,
    route: "Route",
    rulebook: "Rulebook",
    tally: Tally,
    now: datetime,
    reasons: list[str],
) -> Owner | None:
    """The claim's rep, unless they are gone, or somebody whom the rule's team would pick is better placed to answer now."""
    if claim is None:
        return None
    if claim.rep_id not in rulebook.reps_by_id:
        reasons.append(f"{claim.rep_id}: {claim.why}, and is in no team any more")
        return None
    team, rep = _found(claim.rep_id, route.team, claim.team, rulebook)
    _, standing, since, why = candidate(rep, tally.load, tally.given, tally.away, now)
    if standing is not Standing.AVAILABLE:
        pick = assign(route.team, rulebook.teams, tally, route.attribution.facts, now)
        if pick.waits:
            reasons.append(
                f"{rep.id}: {claim.why}, but {why}; the team's leads wait until somebody is available"
            )
            return None
        other = pick.rep and candidate(pick.rep, tally.load, tally.given, tally.away, now)
        if other and (other.standing, other.since) < (standing, since):
            best = other.rep.id
            reasons.append(
                f"{rep.id}: {claim.why}, but {why}; {best} can answer sooner, so the rotation decides"
            )
            return None
    return Owner(rep, team, (*reasons, f"{rep.id}: {claim.why}; {why}, takes no turn"))


def _found(rep_id: str, first: Team, second: str, rulebook: "Rulebook") -> tuple[Team, Rep]:
    """The rep in the rule's team, else in the team they had it in, else in any. They must be in one of them."""
    teams = (
        first,
        *(rulebook.teams[name] for name in (second,) if name in rulebook.teams),
        *rulebook.teams.values(),
    )
    return next((team, rep) for team in teams for rep in team.reps if rep.id == rep_id)
