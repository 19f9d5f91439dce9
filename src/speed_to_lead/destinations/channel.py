"""What every kind of destination promises, and how it reads its addresses and secrets from the environment."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, Protocol

import httpx

from speed_to_lead.core.delivery import Attempt, Destination, KindOptions, Outcome
from speed_to_lead.core.message import Message

#: How long one send may take in all, whatever the far side does. It must stay under the courier's lease (flow.LEASE,
#: 20 s) with seconds to spare for the note afterwards: once the lease is over, another courier sends the alert again.
SEND_SECONDS: Final = 15.0

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Channel(Protocol):
    """An open way to one destination."""

    @property
    def recognises_repeats(self) -> bool:
        """Whether the far side tells a repeat by the message's key, so that trying once more cannot double it."""
        ...

    def send(self, message: Message, now: datetime) -> Attempt:
        """What one attempt came to, SEND_SECONDS later at the latest. Never raises for what network or far side do."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of destination: the keys it takes in `alerts.toml`, and how to open a channel.

    `open` raises DestinationError where the options or the environment make sending impossible.
    """

    options: KindOptions
    open: Callable[[Destination, httpx.Client, Mapping[str, str]], Channel]


class DestinationError(Exception):
    """The destination cannot work as configured; the text says why, without the value of any variable."""


@dataclass(frozen=True, slots=True)
class RefusingChannel:
    """Stands in for a destination that cannot work: every message is refused with the reason."""

    recognises_repeats: ClassVar[bool] = True  # nothing ever arrives, so nothing can double
    why: str

    def send(self, message: Message, now: datetime) -> Attempt:  # noqa: ARG002 - a Channel
        """Refused, always."""
        return Attempt(Outcome.REFUSED, self.why)


def value_from_environment(
    destination: Destination, option: str, environment: Mapping[str, str], default_name: str = ""
) -> str:
    """The value of the environment variable that the option names, trimmed.

    Raises DestinationError where the option names no variable (a secret pasted there is not repeated) or
    the variable is not set or empty.
    """
    name = environment_name(destination, option, default_name)
    value = environment.get(name, "").strip()
    if not value:
        raise DestinationError(f"environment variable {name} is not set")
    return value


def url_from_environment(destination: Destination, option: str, environment: Mapping[str, str]) -> str:
    """The http(s) address in the environment variable that the option names.

    Raises DestinationError where there is none or it is no address; the address itself is a secret.
    """
    value = value_from_environment(destination, option, environment)
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        name = environment_name(destination, option)
        raise DestinationError(
            f"environment variable {name} holds no address that starts with https:// or http://"
        )
    return value


def environment_name(destination: Destination, option: str, default_name: str = "") -> str:
    """The name of the environment variable in the option; raises DestinationError where it holds anything else."""
    name = destination.options.get(option, default_name)
    if not isinstance(name, str) or not _ENVIRONMENT_NAME.match(name):
        raise DestinationError(f"option {option} names no environment variable")
    return name
