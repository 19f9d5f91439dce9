"""Under which key the newest lead of a company is found."""

import hashlib

from speed_to_lead.core.meanings import Spellings, company_domain
from speed_to_lead.core.submission import GenericLead


def company_key(lead: GenericLead, spellings: Spellings) -> str:
    """The key under which the company's newest lead is found, a hash of its domain; "" where the lead tells no company."""
    domain = company_domain(lead, spellings)
    return hashlib.blake2b(f"company\0{domain}".encode(), digest_size=12).hexdigest() if domain else ""
