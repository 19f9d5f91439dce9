"""Encryption at rest: nothing personal in what the server holds, rotation without a gap, and what a missing key does."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import fakeredis
import pytest
from cryptography.fernet import Fernet
from tests.flow.scene import REFUSED, Scene, new_scene
from tests.servers import BINARIES, ManualClock
from tests.store.builders import picture

from speed_to_lead import flow, privacy
from speed_to_lead.core.lead import LeadChange
from speed_to_lead.core.person import person_named
from speed_to_lead.core.response import close_lead
from speed_to_lead.store.contract import HeldKind, Resealed, Result, UnreadableRecord
from speed_to_lead.store.encryption import UnusableKeys, Vault
from speed_to_lead.store.redis_store import RedisStore, open_store

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
KIM = person_named("kim@example.com")
SECRETS = ("kim@example.com", "kim doe", "top secret", "acme", "spam by kim")


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
    lead = scene.routed(email="kim@example.com", name="Kim Doe", message="top secret", company="Acme")
    scene.submit(email="kim@example.com", message="top secret again")
    scene.route()
    flow.change_lead(scene.place, lead.id, lambda one, now: close_lead(one, "spam by kim", "ana", now))
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


def test_a_missing_key_is_quarantine_not_a_crash(opened: Any) -> None:
    """Without the key a lead is unreadable and put aside, the others go on; with the key it is let out again."""
    mine = scene_on(opened(OLD))
    lead = mine.routed(email="kim@example.com")
    store = opened()
    (found,) = store.leads.get_many([lead.id])
    assert isinstance(found, UnreadableRecord)
    assert "STL_ENCRYPTION_KEYS" in str(found)
    assert store.privacy.locked_among_newest(20) == 1
    without = scene_on(store)
    other = mine.routed(email="sam@example.com")
    store.leads.change(
        [LeadChange(replace(other, version=other.version + 1))]
    )  # as a process without keys writes it
    without.later(600)
    flow.sweep(without.place)
    assert lead.id in store.leads.quarantined()
    assert without.lead(other.id).breached_at is not None
    mine.clock.now = without.clock.now
    assert flow.release(mine.place, lead.id)
    mine.sweep()
    assert mine.lead(lead.id).breached_at is not None


def test_a_submission_without_its_key_can_be_replayed(opened: Any) -> None:
    """A router without the key sets it aside as it came; once the key is there a replay makes a lead of it."""
    mine = scene_on(opened(OLD))
    submission_id = mine.submit(email="kim@example.com")
    without = scene_on(opened(NEW))
    without.route()
    (letter,) = without.store.queue.dead_letters(5)
    assert "STL_ENCRYPTION_KEYS" in letter.error
    assert mine.store.queue.replay(submission_id) is Result.APPLIED
    mine.route()
    assert mine.lead(submission_id).lead.get("email") == "kim@example.com"


def test_erase_and_export_look_inside(opened: Any) -> None:
    """A person is found in encrypted records; what cannot be opened is no proof of absence."""
    scene = scene_on(opened(OLD))
    lead_id = a_life(scene)
    document = privacy.export(scene.place, KIM)
    assert [lead_id] == [lead["id"] for lead in document["leads"]]
    assert (len(document["dead_letters"]), len(document["in_flight"])) == (1, 1)
    blind = scene_on(opened(NEW))
    assert not privacy.erase(blind.place, KIM, dry_run=True).is_proven
    other = scene.routed(email="sam@example.com", message="ask kim@example.com", company="Acme")
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
