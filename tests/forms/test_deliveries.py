"""Deliveries as form tools send them, byte for byte: who is in them, what is kept beside, under which key."""

import json
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from speed_to_lead.core.submission import Form, ParsedSubmission, Submission, UnreadableSubmission
from speed_to_lead.forms import PROVIDERS, read

HERE = Path(__file__).parent
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
BOUNDARY = "------------------------J1JNT4vbVO4FCC1qLG4HSv"
CONTENT_TYPES = {
    ".form": "application/x-www-form-urlencoded",
    ".multipart": f"multipart/form-data; boundary={BOUNDARY}",
    ".json": "application/json",
}
RECORDED = {path.name: path for path in (HERE / "deliveries").iterdir()} | {
    path.name: path for path in (HERE / "samples").glob("*.json")
}

ELEMENTOR = {
    "first_name": "Lucía", "last_name": "García", "email": "lucia@example.com", "phone": "+34 600 000 000",
    "company": "Ejemplo SL", "message": "Hola & gracias", "consent": "on", "utm_source": "google", "gclid": "Cj0KCQ",
    "landing_page": "https://www.example.com/contacto/?gclid=Cj0KCQ",
}  # fmt: skip
ELEMENTOR_CUSTOM = {
    "Productos": "A, B", "date": "2 de marzo de 2026", "time": "09:15", "form_id": "1a2b3c4", "form_name": "Contact",
}  # fmt: skip
FLUENT = {
    "first_name": "Noor", "last_name": "de Vries", "email": "noor@example.com", "phone": "+31 20 123 4567",
    "message": "Graag een demo", "consent": "on", "city": "Amsterdam", "region": "NH", "country": "NL",
    "landing_page": "https://www.example.com/contact/?utm_source=google", "utm_source": "google",
}  # fmt: skip
FLUENT_CUSTOM = {
    "input_text": "Voorbeeld BV", "checkbox": "Demo, Prijzen", "address_1": "Dam 1, Amsterdam, NH, 1012, NL",
    "form_id": "3", "serial_number": "17", "status": "unread",
}  # fmt: skip
JOTFORM = {
    "first_name": "Niamh", "last_name": "O'Brien", "email": "niamh@example.com", "phone": "01 2345678",
    "company": "Example, Ltd: Dublin", "city": "Dublin", "region": "Leinster", "country": "Ireland",
    "message": "Line one, with a comma: and a colon\r\nLine two ✓", "utm_source": "google", "gclid": "Cj0KCQ",
}  # fmt: skip
JOTFORM_CUSTOM = {
    "address": "1 Main Street, Dublin, Leinster, D01, Ireland", "howMany": "51-200", "interests": "Option; 1, Option 2",
    "appointment": {"implementation": "new", "duration": "60", "timezone": "Europe/Dublin (GMT+00:00)"},
    "fileUpload": ", ".join(
        f"https://www.jotform.com/uploads/someone/243231271343446/6197916587414311452/{name}"
        for name in ("error%3B%20frontend.png", "b.png")
    ),
    "form_id": "243231271343446", "form_name": "Contact, us: now",
}  # fmt: skip
UNBOUNCE = {
    "first_name": "Chloé", "last_name": "Martin", "email": "chloe@example.com", "phone": "+33 1 23 45 67 89",
    "company": "Exemple SA", "employees": "11 à 50", "message": "Bonjour", "utm_source": "google", "gclid": "Cj0KCQ",
    "landing_page": "http://my-landing-page.example.com/",
}  # fmt: skip
UNBOUNCE_CUSTOM = {
    "produits": "A, B", "form_id": "a2838d98-4cf4-11df-a3fd-00163e372d58", "form_name": "My Landing Page", "variant": "a",
}  # fmt: skip
SALESFORCE = {
    "first_name": "Pat", "last_name": "Doe", "email": "pat@example.com", "phone": "+1 555 123 4567",
    "company": "Example Corp", "title": "CTO", "website": "www.example.com", "source": "Web", "message": "Call me",
    "industry": "Technology", "city": "Austin", "region": "TX", "country": "US",
}  # fmt: skip
SALESFORCE_CUSTOM = {
    "mobile": "+1 555 999 0000", "zip": "78701", "Campaign_ID": "701000000000001", "emailOptOut": "1",
    "00N5e00000abcde": "51-200",
}  # fmt: skip

