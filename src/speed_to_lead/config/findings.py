"""All that a config that loads can be asked before it runs: what is doubtful, what to expect, and how long leads wait.

warnings.py    names nobody uses, forms, detections
shadowing.py   rules that can never match
shifts.py      hours without anybody
deadlines.py   SLAs their calendars cannot keep, and a trial clock
ladders.py     escalations that end with nobody
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from speed_to_lead.config.deadlines import Wait, deadline_warnings, longest_waits
from speed_to_lead.config.ladders import ladder_warnings
from speed_to_lead.config.load import Configuration
from speed_to_lead.config.mistakes import Mistake, quoted
from speed_to_lead.config.shadowing import SourceSets, hopeless_detections, hopeless_rules
from speed_to_lead.config.shifts import TeamGap, gap_notes, gap_warnings, gaps_of
from speed_to_lead.config.warnings import form_warnings, name_warnings
from speed_to_lead.core.attribution import UNKNOWN_SOURCE
from speed_to_lead.core.routing import Rulebook


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found: `warnings` deserve a second look, `notes` are as they are meant to be more often than not."""

    warnings: tuple[Mistake, ...]
    notes: tuple[Mistake, ...]
    gaps: tuple[TeamGap, ...]
    waits: tuple[Wait, ...]
    unrouted_sources: tuple[str, ...]


def findings_of(configuration: Configuration, now: datetime) -> Findings:
    """Everything there is to say of a configuration that loads; `now` is where the coming two weeks begin."""
    rulebook = configuration.rulebook
    gaps = gaps_of(rulebook, now)
    waits = longest_waits(rulebook, now)
    unrouted = unrouted_sources(rulebook)
    warnings = (
        *name_warnings(configuration),
        *hopeless_detections(rulebook.taxonomy),
        *gap_warnings(rulebook, gaps),
        *deadline_warnings(rulebook, waits, now),
        *ladder_warnings(rulebook, now),
        *hopeless_rules(rulebook.rules, rulebook.taxonomy),
        *form_warnings(configuration),
    )
    notes = (*_unrouted_note(rulebook, unrouted), *gap_notes(rulebook, gaps))
    return Findings(warnings, notes, gaps, waits, unrouted)


def warnings_of(configuration: Configuration, now: datetime) -> tuple[Mistake, ...]:
    """Everything doubtful in a configuration that loads."""
    return findings_of(configuration, now).warnings


def unrouted_sources(rulebook: Rulebook) -> tuple[str, ...]:
    """Sources of the taxonomy whose leads only the default takes, whatever else they hold."""
    sources = SourceSets(rulebook.taxonomy)
    routed = 0
    for rule in rulebook.rules:
        routed |= sources.of(rule)
    return tuple(
        name
        for bit, name in enumerate(sources.names)
        if not routed >> bit & 1 and name != UNKNOWN_SOURCE.name
    )


def _unrouted_note(rulebook: Rulebook, unrouted: tuple[str, ...]) -> Iterator[Mistake]:
    if unrouted:
        default = rulebook.default
        yield Mistake(
            "routing.toml",
            "default",
            f"no rule is for {', '.join(unrouted)}: their leads go to team {quoted(default.team)} under SLA "
            f"{quoted(default.sla)}",
        )
