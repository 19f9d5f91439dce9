"""Leads out of a file or a pipe: JSON lines, one JSON object over several lines, or a JSON array.

JSON lines are read one at a time, however many there are, and a bad line stops none of the others. An object over
several lines or an array is one piece of text, so it has a limit.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

from speed_to_lead.forms.reading import DECODER  # numbers as the hooks read them

#: An array or an object over several lines may have this many bytes; JSON lines have no limit.
DOCUMENT_LIMIT = 32 * 1024 * 1024
#: One line may have this many: the web takes no larger lead either.
LINE_LIMIT = 1024 * 1024

_BLANKS = " \t\r\n"


class UnusableInput(Exception):
    """There is no lead to be read at all; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class LeadLine:
    """One value of the input and the line it begins on; `problem` says why there is none."""

    number: int
    value: Any = None
    problem: str = ""


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """The bytes of the file of that name; `-` is standard input. Raises UnusableInput."""
    if name == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise UnusableInput("there is no standard input; name a file of leads instead")
        if sys.stdin.isatty():
            print("Type or paste a lead as JSON, then Ctrl-D.", file=sys.stderr, flush=True)
        yield sys.stdin.buffer
        return
    try:
        stream = open(name, "rb")  # noqa: PTH123, SIM115 - the name may be any text; closed below
    except (OSError, ValueError) as error:
        raise UnusableInput(_why_not_opened(name, error)) from None
    with stream:
        yield stream


def _why_not_opened(name: str, error: Exception) -> str:
    if name.lstrip().startswith(("{", "[")):
        return "a file is expected here, and this looks like the lead itself; pipe it in: echo '{…}' | … -"
    if isinstance(error, FileNotFoundError):
        return f'there is no file "{name}"; give the name of a file of leads, or - for standard input'
    if isinstance(error, IsADirectoryError):
        return f'"{name}" is a directory; give the name of a file of leads in it'
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f'"{name}" cannot be read: {reason}'


def leads_in(
    stream: BinaryIO, *, line_limit: int | None = None, tell_blanks: bool = False
) -> Iterator[LeadLine]:
    """Every value of the input in order, those of arrays one by one. Raises UnusableInput where there is none.

    A line may have `line_limit` bytes, LINE_LIMIT if not said. With `tell_blanks` a blank line between others is a problem; else it is passed over.
    """
    lines = _numbered_lines(stream, tell_blanks=tell_blanks)
    first = next(lines, None)
    if first is None:
        raise UnusableInput('the input is empty; give a lead as JSON, such as {"email": "kim@example.com"}')
    rest = chain([first], lines)
    if _goes_on(first[1]):
        begun = list(_up_to_the_limit(rest))
        document = list(_values_of(begun))
        is_sound = not document or not document[-1].problem
        # JSON lines whose first line is cut off begin like a document; what follows gives them away.
        if is_sound or not any(_complete(line) for _, line in begun[1:3]):
            yield from document
            return
        rest = chain(begun, lines)
    yield from _each(rest, line_limit or LINE_LIMIT)


def _numbered_lines(stream: BinaryIO, *, tell_blanks: bool) -> Iterator[tuple[int, bytes]]:
    """The lines, without the sign that some editors put at the start of a file; blank ones only where they are told."""
    number = 0
    while line := stream.readline(DOCUMENT_LIMIT):
        number += 1
        if number == 1:
            if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise UnusableInput("the input is UTF-16 (PowerShell's > writes it so); save it as UTF-8")
            line = line.removeprefix(b"\xef\xbb\xbf")
        if tell_blanks or line.strip():
            yield number, line


def _each(lines: Iterator[tuple[int, bytes]], line_limit: int) -> Iterator[LeadLine]:
    for number, line in lines:
        if not line.strip():
            yield LeadLine(number, problem="the line is blank")
            continue
        if len(line) > line_limit and not line.lstrip().startswith(b"["):
            yield LeadLine(
                number, problem=f"the line has {len(line):,} bytes; a lead has at most {line_limit:,}"
            )
            continue
        yield from _values_of([(number, line)])


def _up_to_the_limit(lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    size = 0
    for number, line in lines:
        size += len(line)
        yield number, line
        if size > DOCUMENT_LIMIT:
            return


def _goes_on(line: bytes) -> bool:
    """Whether the line begins an object or array and ends before it does."""
    text = line.decode("utf-8", "replace").strip()
    if not text.startswith(("{", "[")):
        return False
    try:
        DECODER.decode(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text)
    except RecursionError:
        return False
    return False


def _complete(line: bytes) -> bool:
    """Whether the line is an object by itself, from its first column on."""
    try:
        return line.startswith(b"{") and isinstance(DECODER.decode(line.decode().strip()), dict)
    except (ValueError, RecursionError):
        return False


def _values_of(lines: list[tuple[int, bytes]]) -> Iterator[LeadLine]:
    """The values of one piece of text, an array's one by one, up to the first mistake."""
    start = lines[0][0]
    raw = b"".join(_gaps_filled(lines))
    if len(raw) > DOCUMENT_LIMIT:
        yield LeadLine(
            start, problem="the JSON is too long to be one piece; write one lead per line (jq -c '.[]')"
        )
        return
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        number = start + raw.count(b"\n", 0, error.start)
        yield LeadLine(number, problem=f"not UTF-8 at byte {error.start + 1}; save the file as UTF-8")
        return
    position, line_start, number = _after_blanks(text, 0), 0, start
    inside_array = False
    while position < len(text) or inside_array:
        number += text.count("\n", line_start, position)
        line_start = position
        if not inside_array and text[position] == "[":
            inside_array, position = True, _after_blanks(text, position + 1)
            if text[position : position + 1] == "]":
                inside_array, position = False, _after_blanks(text, position + 1)
            continue
        try:
            value, end = DECODER.raw_decode(text, position)
        except json.JSONDecodeError as error:
            line = start + text.count("\n", 0, error.pos)
            yield LeadLine(number, problem=f"not JSON: {error.msg} ({_place(error, line, number)})")
            return
        except RecursionError:
            yield LeadLine(number, problem="not a lead: the JSON is nested too deep")
            return
        yield LeadLine(number, value)
        position = _after_blanks(text, end)
        if inside_array:
            sign = text[position : position + 1]
            if sign not in (",", "]"):
                line = start + text.count("\n", 0, position)
                yield LeadLine(line, problem="not JSON: a comma or ] is expected after an item of the array")
                return
            inside_array, position = sign == ",", _after_blanks(text, position + 1)


def _gaps_filled(lines: list[tuple[int, bytes]]) -> Iterator[bytes]:
    """The lines with the blank ones put back, so that line numbers stay true."""
    expected = lines[0][0]
    for number, line in lines:
        yield b"\n" * (number - expected) + line
        expected = number + 1


def _after_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in _BLANKS:
        position += 1
    return position


def _place(error: json.JSONDecodeError, line: int, number: int) -> str:
    return f"column {error.colno}" if line == number else f"line {line}, column {error.colno}"
