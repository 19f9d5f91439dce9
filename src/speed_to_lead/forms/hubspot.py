"""HubSpot: the contact a workflow's "Send a webhook" action posts, and the events of an app's webhooks.

An app's webhooks are another product: up to a hundred events in one POST, ids only. The contact of a creation is asked
for at HubSpot's API; other events tell of nobody new, and are counted only.

Signatures: v3 signs method, URL, body and a timestamp and decides wherever its header is there; v2 and v1 sign no
time, so they count only without it: whoever breaks v3 cannot fall back to what an old delivery's v2 proves.
https://developers.hubspot.com/docs/api/webhooks/validating-requests

Its list (form submissions, by the form's GUID) has what was entered and a conversion id, but neither portal nor contact: a
submission of both is known by its conversion id.

Selectors in `intake.toml`: `property:<name>`.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from speed_to_lead.core.submission import (
    Form,
    GenericLead,
    ParsedSubmission,
    Submission,
    UnreadableSubmission,
    generic_lead,
    lead_field_named,
)
from speed_to_lead.forms import fetches, lists, reading, signatures
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
api_url = "https://api.hubapi.com"
list_scope = "forms"
selectors: tuple[str, ...] = ("property",)

_PAGE = 50
#: What a form asks about the visitor's company stands under the names of a company; their type is this.
_COMPANY_TYPE = "0-2"
_COMPANY_FIELDS = {"name": "company", "domain": "website"}
#: HubSpot's own names for what the generic lead calls otherwise; the aliases of `core/submission.py` know the rest.
_FIELD_BY_PROPERTY = {
    "numemployees": "employees",
    "hs_google_click_id": "gclid",
    "hs_facebook_click_id": "fbclid",
    "hs_analytics_first_url": "landing_page",
    "hs_analytics_first_referrer": "referrer",
}
#: Properties HubSpot keeps for itself, a hundred per contact. A selector reaches them all the same.
_BOOKKEEPING = re.compile(
    r"(hs_(?!analytics_source)|num_|notes_|recent_|first_conversion|createdate|lastmodifieddate|currentlyinworkflow)"
)
#: What stands beside the properties of a legacy contact, or of a body in which the properties are not wrapped.
_CREATIONS = frozenset({"contact.creation", "object.creation"})
#: Of the new events: a contact. A company or a deal is nobody who waits.
_CONTACT_TYPE = "0-1"
#: What is asked of a contact; HubSpot answers with a handful of properties otherwise.
_ASKED = (
    "email", "firstname", "lastname", "phone", "mobilephone", "company", "website", "jobtitle", "country", "state",
    "city", "numemployees", "industry", "message", "hs_google_click_id", "hs_facebook_click_id", "hs_analytics_source",
    "hs_analytics_source_data_1", "hs_analytics_source_data_2", "hs_analytics_first_url",
    "hs_analytics_first_referrer", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content",
)  # fmt: skip
_ENVELOPE = frozenset({
    "addedAt", "associated-company", "associated-owner", "canonical-vid", "form-submissions", "identity-profiles",
    "is-contact", "list-memberships", "merge-audits", "merged-vids", "objectId", "objectTypeId", "portal-id", "portalId",
    "profile-token", "profile-url", "vid",
})  # fmt: skip

#: The only escapes HubSpot undoes before it signs with v3.
_V3_ESCAPES = re.compile(r"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why the request does not carry HubSpot's signature: v3 where its header is there, else v2 or v1."""
    if "x-hubspot-signature-v3" in request.headers:
        return _v3_refusal(request, secret, now)
    given = request.headers.get("x-hubspot-signature", "").strip().lower()
    if not given:
        return 'no HubSpot signature header; is "Use request signature" set in the workflow\'s action?'
    version = request.headers.get("x-hubspot-signature-version", "").strip().lower()
    signed_by_version = {
        "v1": request.body,
        "v2": f"{request.method.upper()}{request.url}".encode("utf-8", "surrogatepass") + request.body,
    }
    if version and version not in signed_by_version:
        return "X-HubSpot-Signature-Version is neither v1 nor v2"

    def expected(key: bytes) -> Iterator[str]:
        for name, signed in signed_by_version.items():
            if version in ("", name):
                yield hashlib.sha256(key + signed).hexdigest()

    if signatures.any_matches((given,), secret, expected):
        return None
    return "X-HubSpot-Signature does not match; is STL_PUBLIC_URL the address HubSpot calls?"


def items(submission: Submission) -> list[Any]:
    """The events of an app's webhook."""
    return reading.list_in(submission)