#: Of each delivery: its lead, its custom fields, its key and its time.
EXPECTED: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], str | None, str | None]] = {
    "calendly.json": (
        {
            "name": "Ana Ruiz", "email": "ana.ruiz@example.com", "phone": "+49 30 1234567", "company": "Example GmbH",
            "employees": "51-200", "message": "We have 3 teams.\nCan you route by language?", "utm_campaign": "spring",
            "utm_source": "google", "utm_medium": "cpc",
        },
        {
            "event": "invitee.created", "event_name": "30 minute demo", "start_time": "2026-03-04T09:00:00.000000Z",
            "end_time": "2026-03-04T09:30:00.000000Z", "timezone": "Europe/Berlin", "host_email": "sam@rep.example.com",
        },
        "https://api.calendly.com/scheduled_events/EEEEEEEEEEEEEEEE/invitees/IIIIIIIIIIIIIIII invitee.created",
        "2026-03-02T08:15:29.361675+00:00",
    ),
    "tally.json": (
        {
            "first_name": "Jürgen", "last_name": "Müller-Lüdenscheidt", "email": "juergen@example.com",
            "phone": "+493012345678", "company": "Beispiel AG", "employees": "11-50", "consent": "Ja",
            "message": "Bitte um Rückruf ☎\n\nDanke", "utm_source": "newsletter", "gclid": "Cj0KCQ",
        },
        {
            "Interessen": "Routing, SLAs", "Anhang": "https://storage.example.com/brief.pdf, https://storage.example.com/b.pdf",
            "plan": "team", "score": 7, "form_id": "nP9995", "form_name": "Contact",
        },
        "jyqVba",
        "2026-03-02T08:15:31+00:00",
    ),
    "webflow.json": (
        {
            "first_name": "Zoë", "last_name": "Ångström", "email": "zoe@example.com", "phone": 15551234567,
            "company": "Example Inc", "message": "Hello,\nwe need routing.", "consent": "true", "gclid": "EAIaIQ",
            "landing_page": "https://www.example.com/contact?utm_source=linkedin&utm_medium=paid_social",
            "utm_source": "linkedin", "utm_medium": "paid_social",
        },
        {
            "Reason for Inquiry": "Sales", "form_id": "65429eadebe8a9f3a30f62d0", "form_name": "Contact Us",
            "site_id": "65427cf400e02b306eaa049c",
        },
        "6321ca84df3949bfc6752327",
        "2026-03-02T08:15:32.279000+00:00",
    ),
    "jotform.multipart": (JOTFORM, JOTFORM_CUSTOM, "6197916587414311452", None),
    "jotform.json": (JOTFORM, JOTFORM_CUSTOM, "6197916587414311452", None),
    "gravity.json": (
        {
            "first_name": "Jane", "last_name": "Doe", "email": "jane@example.com", "phone": "(555) 123-4567",
            "city": "Springfield", "region": "Illinois", "country": "United States", "utm_source": "google",
            "utm_medium": "cpc", "gclid": "Cj0KCQ",
            "landing_page": "https://www.example.com/contact/?utm_source=google&utm_medium=cpc&gclid=Cj0KCQ",
        },
        {
            "5.1": "1 Main Street", "5.5": "62701", "6.1": "Routing", "6.3": "Reports", "7": "2026-03-07",
            "8": "Please call", "form_id": "1", "status": "active",
        },
        "1.3233",
        "2026-03-02T08:15:33+00:00",
    ),
    "elementor-advanced.form": (ELEMENTOR, ELEMENTOR_CUSTOM, None, None),
    "elementor.json": (ELEMENTOR, ELEMENTOR_CUSTOM, None, None),
    "elementor-simple.form": (
        {
            "first_name": "Giulia", "last_name": "Rossi", "email": "giulia@example.com", "phone": "+39 06 1234567",
            "company": "Esempio S.r.l.", "message": "Buongiorno", "consent": "on",
            "landing_page": "https://www.example.com/contatti/",
        },
        {"field_9": "x", "date": "2 Marzo 2026", "time": "9:15 am", "form_id": "1a2b3c4", "form_name": "Contatti"},
        None,
        None,
    ),
    "fluent.json": (FLUENT, FLUENT_CUSTOM, "3.412", None),
    "fluent.form": (FLUENT, FLUENT_CUSTOM, "3.412", None),
    "formstack.json": (
        {
            "first_name": "Maria", "last_name": "Silva", "email": "maria@example.com", "phone": "+351 912 345 678",
            "company": "Exemplo Lda", "employees": "10-50", "message": "Bom dia", "city": "Lisboa", "country": "Portugal",
        },
        {"Address": "Rua 1, Lisboa, 1000, Portugal", "Products": "A, B", "form_id": "6606394"},
        "1500878955",
        None,
    ),
    "formstack.form": (
        {
            "first_name": "Maria", "last_name": "Silva", "email": "maria@example.com", "phone": "(555) 123-4567",
            "company": "Exemplo Lda", "message": "Bom dia", "utm_source": "google",
        },
        {"form_id": "6606394"},
        "1500878955",
        None,
    ),
    "unbounce.json": (UNBOUNCE, UNBOUNCE_CUSTOM, "*", "2026-03-02T22:57:00+00:00"),
    "unbounce.form": (UNBOUNCE, UNBOUNCE_CUSTOM, "*", "2026-03-02T22:57:00+00:00"),
    "salesforce_web_to_lead.json": (SALESFORCE, SALESFORCE_CUSTOM, None, None),
    "salesforce_web_to_lead.form": (SALESFORCE, SALESFORCE_CUSTOM, None, None),
}  # fmt: skip


