"""The clock: whose instant has come, decided from the record, whatever the index says and however many clocks look."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.flow.scene import Scene, TimedStore, in_threads, new_scene
from tests.servers import ManualClock

from speed_to_lead import flow
from speed_to_lead.auditor import Auditor
from speed_to_lead.core.audit import Finding
from speed_to_lead.core.escalation import escalate
from speed_to_lead.core.lead import Lead, LeadChange, ResponseKind
from speed_to_lead.core.submission import Submission
from speed_to_lead.flow import sweeping
from speed_to_lead.store.contract import StoreUnavailable, UnreadableRecord
from speed_to_lead.store.redis_store import RedisStore, open_store
from speed_to_lead.workplace import Workplace


def test_nothing_due_is_nothing_done(scene: Scene) -> None:
    """A sweep before any instant decides nothing."""
    scene.routed()

    assert flow.Swept() == scene.sweep()


def test_a_sweep_that_lasts_too_long_leaves_the_rest_to_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow server its worker would be taken for stuck; the longest overdue are decided first."""
    monkeypatch.setattr(sweeping, "SWEEP_BATCH", 2)
    monkeypatch.setattr(sweeping, "SWEEP_SECONDS", 0.0)
    for _ in range(5):
        scene.submit()
    scene.route()
    scene.later(10)
    assert [2, 2, 1, 0] == [flow.sweep(scene.place).decided for _ in range(4)]


def test_every_due_lead_is_decided_however_many_batches_that_takes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sweep goes on until nothing is due."""
    monkeypatch.setattr(sweeping, "SWEEP_BATCH", 2)
    for _ in range(7):
        scene.submit()
    scene.route()
    scene.later(10)

    assert flow.Swept(7, has_alerts=True) == scene.sweep()
    assert scene.store.operations.counters()["breaches"] == 7
    assert scene.store.leads.load() == {"ana": 3, "ben": 4}


def test_a_long_sweep_says_between_batches_that_it_is_at_work(
    memory_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tens of thousands due at once take longer than a stage may be silent; one that finds little says nothing."""
    monkeypatch.setattr(sweeping, "SWEEP_BATCH", 2)
    for _ in range(5):
        memory_scene.submit()
    memory_scene.route()
    memory_scene.later(10)
    signs: list[int] = []
    flow.sweep(memory_scene.place, lambda: signs.append(1))
    assert 2 == len(signs)
    flow.sweep(memory_scene.place, lambda: signs.append(1))
    assert 2 == len(signs)


def test_an_index_entry_that_is_too_early_is_mended_and_nothing_is_said(scene: Scene) -> None:
    """The record decides, the index hints."""
    lead = scene.routed()
    scene.forget()
    scene.store.leads.mend_index(lead.id, lead.version, scene.clock.now)

    scene.sweep()
    scene.deliver()

    assert scene.heard() == {}
    assert lead.next_at == scene.store.leads.indexed_at([lead.id])[0]


def test_what_happens_while_the_index_is_asked_stands_before_what_is_decided_on_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A history is in the order of its instants, also where somebody acts between the index and the record."""
    lead = scene.routed()
    scene.later(10)
    kind = type(scene.store.leads)
    read = kind.get_many

    def somebody_acts_first(self: Any, ids: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(kind, "get_many", read)
            scene.later(1)
            scene.respond(lead.id, ResponseKind.ACKNOWLEDGED)
        return read(self, ids)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "get_many", somebody_acts_first)
        flow.sweep(scene.place)

    instants = [entry.at for entry in scene.store.leads.history(lead.id)]
    assert sorted(instants) == instants
    assert {"lead.acknowledged", "step.decided"} <= set(scene.events(lead.id))


def test_an_index_entry_of_a_lead_that_is_gone_is_dropped(scene: Scene) -> None:
    """An erased lead's entry does not come again and again."""
    scene.store.leads.mend_index("nobody", 0, scene.clock.now)

    scene.sweep()

    assert scene.store.leads.indexed_at(["nobody"]) == [None]


def audited(scene: Scene, minutes: float = 0.1) -> Mapping[Finding, int]:
    """What the auditor acted on after looking twice, a few seconds apart."""
    auditor = Auditor(scene.place)
    auditor.tick(10)
    scene.later(minutes)
    auditor.tick(10)
    return auditor.acted_on


def test_a_lead_the_index_lost_is_found_by_the_auditor(scene: Scene) -> None:
    """A deadline index that was lost is rebuilt from the records, and the ladder goes on."""
    lead = scene.routed()
    scene.forget()
    scene.store.leads.mend_index(lead.id, lead.version, None)
    scene.later(10)
    assert flow.Swept() == scene.sweep()

    assert {Finding.NOT_INDEXED: 1} == audited(scene)
    scene.sweep()
    scene.deliver()

    assert scene.heard()["managers"] == ["sla.breached 100%"]


def test_the_auditor_reports_what_nobody_came_for(scene: Scene) -> None:
    """A lead half a minute past its instant, index and record agreeing, is told to somebody and left to the clock."""
    scene.routed()
    scene.later(7)

    assert {Finding.OVERDUE: 1} == audited(scene, minutes=0.6)
    scene.forget()
    scene.deliver()
    (message,) = scene.people["console"].heard
    assert "Found once: a lead is past its instant" in message.note


