"""What a question asks for, by the words of its title, in English, German, French and Spanish.

The last resort: whoever builds the form can say it exactly, with `fields` in `intake.toml`.
"""

import re
from functools import lru_cache

#: A longer title is a sentence in which "company" may mean anything.
LONGEST_TELLING_TITLE = 80

#: The special before the general: "company size" is not the company, nor is "company name" a person's.
_WORDS_BY_FIELD = (
    ("email", (r"\be-?mail", r"\bcorreo\b", r"\bcourriel\b")),
    (
        "phone",
        (
            r"\b(tele)?phone\b", r"\bmobile (number|phone)", r"telefon", r"handynummer", r"rufnummer", r"téléphone",
            r"teléfono", r"\bmóvil\b",
        ),
    ),
    (
        "employees",
        (
            r"\bemployees\b", r"\bheadcount\b", r"\b(company|team|organi[sz]ation) size\b",
            r"\bhow (big|large) is your (company|team|organi[sz]ation)", r"mitarbeiter", r"(unternehmens|team)größe",
            r"\bsalariés\b", r"\bemployés\b", r"\beffectif", r"\btaille de (l|votre)", r"\bempleados\b",
            r"\btamaño de (la|su|tu)\b",
        ),
    ),
    (
        "website",
        (
            r"\bweb ?site\b", r"\bhomepage\b", r"\burl\b", r"\bweb(seite|site)\b", r"\bsite (web|internet)\b",
            r"\b(sitio|página) web\b",
        ),
    ),
    (
        "name",
        (
            r"\bvor- und nachname", r"\b(first and last|full|complete) name\b", r"\bnom (complet|et prénom)\b",
            r"\bprénom et nom\b", r"\bnombre (completo|y apellidos?)\b",
        ),
    ),
    ("first_name", (r"\b(first|given) name\b", r"\bvorname\b", r"\bprénom\b", r"\bnombre de pila\b")),
    (
        "last_name",
        (
            r"\b(last|family) name\b", r"\bsurname\b", r"\b(nach|familien)name\b", r"\bnom de famille\b",
            r"\bapellidos?\b",
        ),
    ),
    (
        "title",
        (
            r"\bjob ?title\b", r"\byour (title|role|position)\b", r"jobtitel", r"\bihre position\b", r"\bposte\b",
            r"\bfonction\b", r"\bcargo\b", r"\bpuesto\b",
        ),
    ),
    ("industry", (r"\bindustr(y|ia)\b", r"\bbranche\b", r"\bsecteur\b", r"\bsector\b")),
    ("country", (r"\bcountry\b", r"\bland\b", r"\bpays\b", r"\bpaís\b")),
    ("city", (r"\bcity\b", r"\bstadt\b", r"\bville\b", r"\bciudad\b")),
    ("region", (r"\bregion\b", r"\bbundesland\b", r"\brégion\b", r"\bprovinc(e|ia)\b")),
    ("budget", (r"\bbudget\b", r"\bpresupuesto\b")),
    ("timeline", (r"\btime ?(line|frame)\b", r"\bzeit(rahmen|plan)\b", r"\bdélai\b", r"\bplazo\b")),
    (
        "company",
        (
            r"\bcompany\b", r"\borgani[sz]ation\b", r"\bfirma\b", r"\bunternehmen\b", r"\bentreprise\b",
            r"\bsociété\b", r"\bempresa\b",
        ),
    ),
    (
        "name",
        (
            r"\b(your|ihr|dein|votre|ton|tu|su) (name|nom|nombre)\b", r"^(name|nom|nombre)\W*$",
            r"\bwie hei(ß|ss)(en sie|t du)\b",
        ),
    ),
    (
        "message",
        (
            r"\bmessage\b", r"\bcomments?\b", r"\bhow can we help\b", r"\btell us\b", r"\banything else\b",
            r"\bnachricht\b", r"\bkommentar", r"\bwie können wir\b", r"\bcommentaires?\b", r"\bmensaje\b",
            r"\bcomentarios?\b",
        ),
    ),
)  # fmt: skip
_PATTERNS = tuple((field, re.compile("|".join(words), re.IGNORECASE)) for field, words in _WORDS_BY_FIELD)


def field_asked_for(title: str) -> str | None:
    """The generic lead's field a question with this title asks for, or None where its words do not tell."""
    return _field_of(title) if len(title) <= LONGEST_TELLING_TITLE else None


@lru_cache(
    maxsize=2048
)  # a form asks everybody the same questions: searched anew, titles were half of the reading
def _field_of(title: str) -> str | None:
    return next((field for field, pattern in _PATTERNS if pattern.search(title)), None)
