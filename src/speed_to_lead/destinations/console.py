"""Kind `console`: alerts as a short block on standard output, for trying things out and for `up`.

Its readers are people, so the headline is shown; the lead's address, phone and words are left to the lead's page,
because platforms keep standard output for weeks.
"""

import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TextIO

import httpx

from speed_to_lead.core.delivery import Attempt, Destination, KindOptions, Outcome
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.core.message import Message
from speed_to_lead.destinations.channel import Channel
from speed_to_lead.destinations.text import one_line, small_print, web_link

OPTIONS = KindOptions()


@dataclass(frozen=True, slots=True)
class ConsoleChannel:
    """Prints one block per alert and flushes it."""

    recognises_repeats: ClassVar[bool] = True  # a reader who sees the same lead and step twice loses nothing
    destination: str

    def send(self, message: Message, now: datetime) -> Attempt:  # noqa: ARG002 - a Channel
        """Delivered once the block is flushed; not delivered where standard output is closed."""
        stream = _standard_output()
        if stream is None:
            return Attempt(Outcome.NOT_DELIVERED, "there is no standard output")
        block = block_of(message, self.destination)
        encoding = stream.encoding or "utf-8"
        try:
            stream.write(block.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except (OSError, ValueError) as error:  # ValueError: I/O operation on closed file
            return Attempt(Outcome.NOT_DELIVERED, f"standard output is closed ({type(error).__name__})")
        return Attempt(Outcome.DELIVERED, "printed")


def open_console(
    destination: Destination,
    http: httpx.Client,  # noqa: ARG001 - every kind is opened alike
    environment: Mapping[str, str],  # noqa: ARG001
) -> Channel:
    """A channel to standard output."""
    return ConsoleChannel(destination.name)


def block_of(message: Message, destination: str) -> str:
    """The alert as lines of text, ending in a line break; one write, so that threads do not interleave."""
    head = f"ALERT {message.kind}  {destination}  {one_line(message.headline, 300)}"
    leads = message.leads if message.kind is AlertKind.DIGEST else ()
    below = (
        *(one_line(lead, 300) for lead in leads),
        one_line(message.note, 500),
        small_print(message),
        web_link(message),
    )
    return "\n      ".join([head, *(line for line in below if line)]) + "\n"


def _standard_output() -> TextIO | None:
    # Celery puts a proxy in place of sys.stdout that writes to the log, where no name may appear (promise 14).
    is_a_stream = isinstance(sys.stdout, io.TextIOBase)
    return sys.stdout if is_a_stream else sys.__stdout__
