"""What becomes of a Slack message whose button was pressed: what was said stands below, and buttons in vain go."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.destinations.http import new_http_client, post

#: Where a press says it may be answered; nothing else that stands in a payload is called.
SLACK_HOST: Final = "hooks.slack.com"
_MOST_BLOCKS: Final = 50


class PressedMessages:
    """Changes messages by the address that Slack gives with a press; it takes five changes in half an hour."""

    def __init__(self) -> None:
        self._http = new_http_client()

    def change(
        self,
        response_url: str,
        blocks: Sequence[Mapping[str, Any]],
        sentence: str,
        now: datetime,
        left: Collection[str] = (),
    ) -> Attempt:
        """What came of it. An address that is not Slack's is not called. `left` are the actions whose buttons stay."""
        try:
            address = urlsplit(response_url)
        except ValueError:
            address = urlsplit("")
        if address.scheme != "https" or address.netloc != SLACK_HOST:
            return Attempt(Outcome.REFUSED, "the address is not Slack's")
        kept = [shown for block in blocks if (shown := _with_buttons(block, left))][: _MOST_BLOCKS - 1]
        said = {"type": "context", "elements": [{"type": "plain_text", "text": sentence, "emoji": False}]}
        return post(
            self._http,
            response_url,
            content=json.dumps(
                {"replace_original": True, "text": sentence, "blocks": [*kept, said]}
            ).encode(),
            headers={"Content-Type": "application/json; charset=utf-8"},
            now=now,
        )


def _with_buttons(block: Mapping[str, Any], left: Collection[str]) -> Mapping[str, Any] | None:
    """The block with those of its buttons; None where it had others only."""
    if block.get("type") != "actions":
        return block
    given = block.get("elements")
    buttons = (
        [one for one in given if isinstance(one, dict) and one.get("action_id") in left]
        if isinstance(given, list)
        else []
    )
    return {**block, "elements": buttons} if buttons else None
