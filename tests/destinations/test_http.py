"""What every failure and every status of HTTP comes to."""

import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.destinations import http as outbound
from speed_to_lead.destinations.http import (
    FAILURES,
    GET_LIMIT,
    Answer,
    attempt_of,
    by_status,
    get,
    post,
    retry_after,
)

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def exception_tree(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for child in root.__subclasses__():
        yield from exception_tree(child)


def send(client: httpx.Client, url: str) -> Attempt:
    return post(client, url, content=b'{"name":"Ann"}', headers={"X-Name": "value"}, now=NOW)


class TestFailures:
    @pytest.mark.parametrize("error", list(exception_tree(httpx.HTTPError)))
    def test_every_exception_of_httpx_has_its_own_line(self, error: type[Exception]) -> None:
        """A new exception of httpx's must be thought about before it can pass."""
        assert error in FAILURES

    def test_the_rest_of_httpx_is_known_to_be_out_of_reach(self) -> None:
        """What httpx can raise beside its HTTPError is known by name: bad URLs are mapped, misuse is a fault of ours."""
        others = {
            value
            for value in vars(httpx).values()
            if isinstance(value, type)
            and issubclass(value, Exception)
            and not issubclass(value, httpx.HTTPError)
        }
        misuse = {
            httpx.CookieConflict, httpx.StreamError, httpx.StreamConsumed, httpx.StreamClosed,
            httpx.ResponseNotRead, httpx.RequestNotRead,
        }  # fmt: skip
        assert {httpx.InvalidURL} == others - misuse

    @pytest.mark.parametrize(
        ("expected", "errors"),
        [
            (
                Outcome.NOT_DELIVERED,
                [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError],
            ),
            (
                Outcome.REFUSED,
                [httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.TooManyRedirects, httpx.InvalidURL],
            ),
            (
                Outcome.UNKNOWN,
                [
                    httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError, httpx.CloseError,
                    httpx.RemoteProtocolError, httpx.DecodingError, httpx.TransportError,
                ],
            ),
        ],
    )  # fmt: skip
    def test_outcome_of_an_exception(self, expected: Outcome, errors: list[type[Exception]]) -> None:
        """Nothing sent: not delivered. Request at fault: refused. Sent and no answer: unknown."""
        for error in errors:

            def fail(request: httpx.Request, error: type[Exception] = error) -> httpx.Response:
                raise error("https://hooks.example/SECRET ann@acme.example")

            with httpx.Client(transport=httpx.MockTransport(fail)) as client:
                attempt = send(client, "https://hooks.example/SECRET")
            assert (expected, None) == (attempt.outcome, attempt.retry_after)
            assert error.__name__ in attempt.detail
            assert "SECRET" not in attempt.detail
            assert "acme" not in attempt.detail

    def test_an_unheard_of_subclass_goes_by_its_base(self) -> None:
        """A subclass somebody adds to a transport is as uncertain as its base."""

        class Strange(httpx.ReadTimeout):
            pass

        assert Attempt(Outcome.UNKNOWN, "no answer in time (Strange)") == attempt_of(Strange("x"))


class TestStatus:
    @pytest.mark.parametrize(
        ("statuses", "expected"),
        [
            ((200, 201, 202, 204, 299), Outcome.DELIVERED),
            ((300, 301, 302, 303, 304, 307, 308), Outcome.REFUSED),
            ((400, 401, 403, 404, 405, 406, 409, 410, 413, 415, 418, 422, 451, 499), Outcome.REFUSED),
            ((408, 423, 425), Outcome.NOT_DELIVERED),
            ((429,), Outcome.RATE_LIMITED),
            ((500, 501, 503, 505, 507, 520, 529), Outcome.NOT_DELIVERED),
            ((502, 504), Outcome.UNKNOWN),
            ((100, 101, 199, 600, 999), Outcome.UNKNOWN),
        ],
    )
    def test_outcome_of_a_status(self, statuses: tuple[int, ...], expected: Outcome) -> None:
        """Each status has one outcome, and its number is in the detail."""
        for status in statuses:
            attempt = by_status(Answer(status, "ann@acme.example", whole=True))
            assert expected == attempt.outcome
            assert f"HTTP {status}" in attempt.detail
            assert "acme" not in attempt.detail

    def test_every_status_there_can_be_has_an_outcome(self) -> None:
        """No three digits make it raise."""
        assert all(by_status(Answer(status, "", whole=True)).detail for status in range(1000))

    def test_waiting_time_is_kept_only_where_trying_again_makes_sense(self) -> None:
        """Retry-After counts for 429 and 503, not for 404 and 200."""
        wait = timedelta(seconds=7)
        kept = [
            by_status(Answer(status, "", whole=True, retry_after=wait)).retry_after
            for status in (429, 503, 404, 200)
        ]
        assert [wait, wait, None, None] == kept


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("7", 7.0),
            (" 7 ", 7.0),
            ("0.65", 0.65),
            ("0", 0.0),
            ("Sun, 22 Nov 2026 10:00:30 GMT", 30.0),
            ("Sunday, 22-Nov-26 10:00:30 GMT", 30.0),
            ("Sun, 22 Nov 2026 10:00:30 -0000", 30.0),
            ("Sun, 22 Nov 2026 09:00:00 GMT", 0.0),
            ("2026-11-22T10:01:00Z", 60.0),
            ("2026-11-22T11:01:00.500+01:00", 60.5),
            ("2026-11-22T10:01:00", 60.0),
            ("2020-01-01T00:00:00Z", 0.0),
            ("0001-01-01T00:00:00+14:00", 0.0),
        ],
    )
    def test_three_dialects(self, header: str, seconds: float) -> None:
        """Seconds, HTTP dates and ISO 8601 are all met; none goes below zero."""
        assert timedelta(seconds=seconds) == retry_after(header, NOW)

    @pytest.mark.parametrize(
        "junk",
        [
            None,
            "",
            "soon",
            "-5",
            "nan",
            "inf",
            "1e999",
            "9" * 400,
            "2026-13-45T99:00:00Z",
            "٣",
            "7, 9",
            "\x00",
        ],
    )
    def test_junk_is_ignored(self, junk: str | None) -> None:
        """What cannot be read is as good as not there."""
        assert retry_after(junk, NOW) is None


