"""Leads a program posts to /v1/leads: one JSON object, or one on each line. Checked first, then stored like any hook's.

The check is the router's own reading, so what is accepted here never becomes a dead letter.
"""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from speed_to_lead import flow, forms
from speed_to_lead.core.submission import Submission, UnreadableSubmission
from speed_to_lead.store import StoreUnavailable
from speed_to_lead.store.intake import Intake
from speed_to_lead.workplace import API_FORM

MAX_LINES = 10_000
#: Submissions stored at once; fewer than may wait in the intake, so that hooks find room beside a long import.
STORE_AT_ONCE = 500
STORE_SECONDS = 5.0

_NOT_AN_OBJECT = (
    'a lead is one JSON object such as {"email": "ana@example.com"}; '
    "several go one on a line, with Content-Type: application/x-ndjson"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line that was posted: the submission to store, or why it cannot be one."""

    number: int
    submission: Submission | None = None
    error: str = ""


class TooManyLines(ValueError):
    """More lines were posted than are taken at once."""


def read_one(body: bytes, idempotency_key: str, now: datetime) -> Submission:
    """The submission of one lead. Raises UnreadableSubmission with a sentence that holds no personal data."""
    return _submission(body, idempotency_key, now)


def read_lines(body: bytes, idempotency_key: str, now: datetime) -> list[Line]:
    """Each line that is not blank, numbered from 1 as an editor does. Raises TooManyLines."""
    return list(_lines(body, idempotency_key, now))


async def receipt_time(intake: Intake) -> datetime:
    """Now, by the server's clock. Raises StoreUnavailable."""
    try:
        async with asyncio.timeout(STORE_SECONDS):
            return await intake.now()
    except TimeoutError:
        raise StoreUnavailable("no answer in time") from None


async def store_all(intake: Intake, submissions: list[Submission]) -> None:
    """Return once all are stored.

    Raises StoreUnavailable where one is not known to be. Then the whole is to be sent again: the router recognises
    what it has seen by the Idempotency-Key, else by the content.
    """
    for start in range(0, len(submissions), STORE_AT_ONCE):
        batch = submissions[start : start + STORE_AT_ONCE]
        try:
            async with asyncio.timeout(STORE_SECONDS):
                answers = await asyncio.gather(*map(intake.store, batch), return_exceptions=True)
        except TimeoutError:
            raise StoreUnavailable("no answer in time") from None
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer


def _lines(body: bytes, idempotency_key: str, now: datetime) -> Iterator[Line]:
    count = 0
    for number, text in enumerate(body.split(b"\n"), start=1):
        line = text.strip()
        if not line:
            continue
        count += 1
        if count > MAX_LINES:
            raise TooManyLines(
                f"at most {MAX_LINES} lines are taken at once; send the rest in a second request"
            )
        try:
            key = f"{idempotency_key}:{number}" if idempotency_key else ""
            yield Line(number, _submission(line, key, now))
        except UnreadableSubmission as error:
            yield Line(number, error=str(error))


def _id_of(idempotency_key: str) -> str:
    """The id of whatever is sent with this key: the same again, so that a repeat is answered with the same id."""
    return hashlib.blake2b(f"idempotency-key\0{idempotency_key}".encode(), digest_size=12).hexdigest()


def _submission(body: bytes, idempotency_key: str, now: datetime) -> Submission:
    if body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] != b"{":
        raise UnreadableSubmission(_NOT_AN_OBJECT)
    submission = Submission(
        id=_id_of(idempotency_key) if idempotency_key else flow.new_submission_id(now),
        form=API_FORM.name,
        received_at=now,
        body=body,
        content_type="application/json",
        headers={"idempotency-key": idempotency_key} if idempotency_key else {},
    )
    forms.read(submission, API_FORM)
    return submission
