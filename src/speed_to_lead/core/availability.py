"""Who is available: what people tell of a rep at run time, and how each rep stands, in words."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from speed_to_lead.core.assignment import Tally, Team
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.reps import Absence, Rep, Standing, candidate
from speed_to_lead.core.response import ImpossibleChange


def reps_by_id(teams: Mapping[str, Team]) -> dict[str, list[tuple[Team, Rep]]]:
    """Every rep by id, as each of their teams has them."""
    found: dict[str, list[tuple[Team, Rep]]] = {}
    for team in teams.values():
        for rep in team.reps:
            found.setdefault(rep.id, []).append((team, rep))
    return found


def absence_told(by: str, until: datetime | None, now: datetime) -> Absence:
    """The absence that somebody tells of at `now`. Raises ImpossibleChange for an end that is past."""
    if until is not None and until <= now:
        raise ImpossibleChange(
            f"until is {to_iso(until)}, which is past; name a later time, or none for away until they are back"
        )
    return Absence(by, now, until)


def absence_ended(absence: Absence | None, by: str, now: datetime) -> Absence | None:
    """The absence with its end, told by somebody at `now`; None where the rep is not away."""
    if absence is None or not absence.holds_at(now):
        return None
    return Absence(absence.by, absence.since, now, by)


def reps_as_json(teams: Mapping[str, Team], tally: Tally, now: datetime) -> list[dict[str, Any]]:
    """How each rep stands at `now`, as plain JSON values; sorted by id.

    Somebody in two teams may have two shifts: they are available where they are in one of them, and `why` is said of that.
    """
    return [
        _as_json([rep for _, rep in places], [team.name for team, _ in places], tally, now)
        for _, places in sorted(reps_by_id(teams).items())
    ]


def _as_json(reps: list[Rep], teams: list[str], tally: Tally, now: datetime) -> dict[str, Any]:
    standings = [candidate(rep, tally.load, tally.given, tally.away, now) for rep in reps]
    best = min(standings, key=lambda one: one.standing)
    rep = best.rep
    given = tally.given.get(rep.id)
    absence = tally.away.get(rep.id)
    return {
        "id": rep.id,
        "name": rep.name,
        "teams": teams,
        "available": best.standing is Standing.AVAILABLE,
        "why": best.why,
        "open_leads": tally.load.get(rep.id, 0),
        "given_today": given.count
        if given is not None and given.day == rep.calendar.local_day(now)
        else None,
        "away": _absence_as_json(absence) if absence is not None and absence.holds_at(now) else None,
        "last_away": _absence_as_json(absence) if absence is not None and not absence.holds_at(now) else None,
    }


def _absence_as_json(absence: Absence) -> dict[str, Any]:
    until = None if absence.until is None else to_iso(absence.until)
    document = {"by": absence.by, "since": to_iso(absence.since), "until": until}
    return document | {"back_by": absence.back_by} if absence.back_by else document
