"""Who may hand in a lead: the vendors' own vectors, and everything that is nearly right."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speed_to_lead.config.shapes import IDS_ONLY, UNSIGNED
from speed_to_lead.core.submission import Form
from speed_to_lead.forms import ASK_BACK, PROVIDERS, Refusal, WebhookRequest, body_to_store, refusal_of
from speed_to_lead.forms.signatures import secrets_in

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
URL = "https://leads.example.com/hooks/demo"
VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "signature_vectors.json").read_text(encoding="utf-8")
)
SECRET = "a-secret-of-some-length"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_WHSEC = "whsec_" + base64.b64encode(b"another key of 24 bytes!").decode()


def form(provider: str, auth: str = "signature") -> Form:
    return Form("demo", provider, auth, secret_env="SECRET", token_env="TOKEN")


def refused(request: WebhookRequest, of: Form, secret: str = SECRET, now: datetime = NOW) -> Refusal | None:
    return refusal_of(request, of, {"SECRET": secret, "TOKEN": secret}, now)


def vector_request(vector: Mapping[str, Any]) -> tuple[WebhookRequest, Form, datetime]:
    """The request a vector of signature_vectors.json describes, its form, and the instant it was signed."""
    if vector["provider"] == "standard_webhooks":
        headers = {
            "webhook-id": vector["webhook_id"],
            "webhook-timestamp": vector["timestamp"],
            "webhook-signature": vector["expected"],
        }
        request = WebhookRequest("POST", URL, headers, vector["body"].encode())
        signed_at = datetime.fromtimestamp(int(vector["timestamp"]), UTC)
        return request, form("generic", "standard-webhooks"), signed_at
    headers = {vector["header"].lower(): vector["expected"]}
    signed_at = NOW
    if "timestamp" in vector:
        headers[vector["timestamp_header"].lower()] = vector["timestamp"]
        signed_at = datetime.fromtimestamp(int(vector["timestamp"]) / 1000, UTC)
    request = WebhookRequest(
        vector.get("method", "POST"), vector.get("uri", URL), headers, vector["body"].encode()
    )
    return request, form(vector["provider"]), signed_at


def typeform_request(secret: str = SECRET, body: bytes = b"{}") -> WebhookRequest:
    digest = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return WebhookRequest("POST", URL, {"typeform-signature": f"sha256={digest}"}, body)


def hubspot_v3_request(signed_url: str, called_url: str, at: datetime = NOW) -> WebhookRequest:
    timestamp = str(int(at.timestamp() * 1000))
    signed = f"POST{signed_url}{{}}{timestamp}".encode()
    digest = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    headers = {"x-hubspot-signature-v3": digest, "x-hubspot-request-timestamp": timestamp}
    return WebhookRequest("POST", called_url, headers, b"{}")


def standard_request(at: datetime = NOW, secret: str = WHSEC) -> WebhookRequest:
    timestamp = str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = base64.b64encode(
        hmac.new(key, f"m1.{timestamp}.{{}}".encode(), hashlib.sha256).digest()
    ).decode()
    headers = {"webhook-id": "m1", "webhook-timestamp": timestamp, "webhook-signature": f"v1,{digest}"}
    return WebhookRequest("POST", URL, headers, b"{}")


def calendly_request(at: datetime = NOW, secret: str = SECRET, body: bytes = b"{}") -> WebhookRequest:
    timestamp = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return WebhookRequest("POST", URL, {"calendly-webhook-signature": f"t={timestamp},v1={digest}"}, body)


def webflow_request(at: datetime = NOW, secret: str = SECRET, body: bytes = b"{}") -> WebhookRequest:
    timestamp = str(int(at.timestamp() * 1000))
    digest = hmac.new(secret.encode(), f"{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
    return WebhookRequest(
        "POST", URL, {"x-webflow-signature": digest, "x-webflow-timestamp": timestamp}, body
    )


def tally_request(at: datetime = NOW, secret: str = SECRET, body: bytes = b"{}") -> WebhookRequest:
    del at  # Tally signs no time
    digest = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return WebhookRequest("POST", URL, {"tally-signature": digest}, body)


def formstack_request(at: datetime = NOW, secret: str = SECRET, body: bytes = b"{}") -> WebhookRequest:
    del at  # nor does Formstack
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return WebhookRequest("POST", URL, {"x-fs-signature": f"sha256={digest}"}, body)


SIGNERS = {
    "calendly": calendly_request,
    "formstack": formstack_request,
    "tally": tally_request,
    "webflow": webflow_request,
}
by_signer = pytest.mark.parametrize("provider", SIGNERS)


def changed(text: str, place: int) -> str:
    return text[:place] + ("1" if text[place] != "1" else "2") + text[place + 1 :]


by_id = pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])


@by_id
def test_the_vendors_own_vectors_pass(vector: Mapping[str, Any]) -> None:
    """What the vendor's documentation or library signed is genuine."""
    request, of, signed_at = vector_request(vector)
    assert refused(request, of, vector["secret"], signed_at) is None


