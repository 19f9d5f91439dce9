"""What is allowed in config and still worth a second look: names nobody uses, teams without reps, open doors."""

from collections.abc import Iterator
from itertools import chain

from speed_to_lead.config.alerts import CONSOLE
from speed_to_lead.config.load import Configuration
from speed_to_lead.config.mistakes import Mistake, hint, quoted
from speed_to_lead.config.shapes import IDS_ONLY, ROLES
from speed_to_lead.core.assignment import Team
from speed_to_lead.core.attribution import UNKNOWN_SOURCE, Detection
from speed_to_lead.core.condition_index import Conditional
from speed_to_lead.core.conditions import Condition, Kind
from speed_to_lead.core.facts import Facts
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.scoring import reachable_scores
from speed_to_lead.spellings import country_names


def name_warnings(configuration: Configuration) -> Iterator[Mistake]:
    """Names that nothing uses, teams that hold nobody, and a detection that leaves nothing to the others."""
    yield from _unused_sources(configuration)
    yield from _catch_all_detection(configuration.rulebook.taxonomy.detections)
    for team in configuration.rulebook.teams.values():
        yield from _nobody(team)
    yield from _unused(configuration)
    yield from _unknown_countries(configuration.rulebook)
    yield from _unreachable_scores(configuration.rulebook)


def form_warnings(configuration: Configuration) -> Iterator[Mistake]:
    """Forms that are missing, or that anybody may use."""
    yield from _no_forms(configuration)
    yield from _unknown_forms(configuration)
    yield from _unsigned_forms(configuration)
    yield from _forms_that_cannot_ask(configuration)


def _catch_all_detection(detections: tuple[Detection, ...]) -> Iterator[Mistake]:
    for number, detection in enumerate(detections[:-1], start=1):
        if not detection.when and not detection.unless:
            yield Mistake(
                "sources.toml",
                f"detect[{number}]",
                "it has no conditions and claims every lead, so those after it never apply; move it to the end",
            )
            return


def _no_forms(configuration: Configuration) -> Iterator[Mistake]:
    if not configuration.forms:
        why = "it has no forms (or is not there), so no form tool can send leads: every hook answers 400"
        yield Mistake("intake.toml", "", why)


def _nobody(team: Team) -> Iterator[Mistake]:
    if not team.reps:
        yield Mistake(
            "teams.toml",
            f"teams.{team.name}",
            f"it has no reps, so its leads have nobody and only the manager hears of them; add [[teams.{team.name}.reps]]",
        )


def _unused_sources(configuration: Configuration) -> Iterator[Mistake]:
    """Sources that only a lead's own words can give, and that no rule treats apart."""
    rulebook = configuration.rulebook
    named = {form.source for form in configuration.forms.values()}
    named |= {detection.source for detection in rulebook.taxonomy.detections}
    asked = {
        (
            condition.field,
            condition.comparisons,
        ): condition  # each different one once: thousands of rules share a few
        for rule in rulebook.rules
        for condition in (*rule.when, *rule.unless)
        if condition.field in ("source", "motion")
    }
    for source in rulebook.taxonomy.sources.values():
        facts = Facts({"source": source.name, "motion": source.motion.value})
        if source.name not in named and not any(condition.holds(facts) for condition in asked.values()):
            yield Mistake(
                "sources.toml",
                f"sources.{source.name}",
                "no form, detection or rule names it; is it still used?",
            )


def _unused(configuration: Configuration) -> Iterator[Mistake]:
    """Calendars, teams, SLAs and destinations that nothing refers to."""
    rulebook = configuration.rulebook
    rules = (*rulebook.rules, rulebook.default)
    teams = rulebook.teams.values()
    calendars = {
        calendar.name for team in teams for calendar in (team.calendar, *(rep.calendar for rep in team.reps))
    }
    calendars.add(rulebook.reception.calendar)
    told = {team.manager for team in teams} | {rep.notify for team in teams for rep in team.reps}
    told |= {rule.nurture for rule in rules}
    told |= {
        name
        for sla in rulebook.slas.values()
        for step in sla.steps
        for name in (*step.tell, *step.remind, *step.alert)
    }
    sent_to = {rule.team for rule in rules}
    sent_to |= {other for team in teams for other in (team.overflow, team.unmatched)}
    sections = (
        (
            "teams.toml",
            "calendars",
            rulebook.calendars,
            calendars,
            "no team, no rep and no [received] uses it",
        ),
        ("teams.toml", "teams", rulebook.teams, sent_to, "no rule sends it leads"),
        ("slas.toml", "slas", rulebook.slas, {rule.sla for rule in rules}, "no rule uses it"),
        (
            "routing.toml",
            "lookups",
            rulebook.lookups,
            {rule.lookup for rule in rules},
            "no rule's owner_from names it, so it is never asked",
        ),
        (
            "alerts.toml",
            "destinations",
            configuration.destinations,
            {*told, *ROLES, CONSOLE.name},
            "no team, rep or step names it, so only STL_FALLBACK_DESTINATION could",
        ),
    )
    for file, section, names, used, why in sections:
        for name in names:
            if name not in used:
                yield Mistake(file, f"{section}.{name}", why)


