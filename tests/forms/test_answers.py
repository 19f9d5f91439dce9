"""Which field an answer is: by what the tool says, by its name, its type, its title; in seven languages."""

from typing import Any

import pytest

from speed_to_lead.core.submission import Form
from speed_to_lead.forms import titles
from speed_to_lead.forms.answer import Answer, Sort
from speed_to_lead.forms.answers import payload_of

FORM = Form("demo", "webflow", "none")
BY_NAME = {"field": "name", "label": "title"}
EMAIL = Answer("ana@example.com", "email")


def placed(*given: Answer) -> dict[str, Any]:
    """The payload of these answers and of an e-mail address, without what is empty."""
    return {name: value for name, value in payload_of([*given, EMAIL], FORM, BY_NAME).items() if value != {}}


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("email", ["Email 2", "E-Mail-Adresse", "Adresse e-mail *", "Correo electrónico", "Correio eletrônico", "Posta elettronica", "E-mailadres", "workEmail"]),
        ("phone", ["Telefonnummer", "Numéro de téléphone", "Teléfono", "Telemóvel", "Celular", "Cellulare", "Telefoonnummer", "Mobilnummer", "yourPhoneNumber", "WhatsApp", "Contact number", "Handy", "Portable"]),
        ("first_name", ["Vorname", "Prénom", "Primer nombre", "Primeiro nome", "Voornaam", "First Name", "your_first_name"]),
        ("last_name", ["Nachname", "Zuname", "Nom de famille", "Apellidos", "Sobrenome", "Apelido", "Cognome", "Achternaam", "Last name"]),
        ("name", ["Ihr Name", "Vor- und Nachname", "Nom complet", "Nombre y apellidos", "Nome completo", "Nome e cognome", "Volledige naam", "Naam", "Ansprechpartner", "Contactpersoon", "Full name"]),
        ("company", ["Firma", "Unternehmen", "Firmenname", "Société", "Raison sociale", "Empresa", "Azienda", "Ragione sociale", "Bedrijf", "Bedrijfsnaam", "Organisatie", "Company / Organization"]),
        ("website", ["Webseite", "Site internet", "Página web", "Sito web", "Website URL", "Homepage"]),
        ("title", ["Ihre Position", "Poste", "Cargo", "Ruolo", "Functie", "Job title", "Berufsbezeichnung"]),
        ("employees", ["Mitarbeiterzahl", "Unternehmensgröße", "Nombre de salariés", "Número de empleados", "Número de funcionários", "Numero di dipendenti", "Aantal medewerkers", "Company size"]),
        ("industry", ["Branche", "Secteur d'activité", "Sector", "Setor", "Settore", "Industry"]),
        ("country", ["Land", "Pays", "País", "Paese", "Country"]),
        ("city", ["Stadt", "Ort", "Ville", "Ciudad", "Cidade", "Città", "Woonplaats"]),
        ("message", ["Nachricht", "Ihr Anliegen", "Votre demande", "Mensaje", "Consulta", "Mensagem", "Messaggio", "Bericht", "Opmerkingen", "Message 2", "How can we help?", "Your question"]),
        ("budget", ["Budget", "Presupuesto", "Orçamento"]),
        ("utm_source", ["utm_source", "UTM Source", "hidden_utm_source"]),
        ("gclid", ["gclid", "GCLID_FLD", "hiddenGclid"]),
        ("landing_page", ["landing_page", "Page URL", "Landing page"]),
        ("referrer", ["Referrer", "http_referrer", "Referer URL"]),
    ],
)  # fmt: skip
def test_names_and_titles_tell_the_field_in_seven_languages(field: str, names: list[str]) -> None:
    """By a name of the builder's, or by the title a visitor reads."""
    value = {"email": "kim@example.com", "phone": "030 1234567"}.get(field, "something")
    for name in names:
        for answer in (Answer(value, name), Answer(value, title=name)):
            payload = payload_of([answer], FORM, BY_NAME)
            assert (name, value) == (name, payload.get(field))
            assert payload["custom"] == {}


@pytest.mark.parametrize(
    ("field", "titles_of_it"),
    [
        ("email", ["Ihre geschäftliche E-Mail-Adresse*", "Company email", "Adresse mail professionnelle", "E-postadress", "Służbowy e-mail", "メールアドレス"]),
        ("phone", ["Company phone", "Work phone", "Teléfono móvil", "Contact no.", "Tél.", "Direct line", "Durchwahl", "電話番号"]),
        ("name", ["Prénom et nom", "Name, Vorname", "Vorname & Nachname", "First & Last Name", "Contact Person Name?", "För- och efternamn", "Imię i nazwisko", "お名前"]),
        ("first_name", ["Name (First)", "name-first", "Förnamn", "Imię"]),
        ("last_name", ["Name (Last)", "name-last", "Efternamn", "Nazwisko"]),
        ("company", ["Name Ihres Unternehmens", "Nom de votre entreprise", "Business name", "Where do you work?", "Företag", "Nazwa firmy", "会社名"]),
        ("title", ["Role", "Role in company", "Rolle im Unternehmen", "Stanowisko", "役職"]),
        ("employees", ["How many employees does your company have?", "Size of your company", "Antal anställda", "従業員数"]),
        ("industry", ["What industry is your company in?", "Bransch"]),
        ("website", ["Company domain", "Site da empresa", "Hemsida"]),
        ("landing_page", ["Seiten-URL", "URL de la page"]),
        ("message", ["Wie können wir helfen?", "Comment pouvons-nous vous aider ?", "¿En qué podemos ayudarle?", "Hoe kunnen we helpen?", "Question / comment", "Meddelande", "お問い合わせ内容"]),
    ],
)  # fmt: skip
def test_what_real_forms_ask(field: str, titles_of_it: list[str]) -> None:
    """As people write their questions, in ten languages."""
    assert dict.fromkeys(titles_of_it, field) == {title: titles.field_named(title) for title in titles_of_it}


