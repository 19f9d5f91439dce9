"""`config`: is what ops wrote right, and what would it do? Neither needs a server. What is live is publish.py's."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from speed_to_lead.cli import new_group, publish
from speed_to_lead.cli.explain import explain
from speed_to_lead.cli.output import counted, hint, say, say_json
from speed_to_lead.cli.rules import ConfigOption, JsonOption, directory_of_rules, read_rules
from speed_to_lead.cli.shadow import shadow
from speed_to_lead.config import ConfigError, Configuration, Mistake, warnings_of

app = new_group("Check the rules, see where a lead would go and why, and publish them.")
app.command("explain")(explain)
for _command in (publish.apply, publish.history, publish.show, publish.diff, publish.rollback, shadow):
    app.command(_command.__name__)(_command)


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every mistake in the rules at once; exit 1 if there is any. Then what deserves a second look."""
    directory = directory_of_rules(config)
    try:
        configuration = read_rules(directory)
    except ConfigError as error:
        _tell_mistakes(directory, error, as_json=as_json)
        raise typer.Exit(1 if directory.is_dir() else 2) from None
    warnings = warnings_of(configuration, datetime.now(UTC))
    counts = _counts(configuration)
    known = publish.what_is_live()
    if as_json:
        say_json(
            {
                "good": True,
                "directory": str(directory),
                "digest": configuration.rulebook.digest,
                "mistakes": [],
                "warnings": [_as_json(warning) for warning in warnings],
                "is_live": known and known.is_worked_with(configuration.rulebook.digest),
                **counts,
            }
        )
        return
    for warning in warnings:
        say(f"warning: {warning}")
    parts = ", ".join(counted(number, _NOUNS[name]) for name, number in counts.items())
    doubts = f"; {counted(len(warnings), 'warning')} above" if warnings else ""
    say(f"config is good: {parts} (digest {configuration.rulebook.digest}){doubts}")
    if known is not None and (line := known.line(directory)):
        say(f"not live: {line}")


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


def _tell_mistakes(directory: Path, error: ConfigError, *, as_json: bool) -> None:
    if as_json:
        mistakes = [_as_json(mistake) for mistake in error.mistakes]
        say_json({"good": False, "directory": str(directory), "mistakes": mistakes, "warnings": []})
        return
    for mistake in error.mistakes:
        say(str(mistake))
    where = os.fspath(directory)
    if directory.is_dir():
        hint(
            f"{counted(len(error.mistakes), 'mistake')} in {where}; running workers keep the rules they have"
        )


def _as_json(mistake: Mistake) -> dict[str, Any]:
    return {"file": mistake.file, "place": mistake.place, "problem": mistake.problem}
