"""What form tools ask before they send anything: whether the address is ours, and knows a secret.

Each is answered below /hooks/ with exactly 200 (docs/decisions/0005-exactly-200.md). A tool that asks in a POST, such as
Intercom's `ping`, needs nothing of this: its delivery is stored, counted and never routed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl

from speed_to_lead.forms.provider import WebhookRequest


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a handshake is answered with, and 200."""

    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Handshakes(Protocol):
    """A form tool that asks first. A module is one."""

    def handshake(self, request: WebhookRequest, secret: str, verify_token: str) -> Welcome | str | None:
        """What it wants to hear; a text says why it does not; None where the request is no handshake."""


def queried(request: WebhookRequest) -> dict[str, str]:
    """The query by name; of a name sent twice the first counts."""
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(request.query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return found
    for name, value in pairs:
        found.setdefault(name, value)
    return found
