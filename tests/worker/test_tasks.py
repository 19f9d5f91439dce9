"""What Celery is given: tasks that fail in one line, ticks that no clock can stop, and no timer at all."""

import ast
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import time_machine
from structlog.testing import capture_logs

import speed_to_lead
from speed_to_lead.core.retention import Retention
from speed_to_lead.privacy import Expired
from speed_to_lead.store import StoreUnavailable


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tasks of a process that has a server's address."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    from speed_to_lead.worker import tasks

    monkeypatch.setattr(tasks, "workplace", lambda: SimpleNamespace(keep_up=lambda: None))
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


def test_no_timer_lives_on_the_broker() -> None:
    """A deadline is data: nothing in the source sends a task with an ETA or a countdown, or retries one."""
    source = Path(speed_to_lead.__file__).parent
    timers = [
        f"{file.name}:{call.lineno}"
        for file in source.rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and _is_timer(call)
    ]
    assert [] == timers
    assert _is_timer(ast.parse("task.apply_async(countdown=3)").body[0].value)  # type: ignore[attr-defined]


def _is_timer(call: ast.Call) -> bool:
    sends_later = {"eta", "countdown"} & {keyword.arg for keyword in call.keywords}
    return bool(sends_later) or (isinstance(call.func, ast.Attribute) and call.func.attr == "retry")


def test_the_beat_ticks_on_when_the_hosts_clock_is_set_back(
    tasks: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute back on the wall is not a minute without sweeps."""
    tick = tasks.app.conf.beat_schedule["sweep"]["schedule"]
    last_run = tick.now()
    passed = time.monotonic() + 1
    monkeypatch.setattr("time.monotonic", lambda: passed)
    with time_machine.travel(datetime.now(UTC) - timedelta(minutes=1), tick=False):
        is_due, _ = tick.is_due(last_run)
    assert is_due


def test_ticks_outlive_what_hosts_clocks_differ_by(tasks: ModuleType) -> None:
    """Celery compares the sender's clock with the taker's: a short expiry would drop every tick unread."""
    expiries = [entry["options"]["expires"] for entry in tasks.app.conf.beat_schedule.values()]
    assert all(expires >= 60 for expires in expiries)


def test_retention_is_a_tick(tasks: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on where it stood until a round is done, and does nothing where config keeps everything."""
    cursors: list[int] = []

    def expire(_place: object, _retention: object, cursor: int) -> Expired:
        cursors.append(cursor)
        return Expired(cursor + 5 if cursor < 10 else 0)

    monkeypatch.setattr(tasks.privacy, "expire", expire)
    for retention in (Retention(), Retention(closed=timedelta(days=1))):
        config = SimpleNamespace(retention=retention)
        monkeypatch.setattr(
            tasks, "workplace", lambda config=config: SimpleNamespace(config=config, keep_up=lambda: None)
        )
        tasks.expire()
    assert cursors == [0, 5, 10]
    assert tasks.app.conf.task_routes["speed_to_lead.expire"] == {"queue": "clock"}


def test_the_watch_over_forms_and_sources_is_a_tick(
    tasks: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One watch for each process, with little time, on the clock's queue."""
    ticks: list[tuple[object, float]] = []
    monkeypatch.setattr(tasks, "workplace", lambda: SimpleNamespace(keep_up=lambda: None))
    monkeypatch.setattr(tasks.Watch, "tick", lambda self, seconds: ticks.append((self, seconds)))
    tasks.arrivals_watch.cache_clear()
    for _ in range(2):
        tasks.arrivals()
    (one, seconds), (other, _) = ticks
    assert one is other
    assert 0 < seconds <= tasks.AUDIT_SECONDS
    assert tasks.app.conf.task_routes["speed_to_lead.arrivals"] == {"queue": "clock"}
    assert "speed_to_lead.arrivals" in {entry["task"] for entry in tasks.app.conf.beat_schedule.values()}
    tasks.arrivals_watch.cache_clear()


def test_the_watch_over_dead_letters_is_a_tick(tasks: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """One watch for each process, with little time, on the clock's queue."""
    ticks: list[tuple[object, float]] = []
    monkeypatch.setattr(tasks, "workplace", lambda: SimpleNamespace(keep_up=lambda: None))
    monkeypatch.setattr(tasks.BurialWatch, "tick", lambda self, seconds: ticks.append((self, seconds)))
    tasks.burial_watch.cache_clear()
    for _ in range(2):
        tasks.burials()
    (one, seconds), (other, _) = ticks
    assert one is other
    assert 0 < seconds <= tasks.AUDIT_SECONDS
    assert tasks.app.conf.task_routes["speed_to_lead.burials"] == {"queue": "clock"}
    assert "speed_to_lead.burials" in {entry["task"] for entry in tasks.app.conf.beat_schedule.values()}
    tasks.burial_watch.cache_clear()


def test_a_lost_server_is_tried_again_each_second_at_least(tasks: ModuleType) -> None:
    """Celery passes kombu no pauses, whose own grow to half a minute: after an outage nothing would be routed for so long."""
    pauses: list[float] = []

    class Enough(Exception):
        pass

    def note(_: Exception, pause: float) -> None:
        pauses.append(pause)
        if len(pauses) == 3:
            raise Enough

    connection = tasks.app.connection_for_read()
    with pytest.raises(Enough):
        connection.ensure_connection(note, None)
    assert pauses == pytest.approx([0.2, 0.4, 0.6])
    from speed_to_lead.worker.app import RECONNECT

    assert RECONNECT["interval_max"] <= 1


def test_form_tools_are_asked_by_threads_of_their_own(
    tasks: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each second: what has waited long enough is routed, then askers are sent; the tick itself asks nobody."""
    done: list[object] = []
    monkeypatch.setattr(tasks.flow, "route_overdue", lambda place: done.append("overdue"))
    monkeypatch.setattr(tasks.flow, "fetches_due", lambda place: {"ads": 2})
    monkeypatch.setattr(tasks, "askers", lambda: SimpleNamespace(send=done.append))
    tasks.fetch()
    assert done == ["overdue", {"ads": 2}]
    assert tasks.app.conf.task_routes["speed_to_lead.fetch"] == {"queue": "deliver"}
    assert tasks.app.conf.beat_schedule["fetch"]["schedule"].run_every == timedelta(seconds=1)


def test_lists_of_form_tools_are_compared_by_threads_of_their_own(
    tasks: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each minute it is looked whose night it is; the tick itself asks no tool."""
    sent: list[object] = []
    monkeypatch.setattr(tasks.flow, "reconciliations_due", lambda place: {"ads": 1})
    monkeypatch.setattr(tasks, "comparers", lambda: SimpleNamespace(send=sent.append))
    tasks.reconcile()
    assert sent == [{"ads": 1}]
    assert tasks.app.conf.task_routes["speed_to_lead.reconcile"] == {"queue": "deliver"}
    assert tasks.app.conf.beat_schedule["reconcile"]["schedule"].run_every == timedelta(minutes=1)
