"""Kind `google_chat`: a space of Google Chat, by an incoming webhook.

`url_env` names the variable with the webhook's address, which is a secret, with its `key` and `token`. All alerts about one
lead stand in one thread. Each request carries a `requestId` made of the alert's key; Google does not say whether webhooks
honour it, so a repeat is taken to show twice.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

import httpx

from speed_to_lead.core.delivery import Attempt, Destination, KindOptions, Outcome
from speed_to_lead.core.message import Message
from speed_to_lead.destinations.channel import Channel, url_from_environment
from speed_to_lead.destinations.http import Answer, by_status, gone_by_status, post
from speed_to_lead.destinations.text import digest_of, fitting, small_print, web_link

OPTIONS = KindOptions(required=("url_env",))

MOST_BYTES: Final = 30_000  # Google takes 32,000
_TOOK_IT: Final = re.compile(r'"name"\s*:\s*"spaces/')


@dataclass(frozen=True, slots=True, repr=False)
class GoogleChatChannel:
    """Posts to one space."""

    recognises_repeats: ClassVar[bool] = False
    http: httpx.Client
    url: str

    def send(self, message: Message, now: datetime) -> Attempt:
        """What Google's answer says: only one that names the message is success."""
        content = fitting(message, payload, lambda _, content: len(content) <= MOST_BYTES)
        return post(
            self.http,
            f"{self.url}{'&' if '?' in self.url else '?'}{_further(message)}",
            content=content,
            headers={"Content-Type": "application/json; charset=UTF-8"},
            now=now,
            judge=judge,
        )


def open_google_chat(destination: Destination, http: httpx.Client, environment: Mapping[str, str]) -> Channel:
    """A channel to the space named; raises DestinationError where its address is missing or none."""
    return GoogleChatChannel(http, url_from_environment(destination, "url_env", environment))


def payload(message: Message) -> dict[str, Any]:
    """A line of text, which notifications show, and a card; `message` is made fit to show already."""
    widgets: list[dict[str, Any]] = [
        {"decoratedText": {"topLabel": label, "text": html.escape(value), "wrapText": True}}
        for label, value in message.facts
    ]
    widgets += [
        {"textParagraph": {"text": html.escape(text)}}
        for text in (message.note, small_print(message))
        if text
    ]
    if link := web_link(message, 2000):
        button = {"text": "Open the lead", "onClick": {"openLink": {"url": link}}}
        widgets.append({"buttonList": {"buttons": [button]}})
    document: dict[str, Any] = {"text": _harmless(message.headline)}
    if widgets:
        document["cardsV2"] = [{"cardId": "alert", "card": {"sections": [{"widgets": widgets}]}}]
    if message.matter:
        document["thread"] = {"threadKey": digest_of(message.matter)}
    return document


def judge(answer: Answer) -> Attempt:
    """A 200 that names no message is no success: something else answered in Google's place."""
    if answer.status != 200 or _TOOK_IT.search(answer.body):
        return gone_by_status(by_status(answer), answer, 401, 403, 404)
    why = "an answer that names no message" if answer.whole else "an answer that broke off"
    return Attempt(Outcome.UNKNOWN, f"HTTP 200, but {why}")


def _further(message: Message) -> str:
    return urlencode(
        {
            "messageReplyOption": "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD",
            "requestId": digest_of(message.key),
        }
    )


def _harmless(text: str) -> str:
    """Chat has no way to escape: `<users/all>` in a text calls everybody, so its brackets become others."""
    return text.replace("<", "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}").replace(
        ">", "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
    )
