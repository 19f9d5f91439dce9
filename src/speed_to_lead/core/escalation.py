"""What a missed instant means: which step is due, who hears of it, who has the lead next.

After an outage several steps may be due at once. Then there is one alert, at the highest of them, and it
names the others: a manager who reads three alerts at once reads none.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from speed_to_lead.core.assignment import Pick, Tally, Team, assign
from speed_to_lead.core.attribution import facts_of
from speed_to_lead.core.clock import MILLISECOND, to_iso
from speed_to_lead.core.facts import Facts
from speed_to_lead.core.lead import Alert, AlertKind, HistoryEntry, Lead, LeadChange, PlannedStep
from speed_to_lead.core.meanings import PLAIN_MEANINGS, Meanings
from speed_to_lead.core.reps import Rep

#: Where a destination appears more than once in a step, it hears the strongest of them, once.
_STRENGTH = (AlertKind.BREACHED, AlertKind.REASSIGNED, AlertKind.REMINDER, AlertKind.ASSIGNED)


#: How a step names a level of its team's escalation; no destination's name holds a colon.
LEVEL = "level:"
_NOBODY_LEFT = "Nobody else in the team can take it."


def first_instant(lead: Lead) -> datetime | None:
    """When the lead must be looked at next: its first step to come, or its deadline while no breach is noted.

    None where nothing is to come, or nobody waits any more.
    """
    if not lead.is_open:
        return None
    return next_instant(lead.steps, lead.steps_done, lead.deadline if lead.breached_at is None else None)


def next_instant(
    steps: Iterable[PlannedStep], steps_done: Collection[str], deadline: datetime | None
) -> datetime | None:
    """The first of the instants of the steps to come, and of the deadline where it is still to be noted."""
    instants = [step.at for step in steps if step.name not in steps_done]
    if deadline is not None:
        instants.append(deadline)
    return min(instants, default=None)


def due_steps(lead: Lead, now: datetime) -> tuple[PlannedStep, ...]:
    """The steps whose instant has come and that were not decided yet, lowest first. Equal to now is due."""
    return tuple(step for step in lead.steps if step.at <= now and step.name not in lead.steps_done)


def wants_new_rep(lead: Lead, now: datetime) -> bool:
    """Whether a due step passes the lead on, so that the team's rotation and loads are needed to decide."""
    return lead.is_open and any(step.reassign for step in due_steps(lead, now))


def escalate(
    lead: Lead,
    team: Team | None,
    teams: Mapping[str, Team],
    tally: Tally,
    now: datetime,
    meanings: Meanings = PLAIN_MEANINGS,
) -> LeadChange | None:
    """The change that a lead's due instants call for at `now`; None where nothing is due.

    `team` is the lead's team as config has it now, None where config no longer has it: the alerts to named
    destinations still go out then, and the lead keeps its rep. A lead that nobody else can take is told of to
    the manager where the step tells nobody. `teams` are all of config's: one of them may get what this one cannot take.
    `meanings` is how a match reads the lead's values.
    """
    if not lead.is_open:
        return None
    due = due_steps(lead, now)
    changed, breach = breach_noted(lead, now, now)
    if not due and not breach:
        return None
    changed = replace(
        changed,
        version=lead.version + 1,
        steps_done=(*lead.steps_done, *(step.name for step in due)),
    )
    history = [*breach]
    counters = {"breaches": 1} if breach else {}
    pick: Pick | None = None
    if any(step.reassign for step in due):
        because = [f"team {lead.team} is no longer in the config"]
        if team is not None:
            had_it, facts = lead.reps_before, facts_of_record(lead, meanings)
            pick = assign(team, teams, tally, facts, now, had_it=had_it, instead_of=lead.rep)
            changed, because = given_to(changed, pick, now), list(pick.reasons)
        event = "lead.kept" if changed.rep == lead.rep else "lead.reassigned"
        history.append(HistoryEntry(now, event, {"from": lead.rep, "to": changed.rep, "because": because}))
    alerts: tuple[Alert, ...] = ()
    if due:
        alerts, decided = _decide_steps(changed, due, team, pick, now)
        history += decided
    changed = replace(changed, next_at=first_instant(changed))
    if pick is None or pick.rep is None:
        return LeadChange(changed, tuple(history), alerts, counters=counters)
    moved = _load_change(lead.rep, pick.rep.id)
    return LeadChange(changed, tuple(history), alerts, moved, pick.rotation, counters)


