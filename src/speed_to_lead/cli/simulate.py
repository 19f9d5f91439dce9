"""`config simulate`: what a candidate would have done with the leads of the past, before it decides about those to come.

    past_leads.py        which leads, in the order they came
    core/simulation.py   both configs' answers, compared
    simulation_page.py   the same as a page with plots

Exit codes: 0 nothing changes, 1 something does or a lead could not be read, 2 wrong usage, a mistake in a config, or
no server.
"""

import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from speed_to_lead.cli.output import counted, hint, safe, say, say_facts, say_json, say_table
from speed_to_lead.cli.past_leads import PastLeads
from speed_to_lead.cli.rules import ConfigOption, JsonOption, directory_of_rules, read_rules
from speed_to_lead.cli.rules_in_use import RulesInUse, rules_in_use
from speed_to_lead.config import ConfigError, Configuration, warnings_of
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.message import span_text
from speed_to_lead.core.simulation import (
    ASSUMPTIONS,
    KINDS,
    Difference,
    PastLead,
    Placement,
    Simulation,
)
from speed_to_lead.core.sla import parse_duration

#: Changed leads that are named one by one; beyond them they are counted, so that memory stays bounded.
LISTED = 100_000
_SINCE = "30d"


def simulate(
    candidate: Annotated[
        Path, typer.Argument(metavar="CANDIDATE", help="Directory of the rules to try.", show_default=False)
    ],
    since: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help=f"Replay the store's leads of so long; {_SINCE} if left out."),
    ] = None,
    leads: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Replay these instead, without a server: JSON lines as `config explain` takes them, or as `leads list "
            "--json` prints them; - for standard input.",
        ),
    ] = None,
    config: ConfigOption = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with plots to this file as well.")
    ] = None,
    show: Annotated[int, typer.Option(metavar="N", min=0, help="Name at most N changed leads.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Replay past leads through the running config and a candidate: what changes. Nothing is written to the store.

    Running is the config of --config; else the version that is live, where a server is set, answers, and has one; else the directory's.

    Exit code 0 when nothing changes, 1 when something does (or a line could not be read), 2 when it cannot be done.
    """
    if since is not None and leads is not None:
        raise typer.BadParameter(
            "--since is about the store's leads; give one of the two", param_hint="--leads"
        )
    span = _span(since or _SINCE)
    if html is not None and not html.absolute().parent.is_dir():
        raise typer.BadParameter(f'there is no directory "{html.absolute().parent}"', param_hint="--html")
    used, proposed = _both_configs(config, candidate, as_json=as_json)
    running = used.configuration
    used.tell()
    gc.freeze()  # the rules stay: the collector need not walk thousands of them again and again
    with ExitStack() as stack:
        if leads is None:
            from speed_to_lead.cli.connect import opened_store  # noqa: PLC0415 - slow, and a file needs no server

            store = stack.enter_context(opened_store())
            now = store.now()
            past = PastLeads(running, proposed, now)
            asked = past.of_store(store, now - span)
        else:
            now = datetime.now(UTC)
            past = PastLeads(running, proposed, now)
            asked = past.of_file(leads)
        simulation = Simulation(running.rulebook, proposed.rulebook, now)
        changed: list[Difference] = []
        for one in _with_progress(asked):
            difference = simulation.replay(one)
            if difference is not None and len(changed) < LISTED:
                changed.append(difference)
    names = {
        "running": used.as_json(),
        "candidate": {"directory": str(candidate), "digest": proposed.rulebook.digest},
    }
    where = {"leads_from": leads if leads is not None else f"the store, the last {since or _SINCE}"}
    if html is not None:
        from speed_to_lead.cli.simulation_page import page  # noqa: PLC0415 - hardly ever wanted

        html.write_text(page(simulation, changed, names, past.skipped, now), encoding="utf-8")
    if as_json:
        say_json({**names, **where, **_as_json(simulation, changed, past)})
    else:
        _tell(simulation, changed, past, show)
        if html is not None:
            hint(f"The page with the plots is {html}.")
    if simulation.changed or past.skipped.count:
        raise typer.Exit(1)


def _span(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None


def _both_configs(given: Path | None, candidate: Path, *, as_json: bool) -> tuple[RulesInUse, Configuration]:
    """Both configs; where one has mistakes, those of both are told as `config check` tells them, and it ends."""
    mistakes: dict[str, dict[str, Any]] = {}
    running = _or_mistakes("running", directory_of_rules(given), lambda: rules_in_use(given), mistakes)
    proposed = _or_mistakes("candidate", candidate, lambda: read_rules(candidate), mistakes)
    if running is None or proposed is None:
        if as_json:
            say_json({"good": False, **mistakes})
        raise typer.Exit(2)
    now = datetime.now(UTC)
    known = set(map(str, warnings_of(running.configuration, now)))
    for warning in warnings_of(proposed, now):
        if str(warning) not in known:
            hint(f"candidate: warning: {warning}")
    return running, proposed


_Rules = TypeVar("_Rules")


def _or_mistakes(
    name: str, place: Path, read: Callable[[], _Rules], mistakes: dict[str, dict[str, Any]]
) -> _Rules | None:
    """What is read, or None: then its mistakes are told, and noted under that name."""
    try:
        return read()
    except ConfigError as error:
        told = [{"file": one.file, "place": one.place, "problem": one.problem} for one in error.mistakes]
        mistakes[name] = {"directory": str(place), "mistakes": told}
        for mistake in error.mistakes:
            hint(f"{name}: {mistake}")
        hint(f"{counted(len(error.mistakes), 'mistake')} in {place}; nothing was replayed")
    return None


def _with_progress(asked: Iterable[PastLead]) -> Iterator[PastLead]:
    """The leads, counted on a terminal as they go by."""
    if not sys.stderr.isatty():
        yield from asked
        return
    from rich.console import Console  # noqa: PLC0415 - only for terminals
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} leads replayed"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(asked, total=None, update_period=0.5)


# --- telling ---------------------------------------------------------------------------------------------------


def _as_json(simulation: Simulation, changed: list[Difference], past: PastLeads) -> dict[str, Any]:
    moved = _moved(simulation)
    return {
        "leads": simulation.leads,
        "first_at": simulation.first_at,
        "last_at": simulation.last_at,
        "changed": simulation.changed,
        "changes": {kind: simulation.kinds[kind] for kind in KINDS},
        "deadlines": moved,
        "breaches": asdict(simulation.breaches),
        "load": {
            "teams": [
                {"day": _day(day), "team": team, "before": before, "after": after}
                for day, team, before, after in simulation.load_of_teams()
            ],
            "reps": [
                {
                    "day": _day(load.day),
                    "team": load.team,
                    "rep": load.rep or None,
                    "before": before,
                    "after": after,
                }
                for load, before, after in simulation.load_of_reps()
            ],
        },
        "skipped": {
            "count": past.skipped.count,
            "lines": [{"line": line, "error": problem} for line, problem in past.skipped.problems],
        },
        "left_out": dict(past.skipped.left_out),
        "assumptions": ASSUMPTIONS.split("; "),
        "changed_leads": [_difference_as_json(one) for one in changed],
    }


def _difference_as_json(one: Difference) -> dict[str, Any]:
    line = {"line": one.line} if one.line is not None else {}
    return {
        "id": one.id,
        **line,
        "received_at": one.received_at,
        "changed": list(one.kinds),
        "deadline_moves": direction(one.shift),
        "deadline_moves_seconds": one.shift.total_seconds(),
        "before": _placement_as_json(one.before),
        "after": _placement_as_json(one.after),
    }


def _placement_as_json(placement: Placement) -> dict[str, Any]:
    if placement.problem:
        return {"error": placement.problem}
    return {name: value for name, value in placement._asdict().items() if name != "problem"}


def direction(shift: timedelta) -> str:
    """`earlier`, `later` or `same`."""
    return "later" if shift > timedelta() else "earlier" if shift < timedelta() else "same"


def _moved(simulation: Simulation) -> dict[str, int]:
    shifts = simulation.shifts.items()
    return {
        "earlier": sum(count for place, count in shifts if place < 0),
        "later": sum(count for place, count in shifts if place > 0),
        "same": simulation.shifts[0],
    }


def _day(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat()


def _tell(simulation: Simulation, changed: list[Difference], past: PastLeads, show: int) -> None:
    for line, problem in past.skipped.problems:
        hint(f"line {line}: {problem}" if line is not None else problem)
    if past.skipped.count:
        hint(
            f"{counted(past.skipped.count, 'line')} could not be read, and {'is' if past.skipped.count == 1 else 'are'} skipped"
        )
    for reason, count in past.skipped.left_out.items():
        hint(f"{counted(count, 'lead')} left out: {reason}")
    if not simulation.leads:
        say("There are no leads to replay.")
        return
    assert simulation.first_at is not None
    assert simulation.last_at is not None
    say(
        f"{counted(simulation.leads, 'lead')} replayed, received {to_iso(simulation.first_at)} to {to_iso(simulation.last_at)}"
    )
    if not simulation.changed:
        say("Nothing changes: every lead gets the same rule, team, rep, SLA, deadline and steps.")
    else:
        _tell_changes(simulation, changed, show)
    _tell_breaches(simulation)
    say()
    say("What is assumed:")
    for assumption in ASSUMPTIONS.split("; "):
        say(f"  {assumption}")


def _tell_changes(simulation: Simulation, changed: list[Difference], show: int) -> None:
    share = simulation.changed / simulation.leads
    say(
        f"{counted(simulation.changed, 'lead')} {'changes' if simulation.changed == 1 else 'change'} ({share:.1%})"
    )
    moved = _moved(simulation)
    say_facts([
        (kind if kind != "routed" else "routed at all", f"{simulation.kinds[kind]:,}" + (
            f"  ({moved['earlier']:,} earlier, {moved['later']:,} later)" if kind == "deadline" else ""
        ))
        for kind in KINDS
        if simulation.kinds[kind]
    ])  # fmt: skip
    if changed[:show]:
        say()
        say_table(
            ("lead", "received", "what changes"),
            ((_name(one), one.received_at, _in_words(one)) for one in changed[:show]),
        )
        if simulation.changed > show:
            hint(f"The first {show:,} of {simulation.changed:,}; --show N names more, --json all of them.")
    say()
    _tell_load(simulation)


def _name(one: Difference) -> str:
    return str(one.id) if one.id is not None else f"line {one.line}"


def _in_words(one: Difference) -> str:
    before, after = one.before, one.after
    if before.problem or after.problem:
        return f"not routed any more: {after.problem}" if after.problem else "routed, and was not before"
    parts = []
    for kind in one.kinds:
        if kind == "deadline" and before.deadline is None:
            parts.append("a deadline, and had none")
        elif kind == "deadline" and after.deadline is None:
            parts.append("no deadline any more")
        elif kind == "deadline":
            parts.append(f"deadline {span_text(abs(one.shift))} {direction(one.shift)}")
        elif kind == "steps":
            parts.append("other steps")
        else:
            parts.append(f"{kind} {getattr(before, kind) or 'nobody'} → {getattr(after, kind) or 'nobody'}")
    return safe("; ".join(parts))


def _tell_load(simulation: Simulation) -> None:
    """Leads of each team and rep: all of them, and those of their busiest day."""
    totals: dict[tuple[str, str], list[int]] = {}
    rows: list[tuple[str, str, int, int]] = [
        (team, "", before, after) for _, team, before, after in simulation.load_of_teams()
    ]
    rows += [
        (load.team, load.rep or "(nobody)", before, after)
        for load, before, after in simulation.load_of_reps()
    ]
    for team, rep, before, after in rows:
        total = totals.setdefault((team, rep), [0, 0, 0, 0])
        total[0] += before
        total[1] += after
        total[2], total[3] = max(total[2], before), max(total[3], after)
    days = (
        max((simulation.last_at - simulation.first_at).days, 0) + 1
        if simulation.first_at and simulation.last_at
        else 1
    )
    say_table(
        ("team", "rep", "leads before", "after", "a day before", "after", "busiest day before", "after"),
        (
            (
                team,
                rep or "all",
                total[0],
                total[1],
                f"{total[0] / days:.1f}",
                f"{total[1] / days:.1f}",
                total[2],
                total[3],
            )
            for (team, rep), total in sorted(totals.items())
        ),
    )


def _tell_breaches(simulation: Simulation) -> None:
    breaches = simulation.breaches
    if not breaches.judged:
        return
    say()
    say(f"Late answers, of {counted(breaches.judged, 'lead')} of which the end is known:")
    say_facts([
        ("as it happened", f"{breaches.recorded:,}, of which {breaches.recorded_still:,} would be late under the candidate too"),
        ("running config", f"{breaches.before:,} by the deadlines it gives"),
        ("candidate", f"{breaches.after:,}: {breaches.avoided:,} fewer, {breaches.new:,} new"),
    ])  # fmt: skip
