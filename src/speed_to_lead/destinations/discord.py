"""Kind `discord`: a channel of Discord, by a webhook.

`url_env` names the variable with the webhook's address, which is a secret. It is asked to wait until the message is kept:
without that Discord answers 204 even where it was lost. Nobody is mentioned, whatever a lead writes.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

import httpx

from speed_to_lead.core.delivery import Attempt, Destination, KindOptions, Outcome
from speed_to_lead.core.message import Message
from speed_to_lead.destinations.channel import Channel, url_from_environment
from speed_to_lead.destinations.http import Answer, by_status, gone_by_status, post
from speed_to_lead.destinations.text import fitting, small_print, web_link

OPTIONS = KindOptions(required=("url_env",))

#: Discord takes 256 in a title and a field's name, 1,024 in a field, 4,096 in a description, 6,000 altogether.
TITLE_LIMIT: Final = 256
HEADLINE_LIMIT: Final = TITLE_LIMIT // 2  # every character of it may need a backslash
FIELD_LIMIT: Final = 1024
ALTOGETHER: Final = 5500
NOTHING: Final = "\N{EM DASH}"  # Discord refuses empty texts
_MARKDOWN: Final = re.compile(r"([\\*_~`|>\[\]()#<@:-])")
_WAIT: Final = re.compile(r'"retry_after"\s*:\s*([0-9]{1,6}(?:\.[0-9]{1,9})?)')


@dataclass(frozen=True, slots=True, repr=False)
class DiscordChannel:
    """Posts to one webhook, which knows no repeats."""

    recognises_repeats: ClassVar[bool] = False
    http: httpx.Client
    url: str

    def send(self, message: Message, now: datetime) -> Attempt:
        """What Discord's answer says: only the message itself is success."""
        return post(
            self.http,
            f"{self.url}{'&' if '?' in self.url else '?'}wait=true",
            content=fitting(message, payload, lambda document, _: _fits(document), HEADLINE_LIMIT),
            headers={"Content-Type": "application/json"},
            now=now,
            judge=judge,
        )


def open_discord(destination: Destination, http: httpx.Client, environment: Mapping[str, str]) -> Channel:
    """A channel to the webhook named; raises DestinationError where its address is missing or none."""
    return DiscordChannel(http, url_from_environment(destination, "url_env", environment))


def payload(message: Message) -> dict[str, Any]:
    """One embed; `message` is made fit to show already."""
    fields = [
        {"name": _plain(label) or NOTHING, "value": _plain(value) or NOTHING, "inline": len(value) <= 40}
        for label, value in message.facts
    ]
    link, small = web_link(message, 2000), small_print(message)
    embed = {
        "title": _plain(message.headline),
        **({"url": link} if link else {}),
        **({"description": _plain(message.note)} if message.note else {}),
        **({"fields": fields} if fields else {}),
        **({"footer": {"text": small}} if small else {}),
    }
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def judge(answer: Answer) -> Attempt:
    """Success is the message as it was kept. How long to wait may stand in the body alone, with a fraction."""
    attempt = by_status(answer)
    if answer.status == 429 and attempt.retry_after is None and (found := _WAIT.search(answer.body)):
        return replace(attempt, retry_after=timedelta(seconds=float(found[1])))
    if attempt.outcome is Outcome.REFUSED:
        return gone_by_status(attempt, answer, 401, 403, 404)
    if attempt.outcome is not Outcome.DELIVERED or (answer.status == 200 and _is_message(answer)):
        return attempt
    return Attempt(Outcome.UNKNOWN, f"{attempt.detail}, but not the message that it kept")


def _is_message(answer: Answer) -> bool:
    """Whether the body is a message. It holds all that was sent, so it is often longer than what is read of it."""
    if not answer.whole:
        return answer.body.startswith("{") and '"' in answer.body
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and "id" in said


def _fits(document: dict[str, Any]) -> bool:
    embed = document["embeds"][0]
    fields = embed.get("fields", ())
    texts = [embed["title"], embed.get("description", ""), embed.get("footer", {}).get("text", "")]
    lengths = [_units(text) for text in texts + [field[key] for field in fields for key in ("name", "value")]]
    return (
        lengths[0] <= TITLE_LIMIT
        and all(_units(field["value"]) <= FIELD_LIMIT for field in fields)
        and sum(lengths) <= ALTOGETHER
    )


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _plain(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)
