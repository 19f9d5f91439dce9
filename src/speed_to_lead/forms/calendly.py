"""Calendly: who booked a meeting (`invitee.created`), and who sent a routing form (`routing_form_submission.created`).

Signed with `Calendly-Webhook-Signature: t=<Unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`; three minutes of tolerance.
https://developer.calendly.com/api-docs/4c305798a61d3-webhook-signatures

Selectors in `intake.toml`: `question:<its words>`, `field:<name>` (`field:text_reminder_number`, `field:event_name`).
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from speed_to_lead.core.submission import Form, ParsedSubmission, Submission, generic_lead
from speed_to_lead.forms import answers, reading, signatures
from speed_to_lead.forms.answer import Answer, Sort
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
_ATTRIBUTES = {"question": "title", "field": "name"}
selectors: tuple[str, ...] = tuple(_ATTRIBUTES)

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
    guests = reading.items_in(meeting.get("event_guests"))
    hosts = reading.items_in(meeting.get("event_memberships"))
    for name, value in {
        "event": delivery.get("event"),
        "event_name": meeting.get("name") or kind.get("name"),
        "start_time": meeting.get("start_time"),
        "end_time": meeting.get("end_time"),
        "timezone": invitee.get("timezone"),
        "guests": ", ".join(str(guest["email"]) for guest in guests if guest.get("email")),
        "host_email": hosts[0].get("user_email") if hosts else None,
        "routing_form": details.get("routing_form"),
        "rescheduled_from": details.get("old_invitee"),
    }.items():
        yield Answer(value, name, sort=Sort.OTHER)
