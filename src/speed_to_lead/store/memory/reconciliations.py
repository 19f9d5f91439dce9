"""How far the lists of form tools were compared with what arrived, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from speed_to_lead.store.contract import Reconciliation, Result
from speed_to_lead.store.memory.state import State


@dataclass
class MemoryReconciliations:
    """How far each form's list was compared, in memory."""

    _state: State

    def of(self, forms: Sequence[str]) -> dict[str, Reconciliation]:
        """Those of these forms that were ever noted."""
        return {form: found for form in forms if (found := self._state.reconciliations.get(form)) is not None}

    def note(self, before: Reconciliation | None, after: Reconciliation) -> Result:
        """Keep this in place of that."""
        if self._state.reconciliations.get(after.form) != before:
            return Result.STALE
        self._state.reconciliations[after.form] = after
        return Result.APPLIED
