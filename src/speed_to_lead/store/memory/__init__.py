"""The store in memory: a second full implementation, for fast tests of decisions and for a look at what the first must do.

state.py holds everything; beside it one module for each part of the contract, named as those of the Redis store.
"""

from collections.abc import Callable
from datetime import datetime

from speed_to_lead.store.memory.audit import MemoryAudit
from speed_to_lead.store.memory.configs import MemoryConfigs
from speed_to_lead.store.memory.fetches import MemoryFetches
from speed_to_lead.store.memory.leads import MemoryLeads
from speed_to_lead.store.memory.operations import MemoryOperations
from speed_to_lead.store.memory.outbox import MemoryOutbox
from speed_to_lead.store.memory.privacy import MemoryPrivacy
from speed_to_lead.store.memory.queue import MemoryQueue
from speed_to_lead.store.memory.reconciliations import MemoryReconciliations
from speed_to_lead.store.memory.reps import MemoryReps
from speed_to_lead.store.memory.shadow import MemoryShadow
from speed_to_lead.store.memory.state import State

__all__ = ["MemoryStore"]


class MemoryStore:
    """The store in memory, on a clock the caller holds."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        state = State(clock)
        self.queue = MemoryQueue(state)
        self.leads = MemoryLeads(state)
        self.reps = MemoryReps(state)
        self.outbox = MemoryOutbox(state)
        self.operations = MemoryOperations(state)
        self.audit = MemoryAudit(state)
        self.fetches = MemoryFetches(state)
        self.reconciliations = MemoryReconciliations(state)
        self.privacy = MemoryPrivacy(state)
        self.configs = MemoryConfigs(state)
        self.shadow = MemoryShadow(state)

    def now(self) -> datetime:
        """The caller's clock."""
        return self._clock()
