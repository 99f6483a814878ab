"""Fetched record batches, as a broker encodes them, for either reader."""

from collections.abc import Callable, Sequence
from typing import Any

from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from app.adapters.kafka.record_batches import FetchedBatches

TP = TopicPartition("t", 3)
READERS: dict[str, Callable[[bytes], Any]] = {"aiokafka": MemoryRecords, "C": FetchedBatches}
Row = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
ATTRIBUTES, LAST_DELTA, COUNT = slice(21, 23), slice(23, 27), slice(57, 61)
LOG_APPEND_TIME, CONTROL = 0x08, 0x20


def encoded(
    base: int,
    rows: Sequence[Row],
    *,
    timestamp: int = 1000,
    producer: int = -1,
    transactional: bool = False,
    codec: int = 0,
    attributes: int = 0,
    deltas: Sequence[int] | None = None,
    apart: int = 1,
) -> bytes:
    """A record batch; ``attributes`` are set beside those that follow, ``deltas`` are the offsets from ``base``.

    ``apart``: from one timestamp to the next.
    """
    builder = DefaultRecordBatchBuilder(2, codec, transactional, producer, 0, 0, 1 << 20)
    for i, (key, value, headers) in enumerate(rows):
        assert (
            builder.append(i if deltas is None else deltas[i], timestamp + i * apart, key, value, headers) is not None
        )
    raw = bytearray(builder.build())
    raw[0:8] = base.to_bytes(8, "big")
    if attributes:
        raw[ATTRIBUTES] = (int.from_bytes(raw[ATTRIBUTES], "big") | attributes).to_bytes(2, "big")
    return sealed(raw)


def sealed(raw: bytearray) -> bytes:
    """``raw`` with the checksum it should have."""
    raw[17:21] = calc_crc32c(bytes(raw[21:])).to_bytes(4, "big")
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


def fetched(
    reader: str, *chunks: bytes, at: int = 0, aborted: Any = (), committed_only: bool = False, check: bool = True
) -> tuple[FetchResult, State]:
    isolation = READ_COMMITTED if committed_only else READ_UNCOMMITTED
    records = READERS[reader](b"".join(chunks))
    partition = PartitionRecords(TP, records, list(aborted), at, None, None, check, isolation)
    state = State(at)
    return FetchResult(TP, assignment=Assignment(state), partition_records=partition, backoff=0), state
