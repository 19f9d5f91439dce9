"""POST /hooks/{form}: what is answered, and what is in the stream by then."""

import itertools
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.servers import wait_until
from tests.web.conftest import Web, place_of, running, typeform_signature

from speed_to_lead import flow
from speed_to_lead.store import StoreUnavailable
from speed_to_lead.store.redis_store import RedisStore
from speed_to_lead.web import hooks
from speed_to_lead.web.failures import Failures

BODY = b'{"email": "ana@example.com"}'
MEBIBYTE = 1024 * 1024

#: What a form tool takes for "gone", "moved" or "not quite": never to be answered to one (docs/decisions/0005-exactly-200.md).
NEVER = {201, 202, 204, 301, 302, 303, 307, 308, 404, 405, 410, 500}


def test_a_stored_submission_is_answered_with_exactly_200(web: Web) -> None:
    """200 and an id, and by then the entry is in the stream under that id."""
    answer = web.http.post("/hooks/open", content=BODY, headers={"content-type": "application/json"})
    (entry,) = web.stored()
    assert answer.status_code == 200
    assert answer.json() == {"status": "stored", "id": entry[b"id"].decode()}
    assert entry[b"form"] == b"open"
    assert entry[b"content_type"] == b"application/json"
    assert entry[b"body"] == BODY


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff\xfe not json",
        b"a=1&a=2",
        '{"name": "Zoë"}'.encode("utf-16"),
        b"\r\n\r\n",
        bytes(range(256)),
    ],
)
def test_raw_bytes_are_stored_untouched(web: Web, body: bytes) -> None:
    """Whatever was sent is what is kept: store first, parse later."""
    answer = web.http.post("/hooks/open", content=body)
    assert answer.status_code == 200
    assert [entry[b"body"] for entry in web.stored()] == [body]


def test_received_at_is_the_time_of_the_server(web: Web) -> None:
    """The clock starts when we received it, on the one clock all hosts share."""
    before = web.store.now()
    web.http.post("/hooks/open", content=BODY)
    after = web.store.now()
    received = int(web.stored()[0][b"received_at"])
    assert before.timestamp() * 1000 - 5 <= received <= after.timestamp() * 1000 + 5


def test_a_genuine_signature_is_taken(web: Web) -> None:
    """The signature covers the raw body."""
    answer = web.http.post("/hooks/website-demo", content=BODY, headers=typeform_signature(BODY))
    assert answer.status_code == 200
    assert len(web.stored()) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"typeform-signature": "sha256=bm8="},
        typeform_signature(b"another body"),
        {"typeform-signature": "\xff"},
    ],
)
def test_a_missing_or_wrong_signature_is_401(web: Web, headers: dict[str, str]) -> None:
    """Refused with a reason, and nothing is stored."""
    raw = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
    answer = web.http.post("/hooks/website-demo", content=BODY, headers=raw)
    assert answer.status_code == 401
    assert list(answer.json()) == ["error"]
    assert web.stored() == []


def test_a_signature_sent_twice_is_refused(client: httpx.Client) -> None:
    """Two headers of one name are one value with a comma: neither is picked."""
    good = typeform_signature(BODY)["typeform-signature"]
    answer = client.post(
        "/hooks/website-demo",
        content=BODY,
        headers=[("typeform-signature", good), ("typeform-signature", "x")],
    )
    assert answer.status_code == 401


def test_a_form_whose_secret_is_not_set_here_asks_to_try_again(web: Web) -> None:
    """Our set-up is at fault, so it is 503, and the outside does not learn the name of the variable."""
    answer = web.http.post("/hooks/generic", content=BODY)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "LEADS_INTAKE_TOKEN" not in answer.text
    assert web.stored() == []


@pytest.mark.parametrize(
    "path",
    [
        "/hooks", "/hooks/", "/hooks/nobody", "/hooks/open//", "/hooks/open/x", "/hooks//open", "//hooks/open",
        "/HOOKS/open", "/hooks/api/", "/hooks/open%00", "/hooks/Open", "/hooks/..%2f..%2fetc", "/hooks/open;x=1",
        "/hooks/" + "a" * 5000, "/hooks/%ff%fe", "/hooks/open%20",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "OPTIONS"])
def test_a_path_that_is_no_form_is_400(web: Web, method: str, path: str) -> None:
    """Never 404 and never a redirect: a form tool would switch the hook off."""
    answer = web.raw(
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
    )
    assert answer.split(b"\r\n")[0] == b"HTTP/1.1 400 Bad Request"
    assert web.stored() == []


