"""The watch over forms and sources: it tells each silence once, a moment of walking at a time, and cries no wolf."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.flow.scene import Scene, new_scene
from tests.servers import ManualClock

from speed_to_lead import arrivals as watching
from speed_to_lead.arrivals import Watch, survey
from speed_to_lead.core.arrivals import AuditTerms
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.core.retention import Retention
from speed_to_lead.store.contract import Store, StoreUnavailable
from speed_to_lead.store.memory import MemoryStore

DAYS = 24 * 60
ENOUGH = 60.0  # seconds of a tick: the whole walk


@pytest.fixture
def scene(store: Store, clock: ManualClock) -> Scene:
    """A scene on each kind of store in turn."""
    return new_scene(store, clock)


@pytest.fixture
def memory_scene(memory_store: MemoryStore, clock: ManualClock) -> Scene:
    """A scene in memory."""
    return new_scene(memory_store, clock)


def lived(scene: Scene, days: int, a_day: int = 3, source: str = "demo_request") -> None:
    """So many days with so many leads a day, which nobody is told of."""
    for _ in range(days):
        for _ in range(a_day):
            scene.submit(source=source)
            scene.later(DAYS / a_day)
        scene.route()
    scene.forget()


def told(scene: Scene) -> list[str]:
    """What the watch put into the outbox, each by its name."""
    return sorted(
        alert.step.rpartition(".")[0]
        for alert, _ in scene.store.outbox.waiting(999)
        if alert.lead_id == "system"
    )


def test_a_form_gone_silent_is_told_once(scene: Scene) -> None:
    """Not while it goes on, once when it stops, not again while it is silent, and again for another silence."""
    lived(scene, 35)
    Watch(scene.place).tick(ENOUGH)
    assert [] == told(scene)
    scene.later(5 * DAYS)
    for _ in range(2):  # another process, or the same after a restart
        Watch(scene.place).tick(ENOUGH)
        assert ["form_silent.demo"] == told(scene)
    scene.deliver()
    (message,) = [one for one in scene.people["console"].heard if one.kind is AlertKind.FORM_SILENT]
    assert "A form has gone silent" == message.headline
    assert 'Form "demo" has brought nothing since 2026-' in message.note
    scene.later(DAYS)
    Watch(scene.place).tick(ENOUGH)
    assert [] == told(scene)
    assert 1 == scene.store.operations.counters()["raised:form_silent"]

    lived(scene, 21)
    scene.later(6 * DAYS)
    Watch(scene.place).tick(ENOUGH)
    assert ["form_silent.demo"] == told(scene)
    assert 2 == scene.store.operations.counters()["raised:form_silent"]


def test_a_source_without_leads_is_told_once(scene: Scene) -> None:
    """One that had some and has none for a month; one that nobody ever used is no news."""
    scene.submit("api", source="referral")
    scene.route()
    lived(scene, 29, a_day=1)
    Watch(scene.place).tick(ENOUGH)
    assert [] == told(scene)
    lived(scene, 2, a_day=1)
    for _ in range(2):
        Watch(scene.place).tick(ENOUGH)
        assert ["source_quiet.referral"] == told(scene)
    assert 1 == scene.store.operations.counters()["raised:source_quiet"]


def test_the_thresholds_are_configs(scene: Scene) -> None:
    """Another patience, another answer."""
    lived(scene, 20)
    scene.later(2 * DAYS)
    Watch(scene.place).tick(ENOUGH)
    assert [] == told(scene)
    config = replace(scene.place.config, audit=AuditTerms(timedelta(days=1), 4))
    Watch(replace(scene.place, config=config)).tick(ENOUGH)
    assert ["form_silent.demo", "source_quiet.demo_request"] == told(scene)


def test_sources_are_not_judged_where_their_leads_are_removed(scene: Scene) -> None:
    """Kept for a week, nobody can say that there was none for a month."""
    lived(scene, 1)
    scene.later(31 * DAYS)
    for days, expected in ((7, []), (31, ["source_quiet.demo_request"])):
        config = replace(scene.place.config, retention=Retention(answered=timedelta(days=days)))
        Watch(replace(scene.place, config=config)).tick(ENOUGH)
        assert expected == told(scene)


def test_nobody_is_silent_while_submissions_wait(memory_scene: Scene) -> None:
    """After an outage of the routers their leads are in the queue, not away."""
    scene = memory_scene
    lived(scene, 35)
    scene.later(5 * DAYS)
    scene.submit()
    scene.later(2)
    watch = Watch(scene.place)
    watch.tick(ENOUGH)
    assert [] == told(scene)


def test_a_walk_goes_on_where_it_stood_and_then_rests(
    memory_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page a tick where there is no time; told at the end; then nothing is read for a quarter of an hour."""
    scene, clock = memory_scene, [0.0]
    monkeypatch.setattr(watching, "PAGE", 50)
    lived(scene, 35)
    scene.later(5 * DAYS)
    watch, pages = Watch(scene.place), list[object]()
    real = scene.store.leads.received_since

    def counted(since: datetime, limit: int, after: str | None = None) -> object:
        pages.append(after)
        return real(since, limit, after)

    monkeypatch.setattr(scene.store.leads, "received_since", counted)
    for number in (1, 2):
        watch.tick(0.0, lambda: clock[0])
        assert number == len(pages)
        assert [] == told(scene)
    watch.tick(ENOUGH, lambda: clock[0])
    assert (3, ["form_silent.demo"]) == (len(pages), told(scene))
    watch.tick(ENOUGH, lambda: clock[0])
    assert 3 == len(pages)
    clock[0] += watching.REST_SECONDS
    watch.tick(ENOUGH, lambda: clock[0])
    assert 6 == len(pages)


def test_a_walk_that_the_store_interrupts_begins_again(
    memory_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a walk would call everything silent that comes after it."""
    scene = memory_scene
    monkeypatch.setattr(watching, "PAGE", 10)
    lived(scene, 35)
    watch = Watch(scene.place)
    watch.tick(0.0)
    with monkeypatch.context() as patch:

        def away(*_: object) -> None:
            raise StoreUnavailable("away")

        patch.setattr(scene.store.leads, "received_since", away)
        with pytest.raises(StoreUnavailable):
            watch.tick(ENOUGH)
    watch.tick(ENOUGH)
    assert [] == told(scene)


def test_a_survey_counts_what_cannot_be_read(scene: Scene) -> None:
    """And all the rest, since the instant asked for."""
    lived(scene, 10)
    now = scene.place.store.now()
    found = survey(scene.place, now - timedelta(days=2), now)
    assert (6, 30, 0) == (found.submissions, sum(found.forms["demo"].hours.values()), found.unreadable)
