"""Who may do what: scopes, browsers, pages, headers, and what guessing comes to."""

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import pytest
import structlog
from tests.web.conftest import AUTHORIZED, KEY, LEAD, TYPEFORM_SECRET, Web, typeform_signature, web_on

from speed_to_lead.core.access import Scope, entry_text
from speed_to_lead.web import failures
from speed_to_lead.web.failures import MAX_ADDRESSES, Failures, client_of
from speed_to_lead.web.guard import NEEDS, scope_needed

INTAKE, READ, WRITE, ADMIN = Scope
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
#: One request of each kind, with the scope it needs; None: no key.
REQUESTS = [
    ("POST", "/v1/leads", INTAKE),
    ("GET", "/v1/leads", READ),
    ("GET", "/v1/leads/x", READ),
    ("GET", "/v1/ledger", READ),
    ("GET", "/v1/status", READ),
    ("POST", "/v1/leads/x/responses", WRITE),
    ("POST", "/v1/leads/x/reassign", WRITE),
    ("POST", "/v1/leads/x/close", WRITE),
    ("GET", "/v1/reps", READ),
    ("POST", "/v1/reps/x/away", WRITE),
    ("POST", "/v1/reps/x/back", WRITE),
    ("DELETE", "/v1/leads/x", ADMIN),
    ("POST", "/v1/leads/x/erase", ADMIN),
    ("POST", "/v1/leads/x/y/close", ADMIN),
    ("OPTIONS", "/v1/leads", ADMIN),
    ("GET", "/", READ),
    ("GET", "/docs", READ),
    ("GET", "/openapi.json", READ),
    ("GET", "/metrics", READ),
    ("GET", "/redoc", READ),
    ("GET", "/nothing", READ),
    ("HEAD", "/healthz", None),
    ("GET", "/healthz", None),
    ("GET", "/readyz", None),
    ("POST", "/healthz", ADMIN),
    ("GET", "/healthz/x", READ),
    ("GET", "//healthz", READ),
]


def bearer(key: str) -> dict[str, str]:
    """The header a program sends."""
    return {"authorization": f"Bearer {key}"}


def basic(key: str, user: str = "anybody") -> dict[str, str]:
    """The header a browser sends."""
    return {"authorization": f"Basic {base64.b64encode(f'{user}:{key}'.encode()).decode()}"}


def key_of(scope: Scope) -> str:
    """The key that has this scope alone."""
    return f"stl_key-with-the-scope-{scope}"


ENTRIES = ",".join(entry_text(f"{scope}-er", [scope], key_of(scope)) for scope in Scope)


@pytest.fixture(scope="module")
def scoped(server_url: str) -> Iterator[Web]:
    """An application with one key for each scope, and all of them hashed; people reach it by https."""
    with web_on(server_url, "scoped", api_keys=ENTRIES, public_url="https://leads.example.com") as found:
        yield found


@pytest.mark.parametrize(("method", "path", "needed"), REQUESTS)
def test_without_a_key_only_health_checks_answer(
    scoped: Web, method: str, path: str, needed: Scope | None
) -> None:
    """/v1, every page, and whatever is not there: 401."""
    answer = scoped.http.request(method, path)
    assert (200 if needed is None else 401) == answer.status_code
    if needed is not None and method != "HEAD":
        assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("given", Scope)
@pytest.mark.parametrize(("method", "path", "needed"), REQUESTS)
def test_a_key_does_what_its_scope_says(
    scoped: Web, method: str, path: str, needed: Scope | None, given: Scope
) -> None:
    """The scope it needs and admin get through to the route; any other is 403 that names the scope."""
    answer = scoped.http.request(method, path, headers=bearer(key_of(given)))
    if needed is None or given in (needed, ADMIN):
        assert answer.status_code not in (401, 403)
    else:
        assert answer.status_code == 403
        assert answer.json() == {
            "error": f'this needs a key with the scope "{needed}"; key {given}-er does not have it'
        }


def test_every_change_that_is_served_has_a_line(scoped: Web) -> None:
    """A new route that changes something is a decision: without a line it needs `admin`."""
    described = scoped.http.get("/openapi.json", headers=bearer(key_of(READ))).json()["paths"]
    changes = [
        (method.upper(), path) for path, methods in described.items() for method in methods if method != "get"
    ]
    assert len(changes) >= 4
    assert [one for one in changes if scope_needed(*one) is ADMIN] == []
    signed = {
        "/answer/*",
        "/slack/interactions",
        "/events/pagerduty",
    }  # no part of the API: tests/web/test_answers.py
    assert {path for _, path, _ in NEEDS} == {"/healthz", "/readyz"} | signed | {
        path.replace("{lead_id}", "*").replace("{rep}", "*") for _, path in changes
    }


