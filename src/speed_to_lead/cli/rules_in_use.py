"""Which rules a command works with, where it is about what the workers do: what is published counts, as it does for them.

One rule for `config explain`, `config simulate`, `alerts test`, `leads` and `doctor`:

    --config DIR                               that directory
    a server is named, and answers, and        the live version
      something is published
    else                                       the directory of this shell (STL_CONFIG_DIR, else config)

and each says which it took wherever there was a choice. So every one of them works without a server, from files alone.
`config check`, `test`, `schema` and `apply` are about a directory, before it is published, and read nothing else.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speed_to_lead.cli.output import hint, safe
from speed_to_lead.cli.rules import directory_of_rules, read_rules
from speed_to_lead.config import ConfigError, Configuration
from speed_to_lead.core.clock import to_iso

if TYPE_CHECKING:  # what knows the store takes as long to import as everything else
    from speed_to_lead.store import ConfigVersion, Store

#: Why it is the directory's, where nobody could think otherwise.
_NAMED = "it was named"
_NO_SERVER = "no server is named"


@dataclass(frozen=True, slots=True)
class RulesInUse:
    """The rules, and where they are from: a published version, or a directory and why it is that."""

    configuration: Configuration
    directory: Path
    version: "ConfigVersion | None" = None
    why: str = ""

    @property
    def line(self) -> str:
        """`version 7 (digest …), published 2026-… by ana`, or `directory config (digest …): nothing is published`."""
        if self.version is not None:
            return version_line(self.version)
        return safe(f"directory {self.directory} (digest {self.configuration.rulebook.digest}): {self.why}")

    def tell(self) -> None:
        """Say which rules these are, beside the data, where somebody could think it were others."""
        if self.why not in (_NAMED, _NO_SERVER):
            hint(f"rules: {self.line}")

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        digest = self.configuration.rulebook.digest
        if self.version is None:
            return {"directory": str(self.directory), "digest": digest, "why": self.why}
        version = self.version
        return {"version": version.number, "digest": digest, "by": version.by, "at": version.at}


def version_line(version: "ConfigVersion") -> str:
    """What is to be said of a published version: which, since when, by whom."""
    return safe(
        f"version {version.number} (digest {version.digest}), published {to_iso(version.at)} by {version.by}"
    )


def names_a_server() -> bool:
    """Whether this shell's settings name a server, as far as can be told without reading them all."""
    if os.environ.get("REDIS_URL") or os.environ.get("STL_REDIS_URL"):
        return True
    data = Path(os.environ.get("STL_DATA_DIR") or "var")
    return (data / "redis-url").exists()  # settings.ADDRESS_FILE, which is slow to import


def rules_in_use(given: Path | None) -> RulesInUse:
    """The rules for a command that was given this directory, or none. Raises ConfigError, SettingsError."""
    directory = directory_of_rules(given)
    if given is not None:
        return _of_directory(directory, _NAMED)
    if not names_a_server():
        return _of_directory(directory, _NO_SERVER)
    from speed_to_lead.cli.connect import opened_store  # noqa: PLC0415
    from speed_to_lead.settings import SettingsError  # noqa: PLC0415

    try:
        with opened_store() as store:
            return rules_in_use_at(store, directory)
    except SettingsError as error:
        return _of_directory(directory, f"the server cannot be asked ({error})")


def rules_in_use_at(store: "Store", directory: Path) -> RulesInUse:
    """What is live there, else the directory's. Raises ConfigError where that has mistakes."""
    from speed_to_lead.store import StoreUnavailable  # noqa: PLC0415
    from speed_to_lead.store.contract import UnreadableRecord  # noqa: PLC0415

    try:
        live = store.configs.current()
        texts = store.configs.texts(live.digest) if live is not None else None
    except StoreUnavailable:
        return _of_directory(directory, "the server does not answer")
    except UnreadableRecord as error:
        return _of_directory(directory, f"what is published cannot be read ({error})")
    if live is None:
        return _of_directory(directory, "nothing is published")
    if texts is None:
        return _of_directory(
            directory, f"what version {live.number} says, which is live, is not kept any more"
        )
    try:
        return RulesInUse(read_rules(texts), directory, live)
    except ConfigError:
        return _of_directory(directory, f"this release cannot read version {live.number}, which is live")


def rules_decided_with(
    store: "Store", digest: str, at: datetime, given: Path | None
) -> tuple[RulesInUse, bool]:
    """The config of that digest, as it was read at that time, and True; where nobody knows it, what is in use, and False.

    Where a directory was given it is that one, whatever its digest. Raises ConfigError.
    """
    directory = directory_of_rules(given)
    if given is not None:
        named = _of_directory(directory, _NAMED)
        return named, named.configuration.rulebook.digest == digest
    from speed_to_lead.store.contract import UnreadableRecord  # noqa: PLC0415

    why = "is not known any more: it was a directory's, and never published"
    try:
        texts = store.configs.texts(digest)
        if texts is not None:
            versions = [one for one in store.configs.history(_LOOKED_THROUGH) if one.digest == digest]
            # Newest first; of those brought back by a rollback, the one that was live then.
            version = next((one for one in versions if one.at <= at), versions[-1] if versions else None)
            return RulesInUse(read_rules(texts, at), directory, version, "it was published"), True
    except UnreadableRecord as error:
        why = f"is damaged in the server ({error})"
    except ConfigError as error:
        why = f"cannot be read by this release ({error.mistakes[0]})"
    try:
        here = read_rules(directory, at)
        if here.rulebook.digest == digest:
            return RulesInUse(here, directory, None, "it is the one of that digest"), True
    except ConfigError:
        pass
    instead = rules_in_use_at(store, directory)
    hint(f"config {safe(digest)} {why}; decided anew with what is in use: {instead.line}")
    return instead, False


#: Versions looked through for who published a config; older ones are called by their digest alone.
_LOOKED_THROUGH = 10_000


def _of_directory(directory: Path, why: str) -> RulesInUse:
    return RulesInUse(read_rules(directory), directory, None, why)
