"""A task that fails says so in one line without quoting anybody, and nothing gets out to Celery."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from structlog.testing import capture_logs

from speed_to_lead.store import StoreUnavailable


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tasks of a process that has a server's address."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    from speed_to_lead.worker import tasks

    monkeypatch.setattr(tasks, "workplace", lambda: None)
    return tasks


@pytest.mark.parametrize(
    ("error", "event"),
    [(KeyError("kim@example.com"), "task.failed"), (StoreUnavailable("ConnectionError"), "store.away")],
)
def test_a_task_that_fails_says_so_in_one_line(
    tasks: ModuleType, monkeypatch: pytest.MonkeyPatch, error: Exception, event: str
) -> None:
    """Celery would log the exception's text, which may quote a lead."""

    def work(_: object) -> None:
        raise error

    run: Callable[[], Any] = tasks.task(f"trial_{type(error).__name__}")(work)
    with capture_logs() as logged:
        run()

    assert [(event, f"trial_{type(error).__name__}")] == [(line["event"], line["task"]) for line in logged]
    assert "kim@example.com" not in str(
        [{k: v for k, v in line.items() if k != "exc_info"} for line in logged]
    )
