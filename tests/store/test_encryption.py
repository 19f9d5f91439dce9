"""Encryption at rest: nothing personal in what the server holds, rotation without a gap, and what a missing key does."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import fakeredis
import pytest
from cryptography.fernet import Fernet
from tests.flow.scene import REFUSED, Scene, all_keys, new_scene
from tests.servers import BINARIES, ManualClock
from tests.store.builders import picture

from speed_to_lead import flow, privacy
from speed_to_lead.auditor import Auditor
from speed_to_lead.core.audit import Finding
from speed_to_lead.core.lead import Alert, AlertKind, Response, ResponseKind
from speed_to_lead.core.person import person_named
from speed_to_lead.core.response import close_lead, record_response
from speed_to_lead.core.settlement import Await
from speed_to_lead.core.submission import Submission
from speed_to_lead.flow import sweeping
from speed_to_lead.flow.routing import RECLAIM_AFTER
from speed_to_lead.store.contract import HeldKind, LockedRecord, Resealed
from speed_to_lead.store.encryption import UnusableKeys, Vault
from speed_to_lead.store.redis_store import RedisStore, open_store

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
KIM = person_named("kim@example.com")
SECRETS = ("kim@example.com", "kim doe", "top secret", "acme widgets", "spam by kim", "ana example")


@pytest.fixture(params=["fakeredis", *(pytest.param(name, marks=pytest.mark.real) for name in BINARIES)])
def opened(request: pytest.FixtureRequest, server_of: Callable[[str], str], key_prefix: str) -> Iterator[Any]:
    """Opens the same data with other keys."""
    stores: list[RedisStore] = []
    server = fakeredis.FakeServer(version=(7, 0))

    def with_keys(*keys: str) -> RedisStore:
        if request.param in BINARIES:
            stores.append(open_store(server_of(request.param), key_prefix, vault=Vault(keys)))
        else:
            stores.append(RedisStore(fakeredis.FakeRedis(server=server), key_prefix, vault=Vault(keys)))
        return stores[-1]

    yield with_keys
    for store in stores:
        store.close()


def scene_on(store: RedisStore) -> Scene:
    return new_scene(store, ManualClock())


def a_life(scene: Scene) -> str:
    """A closed lead with a touch and an alert given up, a dead letter, and one submission in flight."""
    scene.people["ana-slack"].always = scene.people["ben-slack"].always = REFUSED
    lead = scene.routed(email="kim@example.com", name="Kim Doe", message="top secret", company="Acme Widgets")
    scene.submit(email="kim@example.com", message="top secret again")
    scene.route()
    flow.change_lead(
        scene.place, lead.id, lambda one, now: close_lead(one, "spam by kim", "Ana Example", now)
    )
    scene.submit_body(b"no json of kim@example.com", headers={"x-from": "kim@example.com"})
    scene.route()
    scene.submit(email="kim@example.com", message="top secret, a third time")
    return lead.id


def in_the_clear(store: RedisStore) -> list[str]:
    whole = str(picture(store)).casefold()
    return [word for word in SECRETS if word in whole]


def test_nothing_personal_is_readable(opened: Any) -> None:
    """The whole flow works with keys, and the server holds no word of the person."""
    store = opened(OLD)
    scene = scene_on(store)
    lead_id = a_life(scene)
    assert in_the_clear(store) == []
    lead = scene.lead(lead_id)
    assert (lead.lead.get("name"), lead.touches[0].lead.get("message")) == ("Kim Doe", "top secret again")
    assert lead.closed_reason == "spam by kim"
    assert "spam by kim" in [entry.details.get("reason") for entry in store.leads.history(lead_id)]
    (letter,) = store.queue.dead_letters(5)
    assert (letter.submission.body, dict(letter.submission.headers)) == (
        b"no json of kim@example.com",
        {"x-from": "kim@example.com"},
    )
    scene.route()
    assert len(scene.leads()) == 2


@pytest.mark.parametrize("keys", [(OLD,), ()], ids=["written so", "re-encrypted"])
def test_who_did_it_is_sealed_as_well(opened: Any, keys: tuple[str, ...]) -> None:
    """Whoever answers may be named by address: the history says so only to those with the key."""
    scene = scene_on(opened(*keys))
    lead, now = scene.routed(), scene.clock()
    said = Response(ResponseKind.ATTEMPTED, "Ana Example", now, now)
    flow.change_lead(scene.place, lead.id, lambda one, at: record_response(one, said, at))
    keyed = opened(OLD)
    assert sum(keyed.privacy.reseal(), Resealed()).locked == 0
    assert in_the_clear(keyed) == []
    assert "Ana Example" in [entry.details.get("by") for entry in keyed.leads.history(lead.id)]


def test_programs_may_go_on_adding_plain_entries(opened: Any) -> None:
    """An entry without the mark is read as it is; its lead is encrypted."""
    store = opened(OLD)
    scene = scene_on(store)
    body = json.dumps({"email": "kim@example.com"})
    store.server.client.xadd(store.server.keys.incoming, {"form": "demo", "body": body})
    scene.route()
    assert scene.leads()[0].lead.get("email") == "kim@example.com"
    assert in_the_clear(store) == []


def test_the_same_body_is_one_dead_letter(opened: Any) -> None:
    """A token never comes twice, and the same submission is recognised all the same; another body is kept as well."""
    store = opened(OLD)
    scene = scene_on(store)
    for body in (b"broken", b"broken", b"broken otherwise"):
        store.server.client.xadd(store.server.keys.incoming, {"id": "s1", "form": "demo", "body": body})
        scene.route()
    assert (scene.counts()["dead_letters"], scene.counts()["duplicates"]) == (2, 1)


def test_rotation(opened: Any) -> None:
    """New key in front, re-encrypt, old key away: everything can be read at every moment, and a repeat does nothing."""
    plain = scene_on(opened())
    lead_id = a_life(plain)
    plain.route()
    for keys, after in (((OLD,), OLD), ((NEW, OLD), NEW)):
        store = opened(*keys)
        assert store.leads.get(lead_id).lead.get("name") == "Kim Doe"
        total = sum(store.privacy.reseal(), Resealed())
        assert (total.rewritten > 3, total.locked, total.in_flight) == (True, 0, 0)
        assert sum(store.privacy.reseal(), Resealed()).rewritten == 0
        assert in_the_clear(store) == []
        alone = opened(after)
        assert alone.leads.get(lead_id).lead.get("name") == "Kim Doe"
        assert alone.queue.dead_letters(5)[0].submission.body == b"no json of kim@example.com"
        assert alone.privacy.locked_among_newest(20) == 0


def test_what_waits_for_its_tool_is_reencrypted(opened: Any) -> None:
    """As sealed as anything else; under the new key it is claimed, answered and read, and not with another key."""
    scene = scene_on(opened())
    now = scene.store.now()
    store = opened()
    store.queue.add(
        Submission(
            "s1", "demo", now, b'{"id": "kim@example.com"}', "application/json", {"x": "kim@example.com"}
        )
    )
    (entry,) = store.queue.take("router", 1)
    store.queue.settle([Await(entry.entry_id, entry.submission, "name", now, now)])
    for keys, after in (((OLD,), OLD), ((NEW, OLD), NEW)):
        total = sum(opened(*keys).privacy.reseal(), Resealed())
        assert (total.rewritten, total.in_flight, total.locked) == (1, 0, 0)
        assert in_the_clear(opened(*keys)) == []
        (overdue,) = opened(after).fetches.overdue(now, 10)
        assert (overdue.submission.body, overdue.is_locked) == (entry.submission.body, False)
    assert sum(opened(NEW).privacy.reseal(), Resealed()).rewritten == 0
    (locked,) = opened(OLD).fetches.overdue(now, 10)
    assert locked.is_locked
    assert opened(NEW).fetches.answered(overdue, overdue.submission) == "applied"
    assert [one.submission.body for one in opened(NEW).queue.take("router", 1)] == [entry.submission.body]


def test_a_change_during_reencryption_is_not_lost(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that changes between being read and being rewritten keeps the change."""
    scene = scene_on(opened())
    lead = scene.routed(email="kim@example.com")
    store = opened(OLD)
    run = store.server.run
    raced: list[object] = []

    def racing(calls: Any) -> Any:
        if not raced and any("lead:" in str(call.keys[0]) for call in calls):
            raced.append(
                flow.change_lead(scene.place, lead.id, lambda one, now: close_lead(one, "x", "ana", now))
            )
        return run(calls)

    monkeypatch.setattr(store.server, "run", racing)
    assert sum(store.privacy.reseal(), Resealed()).contended == 0
    monkeypatch.undo()
    assert store.leads.get(lead.id).state == "closed"
    assert in_the_clear(store) == []


