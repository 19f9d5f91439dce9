"""/v1: who may use it, leads in, leads out, and what people did about them."""

import hmac
import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import structlog
from tests.web.conftest import AUTHORIZED, KEY, LEAD, OTHER_KEY, Web, route_all, web_on

from speed_to_lead.core import access
from speed_to_lead.core.lead import ResponseKind
from speed_to_lead.web import guard, submitted


@pytest.fixture
def routed(web: Web) -> str:
    """The id of a lead that was posted and routed."""
    answer = web.http.post("/v1/leads", json=LEAD, headers=AUTHORIZED)
    route_all(web.place)
    return str(answer.json()["id"])


def post(web: Web, path: str, body: Any = None, **headers: str) -> httpx.Response:
    """POST JSON with a key."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.http.post(path, json=body, headers=AUTHORIZED | named)


def get(web: Web, path: str) -> httpx.Response:
    """GET with a key."""
    return web.http.get(path, headers=AUTHORIZED)


# --- keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", f"Basic {KEY}")],
        [("authorization", KEY)],
        [("authorization", f"Bearer {KEY}x")],
        [("authorization", f"Bearer {KEY[:-1]}")],
        [("authorization", f"Bearer {KEY}, {OTHER_KEY}")],
        [("authorization", f"Bearer {KEY}"), ("authorization", f"Bearer {KEY}")],
        [("x-api-key", KEY)],
        [("authorization", b"Bearer \xff\xfe")],
    ],
)
def test_without_a_key_v1_is_401(web: Web, headers: Any) -> None:
    """Wrong, missing or doubled: 401 that says how, for reading and writing alike, and nothing is stored."""
    for method, path in (("GET", "/v1/leads"), ("POST", "/v1/leads"), ("GET", "/v1/nothing"), ("GET", "/v1")):
        answer = web.http.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert list(answer.json()) == ["error"]
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["cache-control"] == "no-store"
    assert web.stored() == []


@pytest.mark.parametrize("given", [f"Bearer {KEY}", f"bearer {OTHER_KEY}", f"BEARER   {KEY}"])
def test_every_key_opens_v1(web: Web, given: str) -> None:
    """Any of the keys, and the scheme in any case (RFC 9110)."""
    assert web.http.get("/v1/leads", headers={"authorization": given}).status_code == 200


def test_without_configured_keys_v1_refuses_everybody(server_url: str, key_prefix: str) -> None:
    """An empty setting opens nothing, not even for an empty key."""
    with web_on(server_url, key_prefix, api_keys="") as closed:
        for headers in ({}, AUTHORIZED, {"authorization": "Bearer"}):
            answer = closed.http.get("/v1/leads", headers=headers)
            assert answer.status_code == 401
            assert "STL_API_KEYS is not set" in answer.json()["error"]


def test_a_key_is_compared_in_constant_time_with_every_key(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first key matches and the second is compared all the same."""
    compared: list[bool] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(len(one) == len(other))
        return hmac.compare_digest(one, other)

    class Watched:
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(access, "hmac", Watched)
    assert get(web, "/v1/leads").status_code == 200
    assert compared == [True, True]


def test_the_key_is_asked_for_before_the_body(web: Web) -> None:
    """Nobody without a key makes us read ten megabytes."""
    with web.connect() as connection:
        connection.sendall(b"POST /v1/leads HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")


# --- leads in --------------------------------------------------------------------------------------------------


def test_a_lead_is_stored_before_it_is_answered(web: Web) -> None:
    """200 and an id; the entry is on the stream as form `api`."""
    answer = post(web, "/v1/leads", LEAD, idempotency_key="order-7")
    (entry,) = web.stored()
    assert {"status": "stored", "id": entry[b"id"].decode()} == answer.json()
    assert entry[b"form"] == b"api"
    assert json.loads(entry[b"body"]) == LEAD
    assert json.loads(entry[b"headers"]) == {"idempotency-key": "order-7"}


