"""OTLP trace requests as protobuf (``otlp_proto``): bytes to spans.

Source: opentelemetry-proto 1.x, collector/trace/v1 ``ExportTraceServiceRequest``.
"""

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.adapters.codec.otlp_span import FIRST_CHUNK, KNOWN, PLAIN, TELLING, Attributes, Span, answers, whole
from app.adapters.codec.reasons import UnreadableError

_ERROR = 2


def read_proto(value: bytes) -> tuple[list[Span], int]:
    """The answering spans in ``value``, and the number of the others. Raises ``UnreadableError`` (not_otlp)."""
    try:
        request = ExportTraceServiceRequest.FromString(value)
    except DecodeError:
        raise UnreadableError("not_otlp", "neither an OTLP trace request in protobuf nor JSON") from None
    if not request.resource_spans:
        raise UnreadableError("not_otlp", "the request has no resource_spans")
    found: list[Span] = []
    others = 0
    for of_resource in request.resource_spans:
        resource: Attributes | None = None
        for of_scope in of_resource.scope_spans:
            scope = of_scope.scope.name
            for span in of_scope.spans:
                if TELLING.isdisjoint([pair.key for pair in span.attributes]):
                    others += 1
                    continue
                attributes = _attributes(span.attributes)
                if not answers(attributes):
                    others += 1
                    continue
                if resource is None:
                    resource = _attributes(of_resource.resource.attributes)
                found.append(_span(span, scope, resource, attributes))
    return found, others


def _span(span: Any, scope: str, resource: Attributes, attributes: Attributes) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        failed=span.status.code == _ERROR,
        first_chunk_ns=next((e.time_unix_nano for e in span.events if e.name.endswith(FIRST_CHUNK)), 0),
        scope=scope,
        resource=resource,
        attributes=attributes,
    )


def _attributes(pairs: Iterable[Any]) -> Attributes:
    found: Attributes = {}
    for pair in pairs:
        name = pair.key
        if name not in KNOWN:
            continue
        value = pair.value
        kind = value.WhichOneof("value")
        if kind == "string_value":
            found[name] = value.string_value
        elif kind == "int_value":
            found[name] = value.int_value if name not in PLAIN else str(value.int_value)
        elif kind is not None:
            rare = _rare(kind, value)
            if rare is not None:
                found[name] = rare
    return found


def _rare(kind: str, value: Any) -> Any:
    if kind == "double_value":
        return whole(value.double_value)
    if kind == "bool_value":
        return value.bool_value
    if kind == "array_value":
        return [item.string_value for item in value.array_value.values if item.HasField("string_value")]
    return None
