"""Bodies of form tools that send questions and answers: each takes what was written, and its own key for the submission.

Every answer goes in by its name, as whoever built the form called it; `is_test` and the mark of the run are hidden fields.
"""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

Fields = Mapping[str, Any]


def calendly(fields: Fields, key: str) -> bytes:
    """A meeting that was booked."""
    asked = {name: value for name, value in fields.items() if name not in ("email", "name")}
    payload = {
        "uri": f"https://api.calendly.com/scheduled_events/E/invitees/{quote(key)}",
        "email": fields.get("email"),
        "name": fields.get("name"),
        "created_at": _iso_now(),
        "text_reminder_number": None,
        "questions_and_answers": [
            {"question": name, "answer": _text(value), "position": place}
            for place, (name, value) in enumerate(asked.items())
        ],
        "tracking": {"utm_source": None, "utm_medium": None},
        "scheduled_event": {"name": "Demo", "event_memberships": []},
    }
    return _json({"event": "invitee.created", "created_at": _iso_now(), "payload": payload})


def tally(fields: Fields, key: str) -> bytes:
    """A form response."""
    types = {
        "email": "INPUT_EMAIL",
        "phone": "INPUT_PHONE_NUMBER",
        "message": "TEXTAREA",
        "name": "INPUT_TEXT",
    }
    answered = [
        {
            "key": f"question_{place}",
            "label": name,
            "type": types.get(name, "HIDDEN_FIELDS"),
            "value": _text(value),
        }
        for place, (name, value) in enumerate(fields.items())
    ]
    data = {
        "submissionId": key,
        "formId": "chaos",
        "formName": "Chaos",
        "createdAt": _iso_now(),
        "fields": answered,
    }
    return _json({"eventId": key, "eventType": "FORM_RESPONSE", "createdAt": _iso_now(), "data": data})


def webflow(fields: Fields, key: str) -> bytes:
    """A form submission."""
    data = {name: _text(value) for name, value in fields.items()}
    payload = {
        "name": "Chaos",
        "data": data,
        "schema": [],
        "submittedAt": _iso_now(),
        "id": key,
        "formId": "chaos",
    }
    return _json({"triggerType": "form_submission", "payload": payload})


def formstack(fields: Fields, key: str) -> bytes:
    """A form's fields by their labels."""
    return _form({"FormID": "1", "UniqueID": key, **fields})


def jotform(fields: Fields, key: str) -> bytes:
    """The multipart body with JSON text in it."""
    raw: dict[str, Any] = {f"q{n}_{name}": _text(value) for n, (name, value) in enumerate(fields.items())}
    first, _, last = str(fields.get("name", "")).partition(" ")
    raw["q90_fullName"] = {"first": first, "last": last}
    parts = {"formID": "1", "submissionID": key, "rawRequest": json.dumps(raw), "pretty": "", "ip": ""}
    lines = "".join(
        f'--{JOTFORM_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in parts.items()
    )
    return f"{lines}--{JOTFORM_BOUNDARY}--\r\n".encode()


def gravity(fields: Fields, key: str) -> bytes:
    """An entry, with names chosen for some of its answers."""
    created = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    return _json({"id": key, "form_id": "1", "date_created": created, "status": "active", **fields})


def elementor(fields: Fields, key: str) -> bytes:
    """A form in the advanced mode. It has no key; the mark among its fields is one of its own."""
    del key
    told = {
        f"fields[{name}][{part}]": _text(value) if part == "value" else name
        for name, value in fields.items()
        for part in ("id", "title", "value")
    }
    return _form({"form[id]": "1", "form[name]": "Chaos", **told})


def fluent(fields: Fields, key: str) -> bytes:
    """All data, with the entry."""
    return _json({**fields, "__submission": {"id": key, "form_id": "1", "status": "unread"}})


def unbounce(fields: Fields, key: str) -> bytes:
    """A form's fields as JSON text, each a list."""
    told = {
        "date_submitted": [time.strftime("%Y-%m-%d", time.gmtime())],
        "time_submitted": ["10:57 PM UTC"],
        "page_uuid": [key],
    }
    return _form(
        {
            "page_name": "Chaos",
            "data.json": json.dumps({**{name: [value] for name, value in fields.items()}, **told}),
        }
    )


def salesforce(fields: Fields, key: str) -> bytes:
    """An HTML form."""
    del key
    return _form({"oid": "00D000000000001", "retURL": "http://chaos.example.com", **fields})


JOTFORM_BOUNDARY = "------------------------chaosJ1JNT4vbVO4F"


def _text(value: Any) -> str:
    return "true" if value is True else str(value)


def _form(fields: Fields) -> bytes:
    return urlencode({name: _text(value) for name, value in fields.items()}).encode()


def _json(delivery: Fields) -> bytes:
    return json.dumps(delivery).encode()


def _iso_now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
