"""The types and the loop in C give what Python gives; what they are not sure of they leave alone."""

import hashlib
import json
import math
import random
import struct
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.adapters.codec import make_decode
from app.core import native
from app.core.batch import Batch
from app.core.events import RESPONSE_COMPLETED, Event, SegmentParts, rfc3339
from app.core.fold import Fold
from app.core.native import plain

START_S = 1_767_225_600 + 5 * 60
needs_c = pytest.mark.skipif(not native.compiled, reason="nothing was compiled: see deploy/native.py")
KINDS = [pytest.param(native, id="C", marks=needs_c), pytest.param(plain, id="Python")]


# ---- the same tests for both ----
@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_a_set_of_hashes(kind: Any) -> None:
    ids, mirror, draw = kind.Ids(), set(), random.Random(1)
    for number in [0, -1, 1, 2**63 - 1, -(2**63), *(draw.getrandbits(63) for _ in range(5_000))]:
        assert (number in ids) == (number in mirror)
        ids.add(number)
        ids.add(number)
        mirror.add(number)
        assert number in ids
    assert len(ids) == len(mirror)


@pytest.mark.parametrize("kind", KINDS)
def test_buckets_count_from_nothing_and_list_in_order(kind: Any) -> None:
    buckets = kind.Buckets()
    for bucket in (5, -340, 5, 1_047, 40, -3, 5):
        buckets[bucket] += 1
    assert buckets[5] == 3
    assert buckets[77] == 0
    assert [(b, n) for b, n in buckets.counts().items() if n] == [(-340, 1), (-3, 1), (5, 3), (40, 1), (1_047, 1)]


@needs_c
def test_a_bucket_beyond_all_bounds_is_refused_instead_of_taking_the_memory() -> None:
    with pytest.raises(ValueError, match="no such bucket"):
        native.Buckets()[2**40] += 1


@pytest.mark.parametrize("kind", KINDS)
def test_sums_begin_at_nothing_and_take_any_number(kind: Any) -> None:
    sums = kind.Sums(kind.Buckets(), True)
    assert sums.compared is True
    assert sums.changed is False
    assert (sums.n, sums.input_sq, sums.latency, sums.response_model, sums.fingerprint) == (0, 0.0, 0.0, "", "")
    sums.input += 10**9
    sums.input_sq += 10**18
    sums.changed = True
    assert (sums.input, sums.input_sq, sums.changed) == (10**9, 1e18, True)


@pytest.mark.parametrize("kind", KINDS)
def test_session_groups_are_summed_apart_and_listed_in_order(kind: Any) -> None:
    sums = kind.Sums(kind.Buckets(), True)
    for number in (63, 0, 7, 63, *range(20, 50)):
        sums.add_grouped(number, 0.5, "ok" if number else "error", 0.25, 0.75 if number == 63 else None, (1, 2, 3))
    sums.score_grouped(9, 1.0)
    found = dict(sums.group_sums())
    assert list(found) == [0, 7, 9, *range(20, 50), 63]
    assert found[63] == (2, 0, 1.0, 0.5, 2, 1.5, 2, 4, 6)
    assert found[0] == (1, 1, 0.5, 0.25, 0, 0.0, 1, 2, 3)
    assert found[9] == (0, 0, 0.0, 0.0, 1, 1.0, 0, 0, 0)
    for number in (-1, 64):
        with pytest.raises(ValueError, match="no such session group"):
            sums.score_grouped(number, 1.0)


def entry(kind: Any, name: str) -> tuple[Any, Any, str]:
    return kind.Marked(), kind.Sums(kind.Buckets(), False), name


@pytest.mark.parametrize("kind", KINDS)
def test_known_tells_keys_apart_that_look_alike(kind: Any) -> None:
    keys: list[tuple[Any, ...]] = [
        ("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", ""), ("abc", None), (None, "abc"), ("a", 1), ("a", 12), ("ä", "ö"),
        ("s", SegmentParts("a", "b")), ("s", SegmentParts("a", "", "b")), ("s", None), ("s", SegmentParts()), ("x\x1fy", "z"),
        *((f"service-{i}", "arm", i) for i in range(500)),
    ]  # fmt: skip
    known = kind.Known()
    found = {str(i): entry(kind, str(i)) for i in range(len(keys))}
    for i, key in enumerate(keys):
        assert known.get(key) is None
        known[key] = found[str(i)]
    assert len(known) == len(keys)
    assert [known.get(key) for key in keys] == list(found.values())


@needs_c
def test_known_refuses_what_the_loop_could_not_add_to() -> None:
    known = native.Known()
    for wrong in [(1, 2, 3), (native.Marked(), native.Sums({}, False), ""), None]:  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            known[("a",)] = wrong  # type: ignore[assignment]
    with pytest.raises(TypeError):
        known.get("no tuple")  # type: ignore[arg-type]
    known[("x" * 3_000,)] = entry(native, "")
    assert len(known) == 0  # too long: looked for every time


