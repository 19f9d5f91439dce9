"""/v1: for programs. Leads in, leads out, and what people did about them. The guard has asked for the key already."""

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.security import HTTPBasic, HTTPBearer
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from speed_to_lead import flow
from speed_to_lead.core.clock import from_iso, to_iso
from speed_to_lead.core.lead import Lead, LeadChange, LeadState, ResponseKind
from speed_to_lead.core.lead import Response as LeadResponse
from speed_to_lead.core.rendering import lead_as_json
from speed_to_lead.core.response import close_lead, reassign_lead, record_response
from speed_to_lead.core.submission import Submission, UnreadableSubmission, valid_submission_id
from speed_to_lead.store.intake import Intake
from speed_to_lead.web.errors import ErrorAnswer, Refused
from speed_to_lead.web.submitted import (
    MAX_LINES,
    Line,
    TooManyLines,
    is_array,
    read_items,
    read_lines,
    read_one,
    receipt_time,
    store_all,
)
from speed_to_lead.workplace import Workplace

#: As for a hook.
MAX_LEAD_BYTES = 1024 * 1024

_NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")


def _instant(given: object) -> datetime:
    try:
        return from_iso(given if isinstance(given, str) else "")
    except ValueError:
        raise ValueError(
            "must be an ISO 8601 date-time with an offset, such as 2026-11-22T09:30:00Z"
        ) from None


def _none_where_blank(value: object) -> object:
    return None if value == "" else value


def _as_text(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


#: The pattern is for readers of the description: blanks alone are empty once they are stripped.
Word = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    Field(json_schema_extra={"pattern": r"\S"}),
]
Instant = Annotated[datetime, BeforeValidator(_instant)]
Filter = Annotated[
    Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] | None,
    AfterValidator(_none_where_blank),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ResponseGiven(_Strict):
    """Somebody answered. `at`: when it happened, now where left out. From `attempted` on the clock stops."""

    kind: ResponseKind
    by: Word = Field(description="Who answered: a rep's id, or whatever names them in your system.")
    at: Instant | None = None
    via: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] = ""
    evidence: Annotated[
        str, StringConstraints(strip_whitespace=True, max_length=2000), BeforeValidator(_as_text)
    ] = Field(
        "",
        description="Where it can be seen: the address or id of a call, a mail, a meeting. An object is kept as JSON.",
    )
    automatic: bool = Field(
        default=False, description="A program answered, no human: it is kept, and stops no clock."
    )


class ReassignmentGiven(_Strict):
    """The open lead goes to another rep, who is told. The clock does not restart."""

    rep: Word
    by: Word


class ClosingGiven(_Strict):
    """Nobody needs to answer: spam, not a lead, a customer already."""

    reason: Word
    by: Word


class AwayGiven(_Strict):
    """The rep gets no leads until `until`, or until they are set back where it is left out."""

    until: Instant | None = None
    by: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = Field(
        "", description="Who says so; the name of the key where it is left out."
    )


class BackGiven(_Strict):
    """The rep gets leads again."""

    by: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = Field(
        "", description="Who says so; the name of the key where it is left out."
    )


class LeadFilter(_Strict):
    """Which leads to list, newest first."""

    state: Annotated[
        LeadState | None,
        BeforeValidator(_none_where_blank),
        WithJsonSchema({"anyOf": [{"type": "string", "enum": [*LeadState, ""]}, {"type": "null"}]}),
    ] = None
    team: Filter = None
    rep: Filter = None
    limit: int = Field(50, ge=1, le=200)
    cursor: Annotated[
        Annotated[str, StringConstraints(pattern=r"^([0-9]{1,15}:[A-Za-z0-9._-]{1,64})?$")] | None,
        BeforeValidator(_none_where_blank),
    ] = Field(None, description="`next` of the page before.")


class UnknownId(flow.UnknownLead):
    """What was asked for cannot be the id of a lead."""


def _lead_id(
    lead_id: Annotated[str, Path(description="Id of the lead, or of any submission that became part of it.")],
) -> str:
    # An id is part of key names: what cannot be one is not looked up.
    if valid_submission_id(lead_id) != lead_id:
        raise UnknownId
    return lead_id


