"""A config is published while others work: whoever meets a name that only the new one has looks again, and loses nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from tests.core.builders import rulebook, team
from tests.flow.scene import REFUSED, Destination, Scene, new_scene
from tests.servers import ManualClock

from speed_to_lead import flow
from speed_to_lead.config import Configuration
from speed_to_lead.core.submission import Form
from speed_to_lead.publication import Follower, Usable
from speed_to_lead.store import ConfigVersion
from speed_to_lead.store.memory import MemoryStore


@dataclass
class Late:
    """A process that has not looked since `publish`: another one has the new config already."""

    scene: Scene

    def publish(self, config: Configuration) -> None:
        def load(texts: Mapping[str, bytes], running: Configuration | None) -> Usable:
            del texts, running
            return Usable(config, self.scene.people.__getitem__)

        store = self.scene.place.store
        self.scene.place.follower = Follower(store.configs, load, "host:1")
        store.configs.publish(ConfigVersion(1, "new", "ana", datetime(2026, 1, 5, tzinfo=UTC)), {})


@pytest.fixture
def late(memory_store: MemoryStore, clock: ManualClock) -> Late:
    """A scene with its old config."""
    return Late(new_scene(memory_store, clock))


def test_a_form_that_a_web_process_knew_first_is_no_dead_letter(late: Late) -> None:
    """The router looks again before it buries what it cannot read."""
    scene, config = late.scene, late.scene.place.config
    second = Form("second", "generic", "none", source="demo_request")
    late.publish(replace(config, forms={**config.forms, "second": second}))
    lead_id = scene.submit(form="second")
    scene.route()
    assert [lead.id for lead in scene.leads()] == [lead_id]
    assert scene.store.operations.ledger().dead_letters == 0


def test_a_form_that_nobody_knows_is_one_still(late: Late) -> None:
    """Looking again finds nothing, so it is buried as ever."""
    late.publish(late.scene.place.config)
    late.scene.submit(form="second")
    late.scene.route()
    assert late.scene.store.operations.ledger().dead_letters == 1


def test_a_destination_that_a_clock_knew_first_hears_its_alert(late: Late) -> None:
    """The courier looks again before it says that there is no such destination."""
    scene, config = late.scene, late.scene.place.config
    scene.submit()
    scene.route()
    told = scene.people.pop("ana-slack")
    newly = {**scene.people, "ana-slack": told}
    late.publish(config)

    def load(texts: Mapping[str, bytes], running: Configuration | None) -> Usable:
        del texts, running
        return Usable(config, newly.__getitem__)

    assert scene.place.follower is not None
    scene.place.follower.load = load
    scene.place.channel = lambda name: scene.people.get(name) or Destination(always=REFUSED)
    scene.deliver()
    assert [message.step for message in told.heard] == ["0%"]
    assert scene.dead_alerts() == []


def test_a_team_that_a_router_knew_first_has_its_manager(late: Late) -> None:
    """The clock looks again before it tells the fallback destination what is the manager's."""
    scene, config = late.scene, late.scene.place.config
    new_rules = rulebook(teams=[team("ana", "ben", name="inbound", manager="head-of-sales")])
    lead = scene.routed()
    old_rules = replace(config.rulebook, teams={})
    scene.place.config = replace(config, rulebook=old_rules)
    late.publish(replace(config, rulebook=new_rules))
    scene.later(11)
    flow.sweep(scene.place)
    assert scene.place.config.rulebook is new_rules
    assert f"{lead.id}:100%:head-of-sales" in scene.waiting()
