"""Claims on a new lead: whom it names, who had its person, who has its company; and when the rotation decides instead."""

from dataclasses import replace
from typing import Any

import pytest
from tests.core.builders import MONDAY, generic, lead, office, rep, rulebook, team

from speed_to_lead.core.assignment import Tally, Team
from speed_to_lead.core.lead import Lead, LeadState
from speed_to_lead.core.owner import NOTHING_EARLIER, Earlier
from speed_to_lead.core.reps import Rep
from speed_to_lead.core.routing import Assigned, assign_lead, route_of
from speed_to_lead.core.rules import KeepWith

#: Nobody's shift on a Monday morning.
EVENING = office("UTC", "18:00-22:00", range(7))
NIGHT = office("UTC", "20:00-23:00", range(7))


def answered(rep_id: str | None = "ben", **changes: Any) -> Lead:
    """An earlier lead that was answered."""
    given: dict[str, Any] = {
        "state": LeadState.ANSWERED,
        "answered_at": MONDAY,
        "next_at": None,
        "id": "before",
    } | changes
    return lead(rep=rep_id, **given)


def assigned(
    earlier: Earlier,
    *teams: Team,
    keep_with: KeepWith = KeepWith.PERSON,
    load: dict[str, int] | None = None,
) -> Assigned:
    """Who gets a lead of the first of these teams, Monday at nine; it would be ana's turn."""
    book = rulebook(teams=teams or (team("ana", "ben"),))
    book = replace(book, default=replace(book.default, keep_with=keep_with))
    route = route_of(generic(), "demo", None, MONDAY, book)
    return assign_lead(generic(), route, earlier, Tally(load=load or {}), book, MONDAY)


def who(one: Assigned) -> str | None:
    return one.pick.rep.id if one.pick.rep else None


def by_company(before: Lead | Exception | None, *teams: Team, **more: Any) -> Assigned:
    return assigned(Earlier(None, before), *teams, keep_with=KeepWith.COMPANY, **more)


# --- the person ------------------------------------------------------------------------------------------------


def test_nothing_is_said_where_nobody_has_a_claim() -> None:
    """A new person's trace is that of the rotation, without a word more."""
    one = assigned(NOTHING_EARLIER)
    assert ("ana", 'rep is "ana": team "inbound", round_robin') == (who(one), one.trace[0])
    assert 3 == len(one.trace)


def test_an_answered_persons_next_lead_stays_with_the_rep() -> None:
    """It is ana's turn, and ben answered them before: it is ben's, says why, and takes no turn."""
    one = assigned(Earlier(answered("ben")))
    assert ("ben", None, "inbound") == (who(one), one.pick.rotation, one.team.name)
    assert one.trace == (
        'rep is "ben": team "inbound"',
        "  ben: has lead before of this person, answered; on shift, takes no turn",
    )


def test_closed_after_the_answer_is_answered() -> None:
    """A lead that was won and closed is its rep's like one that is not closed yet."""
    assert "ben" == who(assigned(Earlier(answered("ben", state=LeadState.CLOSED, closed_at=MONDAY))))


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (answered("ben", state=LeadState.CLOSED, answered_at=None), "was closed without an answer"),
        (answered(None), "has no rep"),
        (answered("zoe"), "zoe: has lead before of this person, answered, and is in no team any more"),
        (ValueError("damaged"), "the newest lead of this person cannot be read here"),
    ],
)
def test_an_earlier_lead_that_gives_no_claim(before: Lead | Exception, why: str) -> None:
    """Then the rotation decides, takes its turn, and the trace says why nobody has a claim."""
    one = assigned(Earlier(before))
    assert "ana" == who(one)
    assert one.pick.rotation is not None
    assert why in one.trace[1]


def test_a_rule_that_keeps_leads_with_nobody() -> None:
    """The switch: every lead is shared out anew."""
    one = assigned(Earlier(answered("ben")), keep_with=KeepWith.NOBODY)
    assert "ana" == who(one)
    assert 'the rule says keep_with = "nobody"' in one.trace[1]


