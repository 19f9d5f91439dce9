"""Reading leads from a stream: bounded memory, true line numbers, nothing lost."""

import io
import json

import pytest

from speed_to_lead.cli import lead_lines
from speed_to_lead.cli.lead_lines import LeadLine, UnusableInput, leads_in


def read(text: str | bytes) -> list[LeadLine]:
    return list(leads_in(io.BytesIO(text.encode() if isinstance(text, str) else text)))


def test_lines_are_read_one_at_a_time() -> None:
    """The first lead is there before the second line is read."""
    stream = io.BytesIO(b'{"a": 1}\n{"a": 2}\n')
    lines = leads_in(stream)
    assert LeadLine(1, {"a": 1}) == next(lines)
    assert stream.tell() == 9


def test_line_numbers_count_blank_lines() -> None:
    """Numbers are those an editor shows."""
    assert [line.number for line in read('\n{"a": 1}\n\n\n{"a": 2}\n{"a": 3}')] == [2, 5, 6]
    assert [line.number for line in read('\n[\n{"a":\n1},\n\n\n{"a": 2}]')] == [3, 7]


def test_a_document_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """An array beyond the limit is refused with what to do; it is not swallowed whole."""
    monkeypatch.setattr(lead_lines, "DOCUMENT_LIMIT", 1000)
    [line] = read("[\n" + ",\n".join(json.dumps({"n": number}) for number in range(500)) + "]")
    assert "one lead per line" in line.problem


def test_a_line_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line longer than any lead is refused alone."""
    monkeypatch.setattr(lead_lines, "LINE_LIMIT", 50)
    text = json.dumps({"a": "x" * 60}) + '\n{"a": 1}'
    assert [bool(line.problem) for line in read(text)] == [True, False]


@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff"])
def test_nothing_at_all(text: str) -> None:
    """An empty input is no list of no leads: somebody meant to give one."""
    with pytest.raises(UnusableInput, match="empty"):
        read(text)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "nul", '"text"', "[1,]", '{"a": 1} {"b": 2}', "]"]
)
def test_whatever_comes_is_answered(text: str) -> None:
    """No input ends in an exception."""
    assert read(text)


def test_numbers_are_read_as_the_hooks_read_them() -> None:
    """What no number can hold stays as it is written, alone, in an array, and at the start of a document."""
    long = "9" * 5000
    for text in (
        f'{{"a": {long}, "b": 1e999, "c": 12}}\n{{"a": 1}}',
        f'[{{"a": {long}, "b": 1e999, "c": 12}}]',
        f'{{"a":\n{long}, "b": 1e999, "c": 12}}',
    ):
        assert {"a": long, "b": "1e999", "c": 12} == read(text)[0].value
