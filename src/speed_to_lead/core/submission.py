"""A submission (one delivery from a form tool), and the generic lead every form tool's delivery becomes."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from speed_to_lead.core.values import bare_address, folded

#: The generic lead's own fields; whatever else arrives is kept under `custom`.
LEAD_FIELDS = (
    "email", "name", "first_name", "last_name", "phone", "company", "website", "title",
    "country", "region", "city", "employees", "industry", "message", "budget", "timeline",
    "source", "channel", "campaign",
    "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id",
    "gclid", "gbraid", "wbraid", "fbclid", "msclkid", "li_fat_id", "ttclid", "ga_client_id",
    "referrer", "landing_page", "consent",
)  # fmt: skip

#: Where the readers put the number in E.164 beside what was written as `phone`, for a lead that is known by its phone.
PHONE_E164 = "phone_e164"

#: A header of ours: which of how many items of one delivery this submission is (`3 of 7`).
ITEM_HEADER = "speed-to-lead-item"
#: A header of ours: what tells that item's delivery from others, however often it is sent.
DELIVERY_HEADER = "speed-to-lead-delivery"
#: A header of ours: a submission that is one line of a list, posted to /v1/leads or imported.
LIST_HEADER = "speed-to-lead-list"
#: A header of ours: where a submission stands whose tool sent ids only. `overdue`: it is routed by what is known, for the
#: tool has not answered; `complete`: the tool's answer is in it; `late`: the same, for a lead that was routed without.
FETCH_HEADER = "speed-to-lead-fetch"
#: A header of ours: the submission is no delivery but an entry of the tool's own list, which its webhook never brought.
LISTED_HEADER = "speed-to-lead-listed"
#: A custom field of such a lead, so that rules can ask for it: it waited before we knew of it.
RECONCILED = "reconciled"
#: A custom field of a lead that was routed without its data; rules may ask for it. It goes when the data comes.
DATA_PENDING = "lead_data"
#: How long a submission of ids only waits for its data before it is routed by what is known.
WAIT_FOR_DATA = timedelta(seconds=60)

#: What form tools call the same fields: Zapier and Make users, Salesforce Web-to-Lead, WordPress labels.
#: Written with underscores; case, spaces, hyphens and camelCase make no difference (see `lead_field_named`).
FIELD_ALIASES = {
    "e_mail_address": "email", "email_address": "email", "work_email": "email", "business_email": "email",
    "your_email": "email", "mail": "email",
    "full_name": "name", "your_name": "name", "given_name": "first_name", "fname": "first_name",
    "surname": "last_name", "family_name": "last_name", "lname": "last_name",
    "phone_number": "phone", "your_phone": "phone", "telephone": "phone", "telephone_number": "phone",
    "tel": "phone", "mobile": "phone", "mobile_phone": "phone", "mobile_number": "phone",
    "company_name": "company", "organization": "company", "organisation": "company",
    "url": "website", "company_website": "website", "job_title": "title",
    "state": "region", "company_size": "employees", "number_of_employees": "employees",
    "team_size": "employees",
    "your_message": "message", "comment": "message", "comments": "message", "description": "message",
    "notes": "message", "lead_source": "source", "page_url": "landing_page", "referer": "referrer",
    # The words other languages have for them, where they mean nothing else.
    "vorname": "first_name", "nachname": "last_name", "telefon": "phone", "telefonnummer": "phone", "handynummer": "phone",
    "firma": "company", "firmenname": "company", "unternehmen": "company", "nachricht": "message",
    "prénom": "first_name", "prenom": "first_name", "nom_de_famille": "last_name", "nom_complet": "name",
    "courriel": "email", "téléphone": "phone", "entreprise": "company", "société": "company",
    "correo": "email", "correo_electrónico": "email", "correo_electronico": "email", "nombre_completo": "name",
    "apellido": "last_name", "apellidos": "last_name", "teléfono": "phone", "telefono": "phone", "empresa": "company",
    "mensaje": "message", "nome_completo": "name", "sobrenome": "last_name", "telefone": "phone", "telemóvel": "phone",
    "celular": "phone", "mensagem": "message", "cognome": "last_name", "cellulare": "phone", "azienda": "company",
    "messaggio": "message", "voornaam": "first_name", "achternaam": "last_name", "telefoon": "phone",
    "telefoonnummer": "phone", "bedrijf": "company", "bedrijfsnaam": "company",
}  # fmt: skip

#: What a mail could be sent to, generously read. "n/a" would otherwise be one person of all who write it.
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+|[^<>]*<[^@\s<>]+@[^@\s<>]+>")
_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}\Z")
#: No field's name is longer, and what is longer is not worth remembering.
_LONGEST_NAME = 64
#: What is longer is no company and no address, whatever it is called: it stays under `custom`. A message may be long.
LONGEST_VALUE = 10_000
#: A sampled W3C trace context. Any program may write to the queue, so what looks otherwise is none.
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01\Z")
_PLAIN_NAME = re.compile(r"(?!.*\d{5})[A-Za-z][\w.-]{0,39}\Z", re.ASCII)


def _squashed(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.strip(" \t\r\n*:?")).casefold()


_FIELD_BY_WORD = {_squashed(alias): known for alias, known in FIELD_ALIASES.items()} | {
    _squashed(known): known for known in LEAD_FIELDS
}


class UnreadableSubmission(Exception):
    """The body cannot be read as a lead; it becomes a dead letter with this text, which holds no personal data."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many submissions in a time, however they are spread: a bucket of `count` tokens that fills within `per`."""

    count: int
    per: timedelta


