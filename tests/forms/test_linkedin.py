"""LinkedIn lead gen forms: the challenge, the signature, and the lead of what LinkedIn's API answers."""

import hashlib
import hmac
import json
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
    linkedin,
    read,
    refusal_of,
    welcome_for,
)

FORM = Form("li", "linkedin", "signature", "SECRET", api_token_env="API")
ENVIRONMENT = {"SECRET": "client-secret-new client-secret-old"}
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
CODE = "890e4665-4dfe-4ab1-b689-ed553bceeed0"
URNS = {
    "leadGenFormResponse": "urn:li:leadGenFormResponse:1a2b3c-4",
    "leadGenForm": "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:1, 1)",
    "leadType": "SPONSORED",
}
LEAD_FORM = {
    "content": {
        "questions": [
            {
                "questionId": 1,
                "predefinedField": "FIRST_NAME",
                "label": {"localized": {"en_US": "First name"}},
            },
            {"questionId": 2, "predefinedField": "LAST_NAME"},
            {"questionId": 3, "predefinedField": "WORK_EMAIL"},
            {"questionId": 4, "predefinedField": "COMPANY_NAME"},
            {
                "questionId": 5,
                "name": "Team size",
                "question": {
                    "localized": {"en_US": "What is your team size?"},
                    "preferredLocale": {"language": "en"},
                },
                "questionDetails": {
                    "multipleChoiceQuestionDetails": {
                        "options": [
                            {"id": 8, "text": {"localized": {"en_US": "11-50"}}},
                            {"id": 9, "text": "51-200"},
                        ]
                    }
                },
            },
            {"questionId": 6, "name": "Favourite colour"},
        ]
    }
}


def text(number: int, value: str) -> dict[str, Any]:
    return {"questionId": number, "answerDetails": {"textQuestionAnswer": {"answer": value}}}


RESPONSE = {
    "id": "1a2b3c-4",
    "submittedAt": 1686182358000,
    "testLead": False,
    "formResponse": {
        "answers": [
            text(1, "Ana"),
            text(2, "Ruiz"),
            text(3, "ana.ruiz@example.com"),
            text(4, "Example Inc"),
            {"questionId": 5, "answerDetails": {"multipleChoiceAnswer": {"options": [8]}}},
            text(6, "green"),
        ]
    },
}


def answered(submission: Submission, *answers: Any) -> Submission:
    return fetches.with_answers(submission, list(answers), is_late=False)


def test_the_ids(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """What came is known by response, time and action, and says that data is still to come."""
    expected = ParsedSubmission(
        GenericLead({}, {**URNS, "lead_data": "pending"}),
        "1a2b3c-4.1686182358881.CREATED",
        datetime(2023, 6, 7, 23, 59, 18, 881000, tzinfo=UTC),
        is_incomplete=True,
    )
    assert expected == read(submission(sample("linkedin")), FORM)


def test_the_lead(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """Answers by what their questions are; choices as the texts that were shown."""
    expected = ParsedSubmission(
        GenericLead(
            {
                "first_name": "Ana",
                "last_name": "Ruiz",
                "email": "ana.ruiz@example.com",
                "company": "Example Inc",
                "employees": "11-50",
            },
            {**URNS, "Favourite colour": "green"},
        ),
        "1a2b3c-4.1686182358881.CREATED",
        datetime(2023, 6, 7, 23, 59, 18, tzinfo=UTC),
        listed_as="1a2b3c-4.1686182358000",
    )
    assert expected == read(answered(submission(sample("linkedin")), RESPONSE, LEAD_FORM), FORM)


def test_the_other_shape_of_an_answer(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]
) -> None:
    """Sources differ in where an answer stands; either is read."""
    answers = [{"questionId": 3, "accepted": {"answer": "ana@example.com"}}]
    parsed = read(answered(submission(sample("linkedin")), {"answers": answers}, LEAD_FORM), FORM)
    assert parsed.lead.get("email") == "ana@example.com"


def test_a_test_lead(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """It reaches nobody."""
    assert read(
        answered(submission(sample("linkedin")), {**RESPONSE, "testLead": True}, LEAD_FORM), FORM
    ).is_test


def test_a_deleted_lead_is_counted_only(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]
) -> None:
    """It is nobody new, and has a key of its own."""
    parsed = read(submission({**sample("linkedin"), "leadAction": "DELETED"}), FORM)
    assert (parsed.is_test, parsed.same_submission_key) == (True, "1a2b3c-4.1686182358881.DELETED")


def test_the_questions(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]
) -> None:
    """The response and the form it answers, with the token in a header."""
    asked = linkedin.questions(submission(sample("linkedin")), FORM, "token")
    assert [question.path for question in asked] == ["/leadFormResponses/1a2b3c-4", "/leadForms/1"]
    assert {question.headers["Authorization"] for question in asked} == {"Bearer token"}


