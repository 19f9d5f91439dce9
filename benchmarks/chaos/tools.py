"""The form tools of a chaos run: how each builds, signs and retries a submission. A new one joins by a line in TOOLS.

Time is compressed: what a tool waits in minutes, it waits in seconds here. How each signs and retries is what its
vendor documents; where nothing is documented the tool sends once and never again.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from benchmarks.chaos import bodies
from benchmarks.chaos.rules import FORMS, PUBLIC_URL

#: Under this name every submission carries its own, into the lead's record and back to the checker.
MARK: Final = "chaos_submission"


@dataclass(frozen=True, slots=True)
class Submission:
    """One submission of one person: `key` is the tool's own name for it, `fields` what the person wrote.

    `kind` is "lead", "test" (must reach nobody), "unreadable" (kept as a dead letter) or "forged" (refused, no trace).
    """

    key: str
    person: str
    fields: Mapping[str, str]
    source: str
    kind: str = "lead"
    source_written: bool = True


@dataclass(frozen=True, slots=True)
class Tool:
    """One form tool: `provider` as in intake.toml ("api" for /v1/leads), the form it sends to, and how it goes about it.

    `waits` are the seconds before each further try after an answer that is no success; `patience` is how long it
    waits for one. `gives_up_on` are statuses it takes for final. Kinds a tool cannot send are left out of `kinds`.
    """

    provider: str
    form: str
    body: Callable[[Submission], bytes]
    headers: Callable[[bytes, Submission], dict[str, str]]
    waits: tuple[float, ...]
    patience: float = 10.0
    gives_up_on: Callable[[int], bool] = field(default=lambda _status: False)
    kinds: tuple[str, ...] = ("lead", "unreadable", "forged")

    @property
    def path(self) -> str:
        """Where it posts."""
        return "/v1/leads" if self.provider == "api" else f"/hooks/{self.form}"

    @property
    def source(self) -> str:
        """The source all its leads have, or "" where each submission says its own."""
        return FORMS[self.form].source if self.form in FORMS else ""

    def wait_after(self, tries: int, status: int, retry_after: str) -> float | None:
        """Seconds until it tries again after so many tries; None where it does not."""
        if tries > len(self.waits) or self.gives_up_on(status):
            return None
        asked = float(retry_after) / 5 if status in (429, 503) and retry_after.isdecimal() else 0.0
        return max(self.waits[tries - 1], asked)


# --- Typeform --------------------------------------------------------------------------------------------------


def _typeform_body(submission: Submission) -> bytes:
    if submission.kind == "unreadable":
        return b'{"event_type": "form_response", "form_response": ["broken off'
    questions = [
        ("email", "email", submission.fields.get("email")),
        ("phone_number", "phone_number", submission.fields.get("phone")),
        ("short_text", "text", submission.fields.get("name")),
        ("long_text", "text", submission.fields.get("message")),
    ]
    refs = ("email", "phone", "name", "message")
    answers, definition = [], []
    for ref, (kind, answer, value) in zip(refs, questions, strict=True):
        if value is None:
            continue
        definition.append({"id": f"q{ref}", "ref": ref, "type": kind, "title": f"Your {ref}?"})
        answers.append({"type": answer, answer: value, "field": {"id": f"q{ref}", "type": kind, "ref": ref}})
    hidden = {MARK: submission.key}
    if submission.source_written:
        hidden["source"] = submission.source
    response = {
        "form_id": "chaos",
        "token": submission.key,
        "submitted_at": _iso_now(),
        "hidden": hidden,
        "definition": {"id": "chaos", "title": "Chaos", "fields": definition},
        "answers": answers,
    }
    event = "form_response_partial" if submission.kind == "test" else "form_response"
    return json.dumps({"event_id": submission.key, "event_type": event, "form_response": response}).encode()


def _typeform_headers(form: str) -> Callable[[bytes, Submission], dict[str, str]]:
    def headers(body: bytes, submission: Submission) -> dict[str, str]:
        secret = _secret(form, submission)
        return {"content-type": "application/json", "typeform-signature": f"sha256={_hmac(secret, body)}"}

    return headers


# --- HubSpot ---------------------------------------------------------------------------------------------------


def _hubspot_body(submission: Submission) -> bytes:
    if submission.kind == "unreadable":
        event = {"eventId": 1, "subscriptionType": "contact.creation", "objectId": 7, "mark": submission.key}
        return json.dumps([event]).encode()
    first, _, last = submission.fields.get("name", "").partition(" ")
    given = {
        "firstname": first,
        "lastname": last,
        "email": submission.fields.get("email", ""),
        "phone": submission.fields.get("phone", ""),
        "message": submission.fields.get("message", ""),
        MARK: submission.key,
        "createdate": str(time.time_ns() // 1_000_000),
    }
    contact = {
        "vid": int(hashlib.sha256(submission.person.encode()).hexdigest()[:8], 16),
        "portal-id": 62515,
        "properties": {name: {"value": value} for name, value in given.items() if value},
        "form-submissions": [
            {"conversion-id": submission.key, "timestamp": time.time_ns() // 1_000_000, "form-id": "chaos"}
        ],
    }
    return json.dumps(contact).encode()


def _hubspot_headers(form: str) -> Callable[[bytes, Submission], dict[str, str]]:
    def headers(body: bytes, submission: Submission) -> dict[str, str]:
        secret = _secret(form, submission)
        timestamp = str(time.time_ns() // 1_000_000)
        target = f"POST{PUBLIC_URL}/hooks/{form}".encode() + body
        return {
            "content-type": "application/json",
            "x-hubspot-signature-version": "v2",
            "x-hubspot-signature": hashlib.sha256(secret.encode() + target).hexdigest(),
            "x-hubspot-signature-v3": _hmac(secret, target + timestamp.encode()),
            "x-hubspot-request-timestamp": timestamp,
        }

    return headers


# --- Generic: Standard Webhooks, a token, an open door, and the API -------------------------------------------


def _generic_fields(submission: Submission) -> dict[str, Any]:
    given: dict[str, Any] = {**submission.fields, MARK: submission.key}
    if submission.source_written:
        given["source"] = submission.source
    if submission.kind == "test":
        given["is_test"] = True
    if submission.kind == "unreadable":  # nobody to answer
        given.pop("email", None)
        given.pop("phone", None)
    return given


def _json_body(submission: Submission) -> bytes:
    return json.dumps(_generic_fields(submission)).encode()


def _json_body_with_key(submission: Submission) -> bytes:
    return json.dumps(_generic_fields(submission) | {"submission_id": submission.key}).encode()


def _form_body(submission: Submission) -> bytes:
    given = _generic_fields(submission)
    return urlencode({name: "true" if value is True else value for name, value in given.items()}).encode()


def _standard_headers(form: str) -> Callable[[bytes, Submission], dict[str, str]]:
    def headers(body: bytes, submission: Submission) -> dict[str, str]:
        timestamp = str(int(time.time()))
        signed = f"{submission.key}.{timestamp}.".encode() + body
        encoded = FORMS[form].secret.removeprefix("whsec_")
        secret = b"another secret" if submission.kind == "forged" else base64.b64decode(encoded)
        return {
            "content-type": "application/json",
            "webhook-id": submission.key,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{_hmac(secret, signed)}",
        }

    return headers


def _token_headers(form: str) -> Callable[[bytes, Submission], dict[str, str]]:
    def headers(_body: bytes, submission: Submission) -> dict[str, str]:
        return {"content-type": "application/json", "authorization": f"Bearer {_secret(form, submission)}"}

    return headers


def _json_headers(_body: bytes, _submission: Submission) -> dict[str, str]:
    return {"content-type": "application/json"}


def _open_headers(_body: bytes, _submission: Submission) -> dict[str, str]:
    return {"content-type": "application/x-www-form-urlencoded"}


def _api_headers(_body: bytes, submission: Submission) -> dict[str, str]:
    # The bearer key is added by the traffic, which is told it.
    return {"content-type": "application/json", "idempotency-key": submission.key}


# --- Tools that send questions and answers: their bodies are in bodies.py ------------------------------------


def _made_by(make: Callable[[Mapping[str, Any], str], bytes]) -> Callable[[Submission], bytes]:
    return lambda submission: make(_generic_fields(submission), submission.key)


def _calendly_headers(body: bytes, submission: Submission) -> dict[str, str]:
    timestamp = str(int(time.time()))
    digest = _hex(_secret("calendly-demo", submission), f"{timestamp}.".encode() + body)
    return {"content-type": "application/json", "calendly-webhook-signature": f"t={timestamp},v1={digest}"}


def _tally_headers(body: bytes, submission: Submission) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "tally-signature": _hmac(_secret("tally-demo", submission), body),
    }


def _webflow_headers(body: bytes, submission: Submission) -> dict[str, str]:
    timestamp = str(time.time_ns() // 1_000_000)
    digest = _hex(_secret("webflow-demo", submission), f"{timestamp}:".encode() + body)
    return {
        "content-type": "application/json",
        "x-webflow-signature": digest,
        "x-webflow-timestamp": timestamp,
    }


def _formstack_headers(body: bytes, submission: Submission) -> dict[str, str]:
    digest = _hex(_secret("formstack-list", submission), body)
    return {"content-type": "application/x-www-form-urlencoded", "x-fs-signature": f"sha256={digest}"}


def _given_token(form: str, content_type: str) -> Callable[[bytes, Submission], dict[str, str]]:
    def headers(_body: bytes, submission: Submission) -> dict[str, str]:
        return {"content-type": content_type, "x-webhook-token": _secret(form, submission)}

    return headers


def _hex(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


# --- Tools that send a body of their own ---------------------------------------------------------------------------


def _google_body(submission: Submission) -> bytes:
    columns = {
        "FULL_NAME": submission.fields.get("name"),
        "EMAIL": submission.fields.get("email"),
        "PHONE_NUMBER": submission.fields.get("phone"),
        "message": submission.fields.get("message"),
        MARK: submission.key,
    }
    if submission.kind == "unreadable":  # nobody to answer
        columns = {MARK: submission.key}
    delivery = {
        "lead_id": submission.key,
        "user_column_data": [
            {"column_id": name, "string_value": value} for name, value in columns.items() if value
        ],
        "google_key": _secret("ads-form", submission),
        "lead_submit_time": _iso_now(),
        "is_test": submission.kind == "test",
    }
    return json.dumps(delivery).encode()


def _intercom_body(submission: Submission) -> bytes:
    attributes = {MARK: submission.key, "message": submission.fields.get("message")}
    person = {name: submission.fields.get(name) for name in ("email", "phone", "name")}
    if submission.kind == "unreadable":
        person = {}
    item = {
        "type": "contact",
        "id": submission.key,
        "role": "user",
        **person,
        "custom_attributes": attributes,
    }
    topic = "contact.user.tag" if submission.kind == "test" else "contact.user.created"
    delivery = {"type": "notification_event", "id": "notif", "topic": topic, "data": {"item": item}}
    return json.dumps(delivery).encode()


def _intercom_headers(body: bytes, submission: Submission) -> dict[str, str]:
    digest = hmac.new(_secret("chat", submission).encode(), body, hashlib.sha1).hexdigest()
    return {"content-type": "application/json", "x-hub-signature": f"sha1={digest}"}


def _segment_body(submission: Submission) -> bytes:
    traits = {} if submission.kind == "unreadable" else dict(submission.fields)
    delivery = {
        "type": "identify",
        "messageId": submission.key,
        "traits": {**traits, MARK: submission.key},
        "timestamp": _iso_now(),
    }
    return json.dumps(delivery, separators=(",", ":")).encode()


def _segment_headers(body: bytes, submission: Submission) -> dict[str, str]:
    digest = hmac.new(_secret("people", submission).encode(), body, hashlib.sha1).hexdigest()
    return {"content-type": "application/json", "x-signature": digest}


def _chili_piper_body(submission: Submission) -> bytes:
    guest = {} if submission.kind == "unreadable" else dict(submission.fields)
    email = guest.pop("email", None)
    delivery = {
        "meetingIdChili": submission.key,
        "primaryGuestEmail": email,
        "primaryGuestDataFields": {**guest, MARK: submission.key},
        "type": "Created",
    }
    return json.dumps(delivery).encode()


def _cloudevents_body(submission: Submission) -> bytes:
    event = {
        "specversion": "1.0",
        "id": submission.key,
        "source": "https://crm.example.com/forms",
        "type": "com.example.lead",
        "time": _iso_now(),
        "data": _generic_fields(submission),
    }
    return json.dumps(event).encode()


def _secret(form: str, submission: Submission) -> str:
    return "not the secret" if submission.kind == "forged" else FORMS[form].secret


def _hmac(secret: str | bytes, signed: bytes) -> str:
    key = secret.encode() if isinstance(secret, str) else secret
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _iso_now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _is_refusal_but_429(status: int) -> bool:
    return 400 <= status < 500 and status != 429


#: A tool that sees one of these never sends to this hook again; no answer of ours may be one.
DISABLING: Final = (404, 410)

_ALL_KINDS = ("lead", "test", "unreadable", "forged")
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"

_TYPEFORM_WAITS = (2.0, 2.0, 2.5, 2.5, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0, 5.0, 5.0, 8.0, 8.0, 8.0)
_HUBSPOT_WAITS = (1.0, 2.0, 4.0, 6.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0)
_GOOGLE_WAITS = (1.0, 2.0, 4.0, 6.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0)
_STANDARD_WAITS = (0.5, 1.0, 3.0, 5.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0)

#: Every form tool, at least one for each provider there is; a test compares them with the product's registry.
TOOLS: Final[tuple[Tool, ...]] = (
    Tool(
        "typeform", "typeform-demo", _typeform_body, _typeform_headers("typeform-demo"), _TYPEFORM_WAITS,
        gives_up_on=lambda status: status in DISABLING, kinds=("lead", "test", "unreadable", "forged"),
    ),
    Tool(
        "typeform", "typeform-any", _typeform_body, _typeform_headers("typeform-any"), _TYPEFORM_WAITS,
        gives_up_on=lambda status: status in DISABLING, kinds=("lead", "test", "unreadable", "forged"),
    ),
    Tool(
        "hubspot", "hubspot-referral", _hubspot_body, _hubspot_headers("hubspot-referral"), _HUBSPOT_WAITS,
        gives_up_on=_is_refusal_but_429,
    ),
    Tool(
        "generic", "signed-signup", _json_body, _standard_headers("signed-signup"), _STANDARD_WAITS,
        patience=6.0, kinds=("lead", "test", "unreadable", "forged"),
    ),
    # Content alone says that it is the same: no id in it, sent again word by word.
    Tool(
        "generic", "token-list", _json_body, _token_headers("token-list"), (1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0),
        patience=5.0, kinds=("lead", "test", "unreadable", "forged"),
    ),
    # A page of one's own: it posts once, and what it hears it shows to its visitor.
    Tool("generic", "open-page", _form_body, _open_headers, (), patience=5.0, kinds=("lead", "test", "unreadable")),
    Tool("calendly", "calendly-demo", _made_by(bodies.calendly), _calendly_headers, _STANDARD_WAITS, kinds=_ALL_KINDS),
    Tool("tally", "tally-demo", _made_by(bodies.tally), _tally_headers, (1.0, 3.0, 5.0, 8.0, 8.0), kinds=_ALL_KINDS),
    Tool("webflow", "webflow-demo", _made_by(bodies.webflow), _webflow_headers, (2.0, 4.0, 8.0), kinds=_ALL_KINDS),
    # Of these no retry is documented.
    Tool("formstack", "formstack-list", _made_by(bodies.formstack), _formstack_headers, (), kinds=_ALL_KINDS),
    Tool(
        "jotform", "jotform-list", _made_by(bodies.jotform),
        _given_token("jotform-list", f"multipart/form-data; boundary={bodies.JOTFORM_BOUNDARY}"), (), kinds=_ALL_KINDS,
    ),
    Tool("gravity", "gravity-list", _made_by(bodies.gravity), _given_token("gravity-list", _JSON), (), kinds=_ALL_KINDS),
    Tool("elementor", "elementor-list", _made_by(bodies.elementor), _given_token("elementor-list", _FORM), (), kinds=_ALL_KINDS),
    Tool("fluent", "fluent-list", _made_by(bodies.fluent), _given_token("fluent-list", _JSON), (), kinds=_ALL_KINDS),
    Tool("unbounce", "unbounce-list", _made_by(bodies.unbounce), _given_token("unbounce-list", _FORM), (), kinds=_ALL_KINDS),
    Tool(
        "salesforce_web_to_lead", "salesforce-page", _made_by(bodies.salesforce), _open_headers, (),
        kinds=("lead", "test", "unreadable"),
    ),
    Tool(
        "google_ads", "ads-form", _google_body, _json_headers, _GOOGLE_WAITS,
        gives_up_on=_is_refusal_but_429, kinds=("lead", "test", "unreadable", "forged"),
    ),
    Tool(
        "intercom", "chat", _intercom_body, _intercom_headers, (6.0,), patience=5.0,
        gives_up_on=lambda status: status in DISABLING,
    ),
    Tool(
        "segment", "people", _segment_body, _segment_headers, _STANDARD_WAITS, patience=5.0,
        gives_up_on=_is_refusal_but_429,
    ),
    # Nothing says that it tries again.
    Tool("chili_piper", "meetings", _chili_piper_body, _token_headers("meetings"), ()),
    Tool(
        "standard_webhooks", "signed-standard", _json_body, _standard_headers("signed-standard"), _STANDARD_WAITS,
        patience=6.0, kinds=("lead", "test", "unreadable", "forged"),
    ),
    Tool(
        "cloudevents", "events", _cloudevents_body, _token_headers("events"), _STANDARD_WAITS, patience=6.0,
        kinds=("lead", "test", "unreadable", "forged"),
    ),
    Tool(
        "zapier", "zaps", _json_body_with_key, _token_headers("zaps"), (1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0), patience=5.0,
        kinds=("lead", "test", "unreadable", "forged"),
    ),
    Tool("api", "api", _json_body_with_key, _api_headers, (0.3, 0.6, 1.2, 2.5, 5.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0),
         patience=4.0, kinds=("lead",)),
)  # fmt: skip
