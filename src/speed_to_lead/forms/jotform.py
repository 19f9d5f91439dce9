"""Jotform: the JSON text `rawRequest` in a multipart body: answers by the name of their question, `q3_fullName`.

Jotform signs nothing: the address it posts to carries a token (`?token=…`, `token_env`). It repeats that address in the body;
what is stored holds *** in its place. It sends no time either; its list has one, in the time of New York.

Selectors in `intake.toml`: `name:<fullName>`, `id:<3>`; a part of a name or an address is `name:fullName.first`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from speed_to_lead.core.submission import Form, ParsedSubmission, Submission, generic_lead
from speed_to_lead.forms import answers, bodies, lists, reading, signatures
from speed_to_lead.forms.answer import Answer, Sort
from speed_to_lead.forms.fetches import Question
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
_ATTRIBUTES = {"name": "name", "id": "id"}
selectors: tuple[str, ...] = tuple(_ATTRIBUTES)
api_url = "https://api.jotform.com"
list_scope = "read access"

_PAGE = 100
#: In the accounts that were seen; others may have set another, so it decides nothing but what the lead is told to have said.
_ITS_ZONE = ZoneInfo("America/New_York")
#: So it is asked for so much more, whatever zone an account is in.
_ALL_ZONES = timedelta(days=1)
#: The name under which an entry of the list carries its time; no delivery has it.
_LISTED_AT = "speed_to_lead_listed_at"

_QUESTION = re.compile(r"q(\d{1,9})_(.*)", re.DOTALL)
#: What Jotform's own scripts send along.
_MACHINERY = frozenset({
    "slug", "jsExecutionTracker", "submitSource", "buildDate", "uploadServerUrl", "eventObserver", "timeToSubmit",
    "temp_upload", "file_server", "preview", "path", "validatedNewRequiredFieldIDs", "event_id", "simple_spc", "submitDate",
    "formID", "formOpenId_V5", "embedUrl", "visitedPages", "captcha",
})  # fmt: skip


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why no request is taken for its signature: there is none."""
    del request, secret, now
    return signatures.unsigned_refusal("Jotform")


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in a submission; the same-submission key is its `submissionID`."""
    sent = bodies.fields_in(submission)
    given = list(_answers(sent))
    payload = answers.payload_of(given, form, _ATTRIBUTES)
    if answers.is_test(given):
        return ParsedSubmission(reading.lead_or_nobody(payload), is_test=True)
    return ParsedSubmission(
        generic_lead(payload),
        same_submission_key=reading.key_in(sent.get("submissionID")),
        submitted_at=reading.instant_in(sent.get(_LISTED_AT)),
    )


def listed(wanted: lists.Wanted, ask: lists.Ask) -> Iterator[lists.Listed]:
    """The submissions of a form, but those its owner has deleted."""
    since = (wanted.since - _ALL_ZONES).astimezone(_ITS_ZONE)
    start = 0

    def question(offset: str) -> Question:
        about = {
            "limit": _PAGE,
            "offset": offset or 0,
            "orderby": "created_at",
            "filter": json.dumps({"created_at:gt": f"{since:%Y-%m-%d %H:%M:%S}"}),
        }
        path = f"/form/{wanted.name}/submissions?{urlencode(about)}"
        return Question(path, {"APIKEY": wanted.token})

    def next_offset(page: Mapping[str, Any]) -> str:
        nonlocal start
        count = len(lists.entries_in(page, "content"))
        start += count
        given = reading.mapping_or_nothing(page.get("resultSet")).get(
            "limit"
        )  # Jotform may give fewer at once
        most = given if isinstance(given, int) and given > 0 else _PAGE
        return str(start) if count >= most else ""

    for page in lists.pages(ask, question, next_offset):
        for entry in lists.entries_in(page, "content"):
            submission = reading.mapping_or_nothing(entry)
            if submission.get("status") != "DELETED":
                yield _as_delivered(entry, submission, wanted.name)


def _as_delivered(entry: Any, submission: Mapping[str, Any], form_id: str) -> lists.Listed:
    identity = reading.key_in(submission.get("id")) or ""
    at = _in_its_zone(submission.get("created_at"))
    asked = submission.get("answers")
    if not isinstance(asked, Mapping):
        return lists.Listed(
            identity, {"submissionID": identity, "rawRequest": asked if submission else entry}
        )
    raw = {
        f"q{number}_{question.get('name') or ''}": question["answer"]
        for number, question in asked.items()
        if isinstance(question, Mapping) and "answer" in question
    }
    body = {
        "formID": form_id,
        "submissionID": identity,
        "rawRequest": raw,
        _LISTED_AT: at.isoformat() if at else None,
    }
    return lists.Listed(identity, body, at)


def _in_its_zone(value: Any) -> datetime | None:
    try:
        local = datetime.strptime(str(value), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - its zone stands beside it
    except ValueError:
        return None
    return local.replace(tzinfo=_ITS_ZONE).astimezone(UTC)


def _answers(sent: Mapping[str, Any]) -> Iterator[Answer]:
    raw = sent.get("rawRequest")
    if isinstance(raw, str):
        raw = reading.json_of(raw, "rawRequest")
    for name, value in reading.mapping_in(sent if raw is None else raw, "rawRequest").items():
        question = _QUESTION.fullmatch(name)
        if question:
            yield Answer(value, question[2] or name, id=question[1])
        elif raw is not None and name not in _MACHINERY:
            yield Answer(value, name, sort=Sort.OTHER if isinstance(value, list) else Sort.UNKNOWN)
    for name, value in {
        "form_id": sent.get("formID"),
        "form_name": sent.get("formTitle"),
        "custom_params": sent.get("customParams"),
    }.items():
        yield Answer(value, name, sort=Sort.OTHER)
