"""Leads a program posts to /v1/leads: one JSON object, an array of them, or one on each line.

Checked first, then stored like any hook's.

The check is the router's own reading, so what is accepted here never becomes a dead letter.
"""

import asyncio
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from speed_to_lead import flow, forms
from speed_to_lead.core.submission import LIST_HEADER, Submission, UnreadableSubmission, keyed_id
from speed_to_lead.store import StoreUnavailable
from speed_to_lead.store.intake import ANSWER_TIMEOUT, Intake
from speed_to_lead.workplace import API_FORM

#: Of lines, or of items of an array.
MAX_LINES = 10_000
#: Submissions stored at once; fewer than may wait in the intake, so that hooks find room beside a long import.
STORE_AT_ONCE = 500
#: As long as a hook waits: what is not stored by then is sent again.
STORE_SECONDS = ANSWER_TIMEOUT

_NOT_AN_OBJECT = (
    'a lead is one JSON object such as {"email": "ana@example.com"}; several go in an array, or one on a line with '
    "Content-Type: application/x-ndjson"
)
_LINES_NEED = "one lead on each line needs Content-Type: application/x-ndjson"
#: Of a lead that came alone.
NO_MARKS: Mapping[str, str] = {}
_BLANKS = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Line:
    """One line that was posted, or one item of an array: the submission to store, or why it cannot be one."""

    number: int
    submission: Submission | None = None
    error: str = ""


class TooManyLines(ValueError):
    """More lines were posted than are taken at once."""


def is_array(body: bytes) -> bool:
    """Whether a body of JSON is an array."""
    return _bare(body)[:1] == b"["


def read_one(body: bytes, idempotency_key: str, now: datetime) -> Submission:
    """The submission of one lead. Raises UnreadableSubmission with a sentence that holds no personal data."""
    return _submission(body, idempotency_key, now)


def read_lines(body: bytes, idempotency_key: str, now: datetime) -> list[Line]:
    """Each line that is not blank, numbered from 1 as an editor does. Raises TooManyLines."""
    return list(_read(_lines(body), idempotency_key, now, "lines"))


def read_items(body: bytes, idempotency_key: str, now: datetime) -> list[Line]:
    """Each item of a JSON array, numbered from 1. An item that is no lead costs no other one its place.

    Raises UnreadableSubmission where it is no array to its end, for then nobody knows where the next item begins;
    TooManyLines.
    """
    return list(_read(_items(body), idempotency_key, now, "items"))


async def receipt_time(intake: Intake) -> datetime:
    """Now, by the server's clock. Raises StoreUnavailable."""
    try:
        async with asyncio.timeout(STORE_SECONDS):
            return await intake.now()
    except TimeoutError:
        raise StoreUnavailable("no answer in time") from None


async def store_all(intake: Intake, submissions: list[Submission], waited: float = 0.0) -> None:
    """Return once all are stored. The first ones may take so much less time as they have `waited` already.

    Raises StoreUnavailable where one is not known to be. Then the whole is to be sent again: the router recognises
    what it has seen by the Idempotency-Key, else by the content.
    """
    for start in range(0, len(submissions), STORE_AT_ONCE):
        batch = submissions[start : start + STORE_AT_ONCE]
        try:
            async with asyncio.timeout(STORE_SECONDS if start else max(STORE_SECONDS - waited, 0.0)):
                answers = await asyncio.gather(*map(intake.store, batch), return_exceptions=True)
        except TimeoutError:
            raise StoreUnavailable("no answer in time") from None
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Those that are not blank. One at a time: ten million line breaks must not become ten million objects."""
    for number, text in enumerate(io.BytesIO(body), start=1):
        line = text.strip()
        if line:
            yield number, line


def _items(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The items of an array, each as it was written: what it is, is read later, with the reader's limits."""
    try:
        text = _bare(body).decode()
    except UnicodeDecodeError as error:
        raise UnreadableSubmission(f"the body is not UTF-8 at byte {error.start + 1}") from None
    number, at = 0, _after_blanks(text, 1)
    if text[at : at + 1] == "]":
        _refuse_more(text, at + 1)
        return
    while True:
        number += 1
        try:
            _, end = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise UnreadableSubmission(
                f"item {number} of the array is not JSON: {error.msg} at line {error.lineno}, column {error.colno}; "
                "nothing was stored, send all of it again"
            ) from None
        except RecursionError:
            raise UnreadableSubmission(f"item {number} of the array is nested too deep") from None
        yield number, text[at:end].encode()
        at = _after_blanks(text, end)
        sign = text[at : at + 1]
        if sign == "]":
            _refuse_more(text, at + 1)
            return
        if sign != ",":
            raise UnreadableSubmission(
                f"after item {number} of the array a comma or ] is expected; nothing was stored, send all of it again"
            )
        at = _after_blanks(text, at + 1)


def _refuse_more(text: str, at: int) -> None:
    if _after_blanks(text, at) < len(text):
        raise UnreadableSubmission("behind the array there is more; send one array, or one lead on each line")


def _after_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _read(
    found: Iterator[tuple[int, bytes]], idempotency_key: str, now: datetime, what: str
) -> Iterator[Line]:
    for count, (number, text) in enumerate(found, start=1):
        if count > MAX_LINES:
            raise TooManyLines(
                f"at most {MAX_LINES} {what} are taken at once; send the rest in a second request"
            )
        try:
            key = f"{idempotency_key}:{number}" if idempotency_key else ""
            yield Line(number, _submission(text, key, now, {LIST_HEADER: "1"}))
        except UnreadableSubmission as error:
            yield Line(number, error=str(error))


def _bare(body: bytes) -> bytes:
    """Without the sign that some editors put at the start of a file, and without blanks before what is said."""
    return body.removeprefix(b"\xef\xbb\xbf").lstrip()


def _submission(
    body: bytes, idempotency_key: str, now: datetime, marks: Mapping[str, str] = NO_MARKS
) -> Submission:
    if _bare(body)[:1] != b"{":
        raise UnreadableSubmission(_NOT_AN_OBJECT)
    submission = Submission(
        id=keyed_id(idempotency_key) if idempotency_key else flow.new_submission_id(now),
        form=API_FORM.name,
        received_at=now,
        body=body,
        content_type="application/json",
        headers={**marks, "idempotency-key": idempotency_key} if idempotency_key else marks,
    )
    try:
        forms.read(submission, API_FORM)
    except UnreadableSubmission as error:
        if marks is NO_MARKS and _is_object_lines(body):
            raise UnreadableSubmission(f"{error}; {_LINES_NEED}") from None
        raise
    return submission


def _is_object_lines(body: bytes) -> bool:
    """Whether the first two lines that are not blank are JSON objects, each by itself."""
    lines = [line for _, line in islice(_lines(_bare(body)), 2)]
    try:
        return len(lines) == 2 and all(isinstance(json.loads(line), dict) for line in lines)
    except (ValueError, RecursionError):
        return False
