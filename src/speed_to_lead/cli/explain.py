"""`config explain`: where a lead would go, by when, and why. Pure rules: no server, no state, nothing is changed."""

import gc
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from speed_to_lead import forms
from speed_to_lead.cli.lead_lines import LeadLine, leads_in, opened
from speed_to_lead.cli.output import counted, hint, safe, say, say_facts, say_json, when
from speed_to_lead.cli.rules import (
    YEARS,
    ConfigOption,
    JsonOption,
    time_given,
)
from speed_to_lead.cli.rules_in_use import rules_in_use
from speed_to_lead.config import Configuration
from speed_to_lead.config.mistakes import hint as nearest_word
from speed_to_lead.core.assignment import Tally
from speed_to_lead.core.clock import from_iso, from_ms, to_iso, to_ms
from speed_to_lead.core.escalation import destinations_of
from speed_to_lead.core.lead import PlannedStep
from speed_to_lead.core.lookup import LookedUp, Question, question_of
from speed_to_lead.core.message import span_text
from speed_to_lead.core.owner import NOTHING_EARLIER, keep_with
from speed_to_lead.core.routing import Assigned, Route, Rulebook, assign_lead, route_of
from speed_to_lead.core.rules import KeepWith
from speed_to_lead.core.sla import format_duration
from speed_to_lead.core.submission import (
    Form,
    GenericLead,
    ParsedSubmission,
    Submission,
    UnreadableSubmission,
)

#: As `workplace.API_FORM`, which is slow to import.
_NO_FORM = Form(name="api", provider="generic", auth="none")

#: Numbers below this are seconds since 1970 or no time at all; in milliseconds they would be before 1973.
_WIDE_NUMBER = re.compile(r"-?[0-9]{17,}")
_LEAST_MS = 10**11

STATELESS = (
    "this is the first pick of an empty rotation: whose turn it is, who has how many leads and who was set away "
    "by hand is known to the server only"
)


class Unexplainable(Exception):
    """This one lead cannot be explained; the text says why."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the rules give one lead."""

    id: Any
    parsed: ParsedSubmission
    received_at: datetime
    route: Route
    assigned: Assigned
    known_to_the_server: tuple[str, ...]

    @property
    def trace(self) -> tuple[str, ...]:
        """The whole reasoning, in order."""
        if self.route.nurture:
            return (*_test_line(self.parsed), *self.route.trace)
        said = (f"  {line}" for line in self.known_to_the_server)
        return (*_test_line(self.parsed), *self.route.trace, *self.assigned.trace, *said)

    def as_json(self) -> dict[str, Any]:
        """The object of `--json`."""
        route, rep = self.route, self.assigned.pick.rep
        return {
            "id": self.id,
            "source": route.attribution.source.name,
            "channel": route.attribution.channel,
            "campaign": route.attribution.campaign,
            "rule": route.rule.name,
            "team": self.assigned.team.name or None,
            "rep": rep.id if rep else None,
            "sla": route.sla.name or None,
            "received_at": to_iso(self.received_at),
            "deadline": None if route.nurture else to_iso(route.deadline),
            "steps": [_step_as_json(step) for step in route.steps],
            "trace": list(self.trace),
        } | ({"nurture": route.nurture} if route.nurture else {})


def _test_line(parsed: ParsedSubmission) -> tuple[str, ...]:
    return ("the lead is marked as a test, so the router would drop it",) if parsed.is_test else ()


