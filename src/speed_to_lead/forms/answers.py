"""Answers: what a delivery says, one by one, and which field of the lead each of them is.

A form tool's file makes `Answer`s of its delivery; `payload_of` places them, the surest hint first: what the tool says
itself, the name that whoever built the form gave, the type of the field, words in the name or the title. What nobody
knows a field for is kept under `custom`, by its name. `fields` in `intake.toml` comes before all of it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

from speed_to_lead.core.submission import Form, UnreadableSubmission, lead_field_named, usable_value
from speed_to_lead.forms import reading, titles
from speed_to_lead.forms.answer import Answer, Sort, parts_of, squashed, text_of

#: What is longer is no address of a page.
_LONGEST_QUERY = 4000
#: No form asks more, and each is looked at several times.
MAX_ANSWERS = reading.MAX_FORM_FIELDS

#: What tells where a visitor came from. It stands in hidden fields, and in the address of the page with the form.
_TRACKING = frozenset({
    "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id",
    "gclid", "gbraid", "wbraid", "fbclid", "msclkid", "li_fat_id", "ttclid",
})  # fmt: skip

#: What a captcha adds to a form, a kilobyte that nobody answered.
_CAPTCHAS = ("g-recaptcha-response", "h-captcha-response", "cf-turnstile-response")

_FIELD_BY_SORT = {Sort.EMAIL: "email", Sort.PHONE: "phone", Sort.CONSENT: "consent"}

#: A yes/no question about a company is not the company: only these can be what the words of a title ask for.
_FIELDS_BY_SORT = {
    Sort.LONG_TEXT: frozenset({"message"}),
    Sort.PICKED: frozenset(
        {"employees", "industry", "country", "region", "title", "budget", "timeline", "consent"}
    ),
    Sort.NUMBER: frozenset({"employees", "budget", "phone"}),
    Sort.LINK: frozenset({"website", "landing_page", "referrer"}),
    Sort.CONSENT: frozenset({"consent"}),
    Sort.HIDDEN: _TRACKING | {"landing_page", "referrer"},
    Sort.OTHER: frozenset[str](),
}

#: What a box that was ticked, or a question that can be answered with yes or no, sends.
_YES_OR_NO = frozenset({
    "yes", "no", "true", "false", "on", "off", "1", "0", "checked", "ja", "nein", "oui", "non", "si", "sí", "sì", "sim",
    "não", "nao", "nee", "y", "n",
})  # fmt: skip
_ADDRESS = re.compile(r"[^@\s,;<>]{1,64}@[^@\s,;<>]{1,255}\.[^@\s,;<>.]{2,63}")
#: A number as people write it: with its country's code, with a leading zero, or in groups. A date is none.
_NUMBER = re.compile(r"(?!\d{4}-\d\d-\d\d)(\+|0|\()[\d ()./-]{6,20}|\d{3}[ .-]\d{3,4}[ .-]\d{4}")
_NO_NAME = re.compile(r"[\d.]*")
_HAS_A_LETTER = re.compile(r"[^\W\d_]")
_TEST_MARKS = {"istest": ("true", "1"), "test": ("true",)}


def payload_of(given: Iterable[Answer], form: Form, selectors: Mapping[str, str]) -> dict[str, Any]:
    """The payload of the generic lead. `selectors` says which attribute of an answer each kind of selector asks for.

    Raises UnreadableSubmission where there are more answers than any form has questions.
    """
    whole = list(islice(given, MAX_ANSWERS + 1))
    if len(whole) > MAX_ANSWERS:
        raise UnreadableSubmission(f"the delivery has more than {MAX_ANSWERS} answers")
    answers = [
        part
        for answer in whole
        for part in parts_of(answer)
        if not (part.name or part.title).startswith(_CAPTCHAS)
    ]
    meant: list[Answer] = []

    def selected(kind: str, name: str) -> Any:
        attribute = selectors.get(kind or next(iter(selectors)))
        answer = _chosen(answers, attribute, name)
        if answer is not None:
            meant.append(answer)
            return answer.value
        composed = _chosen(whole, attribute, name)  # a name or an address, asked for as a whole
        return None if composed is None else text_of(composed.value)

    by_choice: dict[str, Any] = {}
    reading.place_fields(by_choice, form, selected)
    found, rest = _placed([answer for answer in answers if not any(answer is one for one in meant)])
    _tell_name_parts(found)
    read_tracking(found)
    return {**found, **by_choice, "custom": {**_named(rest), **by_choice["custom"]}}


def is_test(given: Iterable[Answer]) -> bool:
    """Whether the form marks this submission as a test: a field named `is_test` or `test` that holds `true`."""
    for answer in given:
        for name in (answer.name, answer.title):
            marks = _TEST_MARKS.get(squashed(name)) if len(name) < 16 else None
            if marks and text_of(answer.value).casefold() in marks:
                return True
    return False


def by_name(values: Mapping[str, Any], skipped: Iterable[str] = ()) -> Iterator[Answer]:
    """The answers of a tool that sends names and values and nothing else, without those it sends of itself."""
    left_out = frozenset(skipped)
    return (Answer(value, str(name)) for name, value in values.items() if name not in left_out)


def field_asked_for(question: str, value: Any) -> str | None:
    """The field that the words of a question ask for, where this can be its answer: "yes" is no company."""
    return _by_words(Answer(value, question))


def read_tracking(found: dict[str, Any]) -> None:
    """Adds what the address of the page says of where the visitor came from, where nothing else says it."""
    query = str(found.get("landing_page", "")).partition("?")[2].partition("#")[0]
    for name, value in parse_qsl(query[:_LONGEST_QUERY], errors="replace"):
        if name in _TRACKING:
            found.setdefault(name, value)


def _placed(answers: list[Answer]) -> tuple[dict[str, Any], list[Answer]]:
    """The fields, and the answers left over."""
    found: dict[str, Any] = {}
    ways: tuple[Callable[[Answer], str | None], ...] = (_as_told, _by_name, _by_own_sort, _by_words)
    for field_of in ways:
        answers = _placed_by(field_of, answers, found)
    # Where nothing says what anything is (Gravity Forms sends numbers for names), an address is known by its looks.
    for field, looks_right in (("email", _looks_like_an_address), ("phone", _looks_like_a_number)):
        alike = list(filter(looks_right, answers)) if field not in found else []
        if alike and (field == "email" or len(alike) == 1):
            found[field] = alike[0].value
            answers = [answer for answer in answers if answer is not alike[0]]
    if "email" not in found and "phone" not in found:  # who asks for a friend can be answered there only
        answers = _placed_by(_by_sort, answers, found)
    return found, answers


def _placed_by(
    field_of: Callable[[Answer], str | None], answers: list[Answer], found: dict[str, Any]
) -> list[Answer]:
    """Places what this way tells into fields that are empty still; the answers left over."""
    left = []
    for answer in answers:
        field = field_of(answer)
        value = None if field is None or field in found else usable_value(field, answer.value)
        if field is None or value is None:
            left.append(answer)
        else:
            found[field] = value
    return left


def _as_told(answer: Answer) -> str | None:
    return answer.field or None


def _by_name(answer: Answer) -> str | None:
    return lead_field_named(answer.name) or lead_field_named(answer.title)


def _by_own_sort(answer: Answer) -> str | None:
    is_own = answer.sort == Sort.CONSENT or not (
        titles.is_of_somebody_else(answer.name) or titles.is_of_somebody_else(answer.title)
    )
    return _by_sort(answer) if is_own else None


def _by_sort(answer: Answer) -> str | None:
    return _FIELD_BY_SORT.get(answer.sort)


def _by_words(answer: Answer) -> str | None:
    if isinstance(answer.value, Mapping):
        return None
    field = titles.field_named(answer.name) or titles.field_named(answer.title)
    if field is None or field not in _FIELDS_BY_SORT.get(answer.sort, (field,)):
        return None
    said = text_of(answer.value).casefold()
    if field != "consent" and (isinstance(answer.value, bool) or said in _YES_OR_NO):
        return None
    if field in ("country", "region", "city", "company", "name", "first_name", "last_name"):
        return field if _HAS_A_LETTER.search(said) else None
    return field


def _looks_like_an_address(answer: Answer) -> bool:
    may_be = answer.sort in (Sort.UNKNOWN, Sort.TEXT) and not titles.is_of_somebody_else(
        answer.name or answer.title
    )
    return may_be and isinstance(answer.value, str) and bool(_ADDRESS.fullmatch(answer.value))


def _looks_like_a_number(answer: Answer) -> bool:
    """Only where no name says what it is: a number with a name is what its name says."""
    unnamed = not answer.title and _NO_NAME.fullmatch(answer.name)
    return bool(unnamed) and isinstance(answer.value, str) and bool(_NUMBER.fullmatch(answer.value))


def _tell_name_parts(found: dict[str, Any]) -> None:
    """A "Name" beside a "Vorname" is the last name, a "Nome" beside a "Cognome" the first: it does not hold the other part."""
    for given, other in (("first_name", "last_name"), ("last_name", "first_name")):
        name, part = str(found.get("name", "")), str(found.get(given, ""))
        if name and part and other not in found and part.casefold() not in name.casefold():
            found[other] = found.pop("name")


def _chosen(answers: list[Answer], attribute: str | None, name: str) -> Answer | None:
    if attribute is None or not name:
        return None
    if attribute == "title":
        wanted = _folded(name)
        return next((answer for answer in answers if _folded(answer.title) == wanted), None)
    return next((answer for answer in answers if getattr(answer, attribute) == name), None)


def _named(answers: list[Answer]) -> dict[str, Any]:
    """What is left, each by its name; by its name and a number where several are called the same."""
    custom: dict[str, Any] = {}
    numbers: dict[str, int] = {}
    for answer in answers:
        name = answer.name or answer.title or answer.id or "unnamed"
        value = answer.value
        if isinstance(value, list) and not any(isinstance(item, (Mapping, list)) for item in value):
            value = ", ".join(map(str, value))
        free = name
        while free in custom:
            numbers[name] = numbers.get(name, 1) + 1
            free = f"{name} {numbers[name]}"
        custom[free] = value
    return custom


def _folded(title: str) -> str:
    return " ".join(title.split()).casefold()