def _decide_steps(
    lead: Lead, due: tuple[PlannedStep, ...], team: Team | None, pick: Pick | None, now: datetime
) -> tuple[tuple[Alert, ...], list[HistoryEntry]]:
    """The alerts of the highest due instant, and a line of history for each step that stands there.

    Usually that is one step. Steps of the same instant are all decided: none was late, so none is skipped. Where they
    alert nobody (a reminder to the rep that comes after the breach), whoever a skipped step was to alert hears as well.
    """
    highest = [step for step in due if step.at == due[-1].at]
    if not any(step.alert for step in highest):
        unheard = next((step.alert for step in reversed(due) if step.alert), ())
        highest[-1] = highest[-1]._replace(alert=unheard)
    skipped = tuple(step.name for step in due if step.at < due[-1].at)
    passing_on = next((step for step in highest if step.reassign), highest[-1])
    alerts: tuple[Alert, ...] = ()
    history: list[HistoryEntry] = []
    for step in highest:
        passed = pick if step is passing_on else None
        told = alerts_of_step(lead, step, team, now, skipped=skipped, passed=passed)
        if passing_on.reassign and step is passing_on and (pick is None or pick.rep is None):
            told = told or alerts_of_step(lead, step._replace(alert=("manager",)), team, now, skipped=skipped)
            told = tuple(replace(alert, note=_NOBODY_LEFT) for alert in told)
        details = {"step": step.name, "skipped": list(skipped), "told": [alert.destination for alert in told]}
        history.append(HistoryEntry(now, "step.decided", details))
        alerts += told
    return alerts, history


def held_back(lead: Lead, since: datetime) -> tuple[Lead, tuple[str, ...]]:
    """The lead with its reminders and re-assignments held back until `hold` after `since`, and the names of those steps.

    Alerts are not: a manager hears of a breach whoever says "mine". A step that does both is parted, and the part that
    waits gets a name of its own, because a step has one key. They stay in order, a millisecond apart: one alert comes
    of them, which names the others.
    """
    until = since + lead.hold
    waiting = [
        step
        for step in lead.steps
        if step.name not in lead.steps_done and step.at < until and (step.remind or step.reassign)
    ]
    steps = {step.name: step for step in lead.steps}
    held: list[str] = []
    for before_last, whole in zip(reversed(range(len(waiting))), waiting, strict=True):
        name = whole.name
        if whole.tell or whole.alert:
            steps[name] = whole._replace(remind=(), reassign=False)
            name = f"{name}.held"
            while name in steps:
                name += "'"
        steps[name] = whole._replace(
            name=name,
            at=until - before_last * MILLISECOND,
            tell=(),
            alert=(),
            held_from=whole.held_from or whole.at,
        )
        held.append(name)
    if not held:
        return lead, ()
    changed = replace(lead, steps=tuple(sorted(steps.values(), key=lambda step: step.at)))
    return replace(changed, next_at=first_instant(changed)), tuple(held)


def hold_lifted(lead: Lead, now: datetime) -> Lead:
    """The lead with what an acknowledgement holds back at the instants planned, for it is somebody else's now.

    What should have come by `now` is left where it is: whoever has it was told of the lead just now, and is to have the time
    that is left.
    """
    held = [step for step in lead.steps if step.held_from is not None and step.held_from > now]
    if not held:
        return lead
    lifted = {step.name: step._replace(at=step.held_from or step.at, held_from=None) for step in held}
    steps = sorted((lifted.get(step.name, step) for step in lead.steps), key=lambda step: step.at)
    changed = replace(lead, steps=tuple(steps))
    return replace(changed, next_at=first_instant(changed))


def breach_noted(lead: Lead, at: datetime, now: datetime) -> tuple[Lead, tuple[HistoryEntry, ...]]:
    """The lead with its breach, and the line of history it adds, where it waited open until `at` and that is late.

    The lead as it is and no line where it is not late, or the breach is noted already. Late is from the deadline
    on, that instant included, and the breach is at the deadline, whenever somebody came to note it.
    """
    if not lead.is_open or lead.breached_at is not None or at < lead.deadline:
        return lead, ()
    entry = HistoryEntry(now, "lead.breached", {"deadline": to_iso(lead.deadline), "rep": lead.rep})
    return replace(lead, breached_at=lead.deadline), (entry,)


def alerts_of_step(
    lead: Lead,
    step: PlannedStep,
    team: Team | None,
    now: datetime,
    *,
    skipped: tuple[str, ...] = (),
    passed: Pick | None = None,
) -> tuple[Alert, ...]:
    """One alert for each destination the step names, deduplicated.

    Where the lead was passed on, its new rep is told in any case, and so is the one who had it.

    `alert` before the deadline is a reminder: nothing is breached yet. Decided late, on a lead that has been
    breached since, it is a breach like any other.
    """
    is_breach = step.at >= lead.deadline or lead.breached_at is not None
    alarm = AlertKind.BREACHED if is_breach else AlertKind.REMINDER
    wanted: dict[str, AlertKind] = {}
    for kind, targets in (
        (AlertKind.ASSIGNED, step.tell),
        (AlertKind.REMINDER, step.remind),
        (alarm, step.alert),
    ):
        for target in targets:
            home = passed.team if passed is not None and passed.rep and target == "rep" else team
            for destination in destinations_of(target, home, lead.rep):
                wanted[destination] = _stronger(kind, wanted.get(destination))
    notes: dict[str, str] = {}
    if passed is not None and passed.rep is not None:
        destination = passed.rep.notify or passed.team.manager
        wanted[destination] = _stronger(AlertKind.REASSIGNED, wanted.get(destination))
        before = lead.reps_before[-1] if lead.reps_before else None
        old = told_of_loss(before, team, passed.rep)
        if old is not None and old[0] not in wanted:
            wanted[old[0]] = AlertKind.REASSIGNED
            notes[old[0]] = old[1]
    late = max((now - step.at).total_seconds(), 0.0)
    return tuple(
        Alert(
            *(lead.id, step.name, destination, kind, now, late, skipped, lead.team, lead.rep),
            note=notes.get(destination, ""),
        )
        for destination, kind in wanted.items()
    )


