"""Typeform: answers by `field.ref`, by the question's type, then by words in its title.

Signed with `Typeform-Signature: sha256=<base64 HMAC-SHA256 of the raw body>`; no timestamp is signed, so a replay
is recognised by `form_response.token`. https://www.typeform.com/developers/webhooks/secure-your-webhooks

Its list (the Responses API) has the same answers under the same tokens, but not the questions: these are asked for once.

Selectors in `intake.toml`: `ref:<ref>`, `id:<id>`, `title:<title>`, `type:<type>`, `hidden:<name>`, `variable:<key>`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from speed_to_lead.core.submission import (
    Form,
    ParsedSubmission,
    Submission,
    generic_lead,
    lead_field_named,
)
from speed_to_lead.forms import lists, reading, signatures, titles
from speed_to_lead.forms.fetches import Question
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
selectors: tuple[str, ...] = ("ref", "id", "title", "type", "hidden", "variable")
api_url = "https://api.typeform.com"
list_scope = "responses:read and forms:read"

#: Responses in one page of the list; Typeform gives a thousand at the most.
_PAGE = 200
#: What its answers need of a question.
_KEPT_OF_QUESTIONS = ("id", "ref", "type", "title")

_FIELD_BY_TYPE = {"email": "email", "phone_number": "phone", "website": "website", "legal": "consent"}

#: A yes/no question about a company is not the company: only these answers can be what a title asks for.
_PICKED_FIELDS = frozenset({"employees", "industry", "country", "region", "title", "budget", "timeline"})
_FIELDS_BY_ANSWER = {
    "choice": _PICKED_FIELDS,
    "choices": _PICKED_FIELDS,
    "number": frozenset({"employees", "budget"}),
    "url": frozenset({"website"}),
    "email": frozenset({"email"}),
    "phone_number": frozenset({"phone"}),
}

#: What Typeform's share dialog writes where a value belongs (`#utm_source=xxxxx`), and people leave.
_UNFILLED_HIDDEN_FIELD = "xxxxx"

#: A ref that nobody chose: what Typeform gives a question says nothing to whoever reads the lead.
_GIVEN_REF = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9A-HJKMNP-TV-Z]{26}")
_LONGEST_NAME = 200
#: The parts of "Contact info" and "Address", by the keys Typeform has for them; the others are fields by their own names.
_FIELD_BY_PART = {"phone_number": "phone", "state": "region"}

#: What a title repeats of an earlier answer. No brace inside: `.*?` would read a title of "{{{{…" anew from each brace.
_RECALLED = re.compile(r"\{\{[^{}]*\}\}")


@dataclass(frozen=True, slots=True)
class _Answer:
    ref: str
    id: str
    title: str
    part: str
    field_type: str
    answer_type: str
    value: Any


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why the request does not carry Typeform's signature of its body."""
    del now  # Typeform signs no time
    given = request.headers.get("typeform-signature", "").strip()
    if not given:
        return "the header Typeform-Signature is missing; is a secret set in the webhook's settings?"

    def expected(key: bytes) -> Iterator[str]:
        yield f"sha256={signatures.hmac_sha256_base64(key, request.body)}"

    return None if signatures.any_matches((given,), secret, expected) else "Typeform-Signature does not match"


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in a form response.

    Every other event (`form_response_partial`: somebody who has not pressed "submit") is marked as a test: counted,
    never routed. It has no same-submission key, because the finished response carries the same token.
    """
    delivery = reading.mapping_in(reading.json_in(submission), "the body")
    response = reading.mapping_in(delivery.get("form_response"), "form_response")
    payload = _payload(response, form)
    if delivery.get("event_type", "form_response") != "form_response":
        return ParsedSubmission(reading.lead_or_nobody(payload), is_test=True)
    token = response.get("token")
    return ParsedSubmission(
        generic_lead(payload),
        same_submission_key=token if isinstance(token, str) and token else None,
        submitted_at=reading.instant_in(response.get("submitted_at")),
    )


def listed(wanted: lists.Wanted, ask: lists.Ask) -> Iterator[lists.Listed]:
    """The finished responses of a form, newest first."""
    headers = lists.bearer(wanted.token)
    definition = reading.mapping_or_nothing(ask(Question(f"/forms/{wanted.name}", headers)))
    fields = [
        {name: question.get(name) for name in _KEPT_OF_QUESTIONS} for question in _questions(definition)
    ]
    questions = {"id": wanted.name, "title": definition.get("title"), "fields": fields}

    def question(token: str) -> Question:
        # A number, because Typeform takes no time zone here.
        about = {
            "page_size": _PAGE,
            "since": lists.seconds(wanted.since),
            **({"before": token} if token else {}),
        }
        return Question(f"/forms/{wanted.name}/responses?{urlencode(about)}", headers)

    def next_token(page: Mapping[str, Any]) -> str:
        entries = lists.entries_in(page, "items")
        is_last = len(entries) < _PAGE and page.get("page_count") in (None, 0, 1)
        if is_last or not entries:
            return ""
        last = next((token for entry in reversed(entries) if (token := _token_of(entry))), "")
        if not last:
            raise lists.Unanswered(
                "no response of a page has a token, so nobody can say where the next one begins"
            )
        return last

    for page in lists.pages(ask, question, next_token):
        for entry in lists.entries_in(page, "items"):
            if lists.is_before(entry, "submitted_at", wanted.since):
                continue
            token, body = _token_of(entry), entry
            if isinstance(entry, Mapping):
                body = {**entry, "token": token, "form_id": wanted.name, "definition": questions}
            at = reading.instant_in(reading.mapping_or_nothing(entry).get("submitted_at"))
            yield lists.Listed(token, {"event_type": "form_response", "form_response": body}, at)


def _token_of(entry: Any) -> str:
    response = reading.mapping_or_nothing(entry)
    return reading.whole_text(reading.key_in(response.get("token"), response.get("response_id")) or "")


def _payload(response: Mapping[str, Any], form: Form) -> dict[str, Any]:
    answers = list(_answers(response))
    hidden = reading.mapping_or_nothing(response.get("hidden"))
    variables = {str(v.get("key")): _value_of(v) for v in reading.items_in(response.get("variables"))}
    chosen = {selector: _first_chosen(answers, selector) for selector in form.fields.values()}
    rest = [answer for answer in answers if answer not in chosen.values()]

    payload = _placed(rest)
    custom = payload["custom"]
    for name, value in hidden.items():
        known = lead_field_named(name)
        if value == _UNFILLED_HIDDEN_FIELD or f"hidden:{name}" in chosen:
            continue
        if known is None or known in payload:
            custom.setdefault(name, value)
        else:
            payload[known] = value
    score = reading.mapping_or_nothing(response.get("calculated")).get("score")
    custom.update({} if score is None else {"score": score})
    for key, value in variables.items():
        custom.setdefault(key, value)

    def selected(kind: str, name: str) -> Any:
        if kind in ("hidden", "variable"):
            return (hidden if kind == "hidden" else variables).get(name)
        answer = chosen.get(f"{kind}:{name}" if kind else name)
        return answer.value if answer else None

    reading.place_fields(payload, form, selected)
    return payload


def _placed(answers: list[_Answer]) -> dict[str, Any]:
    """The answers whose field is known, and the others under `custom`, by their ref.

    Refs are chosen by whoever built the form, types by Typeform, titles by nobody for us: in that order.
    """
    payload: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    for field_of in (_by_part, _by_ref, _by_own_type, _by_title, _by_type):
        left = []
        for answer in answers:
            field = field_of(answer)
            if field is None or field in payload or (field_of is _by_type and _is_reachable(payload)):
                left.append(answer)
            else:
                payload[field] = answer.value
        answers = left
    for answer in answers:
        title = " ".join(answer.title.split()).strip("*_ ")[:_LONGEST_NAME]
        chosen = "" if _GIVEN_REF.fullmatch(answer.ref) else answer.ref
        name = chosen or (title if title not in custom else "") or answer.ref or answer.id
        custom.setdefault(name, answer.value)
    return {**payload, "custom": custom}


def _answers(response: Mapping[str, Any]) -> Iterator[_Answer]:
    asked = {str(question.get("id")): question for question in _questions(response.get("definition"))}
    for answer in reading.items_in(response.get("answers")):
        field = reading.mapping_or_nothing(answer.get("field"))
        value = _value_of(answer)
        if value is None or value == "":
            continue
        identity = str(field.get("id") or "")
        question = asked.get(identity, {})
        yield _Answer(
            ref=str(field.get("ref") or ""),
            id=identity,
            title=_RECALLED.sub(" ", str(question.get("title") or "")).strip(),
            part=str(question.get("subfield_key") or ""),
            field_type=str(field.get("type") or ""),
            answer_type=str(answer.get("type") or ""),
            value=value,
        )


def _questions(definition: Any) -> Iterator[Mapping[str, Any]]:
    """The questions of a form; those of a group (contact info, an address, a matrix) stand inside it."""
    for question in reading.items_in(reading.mapping_or_nothing(definition).get("fields")):
        yield question
        yield from _questions(question.get("properties"))


def _value_of(answer: Mapping[str, Any]) -> Any:
    """The value under the key its type names; what was picked, as text; what was paid, as its amount."""
    kind = str(answer.get("type") or "")
    value = answer.get(kind)
    if not isinstance(value, Mapping):
        return value
    if kind == "choice":
        return value.get("label") or value.get("other")
    if kind == "choices":
        labels = value.get("labels")
        picked = [*(labels if isinstance(labels, list) else []), value.get("other")]
        return ", ".join(str(label) for label in picked if label) or None
    if kind == "payment":
        return value.get("amount")
    return value


def _is_reachable(payload: Mapping[str, Any]) -> bool:
    return "email" in payload or "phone" in payload


def _by_part(answer: _Answer) -> str | None:
    return lead_field_named(_FIELD_BY_PART.get(answer.part, answer.part))


def _by_ref(answer: _Answer) -> str | None:
    return lead_field_named(answer.ref)


def _by_own_type(answer: _Answer) -> str | None:
    field = _by_type(answer)
    return None if field != "consent" and titles.is_of_somebody_else(answer.title) else field


def _by_type(answer: _Answer) -> str | None:
    """Of somebody else's address, too: where there is no other, it is who can be answered."""
    return _FIELD_BY_TYPE.get(answer.field_type) or _FIELD_BY_TYPE.get(answer.answer_type)


def _by_title(answer: _Answer) -> str | None:
    field = titles.field_asked_for(answer.title.strip("*_ "))
    if answer.answer_type == "text":
        return field if answer.field_type != "long_text" or field == "message" else None
    return field if field in _FIELDS_BY_ANSWER.get(answer.answer_type, frozenset()) else None


def _first_chosen(answers: list[_Answer], selector: str) -> _Answer | None:
    kind, _, name = selector.partition(":") if ":" in selector else ("ref", "", selector)
    if kind == "title":
        name = _folded(_RECALLED.sub(" ", name))

    def is_meant(answer: _Answer) -> bool:
        return name == {
            "ref": answer.ref,
            "id": answer.id,
            "type": answer.field_type,
            "title": _folded(answer.title),
        }.get(kind)

    return next(filter(is_meant, answers), None) if name else None


def _folded(title: str) -> str:
    return " ".join(title.split()).casefold()
