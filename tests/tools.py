"""Form tools as their documents describe them: what each one's webhook sends of a submission, and the API that lists it.

`Tool` answers like an httpx transport; `serving` puts it on a port of its own. What is asked for wrongly is answered as the
tools answer it: 401 for another token, 404 for another path. `failures` are given in place of the answers that come next.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import httpx

from speed_to_lead.core.submission import Form

TOKEN = "api-token-that-nobody-may-read"
ENVIRONMENT = {"TOOL_TOKEN": TOKEN}
#: What each tool calls the form, as `api_forms` holds it.
NAMES = {
    "calendly": "https://api.calendly.com/organizations/ORG",
    "hubspot": "78c2891f-ebdd-44c0-bd94-15c012bbbfbf",
    "jotform": "231234567890123",
    "linkedin": "urn:li:sponsoredAccount:522529623",
    "meta": "1234567890",
    "tally": "nP9995",
    "typeform": "lT4Z3j",
    "webflow": "580e63e9/580e63fc",
}
_NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True)
class Sent:
    """One submission, number by number: `kim7@example.com` sent it at that time."""

    number: int
    at: datetime

    @property
    def email(self) -> str:
        return f"kim{self.number}@example.com"

    @property
    def iso(self) -> str:
        return self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def ms(self) -> int:
        return int(self.at.timestamp()) * 1000


def form_of(provider: str, **more: Any) -> Form:
    """A form of that tool which may be asked for its list."""
    given = {
        "api_token_env": "TOOL_TOKEN",
        "api_url": "https://tool.test/base",
        "api_forms": (NAMES[provider],),
    }
    return Form("ads", provider, "none", source="demo_request", **{**given, **more})


@dataclass
class Tool:
    """One tool, with what was sent to it. It gives no more than `most` entries at once, whatever is asked for."""

    provider: str
    sent: list[Sent] = field(default_factory=list)
    most: int = 2
    #: Entries of the list that are none.
    damaged: list[Any] = field(default_factory=list)
    failures: list[httpx.Response | BaseException | None] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    #: Called before each answer.
    before: Callable[[], object] = lambda: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.before()
        self.asked.append(f"{request.url.path}?{unquote(request.url.query.decode())}")
        failure = self.failures.pop(0) if self.failures else None
        if isinstance(failure, BaseException):
            raise failure
        if failure is not None:
            return failure
        if TOKEN not in (
            request.headers.get("authorization", "").removeprefix("Bearer "),
            request.headers.get("apikey"),
            request.url.params.get("access_token"),
        ):
            return httpx.Response(401, json={"message": "no"})
        path = request.url.path.removeprefix("/base")
        answer = _APIS[self.provider](self, path, dict(request.url.params))
        return (
            httpx.Response(404, json={"code": "NOT_FOUND"})
            if answer is None
            else httpx.Response(200, content=json.dumps(answer))
        )

    def webhook(self, one: Sent) -> bytes:
        """What the tool's webhook sends of that submission."""
        return json.dumps(_WEBHOOKS[self.provider](one)).encode()

    def newest_first(self) -> list[Sent]:
        return sorted(self.sent, key=lambda one: one.at, reverse=True)

    def page(self, entries: list[Any], start: int = 0) -> tuple[list[Any], int, int]:
        """A page of these and what is damaged, the number of the next, and how many there are in all."""
        whole = [*self.damaged, *entries]
        return whole[start : start + self.most], start + self.most, len(whole)


# --- Typeform --------------------------------------------------------------------------------------------------

_FIELD = {"id": "SMEUb7VJz92Q", "type": "email", "ref": "mail"}


def _typeform_response(one: Sent) -> dict[str, Any]:
    answer = {"type": "email", "email": one.email, "field": _FIELD}
    return {
        "token": f"tok{one.number}",
        "submitted_at": one.iso,
        "answers": [answer],
        "hidden": {"utm_source": "x"},
    }


