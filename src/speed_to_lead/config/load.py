"""The whole config: eight files → one rulebook, the forms, the destinations and the retention, or every mistake at once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from speed_to_lead.config.alerts import CONSOLE, read_destinations
from speed_to_lead.config.deadlines import impossible_deadlines
from speed_to_lead.config.files import Files, read_files
from speed_to_lead.config.intake import read_forms
from speed_to_lead.config.lookups import read_lookups
from speed_to_lead.config.mistakes import ConfigError, Mistake, Names, Notes
from speed_to_lead.config.retention import read_retention
from speed_to_lead.config.routing import read_reception, read_rules, read_same_person
from speed_to_lead.config.scoring import read_scoring
from speed_to_lead.config.slas import read_slas
from speed_to_lead.config.sources import read_audit_terms, read_taxonomy
from speed_to_lead.config.teams import read_calendars, read_teams
from speed_to_lead.config.templates import Templates
from speed_to_lead.core.arrivals import AuditTerms
from speed_to_lead.core.assignment import Team
from speed_to_lead.core.attribution import UNKNOWN_SOURCE, Taxonomy
from speed_to_lead.core.calendar import Calendar
from speed_to_lead.core.delivery import Destination, KindOptions
from speed_to_lead.core.meanings import Reception
from speed_to_lead.core.retention import Retention
from speed_to_lead.core.routing import SAME_PERSON_WITHIN, Rulebook
from speed_to_lead.core.rules import Rule
from speed_to_lead.core.sla import SLA
from speed_to_lead.core.submission import Form
from speed_to_lead.spellings import SPELLINGS


@dataclass(frozen=True)
class Configuration:
    """Everything the files of one config directory say, checked and ready to use."""

    rulebook: Rulebook
    forms: Mapping[str, Form]
    destinations: Mapping[str, Destination]
    retention: Retention = Retention()  # noqa: RUF009 - a frozen value
    audit: AuditTerms = AuditTerms()  # noqa: RUF009 - a frozen value
    wording: Templates = Templates()  # noqa: RUF009 - a frozen value


def load_config(
    source: Path | Mapping[str, bytes],
    *,
    providers: Mapping[str, Collection[str]],
    kinds: Mapping[str, KindOptions],
    now: datetime,
) -> Configuration:
    """The configuration in a directory, or in these texts by the names of their files.

    `providers` are the form tools, each with its kinds of selector, and `kinds` the kinds of destination this
    program knows; `now` (aware) is when calendars must open within a year. Raises ConfigError with every mistake of all files.
    """
    notes = Notes()
    files = read_files(source, notes)
    names = _AllNames.of(files)
    taxonomy, audit = _read_taxonomy(files, notes, names)
    calendars, teams = _read_teams(files, notes, names, now)
    slas = _read_slas(files, notes, names, calendars)
    rules, default = _read_rules(files, notes, names, taxonomy)
    routing = files.table("routing.toml", notes)
    reception = read_reception(routing, calendars, names.calendars) if routing else Reception()
    within = read_same_person(routing) if routing else SAME_PERSON_WITHIN
    lookups = read_lookups(routing) if routing else {}
    points = files.table("scoring.toml", notes)
    scoring = read_scoring(points, names.sources, taxonomy) if points else ()
    intake, alerts = files.table("intake.toml", notes), files.table("alerts.toml", notes)
    forms = read_forms(intake, names.sources, providers) if intake else {}
    destinations = (
        read_destinations(alerts, kinds, calendars, names.calendars) if alerts else {CONSOLE.name: CONSOLE}
    )
    if alerts is None and any('destination "' in mistake.problem for mistake in notes.found):
        where = source if isinstance(source, Path) else "this version"
        why = f"there is no such file in {where}, so the only destination is {CONSOLE.name}"
        notes.found.insert(0, Mistake("alerts.toml", "", why))
    ages = files.table("retention.toml", notes)
    retention = read_retention(ages) if ages else Retention()
    if notes.found or default is None:
        raise ConfigError(notes.found)
    rulebook = Rulebook(
        *(taxonomy, calendars, teams, slas, rules, default, files.digest),
        *(SPELLINGS, reception, scoring, within),
        {form.name: form.honeypot for form in forms.values() if form.honeypot},
        lookups,
    )
    impossible = tuple(impossible_deadlines(rulebook, now))
    if impossible:
        raise ConfigError(impossible)
    return Configuration(rulebook, forms, destinations, retention, audit, files.templates)


@dataclass(frozen=True, slots=True)
class _AllNames:
    """The names of all files, known before any file is read in earnest: files refer to each other both ways."""

    sources: Names
    calendars: Names
    teams: Names
    slas: Names
    destinations: Names
    lookups: Names

    @classmethod
    def of(cls, files: Files) -> "_AllNames":
        return cls(
            sources=files.names("source", "sources.toml", "sources", UNKNOWN_SOURCE.name),
            calendars=files.names("calendar", "teams.toml", "calendars"),
            teams=files.names("team", "teams.toml", "teams"),
            slas=files.names("SLA", "slas.toml", "slas"),
            destinations=files.names("destination", "alerts.toml", "destinations", CONSOLE.name),
            lookups=files.names("look-up", "routing.toml", "lookups"),
        )


def _read_taxonomy(files: Files, notes: Notes, names: _AllNames) -> tuple[Taxonomy, AuditTerms]:
    file = files.table("sources.toml", notes)
    if file is None:
        return Taxonomy(), AuditTerms()
    return read_taxonomy(file, names.sources), read_audit_terms(file)


def _read_teams(
    files: Files, notes: Notes, names: _AllNames, now: datetime
) -> tuple[dict[str, Calendar], dict[str, Team]]:
    file = files.table("teams.toml", notes)
    if file is None:
        return {}, {}
    calendars = read_calendars(file, now)
    return calendars, read_teams(file, calendars, names.calendars, names.destinations, names.teams)


def _read_slas(
    files: Files, notes: Notes, names: _AllNames, calendars: Mapping[str, Calendar]
) -> dict[str, SLA]:
    file = files.table("slas.toml", notes)
    return read_slas(file, names.destinations, calendars, names.calendars) if file else {}


def _read_rules(
    files: Files, notes: Notes, names: _AllNames, taxonomy: Taxonomy
) -> tuple[tuple[Rule, ...], Rule | None]:
    file = files.table("routing.toml", notes)
    return (
        read_rules(file, names.sources, taxonomy, names.teams, names.slas, names.destinations, names.lookups)
        if file
        else ((), None)
    )
