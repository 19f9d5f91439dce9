"""What becomes of submissions: leads, touches, duplicates, tests and dead letters, and that none stops the others."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.flow.scene import Scene, TimedStore, in_threads, new_scene
from tests.servers import ManualClock, wait_until

from speed_to_lead import flow
from speed_to_lead.core import settlement
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.routing import route_of
from speed_to_lead.core.same_person import MAX_TOUCHES
from speed_to_lead.core.settlement import Admit, Join, Settlement
from speed_to_lead.core.submission import Submission
from speed_to_lead.flow import contention, routing
from speed_to_lead.store.contract import Result, StoreUnavailable
from speed_to_lead.store.redis_store import RedisStore, open_store


def test_a_person_who_writes_again_while_the_lead_is_open_is_a_touch(scene: Scene) -> None:
    """One lead, its clock and rep as they were, with the second submission kept as a touch."""
    before = scene.routed(email="kim@example.com", message="first")

    scene.submit(email="KIM@example.com ", message="second")
    scene.route()

    after = scene.lead(before.id)
    assert scene.counts() == {"leads": 1, "touches": 1}
    assert [touch.lead.get("message") for touch in after.touches] == ["second"]
    assert (before.deadline, before.rep, before.next_at) == (after.deadline, after.rep, after.next_at)
    assert scene.waiting() == []


def test_a_person_who_was_answered_is_a_new_lead(scene: Scene) -> None:
    """Whoever writes again after the answer waits anew."""
    first = scene.routed(email="kim@example.com")
    scene.respond(first.id)

    scene.submit(email="kim@example.com", message="one more thing")
    scene.route()

    assert scene.counts() == {"leads": 2}


def test_the_same_content_again_is_a_duplicate(scene: Scene) -> None:
    """A tool without keys that delivers twice makes one lead and no touch."""
    scene.submit_body(b'{"email": "kim@example.com"}')
    scene.submit_body(b'{"email": "kim@example.com"}')

    scene.route()

    assert scene.counts() == {"leads": 1, "duplicates": 1}


def test_the_tools_own_key_decides_over_the_content(scene: Scene) -> None:
    """Two bodies under one key are one submission, also after the lead was answered."""
    first = scene.routed(email="kim@example.com", submission_id="s1")
    scene.respond(first.id)

    scene.submit(email="kim@example.com", submission_id="s1", message="edited on the way")
    scene.route()

    assert scene.counts() == {"leads": 1, "duplicates": 1}


def test_a_delivery_replayed_into_the_stream_is_a_duplicate(scene: Scene) -> None:
    """redis-py repeats a write whose answer was lost; the same submission id twice is one lead."""
    submission = Submission("s-1", "demo", scene.clock.now, b'{"email": "kim@example.com"}')
    scene.store.queue.add(submission)
    scene.store.queue.add(submission)
    scene.route()
    scene.store.queue.add(submission)
    scene.route()

    assert scene.counts() == {"leads": 1, "duplicates": 2}


def test_a_test_delivery_reaches_nobody(scene: Scene) -> None:
    """What a form tool sends for testing is counted and dropped: no lead, no alert."""
    scene.submit(is_test=True)

    scene.route()
    scene.deliver()

    assert (scene.counts(), scene.heard(), scene.leads()) == ({"tests": 1}, {}, [])


@pytest.mark.parametrize(
    ("form", "body", "error"),
    [
        ("demo", b"{not json", "JSON"),
        ("demo", b"", ""),
        ("demo", b'{"company": "Example Ltd"}', "nobody to answer"),
        ("demo", b"\xff\xfe\x00", ""),
        ("gone", b'{"email": "kim@example.com"}', 'intake.toml has no form "gone"'),
    ],
)
def test_what_cannot_be_read_becomes_a_dead_letter_with_its_bytes(
    scene: Scene, form: str, body: bytes, error: str
) -> None:
    """It is kept as it came, with the reason, and leaves the queue."""
    submission_id = scene.submit_body(body, form)

    scene.route()

    letter = scene.store.queue.dead_letter(submission_id)
    assert letter is not None
    assert ({"dead_letters": 1}, body) == (scene.counts(), letter.submission.body)
    assert error in letter.error


def test_a_dead_letter_replayed_after_the_mend_is_a_lead_received_when_it_first_came(scene: Scene) -> None:
    """Replay puts it back with its first receipt; a letter replayed too early is buried again."""
    came = scene.clock.now
    submission_id = scene.submit_body(b'{"email": "kim@example.com"}', "late")
    scene.route()
    scene.store.queue.replay(submission_id)
    scene.route()
    assert scene.counts() == {"dead_letters": 1}

    scene.later(3)
    forms = {"late": replace(scene.place.config.forms["demo"], name="late")}
    mended = replace(scene, place=replace(scene.place, config=replace(scene.place.config, forms=forms)))
    mended.store.queue.replay(submission_id)
    mended.route()

    assert ({"leads": 1}, came) == (mended.counts(), mended.lead(submission_id).received_at)


@pytest.mark.parametrize(
    "fields",
    [
        {"form": "demo"},
        {"body": b'{"email": "kim@example.com"}'},
        {"nonsense": "1"},
        {"form": "demo", "body": b"{}", "received_at": "yesterday"},
        {"form": "demo", "body": b"{}", "headers": "[1]"},
    ],
)
def test_entries_somebody_else_added_wrongly_are_dead_letters(
    redis_store: RedisStore, clock: ManualClock, fields: dict[Any, Any]
) -> None:
    """Anybody may XADD; whatever lacks its fields is buried, and the next entry is routed."""
    scene = new_scene(redis_store, clock)
    redis_store.server.client.xadd(redis_store.server.keys.incoming, fields)
    scene.submit()

    scene.route()

    assert scene.counts() == {"leads": 1, "dead_letters": 1}


def test_an_entry_with_only_form_and_body_is_a_lead(redis_store: RedisStore, clock: ManualClock) -> None:
    """The least anybody may XADD: the entry's own time is its receipt."""
    scene = new_scene(redis_store, clock)
    redis_store.server.client.xadd(
        redis_store.server.keys.incoming, {"form": "demo", "body": b'{"email": "kim@example.com"}'}
    )

    scene.route()

    assert scene.counts() == {"leads": 1}


