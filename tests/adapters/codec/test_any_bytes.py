"""Whatever comes, ``decode`` answers with a value, and what that is depends on the record alone."""

import contextlib
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.adapters.codec import make_decode
from app.adapters.codec.reasons import DETAIL_LIMIT, REASONS
from app.core.events import (
    FEEDBACK_RECORDED,
    RESPONSE_COMPLETED,
    ControlEvent,
    FeedbackEvent,
    Ignored,
    Rejected,
    Response,
    ResponseEvent,
    epoch_s,
)
from tests.adapters.codec.samples import RESPONSE, envelope, headers

pytestmark = pytest.mark.simulation

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
names = st.sampled_from(
    [
        *Response.__struct_fields__, "tokens", "tokens.input", "gen_ai", "gen_ai.system", "attributes", "error", "cost",
        "latency", "latency_s", "receipt", "scores", "rating", "thumbs", "affected_services", "command", "args", "service.name",
    ]
)  # fmt: skip
types = st.sampled_from(
    [
        RESPONSE_COMPLETED, FEEDBACK_RECORDED, "io.llm-platform.optimizer.command", "io.llm-platform.sentinel.alert",
        "io.llm-platform.optimization.rollout-failed", "x",
    ]
)  # fmt: skip
header_names = st.sampled_from(
    ["ce_id", "ce_type", "ce_source", "ce_specversion", "ce_time", "ce-id", "ce-type", "content-type", "x"]
)
any_headers = st.lists(st.tuples(header_names | st.text(max_size=8), st.binary(max_size=12) | st.none()), max_size=8)


def answer(value: bytes | None, said: Any) -> Any:
    counts: Counter[str] = Counter()
    event = make_decode(lambda what: counts.update([what]))(value, said)
    assert type(event) in {ResponseEvent, FeedbackEvent, ControlEvent, Rejected, Ignored}
    assert not counts["internal_error"], event
    if type(event) is Rejected:
        assert event.reason in REASONS
        assert 0 < len(event.detail) <= DETAIL_LIMIT
    return event


@QUICK
@given(st.binary(max_size=200) | st.none(), any_headers)
@example(b'"\xff"', [])
@example(b'{"id":"\xed\xa0\x80"}', [("ce_id", b"\xff")])
def test_arbitrary_bytes_with_arbitrary_headers_never_raise(value, said):
    answer(value, said)


@QUICK
@given(trees, any_headers)
def test_arbitrary_json_never_raises(tree, said):
    answer(json.dumps(tree).encode(), said)


@QUICK
@given(types, st.dictionaries(names | st.text(max_size=8), trees, max_size=6), st.booleans())
def test_an_envelope_around_arbitrary_data_never_raises(type_, data, in_headers):
    if in_headers:
        answer(json.dumps(data).encode(), headers(type=type_))
    else:
        answer(json.dumps(envelope(data, type_)).encode(), [])


@QUICK
@given(st.data())
def test_a_valid_event_with_some_bytes_changed_never_raises(data):
    value = bytearray(json.dumps(envelope(RESPONSE)).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(value) - 1))
        value[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    answer(bytes(value), [])


@QUICK
@given(st.dictionaries(names, scalars, max_size=4))
def test_a_valid_response_with_some_fields_replaced_reads_the_same_in_one_step_and_in_many(changes):
    """The one-step path may only be faster: an unknown field sends the same event through the alias table."""
    data = {**RESPONSE, **changes}
    one_step = answer(json.dumps(envelope(data)).encode(), [])
    many_steps = answer(json.dumps(envelope({**data, "unknown_field": 1})).encode(), [])
    in_headers = answer(json.dumps(data).encode(), headers())
    if type(one_step) is ResponseEvent:
        assert one_step == many_steps == in_headers
    else:
        assert type(many_steps) is type(in_headers) is type(one_step)


@pytest.mark.parametrize("bracket", [b'{"a":', b"["])
@pytest.mark.parametrize("depth", [33, 500, 100_000])
def test_nesting_is_bounded_by_the_codec_and_not_by_the_stack_of_the_caller(decode, bracket, depth):
    closing = b"1}" if bracket == b'{"a":' else b"]"
    deep = bracket * depth + closing[:1].replace(b"]", b"") + closing[-1:] * depth
    value = json.dumps(envelope({**RESPONSE, "x": "DEEP"})).encode().replace(b'"DEEP"', deep)
    assert decode(value, ()).reason == "too_deep"


def test_nesting_within_the_bound_is_read(decode):
    deep = b"[" * 30 + b"]" * 30
    value = json.dumps(envelope({**RESPONSE, "x": "DEEP"})).encode().replace(b'"DEEP"', deep)
    assert type(decode(value, ())) is ResponseEvent


def test_a_value_beyond_the_bound_is_rejected_unread(decode):
    assert decode(b"[" * (1 << 20) + b"[", ()).reason == "too_large"


@QUICK
@given(st.text(alphabet="0123456789-:.TZtz+ W²", max_size=30) | st.datetimes().map(lambda d: d.isoformat() + "Z"))
@example("2025-11-09T10:15:30xZ")
@example("2025-11-09T10:15:30.²Z")
def test_a_time_reads_the_same_whether_or_not_its_second_was_read_before(time):
    def read() -> int | None:
        try:
            return epoch_s(time)
        except ValueError:
            return None

    first = read()
    with contextlib.suppress(ValueError):
        epoch_s(time[:19] + "Z")
    assert read() == first
