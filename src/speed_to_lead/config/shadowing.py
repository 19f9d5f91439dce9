"""Rules and detections that can never match: by what they ask themselves, or because earlier ones take all their leads.

A lead's source is one of the taxonomy and has the motion the taxonomy gives it, so what is asked of both comes to a
set of sources, kept as a number with a bit for each; of everything else a lead may hold anything. What is said here is
proven: see `core/implication`. With thousands of rules, comparing each with each takes minutes; so each waits in an
index under the rarest thing it asks, and a later rule looks under what follows from what it asks itself.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from speed_to_lead.config.mistakes import Mistake, quoted
from speed_to_lead.core.attribution import UNKNOWN_SOURCE, Taxonomy
from speed_to_lead.core.condition_index import Conditional
from speed_to_lead.core.conditions import Alternative, Comparison, Condition, Kind
from speed_to_lead.core.facts import Facts
from speed_to_lead.core.implication import (
    GIVEN,
    MISSING,
    asked_of,
    consequences,
    follows,
    lookup_key,
    why_never,
)
from speed_to_lead.core.rules import Rule

#: A list in a rule is taken apart, value by value, up to this length.
_LONGEST_LIST = 50
#: Rules that ask nothing but who they are not for have no index; so many of them are compared with each later rule.
_MOST_ASKED = 200
#: Of the rules that take all but what one `unless` refuses, so many are asked who takes the rest.
_MOST_TRIED = 5
_OF_SOURCES = ("source", "motion")

Asked = Mapping[str, frozenset[Comparison]]


@dataclass(frozen=True, slots=True)
class _Demand:
    """What one rule asks of a lead: its source among `sources` (bits), all of `when`, none of `unless`."""

    sources: int
    when: Asked
    unless: tuple[tuple[str, frozenset[Comparison]], ...]


class SourceSets:
    """What conditions on source and motion come to: the set of sources that do what they ask, as bits of a number."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        sources = {**taxonomy.sources, UNKNOWN_SOURCE.name: UNKNOWN_SOURCE}
        self.names = tuple(sources)
        self._facts = [
            Facts({"source": name, "motion": source.motion.value}) for name, source in sources.items()
        ]
        self._found: dict[tuple[str, frozenset[Comparison]], int] = {}
        self.all = (1 << len(self.names)) - 1

    def of(self, rule: Conditional) -> int:
        """The sources whose leads the rule may match."""
        left = self.all
        for condition in rule.when:
            if condition.field in _OF_SOURCES:
                left &= self._holding(condition)
        for condition in rule.unless:
            if condition.field in _OF_SOURCES:
                left &= ~self._holding(condition)
        return left

    def _holding(self, condition: Condition) -> int:
        key = condition.field, frozenset(condition.comparisons)
        found = self._found.get(key)
        if found is None:
            found = sum(1 << bit for bit, facts in enumerate(self._facts) if condition.holds(facts))
            self._found[key] = found
        return found


def hopeless_rules(rules: tuple[Rule, ...], taxonomy: Taxonomy) -> Iterator[Mistake]:
    """Rules that can never match; those after a rule for every lead are told once."""
    sources = SourceSets(taxonomy)
    catch_all = next((number for number, rule in enumerate(rules) if not rule.when and not rule.unless), None)
    asked = rules[:catch_all]
    for number, why in _hopeless(asked, sources, lambda number: f"rule {quoted(rules[number].name)}"):
        yield Mistake("routing.toml", f"rules[{number + 1}] {quoted(rules[number].name)}", why)
    if catch_all is not None:
        after = len(rules) - catch_all - 1
        lost = {0: "the default", 1: "the rule after it and the default"}.get(
            after, f"the {after} rules after it and the default"
        )
        yield Mistake(
            "routing.toml",
            f"rules[{catch_all + 1}] {quoted(rules[catch_all].name)}",
            f"it has no conditions and matches every lead, so {lost} can never match",
        )


def hopeless_detections(taxonomy: Taxonomy) -> Iterator[Mistake]:
    """Detections that can never match; those after one that claims every lead are told of with that one."""
    detections = taxonomy.detections
    catch_all = next((n for n, one in enumerate(detections) if not one.when and not one.unless), None)
    for number, why in _hopeless(detections[:catch_all], None, lambda number: f"detect[{number + 1}]"):
        yield Mistake("sources.toml", f"detect[{number + 1}]", why.replace("this rule", "this one"))


