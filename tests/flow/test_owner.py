"""Sticky owners, companies that stay with a rep, and named owners, through the whole router and at once in two of them."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
from tests.core.builders import OFFICE, rep, rulebook, team
from tests.flow.scene import Scene, TimedStore, in_threads, new_scene
from tests.servers import ManualClock

from speed_to_lead import flow, privacy
from speed_to_lead.core.assignment import Assignment, Team, WhenNobody
from speed_to_lead.core.company import company_key
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.person import person_named
from speed_to_lead.core.reps import Rep
from speed_to_lead.core.response import close_lead
from speed_to_lead.core.retention import Retention
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.rules import KeepWith
from speed_to_lead.core.settlement import Admit, Settlement
from speed_to_lead.core.submission import GenericLead, Submission
from speed_to_lead.flow import routing
from speed_to_lead.spellings import SPELLINGS
from speed_to_lead.store.contract import Result
from speed_to_lead.store.redis_store import RedisStore, open_store


def book(*teams: Team, **of_the_rule: Any) -> Rulebook:
    """Everything goes to one team, whose rule says what is given."""
    used = rulebook(teams=teams or (team("ana", "ben", rep("cleo", notify=None)),), spellings=SPELLINGS)
    return replace(used, default=replace(used.default, **of_the_rule))


def close(scene: Scene, lead: Lead, reason: str = "spam") -> None:
    flow.change_lead(scene.place, lead.id, lambda lead, now: close_lead(lead, reason, "ops", now))


# --- the same person -------------------------------------------------------------------------------------------


def test_an_answered_person_comes_back_to_the_same_rep(scene: Scene) -> None:
    """Whoever answered them gets the next lead too, though it is another's turn; that turn is not lost."""
    first = scene.routed(email="kim@example.com")
    scene.respond(first.id)
    again = scene.routed(email="KIM@example.com", message="one more thing")
    other = scene.routed()
    assert [first.rep, first.rep, "ben"] == ["ana", again.rep, other.rep]
    assert f"has lead {first.id} of this person, answered" in "\n".join(again.trace)
    assert {"leads": 3} == scene.counts()
    assert {"ana": 1, "ben": 1} == scene.store.leads.load()
    assert ["lead.assigned 0%"] * 2 == scene.heard()["ana-slack"]


def test_several_answered_people_in_one_batch(scene: Scene) -> None:
    """A batch of people who come back gives each to their own rep."""
    before = [scene.routed(email=f"p{number}@example.com") for number in range(6)]
    for lead in before:
        scene.respond(lead.id)
    for number in range(6):
        scene.submit(email=f"p{number}@example.com", message="again")
    scene.route()
    again = {lead.lead.get("email"): lead.rep for lead in scene.leads() if lead.is_open}
    assert {lead.lead.get("email"): lead.rep for lead in before} == again


def test_after_the_window_nobody_has_a_claim(scene: Scene) -> None:
    """Whoever was answered long ago is somebody new."""
    scene = scene.with_rules(replace(book(), same_person_within=timedelta(days=30)))
    first = scene.routed(email="kim@example.com")
    scene.respond(first.id)
    scene.later(30 * 24 * 60 + 1)
    assert "ben" == scene.routed(email="kim@example.com", message="hello again").rep


def test_a_lead_closed_without_an_answer_gives_no_claim(scene: Scene) -> None:
    """Who was taken for spam and comes back is shared out like anybody."""
    close(scene, scene.routed(email="kim@example.com"))
    again = scene.routed(email="kim@example.com", message="I am no robot")
    assert "ben" == again.rep
    assert "closed without an answer" in "\n".join(again.trace)


def test_a_reassigned_lead_is_its_last_reps(scene: Scene) -> None:
    """The ladder passed it on before it was answered: the person belongs to whoever answered in the end."""
    first = scene.routed(email="kim@example.com")
    scene.live(10)
    last = scene.respond(first.id).rep
    assert "ana" != last
    assert last == scene.routed(email="kim@example.com", message="again").rep


