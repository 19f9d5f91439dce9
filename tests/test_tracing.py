"""Traces: one from the hook to the alert through the real stream; strangers only linked; nothing said of persons; off, nothing."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler
from tests.flow.scene import Destination, TimedStore
from tests.web.conftest import LEAD, Web, web_on

from speed_to_lead import flow, tracing
from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.core.delivery import Destination as Configured
from speed_to_lead.core.lead import Alert, AlertKind, Lead, Response, ResponseKind
from speed_to_lead.core.message import compose_system
from speed_to_lead.core.response import record_response
from speed_to_lead.core.submission import Submission
from speed_to_lead.destinations.webhook import WebhookChannel, open_webhook
from speed_to_lead.store.queue import stream_fields
from speed_to_lead.workplace import Workplace

STRANGER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Spans:
    """The spans that were finished."""

    exporter: InMemorySpanExporter

    def all(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name == name]


def tracing_on(sampler: Sampler | None = None) -> Spans:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.send_spans_to(provider)
    return Spans(exporter)


@pytest.fixture
def spans() -> Iterator[Spans]:
    """Tracing on, into memory."""
    yield tracing_on()
    tracing.send_spans_to(None)


@pytest.fixture
def web(server_url: str, key_prefix: str) -> Iterator[Web]:
    """An application behind uvicorn, on a store of this test's own."""
    with web_on(server_url, key_prefix) as found:
        yield found


def attributes(span: ReadableSpan) -> dict[str, object]:
    return {name.removeprefix("speed_to_lead."): value for name, value in (span.attributes or {}).items()}


def ids(span: ReadableSpan) -> tuple[int, int, int]:
    """Trace, span, parent (0: none)."""
    assert span.context is not None
    return span.context.trace_id, span.context.span_id, span.parent.span_id if span.parent else 0


def posted(web: Web, **headers: str) -> str:
    answer = web.http.post("/hooks/open", content=json.dumps(LEAD), headers=headers)
    return str(answer.json()["id"])


def with_double(web: Web, double: Destination) -> Workplace:
    return replace(web.place, channel=lambda _: double)


def deliver_all(place: Workplace) -> None:
    for name in flow.destinations_due(place):
        flow.deliver(place, name)


def record(web: Web, lead_id: str) -> Lead:
    found = web.store.leads.get(lead_id)
    assert found is not None
    return found


def test_one_trace_from_the_hook_to_the_alert_of_a_breach(web: Web, spans: Spans) -> None:
    """Hook, routing, the first alert, the sweep minutes later, its alerts and the answer: one trace, one tree."""
    lead_id = posted(web)
    double = Destination()
    place = with_double(web, double)
    flow.route(place, "r")
    deliver_all(place)
    later = replace(place, store=TimedStore(web.store, lambda: web.store.now() + timedelta(minutes=6)))
    flow.sweep(later)
    deliver_all(later)
    flow.change_lead(
        later,
        lead_id,
        lambda lead, now: record_response(lead, Response(ResponseKind.ATTEMPTED, "tom", now, now), now),
    )

    (hook,), (route,), (sweep,), (respond,) = (
        spans.named(n) for n in ("hook receive", "route", "sweep", "respond")
    )
    deliveries = spans.named("deliver")
    trace_id, hook_id, nobody = ids(hook)
    _, route_id, parent = ids(route)
    assert (nobody, parent) == (0, hook_id)
    assert len(deliveries) >= 2
    assert {ids(span)[::2] for span in (sweep, respond, *deliveries)} == {(trace_id, route_id)}
    lead = record(web, lead_id)
    assert attributes(hook) == {"form": "open", "lead_id": lead_id, "outcome": "stored"}
    assert attributes(route) == {
        "lead_id": lead_id,
        "outcome": "lead",
        "form": "open",
        "team": lead.team,
        "sla": lead.sla,
    }
    assert attributes(sweep) == {"lead_id": lead_id, "team": lead.team, "sla": lead.sla, "step": "100%"}
    assert {attributes(span)["step"] for span in deliveries} == {"0%", "100%"}
    assert {attributes(span)["outcome"] for span in deliveries} == {"delivered"}
    # Each message carries the span of its own delivery.
    sent = {message.traceparent for message in double.heard}
    assert sent == {f"00-{trace_id:032x}-{ids(span)[1]:016x}-01" for span in deliveries}


def test_nothing_a_person_said_is_in_a_span(web: Web, spans: Spans) -> None:
    """Promise 14: ids and names of config; an error by its kind, for its text may quote a lead."""
    posted(web)
    web.http.post("/hooks/open", content=b"ana@example.com is not JSON")

    class Failing(Destination):
        def send(self, message: object, now: object) -> Attempt:
            raise RuntimeError("could not tell ana@example.com")

    place = with_double(web, Failing())
    flow.route(place, "r")
    deliver_all(place)
    with pytest.raises(ValueError, match="ana@"), tracing.span("mistake"):
        raise ValueError("ana@example.com")
    told = " ".join(span.to_json() for span in spans.all())
    assert {span.name for span in spans.all()} == {"hook receive", "route", "deliver", "mistake"}
    assert "dead_letter" in told
    assert '"description": "ValueError"' in told
    assert not any(word in told for word in ("example.com", "Example", "priya", "tom"))


