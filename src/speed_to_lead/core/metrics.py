"""What each change adds to the metrics: counts by form, source, team, SLA and destination, and lags in buckets.

The store writes them in the same piece as the change itself, so that a count is never lost and never doubled. A count
is one field of one hash, named by `field_of`. Its labels are names of config: never a lead, never a person.
"""

from bisect import bisect_left
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import quote, unquote

from speed_to_lead.core.clock import MILLISECOND
from speed_to_lead.core.lead import Alert, LeadChange, ResponseKind
from speed_to_lead.core.response import AUTOMATIC_REPLY
from speed_to_lead.core.settlement import Admit, Await, Bury, Drop, Join, Settlement, Split

#: Upper bounds in seconds. What we do ourselves takes milliseconds; the SLA is in minutes.
LAG_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
#: People take minutes to days.
RESPONSE_BUCKETS = (60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 14400.0, 28800.0, 86400.0, 259200.0)
#: The bounds of each histogram.
HISTOGRAMS: Mapping[str, tuple[float, ...]] = {
    "routing_lag_seconds": LAG_BUCKETS,
    "detection_lag_seconds": LAG_BUCKETS,
    "delivery_lag_seconds": LAG_BUCKETS,
    "response_time_seconds": RESPONSE_BUCKETS,
}
#: Pieces of evidence by their line of history: each kind apart, and what a program answered.
RESPONSES_BY_EVENT: Mapping[str, str] = {f"lead.{kind}": kind.value for kind in ResponseKind} | {
    AUTOMATIC_REPLY: "automatic"
}
#: What stands for a name that config does not have.
OTHER = "other"
#: In place of a bucket's bound: the sum of what was observed, in milliseconds.
SUM = "sum"


def counts_of_settlement(settlement: Settlement) -> dict[str, int]:
    """What the end of one queue entry adds: one `submissions`, or none where it comes back."""
    match settlement:
        case Admit(change=change):
            return {_submission(change.lead.form, "lead"): 1, **counts_of_change(change)}
        case Join(change=change):
            # The form of the touch: the lead may have come by another.
            form = change.lead.touches[-1].form if change.lead.touches else change.lead.form
            return {_submission(form, "touch"): 1, **counts_of_change(change)}
        case Drop():
            return {
                _submission(settlement.form, "duplicate" if settlement.kind == "duplicates" else "test"): 1
            }
        case Split() | Await():
            return {}  # what comes of them is counted
        case Bury():
            return {_submission(_form_of(settlement), "dead_letter"): 1}


def counts_of_repeated_burial(settlement: Bury) -> dict[str, int]:
    """What a submission adds whose body is kept as a dead letter already."""
    return {_submission(_form_of(settlement), "duplicate"): 1}


def counts_of_thrown_away(form: str) -> dict[str, int]:
    """What a submission adds that leaves the queue unread: for the books a dead letter. `form`: "" where config has none."""
    return {_submission(form, "dead_letter"): 1}


def counts_of_change(change: LeadChange) -> dict[str, int]:
    """What a change of a lead adds: routed, late steps decided, responses by kind, breached, answered, closed."""
    lead, counted = change.lead, change.counters
    counts: dict[str, int] = {}
    if "leads" in counted:
        counts[field_of("leads_routed", team=lead.team, sla=lead.sla, source=lead.source)] = 1
        routed = next((entry.at for entry in change.history if entry.event == "lead.routed"), None)
        if routed is not None:
            counts |= _observed("routing_lag_seconds", routed - lead.received_at)
    for entry in change.history:
        kind = RESPONSES_BY_EVENT.get(entry.event)
        if kind is not None:
            counts[field_of("responses", team=lead.team, kind=kind)] = 1
    if "breaches" in counted:
        counts[field_of("leads_breached", team=lead.team)] = 1
    if "answered" in counted and lead.answered_at is not None:
        in_time = "true" if "answered_in_time" in counted else "false"
        counts[field_of("leads_answered", team=lead.team, in_time=in_time)] = 1
        counts |= _observed("response_time_seconds", lead.answered_at - lead.received_at, team=lead.team)
    if "closed" in counted:
        counts[field_of("leads_closed", team=lead.team)] = 1
    lag = _detection_lag(change)
    return counts if lag is None else counts | _observed("detection_lag_seconds", lag)


def counts_of_attempt(alert: Alert, result: str, at: datetime) -> dict[str, int]:
    """What one attempt to deliver an alert adds. `at` is when it was delivered, where `result` says that it was."""
    counts = counts_of_unread_alert(alert.destination, result)
    if result == "delivered":
        counts |= _observed("delivery_lag_seconds", at - alert.decided_at, destination=alert.destination)
    return counts


def counts_of_unread_alert(destination: str, result: str) -> dict[str, int]:
    """What an alert adds that this release cannot read."""
    return {field_of("delivery_attempts", destination=destination, result=result): 1}


def _form_of(settlement: Bury) -> str:
    """Anybody may name any form: only those of config are counted by name."""
    return settlement.submission.form if settlement.is_of_known_form else OTHER


def _submission(form: str, outcome: str) -> str:
    return field_of("submissions", form=form or OTHER, outcome=outcome)


def _detection_lag(change: LeadChange) -> timedelta | None:
    """From the earliest instant that the clock decided in this change; None where it was not the clock's."""
    lead = change.lead
    if not lead.is_open:  # a person answered, and a breach was noted by the way
        return None
    instants, decided_at = [], None
    for entry in change.history:
        if entry.event == "lead.breached":
            instants.append(lead.deadline)
            decided_at = entry.at
        elif entry.event == "step.decided":
            steps = (
                lead.step(name) for name in (entry.details.get("step"), *entry.details.get("skipped", ()))
            )
            instants += [step.at for step in steps if step is not None]
            decided_at = entry.at
    return decided_at - min(instants) if decided_at is not None and instants else None


def _observed(histogram: str, span: timedelta, **labels: str) -> dict[str, int]:
    """One observation: its bucket (each counts its own, not those below) and its part of the sum."""
    milliseconds = max(span // MILLISECOND, 0)
    bounds = HISTOGRAMS[histogram]
    place = bisect_left(bounds, milliseconds / 1000)
    bucket = f"{bounds[place]:g}" if place < len(bounds) else "+Inf"
    return {field_of(histogram, **labels, le=bucket): 1, field_of(histogram, **labels, le=SUM): milliseconds}


@lru_cache(maxsize=4096)
def field_of(name: str, **labels: str) -> str:
    """The field of a count: `leads_routed|team=inbound|sla=inbound-5m`; labels in the order given."""
    return "|".join((name, *(f"{label}={quote(value, safe=' +~')}" for label, value in labels.items())))


def read_field(field: str) -> tuple[str, dict[str, str]]:
    """Name and labels of a count's field."""
    name, *parts = field.split("|")
    pairs = (part.partition("=") for part in parts)
    return name, {label: unquote(value) for label, _, value in pairs}
