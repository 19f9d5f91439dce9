"""`config`: is what ops wrote right, and what would it do? It needs no server, but for what is live and leads that came."""

import os
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from speed_to_lead.cli import new_group, publish
from speed_to_lead.cli.expectations import run_expectations
from speed_to_lead.cli.explain import explain
from speed_to_lead.cli.output import counted, say, say_json, say_table
from speed_to_lead.cli.rules import (
    YEARS,
    ConfigOption,
    JsonOption,
    directory_of_rules,
    mistake_as_json,
    read_rules,
    tell_mistakes,
    time_given,
)
from speed_to_lead.cli.schema import print_schema
from speed_to_lead.cli.shadow import shadow
from speed_to_lead.cli.simulate import simulate
from speed_to_lead.config import ConfigError, Configuration, findings_of
from speed_to_lead.config.deadlines import Wait
from speed_to_lead.config.mistakes import Mistake
from speed_to_lead.config.shifts import TeamGap
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.message import span_text
from speed_to_lead.destinations import new_http_client, why_unusable

app = new_group("Check the rules, see where a lead would go and why, and publish them.")
app.command("explain")(explain)
app.command("simulate")(simulate)
for _command in (publish.apply, publish.history, publish.show, publish.diff, publish.rollback, shadow):
    app.command(_command.__name__)(_command)
app.command("test")(run_expectations)
app.command("schema")(print_schema)


@app.command()
def check(
    config: ConfigOption = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Where the coming two weeks begin, such as 2026-11-23T09:30:00Z; else now."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Every mistake in the rules at once; exit 1 if there is any. Then what deserves a second look.

    Looks two weeks ahead: hours in which nobody is on shift, and how long a lead of each team may wait.
    """
    now = time_given(at, "--at") or datetime.now(UTC)
    if now.year not in YEARS:
        raise typer.BadParameter(
            f"{to_iso(now)} is outside the years {YEARS.start} to {YEARS.stop - 1}", param_hint="--at"
        )
    directory = directory_of_rules(config)
    try:
        configuration = read_rules(directory, now)
        _refuse_unusable(configuration)
    except ConfigError as error:
        tell_mistakes(directory, error, as_json=as_json)
        raise typer.Exit(1 if directory.is_dir() else 2) from None
    findings = findings_of(configuration, now)
    counts = _counts(configuration)
    known = publish.what_is_live()
    if as_json:
        say_json(
            {
                "good": True,
                "directory": str(directory),
                "digest": configuration.rulebook.digest,
                "at": to_iso(now),
                "mistakes": [],
                "is_live": known and known.is_worked_with(configuration.rulebook.digest),
                "warnings": [mistake_as_json(warning) for warning in findings.warnings],
                "notes": [mistake_as_json(note) for note in findings.notes],
                "gaps": [_gap_as_json(gap) for gap in findings.gaps],
                "longest_waits": [_wait_as_json(wait) for wait in findings.waits],
                "unrouted_sources": list(findings.unrouted_sources),
                **counts,
            }
        )
        return
    for warning in findings.warnings:
        say(f"warning: {warning}")
    for note in findings.notes:
        say(f"note: {note}")
    say("The longest wait of a lead that comes in the coming two weeks:")
    say_table(
        ("team", "sla", "wait", "received", "due"),
        [
            (
                wait.team.name,
                wait.sla.name,
                span_text(wait.length),
                wait.team.calendar.local_text(wait.received_at),
                wait.team.calendar.local_text(wait.deadline),
            )
            for wait in findings.waits
        ],
    )
    parts = ", ".join(counted(number, _NOUNS[name]) for name, number in counts.items())
    doubts = f"; {counted(len(findings.warnings), 'warning')} above" if findings.warnings else ""
    say(f"config is good: {parts} (digest {configuration.rulebook.digest}){doubts}")
    if known is not None and (line := known.line(directory)):
        say(f"not live: {line}")


def _refuse_unusable(configuration: Configuration) -> None:
    """Raise ConfigError where a variable that a destination names is set here to what can never work.

    One that is not set here may be where the couriers run; `doctor` says which those are.
    """
    with new_http_client() as http:
        mistakes = [
            Mistake("alerts.toml", f"destinations.{destination.name}", why)
            for destination in configuration.destinations.values()
            if (why := why_unusable(destination, http, os.environ))
        ]
    if mistakes:
        raise ConfigError(mistakes)


def _gap_as_json(gap: TeamGap) -> dict[str, Any]:
    """One stretch without anybody on shift; `is_awaited` where leads wait for the team then."""
    return {
        "team": gap.team,
        "from": to_iso(gap.gap.stretch.since),
        "until": to_iso(gap.gap.stretch.until),
        "is_awaited": gap.gap.is_awaited,
        "is_leave": gap.gap.is_leave,
        "text": gap.text,
    }


def _wait_as_json(wait: Wait) -> dict[str, Any]:
    return {
        "team": wait.team.name,
        "sla": wait.sla.name,
        "received_at": to_iso(wait.received_at),
        "deadline": to_iso(wait.deadline),
        "seconds": int(wait.length.total_seconds()),
    }


_NOUNS = {
    "rules": "rule",
    "teams": "team",
    "reps": "rep",
    "slas": "SLA",
    "sources": "source",
    "calendars": "calendar",
    "forms": "form",
    "destinations": "destination",
}


def _counts(configuration: Configuration) -> dict[str, int]:
    rulebook = configuration.rulebook
    return {
        "rules": len(rulebook.rules),
        "teams": len(rulebook.teams),
        "reps": sum(len(team.reps) for team in rulebook.teams.values()),
        "slas": len(rulebook.slas),
        "sources": len(rulebook.taxonomy.sources),
        "calendars": len(rulebook.calendars),
        "forms": len(configuration.forms),
        "destinations": len(configuration.destinations),
    }