def test_one_person_twice_in_one_batch_is_a_lead_and_a_touch(scene: Scene) -> None:
    """The second waits a round and finds the first."""
    scene.submit(email="kim@example.com", message="a")
    scene.submit(email="kim@example.com", message="b")
    scene.submit(email="kim@example.com", message="c")

    scene.route()

    assert scene.counts() == {"leads": 1, "touches": 2}


def test_ten_deliveries_of_one_submission_in_one_batch_are_one_lead(scene: Scene) -> None:
    """Whatever a tool repeats, one person waits once."""
    for _ in range(10):
        scene.submit(email="kim@example.com", submission_id="s1")

    scene.route()

    assert scene.counts() == {"leads": 1, "duplicates": 9}


def test_a_batch_shares_its_leads_out_in_turn(scene: Scene) -> None:
    """Rotation moves on within a batch as it does between batches."""
    for _ in range(10):
        scene.submit()

    scene.route()

    assert scene.store.leads.load() == {"ana": 5, "ben": 5}


def test_more_than_a_batch_says_that_there_is_more(memory_scene: Scene) -> None:
    """A full batch asks for another look at once."""
    for _ in range(routing.ROUTE_BATCH + 1):
        memory_scene.submissions += 1
        body = json.dumps({"email": f"p{memory_scene.submissions}@example.com"}).encode()
        memory_scene.store.queue.add(
            Submission(f"s{memory_scene.submissions}", "demo", memory_scene.clock.now, body)
        )

    assert [(routed.settled, routed.is_full) for routed in (memory_scene.route(), memory_scene.route())] == [
        (routing.ROUTE_BATCH, True),
        (1, False),
    ]


