"""A body's fields, however the form tool writes them: JSON, urlencoded or multipart, with or without brackets in its names."""

import re
from collections.abc import Mapping
from typing import Any

from multipart import MultipartError, ParserLimitReached, PushMultipartParser, parse_options_header

from speed_to_lead.core.submission import Submission, UnreadableSubmission
from speed_to_lead.forms import reading

#: How deep `a[b][c]` may go: deeper, no form tool nests its names.
_DEEPEST_NAME = 8

_BRACKETED = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])+)")
_FIRST_BOUNDARY = re.compile(rb"--([^\r\n]{1,200}?)[ \t]{0,8}\r?\n[Cc]ontent-")


def fields_in(submission: Submission) -> Mapping[str, Any]:
    """The body's fields, however it is written: a JSON object (or a list of just one), multipart, or an urlencoded form.

    What a body begins with counts for more than what it is called. Names with brackets (`fields[email][value]`), as
    WordPress writes them, are nested.
    """
    content_type = submission.content_type.partition(";")[0].strip().casefold()
    start = submission.body.removeprefix(b"\xef\xbb\xbf").lstrip()[:2]
    if start[:1] in (b"{", b"["):
        return _object_in(submission)
    if content_type.startswith("multipart/") or (
        start == b"--" and _FIRST_BOUNDARY.match(submission.body.lstrip())
    ):
        return _nested(_multipart_fields_in(submission))
    if content_type.endswith(("/json", "+json")) or b"=" not in submission.body:
        return _object_in(submission)
    return _nested(reading.form_fields_in(submission))


def _object_in(submission: Submission) -> Mapping[str, Any]:
    value = reading.json_in(submission)
    if isinstance(value, list):
        if len(value) != 1:
            raise UnreadableSubmission(f"the body is a list of {len(value)} items; send one lead per request")
        value = value[0]
    return reading.mapping_in(value, "the body")


def _multipart_fields_in(submission: Submission) -> dict[str, Any]:
    """The body as multipart/form-data; of a file that was sent along, its name."""
    body = submission.body.lstrip()
    if len(body) > reading.MAX_BODY_BYTES:
        raise UnreadableSubmission(
            f"the body has {len(body)} bytes; at most {reading.MAX_BODY_BYTES} are read"
        )
    if not body:
        raise UnreadableSubmission("the body is empty")
    # Kept as text somewhere on the way, a body has lost the line ends that multipart asks for.
    has_bare_lines = b"\r\n" not in body
    if has_bare_lines:
        body = body.replace(b"\n", b"\r\n")
    pairs: list[tuple[str, str]] = []
    parser = PushMultipartParser(_boundary_of(submission, body), max_segment_count=reading.MAX_FORM_FIELDS)
    try:
        with parser:
            head, content = None, bytearray()
            for event in parser.parse(body):  # of each part: its head, pieces of its content, and None
                if isinstance(event, bytearray):
                    content += event
                elif event is not None:
                    head, content = event, bytearray()
                elif head is not None:
                    raw = content.replace(b"\r\n", b"\n") if has_bare_lines else content
                    value = head.filename or reading.form_text(bytes(raw))
                    pairs.append((reading.whole_text(head.name), reading.whole_text(value)))
    except ParserLimitReached:
        raise UnreadableSubmission(
            f"the multipart body has more than {reading.MAX_FORM_FIELDS} parts, or a part with too long a head"
        ) from None
    except MultipartError:
        # Its text may quote a line of the body.
        raise UnreadableSubmission(
            f"the multipart body is damaged or broken off; it could be read up to its part {len(pairs)}"
        ) from None
    return reading.by_name(pairs)


def _boundary_of(submission: Submission, body: bytes) -> bytes:
    """The boundary that the content type names, else the one the body begins with."""
    named = parse_options_header(submission.content_type)[1].get("boundary", "")
    boundary = str(named).encode("utf-8", "replace")
    if boundary and b"--" + boundary in body:
        return boundary
    found = _FIRST_BOUNDARY.match(body)
    if not found:
        raise UnreadableSubmission(
            "the multipart body does not begin with the boundary its content type names"
        )
    return found[1]


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """`a[b]=1&a[c]=2` as `{"a": {"b": 1, "c": 2}}`, and `a[]=1`, `a[0]=1` as a list; what contradicts itself stays as it was named."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        found = _BRACKETED.fullmatch(name)
        path = [found[1], *found[2][1:-1].split("][")] if found else [name]
        if len(path) > _DEEPEST_NAME or not _placed(nested, path, value):
            nested.setdefault(name, value)
    return {name: _listed(value) for name, value in nested.items()}


def _placed(nested: dict[str, Any], path: list[str], value: Any) -> bool:
    place = nested
    for part in path[:-1]:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            return False
        place = inner
    if path[-1] in place:
        return False
    place[path[-1]] = value
    return True


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(each) for name, each in value.items()}
    if inner.keys() == {""}:
        return inner[""]
    return list(inner.values()) if inner and all(name.isdecimal() for name in inner) else inner
