"""Calendly: who booked a meeting (`invitee.created`), and who sent a routing form (`routing_form_submission.created`).

Signed with `Calendly-Webhook-Signature: t=<Unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`; three minutes of tolerance.
https://developer.calendly.com/api-docs/4c305798a61d3-webhook-signatures

Its list: the meetings of an organization or a user that are still to begin, with who is invited to each; or what was
sent to a routing form. `api_forms` holds their addresses at Calendly, of which only the last part is used in ours.

Selectors in `intake.toml`: `question:<its words>`, `field:<name>` (`field:text_reminder_number`, `field:event_name`).
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from speed_to_lead.core.submission import Form, ParsedSubmission, Submission, generic_lead
from speed_to_lead.forms import answers, lists, reading, signatures
from speed_to_lead.forms.answer import Answer, Sort
from speed_to_lead.forms.fetches import Question, id_in
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
_ATTRIBUTES = {"question": "title", "field": "name"}
selectors: tuple[str, ...] = tuple(_ATTRIBUTES)
api_url = "https://api.calendly.com"
list_scope = "to read scheduled events and routing forms, of the whole organization where that is asked for"

_PAGE = 100

TOLERANCE = timedelta(minutes=3)
#: The events that bring a person. A meeting that was called off, or that nobody came to, is not somebody who waits.
_EVENTS = ("invitee.created", "routing_form_submission.created")


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why the request does not carry Calendly's signature of a time of now and of its body."""
    given = request.headers.get("calendly-webhook-signature", "")
    if not given:
        return (
            "the header Calendly-Webhook-Signature is missing; was the subscription made with a signing_key?"
        )
    parts = [part.strip().partition("=")[::2] for part in given.split(",")]
    times = [value for name, value in parts if name == "t"]
    timestamp = times[0] if len(times) == 1 else ""
    stale = signatures.replay_refusal(f"{timestamp}000" if timestamp else "", now, TOLERANCE)
    if stale:
        return stale
    signed = timestamp.encode() + b"." + request.body

    def expected(key: bytes) -> Iterator[str]:
        yield signatures.hmac_hex(key, signed)

    if signatures.any_matches((value for name, value in parts if name == "v1"), secret, expected):
        return None
    return "Calendly-Webhook-Signature does not match"


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The invitee, or who sent a routing form. Every other event is marked as a test: counted, never routed."""
    delivery = reading.mapping_in(reading.json_in(submission), "the body")
    details = reading.mapping_in(delivery.get("payload"), "payload")
    # What Calendly shows as a sample, and version 1 sent, holds the person one level deeper.
    invitee = reading.mapping_or_nothing(details.get("invitee")) or details
    event = str(delivery.get("event") or _EVENTS[0])
    given = list(_answers(delivery, details, invitee))
    payload = answers.payload_of(given, form, _ATTRIBUTES)
    if event not in _EVENTS or answers.is_test(given):
        return ParsedSubmission(reading.lead_or_nobody(payload), is_test=True)
    identity = reading.key_in(invitee.get("uri"), invitee.get("uuid"))
    return ParsedSubmission(
        generic_lead(payload),
        same_submission_key=f"{identity} {event}" if identity else None,
        submitted_at=reading.instant_in(invitee.get("created_at"))
        or reading.instant_in(delivery.get("created_at") or delivery.get("time")),
    )


def listed(wanted: lists.Wanted, ask: lists.Ask) -> Iterator[lists.Listed]:
    """Who was invited since then, or sent the routing form. Who called off waits for nobody, and is left out."""
    if "/routing_forms/" in wanted.name:
        about = {"routing_form": wanted.name, "count": _PAGE, "sort": "created_at:desc"}
        for entry in _collection(ask, wanted, "/routing_form_submissions", about):
            if not lists.is_before(entry, "created_at", wanted.since):
                yield _as_delivered("routing_form_submission.created", entry, entry)
        return
    scope = "user" if "/users/" in wanted.name else "organization"
    # A meeting is made before it begins, so whoever made one since then is among those that begin after that.
    about = {
        scope: wanted.name,
        "count": _PAGE,
        "status": "active",
        "min_start_time": lists.iso(wanted.since),
    }
    for meeting in _collection(ask, wanted, "/scheduled_events", about):
        # A guest who comes later changes `updated_at`, not `created_at`.
        if lists.is_before(meeting, "updated_at", wanted.since):
            continue
        uuid = _last_part(meeting)
        if not uuid:
            yield _as_delivered("invitee.created", meeting, None)
            continue
        guests = {"count": _PAGE, "status": "active"}
        for invitee in _collection(ask, wanted, f"/scheduled_events/{uuid}/invitees", guests):
            if lists.is_before(invitee, "created_at", wanted.since):
                continue
            is_whole = isinstance(invitee, Mapping)
            payload = {**invitee, "scheduled_event": meeting} if is_whole else invitee
            yield _as_delivered("invitee.created", invitee, payload)


def _collection(
    ask: lists.Ask, wanted: lists.Wanted, path: str, about: Mapping[str, object]
) -> Iterator[Any]:
    def question(token: str) -> Question:
        query = urlencode({**about, **({"page_token": token} if token else {})})
        return Question(f"{path}?{query}", lists.bearer(wanted.token))

    def next_token(page: Mapping[str, Any]) -> str:
        return str(reading.mapping_or_nothing(page.get("pagination")).get("next_page_token") or "")

    for page in lists.pages(ask, question, next_token):
        yield from lists.entries_in(page, "collection")


def _as_delivered(event: str, entry: Any, payload: Any) -> lists.Listed:
    at = reading.mapping_or_nothing(entry).get("created_at")
    body = {"event": event, "created_at": at, "payload": payload}
    return lists.Listed(_last_part(entry), body, reading.instant_in(at))


def _last_part(entry: Any) -> str:
    """The id at the end of an entry's address."""
    return id_in(str(reading.mapping_or_nothing(entry).get("uri") or "").rpartition("/")[2])


