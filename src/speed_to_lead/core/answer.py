"""Answers given where an alert is read: what may be said there, and the signed link that says to whom it was given.

A link is the lead, the rep it was about, the destination it was sent to and an instant at which it ends, signed by
HMAC-SHA256: nothing is stored for it, and whoever has it may answer for that lead and nothing else.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from speed_to_lead.core.assignment import Team
from speed_to_lead.core.clock import from_ms, to_ms

#: How long the link of an alert answers: over a long weekend.
LINK_LASTS = timedelta(days=7)
_TAG_BYTES = 18
_SHORTEST_SECRET = 16
#: What a token begins with that says where it was sent to. Older ones do not say it, and begin with digits.
_SENT_TO = "to "


class Answer(StrEnum):
    """What somebody can say where they read of a lead."""

    ACKNOWLEDGED = "acknowledged"
    ATTEMPTED = "attempted"
    NOT_A_LEAD = "not_a_lead"
    PASS_ON = "pass_on"  # noqa: S105  no password

    @property
    def words(self) -> str:
        """What stands on its button."""
        return _WORDS[self]


_WORDS = {
    Answer.ACKNOWLEDGED: "I'm on it",
    Answer.ATTEMPTED: "Answered",
    Answer.NOT_A_LEAD: "Not a lead",
    Answer.PASS_ON: "Pass on",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked about which lead: `rep` had it when the alert was written, "" where nobody did.

    `destination` is where the alert was sent to, "" where that is not known.
    """

    lead_id: str
    rep: str
    destination: str = ""


class UnusableLink(ValueError):
    """The link is none of ours, or its time is over; the text says which."""


def link_token(asked: Asked, until: datetime, secrets: Sequence[bytes]) -> str:
    """The token of a link that ends at `until`, signed with the first secret."""
    sent_to = f"{_SENT_TO}{asked.destination} " if asked.destination else ""
    signed = f"{sent_to}{to_ms(until)} {asked.rep} {asked.lead_id}".encode()
    return base64.urlsafe_b64encode(_tag(secrets[0], signed) + signed).decode().rstrip("=")


def read_token(token: str, secrets: Sequence[bytes], now: datetime) -> Asked:
    """Who is asked. Raises UnusableLink. Every secret counts, so that one can be changed for another."""
    try:
        whole = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        whole = b""
    tag, signed = whole[:_TAG_BYTES], whole[_TAG_BYTES:]
    genuine = [hmac.compare_digest(tag, _tag(secret, signed)) for secret in secrets]
    if not any(genuine):
        raise UnusableLink("this link is not one of ours; it may have been cut off")
    said, destination = signed.decode(), ""
    if said.startswith(_SENT_TO):
        destination, said = said.removeprefix(_SENT_TO).split(" ", 1)
    until, rep, lead_id = said.split(" ", 2)
    if now >= from_ms(int(until)):
        raise UnusableLink("this link has run out; a newer alert has another one")
    return Asked(lead_id, rep, destination)


def answered_by(asked: Asked, teams: Mapping[str, Team], fallback_destination: str) -> str:
    """Who answers by a link, as far as it can be known: whoever reads the destination it was sent to.

    A rep's id only where the destination is that rep's own. Where a team's manager hears there as well, or other reps, or
    everybody, a name would be a guess: `manager:TEAM` (`TEAM and TEAM` where they share one), else `destination:NAME`.
    Links sent before links said where to count as the rep's they were about.
    """
    name = asked.destination
    if not name:
        return asked.rep or "link"
    own = {rep.id for team in teams.values() for rep in team.reps if rep.notify == name}
    managed = [team.name for team in teams.values() if team.manager == name]
    is_others = name == fallback_destination or any(
        name in team.levels and name != team.manager for team in teams.values()
    )
    if len(own) == 1 and not managed and not is_others:
        return own.pop()
    if managed and not own and not is_others:
        return f"manager:{' and '.join(managed)}"
    return f"destination:{name}"


def secrets_of(configured: str) -> tuple[bytes, ...]:
    """The secrets in a setting, separated by commas. Raises ValueError for one that could be guessed."""
    secrets = tuple(part.strip().encode() for part in configured.split(",") if part.strip())
    if any(len(secret) < _SHORTEST_SECRET for secret in secrets):
        raise ValueError(f"secrets of at least {_SHORTEST_SECRET} characters, separated by commas")
    return secrets


def _tag(secret: bytes, signed: bytes) -> bytes:
    return hmac.digest(secret, b"answer link " + signed, "sha256")[:_TAG_BYTES]