def read_as(
    name: str,
    body: bytes | None = None,
    content_type: str | None = None,
    fields: Mapping[str, str] | None = None,
) -> ParsedSubmission:
    """What is read of a recorded delivery, or of another body that is sent like it."""
    path = RECORDED[name]
    form = Form("demo", path.stem.partition("-")[0], "none", fields=fields or {})
    sent = path.read_bytes() if body is None else body
    kind = CONTENT_TYPES[path.suffix] if content_type is None else content_type
    return read(Submission("s1", "demo", NOW, sent, kind), form)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_delivery_gives_its_lead(name: str) -> None:
    """Every field, every custom field, the key and the form's own time."""
    fields, custom, key, submitted_at = EXPECTED[name]
    parsed = read_as(name)
    assert fields == parsed.lead.fields
    assert custom == parsed.lead.custom
    assert key == (parsed.same_submission_key and (key if key == "*" else parsed.same_submission_key))
    assert submitted_at == (parsed.submitted_at and parsed.submitted_at.isoformat())
    assert not parsed.is_test


@pytest.mark.parametrize(
    ("content_type", "of"),
    [
        ("", lambda body: body),
        ("multipart/form-data", lambda body: body),
        ("multipart/form-data; boundary=another", lambda body: body),
        (f'multipart/form-data; charset=UTF-8; boundary="{BOUNDARY}"', lambda body: body),
        (CONTENT_TYPES[".multipart"], lambda body: body.replace(b"\r\n", b"\n")),
        (CONTENT_TYPES[".multipart"], lambda body: b"\r\n" + body + b"\r\n"),
    ],
)
def test_multipart_is_read_as_it_comes(content_type: str, of: Callable[[bytes], bytes]) -> None:
    """With its boundary, without, with another, quoted, or with the line ends lost on the way."""
    parsed = read_as("jotform.multipart", of(RECORDED["jotform.multipart"].read_bytes()), content_type)
    assert {**JOTFORM, "message": ""} == {**parsed.lead.fields, "message": ""}
    assert parsed.same_submission_key == "6197916587414311452"


