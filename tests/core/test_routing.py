"""Routing: rule, team, rep, deadline and the first alerts of a new lead."""

from datetime import timedelta
from typing import Any

import pytest
from tests.core.builders import MONDAY, after, form, generic, parsed, rep, rule, rulebook, sla, team

from speed_to_lead.core.assignment import Tally
from speed_to_lead.core.lead import AlertKind, LeadChange, LeadState
from speed_to_lead.core.routing import Rulebook, facts_for_rules, new_lead, route_of
from speed_to_lead.core.sla import Step, StepTime


def routed(book: Rulebook, minutes_late: float = 0, **fields: Any) -> LeadChange:
    submission = parsed(**fields)
    route = route_of(submission.lead, "demo", None, MONDAY, book)
    return new_lead("lead-1", form(), submission, MONDAY, route, Tally(), book, after(minutes_late))


def test_a_new_lead() -> None:
    """A new lead has everything it needs for the rest of its life, and its rep hears of it."""
    change = routed(rulebook(rule("Germans", when={"country": "DE"})), country="de", source="referral")
    made = change.lead
    assert (
        made.version, made.state, made.rule, made.team, made.rep, made.sla,
    ) == (1, LeadState.OPEN, "Germans", "inbound", "ana", "ten-minutes")  # fmt: skip
    assert (
        made.source,
        made.channel,
        made.campaign,
        made.config_digest,
    ) == ("referral", "Direct", "", "digest")
    assert (after(10), after(6), ("0%",)) == (made.deadline, made.next_at, made.steps_done)
    assert [(a.destination, a.kind, a.step) for a in change.alerts] == [
        ("ana-slack", AlertKind.ASSIGNED, "0%")
    ]
    assert (change.load, change.counters) == ({"ana": 1}, {"leads": 1})
    assert change.rotation is not None
    assert change.rotation.rep == "ana"


def test_the_trace_is_the_whole_reasoning() -> None:
    """Source, channel, rules tried, rule, deadline and rep are told in that order."""
    made = routed(rulebook(rule("Germans", when={"country": "DE"})), country="FR", source="referral").lead
    assert made.trace == (
        'source is "referral": the submission names "referral"',
        'channel is "Direct"',
        'rule "Germans" does not match: country is "FR", and the rule asks that it is "DE"',
        'no rule matches, so the default applies: team "inbound", SLA "ten-minutes"',
        'deadline is 2026-11-23T09:10:00Z (Mon 23 Nov 09:10 UTC): SLA "ten-minutes", calendar "always"',
        'rep is "ana": team "inbound", round_robin',
        "  ana: picked, on shift, first of 2 by round_robin",
        "  ben: on shift, but ana's turn is earlier",
    )


def test_no_personal_data_in_trace_and_history() -> None:
    """Who the lead is stands in the lead and nowhere else."""
    personal: dict[str, Any] = {
        "email": "zz@qq.example",
        "name": "Zoë Quixote",
        "phone": "+49 999",
        "message": "call my mum",
    }
    book = rulebook(*(rule(field, unless={field: value}) for field, value in personal.items()))
    change = routed(book, **personal, referrer="https://a.example/?e=zz@qq.example", campaign="call my mum")
    said = f"{change.lead.trace} {change.history} {change.alerts}"
    assert [value for value in personal.values() if value in said] == []


def test_a_team_without_reps() -> None:
    """Where nobody can have it the manager hears of the lead, and its clock runs."""
    change = routed(rulebook(teams=[team()]))
    assert (None, {}, None, after(6)) == (change.lead.rep, change.load, change.rotation, change.lead.next_at)
    assert [alert.destination for alert in change.alerts] == ["managers"]


def test_several_steps_on_receipt() -> None:
    """A step that would come before receipt comes with it, and never in place of telling the rep."""
    early = Step("-20m", StepTime.parse("-20m"), remind=("rep", "manager"))
    first = Step("0%", StepTime.parse("0%"), tell=("rep",))
    for steps in ((first, early), (early, first)):
        change = routed(rulebook(sla_used=sla(*steps)))
        assert {"ana-slack", "managers"} == {alert.destination for alert in change.alerts}
        assert len(change.alerts) == 2
        assert {"0%", "-20m"} == set(change.lead.steps_done)
        assert after(10) == change.lead.next_at


@pytest.mark.parametrize("minutes_late", [0, 7, 99])
def test_a_late_router_does_not_move_the_clock(minutes_late: float) -> None:
    """However late the lead is routed its deadline counts from receipt, and what is due since is left to the clock."""
    made = routed(rulebook(), minutes_late)
    assert (after(10), after(6), ("0%",)) == (made.lead.deadline, made.lead.next_at, made.lead.steps_done)


def test_a_ladder_without_a_step_on_receipt() -> None:
    """Nobody is told on receipt where no step says so."""
    change = routed(rulebook(sla_used=sla(Step("100%", StepTime.parse("100%"), alert=("manager",)))))
    assert ((), (), after(10)) == (change.alerts, change.lead.steps_done, change.lead.next_at)


def test_facts_for_rules() -> None:
    """Rules see the lead's fields, custom ones too, and source, channel, campaign and motion as attributed."""
    seen = generic(source="word of mouth", utm_campaign="spring", employees=5)
    route = route_of(seen, "demo", None, MONDAY, rulebook())
    assert facts_for_rules(route.attribution)[0].given == {
        "email": "kim@example.com",
        "employees": 5,
        "utm_campaign": "spring",
        "form": "demo",
        "source": "referral",
        "channel": "Direct",
        "campaign": "spring",
        "motion": "referral",
        "touches": 0,
        "score": 0,
    }


def test_weights_reach_the_lead() -> None:
    """A route's pick moves the rotation on by the rep's own stride."""
    change = routed(rulebook(teams=[team(rep("ana", weight=2))]))
    assert change.rotation is not None
    assert change.rotation.turn == 360_360
    assert timedelta(minutes=10) == change.lead.deadline - change.lead.received_at


def test_untraced_it_is_the_same_route() -> None:
    """Without steps and reasoning, and with everything else."""
    book = rulebook(rule("Germans", when={"country": "DE"}))
    for fields in ({"country": "de", "source": "referral"}, {"utm_medium": "cpc", "campaign": "spring"}):
        lead_given = parsed(**fields).lead
        traced = route_of(lead_given, "demo", None, MONDAY, book)
        untraced = route_of(lead_given, "demo", None, MONDAY, book, is_traced=False)
        for got, told in ((untraced, ()), (traced, traced.trace)):
            assert (traced.rule, traced.team, traced.sla, traced.deadline) == (
                *(got.rule, got.team, got.sla, got.deadline),
            )
            assert traced.attribution.source == got.attribution.source
            assert told == got.trace