def test_a_lead_whose_decision_raises_is_buried_and_the_others_go_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bad lead stops nobody, and its error holds no text that could quote it."""
    decide = route_of

    def explode(lead: Any, *rest: Any) -> Any:
        if lead.get("message") == "explode":
            raise ZeroDivisionError(lead.get("email"))
        return decide(lead, *rest)

    monkeypatch.setattr(settlement, "route_of", explode)
    scene.submit()
    bad = scene.submit(message="explode", email="secret@example.com")
    scene.submit()

    scene.route()

    letter = scene.store.queue.dead_letter(bad)
    assert letter is not None
    assert scene.counts() == {"leads": 2, "dead_letters": 1}
    assert letter.error == "ZeroDivisionError while deciding its route"


def test_a_store_that_goes_away_while_deciding_buries_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """StoreUnavailable stops the batch; what was taken stays pending and is a lead afterwards."""
    scene.submit()

    def away(*_: object) -> None:
        raise StoreUnavailable("TimeoutError")

    with monkeypatch.context() as patch:
        patch.setattr(settlement, "route_of", away)
        with pytest.raises(StoreUnavailable):
            flow.route(scene.place, "router-1")
    assert scene.counts() == {"in_flight": 1}

    monkeypatch.setattr(routing, "RECLAIM_AFTER", timedelta(0))
    scene.route("router-2", reclaim=True)
    assert scene.counts() == {"leads": 1}


def test_what_a_dead_router_took_is_routed_by_another(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries taken and never settled come back with `reclaim`, once they were left alone for long enough."""
    for _ in range(3):
        scene.submit()
    assert len(scene.store.queue.take("router-that-dies", 200)) == 3

    scene.route("router-2", reclaim=True)
    assert scene.counts() == {"in_flight": 3}

    monkeypatch.setattr(routing, "RECLAIM_AFTER", timedelta(0))
    wait_until(lambda: scene.route("router-2", reclaim=True).settled == 3, "they are left behind")
    assert scene.counts() == {"leads": 3}