class TestOverTheWire:
    def test_what_is_sent(self, http: httpx.Client, far_side: Any) -> None:
        """The body arrives byte for byte, under our own name, and the address is called as it stands."""
        attempt = send(http, far_side.url)
        path, headers, body = far_side.requests[0]
        assert Attempt(Outcome.DELIVERED, "HTTP 200 OK") == attempt
        assert path == "/services/SECRET-PATH?sig=SECRET-QUERY"
        assert body == b'{"name":"Ann"}'
        assert headers["user-agent"].startswith("speed-to-lead/")
        assert headers["x-name"] == "value"

    def test_redirects_are_not_followed(
        self, http: httpx.Client, far_side: Any, open_far_side: Callable[[], Any]
    ) -> None:
        """A 302 is a refusal, and nobody calls the address it names."""
        elsewhere = open_far_side()
        for status in (301, 302, 307, 308):
            far_side.answers(status, Location=elsewhere.url)
            attempt = send(http, far_side.url)
            assert attempt.outcome == Outcome.REFUSED
            assert "redirects are not followed" in attempt.detail
        assert elsewhere.requests == []

    def test_a_redirect_to_nonsense_does_not_raise(self, http: httpx.Client, far_side: Any) -> None:
        """The client reads the Location even of a redirect it does not follow."""
        far_side.answers(302, Location="http://[nonsense")
        assert send(http, far_side.url).outcome in (Outcome.REFUSED, Outcome.UNKNOWN)

    def test_nobody_listens(self, http: httpx.Client, closed_port: int) -> None:
        """No connection: nothing was delivered."""
        assert send(http, f"http://127.0.0.1:{closed_port}/").outcome == Outcome.NOT_DELIVERED

    def test_a_host_name_no_resolver_takes(self, http: httpx.Client) -> None:
        """A label of 70 letters makes getaddrinfo raise a UnicodeError; it is a refusal."""
        assert send(http, f"http://{'a' * 70}.example/").outcome == Outcome.REFUSED

    @pytest.mark.parametrize("reads_body", [True, False])
    @pytest.mark.parametrize("nastiness", ["reset", "hang_up", "hang"])
    def test_no_answer_after_the_request(
        self, hasty_http: httpx.Client, far_side: Any, nastiness: str, reads_body: bool
    ) -> None:
        """Reset, hang-up or silence, before the body is read or after it: it may have arrived."""
        far_side.reads_body = reads_body
        far_side.behave = lambda handler: getattr(handler, nastiness)()
        attempt = send(hasty_http, far_side.url)
        assert attempt.outcome == Outcome.UNKNOWN
        assert "SECRET" not in attempt.detail

    def test_not_http_at_all(self, http: httpx.Client, far_side: Any) -> None:
        """Some other server answers on that port: unknown."""

        def answer(handler: Any) -> None:
            handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
            handler.close_connection = True

        far_side.behave = answer
        assert send(http, far_side.url).outcome == Outcome.UNKNOWN

    def test_a_broken_off_200_counts_where_the_status_says_it_all(
        self, http: httpx.Client, far_side: Any
    ) -> None:
        """The status arrived; the body did not."""

        def answer(handler: Any) -> None:
            handler.answer(200, b"o", {"Content-Length": "100"})
            handler.reset()

        far_side.behave = answer
        assert send(http, far_side.url).outcome == Outcome.DELIVERED

    def test_an_answer_that_trickles_is_cut_short(
        self, http: httpx.Client, far_side: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A byte now and then resets every read timeout, so the whole answer has a limit too."""
        monkeypatch.setattr(outbound, "BODY_SECONDS", 0.2)

        def trickle(handler: Any) -> None:
            handler.answer(200, b"", {"Content-Length": "1000000"})
            while not handler.far_side.closing.wait(0.02):
                handler.wfile.write(b".")

        far_side.behave = trickle
        judged: list[Answer] = []

        def judge(answer: Answer) -> Attempt:
            judged.append(answer)
            return by_status(answer)

        post(http, far_side.url, content=b"", headers={}, now=NOW, judge=judge)
        assert [(answer.status, answer.whole) for answer in judged] == [(200, False)]

    def test_an_endless_answer_is_not_kept(self, http: httpx.Client, far_side: Any) -> None:
        """Only the beginning of a large body is read."""
        judged: list[Answer] = []

        def judge(answer: Answer) -> Attempt:
            judged.append(answer)
            return by_status(answer)

        far_side.answers(200, b"x" * 5_000_000)
        post(http, far_side.url, content=b"", headers={}, now=NOW, judge=judge)
        assert [(len(answer.body), answer.whole) for answer in judged] == [(outbound.BODY_LIMIT, False)]

    def test_an_answer_packed_to_burst_is_not_unpacked(self, http: httpx.Client, far_side: Any) -> None:
        """Nobody asked for a packed answer; one that comes all the same may not fill the memory."""
        far_side.answers(200, gzip.compress(bytes(100_000_000)), Content_Encoding="gzip")
        tracemalloc.start()
        try:
            assert send(http, far_side.url).outcome is Outcome.DELIVERED
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 20_000_000

    def test_cookies_are_not_kept(self, http: httpx.Client, far_side: Any) -> None:
        """One destination's cookie never travels with the next message."""
        far_side.answers(200, b"ok", Set_Cookie="session=1")
        send(http, far_side.url)
        send(http, far_side.url)
        assert "cookie" not in far_side.requests[1][1]

    def test_connections_are_used_again(self, http: httpx.Client, far_side: Any) -> None:
        """Two messages, one connection: the answer was read to its end."""
        ports: list[int] = []

        def answer(handler: Any) -> None:
            ports.append(handler.client_address[1])
            handler.answer(200, b"ok")

        far_side.behave = answer
        send(http, far_side.url)
        send(http, far_side.url)
        assert ports[0] == ports[1]

    @pytest.mark.parametrize("header", ["30", "Sun, 22 Nov 2026 10:00:30 GMT", "2026-11-22T10:00:30Z"])
    @pytest.mark.parametrize(
        ("status", "outcome"), [(429, Outcome.RATE_LIMITED), (503, Outcome.NOT_DELIVERED)]
    )
    def test_asked_to_wait(
        self, http: httpx.Client, far_side: Any, header: str, status: int, outcome: Outcome
    ) -> None:
        """429 and 503 name a time in any of three dialects."""
        far_side.answers(status, b"", Retry_After=header)
        attempt = send(http, far_side.url)
        assert (outcome, timedelta(seconds=30)) == (attempt.outcome, attempt.retry_after)


def test_every_phase_has_its_timeout() -> None:
    """No phase of a request waits for ever, and redirects are off."""
    with outbound.new_http_client() as client:
        assert client.timeout.as_dict() == {"connect": 3.0, "read": 8.0, "write": 3.0, "pool": 2.0}
        assert not client.follow_redirects


@pytest.mark.parametrize(
    ("answer", "outcome", "body"),
    [
        (httpx.Response(200, json={"id": 1}), Outcome.DELIVERED, b'{"id":1}'),
        (httpx.Response(404, json={"error": "laura@example.com"}), Outcome.REFUSED, None),
        (httpx.Response(302, headers={"location": "https://elsewhere.test/"}), Outcome.REFUSED, None),
        (httpx.Response(429, headers={"retry-after": "7"}), Outcome.RATE_LIMITED, None),
        (httpx.Response(200, content=b"x" * (GET_LIMIT + 1)), Outcome.REFUSED, None),
        (httpx.ConnectTimeout("https://api.test/?access_token=secret"), Outcome.NOT_DELIVERED, None),
    ],
)
def test_one_get(answer: httpx.Response | Exception, outcome: Outcome, body: bytes | None) -> None:
    """Only a whole answer of 200 has a body; nothing follows a redirect, and no detail holds address, token or body."""

    def far_side(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer token"
        if isinstance(answer, Exception):
            raise answer
        return answer

    with httpx.Client(transport=httpx.MockTransport(far_side)) as http:
        now = datetime(2026, 1, 5, 9, tzinfo=UTC)
        attempt, found = get(
            http, "https://api.test/7?access_token=secret", {"Authorization": "Bearer token"}, now
        )
    assert (outcome, body) == (attempt.outcome, found)
    assert (attempt.retry_after == timedelta(seconds=7)) == (outcome is Outcome.RATE_LIMITED)
    assert not any(word in attempt.detail for word in ("secret", "token", "api.test", "laura"))
