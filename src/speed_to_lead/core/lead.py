"""The lead's record: what is known of one person who waits, and every change it can go through.

A lead is a value. A change to it is a value too (`LeadChange`), decided on one version of the record and
written in one piece by the store, which refuses it where the record has moved on since.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from speed_to_lead.core.assignment import RotationChange
from speed_to_lead.core.lookup import LookedUp
from speed_to_lead.core.submission import GenericLead

#: How long an acknowledgement holds back reminders and re-assignment, unless the SLA says otherwise.
HOLD = timedelta(minutes=10)


class LeadState(StrEnum):
    """`open` waits for an answer, `answered` had one, `closed` needs none (with the reason)."""

    OPEN = "open"
    ANSWERED = "answered"
    CLOSED = "closed"


#: Why a lead that goes to a sequence is closed, and the name of the step that tells of it. Nobody waits for an answer, and
#: when the person comes again that is a new lead, judged anew: with an open one it would be a touch.
NURTURE = "nurture"


class ResponseKind(StrEnum):
    """Evidence that a person answered. `acknowledged` says "mine" and stops no clock; the others stop it."""

    ACKNOWLEDGED = "acknowledged"
    ATTEMPTED = "attempted"
    CONNECTED = "connected"
    MEETING_BOOKED = "meeting_booked"

    @property
    def stops_clock(self) -> bool:
        """Whether the response counts as the first response the SLA asks for."""
        return self is not ResponseKind.ACKNOWLEDGED


class AlertKind(StrEnum):
    """What an alert is about; the `type` of the alert webhook. `system.*` kinds are about the system itself."""

    ASSIGNED = "lead.assigned"
    REMINDER = "sla.reminder"
    BREACHED = "sla.breached"
    REASSIGNED = "lead.reassigned"
    NURTURED = "lead.nurtured"
    MOVED = "lead.moved"  # nobody is called: what was said before is brought up to date
    QUARANTINED = "system.lead_quarantined"
    STAGE_SILENT = "system.stage_silent"
    STAGE_BACK = "system.stage_back"
    STAGE_LATE = "system.stage_late"
    STAGE_IN_TIME = "system.stage_in_time"
    NEEDS_ATTENTION = "system.needs_attention"
    CONTRADICTION = "system.contradiction"
    FORM_SILENT = "system.form_silent"
    SOURCE_QUIET = "system.source_quiet"
    DESTINATION_DISABLED = "system.destination_disabled"
    SIGNATURES_REFUSED = "system.signatures_refused"
    DEAD_LETTERS = "system.dead_letters"
    WEBHOOK_MISSED = "system.webhook_missed"
    TEST = "system.test"
    DIGEST = "system.digest"  # several alerts in one (core/storm.py)

    @property
    def is_about_system(self) -> bool:
        """Whether it tells of the system itself rather than of a lead."""
        return self.value.startswith("system.")

    @property
    def calls_somebody(self) -> bool:
        """Whether it calls somebody about a lead: only such an alert may be kept for the morning, or be one of many."""
        return not self.is_about_system and self is not AlertKind.MOVED


#: The step of the alert to the rep who gets a lead that waited for one; no step of a ladder is named so.
HANDED_OUT = "handed-out"
#: The step of the alert to the rep who hears who a lead is that was routed without its data; no step is named so.
COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Response:
    """One piece of evidence: who answered, how, when it happened (`at`) and when we heard of it (`recorded_at`).

    `automatic`: a program did, such as an autoresponder or a sequence. That is kept, and counts as nobody's answer.
    """

    kind: ResponseKind
    by: str
    at: datetime
    recorded_at: datetime
    via: str = ""
    evidence: str = ""
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class Touch:
    """A further submission of the same person while the lead was open, with what that submission said."""

    submission_id: str
    form: str
    received_at: datetime
    source: str
    channel: str
    campaign: str
    lead: GenericLead


class PlannedStep(NamedTuple):  # four of them are made for each lead
    """One rung of the ladder at its instant, frozen into the lead so that a config change never moves it.

    `held_from` is the instant it was planned for, where an acknowledgement holds it back.
    """

    name: str
    at: datetime
    tell: tuple[str, ...] = ()
    remind: tuple[str, ...] = ()
    alert: tuple[str, ...] = ()
    reassign: bool = False
    held_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lead:
    """The record of one lead. `version` counts the changes written to it, from 1.

    `next_at` is the instant of the first step still to come, None once the ladder is done or the clock stopped.
    `steps_done` names the steps decided so far, the skipped ones too. `reps_before` are the reps who had the
    lead and lost it; the lead never returns to them. `touches_dropped` counts the older touches no longer held.
    `hold` is how long an acknowledgement holds back reminders and re-assignment.
    `company_before` is the lead that was its company's newest when it came, kept only where a rule asks who has a company.
    `looked_up` is what the look-up of its rule said of its owner, so that nobody asks again.
    `traceparent` names the span that routed it, so that what is done hours later joins its trace; "" where none was.
    """

    id: str
    version: int
    state: LeadState
    form: str
    received_at: datetime
    lead: GenericLead
    source: str
    channel: str
    campaign: str
    rule: str
    team: str
    rep: str | None
    sla: str
    deadline: datetime
    steps: tuple[PlannedStep, ...]
    config_digest: str
    next_at: datetime | None = None
    steps_done: tuple[str, ...] = ()
    submitted_at: datetime | None = None
    reps_before: tuple[str, ...] = ()
    acknowledged_at: datetime | None = None
    answered_at: datetime | None = None
    breached_at: datetime | None = None
    closed_at: datetime | None = None
    closed_reason: str = ""
    responses: tuple[Response, ...] = ()
    touches: tuple[Touch, ...] = ()
    touches_dropped: int = 0
    trace: tuple[str, ...] = ()
    traceparent: str = ""
    company_before: str = ""
    hold: timedelta = HOLD
    looked_up: LookedUp | None = None

    @property
    def is_open(self) -> bool:
        """Whether somebody is still waiting for a first response."""
        return self.state is LeadState.OPEN

    @property
    def is_nurtured(self) -> bool:
        """Whether it went to a sequence instead of a team: nobody has it, no clock runs, it was closed when it came."""
        return not self.team

    @property
    def waits_for_a_rep(self) -> bool:
        """Whether it is nobody's, and somebody is to have it as soon as they are available."""
        return self.rep is None and self.state is LeadState.OPEN

    def step(self, name: str) -> PlannedStep | None:
        """The planned step of that name, or None."""
        return next((step for step in self.steps if step.name == name), None)


