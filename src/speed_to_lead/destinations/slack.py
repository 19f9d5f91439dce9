"""Kind `slack`: Slack, by an incoming webhook or by a bot.

    url_env               the variable with an incoming webhook's address, which is a secret (Mattermost and others
                          understand the same); such a message cannot be changed any more
    token_env, channel    the variable with a bot's token (xoxb-…, scope chat:write), and the channel it posts to: then
                          there is one message for each lead, brought up to date as the lead moves
    base_url              https://slack.com/api when left out

With a bot, the first alert about a lead is posted, and Slack's name of it (channel and `ts`) is kept in the lead's
history. A further alert calls somebody, and changing a message calls nobody: so it is posted into the first one's thread,
shown in the channel too, and the first one is changed to say how things stand. What only brings it up to date (somebody
answered) changes the first one and posts nothing. A first message that is gone, or was never noted, is posted anew.

What a lead wrote goes out as plain text, or escaped where Slack reads markup, so a lead called `<!channel>` wakes nobody.

The page is a link, not a button: a press on any button makes Slack call the app back, and an app without
interactivity then shows its reader a warning. Buttons to answer by are there only where STL_SLACK_SIGNING_SECRETS says
that somebody listens (web/answers.py).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Final

import httpx

from speed_to_lead.core.delivery import Attempt, Destination, KindOptions, Outcome
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.core.message import Message
from speed_to_lead.destinations import channel
from speed_to_lead.destinations.channel import (
    Channel,
    DestinationError,
    base_url_of,
    environment_name,
    text_option,
    url_from_environment,
    value_from_environment,
)
from speed_to_lead.destinations.deadline import ending_within
from speed_to_lead.destinations.http import Answer, by_status, post
from speed_to_lead.destinations.text import cut_to, one_line, small_print, web_link

OPTIONS = KindOptions(ways=(("url_env",), ("token_env", "channel")), optional=("base_url",))

BASE_URL: Final = "https://slack.com/api"
#: Slack allows 150 in a header, 3,000 in a section and 2,000 in a field, and refuses a message of more than about 13,200
#: altogether (bolt-js#2509). These add up to less, so that a long-winded lead is cut, never refused.
HEADER_LIMIT: Final = 150
FALLBACK_LIMIT: Final = 500
NOTE_LIMIT: Final = 1000
VALUE_LIMIT: Final = 700
FACTS_A_SECTION: Final = 5  # a fact takes two of the ten fields a section may have
FACTS_LIMIT: Final = 12
LINK_LIMIT: Final = 2000
NOTHING: Final = "\N{EM DASH}"  # Slack refuses empty texts
#: An alert that was posted is noted soon: what else there is to do may not take long.
UPDATE_SECONDS: Final = 3.0

_CHANNEL: Final = re.compile(r"#?[A-Za-z0-9._-]{1,80}")
_WORD: Final = re.compile(r"[a-z_]{1,60}\Z")
_HANDLE: Final = re.compile(r"(?P<channel>[A-Z0-9]{1,40})/(?P<ts>[0-9]{1,20}\.[0-9]{1,10})")
_TRY_AGAIN: Final = frozenset({
    "ratelimited", "rate_limited", "internal_error", "service_unavailable", "request_timeout",
    "team_added_to_org", "rollup_error",
})  # fmt: skip
_RATE_LIMITED: Final = frozenset({"ratelimited", "rate_limited"})
#: The webhook, the channel or the bot's right to post there is gone, whatever the message.
_NO_MORE: Final = frozenset({
    "no_service", "no_team", "invalid_token", "channel_not_found", "channel_is_archived", "is_archived",
    "account_inactive", "invalid_auth", "not_authed", "token_revoked", "token_expired", "missing_scope",
    "not_in_channel", "team_disabled", "action_prohibited", "user_not_found", "no_active_hooks", "no_permission",
    "posting_to_general_channel_denied", "not_allowed_token_type", "access_denied", "ekm_access_denied",
    "enterprise_is_restricted", "team_access_not_granted", "org_login_required",
})  # fmt: skip
#: How Slack begins the words for a channel in which this bot, or anybody, may not post.
_RESTRICTED: Final = "restricted_action"
_PERHAPS: Final = frozenset({"fatal_error"})  # "some aspect of the operation may have succeeded"
#: The message there was cannot be changed, or has no thread, any more: a new one takes its place.
_GONE: Final = frozenset({
    "message_not_found", "cant_update_message", "edit_window_closed", "is_inactive", "thread_not_found",
    "cannot_reply_to_message",
})  # fmt: skip


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


@dataclass(frozen=True, slots=True, repr=False)
class SlackBotChannel:
    """Posts to one channel, and changes what it posted. Slack knows no repeats of a post."""

    recognises_repeats: ClassVar[bool] = False
    http: httpx.Client
    base_url: str
    token: str
    channel: str

    def send(self, message: Message, now: datetime) -> Attempt:
        """Brings the lead's message up to date, or posts; the attempt's handle names the lead's message from now on."""
        with ending_within(channel.SEND_SECONDS):  # all of its calls
            return self._send(message, now)

    def _send(self, message: Message, now: datetime) -> Attempt:
        first = _HANDLE.fullmatch(message.handle)
        content = payload(message)
        if first is None:
            return self._call("chat.postMessage", {"channel": self.channel, **content}, now)
        change = {"channel": first["channel"], "ts": first["ts"], **content}
        if message.kind is AlertKind.MOVED:
            attempt = self._call("chat.update", change, now)
        else:
            reply = {
                "channel": first["channel"], "thread_ts": first["ts"], "reply_broadcast": True, **content
            }  # fmt: skip
            attempt = self._call("chat.postMessage", reply, now)
        if attempt.outcome is Outcome.REFUSED and attempt.detail.rpartition(" ")[2] in _GONE:
            return self._call("chat.postMessage", {"channel": self.channel, **content}, now)
        if attempt.outcome is Outcome.DELIVERED and message.kind is not AlertKind.MOVED:
            # Whoever is called has been called; where the change comes to nothing, the next move makes up for it.
            with ending_within(UPDATE_SECONDS):
                changed = self._call("chat.update", change, now)
            told = (
                ""
                if changed.outcome is Outcome.DELIVERED
                else f" ({changed.detail}: the first message is as it was)"
            )
            return Attempt(
                Outcome.DELIVERED, f"ok, in the thread of the lead's message{told}", handle=message.handle
            )
        return replace(attempt, handle=message.handle if attempt.outcome is Outcome.DELIVERED else "")

    def _call(self, method: str, arguments: Mapping[str, Any], now: datetime) -> Attempt:
        return post(
            self.http,
            f"{self.base_url}/{method}",
            content=json.dumps(arguments, separators=(",", ":")).encode(),
            headers={
                "Content-Type": "application/json; charset=utf-8",
                "Authorization": f"Bearer {self.token}",
            },
            now=now,
            judge=judge_call,
        )


