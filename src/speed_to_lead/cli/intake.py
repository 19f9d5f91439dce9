"""`intake`: what comes in. `reconcile` compares what a form's tool has with what arrived, and takes in what did not."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Annotated, Any

import typer

from speed_to_lead import flow
from speed_to_lead.cli import new_group
from speed_to_lead.cli.connect import NotFound, opened_place
from speed_to_lead.cli.output import counted, hint, safe, say, say_facts, say_json
from speed_to_lead.cli.rules import JsonOption
from speed_to_lead.config.mistakes import hint as nearest_word
from speed_to_lead.core.clock import from_iso, to_iso
from speed_to_lead.core.sla import DURATION, parse_duration
from speed_to_lead.destinations import LIST_LIMIT, get, new_http_client
from speed_to_lead.flow.reconciling import Compared
from speed_to_lead.workplace import Workplace

app = new_group("What comes in: compare a form's own list with what arrived.")


@app.command()
def reconcile(
    form_name: Annotated[str, typer.Argument(metavar="FORM", help="A form of intake.toml with api_forms.")],
    since: Annotated[
        str,
        typer.Option(
            metavar="WHEN", help="From when on: a span before now (24h, 7d), a day, or an instant (ISO 8601)."
        ),
    ] = "2d",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Take in nothing: only say what would be. Exit 1 if anything.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask a form's tool what was sent to it, and take in what its webhook never brought. Exit 1 if its list broke off.

    What is taken in is received now: its clock starts. Once more, or a webhook that comes after all, doubles nothing.
    """
    with opened_place(rules=True) as place:
        form = place.config.forms.get(form_name)
        if form is None:
            raise NotFound(_no_such_form(place, form_name))
        now = place.store.now()
        start = _start(since, now)
        ask = partial(get, new_http_client(), limit=LIST_LIMIT)
        with _shown(form_name) as progress:
            compared = flow.reconcile(
                place, form, start, ask, os.environ, _wait, dry_run=dry_run, progress=progress
            )
    if as_json:
        say_json({**_as_json(compared), "dry_run": dry_run})
    else:
        _tell(compared, form.provider, dry_run=dry_run)
    if compared.problem:
        raise typer.Exit(1 if compared.listed else 2)
    if dry_run and compared.taken_in + compared.unreadable:
        raise typer.Exit(1)


def _start(text: str, now: datetime) -> datetime:
    if DURATION.fullmatch(text.strip()):
        try:
            return now - parse_duration(text)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--since") from None
    try:
        is_day = len(text) == len("2026-11-22")
        start = (
            datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC) if is_day else from_iso(text)
        )
    except ValueError:
        raise typer.BadParameter(
            f'"{safe(text)}" is no time; write a span before now (24h, 7d), a day (2026-11-22, in UTC) or an instant '
            "(2026-11-22T09:00:00Z)",
            param_hint="--since",
        ) from None
    if start >= now:
        raise typer.BadParameter("that is still to come", param_hint="--since")
    return start


def _no_such_form(place: Workplace, name: str) -> str:
    known = [form.name for form in place.config.forms.values() if form.api_forms]
    which = (
        nearest_word(name, known)
        if known
        else "none has api_forms yet, the name its tool has for it (config/README.md, Forms)"
    )
    return f'intake.toml has no form "{safe(name)}"; {which}'


def _wait(pause: timedelta) -> bool:
    if pause >= timedelta(seconds=5):
        hint(f"The tool asks for patience: going on in {pause.total_seconds():.0f} s.")
    time.sleep(pause.total_seconds())
    return True


@contextmanager
def _shown(form: str) -> Iterator[Callable[[Compared], object]]:
    """Says how far it is, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - only for terminals

    with Console(stderr=True).status(f"asking for the list of {safe(form)} …") as status:
        yield lambda so_far: status.update(
            f"{so_far.listed:,} in the list of {safe(form)}, {so_far.taken_in:,} never came …"
        )


def _as_json(compared: Compared) -> dict[str, Any]:
    return {
        "form": compared.form,
        "since": to_iso(compared.since),
        "until": to_iso(compared.until),
        "listed": compared.listed,
        "known": compared.known,
        "taken_in": compared.taken_in,
        "unreadable": compared.unreadable,
        "tests": compared.tests,
        "ids": compared.ids,
        "complete": not compared.problem,
        "problem": compared.problem or None,
    }


def _tell(compared: Compared, provider: str, *, dry_run: bool) -> None:
    say(f"Form {safe(compared.form)} since {to_iso(compared.since)}")
    say_facts(
        [
            ("the list has", counted(compared.listed, "entry", "entries")),
            ("known", f"{compared.known:,}"),
            ("would be taken in" if dry_run else "taken in", f"{compared.taken_in:,}"),
            ("would be dead letters" if dry_run else "dead letters", f"{compared.unreadable:,}"),
            ("tests, left out", f"{compared.tests:,}" if compared.tests else ""),
        ]
    )
    if compared.missed:
        hint(
            f"The webhook did not bring {counted(compared.missed, 'submission')}: docs/forms/{provider}.md says how it is set up."
        )
    if compared.problem:
        hint(
            f"The list was not read to its end: {compared.problem}. What was read is kept; run it again for the rest."
        )
