"""What a question asks for, by the words of its title, in English, German, French, Spanish, Portuguese, Italian and Dutch.

The last resort: whoever builds the form can say it exactly, with `fields` in `intake.toml`.
"""

import re
from functools import lru_cache

#: A longer title is a sentence in which "company" may mean anything.
LONGEST_TELLING_TITLE = 80

#: The special before the general: "company size" is not the company, nor is "company name" a person's.
_WORDS_BY_FIELD = (
    # Somebody else's, or somewhere else: no field of this person's lead.
    (
        None,
        (
            r"\blinked ?in\b", r"\bxing\b", r"\binstagram\b", r"\bfacebook\b", r"\btwitter\b", r"\bgithub\b",
            r"\b(friend|colleague|manager|supervisor|spouse|emergency|billing|referred)\b",
        ),
    ),
    *((name, (rf"\b{name.replace('_', '[ _-]?')}\b",)) for name in (
        "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id",
        "gclid", "gbraid", "wbraid", "fbclid", "msclkid", "ttclid",
    )),
    ("referrer", (r"\breferr?er\b", r"\breferring (page|url)\b")),
    ("landing_page", (r"\blanding ?page\b", r"\b(page|source|current|entry) url\b")),
    (
        "consent",
        (
            r"\bconsent", r"\bgdpr\b", r"\bprivacy\b", r"\bi (agree|accept)\b", r"\bdatenschutz", r"\bdsgvo\b",
            r"\beinwillig", r"\bzustimm", r"\brgpd\b", r"\bconfidentialité\b", r"\bj.accepte\b", r"\bconsentimi?ento\b",
            r"\bprivaci(dad|dade)\b", r"\bacepto\b", r"\baceito\b", r"\bacconsent", r"\baccetto\b", r"\btoestemming\b",
            r"\bprivacybeleid\b", r"\bakkoord\b",
        ),
    ),
    (
        "email",
        (
            r"\be[- ]?mail", r"\bcorreo\b", r"\bcourriel\b", r"\bcorreio ele(c?)tr[ôo]nico\b", r"\bposta elettronica\b",
            r"\badresse électronique\b",
        ),
    ),
    (
        "phone",
        (
            r"\b(tele)?phone\b", r"\bmobile? (number|phone|nummer)", r"\bcontact number\b", r"\bcell ?(phone|number)?\b",
            r"telefon", r"telefoon", r"handy(nummer)?\b", r"\bmobil(nummer|telefon)?\b", r"rufnummer", r"téléphone",
            r"\b(numéro de |n° )?portable\b", r"teléfono", r"\bmóvil\b", r"(?<!ddd[ -])\bcelular\b", r"\btelemóvel\b",
            r"\bcellulare\b", r"\bwhats ?app\b",
        ),
    ),
    (
        "employees",
        (
            r"\bemployees\b", r"\bheadcount\b", r"\b(company|team|organi[sz]ation) size\b",
            r"\bhow (big|large) is your (company|team|organi[sz]ation)", r"mitarbeiter", r"(unternehmens|firmen|team)größe",
            r"\bsalariés\b", r"\bemployés\b", r"\bcollaborateurs\b", r"\beffectif", r"\btaille de (l|votre)",
            r"\bempleados\b", r"\btamaño de (la|su|tu)\b", r"\bfuncionários\b", r"\bcolaboradores\b",
            r"\btamanho da (empresa|equipe)", r"\bdipendenti\b", r"\bnumero di addetti\b", r"\bmedewerkers\b",
            r"\bwerknemers\b", r"\bbedrijfs(grootte|omvang)\b",
        ),
    ),
    (
        "website",
        (
            r"\bweb ?site\b", r"\bhomepage\b", r"\burl\b", r"\bweb(seite|site|adresse)\b", r"\bsite (web|internet)\b",
            r"\b(sitio|página|pagina) web\b", r"\bsito( web| internet)?\b", r"^(o )?(seu |vosso )?site\W*$",
        ),
    ),
    (
        "name",
        (
            r"\bvor- und (nach|zu)name", r"\bvollständiger name\b", r"\b(first and last|full|complete) name\b",
            r"\bnom (complet|et prénom)\b", r"\bprénom et nom\b", r"\bnombre (completo|y apellidos?)\b",
            r"\bnome (completo|e cognome|e sobrenome|e apelido)\b", r"\bvoor- en achternaam\b", r"\bvolledige naam\b",
        ),
    ),
    (
        "first_name",
        (
            r"\b(first|given) name\b", r"\bvorname\b", r"\bprénom\b", r"\b(nombre de pila|primer nombre)\b",
            r"\bprimeiro nome\b", r"\bnome próprio\b", r"\bvoornaam\b",
        ),
    ),
    (
        "last_name",
        (
            r"\b(last|family) name\b", r"\bsurname\b", r"\b(nach|familien|zu)name\b", r"\bnom de famille\b",
            r"\bapellidos?\b", r"\bcognome\b", r"\bsobrenome\b", r"\bapelido\b", r"\búltimo nome\b", r"\bachternaam\b",
            r"\bfamilienaam\b",
        ),
    ),
    (
        "title",
        (
            r"\bjob ?(title|role|position)\b", r"\byour (title|role|position)\b", r"jobtitel", r"\bihre position\b",
            r"\bposition im unternehmen\b", r"\bberufsbezeichnung\b", r"\bposte\b", r"\bfonction\b", r"\bcargo\b",
            r"\bpuesto\b", r"\bfunção\b", r"\bruolo\b", r"\bqualifica\b", r"\bfunctie(titel)?\b",
        ),
    ),
    (
        "industry",
        (
            r"\bindustr(y|ia)\b", r"\bbranche\b", r"\bsecteur\b", r"\bsector\b", r"\bsetor\b", r"\bsettore\b",
            r"\bramo de atividade\b", r"\bbedrijfstak\b",
        ),
    ),
    ("country", (r"\bcountry\b", r"\bland\b", r"\bpays\b", r"\bpaís\b", r"\bpaese\b")),
    (
        "city",
        (
            r"\bcity\b", r"\bstadt\b", r"\b(wohn)?ort\b", r"\bville\b", r"\bciudad\b", r"\bcidade\b", r"\bcittà\b",
            r"\b(woon)?plaats\b",
        ),
    ),
    (
        "region",
        (
            r"\bregion\b", r"\bbundesland\b", r"\bkanton\b", r"\brégion\b", r"\bprovinc(e|ia|ie)\b", r"\bregione\b",
            r"^estado\W*$",
        ),
    ),
    ("budget", (r"\bbudget\b", r"\bpresupuesto\b", r"\borçamento\b")),
    (
        "timeline",
        (
            r"\btime ?(line|frame)\b", r"\bzeit(rahmen|plan)\b", r"\bdélai\b", r"\bplazo\b", r"\bprazo\b",
            r"\btempistic(a|he)\b", r"\btijd(lijn|pad)\b",
        ),
    ),
    (
        "company",
        (
            r"\bcompany\b", r"\borgani[sz]ation\b", r"\bfirm(a|enname)\b", r"\bunternehmen(sname)?\b", r"\bentreprise\b",
            r"\bsociété\b", r"\braison sociale\b", r"\bempresa\b", r"\brazón social\b", r"\bazienda\b", r"\bsocietà\b",
            r"\bragione sociale\b", r"\bditta\b", r"\bbedrijf(snaam)?\b", r"\borganisatie\b",
        ),
    ),
    (
        "name",
        (
            r"\b(your|ihr|dein|votre|ton|tu|su|seu|teu|tuo|uw|je|jouw) (name|nom|nombre|nome|naam)\b",
            r"^(name|nom|nombre|nome|naam)\W*$", r"\bwie hei(ß|ss)(en sie|t du)\b", r"\bcomment vous appelez-vous\b",
            r"\bansprechpartner", r"\bcontact (name|person)\b", r"\bcontactpersoon\b",
        ),
    ),
    (
        "message",
        (
            r"\bmessage\b", r"\bcomments?\b", r"\bhow can we help\b", r"\btell us\b", r"\banything( else)?\b",
            r"^(your )?([ie]nquiry|questions?|request)\W*$", r"\bnachricht\b", r"\bkommentar", r"\bwie können wir\b",
            r"\banliegen\b", r"\bmitteilung\b", r"\bbemerkung(en)?\b", r"\bzur vorbereitung\b", r"\bcommentaires?\b",
            r"\bvotre (demande|projet|besoin)\b", r"\bmensaje\b", r"\bcomentarios?\b", r"\bconsulta\b", r"\bmensagem\b",
            r"\bcomentários?\b", r"\bobservações\b", r"\bmessaggio\b", r"\bcommenti\b", r"\bcome possiamo aiutar",
            r"\bbericht\b", r"\bopmerking(en)?\b", r"\btoelichting\b",
        ),
    ),
)  # fmt: skip
_PATTERNS = tuple((field, re.compile("|".join(words), re.IGNORECASE)) for field, words in _WORDS_BY_FIELD)