# --- the same company ------------------------------------------------------------------------------------------


def by_company(scene: Scene, *teams: Team) -> Scene:
    return scene.with_rules(book(*teams, keep_with=KeepWith.COMPANY))


def test_a_company_stays_with_the_rep_who_has_it(scene: Scene) -> None:
    """A colleague's lead, open or answered, says whose the company is; others are shared out."""
    scene = by_company(scene)
    first = scene.routed(email="kim@acme.example")
    second = scene.routed(email="lee@acme.example")
    other = scene.routed(email="sam@else.example")
    scene.respond(first.id)
    scene.respond(second.id)
    third = scene.routed(phone="+1 555 0100", email="", website="https://www.acme.example/x")
    assert ["ana", "ana", "ben", "ana"] == [lead.rep for lead in (first, second, other, third)]
    assert f"has lead {second.id} of this company, answered" in "\n".join(third.trace)


def test_a_batch_of_one_company(scene: Scene) -> None:
    """Ten colleagues who press at the same time have one rep."""
    scene = by_company(scene)
    for number in range(10):
        scene.submit(email=f"p{number}@acme.example")
        scene.submit()
    scene.route()
    reps = {lead.rep for lead in scene.leads() if str(lead.lead.get("email")).endswith("@acme.example")}
    assert 1 == len(reps)
    assert {"leads": 20} == scene.counts()


@pytest.mark.parametrize("spam", [1, 3])
def test_spam_from_a_company_does_not_make_it_forgotten(scene: Scene, spam: int) -> None:
    """Closed without an answer they do not count: the company is still whose the newest lead is that does."""
    scene = by_company(scene)
    first = scene.routed(email="kim@acme.example")
    for number in range(spam):
        close(scene, scene.routed(email=f"robot{number}@acme.example"))
    scene.routed()
    again = scene.routed(email="lee@acme.example")
    assert ["ana", "ana"] == [first.rep, again.rep]
    assert f"has lead {first.id} of this company, open" in "\n".join(again.trace)


def test_a_company_with_nothing_but_spam(scene: Scene) -> None:
    """Then nobody has it, and the trace says why."""
    scene = by_company(scene)
    close(scene, scene.routed(email="robot@acme.example"))
    close(scene, scene.routed(email="robot2@acme.example"))
    lead = scene.routed(email="kim@acme.example")
    assert "cleo" == lead.rep
    assert "was closed without an answer" in "\n".join(lead.trace)


def test_free_mail_is_no_company(scene: Scene) -> None:
    """People who share nothing but a mail provider are shared out in turn."""
    scene = by_company(scene)
    leads = [scene.routed(email=f"p{number}@gmail.com") for number in range(3)]
    assert ["ana", "ben", "cleo"] == [lead.rep for lead in leads]


