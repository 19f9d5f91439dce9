"""`config schema`: JSON Schemas of the config's files, for editors. Needs no server, and no config but with --names."""

import json
from pathlib import Path
from typing import Annotated

import typer

from speed_to_lead.cli.output import say, say_json
from speed_to_lead.cli.rules import ConfigOption, JsonOption, directory_of_rules, read_rules, tell_mistakes
from speed_to_lead.config import ConfigError, Configuration
from speed_to_lead.config.mistakes import hint
from speed_to_lead.config.schema import DIRECTORY, file_of, schemas
from speed_to_lead.config.shapes import Schema
from speed_to_lead.destinations import KINDS
from speed_to_lead.forms import PROVIDERS


def print_schema(
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", show_default=False, help="Only this file's, such as teams.toml."),
    ] = None,
    config: ConfigOption = None,
    names: Annotated[
        bool, typer.Option("--names", help="With the names of the teams, SLAs, sources … of the config.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Write each into the directory schema/ of the config, instead.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """JSON Schemas (draft 2020-12) of the config's files, so that an editor completes and checks them.

    With --names it knows this config's own names too: write it again when they change.
    """
    directory = directory_of_rules(config) if names or write or config is not None else Path()
    configuration: Configuration | None = None
    if names:
        try:
            configuration = read_rules(directory)
        except ConfigError as error:
            tell_mistakes(directory, error, as_json=as_json)
            raise typer.Exit(1 if directory.is_dir() else 2) from None
    kinds = {name: kind.options for name, kind in KINDS.items()}
    selectors = {name: provider.selectors for name, provider in PROVIDERS.items()}
    found = schemas(selectors, kinds, configuration)
    if file is not None:
        if file not in found:
            raise typer.BadParameter(f'no schema is for "{file}"; {hint(file, found)}', param_hint="FILE")
        found = {file: found[file]}
    if write:
        _write(directory, found, as_json=as_json)
        return
    document = found if file is None else found[file]
    if as_json:
        say_json(document)
    else:
        say(_as_text(document))


def _write(directory: Path, found: dict[str, Schema], *, as_json: bool) -> None:
    folder = directory / DIRECTORY
    folder.mkdir(exist_ok=True)
    paths = {name: folder / file_of(name) for name in found}
    for name, schema in found.items():
        paths[name].write_text(f"{_as_text(schema)}\n", encoding="utf-8")
    if as_json:
        say_json({name: str(path) for name, path in paths.items()})
        return
    for path in paths.values():
        say(f"written: {path}")


def _as_text(document: Schema) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
