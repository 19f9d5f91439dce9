"""The company of a lead: the domain of its address, else of its website; free mail is nobody's company."""

from typing import Any

import pytest

from speed_to_lead.core.company import company_key
from speed_to_lead.core.meanings import company_domain
from speed_to_lead.core.submission import GenericLead
from speed_to_lead.spellings import SPELLINGS


@pytest.mark.parametrize(
    ("fields", "domain"),
    [
        ({"email": "kim@corp.example"}, "corp.example"),
        ({"email": "Kim Doe <Kim@Corp.Example>"}, "corp.example"),
        ({"email": "kim@gmail.com"}, ""),
        ({"email": "kim@gmail.com", "website": "https://www.Corp.example/about"}, "corp.example"),
        ({"email": "kim@corp.example", "website": "https://other.example"}, "corp.example"),
        ({"phone": "+1 555 0100", "website": "corp.example"}, "corp.example"),
        ({"phone": "+1 555 0100", "website": "https://facebook.com/corp"}, ""),
        ({"phone": "+1 555 0100", "website": "http://["}, ""),
        ({"phone": "+1 555 0100", "website": "n/a"}, ""),
        ({"email": "kim@localhost"}, ""),
        ({"email": "kim@eu.hotmail.com"}, ""),
        ({"email": "x7z@privaterelay.appleid.com"}, ""),
        ({"email": "kim@gmail.com", "website": "www.corp.example, or ask me"}, ""),
        ({"email": "kim@gmail.com", "website": "www.corp.example,"}, "corp.example"),
        ({"email": "kim@gmail.com", "website": "https://bit.ly/3abc"}, ""),
        ({"phone": 1}, ""),
        ({}, ""),
    ],
)
def test_the_domain(fields: dict[str, Any], domain: str) -> None:
    """Address before website, folded, without `www.`; nothing where neither names a host of the company's own."""
    assert domain == company_domain(GenericLead(fields), SPELLINGS)


def test_the_key() -> None:
    """Colleagues have one key, other companies another, and leads without a company none; it is no person's key."""
    keys = [
        company_key(GenericLead({"email": email}), SPELLINGS)
        for email in ("a@corp.example", "b@CORP.example", "a@two.example")
    ]
    assert keys[0] == keys[1] != keys[2]
    assert "" == company_key(GenericLead({"email": "kim@gmail.com"}), SPELLINGS)
    assert 24 == len(keys[0])
