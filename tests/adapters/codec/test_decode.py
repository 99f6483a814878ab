"""Every form of a CloudEvent on Kafka that is read, and how each is told from the others."""

import base64
import json

import pytest

from app.adapters.codec import make_decode
from app.core.commands import COMMAND
from app.core.events import RESPONSE_COMPLETED, ControlEvent, Ignored, Rejected, Response, ResponseEvent, SegmentParts
from app.core.outputs import FAILED, FINDING
from tests.adapters.codec.samples import MINIMAL, RESPONSE, TIME, envelope, headers, structured

EVENT = ResponseEvent(
    "e-1",
    "/orchestrator",
    RESPONSE_COMPLETED,
    Response(
        request_id="r-8c1f2a9e",
        service="chatbot",
        arm="cheap@v3",
        segment=SegmentParts(tenant="acme"),
        version=12,
        model="gpt-4o-mini",
        provider="openai",
        latency_ms=812.4,
        input_tokens=512,
        output_tokens=128,
        cost_usd=0.00123,
    ),
    TIME,
)
CLOUDEVENT = [("content-type", b"application/cloudevents+json")]
DATA = json.dumps(RESPONSE).encode()


def reason(event: object) -> str:
    assert isinstance(event, Rejected), event
    return event.reason


@pytest.mark.parametrize(
    "said",
    [
        [],
        CLOUDEVENT,
        [("content-type", b"application/cloudevents+json; charset=UTF-8")],
        [("Content-Type", b"application/json")],
        [("traceparent", b"00-1-2-01")],
        [("a", b""), ("b", b""), ("c", b""), ("d", b""), *CLOUDEVENT],
    ],
)
def test_a_structured_event_is_read_whatever_else_the_headers_carry(decode, counts, said):
    assert decode(structured(RESPONSE), said) == EVENT
    assert not counts


def test_the_result_is_exactly_a_response_event_because_the_fold_asks_for_the_type(decode):
    for value, said in ((structured(RESPONSE), []), (DATA, headers()), (structured({**RESPONSE, "x": 1}), [])):
        assert type(decode(value, said)) is ResponseEvent


def test_a_binary_event_has_its_attributes_in_the_headers(decode, counts):
    assert decode(DATA, headers()) == EVENT
    assert not counts


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "text/json", "application/problem+json; charset=utf-8"]
)
def test_binary_data_is_json_unless_the_content_type_says_otherwise(decode, content_type):
    assert decode(DATA, headers(content_type=content_type)) == EVENT


def test_hyphen_headers_with_the_envelope_in_the_value_are_read_and_counted(decode, counts):
    assert decode(structured(RESPONSE), headers("ce-")) == EVENT
    assert counts == {"compat": 1}


def test_hyphen_headers_with_the_data_as_value_are_read_and_counted(decode, counts):
    assert decode(DATA, headers("ce-")) == EVENT
    assert counts == {"compat": 1}


def test_proper_headers_with_the_envelope_in_the_value_are_read_and_counted(decode, counts):
    assert decode(structured(RESPONSE), headers()) == EVENT
    assert counts == {"compat": 1}


def test_the_envelope_in_the_value_wins_over_the_headers(decode):
    event = decode(structured(RESPONSE, id="from-the-value"), headers("ce-", id="from-the-headers"))
    assert event.id == "from-the-value"


def test_a_label_called_specversion_makes_no_envelope(decode, counts):
    data = json.dumps({**RESPONSE, "labels": {"specversion": "1.0"}}).encode()
    assert decode(data, headers()).data.labels == {"specversion": "1.0"}
    assert not counts


def test_the_short_type_is_the_same_event(decode):
    assert decode(structured(RESPONSE, "llm.response.completed"), ()) == EVENT


def test_base64_data_is_data(decode):
    event = envelope(None)
    event["data_base64"] = base64.b64encode(DATA).decode()
    assert decode(json.dumps(event).encode(), ()) == EVENT


def test_null_counts_as_absent(decode):
    nulls = {"time": None, "datacontenttype": None, "traceparent": None}
    value = json.dumps({**envelope({**RESPONSE, "arm": None, "slice": None, "ttft_ms": None}), **nulls}).encode()
    event = decode(value, ())
    assert (event.time, event.data.arm, event.data.slice) == ("", None, "main")


def test_an_event_without_a_time_is_fine(decode):
    assert decode(structured(MINIMAL, time=None), ()).time == ""


def test_extension_attributes_are_allowed(decode, counts):
    assert decode(structured(RESPONSE, subject="r", partitionkey="k", dataschema="http://x", custom=1), ()) == EVENT
    assert not counts


def test_members_may_come_in_any_order(decode, counts):
    event = envelope(RESPONSE)
    value = json.dumps({name: event[name] for name in reversed(event)}).encode()
    assert decode(value, ()) == EVENT


def test_unknown_fields_are_dropped_and_counted(decode, counts):
    assert decode(structured({**RESPONSE, "temperature": 0.7, "deep": {"x": [1]}}), ()) == EVENT
    assert counts == {"unknown_fields": 1}


