"""Form tools that keep a list: what was sent to a form, asked of the tool itself, in the shape its webhook has.

`flow/reconciling.py` compares the list with what arrived, and takes in what the webhook never brought. Each tool's own list
stands in its file, as `listed`. What an entry is read from is what the webhook would have sent, so one reader reads both.

A tool names the next page by a word (`after`, `page`, an offset), never by an address: no address comes from a payload.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from speed_to_lead.core.submission import Form
from speed_to_lead.forms import reading
from speed_to_lead.forms.fetches import Question

#: Of a hundred entries and more: no form has so many, and a tool that names ever new pages would be read for ever.
MOST_PAGES = 5_000


class Unanswered(Exception):
    """The list cannot be read, or not to its end. The text says why, without token, address or a word of the answer."""


#: Puts one question to the tool's API; the answer is JSON. Raises Unanswered.
Ask = Callable[[Question], Any]


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a tool's list. `id` is the tool's own ("" where it is damaged), `body` what its webhook would have sent.

    `at` is when it was sent, where the tool says so; `headers` those the reader asks for.
    """

    id: str
    body: Any
    at: datetime | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: The webhook sends a contact as it is by then: whatever it brought of the same person later has this in it.
    is_of_contact: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: a form of intake.toml, the tool's own `name` of it, and from when until when."""

    form: Form
    name: str
    since: datetime
    until: datetime
    token: str


class KeepsList(Protocol):
    """A form tool that can be asked what was sent to a form. A module is one."""

    #: The tool's API, where the form names no other.
    api_url: str
    #: What a token must be allowed for this, in the tool's own words.
    list_scope: str

    def listed(self, wanted: Wanted, ask: Ask) -> Iterator[Listed]:
        """What the tool has since then, in any order; something older may be among it. Raises Unanswered on the way."""


def page_of(body: bytes) -> Any:
    """What an answer of the tool's API says; large numbers kept as text, as in what its webhook sends."""
    try:
        return reading.DECODER.decode(body.decode())
    except (
        ValueError,
        RecursionError,
    ):  # UnicodeDecodeError is one; the text of either holds some of the answer
        raise Unanswered("the answer is not JSON; is api_url the address of the tool's API?") from None


def bearer(token: str) -> dict[str, str]:
    """The header most tools take a token in."""
    return {"Authorization": f"Bearer {token}"}


def pages(
    ask: Ask, question_of: Callable[[str], Question], next_of: Callable[[Mapping[str, Any]], str]
) -> Iterator[Mapping[str, Any]]:
    """Page after page; `next_of` says by what word the next one is asked for, "" after the last. The first one's is ""."""
    word, asked, before = "", {""}, None
    while True:
        page = ask(question_of(word))
        if not isinstance(page, Mapping):
            raise Unanswered("the answer is no JSON object")
        if page == before:
            raise Unanswered("the list has no end: the next page is the same once more")
        yield page
        word, before = reading.whole_text(next_of(page)), page
        if not word:
            return
        if word in asked:
            raise Unanswered("the list has no end: it names a page that was read before")
        if len(asked) >= MOST_PAGES:
            raise Unanswered(f"the list has no end: {MOST_PAGES:,} pages of it were read")
        asked.add(word)


def entries_in(page: Mapping[str, Any], name: str) -> list[Any]:
    """The entries of a page, whatever they are."""
    entries = page.get(name)
    if not isinstance(entries, list):
        raise Unanswered(f'the answer has no list "{name}"')
    return entries


def is_before(entry: Any, name: str, since: datetime) -> bool:
    """Whether an entry was sent before, by the instant it has under that name; not where it has none."""
    at = reading.instant_in(reading.mapping_or_nothing(entry).get(name))
    return at is not None and at < since


def is_newest_first(entries: list[Any], name: str) -> bool:
    """Whether every entry says when it was sent, and none was sent after the one before it."""
    instants = [reading.instant_in(reading.mapping_or_nothing(entry).get(name)) for entry in entries]
    told = [at for at in instants if at is not None]
    return len(told) == len(entries) and told == sorted(told, reverse=True)


def seconds(instant: datetime) -> int:
    """The instant in Unix seconds, rounded down: rather one entry too many."""
    return int(instant.timestamp())


def iso(instant: datetime) -> str:
    """The instant as ISO 8601 in UTC, to the second, rounded down."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
