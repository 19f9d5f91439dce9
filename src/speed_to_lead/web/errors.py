"""Every failure as `{"error": sentence}`, with `details` where a body is wrong. No value of the request is repeated."""

from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from speed_to_lead.core.response import ImpossibleChange
from speed_to_lead.flow import Contended, UnknownLead, UnknownRep
from speed_to_lead.store import StoreUnavailable
from speed_to_lead.store.contract import UnreadableRecord

log = structlog.get_logger()

RETRY_AFTER_SECONDS = 5


class Problem(BaseModel):
    """One thing wrong with the request: where, and what was expected there."""

    where: str
    problem: str


class ErrorAnswer(BaseModel):
    """What every failure looks like."""

    error: str
    details: list[Problem] | None = None


class Refused(Exception):
    """The request cannot be done; the status and the sentence to answer with."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def add_error_answers(app: FastAPI) -> None:
    """Give the application an answer for every way a request can fail."""
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Refused, _on_refused)
    app.add_exception_handler(ImpossibleChange, _on_impossible)
    app.add_exception_handler(UnknownLead, _on_unknown_lead)
    app.add_exception_handler(UnknownRep, _on_unknown_rep)
    app.add_exception_handler(StoreUnavailable, _on_store_away)
    app.add_exception_handler(Contended, _on_contended)
    app.add_exception_handler(UnreadableRecord, _on_unreadable_record)
    app.add_exception_handler(ClientDisconnect, _on_hang_up)
    app.add_exception_handler(Exception, _on_anything_else)


def error_answer(status: int, sentence: str, **headers: str) -> Response:
    """A failure as JSON; in the names of headers `_` stands for `-`."""
    return JSONResponse(
        {"error": sentence}, status, {name.replace("_", "-"): text for name, text in headers.items()}
    )


def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = [{"where": _place(found["loc"]), "problem": _problem(found)} for found in error.errors()]
    first = f"{details[0]['where']} {details[0]['problem']}" if details else "the request cannot be read"
    sentence = first if len(details) < 2 else f"{first}, and {len(details) - 1} more (see details)"
    return JSONResponse({"error": sentence, "details": details}, 422)


def _on_http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # FastAPI's word for a body it cannot decode
        details = [{"where": "body", "problem": "is not JSON in UTF-8"}]
        return JSONResponse({"error": "body is not JSON in UTF-8", "details": details}, 422)
    sentences = {
        404: "there is nothing at this path; /docs lists what there is",
        405: "this path does not take that method",
    }
    sentence = sentences.get(error.status_code, error.detail)
    return JSONResponse({"error": sentence}, error.status_code, error.headers)


def _on_refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error_answer(error.status, error.sentence)


def _on_impossible(_request: Request, error: Exception) -> Response:
    return error_answer(422, str(error))


def _on_unknown_lead(_request: Request, _error: Exception) -> Response:
    return error_answer(404, "there is no lead of that id: stored but not routed yet, a test, or unknown")


def _on_unknown_rep(_request: Request, _error: Exception) -> Response:
    return error_answer(404, "teams.toml has no rep of that id; GET /v1/reps lists them")


def _on_store_away(_request: Request, error: Exception) -> Response:
    log.error("api.store_away", error=str(error))
    return error_answer(503, "the server is away; try again", retry_after=str(RETRY_AFTER_SECONDS))


def _on_contended(_request: Request, _error: Exception) -> Response:
    return error_answer(503, "the lead is being changed by others all the time; try again", retry_after="1")


def _on_unreadable_record(_request: Request, _error: Exception) -> Response:
    return error_answer(500, "the record of this lead cannot be read; `speed-to-lead doctor` says more")


def _on_hang_up(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


def _on_anything_else(_request: Request, _error: Exception) -> Response:
    return error_answer(500, "something went wrong here; the log says what")


def _place(location: Sequence[str | int]) -> str:
    """`body.kind`, `query.limit`; for a body that is no JSON the position is of no use without the body."""
    parts = [str(part)[:60] for part in location if not isinstance(part, int)]
    return ".".join(parts) or "request"


def _problem(found: dict[str, Any]) -> str:
    """What pydantic says, in our words where its own would not help."""
    kind = str(found["type"])
    ours = {
        "missing": "is missing",
        "extra_forbidden": "is not known here",
        "json_invalid": "is not JSON",
        "model_attributes_type": "must be a JSON object",
        "dict_type": "must be a JSON object",
        "string_too_short": "must not be empty",
    }
    if kind in ours:
        return ours[kind]
    message = str(found["msg"])
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    return (
        message.replace("Input should be", "must be")
        .replace("String should", "must")
        .replace("Input should", "must")
    )
