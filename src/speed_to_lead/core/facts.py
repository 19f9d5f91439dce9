"""What conditions are asked about: a lead's fields by name, each value read once however many rules ask about it."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from speed_to_lead.core.submission import FIELD_ALIASES
from speed_to_lead.core.values import folded, host_of, number_range

if TYPE_CHECKING:
    from speed_to_lead.core.meanings import Spellings

#: Fields whose values a trace does not repeat: the trace is read in places where the person need not be named.
PERSONAL_FIELDS = frozenset(("email", "name", "first_name", "last_name", "phone", "phone_e164", "message"))
#: Fields whose values are read for what they mean, where somebody knows how.
_SPELT = frozenset(("country", "email", "phone"))
#: Names of fields up to this length are remembered, with whether they are personal.
_LONGEST_REMEMBERED = 200


class Fact:
    """One field's value, and what it can mean; a field of several values (answers ticked) has several of each.

    A field that is not there has the value None, and means nothing. `meaning_of` is how to read a text for what it
    means, whatever its spelling: a country's code. It answers "" for what it cannot read.
    """

    __slots__ = ("_hosts", "_meaning_of", "_meanings", "_ranges", "_texts", "value")

    def __init__(self, value: Any, meaning_of: Callable[[str], str] | None = None) -> None:
        self.value = value
        self._meaning_of = meaning_of
        self._meanings: list[str] | None = None
        self._texts: list[str] | None = None
        self._ranges: list[tuple[float, float]] | None = None
        self._hosts: list[str] | None = None

    @property
    def texts(self) -> list[str]:
        """As texts, folded for comparison."""
        if self._texts is None:
            self._texts = [folded(member) for member in _members(self.value)]
        return self._texts

    @property
    def meanings(self) -> list[str]:
        """As what they mean; what cannot be read is left out, and so is everything where nobody knows how to read it."""
        if self._meanings is None:
            meaning_of = self._meaning_of
            found = [] if meaning_of is None else [meaning_of(str(member)) for member in _members(self.value)]
            self._meanings = [meaning for meaning in found if meaning]
        return self._meanings

    @property
    def ranges(self) -> list[tuple[float, float]]:
        """As numbers, the least and most of each; those that are none are left out."""
        if self._ranges is None:
            found = [number_range(member) for member in _members(self.value)]
            self._ranges = [limits for limits in found if limits is not None]
        return self._ranges

    @property
    def hosts(self) -> list[str]:
        """As hosts of addresses; "" for what is none."""
        if self._hosts is None:
            self._hosts = [host_of(member) for member in _members(self.value)]
        return self._hosts


def _members(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [member for member in value if member is not None]
    return [] if value is None else [value]


class RespeltFact(Fact):
    """A field that is compared as it was written and as it is commonly written: a phone number, an address."""

    __slots__ = ()

    @property
    def texts(self) -> list[str]:
        """As texts, folded for comparison, and their meanings with them."""
        if self._texts is None:
            texts = [folded(member) for member in _members(self.value)]
            self._texts = texts + [meaning for meaning in self.meanings if meaning not in texts]
        return self._texts


NOT_GIVEN = Fact(None)


class Facts(dict[str, Fact]):
    """One lead's fields as conditions see them, each read when it is first asked for.

    A dictionary of what was read so far, because a dictionary answers at once where a method would be called:
    every rule's trace asks here. `given` is the flat mapping of field name to value, without those that are None.
    `spellings` is how countries, numbers and addresses are read; None: as texts.
    """

    __slots__ = ("_found", "_personal", "_spellings", "given", "is_traced")

    def __init__(
        self, values: Mapping[str, Any], *, is_traced: bool = True, spellings: "Spellings | None" = None
    ) -> None:
        super().__init__()
        self._spellings = spellings
        self.is_traced = is_traced  # whether anybody reads the words of a trace
        if None in values.values():
            values = {name: value for name, value in values.items() if value is not None}
        self.given = values
        self._found: dict[str, str] = {}
        self._personal: list[str] | None = None

    def __missing__(self, field: str) -> Fact:
        value = self.given.get(field)
        if value is None:
            fact = NOT_GIVEN
        elif field in _SPELT and self._spellings is not None:
            fact = self._spelt(field, value, self._spellings)
        else:
            fact = Fact(value)
        self[field] = fact
        return fact

    def _spelt(self, field: str, value: Any, spellings: "Spellings") -> Fact:
        if field == "country":
            return Fact(value, spellings.country)
        if field == "email":
            return RespeltFact(value, spellings.email)
        return RespeltFact(
            value, lambda text: spellings.phone(text, next(iter(self["country"].meanings), ""))
        )

    def with_changed(self, values: Mapping[str, Any]) -> "Facts":
        """The same with these fields changed, none of which is personal; what was read of the others is kept."""
        changed = Facts(dict(self.given, **values), is_traced=self.is_traced, spellings=self._spellings)
        changed.update(self)
        changed._found = dict(self._found)
        changed._personal = self._personal
        for field in values:
            changed.pop(field, None)
            changed._found.pop(field, None)
        return changed

    def note(self, field: str, value: Any) -> None:
        """Set a field that was worked out of the others, and that nobody has asked for before."""
        self.given = {**self.given, field: value}
        self.pop(field, None)

    def found(self, field: str) -> str:
        """What was found in the field, in the words of a trace: `is "DE"`, `is not given`."""
        words = self._found.get(field) if self.is_traced else ""
        if words is None:
            value = self.given.get(field)
            text = None if value is None else self.shown(value, field)
            words = "is not given" if value is None else "is given" if text is None else f'is "{text}"'
            if (
                field == "country"
                and text is not None
                and (meant := self[field].meanings)
                and meant != [text]
            ):
                words += f" ({', '.join(meant)})"
            self._found[field] = words
        return words

    def shown(self, value: Any, field: str) -> str | None:
        """A value of the field as a trace may repeat it, 60 characters at the most; None where it may not.

        It may not where the field is personal, or where the value repeats one that is (a referrer ending in
        `?email=…`, a company named after its founder).
        """
        if not self.is_traced:
            return ""
        if is_personal(field):
            return None
        text = str(value)
        # Most words quote the field's own text, which its conditions read folded too.
        is_own = type(value) is str and value is self.given.get(field)
        compared = self[field].texts[0] if is_own else folded(text)
        for personal in self._personal_texts():
            if personal in compared:
                return None
        return f"{text[:57]}..." if len(text) > 60 else text

    def _personal_texts(self) -> list[str]:
        if self._personal is None:
            texts = (folded(value) for name, value in self.given.items() if is_personal(name))
            self._personal = [text for text in texts if text]
        return self._personal


def is_personal(field: str) -> bool:
    """Whether the field's values stay out of traces: the person's own, under whatever name the form gave them."""
    # A sender may give a field a name of a megabyte; thousands of those must not be remembered.
    return _is_personal(field) if len(field) <= _LONGEST_REMEMBERED else _is_personal.__wrapped__(field)


@lru_cache(maxsize=4096)
def _is_personal(field: str) -> bool:
    name = re.sub(r"[\s-]+", "_", field.removeprefix("custom.").strip()).casefold()
    return FIELD_ALIASES.get(name, name) in PERSONAL_FIELDS