def test_a_follower_is_not_decided_on_what_was_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another router settled the first of the batch, for another rep: those behind it look again, and follow that rep."""
    scene = by_company(scene)
    first = scene.submit(email="kim@acme.example")
    scene.submit(email="lee@acme.example")
    scene.submit(email="max@acme.example")
    settle = type(scene.store.queue).settle
    by_another: list[str] = []

    def after_another(self: Any, settlements: Iterable[Settlement]) -> list[Result]:
        if by_another:
            return settle(self, settlements)
        waiting = iter(settlements)
        admitted = next(waiting)
        assert isinstance(admitted, Admit)
        by_another.append(admitted.change.lead.id)
        lead = replace(admitted.change.lead, rep="cleo")
        change = replace(admitted.change, lead=lead, load={"cleo": 1}, rotation=None)
        assert [Result.APPLIED] == settle(self, [replace(admitted, change=change)])
        return settle(self, chain([admitted], waiting))

    monkeypatch.setattr(type(scene.store.queue), "settle", after_another)
    scene.route()
    assert [first] == by_another
    assert ["cleo"] * 3 == [lead.rep for lead in scene.leads()]
    assert {"leads": 3} == scene.counts()


def test_a_team_that_assigns_sticky(scene: Scene) -> None:
    """`assignment = "sticky"`: whoever has the person or their company gets the lead, without a word in the rule."""
    sticky = team("ana", "ben", rep("cleo", notify=None), assignment=Assignment.STICKY)
    scene = scene.with_rules(book(sticky))
    first = scene.routed(email="kim@acme.example")
    colleague = scene.routed(email="lee@acme.example")
    stranger = scene.routed(email="sam@else.example")
    scene.respond(first.id)
    again = scene.routed(email="kim@acme.example", message="again")
    assert ["ana", "ana", "ben", "ana"] == [lead.rep for lead in (first, colleague, stranger, again)]
    for number in range(3):
        scene.submit(email=f"p{number}@gmail.com")
    scene.route()
    shares = Counter(lead.rep for lead in scene.leads() if lead.id not in (colleague.id, again.id))
    assert {"ana": 2, "ben": 2, "cleo": 1} == shares  # the rotation goes on as if nobody had been kept


def test_a_rule_may_share_out_what_a_sticky_team_would_keep(scene: Scene) -> None:
    """`keep_with = "nobody"` wins over the team."""
    sticky = team("ana", "ben", assignment=Assignment.STICKY)
    scene = scene.with_rules(book(sticky, keep_with=KeepWith.NOBODY))
    leads = [scene.routed(email=f"p{number}@acme.example") for number in range(3)]
    assert ["ana", "ben", "ana"] == [lead.rep for lead in leads]


@pytest.mark.parametrize("others", [[], [rep("ben", calendar=OFFICE)]])
def test_an_owner_off_shift_in_a_team_that_queues(scene: Scene, others: list[Rep]) -> None:
    """Nobody is there: the lead waits without a rep, says why it is not the owner's yet, and is handed out at nine."""
    members = team(rep("ana", calendar=OFFICE), *others, when_nobody=WhenNobody.QUEUE)
    scene = scene.with_rules(book(members))
    first = scene.routed(email="kim@example.com")
    scene.respond(first.id)
    scene.later(-30)
    again = scene.routed(email="kim@example.com", message="again")
    assert (None, True) == (again.rep, again.waits_for_a_rep)
    assert "the team's leads wait until somebody is available" in "\n".join(again.trace)
    scene.live(30)
    assert scene.lead(again.id).rep in {"ana", "ben"}
    assert {scene.lead(again.id).rep: 1} == scene.store.leads.load()


def test_a_lead_that_waits_does_not_make_its_company_nobodys(scene: Scene) -> None:
    """Kim's colleague waits for a rep; the next of the company still goes to the rep who answered Kim."""
    members = team(rep("ana", cooldown=timedelta(minutes=5)), when_nobody=WhenNobody.QUEUE)
    scene = scene.with_rules(book(members, team("ben", name="b"), keep_with=KeepWith.COMPANY))
    first = scene.routed(email="kim@acme.example")
    scene.respond(first.id)
    waits = scene.routed(email="lee@acme.example")
    assert waits.waits_for_a_rep
    scene.later(6)
    third = scene.routed(email="max@acme.example")
    assert ("ana", True) == (third.rep, f"ana: has lead {first.id} of this company" in "\n".join(third.trace))


def test_erased_and_expired_leads_leave_no_company_behind(scene: Scene) -> None:
    """The pointer goes with the lead; an export says that there is one."""
    scene = by_company(scene)
    key = company_key(GenericLead({"email": "kim@acme.example"}), SPELLINGS)
    scene.routed(email="kim@acme.example")
    exported = privacy.export(scene.place, person_named("kim@acme.example"))
    assert [f"company:{key}"] == [
        one["id"] for one in exported["elsewhere"] if one["id"].startswith("company:")
    ]
    assert privacy.erase(scene.place, person_named("kim@acme.example")).is_proven
    assert {} == scene.store.leads.of_companies([key])
    close(scene, scene.routed(email="lee@acme.example"))
    scene.later(60)
    privacy.expire(scene.place, Retention(closed=timedelta(minutes=1)), 0)
    assert [] == scene.leads()
    assert {} == scene.store.leads.of_companies([key])


