"""What commands print: JSON for programs, tables for a terminal, aligned plain text for pipes.

What leads say reaches the terminal escaped: a form field must not move a cursor or forge a line.
"""

import json
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from speed_to_lead.core.calendar import Calendar
from speed_to_lead.core.clock import to_iso

#: What JSON may hold as it is, and a terminal acts upon: C1 controls (U+009B begins a command), bidirectional marks,
#: line separators. In JSON they stand in texts only, where an escape means the same.
_MEANT_FOR_TERMINALS = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def say(text: str = "") -> None:
    """One line, or several, on stdout."""
    sys.stdout.write("\n".join(safe(line) for line in text.split("\n")) + "\n")


def hint(text: str) -> None:
    """A line for people beside the data, on stderr."""
    print(safe(text), file=sys.stderr, flush=True)


def say_json(value: Any) -> None:
    """One JSON value on one line, at once: whoever reads may be waiting for it."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    text = json.dumps(
        value, ensure_ascii=not encoding.startswith("utf"), separators=(", ", ": "), default=_json_value
    )
    sys.stdout.write(_MEANT_FOR_TERMINALS.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text) + "\n")
    sys.stdout.flush()


def say_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table: drawn on a terminal, aligned with blanks elsewhere. None is shown as a dash."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[number]) for row in [columns, *cells]) for number in range(len(columns))]
    # A terminal too narrow wraps whole lines; a table squeezed into it would cut off the ids people copy.
    needed = sum(widths[:-1]) + min(widths[-1], 30) + 3 * len(columns)
    if sys.stdout.isatty() and needed <= shutil.get_terminal_size().columns:
        _draw_table(columns, cells)
        return
    for row in [[name.upper() for name in columns], *cells]:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        say(line.rstrip())


def say_facts(facts: Iterable[tuple[str, str]], indent: str = "  ") -> None:
    """Labels and what they say, aligned, in the given order; those that say nothing are left out."""
    shown = [(label, text) for label, text in facts if text]
    width = max((len(label) for label, _ in shown), default=0)
    for label, text in shown:
        say(f"{indent}{label.ljust(width)}  {safe(text)}")


def safe(value: object) -> str:
    """The text on one line with everything that is not printable written as an escape."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def when(instant: datetime, calendar: Calendar | None = None) -> str:
    """The instant in UTC, and as the team reads it on its own wall."""
    utc = to_iso(instant)
    return utc if calendar is None else f"{utc}  {calendar.local_text(instant)}"


def counted(number: int, one: str, several: str = "") -> str:
    """`1 lead`, `2 leads`."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    return safe(to_iso(value) if isinstance(value, datetime) else value)


def _draw_table(columns: Sequence[str], cells: list[list[str]]) -> None:
    from rich import box  # noqa: PLC0415 - only for terminals
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for number, name in enumerate(columns):
        is_last = number == len(columns) - 1
        table.add_column(name, overflow="fold", no_wrap=not is_last)
    for row in cells:
        table.add_row(*(Text(text) for text in row))
    Console(highlight=False).print(table)


def _json_value(value: object) -> str:
    return to_iso(value) if isinstance(value, datetime) else str(value)