@pytest.mark.parametrize(
    ("ben", "load", "why"),
    [
        (rep("ben", calendar=EVENING), {}, "off shift until Mon 23 Nov 18:00 UTC"),
        (rep("ben", away=[("2026-11-20", "2026-12-05")]), {}, "on leave, back Sun 6 Dec 00:00 UTC"),
        (rep("ben", max_open=2), {"ben": 2}, "at the cap, 2 of 2 open"),
    ],
)
def test_a_rep_who_cannot_answer_now(ben: Rep, load: dict[str, int], why: str) -> None:
    """Speed before acquaintance: where somebody else can answer now, the rotation decides, and the trace says why."""
    one = assigned(Earlier(answered("ben")), team("ana", ben), load=load)
    assert "ana" == who(one)
    assert one.trace[1] == (
        f"  ben: has lead before of this person, answered, but {why}; ana can answer sooner, so the rotation decides"
    )


@pytest.mark.parametrize(
    ("others", "expected"), [(NIGHT, "ben"), (EVENING, "ben"), (office("UTC", "12:00-13:00"), "ana")]
)
def test_where_nobody_can_answer_now(others: Any, expected: str) -> None:
    """At night the person stays with their rep, unless somebody else is back sooner."""
    one = assigned(Earlier(answered("ben")), team(rep("ana", calendar=others), rep("ben", calendar=EVENING)))
    assert expected == who(one)


def test_a_rep_of_another_team() -> None:
    """The rep takes it along into the team they had it in; rule and SLA stay."""
    first, second, third = team("ana"), team("ben", name="second"), team("ben", name="third")
    one = assigned(Earlier(answered("ben", team="third")), first, second, third)
    assert ("ben", "third") == (who(one), one.team.name)


def test_a_rep_of_the_rules_team_stays_in_it() -> None:
    """Somebody in two teams gets it as one of the team that the rule names."""
    one = assigned(Earlier(answered("ben", team="second")), team("ana", "ben"), team("ben", name="second"))
    assert ("ben", "inbound") == (who(one), one.team.name)


def test_a_team_that_is_gone() -> None:
    """The rep is found in whatever team they are in now."""
    one = assigned(Earlier(answered("ben", team="gone")), team("ana"), team("ben", name="second"))
    assert ("ben", "second") == (who(one), one.team.name)


# --- the company -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [lead(rep="ben", id="before"), answered("ben")])
def test_a_company_stays_with_its_rep(before: Lead) -> None:
    """The newest lead of the company, open or answered, says whose the next one is."""
    one = by_company(before)
    state = "open" if before.is_open else "answered"
    assert "ben" == who(one)
    assert f"  ben: has lead before of this company, {state}; on shift, takes no turn" == one.trace[1]


def test_only_rules_that_say_so_look_at_the_company() -> None:
    """By default a colleague's rep means nothing."""
    assert "ana" == who(assigned(Earlier(None, answered("ben"))))


def test_a_company_lead_that_was_no_lead() -> None:
    """Spam from a company's domain makes nobody its rep."""
    assert "ana" == who(by_company(answered("ben", state=LeadState.CLOSED, answered_at=None)))


def test_the_person_counts_before_the_company() -> None:
    """Whoever spoke with the person gets them, though a colleague's lead is another's."""
    earlier = Earlier(answered("ana", id="one"), answered("ben", id="two"))
    assert "ana" == who(assigned(earlier, keep_with=KeepWith.COMPANY))


def test_a_persons_rep_who_is_gone_leaves_the_companys() -> None:
    """A claim that does not hold is told, and the next one is asked."""
    earlier = Earlier(answered("zoe", id="one"), answered("ben", id="two"))
    one = assigned(earlier, keep_with=KeepWith.COMPANY)
    assert "ben" == who(one)
    assert ["zoe", "ben"] == [line.strip().partition(":")[0] for line in one.trace[1:]]


