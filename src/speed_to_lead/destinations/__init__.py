"""Destinations: the only package that talks to people. One file per kind; the registry is here.

    channel.py    what a kind promises, and how it reads its address from the environment
    deadline.py   one deadline for all that a send does on the network
    http.py       the one client, and the one place that knows what an HTTP failure means
    transport.py  how that client reaches the network, and never for longer than the deadline
    text.py       lead-supplied text made fit to show
    smtp.py       how mail reaches it, likewise
    deadman.py    the sign of life for somebody outside
    console.py  webhook.py  slack.py  email.py   the kinds

A new kind is three touches: its file, its line in KINDS, its test.
"""

from collections.abc import Mapping
from types import MappingProxyType

import httpx

from speed_to_lead.core.delivery import Destination
from speed_to_lead.destinations import console, email, slack, webhook
from speed_to_lead.destinations.channel import Channel, DestinationError, Kind, RefusingChannel
from speed_to_lead.destinations.deadman import DeadMan
from speed_to_lead.destinations.http import LIST_LIMIT, get, new_http_client

__all__ = ["KINDS", "LIST_LIMIT", "Channel", "DeadMan", "Kind", "get", "new_http_client", "open_channel"]

#: Every kind of destination by its `type` in `alerts.toml`.
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "console": Kind(console.OPTIONS, console.open_console),
        "webhook": Kind(webhook.OPTIONS, webhook.open_webhook),
        "slack": Kind(slack.OPTIONS, slack.open_slack),
        "email": Kind(email.OPTIONS, email.open_email),
    }
)


def open_channel(destination: Destination, http: httpx.Client, environment: Mapping[str, str]) -> Channel:
    """The channel to `destination`. Where it cannot work as configured, one that refuses every message and says why.

    It does not raise for that: an alert nobody can deliver must reach the fallback at once, like any other refusal.
    """
    kind = KINDS.get(destination.type)
    if kind is None:
        return RefusingChannel(f"type {destination.type!r} is not one of {', '.join(KINDS)}")
    try:
        return kind.open(destination, http, environment)
    except DestinationError as problem:
        return RefusingChannel(str(problem))
