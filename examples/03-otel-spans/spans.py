"""GenAI spans of OpenTelemetry as evidence: what the Collector's Kafka exporter writes, made by the SDK.

    python spans.py [SERVICE]

An application that is instrumented has these spans already; let the Collector send them (docs/connect-otel.md). Here
the SDK's exporter writes them to Kafka itself, in the same bytes. Broker: LLM_OPTIMIZER__KAFKA__BOOTSTRAP_SERVERS.
"""

import os
import sys
from collections.abc import Sequence

from confluent_kafka import Producer
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

TOPIC = "otlp_spans"


class ToKafka(SpanExporter):
    """As the Collector with `encoding: otlp_proto`: one message a batch."""

    def __init__(self, broker: str) -> None:
        self._producer = Producer({"bootstrap.servers": broker, "log_level": 2})

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._producer.produce(TOPIC, encode_spans(spans).SerializeToString())
        return SpanExportResult.FAILURE if self._producer.flush(30) else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._producer.flush(30)


def main() -> int:
    service = sys.argv[1] if len(sys.argv) > 1 else "support-chat"
    broker = os.environ.get("LLM_OPTIMIZER__KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9092")
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(ToKafka(broker)))
    tracer = provider.get_tracer("examples/03")
    for _ in range(20):
        with tracer.start_as_current_span("chat gpt-4o-mini") as span:
            span.set_attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o-mini",
                    "gen_ai.usage.input_tokens": 640,
                    "gen_ai.usage.output_tokens": 96,
                }
            )
    provider.shutdown()
    print(f"20 spans of {service} are on {TOPIC}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
