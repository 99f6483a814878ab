"""The usual event's own path gives what the fold gives for that event, whatever came before and however it is cut."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.codec import make_decode
from app.core.batch import Batch, Headers
from app.core.events import RESPONSE_COMPLETED, Event, Response, SegmentParts, rfc3339
from app.core.fold import Fold
from app.core.native import Buckets
from app.core.open_pane import Counted
from app.core.usual import KEY, adder, known_key, path

START_S = 1_767_225_600 + 5 * 60
OLD = "llm.response.completed"

spellings: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.sampled_from(
    [
        (RESPONSE_COMPLETED, {"input_tokens": 7, "output_tokens": 3, "cost_usd": 0.5, "status": "ok"}),
        (RESPONSE_COMPLETED, {"input_tokens": 7, "quality": 0.25, "status": "error"}),
        (RESPONSE_COMPLETED, {"arm": "b", "version": 2, "slice": "trial", "session_group": 3, "quality": 1.0}),
        (
            RESPONSE_COMPLETED,
            {"segment": {"tenant": "acme"}, "cached_tokens": 4, "ttft_ms": 9.5, "session_id": "s", "session_group": 1},
        ),
        (RESPONSE_COMPLETED, {"response_model": "x", "fingerprint": "f", "own_cost_usd": 0.1, "valid_json": False}),
        (
            RESPONSE_COMPLETED,
            {"max_tokens": 50, "retry_of": "r", "prompt_hash": "p", "slice": "shadow", "finish_reason": "length"},
        ),
        (OLD, {"tokens": {"input": 11, "output": 5}, "cost_usd": 0.25}),
        (OLD, {"tokens": {"input": 11, "output": 5}, "tenant": "acme", "quality": 0.5}),
        (OLD, {"tokens": {"input": 11, "output": 5}, "tenant": "acme", "region": "eu"}),
        (OLD, {"model_name": "n", "prompt_tokens": 6}),
        (RESPONSE_COMPLETED, {"latency_s": 2}),
        (RESPONSE_COMPLETED, {"input_tokens": -1}),
        ("io.llm-platform.request.received", {}),
    ]
)
times = st.one_of(
    st.integers(-90, 150).map(lambda s: rfc3339(START_S + s).replace("Z", ".250Z")),
    st.sampled_from(["2026-01-01T00:05:01+00:00", "2026-01-01T00:05:02.zzZ", "2026-01-01T00:05:03", "", "9"]),
)
records = st.one_of(
    st.tuples(spellings, times, st.integers(0, 30), st.sampled_from(["s", "t"]), st.sampled_from([0.0, 0.5, 812.4])),
    st.sampled_from([None, b"", b"no", b"{}"]),
)
Made = tuple[bytes | None, tuple[tuple[str, bytes], ...]]


def made(record: Any) -> Made:
    """A value with its headers: none, one that says what it is, or those of a binary event."""
    if record is None or isinstance(record, bytes):
        return record, ()
    (type_, more), time, number, service, latency = record
    data = {"service": service, "model": "m", "latency_ms": latency, **more}
    said = {"specversion": "1.0", "id": f"e{number}", "source": f"/{number % 2}", "type": type_, "time": time}
    if number % 11 == 3:
        text = {**said, "time": time or rfc3339(START_S)}
        return json.dumps(data).encode(), tuple((f"ce_{name}", value.encode()) for name, value in text.items())
    headers = (("content-type", b"application/cloudevents+json"),) if number % 5 == 0 else ()
    return json.dumps({**said, "data": data}).encode(), headers


def folded(stream: list[Made], cuts: list[int], *, usual: bool, early: int, sent: int) -> Any:
    """Everything an engine says of ``stream``, fetched in pieces that end at ``cuts``."""
    counts: Counter[str] = Counter()
    decode = make_decode(lambda what: counts.update([what]))

    def plain(value: bytes | None, headers: Any) -> Event:
        return decode(value, headers)

    fold = Fold(
        "t-0", None, decode=decode if usual else plain, lateness_s=20, ahead_s=20, topology={"t": 1},
        facts_partitions=2, partition_of=lambda service: len(service) % 2, early_cuts=early,
    )  # fmt: skip
    fold._sent = sent
    said: list[Any] = []
    headers: list[Headers]
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        values, headers = [value for value, _ in stream[start:end]], [some for _, some in stream[start:end]]
        segments = [(end, (START_S + 100) * 1000)]
        fold.fold(Batch("t-0", values, list(range(start, end)), start=start, end=end, segments=segments,
                        headers=headers if any(headers) else None))  # fmt: skip
        cut = fold.cut()
        fold.acked(cut)
        said += [cut, fold.watermark, fold.appended_s]
    return said, fold.counts, counts


@settings(max_examples=40, deadline=None)
@given(st.lists(records, max_size=60), st.data())
def test_what_is_counted_does_not_depend_on_the_way(drawn: list[Any], data: st.DataObject) -> None:
    stream = [made(record) for record in drawn]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=3)))
    early, sent = data.draw(st.sampled_from([0, 1, 2])), data.draw(st.integers(0, len(stream)))
    slow = folded(stream, cuts, usual=False, early=early, sent=sent)
    assert folded(stream, cuts, usual=True, early=early, sent=sent) == slow


def slow_ones(values: list[bytes | None]) -> tuple[list[int], dict[str, int]]:
    """Offsets of ``values`` that were not counted by the usual path, and the counts."""
    taken: list[int] = []
    fold = Fold(
        "t-0", None, decode=make_decode(), lateness_s=20, ahead_s=20, topology={"t": 1}, facts_partitions=1,
        partition_of=lambda _: 0,
    )  # fmt: skip
    known = fold._unusual

    def noted(batch: Batch, offset: int, event: Any, bound_s: int) -> None:
        taken.append(offset)
        known(batch, offset, event, bound_s)

    fold._unusual = noted  # type: ignore[method-assign]
    n = len(values)
    fold.fold(Batch("t-0", values, list(range(n)), start=0, end=n, segments=[(n, (START_S + 60) * 1000)]))
    return taken, fold.counts


def plain_log(n: int) -> list[bytes | None]:
    more = {"tokens": {"input": 1, "output": 1}}
    return [made(((OLD, more), rfc3339(START_S + i // 50), 11 * i, "s", 5.0))[0] for i in range(n)]


def test_nearly_every_event_of_a_plain_log_takes_it() -> None:
    taken, counts = slow_ones(plain_log(2000))
    assert counts == {"counted": 2000}
    assert len(taken) < 10


def test_repeats_take_it_and_what_cannot_be_read_does_not_end_it() -> None:
    values = plain_log(1000)
    values = [*values, b"{", *values[500:], *plain_log(1500)[1000:]]
    taken, counts = slow_ones(values)
    assert counts == {"counted": 1500, "duplicates": 500, "rejected": 1, "rejected_not_json": 1}
    assert len(taken) < 10


@pytest.mark.parametrize("fields", [("service", "model"), ("service", "model", "segment.tenant"), KEY])
def test_an_answer_that_says_more_than_a_key_is_not_remembered_by_it(fields: tuple[str, ...]) -> None:
    plain = Response(service="s", model="m", latency_ms=1.0)
    more = Response(service="s", model="m", latency_ms=1.0, segment=SegmentParts(region="eu"), version=3)
    assert known_key(plain, fields) is not None
    assert (known_key(more, fields) is not None) is (fields == KEY)


def test_a_path_made_for_every_field_adds_as_the_fold_adds() -> None:
    places = tuple((name, f"data.{name}") for name in Response.__struct_fields__)
    assert path(places, early=False)[1] == tuple(name for name in KEY if "." not in name)
    counted = Counted(Buckets(), compared=True)
    answer = Response(service="s", model="m", latency_ms=0.0, session_group=4, quality=0.5, cached_tokens=2)
    adder()(counted, answer)
    assert (counted.n, counted.cached, counted.cell().groups[4].scores, counted.unpriced_n) == (1, 2, 1, 1)