@pytest.mark.parametrize(
    "title",
    [
        "How did you hear about us?", "Comment avez-vous entendu parler de nous ?", "Wie haben Sie von uns gehört?", "Address",
        "Company address", "Company owner", "Company type", "Company description", "Company registration number",
        "What does your company do?", "Which products does your company use?", "Is your company based in the US?",
        "First name of your manager", "Accountant's email", "Confirm email", "Secondary email", "Invoice email", "Partner company",
        "Email provider", "Email frequency", "How many emails do you send?", "Which phone system do you use?",
        "Phone extension", "Country code", "Country of interest", "Preferred city", "Event city", "Ort der Veranstaltung",
        "Website traffic", "Do you have a website?", "Job posting URL", "Landing page type", "Industry experience",
    ],
)  # fmt: skip
def test_what_is_about_a_field_is_not_that_field(title: str) -> None:
    """A wrong field is worse than a custom one: it may route the lead to somebody else, or call another person."""
    assert titles.field_named(title) is None


def test_an_address_of_somebody_else_comes_last() -> None:
    """Even where the form calls it an e-mail field and asks for it first; where it is the only one, it is who can be answered."""
    boss = Answer("boss@example.com", title="Your manager's email", sort=Sort.EMAIL)
    own = Answer("kim@example.com", title="Where may we write?", sort=Sort.EMAIL)
    assert payload_of([boss, own], FORM, BY_NAME) == {
        "email": "kim@example.com",
        "custom": {"Your manager's email": "boss@example.com"},
    }
    assert payload_of([boss], FORM, BY_NAME) == {"email": "boss@example.com", "custom": {}}
    assert "phone" not in placed(Answer("030 1", title="Manager's phone", sort=Sort.PHONE))


def test_what_a_captcha_adds_is_no_answer() -> None:
    """A kilobyte of letters, by any of their names."""
    names = ("g-recaptcha-response", "h-captcha-response", "cf-turnstile-response")
    assert {"email": "ana@example.com"} == placed(*(Answer("0.abc" * 100, name) for name in names))


@pytest.mark.parametrize("name", ["Datenschutz", "Privacy policy", "gdpr-agreement", "J'accepte", "Acepto la política", "Accetto", "Toestemming", "Consentimento", "I agree"])  # fmt: skip
def test_a_ticked_box_is_a_consent(name: str) -> None:
    """The one field that a plain yes can answer by its title."""
    assert placed(Answer("on", name))["consent"] == "on"
    assert placed(Answer(True, title=name))["consent"] is True


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (Answer("Yes", "Is your company using a CRM?"), "Is your company using a CRM?"),
        (Answer(True, "E-Mail newsletter"), "E-Mail newsletter"),
        (Answer("no", title="Telefon gewünscht?"), "Telefon gewünscht?"),
        (Answer("https://x.example", "LinkedIn URL"), "LinkedIn URL"),
        (Answer("Lee", "Name of your manager"), "Name of your manager"),
        (Answer("lee@example.com", "manager__email"), "manager__email"),
        (Answer("11", "DDD-CELULAR"), "DDD-CELULAR"),
        (Answer("+49", "country_code"), "country_code"),
        (Answer("2026-03-02", "Timeline date", sort=Sort.OTHER), "Timeline date"),
        (Answer("acme", "company_owner", sort=Sort.HIDDEN), "company_owner"),
        (Answer("Long text of a company", "What does your company do?", sort=Sort.LONG_TEXT), "What does your company do?"),
        (Answer("we are a company", "company " * 20), "company " * 20),
    ],
)  # fmt: skip
def test_what_a_title_only_mentions_stays_custom(answer: Answer, name: str) -> None:
    """Yes is no company, a friend's address is not the person's, a date is no plan."""
    payload = placed(answer)
    assert payload == {"email": "ana@example.com", "custom": {name: answer.value}}


