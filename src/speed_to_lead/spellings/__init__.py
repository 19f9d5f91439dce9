"""One meaning, many spellings: countries, phone numbers, e-mail addresses and companies' domains, by well-kept lists.

Core compares what these answer and knows none of the lists (`core.meanings.Spellings` is the shape it asks for). Nothing
here asks the network, and nothing fails on a text, however odd: what cannot be read is "". Each list is loaded when it is
first asked for.

countries.py   ISO 3166, with the names that people and forms use
phones.py      E.164
addresses.py   e-mail: whether it is one, and whether the mailbox is free, or thrown away
domains.py     the domain somebody registered, by the public suffix list
"""

from speed_to_lead.core.meanings import Spellings
from speed_to_lead.spellings.addresses import email_address, is_disposable_mail, is_free_mail
from speed_to_lead.spellings.countries import country_code, country_names
from speed_to_lead.spellings.domains import registered_domain
from speed_to_lead.spellings.phones import phone_number

__all__ = [
    "SPELLINGS",
    "country_code",
    "country_names",
    "email_address",
    "is_disposable_mail",
    "is_free_mail",
    "phone_number",
    "registered_domain",
]

SPELLINGS = Spellings(
    country_code, phone_number, email_address, is_free_mail, registered_domain, is_disposable_mail
)