@by_id
def test_one_wrong_character_is_refused(vector: Mapping[str, Any]) -> None:
    """A signature, body, secret or method that is wrong in one place is not genuine."""
    request, of, signed_at = vector_request(vector)
    name = next(
        name
        for name in request.headers
        if name.startswith(("x-hubspot-signature", "webhook-signature", "x-fs-signature"))
    )
    signature = request.headers[name]
    # To the last: in base64 the end holds bits that belong to nothing, but it is the text that is compared.
    for place in range(len(signature)):
        wrong = replace(request, headers={**request.headers, name: changed(signature, place)})
        assert refused(wrong, of, vector["secret"], signed_at) is not None
    assert refused(replace(request, body=request.body + b" "), of, vector["secret"], signed_at) is not None
    assert refused(request, of, changed(vector["secret"], 4), signed_at) is not None
    if vector["id"].startswith(("hubspot-v2", "hubspot-v3")):
        assert refused(replace(request, method="PUT"), of, vector["secret"], signed_at) is not None
        assert refused(replace(request, url=request.url + "?"), of, vector["secret"], signed_at) is not None


@pytest.mark.parametrize(
    "vector", [vector for vector in VECTORS if len(vector["secret"]) >= 8], ids=lambda vector: vector["id"]
)
@pytest.mark.parametrize("written", ["{secret} {other}", "{other},{secret}", " {other}\n{secret} "])
def test_while_a_secret_is_rotated_both_count(vector: Mapping[str, Any], written: str) -> None:
    """Two secrets in the variable, in any order: what either signed is genuine."""
    request, of, signed_at = vector_request(vector)
    other = OTHER_WHSEC if vector["provider"] == "standard_webhooks" else "zzzzzzzz-zzzz"
    both = written.format(secret=vector["secret"], other=other)
    assert refused(request, of, both, signed_at) is None
    assert refused(request, of, f"{other} {other}x", signed_at) is not None


def test_a_pass_phrase_is_not_a_list_of_secrets() -> None:
    """A secret with blanks in it counts whole; its words do not, because words can be guessed."""
    assert secrets_in(" correct horse battery ") == (b"correct horse battery",)
    assert (
        refused(typeform_request("correct horse battery"), form("typeform"), "correct horse battery") is None
    )
    assert refused(typeform_request("horse"), form("typeform"), "correct horse battery") is not None


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
@pytest.mark.parametrize("auth", ["signature", "token", "standard-webhooks"])
@pytest.mark.parametrize("environment", [{}, {"SECRET": "", "TOKEN": ""}, {"SECRET": " ", "TOKEN": "\n"}])
def test_a_secret_that_is_not_set_is_our_fault(provider: str, auth: str, environment: dict[str, str]) -> None:
    """Without its secret a form takes nothing, and the tool is asked to come back."""
    request = WebhookRequest("POST", URL, {"authorization": "Bearer "}, b"{}")
    refusal = refusal_of(request, form(provider, auth), environment, NOW)
    assert refusal is not None
    assert refusal.ours
    assert ("TOKEN" if auth == "token" else "SECRET") in refusal.reason