# --- browsers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["anybody", "", "Ünal"])
def test_a_browser_looks_with_the_key_as_password(scoped: Web, user: str) -> None:
    """Any user name will do; the answer without a key makes a browser ask."""
    ways = scoped.http.get("/docs").headers.get_list("www-authenticate")
    assert ["Bearer", "Basic"] == [way.split()[0] for way in ways]  # Chromium reads one in each header
    for path in ("/docs", "/v1/leads", "/openapi.json"):
        assert scoped.http.get(path, headers=basic(key_of(READ), user)).status_code == 200


def test_a_browser_changes_nothing(scoped: Web) -> None:
    """It sends the password with whatever another site's page makes it ask for."""
    answer = scoped.http.post("/v1/leads", json=LEAD, headers=basic(key_of(ADMIN)))
    assert answer.status_code == 401
    assert "Bearer" in answer.json()["error"]


@pytest.mark.parametrize("given", ["Basic", "Basic %%%", "Basic YW55Ym9keQ==", "Basic Og==", "Digest x"])
def test_half_of_a_password_is_401(scoped: Web, given: str) -> None:
    """No colon, no password, no base64."""
    assert scoped.http.get("/v1/leads", headers={"authorization": given}).status_code == 401


# --- headers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/healthz"),
        ("GET", "/docs"),
        ("GET", "/v1/leads"),
        ("GET", "/nothing"),
        ("POST", "/v1/leads"),
        ("GET", "/hooks/open"),
        ("POST", "/hooks/website-demo"),
        ("POST", "/hooks/nothing"),
    ],
)
@pytest.mark.parametrize("key", [key_of(ADMIN), "wrong"])
def test_every_answer_carries_the_security_headers(scoped: Web, method: str, path: str, key: str) -> None:
    """Whatever the status, hooks included; nobody is told what serves it."""
    answer = scoped.http.request(method, path, headers=bearer(key))
    assert HEADERS == {name: answer.headers.get(name) for name in HEADERS}
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "camera=()" in answer.headers["permissions-policy"]
    assert "server" not in answer.headers
    is_hook = path.startswith("/hooks")
    assert (None if is_hook else "max-age=31536000") == answer.headers.get("strict-transport-security")


def test_only_who_is_reached_by_https_says_so(web: Web) -> None:
    """A browser told otherwise could not come back."""
    assert "strict-transport-security" not in web.http.get("/healthz").headers


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "gzip, identity"])
def test_a_compressed_body_is_415(scoped: Web, encoding: str) -> None:
    """Nothing is unpacked, so nothing can unpack to a gigabyte."""
    headers = bearer(key_of(INTAKE)) | {"content-encoding": encoding}
    assert scoped.http.post("/v1/leads", content=b"\x1f\x8b", headers=headers).status_code == 415


# --- guessing --------------------------------------------------------------------------------------------------


