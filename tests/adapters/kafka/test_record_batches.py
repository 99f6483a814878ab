"""The reader in C against aiokafka's: the same columns for sound batches, and both refuse what is not sound."""

import random
import sys
from functools import partial
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.adapters.kafka import record_batches
from app.adapters.kafka.drain import drain
from app.adapters.kafka.record_batches import COMPILED, FetchedBatches
from tests.adapters.kafka.fetches import (
    CONTROL,
    COUNT,
    LAST_DELTA,
    LOG_APPEND_TIME,
    Row,
    encoded,
    fetched,
    sealed,
    values,
)

pytestmark = pytest.mark.skipif(not COMPILED, reason="the C modules are not compiled: make native")

ABORT, COMMIT = b"\0\0\0\0", b"\0\0\0\1"
MAGIC_AT, ATTRIBUTES_AT = 16, 21

texts = st.none() | st.binary(max_size=40) | st.integers(60, 300).map(lambda n: b"x" * n)
headers = st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=3)
rows = st.tuples(texts, texts, st.just([]) | headers)


@st.composite
def batches(draw: st.DrawFn) -> list[bytearray]:
    """Record batches that follow each other, some with holes between or within, of any kind there is."""
    made, base = [], draw(st.sampled_from([0, 1, 1000, 1 << 40]))
    for _ in range(draw(st.integers(1, 4))):
        some: list[Row] = draw(st.lists(rows, min_size=1, max_size=6))
        deltas, at = [], 0
        for _ in some:
            at += draw(st.sampled_from([0, 0, 0, 1, 5]))
            deltas.append(at)
            at += 1
        transactional = draw(st.booleans())
        control = transactional and draw(st.booleans())
        raw = bytearray(
            encoded(
                base,
                [(draw(st.sampled_from([ABORT, COMMIT])), b"", [])] if control else some,
                timestamp=draw(st.sampled_from([0, 1000, 1 << 41])),
                producer=draw(st.sampled_from([7, 9])) if transactional else -1,
                transactional=transactional,
                codec=0 if control else draw(st.sampled_from([0, 0, 0, 1, 2, 3, 4])),
                attributes=CONTROL * control | draw(st.sampled_from([0, LOG_APPEND_TIME])),
                deltas=None if control else deltas,
            )
        )
        after = int.from_bytes(raw[LAST_DELTA], "big") + draw(st.sampled_from([0, 0, 2]))
        raw[LAST_DELTA] = after.to_bytes(4, "big")
        sealed(raw)
        made.append(raw)
        base += after + 1 + draw(st.sampled_from([0, 0, 3]))
    return made


def drained(reader: str, data: bytes, *, at: int, limit: int, **kwargs: Any) -> tuple[list[Any], bool, int]:
    """All that a fetch gives: its batches, whether it was refused, and the position after."""
    result, state = fetched(reader, data, at=at, **kwargs)
    found: list[Any] = []
    for _ in range(len(data)):
        try:
            batch = drain(result, limit)
        except Exception:  # noqa: BLE001  # whatever is raised, it is a refusal
            return found, True, state.position
        if batch is not None:
            keys = None if batch.keys is None else list(batch.keys)
            offsets = None if batch.offsets is None else list(batch.offsets)
            found.append(
                (batch.values, keys, batch.headers, offsets, batch.first, batch.start, batch.end, batch.segments)
            )
        if batch is None or not result.has_more():
            break
    return found, False, state.position


def same(data: bytes, **kwargs: Any) -> tuple[list[Any], bool, int]:
    ours, theirs = drained("C", data, **kwargs), drained("aiokafka", data, **kwargs)
    assert ours == theirs
    return ours


@pytest.mark.simulation
@settings(max_examples=50)
@given(batches(), st.integers(0, 12), st.sampled_from([1, 3, 100]), st.booleans(), st.integers(0, 2))
def test_sound_batches_give_the_same_columns(
    made: list[bytearray], into: int, limit: int, committed_only: bool, aborted: int
):
    base = int.from_bytes(made[0][:8], "big")
    rolled_back = [(7, base), (9, base + 3)][:aborted]
    data = b"".join(made)
    _, refused, _ = same(data, at=base + into, limit=limit, committed_only=committed_only, aborted=rolled_back)
    assert not refused


