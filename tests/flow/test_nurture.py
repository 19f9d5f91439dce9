"""Leads for a sequence: nobody has them, no clock runs, somebody is told, and who comes again is judged anew."""

from dataclasses import replace

from tests.core.builders import rule, rulebook
from tests.flow.scene import REFUSED, Scene

from speed_to_lead.core.lead import LeadState
from speed_to_lead.core.routing import Rulebook


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
    scene.submit(email="kim@example.com", employees="1-9", message="one more thing")
    scene.route()
    assert {"leads": 2, "touches": 1} == scene.counts()


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