class Blind(Scene):
    """A process that cannot read a lead cannot count it either."""

    def check(self) -> None:
        assert self.store.operations.ledger().difference == 0


def rolling(opened: Any, before: tuple[str, ...], after: tuple[str, ...]) -> tuple[Scene, Scene]:
    """Two processes on one server and one clock: the one restarted with the new keys, the other not yet."""
    clock = ManualClock()
    new, old = new_scene(opened(*after), clock), new_scene(opened(*before), clock)
    return Blind(new.place, clock, new.people), Blind(old.place, clock, old.people)


ROLLS = pytest.mark.parametrize(
    ("before", "after"), [((OLD,), (NEW, OLD)), ((), (NEW,))], ids=["rotated", "switched on"]
)


@ROLLS
def test_a_roll_never_makes_a_second_lead(opened: Any, before: Any, after: Any) -> None:
    """A router without the key leaves the same person's submission to one that has it: a touch, and no second rep."""
    new, old = rolling(opened, before, after)
    lead = new.routed(email="kim@example.com")
    old.submit(email="kim@example.com", message="again")
    for _ in range(flow.routing.MAX_DELIVERIES + 3):
        assert old.route("old", reclaim=True).settled == 0
        assert old.store.queue.reclaim("old", RECLAIM_AFTER, 10, isolate_after=3) == []  # idle from now on
        let_pass(old, "old")
    assert (len(new.leads()), old.counts().get("dead_letters")) == (1, None)
    new.route("new", reclaim=True)
    assert len(new.lead(lead.id).touches) == 1
    assert new.counts() == {"leads": 1, "touches": 1}