def told_of_loss(before: str | None, team: Team | None, now_theirs: Rep) -> tuple[str, str] | None:
    """Where the rep who had the lead hears that it was passed on, and in what words. None where nobody had it."""
    destination = destination_of("rep", team, before) if before else None
    if destination is None:
        return None
    rep = team.rep(before) if team else None
    name = rep.name if rep else before
    return destination, f"{name} need not answer it any more: {now_theirs.name} has it now."


def destinations_of(target: str, team: Team | None, rep_id: str | None) -> tuple[str, ...]:
    """The destinations a step's target means: those of `destination_of`, and for `team` each rep's own, once.

    A team of which no rep has a `notify` is heard of by its manager.
    """
    if target == "team":
        theirs = dict.fromkeys(rep.notify for rep in team.reps if rep.notify) if team is not None else {}
        return tuple(theirs) or destinations_of("manager", team, rep_id)
    found = destination_of(target, team, rep_id)
    return () if found is None else (found,)


def destination_of(target: str, team: Team | None, rep_id: str | None) -> str | None:
    """The one destination a step's target means: `rep`, `manager`, `level:N`, or a destination by its own name.

    A rep without a `notify` (or a lead without a rep) is heard of by the manager: somebody must be.
    """
    if target.startswith(LEVEL):
        return team.level(int(target.removeprefix(LEVEL))) if team is not None else None
    if target not in ("rep", "manager"):
        return target
    if team is None:
        return None
    rep = team.rep(rep_id) if target == "rep" else None
    return rep.notify if rep is not None and rep.notify else team.manager


def _stronger(kind: AlertKind, other: AlertKind | None) -> AlertKind:
    return kind if other is None else min(kind, other, key=_STRENGTH.index)


def facts_of_record(lead: Lead, meanings: Meanings) -> Facts:
    """What a match of assignment can ask of a lead that was routed before, its values read as when it came."""
    known = {"form": lead.form, "channel": lead.channel, "campaign": lead.campaign or None}
    derived = meanings.derived(lead.lead, lead.received_at, lead.form)
    return Facts(facts_of(lead.lead) | known | derived, spellings=meanings.spellings)


def given_to(lead: Lead, pick: Pick, now: datetime) -> Lead:
    """The lead with the rep who was picked, in that rep's team; as it is where nobody was."""
    return lead if pick.rep is None else with_rep(lead, pick.team, pick.rep, now)


def with_rep(lead: Lead, team: Team, rep: Rep, now: datetime) -> Lead:
    """The lead with another rep, who has not said "mine" of it."""
    before = (*lead.reps_before, lead.rep) if lead.rep else lead.reps_before
    changed = replace(lead, team=team.name, rep=rep.id, reps_before=before, acknowledged_at=None)
    return hold_lifted(changed, now)


def _load_change(old: str | None, new: str | None) -> dict[str, int]:
    change: dict[str, int] = {}
    if old:
        change[old] = -1
    if new:
        change[new] = change.get(new, 0) + 1
    return change


def fallback_of(
    alert: Alert, team: Team | None, fallback_destination: str, why: str, now: datetime
) -> Alert | None:
    """Who hears it instead of a destination that could not be reached: the team's manager, then `fallback_destination`.

    None where both were tried: then only the dead alerts have it. The step is named after the destination it stands
    in for, so that its key is its own.
    """
    chain = [team.manager] if team else []
    chain.append(fallback_destination)
    if alert.destination in chain:
        chain = chain[chain.index(alert.destination) + 1 :]
    chain = [name for name in chain if name not in (alert.destination, alert.fallback_for)]
    if not chain:
        return None
    first = alert.fallback_for or alert.destination
    return replace(
        alert,
        step=f"{alert.step.partition('~')[0]}~{first}",
        destination=chain[0],
        decided_at=now,
        note=" ".join(filter(None, (alert.note, f"{alert.destination} could not be reached: {why}."))),
        fallback_for=first,
        attempts=0,
        unknown_attempts=0,
    )