LeadId = Annotated[str, Depends(_lead_id)]

_ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorAnswer, "description": "No key, or a wrong one."},
    403: {"model": ErrorAnswer, "description": "The key lacks the scope that is named."},
    422: {"model": ErrorAnswer, "description": "What is wrong with the request, place by place."},
    415: {"model": ErrorAnswer, "description": "The body is compressed; nothing is unpacked here."},
    429: {
        "model": ErrorAnswer,
        "description": "A wrong key, and too many before it from this address; see Retry-After.",
    },
    503: {
        "model": ErrorAnswer,
        "description": "The server is away; send it again after Retry-After seconds.",
    },
}
_TOO_LARGE: dict[int | str, dict[str, Any]] = {
    413: {"model": ErrorAnswer, "description": "Larger than is taken."}
}
_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorAnswer, "description": "No such lead, or not routed yet."}
}
#: What is certainly taken. More is: a form may write an address or a number in many ways.
_ADDRESS = r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+$"
_NUMBER = r"^\+?[1-9][0-9 ()/.-]*$"
RepId = Annotated[str, Path(description="Id of the rep, as in teams.toml.")]
_UNKNOWN_REP: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorAnswer, "description": "teams.toml has no such rep."}
}
_LEAD_SCHEMA = {
    "type": "object",
    "description": "The generic lead. One of email and phone is needed; unknown keys are kept under custom.",
    "anyOf": [
        {
            "required": ["email"],
            "properties": {"email": {"type": "string", "pattern": _ADDRESS, "maxLength": 254}},
        },
        {
            "required": ["phone"],
            "properties": {"phone": {"type": "string", "pattern": _NUMBER, "maxLength": 100}},
        },
    ],
    "additionalProperties": True,
}
_LEADS_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        _LEAD_SCHEMA,
                        {
                            "type": "array",
                            "description": "Leads; one that cannot be read has its error among the results.",
                            "items": {"type": "object"},
                            "minItems": 1,
                            "maxItems": MAX_LINES,
                        },
                    ]
                },
                "example": {"email": "ana@example.com", "company": "Example", "source": "demo_request"},
            },
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": '{"email":"ana@example.com"}\n',
            },
        },
    }
}


class _Basic(HTTPBasic):
    """Describes what the guard takes; FastAPI's own would refuse a user name that is not ASCII."""

    async def __call__(self, request: Request) -> None:  # type: ignore[override]
        del request


def v1(place: Workplace, intake: Intake) -> APIRouter:
    """The routes of /v1."""
    bearer = HTTPBearer(auto_error=False, description="One of the keys in STL_API_KEYS.")
    basic = _Basic(auto_error=False, description="A key as the password of any user; for looking only.")
    router = APIRouter(
        prefix="/v1",
        dependencies=[Depends(bearer), Depends(basic)],
        responses=_ERRORS | _TOO_LARGE,
        default_response_class=JSONResponse,
    )
    _add_leads_in(router, intake)
    _add_leads_out(router, place)
    _add_changes(router, place)
    _add_reps(router, place)
    _add_operations(router, place)
    return router


def _add_leads_in(router: APIRouter, intake: Intake) -> None:
    @router.post(
        "/leads",
        openapi_extra=_LEADS_BODY,
        tags=["leads"],
        summary="Post one lead, an array of leads, or one on each line",
    )
    async def post_leads(
        request: Request, idempotency_key: Annotated[str, Header(max_length=255)] = ""
    ) -> Response:
        """Stored before it is answered. The same Idempotency-Key again is answered alike and makes no second lead.

        Of several each has its result, by its line or its place in the array: a bad one costs no other one its place.
        """
        body = await request.body()
        asked_at = time.monotonic()
        now = await receipt_time(intake)
        waited = time.monotonic() - asked_at
        kind = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
        if kind not in _NDJSON and not is_array(body):
            submission = _one(body, idempotency_key, now)
            await store_all(intake, [submission], waited)
            return JSONResponse({"status": "stored", "id": submission.id})
        read, place = (read_lines, "line") if kind in _NDJSON else (read_items, "item")
        lines = await run_in_threadpool(_several, read, body, idempotency_key, now)
        await store_all(intake, [line.submission for line in lines if line.submission is not None])
        return JSONResponse({"results": [_result(line, place) for line in lines]})