def test_a_sender_is_linked_and_decides_nothing(web: Web, spans: Spans) -> None:
    """A stranger's traceparent makes neither our trace nor our sampling, and never gets into the queue."""
    posted(web, traceparent=STRANGER)
    posted(web, traceparent="nonsense")
    first, second = spans.named("hook receive")
    assert [ids(first)[2], len(first.links), len(second.links)] == [0, 1, 0]
    assert f"{first.links[0].context.trace_id:032x}" == STRANGER.split("-")[1]
    assert ids(first)[0] != first.links[0].context.trace_id
    assert not any(STRANGER.encode() in value for entry in web.stored() for value in entry.values())


def test_a_program_that_writes_to_the_queue_may_set_the_parent(web: Web, spans: Spans) -> None:
    """Whoever may XADD is one of us; without a traceparent, or with a broken one, the trace begins at the router."""
    given = [STRANGER, "00-" + "0" * 32 + "-" + "0" * 16 + "-01", ""]
    leads = []
    for number, traceparent in enumerate(given):
        now = web.store.now()
        body = json.dumps(LEAD | {"email": f"p{number}@example.com"}).encode()
        submission = Submission(
            flow.new_submission_id(now),
            "open",
            now,
            body,
            headers={"traceparent": traceparent} if traceparent else {},
        )
        web.store.server.client.xadd(web.store.server.keys.incoming, stream_fields(submission))
        leads.append(submission.id)
    flow.route(web.place, "r")
    first, *others = spans.named("route")
    assert f"00-{ids(first)[0]:032x}-{ids(first)[2]:016x}-01" == STRANGER
    assert [ids(span)[2] for span in others] == [0, 0]
    remembered = [record(web, lead_id).traceparent for lead_id in leads]
    assert remembered == [f"00-{ids(span)[0]:032x}-{ids(span)[1]:016x}-01" for span in (first, *others)]


def test_what_is_not_sampled_leaves_no_trace(web: Web) -> None:
    """No byte of the queue, the record or the alert is spent on it."""
    spans = tracing_on(ALWAYS_OFF)
    lead_id = posted(web)
    entries = web.stored()
    flow.route(web.place, "r")
    tracing.send_spans_to(None)
    assert spans.all() == []
    assert [entry.get(b"headers") for entry in entries] == [None]
    assert record(web, lead_id).traceparent == ""


def test_off_nothing_is_kept_and_nothing_changes(web: Web) -> None:
    """As if there were no tracing: no field, no attribute, no id in the logs."""
    with structlog.testing.capture_logs() as logs, tracing.span("route", STRANGER, lead_id="x") as span:
        span.note(outcome="lead")
        structlog.get_logger().info("something")
        span.end()
    lead_id = posted(web, traceparent=STRANGER)
    assert [entry.get(b"headers") for entry in web.stored()] == [None]
    flow.route(web.place, "r")
    assert (span.traceparent, record(web, lead_id).traceparent) == ("", "")
    assert logs == [{"event": "something", "log_level": "info"}]


def test_events_within_a_span_carry_its_trace(web: Web, spans: Spans) -> None:
    """So that one looks from a log line to its trace."""
    seen: list[dict[str, object]] = []

    def keep(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        seen.append(dict(event))
        raise structlog.DropEvent

    lead_id = posted(web)
    before = structlog.get_config()["processors"]
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, keep])
    try:
        place = with_double(web, Destination())
        flow.route(place, "r")
        deliver_all(place)
    finally:
        structlog.configure(processors=before)
    trace_id = f"{ids(spans.named('hook receive')[0])[0]:032x}"
    told = {str(event["event"]): event.get("trace_id") for event in seen if event.get("lead_id") == lead_id}
    assert {name: told.get(name) for name in ("lead.routed", "alert.attempt")} == {
        "lead.routed": trace_id,
        "alert.attempt": trace_id,
    }


def test_webhooks_hear_the_trace_and_nobody_else(spans: Spans) -> None:
    """Two random numbers in a header the receiver may ignore; signature and body are what they are without it."""
    heard: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return httpx.Response(200)

    destination = Configured("crm", "webhook", {"url_env": "URL", "secret_env": "SECRET"})
    environment = {"URL": "https://crm.example.com/x", "SECRET": "whsec_" + "c2VjcmV0" * 4}
    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        channel = open_webhook(destination, http, environment)
        assert isinstance(channel, WebhookChannel)
        alert = Alert("system", "test", "crm", AlertKind.TEST, datetime(2026, 11, 23, tzinfo=UTC))
        message = compose_system(alert, "A test")
        outcomes = [
            channel.send(m, message.decided_at).outcome
            for m in (message, replace(message, traceparent=STRANGER))
        ]
    plain, traced = heard
    assert outcomes == [Outcome.DELIVERED] * 2
    assert ("traceparent" in plain.headers, traced.headers["traceparent"]) == (False, STRANGER)
    assert plain.content == traced.content
    assert plain.headers["webhook-signature"] == traced.headers["webhook-signature"]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_SERVICE_NAME": "x"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "True"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_it_is_on_only_where_the_environment_says_so(environment: dict[str, str]) -> None:
    """An installed extra alone sends nothing anywhere."""
    tracing.set_up_tracing("web", environment)
    with tracing.span("nothing") as span:
        assert span.traceparent == ""
