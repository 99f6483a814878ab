"""What the client calls a good event the optimizer's codec reads, and what it refuses the codec would have refused."""

from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given
from llm_optimizer_client.events import InvalidEventError, feedback_record, response_record
from llm_optimizer_client.receipts import Receipt, with_receipt

from app.adapters.codec import make_decode
from app.core.events import FeedbackEvent, Rejected, Response, ResponseEvent, is_name

decode = make_decode()
RECEIPT = Receipt("chat", "small", "acme", "sum", "eu", "trial", 4, 17)
ID = with_receipt("u1", RECEIPT)

ODD: Any = st.sampled_from(
    [None, "", "x", "x" * 201, " x", "*", "a\nb", 0, 1, -1, 0.5, 2**54, 10**10, float("nan"), float("inf"), True, [], {},
     {"tenant": "t"}, {"tenant": 3}, {"other": "t"}, {"k": "v"}, {str(n): "v" for n in range(9)}, "ok", "error", "main", "up"]
)  # fmt: skip
FIELDS = [name for name in Response.__struct_fields__ if name not in {"service", "model", "latency_ms"}]


def read(record):
    return decode(record.value, (("content-type", b"application/cloudevents+json"),))


def test_a_full_event_arrives_as_it_was_told():
    fields: Any = {
        "request_id": "r1", "arm": "small", "served_arm": "big", "segment": {"tenant": "acme"}, "slice": "trial",
        "version": 3, "session_id": "s", "session_group": 5, "provider": "openai", "ttft_ms": 12.5, "input_tokens": 10,
        "output_tokens": 3, "cached_tokens": 2, "cost_usd": 0.25, "status": "error", "error_type": "APITimeoutError",
        "finish_reason": "length", "response_model": "m-1", "fingerprint": "fp", "max_tokens": 100, "valid_json": True,
        "retry_of": "r0", "prompt_hash": "h", "quality": 0.5, "own_cost_usd": 0.1, "labels": {"a": "b"},
    }  # fmt: skip
    assert set(fields) == set(FIELDS)
    record = response_record("/s", "chat", "m", 3.5, {**fields, "event_id": "e1", "event_time": 1_700_000_000.25})
    event = read(record)
    assert isinstance(event, ResponseEvent)
    assert (event.id, event.source, event.time) == ("e1", "/s", "2023-11-14T22:13:20.250Z")
    assert event.data == msgspec.convert({"service": "chat", "model": "m", "latency_ms": 3.5, **fields}, Response)
    assert (record.kind, record.key) == ("response", b"r1")


def test_the_receipt_says_what_is_not_said():
    event = read(response_record("/s", "chat", "m", 1, {"request_id": ID}))
    assert isinstance(event, ResponseEvent)
    data = event.data
    assert (data.arm, data.slice, data.version, data.session_group) == ("small", "trial", 4, 17)
    assert data.segment is not None
    assert (data.segment.tenant, data.segment.task_type, data.segment.region) == ("acme", "sum", "eu")
    assert (data.request_id, data.arm) == (ID, "small")


def test_what_is_said_wins_over_the_receipt():
    event = read(response_record("/s", "chat", "m", 1, {"request_id": ID, "version": 9}))
    assert isinstance(event, ResponseEvent)
    assert event.data.version == 9


def test_an_id_too_long_for_an_event_goes_without_its_receipt_and_scores_still_find_it():
    long = with_receipt("u2", RECEIPT._replace(service="s" * 200, arm="a" * 200))
    event = read(response_record("/s", "s" * 200, "m", 1, {"request_id": long, "retry_of": long}))
    assert isinstance(event, ResponseEvent)
    assert (event.data.request_id, event.data.retry_of, event.data.arm) == ("u2", "u2", "a" * 200)
    score = read(feedback_record("/s", long, {"quality": 1.0}))
    assert isinstance(score, FeedbackEvent)
    assert score.data.receipt is not None
    assert score.data.receipt.arm == "a" * 200