def _hopeless(
    rules: Sequence[Conditional], sources: SourceSets | None, named: Callable[[int], str]
) -> Iterator[tuple[int, str]]:
    demands = [_demand_of(rule, sources) for rule in rules]
    earlier = _Earlier(demands)
    for number, (rule, demand) in enumerate(zip(rules, demands, strict=True)):
        why = _contradiction(rule, demand, sources)
        if why is not None:
            yield number, f"it can never match: {why}"
            continue
        covering = earlier.covering(demand)
        if covering is None:
            earlier.add(number)
            continue
        yield number, f"it can never match: {_in_words([named(one) for one in covering])}"


def _in_words(names: list[str]) -> str:
    """What the earlier rules of these names do to a later one."""
    *others, last = names
    if not others:
        return (
            f"{last} comes first and matches every lead this one would; move this rule above it or remove it"
        )
    return (
        f"{', '.join(others)} and {last} come first and together match every lead this one would; "
        "move this rule above them or remove it"
    )


def _demand_of(rule: Conditional, sources: SourceSets | None) -> _Demand:
    others = [c for c in rule.when if sources is None or c.field not in _OF_SOURCES]
    when = asked_of(others)
    unless = []
    for condition in rule.unless:
        if sources is not None and condition.field in _OF_SOURCES:
            continue
        comparisons = frozenset(condition.comparisons)
        opposite = {frozenset((GIVEN,)): MISSING, frozenset((MISSING,)): GIVEN}.get(next(iter(comparisons)))
        if (
            len(comparisons) == 1 and opposite is not None
        ):  # not missing is given: that can be asked of a lead
            asked = when.get(condition.field, frozenset())
            when[condition.field] = asked | {frozenset((opposite,))}
        else:
            unless.append((condition.field, comparisons))
    return _Demand(sources.of(rule) if sources is not None else 1, when, tuple(unless))


def _contradiction(rule: Conditional, demand: _Demand, sources: SourceSets | None) -> str | None:
    """Why no lead can do what the rule asks; None where one may."""
    if not demand.sources and sources is not None:
        asked = dict.fromkeys(
            f"{key}.{c.field}"
            for key, conditions in (("when", rule.when), ("unless", rule.unless))
            for c in conditions
            if c.field in _OF_SOURCES
        )
        return (
            f"no source of sources.toml does what {' and '.join(asked)} {'ask' if len(asked) > 1 else 'asks'}"
        )
    for condition in rule.when:
        why = why_never(condition)
        if why is not None:
            return f"when.{condition.field}: {why}"
    for field, comparisons in demand.when.items():
        if frozenset((MISSING,)) in comparisons and len(comparisons) > 1:
            return f"when.{field} and unless.{field} ask that it is missing, and more of it besides"
    for field, refused in demand.unless:
        asked_for = demand.when.get(field, frozenset())
        if all(any(follows(one, other) for one in asked_for) for other in refused):
            return f"unless.{field} refuses whatever when.{field} asks for"
    return None


