"""A dead-man's switch: an address outside that calls for help when we stop saying that all is well.

Healthchecks, Better Stack, Cronitor, Dead Man's Snitch, Uptime Kuma and the like: any POST is a sign of life. The
address is a secret, because whoever knows it can keep the switch quiet; so it is neither logged nor told.
"""

from datetime import datetime

import httpx

from speed_to_lead.core.delivery import Attempt
from speed_to_lead.destinations.http import post


class DeadMan:
    """One switch."""

    def __init__(self, http: httpx.Client, url: str) -> None:
        self._http = http
        self._url = url

    def ping(self, now: datetime) -> Attempt:
        """What one sign of life came to. Never raises; redirects are not followed."""
        return post(self._http, self._url, content=b"", headers={}, now=now)
