"""Typeform: the official sample, and how each answer finds its field."""

from collections.abc import Callable, Mapping
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
from speed_to_lead.forms.titles import LONGEST_TELLING_TITLE, field_asked_for

FORM = Form("demo", "typeform", "none")
EMAIL = {"type": "email", "email": "laura@example.com", "field": {"id": "e", "type": "email", "ref": "e"}}


def delivery(
    *answers: Mapping[str, Any], titles: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    questions = [{"id": identity, "title": title} for identity, title in (titles or {}).items()]
    response = {"token": "t1", "answers": [*answers, EMAIL], "definition": {"fields": questions}, **more}
    return {"event_type": "form_response", "form_response": response}


def answer(kind: str, value: Any, ref: str = "q1", field_type: str = "short_text") -> dict[str, Any]:
    return {"type": kind, kind: value, "field": {"id": ref, "type": field_type, "ref": ref}}


def test_the_official_sample(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]]
) -> None:
    """The sample of Typeform's documentation, filled in, becomes this lead."""
    expected = ParsedSubmission(
        GenericLead(
            {
                "email": "laura@example.com",
                "consent": True,
                "first_name": "Laura",
                "company": "Acme GmbH",
                "employees": "500-999",
                "message": "We answer leads too late.",
                "utm_source": "newsletter",
            },
            {
                "readable_ref_picture_choice": "London, Sydney, Lima",
                "uses_crm": False,
                "start_date": "2026-12-01",
                "readable_ref_rating": 5,
                "seats": 40,
                "deposit": "$1",
                "user_id": "abc123456",
                "score": 9,
                "name": "typeform",
            },
        ),
        same_submission_key="a3a12ec67a1365927098a606107fac15",
        submitted_at=datetime(2018, 1, 18, 18, 17, 2, tzinfo=UTC),
    )
    assert expected == read(submission(sample("typeform")), FORM)


@pytest.mark.parametrize(
    ("selector", "value"),
    [
        ("ref:team_size_range", "500-999"),
        ("id:Kz3s9Tq0LwPa", "500-999"),
        ("title:  how many EMPLOYEES does your company have? ", "500-999"),
        ("title:What company do you work for, {{anything}}?", "Acme GmbH"),
        ("hidden:user_id", "abc123456"),
        ("type:rating", 5),
        ("variable:score", 4),
    ],
)
def test_selectors(
    submission: Callable[..., Submission],
    sample: Callable[[str], dict[str, Any]],
    selector: str,
    value: Any,
) -> None:
    """What ops choose in `fields` goes into that field, once."""
    form = Form("demo", "typeform", "none", fields={"budget": selector})
    lead = read(submission(sample("typeform")), form).lead
    assert value == lead.get("budget")
    everything = [*lead.fields.values(), *lead.custom.values()]
    if value != 4:
        assert everything.count(value) == 1


@pytest.mark.parametrize(
    "selector", ["ref:nothing", "nothing", "magic:x", "ref:", "title:", "hidden:utm_medium2"]
)
def test_a_selector_that_finds_nothing_leaves_what_was_found(
    submission: Callable[..., Submission], sample: Callable[[str], dict[str, Any]], selector: str
) -> None:
    """Only answered questions are sent, so a chosen one may be missing."""
    form = Form("demo", "typeform", "none", fields={"company": selector, "custom.seats": "ref:seats"})
    lead = read(submission(sample("typeform")), form).lead
    assert lead.get("company") == "Acme GmbH"
    assert lead.get("custom.seats") == 40


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("text", "x", "x"),
        ("number", 0, 0),
        ("boolean", False, False),
        ("date", "2026-01-01", "2026-01-01"),
        ("url", "https://example.com", "https://example.com"),
        ("file_url", "https://example.com/f.pdf", "https://example.com/f.pdf"),
        ("choice", {"label": "A"}, "A"),
        ("choice", {"other": "mine"}, "mine"),
        ("choices", {"labels": ["A", "B"]}, "A, B"),
        ("choices", {"labels": ["A", None], "other": "mine"}, "A, mine"),
        ("choices", {"labels": []}, None),
        ("payment", {"amount": "$1"}, "$1"),
        ("unheard_of", {"deep": [1]}, {"deep": [1]}),
        ("text", None, None),
        ("text", "", None),
    ],
)
def test_every_kind_of_answer(
    submission: Callable[..., Submission], kind: str, value: Any, expected: Any
) -> None:
    """The value stands under the key the answer's type names."""
    assert expected == read(submission(delivery(answer(kind, value))), FORM).lead.get("custom.q1")


