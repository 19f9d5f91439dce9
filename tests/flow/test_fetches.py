"""Leads of tools that send ids only, from the hook's entry to the rep: the tool is asked, late or never, and nobody is lost."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from tests.core.builders import rep, rulebook, team
from tests.flow.scene import Scene

from speed_to_lead import flow
from speed_to_lead.auditor import Auditor
from speed_to_lead.core.lead import AlertKind, Lead
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.rules import KeepWith
from speed_to_lead.core.submission import Form, Submission
from speed_to_lead.destinations import get
from speed_to_lead.flow.fetches import GIVE_UP_AFTER
from speed_to_lead.spellings import SPELLINGS
from speed_to_lead.store.memory import MemoryStore

FORM = Form(
    "ads", "meta", "none", source="demo_request", api_token_env="API", api_url="https://graph.test/v1"
)
ENVIRONMENT = {"API": "api-token"}


def delivery(*leadgen_ids: Any) -> bytes:
    changes = [
        {"field": "leadgen", "value": {"leadgen_id": one, "created_time": 1767603600}} for one in leadgen_ids
    ]
    return json.dumps({"object": "page", "entry": [{"id": 1, "changes": changes}]}).encode()


@dataclass
class GraphApi:
    """The Graph API as Meta documents it: it knows the leads it was given, by their ids."""

    known: dict[str, str] = field(default_factory=dict)
    status: int = 404
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        email = self.known.get(request.url.path.rpartition("/")[2])
        if email is None or request.url.params.get("access_token") != "api-token":
            return httpx.Response(self.status, headers=self.headers, json={"error": {"message": "no"}})
        fields = [{"name": "email", "values": [email]}, {"name": "full_name", "values": ["Ana Ruiz"]}]
        return httpx.Response(200, json={"id": "1", "field_data": fields})


@pytest.fixture
def api() -> GraphApi:
    return GraphApi()


@pytest.fixture
def ask(scene: Scene, api: GraphApi) -> Callable[[], None]:
    """One tick of the fetches, and one of the router."""
    place = scene.place
    place.config = replace(place.config, forms={**place.config.forms, "ads": FORM})
    ask = partial(get, httpx.Client(transport=httpx.MockTransport(api)))

    def tick() -> None:
        flow.route(place, "router")
        flow.route_overdue(place)
        for form in flow.fetches_due(place):
            flow.fetch(place, form, ask, ENVIRONMENT)
        flow.route(place, "router")
        assert place.store.operations.ledger().difference == 0

    return tick


def lose_alert(scene: Scene, key: str) -> None:
    """Damage the store as nothing of ours does."""
    within = scene.store.within  # type: ignore[attr-defined]
    if isinstance(within, MemoryStore):
        del within.leads._state.alerts[key]
    else:
        server = within.server
        server.client.hdel(server.keys.alerts, key)
        server.client.zrem(server.keys.outbox(key.rpartition(":")[2]), key)


def add(scene: Scene, body: bytes, submission_id: str = "s1") -> None:
    scene.place.store.queue.add(Submission(submission_id, "ads", scene.clock(), body, "application/json"))


def leads(scene: Scene) -> list[Lead]:
    found, _ = scene.place.store.leads.newest(100)
    return list(found)


def test_the_tool_is_asked_and_the_lead_routed(scene: Scene, api: GraphApi, ask: Callable[[], None]) -> None:
    """The clock runs from receipt, and nothing says that data is pending."""
    received = scene.clock()
    add(scene, delivery(7))
    api.known["7"] = "ana@example.com"
    ask()
    (lead,) = leads(scene)
    assert (lead.id, lead.lead.get("email"), lead.received_at) == ("s1", "ana@example.com", received)
    assert "lead_data" not in lead.lead.custom
    assert api.asked == ["https://graph.test/v1/7?access_token=api-token"]


def test_a_tool_that_does_not_answer_is_asked_again(
    scene: Scene, api: GraphApi, ask: Callable[[], None]
) -> None:
    """Not at once, and not before it says; then the lead has the instant of its receipt all the same."""
    received = scene.clock()
    add(scene, delivery(7))
    ask()
    ask()
    assert len(api.asked) == 1
    api.status, api.headers = 429, {"retry-after": "20"}
    scene.clock.advance(timedelta(seconds=3))
    ask()
    assert len(api.asked) == 2
    api.known["7"] = "ana@example.com"
    scene.clock.advance(timedelta(seconds=19))
    ask()
    assert (len(api.asked), leads(scene)) == (2, [])
    scene.clock.advance(timedelta(seconds=2))
    ask()
    assert [(lead.received_at, lead.lead.get("email")) for lead in leads(scene)] == [
        (received, "ana@example.com")
    ]


def test_a_lead_is_routed_without_and_completed_later(
    scene: Scene, api: GraphApi, ask: Callable[[], None]
) -> None:
    """After a minute by what is known, with rep and deadline; its data changes neither, and its rep hears of it."""
    add(scene, delivery(7))
    ask()
    scene.clock.advance(timedelta(seconds=61))
    ask()
    (lead,) = leads(scene)
    assert lead.lead.custom["lead_data"] == "pending"
    assert lead.rep is not None
    api.known["7"] = "ana@example.com"
    scene.clock.advance(timedelta(minutes=2))
    ask()
    (after,) = leads(scene)
    assert (after.id, after.lead.get("email"), after.lead.get("name")) == (
        "s1",
        "ana@example.com",
        "Ana Ruiz",
    )
    assert "lead_data" not in after.lead.custom
    assert (after.rep, after.deadline, after.steps) == (lead.rep, lead.deadline, lead.steps)
    history = [entry.event for entry in scene.place.store.leads.history("s1")]
    assert history[-1] == "lead.completed"
    add(scene, b'{"email": "ana@example.com"}', "s2")  # not of Meta: a dead letter
    scene.place.store.queue.add(Submission("s3", "demo", scene.clock(), b'{"email": "ana@example.com"}'))
    ask()
    assert [touch.submission_id for touch in leads(scene)[0].touches] == ["s3"]


@pytest.mark.parametrize("is_lost", [False, True])
def test_who_hears_that_a_lead_is_complete_hears_it_once(
    scene: Scene, api: GraphApi, ask: Callable[[], None], *, is_lost: bool
) -> None:
    """The auditor knows the alert again by its step: delivered it is not told again; lost, it is told under its own key."""
    add(scene, delivery(7))
    ask()
    scene.clock.advance(timedelta(seconds=61))
    ask()
    scene.deliver()
    api.known["7"] = "ana@example.com"
    scene.clock.advance(timedelta(minutes=2))
    ask()
    (key,) = [name for name in scene.waiting() if ":completed:" in name]
    if is_lost:
        lose_alert(scene, key)
    else:
        scene.deliver()
    auditor = Auditor(scene.place)
    for _ in range(2):
        auditor.tick(1e9)
        scene.clock.advance(timedelta(seconds=6))
    assert ({"alert_lost": 1} if is_lost else {}) == auditor.acted_on
    assert ([key] if is_lost else []) == scene.waiting()
    found = [alert.kind for alert, _ in scene.store.outbox.waiting(99)]
    assert ([AlertKind.REMINDER] if is_lost else []) == found


def test_the_same_delivery_is_one_lead(scene: Scene, api: GraphApi, ask: Callable[[], None]) -> None:
    """Before, while and after it is asked for."""
    api.known["7"] = "ana@example.com"
    for number in range(3):
        add(scene, delivery(7), f"s{number}")
    ask()
    add(scene, delivery(7), "s3")
    ask()
    assert [lead.id for lead in leads(scene)] == ["s0"]
    assert scene.place.store.operations.ledger().duplicates == 3


def test_a_bad_change_does_not_take_the_others_with_it(
    scene: Scene, api: GraphApi, ask: Callable[[], None]
) -> None:
    """Good ones are leads, the bad one is a dead letter that says which it was."""
    api.known |= {"7": "ana@example.com", "9": "bo@example.com"}
    add(scene, delivery(7, None, 9))
    assert flow.route(scene.place, "router").is_full  # the changes wait behind it now
    ask()
    assert {lead.lead.get("email") for lead in leads(scene)} == {"ana@example.com", "bo@example.com"}
    (letter,) = scene.place.store.queue.dead_letters(10)
    assert letter.error.startswith("item 2 of 3: entry[0].changes[0].value.leadgen_id is no id")


def test_a_person_with_another_open_lead_keeps_that_one(
    scene: Scene, api: GraphApi, ask: Callable[[], None]
) -> None:
    """Two reps on one person is what must not be: the incomplete lead is closed, and its data is a touch of the other."""
    add(scene, delivery(7))
    ask()
    scene.clock.advance(timedelta(seconds=61))
    ask()
    scene.place.store.queue.add(Submission("s2", "demo", scene.clock(), b'{"email": "ana@example.com"}'))
    ask()
    api.known["7"] = "ana@example.com"
    scene.clock.advance(timedelta(minutes=5))
    ask()
    by_id = {lead.id: lead for lead in leads(scene)}
    assert (by_id["s1"].is_open, by_id["s1"].closed_reason) == (False, "same_person")
    assert (by_id["s2"].is_open, [touch.submission_id for touch in by_id["s2"].touches]) == (True, ["s1"])


def use(scene: Scene, rules: Rulebook) -> None:
    scene.place.config = replace(scene.place.config, rulebook=rules)


def incomplete(scene: Scene, ask: Callable[[], None], leadgen_id: int = 7) -> Lead:
    """The lead of somebody of whom only ids are known, routed after its minute."""
    add(scene, delivery(leadgen_id), f"ids-{leadgen_id}")
    ask()
    scene.clock.advance(timedelta(seconds=61))
    ask()
    return scene.lead(f"ids-{leadgen_id}")


def told(
    scene: Scene, api: GraphApi, ask: Callable[[], None], email: str = "kim@acme.example", leadgen_id: int = 7
) -> Lead:
    """The lead after its tool has told who that is."""
    api.known[str(leadgen_id)] = email
    scene.clock.advance(timedelta(minutes=5))
    ask()
    return scene.lead(f"ids-{leadgen_id}")


def test_a_person_who_was_silent_for_too_long_is_somebody_new(
    scene: Scene, api: GraphApi, ask: Callable[[], None]
) -> None:
    """Their old lead is closed, as for any submission, and the one that was routed without goes on."""
    use(scene, replace(scene.place.config.rulebook, same_person_within=timedelta(days=30)))
    old = scene.routed(email="kim@acme.example")
    scene.clock.advance(timedelta(days=31))
    own = incomplete(scene, ask)
    assert own.rep != old.rep
    own = told(scene, api, ask)
    before = scene.lead(old.id)
    assert (True, "kim@acme.example", False, "superseded") == (
        *(own.is_open, own.lead.get("email")),
        *(before.is_open, before.closed_reason),
    )
    scene.submit(email="kim@acme.example", message="again")
    scene.route()
    assert [1, 0] == [len(scene.lead(one.id).touches) for one in (own, old)]


@pytest.fixture
def by_company(scene: Scene) -> None:
    """Everything goes to one team, whose rule keeps a company with its rep."""
    rules = rulebook(teams=(team("ana", "ben", rep("cleo", notify=None)),), spellings=SPELLINGS)
    use(scene, replace(rules, default=replace(rules.default, keep_with=KeepWith.COMPANY)))


@pytest.mark.usefixtures("by_company")
def test_colleagues_go_to_who_has_the_lead_that_is_complete_now(
    scene: Scene, api: GraphApi, ask: Callable[[], None]
) -> None:
    """Its company is known from then on, though it was not when it was routed."""
    own = incomplete(scene, ask)
    told(scene, api, ask)
    others = [scene.routed(email=f"p{number}@acme.example") for number in range(3)]
    assert {own.rep} == {lead.rep for lead in others}


@pytest.mark.usefixtures("by_company")
@pytest.mark.parametrize("is_newer", [True, False])
def test_the_newest_lead_has_the_company(
    scene: Scene, api: GraphApi, ask: Callable[[], None], is_newer: bool
) -> None:
    """By when they came, not by when it was known whose they are."""
    first = None if is_newer else scene.routed(email="lee@acme.example")
    own = incomplete(scene, ask)
    other = first or scene.routed(email="lee@acme.example")
    assert own.rep != other.rep
    own = told(scene, api, ask)
    assert (own.company_before, own.rep != other.rep) == ("" if is_newer else other.id, True)
    assert (other if is_newer else own).rep == scene.routed(email="pat@acme.example").rep


@pytest.mark.usefixtures("by_company")
def test_a_company_that_another_router_gave_away_meanwhile(
    scene: Scene, api: GraphApi, ask: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pointer is guarded as a new lead's is: what was decided before is refused, and decided again."""
    own = incomplete(scene, ask)
    leads, read = type(scene.store.leads), scene.store.leads.of_companies
    others: list[Lead] = []

    def read_before(_self: Any, keys: Any) -> dict[str, str]:
        found = read(keys)
        if keys and not others:
            monkeypatch.undo()
            others.append(scene.routed(email="lee@acme.example"))
        return found

    monkeypatch.setattr(leads, "of_companies", read_before)
    own = told(scene, api, ask)
    assert (1, "kim@acme.example") == (len(others), own.lead.get("email"))
    assert (others[0].received_at > own.received_at, "") == (True, own.company_before)
    assert others[0].rep == scene.routed(email="pat@acme.example").rep


def test_what_no_tool_tells_is_told_to_somebody(scene: Scene, api: GraphApi, ask: Callable[[], None]) -> None:
    """After a day and a half it is given up; the lead stays, and an alert says what to do."""
    add(scene, delivery(7))
    ask()
    scene.clock.advance(GIVE_UP_AFTER)
    ask()
    scene.clock.advance(timedelta(hours=1))
    ask()
    count = len(api.asked)
    scene.clock.advance(timedelta(hours=2))
    ask()
    assert len(api.asked) == count
    assert len(leads(scene)) == 1
    assert scene.place.store.operations.counters()["raised:fetches_given_up"] == 1
