"""The story of one lead, told again from its history: who had it when, and which alerts were called for.

Told by the checker's own reading of the rules; where speed-to-lead's record says otherwise, a check says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.chaos.business_time import ms_of
from benchmarks.chaos.rules import DESTINATIONS, TEAMS, has_incidents

Document = Mapping[str, Any]

RESPONSES = ("lead.acknowledged", "lead.attempted", "lead.connected", "lead.meeting_booked")
STOPPING = (*RESPONSES[1:], "lead.closed")
ENDINGS = ("alert.delivered", "alert.given_up", "alert.cancelled")
#: So begins the step of an alert that brings an incident up to date.
MOVED = "moved-"
_STRENGTH = ("sla.breached", "lead.reassigned", "sla.reminder", "lead.assigned")


@dataclass(slots=True)
class Expected:
    """One alert that was called for: what it must say, and what the history says became of it."""

    lead: str
    step: str
    destination: str
    type: str
    decided_at: int
    step_at: int | None
    skipped: tuple[str, ...] = ()
    endings: list[tuple[str, int]] = field(default_factory=list)
    attempts: int = 0

    @property
    def key(self) -> str:
        """Its name, the same on every attempt."""
        return f"{self.lead}:{self.step}:{self.destination}"


@dataclass(slots=True)
class Change:
    """What was written to the lead in one piece: the lines of history of one new version."""

    at: int
    events: list[Document]

    @property
    def names(self) -> list[str]:
        """What happened in it."""
        return [event["event"] for event in self.events]


@dataclass(slots=True)
class Story:
    """What the history of one lead amounts to. `wrong` is what cannot be true in it.

    `deadlines` are those it had, each with since when; `came_late` are steps that a touch brought, with when it did.
    `moved` are the alerts that brought an incident up to date and called nobody, by step and destination.
    """

    lead: Document
    changes: list[Change] = field(default_factory=list)
    reps: list[tuple[int, str | None]] = field(default_factory=list)
    expected: dict[tuple[str, str], Expected] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    decided: list[tuple[str, int, int]] = field(default_factory=list)
    stopped_at: int | None = None
    breached: int = 0
    wrong: list[str] = field(default_factory=list)
    nobody: list[str] = field(default_factory=list)
    deadlines: list[tuple[int, int]] = field(default_factory=list)
    came_late: dict[str, int] = field(default_factory=dict)
    moved: dict[tuple[str, str], Expected] = field(default_factory=dict)

    @property
    def routed_at(self) -> int:
        """When it became a lead."""
        return self.changes[0].at if self.changes else ms_of(self.lead["received_at"])

    def reps_around(self, at: int, before: int, after: int) -> set[str | None]:
        """Who had it at some time in this span."""
        found: set[str | None] = set()
        for (since, rep), until in zip(
            self.reps, [*(since for since, _ in self.reps[1:]), None], strict=True
        ):
            if since <= at + after and (until is None or until >= at - before):
                found.add(rep)
        return found


def story_of(lead: Document) -> Story:
    """The story of a lead, from its record as /v1/leads/{id} shows it."""
    story = Story(lead)
    history = lead["history"]
    if not history or history[0]["event"] != "lead.routed":
        story.wrong.append("the history does not begin with lead.routed")
        return story
    story.changes = list(_changes_in(history))
    teller = _Teller(story, history[0]["details"]["team"], history[0]["details"]["rep"])
    teller.on_receipt()
    for change in story.changes[1:]:
        teller.tell(change)
    for event in history:
        teller.note_alert(event)
    return story


def _changes_in(history: list[Document]) -> Iterator[Change]:
    """The lines of history, put together as they were written; what couriers noted between them is left out."""
    current: Change | None = None
    for event in history:
        name, at = event["event"], ms_of(event["at"])
        if name.startswith("alert."):
            continue
        if current is not None and at == current.at and _belongs_to(name, event, current):
            current.events.append(event)
            continue
        if current is not None:
            yield current
        current = Change(at, [event])
    if current is not None:
        yield current


def _belongs_to(name: str, event: Document, change: Change) -> bool:
    """Whether this line was written together with the ones before it: a breach, then what it came with."""
    if any(ended in change.names for ended in (*RESPONSES, "lead.closed", "lead.touched", "lead.routed")):
        return name == "lead.due_sooner" and change.names == ["lead.touched"]
    if any("by" in earlier["details"] for earlier in change.events):
        return False
    if name in (*RESPONSES, "lead.closed"):
        return change.names == ["lead.breached"]
    if name == "lead.reassigned" and "by" in event["details"]:
        return False
    if name == "step.decided":
        return event["details"]["step"] not in [earlier["details"].get("step") for earlier in change.events]
    return name in ("lead.reassigned", "lead.kept") and "step.decided" not in change.names


class _Teller:
    """Walks through the changes of a lead and keeps who has it."""

    def __init__(self, story: Story, team: str, rep: str | None) -> None:
        self._story = story
        self._lead = story.lead
        self._team = team
        self._rep = rep
        self._had_it: list[str] = []
        self._lost_by: str | None = None  # where whoever had it last hears that they have not
        self._steps: dict[str, Document] = {step["name"]: step for step in self._lead["steps"]}
        sooner = [event for event in self._lead["history"] if event["event"] == "lead.due_sooner"]
        self._deadline = ms_of(sooner[0]["details"]["before"] if sooner else self._lead["deadline"])
        self._is_breached = False
        for event in sooner:
            names = (*event["details"]["steps"], *event["details"]["told"].values())
            story.came_late |= dict.fromkeys(names, ms_of(event["at"]))
        story.deadlines.append((story.changes[0].at, self._deadline))
        story.reps.append((story.changes[0].at, rep))

    def on_receipt(self) -> None:
        """The steps that were due when the lead came: each tells whom the ones before it did not."""
        received, at = ms_of(self._lead["received_at"]), self._story.changes[0].at
        told: set[str] = set()
        for step in self._lead["steps"]:
            if ms_of(step["at"]) <= received and step["name"] not in self._story.came_late:
                self._story.done.append(step["name"])
                for destination, kind in self._targets(step).items():
                    if destination not in told:
                        told.add(destination)
                        self._expect(step["name"], destination, kind, at, ms_of(step["at"]))

    def tell(self, change: Change) -> None:
        """One change after the first."""
        story = self._story
        new_rep: str | None = None
        kept = False
        for event in change.events:
            details = event["details"]
            match event["event"]:
                case "lead.breached":
                    story.breached += 1
                    self._is_breached = True
                case "lead.reassigned":
                    new_rep = self._pass_on(change.at, details)
                case "lead.kept":
                    kept = True
                case "lead.due_sooner":
                    self._take_sla_of_touch(change.at, details)
        decided = [event for event in change.events if event["event"] == "step.decided"]
        if decided:
            self._decide(change.at, decided, new_rep, kept=kept)
        if story.stopped_at is None and any(name in STOPPING for name in change.names):
            story.stopped_at = change.at

    def _take_sla_of_touch(self, at: int, details: Document) -> None:
        """From now on another deadline counts, and the rep was told so."""
        story = self._story
        if ms_of(details["before"]) != self._deadline:
            story.wrong.append(f"a touch found the deadline {details['before']}, which it was not")
        self._deadline = ms_of(details["deadline"])
        story.deadlines.append((at, self._deadline))
        wanted = {self._destination("rep"): f"sooner-{len(story.deadlines) - 1}"}
        if details["told"] != wanted:
            story.wrong.append(f"a touch due sooner told {details['told']}, the rules say {wanted}")
        for destination, name in wanted.items():
            step = self._steps.get(name)
            story.done.append(name)
            self._expect(name, destination, "sla.reminder", at, ms_of(step["at"]) if step else None)

    def note_alert(self, event: Document) -> None:
        """What became of an alert; given up, it is another destination's."""
        story, details = self._story, event["details"]
        if not event["event"].startswith("alert."):
            return
        step, destination = details["step"], details["to"]
        expected = story.expected.get((step, destination))
        is_move = step.startswith(MOVED) and destination in DESTINATIONS and has_incidents(destination)
        if is_move:
            at = ms_of(event["at"])
            moved = Expected(self._lead["id"], step, destination, "lead.moved", at, None)
            expected = story.moved.setdefault((step, destination), moved)
        if expected is None:
            story.wrong.append(f"{event['event']} of {step} to {destination}, which nothing called for")
            return
        if event["event"] == "alert.failed":
            expected.attempts += 1
            return
        if event["event"] not in ENDINGS:
            story.wrong.append(f"{event['event']} is no event of an alert")
            return
        at = ms_of(event["at"])
        expected.endings.append((event["event"], at))
        if event["event"] == "alert.given_up" and not is_move:
            fallback = details.get("fallback")
            if fallback is None:
                story.nobody.append(
                    f"{step} to {destination} was given up, and nobody heard it instead: {details['why']}"
                )
                return
            first = step.partition("~")[2] or destination
            name = f"{step.partition('~')[0]}~{first}"
            story.expected.setdefault(
                (name, fallback),
                Expected(
                    self._lead["id"], name, fallback, expected.type, at, expected.step_at, expected.skipped
                ),
            )

    def _pass_on(self, at: int, details: Document) -> str:
        """The rep changes; by hand, the new one is told under a name of its own."""
        story, new = self._story, details["to"]
        by_hand = "by" in details
        if details["from"] != self._rep:
            story.wrong.append(f"it was taken from {details['from']}, but {self._rep} had it")
        if new == self._rep:
            story.wrong.append(f"it was passed on to {new}, who had it already")
        if not by_hand and new in self._had_it:
            story.wrong.append(f"it came back to {new}, who had lost it")
        if self._rep is not None:
            self._had_it.append(self._rep)
            self._lost_by = self._destination("rep")
        self._rep = new
        if by_hand and TEAMS[self._team].rep(new) is None:
            self._team = next((name for name, team in TEAMS.items() if team.rep(new)), self._team)
        if TEAMS[self._team].rep(new) is None:
            story.wrong.append(f"{new} is nobody of team {self._team}")
        story.reps.append((at, new))
        if by_hand:
            for destination in {self._destination("rep"), self._lost_by} - {None}:
                self._expect(f"reassigned-{len(self._had_it)}", str(destination), "lead.reassigned", at, None)
        return str(new)

    def _decide(self, at: int, decided: list[Document], new_rep: str | None, *, kept: bool) -> None:
        """Steps were decided: the highest that was due, and whatever stands at the same instant."""
        story = self._story
        names = [event["details"]["step"] for event in decided]
        skipped = tuple(decided[0]["details"]["skipped"])
        for name in (*names, *skipped):
            if name not in self._steps:
                story.wrong.append(f"step {name} was decided, and is none of its ladder")
                return
            if name in story.done:
                story.wrong.append(f"step {name} was decided twice")
            story.done.append(name)
        highest = ms_of(self._steps[names[0]]["at"])
        due = [
            s["name"]
            for s in self._lead["steps"]
            if ms_of(s["at"]) < highest
            and s["name"] not in story.done
            and story.came_late.get(s["name"], at) <= at
        ]
        if due:
            story.wrong.append(
                f"step {names[0]} was decided before {', '.join(due)}, which nobody names as skipped"
            )
        if at < highest:
            story.wrong.append(f"step {names[0]} was decided before its time")
        passing = [n for n in (*names, *skipped) if self._steps[n]["reassign"]]
        if bool(passing) != (new_rep is not None or kept):
            story.wrong.append(f"step {names[0]}: whether it passes the lead on, rules and history disagree")
        passing_on = next((name for name in names if self._steps[name]["reassign"]), names[-1])
        alarms = [self._steps[name]["alert"] for name in (*skipped, *names)]
        if not any(self._steps[name]["alert"] for name in names):
            # They alert nobody: whoever the last step before them was to alert hears it of them.
            heard_of: list[str] = next((targets for targets in reversed(alarms) if targets), [])
            self._steps[names[-1]] = {**self._steps[names[-1]], "alert": heard_of}
        for event in decided:
            self._decide_step(
                at, event, skipped, new_rep, kept=kept, is_passing=event["details"]["step"] == passing_on
            )

    def _decide_step(
        self,
        at: int,
        event: Document,
        skipped: tuple[str, ...],
        new_rep: str | None,
        *,
        kept: bool,
        is_passing: bool,
    ) -> None:
        story, name = self._story, event["details"]["step"]
        step = self._steps[name]
        step_at = ms_of(step["at"])
        story.decided.append((name, at, max(step_at, story.came_late.get(name, step_at))))
        wanted = self._targets(step)
        if new_rep is not None and is_passing:
            destination = self._destination("rep")
            wanted[destination] = _stronger("lead.reassigned", wanted.get(destination))
            if self._lost_by is not None:
                wanted.setdefault(self._lost_by, "lead.reassigned")
        if kept and is_passing and not wanted:
            wanted = {self._destination("manager"): self._alarm(step_at)}
        told = set(event["details"]["told"])
        if told != set(wanted):
            story.wrong.append(f"step {name} told {sorted(told)}, the rules say {sorted(wanted)}")
        for destination, kind in wanted.items():
            self._expect(name, destination, kind, at, step_at, skipped)

    def _targets(self, step: Document) -> dict[str, str]:
        """Destination → type of message, the strongest where a destination is named more than once."""
        wanted: dict[str, str] = {}
        alarm = self._alarm(ms_of(step["at"]))
        for kind, targets in (
            ("lead.assigned", step["tell"]),
            ("sla.reminder", step["remind"]),
            (alarm, step["alert"]),
        ):
            for target in targets:
                destination = self._destination(target)
                wanted[destination] = _stronger(kind, wanted.get(destination))
        return wanted

    def _alarm(self, step_at: int) -> str:
        return "sla.breached" if step_at >= self._deadline or self._is_breached else "sla.reminder"

    def _destination(self, target: str) -> str:
        team = TEAMS[self._team]
        if target == "manager":
            return team.manager
        if target != "rep":
            return target
        rep = team.rep(self._rep)
        return rep.notify if rep is not None and rep.notify else team.manager

    def _expect(
        self,
        step: str,
        destination: str,
        kind: str,
        at: int,
        step_at: int | None,
        skipped: tuple[str, ...] = (),
    ) -> None:
        self._story.expected[step, destination] = Expected(
            self._lead["id"], step, destination, kind, at, step_at, skipped
        )


def _stronger(kind: str, other: str | None) -> str:
    return kind if other is None else min(kind, other, key=_STRENGTH.index)
