"""Simulation: two configs on the same past, compared; a config against itself changes nothing."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.builders import MONDAY, OFFICE, after, form, generic, rep, rule, rulebook, sla, team

from speed_to_lead.core import simulation as simulation_module
from speed_to_lead.core.assignment import Assignment, Team, WhenNobody
from speed_to_lead.core.lookup import LookedUp, Lookup
from speed_to_lead.core.routing import Rulebook, route_of
from speed_to_lead.core.rules import KeepWith, Rule
from speed_to_lead.core.simulation import SHIFTS, Asked, Difference, Ending, PastLead, Simulation, shift_place
from speed_to_lead.core.sla import Step, StepTime
from speed_to_lead.spellings import SPELLINGS

NOW = MONDAY + timedelta(days=30)
_NUMBERS = count()


def past(
    minutes: float = 0, ending: Ending | None = None, lead_id: object = "lead-1", **fields: Any
) -> PastLead:
    somebody = {"email": f"somebody-{next(_NUMBERS)}@example.com"}
    asked = Asked(generic(**(somebody | fields)), form())
    return PastLead(lead_id, after(minutes), asked, asked, ending)


def book(
    *rules: Rule, within: float = 10, members: Team | None = None, steps: tuple[Step, ...] | None = None
) -> Rulebook:
    made = rulebook(*rules)
    terms = sla(*(steps or ()), within=timedelta(minutes=within))
    teams = {**made.teams, **({members.name: members} if members else {})}
    return replace(made, slas={**made.slas, terms.name: terms}, teams=teams)


def replayed(before: Rulebook, candidate: Rulebook, *leads: PastLead) -> tuple[Simulation, list[Difference]]:
    simulation = Simulation(before, candidate, NOW)
    return simulation, [d for one in leads if (d := simulation.replay(one)) is not None]


LEADS = st.builds(
    past,
    st.integers(0, 20_000),
    st.none() | st.builds(Ending, st.none() | st.integers(0, 40_000).map(after), st.booleans()),
    country=st.sampled_from(["DE", "US", "de ", ""]),
    source=st.sampled_from(["referral", "demo_request", "no such source", 7]),
    email=st.sampled_from(["kim@acme.example", "lee@acme.example", "noa@firm.example", None]),
    owner=st.sampled_from(["ana", "nobody", None]),
    employees=st.sampled_from([5, "51-200", "1,000+", None]),
)
MEMBERS = st.builds(
    lambda capped, weight, way, nobody: team(
        rep("ana", max_open=capped, calendar=OFFICE),
        rep("ben", weight=weight, max_open=capped),
        "cleo",
        assignment=way,
        when_nobody=nobody,
    ),
    st.none() | st.integers(1, 5),
    st.integers(1, 3),
    st.sampled_from(list(Assignment)),
    st.sampled_from([WhenNobody.NEXT_ON_SHIFT, WhenNobody.QUEUE]),
)


@given(st.lists(LEADS, max_size=60), MEMBERS, st.sampled_from(list(KeepWith)), st.integers(1, 20))
def test_a_config_against_itself_changes_nothing(
    leads: list[PastLead], members: Team, keep: KeepWith, days: int
) -> None:
    """Whatever came, and whatever became of it: the same rules, read twice, treat every lead alike.

    Persons and companies who come again and keep their rep or not, named owners, leads that wait for a rep.
    """
    rules = (
        replace(rule("Germans", when={"country": "DE"}), keep_with=keep),
        replace(rule("Large", when={"employees": {"at_least": 100}}), owner_from="owner"),
    )
    in_order = sorted(leads, key=lambda one: one.received_at)
    within = timedelta(days=days)

    def read_again() -> Rulebook:
        return replace(book(*rules, members=members), spellings=SPELLINGS, same_person_within=within)

    simulation, found = replayed(read_again(), read_again(), *in_order)
    breaches = simulation.breaches
    assert ([], 0, Counter()) == (found, simulation.changed, simulation.kinds)
    assert simulation.load_before == simulation.load_after
    assert (breaches.before, 0, 0) == (breaches.after, breaches.avoided, breaches.new)
    assert len(leads) == simulation.leads == sum(simulation.load_before.values())
    assert set(simulation.shifts) <= {0}


COMPANY = KeepWith.COMPANY
ANSWERED = Ending(after(5), was_late=False)
CLOSED = Ending(after(5), was_late=False, was_answered=False)
KIM, LEE = {"email": "kim@acme.example"}, {"email": "lee@acme.example"}


@pytest.mark.parametrize(
    ("keep", "first", "ending", "again_at", "then", "expected"),
    [
        (KeepWith.PERSON, KIM, ANSWERED, 10, KIM, "ben"),  # theirs, though it is Cleo's turn
        (KeepWith.PERSON, KIM, ANSWERED, 10, LEE, "cleo"),
        (KeepWith.PERSON, KIM, CLOSED, 10, KIM, "cleo"),  # without an answer there is no claim
        (KeepWith.PERSON, KIM, None, 1, KIM, "ben"),  # open still
        (KeepWith.PERSON, KIM, None, 99, KIM, "ben"),  # its deadline is over, so it counts as answered
        (
            KeepWith.PERSON,
            KIM,
            ANSWERED,
            60 * 24 * 8,
            KIM,
            "cleo",
        ),  # longer ago than they are the same person
        (KeepWith.NOBODY, KIM, ANSWERED, 10, KIM, "cleo"),
        (COMPANY, KIM, ANSWERED, 10, LEE, "ben"),
        (COMPANY, KIM, None, 1, LEE, "ben"),
        (COMPANY, KIM, CLOSED, 10, LEE, "cleo"),
    ],
)
def test_whose_person_or_company_it_is(
    keep: KeepWith,
    first: dict[str, str],
    ending: Ending | None,
    again_at: float,
    then: dict[str, str],
    expected: str,
) -> None:
    """Each config remembers whom it gave a person and a company, and asks as the router does who has a claim."""
    made = book(replace(rule("All", when={}), keep_with=keep), members=team("ben", "cleo"))
    kept = replace(made, spellings=SPELLINGS, same_person_within=timedelta(days=7))
    other = replace(
        kept, rules=(replace(kept.rules[0], name="Other"),)
    )  # so that each is told as a difference
    _, found = replayed(kept, other, past(0, ending, "one", **first), past(again_at, None, "two", **then))
    assert ["ben", expected] == [one.before.rep for one in found]
    assert ["ben", expected] == [one.after.rep for one in found]


def test_a_company_is_found_behind_its_leads_that_were_closed() -> None:
    """As the router looks: the newest that is open or was answered, behind those closed without an answer."""
    made = book(replace(rule("All", when={}), keep_with=COMPANY), members=team("ben", "cleo"))
    kept = replace(made, spellings=SPELLINGS)
    other = replace(kept, rules=(replace(kept.rules[0], name="Other"),))
    closed = Ending(after(7), was_late=False, was_answered=False)
    leads = (
        past(0, ANSWERED, "one", **KIM),
        past(6, closed, "two", email="max@acme.example"),
        past(8, closed, "three", email="noa@elsewhere.example"),
        past(20, None, "four", **LEE),
    )
    _, found = replayed(kept, other, *leads)
    assert ["ben", "ben", "cleo", "ben"] == [one.before.rep for one in found]


def test_a_lead_to_nurture_takes_nobodys_place() -> None:
    """Who has a person and a company stays known past their newsletters."""
    newsletter = replace(rule("Newsletter", when={"country": "DE"}), nurture="drip")
    made = book(newsletter, replace(rule("All", when={}), keep_with=COMPANY), members=team("ben", "cleo"))
    kept = replace(made, spellings=SPELLINGS)
    other = replace(kept, rules=(newsletter, replace(kept.rules[1], name="Other")))
    leads = (
        past(0, ANSWERED, "one", **KIM),
        past(8, None, "two", **KIM, country="DE"),
        past(9, None, "three", **LEE),
    )
    _, found = replayed(kept, other, *leads)
    assert ["ben", "ben"] == [one.before.rep for one in found]


def test_what_changes_is_named() -> None:
    """Another rule, team and rep each show as what they are, with what it was and what it would be."""
    germans = replace(rule("Germans", when={"country": "DE"}), team="berlin")
    candidate = book(germans, members=team("dora", name="berlin"))
    simulation, [found] = replayed(book(), candidate, past(country="FR"), past(1, country="DE"))
    assert ("rule", "team", "rep") == found.kinds
    assert ("inbound", "ben") == (found.before.team, found.before.rep)
    assert ("Germans", "berlin", "dora") == (found.after.rule, found.after.team, found.after.rep)
    assert (2, 1) == (simulation.leads, simulation.changed)
    assert [("berlin", 0, 1), ("inbound", 2, 1)] == [row[1:] for row in simulation.load_of_teams()]


@pytest.mark.parametrize(("within", "seconds"), [(4, -360), (25, 900)])
def test_deadlines_move_either_way(within: float, seconds: float) -> None:
    """How far is said, later as more than nothing, earlier as less."""
    simulation, [found] = replayed(book(), book(within=within), past())
    assert (("deadline",), timedelta(seconds=seconds)) == (found.kinds, found.shift)
    assert {shift_place(found.shift): 1} == dict(simulation.shifts)


def test_another_ladder_is_a_change() -> None:
    """The deadline stays, but other people hear of it at other times."""
    steps = (Step("50%", StepTime.parse("50%"), remind=("rep",)),)
    _, [found] = replayed(book(), book(steps=steps), past())
    assert ("steps",) == found.kinds


def nurturing(destination: str, name: str = "Not yet") -> Rulebook:
    return book(replace(rule(name, when={"country": "DE"}), team="", sla="", nurture=destination))


def test_a_lead_that_would_go_to_nurture_or_would_not_any_more() -> None:
    """It is routed all the same; who gets it, and by when, is what changes, and nobody's load grows by it."""
    for before, candidate in ((book(), nurturing("letters")), (nurturing("letters"), book())):
        simulation, [found] = replayed(before, candidate, past(country="DE"))
        assert ("rule", "nurture", "team", "rep", "sla", "deadline", "steps") == found.kinds
        assert {"", "letters"} == {found.before.nurture, found.after.nurture}
        assert [("inbound", 1)] == [(row[1], row[2] + row[3]) for row in simulation.load_of_teams()]


