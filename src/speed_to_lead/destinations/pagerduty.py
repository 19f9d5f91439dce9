"""Kind `pagerduty`: the Events API v2. One incident for each lead: triggered, acknowledged and resolved as the lead moves.

    routing_key_env   the variable with the integration's key
    base_url          https://events.eu.pagerduty.com for accounts in Europe; https://events.pagerduty.com when left out

Every event about one lead carries the same `dedup_key`, so a repeat joins the incident there is. A part of speed-to-lead
that falls silent has an incident of its own, resolved when it works again.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, Final

import httpx

from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.delivery import Attempt, Destination, KindOptions, Outcome
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.core.message import Message
from speed_to_lead.destinations.channel import Channel, base_url_of, value_from_environment
from speed_to_lead.destinations.http import Answer, by_status, gone_by_status, post
from speed_to_lead.destinations.text import digest_of, fitting, one_line, small_print, web_link

OPTIONS = KindOptions(required=("routing_key_env",), optional=("base_url",))

BASE_URL: Final = "https://events.pagerduty.com"
SUMMARY_LIMIT: Final = 1024
DEDUP_KEY_LIMIT: Final = 255
MOST_BYTES: Final = 500_000  # PagerDuty takes 512 KB
_SEVERITY: Final[Mapping[AlertKind, str]] = MappingProxyType(
    {
        AlertKind.ASSIGNED: "info",
        AlertKind.NURTURED: "info",
        AlertKind.MOVED: "info",
        AlertKind.TEST: "info",
        AlertKind.REMINDER: "warning",
        AlertKind.REASSIGNED: "warning",
        AlertKind.SOURCE_QUIET: "warning",
    }
)
_STATUS: Final = re.compile(r"[a-z ]{1,40}\Z")


@dataclass(frozen=True, slots=True, repr=False)
class PagerDutyChannel:
    """Sends events to one integration."""

    recognises_repeats: ClassVar[bool] = True
    http: httpx.Client
    url: str
    routing_key: str

    def send(self, message: Message, now: datetime) -> Attempt:
        """What PagerDuty's answer says."""
        return post(
            self.http,
            self.url,
            content=fitting(message, self.event, lambda _, content: len(content) <= MOST_BYTES),
            headers={"Content-Type": "application/json"},
            now=now,
            judge=judge,
        )

    def event(self, message: Message) -> dict[str, Any]:
        """The event; `message` is made fit to show already."""
        action = action_of(message)
        link = web_link(message, 2000)
        named = {"routing_key": self.routing_key, "event_action": action, "dedup_key": dedup_key(message)}
        if action != "trigger":
            return named
        return {
            **named,
            "client": "speed-to-lead",
            **({"client_url": link, "links": [{"href": link, "text": "Open the lead"}]} if link else {}),
            "payload": {
                "summary": one_line(message.headline, SUMMARY_LIMIT),
                "source": "speed-to-lead",
                "severity": _SEVERITY.get(message.kind, "error"),
                "timestamp": to_iso(message.decided_at),
                "class": message.kind.value,
                **({"group": one_line(message.team, 200)} if message.team else {}),
                "custom_details": details(message),
            },
        }


def open_pagerduty(destination: Destination, http: httpx.Client, environment: Mapping[str, str]) -> Channel:
    """A channel to the integration named; raises DestinationError where its key is missing or the address is none."""
    key = value_from_environment(destination, "routing_key_env", environment)
    return PagerDutyChannel(http, f"{base_url_of(destination, BASE_URL)}/v2/enqueue", key)


def action_of(message: Message) -> str:
    """What the event asks for. Nothing is triggered about a lead that is answered: after resolve it would be a new incident."""
    if message.is_over:
        return "resolve"
    return "acknowledge" if message.kind is AlertKind.MOVED and message.is_acknowledged else "trigger"


def dedup_key(message: Message) -> str:
    """The name of the incident: the lead's, or that of the part of the system."""
    name = one_line(message.matter or message.key, 10_000)
    return name if len(name) <= DEDUP_KEY_LIMIT else digest_of(name)


def details(message: Message) -> dict[str, str]:
    """The facts by their labels, and the small print."""
    found = dict(message.facts)
    if message.note:
        found["Note"] = message.note
    if small := small_print(message):
        found["Alert"] = small
    return found


def judge(answer: Answer) -> Attempt:
    """202 is success, unless its body says otherwise; of the body no more than its status word is repeated."""
    attempt = by_status(answer)
    word = _status_word(answer.body)
    if attempt.outcome is not Outcome.DELIVERED:
        detail = " ".join(filter(None, (attempt.detail, word)))
        return gone_by_status(replace(attempt, detail=detail), answer, 401, 403)
    if answer.status != 202 and word != "success":
        return Attempt(Outcome.UNKNOWN, f"{attempt.detail}, but not the 202 of PagerDuty")
    if word not in ("", "success"):
        return Attempt(Outcome.UNKNOWN, f"{attempt.detail}, but the event is said to be: {word}")
    return Attempt(Outcome.DELIVERED, f"{attempt.detail}: taken for processing")


def _status_word(body: str) -> str:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    word = said.get("status") if isinstance(said, dict) else None
    return word if isinstance(word, str) and _STATUS.match(word) else ""
