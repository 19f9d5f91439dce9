"""Rules: the first one whose conditions hold gives the lead its team and its SLA."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from speed_to_lead.core.condition_index import ConditionIndex
from speed_to_lead.core.conditions import Condition
from speed_to_lead.core.facts import Fact, Facts
from speed_to_lead.core.lookup import LOOKUP

#: A trace names this many rules that did not match; the rest are counted.
TRACED_RULES = 40


class KeepWith(StrEnum):
    """Whose rep a rule's leads stay with: that of the person's answered lead, of the company's too, or nobody's."""

    PERSON = "person"
    COMPANY = "company"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Rule:
    """All of `when` must hold and none of `unless`. The default is a rule without conditions.

    A rule with `nurture`, a destination, has neither team nor SLA (both are ""): nobody answers its leads, they are told of there.
    `owner_from` is the field of the lead that names its rep, or `lookup:` and the look-up that does; None where neither
    does (`core/owner.py`).
    """

    name: str
    team: str
    sla: str
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()
    nurture: str = ""
    keep_with: KeepWith = KeepWith.PERSON
    owner_from: str | None = None

    @property
    def lookup(self) -> str:
        """The look-up that names the rep; "" where none is asked."""
        named = self.owner_from
        return named.removeprefix(LOOKUP) if named is not None and named.startswith(LOOKUP) else ""


class Match(NamedTuple):
    """The rule that matched, and one line for each rule tried before it."""

    rule: Rule
    tried: tuple[str, ...]


class Rules:
    """Rules in their order, ready to be asked: what a lead costs hardly depends on how many there are.

    The first TRACED_RULES are asked one after another, since the trace has a line of each that does not match; the
    others are found by their index.
    """

    def __init__(self, rules: Sequence[Rule], default: Rule) -> None:
        self._default = default
        self._first = [(rule, _objections_of(rule)) for rule in rules[:TRACED_RULES]]
        self._others = tuple(rules[TRACED_RULES:])
        self._index = ConditionIndex(self._others)

    def first_match(self, facts: Facts) -> Match:
        """The first rule that matches, else the default."""
        tried: list[str] = []
        for rule, objections in self._first:
            line = _first_objection(objections, facts)
            if line is None:
                return Match(rule, tuple(tried))
            tried.append(line)
        number = self._index.first_match(facts) if self._others else None
        more = len(self._others) if number is None else number
        if more:
            tried.append(f"{more} more rules do not match")
        return Match(self._default if number is None else self._others[number], tuple(tried))


class _Objection(NamedTuple):
    """How a condition keeps its rule from matching (where it holds, for `unless`), and the line a trace has of it."""

    field: str
    holds_of: Callable[[Fact], bool]
    where_it_holds: bool
    words_before: str
    words_after: str


def _objections_of(rule: Rule) -> tuple[_Objection, ...]:
    before = f'rule "{rule.name}" does not match: '
    asks, refuses = ", and the rule asks that it ", ", and the rule is not for one that "
    return (
        *(
            _Objection(c.field, c.holds_of, False, f"{before}{c.field} ", f"{asks}{c.expected}")
            for c in rule.when
        ),
        *(
            _Objection(c.field, c.holds_of, True, f"{before}{c.field} ", f"{refuses}{c.expected}")
            for c in rule.unless
        ),
    )


def _first_objection(objections: tuple[_Objection, ...], facts: Facts) -> str | None:
    """The line of a rule that does not match; None where it does."""
    for field, holds_of, where_it_holds, words_before, words_after in objections:
        if holds_of(facts[field]) is where_it_holds:
            return f"{words_before}{facts.found(field)}{words_after}"
    return None
