"""Core is pure: the standard library and itself, no clock, no chance, no environment, no input or output."""

import ast
import sys
from pathlib import Path

import pytest

import speed_to_lead.core

CORE = Path(speed_to_lead.core.__file__).parent

#: Standard library, but the world outside: a decision that asks them is no function of its arguments.
WORLDLY_MODULES = frozenset((
    "asyncio", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "shutil", "signal",
    "smtplib", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "uuid",
))  # fmt: skip
#: Methods that read the clock of the machine, whatever they are called on.
CLOCK_METHODS = frozenset(("now", "utcnow", "today", "localtime", "monotonic", "perf_counter", "time_ns"))
WORLDLY_CALLS = frozenset(("open", "print", "input", "__import__", "eval", "exec"))


def impurities(source: str) -> list[str]:
    """What in this module's text is not pure, in order."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [f"imports {alias.name}" for alias in node.names if not _is_pure(alias.name)]
        elif isinstance(node, ast.ImportFrom) and (node.level or not _is_pure(node.module or "")):
            found.append(f"imports {'.' * node.level}{node.module or ''}")
        elif (
            isinstance(node, ast.Attribute) and node.attr in CLOCK_METHODS and isinstance(node.ctx, ast.Load)
        ):
            found.append(f"reads the clock: .{node.attr}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in WORLDLY_CALLS:
            found.append(f"calls {node.func.id}")
    return found


def _is_pure(module: str) -> bool:
    if module.split(".", maxsplit=1)[0] == "speed_to_lead":
        return module == "speed_to_lead.core" or module.startswith("speed_to_lead.core.")
    return (
        module.split(".", maxsplit=1)[0] in sys.stdlib_module_names - WORLDLY_MODULES
        and module != "urllib.request"
    )


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: path.name)
def test_core_is_pure(path: Path) -> None:
    """Every module of core answers from its arguments alone."""
    assert impurities(path.read_text()) == []


def test_core_was_found() -> None:
    """The test above looked at something."""
    assert {"escalation.py", "conditions.py", "lead.py"} <= {path.name for path in CORE.rglob("*.py")}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import pydantic", ["imports pydantic"]),
        ("import time", ["imports time"]),
        ("from os import environ", ["imports os"]),
        ("import os.path as p", ["imports os.path"]),
        ("import random", ["imports random"]),
        ("from urllib.request import urlopen", ["imports urllib.request"]),
        ("from speed_to_lead.store import keys", ["imports speed_to_lead.store"]),
        ("from speed_to_lead import flow", ["imports speed_to_lead"]),
        ("from . import lead", ["imports ."]),
        ("from datetime import datetime\nx = datetime.now(UTC)", ["reads the clock: .now"]),
        ("import datetime as d\ndef f():\n    return d.datetime.utcnow()", ["reads the clock: .utcnow"]),
        ("f = date.today", ["reads the clock: .today"]),
        ("open('x')", ["calls open"]),
        ("def f():\n    import redis", ["imports redis"]),
        ("from datetime import time\nfrom speed_to_lead.core.lead import Lead\nx = now + time()", []),
        ("from urllib.parse import urlsplit\nx = calendar.is_open(now)", []),
    ],
)
def test_the_check_can_fail(source: str, expected: list[str]) -> None:
    """What is not pure is seen, what is pure is let through."""
    assert expected == impurities(source)
