"""Erasing and exporting a person, and retention: on memory, fakeredis and a real server, with the whole flow around it."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import fakeredis
import pytest
from cryptography.fernet import Fernet
from tests.flow.scene import REFUSED, Scene, new_scene
from tests.servers import ManualClock
from tests.store.builders import picture

from speed_to_lead import flow, privacy
from speed_to_lead.core.lead import HistoryEntry, Lead, LeadChange, ResponseKind
from speed_to_lead.core.person import person_named
from speed_to_lead.core.response import close_lead
from speed_to_lead.core.retention import Retention
from speed_to_lead.core.submission import Form, Submission
from speed_to_lead.flow import delivery
from speed_to_lead.forms import fetches
from speed_to_lead.store.contract import Fetch, HeldKind, Result, Store, UnreadableRecord
from speed_to_lead.store.encryption import Vault
from speed_to_lead.store.packing import packed
from speed_to_lead.store.records import line_of
from speed_to_lead.store.redis_store import RedisStore

KIM = person_named("kim@example.com")


@pytest.fixture
def scene(store: Store, clock: ManualClock) -> Scene:
    """A scene on each kind of store in turn."""
    return new_scene(store, clock)


def traces_of(scene: Scene, *words: str) -> list[str]:
    """Where the store still holds one of these words: a picture of everything, not the walk that is tested."""
    whole = str(picture(scene.place.store.within)).casefold()  # type: ignore[attr-defined]
    return [word for word in (*words, *KIM.keys) if word in whole]


def a_life_of_kim(scene: Scene) -> tuple[str, str]:
    """Kim everywhere: an answered lead, an open one with a touch and alerts, a dead letter, one in flight."""
    first = scene.routed(email="Kim@Example.com", phone="+44 20 7946 0000", message="Hello")
    scene.respond(first.id)
    scene.later(1)
    second = scene.routed(email="kim@example.com", name="Kim Doe")
    scene.submit(email="KIM@example.com ", message="again")
    scene.route()
    scene.live(5)
    scene.submit_body(b"not json: \\u006bim@example.com")
    scene.route()
    scene.submit(email="kim@example.com", message="and again")
    return first.id, second.id


def test_erase_removes_a_person_everywhere(scene: Scene) -> None:
    """Nothing of them is left anywhere, the books balance, loads are right, and nobody else loses anything."""
    other = scene.routed(email="joakim@example.com")
    leads = a_life_of_kim(scene)
    assert traces_of(scene, "kim doe", leads[0]) != []
    found = privacy.erase(scene.place, KIM)
    assert found.is_proven
    assert traces_of(scene, " kim@", "'kim@", '"kim@', "kim doe", *leads) == []
    scene.check()
    assert [other.id] == [lead.id for lead in scene.leads()]
    assert scene.lead(other.id).lead.get("email") == "joakim@example.com"
    assert {"leads": 2, "dead_letters": 1, "submissions": 1} == {
        name: found.counts[name] for name in ("leads", "dead_letters", "submissions")
    }
    counters = scene.store.operations.counters()
    assert (counters["leads"], counters["erased"]) == (3, 2)
    assert scene.store.outbox.waiting(100) == [
        w for w in scene.store.outbox.waiting(100) if w[0].lead_id == other.id
    ]
    assert {"ben-slack"} == found.told  # who answered them had them again
    assert "442079460000" in found.phones


def test_erase_finds_what_was_put_off_in_a_flood(scene: Scene) -> None:
    """It is theirs, wherever it waits: exported as in flight, then gone; somebody else's stays in its lane."""
    for email in ("kim@example.com", "sam@example.com"):
        scene.submit(email=email)
    scene.store.queue.postpone(scene.store.queue.take("router-1", 2))
    assert [one["form"] for one in privacy.export(scene.place, KIM)["in_flight"]] == ["demo"]
    found = privacy.erase(scene.place, KIM)
    assert (found.is_proven, found.counts["submissions"]) == (True, 1)
    assert traces_of(scene, "kim@example") == []
    scene.check()
    scene.route()
    assert [lead.lead.get("email") for lead in scene.leads()] == ["sam@example.com"]


