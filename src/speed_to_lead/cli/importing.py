"""`leads import`: leads out of a file, into the queue. The same file again doubles nothing.

What a row says is its id: whatever became a lead once is recognised for as long as that lead is kept. Rows are checked
with the router's own reading before they are stored, so none of them becomes a dead letter.
"""

import csv
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from speed_to_lead import forms
from speed_to_lead.cli.connect import opened_store
from speed_to_lead.cli.lead_lines import LINE_LIMIT, opened
from speed_to_lead.cli.lead_rows import Columns, Row, columns_of, csv_rows, json_rows
from speed_to_lead.cli.output import counted, hint, safe, say, say_facts, say_json, say_table
from speed_to_lead.cli.rules import JsonOption
from speed_to_lead.cli.rules_in_use import rules_in_use
from speed_to_lead.config import ConfigError
from speed_to_lead.config.mistakes import hint as nearest_word
from speed_to_lead.core.submission import Submission, UnreadableSubmission, keyed_id
from speed_to_lead.settings import SettingsError
from speed_to_lead.store import Store, StoreUnavailable
from speed_to_lead.workplace import API_FORM

#: Rows stored in one round trip.
STORED_AT_ONCE = 500
#: Rejected lines that a terminal shows; --rejected has all of them.
SHOWN = 20
#: Rejected lines that are kept for --json.
KEPT = 1000


class Format(StrEnum):
    """How a file of leads is written."""

    CSV = "csv"
    JSONL = "jsonl"


@dataclass
class Outcome:
    """What became of the rows so far."""

    rows: int = 0
    stored: int = 0
    known: int = 0
    repeated: int = 0
    rejected: int = 0
    first_rejected: list[tuple[int, str]] = field(default_factory=list)


