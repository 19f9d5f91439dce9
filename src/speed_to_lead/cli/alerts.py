"""`alerts`: what is under way, what was given up, and whether a destination can be reached at all."""

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from speed_to_lead.cli import new_group
from speed_to_lead.cli.connect import NotFound, opened_store, settings_of_this_shell
from speed_to_lead.cli.output import counted, hint, safe, say, say_json, say_table
from speed_to_lead.cli.rules import ConfigOption, JsonOption
from speed_to_lead.cli.rules_in_use import rules_in_use
from speed_to_lead.config.mistakes import hint as nearest_word
from speed_to_lead.config.templates import SAMPLE, SPARSE
from speed_to_lead.core.clock import to_iso, to_ms
from speed_to_lead.core.delivery import Attempt, Destination, Outcome
from speed_to_lead.core.lead import Alert, AlertKind
from speed_to_lead.core.message import Message, compose_system
from speed_to_lead.core.wording import Detail, Wording, plainly
from speed_to_lead.destinations import follows_leads
from speed_to_lead.destinations.channel import RefusingChannel
from speed_to_lead.store import Result
from speed_to_lead.workplace import channels

app = new_group("Alerts under way and given up; try a destination.")

#: Dead alerts one `redrive --all-dead` takes.
AT_ONCE = 10_000

