"""The published config, in memory."""

import threading
from collections.abc import Mapping, Sequence

from speed_to_lead.store.configs import content_of, line_of, texts_of, version_of
from speed_to_lead.store.contract import ConfigVersion, Result, RunningConfig
from speed_to_lead.store.memory.state import State


class MemoryConfigs:
    """Published versions of the store in memory, kept as the other one keeps them."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._publishing = threading.Lock()

    def current(self) -> ConfigVersion | None:
        """The version that is live."""
        lines = self._state.config_versions
        return version_of(lines[-1]) if lines else None

    def version(self, number: int) -> ConfigVersion | None:
        """One version, or None."""
        lines = self._state.config_versions
        return version_of(lines[number - 1]) if 1 <= number <= len(lines) else None

    def history(self, limit: int) -> list[ConfigVersion]:
        """The newest versions first."""
        return [version_of(line) for line in reversed(self._state.config_versions[-limit:])]

    def texts(self, digest: str) -> dict[str, bytes] | None:
        """What the files of that content say."""
        content = self._state.config_contents.get(digest)
        return None if content is None else texts_of(content)

    def publish(self, version: ConfigVersion, texts: Mapping[str, bytes]) -> Result:
        """Make this the live version."""
        with self._publishing:
            if len(self._state.config_versions) != version.number - 1:
                return Result.STALE
            self._state.config_contents.setdefault(version.digest, content_of(texts))
            self._state.config_versions.append(line_of(version))
            return Result.APPLIED

    def note_running(self, process: str, running: RunningConfig) -> None:
        """Keep which config the process works with."""
        self._state.config_running[process] = running

    def running(self, processes: Sequence[str]) -> dict[str, RunningConfig]:
        """What these processes said."""
        said = self._state.config_running
        return {process: said[process] for process in processes if process in said}

    def size(self) -> int:
        """Bytes of all lines and contents."""
        state = self._state
        return sum(map(len, state.config_versions)) + sum(map(len, state.config_contents.values()))
