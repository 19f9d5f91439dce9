"""Kind `webhook`: JSON signed after Standard Webhooks 1.0.0; the payload of docs/alert-webhook.md.

`url_env` names the variable with the address, `secret_env` the one with the secret: `whsec_` and base64. Several secrets
separated by spaces give several signatures, so that a receiver can change its secret without missing an alert.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from urllib.parse import quote

import httpx

from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.delivery import Attempt, Destination, KindOptions
from speed_to_lead.core.message import Message
from speed_to_lead.destinations.channel import (
    Channel,
    DestinationError,
    environment_name,
    url_from_environment,
    value_from_environment,
)
from speed_to_lead.destinations.http import post
from speed_to_lead.destinations.text import paragraph

OPTIONS = KindOptions(required=("url_env", "secret_env"))

_HEADER_SAFE = (
    "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}"  # printable ASCII; quote() leaves letters, digits and _.-~ alone anyway
)


@dataclass(frozen=True, slots=True, repr=False)
class WebhookChannel:
    """Posts to one address; the receiver tells repeats by `webhook-id`."""

    recognises_repeats: ClassVar[bool] = True
    http: httpx.Client
    url: str
    secrets: tuple[bytes, ...]

    def send(self, message: Message, now: datetime) -> Attempt:
        """What the receiver's status says; its body is not read for meaning."""
        content = payload(message)
        key = quote(message.key, safe=_HEADER_SAFE, errors="replace")
        timestamp = int(now.timestamp())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": key,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signatures(self.secrets, key, timestamp, content),
        }
        if (
            message.traceparent
        ):  # two random numbers; a receiver that traces joins them, any other ignores them
            headers["traceparent"] = message.traceparent
        return post(self.http, self.url, content=content, headers=headers, now=now)


def open_webhook(destination: Destination, http: httpx.Client, environment: Mapping[str, str]) -> Channel:
    """A channel that signs with every secret given; raises DestinationError where address or secret is unusable."""
    url = url_from_environment(destination, "url_env", environment)
    written = value_from_environment(destination, "secret_env", environment)
    name = environment_name(destination, "secret_env")
    return WebhookChannel(http, url, tuple(_secret(text, name) for text in written.split()))


def payload(message: Message) -> bytes:
    """The JSON of one alert. What a message about the system does not have is null."""
    data: dict[str, object] = {
        "lead_id": message.lead_id or None,
        "step": message.step or None,
        "team": message.team or None,
        "rep": message.rep or None,
        "source": message.source or None,
        "deadline": to_iso(message.deadline) if message.deadline else None,
        "decided_at": to_iso(message.decided_at),
        "late_seconds": message.late_seconds,
        "skipped_steps": list(message.skipped_steps),
        "url": message.url or None,
    }
    if message.members:
        data["alerts"] = list(message.members)
    if message.note:
        data["note"] = paragraph(message.note, 2000)
    body = {"type": message.kind, "timestamp": to_iso(message.decided_at), "data": data}
    return json.dumps(body, separators=(",", ":")).encode()


def signatures(secrets: Sequence[bytes], key: str, timestamp: int, content: bytes) -> str:
    """The `webhook-signature` header: one `v1,` signature of `key.timestamp.content` per secret."""
    signed = f"{key}.{timestamp}.".encode() + content
    digests = (hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def _secret(text: str, name: str) -> bytes:
    encoded = text.removeprefix("whsec_").rstrip("=")
    try:
        secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not secret:
        raise DestinationError(
            f"environment variable {name} holds no webhook secret: "
            "expected whsec_ and the base64 of 24 to 64 random bytes (several are separated by spaces)"
        )
    return secret