def test_a_tombstone_is_ignored(decode):
    assert decode(None, ()) == Ignored("tombstone")
    assert decode(None, headers()) == Ignored("tombstone")


def test_an_unknown_type_is_ignored_by_name(decode):
    assert decode(structured({"request_id": "r"}, "io.llm-platform.request.received"), ()) == Ignored(
        "io.llm-platform.request.received"
    )


@pytest.mark.parametrize("type_", [FAILED, COMMAND])
def test_the_optimizers_own_events_are_ignored_and_those_of_others_are_not(decode, type_):
    data = {"decision_id": "d", "service": "chatbot", "version": 1, "gateway": "g"}
    data = {"service": "chatbot", "command": "pause"} if type_ == COMMAND else data
    assert decode(structured(data, type_, source="/llm-optimizer/optimize"), ()) == Ignored(type_)
    assert type(decode(structured(data, type_, source="/llm-optimizer/actuate"), ())) is ControlEvent


def test_the_optimizers_own_findings_come_back_to_the_rules(decode):
    data = {"service": "chatbot", "severity": "critical", "status": "open"}
    for source in ("/llm-optimizer/optimize", "/llm-optimizer/actuate", "/elsewhere"):
        event = decode(structured(data, FINDING, source=source), ())
        assert (type(event), event.type, event.service) == (ControlEvent, FINDING, "chatbot")


@pytest.mark.parametrize("version", ["0.3", "1.0.2", "2.0", ""])
def test_another_specversion_is_rejected(decode, version):
    assert reason(decode(structured(RESPONSE, specversion=version), ())) == "unsupported_specversion"


def test_a_missing_specversion_is_rejected_even_where_everything_else_is_canonical(decode):
    assert reason(decode(structured(RESPONSE, specversion=None), ())) == "not_a_cloudevent"
    assert reason(decode(DATA, headers(specversion=""))) == "unsupported_specversion"


@pytest.mark.parametrize("name", ["id", "source", "type"])
def test_a_required_attribute_is_required_in_both_modes(decode, name):
    assert decode(structured(RESPONSE, **{name: None} if name != "type" else {"type_": None}), ()) == Rejected(
        "missing_attribute", f"`{name}` is required"
    )
    assert decode(DATA, headers(**{name: ""})) == Rejected("missing_attribute", f"`{name}` is required")


@pytest.mark.parametrize(
    "time", ["yesterday", "2025-11-09", "2025-11-09T10:15:30", "2025-13-09T10:15:30Z", "1969-12-31T23:59:59Z"]
)
def test_a_time_that_is_not_rfc_3339_is_rejected_on_the_slow_way(decode, time):
    assert reason(decode(DATA, headers(time=time))) == "bad_time"
    assert reason(decode(structured({**RESPONSE, "x": 1}, time=time), ())) == "bad_time"


@pytest.mark.parametrize(
    ("content_type", "why"),
    [
        ("application/avro", "bad_avro"),
        ("avro/binary", "bad_avro"),
        ("application/vnd.acme+avro", "bad_avro"),
        ("application/xml", "unsupported_content_type"),
        ("application/json; charset=latin-1", "unsupported_content_type"),
        ("application/cloudevents-batch+json", "unsupported_content_type"),
        ("application/cloudevents+avro", "unsupported_content_type"),
    ],
)
def test_other_content_types_say_what_to_send_instead(decode, content_type, why):
    assert reason(decode(DATA, headers(content_type=content_type))) == why


def test_data_of_another_type_inside_a_structured_event_is_rejected(decode):
    assert reason(decode(structured("<x/>", datacontenttype="application/xml"), ())) == "unsupported_content_type"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"latency_ms": "812"}, "`$.data.latency_ms`"),
        ({"latency_ms": -1}, "`$.data.latency_ms`"),
        ({"latency_ms": None}, "`latency_ms` - at `$.data`"),
        ({"input_tokens": 1.5}, "`$.data.input_tokens`"),
        ({"segment": {"tenant": 5}}, "`$.data.segment.tenant`"),
        ({"segment": "acme"}, "`$.data.segment`"),
        ({"labels": {str(n): "x" for n in range(9)}}, "`$.data.labels`"),
        ({"input_tokens": None, "gen_ai": {"usage": {"input_tokens": "9"}}}, "`$.data.gen_ai.usage.input_tokens`"),
        ({"status": "maybe"}, "`$.data.status`"),
        ({"quality": 1.01}, "`$.data.quality`"),
    ],
)
def test_bad_data_names_the_place_as_the_producer_wrote_it(decode, change, place):
    event = decode(structured({**RESPONSE, **change}), ())
    assert reason(event) == "bad_data"
    assert place in event.detail


def test_a_defect_of_the_codec_costs_one_record_and_is_counted(counts, monkeypatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("app.adapters.codec.response.response_event", broken)
    decode = make_decode(lambda what: counts.update([what]))
    assert decode(DATA, headers()) == Rejected("internal_error", "ZeroDivisionError: a defect")
    assert counts == {"internal_error": 1}