@pytest.mark.parametrize("name", ["open", "website-demo"])
def test_a_slash_at_the_end_is_forgiven(web: Web, name: str) -> None:
    """Whoever adds one means the hook, and a redirect would lose what was sent; the proof is asked for all the same."""
    answer = web.http.post(f"/hooks/{name}/", content=BODY)
    assert (200 if name == "open" else 401) == answer.status_code
    assert [b"open"] * (name == "open") == [entry[b"form"] for entry in web.stored()]
    assert 200 == web.http.get("/hooks/open/").status_code


def test_the_form_of_the_api_has_no_hook(client: httpx.Client) -> None:
    """It asks for no proof, so nobody may post to it without a key."""
    assert client.post("/hooks/api", content=BODY).status_code == 400


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_at_a_hook_is_answered(client: httpx.Client, method: str) -> None:
    """Form tools probe an address before they keep it."""
    answer = client.request(method, "/hooks/open")
    assert answer.status_code == 200
    if method == "GET":
        assert answer.json() == {"status": "ready", "form": "open"}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "BREW"])
def test_any_other_method_is_400(web: Web, method: str) -> None:
    """405 counts as a broken hook at some tools."""
    answer = web.http.request(method, "/hooks/open")
    assert answer.status_code == 400
    assert web.stored() == []


@pytest.mark.parametrize(("size", "status"), [(MEBIBYTE - 1, 200), (MEBIBYTE, 200), (MEBIBYTE + 1, 413)])
def test_the_limit_is_one_mebibyte(web: Web, size: int, status: int) -> None:
    """A body of the limit is stored; one byte more is 413."""
    answer = web.http.post("/hooks/open", content=b"x" * size)
    assert answer.status_code == status
    assert [len(entry[b"body"]) for entry in web.stored()] == ([size] if status == 200 else [])


@pytest.mark.parametrize(("size", "status"), [(MEBIBYTE, 200), (MEBIBYTE + 1, 413), (3 * MEBIBYTE, 413)])
def test_the_limit_holds_for_a_body_in_chunks(web: Web, size: int, status: int) -> None:
    """Without a Content-Length the bytes are counted as they come."""
    chunks = (b"x" * min(65536, size - start) for start in range(0, size, 65536))
    answer = web.http.post("/hooks/open", content=chunks)
    assert answer.status_code == status
    assert [len(entry[b"body"]) for entry in web.stored()] == ([size] if status == 200 else [])


def test_a_too_long_content_length_is_refused_before_the_body(web: Web) -> None:
    """Nobody has to send ten gigabytes to hear that it is too much; an unknown form makes no difference."""
    for path in ("open", "nobody"):
        head = f"POST /hooks/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n"
        with web.connect() as connection:
            connection.sendall(head.encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_sender_that_hangs_up_leaves_nothing(web: Web) -> None:
    """Half a body is no submission, and no failure of ours."""
    with structlog.testing.capture_logs() as logs:
        for head in (b"Content-Length: 100\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"):
            with web.connect() as connection:
                connection.sendall(b"POST /hooks/open HTTP/1.1\r\nHost: x\r\n" + head)
        assert web.http.post("/hooks/open", content=b"whole").status_code == 200
    assert [entry[b"body"] for entry in web.stored()] == [b"whole"]
    assert [entry["event"] for entry in logs if entry["log_level"] in ("error", "critical")] == []


def test_a_sender_that_dribbles_is_let_go(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while it is told to send it again, and the connection is closed."""
    monkeypatch.setattr(hooks, "BODY_SECONDS", 0.2)
    answer = web.raw(b"POST /hooks/open HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 5" in answer
    assert web.stored() == []


def test_the_same_submission_ten_times_at_once_is_stored_ten_times(web: Web) -> None:
    """Each delivery is answered with an id of its own; the router recognises them (promise 1: store first)."""
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: web.http.post("/hooks/open", content=BODY), range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 10
    assert {entry[b"id"].decode() for entry in web.stored()} == {answer.json()["id"] for answer in answers}


class _Broken:
    """An intake that fails in a given way."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def now(self) -> Any:
        raise self.error

    def now_if_known(self) -> Any:
        return datetime.now(UTC)

    def submit(self, _submission: Any, _tell: Any) -> None:
        raise self.error


@pytest.mark.parametrize(
    "error", [StoreUnavailable("OOM"), RuntimeError("ana@example.com"), TimeoutError(), OSError()]
)
def test_whatever_goes_wrong_is_503(redis_store: RedisStore, error: Exception) -> None:
    """A fault of ours asks the tool to send it again, and no text of it reaches the answer."""
    broken: Any = _Broken(error)
    hook = hooks.Hooks(place_of(redis_store), broken, "", {}, Failures())
    with running(hook, "off") as port, structlog.testing.capture_logs() as logs:
        answer = httpx.post(f"http://127.0.0.1:{port}/hooks/open", content=BODY, trust_env=False)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "ana@" not in answer.text
    assert len([entry for entry in logs if entry["log_level"] == "error"]) == 1


@pytest.mark.parametrize(
    ("public_url", "expected"),
    [
        ("", "http://here/hooks/open?b=%C3%A4&a=1&&token=x%2By"),
        ("https://leads.example.com", "https://leads.example.com/hooks/open?b=%C3%A4&a=1&&token=x%2By"),
    ],
)
def test_the_signed_address_is_the_one_the_sender_called(
    redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch, public_url: str, expected: str
) -> None:
    """Behind a proxy the public address counts, and the query stays as it was written."""
    seen: list[str] = []

    def receive(request: Any, *_: Any) -> Any:
        seen.append(request.url)
        raise StoreUnavailable

    monkeypatch.setattr(flow, "receive", receive)

    class Now:
        async def now(self) -> None: ...

    now: Any = Now()
    hook = hooks.Hooks(place_of(redis_store), now, public_url, {}, Failures())
    target = b"/hooks/open?b=%C3%A4&a=1&&token=x%2By"
    with running(hook, "off") as port, socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"POST %b HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n" % target)
        assert connection.recv(4096).startswith(b"HTTP/1.1 503 ")
    assert seen == [expected]


def test_logs_hold_nothing_of_the_sender(client: httpx.Client) -> None:
    """Promise 14: no body, no query, no header, and no path that may hold a token."""
    secret = "s3cr3t-ana@example.com"
    with structlog.testing.capture_logs() as logs:
        for path in (
            f"/hooks/open?token={secret}",
            f"/hooks/website-demo?token={secret}",
            f"/hooks/{secret}",
            f"/v1/{secret}",
        ):
            client.post(path, content=json.dumps({"email": secret}), headers={"x-webhook-token": secret})
    assert logs
    assert secret not in repr(logs)


#: What a header value may hold on the wire.
_HEADER_TEXT = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60
)