@pytest.fixture
def limited(server_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """An application in which four failures a minute are few."""
    monkeypatch.setattr(failures, "FAILURES_A_MINUTE", 4)
    with web_on(server_url, key_prefix) as found:
        yield found


def test_guessing_is_429_and_a_right_key_passes(limited: Web) -> None:
    """Whoever guesses waits; whoever has a key, from the same address, does not."""
    guesses = [limited.http.get("/v1/leads", headers=bearer(f"guess-{n}")) for n in range(6)]
    assert [401, 401, 401, 401, 429, 429] == [answer.status_code for answer in guesses]
    assert 1 <= int(guesses[-1].headers["retry-after"]) <= 60
    assert limited.http.get("/v1/leads", headers=AUTHORIZED).status_code == 200
    assert limited.http.get("/v1/leads", headers=basic(KEY)).status_code == 200


def test_asking_without_a_key_is_no_guess(limited: Web) -> None:
    """Browsers do it before every password."""
    assert {401} == {limited.http.get("/docs").status_code for _ in range(8)}


def test_guesses_do_not_flood_the_log(limited: Web) -> None:
    """As many lines a minute as there may be failures, of keys and of hooks alike."""
    with structlog.testing.capture_logs() as logs:
        for number in range(12):
            limited.http.get("/v1/leads", headers=bearer(f"guess-{number}"))
            limited.http.post(
                "/hooks/website-demo", content=b"{}", headers={"typeform-signature": "sha256=x"}
            )
            limited.http.post(f"/hooks/nothing-{number}", content=b"{}")
    assert len([entry for entry in logs if entry["log_level"] == "warning"]) == 4


def test_a_hook_stays_401_and_open_to_the_genuine(limited: Web) -> None:
    """A form tool disables its hook for other answers; a genuine delivery from the same address is stored."""
    wrong = [
        limited.http.post("/hooks/website-demo", content=b"{}", headers={"typeform-signature": "sha256=x"})
        for _ in range(8)
    ]
    assert {401} == {answer.status_code for answer in wrong}
    assert wrong[-1].headers["connection"] == "close"
    genuine = limited.http.post("/hooks/website-demo", content=b"{}", headers=typeform_signature(b"{}"))
    assert genuine.status_code == 200
    assert TYPEFORM_SECRET not in genuine.text


def test_failures_are_counted_by_address_and_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty are free; the wait is what is left of the minute; others are not concerned; a minute later all is new."""
    monkeypatch.undo()
    now = 0.0
    counted = Failures(lambda: now)
    assert [0] * 20 == [counted.seconds_to_wait("a") for _ in range(20)]
    now = 45.0
    assert counted.seconds_to_wait("a") == 15
    assert counted.seconds_to_wait("b") == 0
    now = 60.0
    assert counted.seconds_to_wait("a") == 0


def test_the_memory_of_failures_is_bounded() -> None:
    """An attacker with many addresses makes us forget old failures, not run out of memory."""
    counted = Failures()
    for number in range(MAX_ADDRESSES + 50):
        counted.seconds_to_wait(str(number))
    assert len(counted._counted) == MAX_ADDRESSES


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (("203.0.113.7", 1), "203.0.113.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("::ffff:203.0.113.7", 1), "203.0.113.7"),
        (None, ""),
        (("testclient", 1), "testclient"),
    ],
)
def test_whom_a_failure_counts_for(client: Any, expected: str) -> None:
    """The address; of IPv6 the part that a customer has whole; one name where there is none."""
    assert expected == client_of({"client": client})


# --- what is noted ---------------------------------------------------------------------------------------------


def test_the_log_says_which_key_did_what(scoped: Web) -> None:
    """Its name, never itself; the route, never the path, which may hold anything."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        scoped.http.post("/v1/leads/ana@example.com/close", json={}, headers=bearer(key_of(WRITE)))
        scoped.http.post(
            "/v1/leads/none/close", json={"reason": "x", "by": "y"}, headers=bearer(key_of(WRITE))
        )
        scoped.http.get("/v1/leads", headers=bearer(key_of(READ)))
    used = [entry for entry in logs if entry["event"] == "api.used"]
    assert [("write-er", "/v1/leads/{lead_id}/close", 404, "info")] * 2 + [
        ("read-er", "/v1/leads", 200, "debug")
    ] == [(entry["api_key"], entry["route"], entry["status"], entry["log_level"]) for entry in used]
    assert "ana@" not in repr(logs)
    assert "stl_key" not in repr(logs)


def test_a_key_that_ran_out_is_401(server_url: str, key_prefix: str) -> None:
    """And no other is."""
    entries = [
        entry_text("old", [READ], "an-old-key", date(2020, 1, 1)),
        entry_text("new", [READ], "a-new-key", date(2999, 1, 1)),
    ]
    with web_on(server_url, key_prefix, api_keys=",".join(entries)) as web:
        statuses = [
            web.http.get("/v1/leads", headers=bearer(key)).status_code for key in ("an-old-key", "a-new-key")
        ]
    assert [401, 200] == statuses


def test_a_hash_is_no_key(scoped: Web) -> None:
    """Whoever reads the setting cannot use it."""
    for entry in ENTRIES.split(","):
        for part in (entry, entry.split(":")[2]):
            assert scoped.http.get("/v1/leads", headers=bearer(part)).status_code == 401


def test_the_api_page_fits_its_policy(scoped: Web) -> None:
    """The one style in the page is the one the policy names; no script, no address of elsewhere."""
    page = httpx.get(f"{scoped.url}/docs", headers=bearer(key_of(READ)), trust_env=False)
    [style] = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page.headers["content-security-policy"]
    assert re.findall(r"\b(?:src|style|on\w+)=", page.text) == []