def _one(body: bytes, idempotency_key: str, now: datetime) -> Submission:
    if len(body) > MAX_LEAD_BYTES:
        raise Refused(413, f"a lead may have at most {MAX_LEAD_BYTES} bytes")
    try:
        return read_one(body, idempotency_key, now)
    except UnreadableSubmission as error:
        raise Refused(422, str(error)) from None


def _several(
    read: Callable[[bytes, str, datetime], list[Line]], body: bytes, idempotency_key: str, now: datetime
) -> list[Line]:
    try:
        lines = read(body, idempotency_key, now)
    except TooManyLines as error:
        raise Refused(413, str(error)) from None
    except UnreadableSubmission as error:
        raise Refused(422, str(error)) from None
    if not lines:
        raise Refused(
            422, "the body holds no lead: no line with a JSON object on it, or an array without any"
        )
    return lines


def _result(line: Line, place: str) -> dict[str, Any]:
    if line.submission is None:
        return {place: line.number, "error": line.error}
    return {place: line.number, "id": line.submission.id}


def _add_leads_out(router: APIRouter, place: Workplace) -> None:
    @router.get("/leads", tags=["leads"], summary="Leads, newest first")
    def list_leads(chosen: Annotated[LeadFilter, Query()]) -> Response:
        """A page of leads; `next` is the cursor of the page after it, null at the end: a page may be short before that."""
        leads, following = place.store.leads.newest(
            chosen.limit, state=chosen.state, team=chosen.team, rep=chosen.rep, before=chosen.cursor
        )
        return JSONResponse({"leads": [lead_as_json(lead) for lead in leads], "next": following})

    @router.get(
        "/leads/{lead_id}", tags=["leads"], summary="One lead with its trace and history", responses=_UNKNOWN
    )
    def show_lead(lead_id: LeadId) -> Response:
        """The record: where the lead went, by when somebody must answer, why, and what happened since."""
        lead = place.store.leads.get(lead_id)
        if lead is None:
            lead = _lead_of_submission(place, lead_id)
        return JSONResponse(lead_as_json(lead, place.store.leads.history(lead.id)))


def _lead_of_submission(place: Workplace, submission_id: str) -> Lead:
    known = place.store.queue.lead_of([submission_id]).get(submission_id)
    lead = place.store.leads.get(known) if known else None
    if lead is not None:
        return lead
    if place.store.queue.dead_letter(submission_id) is not None:
        raise Refused(
            404,
            "that submission could not be read and is kept; see `speed-to-lead dead-letters show` with this id",
        )
    raise flow.UnknownLead


def _add_changes(router: APIRouter, place: Workplace) -> None:
    @router.post(
        "/leads/{lead_id}/responses", tags=["changes"], summary="Somebody answered", responses=_UNKNOWN
    )
    def respond(lead_id: LeadId, given: ResponseGiven) -> Response:
        """From `attempted` on the clock stops, unless it is `automatic`. The same response told again changes nothing."""

        def decide(lead: Lead, now: datetime) -> LeadChange | None:
            response = LeadResponse(
                given.kind, given.by, given.at or now, now, given.via, given.evidence, given.automatic
            )
            return record_response(lead, response, now)

        return changed(lead_id, decide, "recorded", "already_recorded")

    @router.post("/leads/{lead_id}/reassign", tags=["changes"], summary="Pass a lead on", responses=_UNKNOWN)
    def reassign(lead_id: LeadId, given: ReassignmentGiven) -> Response:
        """The rep may be of any team. The deadline stays as it was promised."""
        teams = place.config.rulebook.teams

        def decide(lead: Lead, now: datetime) -> LeadChange | None:
            return reassign_lead(lead, teams, given.rep, given.by, now)

        return changed(lead_id, decide, "reassigned", "already_theirs")

    @router.post(
        "/leads/{lead_id}/close",
        tags=["changes"],
        summary="Close a lead without an answer",
        responses=_UNKNOWN,
    )
    def close(lead_id: LeadId, given: ClosingGiven) -> Response:
        """The clock stops; a lead that was late stays late."""

        def decide(lead: Lead, now: datetime) -> LeadChange | None:
            return close_lead(lead, given.reason, given.by, now)

        return changed(lead_id, decide, "closed", "already_closed")

    def changed(
        lead_id: str, decide: Callable[[Lead, datetime], LeadChange | None], applied: str, unchanged: str
    ) -> Response:
        lead, is_changed = flow.change_lead(place, lead_id, decide)
        history = place.store.leads.history(lead.id)
        return JSONResponse(
            {"result": applied if is_changed else unchanged, "lead": lead_as_json(lead, history)}
        )


