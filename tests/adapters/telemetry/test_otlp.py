"""Own metrics by OTLP, against a collector's HTTP interface in this process."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from app.adapters.telemetry import catalogue, read
from app.adapters.telemetry.otlp import Push, exporter


class Collector(HTTPServer):
    """Takes what is pushed; ``status`` is what it answers."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str | None, ExportMetricsServiceRequest]] = []
        self.status = 200
        super().__init__(("127.0.0.1", 0), _Take)


class _Take(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:  # the name is the library's
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportMetricsServiceRequest.FromString(body)
        self.server.requests.append((self.path, self.headers.get("x-api-key"), request))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def pushed(request: ExportMetricsServiceRequest) -> dict[str, Any]:
    [resource] = request.resource_metrics
    return {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}


def test_readings_arrive_under_their_names_with_unit_type_and_labels(collector: Collector):
    push = Push(exporter(f"http://127.0.0.1:{collector.server_port}", {"x-api-key": "k"}), "ingest-1")
    lag = read(catalogue.LAG_RECORDS, 7, agent="ingest", source="t-0")
    runs = read(catalogue.CATALOGUE["optimize", "runs"], 2, agent="optimize", outcome="decided")
    assert push.push([lag, runs])
    push.close()
    path, key, request = collector.requests[0]
    assert (path, key) == ("/v1/metrics", "k")
    found = pushed(request)
    assert set(found) == {"llm_optimizer_lag_records", "llm.optimization.runs"}
    gauge = found["llm_optimizer_lag_records"]
    assert gauge.unit == "{records}"
    assert gauge.gauge.data_points[0].as_double == 7
    assert {a.key: a.value.string_value for a in gauge.gauge.data_points[0].attributes} == {
        "agent": "ingest",
        "source": "t-0",
    }
    assert found["llm.optimization.runs"].sum.is_monotonic
    assert found["llm.optimization.runs"].sum.data_points[0].as_double == 2


def test_grpc_and_paths_are_taken_as_given():
    assert "Grpc" not in type(exporter("http://127.0.0.1:1/otlp/v1/metrics", {})).__module__
    for endpoint in ("grpc://127.0.0.1:1", "127.0.0.1:1"):
        assert "grpc" in type(exporter(endpoint, {})).__module__
