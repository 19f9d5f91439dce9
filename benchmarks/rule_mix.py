"""Routing rules and leads as a large revenue team has them: made up, but of the shapes that config files show.

Named accounts by e-mail domain, territories by country list and size of company, partners by campaign, questions of
the form, regions by phone prefix, exclusions; conditions are shared by many rules, and few leads meet any.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SOURCES = (
    "demo_request",
    "contact_sales",
    "pricing_request",
    "free_trial",
    "webinar",
    "trade_show",
    "partner_referral",
)
COUNTRIES = tuple(a + b for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for b in "AEIMRT")
INDUSTRIES = tuple(f"Industry {number}" for number in range(60))
SIZES = ("1-10", "11-50", "51-200", "201-500", "501-1,000", "1,001-5,000", "10,000+")
FREE_MAIL = ["gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com"]
BOUNDS = (10, 50, 100, 200, 250, 500, 1000, 2000, 5000, 10_000)


@dataclass(frozen=True, slots=True)
class MadeRule:
    """One rule as config writes it."""

    name: str
    when: dict[str, Any] = field(default_factory=dict)
    unless: dict[str, Any] = field(default_factory=dict)


def made_rules(count: int, seed: int = 7) -> list[MadeRule]:
    """So many rules, no two alike."""
    dice = random.Random(seed)
    makers = (
        _account,
        _account,
        _territory,
        _territory,
        _territory,
        _industry,
        _campaign,
        _question,
        _phone,
        _title,
    )
    made: list[MadeRule] = []
    seen: set[str] = set()
    while len(made) < count:
        when, unless = makers[len(made) % len(makers)](dice, len(made))
        if repr((when, unless)) not in seen:
            seen.add(repr((when, unless)))
            made.append(MadeRule(f"Rule {len(made)}", when, unless))
    return made


def _account(dice: random.Random, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"email": {"domain": f"account-{number}.example.com"}}, {
        "source": "trade_show"
    } if dice.random() < 0.2 else {}


def _territory(dice: random.Random, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    countries = dice.sample(COUNTRIES, dice.randint(1, 25))
    bounds: dict[str, Any] = {"at_least": dice.choice(BOUNDS) + (number % 7)}
    if dice.random() < 0.5:
        bounds["at_most"] = bounds["at_least"] * dice.randint(2, 20)
    when = {"source": dice.choice(SOURCES), "country": countries, "employees": bounds}
    return when, {"email": {"domain": FREE_MAIL}} if dice.random() < 0.6 else {}


def _industry(dice: random.Random, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    when = {
        "source": dice.sample(SOURCES, 2),
        "industry": dice.sample(INDUSTRIES, 3),
        "city": f"City {number % 2000}",
    }
    return when, {"country": dice.sample(COUNTRIES, 3)} if dice.random() < 0.3 else {}


def _campaign(dice: random.Random, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    shape = dice.choice(
        (f"partner-{number}-*", f"*-webinar-{number}", f"q{number % 4 + 1}-*-{number}", f"*launch {number}*")
    )
    return {"campaign": shape}, {}


def _question(dice: random.Random, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    when = {f"custom.question_{number % 40}": f"answer {number}", "source": dice.choice(SOURCES)}
    return when, {"custom.customer": True} if dice.random() < 0.3 else {}


def _phone(dice: random.Random, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"phone": {"prefix": f"+{dice.randint(1, 99)} {number}"}, "email": {"domain": FREE_MAIL}}, {}


def _title(dice: random.Random, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    when = {
        "title": {"contains": dice.sample(("vp", "chief", "head of", "director", "manager", "founder"), 2)}
    }
    return when | {"region": f"Region {number}"}, {"company": {"missing": True}}


def made_lead(dice: random.Random, rules: Sequence[MadeRule]) -> dict[str, Any]:
    """The facts of one lead; what it says fits one of the rules where it can, as most leads fit a territory."""
    lead: dict[str, Any] = {
        "email": f"kim.{dice.randrange(10**6)}@mail.company-{dice.randrange(10**6)}.example.com",
        "name": "Kim Example",
        "phone": f"+{dice.randint(1, 99)} {dice.randrange(10**8)}",
        "company": f"Company {dice.randrange(10**6)}",
        "title": dice.choice(("VP Sales", "Head of Growth", "Engineer", "Chief of Staff")),
        "country": dice.choice(COUNTRIES),
        "region": f"Region {dice.randrange(10**6)}",
        "city": f"City {dice.randrange(4000)}",
        "employees": dice.choice(SIZES),
        "industry": dice.choice(INDUSTRIES),
        "message": "We would like to see it next week. " * dice.randint(1, 8),
        "campaign": f"spring-{dice.randrange(100)}",
        "source": dice.choice(SOURCES),
        "custom.question_3": f"answer {dice.randrange(10**6)}",
        "custom.customer": dice.random() < 0.1,
        "form": "website-demo",
        "channel": "Paid Search",
        "motion": "inbound",
    }
    for name, raw in dice.choice(rules).when.items():
        lead[name] = _value_for(raw, lead.get(name))
    return lead


def _value_for(raw: Any, present: Any) -> Any:  # noqa: PLR0911 - one return for each kind of condition
    match raw:
        case {"at_least": least}:
            return least
        case {"domain": str(domain)}:
            return f"kim@{domain}"
        case {"domain": [str(domain), *_]}:
            return f"kim@{domain}"
        case {"prefix": prefix}:
            return f"{prefix}55"
        case {"contains": [part, *_]}:
            return f"The {part}"
        case str():
            return raw.replace("*", "x")
        case [one, *_]:
            return one
        case _:
            return present


def unmatched_lead(dice: random.Random, rules: Sequence[MadeRule]) -> dict[str, Any]:
    """A lead that comes near many rules and meets none: every field that rules ask about is given."""
    lead = made_lead(dice, rules[:1]) | {
        "email": "kim@gmail.com", "country": dice.choice(COUNTRIES), "employees": "1-5",
        "title": "Chief Engineer and vp", "phone": "+0 999", "city": "Nowhere", "campaign": "q1-spring-webinar-launch",
    }  # fmt: skip
    return lead | {f"custom.question_{number}": "none of them" for number in range(40)}
