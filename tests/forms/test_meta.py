"""Meta lead ads: the handshake, the signature, changes apart, and the lead of the Graph API's answer."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from speed_to_lead.core.submission import (
    Form,
    GenericLead,
    ParsedSubmission,
    Submission,
    UnreadableSubmission,
)
from speed_to_lead.forms import (
    Refusal,
    WebhookRequest,
    Welcome,
    fetches,
    meta,
    read,
    refusal_of,
    split,
    welcome_for,
)

FORM = Form("ads", "meta", "signature", "SECRET", verify_token_env="WORD", api_token_env="API")
ENVIRONMENT = {"SECRET": "app-secret-1 app-secret-2", "WORD": "a-word-of-ours"}
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
IDS = {
    "leadgen_id": "123123123123",
    "page_id": "123123123",
    "form_id": "12312312312",
    "adgroup_id": "12312312312",
    "ad_id": "12312312312",
}
ANSWER = {
    "id": "123123123123",
    "created_time": "2024-01-15T10:30:00+0000",
    "campaign_name": "Spring",
    "field_data": [
        {"name": "full_name", "values": ["Ana Ruiz"]},
        {"name": "work_email", "values": ["ana.ruiz@example.com"]},
        {"name": "phone_number", "values": ["+16175550100"]},
        {"name": "company_name", "values": ["Example Inc"]},
        {"name": "what_is_your_company_size?", "values": ["201-500"]},
        {"name": "interests", "values": ["crm", "routing"]},
        {"name": "nothing", "values": []},
    ],
}


def answered(submission: Submission, *answers: Any) -> Submission:
    return fetches.with_answers(submission, list(answers), is_late=False)


def test_the_ids(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """What came is known by its lead id, and says of itself that data is still to come."""
    expected = ParsedSubmission(
        GenericLead({}, {**IDS, "lead_data": "pending"}),
        "123123123123",
        datetime(2015, 8, 21, 1, 26, 24, tzinfo=UTC),
        is_incomplete=True,
    )
    assert expected == read(submission(sample("meta")), FORM)


def test_the_lead(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """The answer of the Graph API: fields by their names, other questions under custom, the same key."""
    parsed = read(answered(submission(sample("meta")), ANSWER), FORM)
    expected = ParsedSubmission(
        GenericLead(
            {
                "campaign": "Spring",
                "name": "Ana Ruiz",
                "email": "ana.ruiz@example.com",
                "phone": "+16175550100",
                "company": "Example Inc",
                "employees": "201-500",
            },
            {**IDS, "interests": ["crm", "routing"]},
        ),
        "123123123123",
        datetime(2024, 1, 15, 10, 30, tzinfo=UTC),
    )
    assert expected == parsed


def test_a_dummy_is_a_test(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]
) -> None:
    """What Meta's tool for test leads makes up reaches nobody."""
    dummy = {"field_data": [{"name": "email", "values": ["<test lead: dummy data for email>"]}]}
    assert read(answered(submission(sample("meta")), dummy), FORM).is_test


def test_the_question(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """The lead is asked for by its id."""
    (question,) = meta.questions(submission(sample("meta")), FORM, "api token")
    assert question.path == (
        "/123123123123?fields=id%2Ccreated_time%2Cfield_data%2Ccustom_disclaimer_responses%2Cis_organic"
        "%2Cplatform&access_token=api+token"
    )


def test_what_the_form_chooses_is_asked_for(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]
) -> None:
    """The Graph API answers with what it is asked for; the webhook's own ids are known."""
    fields = {"campaign": "key:campaign_name", "custom.ad": "key:ad_id", "city": "field:city"}
    (question,) = meta.questions(submission(sample("meta")), Form("ads", "meta", "none", fields=fields), "t")
    assert question.path.endswith("%2Cplatform%2Ccampaign_name&access_token=t")


def test_without_a_token_for_the_api_it_is_a_dead_letter(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]
) -> None:
    """Nobody could ever ask: the reason says what to set."""
    with pytest.raises(UnreadableSubmission, match="api_token_env"):
        read(submission(sample("meta")), Form("ads", "meta", "none"))


def change(leadgen_id: Any, field: str = "leadgen") -> dict[str, Any]:
    return {"field": field, "value": {"leadgen_id": leadgen_id, "created_time": 1440120384}}


def test_changes_apart(submission: Callable[..., Submission]) -> None:
    """Each change of each entry is a submission of its own, under an id made of the delivery's."""
    entries = [{"id": 1, "changes": [change(7), change("8"), "x"]}, {"id": 2, "changes": [change(9)]}, None]
    parts = split(submission({"object": "page", "entry": entries}), FORM)
    assert [part.id for part in parts] == ["s1-1", "s1-2", "s1-3", "s1-4", "s1-5"]
    read_ones: list[str | None] = []
    for part in parts:
        try:
            read_ones.append(read(part, FORM).same_submission_key)
        except UnreadableSubmission as error:
            read_ones.append(str(error))
    assert read_ones == [
        "7",
        "8",
        "item 3 of 5: entry[0].changes[0] is text, not a JSON object",
        "9",
        "item 5 of 5: entry[0] is missing, not a JSON object",
    ]
    assert [split(part, FORM) for part in parts] == [()] * 5


def test_other_changes_are_counted_only(submission: Callable[..., Submission]) -> None:
    """A page may tell of its feed as well, or of nothing: nobody new."""
    for change in (
        {"field": "feed", "value": "Hello"},
        {"field": "leadgen"},
        {"field": "leadgen", "value": None},
        {},
    ):
        body = {"object": "page", "entry": [{"id": 1, "changes": [change]}]}
        assert read(submission(body), FORM).is_test