def questions(submission: Submission, form: Form, token: str) -> list[fetches.Question]:
    """The contact of an event, with the properties that leads have and those the form asks for."""
    event = _event_in(reading.json_in(submission))
    contact = fetches.id_in((event or {}).get("objectId"))
    chosen = (selector.removeprefix("property:") for selector in form.fields.values())
    names = ",".join(dict.fromkeys([*_ASKED, *chosen]))
    path = f"/crm/v3/objects/contacts/{contact}?{urlencode({'properties': names})}"
    return [fetches.Question(path, {"Authorization": f"Bearer {token}"})]


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The contact in a workflow's delivery; the same-submission key is that of its newest form submission.

    A contact without form submissions has no key: it may enter the workflow again, and that is not the same. An event
    of an app is the contact that HubSpot's API answers with, or its ids while it has not.
    """
    delivery, answers = fetches.delivery_and_answers(submission)
    event = _event_in(delivery)
    if event is not None:
        return _of_event(event, answers, form)
    contact = _contact(delivery)
    newest = _newest_form_submission(contact)
    conversion = newest.get("conversion-id")
    portal = contact.get("portal-id") or contact.get("portalId")
    vid = contact.get("vid") or contact.get("objectId")
    return ParsedSubmission(
        generic_lead(_payload(contact, newest, form)),
        same_submission_key=".".join(str(part) for part in (portal, vid, conversion) if part)
        if conversion
        else None,
        submitted_at=reading.instant_in(newest.get("timestamp")),
        listed_as=str(conversion) if conversion else None,
    )


def listed(wanted: lists.Wanted, ask: lists.Ask) -> Iterator[lists.Listed]:
    """What was sent to a form. HubSpot gives the newest first and takes no time to begin at, so it is read until it is older."""

    def question(after: str) -> fetches.Question:
        query = urlencode({"limit": _PAGE, **({"after": after} if after else {})})
        path = f"/form-integrations/v1/submissions/forms/{wanted.name}?{query}"
        return fetches.Question(path, lists.bearer(wanted.token))

    def next_after(page: Mapping[str, Any]) -> str:
        entries = lists.entries_in(page, "results")
        is_done = lists.is_newest_first(entries, "submittedAt") and any(
            lists.is_before(entry, "submittedAt", wanted.since) for entry in entries[-1:]
        )
        following = reading.mapping_or_nothing(reading.mapping_or_nothing(page.get("paging")).get("next"))
        return "" if is_done else str(following.get("after") or "")

    for page in lists.pages(ask, question, next_after):
        for entry in lists.entries_in(page, "results"):
            if not lists.is_before(entry, "submittedAt", wanted.since):
                yield _as_delivered(entry, wanted.name)


def _as_delivered(entry: Any, form_id: str) -> lists.Listed:
    submission = reading.mapping_or_nothing(entry)
    identity, at = reading.key_in(submission.get("conversionId")) or "", submission.get("submittedAt")
    properties: dict[str, Any] = {}
    for value in reading.items_in(submission.get("values")):
        name = str(value.get("name") or "")
        if value.get("objectTypeId") == _COMPANY_TYPE:
            name = _COMPANY_FIELDS.get(name, name)
        given = value.get("value")
        is_further = isinstance(properties.get(name), str) and isinstance(
            given, str
        )  # several boxes of one question
        properties[name] = f"{properties[name]};{given}" if is_further else given
    conversion = {
        "conversion-id": identity,
        "timestamp": at,
        "form-id": form_id,
        "page-url": submission.get("pageUrl"),
    }
    body = {"properties": properties, "form-submissions": [conversion]} if submission else entry
    return lists.Listed(identity, body, reading.instant_in(at), is_of_contact=True)


def _v3_refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    timestamp = request.headers.get("x-hubspot-request-timestamp", "").strip()
    stale = signatures.replay_refusal(timestamp, now)
    if stale:
        return stale

    def expected(key: bytes) -> Iterator[str]:
        # The documentation undoes twelve escapes in the URL, HubSpot's own libraries undo none.
        for url in (request.url, _V3_ESCAPES.sub(lambda match: chr(int(match[1], 16)), request.url)):
            signed = f"{request.method.upper()}{url}".encode("utf-8", "surrogatepass") + request.body
            yield signatures.hmac_sha256_base64(key, signed + timestamp.encode())

    given = request.headers["x-hubspot-signature-v3"].strip()
    if signatures.any_matches((given,), secret, expected):
        return None
    return "X-HubSpot-Signature-v3 does not match; is STL_PUBLIC_URL the address HubSpot calls?"


def _event_in(delivery: Any) -> Mapping[str, Any] | None:
    """The event of an app's webhook that a delivery is; None where it is a contact."""
    if isinstance(delivery, list) and len(delivery) == 1:
        delivery = delivery[0]
    if isinstance(delivery, Mapping) and ("subscriptionType" in delivery or "eventType" in delivery):
        return delivery
    return None