def test_a_lead_cannot_bring_its_own_time_of_receipt(web: Web) -> None:
    """The clock starts when we received it."""
    answer = post(web, "/v1/leads", LEAD | {"received_at": "2001-01-01T00:00:00Z"})
    route_all(web.place)
    lead = get(web, f"/v1/leads/{answer.json()['id']}").json()
    assert lead["received_at"] > "2026"
    assert lead["custom"]["received_at"] == "2001-01-01T00:00:00Z"


def test_the_same_idempotency_key_makes_one_lead(web: Web) -> None:
    """Both are answered with 200, and both ids lead to the one lead."""
    first, second = (post(web, "/v1/leads", LEAD, idempotency_key="order-7").json()["id"] for _ in range(2))
    other = post(web, "/v1/leads", LEAD | {"email": "ben@example.com"}, idempotency_key="order-7").json()[
        "id"
    ]
    route_all(web.place)
    found = {get(web, f"/v1/leads/{submission}").json()["id"] for submission in (first, second, other)}
    assert {first} == found
    assert len(get(web, "/v1/leads").json()["leads"]) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "JSON object"),
        (b"[]", "holds no lead"),
        (b'"ana@example.com"', "JSON object"),
        (b"email=ana@example.com", "JSON object"),
        (b"{", "not JSON"),
        (b'{"company": "Example"}', "neither an email address nor a phone number"),
        (b'{"email": "\xff"}', "not UTF-8"),
        (b'{"email": "ana@example.com", "a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested"),
    ],
)
def test_what_is_no_lead_is_422(web: Web, body: bytes, words: str) -> None:
    """Said before it is stored, in words, without a value of the body."""
    answer = web.http.post(
        "/v1/leads", content=body, headers=AUTHORIZED | {"content-type": "application/json"}
    )
    assert answer.status_code == 422
    assert words in answer.json()["error"]
    assert web.stored() == []


@pytest.mark.parametrize(("size", "status"), [(1024 * 1024, 200), (1024 * 1024 + 1, 413)])
def test_one_lead_may_have_a_mebibyte(web: Web, size: int, status: int) -> None:
    """As for a hook."""
    frame = b'{"email": "ana@example.com", "message": "%b"}'
    body = frame % (b"x" * (size - len(frame) + 2))
    assert status == web.http.post("/v1/leads", content=body, headers=AUTHORIZED).status_code


def ndjson(web: Web, body: bytes, **headers: str) -> httpx.Response:
    """POST lines."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.http.post(
        "/v1/leads", content=body, headers=AUTHORIZED | {"content-type": "application/x-ndjson"} | named
    )


def test_lines_are_answered_line_by_line(web: Web) -> None:
    """Good lines are stored, bad ones named; blank lines count as lines, as in an editor."""
    body = b'{"email": "a@example.com"}\r\n\n{"email": \n{"company": "x"}\n[1]\n{"phone": "+49 30 123456"}'
    results = ndjson(web, body, idempotency_key="list-1").json()["results"]
    entries = web.stored()
    assert [result["line"] for result in results] == [1, 3, 4, 5, 6]
    assert [list(result)[1] for result in results] == ["id", "error", "error", "error", "id"]
    assert [result["id"] for result in results if "id" in result] == [
        entry[b"id"].decode() for entry in entries
    ]
    headers = [json.loads(entry[b"headers"]) for entry in entries]
    assert headers == [{"speed-to-lead-list": "1", "idempotency-key": f"list-1:{line}"} for line in (1, 6)]


def test_lines_sent_as_one_lead_are_told_how_to_be_sent(web: Web) -> None:
    """Two objects are not one: the text names the content type that takes them."""
    for body in (b'{"email": "a@example.com"}\n{"email": "b@example.com"}', b'{"email": "a@example.com"\n}}'):
        answer = web.http.post(
            "/v1/leads", content=body, headers=AUTHORIZED | {"content-type": "application/json"}
        )
        assert 422 == answer.status_code
        assert body.endswith(b"}}") == ("application/x-ndjson" not in answer.json()["error"])


def test_the_same_lines_again_make_no_second_leads(web: Web) -> None:
    """After a 503 in the middle the whole file is sent again."""
    body = b"\n".join(json.dumps({"email": f"p{n}@example.com"}).encode() for n in range(30))
    for _ in range(2):
        assert len(ndjson(web, body, idempotency_key="list-2").json()["results"]) == 30
    route_all(web.place)
    ledger = get(web, "/v1/ledger").json()
    assert [ledger[k] for k in ("received", "leads", "duplicates", "difference", "balances")] == [
        60,
        30,
        30,
        0,
        True,
    ]


def test_ten_thousand_lines_are_taken_and_one_more_is_not(web: Web) -> None:
    """413 before anything is stored, and the whole of what fits in one request."""
    lines = [b'{"email": "p%d@example.com"}' % n for n in range(submitted.MAX_LINES + 1)]
    too_many = ndjson(web, b"\n".join(lines))
    stored_then = len(web.stored())
    taken = ndjson(web, b"\n".join(lines[:-1]))
    assert [too_many.status_code, stored_then] == [413, 0]
    assert [taken.status_code, len(web.stored())] == [200, submitted.MAX_LINES]


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_of_more_than_ten_mebibytes_is_413(web: Web, is_chunked: bool) -> None:
    """Whether its length is announced or not."""
    body = b"x" * (guard.MAX_BODY_BYTES + 1)
    answer = web.http.post("/v1/leads", content=iter([body]) if is_chunked else body, headers=AUTHORIZED)
    assert answer.status_code == 413
    assert list(answer.json()) == ["error"]


def array(web: Web, body: bytes, **headers: str) -> httpx.Response:
    """POST an array."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.http.post(
        "/v1/leads", content=body, headers=AUTHORIZED | {"content-type": "application/json"} | named
    )