def test_without_an_id_the_request_gets_one_of_its_own():
    one, two = (read(response_record("/s", "chat", "m", 1, {})) for _ in range(2))
    assert isinstance(one, ResponseEvent)
    assert isinstance(two, ResponseEvent)
    assert one.id == one.data.request_id != two.id


def strictly(fields: Any) -> Response | None:
    """As the optimizer's own types have it, without the codec's patience for other spellings."""
    body = {"service": "chat", "model": "m", "latency_ms": 1.0, **fields}
    try:
        data = msgspec.convert({name: value for name, value in body.items() if value is not None}, Response)
    except msgspec.ValidationError:
        return None
    return data if all(name is None or is_name(name) for name in (data.arm, data.served_arm)) else None


@given(st.sampled_from(FIELDS), ODD)
def test_a_field_is_refused_here_exactly_when_the_optimizers_types_refuse_it(name, value):
    expected = strictly({"request_id": "r", name: value})
    try:
        record = response_record("/s", "chat", "m", 1.0, {"request_id": "r", name: value})
    except InvalidEventError as error:
        assert str(error).startswith(name)
        assert expected is None
    else:
        event = read(record)
        assert isinstance(event, ResponseEvent)
        if name != "request_id":
            assert event.data == expected


@pytest.mark.parametrize(
    ("fields", "quality"),
    [
        ({"quality": 0.25}, 0.25),
        ({"scores": {"a": 1.0, "b": 0.0}}, 0.5),
        ({"rating": 5}, 1.0),
        ({"thumbs": "down"}, 0.0),
        ({"task_completed": True}, 1.0),
        ({"edited": True}, 0.5),
        ({"retried": True}, 0.0),
    ],
)
def test_every_way_to_score_arrives(fields, quality):
    event = read(feedback_record("/s", ID, {**fields, "source": "user", "score_probability": 0.5}))
    assert isinstance(event, FeedbackEvent)
    assert (event.data.quality, event.data.source, event.data.score_probability) == (quality, "user", 0.5)
    assert event.data.receipt is not None
    assert event.data.receipt.arm == "small"


@pytest.mark.parametrize(
    ("request_id", "fields", "why"),
    [
        (ID, {}, "give one of"),
        (ID, {"thumbs": "sideways"}, "thumbs: one of down, up"),
        (ID, {"rating": 0}, "rating"),
        (ID, {"scores": {}}, "scores"),
        (ID, {"score_probability": 0.0, "quality": 1}, "score_probability"),
        (ID, {"qualty": 1}, "qualty: no such field"),
        ("no-receipt", {"quality": 1}, "carries a receipt, or a service"),
        ("", {"quality": 1}, "carries a receipt, or a service"),
        (ID, {"quality": 1, "event_id": ""}, ""),
        (ID, {"quality": 1, "event_id": 7}, "event_id"),
        (ID, {"quality": 1, "event_time": "now"}, "event_time"),
        (ID, {"quality": 1, "event_time": float("nan")}, "event_time"),
    ],
)
def test_bad_feedback_names_the_field(request_id, fields, why):
    if not why:
        assert isinstance(read(feedback_record("/s", request_id, fields)), FeedbackEvent)
        return
    with pytest.raises(InvalidEventError, match=why):
        feedback_record("/s", request_id, fields)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_refused_or_read_back(service, label):
    try:
        record = response_record("/s", service, "m", 1, {"labels": {"l": label}})
    except InvalidEventError:
        return
    event = read(record)
    assert not isinstance(event, Rejected), event
    assert isinstance(event, ResponseEvent)
    assert (event.data.service, event.data.labels) == (service, {"l": label})


@pytest.mark.parametrize("at", [0, 1.5, 951_782_400, 253_402_300_799.999])
def test_any_time_is_read_to_the_second(at):
    from app.core.events import epoch_s

    event = read(response_record("/s", "chat", "m", 1, {"event_time": at}))
    assert isinstance(event, ResponseEvent)
    assert epoch_s(event.time) == int(at)
