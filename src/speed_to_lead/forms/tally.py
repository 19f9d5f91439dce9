"""Tally: fields by their label, by their type, then by words in the label.

Signed with `Tally-Signature: <base64 HMAC-SHA256 of the raw body>` where the webhook has a signing secret; no timestamp
is signed, so a replay is recognised by `data.submissionId`. https://tally.so/help/webhooks

Its list has answers by the ids of questions, and the questions beside them; a submission's id is the same in both.

Selectors in `intake.toml`: `label:<label>`, `key:<question_…>`, `type:<INPUT_EMAIL>`, `hidden:<parameter>`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from speed_to_lead.core.submission import Form, ParsedSubmission, Submission, generic_lead
from speed_to_lead.forms import answers, lists, reading, signatures
from speed_to_lead.forms.answer import Answer, Sort
from speed_to_lead.forms.fetches import Question
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
_ATTRIBUTES = {"label": "title", "key": "id", "type": "type", "hidden": "name"}
selectors: tuple[str, ...] = tuple(_ATTRIBUTES)
api_url = "https://api.tally.so"
list_scope = "none of its own: an API key can do what its user can"

_PAGE = 100

_SORTS = {
    "INPUT_EMAIL": Sort.EMAIL,
    "INPUT_PHONE_NUMBER": Sort.PHONE,
    "INPUT_TEXT": Sort.TEXT,
    "TEXTAREA": Sort.LONG_TEXT,
    "INPUT_NUMBER": Sort.NUMBER,
    "INPUT_LINK": Sort.LINK,
    "MULTIPLE_CHOICE": Sort.PICKED,
    "DROPDOWN": Sort.PICKED,
    "CHECKBOXES": Sort.PICKED,
    "MULTI_SELECT": Sort.PICKED,
    "RESPONDENT_COUNTRY": Sort.PICKED,
    "HIDDEN_FIELDS": Sort.HIDDEN,
    "CALCULATED_FIELDS": Sort.HIDDEN,
    "": Sort.UNKNOWN,  # whoever sends in Tally's shape may leave it out
}
#: A rating, a date, a file, a payment: their labels are not what a lead's fields are called.
_ANOTHER_SORT = Sort.OTHER


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why the request does not carry Tally's signature of its body."""
    del now  # Tally signs no time
    given = request.headers.get("tally-signature", "").strip()
    if not given:
        return "the header Tally-Signature is missing; has the webhook a signing secret?"

    def expected(key: bytes) -> Iterator[str]:
        yield signatures.hmac_sha256_base64(key, request.body)

    return None if signatures.any_matches((given,), secret, expected) else "Tally-Signature does not match"


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in a form response. Every other event is marked as a test: counted, never routed."""
    delivery = reading.mapping_in(reading.json_in(submission), "the body")
    response = reading.mapping_in(delivery.get("data"), "data")
    given = [*_answers(response), *_envelope(response)]
    payload = answers.payload_of(given, form, _ATTRIBUTES)
    if delivery.get("eventType", "FORM_RESPONSE") != "FORM_RESPONSE" or answers.is_test(given):
        return ParsedSubmission(reading.lead_or_nobody(payload), is_test=True)
    return ParsedSubmission(
        generic_lead(payload),
        same_submission_key=reading.key_in(
            response.get("submissionId"), response.get("responseId"), delivery.get("eventId")
        ),
        submitted_at=reading.instant_in(response.get("createdAt"))
        or reading.instant_in(delivery.get("createdAt")),
    )


def listed(wanted: lists.Wanted, ask: lists.Ask) -> Iterator[lists.Listed]:
    """The finished submissions of a form."""

    def question(page: str) -> Question:
        about = {
            "page": page or 1,
            "limit": _PAGE,
            "filter": "completed",
            "startDate": lists.iso(wanted.since),
        }
        return Question(f"/forms/{wanted.name}/submissions?{urlencode(about)}", lists.bearer(wanted.token))

    number = 1

    def next_page(page: Mapping[str, Any]) -> str:
        nonlocal number
        number += 1
        return str(number) if page.get("hasMore") is True and page.get("submissions") else ""

    for page in lists.pages(ask, question, next_page):
        questions = {str(asked.get("id")): asked for asked in reading.items_in(page.get("questions"))}
        for entry in lists.entries_in(page, "submissions"):
            if not lists.is_before(entry, "submittedAt", wanted.since):
                yield from _as_delivered(entry, questions, wanted.name)


def _as_delivered(
    entry: Any, questions: Mapping[str, Mapping[str, Any]], form_id: str
) -> Iterator[lists.Listed]:
    """The entry as the webhook would have sent it; nothing where it is not finished."""
    submission = reading.mapping_or_nothing(entry)
    if submission.get("isCompleted") is False:
        return
    identity, at = reading.key_in(submission.get("id")) or "", submission.get("submittedAt")
    data: Any = entry
    if submission:
        fields: list[dict[str, Any]] = []
        for response in reading.items_in(submission.get("responses")):
            fields += _fields_of(response, questions.get(str(response.get("questionId")), {}))
        data = {"submissionId": identity, "formId": form_id, "createdAt": at, "fields": fields}
    yield lists.Listed(identity, {"eventType": "FORM_RESPONSE", "data": data}, reading.instant_in(at))


def _fields_of(response: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A response as the field of a delivery; hidden fields are one response with several values."""
    kind = str(asked.get("type") or "")
    key = f"question_{response.get('questionId')}"
    answer = response.get("answer", response.get("value"))
    if kind == "HIDDEN_FIELDS" and isinstance(answer, Mapping):
        for name, value in answer.items():
            yield {"key": key, "label": str(name), "type": kind, "value": value}
        return
    field = {"key": key, "label": asked.get("title") or asked.get("name"), "type": kind, "value": answer}
    yield {**field, "options": asked["options"]} if "options" in asked else field


