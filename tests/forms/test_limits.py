"""What one body can cost: the worst that fits into a mebibyte is read or refused in about the time a large lead takes."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speed_to_lead.core.conditions import parse_condition
from speed_to_lead.core.facts import Facts
from speed_to_lead.core.submission import (
    LONGEST_VALUE,
    Form,
    ParsedSubmission,
    Submission,
    UnreadableSubmission,
)
from speed_to_lead.core.values import host_of, number_range
from speed_to_lead.forms import PROVIDERS, read
from speed_to_lead.forms.reading import MAX_FORM_FIELDS, MAX_NAMES, MAX_VALUES

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SIZE = 1_000_000
#: Generous: on a busy machine these take up to half a second. What was quadratic took minutes.
SECONDS = 5.0
ADDRESS = '"email": "ana@example.com"'


def outcome(
    body: str | bytes, provider: str, content_type: str = "application/json"
) -> ParsedSubmission | str:
    """The lead, or the reason there is none; nothing else is raised, and it does not take long."""
    raw = body.encode() if isinstance(body, str) else body
    began = time.perf_counter()
    try:
        found: ParsedSubmission | str = read(
            Submission("x", "f", NOW, raw, content_type), Form("f", provider, "none")
        )
    except UnreadableSubmission as reason:
        found = str(reason)
    assert time.perf_counter() - began < SECONDS
    assert not isinstance(found, str) or len(found) < 2000
    return found


def question(title: str) -> str:
    """A Typeform delivery with one question of this title."""
    field = {"id": "a", "type": "short_text", "ref": "q"}
    answers = [
        {"type": "text", "text": "x", "field": field},
        {"type": "email", "email": "ana@example.com", "field": {"id": "b", "type": "email"}},
    ]
    definition = {"fields": [{"id": "a", "title": title}]}
    return json.dumps({"form_response": {"definition": definition, "answers": answers}})


FLOODS = {
    "lists": "[" * SIZE,
    "objects": '{"a":' * (SIZE // 5),
    "numbers": "[" + "1," * (SIZE // 2 - 2) + "1]",
    "empty objects": "[" + "{}," * (SIZE // 3 - 2) + "{}]",
    "integer": f'{{{ADDRESS}, "x": {"9" * (SIZE - 50)}}}',
    "negative integer": f'{{{ADDRESS}, "x": -{"9" * (SIZE - 50)}}}',
    "fraction": f'{{{ADDRESS}, "x": 1.{"9" * (SIZE - 50)}}}',
    "exponent": f'{{{ADDRESS}, "x": 1e{"9" * (SIZE - 50)}}}',
    "names": f"{{{ADDRESS},{','.join(f'{chr(34)}k{n}{chr(34)}:1' for n in range(80_000))}}}",
    "one name again and again": "{" + ",".join([ADDRESS] * (SIZE // 30)) + "}",
    "half characters": f'{{{ADDRESS}, "x": "{chr(92)}ud800' + "\\ud800" * (SIZE // 6 - 20) + '"}',
    "long name": f'{{{ADDRESS}, "{"k" * (SIZE - 100)}": 1}}',
    "at signs": json.dumps({"email": "@" * (SIZE - 50)}),
    "angle brackets": json.dumps({"email": "<" * (SIZE - 50)}),
    "digits": json.dumps({"phone": "1" * (SIZE - 50), "submitted_at": "1" * 100}),
    "blanks": json.dumps({"email": "ana@example.com", "submitted_at": " " * (SIZE - 100)}),
    "nul": b"\x00" * SIZE,
    "gzip": b"\x1f\x8b" + b"\x00" * 1000,
    "braces": question("{{" * 400_000),
    "braces and letters": question("{{a" * 300_000),
    "closing braces": question("}}{{" * 200_000),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("body", FLOODS.values(), ids=FLOODS)
def test_the_worst_a_body_can_be(provider: str, body: str | bytes) -> None:
    """A lead or a reason, in time."""
    outcome(body, provider)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a=b&" * (SIZE // 4), f"more than {MAX_FORM_FIELDS} fields"),
        ("email=ana%40example.com&x=" + "%" * (SIZE - 80), ""),
        ("email=ana%40example.com&x=" + "+" * (SIZE - 80), ""),
    ],
)
def test_the_worst_a_form_can_be(content: str, reason: str) -> None:
    """Counted before it is taken apart."""
    found = outcome(content, "generic", "application/x-www-form-urlencoded")
    assert (reason in found) if isinstance(found, str) else not reason


MULTIPART = "multipart/form-data; boundary=x"
URLENCODED = "application/x-www-form-urlencoded"
PART = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
FORM_FLOODS = {
    "open brackets": ("a" + "[" * (SIZE - 10) + "=1", URLENCODED),
    "pairs of brackets": ("a" + "[]" * (SIZE // 2 - 10) + "=1", URLENCODED),
    "nested names": ("&".join(f"a{'[b]' * n}=1" for n in range(700)), URLENCODED),
    "names of one place": ("&".join(f"a[{n}][b]=1" for n in range(999)), URLENCODED),
    "dashes": ("-" * SIZE, MULTIPART),
    "blanks after dashes": ("--x" + " \t" * (SIZE // 2), MULTIPART),
    "no head": ("--x\r\n" * (SIZE // 5), MULTIPART),
    "long head": (f"--x\r\nContent-Disposition: {'a' * SIZE}", MULTIPART),
    "many heads": ("--x\r\n" + "A: b\r\n" * (SIZE // 6), MULTIPART),
    "many parts": (PART * (SIZE // len(PART)), MULTIPART),
    "nearly boundaries": (PART + "\r\n--" * (SIZE // 4 - 20), MULTIPART),
    "bare lines": (PART.replace("\r", "") + "\n-" * (SIZE // 2 - 40), MULTIPART),
    "no boundary": ("--" + "x" * SIZE, ""),
    "JSON in a field": ("rawRequest=" + "[" * (SIZE - 20), URLENCODED),
    "JSON in JSON": (json.dumps({"data.json": '{"a":' * (SIZE // 8)}), "application/json"),
    "one name in JSON": (json.dumps({"rawRequest": {f"q{n}_x": "1" for n in range(MAX_NAMES)}}), "application/json"),
    "values in values": (json.dumps({"email": '{"value":' * 20_000}), "application/json"),
    "lines": (json.dumps({"email": "ana@example.com", "Name": "first = a\n" * (SIZE // 12)}), "application/json"),
    "titles": (json.dumps({"data": {"fields": [{"label": f"{n} mobil " * 9, "value": n} for n in range(6000)]}}), "application/json"),
}  # fmt: skip


@pytest.mark.parametrize("provider", ["elementor", "formstack", "jotform", "tally", "unbounce"])
@pytest.mark.parametrize(("body", "content_type"), FORM_FLOODS.values(), ids=FORM_FLOODS)
def test_the_worst_a_form_tool_can_send(provider: str, body: str, content_type: str) -> None:
    """Multipart, brackets in names, JSON in a field: a lead or a reason, in time."""
    found = outcome(body, provider, content_type)
    assert not isinstance(found, str) or "does not know" not in found


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (json.dumps({"x": [0] * MAX_VALUES}), f"holds more than {MAX_VALUES} values"),
        (json.dumps({str(n): 0 for n in range(MAX_NAMES + 1)}), f"more than {MAX_NAMES} names"),
        (json.dumps({"x": {str(n): 0 for n in range(MAX_NAMES + 1)}}), f"more than {MAX_NAMES} names"),
        (b"\x1f\x8b\x08", "compressed (gzip)"),
    ],
)
def test_the_reason_says_which_limit(body: str | bytes, reason: str) -> None:
    """And nothing of the body."""
    assert reason in str(outcome(body, "generic"))


def test_a_full_lead_is_within_the_limits() -> None:
    """As many names as there may be, and as many values."""
    names = {f"n{number}": [0] * (MAX_VALUES // MAX_NAMES - 2) for number in range(MAX_NAMES - 1)}
    assert isinstance(outcome(json.dumps({"email": "ana@example.com", **names}), "generic"), ParsedSubmission)


def test_a_value_too_long_to_be_meant_stays_custom() -> None:
    """Nothing is lost: a message may be long, and a company of a hundred pages is kept as it was written."""
    long = "x" * (LONGEST_VALUE + 1)
    found = outcome(
        json.dumps({"email": "ana@example.com", "company": long, "message": long, "city": long[1:]}),
        "generic",
    )
    assert isinstance(found, ParsedSubmission)
    assert (None, long, long, long[1:]) == tuple(
        found.lead.get(name) for name in ("company", "custom.company", "message", "city")
    )


LONG_VALUES = {
    "letters": "a" * SIZE,
    "digits": "9" * SIZE,
    "groups": "1," * (SIZE // 2),
    "groups by blanks": "1 " * (SIZE // 2),
    "slashes": "/" * SIZE,
    "brackets": "//[" * (SIZE // 3),
    "at signs": "@" * SIZE,
    "host": "http://" + "a." * (SIZE // 2),
}


@pytest.mark.parametrize("value", LONG_VALUES.values(), ids=LONG_VALUES)
def test_no_condition_takes_long(value: str) -> None:
    """Custom values may be long, and rules ask them everything."""
    asked: list[Any] = [
        "*a*b*c*",
        {"domain": "example.com"},
        {"contains": "x"},
        {"at_least": 5},
        {"prefix": "x"},
    ]
    began = time.perf_counter()
    for raw in asked:
        parse_condition("custom.x", raw).holds_for(value)
    number_range(value)
    host_of(value)
    Facts({"email": "ana@example.com"}).shown(value, "company")
    assert time.perf_counter() - began < SECONDS


WORDS = [
    "email",
    "phone",
    "custom",
    "form_response",
    "answers",
    "properties",
    "value",
    "field",
    "type",
    "test",
    "submitted_at",
    "definition",
    "fields",
    "title",
    "hidden",
    "vid",
    "form-submissions",
    "\\ud83d",
]
ODD = [
    "NaN",
    "-Infinity",
    "1e400",
    "-1e400",
    "-0",
    "0.1e-400",
    "true",
    "null",
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\u0000"',
    '"{{{{"',
]


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"


hostile_json = st.recursive(
    st.sampled_from([*ODD, "9" * 5000, "1" + "0" * 400]) | st.text(max_size=20).map(json.dumps),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda parts: f"[{','.join(parts)}]")
        | st.lists(st.tuples(st.sampled_from(WORDS), inner), max_size=6).map(_object)
    ),
    max_leaves=25,
)


@pytest.mark.parametrize("provider", PROVIDERS)
@settings(max_examples=150, deadline=None)
@given(body=hostile_json)
def test_hostile_values_in_every_shape(provider: str, body: str) -> None:
    """Numbers no float holds, repeated names, half characters, our own words in the wrong places."""
    found = outcome(body, provider)
    if isinstance(found, ParsedSubmission):
        json.dumps([dict(found.lead.fields), dict(found.lead.custom)], allow_nan=False).encode()