def test_a_file_in_a_multipart_body_is_known_by_its_name() -> None:
    """What a plain form with an upload posts."""
    body = (
        b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\nana@example.com\r\n--x\r\nContent-Disposition: '
        b'form-data; name="file"; filename="cv.pdf"\r\nContent-Type: application/pdf\r\n\r\n%PDF\xff\x00\r\n'
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nZo\xeb\r\n--x--\r\n'
    )
    parsed = read_as("salesforce_web_to_lead.form", body, "multipart/form-data; boundary=x")
    assert parsed.lead.fields == {"email": "ana@example.com", "name": "Zoë"}
    assert parsed.lead.custom == {"file": "cv.pdf"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"--y\r\nemail=1", "does not begin with the boundary"),
        (b'--x\r\nContent-Disposition: form-data; name="laura', "damaged or broken off"),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nlaura', "could be read up to its part 0"),
        (b"--x\r\n\r\nlaura\r\n--x--\r\n", "damaged"),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 1001 + b"--x--", "more than 1000 parts"),
        (b"--x--\r\n", "nobody to answer"),
        (b"", "the body is empty"),
        (b"--x" + b" " * 1024 * 1024, "at most 1048576 are read"),
    ],
)  # fmt: skip
def test_a_damaged_multipart_body_is_refused_in_words(body: bytes, reason: str) -> None:
    """The place, and nothing of what it holds."""
    with pytest.raises(UnreadableSubmission, match=reason) as raised:
        read_as("salesforce_web_to_lead.form", body, "multipart/form-data; boundary=x")
    assert "laura" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "fields", "field", "expected"),
    [
        ("calendly.json", {"company": "question:company NAME"}, "company", "Example GmbH"),
        ("calendly.json", {"custom.with": "field:host_email"}, "custom.with", "sam@rep.example.com"),
        ("tally.json", {"company": "label:Anhang"}, "company", "https://storage.example.com/brief.pdf, https://storage.example.com/b.pdf"),
        ("tally.json", {"city": "key:question_eeeeee"}, "city", "Beispiel AG"),
        ("tally.json", {"campaign": "hidden:plan"}, "campaign", "team"),
        ("tally.json", {"custom.to": "type:INPUT_EMAIL"}, "custom.to", "juergen@example.com"),
        ("webflow.json", {"industry": "field:Reason for Inquiry"}, "industry", "Sales"),
        ("jotform.multipart", {"employees": "name:howMany"}, "employees", "51-200"),
        ("jotform.multipart", {"employees": "id:8"}, "employees", "51-200"),
        ("jotform.multipart", {"name": "id:3"}, "name", "Niamh O'Brien"),
        ("jotform.multipart", {"name": "name:fullName"}, "name", "Niamh O'Brien"),
        ("jotform.multipart", {"title": "name:fullName.last"}, "title", "O'Brien"),
        ("gravity.json", {"message": "input:8", "custom.plan": "6.1"}, "message", "Please call"),
        ("gravity.json", {"title": "input:1.3"}, "title", "Jane"),
        ("elementor-advanced.form", {"industry": "label:productos"}, "industry", "A, B"),
        ("elementor-advanced.form", {"title": "id:field_2"}, "title", "Ejemplo SL"),
        ("elementor-simple.form", {"title": "label:Azienda"}, "title", "Esempio S.r.l."),
        ("fluent.form", {"company": "field:input_text"}, "company", "Voorbeeld BV"),
        ("formstack.form", {"title": "field:Company"}, "title", "Exemplo Lda"),
        ("unbounce.form", {"industry": "produits"}, "industry", "A, B"),
        ("salesforce_web_to_lead.form", {"employees": "field:00N5e00000abcde"}, "employees", "51-200"),
    ],
)  # fmt: skip
def test_fields_of_the_config_come_first(
    name: str, fields: dict[str, str], field: str, expected: str
) -> None:
    """What ops wrote wins over what the titles say; what is chosen is not kept a second time."""
    parsed = read_as(name, fields=fields)
    assert expected == parsed.lead.get(field)


def changed(name: str, change: Callable[[Any], object]) -> ParsedSubmission:
    """What is read of a sample after a change."""
    delivery = json.loads(RECORDED[name].read_bytes())
    change(delivery)
    return read_as(name, json.dumps(delivery).encode())


@pytest.mark.parametrize("event", ["invitee.canceled", "invitee_no_show.created", "invitee_no_show.deleted"])
def test_a_meeting_called_off_is_no_lead(event: str) -> None:
    """Counted, and routed to nobody."""
    assert changed("calendly.json", lambda delivery: delivery.update(event=event)).is_test