@pytest.mark.parametrize(
    "of",
    [
        form("faxform"),
        form("generic", "magic"),
        Form("demo", "typeform", "signature"),
        Form("demo", "generic", "token"),
    ],
)
def test_a_form_we_do_not_understand_takes_nothing(of: Form) -> None:
    """An unknown provider, an unknown proof or one without a variable's name refuses as our own fault."""
    refusal = refused(typeform_request(), of)
    assert refusal is not None
    assert refusal.ours


def test_a_standard_webhooks_secret_that_is_not_base64_is_our_fault() -> None:
    """Nobody could sign with it, so it is our set-up that is wrong."""
    refusal = refused(standard_request(), form("generic", "standard-webhooks"), "whsec_not base64!")
    assert refusal is not None
    assert refusal.ours


def test_auth_none_takes_everything() -> None:
    """Where ops wrote `auth = "none"`, nothing is asked."""
    assert refusal_of(WebhookRequest("POST", URL, {}, b""), form("generic", "none"), {}, NOW) is None


def test_typeform_signs_the_raw_body() -> None:
    """The right signature passes; a changed body, a missing header or one without its prefix does not."""
    request = typeform_request(body=b'{"a": 1}')
    assert refused(request, form("typeform")) is None
    bare = request.headers["typeform-signature"].removeprefix("sha256=")
    for wrong in (
        replace(request, body=b'{"a":1}'),
        replace(request, headers={}),
        replace(request, headers={"typeform-signature": bare}),
        replace(request, headers={"typeform-signature": "sha256="}),
        typeform_request("another-secret"),
    ):
        refusal = refused(wrong, form("typeform"))
        assert refusal is not None
        assert not refusal.ours


@pytest.mark.parametrize(
    ("age", "genuine"),
    [
        (timedelta(0), True),
        (timedelta(minutes=5), True),
        (timedelta(minutes=-5), True),
        (timedelta(minutes=5, seconds=1), False),
        (timedelta(minutes=-5, seconds=-1), False),
        (timedelta(days=400), False),
    ],
)
def test_a_signed_timestamp_holds_for_five_minutes(age: timedelta, genuine: bool) -> None:
    """Older or newer than five minutes is refused, for HubSpot v3 and Standard Webhooks alike."""
    assert genuine is (refused(hubspot_v3_request(URL, URL, NOW - age), form("hubspot")) is None)
    standard = form("generic", "standard-webhooks")
    assert genuine is (refused(standard_request(NOW - age), standard, WHSEC) is None)
    assert genuine is (refused(standard_request(NOW - age), form("generic"), WHSEC) is None)


@pytest.mark.parametrize(
    "timestamp",
    ["", "now", "-5", "1e12", "\N{FULLWIDTH DIGIT NINE}" * 13, "9" * 400, "1614265330.5", "\ud800"],
)
def test_a_timestamp_that_is_no_number_is_refused(timestamp: str) -> None:
    """Junk in a timestamp is refused in words and never raises."""
    hubspot = hubspot_v3_request(URL, URL)
    hubspot = replace(hubspot, headers={**hubspot.headers, "x-hubspot-request-timestamp": timestamp})
    assert refused(hubspot, form("hubspot")) is not None
    standard = standard_request()
    standard = replace(standard, headers={**standard.headers, "webhook-timestamp": timestamp})
    assert refused(standard, form("generic", "standard-webhooks"), WHSEC) is not None


