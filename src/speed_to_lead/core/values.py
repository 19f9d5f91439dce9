"""What a value that a form sent can mean: as text, as a number, as a host. Never an error, however odd it is."""

import math
import re
import unicodedata
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

#: What counts thousands and more, in the languages of the forms we have seen. Not "mil": a million here, a thousand there.
_SIZES = {
    **dict.fromkeys(("k", "thousand", "thousands", "tsd", "tausend", "mille"), 1_000),
    **dict.fromkeys(("m", "mn", "mm", "mio", "million", "millions", "millionen", "millones", "milioni"), 1_000_000),
    **dict.fromkeys(("bn", "billion", "billions", "mrd", "milliarden"), 1_000_000_000),
    **dict.fromkeys(("lakh", "lakhs", "lac"), 100_000),
    **dict.fromkeys(("crore", "crores", "cr"), 10_000_000),
}  # fmt: skip
#: Digits in groups: 1,000 and 1.000 and 1'000 and 1 000; a space only before three digits, or "10 20" were one.
_NUMBER = re.compile(
    r"(\d+(?:[.,'\u2019_]\d+|[ \u00a0\u2009\u202f]\d{3}(?!\d))*)"
    rf"(?:\s*({'|'.join(sorted(_SIZES, key=len, reverse=True))})(?=(?:usd|eur|gbp|chf)?(?![^\W\d_])))?"  # "10 k", "10kUSD", but not "10 members"
    r"\s*(\+)?"
)
#: "between 1,000 and 5,000 employees, worldwide" is half as long.
_LONGEST_NUMBER = 100
#: "$ over 500" is written as well as "over $500".
_CURRENCY = re.compile(r"^(?:[a-z]{0,2}[$€£¥₹]|usd|eur|gbp|chf)\s*")
_OR_MORE = re.compile(
    r"^(?:>|≥|over |more than |greater than |at least |from |starting at |min\b|minimum |"
    r"über |mehr als |mindestens |ab |plus de |au moins |à partir de |más de |mas de |al menos |desde |"
    r"oltre |più di |almeno |meer dan |minstens |vanaf )|"
    r" (?:or more|and more|or above|and above|or over|and over|and up|plus|oder mehr|und mehr|ou plus|et plus|"
    r"o más|o mas|y más|y mas|o più|e oltre|of meer|en meer)\b"
)
_OR_LESS = re.compile(
    r"^(?:<|≤|under |below |less than |fewer than |no more than |not more than |up to |at most |max\b|maximum |"
    r"unter |weniger als |bis |höchstens |maximal |moins de |jusqu'à |jusqu\u2019à |au plus |menos de |hasta |"
    r"meno di |fino a |al massimo |minder dan |tot |hoogstens )|"
    r" (?:or less|or fewer|or under|and under|or below|and below|oder weniger|und weniger|ou moins|o menos|o meno|of minder)\b"
)
_NAMED_ADDRESS = re.compile(r"<([^<>]*)>\s*$")
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//")


def folded(value: Any) -> str:
    """Text as it is compared: trimmed, case-folded, accents composed (macOS sends them apart)."""
    text = str(value).strip().casefold()
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def bare_address(text: str) -> str:
    """The address alone, case-folded: `Kim Doe <Kim@example.com>` is `kim@example.com`."""
    inside = _NAMED_ADDRESS.search(text) if text.rstrip().endswith(">") else None
    return (inside[1] if inside else text).strip().casefold().removeprefix("mailto:")


def host_of(value: Any) -> str:
    """The host of an address, a URL or a bare host name, in lower case; "" where there is none."""
    text = folded(value)
    if not _URL.match(text):
        mailbox, at, host = text.rpartition("@")
        if at and "/" not in mailbox:  # else it is a page such as medium.com/@someone
            return host.partition("/")[0].strip(" <>,;").rstrip(".")
        text = f"//{text}"
    try:
        host = urlsplit(text).hostname or ""
    except ValueError:  # "http://[" and other shapes that are no URL; a lead must not fail on one
        return ""
    return host.strip(" <>,;").rstrip(".")


def number_range(value: Any) -> tuple[float, float] | None:
    """The least and most a value can mean as a number: 500 → (500, 500), "51-200" → (51, 200), "1,000+" → (1000, inf).

    Texts may group digits by comma, point, apostrophe or space, and end in k or m: "10.000" is ten thousand, since
    nobody counts anything on a form to three decimals. "over 500" and "under 10" reach to infinity and from 0, their own
    number included: nobody who picks one counts so exactly. None where there is no number in it, or more than two, or more
    than a hundred characters.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return (value, value)
    text = str(value).strip().casefold()
    # In a longer text no number is meant, and a megabyte of digits would be looked through for seconds.
    return _range_in(text) if len(text) <= _LONGEST_NUMBER else None


@lru_cache(maxsize=4096)  # a form offers a few sizes of company, and every lead has one of them
def _range_in(text: str) -> tuple[float, float] | None:
    matches = list(_NUMBER.finditer(text))
    if len(matches) not in (1, 2):
        return None
    numbers = [_number(match[1]) for match in matches]
    if None in numbers:
        return None
    sizes = [_SIZES.get(match[2] or "", 1) for match in matches]
    first, last = numbers[0] or 0, numbers[-1] or 0
    if len(matches) == 2:
        # "10-20k" is ten to twenty thousand, "500-1k" is five hundred to a thousand.
        if matches[0][2] is None and first < last:
            sizes[0] = sizes[1]
        ends = sorted((first * sizes[0], last * sizes[1]))
        return (ends[0], math.inf if matches[1][3] else ends[1])
    number = first * sizes[0]
    return _open_ended(text, matches[0], number)


def _open_ended(text: str, match: re.Match[str], number: float) -> tuple[float, float]:
    text = _CURRENCY.sub("", text)
    if match[3] or _OR_MORE.search(text):
        return (number, math.inf)
    if _OR_LESS.search(text):
        return (0, number)
    return (-number, -number) if re.match(r"[-\u2212]\s*\d", text) else (number, number)


def _number(digits: str) -> float | None:
    """The number of one run of digits and separators; None for dates, versions and addresses (22.11.2026, 10.0.0.1)."""
    marks = re.sub(r"\d", "", digits)
    groups = re.split(r"\D", digits)
    decimals = ""
    if marks and marks[-1] in ".," and marks.count(marks[-1]) == 1:
        is_decimal = len(marks) > 1 or len(groups[-1]) != 3 or groups[0].startswith("0") or len(groups[0]) > 3
        if is_decimal:
            decimals = groups.pop()
    if any(len(group) not in (2, 3) for group in groups[1:]) or (len(groups) > 1 and len(groups[-1]) != 3):
        return None
    whole = "".join(groups)
    return float(f"{whole}.{decimals}") if decimals or len(whole) > 300 else int(whole)