def test_an_array_is_answered_item_by_item(web: Web) -> None:
    """Good items are stored as they were written, bad ones named; sent again they are the same leads."""
    body = (
        b'\xef\xbb\xbf [ {"email": "a@example.com", "n": 12345678901234567890},\n 7, {"company": "x"}, [1],'
        b' {"phone": "+49 30 123456"}, {"email": "b@example.com", "a": ' + b"[" * 99 + b"]" * 99 + b"} ]\n"
    )
    results, again = (array(web, body, idempotency_key="array-1").json()["results"] for _ in range(2))
    entries = web.stored()
    assert results == again
    assert [result["item"] for result in results] == [1, 2, 3, 4, 5, 6]
    assert [list(result)[1] for result in results] == ["id", "error", "error", "error", "id", "error"]
    assert entries[0][b"body"] == b'{"email": "a@example.com", "n": 12345678901234567890}'
    route_all(web.place)
    ledger = get(web, "/v1/ledger").json()
    assert [ledger[k] for k in ("received", "leads", "duplicates", "balances")] == [4, 2, 2, True]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[ ]", "holds no lead"),
        (b'[{"email": "a@example.com"}, {"email": ]', "item 2 of the array is not JSON"),
        (b'[{"email": "a@example.com"}', "a comma or ] is expected"),
        (b'[{"email": "a@example.com"}] x', "behind the array"),
        (b'[{"email": "a@example.com"},]', "item 2"),
        (b'[{"email": "\xff@example.com"}]', "not UTF-8"),
        (b"[" * 100_000, "nested too deep"),
    ],
)
def test_a_broken_array_is_422_as_a_whole(web: Web, body: bytes, words: str) -> None:
    """Nobody knows what its items are, so none of them is stored, and the answer says where it breaks."""
    answer = array(web, body)
    assert (422, []) == (answer.status_code, web.stored())
    assert words in answer.json()["error"]


def test_ten_thousand_items_are_taken_and_one_more_is_not(web: Web) -> None:
    """As of lines."""
    items = [b'{"email":"p%d@example.com"}' % n for n in range(submitted.MAX_LINES + 1)]
    assert [413, 0] == [array(web, b"[%b]" % b",".join(items)).status_code, len(web.stored())]
    taken = array(web, b"[%b]" % b",".join(items[:-1]))
    assert [200, submitted.MAX_LINES] == [taken.status_code, len(web.stored())]


