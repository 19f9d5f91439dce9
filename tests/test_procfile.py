"""The Procfile and `speed-to-lead up` start the same processes."""

import shlex
from pathlib import Path

from tests.processes import procfile

from speed_to_lead.cli.up import programs


def test_up_starts_the_processes_of_the_procfile() -> None:
    """Name for name and argument for argument; only how Python is found differs."""
    expected = {name: shlex.split(command) for name, command in procfile().items() if name != "release"}

    started = {program.name: list(program.command) for program in programs()}

    assert expected == {name: _as_typed(command) for name, command in started.items()}


def test_the_release_step_checks_before_anything_starts() -> None:
    """A platform runs it once for each deployment: mistakes in the rules stop it."""
    assert procfile()["release"] == "speed-to-lead config check"


def test_every_worker_listens_to_one_queue_and_leaves_gossip_alone() -> None:
    """Each stage has a worker of its own, so that none waits for another."""
    workers = {name: command for name, command in procfile().items() if " worker " in command}

    assert {name: command.partition("-Q ")[2].split()[0] for name, command in workers.items()} == {
        "router": "route",
        "clock": "clock",
        "courier": "deliver",
    }
    lean = "-P solo --without-gossip --without-mingle --without-heartbeat"
    assert [name for name, command in workers.items() if not command.endswith(lean)] == []


def _as_typed(command: list[str]) -> list[str]:
    assert Path(command[0]).is_absolute()
    names = {"celery": "celery", "speed_to_lead.cli": "speed-to-lead"}
    return [names[command[2]], *command[3:]]
