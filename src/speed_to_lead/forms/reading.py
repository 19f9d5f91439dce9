"""Reading what form tools send: JSON and form bodies with limits, instants in every notation, chosen fields."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from speed_to_lead.core.submission import (
    LEAD_FIELDS,
    Form,
    GenericLead,
    Submission,
    UnreadableSubmission,
    generic_lead,
)

#: The web takes no larger body; other programs may add to the queue, so it is asked again here.
MAX_BODY_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_FORM_FIELDS = 1000
#: HubSpot's fullest contacts, with a history of each property, have about thirty thousand values in a body this large.
MAX_VALUES = 50_000
#: In one object: a contact may have a thousand properties.
MAX_NAMES = 2000

#: Beyond this, JSON readers in Lua and JavaScript round: larger whole numbers (Google's and Jotform's ids) are kept as text.
_LARGEST_EXACT_INTEGER = 2**53

_GZIP = b"\x1f\x8b"
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def json_in(submission: Submission) -> Any:
    """The body as JSON that can be stored and compared: no NaN, no endless nesting, no flood of values, no half characters.

    NaN, Infinity and numbers too large for a float or for 53 bits are kept as text; of a repeated key the last
    value counts. Raises UnreadableSubmission with line and column.
    """
    return json_of(_text_of(submission.body), "the body")


def json_of(text: str, what: str) -> Any:
    """The same, of a text that is only a part of a body; `what` names it where it cannot be read."""
    try:
        value = _read_json(text)
    except json.JSONDecodeError as error:
        # `from None`: the error carries the whole text.
        raise UnreadableSubmission(
            f"{what} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise UnreadableSubmission(f"the JSON is nested more than {MAX_DEPTH} deep") from None
    # Walking every value costs as much as parsing: only where there are enough marks for a flood.
    if text.count("{") + text.count("[") > MAX_DEPTH or text.count(",") >= MAX_NAMES:
        _refuse_floods(value)
    # So does this; half characters can only come from such an escape.
    return _with_whole_text(value) if _SURROGATE_ESCAPE.search(text) else value


def list_in(submission: Submission) -> list[Any]:
    """The JSON list that the body is; an empty one where it is something else, which costs a look at one byte."""
    if submission.body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] != b"[":
        return []
    value = json_in(submission)
    return value if isinstance(value, list) else []


def form_fields_in(submission: Submission) -> dict[str, Any]:
    """The body as an urlencoded form; a name sent several times has the list of its different values."""
    text = _text_of(submission.body, older_pages=True)
    try:
        pairs = parse_qsl(
            text.strip(), keep_blank_values=True, errors="replace", max_num_fields=MAX_FORM_FIELDS
        )
    except ValueError:
        raise UnreadableSubmission(f"the form has more than {MAX_FORM_FIELDS} fields") from None
    return by_name(pairs)


def by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The values by name; the list of its different values where a name was sent several times."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        seen = values.setdefault(name, [])
        if value not in seen:
            seen.append(value)
    return {name: seen[0] if len(seen) == 1 else seen for name, seen in values.items()}


def mapping_in(value: Any, what: str) -> Mapping[str, Any]:
    """The JSON object this value is; raises UnreadableSubmission naming what should have been one."""
    if not isinstance(value, Mapping):
        raise UnreadableSubmission(f"{what} is {_kind(value)}, not a JSON object")
    return value


def mapping_or_nothing(value: Any) -> Mapping[str, Any]:
    """The JSON object this value is; an empty one where it is none."""
    return value if isinstance(value, Mapping) else {}


def items_in(value: Any) -> list[Mapping[str, Any]]:
    """The objects in a list; nothing where there is no list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def key_in(*candidates: Any) -> str | None:
    """The first of these that can be a form tool's own key: text, or a whole number; None where none is."""
    for given in candidates:
        if isinstance(given, (str, int)) and not isinstance(given, bool) and str(given).strip():
            return str(given).strip()
    return None