@dataclass(frozen=True, slots=True)
class Form:
    """One form of `intake.toml`: which tool sends it, how it proves itself, what its answers mean.

    `auth` is "signature", "standard-webhooks", "token" or "none"; the secret's value is read from the
    environment variable `secret_env` (signatures) or `token_env` (shared secret in a header, query or Basic).
    `fields` maps a generic field to a selector in the delivery, for example `{"company": "ref:company_name"}`.

    Of tools that send ids only: `api_token_env` names the variable with the token for their API, which is asked at
    `api_url` (the tool's own where it is None); `wait_for_data` is how long a lead waits for it. `verify_token_env`:
    the variable with the word that Meta sends when the hook is set up.

    `api_forms`: what the tool itself calls this form (or these). Its list is asked for them, with the same token, and
    what the webhook never brought is taken in.

    `honeypot`: the field that people do not see, so that only a machine fills it in. `rate_limit`: what comes faster is
    refused for now where the tool tries again, else stored and flagged.
    """

    name: str
    provider: str
    auth: str
    secret_env: str | None = None
    token_env: str | None = None
    source: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    verify_token_env: str | None = None
    api_token_env: str | None = None
    api_url: str | None = None
    wait_for_data: timedelta = WAIT_FOR_DATA
    rate_limit: RateLimit | None = None
    honeypot: str | None = None
    api_forms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Submission:
    """One delivery as it arrived: raw bytes, stored before anybody tries to read them."""

    id: str
    form: str
    received_at: datetime
    body: bytes
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def traceparent(self) -> str:
        """The trace it came in, as W3C writes it; "" where it names none, or one that is not sampled."""
        given = self.headers.get("traceparent", "")
        return given if given and _TRACEPARENT.match(given) else ""


@dataclass(frozen=True, slots=True)
class GenericLead:
    """What a form said about one person: known fields, and everything else under `custom`.

    Only fields with something in them are present. Values are text, numbers or booleans as they arrived;
    conditions read text as numbers where a rule asks for one.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    custom: Mapping[str, Any] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """The field's value, or None. `custom.NAME` reads a custom field."""
        if name.startswith("custom."):
            return self.custom.get(name[7:])
        return self.fields.get(name)

    @property
    def display_name(self) -> str:
        """The person's name as a human would write it, or "" where the form gave none."""
        given = self.fields.get("name")
        if given:
            return str(given)
        parts = (self.fields.get("first_name"), self.fields.get("last_name"))
        return " ".join(str(part) for part in parts if part)


