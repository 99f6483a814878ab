"""Whole record batches to the producer: order, partitions, sizes."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from app.adapters.kafka.produce import Hashes, sender
from app.core.ports import Record

TOPICS = {"facts": "x.facts", "dead_letters": "x.dead"}


class Producer:
    """aiokafka's producer as ``sender`` sees it: real batches, kept as (topic, partition, records)."""

    def __init__(self, batch_size: int = 1 << 20, max_request: int = 4 << 20) -> None:
        self.sent: list[tuple[str, int, list[Any]]] = []
        self._size, self._max_request_size = batch_size, max_request

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(self._size, 0)

    async def partitions_for(self, topic: str) -> set[int]:
        return {0, 1, 2, 3}

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        assert batch.closed()
        self.sent.append((topic, partition, list(MemoryRecords(bytes(batch._build())).next_batch())))
        return asyncio.get_running_loop().create_future()


async def sent(producer: Producer, *records: Record) -> list[tuple[str, int, list[tuple[bytes | None, bytes | None]]]]:
    acks = await sender(lambda: producer, TOPICS)(records)
    assert len(acks) == len(producer.sent)
    return [(topic, partition, [(r.key, r.value) for r in some]) for topic, partition, some in producer.sent]


def fact(partition: int, value: bytes) -> Record:
    return Record("facts", b"k", value, partition)


async def test_records_of_a_partition_leave_as_one_batch_in_their_order():
    found = await sent(Producer(), fact(3, b"a"), fact(1, b"b"), fact(3, b"c"))
    assert found == [("x.facts", 3, [(b"k", b"a"), (b"k", b"c")]), ("x.facts", 1, [(b"k", b"b")])]


async def test_what_does_not_fit_begins_the_next_batch():
    values = [bytes([65 + i]) * 100 for i in range(9)]
    found = await sent(Producer(batch_size=500), *(fact(0, value) for value in values))
    assert len(found) > 2
    assert [value for _, _, some in found for _, value in some] == values


async def test_a_record_larger_than_a_batch_goes_by_itself_and_one_larger_than_a_request_is_refused():
    large = b"x" * 1000
    found = await sent(Producer(batch_size=500), fact(0, b"a"), fact(0, large), fact(0, b"b"))
    assert [[value for _, value in some] for _, _, some in found] == [[b"a"], [large], [b"b"]]
    with pytest.raises(MessageSizeTooLargeError):
        await sent(Producer(batch_size=500, max_request=900), fact(0, large))


async def test_headers_and_records_without_key_and_value_arrive():
    producer = Producer()
    await sent(producer, Record("dead_letters", None, None, None, (("reason", b"empty"),)))
    (_, _, [record]) = producer.sent[0]
    assert (record.key, record.value, list(record.headers)) == (None, None, [("reason", b"empty")])


async def test_nothing_to_send_is_nothing_to_wait_for():
    assert await sent(Producer()) == []


@pytest.mark.parametrize("count", [1, 4, 7])
def test_a_key_goes_where_kafkas_own_partitioner_sends_it(count: int):
    hashed, theirs = Hashes(), DefaultPartitioner()
    for key in (b"", b"chat", b"a-much-longer-name-of-a-service", b"chat"):
        every = list(range(count))
        assert hashed.partition(Record("facts", key, b""), count) == theirs(key, every, every)


def test_records_without_a_key_are_spread():
    hashed = Hashes()
    assert sorted(hashed.partition(Record("dead_letters", None, b""), 3) for _ in range(6)) == [0, 0, 1, 1, 2, 2]