def test_without_such_a_rule_no_company_is_kept_in_mind(scene: Scene) -> None:
    """Whoever does not ask who has a company pays for no key."""
    scene.routed(email="kim@acme.example")
    assert {} == scene.store.leads.of_companies(
        [company_key(GenericLead({"email": "kim@acme.example"}), SPELLINGS)]
    )


# --- named owners ----------------------------------------------------------------------------------------------


def test_an_owner_that_the_payload_names(scene: Scene) -> None:
    """What a form sends as `owner` stands under `custom`, and wins over the rotation."""
    scene = scene.with_rules(book(owner_from="custom.owner"))
    named = scene.routed(owner="Cleo")
    unknown = scene.routed(owner="Nobody in particular")
    assert ["cleo", "ana"] == [named.rep, unknown.rep]
    assert "named as its owner (custom.owner)" in "\n".join(named.trace)
    assert "nobody in teams.toml" in "\n".join(unknown.trace)


# --- races -----------------------------------------------------------------------------------------------------


@pytest.fixture
def both(
    server_url: str,
    redis_store: RedisStore,
    key_prefix: str,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Rulebook], tuple[Scene, Scene]]:
    """Two routers on one server, as two processes would have it, that take few entries at once."""
    monkeypatch.setattr(routing, "ROUTE_BATCH", 7)

    def scenes(rules: Rulebook) -> tuple[Scene, Scene]:
        one = new_scene(redis_store, clock, rules)
        store = open_store(server_url, key_prefix)
        return one, replace(one, place=replace(one.place, store=TimedStore(store, clock)))

    return scenes


def route_all(scene: Scene, name: str) -> None:
    """Route until nothing is left."""
    while flow.route(scene.place, name).settled:
        pass


def send(scene: Scene, emails: list[str]) -> None:
    for email in emails:
        scene.submissions += 1
        body = json.dumps({"email": email, "message": f"{scene.submissions}"}).encode()
        scene.store.queue.add(Submission(f"x{scene.submissions}", "demo", scene.clock.now, body))


@pytest.mark.real
def test_two_routers_give_each_company_one_rep(both: Callable[[Rulebook], tuple[Scene, Scene]]) -> None:
    """Twelve companies of eight colleagues each, all at once in two routers: no company has two reps."""
    one, two = both(book(keep_with=KeepWith.COMPANY))
    send(one, [f"p{person}@company{number}.example" for person in range(8) for number in range(12)])
    in_threads(lambda: route_all(one, "one"), lambda: route_all(two, "two"))
    one.check()
    reps: dict[str, set[str | None]] = {}
    for lead in one.leads():
        reps.setdefault(str(lead.lead.get("email")).partition("@")[2], set()).add(lead.rep)
    assert {1} == {len(found) for found in reps.values()}
    assert {"leads": 96} == one.counts()
    assert {"ana": 4, "ben": 4, "cleo": 4} == Counter(next(iter(found)) for found in reps.values())


@pytest.mark.real
def test_two_routers_bring_answered_people_back_to_their_rep(
    both: Callable[[Rulebook], tuple[Scene, Scene]],
) -> None:
    """Answered people who write again, three times each, in two routers at once: one new lead each, with the old rep."""
    one, two = both(book())
    people = [f"p{number}@example.com" for number in range(20)]
    send(one, people)
    route_all(one, "one")
    before = {lead.lead.get("email"): lead.rep for lead in one.leads()}
    for lead in one.leads():
        one.respond(lead.id)
    send(one, people * 3)
    in_threads(lambda: route_all(one, "one"), lambda: route_all(two, "two"))
    one.check()
    assert {"leads": 40, "touches": 40} == one.counts()
    waiting = [lead for lead in one.leads() if lead.is_open]
    assert 20 == len(waiting)
    assert before == {lead.lead.get("email"): lead.rep for lead in waiting}