def test_a_body_of_line_breaks_costs_no_memory() -> None:
    """Ten million of them are looked at one by one, and are no lines."""
    body = b"\n" * (10 * 1024 * 1024)
    tracemalloc.start()
    try:
        assert submitted.read_lines(body, "", datetime.now(UTC)) == []
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


def test_no_lines_at_all_is_422(web: Web) -> None:
    """An empty file is more likely a mistake than a wish."""
    assert ndjson(web, b"\n \n").status_code == 422


def test_an_overlong_idempotency_key_is_422(web: Web) -> None:
    """It would be kept with every line."""
    assert post(web, "/v1/leads", LEAD, idempotency_key="k" * 256).status_code == 422


# --- leads out -------------------------------------------------------------------------------------------------


def test_a_lead_is_shown_with_its_trace_and_history(web: Web, routed: str) -> None:
    """Where it went, by when, and why; instants in UTC with a Z."""
    answer = get(web, f"/v1/leads/{routed}")
    lead = answer.json()
    assert answer.status_code == 200
    assert [routed, "open", "inbound", "inbound-5m"] == [
        lead[name] for name in ("id", "state", "team", "sla")
    ]
    assert lead["trace"]
    assert lead["history"][0]["event"] == "lead.routed"
    assert lead["deadline"].endswith("Z")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_keys_of_a_lead_come_in_one_order(web: Web, routed: str) -> None:
    """People read it too: identity, route, deadline and steps first."""
    post(web, "/v1/leads", LEAD | {"message": "me again"})
    route_all(web.place)
    lead = get(web, f"/v1/leads/{routed}").json()
    assert " ".join(lead) == (
        "id state version form received_at submitted_at source channel campaign rule team rep sla deadline next_at "
        "steps acknowledged_at answered_at breached_at closed_at closed_reason reps_before fields custom responses "
        "touches trace config_digest history"
    )
    assert list(lead["steps"][0]) == ["name", "at", "tell", "remind", "alert", "reassign", "done"]
    assert [touch["fields"]["message"] for touch in lead["touches"]] == ["me again"]


def test_the_id_of_a_touch_leads_to_the_lead(web: Web, routed: str) -> None:
    """Whoever got an id for a submission finds the person by it."""
    touch = post(web, "/v1/leads", LEAD | {"message": "me again"}).json()["id"]
    route_all(web.place)
    assert routed == get(web, f"/v1/leads/{touch}").json()["id"]


@pytest.mark.parametrize("lead_id", ["unknown", "x:history", "%00", "%ff", "a%20b", "x" * 200, "..", "{stl}"])
def test_an_unknown_lead_is_404_with_a_sentence(web: Web, lead_id: str) -> None:
    """Also where the id could be part of another key's name."""
    for answer in (
        get(web, f"/v1/leads/{lead_id}"),
        post(web, f"/v1/leads/{lead_id}/responses", {"kind": "attempted", "by": "ana"}),
        post(web, f"/v1/leads/{lead_id}/reassign", {"rep": "x", "by": "ana"}),
        post(web, f"/v1/leads/{lead_id}/close", {"reason": "spam", "by": "ana"}),
    ):
        assert answer.status_code == 404
        assert list(answer.json()) == ["error"]


def test_a_history_key_is_no_lead(web: Web, routed: str) -> None:
    """`ID:history` names another key of the same lead; it is not looked up."""
    assert get(web, f"/v1/leads/{routed}:history").status_code == 404


def test_tests_dead_letters_and_waiting_submissions_say_what_they_are(web: Web) -> None:
    """404, and why."""
    test = post(web, "/v1/leads", LEAD | {"is_test": True}).json()["id"]
    dead = web.http.post("/hooks/open", content=b"{").json()["id"]
    route_all(web.place)
    waiting = post(web, "/v1/leads", LEAD).json()["id"]
    answers = [get(web, f"/v1/leads/{found}") for found in (test, dead, waiting)]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    for answer, words in zip(answers, ("a test", "dead-letters", "not routed yet"), strict=True):
        assert words in answer.json()["error"]