def test_another_nurture_is_a_change() -> None:
    """Another rule or destination of leads that go to nobody either way; the same ones are no change."""
    leads = past(country="DE")
    assert [] == replayed(nurturing("letters"), nurturing("letters"), leads)[1]
    assert [("nurture",)] == [d.kinds for d in replayed(nurturing("letters"), nurturing("calls"), leads)[1]]
    assert [("rule",)] == [d.kinds for d in replayed(nurturing("l"), nurturing("l", "Later"), leads)[1]]


def test_a_form_that_the_candidate_drops() -> None:
    """A lead that one config could not read is told as that, and counts in nobody's load there."""
    gone = replace(past(), after='intake.toml has no form "demo"')
    simulation, [found] = replayed(book(), book(), gone)
    assert (("routed",), 'intake.toml has no form "demo"') == (found.kinds, found.after.problem)
    assert (1, 0) == (sum(simulation.load_before.values()), sum(simulation.load_after.values()))


def test_each_config_has_its_own_turn_and_its_own_open_leads() -> None:
    """A cap of one sends the second lead to somebody else, until the first was answered; the other config takes turns."""
    capped = book(members=team(rep("ana", max_open=1, weight=100), "ben"))
    fair = book(members=team("ana", "ben"))
    answered = Ending(after(30), was_late=False)
    leads = [past(0, answered), past(5, answered), past(31), past(32)]
    simulation = Simulation(capped, fair, NOW)
    found = [simulation.replay(one) for one in leads]
    assert Counter(dict.fromkeys(("ana", "ben"), 2)) == by_rep(simulation.load_after)
    assert Counter(dict.fromkeys(("ana", "ben"), 2)) == by_rep(simulation.load_before)
    assert [None, None, None, None] == found