def test_a_lead_whose_decision_raises_is_put_aside_and_the_others_go_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves the index with its error, the fallback destination hears of it, and its neighbour is escalated."""
    bad, good = scene.routed(), scene.routed()
    scene.forget()
    decide = escalate

    def explode(lead: Any, *rest: Any) -> Any:
        if lead.id == bad.id:
            raise ZeroDivisionError(lead.lead.get("email"))
        return decide(lead, *rest)

    monkeypatch.setattr(sweeping, "escalate", explode)
    scene.live(6)
    scene.live(0)

    assert {bad.id: "ZeroDivisionError while escalating it"} == scene.store.leads.quarantined()
    assert scene.heard() == {
        "ben-slack": ["sla.reminder 60%"],
        "console": ["system.lead_quarantined quarantined"],
    }
    assert good.id == scene.people["ben-slack"].heard[0].lead_id
    assert scene.people["console"].heard[0].note == "ZeroDivisionError while escalating it"


@pytest.mark.parametrize("garbage", [b"", b"{", b"1 {", b"1 []", b'1 {"id": 1}', b"\xff\x00", b"1 \x01\xff"])
def test_a_record_that_cannot_be_read_is_put_aside_and_the_others_go_on(
    redis_store: RedisStore, clock: ManualClock, garbage: bytes
) -> None:
    """Bytes that are no lead stop neither the sweep nor the alerts of anybody else."""
    scene = new_scene(redis_store, clock)
    bad, good = scene.routed(), scene.routed()
    scene.forget()
    redis_store.server.client.lset(redis_store.server.keys.lead(bad.id), 0, garbage)
    scene.later(6)

    flow.sweep(scene.place)
    for name in flow.destinations_due(scene.place):
        flow.deliver(scene.place, name)

    assert [bad.id] == list(redis_store.leads.quarantined())
    assert scene.heard() == {
        "ben-slack": ["sla.reminder 60%"],
        "console": ["system.lead_quarantined quarantined"],
    }
    assert good.id == scene.people["ben-slack"].heard[0].lead_id
    assert redis_store.operations.ledger().difference == 0
    with pytest.raises(UnreadableRecord):  # it can no more be worked on than before
        flow.release(scene.place, bad.id)
    assert [bad.id] == list(redis_store.leads.quarantined())


def test_a_store_that_goes_away_while_deciding_puts_nobody_aside(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """StoreUnavailable stops the sweep; the next one decides the lead as if nothing had been."""
    lead = scene.routed()
    scene.forget()
    scene.later(6)

    def away(*_: object) -> None:
        raise StoreUnavailable("ConnectionError")

    with monkeypatch.context() as patch:
        patch.setattr(sweeping, "escalate", away)
        with pytest.raises(StoreUnavailable):
            flow.sweep(scene.place)
    assert scene.store.leads.quarantined() == {}

    scene.live(0)
    assert scene.heard() == {"ana-slack": ["sla.reminder 60%"]}
    assert lead.rep == scene.lead(lead.id).rep


@pytest.mark.real
def test_two_clocks_at_once_say_everything_once(
    server_url: str, redis_store: RedisStore, key_prefix: str, clock: ManualClock
) -> None:
    """However two sweeps interleave, each step of each lead is decided once, and loads stay right."""
    scene = new_scene(redis_store, clock)
    for _ in range(120):
        scene.submissions += 1
        scene.store.queue.add(
            Submission(
                f"s{scene.submissions}",
                "demo",
                clock.now,
                b'{"email": "p%d@example.com"}' % scene.submissions,
            )
        )
    scene.route()
    scene.deliver()
    scene.forget()
    other_store = open_store(server_url, key_prefix)
    other = replace(scene.place, store=TimedStore(other_store, clock))

    for minutes in (6, 4, 10):
        scene.later(minutes)
        in_threads(lambda: flow.sweep(scene.place), lambda: flow.sweep(other))
        in_threads(*(lambda place=place: _deliver_all(place) for place in (scene.place, other)))
    other_store.close()
    scene.check()

    said = Counter(message.key for double in scene.people.values() for message in double.heard)
    steps = Counter(f"{m.kind} {m.step}" for double in scene.people.values() for m in double.heard)
    assert [key for key, times in said.items() if times > 1] == []
    assert steps == {
        "sla.reminder 60%": 120,
        "sla.breached 100%": 120,
        "lead.reassigned 100%": 240,  # who gets it, and who had it
        "sla.breached +10m": 120,
    }
    assert scene.store.operations.counters()["breaches"] == 120


def _deliver_all(place: Workplace) -> None:
    for name in flow.destinations_due(place):
        flow.deliver(place, name)


def test_a_lead_in_quarantine_is_told_of_once_and_can_be_released(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The auditor leaves it where it is, so nobody hears of it again; released, its ladder goes on."""
    lead = scene.routed()
    scene.forget()

    def explode(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(sweeping, "escalate", explode)
        for _ in range(5):
            scene.live(6)
            audited(scene)
    (message,) = scene.people["console"].heard
    assert ("system.lead_quarantined", lead.id) == (message.kind, message.lead_id)

    assert [True, False] == [flow.release(scene.place, lead.id), flow.release(scene.place, lead.id)]
    scene.forget()
    scene.live(0)
    assert scene.heard()


def test_refused_decisions_at_the_head_of_the_index_hold_up_nobody(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that refuses every decision is passed over, however small the batch."""
    monkeypatch.setattr(sweeping, "SWEEP_BATCH", 1)
    stuck = scene.routed()
    scene.later(0.1)
    other = scene.routed()
    decide = escalate

    def outdated(lead: Lead, *rest: Any) -> LeadChange | None:
        return decide(replace(lead, version=lead.version - 1) if lead.id == stuck.id else lead, *rest)

    scene.forget()
    monkeypatch.setattr(sweeping, "escalate", outdated)
    scene.live(6)
    assert [other.id] == [message.lead_id for double in scene.people.values() for message in double.heard]