def test_leads_are_listed_newest_first_in_pages(web: Web) -> None:
    """The cursor of one page begins the next, and filters narrow the list."""
    body = b"\n".join(
        json.dumps({"email": f"p{n}@example.com", "source": "demo_request"}).encode() for n in range(7)
    )
    ndjson(web, body)
    route_all(web.place)
    pages: list[list[str]] = []
    cursors: list[str | None] = [""]
    for _ in range(3):
        page = get(web, f"/v1/leads?limit=3&state=open&team=inbound&rep=&cursor={cursors[-1]}").json()
        pages.append([lead["id"] for lead in page["leads"]])
        cursors.append(page["next"])
    assert [len(page) for page in pages] == [3, 3, 1]
    assert len({lead_id for page in pages for lead_id in page}) == 7
    assert cursors[-1] is None
    assert get(web, "/v1/leads?team=enterprise").json()["leads"] == []
    assert get(web, "/v1/leads?state=closed").json()["leads"] == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "state=late", "cursor=x", "cursor=1:../x", "stat=open"]
)
def test_a_wrong_filter_is_422(web: Web, query: str) -> None:
    """A mistyped filter must not list everything."""
    answer = get(web, f"/v1/leads?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["details"][0]["where"]


# --- changes ---------------------------------------------------------------------------------------------------


def test_a_response_stops_the_clock_once(web: Web, routed: str) -> None:
    """Recorded, then recognised; `at` is optional."""
    given = {"kind": "connected", "by": "ana", "via": "phone", "evidence": "call-1"}
    first = post(web, f"/v1/leads/{routed}/responses", given)
    at = first.json()["lead"]["answered_at"]
    again = post(web, f"/v1/leads/{routed}/responses", given | {"at": at})
    assert [first.status_code, again.status_code] == [200, 200]
    assert [answer.json()["result"] for answer in (first, again)] == ["recorded", "already_recorded"]
    assert [again.json()["lead"][name] for name in ("state", "next_at")] == ["answered", None]
    assert len(again.json()["lead"]["responses"]) == 1


def test_an_automatic_reply_is_kept_and_stops_no_clock(web: Web, routed: str) -> None:
    """The human who answers after it is the first."""
    path, said = f"/v1/leads/{routed}/responses", {"kind": "attempted", "by": "sequencer", "automatic": True}
    first, again = post(web, path, said).json(), post(web, path, said).json()
    assert ("recorded", "already_recorded") == (first["result"], again["result"])
    assert ("open", None, [True]) == (
        again["lead"]["state"],
        again["lead"]["answered_at"],
        [one["automatic"] for one in again["lead"]["responses"]],
    )
    human = post(web, path, {"kind": "attempted", "by": "sequencer"}).json()["lead"]
    assert ("answered", [True, False]) == (human["state"], [one["automatic"] for one in human["responses"]])


def test_an_acknowledgement_stops_no_clock(web: Web, routed: str) -> None:
    """`mine` is not an answer."""
    lead = post(web, f"/v1/leads/{routed}/responses", {"kind": "acknowledged", "by": "ana"}).json()["lead"]
    assert lead["state"] == "open"
    assert lead["acknowledged_at"]


@pytest.mark.parametrize("at", ["2099-01-01T00:00:00Z", "2001-01-01T00:00:00Z"])
def test_an_impossible_instant_is_422(web: Web, routed: str, at: str) -> None:
    """Before the lead came, or in the future."""
    answer = post(web, f"/v1/leads/{routed}/responses", {"kind": "connected", "by": "ana", "at": at})
    assert answer.status_code == 422
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize(
    ("change", "where", "words"),
    [
        ({"kind": "s3cret"}, "body.kind", "acknowledged"),
        ({"kind": None}, "body.kind", "meeting_booked"),
        ({"by": ""}, "body.by", "empty"),
        ({"by": "  "}, "body.by", "empty"),
        ({"by": 7}, "body.by", "string"),
        ({"by": "s3cret" * 100}, "body.by", "200"),
        ({"at": "s3cret"}, "body.at", "ISO 8601"),
        ({"at": "2026-11-22T09:30:00"}, "body.at", "offset"),
        ({"at": 1764000000}, "body.at", "ISO 8601"),
        ({"knd": "s3cret"}, "body.knd", "not known"),
    ],
)
def test_a_wrong_body_says_where_and_what(
    web: Web, routed: str, change: dict[str, Any], where: str, words: str
) -> None:
    """A plain sentence and the places, without the values that were sent."""
    answer = post(web, f"/v1/leads/{routed}/responses", {"kind": "connected", "by": "ana"} | change)
    assert answer.status_code == 422
    assert where == answer.json()["details"][0]["where"]
    assert words in answer.json()["details"][0]["problem"]
    assert words in answer.json()["error"]
    assert "s3cret" not in answer.text


def test_an_unknown_kind_is_answered_with_the_valid_ones(web: Web, routed: str) -> None:
    """Whoever guessed learns all of them."""
    answer = post(web, f"/v1/leads/{routed}/responses", {"kind": "called", "by": "ana"})
    assert [kind.value for kind in ResponseKind if kind.value not in answer.json()["error"]] == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"null", b'{"kind": "connected"}'])
