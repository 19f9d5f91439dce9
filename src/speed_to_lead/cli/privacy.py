"""`leads export`, `erase`, `erasures` and `reencrypt`: what a person may ask about their data, and how it is kept."""

import getpass
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from speed_to_lead import privacy
from speed_to_lead.cli.connect import opened_place, opened_store
from speed_to_lead.cli.output import counted, hint, say, say_json, say_table
from speed_to_lead.cli.rules import JsonOption
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.person import person_named
from speed_to_lead.store.contract import Erasure, Privacy, Resealed, StoreUnavailable
from speed_to_lead.workplace import Workplace

#: How long the server may take to rewrite its log before the command leaves it to it.
LOG_SECONDS = 60.0

PersonArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="EMAIL|PHONE...",
        help="The person: an e-mail address or a phone number, or several of theirs.",
        show_default=False,
    ),
]

_NOUNS = {
    "leads": "lead",
    "dead_letters": "dead letter",
    "submissions": "submission still in the queue",
    "pointers": "key that pointed to them",
    "redacted": "quotation in somebody else's record",
    "remains": "history or alert of theirs",
}
_PLURALS = {
    "submissions": "submissions still in the queue",
    "pointers": "keys that pointed to them",
    "redacted": "quotations in other people's records",
    "remains": "histories or alerts of theirs",
}


