"""Respond: somebody answered. Web and the command line say so; the clock stops."""

from collections.abc import Callable
from datetime import datetime

from speed_to_lead import tracing
from speed_to_lead.core.answer import Answer, Asked
from speed_to_lead.core.lead import Lead, LeadChange, Response, ResponseKind
from speed_to_lead.core.response import close_lead, pass_on, record_response
from speed_to_lead.flow.changes import tell_change, with_follow_ups
from speed_to_lead.flow.contention import MAX_ROUNDS, Contended
from speed_to_lead.store import Result
from speed_to_lead.workplace import Workplace


class UnknownLead(LookupError):
    """There is no lead of that id."""


def answer(
    place: Workplace,
    asked: Asked,
    said: Answer,
    by: str,
    via: str,
    evidence: str = "",
    at: datetime | None = None,
) -> tuple[Lead, bool]:
    """The lead after an answer given where the alert was read, and whether it changed anything. `at`: now, if not given.

    Raises what `change_lead` raises, and ImpossibleChange.
    """

    def decide(lead: Lead, now: datetime) -> LeadChange | None:
        rulebook = place.config.rulebook
        match said:
            case Answer.NOT_A_LEAD:
                return close_lead(lead, "not a lead", by, now)
            case Answer.PASS_ON:
                tally = place.store.reps.tally(set(rulebook.teams_asked.get(lead.team, ())))
                return pass_on(lead, rulebook.teams, tally, asked, by, now, rulebook.meanings)
            case _:
                happened = min(max(at, lead.received_at), now) if at is not None else now
                kind = ResponseKind(said.value)
                return record_response(lead, Response(kind, by, happened, now, via, evidence), now, asked)

    return change_lead(place, asked.lead_id, decide)


def change_lead(
    place: Workplace, lead_id: str, decide: Callable[[Lead, datetime], LeadChange | None]
) -> tuple[Lead, bool]:
    """The lead after `decide`, and whether anything changed (not where decide answered None).

    Used for responses, reassignments and closing alike: read, decide on that version, write; where the lead changed
    meanwhile, again. Whoever asked is told only what no failover takes back, also where it was so already: it may be
    the repeat of a call that was answered 503. Raises UnknownLead, Contended, StoreUnavailable, and whatever
    `decide` raises.
    """
    for _ in range(MAX_ROUNDS):
        begun = tracing.clock()
        lead = place.store.leads.get(lead_id)
        if lead is None:
            known = place.store.queue.lead_of([lead_id]).get(lead_id)
            lead = place.store.leads.get(known) if known else None
        if lead is None:
            raise UnknownLead(lead_id)
        change = decide(lead, place.store.now())
        if change is None:
            if place.store.leads.confirm(lead) is Result.APPLIED:
                return lead, False
            continue
        change = with_follow_ups(place, lead, change)
        if place.store.leads.change([change], confirmed=True)[0] is Result.APPLIED:
            tell_change("respond", change, begun)
            return change.lead, True
    raise Contended(lead_id)