def test_the_person_may_come_again(scene: Scene) -> None:
    """After an erasure the same person, with the same words, is a new lead."""
    scene.routed(email="kim@example.com", message="x")
    privacy.erase(scene.place, KIM)
    again = scene.routed(email="kim@example.com", message="x")
    assert again.is_open


def test_dry_run_changes_nothing(scene: Scene) -> None:
    """A dry run counts, and the store is as it was."""
    a_life_of_kim(scene)
    before = picture(scene.place.store.within)  # type: ignore[attr-defined]
    found = privacy.erase(scene.place, KIM, dry_run=True)
    assert found.counts["leads"] == 2
    assert before == picture(scene.place.store.within)  # type: ignore[attr-defined]


def test_erase_by_phone(scene: Scene) -> None:
    """A phone number finds its leads however it was written."""
    scene.routed(email="kim@example.com", phone="0044 (20) 7946-0000")
    scene.routed(email="", phone=442079460000)
    found = privacy.erase(scene.place, person_named("+44 20 7946 0000"))
    assert (found.is_proven, found.counts["leads"], scene.leads()) == (True, 2, [])


def test_somebody_elses_lead_is_redacted_not_lost(scene: Scene) -> None:
    """A lead that only quotes the person stays, with its clock and alerts, and without the quotation."""
    said = "ask kim@example.com or https://example.com/?m=kim%40example.com"
    lead = scene.routed(email="sam@example.com", message=said, boss="Kim <kim@example.com>")
    flow.change_lead(
        scene.place, lead.id, lambda one, now: close_lead(one, "spam from kim@example.com", "ana", now)
    )
    found = privacy.erase(scene.place, KIM)
    assert found.is_proven
    assert traces_of(scene, "kim@example", "kim%40example") == []
    kept = scene.lead(lead.id)
    assert (kept.lead.get("email"), kept.closed_reason) == ("sam@example.com", "spam from [erased]")
    assert "spam from [erased]" in [
        entry.details.get("reason") for entry in scene.store.leads.history(lead.id)
    ]
    scene.check()


def test_somebody_elses_submission_is_left_to_its_router(scene: Scene) -> None:
    """In flight it is not touched; it is redacted once it is routed, and unproven where no router comes."""
    scene.submit(email="sam@example.com", message="ask kim@example.com")
    found = privacy.erase(scene.place, KIM, pause=lambda: scene.later(1))
    assert (found.is_proven, len(found.remaining)) == (False, 1)
    found = privacy.erase(scene.place, KIM, pause=scene.route)
    assert found.is_proven
    assert scene.leads()[0].lead.get("message") == "ask [erased]"


def test_a_pointer_that_only_quotes_them_takes_no_lead_with_it(scene: Scene) -> None:
    """A program names a submission by the number of who referred it: the key goes, and Sam's lead stays as it was."""
    lead = scene.routed(email="sam@example.com")
    body = json.dumps({"email": "sam@example.com", "message": "again"}).encode()
    scene.store.queue.add(
        Submission("442079460000", "demo", scene.clock(), body, "application/json", {}),
    )
    scene.route()
    assert len(scene.lead(lead.id).touches) == 1
    privacy.erase(scene.place, person_named("+44 20 7946 0000"))
    assert scene.lead(lead.id).is_open
    scene.check()
    assert traces_of(scene, "442079460000") == []
    assert scene.store.leads.of_people(person_named("sam@example.com").keys) != {}


