"""HubSpot: a workflow's contact, old and new shape, and the key of its newest form submission."""

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
from speed_to_lead.forms import fetches, hubspot, read, split

FORM = Form("demo", "hubspot", "none")


def test_a_legacy_contact(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]
) -> None:
    """The contact a workflow posts becomes this lead, without HubSpot's own book-keeping."""
    expected = ParsedSubmission(
        GenericLead(
            {
                "email": "brian@example.com",
                "first_name": "Brian",
                "last_name": "Halligan",
                "title": "CEO",
                "company": "HubSpot",
                "phone": "+1 617 555 0100",
                "website": "https://hubspot.com",
                "country": "US",
                "region": "MA",
                "city": "Cambridge",
                "employees": "1000+",
                "industry": "SOFTWARE",
                "message": "A demo, please.",
                "gclid": "Cj0abc",
                "utm_campaign": "spring",
                "utm_source": "google",
                "landing_page": "https://www.example.com/demo?utm_source=google",
            },
            {
                "mobilephone": "+49 151 0000000",
                "hs_analytics_source": "PAID_SEARCH",
                "hs_analytics_source_data_1": "brand",
                "favourite_colour": "green",
                "owner_email": "ana@example.com",
            },
        ),
        same_submission_key="62515.51.22222222-bbbb-4bbb-8bbb-000000000002",
        submitted_at=datetime(2023, 4, 2, 15, 8, 43, tzinfo=UTC),
        listed_as="22222222-bbbb-4bbb-8bbb-000000000002",
    )
    assert expected == read(submission(sample("hubspot")), FORM)


@pytest.mark.parametrize(
    "body",
    [
        {"properties": {"email": {"value": "a@example.com"}, "firstname": {"value": "A"}}},
        {"properties": {"email": "a@example.com", "firstname": "A"}},
        {
            "objectId": 5,
            "portalId": 1,
            "properties": {"email": "a@example.com", "firstname": "A", "fax": None},
        },
        {"vid": 5, "email": "a@example.com", "firstname": "A"},
        [{"properties": {"email": "a@example.com", "firstname": "A"}}],
    ],
)
def test_every_shape_of_a_contact(submission: Callable[..., Submission], body: Any) -> None:
    """Wrapped values, plain values, and a body of one's own give the same lead."""
    parsed = read(submission(body), FORM)
    assert GenericLead({"email": "a@example.com", "first_name": "A"}) == parsed.lead


def test_a_contact_without_form_submissions_may_come_again(submission: Callable[..., Submission]) -> None:
    """Enrolled a second time it is not the same submission, so it has no key of its own."""
    parsed = read(submission({"vid": 5, "portal-id": 1, "email": "a@example.com"}), FORM)
    assert (parsed.same_submission_key, parsed.submitted_at) == (None, None)


def test_the_email_of_an_identity_stands_in(submission: Callable[..., Submission]) -> None:
    """Without an e-mail property the primary identity's address is the person's."""
    identities = [
        {"type": "EMAIL", "value": "old@example.com"},
        {"type": "EMAIL", "value": "new@example.com", "is-primary": True},
        {"type": "LEAD_GUID", "value": "g"},
    ]
    body = {"properties": {"email": {"value": ""}}, "identity-profiles": [{"identities": identities}]}
    assert read(submission(body), FORM).lead.get("email") == "new@example.com"


def test_a_mobile_phone_is_a_phone_where_there_is_no_other(submission: Callable[..., Submission]) -> None:
    """The second name of a field counts when the first is not given."""
    lead = read(submission({"properties": {"mobilephone": "+49 151 1"}}), FORM).lead
    assert lead.fields == {"phone": "+49 151 1"}