@pytest.mark.parametrize(
    "value",
    [
        {"form_id": "1"},
        {"leadgen_id": None},
        {"leadgen_id": True},
        {"leadgen_id": []},
        {"leadgen_id": "../me?x=1#"},
    ],
)
def test_a_change_without_an_id(submission: Callable[..., Submission], value: Any) -> None:
    """Nobody can be asked for: a dead letter with its place."""
    body = {"object": "page", "entry": [{"changes": [{"field": "leadgen", "value": value}]}]}
    with pytest.raises(UnreadableSubmission, match=r"leadgen_id is no id"):
        read(submission(body), FORM)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=a-word-of-ours", "1158201444"),
        ("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=another", None),
        ("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=app-secret-1", None),
        ("hub.mode=subscribe&hub.challenge=1158201444", None),
    ],
)
def test_the_handshake(query: str, expected: str | None) -> None:
    """The challenge goes back, as text, to who knows the word."""
    request = WebhookRequest("GET", f"https://x/hooks/ads?{query}", {}, b"")
    answer = welcome_for(request, FORM, ENVIRONMENT)
    if expected is None:
        assert isinstance(answer, Refusal)
    else:
        assert answer == Welcome(expected.encode(), "text/plain; charset=utf-8")


def test_without_a_word_the_secret_is_it() -> None:
    """And where the secret is not set here, that is our fault, not Meta's."""
    form = Form("ads", "meta", "signature", "SECRET")
    url = "https://x/hooks/ads?hub.mode=subscribe&hub.challenge=1&hub.verify_token="
    request = WebhookRequest("GET", f"{url}app-secret-2", {}, b"")
    assert isinstance(welcome_for(request, form, ENVIRONMENT), Welcome)
    unset = welcome_for(WebhookRequest("GET", url, {}, b""), form, {})
    assert isinstance(unset, Refusal)
    assert unset.ours


def test_any_other_look_is_no_handshake() -> None:
    """It is answered as at every hook."""
    assert welcome_for(WebhookRequest("GET", "https://x/hooks/ads", {}, b""), FORM, ENVIRONMENT) is None


def test_the_signature() -> None:
    """HMAC-SHA256 in hex over the raw body, by either secret."""
    body = b'{"object": "page"}'
    digest = "sha256=" + hmac.new(b"app-secret-2", body, hashlib.sha256).hexdigest()
    for header, sent, is_taken in ((digest, body, True), (digest, body + b" ", False), ("", body, False)):
        request = WebhookRequest("POST", "https://x/", {"x-hub-signature-256": header}, sent)
        assert is_taken == (refusal_of(request, FORM, ENVIRONMENT, NOW) is None)


def test_selectors(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """A field by its name, ids and the rest of the answer by theirs."""
    fields = {"timeline": "interests", "custom.ad": "key:ad_id", "campaign": "key:campaign_name"}
    form = Form("ads", "meta", "none", fields=fields, api_token_env="API")
    lead = read(answered(submission(sample("meta")), ANSWER), form).lead
    assert [lead.get(name) for name in fields] == ["crm, routing", "12312312312", "Spring"]


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "0", "changes": [{"field": "leadgen", "value": {"leadgen_id": "444444444444", "page_id": "444444444444"}}]},
        {"id": "1", "messaging": [{"sender": {"id": "2"}, "message": {"text": "Hello"}}]},
    ],
)  # fmt: skip
def test_what_brings_nobody(submission: Callable[..., Submission], entry: dict[str, Any]) -> None:
    """The webhook page's own "Test" button, and a message to the page: nobody is asked for, and nothing is broken."""
    assert read(submission({"object": "page", "entry": [entry]}), FORM).is_test


def test_yes_is_no_company(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]
) -> None:
    """A question that mentions a field is not answered by it; the boxes under the form are kept."""
    answer = {
        "field_data": [
            {"name": "email", "values": ["ana@example.com"]},
            {"name": "do_you_run_a_company?", "values": ["yes"]},
            {"name": "first_name_of_your_manager", "values": ["Lee"]},
            {"name": "wie_viele_mitarbeiter_haben_sie?", "values": ["11-50"]},
        ],
        "custom_disclaimer_responses": [
            {"checkbox_key": "newsletter", "is_checked": "1"},
            {"checkbox_key": "calls", "is_checked": ""},
        ],
    }
    lead = read(answered(submission(sample("meta")), answer), FORM).lead
    assert lead.fields == {"email": "ana@example.com", "employees": "11-50"}
    assert lead.custom == {
        **IDS, "do_you_run_a_company?": "yes", "first_name_of_your_manager": "Lee",
        "disclaimer.newsletter": True, "disclaimer.calls": False,
    }  # fmt: skip


def test_what_stands_around_the_changes_is_not_repeated(submission: Callable[..., Submission]) -> None:
    """Half a megabyte beside a thousand changes would be half a gigabyte; what Meta documents is kept."""
    junk = "x" * 100_000
    changes = [{"field": "leadgen", "value": {"leadgen_id": str(one)}} for one in range(1, 101)]
    body = {
        "object": "page",
        "more": junk,
        "entry": [{"id": "7", "time": 1, "more": junk, "changes": changes}],
    }
    parts = split(submission(body), FORM)
    assert len(parts) == 100
    assert sum(len(part.body) for part in parts) < len(junk)
    assert b'{"object": "page", "entry": [{"id": "7", "time": 1, "changes": [' == parts[0].body[:64]