def instant_in(value: Any) -> datetime | None:
    """The instant a form means, in UTC: ISO 8601 (UTC where no offset is given) or Unix seconds, ms or µs; else None."""
    try:
        if isinstance(value, str) and not re.fullmatch(r"\s*[0-9]{9,17}(\.[0-9]+)?\s*", value):
            given = datetime.fromisoformat(value.strip())
            instant = given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
        elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
            seconds = float(value)
            for too_large in (1e11, 1e14):
                seconds = seconds / 1000 if float(value) >= too_large else seconds
            instant = datetime.fromtimestamp(seconds, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return instant if 2000 <= instant.year < 2200 else None


def place_fields(payload: dict[str, Any], form: Form, selected: Callable[[str, str], Any]) -> None:
    """Writes what `form.fields` chooses over what was found; `selected(kind, name)` looks a selector up.

    A target that is no field of the generic lead, or is written `custom.NAME`, becomes a custom field. A
    selector that finds nothing leaves what was found: only answered questions are sent.
    """
    custom = payload.setdefault("custom", {})
    for target, selector in form.fields.items():
        kind, colon, name = selector.partition(":")
        value = selected(kind, name) if colon else selected("", selector)
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        if target in LEAD_FIELDS:
            payload[target] = value
        else:
            custom[target.removeprefix("custom.")] = value


def form_text(value: bytes) -> str:
    """Text of a form: HTML forms of pages that are not in UTF-8 send Windows' Western European."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")


def whole_text(text: str) -> str:
    """The text without half characters (JSON can hold the half of an emoji), so that it can be encoded and stored."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def lead_or_nobody(payload: Mapping[str, Any]) -> GenericLead:
    """The lead of a delivery that is never routed: an empty one where nobody can be found in it."""
    try:
        return generic_lead(payload)
    except UnreadableSubmission:
        return GenericLead()


def _text_of(body: bytes, *, older_pages: bool = False) -> str:
    if len(body) > MAX_BODY_BYTES:
        raise UnreadableSubmission(f"the body has {len(body)} bytes; at most {MAX_BODY_BYTES} are read")
    if not body.strip():
        raise UnreadableSubmission("the body is empty")
    if body.startswith(_GZIP):
        # It is never unpacked: a kilobyte can become a gigabyte.
        raise UnreadableSubmission("the body is compressed (gzip); send it without Content-Encoding")
    try:
        return body.removeprefix(b"\xef\xbb\xbf").decode()  # Python's own utf-8-sig takes ten times as long
    except UnicodeDecodeError as error:
        if older_pages:
            return form_text(body)
        raise UnreadableSubmission(
            f"the body is not UTF-8: byte {error.start} of {len(body)} cannot be read"
        ) from None


def _integer_or_text(digits: str) -> int | str:
    if len(digits) > 17:
        return digits
    number = int(digits)
    return number if abs(number) <= _LARGEST_EXACT_INTEGER else digits


def _float_or_text(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


#: Made once: `json.loads` would make one for each body. Whoever reads leads from files reads their numbers with it, too.
DECODER = json.JSONDecoder(parse_constant=str, parse_int=_integer_or_text, parse_float=_float_or_text)
_read_json = DECODER.decode


def _refuse_floods(value: Any) -> None:
    """Raises UnreadableSubmission for what nobody filled in: too deep, too many values, too many names in one object."""
    level = [value] if isinstance(value, (dict, list)) else []
    values = 0
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        values += sum(map(len, level))
        if values > MAX_VALUES:
            raise UnreadableSubmission(f"the JSON holds more than {MAX_VALUES} values")
        if any(len(outer) > MAX_NAMES for outer in level if isinstance(outer, dict)):
            raise UnreadableSubmission(f"an object of the JSON has more than {MAX_NAMES} names")
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
    raise UnreadableSubmission(f"the JSON is nested more than {MAX_DEPTH} deep")


def _with_whole_text(value: Any) -> Any:
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, dict):
        return {whole_text(name): _with_whole_text(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_whole_text(inner) for inner in value]
    return value


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "text", bool: "true or false", type(None): "missing"}
    return kinds.get(type(value), "a number")
