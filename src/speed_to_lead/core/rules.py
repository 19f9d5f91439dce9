"""Rules: the first one whose conditions hold gives the lead its team and its SLA."""

from collections.abc import Sequence
from dataclasses import dataclass

from speed_to_lead.core.condition_index import ConditionIndex
from speed_to_lead.core.conditions import Condition
from speed_to_lead.core.facts import Facts

#: A trace names this many rules that did not match; the rest are counted.
TRACED_RULES = 40


@dataclass(frozen=True, slots=True)
class Rule:
    """All of `when` must hold and none of `unless`. The default is a rule without conditions."""

    name: str
    team: str
    sla: str
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()

    def objection(self, facts: Facts) -> str | None:
        """Why the rule does not match these facts, in words; None where it matches."""
        for condition in self.when:
            if not condition.holds_of(facts[condition.field]):
                return f"{condition.field} {facts.found(condition.field)}, and the rule asks that it {condition.expected}"
        for condition in self.unless:
            if condition.holds_of(facts[condition.field]):
                return f"{condition.field} {facts.found(condition.field)}, and the rule is not for one that {condition.expected}"
        return None


@dataclass(frozen=True, slots=True)
class Match:
    """The rule that matched, and one line for each rule tried before it."""

    rule: Rule
    tried: tuple[str, ...]


class Rules:
    """Rules in their order, ready to be asked: what a lead costs hardly depends on how many there are."""

    def __init__(self, rules: Sequence[Rule], default: Rule) -> None:
        self._rules = tuple(rules)
        self._default = default
        self._index = ConditionIndex(self._rules)

    def first_match(self, facts: Facts) -> Match:
        """The first rule that matches, else the default."""
        number = self._index.first_match(facts)
        passed_over = len(self._rules) if number is None else number
        tried = [
            f'rule "{rule.name}" does not match: {rule.objection(facts)}'
            for rule in self._rules[: min(passed_over, TRACED_RULES)]
        ]
        if passed_over > TRACED_RULES:
            tried.append(f"{passed_over - TRACED_RULES} more rules do not match")
        return Match(self._default if number is None else self._rules[number], tuple(tried))
