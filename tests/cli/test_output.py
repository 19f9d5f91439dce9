"""What is printed: escaped for people, whole for programs, drawn on terminals only."""

import io
import os
import pty
import subprocess
import sys

import pytest
from tests.cli.test_explain import environment

from speed_to_lead.cli.output import counted, safe, say_table

TABLE = """
from speed_to_lead.cli.output import say_table
say_table(("lead", "note"), [("1a2019fd1f3be7b4cde7fef", "[red]a note"), ("b", None)])
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Zoë Ñandú 東京", "Zoë Ñandú 東京"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("evil\u202egnp.exe", "evil\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        (7, "7"),
    ],
)
def test_safe(text: object, expected: str) -> None:
    """Letters of any script pass; what moves a cursor, ends a line or turns its direction does not."""
    assert expected == safe(text)


def test_plain_table(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe columns are aligned with blanks, without a blank at the end of a line."""
    say_table(("lead", "rep", "note"), [("l-1", None, "x"), ("l-22", "ana", "")])
    assert capsys.readouterr().out == "LEAD  REP  NOTE\nl-1   -    x\nl-22  ana  -\n"


@pytest.mark.parametrize(("columns", "drawn"), [("80", True), ("24", False)])
def test_table_on_a_terminal(columns: str, drawn: bool) -> None:
    """On a terminal it is drawn, unless that is too narrow; ids stay whole, and what leads say is no markup."""
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-c", TABLE],
        stdout=theirs,
        env=environment(COLUMNS=columns, TERM="xterm-256color"),
        check=True,
    )
    os.close(theirs)
    with io.FileIO(ours, closefd=True) as terminal:
        seen = terminal.read(65536).decode()
    assert "1a2019fd1f3be7b4cde7fef" in seen
    assert "[red]a note" in seen
    assert drawn == ("──" in seen)


@pytest.mark.parametrize(("number", "expected"), [(0, "0 leads"), (1, "1 lead"), (1234, "1,234 leads")])
def test_counted(number: int, expected: str) -> None:
    """One lead, two leads."""
    assert expected == counted(number, "lead")