def test_a_ref_counts_more_than_a_type_and_a_type_more_than_a_title(
    submission: Callable[..., Submission],
) -> None:
    """Of three questions that could be the e-mail address, the one whose ref says so is."""
    answers = (
        answer("text", "title@example.com", "q1"),
        answer("email", "type@example.com", "q2", "email"),
        answer("text", "ref@example.com", "work_email"),
    )
    lead = read(submission(delivery(*answers, titles={"q1": "Your email"})), FORM).lead
    assert lead.fields == {"email": "ref@example.com"}
    assert lead.custom == {"q1": "title@example.com", "q2": "type@example.com", "e": "laura@example.com"}


@pytest.mark.parametrize(
    ("title", "field"),
    [
        ("What's your work email?", "email"),
        ("E-Mail-Adresse", "email"),
        ("Correo electrónico", "email"),
        ("Phone number", "phone"),
        ("Telefonnummer", "phone"),
        ("Numéro de téléphone", "phone"),
        ("Company", "company"),
        ("What's the name of your company?", "company"),
        ("Unternehmen", "company"),
        ("Nombre de la empresa", "company"),
        ("Company size", "employees"),
        ("Wie viele Mitarbeiter haben Sie?", "employees"),
        ("Combien d'employés ?", "employees"),
        ("Company website", "website"),
        ("First name", "first_name"),
        ("Vorname", "first_name"),
        ("Prénom", "first_name"),
        ("Last name", "last_name"),
        ("Nachname", "last_name"),
        ("Apellidos", "last_name"),
        ("Vor- und Nachname", "name"),
        ("Full name", "name"),
        ("Nom complet", "name"),
        ("What is your name?", "name"),
        ("Wie heißen Sie?", "name"),
        ("Name*", "name"),
        ("Nom", "name"),
        ("Job title", "title"),
        ("Which country are you in?", "country"),
        ("Land", "country"),
        ("Pays", "country"),
        ("País", "country"),
        ("Industry", "industry"),
        ("What is your budget?", "budget"),
        ("Project timeline", "timeline"),
        ("How can we help you?", "message"),
        ("Ihre Nachricht", "message"),
        ("Mensaje", "message"),
        ("Which CRM do you use?", None),
        ("Name of your CRM", None),
        ("", None),
        ("Company " + "x" * LONGEST_TELLING_TITLE, None),
    ],
)
def test_titles_in_four_languages(title: str, field: str | None) -> None:
    """The special word counts before the general one, and what is unclear is left alone."""
    assert field == field_asked_for(title)


@pytest.mark.parametrize(
    ("kind", "field_type", "value", "found"),
    [
        ("text", "short_text", "Acme", True),
        ("text", "long_text", "We are a company that …", False),
        ("boolean", "yes_no", True, False),
        ("choice", "multiple_choice", {"label": "Yes"}, False),
        ("number", "number", 7, False),
    ],
)
def test_a_question_about_the_company_is_not_the_company(
    submission: Callable[..., Submission], kind: str, field_type: str, value: Any, found: bool
) -> None:
    """A title counts only for answers of a kind that can be what it asks for."""
    given = delivery(answer(kind, value, field_type=field_type), titles={"q1": "Your company"})
    assert found is ("company" in read(submission(given), FORM).lead.fields)


def test_hidden_fields_fill_what_was_not_answered(submission: Callable[..., Submission]) -> None:
    """An answer counts more than a hidden field of the same name, which is kept under `custom`; `xxxxx` is nothing."""
    hidden = {
        "email": "hidden@example.com",
        "gclid": "G1",
        "plan": "pro",
        "utm_term": "xxxxx",
        "utm_source": "",
    }
    lead = read(submission(delivery(hidden=hidden)), FORM).lead
    assert lead.fields == {"email": "laura@example.com", "gclid": "G1"}
    assert lead.custom == {"email": "hidden@example.com", "plan": "pro"}


@pytest.mark.parametrize("answers", [[EMAIL], [], None])
def test_a_partial_response_is_counted_and_never_routed(
    submission: Callable[..., Submission], answers: list[Any] | None
) -> None:
    """It is marked as a test, readable or not, and does not take the key of the response that may follow."""
    given = {"event_type": "form_response_partial", "form_response": {"token": "t1", "answers": answers}}
    parsed = read(submission(given), FORM)
    assert parsed.is_test
    assert parsed.same_submission_key is None


