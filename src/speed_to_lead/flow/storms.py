"""Storms: what a destination is told too much of at once waits for a moment, and comes as one digest."""

from datetime import datetime, timedelta

import structlog

from speed_to_lead.core.clock import MILLISECOND
from speed_to_lead.core.lead import Alert, Lead
from speed_to_lead.core.storm import MOST_AT_ONCE, MOST_FOLDED, digest_of, folded, is_hot, may_be_folded
from speed_to_lead.flow.isolation import answer_or_error
from speed_to_lead.store import Result
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

#: What waits for a storm's end is looked at again after this at the earliest.
_PAUSE = timedelta(seconds=1)


def fold_storm(place: Workplace, destination: str) -> None:
    """Fold what a storm held back into digests, once its time is over: 1 what is due, 2 which of it may wait, 3 write.

    Any number of couriers may try at once: one that comes second finds the alerts gone, and leaves it at that.
    """
    known = place.config.destinations.get(destination)
    terms = known.digest if known is not None else None
    storm = place.store.outbox.storm(destination) if terms is not None else None
    held_until = storm.held_until(terms) if storm is not None and terms is not None else None
    now = place.store.now() if held_until is not None else None
    if held_until is None or now is None or now < held_until:
        return
    due = place.store.outbox.due(destination, now, MOST_AT_ONCE)
    records = place.store.leads.get_many([alert.lead_id for alert in due])
    leads = [lead if isinstance(lead, Lead) else None for lead in records]
    waited = [alert for alert, lead in zip(due, leads, strict=True) if may_be_folded(alert, lead)]
    for start in range(0, len(waited), MOST_FOLDED):
        members = waited[start : start + MOST_FOLDED]
        digest = digest_of(destination, members, now + start * MILLISECOND)  # a key of its own for each
        lines = {alert.key: folded(alert, digest, now) for alert in members}
        # Until the last of them the storm stands: what is not folded yet is nobody's to send by itself.
        is_last = start + MOST_FOLDED >= len(waited) and len(due) < MOST_AT_ONCE
        if place.store.outbox.fold(digest, lines, now, is_last=is_last) is not Result.APPLIED:
            break
        log.info("alerts.folded", destination=destination, count=len(members), alert=digest.key)


def held_by_storm(place: Workplace, alert: Alert, now: datetime) -> datetime | None:
    """Until when an alert waits, because its destination was told enough one by one."""
    known = place.config.destinations.get(alert.destination)
    if known is None or known.digest is None or alert.attempts > 1 or not alert.kind.calls_somebody:
        return None
    lead = answer_or_error(place.store.leads.get, alert.lead_id)
    if not isinstance(lead, Lead) or is_hot(lead):
        return None
    until = place.store.outbox.note_sent(alert.destination, known.digest, now).held_until(known.digest)
    # Where the time is over it comes back in a moment, when what waits is folded.
    return max(until, now + _PAUSE) if until is not None else None