def test_a_routing_form_of_calendly_is_a_lead() -> None:
    """Its person stands among the answers; there is no meeting in it."""
    answers = [
        {"question_uuid": "a", "question": "Work email", "answer": "kim@example.com"},
        {"question_uuid": "b", "question": "Name", "answer": "Kim Doe"},
        {"question_uuid": "c", "question": "Company Size", "answer": "200+"},
    ]
    uri = "https://api.calendly.com/routing_form_submissions/S"
    sent = {
        "uri": uri,
        "routing_form": "https://api.calendly.com/routing_forms/F",
        "questions_and_answers": answers,
    }
    delivery = {
        "event": "routing_form_submission.created",
        "payload": {
            **sent,
            "tracking": {"utm_source": None},
            "submitter": None,
            "created_at": "2026-03-02T08:00:00Z",
        },
    }
    parsed = read_as("calendly.json", json.dumps(delivery).encode())
    assert parsed.lead.fields == {"email": "kim@example.com", "name": "Kim Doe", "employees": "200+"}
    assert parsed.same_submission_key == f"{uri} routing_form_submission.created"
    assert parsed.lead.custom["routing_form"] == sent["routing_form"]


def test_the_older_shape_of_calendly_is_read() -> None:
    """What its sample still shows: the person one level deeper, and the meeting in `event`."""
    invitee = {
        "uuid": "I",
        "name": "Kim Doe",
        "first_name": None,
        "email": "kim@example.com",
        "text_reminder_number": "+1 404 555 1234",
    }
    payload = {
        "event_type": {"name": "15 Minute Meeting"}, "event": {"uuid": "E", "start_time": "2026-03-04T09:00:00Z"}, "invitee": invitee,
        "questions_and_answers": [{"question": "Company", "answer": "Example"}], "tracking": {"utm_source": "x"},
    }  # fmt: skip
    delivery = {"event": "invitee.created", "time": "2026-03-02T08:00:00Z", "payload": payload}
    parsed = read_as("calendly.json", json.dumps(delivery).encode())
    assert parsed.lead.fields == {
        "email": "kim@example.com", "name": "Kim Doe", "phone": "+1 404 555 1234", "company": "Example", "utm_source": "x",
    }  # fmt: skip
    assert parsed.lead.custom["event_name"] == "15 Minute Meeting"
    assert parsed.submitted_at == datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_calendly_calls_a_number_the_invitee_gave() -> None:
    """Where the meeting is a call to the invitee, the place is the number."""

    def by_phone(delivery: Any) -> None:
        delivery["payload"]["scheduled_event"]["location"] = {
            "type": "outbound_call",
            "location": "+1 404 555 1234",
        }

    assert changed("calendly.json", by_phone).lead.get("phone") == "+1 404 555 1234"


def test_choices_of_tally_without_their_options_are_told_by_their_boxes() -> None:
    """The ids alone say nothing; each box comes along by itself, with its words."""

    def without_options(delivery: Any) -> None:
        for field in delivery["data"]["fields"]:
            field.pop("options", None)

    assert changed("tally.json", without_options).lead.custom["Interessen"] == "Routing, SLAs"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("tally.json", lambda delivery: delivery.update(eventType="FORM_PREVIEW")),
        ("webflow.json", lambda delivery: delivery.update(triggerType="site_publish")),
        ("tally.json", lambda delivery: delivery["data"]["fields"].append({"label": "is_test", "type": "HIDDEN_FIELDS", "value": "true"})),
        ("webflow.json", lambda delivery: delivery["payload"]["data"].update(is_test="1")),
        ("calendly.json", lambda delivery: delivery["payload"]["questions_and_answers"].append({"question": "is_test", "answer": "true"})),
        ("jotform.json", lambda delivery: delivery.update(rawRequest={"q9_isTest": "true"})),
        ("gravity.json", lambda delivery: delivery.update(is_test="true")),
        ("elementor.json", lambda delivery: delivery["fields"].update(is_test={"id": "is_test", "value": "TRUE"})),
        ("fluent.json", lambda delivery: delivery.update(is_test=True)),
        ("formstack.json", lambda delivery: delivery.update({"Is test": "true"})),
        ("unbounce.json", lambda delivery: delivery.update(is_test=["true"])),
        ("salesforce_web_to_lead.json", lambda delivery: delivery.update(test=True)),
    ],
)  # fmt: skip
def test_a_test_reaches_nobody(name: str, change: Callable[[Any], object]) -> None:
    """What is no submission, and what the form marks as a test, is counted and never routed."""
    assert changed(name, change).is_test