def test_a_lead_with_an_id_that_quotes_them_is_left_to_a_human(scene: Scene) -> None:
    """Nothing of somebody else's lead can be lost, its alerts neither; the erasure says that it is not proven."""
    body = json.dumps({"email": "sam@example.com"}).encode()
    scene.store.queue.add(
        Submission("442079460000", "demo", scene.clock(), body, "application/json", {}),
    )
    scene.route()
    waiting, before = scene.waiting(), scene.lead("442079460000")
    found = privacy.erase(scene.place, person_named("+44 20 7946 0000"))
    assert not found.is_proven
    assert any("look at it" in one for one in found.remaining)
    assert (scene.waiting(), scene.lead("442079460000")) == (waiting, before)
    scene.deliver()
    assert len(scene.heard()) == 1
    assert list(scene.store.leads.of_people(person_named("sam@example.com").keys).values()) == [before.id]


def test_a_lead_reached_at_their_number_is_left_to_a_human(scene: Scene) -> None:
    """The number without its country code: theirs or not, a lead never loses what its person is reached at."""
    lead = scene.routed(email="", phone="+1 555 010 0123")
    found = privacy.erase(scene.place, person_named("555 010 0123"))
    assert (found.is_proven, found.counts["redacted"]) == (False, 0)
    assert any(lead.id in one and "look at it" in one for one in found.remaining)
    assert scene.lead(lead.id) == lead
    found = privacy.erase(scene.place, person_named("+1 555 010 0123", "555 010 0123"))
    assert (found.is_proven, scene.leads()) == (True, [])


@pytest.mark.parametrize(
    "body",
    [
        b'{"email": "sam@example.com", "message": "kim@example.com sent me"}',
        b"email=sam%40example.com&message=kim%40example.com",
        b"no json: sam@example.com, sent by kim@example.com",
    ],
)
def test_somebody_elses_dead_letter_is_kept(scene: Scene, body: bytes) -> None:
    """Its form is not known yet, so nobody has read that lead: it is named, replayed, and redacted as a lead then."""
    scene.submit_body(body, form="later")
    found = privacy.erase(scene.place, KIM, pause=scene.route)
    assert (found.is_proven, found.counts["dead_letters"]) == (False, 0)
    assert any("replay or discard it" in one for one in found.remaining)
    (letter,) = scene.store.queue.dead_letters(5)
    assert letter.submission.body == body
    scene.store.queue.discard(letter.submission.id)
    assert privacy.erase(scene.place, KIM).is_proven


@pytest.mark.parametrize(
    "body",
    [
        b'{"email": "Kim@example.com", "message": "sam@example.com sent me"}',
        b'{"first": "Kim", "mail": "kim@example.com"}',
        b"no json: kim%40example.com",
    ],
)
def test_their_own_dead_letter_goes(scene: Scene, body: bytes) -> None:
    """By its own e-mail, or because it names nobody else, whether or not anybody can read it."""
    scene.submit_body(body, form="later")
    scene.route()
    found = privacy.erase(scene.place, KIM)
    assert (found.is_proven, found.counts["dead_letters"]) == (True, 1)
    assert scene.store.queue.dead_letters(5) == []


