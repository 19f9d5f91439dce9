"""Lead records, the deadline index, rotations and loads in memory."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from speed_to_lead.core.assignment import Rotation
from speed_to_lead.core.clock import to_ms
from speed_to_lead.core.lead import Alert, HistoryEntry, Lead, LeadChange, LeadState
from speed_to_lead.store.contract import Result, UnreadableRecord
from speed_to_lead.store.leads import fits
from speed_to_lead.store.memory.state import State, Waiting


class MemoryLeads:
    """Lead records in memory."""

    def __init__(self, state: State) -> None:
        self._state = state

    def get(self, lead_id: str) -> Lead | None:
        """The lead, or None."""
        return self._state.leads.get(lead_id)

    def get_many(self, lead_ids: Sequence[str]) -> list[Lead | UnreadableRecord | None]:
        """One answer for each id."""
        return [self._state.leads.get(lead_id) for lead_id in lead_ids]

    def history(self, lead_id: str) -> list[HistoryEntry]:
        """What happened to the lead."""
        return list(self._state.history.get(lead_id, ()))

    def newest(
        self,
        limit: int,
        *,
        state: LeadState | None = None,
        team: str | None = None,
        rep: str | None = None,
        before: str | None = None,
    ) -> tuple[list[Lead], str | None]:
        """Leads by receipt, newest first. The cursor is the place of the last lead answered."""
        places = sorted(
            ((to_ms(lead.received_at), lead.id) for lead in self._state.leads.values()), reverse=True
        )
        if before is not None:
            milliseconds, _, lead_id = before.partition(":")
            places = [place for place in places if place < (int(milliseconds), lead_id)]
        fitting = [p for p in places if fits(self._state.leads[p[1]], state, team, rep)]
        found = fitting[:limit]
        cursor = f"{found[-1][0]}:{found[-1][1]}" if len(fitting) > limit else None
        return [self._state.leads[lead_id] for _, lead_id in found], cursor

    def received_since(
        self, since: datetime, limit: int, after: str | None = None
    ) -> tuple[list[Lead | UnreadableRecord], str | None]:
        """Leads by receipt, oldest first. The cursor is the place of the last lead answered."""
        places = sorted(
            (to_ms(lead.received_at), lead.id)
            for lead in self._state.leads.values()
            if lead.received_at >= since
        )
        if after is not None:
            milliseconds, _, lead_id = after.partition(":")
            places = [place for place in places if place > (int(milliseconds), lead_id)]
        found = places[:limit]
        cursor = f"{found[-1][0]}:{found[-1][1]}" if len(places) > limit else None
        return [self._state.leads[lead_id] for _, lead_id in found], cursor

    def of_people(self, person_keys: Sequence[str]) -> dict[str, str]:
        """Each person's newest lead."""
        return {key: self._state.people[key] for key in person_keys if key in self._state.people}

    def of_companies(self, company_keys: Sequence[str]) -> dict[str, str]:
        """Each company's newest lead."""
        return {key: self._state.companies[key] for key in company_keys if key in self._state.companies}

    def rotations(self, teams: Iterable[str]) -> dict[str, Rotation]:
        """The rotation of each team."""
        return {team: self._state.rotations.get(team, Rotation()) for team in teams}

    def load(self) -> dict[str, int]:
        """Open leads by rep."""
        return {rep: n for rep, n in self._state.load.items() if n}

    def change(self, changes: Sequence[LeadChange], *, confirmed: bool = False) -> list[Result]:
        """Write changes to existing leads. What is in memory has no replicas, so there is nothing to wait for."""
        del confirmed
        return [self._state.change(change, None) for change in changes]

    def confirm(self, lead: Lead) -> Result:
        """Nothing to wait for."""
        del lead
        return Result.APPLIED

    def due(self, now: datetime, limit: int, skip: int = 0) -> list[str]:
        """Ids the index holds as due."""
        ordered = sorted((at, lead_id) for lead_id, at in self._state.due.items() if at <= now)
        return [lead_id for _, lead_id in ordered[skip : skip + limit]]

    def indexed_at(self, lead_ids: Sequence[str]) -> list[datetime | None]:
        """The index entry of each lead."""
        return [self._state.due.get(lead_id) for lead_id in lead_ids]

    def mend_index(self, lead_id: str, version: int, next_at: datetime | None) -> Result:
        """Make the index say what the record says."""
        known = self._state.leads.get(lead_id)
        if (known.version if known else 0) != version:
            return Result.STALE
        self._state.index(lead_id, next_at)
        return Result.APPLIED

    def quarantine(self, lead_id: str, error: str, alert: Alert | None = None) -> Result:
        """Out of the index, kept with its error."""
        self._state.due.pop(lead_id, None)
        if lead_id not in self._state.leads:
            return Result.GONE
        known = lead_id in self._state.quarantined
        self._state.quarantined[lead_id] = error
        if known:
            return Result.KNOWN
        self._state.ledger["quarantined"] += 1
        if alert is not None:
            self._state.alerts.setdefault(alert.key, Waiting(alert, alert.decided_at))
        return Result.APPLIED

    def release(self, lead_id: str) -> Result:
        """Out of quarantine."""
        return Result.GONE if self._state.quarantined.pop(lead_id, None) is None else Result.APPLIED

    def quarantined(self) -> dict[str, str]:
        """Leads in quarantine."""
        return dict(self._state.quarantined)

    def scan(self, cursor: str, limit: int) -> tuple[list[str], str]:
        """A batch of the open leads, in order of their ids."""
        ids = sorted(lead_id for lead_id in self._state.listed_open if lead_id > cursor)
        return ids[:limit], ids[limit - 1] if len(ids) > limit else ""
