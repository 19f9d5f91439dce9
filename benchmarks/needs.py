"""What the comparisons need and is not installed here. Nothing is installed by us; without it its rows say so."""

import re
import shutil
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: Programs that a peer runs, with the package that has them.
PROGRAMS = {"postgres": "apt-get install postgresql"}
_POSTGRESQL = Path("/usr/lib/postgresql")  # where Debian keeps it, off the PATH


def missing_peers(pyproject: Path = ROOT / "pyproject.toml") -> list[str]:
    """A line for each package or program that is not there: what is missing, and the command that installs it."""
    extras = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    lines = [
        f"{name} (pip install -e '.[benchmarks]')"
        for name in map(_name_of, extras.get("benchmarks", []))
        if not _is_installed(name)
    ]
    return lines + [
        f"{program} ({command})" for program, command in PROGRAMS.items() if not _is_there(program)
    ]


def _name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return found[0] if found else requirement


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _is_there(program: str) -> bool:
    return shutil.which(program) is not None or any(_POSTGRESQL.glob(f"*/bin/{program}"))
