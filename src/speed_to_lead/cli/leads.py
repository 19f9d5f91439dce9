"""`leads`: which leads there are, the whole story of one, and what people do to one.

What people may ask about their own data (erase, export) is in privacy.py, how a file of leads comes in, in importing.py.
"""

from datetime import datetime
from typing import Annotated

import typer

from speed_to_lead import flow
from speed_to_lead.cli import new_group
from speed_to_lead.cli.connect import (
    NotFound,
    calendar_of,
    lead_known_as,
    opened_place,
    opened_store,
    rules_if_good,
)
from speed_to_lead.cli.importing import import_leads
from speed_to_lead.cli.output import hint, safe, say, say_json, say_table, when
from speed_to_lead.cli.privacy import erase, erasures, export, reencrypt
from speed_to_lead.cli.rules import JsonOption, time_given
from speed_to_lead.cli.story import say_story, standing
from speed_to_lead.config import Configuration
from speed_to_lead.config.mistakes import hint as nearest_word
from speed_to_lead.core.lead import Lead, LeadChange, LeadState, Response, ResponseKind
from speed_to_lead.core.rendering import lead_as_json
from speed_to_lead.core.response import close_lead, reassign_lead, record_response

app = new_group("List and show leads; import a file; respond, reassign, close; export or erase a person.")
app.command("import")(import_leads)
app.command("export")(export)
app.command("erase")(erase)
app.command("erasures")(erasures)
app.command("reencrypt")(reencrypt)

LeadArgument = Annotated[str, typer.Argument(metavar="ID", help="The lead's id, as `leads list` shows it.")]
ByOption = Annotated[str, typer.Option(metavar="WHO", help="Who did it.")]


