"""`status` and `ledger`: is anything late, silent or unaccounted for?"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import typer

from speed_to_lead.cli.connect import opened_store, settings_of_this_shell
from speed_to_lead.cli.output import counted, safe, say, say_facts, say_json, say_table
from speed_to_lead.cli.rollout import (
    Rollout,
    directory_line,
    refusal_in_words,
    rollout_as_json,
    rollout_lines,
    rollout_of,
)
from speed_to_lead.cli.rules import JsonOption
from speed_to_lead.core.audit import Ledger
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.message import span_text
from speed_to_lead.flow import SILENT_AFTER
from speed_to_lead.store import Health

#: The oldest thing in a stage may be this many seconds past its time. What was put off is due in an hour at the soonest.
LATE_AFTER = {"queue": 5.0, "put off": 900.0, "clock": 5.0, "outbox": 30.0}
#: The stages without which leads stand still; the others count once they have been seen.
NEEDED_STAGES = ("router", "clock", "courier", "auditor")


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of the system: how much is in it, how far behind it is, and whether that is late."""

    name: str
    depth: int
    unit: str
    lag: float
    is_late: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Pulse:
    """The last sign of life of a stage, in seconds since; None where there never was one."""

    stage: str
    silent_for: float | None
    processes: int
    is_dead: bool


def status(as_json: JsonOption = False) -> None:
    """Depth and lag of every stage, who is alive, and with which config. Exit 1 when something is late, silent or refused."""
    with opened_store() as store:
        health, counters = store.operations.health(), store.operations.counters()
        rollout = rollout_of(store, health.heartbeats)
    here = directory_line(settings_of_this_shell().config_dir, rollout)
    audited = {name: n for name, n in counters.items() if name.startswith(("repaired:", "raised:"))}
    stages, pulses = stages_of(health), pulses_of(health.heartbeats)
    late = [stage.name for stage in stages if stage.is_late]
    silent = [pulse.stage for pulse in pulses if pulse.is_dead]
    if as_json:
        config = rollout_as_json(rollout) | {"directory_differs": here is not None}
        status = _status_as_json(health, stages, pulses, late, silent, rollout)
        say_json(status | {"auditor": audited, "config": config})
    else:
        _tell_status(health, stages, pulses, audited)
        for label, line in zip(("config", *[""] * 99), rollout_lines(rollout), strict=False):
            say(f"{label.ljust(len('config'))}  {line}")
        if here is not None:
            say(f"here    {here}")
        say()
        say(_verdict(late, silent, rollout))
    if late or silent or rollout.refusing:
        raise typer.Exit(1)


def stages_of(health: Health) -> list[Stage]:
    """Every stage with its depth and lag."""
    queue_late = health.queued > 0 and health.queued_oldest > LATE_AFTER["queue"]
    patient_late = health.patient > 0 and health.patient_oldest > LATE_AFTER["put off"]
    clock_late = health.due > 0 and health.due_oldest > LATE_AFTER["clock"]
    outbox_late = health.outbox_due > 0 and health.outbox_oldest > LATE_AFTER["outbox"]
    return [
        Stage("queue", health.queued, "submissions", health.queued_oldest, queue_late, "wait to be routed"),
        Stage(
            "put off",
            health.patient,
            "submissions",
            health.patient_oldest,
            patient_late,
            "let urgent ones pass",
        ),
        Stage(
            "clock",
            health.due,
            "leads",
            health.due_oldest if health.due else 0.0,
            clock_late,
            "are due for a step",
        ),
        Stage(
            "outbox",
            health.outbox,
            "alerts",
            health.outbox_oldest if health.outbox_due else 0.0,
            outbox_late,
            "wait to be delivered",
        ),
    ]


def pulses_of(heartbeats: Mapping[str, float]) -> list[Pulse]:
    """Every stage with its youngest sign of life. A process that was replaced does not make its stage silent."""
    ages: dict[str, list[float]] = {stage: [] for stage in NEEDED_STAGES}
    for process, age in heartbeats.items():
        ages.setdefault(process.partition("@")[0], []).append(age)
    return [
        Pulse(
            stage,
            min(found, default=None),
            sum(age <= SILENT_AFTER for age in found),
            is_dead=min(found, default=SILENT_AFTER + 1) > SILENT_AFTER,
        )
        for stage, found in ages.items()
    ]


