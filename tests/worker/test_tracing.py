"""One trace across real processes: the web process, a router, a clock and a courier, each sending its spans by OTLP."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.servers import wait_until
from tests.worker.site import Site

pytestmark = pytest.mark.real


class Collector:
    """Takes spans as an OpenTelemetry collector does, and keeps them with the stage that sent them."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, request: ExportTraceServiceRequest) -> None:
        for sent in request.resource_spans:
            told = {pair.key: pair.value.string_value for pair in sent.resource.attributes}
            for scope in sent.scope_spans:
                self.spans += [(told["speed_to_lead.stage"], span) for span in scope.spans]

    def of_trace(self, trace_id: bytes) -> set[tuple[str, str]]:
        """Stage and name of the spans of one trace."""
        return {(stage, span.name) for stage, span in self.spans if span.trace_id == trace_id}

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.close()


def test_one_trace_through_four_processes(site: Site, collector: Collector) -> None:
    """A lead posted to the hook, never answered: every stage's spans have the trace of the hook."""
    site.fleet._environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    site.start("web", "router", "clock", "courier", "beat")
    with httpx.Client(base_url=f"http://127.0.0.1:{site.port}", trust_env=False) as http:
        answer = http.post("/hooks/demo", content=json.dumps({"email": "kim@example.com"}), timeout=10)
    lead_id = answer.json()["id"]
    last = site.wait_for_alert(lead_id, "+2s", 60)

    def hooks() -> list[Span]:
        return [span for _, span in collector.spans if span.name == "hook receive"]

    wait_until(lambda: bool(hooks()), "the hook's span")
    trace_id = hooks()[0].trace_id
    expected = {("web", "hook receive"), ("router", "route"), ("clock", "sweep"), ("courier", "deliver")}
    wait_until(lambda: expected <= collector.of_trace(trace_id), "spans of every stage")
    assert expected == collector.of_trace(trace_id)
    assert last.traceparent.split("-")[1] == trace_id.hex()
    assert "example.com" not in str(collector.spans)
