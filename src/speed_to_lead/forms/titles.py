"""What a question asks for, by the words of its title.

In English, German, French, Spanish, Portuguese, Italian, Dutch; what every form asks, in Swedish, Polish and Japanese, too.

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
            r"\b(friend|colleague|manager|supervisor|spouse|emergency|billing|invoice|referred|accountant|partner)\b",
            r"\b(secondary|alternat(e|ive)|confirm(ation)?) (your )?(e-?mail|phone|mail)", r"\be-?mail confirmation\b",
        ),
    ),
    (
        "consent",
        (
            r"\bconsent", r"\bgdpr\b", r"\bprivacy\b", r"\bi (agree|accept)\b", r"\bdatenschutz", r"\bdsgvo\b",
            r"\beinwillig", r"\bzustimm", r"\brgpd\b", r"\bconfidentialité\b", r"\bj.accepte\b", r"\bconsentimi?ento\b",
            r"\bprivaci(dad|dade)\b", r"\bacepto\b", r"\baceito\b", r"\bacconsent", r"\baccetto\b", r"\btoestemming\b",
            r"\bprivacybeleid\b", r"\bakkoord\b",
        ),
    ),
    # About the thing, and not the thing: an e-mail provider is no address.
    (
        None,
        (
            r"^(do you (have an?|need|use|own|agree)|are you the|avez-vous|haben sie|tiene)\b", r"\bof interest\b",
            r"\b(how many|number of) e-?mails\b", r"\bphone (type|extension|system|model)\b",
            r"\be-?mail (frequency|provider|tool|client|platform|marketing|updates|preferences?|type)\b",
            r"\bwhich (\w+ )?(e-?mail|phone|message) (tool|system|provider|software)\b",
            r"\bweb ?site (traffic|visitors|visits|platform|builder|type)\b", r"\blanding page type\b",
            r"\b(country|zip|area|dial(ling)?) code\b", r"\bjob (posting|description|location|advert)\b",
            r"\b(preferred|event|departure|arrival|destination) (city|country|location)\b", r"veranstaltung",
            r"\bindustry experience\b",
        ),
    ),
    *((name, (rf"\b{name.replace('_', '[ _-]?')}\b",)) for name in (
        "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id",
        "gclid", "gbraid", "wbraid", "fbclid", "msclkid", "ttclid",
    )),
    ("referrer", (r"\breferr?er\b", r"\breferring (page|url)\b")),
    ("landing_page", (r"\blanding ?page\b", r"\b(page|source|current|entry|seiten)[ -]url\b",
                      r"\burl (de la page|de la página|da página|della pagina)\b", r"\bpagina-url\b")),
    (
        "email",
        (
            r"\be[- ]?mail", r"\bcorreo\b", r"\bcourriel\b", r"\bcorreio ele(c?)tr[ôo]nico\b", r"\bposta elettronica\b",
            r"\badresse (électronique|mail)\b", r"\be-?post(adress)?\b", r"メール",
        ),
    ),
    (
        "phone",
        (
            r"\b(tele)?phone\b", r"\bmobi(le?|el) (number|phone|nummer|no\b)",
            r"\bcontact (number|no)\b", r"^t[eé]l\W*$", r"\bdirect (line|dial)\b", r"\bbest number\b", r"\bdurchwahl\b", r"電話", r"\bcell ?(phone|number)?\b",
            r"telefon", r"telefoon", r"handy(nummer)?\b", r"\bmobil(nummer|telefon)?\b", r"rufnummer", r"téléphone",
            r"\b(numéro de |n° )?portable\b", r"teléfono", r"\bmóvil\b", r"(?<!ddd[ -])\bcelular\b", r"\btelemóvel\b",
            r"\bcellulare\b", r"\bwhats ?app\b", r"\bnumer telefonu\b",
        ),
    ),
    (
        "employees",
        (
            r"\bemployees\b", r"\bheadcount\b", r"\b(company|team|organi[sz]ation) size\b",
            r"\bhow (big|large) is your (company|team|organi[sz]ation)", r"\bsize of your (company|team|organi[sz]ation|business)\b",
            r"größe (ihres|des) unternehmens\b", r"\bdimensioni? (aziendale|dell.azienda)", r"\bdimensione aziendale\b",
            r"\banställda\b", r"\bpracowników\b", r"従業員数", r"mitarbeiter", r"(unternehmens|firmen|team)größe",
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
            r"\b(sitio|página|pagina) web\b", r"\bsito( web| internet)?\b", r"\bcompany (domain|url|site)\b", r"^domain\W*$", r"\bsite (da|de la) empresa\b",
            r"\bsite de l.entreprise\b", r"\bhemsida\b", r"\bwebbplats\b", r"\bstrona internetowa\b", r"^(o )?(seu |vosso )?site\W*$",
        ),
    ),
    (
        "name",
        (
            r"\bvor- und (nach|zu)name", r"\bvollständiger name\b", r"\b(full|complete) name\b", r"\bname, ?vorname\b",
            r"\bvorname\b.{1,5}\b(nach|zu|familien)?name\b", r"\bfirst( name)?\b.{1,5}\blast\b", r"\bnom complet\b",
            r"\bnom\b.{1,4}\bprénom\b", r"\bprénom\b.{1,4}\bnom\b", r"\bcognome e nome\b", r"\bnombre (completo|y apellidos?)\b",
            r"\bnome (completo|e cognome|e sobrenome|e apelido)\b", r"\bvoor- en achternaam\b", r"\bvolledige naam\b",
            r"\bför- och efternamn\b", r"\bimię i nazwisko\b", r"氏名", r"^お?名前\W*$",
        ),
    ),
    (
        "first_name",
        (
            r"\b(first|given) name\b", r"\bforename\b", r"\bname[ -]\(?first\b", r"\bvorname\b", r"\bprénom\b", r"\b(nombre de pila|primer nombre)\b",
            r"\bprimeiro nome\b", r"\bnome próprio\b", r"\bvoornaam\b",
            r"\bförnamn\b", r"\bimię\b",
        ),
    ),
    (
        "last_name",
        (
            r"\b(last|family) name\b", r"\bname[ -]\(?last\b", r"\bsurname\b", r"\b(nach|familien|zu)name\b", r"\bnom de famille\b",
            r"\bapellidos?\b", r"\bcognome\b", r"\bsobrenome\b", r"\bapelido\b", r"\búltimo nome\b", r"\bachternaam\b",
            r"\befternamn\b", r"\bnazwisko\b",
            r"\bfamilienaam\b",
        ),
    ),
    (
        "title",
        (
            r"\bjob ?(title|role|position)\b", r"\byour (title|role|position)\b", r"jobtitel", r"\bihre position\b",
            r"\bposition im unternehmen\b", r"\bberufsbezeichnung\b", r"\bposte\b", r"\bfonction\b", r"\bcargo\b",
            r"\bpuesto\b", r"\bfunção\b", r"\bruolo\b", r"\bqualifica\b", r"\bfunctie(titel)?\b",
            r"\b(role|position) (in|at|within) (the |your )?company\b", r"^(your )?(role|position|job function)\W*$",
            r"^(ihre )?(funktion|rolle)\b", r"\brolle im unternehmen\b", r"\bbefattning\b", r"\bstanowisko\b", r"役職",
        ),
    ),
    (
        "industry",
        (
            r"\bindustr(y|ia)\b", r"\bbranche\b", r"\bsecteur\b", r"\bsector\b", r"\bsetor\b", r"\bsettore\b",
            r"\bramo de atividade\b", r"\bbedrijfstak\b", r"\bbransch\b", r"\bbranża\b", r"業種",
        ),
    ),
    ("country", (r"\bcountry\b", r"\bland\b", r"\bpays\b", r"\bpaís\b", r"\bpaese\b", r"^kraj\W*$")),
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
    # What a company has and does is not its name.
    (
        None,
        (
            r"\b(company|business|organi[sz]ation)('s)? (address|owner|types?|stage|description|revenue|registration|structure)\b",
            r"\b(company|business|organi[sz]ation)('s)? (code|id|number|location|status|overview|vertical|category|logo)\b",
            r"\b(owner|type|description|revenue) of (the|your) (company|business|organi[sz]ation)\b", r"^(is|does) your\b",
            r"\bdoes (your|the) (company|business|organi[sz]ation|team)\b", r"\bdirección de la empresa\b",
            r"\badresse de (l.entreprise|la société)\b", r"\bendereço da empresa\b", r"\bindirizzo (azienda|dell.azienda)",
        ),
    ),
    (
        "company",
        (
            r"\bcompany\b", r"\borgani[sz]ation\b", r"\bfirm(a|enname)\b", r"\bunternehmen(sname)?\b", r"\bentreprise\b",
            r"\bsociété\b", r"\braison sociale\b", r"\bempresa\b", r"\brazón social\b", r"\bazienda\b", r"\bsocietà\b",
            r"\bragione sociale\b", r"\bditta\b", r"\bbedrijf(snaam)?\b", r"\borganisatie\b",
            r"\bname (ihres|des|deines) unternehmens\b", r"\bbusiness name\b", r"^(employer|institution)\W*$",
            r"\bwhere do you work\b", r"\bföretag(snamn)?\b", r"\bnazwa firmy\b", r"会社名|御社名|貴社名",
        ),
    ),
    (
        "name",
        (
            r"\b(your|ihr|dein|votre|ton|tu|su|seu|teu|tuo|uw|je|jouw) (name|nom|nombre|nome|naam)\b",
            r"^(name|nom|nombre|nome|naam|namn|navn)\W*$", r"\bwie hei(ß|ss)(en sie|t du)\b", r"\bcomment vous appelez-vous\b",
            r"\bansprechpartner", r"\bcontact (name|person)\b", r"\bcontactpersoon\b",
        ),
    ),
    (
        "message",
        (
            r"\bmessage\b", r"\bcomments\b", r"\b(your|a|any|additional|question|questions) (/ )?comment\b", r"^comment\W*$",
            r"\b(how|what) can we (help|do)\b", r"\btell us\b", r"\banything( else)?\b", r"^remarks?\W*$", r"^notes?\W*$",
            r"^(your )?([ie]nquiry|questions?|request)\W*$", r"\badditional (info(rmation)?|details|notes)\b",
            r"\bdescribe your\b", r"\bproject details\b", r"\bwhat would you like to (discuss|talk about)\b",
            r"\bnachricht\b", r"\bkommentar", r"\b(wie|wobei) können wir\b", r"\banmerkung(en)?\b", r"^ihre anfrage\W*$",
            r"\banliegen\b", r"\bmitteilung\b", r"\bbemerkung(en)?\b", r"\bzur vorbereitung\b", r"\bcommentaires?\b",
            r"\bvotre (demande|projet|besoin)\b", r"\bpouvons-nous (vous|t)\W?aider", r"\bparlez-nous\b", r"\bdécrivez\b",
            r"\bpodemos ayudar", r"\bpodemos ajudar", r"\bcuéntanos\b", r"\bconte-nos\b", r"\bmensaje\b", r"\bcomentarios?\b", r"\bconsulta\b", r"\bmensagem\b",
            r"\bcomentários?\b", r"\bobservações\b", r"\bmessaggio\b", r"\bcommenti\b", r"\bcome possiamo aiutar",
            r"\bbericht\b", r"\bopmerking(en)?\b", r"\btoelichting\b", r"\bkunnen we (u |je )?helpen\b", r"\bmeddelande\b",
            r"\bkan vi hjälpa\b", r"\bwiadomość\b", r"\bmożemy pomóc\b", r"お問い合わせ内容",
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
