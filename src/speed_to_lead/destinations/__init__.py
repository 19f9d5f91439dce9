"""Destinations: the only package that talks to people. One file per kind; the registry is here.

    channel.py    what a kind promises, and how it reads its address from the environment
    deadline.py   one deadline for all that a send does on the network
    http.py       the one client, and the one place that knows what an HTTP failure means
    transport.py  how that client reaches the network, and never for longer than the deadline
    text.py       lead-supplied text made fit to show
    smtp.py       how mail reaches it, likewise
    deadman.py    the sign of life for somebody outside
    presses.py      what becomes of a Slack message whose button was pressed
    console.py  email.py  sms.py  webhook.py  slack.py  teams.py  google_chat.py  discord.py  pagerduty.py  opsgenie.py
    apprise.py   the kinds

A new kind is three touches: its file, its line in KINDS, its test.
"""

from collections.abc import Mapping
from types import MappingProxyType

import httpx

from speed_to_lead.core.delivery import Destination
from speed_to_lead.destinations import (
    apprise,
    console,
    discord,
    email,
    google_chat,
    opsgenie,
    pagerduty,
    slack,
    sms,
    teams,
    webhook,
)
from speed_to_lead.destinations.channel import (
    Channel,
    DestinationError,
    Kind,
    NotSet,
    RefusingChannel,
    always,
)
from speed_to_lead.destinations.deadman import DeadMan
from speed_to_lead.destinations.http import LIST_LIMIT, get, new_http_client

__all__ = [
    "KINDS", "LIST_LIMIT", "Channel", "DeadMan", "Kind", "follows_leads", "get", "new_http_client", "open_channel",
    "why_unusable",
]  # fmt: skip

#: Every kind of destination by its `type` in `alerts.toml`.
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "console": Kind(console.OPTIONS, console.open_console),
        "slack": Kind(slack.OPTIONS, slack.open_slack, slack.keeps_messages),
        "teams": Kind(teams.OPTIONS, teams.open_teams),
        "google_chat": Kind(google_chat.OPTIONS, google_chat.open_google_chat),
        "discord": Kind(discord.OPTIONS, discord.open_discord),
        "pagerduty": Kind(pagerduty.OPTIONS, pagerduty.open_pagerduty, always),
        "opsgenie": Kind(opsgenie.OPTIONS, opsgenie.open_opsgenie, always),
        "email": Kind(email.OPTIONS, email.open_email),
        "sms": Kind(sms.OPTIONS, sms.open_sms),
        "webhook": Kind(webhook.OPTIONS, webhook.open_webhook),
        "apprise": Kind(apprise.OPTIONS, apprise.open_apprise),
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


def follows_leads(destination: Destination) -> bool:
    """Whether what it was told of a lead can be brought up to date there as the lead moves."""
    kind = KINDS.get(destination.type)
    return kind is not None and kind.follows_leads(destination)


def why_unusable(destination: Destination, http: httpx.Client, environment: Mapping[str, str]) -> str:
    """Why a destination could never work, as configured and with what this environment has; "" where it could.

    A variable that is not set is no reason: it may be set where the couriers run.
    """
    try:
        KINDS[destination.type].open(destination, http, environment)
    except NotSet:
        return ""
    except DestinationError as problem:
        return str(problem)
    return ""
