"""One answer of a delivery, and its value taken apart: names, numbers and addresses come in parts, lists and files as objects."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

from speed_to_lead.forms import titles


class Sort(StrEnum):
    """What sort of field an answer is from, as far as it tells what the answer can be."""

    UNKNOWN = "unknown"
    EMAIL = "email"
    PHONE = "phone"
    TEXT = "text"
    LONG_TEXT = "long text"
    PICKED = "picked"
    NUMBER = "number"
    LINK = "link"
    CONSENT = "consent"
    HIDDEN = "hidden"
    #: A date, a file, a payment: no field of the lead, whatever it is called.
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `name` was given by whoever built the form, `title` is what the visitor read, `id` and `type` are the tool's.

    `field` is the lead's, where the tool says so itself.
    """

    value: Any
    name: str = ""
    title: str = ""
    id: str = ""
    type: str = ""
    sort: Sort = Sort.UNKNOWN
    field: str = ""


#: What is longer is none of the names below, and not worth remembering.
_LONGEST_NAME = 64
_JOINT = re.compile(r"[\W_]+")
#: The parts of a name or an address, as Jotform, Fluent Forms, Formstack and Gravity Forms call them.
_FIELD_BY_PART = {
    "first": "first_name", "firstname": "first_name", "last": "last_name", "lastname": "last_name",
    "city": "city", "state": "region", "region": "region", "province": "region", "country": "country",
}  # fmt: skip
_NAME_PARTS = frozenset({
    "first", "firstname", "last", "lastname", "middle", "middlename", "prefix", "suffix", "initial",
})  # fmt: skip
_PHONE_PARTS = frozenset({"country", "area", "phone", "full", "ext", "extension"})
_ADDRESS_PARTS = frozenset({
    "addrline1", "addrline2", "addressline1", "addressline2", "street", "address", "address1", "address2", "postal",
    "postalcode", "zip", "city", "state", "region", "province", "country",
})  # fmt: skip
_FIELD_TYPES = {"email": Sort.EMAIL, "phone": Sort.PHONE, "tel": Sort.PHONE, "textarea": Sort.LONG_TEXT}


def text_of(value: Any) -> str:
    """What was written, of any value: the texts in an object or a list, one after another."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return " ".join(filter(None, map(text_of, value)))
    return "" if value is None else str(value).strip()


def parts_of(answer: Answer) -> Iterator[Answer]:
    """The answer as it can be placed: blanks left out, and names, numbers and addresses taken apart."""
    value = _cleaned(answer.value)
    if not isinstance(value, Mapping):
        if value is not None:
            yield answer if value is answer.value else replace(answer, value=value)
        return
    parts = {squashed(str(name).rpartition(".")[2]): each for name, each in value.items()}
    names = parts.keys()
    if "value" in names and names <= {
        "value",
        "rawvalue",
        "label",
        "title",
        "type",
        "fieldtype",
        "id",
        "name",
        "required",
    }:
        sort = _FIELD_TYPES.get(text_of(parts.get("type") or parts.get("fieldtype")), answer.sort)
        title = answer.title or text_of(parts.get("label") or parts.get("title"))
        yield from parts_of(replace(answer, value=parts["value"], title=title, sort=sort))
    elif names <= _PHONE_PARTS and names & {"phone", "full"}:
        yield replace(answer, value=text_of(parts.get("full") or list(parts.values())), sort=Sort.PHONE)
    elif names <= _NAME_PARTS or names <= _ADDRESS_PARTS:
        yield from _composed(answer, parts)
    elif names <= {"year", "month", "day"}:
        date = "-".join(text_of(parts[part]) for part in ("year", "month", "day") if part in parts)
        yield replace(answer, value=date, sort=Sort.OTHER)
    else:
        yield replace(answer, value=value, sort=Sort.OTHER)


def _composed(answer: Answer, parts: Mapping[str, Any]) -> Iterator[Answer]:
    """The parts of a name or an address; of an address the whole, too."""
    whose = answer.name or answer.title
    is_own = not titles.is_of_somebody_else(whose)
    is_address = not parts.keys() <= _NAME_PARTS
    for part, value in parts.items():
        if part in _FIELD_BY_PART or not is_address:
            field = _FIELD_BY_PART.get(part, "") if is_own else ""
            yield Answer(value, f"{whose}.{part}", sort=Sort.OTHER, field=field)
    if is_address:
        written = ", ".join(filter(None, map(text_of, parts.values())))
        yield replace(answer, value=written, sort=Sort.OTHER)


def _cleaned(value: Any) -> Any:
    """The value without what is blank in it; None where nothing is left. Of a list of files, their addresses."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, Mapping):
        return {name: each for name, inner in value.items() if (each := _cleaned(inner)) is not None} or None
    if isinstance(value, list):
        items = [each for inner in value if (each := _cleaned(inner)) is not None]
        files = [item.get("url") for item in items if isinstance(item, Mapping)]
        items = files if files and all(files) and len(files) == len(items) else items
        return items[0] if len(items) == 1 else items or None
    return value


def squashed(name: str) -> str:
    """The name without case, blanks and signs, as names are compared."""
    return _squashed_short(name[:_LONGEST_NAME])


@lru_cache(maxsize=4096)  # every delivery of a form has the same names
def _squashed_short(name: str) -> str:
    return _JOINT.sub("", name).casefold()
