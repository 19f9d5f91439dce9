"""Kind `sms`: text messages by Twilio.

    to                one number, such as +15551234567
    from              the number they come from, a sender's name of letters and digits, or a messaging service (MG…)
    account_sid_env   the variable with the account's SID
    auth_token_env    the variable with its token
    base_url          https://api.twilio.com when left out

A 201 means that Twilio has queued it. Twilio knows no repeats, and says that after a 500 the message may have been sent:
so every 5xx is an outcome nobody knows.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Final
from urllib.parse import urlencode

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
from speed_to_lead.destinations.text import cut_to, one_line, small_print, web_link

OPTIONS = KindOptions(required=("to", "from", "account_sid_env", "auth_token_env"), optional=("base_url",))

BASE_URL: Final = "https://api.twilio.com"
#: Twilio takes 1,600 characters; every 70 to 160 of them are a message that is paid for.
BODY_LIMIT: Final = 640
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_SENDER: Final = re.compile(r"\+?[0-9]{3,15}|MG[0-9a-fA-F]{32}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")
_SID: Final = re.compile(r"AC[0-9a-zA-Z]{32}")
_NEVER_SENT: Final = frozenset({"failed", "undelivered", "canceled"})
_TOO_MANY: Final = (20429, 14107, 30022)
#: What is wrong with the account, the sender or the one number there is: no message to it can ever be sent. Recipients who
#: say STOP are 21610.
_NO_MORE: Final = frozenset({
    20003, 20005, 20404, 21211, 21212, 21214, 21217, 21408, 21601, 21603, 21606, 21608, 21610, 21612, 21614, 21659, 21660, 21705,
})  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class SmsChannel:
    """Sends to one number."""

    recognises_repeats: ClassVar[bool] = False
    http: httpx.Client
    url: str
    authorization: str
    recipient: str
    sender: str

    def send(self, message: Message, now: datetime) -> Attempt:
        """What Twilio's answer says."""
        sender = "MessagingServiceSid" if self.sender.startswith("MG") and len(self.sender) == 34 else "From"
        form = {"To": self.recipient, sender: self.sender, "Body": body_of(message)}
        return post(
            self.http,
            self.url,
            content=urlencode(form).encode(),
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "Authorization": self.authorization,
            },
            now=now,
            judge=judge,
        )


def open_sms(destination: Destination, http: httpx.Client, environment: Mapping[str, str]) -> Channel:
    """A channel to the number named; raises DestinationError where a number or a secret is none."""
    recipient = text_option(destination, "to", _NUMBER, "number such as +15551234567")
    sender = text_option(destination, "from", _SENDER, "number, name of a sender or messaging service (MG…)")
    base_url = base_url_of(destination, BASE_URL)
    sid = value_from_environment(destination, "account_sid_env", environment)
    if not _SID.fullmatch(sid):
        name = environment_name(destination, "account_sid_env")
        raise DestinationError(
            f"environment variable {name} holds no account SID: AC and 32 letters or digits"
        )
    token = value_from_environment(destination, "auth_token_env", environment)
    proof = base64.b64encode(f"{sid}:{token}".encode("utf-8", "replace")).decode()
    url = f"{base_url}/2010-04-01/Accounts/{sid}/Messages.json"
    return SmsChannel(http, url, f"Basic {proof}", recipient, sender)


def body_of(message: Message) -> str:
    """The headline, as many facts as there is room for, the link and the small print."""
    shown = cut_to(message, headline=200, value=100, note=200, facts=8)
    link, small = web_link(message, 300), small_print(message)
    ends = [part for part in (link, one_line(small, 120)) if part]
    if message.kind is AlertKind.DIGEST:
        return _digest_of(message, shown.headline, ends)
    room = BODY_LIMIT - len(shown.headline) - sum(len(part) + 1 for part in ends)
    middle: list[str] = []
    for part in (*(f"{label}: {value}" for label, value in shown.facts), shown.note):
        if part and len(part) + 1 <= room:
            room -= len(part) + 1
            middle.append(part)
    return "\n".join((shown.headline, *middle, *ends))


def _digest_of(message: Message, headline: str, ends: list[str]) -> str:
    """As many leads as there is room for, each on its line, and how many more there are: the link has them all."""
    leads = [one_line(lead, 120) for lead in message.leads]
    note = [one_line(message.note, 100)] if message.note else []
    more = f"and {len(leads):,} more"  # as long as it may become
    room = BODY_LIMIT - len(headline) - sum(len(part) + 1 for part in (more, *note, *ends))
    kept: list[str] = []
    for lead in leads:
        room -= len(lead) + 1
        if room < 0:
            break
        kept.append(lead)
    left = [f"and {len(leads) - len(kept):,} more"] if len(kept) < len(leads) else []
    return "\n".join((headline, *kept, *left, *note, *ends))


def judge(answer: Answer) -> Attempt:
    """201 with a status that does not say failed. Of the body, Twilio's number for the error is repeated and no more."""
    attempt = by_status(answer)
    said = _said(answer.body)
    code = said.get("code")
    detail = f"{attempt.detail}, Twilio error {code}" if isinstance(code, int) else attempt.detail
    if answer.status == 429 or code in _TOO_MANY:
        return Attempt(Outcome.RATE_LIMITED, detail, answer.retry_after)
    if answer.status >= 500:
        return Attempt(Outcome.UNKNOWN, f"{detail}: it may have been sent", answer.retry_after)
    if attempt.outcome is not Outcome.DELIVERED:
        refused = gone_by_status(replace(attempt, detail=detail), answer, 401, 403)
        return replace(refused, is_gone=True) if isinstance(code, int) and code in _NO_MORE else refused
    if said.get("status") in _NEVER_SENT:
        return Attempt(Outcome.REFUSED, f"{attempt.detail}, but {said['status']}")
    if not isinstance(said.get("sid"), str):
        return Attempt(Outcome.UNKNOWN, f"{attempt.detail}, but not the message that was queued")
    return Attempt(Outcome.DELIVERED, f"{attempt.detail}: queued")


def _said(body: str) -> dict[str, object]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
