"""`reps`: who is available, and who is away though their calendar says otherwise."""

import getpass
from typing import Annotated

import typer

from speed_to_lead import flow
from speed_to_lead.cli import new_group
from speed_to_lead.cli.connect import opened_place
from speed_to_lead.cli.output import hint, safe, say, say_json, say_table, when
from speed_to_lead.cli.rules import JsonOption, time_given

app = new_group("List reps; set one away, or back.")

RepArgument = Annotated[str, typer.Argument(metavar="ID", help="The rep's id, as in teams.toml.")]
ByOption = Annotated[
    str | None, typer.Option(metavar="WHO", help="Who says so; else the user of this shell.")
]


@app.command("list")
def list_reps(as_json: JsonOption = False) -> None:
    """Every rep: whether they get leads now, why not, and how many they have open."""
    with opened_place(rules=True) as place:
        reps = flow.all_reps(place)
    if as_json:
        say_json({"reps": reps})
        return
    if not reps:
        hint("teams.toml has no reps.")
        return
    columns = ("rep", "available", "why", "open", "today", "teams", "set away")
    say_table(columns, (_row(one) for one in reps))


def _row(one: dict[str, object]) -> tuple[object, ...]:
    away = one["away"]
    said = ""
    if isinstance(away, dict):
        said = f"{away['since']} by {away['by']}, until {away['until'] or 'set back'}"
    teams = one["teams"]
    return (
        one["id"],
        "yes" if one["available"] else "no",
        one["why"],
        one["open_leads"],
        one["given_today"],
        ", ".join(teams) if isinstance(teams, list) else "",
        said,
    )


@app.command()
def away(
    rep: RepArgument,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="When they are back, such as 2026-11-23T14:00:00Z; else not until told."
        ),
    ] = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """The rep gets no more leads, from the next one on. Those they have stay theirs; pass them on by `leads reassign`."""
    end = time_given(until, "--until")
    with opened_place(rules=True) as place:
        flow.set_away(place, rep, _who(by), end)
    if as_json:
        say_json({"rep": rep, "away": True})
        return
    say(
        f"{safe(rep)} is away {f'until {when(end)}' if end else 'until set back'}, and gets no leads meanwhile."
    )


@app.command()
def back(rep: RepArgument, by: ByOption = None, as_json: JsonOption = False) -> None:
    """The rep gets leads again, within their shift. They take part from where the others are, and are not flooded."""
    with opened_place(rules=True) as place:
        was_away = flow.set_back(place, rep, _who(by))
    if as_json:
        say_json({"rep": rep, "away": False, "changed": was_away})
    elif was_away:
        say(f"{safe(rep)} is back, and gets leads again within their shift.")
    else:
        say(f"Nothing changed: nobody had set {safe(rep)} away. Leave stands in teams.toml.")


def _who(by: str | None) -> str:
    if by is None:
        try:
            return getpass.getuser()
        except (OSError, KeyError):  # a user without a name, as in some containers
            return "cli"
    if not by.strip():
        raise typer.BadParameter("it is empty", param_hint="--by")
    return by.strip()