_CAMEL = re.compile(r"(?<=[a-zà-ÿ])(?=[A-Z])")
_JOINT = re.compile(r"[\s_.\[\]-]+")
_COUNTED = re.compile(r"[ #]*\d+$")


def field_asked_for(title: str) -> str | None:
    """The generic lead's field a question with this title asks for, or None where its words do not tell."""
    return _field_of(title) if len(title) <= LONGEST_TELLING_TITLE else None


def is_of_somebody_else(name: str) -> bool:
    """Whether the words speak of somebody who is not the person who asks, or of another place than a lead's fields."""
    return len(name) <= LONGEST_TELLING_TITLE and bool(_PATTERNS[0][1].search(_words_of(name)))


def field_named(name: str) -> str | None:
    """The field a form means by a name made of words: `yourTelephone`, `hidden_gclid` and "Message 2" tell, `data_7` does not.

    A flattened path (`manager__email`) is nobody's field.
    """
    if len(name) > LONGEST_TELLING_TITLE or "__" in name:
        return None
    return _field_of(name) or _field_of(_words_of(name))


@lru_cache(maxsize=4096)
def _words_of(name: str) -> str:
    words = _JOINT.sub(" ", _CAMEL.sub(" ", name)).strip()
    return _COUNTED.sub("", words) or words


@lru_cache(
    maxsize=4096
)  # a form asks everybody the same questions: searched anew, titles were half of the reading
def _field_of(title: str) -> str | None:
    return next((field for field, pattern in _PATTERNS if pattern.search(title)), None)