def test_a_body_that_is_no_object_is_422(web: Web, routed: str, body: bytes) -> None:
    """Whatever it is instead."""
    for path in ("responses", "reassign", "close"):
        headers = AUTHORIZED | {"content-type": "application/json"}
        answer = web.http.post(f"/v1/leads/{routed}/{path}", content=body, headers=headers)
        assert answer.status_code == 422
        assert list(answer.json()) == ["error", "details"]


def test_a_lead_is_passed_on(web: Web, routed: str) -> None:
    """To another rep, once; an unknown rep is refused with the known ones."""
    reps = [rep.id for rep in web.place.config.rulebook.teams["inbound"].reps]
    before = get(web, f"/v1/leads/{routed}").json()
    other = next(rep for rep in reps if rep != before["rep"])
    answers = [post(web, f"/v1/leads/{routed}/reassign", {"rep": other, "by": "boss"}) for _ in range(2)]
    unknown = post(web, f"/v1/leads/{routed}/reassign", {"rep": "nobody", "by": "boss"})
    lead = answers[1].json()["lead"]
    assert [answer.json()["result"] for answer in answers] == ["reassigned", "already_theirs"]
    assert [other, before["deadline"]] == [lead["rep"], lead["deadline"]]
    assert unknown.status_code == 422
    assert other in unknown.json()["error"]


def test_a_lead_is_closed_once(web: Web, routed: str) -> None:
    """And what is closed cannot be passed on."""
    answers = [post(web, f"/v1/leads/{routed}/close", {"reason": "spam", "by": "ana"}) for _ in range(2)]
    late = post(web, f"/v1/leads/{routed}/reassign", {"rep": "x", "by": "ana"})
    assert [answer.json()["result"] for answer in answers] == ["closed", "already_closed"]
    assert [answers[0].json()["lead"][name] for name in ("state", "closed_reason")] == ["closed", "spam"]
    assert late.status_code == 422


# --- operations, pages -----------------------------------------------------------------------------------------


def test_status_tells_depths(web: Web, routed: str) -> None:
    """What on call asks first."""
    status = get(web, "/v1/status").json()
    assert [status[name] for name in ("open_leads", "queued", "dead_letters")] == [1, 0, 0]
    assert status["now"].endswith("Z")


