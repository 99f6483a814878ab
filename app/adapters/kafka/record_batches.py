"""The record batches of one fetch, read to columns by the C module ``native/_records.c``.

``FetchedBatches`` stands in for aiokafka's ``MemoryRecords``, which makes an object of every record. What is rare stays
with aiokafka: message sets older than format v2, control batches, unknown compressions, transactions while one was
rolled back; and everything where the C module is not compiled. Batches: https://kafka.apache.org/documentation/#recordbatch.
"""

from collections.abc import Callable, Sequence
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
_BEFORE_LENGTH_ENDS, _MAGIC_AT, _SMALLEST, _HEAD = 12, 16, 14, 61
_TRANSACTIONAL, _CONTROL = 0x10, 0x20

_DECODERS: tuple[Callable[[bytes], bytes] | None, ...] = (None, codec.gzip_decode) + (
    (codec.snappy_decode, codec.lz4_decode, codec.zstd_decode) if codec.has_lz4() else ()
)
"""By the number in a batch's attributes."""


class Columns(NamedTuple):
    """Records as columns, with one entry per record in each.

    ``keys`` makes that column when it is asked for. ``headers`` is None when no record has any; a header without a
    value reads as empty.
    """

    values: list[bytes | None]
    offsets: Sequence[int]
    keys: Callable[[], list[bytes | None]]
    headers: Sequence[Headers] | None


class FetchedBatches:
    """The record batches in the bytes of one fetch of one partition: ``read`` for us, the rest as aiokafka has it."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def size_in_bytes(self) -> int:
        return len(self._data)

    def has_next(self) -> bool:
        """False at the end, and before a batch that the end of the fetch cuts off."""
        left = len(self._data) - self._at - _BEFORE_LENGTH_ENDS
        return left >= 0 and left >= self._length()

    def next_batch(self) -> Any:
        """The next batch as aiokafka reads it; None at the end. ``CorruptRecordException`` for impossible lengths."""
        if not self.has_next():
            return None
        start, length = self._at, self._length()
        end = start + _BEFORE_LENGTH_ENDS + length
        if length < _SMALLEST or (self._data[start + _MAGIC_AT] == 2 and end - start < _HEAD):
            raise CorruptRecordException(f"a record batch of {length} bytes is shorter than any can be")
        self._at = end
        return MemoryRecords(self._data[start:end]).next_batch()

    def read(
        self, position: int, limit: int, *, check: bool, transactions: bool
    ) -> tuple[Columns, list[tuple[int, int]], int] | None:
        """The batches that come next, up to the one that brings ``limit`` records; None: aiokafka must read the next.

        Their records from ``position`` on, (next offset, newest timestamp) of each batch, and the position after.
        ``check``: verify checksums. ``transactions``: whether batches that belong to one are read, too. ValueError when
        a batch is damaged, or what the decompressor raises.
        """
        not_mine = _CONTROL if transactions else _CONTROL | _TRANSACTIONAL
        taken = native.read(self._data, self._at, position, limit, check, not_mine, _DECODERS)
        if taken is None:
            return None
        (values, offsets, keys, headers), segments, self._at, after = taken
        return Columns(values, offsets, partial(native.split, keys, len(values)), headers), segments, after

    def _length(self) -> int:
        length: int = _LENGTH.unpack_from(self._data, self._at)[0]
        return length


def install() -> bool:
    """Let aiokafka's fetcher hand over ``FetchedBatches`` in this process, where C is compiled; whether it is."""
    if COMPILED:
        fetcher.MemoryRecords = FetchedBatches
    return COMPILED