def import_leads(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A .csv with a header, or .jsonl; - is standard input.")
    ],
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="COLUMN=FIELD", help='Which field a column is; "-" leaves it out. Repeatable.'
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--mapping", metavar="FILE.toml", help='The same as a table: [columns] "Work Mail" = "email".'
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="The source of rows that name none, as in sources.toml."),
    ] = None,
    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="How the file is written, where its name does not say it."),
    ] = None,
    encoding: Annotated[
        str, typer.Option(metavar="NAME", help="Of a CSV: utf-8, cp1252 (Windows), utf-16.")
    ] = "utf-8",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Store nothing: what would be, and what would not. Needs no server."),
    ] = False,
    rejected: Annotated[
        Path | None,
        typer.Option(
            "--rejected", metavar="FILE", help="Write every rejected line there: CSV of line and reason."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Import leads from a file. Their clocks start now; the same file again doubles nothing. Exit 1 if a line was rejected."""
    columns = columns_of(maps or (), mapping)
    if source is not None:
        _refuse_unknown_source(source)
    outcome = Outcome()
    with opened(file) as stream, _report(rejected) as note:
        rows = _with_progress(_rows(stream, _format_of(file, file_format), encoding, columns), stream)

        def take(store: Store | None) -> None:
            for batch in _submissions(rows, columns, source, outcome, note):
                _store(store, batch, outcome)

        if dry_run:
            take(None)
        else:
            with opened_store() as store:
                try:
                    take(store)
                except StoreUnavailable:
                    hint(
                        f"{counted(outcome.stored, 'lead')} stored before that; import the file again, it doubles nothing."
                    )
                    raise
    for column in columns.unmet():
        hint(f'No line has "{safe(column)}", which --map or --mapping names.')
    _tell(outcome, columns, rejected, dry_run=dry_run, as_json=as_json)
    if outcome.rejected:
        raise typer.Exit(1)


def _rows(stream: BinaryIO, file_format: Format, encoding: str, columns: Columns) -> Iterator[Row]:
    return csv_rows(stream, encoding, columns) if file_format is Format.CSV else json_rows(stream)


def _format_of(file: str, given: Format | None) -> Format:
    if given is not None:
        return given
    suffix = Path(file).suffix.casefold()
    if suffix in (".csv", ".tsv", ".txt"):
        return Format.CSV
    if suffix in (".jsonl", ".ndjson", ".json") or file == "-":
        return Format.JSONL
    raise typer.BadParameter(
        "its name does not say how it is written; add --format csv or jsonl", param_hint="FILE"
    )


def _refuse_unknown_source(source: str) -> None:
    """Stop on a source that the rules in use do not have, where they can be read: every row would be of an unknown one."""
    try:
        rules = rules_in_use(None)
    except (ConfigError, SettingsError):
        return
    taxonomy = rules.configuration.rulebook.taxonomy
    if taxonomy.named(source) is None:
        rules.tell()
        raise typer.BadParameter(
            f'sources.toml has no source "{safe(source)}"; {nearest_word(source, taxonomy.sources)}',
            param_hint="--source",
        )


# --- rows to submissions ---------------------------------------------------------------------------------------


def _submissions(
    rows: Iterator[Row],
    columns: Columns,
    source: str | None,
    outcome: Outcome,
    note: Callable[[int, str], None],
) -> Iterator[list[Submission]]:
    """What is to be stored, a batch at a time; what cannot be is noted with its reason."""
    seen: set[bytes] = set()
    while some := list(islice(rows, STORED_AT_ONCE)):
        batch = []
        for row in some:
            outcome.rows += 1
            found = _submission(row, columns, source)
            if isinstance(found, str):
                outcome.rejected += 1
                if len(outcome.first_rejected) < KEPT:
                    outcome.first_rejected.append((row.number, found))
                note(row.number, found)
            elif (mark := bytes.fromhex(found.id)) in seen:
                outcome.repeated += 1
            else:
                seen.add(mark)
                batch.append(found)
        yield batch


def _submission(row: Row, columns: Columns, source: str | None) -> Submission | str:
    """The submission of a row, or why it cannot be one. It is received when it is stored."""
    if row.problem:
        return row.problem
    lead = columns.lead_of(row.values)
    if source is not None:
        lead.setdefault("source", source)
    try:
        body = json.dumps(lead, separators=(",", ":")).encode()
        same = json.dumps(lead, separators=(",", ":"), sort_keys=True)
    except (RecursionError, ValueError):
        return "not a lead: it is nested too deep"
    if len(body) > LINE_LIMIT:
        return f"the lead has {len(body):,} bytes; at most {LINE_LIMIT:,} are taken"
    key = f"import:{hashlib.blake2b(same.encode(), digest_size=16).hexdigest()}"
    now = datetime.now(UTC)
    submission = Submission(
        keyed_id(key), API_FORM.name, now, body, "application/json", {"idempotency-key": key}
    )
    try:
        forms.read(submission, API_FORM)
    except UnreadableSubmission as error:
        return str(error)
    return submission


def _store(store: Store | None, batch: list[Submission], outcome: Outcome) -> None:
    """Store those that are no leads yet, received now by the server's clock."""
    if store is None or not batch:
        outcome.stored += len(batch)
        return
    known = store.queue.lead_of(submission.id for submission in batch)
    records = store.leads.get_many([submission.id for submission in batch])
    kept = {one.id for one, record in zip(batch, records, strict=True) if record is not None}
    now = store.now()
    fresh = [
        Submission(one.id, one.form, now, one.body, one.content_type, one.headers)
        for one in batch
        if one.id not in known and one.id not in kept
    ]
    store.queue.add_many(fresh)
    outcome.stored += len(fresh)
    outcome.known += len(batch) - len(fresh)


# --- telling ---------------------------------------------------------------------------------------------------


def _with_progress(rows: Iterator[Row], stream: BinaryIO) -> Iterator[Row]:
    """The rows; on a terminal with a bar of how much of the file was read. Of a pipe, also a named one, nobody knows."""
    if not sys.stderr.isatty():
        yield from rows
        return
    from rich.console import Console  # noqa: PLC0415 - only for terminals
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    size = os.fstat(stream.fileno()).st_size if stream.seekable() else None
    shown = (
        TextColumn("{task.fields[rows]:,} rows"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*shown, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=size, rows=0)
        for number, row in enumerate(rows, start=1):
            if number % 100 == 0:
                progress.update(task, completed=stream.tell() if size is not None else 0, rows=number)
            yield row


@contextmanager
def _report(file: Path | None) -> Iterator[Callable[[int, str], None]]:
    """Notes a rejected line in the file, where one is asked for."""
    if file is None:
        yield lambda _line, _reason: None
        return
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("line", "reason"))
        yield lambda line, reason: writer.writerow((line, reason)) and None


def _tell(outcome: Outcome, columns: Columns, rejected: Path | None, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        say_json(_as_json(outcome, columns, dry_run=dry_run))
        return
    done = "would be stored" if dry_run else "stored"
    parts = [f"{counted(outcome.stored, 'lead')} {done} of {counted(outcome.rows, 'row')}"]
    if outcome.known:
        parts.append(f"{outcome.known:,} imported before")
    if outcome.repeated:
        parts.append(f"{outcome.repeated:,} the same as a row before")
    if outcome.rejected:
        parts.append(f"{outcome.rejected:,} rejected")
    say(f"{', '.join(parts)}.")
    if dry_run:
        say_facts([(safe(column), f"→ {target}") for column, target in columns.told.items()])
    if not outcome.rejected:
        return
    say_table(("line", "rejected because"), outcome.first_rejected[:SHOWN])
    if outcome.rejected > SHOWN:
        where = f"all of them are in {safe(rejected)}" if rejected else "--rejected FILE writes all of them"
        hint(f"{outcome.rejected - SHOWN:,} more were rejected; {where}.")


def _as_json(outcome: Outcome, columns: Columns, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "rows": outcome.rows,
        "stored": outcome.stored,
        "known": outcome.known,
        "repeated": outcome.repeated,
        "rejected": outcome.rejected,
        "rejections": [{"line": line, "reason": reason} for line, reason in outcome.first_rejected],
        "columns": columns.told,
    }
