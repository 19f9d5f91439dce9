"""The processes of `benchmarks/flood.py`: a router without Celery around it, and senders who honour nothing.

python -m benchmarks.flood_crew route two             until it is killed; "one": as if there were one lane
python -m benchmarks.flood_crew post PORT RATE SECONDS SHARE SENDER   prints what the hook answered, as JSON
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter

from speed_to_lead import flow
from speed_to_lead.flow import routing
from speed_to_lead.logs import set_up_logs
from speed_to_lead.store import QueueEntry, StoreUnavailable
from speed_to_lead.workplace import Workplace, open_workplace_or_exit

FORM = "flood"
#: Connections of one sender. Each waits for its answer before it posts again, as a form tool does.
CONNECTIONS = 64
#: What has no answer in this time is given up and not sent again.
PATIENCE = 10.0
#: Where nothing waits a router looks again so soon; with Celery a hint tells it.
_PAUSE = 0.005


def body(sender: str, number: int, share: float) -> bytes:
    """What one person sends; of each 1/`share` one asks for a demo, spread evenly."""
    is_urgent = int((number + 1) * share) > int(number * share)
    fields = {
        "email": f"{sender}-{number}@example.com",
        "name": "Sam Example",
        "company": "Example Ltd",
        "source": "demo request" if is_urgent else "outbound",
        "message": "We would like to know more. " * 8,
    }
    return json.dumps(fields).encode()


def route(lanes: str) -> None:
    """Route what waits until killed, and each second what others left behind, as beat makes a router do."""
    set_up_logs("info", "json")
    place = open_workplace_or_exit()
    if lanes == "one":  # no option of the product: the comparison, and nothing else

        def all_at_once(place: Workplace, consumer: str, read: object) -> tuple[list[QueueEntry], bool]:
            del read
            found = place.store.queue.take(consumer, routing.ROUTE_BATCH)
            return found, len(found) == routing.ROUTE_BATCH

        routing._take = all_at_once  # noqa: SLF001
    next_tick = 0.0
    while True:
        is_tick = time.monotonic() >= next_tick
        if is_tick:
            next_tick = time.monotonic() + 1
        try:
            routed = flow.route(place, f"flood:{os.getpid()}", reclaim=is_tick)
        except StoreUnavailable:
            continue
        if not routed.is_full:
            time.sleep(_PAUSE)


class _Connection(asyncio.Protocol):
    """One keep-alive connection: posts the next submission as soon as it is due and the last one is answered."""

    def __init__(self, sender: "Sender") -> None:
        self._sender = sender
        self._heard = b""
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, separator, rest = self._heard.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if not separator or len(rest) < length:
            return
        self._heard = b""
        self._sender.answers[head[9:12].decode()] += 1
        self._waits = False
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._waits:
            self._sender.answers["broken"] += 1
        if not self.closed.done():
            self.closed.set_result(None)

    _waits = False

    def _next(self) -> None:
        ticket = self._sender.ticket()
        if ticket is None:
            self._transport.close()
        elif ticket < 0:
            asyncio.get_running_loop().call_later(0.002, self._next)
        else:
            self._waits = True
            self._transport.write(self._sender.request(ticket))


class Sender:
    """Posts so many a second for so many seconds, whatever is answered; what cannot be sent in that time never is."""

    def __init__(self, port: int, rate: float, seconds: float, share: float, name: str) -> None:
        self.port, self.rate, self.seconds, self.share, self.name = port, rate, seconds, share, name
        self.answers: Counter[str] = Counter()
        self._given = 0
        self._began = time.monotonic()

    def ticket(self) -> int | None:
        """The number of the next submission; -1 where none is due yet, None where the time is up."""
        passed = time.monotonic() - self._began
        if passed >= self.seconds or self._given >= int(self.rate * self.seconds):
            return None
        if self._given >= passed * self.rate:
            return -1
        self._given += 1
        return self._given - 1

    def request(self, number: int) -> bytes:
        """One POST."""
        content = body(self.name, number, self.share)
        return (
            b"POST /hooks/%b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (FORM.encode(), len(content), content)
        )

    async def run(self) -> dict[str, int]:
        """Post all of them; how often each status was heard, and what could not be sent."""
        loop = asyncio.get_running_loop()
        self._began = time.monotonic()
        opened = [
            await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self.port)
            for _ in range(CONNECTIONS)
        ]
        done = asyncio.gather(*(connection.closed for _, connection in opened))
        try:
            await asyncio.wait_for(done, self.seconds + PATIENCE)
        except TimeoutError:
            for transport, _ in opened:
                transport.abort()
        offered = int(self.rate * self.seconds)
        return {**self.answers, "offered": offered, "sent": self._given}


def main() -> None:
    """Be one of them."""
    role, *given = sys.argv[1:]
    if role == "route":
        route(given[0])
    else:
        port, rate, seconds, share, name = given
        sender = Sender(int(port), float(rate), float(seconds), float(share), name)
        print(json.dumps(asyncio.run(sender.run())))


if __name__ == "__main__":
    main()