def _typeform(tool: Tool, path: str, query: dict[str, str]) -> Any:
    if path == "/forms/lT4Z3j":
        group = {
            "id": "g",
            "type": "group",
            "title": "You",
            "properties": {"fields": [{**_FIELD, "title": "Mail"}]},
        }
        return {"id": "lT4Z3j", "title": "Demo", "fields": [group]}
    if path != "/forms/lT4Z3j/responses":
        return None
    entries = [
        _typeform_response(one) for one in tool.newest_first() if one.at.timestamp() >= int(query["since"])
    ]
    whole = [*tool.damaged, *entries]
    tokens = [entry.get("token") if isinstance(entry, dict) else None for entry in whole]
    start = tokens.index(query["before"]) + 1 if "before" in query else 0
    items = whole[start : start + tool.most]
    return {
        "total_items": len(whole) - start,
        "page_count": -(-(len(whole) - start) // tool.most),
        "items": items,
    }


def _typeform_webhook(one: Sent) -> Any:
    definition = {"id": "lT4Z3j", "title": "Demo", "fields": [{**_FIELD, "title": "Mail"}]}
    response = {**_typeform_response(one), "form_id": "lT4Z3j", "definition": definition}
    return {"event_id": f"E{one.number}", "event_type": "form_response", "form_response": response}


# --- Calendly --------------------------------------------------------------------------------------------------


def _calendly_event(one: Sent) -> dict[str, Any]:
    uri = f"https://api.calendly.com/scheduled_events/EV{one.number}"
    return {"uri": uri, "name": "Demo", "created_at": one.iso, "updated_at": one.iso, "status": "active"}


def _calendly_invitee(one: Sent) -> dict[str, Any]:
    uri = f"https://api.calendly.com/scheduled_events/EV{one.number}/invitees/IN{one.number}"
    asked = [{"question": "Company", "answer": "Example Inc", "position": 0}]
    return {
        "uri": uri,
        "email": one.email,
        "name": "Kim Doe",
        "created_at": one.iso,
        "questions_and_answers": asked,
    }


def _calendly(tool: Tool, path: str, query: dict[str, str]) -> Any:
    if path == "/scheduled_events" and query["organization"] == NAMES["calendly"]:
        entries: list[Any] = [_calendly_event(one) for one in tool.sent]
        items, following, count = tool.page(entries, int(query.get("page_token", "p0")[1:]))
        token = f"p{following}" if following < count else None
        return {"collection": items, "pagination": {"count": len(items), "next_page_token": token}}
    for one in tool.sent:
        if path == f"/scheduled_events/EV{one.number}/invitees":
            return {
                "collection": [_calendly_invitee(one)],
                "pagination": {"count": 1, "next_page_token": None},
            }
    return None


def _calendly_webhook(one: Sent) -> Any:
    payload = {**_calendly_invitee(one), "scheduled_event": _calendly_event(one)}
    return {"event": "invitee.created", "created_at": one.iso, "payload": payload}


# --- Tally -----------------------------------------------------------------------------------------------------


def _tally(tool: Tool, path: str, query: dict[str, str]) -> Any:
    if path != "/forms/nP9995/submissions":
        return None
    entries = [
        {
            "id": f"sub{one.number}", "formId": "nP9995", "isCompleted": True, "submittedAt": one.iso,
            "responses": [{"id": "r", "questionId": "rjkPRl", "answer": one.email}],
        }
        for one in tool.newest_first()
    ]  # fmt: skip
    start = (int(query["page"]) - 1) * tool.most
    items, following, count = tool.page(entries, start)
    questions = [{"id": "rjkPRl", "type": "INPUT_EMAIL", "title": "Work email"}]
    return {
        "page": int(query["page"]),
        "hasMore": following < count,
        "questions": questions,
        "submissions": items,
    }


def _tally_webhook(one: Sent) -> Any:
    fields = [{"key": "question_rjkPRl", "label": "Work email", "type": "INPUT_EMAIL", "value": one.email}]
    data = {
        "responseId": f"sub{one.number}",
        "submissionId": f"sub{one.number}",
        "createdAt": one.iso,
        "fields": fields,
    }
    return {"eventId": f"e{one.number}", "eventType": "FORM_RESPONSE", "createdAt": one.iso, "data": data}


# --- Jotform ---------------------------------------------------------------------------------------------------


def _jotform(tool: Tool, path: str, query: dict[str, str]) -> Any:
    if path != "/form/231234567890123/submissions":
        return None
    since = json.loads(query["filter"])["created_at:gt"]
    entries = [
        {
            "id": f"60000000000000000{one.number}", "form_id": "231234567890123", "status": "ACTIVE",
            "created_at": one.at.astimezone(_NEW_YORK).strftime("%Y-%m-%d %H:%M:%S"),
            "answers": {
                "3": {"name": "fullName", "text": "Name", "type": "control_fullname", "answer": {"first": "Kim", "last": "Doe"}},
                "4": {"name": "email", "text": "E-mail", "type": "control_email", "answer": one.email},
                "9": {"name": "submit", "text": "Submit", "type": "control_button"},
            },
        }
        for one in tool.sent
        if one.at.astimezone(_NEW_YORK).strftime("%Y-%m-%d %H:%M:%S") > since
    ]  # fmt: skip
    items, _, _ = tool.page(entries, int(query["offset"]))
    result_set = {"offset": int(query["offset"]), "limit": tool.most, "count": len(items)}
    return {"responseCode": 200, "message": "success", "content": items, "resultSet": result_set}


def _jotform_webhook(one: Sent) -> Any:
    raw = {"slug": "submit/1", "q3_fullName": {"first": "Kim", "last": "Doe"}, "q4_email": one.email}
    number = f"60000000000000000{one.number}"
    return {"formID": "231234567890123", "submissionID": number, "rawRequest": json.dumps(raw)}


# --- Webflow ---------------------------------------------------------------------------------------------------


def _webflow(tool: Tool, path: str, query: dict[str, str]) -> Any:
    if path != "/sites/580e63e9/forms/580e63fc/submissions":
        return None
    entries = [
        {
            "id": f"wf{one.number}", "displayName": "Demo", "siteId": "580e63e9", "dateSubmitted": one.iso,
            "formResponse": {"Name": "Kim Doe", "Email": one.email},
        }
        for one in tool.newest_first()
    ]  # fmt: skip
    items, _, count = tool.page(entries, int(query["offset"]))
    return {
        "formSubmissions": items,
        "pagination": {"limit": tool.most, "offset": int(query["offset"]), "total": count},
    }


def _webflow_webhook(one: Sent) -> Any:
    data = {"Name": "Kim Doe", "Email": one.email}
    payload = {
        "name": "Demo",
        "siteId": "580e63e9",
        "data": data,
        "submittedAt": one.iso,
        "id": f"wf{one.number}",
    }
    return {"triggerType": "form_submission", "payload": payload}


# --- Meta ------------------------------------------------------------------------------------------------------


def _meta_lead(one: Sent) -> dict[str, Any]:
    created = one.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
    return {
        "id": f"7770{one.number}",
        "created_time": created,
        "field_data": [{"name": "email", "values": [one.email]}],
    }


def _meta(tool: Tool, path: str, query: dict[str, str]) -> Any:
    if path == "/1234567890/leads":
        (since,) = json.loads(query["filtering"])
        entries = [_meta_lead(one) for one in tool.newest_first() if one.at.timestamp() > since["value"]]
        items, following, count = tool.page(entries, int(query.get("after", "c0")[1:]))
        paging: dict[str, Any] = {"cursors": {"before": "b", "after": f"c{following}"}}
        if following < count:
            paging["next"] = "https://elsewhere.test/never-called"
        return {"data": items, "paging": paging}
    return next((_meta_lead(one) for one in tool.sent if path == f"/7770{one.number}"), None)


def _meta_webhook(one: Sent) -> Any:
    value = {
        "leadgen_id": int(f"7770{one.number}"),
        "page_id": 1,
        "form_id": 2,
        "created_time": one.ms // 1000,
    }
    return {"object": "page", "entry": [{"id": 1, "changes": [{"field": "leadgen", "value": value}]}]}


# --- LinkedIn --------------------------------------------------------------------------------------------------


def _linkedin_response(one: Sent) -> dict[str, Any]:
    answers = [{"questionId": 3, "answerDetails": {"textQuestionAnswer": {"answer": one.email}}}]
    return {
        "id": f"1a2b3c-{one.number}", "submittedAt": one.ms, "leadType": "SPONSORED", "testLead": False,
        "versionedLeadGenFormUrn": "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:3162,1)",
        "formResponse": {"answers": answers},
    }  # fmt: skip


def _linkedin(tool: Tool, path: str, query: dict[str, str]) -> Any:
    if path == "/leadForms/3162":
        return {"content": {"questions": [{"questionId": 3, "predefinedField": "WORK_EMAIL"}]}}
    if path == "/leadFormResponses":
        assert query["owner"] == "(sponsoredAccount:urn:li:sponsoredAccount:522529623)"
        assert query["leadType"] == "(leadType:SPONSORED)"
        since = int(query["submittedAtTimeRange"].removeprefix("(start:").partition(",")[0])
        entries = [_linkedin_response(one) for one in tool.newest_first() if one.ms >= since]
        items, _, count = tool.page(entries, int(query["start"]))
        return {
            "elements": items,
            "paging": {"count": len(items), "start": int(query["start"]), "total": count},
        }
    return next(
        (_linkedin_response(one) for one in tool.sent if path == f"/leadFormResponses/1a2b3c-{one.number}"),
        None,
    )


def _linkedin_webhook(one: Sent) -> Any:
    return {
        "type": "LEAD_ACTION", "leadGenFormResponse": f"urn:li:leadGenFormResponse:1a2b3c-{one.number}",
        "leadGenForm": "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:3162, 1)", "leadType": "SPONSORED",
        "leadAction": "CREATED", "occurredAt": one.ms + 881,
    }  # fmt: skip


# --- HubSpot ---------------------------------------------------------------------------------------------------


def _hubspot(tool: Tool, path: str, query: dict[str, str]) -> Any:
    if path != f"/form-integrations/v1/submissions/forms/{NAMES['hubspot']}":
        return None
    entries = [
        {
            "conversionId": f"conv-{one.number}", "submittedAt": one.ms, "pageUrl": "https://www.example.com/demo",
            "values": [
                {"name": "email", "value": one.email, "objectTypeId": "0-1"},
                {"name": "name", "value": "Example Inc", "objectTypeId": "0-2"},
            ],
        }
        for one in tool.newest_first()
    ]  # fmt: skip
    items, following, count = tool.page(entries, int(query.get("after", "0")))
    paging = (
        {"next": {"after": str(following), "link": "https://elsewhere.test/"}} if following < count else {}
    )
    return {"results": items, "paging": paging}


def _hubspot_webhook(one: Sent) -> Any:
    conversion = {"conversion-id": f"conv-{one.number}", "timestamp": one.ms, "form-id": NAMES["hubspot"]}
    properties = {"email": {"value": one.email}, "company": {"value": "Example Inc"}}
    return {"vid": one.number, "portal-id": 62515, "properties": properties, "form-submissions": [conversion]}


_APIS: dict[str, Callable[[Tool, str, dict[str, str]], Any]] = {
    "calendly": _calendly,
    "hubspot": _hubspot,
    "jotform": _jotform,
    "linkedin": _linkedin,
    "meta": _meta,
    "tally": _tally,
    "typeform": _typeform,
    "webflow": _webflow,
}
_WEBHOOKS: dict[str, Callable[[Sent], Any]] = {
    "calendly": _calendly_webhook,
    "hubspot": _hubspot_webhook,
    "jotform": _jotform_webhook,
    "linkedin": _linkedin_webhook,
    "meta": _meta_webhook,
    "tally": _tally_webhook,
    "typeform": _typeform_webhook,
    "webflow": _webflow_webhook,
}


@contextmanager
def serving(tool: Tool) -> Iterator[str]:
    """The tool on a port of its own; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = tool(httpx.Request("GET", f"http://tool.test{self.path}", headers=dict(self.headers)))
            with suppress(OSError):  # whoever asked may be gone
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/base"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
