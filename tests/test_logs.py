"""Logs: one JSON object a line, and in it no person, no secret, no text of an exception."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog

from speed_to_lead.address import sentinel_address
from speed_to_lead.logs import redacted, set_up_logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """What a test sets up is taken back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {
        name: log.level
        for name, log in logging.Logger.manager.loggerDict.items()
        if isinstance(log, logging.Logger)
    }
    yield
    root.handlers[:], root.level = handlers, level
    for name, log in logging.Logger.manager.loggerDict.items():
        if isinstance(log, logging.Logger):
            log.setLevel(levels.get(name, logging.NOTSET))
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was logged, each line read as JSON; nothing goes to standard output."""
    out, err = captured.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_an_event_is_one_line_of_json_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """Event, level, UTC time, and what was bound: the lead's id among it."""
    set_up_logs()

    structlog.get_logger().info("lead.routed", lead_id="l1", note="two\nlines")

    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["lead_id"], line["note"]) == (
        "lead.routed",
        "info",
        "l1",
        "two\nlines",
    )
    assert line["timestamp"].endswith("Z")


def test_a_value_of_ours_is_logged_as_it_shows_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """An address leaves its password out of its repr; a log line leaves it out too."""
    set_up_logs()
    address = sentinel_address("redis+sentinel://user:hunter2@one.example.com:26379/mymaster/0")
    structlog.get_logger().info("store.opened", address=address)
    (line,) = lines(capsys)
    assert (repr(address), False) == (line["address"], "hunter2" in str(line))


def test_what_is_bound_to_the_context_is_in_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A lead's id is bound once; other libraries' records carry it too."""
    set_up_logs()
    with structlog.contextvars.bound_contextvars(lead_id="l1"):
        structlog.get_logger().info("a")
        logging.getLogger("other").warning("b")

    assert [line["lead_id"] for line in lines(capsys)] == ["l1", "l1"]


def test_an_exception_is_its_kind_and_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    """The text of an exception may quote a lead, so it is left out; so is the traceback, which shows it."""
    set_up_logs()
    try:
        int("kim@example.com")
    except ValueError:
        structlog.get_logger().exception("task.failed")
        logging.getLogger("other").exception("it failed")

    text = capsys.readouterr().err
    assert ("kim@example.com" in text, "Traceback" in text) == (False, False)
    for line in map(json.loads, text.splitlines()):
        assert line["error"] == "ValueError"
        assert line["at"].startswith("test_logs.py:")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://hooks.slack.com/services/T0/B0/XYZ", "https://hooks.slack.com/…"),
        ("POST https://h.example.com/x?token=abc failed", "POST https://h.example.com/… failed"),
        ("redis://:pass@h:6379/0", "redis://h:6379/…"),
        ("rediss://user:p%40ss@h:6379", "rediss://h:6379/…"),
        ("smtps://u:p@mail.example.com:465", "smtps://mail.example.com:465/…"),
        ("(https://a.example/x), 'https://b.example/y'", "(https://a.example/… 'https://b.example/…'"),
        ("no address", "no address"),
    ],
)
def test_an_address_keeps_its_host_only(text: str, expected: str) -> None:
    """Webhook addresses carry their secret in path or query, server addresses in front of the host."""
    assert expected == redacted(text)


@pytest.mark.parametrize("password", ["pa/ss", "pa@ss", "pa?ss", "pa#ss", "pa'ss"])
def test_a_password_with_odd_characters_does_not_show(password: str) -> None:
    """People paste addresses whose password was never escaped."""
    shown = redacted(f"cannot connect to redis://user:{password}@h:6379/0.")

    assert ("pa" in shown.replace("cannot", ""), "ss@" in shown) == (False, False)


def test_addresses_in_fields_and_in_others_records_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """Ours and other libraries', formatted or not."""
    set_up_logs()

    structlog.get_logger().warning(
        "x", url="https://h/secret", more=["https://h/secret"], deep={"u": "https://h/secret"}
    )
    logging.getLogger("other").warning("GET %s answered", "https://h/secret")

    text = capsys.readouterr().err
    assert "secret" not in text
    assert len(text.splitlines()) == 2


def test_httpx_says_nothing_of_its_requests(capsys: pytest.CaptureFixture[str]) -> None:
    """At INFO it logs the full address of every request."""
    set_up_logs()
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with httpx.Client(transport=transport) as client:
        client.post("https://hooks.slack.com/services/secret")

    assert lines(capsys) == []


def test_anothers_record_is_cut_to_its_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Celery's beat puts whole tracebacks into its message."""
    set_up_logs()

    logging.getLogger("celery.beat").error("Message Error: %s\n%s", "no connection", ["File …"])

    assert [line["event"] for line in lines(capsys)] == ["Message Error: no connection"]


def test_the_level_holds_for_ours_and_for_others(capsys: pytest.CaptureFixture[str]) -> None:
    """What is below it is not written."""
    set_up_logs("warning")

    structlog.get_logger().info("no")
    logging.getLogger("other").info("no")
    structlog.get_logger().warning("yes")

    assert [line["event"] for line in lines(capsys)] == ["yes"]


def test_on_a_terminal_people_read_it(capsys: pytest.CaptureFixture[str]) -> None:
    """`console` is for eyes: event first, fields after it, no JSON."""
    set_up_logs("info", "console")

    structlog.get_logger().info("lead.routed", lead_id="l1")

    text = capsys.readouterr().err
    assert ("lead.routed" in text, "l1" in text, text.startswith("{")) == (True, True, False)
