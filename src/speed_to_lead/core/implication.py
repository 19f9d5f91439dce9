"""Which conditions follow from which, whatever lead is asked about: what shadows a rule, and what no lead can do.

Every answer here is proven from what conditions compare, never tried out: "yes" is certain, "no" only means that it
does not show. A field of several values holds what any one of them holds, so only what follows for each single
value counts; see `conditions`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from speed_to_lead.core.conditions import Alternative, Comparison, Condition, Kind, is_pattern
from speed_to_lead.core.values import host_of

GIVEN = Alternative(Kind.GIVEN, wanted=True)
MISSING = Alternative(Kind.GIVEN, wanted=False)

#: Each part of a text is looked up, up to this length: of thousands of rules, nobody writes longer ones.
_LONGEST_PART = 40


def follows(some: Comparison, other: Comparison) -> bool:
    """Whether `other` holds of every value that `some` holds of."""
    return all(any(alternative_follows(one, another) for another in other) for one in some)


def alternative_follows(one: Alternative, other: Alternative) -> bool:
    """Whether the second holds of every value of which the first holds."""
    if one == other:
        return True
    check = _CHECKS.get(other.kind)
    return check is not None and check(one, other.wanted)


def lookup_key(one: Alternative) -> Alternative | None:
    """What to keep this under, so that `consequences` of whatever it follows from lead to it.

    None for bounds, which are found by their order, and for parts too long to be looked up.
    """
    if one.kind in (Kind.AT_LEAST, Kind.AT_MOST):
        return None
    if one.kind in (Kind.PART, Kind.PATTERN):
        part = max(_parts(one), key=len)
        return Alternative(Kind.PART, part) if len(part) <= _LONGEST_PART else None
    return one


def consequences(one: Alternative, kinds: Collection[Kind]) -> Iterator[Alternative]:
    """The keys, of these kinds, of every alternative that follows from this one; see `lookup_key`."""
    yield one
    if Kind.BEGINNING in kinds:
        for text in _beginnings(one):
            yield from (Alternative(Kind.BEGINNING, text[:end]) for end in range(len(text) + 1))
    if Kind.ENDING in kinds:
        for text in _endings(one):
            yield from (Alternative(Kind.ENDING, text[start:]) for start in range(len(text) + 1))
    if Kind.PART in kinds:
        for text in _parts(one):
            for start in range(len(text)):
                ends = range(start + 1, min(start + _LONGEST_PART, len(text)) + 1)
                yield from (Alternative(Kind.PART, text[start:end]) for end in ends)
    if Kind.DOMAIN in kinds:
        labels = _host(one).split(".")
        yield from (Alternative(Kind.DOMAIN, ".".join(labels[start:])) for start in range(len(labels)))
    if Kind.GIVEN in kinds and one != MISSING:
        yield GIVEN


def why_never(condition: Condition) -> str | None:
    """Why no single value can do what the condition asks, in words; None where one may."""
    bounds: dict[Kind, float] = {}
    for comparison in condition.comparisons:
        for one in comparison if len(comparison) == 1 else ():
            if one.kind is Kind.AT_LEAST:
                bounds[one.kind] = max(one.wanted, bounds.get(one.kind, one.wanted))
            elif one.kind is Kind.AT_MOST:
                bounds[one.kind] = min(one.wanted, bounds.get(one.kind, one.wanted))
    if len(bounds) == 2 and bounds[Kind.AT_LEAST] > bounds[Kind.AT_MOST]:
        least, most = bounds[Kind.AT_LEAST], bounds[Kind.AT_MOST]
        return f"no number is at least {least} and at most {most}"
    if frozenset((MISSING,)) in condition.comparisons and len(set(condition.comparisons)) > 1:
        return "a field that is missing is nothing else besides"
    return None


def asked_of(conditions: Iterable[Condition]) -> dict[str, frozenset[Comparison]]:
    """All comparisons of some conditions, by field: a lead does what they ask where it does each of these."""
    asked: dict[str, frozenset[Comparison]] = {}
    for condition in conditions:
        asked[condition.field] = asked.get(condition.field, frozenset()) | frozenset(condition.comparisons)
    return asked


def _beginnings(one: Alternative) -> tuple[str, ...]:
    """Texts with which every text begins that this alternative holds of."""
    match one.kind:
        case Kind.TEXT | Kind.BEGINNING:
            return (one.wanted,)
        case Kind.PATTERN:
            return (one.wanted[0],)
        case _:
            return ()


def _endings(one: Alternative) -> tuple[str, ...]:
    match one.kind:
        case Kind.TEXT | Kind.ENDING:
            return (one.wanted,)
        case Kind.PATTERN:
            return (one.wanted[-1],)
        case _:
            return ()


def _parts(one: Alternative) -> tuple[str, ...]:
    match one.kind:
        case Kind.TEXT | Kind.BEGINNING | Kind.ENDING | Kind.PART:
            return (one.wanted,)
        case Kind.PATTERN:
            return tuple(one.wanted)
        case _:
            return ()


def _is_given(one: Alternative, wanted: bool) -> bool:
    return wanted and one != MISSING


def _begins(one: Alternative, wanted: str) -> bool:
    return any(text.startswith(wanted) for text in _beginnings(one))


def _ends(one: Alternative, wanted: str) -> bool:
    return any(text.endswith(wanted) for text in _endings(one))


def _has_part(one: Alternative, wanted: str) -> bool:
    return any(wanted in text for text in _parts(one))


def _fits_pattern(one: Alternative, wanted: tuple[str, ...]) -> bool:
    return one.kind is Kind.TEXT and is_pattern(one.wanted, wanted)


def _is_at_least(one: Alternative, wanted: float) -> bool:
    return one.kind in (Kind.NUMBER, Kind.AT_LEAST) and bool(one.wanted >= wanted)


def _is_at_most(one: Alternative, wanted: float) -> bool:
    return one.kind in (Kind.NUMBER, Kind.AT_MOST) and bool(one.wanted <= wanted)


def _is_in_domain(one: Alternative, wanted: str) -> bool:
    host = _host(one)
    return host == wanted or host.endswith(f".{wanted}")


def _host(one: Alternative) -> str:
    """The host that every value has of which this holds; "" where it does not show."""
    if one.kind is Kind.DOMAIN:
        return str(one.wanted)
    # What is no ASCII may fold twice, and have another host than its folded text.
    return host_of(one.wanted) if one.kind is Kind.TEXT and one.wanted.isascii() else ""


#: By the kind that is to follow; for the others nothing follows but from themselves.
_CHECKS: Mapping[Kind, Callable[[Alternative, Any], bool]] = {
    Kind.GIVEN: _is_given,
    Kind.BEGINNING: _begins,
    Kind.ENDING: _ends,
    Kind.PART: _has_part,
    Kind.PATTERN: _fits_pattern,
    Kind.AT_LEAST: _is_at_least,
    Kind.AT_MOST: _is_at_most,
    Kind.DOMAIN: _is_in_domain,
}
