"""What a candidate's rules would have made of a lead, beside what the live ones made of it."""

from typing import Any

from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.routing import Route

#: What is compared, in the order in which it is told. Not the rep: that is the team's turn, and depends on who came before.
COMPARED = ("source", "channel", "campaign", "rule", "team", "sla", "deadline", "steps")


def differs_in(lead: Lead, team: str, route: Route) -> list[str]:
    """In what the route differs from that of the lead as it was admitted: names of COMPARED.

    `team` is the one that the lead's rule named: which team its rep is in is a matter of who was there, as the rep is.
    """
    attribution = route.attribution
    would_be = (
        attribution.source.name,
        attribution.channel,
        attribution.campaign,
        route.rule.name,
        route.team.name,
        route.sla.name,
        route.deadline,
        route.steps,
    )
    was = {name: getattr(lead, name) for name in COMPARED} | {"team": team}
    return [name for name, other in zip(COMPARED, would_be, strict=True) if was[name] != other]


def lead_in_short(lead: Lead, team: str) -> dict[str, Any]:
    """What the live rules made of it, in names of config alone: a campaign may be anybody's word."""
    return _in_short(lead.source, lead.rule, team, lead.sla) | {"deadline": to_iso(lead.deadline)}


def route_in_short(route: Route) -> dict[str, Any]:
    """The same of a candidate's route."""
    names = _in_short(route.attribution.source.name, route.rule.name, route.team.name, route.sla.name)
    return names | {"deadline": to_iso(route.deadline)}


def _in_short(source: str, rule: str, team: str, sla: str) -> dict[str, Any]:
    return {"source": source, "rule": rule, "team": team, "sla": sla}
