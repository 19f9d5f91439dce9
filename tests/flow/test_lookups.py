"""Owners that another system names, through the whole router: whatever it answers, each lead is somebody's, and soon."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.core.builders import rep, rulebook, team
from tests.crm.far_side import Crm, new_crm
from tests.flow.scene import Scene

from speed_to_lead.spellings import SPELLINGS


@pytest.fixture
def crm() -> Iterator[Crm]:
    """A CRM that says cleo."""
    with new_crm() as one:
        yield one


def asking(scene: Scene, crm: Crm, timeout: float = 20.0, url: str = "", *, cleo_away: bool = False) -> Scene:
    """A scene whose one rule asks the CRM by the lead's address."""
    away = [("2026-01-01", "2026-01-31")] if cleo_away else []
    used = rulebook(teams=(team("ana", "ben", rep("cleo", notify=None, away=away)),), spellings=SPELLINGS)
    lookup = replace(
        crm.lookup(timedelta(seconds=timeout)), url=url or f"http://127.0.0.1:{crm.port}/o?email={{email}}"
    )
    used = replace(used, default=replace(used.default, owner_from="lookup:crm"), lookups={"crm": lookup})
    scene = scene.with_rules(used)
    return replace(scene, place=replace(scene.place, lookups=crm.client()))


def test_the_owner_wins_over_the_rotation(scene: Scene, crm: Crm) -> None:
    """The CRM's word decides, takes no turn, and stands in the lead's record on every store."""
    scene = asking(scene, crm)
    crm.says("Cleo")
    first = scene.routed()
    crm.says("nobody we know")
    others = [scene.routed().rep for _ in range(2)]
    assert ["cleo", "ana", "ben"] == [first.rep, *others]
    assert "  cleo: named as its owner (look-up crm), on shift, takes no turn" in first.trace
    assert ("crm", "Cleo", "") == scene.lead(first.id).looked_up


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ({"body": b'{"owner": {"email": "zoe@corp.example"}}'}, "the owner that look-up crm gives is not known: nobody in teams.toml"),
        ({"status": 404}, "look-up crm gives no owner: answered 404"),
        ({"status": 500}, "look-up crm gives no owner: answered 500"),
        ({"status": 302, "location": "/else"}, "look-up crm gives no owner: answered 302, and redirects are not followed"),
        ({"body": b"no JSON"}, "look-up crm gives no owner: the answer is no JSON"),
        ({"body": b"x" * 100_000}, "look-up crm gives no owner: its answer is larger than 64 KiB"),
        ({"hangs": True}, "look-up crm gives no owner: no answer within 0.3s"),
    ],
)  # fmt: skip
def test_no_owner_is_no_reason_to_wait(
    memory_scene: Scene, crm: Crm, answer: dict[str, object], line: str
) -> None:
    """Whatever goes wrong is told in the trace, without a word of the answer, and the rotation goes on."""
    scene = asking(memory_scene, crm, 0.3 if "hangs" in answer else 20.0)
    for name, value in answer.items():
        setattr(crm, name, value)
    lead = scene.routed()
    assert "ana" == lead.rep
    assert f"  {line}" in lead.trace
    assert "zoe" not in "\n".join(lead.trace)


def test_an_owner_on_leave(memory_scene: Scene, crm: Crm) -> None:
    """Nobody waits for them, and the next claim is asked."""
    lead = asking(memory_scene, crm, cleo_away=True).routed()
    assert "ana" == lead.rep
    assert any("the owner that look-up crm gives is cleo: on leave" in line for line in lead.trace)


def test_the_persons_rep_where_the_look_up_fails(memory_scene: Scene, crm: Crm) -> None:
    """Who had the person comes next, before the rotation."""
    scene = asking(memory_scene, crm)
    crm.says("ben")
    scene.respond(scene.routed(email="kim@example.com").id)
    crm.status = 404
    again = scene.routed(email="kim@example.com", message="again")
    assert "ben" == again.rep
    assert any("of this person, answered" in line for line in again.trace)


