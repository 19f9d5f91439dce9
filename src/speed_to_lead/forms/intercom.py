"""Intercom: people who turn up as leads, sign up, or begin a conversation.

Signed with `X-Hub-Signature: sha1=<hex HMAC-SHA1 of the raw body with the client secret>`; no time is signed, so a replay
is recognised by item and topic. https://developers.intercom.com/docs/webhooks/webhook-notifications

Selectors in `intake.toml`: `attribute:<name>` (custom attributes), `item:<dotted path>` for anything in `data.item`.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from html import unescape
from typing import Any

from speed_to_lead.core.submission import (
    Form,
    GenericLead,
    ParsedSubmission,
    Submission,
    UnreadableSubmission,
    generic_lead,
    lead_field_named,
)
from speed_to_lead.forms import generic, reading, signatures
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
selectors: tuple[str, ...] = ("attribute", "item")

#: What tells of somebody new. Every other topic (`contact.lead.tag.created`, replies of one's own team, `ping`) is counted
#: and never routed.
_LEAD_TOPIC = re.compile(
    r"(contact|user|visitor)(\.(lead|user))?\.(created|signed_up|added_email)|conversation\.(user|contact|lead)\.created"
)
#: Somebody without an address yet: Intercom tells again when they have one (`contact.lead.added_email`).
_NOT_REACHABLE_YET = frozenset({"contact.lead.created", "contact.created", "visitor.created"})
_TAG = re.compile(r"<[^<>]*>")
_UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "referrer")


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why the request does not carry Intercom's signature of its body."""
    del now  # Intercom signs no time
    given = request.headers.get("x-hub-signature", "").strip()
    if not given:
        return "the header X-Hub-Signature is missing; Intercom signs with the app's client secret"
    matches = signatures.any_matches(
        (given.lower(),), secret, lambda key: (f"sha1={signatures.hmac_hex(key, request.body, 'sha1')}",)
    )
    return None if matches else "X-Hub-Signature does not match"


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The person a notification is about; `ping` and every topic that tells of nobody new is counted as a test."""
    notification = reading.mapping_in(reading.json_in(submission), "the body")
    topic = str(notification.get("topic") or "")
    item = reading.mapping_or_nothing(reading.mapping_or_nothing(notification.get("data")).get("item"))
    if not _LEAD_TOPIC.fullmatch(topic):
        if not topic:
            raise UnreadableSubmission("topic is missing: this is no notification of Intercom")
        return ParsedSubmission(GenericLead(), is_test=True)
    payload = _payload(topic, item, form)
    identity = item.get("id")
    key = f"{identity}.{topic}" if isinstance(identity, (str, int)) and identity else None
    submitted_at = reading.instant_in(item.get("created_at")) or reading.instant_in(
        notification.get("created_at")
    )
    if topic in _NOT_REACHABLE_YET:
        lead = reading.lead_or_nobody(payload)
        return ParsedSubmission(lead, key, submitted_at, is_test=not lead.fields)
    return ParsedSubmission(generic_lead(payload), key, submitted_at)


def _payload(topic: str, item: Mapping[str, Any], form: Form) -> dict[str, Any]:
    person = _person(item)
    payload: dict[str, Any] = {name: person.get(name) for name in ("email", "phone", "name")}
    payload |= {name: person.get(name) or item.get(name) for name in _UTM}
    payload |= _place_of(person)
    company = next(_companies(person), {})
    payload |= {
        "company": company.get("name"),
        "website": company.get("website"),
        "industry": company.get("industry"),
        "employees": company.get("size") or None,  # 0: nobody said
        "landing_page": _opened(item).get("url"),
        "message": _message(item),
    }
    attributes = {
        str(name): value
        for source in (person, item)
        for name, value in reading.mapping_or_nothing(source.get("custom_attributes")).items()
        if value not in (None, "")
    }
    custom: dict[str, Any] = {
        "intercom_topic": topic,
        "intercom_id": person.get("id"),
        "role": person.get("role"),
    }
    for name, value in attributes.items():
        known = lead_field_named(name)
        if f"attribute:{name}" in form.fields.values() or name in form.fields.values():
            continue
        if known is None or payload.get(known) not in (None, ""):
            custom[name] = value
        else:
            payload[known] = value
    payload["custom"] = custom

    def selected(kind: str, name: str) -> Any:
        return generic.value_at(item, name) if kind == "item" else attributes.get(name)

    reading.place_fields(payload, form, selected)
    return payload


def _person(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The contact itself; of a conversation, whoever began it."""
    inside = (
        item.get("user"),
        item.get("contact"),
        _opened(item).get("author"),
        *reading.items_in(reading.mapping_or_nothing(item.get("contacts")).get("contacts")),
    )
    people = [reading.mapping_or_nothing(one) for one in (item, *inside)]
    return next((person for person in people if person.get("email") or person.get("phone")), people[0])


def _opened(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a conversation began with: `source` since version 2 of Intercom's API, `conversation_message` before."""
    return reading.mapping_or_nothing(item.get("source")) or reading.mapping_or_nothing(
        item.get("conversation_message")
    )


def _message(item: Mapping[str, Any]) -> str | None:
    body = _opened(item).get("body")
    return " ".join(unescape(_TAG.sub(" ", body)).split()) if isinstance(body, str) else None


def _companies(person: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    listed = reading.mapping_or_nothing(person.get("companies"))
    yield from reading.items_in(listed.get("companies")) or reading.items_in(listed.get("data"))


def _place_of(person: Mapping[str, Any]) -> dict[str, Any]:
    place = reading.mapping_or_nothing(person.get("location")) or reading.mapping_or_nothing(
        person.get("location_data")
    )
    return {
        "country": place.get("country") or place.get("country_name") or place.get("country_code"),
        "region": place.get("region") or place.get("region_name"),
        "city": place.get("city") or place.get("city_name"),
    }
