"""Domains as somebody registers them: example.co.uk of mail.example.co.uk (publicsuffixlist, which brings its list)."""

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

#: What is longer is no host (RFC 1035).
_LONGEST = 253
#: What stands between words is in no host.
_BETWEEN_WORDS = re.compile(r"[\s,;<>()\"']")


def registered_domain(host: str) -> str:
    """The part of a host that somebody registered, its letters not in punycode; "" for none, an IP address or a bare suffix."""
    host = host.strip(".")
    if (
        not host
        or len(host) > _LONGEST
        or "." not in host
        or host.rpartition(".")[2].isdigit()
        or ":" in host
        or _BETWEEN_WORDS.search(host)
    ):
        return ""
    if "xn--" in host:
        host = _in_letters(host)
    return _suffixes().privatesuffix(host) or ""


def _in_letters(host: str) -> str:
    import idna  # noqa: PLC0415 - hardly ever needed

    try:
        return idna.decode(host)
    except (idna.IDNAError, UnicodeError):
        return host


@cache
def _suffixes() -> "PublicSuffixList":
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - ten thousand suffixes, only where a rule asks

    return PublicSuffixList()
