"""What becomes of a Slack message whose button was pressed: the buttons go, and what was said stands below, for everybody."""

import json
from collections.abc import Mapping, Sequence
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
        self, response_url: str, blocks: Sequence[Mapping[str, Any]], sentence: str, now: datetime
    ) -> Attempt:
        """What came of it. An address that is not Slack's is not called."""
        try:
            address = urlsplit(response_url)
        except ValueError:
            address = urlsplit("")
        if address.scheme != "https" or address.netloc != SLACK_HOST:
            return Attempt(Outcome.REFUSED, "the address is not Slack's")
        kept = [block for block in blocks if block.get("type") != "actions"][: _MOST_BLOCKS - 1]
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