def export(
    person: PersonArgument,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", metavar="FILE", help="Write it to this file; a new one is readable by you alone."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Everything held about a person, as JSON: leads, history, touches, raw submissions. Changes nothing."""
    del as_json  # it is JSON in any case
    with opened_place(rules=True) as place:
        document = privacy.export(place, person_named(*person))
    held = sum(len(document[part]) for part in ("leads", "dead_letters", "in_flight", "elsewhere"))
    if file is None:
        say_json(document)
    else:
        file.touch(mode=0o600)
        file.chmod(0o600)  # touch leaves a file that was there as it was
        file.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        hint(f"{counted(held, 'record')} written to {file}.")
    if document["locked"]:
        hint(_locked(document["locked"]))
    if document["damaged"]:
        hint(_damaged(document["damaged"]))
    if document["locked"] or document["damaged"]:
        raise typer.Exit(1)


def erase(
    person: PersonArgument,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Do not ask first; needed where nobody can be asked, as in a script."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be erased, and erase nothing.")
    ] = False,
    by: Annotated[str, typer.Option(metavar="WHO", help="Who does it; else the user of this shell.")] = "",
    reference: Annotated[
        str, typer.Option(metavar="TICKET", help="The request it answers; kept, so no name or address in it.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Remove a person from everything, and prove it: exit 1 where anything is left. It cannot be undone."""
    named = person_named(*person)
    if named.is_quoted_in(by) or named.is_quoted_in(reference):
        raise typer.BadParameter("it names the person, and would be kept", param_hint="--by, --reference")
    with opened_place(rules=True) as place:
        if not dry_run and not yes:
            _ask(privacy.erase(place, named, dry_run=True))
        found = privacy.erase(place, named, dry_run=dry_run, pause=lambda: time.sleep(0.5))
        log = "not asked"
        if not dry_run:
            _note(place, found, by or _user(), reference)
            log = _rewritten_log(place.store.privacy)
    if as_json:
        say_json(_as_json(found, log, dry_run=dry_run))
    else:
        _tell(found, log, dry_run=dry_run)
    if not dry_run and not found.is_proven:
        raise typer.Exit(1)


def erasures(
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Show at most N.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """When somebody was erased, by whom, for which request, how much. Never who it was."""
    with opened_store() as store:
        found = store.privacy.erasures(limit)
    if as_json:
        say_json({"erasures": [_erasure_as_json(one) for one in found]})
    elif not found:
        hint("Nobody was erased yet.")
    else:
        rows = (
            (one.at, one.by, one.reference, _words(one.counts), "yes" if one.proven else "NO")
            for one in found
        )
        say_table(("at", "by", "reference", "erased", "proven"), rows)


def reencrypt(as_json: JsonOption = False) -> None:
    """Encrypt all records with the first of STL_ENCRYPTION_KEYS. May be interrupted and repeated; exit 1 while any are left."""
    total, unconfirmed = Resealed(), ""
    with opened_store() as store:
        for done in store.privacy.reseal():
            total += done
        try:
            store.privacy.confirm()
        except StoreUnavailable as away:
            unconfirmed = str(away)
    left = total.locked + total.unreadable + total.contended + total.in_flight
    if as_json:
        say_json(
            {name: getattr(total, name) for name in Resealed.__dataclass_fields__}
            | {"complete": not left and not unconfirmed, "unconfirmed": unconfirmed}
        )
    else:
        say(
            f"{counted(total.looked_at, 'key')} looked at, {counted(total.rewritten, 'record')} encrypted anew."
        )
        if total.locked:
            say(_locked(total.locked))
        if total.in_flight:
            say(
                f"{counted(total.in_flight, 'submission')} still in the queue: repeat this once they are routed."
            )
        if total.unreadable or total.contended:
            say(f"{total.unreadable} cannot be read, {total.contended} kept changing: repeat this.")
        if unconfirmed:
            say(_not_confirmed(unconfirmed))
        elif not left:
            say("Everything is under the first key; the others may be taken out of STL_ENCRYPTION_KEYS.")
    if left or unconfirmed:
        raise typer.Exit(1)


def _ask(preview: privacy.Found) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            "nobody can be asked here; add --yes, or --dry-run to see what it would do", param_hint="erase"
        )
    say(f"This erases {_words(preview.counts)}. It cannot be undone.")
    typer.confirm("Erase?", abort=True)


def _note(place: Workplace, found: privacy.Found, by: str, reference: str) -> None:
    counts = {name: n for name, n in found.counts.items() if n}
    place.store.privacy.note_erasure(Erasure(place.store.now(), by, reference, counts, found.is_proven))


def _user() -> str:
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return "unknown"


def _rewritten_log(store: Privacy) -> str:
    """What became of the server's log, which holds every change it ever made until it is rewritten."""
    if store.log_is_rewritten() is None:
        return "none"
    limit = time.monotonic() + LOG_SECONDS
    while (answer := store.rewrite_log()) == "busy" and time.monotonic() < limit:
        time.sleep(0.1)
    while answer == "started" and time.monotonic() < limit:
        time.sleep(0.1)
        if store.log_is_rewritten():
            return "rewritten"
    return answer


_LOGS = {
    "rewritten": "the server has rewritten its append-only file: what was erased is no longer in it",
    "started": "the server is rewriting its append-only file; until that is done, what was erased is still in it",
    "busy": "the server is rewriting its append-only file since before that; run BGREWRITEAOF when it has done so",
    "none": "the server says it keeps no append-only file",
}


def _tell(found: privacy.Found, log: str, *, dry_run: bool) -> None:
    if dry_run:
        say(f"Would erase {_words(found.counts)}. Nothing was changed.")
        return
    say(f"Erased {_words(found.counts)}.")
    if found.is_proven:
        say(f"Proof: {counted(found.keys, 'key')} opened after that, every one under the prefix; 0 hits.")
    for name in found.remaining[:20]:
        say(f"still there: {name}")
    if found.locked:
        say(_locked(found.locked))
    if found.damaged:
        say(_damaged(found.damaged))
    if found.unconfirmed:
        say(_not_confirmed(found.unconfirmed))
    if not found.is_proven:
        say("Not proven: run it again once what is named above is settled.")
    if found.told:
        say(
            f"These destinations were told of them, and keep what they were told: {', '.join(sorted(found.told))}."
        )
    if found.phones:
        say(
            f"{counted(len(found.phones), 'phone number')} stood in what was erased and was not looked for elsewhere: "
            "it may be a whole company's. Give it as a further argument to look for it too."
        )
    say("Out of reach from here:")
    say(
        f"  - {_LOGS.get(log, f'the server would not rewrite its append-only file: {log}; run BGREWRITEAOF')}"
    )
    say("  - replicas until they have followed, and their own append-only files: run BGREWRITEAOF on each")
    say("  - backups and snapshots, and the server's own logs (SLOWLOG, MONITOR)")
    say("  - form tools, the CRM, and logs of proxies in between")


def _as_json(found: privacy.Found, log: str, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "counts": {name: n for name, n in found.counts.items() if n},
        "proven": found.is_proven and not dry_run,
        "keys_looked_at": found.keys,
        "walks": found.walks,
        "hits": len(found.remaining),
        "remaining": found.remaining,
        "locked": found.locked,
        "damaged": found.damaged,
        "unconfirmed": found.unconfirmed,
        "destinations_told": sorted(found.told),
        "other_phones": len(found.phones),
        "append_only_file": log,
    }


def _erasure_as_json(one: Erasure) -> dict[str, Any]:
    return {
        "at": to_iso(one.at), "by": one.by, "reference": one.reference,
        "counts": dict(one.counts), "proven": one.proven,
    }  # fmt: skip


def _words(counts: Any) -> str:
    parts = [counted(n, _NOUNS.get(name, name), _PLURALS.get(name, "")) for name, n in counts.items() if n]
    return ", ".join(parts) or "nothing: no trace of them is held"


def _not_confirmed(why: str) -> str:
    return f"Too few replicas hold it, and a failover could undo it ({why}): repeat this once they follow."


def _locked(number: int) -> str:
    return (
        f"{counted(number, 'record')} could not be opened: the encryption key is not in STL_ENCRYPTION_KEYS."
    )


def _damaged(names: list[str]) -> str:
    return (
        f"Damaged, so nobody can see whether it names them: {', '.join(names[:20])}{' …' if len(names) > 20 else ''}. "
        "Bring it back from a backup, or close the lead and let retention remove it."
    )