@pytest.mark.simulation
@settings(max_examples=70)
@given(batches(), st.data(), st.booleans(), st.booleans())
def test_damaged_bytes_give_the_same_columns_or_are_refused(
    made: list[bytearray], data: st.DataObject, check: bool, resealed: bool
):
    """Not damaged: the magic byte, by which aiokafka 0.14 takes all batches for what the first of a fetch is."""
    base = int.from_bytes(made[0][:8], "big")
    hit = data.draw(st.sampled_from(made))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(8, len(hit) - 1).filter(lambda at: at != MAGIC_AT))
        hit[at] = data.draw(st.integers(0, 255) | st.sampled_from([0x7F, 0x80, 0xFF, hit[at] ^ 1]))
    if resealed:
        sealed(hit)
    whole = b"".join(made)
    end = data.draw(st.just(len(whole)) | st.integers(0, len(whole)))
    same(whole[:end], at=base, limit=100, check=check)


@pytest.mark.simulation
@settings(max_examples=150)
@given(st.binary(max_size=200), st.integers(-3, 40), st.integers(0, 5))
@example(b"", 0, 0)
@example(b"\x00" * 70, 10, 0)
@example(b"\x0c\x00\x00\x00\x01\x01\x00", 1, 0)
def test_whatever_the_bytes_are_they_are_records_or_refused(noise: bytes, count: int, position: int):
    from app.adapters.kafka.native import _records

    raw = bytearray(values(0, b""))[:61] + noise
    raw[8:12] = (len(raw) - 12).to_bytes(4, "big")
    raw[COUNT] = count.to_bytes(4, "big", signed=True)
    try:
        taken = _records.read(bytes(raw), 0, position, 100, False, 0, ())
    except ValueError:
        return
    assert taken is not None
    (found, offsets, packed, _), segments, end, _ = taken
    assert len(found) == len(offsets) == len(_records.split(packed, len(found)))
    assert (len(segments), end) == (1, len(raw))


@pytest.mark.parametrize("size", [*range(40), 1023, 3071, 3072, 3073, 6144, 9999])
@pytest.mark.parametrize("tables_only", [False, True])
def test_the_checksum_is_that_of_aiokafka(size: int, tables_only: bool):
    from app.adapters.kafka.native import _records

    data = random.Random(size).randbytes(size + 8)
    assert _records.crc32c(data, 3, size + 3, tables_only) == calc_crc32c(data[3 : size + 3])


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
    ],
)
def test_the_checksum_is_that_of_rfc_3720(data: bytes, crc: int):
    from app.adapters.kafka.native import _records

    assert _records.crc32c(data, 0, len(data)) == _records.crc32c(data, 0, len(data), True) == crc


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (0, 11), (4, 3), (11, 11), (1 << 62, 1 << 62)])
def test_a_part_that_is_not_in_the_bytes_is_refused(start: int, stop: int):
    from app.adapters.kafka.native import _records

    with pytest.raises(ValueError, match="not within 10 bytes"):
        _records.crc32c(bytes(10), start, stop)
    with pytest.raises(ValueError, match="not within 10 bytes"):
        _records.read(bytes(10), 11 if start < stop else -1, 0, 1, True, 0, ())
    with pytest.raises(ValueError, match="more keys than bytes"):
        _records.split(b"\x01", 2)


def test_headers_that_repeat_are_one_object():
    fixed = ("content-type", b"application/json")
    headers: list[list[tuple[str, bytes | None]]] = [
        [fixed, ("id", b"1"), ("id", b"1")],
        [fixed, ("id", b"2")],
        [],
        [fixed, ("id", b"2")],
        [("id", b"2"), fixed, ("null", None)],
        [("id", None), fixed, ("null", b"")],
    ]
    data = encoded(0, [(None, b"v", some) for some in headers])
    (found,), refused, _ = same(data, at=0, limit=10)
    assert not refused
    assert found[2] == [tuple((name, value or b"") for name, value in some) for some in headers]
    taken = FetchedBatches(data).read(0, 10, check=True, transactions=True)
    assert taken is not None
    columns = taken[0].headers
    assert columns is not None
    assert columns[0][0] is columns[1][0]
    assert columns[0][1][0] is columns[1][1][0]
    assert columns[4][1] is columns[5][1]