def open_slack(destination: Destination, http: httpx.Client, environment: Mapping[str, str]) -> Channel:
    """A channel to the webhook or the channel named; raises DestinationError where address, token or name is missing or none."""
    if "token_env" not in destination.options:
        return SlackChannel(http, url_from_environment(destination, "url_env", environment))
    posts_to = text_option(destination, "channel", _CHANNEL, "channel's id or name such as C0123456789")
    token = value_from_environment(destination, "token_env", environment)
    if not token.isascii() or not token.isprintable():
        name = environment_name(destination, "token_env")
        raise DestinationError(f"environment variable {name} holds no token: a bot's begins with xoxb-")
    return SlackBotChannel(http, base_url_of(destination, BASE_URL), token, posts_to)


def keeps_messages(destination: Destination) -> bool:
    """Whether what was posted there can be brought up to date: by a bot, not by a webhook."""
    return "token_env" in destination.options


def payload(message: Message) -> dict[str, Any]:
    """The message in Block Kit, with `text` for notifications and screen readers."""
    shown = cut_to(message, headline=HEADER_LIMIT, value=VALUE_LIMIT, note=NOTE_LIMIT, facts=FACTS_LIMIT)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(shown.headline)}]
    for start in range(0, len(shown.facts), FACTS_A_SECTION):
        fields = [field for fact in shown.facts[start : start + FACTS_A_SECTION] for field in _fact(*fact)]
        blocks.append({"type": "section", "fields": fields})
    if shown.note:
        blocks.append({"type": "section", "text": _plain(shown.note)})
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
        is_gone = attempt.outcome is Outcome.REFUSED and (attempt.is_gone or _is_no_more(word))
        return replace(attempt, detail=f"{attempt.detail} {word}".rstrip(), is_gone=is_gone)
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
    outcome = Outcome.UNKNOWN if word in _PERHAPS else Outcome.REFUSED
    return Attempt(outcome, detail, is_gone=_is_no_more(word))


def _is_no_more(word: str) -> bool:
    return word in _NO_MORE or word.startswith(_RESTRICTED)


def judge_call(answer: Answer) -> Attempt:
    """As `judge`, with Slack's name of the message.

    The answer holds the whole message after it, more than is read here: ok, channel and ts stand at its beginning.
    """
    attempt = judge(answer)
    if answer.status == 200 and not answer.whole and _OK_CUT.match(answer.body):
        attempt = Attempt(Outcome.DELIVERED, "ok")
    if attempt.outcome is not Outcome.DELIVERED:
        return attempt
    head = answer.body.partition('"message"')[0]
    where, ts = _CHANNEL_ID.search(head), _TS.search(head)
    return replace(attempt, handle=f"{where[1]}/{ts[1]}") if where and ts else attempt


_OK_CUT: Final = re.compile(r'\s*\{\s*"ok"\s*:\s*true\s*,')
_CHANNEL_ID: Final = re.compile(r'"channel"\s*:\s*"([A-Z0-9]{1,40})"')
_TS: Final = re.compile(r'"ts"\s*:\s*"([0-9]{1,20}\.[0-9]{1,10})"')


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
    return {"type": "mrkdwn", "text": f"*{_escaped(label) or NOTHING}*"}, _plain(value or NOTHING)


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
