"""Rules as other libraries are asked them: each compiled once, then one after another until one matches.

Leads are prepared for them as a competent user would: texts folded, the host of the address and the ends of the
company's size worked out, so that a rule is plain comparisons.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.rule_mix import MadeRule
from speed_to_lead.core.values import folded, host_of, number_range

Prepared = dict[str, Any]
FirstMatch = Callable[[Prepared], int | None]


def prepared(lead: Mapping[str, Any]) -> Prepared:
    """A lead's facts, ready to be compared."""
    facts = {name.replace(".", "_"): folded(value) for name, value in lead.items()}
    least, most = number_range(lead.get("employees")) or (None, None)
    return facts | {"email_host": host_of(lead.get("email") or ""), "least": least, "most": most}


def rule_engine(rules: Sequence[MadeRule]) -> FirstMatch:
    """rule-engine: expressions in its own language."""
    import rule_engine as library  # noqa: PLC0415 - it may not be installed

    context = library.Context(default_value=None)
    compiled = [library.Rule(_expression(rule), context=context) for rule in rules]

    def first_match(lead: Prepared) -> int | None:
        return next((number for number, rule in enumerate(compiled) if rule.matches(lead)), None)

    return first_match


def json_logic(rules: Sequence[MadeRule]) -> FirstMatch:
    """panzi-json-logic, with operations of our own for what JsonLogic lacks."""
    from json_logic import jsonLogic  # noqa: PLC0415
    from json_logic.builtins import BUILTINS  # noqa: PLC0415

    operations = BUILTINS | {
        "starts": lambda _data, text, beginning: text is not None and text.startswith(beginning),
        "within": lambda _data, host, domain: host == domain or host.endswith(f".{domain}"),
        "like": lambda _data, text, pattern: (
            text is not None and re.fullmatch(pattern, text, re.DOTALL) is not None
        ),
        "has": lambda _data, text, part: text is not None and part in text,
        "reaches": lambda _data, number, limit: number is not None and number >= limit,
        "keeps_to": lambda _data, number, limit: number is not None and number <= limit,
    }
    logic = [_logic(rule) for rule in rules]

    def first_match(lead: Prepared) -> int | None:
        return next((number for number, one in enumerate(logic) if jsonLogic(one, lead, operations)), None)

    return first_match


def _expression(rule: MadeRule) -> str:
    parts = [_condition(name, raw) for name, raw in rule.when.items()]
    parts += [f"not ({_condition(name, raw)})" for name, raw in rule.unless.items()]
    return " and ".join(parts)


def _condition(name: str, raw: Any) -> str:  # noqa: PLR0911 - one return for each kind of condition
    field = name.replace(".", "_")
    match raw:
        case {"at_least": least, **rest}:
            most = f" and most != null and most <= {rest['at_most']}" if "at_most" in rest else ""
            return f"least != null and least >= {least}{most}"
        case {"domain": domains}:
            each = (f'email_host == "{one}" or email_host.ends_with(".{one}")' for one in _listed(domains))
            return f"({' or '.join(each)})"
        case {"prefix": beginning}:
            return f"{field} != null and {field}.starts_with({_text(beginning)})"
        case {"contains": parts}:
            has = (f"{_text(part)} in {field}" for part in parts)
            return f"{field} != null and ({' or '.join(has)})"
        case {"missing": True}:
            return f"{field} == null"
        case str() if "*" in raw:
            return f"{field} =~ {json.dumps(_regex(raw))}"
        case _:
            return f"{field} in [{', '.join(map(_text, _listed(raw)))}]"


def _logic(rule: MadeRule) -> dict[str, Any]:
    parts = [_logic_of(name, raw) for name, raw in rule.when.items()]
    parts += [{"!": [_logic_of(name, raw)]} for name, raw in rule.unless.items()]
    return {"and": parts}


def _logic_of(name: str, raw: Any) -> dict[str, Any]:  # noqa: PLR0911 - as above
    field = {"var": [name.replace(".", "_")]}
    match raw:
        case {"at_least": least, **rest}:
            reached = {"reaches": [{"var": ["least"]}, least]}
            most = [{"keeps_to": [{"var": ["most"]}, rest["at_most"]]}] if "at_most" in rest else []
            return {"and": [reached, *most]}
        case {"domain": domains}:
            return {"or": [{"within": [{"var": ["email_host"]}, one]} for one in _listed(domains)]}
        case {"prefix": beginning}:
            return {"starts": [field, folded(beginning)]}
        case {"contains": parts}:
            return {"or": [{"has": [field, folded(part)]} for part in parts]}
        case {"missing": True}:
            return {"==": [field, None]}
        case str() if "*" in raw:
            return {"like": [field, _regex(raw)]}
        case _:
            return {"in": [field, [folded(one) for one in _listed(raw)]]}


def _regex(wildcard: str) -> str:
    return ".*".join(map(re.escape, folded(wildcard).split("*")))


def _text(value: Any) -> str:
    return json.dumps(folded(value))


def _listed(wanted: Any) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]
