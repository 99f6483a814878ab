"""What is written is what the Kafka binding asks for, byte for byte, and reads back."""

import pytest
from inline_snapshot import snapshot

from app.adapters.codec import Message, encode_event, encode_output, encode_response
from app.core.commands import COMMAND
from app.core.events import RESPONSE_COMPLETED, ControlEvent, Ignored, Rejected, Response, ResponseEvent, SegmentParts
from app.core.outputs import DECIDED, SPLIT, Output
from app.core.ports import DeadLetter, Record
from tests.adapters.codec.samples import TIME, structured

DECISION = Output("optimizations", DECIDED, "d-1", "größe", 1_762_683_330, b'{"decision_id":"d-1"}')


def test_an_output_is_a_binary_event_keyed_by_its_service():
    assert encode_output(DECISION) == snapshot(
        Record(
            role="optimizations",
            key=b"gr\xc3\xb6\xc3\x9fe",
            value=b'{"decision_id":"d-1"}',
            partition=None,
            headers=(
                ("ce_specversion", b"1.0"),
                ("ce_type", b"io.llm-platform.optimization.decided"),
                ("ce_source", b"/llm-optimizer/optimize"),
                ("ce_id", b"d-1"),
                ("ce_time", b"2025-11-09T10:15:30Z"),
                ("ce_subject", b"gr\xc3\xb6\xc3\x9fe"),
                ("content-type", b"application/json"),
            ),
        )
    )


def test_a_split_is_the_value_itself():
    record = encode_output(Output("splits", SPLIT, "s-1", "chatbot", 0, b'{"version":1}'))
    assert (record.role, record.key, record.value, record.partition) == ("splits", b"chatbot", b'{"version":1}', None)


def test_what_the_optimizer_writes_it_ignores_when_it_reads_the_topic(decode):
    record = encode_output(DECISION)
    assert decode(record.value, record.headers) == Ignored(DECIDED)


def test_an_event_of_another_source_reads_back(decode):
    data = b'{"service":"chatbot","command":"pause"}'
    message = encode_event(COMMAND, "/llm-optimizer/cli", "c-1", "chatbot", data, TIME)
    assert message.key == b"chatbot"
    assert decode(message.value, message.headers) == ControlEvent(
        "c-1", "/llm-optimizer/cli", COMMAND, "chatbot", data, TIME
    )


def test_an_event_without_a_time_carries_no_time_header():
    headers = dict(encode_event(COMMAND, "/llm-optimizer/cli", "c-1", "*", b"{}").headers)
    assert "ce_time" not in headers


def test_a_response_is_a_structured_event_without_what_is_default():
    message = encode_response(Response(service="chatbot", model="m", latency_ms=12.5), "e-1", "/sim", TIME)
    assert message == snapshot(
        Message(
            key=b"e-1",
            value=b'{"specversion":"1.0","id":"e-1","source":"/sim","type":"io.llm-platform.response.completed","data":{"service":"chatbot","model":"m","latency_ms":12.5},"time":"2025-11-09T10:15:30.123Z"}',
            headers=(("content-type", b"application/cloudevents+json"),),
        )
    )


@pytest.mark.parametrize(
    "response",
    [
        Response(service="chatbot", model="m", latency_ms=12.5),
        Response(
            service="chatbot", model="m", latency_ms=1e9, request_id="r.x", arm="a", served_arm="b",
            segment=SegmentParts("t", "k", "r"), slice="shadow", version=2**53, session_id="s", session_group=63,
            provider="p", ttft_ms=0.0, input_tokens=1, output_tokens=2, cached_tokens=3, cost_usd=0.0, status="error",
            error_type="e", finish_reason="f", response_model="g", fingerprint="h", max_tokens=0, valid_json=False,
            retry_of="i", prompt_hash="j", quality=0.0, own_cost_usd=0.5, labels={"größe": "L"},
        ),
    ],
)  # fmt: skip
def test_a_response_reads_back_equal_in_one_step(decode, counts, response):
    message = encode_response(response, "e-1", "/sim", TIME)
    assert message.key == (response.request_id or "e-1").encode()
    assert decode(message.value, message.headers) == ResponseEvent("e-1", "/sim", RESPONSE_COMPLETED, response, TIME)
    assert not counts


def test_a_rejected_record_is_dead_lettered_untouched_with_reason_and_origin(decode):
    value, headers = structured({"service": "chatbot"}), (("x", b"\xff"),)
    rejected = decode(value, headers)
    assert isinstance(rejected, Rejected)
    record = DeadLetter(
        source="llm.responses-3", offset=42, key=b"k\x00", value=value, headers=headers, rejected=rejected
    ).record()
    assert record == Record(
        "dead_letters",
        b"k\x00",
        value,
        headers=(
            ("x", b"\xff"),
            ("error", b"Object missing required field `model` - at `$.data`"),
            ("reason", b"bad_data"),
            ("source_topic", b"llm.responses"),
            ("source_partition", b"3"),
            ("source_offset", b"42"),
        ),
    )
