"""Webflow: a form's fields by their names, by the type its schema gives them, then by words in the name.

Signed with `x-webflow-signature: <hex HMAC-SHA256 of "timestamp:body">` and `x-webflow-timestamp` in Unix milliseconds, where
the hook was made by the API; those made in the dashboard carry no signature and need `token_env`.
https://developers.webflow.com/data/docs/working-with-webhooks

Its list: what was sent to a site (`api_forms = "<site id>"`), or to one form of it (`"<site id>/<form id>"`).

Selectors in `intake.toml`: `field:<name>`, `type:<FormTextInput>`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from speed_to_lead.core.submission import Form, GenericLead, ParsedSubmission, Submission, generic_lead
from speed_to_lead.forms import answers, lists, reading, signatures
from speed_to_lead.forms.answer import Answer, Sort
from speed_to_lead.forms.fetches import Question
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
_ATTRIBUTES = {"field": "name", "type": "type"}
selectors: tuple[str, ...] = tuple(_ATTRIBUTES)
api_url = "https://api.webflow.com/v2"
list_scope = "forms:read"

_PAGE = 100

_SORTS = {
    "FormTextarea": Sort.LONG_TEXT,
    "FormSelect": Sort.PICKED,
    "FormRadioInput": Sort.PICKED,
    "FormCheckboxInput": Sort.PICKED,
    "FormFileUpload": Sort.OTHER,
    "FormFileUploadWrapper": Sort.OTHER,
}


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why the request does not carry Webflow's signature of a time of now and of its body."""
    given = request.headers.get("x-webflow-signature", "").strip().lower()
    if not given:
        return "the header x-webflow-signature is missing; a hook made in Webflow's dashboard is not signed: use token_env"
    timestamp = request.headers.get("x-webflow-timestamp", "").strip()
    stale = signatures.replay_refusal(timestamp, now)
    if stale:
        return stale
    signed = timestamp.encode() + b":" + request.body

    def expected(key: bytes) -> Iterator[str]:
        yield signatures.hmac_hex(key, signed)

    return (
        None if signatures.any_matches((given,), secret, expected) else "x-webflow-signature does not match"
    )


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in a form submission. What another trigger sends is marked as a test: counted, never routed."""
    delivery = reading.mapping_in(reading.json_in(submission), "the body")
    is_wrapped = "payload" in delivery  # version 1 had no envelope
    if delivery.get("triggerType", "form_submission") != "form_submission":
        return ParsedSubmission(GenericLead(), is_test=True)
    sent = reading.mapping_in(delivery.get("payload"), "payload") if is_wrapped else delivery
    given = list(_answers(sent))
    payload = answers.payload_of(given, form, _ATTRIBUTES)
    if answers.is_test(given):
        return ParsedSubmission(reading.lead_or_nobody(payload), is_test=True)
    return ParsedSubmission(
        generic_lead(payload),
        same_submission_key=reading.key_in(sent.get("id"), sent.get("_id")),
        submitted_at=reading.instant_in(sent.get("submittedAt") or sent.get("d")),
    )


def listed(wanted: lists.Wanted, ask: lists.Ask) -> Iterator[lists.Listed]:
    """What was sent to the site or the form. Webflow takes no time to begin at, so the list is read until it is older."""
    site, _, form_id = wanted.name.partition("/")
    path = f"/sites/{site}/forms/{form_id}/submissions" if form_id else f"/sites/{site}/form_submissions"
    start, is_newest_first = 0, True

    def question(offset: str) -> Question:
        query = urlencode({"limit": _PAGE, "offset": offset or 0})
        return Question(f"{path}?{query}", lists.bearer(wanted.token))

    def next_offset(page: Mapping[str, Any]) -> str:
        nonlocal start, is_newest_first
        entries = lists.entries_in(page, "formSubmissions")
        start += len(entries)
        total = reading.mapping_or_nothing(page.get("pagination")).get("total")
        is_newest_first = is_newest_first and lists.is_newest_first(entries, "dateSubmitted")
        is_last = start >= total if isinstance(total, int) else len(entries) < _PAGE
        if not entries or is_last:
            return ""
        is_done = is_newest_first and lists.is_before(entries[-1], "dateSubmitted", wanted.since)
        return "" if is_done else str(start)

    for page in lists.pages(ask, question, next_offset):
        for entry in lists.entries_in(page, "formSubmissions"):
            if not lists.is_before(entry, "dateSubmitted", wanted.since):
                yield _as_delivered(entry)


def _as_delivered(entry: Any) -> lists.Listed:
    submission = reading.mapping_or_nothing(entry)
    at = submission.get("dateSubmitted")
    payload: Any = entry
    if submission:
        payload = {
            "id": submission.get("id"),
            "name": submission.get("displayName"),
            "siteId": submission.get("siteId"),
            "formId": submission.get("formId"),
            "submittedAt": at,
            "data": submission.get("formResponse"),
        }
    body = {"triggerType": "form_submission", "payload": payload}
    return lists.Listed(reading.key_in(submission.get("id")) or "", body, reading.instant_in(at))


def _answers(sent: Mapping[str, Any]) -> Iterator[Answer]:
    types = {
        str(field.get("fieldName")): str(field.get("fieldType") or "")
        for field in reading.items_in(sent.get("schema"))
    }
    for name, value in reading.mapping_in(sent.get("data"), "payload.data").items():
        kind = types.get(name, "")
        yield Answer(value, name, type=kind, sort=_SORTS.get(kind, Sort.UNKNOWN))
    yield Answer(sent.get("pageUrl"), "pageUrl", field="landing_page")
    for name, value in {
        "form_id": sent.get("formId"),
        "form_name": sent.get("name"),
        "site_id": sent.get("siteId") or sent.get("site"),
    }.items():
        yield Answer(value, name, sort=Sort.OTHER)