_IN_WORDS = {
    Outcome.DELIVERED: "took the message",
    Outcome.REFUSED: "refuses the message, and would refuse it each time",
    Outcome.RATE_LIMITED: "wants fewer messages just now; alerts would wait and be tried again",
    Outcome.NOT_DELIVERED: "did not take the message; alerts would be tried again",
    Outcome.UNKNOWN: "did not say whether it took the message, so it may have arrived or not",
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
        disabled = store.outbox.disabled()
    label = "given_up_at" if dead else "next_attempt_at"
    if as_json:
        say_json(
            {
                "alerts": [_as_json(alert) | {label: to_iso(at)} for alert, at in found],
                "disabled": {
                    name: {"since": to_iso(one.at), "until": to_iso(one.until), "why": one.why}
                    for name, one in disabled.items()
                },
            }
        )
        return
    for name, one in disabled.items():
        hint(
            f"{name} is sent nothing until {to_iso(one.until)}: it refused for ever at {to_iso(one.at)}: {safe(one.why)}."
        )
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
        for destination in dict.fromkeys(one.rpartition(":")[2] for one in redriven):
            store.outbox.enable(destination)  # whoever asks for another try means it
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
    """Send a sample of a real alert to a destination, now and directly, and say what came back. Needs no server.

    Where what was sent can be brought up to date (a bot's message, an incident), it is, to the end: nothing stays open.

    It is the destination of --config; else of the version that is live, where a server is set, answers, and has one; else of
    the directory.
    """
    settings_of_this_shell()
    used = rules_in_use(config)
    used.tell()
    rules = used.configuration
    destinations = rules.destinations
    known = destinations.get(destination)
    if known is None:
        has = f"it has {', '.join(sorted(destinations))}" if destinations else "it has none"
        raise NotFound(
            f'alerts.toml has no destination "{safe(destination)}"; {nearest_word(destination, destinations)} ({has})'
        )
    now = datetime.now(UTC)
    message = _sample(destination, rules.wording, known.detail, now)
    channel = channels(destinations, os.environ)(destination)
    attempt = channel.send(message, now)
    ended: Attempt | None = None
    if attempt.outcome is Outcome.DELIVERED and follows_leads(known):
        over = replace(
            message,
            headline=f"Over: {message.headline}",
            kind=AlertKind.MOVED,
            is_over=True,
            handle=attempt.handle,
        )
        ended = channel.send(over, now)
    if as_json:
        then = {"then": {"outcome": ended.outcome.value, "detail": ended.detail}} if ended else {}
        say_json(
            {
                "destination": destination,
                "type": known.type,
                "detail_told": known.detail.value,
                "outcome": attempt.outcome.value,
                "detail": attempt.detail,
                "key": message.key,
                **then,
                "config": used.as_json(),
            }
        )
    elif isinstance(channel, RefusingChannel):
        say(f"Nothing was sent to {destination} ({known.type}): {channel.why}.")
        say(_what_is_missing(known, os.environ))
    else:
        say(_verdict(destination, known.type, attempt))
        if ended is not None:
            say(f"Bringing it up to date: {_verdict(destination, known.type, ended)}")
        if advice := _advice(known, attempt):
            say(advice)
    if attempt.outcome is not Outcome.DELIVERED or (ended and ended.outcome is not Outcome.DELIVERED):
        raise typer.Exit(1)


def _sample(destination: str, wording: Wording, detail: Detail, now: datetime) -> Message:
    """What a missed deadline looks like there, by an invented lead."""
    words = SAMPLE if detail is Detail.FULL else SPARSE
    said = wording.say(AlertKind.BREACHED, words) or plainly(AlertKind.BREACHED, words)
    alert = Alert("test", f"test-{to_ms(now)}", destination, AlertKind.TEST, now)
    return replace(
        compose_system(alert, f"Test of {destination}: {said.headline}"),
        facts=said.facts,
        note="\n".join(
            filter(None, (said.note, "This is a test, sent by hand, about nobody: nobody waits."))
        ),
    )


def _verdict(destination: str, kind: str, attempt: Attempt) -> str:
    detail = f": {attempt.detail}" if attempt.detail else ""
    wait = f" (asks to wait {attempt.retry_after.total_seconds():.0f} s)" if attempt.retry_after else ""
    return f"{destination} ({kind}) {_IN_WORDS[attempt.outcome]}{detail}{wait}."


def _what_is_missing(known: Destination, environment: Mapping[str, str]) -> str:
    """What to set so that anything can be sent at all, all of it at once, and where to find it."""
    missing = [name for name in _variables_of(known) if not environment.get(name, "").strip()]
    if missing:
        deed = f"Set {' and '.join(missing)} in this shell to test it, and where the couriers run."
    else:
        deed = "Mend that in alerts.toml or in the environment: in this shell to test it, and where the couriers run."
    return " ".join(filter(None, (deed, _WHERE_FROM.get(known.type, ""))))


def _variables_of(known: Destination) -> list[str]:
    return [str(name) for key, name in known.options.items() if key.endswith("_env")]


def _advice(known: Destination, attempt: Attempt) -> str:
    """What to do, or where to look, after such an answer."""
    named = _variables_of(known)
    variables = f" ({', '.join(named)})" if named else ""
    name = _NAMES.get(known.type, known.type)
    deed = next((deed for word, deed in _OF_SLACK.items() if word in attempt.detail), "")
    was_reached = attempt.detail.startswith("HTTP")
    match attempt.outcome:
        case Outcome.DELIVERED:
            advice = _TO_BE_SEEN.get(known.type, "")
        case _ if known.type == "slack" and deed:
            advice = deed
        case _ if attempt.is_gone:
            advice = f"It refuses every message: it was deleted, or its secret{variables} is not valid any more. Make a new one there."
        case Outcome.REFUSED:
            advice = f"Compare what alerts.toml and the environment{variables} say with what {name} shows."
        case Outcome.NOT_DELIVERED if was_reached:
            advice = f"It was reached, so the way there is open: {name} cannot take anything just now."
        case Outcome.NOT_DELIVERED:
            advice = "Can this machine reach it? A proxy is taken from HTTPS_PROXY."
        case Outcome.UNKNOWN:
            advice = f"Look into {name} whether it is there. If it is, only the answer was lost."
        case _:
            advice = ""
    return advice


#: Words of Slack's for what a new token would not mend.
_OF_SLACK = {
    "not_in_channel": "Invite the bot: write /invite and its name in the channel.",
    "channel_not_found": "Is the option channel right? To a private channel the bot must be invited (/invite and its name).",
    "missing_scope": 'Give the app the scope chat:write under "OAuth & Permissions", and install it anew.',
    "is_archived": "The channel is archived: bring it back there, or choose another.",
}
#: Who is on the far side, in the words of those who use it.
_NAMES = {
    "slack": "Slack",
    "teams": "Teams",
    "google_chat": "Google Chat",
    "discord": "Discord",
    "pagerduty": "PagerDuty",
    "opsgenie": "Opsgenie",
    "email": "the mail server",
    "sms": "Twilio",
    "webhook": "the receiver",
    "apprise": "the service",
}
#: Where somebody finds what the variables are to hold.
_WHERE_FROM = {
    "slack": 'Slack shows it at your app: an address under "Incoming Webhooks", a bot\'s token under "OAuth & Permissions".',
    "teams": 'Teams shows it at the channel: Workflows, "Post to a channel when a webhook request is received".',
    "google_chat": 'Google Chat shows it at the space: "Apps & integrations", Webhooks.',
    "discord": "Discord shows it at the channel: its settings, Integrations, Webhooks.",
    "pagerduty": 'PagerDuty shows it at the service: Integrations, "Events API v2", the integration key.',
    "opsgenie": "Opsgenie shows it at the team: Integrations, API, the key.",
    "email": "It is smtp://USER:PASSWORD@HOST:587, of the server that takes your mail.",
    "sms": "Twilio's console shows account SID and auth token on its first page.",
    "webhook": "They are the receiver's address (https://...) and the secret shared with it (whsec_ and base64).",
    "apprise": "It is an address as Apprise writes it, such as ntfy://HOST/TOPIC.",
}


#: Where "taken" is not yet "arrived": where to look.
_TO_BE_SEEN = {
    "teams": "Is it in Teams? If not, the runs of the workflow in Power Automate say why.",
    "email": "Is it in the mailbox? If not, look among the spam, and at the bounces of the sender's mailbox.",
    "sms": "Is it on the phone? If not, Twilio's log of messages says why.",
    "apprise": "Is it there? Apprise does not tell more than that it was sent.",
    "pagerduty": "There is an incident now, resolved already; the integration's service decides whom it called.",
    "opsgenie": "There is an alert now, closed already; the integration's team decides whom it called.",
}


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
