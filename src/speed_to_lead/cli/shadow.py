"""`config shadow`: what would a candidate make of the leads that come now? Nothing is assigned by it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speed_to_lead.cli.output import counted, safe, say, say_facts, say_json
from speed_to_lead.cli.publish import (
    ByOption,
    author_named,
    refuse_mistakes,
    store_of_this_shell,
    texts_of_directory,
)
from speed_to_lead.cli.rules import JsonOption, read_rules
from speed_to_lead.config.files import digest_of
from speed_to_lead.core.clock import to_iso

if TYPE_CHECKING:
    from speed_to_lead.store import Store
    from speed_to_lead.store.contract import ShadowConfig

#: Counts by what differs, as routers keep them.
_IN = "in:"
_BESIDE = "beside:"


def shadow(
    candidate: Annotated[
        str,
        typer.Argument(
            metavar="DIR|report|stop", help="The directory to try; or what came of it so far; or end it."
        ),
    ],
    by: ByOption = None,
    examples: Annotated[
        int, typer.Option("--examples", min=0, max=200, help="So many of the newest differences.")
    ] = 10,
    as_json: JsonOption = False,
) -> None:
    """Decide new leads by a candidate too, beside the live rules, and count where they differ. Assigns nothing.

    A directory called report or stop is written ./report. `report` is exit 1 where any lead would go otherwise.
    """
    with store_of_this_shell() as store:
        if candidate == "report":
            _report(store, examples, as_json=as_json)
        elif candidate == "stop":
            _stop(store, as_json=as_json)
        else:
            _begin(store, Path(candidate), author_named(by), as_json=as_json)


def _begin(store: "Store", directory: Path, author: str, *, as_json: bool) -> None:
    from speed_to_lead.flow import new_submission_id  # noqa: PLC0415 - slow to import, as the store
    from speed_to_lead.store.contract import ShadowConfig  # noqa: PLC0415

    texts = texts_of_directory(directory)
    refuse_mistakes(directory, lambda: read_rules(texts), is_there=directory.is_dir(), as_json=as_json)
    live, now = store.configs.current(), store.now()
    begun = ShadowConfig(new_submission_id(now), digest_of(texts), author, now, live.number if live else 0)
    store.shadow.begin(begun, texts)
    if as_json:
        say_json({"shadow": _as_json(begun)})
    else:
        say(
            f"{safe(directory)} (digest {begun.digest}) is decided beside the live rules from now on, for two weeks at most."
        )
        say("What comes of it: speed-to-lead config shadow report. End it: speed-to-lead config shadow stop")


def _stop(store: "Store", *, as_json: bool) -> None:
    begun = _the_shadow(store)
    store.shadow.end()
    if as_json:
        say_json({"stopped": _as_json(begun)})
    else:
        say(f"The shadow (digest {begun.digest}) is ended, and what it counted is forgotten.")


def _report(store: "Store", limit: int, *, as_json: bool) -> None:
    begun = _the_shadow(store)
    counts, lines = store.shadow.report(limit) if limit else (store.shadow.report(1)[0], [])
    found = [json.loads(line) for line in lines]
    by_kind = _named(counts, _IN)
    if as_json:
        numbers = {name: counts.get(name, 0) for name in ("leads", "same", "different", "skipped")}
        said = {"shadow": _as_json(begun), **numbers, "by_kind": by_kind, "beside": _named(counts, _BESIDE)}
        say_json(said | {"examples": found})
    else:
        _tell(begun, counts, by_kind, found)
    if counts.get("different"):
        raise typer.Exit(1)


def _tell(
    begun: "ShadowConfig", counts: dict[str, int], by_kind: dict[str, int], examples: list[dict[str, Any]]
) -> None:
    leads, different = counts.get("leads", 0), counts.get("different", 0)
    share = f" ({different / leads:.1%})" if leads else ""
    beside = _named(counts, _BESIDE)
    say(f"Shadow (digest {begun.digest}), begun {to_iso(begun.at)} by {safe(begun.by)}")
    say_facts(
        [
            ("compared", f"{counted(leads, 'lead')}"),
            ("the same", f"{counts.get('same', 0):,}"),
            ("different", f"{different:,}{share}"),
            *((f"  in {safe(name)}", f"{number:,}") for name, number in by_kind.items()),
            ("not compared", f"{counts['skipped']:,} (no time left)" if counts.get("skipped") else ""),
            ("beside", ", ".join(f"{digest} ({number:,})" for digest, number in beside.items())),
        ]
    )
    for one in examples:
        say()
        say(
            f"{safe(one['lead'])}, received {safe(one['received_at'])}: differs in {', '.join(one['differs'])}"
        )
        say(f"  live    {_in_words(one['live'])}")
        say(f"  shadow  {_in_words(one['shadow'])}")


def _in_words(route: dict[str, Any]) -> str:
    return ", ".join(f"{name} {safe(value)}" for name, value in route.items())


def _named(counts: dict[str, int], prefix: str) -> dict[str, int]:
    """The counts of that kind, the largest first."""
    found = [(name.removeprefix(prefix), n) for name, n in counts.items() if name.startswith(prefix)]
    return dict(sorted(found, key=lambda one: (-one[1], one[0])))


def _the_shadow(store: "Store") -> "ShadowConfig":
    from speed_to_lead.cli.connect import NotFound  # noqa: PLC0415

    begun = store.shadow.current()
    if begun is None:
        raise NotFound("there is no shadow; `speed-to-lead config shadow DIR` begins one")
    return begun


def _as_json(begun: "ShadowConfig") -> dict[str, Any]:
    return {
        "id": begun.id,
        "digest": begun.digest,
        "by": begun.by,
        "at": to_iso(begun.at),
        "beside": begun.beside or None,
    }