def test_hubspot_v3_is_accepted_with_and_without_its_escapes_undone() -> None:
    """The documentation undoes twelve escapes in the URL before signing, the libraries none: both are genuine."""
    called = "https://leads.example.com/hooks/demo?a=%3A%2f%20x&b=%40"
    assert refused(hubspot_v3_request(called, called), form("hubspot")) is None
    undone = "https://leads.example.com/hooks/demo?a=:/%20x&b=@"
    assert refused(hubspot_v3_request(undone, called), form("hubspot")) is None
    all_undone = "https://leads.example.com/hooks/demo?a=:/ x&b=@"
    assert refused(hubspot_v3_request(all_undone, called), form("hubspot")) is not None


@by_signer
def test_a_signature_covers_every_byte(provider: str) -> None:
    """The right one passes; another body, secret or signature, one cut short, doubled or missing does not."""
    request = SIGNERS[provider](body=b'{"a": 1}')
    assert refused(request, form(provider)) is None
    name = next(iter(request.headers))
    right = request.headers[name]
    wrongs = [changed(right, place) for place in range(len(right))]
    wrongs += [
        "",
        right[:-1],
        right + "0",
        f"{right}, x",
        right[::-1],
        "\ud800",
        "sha256=",
        "v1=",
        "t=,v1=",
        "t=1,t=2,v1=a",
    ]
    for wrong in (
        *(replace(request, headers={**request.headers, name: text}) for text in wrongs),
        replace(request, headers={}),
        replace(request, body=b'{"a":1}'),
        SIGNERS[provider](secret="another-secret"),
    ):
        refusal = refused(wrong, form(provider))
        # An upper-case digit is the same digit, and what Calendly adds after a comma is not looked at.
        given = wrong.headers.get(name, "").lower()
        same = wrong.body == request.body and (
            given == right or (provider == "calendly" and given == f"{right}, x")
        )
        assert (refusal is None) == same, given
        assert refusal is None or not refusal.ours


@by_signer
def test_both_secrets_count_while_one_is_rotated(provider: str) -> None:
    """What either of them signed is genuine, in any order."""
    for both in (f"{SECRET} another-secret", f"another-secret,{SECRET}"):
        assert refused(SIGNERS[provider](), form(provider), both) is None
        assert refused(SIGNERS[provider](secret="another-secret"), form(provider), both) is None
        assert refused(SIGNERS[provider](secret="a-third-secret"), form(provider), both) is not None


@pytest.mark.parametrize(("provider", "minutes"), [("calendly", 3), ("webflow", 5)])
def test_a_signed_time_holds_for_minutes(provider: str, minutes: int) -> None:
    """As long as the vendor's own example says; older or newer is refused."""
    for seconds, genuine in ((0, True), (60 * minutes, True), (60 * minutes + 1, False), (86_400, False)):
        for at in (NOW - timedelta(seconds=seconds), NOW + timedelta(seconds=seconds)):
            assert genuine is (refused(SIGNERS[provider](at), form(provider)) is None)


@pytest.mark.parametrize(
    "timestamp", ["", "now", "-5", "1e12", "\N{FULLWIDTH DIGIT NINE}" * 10, "9" * 400, "\ud800"]
)
def test_junk_in_a_signed_time_is_refused(timestamp: str) -> None:
    """In words, and nothing is raised."""
    webflow = webflow_request()
    assert refused(
        replace(webflow, headers={**webflow.headers, "x-webflow-timestamp": timestamp}), form("webflow")
    )
    digest = calendly_request().headers["calendly-webhook-signature"].rpartition("=")[2]
    calendly = WebhookRequest(
        "POST", URL, {"calendly-webhook-signature": f"t={timestamp},v1={digest}"}, b"{}"
    )
    assert refused(calendly, form("calendly"))


