"""`config`: is what ops wrote right, and what would it do? None of its commands needs a server."""

from datetime import UTC, datetime

import typer

from speed_to_lead.cli import new_group
from speed_to_lead.cli.expectations import run_expectations
from speed_to_lead.cli.explain import explain
from speed_to_lead.cli.output import counted, say, say_json
from speed_to_lead.cli.rules import (
    ConfigOption,
    JsonOption,
    directory_of_rules,
    mistake_as_json,
    read_rules,
    tell_mistakes,
)
from speed_to_lead.config import ConfigError, Configuration, warnings_of

app = new_group("Check the rules, and see where a lead would go and why.")
app.command("explain")(explain)
app.command("test")(run_expectations)


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every mistake in the rules at once; exit 1 if there is any. Then what deserves a second look."""
    directory = directory_of_rules(config)
    try:
        configuration = read_rules(directory)
    except ConfigError as error:
        tell_mistakes(directory, error, as_json=as_json)
        raise typer.Exit(1 if directory.is_dir() else 2) from None
    warnings = warnings_of(configuration, datetime.now(UTC))
    counts = _counts(configuration)
    if as_json:
        say_json(
            {
                "good": True,
                "directory": str(directory),
                "digest": configuration.rulebook.digest,
                "mistakes": [],
                "warnings": [mistake_as_json(warning) for warning in warnings],
                **counts,
            }
        )
        return
    for warning in warnings:
        say(f"warning: {warning}")
    parts = ", ".join(counted(number, _NOUNS[name]) for name, number in counts.items())
    doubts = f"; {counted(len(warnings), 'warning')} above" if warnings else ""
    say(f"config is good: {parts} (digest {configuration.rulebook.digest}){doubts}")


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
