"""Away and back: somebody tells at run time that a rep is away. Web and the command line say so; every pick asks."""

from datetime import datetime
from typing import Any

import structlog

from speed_to_lead.core.availability import absence_ended, absence_told, reps_as_json, reps_by_id
from speed_to_lead.core.clock import to_iso
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()


class UnknownRep(LookupError):
    """teams.toml has no rep of that id."""


def all_reps(place: Workplace) -> list[dict[str, Any]]:
    """How every rep stands now."""
    return reps_as_json(place.config.rulebook.teams, place.store.reps.tally(()), place.store.now())


def set_away(place: Workplace, rep_id: str, by: str, until: datetime | None) -> None:
    """The rep gets no leads until then, or until they are back; those they have stay theirs.

    Routers ask at their next batch. Raises UnknownRep, ImpossibleChange, StoreUnavailable.
    """
    _refuse_unknown(place, rep_id)
    absence = absence_told(by, until, place.store.now())
    place.store.reps.set_away(rep_id, absence)
    place.store.privacy.confirm()
    log.info("rep.away", rep=rep_id, until=to_iso(until) if until else None)


def set_back(place: Workplace, rep_id: str, by: str) -> bool:
    """The rep gets leads again, as their shift has it; whether anybody had said that they are away."""
    _refuse_unknown(place, rep_id)
    absence = place.store.reps.absences().get(rep_id)
    ended = absence_ended(absence, by, place.store.now())
    if ended is not None:
        place.store.reps.set_away(rep_id, ended)
        log.info("rep.back", rep=rep_id)
    place.store.privacy.confirm()  # also where it was so already: it may be the repeat of a call that was answered 503
    return ended is not None


def _refuse_unknown(place: Workplace, rep_id: str) -> None:
    if rep_id not in reps_by_id(place.config.rulebook.teams):
        raise UnknownRep(rep_id)