# --- whom the lead names ---------------------------------------------------------------------------------------

BEN = Rep("ben", "Ben Okafor", rep("x").calendar, email="ben.okafor@corp.example")


@pytest.mark.parametrize(
    "said",
    [
        "ben",
        "BEN ",
        "Ben Okafor",
        "ben okafor",
        "ben.okafor@corp.example",
        "Ben.Okafor@Corp.example",
        "Ben Okafor <Ben.Okafor@corp.example>",
        "mailto:ben.okafor@corp.example",
        ["Ben"],
    ],
)
def test_a_named_owner_wins_over_the_rotation(said: Any) -> None:
    """By id, name or e-mail address, in whatever capitals; it takes no turn."""
    one = named(said, team("ana", BEN))
    assert ("ben", None) == (who(one), one.pick.rotation)
    assert "  ben: named as its owner (custom.owner), on shift, takes no turn" == one.trace[1]


def named(said: Any, *teams: Team, earlier: Earlier = NOTHING_EARLIER, field: str = "owner") -> Assigned:
    """Who gets a lead that says this in a custom field, where the rule asks for `custom.owner`."""
    book = rulebook(teams=teams)
    book = replace(book, default=replace(book.default, owner_from="custom.owner"))
    given = replace(generic(), custom={field: said})
    route = route_of(given, "demo", None, MONDAY, book)
    return assign_lead(given, route, earlier, Tally(), book, MONDAY)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("zoe", 'custom.owner is "zoe", nobody in teams.toml'),
        ("zoe@corp.example", "custom.owner is an address or the person's own words, nobody in teams.toml"),
        ("Sam Lee", 'custom.owner is "Sam Lee", 2 reps are called so (sam1, sam2)'),
        (["ben", "ana"], "nobody in teams.toml"),
        (7, 'custom.owner is "7", nobody in teams.toml'),
    ],
)
def test_an_owner_nobody_knows(said: Any, why: str) -> None:
    """The trace says what was named, addresses apart, and the rotation goes on."""
    calendar = rep("x").calendar
    twins = (Rep("sam1", "Sam Lee", calendar), Rep("sam2", "Sam Lee", calendar))
    one = named(said, team("ana", BEN, *twins))
    assert "ana" == who(one)
    assert why in one.trace[1]


def test_a_lead_that_names_nobody() -> None:
    """A rule that asks for an owner says that none was given."""
    one = named("ben", team("ana", BEN), field="else")
    assert ("ana", "  it names no owner: custom.owner is not given") == (who(one), one.trace[1])


def test_a_named_owner_who_is_off_shift_or_at_the_cap() -> None:
    """Named is named: it is theirs even so, and the clock watches."""
    ben = rep("ben", calendar=EVENING, max_open=1)
    assert "ben" == who(named("ben", team("ana", ben)))


def test_a_named_owner_on_leave() -> None:
    """Nobody waits two weeks for somebody who is away."""
    one = named("ben", team("ana", rep("ben", away=[("2026-11-20", "2026-12-05")])))
    assert ("ana", "  the owner it names (custom.owner) is ben: on leave, back Sun 6 Dec 00:00 UTC") == (
        who(one),
        one.trace[1],
    )


def test_a_named_owner_counts_before_the_persons_rep() -> None:
    """What the rule asks for explicitly wins."""
    assert "ben" == who(named("ben", team("ana", BEN), earlier=Earlier(answered("ana"))))


def test_an_unknown_owner_leaves_the_persons_rep() -> None:
    """The claims are asked one after the other, and each that does not hold is told."""
    one = named("zoe", team("ana", BEN), earlier=Earlier(answered("ben")))
    assert "ben" == who(one)
    assert 3 == len(one.trace)


def test_a_named_owner_of_another_team_takes_it_along() -> None:
    """The lead joins the owner's team, so that its reminders and its manager are those of the owner."""
    one = named("ben", team("ana"), team(BEN, name="second"))
    assert ("ben", "second") == (who(one), one.team.name)
