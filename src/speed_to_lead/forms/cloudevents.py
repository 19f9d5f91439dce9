"""CloudEvents over HTTP: the lead is an event's data. All three modes: binary, structured, and a batch of structured ones.

CloudEvents signs nothing: the form has a `token_env`, sent as `Authorization: Bearer …` or `?access_token=…`. A sender may
ask first whether it may send (`OPTIONS` with `WebHook-Request-Origin`), and hears that it may.
https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md

Selectors in `intake.toml`: those of `generic`, inside the data.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

from speed_to_lead.core.submission import Form, ParsedSubmission, Submission, UnreadableSubmission
from speed_to_lead.forms import generic, reading
from speed_to_lead.forms.handshakes import Welcome
from speed_to_lead.forms.provider import WebhookRequest

#: The attributes of an event in binary mode.
kept_headers: tuple[str, ...] = ("ce-id", "ce-source", "ce-type", "ce-specversion", "ce-time", "ce-subject")
selectors: tuple[str, ...] = generic.selectors

#: What is sent back in a header is a host, with a scheme or a port at the most.
_ORIGIN = re.compile(r"[A-Za-z0-9.:/_*\[\]-]{1,255}")
_RATE = re.compile(r"[0-9]{1,9}|\*")
_BATCH, _STRUCTURED = "application/cloudevents-batch", "application/cloudevents"


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """CloudEvents signs nothing."""
    del request, secret, now
    return "CloudEvents signs nothing; use token_env in intake.toml"


def handshake(request: WebhookRequest, secret: str, verify_token: str) -> Welcome | str | None:
    """Any sender may send, as often as it likes: it still needs the token. No address it names is called."""
    del secret, verify_token
    origin = request.headers.get("webhook-request-origin", "").strip()
    if request.method != "OPTIONS" or not origin:
        return None
    if not _ORIGIN.fullmatch(origin):
        return "WebHook-Request-Origin is no name of a host"
    allowed = {"webhook-allowed-origin": origin, "allow": "POST, OPTIONS"}
    rate = request.headers.get("webhook-request-rate", "").strip()
    if rate:
        allowed["webhook-allowed-rate"] = rate if _RATE.fullmatch(rate) else "*"
    return Welcome(b"{}", headers=allowed)


def items(submission: Submission) -> list[Any]:
    """The events of a batch."""
    return reading.list_in(submission) if _media_type(submission).startswith(_BATCH) else []


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in an event, in whatever mode it came."""
    media_type = _media_type(submission)
    if media_type.startswith(_BATCH):  # before structured: its name begins with that one's
        events = reading.json_in(submission)
        if not isinstance(events, list) or len(events) != 1:
            raise UnreadableSubmission("the body calls itself a batch of events, and holds none")
        return _of_structured(submission, events[0], form)
    if media_type.startswith(_STRUCTURED):
        return _of_structured(submission, reading.json_in(submission), form)
    if "ce-id" not in submission.headers and "ce-specversion" not in submission.headers:
        value = generic.given_in(submission)
        if "specversion" in value:  # a structured event under a plain content type
            return _of_structured(submission, value, form)
        raise UnreadableSubmission(
            "this is no event: neither Content-Type application/cloudevents+json nor the headers ce-id and ce-specversion"
        )
    attributes = {name.removeprefix("ce-"): _decoded(value) for name, value in submission.headers.items()}
    return _lead_in(attributes, generic.given_in(submission), form)


def _of_structured(submission: Submission, value: Any, form: Form) -> ParsedSubmission:
    event = reading.mapping_in(value, "the event")
    data = event.get("data")
    encoded = event.get("data_base64")
    if data is None and isinstance(encoded, str):
        try:
            decoded = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise UnreadableSubmission("data_base64 is not base64") from None
        data = generic.given_in(_with_data(submission, event, decoded))
    elif isinstance(data, str):
        data = generic.given_in(_with_data(submission, event, data.encode("utf-8", "replace")))
    return _lead_in(event, reading.mapping_in(data, "data"), form)


def _with_data(submission: Submission, event: Mapping[str, Any], data: bytes) -> Submission:
    return replace(submission, body=data, content_type=str(event.get("datacontenttype") or ""))


def _lead_in(attributes: Mapping[str, Any], data: Mapping[str, Any], form: Form) -> ParsedSubmission:
    """`source` and `id` together name an event; a sender's retry has the same."""
    identity, source = attributes.get("id"), attributes.get("source")
    key = f"{source} {identity}" if identity and source else None
    given = dict(data)
    for name in ("type", "subject"):
        if attributes.get(name):
            given.setdefault(f"event_{name}", attributes[name])
    return generic.lead_in(given, form, key, reading.instant_in(attributes.get("time")))


def _media_type(submission: Submission) -> str:
    return submission.content_type.strip().casefold()


def _decoded(value: str) -> str:
    """The attribute of a header, percent-decoded once."""
    try:
        return unquote_to_bytes(value.encode("latin-1", "replace")).decode()
    except UnicodeDecodeError:
        raise UnreadableSubmission("a ce- header is not UTF-8 once it is percent-decoded") from None
