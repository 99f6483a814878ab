"""Rule one of the lane: one fetched chunk becomes one ``Batch``, without an object per record for Faust to carry."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, overload

from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.structs import TopicPartition

from app.core.batch import Batch, Headers

_value, _headers_of, _offset = attrgetter("value"), attrgetter("headers"), attrgetter("offset")


class Keys(Sequence[bytes | None]):
    """The keys of records, read when they are asked for: only dead letters need them."""

    __slots__ = ("_records",)

    def __init__(self, records: list[Any]) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, at: int) -> bytes | None: ...
    @overload
    def __getitem__(self, at: slice) -> "Keys": ...
    def __getitem__(self, at: int | slice) -> "bytes | Keys | None":
        if isinstance(at, slice):
            return Keys(self._records[at])
        key: bytes | None = self._records[at].key
        return key


class _Taken:
    """The records taken so far; mutable, lives for one ``drain``. Columns are made of all of them at once."""

    __slots__ = ("records", "segments")

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.segments: list[tuple[int, int]] = []

    def add(self, records: Any, position: int) -> None:
        """Take the records of one record batch from ``position`` on (a compacted or part-read batch starts before)."""
        taken = list(records)
        if taken and taken[0].offset < position:
            taken = [record for record in taken if record.offset >= position]
        self.records += taken
        self.segments.append((records.next_offset, records.max_timestamp))

    def offsets(self) -> Sequence[int]:
        """Without a number per record where there are no holes."""
        records = self.records
        if not records:
            return ()
        first, last = records[0].offset, records[-1].offset
        return range(first, last + 1) if last - first + 1 == len(records) else list(map(_offset, records))

    def headers(self) -> list[Headers] | None:
        """None when no record has a header; a header without a value reads as empty."""
        if not any(map(_headers_of, self.records)):
            return None
        return [
            tuple((name, value or b"") for name, value in some) if some else ()
            for some in map(_headers_of, self.records)
        ]


def drain(result: Any, limit: int) -> Batch | None:
    """Empty a ``FetchResult`` of aiokafka into a ``Batch`` of about ``limit`` records (whole record batches).

    None when nothing moved: the partition is not ours any more, is paused, or was sought elsewhere. Raises
    ``CorruptRecordException`` when a checksum does not match.
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
        list(map(_value, taken.records)),
        taken.offsets(),
        start=start,
        end=end,
        segments=taken.segments,
        keys=Keys(taken.records),
        headers=taken.headers(),
    )


def _take(partition: Any, tp: TopicPartition, limit: int) -> tuple[_Taken, int]:
    taken = _Taken()
    end: int = partition.next_fetch_offset
    committed_only = partition._isolation_level == READ_COMMITTED
    while partition._records.has_next() and len(taken.records) < limit:
        records = partition._records.next_batch()
        if partition._check_crcs and not records.validate_crc():
            raise CorruptRecordException(f"{tp.topic}-{tp.partition}: bad checksum after offset {end}; check the disk")
        if not (committed_only and _aborted(partition, records)) and not records.is_control_batch:
            taken.add(records, end)
        end = max(end, records.next_offset)
    return taken, end


def _aborted(partition: Any, records: Any) -> bool:
    """Whether a transaction that was rolled back wrote ``records``."""
    if records.producer_id is None:
        return False
    partition._consume_aborted_up_to(records.base_offset)
    if records.is_control_batch and partition._contains_abort_marker(records):
        partition._aborted_producers.discard(records.producer_id)
    return bool(records.is_transactional and records.producer_id in partition._aborted_producers)
