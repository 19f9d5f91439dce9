"""`config schema`: all of them, one of them, written beside a config, with its names."""

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_all_or_one(run: Run) -> None:
    """Without a file it is one object of all; neither needs a config."""
    everything = run("config", "schema")
    assert everything.code == 0
    assert {"sources.toml", "teams.toml", "slas.toml", "routing.toml", "intake.toml", "alerts.toml"} < set(
        everything.json
    )
    one = run("config", "schema", "teams.toml", "--json")
    assert (one.code, one.out.count("\n")) == (0, 1)
    assert everything.json["teams.toml"] == one.json
    assert one.json["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_written_beside_the_config(run: Run, config_dir: Path) -> None:
    """Each is written where the files look for it, and the rules load as before."""
    finished = run("config", "schema", "--write", "--config", str(config_dir))
    assert (finished.code, finished.out.count("written: ")) == (0, 9)
    written = json.loads((config_dir / "schema" / "teams.schema.json").read_text())
    assert run("config", "schema", "teams.toml").json == written
    assert run("config", "check", "--config", str(config_dir)).code == 0
    as_json = run("config", "schema", "--write", "--json", "--config", str(config_dir))
    assert as_json.json["tests/*.toml"].endswith("tests.schema.json")


def test_with_the_names_of_a_config(run: Run, config_dir: Path) -> None:
    """Its teams are the only ones right; a config with mistakes has no names to give."""
    finished = run("config", "schema", "routing.toml", "--names", "--config", str(config_dir))
    assert finished.json["$defs"]["team"] == {"enum": ["inbound", "referrals"]}
    (config_dir / "routing.toml").write_text("[default\n")
    broken = run("config", "schema", "--names", "--config", str(config_dir))
    assert (broken.code, broken.out.startswith("routing.toml: ")) == (1, True)


def test_wrong_usage(run: Run, tmp_path: Path) -> None:
    """A file no schema is for is told with the nearest; so is a directory that is not there."""
    finished = run("config", "schema", "team.toml")
    assert (finished.code, 'did you mean "teams.toml"?' in finished.err) == (2, True)
    assert run("config", "schema", "--names", "--config", str(tmp_path / "nowhere")).code == 2
    assert run("config", "schema", "--write", "--config", str(tmp_path / "nowhere")).code == 2