def _unknown_forms(configuration: Configuration) -> Iterator[Mistake]:
    """Rules and detections that ask for a form which intake.toml does not have: they can never match."""
    rulebook = configuration.rulebook
    asked = [
        ("routing.toml", f"rules[{i}] {quoted(r.name)}", r.when)
        for i, r in enumerate(rulebook.rules, start=1)
    ]
    asked += [
        ("sources.toml", f"detect[{i}]", d.when) for i, d in enumerate(rulebook.taxonomy.detections, start=1)
    ]
    for file, place, when in asked:
        for condition in when:
            if condition.field == "form" and not any(
                condition.holds_for(form) for form in configuration.forms
            ):
                yield Mistake(
                    file,
                    place,
                    f"no form of intake.toml {condition.expected}, so it can match none of their leads",
                )


def _unknown_countries(rulebook: Rulebook) -> Iterator[Mistake]:
    """Countries that nobody knows, each at the first place that asks for it: it holds only of leads that write the very same."""
    asked: dict[str, tuple[str, str]] = {}
    for file, place, one in _conditionals(rulebook):
        for condition in (*one.when, *one.unless):
            for comparison in condition.comparisons if condition.field == "country" else ():
                for name in sorted(wanted for kind, wanted in comparison if kind is Kind.TEXT):
                    asked.setdefault(name, (file, place))
    names = country_names() if asked else ()
    for name, (file, place) in asked.items():
        why = f"country {quoted(name)} is no country we know, so it holds only of leads that write just that"
        yield Mistake(file, place, f"{why}; {hint(name, names)}")


def _unreachable_scores(rulebook: Rulebook) -> Iterator[Mistake]:
    """Rules that ask for a score which no combination of points comes to, for none of the sources they are for."""
    asking = [
        (number, rule)
        for number, rule in enumerate(rulebook.rules, start=1)
        if any(condition.field == "score" for condition in rule.when)
    ]
    if not asking:
        return
    sources = [
        Facts({"source": source.name, "motion": source.motion.value})
        for source in (*rulebook.taxonomy.sources.values(), UNKNOWN_SOURCE)
    ]
    scores = [(facts, reachable_scores(rulebook.scoring, facts)) for facts in sources]
    known: dict[tuple[Condition, ...], frozenset[int]] = {}  # thousands of rules share a few sources
    for number, rule in asking:
        about_source = tuple(condition for condition in rule.when if condition.field in ("source", "motion"))
        if about_source not in known:
            fitting = (found for facts, found in scores if all(one.holds(facts) for one in about_source))
            known[about_source] = frozenset(chain.from_iterable(fitting))
        about_score = [condition for condition in rule.when if condition.field == "score"]
        reachable = known[about_source]
        if not any(all(one.holds_for(score) for one in about_score) for score in reachable):
            expected = " and ".join(condition.expected for condition in about_score)
            why = (
                "there are no points in scoring.toml, so every score is 0"
                if not rulebook.scoring
                else f"for its sources scores run from {min(reachable)} to {max(reachable)}"
                if reachable
                else "no source is one of its own"
            )
            yield Mistake(
                "routing.toml",
                f"rules[{number}] {quoted(rule.name)}",
                f"it can never match: it asks that the score {expected}, and no points of scoring.toml come to that; {why}",
            )


def _conditionals(rulebook: Rulebook) -> Iterator[tuple[str, str, Conditional]]:
    """Everything that has conditions, with its file and place."""
    for number, rule in enumerate(rulebook.rules, start=1):
        yield "routing.toml", f"rules[{number}] {quoted(rule.name)}", rule
    for number, points in enumerate(rulebook.scoring, start=1):
        yield "scoring.toml", f"points[{number}] {quoted(points.name)}", points
    for number, detection in enumerate(rulebook.taxonomy.detections, start=1):
        yield "sources.toml", f"detect[{number}]", detection


def _unsigned_forms(configuration: Configuration) -> Iterator[Mistake]:
    for form in configuration.forms.values():
        if form.auth == "none":
            yield Mistake(
                "intake.toml",
                f"forms.{form.name}",
                'auth = "none" lets anybody who knows the address send leads; use secret_env or token_env where the tool can',
            )


def _forms_that_cannot_ask(configuration: Configuration) -> Iterator[Mistake]:
    for form in configuration.forms.values():
        if form.provider in IDS_ONLY and not form.api_token_env:
            yield Mistake(
                "intake.toml",
                f"forms.{form.name}",
                f"{form.provider} sends ids only, and nothing here may ask who they are: each becomes a dead letter; add "
                "api_token_env, the name of the variable that holds a token for its API",
            )
