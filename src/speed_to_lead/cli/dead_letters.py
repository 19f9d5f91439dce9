"""`dead-letters`: submissions that could not be read. Each may be somebody who waits: look, mend, replay."""

from typing import Annotated, Any

import typer

from speed_to_lead.cli import new_group
from speed_to_lead.cli.connect import NotFound, opened_store
from speed_to_lead.cli.output import counted, hint, safe, say, say_facts, say_json, say_table
from speed_to_lead.cli.rules import JsonOption
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.settlement import DeadLetter
from speed_to_lead.store import Result, Store

app = new_group("Submissions that could not be read: show, replay, discard.")

#: Bytes of a body that `show` prints.
PREVIEW = 2048
#: Dead letters one `replay --all` takes; they are read with their bodies.
AT_ONCE = 10_000

IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The submission's id, as `dead-letters list` shows it.")
]


@app.command("list")
def list_dead_letters(
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=AT_ONCE, help="Show at most N.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """The newest dead letters, and why each could not be read."""
    with opened_store() as store:
        letters = store.queue.dead_letters(limit)
    if as_json:
        say_json({"dead_letters": [_as_json(letter) for letter in letters]})
        return
    if not letters:
        hint("There are no dead letters: every submission could be read.")
        return
    say_table(
        ("submission", "received", "form", "bytes", "error"),
        (
            (
                one.submission.id,
                one.submission.received_at,
                one.submission.form,
                len(one.submission.body),
                one.error,
            )
            for one in letters
        ),
    )
    hint("Look at one with `speed-to-lead dead-letters show ID`; once the cause is mended, replay it.")


@app.command()
def show(submission_id: IdArgument, as_json: JsonOption = False) -> None:
    """One dead letter: its error, where it came from, and how its body begins."""
    with opened_store() as store:
        letter = store.queue.dead_letter(submission_id)
        if letter is None:
            raise _not_there(store, submission_id)
    if as_json:
        say_json(_as_json(letter, body=True))
        return
    submission = letter.submission
    say(f"Dead letter {safe(submission.id)}")
    say_facts(
        [
            ("error", letter.error),
            ("form", submission.form or "none was named"),
            ("received", to_iso(submission.received_at)),
            ("given up", to_iso(letter.at)),
            ("content type", submission.content_type or "none was named"),
            ("body", counted(len(submission.body), "byte")),
        ]
    )
    say()
    for line in preview_of(submission.body):
        say(f"  | {line}")
    say()
    say(f"Mend the form or the config, then: speed-to-lead dead-letters replay {safe(submission.id)}")


@app.command()
def replay(
    submission_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", show_default=False, help="The one to replay.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Replay all of them.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Route a dead letter again. Its clock starts at its first receipt, so it may be late at once."""
    if (submission_id is None) != everything:
        raise typer.BadParameter("give the id of one dead letter, or --all", param_hint="replay")
    with opened_store() as store:
        if submission_id is not None:
            results = {submission_id: store.queue.replay(submission_id)}
            if results[submission_id] is Result.GONE:
                raise _not_there(store, submission_id)
            more = False
        else:
            # A snapshot: what the router buries again meanwhile is not taken up once more.
            letters = store.queue.dead_letters(AT_ONCE)
            more = len(letters) == AT_ONCE
            results = {one.submission.id: store.queue.replay(one.submission.id) for one in reversed(letters)}
    replayed = [name for name, result in results.items() if result is not Result.GONE]
    if as_json:
        say_json({"replayed": replayed, "more": more})
        return
    if not replayed:
        say("There are no dead letters to replay.")
        return
    say(
        f"{counted(len(replayed), 'submission')} back in the queue. Those that still cannot be read come back here."
    )
    if more:
        hint("There are more: replay again once these are routed.")


@app.command()
def discard(submission_id: IdArgument, as_json: JsonOption = False) -> None:
    """Drop a dead letter for good: nobody can bring it back. It stays counted in the ledger."""
    with opened_store() as store:
        if store.queue.discard(submission_id) is Result.GONE:
            raise _not_there(store, submission_id)
    if as_json:
        say_json({"discarded": submission_id})
    else:
        say(f"Discarded {safe(submission_id)} for good.")


def preview_of(body: bytes) -> list[str]:
    """The beginning of a body as lines that are safe to print; bytes that are no text as escapes."""
    lines = body[:PREVIEW].decode("utf-8", "backslashreplace").splitlines() or ["(empty)"]
    if len(body) > PREVIEW:
        lines.append(f"… {len(body) - PREVIEW:,} bytes more; --json has all of it")
    return [safe(line) for line in lines]


def _not_there(store: Store, submission_id: str) -> NotFound:
    shown = safe(submission_id)
    if store.leads.get(submission_id) is not None:
        return NotFound(f"{shown} was read and is a lead; see `speed-to-lead leads show {shown}`")
    return NotFound(f'there is no dead letter "{shown}"; `speed-to-lead dead-letters list` shows them')


def _as_json(letter: DeadLetter, *, body: bool = False) -> dict[str, Any]:
    submission = letter.submission
    document: dict[str, Any] = {
        "id": submission.id,
        "form": submission.form,
        "received_at": to_iso(submission.received_at),
        "dead_at": to_iso(letter.at),
        "error": letter.error,
        "content_type": submission.content_type,
        "bytes": len(submission.body),
    }
    if body:
        document["headers"] = dict(submission.headers)
        document["body"] = submission.body.decode("utf-8", "backslashreplace")
    return document