def by_rep(load: Counter[Any]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for place, number in load.items():
        counted[place.rep] += number
    return counted


def test_an_open_lead_counts_until_it_was_answered() -> None:
    """Whose end is not known counts until the running config's deadline, in both; one still open counts for ever."""
    only = book(members=team(rep("ana", max_open=1), "ben", assignment=Assignment.ROUND_ROBIN))

    def second(ending: Ending | None, minutes: float) -> str | None:
        simulation = Simulation(only, book(members=team("zoe")), NOW)
        simulation.replay(past(0, ending))
        simulation.replay(past(1, Ending(after(2), was_late=False)))  # ben's
        found = simulation.replay(past(minutes))
        assert found is not None
        return found.before.rep

    assert "ana" == second(None, 10)  # the deadline is ten minutes after receipt
    assert "ben" == second(None, 9)
    assert "ben" == second(Ending(None, was_late=False), 5_000)
    assert "ana" == second(Ending(after(3), was_late=False), 4)


@pytest.mark.parametrize(
    ("stopped", "recorded", "before", "after_it"),
    [
        (9, False, False, True),  # in time then, late by the candidate's five minutes
        (10, True, True, True),  # at the deadline is late
        (5, False, False, True),
        (4, False, False, False),
        (None, True, True, True),  # nobody has answered, and now is long after
    ],
)
def test_breaches_by_both_deadlines(
    stopped: float | None, recorded: bool, before: bool, after_it: bool
) -> None:
    """The first answer is held against the deadline of each config."""
    ending = Ending(None if stopped is None else after(stopped), recorded)
    simulation, _ = replayed(book(), book(within=5), past(0, ending))
    found = simulation.breaches
    assert (1, recorded, before, after_it) == (found.judged, found.recorded, found.before, found.after)
    assert (after_it and not before, recorded and after_it) == (found.new, found.recorded_still)


def test_breaches_avoided() -> None:
    """A longer SLA would have met an answer that was late; a lead of unknown end is not judged."""
    late = Ending(after(12), was_late=True)
    simulation, _ = replayed(book(), book(within=20), past(0, late), past(1))
    found = simulation.breaches
    assert (1, 1, 0, 1, 0, 1, 0) == (
        *(found.judged, found.recorded, found.recorded_still, found.before, found.after),
        *(found.avoided, found.new),
    )


def test_leads_must_come_in_order() -> None:
    """Rotation and caps mean nothing otherwise, so it is refused."""
    simulation = Simulation(book(), book(), NOW)
    simulation.replay(past(5))
    with pytest.raises(ValueError, match="order of receipt"):
        simulation.replay(past(4))


def test_places_of_shifts() -> None:
    """Each bound belongs to the place below it, and earlier mirrors later."""
    assert 0 == shift_place(timedelta())
    for number, bound in enumerate(SHIFTS, 1):
        assert (number, -number) == (shift_place(bound), shift_place(-bound))
    assert len(SHIFTS) + 1 == shift_place(timedelta(days=400))
    assert all(one < other for one, other in pairwise(SHIFTS))


def test_a_calendar_that_never_opens_is_a_problem_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be counted is told of that lead, and the others go on."""
    real = route_of

    def failing(lead: Any, name: str, source: Any, at: datetime, rules: Rulebook, **more: Any) -> Any:
        if rules.digest == "broken" and at == MONDAY:
            raise ValueError("never open")
        return real(lead, name, source, at, rules, **more)

    monkeypatch.setattr(simulation_module, "route_of", failing)
    only = book(members=team("ana"))
    simulation, [found] = replayed(only, replace(only, digest="broken"), past(), past(1))
    assert ("routed",) == found.kinds
    assert 2 == simulation.leads


def test_what_a_look_up_said_counts_again() -> None:
    """Nobody is asked: a candidate that knows the owner gives them the lead, one against itself changes nothing."""
    used = book(members=team("ana", "ben"))
    used = replace(
        used,
        default=replace(used.default, owner_from="lookup:crm"),
        lookups={"crm": Lookup("crm", "https://crm.example.com/{email}", "owner")},
    )
    asked = Asked(generic(), form(), LookedUp("crm", "Cleo"))
    one = replace(past(), before=asked, after=asked)
    assert [] == replayed(used, used, one)[1]
    (difference,) = replayed(used, replace(used, teams={"inbound": team("ana", "ben", "cleo")}), one)[1]
    assert ("ana", "cleo", ("rep",)) == (difference.before.rep, difference.after.rep, difference.kinds)