def test_a_finished_response_is_no_test(submission: Callable[..., Submission]) -> None:
    """The token is the key; a missing or unreadable time is no reason to lose a lead."""
    parsed = read(submission(delivery(submitted_at="yesterday")), FORM)
    assert (parsed.is_test, parsed.same_submission_key, parsed.submitted_at) == (False, "t1", None)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "form_response is missing"),
        ([], "the body is a list"),
        ({"form_response": "laura"}, "form_response is text"),
        ({"form_response": {"answers": 5}}, "nobody to answer"),
    ],
)
def test_what_is_no_form_response_is_refused_in_words(
    submission: Callable[..., Submission], body: Any, text: str
) -> None:
    """The text says which part is wrong."""
    with pytest.raises(UnreadableSubmission, match=text):
        read(submission(body), FORM)


def asking(*asked: dict[str, Any]) -> dict[str, Any]:
    """A response to these questions, each with its answer under "said"."""
    questions = [{**question, "id": f"q{number}"} for number, question in enumerate(asked)]
    said = [
        {
            **question["said"],
            "field": {name: question[name] for name in ("id", "type", "ref") if name in question},
        }
        for question in questions
    ]
    return {"form_response": {"token": "t", "definition": {"fields": questions}, "answers": said}}


def test_the_parts_of_contact_info_and_of_an_address(submission: Callable[..., Submission]) -> None:
    """Their questions stand inside a group, with keys of Typeform's own and refs that nobody chose."""
    parts = {
        "first_name": ("Ana", "Nombre"), "last_name": ("Ruiz", "Segundo"), "company": ("Example SL", "Organización"),
        "phone_number": ("+34 600 000 000", "Móvil"), "email": ("ana@example.com", "Correo"), "city": ("Madrid", "Pueblo"),
        "state": ("MD", "Estado/Provincia"), "country": ("Spain", "Nación"), "address": ("Calle 1", "Dirección"),
    }  # fmt: skip
    inner = [
        {"id": key, "subfield_key": key, "title": title, "type": "short_text"}
        for key, (_, title) in parts.items()
    ]
    answers = [
        {"type": "text", "text": said, "field": {"id": key, "type": "short_text", "ref": f"01GRC8GR2017M6WW347T86VV{place:02}"}}
        for place, (key, (said, _)) in enumerate(parts.items())
    ]  # fmt: skip
    group = {"id": "g", "type": "contact_info", "title": "About you", "properties": {"fields": inner}}
    body = {"form_response": {"token": "t", "definition": {"fields": [group]}, "answers": answers}}
    lead = read(submission(body), FORM).lead
    assert lead.fields == {
        "first_name": "Ana", "last_name": "Ruiz", "company": "Example SL", "phone": "+34 600 000 000",
        "email": "ana@example.com", "city": "Madrid", "region": "MD", "country": "Spain",
    }  # fmt: skip
    assert lead.custom == {"Dirección": "Calle 1"}


def test_a_custom_answer_has_the_name_a_person_understands(submission: Callable[..., Submission]) -> None:
    """Its ref where somebody chose it, else its title; a second of that title, its ref again."""
    given = "7a6b5c4d-1111-2222-3333-44445555666"
    lead = read(
        submission(
            asking(
                {"type": "email", "title": "E-mail", "said": {"type": "email", "email": "ana@example.com"}},
                {
                    "ref": f"{given}0",
                    "title": "*How did you\n hear of us?*",
                    "said": {"type": "text", "text": "Radio"},
                },
                {
                    "ref": f"{given}1",
                    "title": "How did you hear of us?",
                    "said": {"type": "text", "text": "TV"},
                },
                {"ref": "plan", "title": "Which plan?", "said": {"type": "text", "text": "pro"}},
                {"ref": f"{given}2", "said": {"type": "text", "text": "untitled"}},
            )
        ),
        FORM,
    ).lead
    assert lead.custom == {
        "How did you hear of us?": "Radio", f"{given}1": "TV", "plan": "pro", f"{given}2": "untitled",
    }  # fmt: skip


def test_the_address_of_a_manager_is_not_the_leads(submission: Callable[..., Submission]) -> None:
    """Unless it is the only one there is."""
    boss = {
        "type": "email",
        "title": "Your manager's e-mail",
        "said": {"type": "email", "email": "boss@example.com"},
    }
    own = {"type": "email", "title": "And yours?", "said": {"type": "email", "email": "kim@example.com"}}
    assert read(submission(asking(boss, own)), FORM).lead.get("email") == "kim@example.com"
    assert read(submission(asking(boss)), FORM).lead.get("email") == "boss@example.com"
