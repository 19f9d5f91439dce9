"""LinkedIn lead gen forms (Lead Sync): ids by webhook, the answers by LinkedIn's API.

Signed with `X-LI-Signature: <hex HMAC-SHA256 of "hmacsha256=" and the raw body, with the client secret>`: the word is part of
what is signed. LinkedIn asks `GET ?challengeCode=<uuid>` when the hook is made and every two hours after, and blocks a
hook that does not answer within three seconds. https://learn.microsoft.com/linkedin/shared/api-guide/webhook-validation

Its list (`leadFormResponses?q=owner`) has answers, but not the questions, which are asked for once for each form; nor does
it say when LinkedIn told of a lead, which is part of the webhook's key: a lead of both is known by its id and its own time.

Selectors in `intake.toml`: `question:<predefinedField or label>`, `key:<name>` for what LinkedIn says beside the answers.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from speed_to_lead.core.submission import (
    FETCH_HEADER,
    Form,
    GenericLead,
    ParsedSubmission,
    Submission,
    UnreadableSubmission,
    generic_lead,
    lead_field_named,
)
from speed_to_lead.forms import answers, fetches, lists, reading, signatures
from speed_to_lead.forms.handshakes import Welcome, queried
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
selectors: tuple[str, ...] = ("question", "key")
api_url = "https://api.linkedin.com/rest"
list_scope = "r_marketing_leadgen_automation"

_PAGE = 100

#: A version of LinkedIn's API lives for a year at the least; `api_url` may name a gateway that sets another.
_VERSION = "202511"
#: Whoever could have any text signed here could sign a delivery: "hmacsha256=" and a body are no challenge code.
_CHALLENGE = re.compile(r"[0-9A-Za-z-]{1,64}")
_URN_ID = re.compile(r"urn:li:(?:leadGenFormResponse|leadGenForm|leadForm):(\w[\w~-]{0,199})")
_SIGNED_PREFIX = b"hmacsha256="
#: The fields LinkedIn fills in by itself, where our own names for them are others.
_FIELD_BY_PREDEFINED = {
    "WORK_EMAIL": "email", "WORK_PHONE_NUMBER": "phone", "MOBILE_PHONE_NUMBER": "phone", "STATE_PROVINCE": "region",
    "JOB_TITLE": "title", "COMPANY_SIZE": "employees", "COMPANY_INDUSTRY": "industry",
}  # fmt: skip
_EVENT = ("leadGenFormResponse", "leadGenForm", "leadType")


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why the request does not carry LinkedIn's signature of its body."""
    del now  # LinkedIn signs no time
    given = request.headers.get("x-li-signature", "").strip().lower().removeprefix("hmacsha256=")
    if not given:
        return "the header X-LI-Signature is missing"
    matches = signatures.any_matches(
        (given,), secret, lambda key: (signatures.hmac_hex(key, _SIGNED_PREFIX + request.body),)
    )
    return None if matches else "X-LI-Signature does not match"


def handshake(request: WebhookRequest, secret: str, verify_token: str) -> Welcome | str | None:
    """The challenge code, signed with the client secret; of two secrets with the first, which is the new one."""
    del verify_token
    code = queried(request).get("challengeCode")
    if request.method != "GET" or code is None:
        return None
    if not _CHALLENGE.fullmatch(code):
        return "challengeCode is no code of LinkedIn's; only letters, digits and hyphens are signed"
    if not secret:
        return "no secret is set here to sign the challenge with"
    whole, *rotated = signatures.secrets_in(secret)
    response = signatures.hmac_hex((rotated or [whole])[0], code.encode())
    return Welcome(json.dumps({"challengeCode": code, "challengeResponse": response}).encode())


