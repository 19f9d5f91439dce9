"""Which company a lead is of: the domain of its e-mail address, else of its website; and the key it is found by."""

import hashlib

from speed_to_lead.core.submission import GenericLead
from speed_to_lead.core.values import host_of

#: Hosts that everybody has an address or a page at, so that they say nothing of a company.
SHARED_HOSTS = frozenset((
    "126.com", "163.com", "aol.com", "bigpond.com", "btinternet.com", "comcast.net", "facebook.com", "fastmail.com",
    "free.fr", "freenet.de", "github.io", "gmail.com", "gmx.at", "gmx.ch", "gmx.com", "gmx.de", "gmx.net", "google.com",
    "googlemail.com", "hey.com", "hotmail.co.uk", "hotmail.com", "hotmail.de", "hotmail.fr", "hotmail.it", "icloud.com",
    "instagram.com", "laposte.net", "libero.it", "linkedin.com", "linktr.ee", "live.co.uk", "live.com", "mac.com",
    "mail.com", "mail.ru", "me.com", "msn.com", "orange.fr", "outlook.com", "outlook.de", "outlook.fr", "pm.me",
    "proton.me", "protonmail.com", "qq.com", "rediffmail.com", "rocketmail.com", "sbcglobal.net", "t-online.de",
    "tutanota.com", "twitter.com", "verizon.net", "wanadoo.fr", "web.de", "x.com", "yahoo.co.in", "yahoo.co.uk",
    "yahoo.com", "yahoo.de", "yahoo.fr", "yandex.com", "yandex.ru", "ymail.com", "youtube.com", "zoho.com",
))  # fmt: skip


def company_domain(lead: GenericLead) -> str:
    """The domain of the lead's company; "" where neither address nor website tells one."""
    for field in ("email", "website"):
        domain = host_of(lead.get(field) or "").removeprefix("www.")
        if "." in domain and domain not in SHARED_HOSTS:
            return domain
    return ""


def company_key(lead: GenericLead) -> str:
    """The key under which the company's newest lead is found, a hash; "" where the lead tells no company."""
    domain = company_domain(lead)
    return hashlib.blake2b(f"company\0{domain}".encode(), digest_size=12).hexdigest() if domain else ""
