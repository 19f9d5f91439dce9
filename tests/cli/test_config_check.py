"""`config check`: every mistake at once, then what deserves a second look."""

from pathlib import Path

from tests.cli.conftest import Run


def test_good(run: Run, config_dir: Path) -> None:
    """A good config is summed up in one line."""
    finished = run("config", "check", "--config", str(config_dir))
    assert finished.code == 0
    assert (
        "config is good: 1 rule, 2 teams, 3 reps, 2 SLAs, 2 sources, 1 calendar, 1 form, 2 destinations"
        in finished.out
    )


def test_all_mistakes_at_once(run: Run, config_dir: Path) -> None:
    """Mistakes of several files come together, one on each line, and nothing else is on stdout."""
    for name, right, wrong in (
        ("routing.toml", 'team = "inbound"', 'team = "inbond"'),
        ("teams.toml", 'timezone = "America/New_York"', 'timezone = "America/New_Yrok"'),
        ("slas.toml", '"5m"', '"5 minutes"'),
    ):
        path = config_dir / name
        path.write_text(path.read_text().replace(right, wrong))
    finished = run("config", "check", "--config", str(config_dir))
    assert finished.code == 1
    lines = finished.out.splitlines()
    assert {"routing.toml", "teams.toml", "slas.toml"} == {line.partition(":")[0] for line in lines}
    assert len(lines) == 3
    assert 'did you mean "inbound"?' in finished.out
    assert "3 mistakes in" in finished.err


def test_json(run: Run, config_dir: Path) -> None:
    """Programs get mistakes and warnings as objects."""
    good = run("config", "check", "--json", env={"STL_CONFIG_DIR": str(config_dir)})
    assert (good.code, good.json["good"], good.json["rules"]) == (0, True, 1)
    assert {"file", "place", "problem"} == set(good.json["warnings"][0])
    (config_dir / "routing.toml").write_text("[default\n")
    bad = run("config", "check", "--json", "--config", str(config_dir))
    assert (bad.code, bad.json["good"]) == (1, False)
    assert [mistake["file"] for mistake in bad.json["mistakes"]] == ["routing.toml"]


def test_warnings_do_not_fail(run: Run, config_dir: Path) -> None:
    """A doubt is told, and the exit code stays good."""
    finished = run("config", "check", "--config", str(config_dir))
    assert (finished.code, "warning: sources.toml: sources.referral" in finished.out) == (0, True)
