"""How long each kind of thing is kept once it is done with. An open lead with a step to come is kept whatever its age."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from speed_to_lead.core.escalation import first_instant
from speed_to_lead.core.lead import Lead, LeadState


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept; None for ever.

    `answered` counts from the answer, or the last response told after it. `closed` from the closing. `unanswered`
    counts from the deadline of a lead whose ladder is done and that nobody answered; it is closed then, not removed.
    """

    answered: timedelta | None = None
    closed: timedelta | None = None
    unanswered: timedelta | None = None
    dead_letters: timedelta | None = None
    dead_alerts: timedelta | None = None

    @property
    def keeps_everything(self) -> bool:
        """Whether nothing is ever removed."""
        return self == Retention()


def kept_until(lead: Lead, retention: Retention) -> datetime | None:
    """The instant at which the lead is to be removed (an open one: closed); None where it is to be kept."""
    match lead.state:
        case LeadState.CLOSED:
            age, since = retention.closed, lead.closed_at
        case LeadState.ANSWERED:
            age = retention.answered
            told = [lead.answered_at, *(response.recorded_at for response in lead.responses)]
            since = max((at for at in told if at is not None), default=None)
        case LeadState.OPEN:
            age, since = retention.unanswered, lead.deadline
            if first_instant(lead) is not None:
                return None
    return since + age if age is not None and since is not None else None