def _tell_status(
    health: Health,
    stages: list[Stage],
    pulses: list[Pulse],
    audited: Mapping[str, int],
) -> None:
    say_table(
        ("stage", "waiting", "oldest", ""),
        (
            (
                stage.name,
                f"{stage.depth:,} {stage.unit} {stage.meaning}",
                span_text(timedelta(seconds=stage.lag)),
                "LATE" if stage.is_late else "in time",
            )
            for stage in stages
        ),
    )
    say()
    say_table(
        ("process", "alive", "last sign of life", ""),
        (
            (
                pulse.stage,
                pulse.processes,
                "never"
                if pulse.silent_for is None
                else f"{span_text(timedelta(seconds=pulse.silent_for))} ago",
                "SILENT" if pulse.is_dead else "working",
            )
            for pulse in pulses
        ),
    )
    say()
    say_facts(
        [
            ("open leads", f"{health.open_leads:,}"),
            ("without a rep", _waiting_in_words(health)),
            ("form tools", _fetches_in_words(health)),
            ("dead letters", _with_command(health.dead_letters, "speed-to-lead dead-letters list")),
            ("dead alerts", _with_command(health.dead_alerts, "speed-to-lead alerts list --dead")),
            ("quarantined", _with_command(health.quarantined, "speed-to-lead doctor")),
            *((f"auditor {name}", f"{count:,}") for name, count in sorted(audited.items())),
        ],
        indent="",
    )
    say()


def _waiting_in_words(health: Health) -> str:
    """How many leads wait until somebody of their team is available, and for how long."""
    if not health.waiting:
        return "0"
    oldest = span_text(timedelta(seconds=health.waiting_oldest))
    return f"{health.waiting:,}, the oldest for {oldest}  → speed-to-lead reps list"


def _fetches_in_words(health: Health) -> str:
    """How many submissions of ids only wait for their form tool to say who that is, and for how long."""
    if not health.fetches:
        return "0"
    oldest = span_text(timedelta(seconds=health.fetches_oldest))
    return f"{counted(health.fetches, 'question')} of who somebody is, the oldest for {oldest}"


def _with_command(number: int, command: str) -> str:
    return f"{number:,}  → {command}" if number else "0"


def _verdict(late: list[str], silent: list[str], rollout: Rollout) -> str:
    if not late and not silent and not rollout.refusing:
        return "Nothing is late."
    parts = [f"late: {', '.join(late)}"] if late else []
    parts += [f"no sign of life from: {', '.join(safe(stage) for stage in silent)}"] if silent else []
    parts += [f"config refused by {refusal_in_words(name, said)}" for name, said in rollout.refusing.items()]
    return f"Not well: {'; '.join(parts)}."


def _status_as_json(
    health: Health,
    stages: list[Stage],
    pulses: list[Pulse],
    late: list[str],
    silent: list[str],
    rollout: Rollout,
) -> dict[str, Any]:
    return {
        "now": to_iso(health.now),
        "well": not late and not silent and not rollout.refusing,
        "late": late,
        "silent": silent,
        "stages": {
            stage.name: {"waiting": stage.depth, "oldest_seconds": round(stage.lag, 3), "late": stage.is_late}
            for stage in stages
        },
        "open_leads": health.open_leads,
        "waiting_for_a_rep": {"leads": health.waiting, "oldest_seconds": round(health.waiting_oldest, 3)},
        "asked_of_form_tools": {
            "submissions": health.fetches,
            "oldest_seconds": round(health.fetches_oldest, 3),
        },
        "queue_pending": health.pending,
        "outbox_due": health.outbox_due,
        "dead_letters": health.dead_letters,
        "dead_alerts": health.dead_alerts,
        "quarantined": health.quarantined,
        "pulses": {
            pulse.stage: {
                "silent_seconds": pulse.silent_for,
                "alive": pulse.processes,
                "silent": pulse.is_dead,
            }
            for pulse in pulses
        },
        "processes": {process: round(age, 3) for process, age in health.heartbeats.items()},
    }


def ledger(as_json: JsonOption = False) -> None:
    """Is every submission accounted for? Exit 1 when one is not."""
    with opened_store() as store:
        books = store.operations.ledger()
    if as_json:
        say_json(asdict(books) | {"difference": books.difference, "balances": books.difference == 0})
    else:
        for line in ledger_lines(books):
            say(line)
    if books.difference:
        raise typer.Exit(1)


def ledger_lines(books: Ledger) -> list[str]:
    """The equation in words and numbers, and whether it holds."""
    rows = [
        ("received", books.received, "submissions stored in the queue, ever"),
        ("= leads", books.leads, "new leads"),
        ("+ touches", books.touches, "further submissions of somebody whose lead was open"),
        ("+ duplicates", books.duplicates, "the same submission again"),
        ("+ tests", books.tests, "test deliveries"),
        ("+ dead letters", books.dead_letters, "could not be read (those discarded included)"),
        ("+ in flight", books.in_flight, "in the queue now"),
    ]
    width = max(len(f"{number:,}") for _, number, _ in rows)
    lines = [f"{label.ljust(14)}  {number:>{width},}  {meaning}" for label, number, meaning in rows]
    return [*lines, "", balance_in_words(books)]


def balance_in_words(books: Ledger) -> str:
    """`balances`, or what is missing and in which direction."""
    if books.difference == 0:
        return "The ledger balances."
    if books.difference > 0:
        return f"The ledger does NOT balance: {counted(books.difference, 'submission')} unaccounted for."
    return (
        f"The ledger does NOT balance: {counted(-books.difference, 'submission')} more accounted for than received "
        f"({books.difference:,} unaccounted)."
    )