def test_an_entry_that_kills_its_routers_is_buried_and_its_neighbours_live(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ISOLATE_AFTER deliveries it is routed alone, after MAX_DELIVERIES it is a dead letter; nobody else is."""

    class Killed(BaseException):
        """What kill -9 looks like from inside."""

    read = routing._read

    def deadly(place: Any, entry: Any) -> Any:
        if b"deadly" in entry.submission.body and entry.deliveries <= routing.MAX_DELIVERIES:
            raise Killed
        return read(place, entry)

    monkeypatch.setattr(routing, "_read", deadly)
    monkeypatch.setattr(routing, "RECLAIM_AFTER", timedelta(0))
    scene.submit()
    poison = scene.submit(message="deadly")
    scene.submit()
    killed = 0
    for _ in range(500):  # fakeredis reclaims only what has been idle for a whole millisecond
        if scene.counts() == {"leads": 2, "dead_letters": 1}:
            break
        try:
            flow.route(scene.place, "router", reclaim=True)
        except Killed:
            killed += 1

    letter = scene.store.queue.dead_letter(poison)
    assert letter is not None
    assert (killed, scene.counts()) == (routing.MAX_DELIVERIES, {"leads": 2, "dead_letters": 1})
    assert f"{routing.MAX_DELIVERIES} routers stopped while they worked on it" == letter.error


def test_contention_that_never_ends_leaves_the_entry_pending_for_a_later_look(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision refused MAX_ROUNDS times in a row is given back, not lost and not buried."""
    scene.submit()
    settle = type(scene.store.queue).settle
    rounds = 0

    def always_stale(_self: object, settlements: Iterable[Settlement]) -> list[Result]:
        nonlocal rounds
        rounds += 1
        return [Result.STALE for _ in settlements]

    with monkeypatch.context() as patch:
        patch.setattr(type(scene.store.queue), "settle", always_stale)
        assert scene.route().settled == 0
    assert (rounds, scene.counts()) == (contention.MAX_ROUNDS, {"in_flight": 1})

    assert settle is type(scene.store.queue).settle
    monkeypatch.setattr(routing, "RECLAIM_AFTER", timedelta(0))
    scene.route(reclaim=True)
    assert scene.counts() == {"leads": 1}


@pytest.mark.parametrize("touches", [False, True])
def test_a_repeat_in_the_same_batch_does_not_make_the_first_a_duplicate_of_itself(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, *, touches: bool
) -> None:
    """The first is refused once, as happens beside a second router: it is decided again, and is a lead or a touch.

    Both bear the id their sender chose, as everything does that is sent with an Idempotency-Key.
    """
    if touches:
        scene.routed(email="kim@example.com")
    body = b'{"email": "kim@example.com", "message": "call me"}'
    for _ in range(2):
        scene.store.queue.add(Submission("of-the-sender", "demo", scene.clock.now, body, "application/json"))
    settle = type(scene.store.queue).settle
    refused: list[Settlement] = []

    def refuses_the_first(self: Any, settlements: Iterable[Settlement]) -> list[Result]:
        first, *others = settlements
        if refused or not isinstance(first, (Admit, Join)):
            return settle(self, [first, *others])
        refused.append(first)
        return [Result.STALE, *settle(self, others)]

    monkeypatch.setattr(type(scene.store.queue), "settle", refuses_the_first)
    scene.route()

    assert len(refused) == 1
    assert scene.counts() == {"leads": 1, "duplicates": 1} | ({"touches": 1} if touches else {})
    messages = [lead.lead.get("message") for lead in scene.leads()]
    messages += [touch.lead.get("message") for lead in scene.leads() for touch in lead.touches]
    assert "call me" in messages


def test_a_change_between_reading_and_writing_is_not_undone_by_the_second_touch_of_a_batch(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two touches of one lead are one batch; meanwhile somebody answers it.

    The first touch is refused: the record moved on. The second was decided on what the first would have written,
    whose version is by now that of the answer: it must not pass for it.
    """
    lead = scene.routed(email="kim@example.com")
    for message in ("first", "second"):
        scene.submit(email="kim@example.com", message=message)
    settle = type(scene.store.queue).settle
    answered: list[str] = []

    def after_an_answer(self: Any, settlements: Iterable[Settlement]) -> list[Result]:
        if not answered:
            answered.append(lead.id)
            scene.respond(lead.id)
        return settle(self, settlements)

    monkeypatch.setattr(type(scene.store.queue), "settle", after_an_answer)
    scene.route()

    assert [response.by for response in scene.lead(lead.id).responses] == ["ana"]
    assert len(scene.store.leads.history(lead.id)) == len(
        {str(e) for e in scene.store.leads.history(lead.id)}
    )
    assert scene.counts() == {"leads": 2, "touches": 1}
    assert [touch.lead.get("message") for one in scene.leads() for touch in one.touches] == ["second"]


def test_two_programs_that_choose_the_same_id_in_one_batch_are_two_leads(scene: Scene) -> None:
    """Neither is a duplicate of the other."""
    for form, email in (("demo", "ann@example.com"), ("api", "bob@example.com")):
        body = json.dumps({"email": email}).encode()
        scene.store.queue.add(Submission("42", form, scene.clock.now, body, "application/json"))

    scene.route()

    assert {"ann@example.com", "bob@example.com"} == {lead.lead.get("email") for lead in scene.leads()}
    assert scene.counts() == {"leads": 2}


@pytest.mark.real
def test_two_routers_at_once_make_one_lead_of_each_person(
    server_url: str,
    redis_store: RedisStore,
    key_prefix: str,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Repeats and touches that two routers hold at the same moment still find one another, and no rotation is lost."""
    scene = new_scene(redis_store, clock)
    for person in range(30):
        for _ in range(5):
            scene.submissions += 1
            body = json.dumps({"email": f"p{person}@example.com", "submission_id": f"s{person}"}).encode()
            redis_store.queue.add(Submission(f"x{scene.submissions}", "demo", clock.now, body))
        body = json.dumps({"email": f"p{person}@example.com", "message": "again"}).encode()
        redis_store.queue.add(Submission(f"y{person}", "demo", clock.now, body))
    other_store = open_store(server_url, key_prefix)
    other = replace(scene, place=replace(scene.place, store=TimedStore(other_store, clock)))

    monkeypatch.setattr(routing, "ROUTE_BATCH", 7)

    def route_all(which: Scene, name: str) -> None:
        while flow.route(which.place, name).settled:
            pass

    in_threads(lambda: route_all(scene, "one"), lambda: route_all(other, "two"))
    other_store.close()
    scene.check()

    assert scene.counts() == {"leads": 30, "touches": 30, "duplicates": 120}
    assert scene.store.leads.load() == {"ana": 15, "ben": 15}
    assert len({lead.lead.get("email") for lead in scene.leads()}) == 30


def test_a_crowd_of_submissions_by_one_person_is_one_batch_and_a_bounded_record(scene: Scene) -> None:
    """A person (or a bot) who sends a hundred times is one lead, decided in one round, with the newest touches."""
    for number in range(100):
        scene.submit(email="kim@example.com", message=f"number {number}")
    routed = scene.route()
    (lead,) = scene.leads()
    assert (100, {"leads": 1, "touches": 99}) == (routed.settled, scene.counts())
    assert (MAX_TOUCHES, 99 - MAX_TOUCHES) == (len(lead.touches), lead.touches_dropped)
    assert "number 99" == lead.touches[-1].lead.get("message")


def test_a_touch_keeps_no_endless_text(scene: Scene) -> None:
    """A record holds many touches, so each keeps the beginning of a long text."""
    scene.submit(email="kim@example.com")
    scene.submit(email="kim@example.com", message="x" * 100_000)
    scene.route()
    (lead,) = scene.leads()
    assert settlement.TOUCH_TEXT + 1 == len(lead.touches[0].lead.get("message"))


def test_the_same_id_of_two_programs_is_known_when_nothing_else_is(memory_scene: Scene) -> None:
    """Its content forgotten and its person a newer lead, the second form's submission is still the lead it became."""
    scene, now = memory_scene, memory_scene.clock.now

    def send(submission_id: str, form: str, email: str) -> None:
        body = json.dumps({"email": email}).encode()
        scene.store.queue.add(Submission(submission_id, form, now, body, "application/json"))
        scene.route()

    send("42", "demo", "ann@example.com")
    send("42", "api", "bob@example.com")
    bob = next(lead for lead in scene.leads() if lead.form == "api")
    scene.respond(bob.id)
    scene.later(15)
    send("43", "api", "bob@example.com")
    scene.later(15)
    send("42", "api", "bob@example.com")
    assert {"leads": 3, "duplicates": 1} == {name: scene.counts()[name] for name in ("leads", "duplicates")}


def test_two_programs_may_choose_the_same_id(scene: Scene) -> None:
    """The second form's submission is a lead of its own; sent again, it is a duplicate like any other."""
    now = scene.clock.now
    for _ in range(2):
        for form, email in (("demo", "ann@example.com"), ("api", "bob@example.com")):
            body = json.dumps({"email": email}).encode()
            scene.store.queue.add(Submission("42", form, now, body, "application/json"))
            scene.route()
    assert {"ann@example.com", "bob@example.com"} == {lead.lead.get("email") for lead in scene.leads()}
    assert {"leads": 2, "duplicates": 2} == scene.counts()


def test_a_store_that_is_away_counts_against_no_submission(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the store fails while routing, the submission is a lead once it is back, not a dead letter."""

    def full(*_: object) -> None:
        raise StoreUnavailable("OutOfMemoryError OOM")

    scene.submit()
    with monkeypatch.context() as patch:
        patch.setattr(type(scene.store.queue), "settle", full)
        for _ in range(3 * routing.MAX_DELIVERIES):
            with pytest.raises(StoreUnavailable):
                flow.route(scene.place, "router", reclaim=True)
    scene.route(reclaim=True)
    assert {"leads": 1} == scene.counts()


def test_neighbours_of_a_killer_are_routed_in_one_call(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that were handed out too often come alone, but they need not wait a tick each."""
    monkeypatch.setattr(routing, "RECLAIM_AFTER", timedelta(milliseconds=1))
    for _ in range(10):
        scene.submit()
    scene.store.queue.take("dead", 100)
    for _ in range(routing.ISOLATE_AFTER):
        wait_until(lambda: taken_over_by_the_dead(scene) == 10, "the entries are idle again")
    calls = 0

    def all_are_routed() -> bool:
        nonlocal calls
        calls += 1
        scene.later(1)
        scene.route(reclaim=True)
        return scene.counts() == {"leads": 10}

    wait_until(all_are_routed, "every entry is a lead")
    assert calls < 10


def taken_over_by_the_dead(scene: Scene) -> int:
    """How many entries a router that dies at once takes over."""
    scene.later(1)
    return len(scene.store.queue.reclaim("dead", timedelta(milliseconds=1), 100, isolate_after=100))


def test_one_number_in_two_spellings_is_one_person(scene: Scene) -> None:
    """As a call centre writes it and as its owner does; the text stays as it was written."""
    first = scene.routed(email="", phone="020 7946 0018", country="United Kingdom")
    scene.submit(email="", phone="+44 (0)20 7946-0018")
    scene.submit(email="", phone="0044 2079460018", country="Germany")
    scene.route()
    assert {"leads": 1, "touches": 2} == scene.counts()
    assert "020 7946 0018" == scene.lead(first.id).lead.get("phone")


def test_one_text_in_two_countries_is_two_people(scene: Scene) -> None:
    """The same digits ring elsewhere; and two extensions are two desks."""
    for country in ("GB", "Italy", "Japan"):
        scene.submit(email="", phone="020 7946 0018", country=country)
    for extension in (5, 6):
        scene.submit(email="", phone=f"+1 212 555 0100 ext {extension}")
    scene.route()
    assert {"leads": 5} == scene.counts()


def test_what_cannot_be_read_is_routed_all_the_same(scene: Scene) -> None:
    """An unreadable size, an unknown country, a number that is none: kept as text, and said."""
    lead = scene.routed(phone="call me", country="Atlantis", employees="a few")
    assert ("Atlantis", "a few", "call me") == (
        lead.lead.get("country"),
        lead.lead.get("employees"),
        lead.lead.get("custom.phone"),
    )
    assert any("no number can be read" in line for line in lead.trace)


def test_what_was_decided_on_a_refused_change_is_not_sent(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another router wrote the lead first, for Ben: a touch decided on our own beginning of it would give it back to Ana."""
    first_id, _ = (scene.submit(email="kim@example.com", message=text) for text in ("one", "two"))
    settle = type(scene.store.queue).settle
    ours: list[Lead] = []

    def behind_another(self: Any, settlements: Iterable[Settlement]) -> list[Result]:
        given = list(settlements)
        if ours or not given or not isinstance(given[0], Admit):
            return settle(self, given)
        lead = given[0].change.lead
        ours.append(lead)
        theirs = replace(given[0].change, lead=replace(lead, rep="ben"), load={"ben": 1})
        settle(self, [replace(given[0], change=theirs)])
        return [Result.SETTLED, *settle(self, given[1:])]

    monkeypatch.setattr(type(scene.store.queue), "settle", behind_another)
    scene.route()
    lead = scene.lead(first_id)
    assert ("ana", "ben", 1) == (ours[0].rep, lead.rep, len(lead.touches))
    assert {"ben": 1} == scene.store.leads.load()
    assert scene.store.operations.ledger().difference == 0