@app.command("list")
def list_leads(
    state: Annotated[LeadState | None, typer.Option(help="Only leads in this state.")] = None,
    team: Annotated[str | None, typer.Option(metavar="TEAM", help="Only this team's leads.")] = None,
    rep: Annotated[str | None, typer.Option(metavar="REP", help="Only this rep's leads.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Show at most N.")] = 50,
    cursor: Annotated[
        str | None,
        typer.Option(metavar="CURSOR", help="Go on where the last page ended; it printed the cursor."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """The newest leads first: who has each, and how long is left."""
    if cursor is not None and not cursor.partition(":")[0].isdecimal():
        raise typer.BadParameter(
            f'"{safe(cursor)}" is no cursor; use the one that the last page printed', param_hint="--cursor"
        )
    with opened_store() as store:
        found, following = store.leads.newest(limit, state=state, team=team, rep=rep, before=cursor)
        now = store.now()
        rules = rules_if_good(store) if not found else None
    if as_json:
        say_json({"leads": [lead_as_json(lead) for lead in found], "next": following})
        return
    if not found and following:
        hint(f"None among the leads looked at so far; to look on, add --cursor {following}")
        return
    if not found:
        hint(_why_none(rules, team, rep, is_filtered=state is not None or cursor is not None))
        return
    columns = ("lead", "standing", "rep", "team", "source", "received")
    say_table(columns, (_row(lead, now) for lead in found))
    if following:
        hint(f"There are more: add --cursor {following}")


def _row(lead: Lead, now: datetime) -> tuple[object, ...]:
    received = lead.received_at.replace(microsecond=0)
    return (lead.id, standing(lead, now), lead.rep, lead.team, lead.source, received)


def _why_none(rules: Configuration | None, team: str | None, rep: str | None, *, is_filtered: bool) -> str:
    """That there is nothing, and whether a name was mistyped."""
    doubts = []
    if rules is not None:
        teams = rules.rulebook.teams
        reps = [known.id for one in teams.values() for known in one.reps]
        if team is not None and team not in teams:
            doubts.append(f'teams.toml has no team "{safe(team)}"; {nearest_word(team, teams)}')
        if rep is not None and rep not in reps:
            doubts.append(f'teams.toml has no rep "{safe(rep)}"; {nearest_word(rep, reps)}')
    fitting = " of that kind" if is_filtered or team or rep else " yet"
    return f"There are no leads{fitting}. {' '.join(doubts)}".strip()


@app.command()
def show(lead_id: LeadArgument, as_json: JsonOption = False) -> None:
    """The whole story of one lead: why it went there, what happened, and what comes next."""
    with opened_store() as store:
        lead = lead_known_as(store, lead_id)
        if lead is None:
            raise _not_a_lead(lead_id, is_dead_letter=store.queue.dead_letter(lead_id) is not None)
        history = store.leads.history(lead.id)
        now = store.now()
        rules = rules_if_good(store)
    if as_json:
        say_json(lead_as_json(lead, history))
        return
    if lead.id != lead_id:
        hint(f"{safe(lead_id)} is a further submission of lead {lead.id}, which is shown here.")
    say_story(lead, history, rules, now)


def _not_a_lead(lead_id: str, *, is_dead_letter: bool) -> Exception:
    if is_dead_letter:
        return NotFound(
            f"{safe(lead_id)} could not be read as a lead; see `speed-to-lead dead-letters show {safe(lead_id)}`"
        )
    return flow.UnknownLead(lead_id)


@app.command()
def respond(
    lead_id: LeadArgument,
    kind: Annotated[ResponseKind, typer.Option(help="What was done; all but acknowledged stop the clock.")],
    by: ByOption,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="When it happened; else now.")] = None,
    via: Annotated[str, typer.Option(help="How it is known: phone, email, CRM.")] = "cli",
    evidence: Annotated[str, typer.Option(help="A link or a note that proves it.")] = "",
    automatic: Annotated[
        bool, typer.Option("--automatic", help="A program answered, no human: kept, and stops no clock.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Somebody answered the lead: the clock stops. Saying it twice does nothing more."""
    happened_at = time_given(at, "--at")
    by = _not_blank(by, "--by")

    def decide(lead: Lead, now: datetime) -> LeadChange | None:
        response = Response(kind, by, happened_at or now, now, via, evidence, automatic)
        return record_response(lead, response, now)

    with opened_place(rules=False) as place:
        lead, is_new = flow.change_lead(place, lead_id, decide)
    if as_json:
        say_json({"changed": is_new, "lead": lead_as_json(lead)})
        return
    if not is_new:
        say(f"Nothing changed: this response of {by} was recorded before. {_clock_of(lead)}")
    elif automatic:
        say(f"Recorded: an automatic reply of {by}, which is nobody's answer. {_clock_of(lead)}")
    elif kind is ResponseKind.ACKNOWLEDGED:
        say(f"Recorded: {by} has seen lead {lead.id}. {_clock_of(lead)}")
    else:
        say(f"Recorded: {kind.value.replace('_', ' ')} by {by}. {_clock_of(lead)}")


@app.command()
def reassign(
    lead_id: LeadArgument,
    rep: Annotated[str, typer.Argument(metavar="REP", help="Id of the rep who gets it.")],
    by: ByOption,
    as_json: JsonOption = False,
) -> None:
    """Give the lead to another rep, who is told at once. The deadline stays."""
    by = _not_blank(by, "--by")
    with opened_place(rules=True) as place:
        teams = place.config.rulebook.teams
        lead, is_new = flow.change_lead(
            place, lead_id, lambda lead, now: reassign_lead(lead, teams, rep, by, now)
        )
        rules = place.config
    if as_json:
        say_json({"changed": is_new, "lead": lead_as_json(lead)})
        return
    if not is_new:
        say(f"Nothing changed: lead {lead.id} is {rep}'s already. {_clock_of(lead, rules)}")
    else:
        say(
            f"Lead {lead.id} is now {lead.rep}'s (team {lead.team}), and a message is on its way. {_clock_of(lead, rules)}"
        )


@app.command()
def close(
    lead_id: LeadArgument,
    reason: Annotated[
        str, typer.Option(metavar="WHY", help="Why nobody needs to answer: spam, a test, not a lead.")
    ],
    by: ByOption,
    as_json: JsonOption = False,
) -> None:
    """Close a lead that needs no answer: its clock stops, and nobody is alerted any more."""
    by, reason = _not_blank(by, "--by"), _not_blank(reason, "--reason")
    with opened_place(rules=False) as place:
        lead, is_new = flow.change_lead(place, lead_id, lambda lead, now: close_lead(lead, reason, by, now))
    if as_json:
        say_json({"changed": is_new, "lead": lead_as_json(lead)})
        return
    if not is_new:
        say(f"Nothing changed: lead {lead.id} was closed before ({lead.closed_reason}).")
    else:
        say(f"Closed: {lead.id} ({reason}). Nobody will be alerted about it any more.")


@app.command("release")
def release(lead_id: LeadArgument, as_json: JsonOption = False) -> None:
    """Let a lead out of quarantine, once what put it there is mended: its ladder goes on where it stands."""
    with opened_place(rules=False) as place:
        was_there = flow.release(place, lead_id)
    if as_json:
        say_json({"released": was_there})
    elif was_there:
        say(f"Released: {lead_id}. Its next step is decided within a second.")
    else:
        say(
            f'Nothing changed: lead "{safe(lead_id)}" is not in quarantine; `speed-to-lead doctor` lists those that are.'
        )


def _not_blank(text: str, option: str) -> str:
    if not text.strip():
        raise typer.BadParameter("it is empty", param_hint=option)
    return text.strip()


def _clock_of(lead: Lead, rules: Configuration | None = None) -> str:
    """What the lead's clock does now."""
    if lead.answered_at is not None:
        on_time = "in time" if lead.answered_at < lead.deadline else "late"
        return f"The clock stopped at {when(lead.answered_at)}, {on_time}."
    if not lead.is_open:
        return f"The lead is {lead.state}."
    calendar = calendar_of(rules, lead.team)
    return f"The clock runs on: an answer is due by {when(lead.deadline, calendar)}."
