"""The record batches of one fetch, walked here and read by the C module ``native/_records.c``.

``FetchedBatches`` stands in for aiokafka's ``MemoryRecords``, which makes an object of every record. What is rare stays
with aiokafka: message sets older than format v2, control batches, compressions it may or may not know; and everything
where the C module is not compiled. Batches: https://kafka.apache.org/documentation/#recordbatch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from struct import Struct
from typing import Any, NamedTuple

from aiokafka import codec
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from app.core.batch import Headers

try:
    from app.adapters.kafka.native import _records as native

    COMPILED = True
except ImportError:
    COMPILED = False

_LENGTH = Struct(">8xi")
_HEAD = Struct(">q4x4xxIhi8xqq2x4xi")
"""Base offset, checksum, attributes, last offset delta, newest timestamp, producer, number of records."""
_CHECKED_FROM = 21
"""The checksum covers what follows it: everything from the attributes on."""
_BEFORE_LENGTH_ENDS, _MAGIC_AT, _SMALLEST = 12, 16, 14
_CODEC, _TRANSACTIONAL, _CONTROL = 0x07, 0x10, 0x20

DECODE: Mapping[int, Callable[[bytes], bytes]] = {1: codec.gzip_decode} | (
    {2: codec.snappy_decode, 3: codec.lz4_decode, 4: codec.zstd_decode} if codec.has_lz4() else {}
)
"""What is decompressed here, by the number in the attributes."""


class Columns(NamedTuple):
    """Records as columns, with one entry per record in each.

    ``keys`` makes that column when it is asked for. ``headers`` is None when no record has any; a header without a
    value reads as empty.
    """

    values: list[bytes | None]
    offsets: Sequence[int]
    keys: Callable[[], list[bytes | None]]
    headers: Sequence[Headers] | None


def _columns(
    values: list[bytes | None], offsets: Sequence[int], packed_keys: bytes, headers: Sequence[Headers] | None
) -> Columns:
    return Columns(values, offsets, partial(native.split, packed_keys, len(values)), headers)


class RecordBatch:
    """One record batch of format v2 that is not a control batch, with the attributes of aiokafka's."""

    __slots__ = ("_data", "_end", "_start", "attributes", "base_offset", "count", "crc", "max_timestamp",
                 "next_offset", "producer_id")  # fmt: skip
    is_control_batch = False

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data = data
        self._start = start
        self._end = end
        head = _HEAD.unpack_from(data, start)
        self.base_offset, self.crc, self.attributes, delta, self.max_timestamp, self.producer_id, self.count = head
        self.next_offset = self.base_offset + delta + 1

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & _TRANSACTIONAL)

    def validate_crc(self) -> bool:
        return native.crc32c(self._data, self._start + _CHECKED_FROM, self._end) == int(self.crc)

    def columns(self, position: int) -> Columns:
        """The records from ``position`` on. ValueError when the bytes are not as many whole records as they should be;
        or what the decompressor raises.
        """
        data, start, end = self._data, self._start + _HEAD.size, self._end
        compression = self.attributes & _CODEC
        if compression:
            data = DECODE[compression](data[start:end])
            start, end = 0, len(data)
        return _columns(*native.read(data, start, end, self.count, self.base_offset, position))

    def __iter__(self) -> Iterator[Any]:
        """The records as aiokafka reads them, for its own consumers in this process."""
        return iter(MemoryRecords(self._data[self._start : self._end]).next_batch())


class FetchedBatches:
    """The record batches in the bytes of one fetch of one partition; ``aiokafka``'s interface."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def size_in_bytes(self) -> int:
        return len(self._data)

    def has_next(self) -> bool:
        """False at the end, and before a batch that the end of the fetch cuts off."""
        left = len(self._data) - self._at
        return left >= _BEFORE_LENGTH_ENDS and left - _BEFORE_LENGTH_ENDS >= self._length()

    def next_batch(self) -> Any:
        """A ``RecordBatch``, or what aiokafka makes of these bytes; None at the end."""
        if not self.has_next():
            return None
        start, length = self._at, self._length()
        if length < _SMALLEST:
            raise CorruptRecordException(f"a record batch of {length} bytes is shorter than any can be")
        self._at = end = start + _BEFORE_LENGTH_ENDS + length
        if self._data[start + _MAGIC_AT] != 2:
            return MemoryRecords(self._data[start:end]).next_batch()
        if end - start < _HEAD.size:
            raise CorruptRecordException(f"a record batch of {end - start} bytes is shorter than its head")
        batch = RecordBatch(self._data, start, end)
        if batch.attributes & _CONTROL or batch.attributes & _CODEC not in _READ_HERE:
            return MemoryRecords(self._data[start:end]).next_batch()
        return batch

    def run(self, position: int, limit: int, *, check: bool) -> tuple[Columns, list[tuple[int, int]], int] | None:
        """The plain batches that come next, up to the one that brings ``limit`` records; None when the next is not.

        Their records from ``position`` on, (next offset, newest timestamp) of each batch, and the position after.
        ValueError when one is damaged; with ``check`` also when a checksum is wrong.
        """
        taken = native.run(self._data, self._at, position, limit, check)
        if taken is None:
            return None
        columns, segments, self._at, after = taken
        return _columns(*columns), segments, after

    def _length(self) -> int:
        length: int = _LENGTH.unpack_from(self._data, self._at)[0]
        return length


_READ_HERE = frozenset({0, *DECODE})


def install() -> bool:
    """Let aiokafka's fetcher hand over ``FetchedBatches`` in this process, where C is compiled; whether it is."""
    if not COMPILED:
        return False
    fetcher.MemoryRecords = FetchedBatches
    return True
