"""Kind `opsgenie`: Opsgenie, and Jira Service Management, which takes the same. One alert for each lead.

    key_env    the variable with the integration's API key
    base_url   https://api.opsgenie.com when left out, https://api.eu.opsgenie.com in Europe,
               https://api.atlassian.com/jsm/ops/integration for Jira Service Management
    team       the team it is for; that of the integration when left out

Every request about one lead carries the same alias, so a repeat is counted at the alert there is. It is acknowledged and
closed as the lead moves.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, Final
from urllib.parse import quote

import httpx

from speed_to_lead.core.delivery import Attempt, Destination, KindOptions, Outcome
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.core.message import Message
from speed_to_lead.destinations.channel import (
    Channel,
    DestinationError,
    base_url_of,
    environment_name,
    text_option,
    value_from_environment,
)
from speed_to_lead.destinations.http import Answer, by_status, gone_by_status, post
from speed_to_lead.destinations.text import digest_of, fitting, one_line, small_print, web_link

OPTIONS = KindOptions(required=("key_env",), optional=("base_url", "team"))

BASE_URL: Final = "https://api.opsgenie.com"
MESSAGE_LIMIT: Final = 130
ALIAS_LIMIT: Final = 512
DESCRIPTION_LIMIT: Final = 15_000
_PRIORITY: Final[Mapping[AlertKind, str]] = MappingProxyType(
    {
        AlertKind.ASSIGNED: "P5",
        AlertKind.NURTURED: "P5",
        AlertKind.TEST: "P5",
        AlertKind.REMINDER: "P3",
        AlertKind.REASSIGNED: "P3",
        AlertKind.SOURCE_QUIET: "P3",
        AlertKind.BREACHED: "P2",
    }
)
_TEAM: Final = re.compile(r"[^\x00-\x1f]{1,100}")


@dataclass(frozen=True, slots=True, repr=False)
class OpsgenieChannel:
    """Sends to one integration."""

    recognises_repeats: ClassVar[bool] = True
    http: httpx.Client
    base_url: str
    key: str
    team: str = ""

    def send(self, message: Message, now: datetime) -> Attempt:
        """What the answer says; 202 means that it will be processed."""
        alias = alias_of(message)
        at = f"{self.base_url}/v2/alerts/{quote(alias, safe='')}"
        if message.is_over:
            url, make = f"{at}/close?identifierType=alias", remark
        elif message.kind is AlertKind.MOVED:
            deed = "acknowledge" if message.is_acknowledged else "notes"
            url, make = f"{at}/{deed}?identifierType=alias", remark
        else:
            url, make = f"{self.base_url}/v2/alerts", self.alert
        return post(
            self.http,
            url,
            content=fitting(message, make, lambda document, _: _fits(document)),
            headers={"Content-Type": "application/json", "Authorization": f"GenieKey {self.key}"},
            now=now,
            judge=judge,
        )

    def alert(self, message: Message) -> dict[str, Any]:
        """A new alert; `message` is made fit to show already."""
        facts = [f"{label}: {value}" for label, value in message.facts]
        parts = (message.headline, *facts, message.note, web_link(message, 2000), small_print(message))
        return {
            "message": one_line(message.headline, MESSAGE_LIMIT),
            "alias": alias_of(message),
            "description": "\n".join(part for part in parts if part),
            "priority": _PRIORITY.get(message.kind, "P2"),
            "source": "speed-to-lead",
            "tags": [message.kind.value],
            **({"entity": one_line(message.lead_id, 512)} if message.lead_id else {}),
            **({"responders": [{"type": "team", "name": self.team}]} if self.team else {}),
        }


def open_opsgenie(destination: Destination, http: httpx.Client, environment: Mapping[str, str]) -> Channel:
    """A channel to the integration named; raises DestinationError where its key is missing or an option is none."""
    key = value_from_environment(destination, "key_env", environment)
    if not key.isascii() or not key.isprintable():
        name = environment_name(destination, "key_env")
        raise DestinationError(
            f"environment variable {name} holds no API key: those are letters, digits and dashes"
        )
    team = text_option(destination, "team", _TEAM, "team's name") if "team" in destination.options else ""
    return OpsgenieChannel(http, base_url_of(destination, BASE_URL), key, team)


def alias_of(message: Message) -> str:
    """The name of the alert: the lead's, or that of the part of the system."""
    name = one_line(message.matter or message.key, 10_000)
    return name if len(name) <= ALIAS_LIMIT else digest_of(name)


def remark(message: Message) -> dict[str, Any]:
    """What is said beside an acknowledgement, a close or a note."""
    words = "\n".join(filter(None, (message.headline, message.note)))
    return {"source": "speed-to-lead", "note": words}


def judge(answer: Answer) -> Attempt:
    """The status. What is asked of an alert that is closed or gone is in vain, and nothing is lost by that."""
    attempt = by_status(answer)
    if attempt.outcome is Outcome.DELIVERED:
        if answer.status != 202:
            return Attempt(Outcome.UNKNOWN, f"{attempt.detail}, but not the 202 of Opsgenie")
        return Attempt(Outcome.DELIVERED, f"{attempt.detail}: taken for processing")
    return gone_by_status(attempt, answer, 401, 403)


def _fits(document: dict[str, Any]) -> bool:
    return len(document.get("description", "")) <= DESCRIPTION_LIMIT
