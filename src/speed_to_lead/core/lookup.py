"""A look-up: another system, a CRM most often, says whose a lead is. What it is asked, and what its answer says; `crm/` asks.

An address is the config's but for what fills its placeholders, percent-encoded: no lead can name a host or a path.
"""

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from speed_to_lead.core.meanings import Spellings, company_domain
from speed_to_lead.core.submission import GenericLead

#: How `owner_from` names a look-up, where a field could stand too.
LOOKUP = "lookup:"
#: What of a lead an address may hold.
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
PLACEHOLDERS = ("email", "domain")
#: A batch waits for the answers of all its leads at once, and no longer than this.
LONGEST_WAIT = timedelta(seconds=2)
USUAL_WAIT = timedelta(seconds=1)
#: Characters of a word that names an owner; more is no name.
OWNER_LENGTH = 254


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where to ask, and where the owner stands in the answer: `owner` is a dotted path, numbers counting lists from 0."""

    name: str
    url: str
    owner: str
    token_env: str = ""
    timeout: timedelta = USUAL_WAIT


class LookedUp(NamedTuple):
    """What the look-up of this name said: the `owner`'s id, name or e-mail address, or the `problem` why it names nobody."""

    name: str
    owner: str = ""
    problem: str = ""


class Question(NamedTuple):
    """One look-up of one address. Leads of one person, or company, ask the same one."""

    lookup: Lookup
    address: str


def question_of(lookup: Lookup, lead: GenericLead, spellings: Spellings) -> Question | LookedUp:
    """What is to be asked about the lead; why nothing can be, where it does not say what the address needs."""
    values = {}
    for name in dict.fromkeys(PLACEHOLDER.findall(lookup.url)):
        value = (
            spellings.email(str(lead.get("email") or ""))
            if name == "email"
            else company_domain(lead, spellings)
        )
        if not value:
            missing = "no readable e-mail address" if name == "email" else "no company's domain"
            return LookedUp(lookup.name, problem=f"not asked, for the lead gives {missing}")
        values[name] = quote(value, safe="")
    return Question(lookup, PLACEHOLDER.sub(lambda found: values[found[1]], lookup.url))


def answer_of(lookup: Lookup, body: bytes) -> LookedUp:
    """What the body of an answer says. Nothing of it is repeated but the owner."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return LookedUp(lookup.name, problem="the answer is no JSON")
    for key in lookup.owner.split("."):
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            return LookedUp(lookup.name, problem=f"the answer has no {lookup.owner}")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip() or len(value) > OWNER_LENGTH:
        return LookedUp(lookup.name, problem=f"{lookup.owner} of the answer is no name")
    return LookedUp(lookup.name, value.strip())
