"""`config test`: do the rules still do what the expectations beside them say? Needs no server."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from speed_to_lead.cli.explain import Unexplainable, explain_line
from speed_to_lead.cli.lead_lines import LeadLine
from speed_to_lead.cli.output import counted, hint, safe, say, say_json
from speed_to_lead.cli.rules import (
    ConfigOption,
    JsonOption,
    directory_of_rules,
    read_rules,
    tell_mistakes,
)
from speed_to_lead.config import ConfigError, Configuration
from speed_to_lead.config.expectations import (
    DIRECTORY,
    Difference,
    Expectation,
    differences,
    read_expectations,
)
from speed_to_lead.config.mistakes import Notes
from speed_to_lead.core.clock import to_ms
from speed_to_lead.core.reps import Standing


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one expectation holds. `problem` says why the lead could not be routed at all."""

    expectation: Expectation
    differences: tuple[Difference, ...] = ()
    trace: tuple[str, ...] = ()
    problem: str = ""

    @property
    def holds(self) -> bool:
        """Whether everything is as expected."""
        return not self.differences and not self.problem


def run_expectations(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Hold the rules against the expectations in tests/*.toml beside them; exit 1 if one does not hold.

    An expectation names a lead and what must become of it: rule, team, rep, SLA, deadline, steps. Needs no server.
    """
    directory = directory_of_rules(config)
    try:
        configuration = read_rules(directory)
    except ConfigError as error:
        tell_mistakes(directory, error, as_json=as_json)
        raise typer.Exit(1 if directory.is_dir() else 2) from None
    notes = Notes()
    expectations = read_expectations(directory, configuration, notes)
    if notes.found:
        tell_mistakes(directory, ConfigError(notes.found), as_json=as_json)
        raise typer.Exit(1)
    verdicts = [verdict_of(expectation, configuration) for expectation in expectations or ()]
    failed = [verdict for verdict in verdicts if not verdict.holds]
    if as_json:
        _say_as_json(directory, configuration, verdicts)
    elif expectations is None:
        hint(
            f"there are no expectations: {directory / DIRECTORY} has no .toml file; "
            "the README of the config says how to write one"
        )
    else:
        for verdict in failed:
            _tell_failure(verdict)
        if failed:
            say(
                f"{len(failed)} of {counted(len(verdicts), 'expectation')} {'does' if len(failed) == 1 else 'do'} not hold"
            )
        else:
            say(f"{counted(len(verdicts), 'expectation')} {'holds' if len(verdicts) == 1 else 'hold'}")
    if failed:
        raise typer.Exit(1)


def verdict_of(expectation: Expectation, configuration: Configuration) -> Verdict:
    """Whether the rules do what is expected of them: asked exactly as `config explain` asks them."""
    given: dict[str, Any] = {**expectation.lead, "received_at": to_ms(expectation.received_at)}
    if expectation.form is not None:
        given["form"] = expectation.form
    try:
        explanation = explain_line(LeadLine(1, given), configuration, expectation.received_at)
    except Unexplainable as error:
        return Verdict(expectation, problem=str(error))
    on_shift = [
        rep.id
        for rep in explanation.assigned.team.reps
        if rep.presence(explanation.received_at).standing is Standing.AVAILABLE
    ]
    found = differences(expectation, explanation.as_json(), on_shift)
    return Verdict(expectation, found, explanation.trace)


def _tell_failure(verdict: Verdict) -> None:
    one = verdict.expectation
    say(f'{one.file}: {one.place} "{one.name}" does not hold')
    if verdict.problem:
        say(f"  the lead cannot be routed: {safe(verdict.problem)}")
    for difference in verdict.differences:
        say(f"  {difference.key}: expected {_shown(difference.expected)}, found {_shown(difference.found)}")
    if verdict.trace:
        say("  why")
        for reason in verdict.trace:
            say(f"    {safe(reason)}")
    say()


def _shown(value: Any) -> str:
    """A value in words; a list of alternatives or targets with commas."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, str):
        return f'"{safe(value)}"'
    return "nothing" if value is None else str(value).lower()


def _say_as_json(directory: Path, configuration: Configuration, verdicts: list[Verdict]) -> None:
    passed = sum(verdict.holds for verdict in verdicts)
    say_json(
        {
            "good": passed == len(verdicts),
            "directory": str(directory),
            "digest": configuration.rulebook.digest,
            "mistakes": [],
            "passed": passed,
            "failed": len(verdicts) - passed,
            "tests": [_as_json(verdict) for verdict in verdicts],
        }
    )


def _as_json(verdict: Verdict) -> dict[str, Any]:
    one = verdict.expectation
    document: dict[str, Any] = {"file": one.file, "place": one.place, "name": one.name, "good": verdict.holds}
    if not verdict.holds:
        document["differences"] = [
            {"key": difference.key, "expected": difference.expected, "found": difference.found}
            for difference in verdict.differences
        ]
        document["problem"] = verdict.problem or None
        document["trace"] = list(verdict.trace)
    return document
