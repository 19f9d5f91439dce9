"""`config apply|history|show|diff|rollback`: what is live, since when, by whom, and how to change it for all processes at once."""

import getpass
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speed_to_lead.cli.output import counted, hint, safe, say, say_json, say_table
from speed_to_lead.cli.rules import ConfigOption, JsonOption, directory_of_rules, read_rules
from speed_to_lead.cli.rules_in_use import names_a_server
from speed_to_lead.config import ConfigError
from speed_to_lead.config.differences import Change, differences, text_differences
from speed_to_lead.config.files import digest_of, texts_in
from speed_to_lead.config.mistakes import Notes

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from speed_to_lead.cli.rollout import Rollout
    from speed_to_lead.store import ConfigVersion, Store

ByOption = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who publishes; else this machine's user.")
]
MessageOption = Annotated[
    str, typer.Option("--message", "-m", metavar="TEXT", help="Why, for those who read the history.")
]
ExpectOption = Annotated[
    int | None,
    typer.Option(
        "--expect", metavar="N", min=0, help="Only where version N is live now; 0: nothing is published yet."
    ),
]
WaitOption = Annotated[
    float,
    typer.Option(
        "--wait", metavar="SECONDS", min=0, help="How long to wait until every process works with it."
    ),
]

#: Who and why are kept for ever, on one line of a list.
LONGEST_NAME, LONGEST_MESSAGE = 100, 2000
WAIT_SECONDS = 10.0


def apply(
    candidate: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]", help="The directory to publish; else --config, STL_CONFIG_DIR, config."
        ),
    ] = None,
    config: ConfigOption = None,
    by: ByOption = None,
    message: MessageOption = "",
    expect: ExpectOption = None,
    wait: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Publish a directory: every process works with it from its next batch on. Leads that run keep their deadlines.

    What `config check` refuses is refused, and so is what was made on a version that is not live any more. Exit 1 then,
    and where a process cannot work with it.
    """
    directory = directory_of_rules(candidate or config)
    author = author_named(by)
    _refuse_unusable(message)
    with store_of_this_shell() as store:
        live = store.configs.current()
        _refuse_unexpected(store, live, expect, as_json=as_json)
        texts = texts_of_directory(directory)
        refuse_mistakes(directory, lambda: read_rules(texts), is_there=directory.is_dir(), as_json=as_json)
        _publish(store, live, texts, (author, message), wait, as_json=as_json)


def rollback(
    number: Annotated[int, typer.Argument(metavar="N", min=1, help="The version to bring back.")],
    by: ByOption = None,
    message: MessageOption = "",
    expect: ExpectOption = None,
    wait: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Publish what version N said as a new version. Nothing is taken out of the history."""
    author = author_named(by)
    _refuse_unusable(message)
    with store_of_this_shell() as store:
        live = store.configs.current()
        _refuse_unexpected(store, live, expect, as_json=as_json)
        _, texts = _version_and_texts(store, number)
        refuse_mistakes(f"version {number}", lambda: read_rules(texts), is_there=True, as_json=as_json)
        why = (author, message or f"rollback to version {number}")
        _publish(store, live, texts, why, wait, as_json=as_json, restores=number)


def history(
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="So many versions, the newest first.")
    ] = 20,
    as_json: JsonOption = False,
) -> None:
    """Every version that was published: when, by whom, and why."""
    from speed_to_lead.cli.rollout import version_as_json  # noqa: PLC0415 - as `store_of_this_shell`

    with store_of_this_shell() as store:
        live, versions, size = store.configs.current(), store.configs.history(limit), store.configs.size()
    number = live.number if live else 0
    if as_json:
        shown = [(version_as_json(one) or {}) | {"live": one.number == number} for one in versions]
        say_json({"versions": shown, "total": number, "bytes": size})
        return
    if not versions:
        say(
            "Nothing is published: each process works with its own directory. Publish it: speed-to-lead config apply"
        )
        return
    say_table(
        ("version", "published", "by", "digest", "message"),
        (
            (
                f"{one.number}{' live' if one.number == number else ''}",
                one.at,
                one.by,
                one.digest,
                " ".join(one.message.split()),
            )
            for one in versions
        ),
    )
    hint(f"{counted(number, 'version')}, {size / 1024:,.0f} KB in the server; all of them are kept")