def test_openapi_and_its_page_are_served(web: Web) -> None:
    """Every path of /v1 is described, with its key; the hooks are not for programs."""
    described = get(web, "/openapi.json").json()
    paths = {
        "/v1/leads",
        "/v1/leads/{lead_id}",
        "/v1/leads/{lead_id}/responses",
        "/v1/leads/{lead_id}/reassign",
        "/v1/reps",
        "/v1/reps/{rep}/away",
        "/v1/reps/{rep}/back",
    }
    assert paths | {"/v1/leads/{lead_id}/close", "/v1/ledger", "/v1/status"} == set(described["paths"])
    assert described["components"]["securitySchemes"]
    page = get(web, "/docs")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert [path for path in paths if path not in page.text] == []
    assert "<script" not in page.text
    assert "//" not in page.text  # nothing comes from another host


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/healthz", 200), ("/readyz", 200), ("/nothing", 404)]
)
def test_the_pages(web: Web, path: str, status: int) -> None:
    """What is not there is an ordinary 404 in JSON."""
    answer = get(web, path)
    assert status == answer.status_code
    if status == 404:
        assert list(answer.json()) == ["error"]
    assert status == web.http.head(path, headers=AUTHORIZED).status_code


def test_a_wrong_method_is_405_in_json(web: Web) -> None:
    """Away from the hooks HTTP is as usual."""
    answer = web.http.delete("/v1/leads", headers=AUTHORIZED)
    assert answer.status_code == 405
    assert list(answer.json()) == ["error"]


def test_a_fault_of_ours_is_500_and_logged_without_its_text(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text may quote a lead."""

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("ana@example.com")

    monkeypatch.setattr(web.place.store.leads, "newest", broken)
    with structlog.testing.capture_logs() as logs:
        answer = get(web, "/v1/leads")
    assert answer.status_code == 500
    assert "ana@" not in answer.text
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["web.failed"]


def test_a_program_that_hangs_up_stores_nothing(web: Web) -> None:
    """Half a body is no lead."""
    with structlog.testing.capture_logs() as logs, web.connect() as connection:
        head = f"POST /v1/leads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 100\r\n\r\n"
        connection.sendall(head.encode() + b'{"email": "ana@example.com"}')
    check: Callable[[], int] = lambda: get(web, "/v1/leads").status_code  # noqa: E731
    assert check() == 200
    assert web.stored() == []
    assert [entry["event"] for entry in logs if entry["log_level"] != "debug"] == []


# --- reps ------------------------------------------------------------------------------------------------------


def test_a_rep_is_set_away_and_back(web: Web) -> None:
    """The answer has how the rep stands now; who said so is the key where nobody is named; saying it twice is no harm."""
    known = [one["id"] for one in get(web, "/v1/reps").json()["reps"]]
    rep = known[0]
    away = post(web, f"/v1/reps/{rep}/away", {"until": "2999-01-01T00:00:00Z", "by": "kim"})
    assert (200, "away", "kim", "2999-01-01T00:00:00Z") == (
        *(away.status_code, away.json()["result"]),
        *(away.json()["rep"]["away"]["by"], away.json()["rep"]["away"]["until"]),
    )
    nameless = web.http.post(f"/v1/reps/{rep}/away", headers=AUTHORIZED)
    assert ("plain-1", None) == (
        nameless.json()["rep"]["away"]["by"],
        nameless.json()["rep"]["away"]["until"],
    )
    (listed,) = [one for one in get(web, "/v1/reps").json()["reps"] if one["id"] == rep]
    assert (False, "away until they are back, says plain-1") == (listed["available"], listed["why"])
    assert "back" == post(web, f"/v1/reps/{rep}/back", {"by": "kim"}).json()["result"]
    again = post(web, f"/v1/reps/{rep}/back", {"by": "kim"}).json()
    assert ("already_back", None, "kim") == (
        *(again["result"], again["rep"]["away"]),
        again["rep"]["last_away"]["back_by"],
    )


def test_a_rep_who_is_none_and_a_time_that_is_past(web: Web) -> None:
    """404 for a rep that config does not have, 422 for an end that is past, and nothing is stored."""
    rep = get(web, "/v1/reps").json()["reps"][0]["id"]
    assert 404 == post(web, "/v1/reps/nobody/away", {}).status_code
    assert 404 == post(web, "/v1/reps/nobody/back", {}).status_code
    past = post(web, f"/v1/reps/{rep}/away", {"until": "2020-01-01T00:00:00Z"})
    assert past.status_code == 422
    assert "which is past" in past.json()["error"]
    assert {} == web.place.store.reps.absences()
