"""What a lead's values mean beyond their text: one country in all its spellings, whose company an address is, when it came.

Core has no lists of countries, numbers and suffixes: who makes a rulebook gives the functions that have (`Spellings`), and
without them a text is just a text. A value that cannot be read stays the text it is, and the trace says so.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from speed_to_lead.core.facts import Facts
from speed_to_lead.core.flags import FLAGS_FIELD, flags_of
from speed_to_lead.core.submission import GenericLead
from speed_to_lead.core.values import host_of

#: What is worked out of other fields: only where a rule, detection or score asks for it.
COMPANY_DOMAIN, EMAIL_KIND = "company_domain", "email_kind"
WEEKDAY, HOUR = "received.weekday", "received.hour"
DERIVED_FIELDS = (COMPANY_DOMAIN, EMAIL_KIND, FLAGS_FIELD, WEEKDAY, HOUR)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Fields of numbers, money and sizes.
_NUMBERS = ("employees", "budget")
#: Sites where many companies have a page: whoever names one as their own has not said whose company it is.
_SHARED_SITES = frozenset(
    (
        "bit.ly", "calendly.com", "facebook.com", "fb.com", "github.com", "google.com", "instagram.com", "linkedin.com",
        "linktr.ee", "lnkd.in", "medium.com", "notion.so", "pinterest.com", "t.co", "tiktok.com", "twitter.com", "vk.com",
        "wa.me", "wordpress.com", "x.com", "xing.com", "yelp.com", "youtu.be", "youtube.com",
    )
)  # fmt: skip
#: What a person is reached at, how it looks when it is right at a glance, and what it should be. A number: 7 to 15 digits.
_REACHED_AT = (
    ("phone", re.compile(r"[\s+]*(?:[\s()./-]*\d){7,15}[\s()./-]*\Z").match, "phone number"),
    (
        "email",
        re.compile(
            r"[a-zA-Z0-9_+-]{1,30}(?:\.[a-zA-Z0-9_+-]{1,30})?@(?:[a-zA-Z0-9]{1,40}\.){1,4}[a-zA-Z]{2,20}\Z"
        ).match,
        "e-mail address",
    ),
)


def _unread(*_: str) -> str:
    return ""


def _never(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Spellings:
    """How to tell that two spellings mean the same. Each answers "" for what it cannot read, and none ever fails.

    `country`: the ISO 3166 code of two letters. `phone`: the number in E.164, of a text and its country's code or "".
    `email`: the address alone. `is_free_mail`: whether anybody can have a mailbox where that address is.
    `registered_domain`: the part of a host that somebody registered. `is_disposable`: whether the address is thrown away.
    """

    country: Callable[[str], str] = _unread
    phone: Callable[[str, str], str] = _unread
    email: Callable[[str], str] = _unread
    is_free_mail: Callable[[str], bool] = _never
    registered_domain: Callable[[str], str] = _unread
    is_disposable: Callable[[str], bool] = _never

    def meaning_of(self, field_name: str, text: str) -> str:
        """What a rule means by this text in this field; "" where that is just the text."""
        match field_name:
            case "country":
                return self.country(text)
            case "phone":
                return self.phone(text, "")
            case "email":
                return self.email(text)
            case "company_domain":
                return self.registered_domain(host_of(text))
            case _:
                return ""


#: Texts are texts.
PLAIN = Spellings()


@dataclass(frozen=True, slots=True)
class Reception:
    """Whose clock `received.weekday` and `received.hour` are read from: a calendar's, or UTC where `calendar` is ""."""

    zone: tzinfo = UTC
    calendar: str = ""

    def __str__(self) -> str:
        return f'{self.zone} (calendar "{self.calendar}")' if self.calendar else f"{self.zone}"