class _Earlier:
    """The rules so far, and which of them take all leads of another."""

    def __init__(self, demands: Sequence[_Demand]) -> None:
        self._demands = demands
        self._how_often = Counter(
            (field, comparison)
            for demand in demands
            for field, many in demand.when.items()
            for comparison in many
        )
        self._by_key: dict[tuple[str, Alternative], list[int]] = defaultdict(list)
        self._kinds: dict[str, set[Kind]] = defaultdict(set)
        #: Bounds in their order: of a field, by kind.
        self._bounds: dict[tuple[str, Kind], list[tuple[float, int]]] = defaultdict(list)
        self._by_field: dict[str, list[int]] = defaultdict(list)
        self._without_when: list[int] = []

    def add(self, number: int) -> None:
        """Note a rule under the rarest thing it asks."""
        questions = [(field, one) for field, many in self._demands[number].when.items() for one in many]
        if not questions:
            self._without_when.append(number)
            return
        field, comparison = min(questions, key=lambda one: (self._how_often[one], _is_bound(one[1])))
        if _is_bound(comparison):
            for kind, wanted in comparison:
                insort(self._bounds[field, kind], (wanted, number))
            return
        keys = [lookup_key(alternative) for alternative in comparison]
        if None in keys:
            self._by_field[field].append(number)
            return
        for key in keys:
            if key is not None:
                self._by_key[field, key].append(number)
                self._kinds[field].add(key.kind)

    def covering(self, demand: _Demand) -> tuple[int, ...] | None:
        """Earlier rules that together match every lead of this one, one alone where there is one; None without them."""
        covering = self._covering(demand)
        if covering is not None:
            return covering
        for field, many in demand.when.items():
            for comparison in many:
                if 1 < len(comparison) <= _LONGEST_LIST:
                    parts = self._covering_each(demand, field, comparison)
                    if parts is not None:
                        return parts
        return self._covering_both_ways(demand)

    def _covering_both_ways(self, demand: _Demand) -> tuple[int, ...] | None:
        """A rule that takes all of them but those its one `unless` refuses, and rules that take just these."""
        tried = 0
        for number in sorted(self._candidates(demand))[:_MOST_ASKED]:
            rule = self._demands[number]
            refused = [one for one in rule.unless if not _is_refused(*one, demand)]
            if len(refused) != 1 or demand.sources & ~rule.sources:
                continue
            field, comparisons = refused[0]
            if not self._takes(number, _Demand(demand.sources, demand.when, (*demand.unless, refused[0]))):
                continue
            when = {**demand.when, field: demand.when.get(field, frozenset()) | comparisons}
            rest = self._covering(_Demand(demand.sources, when, demand.unless))
            if rest is not None:
                return tuple(sorted({number, *rest}))
            tried += 1
            if tried == _MOST_TRIED:
                break
        return None

    def _covering_each(self, demand: _Demand, field: str, comparison: Comparison) -> tuple[int, ...] | None:
        """The same, where each value of a list has earlier rules of its own."""
        found: set[int] = set()
        rest = demand.when[field] - {comparison}
        for alternative in comparison:
            when = {**demand.when, field: rest | {frozenset((alternative,))}}
            covering = self._covering(_Demand(demand.sources, when, demand.unless))
            if covering is None:
                return None
            found.update(covering)
        return tuple(sorted(found))

    def _covering(self, demand: _Demand) -> tuple[int, ...] | None:
        left = demand.sources
        found = []
        covering = [number for number in sorted(self._candidates(demand)) if self._takes(number, demand)]
        for number in covering:
            if not demand.sources & ~self._demands[number].sources:
                return (number,)
        for number in covering:
            if left & self._demands[number].sources:
                left &= ~self._demands[number].sources
                found.append(number)
        return tuple(found) if not left else None

    def _candidates(self, demand: _Demand) -> set[int]:
        found = set(self._without_when[:_MOST_ASKED])
        for field, many in demand.when.items():
            found.update(self._by_field.get(field, ()))
            kinds = self._kinds.get(field, ())
            for comparison in many:
                # What follows from a list follows from each of its values, so one of them leads to it.
                one = min(comparison, key=_breadth)
                found.update(self._bounds_below(field, one))
                for key in consequences(one, kinds) if kinds else ():
                    found.update(self._by_key.get((field, key), ()))
        return found

    def _bounds_below(self, field: str, one: Alternative) -> Iterator[int]:
        """The rules whose bounds hold where this bound or number does."""
        if one.kind in (Kind.NUMBER, Kind.AT_LEAST):
            bounds = self._bounds.get((field, Kind.AT_LEAST), [])
            yield from (number for _, number in bounds[: bisect_right(bounds, (one.wanted, math.inf))])
        if one.kind in (Kind.NUMBER, Kind.AT_MOST):
            bounds = self._bounds.get((field, Kind.AT_MOST), [])
            yield from (number for _, number in bounds[bisect_left(bounds, (one.wanted, -1)) :])

    def _takes(self, number: int, demand: _Demand) -> bool:
        """Whether the rule matches every lead of `demand`, of the sources both are for."""
        rule = self._demands[number]
        if not rule.sources & demand.sources:
            return False
        for field, many in rule.when.items():
            asked = demand.when.get(field, ())
            if not all(any(follows(one, other) for one in asked) for other in many):
                return False
        return all(_is_refused(field, refused, demand) for field, refused in rule.unless)


def _is_refused(field: str, refused: frozenset[Comparison], demand: _Demand) -> bool:
    """Whether no lead of `demand` does what an earlier rule refuses."""
    if frozenset((MISSING,)) in demand.when.get(field, ()) and any(MISSING not in one for one in refused):
        return True
    return any(
        field == other_field and all(any(follows(one, other) for one in refused) for other in others)
        for other_field, others in demand.unless
    )


def _is_bound(comparison: Comparison) -> bool:
    return all(alternative.kind in (Kind.AT_LEAST, Kind.AT_MOST) for alternative in comparison)


def _breadth(alternative: Alternative) -> int:
    """About how many others follow from it."""
    return len(alternative.wanted) if isinstance(alternative.wanted, (str, tuple)) else 0