def test_a_question_about_a_test_is_no_test() -> None:
    """Only `true` marks one."""
    assert not changed(
        "webflow.json", lambda delivery: delivery["payload"]["data"].update(test="A/B")
    ).is_test


def test_the_older_shape_of_webflow_is_read() -> None:
    """Without an envelope."""
    body = {
        "name": "Contact",
        "site": "S",
        "data": {"Email": "kim@example.com"},
        "d": "2026-03-02T08:00:00.000Z",
        "_id": "X",
    }
    parsed = read_as("webflow.json", json.dumps(body).encode())
    assert parsed.lead.fields == {"email": "kim@example.com"}
    assert parsed.same_submission_key == "X"
    assert parsed.submitted_at == datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_gravity_sends_the_names_chosen_in_the_webhook() -> None:
    """With "Select Fields" there is no entry, and an id of the form's own is no key."""
    parsed = read_as(
        "gravity.json",
        b"email=kim%40example.com&first_name=Kim&id=7&Telefon=%2B49+30+1234567",
        CONTENT_TYPES[".form"],
    )
    assert parsed.lead.fields == {"email": "kim@example.com", "first_name": "Kim", "phone": "+49 30 1234567"}
    assert parsed.lead.custom == {"id": "7"}
    assert parsed.same_submission_key is None


def test_ten_boxes_of_gravity_are_no_name() -> None:
    """A list of boxes of which the third and the sixth are ticked has other numbers too."""
    entry = {
        "form_id": "1",
        "id": "2",
        "4": "kim@example.com",
        "9.1": "",
        "9.3": "Tea",
        "9.6": "Milk",
        "9.7": "Salt",
    }
    assert "first_name" not in read_as("gravity.json", json.dumps(entry).encode()).lead.fields


def test_unbounce_tells_a_resend_from_a_second_thought() -> None:
    """The same words in the same minute are the same submission; other words, or another minute, are not."""
    first = read_as("unbounce.json").same_submission_key
    assert first == changed("unbounce.json", lambda _: None).same_submission_key
    assert (
        first
        != changed("unbounce.json", lambda data: data.update(votre_message=["Non!"])).same_submission_key
    )
    assert (
        first
        != changed(
            "unbounce.json", lambda data: data.update(time_submitted=["10:58 PM UTC"])
        ).same_submission_key
    )


def test_xml_alone_is_refused_in_words() -> None:
    """Unbounce can be set to XML; the reason says what to choose instead."""
    with pytest.raises(UnreadableSubmission, match="choose form data or JSON"):
        read_as("unbounce.form", b"page_id=1&data.xml=%3Cform_data%3E")


@pytest.mark.parametrize("name", ["jotform.json", "unbounce.json"])
def test_json_inside_a_field_is_refused_with_its_place(name: str) -> None:
    """Which field, which line and column; nothing of what it holds."""
    field = "rawRequest" if name.startswith("jotform") else "data.json"
    with pytest.raises(
        UnreadableSubmission, match=rf"{field} is not JSON: .* at line 1, column \d+"
    ) as raised:
        read_as(name, json.dumps({field: '{"email": laura@example.com}'}).encode())
    assert "laura" not in str(raised.value)


@pytest.mark.parametrize("count", [1000, 1001])
def test_more_answers_than_a_form_can_have_are_refused(count: int) -> None:
    """Counted before they are looked at."""
    fields = [
        {"key": f"q{n}", "label": f"Frage {n}", "type": "INPUT_TEXT", "value": "x"} for n in range(count - 3)
    ]
    email = {"key": "e", "label": "Mail", "type": "INPUT_EMAIL", "value": "kim@example.com"}
    body = json.dumps({"data": {"formId": "f", "formName": "n", "fields": [email, *fields]}}).encode()
    if count == 1000:
        assert read_as("tally.json", body).lead.get("email") == "kim@example.com"
    else:
        with pytest.raises(UnreadableSubmission, match="more than 1000 answers"):
            read_as("tally.json", body)


def reason_or_none(submission: Submission, provider: str) -> str:
    """Why there is no lead in it; "" where there is one, which can be stored as JSON."""
    try:
        parsed = read(submission, Form("demo", provider, "none"))
    except UnreadableSubmission as reason:
        return str(reason)
    json.dumps([parsed.lead.fields, parsed.lead.custom], allow_nan=False).encode()
    return ""