@dataclass(frozen=True, slots=True)
class Meanings:
    """How the values of leads are read: the spellings, the clock of receipt, and which derived fields are asked for at all.

    `honeypots`: by form, the field that only a machine fills in.
    """

    spellings: Spellings = PLAIN
    reception: Reception = field(default_factory=Reception)
    asked: frozenset[str] = frozenset()
    honeypots: Mapping[str, str] = field(default_factory=dict)

    def derived(self, lead: GenericLead, received_at: datetime, form: str = "") -> dict[str, Any]:
        """The derived fields that are asked for; without those that nothing is known of."""
        found: dict[str, Any] = {}
        if not self.asked:
            return found
        if COMPANY_DOMAIN in self.asked and (domain := company_domain(lead, self.spellings)):
            found[COMPANY_DOMAIN] = domain
        if EMAIL_KIND in self.asked and (kind := email_kind(lead, self.spellings)):
            found[EMAIL_KIND] = kind
        if FLAGS_FIELD in self.asked and (
            flags := flags_of(lead, form, self.honeypots, self.spellings.is_disposable)
        ):
            found[FLAGS_FIELD] = flags
        if WEEKDAY in self.asked or HOUR in self.asked:
            local = received_at.astimezone(self.reception.zone)
            found[WEEKDAY], found[HOUR] = WEEKDAYS[local.weekday()], local.hour
        return found

    def remarks(self, facts: Facts) -> list[str]:
        """The lines a trace has of what could not be read, and of the clock that receipt was read from.

        What looks right at a glance is not looked up: this is asked of every lead, and nearly every lead is right.
        """
        given, found = facts.given, self._worked_out(facts.given)
        for name in _NUMBERS:
            if name in given and not facts[name].ranges:
                words = facts.found(name)
                found.append(f"{name} {words}, in which no number can be read; it is compared as text")
        found += _objects_in(given)
        if self.spellings is PLAIN:
            return found
        if "country" in given and not facts["country"].meanings:
            words = facts.found("country")
            found.append(f"country {words}, which is no country we know; it is compared as text")
        for name, looks_right, what in _REACHED_AT:
            value = given.get(name)
            if value is None:
                if f"custom.{name}" in given:
                    found.append(f"{name} is given, but is no {what}; it is kept as custom.{name}")
            elif not looks_right(str(value)) and not facts[name].meanings:
                found.append(f"{name} is given, but is no {what}; it is compared as text")
        return found

    def _worked_out(self, given: Mapping[str, Any]) -> list[str]:
        found = []
        if FLAGS_FIELD in given and FLAGS_FIELD in self.asked:
            found.append(f"flagged: {', '.join(given[FLAGS_FIELD])}")
        if HOUR in given:
            found.append(f"received on {given[WEEKDAY]}, hour {given[HOUR]}, {self.reception}")
        return found


def _objects_in(given: Mapping[str, Any]) -> list[str]:
    """A line for each size or country that came as an object, which cannot be compared."""
    return [
        f"{name} is given, but is no text or number; it is kept as custom.{name}"
        for name in (*_NUMBERS, "country")
        if name not in given and isinstance(given.get(f"custom.{name}"), (Mapping, list))
    ]


#: Texts are texts, and nobody asks for more.
PLAIN_MEANINGS = Meanings()


def email_kind(lead: GenericLead, spellings: Spellings) -> str:
    """`work`, or `free` where anybody can have a mailbox there; "" without an address that can be read."""
    address = spellings.email(str(lead.get("email") or ""))
    return "" if not address else "free" if spellings.is_free_mail(address) else "work"


def company_domain(lead: GenericLead, spellings: Spellings) -> str:
    """The domain of the lead's company: that of a work address, else of its website; "" where neither tells."""
    address = spellings.email(str(lead.get("email") or ""))
    if address and not spellings.is_free_mail(address):
        domain = spellings.registered_domain(address.rpartition("@")[2])
        if domain:
            return domain
    domain = spellings.registered_domain(host_of(lead.get("website") or ""))
    return "" if domain in _SHARED_SITES or spellings.is_free_mail(f"@{domain}") else domain