@given(
    body=st.binary(max_size=300),
    form=st.sampled_from(
        ["open", "website-demo", "hubspot-referral", "generic", "outbound-list", "api", "x"]
    ),
    content_type=st.sampled_from(["", "application/json", "multipart/form-data", "\xff"]),
    signature=_HEADER_TEXT,
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_make_a_hook_answer_what_would_disable_it(
    client: httpx.Client, body: bytes, form: str, content_type: str, signature: str
) -> None:
    """Random bytes at every form: 200, 400, 401, 413, or the 503 of a form that is not configured."""
    names = (
        "typeform-signature",
        "x-hubspot-signature-v3",
        "x-hubspot-request-timestamp",
        "authorization",
        "webhook-id",
    )
    headers = [
        (b"content-type", content_type.encode("latin-1")),
        *((name.encode(), signature.encode("latin-1")) for name in names),
    ]
    answer = client.post(f"/hooks/{form}", content=body, headers=headers)
    expected = {"open": {200}, "api": {400}, "x": {400}, "generic": {503}, "outbound-list": {503}}
    assert answer.status_code in expected.get(form, {401})
    assert answer.status_code not in NEVER


def test_a_hook_answers_every_path_and_method_within_the_list(client: httpx.Client) -> None:
    """Every combination of method and odd path keeps to the statuses of docs/decisions/0005-exactly-200.md."""
    paths = (
        "/hooks",
        "/hooks/",
        "/hooks/open",
        "/hooks/open/",
        "/hooks/website-demo",
        "/hooks/a/b",
        "/hooks/generic",
    )
    methods = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
    for path, method in itertools.product(paths, methods):
        answer = client.request(method, path)
        assert answer.status_code in {200, 400, 401, 413, 503}


def _answered(connection: socket.socket) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """Status line, headers and body of one answer."""
    said = b""
    while b'"}' not in said:
        chunk = connection.recv(65536)
        assert chunk, said
        said += chunk
    head, _, body = said.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    return status, {name: text for name, _, text in (line.partition(b": ") for line in lines)}, body


def test_the_short_way_and_asgis_answer_alike(web: Web) -> None:
    """A request that comes whole, one whose body comes later, one that ends the connection, and one in chunks."""
    head = b"POST /hooks/open HTTP/1.1\r\nHost: x\r\n"
    length = b"Content-Length: %d\r\n" % len(BODY)
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    ways = {
        "whole": (head + length + b"\r\n" + BODY,),
        "in two pieces": (head + length + b"\r\n", BODY),
        "the last": (head + length + b"Connection: close\r\n\r\n" + BODY,),
        "in chunks": (head + chunked,),
    }
    heard = {}
    for way, pieces in ways.items():
        with web.connect() as connection:
            for piece in pieces:
                connection.sendall(piece)
                if len(pieces) > 1:
                    web.http.get("/healthz")  # by now the first piece was read
            status, headers, body = _answered(connection)
            if way == "the last":
                assert headers.pop(b"connection") == b"close"
                assert connection.recv(1) == b""
            heard[way] = status, {name for name in headers if name != b"date"}, len(body)
            assert headers[b"content-length"] == b"%d" % len(body)
    assert {status for status, _, _ in heard.values()} == {b"HTTP/1.1 200 OK"}
    assert [heard["whole"]] * len(ways) == list(heard.values())
    assert [entry[b"body"] for entry in web.stored()] == [BODY] * len(ways)


def test_requests_sent_without_waiting_are_answered_in_order(web: Web) -> None:
    """Several at once on one connection, each with the id of its own submission."""
    request = b"POST /hooks/open HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"
    with web.connect() as connection:
        connection.sendall(b"".join(request + b"%d" % number for number in range(5)))
        said = b""
        while said.count(b'"}') < 5:
            said += connection.recv(65536)
    ids = {entry[b"body"]: entry[b"id"] for entry in web.stored()}
    found = [part.partition(b'"}')[0] for part in said.split(b'"id":"')[1:]]
    assert [ids[b"%d" % number] for number in range(5)] == found


def test_a_hook_that_is_here_as_a_whole_needs_no_asgi(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly all hooks go the short way, signed ones too; what is refused goes the long one."""
    assert web.http.post("/hooks/open", content=BODY).status_code == 200  # by now the server's clock is known
    long_way: list[str] = []
    answer = hooks.Hooks.__call__

    async def note(self: hooks.Hooks, scope: Any, receive: Any, send: Any) -> None:
        long_way.append(scope["path"])
        await answer(self, scope, receive, send)

    monkeypatch.setattr(hooks.Hooks, "__call__", note)
    signed = web.http.post("/hooks/website-demo", content=BODY, headers=typeform_signature(BODY))
    unsigned = web.http.post("/hooks/website-demo", content=BODY)
    assert (200, 401) == (signed.status_code, unsigned.status_code)
    assert ["/hooks/website-demo"] == long_way
    assert len(web.stored()) == 2


class _Taking:
    """An application that takes every request it is offered past ASGI, and keeps what it saw."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.replies: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it was not offered")

    def take(self, scope: Any, body: bytes, reply: Any) -> bool:
        self.scopes.append(scope)
        if body == b"hang up":
            self.replies.append(reply)
        else:
            reply(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", b"ok")
        return True


def test_a_trusted_proxy_says_who_called_and_how_on_the_short_way_too() -> None:
    """Some signatures cover the address as the form tool knew it."""
    app = _Taking()
    forwarded = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.7"}
    with running(app, "off") as port:
        for headers in ({}, forwarded):
            sent = httpx.post(
                f"http://127.0.0.1:{port}/hooks/a", content=b"x", headers=headers, trust_env=False
            )
            assert sent.text == "ok"
    assert [("http", "127.0.0.1"), ("https", "203.0.113.7")] == [
        (scope["scheme"], scope["client"][0]) for scope in app.scopes
    ]


def test_a_sender_that_hangs_up_before_its_answer_harms_no_other() -> None:
    """Its submission may be stored; the answer goes nowhere."""
    app = _Taking()
    with running(app, "off") as port:
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(b"POST /hooks/a HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nhang up")
            wait_until(lambda: bool(app.replies), "it is taken")
        assert httpx.post(f"http://127.0.0.1:{port}/hooks/a", content=b"x", trust_env=False).text == "ok"
        app.replies[0](b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", b"")
        assert httpx.post(f"http://127.0.0.1:{port}/hooks/a", content=b"x", trust_env=False).text == "ok"


def test_an_answer_that_fails_keeps_no_other_from_its_own(redis_store: RedisStore) -> None:
    """Those of one pipeline are told one after the other."""
    broken: Any = _Broken(OSError())
    hook = hooks.Hooks(place_of(redis_store), broken, "", {}, Failures())

    def fail(_head: bytes, _body: bytes) -> None:
        raise OSError("the connection is gone")

    with structlog.testing.capture_logs() as logs:
        hook._tell("open", "s1", fail, None)
    assert ["hook.failed"] == [event["event"] for event in logs if event["log_level"] == "error"]
