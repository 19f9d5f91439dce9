"""`keys`: make a key for the HTTP API, and list those that are set. Keys live in STL_API_KEYS, as hashes.

To change a key without a gap: make a second one under the same name, add its entry, give the new key to the program,
then take the old entry out. Nothing is stored here, and no key is printed a second time.
"""

import secrets
from datetime import UTC, date, datetime
from typing import Annotated

import typer

from speed_to_lead.cli import new_group
from speed_to_lead.cli.output import hint, say, say_json, say_table
from speed_to_lead.cli.rules import JsonOption
from speed_to_lead.core.access import ApiKey, BadKeys, Scope, entry_text
from speed_to_lead.settings import load_settings

#: So that a key is known for one where it should not be: in a repository, in a chat.
_PREFIX = "stl_"

app = new_group("Keys for /v1, /docs and /metrics: make one, list those set.")


@app.command("new")
def new(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Who will use it, such as crm. To replace a key, make another of the same name.",
        ),
    ],
    scopes: Annotated[
        str,
        typer.Option(
            "--scopes",
            help="What it may do, separated by commas: intake (post leads), read (all that is shown, /metrics), "
            "write (respond, reassign, close), admin (everything).",
        ),
    ] = "read",
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="YYYY-MM-DD", help="Last day on which it is good, in UTC."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key: print it, once, and the entry to add to STL_API_KEYS."""
    key = _PREFIX + secrets.token_urlsafe(32)
    chosen = _scopes(scopes)
    last_day = _day(until)
    try:
        entry = entry_text(name, chosen, key, last_day)
    except BadKeys as problem:
        raise typer.BadParameter(str(problem), param_hint="NAME") from None
    if as_json:
        until_text = last_day.isoformat() if last_day else None
        say_json({"name": name, "scopes": chosen, "until": until_text, "key": key, "entry": entry})
        return
    say(f"key    {key}")
    say(f"entry  {entry}")
    hint(
        "The key is shown this once: give it to the program. Add the entry to STL_API_KEYS, after a comma, and restart"
    )
    hint(
        "the web process. Two entries may have one name, so that an old key counts until its entry is removed."
    )


@app.command("list")
def list_keys(as_json: JsonOption = False) -> None:
    """List what this shell's STL_API_KEYS holds. Names, scopes and last days; never a key or a hash."""
    now = datetime.now(UTC)
    rows = [(key.name, _in_words(key), key.until, _state(key, now)) for key in load_settings().keys]
    if as_json:
        say_json(
            [
                {
                    "name": name,
                    "scopes": words.split("+"),
                    "until": day.isoformat() if day else None,
                    "state": state,
                }
                for name, words, day, state in rows
            ]
        )
    elif rows:
        say_table(("name", "scopes", "until", "state"), rows)
    else:
        say("STL_API_KEYS is not set here: /v1 and the pages refuse everybody.")


def _scopes(text: str) -> list[Scope]:
    words = [word.strip() for word in text.replace("+", ",").split(",") if word.strip()]
    try:
        chosen = [Scope(word) for word in dict.fromkeys(words)]
    except ValueError:
        chosen = []
    if not chosen:
        raise typer.BadParameter(
            f"expected some of {', '.join(Scope)}, separated by commas", param_hint="--scopes"
        )
    return chosen


def _day(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text) if text is not None else None
    except ValueError:
        raise typer.BadParameter("expected a day such as 2027-01-31", param_hint="--until") from None
    if day is not None and day < datetime.now(UTC).date():
        raise typer.BadParameter("that day is over, so the key would never be good", param_hint="--until")
    return day


def _in_words(key: ApiKey) -> str:
    return "+".join(scope for scope in Scope if scope in key.scopes)


def _state(key: ApiKey, now: datetime) -> str:
    if key.is_plain:
        return "in the clear"
    return "good" if key.is_good_at(now) else "ran out"
