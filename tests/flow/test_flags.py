"""Flags that only arrival shows: what was said often lately, and what came too fast, while a rule asks for them."""

import json
from dataclasses import replace

import pytest
from tests.flow.scene import Scene, new_scene
from tests.servers import ManualClock

from speed_to_lead.core.conditions import parse_condition
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.rules import Rule
from speed_to_lead.core.submission import Form
from speed_to_lead.flow import routing
from speed_to_lead.store.contract import Store
from speed_to_lead.store.memory import MemoryStore

SPAM = "We offer the very best backlinks for your site, write to us today."


@pytest.fixture
def asked(store: Store, clock: ManualClock) -> Scene:
    """A scene whose first rule asks for flags, on each store."""
    return asking(new_scene(store, clock))


def asking(scene: Scene) -> Scene:
    """The scene with a first rule that asks for flags."""
    book = scene.place.config.rulebook
    rule = Rule(
        "Junk",
        book.default.team,
        book.default.sla,
        when=(parse_condition("flags", ["repeated", "over_rate"]),),
    )
    return scene.with_rules(replace(book, rules=(rule, *book.rules)))


def flags(lead: Lead) -> object:
    """The flags kept with a lead."""
    return lead.lead.fields.get("flags")


def test_the_third_person_with_the_same_words_is_flagged(asked: Scene) -> None:
    """Whether they come in one batch or apart; the flag is kept with the lead, and its trace names it."""
    leads = [asked.routed(email=f"p{number}@example.com", message=SPAM) for number in range(2)]
    ids = [asked.submit(email=f"p{number}@example.com", message=SPAM) for number in range(2, 5)]
    asked.route()
    leads += [asked.lead(lead_id) for lead_id in ids]
    assert [None, None, ["repeated"], ["repeated"], ["repeated"]] == [flags(lead) for lead in leads]
    assert [False, False, True, True, True] == [lead.rule == "Junk" for lead in leads]
    assert ["flagged: repeated" in lead.trace for lead in leads] == [False, False, True, True, True]


def test_the_same_delivery_many_times_is_not_flagged(asked: Scene) -> None:
    """A tool that sends again must not make a lead junk, whichever of its copies is settled first."""
    body = b'{"email": "kim@example.com", "submission_id": "7"}'
    ids = [asked.submit_body(body, "demo") for _ in range(10)]
    dead = asked.store.queue.take("dead", 4)  # a router that dies when it has looked at four of them
    routing._flagged(asked.place, [routing._read(asked.place, entry) for entry in dead])
    asked.route()
    (lead,) = [lead for lead in (asked.store.leads.get(one) for one in ids) if lead is not None]
    assert (None, 1) == (flags(lead), asked.counts()["leads"])


def test_the_items_of_one_delivery_are_no_repeats_of_each_other(asked: Scene) -> None:
    """Five people with the same words in one POST, sent twice: none is junk. Whoever says it after two deliveries is."""
    forms = {**asked.place.config.forms, "zaps": Form("zaps", "zapier", "none")}
    asked.place.config = replace(asked.place.config, forms=forms)
    people = [{"email": f"p{number}@example.com", "message": SPAM} for number in range(5)]
    for _ in range(2):
        asked.submit_body(json.dumps(people).encode(), "zaps")
        asked.route()
        asked.route()
    leads, _ = asked.store.leads.newest(10)
    assert [(5, None)] == [(len(leads), one) for one in {flags(lead) for lead in leads}]
    asked.submit_body(json.dumps(people[:2]).encode(), "zaps")
    asked.route()
    asked.route()
    assert ["repeated"] == flags(asked.routed(email="q@example.com", message=SPAM))


def test_short_words_and_other_days_are_no_repeats(memory_store: MemoryStore, clock: ManualClock) -> None:
    """Many people write "please call me"; and what was said long ago is forgotten."""
    asked = asking(new_scene(memory_store, clock))
    assert {None} == {
        flags(asked.routed(email=f"p{n}@example.com", message="please call me")) for n in range(5)
    }
    for number in range(4):
        assert flags(asked.routed(email=f"q{number}@example.com", message=SPAM + "!")) is None
        asked.later(13 * 60 if number != 1 else 25 * 60)


def test_nothing_is_counted_where_no_rule_asks(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The router asks the store nothing more than before."""
    scene = new_scene(store, clock)
    monkeypatch.setattr(type(store.queue), "note_repeats", lambda *_: pytest.fail("it was counted"))
    assert flags(scene.routed(message=SPAM)) is None
