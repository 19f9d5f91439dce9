"""Reps in memory, and the leads that wait for one of them."""

from collections.abc import Iterable

from speed_to_lead.core.assignment import Rotation, Tally
from speed_to_lead.core.reps import Absence
from speed_to_lead.store.memory.state import State


class MemoryReps:
    """What assignment asks about reps, in memory."""

    def __init__(self, state: State) -> None:
        self._state = state

    def tally(self, teams: Iterable[str]) -> Tally:
        """What a pick in these teams is made on."""
        state = self._state
        return Tally(
            {team: state.rotations.get(team, Rotation()) for team in teams},
            {rep: n for rep, n in state.load.items() if n},
            dict(state.given),
            dict(state.away),
        )

    def absences(self) -> dict[str, Absence]:
        """Who was set away."""
        return dict(self._state.away)

    def set_away(self, rep: str, absence: Absence) -> None:
        """That rep is away."""
        self._state.away[rep] = absence

    def waiting(self, limit: int, skip: int = 0) -> list[tuple[str, str]]:
        """Leads without a rep, nearest deadline first."""
        ordered = sorted((at, lead_id, team) for lead_id, (at, team) in self._state.waiting.items())
        return [(lead_id, team) for _, lead_id, team in ordered[skip : skip + limit]]

    def forget_waiting(self, lead_id: str) -> None:
        """That lead waits for nobody."""
        self._state.waiting.pop(lead_id, None)
