"""Records to the producer, as whole record batches: handing over each by itself costs several times as much."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.partitioner import murmur2
from aiokafka.structs import TopicPartition

from app.core.ports import Record

MAX_KEYS = 100_000
"""Keys whose hash is remembered rather than computed."""


class Send(Protocol):
    """Hand records to the producer in their order; when all the returned futures are done, all records are acked."""

    async def __call__(self, records: Iterable[Record]) -> "list[asyncio.Future[Any]]": ...


def sender(producer: Callable[[], Any], topics: Mapping[str, str]) -> Send:
    """A ``Send`` over aiokafka's producer; ``topics`` maps a record's role to its topic.

    Records of one partition keep their order. Those without a partition go where Kafka's default partitioner sends
    their key. Raises ``MessageSizeTooLargeError`` for a record no request has room for.
    """
    hashed = Hashes()

    async def send(records: Iterable[Record]) -> "list[asyncio.Future[Any]]":
        live = producer()
        counts: dict[str, int] = {}
        open_batches: dict[TopicPartition, Any] = {}
        acks = []
        for record in records:
            topic = topics[record.role]
            if topic not in counts:
                counts[topic] = len(await live.partitions_for(topic))
            tp = TopicPartition(topic, hashed.partition(record, counts[topic]))
            batch = open_batches.get(tp)
            if batch is None:
                batch = open_batches[tp] = live.create_batch()
            if not _added(batch, record):
                acks.append(await _handed_over(live, tp, batch))
                batch = open_batches[tp] = live.create_batch()
                _added(batch, record)
        return acks + [await _handed_over(live, tp, batch) for tp, batch in open_batches.items()]

    return send


class Hashes:
    """Kafka's default partitioner. Mutable: remembers the hashes of keys, which cost more than all else of a record."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        self._turn = 0

    def partition(self, record: Record, count: int) -> int:
        """Where ``record`` goes in a topic of ``count`` partitions; without partition and key to each in turn."""
        if record.partition is not None:
            return record.partition
        if record.key is None:
            self._turn += 1
            return self._turn % count
        return self.of(record.key) % count

    def of(self, key: bytes) -> int:
        """The hash of ``key``, 31 bits."""
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MAX_KEYS:
                self._known.clear()
            found = self._known[key] = murmur2(key) & 0x7FFFFFFF
        return found


def _added(batch: Any, record: Record) -> bool:
    """Whether there was room; a batch takes its first record whatever its size."""
    added = batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
    return added is not None


async def _handed_over(producer: Any, tp: TopicPartition, batch: Any) -> "asyncio.Future[Any]":
    """The ack of ``batch``, to which nothing is added any more; waits while one of ``tp`` is yet to leave."""
    batch.close()
    if batch.size() > producer._max_request_size:  # only one record can make a batch as large as that
        raise MessageSizeTooLargeError(f"{tp}: a record of {batch.size()} bytes; {producer._max_request_size} may be")
    ack: asyncio.Future[Any] = await producer.send_batch(batch, tp.topic, partition=tp.partition)
    return ack
