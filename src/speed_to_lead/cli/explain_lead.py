"""`config explain --lead ID`: a lead that came, as it was decided, and decided anew with the config it was decided on."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from speed_to_lead.cli.connect import NotFound, lead_known_as, opened_store
from speed_to_lead.cli.output import safe, say, say_facts, say_json, say_table
from speed_to_lead.cli.rules_in_use import RulesInUse, rules_decided_with
from speed_to_lead.config import Configuration
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.lead import HistoryEntry, Lead
from speed_to_lead.core.redecision import (
    NOT_KNOWN,
    Decided,
    Redecision,
    TouchRedecided,
    redecided,
    touch_redecided,
    touches_due_sooner,
)
from speed_to_lead.core.submission import Form
from speed_to_lead.flow import UnknownLead
from speed_to_lead.store import Store
from speed_to_lead.workplace import API_FORM


def explain_lead(lead_id: str, config: Path | None, *, as_json: bool) -> bool:
    """Print it; whether what was decided and what is decided anew agree. Raises UnknownLead, NotFound, ConfigError."""
    with opened_store() as store:
        lead = lead_known_as(store, lead_id)
        if lead is None:
            raise UnknownLead(lead_id)
        history = store.leads.history(lead.id)
        rules, is_its_own = rules_decided_with(store, lead.config_digest, lead.received_at, config)
        found = _redecided(lead, history, rules)
        touches = tuple(_touches(lead, history, store, config, {lead.config_digest: rules}))
    agrees = not found.differences and not any(touch.differences for touch in touches)
    if as_json:
        say_json(_as_json(lead, rules, found, touches, is_its_own=is_its_own, agrees=agrees))
    else:
        _tell(lead, rules, found, touches, is_its_own=is_its_own)
    return agrees


def _redecided(lead: Lead, history: list[HistoryEntry], rules: RulesInUse) -> Redecision:
    form = _form(lead.form, rules.configuration)
    if form is None:
        raise NotFound(
            f'lead {lead.id} came by form "{safe(lead.form)}", which {rules.line} does not have; '
            f"`speed-to-lead leads show {lead.id}` tells what was decided"
        )
    try:
        return redecided(lead, history, form, rules.configuration.rulebook)
    except (ArithmeticError, ValueError) as error:
        raise NotFound(f"by {rules.line} no deadline can be counted: {error}") from None


def _touches(
    lead: Lead, history: list[HistoryEntry], store: Store, config: Path | None, known: dict[str, RulesInUse]
) -> list[TouchRedecided]:
    found = []
    for sooner in touches_due_sooner(lead, history):
        if sooner.config not in known:
            known[sooner.config], _ = rules_decided_with(store, sooner.config, sooner.at, config)
        configuration = known[sooner.config].configuration
        found.append(touch_redecided(sooner, _form(sooner.form, configuration), configuration.rulebook))
    return found


def _form(name: str, configuration: Configuration) -> Form | None:
    return API_FORM if name == API_FORM.name else configuration.forms.get(name)


def _as_json(
    lead: Lead,
    rules: RulesInUse,
    found: Redecision,
    touches: tuple[TouchRedecided, ...],
    *,
    is_its_own: bool,
    agrees: bool,
) -> dict[str, Any]:
    return {
        "id": lead.id,
        "decided_at": to_iso(found.at),
        "decided_with": lead.config_digest,
        "config": rules.as_json() | {"is_the_one_decided_with": is_its_own},
        "agrees": agrees,
        "differences": list(found.differences),
        "recorded": _decided_as_json(found.recorded) | {"trace": list(lead.trace)},
        "anew": {name: value for name, value in _decided_as_json(found.anew).items() if name != "rep"},
        "reps": [{"id": one.rep, "by_calendar": one.why} for one in found.reps],
        "touches": [
            {
                "submission": touch.submission,
                "decided_at": to_iso(touch.at),
                "decided_with": touch.config,
                "recorded": _of_touch(touch.recorded),
                "anew": touch.anew and _of_touch(touch.anew),
                "differences": list(touch.differences),
            }
            for touch in touches
        ],
        "looked_up": lead.looked_up and lead.looked_up._asdict(),
        "not_known": list(NOT_KNOWN),
    }


def _decided_as_json(decided: Decided) -> dict[str, Any]:
    return {
        "rule": decided.rule,
        "team": decided.team or None,
        "rep": decided.rep,
        "sla": decided.sla or None,
        "deadline": decided.deadline and to_iso(decided.deadline),
        "steps": decided.steps and [{"name": step.name, "at": to_iso(step.at)} for step in decided.steps],
        "trace": list(decided.trace),
    }


def _of_touch(decided: Decided) -> Mapping[str, Any]:
    return {"rule": decided.rule, "sla": decided.sla, "deadline": _time(decided.deadline)}


def _tell(
    lead: Lead,
    rules: RulesInUse,
    found: Redecision,
    touches: tuple[TouchRedecided, ...],
    *,
    is_its_own: bool,
) -> None:
    recorded, anew = found.recorded, found.anew
    say(f"Lead {lead.id}, decided {to_iso(found.at)} with config {safe(lead.config_digest)}")
    note = "the config it was decided with" if is_its_own else "NOT the config it was decided with"
    say(f"Decided anew with {rules.line}, {note}.\n")
    rows = [
        ("rule", recorded.rule, anew.rule),
        ("team", recorded.team, anew.team),
        ("rep", recorded.rep or "nobody", "(see below)"),
        ("SLA", recorded.sla, anew.sla),
        ("deadline", _time(recorded.deadline), _time(anew.deadline)),
        ("steps", _steps(recorded), _steps(anew)),
    ]
    say_table(("", "recorded", "decided anew"), [row for row in rows if row[1] or row[2]])
    say()
    if not found.differences:
        say("They agree, and so does every line of the reasoning.")
    else:
        say(f"They DIFFER in: {', '.join(found.differences)}.")
    say("\nWhy, as it was recorded")
    for reason in lead.trace:
        say(f"  {safe(reason)}")
    if "trace" in found.differences:
        say("\nWhy, decided anew")
        for reason in anew.trace:
            say(f"  {safe(reason)}")
    for touch in touches:
        _tell_touch(touch)
    if lead.looked_up is not None:
        name, owner, problem = lead.looked_up
        said = f'named "{safe(owner)}"' if owner else f"gave no owner: {safe(problem)}"
        say(f"\nLook-up {safe(name)} was asked when the lead came, and {said}")
    if found.reps:
        say(f"\nBy calendar and leave, at {to_iso(found.at)}")
        say_facts([(one.rep, one.why) for one in found.reps])
    say("\nWho got it cannot be decided anew. Nobody knows any more:")
    for line in NOT_KNOWN:
        say(f"  {line}")
    say("  What the router found of these is in the recorded reasoning.")


def _tell_touch(touch: TouchRedecided) -> None:
    said = touch.recorded
    say(
        f"\nTouch {safe(touch.submission)}, decided {to_iso(touch.at)} with config {safe(touch.config)}, was due sooner"
    )
    say(f'  recorded      rule "{safe(said.rule)}", SLA {said.sla}, due {_time(said.deadline)}')
    if touch.anew is None:
        say("  decided anew  it is not held any more, or its form is not in that config")
        return
    anew = touch.anew
    verdict = f"they DIFFER in: {', '.join(touch.differences)}" if touch.differences else "they agree"
    say(f'  decided anew  rule "{safe(anew.rule)}", SLA {anew.sla}, due {_time(anew.deadline)}; {verdict}')


def _time(instant: datetime | None) -> str:
    return to_iso(instant) if instant is not None else ""


def _steps(decided: Decided) -> str:
    if decided.steps is None:
        return "(a touch changed them)"
    return ", ".join(step.name for step in decided.steps)
