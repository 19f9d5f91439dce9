"""One person as they are named in a request to see or erase their data, and where a text speaks of them.

A person is an e-mail address or a phone number, or several of either. Two questions, kept apart: whose is a record
(its own e-mail or phone is theirs), and does a text quote them (anywhere, however it is escaped)? What is theirs is
removed; what only quotes them is somebody else's, and loses the quotation.
"""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import unquote, unquote_plus

from speed_to_lead.core.lead import Lead
from speed_to_lead.core.submission import PHONE_E164, GenericLead, digits_of, person_keys
from speed_to_lead.core.values import bare_address

#: What stands where an erased address or number stood.
ERASED = "[erased]"
#: Fewer digits are no number anybody could be reached at, and would be found in every instant and id.
LEAST_DIGITS = 7
#: A body may hold JSON in a form field in JSON: so many layers of escapes are looked through.
LAYERS = 3

_ADDRESS = re.compile(r"[^\s@<>\"',;:]+@[^\s@<>\"',;:]+")
_PHONE = re.compile(r"\+?[\d\s()./-]+")
_BETWEEN_DIGITS = r"[ \t().\u00a0/-]{0,3}"
#: Ids and digests are matched whole: the digits between their letters are nobody's number.
_DIGEST = r"(?<![0-9A-Za-z])(?=[0-9]*[a-f])[0-9a-f]{16,}(?![0-9A-Za-z])"
_FORM_ENCODED = re.compile(r"[^\s\"{}<>]*=[^\s\"{}<>]*")
_BACKSLASHED = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}

T = TypeVar("T")


class NobodyNamed(ValueError):
    """What was given is neither an e-mail address nor a phone number; the text says what is expected."""


@dataclass(frozen=True)
class Person:
    """E-mail addresses (case-folded) and phone numbers (digits only, without a leading 00) of one person."""

    emails: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The person keys under which their newest lead is found."""
        given = [GenericLead({"email": email}) for email in sorted(self.emails)]
        given += [GenericLead({"phone": phone}) for phone in sorted(self.phones)]
        return tuple(key for lead in given for key in person_keys(lead))

    @cached_property
    def _addresses(self) -> re.Pattern[str]:
        """Each address, and not as part of a longer one: joakim@example.com is not kim@example.com."""
        addresses = "|".join(re.escape(email) for email in sorted(self.emails))
        return re.compile(
            rf"(?<![\w.+-])(?<!\w')(?:{addresses})(?![\w-]|\.\w)" if addresses else r"(?!)", re.IGNORECASE
        )

    @cached_property
    def _numbers(self) -> re.Pattern[str]:
        """Each number, and not as part of a longer one; a digest before it is read whole, whatever digits it has."""
        numbers = "|".join(_BETWEEN_DIGITS.join(phone) for phone in sorted(self.phones))
        number = rf"(?<!\d)(?:\+|00)?(?:{numbers})(?!\d)" if numbers else r"(?!)"
        return re.compile(rf"(?P<digest>{_DIGEST})|{number}")

    def owns(self, lead: GenericLead) -> bool:
        """Whether this is what they said of themselves: its own e-mail or phone is theirs."""
        address = bare_address(str(lead.get("email") or ""))
        numbers = {digits_of(lead.get("phone")), digits_of(lead.get(PHONE_E164))}
        return address in self.emails or not numbers.isdisjoint(self.phones)

    def owns_lead(self, lead: Lead) -> bool:
        """Whether the lead is theirs, by its first submission or by a touch."""
        return any(self.owns(said) for said in (lead.lead, *(touch.lead for touch in lead.touches)))

    def is_quoted_in(self, text: str) -> bool:
        """Whether the text speaks of them: plain, in JSON or HTML escapes, or percent-encoded, in any capitals."""
        return any(self._is_plain_in(form) for form in _readings(text)) or any(k in text for k in self.keys)

    def is_one_of_several_in(self, text: str) -> bool:
        """Whether the text names an address that is not theirs."""
        return any(
            not self.is_quoted_in(found[0]) for form in _readings(text) for found in _ADDRESS.finditer(form)
        )

    def redacted(self, value: T) -> T:
        """The value with `[erased]` for every quotation of them, in texts at any depth; keys of mappings too.

        A text that quotes them in an escaped form is replaced as a whole: a link with their address in it.
        """
        return self._redacted(value)  # type: ignore[no-any-return]

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redacted_text(value)
        if isinstance(value, (int, float)):
            return ERASED if not isinstance(value, bool) and digits_of(value) in self.phones else value
        if isinstance(value, Mapping):
            return {self._redacted_text(str(k)): self._redacted(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            made = getattr(value, "_make", type(value))  # a named tuple's own way
            return made(self._redacted(item) for item in value)
        if not is_dataclass(value) or isinstance(value, type):
            return value
        return replace(value, **{f.name: self._redacted(getattr(value, f.name)) for f in fields(value)})

    def _redacted_text(self, text: str) -> str:
        if not self.is_quoted_in(text):
            return text
        plain = self._numbers.sub(lambda found: found["digest"] or ERASED, self._addresses.sub(ERASED, text))
        return ERASED if self.is_quoted_in(plain) else plain

    def _is_plain_in(self, text: str) -> bool:
        if self._addresses.search(text) or self._addresses.search(text.casefold()):
            return True
        return bool(self.phones) and any(not found["digest"] for found in self._numbers.finditer(text))


def person_named(*given: str) -> Person:
    """The person of these e-mail addresses and phone numbers. Raises NobodyNamed for anything else."""
    emails, phones = set[str](), set[str]()
    for text in given:
        address, digits = bare_address(text), digits_of(text)
        if _ADDRESS.fullmatch(address):
            emails.add(address)
        elif _PHONE.fullmatch(text.strip()) and len(digits) >= LEAST_DIGITS:
            phones.add(digits)
        else:
            raise NobodyNamed(
                "give an e-mail address (kim@example.com) or a phone number with its area code "
                f"({LEAST_DIGITS} digits or more)"
            )
    return Person(frozenset(emails), frozenset(phones))


def _readings(text: str) -> Iterator[str]:
    """The text, and what it says once its escapes are undone, layer by layer."""
    seen = {text}
    layer = [text]
    for _ in range(LAYERS + 1):
        yield from layer
        layer = [form for one in layer for form in _undone(one) if form not in seen]
        seen.update(layer)
        if not layer:
            return


def _undone(text: str) -> Iterator[str]:
    if "%" in text:
        yield unquote(text, errors="replace")
    if "+" in text and _FORM_ENCODED.fullmatch(text):  # only there does a plus stand for a blank
        yield unquote_plus(text, errors="replace")
    if "\\" in text:
        yield _BACKSLASHED.sub(_unescaped, text)
    if "&" in text:
        yield html.unescape(text)


def _unescaped(escape: re.Match[str]) -> str:
    code, sign = escape.groups()
    return chr(int(code, 16)) if code else _CONTROLS.get(sign, sign)
