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
from speed_to_lead.forms import read

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


@pytest.mark.parametrize("kind", ["subscriptionType", "eventType"])
@pytest.mark.parametrize("many", [1, 3])
def test_events_of_the_webhooks_api_are_explained(
    submission: Callable[..., Submission], kind: str, many: int
) -> None:
    """They hold ids only; the text says what to set up instead."""
    with pytest.raises(UnreadableSubmission, match="ids only"):
        read(submission([{"eventId": 1, kind: "contact.creation", "objectId": 123}] * many), FORM)


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
