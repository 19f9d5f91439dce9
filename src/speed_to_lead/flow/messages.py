"""What an alert says when it is sent, or that there is nothing to say any more: the records decide, as they are now."""

from dataclasses import replace
from datetime import datetime

from speed_to_lead.core.answer import LINK_LASTS, Answer, Asked, link_token
from speed_to_lead.core.follow_up import message_name
from speed_to_lead.core.lead import Alert, AlertKind, Lead
from speed_to_lead.core.message import Message, compose, compose_digest, compose_system
from speed_to_lead.core.wording import Detail
from speed_to_lead.workplace import Workplace

_SYSTEM_HEADLINES = {
    AlertKind.CONTRADICTION: "Something does not add up",
    AlertKind.FORM_SILENT: "A form has gone silent",
    AlertKind.SOURCE_QUIET: "A source brings no leads any more",
    AlertKind.DEAD_LETTERS: "Submissions could not be read",
    AlertKind.WEBHOOK_MISSED: "A form's webhook did not bring what was sent to it",
    AlertKind.SIGNATURES_REFUSED: "A form refuses what is sent to it",
    AlertKind.QUARANTINED: "A lead cannot be worked on and was put aside",
    AlertKind.DESTINATION_DISABLED: "A destination refuses every alert",
    AlertKind.STAGE_SILENT: "A part of speed-to-lead has stopped working",
    AlertKind.STAGE_BACK: "A part of speed-to-lead is working again",
}


def message_for(place: Workplace, alert: Alert, lead: Lead | None, now: datetime) -> Message | None:
    """What to say; None where nobody waits any more. `lead`: as it was just read, where the alert is about one."""
    if alert.kind is AlertKind.DIGEST:
        return _digest(place, alert, now)
    if alert.kind.is_about_system:
        return compose_system(alert, _SYSTEM_HEADLINES.get(alert.kind, "A test of this destination"))
    if lead is None or not _is_still_told(place, alert, lead):
        return None
    return _about(place, alert, lead, now)


def _is_still_told(place: Workplace, alert: Alert, lead: Lead) -> bool:
    """Whether it is to be sent: somebody waits, or is to hear of it all the same; and no later one says it."""
    if not (lead.is_open or _is_told_all_the_same(place, alert)):
        return False
    return not _is_said_by_a_later_one(place, alert)


def _is_told_all_the_same(place: Workplace, alert: Alert) -> bool:
    """Whether an alert goes out though nobody waits any more.

    One that may have opened an incident already does: told of now, it says that all is over, and the incident ends.
    """
    if alert.kind in (AlertKind.NURTURED, AlertKind.MOVED):
        return True
    return (
        alert.unknown_attempts > 0
        and place.follows_leads(alert.destination)
        and place.channel(alert.destination).recognises_repeats
    )


def _is_said_by_a_later_one(place: Workplace, alert: Alert) -> bool:
    """Whether one of the same kind was held back after it for the same quiet hours: it would say the same of the lead.

    So a reminder that came again and again through the night is one in the morning.
    """
    destination = place.config.destinations.get(alert.destination)
    if destination is None or destination.quiet_outside is None or alert.attempts > 1:
        return False
    until = None
    for entry in place.store.leads.history(alert.lead_id):
        held = entry.details
        if entry.event != "alert.held" or (held.get("to"), held.get("kind")) != (
            alert.destination, alert.kind.value,
        ):  # fmt: skip
            continue
        if held.get("step") == alert.step:
            until = held.get("until")
        elif until is not None and held.get("until") == until:
            return True
    return False


def _about(place: Workplace, alert: Alert, lead: Lead, now: datetime) -> Message:
    rulebook = place.config.rulebook
    asked = Asked(lead.id, lead.rep or "", alert.destination)
    if place.public_url and place.link_secrets:  # of the decision, so that every attempt says the same
        until = alert.decided_at + LINK_LASTS
        url = f"{place.public_url}/answer/{link_token(asked, until, place.link_secrets)}"
    else:
        url = f"{place.public_url}/v1/leads/{lead.id}" if place.public_url else ""
    label = rulebook.taxonomy.source(lead.source).label
    handle = ""
    if place.follows_leads(alert.destination):
        handle = message_name(place.store.leads.history(lead.id), alert.destination)
    detail = _detail_for(place, alert.destination)
    team = rulebook.teams.get(lead.team)
    message = compose(alert, lead, team, label, url, now, handle, place.config.wording, detail)
    if not (place.takes_presses and lead.is_open):
        return message
    buttons = tuple((f"answer:{one}", one.words, f"{lead.id} {asked.rep}".rstrip()) for one in Answer)
    return replace(message, buttons=buttons)


def _detail_for(place: Workplace, name: str) -> Detail:
    destination = place.config.destinations.get(name)
    return destination.detail if destination is not None else Detail.FULL


def _digest(place: Workplace, digest: Alert, now: datetime) -> Message:
    """What a digest says, as things stand: whoever was answered meanwhile is in it, and said to be."""
    members = [member.partition(":")[0] for member in digest.members]
    records = place.store.leads.get_many(members)
    leads = [lead for lead in records if isinstance(lead, Lead)]
    url = f"{place.public_url}/v1/leads?state=open" if place.public_url else ""
    detail = _detail_for(place, digest.destination)
    return compose_digest(digest, leads, place.config.rulebook.teams, url, now, detail)
