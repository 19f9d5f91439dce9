"""The command line, `speed-to-lead`: what each command is called, where it lives, and how every failure is told.

    up.py  serve.py           run it
    config.py  explain.py     what the rules say
    simulate.py               what other rules would have done
    sources.py                does the taxonomy still fit?
    publish.py  rollout.py    which rules are live, and who works with them
    leads.py  dead_letters.py  alerts.py   what is kept
    operate.py  doctor/       is anything late, lost or set up wrong?
    keys.py                   who may use it over HTTP
    connect.py                settings and server, and every failure as one sentence
    importing.py  intake.py   leads of a file, or of a tool's own list, into the queue
    lead_lines.py  lead_rows.py  output.py   leads in, text and JSON out

A module is imported when its command is called, so that `config explain` starts in half a second.
Exit codes: 0 good, 1 found something, 2 wrong usage or unreachable.
"""

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

PROGRAM = "speed-to-lead"

#: The usage errors of typer's click: since typer 0.29 its own copy, before that the package of that name.
_UsageError: type[Any] = typer.BadParameter.__bases__[0]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a command lives: the module under `cli`, the function or the group in it, and its line of help."""

    module: str
    attribute: str
    summary: str
    panel: str


_RUN, _RULES, _LEADS, _OPERATE = "Run it", "Rules", "Leads and alerts", "Is it well?"

_PLACES = {
    "up": _Place("up", "up", "Run everything on this machine, in this terminal.", _RUN),
    "web": _Place("serve", "web", "Run the web process: hooks, API, metrics, health.", _RUN),
    "watchdog": _Place("serve", "watchdog", "Run the watchdog: is every part still working?", _RUN),
    "config": _Place(
        "config",
        "app",
        "Check the rules, see where a lead would go and why, rehearse and publish them.",
        _RULES,
    ),
    "sources": _Place(
        "sources", "app", "Audit the taxonomy: unknown words, blanks, who brings no leads any more.", _RULES
    ),
    "leads": _Place(
        "leads", "app", "Show, import, respond, reassign, close; export or erase a person.", _LEADS
    ),
    "reps": _Place("reps", "app", "Who is available; set somebody away, or back.", _LEADS),
    "intake": _Place(
        "intake", "app", "Compare what a form's tool has with what arrived; take in what did not.", _LEADS
    ),
    "dead-letters": _Place(
        "dead_letters", "app", "Submissions that could not be read: show, replay, discard.", _LEADS
    ),
    "alerts": _Place("alerts", "app", "Alerts under way and given up; try a destination.", _LEADS),
    "keys": _Place("keys", "app", "Keys for /v1, /docs and /metrics: make one, list those set.", _OPERATE),
    "status": _Place(
        "operate", "status", "Depth and lag of every stage; exit 1 when late or silent.", _OPERATE
    ),
    "ledger": _Place("operate", "ledger", "Does every submission add up? Exit 1 when not.", _OPERATE),
    "doctor": _Place("doctor", "doctor", "What is wrong with this set-up, and how to mend it.", _OPERATE),
}


class _OnDemand(TyperGroup):
    """Knows every command by name and summary; imports the one that is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The name, the command itself, and what is left of the arguments."""
        name, stub, rest = super().resolve_command(ctx, args)
        return name, _loaded(str(name)) if stub else None, rest


def _loaded(name: str) -> Any:
    place = _PLACES[name]
    found = getattr(import_module(f"speed_to_lead.cli.{place.module}"), place.attribute)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False, rich_markup_mode=_markup())
        alone.command(name)(found)
        found = alone
    command = typer.main.get_command(found)
    command.name = name
    return command


def _markup() -> Any:
    """Help in colour and boxes for people, in plain text for pipes."""
    return "rich" if sys.stdout is not None and sys.stdout.isatty() else None


def _print_version(wanted: bool) -> None:
    if wanted:
        from speed_to_lead import __version__  # noqa: PLC0415 - known only when asked

        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


def _new_app() -> typer.Typer:
    app = typer.Typer(
        cls=_OnDemand,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=_markup(),
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(invoke_without_command=True)
    def _speed_to_lead(
        context: typer.Context,
        _version: Annotated[
            bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        """Routes sales leads to reps, and escalates every lead that waits too long."""
        show_help_without_command(context)

    for name, place in _PLACES.items():
        app.command(name, help=place.summary, rich_help_panel=place.panel)(_stub)
    return app


def _stub() -> None:
    """Stands in for a command until it is called."""


def new_group(summary: str) -> typer.Typer:
    """A group of commands, such as `leads`, that shows its help when none of them is named."""
    group = typer.Typer(
        help=summary,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=_markup(),
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.callback(invoke_without_command=True)(show_help_without_command)
    return group


def show_help_without_command(context: typer.Context) -> None:
    """Print the help and exit with 2 where a group is called without a command."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code. Prints every foreseeable failure as one sentence on stderr."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # not every stand-in for a stream can be set up
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = typer.main.get_command(_new_app())(given, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has read enough
        _forget_stdout()
        return 0
    except SystemExit as leaving:
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise
        _forget_stdout()  # typer met it first
        return 0
    except (KeyboardInterrupt, typer.Abort):
        return _failed("stopped", 130)
    except Exception as error:
        sentence = _usage_sentence(error) if isinstance(error, _UsageError) else _sentence_of(error)
        if sentence is None:
            raise
        return _failed(sentence, 2)
    if code == 130:
        return _failed("stopped", 130)
    return code if isinstance(code, int) else 0


def _usage_sentence(error: Any) -> str:
    """What was mistyped, with the nearest word where there is one, and where the right words are."""
    path = error.ctx.command_path if getattr(error, "ctx", None) else PROGRAM
    message = str(error.format_message()).strip()
    return f"{message}\nTry `{path} --help`."


def _sentence_of(error: Exception) -> str | None:
    """The failure in one sentence; None for one that nobody foresaw, which is a fault of ours."""
    from speed_to_lead.cli.connect import sentence_of  # noqa: PLC0415 - it knows every error, and so is slow to import

    return sentence_of(error)


def _failed(sentence: str, code: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        print(f"{PROGRAM}: {sentence}", file=sys.stderr, flush=True)
    return code


def _forget_stdout() -> None:
    """Python flushes stdout once more on its way out; where nobody reads, that would be an error again."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
