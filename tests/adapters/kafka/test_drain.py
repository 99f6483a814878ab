"""Draining real record batches, as a broker encodes them."""

from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from app.adapters.kafka.drain import drain

TP = TopicPartition("t", 3)
Row = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
TRANSACTIONAL, CONTROL = 0x10, 0x20


def encoded(
    base: int, rows: Sequence[Row], *, timestamp: int = 1000, producer: int = -1, transactional: bool = False
) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, transactional, producer, 0, 0, 1 << 20)
    for i, (key, value, headers) in enumerate(rows):
        assert builder.append(i, timestamp + i, key, value, headers) is not None
    raw = bytearray(builder.build())
    raw[0:8] = base.to_bytes(8, "big")
    return bytes(raw)


def values(base: int, *texts: bytes, **kwargs: Any) -> bytes:
    return encoded(base, [(None, text, []) for text in texts], **kwargs)


class State:
    """A partition's fetch state in aiokafka."""

    def __init__(self, position: int) -> None:
        self.position, self.paused = position, False

    def consumed_to(self, position: int) -> None:
        self.position = position


class Assignment:
    active = True

    def __init__(self, state: State) -> None:
        self.state = state

    def state_value(self, _: object) -> State:
        return self.state


def fetched(*chunks: bytes, at: int = 0, aborted: Any = (), committed_only: bool = False) -> tuple[FetchResult, State]:
    isolation = READ_COMMITTED if committed_only else READ_UNCOMMITTED
    records = PartitionRecords(TP, MemoryRecords(b"".join(chunks)), list(aborted), at, None, None, True, isolation)
    state = State(at)
    return FetchResult(TP, assignment=Assignment(state), partition_records=records, backoff=0), state


def test_one_chunk_becomes_one_batch_with_offsets_keys_and_append_times():
    result, state = fetched(encoded(5, [(b"k", b"a", []), (None, b"b", [])]), values(7, b"c", timestamp=9000), at=5)
    batch = drain(result, 100)
    assert batch is not None
    assert batch.source == "t-3"
    assert batch.values == [b"a", b"b", b"c"]
    assert batch.keys is not None
    assert list(batch.keys) == [b"k", None, None]
    assert batch.headers is None
    assert [batch.offset(i) for i in range(3)] == [5, 6, 7]
    assert (batch.start, batch.end, state.position) == (5, 8, 8)
    assert [batch.append_ms(o) for o in (5, 6, 7)] == [1001, 1001, 9000]


def test_headers_are_carried_and_one_without_value_reads_as_empty():
    result, _ = fetched(encoded(0, [(None, b"a", [("ce_id", b"1"), ("none", None)]), (None, b"b", [])]))
    batch = drain(result, 100)
    assert batch is not None
    assert batch.headers == [(("ce_id", b"1"), ("none", b"")), ()]


def test_a_tombstone_stays_a_tombstone():
    result, _ = fetched(encoded(0, [(b"k", None, [])]))
    batch = drain(result, 100)
    assert batch is not None
    assert batch.values == [None]


def test_a_batch_ends_after_the_record_batch_that_reaches_the_limit_and_the_rest_comes_next():
    result, state = fetched(values(0, b"a", b"b"), values(2, b"c", b"d"), values(4, b"e"))
    first = drain(result, 3)
    assert first is not None
    assert (first.values, first.end, state.position) == ([b"a", b"b", b"c", b"d"], 4, 4)
    assert result.has_more()
    second = drain(result, 3)
    assert second is not None
    assert (second.values, second.start, second.end) == ([b"e"], 4, 5)
    assert not result.has_more()


def test_records_before_the_position_are_left_out():
    result, _ = fetched(values(0, b"a", b"b", b"c"), at=2)
    batch = drain(result, 100)
    assert batch is not None
    assert (batch.values, batch.start, batch.first) == ([b"c"], 2, 2)


def test_a_drained_result_lets_go_of_its_buffer():
    result, _ = fetched(values(0, b"a"))
    records = result._partition_records
    drain(result, 100)
    assert records._records_iterator is None
    assert result._partition_records is None


def test_nothing_comes_of_a_partition_that_was_sought_elsewhere():
    result, state = fetched(values(0, b"a"))
    state.position = 7
    assert drain(result, 100) is None


def test_nothing_comes_of_a_paused_partition():
    result, state = fetched(values(0, b"a"))
    state.paused = True
    assert drain(result, 100) is None


def test_a_damaged_batch_is_an_error_that_names_the_partition():
    raw = bytearray(values(0, b"abcdef"))
    raw[-2] ^= 0xFF
    result, _ = fetched(bytes(raw))
    with pytest.raises(CorruptRecordException, match="t-3"):
        drain(result, 100)


def test_what_a_transaction_rolled_back_is_skipped_and_the_position_moves_on():
    result, state = fetched(
        values(0, b"good"),
        values(1, b"rolled", b"back", producer=9, transactional=True),
        values(3, b"after"),
        aborted=[(9, 1)],
        committed_only=True,
    )
    batch = drain(result, 100)
    assert batch is not None
    assert batch.values == [b"good", b"after"]
    assert [batch.offset(i) for i in range(2)] == [0, 3]
    assert state.position == 4


def test_control_records_are_no_evidence_but_move_the_position():
    raw = bytearray(encoded(1, [(b"\0\0\0\1", b"", [])], producer=9, transactional=True))
    attributes = int.from_bytes(raw[21:23], "big") | CONTROL
    raw[21:23] = attributes.to_bytes(2, "big")
    result, state = fetched(values(0, b"a"), bytes(raw))
    result._partition_records._check_crcs = False  # the attribute was changed after the checksum was made
    batch = drain(result, 100)
    assert batch is not None
    assert (batch.values, batch.end, state.position) == ([b"a"], 2, 2)
