"""Kind `teams`: a Microsoft Teams channel or chat, by the webhook of a workflow (Power Automate), as an Adaptive Card.

`url_env` names the variable with the workflow's address, which is a secret, whole as Teams shows it. The connectors of
Office 365 (`*.webhook.office.com`) are retired: such an address is refused with what to do instead.

A 2xx means that the workflow was started, and not that it posted: its runs show whether it did. There is no way to change
a card later, and a press on a button of a card cannot come back, so all there is to press is a link.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import httpx

from speed_to_lead.core.delivery import Attempt, Destination, KindOptions, Outcome
from speed_to_lead.core.message import Message
from speed_to_lead.destinations.channel import (
    Channel,
    DestinationError,
    environment_name,
    url_from_environment,
)
from speed_to_lead.destinations.http import Answer, by_status, gone_by_status, post
from speed_to_lead.destinations.text import fitting, small_print, web_link

OPTIONS = KindOptions(required=("url_env",))

#: Teams takes about 28 KB, counted with its own wrapping.
MOST_BYTES: Final = 24_000
RETIRED: Final = (
    "environment variable {} holds the address of an Office 365 connector, and Microsoft has retired those; in Teams, "
    'choose the channel, Workflows, "Post to a channel when a webhook request is received", and use the address it shows'
)
#: What TextBlock reads as Markdown.
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]()#>~|!<-])")
_NUMBERED: Final = re.compile(r"(?m)^(\s*\d+)\.")


@dataclass(frozen=True, slots=True, repr=False)
class TeamsChannel:
    """Starts one workflow, which answers before it posts and gives no id: a repeat shows twice."""

    recognises_repeats: ClassVar[bool] = False
    http: httpx.Client
    url: str

    def send(self, message: Message, now: datetime) -> Attempt:
        """What the workflow's status says."""
        content = fitting(message, payload, lambda _, content: len(content) <= MOST_BYTES)
        headers = {"Content-Type": "application/json; charset=utf-8"}
        return post(self.http, self.url, content=content, headers=headers, now=now, judge=judge)


def open_teams(destination: Destination, http: httpx.Client, environment: Mapping[str, str]) -> Channel:
    """A channel to the workflow named; raises DestinationError where its address is none, or that of a connector."""
    url = url_from_environment(destination, "url_env", environment)
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    connector = host.endswith(".webhook.office.com") or host == "webhook.office.com"
    if connector or (host in ("outlook.office.com", "outlook.office365.com") and "webhook" in parts.path):
        raise DestinationError(RETIRED.format(environment_name(destination, "url_env")))
    return TeamsChannel(http, url)


def payload(message: Message) -> dict[str, Any]:
    """The card; `message` is made fit to show already."""
    body: list[dict[str, Any]] = [
        {
            "type": "TextBlock",
            "size": "Medium",
            "weight": "Bolder",
            "wrap": True,
            "text": _plain(message.headline),
        }
    ]
    if message.facts:
        facts = [{"title": _plain(label), "value": _plain(value)} for label, value in message.facts]
        body.append({"type": "FactSet", "facts": facts})
    if message.note:
        body.append({"type": "TextBlock", "wrap": True, "text": _plain(message.note)})
    if small := small_print(message):
        body.append(
            {"type": "TextBlock", "size": "Small", "isSubtle": True, "wrap": True, "text": _plain(small)}
        )
    link = web_link(message, 2000)
    content: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "msteams": {"width": "full"},
        **({"actions": [{"type": "Action.OpenUrl", "title": "Open the lead", "url": link}]} if link else {}),
    }
    card = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return {"type": "message", "attachments": [card]}


def judge(answer: Answer) -> Attempt:
    """The status, but for what the old connectors did: a 200 that tells of an error in its body."""
    attempt = by_status(answer)
    found = re.search(r"HTTP error ([45][0-9]{2})", answer.body) if answer.status == 200 else None
    if found is None:
        if answer.status == 202:
            return Attempt(
                Outcome.DELIVERED, "HTTP 202: the workflow was started; its runs show whether it posted"
            )
        return gone_by_status(attempt, answer, 401, 403, 404)
    status = int(found[1])
    told = by_status(Answer(status, "", whole=True, retry_after=answer.retry_after))
    return Attempt(told.outcome, f"HTTP 200, but the answer tells of HTTP {status}", told.retry_after)


def _plain(text: str) -> str:
    """The text with what Markdown would read escaped; a line break needs an empty line or two."""
    return _NUMBERED.sub(r"\1\\.", _MARKDOWN.sub(r"\\\1", text)).replace("\n", "\n\n")
