"""`alerts`: what is under way, what was given up, and whether a destination can be reached at all."""

import os
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from speed_to_lead.cli import new_group
from speed_to_lead.cli.connect import NotFound, opened_store, settings_of_this_shell
from speed_to_lead.cli.output import counted, hint, safe, say, say_json, say_table
from speed_to_lead.cli.rules import ConfigOption, JsonOption
from speed_to_lead.cli.rules_in_use import rules_in_use
from speed_to_lead.config.mistakes import hint as nearest_word
from speed_to_lead.core.clock import to_iso, to_ms
from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.core.lead import Alert, AlertKind
from speed_to_lead.core.message import compose_system
from speed_to_lead.store import Result
from speed_to_lead.workplace import channels

app = new_group("Alerts under way and given up; try a destination.")

#: Dead alerts one `redrive --all-dead` takes.
AT_ONCE = 10_000

_IN_WORDS = {
    Outcome.DELIVERED: "took the message",
    Outcome.REFUSED: "refuses the message, and would each time",
    Outcome.RATE_LIMITED: "wants fewer messages just now; alerts would wait and be tried again",
    Outcome.NOT_DELIVERED: "was not reached; alerts would be tried again",
    Outcome.UNKNOWN: "gave no answer, so the message may have arrived or not",
}


@app.command("list")
def list_alerts(
    dead: Annotated[bool, typer.Option("--dead", help="Those given up instead of those under way.")] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=AT_ONCE, help="Show at most N.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Alerts not delivered yet, soonest first; with --dead those given up, newest first."""
    with opened_store() as store:
        found = (
            [(one.alert, one.at) for one in store.outbox.dead(limit)] if dead else store.outbox.waiting(limit)
        )
    label = "given_up_at" if dead else "next_attempt_at"
    if as_json:
        say_json({"alerts": [_as_json(alert) | {label: to_iso(at)} for alert, at in found]})
        return
    if not found:
        hint(
            "No alert was given up."
            if dead
            else "No alert is waiting: everything was delivered, or given up (--dead)."
        )
        return
    columns = ("alert", "about", "given up" if dead else "next attempt", "attempts", "note")
    say_table(columns, ((alert.key, alert.kind, at, alert.attempts, alert.note) for alert, at in found))
    if dead:
        hint("Mend the destination (speed-to-lead alerts test DESTINATION), then redrive them.")


@app.command()
def redrive(
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="[KEY]", show_default=False, help="The alert, as `alerts list --dead` shows it."
        ),
    ] = None,
    all_dead: Annotated[bool, typer.Option("--all-dead", help="All of those given up.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Try alerts again that were given up. Those whose lead was answered meanwhile are dropped."""
    if (key is None) != all_dead:
        raise typer.BadParameter("give the key of one alert, or --all-dead", param_hint="redrive")
    with opened_store() as store:
        now = store.now()
        keys = [key] if key is not None else [one.alert.key for one in store.outbox.dead(AT_ONCE)]
        redriven = [one for one in keys if store.outbox.redrive(one, now) is not Result.GONE]
    if key is not None and not redriven:
        raise NotFound(
            f'no alert "{safe(key)}" was given up; `speed-to-lead alerts list --dead` shows those that were'
        )
    if as_json:
        say_json({"redriven": redriven})
    elif redriven:
        say(f"{counted(len(redriven), 'alert')} will be tried again within seconds.")
    else:
        say("No alert was given up, so there is nothing to try again.")


@app.command("test")
def send_test(
    destination: Annotated[str, typer.Argument(metavar="DESTINATION", help="A name of alerts.toml.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test message to a destination, now and directly, and say what came back. Needs no server.

    It is the destination of --config; else of the version that is live, where a server is set, answers, and has one; else of
    the directory.
    """
    settings_of_this_shell()
    used = rules_in_use(config)
    used.tell()
    destinations = used.configuration.destinations
    known = destinations.get(destination)
    if known is None:
        raise NotFound(
            f'alerts.toml has no destination "{safe(destination)}"; {nearest_word(destination, destinations)}'
        )
    now = datetime.now(UTC)
    alert = Alert(
        "test", f"test-{to_ms(now)}", destination, AlertKind.TEST, now, note="Sent by hand; nobody waits."
    )
    message = compose_system(alert, f"This is a test of the destination {destination}")
    attempt = channels(destinations, os.environ)(destination).send(message, now)
    if as_json:
        say_json(
            {
                "destination": destination,
                "type": known.type,
                "outcome": attempt.outcome.value,
                "detail": attempt.detail,
                "key": alert.key,
                "config": used.as_json(),
            }
        )
    else:
        say(_verdict(destination, known.type, attempt))
    if attempt.outcome is not Outcome.DELIVERED:
        raise typer.Exit(1)


def _verdict(destination: str, kind: str, attempt: Attempt) -> str:
    detail = f": {attempt.detail}" if attempt.detail else ""
    wait = f" (asks to wait {attempt.retry_after.total_seconds():.0f} s)" if attempt.retry_after else ""
    return f"{destination} ({kind}) {_IN_WORDS[attempt.outcome]}{detail}{wait}."


def _as_json(alert: Alert) -> dict[str, Any]:
    return {
        "key": alert.key,
        "kind": alert.kind.value,
        "lead_id": alert.lead_id,
        "step": alert.step,
        "destination": alert.destination,
        "decided_at": to_iso(alert.decided_at),
        "attempts": alert.attempts,
        "team": alert.team,
        "rep": alert.rep,
        "skipped_steps": list(alert.skipped_steps),
        "note": alert.note,
        "fallback_for": alert.fallback_for,
    }
