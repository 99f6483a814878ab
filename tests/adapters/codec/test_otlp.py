"""Spans as evidence: both encodings, three generations of names, real instrumentations, and whatever else may come."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from app.adapters.codec import make_decode_spans
from app.adapters.codec.otlp_span import MAX_BYTES
from app.adapters.codec.reasons import REASONS
from app.core.batch import Batch
from app.core.events import Ignored, Many, Rejected, Response, ResponseEvent, SegmentParts
from app.core.fold import Fold
from tests.adapters.codec.spans import END_NS, FIXTURES, GENAI, as_json, request, span

decode = make_decode_spans()
QUICK = settings(max_examples=40, deadline=None)


def events(value: bytes) -> list[ResponseEvent | Rejected]:
    many = decode(value, ())
    assert isinstance(many, Many), many
    return list(many.events)  # type: ignore[arg-type]  # no feedback comes as spans


def only(attributes: dict[str, Any], **more: Any) -> Response:
    """The response of the one span with ``attributes``, the same in both encodings."""
    resource = more.pop("resource", {"service.name": "chatbot"})
    message = request(span(attributes, **more), resource=resource)
    (event,) = events(message.SerializeToString())
    assert events(as_json(message)) == [event]
    assert isinstance(event, ResponseEvent), event
    return event.data


def refused(attributes: dict[str, Any], **more: Any) -> Rejected:
    (event,) = events(request(span(attributes, **more)).SerializeToString())
    assert isinstance(event, Rejected), event
    return event


# ---- real instrumentations ----
@pytest.mark.parametrize("wire", ["protobuf", "json"])
@pytest.mark.parametrize("name", FIXTURES)
def test_spans_of_a_real_instrumentation_become_its_four_calls(name, wire):
    value = FIXTURES[name]
    many = decode(value if wire == "protobuf" else as_json(ExportTraceServiceRequest.FromString(value)), ())
    assert isinstance(many, Many)
    assert many.ignored == 1  # the application's own span
    plain, stream, failed, embedding = [event.data for event in many.events if isinstance(event, ResponseEvent)]
    assert {r.service for r in (plain, stream, failed, embedding)} == {"support-chat"}
    assert (plain.model, plain.provider, plain.response_model) == ("gpt-4o-mini", "openai", "gpt-4o-mini-2024-07-18")
    assert (plain.input_tokens, plain.output_tokens, plain.cached_tokens) == (120, 30, 64)
    assert (plain.status, plain.finish_reason, plain.max_tokens, plain.ttft_ms) == ("ok", "stop", 256, None)
    assert plain.fingerprint == "fp_44709d6fcb"
    assert plain.segment == SegmentParts(region="eu-west-1")
    assert stream.ttft_ms is not None
    assert 0 < stream.ttft_ms <= stream.latency_ms < 1000
    assert (stream.finish_reason, stream.input_tokens, stream.output_tokens) == ("length", 120, 30)
    assert (failed.status, failed.model, failed.input_tokens) == ("error", "gpt-overloaded", 0)
    assert failed.error_type.endswith("RateLimitError")
    assert (embedding.model, embedding.input_tokens, embedding.output_tokens) == ("text-embedding-3-small", 9, 0)


@pytest.mark.parametrize("name", FIXTURES)
def test_a_fixture_holds_no_content(name):
    assert b"must not leave" not in FIXTURES[name]


# ---- generations and dialects ----
SAME = {
    "semconv 1.37": GENAI,
    "semconv 1.27": {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 512,
        "gen_ai.usage.output_tokens": 128,
    },
    "semconv 1.25, requirements 001": {
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.prompt_tokens": 512,
        "gen_ai.usage.completion_tokens": 128,
        "gen_ai.usage.total_tokens": 640,
    },
    "openllmetry": {
        "llm.request.type": "chat",
        "llm.vendor": "openai",
        "llm.request.model": "gpt-4o-mini",
        "llm.usage.prompt_tokens": 512,
        "llm.usage.completion_tokens": 128,
        "llm.usage.total_tokens": 640,
        "gen_ai.is_streaming": False,
    },
    "openinference": {
        "openinference.span.kind": "LLM",
        "llm.provider": "openai",
        "llm.model_name": "gpt-4o-mini",
        "llm.token_count.prompt": 512,
        "llm.token_count.completion": 128,
    },
    "whole numbers as doubles": {**GENAI, "gen_ai.usage.input_tokens": 512.0},
}


@pytest.mark.parametrize("dialect", SAME)
def test_every_generation_of_names_says_the_same(dialect):
    expected = Response(
        service="chatbot", model="gpt-4o-mini", provider="openai", latency_ms=800.0, input_tokens=512, output_tokens=128
    )
    assert only(SAME[dialect]) == expected


def test_the_event_is_named_by_its_span_and_happens_at_its_end():
    (event,) = events(request(span(GENAI), scope="opentelemetry.instrumentation.x").SerializeToString())
    assert isinstance(event, ResponseEvent)
    assert event.id == "000102030405060708090a0b0c0d0e0f0001020304050607"
    assert event.source == "chatbot/opentelemetry.instrumentation.x"
    assert event.time == "2025-11-09T10:15:30Z"


def test_what_the_gateway_stamps_names_arm_slice_version_and_group():
    stamped = {
        "llm.optimizer.arm": "cheap@v3",
        "llm.optimizer.slice": "trial",
        "llm.optimizer.version": 12,
        "llm.optimizer.session_group": 7,
        "llm.optimizer.tenant": "acme",
        "llm.optimizer.cost_usd": 0.25,
    }
    read = only({**GENAI, **stamped, "tenant_id": "someone else"})
    assert (read.arm, read.slice, read.version, read.session_group) == ("cheap@v3", "trial", 12, 7)
    assert (read.cost_usd, read.segment) == (0.25, SegmentParts(tenant="acme"))


@pytest.mark.parametrize(
    ("attributes", "resource", "service"),
    [
        ({}, {"service.name": "chatbot"}, "chatbot"),
        ({"llm.application_name": "support"}, {"service.name": "gateway"}, "support"),
        ({"llm.optimizer.service": "billing", "llm.application_name": "support"}, {"service.name": "gw"}, "billing"),
    ],
)
def test_the_more_specific_name_of_the_service_wins(attributes, resource, service):
    assert only({**GENAI, **attributes}, resource=resource).service == service


@pytest.mark.parametrize("name", ["session.id", "gen_ai.conversation.id", "session_id"])
def test_a_session_is_known_by_any_of_its_names(name):
    assert only({**GENAI, name: "s-1"}).session_id == "s-1"


def test_a_tenant_that_is_a_number_is_its_digits():
    assert only({**GENAI, "tenant_id": 42}).segment == SegmentParts(tenant="42")


def test_attributes_without_a_namespace_mean_nothing_here():
    assert only({**GENAI, "version": "1.2", "status": "active", "cost": "low", "latency": True}) == only(GENAI)


def test_without_a_model_asked_for_the_one_that_answered_counts():
    assert only({"gen_ai.operation.name": "chat", "gen_ai.response.model": "m-1"}).model == "m-1"


@pytest.mark.parametrize(
    ("attributes", "failed", "status"),
    [
        ({}, False, "ok"),
        ({}, True, "error"),
        ({"error.type": "timeout"}, False, "error"),
        ({"http.response.status_code": 503}, False, "error"),
        ({"http.response.status_code": 200}, True, "error"),
    ],
)
def test_a_span_failed_by_its_status_or_its_error_type(attributes, failed, status):
    assert only({**GENAI, **attributes}, failed=failed).status == status


def test_the_first_chunk_is_an_attribute_in_seconds_or_else_an_event():
    chunks = [
        Span.Event(name="llm.content.completion.chunk", time_unix_nano=END_NS - int(ms * 1e6)) for ms in (500, 400)
    ]
    assert only(GENAI, events=chunks).ttft_ms == 300.0
    assert only({**GENAI, "gen_ai.response.time_to_first_chunk": 0.25}, events=chunks).ttft_ms == 250.0


# ---- what is left out, and what is refused ----
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"http.request.method": "POST"},
        {**GENAI, "gen_ai.operation.name": "invoke_agent"},
        {**GENAI, "gen_ai.operation.name": "execute_tool"},
        {"openinference.span.kind": "CHAIN", "llm.model_name": "m"},
        {"llm.request_id": "r-1", "llm.target_model": "m"},
        {"gen_ai.operation.name": 7},
    ],
)
def test_a_span_that_is_no_answer_is_counted_and_left_out(attributes):
    message = request(span(attributes), span(GENAI))
    for value in (message.SerializeToString(), as_json(message)):
        many = decode(value, ())
        assert isinstance(many, Many)
        assert (len(many.events), many.ignored) == (1, 1)


@pytest.mark.parametrize(
    ("attributes", "more", "reason", "place"),
    [
        ({**GENAI, "gen_ai.usage.input_tokens": "many"}, {}, "bad_data", "gen_ai.usage.input_tokens"),
        ({**GENAI, "llm.optimizer.slice": "best"}, {}, "bad_data", "llm.optimizer.slice"),
        ({**GENAI, "gen_ai.usage.cost": float("nan")}, {}, "bad_data", "gen_ai.usage.cost"),
        ({"gen_ai.operation.name": "chat"}, {}, "bad_data", "model"),
        (GENAI, {"ms": -1}, "bad_data", "latency_ms"),
        (GENAI, {"end_time_unix_nano": 0}, "bad_time", "0 ns"),
        (GENAI, {"end_time_unix_nano": 2**64 - 1}, "bad_data", "latency_ms"),
        (GENAI, {"trace_id": b""}, "bad_attribute", "ids"),
        (GENAI, {"span_id": b"1234"}, "bad_attribute", "ids"),
    ],
)
def test_a_span_that_cannot_be_counted_is_refused_with_its_place(attributes, more, reason, place):
    rejected = refused(attributes, **more)
    assert rejected.reason == reason
    assert place in rejected.detail


def test_one_bad_span_costs_no_other():
    good, bad = events(request(span(GENAI), span(GENAI, trace_id=b"")).SerializeToString())
    assert isinstance(good, ResponseEvent)
    assert isinstance(bad, Rejected)


def test_metrics_on_the_topic_of_spans_count_nothing():
    metrics = ExportMetricsServiceRequest()
    metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="gen_ai.client.token.usage", unit="s")
    many = decode(metrics.SerializeToString(), ())
    assert isinstance(many, Rejected) or many == Many((), 1)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "empty_value"),
        (b"\xff" * 9, "not_otlp"),
        (b"not a request", "not_otlp"),
        (b"{}", "not_otlp"),
        (b'{"resourceSpans":{}}', "not_otlp"),
        (b'{"resourceSpans":[1]}', "not_otlp"),
        (b'{"resourceSpans":[{"resource":[]}]}', "not_otlp"),
        (b'{"resourceSpans"', "not_json"),
        (b'{"specversion":"1.0","id":"e-1"}', "not_otlp"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "too_deep"),
        (b"{" + b" " * MAX_BYTES, "too_large"),
    ],
)
def test_a_record_that_is_no_trace_request_is_refused_with_its_reason(value, reason):
    rejected = decode(value, ())
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason


def test_json_that_does_not_begin_with_a_brace_is_known_by_its_content_type():
    value = b"\n" + as_json(request(span(GENAI)))
    assert isinstance(decode(value, [("content-type", b"application/json")]), Many)


def test_a_tombstone_is_ignored():
    assert decode(None, ()) == Ignored("tombstone")


def test_spellings_that_disagree_are_counted_and_what_nobody_reads_is_not():
    said: list[str] = []
    make_decode_spans(said.append)(
        request(span({**GENAI, "llm.vendor": "azure", "x.y": 1}), span({**GENAI, "x.y": 1})).SerializeToString(), ()
    )
    assert said == ["alias_conflict"]


# ---- whatever comes ----
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))
NAMES = [
    "resourceSpans", "resource", "attributes", "key", "value", "stringValue", "intValue", "doubleValue", "arrayValue",
    "scopeSpans", "scope", "name", "spans", "traceId", "spanId", "startTimeUnixNano", "status", "code", "events",
]  # fmt: skip


def check(value: bytes) -> None:
    said: list[str] = []
    event = make_decode_spans(said.append)(value, ())
    assert "internal_error" not in said, event
    assert isinstance(event, Many | Rejected)
    for one in event.events if isinstance(event, Many) else (event,):
        assert isinstance(one, ResponseEvent) or (isinstance(one, Rejected) and one.reason in REASONS)
    assert make_decode_spans()(value, ()) == event


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_give_an_answer(value):
    check(value)


@QUICK
@given(st.sampled_from(sorted(FIXTURES)), st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=3)), min_size=1))
def test_a_damaged_request_gives_an_answer(name, damages):
    value = FIXTURES[name]
    for at, instead in damages:
        value = value[:at] + instead + value[at + 1 :]
    check(value)


@QUICK
@given(st.dictionaries(st.sampled_from(NAMES), trees), st.data())
def test_any_json_gives_an_answer(tree, data):
    check(json.dumps(tree).encode())
    body = msgspec.json.decode(as_json(request(span(GENAI))))
    holder: Any = body
    for name in ("resourceSpans", 0, "scopeSpans", 0, "spans", 0)[: data.draw(st.integers(0, 6))]:
        holder = holder[name]
    if isinstance(holder, dict):
        holder[data.draw(st.sampled_from(NAMES + sorted(holder)))] = data.draw(trees)
    check(json.dumps(body).encode())


@QUICK
@given(st.dictionaries(st.sampled_from([*GENAI, "llm.optimizer.version", "session.id", "tenant_id"]), scalars))
def test_both_encodings_of_any_attributes_give_the_same(attributes):
    def fits(value: Any) -> bool:
        if isinstance(value, float):
            return math.isfinite(value)  # JSON has no other
        return value is not None and (type(value) is not int or -(2**63) <= value < 2**63) and not _surrogate(value)

    message = request(span({**GENAI, **{k: v for k, v in attributes.items() if fits(v)}}))
    assert events(as_json(message)) == events(message.SerializeToString())


def _surrogate(value: Any) -> bool:
    return isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value)


# ---- through the fold ----
def test_a_request_sent_twice_is_counted_once_and_refused_spans_are_one_dead_letter():
    values: list[bytes | None] = [
        request(span(GENAI), span(GENAI, span_id=b"otherone"), span(GENAI, span_id=b""), span(GENAI, trace_id=b""))
        .SerializeToString()
    ] * 2  # fmt: skip
    fold = Fold(
        "otlp_spans-0", None, decode=decode, lateness_s=30, ahead_s=30, topology={"otlp_spans": 1},
        facts_partitions=1, partition_of=lambda _: 0,
    )  # fmt: skip
    fold.fold(Batch("otlp_spans-0", values, [0, 1], start=0, end=2, segments=[(2, 1 << 52)]))
    assert fold.counts == {"counted": 2, "duplicates": 2, "rejected": 4, "rejected_bad_attribute": 4}
    dead = [record for record in fold.cut().phases[0] if record.role == "dead_letters"]
    assert [record.value for record in dead] == values
    assert dict(dead[0].headers)["error"].startswith(b"2 events of the record; the first: not ids of a span")