def questions(submission: Submission, form: Form, token: str) -> list[fetches.Question]:
    """The answers, and the form whose questions they answer."""
    del form
    event = reading.mapping_in(reading.json_in(submission), "the body")
    headers = _headers(token)
    response, lead_form = _id_in(event, "leadGenFormResponse"), _id_in(event, "leadGenForm")
    return [
        fetches.Question(f"/leadFormResponses/{response}", headers),
        fetches.Question(f"/leadForms/{lead_form}", headers),
    ]


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead of a notification; without LinkedIn's answer, its ids. A deleted lead is nobody new: counted only."""
    delivery, answered = fetches.delivery_and_answers(submission)
    event = reading.mapping_in(delivery, "the body")
    response_id = _id_in(event, "leadGenFormResponse")
    action = str(event.get("leadAction") or "CREATED")
    key = f"{response_id}.{event.get('occurredAt') or ''}.{action}"
    submitted_at = reading.instant_in(event.get("occurredAt"))
    if action != "CREATED":
        return ParsedSubmission(GenericLead(), key, submitted_at, is_test=True)
    ids = {name: str(event[name]) for name in _EVENT if isinstance(event.get(name), str)}
    if answered is None:
        return ParsedSubmission(fetches.incomplete_lead(ids), key, submitted_at, is_incomplete=True)
    response, lead_form = (*answered, {}, {})[:2]
    payload = _payload(response, lead_form, ids, form)
    is_test = response.get("testLead") is True
    return ParsedSubmission(
        reading.lead_or_nobody(payload) if is_test else generic_lead(payload),
        key,
        reading.instant_in(response.get("submittedAt")) or submitted_at,
        is_test,
        listed_as=f"{response_id}.{response['submittedAt']}" if response.get("submittedAt") else None,
    )


def listed(wanted: lists.Wanted, ask: lists.Ask) -> Iterator[lists.Listed]:
    """The responses to the forms of an ad account or an organization (`urn:li:sponsoredAccount:1`), each with its questions."""
    kind = wanted.name.rpartition(":")[0].rpartition(":")[2]
    lead_type = "SPONSORED" if kind == "sponsoredAccount" else "COMPANY"
    since, until = lists.seconds(wanted.since) * 1000, lists.seconds(wanted.until) * 1000 + 1000
    headers, start = _headers(wanted.token), 0
    # LinkedIn's own notation of a query: its brackets and colons are not to be escaped, those in a URN are.
    about = (
        f"q=owner&owner=({kind}:{quote(wanted.name, safe='')})&leadType=(leadType:{lead_type})"
        f"&submittedAtTimeRange=(start:{since},end:{until})&count={_PAGE}"
    )

    def question(offset: str) -> fetches.Question:
        return fetches.Question(f"/leadFormResponses?{about}&start={offset or 0}", headers)

    def next_start(page: Mapping[str, Any]) -> str:
        nonlocal start
        count = len(lists.entries_in(page, "elements"))
        start += count
        total = reading.mapping_or_nothing(page.get("paging")).get("total")
        is_last = start >= total if isinstance(total, int) and total else count < _PAGE
        return "" if is_last or not count else str(start)

    lead_forms: dict[str, Any] = {}
    for page in lists.pages(ask, question, next_start):
        for entry in lists.entries_in(page, "elements"):
            if lists.is_before(entry, "submittedAt", wanted.since):
                continue
            found = _URN_ID.search(
                str(reading.mapping_or_nothing(entry).get("versionedLeadGenFormUrn") or "")
            )
            if found and found[1] not in lead_forms:
                lead_forms[found[1]] = ask(fetches.Question(f"/leadForms/{found[1]}", headers))
            yield _as_delivered(entry, lead_forms.get(found[1], {}) if found else {})


def _as_delivered(entry: Any, lead_form: Any) -> lists.Listed:
    response = reading.mapping_or_nothing(entry)
    identity, at = fetches.id_in(response.get("id")), response.get("submittedAt")
    event = {
        "type": "LEAD_ACTION",
        "leadGenFormResponse": f"urn:li:leadGenFormResponse:{identity}",
        "leadGenForm": response.get("versionedLeadGenFormUrn"),
        "owner": response.get("owner"),
        "leadType": response.get("leadType"),
        "leadAction": "CREATED",
        "occurredAt": at,
    }
    body = {"delivery": event, "answers": [entry, lead_form]}
    return lists.Listed(identity, body, reading.instant_in(at), {FETCH_HEADER: "complete"})


def _headers(token: str) -> dict[str, str]:
    return {**lists.bearer(token), "LinkedIn-Version": _VERSION, "X-Restli-Protocol-Version": "2.0.0"}


def _id_in(event: Mapping[str, Any], name: str) -> str:
    """The id in a URN, which may stand inside another one (a form with its version)."""
    found = _URN_ID.search(str(event.get(name) or ""))
    if found is None:
        raise UnreadableSubmission(f"{name} is no URN of LinkedIn's, so nobody can be asked for")
    return found[1]


