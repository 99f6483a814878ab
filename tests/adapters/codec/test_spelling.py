"""A spelling that was seen once is read in one step, and never means anything else than the alias table says."""

import json
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.codec import make_decode
from app.adapters.codec.spelling import MAX_SPELLINGS, spelling_of
from app.core.events import RESPONSE_COMPLETED, Event, Rejected, Response, ResponseEvent, SegmentParts
from tests.adapters.codec.samples import MINIMAL, structured

NESTED = {**MINIMAL, "tokens": {"input": 512, "output": 128}}
FLAT = {"service_id": "chatbot", "model_name": "gpt-4o-mini", "duration_ms": 812.4, "prompt_tokens": 512}
DOTTED = {**MINIMAL, "gen_ai.usage.input_tokens": 512, "attributes": {"gen_ai": {"usage": {"output_tokens": 128}}}}
PARTS = {**MINIMAL, "tenant": "acme", "region": "eu"}
SPELLINGS = [
    NESTED,
    FLAT,
    DOTTED,
    PARTS,
    {**MINIMAL, "segment": {"tenant": "acme"}, "region": "eu", "cost": {"total": 0.5}},
]


def answer(event: Event) -> ResponseEvent:
    assert isinstance(event, ResponseEvent), event
    return event


def said(event):
    assert isinstance(event, ResponseEvent), event
    data = {name: getattr(event.data, name) for name in Response.__struct_fields__}
    return event.id, event.source, event.type, event.time, data


@pytest.mark.parametrize("data", SPELLINGS)
def test_a_spelling_can_be_learned_and_gives_what_the_table_gives(data):
    read = spelling_of(structured(data), lambda _: None)

    assert read is not None
    assert said(read.read(structured(data))) == said(make_decode()(structured(data), ()))


@given(
    st.lists(
        st.sampled_from([*SPELLINGS, MINIMAL, {**NESTED, "seats": 4}, {**NESTED, "status": "failed"}]), max_size=12
    )
)
def test_what_an_event_gives_does_not_depend_on_what_came_before(stream):
    decode = make_decode()

    for data in stream:
        assert said(decode(structured(data), ())) == said(make_decode()(structured(data), ()))


@pytest.mark.parametrize(
    "other",
    [
        {**NESTED, "tokens": {"input": -1, "output": 2}},
        {**NESTED, "tokens": {"input": "12", "output": 2}},
        {**NESTED, "service": ""},
        {name: value for name, value in NESTED.items() if name != "model"},
    ],
)
def test_what_is_out_of_bounds_is_refused_for_the_same_reason(other):
    decode = make_decode()
    decode(structured(NESTED), ())

    refused = decode(structured(other), ())

    assert isinstance(refused, Rejected)
    assert refused == make_decode()(structured(other), ())


def test_a_name_beside_the_spelling_is_not_overlooked():
    decode = make_decode()
    decode(structured(NESTED), ())

    more = answer(decode(structured({**NESTED, "own_cost_usd": 0.25, "usage": {"cached": 1}}), ()))
    part = answer(decode(structured({**MINIMAL, "tokens": {"input": 5}}), ()))
    twice = answer(decode(structured({**NESTED, "input_tokens": 7}), ()))

    assert more.data.own_cost_usd == 0.25
    assert (part.data.input_tokens, part.data.output_tokens) == (5, 0)
    assert twice.data.input_tokens == 7


@pytest.mark.parametrize(
    "data",
    [
        {**MINIMAL, "latency_s": 2},
        {**MINIMAL, "seats": 4},
        {**MINIMAL, "cost_usd": None},
        {**MINIMAL, "error": {"type": "timeout"}},
        {**MINIMAL, "prompt_tokens": 5, "usage": {"input_tokens": 5}},
    ],
)
def test_what_needs_more_than_other_names_is_not_learned(data):
    assert spelling_of(structured(data), lambda _: None) is None


def test_an_alias_is_counted_for_every_event():
    counts: Counter[str] = Counter()
    decode = make_decode(lambda what: counts.update([what]))

    for _ in range(5):
        decode(structured(NESTED), ())

    assert counts == {"aliased": 5}


def test_the_older_name_of_the_type_is_read_in_one_step_too():
    decode = make_decode()
    for _ in range(2):
        assert answer(decode(structured(MINIMAL, "llm.response.completed"), ())).type == RESPONSE_COMPLETED


def test_an_event_of_another_type_in_a_known_spelling_is_no_answer():
    decode = make_decode()
    decode(structured(NESTED), ())

    assert not isinstance(decode(structured(NESTED, "io.llm-platform.request.received"), ()), ResponseEvent)
    assert isinstance(decode(json.dumps({"specversion": "0.3", "type": RESPONSE_COMPLETED}).encode(), ()), Rejected)


def test_only_so_many_spellings_are_remembered_and_the_others_are_still_read():
    names = [{**MINIMAL, "attributes": {f"gen_ai.{kind}": value}} for kind, value in (("system", "openai"),)]
    names += [{**FLAT, **dict.fromkeys(more, "x")} for more in (["request_id"], ["provider"], ["fingerprint"])]
    names += [{**NESTED, **dict.fromkeys(more, "x")} for more in (["request.id"], ["provider.name"], ["model.id"])]
    decode = make_decode()

    for _ in range(3):
        for data in [*SPELLINGS, *names]:
            assert said(decode(structured(data), ())) == said(make_decode()(structured(data), ()))
    assert len(SPELLINGS) + len(names) > MAX_SPELLINGS


def test_parts_of_a_segment_outside_it_make_the_segment():
    decode = make_decode()
    decode(structured(PARTS), ())

    event = answer(decode(structured({**PARTS, "tenant": "other"}), ()))

    assert event.data.segment == SegmentParts(tenant="other", region="eu")
    assert hash(event.data.segment) == hash(msgspec.convert({"tenant": "other", "region": "eu"}, SegmentParts))