@dataclass(frozen=True, slots=True)
class ParsedSubmission:
    """A submission, read: the lead in it, and what identifies the same submission sent twice.

    `same_submission_key` is the form tool's own key (Typeform's token, HubSpot's conversion id, a webhook-id);
    None where the tool gives none, and the content decides. `submitted_at` is the form's own time, kept beside
    ours. `is_test` marks deliveries that must never reach a salesperson. `is_incomplete`: the tool sent ids only, and what
    it knows of the person is still to be asked for. `listed_as`: what the tool's own list calls it, where that is not the
    same-submission key.
    """

    lead: GenericLead
    same_submission_key: str | None = None
    submitted_at: datetime | None = None
    is_test: bool = False
    is_incomplete: bool = False
    listed_as: str | None = None


_DIGIT_BUT_ZERO = re.compile(r"(?!0)\d")


#: What comes behind it in an error's text are the sender's words: two errors may differ in them alone.
FIELDS_GIVEN = "the fields given were: "


def lead_field_named(name: str) -> str | None:
    """The generic lead's field a form means by this name, or None: "E-Mail *", "workEmail" and "mail" are `email`.

    A flattened path (`manager__email`) is nobody's field: whose e-mail it holds, its name does not say.
    """
    return _field_of(name)[0] if len(name) <= _LONGEST_NAME else None


@lru_cache(maxsize=4096)  # every delivery of a form has the same names
def _field_of(name: str) -> tuple[str | None, bool]:
    """The field, and whether that is its own name rather than an alias."""
    known = _FIELD_BY_WORD.get(_squashed(name)) if "__" not in name else None
    return known, known == re.sub(r"[\s-]+", "_", name.strip()).casefold()


def generic_lead(payload: Mapping[str, Any]) -> GenericLead:
    """The generic lead of a flat mapping: aliases folded, blanks dropped, unknown keys under `custom`.

    A field's own name wins over its aliases, and the first alias over later ones. A list of plain values in a
    known field (Unbounce, check boxes) is read as text: the first for `email` and `phone`, else all of them,
    with commas. Values in a known field that cannot be meant (an object; `true` as an e-mail; a company of a hundred
    pages) stay in `custom`.

    Raises UnreadableSubmission where neither an e-mail address nor a phone number is given ("n/a" is none): there
    would be nobody to answer.
    """
    fields: dict[str, Any] = {}
    given_custom = payload.get("custom")
    custom: dict[str, Any] = {}
    if isinstance(given_custom, Mapping):
        custom.update((str(name), value) for name, value in given_custom.items() if not _is_blank(value))
    for given_name, value in payload.items():
        name = str(given_name)
        if type(value) is str:  # nearly every value of nearly every lead
            cleaned = value.strip()
            if not cleaned:
                continue
        else:
            cleaned = value.strip() if isinstance(value, str) else value
            if _is_blank(cleaned) or (name == "custom" and isinstance(value, Mapping)):
                continue
        known, is_own_name = _field_of(name) if len(name) <= _LONGEST_NAME else (None, False)
        usable = None if known is None else usable_value(known, cleaned)
        if known is None or usable is None:
            custom[name] = cleaned
        elif is_own_name:
            fields[known] = usable
        else:
            fields.setdefault(known, usable)
    if "email" not in fields and "phone" not in fields:
        raise UnreadableSubmission(
            "neither an email address nor a phone number was found, so there is nobody to answer; "
            f"{FIELDS_GIVEN}{_names_to_show([*fields, *custom])}"
        )
    return GenericLead(fields, custom)