# ---- the loop against Python's reading of the same bytes ----
def folded(values: list[bytes | None], *, usual: bool, early: int = 0) -> Any:
    """Everything an engine says of ``values``."""
    decode = make_decode()

    def plainly(value: bytes | None, headers: Any) -> Event:
        return decode(value, headers)

    fold = Fold(
        "t-0", None, decode=decode if usual else plainly, lateness_s=20, ahead_s=20, topology={"t": 1},
        facts_partitions=2, partition_of=lambda service: len(service) % 2, early_cuts=early,
    )  # fmt: skip
    said = []
    for start in range(0, len(values), 50):
        part = values[start : start + 50]
        end = start + len(part)
        fold.fold(Batch("t-0", part, range(start, end), start=start, end=end, segments=[(end, (START_S + 300) * 1000)]))
        cut = fold.cut()
        fold.acked(cut)
        said.append(cut.phases)
    return said, fold.counts, fold.watermark, fold.point


def event(number: int, data: dict[str, Any], time: str | None = None, **more: Any) -> dict[str, Any]:
    when = rfc3339(START_S + number // 4).replace("Z", ".5Z") if time is None else time
    return {
        "specversion": "1.0", "id": f"e{number}", "source": "/s", "type": RESPONSE_COMPLETED, "time": when, **more,
        "data": {"service": f"s{number % 3}", "model": "m", "latency_ms": 812.25 + number, "input_tokens": 5, **data},
    }  # fmt: skip


def same(values: Sequence[bytes | None]) -> None:
    before = [json.dumps(event(i, {})).encode() for i in range(30)]
    stream = [*before, *values, *before, *(json.dumps(event(i + 100, {})).encode() for i in range(30))]
    for early in (0, 1):
        assert folded(stream, usual=True, early=early) == folded(stream, usual=False, early=early)


FORMS = [
    b"0", b"00", b"0.0", b"-0.0", b"-1", b"1.", b".5", b"1e3", b"1E-3", b"1e", b"1e+", b"1e400", b"1e-400", b"5.0e0",
    b"123456789012345678901234567890", b"0.1234567890123456789", b"9007199254740993", b"9007199254740992", b"1000000000",
    b"1000000001", b"1000000000.0000001", b"true", b"null", b'"5"', b"[]", b"{}", b"NaN", b"1 ", b" 1", b"0x1",
    b"4.35", b"2.2250738585072011e-308", b"179769313486231570000", b"12e5", b"0.000000000000000000000000000000001",
]  # fmt: skip
NAMES = [
    "latency_ms", "input_tokens", "cost_usd", "version", "session_group", "quality", "ttft_ms", "max_tokens", "arm",
    "status", "slice", "valid_json", "model", "segment", "labels", "session_id", "own_cost_usd", "served_arm", "unknown",
]  # fmt: skip


@needs_c
@pytest.mark.parametrize("name", NAMES)
def test_every_form_of_a_value_means_in_c_what_it_means_in_python(name: str) -> None:
    texts = [
        b'""',
        b'"ok"',
        b'"error"',
        b'"trial"',
        b'"x"',
        '"ä"'.encode(),
        b'"\\u0061"',
        b'"a\nb"',
        b'"' + b"x" * 201 + b'"',
    ]
    parts = [
        b'{"tenant":"a"}',
        b'{"tenant":null}',
        b'{"tenant":"a","other":1}',
        b'{"a":"b"}',
        b'{"a":1}',
        b'{"a":"b",}',
    ]
    for form in [*FORMS, *texts, *parts, b'{"a":"b","tenant":"c"}']:
        values: list[bytes | None] = []
        for i in range(3):
            plainly = json.dumps(event(200 + i, {name: "@"})).encode()
            values.append(plainly.replace(b'"@"', form))
        same(values)


@needs_c
@given(st.lists(st.floats(0, 1e9, allow_nan=False).map(repr), min_size=1, max_size=20))
@example(["5e-324", "1e9", "0.1", "123456.789e3", "0.30000000000000004"])
@settings(max_examples=30, deadline=None)
def test_numbers_have_the_same_bits(numbers: list[str]) -> None:
    same([json.dumps(event(i, {"cost_usd": "@"})).replace('"@"', n).encode() for i, n in enumerate(numbers)])


times = st.one_of(
    st.integers(-100, 200).map(lambda s: rfc3339(START_S + s)),
    st.builds("{}-{:02}-{:02}T{:02}:{:02}:{:02}{}Z".format, st.sampled_from([1969, 1970, 2000, 2024, 2026, 2100, 9999]),
              st.integers(0, 13), st.integers(0, 32), st.integers(0, 24), st.integers(0, 60), st.integers(0, 61),
              st.sampled_from(["", ".", ".5", ".123456789", ".x", "5", ".5.5"])),
    st.sampled_from(["", "Z", "2026-01-01t00:05:01Z", "2026-01-01 00:05:01Z", "2026-01-01T00:05:01z", "2026-01-01T00:05:01",
                     "2026-01-01T00:05:01+00:00", "26-01-01T00:05:010000Z", "٢٠٢٦-01-01T00:05:01Z"]),
)  # fmt: skip


@needs_c
@given(st.lists(times, min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_times_are_the_same_seconds(some: list[str]) -> None:
    same([json.dumps(event(i, {}, time), ensure_ascii=False).encode() for i, time in enumerate(some)])


RICH = {
    "arm": "b", "segment": {"tenant": "acme", "region": "eu"}, "slice": "trial", "version": 3, "session_id": "s",
    "session_group": 7, "ttft_ms": 12.5, "output_tokens": 9, "cached_tokens": 2, "cost_usd": 0.0125, "status": "error",
    "finish_reason": "length", "response_model": "m-1", "fingerprint": "f", "max_tokens": 50, "valid_json": False,
    "retry_of": "r", "prompt_hash": "p", "quality": 0.75, "own_cost_usd": 0.5, "labels": {"a": "b"},
}  # fmt: skip


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A rich event whose bytes somebody changed."""
    number = draw(st.integers(0, 200))
    chosen = draw(st.lists(st.sampled_from(sorted(RICH)), unique=True))
    text = bytearray(json.dumps(event(number, {name: RICH[name] for name in chosen}, extra="x")).encode())
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text) - 1))
        text[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from([b"", b'"', b"\\", b"{", b",", b"0", b" ", b"\xc3\xa4", b"}"])
        )
    return bytes(text)


@needs_c
@given(st.lists(broken(), max_size=40))
@settings(max_examples=60, deadline=None)
def test_whatever_the_bytes_are_c_and_python_agree(values: list[bytes]) -> None:
    same([json.dumps(event(i, RICH)).encode() for i in range(3)] + values)


@needs_c
@pytest.mark.parametrize(
    "text",
    [
        '{"specversion":"1.0","specversion":"1.0"', '{"id":"x","id":"e7"', '{"data":{},"data"', '{"extra":[1]', '{"extra":{"a":1}',
        '{"extra":"\\"', '{"extra":"\u00e4"', '{"extra":-1', '{"extra":tru', '{"extra":null', '{ "extra" : 1.5e3 ', '{"":""',
    ],
)  # fmt: skip
def test_an_envelope_with_more_in_it_is_read_alike(text: str) -> None:
    rest = json.dumps(event(7, {}))[1:]
    same(
        [
            f"{text},{rest}".encode(),
            f"{text},{rest} \n".encode(),
            f"{text},{rest}x".encode(),
            f"{text},{rest}"[:-1].encode(),
        ]
    )


@needs_c
@pytest.mark.parametrize("name", ["model", "provider", "service", "session_id", "id", "source"])
def test_texts_beyond_ascii_are_texts_of_so_many_characters(name: str) -> None:
    texts = [
        b"\xc3\xa4",
        b"\xe4\xb8\xad",
        b"\xf0\x9f\x98\x80",
        b"\xc3\xa4" * 200,
        b"\xc3\xa4" * 201,
        b"\xe4\xb8\xad" * 100 + b"x" * 101,
    ]
    broken = [
        b"\xc3",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\x80",
        b"\xe4\xb8",
        b"\xf0\x9f\x98",
    ]
    for text in [*texts, *broken]:
        values: list[bytes | None] = []
        for i in range(3):
            given = event(200 + i, {}, **{name: "@"}) if name in ("id", "source") else event(200 + i, {name: "@"})
            values.append(json.dumps(given).encode().replace(b'"@"', b'"' + text + b'"'))
        same(values)


@needs_c
def test_hashes_of_ids_are_those_of_python_whatever_their_length() -> None:
    for n in (1, 2, 7, 8, 9, 31, 64, 200):
        values = [
            json.dumps({**event(i, {}), "id": "x" * n + str(i % 5), "source": "y" * n}).encode() for i in range(20)
        ]
        same(values)


# ---- where nothing is compiled ----
def digest() -> str:
    """Of everything that is said of a stream with all there is in it."""
    draw = random.Random(3)
    values: list[bytes | None] = []
    for i in range(1_500):
        chosen = {name: value for name, value in RICH.items() if draw.random() < 0.5} if i % 3 == 0 else {}
        made = event(i + draw.randrange(-30, 30), {**chosen, "latency_ms": math.exp(draw.gauss(6, 1))})
        values.append(json.dumps(made).encode())
    said, counts, watermark, point = folded(values, usual=True, early=1)
    parts = [record.value or b"" for phases in said for phase in phases for record in phase]
    return hashlib.sha256(b"".join(struct.pack("<I", len(p)) + p for p in parts)).hexdigest() + repr(
        (sorted(counts.items()), watermark, point)
    )


def test_a_machine_without_a_compiler_writes_the_same_facts() -> None:
    code = (
        "import sys; sys.modules['app.core.native._fold'] = None\n"
        "from tests.core import test_native as t; from app.core import native; print(native.compiled, t.digest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == f"False {digest()}"