def test_selectors(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """`property:`, or a name alone, reaches every property, HubSpot's own too; what is chosen is not kept twice."""
    fields = {
        "company": "property:favourite_colour",
        "custom.opened": "property:hs_email_open",
        "title": "property:no_such",
        "city": "company",
    }
    lead = read(submission(sample("hubspot")), Form("demo", "hubspot", "none", fields=fields)).lead
    assert tuple(lead.get(name) for name in ("company", "custom.opened", "title", "city")) == (
        "green",
        "3",
        "CEO",
        "HubSpot",
    )
    assert "favourite_colour" not in lead.custom


APP = Form("demo", "hubspot", "signature", "SECRET", api_token_env="API")
EVENT = {
    "eventId": 1,
    "subscriptionId": 12345,
    "portalId": 62515,
    "occurredAt": 1564113600000,
    "subscriptionType": "contact.creation",
    "attemptNumber": 0,
    "objectId": 123,
    "changeSource": "CRM",
    "changeFlag": "NEW",
    "appId": 54321,
}
KEY = "62515.contact.creation.123.1.1564113600000"


@pytest.mark.parametrize(
    "event",
    [
        EVENT,
        {**EVENT, "attemptNumber": 3},
        {
            **{name: value for name, value in EVENT.items() if name != "subscriptionType"},
            "eventType": "contact.creation",
        },
    ],
)
def test_an_event_of_an_app_holds_ids_only(submission: Callable[..., Submission], event: Any) -> None:
    """Its key leaves the attempt out; under either name of its type it is the same."""
    expected = ParsedSubmission(
        GenericLead({}, {"hubspot_contact": "123", "hubspot_portal": 62515, "lead_data": "pending"}),
        KEY,
        datetime(2019, 7, 26, 4, 0, tzinfo=UTC),
        is_incomplete=True,
    )
    assert expected == read(submission([event]), APP)


def test_an_event_is_the_contact_the_api_answers_with(submission: Callable[..., Submission]) -> None:
    """What was asked for, by the names a workflow's contact has as well."""
    answer = {
        "id": "123",
        "properties": {"email": "ana@example.com", "firstname": "Ana", "hs_object_id": "123"},
    }
    parsed = read(fetches.with_answers(submission([EVENT]), [answer], is_late=False), APP)
    expected = GenericLead(
        {"email": "ana@example.com", "first_name": "Ana"}, {"hubspot_contact": "123", "hubspot_portal": 62515}
    )
    assert (expected, KEY) == (parsed.lead, parsed.same_submission_key)
    (question,) = hubspot.questions(
        submission([EVENT]), Form("d", "hubspot", "none", fields={"city": "property:x"}), "t"
    )
    assert question.path.startswith("/crm/v3/objects/contacts/123?properties=email%2C")
    assert question.path.endswith("%2Cx")
    assert question.headers == {"Authorization": "Bearer t"}


@pytest.mark.parametrize(
    ("event", "is_test"),
    [
        ({**EVENT, "subscriptionType": "object.creation", "objectTypeId": "0-1"}, False),
        ({**EVENT, "subscriptionType": "object.creation", "objectTypeId": "0-2"}, True),
        ({**EVENT, "subscriptionType": "contact.propertyChange"}, True),
        ({**EVENT, "subscriptionType": "deal.creation"}, True),
    ],
)
def test_only_new_contacts_are_leads(
    submission: Callable[..., Submission], event: Any, is_test: bool
) -> None:
    """Other events are counted and never routed."""
    assert is_test == read(submission(event), APP).is_test


def test_events_apart(submission: Callable[..., Submission]) -> None:
    """Each event of a list is a submission of its own; a bad one does not take the others with it."""
    parts = split(submission([EVENT, {**EVENT, "objectId": None}, 7, {**EVENT, "eventId": 2}]), APP)
    outcome = []
    for part in parts:
        try:
            outcome.append(str(read(part, APP).same_submission_key))
        except UnreadableSubmission as error:
            outcome.append(str(error))
    assert outcome == [
        KEY,
        "item 2 of 4: objectId is no id, so nobody can be asked for",
        "item 3 of 4: the body is a number, not a JSON object",
        "62515.contact.creation.123.2.1564113600000",
    ]


def test_without_a_token_for_the_api_an_event_is_explained(submission: Callable[..., Submission]) -> None:
    """The text says what to set."""
    with pytest.raises(UnreadableSubmission, match=r"ids only.*api_token_env"):
        read(submission([EVENT]), FORM)


def test_a_flood_of_items_is_refused(submission: Callable[..., Submission]) -> None:
    """As many as /v1/leads takes are taken here; of more the text says what to do."""
    assert 10_000 == len(split(submission([{"objectId": 1}] * 10_000), APP))
    with pytest.raises(UnreadableSubmission, match=r"10001 items; at most 10000 are read.*/v1/leads"):
        split(submission([{"objectId": 1}] * 10_001), APP)


def test_the_newest_form_submission_is_found_whatever_their_order(
    submission: Callable[..., Submission],
) -> None:
    """Times may be text, and one without a time counts as the oldest."""
    submissions = [
        {"conversion-id": "c", "timestamp": None},
        {"conversion-id": "b", "timestamp": "1680448123000"},
        {"conversion-id": "a", "timestamp": 1600000000000},
    ]
    body = {
        "vid": 5,
        "portal-id": 1,
        "properties": {"email": "a@example.com"},
        "form-submissions": submissions,
    }
    assert read(submission(body), FORM).same_submission_key == "1.5.b"


def test_the_company_a_contact_belongs_to(submission: Callable[..., Submission]) -> None:
    """It stands in where the contact does not say; the address of the form's page tells where the visitor came from."""
    body = {
        "vid": 5,
        "portal-id": 1,
        "properties": {"email": {"value": "a@example.com"}, "industry": {"value": "SOFTWARE"}},
        "associated-company": {
            "company-id": 7,
            "properties": {
                "name": {"value": "Example Inc"}, "domain": {"value": "example.com"}, "industry": {"value": "RETAIL"},
                "numberofemployees": {"value": "50"}, "phone": {"value": "+1 617 555 0100"},
            },
        },
        "form-submissions": [{"conversion-id": "c", "timestamp": 1, "page-url": "https://x.example.com/?utm_medium=cpc&gclid=g"}],
    }  # fmt: skip
    assert read(submission(body), FORM).lead.fields == {
        "email": "a@example.com", "company": "Example Inc", "website": "example.com", "industry": "SOFTWARE",
        "employees": "50", "landing_page": "https://x.example.com/?utm_medium=cpc&gclid=g", "utm_medium": "cpc", "gclid": "g",
    }  # fmt: skip
