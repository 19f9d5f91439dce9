"""Leads for a sequence: nobody has them, no clock runs, somebody is told, and who comes again is judged anew."""

from dataclasses import replace

import pytest
from tests.core.builders import rule, rulebook
from tests.flow.scene import REFUSED, Scene

from speed_to_lead.core.lead import LeadState
from speed_to_lead.core.owner import COMPANY_DEPTH
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.rules import KeepWith
from speed_to_lead.spellings import SPELLINGS


def _rules() -> Rulebook:
    not_yet = replace(
        rule("not yet", when={"employees": {"at_most": 9}}), team="", sla="", nurture="head-of-sales"
    )
    return rulebook(not_yet)


def test_a_lead_to_nurture_is_told_of_once_and_never_escalates(scene: Scene) -> None:
    """One alert to the sequence, none to anybody else, however long it lies; the books balance all the while."""
    scene = scene.with_rules(_rules())
    lead = scene.routed(employees="1-9")
    assert {"head-of-sales": ["lead.nurtured nurture"]} == scene.heard()
    (message,) = scene.people["head-of-sales"].heard
    assert ("To nurture: person-1@example.com", None, "") == (
        message.headline,
        message.deadline,
        message.team,
    )
    assert ["Who", "Source", "E-mail"] == [label for label, _ in message.facts]
    assert (LeadState.CLOSED, "nurture", None, "", None) == (
        lead.state,
        lead.closed_reason,
        lead.rep,
        lead.team,
        lead.next_at,
    )
    assert (
        'rule "not yet" matches: nurture, told to "head-of-sales"; no rep, no clock, closed' == lead.trace[-1]
    )
    scene.forget()
    scene.live(100_000)
    assert {} == scene.heard()
    assert ["lead.routed", "alert.delivered"] == scene.events(lead.id)
    assert {"leads": 1} == scene.counts()


def test_who_comes_again_is_judged_anew(scene: Scene) -> None:
    """The person grew: their next submission is a new lead with a rep and a clock, not a touch of one nobody looks at."""
    scene = scene.with_rules(_rules())
    scene.routed(email="kim@example.com", employees="1-9")
    grown = scene.routed(email="kim@example.com", employees="500")
    assert (LeadState.OPEN, "ana") == (grown.state, grown.rep)
    assert {"leads": 2} == scene.counts()
    scene.forget()
    scene.submit(email="kim@example.com", employees="1-9", message="one more thing")
    scene.route()
    scene.deliver()
    assert {"leads": 2, "touches": 1} == scene.counts()
    touched = scene.lead(
        grown.id
    )  # no SLA is no sooner one: a touch that would be nurtured takes nothing away
    assert (grown.rep, grown.sla, grown.deadline, grown.steps) == (
        touched.rep,
        touched.sla,
        touched.deadline,
        touched.steps,
    )
    assert (LeadState.OPEN, {}) == (touched.state, scene.heard())


def test_a_sequence_that_cannot_be_reached_is_heard_of_elsewhere(scene: Scene) -> None:
    """The alert falls back as any other, though its lead is closed."""
    scene = scene.with_rules(_rules())
    scene.people["head-of-sales"].always = REFUSED
    lead = scene.routed(employees="1-9")
    scene.deliver()
    assert ["lead.nurtured nurture~head-of-sales"] == scene.heard()["console"]
    assert ["lead.routed", "alert.given_up", "alert.delivered"] == scene.events(lead.id)


def test_leads_of_teams_and_of_sequences_come_in_one_batch(scene: Scene) -> None:
    """Each gets what its rule says, and only those with a rep take a turn."""
    scene = scene.with_rules(_rules())
    sizes = ["1-9", "500", "5", "800"]
    ids = [scene.submit(employees=size) for size in sizes]
    scene.route()
    assert [None, "ana", None, "ben"] == [scene.lead(lead_id).rep for lead_id in ids]
    assert 4 == scene.store.operations.ledger().leads


@pytest.mark.parametrize("at_once", [False, True])
def test_who_was_answered_keeps_their_rep_past_a_lead_to_nurture(scene: Scene, at_once: bool) -> None:
    """Answered, then a newsletter, then a demo: the rep who has the person gets the demo, though it is another's turn."""
    scene = scene.with_rules(_rules())
    first = scene.routed(email="kim@example.com", employees="500")
    scene.respond(first.id)
    scene.submit(email="kim@example.com", employees="1-9")
    if not at_once:
        scene.route()
    again = scene.routed(email="kim@example.com", employees="500", message="now the demo")
    assert ("ana", "ana") == (first.rep, again.rep)
    assert {"leads": 3} == scene.counts()


@pytest.mark.parametrize("at_once", [False, True])
def test_newsletters_of_a_company_do_not_make_it_forgotten(scene: Scene, at_once: bool) -> None:
    """However many of its people are nurtured, the company stays with the rep who has its newest lead."""
    rules = replace(_rules(), spellings=SPELLINGS)
    rules = replace(rules, default=replace(rules.default, keep_with=KeepWith.COMPANY))
    scene = scene.with_rules(rules)
    first = scene.routed(email="kim@acme.example", employees="500")
    for number in range(COMPANY_DEPTH + 2):
        scene.submit(email=f"p{number}@acme.example", employees="1-9")
        if not at_once:
            scene.route()
    again = scene.routed(email="lee@acme.example", employees="500")
    assert ("ana", "ana") == (first.rep, again.rep)


def test_nurtured_first_and_grown_in_one_batch(scene: Scene) -> None:
    """Whom nobody had is known by the lead to nurture, until there is a better one."""
    scene = scene.with_rules(_rules())
    scene.submit(email="kim@example.com", employees="1-9")
    grown = scene.submit(email="kim@example.com", employees="500")
    scene.submit(email="kim@example.com", employees="1-9", message="more")
    scene.route()
    assert {"leads": 2, "touches": 1} == scene.counts()
    assert 1 == len(scene.lead(grown).touches)
