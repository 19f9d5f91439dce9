"""Every provider, whatever arrives: a lead, or a reason; never another exception, never a value of the body."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speed_to_lead import forms
from speed_to_lead.core.submission import Form, ParsedSubmission, Submission, UnreadableSubmission
from speed_to_lead.forms import PROVIDERS, WebhookRequest, read, split

SAMPLES = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in (Path(__file__).parent / "samples").glob("*.json")
}
FIELDS = {
    "company": "ref:x",
    "city": "property:x",
    "title": "a.0.b",
    "region": "hidden:x",
    "custom.z": "type:email",
}
#: Tools whose deliveries hold nobody: the person is asked for at their API.
IDS_ONLY = {"linkedin", "meta"}
every_provider = pytest.mark.parametrize("provider", sorted(PROVIDERS))
quick = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


def form(provider: str) -> Form:
    return Form("demo", provider, "none", fields=FIELDS, api_token_env="API")


def outcome(submission: Submission, provider: str) -> ParsedSubmission | str:
    """The lead, or the reason; a lead must be storable as JSON. What holds several items is taken apart without harm."""
    try:
        split(submission, form(provider))
        parsed = read(submission, form(provider))
    except UnreadableSubmission as error:
        str(error).encode()
        return str(error)
    json.dumps([parsed.lead.fields, parsed.lead.custom], allow_nan=False, ensure_ascii=False).encode()
    (parsed.same_submission_key or "").encode()
    return parsed


def test_every_provider_has_a_sample() -> None:
    """Whoever adds a form tool adds what it sends."""
    assert set(PROVIDERS) == set(SAMPLES)


#: What these tools do not send, and nobody can make up.
WITHOUT_A_KEY = {"elementor", "salesforce_web_to_lead"}
WITHOUT_A_TIME = {*WITHOUT_A_KEY, "chili_piper", "fluent", "formstack", "jotform"}


@every_provider
def test_every_sample_is_a_lead(provider: str, submission: Callable[..., Submission]) -> None:
    """A sample is a real lead with a key and a time, where the tool sends them."""
    parsed = read(submission(SAMPLES[provider]), Form("demo", provider, "none", api_token_env="API"))
    assert not parsed.is_test
    assert bool(parsed.lead.get("email")) == (not parsed.is_incomplete)
    assert parsed.is_incomplete == (provider in IDS_ONLY)
    assert (provider not in WITHOUT_A_KEY) == bool(parsed.same_submission_key)
    assert (provider not in WITHOUT_A_TIME) == bool(parsed.submitted_at)


@every_provider
def test_kept_headers_are_lower_case(provider: str) -> None:
    """The web looks headers up by their lower-case names."""
    kept = PROVIDERS[provider].kept_headers
    assert tuple(name.lower() for name in kept) == kept


@every_provider
@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "the body is empty"),
        (b" \r\n", "the body is empty"),
        (b"{", "line 1, column 2"),
        (b'{\n"a": laura@example.com}', "line 2, column 6"),
        (b'{"a": 1} laura', "line 1, column 10"),
        (b'{"a": "laura', "column 7"),
        (b'{"a": "\xff"}', "not UTF-8: byte 7 of 10"),
        (b'{"a":' + b"[" * 100_000, "nested more than 32 deep"),
        (b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", "nested more than 32 deep"),
        (b'{"a": "' + b"x" * 1024 * 1024 + b'"}', "at most 1048576 are read"),
        (b"null", "is missing, not a JSON object"),
        (b"true", "true or false"),
    ],
)
def test_broken_bodies(provider: str, body: bytes, text: str, submission: Callable[..., Submission]) -> None:
    """The reason names the place, and nobody."""
    reason = outcome(submission(body), provider)
    assert isinstance(reason, str)
    assert text in reason
    assert "laura" not in reason


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("9007199254740993", "9007199254740993"),
        ("9007199254740992", 9007199254740992),
        ("1.5", 1.5),
        ('"\\ud83d"', "\N{REPLACEMENT CHARACTER}"),
        ('"\\ud83d\\ude00"', "😀"),
        ('1, "x": 2', 2),
    ],
)
def test_values_that_others_cannot_read_are_kept_as_text(
    written: str, expected: Any, submission: Callable[..., Submission]
) -> None:
    """No NaN, no half character and no number that Lua or JavaScript would round; the last of repeated keys counts."""
    parsed = outcome(submission(f'{{"email": "a@example.com", "x": {written}}}'), "generic")
    assert isinstance(parsed, ParsedSubmission)
    assert expected == parsed.lead.get("custom.x")


def test_an_unforeseen_error_names_its_type_only(
    monkeypatch: pytest.MonkeyPatch, submission: Callable[..., Submission]
) -> None:
    """A mistake in a provider becomes a dead letter without the values an error quotes."""

    class Broken:
        kept_headers: tuple[str, ...] = ()

        def refusal(self, request: WebhookRequest, secret: str, now: object) -> str | None:
            return None

        def parse(self, submission: Submission, form: Form) -> ParsedSubmission:
            raise KeyError("laura@example.com")

    monkeypatch.setattr(forms, "PROVIDERS", {"broken": Broken()})
    with pytest.raises(UnreadableSubmission, match=r"the broken reader does not know \(KeyError\)") as raised:
        read(submission({}), form("broken"))
    assert "laura" not in str(raised.value)


def test_an_unknown_provider_is_refused(submission: Callable[..., Submission]) -> None:
    """A form whose provider is gone from the registry gives a dead letter."""
    with pytest.raises(UnreadableSubmission, match="faxform"):
        read(submission({}), form("faxform"))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["v1", "text", "email"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@every_provider
@quick
@given(
    body=st.binary(max_size=200) | st.text().map(str.encode),
    content_type=st.sampled_from(
        ["application/json", "application/x-www-form-urlencoded", "", "multipart/form-data"]
    )
    | st.text(),
)
def test_random_bytes(
    provider: str, body: bytes, content_type: str, submission: Callable[..., Submission]
) -> None:
    """Any bytes give a lead or a reason."""
    outcome(submission(body, content_type), provider)


@every_provider
@quick
@given(data=st.data())
def test_mutated_samples(provider: str, data: st.DataObject, submission: Callable[..., Submission]) -> None:
    """A sample with anything in any of its places gives a lead or a reason."""
    mutated: Any = copy.deepcopy(SAMPLES[provider])
    for _ in range(data.draw(st.integers(1, 3))):
        place = mutated
        while isinstance(place, (dict, list)) and place:
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if (
                not isinstance(place[key], (dict, list))
                or not place[key]
                or data.draw(st.integers(0, 3)) == 0
            ):
                place[key] = data.draw(json_values)
                break
            place = place[key]
    outcome(submission(mutated), provider)


@every_provider
@quick
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_samples_with_one_wrong_byte(
    provider: str, place: int, value: int, submission: Callable[..., Submission]
) -> None:
    """A byte that was damaged on the way gives a lead or a reason."""
    body = bytearray(json.dumps(SAMPLES[provider]).encode())
    body[place % len(body)] = value
    outcome(submission(bytes(body)), provider)
