"""`config explain` and the live router agree on every lead: they are asked the same, and answer line by line the same."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.core.builders import OFFICE, rep, rule, rulebook, sla, team
from tests.flow.scene import Scene, new_scene
from tests.servers import ManualClock

from speed_to_lead.cli.explain import Explanation, explain_line
from speed_to_lead.cli.lead_lines import LeadLine
from speed_to_lead.core.assignment import Assignment, WhenNobody
from speed_to_lead.core.clock import to_ms
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.rules import KeepWith
from speed_to_lead.spellings import SPELLINGS
from speed_to_lead.store.memory import MemoryStore


def books() -> st.SearchStrategy[Rulebook]:
    """A team of every way to assign, whose leads may go on or wait; rules that name owners, keep companies and nurture."""
    reps = st.builds(
        lambda name, **more: replace(rep(name, notify="console"), **more),
        st.sampled_from(("ana", "ben", "cy", "dan")),
        calendar=st.sampled_from((OFFICE, rep("ana").calendar)),
        weight=st.integers(1, 3),
        max_open=st.sampled_from((None, 1)),
        max_a_day=st.sampled_from((None, 1)),
        cooldown=st.sampled_from((None, timedelta(hours=1))),
        attributes=st.sampled_from(({}, {"territory": ("Germany",)}, {"territory": ("FR", "DE")})),
    )
    members = st.lists(reps, max_size=4, unique_by=lambda one: one.id)

    @st.composite
    def made(draw: st.DrawFn) -> Rulebook:
        ways = st.sampled_from(Assignment)
        when_nobody = draw(st.sampled_from(WhenNobody))
        other = draw(st.sampled_from(("", "other")))
        first, second = draw(members), draw(members)
        match = {"territory": "country"} if draw(st.booleans()) else None
        teams = [
            team(
                *first,
                assignment=draw(ways),
                match=match,
                when_nobody=when_nobody,
                overflow="other" if when_nobody is WhenNobody.OTHER_TEAM else "",
                unmatched=other,
            ),
            team(*second, name="other", assignment=draw(ways), when_nobody=draw(st.sampled_from((WhenNobody.QUEUE, WhenNobody.NEXT_ON_SHIFT)))),
        ]  # fmt: skip
        small = rule("Small", when={"employees": {"at_most": 9}}, spellings=SPELLINGS)
        german = replace(rule("German", when={"country": "DE"}, spellings=SPELLINGS), team="other")
        rules = [
            replace(small, team="", sla="", nurture="console") if draw(st.booleans()) else small,
            german,
        ]
        claims: dict[str, Any] = {
            "owner_from": draw(st.sampled_from((None, "custom.owner"))),
            "keep_with": draw(st.sampled_from(KeepWith)),
        }
        book = rulebook(
            *(one if one.nurture else replace(one, **claims) for one in rules),
            teams=teams,
            sla_used=sla(),
            spellings=SPELLINGS,
        )
        return replace(book, default=replace(book.default, **claims))

    return made()


LEADS = st.fixed_dictionaries(
    {"email": st.sampled_from(("kim@example.com", "lee@acme.example"))},
    optional={
        "country": st.sampled_from(("Deutschland", "FR", "Atlantis", "us")),
        "employees": st.sampled_from(("1-9", "500", "many")),
        "owner": st.sampled_from(("Ana", "ben", "zoe", "DAN")),
        "phone": st.sampled_from(("+49 30 123456", "none")),
    },
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(books(), LEADS, st.integers(0, 48))
@example(rulebook(), {"email": "kim@example.com"}, 0)
def test_explain_says_what_the_router_does(book: Rulebook, lead: dict[str, Any], hour: int) -> None:
    """The first lead of an empty store, at any hour: team, rep, SLA, deadline, every step and every line of the trace."""
    clock = ManualClock()
    scene = new_scene(MemoryStore(clock), clock, book)
    scene.later(60 * hour)
    explained = explain_line(
        LeadLine(1, lead | {"form": "demo", "received_at": to_ms(clock.now)}), scene.place.config, clock.now
    )
    _compare(scene, explained, scene.submit(**lead))


def _compare(scene: Scene, explained: Explanation, lead_id: str) -> None:
    scene.route()
    live, said = scene.lead(lead_id), explained.as_json()
    assert (said["team"] or "", said["rep"], said["rule"], said["sla"] or "", said["source"]) == (
        live.team,
        live.rep,
        live.rule,
        live.sla,
        live.source,
    )
    assert (explained.route.deadline, explained.route.steps) == (live.deadline, live.steps)
    told_of_the_server = len(explained.trace) - len(explained.known_to_the_server) * (not live.is_nurtured)
    assert explained.trace[:told_of_the_server] == live.trace
