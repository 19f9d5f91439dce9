"""Kind `apprise`: the hundred services of the Apprise library, for those that have no kind of their own here.

`url_env` names the variable with the service's Apprise address, such as `tgram://TOKEN/CHAT` or `ntfy://HOST/TOPIC`; it is a
secret. Needs the extra: `pip install 'speed-to-lead[apprise]'`.

Apprise says no more than yes or no: neither why, nor for how long to wait, nor whether some of it arrived. So a no is an
outcome nobody knows, and gets one further try; and what it logs (addresses and messages) is not logged.
"""

import importlib
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

import httpx

from speed_to_lead.core.delivery import Attempt, Destination, KindOptions, Outcome
from speed_to_lead.core.message import Message
from speed_to_lead.destinations import channel
from speed_to_lead.destinations.channel import (
    Channel,
    DestinationError,
    environment_name,
    value_from_environment,
)
from speed_to_lead.destinations.text import cut_to, small_print, web_link

OPTIONS = KindOptions(required=("url_env",))

NOT_INSTALLED: Final = (
    "the type apprise needs a library that is not installed: pip install 'speed-to-lead[apprise]'"
)


@dataclass(frozen=True, slots=True, repr=False)
class AppriseChannel:
    """Hands messages to one service, which knows no repeats."""

    recognises_repeats: ClassVar[bool] = False
    service: Any

    def send(self, message: Message, now: datetime) -> Attempt:  # noqa: ARG002 - a Channel
        """Apprise's yes or no; it waits as it likes, so it runs in a thread that is left behind when the time is up."""
        shown = cut_to(message, headline=150, value=700, note=1000, facts=12)
        answers: list[object] = []

        def notify() -> None:
            try:
                answers.append(
                    bool(self.service.notify(body=body_of(shown), title=shown.headline, body_format="text"))
                )
            except Exception as error:  # noqa: BLE001 - of a hundred plug-ins, each with its own
                answers.append(error)

        sender = threading.Thread(target=notify, name="apprise", daemon=True)
        sender.start()
        sender.join(channel.SEND_SECONDS)
        match answers:
            case [True]:
                return Attempt(Outcome.DELIVERED, "Apprise says that it was sent")
            case [False]:
                return Attempt(
                    Outcome.UNKNOWN,
                    "Apprise says that it was not sent, or not all of it; it does not say why",
                )
            case [error]:
                return Attempt(Outcome.UNKNOWN, f"{type(error).__name__} in Apprise while sending it")
            case _:
                return Attempt(Outcome.UNKNOWN, "no answer of Apprise in time")


def open_apprise(
    destination: Destination,
    http: httpx.Client,  # noqa: ARG001 - every kind is opened alike
    environment: Mapping[str, str],
) -> Channel:
    """A channel to the service named; raises DestinationError where it is none, or Apprise is not installed."""
    url = value_from_environment(destination, "url_env", environment)
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it logs addresses and messages
    try:
        library = importlib.import_module("apprise")
    except ImportError:
        raise DestinationError(NOT_INSTALLED) from None
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    service = library.Apprise(asset=library.AppriseAsset(http_redirects=False, async_mode=False))
    if "://" not in url or not service.add(url):
        name = environment_name(destination, "url_env")
        raise DestinationError(
            f"environment variable {name} holds no address that Apprise knows, such as ntfy://HOST/TOPIC"
        )
    return AppriseChannel(service)


def body_of(message: Message) -> str:
    """Facts, note, link and small print, a line each; `message` is made fit to show already."""
    facts = (f"{label}: {value}" for label, value in message.facts)
    return "\n".join(filter(None, (*facts, message.note, web_link(message), small_print(message))))