def test_a_submission_routed_meanwhile_is_found(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A router that takes the person's submission in the middle of a walk does not bring them back."""
    a_life_of_kim(scene)
    everything = scene.store.privacy.everything
    rounds = iter(range(3))

    def racing() -> Any:
        for batch in everything():
            if next(rounds, None) is not None:
                scene.submit(email="kim@example.com", message="meanwhile")
                scene.route()
            yield batch

    monkeypatch.setattr(scene.store.privacy, "everything", racing)
    assert privacy.erase(scene.place, KIM).is_proven
    assert scene.leads() == []
    scene.check()


def test_a_change_meanwhile_is_not_overwritten(scene: Scene) -> None:
    """A removal decided on an old version is refused, and writes nothing."""
    lead = scene.routed(email="kim@example.com")
    scene.respond(lead.id, ResponseKind.ACKNOWLEDGED)
    assert privacy.remove_lead(scene.place, lead.id, lead, "erased") is Result.STALE
    assert scene.lead(lead.id).version == lead.version + 1
    scene.check()


def test_an_alert_under_way_is_cancelled(scene: Scene) -> None:
    """A courier that holds an alert of an erased lead says nothing more, and no trace of it is left."""
    lead_id = scene.submit(email="kim@example.com")
    scene.route()
    (destination,) = flow.destinations_due(scene.place)
    claimed = scene.store.outbox.claim(destination, scene.clock(), flow.LEASE, at_once=4)
    assert claimed is not None
    assert privacy.erase(scene.place, KIM).is_proven
    delivery._deliver_one(scene.place, delivery.InHand(claimed, scene.clock(), 0.0), scene.clock())
    assert (scene.heard(), scene.waiting(), traces_of(scene, lead_id)) == ({}, [], [])


def test_dead_alerts_go_with_the_lead(scene: Scene) -> None:
    """An alert that was given up goes too, and is not counted as cancelled again."""
    scene.people["ana-slack"].always = scene.people["ben-slack"].always = REFUSED
    lead = scene.routed(email="kim@example.com")
    dead = len(scene.dead_alerts())
    assert dead == 1
    privacy.erase(scene.place, KIM)
    assert (scene.dead_alerts(), traces_of(scene, lead.id)) == ([], [])


def test_an_unreadable_lead_of_theirs_goes(scene: Scene) -> None:
    """A record nobody can read, whose bytes name the person, is removed as well."""
    if not hasattr(scene.place.store.within, "server"):  # type: ignore[attr-defined]
        pytest.skip("the store in memory holds values, not bytes")
    server = scene.place.store.within.server  # type: ignore[attr-defined]
    lead = scene.routed(email="kim@example.com")
    server.client.lset(server.keys.lead(lead.id), 0, b'1 {"email":"kim@example.com"')
    assert isinstance(scene.store.leads.get_many([lead.id])[0], UnreadableRecord)
    server.client.delete(*server.client.keys(server.keys.person("*")))  # nothing else leads to it
    assert privacy.erase(scene.place, KIM).is_proven
    assert traces_of(scene, lead.id, "kim@example") == []


@pytest.mark.parametrize("has_pointer", [True, False])
def test_a_damaged_lead_goes_by_its_pointer_or_is_told_of(scene: Scene, *, has_pointer: bool) -> None:
    """Nobody can look into a packed record that was cut off, so without a pointer nothing claims that they are gone."""
    if not hasattr(scene.place.store.within, "server"):  # type: ignore[attr-defined]
        pytest.skip("the store in memory holds values, not bytes")
    server = scene.place.store.within.server  # type: ignore[attr-defined]
    lead = scene.routed(email="kim@example.com")
    key = server.keys.lead(lead.id)
    server.client.lset(key, 0, server.client.lindex(key, 0)[:-1])
    assert isinstance(scene.store.leads.get_many([lead.id])[0], UnreadableRecord)
    if not has_pointer:
        server.client.delete(*server.client.keys(server.keys.person("*")))
    found = privacy.erase(scene.place, KIM)
    assert (has_pointer, [] if has_pointer else [f"lead {lead.id}"]) == (found.is_proven, found.damaged)
    assert has_pointer == (not server.client.exists(key))
    assert found.damaged == privacy.export(scene.place, KIM)["damaged"]


CUT_OFF = packed('{"at":1,"event":"note","details":{"why":"kim@example.com called, and called again"}}')[:-4]
VAULTS = pytest.mark.parametrize(
    "vault", [Vault(), Vault((Fernet.generate_key().decode(),))], ids=["plain", "sealed"]
)


@pytest.mark.parametrize("whose", ["kim@example.com", "sam@example.com"])
@VAULTS
def test_a_line_written_by_hand_keeps_nobody_from_being_erased(
    clock: ManualClock, whose: str, vault: Vault
) -> None:
    """Their own lead goes with it, and is exported without it; from somebody else's what still names them is taken out."""
    store = RedisStore(fakeredis.FakeRedis(server=fakeredis.FakeServer(version=(7, 0))), "t", vault=vault)
    scene = new_scene(store, clock)
    lead = scene.routed(email=whose)
    store.server.client.rpush(store.server.keys.lead(lead.id), b"kim@example.com called,\nand called again")
    exported = privacy.export(scene.place, KIM)
    assert [lead.id] * whose.startswith("kim") == [one["id"] for one in exported["leads"]]
    assert [lead.id] == [one["id"] for one in exported["elsewhere"] if one["kind"] == "history"]
    found = privacy.erase(scene.place, KIM)
    assert found.is_proven
    assert traces_of(scene, "kim@example") == []
    assert [lead.id] * whose.startswith("sam") == [one.id for one in scene.leads()]


@pytest.mark.parametrize("whose", ["kim@example.com", "sam@example.com"])
@VAULTS
def test_a_line_that_was_cut_off_goes_with_its_lead_or_is_told_of(
    clock: ManualClock, whose: str, vault: Vault
) -> None:
    """It stops nothing: the person's own lead goes with it, and of somebody else's it is said that nobody can look into it."""
    store = RedisStore(fakeredis.FakeRedis(server=fakeredis.FakeServer(version=(7, 0))), "t", vault=vault)
    scene = new_scene(store, clock)
    lead = scene.routed(email=whose)
    store.server.client.rpush(store.server.keys.lead(lead.id), CUT_OFF)
    found = privacy.erase(scene.place, KIM)
    is_theirs = whose.startswith("kim")
    assert (is_theirs, [] if is_theirs else [f"history {lead.id}"]) == (found.is_proven, found.damaged)
    assert [lead.id] * (not is_theirs) == [one.id for one in scene.leads()]


@VAULTS
def test_half_a_character_beside_a_quotation_stops_no_erasure(clock: ManualClock, vault: Vault) -> None:
    """A shell that writes no UTF-8 leaves one in a reason."""
    store = RedisStore(fakeredis.FakeRedis(server=fakeredis.FakeServer(version=(7, 0))), "t", vault=vault)
    scene = new_scene(store, clock)
    lead = scene.routed(email="sam@example.com")
    note = HistoryEntry(clock.now, "note", {"why": "kim@example.com \udcff"})
    store.server.client.rpush(store.server.keys.lead(lead.id), line_of(note, vault))
    assert privacy.erase(scene.place, KIM).is_proven
    assert "[erased] \udcff" == store.leads.history(lead.id)[-1].details["why"]


def test_export_is_everything(scene: Scene) -> None:
    """Leads with history and touches, dead letters and what is in flight raw, and quotations elsewhere."""
    scene.routed(email="sam@example.com", message="ask kim@example.com")
    first, second = a_life_of_kim(scene)
    document = json.loads(json.dumps(privacy.export(scene.place, KIM)))
    assert [first, second] == [lead["id"] for lead in document["leads"]]
    assert [touch["fields"]["message"] for touch in document["leads"][1]["touches"]] == ["again"]
    assert document["leads"][0]["history"][0]["event"] == "lead.routed"
    assert ["not json: \\u006bim@example.com"] == [letter["body"] for letter in document["dead_letters"]]
    assert len(document["in_flight"]) == 1
    assert {"lead"} == {one["kind"] for one in document["elsewhere"]} - {"pointer"}
    assert document["locked"] == 0


# --- retention -------------------------------------------------------------------------------------------------

DAY = timedelta(days=1)


def expire_all(scene: Scene, retention: Retention) -> privacy.Expired:
    """One whole round, in small batches."""
    total = privacy.Expired()
    while True:
        one = privacy.expire(scene.place, retention, total.cursor, limit=2)
        total = privacy.Expired(
            one.cursor, total.leads + one.leads, total.closed + one.closed,
            total.dead_letters + one.dead_letters, total.dead_alerts + one.dead_alerts,
        )  # fmt: skip
        scene.check()
        if not one.cursor:
            return total


def test_expire_removes_what_is_past_its_age(scene: Scene) -> None:
    """Answered and closed leads go at their ages with all that points to them; open ones stay, whatever their age."""
    open_leads = [scene.routed().id for _ in range(3)]
    answered = scene.routed(email="kim@example.com")
    closed = scene.routed()
    scene.respond(answered.id)
    flow.change_lead(scene.place, closed.id, lambda one, now: close_lead(one, "spam", "ana", now))
    retention = Retention(answered=2 * DAY, closed=DAY)
    scene.later(24 * 60 - 1)
    assert expire_all(scene, retention).leads == 0
    scene.later(1)
    assert (expire_all(scene, retention).leads, scene.store.leads.get(closed.id)) == (1, None)
    scene.later(24 * 60)
    assert (expire_all(scene, retention).leads, expire_all(scene, retention).leads) == (1, 0)
    assert set(open_leads) == {lead.id for lead in scene.leads()}
    assert traces_of(scene, "kim@example") == []
    assert scene.store.operations.counters()["expired"] == 2


def test_a_later_lead_keeps_the_person_key(scene: Scene) -> None:
    """Removing an old lead leaves the person's newer one findable."""
    old = scene.routed(email="kim@example.com")
    scene.respond(old.id)
    scene.later(60 * 24)
    new = scene.routed(email="kim@example.com", message="again")
    assert expire_all(scene, Retention(answered=DAY)).leads == 1
    assert list(scene.store.leads.of_people(KIM.keys).values()) == [new.id]


def test_an_unanswered_lead_is_closed_first(scene: Scene) -> None:
    """Where config says so, a lead whose ladder is done is closed as expired, and ages from then."""
    lead = scene.routed()
    retention = Retention(unanswered=DAY, closed=DAY)
    scene.later(60 * 48)
    assert expire_all(scene, retention).closed == 0  # its steps have not been decided yet
    scene.sweep()
    assert expire_all(scene, retention).closed == 1
    assert scene.lead(lead.id).closed_reason == "expired"
    assert expire_all(scene, retention).leads == 0
    scene.later(60 * 24)
    assert expire_all(scene, retention).leads == 1


def test_dead_letters_and_dead_alerts_expire(scene: Scene) -> None:
    """Each at its own age; the books still balance."""
    scene.submit_body(b"broken")
    scene.route()
    scene.people["ana-slack"].always = scene.people["ben-slack"].always = REFUSED
    scene.routed()
    retention = Retention(dead_letters=DAY, dead_alerts=2 * DAY)
    assert expire_all(scene, retention) == privacy.Expired()
    scene.later(24 * 60 + 1)
    assert (expire_all(scene, retention).dead_letters, len(scene.dead_alerts())) == (1, 1)
    scene.later(24 * 60)
    assert (expire_all(scene, retention).dead_alerts, scene.dead_alerts()) == (1, [])


def test_two_at_once_are_harmless(scene: Scene) -> None:
    """Two that decided on the same leads remove and count each of them once."""
    leads: list[Lead] = [scene.routed() for _ in range(4)]
    answered = [scene.respond(lead.id) for lead in leads]
    results = [privacy.remove_lead(scene.place, lead.id, lead, "expired") for lead in (*answered, *answered)]
    assert results == [Result.APPLIED] * 4 + [Result.GONE] * 4
    assert scene.store.operations.counters()["expired"] == 4
    scene.check()


def test_nothing_comes_back(scene: Scene) -> None:
    """A change decided before the removal is refused: the lead is gone."""
    lead = scene.routed()
    privacy.remove_lead(scene.place, lead.id, lead, "expired")
    change = close_lead(lead, "late", "ana", scene.clock())
    assert isinstance(change, LeadChange)
    assert scene.store.leads.change([change]) == [Result.GONE]
    assert HeldKind.LEAD not in {
        held.kind for batch in scene.store.privacy.everything() for held in batch.held
    }


# --- tools that send ids only ----------------------------------------------------------------------------------


APP = Form("app", "hubspot", "none", source="demo_request", api_token_env="API")
EVENT = {"eventId": 1, "subscriptionType": "contact.creation", "objectId": 7, "occurredAt": 1767603600000}


def ask_of(scene: Scene, event: dict[str, Any]) -> None:
    """An event that holds ids only comes, and waits for its tool's answer."""
    scene.place.config = replace(scene.place.config, forms={**scene.place.config.forms, "app": APP})
    scene.submit_body(json.dumps([event]).encode(), "app")
    scene.route()
    assert scene.store.fetches.due(scene.store.now(), 10)


def fetches_of(scene: Scene) -> list[Fetch]:
    """Those that wait, claimed."""
    now = scene.store.now()
    claimed = [
        scene.store.fetches.claim(name, now, now + timedelta(minutes=1))
        for name, _ in scene.store.fetches.due(now, 10)
    ]
    return [one for one in claimed if one is not None]


def tell(scene: Scene, fetch: Fetch, *, is_late: bool) -> Result:
    """The tool says that it is Kim."""
    answer = {"id": "7", "properties": {"email": "kim@example.com", "firstname": "Kim"}}
    submission = fetches.with_answers(fetch.submission, [answer], is_late=is_late)
    return scene.store.fetches.answered(fetch, submission)


def test_a_submission_that_waits_for_its_tool_goes(scene: Scene) -> None:
    """It names Kim beside the ids; an answer that is on its way brings nothing back. Somebody else's stays."""
    ask_of(scene, {**EVENT, "propertyName": "email", "propertyValue": "kim@example.com"})
    (under_way,) = fetches_of(scene)
    other = {**EVENT, "eventId": 2, "objectId": 8, "propertyValue": "lee@example.com"}
    ask_of(scene, other)
    assert [one["form"] for one in privacy.export(scene.place, KIM)["in_flight"]] == ["app"]
    assert privacy.erase(scene.place, KIM, dry_run=True).counts == {"submissions": 1}
    found = privacy.erase(scene.place, KIM)
    assert (found.is_proven, found.counts) == (True, {"submissions": 1})
    assert tell(scene, under_way, is_late=False) is Result.GONE
    assert traces_of(scene, "kim@") == []
    assert [json.loads(one.submission.body)[0]["objectId"] for one in fetches_of(scene)] == [8]
    scene.check()


def test_a_lead_whose_tool_is_still_asked_takes_the_question_with_it(scene: Scene) -> None:
    """Routed without its data, and then erased: what the tool says later would be a lead again."""
    ask_of(scene, {**EVENT, "propertyValue": "kim@example.com"})
    scene.later(2)
    flow.route_overdue(scene.place)
    scene.route()
    (lead,) = scene.leads()
    (under_way,) = fetches_of(scene)
    found = privacy.erase(scene.place, KIM)
    assert (found.is_proven, found.counts["leads"]) == (True, 1)
    assert tell(scene, under_way, is_late=True) is Result.GONE
    scene.route()
    assert (scene.leads(), traces_of(scene, "kim@", lead.id)) == ([], [])
    scene.check()


def test_what_a_tool_told_late_is_of_its_lead(scene: Scene) -> None:
    """The lead holds nothing but ids; the answer in the queue says whose it is, and both go."""
    ask_of(scene, EVENT)
    scene.later(2)
    flow.route_overdue(scene.place)
    scene.route()
    (lead,) = scene.leads()
    assert tell(scene, fetches_of(scene)[0], is_late=True) is Result.APPLIED
    found = privacy.erase(scene.place, KIM)
    assert (found.is_proven, found.counts["leads"], found.counts["submissions"]) == (True, 1, 1)
    scene.route()
    assert (scene.leads(), traces_of(scene, "kim@", lead.id)) == ([], [])
    scene.check()
