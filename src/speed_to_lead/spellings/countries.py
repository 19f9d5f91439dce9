"""Countries: ISO 3166 codes and official names (pycountry), what people call them in many languages (CLDR, by Babel), and more."""

import gettext
import re
import unicodedata
from functools import cache, lru_cache

#: What is longer is no country.
_LONGEST = 80
#: The languages whose names for countries are read, the more often met first: where two of them disagree, the first counts.
_LANGUAGES = (
    "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "nb", "fi", "cs", "sk", "hu", "ro", "bg", "el", "hr", "sl", "sr",
    "et", "lv", "lt", "tr", "ru", "uk", "ar", "he", "hi", "id", "ms", "th", "vi", "ja", "ko", "zh", "zh_Hant", "is", "ga", "ca",
    "fa",
)  # fmt: skip
#: Spellings that no list has: short forms, parts of the United Kingdom, older names, and how countries call themselves.
_ALSO = {
    "AE": "uae, u a e, emirates, dubai, abu dhabi, الإمارات",
    "AT": "oesterreich",
    "BA": "bosnia, bosnia herzegovina, bosna i hercegovina",
    "BO": "bolivia",
    "BR": "brasil",
    "CD": "dr congo, drc, democratic republic of the congo",
    "CG": "congo brazzaville, republic of the congo",
    "CI": "ivory coast, cote d ivoire, cote divoire",
    "CN": "pr china, p r china, prc, mainland china, people s republic of china, zhongguo",
    "CZ": "czech republic, czechia, česko, tschechei",
    "DE": "brd, de germany, federal republic of germany, deutchland, ger",
    "DK": "danmark",
    "DZ": "الجزائر",
    "EG": "مصر",
    "FI": "suomi",
    "FM": "micronesia",
    "GB": "uk, u k, grossbritannien, great britain, britain, england, scotland, wales, northern ireland, united kingdom gb, gbr uk",
    "GR": "hellas",
    "HK": "hong kong, hongkong, hong kong sar",
    "HU": "magyarország",
    "IE": "republic of ireland, eire",
    "IL": "ישראל",
    "IN": "bharat",
    "IR": "iran, persia",
    "JP": "nippon, nihon, 日本国",
    "KP": "north korea, korea north, n korea, dprk",
    "KR": "south korea, korea, korea south, s korea, republic of korea, rep of korea, rok, 대한민국, 한국",
    "LA": "laos",
    "LY": "libyan arab jamahiriya",
    "MA": "المغرب",
    "MD": "moldova",
    "MK": "macedonia, north macedonia, fyrom, macedonia former yugoslav republic of",
    "MM": "burma",
    "MO": "macau, macao",
    "MX": "mexiko, méjico",
    "MY": "malaysia",
    "NL": "holland, nederland, nederlands",
    "NZ": "aotearoa",
    "PH": "pilipinas, phillipines, philipines",
    "PS": "palestine",
    "RU": "russia, россия, rossiya, russian federation, russian fed",
    "SA": "ksa, saudi, kingdom of saudi arabia, السعودية",
    "SY": "syria",
    "SZ": "swaziland",
    "TL": "east timor",
    "TR": "turkey, turkiye",
    "TW": "taiwan, chinese taipei, republic of china, 台灣, 台湾",
    "TZ": "tanzania",
    "UA": "україна, ukraina",
    "US": "usa, u s a, u s, america, united states of america, us of a, unitedstates, vereinigte staaten"
    " von amerika, amerika, etats unis, estados unidos de america, eeuu, ee uu, stati uniti d america, 美国, 米国, アメリカ",
    "VA": "vatican, holy see",
    "VC": "st vincent and grenadines",
    "VE": "venezuela",
    "VN": "vietnam, vietnam socialist republic of, socialist republic of vietnam, việt nam",
    "XK": "kosovo, kosova",
}  # fmt: skip
_CODE = re.compile(r"[A-Za-z]{2,3}")
#: "Germany (DE)", "DE - Germany" and "Germany / Deutschland" say it twice.
_TWICE = re.compile(r"\s*[(/|\u2013\u2014]\s*|\)\s*|\s+-\s+|\s*,\s*(?=[A-Z]{2,3}$)")


def country_code(text: str) -> str:
    """The ISO 3166 code of two letters, in capitals: of "DE", "deu", "Germany", "Deutschland"; "" where it is no country.

    A text that says it twice ("Germany (DE)") is read where both agree.
    """
    text = text.strip()
    return _country_code(text) if len(text) <= _LONGEST else ""


def country_names() -> tuple[str, ...]:
    """The English names of all countries, for who misspelt one."""
    return tuple(_official_names())


@lru_cache(maxsize=4096)  # a form offers a list of countries, and every lead has one of them
def _country_code(text: str) -> str:
    if not text:
        return ""
    found = _named(text)
    if found or not _TWICE.search(text):
        return found
    parts = {_named(part) for part in _TWICE.split(text) if part}
    return parts.pop() if len(parts) == 1 else ""


def _named(text: str) -> str:
    if _CODE.fullmatch(text):
        found = _codes().get(text.upper())
        if found is not None:
            return found
    word = _word(text)
    return (_english_names().get(word) or _names_abroad().get(word, "")) if word else ""


@cache
def _codes() -> dict[str, str]:
    """By codes of two and three letters. XK is nobody's in ISO, and everybody's for Kosovo; UK is reserved for GB, EL for GR."""
    import pycountry  # noqa: PLC0415 - its lists are slow to load, and many a config asks for no country

    codes = {country.alpha_2: country.alpha_2 for country in pycountry.countries}
    codes |= {country.alpha_3: country.alpha_2 for country in pycountry.countries}
    return codes | {"UK": "GB", "EL": "GR", "XK": "XK", "XKX": "XK"}


@cache
def _official_names() -> dict[str, str]:
    import pycountry  # noqa: PLC0415 - as above

    return {
        getattr(country, kind): country.alpha_2
        for kind in ("name", "common_name", "official_name")
        for country in pycountry.countries
        if kind in country._fields  # else each country that has none of it is warned of
    }


@cache
def _english_names() -> dict[str, str]:
    names = {_word(name): code for code, spellings in _ALSO.items() for name in spellings.split(",")}
    for name, code in _official_names().items():
        names.setdefault(_word(name), code)
    return names


@cache
def _names_abroad() -> dict[str, str]:
    """In half a second, and so only for what is no name in English."""
    import pycountry  # noqa: PLC0415 - as above
    from babel import Locale  # noqa: PLC0415 - as above

    names: dict[str, str] = {}
    for language in ("en", *_LANGUAGES):
        for code, name in Locale.parse(language).territories.items():
            if code in _codes():
                names.setdefault(_word(name), code)
    for language in _LANGUAGES:
        official = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, [language], fallback=True)
        for name, code in _official_names().items():
            names.setdefault(_word(official.gettext(name)), code)
    return names


def _word(name: str) -> str:
    """The name as it is looked up: no case, no accents, no punctuation, "&" and "and" alike, and no article.

    ISO writes it behind the name, "Netherlands (the)", and so do the forms that have their list from there.
    """
    plain = unicodedata.normalize("NFKD", name.casefold().replace("&", " and "))
    letters = "".join(sign if sign.isalnum() else " " for sign in plain if not unicodedata.combining(sign))
    return " ".join(word for word in letters.split() if word != "the")
