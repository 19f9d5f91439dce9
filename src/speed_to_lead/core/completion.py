"""A lead that was routed by what was known, once its form tool has told who it is: completed, never routed again."""

from dataclasses import replace
from datetime import datetime

from speed_to_lead.core.lead import COMPLETED, Alert, HistoryEntry, Lead, LeadChange, PlannedStep
from speed_to_lead.core.response import close_lead
from speed_to_lead.core.routing import Rulebook, alerts_on_receipt
from speed_to_lead.core.submission import DATA_PENDING, GenericLead, ParsedSubmission

#: Why an incomplete lead is closed whose person turns out to have another one open: two reps would answer.
SAME_PERSON = "same_person"

_KNOWN_NOW = "The form tool has told who this is."


def awaits_data(lead: Lead) -> bool:
    """Whether it was routed by what was known, and its data has not come yet."""
    return DATA_PENDING in lead.lead.custom


def completed(lead: Lead, parsed: ParsedSubmission, rulebook: Rulebook, now: datetime) -> LeadChange:
    """The lead with its data. Rep, clock and deadline stay as they are; whoever has it hears of it while it is open."""
    custom = {name: value for name, value in lead.lead.custom.items() if name != DATA_PENDING}
    known = GenericLead({**lead.lead.fields, **parsed.lead.fields}, {**custom, **parsed.lead.custom})
    changed = replace(
        lead,
        version=lead.version + 1,
        lead=known,
        submitted_at=parsed.submitted_at or lead.submitted_at,
        trace=(*lead.trace, "the form tool answered, and the lead is complete"),
    )
    team = rulebook.teams.get(lead.team)
    alerts: tuple[Alert, ...] = ()
    if lead.is_open and lead.rep is not None and team is not None:
        told = PlannedStep(COMPLETED, now, remind=("rep",))
        alerts = tuple(
            replace(alert, note=_KNOWN_NOW) for alert in alerts_on_receipt(changed, (told,), team, now)
        )
    details: dict[str, object] = {"fields": sorted(parsed.lead.fields)}
    if alerts:  # by step and destination the auditor knows each again
        details |= {"step": COMPLETED, "told": [alert.destination for alert in alerts]}
    entry = HistoryEntry(now, "lead.completed", details)
    return LeadChange(changed, (entry,), alerts, counters={"touches": 1})


def same_person_has_another(lead: Lead, now: datetime) -> LeadChange | None:
    """The incomplete lead closed, because its person has an open one already; None where it is not open."""
    return close_lead(lead, SAME_PERSON, "router", now)