@pytest.mark.parametrize("urn", [None, "", 7, "urn:li:person:1", "urn:li:leadGenFormResponse:../x", "1a2b"])
def test_what_is_no_urn(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]], urn: Any
) -> None:
    """Nobody can be asked for: a dead letter; never a path of the sender's choice."""
    delivery = {**sample("linkedin"), "leadGenFormResponse": urn}
    with pytest.raises(UnreadableSubmission, match="no URN"):
        read(submission(delivery), FORM)


def test_the_challenge() -> None:
    """Signed with the new one of two secrets, as JSON."""
    request = WebhookRequest("GET", f"https://x/hooks/li?challengeCode={CODE}&applicationId=7", {}, b"")
    answer = welcome_for(request, FORM, ENVIRONMENT)
    assert isinstance(answer, Welcome)
    signed = hmac.new(b"client-secret-new", CODE.encode(), hashlib.sha256).hexdigest()
    assert json.loads(answer.body) == {"challengeCode": CODE, "challengeResponse": signed}
    assert answer.content_type == "application/json"


def test_a_challenge_forges_no_delivery() -> None:
    """Whoever asks may not have a delivery signed: a challenge is letters, digits and hyphens."""
    request = WebhookRequest("GET", "https://x/hooks/li?challengeCode=hmacsha256%3D%7B%7D", {}, b"")
    assert isinstance(welcome_for(request, FORM, ENVIRONMENT), Refusal)
    unset = welcome_for(WebhookRequest("GET", f"https://x/?challengeCode={CODE}", {}, b""), FORM, {})
    assert isinstance(unset, Refusal)
    assert unset.ours


@pytest.mark.parametrize("prefix", ["", "hmacsha256="])
def test_the_signature(prefix: str) -> None:
    """The word stands in what is signed, and perhaps before the signature."""
    body = b'{"type": "LEAD_ACTION"}'
    digest = hmac.new(b"client-secret-old", b"hmacsha256=" + body, hashlib.sha256).hexdigest()
    plain = hmac.new(b"client-secret-old", body, hashlib.sha256).hexdigest()
    for header, is_taken in ((prefix + digest, True), (prefix + plain, False), (prefix, False)):
        request = WebhookRequest("POST", "https://x/", {"x-li-signature": header}, body)
        assert is_taken == (refusal_of(request, FORM, ENVIRONMENT, NOW) is None)


def test_selectors(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """A question by its predefined field or its label."""
    fields = {
        "title": "question:favourite colour",
        "custom.first": "FIRST_NAME",
        "custom.type": "key:leadType",
    }
    form = Form("li", "linkedin", "none", fields=fields, api_token_env="API")
    lead = read(answered(submission(sample("linkedin")), RESPONSE, LEAD_FORM), form).lead
    assert [lead.get(name) for name in fields] == ["green", "Ana", "SPONSORED"]


def test_what_stands_beside_the_answers(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]
) -> None:
    """Hidden fields, ticked boxes and the campaign are the lead's; a question is called what people read, not its name."""
    asked = {"questionId": 1, "name": "q1_internal", "question": {"localized": {"en_US": "Favourite colour"}}}
    lead_form = {
        "hiddenFields": [{"name": "utm_source", "value": "li"}, {"name": "wave", "value": "7"}],
        "content": {"questions": [asked, {"questionId": 2, "predefinedField": "WORK_EMAIL"}]},
    }
    response = {
        "leadMetadataInfo": {"sponsoredLeadMetadataInfo": {"campaign": {"id": "urn:li:sponsoredCampaign:9", "name": "Spring"}}},
        "formResponse": {
            "answers": [text(1, "green"), text(2, "ana@example.com")],
            "consentResponses": [{"consentId": 5, "accepted": True}, {"consentId": 6, "accepted": False}],
        },
    }  # fmt: skip
    lead = read(answered(submission(sample("linkedin")), response, lead_form), FORM).lead
    assert lead.fields == {
        "email": "ana@example.com",
        "utm_source": "li",
        "consent": True,
        "campaign": "Spring",
    }
    assert lead.custom == {**URNS, "Favourite colour": "green", "wave": "7", "consent 6": False}
    form = Form("li", "linkedin", "none", fields={"title": "q1_internal"}, api_token_env="API")
    assert (
        read(answered(submission(sample("linkedin")), response, lead_form), form).lead.get("title") == "green"
    )
