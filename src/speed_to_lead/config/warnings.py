"""What is allowed in config and still worth a second look: shadowed rules, nobody on shift, unused names."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain

from speed_to_lead.config.alerts import CONSOLE
from speed_to_lead.config.load import Configuration
from speed_to_lead.config.mistakes import Mistake, quoted
from speed_to_lead.config.slas import ROLES
from speed_to_lead.core.assignment import Team
from speed_to_lead.core.attribution import Detection
from speed_to_lead.core.conditions import Comparison
from speed_to_lead.core.facts import Facts
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.rules import Rule
from speed_to_lead.core.sla import Clock

#: How far ahead leave and shifts are looked at.
DAYS_AHEAD = 14
#: Shifts are looked at this often; no shorter hole matters to a clock of minutes.
_EVERY = timedelta(minutes=15)

#: One condition of a rule: whether it is an `unless`, its field, and what it compares.
_Question = tuple[bool, str, frozenset[Comparison]]


def warnings_of(configuration: Configuration, now: datetime) -> tuple[Mistake, ...]:
    """Everything doubtful in a configuration that loads; `now` is where the coming two weeks begin."""
    rulebook = configuration.rulebook
    return (
        *_unused_sources(configuration),
        *_catch_all_detection(rulebook.taxonomy.detections),
        *(mistake for team in rulebook.teams.values() for mistake in _nobody(team)),
        *(mistake for team in rulebook.teams.values() for mistake in _all_on_leave(team, now)),
        *_unused(configuration),
        *_holes_under_elapsed_clocks(rulebook, now),
        *_shadowed_rules(rulebook.rules),
        *_no_forms(configuration),
        *_unknown_forms(configuration),
        *_unsigned_forms(configuration),
    )


def _shadowed_rules(rules: tuple[Rule, ...]) -> Iterator[Mistake]:
    asked = [_asked(rule) for rule in rules]
    how_often = Counter(chain.from_iterable(asked))
    # What a rule asks is compared only with the earlier rules whose rarest question it asks too: with thousands of
    # rules, comparing each with each takes minutes.
    earlier_by_rarest: dict[_Question, list[int]] = defaultdict(list)
    for index, rule in enumerate(rules):
        place = f"rules[{index + 1}] {quoted(rule.name)}"
        if not asked[index]:
            after = len(rules) - index - 1
            lost = (
                f"the {after} rules after it and the default"
                if after > 1
                else "the rule after it and the default"
                if after
                else "the default"
            )
            yield Mistake(
                "routing.toml",
                place,
                f"it has no conditions and matches every lead, so {lost} can never match",
            )
            return
        # An earlier rule that asks nothing which this one does not ask takes every lead this one would.
        covering = (
            next(
                (number for number in earlier_by_rarest.get(question, ()) if asked[number] <= asked[index]),
                None,
            )
            for question in asked[index]
        )
        earlier = min((number for number in covering if number is not None), default=None)
        if earlier is not None:
            yield Mistake(
                "routing.toml",
                place,
                f"it can never match: rule {quoted(rules[earlier].name)} comes first and matches every lead this one "
                "would; move this rule above it or remove it",
            )
            continue  # whatever it covers, the one that covers it covers too
        earlier_by_rarest[min(asked[index], key=how_often.__getitem__)].append(index)


def _asked(rule: Rule) -> frozenset[_Question]:
    """What the rule asks; `unless` apart from `when`."""
    return frozenset(
        (negated, condition.field, frozenset(condition.comparisons))
        for negated, conditions in ((False, rule.when), (True, rule.unless))
        for condition in conditions
    )


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


def _all_on_leave(team: Team, now: datetime) -> Iterator[Mistake]:
    if not team.reps:
        return
    for ahead in range(DAYS_AHEAD):
        at = now + timedelta(days=ahead)
        if all(rep.leave_at(at) for rep in team.reps):
            day = team.calendar.local_day(at).isoformat()
            yield Mistake(
                "teams.toml",
                f"teams.{team.name}",
                f"on {day} all of its reps are on leave, so its leads go to whoever is back first; add a rep who is there",
            )
            return


def _holes_under_elapsed_clocks(rulebook: Rulebook, now: datetime) -> Iterator[Mistake]:
    targets: dict[str, list[str]] = {}
    for rule in (*rulebook.rules, rulebook.default):
        sla = rulebook.slas[rule.sla]
        if sla.respond_within is not None and sla.clock is Clock.ELAPSED:
            slas = targets.setdefault(rule.team, [])
            if rule.sla not in slas:
                slas.append(rule.sla)
    for name, slas in targets.items():
        team = rulebook.teams[name]
        hole = _first_hole(team, now) if team.reps else None
        if hole is not None:
            yield Mistake(
                "teams.toml",
                f"teams.{name}",
                f"SLA {' and '.join(map(quoted, slas))} runs day and night, and nobody of this team is on shift at "
                f'{team.calendar.local_text(hole)}, so its clock can run out unseen; add shifts, or use clock = "business"',
            )


def _first_hole(team: Team, now: datetime) -> datetime | None:
    """The first quarter of an hour in the coming two weeks at which no rep is on shift, or None."""
    quarter = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    for number in range(int(timedelta(days=DAYS_AHEAD) / _EVERY)):
        at = quarter + number * _EVERY
        if not any(rep.calendar.is_open(at) for rep in team.reps):
            return at
    return None


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
    told = {team.manager for team in teams} | {rep.notify for team in teams for rep in team.reps}
    told |= {
        name
        for sla in rulebook.slas.values()
        for step in sla.steps
        for name in (*step.tell, *step.remind, *step.alert)
    }
    sent_to = {rule.team for rule in rules}
    sent_to |= {other for team in teams for other in (team.overflow, team.unmatched)}
    sections = (
        ("teams.toml", "calendars", rulebook.calendars, calendars, "no team and no rep uses it"),
        ("teams.toml", "teams", rulebook.teams, sent_to, "no rule sends it leads"),
        ("slas.toml", "slas", rulebook.slas, {rule.sla for rule in rules}, "no rule uses it"),
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


def _unsigned_forms(configuration: Configuration) -> Iterator[Mistake]:
    for form in configuration.forms.values():
        if form.auth == "none":
            yield Mistake(
                "intake.toml",
                f"forms.{form.name}",
                'auth = "none" lets anybody who knows the address send leads; use secret_env or token_env where the tool can',
            )
