"""Traces, for whoever has an OpenTelemetry collector: one trace from the hook to the alert, hours later if need be.

Off, and free of cost, unless the extra `speed-to-lead[tracing]` is installed and `OTEL_EXPORTER_OTLP_ENDPOINT` (or
`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) says where to send them; every other `OTEL_*` variable means what it always does.

- `set_up_tracing`   once in each process
- `span`             what a stage does, as a part of the trace that its `parent` (a traceparent) belongs to
- `start`            the same where the end is in another place

The context travels as a W3C `traceparent`: in the queue entry's headers, then in the lead's record, then in the alert.
Attributes are ids and names of config, never anything a person said (docs/reliability.md, 14).
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import structlog

try:
    from opentelemetry import context as otel_context
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:  # the extra is not installed
    trace = None  # type: ignore[assignment]

log = structlog.get_logger()

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_tracer: Any = None


def set_up_tracing(stage: str, environment: Mapping[str, str] = os.environ) -> None:
    """Send the spans of this process where the environment says; nothing where it says nothing."""
    if not any(environment.get(name) for name in _ENDPOINTS):
        return
    if environment.get("OTEL_SDK_DISABLED", "").casefold() == "true":
        return
    if environment.get("OTEL_TRACES_EXPORTER", "otlp").strip() != "otlp":
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        log.warning("tracing.not_installed", install="speed-to-lead[tracing]")
        return
    name = environment.get("OTEL_SERVICE_NAME") or "speed-to-lead"
    provider = TracerProvider(resource=Resource.create({"service.name": name, "speed_to_lead.stage": stage}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    send_spans_to(provider)
    log.info("tracing.on", stage=stage)


def send_spans_to(provider: Any) -> None:
    """Make spans with this provider of the SDK; None turns tracing off."""
    global _tracer  # noqa: PLW0603  one per process, as its logs are
    _tracer = None if provider is None else provider.get_tracer("speed_to_lead")


class Span:
    """One span, or none where tracing is off. `traceparent` names it to whoever comes after; "" where there is none."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Any = None) -> None:
        self._span = span
        self.traceparent = _traceparent(span) if span is not None else ""

    def note(self, **attributes: str) -> None:
        """Add attributes: ids and names of config only."""
        if self._span is not None:
            self._span.set_attributes(_named(attributes))

    def end(self, error: str = "") -> None:
        """The work is done; `error` names what went wrong, by its kind."""
        if self._span is not None:
            if error:
                self._span.set_status(trace.Status(trace.StatusCode.ERROR, error))
            self._span.end()

    def current(self) -> AbstractContextManager[Any]:
        """Events logged within carry the trace's id."""
        if self._span is None:
            return _NOTHING
        trace_id = trace.format_trace_id(self._span.get_span_context().trace_id)
        return structlog.contextvars.bound_contextvars(trace_id=trace_id)


_NOTHING = nullcontext()
_NONE = Span()
_OFF = nullcontext(_NONE)


def is_on() -> bool:
    """Whether spans are made in this process."""
    return _tracer is not None


def start(name: str, parent: str = "", *, link: str = "", since: int = 0, **attributes: str) -> Span:
    """A span that begins now, or at `since` (`clock()`). The caller ends it.

    `parent` is a traceparent we trust. A stranger's is a `link`: whoever posts to a hook shall neither decide that we
    sample nor put their spans into our traces.
    """
    if _tracer is None:
        return _NONE
    linked = _context_of(link)
    kind = {
        "hook receive": trace.SpanKind.SERVER,
        "route": trace.SpanKind.CONSUMER,
        "deliver": trace.SpanKind.CLIENT,
    }
    span = _tracer.start_span(
        name,
        context=trace.set_span_in_context(
            trace.NonRecordingSpan(_context_of(parent)), otel_context.Context()
        ),
        kind=kind.get(name, trace.SpanKind.INTERNAL),
        links=[trace.Link(linked)] if linked.is_valid else [],
        start_time=since or None,
        attributes=_named(attributes),
    )
    return Span(span)


def span(
    name: str, parent: str = "", *, link: str = "", since: int = 0, **attributes: str
) -> AbstractContextManager[Span]:
    """A span around a piece of work; an exception is noted by its kind alone, for its text may quote a lead."""
    if _tracer is None:
        return _OFF
    return _started(name, parent, link, since, attributes)


@contextmanager
def _started(name: str, parent: str, link: str, since: int, attributes: Mapping[str, str]) -> Iterator[Span]:
    started = start(name, parent, link=link, since=since, **attributes)
    try:
        with started.current():
            yield started
    except BaseException as error:
        started.end(type(error).__name__)
        raise
    started.end()


def clock() -> int:
    """Now, for `since`."""
    return time.time_ns()


def _context_of(traceparent: str) -> Any:
    if not traceparent:
        return trace.INVALID_SPAN_CONTEXT
    found = TraceContextTextMapPropagator().extract({"traceparent": traceparent}, otel_context.Context())
    return trace.get_current_span(found).get_span_context()


def _traceparent(span: Any) -> str:
    """How the span is named to others; "" for one that is not sampled, so that nothing is kept for its sake."""
    context = span.get_span_context()
    if not context.trace_flags.sampled:
        return ""
    return f"00-{trace.format_trace_id(context.trace_id)}-{trace.format_span_id(context.span_id)}-01"


def _named(attributes: Mapping[str, str]) -> dict[str, str]:
    return {f"speed_to_lead.{name}": value for name, value in attributes.items() if value}