@dataclass(frozen=True, slots=True)
class Alert:
    """One message to one destination about one step of one lead; its key never changes.

    It holds references and instants, no personal data: what it says is rendered from the lead's record when
    it is sent. `note` is an extra sentence for the reader (a fallback says which destination could not be reached).
    `members` are the keys of the alerts that a digest stands for.
    `fallback_for` names the destination this one stands in for. `rep` is the rep at the time of the decision.
    """

    lead_id: str
    step: str
    destination: str
    kind: AlertKind
    decided_at: datetime
    late_seconds: float = 0.0
    skipped_steps: tuple[str, ...] = ()
    team: str = ""
    rep: str | None = None
    note: str = ""
    fallback_for: str = ""
    attempts: int = 0
    unknown_attempts: int = 0
    members: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """`lead:step:destination`: the name under which every attempt is made."""
        return f"{self.lead_id}:{self.step}:{self.destination}"


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a lead's history: when, what (`lead.routed`), and its details. No personal data."""

    at: datetime
    event: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LeadChange:
    """Everything one decision changes about a lead, to be written in one piece or not at all.

    `lead` is the record as it will be (its version is one above the one decided on; 1 = a new lead).
    `load` moves the reps' counts of open leads. `rotation` is the team's turn after a pick. `lines_read`: how many lines of
    its history the decision knew, where it is refused if there are more by now.
    """

    lead: Lead
    history: tuple[HistoryEntry, ...] = ()
    alerts: tuple[Alert, ...] = ()
    load: Mapping[str, int] = field(default_factory=dict)
    rotation: RotationChange | None = None
    counters: Mapping[str, int] = field(default_factory=dict)
    lines_read: int | None = None
