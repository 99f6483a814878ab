"""Rule one of the lane: one fetched chunk becomes one ``Batch``, without an object per record for Faust to carry.

Record batches are read in C where that is compiled and by aiokafka otherwise (``record_batches``), to the same columns.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, overload

from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.structs import TopicPartition

from app.adapters.kafka.record_batches import Columns, FetchedBatches
from app.core.batch import Batch, Headers

_value, _headers_of, _offset, _key = map(attrgetter, ("value", "headers", "offset", "key"))


class Keys(Sequence[bytes | None]):
    """The keys of records, read when one is asked for: only dead letters need them. Mutable only by that reading."""

    __slots__ = ("_count", "_parts", "_read")

    def __init__(self, count: int, parts: list[Callable[[], list[bytes | None]]]) -> None:
        self._count = count
        self._parts = parts
        self._read: list[bytes | None] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> bytes | None: ...
    @overload
    def __getitem__(self, at: slice) -> list[bytes | None]: ...
    def __getitem__(self, at: int | slice) -> list[bytes | None] | bytes | None:
        if self._read is None:
            self._read = [key for part in self._parts for key in part()]
            self._parts = []
        return self._read[at]


class _Taken:
    """The records taken so far; mutable, lives for one ``drain``."""

    __slots__ = ("_headers", "_keys", "_offsets", "segments", "values")

    def __init__(self) -> None:
        self.values: list[bytes | None] = []
        self.segments: list[tuple[int, int]] = []
        self._offsets: list[Sequence[int]] = []
        self._keys: list[Callable[[], list[bytes | None]]] = []
        self._headers: list[Sequence[Headers] | None] = []

    def add(self, taken: Columns, segments: Sequence[tuple[int, int]]) -> None:
        """Take the records of one or more record batches."""
        self.segments += segments
        if taken.values:
            self.values += taken.values
            self._offsets.append(taken.offsets)
            self._keys.append(taken.keys)
            self._headers.append(taken.headers)

    def offsets(self) -> Sequence[int]:
        """Without a number per record where there are no holes."""
        parts = self._offsets
        if not parts:
            return ()
        first, last = parts[0][0], parts[-1][-1]
        whole = last - first + 1 == len(self.values)
        return range(first, last + 1) if whole else list(chain.from_iterable(parts))

    def keys(self) -> Keys:
        return Keys(len(self.values), self._keys)

    def headers(self) -> list[Headers] | None:
        """None when no record has a header."""
        if not any(self._headers):
            return None
        lengths = map(len, self._offsets)
        return [one for part, n in zip(self._headers, lengths, strict=True) for one in part or ((),) * n]


def _columns(records: Any, position: int) -> Columns:
    """The records from ``position`` on of a batch that aiokafka reads."""
    taken = list(records)
    if taken and taken[0].offset < position:
        taken = [record for record in taken if record.offset >= position]
    headers: list[Headers] | None = None
    if any(map(_headers_of, taken)):
        headers = [tuple((name, value or b"") for name, value in some) for some in map(_headers_of, taken)]
    return Columns(list(map(_value, taken)), list(map(_offset, taken)), lambda: list(map(_key, taken)), headers)


def drain(result: Any, limit: int) -> Batch | None:
    """Empty a ``FetchResult`` of aiokafka into a ``Batch`` of about ``limit`` records (whole record batches).

    None when nothing moved: the partition is not ours any more, is paused, or was sought elsewhere. Raises
    ``CorruptRecordException`` when a checksum does not match, or a batch is not made of records.
    """
    tp = result._topic_partition
    if not result.check_assignment(tp) or not result.has_more():
        return None
    partition = result._partition_records
    start = partition.next_fetch_offset
    taken, end = _take(partition, tp, limit)
    partition.next_fetch_offset = end
    result._update_position()
    if not partition._records.has_next():
        # PartitionRecords and its generator refer to each other and would pin the fetch buffer until a full collection
        partition._records_iterator = None
        result._partition_records = None
    if end == start:
        return None
    return Batch(
        f"{tp.topic}-{tp.partition}",
        taken.values,
        taken.offsets(),
        start=start,
        end=end,
        segments=taken.segments,
        keys=taken.keys(),
        headers=taken.headers(),
    )


def _take(partition: Any, tp: TopicPartition, limit: int) -> tuple[_Taken, int]:
    taken = _Taken()
    end: int = partition.next_fetch_offset
    try:
        while partition._records.has_next() and len(taken.values) < limit:
            end = _take_some(partition, taken, end, limit - len(taken.values))
    except ValueError as error:
        raise CorruptRecordException(f"{tp.topic}-{tp.partition}: after offset {end}: {error}") from error
    return taken, end


def _take_some(partition: Any, taken: _Taken, position: int, limit: int) -> int:
    """Take the batches that come next and are read in C, or else one batch as aiokafka reads it; the position after."""
    fetched, check = partition._records, partition._check_crcs
    committed_only = partition._isolation_level == READ_COMMITTED
    if type(fetched) is FetchedBatches:
        # without a transaction rolled back in sight, what belongs to one reads like any other batch
        plain = not (committed_only and (partition._aborted_transactions or partition._aborted_producers))
        if (some := fetched.read(position, limit, check=check, transactions=plain)) is not None:
            columns, segments, after = some
            taken.add(columns, segments)
            return after
    records = fetched.next_batch()
    if check and not records.validate_crc():
        raise ValueError("bad checksum; check the disk")
    if not (committed_only and _aborted(partition, records)) and not records.is_control_batch:
        taken.add(_columns(records, position), ((records.next_offset, records.max_timestamp),))
    return max(position, int(records.next_offset))


def _aborted(partition: Any, records: Any) -> bool:
    """Whether a transaction that was rolled back wrote ``records``."""
    if records.producer_id is None:
        return False
    partition._consume_aborted_up_to(records.base_offset)
    if records.is_control_batch and partition._contains_abort_marker(records):
        partition._aborted_producers.discard(records.producer_id)
    return bool(records.is_transactional and records.producer_id in partition._aborted_producers)
