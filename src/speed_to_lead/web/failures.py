"""How often an address gave a wrong key or signature lately, so that guessing is slowed and cannot flood the log.

A right key is never asked how often its address failed: nobody can lock others out by failing in their name, and
people behind one address do not pay for each other.
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

FAILURES_A_MINUTE = 20
#: Memory is bounded: of more addresses than these, those that failed longest ago are forgotten. About a megabyte.
MAX_ADDRESSES = 10_000
_SECONDS = 60.0


class Failures:
    """Counts failures by address, each minute anew from an address's first one. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counted: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def seconds_to_wait(self, address: str) -> int:
        """Count one more failure; 0 while there were few, else the seconds until the address may fail again."""
        now = self._clock()
        began, count = self._counted.pop(address, (now, 0))
        if now - began >= _SECONDS:
            began, count = now, 0
        self._counted[address] = (began, count + 1)
        if len(self._counted) > MAX_ADDRESSES:
            self._counted.popitem(last=False)
        return 0 if count < FAILURES_A_MINUTE else max(1, round(began + _SECONDS - now))


def client_of(scope: Mapping[str, Any]) -> str:
    """Whom a failure counts for: the address, of IPv6 the /64 that one customer usually has whole.

    Behind a proxy it is the proxy's, unless uvicorn trusts that proxy's headers (FORWARDED_ALLOW_IPS).
    """
    host = (scope.get("client") or ("",))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)[:64]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ipaddress.ip_network((int(address) >> 64 << 64, 64)))
