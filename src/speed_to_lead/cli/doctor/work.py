"""What runs on the server: is anything late, silent, unaccounted for or put aside?"""

from collections.abc import Iterator
from datetime import timedelta

from speed_to_lead.cli.doctor.diagnosis import Diagnosis, Severity
from speed_to_lead.cli.operate import balance_in_words, pulses_of, stages_of
from speed_to_lead.cli.output import counted, safe
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.message import span_text
from speed_to_lead.store import Store


def check_work(store: Store, *, with_processes: bool) -> Iterator[Diagnosis]:
    """What is late, silent, unaccounted for or put aside."""
    health, books = store.operations.health(), store.operations.ledger()
    if with_processes:
        for pulse in pulses_of(health.heartbeats):
            if pulse.is_dead:
                ago = (
                    "never gave a sign of life"
                    if pulse.silent_for is None
                    else f"has been silent for {span_text(timedelta(seconds=pulse.silent_for))}"
                )
                yield Diagnosis(
                    Severity.PROBLEM, f"processes: the {safe(pulse.stage)} {ago}", *_without(pulse.stage)
                )
            else:
                alive = counted(pulse.processes, "process", "processes")
                yield Diagnosis(Severity.OK, f"processes: the {safe(pulse.stage)} works ({alive})")
    for stage in stages_of(health):
        if stage.is_late:
            yield Diagnosis(
                Severity.PROBLEM,
                f"{stage.name}: {stage.depth:,} {stage.unit} {stage.meaning}, the oldest for "
                f"{span_text(timedelta(seconds=stage.lag))}",
                "leads are answered late",
                "see that its workers run and keep up; start more of them, any number may run",
            )
    balance = balance_in_words(books)
    if books.difference:
        yield Diagnosis(
            Severity.PROBLEM,
            balance,
            "somebody who wrote may not be answered",
            "`speed-to-lead ledger` shows the numbers; did somebody delete keys or entries of the stream by hand?",
        )
    else:
        yield Diagnosis(Severity.OK, balance)
    yield from _put_aside(store)


def _put_aside(store: Store) -> Iterator[Diagnosis]:
    health = store.operations.health()
    for lead_id, error in store.leads.quarantined().items():
        yield Diagnosis(
            Severity.PROBLEM,
            f"quarantine: lead {lead_id}: {error}",
            "its clock stands still: nobody is reminded or alerted",
            f"answer it by hand (speed-to-lead leads show {lead_id}) and report the error as a bug; "
            f"when it is mended: speed-to-lead leads release {lead_id}",
        )
    if health.waiting:
        oldest = span_text(timedelta(seconds=health.waiting_oldest))
        yield Diagnosis(
            Severity.WARNING,
            f"{counted(health.waiting, 'lead')} without a rep, the oldest for {oldest}",
            "nobody of their teams was available when they came, and their deadlines run; they are handed out the moment "
            "somebody is",
            "speed-to-lead reps list says who is not and why; give one away by hand: speed-to-lead leads reassign",
        )
    for name, one in store.outbox.disabled().items():
        yield Diagnosis(
            Severity.PROBLEM,
            f'destination "{name}" is disabled since {to_iso(one.at)}: it refuses for ever ({one.why})',
            "its alerts go to managers and the fallback instead",
            f"mend it; try it: speed-to-lead alerts test {name}; then speed-to-lead alerts redrive --all-dead",
        )
    if health.dead_alerts:
        yield Diagnosis(
            Severity.PROBLEM,
            f"{counted(health.dead_alerts, 'alert')} given up",
            "their destinations were not told; where there is a fallback, it was told instead",
            "speed-to-lead alerts list --dead; mend the destination; speed-to-lead alerts redrive --all-dead",
        )
    if health.dead_letters:
        yield Diagnosis(
            Severity.WARNING,
            f"{counted(health.dead_letters, 'dead letter')}",
            "each may be somebody who waits for an answer",
            "speed-to-lead dead-letters list; mend the form or config; speed-to-lead dead-letters replay --all",
        )


def _without(stage: str) -> tuple[str, str]:
    """What stands still without a stage, and how to start it."""
    workers = {"router": ("route", "no lead reaches a rep"), "clock": ("clock", "no deadline is watched"),
               "courier": ("deliver", "no alert goes out")}  # fmt: skip
    if stage in workers:
        queue, causes = workers[stage]
        command = f"celery -A speed_to_lead.worker.app worker -Q {queue} -P solo, and one celery beat"
        return causes, f"start it: {command} (or speed-to-lead up)"
    if stage == "web":
        return "form tools are not answered", "start it: speed-to-lead web"
    if stage == "watchdog":
        return "nobody is told when a stage stops", "start it: speed-to-lead watchdog"
    if stage == "auditor":
        return (
            "nobody looks for contradictions",
            "restart the clock, which runs it; its log says why (task.failed)",
        )
    return "its work stands still", "start it again"
