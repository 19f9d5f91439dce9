"""Form tools that send ids only: what is asked of their API, and the submission with the answers in it.

The delivery is stored as it came, and asked for by a task (`flow/fetches.py`). The answers come back as a submission of
the same id: `{"delivery": what came, "answers": one for each question}`, marked by a header of ours.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from speed_to_lead.core.submission import (
    DATA_PENDING,
    FETCH_HEADER,
    Form,
    GenericLead,
    Submission,
    UnreadableSubmission,
)
from speed_to_lead.forms import reading

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Question:
    """One GET at the tool's API: a path that begins with a slash, its query included, and the headers it takes."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


class AsksBack(Protocol):
    """A form tool that sends ids only. A module is one."""

    #: The tool's API, where the form names no other.
    api_url: str

    def questions(self, submission: Submission, form: Form, token: str) -> list[Question]:
        """What is asked about a delivery. Raises UnreadableSubmission where it holds no id."""


def id_in(value: Any) -> str:
    """An id as part of an address: digits, letters, hyphens, so that no sender chooses what is called; "" for no such."""
    text = str(value).strip() if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    return text if _ID.fullmatch(text) else ""


def with_answers(submission: Submission, answers: list[Any], *, is_late: bool) -> Submission:
    """The submission with what the tool's API answered, as it goes back into the queue."""
    body = json.dumps({"delivery": reading.json_in(submission), "answers": answers}, ensure_ascii=False)
    state = "late" if is_late else "complete"
    return replace(
        submission,
        body=body.encode("utf-8", "replace"),
        content_type="application/json",
        headers={**submission.headers, FETCH_HEADER: state},
    )


def without_answers(submission: Submission) -> Submission:
    """The submission as it goes back into the queue when it has waited long enough."""
    return replace(submission, headers={**submission.headers, FETCH_HEADER: "overdue"})


def delivery_and_answers(submission: Submission) -> tuple[Any, list[Mapping[str, Any]] | None]:
    """What the tool sent, and what its API answered; None where it was not asked yet, or has not answered."""
    value = reading.json_in(submission)
    if submission.headers.get(FETCH_HEADER) not in ("complete", "late"):
        return value, None
    whole = reading.mapping_in(value, "the body")
    answers = whole.get("answers")
    if not isinstance(answers, list) or not all(isinstance(answer, Mapping) for answer in answers):
        raise UnreadableSubmission("the tool's API did not answer with JSON objects")
    return whole.get("delivery"), answers


def incomplete_lead(known: Mapping[str, Any]) -> GenericLead:
    """Somebody of whom only ids are known: they are kept under `custom`, with a mark that rules can ask for."""
    given = {name: value for name, value in known.items() if isinstance(value, (str, int)) and value != ""}
    return GenericLead({}, {**given, DATA_PENDING: "pending"})