def show(
    which: Annotated[
        str, typer.Argument(metavar="[N|live]", help="A version; the live one where left out.")
    ] = "live",
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="DIR", help="Write its files into this directory, which must have none of them."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What a version says, or its files as a directory: to edit them, or to explain and test with them."""
    from speed_to_lead.cli.rollout import version_as_json, version_in_words  # noqa: PLC0415 - as `store_of_this_shell`

    with store_of_this_shell() as store:
        version, texts = _version_and_texts(store, _number(store, which))
        now = store.now()
    if to is not None:
        _write(texts, to)
    if as_json:
        files = {name: raw.decode("utf-8", "backslashreplace") for name, raw in texts.items()}
        say_json((version_as_json(version) or {}) | {"files": files})
        return
    hint(version_in_words(version, now))
    if to is not None:
        say(f"{counted(len(texts), 'file')} written to {to}")
        return
    for name, raw in sorted(texts.items()):
        say(f"# --- {name}")
        say(raw.decode("utf-8", "backslashreplace").rstrip("\n"))


def diff(
    old: Annotated[
        str | None,
        typer.Argument(metavar="[OLD]", help="A version, `live`, or a directory; live where left out."),
    ] = None,
    new: Annotated[
        str | None,
        typer.Argument(
            metavar="[NEW]",
            help="The same; where left out, the directory of the rules, or live where OLD is a version.",
        ),
    ] = None,
    config: ConfigOption = None,
    summary: Annotated[bool, typer.Option("--summary", help="Leave the lines of the files out.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What differs, in words and line by line. Alone: what `config apply` would change. Exit 1 where anything does."""
    directory = directory_of_rules(config)
    first = old or "live"
    second = new or ("live" if old is not None and first != "live" else str(directory))
    with store_of_this_shell() as store:
        (before_name, before), (after_name, after) = (_side(store, side) for side in (first, second))
    changes = differences(before, after)
    lines = [] if summary else list(text_differences(before, after, before_name, after_name))
    if as_json:
        said = {"old": before_name, "new": after_name, "same": not changes}
        say_json(said | {"changes": [_change_as_json(one) for one in changes], "lines": lines})
    elif changes:
        for change in changes:
            say(f"{change.file}: {change}")
        if lines:
            say()
        for line in lines:
            say(line)
    else:
        say(f"{before_name} and {after_name} say exactly the same.")
    if changes:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the processes on the server of this shell."""

    rollout: "Rollout"

    def is_worked_with(self, digest: str) -> bool:
        """Whether the config of that digest is live; before anything is published, whether any process works with it."""
        live = self.rollout.live
        return digest == live.digest if live else digest in self.rollout.digests

    def line(self, directory: Path) -> str | None:
        """What must be said of that directory."""
        from speed_to_lead.cli.rollout import directory_line  # noqa: PLC0415 - as `store_of_this_shell`

        return directory_line(directory, self.rollout)


def what_is_live() -> Known | None:
    """What is live on the server of this shell; None where none is set or it does not answer: a check needs no server."""
    if not names_a_server():
        return None
    from speed_to_lead.cli.connect import opened_store  # noqa: PLC0415
    from speed_to_lead.cli.rollout import rollout_of  # noqa: PLC0415
    from speed_to_lead.settings import SettingsError  # noqa: PLC0415
    from speed_to_lead.store import StoreUnavailable  # noqa: PLC0415
    from speed_to_lead.store.contract import UnreadableRecord  # noqa: PLC0415

    try:
        with opened_store() as store:
            return Known(rollout_of(store))
    except (SettingsError, StoreUnavailable, UnreadableRecord):
        return None


def _change_as_json(change: Change) -> dict[str, Any]:
    return {
        "file": change.file,
        "section": change.section,
        "kind": change.kind,
        "name": change.name,
        "details": list(change.details),
        "text": str(change),
    }


def store_of_this_shell() -> "AbstractContextManager[Store]":
    """The store; what knows it takes as long to import as all the rest, and `config explain` is of this group too."""
    from speed_to_lead.cli.connect import opened_store  # noqa: PLC0415

    return opened_store()


def author_named(by: str | None) -> str:
    """Who publishes. Raises typer.BadParameter where that cannot be told."""
    if by is None:
        try:
            by = getpass.getuser()
        except (OSError, KeyError, ImportError):
            raise typer.BadParameter(
                "this machine has no name for you; say who you are", param_hint="--by"
            ) from None
    _refuse_bytes(by, "--by")
    name = by.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        raise typer.BadParameter(f"a name has 1 to {LONGEST_NAME} characters", param_hint="--by")
    return name


def _refuse_bytes(text: str, option: str) -> None:
    """What Python could not read of a command line, it passes on as halves of characters that no store takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter("it is not UTF-8 text", param_hint=option) from None


def _refuse_unusable(message: str) -> None:
    _refuse_bytes(message, "--message")
    if len(message) > LONGEST_MESSAGE:
        raise typer.BadParameter(
            f"a message has at most {LONGEST_MESSAGE:,} characters", param_hint="--message"
        )


def _refuse_unexpected(
    store: "Store", live: "ConfigVersion | None", expect: int | None, *, as_json: bool
) -> None:
    if expect is not None and expect != (live.number if live else 0):
        _tell_overtaken(store, live, as_json=as_json)


def _tell_overtaken(store: "Store", live: "ConfigVersion | None", *, as_json: bool) -> None:
    """Say what came first, and end with 1."""
    from speed_to_lead.cli.rollout import version_as_json, version_in_words  # noqa: PLC0415

    if as_json:
        say_json({"published": False, "why": "overtaken", "live": version_as_json(live)})
    else:
        came_first = f"{version_in_words(live, store.now())} is live" if live else "nothing is published yet"
        say(
            f"Nothing was published: {came_first}. Look at what differs (speed-to-lead config diff), then apply again."
        )
    raise typer.Exit(1)


def texts_of_directory(directory: Path) -> dict[str, bytes]:
    """What the directory says now: exactly this is checked, and exactly this is published. Raises ConfigError."""
    notes = Notes([])
    texts = texts_in(directory, notes)
    if texts is None or notes.found:
        return {}  # the check says why
    return {name: raw for name, raw in texts.items() if raw is not None}


def refuse_mistakes(what: Path | str, check: Callable[[], object], *, is_there: bool, as_json: bool) -> None:
    """Say every mistake as `config check` does, and end with 1 (2 where there is nothing to check)."""
    try:
        try:
            check()
        except ConfigError:
            if isinstance(what, Path):
                read_rules(what)  # says where each file was looked for
            raise
    except ConfigError as error:
        mistakes = [{"file": one.file, "place": one.place, "problem": one.problem} for one in error.mistakes]
        if as_json:
            say_json({"published": False, "why": "mistakes", "mistakes": mistakes})
        else:
            for one in error.mistakes:
                say(str(one))
            hint(f"{counted(len(error.mistakes), 'mistake')} in {what}; nothing was published")
        raise typer.Exit(1 if is_there else 2) from None


def _publish(
    store: "Store",
    live: "ConfigVersion | None",
    texts: Mapping[str, bytes],
    author_and_message: tuple[str, str],
    wait: float,
    *,
    as_json: bool,
    restores: int = 0,
) -> None:
    from speed_to_lead.cli.rollout import (  # noqa: PLC0415 - as `store_of_this_shell`
        rollout_as_json,
        rollout_lines,
        version_as_json,
        version_in_words,
    )
    from speed_to_lead.store import ConfigVersion, Result  # noqa: PLC0415

    digest = digest_of(texts)
    if live is not None and live.digest == digest:
        if as_json:
            say_json({"published": False, "why": "same", "live": version_as_json(live)})
        else:
            say(f"Nothing to publish: {version_in_words(live, store.now())} says exactly this.")
        return
    author, message = author_and_message
    version = ConfigVersion(
        (live.number if live else 0) + 1, digest, author, store.now(), message.strip(), restores
    )
    if store.configs.publish(version, texts) is not Result.APPLIED:
        _tell_overtaken(store, store.configs.current(), as_json=as_json)
    if live is None and not as_json:
        hint("From now on what is published counts; no process reads its directory any more.")
    rollout = _wait_for_all(store, version.number, wait)
    if as_json:
        said = {"published": True, "version": version_as_json(version)}
        say_json(said | {"rollout": rollout_as_json(rollout)})
    else:
        say(f"Published version {version.number} (digest {digest}).")
        for line in rollout_lines(rollout)[1:]:
            say(line)
    if rollout.refusing:
        raise typer.Exit(1)


def _wait_for_all(store: "Store", number: int, seconds: float) -> "Rollout":
    """How things stand when every process works with this version, or refuses it, or the time is up."""
    from speed_to_lead.cli.rollout import rollout_of  # noqa: PLC0415

    ends_at = time.monotonic() + seconds
    while True:
        rollout = rollout_of(store)
        is_overtaken = rollout.live is not None and rollout.live.number != number
        if not rollout.behind or is_overtaken or time.monotonic() >= ends_at:
            return rollout
        time.sleep(0.1)


def _number(store: "Store", which: str) -> int:
    """The number of a version. Raises NotFound, typer.BadParameter."""
    from speed_to_lead.cli.connect import NotFound  # noqa: PLC0415

    if which == "live":
        live = store.configs.current()
        if live is None:
            raise NotFound("nothing is published; `speed-to-lead config apply` publishes the directory")
        return int(live.number)
    if not which.isdecimal():
        raise typer.BadParameter(f'"{safe(which)}" is no version: give its number, or live')
    return int(which)


def _version_and_texts(store: "Store", number: int) -> "tuple[ConfigVersion, dict[str, bytes]]":
    from speed_to_lead.cli.connect import NotFound  # noqa: PLC0415

    version = store.configs.version(number)
    texts = store.configs.texts(version.digest) if version else None
    if version is None or texts is None:
        raise NotFound(
            f"there is no version {number}; `speed-to-lead config history` shows those that are kept"
        )
    return version, texts


def _side(store: "Store", side: str) -> tuple[str, Mapping[str, bytes]]:
    """One side of a comparison: what to call it, and its texts."""
    from speed_to_lead.cli.connect import NotFound  # noqa: PLC0415

    if side == "live" or side.isdecimal():
        number = _number(store, side)
        return f"version {number}", _version_and_texts(store, number)[1]
    notes = Notes([])
    texts = texts_in(Path(side), notes)
    if texts is None or None in texts.values():
        raise NotFound(f"{safe(side)}: {notes.found[0].problem}")
    return side, {name: raw for name, raw in texts.items() if raw is not None}


def _write(texts: Mapping[str, bytes], directory: Path) -> None:
    """Write the files, where none of them is there yet. Raises typer.BadParameter, OSError."""
    there = [name for name in texts if (directory / name).exists()]
    if there:
        raise typer.BadParameter(
            f"{directory} has {', '.join(sorted(there))} already; name an empty or new directory",
            param_hint="--to",
        )
    directory.mkdir(parents=True, exist_ok=True)
    for name, raw in texts.items():
        (directory / name).parent.mkdir(exist_ok=True)  # templates
        (directory / name).write_bytes(raw)
