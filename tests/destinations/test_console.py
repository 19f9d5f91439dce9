"""The console: a short block for people."""

import io
import sys
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx
import pytest

from speed_to_lead.core.delivery import Attempt, Destination, Outcome
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.core.message import Message
from speed_to_lead.destinations import open_channel


def send(message: Message, now: datetime) -> Attempt:
    with httpx.Client() as client:
        return open_channel(Destination("sdr-managers", "console"), client, {}).send(message, now)


def test_what_a_reader_sees(message: Message, now: datetime, capsys: pytest.CaptureFixture[str]) -> None:
    """Kind, destination and headline; below them note, lead, step and page. No address, no phone."""
    assert Attempt(Outcome.DELIVERED, "printed") == send(message, now)
    expected = (
        "ALERT sla.breached  sdr-managers  Deadline missed: Ann Doe (Acme), overdue by 3 s, Bo has it\n"
        "      destination head-of-sales could not be reached\n"
        "      lead lead-42 · step 100%\n"
        "      https://stl.example/leads/lead-42?a=1&b=2\n"
    )
    assert expected == capsys.readouterr().out


def test_one_line_where_there_is_no_more(
    system_message: Message, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    """A message about the system is one line."""
    send(system_message, now)
    expected = "ALERT system.stage_silent  sdr-managers  The router has not been heard of for 2 min\n"
    assert expected == capsys.readouterr().out


def test_it_is_flushed(message: Message, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A buffered pipe holds nothing back."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(Unclosable(raw)), encoding="utf-8"))
    send(message, now)
    assert raw.getvalue().startswith(b"ALERT sla.breached")


class Unclosable(io.RawIOBase):
    def __init__(self, target: io.BytesIO) -> None:
        self.target = target

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self.target.write(data)


def test_an_ascii_terminal_does_not_raise(
    message: Message, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the terminal cannot show is shown by its code."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert send(message, now).outcome == Outcome.DELIVERED
    assert b"lead lead-42 \\xb7 step 100%" in raw.getvalue()


def test_closed(message: Message, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed standard output delivers nothing and raises nothing."""
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    assert send(message, now).outcome == Outcome.NOT_DELIVERED


def test_a_broken_pipe(message: Message, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """`| head` has gone."""

    class Gone(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    assert send(message, now).outcome == Outcome.NOT_DELIVERED


def test_none_at_all(message: Message, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon without standard output."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "__stdout__", None)
    assert Attempt(Outcome.NOT_DELIVERED, "there is no standard output") == send(message, now)


def test_a_stand_in_that_logs_is_passed_by(
    message: Message, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery's stand-in for sys.stdout writes to the log, where no name may appear (promise 14)."""
    logged: list[str] = []

    class LoggingProxy:
        encoding = None

        def write(self, data: str) -> None:
            logged.append(data)

        def flush(self) -> None:
            """Nothing."""

    real = io.StringIO()
    monkeypatch.setattr(sys, "stdout", LoggingProxy())
    monkeypatch.setattr(sys, "__stdout__", real)
    send(message, now)
    assert logged == []
    assert real.getvalue().startswith("ALERT")


def test_a_digest_names_its_leads(
    message: Message, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line each: whoever reads it need not look anything up."""
    lines = [f"Person {n}, overdue by {n} min, Bo has it (lead-{n})" for n in range(1, 8)]
    facts = (("Alerts", "7"), ("Leads", "\n".join(lines[:5])), ("Leads", "\n".join(lines[5:])))
    digest = replace(message, kind=AlertKind.DIGEST, headline="7 alerts at once", facts=facts)
    send(digest, now)
    assert lines == [line.strip() for line in capsys.readouterr().out.splitlines()[1:8]]
