"""The life of a lead, stage by stage, in the order a lead meets them. Start reading here.

    receive   is it genuine?                          web      → a submission, stored before it is answered
    route     same person? which team, rep, deadline? router   → a lead (or a touch, duplicate, test, dead letter)
    fetch     who is it, where a tool sent ids only?  asker  → the same submission with its data, to be routed
    sweep     whose instant has come?                 clock    → the next step of the ladder, its alerts in the outbox
    hand out  who waited, and has a rep now?          clock    → that rep, told of it
    deliver   did they hear us?                       courier  → delivered, tried again later, or given up loudly
    respond   somebody answered                       web, cli → the clock stops

Beside it, on its own: does anything contradict the promises? `auditor.py` repairs it from the record, or tells somebody.

Each stage is a module (intake, routing, fetches, sweeping, waiting, delivery, responses), and its verb is called here: `flow.route(…)`.
What a webhook never brought is found by night, by reconciling with the lists that form tools keep.
What an alert says when it is sent is in messages; how many at once become one, in storms.
Who is away though their calendar says otherwise is told in availability.
They share how a decision is made again (contention), how one bad lead is kept from the others (isolation), and what
is logged of a change (changes). By heartbeat, each says that it is working.

Every stage is gather → decide → apply: read facts, ask a pure function of `core`, write its answer in one piece.
What was decided on facts that changed meanwhile is refused by the store and decided again.
"""

from speed_to_lead.flow.availability import UnknownRep, all_reps, set_away, set_back
from speed_to_lead.flow.contention import Contended
from speed_to_lead.flow.delivery import LEASE, deliver, destinations_due
from speed_to_lead.flow.fetches import fetch, fetches_due, route_overdue
from speed_to_lead.flow.heartbeat import SILENT_AFTER, beat
from speed_to_lead.flow.intake import new_submission_id, receive
from speed_to_lead.flow.nights import reconcile_tonight, reconciliations_due
from speed_to_lead.flow.reconciling import NoList, reconcile
from speed_to_lead.flow.responses import UnknownLead, answer, change_lead
from speed_to_lead.flow.routing import Routed, route
from speed_to_lead.flow.storms import fold_storm
from speed_to_lead.flow.sweeping import Swept, release, sweep

__all__ = [  # noqa: RUF022  in the order a lead meets them
    "receive",
    "new_submission_id",
    "route",
    "Routed",
    "route_overdue",
    "fetches_due",
    "fetch",
    "sweep",
    "Swept",
    "release",
    "destinations_due",
    "deliver",
    "fold_storm",
    "LEASE",
    "change_lead",
    "answer",
    "UnknownLead",
    "all_reps",
    "set_away",
    "set_back",
    "UnknownRep",
    "reconcile",
    "reconciliations_due",
    "reconcile_tonight",
    "NoList",
    "Contended",
    "beat",
    "SILENT_AFTER",
]