def test_calendly_may_sign_with_several_keys() -> None:
    """Any `v1` of the list passes, in any order and with blanks between."""
    right = calendly_request().headers["calendly-webhook-signature"]
    timestamp, _, digest = right.partition(",")
    listed = f"v0=abc, v1={'0' * 64}, {timestamp}, {digest}"
    assert (
        refused(WebhookRequest("POST", URL, {"calendly-webhook-signature": listed}, b"{}"), form("calendly"))
        is None
    )


@pytest.mark.parametrize("provider", sorted(UNSIGNED))
def test_a_tool_that_signs_nothing_takes_a_token(provider: str) -> None:
    """With a secret for signatures it would take nothing, and says what to do."""
    request = WebhookRequest("POST", f"{URL}?token={SECRET}", {}, b"{}")
    assert refused(request, form(provider, "token")) is None
    refusal = refused(request, form(provider))
    assert refusal is not None
    assert "token_env" in refusal.reason


def test_the_tools_that_sign_nothing_are_those_the_config_refuses_a_secret_for() -> None:
    """`secret_env` of one of them is a mistake that `config check` finds."""
    request = WebhookRequest("POST", URL, {}, b"{}")
    unsigned = {
        name
        for name, provider in PROVIDERS.items()
        if "signs nothing" in (provider.refusal(request, SECRET, NOW) or "")
    }
    assert unsigned == set(UNSIGNED)


def test_the_tools_that_send_ids_only_ask_back() -> None:
    """HubSpot sends contacts as well: it needs its API for an app's webhooks only."""
    assert set(ASK_BACK) - {"hubspot"} == set(IDS_ONLY)


TOKEN = "tok/en of-20 chars+x"
REPEATED = {
    "as it is": (TOKEN, "?token=***"),
    "percent-encoded": ("tok%2Fen%20of-20%20chars%2Bx", "?token=***"),
    "in small letters": ("tok%2fen%20of-20%20chars%2bx", "?token=***"),
    "in a form": ("tok%252Fen%2520of-20%2520chars%252Bx", "?token=***"),
    "in JSON": (r"tok\/en of-20 chars+x", "?token=***"),
    "in JSON in JSON": (r"tok\\\/en of-20 chars+x", "?token=***"),
    "as JSON may": (r"tok\u002fen\u0020of-20 chars\u002Bx", "?token=***"),
    "as forms do": ("tok%2Fen+of-20+chars%2Bx", "?token=***"),
    "half of it": ("tok/en%20of%2d20+chars%2Bx", "?token=***"),
    "three times": ("tok%25252Fen%252520of-20%252520chars%25252Bx", "?token=***"),
    "in HTML": ("tok&#x2F;en&#32;of-20 chars+x", "?token=***"),
    "without its plus": ("tok/en of-20 charsx", "?token=tok/en of-20 charsx"),
}


@pytest.mark.parametrize(("written", "stored"), REPEATED.values(), ids=REPEATED)
@pytest.mark.parametrize("where", ["query", "header", "basic"])
def test_a_token_is_not_stored_with_the_body_that_repeats_it(written: str, stored: str, where: str) -> None:
    """Jotform repeats the address it called; what is kept has *** there, and every other byte as it came."""
    headers = {"header": {"x-webhook-token": TOKEN}, "basic": {"authorization": basic(f"u:{TOKEN}")}}.get(
        where, {}
    )
    url = f"{URL}?token={quote(TOKEN, safe='')}" if where == "query" else URL
    body = b"\xff\x00webhookURL=https://x.example/?token=%b&a=1" % written.encode()
    request = WebhookRequest("POST", url, headers, body)
    kept = body_to_store(request, form("jotform", "token"))
    assert kept == b"\xff\x00webhookURL=https://x.example/" + stored.encode() + b"&a=1"
    assert body_to_store(replace(request, body=b"a=1"), form("jotform", "token")) == b"a=1"


