"""OpenTelemetry spans as evidence: one record of the spans topic is a trace request, each GenAI span in it one answer.

The Collector's Kafka exporter writes such records (``otlp_proto``, ``otlp_json``; told apart by the first byte). A span
is named by its trace and span id, its source is service and instrumentation, its time is its end, its latency from
start to end. Attributes are translated by the one alias table; what a gateway drew comes as ``llm.optimizer.*``. Spans
that are no answered request (agents, tools, HTTP...) are counted and left out.
"""

from functools import lru_cache

from app.adapters.codec.aliases import RESPONSE
from app.adapters.codec.headers import said
from app.adapters.codec.otlp_json import read_json
from app.adapters.codec.otlp_proto import read_proto
from app.adapters.codec.otlp_span import CANONICAL, MAX_BYTES, Span
from app.adapters.codec.reasons import UnreadableError
from app.adapters.codec.strict import converted
from app.adapters.codec.translate import Canonical, Count, Table
from app.core.batch import Headers
from app.core.events import MAX_EPOCH_S, RESPONSE_COMPLETED, Event, Ignored, Many, Rejected, Response, ResponseEvent
from app.core.events import rfc3339 as _rfc3339
from app.core.ports import Decode

TOMBSTONE = "tombstone"

_TABLE = Table(CANONICAL, RESPONSE)
_TRACE_DIGITS, _SPAN_DIGITS = 32, 16
_HEX = frozenset("0123456789abcdef")

rfc3339 = lru_cache(maxsize=4096)(_rfc3339)


def make_decode_spans(count: Count = lambda _: None) -> Decode:
    """A ``decode`` for the spans topic. It never raises; ``count`` is told of alias_conflict and internal_error."""

    def count_conflicts(what: str) -> None:
        if what == "alias_conflict":  # other names and fields nobody reads are what spans are made of
            count(what)

    def decode(value: bytes | None, headers: Headers) -> Event:
        if value is None:
            return Ignored(TOMBSTONE)
        try:
            spans, others = _read(value, headers)
            return Many(tuple([_event(span, count_conflicts) for span in spans]), others)
        except UnreadableError as unreadable:
            return unreadable.rejected()
        except Exception as error:  # noqa: BLE001 - a defect here may cost one record, never a partition
            count("internal_error")
            return Rejected("internal_error", f"{type(error).__name__}: {error}"[:300])

    return decode


def _read(value: bytes, headers: Headers) -> tuple[list[Span], int]:
    if not value:
        raise UnreadableError("empty_value", "the value has no bytes")
    if len(value) > MAX_BYTES:
        raise UnreadableError("too_large", f"{len(value)} bytes, more than {MAX_BYTES}")
    if value[:1] == b"{" or (headers and "json" in said(headers).content_type):
        return read_json(value)
    return read_proto(value)


def _event(span: Span, count: Count) -> ResponseEvent | Rejected:
    try:
        identity, time = _identity(span), _ended(span)
        canonical = _canonical(span, count)
        source = f"{canonical.fields.get('service')}/{span.scope}"
        return ResponseEvent(identity, source, RESPONSE_COMPLETED, converted(canonical, Response), time)
    except UnreadableError as unreadable:
        return unreadable.rejected()


def _identity(span: Span) -> str:
    trace_id, span_id = span.trace_id, span.span_id
    if len(trace_id) != _TRACE_DIGITS or len(span_id) != _SPAN_DIGITS or not _HEX.issuperset(trace_id + span_id):
        raise UnreadableError("bad_attribute", f"not ids of a span: {trace_id[:40]!r}, {span_id[:40]!r}")
    return trace_id + span_id


def _ended(span: Span) -> str:
    """RFC 3339 time of the end, to the second: panes need no more."""
    second = span.end_ns // 1_000_000_000
    if not 0 < second <= MAX_EPOCH_S:
        raise UnreadableError("bad_time", f"the span ends at {span.end_ns} ns, which is no time")
    return rfc3339(second)


def _canonical(span: Span, count: Count) -> Canonical:
    canonical = _TABLE.canonical({**span.resource, **span.attributes}, count)
    fields = canonical.fields
    if "model" not in fields and "response_model" in fields:
        fields["model"] = fields["response_model"]
    fields["latency_ms"] = (span.end_ns - span.start_ns) / 1e6
    if span.first_chunk_ns and "ttft_ms" not in fields:
        fields["ttft_ms"] = (span.first_chunk_ns - span.start_ns) / 1e6
    if span.failed or ("status" not in fields and "error_type" in fields):
        fields["status"] = "error"
    return canonical