def test_who_has_an_open_lead_is_not_asked_about(memory_scene: Scene, crm: Crm) -> None:
    """A touch stays with its rep, a repeat is dropped, a test is nobody's: none of them asks."""
    scene = asking(memory_scene, crm)
    scene.routed(email="kim@example.com")
    scene.submit(email="kim@example.com", message="more")
    scene.submit(email="kim@example.com")
    scene.submit(email="test@example.com", is_test=True)
    scene.route()
    assert {"leads": 1, "touches": 1, "duplicates": 1, "tests": 1} == scene.counts()
    assert 1 == len(crm.asked)


def test_who_was_silent_for_too_long_is_asked_about(memory_scene: Scene, crm: Crm) -> None:
    """After the window their open lead is closed, and this is a new one: the CRM knows whose."""
    scene = asking(memory_scene, crm)
    first = scene.routed(email="kim@example.com")
    scene.later(91 * 24 * 60)
    again = scene.routed(email="kim@example.com", message="hello")
    assert first.id != again.id
    assert 2 == len(crm.asked)
    assert ("crm", "cleo", "") == again.looked_up


def test_two_of_one_person_in_a_batch(memory_scene: Scene, crm: Crm) -> None:
    """One question, one lead with a touch."""
    scene = asking(memory_scene, crm)
    scene.submit(email="kim@example.com", message="one")
    scene.submit(email="kim@example.com", message="two")
    scene.route()
    assert {"leads": 1, "touches": 1} == scene.counts()
    assert ["/o?email=kim%40example.com"] == crm.paths
    assert ["cleo"] == [lead.rep for lead in scene.leads()]


def test_rules_without_look_ups_ask_nobody(memory_scene: Scene, crm: Crm) -> None:
    """One rule's look-up is nothing to the leads of another, nor to a config whose look-up no rule names."""
    scene = asking(memory_scene, crm)
    book = scene.place.config.rulebook
    lead = scene.with_rules(replace(book, default=replace(book.default, owner_from=None))).routed()
    assert (None, []) == (lead.looked_up, crm.asked)


def test_fifty_leads_and_a_crm_that_hangs(memory_scene: Scene, crm: Crm) -> None:
    """The batch waits for one timeout, and the next batch not at all; every lead is somebody's."""
    scene = asking(memory_scene, crm, 2.0)
    crm.hangs = True
    for _ in range(50):
        scene.submit()
    began = time.monotonic()
    scene.route()
    assert 2.0 <= time.monotonic() - began < 4.0
    assert {"ana": 17, "ben": 17, "cleo": 16} == Counter(lead.rep for lead in scene.leads())
    began = time.monotonic()
    lead = scene.routed(email="next@example.com")
    assert time.monotonic() - began < 2.0
    assert not any("next" in path for path in crm.paths)
    assert any("it failed 50 times in a row" in line for line in lead.trace)


def test_no_lead_chooses_where_we_ask(memory_scene: Scene, crm: Crm) -> None:
    """What stands in an address is one encoded value in its place: no other path, parameter or host."""
    scene = asking(memory_scene, crm, url=f"http://127.0.0.1:{crm.port}/a/{{email}}/b?d={{domain}}")
    nasty = ["o'x/../..@acme.example", "k&admin=1@acme.example", "k#@acme.example", "k?x@acme.example", "%2e%2e@acme.example",
             '"../.."@acme.example', "k@acme.example\r\nHost: evil.example", "k@evil.example/x", "@evil.example"]  # fmt: skip
    for email in nasty:
        scene.submit(email=email, phone="+44 20 7946 0958")
    scene.route()
    assert crm.asked
    for path, headers in crm.asked:
        address, _, query = path.partition("?")
        parts = address.split("/")
        assert (4, "a", "b") == (len(parts), parts[1], parts[3])
        assert query in ("d=acme.example", "d=evil.example")
        assert f"127.0.0.1:{crm.port}" == headers["host"]
