"""Lead-supplied text made fit to show: no control characters, no reordering tricks, cut to what fits.

Everything here is about display. Escaping for a syntax (Slack's, HTML) is each kind's own business.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final

from speed_to_lead.core.message import Message

#: Characters that show nothing but change what is shown: bidirectional overrides, zero-width marks, tag characters.
#: The zero-width (non-)joiner stays: emoji families and Persian need it.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_LINE_BREAK = re.compile("\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")  # json.loads lets half of a pair through; no encoder takes it
_SPACES = re.compile(r"[^\S\n]+")


def one_line(text: str, limit: int) -> str:
    """The text on one line and at most `limit` long, cut with "…"."""
    return _cut(" ".join(_visible(text).split()), limit)


def paragraph(text: str, limit: int) -> str:
    """The text with its line breaks (at most one empty line in a row) and at most `limit` long, cut with "…"."""
    lines = "\n".join(line.strip() for line in _visible(text).split("\n"))
    return _cut(re.sub(r"\n{3,}", "\n\n", lines).strip(), limit)


#: What a reader is told where a destination has no room for all of it.
CUT: Final = "Cut to fit here; the lead's own page says all of it."
LABEL_LIMIT: Final = 50
#: How far the longest texts are cut, one after the other, until a message is small enough for its destination.
_EVER_SHORTER: Final = (700, 300, 100, 30)


def cut_to(message: Message, *, headline: int, value: int, note: int, facts: int) -> Message:
    """The message with each part made fit to show and cut to these limits; where one was, its note ends with CUT."""
    title = one_line(message.headline, headline) or str(message.kind)
    kept = tuple(
        (one_line(label, LABEL_LIMIT), paragraph(text, value)) for label, text in message.facts[:facts]
    )
    words = paragraph(message.note, note)
    is_cut = len(message.facts) > facts or any(
        text.endswith("…") for text in (title, words, *(text for _, text in kept))
    )  # what somebody ended so themselves is said to be cut too: no harm
    if is_cut:
        words = "\n".join(filter(None, (paragraph(message.note, note - len(CUT) - 1), CUT)))
    return replace(message, headline=title, facts=kept, note=words)


def fitting(
    message: Message,
    make: Callable[[Message], dict[str, Any]],
    fits: Callable[[dict[str, Any], bytes], bool],
    headline: int = 150,
) -> bytes:
    """The JSON that `make` makes of the message, its texts cut as far as it takes for `fits` to hold of it."""
    content = b""
    for limit in _EVER_SHORTER:
        document = make(cut_to(message, headline=headline, value=limit, note=max(limit, 150), facts=12))
        content = json.dumps(document, separators=(",", ":")).encode()
        if fits(document, content):
            break
    return content


def digest_of(text: str) -> str:
    """A short name for a long text, of letters and digits: the same on every attempt."""
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def small_print(message: Message) -> str:
    """What a reader needs to find the alert again: lead and step, and whether it may be a repeat."""
    parts = [f"lead {message.lead_id}"] if message.lead_id else []
    if message.step:
        parts.append(f"step {message.step}")
    if message.possible_repeat:
        parts.append("possible repeat: an earlier attempt may have arrived")
    return one_line(" · ".join(parts), 300)


def web_link(message: Message, limit: int = 3000) -> str:
    """The message's page where it is an http(s) address of plain characters and not longer than `limit`, else ""."""
    usable = re.fullmatch(r"https?://[!#-;=?-\[\]_a-z~%]+", message.url) and len(message.url) <= limit
    return message.url if usable else ""


def _visible(text: str) -> str:
    broken = _LINE_BREAK.sub("\n", text)
    plain = _INVISIBLE.sub("", _CONTROL.sub(" ", broken))
    return _SPACES.sub(" ", _SURROGATE.sub("\ufffd", plain))


def _cut(text: str, limit: int) -> str:
    """Limits are counted in UTF-16 units, the larger of the two counts a vendor may mean; no pair is split."""
    encoded = text.encode("utf-16-le")
    if len(encoded) <= 2 * limit:
        return text
    return encoded[: 2 * (limit - 1)].decode("utf-16-le", "ignore").rstrip(" \n\u200d\ufe0f") + "…"
