"""Zapier and Make: names as people write them, nesting as either writes it."""

from collections.abc import Callable
from typing import Any

import pytest

from speed_to_lead.core.submission import Form, GenericLead, Submission
from speed_to_lead.forms import read, split

FORM = Form("zap", "zapier", "token", token_env="TOKEN")


def test_a_flat_step(submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]) -> None:
    """Blank texts are missing; what was nested under the lead itself is the lead's, what under somebody else is not."""
    parsed = read(submission(sample("zapier")), FORM)
    expected = GenericLead(
        {
            "email": "ana.ruiz@example.com",
            "name": "Ana Ruiz",
            "phone": "+1 617 555 0100",
            "company": "Example Inc",
            "message": "A demo, please.",
            "utm_source": "google",
            "title": "CTO",
        },
        {"manager__email": "boss@example.com"},
    )
    assert (expected, "77") == (parsed.lead, parsed.same_submission_key)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ({"contact": {"email": "ana@example.com", "name": {"first": "Ana", "last": "Ruiz"}}, "utm": {"source": "g"}}, ""),
        ([{"lead": {"Email": "ana@example.com", "First Name": "Ana", "last_name": "Ruiz", "utm_source": "g"}}], ""),
        (
            "contact__email=ana%40example.com&contact__name__first=Ana&contact__name__last=Ruiz&utm__source=g&phone=",
            "application/x-www-form-urlencoded",
        ),
    ],
)  # fmt: skip
def test_nesting(submission: Callable[..., Submission], body: Any, content_type: str) -> None:
    """Nested JSON, a list of one, and flattened names of a form give the same lead."""
    lead = read(submission(body, content_type or "application/json"), FORM).lead
    expected = {"email": "ana@example.com", "first_name": "Ana", "last_name": "Ruiz", "utm_source": "g"}
    assert expected == lead.fields


def test_what_is_chosen_counts(submission: Callable[..., Submission]) -> None:
    """A selector reaches nested values; the default keeps away from what was chosen for another field."""
    form = Form("zap", "zapier", "none", fields={"custom.old_email": "contact.email", "email": "key:mail2"})
    lead = read(submission({"contact": {"email": "old@example.com"}, "mail2": "new@example.com"}), form).lead
    assert ("new@example.com", "old@example.com") == (lead.get("email"), lead.get("custom.old_email"))


def test_a_list_is_so_many_leads(submission: Callable[..., Submission]) -> None:
    """What an aggregator of Make sends: one lead each."""
    people = [{"email": f"p{number}@example.com"} for number in range(3)]
    parts = split(submission(people), FORM)
    assert [read(part, FORM).lead.get("email") for part in parts] == [one["email"] for one in people]
    assert split(submission(people[:1]), FORM) == ()
