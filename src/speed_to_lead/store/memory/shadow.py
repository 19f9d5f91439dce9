"""The shadow config, in memory."""

from collections.abc import Mapping, Sequence

from speed_to_lead.store.contract import Result, ShadowConfig
from speed_to_lead.store.memory.state import State
from speed_to_lead.store.shadow import SHADOW_EXAMPLES


class MemoryShadow:
    """The shadow config of the store in memory."""

    def __init__(self, state: State) -> None:
        self._state = state

    def begin(self, shadow: ShadowConfig, texts: Mapping[str, bytes]) -> None:
        """Make this the shadow."""
        self.end()
        self._state.shadow = (shadow, dict(texts))

    def current(self) -> ShadowConfig | None:
        """The shadow, or None."""
        return self._state.shadow[0] if self._state.shadow else None

    def texts(self, shadow_id: str) -> dict[str, bytes] | None:
        """What its files say."""
        shadow = self._state.shadow
        return dict(shadow[1]) if shadow and shadow[0].id == shadow_id else None

    def note(self, shadow_id: str, counts: Mapping[str, int], examples: Sequence[str]) -> Result:
        """Count what it decided, and keep examples."""
        if self._state.shadow is None or self._state.shadow[0].id != shadow_id:
            return Result.STALE
        self._state.shadow_counts.update(counts)
        kept = [*reversed(examples), *self._state.shadow_examples]
        self._state.shadow_examples = kept[:SHADOW_EXAMPLES]
        return Result.APPLIED

    def report(self, limit: int) -> tuple[dict[str, int], list[str]]:
        """Every count by name, and the newest examples."""
        return dict(self._state.shadow_counts), self._state.shadow_examples[:limit]

    def end(self) -> Result:
        """Have no shadow any more."""
        was_there = self._state.shadow is not None
        self._state.shadow = None
        self._state.shadow_counts.clear()
        self._state.shadow_examples = []
        return Result.APPLIED if was_there else Result.GONE