def _of_event(
    event: Mapping[str, Any], answers: list[Mapping[str, Any]] | None, form: Form
) -> ParsedSubmission:
    kind = str(event.get("subscriptionType") or event.get("eventType"))
    # HubSpot: an eventId alone "is not guaranteed to be unique"; attemptNumber differs in each retry.
    parts = (
        event.get("portalId"),
        kind,
        event.get("objectId"),
        event.get("eventId"),
        event.get("occurredAt"),
    )
    key = ".".join("" if part is None else str(part)[:100] for part in parts)
    submitted_at = reading.instant_in(event.get("occurredAt"))
    is_contact = str(event.get("objectTypeId") or _CONTACT_TYPE) == _CONTACT_TYPE
    if kind not in _CREATIONS or not is_contact:
        return ParsedSubmission(GenericLead(), key, submitted_at, is_test=True)
    contact = fetches.id_in(event.get("objectId"))
    if not contact:
        raise UnreadableSubmission("objectId is no id, so nobody can be asked for")
    ids = {"hubspot_contact": contact, "hubspot_portal": event.get("portalId")}
    if answers is None:
        return ParsedSubmission(fetches.incomplete_lead(ids), key, submitted_at, is_incomplete=True)
    payload = _payload(answers[0] if answers else {}, {}, form)
    payload["custom"] = {**ids, **payload["custom"]}
    return ParsedSubmission(generic_lead(payload), key, submitted_at)


def _contact(value: Any) -> Mapping[str, Any]:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return reading.mapping_in(value, "the body")


def _payload(contact: Mapping[str, Any], newest: Mapping[str, Any], form: Form) -> dict[str, Any]:
    properties = _properties(contact)
    payload: dict[str, Any] = {"landing_page": newest.get("page-url")}
    custom: dict[str, Any] = {}
    for name, value in properties.items():
        known = _FIELD_BY_PROPERTY.get(name) or lead_field_named(name)
        if f"property:{name}" in form.fields.values():
            continue
        if known is not None and payload.get(known) is None:
            payload[known] = value
        elif known is not None or not _BOOKKEEPING.match(name):
            custom[name] = value
    if payload.get("email") is None:
        payload["email"] = _email_of_identity(contact)
    custom["owner_email"] = reading.mapping_or_nothing(contact.get("associated-owner")).get("email")
    payload["custom"] = custom

    def selected(kind: str, name: str) -> Any:
        return properties.get(name) if kind in ("", "property") else None

    reading.place_fields(payload, form, selected)
    return payload


def _properties(contact: Mapping[str, Any]) -> dict[str, Any]:
    """Names and values, of `{"email": {"value": …}}` and `{"email": …}` alike; blanks left out."""
    given = contact.get("properties")
    if not isinstance(given, Mapping):
        given = {name: value for name, value in contact.items() if name not in _ENVELOPE}
    flat = {
        name: value.get("value") if isinstance(value, Mapping) else value for name, value in given.items()
    }
    found = {name: value for name, value in flat.items() if value not in (None, "", [], {})}
    # A field's first name wins below: HubSpot's order is its own, so the plain names come first (phone, then mobilephone).
    return dict(
        sorted(
            found.items(),
            key=lambda item: (item[0] in _FIELD_BY_PROPERTY, item[0] != lead_field_named(item[0])),
        )
    )


def _newest_form_submission(contact: Mapping[str, Any]) -> Mapping[str, Any]:
    def time_of(submission: Mapping[str, Any]) -> float:
        instant = reading.instant_in(submission.get("timestamp"))
        return instant.timestamp() if instant else 0.0

    return max(reading.items_in(contact.get("form-submissions")), key=time_of, default={})


def _email_of_identity(contact: Mapping[str, Any]) -> Any:
    identities = [
        identity
        for profile in reading.items_in(contact.get("identity-profiles"))
        for identity in reading.items_in(profile.get("identities"))
        if identity.get("type") == "EMAIL"
    ]
    identities.sort(key=lambda identity: identity.get("is-primary") is not True)
    return identities[0].get("value") if identities else None
