"""A command line to run in this process, a small config directory, and a workplace on the real server."""

import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from speed_to_lead import flow
from speed_to_lead.cli import connect, doctor, main
from speed_to_lead.core.submission import Submission
from speed_to_lead.settings import load_settings
from speed_to_lead.store.redis_store import RedisStore
from speed_to_lead.workplace import Workplace, open_workplace

FILES = {
    "sources.toml": """
[sources.demo_request]
label = "Inbound demo request"
motion = "inbound"
aliases = ["book a demo"]
[sources.referral]
label = "Referral"
motion = "referral"
""",
    "teams.toml": """
[calendars.new-york]
timezone = "America/New_York"
hours = { mon-fri = ["09:00-17:00"] }
[teams.inbound]
calendar = "new-york"
manager = "sdr-managers"
[[teams.inbound.reps]]
id = "ana"
name = "Ana Ruiz"
notify = "console"
[[teams.inbound.reps]]
id = "ben"
name = "Ben Okoro"
[teams.referrals]
calendar = "new-york"
manager = "console"
[[teams.referrals.reps]]
id = "cleo"
name = "Cleo Park"
""",
    "slas.toml": """
[slas.inbound-5m]
respond_within = "5m"
steps = [
  { at = "0%", tell = ["rep"] },
  { at = "60%", remind = ["rep"] },
  { at = "100%", alert = ["manager"], reassign = true },
]
[slas.same-day]
respond_by = "close_of_business"
""",
    "routing.toml": """
[[rules]]
name = "Demos"
when.source = "demo_request"
team = "inbound"
sla = "inbound-5m"
[default]
team = "referrals"
sla = "same-day"
""",
    "intake.toml": """
[forms.website-demo]
provider = "generic"
token_env = "INTAKE_TOKEN"
source = "demo_request"
fields = { company = "key:firm" }
""",
    "alerts.toml": """
[destinations.sdr-managers]
type = "webhook"
url_env = "MANAGERS_URL"
secret_env = "MANAGERS_SECRET"
""",
}

#: A Monday, 09:00 in New York.
MONDAY = "2026-01-05T14:00:00Z"


@dataclass(frozen=True)
class Finished:
    """What one command line came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as one JSON value."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Its output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class Run:
    """Runs command lines in this process, in an environment of their own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def __call__(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Finished:
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            self._capfd.readouterr()
            code = main(arguments)
        captured = self._capfd.readouterr()
        return Finished(code, captured.out, captured.err)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Run]:
    """A command line in an empty directory, without any of our settings in its environment."""
    for name in list(os.environ):
        if name.startswith("STL_") or name in (
            "REDIS_URL",
            "PORT",
            "INTAKE_TOKEN",
            "MANAGERS_URL",
            "MANAGERS_SECRET",
        ):
            monkeypatch.delenv(name)
    directory = tmp_path / "somewhere"
    directory.mkdir()
    monkeypatch.chdir(directory)
    # The real set-up changes the loggers of the whole process; a test in a process of its own covers it.
    for module in (connect, doctor):
        monkeypatch.setattr(module, "set_up_logs", lambda *_: None)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50), cache_logger_on_first_use=False
    )
    yield Run(monkeypatch, capfd)
    structlog.reset_defaults()


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    """A small config without mistakes: two teams, two SLAs, one rule, one form, one webhook."""
    directory = tmp_path / "rules"
    directory.mkdir()
    for name, text in FILES.items():
        (directory / name).write_text(text)
    return directory


@dataclass
class Running:
    """A workplace on the real server, and a command line that sees the same one."""

    run: Run
    place: Workplace

    def __call__(self, *arguments: str, env: Mapping[str, str] | None = None) -> Finished:
        return self.run(*arguments, env=env)

    def submit(self, body: bytes | None = None, *, received_at: datetime | None = None, **fields: Any) -> str:
        """Put one submission into the queue; its id."""
        now = received_at or self.place.store.now()
        submission_id = flow.new_submission_id(now)
        given = {"email": f"{submission_id}@example.com", "source": "demo_request"} | fields
        raw = body if body is not None else json.dumps(given).encode()
        self.place.store.queue.add(Submission(submission_id, "api", now, raw, "application/json"))
        return submission_id

    def routed(self, body: bytes | None = None, **fields: Any) -> str:
        """The same, routed."""
        submission_id = self.submit(body, **fields)
        flow.route(self.place, "router-1")
        return submission_id

    def beat_all(self) -> None:
        """A sign of life of every stage."""
        for stage in ("router", "clock", "courier", "auditor", "web", "watchdog"):
            flow.beat(self.place, stage)

    def ago(self, **span: float) -> datetime:
        """So long before the server's now."""
        return self.place.store.now() - timedelta(**span)


@pytest.fixture
def running(
    run: Run, config_dir: Path, server_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Running]:
    """An empty workplace on the real server."""
    monkeypatch.setenv("REDIS_URL", server_url)
    monkeypatch.setenv("STL_KEY_PREFIX", key_prefix)
    monkeypatch.setenv("STL_CONFIG_DIR", str(config_dir))
    place = open_workplace(load_settings())
    yield Running(run, place)
    assert isinstance(place.store, RedisStore)
    place.store.close()


def utc(text: str) -> datetime:
    """The instant of an ISO text without an offset, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def arguments(line: str, **places: object) -> Sequence[str]:
    """The words of a command line, with `{name}` filled in."""
    return [word.format(**places) for word in line.split()]
