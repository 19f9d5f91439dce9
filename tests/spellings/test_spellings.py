"""Spellings: what means the same is brought to one form, what means nothing is "", and nothing ever fails."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from speed_to_lead.spellings import (
    country_code,
    email_address,
    is_free_mail,
    phone_number,
    registered_domain,
)

COUNTRIES = {
    "DE": "DE de DEU deu Germany GERMANY Deutschland Allemagne Alemania Germania Niemcy Duitsland Tyskland Германия ドイツ 德国",
    "US": "US USA usa U.S. U.S.A. America EEUU アメリカ",
    "GB": "GB GBR UK U.K. England Scotland Britain イギリス",
    "FR": "FR FRA France Frankreich Francia フランス",
    "CH": "CH CHE Switzerland Schweiz Suisse Svizzera",
    "AT": "AT AUT Austria Österreich Oesterreich Autriche",
    "ES": "ES ESP Spain España Spanien Espagne",
    "NL": "NL NLD Netherlands Niederlande Nederland Holland",
    "BR": "BR BRA Brazil Brasil Brasilien",
    "CZ": "CZ CZE Czechia Česko",
    "TR": "TR TUR Turkey Türkiye Turkiye Türkei",
    "RU": "RU RUS Russia Russland Россия",
    "KR": "KR KOR 대한민국",
    "JP": "JP JPN Japan 日本",
    "CN": "CN CHN China 中国",
    "VN": "VN VNM Vietnam",
    "SE": "SE SWE Sweden Sverige Schweden",
    "FI": "FI FIN Finland Suomi",
    "GR": "GR GRC EL Greece Griechenland Ελλάδα",
    "PL": "PL POL Poland Polska Polen",
    "MX": "MX MEX Mexico México Mexiko",
    "XK": "XK Kosovo",
    "": "Atlantis EMEA DACH XX QQQ n/a - ? 12 Europe",
}
OF_SEVERAL_WORDS = [
    ("The Netherlands", "NL"), ("United States of America", "US"), ("united states", "US"), ("Vereinigte Staaten", "US"),
    ("États-Unis", "US"), ("Estados Unidos", "US"), ("United Kingdom", "GB"), ("Great Britain", "GB"),
    ("Vereinigtes Königreich", "GB"), ("South Korea", "KR"), ("Republic of Korea", "KR"), ("North Korea", "KP"),
    ("Côte d'Ivoire", "CI"), ("Ivory Coast", "CI"), ("Czech Republic", "CZ"), ("New Zealand", "NZ"), ("Hong Kong", "HK"),
    ("Bosnia & Herzegovina", "BA"), ("Viet Nam", "VN"), ("Russian Federation", "RU"), ("Iran", "IR"), ("  germany ", "DE"),
    ("Germany (DE)", "DE"), ("DE - Germany", "DE"), ("Germany / France", ""), ("Berlin, Germany", ""), ("", ""),
    ("Trinidad and Tobago", "TT"), ("United Arab Emirates", "AE"), ("Saudi Arabia", "SA"), ("South Africa", "ZA"),
    ("Georgia", "GE"), ("Niger", "NE"), ("Nigeria", "NG"), ("Dominica", "DM"), ("Dominican Republic", "DO"),
    ("Guinea-Bissau", "GW"), ("x" * 5000, ""),
    # As ISO itself writes them, and the forms that have their list of countries from there.
    ("Netherlands (the)", "NL"), ("United States of America (the)", "US"), ("Philippines (the)", "PH"),
    ("United Kingdom of Great Britain and Northern Ireland (the)", "GB"), ("Russian Federation (the)", "RU"),
    ("Korea (the Republic of)", "KR"), ("Korea (the Democratic People's Republic of)", "KP"), ("Niger (the)", "NE"),
    ("Congo (the)", "CG"), ("Congo (the Democratic Republic of the)", "CD"), ("Moldova (the Republic of)", "MD"),
    ("Falkland Islands (the) [Malvinas]", "FK"), ("Lao People's Democratic Republic (the)", "LA"),
    ("Korea (South)", "KR"), ("Korea, North", "KP"), ("S. Korea", "KR"), ("East Timor", "TL"), ("Bosnia-Herzegovina", "BA"),
    ("Großbritannien", "GB"), ("St. Vincent and the Grenadines", "VC"), ("the", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code"),
    [(text, code) for code, texts in COUNTRIES.items() for text in texts.split()] + OF_SEVERAL_WORDS,
)
def test_countries(text: str, code: str) -> None:
    """Codes of two and three letters, names, and how people write them at home, are one country."""
    assert code == country_code(text)


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("+44 20 7946 0018", "", "+442079460018"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("+44 (0)20 7946 0018", "", "+442079460018"),
        ("0044 20 7946 0018", "", "+442079460018"),
        ("0044 20 7946 0018", "US", "+442079460018"),
        ("tel:+44-20-7946-0018", "", "+442079460018"),
        ("(212) 555-0100", "US", "+12125550100"),
        ("212.555.0100", "CA", "+12125550100"),
        ("06 1234 5678", "IT", "+390612345678"),
        ("+1 212 555 0100 ext 5", "", "+12125550100;ext=5"),
        ("020 7946 0018", "", ""),  # of which country?
        ("555-0100", "US", ""),  # of which town?
        ("030 123456 / 0171 5551234", "DE", ""),  # which of the two?
        ("12", "DE", ""),
        ("call me", "GB", ""),
        ("", "", ""),
        ("020 7946 0018", "??", ""),
        ("+999 123456789", "", ""),
        ("1" * 5000, "US", ""),
    ],
)
def test_phone_numbers(text: str, country: str, number: str) -> None:
    """One number in all its spellings; nothing where no one number can be meant."""
    assert number == phone_number(text, country)


@pytest.mark.parametrize(
    ("text", "address", "is_free"),
    [
        ("Kim@Example.COM", "kim@example.com", False),
        (" Kim Doe <kim@gmail.com> ", "kim@gmail.com", True),
        ("mailto:kim@web.de", "kim@web.de", True),
        ("kim@xn--mnchen-3ya.example", "kim@m\u00fcnchen.example", False),
        ("kim@mu\u0308nchen.example", "kim@m\u00fcnchen.example", False),
        ("kim@corp.internal", "kim@corp.internal", False),
        ("kim@mail.gmail.com", "kim@mail.gmail.com", True),
        ("kim@acme.uk.com", "kim@acme.uk.com", False),
        ("x7z@privaterelay.appleid.com", "x7z@privaterelay.appleid.com", True),
        ("kim@appleid.com", "kim@appleid.com", False),
        ("o'neil@example.com", "o'neil@example.com", False),
        ("kim+demo@tutanota.com", "kim+demo@tutanota.com", True),
        ("kim@mail.example.co.uk", "kim@mail.example.co.uk", False),
        ("kim..doe@example.com", "", False),
        (".kim@example.com", "", False),
        ("kim@-example.com", "", False),
        ("kim@exam_ple.com", "", False),
        ("kim@@example.com", "", False),
        ("kim at example.com", "", False),
        ("n/a", "", False),
        ("", "", False),
        ("a" * 5000 + "@example.com", "", False),
    ],
)
def test_addresses(text: str, address: str, is_free: bool) -> None:
    """The address alone, as it is compared; nothing where nobody could be written to."""
    assert (address, is_free) == (email_address(text), is_free_mail(address))


@given(st.from_regex(r"\A[a-z0-9.+_-]{1,70}@[a-z0-9.-]{1,70}\Z"))
@settings(max_examples=300, deadline=None)
@example("a.b@c.de")
@example("a-@b.cd")
@example("a@b--c.de")
@example("a@b.c.d.ef")
@example("a@b.c-.de")
def test_the_short_way_to_plain_addresses_says_what_the_library_says(text: str) -> None:
    """What is let through without the library is what the library would give back."""
    from speed_to_lead.spellings.addresses import _PLAIN, _checked

    if _PLAIN.match(text) and "xn--" not in text:
        assert text == _checked(text)


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("mail.example.co.uk", "example.co.uk"),
        ("example.com", "example.com"),
        ("a.b.c.example.com.", "example.com"),
        ("shop.m\u00fcnchen.de", "m\u00fcnchen.de"),
        ("shop.xn--mnchen-3ya.de", "m\u00fcnchen.de"),
        ("acme.github.io", "acme.github.io"),
        ("co.uk", ""),
        ("localhost", ""),
        ("192.168.0.1", ""),
        ("::1", ""),
        ("xn--.de", "xn--.de"),
        ("", ""),
    ],
)
def test_registered_domains(host: str, domain: str) -> None:
    """What somebody registered, whatever stands before it; no suffix, no address of a machine."""
    assert domain == registered_domain(host)


ODD = st.text() | st.text("0123456789+-() ./;ext=xn", max_size=40) | st.text("ab.@<>\"' -_:xn", max_size=40)


@given(ODD, st.sampled_from(("", "DE", "US", "XK", "no country")))
@settings(max_examples=300, deadline=None)
@example("\ud800@example.com", "")
@example("a@\ud800.com", "")
@example("\ud800", "")
@example("\0", "DE")
@example("a@[127.0.0.1]", "")
@example("x.xn--\ud800.de", "")
@example("tel:;phone-context=", "")
def test_nothing_fails_on_a_text(text: str, country: str) -> None:
    """Whatever people write, each reader answers a text, and reads its own answer as the same."""
    code, number, address, domain = (
        country_code(text),
        phone_number(text, country),
        email_address(text),
        registered_domain(text),
    )
    is_free_mail(text)
    assert (code, address, domain) == (country_code(code), email_address(address), registered_domain(domain))
    assert number == phone_number(number, "")
