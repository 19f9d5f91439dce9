"""Rules: the first one whose conditions hold gives the lead its team and its SLA."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from speed_to_lead.core.conditions import Condition, shown

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

    def matches(self, facts: Mapping[str, Any]) -> bool:
        """Whether all of `when` hold of these facts and none of `unless`."""
        for condition in self.when:
            if not condition.holds(facts):
                return False
        return not any(condition.holds(facts) for condition in self.unless)

    def objection(self, facts: Mapping[str, Any]) -> str | None:
        """Why the rule does not match these facts, in words; None where it matches."""
        for condition in self.when:
            if not condition.holds(facts):
                return f"{condition.field} {_found(facts, condition.field)}, and the rule asks that it {condition.expected}"
        for condition in self.unless:
            if condition.holds(facts):
                return f"{condition.field} {_found(facts, condition.field)}, and the rule is not for one that {condition.expected}"
        return None


@dataclass(frozen=True, slots=True)
class Match:
    """The rule that matched, and one line for each rule tried before it."""

    rule: Rule
    tried: tuple[str, ...]


def first_matching_rule(rules: Sequence[Rule], default: Rule, facts: Mapping[str, Any]) -> Match:
    """The first rule that matches, else the default."""
    tried: list[str] = []
    passed_over = 0
    for rule in rules:
        if rule.matches(facts):
            break
        if passed_over < TRACED_RULES:
            tried.append(f'rule "{rule.name}" does not match: {rule.objection(facts)}')
        passed_over += 1
    else:
        rule = default
    if passed_over > TRACED_RULES:
        tried.append(f"{passed_over - TRACED_RULES} more rules do not match")
    return Match(rule, tuple(tried))


def _found(facts: Mapping[str, Any], field: str) -> str:
    value = facts.get(field)
    if value is None:
        return "is not given"
    text = shown(value, field, facts)
    return "is given" if text is None else f'is "{text}"'
