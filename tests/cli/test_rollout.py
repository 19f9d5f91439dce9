"""Which config is live, who works with it, and what the directory here is worth: `status`, `doctor`, `config check`."""

from pathlib import Path

import pytest
from tests.cli.conftest import Running
from tests.cli.test_operate import well
from tests.cli.test_publish import edit, published

from speed_to_lead.store.contract import RunningConfig

__all__ = ["published"]  # a fixture


def all_run(running: Running, said: RunningConfig) -> None:
    """Every stage is alive, in one process, which works with this."""
    store = running.place.store
    for stage in ("router", "clock", "courier", "auditor", "web", "watchdog"):
        store.operations.beat(f"{stage}@host:1", store.now())
    store.configs.note_running("host:1", said)


def digest(running: Running) -> str:
    """What the directory said when it was published."""
    return running.place.config.rulebook.digest


def test_status_says_what_is_live_and_who_works_with_it(published: Running) -> None:
    """A line for the version, one for the processes; nothing about a directory that says the same."""
    all_run(published, RunningConfig(1, digest(published)))
    finished = published("status")
    assert finished.code == 0, finished
    assert f"config  version 1 (digest {digest(published)})" in finished.out
    assert "by ana: first" in finished.out
    assert "1 of 1 process work with it" in finished.out
    assert "here " not in finished.out
    config = published("status", "--json").json["config"]
    assert (config["live"]["version"], config["behind"], config["directory_differs"]) == (1, [], False)


def test_status_is_not_well_where_a_process_refuses(published: Running) -> None:
    """Exit 1, and why, also in the last line."""
    all_run(published, RunningConfig(0, "old", 1, "X is not set here"))
    finished = published("status")
    assert finished.code == 1
    assert "REFUSED by auditor,clock,courier,router,watchdog,web@host:1" in finished.out
    assert "which works with its directory (digest old): X is not set here" in finished.out
    assert finished.out.rstrip().splitlines()[-1].startswith("Not well: config refused by")
    assert published("status", "--json").json["well"] is False


@pytest.mark.parametrize("command", ["status", "doctor", "config check"])
def test_an_edited_directory_is_said_to_do_nothing(
    published: Running, config_dir: Path, command: str
) -> None:
    """Whoever edits a file in a hurry and wonders is told, wherever they look."""
    all_run(published, RunningConfig(1, digest(published)))
    env = well(published)
    before = published(*command.split(), env=env)
    edit(config_dir, "slas.toml", '"5m"', '"10m"')
    after = published(*command.split(), env=env)
    assert "differs from version 1" not in before.out
    assert f"{config_dir} differs from version 1, which is live" in after.out
    assert "what is edited there does nothing" in after.out
    assert "speed-to-lead config apply" in after.out
    assert after.code == before.code


def test_without_a_version_an_edited_directory_is_told_too(running: Running, config_dir: Path) -> None:
    """Processes read theirs when they started."""
    all_run(running, RunningConfig(0, digest(running)))
    assert "is not what the processes work with" not in running("status").out
    edit(config_dir, "slas.toml", '"5m"', '"10m"')
    for command in (("status",), ("doctor",), ("config", "check")):
        assert "is not what the processes work with" in running(*command, env=well(running)).out
    assert "nothing is published" in running("status").out


def test_check_says_so_to_programs(published: Running, config_dir: Path) -> None:
    """`is_live`: true, false, or null where no server is known or it does not answer."""
    assert published("config", "check", "--json").json["is_live"] is True
    edit(config_dir, "slas.toml", '"5m"', '"10m"')
    assert published("config", "check", "--json").json["is_live"] is False
    away = {"REDIS_URL": "redis://127.0.0.1:1/0"}
    assert published("config", "check", "--json", env=away).json["is_live"] is None
    assert published("config", "check", "--json", env={"REDIS_URL": ""}).json["is_live"] is None


def test_doctor_looks_at_the_version_that_is_live(published: Running, config_dir: Path) -> None:
    """A broken draft is a warning; the rules, and the secrets they name, are those that count."""
    all_run(published, RunningConfig(1, digest(published)))
    (config_dir / "alerts.toml").write_text("[destinations")
    finished = published("doctor", env=well(published))
    assert finished.code == 0, finished.out
    assert ", which is live, is good" in finished.out
    assert "secrets: every one that config names is set" in finished.out
    assert "differs from version 1" in finished.out


def test_doctor_finds_a_process_that_refuses(published: Running) -> None:
    """A problem, with what it causes and how it is mended."""
    all_run(published, RunningConfig(0, "old", 1, "X is not set here"))
    finished = published("doctor", "--json", env=well(published))
    [found] = [one for one in finished.json["findings"] if "version 1 is refused by" in one["what"]]
    assert (finished.code, found["severity"]) == (1, "problem")
    assert "X is not set here" in found["what"]
    assert found["causes"]
    assert "rollback" in found["to_do"]


def test_doctor_finds_processes_that_work_with_different_directories(running: Running) -> None:
    """Before anything is published nobody sees to it that all hosts have the same files."""
    store = running.place.store
    for number in (1, 2):
        store.operations.beat(f"router@host:{number}", store.now())
        store.configs.note_running(f"host:{number}", RunningConfig(0, f"d{number}"))
    assert "the processes work with different ones: d1, d2" in running("doctor", env=well(running)).out
    assert "these directories differ: d1, d2" in running("status").out
