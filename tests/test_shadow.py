"""The shadow: decided beside the live rules, after them, within its share of time; it assigns nothing and stops nobody."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.core.builders import rep, rulebook, sla, team
from tests.flow.scene import Scene, new_scene
from tests.servers import ManualClock, wait_until
from tests.store.builders import picture

from speed_to_lead import shadow
from speed_to_lead.config import Configuration
from speed_to_lead.core.assignment import WhenNobody
from speed_to_lead.publication import Usable
from speed_to_lead.shadow import ShadowRouter
from speed_to_lead.store import StoreUnavailable
from speed_to_lead.store.contract import ShadowConfig
from speed_to_lead.store.memory import MemoryStore
from speed_to_lead.workplace import API_FORM

AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.fixture
def scene(memory_store: MemoryStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A scene whose router looks for a shadow each time, with all the time it needs."""
    monkeypatch.setattr(shadow, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(shadow, "SHARE", 1e6)
    monkeypatch.setattr(shadow, "SAVED_SECONDS", 60.0)
    return new_scene(memory_store, clock)


def begin(scene: Scene, candidate: Configuration) -> None:
    """Have this candidate loaded by the scene's router."""

    def load(texts: Mapping[str, bytes], running: Configuration | None) -> Usable:
        del texts, running
        return Usable(candidate, scene.people.__getitem__)

    scene.store.shadow.begin(ShadowConfig("s1", candidate.rulebook.digest, "ana", AT), {})
    router = ShadowRouter(scene.store.shadow, load, API_FORM)
    scene.place.shadow = router

    def is_loaded() -> bool:
        router.work()
        return router._config is not None

    wait_until(is_loaded, "the candidate is loaded")


def counts(scene: Scene) -> dict[str, int]:
    """What was counted, without the digests."""
    found, _ = scene.store.shadow.report(10)
    return {name: n for name, n in found.items() if not name.startswith("beside:")}


def routed(scene: Scene, **fields: Any) -> str:
    """A lead, routed, and what the shadow makes of it."""
    lead_id = scene.submit(**fields)
    scene.route()
    assert scene.place.shadow is not None
    scene.place.shadow.work()
    return lead_id


def test_the_live_config_as_its_own_shadow_never_differs(scene: Scene) -> None:
    """The same rules give the same route, whatever reps were picked."""
    begin(scene, scene.place.config)
    for _ in range(5):
        routed(scene)
    assert counts(scene) == {"leads": 5, "same": 5}


def test_what_differs_is_counted_by_kind_with_both_routes(scene: Scene) -> None:
    """Another SLA: its deadline and steps differ too, and the example says from what to what."""
    other = replace(scene.place.config.rulebook, slas={"inbound-5m": sla(within=timedelta(minutes=30))})
    name = next(iter(scene.place.config.rulebook.slas))
    other = replace(other, slas={name: replace(other.slas["inbound-5m"], name=name)})
    begin(scene, replace(scene.place.config, rulebook=other))
    lead_id = routed(scene)
    found = counts(scene)
    assert (found["leads"], found["different"], found["in:deadline"]) == (1, 1, 1)
    [example] = map(json.loads, scene.store.shadow.report(10)[1])
    assert (example["lead"], "deadline" in example["differs"]) == (lead_id, True)
    assert example["live"]["deadline"] != example["shadow"]["deadline"]
    assert "example.com" not in json.dumps(example)  # nothing of the person


def test_it_assigns_nothing(scene: Scene) -> None:
    """Leads, rotations, loads, alerts and counters are those of a scene without a shadow."""
    begin(scene, scene.place.config)
    scene.submit()
    scene.route()
    before = picture(scene.place.store.within)  # type: ignore[attr-defined]
    assert scene.place.shadow is not None
    scene.place.shadow.work()
    after = picture(scene.place.store.within)  # type: ignore[attr-defined]
    assert {name for name in after if after[name] != before[name]} == {"shadow_counts"}


def test_a_candidate_that_fails_is_a_difference_and_stops_nobody(scene: Scene) -> None:
    """Its exception is counted with its kind; the lead was routed before."""
    broken = replace(scene.place.config.rulebook, teams={})
    begin(scene, replace(scene.place.config, rulebook=broken))
    lead_id = routed(scene)
    assert scene.lead(lead_id).is_open
    assert counts(scene) == {"leads": 1, "different": 1, "in:error": 1}
    [example] = map(json.loads, scene.store.shadow.report(10)[1])
    assert example["shadow"] == {"error": "KeyError"}


def test_a_candidate_without_the_form_differs_in_that(scene: Scene) -> None:
    """Its leads would be dead letters."""
    begin(scene, replace(scene.place.config, forms={}))
    routed(scene)
    assert counts(scene)["in:form"] == 1


def test_a_candidate_that_reads_the_form_otherwise_reads_it_again(scene: Scene) -> None:
    """Another mapping of its fields gives another campaign, another source of the form another attribution."""
    live = scene.place.config.forms["demo"]
    begin(scene, replace(scene.place.config, forms={"demo": replace(live, fields={"campaign": "key:offer"})}))
    routed(scene, offer="spring")
    assert counts(scene)["in:campaign"] == 1
    begin(scene, replace(scene.place.config, forms={"demo": replace(live, source=None)}))
    routed(scene)
    assert counts(scene)["in:source"] == 1


def test_it_keeps_to_its_share_of_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without time nothing is decided, and what was not is counted as skipped."""
    begin(scene, scene.place.config)
    monkeypatch.setattr(shadow, "SHARE", 0.0)
    assert scene.place.shadow is not None
    scene.place.shadow._saved = 0.0
    for _ in range(3):
        scene.submit()
    scene.route()
    scene.place.shadow.work()
    assert counts(scene) == {"skipped": 3}


def test_its_debts_are_paid_before_it_goes_on(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decision that took long is followed by a pause in proportion."""
    begin(scene, scene.place.config)
    monkeypatch.setattr(shadow, "SHARE", 0.001)  # a pause of fifty seconds
    monkeypatch.setattr(shadow, "SAVED_SECONDS", 0.01)
    monkeypatch.setattr(shadow, "route_of", lambda *_: time.sleep(0.05))
    for _ in range(3):
        routed(scene)
    found = counts(scene)
    assert (found["leads"], found["skipped"]) == (1, 2)


def test_nothing_waits_where_there_is_no_shadow(scene: Scene) -> None:
    """A router without one keeps nothing of its leads, and one whose shadow was ended forgets them."""
    begin(scene, scene.place.config)
    scene.store.shadow.end()
    routed(scene)
    assert scene.place.shadow is not None
    assert scene.place.shadow._config is None
    scene.submit()
    scene.route()
    assert scene.place.shadow._waiting == []


def test_a_server_that_is_away_costs_the_counts_alone(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is raised into the router."""
    begin(scene, scene.place.config)

    def away(*_: object) -> None:
        raise StoreUnavailable("ConnectionError")

    monkeypatch.setattr(scene.store.shadow, "note", away)
    lead_id = routed(scene)
    assert scene.lead(lead_id).is_open


def test_a_team_that_gave_its_lead_to_another_is_the_rules_team_still(scene: Scene) -> None:
    """A lead that went on to an overflow team differs in nothing from what the same rules say."""
    gone = rep("ana", away=[("2020-01-01", "2099-01-01")])
    teams = [
        team(gone, when_nobody=WhenNobody.OTHER_TEAM, overflow="night"),
        team("ben", name="night"),
    ]
    rules = rulebook(teams=teams)
    scene = scene.with_rules(rules)
    begin(scene, scene.place.config)
    lead_id = routed(scene)
    assert ("night", "ben") == (scene.lead(lead_id).team, scene.lead(lead_id).rep)
    assert counts(scene)["same"] == 1


def test_who_is_in_a_team_is_not_compared(scene: Scene) -> None:
    """The rep is the team's turn, and depends on who came before."""
    other = rulebook(teams=[team("cleo", name="inbound", manager="boss")])
    begin(scene, replace(scene.place.config, rulebook=other))
    routed(scene)
    assert counts(scene)["same"] == 1