def usable_value(field_name: str, value: Any) -> Any:  # noqa: PLR0911 - one return for each kind of field
    """The value as this field can hold it, or None where it cannot be meant. A phone may arrive as a number, an e-mail only as text."""
    if type(value) is str and field_name not in ("email", "phone"):  # nearly every value of nearly every lead
        return value if len(value) <= LONGEST_VALUE or field_name == "message" else None
    if isinstance(value, (list, tuple)):
        parts = [part for part in value if not _is_blank(part)]
        if not parts or not all(isinstance(part, (str, int, float)) for part in parts):
            return None
        if len(parts) > 1 and field_name not in ("email", "phone"):
            joined = ", ".join(str(part).strip() for part in parts)
            return joined if len(joined) <= LONGEST_VALUE or field_name == "message" else None
        value = parts[0].strip() if isinstance(parts[0], str) else parts[0]
    if isinstance(value, Mapping) or (
        isinstance(value, str) and len(value) > LONGEST_VALUE and field_name != "message"
    ):
        return None
    if field_name == "email":
        return value if isinstance(value, str) and _ADDRESS.fullmatch(value.strip()) else None
    if field_name == "phone":
        has_a_number = not isinstance(value, bool) and _DIGIT_BUT_ZERO.search(str(value))
        return value if has_a_number else None
    return value


def _names_to_show(names: list[str]) -> str:
    """Field names for an error text; a name that could itself be personal data is only counted.

    A body that is not what it claims to be (`laura@example.com` sent as a form) turns its values into names.
    """
    shown = sorted(name for name in names if _PLAIN_NAME.match(name))[:20]
    others = len(names) - len(shown)
    if others and shown:
        return f"{', '.join(shown)} and {others} more"
    return ", ".join(shown) or (f"{others} with unusual names" if others else "none")


def person_keys(lead: GenericLead) -> tuple[str, ...]:
    """Keys under which the same person is found again: by e-mail, else by phone. Hashes, so they can be key names.

    E-mail is compared by the address alone, case-folded, its domain in letters. A phone by its digits in E.164 where it could be read (then it
    stands beside what was written), else by those that were written, where a leading 00 counts as +: so an
    international number has one key, whether or not it was read. An extension is another person's.
    """
    email = lead.get("email")
    if email:
        return (_digest("email", folded(_in_letters(bare_address(str(email))))),)
    number, extension_mark, extension = str(lead.get(PHONE_E164) or lead.get("phone") or "").partition(
        ";ext="
    )
    digits = digits_of(number)
    return (_digest("phone", f"{digits}{extension_mark}{extension}"),) if digits else ()


def _in_letters(address: str) -> str:
    """The address with its domain in letters where it is in punycode: one mailbox, and one person."""
    mailbox, at, host = address.rpartition("@")
    if "xn--" not in host:
        return address
    try:
        return f"{mailbox}{at}{host.encode('ascii').decode('idna')}"
    except UnicodeError:
        return address


def digits_of(value: Any) -> str:
    """The digits of a phone number, those of its extension too: a leading 00 counts as +."""
    return re.sub(r"\D", "", str(value if value is not None else "")).removeprefix("00")


def content_key(submission: Submission) -> str:
    """What stands for a form tool's own key where it gives none: the form and a hash of the exact body."""
    return _digest(submission.form, hashlib.blake2b(submission.body, digest_size=16).hexdigest())


def named_key(form: str, key: str) -> str:
    """The key under which a form tool's own name for a submission is remembered: one form's names are its own."""
    return _digest(f"key of {form}", key)


def keyed_id(key: str) -> str:
    """The id of whatever is sent with this idempotency key: the same again, so that a repeat is the same submission."""
    return _digest("idempotency-key", key)


def other_id(submission: Submission) -> str:
    """The id of a submission whose own id another one has already: of its form, its id and its exact body."""
    return _digest(f"{submission.form}\0{submission.id}", content_key(submission))


def valid_submission_id(given: str) -> str:
    """The id itself where it can be part of a key and an alert's name, else a stable hash of it."""
    return given if _ID.match(given) else _digest("id", given)


def _digest(kind: str, text: str) -> str:
    return hashlib.blake2b(f"{kind}\0{text}".encode(), digest_size=12).hexdigest()


def _is_blank(value: Any) -> bool:
    if isinstance(value, str):
        return not value or value.isspace()
    return value is None or value in ([], {})