def explain(
    file: Annotated[
        str,
        typer.Argument(
            metavar="[FILE|-]", show_default=False, help="A lead as JSON, many as JSON lines, or an array."
        ),
    ] = "-",
    config: ConfigOption = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Receipt of leads that name none, such as 2026-11-23T09:30:00Z; else now."
        ),
    ] = None,
    lead: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="A lead that came, with the config it was decided on. Needs the server."
        ),
    ] = None,
    ask: Annotated[
        bool,
        typer.Option(
            "--ask",
            help="Ask the look-ups that rules name (owner_from), over the network; else they give no owner.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Where a lead would go, by when, and why, step by step. Needs no server and changes nothing.

    By the rules of --config; else by the version that is live, where a server is set, answers, and has one; else by the directory.

    With --lead: what was decided of that lead, and the same decided anew, with --config by another config; exit 1 where the two differ.

    A lead may name its received_at (ISO 8601 with an offset, or milliseconds since 1970), its id, its form, and as
    touches how often the person has come again while their lead was open (0).
    """
    if lead is not None:
        if file != "-" or at is not None or ask:
            raise typer.BadParameter(
                "the lead is in the store, with its time and what a look-up said: give no FILE and no --at, nor --ask",
                param_hint="--lead",
            )
        from speed_to_lead.cli.explain_lead import explain_lead  # noqa: PLC0415 - asks the server, so it is slow to import

        if not explain_lead(lead, config, as_json=as_json):
            raise typer.Exit(1)
        return
    received_at = time_given(at, "--at")
    rules = rules_in_use(config)
    rules.tell()
    configuration = rules.configuration
    gc.freeze()  # the rules stay: the collector need not walk thousands of them again and again
    bad = 0
    with opened(file) as stream, _asking(over_the_network=ask) as answer:
        for line in leads_in(stream):
            try:
                explanation = explain_line(line, configuration, received_at or datetime.now(UTC), answer)
            except Unexplainable as error:
                bad += 1
                _tell_error(line, str(error), as_json=as_json)
                continue
            if as_json:
                say_json(explanation.as_json())
            else:
                _tell(explanation, line)
    if bad:
        if not as_json:
            hint(f"{counted(bad, 'lead')} could not be explained")
        raise typer.Exit(1)


def _not_asked(question: Question) -> LookedUp:
    """No answer: without --ask nothing goes over the network."""
    return LookedUp(
        question.lookup.name, problem="not asked, for only the router and config explain --ask do"
    )


@contextmanager
def _asking(*, over_the_network: bool) -> Iterator[Callable[[Question], LookedUp]]:
    if not over_the_network:
        yield _not_asked
        return
    from speed_to_lead.crm import Lookups  # noqa: PLC0415 - slow to import, and hardly ever wanted

    lookups = Lookups(os.environ)
    try:
        yield lambda question: lookups.ask([question])[question]
    finally:
        lookups.close()


def explain_line(
    line: LeadLine,
    configuration: Configuration,
    now: datetime,
    ask: Callable[[Question], LookedUp] = _not_asked,
) -> Explanation:
    """What the rules give the lead of one line; `ask` answers where a rule names a look-up. Raises Unexplainable."""
    if line.problem:
        raise Unexplainable(line.problem)
    if not isinstance(line.value, dict):
        raise Unexplainable('a lead is a JSON object such as {"email": "kim@example.com"}, and this is none')
    given = dict(line.value)
    lead_id = given.pop("id", None)
    received_at = receipt_of(given.pop("received_at", None), now)
    form = form_named(given.pop("form", None), configuration)
    touches = _touches(given.pop("touches", 0))
    parsed = parsed_as(given, form, received_at)
    rulebook = configuration.rulebook
    try:
        route = route_of(parsed.lead, form.name, form.source, received_at, rulebook, touches)
        looked_up = _looked_up(parsed.lead, route, rulebook, ask)
        assigned = assign_lead(parsed.lead, route, NOTHING_EARLIER, Tally(), rulebook, received_at, looked_up)
    except (ArithmeticError, ValueError) as error:  # a calendar that never opens again, the end of all years
        raise Unexplainable(f"no deadline can be counted: {error}") from None
    known = _known_to_the_server(route, assigned, rulebook)
    return Explanation(lead_id, parsed, received_at, route, assigned, known)


def _looked_up(
    lead: GenericLead, route: Route, rulebook: Rulebook, ask: Callable[[Question], LookedUp]
) -> LookedUp | None:
    lookup = rulebook.lookups.get(route.rule.lookup)
    if lookup is None:
        return None
    question = question_of(lookup, lead, rulebook.spellings)
    return ask(question) if isinstance(question, Question) else question


def _known_to_the_server(route: Route, assigned: Assigned, rulebook: Rulebook) -> tuple[str, ...]:
    """What the router would look up first, and this cannot."""
    is_named = assigned.pick.rotation is None and assigned.pick.rep is not None
    window = format_duration(rulebook.same_person_within)
    asked = [f"an open lead of this person, within {window}, would have this as a touch"]
    keep = keep_with(route.rule, route.team)
    if not is_named and keep is not KeepWith.NOBODY:
        asked.append("the rep of an answered one would get it")
    if not is_named and keep is KeepWith.COMPANY:
        asked.append("else the rep who has the company's newest open or answered lead")
    earlier = f"earlier leads are known to the server only: {'; '.join(asked)}"
    return (earlier,) if is_named else (STATELESS, earlier)


def receipt_of(given: Any, now: datetime) -> datetime:
    """The instant of receipt, to the millisecond."""
    instant = now
    if isinstance(given, str) and _WIDE_NUMBER.fullmatch(given):  # read as text, like every number so wide
        raise Unexplainable(f"received_at: {given[:40]} is no number of milliseconds that a calendar knows")
    if isinstance(given, str):
        try:
            instant = from_iso(given)
        except ValueError as error:
            raise Unexplainable(f"received_at: {error}") from None
    elif isinstance(given, int) and not isinstance(given, bool):
        if abs(given) < _LEAST_MS:
            raise Unexplainable(
                f"received_at: {given} is too small for milliseconds since 1970; seconds? write {given}000"
            )
        try:
            instant = from_ms(given)
        except OverflowError:
            raise Unexplainable(
                f"received_at: {given} is no number of milliseconds that a calendar knows"
            ) from None
    elif given is not None:
        raise Unexplainable("received_at takes ISO 8601 with an offset, or whole milliseconds since 1970")
    if instant.year not in YEARS:
        raise Unexplainable(
            f"received_at: {to_iso(instant)} is outside the years {YEARS.start} to {YEARS.stop - 1}"
        )
    return from_ms(to_ms(instant))


def _touches(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise Unexplainable("touches takes a whole number, 0 or more")
    return given


def form_named(given: Any, configuration: Configuration) -> Form:
    """The form whose source and fields count, read as a generic lead whatever its tool sends."""
    if given is None or given == _NO_FORM.name:
        return _NO_FORM
    form = configuration.forms.get(given) if isinstance(given, str) else None
    if form is None:
        shown = safe(given)[:60]
        raise Unexplainable(
            f'form: intake.toml has no form "{shown}"; {nearest_word(str(given), configuration.forms)}'
        )
    return replace(form, provider="generic", auth="none")


def parsed_as(given: Mapping[str, Any], form: Form, received_at: datetime) -> ParsedSubmission:
    """The lead as the router would read it from the web: the same bytes, the same reader."""
    body = json.dumps(given).encode()
    submission = Submission("explain", form.name, received_at, body, "application/json")
    try:
        parsed = forms.read(submission, form)
    except UnreadableSubmission as error:
        raise Unexplainable(str(error)) from None
    if not (parsed.lead.get("email") or parsed.lead.get("phone")):
        raise Unexplainable("neither an email nor a phone is given, so there is nobody to answer")
    return parsed


def _tell_error(line: LeadLine, error: str, *, as_json: bool) -> None:
    lead_id = line.value.get("id") if isinstance(line.value, dict) else None
    if as_json:
        say_json({"id": lead_id, "line": line.number, "error": error})
        return
    sys.stdout.flush()
    named = f' (id "{lead_id}")' if lead_id is not None else ""
    hint(f"line {line.number}{named}: {error}")


def _tell(explanation: Explanation, line: LeadLine) -> None:
    route, team, rep = explanation.route, explanation.assigned.team, explanation.assigned.pick.rep
    label = f'Lead "{explanation.id}"' if explanation.id is not None else f"Lead on line {line.number}"
    source, campaign = route.attribution.source, route.attribution.campaign
    left = span_text(route.deadline - explanation.received_at)
    say(safe(label))
    goes_to = f"team {team.name}, " + (f"rep {rep.id} ({rep.name})" if rep else "no rep")
    due = f"{when(route.deadline, team.calendar)}  ({left} later, SLA {route.sla.name})"
    say_facts(
        [
            ("goes to", f"nobody: to nurture, told to {route.nurture}" if route.nurture else goes_to),
            ("because", f'rule "{route.rule.name}"'),
            ("received", when(explanation.received_at, None if route.nurture else team.calendar)),
            ("answer by", "" if route.nurture else due),
            ("source", f"{source.name} ({source.label}, {source.motion})"),
            ("channel", route.attribution.channel),
            ("campaign", campaign),
        ]
    )
    if route.steps:
        say("  steps")
    rep_id = rep.id if rep else None
    say_facts(
        [
            (
                step.name,
                f"{when(step.at, team.calendar)}  {step_in_words(step, lambda to: ', '.join(destinations_of(to, team, rep_id)) or None)}",
            )
            for step in route.steps
        ],
        indent="    ",
    )
    say("  why")
    for reason in explanation.trace:
        say(f"    {safe(reason)}")
    say()
    sys.stdout.flush()


def step_in_words(step: PlannedStep, destination_for: Any = None) -> str:
    """What a step does: `alert manager (sdr-managers), pass the lead on`."""

    def named(target: str) -> str:
        found = destination_for(target) if destination_for is not None else None
        return target if found in (None, target) else f"{target} ({found})"

    parts = [
        f"{verb} {', '.join(named(target) for target in targets)}"
        for verb, targets in (("tell", step.tell), ("remind", step.remind), ("alert", step.alert))
        if targets
    ]
    if step.reassign:
        parts.append("pass the lead on to another rep")
    return "; ".join(parts) or "nothing"


def _step_as_json(step: PlannedStep) -> dict[str, Any]:
    whom = {"tell": step.tell, "remind": step.remind, "alert": step.alert}
    document: dict[str, Any] = {"at": to_iso(step.at), "name": step.name}
    document |= {verb: list(targets) for verb, targets in whom.items() if targets}
    return document | ({"reassign": True} if step.reassign else {})
