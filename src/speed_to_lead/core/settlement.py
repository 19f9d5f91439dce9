"""What becomes of one queue entry: a lead, a touch, a duplicate, a test, or a dead letter. Exactly one of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from speed_to_lead.core.lead import LeadChange
from speed_to_lead.core.submission import Submission

#: How long a form tool's own key (or our submission id) is remembered: longer than any of them retries.
REMEMBER_KEY = timedelta(days=14)
#: How long the exact content stands for a key where the tool gives none. A person who sends the same words
#: again after that means it.
REMEMBER_CONTENT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Seen:
    """A key under which this submission is recognised when it comes again, and for how long."""

    key: str
    remember: timedelta


@dataclass(frozen=True, slots=True)
class Admit:
    """A new lead. `people` are the person keys, each with the lead it pointed to when this was decided (None: nobody)."""

    entry_id: str
    change: LeadChange
    seen: tuple[Seen, ...] = ()
    people: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Join:
    """A touch of an open lead."""

    entry_id: str
    change: LeadChange
    seen: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """A submission that adds nothing: `kind` is "duplicates" or "tests". `lead_id` is the lead it repeats, if any."""

    entry_id: str
    kind: str
    submission_id: str
    lead_id: str = ""


@dataclass(frozen=True, slots=True)
class Bury:
    """A submission that could not be read, kept with its error until somebody replays or discards it."""

    entry_id: str
    submission: Submission
    error: str
    at: datetime


Settlement = Admit | Join | Drop | Bury


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A buried submission as it is kept."""

    submission: Submission
    error: str
    at: datetime