def _answers(
    delivery: Mapping[str, Any], details: Mapping[str, Any], invitee: Mapping[str, Any]
) -> Iterator[Answer]:
    for field in ("email", "name", "first_name", "last_name"):
        yield Answer(invitee.get(field), field, field=field)
    meeting = reading.mapping_or_nothing(details.get("scheduled_event") or details.get("event"))
    place = reading.mapping_or_nothing(meeting.get("location"))
    yield Answer(invitee.get("text_reminder_number"), "text_reminder_number", field="phone")
    if place.get("type") == "outbound_call":  # "we call you": at the number the invitee gave
        yield Answer(place.get("location"), "location", field="phone")
    for asked in reading.items_in(details.get("questions_and_answers")):
        question = " ".join(str(asked.get("question") or "").split())
        yield Answer(asked.get("answer"), title=question, id=str(asked.get("question_uuid") or ""))
    tracking = reading.mapping_or_nothing(details.get("tracking"))
    yield from answers.by_name(tracking)
    yield from _about_the_meeting(delivery, details, invitee, meeting)


def _about_the_meeting(
    delivery: Mapping[str, Any],
    details: Mapping[str, Any],
    invitee: Mapping[str, Any],
    meeting: Mapping[str, Any],
) -> Iterator[Answer]:
    """What is no answer, and rules may ask for all the same, as custom fields."""
    kind = reading.mapping_or_nothing(details.get("event_type"))
    hosts = reading.items_in(meeting.get("event_memberships"))
    for name, value in {
        "event": delivery.get("event"),
        "event_name": meeting.get("name") or kind.get("name"),
        "start_time": meeting.get("start_time"),
        "end_time": meeting.get("end_time"),
        "timezone": invitee.get("timezone"),
        "host_email": hosts[0].get("user_email") if hosts else None,
        "routing_form": details.get("routing_form"),
        "rescheduled_from": details.get("old_invitee"),
    }.items():
        yield Answer(value, name, sort=Sort.OTHER)
