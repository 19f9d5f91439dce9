"""What looks like spam or junk about a submission: flags that rules can ask for. Nothing is ever dropped for one.

Each is a doubt and no proof, so each is drawn tightly: a person called a machine waits for ever, a machine called a person
costs a glance. Flags of one field are worked out when a rule asks for `flags` at all; what only the moment of arrival shows
(`repeated`, `over_rate`) is kept with the lead, so that whoever asks again later gets the same answer.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Final

from speed_to_lead.core.submission import (
    DELIVERY_HEADER,
    GenericLead,
    ParsedSubmission,
    Submission,
    content_key,
    lead_field_named,
    named_key,
)
from speed_to_lead.core.values import folded

FLAGS_FIELD: Final = "flags"
HONEYPOT, DISPOSABLE, GIBBERISH = "honeypot", "disposable_email", "gibberish_name"
REPEATED, OVER_RATE = "repeated", "over_rate"
FLAGS: Final = (HONEYPOT, DISPOSABLE, GIBBERISH, REPEATED, OVER_RATE)

#: The header under which the store hands on that the submission came faster than its form's rate limit.
OVER_RATE_HEADER: Final = "speed-to-lead-over-rate"
#: The same body, or the same message, this often within a day is `repeated`: the third one, and those after it.
REPEATED_FROM: Final = 3
#: A message that is shorter is one that different people write.
LEAST_MESSAGE: Final = 40
#: As long as the exact body stands for a tool's own key (core/settlement.py).
_AGAIN_SECONDS: Final = 600
#: What an unticked box sends: nobody filled it in.
_UNTICKED: Final = frozenset(("false", "0", "no", "off", "none"))


def flags_of(
    lead: GenericLead, form: str, honeypots: Mapping[str, str], is_disposable: Callable[[str], bool]
) -> list[str]:
    """The flags of a lead, those it was given on arrival among them. `honeypots`: the field nobody sees, by form."""
    given = lead.fields.get(FLAGS_FIELD)
    found = list(given) if isinstance(given, (list, tuple)) else []
    trap = honeypots.get(form)
    if trap is not None and _is_filled(lead, trap):
        found.append(HONEYPOT)
    if is_disposable(str(lead.get("email") or "")):
        found.append(DISPOSABLE)
    if is_gibberish(lead.display_name):
        found.append(GIBBERISH)
    return [flag for flag in FLAGS if flag in found]


def with_flags(lead: GenericLead, flags: list[str]) -> GenericLead:
    """The lead with the flags that its arrival gave it."""
    return GenericLead({**lead.fields, FLAGS_FIELD: flags}, lead.custom) if flags else lead


def repeats_of(submission: Submission, parsed: ParsedSubmission) -> tuple[tuple[str, str], ...]:
    """Under what a submission is counted among its like, each with what it counts as: its exact body, and a long message.

    What a tool sends again (under its own key, else the same body within ten minutes) counts as the same once more. So do
    all items of one delivery: a form that writes the same into each of them is no junk.
    """
    body = content_key(submission)
    named = submission.headers.get(DELIVERY_HEADER, "")
    if not named and parsed.same_submission_key:
        named = named_key(submission.form, parsed.same_submission_key)
    found = [(named or f"{submission.received_at.timestamp() // _AGAIN_SECONDS:.0f}", body)]
    message = folded(parsed.lead.get("message") or "")
    if len(message) >= LEAST_MESSAGE:
        found.append((named or body, named_key("message", message)))
    return tuple(found)


def _is_filled(lead: GenericLead, trap: str) -> bool:
    """Whether a field of that name has something in it. A bot fills what looks like a field we know: `website`, `fax`."""
    name = trap.removeprefix("custom.")
    known = lead_field_named(name)
    values: list[Any] = [lead.custom.get(name)] + ([lead.fields.get(known)] if known else [])
    return any(value is not None and folded(value) not in _UNTICKED for value in values)


# --- Names that are none ---------------------------------------------------------------------------------------

#: Longer ones are looked at no further: it is a sentence, and no list of rules may take long on it.
_LONGEST: Final = 200
_ADDRESS = re.compile(r"https?:|www\.|://|\.(?:com|ru|cn|xyz|top|info|online|site)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{5,}")
_SAME = re.compile(r"(.)\1{3}")
#: Letters that are one sound, so that Hirschsprung and Knightley are names.
_ONE_SOUND = re.compile(r"sch|ght|tch|szcz|sz|cz|rz|dz|dzs|ch|sh|th|ph|ck|ng|gh|gb|kh|zh|ts|tz|st|mb|nd|nt")
#: `r` and `l` carry a syllable in Vlk and Čtvrtníček, `y` and `w` in Krzysztof and Llwyd.
_CONSONANTS = re.compile(r"[bcdfghjkmnpqstvxz]{6,}")
_NO_SYLLABLE = re.compile(r"[bcdfghjkmnpqstvxz]+\Z")
_SMALL_TO_CAPITAL = re.compile(r"[a-z](?=[A-Z])")
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "azertyuiop", "yxcvbnm")
_RUN: Final = 5
_RUNS = frozenset(
    row[start : start + _RUN]
    for line in _KEYBOARD
    for row in (line, line[::-1])
    for start in range(len(row) - _RUN + 1)
)


def is_gibberish(name: str) -> bool:
    """Whether a name is none: an address, a roll over the keyboard, or letters that nobody could say.

    Only Latin letters are judged; a name in any other script never is one.
    """
    if not name or len(name) > _LONGEST:
        return False
    if _ADDRESS.search(name):
        return True
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign))
    return any(_is_unsayable(word) for word in _WORD.findall(plain) if word.isascii())


def _is_unsayable(word: str) -> bool:
    small = word.lower()
    if _SAME.search(small) or any(small[at : at + _RUN] in _RUNS for at in range(len(small) - _RUN + 1)):
        return True
    # DeLaCruz and McDonald change twice at most.
    if len(_SMALL_TO_CAPITAL.findall(word)) >= 3:
        return True
    return _NO_SYLLABLE.match(small) is not None or _CONSONANTS.search(_ONE_SOUND.sub("t", small)) is not None
