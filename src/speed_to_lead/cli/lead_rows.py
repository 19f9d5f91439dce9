"""Rows of a file of leads, and which column is which field of a lead.

CSV is read as spreadsheets write it, one row at a time, so that a file may be of any length; JSON as lead_lines.py does.
"""

import csv
import io
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from speed_to_lead.cli.lead_lines import LINE_LIMIT, UnusableInput, leads_in
from speed_to_lead.cli.output import safe
from speed_to_lead.config.mistakes import hint, nearest
from speed_to_lead.core.submission import LEAD_FIELDS, lead_field_named

#: What a column is mapped to that is to be left out.
LEFT_OUT = "-"
#: Columns that are told of; JSON may have another name on each line.
COLUMNS_TOLD = 200
_DELIMITERS = (",", ";", "\t", "|")
_CUSTOM = "custom."


@dataclass(frozen=True, slots=True)
class Row:
    """One row and the line it begins on; `problem` says why there is none."""

    number: int
    values: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


@dataclass
class Columns:
    """Which column is which field: what was `mapped` by hand, else the field of that name, else a custom field.

    `told` says so of each column that was met, for people.
    """

    mapped: Mapping[str, str]
    told: dict[str, str] = field(default_factory=dict)

    def lead_of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The generic lead in a row, as JSON has it. Of two columns for one field the first with something in it is it."""
        lead: dict[str, Any] = {}
        given = values.get("custom")
        custom: dict[str, Any] = dict(given) if isinstance(given, Mapping) else {}
        # What was mapped by hand first, then the fields' own names, then what else forms call them.
        for column in sorted(values, key=self._rank):
            value = values[column]
            if column == "custom" and isinstance(value, Mapping):
                continue
            target = self._target_of(column)
            if target == LEFT_OUT or value is None or (isinstance(value, str) and not value.strip()):
                continue
            if target.startswith(_CUSTOM):
                custom[target.removeprefix(_CUSTOM)] = value
            elif target in lead:
                custom[column] = value
            else:
                lead[target] = value
        return {**lead, "custom": custom} if custom else lead

    def unmet(self) -> list[str]:
        """Columns that were mapped and are in no row."""
        return [column for column in self.mapped if column not in self.told]

    def refuse_header(self, header: list[str]) -> None:
        """Raise UnusableInput where a header cannot be one of leads: a mapped column is missing, or nobody can be reached."""
        for column in self.mapped:
            if column not in header:
                raise UnusableInput(
                    f'the file has no column "{safe(column)}"; {hint(column, header, _listed(header))}'
                )
        targets = [self._target_of(column) for column in header]
        if "email" not in targets and "phone" not in targets:
            raise UnusableInput(
                "no column is an e-mail address or a phone number, so there is nobody to answer; "
                f'say which is, such as --map "COLUMN=email"; {_listed(header)}'
            )

    def _rank(self, column: str) -> int:
        if column in self.mapped:
            return 0
        return 1 if column.strip().casefold().replace(" ", "_") in LEAD_FIELDS else 2

    def _target_of(self, column: str) -> str:
        known = self.told.get(column)
        if known is not None:
            return known
        target = self.mapped.get(column) or lead_field_named(column) or f"{_CUSTOM}{column.strip()}"
        if len(self.told) < COLUMNS_TOLD or column in self.mapped:
            self.told[column] = target
        return target


def columns_of(pairs: Iterable[str], file: Path | None) -> Columns:
    """What `--map COLUMN=FIELD` says, after what the mapping file says. Raises UnusableInput naming what is no field."""
    mapped: dict[str, str] = dict(_in_file(file)) if file is not None else {}
    for pair in pairs:
        column, equals, target = pair.rpartition("=")
        if not equals:
            raise UnusableInput(
                f'--map "{safe(pair)}" says no field; write --map "COLUMN=FIELD", such as "Work Mail=email"'
            )
        mapped[column] = target
    for column, target in mapped.items():
        mapped[column] = _target(column, target.strip())
    return Columns(mapped)


def csv_rows(stream: BinaryIO, encoding: str, columns: Columns) -> Iterator[Row]:
    """The rows of a CSV file with a header. A row that cannot be read stops none of the others.

    Raises UnusableInput at once where the header cannot be used. The delimiter is what the header has most of: comma, semicolon (spreadsheets in half of Europe), tab or bar.
    """
    text = _lines_of(_decoded(stream, encoding))
    first = next(text, "")
    if not first.strip():
        raise UnusableInput("the file is empty, or its first line is; that line names the columns")
    delimiter = max(_DELIMITERS, key=lambda sign: len(next(csv.reader([first], delimiter=sign), [])))
    reader = csv.reader(_both(first, text), delimiter=delimiter, strict=True)
    return _rows(reader, _header(reader, columns))


def json_rows(stream: BinaryIO) -> Iterator[Row]:
    """The objects of a file of JSON lines, or of one array. Raises UnusableInput where there is none."""
    for line in leads_in(stream):
        if line.problem:
            yield Row(line.number, problem=line.problem)
        elif not isinstance(line.value, dict):
            yield Row(
                line.number, problem='not a lead: it is no JSON object such as {"email": "kim@example.com"}'
            )
        else:
            yield Row(line.number, line.value)


# --- columns ---------------------------------------------------------------------------------------------------


def _in_file(file: Path) -> Mapping[str, str]:
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnusableInput(f"{safe(file)} is not TOML: {error}") from None
    mapped = found.get("columns")
    if not isinstance(mapped, dict) or not all(isinstance(target, str) for target in mapped.values()):
        raise UnusableInput(f'{safe(file)} takes a table [columns] with lines such as "Work Mail" = "email"')
    return mapped


def _target(column: str, target: str) -> str:
    """The field as it is called here. Raises UnusableInput where leads have none of that name."""
    if target == LEFT_OUT or target in LEAD_FIELDS or (target.startswith(_CUSTOM) and target != _CUSTOM):
        return target
    near = nearest(target, LEAD_FIELDS)
    meant = (
        f'did you mean "{near}"?'
        if near
        else f'write "{_CUSTOM}{safe(target or "name")}" for a field of your own'
    )
    raise UnusableInput(
        f'column "{safe(column)}": "{safe(target)}" is no field of a lead; {meant} ("{LEFT_OUT}" leaves it out)'
    )


def _listed(header: list[str]) -> str:
    return f"the columns are {', '.join(safe(column) for column in header[:30])}"


# --- CSV -------------------------------------------------------------------------------------------------------


class _LineTooLong(Exception):
    """A line without end: no table of leads."""


def _decoded(stream: BinaryIO, encoding: str) -> io.TextIOWrapper:
    """The text of the file. Bytes that are none stay in it as marks, so that only their own rows are refused."""
    name = "utf-8-sig" if encoding.casefold().replace("_", "-") in ("utf-8", "utf8") else encoding
    try:
        return io.TextIOWrapper(stream, encoding=name, errors="surrogateescape", newline="")
    except LookupError:
        raise UnusableInput(
            f'"{safe(encoding)}" is no encoding; write utf-8, cp1252 (Windows) or utf-16 (Unicode text)'
        ) from None


def _lines_of(text: io.TextIOWrapper) -> Iterator[str]:
    try:
        while line := text.readline(LINE_LIMIT):
            if len(line) == LINE_LIMIT and not line.endswith("\n"):
                raise _LineTooLong
            yield line
    finally:
        with suppress(ValueError):  # closed already
            text.detach()  # who opened the stream closes it


def _both(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _header(reader: Any, columns: Columns) -> list[str]:
    try:
        header = [cell.strip() for cell in next(reader)]
    except (csv.Error, _LineTooLong) as error:
        raise UnusableInput(f"the first line, which names the columns, cannot be read: {error}") from None
    if not _is_text(header):
        raise UnusableInput(
            "the names of the columns are not UTF-8; say how the file is written, such as --encoding cp1252 or utf-16"
        )
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise UnusableInput(f'two columns are called "{safe(twice)}"; rename one of them')
    columns.refuse_header([name for name in header if name])
    return header


def _row(number: int, header: list[str], cells: list[str]) -> Row:
    if not _is_text(cells):
        return Row(number, problem="not UTF-8; say how the file is written, such as --encoding cp1252")
    beyond = [cell for cell in cells[len(header) :] if cell.strip()]
    if beyond:
        return Row(
            number,
            problem=f"it has {len(cells)} values for {len(header)} columns; put quotes around one with commas",
        )
    return Row(number, {name: cell for name, cell in zip(header, cells, strict=False) if name})


def _rows(reader: Any, header: list[str]) -> Iterator[Row]:
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Row(start, problem=_why_not_csv(error, start, reader.line_num))
            continue
        except _LineTooLong:
            yield Row(
                start, problem=f"the line has more than {LINE_LIMIT:,} characters; nothing behind it was read"
            )
            return
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        yield _row(start, header, cells)


def _is_text(cells: list[str]) -> bool:
    """Whether every byte could be read as text."""
    for cell in cells:
        if not cell.isascii():
            try:
                cell.encode()
            except UnicodeEncodeError:
                return False
    return True


def _why_not_csv(error: csv.Error, first: int, last: int) -> str:
    where = f"; lines {first} to {last} are lost to it" if last > first else ""
    if "unexpected end of data" in str(error) or "field larger" in str(error):
        return f"a value begins with a quote and does not end{where}"
    return f"not CSV: {error}{where}"