def _answers(response: Mapping[str, Any]) -> Iterator[Answer]:
    fields = reading.items_in(response.get("fields"))
    boxes = _boxes(fields)
    for field in fields:
        key, kind = str(field.get("key") or ""), str(field.get("type") or "")
        if key.rpartition("_")[0] in boxes:
            continue  # a box of a group once more, by itself
        label = " ".join(str(field.get("label") or "").split())
        is_hidden = kind == "HIDDEN_FIELDS"
        yield Answer(
            _value_of(field, boxes.get(key, {})),
            name=label if is_hidden else "",
            title="" if is_hidden else label,
            id=key,
            type=kind,
            sort=_SORTS.get(kind, _ANOTHER_SORT),
        )


def _boxes(fields: list[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """The texts of the boxes of each group, by their ids: beside the group, Tally sends each as `<key>_<id>`, "Label (text)"."""
    keys = {str(field.get("key")) for field in fields}
    boxes: dict[str, dict[str, str]] = {}
    for field in fields:
        group, _, box = str(field.get("key")).rpartition("_")
        if isinstance(field.get("value"), bool) and group in keys:
            boxes.setdefault(group, {})[box] = (
                str(field.get("label") or "").rpartition("(")[2].removesuffix(")")
            )
    return boxes


def _value_of(field: Mapping[str, Any], boxes: Mapping[str, str]) -> Any:
    """What was answered; of choices, the texts of the options that were picked by their ids."""
    value = field.get("value")
    if field.get("type") == "MATRIX" and isinstance(value, Mapping):
        return _matrix(field)
    options = {str(option.get("id")): option.get("text") for option in reading.items_in(field.get("options"))}
    texts = {**boxes, **options}
    if not texts or isinstance(value, Mapping):
        return value
    if isinstance(value, list):
        return [texts.get(str(picked), picked) for picked in value]
    return texts.get(str(value), value)


def _matrix(field: Mapping[str, Any]) -> str:
    """What was picked in each row: "Support: good; Price: fair, high"."""
    texts = {
        str(one.get("id")): str(one.get("text"))
        for name in ("rows", "columns")
        for one in reading.items_in(field.get(name))
    }
    rows = reading.mapping_or_nothing(field.get("value"))
    picked = {row: columns if isinstance(columns, list) else [columns] for row, columns in rows.items()}
    return "; ".join(
        f"{texts.get(row, row)}: {', '.join(texts.get(str(column), str(column)) for column in columns)}"
        for row, columns in picked.items()
        if columns not in ([], [None])
    )


def _envelope(response: Mapping[str, Any]) -> Iterator[Answer]:
    yield Answer(response.get("formId"), "form_id", sort=Sort.OTHER)
    yield Answer(response.get("formName"), "form_name", sort=Sort.OTHER)