@pytest.mark.parametrize(
    "token", ["p\u00e4ss-w\u00f6rd/1", "a&b=c?d#e%f", "\U0001f511key\U0001f511key", "!!!!!!!!!!", "x" * 4000]
)
def test_any_token_is_taken_out(token: str) -> None:
    """Whatever it is made of, and as whoever repeats it writes it."""
    written = (token, quote(token, safe=""), quote(quote(token, safe=""), safe=""), json.dumps(token)[1:-1])
    body = " ".join(written).encode()
    request = WebhookRequest("POST", f"{URL}?token={quote(token, safe='')}", {}, body)
    assert body_to_store(request, form("jotform", "token")) == b"*** *** *** ***"


def test_a_body_of_nearly_a_token_takes_no_time() -> None:
    """A mebibyte of the beginning of a token, of escapes, of percents."""
    for token in ("aaaaaaaa/aaaaaaaab", "!!!!!!!!!!aaaaaaaaaaab", "!" * 60_000):
        for piece in (b"a", b"aaaaaaaa/", b"\\", b"%25", b"&#0", b"aaaaaaaa%2525252525"):
            body = piece * (1024 * 1024 // len(piece)) + b"aaaaaaaaaaab"
            request = WebhookRequest("POST", f"{URL}?token={token}", {}, body)
            begun = time.process_time()
            assert body_to_store(request, form("jotform", "token")) == body
            assert time.process_time() - begun < 2


def test_a_short_token_is_taken_out_of_addresses_only() -> None:
    """It might be a word of the lead."""
    request = WebhookRequest(
        "POST", f"{URL}?token=demo", {}, b"source=demo&url=x?token=demo&y=x%3Ftoken%3Ddemo"
    )
    assert (
        body_to_store(request, form("jotform", "token")) == b"source=demo&url=x?token=***&y=x%3Ftoken%3D***"
    )


def hubspot_v2_headers(version: str = "v2") -> dict[str, str]:
    digest = hashlib.sha256(f"{SECRET}POST{URL}{{}}".encode()).hexdigest()
    return {"x-hubspot-signature": digest, "x-hubspot-signature-version": version}


def test_hubspot_v3_decides_where_it_is_there() -> None:
    """A right v2 does not save a wrong or stale v3, and a wrong v2 does not spoil a right v3."""
    right = hubspot_v3_request(URL, URL)
    stale = hubspot_v3_request(URL, URL, NOW - timedelta(hours=1))
    v2 = hubspot_v2_headers()
    assert refused(replace(right, headers={**right.headers, **v2}), form("hubspot")) is None
    assert (
        refused(replace(right, headers={**right.headers, "x-hubspot-signature": "00"}), form("hubspot"))
        is None
    )
    assert refused(replace(stale, headers={**stale.headers, **v2}), form("hubspot")) is not None
    assert refused(replace(right, headers={"x-hubspot-signature-v3": "", **v2}), form("hubspot")) is not None


def test_hubspot_signs_by_the_version_it_names() -> None:
    """v2's signature is not v1's; without a version either is looked for; an unknown one is refused."""
    request = WebhookRequest("POST", URL, {}, b"{}")
    assert refused(replace(request, headers=hubspot_v2_headers()), form("hubspot")) is None
    assert refused(replace(request, headers=hubspot_v2_headers("")), form("hubspot")) is None
    assert refused(replace(request, headers=hubspot_v2_headers("v1")), form("hubspot")) is not None
    assert refused(replace(request, headers=hubspot_v2_headers("v9")), form("hubspot")) is not None
    assert refused(request, form("hubspot")) is not None


def test_standard_webhooks_takes_any_right_signature_of_a_list() -> None:
    """A list with wrong, unknown and right entries passes; without the right one it does not."""
    request = standard_request()
    right = request.headers["webhook-signature"]
    junk = f"v1,{'A' * 43}= v2,{right[3:]} v1a,xyz nonsense"
    for listed, genuine in ((f"{junk} {right}", True), (junk, False), ("", False), (right[3:], False)):
        sent = replace(request, headers={**request.headers, "webhook-signature": listed})
        assert genuine is (refused(sent, form("generic", "standard-webhooks"), WHSEC) is None)


@pytest.mark.parametrize("secret", [OTHER_WHSEC, OTHER_WHSEC.removeprefix("whsec_"), OTHER_WHSEC.rstrip("=")])
def test_standard_webhooks_secrets_are_understood_as_people_paste_them(secret: str) -> None:
    """With or without `whsec_`, padded or not."""
    assert refused(standard_request(secret=OTHER_WHSEC), form("generic", "standard-webhooks"), secret) is None


def basic(user_and_password: str) -> str:
    return "Basic " + base64.b64encode(user_and_password.encode()).decode()


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": f"Bearer {SECRET}"}, ""),
        ({"authorization": f"bearer  {SECRET} "}, ""),
        ({"authorization": basic(f"zapier:{SECRET}")}, ""),
        ({"authorization": basic(f":{SECRET}")}, ""),
        ({"x-webhook-token": SECRET}, ""),
        ({"x-webhook-secret": SECRET}, ""),
        ({"x-api-key": SECRET}, ""),
        ({"x-auth-token": SECRET}, ""),
        ({}, f"?token={SECRET}"),
        ({}, f"?a=1&token={SECRET}#part"),
        ({"authorization": "Bearer something-else"}, f"?token={SECRET}"),
    ],
)
def test_a_shared_secret_may_stand_where_tools_can_put_it(headers: dict[str, str], query: str) -> None:
    """Bearer, Basic password, the usual headers, or the query; the same without its last character is refused."""
    request = WebhookRequest("POST", URL + query, headers, b"{}")
    assert refused(request, form("generic", "token")) is None
    refusal = refused(request, form("generic", "token"), SECRET + "x")
    assert refusal is not None
    assert not refusal.ours
    assert SECRET not in refusal.reason


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({}, URL),
        ({}, URL + "?token="),
        ({}, URL + "?tokens=" + SECRET),
        ({}, "http://[" + SECRET),
        ({"authorization": SECRET}, URL),
        ({"authorization": "Bearer"}, URL),
        ({"authorization": "Basic !!!"}, URL),
        ({"authorization": "Basic é"}, URL),
        ({"authorization": basic(SECRET)}, URL),
        ({"authorization": "Digest " + SECRET}, URL),
        ({"x-api-key": "é\ud800\x00"}, URL),
    ],
)
def test_a_missing_or_odd_token_is_refused(headers: dict[str, str], url: str) -> None:
    """What is not the secret in one of its places is refused in words."""
    assert refused(WebhookRequest("POST", url, headers, b""), form("generic", "token")) is not None


SIGNING_HEADERS = [
    "authorization",
    "typeform-signature",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
    "x-api-key",
    "x-hubspot-request-timestamp",
    "x-hubspot-signature",
    "x-hubspot-signature-v3",
    "x-hubspot-signature-version",
]
header_text = st.text(st.characters()) | st.sampled_from(
    ["v1", "v2", "Basic YTpi", "1772442000", "1772442000000", "é"]
)


@given(
    headers=st.dictionaries(st.sampled_from(SIGNING_HEADERS), header_text),
    url=st.just(URL) | st.text().map("https://leads.example.com/?{}".format),
    body=st.binary(max_size=50),
    provider=st.sampled_from(sorted(PROVIDERS)),
    auth=st.sampled_from(["signature", "token", "standard-webhooks"]),
)
def test_junk_is_refused_and_never_raises(
    headers: dict[str, str], url: str, body: bytes, provider: str, auth: str
) -> None:
    """Whatever stands in headers and URL, the answer is a refusal that quotes neither secret nor signature."""
    refusal = refused(WebhookRequest("POST", url, headers, body), form(provider, auth), WHSEC)
    assert refusal is not None
    assert WHSEC not in refusal.reason
    assert not refusal.ours
