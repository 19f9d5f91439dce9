"""Which config is live, which processes work with it, and whether the directory here says the same."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from speed_to_lead.cli.output import counted, safe
from speed_to_lead.config.files import digest_of, texts_in
from speed_to_lead.config.mistakes import Notes
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.message import span_text
from speed_to_lead.flow import SILENT_AFTER
from speed_to_lead.store import ConfigVersion, Store
from speed_to_lead.store.contract import RunningConfig


@dataclass(frozen=True, slots=True)
class Rollout:
    """The live version, and what each process that is alive says it works with (None: an older release says nothing).

    Processes are called by all they do: `clock,auditor@host:12`.
    """

    live: ConfigVersion | None
    processes: Mapping[str, RunningConfig | None]
    now: datetime

    @property
    def refusing(self) -> dict[str, RunningConfig]:
        """Processes that cannot work with the live version, and stay with the one they have."""
        live = self.live.number if self.live else 0
        return {name: said for name, said in self.processes.items() if said and live and said.refused == live}

    @property
    def behind(self) -> list[str]:
        """Processes that work with another version and do not say why: they are about to switch, or hang."""
        if self.live is None:
            return []
        return [
            name
            for name, said in self.processes.items()
            if name not in self.refusing and (said is None or said.version != self.live.number)
        ]

    @property
    def digests(self) -> set[str]:
        """The configs that are worked with."""
        return {said.digest for said in self.processes.values() if said is not None}


def rollout_of(store: Store, heartbeats: Mapping[str, float] | None = None) -> Rollout:
    """How things stand now. `heartbeats`: those of the health, where it was read already."""
    if heartbeats is None:
        heartbeats = store.operations.health().heartbeats
    stages: dict[str, list[str]] = {}
    for beat, age in sorted(heartbeats.items()):
        stage, _, process = beat.partition("@")
        if age <= SILENT_AFTER:
            stages.setdefault(process, []).append(stage)
    said = store.configs.running(list(stages))
    processes = {f"{','.join(names)}@{process}": said.get(process) for process, names in stages.items()}
    return Rollout(store.configs.current(), processes, store.now())


def digest_of_directory(directory: Path) -> str | None:
    """The digest of what a directory says, however wrong; None where there is none."""
    texts = texts_in(directory, Notes([]))
    return digest_of(texts) if texts else None


def version_in_words(version: ConfigVersion, now: datetime) -> str:
    """`version 7 (digest …), published 3 min ago by ana: why`."""
    about = f": {version.message.splitlines()[0]}" if version.message.strip() else ""
    ago = span_text(now - version.at)
    return safe(
        f"version {version.number} (digest {version.digest}), published {ago} ago by {version.by}{about}"
    )


def rollout_lines(rollout: Rollout) -> list[str]:
    """What is live, and each process that works with something else."""
    if rollout.live is None:
        lines = ["nothing is published: each process works with its own directory, as it was at its start"]
        if len(rollout.digests) > 1:
            lines.append(
                f"these directories differ: {', '.join(sorted(rollout.digests))}; publish one with `config apply`"
            )
        return lines
    on_it = len(rollout.processes) - len(rollout.behind) - len(rollout.refusing)
    lines = [
        f"{version_in_words(rollout.live, rollout.now)}",
        f"{on_it} of {counted(len(rollout.processes), 'process', 'processes')} work with it",
    ]
    lines += [f"REFUSED by {refusal_in_words(name, said)}" for name, said in rollout.refusing.items()]
    lines += [f"not yet: {safe(name)} {_what(rollout.processes[name])}" for name in rollout.behind]
    return lines


def refusal_in_words(name: str, said: RunningConfig) -> str:
    """Who refuses the live version, why, and what it works with instead."""
    return safe(f"{name}, which works with {_version(said)}: {said.why}")


def _what(said: RunningConfig | None) -> str:
    return (
        "says nothing of it (an older release reads its directory)"
        if said is None
        else f"works with {_version(said)} until its next batch"
    )


def _version(said: RunningConfig) -> str:
    return f"version {said.version}" if said.version else f"its directory (digest {said.digest})"


def directory_note(directory: Path, rollout: Rollout) -> tuple[str, str, str] | None:
    """What must be said of the directory here: that it is not what is worked with, what that means, and what to do.

    None where it is, or where there is none.
    """
    digest = digest_of_directory(directory)
    if digest is None:
        return None
    if rollout.live is not None and digest != rollout.live.digest:
        return (
            f"{safe(directory)} differs from version {rollout.live.number}, which is live",
            "what is edited there does nothing",
            "publish it: speed-to-lead config apply; what differs: speed-to-lead config diff",
        )
    if rollout.live is None and rollout.digests and digest not in rollout.digests:
        return (
            f"{safe(directory)} is not what the processes work with",
            "they read theirs when they started",
            "publish it to all of them: speed-to-lead config apply; or restart them",
        )
    return None


def directory_line(directory: Path, rollout: Rollout) -> str | None:
    """The same in one line."""
    note = directory_note(directory, rollout)
    return note and f"{note[0]}, so {note[1]}; {note[2]}"


def version_as_json(version: ConfigVersion | None) -> dict[str, Any] | None:
    """A version for programs."""
    if version is None:
        return None
    return {
        "version": version.number,
        "digest": version.digest,
        "by": version.by,
        "at": to_iso(version.at),
        "message": version.message,
        "restores": version.restores or None,
    }


def rollout_as_json(rollout: Rollout) -> dict[str, Any]:
    """How things stand, for programs."""
    return {
        "live": version_as_json(rollout.live),
        "processes": {
            name: None if said is None else asdict(said) for name, said in rollout.processes.items()
        },
        "refusing": sorted(rollout.refusing),
        "behind": sorted(rollout.behind),
    }