@ROLLS
def test_a_roll_does_not_hold_up_who_asks_after_an_answer(opened: Any, before: Any, after: Any) -> None:
    """The state is not sealed: a lead that is answered keeps nobody waiting for a key."""
    new, old = rolling(opened, before, after)
    lead = new.routed(email="kim@example.com")
    new.respond(lead.id)
    old.submit(email="kim@example.com", message="again")
    old.route("old")
    assert (len(new.leads()), new.counts()) == (2, {"leads": 2})


@ROLLS
def test_a_roll_leaves_sealed_submissions_to_who_can_read_them(opened: Any, before: Any, after: Any) -> None:
    """It is no dead letter, counts no attempt, and becomes a lead once a router with the key comes."""
    new, old = rolling(opened, before, after)
    submission_id = new.submit(email="kim@example.com")
    other = old.submit(email="sam@example.com")
    for _ in range(flow.routing.MAX_DELIVERIES + 3):
        old.route("old", reclaim=True)
        let_pass(old, "old")
    assert old.counts() == {"leads": 1, "in_flight": 1}
    assert [lead.id for lead in old.leads()] == [other]
    new.route("new", reclaim=True)
    assert new.lead(submission_id).lead.get("email") == "kim@example.com"


def test_a_roll_in_a_flood_leaves_sealed_submissions_to_who_can_read_them(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can say how urgent they are, so they are not put off; one put off already stays sealed in its lane."""
    new, old = rolling(opened, (OLD,), (NEW, OLD))
    monkeypatch.setattr(flow.routing, "ROUTE_BATCH", 3)
    first = new.submit(email="kim@example.com")
    new.store.queue.postpone(new.store.queue.take("new", 1))
    ids = [new.submit() for _ in range(7)]
    for _ in range(3):
        old.route("old")
    health = old.store.operations.health()
    assert (health.queued, health.patient, health.pending) == (7, 1, 8)
    assert in_the_clear(old.store.within) == []  # type: ignore[attr-defined]
    let_pass(old, "old")
    for _ in range(5):
        new.route("new", reclaim=True)
    assert sorted([first, *ids]) == sorted(lead.id for lead in new.leads())


def test_what_no_key_can_open_is_a_dead_letter(opened: Any) -> None:
    """An entry that says it is sealed and is no token is not handed round for ever."""
    store = opened(OLD)
    scene = scene_on(store)
    store.server.client.xadd(store.server.keys.incoming, {"form": "demo", "sealed": 1, "body": b"no token"})
    scene.route()
    assert scene.counts() == {"dead_letters": 1}


@ROLLS
def test_a_roll_leaves_locked_leads_to_another_clock(
    opened: Any, before: Any, after: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock without the key passes them over, those behind them get their turn, and none is quarantined."""
    monkeypatch.setattr(sweeping, "SWEEP_BATCH", 2)
    new, old = rolling(opened, before, after)
    locked = [new.routed().id for _ in range(5)]
    old.later(1)
    readable = old.routed(email="sam@example.com")
    old.later(600)
    old.sweep()
    assert old.store.leads.quarantined() == {}
    assert old.lead(readable.id).breached_at is not None
    new.sweep()
    assert all(new.lead(lead_id).breached_at is not None for lead_id in locked)


@ROLLS
def test_a_roll_leaves_locked_alerts_to_another_courier(opened: Any, before: Any, after: Any) -> None:
    """A courier without the key puts off what it cannot read, for seconds and at no cost; then it is heard once."""
    new, old = rolling(opened, before, after)
    new.submit(email="kim@example.com")
    new.route()
    add_sealed_alert(new)
    waiting = new.waiting()
    assert len(waiting) == 2
    for _ in range(20):
        old.deliver()
        old.later(0.1)
    assert (old.heard(), old.dead_alerts(), new.waiting()) == ({}, [], waiting)
    assert [alert.attempts for alert, _ in new.store.outbox.waiting(9)] == [0, 0]
    new.deliver()
    assert (len(all_keys(m for one in new.people.values() for m in one.heard)), new.waiting()) == (2, [])


def test_the_auditor_says_that_a_record_is_locked(opened: Any) -> None:
    """It leaves it as it is, and tells somebody."""
    new, old = rolling(opened, (OLD,), (NEW, OLD))
    lead = new.routed(email="kim@example.com")
    auditor = Auditor(old.place)
    for _ in range(4):
        auditor.tick(10)
        old.later(2)
    assert Finding.UNREADABLE in auditor.acted_on
    assert not [finding for finding in auditor.acted_on if finding.is_repaired]
    assert new.lead(lead.id) == lead


def add_sealed_alert(scene: Scene) -> None:
    """An alert about the system whose note is sealed."""
    note = Alert("system", "x", "managers", AlertKind.STAGE_SILENT, scene.clock(), note="of kim@example.com")
    scene.store.outbox.add(note, scene.clock())


def let_pass(scene: Scene, consumer: str) -> None:
    """What the consumer holds has been idle for longer than a router waits, by the server's own clock."""
    server = scene.place.store.within.server  # type: ignore[attr-defined]
    for stream in (server.keys.incoming, server.keys.patient):
        for one in server.client.xpending_range(stream, "router", "-", "+", 10):
            count = one["times_delivered"]
            server.client.xclaim(
                stream, "router", consumer, 0, [one["message_id"]],
                idle=6000, retrycount=count, justid=True,
            )  # fmt: skip


def test_an_unreadable_record_is_quarantined_and_let_out(opened: Any) -> None:
    """A record that no key would make readable is put aside, the others go on; mended, it is let out again."""
    scene = scene_on(opened(OLD))
    mine = Blind(scene.place, scene.clock, scene.people)
    lead, other = mine.routed(email="kim@example.com"), mine.routed(email="sam@example.com")
    store = mine.place.store.within  # type: ignore[attr-defined]
    key = store.server.keys.lead(lead.id)
    record = store.server.client.lindex(key, 0)
    store.server.client.lset(key, 0, b"1 {")
    mine.later(600)
    mine.sweep()
    assert lead.id in store.leads.quarantined()
    assert mine.lead(other.id).breached_at is not None
    store.server.client.lset(key, 0, record)
    assert flow.release(mine.place, lead.id)
    mine.sweep()
    assert mine.lead(lead.id).breached_at is not None


def test_a_missing_key_is_its_own_kind_of_unreadable(opened: Any) -> None:
    """The error names the setting, and the start of a process sees it."""
    lead = scene_on(opened(OLD)).routed(email="kim@example.com")
    store = opened()
    (found,) = store.leads.get_many([lead.id])
    assert isinstance(found, LockedRecord)
    assert "STL_ENCRYPTION_KEYS" in str(found)
    assert store.privacy.locked_among_newest(20) == 1


def test_erase_and_export_look_inside(opened: Any) -> None:
    """A person is found in encrypted records; what cannot be opened is no proof of absence."""
    scene = scene_on(opened(OLD))
    lead_id = a_life(scene)
    document = privacy.export(scene.place, KIM)
    assert [lead_id] == [lead["id"] for lead in document["leads"]]
    assert (len(document["dead_letters"]), len(document["in_flight"])) == (1, 1)
    blind = scene_on(opened(NEW))
    assert not privacy.erase(blind.place, KIM, dry_run=True).is_proven
    other = scene.routed(email="sam@example.com", message="ask kim@example.com", company="Acme Widgets")
    found = privacy.erase(scene.place, KIM)
    assert found.is_proven
    kept = [held.text for batch in scene.store.privacy.everything() for held in batch.held]
    assert [text for text in kept if "kim@example.com" in text] == []
    assert scene.lead(other.id).lead.get("message") == "ask [erased]"
    assert HeldKind.HISTORY in {
        held.kind for batch in scene.store.privacy.everything() for held in batch.held
    }
    assert in_the_clear(scene.place.store.within) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("keys", [("short",), (OLD, "Ünïcode"), ("",)])
def test_a_key_that_is_none_is_refused(keys: tuple[str, ...]) -> None:
    """The sentence says what a key looks like and how to make one, and repeats no key."""
    with pytest.raises(UnusableKeys) as caught:
        Vault(keys)
    assert "Fernet.generate_key" in str(caught.value)
    assert OLD not in str(caught.value)


def test_keys_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is set where the package is not installed is an error that says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "cryptography.fernet", None)
    with pytest.raises(UnusableKeys, match=r"speed-to-lead\[encryption\]"):
        Vault((OLD,))
    assert not Vault().seals