def _add_reps(router: APIRouter, place: Workplace) -> None:
    @router.get("/reps", tags=["reps"], summary="Who is available, and why not")
    def list_reps() -> Response:
        """Every rep of teams.toml as they stand now: shift, leave, caps, cooldown, and what was told of them here."""
        return JSONResponse({"reps": flow.all_reps(place)})

    @router.post("/reps/{rep}/away", tags=["reps"], summary="A rep is away", responses=_UNKNOWN_REP)
    def away(rep: RepId, given: AwayGiven | None = None) -> Response:
        """They get no more leads, from the next batch of every router on. The leads they have stay theirs."""
        said = given or AwayGiven()
        flow.set_away(place, rep, said.by or _name_of_key(), said.until)
        return JSONResponse({"result": "away", "rep": _rep(place, rep)})

    @router.post("/reps/{rep}/back", tags=["reps"], summary="A rep is back", responses=_UNKNOWN_REP)
    def back(rep: RepId, given: BackGiven | None = None) -> Response:
        """They get leads again within their shift, and take part from where the others are."""
        was_away = flow.set_back(place, rep, (given or BackGiven()).by or _name_of_key())
        return JSONResponse({"result": "back" if was_away else "already_back", "rep": _rep(place, rep)})


def _rep(place: Workplace, rep_id: str) -> dict[str, Any]:
    return next(rep for rep in flow.all_reps(place) if rep["id"] == rep_id)


def _name_of_key() -> str:
    """The name of the key that this request came with."""
    return str(structlog.contextvars.get_contextvars().get("api_key", "api"))


def _add_operations(router: APIRouter, place: Workplace) -> None:
    @router.get("/ledger", tags=["operations"], summary="Do the books balance?")
    def ledger() -> Response:
        """They do where received = leads + touches + duplicates + tests + dead letters + in flight, at one instant."""
        counted = place.store.operations.ledger()
        return JSONResponse(
            {
                "balances": counted.difference == 0,
                "received": counted.received,
                "leads": counted.leads,
                "touches": counted.touches,
                "duplicates": counted.duplicates,
                "tests": counted.tests,
                "dead_letters": counted.dead_letters,
                "in_flight": counted.in_flight,
                "difference": counted.difference,
            }
        )

    @router.get("/status", tags=["operations"], summary="Depths, lags, and who is working")
    def status() -> Response:
        """Ages in seconds. `heartbeats`: seconds since each process last worked."""
        health = place.store.operations.health()
        return JSONResponse(
            {
                "now": to_iso(health.now),
                "queued": health.queued,
                "queued_oldest_seconds": health.queued_oldest,
                "patient": health.patient,
                "patient_oldest_seconds": health.patient_oldest,
                "pending": health.pending,
                "due": health.due,
                "due_oldest_seconds": health.due_oldest,
                "open_leads": health.open_leads,
                "outbox": health.outbox,
                "outbox_due": health.outbox_due,
                "outbox_oldest_seconds": health.outbox_oldest,
                "dead_letters": health.dead_letters,
                "dead_alerts": health.dead_alerts,
                "quarantined": health.quarantined,
                "heartbeats": dict(health.heartbeats),
            }
        )
