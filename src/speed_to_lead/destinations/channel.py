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

_BASE_URL = re.compile(
    r"https?://[A-Za-z0-9._-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?|https?://\[[0-9A-Fa-f:]+\](:[0-9]{1,5})?"
)
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


def never(destination: Destination) -> bool:  # noqa: ARG001 - every kind is asked alike
    """No destination of the kind."""
    return False


def always(destination: Destination) -> bool:  # noqa: ARG001
    """Every destination of the kind."""
    return True


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of destination: the keys it takes in `alerts.toml`, and how to open a channel.

    `open` raises DestinationError where the options or the environment make sending impossible. `follows_leads` says
    of a destination whether what it was told of a lead can be brought up to date as the lead moves.
    """

    options: KindOptions
    open: Callable[[Destination, httpx.Client, Mapping[str, str]], Channel]
    follows_leads: Callable[[Destination], bool] = never


class DestinationError(Exception):
    """The destination cannot work as configured; the text says why, without the value of any variable."""


class NotSet(DestinationError):
    """A variable that it needs is not set in this environment, or empty."""


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
        raise NotSet(f"environment variable {name} is not set")
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


def base_url_of(destination: Destination, default: str) -> str:
    """The http(s) address in the option `base_url`, or the vendor's own; without a slash at its end."""
    value = destination.options.get("base_url", default)
    if not isinstance(value, str) or not _BASE_URL.fullmatch(value.strip()):
        raise DestinationError(f"option base_url holds no address such as {default}")
    return value.strip().rstrip("/")


def text_option(destination: Destination, option: str, pattern: re.Pattern[str], expected: str) -> str:
    """The text of an option, trimmed; raises DestinationError, which does not repeat it, where it is something else."""
    value = destination.options.get(option)
    if not isinstance(value, str) or not pattern.fullmatch(value.strip()):
        raise DestinationError(f"option {option} holds no {expected}")
    return value.strip()


def environment_name(destination: Destination, option: str, default_name: str = "") -> str:
    """The name of the environment variable in the option; raises DestinationError where it holds anything else."""
    name = destination.options.get(option, default_name)
    if not isinstance(name, str) or not _ENVIRONMENT_NAME.match(name):
        raise DestinationError(f"option {option} names no environment variable")
    return name
