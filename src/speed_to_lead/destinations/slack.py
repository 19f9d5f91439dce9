"""Kind `slack`: a Slack incoming webhook (Mattermost and others understand the same).

`url_env` names the variable with the webhook's address, which is a secret. What a lead wrote goes out as plain text, or
escaped where Slack reads markup, so a lead called `<!channel>` wakes nobody.

The page is a link, not a button: a press on any button makes Slack call the app back, and an app without
interactivity then shows its reader a warning. Buttons to answer by are there only where STL_SLACK_SIGNING_SECRETS says
that somebody listens (web/answers.py).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

import httpx

from speed_to_lead.core.delivery import Attempt, Destination, KindOptions, Outcome
from speed_to_lead.core.message import Message
from speed_to_lead.destinations.channel import Channel, url_from_environment
from speed_to_lead.destinations.http import Answer, by_status, post
from speed_to_lead.destinations.text import one_line, paragraph, small_print, web_link

OPTIONS = KindOptions(required=("url_env",))

#: Slack allows 150 in a header, 3,000 in a section and 2,000 in a field, and refuses a message of more than about 13,200
#: altogether (bolt-js#2509). These add up to less, so that a long-winded lead is cut, never refused.
HEADER_LIMIT: Final = 150
FALLBACK_LIMIT: Final = 500
NOTE_LIMIT: Final = 1000
LABEL_LIMIT: Final = 50
VALUE_LIMIT: Final = 700
FACTS_A_SECTION: Final = 5  # a fact takes two of the ten fields a section may have
FACTS_LIMIT: Final = 12
LINK_LIMIT: Final = 2000
NOTHING: Final = "\N{EM DASH}"  # Slack refuses empty texts

_WORD: Final = re.compile(r"[a-z_]{1,60}\Z")
_TRY_AGAIN: Final = frozenset({
    "ratelimited", "rate_limited", "internal_error", "service_unavailable", "request_timeout",
    "team_added_to_org", "rollup_error",
})  # fmt: skip
_RATE_LIMITED: Final = frozenset({"ratelimited", "rate_limited"})
_PERHAPS: Final = frozenset({"fatal_error"})  # "some aspect of the operation may have succeeded"


@dataclass(frozen=True, slots=True, repr=False)
class SlackChannel:
    """Posts to one incoming webhook, which gives back no id: a repeat shows twice."""

    recognises_repeats: ClassVar[bool] = False
    http: httpx.Client
    url: str

    def send(self, message: Message, now: datetime) -> Attempt:
        """What Slack's answer says: `ok` is the only success."""
        return post(
            self.http,
            self.url,
            content=json.dumps(payload(message), separators=(",", ":")).encode(),
            headers={"Content-Type": "application/json; charset=utf-8"},
            now=now,
            judge=judge,
        )


def open_slack(destination: Destination, http: httpx.Client, environment: Mapping[str, str]) -> Channel:
    """A channel to the webhook named; raises DestinationError where its address is missing or none."""
    return SlackChannel(http, url_from_environment(destination, "url_env", environment))


def payload(message: Message) -> dict[str, Any]:
    """The message in Block Kit, with `text` for notifications and screen readers."""
    headline = one_line(message.headline, HEADER_LIMIT) or str(message.kind)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(headline)}]
    facts = message.facts[:FACTS_LIMIT]
    for start in range(0, len(facts), FACTS_A_SECTION):
        fields = [field for fact in facts[start : start + FACTS_A_SECTION] for field in _fact(*fact)]
        blocks.append({"type": "section", "fields": fields})
    if note := paragraph(message.note, NOTE_LIMIT):
        blocks.append({"type": "section", "text": _plain(note)})
    if link := web_link(message, LINK_LIMIT):
        blocks.append(
            {"type": "section", "text": {"type": "mrkdwn", "text": f"<{_escaped(link)}|Open the lead>"}}
        )
    if message.buttons:
        pressed = [
            {"type": "button", "action_id": action, "text": _plain(words), "value": value}
            for action, words, value in message.buttons
        ]
        blocks.append({"type": "actions", "elements": pressed})
    if small := small_print(message):
        blocks.append({"type": "context", "elements": [_plain(small)]})
    fallback = _escaped(one_line(message.headline, FALLBACK_LIMIT)) or str(message.kind)
    return {"text": fallback, "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def judge(answer: Answer) -> Attempt:
    """What an answer of Slack's comes to; a 200 that does not say ok is no success.

    Its error words (`channel_not_found`) are part of the detail, nothing else of the body is.
    """
    said_ok, word = _verdict(answer.body)
    if not 200 <= answer.status < 300:
        attempt = by_status(answer)
        return Attempt(attempt.outcome, f"{attempt.detail} {word}".rstrip(), attempt.retry_after)
    if said_ok is None and not word:
        why = "an answer without ok" if answer.whole else "an answer that broke off"
        return Attempt(Outcome.UNKNOWN, f"HTTP {answer.status}, but {why}")
    if said_ok:
        return Attempt(Outcome.DELIVERED, "ok")
    detail = f"HTTP {answer.status}, but not ok: {word or 'no reason given'}"
    if word in _RATE_LIMITED:
        return Attempt(Outcome.RATE_LIMITED, detail, answer.retry_after)
    if word in _TRY_AGAIN:
        return Attempt(Outcome.NOT_DELIVERED, detail, answer.retry_after)
    return Attempt(Outcome.UNKNOWN if word in _PERHAPS else Outcome.REFUSED, detail)


def _verdict(body: str) -> tuple[bool | None, str]:
    """Whether the body says ok (None: neither way), and its error word."""
    text = body.strip()
    if text == "ok":
        return True, ""
    if _WORD.match(text):
        return False, text
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None, ""
    if not isinstance(said, dict) or not isinstance(said.get("ok"), bool):
        return None, ""
    word = said.get("error")
    return said["ok"], word if isinstance(word, str) and _WORD.match(word) else ""


def _fact(label: str, value: str) -> tuple[dict[str, Any], dict[str, Any]]:
    name = _escaped(one_line(label, LABEL_LIMIT)) or NOTHING
    return {"type": "mrkdwn", "text": f"*{name}*"}, _plain(paragraph(value, VALUE_LIMIT) or NOTHING)


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
