"""What a form tool's file offers: which headers it needs kept, whether a request is genuine, what a delivery says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from speed_to_lead.core.submission import Form, ParsedSubmission, Submission


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One request as the tool made it: `url` is the public URL it called, with its query; header names are lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def query(self) -> str:
        """What stands after the first question mark, still encoded."""
        return self.url.partition("?")[2].partition("#")[0]


class Provider(Protocol):
    """One form tool. A module is one: it needs these four names and nothing else."""

    #: Lower-case headers stored with the submission, because reading it later needs them.
    kept_headers: tuple[str, ...]
    #: What may stand before the colon of a selector in `fields`; one without a colon means the first of them.
    selectors: tuple[str, ...]

    def refusal(self, request: WebhookRequest, secret: str, now: datetime) -> str | None:
        """Why the signature is not genuine, in words that are safe to log; None where it is genuine."""

    def parse(self, submission: Submission, form: Form) -> ParsedSubmission:
        """The lead in a delivery. Raises UnreadableSubmission with the place and without a value of the body."""


class SendsSeveral(Protocol):
    """A form tool that may put several items into one POST. A module is one."""

    def items(self, submission: Submission) -> list[Any]:
        """Each item as the JSON of a delivery that holds it alone; nothing, or one, where there is nothing to split.

        Raises UnreadableSubmission.
        """
