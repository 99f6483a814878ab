"""Trace requests to start from, in both encodings, and the fixtures of real instrumentations."""

import json
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

FOLDER = Path(__file__).parents[2] / "fixtures" / "otlp"
FIXTURES = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.pb"))}

END_NS = 1_762_683_330_123_456_789  # 2025-11-09T10:15:30Z
RESOURCE = {"service.name": "chatbot"}
GENAI = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 512,
    "gen_ai.usage.output_tokens": 128,
}


def any_value(value: Any) -> AnyValue:
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[any_value(item) for item in value]))
    kinds = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value", bytes: "bytes_value"}
    return AnyValue(**{kinds[type(value)]: value})


def pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=any_value(value)) for name, value in attributes.items()]


def span(attributes: dict[str, Any], *, ms: float = 800.0, failed: bool = False, **more: Any) -> Span:
    made = {
        "trace_id": bytes(range(16)),
        "span_id": bytes(range(8)),
        "start_time_unix_nano": END_NS - int(ms * 1e6),
        "end_time_unix_nano": END_NS,
        **more,
    }
    status = Status(code=Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET)
    return Span(attributes=pairs(attributes), status=status, **made)


def request(*spans: Span, resource: dict[str, Any] = RESOURCE, scope: str = "lib") -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    of_resource = made.resource_spans.add()
    of_resource.resource.attributes.extend(pairs(resource))
    of_scope = of_resource.scope_spans.add()
    of_scope.scope.name = scope
    of_scope.spans.extend(spans)
    return made


def as_json(message: ExportTraceServiceRequest) -> bytes:
    """As the Collector writes it: names in camel case, ids in hex, 64-bit integers as text, codes as numbers."""
    body = MessageToDict(message, use_integers_for_enums=True)
    for of_resource, raw in zip(body["resourceSpans"], message.resource_spans, strict=True):
        for of_scope, raw_scope in zip(of_resource["scopeSpans"], raw.scope_spans, strict=True):
            for one, raw_span in zip(of_scope.get("spans", []), raw_scope.spans, strict=True):
                one["traceId"], one["spanId"] = raw_span.trace_id.hex(), raw_span.span_id.hex()
    return json.dumps(body).encode()
