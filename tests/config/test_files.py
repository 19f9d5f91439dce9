"""What is wrong with whole files and directories, and that one mistake never makes another."""

from pathlib import Path

import pytest
from tests.config.builders import SMALL, ConfigDirectory, load

from speed_to_lead.config import ConfigError, Mistake

TOO_DEEP = "the file holds a number too long, or lists or tables nested too deep, to be config"


def test_all_mistakes_of_all_files_are_told_at_once(config: ConfigDirectory) -> None:
    """Six files with a mistake each make six mistakes in one run, in the order of the files."""
    config.replace("alerts.toml", '"slack"', '"slak"')
    config.replace("intake.toml", '"typeform"', '"typform"')
    config.replace("routing.toml", 'team = "triage"', 'team = "triag"')
    config.replace("slas.toml", '"5m"', '"5x"')
    config.replace("teams.toml", "weight = 2", "weight = 0")
    config.replace("sources.toml", '"referral"', '"referal"')
    with pytest.raises(ConfigError) as caught:
        config.load()
    assert list(SMALL) == [mistake.file for mistake in caught.value.mistakes]
    head, *lines = str(caught.value).splitlines()
    assert head == "6 mistakes in the config:"
    assert [f"  {mistake}" for mistake in caught.value.mistakes] == lines


@pytest.mark.parametrize("file", SMALL)
def test_a_broken_file_makes_no_mistake_of_what_refers_to_it(config: ConfigDirectory, file: str) -> None:
    """A file that is no TOML is one mistake, however many lines of other files use names from it."""
    config.append(file, "oops")
    lines = (config.directory / file).read_text().count("\n")
    assert [
        f'{file}: line {lines}, column 5: not valid TOML: expected "=" after the key'
    ] == config.mistakes()


@pytest.mark.parametrize(
    ("file", "section", "misspelt"),
    [
        ("sources.toml", "sources", "source"),
        ("teams.toml", "teams", "team"),
        ("teams.toml", "calendars", "calendar"),
        ("slas.toml", "slas", "sla"),
        ("alerts.toml", "destinations", "destination"),
    ],
)
def test_a_misspelt_section_is_one_mistake(
    config: ConfigDirectory, file: str, section: str, misspelt: str
) -> None:
    """Names under a misspelt heading still count as known elsewhere."""
    path = config.directory / file
    path.write_text(path.read_text().replace(f"[{section}.", f"[{misspelt}."))
    first, *others = config.mistakes()
    assert (f'{file}: "{misspelt}" is an unknown key; did you mean "{section}"?', []) == (first, others)


def test_a_calendar_that_failed_is_still_known(config: ConfigDirectory) -> None:
    """One wrong time zone is one mistake, though teams, reps and rules depend on the calendar."""
    config.replace("teams.toml", '"UTC"', '"Europe/Pariss"')
    assert config.mistakes() == [
        'teams.toml: calendars.always: time zone "Europe/Pariss" is unknown; did you mean "Europe/Paris"?'
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            b"a = yes",
            "line 1, column 5: not valid TOML: this is no value; a text needs quotes, a list brackets",
        ),
        (b"a = 1\na = 2", "end of file: not valid TOML: this key or table is written twice; keep one"),
        (b"[a]\n[a]", "line 2, column 3: not valid TOML: this table is written twice; keep one"),
        (b"a = [1", "end of file: not valid TOML: a list is not closed; add ]"),
        (b'a = "b', "end of file: not valid TOML: a text is not closed; add a quote"),
        (b"[a", "end of file: not valid TOML: expected ] to close the table's name"),
        (b"a = 2026-02-30", "line 1, column 5: not valid TOML: there is no such date or time"),
        (b"\xef\xbb\xbf[slas]", "the file starts with a byte order mark; save it as UTF-8 without BOM"),
        ("[slas]".encode("utf-16"), "the file is UTF-16, as some Windows editors write it; save it as UTF-8"),
        (b"[slas]\n# caf\xe9\n", "line 2: this line is not UTF-8 text; save the file as UTF-8"),
        (b"a = " + b"9" * 5000, TOO_DEEP),
        (b"a = " + b"[" * 5000, TOO_DEEP),
    ],
)
def test_a_file_that_is_no_toml_says_where_and_why(
    config: ConfigDirectory, content: bytes, expected: str
) -> None:
    """Whatever a file is made of, the message is in plain words."""
    (config.directory / "slas.toml").write_bytes(content)
    assert [f"slas.toml: {expected}"] == config.mistakes()


def test_an_unknown_toml_file_is_a_mistake_and_other_files_are_not(config: ConfigDirectory) -> None:
    """A *.toml file under another name would silently do nothing."""
    for name in ("route.toml", "README.md", ".#slas.toml", "notes.txt"):
        (config.directory / name).touch()
    (config.directory / "tests").mkdir()
    assert config.mistakes() == [
        'route.toml: this file is unknown, so nothing would read it; did you mean "routing.toml"?'
    ]


def test_a_required_file_that_is_missing_is_one_mistake(config: ConfigDirectory) -> None:
    """Without teams.toml, no rule that names a team is blamed."""
    (config.directory / "teams.toml").unlink()
    assert [
        f"teams.toml: there is no such file in {config.directory}; it lists teams, reps and their hours"
    ] == config.mistakes()


def test_intake_and_alerts_may_be_missing(config: ConfigDirectory) -> None:
    """Without intake.toml there are no forms; without alerts.toml every destination but the console is unknown."""
    (config.directory / "intake.toml").unlink()
    assert config.load().forms == {}
    (config.directory / "alerts.toml").unlink()
    assert config.mistakes() == [
        f"alerts.toml: there is no such file in {config.directory}, so the only destination is console",
        'teams.toml: teams.inbound: manager: destination "managers" is unknown; expected "console"',
        'teams.toml: teams.inbound.reps[1] "ana": notify: destination "desk" is unknown; expected "console"',
        (
            'slas.toml: slas.fast.steps[2] "late": alert: destination "desk" is unknown; '
            'expected "console", "manager", "rep" or "team"'
        ),
    ]


def test_a_missing_directory_says_where_it_was_looked_for(tmp_path: Path) -> None:
    """The message names the path and both ways to set it."""
    where = "set STL_CONFIG_DIR or --config to the directory that holds routing.toml"
    (tmp_path / "file").touch()
    for name, problem in (
        ("nowhere", "there is no such directory"),
        ("file", "this is a file, not a directory"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / name)
        assert (Mistake(str(tmp_path / name), "", f"{problem}; {where}"),) == caught.value.mistakes


@pytest.mark.parametrize("key", ["secret_env", "token_env"])
def test_a_secret_written_into_config_is_never_repeated(config: ConfigDirectory, key: str) -> None:
    """The message for a secret in the wrong place does not hold the secret."""
    config.replace("intake.toml", 'secret_env = "TYPEFORM_SECRET"', f'{key} = "whsec_c2VjcmV0"')
    config.replace("alerts.toml", '"SLACK_URL"', '"https://hooks.slack.com/services/T0/B0/c2VjcmV0"')
    mistakes = config.mistakes()
    assert (len(mistakes), any("c2VjcmV0" in mistake for mistake in mistakes)) == (2, False)