def test_the_surest_hint_wins() -> None:
    """What the tool says, then the name, the type, the title; what comes too late stays custom."""
    given = [
        Answer("by title", title="Your company name?"),
        Answer("Example", "company"),
        Answer("030 1", title="Phone"),
        Answer("030 2", "q7", sort=Sort.PHONE),
    ]
    payload = placed(*given)
    assert payload["company"] == "Example"
    assert payload["phone"] == "030 1"  # "Phone" is the field's own name
    assert payload["custom"] == {"Your company name?": "by title", "q7": "030 2"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"Vorname": "Ana", "Name": "Ruiz"}, {"first_name": "Ana", "last_name": "Ruiz"}),
        ({"Prénom": "Ana", "Nom": "Ruiz"}, {"first_name": "Ana", "last_name": "Ruiz"}),
        ({"Nome": "Ana", "Cognome": "Ruiz"}, {"first_name": "Ana", "last_name": "Ruiz"}),
        ({"Nombre": "Ana", "Apellidos": "Ruiz"}, {"first_name": "Ana", "last_name": "Ruiz"}),
        ({"Naam": "Ruiz", "Voornaam": "Ana"}, {"first_name": "Ana", "last_name": "Ruiz"}),
        ({"Name": "Ana Ruiz", "First Name": "Ana"}, {"first_name": "Ana", "name": "Ana Ruiz"}),
        ({"Name": "Ana Ruiz"}, {"name": "Ana Ruiz"}),
        ({"Name": {"first": "Ana", "last": "Ruiz", "middle": "M"}}, {"first_name": "Ana", "last_name": "Ruiz", "custom": {"Name.middle": "M"}}),
        ({"A": {"first": "Ana", "last": ""}, "Friend": {"first": "Lee"}}, {"first_name": "Ana", "custom": {"Friend.first": "Lee"}}),
        (
            {"Friend": {"first": "Lee"}, "A": {"first": "Ana"}},
            {"first_name": "Ana", "custom": {"Friend.first": "Lee"}},
        ),
        ({"Phone": {"area": "030", "phone": "1234"}}, {"phone": "030 1234"}),
        ({"q": {"full": "(030) 1234"}}, {"phone": "(030) 1234"}),
        ({"Where": {"street": "Dam 1", "city": "Amsterdam", "zip": "1012"}}, {"city": "Amsterdam", "custom": {"Where": "Dam 1, Amsterdam, 1012"}}),
        ({"When": {"year": "2026", "month": "03", "day": "02"}}, {"custom": {"When": "2026-03-02"}}),
        ({"When": {"year": "", "month": "", "day": ""}, "x": [], "y": [None, ""], "z": {"a": {"b": None}}}, {}),
        ({"Company": ["Example", "Muster"]}, {"company": "Example, Muster"}),
        ({"Company": {"value": "Example", "label": "Firma"}}, {"company": "Example"}),
        ({"files": [{"url": "https://a.example/1", "name": "1"}]}, {"custom": {"files": "https://a.example/1"}}),
        ({"a b": "1", "a-b": "2"}, {"custom": {"a b": "1", "a-b": "2"}}),
        ({"score": 7, "ok": False}, {"custom": {"score": 7, "ok": False}}),
    ],
)  # fmt: skip
def test_names_numbers_and_addresses_are_taken_apart(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """As forms write them; blanks are left out, whatever they are in."""
    payload = placed(*(Answer(value, name) for name, value in given.items()))
    assert {"email": "ana@example.com", **expected} == payload


def test_answers_of_one_name_are_all_kept() -> None:
    """None is lost: the second is called "2"."""
    payload = placed(
        Answer("a", title="Other"), Answer("b", title="Other"), Answer("c", title="Other 2"), Answer("d")
    )
    assert payload["custom"] == {"Other": "a", "Other 2": "b", "Other 2 2": "c", "unnamed": "d"}


def test_an_address_is_known_by_its_looks_where_nothing_names_it() -> None:
    """The first that is one; a phone number only where nothing has a name, and where there is only one."""
    given = [
        Answer("Kim", "7"),
        Answer("kim@example.com", "9"),
        Answer("lee@example.com", "11"),
        Answer("030 1234567", "4"),
    ]
    payload = payload_of(given, FORM, BY_NAME)
    assert payload == {
        "email": "kim@example.com",
        "phone": "030 1234567",
        "custom": {"7": "Kim", "11": "lee@example.com"},
    }
    assert "phone" not in payload_of([*given, Answer("040 1234567", "5")], FORM, BY_NAME)
    assert "phone" not in payload_of(
        [EMAIL, Answer("2026-03-02", "5"), Answer("0301234567", "IBAN")], FORM, BY_NAME
    )
    assert "email" not in payload_of([Answer("lee@example.com", "Friend's mail")], FORM, BY_NAME)


def test_the_address_of_the_page_tells_where_the_visitor_came_from() -> None:
    """Where no hidden field says it."""
    page = "https://www.example.com/?utm_source=google&utm_medium=cpc&gclid=x&email=lee%40example.com#utm_term=no"
    payload = placed(Answer(page, "page_url"), Answer("newsletter", "utm_source"))
    assert payload == {
        "email": "ana@example.com", "landing_page": page, "utm_source": "newsletter", "utm_medium": "cpc", "gclid": "x",
    }  # fmt: skip


@pytest.mark.parametrize("title", ["", " ", "x" * 81, "1", "??", "__", "ß" * 80, "[" * 80, "a_" * 40])
def test_a_title_that_says_nothing_names_no_field(title: str) -> None:
    """Whatever is in it."""
    assert titles.field_named(title) is None