def _payload(
    response: Mapping[str, Any], lead_form: Mapping[str, Any], ids: Mapping[str, str], form: Form
) -> dict[str, Any]:
    questions = {str(question.get("questionId")): question for question in _questions(lead_form)}
    payload: dict[str, Any] = {}
    custom: dict[str, Any] = dict(ids)
    named: dict[str, Any] = {}
    for answer in _answers(response):
        question = questions.get(str(answer.get("questionId")), {})
        predefined, label = str(question.get("predefinedField") or ""), _label_of(question)
        value = _value_of(answer, question)
        if value is None:
            continue
        given = question.get("name")
        names = [predefined, label, given if isinstance(given, str) else "", str(answer.get("questionId"))]
        names = [name for name in names if name]
        for name in names:
            named.setdefault(name.casefold(), value)
        if any(
            one.removeprefix("question:").casefold() == name.casefold()
            for one in form.fields.values()
            for name in names
        ):
            continue
        field = (
            _FIELD_BY_PREDEFINED.get(predefined)
            or lead_field_named(predefined)
            or answers.field_asked_for(label, value)
        )
        if field is None or payload.get(field) is not None:
            custom[(label or predefined or names[-1])[:200]] = value
        else:
            payload[field] = value
    for name, value in _beside_the_answers(response, lead_form):
        field = lead_field_named(name)
        if field is None or payload.get(field) is not None:
            custom.setdefault(name[:200], value)
        else:
            payload[field] = value
    payload["custom"] = custom

    def selected(kind: str, name: str) -> Any:
        return (ids.get(name) or response.get(name)) if kind == "key" else named.get(name.casefold())

    reading.place_fields(payload, form, selected)
    return payload


def _beside_the_answers(
    response: Mapping[str, Any], lead_form: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """The form's hidden fields, the boxes that were ticked, and the campaign the lead is from."""
    content = reading.mapping_or_nothing(lead_form.get("content"))
    inner = reading.mapping_or_nothing(response.get("formResponse"))
    for holder in (inner, response, lead_form, content):
        for hidden in reading.items_in(holder.get("hiddenFields")):
            if hidden.get("name") and hidden.get("value") not in (None, ""):
                yield str(hidden["name"]), hidden["value"]
    for place, box in enumerate(reading.items_in(inner.get("consentResponses"))):
        if isinstance(box.get("accepted"), bool):
            yield f"consent {box.get('consentId')}" if place else "consent", box["accepted"]
    metadata = reading.mapping_or_nothing(response.get("leadMetadataInfo"))
    of_ad = reading.mapping_or_nothing(metadata.get("sponsoredLeadMetadataInfo"))
    campaign = reading.mapping_or_nothing(of_ad.get("campaign")).get("name")
    if campaign:
        yield "campaign", campaign


def _questions(lead_form: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = reading.mapping_or_nothing(lead_form.get("content"))
    return reading.items_in(content.get("questions")) or reading.items_in(lead_form.get("questions"))


def _answers(response: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    inner = reading.mapping_or_nothing(response.get("formResponse"))
    return reading.items_in(inner.get("answers")) or reading.items_in(response.get("answers"))


def _label_of(question: Mapping[str, Any]) -> str:
    """What the question is called, in the first language it has."""
    for name in ("label", "question", "name"):  # a name is for whoever built the form
        found = next(_texts_in(question.get(name)), None)
        if isinstance(found, str):
            return found
    return ""


def _value_of(answer: Mapping[str, Any], question: Mapping[str, Any]) -> Any:
    """What was answered. Sources differ in where it stands (`answerDetails.textQuestionAnswer.answer`, `accepted…`)."""
    given = {name: value for name, value in answer.items() if name not in ("questionId", "name")}
    options = {
        str(option.get("id")): next(_texts_in(option.get("text")), option.get("id"))
        for option in reading.items_in(_options_of(question))
    }
    found = [options.get(str(value), value) for value in _texts_in(given)]
    return found[0] if len(found) == 1 else ", ".join(map(str, found)) or None


def _options_of(question: Mapping[str, Any]) -> Any:
    details = reading.mapping_or_nothing(question.get("questionDetails"))
    choices = reading.mapping_or_nothing(details.get("multipleChoiceQuestionDetails"))
    return choices.get("options") or question.get("options")


def _texts_in(value: Any) -> Iterator[Any]:
    """Every text and number in a value, whatever it is wrapped in; not the locale that LinkedIn wraps texts with."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in ("preferredLocale", "locale", "type"):
                yield from _texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_in(inner)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool) and value != "":
        yield value