@pytest.mark.parametrize("name", sorted(path.name for path in (HERE / "deliveries").iterdir()))
def test_damaged_deliveries_give_a_lead_or_a_reason(name: str) -> None:
    """Bytes changed, left out, doubled and cut off, the same ones on every run: no other exception."""
    dice = random.Random(name)
    whole = RECORDED[name].read_bytes()
    pieces = [
        b"[",
        b"]",
        b"%",
        b"&",
        b"=",
        b"--",
        b"\r\n",
        b'"',
        b"\\u",
        b"\xff",
        b"\x00",
        b"{",
        b"}",
        b":",
        b"[]",
        b"null",
    ]
    for _ in range(300):
        body = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            at, length = dice.randrange(len(body) or 1), dice.choice((0, 1, 3, 40))
            body[at : at + length] = dice.choice(
                [b"", dice.choice(pieces), bytes(body[at : at + length]) * 2]
            )
        for provider in (name.partition(".")[0].partition("-")[0], dice.choice(sorted(PROVIDERS))):
            submission = Submission("s1", "demo", NOW, bytes(body), CONTENT_TYPES[RECORDED[name].suffix])
            reason = reason_or_none(submission, provider)
            assert "does not know" not in reason, reason


def test_tally_tells_a_matrix_in_words_and_a_field_without_a_type() -> None:
    """The ids of rows and columns say nothing; a label says what it is without a type."""
    fields = [
        {"label": "Contact Person Name?", "value": "Ana Ruiz"},
        {"label": "Email Address?", "value": "ana@example.com"},
        {
            "key": "q", "label": "How good are we?", "type": "MATRIX", "value": {"r1": ["c1"], "r2": ["c1", "c2"], "r3": []},
            "rows": [{"id": "r1", "text": "Support"}, {"id": "r2", "text": "Price"}, {"id": "r3", "text": "Docs"}],
            "columns": [{"id": "c1", "text": "Good"}, {"id": "c2", "text": "Fair"}],
        },
    ]  # fmt: skip
    lead = read_as("tally.json", json.dumps({"data": {"fields": fields}}).encode()).lead
    assert lead.fields == {"name": "Ana Ruiz", "email": "ana@example.com"}
    assert lead.custom == {"How good are we?": "Support: Good; Price: Good, Fair"}


def test_what_else_webflow_tells_is_counted_only() -> None:
    """A publication has no answers, and is no dead letter."""
    body = {"triggerType": "site_publish", "payload": {"siteId": "62749158efef318abc8d5a0f"}}
    assert read_as("webflow.json", json.dumps(body).encode()).is_test


def test_a_page_that_is_not_in_utf_8_encodes_its_own_bytes() -> None:
    """`%FC` is what Western European pages send for ü."""
    body = b"first_name=J%FCrgen&last_name=M%C3%BCller&email=j%40example.com"
    fields = read_as("salesforce_web_to_lead.form", body).lead.fields
    assert fields == {"first_name": "Jürgen", "last_name": "Müller", "email": "j@example.com"}


def test_elementor_tells_its_page_in_the_language_of_the_site() -> None:
    """The German name of the page's address is no website of the person's."""
    body = b"Email=a%40example.com&Company=A+%26+B+%27X%27&Seiten-URL=https%3A%2F%2Fx.example.com%2F%3Fa%3D1%26copy%3D2"
    lead = read_as("elementor-simple.form", body).lead
    assert lead.fields == {
        "email": "a@example.com",
        "company": "A & B 'X'",
        "landing_page": "https://x.example.com/?a=1&copy=2",
    }


def test_who_else_comes_to_the_meeting() -> None:
    """Guests the invitee named are kept: a colleague may be the one who decides."""
    guests = [{"email": "boss@example.com"}, {"email": "cto@example.com"}]
    invitee = {"email": "ana@example.com", "scheduled_event": {"event_guests": guests}}
    lead = read_as(
        "calendly.json", json.dumps({"event": "invitee.created", "payload": invitee}).encode()
    ).lead
    assert lead.custom["guests"] == "boss@example.com, cto@example.com"
