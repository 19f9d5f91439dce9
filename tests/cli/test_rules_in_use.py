"""One rule for all commands that are about what the workers do: what is published counts, else the directory, and each says which."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Finished, Run, Running

COMMANDS: dict[str, tuple[str, ...]] = {
    "explain": ("config", "explain", "lead.json"),
    "simulate": ("config", "simulate", "{config}", "--leads", "lead.json"),
    "alerts test": ("alerts", "test", "console"),
}
LEAD = {"email": "kim@example.com", "source": "demo_request", "received_at": "2026-01-05T14:00:00Z"}


def edit(directory: Path, name: str, old: str, new: str) -> None:
    path = directory / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def published(running: Running, config_dir: Path) -> Running:
    """Version 1 is live, by Ana; the directory has changed since, and a lead lies beside it."""
    assert running("config", "apply", "--by", "ana", "--wait", "0").code == 0
    running.place.keep_up(wait=True)
    edit(config_dir, "slas.toml", '"5m"', '"7m"')
    Path("lead.json").write_text(json.dumps(LEAD))
    return running


def words(command: str, config_dir: Path) -> list[str]:
    return [word.format(config=config_dir) for word in COMMANDS[command]]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_live_is_taken_and_named(published: Running, config_dir: Path, command: str) -> None:
    """Version, digest, time and author are said beside the data."""
    finished = published(*words(command, config_dir))
    live = published.place.store.configs.current()
    assert live is not None
    assert f"rules: version 1 (digest {live.digest}), published " in finished.err
    assert " by ana" in finished.err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_named_directory_is_taken(published: Running, config_dir: Path, command: str) -> None:
    """Whoever names a directory means it, and is told nothing more."""
    finished = published(*words(command, config_dir), "--config", str(config_dir))
    assert "rules:" not in finished.err


@pytest.mark.parametrize("command", COMMANDS)
def test_without_an_answer_the_directory_is_taken_and_named(
    published: Running, config_dir: Path, command: str
) -> None:
    """A server that is away stops no tool that works from files."""
    finished = published(*words(command, config_dir), env={"REDIS_URL": "redis://127.0.0.1:1/0"})
    assert finished.code == 0, finished
    assert f"rules: directory {config_dir} (digest " in finished.err
    assert ": the server does not answer" in finished.err


def test_an_address_that_is_none(run: Run, config_dir: Path) -> None:
    """Nor does one that is set to nonsense, where nothing else is set."""
    config_dir.rename("config")
    Path("lead.json").write_text(json.dumps(LEAD))
    finished = run("config", "explain", "lead.json", env={"REDIS_URL": "nonsense"})
    assert (finished.code, "the server cannot be asked (REDIS_URL" in finished.err) == (0, True)


def test_nothing_published(running: Running, config_dir: Path) -> None:
    """The directory, and why."""
    Path("lead.json").write_text(json.dumps(LEAD))
    finished = running("config", "explain", "lead.json")
    assert (finished.code, finished.err.strip().endswith(": nothing is published")) == (0, True)


def test_without_a_server_nothing_is_said(run: Run, config_dir: Path) -> None:
    """There was no choice."""
    Path("lead.json").write_text(json.dumps(LEAD))
    finished = run("config", "explain", "lead.json", env={"STL_CONFIG_DIR": str(config_dir)})
    assert (0, "") == (finished.code, finished.err)


def test_they_decide_by_it(published: Running, config_dir: Path) -> None:
    """Explain gives the live SLA; simulate compares the live config with the directory as candidate."""
    explained = published("config", "explain", "lead.json", "--json").json
    assert explained["deadline"] == "2026-01-05T14:05:00Z"
    simulated = published("config", "simulate", str(config_dir), "--leads", "lead.json", "--json").json
    assert (simulated["changes"]["deadline"], simulated["running"]["by"]) == (1, "ana")
    assert simulated["deadlines"]["later"] == 1
    tried = json.loads(published("alerts", "test", "console", "--json").out.splitlines()[-1])
    assert (tried["config"]["version"], tried["outcome"]) == (1, "delivered")


def test_a_version_this_release_cannot_read(published: Running, config_dir: Path) -> None:
    """The directory is taken, and it is said why: processes refuse that version too."""
    live = published.place.store.configs.current()
    assert live is not None
    texts = published.place.store.configs.texts(live.digest)
    assert texts is not None
    broken = texts | {"slas.toml": b"[slas"}
    published.place.store.configs.publish(type(live)(2, "0" * 16, "newer release", live.at, ""), broken)
    finished = published("config", "explain", "lead.json")
    assert (finished.code, "this release cannot read version 2, which is live" in finished.err) == (0, True)


def shown(running: Running, lead_id: str) -> Finished:
    return running("leads", "show", lead_id)


def listed(running: Running, lead_id: str) -> Finished:
    del lead_id
    return running("leads", "list", "--team", "inbond")


@pytest.mark.parametrize(("tell", "says"), [(shown, " EST"), (listed, 'did you mean "inbound"')])
def test_leads_are_told_by_what_is_live(
    published: Running, config_dir: Path, tell: Callable[[Running, str], Finished], says: str
) -> None:
    """Times as the team of the live version reads them, names as it has them, whatever the directory says by now."""
    lead_id = published.routed(received_at=published.place.store.now().replace(month=1, day=5))
    edit(config_dir, "teams.toml", "America/New_York", "Europe/Madrid")
    edit(config_dir, "teams.toml", "teams.inbound", "teams.other")
    finished = tell(published, lead_id)
    assert says in finished.out + finished.err


def test_doctor_names_it(published: Running) -> None:
    """The rules that count, with author and time."""
    found = published("doctor", "--json", "--skip-processes").json["findings"]
    assert any("by ana, which is live, is good" in one["what"] for one in found)
