"""The rules for commands that need no server, and the options that many commands share. Quick to import."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from speed_to_lead.cli.output import counted, hint, say, say_json
from speed_to_lead.config import ConfigError, Configuration, Mistake, load_config
from speed_to_lead.core.clock import from_iso
from speed_to_lead.destinations import KINDS
from speed_to_lead.forms import PROVIDERS

#: What calendars, and the holidays in them, are asked about.
YEARS = range(1970, 2200)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="DIR", help="Directory of the rules; else STL_CONFIG_DIR, else config."),
]


def directory_of_rules(given: Path | None) -> Path:
    """The directory of the rules. Raises SettingsError where an STL_ variable is wrong.

    Pydantic's settings take as long to import as everything else together, so they are left alone where there is
    nothing for them to read.
    """
    if any(name.startswith("STL_") for name in os.environ):
        from speed_to_lead.settings import load_settings  # noqa: PLC0415

        settings = load_settings()
        return given if given is not None else settings.config_dir
    return given if given is not None else Path("config")


def read_rules(source: Path | Mapping[str, bytes], now: datetime | None = None) -> Configuration:
    """The rules in a directory, or in these texts, as `workplace.read_config` but without the store. Raises ConfigError."""
    kinds = {name: kind.options for name, kind in KINDS.items()}
    selectors = {name: provider.selectors for name, provider in PROVIDERS.items()}
    return load_config(source, providers=selectors, kinds=kinds, now=now or datetime.now(UTC))


def time_given(text: str | None, option: str) -> datetime | None:
    """The instant of an option, None where it was left out. Raises typer.BadParameter."""
    if text is None:
        return None
    try:
        return from_iso(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def tell_mistakes(directory: Path, error: ConfigError, *, as_json: bool) -> None:
    """Every mistake on its line, or as one JSON object."""
    if as_json:
        mistakes = [mistake_as_json(mistake) for mistake in error.mistakes]
        say_json({"good": False, "directory": str(directory), "mistakes": mistakes, "warnings": []})
        return
    for mistake in error.mistakes:
        say(str(mistake))
    where = os.fspath(directory)
    if directory.is_dir():
        hint(
            f"{counted(len(error.mistakes), 'mistake')} in {where}; running workers keep the rules they have"
        )


def mistake_as_json(mistake: Mistake) -> dict[str, Any]:
    """One mistake or warning for programs."""
    return {"file": mistake.file, "place": mistake.place, "problem": mistake.problem}