def test_nothing_stays_allocated_whether_bytes_are_read_or_refused():
    from app.adapters.kafka.native import _records

    data = encoded(0, [(b"k", b"value" * 9, [("n", b"v"), ("m", None)])] * 9, deltas=[0, 1, 2, 4, 5, 6, 7, 8, 9])
    packed = encoded(0, [(b"k", b"value" * 9, [])] * 9, codec=3)
    torn = data[:-1] + b"\xff"
    bad = sealed(bytearray(data[:-30] + b"\xff" * 30))

    def allocated_after_many() -> int:
        refused = 0
        for _ in range(50):
            FetchedBatches(data).read(3, 10, check=True, transactions=True)
            FetchedBatches(packed).read(0, 10, check=True, transactions=True)
            _records.split(b"\x02k\x01", 2)
            for call in (
                partial(FetchedBatches(bad).read, 0, 10, check=True, transactions=True),
                partial(FetchedBatches(torn).read, 0, 10, check=True, transactions=True),
                partial(_records.split, b"\x02k\x08", 2),
            ):
                try:
                    call()
                except ValueError:
                    refused += 1
        assert refused == 150
        return sys.getallocatedblocks()

    before = allocated_after_many()
    assert allocated_after_many() - before < 40  # one object lost in each turn would be 50


def test_where_c_is_not_compiled_aiokafkas_reader_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(record_batches, "COMPILED", False)
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)
    assert not record_batches.install()
    assert fetcher.MemoryRecords is MemoryRecords


def test_every_cut_of_a_batch_ends_before_it():
    whole = encoded(0, [(b"k", b"value", [("n", b"v")])] * 3)
    for end in range(len(whole)):
        fetched = FetchedBatches(whole[:end])
        assert not fetched.has_next()
        assert fetched.next_batch() is None
        assert fetched.read(0, 10, check=True, transactions=True) is None
        assert fetched.size_in_bytes() == end


@pytest.mark.parametrize("length", [-(1 << 31), -1, 0, 13, 48])
def test_an_impossible_length_is_refused(length: int):
    raw = bytearray(values(0, b"a" * 100))
    raw[8:12] = length.to_bytes(4, "big", signed=True)
    _, refused, position = same(bytes(raw), at=0, limit=10)
    assert refused
    assert position == 0


def test_what_is_rare_is_left_to_aiokafka():
    transactional = values(0, b"a", producer=9, transactional=True)
    control = encoded(0, [(COMMIT, b"", [])], producer=9, transactional=True, attributes=CONTROL)
    for rare in (control, values(0, b"a", attributes=6), values(0, b"a", attributes=7)):
        assert FetchedBatches(rare).read(0, 10, check=True, transactions=True) is None
        assert type(FetchedBatches(rare).next_batch()) is type(MemoryRecords(rare).next_batch())
    assert FetchedBatches(transactional).read(0, 10, check=True, transactions=False) is None
    assert FetchedBatches(transactional).read(0, 10, check=True, transactions=True) is not None


def test_a_decoder_that_fails_or_returns_no_bytes_is_an_error():
    from app.adapters.kafka.native import _records

    data = values(0, b"a", codec=3)

    def failing(packed: bytes) -> bytes:
        raise ZeroDivisionError(len(packed))

    with pytest.raises(ZeroDivisionError):
        _records.read(data, 0, 0, 9, True, 0, (None, None, None, failing))
    with pytest.raises(TypeError, match="must return bytes"):
        _records.read(data, 0, 0, 9, True, 0, (None, None, None, bytearray))  # type: ignore[arg-type]
    assert _records.read(data, 0, 0, 9, True, 0, (None, None, None, None)) is None
    assert _records.read(data, 0, 0, 9, True, 0, ()) is None


def test_aiokafkas_own_consumers_read_on_as_before(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)  # restored after the test
    assert record_batches.install()
    assert fetcher.MemoryRecords is FetchedBatches
    data = encoded(5, [(b"k", b"a", [("n", b"v")]), (None, b"b", [])]) + values(7, b"c", codec=3)
    found = [
        [
            (record.offset, record.timestamp, record.key, record.value, record.headers)
            for record in fetched(reader, data, at=5)[0].getall()
        ]
        for reader in ("C", "aiokafka")
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 3
